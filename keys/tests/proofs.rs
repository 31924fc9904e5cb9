//! Proofs of possession (RFC 9449): their claims, their header, their nonces.

use crate::support::*;
use device_flow_core::{
    Action, Client, DeviceFlow, Machine, ProofOfPossession, ProofRequest, Provider, Response, Secret, Timestamp,
};
use device_flow_keys::{DpopKey, SigningKey};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

const API: &str = "https://api.example.com/files?page=2";

fn proof(key: &DpopKey, url: &str) -> (Value, Value) {
    let token = Secret::from("AT-canary");
    let proof = key.proof(&ProofRequest::to_resource("GET", url, &token).unwrap()).unwrap();
    read(proof.expose())
}

fn nonce(key: &DpopKey, url: &str) -> Option<String> {
    proof(key, url).1["nonce"].as_str().map(str::to_owned)
}

// R9449-4.2-1, R9449-4.2-2, R9449-4.2-4, R9449-4.2-5, R9449-4.2-6, R9449-4.2-7, R9449-4.2-8, R9449-4.2-9, R9449-4.2-10,
// R9449-4.2-13, R9449-11.6-1: asymmetric algorithms alone, and only the public half of the key.
#[test]
fn rfc9449_4_2_header_and_claims_are_these_and_no_others() {
    for key in every_key().into_iter().map(at_now) {
        let name = key.algorithm().as_str();
        let mut jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
        // The proof has the key itself, so its id is not needed, nor is what it is for.
        jwk.as_object_mut().unwrap().retain(|name, _| name != "kid" && name != "use");
        let thumbprint = key.thumbprint().to_owned();
        let key = DpopKey::new(key);
        assert_eq!((key.algorithm(), key.thumbprint()), (name, &*thumbprint));
        // RFC 9449 §7.1.
        let token = Secret::from("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        let request = ProofRequest::to_resource("DELETE", API, &token).unwrap();
        let proof = key.proof(&request).unwrap();
        verify(proof.expose(), &jwk);
        let (header, claims) = read(proof.expose());
        assert_eq!(header, json!({ "typ": "dpop+jwt", "alg": name, "jwk": jwk }));
        let jti = claims["jti"].as_str().unwrap();
        assert_eq!(from_base64url(jti).len(), 16);
        let expected = json!({
            "jti": jti, "htm": "DELETE", "htu": "https://api.example.com/files", "iat": NOW,
            "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
        });
        assert_eq!(claims, expected);
    }
}

// R9449-4-1, R9449-4.2-6.
#[test]
fn rfc9449_4_2_a_jti_never_comes_twice() {
    let key = DpopKey::generate().unwrap();
    let jti = |_| proof(&key, API).1["jti"].as_str().unwrap().to_owned();
    assert_eq!((0..100).map(jti).collect::<BTreeSet<_>>().len(), 100);
}

// R9449-8.2-1, R9449-9-1, R9449-4.2-12: nonces of two servers are never mixed.
#[test]
fn rfc9449_8_2_the_latest_nonce_of_a_server_is_in_every_proof_for_it_and_in_no_other() {
    let key = DpopKey::generate().unwrap();
    assert_eq!(nonce(&key, API), None);
    key.remember_nonce("https://API.example.com:443/token", "first");
    assert_eq!(nonce(&key, API).as_deref(), Some("first"));
    assert_eq!(nonce(&key, API).as_deref(), Some("first"), "it is for many uses");
    for other in ["https://api.example.com:8443/", "https://www.api.example.com/", "http://localhost/"] {
        assert_eq!(nonce(&key, other), None, "{other}");
    }
    key.remember_nonce(API, "second");
    assert_eq!(nonce(&key, "https://api.example.com/").as_deref(), Some("second"));
    // What is no nonce, or of no server, changes nothing.
    key.remember_nonce(API, "");
    key.remember_nonce(API, &"n".repeat(1025));
    key.remember_nonce("api.example.com", "third");
    assert_eq!(nonce(&key, API).as_deref(), Some("second"));
    key.remember_nonce(API, &"n".repeat(1024));
    assert_eq!(nonce(&key, API).map_or(0, |nonce| nonce.len()), 1024);
}

#[test]
fn rfc9449_8_2_many_sign_ins_share_one_key_at_the_same_time() {
    let key = Arc::new(DpopKey::generate().unwrap());
    let sign_in = |number: u32| {
        let key = Arc::clone(&key);
        thread::spawn(move || {
            for _ in 0..20 {
                key.remember_nonce(API, "one");
                key.remember_nonce(&format!("https://{number}.example.com/"), "another");
                assert_eq!(nonce(&key, API).as_deref(), Some("one"));
            }
        })
    };
    for thread in (0..4).map(sign_in).collect::<Vec<_>>() {
        thread.join().unwrap();
    }
}

#[test]
fn rfc9449_5_a_stored_key_is_the_same_key_and_each_new_one_is_another() {
    let pem = DpopKey::generate_pem().unwrap();
    let lines: Vec<_> = pem.expose().lines().collect();
    assert_eq!((lines[0], lines[lines.len() - 1]), ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"));
    assert!(lines.iter().all(|line| line.len() <= 64) && pem.expose().ends_with('\n'));
    let (one, again) = (DpopKey::from_pem(pem.expose()).unwrap(), SigningKey::from_pem(pem.expose()).unwrap());
    assert_eq!(one.thumbprint(), again.thumbprint());
    assert_eq!((one.thumbprint().len(), one.algorithm()), (43, "ES256"));
    assert_ne!(one.thumbprint(), DpopKey::generate().unwrap().thumbprint());
}

/// The proof of the next poll of a flow.
fn poll(flow: &mut DeviceFlow, now: &mut Timestamp, answer: Response<'_>) -> Option<Value> {
    loop {
        match flow.next_action(*now) {
            Action::SendRequest(outgoing) => {
                let proof = outgoing.request.headers().find(|(name, _)| name.eq_ignore_ascii_case("dpop"));
                let proof = proof.map(|(_, proof)| read(proof).1);
                flow.response(outgoing.ticket, answer, *now).unwrap();
                return proof;
            }
            Action::Wait { until, .. } => *now = until,
            Action::ShowCode(_) => {}
            Action::Done(_) | Action::AwaitResponse | Action::Ended => panic!("the flow has ended"),
        }
    }
}

// R9449-4.2-7, R9449-4.2-8, R9449-4.2-11, R9449-4.2-12, R9449-8.2-1: the proof of a request for a token has no hash of
// one.
#[test]
fn rfc9449_4_2_a_proof_for_the_token_endpoint_has_no_access_token() {
    const CODE: &[u8] =
        br#"{"device_code":"canary","user_code":"X","verification_uri":"https://as/x","expires_in":900}"#;
    let pending = Response::new(400, br#"{"error":"authorization_pending"}"#);
    let key = at_now(SigningKey::from_pem(ed25519_pem()).unwrap());
    let provider = Provider::endpoints("https://as/device", "https://AS:443/token?tenant=1");
    let client = Client::builder(provider, "my-app").proof_of_possession(Arc::new(DpopKey::new(key)));
    let mut flow = DeviceFlow::new(client.build().unwrap(), [9; 32]);
    let mut now = Timestamp::ZERO;
    assert_eq!(poll(&mut flow, &mut now, Response::new(200, CODE)), None);
    for (answer, nonce) in [
        (pending, None),
        (pending.header("DPoP-Nonce", b"one"), None),
        (pending, Some("one")),
        (pending.header("DPoP-Nonce", b"two"), Some("one")),
        (pending, Some("two")),
    ] {
        let claims = poll(&mut flow, &mut now, answer).unwrap();
        let mut expected = json!({ "jti": claims["jti"], "htm": "POST", "htu": "https://as/token", "iat": NOW });
        if let Some(nonce) = nonce {
            expected["nonce"] = json!(nonce);
        }
        assert_eq!(claims, expected);
    }
}
