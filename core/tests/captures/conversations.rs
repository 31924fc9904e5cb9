//! Whole sign-ins from captured answers, in virtual time: every poll comes when the answers before it require, no
//! sooner and no later than its jitter, and the last answer decides.

use super::meaning::client;
use super::reader::{Server, servers};
use crate::support::{Run, START, assert_gap, expired, token};
use device_flow_core::{DeviceFlow, Failure, TransportErrorKind};

/// The answer to a poll: the seconds since the answer before it, and the interval (a tenth of which is jitter).
type Step<'a> = (&'a str, u64, u64);

/// Plays one sign-in; every poll must carry the code of its first answer.
fn replay(server: &Server, code: &str, steps: &[Step<'_>]) -> Run<DeviceFlow> {
    let mut run = Run::new(client());
    run.go();
    let code = server.capture(code);
    run.respond(code.response());
    for (name, seconds, interval) in steps {
        let gap = run.poll();
        println!("{:<21} {name:<36} after {gap} ms", server.name);
        assert_gap(gap, *seconds, *interval);
        let sent = run.requests.last().unwrap();
        assert_eq!(sent.parameter("device_code").unwrap(), code.json()["device_code"]);
        run.respond(server.capture(name).response());
    }
    run
}

// Rules 1, 2, 4 and 13; B01, B03, B04: Authlib slows down a client that polls twice within the interval, each time by
// more.
#[test]
fn authlib_slows_down_and_then_approves() {
    let [authlib, ..] = servers();
    let mut run = replay(
        &authlib,
        "device_authorization",
        &[
            ("pending", 5, 5),
            ("slow_down", 5, 5),
            ("slow_down_2", 10, 10),
            ("after_slow_down_wait_interval", 18, 15),
            ("after_slow_down_wait_interval_plus5", 28, 20),
            ("approved_polled_at_once", 35, 25),
        ],
    );
    let expected = authlib.capture("approved_polled_at_once").json();
    assert_eq!(token(run.outcome()).access_token().expose(), expected["access_token"]);
    let trail = run.machine.trail();
    assert_eq!((trail.polls(), trail.slow_downs(), trail.failures()), (6, 4, 0));
    assert!(trail.clock_drift_suspected());
}

// Rules 1, 2, 4 and 8; B03: Keycloak slows down a code that is approved; its token comes with the next poll. It also says
// pending when the session of an approved code has ended, and for ever.
#[test]
fn keycloak_slows_down_an_approved_code() {
    let [.., keycloak] = servers();
    let mut run = replay(
        &keycloak,
        "device_authorization",
        &[
            ("pending", 5, 5),
            ("slow_down", 5, 5),
            ("after_slow_down_wait_interval", 10, 10),
            ("approved_then_signed_out", 10, 10),
            ("approved_polled_at_once", 10, 10),
            ("success", 15, 15),
        ],
    );
    let expected = keycloak.capture("success").json();
    assert_eq!(token(run.outcome()).access_token().expose(), expected["access_token"]);
    assert_eq!((run.machine.trail().polls(), run.machine.trail().slow_downs()), (6, 2));
}

// Rule 10; B06, B07: after the approval, and when the answer that a code has expired is missed.
#[test]
fn keycloak_refuses_an_approved_code_and_forgets_an_expired_one() {
    let [.., keycloak] = servers();
    for (answer, code) in [("not_allowed", "not_allowed"), ("expired_long_ago", "invalid_grant")] {
        let mut run = replay(&keycloak, "device_authorization", &[("pending", 5, 5), (answer, 5, 5)]);
        let failure = run.failure();
        assert!(matches!(&failure, Failure::Rejected(error) if error.code() == code), "{failure}");
        let description = keycloak.capture(answer).json()["error_description"].as_str().unwrap().to_owned();
        assert!(failure.to_string().contains(&description), "{failure}");
        assert_eq!(run.requests.len(), 3);
    }
}

// Rules 1, 2 and 3; B01: these two never send slow_down; the captures of that name are pending answers.
#[test]
fn the_others_are_patient_and_then_approve() {
    let [_, django, oidc, _] = servers();
    for server in [django, oidc] {
        let names = ["pending", "slow_down", "slow_down_2", "after_slow_down_wait_interval", "approved_polled_at_once"];
        let mut run = replay(&server, "device_authorization", &names.map(|name| (name, 5, 5)));
        let expected = server.capture("approved_polled_at_once").json();
        assert_eq!(token(run.outcome()).access_token().expose(), expected["access_token"]);
        assert_eq!((run.machine.trail().polls(), run.machine.trail().slow_downs()), (5, 0));
    }
}

// Rule 9: the code is used up by the first token and is never sent again.
#[test]
fn approved_at_the_first_poll() {
    for server in servers() {
        let mut run = replay(&server, "device_authorization_b", &[("success", 5, 5)]);
        token(run.outcome());
        run.now += 1_000_000;
        assert!(!run.go());
        assert_eq!(run.requests.len(), 2, "{}", server.name);
    }
}

// Rule 10; B06.
#[test]
fn denied() {
    for server in servers() {
        let mut run = replay(&server, "device_authorization_c", &[("pending", 5, 5), ("denied", 5, 5)]);
        let failure = run.failure();
        assert!(matches!(&failure, Failure::Denied(error) if error.code() == "access_denied"), "{failure}");
        assert_eq!(run.requests.len(), 3, "{}", server.name);
    }
}

// Rule 10; B06, B07: the server says that the code has expired, once or for ever, and later that it does not know it.
#[test]
fn expired_by_the_server() {
    let [authlib, _, oidc, keycloak] = servers();
    for server in [&authlib, &oidc, &keycloak] {
        let mut run = replay(server, "device_authorization", &[("pending", 5, 5), ("expired", 5, 5)]);
        let end = expired(run.failure());
        assert_eq!(end.error.unwrap().code(), "expired_token");
        assert_eq!(run.requests.len(), 3, "{}", server.name);
    }
    let mut run = replay(&oidc, "device_authorization", &[("pending", 5, 5), ("denied_again", 5, 5)]);
    let failure = run.failure();
    assert!(matches!(&failure, Failure::Rejected(error) if error.code() == "invalid_grant"), "{failure}");
    assert!(failure.to_string().contains("no longer knows this code"), "{failure}");
}

// Rule 8; B01, P30: django-oauth-toolkit answers pending for an expired code, for ever. The flow ends by itself, on
// time.
#[test]
fn expired_while_the_server_says_pending_for_ever() {
    let [_, django, ..] = servers();
    let mut run = replay(&django, "device_authorization", &[]);
    while run.go() {
        run.respond(django.capture("expired").response());
    }
    let end = expired(run.outcome.take().unwrap().unwrap_err());
    assert_eq!(end.error, None);
    // 1,800 s of life, a poll every 5 to 5.5 s.
    assert!((327..360).contains(&end.trail.polls()), "{} polls", end.trail.polls());
    let last = run.requests.last().unwrap().at - START;
    assert!((1_794_000..1_800_000).contains(&last), "the last poll came after {last} ms");
}

// Rules 3 and 8; A30, P30: a code that lives for four seconds is neither shown nor polled.
#[test]
fn a_code_that_dies_before_its_first_poll() {
    for server in servers() {
        // The short one of Keycloak lives for eight seconds, with an interval of one.
        if server.name == "keycloak" {
            continue;
        }
        let mut run = replay(&server, "device_authorization_short", &[]);
        let failure = run.failure();
        // The two that send an interval of five seconds contradict themselves; the third does not.
        let contradicts = server.name != "oidc-provider";
        assert_eq!(matches!(failure, Failure::Protocol(_)), contradicts, "{failure}");
        assert_eq!(matches!(failure, Failure::Expired(_)), !contradicts, "{failure}");
        assert_eq!((run.requests.len(), run.prompts.len(), run.now), (1, 0, START));
    }
}

// Rule 5; B10, P18: a real 500 page and a dropped connection between real answers: slower, then as before.
#[test]
fn an_outage_in_the_middle() {
    let [_, django, ..] = servers();
    let mut run = replay(&django, "device_authorization", &[("pending", 5, 5), ("missing_device_code", 5, 5)]);
    assert_gap(run.poll(), 10, 5);
    run.fail(TransportErrorKind::Closed);
    assert_gap(run.poll(), 20, 5);
    run.respond(django.capture("pending").response());
    assert_gap(run.poll(), 5, 5);
    run.respond(django.capture("success").response());
    token(run.outcome());
    assert_eq!(run.machine.trail().failures(), 2);
}
