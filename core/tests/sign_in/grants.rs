//! Owns the data of these tests: requests, answers with an identity, and a cache with an account.

use crate::support::{Run, Sent, builder, device_answer};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::{Client, Failure, SignIn, SignInRequest, SignedIn, TokenCache, TokenSource, UnixTime};
use serde_json::{Value, json};
use std::sync::Arc;

/// When the person signed in.
pub(crate) const THEN: UnixTime = UnixTime::from_secs(1_795_377_332);
pub(crate) const HOUR: u64 = 3_600;

pub(crate) fn later(seconds: u64) -> UnixTime {
    UnixTime::from_secs(THEN.as_secs() + seconds)
}

pub(crate) fn encoded(json: &Value) -> String {
    Base64UrlUnpadded::encode_string(json.to_string().as_bytes())
}

/// An ID token for this person, with `change` members replacing or joining its own.
pub(crate) fn id_token(who: &str, change: Value) -> String {
    let mut claims = json!({
        "iss": "https://as", "sub": format!("sub-{who}"), "aud": "my-app", "exp": THEN.as_secs() + 100 * HOUR,
        "preferred_username": format!("{who}@example.test")
    });
    change.as_object().unwrap().iter().for_each(|(name, value)| claims[name] = value.clone());
    format!("{}.{}.canary", encoded(&json!({"alg": "none"})), encoded(&claims))
}

/// A token response: AT-canary-`number`, RT-canary-`number`, for an hour, about Ada.
pub(crate) fn grant(number: u32, change: Value) -> String {
    let mut grant = json!({
        "access_token": format!("AT-canary-{number}"), "refresh_token": format!("RT-canary-{number}"),
        "token_type": "Bearer", "expires_in": HOUR, "id_token": id_token("ada", json!({}))
    });
    for (name, value) in change.as_object().unwrap() {
        grant[name] = value.clone();
        if value.is_null() {
            grant.as_object_mut().unwrap().remove(name);
        }
    }
    grant.to_string()
}

pub(crate) fn client() -> Arc<Client> {
    Arc::new(builder().scope("mail").build().unwrap())
}

pub(crate) fn request() -> SignInRequest {
    SignInRequest::new(client())
}

/// A cache after these grants, each a sign-in of its own.
pub(crate) fn cache(grants: &[String]) -> TokenCache {
    cache_of(&request(), grants)
}

pub(crate) fn cache_of(request: &SignInRequest, grants: &[String]) -> TokenCache {
    let mut cache = TokenCache::new();
    for grant in grants {
        sign_in(&mut cache, request, grant);
    }
    cache.mark_saved();
    cache
}

pub(crate) fn sign_in(cache: &mut TokenCache, request: &SignInRequest, grant: &str) {
    let mut run = Run::of(request.device_flow([7; 32]));
    run.script(&[(200, &device_answer(json!({}))), (200, grant)]);
    request.keep(&run.outcome().unwrap(), cache, THEN).unwrap();
}

/// One sign-in of Ada's.
pub(crate) fn ada() -> TokenCache {
    cache(&[grant(1, json!({}))])
}

pub(crate) fn silent(request: SignInRequest, cache: TokenCache, now: UnixTime) -> Run<SignIn> {
    Run::of(SignIn::silent(request, cache, now))
}

pub(crate) fn full(request: SignInRequest, cache: TokenCache, now: UnixTime) -> Run<SignIn> {
    Run::of(SignIn::new(request, cache, now, [7; 32]))
}

/// The access token, and where it came from.
#[track_caller]
pub(crate) fn token(outcome: Result<SignedIn, Failure>) -> (String, TokenSource) {
    let signed_in = outcome.unwrap_or_else(|failure| panic!("a token was expected, not: {failure}"));
    (signed_in.access_token().expose().to_owned(), signed_in.source())
}

/// The secrets of this kind in the cache, in the order of the file.
pub(crate) fn secrets(cache: &TokenCache, kind: &str) -> Vec<String> {
    let written: Value = serde_json::from_str(cache.to_json().expose()).unwrap();
    written[kind].as_object().unwrap().values().map(|entry| entry["secret"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn refresh_tokens(cache: &TokenCache) -> Vec<String> {
    secrets(cache, "RefreshToken")
}

#[track_caller]
pub(crate) fn asked(sent: &Sent, parameters: &[(&str, Option<&str>)]) {
    for (name, value) in parameters {
        assert_eq!(sent.parameter(name).as_deref(), *value, "{name} in {}", sent.body);
    }
}
