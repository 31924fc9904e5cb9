//! The cache and the refresh: what is used, requested, kept and removed.

use super::grants::*;
use crate::support::{Run, device_answer};
use device_flow_core::{
    ClaimsError, Failure, Machine as _, ProtocolFault, Response, SignIn, SignInReason, SignInRequest, Timestamp,
    TokenSource, TransportErrorKind,
};
use serde_json::json;
use std::time::Duration;

// D12.
#[test]
fn a_token_that_is_valid_for_five_more_minutes_needs_no_request() {
    let hit = ("AT-canary-1".to_owned(), TokenSource::Cache);
    for after in [0, HOUR - 301] {
        let mut run = silent(request(), ada(), later(after));
        assert_eq!(token(run.outcome()), hit, "{after}");
        assert!(run.requests.is_empty() && !run.machine.cache().is_changed());
        assert_eq!(token(Ok(request().cached(&ada(), later(after)).unwrap())), hit);
    }
    assert!(request().cached(&ada(), later(HOUR - 300)).is_none());
    assert!(silent(request(), ada(), later(HOUR - 300)).go(), "a refresh");
}

#[test]
fn a_cached_token_has_what_the_sign_in_brought() {
    let cache = ada();
    let hit = request().cached(&cache, THEN).unwrap();
    assert_eq!(hit.authorization().unwrap().expose(), "Bearer AT-canary-1");
    assert_eq!(hit.id_token().unwrap().expose(), id_token("ada", json!({})));
    assert_eq!(hit.expires_on(), Some(later(HOUR)));
    assert_eq!(hit.scopes().collect::<Vec<_>>(), ["mail", "openid", "profile"]);
    assert_eq!(hit.account().unwrap().username(), "ada@example.test");
    assert!(hit.response().is_none() && hit.is_refreshable());
    let request = request();
    let without = cache_of(&request, &[grant(1, json!({"refresh_token": null}))]);
    assert!(!request.cached(&without, THEN).unwrap().is_refreshable());
    assert!(SignIn::silent(request.clone(), without, THEN).request().is_same(&request));
}

// R6749-6-7.
#[test]
fn a_refresh_replaces_both_tokens() {
    let mut run = silent(request(), ada(), later(HOUR));
    run.script(&[(200, &grant(2, json!({})))]);
    asked(
        &run.requests[0],
        &[("grant_type", Some("refresh_token")), ("refresh_token", Some("RT-canary-1")), ("scope", None)],
    );
    let signed_in = run.outcome().unwrap();
    assert_eq!(signed_in.response().unwrap().refresh_token().unwrap().expose(), "RT-canary-2");
    assert_eq!(signed_in.expires_on(), Some(later(2 * HOUR)));
    assert_eq!(token(Ok(signed_in)), ("AT-canary-2".to_owned(), TokenSource::Refresh));
    let cache = run.machine.into_cache();
    assert!(cache.is_changed());
    assert_eq!(
        (secrets(&cache, "AccessToken"), refresh_tokens(&cache)),
        (vec!["AT-canary-2".into()], vec!["RT-canary-2".into()])
    );
}

// Calendar time advances with the driver's timeline: here two refreshes take 20 minutes each.
#[test]
fn time_that_passes_on_the_way_counts() {
    let mut run = silent(request(), ada(), later(HOUR));
    run.poll();
    run.now += 1_200_000;
    run.answer(200, &grant(2, json!({})));
    assert_eq!(run.outcome().unwrap().expires_on(), Some(later(2 * HOUR + 1_200)));
}

#[test]
fn a_forced_refresh_and_claims_bypass_the_cache() {
    let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#;
    for (request, sent) in [
        (request().force_refresh(), None),
        (request().claims(claims).unwrap(), Some(claims)),
        (request().claims(&format!(" {claims}\n")).unwrap(), Some(claims)),
    ] {
        assert!(request.cached(&ada(), THEN).is_none());
        let mut run = silent(request, ada(), THEN);
        run.script(&[(200, &grant(2, json!({})))]);
        asked(&run.requests[0], &[("claims", sent)]);
        assert_eq!(token(run.outcome()), ("AT-canary-2".to_owned(), TokenSource::Refresh));
    }
    for nothing in ["", " ", "{}", "{ }"] {
        assert!(request().claims(nothing).unwrap().cached(&ada(), THEN).is_some(), "{nothing:?}");
    }
    for broken in ["[]", "null", "{", "true", r#"{"a":1}x"#] {
        request().claims(broken).unwrap_err();
    }
}

