//! Outcomes as data: what comes back equal, and what does not load.
#![cfg(feature = "serde")]

use crate::support::*;
use device_flow_core::{
    ClaimsError, Endpoint, Expired, Failure, OAuthError, ProtocolError, ProtocolFault, SignInReason, TextFault,
    TokenResponse, TransportError, TransportErrorKind, Unshowable,
};
use serde_json::{Value, json};

fn granted(body: &Value) -> TokenResponse {
    let mut run = Run::granted(json!({}));
    run.poll();
    run.answer(200, &body.to_string());
    token(run.outcome())
}

fn whole() -> TokenResponse {
    granted(&json!({
        "access_token": "AT-canary", "token_type": "Bearer", "expires_in": 3599, "refresh_token": "RT-canary",
        "id_token": "e30.canary.x", "scope": "profile  email", "client_info": "canary", "issued_at": 7
    }))
}

/// All that can be asked of it.
fn seen(token: &TokenResponse) -> Vec<String> {
    let exposed = |secret: Option<&device_flow_core::Secret>| secret.map(|secret| secret.expose().to_owned());
    let extra = token.extra_names().map(|name| format!("{name} {:?}", exposed(token.extra(name))));
    let scopes = [token.scopes().collect::<Vec<_>>(), token.missing_scopes().collect(), token.added_scopes().collect()];
    let tokens = [Some(token.access_token()), token.refresh_token(), token.id_token()].map(exposed);
    [format!("{tokens:?} {:?} {scopes:?}", token.expires_in())].into_iter().chain(extra).collect()
}

#[test]
fn a_token_response_comes_back_equal() {
    for token in [whole(), granted(&json!({"access_token": "AT-canary"})), granted(&json!({"access_token": "a b"}))] {
        let stored = serde_json::to_string(&token).unwrap();
        let loaded: TokenResponse = serde_json::from_str(&stored).unwrap();
        assert_eq!(seen(&loaded), seen(&token));
        assert_eq!(serde_json::to_string(&loaded).unwrap(), stored);
        assert!(!format!("{loaded:?}").contains("canary"));
    }
    assert_eq!(seen(&whole()).len(), 3);
}

/// What this version stores loads for ever.
#[test]
fn the_stored_form_of_a_token_response_is_this() {
    let stored = json!({"v1": {
        "access_token": "AT-canary", "expires_in": 3599, "refresh_token": "RT-canary", "id_token": "e30.canary.x",
        "granted": "profile email", "requested": "openid profile", "audience": "",
        "token_type": "Bearer", "key": "",
        "extra": [["client_info", "\"canary\""], ["issued_at", "7"]]
    }});
    assert_eq!(serde_json::to_value(whole()).unwrap(), stored);
}

#[test]
fn a_damaged_token_response_is_refused_with_a_reason() {
    let value = serde_json::to_value(whole()).unwrap();
    for (name, bad) in [
        ("access_token", json!("")),
        ("access_token", json!("a\r\nb")),
        ("access_token", json!("é")),
        ("refresh_token", json!("")),
        ("refresh_token", json!("a\nb")),
        ("expires_in", json!(3_155_760_001_u64)),
    ] {
        let mut damaged = value.clone();
        damaged["v1"][name] = bad;
        let error = serde_json::from_value::<TokenResponse>(damaged).unwrap_err().to_string();
        assert_eq!(error, format!("this stored token is damaged ({name})"));
    }
    let mut bounds = value.clone();
    bounds["v1"]["expires_in"] = json!(3_155_760_000_u64);
    assert!(serde_json::from_value::<TokenResponse>(bounds).is_ok());
    for (pointer, bad) in [("", json!({"v2": value["v1"]})), ("/v1/expires_in", json!(-1)), ("/v1/surprise", json!(1))]
    {
        let mut damaged = value.clone();
        if pointer == "/v1/surprise" {
            damaged["v1"]["surprise"] = bad;
        } else {
            *damaged.pointer_mut(pointer).unwrap() = bad;
        }
        assert!(serde_json::from_value::<TokenResponse>(damaged).is_err(), "{pointer}");
    }
    let error = serde_json::from_value::<TokenResponse>(json!({"v2": {}})).unwrap_err().to_string();
    assert_eq!(error, "unknown variant `v2`, expected `v1`");
}

fn oauth_error() -> OAuthError {
    let mut run = Run::granted(json!({}));
    run.poll();
    let claims = r#"{"access_token":{}}"#;
    run.answer(
        400,
        &json!({
            "error": "invalid_request", "error_description": "AADSTS90002: x", "error_uri": "https://as/help",
            "error_codes": [90002], "suberror": "consent_required", "correlation_id": "c", "trace_id": "t",
            "timestamp": "then", "claims": claims
        })
        .to_string(),
    );
    let Failure::Rejected(error) = run.failure() else { panic!() };
    assert_eq!((error.numbers(), error.claims()), (&[90002][..], Some(claims)));
    error
}

