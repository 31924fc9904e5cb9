//! The allocations of an assertion and of a proof, counted and never timed.
//!
//! With ES256 ring allocates nothing for a signature (`rings_own_signature` counts that), so all are ours.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod support;

use device_flow_core::{ClientAssertion as _, ProofOfPossession as _, ProofRequest, Secret};
use device_flow_keys::{DpopKey, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use support::*;

#[test]
fn an_assertion_costs_two_allocations_and_leaves_one() {
    let key = SigningKey::from_jwk(Ec::p256().jwk().to_string()).unwrap().with_key_id("2026-11");
    let mut made = Vec::with_capacity(10);
    // What all assertions for a client have in common is encoded with the first one, and kept.
    let first =
        allocation_counter::measure(|| made.push(key.assertion("my-app", "https://login.example.com").unwrap()));
    println!("one assertion, the first of a key: {} allocations", first.count_total);
    assert_eq!((first.count_total, first.count_current), (8, 5));
    for (client_id, audience) in [("my-app", "https://login.example.com"), (&*"c".repeat(500), &*"a".repeat(500))] {
        let measured = allocation_counter::measure(|| made.push(key.assertion(client_id, audience).unwrap()));
        println!("one assertion: {} allocations", measured.count_total);
        // The claims, and the JWT, which has no byte too many.
        let length = i64::try_from(made.last().unwrap().expose().len()).unwrap();
        assert_eq!((measured.count_total, measured.count_current, measured.bytes_current), (2, 1, length));
    }
}

#[test]
fn a_proof_costs_two_allocations_and_leaves_one() {
    let (key, token) = (DpopKey::generate().unwrap(), Secret::from("AT-canary"));
    key.remember_nonce("https://api.example.com/", &"n".repeat(100));
    let request = ProofRequest::to_resource("GET", "https://api.example.com/files/1", &token).unwrap();
    let mut made = Vec::with_capacity(10);
    let measured = allocation_counter::measure(|| made.push(key.proof(&request).unwrap()));
    println!("one proof: {} allocations", measured.count_total);
    let length = i64::try_from(made[0].expose().len()).unwrap();
    assert_eq!((measured.count_total, measured.count_current, measured.bytes_current), (2, 1, length));
}

#[test]
fn rings_own_signature_costs_none() {
    let random = SystemRandom::new();
    let ec = Ec::p256();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &ec.scalar, &ec.point, &random).unwrap();
    let measured = allocation_counter::measure(|| assert!(pair.sign(&random, b"anything").is_ok()));
    assert_eq!(measured.count_total, 0);
}
