//! M19 to M27: `test_throttled_http_client`, `test_application`, `test_account_source` and `test_client` of MSAL
//! Python.
//!
//! Theirs stores answers and replays them for a while; here a machine that must wait waits, and no answer is replayed.

use super::entra::*;
use crate::cache::grants::{WRITTEN, written};
use crate::support::*;
use device_flow_core::{
    Action, Client, Discovery, Failure, Machine as _, Provider, Refresh, Response, SignInReason, Timestamp, TokenCache,
    TokenSource, WaitReason,
};
use serde_json::json;
use std::sync::Arc;

fn refresh(scope: &str) -> Run<Refresh> {
    Run::of(Refresh::new(client().build().unwrap(), "RT-canary").scope(scope).unwrap())
}

#[test]
fn m19_two_refusals_are_two_requests() {
    let mut run = flow(client(), json!({}));
    run.script(&[(400, &refusal("authorization_pending", 70016)), (400, &refusal("authorization_pending", 70016))]);
    assert_eq!(run.requests.len(), 3);
    assert!(run.requests[2].at > run.requests[1].at);
    assert_eq!(run.requests[1].body, run.requests[2].body);
}

// From both sides: within the time that the server named nothing is sent, after it the next request is. A pending
// answer counts too; the delay can only lengthen what is due anyway.
#[test]
fn m20_retry_after_is_kept_with_400_429_and_5xx() {
    for (status, body) in [
        (400, refusal("authorization_pending", 70016)),
        (429, String::new()),
        (429, refusal("authorization_pending", 90055)),
        (503, String::from("<html>busy</html>")),
        (500, refusal("server_error", 90033)),
    ] {
        let mut run = flow(client(), json!({}));
        run.poll();
        run.respond(Response::new(status, body.as_bytes()).header("Retry-After", b"30"));
        let told = run.now;
        assert!(matches!(run.machine.next_action(Timestamp::from_millis(told)), Action::Wait { .. }));
        assert!(matches!(run.machine.next_action(Timestamp::from_millis(told + 29_999)), Action::Wait { .. }));
        let gap = run.poll();
        assert!((30_000..31_000).contains(&gap), "{status}: {gap}");
        assert_eq!(run.waits.last().unwrap().1, WaitReason::RetryAfter, "{status}");
    }
    // A silent sign-in does the same, but takes half a minute at most.
    for status in [429, 503] {
        let mut run = silent(request(), signed_in_cache(), WRITTEN + 3_600);
        run.poll();
        run.respond(Response::new(status, b"").header("Retry-After", b"20"));
        assert_eq!(run.poll(), 20_000);
        run.answer(200, &tokens(json!({})));
        assert_eq!(run.outcome().unwrap().source(), TokenSource::Refresh);
    }
}

// Each machine has its own request: only the machine that was asked to wait waits.
#[test]
fn m21_retry_after_holds_the_request_that_it_answered_and_no_other() {
    let (mut told, mut other) = (refresh("user.read"), refresh("openid"));
    told.poll();
    told.respond(Response::new(429, b"").header("Retry-After", b"20"));
    assert!(matches!(told.machine.next_action(Timestamp::from_millis(told.now + 1)), Action::Wait { .. }));
    assert_eq!(other.poll(), 0);
    other.answer(200, &tokens(json!({})));
    token(other.outcome());
    assert_eq!(told.poll(), 20_000);
}

// For good and not for a minute: the invalid token is removed from the cache, so there is nothing to send. (Java and
// .NET cache refusals for two minutes.)
#[test]
fn m22_after_one_invalid_grant_there_is_no_similar_request() {
    let mut first = silent(request(), signed_in_cache(), WRITTEN + 3_600);
    first.script(&[(400, &refusal("invalid_grant", 70008))]);
    let Failure::SignInNeeded(SignInReason::Refused(error)) = first.failure() else {
        panic!("a dead token did not ask")
    };
    assert_eq!(error.numbers(), [70008]);
    let mut again = silent(request(), first.machine.into_cache(), WRITTEN + 3_601);
    assert_eq!(again.failure(), Failure::SignInNeeded(SignInReason::NotSignedIn));
    assert!(again.requests.is_empty());
}

