//! Owns the proofs that a server that refuses, fails or answers oddly means the same to all three.

use crate::room::{AN_HOUR, BLOCKING, NODE, PYTHON, Room, SCOPES, Side, TOKIO, Told};
use crate::sharing::is_one_refresh;
use device_flow_testkit::microsoft::{ADA, Caller, Endpoint, Seen, TokenState};
use device_flow_testkit::msal::Language;
use serde_json::Value;

#[track_caller]
fn error(told: Told) -> Value {
    let Told::Error(error) = told else { panic!("no error: {told:?}") };
    error
}

fn statuses(seen: &[Seen]) -> Vec<u16> {
    seen.iter().map(|seen| seen.status).collect()
}

#[test]
fn msal_4_11_a_revoked_refresh_token_means_to_sign_in_again() {
    for side in [PYTHON, NODE, TOKIO, BLOCKING] {
        let room = Room::new();
        room.sign_in(TOKIO).token();
        room.pass(AN_HOUR);
        room.microsoft.revoke();
        let (told, seen) = room.during(|room| room.silent(side, ADA.username));
        assert_eq!(statuses(&seen), [400]);
        assert_eq!(seen[0].token, Some(TokenState::Revoked));
        let error = error(told);
        assert_eq!(error["error"], "invalid_grant");
        match side {
            Side::Ours(_) => assert_eq!(error["kind"], "sign in"),
            // Without a suberror, Node does not tell its caller that only the person can help.
            NODE => assert_eq!(error["interaction"], false),
            Side::Msal(_) => assert_eq!(error["error_codes"][0], 50173),
        }
        // Whoever it was, the next sign-in of ours puts it right for everybody.
        let after = room.sign_in(BLOCKING);
        assert_eq!(room.silent(side, ADA.username), after);
        room.pass(AN_HOUR);
        let (_, seen) = room.during(|room| room.silent(side, ADA.username));
        is_one_refresh(&seen, side);
    }
}

#[test]
fn msal_4_12_a_challenge_keeps_the_refresh_token() {
    let claims = r#"{"access_token":{"capolids":{"essential":true,"values":["canary-policy"]}}}"#;
    for side in [PYTHON, NODE, TOKIO] {
        let room = Room::new();
        room.sign_in(BLOCKING).token();
        room.pass(AN_HOUR);
        room.microsoft.script(|script| script.challenge = Some(claims));
        let (told, seen) = room.during(|room| room.silent(side, ADA.username));
        assert_eq!(statuses(&seen), [400]);
        let error = error(told);
        assert_eq!((&error["error"], &error["suberror"]), (&"invalid_grant".into(), &"basic_action".into()));
        assert_eq!(error["claims"], claims, "{side:?}");
        room.microsoft.script(|script| script.challenge = None);
        let (_, seen) = room.during(|room| room.silent(side, ADA.username));
        is_one_refresh(&seen, side);
    }
}

// Row 3.10, and what makes the difference to a person: nobody has to sign in again because a server was down.
#[test]
fn msal_3_10_an_outage_loses_nothing() {
    for side in [PYTHON, NODE] {
        let room = Room::new();
        room.sign_in(TOKIO).token();
        room.pass(AN_HOUR);
        let before = room.cache();
        room.microsoft.script(|script| script.outage = true);
        let (_, seen) = room.during(|room| room.silent(BLOCKING, ADA.username));
        assert!(seen.iter().all(|seen| seen.summary() == (Caller::Ours, Endpoint::Refresh, 503)) && seen.len() > 1);
        assert_eq!(room.cache(), before);
        room.microsoft.script(|script| script.outage = false);
        let (told, seen) = room.during(|room| room.silent(side, ADA.username));
        told.token();
        is_one_refresh(&seen, side);
    }
}

// Hazard (c): a number in quotes costs Python the tokens that it was just given, and nobody else anything.
#[test]
fn msal_6_numbers_as_text() {
    for side in [PYTHON, NODE, TOKIO, BLOCKING] {
        let room = Room::new();
        room.microsoft.script(|script| script.numbers_are_text = true);
        let signed_in = room.sign_in(side);
        for reader in [PYTHON, NODE, TOKIO] {
            let (told, seen) = room.during(|room| room.silent(reader, ADA.username));
            assert_eq!((told.token(), seen.len()), (signed_in.token(), 0), "{reader:?} of {side:?}");
        }
    }
}

// The same hazard: of this one number Python wants to compute with the text. The code is spent, and the tokens are lost.
#[test]
fn msal_6_refresh_in_as_text_is_lost_on_python_alone() {
    let room = Room::new();
    room.microsoft.script(|script| (script.numbers_are_text, script.refresh_in) = (true, Some(AN_HOUR / 2)));
    let output = room.driver(Language::Python, &["sign_in", SCOPES]).output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && complaint.contains("TypeError"), "Python has learnt to read it: {complaint}");
    for side in [TOKIO, BLOCKING, NODE] {
        let signed_in = room.sign_in(side);
        let (told, seen) = room.during(|room| room.silent(side, ADA.username));
        assert_eq!((told, seen.len()), (signed_in, 0), "{side:?}");
    }
}

// Row 4.5: the server wishes the token to be replaced while it lives.
#[test]
fn msal_4_5_refresh_in() {
    for (writer, reader) in [(TOKIO, PYTHON), (PYTHON, BLOCKING), (NODE, TOKIO), (BLOCKING, NODE)] {
        let room = Room::new();
        room.microsoft.script(|script| (script.token_lives, script.refresh_in) = (2 * AN_HOUR, Some(AN_HOUR)));
        let signed_in = room.sign_in(writer);
        let (told, seen) = room.during(|room| room.silent(reader, ADA.username));
        assert_eq!((told.token(), seen.len()), (signed_in.token(), 0), "{writer:?}, {reader:?}");
        // Node rounds its clock up, and Python wants the moment to be over.
        room.pass(AN_HOUR + 2);
        let (told, seen) = room.during(|room| room.silent(reader, ADA.username));
        is_one_refresh(&seen, reader);
        // Node gets a new one and hands out the old one.
        assert_eq!(told == signed_in, reader == NODE);
    }
}
