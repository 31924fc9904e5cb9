//! What an answer that is no usable one is taken for, and that its words reach the person: pages and plain texts (W03),
//! limits (W09).

use crate::support::*;
use device_flow_core::{
    Cause, Client, DeviceFlow, Discovery, Failure, Machine, ProtocolFault, Provider, Refresh, Revocation, SignIn,
    SignInRequest, Timestamp, TokenCache, TransportError, TransportErrorKind, UnixTime, WaitReason,
};
use serde_json::json;

const RATE_LIMITS: [&str; 6] = [
    r#"{"error":"rate_limit_exceeded"}"#,
    r#"{"error":"too_many_requests","error_description":"made-up text"}"#,
    r#"{"error":"temporarily_unavailable"}"#,
    r#"{"error":"interaction_required"}"#,
    r#"{"error_code":"rate_limit_exceeded"}"#,
    r#"{"message":"Too Many Requests"}"#,
];

/// Texts that begin like each token of JSON, whole JSON that is no object, and their first words as they are told.
const PAGES: [(&str, &str); 25] = [
    ("404 page not found", "404 page not found"),
    ("\n\t 503 Service Unavailable", "503 Service Unavailable"),
    ("null pointer", "null pointer"),
    ("null", "null"),
    ("nul", "nul"),
    ("true story", "true story"),
    ("tru", "tru"),
    ("false alarm", "false alarm"),
    ("\"quoted\" text", "\"quoted\" text"),
    ("\"text\"", "\"text\""),
    ("\"", "\""),
    ("[error]", "[error]"),
    ("[error] not here", "[error] not here"),
    ("[]", "[]"),
    ("[1,", "[1,"),
    ("-", "-"),
    ("- not here", "- not here"),
    ("-1", "-1"),
    ("5", "5"),
    ("1e5", ""),
    // Letters of any language, and what no secret is made of.
    ("it doesn't work – später", "it doesn't work – später"),
    ("сервер занят", "сервер занят"),
    ("später4 mehr", ""),
    ("<html>not here</html>", "<html>not here</html>"),
    ("}", "}"),
];

fn client() -> Client {
    let provider =
        Provider::endpoints("https://as/device", "https://as/token").revocation_endpoint("https://as/revoke");
    Client::builder(provider, "my-app").scope("openid profile").build().unwrap()
}

/// How a request that happens once ends when each attempt gets this answer, and after how many attempts.
fn ends<M: Machine>(machine: M, status: u16, body: &str) -> (Failure, usize) {
    let mut run = Run::of(machine);
    while run.go() {
        run.answer(status, body);
    }
    (run.failure(), run.requests.len())
}

/// The same for each endpoint but the polls.
fn at_each_endpoint(status: u16, body: &str) -> [(Failure, usize); 4] {
    [
        ends(DeviceFlow::new(client(), [7; 32]), status, body),
        ends(Refresh::new(client(), "RT-canary"), status, body),
        ends(Revocation::new(client(), "RT-canary").unwrap(), status, body),
        ends(Discovery::new("https://as").unwrap(), status, body),
    ]
}

#[test]
fn rule_05_w03_what_does_not_begin_as_an_object_is_a_page_and_survived_by_polls() {
    for (body, words) in PAGES {
        for status in [200, 201, 400, 401, 403, 404, 418, 501, 511] {
            let mut run = Run::granted(json!({}));
            run.script(&[(status, body); 3]);
            let reason = run.poll_reason();
            assert_eq!(reason, WaitReason::Backoff { cause: Cause::Page(status), attempt: 3 }, "{status} {body}");
            assert_eq!(run.machine.trail().last_error().unwrap().detail(), words);
            run.answer(200, TOKEN);
            token(run.outcome());

            let mut run = Run::granted(json!({}));
            run.script(&[(status, body); 4]);
            let Failure::Protocol(error) = run.failure() else { panic!("{status} {body}") };
            assert_eq!(error.fault, ProtocolFault::Page { status, excerpt: words.into() });
        }
    }
}