#[test]
fn m23_one_discovery_serves_every_sign_in() {
    let issuer = "https://login.example/tenant/v2.0";
    let document = json!({
        "issuer": issuer, "token_endpoint": "https://login.example/token",
        "device_authorization_endpoint": "https://login.example/devicecode"
    });
    let mut discovery = Run::of(Discovery::new(issuer).unwrap());
    discovery.poll();
    discovery.answer(200, &document.to_string());
    let metadata = discovery.outcome().unwrap();
    assert_eq!(discovery.requests.len(), 1);
    let client = Arc::new(Client::builder(Provider::from(metadata), "my-client").build().unwrap());
    for _ in 0..2 {
        let mut run = Run::new(Arc::clone(&client));
        run.poll();
        run.answer(200, &code(json!({})));
        run.script(&[(200, &tokens(json!({})))]);
        token(run.outcome());
        assert!(run.requests.iter().all(|sent| sent.method == "POST"));
    }
}

/// Names under which MSALs report about themselves.
fn is_telemetry(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-client") || name.starts_with("x-ms-") || name.starts_with("x-app-") || name == "user-agent"
}

fn assert_no_telemetry(requests: &[Sent]) {
    for sent in requests {
        let parameters = sent.parameters();
        let names = parameters.iter().map(|(name, _)| name).chain(sent.headers.iter().map(|(name, _)| name));
        names.for_each(|name| assert!(!is_telemetry(name), "{name}"));
        assert!(!sent.url.contains('?'));
    }
}

// An error is reported with everything that the server said, and does not affect the next attempt. Earlier failures are
// not reported to the server, because they concern only the caller.
#[test]
fn m24_errors_are_reported_and_leave_no_trace_in_later_requests() {
    let mut cache = signed_in_cache();
    for (status, answer, code) in [
        (400, refusal("error_1", 1), Some("error_1")),
        (400, refusal("error_2", 2), Some("error_2")),
        (200, tokens(json!({})), None),
        (200, tokens(json!({})), None),
    ] {
        let mut run = silent(request().force_refresh(), cache, WRITTEN + 60);
        run.script(&[(status, &answer)]);
        match (run.outcome(), code) {
            (Ok(signed_in), None) => assert_eq!(signed_in.access_token().expose(), "AT-canary"),
            (Err(Failure::Rejected(error)), Some(code)) => {
                assert_eq!((error.code(), error.trace_id()), (code, Some("trace")));
                assert_eq!(
                    (error.correlation_id(), error.timestamp()),
                    (Some("correlation"), Some("2027-01-15 08:00:00Z"))
                );
            }
            (outcome, _) => panic!("{code:?}: {outcome:?}"),
        }
        assert_eq!(run.requests.len(), 1);
        assert_no_telemetry(&run.requests);
        cache = run.machine.into_cache();
    }
}

#[test]
fn m25_the_device_flow_reports_nothing_about_itself() {
    let mut run = flow(client(), json!({}));
    run.script(&[(400, &refusal("authorization_pending", 70016)), (200, &tokens(json!({})))]);
    token(run.outcome());
    assert_eq!(run.requests.len(), 3);
    assert_no_telemetry(&run.requests);
}

#[test]
fn m26_the_account_remembers_its_grant_and_a_forced_refresh_uses_the_refresh_token() {
    let source = |cache: &TokenCache| {
        written(cache)["Account"].as_object().unwrap().values().next().unwrap()["account_source"].clone()
    };
    let cache = signed_in_cache();
    assert_eq!(source(&cache), GRANT);
    let mut run = silent(request().force_refresh(), cache, WRITTEN + 60);
    run.poll();
    assert_eq!(run.requests[0].parameter("refresh_token").as_deref(), Some("RT-canary"));
    run.answer(200, &tokens(json!({"access_token": "AT-canary-2"})));
    let signed_in = run.outcome().unwrap();
    assert_eq!((signed_in.access_token().expose(), signed_in.source()), ("AT-canary-2", TokenSource::Refresh));
    let cache = run.machine.into_cache();
    assert_eq!(source(&cache), GRANT, "and the refresh leaves it");
    let mut run = silent(request(), cache, WRITTEN + 60);
    assert_eq!(run.outcome().unwrap().access_token().expose(), "AT-canary-2");
    assert!(run.requests.is_empty());
}

// Theirs needs a person in front of a real server; the outcome is either of these.
#[test]
fn m27_a_code_of_half_a_minute_ends_with_the_token_or_expired() {
    let life = json!({"expires_in": 30});
    let mut run = flow(client(), life.clone());
    run.script(&[(400, &refusal("authorization_pending", 70016)), (200, &tokens(json!({})))]);
    token(run.outcome());
    let mut run = flow(client(), life);
    let mut polls = 0;
    while run.go() {
        run.answer(400, &refusal("authorization_pending", 70016));
        polls += 1;
    }
    let expired = expired(run.failure());
    assert_eq!((expired.trail.polls(), polls), (5, 5));
    assert!(run.now <= START + 30_000);
}
