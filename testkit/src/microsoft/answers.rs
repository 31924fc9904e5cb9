//! Owns the form of Microsoft's answers: their members and types.

use super::tokens::{Grant, is_family};
use super::{DOMAIN, HOST, Script, TENANT};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The instance discovery document: which hosts belong to one cloud.
pub(super) fn instances() -> Value {
    json!({
        "tenant_discovery_endpoint": format!("https://{HOST}/common/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [
            {
                "preferred_network": HOST,
                "preferred_cache": "login.windows.net",
                "aliases": [HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"],
            },
            {
                "preferred_network": "login.microsoftonline.us",
                "preferred_cache": "login.microsoftonline.us",
                "aliases": ["login.microsoftonline.us", "login.usgovcloudapi.net"],
            },
        ],
    })
}

/// For a domain the issuer has the ID of the tenant; for `common` and `organizations` a placeholder.
fn issuer(host: &str, tenant: &str) -> String {
    let tenant = if tenant == TENANT || tenant == DOMAIN { TENANT } else { "{tenantid}" };
    format!("https://{host}/{tenant}/v2.0")
}

pub(super) fn metadata(host: &str, tenant: &str) -> Value {
    let base = format!("https://{host}/{tenant}");
    json!({
        "issuer": issuer(host, tenant),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "tenant_region_scope": null,
        "cloud_instance_name": "microsoftonline.com",
    })
}

pub(super) fn device(script: &Script, device_code: &str, user_code: &str, language: &str) -> Value {
    let place = "https://microsoft.com/devicelogin";
    let message = if language.starts_with("de") {
        format!("Öffnen Sie {place} in einem Browser und geben Sie dort {user_code} ein, um sich anzumelden.")
    } else {
        format!("To sign in, open {place} in a browser and enter {user_code} there.")
    };
    json!({
        "user_code": user_code,
        "device_code": device_code,
        "verification_uri": place,
        "expires_in": script.code_lives,
        "interval": 1,
        "message": message,
    })
}

pub(super) fn token(script: &Script, grant: &Grant, host: &str, wants_client_info: bool) -> Value {
    let Grant { person, client, scope, access, refresh } = grant;
    let number = |number: u64| if script.numbers_are_text { json!(number.to_string()) } else { json!(number) };
    let mut body = json!({
        "token_type": "Bearer",
        "expires_in": number(script.token_lives),
        "ext_expires_in": number(script.token_lives),
        "access_token": access,
    });
    let has = |name: &str| scope.split(' ').any(|scope| scope == name);
    let mut member = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    member("scope", script.tells_scope.then(|| json!(scope)));
    member("refresh_in", script.refresh_in.map(number));
    member("refresh_token", refresh.as_ref().map(|token| json!(token)));
    member("foci", is_family(client).then(|| json!("1")));
    let client_info = json!({"uid": person.oid, "utid": TENANT});
    member("client_info", wants_client_info.then(|| json!(base64url(&client_info))));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": issuer(host, TENANT),
        "aud": client,
        "sub": format!("subject-of-{}", person.oid),
        "oid": person.oid,
        "tid": TENANT,
        "preferred_username": person.username,
        "name": person.name,
        "iat": now - 300,
        "nbf": now - 300,
        "exp": now + 3600,
        "ver": "2.0",
    });
    // No client can check this signature, and none has to: the token comes over TLS.
    let head = json!({"typ": "JWT", "alg": "RS256", "kid": "canary"});
    let signature = Base64UrlUnpadded::encode_string(b"canary, no signature");
    let id_token = format!("{}.{}.{signature}", base64url(&head), base64url(&claims));
    member("id_token", has("openid").then(|| json!(id_token)));
    body
}

fn base64url(json: &Value) -> String {
    Base64UrlUnpadded::encode_string(json.to_string().as_bytes())
}