// R9700-4.14.2-2.
#[test]
fn without_tokens_a_silent_sign_in_says_that_nobody_is_signed_in() {
    let not_signed_in = Failure::SignInNeeded(SignInReason::NotSignedIn);
    assert_eq!(silent(request(), cache(&[]), THEN).failure(), not_signed_in);
    assert_eq!(not_signed_in.to_string(), "nobody is signed in");
    // No refresh token, and the access token has expired.
    let alone = || cache(&[grant(1, json!({"refresh_token": null}))]);
    assert_eq!(silent(request(), alone(), later(HOUR)).failure(), not_signed_in);
    assert_eq!(token(silent(request(), alone(), THEN).outcome()).1, TokenSource::Cache);
    // Tokens of another client do not count.
    let other = crate::support::builder();
    let other = device_flow_core::Client::builder(
        device_flow_core::Provider::endpoints("https://as/device", "https://as/token"),
        "other-app",
    )
    .scope(other.build().unwrap().scope())
    .build()
    .unwrap();
    assert_eq!(silent(SignInRequest::new(other), ada(), THEN).failure(), not_signed_in);
}

// B23, R7009-2.1-5, R9700-4.14.2-1: a token that the server refuses for good is removed; after any other failure it
// stays.
#[test]
fn b23_a_refused_refresh_token_goes_and_any_other_failure_keeps_it() {
    let mut run = silent(request(), ada(), later(HOUR));
    run.script(&[(400, r#"{"error":"invalid_grant"}"#)]);
    let Failure::SignInNeeded(SignInReason::Refused(error)) = run.failure() else { panic!() };
    assert_eq!(error.code(), "invalid_grant");
    assert_eq!(refresh_tokens(run.machine.cache()), [""; 0]);

    for body in [r#"{"error":"interaction_required"}"#, r#"{"error":"invalid_client"}"#, "{}", r#"{"access_token":7}"#]
    {
        let mut run = silent(request(), ada(), later(HOUR));
        run.script(&[(400, body)]);
        run.failure();
        assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-1"], "{body}");
        assert!(!run.machine.cache().is_changed(), "{body}");
    }
    let mut run = silent(request(), ada(), later(HOUR));
    while run.go() {
        run.fail(TransportErrorKind::Connect);
    }
    assert!(matches!(run.outcome.take().unwrap(), Err(Failure::Transport(_))));
    assert_eq!(run.requests.len(), 4, "after 1, 2 and 4 seconds");
    assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-1"]);
}

#[test]
fn a_token_that_was_left_beside_the_new_one_is_tried_and_thrown_away() {
    // As Node leaves them: two refresh tokens of one owner under two keys; the first is the newer.
    let mut written: serde_json::Value = serde_json::from_str(ada().to_json().expose()).unwrap();
    let tokens = written["RefreshToken"].as_object_mut().unwrap();
    let (key, mut entry) = tokens.iter().map(|(key, entry)| (key.clone(), entry.clone())).next().unwrap();
    entry["secret"] = json!("RT-canary-left");
    entry["last_modification_time"] = json!("1");
    tokens.insert(format!("{key}-left"), entry);
    let both = device_flow_core::TokenCache::from_json(written.to_string().as_bytes()).unwrap();

    let mut run = silent(request(), both, later(HOUR));
    run.script(&[(400, r#"{"error":"invalid_grant"}"#), (200, &grant(3, json!({})))]);
    asked(&run.requests[0], &[("refresh_token", Some("RT-canary-1"))]);
    asked(&run.requests[1], &[("refresh_token", Some("RT-canary-left"))]);
    assert_eq!(token(run.outcome()).1, TokenSource::Refresh);
    assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-3"]);
}

/// A token that the server wants replaced after half an hour.
fn aging() -> device_flow_core::TokenCache {
    cache(&[grant(1, json!({"refresh_in": HOUR / 2}))])
}

#[test]
fn an_aging_token_is_replaced_when_it_can_be() {
    assert_eq!(token(silent(request(), aging(), later(HOUR / 2 - 1)).outcome()).1, TokenSource::Cache);
    assert!(request().cached(&aging(), later(HOUR / 2 - 1)).is_some());
    assert!(request().cached(&aging(), later(HOUR / 2)).is_none());
    let mut run = silent(request(), aging(), later(HOUR / 2));
    run.script(&[(200, &grant(2, json!({})))]);
    assert_eq!(token(run.outcome()), ("AT-canary-2".to_owned(), TokenSource::Refresh));
}

#[test]
fn an_aging_token_that_cannot_be_replaced_is_used_and_nobody_waits() {
    type Trouble = fn(&mut Run<device_flow_core::SignIn>);
    let troubles: [Trouble; 6] = [
        |run| run.fail(TransportErrorKind::Connect),
        |run| run.fail(TransportErrorKind::UntrustedCertificate),
        |run| run.answer(503, ""),
        |run| run.respond(Response::new(429, b"").header("Retry-After", b"30")),
        |run| run.answer(400, r#"{"error":"interaction_required"}"#),
        |run| run.answer(200, "<html>"),
    ];
    for (number, trouble) in troubles.into_iter().enumerate() {
        let mut run = silent(request(), aging(), later(HOUR / 2));
        run.poll();
        trouble(&mut run);
        assert_eq!(token(run.outcome()), ("AT-canary-1".to_owned(), TokenSource::Cache), "{number}");
        assert!(run.waits.is_empty() && run.requests.len() == 1, "{number}");
        assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-1"], "{number}");
        // For five minutes there is no other attempt.
        let cache = run.machine.into_cache();
        assert!(cache.is_changed());
        assert!(request().cached(&cache, later(HOUR / 2 + 299)).is_some(), "{number}");
        assert!(request().cached(&cache, later(HOUR / 2 + 300)).is_none(), "{number}");
    }
    // Expired and down is a failure.
    let mut run = silent(request(), aging(), later(HOUR));
    run.poll();
    run.fail(TransportErrorKind::UntrustedCertificate);
    run.failure();
}

#[test]
fn the_next_attempt_is_postponed_for_the_aging_token_alone() {
    let bob = json!({"id_token": id_token("bob", json!({})), "refresh_token": null});
    let both = cache(&[grant(2, bob), grant(1, json!({"refresh_in": HOUR / 2}))]);
    let ada = || request().account("sub-ada");
    let mut run = silent(ada(), both, later(HOUR / 2));
    run.poll();
    run.fail(TransportErrorKind::Connect);
    assert_eq!(token(run.outcome()), ("AT-canary-1".to_owned(), TokenSource::Cache));
    let cache = run.machine.into_cache();
    assert!(ada().cached(&cache, later(HOUR / 2 + 299)).is_some());
    assert!(request().account("sub-bob").cached(&cache, later(HOUR / 2 + 301)).is_some());
}

#[test]
fn an_aging_token_without_a_refresh_token_is_used() {
    let cache = cache(&[grant(1, json!({"refresh_in": 1, "refresh_token": null}))]);
    let mut run = silent(request(), cache, later(2));
    assert_eq!(token(run.outcome()).1, TokenSource::Cache);
}

// RFC 6749 §6: the old token may be invalid, so the new one is kept whatever else is wrong.
#[test]
fn a_rotated_refresh_token_outlives_an_answer_that_is_of_no_use() {
    for (change, fault) in [
        (json!({"id_token": id_token("ada", json!({"exp": 1}))}), ProtocolFault::IdToken(ClaimsError::Expired)),
        (json!({"id_token": "canary"}), ProtocolFault::IdToken(ClaimsError::Unreadable)),
        (json!({"access_token": null}), ProtocolFault::Missing("access_token")),
        (json!({"token_type": "mac"}), ProtocolFault::TokenType("mac".into())),
    ] {
        let mut run = silent(request(), ada(), later(HOUR));
        run.script(&[(200, &grant(2, change.clone()))]);
        let Failure::Protocol(error) = run.failure() else { panic!("{change}") };
        assert_eq!(error.fault, fault);
        assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-2"], "{change}");
        assert_eq!(secrets(run.machine.cache(), "AccessToken"), ["AT-canary-1"], "{change}");
    }
}

// OIDC-12.2-2. Neither is the old token tried again: the server says that it is somebody else's.
#[test]
fn k04_nothing_of_an_answer_about_somebody_else_is_used_or_kept() {
    let issuer = ClaimsError::Issuer { found: "https://evil".into() };
    for (of, change, fault) in [
        ("eve", json!({}), ClaimsError::Subject),
        ("ADA", json!({}), ClaimsError::Subject),
        ("ada", json!({"aud": "another"}), ClaimsError::Audience),
        ("ada", json!({"iss": "https://evil"}), issuer),
    ] {
        let answer = grant(2, json!({"id_token": id_token(of, change)}));
        let check = |run: &mut Run<SignIn>| {
            assert_eq!(refresh_tokens(run.machine.cache()), [""; 0], "{fault}");
            assert_eq!(secrets(run.machine.cache(), "AccessToken"), ["AT-canary-1"], "{fault}");
            assert_eq!(run.machine.cache().accounts().len(), 1);
        };
        let mut run = silent(request(), ada(), later(HOUR));
        run.script(&[(200, &answer)]);
        let failure = run.failure();
        let Failure::Protocol(error) = &failure else { panic!("{failure}") };
        assert_eq!(error.fault, ProtocolFault::IdToken(fault.clone()));
        assert!(!failure.keeps_refresh_token());
        check(&mut run);
        // The same without an access token, and when the answer comes after a cancel.
        let mut run = silent(request(), ada(), later(HOUR));
        let bare: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let bare = json!({"refresh_token": bare["refresh_token"], "id_token": bare["id_token"]});
        run.script(&[(200, &bare.to_string())]);
        assert!(matches!(run.failure(), Failure::Protocol(_)));
        assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-1"], "{fault}");
        let mut run = silent(request(), ada(), later(HOUR));
        run.poll();
        let ticket = run.take_ticket();
        run.machine.cancel();
        assert_eq!(run.failure(), Failure::Cancelled);
        let now = Timestamp::from_millis(run.now);
        run.machine.response(ticket, Response::new(200, answer.as_bytes()), now).unwrap();
        assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-1"], "{fault}");
    }
}

#[test]
fn a_rotated_refresh_token_outlives_a_cancel() {
    let mut run = silent(request(), ada(), later(HOUR));
    run.poll();
    let ticket = run.take_ticket();
    run.machine.cancel();
    assert_eq!(run.failure(), Failure::Cancelled);
    let now = Timestamp::from_millis(run.now);
    run.machine.response(ticket, Response::new(200, grant(2, json!({})).as_bytes()), now).unwrap();
    assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-2"]);
    assert!(!run.go(), "it has ended");
}

// A driver may be stopped between an answer and the next action: as with every machine, the answer counts.
#[test]
fn an_answer_counts_that_came_just_before_a_cancel_or_the_end() {
    let refused = r#"{"error":"invalid_grant"}"#;
    for (body, left) in [(grant(2, json!({})), &["RT-canary-2"][..]), (refused.into(), &[])] {
        let answered = || {
            let mut run = silent(request(), ada(), later(HOUR));
            run.script(&[(200, &body)]);
            run
        };
        let mut run = answered();
        run.machine.cancel();
        match run.outcome() {
            Ok(signed_in) => assert_eq!(signed_in.access_token().expose(), "AT-canary-2"),
            Err(failure) => assert!(left.is_empty() && matches!(failure, Failure::SignInNeeded(_)), "{failure}"),
        }
        for cache in [run.machine.into_cache(), answered().machine.into_cache()] {
            assert_eq!(refresh_tokens(&cache), left);
        }
    }
    // The same of what a person approved.
    let mut run = full(request(), cache(&[]), THEN);
    run.script(&[(200, &device_answer(json!({}))), (200, &grant(3, json!({})))]);
    run.machine.cancel();
    assert_eq!(token(run.outcome()).0, "AT-canary-3");
    assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-3"]);
}

#[test]
fn a_refresh_without_an_id_token_is_about_the_same_person() {
    let mut run = silent(request(), ada(), later(HOUR));
    run.script(&[(200, &grant(2, json!({"id_token": null, "refresh_token": null})))]);
    let signed_in = run.outcome().unwrap();
    assert_eq!(signed_in.account().unwrap().username(), "ada@example.test");
    assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-1"], "B24: the old one stays in use");
}

// Keycloak's tokens live for five minutes.
#[test]
fn a_short_life_has_a_short_margin() {
    for (life, margin) in [(0, 0), (5, 1), (300, 60), (1_499, 299), (1_500, 300), (86_400, 300)] {
        let short = || cache(&[grant(1, json!({"expires_in": life}))]);
        assert!(request().cached(&short(), later(life - margin)).is_none(), "{life}");
        if let Some(before) = (life - margin).checked_sub(1) {
            assert!(request().cached(&short(), later(before)).is_some(), "{life}");
        }
    }
}

// The caller may say how long a token is needed; then only that decides.
#[test]
fn a_token_must_live_as_long_as_was_asked_for_and_no_longer() {
    for (least, until) in [(0, HOUR), (1, HOUR - 1), (1_800, HOUR / 2), (3_600, 0)] {
        let asked = || request().min_life(Duration::from_secs(least));
        assert!(asked().cached(&ada(), later(until)).is_none(), "{least}");
        assert!(silent(asked(), ada(), later(until)).go(), "a refresh: {least}");
        if let Some(before) = until.checked_sub(1) {
            // Even when the server wants it replaced.
            for cache in [ada(), aging()] {
                assert!(asked().cached(&cache, later(before)).is_some(), "{least}");
                assert_eq!(token(silent(asked(), cache, later(before)).outcome()).1, TokenSource::Cache, "{least}");
            }
        }
    }
    let client = request().client().clone();
    let asked = |least| SignInRequest::new(client.clone()).min_life(Duration::from_secs(least));
    assert!(asked(1).is_same(&asked(1)) && !asked(1).is_same(&asked(2)));
    assert!(!asked(1).is_same(&SignInRequest::new(client.clone())));
}