#[test]
fn w03_such_a_page_is_told_with_its_first_words_at_every_endpoint() {
    for (body, words) in PAGES {
        for status in [201, 400, 401, 403, 404, 418, 501, 511] {
            for (failure, requests) in at_each_endpoint(status, body) {
                let Failure::Protocol(error) = &failure else { panic!("{status} {body}: {failure}") };
                let page = ProtocolFault::Page { status, excerpt: words.into() };
                assert_eq!(error.fault, page, "{} {status} {body}", error.endpoint);
                assert!(failure.to_string().contains(words) && failure.to_string().contains(&status.to_string()));
                assert!(requests <= 2, "{} asks again for a page", error.endpoint);
            }
        }
    }
}

// W03, the other side: what begins as an object is judged as JSON, and is final when it is none.
#[test]
fn w03_what_begins_as_an_object_is_judged_as_json() {
    for body in ["{oops}", "{} x", "{\"a\":1}}", " {'a':1}", "{\"a\":1,}"] {
        let mut run = Run::granted(json!({}));
        run.script(&[(404, body)]);
        assert!(
            matches!(run.failure(), Failure::Protocol(error) if error.fault == ProtocolFault::InvalidJson),
            "{body}"
        );
    }
}

// W03, G11: what may be a token is not told, however it is dressed.
#[test]
fn w03_a_page_ends_where_a_secret_may_begin() {
    for body in [
        "AT-canary",
        "\"AT-canary\"",
        "[\"AT-canary\"]",
        "token AT-canary",
        "access_token=ATcanary",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.canary1",
        "canary0123456789",
        "canarycanarycanary",
        "12345canary",
        "<input value=\"AT-canary\">",
    ] {
        for (failure, _) in at_each_endpoint(404, body) {
            assert!(!format!("{failure} {failure:?}").contains("canary"), "{failure}");
        }
    }
}

// Rules 5 and 10; RFC 6585 §4.
#[test]
fn w09_a_429_without_a_code_of_the_grant_is_an_outage() {
    for body in RATE_LIMITS {
        let mut run = Run::granted(json!({}));
        let gaps = run.script(&[(429, body), (429, body), (200, TOKEN)]);
        assert_gap(gaps[1], 10, 5);
        assert_gap(gaps[2], 20, 5);
        token(run.outcome());
        for (failure, requests) in at_each_endpoint(429, body) {
            assert!(failure.is_retryable(), "{failure}");
            let Failure::Protocol(error) = failure else { panic!("{body}: {failure}") };
            assert_eq!(error.fault, ProtocolFault::Unavailable(429), "{body}");
            assert!(requests >= 4, "{requests} requests");
        }
    }
}

// W09, the other side: a code of the grant counts with 429, too.
#[test]
fn w09_a_429_with_a_code_of_the_grant_is_that_error() {
    for (code, ends) in [
        ("authorization_pending", false),
        ("slow_down", false),
        ("access_denied", true),
        ("expired_token", true),
        ("invalid_grant", true),
        ("invalid_client", true),
        ("unauthorized_client", true),
        ("invalid_request", true),
        ("unsupported_grant_type", true),
        ("invalid_scope", true),
    ] {
        let mut run = Run::granted(json!({}));
        run.script(&[(429, &json!({"error": code}).to_string())]);
        assert_eq!(run.go(), !ends, "{code}");
        assert_eq!(run.machine.trail().failures(), 0, "{code}");
    }
}

// W04: what a server does not do at all is no outage.
#[test]
fn w04_a_status_that_will_not_change_is_no_outage() {
    for status in [404, 405, 410, 501, 505, 510] {
        for body in ["", "{}", r#"{"error_description":"made-up text"}"#] {
            for (failure, requests) in at_each_endpoint(status, body) {
                assert!(!failure.is_retryable() && requests <= 2, "{status} {body}: {failure}");
                let Failure::Protocol(error) = failure else { panic!("{failure}") };
                assert_eq!(error.fault, ProtocolFault::Status(status));
            }
        }
    }
    for status in [408, 429, 500, 502, 503, 504, 507, 508, 520, 599] {
        for (failure, requests) in at_each_endpoint(status, "") {
            assert!(failure.is_retryable() && requests >= 4, "{status}: {failure}");
        }
    }
}

