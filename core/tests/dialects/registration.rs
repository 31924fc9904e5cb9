//! The registration of a client by itself, at AWS.

use super::*;
use crate::support::*;
use device_flow_core::{
    ConfigError, Endpoint, Failure, Machine, Provider, Registered, Registration, TransportErrorKind, UnixTime,
};

fn registration() -> Run<Registration> {
    Run::of(Registration::new(&Speech::Aws.provider(HOST), "my \"program\"", "one  two").unwrap())
}

fn answered(status: u16, body: &str) -> Run<Registration> {
    let mut run = registration();
    assert!(run.go());
    run.answer(status, body);
    run
}

#[test]
fn a_registration_brings_id_secret_and_end() {
    let mut run = registration();
    assert!(run.go());
    let sent = &run.requests[0];
    assert_eq!(
        (sent.url.as_str(), sent.header("content-type")),
        ("https://provider.example/client/register", Some("application/json"))
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&sent.body).unwrap(),
        serde_json::json!({"clientName": "my \"program\"", "clientType": "public", "scopes": ["one", "two"]})
    );
    run.answer(
        200,
        r#"{"clientId":"ID","clientSecret":"SEC-canary","clientSecretExpiresAt":1707776000,"tokenEndpoint":null}"#,
    );
    let registered: Registered = run.outcome().unwrap();
    assert_eq!((registered.client_id(), registered.client_secret().expose()), ("ID", "SEC-canary"));
    assert_eq!(registered.expires_at(), Some(UnixTime::from_secs(1_707_776_000)));
    device_flow_testkit::secrets::none_in(&format!("{registered:?} {:?}", run.machine));
    let shown = format!("{:?}", run.machine);
    assert!(shown.contains("https://provider.example/client/register") && shown.contains("Ended"), "{shown}");
}

#[test]
fn without_scopes_none_are_registered() {
    let mut run = Run::of(Registration::new(&Speech::Aws.provider(HOST), "p", "").unwrap());
    assert!(run.go());
    assert_eq!(run.requests[0].body, r#"{"clientType":"public","clientName":"p"}"#);
}

// RFC 7591 §3.2.1: zero for a secret without an end.
#[test]
fn the_end_of_a_registration_in_every_form() {
    for (written, end) in [
        ("1", Some(1)),
        (r#""1707776000""#, Some(1_707_776_000)),
        ("0", None),
        ("-5", None),
        ("null", None),
        ("{}", None),
    ] {
        let body = format!(r#"{{"clientId":"ID","clientSecret":"SEC-canary","clientSecretExpiresAt":{written}}}"#);
        let registered = answered(200, &body).outcome().unwrap();
        assert_eq!(registered.expires_at(), end.map(UnixTime::from_secs), "{written}");
    }
}

#[test]
fn an_answer_without_id_or_secret_is_refused() {
    for body in [
        r#"{"clientSecret":"SEC-canary"}"#,
        r#"{"clientId":"ID"}"#,
        r#"{"clientId":"","clientSecret":"SEC-canary"}"#,
        r#"{"clientId":["ID"],"clientSecret":"SEC-canary"}"#,
        r#"{"clientId":"I\u001bD","clientSecret":"SEC-canary"}"#,
        r#"{"clientId":"ID","clientSecret":"SEC\ncanary"}"#,
        r#"{"clientId":"ID","client_id":"ID","clientSecret":"SEC-canary"}"#,
        "<html>",
        "[]",
    ] {
        let Failure::Protocol(error) = answered(200, body).failure() else { panic!("{body}") };
        assert_eq!(error.endpoint, Endpoint::Registration);
        assert!(error.to_string().contains("registration endpoint"), "{error}");
    }
}

#[test]
fn a_refusal_is_told_and_an_outage_survived() {
    let mut run = registration();
    assert!(run.go());
    run.respond(
        Response::new(400, br#"{"error":"invalid_client_metadata","error_description":"no such name"}"#)
            .header("x-amzn-ErrorType", b"InvalidClientMetadataException"),
    );
    let Failure::Rejected(error) = run.failure() else { panic!() };
    assert_eq!(error.description(), Some("InvalidClientMetadataException: no such name"));

    let mut run = registration();
    for status in [503, 500, 429] {
        assert!(run.go());
        run.answer(status, "");
    }
    assert!(run.go());
    run.respond(Response::new(400, b"").header("x-amzn-ErrorType", b"SlowDownException"));
    assert!(matches!(run.failure(), Failure::Rejected(_)), "four attempts are enough");

    let mut run = registration();
    assert!(run.go());
    run.fail(TransportErrorKind::UntrustedCertificate);
    assert!(matches!(run.failure(), Failure::Transport(_)));
    let mut run = registration();
    assert!(run.go());
    run.machine.cancel();
    assert!(matches!(run.failure(), Failure::Cancelled));
}

#[test]
fn only_aws_registers_programs() {
    for speech in Speech::ALL.into_iter().filter(|speech| *speech != Speech::Aws) {
        let refused = Registration::new(&speech.provider(HOST), "p", "").unwrap_err();
        assert_eq!(refused, ConfigError::NoRegistrationEndpoint, "{speech:?}");
    }
    assert!(Registration::new(&Provider::github(), "p", "").is_err());
    // What the next request would be refused for is told before this one.
    assert!(matches!(
        Registration::new(&Provider::aws("eu-west-1", "http://portal"), "p", ""),
        Err(ConfigError::StartUrl(_))
    ));
    assert!(matches!(Registration::new(&Provider::aws("a/b", "https://a/"), "p", ""), Err(ConfigError::Name(_))));
}
