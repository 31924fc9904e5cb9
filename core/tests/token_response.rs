//! The token response (RFC 6749 §5.1): what is accepted, refused, kept, and never shown.

use crate::support::*;
use core::time::Duration;
use device_flow_core::{ClientBuilder, DeviceFlow, Endpoint, Failure, ProtocolFault, Response, TokenResponse};
use serde_json::{Value, json};

/// The base answer, with `change` members replacing or joining its own; `"ABSENT"` removes.
fn answer(change: Value) -> String {
    let mut answer = json!({"access_token": "AT-canary", "token_type": "Bearer", "expires_in": 3600});
    for (name, value) in change.as_object().unwrap() {
        answer[name] = value.clone();
        if value == "ABSENT" {
            answer.as_object_mut().unwrap().remove(name);
        }
    }
    answer.to_string()
}

/// A flow whose first poll was answered so.
fn polled(client: ClientBuilder, status: u16, body: &str) -> Run<DeviceFlow> {
    let mut run = Run::new(client.build().unwrap());
    run.go();
    run.answer(200, &device_answer(json!({})));
    run.poll();
    run.respond(Response::new(status, body.as_bytes()));
    run
}

#[track_caller]
fn granted(body: &str) -> TokenResponse {
    token(polled(builder(), 200, body).outcome())
}

/// The fault that ends the flow at once.
#[track_caller]
fn fault_of(mut run: Run<DeviceFlow>) -> ProtocolFault {
    let failure = run.failure();
    let Failure::Protocol(error) = failure else { panic!("a protocol error was expected, not: {failure}") };
    assert_eq!((error.endpoint, run.requests.len()), (Endpoint::Token, 2));
    error.fault
}

#[track_caller]
fn fault(body: &str) -> ProtocolFault {
    fault_of(polled(builder(), 200, body))
}

// R6749-5.1-9, RFC 8628 §3.5: everything that is known, in any order.
#[test]
fn rfc6749_5_1_a_full_answer() {
    let members = [
        r#""access_token":"AT""#,
        r#""token_type":"Bearer""#,
        r#""expires_in":3600"#,
        r#""refresh_token":"RT""#,
        r#""id_token":"e.y.J""#,
        r#""scope":"openid profile""#,
    ];
    for shift in 0..members.len() {
        let mut members = members;
        members.rotate_left(shift);
        let token = granted(&format!("{{{}}}", members.join(",")));
        assert_eq!(token.access_token().expose(), "AT");
        assert_eq!(token.expires_in(), Some(Duration::from_secs(3600)));
        assert_eq!(token.refresh_token().unwrap().expose(), "RT");
        assert_eq!(token.id_token().unwrap().expose(), "e.y.J");
        assert_eq!(token.scopes().collect::<Vec<_>>(), ["openid", "profile"]);
        assert_eq!(token.extra_names().count(), 0);
    }
    // RFC 6749 §5.1, RFC 8628 §3.2, P08: any 2xx.
    for status in [200, 201, 202, 299] {
        token(polled(builder(), status, TOKEN).outcome());
    }
}

// B14, RFC 6749 §5.1, §3.2, P29: an unusable access token is final, not something to wait for.
#[test]
fn rfc6749_5_1_the_access_token_is_required() {
    for (value, expected) in [
        (json!("ABSENT"), ProtocolFault::Missing("access_token")),
        (json!(null), ProtocolFault::Missing("access_token")),
        (json!(""), ProtocolFault::Missing("access_token")),
        (json!(5), ProtocolFault::Invalid("access_token")),
        (json!(["AT-canary"]), ProtocolFault::Invalid("access_token")),
        (json!({"access_token": "AT-canary"}), ProtocolFault::Invalid("access_token")),
    ] {
        assert_eq!(fault(&answer(json!({"access_token": value}))), expected, "{value}");
    }
    for body in [r#"{"token":{"access_token":"AT-canary"}}"#, r#"{"accessToken":"AT-canary"}"#] {
        assert_eq!(fault(body), ProtocolFault::Missing("access_token"));
    }
    // What is no object is a page: survived three times (rule 5, W03), and no token however long it is asked for.
    for body in ["[]", "null", "5", "\"AT-canary\"", &format!("[{TOKEN}]")] {
        let mut run = Run::granted(json!({}));
        run.script(&[(200, body); 4]);
        let failure = run.failure();
        let Failure::Protocol(error) = failure else { panic!("{body}: {failure}") };
        assert!(matches!(error.fault, ProtocolFault::Page { status: 200, .. }), "{body}");
    }
}

