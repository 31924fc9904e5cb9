//! All members of an error, with those of Microsoft, each bounded and safe to print; and the sentence of advice.

use crate::support::*;
use device_flow_core::{Failure, OAuthError};
use serde_json::{Value, json};
use std::collections::HashSet;

fn end(members: &Value) -> Failure {
    let mut run = Run::new(builder().max_answer(16 << 20).build().unwrap());
    run.go();
    run.answer(200, &device_answer(json!({})));
    run.script(&[(400, &members.to_string())]);
    run.failure()
}

#[track_caller]
fn rejected(members: Value) -> OAuthError {
    let failure = end(&members);
    let Failure::Rejected(error) = failure else { panic!("{failure}") };
    error
}

fn advice(members: Value) -> String {
    rejected(members).advice().unwrap_or_default().to_owned()
}

// As Entra writes it.
#[test]
fn an_error_of_entra_is_kept_whole() {
    let claims =
        r#"{"access_token":{"capolids":{"essential":true,"values":["00000000-0000-4000-8000-00000000000a"]}}}"#;
    let error = rejected(json!({
        "error": "interaction_required",
        "error_description": "AADSTS50076: made-up text.\r\nTrace ID: 00000000-0000-4000-8000-000000000001",
        "error_codes": [50076],
        "timestamp": "2026-11-23 08:00:00Z",
        "trace_id": "00000000-0000-4000-8000-000000000001",
        "correlation_id": "00000000-0000-4000-8000-000000000002",
        "error_uri": "https://login.microsoftonline.com/error?code=50076",
        "suberror": "basic_action",
        "claims": claims,
    }));
    assert_eq!(error.numbers(), [50076]);
    assert_eq!(error.timestamp(), Some("2026-11-23 08:00:00Z"));
    assert_eq!(error.trace_id(), Some("00000000-0000-4000-8000-000000000001"));
    assert_eq!(error.correlation_id(), Some("00000000-0000-4000-8000-000000000002"));
    assert_eq!(error.suberror(), Some("basic_action"));
    assert_eq!(error.claims(), Some(claims));
    let text = error.to_string();
    assert!(text.starts_with("interaction_required (basic_action): AADSTS50076: made-up text. Trace ID"), "{text}");
    assert!(text.contains("second factor") && !text.contains("capolids"), "{text}");
    assert!(!text.contains('\n'));
    // An error without these members has none of them.
    let bare = rejected(json!({"error": "weird"}));
    assert_eq!((bare.numbers(), bare.suberror(), bare.claims()), (&[][..], None, None));
    assert_eq!((bare.correlation_id(), bare.trace_id(), bare.timestamp()), (None, None, None));
    assert_eq!((bare.advice(), bare.to_string().as_str()), (None, "weird"));
}

// E12: whatever the server writes, it stays short text.
#[test]
fn members_are_bounded_and_safe_to_print() {
    let read: [fn(&OAuthError) -> Option<&str>; 4] =
        [OAuthError::suberror, OAuthError::correlation_id, OAuthError::trace_id, OAuthError::timestamp];
    for (member, read) in ["suberror", "correlation_id", "trace_id", "timestamp"].into_iter().zip(read) {
        for (written, shown) in [
            (json!("ab\u{1b}[2J\u{202e}"), Some("ab\\u{1b}[2J\\u{202e}")),
            (json!(""), None),
            (json!(null), None),
            (json!(7), None),
            (json!({"a": 1}), None),
        ] {
            assert_eq!(read(&rejected(json!({"error": "weird", member: written}))), shown, "{member}");
        }
        for (length, kept) in [(200, 200), (201, 200), (1 << 20, 200)] {
            let error = rejected(json!({"error": "weird", member: "é".repeat(length)}));
            assert_eq!(read(&error).unwrap().chars().count(), kept, "{member}");
        }
    }
}

#[test]
fn numbers_are_whole_and_at_most_sixteen() {
    for (written, numbers) in [
        (json!([50076, 50079]), vec![50076, 50079]),
        (json!(["50076", 9_002_332]), vec![50076, 9_002_332]),
        (json!(50076), vec![50076]),
        (json!("50076"), vec![50076]),
        (json!([-1, 1.5, 4_294_967_296_u64, null, [1], {}, "x", true, 4_294_967_295_u64]), vec![u32::MAX]),
        (json!([]), vec![]),
        (json!(null), vec![]),
        (json!({"a": 1}), vec![]),
        (json!((1..=16).collect::<Vec<_>>()), (1..=16).collect()),
        (json!((1..=17).collect::<Vec<_>>()), (1..=16).collect()),
    ] {
        assert_eq!(rejected(json!({"error": "weird", "error_codes": written})).numbers(), numbers, "{written}");
    }
}

