//! Proves the server harness itself, over plain HTTP: what each server answers to the bare flow.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code: a panic is how it reports")]

#[path = "support/plain_http.rs"]
mod plain_http;

use std::thread::sleep;
use std::time::Duration;

use device_flow_testkit::servers::{BASIC, BASIC_PLAIN, DPOP, Kind, NO_DEVICE, Options, POST, PUBLIC, Server};
use plain_http::{agent, json as json_of, post, text};
use serde_json::{Value, json};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Makes one test per server of each function, so that they run side by side and fail by name.
macro_rules! on_every_server {
    ($($test:ident),* $(,)?) => {
        mod oidc_provider { $(#[test] fn $test() { super::$test(super::Kind::OidcProvider); })* }
        mod authlib { $(#[test] fn $test() { super::$test(super::Kind::Authlib); })* }
        mod django_oauth_toolkit { $(#[test] fn $test() { super::$test(super::Kind::DjangoOauthToolkit); })* }
        mod keycloak {
            $(#[test] #[ignore = "needs a Keycloak: testkit/keycloak.sh test"] fn $test() {
                super::$test(super::Kind::Keycloak);
            })*
        }
    };
}

on_every_server![
    an_approved_device_gets_a_token,
    a_denied_device_is_refused,
    a_code_expires_as_the_server_has_it,
    every_client_is_registered,
    options_reach_the_device,
    issuer_and_endpoints_are_those_of_the_metadata,
];

fn an_approved_device_gets_a_token(kind: Kind) {
    let server = Server::start(kind, Options { interval: Some(1), ..Options::default() });
    let device = Device::ask(&server);
    assert_eq!(device.poll()["error"], "authorization_pending");

    server.approve(&device.user_code);
    sleep(Duration::from_millis(1100));

    let tokens = device.poll();
    assert!(tokens["access_token"].is_string(), "{tokens}");
    assert!(tokens["refresh_token"].is_string(), "{tokens}");
    let token = tokens["refresh_token"].as_str().unwrap();
    let revoked = post(&server.revocation_endpoint(), None, &[("client_id", PUBLIC), ("token", token)]);
    assert_eq!(revoked.0, 200, "{}", revoked.1);
    let refresh = [("client_id", PUBLIC), ("grant_type", "refresh_token"), ("refresh_token", token)];
    let refreshed = json_of(post(&server.token_endpoint(), None, &refresh));
    assert_eq!(refreshed["error"], "invalid_grant");
}

fn a_denied_device_is_refused(kind: Kind) {
    let server = Server::start(kind, Options::default());
    let device = Device::ask(&server);

    server.deny(&device.user_code);

    assert_eq!(device.poll()["error"], "access_denied");
}

fn a_code_expires_as_the_server_has_it(kind: Kind) {
    let server = Server::start(kind, Options { expires: Some(1), ..Options::default() });
    let device = Device::ask(&server);

    sleep(Duration::from_millis(2100));

    let expected = match kind {
        Kind::OidcProvider | Kind::Authlib | Kind::Keycloak => "expired_token",
        // It never checks the time.
        Kind::DjangoOauthToolkit => "authorization_pending",
    };
    assert_eq!(device.poll()["error"], expected);
}

fn every_client_is_registered(kind: Kind) {
    let server = Server::start(kind, Options::default());
    let ask = |authorization, form: &[_]| json_of(post(&server.device_authorization_endpoint(), authorization, form));
    let is_code = |answer: Value| assert!(answer["device_code"].is_string(), "{answer}");

    is_code(ask(None, &[("client_id", POST.0), ("client_secret", POST.1)]));
    // printf 'device-basic:s3cret%%2B%%2F%%3D%%20%%25%%3Acanary' | base64
    let basic = "Basic ZGV2aWNlLWJhc2ljOnMzY3JldCUyQiUyRiUzRCUyMCUyNSUzQWNhbmFyeQ==";
    is_code(ask(Some(basic), &[("client_id", BASIC.0)]));
    // printf 'device-basic2:plainsecret' | base64
    is_code(ask(Some("Basic ZGV2aWNlLWJhc2ljMjpwbGFpbnNlY3JldA=="), &[("client_id", BASIC_PLAIN.0)]));
    // Two of the four still give this client a code, and never a token.
    let no_device = ask(None, &[("client_id", NO_DEVICE)]);
    let gives_a_code = matches!(kind, Kind::Authlib | Kind::DjangoOauthToolkit);
    assert_eq!(no_device["device_code"].is_string(), gives_a_code, "{no_device}");
    if kind == Kind::OidcProvider {
        is_code(ask(None, &[("client_id", DPOP)]));
    }
}

fn options_reach_the_device(kind: Kind) {
    let server = Server::start(kind, Options { expires: Some(77), interval: Some(3) });
    let answer = Device::ask(&server).answer;
    // django-oauth-toolkit says what is left when it answers.
    assert!((60..=77).contains(&answer["expires_in"].as_u64().unwrap()), "{answer}");
    assert_eq!(answer["interval"], 3);
}

fn issuer_and_endpoints_are_those_of_the_metadata(kind: Kind) {
    let server = Server::start(kind, Options::default());
    let url = format!("{}/.well-known/openid-configuration", server.issuer());
    let metadata: Value = serde_json::from_str(&text(agent().get(&url).call().unwrap())).unwrap();

    assert_eq!(metadata["issuer"], server.issuer());
    assert_eq!(metadata["token_endpoint"], server.token_endpoint());
    match kind {
        Kind::OidcProvider | Kind::Authlib | Kind::Keycloak => {
            assert_eq!(metadata["device_authorization_endpoint"], server.device_authorization_endpoint());
            assert_eq!(metadata["revocation_endpoint"], server.revocation_endpoint());
        }
        Kind::DjangoOauthToolkit => assert!(metadata.get("device_authorization_endpoint").is_none(), "{metadata}"),
    }
}

#[test]
fn authlib_slows_a_fast_device_down_by_five_seconds_for_good() {
    let server = Server::start(Kind::Authlib, Options { interval: Some(5), ..Options::default() });
    let device = Device::ask(&server);
    assert_eq!(device.poll()["error"], "authorization_pending");
    assert_eq!(device.poll()["error"], "slow_down");
    sleep(Duration::from_millis(5500));
    assert_eq!(device.poll()["error"], "slow_down", "5.5 s were enough, so the interval did not grow");
}

// B05, B06: the interval goes first, whatever the person has decided, and stays as it is.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_slows_down_every_early_poll_even_of_a_decided_code_and_keeps_its_interval() {
    let server = Server::start(Kind::Keycloak, Options { interval: Some(12), ..Options::default() });
    let waits = || sleep(Duration::from_millis(12_100));
    let (approved, denied) = (Device::ask(&server), Device::ask(&server));
    for device in [&approved, &denied] {
        assert_eq!(device.poll()["error"], "authorization_pending");
    }
    server.approve(&approved.user_code);
    server.deny(&denied.user_code);
    for device in [&approved, &denied] {
        assert_eq!(device.poll(), json!({"error": "slow_down", "error_description": "Slow down"}));
    }
    waits();
    assert!(approved.poll()["access_token"].is_string(), "12 s are enough, as before");
    assert_eq!(denied.poll()["error"], "access_denied");
}

#[test]
fn two_servers_of_a_kind_are_independent() {
    for kind in Kind::here() {
        let (one, other) = (Server::start(kind, Options::default()), Server::start(kind, Options::default()));
        let device = Device::ask(&one);
        one.approve(&device.user_code);
        let at_the_other = Device { token_endpoint: other.token_endpoint(), ..device };
        assert!(at_the_other.poll()["error"].is_string());
    }
}

#[test]
fn a_dropped_server_is_gone() {
    for kind in Kind::here() {
        let server = Server::start(kind, Options::default());
        let address = server.base_url().trim_start_matches("http://").to_owned();
        let token_endpoint = server.token_endpoint();
        drop(server);
        if kind == Kind::Keycloak {
            let gone = post(&token_endpoint, None, &[]);
            assert_eq!((gone.0, json_of(gone)), (404, json!({"error": "Realm does not exist"})));
            continue;
        }
        assert!(std::net::TcpStream::connect(address).is_err(), "{kind:?} still listens");
    }
}

#[test]
#[should_panic(expected = "could not approve")]
fn approving_an_unknown_code_fails_with_the_page() {
    Server::start(Kind::Authlib, Options::default()).approve("BCDF-GHJK");
}

#[test]
fn a_server_can_be_shared_with_another_thread() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Server>();
}

/// A device with the bare flow: no timing, no retries.
struct Device {
    token_endpoint: String,
    answer: Value,
    device_code: String,
    user_code: String,
}

impl Device {
    fn ask(server: &Server) -> Self {
        let form = [("client_id", PUBLIC), ("scope", "openid offline_access")];
        let answer = json_of(post(&server.device_authorization_endpoint(), None, &form));
        let member = |name| answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned();
        Self {
            token_endpoint: server.token_endpoint(),
            device_code: member("device_code"),
            user_code: member("user_code"),
            answer,
        }
    }

    fn poll(&self) -> Value {
        let form = [("grant_type", DEVICE_CODE), ("client_id", PUBLIC), ("device_code", &self.device_code)];
        json_of(post(&self.token_endpoint, None, &form))
    }
}
