//! Owns the tests of public JWKs and thumbprints against those of the RFCs, which publish no private key for them.
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use super::*;
use device_flow_core::Secret;

fn bytes(base64url: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(base64url).unwrap()
}

#[test]
fn rfc7638_3_1_the_thumbprint_of_an_rsa_key() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3\
             oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA\
             ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-\
             kEgU8awapJzKnqDKgw";
    let canonical = Public::Rsa { n: bytes(n), e: bytes("AQAB") }.canonical();
    assert_eq!(canonical, format!(r#"{{"e":"AQAB","kty":"RSA","n":"{n}"}}"#));
    assert_eq!(thumbprint(&canonical), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn rfc9449_6_1_the_thumbprint_of_the_key_of_a_proof() {
    let (x, y) = ("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA");
    let point = [&[4], &*bytes(x), &*bytes(y)].concat();
    let canonical = Public::Ec { curve: Curve::P256, point }.canonical();
    assert_eq!(canonical, format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
    assert_eq!(thumbprint(&canonical), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn rfc9449_7_1_the_hash_of_an_access_token() {
    let token = Secret::from("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
    let hash = Base64UrlUnpadded::encode_string(digest(&SHA256, token.expose().as_bytes()).as_ref());
    assert_eq!(hash, "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
}
