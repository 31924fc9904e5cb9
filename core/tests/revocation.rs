//! The revocation (RFC 7009): where it goes, what is sent, what counts as success, and what is reported otherwise.

use crate::support::*;
use device_flow_core::{
    Action, Client, ClientBuilder, ConfigError, Discovery, Endpoint, EntraCloud, Failure, Machine, Metadata, Misuse,
    ProtocolFault, Provider, Response, Revocation, TextFault, Timestamp, TokenKind, TransportError, TransportErrorKind,
    WaitReason,
};
use serde_json::{Value, json};

const TOKEN_TO_REVOKE: &str = "RT-canary";

fn by_hand(revocation: &str) -> Provider {
    Provider::endpoints("https://as/device", "https://as/token").revocation_endpoint(revocation)
}

fn client(provider: Provider) -> ClientBuilder {
    Client::builder(provider, "my-app")
}

fn revocation(client: ClientBuilder) -> Revocation {
    Revocation::new(client.build().unwrap(), TOKEN_TO_REVOKE).unwrap()
}

fn asked(revocation: Revocation) -> Run<Revocation> {
    let mut run = Run::of(revocation);
    run.poll();
    run
}

/// A revocation with its request in flight.
fn run() -> Run<Revocation> {
    asked(revocation(client(by_hand("https://as/revoke"))))
}

fn outcome(status: u16, body: &[u8]) -> Result<(), Failure> {
    let mut run = run();
    run.respond(Response::new(status, body));
    let outcome = run.outcome();
    assert_eq!(run.requests.len(), 1, "asked once");
    outcome
}

fn metadata(change: Value) -> Metadata {
    let mut document = json!({
        "issuer": "https://as", "device_authorization_endpoint": "https://as/device", "token_endpoint": "https://as/token"
    });
    document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let mut run = Run::of(Discovery::new("https://as").unwrap());
    run.poll();
    run.answer(200, &document.to_string());
    run.outcome().unwrap()
}

// R7009-2-1, R7009-2-2, R7009-2-3, R7009-2.1-1, R7009-2.1-2: by POST, with and without a hint; the query of the URL
// stays.
#[test]
fn rfc7009_2_1_the_request() {
    for (kind, hint) in [
        (None, ""),
        (Some(TokenKind::RefreshToken), "&token_type_hint=refresh_token"),
        (Some(TokenKind::AccessToken), "&token_type_hint=access_token"),
    ] {
        let revocation = revocation(client(by_hand("https://as/revoke?a=b%20c")));
        let revocation = kind.into_iter().fold(revocation, Revocation::kind);
        assert_eq!(revocation.client().revocation_endpoint(), Some("https://as/revoke?a=b%20c"));
        let run = asked(revocation);
        let sent = &run.requests[0];
        assert_eq!((sent.method, &*sent.url), ("POST", "https://as/revoke?a=b%20c"));
        assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(sent.body, format!("client_id=my-app&token=RT-canary{hint}"));
    }
}

// R7009-2.1-3: a client with a secret authenticates as usual; no parameter of other requests is sent.
#[test]
fn rfc7009_2_1_the_client_authenticates() {
    let there = || client(by_hand("https://as/revoke")).scope("openid").audience("x").token_parameter("y", "z");
    let basic = asked(revocation(there().client_secret_basic("SEC-canary")));
    assert_eq!(basic.requests[0].header("authorization"), Some("Basic bXktYXBwOlNFQy1jYW5hcnk="));
    assert_eq!(basic.requests[0].body, "token=RT-canary");
    let post = asked(revocation(there().client_secret_post("SEC-canary")));
    assert_eq!(post.requests[0].body, "client_id=my-app&client_secret=SEC-canary&token=RT-canary");
    assert_eq!(post.requests[0].header("authorization"), None);
}

// R7009-2-3, R7009-2-4: an endpoint by hand that must not be used is a wrong configuration.
#[test]
fn rfc7009_2_the_endpoint_is_checked() {
    for (url, fault) in [
        ("http://as/revoke", TextFault::Scheme),
        ("https://as/revoke#x", TextFault::Fragment),
        ("", TextFault::Empty),
        ("https://u:p@as/revoke", TextFault::UserInfo),
        ("/revoke", TextFault::NotAUri),
    ] {
        let refused = client(by_hand(url)).build().unwrap_err();
        assert_eq!(refused, ConfigError::Endpoint { which: "revocation endpoint", url: url.into(), fault });
    }
    assert!(client(by_hand("http://127.0.0.1:1/revoke")).build().is_err());
    let loopback = client(by_hand("http://127.0.0.1:1/revoke")).allow_http_loopback().build().unwrap();
    assert_eq!(loopback.revocation_endpoint(), Some("http://127.0.0.1:1/revoke"));
}

