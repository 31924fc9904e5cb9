//! The refresh (RFC 6749 §6): what is sent, which token is kept, who must act when it fails, and how long an outage is
//! tolerated.

use crate::support::*;
use device_flow_core::{
    Action, Cause, Client, ClientBuilder, ConfigError, Endpoint, Failure, Machine, Misuse, OAuthError, ProtocolFault,
    Provider, Refresh, Response, Secret, SignInReason, Timestamp, TransportError, TransportErrorKind, WaitReason,
};
use serde_json::json;

const OLD: &str = "RT-canary-old";
const NEW: &str = "RT-canary-new";
const BASE: [&str; 3] = ["grant_type=refresh_token", "client_id=my-app", "refresh_token=RT-canary-old"];

fn refresh() -> Refresh {
    Refresh::new(builder().build().unwrap(), OLD)
}

/// A refresh with its request in flight.
fn run() -> Run<Refresh> {
    asked(refresh())
}

fn asked(refresh: Refresh) -> Run<Refresh> {
    let mut run = Run::of(refresh);
    run.poll();
    run
}

fn failed(status: u16, body: &str) -> Failure {
    let mut run = run();
    run.answer(status, body);
    run.failure()
}

fn client(id: &str) -> ClientBuilder {
    Client::builder(Provider::endpoints("https://as/device", "https://as/token"), id)
}

/// The body, parameter by parameter.
fn body(refresh: Refresh) -> Vec<String> {
    asked(refresh).requests[0].body.split('&').map(str::to_owned).collect()
}

// R6749-6-1, R6749-6-2, R6749-6-3, R6749-6-6, RFC 6749 §2.3.1: no scope by default; nothing but the form.
#[test]
fn rfc6749_6_the_request() {
    let run = run();
    let sent = &run.requests[0];
    assert_eq!((sent.method, &*sent.url), ("POST", "https://as/token"));
    assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(sent.header("accept"), Some("application/json"));
    assert_eq!(sent.header("authorization"), None);
    assert_eq!(sent.body, BASE.join("&"));
    // A token is text like any other: it is encoded once.
    let odd = Refresh::new(builder().build().unwrap(), "RT+canary/=&%é ");
    assert_eq!(body(odd)[2], "refresh_token=RT%2Bcanary%2F%3D%26%25%C3%A9+");
}

// R6749-6-5, OIDC-12.1-1: with a secret the client authenticates, in the same way as everywhere.
#[test]
fn rfc6749_6_the_client_authenticates() {
    let run = asked(Refresh::new(client("my-app").client_secret_basic("SEC-canary").build().unwrap(), OLD));
    let sent = &run.requests[0];
    assert_eq!(sent.header("authorization"), Some("Basic bXktYXBwOlNFQy1jYW5hcnk="));
    assert_eq!(sent.body, "grant_type=refresh_token&refresh_token=RT-canary-old");
    let posted = body(Refresh::new(client("my-app").client_secret_post("SEC-canary").build().unwrap(), OLD));
    assert_eq!(
        posted,
        ["grant_type=refresh_token", "client_id=my-app", "client_secret=SEC-canary", "refresh_token=RT-canary-old"]
    );
    let both = client("my-app").client_secret_basic("SEC-canary").client_id_in_body();
    assert_eq!(body(Refresh::new(both.build().unwrap(), OLD)), BASE);
}

