//! Who a token is for: the question to the userinfo endpoint (OpenID Connect Core §5.3) and its answers.

use super::grants::*;
use crate::keys::Signer;
use crate::support::{Run, builder};
use device_flow_core::{
    Client, ConfigError, Discovery, Endpoint, Failure, IdTokenClaims, ProtocolFault, Response, SignInRequest, SignedIn,
    TextFault, TransportErrorKind, UserInfo, UserInfoResponse, WaitReason,
};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const ENDPOINT: &str = "https://as/me?v=1";

fn signed_in() -> SignedIn {
    request().cached(&ada(), THEN).unwrap()
}

fn asked_of(client: Arc<Client>, signed_in: &SignedIn) -> Run<UserInfo> {
    let mut run = Run::of(UserInfo::new(client, ENDPOINT, signed_in).unwrap());
    run.poll();
    run
}

fn answered(status: u16, body: &str) -> Result<UserInfoResponse, Failure> {
    let mut run = asked_of(client(), &signed_in());
    run.answer(status, body);
    run.outcome()
}

#[track_caller]
fn fault(outcome: Result<UserInfoResponse, Failure>) -> ProtocolFault {
    let Err(Failure::Protocol(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.endpoint, Endpoint::UserInfo);
    assert!(error.to_string().contains("userinfo endpoint"), "{error}");
    error.fault
}

// OpenID Connect Core §5.3.1, RFC 6750 §2.1.
#[test]
fn the_question_is_a_get_with_the_token_in_a_header() {
    let run = asked_of(client(), &signed_in());
    let sent = &run.requests[0];
    assert_eq!((sent.method, &*sent.url, &*sent.body), ("GET", ENDPOINT, ""));
    assert_eq!(sent.header("authorization"), Some("Bearer AT-canary-1"));
    assert_eq!((sent.header("dpop"), sent.header("content-type")), (None, None));
    let shown = format!("{:?}", run.machine);
    assert!(shown.contains(ENDPOINT) && !shown.contains("canary"), "{shown}");
}

// OpenID Connect Core §5.3.2.
#[test]
fn the_answer_is_claims_by_name_and_debug_tells_only_how_many() {
    let answer = json!({
        "sub": "sub-ada", "name": "Ada\u{1b}[2J", "email_verified": true, "address": {"country": "GB"}, "nickname": "", "zoneinfo": null
    });
    let person = answered(200, &answer.to_string()).unwrap();
    assert_eq!(person.text("sub").as_deref(), Some("sub-ada"));
    assert!(person.text("name").unwrap().chars().all(|c| !c.is_control()));
    for absent in ["email_verified", "address", "nickname", "zoneinfo", "email"] {
        assert_eq!(person.text(absent), None, "{absent}");
    }
    let claims: Vec<_> = person.raw_claims().collect();
    assert!(claims.contains(&("email_verified", "true")) && claims.contains(&("address", r#"{"country":"GB"}"#)));
    assert_eq!((claims.len(), format!("{person:?}")), (5, "UserInfoResponse(5 claims)".to_owned()));
    // Without `sub`, as GitHub answers, as long as nobody is expected.
    assert_eq!(answered(200, r#"{"login":"octocat"}"#).unwrap().text("login").as_deref(), Some("octocat"));
}

// OpenID Connect Core §5.3.2: claims about somebody else must not be used.
#[test]
fn an_answer_about_somebody_else_is_refused() {
    let claims = IdTokenClaims::read(signed_in().id_token().unwrap()).unwrap();
    for (body, expected) in [
        (r#"{"sub":"sub-ada"}"#, None),
        (r#"{"sub":"sub-eve","name":"Ada"}"#, Some(ProtocolFault::Invalid("sub"))),
        (r#"{"sub":["sub-ada"]}"#, Some(ProtocolFault::Invalid("sub"))),
        (r#"{"name":"Ada"}"#, Some(ProtocolFault::Missing("sub"))),
    ] {
        let question = UserInfo::new(client(), ENDPOINT, &signed_in()).unwrap().about(claims.raw_subject());
        let mut run = Run::of(question);
        run.poll();
        run.answer(200, body);
        let outcome = run.outcome();
        match expected {
            None => assert!(outcome.is_ok(), "{outcome:?}"),
            Some(expected) => assert_eq!(fault(outcome), expected, "{body}"),
        }
    }
}

#[test]
fn what_is_no_answer_is_told_with_its_status_and_the_servers_words() {
    assert_eq!(fault(answered(401, "")), ProtocolFault::Status(401));
    let refused = answered(403, r#"{"error":"insufficient_scope","error_description":"openid is needed"}"#);
    let Err(Failure::Protocol(error)) = &refused else { panic!("{refused:?}") };
    assert_eq!(error.said(), Some("insufficient_scope: openid is needed"));
    assert_eq!(fault(refused), ProtocolFault::Status(403));
    assert_eq!(fault(answered(302, "")), ProtocolFault::Redirect(302));
    assert!(matches!(fault(answered(200, "<html>")), ProtocolFault::Page { status: 200, .. }));
    // A signed answer (§5.3.2): only who has the server's keys could check it.
    assert!(matches!(fault(answered(200, "eyJhbGciOiJSUzI1NiJ9.e30.canary")), ProtocolFault::Page { .. }));
    assert_eq!(
        fault(answered(200, &" ".repeat(64 * 1024 + 1))),
        ProtocolFault::Page { status: 200, excerpt: "".into() }
    );
}

#[test]
fn an_outage_is_waited_for_and_given_up_in_the_end() {
    let mut run = asked_of(client(), &signed_in());
    run.answer(503, "");
    run.poll();
    assert!(matches!(run.waits[0].1, WaitReason::Backoff { attempt: 1, .. }));
    run.fail(TransportErrorKind::Connect);
    run.poll();
    run.answer(200, r#"{"sub":"a"}"#);
    assert!(run.outcome().is_ok());
    let mut run = asked_of(client(), &signed_in());
    run.answer(503, "");
    while run.go() {
        run.answer(503, "");
    }
    assert_eq!(fault(run.outcome.take().unwrap()), ProtocolFault::Unavailable(503));
}

// G08: a token goes to no address that others can listen to.
#[test]
fn g08_the_address_must_be_https_unless_loopback_is_allowed() {
    let question = |client: Arc<Client>, url: &str| UserInfo::new(client, url, &signed_in()).map(drop);
    let which = "userinfo endpoint";
    for (url, fault) in [("http://as/me", TextFault::Scheme), ("/me", TextFault::NotAUri)] {
        let error = question(client(), url).unwrap_err();
        assert_eq!(error, ConfigError::Endpoint { which, url: url.into(), fault });
    }
    assert!(question(client(), "http://127.0.0.1/me").is_err());
    let allowing = Arc::new(builder().allow_http_loopback().build().unwrap());
    assert!(question(allowing.clone(), "http://127.0.0.1/me").is_ok());
    assert!(question(allowing, "http://as/me").is_err());
}

// RFC 9449 §7.1, §8, §9.
#[test]
fn a_token_that_is_bound_to_a_key_is_proven_and_a_nonce_is_answered_once() {
    let signer = Signer::named("thumbprint-of-the-first-key-43-characters-0");
    let client = Arc::new(builder().proof_of_possession(signer.clone()).build().unwrap());
    let request = SignInRequest::new(client.clone());
    let cache = cache_of(&request, &[grant(1, json!({"token_type": "DPoP"}))]);
    let signed_in = request.cached(&cache, THEN).unwrap();
    let mut run = asked_of(client.clone(), &signed_in);
    let challenge = || Response::new(401, b"").header("DPoP-Nonce", b"n-1");
    run.respond(challenge());
    run.poll();
    assert_eq!(run.requests[0].header("authorization").unwrap(), "DPoP AT-canary-1");
    assert!(
        run.requests[0].header("dpop").unwrap().contains("GET_https___as_me_"),
        "{}",
        run.requests[0].header("dpop").unwrap()
    );
    assert!(run.requests[1].header("dpop").unwrap().contains("n_1"), "{}", run.requests[1].header("dpop").unwrap());
    assert!(run.waits.is_empty(), "at once");
    run.respond(challenge());
    assert_eq!(fault(run.outcome()), ProtocolFault::Status(401));

    // A bearer token of the same client needs no proof, and a nonce changes nothing for it.
    let mut run = asked_of(client.clone(), &request.cached(&ada_of(&request), THEN).unwrap());
    assert_eq!(run.requests[0].header("dpop"), None);
    run.respond(challenge());
    assert_eq!(fault(run.outcome()), ProtocolFault::Status(401));

    signer.locked.store(true, Ordering::Relaxed);
    let mut run = Run::of(UserInfo::new(client, ENDPOINT, &signed_in).unwrap());
    let Failure::Transport(error) = run.failure() else { panic!() };
    assert_eq!(error.kind(), TransportErrorKind::Signing);
}

fn ada_of(request: &SignInRequest) -> device_flow_core::TokenCache {
    cache_of(request, &[grant(1, json!({}))])
}

// OpenID Connect Discovery §3: the member is optional, and is as the server wrote it.
#[test]
fn the_metadata_names_the_endpoint_or_none() {
    for (named, found) in [(json!("https://as/me"), Some("https://as/me")), (json!(null), None), (json!(["x"]), None)] {
        let document = json!({
            "issuer": "https://as", "device_authorization_endpoint": "https://as/device", "token_endpoint": "https://as/token",
            "userinfo_endpoint": named
        });
        let mut run = Run::of(Discovery::new("https://as").unwrap());
        run.poll();
        run.answer(200, &document.to_string());
        assert_eq!(run.outcome().unwrap().userinfo_endpoint(), found);
    }
}
