//! M28 to M31: `oauth_test`, `accesstokens_test` and `public_test` of MSAL Go.

use super::entra::*;
use crate::cache::grants::TENANT;
use crate::support::*;
use device_flow_core::{
    Action, Client, Discovery, Failure, Machine as _, Outgoing, Provider, Timestamp, TransportErrorKind,
};
use serde_json::json;

// Theirs treats slow_down like pending, and its second case ends before the error.
#[test]
fn m28_pending_then_slow_down_then_the_token_or_the_error() {
    let (pending, slow_down) = (refusal("authorization_pending", 70016), refusal("slow_down", 0));
    for (status, last) in [(200, tokens(json!({}))), (400, refusal("bad_error", 1))] {
        let mut run = flow(client(), json!({}));
        let gaps = run.script(&[(400, &pending), (400, &slow_down), (status, &last)]);
        for (gap, due) in gaps.into_iter().zip([5, 5, 10]) {
            assert_gap(gap, due, due);
        }
        match (run.outcome(), status) {
            (Ok(token), 200) => assert_eq!(token.access_token().expose(), "AT-canary"),
            (Err(Failure::Rejected(error)), 400) => assert_eq!(error.code(), "bad_error"),
            (outcome, _) => panic!("{status}: {outcome:?}"),
        }
        assert_eq!(run.requests.len(), 4);
    }
}

// Endpoints that cannot be found, a request for a code that fails, and one that brings it.
#[test]
fn m29_no_endpoints_no_code_or_the_code() {
    let mut lost = Run::of(Discovery::new("https://login.example/tenant").unwrap());
    while lost.go() {
        lost.fail(TransportErrorKind::Dns);
    }
    assert!(matches!(lost.failure(), Failure::Transport(_)));
    let mut refused = Run::new(client().build().unwrap());
    refused.poll();
    refused.answer(400, &refusal("invalid_request", 50059));
    assert!(matches!(refused.failure(), Failure::Rejected(error) if error.numbers() == [50059]));
    let mut granted = flow(client(), json!({}));
    granted.poll();
    assert_eq!(granted.prompts[0].user_code(), "ABCD-EFGH");
}

// To the byte, in this order. `scope` belongs to the first request alone (RFC 8628 §3.1, §3.4), and the grant type is a
// URN.
#[test]
fn m30_the_exact_forms() {
    let mut run = flow(client(), json!({}));
    run.poll();
    let bodies: Vec<&str> = run.requests.iter().map(|sent| &*sent.body).collect();
    assert_eq!(
        bodies,
        [
            "client_id=my-client&scope=user.read+openid+profile+offline_access",
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=my-client&client_info=1&device_code=DC-canary",
        ]
    );
}

#[test]
fn m31_from_the_issuer_to_the_token() {
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let document =
        json!({"issuer": issuer, "token_endpoint": TOKEN_ENDPOINT, "device_authorization_endpoint": DEVICE_ENDPOINT});
    let mut discovery = Discovery::new(&issuer).unwrap();
    let Action::SendRequest(Outgoing { ticket, .. }) = discovery.next_action(Timestamp::ZERO) else { panic!() };
    let answer = document.to_string();
    let answer = device_flow_core::Response::new(200, answer.as_bytes());
    discovery.response(ticket, answer, Timestamp::ZERO).unwrap();
    let Action::Done(Ok(metadata)) = discovery.next_action(Timestamp::ZERO) else { panic!() };
    let client = Client::builder(Provider::from(metadata), "my-client").scope("user.read");
    let mut run = flow(client, json!({"expires_in": 60, "interval": 1}));
    assert_gap(run.poll(), 1, 1);
    run.answer(200, &tokens(json!({})));
    let token = token(run.outcome());
    assert_eq!(token.scopes().collect::<Vec<_>>(), ["User.Read", "openid", "profile"]);
    assert_eq!(run.prompts[0].expires_at().as_millis(), START + 60_000);
    let urls: Vec<&str> = run.requests.iter().map(|sent| &*sent.url).collect();
    assert_eq!(urls, [DEVICE_ENDPOINT, TOKEN_ENDPOINT]);
}
