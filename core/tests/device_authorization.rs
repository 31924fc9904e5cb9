//! The device authorization request and response (RFC 8628 §3.1 to §3.3): what is sent, accepted, refused and repeated.

use crate::support::*;
use device_flow_core::{
    Cause, DeviceFlow, Endpoint, Failure, OAuthError, PromptWarning, ProtocolFault, Response, TransportErrorKind,
    WaitReason,
};
use serde_json::json;

/// A flow whose request was answered so, once.
fn answered(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Run<DeviceFlow> {
    let mut run = Run::new(builder().build().unwrap());
    run.go();
    let response = Response::new(status, body);
    run.respond(headers.iter().fold(response, |response, (name, value)| response.header(name, value.as_bytes())));
    run
}

/// The protocol fault that ends the flow at once.
#[track_caller]
fn fault(mut run: Run<DeviceFlow>) -> ProtocolFault {
    let failure = run.failure();
    let Failure::Protocol(error) = failure else { panic!("a protocol error was expected, not: {failure}") };
    assert_eq!((error.endpoint, run.requests.len(), run.now), (Endpoint::DeviceAuthorization, 1, START));
    error.fault
}

#[track_caller]
fn rejected(mut run: Run<DeviceFlow>) -> OAuthError {
    let failure = run.failure();
    let Failure::Rejected(error) = failure else { panic!("an OAuth error was expected, not: {failure}") };
    error
}

fn form(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

// R8628-3.1-1, R8628-3.1-2, R8628-3.1-3, R8628-5.6-1: byte for byte, without a secret.
#[test]
fn rfc8628_3_1_the_request() {
    let mut run = Run::new(builder().build().unwrap());
    run.go();
    let sent = &run.requests[0];
    assert_eq!((sent.method, sent.url.as_str(), sent.at), ("POST", "https://as/device", START));
    assert_eq!(sent.body, "client_id=my-app&scope=openid+profile");
    let headers: Vec<_> = sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // A38: JSON is asked for, or GitHub answers in form encoding.
    assert_eq!(headers, [("accept", "application/json"), ("content-type", "application/x-www-form-urlencoded")]);
}

// R8628-3.1-4, R8628-3.1-6, R6749-3.2-4, R10027-6.1.17-1, RFC 10027 §2.
#[test]
fn rfc8628_3_1_what_has_no_value_is_not_sent_and_extensions_are() {
    let provider = || device_flow_core::Provider::endpoints("https://as/device", "https://as/token");
    let client = device_flow_core::Client::builder(provider(), "my-app");
    let client = client.scope("").audience("").device_parameter("empty", "").device_parameter("mkt", "de-DE & co");
    let mut run = Run::new(client.token_parameter("later", "1").build().unwrap());
    run.go();
    assert_eq!(run.requests[0].body, "client_id=my-app&mkt=de-DE+%26+co");
    run.answer(200, &device_answer(json!({})));
    run.poll();
    assert_eq!(run.requests[1].parameter("later").as_deref(), Some("1"));
    assert_eq!(run.requests[1].parameter("mkt"), None);
}

// R8628-3.4-1, R8628-3.4-2, R8628-3.4-3, R8628-3.4-5, R8628-3.4-6, R6749-4.5-1, R6749-3.2-3, R6749-A.10-1, G09: the
// request of RFC 8628 §3.4, identical at every poll.
#[test]
fn rfc8628_3_4_the_token_request() {
    let mut run = Run::granted(json!({"device_code": "canary-GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"}));
    run.script(&[(400, PENDING), (400, SLOW_DOWN), (503, ""), (200, TOKEN)]);
    token(run.outcome());
    for poll in &run.requests[1..] {
        assert_eq!((poll.method, poll.url.as_str()), ("POST", "https://as/token"));
        let body = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=my-app\
                    &device_code=canary-GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS";
        assert_eq!(poll.body, body);
        assert_eq!(poll.headers, run.requests[0].headers);
    }
    assert_eq!(run.requests.len(), 5);
}

// R8628-3.4-2, RFC 8628 §5.2, R6749-B-1, A12: opaque, long, with every reserved character.
#[test]
fn rfc8628_3_4_an_opaque_device_code_comes_back_as_it_was() {
    let long = "d".repeat(4_096);
    let samples =
        [" %&+£€", "a/b+c=d&device_code=x", "ory_dc_ä#?", "\"\\", "a.b~c-d_e*", "null", "0047", "日本語", &long, " "];
    for code in samples {
        let mut run = Run::granted(json!({"device_code": code}));
        run.poll();
        assert_eq!(run.requests[1].parameter("device_code").as_deref(), Some(code));
        assert_eq!(run.requests[1].parameters().len(), 3);
    }
    // The sample of RFC 6749 Appendix B.
    let mut run = Run::granted(json!({"device_code": " %&+£€"}));
    run.poll();
    assert!(run.requests[1].body.ends_with("&device_code=+%25%26%2B%C2%A3%E2%82%AC"));
}

// R8628-3.3-2, A12, G11: the device code is never shown.
#[test]
fn rfc8628_3_3_the_device_code_is_shown_nowhere() {
    let mut run = Run::granted(json!({"device_code": "DC-canary", "message": "hello"}));
    run.poll();
    assert!(run.requests[1].body.contains("DC-canary"));
    run.answer(400, PENDING);
    assert!(!format!("{:?} {:?} {:?}", run.machine, run.prompts, run.machine.prompt()).contains("DC-canary"));
}

// A01, A02, A04, A05, A06, A07, A08, A33, P10: what is no JSON object.
#[test]
fn bodies_that_are_no_object_are_protocol_errors() {
    let good = device_answer(json!({}));
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (body, expected) in [
        ("", ProtocolFault::Empty(200)),
        (&format!("{good}}}x"), ProtocolFault::InvalidJson),
        (&format!("{good}GARBAGE"), ProtocolFault::InvalidJson),
        (&format!("{good}{good}"), ProtocolFault::InvalidJson),
        (&format!("{good}\0"), ProtocolFault::InvalidJson),
        (&good.replace("900", "NaN"), ProtocolFault::InvalidJson),
        (&good.replace("900", "Infinity"), ProtocolFault::InvalidJson),
        (&good.replace("900", "0x10"), ProtocolFault::InvalidJson),
        (&good.replace("900", "007"), ProtocolFault::InvalidJson),
        (&good.replace("900", "+9"), ProtocolFault::InvalidJson),
        (&good.replace("\"d\"", "'d'"), ProtocolFault::InvalidJson),
        (&good.replace("WDJB-MJHT", "WDJB\nMJHT"), ProtocolFault::InvalidJson),
        (&good.replace("\"d\"", r#""\ud800""#), ProtocolFault::Invalid("device_code")),
        (&good.replace("WDJB", r"\udc00"), ProtocolFault::Invalid("user_code")),
    ] {
        assert_eq!(fault(answered(200, &[], body.as_bytes())), expected, "{body}");
    }
    let page = |body: &[u8]| matches!(fault(answered(200, &[], body)), ProtocolFault::Page { status: 200, .. });
    for body in ["null", "[]", &format!("[{good}]"), "\"x\"", "5", "true"] {
        assert!(page(body.as_bytes()), "{body}");
    }
    assert!(page(format!("\u{feff}\u{feff}{good}").as_bytes()), "one byte order mark is forgiven, not two");
    assert!(page(&[b"\xff\xfe", utf16.as_slice()].concat()));
    assert!(page(&good.as_bytes()[..good.len() - 1]), "cut short");
    assert_eq!(fault(answered(200, &[], &utf16)), ProtocolFault::InvalidJson);
    let latin: Vec<u8> = good.bytes().map(|byte| if byte == b'd' { 0xff } else { byte }).collect();
    assert_eq!(fault(answered(200, &[], &latin)), ProtocolFault::NotUtf8);
}

// A05, A10, RFC 8628 §3.2, RFC 9110 §8.3.1, RFC 6749 §5.1, P08: differences that must not matter.
#[test]
fn tolerated_forms_of_a_good_answer() {
    let good = device_answer(json!({}));
    let spaced = format!(" \r\n\t{good}\n");
    let more = device_answer(json!({
        "x": null, "nested": {"device_code": "other", "a": [1, {"user_code": "other"}]}, "scope": "a", "message": 5,
        "verification_uri_complete": null
    }));
    for body in [&good, &spaced, &format!("\u{feff}{good}"), &more, &good.replace("user_code", "user\\u005fcode")] {
        for content_type in [
            "application/json",
            "Application/JSON;charset=UTF-8",
            "text/plain",
            "text/html",
            "",
            "application/x-www-form-urlencoded",
        ] {
            for status in [200, 201, 202, 299] {
                let mut run = answered(status, &[("content-TYPE", content_type)], body.as_bytes());
                run.poll();
                assert_eq!(run.prompts[0].user_code(), "WDJB-MJHT", "{body} {content_type}");
                assert_eq!(run.requests[1].parameter("device_code").as_deref(), Some("d"));
                assert_eq!(run.prompts[0].warnings().count(), 0);
            }
        }
    }
}

// A38, R6749-B-2, R9110-8.3.1-1: GitHub without the Accept header.
#[test]
fn a_form_encoded_answer_is_read_by_its_content_type() {
    let body =
        "device_code=d%2B%26&expires_in=899&interval=7&user_code=ABCD-1234&verification_uri=https%3A%2F%2Fas%2Fx+y";
    let body = body.replace("+y", "");
    for content_type in [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-Urlencoded; charset=utf-8",
        "application/x-www-form-urlencoded ;q",
    ] {
        let mut run = answered(200, &[("Content-Type", content_type)], body.as_bytes());
        assert_gap(run.poll(), 7, 7);
        assert_eq!((run.prompts[0].user_code(), run.prompts[0].verification_uri()), ("ABCD-1234", "https://as/x"));
        assert_eq!(run.requests[1].parameter("device_code").as_deref(), Some("d+&"));
        assert_eq!(form(&run.requests[1].body).len(), 3);
    }
    assert!(matches!(fault(answered(200, &[], body.as_bytes())), ProtocolFault::Page { .. }));
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let twice = format!("{body}&device%5Fcode=e");
    let twice = fault(answered(200, &form_type, twice.as_bytes()));
    assert_eq!(twice, ProtocolFault::DuplicateMember("device_code".into()));
    let not_utf8 = fault(answered(200, &form_type, body.replace("ABCD", "%FF").as_bytes()));
    assert_eq!(not_utf8, ProtocolFault::Invalid("user_code"));
}

// A12, A13, RFC 8628 §3.2: each error names its member.
#[test]
fn rfc8628_3_2_required_members() {
    for member in ["device_code", "user_code", "verification_uri"] {
        for missing in [json!(null), json!("")] {
            assert_eq!(fault(Run::granted(json!({member: missing}))), ProtocolFault::Missing(member));
        }
        let null = device_answer(json!({member: "NULL"})).replace("\"NULL\"", "null");
        assert_eq!(fault(Run::with_answer(200, &null)), ProtocolFault::Missing(member));
        for wrong in [json!(5), json!(true), json!(["a"]), json!({"a": 1}), json!(47_291_835)] {
            assert_eq!(fault(Run::granted(json!({member: wrong}))), ProtocolFault::Invalid(member), "{wrong}");
        }
    }
    assert_eq!(fault(Run::with_answer(200, "{}")), ProtocolFault::Missing("device_code"));
    for bad in ["d".repeat(4_097), "a\u{0}b".into(), "a\nb".into(), "\u{7f}".into(), "\u{9b}".into()] {
        assert_eq!(fault(Run::granted(json!({"device_code": bad}))), ProtocolFault::Invalid("device_code"));
    }
    // 4,096 bytes, not characters.
    assert_eq!(fault(Run::granted(json!({"device_code": "é".repeat(2_049)}))), ProtocolFault::Invalid("device_code"));
    assert!(Run::granted(json!({"device_code": "é".repeat(2_048)})).go());
}

// R8628-3.1-7, R6749-3.2-5: no member twice, wherever it stands, however it is escaped, among few members or many.
#[test]
fn rfc8628_3_1_no_member_twice() {
    let good = device_answer(json!({}));
    let many: String = (0..30).map(|n| format!("\"x{n}\":{n},")).collect();
    for known in ["device_code", "user_code", "verification_uri", "expires_in", "interval", "unknown"] {
        for (first, second) in [(known.to_owned(), known.to_owned()), (known.to_owned(), known.replace('_', "\\u005F"))]
        {
            for filler in ["", &many] {
                let rest = good[1..].replace(&format!("\"{known}\""), "\"other\"");
                for body in [
                    format!("{{\"{first}\":1,{filler}\"{second}\":1,{rest}"),
                    format!("{{\"{first}\":1,{filler}{},\"{second}\":1}}", &rest[..rest.len() - 1]),
                ] {
                    let expected = ProtocolFault::DuplicateMember(known.into());
                    assert_eq!(fault(Run::with_answer(200, &body)), expected, "{body}");
                }
            }
        }
    }
}

// A31, RFC 8628 §3.2: what strict refuses and the default forgives.
#[test]
fn strict_demands_a_lifetime() {
    for (strict, body) in [
        (false, device_answer(json!({"expires_in": null}))),
        (true, device_answer(json!({"expires_in": null}))),
        (true, device_answer(json!({}))),
    ] {
        let client = if strict { builder().strict() } else { builder() };
        let mut run = Run::new(client.build().unwrap());
        run.go();
        run.answer(200, &body);
        if strict && !body.contains("expires_in") {
            assert_eq!(fault(run), ProtocolFault::Missing("expires_in"));
        } else {
            run.poll();
            let warned = run.prompts[0].warnings().any(|warning| warning == PromptWarning::LifetimeAssumed);
            assert_eq!(warned, !strict);
        }
    }
}

// A34, A35, P14, RFC 8628 §3.2, RFC 6749 §3.3, §5.2: an error is an error, whatever the status and whatever else is
// there.
#[test]
fn an_oauth_error_is_reported_whatever_the_status() {
    for status in [200, 400, 401, 403, 404, 422, 429, 500, 503] {
        for code in ["invalid_client", "invalid_scope", "device_flow_disabled", "unauthorized_client", "invalid_grant"]
        {
            let run =
                Run::with_answer(status, &device_answer(json!({"error": code, "error_description": "\u{1b}[31mx"})));
            let error = rejected(run);
            assert_eq!((error.code(), error.status()), (code, status));
            assert_eq!(error.description(), Some("\\u{1b}[31mx"));
            assert!(error.advice().is_some());
        }
    }
    // Codes for polling end the flow here, too.
    for code in ["authorization_pending", "access_denied", "expired_token", "weird"] {
        assert_eq!(rejected(Run::with_answer(400, &json!({"error": code}).to_string())).code(), code);
    }
}

// A36, RFC 8414 §3.2: a status that will not change, without an OAuth error: final, with a hint.
#[test]
fn a_status_without_an_oauth_error_is_final_and_hints_at_the_cause() {
    for status in [400, 401, 403, 404, 405, 410, 415, 422, 451, 100, 999] {
        for body in ["{}", r#"{"detail":"Not Found"}"#, r#"{"error":""}"#, r#"{"error":null}"#, "", "<html>no</html>"] {
            let mut run = answered(status, &[("Retry-After", "2")], body.as_bytes());
            let failure = run.failure();
            assert!(matches!(failure, Failure::Protocol(_)), "{failure}");
            assert_eq!((run.requests.len(), run.waits.len()), (1, 0));
            assert!(!failure.is_retryable());
            if (400..500).contains(&status) {
                let text = failure.to_string();
                let words = match status {
                    401 | 403 if !body.starts_with('<') => "client id",
                    _ => "address",
                };
                assert!(text.contains(words) && text.contains("device"), "{text}");
                assert!(text.contains(&status.to_string()), "{text}");
                assert_eq!(text.contains("the server says: Not Found"), body.contains("Not Found"), "{text}");
            }
        }
    }
    for body in [r#"{"error":{"code":404}}"#, r#"{"error":404}"#, r#"{"error":["x"]}"#] {
        assert_eq!(fault(answered(404, &[], body.as_bytes())), ProtocolFault::Invalid("error"));
    }
    for status in [204, 205] {
        assert_eq!(fault(answered(status, &[], b"")), ProtocolFault::Empty(status));
    }
}

// C10, R9110-15.4-1, R9110-15.4-2, R6749-10.8-1, P17: redirects are never followed, not even when the body is a good
// answer.
#[test]
fn redirects_are_final() {
    for status in [300, 301, 302, 303, 304, 307, 308, 399] {
        for body in ["", "<html>", &device_answer(json!({})), r#"{"error":"slow_down"}"#] {
            let run = answered(status, &[("Location", "https://elsewhere/")], body.as_bytes());
            assert_eq!(fault(run), ProtocolFault::Redirect(status));
        }
    }
}

// A37: a login page is reported as a page, with at most 120 characters that are safe in a terminal.
#[test]
fn a_page_is_named_and_its_beginning_shown() {
    let page = "<!DOCTYPE html>\n<html>\u{1b}[2J<title>Hotel \u{202e} Wi-Fi</title>".to_owned() + &"x".repeat(100_000);
    for (body, beginning) in [
        (page.as_bytes(), "<!DOCTYPE html> <html>\\u{1b}[2J<title>Hotel \\u{202e} Wi-Fi</title>xxx"),
        // A page may have any encoding (Latin-1 here) and any length.
        (b"<html>Zugang gew\xe4hren</html>".as_slice(), "<html>Zugang gew"),
        (b"Forbidden: DC-canary".as_slice(), "Forbidden:"),
    ] {
        let page = fault(answered(403, &[("content-type", "text/html")], body));
        let ProtocolFault::Page { status: 403, excerpt } = page else { panic!("a page was expected") };
        assert!(excerpt.starts_with(beginning), "{excerpt}");
        assert!(excerpt.chars().count() <= 120 + "u{1b}u{202e}".len(), "{excerpt}");
    }
    let text = answered(200, &[], page.as_bytes()).failure().to_string();
    assert!(
        text.contains("captive portal") && text.contains("address") && text.contains("begins: <!DOCTYPE"),
        "{text}"
    );
    assert!(!text.contains(char::is_control));
}

// P07, A37, G11: an answer that was cut short, or has another format, can hold secrets: no member's value is shown.
#[test]
fn what_is_shown_of_a_body_stops_before_any_value() {
    let good = device_answer(json!({"device_code": "DC-canary"}));
    for body in [
        &good[..good.len() - 1],
        &format!("\u{feff}\u{feff}{good}"),
        "device_code=DC-canary&user_code=X",
        "<oauth><device_code>DC-canary</device_code></oauth>",
        "device_code: DC-canary",
        "DC-canary",
        "callback({\"device_code\":\"DC-canary\"})",
    ] {
        let failure = Run::with_answer(200, body).failure();
        assert!(matches!(failure, Failure::Protocol(_)));
        assert!(!format!("{failure} {failure:?}").contains("canary"), "{failure:?}");
    }
}

// C06, R6749-5.1-11: the limit from both sides, by default and set by hand; the driver gets it with each request.
#[test]
fn the_cap_on_answers() {
    for (cap, set) in [(64 * 1024, None), (300, Some(300)), (1_000_000, Some(1_000_000))] {
        for (over, fits) in [(0, true), (1, false)] {
            let client = set.map_or(builder(), |cap| builder().max_answer(cap)).build().unwrap();
            let mut run = Run::new(client);
            let device_flow_core::Action::SendRequest(outgoing) =
                device_flow_core::Machine::next_action(&mut run.machine, device_flow_core::Timestamp::ZERO)
            else {
                panic!()
            };
            assert_eq!(outgoing.request.max_response(), cap);
            let answer = device_answer(json!({}));
            let body = answer.replace('{', &format!("{{{}", " ".repeat(cap - answer.len() + over)));
            let response = Response::new(200, body.as_bytes());
            device_flow_core::Machine::response(
                &mut run.machine,
                outgoing.ticket,
                response,
                device_flow_core::Timestamp::ZERO,
            )
            .unwrap();
            if fits {
                run.now = 0;
                assert!(run.go());
            } else {
                assert!(matches!(run.failure(), Failure::Protocol(e) if e.fault == ProtocolFault::TooLarge(cap)));
            }
        }
    }
}

/// The waits before each further device request, in milliseconds, and the outcome.
fn patience(mut fail: impl FnMut(&mut Run<DeviceFlow>)) -> (Vec<u64>, Vec<WaitReason>, Failure) {
    let mut run = Run::new(builder().build().unwrap());
    let mut gaps = vec![];
    while run.go() {
        gaps.push(run.now - run.answered_at);
        fail(&mut run);
    }
    assert!(run.prompts.is_empty());
    let first = run.requests[0].body.clone();
    assert!(run.requests.iter().all(|request| request.url == "https://as/device" && request.body == first));
    assert_eq!(run.machine.trail().polls(), 0);
    (gaps, run.waits.iter().map(|(_, reason)| *reason).collect(), run.outcome.unwrap().unwrap_err())
}

// C01: a failed connection is tried again after 1, 2 and 4 seconds, then reported; a success in between counts.
#[test]
fn a_failing_connection_is_tried_three_times_more() {
    for kind in [
        TransportErrorKind::Timeout,
        TransportErrorKind::Dns,
        TransportErrorKind::Connect,
        TransportErrorKind::Tls,
        TransportErrorKind::Closed,
        TransportErrorKind::Proxy,
        TransportErrorKind::InvalidHttp,
        TransportErrorKind::Abandoned,
        TransportErrorKind::Other,
    ] {
        let (gaps, reasons, failure) = patience(|run| run.fail(kind));
        assert_eq!(gaps, [0, 1_000, 2_000, 4_000]);
        let backoff = |attempt| WaitReason::Backoff { cause: Cause::Transport(kind), attempt };
        assert_eq!(reasons, [backoff(1), backoff(2), backoff(3)]);
        assert!(matches!(&failure, Failure::Transport(error) if error.kind() == kind) && failure.is_retryable());
    }
    let (gaps, _, failure) = patience(|run| run.fail(TransportErrorKind::UntrustedCertificate));
    assert!(gaps == [0] && !failure.is_retryable());

    let mut run = Run::new(builder().build().unwrap());
    for _ in 0..3 {
        run.go();
        run.fail(TransportErrorKind::Dns);
    }
    run.go();
    run.answer(200, &device_answer(json!({})));
    // The life of the code and its interval count from the answer, not from the first attempt.
    let at = run.now;
    assert_gap(run.poll(), 5, 5);
    assert_eq!(run.prompts[0].expires_at().as_millis(), at + 900_000);
}

// A36, R9110-10.2.3-3, RFC 6585 §4, RFC 10027 §6.1.11: a server that cannot answer is asked again when it says, up to a
// minute later.
#[test]
fn an_unavailable_server_is_tried_again_no_earlier_than_it_says() {
    for (retry_after, gaps) in [
        ("", vec![0, 1_000, 2_000, 4_000]),
        ("nonsense", vec![0, 1_000, 2_000, 4_000]),
        ("0", vec![0, 1_000, 2_000, 4_000]),
        ("2", vec![0, 2_000, 2_000, 4_000]),
        ("30", vec![0, 30_000, 30_000, 30_000]),
        ("60", vec![0, 60_000, 60_000, 60_000]),
        ("61", vec![0]),
        ("18446744073709551616", vec![0]),
    ] {
        for (status, body) in [
            (429, ""),
            (503, ""),
            (408, "<html>"),
            (500, "{}"),
            (502, r#"{"error":"Bad Gateway"}"#),
            (503, r#"{"error":{"code":1}}"#),
            (599, "null"),
        ] {
            let response = Response::new(status, body.as_bytes()).header("Retry-After", retry_after.as_bytes());
            let (found, reasons, failure) = patience(|run| run.respond(response));
            assert_eq!(found, gaps, "{status} {retry_after}");
            assert!(failure.is_retryable());
            assert!(matches!(failure, Failure::Protocol(e) if e.fault == ProtocolFault::Unavailable(status)));
            for ((patience, reason), attempt) in [1, 2, 4].into_iter().zip(reasons).zip(1..) {
                // The reason is whichever is longer.
                let expected = if retry_after.parse().is_ok_and(|asked: u64| asked > patience) {
                    WaitReason::RetryAfter
                } else {
                    WaitReason::Backoff { cause: Cause::Status(status), attempt }
                };
                assert_eq!(reason, expected);
            }
        }
    }
}

// authentik: slow_down here means too many codes. The request is repeated later, then this is reported.
#[test]
fn slow_down_for_the_device_request_is_waited_for() {
    for status in [200, 400, 429] {
        let body = Response::new(status, br#"{"error":"slow_down","error_description":"made-up text"}"#);
        let (gaps, _, failure) = patience(|run| run.respond(body.header("retry-after", b"20")));
        assert_eq!(gaps, [0, 20_000, 20_000, 20_000]);
        let Failure::Rejected(error) = &failure else { panic!("{failure}") };
        assert_eq!((error.code(), error.status()), ("slow_down", status));
        assert!(failure.to_string().contains("wait some minutes before starting another"), "{failure}");
    }
}

// R8628-3.5-9, R8628-3.5-10, RFC 8628 §3.1, RFC 10027 §6.1.3: a second code needs a second flow, and nothing of the
// first is in it.
#[test]
fn a_new_code_needs_a_new_flow() {
    let mut run = Run::granted(json!({"device_code": "first"}));
    run.script(&[(400, r#"{"error":"expired_token"}"#)]);
    assert!(run.failure().is_retryable());
    run.now += 10_000_000;
    assert!(!run.go());
    assert_eq!(run.requests.iter().filter(|request| request.url == "https://as/device").count(), 1);
    let mut again = Run::new(run.machine.client().clone());
    again.go();
    assert_eq!(again.requests[0].body, run.requests[0].body);
    again.answer(200, &device_answer(json!({"device_code": "second"})));
    again.poll();
    assert_eq!(again.requests[1].parameter("device_code").as_deref(), Some("second"));
}

// W10: no transport asks for compression, and none undoes it.
#[test]
fn w10_a_compressed_answer_is_named() {
    let named = |body: &[u8]| fault(answered(200, &[], body)).to_string().contains("compressed with gzip");
    assert!(named(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x35\xcb"));
    assert!(named(b"\x1f\x8b"));
    assert!(!named(b"\x1f") && !named(b" \x1f\x8b") && !named(b"<p>\x1f\x8b"));
}
