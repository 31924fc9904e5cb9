//! Invariant: any bytes are a private key or an error that is safe to print; nothing shows a part of the key; a key signs,
//! under the algorithm and the id that its file says; its public JWK has public members alone, those of the file, and its
//! thumbprint is that of RFC 7638.

use crate::body::{Member, Members};
use crate::judge;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::{ClientAssertion as _, UnixTime};
use device_flow_keys::SigningKey;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

const PRIVATE: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];
const NOW: u64 = 1_800_000_000;

/// The bytes are a file.
pub fn check(data: &[u8]) {
    let jwk = Members::read(data);
    let texts: Vec<_> = jwk.iter().flat_map(|jwk| PRIVATE.map(|name| jwk.get(name))).collect();
    let unique = |text: &&str| judge::is_unique(text, data);
    let secrets: Vec<_> = texts.iter().filter_map(Member::text).filter(unique).collect();
    let key = match SigningKey::from_bytes(data) {
        Ok(key) => key.with_clock(|| UnixTime::from_secs(NOW)),
        Err(error) => {
            let text = error.to_string();
            judge::safe(&text);
            judge::hides(&format!("{text} {error:?}"), &secrets);
            return assert!(text.len() < 400, "a long text: {text}");
        }
    };
    let public: Map<String, Value> = serde_json::from_str(&key.public_jwk()).unwrap();
    judge::hides(&format!("{key:?} {public:?}"), &secrets);
    let thumbprint = thumbprint(public.clone());
    assert_eq!(key.thumbprint(), thumbprint);
    // serde_json takes a member that is null for one that is not there.
    if let Some(jwk) = jwk.filter(|jwk| matches!(jwk.get("keys"), Member::Absent)) {
        assert!(!jwk.has_duplicates(), "which of them is the key?");
        assert_eq!(jwk.get("kid"), key.key_id().map_or(Member::Absent, |kid| Member::Text(kid.to_owned())));
        if let Member::Text(algorithm) = jwk.get("alg") {
            assert_eq!(key.algorithm().as_str(), algorithm);
        }
        // What the public half is for is ours to say.
        for (name, value) in public.iter().filter(|(name, _)| *name != "use") {
            let Member::Text(text) = jwk.get(name) else { panic!("{name} is not in the file") };
            if matches!(&**name, "kty" | "crv" | "kid") {
                assert_eq!(text, *value);
            } else {
                assert_eq!(number(&text), number(value.as_str().unwrap()), "{name}");
            }
        }
    }

    let jwt = key.assertion("me", "https://as.example").unwrap();
    let parts: Vec<_> = jwt.expose().split('.').map(|part| Base64UrlUnpadded::decode_vec(part).unwrap()).collect();
    let mut header = json!({ "alg": key.algorithm().as_str(), "typ": "JWT" });
    if let Some(kid) = key.key_id() {
        header["kid"] = json!(kid);
    }
    assert_eq!(serde_json::from_slice::<Value>(&parts[0]).unwrap(), header);
    let claims: Value = serde_json::from_slice(&parts[1]).unwrap();
    assert_eq!((&claims["iat"], &claims["aud"]), (&json!(NOW), &json!("https://as.example")));
    assert!(parts.len() == 3 && parts[2].len() >= 64);
}

/// Of the required members, in the order of their names.
fn thumbprint(mut public: Map<String, Value>) -> String {
    public.remove("kid");
    assert_eq!(public.remove("use"), Some(json!("sig")), "Keycloak passes over a key that does not say so");
    let expected: &[_] = match public["kty"].as_str().unwrap() {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        other => panic!("a key of the kind {other}"),
    };
    let mut names: Vec<_> = public.keys().map(|name| &**name).collect();
    names.sort_unstable();
    assert_eq!(names, expected);
    let members: Vec<_> = names.iter().map(|name| format!("\"{name}\":{}", public[*name])).collect();
    Base64UrlUnpadded::encode_string(&Sha256::digest(format!("{{{}}}", members.join(","))))
}

/// A number, however many zeros are before it.
fn number(text: &str) -> Vec<u8> {
    let bytes = Base64UrlUnpadded::decode_vec(text.trim_end_matches('=')).unwrap();
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}