// R7009-2-5: only the configuration and checked metadata name the endpoint. A wrong one in the metadata stops no
// sign-in.
#[test]
fn rfc7009_2_the_endpoint_of_the_metadata() {
    let there = json!({"revocation_endpoint": "https://as/revoke"});
    assert_eq!(metadata(there.clone()).revocation_endpoint(), Some("https://as/revoke"));
    let built = client(metadata(there.clone()).into()).build().unwrap();
    assert_eq!(built.revocation_endpoint(), Some("https://as/revoke"));
    let overridden = client(Provider::from(metadata(there)).revocation_endpoint("https://other/r")).build().unwrap();
    assert_eq!(overridden.revocation_endpoint(), Some("https://other/r"));
    // What was given by hand is wrong at once.
    let by_hand = Provider::from(metadata(json!({}))).revocation_endpoint("http://other/r");
    assert!(matches!(client(by_hand).build(), Err(ConfigError::Endpoint { which: "revocation endpoint", .. })));

    let unsafe_one = client(metadata(json!({"revocation_endpoint": "http://as/revoke"})).into()).build().unwrap();
    assert_eq!(unsafe_one.revocation_endpoint(), None);
    let fault = ConfigError::Endpoint {
        which: "revocation endpoint",
        url: "http://as/revoke".into(),
        fault: TextFault::Scheme,
    };
    assert_eq!(Revocation::new(unsafe_one, TOKEN_TO_REVOKE).unwrap_err(), fault);
    for none in [json!({}), json!({"revocation_endpoint": null}), json!({"revocation_endpoint": 5})] {
        let built = client(metadata(none).into()).build().unwrap();
        assert_eq!(built.revocation_endpoint(), None);
        let refused = Revocation::new(built, TOKEN_TO_REVOKE).unwrap_err();
        assert_eq!(refused, ConfigError::NoRevocationEndpoint);
        assert!(refused.to_string().contains("was not revoked"), "{refused}");
    }
}

#[test]
fn the_endpoint_of_each_preset() {
    for (provider, endpoint) in [
        (Provider::google(), Some("https://oauth2.googleapis.com/revoke")),
        (Provider::gitlab(), Some("https://gitlab.com/oauth/revoke")),
        (Provider::gitlab_at("git.example:8443"), Some("https://git.example:8443/oauth/revoke")),
        (Provider::github(), None),
        (Provider::entra(EntraCloud::Public, "organizations"), None),
        (Provider::endpoints("https://as/device", "https://as/token"), None),
        (Provider::github().revocation_endpoint("https://gh/r"), Some("https://gh/r")),
        (Provider::google().revocation_endpoint("https://g/r"), Some("https://g/r")),
    ] {
        let built = client(provider).build().unwrap();
        assert_eq!(built.revocation_endpoint(), endpoint);
        assert!(format!("{built:?}").contains(endpoint.unwrap_or("None")));
        assert_eq!(Revocation::new(built, TOKEN_TO_REVOKE).is_ok(), endpoint.is_some());
    }
}

