//! Every form in which people have keys: one key is the same in each.

use crate::support::*;
use device_flow_keys::{Algorithm, SigningKey};
use serde_json::{Value, json};

/// The forms of one key all have its thumbprint.
fn all_are(thumbprint: &str, forms: &[(&str, String)]) {
    for (form, text) in forms {
        let key = SigningKey::from_bytes(text.as_bytes()).unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(key.thumbprint(), thumbprint, "{form}");
    }
}

#[test]
fn rfc5208_rfc5915_rfc7517_an_ec_key_is_the_same_in_every_form() {
    for ec in [Ec::p256(), Ec::p384()] {
        let jwk = ec.jwk();
        let key = SigningKey::from_jwk(jwk.to_string()).unwrap();
        let public: Value = serde_json::from_str(&key.public_jwk()).unwrap();
        assert_eq!(public, json!({ "kty": "EC", "crv": ec.curve, "x": jwk["x"], "y": jwk["y"], "use": "sig" }));
        let (whole, point) = (ec.pkcs8(Some(&ec.point)), Some(&*ec.point));
        let sec1 = pem("EC PRIVATE KEY", &ec.sec1(true, point));
        let parameters = pem("EC PARAMETERS", &oid(ec.curve));
        let inner = ec.sec1(true, None);
        let outside = tlv(0x81, &[&[0], &*ec.point].concat());
        let version_2 = sequence(&[
            integer(&[1]),
            sequence(&[oid("EC"), oid(ec.curve)]),
            tlv(0x04, &inner),
            tlv(0xa0, b"attributes"),
            outside,
        ]);
        let mut padded = jwk.clone();
        padded["d"] = json!(format!("{}==", base64url(&ec.scalar)));
        let mut extended = jwk.clone();
        extended["x5c"] = json!(["unknown members are passed over"]);
        let lines = pem("PRIVATE KEY", &whole);
        all_are(
            key.thumbprint(),
            &[
                ("PKCS#8", lines.clone()),
                (
                    "PKCS#8 with the curve twice",
                    pem("PRIVATE KEY", &pkcs8(&[oid("EC"), oid(ec.curve)], &ec.sec1(true, point))),
                ),
                ("PKCS#8, second version", pem("PRIVATE KEY", &version_2)),
                ("SEC1", sec1.clone()),
                ("what openssl ecparam -genkey writes", parameters + &sec1),
                ("beside certificates", pem("CERTIFICATE", b"a") + &sec1 + &pem("CERTIFICATE", b"b")),
                ("with text around it", format!("Bag Attributes\n  friendlyName: mine\n{lines}The end.")),
                ("with the line ends of Windows", lines.replace('\n', "\r\n")),
                ("indented", lines.replace('\n', "\n    ")),
                ("in short lines", lines.replace("MI", "M\nI")),
                ("with a byte order mark", format!("\u{feff}{lines}")),
                ("JWK", jwk.to_string()),
                ("JWK after space and a byte order mark", format!("\u{feff}\n {jwk}")),
                ("JWK for signatures", with(&jwk, json!({ "use": "sig", "key_ops": ["sign", "verify"] }))),
                ("JWK with padding", padded.to_string()),
                ("JWK with PEM text in it", with(&jwk, json!({ "pem": pem("PRIVATE KEY", b"another") }))),
                ("JWK with unknown members", extended.to_string()),
                ("a set of one", json!({ "keys": [jwk] }).to_string()),
                (
                    "without its public half, which stands beside it",
                    pem("PUBLIC KEY", &ec.public()) + &pem("PRIVATE KEY", &ec.pkcs8(None)),
                ),
                (
                    "compressed, with its public half beside it",
                    pem("EC PRIVATE KEY", &ec.sec1(true, Some(&compressed(&ec)))) + &pem("PUBLIC KEY", &ec.public()),
                ),
            ],
        );
    }
}

fn with(jwk: &Value, more: Value) -> String {
    let mut jwk = jwk.clone();
    jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    jwk.to_string()
}

pub(crate) fn compressed(ec: &Ec) -> Vec<u8> {
    let (x, y) = ec.point[1..].split_at(ec.scalar.len());
    [&[2 + (y[y.len() - 1] & 1)], x].concat()
}

