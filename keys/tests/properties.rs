//! At random: any text goes through the JSON of a JWT unchanged, and no file makes the reading of keys panic.

use crate::support::*;
use device_flow_core::{ClientAssertion as _, ProofOfPossession as _, ProofRequest, Secret};
use device_flow_keys::{DpopKey, SigningKey};
use proptest::prelude::*;
use serde_json::json;

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { default } else { ProptestConfig { cases: 200, ..default } }
}

/// Any characters, with those that JSON escapes more often than others.
fn text() -> impl Strategy<Value = String> {
    let character =
        prop_oneof![3 => any::<char>(), 2 => prop::char::range('\0', '\u{7f}'), 1 => Just('"'), 1 => Just('\\')];
    prop::collection::vec(character, 0..60).prop_map(String::from_iter)
}

/// A file that is nearly a key.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let forms = [
        ed25519_pem(),
        pem("PRIVATE KEY", &Ec::p256().pkcs8(None)),
        pem("RSA PRIVATE KEY", &pkcs1(&rsa_parts())),
        RSA_JWK.to_owned(),
        Ec::p384().jwk().to_string(),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    (prop::sample::select(forms.to_vec()), changes, any::<prop::sample::Index>()).prop_map(|(form, changes, end)| {
        let mut bytes = form.into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // In full as often as cut.
        let end = end.index(bytes.len() * 2);
        bytes.truncate(end.max(1));
        bytes
    })
}

/// The same in DER, where a damaged text would not get to.
fn nearly_der() -> impl Strategy<Value = String> {
    let ec = Ec::p256();
    let forms = vec![
        ("PRIVATE KEY", ec.pkcs8(Some(&ec.point))),
        ("PRIVATE KEY", pkcs8(&[oid("Ed25519")], &tlv(0x04, SEED))),
        ("EC PRIVATE KEY", ec.sec1(true, Some(&ec.point))),
        ("RSA PRIVATE KEY", pkcs1(&rsa_parts())),
        ("PUBLIC KEY", ec.public()),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::sample::select(forms), changes).prop_map(move |((label, mut der), changes)| {
        for (at, byte) in changes {
            let at = at.index(der.len());
            der[at] = byte;
        }
        pem(label, &der) + &pem("PRIVATE KEY", &ec.pkcs8(None))
    })
}

fn try_all(content: &[u8]) {
    for read in [SigningKey::from_bytes(content), SigningKey::from_pem(content), SigningKey::from_jwk(content)] {
        match read {
            Ok(key) => {
                verify(key.assertion("me", "you").unwrap().expose(), &serde_json::from_str(&key.public_jwk()).unwrap())
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn rfc8259_7_any_client_id_and_audience_and_key_id_are_in_the_claims_as_they_are(
        client_id in text(), audience in text(), kid in text(),
    ) {
        let key = at_now(SigningKey::from_pem(ed25519_pem()).unwrap()).with_key_id(&kid);
        let jwt = key.assertion(&client_id, &audience).unwrap();
        let (header, claims) = read(jwt.expose());
        let jti = &claims["jti"];
        prop_assert_eq!(&header, &json!({ "alg": "EdDSA", "typ": "JWT", "kid": kid }));
        prop_assert_eq!(
            &claims,
            &json!({ "iss": client_id, "sub": client_id, "aud": audience, "jti": jti, "iat": NOW, "exp": NOW + 60 })
        );
        let jwk = serde_json::from_str(&key.public_jwk()).unwrap();
        verify(jwt.expose(), &jwk);
    }

    // R9449-8-4.
    #[test]
    fn rfc8259_7_any_nonce_and_method_and_path_are_in_the_claims_as_they_are(
        nonce in text(), method in text(), path in text(),
    ) {
        let key = DpopKey::new(at_now(SigningKey::from_pem(ed25519_pem()).unwrap()));
        let (url, token) = (format!("https://api.example.com/{path}"), Secret::from("AT-canary"));
        key.remember_nonce("https://api.example.com", &nonce);
        let Ok(request) = ProofRequest::to_resource(&method, &url, &token) else { return Ok(()) };
        let (_, claims) = read(key.proof(&request).unwrap().expose());
        prop_assert_eq!(&claims["htm"], &json!(method));
        prop_assert_eq!(&claims["htu"], request.url());
        prop_assert_eq!(claims["nonce"].as_str().unwrap_or_default(), nonce);
    }

    #[test]
    fn any_bytes_are_a_key_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        try_all(&bytes);
    }

    #[test]
    fn what_is_nearly_a_key_is_a_key_or_an_error(bytes in nearly(), der in nearly_der()) {
        try_all(&bytes);
        try_all(der.as_bytes());
    }
}