// R8707-2.2-1, R8707-2-1: the client's parameters for token requests are sent, those of the device request are not.
#[test]
fn the_clients_own_parameters_are_sent() {
    let client = builder().audience("https://api").resource("https://r/1").resource("https://r/2");
    let client = client.token_parameter("client_info", "1").device_parameter("mkt", "de-DE").pkce().build().unwrap();
    let refresh = Refresh::new(client, OLD).parameter("claims", r#"{"a":1}"#).unwrap().parameter("empty", "").unwrap();
    assert_eq!(
        body(refresh),
        [
            "grant_type=refresh_token",
            "client_id=my-app",
            "audience=https%3A%2F%2Fapi",
            "resource=https%3A%2F%2Fr%2F1",
            "resource=https%3A%2F%2Fr%2F2",
            "client_info=1",
            "refresh_token=RT-canary-old",
            "claims=%7B%22a%22%3A1%7D",
        ]
    );
}

// xms_cc: the client's capabilities are sent beside other parameters, and the caller's claims in their place.
#[test]
fn capabilities_are_sent_unless_the_caller_sends_claims() {
    let asked_with = |name: &str, value: &str| {
        let client = builder().capability("cp1").build().unwrap();
        body(Refresh::new(client, OLD).parameter(name, value).unwrap()).split_off(3)
    };
    assert_eq!(asked_with("claims", r#"{"a":1}"#), ["claims=%7B%22a%22%3A1%7D"]);
    let own = "claims=%7B%22access_token%22%3A%7B%22xms_cc%22%3A%7B%22values%22%3A%5B%22cp1%22%5D%7D%7D%7D";
    assert_eq!(asked_with("client_info", "1"), ["client_info=1", own]);
}

// R6749-6-3, R6749-6-4: all or some of the client's scopes, and no other.
#[test]
fn rfc6749_6_a_scope_may_be_narrower_and_not_wider() {
    for (scope, sent) in [
        ("openid", Some("scope=openid")),
        (" profile  openid profile ", Some("scope=profile+openid")),
        ("", None),
        (" ", None),
    ] {
        let parameters = body(refresh().scope(scope).unwrap());
        assert_eq!(parameters.get(3).map(String::as_str), sent, "{scope:?}");
    }
    for wider in ["email", "openid email", "OpenID", "open", "openid profile email"] {
        let refused = refresh().scope(wider).unwrap_err();
        let named = wider.split(' ').find(|scope| !["openid", "profile"].contains(scope)).unwrap();
        assert_eq!(refused, ConfigError::WiderScope(named.into()));
        assert!(refused.to_string().contains("sign in again"));
    }
    assert!(matches!(refresh().scope("open\"id"), Err(ConfigError::Scope(_))));
    // Without scopes of its own the client cannot know what was granted.
    let open = Refresh::new(client("my-app").build().unwrap(), OLD).scope("whatever").unwrap();
    assert_eq!(body(open)[3], "scope=whatever");
}

#[test]
fn a_parameter_is_refused_when_it_is_owned_or_there_already() {
    for owned in ["grant_type", "refresh_token", "client_id", "client_secret", "scope", "resource", "audience", ""] {
        let refused = refresh().parameter(owned, "x").unwrap_err();
        assert_eq!(refused, ConfigError::ReservedParameter(owned.into()));
    }
    let twice = refresh().parameter("claims", "{}").unwrap().parameter("claims", "{}").unwrap_err();
    assert_eq!(twice, ConfigError::RepeatedParameter("claims".into()));
    let client = builder().token_parameter("client_info", "1").build().unwrap();
    let twice = Refresh::new(client, OLD).parameter("client_info", "1").unwrap_err();
    assert_eq!(twice, ConfigError::RepeatedParameter("client_info".into()));
    // It cannot come from the client either.
    let refused = builder().token_parameter("refresh_token", "RT-canary").build().unwrap_err();
    assert_eq!(refused, ConfigError::ReservedParameter("refresh_token".into()));
}

// B24, R6749-6-7, R6749-6-8, R9700-2.2.2-1: the output holds the token to keep.
#[test]
fn b24_the_new_refresh_token_or_else_the_old_one() {
    for (member, kept) in [(json!(NEW), NEW), (json!(OLD), OLD), (json!(null), OLD), (json!(""), OLD)] {
        let mut run = run();
        let answer =
            json!({"access_token": "AT-canary", "token_type": "bearer", "expires_in": 60, "refresh_token": member});
        run.answer(200, &answer.to_string());
        let token = token(run.outcome());
        assert_eq!(token.access_token().expose(), "AT-canary");
        assert_eq!(token.refresh_token().unwrap().expose(), kept, "{member}");
    }
    let mut run = run();
    run.answer(200, TOKEN);
    assert_eq!(token(run.outcome()).refresh_token().unwrap().expose(), OLD);
    assert_eq!(run.requests.len(), 1);
}

// RFC 6749 §5.1: without `scope` in the answer, what was asked for; in a refresh that is what the client has or the
// narrower list.
#[test]
fn scopes_of_the_answer() {
    let scopes = |refresh: Refresh, answer: &str| {
        let mut run = asked(refresh);
        run.answer(200, answer);
        let token = token(run.outcome());
        let missing: Vec<_> = token.missing_scopes().map(str::to_owned).collect();
        (token.scopes().map(str::to_owned).collect::<Vec<_>>(), missing)
    };
    let named = r#"{"access_token":"AT-canary","token_type":"bearer","scope":"openid"}"#;
    assert_eq!(scopes(refresh(), TOKEN), (vec!["openid".into(), "profile".into()], vec![]));
    assert_eq!(scopes(refresh().scope("").unwrap(), TOKEN), (vec!["openid".into(), "profile".into()], vec![]));
    assert_eq!(scopes(refresh().scope("profile").unwrap(), TOKEN), (vec!["profile".into()], vec![]));
    assert_eq!(scopes(refresh(), named), (vec!["openid".into()], vec!["profile".into()]));
    assert_eq!(scopes(refresh().scope("openid").unwrap(), named), (vec!["openid".into()], vec![]));
}

#[track_caller]
fn sign_in(failure: Failure) -> OAuthError {
    let Failure::SignInNeeded(SignInReason::Refused(error)) = failure else { panic!("{failure}") };
    error
}

// B23, R7009-2.1-5, R9700-4.14.2-1: the refresh token is no longer valid.
#[test]
fn b23_a_dead_refresh_token_needs_a_sign_in_and_is_not_kept() {
    for code in ["invalid_grant", "bad_refresh_token"] {
        for status in [200, 400, 401, 403] {
            let failure = failed(status, &json!({"error": code}).to_string());
            assert!(!failure.keeps_refresh_token() && !failure.is_retryable());
            let text = failure.to_string();
            assert!(
                text.starts_with(&format!("sign in again: {code} - the refresh token is no longer good")),
                "{text}"
            );
            let error = sign_in(failure);
            assert_eq!((error.code(), error.status()), (code, status));
        }
    }
    // Twitch.
    let failure = failed(400, r#"{"status":400,"message":"Invalid refresh token"}"#);
    assert!(!failure.keeps_refresh_token());
    sign_in(failure);
    for suberror in ["bad_token", "token_expired"] {
        let failure = failed(400, &json!({"error": "invalid_grant", "suberror": suberror}).to_string());
        assert!(!failure.keeps_refresh_token(), "{suberror}");
        assert_eq!(sign_in(failure).suberror(), Some(suberror));
    }
}

// B23: the person is needed, but the token may still be good for other requests.
#[test]
fn b23_the_person_is_needed_and_the_token_is_kept() {
    for code in ["interaction_required", "login_required", "consent_required", "account_selection_required"] {
        let failure = failed(400, &json!({"error": code}).to_string());
        assert!(failure.keeps_refresh_token(), "{code}");
        let error = sign_in(failure);
        assert_eq!(error.code(), code);
        assert!(error.advice().is_some());
    }
    for suberror in
        ["message_only", "additional_action", "basic_action", "user_password_expired", "consent_required", "new_one"]
    {
        for code in ["invalid_grant", "interaction_required"] {
            let failure = failed(400, &json!({"error": code, "suberror": suberror}).to_string());
            assert!(failure.keeps_refresh_token(), "{code} {suberror}");
            assert_eq!(sign_in(failure).suberror(), Some(suberror));
        }
    }
    // Google has another name for it.
    let failure = failed(400, r#"{"error":"invalid_grant","error_subtype":"invalid_rapt"}"#);
    assert!(failure.to_string().contains("limits how long a sign-in lasts"), "{failure}");
    assert_eq!(sign_in(failure).suberror(), Some("invalid_rapt"));
}

// A refusal that a sign-in would not cure does not ask for one.
#[test]
fn refusals_that_a_sign_in_would_not_cure() {
    for suberror in ["client_mismatch", "protection_policy_required", "device_authentication_failed"] {
        for code in ["invalid_grant", "interaction_required"] {
            let failure = failed(400, &json!({"error": code, "suberror": suberror}).to_string());
            assert!(failure.keeps_refresh_token() && !failure.is_retryable(), "{code} {suberror}");
            let Failure::Rejected(error) = failure else { panic!("{failure}") };
            assert_eq!((error.code(), error.suberror()), (code, Some(suberror)));
            assert!(error.advice().is_some());
        }
    }
    // The suberror alone changes nothing: the code decides.
    for code in ["invalid_client", "invalid_scope", "access_denied", "expired_token", "authorization_pending", "weird"]
    {
        for suberror in [json!(null), json!("basic_action"), json!("bad_token")] {
            let failure = failed(400, &json!({"error": code, "suberror": suberror}).to_string());
            assert!(failure.keeps_refresh_token(), "{code}");
            assert!(matches!(&failure, Failure::Rejected(error) if error.code() == code), "{failure}");
        }
    }
}

// The claims challenge reaches the caller whole, so that the sign-in can ask for what is missing.
#[test]
fn a_claims_challenge_is_handed_on() {
    let claims = r#"{"access_token":{"capolids":{"essential":true,"values":["c1"]}}}"#;
    let error = sign_in(failed(
        400,
        &json!({"error": "invalid_grant", "suberror": "basic_action", "claims": claims, "error_codes": [50076]})
            .to_string(),
    ));
    assert_eq!((error.claims(), error.numbers()), (Some(claims), &[50076][..]));
    assert!(error.advice().unwrap().contains("second factor"));
    assert_eq!(body(refresh().parameter("claims", error.claims().unwrap()).unwrap()).len(), 4);
}

// B23: without an answer nothing is known about the token.
#[test]
fn b23_an_outage_keeps_the_token() {
    let mut run = run();
    for wait in [1_000, 2_000, 4_000] {
        run.fail(TransportErrorKind::Closed);
        assert_eq!(run.poll(), wait);
    }
    run.fail(TransportErrorKind::Timeout);
    let failure = run.failure();
    assert!(matches!(&failure, Failure::Transport(error) if error.kind() == TransportErrorKind::Timeout));
    assert!(failure.keeps_refresh_token() && failure.is_retryable());
    assert_eq!(run.requests.len(), 4);
    assert!(run.requests.iter().all(|sent| sent.body == BASE.join("&")), "the old token each time");
    let told = |attempt, kind| WaitReason::Backoff { cause: Cause::Transport(kind), attempt };
    let reasons: Vec<_> = run.waits.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(reasons, [1, 2, 3].map(|attempt| told(attempt, TransportErrorKind::Closed)));
    // A certificate that is not trusted is not tried again.
    let mut run = self::run();
    run.fail(TransportErrorKind::UntrustedCertificate);
    assert!(run.failure().keeps_refresh_token());
    assert_eq!(run.requests.len(), 1);
}

#[test]
fn an_unavailable_server_is_asked_again_and_then_reported() {
    for status in [408, 429, 500, 503, 599] {
        for body in ["", "<html>busy</html>", r#"{"error":"temporarily_unavailable"}"#] {
            let mut run = run();
            let mut gaps = vec![];
            for _ in 0..3 {
                run.answer(status, body);
                gaps.push(run.poll());
            }
            assert_eq!(gaps, [1_000, 2_000, 4_000]);
            run.answer(status, body);
            let failure = run.failure();
            assert!(failure.keeps_refresh_token() && failure.is_retryable());
            let Failure::Protocol(error) = failure else { panic!("{failure}") };
            assert_eq!((error.endpoint, error.fault), (Endpoint::Token, ProtocolFault::Unavailable(status)));
            // A good answer comes in between.
            let mut run = self::run();
            run.answer(status, body);
            run.poll();
            run.answer(200, TOKEN);
            token(run.outcome());
        }
    }
    // `slow_down` means the same.
    let mut run = run();
    for wait in [1_000, 2_000, 4_000] {
        run.answer(429, SLOW_DOWN);
        assert_eq!(run.poll(), wait);
    }
    run.answer(400, SLOW_DOWN);
    assert!(matches!(run.failure(), Failure::Rejected(error) if error.code() == "slow_down"));
}

// RFC 9110 §10.2.3: a delay is kept, if the next attempt then begins within 30 s of the first; a longer one is told at
// once.
#[test]
fn k07_retry_after_is_kept_within_the_limit_of_a_refresh() {
    for (value, gap) in [("0", Some(1_000)), ("1", Some(1_000)), ("2", Some(2_000)), ("29", Some(29_000)), ("30", None)]
    {
        let mut run = run();
        run.respond(Response::new(503, b"").header("retry-after", value.as_bytes()));
        match gap {
            Some(gap) => assert_eq!(run.poll(), gap),
            None => assert!(matches!(run.failure(), Failure::Protocol(_))),
        }
        if value == "29" {
            assert_eq!(run.waits[0].1, WaitReason::RetryAfter);
        }
    }
}

// One slow server holds a refresh up for half a minute, whatever it does: each request may take what is left.
#[test]
fn k07_a_refresh_as_a_whole_takes_no_longer_than_30_seconds() {
    let (mut machine, mut now, mut left) = (refresh(), 0, Vec::new());
    let outcome = loop {
        match machine.next_action(Timestamp::from_millis(now)) {
            Action::SendRequest(outgoing) => {
                let limit = outgoing.request.time_limit().expect("it has a limit");
                left.push(limit.as_secs());
                // The transport gives up when the limit has passed, or after ten seconds.
                now += u64::try_from(limit.as_millis()).unwrap().min(10_000);
                let error = TransportError::new(TransportErrorKind::Timeout);
                machine.transport_failed(outgoing.ticket, error, Timestamp::from_millis(now)).unwrap();
            }
            Action::Wait { until, .. } => now = until.as_millis(),
            Action::Done(outcome) => break outcome,
            other @ (Action::ShowCode(_) | Action::AwaitResponse | Action::Ended) => panic!("{other:?}"),
        }
    };
    assert_eq!((left, now), (vec![30, 19, 7], 30_000));
    assert!(matches!(outcome, Err(Failure::Transport(_))));
}

// An unusable answer is reported, the request is not repeated, and the old token is kept.
#[test]
fn unusable_answers_end_it_and_keep_the_token() {
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(64 * 1024));
    for (status, body, fault) in [
        (200, r"{}", ProtocolFault::Missing("access_token")),
        (200, r#"{"access_token":"AT-canary","token_type":"mac"}"#, ProtocolFault::TokenType("mac".into())),
        (
            200,
            r#"{"access_token":"AT-canary","access_token":"x"}"#,
            ProtocolFault::DuplicateMember("access_token".into()),
        ),
        (200, "", ProtocolFault::Empty(200)),
        (200, &long, ProtocolFault::TooLarge(64 * 1024)),
        (302, "", ProtocolFault::Redirect(302)),
        (404, "{}", ProtocolFault::Status(404)),
        (200, "<html>log in</html>", ProtocolFault::Page { status: 200, excerpt: "<html>log in</html>".into() }),
    ] {
        let mut run = run();
        run.answer(status, body);
        let failure = run.failure();
        assert!(failure.keeps_refresh_token());
        let Failure::Protocol(error) = failure else { panic!("{failure}") };
        assert_eq!((error.endpoint, error.fault), (Endpoint::Token, fault));
        assert_eq!(run.requests.len(), 1);
    }
    // What is tolerated in a sign-in is tolerated here, unless the client is strict.
    let bare = r#"{"access_token":"AT-canary"}"#;
    let mut lenient = run();
    lenient.answer(200, bare);
    token(lenient.outcome());
    let mut strict = asked(Refresh::new(builder().strict().build().unwrap(), OLD));
    strict.answer(200, bare);
    assert!(matches!(strict.failure(), Failure::Protocol(e) if e.fault == ProtocolFault::Missing("token_type")));
}

// G03, R10027-6.1.14-3: cancelling from every state; terminal is terminal.
#[test]
fn cancelling_ends_it_from_every_state() {
    let ended = |mut run: Run<Refresh>| {
        run.machine.cancel();
        let failure = run.failure();
        assert!(matches!(failure, Failure::Cancelled) && failure.keeps_refresh_token());
        assert!(matches!(run.machine.next_action(Timestamp::MAX), Action::Ended));
        run.machine.cancel();
        assert!(matches!(run.machine.next_action(Timestamp::ZERO), Action::Ended));
    };
    ended(Run::of(refresh()));
    ended({
        let mut waiting = run();
        waiting.fail(TransportErrorKind::Dns);
        waiting
    });
    // In flight: the answer comes later and is dropped.
    let mut busy = run();
    let ticket = busy.take_ticket();
    busy.machine.cancel();
    busy.machine.response(ticket, Response::new(200, TOKEN.as_bytes()), Timestamp::from_millis(busy.now)).unwrap();
    assert!(matches!(busy.failure(), Failure::Cancelled));
    let mut busy = run();
    let ticket = busy.take_ticket();
    ended(busy);
    let mut other = run();
    let foreign =
        other.machine.transport_failed(ticket, TransportError::new(TransportErrorKind::Closed), Timestamp::ZERO);
    assert!(matches!(foreign, Err(Misuse::NotOutstanding(_))));
    other.answer(200, TOKEN);
    other.machine.cancel();
    token(other.outcome());
}

// G02, G14: misuse changes nothing.
#[test]
fn misuse_changes_nothing() {
    let (mut ours, mut other) = (run(), run());
    let now = Timestamp::from_millis(ours.now + 60_000);
    let before = format!("{:?}", ours.machine);
    let misuse = ours.machine.response(other.take_ticket(), Response::new(200, TOKEN.as_bytes()), now).unwrap_err();
    assert!(matches!(misuse, Misuse::NotOutstanding(_)));
    let ticket = ours.take_ticket();
    let misuse = ours.machine.response(ticket, Response::new(99, TOKEN.as_bytes()), now).unwrap_err();
    assert!(matches!(misuse, Misuse::InvalidStatus(_, 99)));
    assert_eq!(format!("{:?}", ours.machine), before, "not even the time was taken");
    assert!(matches!(ours.machine.next_action(Timestamp::from_millis(START)), Action::AwaitResponse));
    ours.machine.response(misuse.into_ticket(), Response::new(200, TOKEN.as_bytes()), now).unwrap();
    token(ours.outcome());
}

// An earlier `now` counts as the latest seen: a wait is neither cut nor stretched by it.
#[test]
fn an_earlier_now_counts_as_the_latest_seen() {
    let mut run = run();
    let ticket = run.take_ticket();
    run.machine.transport_failed(ticket, TransportError::new(TransportErrorKind::Closed), Timestamp::ZERO).unwrap();
    for now in [Timestamp::ZERO, Timestamp::from_millis(START), Timestamp::from_millis(START + 999)] {
        let Action::Wait { until, .. } = run.machine.next_action(now) else { panic!() };
        assert_eq!(until.as_millis(), START + 1_000);
    }
    assert!(matches!(run.machine.next_action(Timestamp::from_millis(START + 1_000)), Action::SendRequest(_)));
    assert!(matches!(run.machine.next_action(Timestamp::ZERO), Action::AwaitResponse));
}

// G11: nothing that is printed holds a secret, at any point of its life.
#[test]
fn g11_nothing_prints_the_token() {
    let silent = |run: &mut Run<Refresh>| device_flow_testkit::secrets::none_in(&format!("{:?}", run.machine));
    let client = client("my-app").client_secret_basic("SEC-canary").build().unwrap();
    let mut run = Run::of(Refresh::new(client, OLD).parameter("claims", "canary").unwrap());
    silent(&mut run);
    assert!(format!("{:?}", run.machine).contains("Refresh"));
    let action = run.machine.next_action(Timestamp::ZERO);
    device_flow_testkit::secrets::none_in(&format!("{action:?}"));
    let Action::SendRequest(outgoing) = action else { panic!() };
    silent(&mut run);
    let answer = format!(r#"{{"access_token":"AT-canary","token_type":"bearer","refresh_token":"{NEW}"}}"#);
    run.machine.response(outgoing.ticket, Response::new(200, answer.as_bytes()), Timestamp::ZERO).unwrap();
    silent(&mut run);
    device_flow_testkit::secrets::none_in(&format!("{:?}", run.machine.next_action(Timestamp::ZERO)));
    silent(&mut run);
}

// It may be kept anywhere, like every machine.
#[test]
fn a_refresh_is_send_and_sync() {
    fn anywhere<T: Send + Sync + Unpin + 'static>() {}
    anywhere::<Refresh>();
    assert_eq!(refresh().client().client_id(), "my-app");
}

// An answer that cannot be used may still have made the old token invalid.
#[test]
fn a_rotated_token_of_an_answer_without_an_access_token_is_handed_out() {
    let mut run = run();
    assert_eq!(run.machine.rotated().map(Secret::expose), None);
    run.answer(200, &json!({"token_type": "Bearer", "refresh_token": NEW}).to_string());
    assert!(matches!(run.failure(), Failure::Protocol(_)));
    assert_eq!(run.machine.rotated().map(Secret::expose), Some(NEW));
}

// RFC 6749 §5.1, §5.2: nothing of an answer that contradicts itself is used, and the old token may still be good.
#[test]
fn k19_a_refresh_answered_with_a_token_and_an_error_uses_neither() {
    for code in ["invalid_grant", "slow_down", "authorization_pending", "weird"] {
        let mut run = run();
        let body = json!({"access_token": "AT-canary", "token_type": "Bearer", "refresh_token": NEW, "error": code});
        run.answer(200, &body.to_string());
        let failure = run.failure();
        let Failure::Protocol(error) = &failure else { panic!("{code}: {failure}") };
        assert_eq!(error.fault, ProtocolFault::TokenAndError(code.into()));
        assert!(failure.keeps_refresh_token() && !failure.is_retryable(), "{code}");
        assert_eq!((run.machine.rotated().is_none(), run.requests.len()), (true, 1), "{code}");
    }
}

// W05: what was asked for decides what can be done about it.
#[test]
fn w05_advice_about_scopes_is_for_a_refresh_that_names_some() {
    let refused = |refresh| {
        let mut run = asked(refresh);
        run.answer(400, r#"{"error":"invalid_scope"}"#);
        let Failure::Rejected(error) = run.failure() else { panic!() };
        error.advice().unwrap().to_owned()
    };
    assert!(refused(refresh().scope("openid").unwrap()).contains("check the scopes"));
    assert!(refused(refresh()).contains("no longer allows"));
}
