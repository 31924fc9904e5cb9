//! Every way in which a key is not usable: the error says which one it is and what to do, and shows nothing of the key.

use crate::key_forms::compressed;
use crate::support::*;
use device_flow_core::ClientAssertion as _;
use device_flow_keys::{Algorithm, DpopKey, KeyError, SigningKey};
use device_flow_testkit::secrets::none_in;
use serde_json::{Value, json};

fn error(content: impl AsRef<[u8]>) -> KeyError {
    let error = SigningKey::from_bytes(content.as_ref()).unwrap_err();
    none_in(&format!("{error} {error:?}"));
    error
}

/// The error of each content, and a part of what it tells a person to do.
fn are(cases: &[(&str, String, KeyError, &str)]) {
    for (name, content, expected, advice) in cases {
        let error = error(content);
        assert_eq!(error, *expected, "{name}");
        assert!(error.to_string().contains(advice), "{name}: {error}");
    }
}

#[test]
fn rfc7468_what_is_in_a_file_in_place_of_a_key_is_told() {
    let ec = Ec::p256();
    let key = pem("PRIVATE KEY", &ec.pkcs8(Some(&ec.point)));
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----";
    let half = key.split_at(key.len() / 2).0.to_owned();
    are(&[
        ("empty", String::new(), KeyError::NoKey, "-----BEGIN PRIVATE KEY-----"),
        ("text", "canary".into(), KeyError::NoKey, "or a private JWK"),
        ("DER", "0\u{1}".into(), KeyError::NoKey, "openssl pkey -inform DER"),
        ("parameters alone", pem("EC PARAMETERS", &oid("P-256")), KeyError::NoKey, ""),
        ("an unknown section", pem("CANARY", b"canary"), KeyError::NoKey, ""),
        ("encrypted", pem("ENCRYPTED PRIVATE KEY", b"x"), KeyError::Encrypted, "openssl pkey -in"),
        ("encrypted in the old way", old.into(), KeyError::Encrypted, "openssl pkey -in"),
        ("OpenSSH", pem("OPENSSH PRIVATE KEY", b"x"), KeyError::Openssh, "ssh-keygen -p -m PKCS8"),
        ("public", pem("PUBLIC KEY", &ec.public()), KeyError::Public, "private key that belongs to it"),
        ("public RSA", pem("RSA PUBLIC KEY", b"x"), KeyError::Public, ""),
        ("public, with a certificate", pem("PUBLIC KEY", b"x") + &pem("CERTIFICATE", b"x"), KeyError::Public, ""),
        ("certificate", pem("CERTIFICATE", b"x"), KeyError::Certificate, "in another file"),
        ("two keys", key.repeat(2), KeyError::Several, "a file of its own"),
        ("half a key", half, KeyError::Damaged, "copy the file again"),
        ("no base64", key.replace("MI", "M!"), KeyError::Damaged, ""),
        ("no DER", pem("PRIVATE KEY", b"canary"), KeyError::Damaged, ""),
        ("an end too late", pem("PRIVATE KEY", &[ec.pkcs8(Some(&ec.point)), vec![0]].concat()), KeyError::Damaged, ""),
        ("SEC1 under the label of PKCS#8", pem("PRIVATE KEY", &ec.sec1(true, Some(&ec.point))), KeyError::Damaged, ""),
        ("SEC1 without a curve", pem("EC PRIVATE KEY", &ec.sec1(false, Some(&ec.point))), KeyError::Damaged, ""),
    ]);
}

#[test]
fn rfc5480_2_1_1_curves_and_kinds_that_sign_nothing_here_are_named() {
    let ec = Ec::p256();
    let of = |curve: &str| pem("PRIVATE KEY", &pkcs8(&[oid("EC"), oid(curve)], &ec.sec1(false, Some(&ec.point))));
    let kind = |name: &str| pem("PRIVATE KEY", &pkcs8(&[oid(name)], &tlv(0x04, SEED)));
    let in_full = pem("PRIVATE KEY", &pkcs8(&[oid("EC"), sequence(&[])], &ec.sec1(false, Some(&ec.point))));
    let pss = pkcs8(&[oid("RSA-PSS"), sequence(&[])], &pkcs1(&rsa_parts()));
    let jwk = |members: Value| members.to_string();
    are(&[
        ("P-521", of("P-521"), KeyError::Curve("P-521".into()), "P-256 (ES256"),
        ("an unknown curve", of("?"), KeyError::Curve("another one".into()), "P-384 (ES384)"),
        ("a curve in full", in_full, KeyError::CurveInFull, "openssl ec -param_enc named_curve"),
        ("DSA", kind("DSA"), KeyError::Kind("DSA".into()), "EC P-256 (the usual choice)"),
        ("DSA in the old way", pem("DSA PRIVATE KEY", b"x"), KeyError::Kind("DSA".into()), ""),
        ("X25519", kind("X25519"), KeyError::Kind("X25519".into()), "Ed25519"),
        ("parameters of PSS", pem("PRIVATE KEY", &pss), KeyError::PssParameters, "without such parameters"),
        ("JWK of P-521", jwk(json!({"kty":"EC","crv":"P-521"})), KeyError::Curve("P-521".into()), ""),
        ("JWK of Ed448", jwk(json!({"kty":"OKP","crv":"Ed448"})), KeyError::Kind("Ed448".into()), ""),
        ("a shared secret", jwk(json!({"kty":"oct","k":"canary"})), KeyError::Kind("a shared secret".into()), ""),
        ("an unknown kind", jwk(json!({"kty":"\u{1b}[2J"})), KeyError::Kind("2J".into()), ""),
        ("an empty kind", jwk(json!({"kty":""})), KeyError::Kind("unknown".into()), ""),
    ]);
}

