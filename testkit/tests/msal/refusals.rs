//! Owns the proofs that refusals, outages and odd answers of the server have the same effect on all three.

use crate::room::{AN_HOUR, BLOCKING, NODE, Outcome, PYTHON, Room, SCOPES, Side, TOKIO};
use crate::sharing::is_one_refresh;
use device_flow_testkit::microsoft::{ADA, Caller, Endpoint, Seen, TokenState};
use device_flow_testkit::msal::Language;
use serde_json::Value;

#[track_caller]
fn error(outcome: Outcome) -> Value {
    let Outcome::Error(error) = outcome else { panic!("no error: {outcome:?}") };
    error
}

fn statuses(seen: &[Seen]) -> Vec<u16> {
    seen.iter().map(|seen| seen.status).collect()
}

#[test]
fn msal_4_11_a_revoked_refresh_token_needs_a_sign_in() {
    for side in [PYTHON, NODE, TOKIO, BLOCKING] {
        let room = Room::new();
        room.sign_in(TOKIO).token();
        room.pass(AN_HOUR);
        room.microsoft.revoke();
        let (outcome, seen) = room.during(|room| room.silent(side, ADA.username));
        assert_eq!(statuses(&seen), [400]);
        assert_eq!(seen[0].token, Some(TokenState::Revoked));
        let error = error(outcome);
        assert_eq!(error["error"], "invalid_grant");
        match side {
            Side::Ours(_) => assert_eq!(error["kind"], "sign in"),
            // Without a suberror, Node does not tell its caller that the person has to sign in.
            NODE => assert_eq!(error["interaction"], false),
            Side::Msal(_) => assert_eq!(error["error_codes"][0], 50173),
        }
        // Our next sign-in repairs the cache for all of them.
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
        let (outcome, seen) = room.during(|room| room.silent(side, ADA.username));
        assert_eq!(statuses(&seen), [400]);
        let error = error(outcome);
        assert_eq!((&error["error"], &error["suberror"]), (&"invalid_grant".into(), &"basic_action".into()));
        assert_eq!(error["claims"], claims, "{side:?}");
        room.microsoft.script(|script| script.challenge = None);
        let (_, seen) = room.during(|room| room.silent(side, ADA.username));
        is_one_refresh(&seen, side);
    }
}

// Row 3.10: nobody has to sign in again because a server was down.
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
        let (outcome, seen) = room.during(|room| room.silent(side, ADA.username));
        outcome.token();
        is_one_refresh(&seen, side);
    }
}

// Hazard (c): a number in quotes can make Python lose the tokens that it has just received; the others are not
// affected.
#[test]
fn msal_6_numbers_as_text_are_read_by_all() {
    for side in [PYTHON, NODE, TOKIO, BLOCKING] {
        let room = Room::new();
        room.microsoft.script(|script| script.numbers_are_text = true);
        let signed_in = room.sign_in(side);
        for reader in [PYTHON, NODE, TOKIO] {
            let (outcome, seen) = room.during(|room| room.silent(reader, ADA.username));
            assert_eq!((outcome.token(), seen.len()), (signed_in.token(), 0), "{reader:?} of {side:?}");
        }
    }
}

// The same hazard: Python computes with this number without converting it. The code is used up, and the tokens are
// lost.
#[test]
fn msal_6_refresh_in_as_text_is_lost_on_python_alone() {
    let room = Room::new();
    room.microsoft.script(|script| (script.numbers_are_text, script.refresh_in) = (true, Some(AN_HOUR / 2)));
    let output = room.driver(Language::Python, &["sign_in", SCOPES]).output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && complaint.contains("TypeError"), "Python reads it now: {complaint}");
    for side in [TOKIO, BLOCKING, NODE] {
        let signed_in = room.sign_in(side);
        let (outcome, seen) = room.during(|room| room.silent(side, ADA.username));
        assert_eq!((outcome, seen.len()), (signed_in, 0), "{side:?}");
    }
}

// Row 4.5: the server asks for the token to be replaced before it expires.
#[test]
fn msal_4_5_refresh_in_is_honoured_across_programs() {
    for (writer, reader) in [(TOKIO, PYTHON), (PYTHON, BLOCKING), (NODE, TOKIO), (BLOCKING, NODE)] {
        let room = Room::new();
        room.microsoft.script(|script| (script.token_lives, script.refresh_in) = (2 * AN_HOUR, Some(AN_HOUR)));
        let signed_in = room.sign_in(writer);
        let (outcome, seen) = room.during(|room| room.silent(reader, ADA.username));
        assert_eq!((outcome.token(), seen.len()), (signed_in.token(), 0), "{writer:?}, {reader:?}");
        // Node rounds its clock up, and Python refreshes only after that moment.
        room.pass(AN_HOUR + 2);
        let (outcome, seen) = room.during(|room| room.silent(reader, ADA.username));
        is_one_refresh(&seen, reader);
        // Node fetches a new one and returns the old one.
        assert_eq!(outcome == signed_in, reader == NODE);
    }
}
