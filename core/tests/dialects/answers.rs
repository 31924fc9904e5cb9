//! What each answer of each provider means: the polling law, the errors in their own words, and what nobody sends.

use super::*;
use crate::support::*;
use device_flow_core::{Failure, OAuthError, ProtocolFault, Refresh, SignInReason, WaitReason};
use device_flow_testkit::dialects::REFRESH_TOKEN;
use serde_json::json;

#[expect(clippy::wildcard_enum_match_arm, reason = "every other failure has none")]
fn error(failure: Failure) -> OAuthError {
    match failure {
        Failure::Denied(error) | Failure::Rejected(error) | Failure::SignInNeeded(SignInReason::Refused(error)) => {
            error
        }
        Failure::Expired(expired) => expired.error.expect("the server's own words"),
        other => panic!("an error of the server was expected, not: {other}"),
    }
}

// Rules 1, 2 and 3: the first poll after the interval, then the interval after each answer, five seconds more after each
// slow_down, for good.
#[test]
fn the_polling_law_holds_in_each_dialect() {
    for speech in Speech::ALL {
        let mut run = granted(speech);
        for (say, interval) in
            [(Say::Pending, 1), (Say::SlowDown, 1), (Say::Pending, 6), (Say::SlowDown, 6), (Say::Pending, 11)]
        {
            assert_gap(run.poll(), interval, interval);
            respond(&mut run, &speech.reply(say));
        }
        assert_gap(run.poll(), 11, 11);
        assert_eq!(run.waits.last().map(|(_, reason)| *reason), Some(WaitReason::Interval), "{speech:?}");
    }
}

