//! Counts what a client assertion and a proof of possession cost beside the signature itself, in instructions under
//! callgrind: `cargo bench -p device-flow-keys`.
//!
//! Each number is the difference of two runs, so start-up costs nothing. From it comes off what ring takes to sign a
//! buffer of the same size with the same algorithm, counted in the same way: that is a hundred times as much, and the same
//! whatever is signed. What is left are the claims, the random `jti`, the clock, base64url, and the memory.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a bench panics to report")]

use device_flow_core::{
    Action, Client, ClientAssertion, DeviceFlow, Machine, ProofOfPossession, ProofRequest, Provider, Response, Secret,
    Timestamp,
};
use device_flow_keys::{DpopKey, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;

const CLIENT_ID: &str = "device-private-key-jwt";
const ISSUER: &str = "https://login.example.com/realms/production";
const RESOURCE: &str = "https://api.example.com/files/2026/report";
const PENDING: &[u8] = br#"{"error":"authorization_pending"}"#;
const GRANT: &[u8] = br#"{"device_code":"TVIZiWC3ImtM0Q9zhiacRHxJgRIm8ubiJPqY8KCmoAj","user_code":"DKBD-TMWL","verification_uri":"https://op.example.com/device","expires_in":86400,"interval":1}"#;

/// What the issue allows.
const LIMIT: u64 = 2_500;

fn key() -> SigningKey {
    SigningKey::from_pem(DpopKey::generate_pem().unwrap().expose()).unwrap()
}

fn signed(jwt: &Secret) -> usize {
    jwt.expose().rfind('.').unwrap()
}

fn signatures(count: u64, bytes: usize) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
    let buffer = vec![b'a'; bytes];
    for _ in 0..count {
        black_box(pair.sign(&random, black_box(&buffer)).unwrap());
    }
}

fn assertions(count: u64) {
    let key = key();
    for _ in 0..count {
        black_box(key.assertion(black_box(CLIENT_ID), black_box(ISSUER)).unwrap());
    }
}

fn proofs(count: u64) {
    let (key, token) = (dpop_key(), Secret::from("AT-canary-0123456789-0123456789-0123456789"));
    for _ in 0..count {
        let request = ProofRequest::to_resource("GET", RESOURCE, &token).unwrap();
        black_box(key.proof(black_box(&request)).unwrap());
    }
}

fn dpop_key() -> DpopKey {
    let key = DpopKey::generate().unwrap();
    key.remember_nonce(RESOURCE, "eyJ7S_zG.eyJH0-Z.HX4w-7v");
    key
}

/// What belongs to the core: it is made for each proof above.
fn requests(count: u64) {
    let token = Secret::from("AT-canary-0123456789-0123456789-0123456789");
    for _ in 0..count {
        black_box(ProofRequest::to_resource("GET", black_box(RESOURCE), &token).unwrap());
    }
}

/// Whole polls in the core, with an assertion or without.
fn polls(count: u64, key: Option<SigningKey>) {
    let provider = Provider::endpoints("https://op.example.com/device/auth", ISSUER);
    let client = Client::builder(provider, CLIENT_ID).scope("openid offline_access");
    let client = match key {
        Some(key) => client.client_assertion(Arc::new(key)),
        None => client,
    };
    let mut flow = DeviceFlow::new(client.build().unwrap(), [9; 32]);
    let mut now = Timestamp::ZERO;
    let mut answers = [(200, GRANT)].into_iter().chain(std::iter::repeat((400, PENDING)));
    let mut sent = 0;
    while sent <= count {
        match flow.next_action(now) {
            Action::SendRequest(outgoing) => {
                black_box(outgoing.request.body());
                let (status, body) = answers.next().unwrap();
                flow.response(outgoing.ticket, Response::new(status, black_box(body)), now).unwrap();
                sent += 1;
            }
            Action::Wait { until, .. } => now = until,
            Action::ShowCode(_) => {}
            Action::AwaitResponse | Action::Done(_) | Action::Ended => unreachable!("it polls"),
        }
    }
}

fn work(what: &str, count: u64) {
    match what {
        "assertions" => assertions(count),
        "assertion-signatures" => signatures(count, signed(&key().assertion(CLIENT_ID, ISSUER).unwrap())),
        "proofs" => proofs(count),
        "proof-signatures" => {
            let token = Secret::from("AT-canary-0123456789-0123456789-0123456789");
            let request = ProofRequest::to_resource("GET", RESOURCE, &token).unwrap();
            signatures(count, signed(&dpop_key().proof(&request).unwrap()));
        }
        "requests" => requests(count),
        "polls" => polls(count, None),
        "polls-with-assertions" => polls(count, Some(key())),
        _ => {}
    }
}

fn instructions(what: &str, count: u64) -> Option<u64> {
    let this = std::env::current_exe().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args([what, &count.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Of one.
fn each(what: &str) -> Option<u64> {
    Some((instructions(what, 1_100)? - instructions(what, 100)?) / 1_000)
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [what, count] = &*arguments
        && let Ok(count) = count.parse()
    {
        return work(what, count);
    }
    let (Some(assertion), Some(signature)) = (each("assertions"), each("assertion-signatures")) else {
        println!("SKIPPED: instructions per assertion (valgrind is not installed)");
        return;
    };
    let beside = assertion - signature;
    println!("one assertion (ES256): {beside} instructions beside the {signature} of its signature (limit {LIMIT})");
    let (proof, signature) = (each("proofs").unwrap() - each("requests").unwrap(), each("proof-signatures").unwrap());
    println!("one proof (ES256): {} instructions beside the {signature} of its signature", proof - signature);
    let (with, without) = (each("polls-with-assertions").unwrap(), each("polls").unwrap());
    let more = with - without - assertion;
    println!("a poll with an assertion, in the core: {more} instructions more than without, and than the assertion");
    assert!(beside <= LIMIT, "{beside} instructions");
}
