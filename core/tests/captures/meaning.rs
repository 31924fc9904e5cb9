//! Owns what one answer can mean, as seen from outside: what a machine does next after it.

use super::reader::Capture;
use crate::support::{PENDING, Run, START, assert_gap, device_answer};
use device_flow_core::{
    Cause, Client, DeviceFlow, Discovery, Failure, OAuthError, ProtocolFault, Provider, Refresh, Revocation,
    SignInReason, TokenResponse, WaitReason,
};
use serde_json::json;

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The members of an answer with tokens that have a meaning here.
const KNOWN: [&str; 6] = ["access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"];

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Of {
    /// The document of this issuer.
    Metadata(&'static str),
    Device,
    Token,
    Refresh,
    Revocation,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Meaning<'a> {
    /// The endpoints, `""` for none, and whether `none` is among the ways of authentication.
    Metadata {
        device: &'a str,
        token: &'a str,
        public_clients: bool,
    },
    /// A code, shown and polled for; times in seconds.
    Code {
        interval: u64,
        lifetime: u64,
    },
    /// A code with no time for a poll: expired at once, never shown.
    DeadCode,
    /// A code whose interval is not shorter than its life.
    IntervalTooLong,
    Pending,
    SlowDown,
    Token {
        scope: &'a str,
        lifetime: u64,
        refresh: bool,
        id: bool,
    },
    Denied,
    Expired,
    Rejected(&'a str),
    /// The flow goes on, more slowly: the server cannot answer for the moment.
    Outage(u16),
    /// The flow goes on, more slowly, three times: perhaps another server answered.
    Page(u16),
    /// Final: a page or an empty answer where there must be a code.
    NoAnswer(u16),
    /// Final: this member is not there.
    Missing(&'a str),
    /// Final: a token of a type that was not asked for.
    TokenType(&'a str),
    /// A refresh after which only the person can go on: the refresh token is no longer valid.
    SignIn(&'a str),
    Revoked,
}

pub(crate) fn client() -> Client {
    let provider = Provider::endpoints("http://127.0.0.1:1/device", "http://127.0.0.1:1/token");
    let provider = provider.revocation_endpoint("http://127.0.0.1:1/revoke");
    let client = Client::builder(provider, "device-public").scope("openid offline_access");
    client.allow_http_loopback().build().unwrap()
}

/// Hands the answer in and returns what it meant.
pub(crate) fn observe(capture: &Capture, of: Of, tell: impl FnOnce(Meaning<'_>)) {
    match of {
        Of::Metadata(issuer) => metadata(capture, issuer, tell),
        Of::Device => device(capture, tell),
        Of::Token => token(capture, tell),
        Of::Refresh => refresh(capture, tell),
        Of::Revocation => {
            let mut run = Run::of(Revocation::new(client(), "RT-canary").unwrap());
            run.poll();
            run.respond(capture.response());
            run.outcome().unwrap();
            assert_eq!(run.requests.len(), 1);
            tell(Meaning::Revoked);
        }
    }
}

fn metadata(capture: &Capture, issuer: &str, tell: impl FnOnce(Meaning<'_>)) {
    let mut run = Run::of(Discovery::builder(issuer).allow_http_loopback().build().unwrap());
    while run.go() {
        run.respond(capture.response());
    }
    let found = match run.outcome() {
        Ok(found) => found,
        Err(Failure::Protocol(error)) => match error.fault {
            ProtocolFault::Status(status) => return tell(Meaning::NoAnswer(status)),
            other => panic!("{other}"),
        },
        Err(other) => panic!("{other}"),
    };
    let public_clients = found.token_endpoint_auth_methods().any(|method| method == "none");
    let device = found.device_authorization_endpoint().unwrap_or_default();
    assert_eq!(found.issuer(), issuer);
    let grants = &capture.json()["grant_types_supported"];
    let listed = grants.as_array().is_some_and(|grants| grants.iter().any(|grant| grant == DEVICE_GRANT));
    assert_eq!(found.lists_device_grant(), listed);
    tell(Meaning::Metadata { device, token: found.token_endpoint(), public_clients });
}

fn device(capture: &Capture, tell: impl FnOnce(Meaning<'_>)) {
    let mut run = Run::new(client());
    run.go();
    run.respond(capture.response());
    if run.go() && run.requests[1].url.ends_with("/token") {
        let (prompt, json) = (&run.prompts[0], capture.json());
        assert_eq!(prompt.user_code(), json["user_code"]);
        assert_eq!(prompt.verification_uri(), json["verification_uri"]);
        assert_eq!(prompt.verification_uri_complete().unwrap(), json["verification_uri_complete"]);
        assert_eq!(run.requests[1].parameter("device_code").unwrap(), json["device_code"]);
        assert_eq!(prompt.warnings().count(), 0);
        let interval = prompt.interval().as_secs();
        assert_gap(run.now - START, interval, interval);
        tell(Meaning::Code { interval, lifetime: (prompt.expires_at().as_millis() - START) / 1000 });
    } else if run.requests.len() > 1 {
        // Asked again: no code, but one may come.
        tell(Meaning::Outage(capture.status));
    } else {
        assert!(run.prompts.is_empty());
        ended(capture, &run.outcome.unwrap(), tell);
    }
}

fn token(capture: &Capture, tell: impl FnOnce(Meaning<'_>)) {
    let mut run = Run::new(client());
    run.go();
    run.answer(200, &device_answer(json!({})));
    // One interval is five seconds; after a pending answer the beginning has no effect.
    run.script(&[(400, PENDING)]);
    run.poll();
    run.respond(capture.response());
    if let Some(seconds) = poll_again(&mut run) {
        let reason = run.waits.last().unwrap().1;
        let (meaning, due) = match reason {
            WaitReason::Interval => (Meaning::Pending, 5),
            WaitReason::SlowDown { interval: 10 } => (Meaning::SlowDown, 10),
            WaitReason::Backoff { cause: Cause::Status(status), attempt: 1 } => (Meaning::Outage(status), 10),
            WaitReason::Backoff { cause: Cause::Page(status), attempt: 1 } => (Meaning::Page(status), 10),
            other => panic!("{other:?}"),
        };
        assert_gap(seconds, due, due);
        tell(meaning);
    } else {
        assert_eq!(run.requests.len(), 3, "nothing is sent after the end");
        ended(capture, &run.outcome.unwrap(), tell);
    }
}

fn refresh(capture: &Capture, tell: impl FnOnce(Meaning<'_>)) {
    let mut run = Run::of(Refresh::new(client(), "RT-canary"));
    run.poll();
    run.respond(capture.response());
    let outcome = run.outcome();
    assert_eq!(run.requests.len(), 1, "nothing is sent after the end");
    if let Err(failure) = &outcome {
        let dead = matches!(failure, Failure::SignInNeeded(_));
        assert_eq!(failure.keeps_refresh_token(), !dead, "{failure}");
    }
    ended(capture, &outcome, tell);
}

fn poll_again(run: &mut Run<DeviceFlow>) -> Option<u64> {
    run.go().then(|| run.now - run.answered_at)
}

fn ended(capture: &Capture, outcome: &Result<TokenResponse, Failure>, tell: impl FnOnce(Meaning<'_>)) {
    let failure = match outcome {
        Ok(token) => return granted(capture, token, tell),
        Err(failure) => failure,
    };
    match failure {
        Failure::Denied(error) => tell(in_full(capture, error, Meaning::Denied)),
        Failure::Expired(expired) => tell(match &expired.error {
            Some(error) => in_full(capture, error, Meaning::Expired),
            None => Meaning::DeadCode,
        }),
        Failure::SignInNeeded(SignInReason::Refused(error)) => {
            tell(in_full(capture, error, Meaning::SignIn(error.code())))
        }
        Failure::Rejected(error) => tell(in_full(capture, error, Meaning::Rejected(error.code()))),
        Failure::Protocol(error) => tell(match &error.fault {
            ProtocolFault::IntervalTooLong => Meaning::IntervalTooLong,
            ProtocolFault::Page { status, .. } | ProtocolFault::Status(status) => Meaning::NoAnswer(*status),
            ProtocolFault::Missing(member) => Meaning::Missing(member),
            ProtocolFault::TokenType(found) => Meaning::TokenType(found),
            other => panic!("{other}"),
        }),
        other => panic!("{other}"),
    }
}

/// Nothing of an error gets lost.
fn in_full<'a>(capture: &Capture, error: &OAuthError, meaning: Meaning<'a>) -> Meaning<'a> {
    let json = capture.json();
    assert_eq!((error.code(), error.status()), (json["error"].as_str().unwrap(), capture.status));
    assert_eq!(error.description(), json["error_description"].as_str());
    meaning
}

fn granted(capture: &Capture, token: &TokenResponse, tell: impl FnOnce(Meaning<'_>)) {
    let json = capture.json();
    assert_eq!(token.access_token().expose(), json["access_token"]);
    assert_eq!(token.refresh_token().map(|token| token.expose()), json["refresh_token"].as_str());
    assert_eq!(token.id_token().map(|token| token.expose()), json["id_token"].as_str());
    // Keycloak has three more: `refresh_expires_in`, `not-before-policy`, `session_state`.
    let mut more: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    more.retain(|name| !KNOWN.contains(name));
    let mut extra: Vec<_> = token.extra_names().collect();
    extra.sort_unstable();
    assert_eq!(extra, more);
    let scope = token.scopes().collect::<Vec<_>>().join(" ");
    let (refresh, id) = (token.refresh_token().is_some(), token.id_token().is_some());
    tell(Meaning::Token { scope: &scope, lifetime: token.expires_in().unwrap().as_secs(), refresh, id });
}