// R7009-2.2-1, R7009-2.2-2: 200 is success, whatever the body; so is 204.
#[test]
fn rfc7009_2_2_success_whatever_the_body() {
    let long = vec![b'x'; 100_000];
    for body in
        [b"".as_slice(), b"{}", b"<html>", b"\xff\0", br#"{"error":"invalid_request"}"#, br#"{"a":1,"a":2}"#, &long]
    {
        assert_eq!(outcome(200, body), Ok(()));
        assert_eq!(outcome(204, body), Ok(()));
    }
    // Google: the token was invalid before, which is as good.
    assert_eq!(outcome(400, br#"{"error":"invalid_token","error_description":"Token expired or revoked"}"#), Ok(()));
}

// R7009-2.2.1-1.
#[test]
fn rfc7009_2_2_1_errors_are_reported() {
    let failure =
        outcome(400, br#"{"error":"unsupported_token_type","error_description":"made-up text"}"#).unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains("unsupported_token_type: made-up text - this server does not revoke tokens of this kind"),
        "{text}"
    );
    let Failure::Rejected(error) = failure else { panic!("{failure}") };
    assert_eq!((error.code(), error.status()), ("unsupported_token_type", 400));
    for code in ["invalid_client", "invalid_request", "unauthorized_client", "invalid_grant", "weird"] {
        for status in [400, 401, 403] {
            let failure = outcome(status, json!({"error": code}).to_string().as_bytes()).unwrap_err();
            assert!(matches!(&failure, Failure::Rejected(error) if error.code() == code), "{failure}");
            assert!(!failure.is_retryable());
        }
    }
    for (status, body, fault) in [
        (302, "", ProtocolFault::Redirect(302)),
        (404, "", ProtocolFault::Status(404)),
        (404, "{}", ProtocolFault::Status(404)),
        (201, "{}", ProtocolFault::Status(201)),
        (202, "", ProtocolFault::Empty(202)),
        (405, "<p>no</p>", ProtocolFault::Page { status: 405, excerpt: "<p>no</p>".into() }),
    ] {
        let Failure::Protocol(error) = outcome(status, body.as_bytes()).unwrap_err() else { panic!() };
        assert_eq!((error.endpoint, error.fault), (Endpoint::Revocation, fault));
    }
    assert!(outcome(404, b"").unwrap_err().to_string().contains("revocation endpoint"));
}

// R7009-2.2.1-2: the token still exists, so the request is repeated, when the server says.
#[test]
fn rfc7009_2_2_1_unavailable_is_asked_again() {
    for status in [503, 500, 429, 408] {
        let mut run = run();
        for wait in [1_000, 2_000, 4_000] {
            run.answer(status, "");
            assert_eq!(run.poll(), wait);
        }
        run.answer(status, "");
        let failure = run.failure();
        assert!(failure.is_retryable());
        let Failure::Protocol(error) = failure else { panic!("{failure}") };
        assert_eq!((error.endpoint, error.fault), (Endpoint::Revocation, ProtocolFault::Unavailable(status)));
        assert_eq!(run.requests.len(), 4);
    }
    for (value, gap) in [("30", Some(30_000)), ("60", Some(60_000)), ("61", None)] {
        let mut run = run();
        run.respond(Response::new(503, b"").header("Retry-After", value.as_bytes()));
        match gap {
            Some(gap) => {
                assert_eq!(run.poll(), gap);
                assert_eq!(run.waits[0].1, WaitReason::RetryAfter);
                run.answer(200, "");
                run.outcome().unwrap();
            }
            None => assert!(run.failure().is_retryable()),
        }
    }
    // `slow_down` means the same.
    let mut run = run();
    for wait in [1_000, 2_000, 4_000] {
        run.answer(429, SLOW_DOWN);
        assert_eq!(run.poll(), wait);
    }
    run.answer(429, SLOW_DOWN);
    assert!(matches!(run.failure(), Failure::Rejected(error) if error.code() == "slow_down"));
}

// RFC 7009 §5: transport failures are tried again, a wrong certificate is not.
#[test]
fn transport_failures_are_tried_three_times_more() {
    let mut run = run();
    for wait in [1_000, 2_000, 4_000] {
        run.fail(TransportErrorKind::Connect);
        assert_eq!(run.poll(), wait);
    }
    run.fail(TransportErrorKind::Connect);
    assert!(matches!(run.failure(), Failure::Transport(error) if error.kind() == TransportErrorKind::Connect));
    let mut run = self::run();
    run.fail(TransportErrorKind::UntrustedCertificate);
    assert!(matches!(run.failure(), Failure::Transport(_)));
    assert_eq!(run.requests.len(), 1);
}

// G02, G03, G14: tickets, misuse, cancelling and outcomes as in every machine.
#[test]
fn the_contract_holds() {
    let now = Timestamp::from_millis(START);
    let (mut ours, mut other) = (run(), run());
    let misuse = ours.machine.response(other.take_ticket(), Response::new(200, b""), now).unwrap_err();
    assert!(matches!(misuse, Misuse::NotOutstanding(_)));
    assert!(matches!(ours.machine.next_action(now), Action::AwaitResponse));
    let misuse = ours.machine.transport_failed(misuse.into_ticket(), TransportError::new(TransportErrorKind::Dns), now);
    assert!(matches!(misuse, Err(Misuse::NotOutstanding(_))));
    let ticket = ours.take_ticket();
    let misuse = ours.machine.response(ticket, Response::new(1000, b""), now).unwrap_err();
    assert!(matches!(misuse, Misuse::InvalidStatus(_, 1000)));
    ours.machine.response(misuse.into_ticket(), Response::new(200, b""), now).unwrap();
    ours.machine.cancel();
    ours.outcome().unwrap();
    assert!(matches!(ours.machine.next_action(Timestamp::MAX), Action::Ended));

    let mut cancelled = run();
    let ticket = cancelled.take_ticket();
    cancelled.machine.cancel();
    cancelled.machine.response(ticket, Response::new(200, b""), now).unwrap();
    assert!(matches!(cancelled.failure(), Failure::Cancelled));
    let mut untouched = Run::of(revocation(client(by_hand("https://as/revoke"))));
    untouched.machine.cancel();
    assert!(matches!(untouched.failure(), Failure::Cancelled));
    assert!(untouched.requests.is_empty());
}

// G11, RFC 7009 §2.1: the token appears only in the request.
#[test]
fn g11_nothing_prints_the_token() {
    let mut revocation = revocation(client(by_hand("https://as/revoke")).client_secret_post("SEC-canary"));
    let printed = format!("{revocation:?}");
    assert!(printed.contains("https://as/revoke"), "{printed}");
    device_flow_testkit::secrets::none_in(&printed);
    let action = revocation.next_action(Timestamp::ZERO);
    device_flow_testkit::secrets::none_in(&format!("{action:?}"));
    fn anywhere<T: Send + Sync + Unpin + 'static>() {}
    anywhere::<Revocation>();
}