#[test]
fn rfc7517_jwks_that_are_none_are_told() {
    let ec = Ec::p256().jwk();
    let rsa: Value = serde_json::from_str(RSA_JWK).unwrap();
    let change = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk.to_string()
    };
    let x = ec["x"].as_str().unwrap();
    let mut cases = vec![
        ("cut", ec.to_string().split_at(20).0.into(), KeyError::NotJson { line: 1, column: 20 }, "line 1"),
        ("followed by more", format!("{ec}\n}}"), KeyError::NotJson { line: 2, column: 1 }, "well-formed"),
        ("a number", change(&ec, "d", json!(5)), KeyError::NotJson { line: 1, column: 0 }, ""),
        ("twice", r#"{"kty":"EC","kty":"EC"}"#.into(), KeyError::NotJson { line: 1, column: 17 }, "each member once"),
        ("no kind", "{}".into(), KeyError::MissingMember("kty"), "\"kty\""),
        ("no curve", change(&ec, "crv", Value::Null), KeyError::MissingMember("crv"), "export the private key"),
        ("public EC", change(&ec, "d", Value::Null), KeyError::Public, ""),
        ("public RSA", change(&rsa, "d", Value::Null), KeyError::Public, ""),
        ("public, to verify", json!({"kty":"EC","crv":"P-256","key_ops":["verify"]}).to_string(), KeyError::Public, ""),
        ("no base64url", change(&ec, "d", json!("canary+/")), KeyError::DamagedMember("d"), "base64url"),
        ("too long", change(&ec, "x", json!(format!("AQID{x}"))), KeyError::DamagedMember("x"), "right length"),
        ("encryption", change(&ec, "use", json!("enc")), KeyError::NotForSigning("use"), "\"use\":\"sig\""),
        ("agreement", change(&ec, "key_ops", json!(["deriveKey"])), KeyError::NotForSigning("key_ops"), ""),
        ("a set of none", json!({"keys":[]}).to_string(), KeyError::NoKey, ""),
        ("a set of two", json!({"keys":[ec, rsa]}).to_string(), KeyError::Several, ""),
        ("more primes", change(&rsa, "oth", json!([])), KeyError::MorePrimes, "of two"),
        (
            "an unknown algorithm",
            change(&rsa, "alg", json!("RS512")),
            KeyError::UnknownAlgorithm("RS512".into()),
            "PS256",
        ),
        ("parts of two keys", change(&ec, "d", Ec::p256().jwk()["d"].clone()), KeyError::Mismatch, "it is damaged"),
        ("a point beside the curve", change(&ec, "y", ec["x"].clone()), KeyError::Mismatch, ""),
        ("a scalar of zero", change(&ec, "d", json!(base64url(&[0; 32]))), KeyError::Mismatch, ""),
        ("a scalar beyond the order", change(&ec, "d", json!(base64url(&[255; 32]))), KeyError::Mismatch, ""),
        ("RSA without a modulus", change(&rsa, "n", json!("")), KeyError::Damaged, ""),
        ("another public exponent", change(&rsa, "e", json!("AQAD")), KeyError::Mismatch, ""),
        ("a small public exponent", change(&rsa, "e", json!("Aw")), KeyError::Exponent, "65537"),
    ];
    // Where a number ends is not promised.
    let number = error(change(&ec, "d", json!(5)));
    assert!(matches!(number, KeyError::NotJson { line: 1, .. }), "{number}");
    cases.retain(|(name, ..)| *name != "a number");
    for name in ["n", "e", "p", "q", "dp", "dq", "qi"] {
        cases.push((
            name,
            change(&rsa, name, Value::Null),
            KeyError::MissingMember(name),
            "export the private key again",
        ));
    }
    // One that belongs to no other: ring finds a wrong exponent in the first signature only.
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        let mut number = from_base64url(rsa[name].as_str().unwrap());
        *number.last_mut().unwrap() ^= 2;
        if name != "d" {
            cases.push((
                name,
                change(&rsa, name, json!(base64url(&number))),
                KeyError::Mismatch,
                "do not belong together",
            ));
        }
    }
    let seed = json!({"kty":"OKP","crv":"Ed25519","d":base64url(SEED),"x":base64url(&[7; 32])});
    cases.push(("Ed25519 of two keys", seed.to_string(), KeyError::Mismatch, ""));
    cases.push(("a short seed", change(&seed, "d", json!("AAAA")), KeyError::DamagedMember("d"), ""));
    are(&cases);
}

