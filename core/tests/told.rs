//! What a program can tell of a sign-in: whose it is, and what went wrong on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod support;

use device_flow_core::{Cause, Machine, Timestamp, TransportError, TransportErrorKind, WaitReason};
use serde_json::json;
use support::*;

#[test]
fn debug_names_the_client_and_its_endpoints() {
    let builder = builder();
    let shown = format!("{builder:?}");
    for part in ["my-app", "https://as/device", "https://as/token"] {
        assert!(shown.contains(part), "{shown}");
    }
    let shown = format!("{:?}", builder.build().unwrap());
    for part in ["my-app", "openid profile", "https://as/device", "https://as/token", "issuer: None"] {
        assert!(shown.contains(part), "{shown}");
    }
}

// C08, C09, C20: each kind of setback with its own words, in the trail and where the trail is told.
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

    // A status says it all.
    run.poll();
    run.answer(503, "");
    let last = run.machine.trail().last_error().unwrap();
    assert_eq!((last.cause(), last.detail()), (Cause::Status(503), ""));
    assert_eq!(last.to_string(), "the server answered with HTTP status 503");

    // What went well since does not erase it: it is for whoever looks for the cause afterwards.
    run.poll();
    run.answer(400, PENDING);
    assert_eq!(run.machine.trail().last_error().unwrap().cause(), Cause::Status(503));
    assert_eq!(run.machine.trail().failures(), 3);
}
