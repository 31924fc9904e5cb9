//! Owns the proofs that the documented samples, on the real packages, and our examples have the same results on one
//! server.

use crate::ours;
use crate::room::{AN_HOUR, BLOCKING, NODE, Outcome, PYTHON, Room, SCOPES, Side, TOKIO, answer};
use crate::sharing::caller;
use device_flow_testkit::microsoft::{ADA, CLIENT, Decision, Endpoint, Seen};
use device_flow_testkit::msal::Language;
use serde_json::{Value, json};
use std::fs;

/// Runs the sample of this language, with a cache of its own or that of the room.
fn sample(room: &Room, language: Language, cache: bool) -> (Value, Vec<Seen>) {
    room.during(|room| {
        let mut command = room.program(language, "sample");
        command.env("SCOPES", SCOPES);
        if cache {
            command.env("CACHE", room.path()).env("KEEPER", "extensions");
        }
        answer(command)
    })
}

/// Checks that all send the same: the same scopes for the same client, in the same order of requests.
#[track_caller]
fn is_the_same(seen: &[Seen], side: Side, polls: usize) {
    let endpoints: Vec<_> = seen.iter().map(|seen| (seen.caller, seen.endpoint)).collect();
    let mut expected = vec![(caller(side), Endpoint::Device)];
    expected.extend(vec![(caller(side), Endpoint::Poll); polls]);
    assert_eq!(endpoints, expected);
    let mut scopes: Vec<&str> = seen[0].parameter("scope").unwrap().split(' ').collect();
    scopes.sort_unstable();
    assert_eq!(scopes, ["mail.read", "offline_access", "openid", "profile", "user.read"], "{side:?}");
    assert!(seen.iter().all(|seen| seen.parameter("client_id") == Some(CLIENT)));
    assert!(seen[1..].iter().all(|seen| seen.parameter("client_info") == Some("1")));
}

const GRANTED: [&str; 4] = ["mail.read", "openid", "profile", "user.read"];

fn sorted(scopes: &Value) -> Vec<&str> {
    let mut scopes: Vec<&str> = scopes.as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
    scopes.sort_unstable();
    scopes
}

#[test]
fn seed_approved_after_two_polls() {
    let room = Room::new();
    room.microsoft.script(|script| script.pending = 1);
    for (language, side) in [(Language::Python, PYTHON), (Language::Node, NODE)] {
        let (outcome, seen) = sample(&room, language, false);
        is_the_same(&seen, side, 2);
        assert!(outcome["token"].is_string() && outcome["error"].is_null());
        assert_eq!(sorted(&outcome["scopes"]), GRANTED);
        assert_eq!(outcome["accounts"], json!([ADA.home_account_id()]));
        assert!(outcome["message"].as_str().unwrap().starts_with("To sign in, open https://microsoft.com/devicelogin"));
    }
    for adapter in [ours::Adapter::Tokio, ours::Adapter::Blocking] {
        let (outcome, seen) = room.during(|room| ours::sample(room, adapter));
        is_the_same(&seen, Side::Ours(adapter), 2);
        assert_eq!(sorted(&outcome["scopes"]), GRANTED);
        assert_eq!(outcome["accounts"], json!([ADA.home_account_id()]));
        assert!(outcome["message"].as_str().unwrap().starts_with("To sign in, open https://microsoft.com/devicelogin"));
    }
}

// Python's sample looks into the cache first: what we wrote there is enough, and the other way round.
#[test]
fn seed_python_finds_what_we_stored_and_we_what_it_stored() {
    let room = Room::new();
    room.sign_in(TOKIO).token();
    let (outcome, seen) = sample(&room, Language::Python, true);
    assert_eq!((&outcome["steps"], seen.len()), (&json!(["account found", "silent"]), 0));
    room.pass(AN_HOUR);
    room.microsoft.revoke();
    let (outcome, seen) = sample(&room, Language::Python, true);
    assert_eq!(outcome["steps"], json!(["account found", "no token", "code shown"]));
    assert_eq!(seen.iter().map(|seen| seen.status).collect::<Vec<_>>(), [400, 200, 200]);
    let (silent, seen) = room.during(|room| room.silent(BLOCKING, ADA.username));
    assert_eq!((silent.token(), seen.len()), (outcome["token"].as_str().unwrap(), 0));
    // It has signed in beside our entries, under another name of the cloud; we merge all entries but the account.
    let counts =
        |room: &Room| ["Account", "RefreshToken", "AccessToken", "AppMetadata"].map(|map| room.keys(map).len());
    assert_eq!(counts(&room), [2, 2, 1, 2]);
    room.forced(TOKIO, ADA.username).token();
    assert_eq!(counts(&room), [2, 1, 1, 1]);
}

fn decided(decision: Decision) -> (Room, [Value; 2], Vec<Outcome>) {
    let room = Room::new();
    room.microsoft.script(|script| (script.decision, script.pending) = (decision, 0));
    let samples = [Language::Python, Language::Node].map(|language| sample(&room, language, true).0);
    let ours = [TOKIO, BLOCKING].map(|side| room.sign_in(side));
    (room, samples, ours.to_vec())
}

#[test]
fn seed_denied() {
    let (room, [python, node], ours) = decided(Decision::Denied);
    assert_eq!(python["error"], "authorization_declined");
    // Node has the error code only in its message.
    assert_eq!(node["error"], "post_request_failed");
    assert!(node["words"].as_str().unwrap().contains("authorization_declined"), "{node}");
    for outcome in ours {
        let Outcome::Error(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!((&error["kind"], &error["error"]), (&json!("denied"), &json!("authorization_declined")));
    }
    // Node has created the file, and it is empty.
    assert_eq!(fs::read_to_string(room.path()).unwrap(), "");
}

#[test]
fn seed_expired_by_the_server() {
    let (room, [python, node], ours) = decided(Decision::Expired);
    assert_eq!(python["error"], "expired_token");
    assert!(node["words"].as_str().unwrap().contains("expired_token"), "{node}");
    for outcome in ours {
        let Outcome::Error(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!((&error["kind"], &error["error"]), (&json!("expired"), &json!("expired_token")));
    }
    // Node has created the file, and it is empty.
    assert_eq!(fs::read_to_string(room.path()).unwrap(), "");
}

// Row 3.6: the code expires before it is approved.
#[test]
fn seed_expired_by_the_clock() {
    let room = Room::new();
    room.microsoft.script(|script| (script.pending, script.code_lives) = (usize::MAX, 2));
    // Python returns the last answer, so that the caller has to find out what happened.
    let (python, _) = sample(&room, Language::Python, false);
    assert_eq!((&python["error"], &python["token"]), (&json!("authorization_pending"), &Value::Null));
    let (node, _) = sample(&room, Language::Node, false);
    assert_eq!(node["error"], "device_code_expired");
    for side in [TOKIO, BLOCKING] {
        let (outcome, seen) = room.during(|room| room.sign_in(side));
        let Outcome::Error(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error["kind"], "expired");
        assert!(seen.len() <= 3, "{}", seen.len());
    }
}

// Row 1.14.
#[test]
fn msal_1_14_the_message_in_the_language_of_the_person() {
    let room = Room::new();
    for adapter in [ours::Adapter::Tokio, ours::Adapter::Blocking] {
        let outcome = ours::message_in(&room, adapter, "de-DE");
        assert!(outcome.starts_with("Öffnen Sie https://microsoft.com/devicelogin"), "{outcome}");
    }
}