// RFC 6749 Appendix A.12, A.17, B19: visible ASCII and space, both limits; nothing that could break out of a header.
#[test]
fn rfc6749_a_12_tokens_are_visible_ascii() {
    for member in ["access_token", "refresh_token"] {
        for good in [" ", "~", "a b", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"] {
            let token = granted(&answer(json!({member: good})));
            let found = if member == "access_token" { token.access_token() } else { token.refresh_token().unwrap() };
            assert_eq!(found.expose(), good);
        }
        for bad in ["A\nB", "A\rB", "A\u{0}", "\u{1f}", "\u{7f}", "\u{80}", "é", "A\u{200b}B", "\t"] {
            assert_eq!(fault(&answer(json!({member: bad}))), ProtocolFault::Invalid(member), "{bad:?}");
        }
    }
}

// B19, R6749-3.2-4, RFC 6749 §5.1: no refresh token, in all its spellings.
#[test]
fn rfc6749_5_1_the_refresh_token_may_be_absent() {
    for absent in [json!("ABSENT"), json!(null), json!("")] {
        assert!(granted(&answer(json!({"refresh_token": absent}))).refresh_token().is_none());
    }
    assert_eq!(fault(&answer(json!({"refresh_token": 5}))), ProtocolFault::Invalid("refresh_token"));
}

// B17, R6749-5.1-3, R6749-7.1-1, RFC 6749 Appendix A.13: only Bearer is usable; without a type nothing else can be
// meant.
#[test]
fn rfc6749_7_1_only_bearer_is_understood() {
    for bearer in ["Bearer", "bearer", "BEARER", "bEARER"] {
        for client in [builder(), builder().strict()] {
            token(polled(client, 200, &answer(json!({"token_type": bearer}))).outcome());
        }
    }
    for absent in [json!("ABSENT"), json!(null), json!("")] {
        let body = answer(json!({"token_type": absent}));
        assert!(granted(&body).expires_in().is_some());
        let run = polled(builder().strict(), 200, &body);
        assert_eq!(fault_of(run), ProtocolFault::Missing("token_type"), "{absent}");
    }
    for other in ["mac", "DPoP", "dpop", "pop", "N_A", "Bearer ", " Bearer", "bearers", "https://as/t", "\u{1b}[2J"] {
        let ProtocolFault::TokenType(found) = fault(&answer(json!({"token_type": other}))) else { panic!("{other}") };
        assert!(!found.chars().any(char::is_control));
    }
    for wrong in [json!(5), json!(true), json!(["Bearer"])] {
        assert_eq!(fault(&answer(json!({"token_type": wrong}))), ProtocolFault::Invalid("token_type"));
    }
}

// B18, P07, R6749-5.1-5, RFC 6749 Appendix A.14, RFC 10027 §6.1.10: an approved token is not thrown away for its
// lifetime.
#[test]
fn rfc6749_5_1_lifetimes_as_servers_write_them() {
    const CENTURY: u64 = 3_155_760_000;
    for (raw, seconds) in [
        ("3600", Some(3600)),
        ("\"3600\"", Some(3600)),
        ("3600.5", Some(3600)),
        ("3600.0", Some(3600)),
        ("36e2", Some(3600)),
        ("1", Some(1)),
        ("0.9", Some(0)),
        ("0", Some(0)),
        ("-0", Some(0)),
        ("-1", Some(0)),
        ("-1e400", Some(0)),
        ("3155759999", Some(CENTURY - 1)),
        ("3155760000", Some(CENTURY)),
        ("3155760001", Some(CENTURY)),
        ("9223372036854775807", Some(CENTURY)),
        ("18446744073709551615", Some(CENTURY)),
        ("18446744073709551616", Some(CENTURY)),
        ("1e400", Some(CENTURY)),
        ("null", None),
        ("\"soon\"", None),
        ("\"\"", None),
        ("\"inf\"", None),
        ("[3600]", None),
        ("{}", None),
        ("true", None),
    ] {
        let body = answer(json!({"expires_in": "RAW"})).replace("\"RAW\"", raw);
        assert_eq!(granted(&body).expires_in(), seconds.map(Duration::from_secs), "{raw}");
    }
    assert_eq!(granted(&answer(json!({"expires_in": "ABSENT"}))).expires_in(), None);
}

