//! Keys made by other programs, and JWTs verified by other implementations: cryptography and joserfc (Python), Node.js and
//! jose, the command line of OpenSSL. Ours has no verification at all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to report")]

use device_flow_core::{
    Action, Client, ClientAssertion as _, DeviceFlow, Machine as _, ProofOfPossession as _, Provider, Response,
    Timestamp,
};
use device_flow_keys::{DpopKey, KeyError, SigningKey};
use device_flow_testkit::servers::installed;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const CLIENT_ID: &str = "a client \"of\" ours";
const ISSUER: &str = "https://login.example.com/";
const TOKEN: &str = "https://login.example.com/token";
const NONCE: &str = "eyJ7S_zG.eyJH0-Z.HX4w-7v";

fn scripts() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/other_implementations"))
}

fn python() -> Command {
    let mut python = Command::new(installed().join("venv/bin/python"));
    python.arg("-B").arg(scripts().join("keys.py"));
    python
}

fn node() -> Command {
    let mut node = Command::new("node");
    node.arg(scripts().join("keys.mjs")).env("INSTALLED", installed());
    node
}

fn output(command: &mut Command, input: &str) -> String {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The proof that goes with a poll, which has no access token yet.
fn proof_of_a_poll(key: DpopKey) -> String {
    key.remember_nonce(TOKEN, NONCE);
    let provider = Provider::endpoints("https://login.example.com/device", TOKEN);
    let client = Client::builder(provider, "me").proof_of_possession(Arc::new(key)).build().unwrap();
    let mut flow = DeviceFlow::new(client, [9; 32]);
    let mut now = Timestamp::ZERO;
    loop {
        match flow.next_action(now) {
            Action::SendRequest(outgoing) => {
                if let Some((_, proof)) = outgoing.request.headers().find(|(name, _)| *name == "dpop") {
                    return proof.to_owned();
                }
                let answer = br#"{"device_code":"DC-canary","user_code":"A","verification_uri":"https://a.example","expires_in":600}"#;
                flow.response(outgoing.ticket, Response::new(200, answer), now).unwrap();
            }
            Action::Wait { until, .. } => now = until,
            Action::ShowCode(_) => {}
            Action::AwaitResponse | Action::Done(_) | Action::Ended => panic!("it polls"),
        }
    }
}

/// What a key signs, for the others.
fn signed(name: &str, key: &SigningKey, again: SigningKey) -> Value {
    json!({
        "name": name, "algorithm": key.algorithm().as_str(), "thumbprint": key.thumbprint(),
        "jwk": serde_json::from_str::<Value>(&key.public_jwk()).unwrap(),
        "client_id": CLIENT_ID, "audience": ISSUER, "assertion": key.assertion(CLIENT_ID, ISSUER).unwrap().expose(),
        "url": TOKEN, "nonce": NONCE, "proof": proof_of_a_poll(DpopKey::new(again))
    })
}

/// Whether the error is the one that a file's name begins with.
fn is_right(name: &str, error: &KeyError) -> bool {
    match name.split(['-', '.']).next().unwrap() {
        "encrypted" => *error == KeyError::Encrypted,
        "openssh" => *error == KeyError::Openssh,
        "public" => *error == KeyError::Public,
        "certificate" => *error == KeyError::Certificate,
        "several" => *error == KeyError::Several,
        "half" => *error == KeyError::NoPublicHalf,
        "full" => *error == KeyError::CurveInFull,
        "none" => *error == KeyError::NoKey,
        "primes" => *error == KeyError::MorePrimes,
        "exponent" => *error == KeyError::Exponent,
        "pss" => *error == KeyError::PssParameters,
        "curve" => matches!(error, KeyError::Curve(_)),
        "kind" => matches!(error, KeyError::Kind(_)),
        "short" => *error == KeyError::TooShort(1024),
        "size" => *error == KeyError::Size(2560),
        _ => false,
    }
}

/// Reads every key in a folder, each RSA key with both algorithms, and lets both others check what they sign.
fn try_all(folder: &Path, least: usize) {
    let (mut all, mut wrong, mut algorithms) = (vec![], vec![], BTreeSet::new());
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        match (SigningKey::from_file(&file), name.starts_with("good")) {
            (Ok(key), true) => {
                let again = || SigningKey::from_file(&file).unwrap();
                let pss = |key: SigningKey| key.with_algorithm("PS256".parse().unwrap());
                if key.algorithm().as_str() == "RS256" {
                    all.push(signed(name, &pss(again()).unwrap(), pss(again()).unwrap()));
                    algorithms.insert("PS256");
                }
                algorithms.insert(key.algorithm().as_str());
                all.push(signed(name, &key, again()));
            }
            (Err(error), false) if is_right(name, &error) => {}
            (outcome, _) => wrong.push(format!("{name}: {outcome:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(all.len() >= least, "only {} keys", all.len());
    assert!(algorithms.is_superset(&BTreeSet::from(["ES256", "ES384", "RS256", "PS256", "EdDSA"])), "{algorithms:?}");
    let input = Value::from(all.clone()).to_string();
    for mut other in [python(), node()] {
        assert_eq!(output(other.arg("check"), &input).trim(), all.len().to_string());
    }
    println!("other implementations: {} keys, each with an assertion and a proof", all.len());
}

#[test]
fn rfc7523_3_rfc9449_4_3_keys_of_cryptography_and_joserfc_sign_what_others_verify() {
    let folder = tempfile::tempdir().unwrap();
    output(python().arg("make").arg(folder.path()), "");
    try_all(folder.path(), 15);
}

#[test]
fn rfc7523_3_rfc9449_4_3_keys_of_node_and_jose_sign_what_others_verify() {
    let folder = tempfile::tempdir().unwrap();
    output(node().arg("make").arg(folder.path()), "");
    try_all(folder.path(), 20);
}

#[test]
fn rfc7523_3_rfc9449_4_3_keys_of_openssl_sign_what_others_verify() {
    let folder = tempfile::tempdir().unwrap();
    output(Command::new("bash").arg(scripts().join("openssl_keys.sh")).arg(folder.path()), "");
    try_all(folder.path(), 15);
}
