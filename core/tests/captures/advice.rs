//! W05: what a person is told about each captured answer: true for what was sent, with the server's own words, and with
//! the way out at the end.

use super::reader::{Capture, servers};
use crate::support::{PENDING, Run, device_answer};
use device_flow_core::{
    Client, ClientBuilder, DeviceFlow, Discovery, Failure, Machine, Provider, Refresh, Response, Revocation,
};
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Metadata,
    Device,
    Poll,
    Refresh,
    Revocation,
}
use At::{Device, Metadata, Poll, Refresh as Refreshed, Revocation as Revoked};

const ALL: [At; 5] = [Metadata, Device, Poll, Refreshed, Revoked];

/// How the client says who it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Id,
    Basic,
    Post,
}

fn client(how: How, scope: &str) -> ClientBuilder {
    let provider =
        Provider::endpoints("https://as/device", "https://as/token").revocation_endpoint("https://as/revoke");
    let client = Client::builder(provider, "my-app").scope(scope);
    match how {
        How::Id => client,
        How::Basic => client.client_secret_basic("canary"),
        How::Post => client.client_secret_post("canary"),
    }
}

/// How a request ends when it gets nothing but this answer; `None` when it does not, or with success.
fn end(at: At, how: How, scope: &str, response: Response<'_>) -> Option<Failure> {
    fn ended<M: Machine>(mut run: Run<M>, response: Response<'_>) -> Option<Failure> {
        for _ in 0..8 {
            if !run.go() {
                return run.outcome.take()?.err();
            }
            run.respond(response);
        }
        None
    }
    let client = client(how, scope).build().unwrap();
    match at {
        Metadata => ended(Run::of(Discovery::new("https://as").unwrap()), response),
        Device => ended(Run::of(DeviceFlow::new(client, [7; 32])), response),
        Poll => {
            let mut run = Run::of(DeviceFlow::new(client, [7; 32]));
            run.script(&[(200, &device_answer(json!({}))), (400, PENDING)]);
            ended(run, response)
        }
        Refreshed => {
            let refresh = Refresh::new(client, "RT-canary");
            ended(Run::of(if scope.is_empty() { refresh } else { refresh.scope(scope).unwrap() }), response)
        }
        Revoked => ended(Run::of(Revocation::new(client, "RT-canary").unwrap()), response),
    }
}

/// Says nothing that was not seen.
#[track_caller]
fn is_true(text: &str, at: At, how: How, scope: &str) {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let case = format!("{at:?} {how:?} {scope:?}: {text}");
    assert!(!text.contains("device flow") || matches!(at, Device | Poll), "{case}");
    assert!(!words.contains(&"code") || at == Poll, "{case}");
    assert!(!text.contains("refresh token") || matches!(at, Refreshed | Revoked), "{case}");
    assert!(!text.contains("requested scopes") || !scope.is_empty(), "{case}");
    assert!(!text.contains("no scope was requested") || scope.is_empty(), "{case}");
    assert!(!text.contains("no secret was sent") || how == How::Id, "{case}");
    assert!(!text.contains("this secret") || how != How::Id, "{case}");
    assert!(!text.contains("issuer") || at == Metadata, "{case}");
    assert_eq!(text.matches("try again later").count().max(1), 1, "{case}");
    assert!(!text.contains("without an oauth error"), "{case}");
}