// B21: it is handed on or left out, never parsed, and never a reason to fail.
#[test]
fn the_id_token_is_opaque() {
    for kept in ["a.b.c", "garbage", "eyJ\u{0}", "..", "日本"] {
        assert_eq!(granted(&answer(json!({"id_token": kept}))).id_token().unwrap().expose(), kept);
    }
    for left_out in [json!("ABSENT"), json!(null), json!(""), json!(5), json!({"a": 1}), json!([])] {
        assert!(granted(&answer(json!({"id_token": left_out}))).id_token().is_none());
    }
}

// R6749-3.3-1, RFC 6749 §5.1, RFC 10027 §6.1.9, RFC 8707 §2.2: granted scopes in every spelling, against the requested
// ones.
#[test]
fn rfc6749_3_3_scopes_as_servers_write_them() {
    let requested = "openid profile repo";
    for (scope, granted, missing, added) in [
        // As requested: absent (RFC 6749 §5.1) or equivalent to that.
        (json!("ABSENT"), "openid profile repo", "", ""),
        (json!(null), "openid profile repo", "", ""),
        (json!(5), "openid profile repo", "", ""),
        (json!({"a": 1}), "openid profile repo", "", ""),
        (json!(["a", 1]), "openid profile repo", "", ""),
        // None (W08).
        (json!(""), "", "openid profile repo", ""),
        (json!(" "), "", "openid profile repo", ""),
        (json!([]), "", "openid profile repo", ""),
        // Space, comma, array; order does not matter, case does.
        (json!("openid profile repo"), "openid profile repo", "", ""),
        (json!("repo  openid profile "), "repo openid profile", "", ""),
        (json!("openid,profile,repo"), "openid profile repo", "", ""),
        (json!("openid,,repo,"), "openid repo", "profile", ""),
        (json!(["openid", "profile", "repo"]), "openid profile repo", "", ""),
        (json!(["", "openid"]), "openid", "profile repo", ""),
        (json!("openid,profile repo"), "openid,profile repo", "openid profile", "openid,profile"),
        (json!("OPENID profile repo"), "OPENID profile repo", "openid", "OPENID"),
        // Narrower, wider, other.
        (json!("openid"), "openid", "profile repo", ""),
        (json!("openid profile repo email"), "openid profile repo email", "", "email"),
        (json!("email"), "email", "openid profile repo", "email"),
    ] {
        let client = device_flow_core::Client::builder(
            device_flow_core::Provider::endpoints("https://as/device", "https://as/token"),
            "my-app",
        );
        let body = answer(json!({"scope": scope}));
        let token = token(polled(client.scope(requested), 200, &body).outcome());
        let joined = |scopes: Vec<&str>| scopes.join(" ");
        assert_eq!(joined(token.scopes().collect()), granted, "{scope}");
        assert_eq!(joined(token.missing_scopes().collect()), missing, "{scope}");
        assert_eq!(joined(token.added_scopes().collect()), added, "{scope}");
    }
    // A scope may hold a comma of its own (RFC 6749 §3.3): the one that was requested is not taken apart.
    let token = token(polled(builder().scope("a,b"), 200, &answer(json!({"scope": "a,b"}))).outcome());
    assert_eq!(token.scopes().collect::<Vec<_>>(), ["a,b"]);
    // W08: empty means that none was granted, absent that all were (RFC 6749 §5.1).
    for none in [json!(""), json!(" "), json!(","), json!([]), json!([""])] {
        let token = crate::support::token(polled(builder(), 200, &answer(json!({"scope": none}))).outcome());
        assert_eq!(
            (token.scopes().count(), token.added_scopes().count(), token.names_scopes()),
            (0, 0, true),
            "{none}"
        );
        assert_eq!(token.missing_scopes().collect::<Vec<_>>(), ["openid", "profile"]);
    }
    for absent in [json!("ABSENT"), json!(null), json!(5), json!([1]), json!({})] {
        let token = crate::support::token(polled(builder(), 200, &answer(json!({"scope": absent}))).outcome());
        assert_eq!((token.scopes().count(), token.missing_scopes().count(), token.names_scopes()), (2, 0, false));
    }
    // Nothing requested and nothing named.
    let client = device_flow_core::Client::builder(
        device_flow_core::Provider::endpoints("https://as/device", "https://as/token"),
        "my-app",
    );
    let token = crate::support::token(polled(client, 200, &answer(json!({"scope": ""}))).outcome());
    assert_eq!((token.scopes().count(), token.missing_scopes().count(), token.added_scopes().count()), (0, 0, 0));
}