#[test]
fn rfc5915_3_a_private_key_without_its_leading_zeros_is_the_same_key() {
    // One key in 256 begins with a zero.
    let ec = std::iter::repeat_with(Ec::p256).find(|ec| ec.scalar[0] == 0).unwrap();
    let key = SigningKey::from_jwk(ec.jwk().to_string()).unwrap();
    let short = Ec { scalar: ec.scalar[1..].to_vec(), point: ec.point.clone(), ..ec };
    let mut jwk = ec.jwk();
    jwk["d"] = json!(base64url(&short.scalar));
    all_are(
        key.thumbprint(),
        &[("SEC1", pem("EC PRIVATE KEY", &short.sec1(true, Some(&ec.point)))), ("JWK", jwk.to_string())],
    );
}

#[test]
fn rfc8017_a_1_2_rfc7518_6_3_an_rsa_key_is_the_same_in_every_form() {
    let key = SigningKey::from_jwk(RSA_JWK).unwrap();
    let jwk: Value = serde_json::from_str(RSA_JWK).unwrap();
    let public: Value = serde_json::from_str(&key.public_jwk()).unwrap();
    let kid = "bilbo.baggins@hobbiton.example";
    assert_eq!(public, json!({ "kty": "RSA", "e": "AQAB", "n": jwk["n"], "use": "sig", "kid": kid }));
    let pkcs1 = pkcs1(&rsa_parts());
    let mut zeros = jwk.clone();
    for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let number = from_base64url(jwk[name].as_str().unwrap());
        zeros[name] = json!(base64url(&[vec![0], number].concat()));
    }
    all_are(
        key.thumbprint(),
        &[
            ("PKCS#1", pem("RSA PRIVATE KEY", &pkcs1)),
            ("PKCS#8", pem("PRIVATE KEY", &pkcs8(&[oid("RSA"), tlv(0x05, &[])], &pkcs1))),
            ("PKCS#8 without parameters", pem("PRIVATE KEY", &pkcs8(&[oid("RSA")], &pkcs1))),
            ("RSASSA-PSS", pem("PRIVATE KEY", &pkcs8(&[oid("RSA-PSS")], &pkcs1))),
            ("JWK with a zero before each number", zeros.to_string()),
        ],
    );
}

#[test]
fn rfc8410_7_rfc8037_2_an_ed25519_key_is_the_same_in_every_form() {
    // RFC 8037 appendix A.1 to A.3.
    let (d, x) = ("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "d": d, "x": x });
    let key = SigningKey::from_jwk(jwk.to_string()).unwrap();
    assert_eq!(key.public_jwk(), format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}","use":"sig"}}"#));
    let seed = tlv(0x04, &from_base64url(d));
    let bits = [vec![0], from_base64url(x)].concat();
    let version_2 = sequence(&[integer(&[1]), sequence(&[oid("Ed25519")]), tlv(0x04, &seed), tlv(0x81, &bits)]);
    all_are(
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        &[
            ("PKCS#8", pem("PRIVATE KEY", &pkcs8(&[oid("Ed25519")], &seed))),
            ("PKCS#8, second version", pem("PRIVATE KEY", &version_2)),
            ("JWK", jwk.to_string()),
        ],
    );
}

#[test]
fn rfc7517_4_4_the_algorithm_of_a_jwk_is_kept() {
    let rsa: Value = serde_json::from_str(RSA_JWK).unwrap();
    let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "d": base64url(SEED), "x": ed25519_x() });
    for (jwk, name) in [
        (&rsa, "PS256"),
        (&rsa, "RS256"),
        (&Ec::p256().jwk(), "ES256"),
        (&Ec::p384().jwk(), "ES384"),
        (&ed25519, "EdDSA"),
        (&ed25519, "Ed25519"),
    ] {
        let key = SigningKey::from_jwk(with(jwk, json!({ "alg": name }))).unwrap();
        assert_eq!(key.algorithm().as_str(), name);
    }
    let pss = pem("PRIVATE KEY", &pkcs8(&[oid("RSA-PSS")], &pkcs1(&rsa_parts())));
    assert_eq!(SigningKey::from_pem(pss).unwrap().algorithm(), Algorithm::Ps256);
}

fn ed25519_x() -> Value {
    let key = SigningKey::from_pem(ed25519_pem()).unwrap();
    serde_json::from_str::<Value>(&key.public_jwk()).unwrap()["x"].clone()
}

#[test]
fn rfc7517_4_5_the_public_jwk_has_the_id_of_the_key_escaped() {
    let key = SigningKey::from_pem(ed25519_pem()).unwrap();
    assert_eq!(key.key_id(), None);
    let key = key.with_key_id("quoted \"\\\n\u{1f511}");
    let jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
    let kid = "quoted \"\\\n\u{1f511}";
    assert_eq!(jwk, json!({ "kty": "OKP", "crv": "Ed25519", "x": ed25519_x(), "use": "sig", "kid": kid }));
}