// RFC 8628 §3.2: five seconds where the answer names no interval.
#[test]
fn without_an_interval_five_seconds_hold_in_each_dialect() {
    for speech in Speech::ALL {
        let mut run = Run::new(speech.client(HOST).build().unwrap());
        assert!(run.go());
        let code = speech.reply(Say::Code);
        let body = code.body.replace(r#","interval":1"#, "").replace(r#","interval":"1""#, "");
        assert_ne!(body, code.body, "{speech:?}");
        respond(&mut run, &Reply { body, ..code });
        assert_gap(run.poll(), 5, 5);
    }
}

// Rule 8: a server that answers pending for ever does not keep anybody waiting.
#[test]
fn each_dialect_ends_at_its_own_deadline() {
    for speech in Speech::ALL {
        let (run, server) = signed_in(speech, &[Say::Pending]);
        let lifetime = match speech {
            Speech::Twitch => 1_800,
            Speech::EntraV1 => 900,
            Speech::Facebook => 420,
            Speech::Yandex | Speech::GoogleTv => 300,
            // Salesforce does not say, and ten minutes are assumed.
            Speech::Aws | Speech::Trakt | Speech::Salesforce => 600,
        };
        assert!(matches!(run.outcome, Some(Err(Failure::Expired(_)))), "{speech:?}");
        let spent = (run.now - START) / 1_000;
        assert!((lifetime - 3..=lifetime).contains(&spent), "{speech:?}: {spent} s");
        assert_eq!(server.early, 0, "{speech:?}");
    }
}

#[test]
fn a_denial_and_an_expiry_end_the_flow() {
    for speech in Speech::ALL {
        let (mut run, _) = signed_in(speech, &[Say::Denied]);
        let failure = run.outcome.take().unwrap().unwrap_err();
        // For Twitch, a code that was refused or is too old is unknown.
        let is_unknown = |failure: &Failure| speech == Speech::Twitch && matches!(failure, Failure::Rejected(_));
        assert!(matches!(failure, Failure::Denied(_)) || is_unknown(&failure), "{speech:?}: {failure}");
        let (mut run, server) = signed_in(speech, &[Say::Expired]);
        let failure = run.outcome.take().unwrap().unwrap_err();
        assert!(matches!(failure, Failure::Expired(_)) || is_unknown(&failure), "{speech:?}: {failure}");
        assert_eq!(server.polls, 1, "{speech:?}");
    }
}

// A code that the server no longer knows: final; it counts as expired once its time is over.
#[test]
fn an_unknown_code_ends_the_flow_and_counts_as_expired_after_its_end() {
    for speech in Speech::ALL.into_iter().filter(|speech| *speech != Speech::Facebook) {
        let mut run = polling(speech);
        respond(&mut run, &speech.reply(Say::Unknown));
        assert!(matches!(run.failure(), Failure::Rejected(_)), "{speech:?}");
        let mut run = polling(speech);
        run.now += 2_000_000;
        respond(&mut run, &speech.reply(Say::Unknown));
        assert!(matches!(run.failure(), Failure::Expired(_)), "{speech:?}");
    }
}

#[test]
fn errors_keep_the_words_of_the_provider() {
    for (speech, say, code, description) in [
        (Speech::Aws, Say::Denied, "access_denied", "AccessDeniedException: User is denied"),
        (Speech::Aws, Say::Expired, "expired_token", "ExpiredTokenException: Too late"),
        (Speech::Aws, Say::WrongClient, "invalid_client", "InvalidClientException: Invalid client"),
        (Speech::Twitch, Say::WrongClient, "invalid_client", "invalid client"),
        (Speech::Twitch, Say::Malformed, "missing client id", ""),
        (Speech::Twitch, Say::Unknown, "invalid device code", ""),
        (Speech::Facebook, Say::Denied, "access_denied", "1349173: the person has refused"),
        (Speech::Facebook, Say::Expired, "expired_token", "1349152: the session has expired"),
        (Speech::Facebook, Say::WrongClient, "invalid_client", "190: must be called with a client access token"),
        (Speech::Facebook, Say::Unknown, "OAuthException", "100: Invalid parameter"),
        (Speech::Salesforce, Say::Unknown, "invalid_grant", "invalid device code"),
        (Speech::Salesforce, Say::Malformed, "invalid_request", "a parameter is missing or unknown"),
        (Speech::Trakt, Say::Denied, "access_denied", "the person has refused (HTTP status 418)"),
        (Speech::Trakt, Say::Expired, "expired_token", "the code has expired (HTTP status 410)"),
        (Speech::Trakt, Say::Unknown, "invalid_grant", "the server does not know this code (HTTP status 404)"),
        (Speech::EntraV1, Say::Denied, "authorization_declined", "the person has refused"),
        (Speech::EntraV1, Say::Expired, "code_expired", "AADSTS70020: made up"),
        (Speech::Yandex, Say::Unknown, "bad_verification_code", "Invalid code"),
        (Speech::Yandex, Say::WrongClient, "invalid_client", "Wrong client secret"),
        (Speech::GoogleTv, Say::Denied, "access_denied", "Forbidden"),
    ] {
        let mut run = polling(speech);
        respond(&mut run, &speech.reply(say));
        let error = error(run.failure());
        assert_eq!((error.code(), error.description().unwrap_or_default()), (code, description), "{speech:?} {say:?}");
    }
}

// The header, then `__type` or `code`, then `error`, as the SDKs of AWS have it; they pass over the status.
#[test]
fn the_header_decides_for_aws_whatever_the_status() {
    let answered = |status: u16, header: &str, body: &str| {
        let mut run = polling(Speech::Aws);
        run.respond(Response::new(status, body.as_bytes()).header("X-Amzn-ErrorType", header.as_bytes()));
        let pending = run.go();
        (pending, run)
    };
    for status in [200, 400, 401, 403, 429, 500] {
        for body in ["", " \n", "{}", r#"{"error":"access_denied"}"#, r#"{"__type":"AccessDeniedException"}"#] {
            let (pending, _) = answered(status, "AuthorizationPendingException", body);
            assert!(pending, "{status} {body}");
            let (_, mut run) = answered(status, "com.amazonaws.x#AccessDeniedException:http://x/", body);
            assert!(matches!(run.failure(), Failure::Denied(_)), "{status} {body}");
        }
    }
    for body in [
        r#"{"__type":"com.amazonaws#SlowDownException"}"#,
        r#"{"code":"AuthorizationPendingException:x"}"#,
        r#"{"error":"authorization_pending"}"#,
    ] {
        assert!(answered(400, "", body).0, "{body}");
    }
    // A name that nobody knows is final, and told.
    let (_, mut run) = answered(400, "NewException", r#"{"message":"made up"}"#);
    let new = error(run.failure());
    assert_eq!((new.code(), new.description()), ("unrecognized_error", Some("NewException: made up")));
    let (_, mut run) = answered(400, "NewException", r#"{"error":"new_error","error_description":"made up"}"#);
    let new = error(run.failure());
    assert_eq!((new.code(), new.description()), ("new_error", Some("NewException: made up")));
    // A failure inside AWS is an outage.
    assert!(answered(500, "InternalServerException", r#"{"error":"server_error"}"#).0);
    assert!(answered(500, "InternalServerException", "").0);
    // A header of another server means nothing here.
    let mut run = Run::granted(serde_json::json!({}));
    run.poll();
    run.respond(
        Response::new(400, br#"{"error":"authorization_pending"}"#).header("x-amzn-errortype", b"AccessDenied"),
    );
    assert!(run.go());
}

// A nonce for proofs is never lost for it, in whichever order the headers come.
#[test]
fn the_name_of_an_error_takes_no_place_from_a_nonce() {
    let response = Response::new(400, br#"{"error":"authorization_pending"}"#);
    for [first, second] in [["dpop-nonce", "x-amzn-errortype"], ["x-amzn-errortype", "dpop-nonce"]] {
        let client = builder().proof_of_possession(crate::keys::Signer::named("thumbprint")).build().unwrap();
        let mut run = Run::new(client);
        assert!(run.go());
        run.answer(200, &device_answer(serde_json::json!({})));
        run.poll();
        let value = |name: &str| if name == "dpop-nonce" { &b"N1"[..] } else { b"SlowDownException" };
        run.respond(response.header(first, value(first)).header(second, value(second)));
        run.poll();
        assert!(run.requests.last().unwrap().header("dpop").unwrap().contains("N1"), "{first} first");
    }
}

// An expired refresh token has the name of an expired code.
#[test]
fn an_expired_refresh_token_of_aws_means_that_the_person_is_needed() {
    let mut run = Run::of(Refresh::new(Speech::Aws.client(HOST).build().unwrap(), REFRESH_TOKEN));
    assert!(run.go());
    run.respond(
        Response::new(400, br#"{"error":"expired_token"}"#).header("x-amzn-errortype", b"ExpiredTokenException"),
    );
    let failure = run.failure();
    assert!(matches!(failure, Failure::SignInNeeded(_)) && !failure.keeps_refresh_token(), "{failure}");
}

// Both sides of each status, with and without a body.
#[test]
fn the_status_decides_for_trakt() {
    let answered = |status, body: &str| {
        let mut run = polling(Speech::Trakt);
        run.answer(status, body);
        run
    };
    for body in ["", "\n", "{}", r#"{"status":"whatever"}"#] {
        for status in [400, 429] {
            assert!(answered(status, body).go(), "{status} {body}");
        }
        assert!(matches!(answered(418, body).failure(), Failure::Denied(_)), "{body}");
        assert!(matches!(answered(410, body).failure(), Failure::Expired(_)), "{body}");
        for status in [404, 409] {
            assert!(matches!(answered(status, body).failure(), Failure::Rejected(_)), "{status} {body}");
        }
        for status in [500, 502, 503, 504] {
            assert!(answered(status, body).go(), "{status} {body}");
        }
    }
    // Neighbours of the table have no meaning of their own.
    for status in [399, 401, 403, 405, 408, 411, 417, 419, 428, 430] {
        let mut run = answered(status, "{}");
        let means_later = status == 408;
        assert_eq!(run.go(), means_later, "{status}");
        assert!(!matches!(run.outcome, Some(Err(Failure::Denied(_) | Failure::Expired(_)))), "{status}");
    }
    // An error that is named says more than the status; a page says nothing.
    assert!(matches!(answered(400, r#"{"error":"invalid_client"}"#).failure(), Failure::Rejected(_)));
    assert!(answered(418, "<html>a teapot</html>").go());
    // Only polls have this table.
    let mut run = Run::new(Speech::Trakt.client(HOST).build().unwrap());
    assert!(run.go());
    run.answer(400, "");
    assert!(matches!(run.failure(), Failure::Protocol(_)));
    let mut run = Run::of(Refresh::new(Speech::Trakt.client(HOST).build().unwrap(), REFRESH_TOKEN));
    assert!(run.go());
    run.answer(410, "");
    assert!(matches!(run.failure(), Failure::Protocol(_)));
}

// Facebook's subcode decides; nothing in the object is taken for granted.
#[test]
fn the_error_of_facebook_in_every_odd_form() {
    let answered = |status, body: &str| {
        let mut run = polling(Speech::Facebook);
        run.answer(status, body);
        run
    };
    for status in [200, 400, 401, 403, 500] {
        let body = r#"{"error":{"is_transient":false,"error_subcode":1349174}}"#;
        assert!(answered(status, body).go(), "{status}");
        assert!(answered(status, r#"{"error":{"error_subcode":"1349174"}}"#).go(), "{status}");
    }
    for body in [
        r#"{"error":{}}"#,
        r#"{"error":{"error_subcode":[1349174]}}"#,
        r#"{"error":{"error_subcode":{"error_subcode":1349174}}}"#,
        r#"{"error":{"error_subcode":1349174.5}}"#,
        r#"{"error":{"error_subcode":-1349174}}"#,
        r#"{"error":{"error_subcode":13491740}}"#,
        r#"{"error":{"error_subcode":null,"code":31}}"#,
        r#"{"error":{"error_subcode":1349174,"error_subcode":1349174}}"#,
        r#"{"error":{"message":5,"type":{},"code":"x"}}"#,
        r#"{"error":{"type":"","message":""}}"#,
    ] {
        assert!(matches!(answered(400, body).failure(), Failure::Rejected(_)), "{body}");
    }
    for body in [r#"{"error":[]}"#, r#"{"error":5}"#, r#"{"error":true}"#] {
        assert!(matches!(answered(400, body).failure(), Failure::Protocol(_)), "{body}");
    }
    // An outage that is told in this form is one.
    let body = r#"{"error":{"message":"An unknown error occurred","type":"OAuthException","code":1}}"#;
    assert!(answered(500, body).go());
    // Text of the server is printed as text.
    let body = r#"{"error":{"message":"a\u001b[2Jb\u202e","error_subcode":1349173}}"#;
    let denied = error(answered(400, body).failure());
    assert!(!denied.description().unwrap().contains(['\u{1b}', '\u{202e}']), "{denied}");
}

#[test]
fn the_message_of_twitch_decides_and_error_may_be_a_status_text() {
    let answered = |status, body: &str| {
        let mut run = polling(Speech::Twitch);
        run.answer(status, body);
        run
    };
    for (status, body) in [
        (400, r#"{"error":"Bad Request","status":400,"message":"authorization_pending"}"#),
        (400, r#"{"error":"slow_down"}"#),
        (400, r#"{"error":"authorization_pending","message":"invalid device code"}"#),
        (200, r#"{"message":"authorization_pending"}"#),
        (500, r#"{"status":500,"message":"internal error"}"#),
        (503, r#"{"error":"Service Unavailable","status":503,"message":""}"#),
    ] {
        assert!(answered(status, body).go(), "{body}");
    }
    for body in [r#"{"status":400,"message":["authorization_pending"]}"#, r#"{"status":400,"message":null}"#] {
        assert!(matches!(answered(400, body).failure(), Failure::Protocol(_)), "{body}");
    }
}

// An error is never a token, nor a token an error.
#[test]
fn a_token_beside_an_error_is_neither() {
    for (speech, body) in [
        (Speech::Aws, r#"{"accessToken":"AT-canary","tokenType":"Bearer","error":"authorization_pending"}"#),
        (Speech::Aws, r#"{"accessToken":"AT-canary","tokenType":"Bearer","__type":"AccessDeniedException"}"#),
        (Speech::Twitch, r#"{"access_token":"AT-canary","token_type":"bearer","message":"authorization_pending"}"#),
        (Speech::Facebook, r#"{"access_token":"AT-canary","error":{"error_subcode":1349174}}"#),
        (Speech::Facebook, r#"{"access_token":"AT-canary","error":{"x":1,"x":2}}"#),
        (Speech::Trakt, r#"{"access_token":"AT-canary","token_type":"bearer","error":"access_denied"}"#),
        (Speech::Salesforce, r#"{"access_token":"AT-canary","token_type":"Bearer","error":"invalid_request"}"#),
    ] {
        let mut run = polling(speech);
        run.answer(200, body);
        let Failure::Protocol(protocol) = run.failure() else { panic!("{speech:?} {body}") };
        assert!(matches!(protocol.fault, ProtocolFault::TokenAndError(_)), "{speech:?} {body}");
    }
    let mut run = polling(Speech::Aws);
    let body = br#"{"accessToken":"AT-canary","tokenType":"Bearer"}"#;
    run.respond(Response::new(200, body).header("x-amzn-errortype", b"SlowDownException"));
    assert!(matches!(run.failure(), Failure::Protocol(_)));
    // Outside 2xx there is no token, whatever the body says.
    for speech in Speech::ALL {
        for status in [400, 401, 403, 404, 418, 429, 500] {
            let mut run = polling(speech);
            run.answer(status, &speech.reply(Say::Token).body);
            run.go();
            assert!(!matches!(run.outcome, Some(Ok(_))), "{speech:?} {status}");
        }
    }
}

// The names of the standard are another language; both at once are the same member twice.
#[test]
fn a_member_under_both_names_is_there_twice() {
    let mut run = polling(Speech::Aws);
    run.answer(200, r#"{"accessToken":"AT-canary","access_token":"AT-canary","tokenType":"Bearer"}"#);
    let Failure::Protocol(protocol) = run.failure() else { panic!() };
    assert!(matches!(protocol.fault, ProtocolFault::DuplicateMember(_)), "{protocol}");
}

// What the rules for every server say of pages, outages and broken bodies holds in each dialect.
#[test]
fn pages_outages_and_broken_bodies_are_what_they_are_everywhere() {
    let huge = format!(r#"{{"x":"{}"}}"#, "x".repeat(64 * 1024));
    for speech in Speech::ALL {
        for (status, body) in [
            (200, "<html>Welcome to our hotel</html>"),
            (403, "<html>blocked</html>"),
            (502, "<html>Bad Gateway</html>"),
            (503, ""),
            (429, "busy"),
            (200, "[]"),
        ] {
            let mut run = polling(speech);
            run.answer(status, body);
            assert!(run.go(), "{speech:?} {status} {body}");
            let gap = run.now - run.answered_at;
            assert!(gap >= 1_000, "{speech:?} {status}: {gap} ms");
        }
        for (status, body) in [(200, &*huge), (400, &*huge), (200, "{\"a\":1,\"a\":2}"), (307, "")] {
            let mut run = polling(speech);
            run.answer(status, body);
            assert!(matches!(run.failure(), Failure::Protocol(_)), "{speech:?} {status}");
        }
        let mut run = polling(speech);
        run.respond(Response::new(200, b"{\"access_token\":\"\xff\"}"));
        assert!(matches!(run.failure(), Failure::Protocol(_)), "{speech:?}");
    }
}

// Twitch has the code of an error in `message`, with any status; other words there are no error beside a token.
#[test]
fn a_message_of_twitch_is_an_error_where_it_is_one() {
    let answered = |status, body: &str| {
        let mut run = polling(Speech::Twitch);
        run.answer(status, body);
        run
    };
    for status in [200, 400, 403] {
        assert!(answered(status, r#"{"message":"authorization_pending"}"#).go(), "{status}");
    }
    let mut greeted = answered(200, &json!({"access_token": "AT-canary", "message": "welcome"}).to_string());
    assert_eq!(token(greeted.outcome()).access_token().expose(), "AT-canary");
    for (status, final_) in [(399, false), (400, true), (499, true), (500, false)] {
        let mut run = answered(status, r#"{"message":"made up"}"#);
        let rejected = !run.go() && matches!(run.outcome, Some(Err(Failure::Rejected(_))));
        assert_eq!(rejected, final_, "{status}");
    }
    let refused = error(answered(400, r#"{"message":"invalid scope"}"#).failure());
    assert_eq!((refused.code(), refused.description()), ("invalid_scope", Some("invalid scope")));
}
