//! Owns the data of these tests: a client of Microsoft Entra, and the answers of its two endpoints.

use crate::cache::grants::{OID, TENANT, WRITTEN, at, claims, encoded, jwt, merge};
use crate::support::Run;
use device_flow_core::{Client, ClientBuilder, DeviceFlow, EntraCloud, Provider, SignIn, SignInRequest, TokenCache};
use serde_json::{Value, json};

pub(crate) const DEVICE_ENDPOINT: &str =
    "https://login.microsoftonline.com/c0ffee00-5a17-4e57-8b33-000000000042/oauth2/v2.0/devicecode";
pub(crate) const TOKEN_ENDPOINT: &str =
    "https://login.microsoftonline.com/c0ffee00-5a17-4e57-8b33-000000000042/oauth2/v2.0/token";
const ISSUER: &str = "https://login.microsoftonline.com/c0ffee00-5a17-4e57-8b33-000000000042/v2.0";
pub(crate) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

pub(crate) fn client() -> ClientBuilder {
    Client::builder(Provider::entra(EntraCloud::Public, TENANT), "my-client").scope("user.read")
}

pub(crate) fn request() -> SignInRequest {
    SignInRequest::new(client().build().unwrap())
}

/// A sign-in that never asks the person.
pub(crate) fn silent(request: SignInRequest, cache: TokenCache, seconds: u64) -> Run<SignIn> {
    Run::of(SignIn::silent(request, cache, at(seconds)))
}

/// A cache after a sign-in.
pub(crate) fn signed_in_cache() -> TokenCache {
    let mut run = Run::of(SignIn::new(request(), TokenCache::new(), at(WRITTEN), [7; 32]));
    run.script(&[(200, &code(json!({}))), (200, &tokens(json!({})))]);
    run.outcome().unwrap();
    run.machine.into_cache()
}

/// What the device authorization endpoint answers, with `change` members (null removes).
pub(crate) fn code(change: Value) -> String {
    let mut answer = json!({
        "device_code": "DC-canary", "user_code": "ABCD-EFGH", "verification_uri": "https://microsoft.com/devicelogin",
        "expires_in": 900, "interval": 5, "message": "To sign in, open the page and enter the code ABCD-EFGH."
    });
    merge(&mut answer, change);
    answer.to_string()
}

/// What the token endpoint grants.
pub(crate) fn tokens(change: Value) -> String {
    let mut answer = json!({
        "access_token": "AT-canary", "refresh_token": "RT-canary", "token_type": "Bearer", "expires_in": 3599,
        "ext_expires_in": 3599, "scope": "User.Read openid profile", "id_token": jwt(&claims(json!({"iss": ISSUER}))),
        "client_info": encoded(&json!({"uid": OID, "utid": TENANT}))
    });
    merge(&mut answer, change);
    answer.to_string()
}

/// A refusal of the token endpoint, with its numbers.
pub(crate) fn refusal(error: &str, number: u32) -> String {
    json!({
        "error": error, "error_description": format!("AADSTS{number}: told by the server."), "error_codes": [number],
        "timestamp": "2027-01-15 08:00:00Z", "trace_id": "trace", "correlation_id": "correlation"
    })
    .to_string()
}

/// A flow whose code is shown.
pub(crate) fn flow(client: ClientBuilder, change: Value) -> Run<DeviceFlow> {
    let mut run = Run::new(client.build().unwrap());
    run.poll();
    run.answer(200, &code(change));
    run
}
