//! M09 to M18: `DeviceCodeClient.spec` of msal-node.

use super::entra::*;
use crate::support::*;
use device_flow_core::{
    Action, Cause, DeviceFlow, Endpoint, Failure, Machine as _, ProtocolFault, Timestamp, Trail, WaitReason,
};
use serde_json::json;

/// What may go out without a browser asking first whether it may (the Fetch standard's safelist).
const SIMPLE: [&str; 2] = ["accept", "content-type"];

#[test]
fn m09_no_header_that_would_not_qualify_for_a_simple_request() {
    let mut run = flow(client(), json!({}));
    run.poll();
    assert_eq!(run.requests.len(), 2);
    for sent in &run.requests {
        let names: Vec<&str> = sent.headers.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, SIMPLE);
        assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
    }
}

// Theirs asks for the token at once; RFC 8628 §3.5 wants an interval to pass between requests, and nobody is that
// quick. The grant type is the one of RFC 8628 §3.4, not the `device_code` of older drafts. No library, system or
// processor is named.
#[test]
fn m10_a_token_with_exactly_these_two_requests() {
    let mut run = flow(client(), json!({}));
    assert_gap(run.poll(), 5, 5);
    run.answer(200, &tokens(json!({})));
    assert_eq!(token(run.outcome()).access_token().expose(), "AT-canary");
    let pairs = |sent: &Sent| {
        let mut pairs = sent.parameters();
        pairs.sort();
        pairs
    };
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!((&*run.requests[0].url, &*run.requests[1].url), (DEVICE_ENDPOINT, TOKEN_ENDPOINT));
    let device = own(&[("client_id", "my-client"), ("scope", "user.read openid profile offline_access")]);
    assert_eq!(pairs(&run.requests[0]), device);
    let poll = [("client_id", "my-client"), ("client_info", "1"), ("device_code", "DC-canary"), ("grant_type", GRANT)];
    assert_eq!(pairs(&run.requests[1]), own(&poll));
    assert_eq!(run.requests.len(), 2);
}

// In the body, where all parameters of this request are (RFC 8628 §3.1), and not in the URL as well.
#[test]
fn m11_further_parameters_are_sent_and_those_without_a_value_are_not() {
    let client = client().device_parameter("testParam1", "testValue1").device_parameter("testParam3", "");
    let run = flow(client, json!({}));
    let sent = &run.requests[0];
    assert_eq!(sent.parameter("testParam1").as_deref(), Some("testValue1"));
    assert_eq!(sent.parameter("testParam3"), None);
    assert_eq!(sent.url, DEVICE_ENDPOINT);
}

/// A flow that asks for claims, and its first two requests.
fn asking_for(claims: &str) -> Run<DeviceFlow> {
    let mut run = Run::of(DeviceFlow::new(client().build().unwrap(), [7; 32]).claims(claims).unwrap());
    run.poll();
    run.answer(200, &code(json!({})));
    run.poll();
    assert_eq!(run.requests.len(), 2);
    run
}

#[test]
fn m12_claims_go_into_both_requests() {
    let claims = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;
    for sent in &asking_for(claims).requests {
        assert_eq!(sent.parameter("claims").as_deref(), Some(claims));
    }
}

// Theirs leaves an empty object out of the second request only.
#[test]
fn m13_without_claims_there_is_no_such_parameter() {
    for empty in ["", "{}", "{ }", " "] {
        assert!(asking_for(empty).requests.iter().all(|sent| sent.parameter("claims").is_none()), "{empty:?}");
    }
}

#[test]
fn m14_a_token_after_a_pending_answer_with_two_polls() {
    let mut run = flow(client(), json!({}));
    let gaps = run.script(&[(400, &refusal("authorization_pending", 70016)), (200, &tokens(json!({})))]);
    gaps.iter().for_each(|gap| assert_gap(*gap, 5, 5));
    token(run.outcome());
    assert_eq!(run.requests.iter().filter(|sent| sent.url == TOKEN_ENDPOINT).count(), 2);
}

#[test]
fn m15_a_cancel_before_the_first_poll_sends_none_and_is_seen_at_once() {
    let mut run = flow(client(), json!({}));
    assert!(matches!(run.machine.next_action(Timestamp::from_millis(run.now)), Action::ShowCode(_)));
    assert!(matches!(run.machine.next_action(Timestamp::from_millis(run.now)), Action::Wait { .. }));
    run.machine.cancel();
    // Theirs sees it at the end of the wait.
    assert!(matches!(run.failure(), Failure::Cancelled));
    assert_eq!((run.now, run.requests.len()), (START, 1));
}

// Theirs polls once; a code that has expired on arrival is neither shown nor polled here.
#[test]
fn m16_a_code_without_a_life_is_expired_without_a_poll() {
    let mut run = flow(client(), json!({"expires_in": 0}));
    let expired = expired(run.failure());
    assert_eq!((expired.trail, expired.error), (Trail::default(), None));
    assert_eq!((run.requests.len(), run.prompts.len(), run.now), (1, 0, START));
}

// A limit of the caller's is the caller's clock and one call; it is kept to the millisecond, where theirs is kept at
// the next wake-up. Theirs has polled by then, at once; ours has not had its first interval.
#[test]
fn m17_a_time_limit_of_the_callers_own_ends_it_on_time() {
    let limit = |millis: u64| {
        let mut run = flow(client(), json!({}));
        assert!(matches!(run.machine.next_action(Timestamp::from_millis(START)), Action::ShowCode(_)));
        let end = START + millis;
        while let Action::Wait { until, .. } = run.machine.next_action(Timestamp::from_millis(run.now)) {
            run.now = until.as_millis().min(end);
            if run.now == end {
                break;
            }
        }
        let polled = run.machine.trail().polls();
        run.machine.cancel();
        (polled, run.now - START, matches!(run.failure(), Failure::Cancelled))
    };
    assert_eq!(limit(4_000), (0, 4_000, true));
    assert_eq!(limit(5_999).0, 1, "and not before its time");
}

// Transient: what a gateway writes with status 503 is not an OAuth error (those have 4xx, RFC 6749 §5.2), so the flow
// goes on.
#[test]
fn m18_a_503_with_a_text_of_its_own_is_an_outage_and_is_survived() {
    let body = r#"{"error":"Service Unavailable"}"#;
    let mut run = flow(client(), json!({}));
    run.poll();
    run.answer(503, body);
    let gap = run.poll();
    assert_gap(gap, 10, 5);
    assert_eq!(run.waits.last().unwrap().1, WaitReason::Backoff { cause: Cause::Status(503), attempt: 1 });
    run.answer(200, &tokens(json!({})));
    token(run.outcome());
    // Before there is a code, it is reported after three more attempts.
    let mut run = Run::new(client().build().unwrap());
    run.script(&[(503, body); 4]);
    let Failure::Protocol(error) = run.failure() else { panic!("an outage was told as something else") };
    assert_eq!((error.endpoint, error.fault), (Endpoint::DeviceAuthorization, ProtocolFault::Unavailable(503)));
}