// W04: words are told of what is whole. Where JSON breaks off, what looks like words may be a part of a token.
#[test]
fn w04_nothing_is_told_of_json_that_breaks_off() {
    for broken in [
        r#"{"error":"AT-canary","access_token":"AT-canary"oops"#,
        r#"{"error":"AT-canary", "a"#,
        "{ access token : canary }",
    ] {
        for status in [400, 401, 404, 500, 503] {
            for (failure, _) in at_each_endpoint(status, broken) {
                assert!(!format!("{failure} {failure:?}").contains("canary"), "{status}: {failure}");
            }
        }
    }
}

// W04: during a wait the words of the last failure are there, of whichever step; afterwards they are gone.
#[test]
fn w04_the_words_of_the_last_failure_are_there_while_it_is_waited_for() {
    const OUTAGE: &str = r#"{"error_description":"made-up text"}"#;
    let mut flow = Run::of(DeviceFlow::new(client(), [7; 32]));
    assert_eq!(flow.machine.last_words(), None);
    flow.script(&[(503, OUTAGE)]);
    assert_eq!(flow.machine.last_words(), Some("made-up text"));
    flow.script(&[(200, &device_answer(json!({})))]);
    assert_eq!(flow.machine.last_words(), None, "the code is there");
    flow.script(&[(400, PENDING)]);
    assert_eq!(flow.machine.last_words(), None);
    flow.script(&[(503, OUTAGE)]);
    assert_eq!(flow.machine.last_words(), Some("made-up text"));
    flow.script(&[(503, "")]);
    assert_eq!(flow.machine.last_words(), None, "an answer without words");
    flow.script(&[(503, OUTAGE), (200, TOKEN)]);
    assert_eq!(flow.machine.last_words(), None, "it is over");

    let mut sign_in =
        Run::of(SignIn::new(SignInRequest::new(client()), TokenCache::new(), UnixTime::from_secs(0), [7; 32]));
    assert_eq!(sign_in.machine.last_words(), None);
    sign_in.script(&[(503, OUTAGE)]);
    assert_eq!(sign_in.machine.last_words(), Some("made-up text"));
    let mut refresh = Run::of(Refresh::new(client(), "RT-canary"));
    refresh.script(&[(503, OUTAGE)]);
    assert_eq!(refresh.machine.last_words(), Some("made-up text"));
    // Of the second place of the document.
    let mut discovery = Run::of(Discovery::new("https://as.example").unwrap());
    discovery.script(&[(503, ""), (503, OUTAGE)]);
    assert_eq!(discovery.machine.last_words(), Some("made-up text"));
}

// W04: what the server said of what cannot be used, and what to do about it, can be asked for.
#[test]
fn w04_an_unusable_answer_has_the_words_of_the_server_and_advice() {
    let protocol = |failure| {
        let Failure::Protocol(error) = failure else { panic!("{failure}") };
        error
    };
    for (failure, _) in at_each_endpoint(503, r#"{"error_description":"made-up text"}"#) {
        assert_eq!(protocol(failure).said(), Some("made-up text"));
    }
    for (failure, _) in at_each_endpoint(503, "") {
        let error = protocol(failure);
        assert_eq!(error.said(), None);
        assert!(error.advice().is_some_and(|advice| advice.contains("again later")), "{error}");
    }
    // Without a body, a wait for a connection still has the words of the transport.
    let mut flow = Run::of(DeviceFlow::new(client(), [7; 32]));
    flow.poll();
    let broken = TransportError::new(TransportErrorKind::Connect).with_detail("refused");
    let ticket = flow.take_ticket();
    flow.machine.transport_failed(ticket, broken, Timestamp::from_millis(flow.now)).unwrap();
    assert_eq!(flow.machine.last_words(), Some("refused"));
}
