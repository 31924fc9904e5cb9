//! Owns the data of the cache's tests: grants as a token endpoint gives them, and caches as other programs write them.

use crate::support::{Run, builder, device_answer, token};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::{
    AccessTokenQuery, Account, Authority, GrantOrigin, Owner, Response, Secret, TokenCache, TokenResponse, UnixTime,
};
use serde_json::{Value, json};

pub(crate) const OID: &str = "2f6c1c9e-7a54-4d0b-9b1e-5d8f0a6c3e71";
pub(crate) const TENANT: &str = "c0ffee00-5a17-4e57-8b33-000000000042";
pub(crate) const HOME: &str = "2f6c1c9e-7a54-4d0b-9b1e-5d8f0a6c3e71.c0ffee00-5a17-4e57-8b33-000000000042";
pub(crate) const PYTHON: &str = include_str!("files/msal-python-1.39.0.json");
pub(crate) const NODE: &str = include_str!("files/msal-node-7.2.1.json");
/// When both files were written.
pub(crate) const WRITTEN: u64 = 1_800_077_335;

pub(crate) fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

pub(crate) fn localhost() -> Authority {
    Authority::entra("localhost", TENANT)
}

pub(crate) fn public() -> Authority {
    Authority::entra("login.microsoftonline.com", TENANT)
}

pub(crate) fn read(cache: &Value) -> TokenCache {
    TokenCache::from_json(cache.to_string().as_bytes()).unwrap()
}

pub(crate) fn written(cache: &TokenCache) -> Value {
    serde_json::from_str(cache.to_json().expose()).unwrap()
}

pub(crate) fn encoded(json: &Value) -> String {
    Base64UrlUnpadded::encode_string(json.to_string().as_bytes())
}

pub(crate) fn jwt(claims: &Value) -> String {
    format!("{}.{}.canary", encoded(&json!({"alg": "none"})), encoded(claims))
}

/// The claims of an ID token, with `change` members replacing or joining its own (null removes).
pub(crate) fn claims(change: Value) -> Value {
    let mut claims = json!({
        "iss": format!("https://localhost/{TENANT}/v2.0"), "sub": "sub-grace", "aud": "my-client", "exp": WRITTEN + 3_600,
        "oid": OID, "tid": TENANT, "name": "Grace H", "preferred_username": "grace@fabrikam.test"
    });
    merge(&mut claims, change);
    claims
}

pub(crate) fn merge(object: &mut Value, change: Value) {
    for (name, value) in change.as_object().unwrap() {
        object[name] = value.clone();
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        }
    }
}

/// A grant of the token endpoint for `scopes`, read as every grant is.
pub(crate) fn granted(scopes: &str, change: Value) -> TokenResponse {
    let mut answer = json!({
        "access_token": "AT-canary", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "RT-canary",
        "id_token": jwt(&claims(json!({}))), "client_info": encoded(&json!({"uid": OID, "utid": TENANT}))
    });
    merge(&mut answer, change);
    let mut run = Run::new(builder().scope(scopes).build().unwrap());
    run.go();
    run.answer(200, &device_answer(json!({})));
    run.poll();
    run.respond(Response::new(200, answer.to_string().as_bytes()));
    token(run.outcome())
}

pub(crate) fn signed_in(authority: &Authority) -> GrantOrigin<'_> {
    GrantOrigin {
        client_id: "my-client",
        authority,
        person: device_flow_core::Person::Slot(""),
        grant_type: Some("urn:ietf:params:oauth:grant-type:device_code"),
    }
}

pub(crate) fn refreshed<'a>(authority: &'a Authority, account: &'a str) -> GrantOrigin<'a> {
    GrantOrigin { client_id: "my-client", authority, person: device_flow_core::Person::Id(account), grant_type: None }
}

pub(crate) fn sign_in(cache: &mut TokenCache, authority: &Authority, change: Value, now: u64) -> Account {
    let grant = granted("openid profile offline_access user.read", change);
    cache.save(&grant, &signed_in(authority), at(now)).unwrap()
}

pub(crate) fn owner(authority: &Authority) -> Owner<'_> {
    Owner { person: device_flow_core::Person::Id(HOME), client_id: "my-client", authority }
}

/// The secret of a silent hit.
pub(crate) fn hit(cache: &TokenCache, owner: Owner<'_>, scopes: &str, now: u64) -> Option<String> {
    let found = cache.access_token(owner, AccessTokenQuery::scopes(scopes), at(now));
    found.map(|token| token.secret().expose().to_owned())
}

pub(crate) fn refresh_tokens(cache: &TokenCache, owner: Owner<'_>) -> Vec<String> {
    cache.refresh_tokens(owner).iter().map(|token| token.secret().expose().to_owned()).collect()
}

pub(crate) fn keys(cache: &TokenCache, kind: &str) -> Vec<String> {
    written(cache)[kind].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::from(text)
}