// R6749-7-1, R6749-7.1-1, R6750-2.1-2: one way to present a token, and none for a token that cannot stand in a header.
#[test]
fn rfc6750_2_1_the_header_for_an_api() {
    let header = |token: &str| {
        let body = json!({"access_token": token, "token_type": "bearer"}).to_string();
        granted(&body).authorization().map(|header| header.expose().to_owned())
    };
    assert_eq!(header("gho_made-up.~+/==").as_deref(), Some("Bearer gho_made-up.~+/=="));
    // Salesforce's tokens have an exclamation mark, which RFC 6750 does not allow and every server accepts.
    assert_eq!(header("00D!made.up").as_deref(), Some("Bearer 00D!made.up"));
    assert_eq!(header("two words"), None);
}

// R6749-5.1-10, RFC 9396 §7: unknown members do no harm and are available as JSON text.
#[test]
fn rfc6749_5_1_further_members_are_kept() {
    let more = r#","issued_at":"1700000000000","instance_url": "https://i/\u0041" ,
        "authorization_details":[ {"type":"a"} ],"n":1e2,"nil":null,"a\u0062":true}"#;
    let body = TOKEN.replace('}', more);
    let token = granted(&body);
    let extra = |name| token.extra(name).map(|value| value.expose().to_owned());
    assert_eq!(extra("issued_at").as_deref(), Some("\"1700000000000\""));
    assert_eq!(extra("instance_url").as_deref(), Some(r#""https://i/\u0041""#));
    assert_eq!(extra("authorization_details").as_deref(), Some(r#"[ {"type":"a"} ]"#));
    assert_eq!(extra("n").as_deref(), Some("1e2"));
    assert_eq!(extra("ab").as_deref(), Some("true"));
    assert_eq!(extra("nil"), None);
    assert_eq!((extra("access_token"), extra("absent")), (None, None));
    let names: Vec<_> = token.extra_names().collect();
    assert_eq!(names, ["issued_at", "instance_url", "authorization_details", "n", "ab"]);
}

// A form-encoded token answer, as GitHub sends it to those who do not ask for JSON.
#[test]
fn a_form_encoded_answer_is_read_by_its_content_type() {
    let mut run = Run::granted(json!({}));
    run.poll();
    let body = b"access_token=AT%2B%20canary&token_type=bearer&scope=repo%2Cgist&expires_in=3600&x=a+b%22&y=null";
    run.respond(Response::new(200, body).header("Content-Type", b"application/x-www-form-urlencoded; charset=utf-8"));
    let token = token(run.outcome());
    assert_eq!(token.access_token().expose(), "AT+ canary");
    assert_eq!(token.scopes().collect::<Vec<_>>(), ["repo", "gist"]);
    assert_eq!(token.expires_in(), Some(Duration::from_secs(3600)));
    assert_eq!(token.extra("x").unwrap().expose(), r#""a b\"""#);
    // A form has nothing but texts.
    assert_eq!(token.extra("y").unwrap().expose(), r#""null""#);
}

// B26, R6749-3.2-5, P10: of two tokens neither is used.
#[test]
fn rfc6749_3_2_no_member_twice_and_nothing_behind_the_end() {
    let filler: String = (0..20).map(|n| format!("\"x{n}\":\"\",")).collect();
    for body in [
        r#"{"access_token":"AT-canary","access_token":"AT-canary","token_type":"bearer"}"#.to_owned(),
        r#"{"access_token":"AT-canary","access\u005ftoken":"AT2-canary","token_type":"bearer"}"#.to_owned(),
        format!(r#"{{"access_token":"AT-canary",{filler}"access_token":"AT2-canary"}}"#),
    ] {
        assert_eq!(fault(&body), ProtocolFault::DuplicateMember("access_token".into()));
    }
    assert_eq!(fault(r#"{"access_token":"AT-canary","x":1,"x":1}"#), ProtocolFault::DuplicateMember("x".into()));
    for behind in ["GARBAGE", "}", TOKEN, "\0", ","] {
        assert_eq!(fault(&format!("{TOKEN}{behind}")), ProtocolFault::InvalidJson);
    }
}

// B16, R6749-5.1-11, C06: 16 KiB are fine, more than 64 KiB are too long.
#[test]
fn rfc6749_5_1_long_tokens() {
    let long = "t".repeat(16 * 1024);
    let body = answer(json!({"access_token": long, "refresh_token": long}));
    assert_eq!(granted(&body).access_token().expose(), long);
    let room = 64 * 1024 - answer(json!({"access_token": ""})).len();
    let token = granted(&answer(json!({"access_token": "t".repeat(room)})));
    assert_eq!(token.access_token().expose().len(), room);
    let over = answer(json!({"access_token": "t".repeat(room + 1)}));
    assert_eq!(fault(&over), ProtocolFault::TooLarge(64 * 1024));
}

// B11, rule 5: a captive portal's page may have any length and any encoding.
#[test]
fn a_long_page_or_one_in_another_encoding_is_survived() {
    let long = format!("<html>{}", "x".repeat(100_000));
    for page in [long.as_bytes(), b"<html>Zugang gew\xe4hren</html>", b"\x1f\x8b\x08\x00", b"\xff\xfe<\0h\0"] {
        let mut run = Run::granted(json!({}));
        run.poll();
        run.respond(Response::new(200, page));
        assert_gap(run.poll(), 10, 5);
        run.answer(200, TOKEN);
        token(run.outcome());
    }
    // What begins like an object is judged as one.
    let mut run = Run::granted(json!({}));
    run.poll();
    run.respond(Response::new(200, b"\xef\xbb\xbf {\"access_token\":\"\xff\"}"));
    assert_eq!(fault_of(run), ProtocolFault::NotUtf8);
}

// A token with a status that does not fit is not used (RFC 6749 §5.1, §5.2, R8628-3.5-11).
#[test]
fn a_token_with_an_error_status_is_not_taken() {
    for status in [100, 400, 401, 403, 404, 999] {
        let run = polled(builder(), status, TOKEN);
        assert_eq!(fault_of(run), ProtocolFault::Status(status));
    }
    for status in [408, 429, 500, 503] {
        let mut run = polled(builder(), status, TOKEN);
        assert_gap(run.poll(), 10, 5);
    }
    for status in [301, 302, 307, 308] {
        assert_eq!(fault_of(polled(builder(), status, TOKEN)), ProtocolFault::Redirect(status));
    }
    // K19: an error beside a token makes both unusable.
    let run = polled(builder(), 200, r#"{"access_token":"AT-canary","token_type":"bearer","error":"access_denied"}"#);
    assert_eq!(fault_of(run), ProtocolFault::TokenAndError("access_denied".into()));
}

// G11, P07, R6749-10.3-1, R6749-10.4-1, R6750-5.3-1: no token in any Debug or Display, whether the answer is used or
// refused.
#[test]
fn tokens_are_shown_nowhere() {
    let full = answer(json!({
        "refresh_token": "RT-canary", "id_token": "IT-canary", "extra": "EX-canary", "scope": "openid"
    }));
    let shown = format!("{:?}", granted(&full));
    assert!(!shown.contains("canary") && shown.contains("extra: [[secret]]"), "{shown}");
    // With a sign missing, a secret of a form is read as a name.
    let form = b"access_token=AT-canary&token_type=bearer&refresh_token_RT-canary&user_code_canary=X";
    let mut run = Run::granted(json!({}));
    run.poll();
    run.respond(Response::new(200, form).header("Content-Type", b"application/x-www-form-urlencoded"));
    let shown = format!("{:?}", token(run.outcome()));
    assert!(!shown.contains("canary") && shown.contains("extra: [[secret], [secret]]"), "{shown}");
    for body in [
        full.replace("Bearer", "mac"),
        full.replace("AT-canary", "AT-canary\\n"),
        format!("{full}x"),
        full.replace("\"scope\"", "\"extra\""),
        full[..full.len() - 1].to_owned(),
        "access_token=AT-canary&token_type=bearer".to_owned(),
        "<OAuth><access_token>AT-canary</access_token></OAuth>".to_owned(),
    ] {
        let mut run = Run::granted(json!({}));
        while run.go() {
            run.answer(200, &body);
            let response = format!("{:?}", Response::new(200, body.as_bytes()));
            let shown = format!("{:?} {:?} {} {response}", run.machine, run.machine.trail(), run.machine.trail());
            assert!(!shown.contains("canary"), "{shown}");
        }
        let failure = run.outcome.unwrap().unwrap_err();
        assert!(!format!("{failure} {failure:?}").contains("canary"), "{failure:?}");
    }
}