// A part of a challenge is useless, and what is not an object is not a challenge.
#[test]
fn claims_are_whole_or_absent() {
    let sized = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    for (written, claims) in [
        (json!(r#"{"a":{"b":null}}"#), Some(r#"{"a":{"b":null}}"#.to_owned())),
        (json!({"a": 1}), Some(r#"{"a":1}"#.to_owned())),
        (json!(" {\"a\": \"\u{1b}\u{e9}\"}"), None),
        (json!(" {\"a\": \"\u{e9}\"}"), Some(" {\"a\": \"\u{e9}\"}".to_owned())),
        (json!(sized(8 * 1024)), Some(sized(8 * 1024))),
        (json!(sized(8 * 1024 + 1)), None),
        (json!("[1]"), None),
        (json!([1]), None),
        (json!("{\"a\":"), None),
        (json!("{} {}"), None),
        (json!("text"), None),
        (json!(""), None),
        (json!(null), None),
        (json!(5), None),
    ] {
        assert_eq!(rejected(json!({"error": "weird", "claims": written})).claims(), claims.as_deref());
    }
}

// Microsoft's article on this flow explains three errors; their advice says the same.
#[test]
fn the_three_errors_that_the_article_on_this_flow_names() {
    for (number, words) in [
        (50059, &["no tenant", "has to be tenanted", "common", "organizations"][..]),
        (90133, &["not supported under common or consumers", "has to be tenanted"]),
        (
            90002,
            &[
                "tenant was not found",
                "no active subscription",
                "subscription administrator",
                "typing error",
                "id or domain",
            ],
        ),
    ] {
        for members in [
            json!({"error": "invalid_request", "error_codes": [number], "error_description": "made-up text"}),
            json!({"error": "invalid_request", "error_description": format!("AADSTS{number}: made-up text")}),
            json!({"error": "invalid_request", "error_description": format!("one, AADSTS{number}")}),
        ] {
            let error = rejected(members);
            let text = error.to_string();
            assert!(words.iter().all(|word| error.advice().unwrap().contains(word)), "{text}");
            assert!(text.ends_with(error.advice().unwrap()));
        }
    }
}

/// Every number that has advice, and a word from it.
const NUMBERS: [(&[u32], &str); 30] = [
    (&[50059], "no tenant can be told"),
    (&[90133], "common or consumers"),
    (&[90002], "typing error"),
    (&[9_001_023, 50194, 9_002_332], "are no tenants"),
    (&[90119], "entered empty"),
    (&[90120], "approved or refused before"),
    (&[50134], "start again"),
    (&[90038, 900_432], "another of Microsoft's clouds"),
    (&[700_016], "not known in this tenant: check the client id"),
    (&[70001, 7_000_112], "is disabled in this tenant"),
    (&[7_000_218], "allow public client flows"),
    (&[70011, 28002, 700_022, 650_057, 650_053], "check the scopes"),
    (&[900_144, 90014], "parameter"),
    (&[65001], "nobody has allowed"),
    (&[90094, 90095], "administrator of the tenant has to allow"),
    (&[50076, 50079, 50078, 50072, 50074], "second factor"),
    (&[53000, 53001, 50097, 50005], "registered or managed device"),
    (&[53002, 53003, 530_032, 530_035], "Conditional Access"),
    (&[50034, 50020, 51004, 50014], "another account"),
    (&[50053], "locked"),
    (&[50055], "password has expired"),
    (&[50057], "account is disabled"),
    (&[50126], "password is wrong"),
    (&[50105], "not assigned"),
    (&[50173, 70000, 70008, 700_082, 70043, 50132, 50133, 50089], "no longer counts"),
    (&[50196], "loop"),
    (&[50033, 90033, 90024, 90006, 90090], "try again later"),
    (&[90055], "too many requests"),
    (&[65004], "did not agree"),
    (&[70018], "enter it as it is shown"),
];

#[test]
fn each_known_number_has_its_advice_and_no_other_has() {
    let mut known = HashSet::new();
    for (numbers, word) in NUMBERS {
        for number in numbers {
            assert!(known.insert(*number), "{number} twice");
            let by_list = advice(json!({"error": "weird", "error_codes": [number]}));
            assert!(by_list.contains(word), "{number}: {by_list}");
            assert_eq!(advice(json!({"error": "weird", "error_description": format!("AADSTS{number}: x")})), by_list);
            assert!(by_list.chars().count() <= 200 && !by_list.ends_with('.'), "one sentence: {by_list}");
        }
    }
    assert_eq!(known.len(), 64);
    let of_secrets = [70002, 700_025, 7_000_215, 7_000_222];
    for number in of_secrets {
        let members = json!({"error": "weird", "error_codes": [number]});
        assert_eq!(advice(members.clone()), "", "no secret was sent");
        let mut run = Run::new(builder().client_secret_post("canary").build().unwrap());
        run.script(&[(200, &device_answer(json!({}))), (400, &members.to_string())]);
        assert!(run.failure().advice().unwrap().contains("secret"), "{number}");
    }
    let unknown = |number: &u32| !known.contains(number) && !of_secrets.contains(number);
    for number in known.iter().flat_map(|number| [number - 1, number + 1]).filter(unknown) {
        assert_eq!(advice(json!({"error": "weird", "error_codes": [number]})), "", "{number}");
    }
    // Looks like a number but is not one.
    for text in ["AADSTS: 50076", "aadsts50076", "AADSTS50076000000000", "AADSTS", "50076", "AADSTS 50076"] {
        assert_eq!(advice(json!({"error": "weird", "error_description": text})), "", "{text}");
    }
}

// The most specific advice wins: number, suberror, code; and the first known number.
#[test]
fn the_most_specific_advice_wins() {
    let code = advice(json!({"error": "invalid_request"}));
    assert!(code.contains("parameters"));
    let members = |numbers: Value, description: &str, suberror: &str| {
        advice(
            json!({"error": "invalid_request", "error_codes": numbers, "error_description": description, "suberror": suberror}),
        )
    };
    assert!(members(json!([50059]), "AADSTS90002: x", "consent_required").contains("no tenant can be told"));
    assert!(members(json!([1, 50059, 90002]), "", "").contains("no tenant can be told"));
    assert!(members(json!([1]), "AADSTS90002: x", "consent_required").contains("typing error"));
    assert!(members(json!([1]), "AADSTS1: x", "consent_required").contains("nobody has allowed"));
    assert_eq!(members(json!([1]), "AADSTS1: x", "new_one"), code);
    assert_eq!(members(json!([]), "", ""), code);
    // The number is found in the whole text, although only the beginning is shown.
    let far = format!("{}AADSTS50196", "x".repeat(1_000));
    assert!(members(json!([]), &far, "").contains("loop"));
}

#[test]
fn suberrors_have_their_advice() {
    for (suberror, word) in [
        ("basic_action", "second factor"),
        ("additional_action", "outside of the sign-in"),
        ("message_only", "only a browser shows"),
        ("consent_required", "nobody has allowed"),
        ("user_password_expired", "password has expired"),
        ("protection_policy_required", "app protection policy"),
        ("device_authentication_failed", "registered or managed device"),
    ] {
        let found = advice(json!({"error": "weird", "suberror": suberror}));
        assert!(found.contains(word), "{suberror}: {found}");
    }
    for (suberror, word) in [
        ("bad_token", "refresh token has expired"),
        ("token_expired", "refresh token has expired"),
        ("client_mismatch", "another application of its family"),
    ] {
        let body = json!({"error": "weird", "suberror": suberror});
        assert_eq!(advice(body.clone()), "", "a poll has no refresh token");
        let mut run = Run::of(device_flow_core::Refresh::new(builder().build().unwrap(), "RT-canary"));
        run.script(&[(400, &body.to_string())]);
        assert!(run.failure().advice().unwrap().contains(word), "{suberror}");
    }
    for subtype in ["invalid_rapt", "rapt_required"] {
        assert!(advice(json!({"error": "weird", "error_subtype": subtype})).contains("limits how long"));
    }
    // Microsoft's member counts first, unless it is empty.
    assert_eq!(rejected(json!({"error": "e", "suberror": "a", "error_subtype": "b"})).suberror(), Some("a"));
    assert_eq!(rejected(json!({"error": "e", "suberror": "", "error_subtype": "b"})).suberror(), Some("b"));
}

// Codes that a machine does not treat in a special way.
#[test]
fn codes_of_the_providers_have_their_advice() {
    for (code, word) in [
        ("temporarily_unavailable", "try again later"),
        ("server_error", "try again later"),
        ("invalid_tenant", "tenant was not found"),
        ("unverified_user_email", "verified e-mail"),
        ("application_suspended", "suspended"),
        ("mfa_required", "second factor"),
        ("invalid_token", "not valid"),
        ("not_allowed", "administrator"),
    ] {
        let found = advice(json!({"error": code}));
        assert!(found.contains(word), "{code}: {found}");
    }
}

// Numbers are hints: the code alone decides how a flow ends, whatever the number says.
#[test]
fn numbers_and_suberrors_decide_nothing() {
    for (numbers, _) in NUMBERS {
        let pending = json!({"error": "authorization_pending", "error_codes": numbers, "suberror": "bad_token"});
        let mut run = Run::granted(json!({}));
        run.script(&[(400, &pending.to_string())]);
        assert_gap(run.poll(), 5, 5);
        assert!(matches!(end(&json!({"error": "access_denied", "error_codes": numbers})), Failure::Denied(_)));
        assert!(matches!(end(&json!({"error": "expired_token", "error_codes": numbers})), Failure::Expired(_)));
        assert!(matches!(end(&json!({"error": "weird", "error_codes": [70016]})), Failure::Rejected(_)));
    }
}
