//! Error responses (RFC 6749 §5.2, RFC 8628 §3.5): the consequence of each code, codes in other members, and the
//! message.

use crate::support::*;
use device_flow_core::{Failure, OAuthError, ProtocolFault};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Pending,
    SlowDown,
    Denied,
    Expired,
    /// Rejected; after the deadline expired, since servers forget dead codes.
    UnknownCode,
    /// Rejected, with this word of advice.
    Stop(&'static str),
    /// Rejected, with this word of advice, although the code means nothing to a machine.
    Advised(&'static str),
    /// Rejected, without advice.
    Unknown,
}
use End::*;

const CODES: [(&str, End); 45] = [
    // RFC 8628 §3.5.
    ("authorization_pending", Pending),
    ("slow_down", SlowDown),
    ("access_denied", Denied),
    ("expired_token", Expired),
    // RFC 6749 §5.2.
    ("invalid_grant", UnknownCode),
    ("invalid_client", Stop("client id")),
    ("invalid_request", Stop("parameters")),
    ("invalid_scope", Stop("scopes")),
    ("unauthorized_client", Stop("allow the device flow")),
    ("unsupported_grant_type", Stop("token endpoint")),
    // RFC 8707 §2, RFC 9396 §5, RFC 9449 §5 and §8.
    ("invalid_target", Stop("resource or audience")),
    ("invalid_authorization_details", Stop("authorization details")),
    ("invalid_dpop_proof", Stop("DPoP")),
    ("use_dpop_nonce", Stop("DPoP")),
    // Microsoft Entra and OpenAM.
    ("authorization_declined", Denied),
    ("code_expired", Expired),
    ("bad_verification_code", UnknownCode),
    ("interaction_required", Stop("browser")),
    // OpenID Connect Core §3.1.2.6.
    ("login_required", Stop("sign in again")),
    ("consent_required", Stop("agree")),
    ("account_selection_required", Stop("which account")),
    // GitHub.
    ("token_expired", Expired),
    ("incorrect_device_code", UnknownCode),
    ("incorrect_client_credentials", Stop("client id")),
    ("device_flow_disabled", Stop("allow the device flow")),
    ("bad_refresh_token", Unknown),
    // Google.
    ("deleted_client", Stop("client id")),
    ("admin_policy_enforced", Stop("policy")),
    ("org_internal", Stop("policy")),
    ("rate_limit_exceeded", Stop("too many")),
    // Twitch, django-oauth-toolkit.
    ("invalid device code", UnknownCode),
    ("Invalid refresh token", Unknown),
    ("device_not_found", UnknownCode),
    ("expired_device_code", Expired),
    ("device_code_expired", Expired),
    // Everything else stops (RFC 8628 §3.5: MUST), near misses too (RFC 6749 §1.9).
    ("server_error", Advised("try again later")),
    ("temporarily_unavailable", Advised("try again later")),
    ("AuthorizationPendingException", Unknown),
    ("authorization-pending", Unknown),
    ("AUTHORIZATION_PENDING", Unknown),
    ("Slow_Down", Unknown),
    ("Access_Denied", Unknown),
    ("expired", Unknown),
    ("invalid_grant.", Unknown),
    ("x", Unknown),
];

/// The outcome of a flow whose first poll, late or in time, gets this answer.
fn end_of(status: u16, body: &str, late: bool) -> (End, Option<OAuthError>) {
    let mut run = Run::granted(json!({}));
    run.poll();
    if late {
        run.now = START + 900_000;
    }
    run.answer(status, body);
    if run.go() {
        assert_eq!(run.machine.trail().failures(), 0, "a real answer is no failure");
        return (if run.machine.trail().slow_downs() > 0 { SlowDown } else { Pending }, None);
    }
    assert_eq!(run.requests.len(), 2, "nothing is sent after the end");
    let failure = run.outcome.unwrap().unwrap_err();
    if let Failure::Denied(error) = failure {
        return (Denied, Some(error));
    }
    if let Failure::Expired(expired) = failure {
        return (Expired, expired.error);
    }
    let Failure::Rejected(error) = failure else { panic!("{failure}") };
    let end = match error.advice() {
        Some(advice) if advice.contains("no longer knows this code") => UnknownCode,
        Some(advice) => Stop(advice.to_owned().leak()),
        None => Unknown,
    };
    (end, Some(error))
}

fn same(found: End, expected: End) -> bool {
    match (found, expected) {
        (Stop(advice), Stop(word) | Advised(word)) => advice.contains(word),
        _ => found == expected,
    }
}

// B02, B06, B07, B09, P04, P06, P38, R6749-5.2-3, RFC 6749 §8.5, R8628-3.5-7, R8628-3.5-8, R8628-3.5-11, R6749-1.9-1,
// RFC 6749 §3.3, R8707-2-8, RFC 9396 §5, §8, R9449-5-2, RFC 9449 §5.2, RFC 7521 §4.2.1, RFC 7523 §3.2, RFC 7636 §4.6.
#[test]
fn rfc8628_3_5_each_code_and_its_consequence() {
    for (code, expected) in CODES {
        for status in [200, 201, 400, 401, 403, 404, 428] {
            let body = json!({"error": code, "error_description": "made-up text"}).to_string();
            let (found, error) = end_of(status, &body, false);
            // With 401 it is about the client itself (Keycloak, W05).
            let is_about_client = (code, status) == ("unauthorized_client", 401);
            let expected = if is_about_client { Stop("does not know this client id") } else { expected };
            // One that nobody knows says no more than a status that is none of OAuth; those of refreshes are known.
            let says_where = expected == Unknown && status == 404 && !code.contains("refresh");
            let expected = if says_where { Stop("check that the address is right") } else { expected };
            assert!(same(found, expected), "{code} with {status}: {found:?}");
            if let Some(error) = error {
                assert_eq!((error.code(), error.status()), (code, status));
                assert_eq!((error.description(), error.uri()), (Some("made-up text"), None));
            }
        }
    }
}

/// Codes with a consequence of their own that are none of the grant: what a limiter or another part of the server says.
const NOT_OF_THE_GRANT: [&str; 10] = [
    "rate_limit_exceeded",
    "invalid_target",
    "invalid_authorization_details",
    "invalid_dpop_proof",
    "interaction_required",
    "login_required",
    "consent_required",
    "account_selection_required",
    "admin_policy_enforced",
    "org_internal",
];

// Rules 5 and 10, W09: with 408, 429 and 5xx only a code of the grant counts, since gateways write `error`, too.
#[test]
fn with_a_not_now_status_only_codes_of_the_grant_count() {
    for (code, expected) in CODES {
        for status in [408, 429, 500, 503] {
            let body = json!({"error": code}).to_string();
            if matches!(expected, Unknown | Advised(_)) || NOT_OF_THE_GRANT.contains(&code) {
                let mut run = Run::granted(json!({}));
                run.script(&[(status, &body)]);
                assert_gap(run.poll(), 10, 5);
                assert_eq!(run.machine.trail().failures(), 1);
            } else {
                assert!(same(end_of(status, &body, false).0, expected), "{code} with {status}");
            }
        }
    }
}

// Rule 8, rule 10: past the deadline a code that the server does not know is an expired one, and only that.
#[test]
fn past_the_deadline_an_unknown_code_is_an_expired_one() {
    for (code, expected) in CODES {
        let expected = match expected {
            Pending | SlowDown | UnknownCode => Expired,
            Denied | Expired | Stop(_) | Advised(_) | Unknown => expected,
        };
        let (found, _) = end_of(400, &json!({"error": code}).to_string(), true);
        assert!(same(found, expected), "{code}: {found:?}");
    }
    let (_, error) = end_of(400, r#"{"error":"invalid_grant"}"#, true);
    assert_eq!(error.unwrap().code(), "invalid_grant", "the server's own words are kept");
}

// Google's quota error and Twitch have the code elsewhere, where it counts only when it is a known one.
#[test]
fn codes_in_other_members() {
    for (body, expected) in [
        (json!({"status": 400, "message": "authorization_pending"}), Pending),
        (json!({"status": 400, "message": "slow_down"}), SlowDown),
        (json!({"status": 400, "message": "invalid device code"}), UnknownCode),
        (json!({"error_code": "rate_limit_exceeded"}), Stop("too many")),
        (json!({"error": null, "message": "access_denied"}), Denied),
        (json!({"error": "", "error_code": "expired_token"}), Expired),
        // `error` comes first.
        (json!({"error": "access_denied", "message": "authorization_pending"}), Denied),
        (json!({"error": "weird", "error_code": "slow_down"}), Unknown),
        (json!({"error_code": "access_denied", "message": "slow_down"}), Denied),
    ] {
        let (found, _) = end_of(400, &body.to_string(), false);
        assert!(same(found, expected), "{body}: {found:?}");
    }
    // Free text is not a code, and an answer without a code is malformed (RFC 6749 §5.2).
    for body in
        [json!({"message": "Not Found"}), json!({"error_code": "weird"}), json!({"error_codes": [70016]}), json!({})]
    {
        let mut run = Run::granted(json!({}));
        run.script(&[(400, &body.to_string())]);
        assert!(matches!(run.failure(), Failure::Protocol(e) if e.fault == ProtocolFault::Status(400)), "{body}");
    }
    // A `message` beside a device code is a message.
    let mut run = Run::granted(json!({"message": "Open the page and enter the code."}));
    assert!(run.go());
}

// RFC 6749 §5.2: `error` is text. Facebook's nested object is another protocol.
#[test]
fn rfc6749_5_2_an_error_that_is_no_text() {
    for error in [json!({"message": "made-up", "code": 31}), json!(["slow_down"]), json!(400), json!(true)] {
        let body = json!({"error": error}).to_string();
        for status in [200, 400] {
            let mut run = Run::granted(json!({}));
            run.script(&[(status, &body)]);
            assert!(
                matches!(run.failure(), Failure::Protocol(e) if e.fault == ProtocolFault::Invalid("error")),
                "{body}"
            );
        }
        let mut run = Run::granted(json!({}));
        run.script(&[(503, &body)]);
        assert!(run.go(), "an outage may say anything");
    }
}

fn rejected(members: Value) -> OAuthError {
    let mut run = Run::new(builder().max_answer(16 << 20).build().unwrap());
    run.go();
    run.answer(200, &device_answer(json!({})));
    run.script(&[(400, &members.to_string())]);
    let failure = run.failure();
    let Failure::Rejected(error) = failure else { panic!("{failure}") };
    error
}

/// Checks for one line of at most 200 characters that a terminal neither acts upon nor hides.
#[track_caller]
fn assert_tame(text: &str) {
    assert!(text.chars().count() <= 200, "{} characters", text.chars().count());
    let hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    assert!(!text.contains(hostile), "{text:?}");
    assert_eq!(text.trim(), text);
}

// E12, A35, R6749-10.14-1, RFC 6749 §5.2: whatever the server writes, it stays text.
#[test]
fn texts_of_errors_are_bounded_and_safe_to_print() {
    for (hostile, shown) in [
        ("\u{1b}[31mred", "\\u{1b}[31mred"),
        ("\u{9b}2J", "\\u{9b}2J"),
        ("\u{1b}]8;;https://evil\u{1b}\\link", "\\u{1b}]8;;https://evil\\u{1b}\\link"),
        ("\u{1b}]52;c;ZXZpbA==\u{7}", "\\u{1b}]52;c;ZXZpbA==\\u{7}"),
        ("\u{1b}P1$q\u{1b}\\", "\\u{1b}P1$q\\u{1b}\\"),
        ("\u{90}x\u{9c}", "\\u{90}x\\u{9c}"),
        ("good\rbad", "good bad"),
        (" one\r\n\r\n\ttwo\u{b}\u{c}\u{85}\u{2028}\u{2029}three \n", "one two three"),
        ("a\u{202e}b\u{2066}c\u{200f}d\u{61c}", "a\\u{202e}b\\u{2066}c\\u{200f}d\\u{61c}"),
        ("a\u{200b}b\u{feff}c\u{ad}d\u{0}", "a\\u{200b}b\\u{feff}c\\u{ad}d\\u{0}"),
        ("\u{7f}\u{8}", "\\u{7f}\\u{8}"),
        ("Zażółć 日本語 العربية हिन्दी 🙂", "Zażółć 日本語 العربية हिन्दी 🙂"),
    ] {
        let error =
            rejected(json!({"error": format!("x{hostile}"), "error_description": hostile, "error_uri": hostile}));
        assert_eq!(error.description(), Some(shown), "{hostile:?}");
        assert_eq!(error.uri(), Some(shown), "kept as text, never fetched");
        assert_eq!(error.code().replace(' ', ""), format!("x{shown}").replace(' ', ""));
        assert_tame(error.code());
        assert!(!error.to_string().contains(char::is_control));
    }
    for (unit, count) in [
        ("x", 1 << 20),
        ("\u{1b}[2J", 200_000),
        ("日本 ", 300_000),
        (" \n", 500_000),
        ("\u{202e}", 300_000),
        ("🙂", 200),
    ] {
        let long = unit.repeat(count);
        let error = rejected(json!({"error": "weird", "error_description": long, "error_uri": long}));
        for text in [error.description(), error.uri()].into_iter().flatten() {
            assert_tame(text);
        }
        assert_eq!(error.description().is_none(), unit.trim().is_empty());
    }
    // The limit from both sides.
    assert_eq!(
        rejected(json!({"error": "e", "error_description": "é".repeat(200)})).description(),
        Some(&*"é".repeat(200))
    );
    let cut = rejected(json!({"error": "e", "error_description": "é".repeat(201)}));
    assert_eq!(cut.description(), Some(&*("é".repeat(199) + "…")));
    let code = rejected(json!({"error": "e".repeat(1 << 20)}));
    assert_tame(code.code());
}

// RFC 6749 Appendix A.7: the whole range of the ABNF, and the two characters that it leaves out, are shown as they are.
#[test]
fn rfc6749_a_7_visible_characters_are_shown_unchanged() {
    let all: String = ('!'..='~').collect();
    let error = rejected(json!({"error": all, "error_description": all, "error_uri": all}));
    assert_eq!((error.code(), error.description(), error.uri()), (&*all, Some(&*all), Some(&*all)));
}

// R8628-3.5-12, RFC 6749 §5.2: what a person reads: code, words, page, advice; and nothing for what is absent or no
// text.
#[test]
fn an_error_says_what_happened_and_what_to_do() {
    let error = rejected(
        json!({"error": "invalid_scope", "error_description": "no such scope", "error_uri": "https://as/help"}),
    );
    let text = Failure::Rejected(error).to_string();
    assert!(
        text.starts_with(
            "the server refused: invalid_scope: no such scope <https://as/help> - this server or client does not"
        ) && text.ends_with("check the scopes"),
        "{text}"
    );
    for absent in [json!(null), json!(""), json!("  \n"), json!(5), json!(["x"]), json!({"a": 1})] {
        let error = rejected(json!({"error": "weird", "error_description": absent, "error_uri": absent}));
        assert_eq!((error.description(), error.uri(), error.to_string().as_str()), (None, None, "weird"));
    }
    // A denial shows the server's words, because it need not come from the person (Zitadel, Glewlwyd).
    let mut run = Run::granted(json!({}));
    run.script(&[(403, r#"{"error":"access_denied","error_description":"made-up text"}"#)]);
    let failure = run.failure();
    assert_eq!(failure.to_string(), "the sign-in was denied (access_denied: made-up text)");
    assert!(!failure.is_retryable());
}

// An error that is form-encoded, as GitHub sends it to those who do not ask for JSON; and without the content type a
// page.
#[test]
fn a_form_encoded_error_is_read_by_its_content_type() {
    let body = b"error=slow_down&error_description=made-up+text&error_uri=https%3A%2F%2Fdocs.example&interval=25";
    let mut run = Run::granted(json!({}));
    run.poll();
    let response = device_flow_core::Response::new(200, body);
    run.respond(response.header("content-type", b"application/x-www-form-urlencoded"));
    assert_gap(run.poll(), 25, 25);
    run.respond(response);
    assert_eq!(run.machine.trail().failures(), 1);
}
