//! Proves on a real Keycloak, with both adapters, what no other server here does: sessions that devices share, issuers
//! that depend on the address, codes that are forgotten, refusals after the approval.
//!
//! `testkit/keycloak.sh test` starts the server and runs these.

use crate::adapters::Adapter;
use crate::keys::{flow, refresh, rejected, sign_in};
use crate::{SCOPE, Suspended, public, sign_in_through};
use device_flow_core::{
    Client, Discovery, Event, Failure, Metadata, Provider, Revocation, SignInReason, SignInRequest, Stopped,
    TokenResponse,
};
use device_flow_testkit::abreast::side_by_side;
use device_flow_testkit::servers::{Keycloak, Kind, Options, PUBLIC, Server, Tap};
use device_flow_tokio::MemoryStore;
use serde_json::json;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

fn discover(adapter: Adapter, issuer: &str) -> Metadata {
    adapter.run(&mut Discovery::builder(issuer).allow_http_loopback().build().unwrap(), |_| {}).unwrap()
}

fn client(adapter: Adapter, issuer: &str, scope: &str) -> Arc<Client> {
    let client = Client::builder(discover(adapter, issuer), PUBLIC).scope(scope).allow_http_loopback();
    Arc::new(client.build().unwrap())
}

/// The refresh token is dead, and the person is asked for.
#[track_caller]
fn needs_a_sign_in(outcome: Result<TokenResponse, Stopped>) -> String {
    match outcome {
        Err(Stopped::Failed(Failure::SignInNeeded(SignInReason::Refused(error)))) => {
            assert_eq!((error.code(), error.status()), ("invalid_grant", 400));
            error.description().unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

// B04, RFC 8628 §3.5: the decision of the person does not go first, as on other servers.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn rfc8628_3_5_keycloak_slows_down_a_code_that_is_approved_and_gives_its_token_at_the_next_poll() {
    let server = Server::start(Kind::Keycloak, Options { interval: Some(8), ..Options::default() });
    side_by_side(&Adapter::BOTH, |&adapter| {
        let tap = Tap::with_a_poll_and_the_approval_before_the_first(&server);
        let done = sign_in_through(tap, adapter, &server, public, |_| {});
        done.token();
        let answers: Vec<_> = done.tap.exchanges().iter().skip(1).map(|exchange| exchange.json()).collect();
        assert_eq!((answers.len(), &answers[0]["error"]), (2, &"slow_down".into()));
        assert!(done.tap.quiet_before_polls()[1] >= Duration::from_secs(13));
        assert_eq!((done.flow.trail().polls(), done.flow.trail().slow_downs()), (2, 1));
    });
}

// B07: what a person may have, Keycloak looks up after they have approved.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_refuses_offline_access_after_the_approval_and_it_is_told_with_its_reason() {
    let keycloak = Keycloak::running();
    side_by_side(&Adapter::BOTH, |&adapter| {
        let client = |scope| client(adapter, &keycloak.issuer(), scope);
        let error = rejected(sign_in(adapter, &client(SCOPE), |code| keycloak.approve_as_bob(code)));
        assert_eq!((error.code(), error.status()), ("not_allowed", 400));
        assert_eq!(error.description(), Some("Offline tokens not allowed for the user or client"));
        assert!(error.to_string().contains("Offline tokens not allowed"), "{error}");
        // It is the scope alone.
        let token = sign_in(adapter, &client("openid"), |code| keycloak.approve_as_bob(code)).unwrap();
        assert!(token.refresh_token().is_some(), "for as long as the session lives");
    });
}

/// Two devices of one client ask for their codes; when both have one, the person decides.
fn two_sign_ins(
    adapter: Adapter,
    client: &Arc<Client>,
    person: impl FnOnce(&str, &str) + Send,
) -> [Result<TokenResponse, Stopped>; 2] {
    let (shown, codes) = channel();
    thread::scope(|scope| {
        let devices = [0, 1].map(|_| {
            let shown = shown.clone();
            scope.spawn(move || {
                adapter.run(&mut flow(client), |event| {
                    if let Event::ShowCode(prompt) = event {
                        shown.send(prompt.user_code().to_owned()).unwrap();
                    }
                })
            })
        });
        let code = || codes.recv_timeout(Duration::from_secs(60)).expect("a code");
        person(&code(), &code());
        devices.map(|device| device.join().unwrap())
    })
}

// RFC 7009 §2.1: "depending on the server's policy", other tokens may go with it. On Keycloak, all of the session do.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn rfc7009_2_1_a_sign_out_on_keycloak_ends_the_other_devices_that_were_approved_in_the_same_browser() {
    // Each adapter has a realm of its own, so that the session of one browser is that of two devices.
    side_by_side(
        &[(Adapter::Tokio, true), (Adapter::Blocking, true), (Adapter::Tokio, false)],
        |&(adapter, shared)| {
            let keycloak = Keycloak::with_realm(Options { interval: Some(1), ..Options::default() }, &json!({}));
            let client = client(adapter, &keycloak.issuer(), "openid");
            let [one, other] = two_sign_ins(adapter, &client, |one, other| {
                if shared {
                    keycloak.approve_in_one_browser(&[one, other]);
                } else {
                    keycloak.approve(one);
                    keycloak.approve(other);
                }
            });
            let (one, other) = (one.unwrap(), other.unwrap());
            let other = refresh(adapter, &client, &other).unwrap();
            let revoked = one.refresh_token().unwrap().clone();
            adapter.run(&mut Revocation::new(client.clone(), revoked).unwrap(), |_| {}).unwrap();

            needs_a_sign_in(refresh(adapter, &client, &one));
            let outcome = refresh(adapter, &client, &other);
            if shared {
                assert_eq!(needs_a_sign_in(outcome), "Session not active");
            } else {
                outcome.unwrap();
            }
        },
    );
}

