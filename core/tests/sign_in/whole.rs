//! All three steps in one machine, and the last one alone.

use super::grants::*;
use crate::support::{PENDING, Run, device_answer};
use device_flow_core::{
    Action, ClaimsError, Client, Failure, Machine as _, Misuse, ProtocolFault, Provider, Response, SignIn,
    SignInReason, SignInRequest, Timestamp, TokenCache, TokenSource, TransportError, TransportErrorKind,
};
use serde_json::json;

#[test]
fn nobody_signed_in_leads_to_the_code_and_then_to_silence() {
    let mut run = full(request(), TokenCache::new(), THEN);
    run.script(&[(200, &device_answer(json!({}))), (400, PENDING), (200, &grant(1, json!({})))]);
    assert_eq!(run.prompts.len(), 1);
    assert_eq!(run.machine.reason(), Some(&SignInReason::NotSignedIn));
    assert_eq!(run.machine.device_flow().unwrap().trail().polls(), 2);
    let signed_in = run.outcome().unwrap();
    // Ten seconds of polling have passed on the calendar, too.
    let took = (run.now - run.requests[0].at) / 1_000;
    assert!((10..=11).contains(&took));
    assert_eq!(signed_in.expires_on(), Some(later(HOUR + took)));
    assert_eq!(token(Ok(signed_in)), ("AT-canary-1".to_owned(), TokenSource::DeviceFlow));
    let cache = run.machine.into_cache();
    assert_eq!(cache.accounts().len(), 1);
    assert_eq!(token(silent(request(), cache, THEN).outcome()).1, TokenSource::Cache);
}

