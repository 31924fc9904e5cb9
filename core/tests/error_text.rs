//! What the errors and the trail of a sign-in say: what went wrong on the way, in whose words.

use crate::support::*;
use device_flow_core::{
    Cause, Client, ConfigError, Discovery, Failure, Machine, Provider, Secret, Timestamp, TransportError,
    TransportErrorKind, WaitReason,
};
use serde_json::json;

// C08, C09, C20: each kind of failure with its own text, in the trail and wherever the trail is shown.
#[test]
fn the_trail_keeps_the_last_setback_in_its_own_words() {
    let mut run = Run::granted(json!({"device_code": "DC-canary"}));
    run.poll();
    assert_eq!(run.machine.trail().last_error(), None);

    run.answer(200, "<html><h1>Hotel wifi</h1>");
    let last = run.machine.trail().last_error().unwrap();
    assert_eq!((last.cause(), last.detail()), (Cause::Page(200), "<html><h1>Hotel wifi</h1>"));
    assert!(run.machine.trail().to_string().ends_with(": <html><h1>Hotel wifi</h1>"), "{}", run.machine.trail());

    run.poll();
    assert_eq!(
        run.waits.last().unwrap().1,
        WaitReason::Backoff { cause: Cause::Page(200), attempt: 1 },
        "the reason of the wait is the setback"
    );
    let refused = TransportError::new(TransportErrorKind::Connect).with_detail("as: refused\n\u{1b}[2J");
    let ticket = run.take_ticket();
    run.machine.transport_failed(ticket, refused, Timestamp::from_millis(run.now)).unwrap();
    let last = run.machine.trail().last_error().unwrap();
    assert_eq!(last.cause(), Cause::Transport(TransportErrorKind::Connect));
    assert_eq!(last.detail(), "as: refused \\u{1b}[2J");
    assert_eq!(last.to_string(), "no connection to the server: as: refused \\u{1b}[2J");

    // A status needs no detail.
    run.poll();
    run.answer(503, "");
    let last = run.machine.trail().last_error().unwrap();
    assert_eq!((last.cause(), last.detail()), (Cause::Status(503), ""));
    assert_eq!(last.to_string(), "the server answered with HTTP status 503");

    // A later success does not erase it, since it helps to find the cause afterwards.
    run.poll();
    run.answer(400, PENDING);
    assert_eq!(run.machine.trail().last_error().unwrap().cause(), Cause::Status(503));
    assert_eq!(run.machine.trail().failures(), 3);
}

// RFC 8628 §3.5: the text has the server's own words and what happened before.
#[test]
fn an_expiry_shows_the_trail_and_the_servers_words() {
    let mut run = Run::granted(json!({}));
    run.script(&[(400, SLOW_DOWN), (400, r#"{"error":"expired_token","error_description":"too slow"}"#)]);
    let told = run.failure().to_string();
    let way =
        "start again for a new one (2 polls, 1 slow_down answers, 0 failures; the server said expired_token: too slow)";
    assert!(told.ends_with(way), "{told}");
    let mut run = Run::granted(json!({"expires_in": 11}));
    run.script(&[(400, PENDING), (400, PENDING)]);
    let told = run.failure().to_string();
    assert!(told.ends_with("(2 polls, 0 slow_down answers, 0 failures)"), "{told}");
}

// RFC 7617 §2: the first colon ends the name, so one that is sent as it is must have none.
#[test]
fn a_client_id_with_a_colon_cannot_go_into_a_header_unencoded() {
    let client = |id: &str| Client::builder(Provider::endpoints("https://as/device", "https://as/token"), id);
    let built = client("a:b").client_secret_basic_unencoded("SEC-canary").build();
    assert_eq!(built.unwrap_err(), ConfigError::ClientId);
    assert!(client("a:b").client_secret_basic("SEC-canary").build().is_ok());
    assert!(client("ab").client_secret_basic_unencoded("SEC:canary").build().is_ok());
}

// A text with room to spare, as reading a file leaves it.
#[test]
fn a_secret_keeps_its_text() {
    let mut roomy = String::with_capacity(100);
    roomy.push_str("SEC-canary");
    assert!(roomy.capacity() > roomy.len());
    assert_eq!(Secret::from(roomy).expose(), "SEC-canary");
    assert_eq!(Secret::from(String::from("SEC-canary")).expose(), "SEC-canary");
    assert_eq!(format!("{:?}", Secret::from("SEC-canary")), "[secret]");
}

// The failure of a request after a cancel changes nothing.
#[test]
fn a_discovery_that_was_cancelled_stays_so_when_its_request_fails() {
    let mut run = Run::of(Discovery::new("https://as").unwrap());
    assert!(run.go());
    run.machine.cancel();
    run.fail(TransportErrorKind::UntrustedCertificate);
    assert_eq!(run.failure(), Failure::Cancelled);
}