fn expired_with_a_trail() -> Failure {
    let mut run = Run::granted(json!({"expires_in": 60}));
    run.poll();
    run.respond(device_flow_core::Response::new(502, b"<html>Bad Gateway"));
    run.poll();
    run.fail(TransportErrorKind::Abandoned);
    run.poll();
    run.answer(400, r#"{"error":"expired_token"}"#);
    let failure = run.failure();
    assert!(failure.a_poll_was_lost());
    failure
}

/// One of every kind, with the texts that it can have.
fn every_failure() -> Vec<Failure> {
    const KINDS: [TransportErrorKind; 10] = [
        TransportErrorKind::Timeout,
        TransportErrorKind::Dns,
        TransportErrorKind::Connect,
        TransportErrorKind::Tls,
        TransportErrorKind::UntrustedCertificate,
        TransportErrorKind::Proxy,
        TransportErrorKind::Closed,
        TransportErrorKind::InvalidHttp,
        TransportErrorKind::Abandoned,
        TransportErrorKind::Other,
    ];
    const FAULTS: [TextFault; 8] = [
        TextFault::Empty,
        TextFault::TooLong,
        TextFault::Unprintable,
        TextFault::NotAUri,
        TextFault::Scheme,
        TextFault::Fragment,
        TextFault::Query,
        TextFault::UserInfo,
    ];
    let members = [
        "access_token",
        "device_code",
        "error",
        "expires_in",
        "interval",
        "issuer",
        "refresh_token",
        "token_endpoint",
        "token_type",
        "user_code",
        "verification_uri",
        "device_authorization_endpoint",
    ];
    let claims = ["iss", "sub", "aud", "exp"].map(ClaimsError::Claim).into_iter().chain([
        ClaimsError::Unreadable,
        ClaimsError::Issuer { found: "https://other".into() },
        ClaimsError::Audience,
        ClaimsError::Subject,
        ClaimsError::Expired,
    ]);
    let faults = [
        ProtocolFault::Empty(204),
        ProtocolFault::NotUtf8,
        ProtocolFault::Page { status: 200, excerpt: "<html>".into() },
        ProtocolFault::InvalidJson,
        ProtocolFault::DuplicateMember("x".into()),
        ProtocolFault::IntervalTooLong,
        ProtocolFault::TooLarge(65_536),
        ProtocolFault::Redirect(302),
        ProtocolFault::Status(404),
        ProtocolFault::Unavailable(503),
        ProtocolFault::TokenAndError("slow_down".into()),
        ProtocolFault::TokenType("mac".into()),
        ProtocolFault::IssuerMismatch { found: "https://other".into() },
    ];
    let faults = faults
        .into_iter()
        .chain(members.map(ProtocolFault::Missing))
        .chain(members.map(ProtocolFault::Invalid))
        .chain(claims.map(ProtocolFault::IdToken))
        .chain(FAULTS.map(|fault| ProtocolFault::Unshowable(Unshowable::UserCode(fault))))
        .chain(FAULTS.map(|fault| ProtocolFault::Unshowable(Unshowable::VerificationUri(fault))))
        .chain(FAULTS.map(|fault| ProtocolFault::UnsafeEndpoint { member: "token_endpoint", fault }));
    let endpoints = [
        Endpoint::Metadata,
        Endpoint::DeviceAuthorization,
        Endpoint::Token,
        Endpoint::Revocation,
        Endpoint::Registration,
        Endpoint::UserInfo,
    ];
    let protocol =
        |fault: ProtocolFault| endpoints.map(|endpoint| Failure::Protocol(ProtocolError::new(endpoint, fault.clone())));
    let transport =
        |kind| [TransportError::new(kind), TransportError::new(kind).with_detail("no route")].map(Failure::Transport);
    [
        Failure::Cancelled,
        Failure::Denied(oauth_error()),
        Failure::Rejected(oauth_error()),
        expired_with_a_trail(),
        Failure::SignInNeeded(SignInReason::NotSignedIn),
        Failure::SignInNeeded(SignInReason::NewScopes),
        Failure::SignInNeeded(SignInReason::Refused(oauth_error())),
        Failure::WhichAccount(["ada".into(), "grace".into()].into()),
    ]
    .into_iter()
    .chain(faults.flat_map(protocol))
    .chain(KINDS.into_iter().flat_map(transport))
    .collect()
}

#[test]
fn every_failure_comes_back_equal() {
    let all = every_failure();
    for failure in &all {
        let stored = serde_json::to_string(failure).unwrap();
        let loaded: Failure = serde_json::from_str(&stored).unwrap_or_else(|error| panic!("{error}: {stored}"));
        assert_eq!(loaded, *failure);
        assert_eq!((loaded.to_string(), loaded.is_retryable()), (failure.to_string(), failure.is_retryable()));
        assert_eq!(loaded.a_poll_was_lost(), failure.a_poll_was_lost());
    }
    assert!(all.len() > 200, "{}", all.len());
}

/// What this version stores loads for ever.
#[test]
fn the_stored_form_of_a_failure_is_this() {
    let stored = json!({"v1": {"expired": {
        "trail": {"polls": 3, "trouble": {
            "slow_downs": 0, "failures": 2, "drift_suspected": false, "poll_lost": true,
            "last_error": {"cause": {"transport": "abandoned"}, "detail": ""}
        }},
        "error": {
            "code": "expired_token", "description": null, "uri": null, "status": 400, "advice": null, "spent": false,
            "poll_lost": false, "details": null
        }
    }}});
    assert_eq!(serde_json::to_value(expired_with_a_trail()).unwrap(), stored);
    let rejected = serde_json::to_value(Failure::Rejected(oauth_error())).unwrap();
    assert_eq!(
        rejected["v1"]["rejected"]["details"],
        json!({
            "numbers": [90002], "suberror": "consent_required", "correlation_id": "c", "trace_id": "t", "timestamp": "then",
            "claims": r#"{"access_token":{}}"#
        })
    );
    let fault = ProtocolFault::Missing("issuer");
    let failure = Failure::Protocol(ProtocolError::new(Endpoint::Metadata, fault));
    let stored = json!({"v1": {"protocol": {"endpoint": "metadata", "fault": {"missing": "issuer"}}}});
    assert_eq!(serde_json::to_value(failure).unwrap(), stored);
}

#[test]
fn a_damaged_failure_is_refused_with_a_reason() {
    let escape = json!("\u{1b}[2J");
    for failure in [
        Failure::Denied(oauth_error()),
        Failure::Rejected(oauth_error()),
        Failure::SignInNeeded(SignInReason::Refused(oauth_error())),
        Failure::Expired(Expired { error: Some(oauth_error()), ..expired(expired_with_a_trail()) }),
    ] {
        let value = serde_json::to_value(&failure).unwrap();
        let (kind, content) = value["v1"].as_object().unwrap().iter().next().unwrap();
        let prefix = match (&**kind, content.get("error")) {
            ("expired", Some(_)) => "/v1/expired/error".to_owned(),
            ("sign_in_needed", _) => "/v1/sign_in_needed/refused".to_owned(),
            _ => format!("/v1/{kind}"),
        };
        for name in [
            "code",
            "description",
            "uri",
            "advice",
            "details/suberror",
            "details/correlation_id",
            "details/trace_id",
            "details/timestamp",
        ] {
            let mut damaged = value.clone();
            *damaged.pointer_mut(&format!("{prefix}/{name}")).unwrap() = escape.clone();
            let error = serde_json::from_value::<Failure>(damaged).unwrap_err().to_string();
            assert_eq!(error, "this stored failure is damaged (a text that is not safe to print)", "{prefix}/{name}");
        }
    }
    for (damaged, reason) in [
        (json!({"v1": {"protocol": {"endpoint": "token", "fault": {"missing": "x"}}}}), "(an unknown member)"),
        (json!({"v1": {"which_account": [escape]}}), "(a text that is not safe to print)"),
        (json!({"v2": "cancelled"}), "unknown variant `v2`"),
        (json!({"v1": "tired"}), "unknown variant `tired`"),
        (json!([]), "expected"),
    ] {
        let error = serde_json::from_value::<Failure>(damaged.clone()).unwrap_err().to_string();
        assert!(error.contains(reason), "{damaged}: {error}");
    }
    for pointer in [
        "/v1/expired",
        "/v1/expired/trail",
        "/v1/expired/trail/trouble",
        "/v1/expired/error",
        "/v1/expired/trail/trouble/last_error",
    ] {
        let mut more = serde_json::to_value(expired_with_a_trail()).unwrap();
        more.pointer_mut(pointer).unwrap()["surprise"] = json!(1);
        assert!(serde_json::from_value::<Failure>(more).is_err(), "{pointer}");
    }
}

// Whatever happens to the bytes: an error, or what is safe to print and to send. Never a panic.
#[test]
fn damaged_bytes_do_no_harm() {
    let stored = [
        serde_json::to_string(&whole()).unwrap(),
        serde_json::to_string(&expired_with_a_trail()).unwrap(),
        serde_json::to_string(&Failure::Denied(oauth_error())).unwrap(),
    ];
    let mut loaded = 0;
    for stored in &stored {
        for at in 0..stored.len() {
            for byte in [b'"', b'\\', b'0', b'{', b'u', 0x1f, 0xff] {
                let mut bytes = stored.clone().into_bytes();
                bytes[at] = byte;
                if let Ok(token) = serde_json::from_slice::<TokenResponse>(&bytes) {
                    assert!(token.access_token().expose().bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
                    loaded += 1;
                }
                if let Ok(failure) = serde_json::from_slice::<Failure>(&bytes) {
                    assert!(!failure.to_string().contains(char::is_control));
                    loaded += 1;
                }
            }
            assert!(serde_json::from_slice::<TokenResponse>(&stored.as_bytes()[..at]).is_err());
            assert!(serde_json::from_slice::<Failure>(&stored.as_bytes()[..at]).is_err());
        }
    }
    assert!(loaded > 100, "{loaded}");
}
