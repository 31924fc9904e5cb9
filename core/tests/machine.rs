//! The contract between machine and driver: tickets, misuse, cancelling, outcomes, and what a request prints.

use crate::support::*;
use device_flow_core::{
    Action, DeviceFlow, Discovery, Failure, Machine, Misuse, Response, Ticket, Timestamp, TransportError,
    TransportErrorKind,
};
use serde_json::json;

fn polling() -> Run<DeviceFlow> {
    let mut run = Run::granted(json!({}));
    run.poll();
    run
}

// G02, C20: the answer to one sign-in can never reach another, even with the same client and the same entropy.
#[test]
fn a_ticket_of_another_machine_comes_back_and_changes_nothing() {
    let (mut ours, mut other) = (polling(), polling());
    let foreign = other.take_ticket();
    let before = format!("{:?}", ours.machine);
    let now = Timestamp::from_millis(ours.now + 60_000);
    let misuse = ours.machine.response(foreign, Response::new(200, TOKEN.as_bytes()), now).unwrap_err();
    assert!(matches!(misuse, Misuse::NotOutstanding(_)));
    let misuse =
        ours.machine.transport_failed(misuse.into_ticket(), TransportError::new(TransportErrorKind::Closed), now);
    let foreign = misuse.unwrap_err().into_ticket();
    assert_eq!(format!("{:?}", ours.machine), before);
    // The machine did not even take over the time.
    ours.answer(400, PENDING);
    assert_gap(ours.poll(), 5, 5);
    // The other machine still accepts its ticket.
    other.machine.response(foreign, Response::new(200, TOKEN.as_bytes()), Timestamp::from_millis(other.now)).unwrap();
    token(other.outcome());
}

// G02: after a cancel the ticket is accepted once and then no more.
#[test]
fn an_answer_that_comes_after_cancelling_is_dropped() {
    let mut run = polling();
    let ticket = run.take_ticket();
    run.machine.cancel();
    run.machine.response(ticket, Response::new(200, TOKEN.as_bytes()), Timestamp::from_millis(run.now)).unwrap();
    assert!(matches!(run.failure(), Failure::Cancelled));
    let mut run = polling();
    let ticket = run.take_ticket();
    run.machine.cancel();
    assert!(matches!(run.failure(), Failure::Cancelled));
    let error = TransportError::new(TransportErrorKind::Timeout);
    run.machine.transport_failed(ticket, error, Timestamp::from_millis(run.now)).unwrap();
    assert!(matches!(run.machine.next_action(Timestamp::MAX), Action::Ended));
}

// G14: a status that HTTP does not allow is not an answer.
#[test]
fn a_status_that_http_does_not_know_is_misuse() {
    for status in [0, 1, 99, 1000, u16::MAX] {
        let mut run = polling();
        let ticket = run.take_ticket();
        let response = Response::new(status, TOKEN.as_bytes());
        let misuse = run.machine.response(ticket, response, Timestamp::from_millis(run.now)).unwrap_err();
        assert!(matches!(misuse, Misuse::InvalidStatus(_, s) if s == status));
        assert!(matches!(run.machine.next_action(Timestamp::from_millis(run.now)), Action::AwaitResponse));
        let response = Response::new(200, TOKEN.as_bytes());
        run.machine.response(misuse.into_ticket(), response, Timestamp::from_millis(run.now)).unwrap();
        token(run.outcome());
    }
    for status in [100, 999] {
        let mut run = polling();
        run.answer(status, PENDING);
        run.poll();
    }
}

// G14: headers with NUL or other bytes are ignored, names compare without regard to case, the first of each counts.
#[test]
fn headers_that_are_no_text_are_ignored() {
    for value in [&b"60\0"[..], b"\xff60", b"\0"] {
        let mut run = polling();
        run.respond(Response::new(400, PENDING.as_bytes()).header("Retry-After", value).header("\0", b"x"));
        assert_gap(run.poll(), 5, 5);
    }
    let mut run = polling();
    run.respond(Response::new(400, PENDING.as_bytes()).header("RETRY-AFTER", b"60").header("retry-after", b"90"));
    assert_gap(run.poll(), 60, 5);
}

