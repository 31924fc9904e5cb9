//! Owns what the tests of keys share: keys made at test time in every form, and JWTs taken apart and verified by ring.
#![allow(dead_code, reason = "not every program needs all of it")]

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use device_flow_core::UnixTime;
use device_flow_keys::{DpopKey, SigningKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use serde_json::Value;

pub(crate) const NOW: u64 = 1_800_000_000;
/// RFC 7520 §3.4: a private key that everybody knows.
pub(crate) const RSA_JWK: &str = include_str!("../rfc/7520-3.4.jwk.json");

pub(crate) fn at_now(key: SigningKey) -> SigningKey {
    key.with_clock(|| UnixTime::from_secs(NOW))
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

pub(crate) fn from_base64url(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).unwrap()
}

/// PEM text in one line, as some programs write it.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", Base64::encode_string(der))
}

/// An element of DER.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, short @ 0..=0x7f] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [head, content.to_vec()].concat()
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// A number, with the zero that keeps it positive.
pub(crate) fn integer(number: &[u8]) -> Vec<u8> {
    let sign = number.first().is_some_and(|first| *first >= 0x80);
    tlv(0x02, &[if sign { &[0][..] } else { &[] }, number].concat())
}

pub(crate) fn oid(of: &str) -> Vec<u8> {
    let bytes: &[u8] = match of {
        "EC" => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
        "P-256" => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        "P-384" => &[0x2b, 0x81, 0x04, 0x00, 0x22],
        "P-521" => &[0x2b, 0x81, 0x04, 0x00, 0x23],
        "RSA" => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01],
        "RSA-PSS" => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a],
        "DSA" => &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01],
        "Ed25519" => &[0x2b, 0x65, 0x70],
        "X25519" => &[0x2b, 0x65, 0x6e],
        _ => &[0x2a, 0x03],
    };
    tlv(0x06, bytes)
}

pub(crate) fn pkcs8(algorithm: &[Vec<u8>], private: &[u8]) -> Vec<u8> {
    sequence(&[integer(&[0]), sequence(algorithm), tlv(0x04, private)])
}

/// A key on a curve: its scalar and its point, uncompressed.
pub(crate) struct Ec {
    pub(crate) curve: &'static str,
    pub(crate) scalar: Vec<u8>,
    pub(crate) point: Vec<u8>,
}

impl Ec {
    pub(crate) fn p256() -> Self {
        let text = DpopKey::generate_pem().unwrap();
        let lines: String = text.expose().lines().filter(|line| !line.starts_with('-')).collect();
        Self::of("P-256", &Base64::decode_vec(&lines).unwrap(), 32)
    }

    pub(crate) fn p384() -> Self {
        let random = ring::rand::SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
        Self::of("P-384", der.as_ref(), 48)
    }

    /// ring ends with the point, which two heads and `[1]` separate from the scalar.
    fn of(curve: &'static str, der: &[u8], size: usize) -> Self {
        let (rest, point) = der.split_at(der.len() - 2 * size - 1);
        let scalar = rest[rest.len() - 5 - size..rest.len() - 5].to_vec();
        Self { curve, scalar, point: point.to_vec() }
    }

    /// RFC 5915, with or without the optional parts.
    pub(crate) fn sec1(&self, curve: bool, point: Option<&[u8]>) -> Vec<u8> {
        let mut parts = vec![integer(&[1]), tlv(0x04, &self.scalar)];
        parts.extend(curve.then(|| tlv(0xa0, &oid(self.curve))));
        parts.extend(point.map(|point| tlv(0xa1, &tlv(0x03, &[&[0], point].concat()))));
        sequence(&parts)
    }

    pub(crate) fn pkcs8(&self, point: Option<&[u8]>) -> Vec<u8> {
        pkcs8(&[oid("EC"), oid(self.curve)], &self.sec1(false, point))
    }

    pub(crate) fn public(&self) -> Vec<u8> {
        let bits = tlv(0x03, &[&[0], &*self.point].concat());
        sequence(&[sequence(&[oid("EC"), oid(self.curve)]), bits])
    }

    pub(crate) fn jwk(&self) -> Value {
        let (x, y) = self.point[1..].split_at(self.scalar.len());
        serde_json::json!({
            "kty": "EC", "crv": self.curve, "x": base64url(x), "y": base64url(y), "d": base64url(&self.scalar)
        })
    }
}

/// Any 32 bytes are an Ed25519 key: these contain the word that no output may have.
pub(crate) const SEED: &[u8; 32] = b"a-canary-in-a-seed-of-ed25519-..";

pub(crate) fn ed25519_pem() -> String {
    pem("PRIVATE KEY", &pkcs8(&[oid("Ed25519")], &tlv(0x04, SEED)))
}

/// The parts of the RSA key, in the order of PKCS#1.
pub(crate) fn rsa_parts() -> Vec<Vec<u8>> {
    let jwk: Value = serde_json::from_str(RSA_JWK).unwrap();
    ["n", "e", "d", "p", "q", "dp", "dq", "qi"].iter().map(|name| from_base64url(jwk[name].as_str().unwrap())).collect()
}

pub(crate) fn pkcs1(parts: &[Vec<u8>]) -> Vec<u8> {
    sequence(&[vec![integer(&[0])], parts.iter().map(|part| integer(part)).collect()].concat())
}

/// One key for each algorithm.
pub(crate) fn every_key() -> Vec<SigningKey> {
    let rsa = || SigningKey::from_jwk(RSA_JWK).unwrap();
    let ed25519 = || SigningKey::from_pem(ed25519_pem()).unwrap();
    let ec = |ec: Ec| SigningKey::from_jwk(ec.jwk().to_string()).unwrap();
    let as_ps256 = rsa().with_algorithm("PS256".parse().unwrap()).unwrap();
    let by_its_new_name = ed25519().with_algorithm("Ed25519".parse().unwrap()).unwrap();
    vec![ec(Ec::p256()), ec(Ec::p384()), rsa(), as_ps256, ed25519(), by_its_new_name]
}

/// Header and claims of a JWT.
pub(crate) fn read(jwt: &str) -> (Value, Value) {
    let parts: Vec<_> = jwt.split('.').collect();
    assert_eq!(parts.len(), 3);
    let json = |part: &str| serde_json::from_slice(&from_base64url(part)).unwrap();
    (json(parts[0]), json(parts[1]))
}

/// The signature is that of the public JWK, by the algorithm of the header.
pub(crate) fn verify(jwt: &str, jwk: &Value) {
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let (signed, signature) = (signed.as_bytes(), from_base64url(signature));
    let (header, _) = read(jwt);
    let part = |name: &str| from_base64url(jwk[name].as_str().unwrap());
    let ec = || [vec![4], part("x"), part("y")].concat();
    let by = |algorithm: &'static dyn VerificationAlgorithm, key: Vec<u8>| {
        UnparsedPublicKey::new(algorithm, key).verify(signed, &signature).unwrap();
    };
    match header["alg"].as_str().unwrap() {
        "ES256" => by(&ECDSA_P256_SHA256_FIXED, ec()),
        "ES384" => by(&ECDSA_P384_SHA384_FIXED, ec()),
        "EdDSA" | "Ed25519" => by(&ED25519, part("x")),
        name => {
            let padding = if name == "RS256" { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PSS_2048_8192_SHA256 };
            RsaPublicKeyComponents { n: part("n"), e: part("e") }.verify(padding, signed, &signature).unwrap();
        }
    }
}
