//! Client assertions (RFC 7523): their claims, their header, their signature.

use crate::support::*;
use device_flow_core::{Action, Client, ClientAssertion, DeviceFlow, Machine, Provider, Timestamp};
use device_flow_keys::SigningKey;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const ISSUER: &str = "https://login.example.com";

fn assertion(key: &SigningKey) -> String {
    key.assertion("my-app", ISSUER).unwrap().expose().to_owned()
}

// OIDC-9-1, OIDC-9-3, R7523-3-1, R7523-3-2, R7523-3-3, R7523-3-4, R7523-3-5, R7523-3-6, R7523-3-7.
#[test]
fn rfc7523_3_the_claims_are_these_and_no_others() {
    for key in every_key().into_iter().map(at_now) {
        let (_, claims) = read(&assertion(&key));
        let jti = claims["jti"].as_str().unwrap();
        assert_eq!(from_base64url(jti).len(), 16);
        // `aud` is one text, there is no `nbf`, and the life is what Keycloak takes at most.
        let expected = json!({
            "iss": "my-app", "sub": "my-app", "aud": ISSUER, "jti": jti, "iat": NOW, "exp": NOW + 60
        });
        assert_eq!(claims, expected);
    }
}

// OIDC-9-2, R7523-3-7.
#[test]
fn rfc7523_3_a_jti_never_comes_twice_though_the_time_does() {
    let key = at_now(SigningKey::from_pem(ed25519_pem()).unwrap());
    let jti = |_| read(&assertion(&key)).1["jti"].as_str().unwrap().to_owned();
    assert_eq!((0..1_000).map(jti).collect::<BTreeSet<_>>().len(), 1_000);
}

#[test]
fn rfc7523_3_the_time_is_the_systems_unless_another_clock_is_given() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let key = SigningKey::from_pem(ed25519_pem()).unwrap();
    let (before, iat, after) = (now(), read(&assertion(&key)).1["iat"].as_u64().unwrap(), now());
    assert!((before..=after).contains(&iat));
    // Both sides of ten digits.
    let ten = 1_000_000_000;
    for (secs, iat, exp) in [
        (0, 0, 60),
        (ten - 61, ten - 61, ten - 1),
        (ten - 60, ten - 60, ten),
        (1_203_040_506, 1_203_040_506, 1_203_040_566),
        (10 * ten - 1, 10 * ten - 1, 10 * ten + 59),
        (u64::MAX, u64::MAX, u64::MAX),
    ] {
        let key = SigningKey::from_pem(ed25519_pem()).unwrap();
        let key = key.with_clock(move || device_flow_core::UnixTime::from_secs(secs));
        let (_, claims) = read(&assertion(&key));
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(iat), &json!(exp)));
    }
}

#[test]
fn rfc7515_4_1_the_header_names_algorithm_type_and_the_id_if_there_is_one() {
    for key in every_key() {
        let name = key.algorithm().as_str();
        assert_eq!(ClientAssertion::algorithm(&key), name);
        let from_file = key.key_id().map(str::to_owned);
        let (header, _) = read(&assertion(&key));
        let mut expected = json!({ "alg": name, "typ": "JWT" });
        if let Some(kid) = from_file {
            assert_eq!(kid, "bilbo.baggins@hobbiton.example");
            expected["kid"] = json!(kid);
        }
        assert_eq!(header, expected);
        let key = key.with_key_id("a \"new\" one");
        let (header, _) = read(&assertion(&key));
        assert_eq!(header, json!({ "alg": name, "typ": "JWT", "kid": "a \"new\" one" }));
        assert_eq!(key.key_id(), Some("a \"new\" one"));
    }
}

// R7523-3-8, R7523-5-1, R9700-2.5-1: RS256 is among them.
#[test]
fn rfc7515_5_1_every_algorithm_signs_what_its_public_jwk_verifies() {
    let mut names = vec![];
    for key in every_key() {
        let jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
        for _ in 0..20 {
            verify(&assertion(&key), &jwk);
        }
        names.push(key.algorithm().to_string());
    }
    assert_eq!(names, ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"]);
}

#[test]
fn rfc7519_3_any_claims_are_signed_as_they_are() {
    for key in every_key() {
        let key = key.with_key_id("a key");
        let jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
        for claims in [json!({}), json!({ "sub": "ada" }), json!({ "iss": ISSUER, "aud": ["a", "b"], "exp": NOW })] {
            let jwt = key.sign_claims(&claims.to_string()).unwrap();
            verify(jwt.expose(), &jwk);
            let header = json!({ "alg": key.algorithm().as_str(), "typ": "JWT", "kid": "a key" });
            assert_eq!(read(jwt.expose()), (header, claims));
        }
    }
}

/// Whatever the remainder of a division of their lengths by three is; for the client of the first assertion, whose claims are
/// kept encoded, and for others.
#[test]
fn rfc7515_2_base64url_is_right_for_every_length_and_for_every_client_of_a_key() {
    for length in 0..60 {
        let mut key = at_now(SigningKey::from_pem(ed25519_pem()).unwrap());
        for kid in ["one", "another id"] {
            key = key.with_key_id(kid);
            let (client_id, audience) = ("c".repeat(length / 3), "a".repeat(length));
            for (client_id, audience) in
                [(&*client_id, &*audience), (&client_id, &audience), (&client_id, "b"), ("d", &audience)]
            {
                let jwt = key.assertion(client_id, audience).unwrap();
                let (header, claims) = read(jwt.expose());
                assert_eq!(
                    (&header["kid"], &claims["iss"], &claims["sub"], &claims["aud"], &claims["exp"]),
                    (&json!(kid), &json!(client_id), &json!(client_id), &json!(audience), &json!(NOW + 60))
                );
            }
        }
    }
}

// R7523-3-8, R9700-2.5-1.
#[test]
fn rfc7523_2_2_each_request_of_a_flow_carries_a_new_assertion() {
    let key = Arc::new(SigningKey::from_jwk(RSA_JWK).unwrap());
    let jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
    let provider = Provider::endpoints("https://login.example.com/device", "https://login.example.com/token");
    let client = Client::builder(provider, "my-app").client_assertion(key).build().unwrap();
    let mut flow = DeviceFlow::new(client, [9; 32]);
    let Action::SendRequest(outgoing) = flow.next_action(Timestamp::ZERO) else { panic!() };
    let body = String::from_utf8(outgoing.request.body().to_vec()).unwrap();
    let jwt = body.split('&').find_map(|field| field.strip_prefix("client_assertion=")).unwrap();
    verify(jwt, &jwk);
    // Of endpoints without an issuer: the token endpoint.
    assert_eq!(read(jwt).1["aud"], "https://login.example.com/token");
}