// Its metadata says what it was asked for; its tokens, where the person was.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_has_the_issuer_of_the_address_where_the_person_approves_and_another_one_is_told() {
    let keycloak = Keycloak::running();
    let (here, there) = (keycloak.issuer(), keycloak.issuer_at_localhost());
    side_by_side(&Adapter::BOTH, |&adapter| {
        for issuer in [&here, &there] {
            assert_eq!(discover(adapter, issuer).issuer(), issuer);
        }
        let client = client(adapter, &here, SCOPE);
        let request = SignInRequest::new(client.clone());
        let accounts = adapter.accounts(MemoryStore::new());

        // The same address: what it says of itself is the same everywhere.
        let token = sign_in(adapter, &client, |code| keycloak.approve_at(&here, code)).unwrap();
        accounts.keep(&request, token).unwrap();
        accounts.silent(&request.clone().force_refresh()).unwrap();

        // Another one: the tokens are those of another server, and nothing of them is kept.
        let token = sign_in(adapter, &client, |code| keycloak.approve_at(&there, code)).unwrap();
        let text = accounts.keep(&request, token.clone()).unwrap_err();
        assert!(
            text.contains(&format!("the ID token was issued by {there}, not by the server that was asked")),
            "{text}"
        );
        let refused = needs_a_sign_in(refresh(adapter, &client, &token));
        assert!(refused.starts_with("Invalid token issuer."), "{refused}");
    });
}

// Rule 8; B01: the session in which the code was approved is gone, and the server waits for it.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_says_pending_for_ever_after_a_sign_out_and_the_clock_ends_it() {
    side_by_side(&Adapter::BOTH, |&adapter| {
        let options = Options { expires: Some(25), interval: Some(12) };
        let keycloak = Keycloak::with_realm(options, &json!({}));
        let outcome = sign_in(adapter, &client(adapter, &keycloak.issuer(), SCOPE), |code| {
            keycloak.approve(code);
            keycloak.end_sessions();
        });
        match outcome {
            Err(Stopped::Failed(Failure::Expired(expired))) => {
                assert_eq!((expired.error, expired.trail.failures()), (None, 0));
                assert!(expired.trail.polls() >= 1, "{}", expired.trail);
            }
            other => panic!("{other:?}"),
        }
    });
}

// B06: `expired_token` is said for the interval and ten seconds more. The test of all servers asks within them.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_no_longer_knows_a_code_that_has_expired_some_time_ago() {
    let server = Server::start(Kind::Keycloak, Options { expires: Some(8), interval: Some(1) });
    side_by_side(&Adapter::BOTH, |&adapter| {
        let here = Provider::endpoints(server.device_authorization_endpoint(), server.token_endpoint());
        let mut suspended = Suspended::when_the_code_is_shown(crate::flow(here, public), Duration::from_secs(22));
        let error = rejected(adapter.run(&mut suspended, |_| {}));
        assert_eq!((error.code(), error.description()), ("invalid_grant", Some("Device code not valid")));
    });
}

// RFC 6749 §6. The test of all servers has a realm that allows one use.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn rfc6749_6_keycloak_lets_a_refresh_token_be_used_again_unless_its_realm_says_otherwise() {
    let keycloak = Keycloak::running();
    side_by_side(&Adapter::BOTH, |&adapter| {
        let client = client(adapter, &keycloak.issuer(), SCOPE);
        let first = sign_in(adapter, &client, |code| keycloak.approve(code)).unwrap();
        let second = refresh(adapter, &client, &first).unwrap();
        assert_ne!(first.refresh_token().unwrap().expose(), second.refresh_token().unwrap().expose());
        thread::sleep(Duration::from_millis(1100));
        for token in [&first, &second, &first] {
            refresh(adapter, &client, token).unwrap();
        }
    });
}