#[test]
fn a_refused_refresh_leads_to_the_code_with_the_claims_that_it_asks_for() {
    let claims = r#"{"access_token":{"polids":{"essential":true}}}"#;
    let refusal = json!({"error": "invalid_grant", "suberror": "basic_action", "claims": claims}).to_string();
    let mut run = full(request(), ada(), later(HOUR));
    run.script(&[(400, &refusal), (200, &device_answer(json!({}))), (400, PENDING), (200, &grant(2, json!({})))]);
    for sent in &run.requests[1..] {
        asked(sent, &[("claims", Some(claims))]);
    }
    let Some(SignInReason::Refused(error)) = run.machine.reason() else { panic!() };
    assert_eq!(error.suberror(), Some("basic_action"));
    assert_eq!(token(run.outcome()).1, TokenSource::DeviceFlow);
    assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-2"]);
    // A challenge that is not an object is ignored.
    let mut run = full(request(), ada(), later(HOUR));
    run.script(&[(400, r#"{"error":"invalid_grant","claims":"[1]"}"#)]);
    run.poll();
    asked(&run.requests[1], &[("claims", None)]);
}

#[test]
fn claims_of_the_request_go_with_every_step() {
    let claims = r#"{"id_token":{"acr":{"value":"2"}}}"#;
    let mut run = full(request().claims(claims).unwrap(), ada(), THEN);
    run.script(&[(400, r#"{"error":"invalid_grant"}"#), (200, &device_answer(json!({}))), (400, PENDING)]);
    assert_eq!(run.requests.len(), 3);
    for sent in &run.requests {
        asked(sent, &[("claims", Some(claims))]);
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_no_reason_to_bother_the_person() {
    let mut run = full(request(), ada(), later(HOUR));
    while run.go() {
        run.fail(TransportErrorKind::Connect);
    }
    assert!(matches!(run.outcome.take().unwrap(), Err(Failure::Transport(_))));
    assert!(run.machine.reason().is_none() && run.prompts.is_empty());
}

// OIDC-3.1.3.7-3, OIDC-3.1.3.7-9: tokens beside an unacceptable ID token are not saved.
#[test]
fn an_id_token_that_is_not_ours_ends_the_sign_in() {
    for (change, fault) in [
        (json!({"aud": "another"}), ClaimsError::Audience),
        (json!({"exp": THEN.as_secs() - 400}), ClaimsError::Expired),
        (json!({"sub": null}), ClaimsError::Claim("sub")),
    ] {
        let mut run = full(request(), TokenCache::new(), THEN);
        let answer = grant(1, json!({"id_token": id_token("ada", change)}));
        run.script(&[(200, &device_answer(json!({}))), (200, &answer)]);
        let Failure::Protocol(error) = run.failure() else { panic!() };
        assert_eq!(error.fault, ProtocolFault::IdToken(fault));
        assert!(!run.machine.cache().is_changed());
    }
}

// OIDD-4.3-3, OIDC-3.1.3.7-2.
#[test]
fn the_issuer_of_the_metadata_is_the_only_one_that_may_vouch() {
    let document = json!({
        "issuer": "https://as.example/one", "device_authorization_endpoint": "https://as.example/d",
        "token_endpoint": "https://as.example/t"
    });
    let mut discovery = Run::of(device_flow_core::Discovery::new("https://as.example/one").unwrap());
    discovery.poll();
    discovery.answer(200, &document.to_string());
    let metadata = discovery.outcome().unwrap();
    let client = Client::builder(metadata, "my-app").scope("openid").build().unwrap();
    let request = SignInRequest::new(client);
    for (issuer, good) in [("https://as.example/one", true), ("https://as.example/two", false)] {
        let mut run = full(request.clone(), TokenCache::new(), THEN);
        let answer = grant(1, json!({"id_token": id_token("ada", json!({"iss": issuer}))}));
        run.script(&[(200, &device_answer(json!({}))), (200, &answer)]);
        match run.outcome() {
            Ok(_) => assert!(good, "{issuer}"),
            Err(failure) => {
                let text = failure.to_string();
                assert!(!good && text.contains("issued by https://as.example/two"), "{text}");
            }
        }
    }
    // Only Google may leave the scheme out.
    let google = std::sync::Arc::new(Client::builder(Provider::google(), "my-app").build().unwrap());
    for (issuer, good) in
        [("accounts.google.com", true), ("https://accounts.google.com", true), ("accounts.google.org", false)]
    {
        let mut run = full(SignInRequest::new(google.clone()), TokenCache::new(), THEN);
        let answer = grant(1, json!({"id_token": id_token("ada", json!({"iss": issuer}))}));
        run.script(&[(200, &device_answer(json!({}))), (200, &answer)]);
        assert_eq!(run.outcome().is_ok(), good, "{issuer}");
    }
}

#[test]
fn interactive_asks_the_person_whatever_the_cache_holds() {
    let flow = request().device_flow([7; 32]);
    let mut run = Run::of(SignIn::interactive(request(), ada(), THEN, flow));
    let eve = grant(2, json!({"id_token": id_token("eve", json!({}))}));
    run.script(&[(200, &device_answer(json!({}))), (200, &eve)]);
    assert_eq!(run.outcome().unwrap().account().unwrap().username(), "eve@example.test");
    assert_eq!(run.machine.cache().accounts().len(), 2);
}

#[test]
fn it_is_a_machine_like_the_others() {
    let now = Timestamp::ZERO;
    // Cancelled before it began, while it refreshes, while it polls; and only once.
    for answers in [vec![], vec![(400, r#"{"error":"invalid_grant"}"#)]] {
        let mut run = full(request(), ada(), later(HOUR));
        run.script(&answers);
        run.machine.cancel();
        run.machine.cancel();
        assert_eq!(run.failure(), Failure::Cancelled);
        assert!(matches!(run.machine.next_action(now), Action::Ended));
        run.machine.cancel();
        assert!(matches!(run.machine.next_action(now), Action::Ended));
    }
    // A ticket of another machine comes back, whatever the step.
    let foreign = || {
        let mut run = full(request(), TokenCache::new(), THEN);
        run.poll();
        run.take_ticket()
    };
    let mut sign_in = SignIn::new(request(), ada(), later(HOUR), [7; 32]);
    for _ in 0..2 {
        let response = Response::new(200, b"{}");
        assert!(matches!(sign_in.response(foreign(), response, now), Err(Misuse::NotOutstanding(_))));
        let error = TransportError::new(TransportErrorKind::Connect);
        assert!(matches!(sign_in.transport_failed(foreign(), error, now), Err(Misuse::NotOutstanding(_))));
        let Action::SendRequest(_) = sign_in.next_action(now) else { break };
    }
    // Its own ticket is accepted after a cancel, and the answer is dropped.
    let mut run = full(request(), TokenCache::new(), THEN);
    run.script(&[(200, &device_answer(json!({})))]);
    run.poll();
    let ticket = run.take_ticket();
    run.machine.cancel();
    run.machine.response(ticket, Response::new(200, grant(1, json!({})).as_bytes()), now).unwrap();
    assert_eq!(run.failure(), Failure::Cancelled);
    assert!(!run.machine.cache().is_changed());
}

#[test]
fn debug_shows_nothing_of_a_sign_in() {
    let run = full(request(), ada(), THEN);
    let shown = format!("{:?} {:?} {:?}", run.machine, request(), request().cached(&ada(), THEN).unwrap());
    assert!(!shown.contains("canary") && !shown.contains("ada@"), "{shown}");
    // It names the step, from the first to the last.
    let mut run = full(request(), ada(), later(HOUR));
    let mut steps = vec![format!("{:?}", run.machine)];
    run.poll();
    steps.push(format!("{:?}", run.machine));
    run.answer(400, r#"{"error":"invalid_grant"}"#);
    run.poll();
    steps.push(format!("{:?}", run.machine));
    run.machine.cancel();
    steps.push(format!("{:?}", run.machine));
    assert_eq!(run.failure(), Failure::Cancelled);
    steps.push(format!("{:?}", run.machine));
    for (shown, step) in steps.iter().zip(["Start", "Refreshing", "DeviceFlow", "Finished", "Ended"]) {
        assert!(shown.contains(&format!("{step:?}")), "{shown}");
    }
}