#[test]
fn rfc7518_3_3_an_rsa_key_has_2048_bits_or_more() {
    let mut parts = rsa_parts();
    let mut of = |bits: usize| {
        parts[0] = vec![0; bits.div_ceil(8)];
        parts[0][0] = 1 << ((bits - 1) % 8);
        error(pem("RSA PRIVATE KEY", &pkcs1(&parts)))
    };
    for bits in [512, 1024, 2047] {
        let error = of(bits);
        assert_eq!(error, KeyError::TooShort(bits));
        assert!(error.to_string().contains("2048 or more"), "{error}");
    }
    for bits in [2049, 2560, 8192] {
        let error = of(bits);
        assert_eq!(error, KeyError::Size(bits));
        assert!(error.to_string().contains("2048, 3072 or 4096"), "{error}");
    }
    // The right size of a number that is not that of the primes.
    for bits in [2048, 3072, 4096] {
        assert_eq!(of(bits), KeyError::Mismatch);
    }
    let three = sequence(&[integer(&[1]), integer(&[5])]);
    assert_eq!(error(pem("RSA PRIVATE KEY", &three)), KeyError::MorePrimes);
}

#[test]
fn rfc5915_3_a_key_without_its_public_half_is_told_how_to_get_it() {
    for ec in [Ec::p256(), Ec::p384()] {
        let (bare, pressed) = (ec.pkcs8(None), ec.sec1(true, Some(&compressed(&ec))));
        let other = pem("PUBLIC KEY", &Ec::p256().public());
        for lacking in [
            pem("PRIVATE KEY", &bare),
            pem("EC PRIVATE KEY", &ec.sec1(true, None)),
            pem("EC PRIVATE KEY", &pressed),
            pem("PRIVATE KEY", &bare) + &pem("PUBLIC KEY", b"canary"),
        ] {
            let error = error(&lacking);
            assert_eq!(error, KeyError::NoPublicHalf);
            assert!(error.to_string().contains("openssl ec -in key.pem -pubout -conv_form uncompressed >> key.pem"));
        }
        // That of another key, or of another curve.
        let expected = if ec.curve == "P-256" { KeyError::Mismatch } else { KeyError::NoPublicHalf };
        assert_eq!(error(pem("PRIVATE KEY", &bare) + &other), expected);
    }
    let ec = Ec::p256();
    let two = pkcs8(&[oid("EC"), oid("P-384")], &ec.sec1(true, Some(&ec.point)));
    assert_eq!(error(pem("PRIVATE KEY", &two)), KeyError::Mismatch);
}

// OIDC-10.1-1, R9449-4.2-3, R9449-11.6-1.
#[test]
fn rfc7518_3_1_an_algorithm_of_another_kind_of_key_is_refused() {
    let all = ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"];
    for index in 0..every_key().len() {
        let able = match every_key().swap_remove(index).algorithm() {
            Algorithm::Rs256 | Algorithm::Ps256 => ["RS256", "PS256"],
            Algorithm::EdDsa | Algorithm::Ed25519 => ["EdDSA", "Ed25519"],
            algorithm => [algorithm.as_str(); 2],
        };
        for name in all {
            let told = every_key().swap_remove(index).with_algorithm(name.parse().unwrap());
            match told {
                Ok(key) => assert!(able.contains(&name) && key.algorithm().as_str() == name),
                Err(error) => {
                    assert!(!able.contains(&name), "{error}");
                    let text = error.to_string();
                    assert!(text.starts_with(name) && text.contains(able[0]), "{error}");
                }
            }
        }
    }
    let pss = pem("PRIVATE KEY", &pkcs8(&[oid("RSA-PSS")], &pkcs1(&rsa_parts())));
    assert!(SigningKey::from_pem(pss).unwrap().with_algorithm(Algorithm::Rs256).is_err());
    for name in ["none", "HS256", "es256", "", "RS512"] {
        assert_eq!(name.parse::<Algorithm>(), Err(KeyError::UnknownAlgorithm(name.into())));
    }
    let long = "canary\u{1b}".repeat(1_000).replace("canary", "x").parse::<Algorithm>().unwrap_err().to_string();
    assert!(long.len() < 500 && !long.contains('\u{1b}'), "{long}");
}

#[test]
fn g11_a_key_shows_its_algorithm_and_its_thumbprint_and_nothing_else() {
    let key = SigningKey::from_pem(ed25519_pem()).unwrap().with_key_id("a");
    let shown = format!("{key:?} {key:#?}");
    none_in(&shown);
    assert!(shown.contains("EdDsa") && shown.contains(key.thumbprint()), "{shown}");
    none_in(key.assertion("me", "you").unwrap().expose());
    none_in(&key.public_jwk());
    let key = DpopKey::new(key);
    none_in(&format!("{key:?} {key:#?}"));
    assert!(format!("{key:?}").contains("thumbprint"));
}
