//! Owns the clauses of OpenID Connect about the ID token of a sign-in: what is checked, what is ignored, and what is
//! kept when a check fails.

use super::grants::*;
use crate::support::{PENDING, Run, device_answer};
use device_flow_core::{
    ClaimsError, Client, ConfigError, Discovery, Failure, Metadata, ProtocolFault, Provider, SignIn, SignInRequest,
    TokenCache,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://as/one";

fn metadata() -> Metadata {
    let document = json!({
        "issuer": ISSUER, "device_authorization_endpoint": "https://as/device", "token_endpoint": "https://as/token",
        "jwks_uri": "https://as/keys", "userinfo_endpoint": "https://as/userinfo"
    });
    let mut run = Run::of(Discovery::new(ISSUER).unwrap());
    run.poll();
    run.answer(200, &document.to_string());
    run.outcome().unwrap()
}

fn openid() -> SignInRequest {
    SignInRequest::new(Client::builder(metadata(), "my-app").scope("openid").build().unwrap())
}

/// A sign-in that is approved at the second poll, with this change to the token response.
fn approved(change: Value) -> Run<SignIn> {
    let mut run = full(openid(), TokenCache::new(), THEN);
    run.script(&[(200, &device_answer(json!({}))), (400, PENDING), (200, &grant(1, change))]);
    run
}

/// The same with an ID token of these claims.
fn with_claims(change: Value) -> Run<SignIn> {
    let mut claims = json!({"iss": ISSUER});
    change.as_object().unwrap().iter().for_each(|(name, value)| claims[name] = value.clone());
    approved(json!({"id_token": id_token("ada", claims)}))
}

/// Why the sign-in failed, after which nothing of its answer may be in the cache.
#[track_caller]
fn fault(mut run: Run<SignIn>) -> ProtocolFault {
    let Failure::Protocol(error) = run.failure() else { panic!("a protocol error was expected") };
    assert!(!run.machine.cache().is_changed() && run.machine.cache().accounts().is_empty());
    error.fault
}

// OIDC-2-5: whatever else is in an ID token, and whatever form it has, the token means the same.
#[test]
fn oidc_2_claims_that_nobody_here_understands_are_ignored() {
    let plain = token(with_claims(json!({})).outcome());
    for more in [
        json!({"x": 1, "https://as/claim": {"sub": "eve", "aud": ["other"]}, "list": [null, ["1e400"]]}),
        json!({"auth_time": "yesterday", "acr": 0, "amr": "pwd", "at_hash": "wrong", "c_hash": 5, "iat": -1}),
        json!({"name": 5, "preferred_username": ["ada"], "email": {}}),
    ] {
        let mut run = with_claims(more.clone());
        assert_eq!(token(run.outcome()), plain, "{more}");
        assert_eq!(run.machine.into_cache().accounts().len(), 1);
    }
}

// OIDC-3.1.3.5-1: the rules of OAuth, those for the access token and those for the ID token; what breaks one of them is
// no sign-in, and nothing of it is kept.
#[test]
fn oidc_3_1_3_5_each_part_of_a_token_response_is_checked() {
    assert_eq!(token(with_claims(json!({})).outcome()).0, "AT-canary-1");
    let good = id_token("ada", json!({"iss": ISSUER}));
    for (change, expected) in [
        (json!({"access_token": null, "id_token": good}), ProtocolFault::Missing("access_token")),
        (json!({"access_token": "AT\ncanary", "id_token": good}), ProtocolFault::Invalid("access_token")),
        (json!({"token_type": "mac", "id_token": good}), ProtocolFault::TokenType("mac".into())),
        (json!({"error": "invalid_scope", "id_token": good}), ProtocolFault::TokenAndError("invalid_scope".into())),
        (json!({"id_token": "canary"}), ProtocolFault::IdToken(ClaimsError::Unreadable)),
    ] {
        assert_eq!(fault(approved(change.clone())), expected, "{change}");
    }
    for (claims, expected) in [
        (json!({"aud": "another"}), ClaimsError::Audience),
        (json!({"exp": THEN.as_secs() - 400}), ClaimsError::Expired),
        (json!({"sub": ""}), ClaimsError::Claim("sub")),
    ] {
        assert_eq!(fault(with_claims(claims.clone())), ProtocolFault::IdToken(expected), "{claims}");
    }
}

// OIDC-3.1.3.7-1: nobody here has asked for encryption or has a key for it, so five parts are no ID token.
#[test]
fn oidc_3_1_3_7_an_encrypted_id_token_is_refused() {
    let header = encoded(&json!({"alg": "RSA-OAEP", "enc": "A256GCM"}));
    let readable = id_token("ada", json!({"iss": ISSUER})) + ".canary.dGFn";
    for id_token in [format!("{header}.a2V5.aXY.canary.dGFn"), format!("{header}..aXY.canary.dGFn"), readable] {
        let found = fault(approved(json!({"id_token": id_token})));
        assert_eq!(found, ProtocolFault::IdToken(ClaimsError::Unreadable));
    }
}

// OIDC-3.1.3.7-2, OIDD-4.3-3, OIDD-7.2-1, OIDD-5-1: the issuer that was asked for, the one of the metadata and the one
// of the ID token are the same text.
#[test]
fn oidc_3_1_3_7_the_issuer_of_the_id_token_is_the_one_of_the_metadata_to_the_letter() {
    for other in [
        "https://as/one/",
        "https://as/One",
        "https://AS/one",
        "https://as:443/one",
        "http://as/one",
        "https://as/%6Fne",
        "https://as",
        "as/one",
        " https://as/one",
    ] {
        let ProtocolFault::IdToken(ClaimsError::Issuer { found }) = fault(with_claims(json!({"iss": other}))) else {
            panic!("{other}")
        };
        assert_eq!(found.trim(), other.trim());
    }
}

// OIDC-3.1.3.7-6: the ID token came over TLS from the token endpoint, which is enough. No key is fetched, no signature
// is looked at, and an endpoint without TLS is none.
#[test]
fn oidc_3_1_3_7_the_certificate_of_the_server_stands_in_for_the_signature() {
    let claims = encoded(&json!({
        "iss": ISSUER, "sub": "sub-ada", "aud": "my-app", "exp": THEN.as_secs() + HOUR
    }));
    for (header, signature) in [
        (json!({"alg": "RS256", "kid": "unknown"}), "canary"),
        (json!({"alg": "HS256"}), "canary"),
        (json!({"alg": "none"}), ""),
        (json!({"jku": "https://evil/keys", "jwk": {"kty": "oct"}, "x5u": "https://evil"}), "canary"),
    ] {
        let id_token = format!("{}.{claims}.{signature}", encoded(&header));
        let mut run = approved(json!({"id_token": id_token}));
        assert_eq!(token(run.outcome()).0, "AT-canary-1", "{header}");
        let asked: Vec<_> = run.requests.iter().map(|sent| sent.url.as_str()).collect();
        assert_eq!(asked, ["https://as/device", "https://as/token", "https://as/token"]);
    }
    let in_the_clear = Client::builder(Provider::endpoints("https://as/device", "http://as/token"), "my-app").build();
    assert!(matches!(in_the_clear, Err(ConfigError::Endpoint { which: "token endpoint", .. })));
}

// OIDC-3.1.3.7-11: no request has a nonce, so none is expected, and one that comes all the same changes nothing.
#[test]
fn oidc_3_1_3_7_no_nonce_is_sent_and_none_is_expected() {
    for nonce in [json!(null), json!("n-0S6_WzA2Mj"), json!(7)] {
        let mut run = with_claims(json!({"nonce": nonce}));
        assert_eq!(token(run.outcome()).0, "AT-canary-1", "{nonce}");
        assert!(run.requests.iter().all(|sent| sent.parameter("nonce").is_none()));
        let mut refresh = silent(openid(), run.machine.into_cache(), later(HOUR));
        let answer = json!({"id_token": id_token("ada", json!({"iss": ISSUER, "nonce": "another"}))});
        refresh.script(&[(200, &grant(2, answer))]);
        assert_eq!(token(refresh.outcome()).0, "AT-canary-2", "{nonce}");
        assert_eq!(refresh.requests[0].parameter("nonce"), None);
    }
}