fn capture_of(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

// Every capture, at each endpoint, with each way of sending a secret, with and without scopes.
#[test]
fn w04_w05_every_capture_is_told_truly_and_in_the_servers_words() {
    for server in &servers() {
        for capture in &server.captures {
            everywhere(capture.response(), &words_of(capture));
        }
    }
}

/// What must be in the text, if the server explains itself.
fn words_of(capture: &Capture) -> String {
    capture.json()["error_description"].as_str().unwrap_or_default().chars().take(150).collect()
}

#[track_caller]
fn everywhere(response: Response<'_>, words: &str) {
    for at in ALL {
        for how in [How::Id, How::Basic, How::Post] {
            for scope in ["", "openid"] {
                let Some(failure) = end(at, how, scope, response) else { continue };
                is_true(failure.advice().unwrap_or_default(), at, how, scope);
                if matches!(failure, Failure::Rejected(_) | Failure::Denied(_)) || at == Metadata {
                    assert!(failure.to_string().contains(words), "{at:?}: {failure}");
                }
                if let Some(advice) = failure.advice() {
                    let text = failure.to_string();
                    let is_last = text.ends_with(advice) || text.ends_with(&format!("{advice})"));
                    assert!(is_last, "the way out comes last: {text}");
                }
            }
        }
    }
}

const CREDENTIALS: &str = "does not accept this client id with this secret";
const NO_SECRET: &str = "no secret was sent";
const NOT_ALLOWED: &str = "allow the device flow";

// Keycloak's answers, with what its clients had sent.
#[test]
fn w05_keycloak_is_told_as_it_means_it() {
    let [.., keycloak] = servers();
    for (name, at, how, words) in [
        ("da_basic_raw", Device, How::Basic, CREDENTIALS),
        ("da_none_for_confidential", Device, How::Id, NO_SECRET),
        ("da_wrong_secret_basic", Device, How::Basic, CREDENTIALS),
        ("da_wrong_secret_post", Device, How::Post, CREDENTIALS),
        ("poll_wrong_secret_basic", Poll, How::Basic, CREDENTIALS),
        ("poll_wrong_secret_post", Poll, How::Post, CREDENTIALS),
        ("invalid_client_device_authorization", Device, How::Id, "does not know this client id"),
        ("invalid_client_token", Poll, How::Id, "does not know this client id"),
        ("unauthorized_client_device_authorization", Device, How::Id, NOT_ALLOWED),
        ("unauthorized_client_token", Poll, How::Id, NOT_ALLOWED),
        ("expired_long_ago", Poll, How::Id, "no longer knows this code"),
        ("used_device_code", Poll, How::Id, "start again"),
        ("unsupported_grant_type", Poll, How::Id, "check the token endpoint"),
        ("refresh_garbage", Refreshed, How::Id, "the refresh token is no longer good"),
        ("refresh_revoked", Refreshed, How::Post, "sign in again"),
    ] {
        let failure = end(at, how, "openid", keycloak.capture(name).response()).unwrap();
        let text = failure.to_string();
        assert!(text.contains(words), "{name}: {text}");
        assert_eq!(words == NOT_ALLOWED, text.contains("device flow") && !name.starts_with("unsupp"), "{name}: {text}");
    }
}

// W04, W05: the answers that the table was written for.
#[test]
fn w05_answers_of_other_servers() {
    let hydra = r#"{"error":"invalid_grant","error_description":"The provided authorization grant is invalid. The OAuth 2.0 Client is not allowed to use it."}"#;
    let zitadel = r#"{"error":"server_error","error_description":"client not found"}"#;
    let realm = r#"{"error":"Realm does not exist"}"#;
    for (at, how, (status, body), says, never) in [
        (Device, How::Id, capture_of(400, hydra), NOT_ALLOWED, "no longer knows"),
        (Metadata, How::Id, capture_of(404, realm), "Realm does not exist", "OAuth"),
        (Metadata, How::Id, capture_of(404, realm), "check the realm", "device"),
        (Device, How::Id, capture_of(401, ""), "check the client id", "is the device flow enabled"),
        (Device, How::Basic, capture_of(401, ""), CREDENTIALS, "no secret"),
        (Refreshed, How::Id, capture_of(401, ""), "or sign in again", "device"),
        (Revoked, How::Id, capture_of(403, ""), "does not let this client revoke", "device"),
        (Revoked, How::Id, capture_of(403, r#"{"error":"unauthorized_client"}"#), "may not revoke tokens", "device"),
        (Device, How::Id, capture_of(500, zitadel), "server_error: client not found", "overloaded"),
        (Device, How::Id, capture_of(500, zitadel), "check the client id", "again later. "),
        (Poll, How::Id, capture_of(500, zitadel), "server_error: client not found", ""),
        (Refreshed, How::Id, capture_of(500, zitadel), "server_error: client not found", "device"),
        (Revoked, How::Id, capture_of(500, zitadel), "server_error: client not found", "device"),
        (Metadata, How::Id, capture_of(500, zitadel), "server_error: client not found", "client id"),
        (
            Device,
            How::Id,
            capture_of(400, r#"{"error":"unauthorized_client"}"#),
            "or the server does not know it",
            "secret",
        ),
        (
            Device,
            How::Post,
            capture_of(400, r#"{"error":"unauthorized_client"}"#),
            "or the server does not accept its secret",
            "",
        ),
        (Device, How::Id, capture_of(501, "not here"), "not here", "later"),
        (
            Device,
            How::Id,
            capture_of(429, r#"{"error":"rate_limit_exceeded","message":"50 codes an hour"}"#),
            "50 codes an hour",
            "client id",
        ),
        (
            Refreshed,
            How::Id,
            capture_of(429, r#"{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit"}"#),
            "E0000047: API call exceeded rate limit",
            "device",
        ),
        (
            Poll,
            How::Id,
            capture_of(400, r#"{"error":"invalid_request","error_description":"client_secret is missing."}"#),
            "give the secret",
            "code",
        ),
        (
            Device,
            How::Id,
            capture_of(401, r#"{"error":"invalid_client","error_description":"Invalid client type."}"#),
            "of this type",
            "secret",
        ),
        (
            Device,
            How::Basic,
            capture_of(400, r#"{"error":"invalid_request","error_description":"Missing client_id parameter."}"#),
            "in the body, too",
            "code",
        ),
        (Refreshed, How::Id, capture_of(503, "Service Unavailable"), "Service Unavailable", "device"),
        (
            Revoked,
            How::Id,
            capture_of(404, r#"{"error":{"code":404,"message":"no such path"}}"#),
            "no such path",
            "device",
        ),
        (
            Device,
            How::Id,
            capture_of(400, r#"{"error":"weird","message":"made-up text"}"#),
            "weird: made-up text",
            "later",
        ),
        (
            Device,
            How::Id,
            capture_of(403, r#"{"error":"access_denied","error_description":"Realm not enabled"}"#),
            "switched off",
            "code",
        ),
        (
            Refreshed,
            How::Id,
            capture_of(400, r#"{"error":"invalid_grant","error_description":"Invalid token issuer"}"#),
            "another address",
            "device",
        ),
    ] {
        let response = Response::new(status, body.as_bytes());
        let text = end_or_trail(at, how, response);
        assert!(text.contains(says), "{at:?} {body}: {text}");
        assert!(never.is_empty() || !text.contains(never), "{at:?} {body}: {text}");
        everywhere(response, "");
    }
}

/// The text of the end; of a poll that goes on, what is told when its code expires.
fn end_or_trail(at: At, how: How, response: Response<'_>) -> String {
    if let Some(failure) = end(at, how, "openid", response) {
        return failure.to_string();
    }
    let mut run = Run::of(DeviceFlow::new(client(how, "openid").build().unwrap(), [7; 32]));
    run.script(&[(200, &device_answer(json!({})))]);
    while run.go() {
        run.respond(response);
    }
    run.failure().to_string()
}
