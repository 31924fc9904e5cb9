//! Owns the shapes of Microsoft's answers: members, types, and the numbers and words of its errors.

use super::tokens::{Grant, is_family};
use super::{DOMAIN, HOST, Script, TENANT};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) const TRACE: &str = "7d2b6a10-93f5-4c0e-8a44-1f0c5e6b2d00";
const CORRELATION: &str = "9f0c1d2e-3b4a-4958-a6c7-d8e9f0a1b2c3";

/// An error of the token endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failing {
    status: u16,
    error: &'static str,
    number: u32,
    words: &'static str,
    suberror: Option<&'static str>,
    claims: Option<&'static str>,
}

impl Failing {
    const fn new(error: &'static str, number: u32, words: &'static str) -> Self {
        Self { status: 400, error, number, words, suberror: None, claims: None }
    }

    const fn under(mut self, suberror: &'static str) -> Self {
        self.suberror = Some(suberror);
        self
    }

    const fn with(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with what the next sign-in has to ask for.
    pub(super) fn claiming(mut self, claims: &'static str) -> Self {
        self.claims = Some(claims);
        self
    }

    pub(super) const PENDING: Self = Self::new("authorization_pending", 70016, "The person has not signed in yet.");
    pub(super) const DECLINED: Self = Self::new("authorization_declined", 70021, "The person has declined.");
    pub(super) const EXPIRED: Self = Self::new("expired_token", 70020, "The device code has expired.");
    pub(super) const BAD_CODE: Self = Self::new("bad_verification_code", 70018, "The device code is not known.");
    pub(super) const REDEEMED: Self = Self::new("invalid_grant", 54005, "The code was redeemed before.");
    pub(super) const BAD_TOKEN: Self =
        Self::new("invalid_grant", 70000, "The refresh token is not valid.").under("bad_token");
    pub(super) const REVOKED: Self = Self::new("invalid_grant", 50173, "The grant has been revoked.");
    pub(super) const OTHER_CLIENT: Self =
        Self::new("invalid_grant", 700_007, "The refresh token is another client's.").under("client_mismatch");
    pub(super) const CHALLENGE: Self =
        Self::new("invalid_grant", 50076, "A second factor is needed.").under("basic_action");
    pub(super) const NO_TENANT: Self = Self::new("invalid_request", 90002, "The tenant was not found.");
    pub(super) const NO_CLIENT: Self = Self::new("unauthorized_client", 700_016, "The application was not found.");
    pub(super) const NO_PARAMETER: Self = Self::new("invalid_request", 900_144, "A parameter is missing in the body.");
    pub(super) const NO_GRANT: Self = Self::new("unsupported_grant_type", 70003, "The grant type is not supported.");
    pub(super) const UNAVAILABLE: Self =
        Self::new("temporarily_unavailable", 90033, "The service is not available.").with(503);

    pub(super) fn answer(&self, correlation: Option<&str>) -> (u16, Value) {
        let &Self { number, words, .. } = self;
        let correlation = correlation.unwrap_or(CORRELATION);
        let time = "2026-11-23 11:00:00Z";
        let mut body = json!({
            "error": self.error,
            "error_description": format!("AADSTS{number}: {words} Trace ID: {TRACE} Correlation ID: {correlation} Timestamp: {time}"),
            "error_codes": [number],
            "timestamp": time,
            "trace_id": TRACE,
            "correlation_id": correlation,
            "error_uri": format!("https://{HOST}/error?code={number}"),
        });
        for (name, value) in [("suberror", self.suberror), ("claims", self.claims)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        (self.status, body)
    }
}

/// Which hosts are one cloud.
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

/// A domain is answered with the tenant's id; the names of no tenant in particular with a place for it.
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
    // Nobody can check the signature, and nobody has to: the token comes over TLS.
    let head = json!({"typ": "JWT", "alg": "RS256", "kid": "canary"});
    let signature = Base64UrlUnpadded::encode_string(b"canary, no signature");
    let id_token = format!("{}.{}.{signature}", base64url(&head), base64url(&claims));
    member("id_token", has("openid").then(|| json!(id_token)));
    body
}

fn base64url(json: &Value) -> String {
    Base64UrlUnpadded::encode_string(json.to_string().as_bytes())
}