// G03: terminal is terminal.
#[test]
fn an_ended_machine_stays_ended() {
    let mut run = polling();
    run.answer(400, r#"{"error":"access_denied"}"#);
    assert!(matches!(run.failure(), Failure::Denied(_)));
    run.machine.cancel();
    for now in [0, run.now, u64::MAX] {
        assert!(matches!(run.machine.next_action(Timestamp::from_millis(now)), Action::Ended));
    }
    // Cancelling does not remove an outcome that was not handed out.
    let mut run = polling();
    run.answer(200, TOKEN);
    run.machine.cancel();
    token(run.outcome());
}

// R10027-6.1.14-3: cancelling ends the flow at once, from every state.
#[test]
fn cancelling_works_from_every_state() {
    let cancel = |mut run: Run<DeviceFlow>| {
        run.machine.cancel();
        assert!(matches!(run.failure(), Failure::Cancelled));
        assert!(matches!(run.machine.next_action(Timestamp::MAX), Action::Ended));
    };
    cancel(Run::new(builder().build().unwrap()));
    let mut requesting = Run::new(builder().build().unwrap());
    requesting.go();
    let _ = requesting.take_ticket();
    cancel(requesting);
    let mut retrying = Run::new(builder().build().unwrap());
    retrying.go();
    retrying.fail(TransportErrorKind::Dns);
    cancel(retrying);
    cancel(Run::granted(json!({})));
    let mut waiting = Run::granted(json!({}));
    let _ = waiting.machine.next_action(Timestamp::from_millis(START));
    cancel(waiting);
    cancel({
        let mut run = polling();
        let _ = run.take_ticket();
        run
    });
}

// Rule 9: while a request is out, there is nothing else to do.
#[test]
fn a_request_comes_out_once() {
    let mut run = polling();
    for later in [0, 1, 10_000_000] {
        let now = Timestamp::from_millis(run.now + later);
        assert!(matches!(run.machine.next_action(now), Action::AwaitResponse));
    }
}

// G12: that a flow cannot be cloned, and a ticket not be used twice, are `compile_fail` examples in their
// documentation.
#[test]
fn a_machine_is_send_and_sync() {
    fn anywhere<T: Send + Sync + Unpin + 'static>() {}
    anywhere::<DeviceFlow>();
    anywhere::<Discovery>();
    anywhere::<Action<device_flow_core::TokenResponse>>();
    anywhere::<device_flow_core::Client>();
}

// R6749-10.3-1, RFC 6749 §2.3.1, RFC 9700 §4.3.2: what a request shows when it is printed.
#[test]
fn a_request_prints_its_method_and_url_alone() {
    let client = builder().client_secret_basic("canary-secret").build().unwrap();
    let mut flow = DeviceFlow::new(client, [1; 32]);
    let action = flow.next_action(Timestamp::ZERO);
    assert!(!format!("{action:?}").contains("canary"), "{action:?}");
    let Action::SendRequest(outgoing) = action else { panic!() };
    assert_eq!(format!("{:?}", outgoing.request), "POST https://as/device");
    assert!(outgoing.request.headers().any(|(name, value)| name == "authorization" && value.starts_with("Basic ")));
    assert_eq!(outgoing.request.max_response(), 64 * 1024);
    let response = Response::new(200, b"canary");
    assert_eq!(format!("{response:?}"), "HTTP 200 (6 bytes)");
}

// C19, RFC 9110 §6.6.1, RFC 9111 §5.1: a driver, or a machine around another, may look at what was handed in.
#[test]
fn an_answer_has_its_body_date_and_age() {
    let response = Response::new(200, b"{}").header("DATE", b"today").header("Age", b"7").header("age", b"8");
    assert_eq!((response.body(), response.date(), response.age()), (&b"{}"[..], Some("today"), Some("7")));
    let silent = Response::new(200, b"").header("date", b"\xff");
    assert_eq!((silent.body(), silent.date(), silent.age()), (&b""[..], None, None));
}

#[cfg(feature = "http")]
#[test]
fn into_http_moves_everything_and_marks_the_secret() {
    let client = builder().client_secret_basic("canary-secret").build().unwrap();
    let Action::SendRequest(outgoing) = DeviceFlow::new(client, [1; 32]).next_action(Timestamp::ZERO) else { panic!() };
    let body = outgoing.request.body().to_vec();
    let request = outgoing.request.into_http().unwrap();
    assert_eq!((request.method().as_str(), request.uri().to_string()), ("POST", "https://as/device".to_owned()));
    assert_eq!(*request.body(), body);
    let headers = request.headers();
    assert_eq!(headers["accept"], "application/json");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert!(headers["authorization"].is_sensitive());
    assert!(!headers["content-type"].is_sensitive());
    assert_eq!(headers.len(), 3);
}

// Clients leave the length of an empty body out, and some servers then answer 411.
#[cfg(feature = "http")]
#[test]
fn into_http_gives_an_empty_post_its_length_and_a_get_none() {
    let provider = device_flow_core::Provider::endpoints("https://as/device", "https://as/token");
    let client = device_flow_core::Client::builder(provider, "my-app").client_secret_basic("canary-secret").build();
    let Action::SendRequest(post) = DeviceFlow::new(client.unwrap(), [1; 32]).next_action(Timestamp::ZERO) else {
        panic!()
    };
    let post = post.request.into_http().unwrap();
    assert_eq!((post.body().len(), &post.headers()["content-length"]), (0, &http::HeaderValue::from_static("0")));
    let mut discovery = Discovery::new("https://as").unwrap();
    let Action::SendRequest(get) = discovery.next_action(Timestamp::ZERO) else { panic!() };
    assert!(!get.request.into_http().unwrap().headers().contains_key("content-length"));
}

#[test]
fn transport_errors_are_safe_to_print() {
    let error = TransportError::new(TransportErrorKind::Connect).with_detail("refused\r\n\u{1b}[2J by\tpeer");
    assert_eq!(error.to_string(), "no connection to the server: refused \\u{1b}[2J by peer");
    assert_eq!(TransportError::new(TransportErrorKind::Timeout).to_string(), "the request took too long");
}

// A machine of somebody else's need not keep words.
#[test]
fn a_machine_that_keeps_no_words_has_none() {
    struct Over;
    impl Machine for Over {
        type Output = ();

        fn next_action(&mut self, _: Timestamp) -> Action<()> {
            Action::Ended
        }

        fn response(&mut self, ticket: Ticket, _: Response<'_>, _: Timestamp) -> Result<(), Misuse> {
            Err(Misuse::NotOutstanding(ticket))
        }

        fn transport_failed(&mut self, ticket: Ticket, _: TransportError, _: Timestamp) -> Result<(), Misuse> {
            Err(Misuse::NotOutstanding(ticket))
        }

        fn cancel(&mut self) {}
    }
    assert_eq!(Over.last_words(), None);
}
