//! Discovery (RFC 8414, OpenID Connect Discovery 1.0): where it asks, what it accepts, when it asks again, what it
//! never does.

use crate::support::*;
use device_flow_core::{
    Cause, Client, ConfigError, Discovery, Endpoint, Failure, Machine, Metadata, ProtocolFault, Response, TextFault,
    Timestamp, TransportError, TransportErrorKind, WaitReason,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://as";
const INSERTED: &str = "https://as/.well-known/oauth-authorization-server";
const APPENDED: &str = "https://as/.well-known/openid-configuration";

/// As three servers send it; of the long lists only a part.
const OIDC_PROVIDER: &str = r#"{"authorization_endpoint":"http://127.0.0.1:9101/auth","device_authorization_endpoint":"http://127.0.0.1:9101/device/auth","claims_parameter_supported":false,"claims_supported":["sub","iss"],"code_challenge_methods_supported":["S256"],"grant_types_supported":["implicit","authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],"issuer":"http://127.0.0.1:9101","jwks_uri":"http://127.0.0.1:9101/jwks","response_types_supported":["code id_token","code","id_token","none"],"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_jwt","client_secret_post","private_key_jwt","none"],"token_endpoint":"http://127.0.0.1:9101/token","revocation_endpoint":"http://127.0.0.1:9101/token/revocation"}"#;
const AUTHLIB: &str = "{\"device_authorization_endpoint\":\"http://127.0.0.1:9111/device_authorization\",\"grant_types_supported\":[\"urn:ietf:params:oauth:grant-type:device_code\",\"refresh_token\"],\"issuer\":\"http://127.0.0.1:9111\",\"response_types_supported\":[],\"token_endpoint\":\"http://127.0.0.1:9111/token\",\"token_endpoint_auth_methods_supported\":[\"none\",\"client_secret_basic\",\"client_secret_post\"]}\n";
const DJANGO_OAUTH_TOOLKIT: &str = r#"{"issuer": "http://127.0.0.1:9121/o", "response_types_supported": ["code", "token"], "grant_types_supported": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"], "authorization_endpoint": "http://127.0.0.1:9121/o/authorize/", "token_endpoint": "http://127.0.0.1:9121/o/token/", "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"], "jwks_uri": "http://127.0.0.1:9121/o/.well-known/jwks.json"}"#;

fn document(change: Value) -> String {
    let mut document = json!({
        "issuer": ISSUER, "device_authorization_endpoint": "https://as/device", "token_endpoint": "https://as/token"
    });
    for (name, value) in change.as_object().unwrap() {
        document[name] = value.clone();
        if value.is_null() {
            document.as_object_mut().unwrap().remove(name);
        }
    }
    document.to_string()
}

fn without_device_endpoint() -> String {
    document(json!({"device_authorization_endpoint": null}))
}

fn run() -> Run<Discovery> {
    Run::of(Discovery::new(ISSUER).unwrap())
}

/// A run in which the places give these answers, the last of them for ever, and its outcome.
fn answered(answers: &[(u16, &str)]) -> (Run<Discovery>, Result<Metadata, Failure>) {
    let mut run = run();
    let mut answers = answers.iter();
    let mut last = answers.next().unwrap();
    while run.go() {
        run.answer(last.0, last.1);
        last = answers.next().unwrap_or(last);
    }
    let outcome = run.outcome.take().unwrap();
    (run, outcome)
}

fn urls(run: &Run<Discovery>) -> Vec<&str> {
    run.requests.iter().map(|sent| sent.url.as_str()).collect()
}

#[track_caller]
fn fault(outcome: Result<Metadata, Failure>) -> ProtocolFault {
    match outcome {
        Err(Failure::Protocol(error)) => {
            assert_eq!(error.endpoint, Endpoint::Metadata);
            error.fault
        }
        Err(other) => panic!("{other}"),
        Ok(found) => panic!("{found:?}"),
    }
}

// R8414-3-1, R8414-3-2, R8414-3-3, R8414-3.1-1, R8414-3.1-2, R8414-5-1, OIDD-4-1, OIDD-4.1-1, OIDD-4.1-2: both places,
// in order, by GET.
#[test]
fn rfc8414_5_the_places_and_their_order() {
    for (issuer, inserted, appended) in [
        ("https://as", INSERTED, APPENDED),
        ("https://as/", INSERTED, APPENDED),
        (
            "https://h:8443/t1",
            "https://h:8443/.well-known/oauth-authorization-server/t1",
            "https://h:8443/t1/.well-known/openid-configuration",
        ),
        (
            "https://h/t1/",
            "https://h/.well-known/oauth-authorization-server/t1",
            "https://h/t1/.well-known/openid-configuration",
        ),
        (
            "https://h/a/b",
            "https://h/.well-known/oauth-authorization-server/a/b",
            "https://h/a/b/.well-known/openid-configuration",
        ),
        (
            "https://h/a/b//",
            "https://h/.well-known/oauth-authorization-server/a/b/",
            "https://h/a/b//.well-known/openid-configuration",
        ),
        (
            "https://github.com/login/oauth",
            "https://github.com/.well-known/oauth-authorization-server/login/oauth",
            "https://github.com/login/oauth/.well-known/openid-configuration",
        ),
        (
            "https://[2001:db8::1]:8/t",
            "https://[2001:db8::1]:8/.well-known/oauth-authorization-server/t",
            "https://[2001:db8::1]:8/t/.well-known/openid-configuration",
        ),
    ] {
        let mut run = Run::of(Discovery::new(issuer).unwrap());
        run.go();
        run.answer(404, "");
        run.go();
        assert_eq!(urls(&run), [inserted, appended], "{issuer}");
        for sent in &run.requests {
            assert_eq!((sent.method, sent.body.as_str(), sent.at), ("GET", "", START));
            assert_eq!(sent.headers, [("accept".to_owned(), "application/json".to_owned())]);
        }
        // The issuer in the document keeps its slash.
        run.answer(200, &document(json!({"issuer": issuer})));
        assert_eq!(run.outcome().unwrap().issuer(), issuer);
    }
}

// R8414-3-2, RFC 8414 §2, OpenID Connect Discovery §3, G08: invalid issuers.
#[test]
fn rfc8414_2_issuers_from_both_sides() {
    use TextFault::{Empty, Fragment, NotAUri, Query, Scheme, UserInfo};
    for (issuer, fault) in [
        ("", Empty),
        ("as", NotAUri),
        ("https://", NotAUri),
        ("https:as", NotAUri),
        ("https://a b", NotAUri),
        ("https://é/", NotAUri),
        ("http://as", Scheme),
        ("ftp://as", Scheme),
        ("https://as?x", Query),
        ("https://as/?", Query),
        ("https://as#x", Fragment),
        ("https://as/#", Fragment),
        ("https://user@as/", UserInfo),
        ("https://\u{1b}[2J", NotAUri),
    ] {
        for built in [Discovery::new(issuer), Discovery::builder(issuer).allow_http_loopback().build()] {
            match built {
                Err(ConfigError::Issuer { fault: found, issuer: shown }) => {
                    assert_eq!(found, fault, "{issuer}");
                    assert!(!shown.contains(char::is_control));
                }
                other => panic!("{issuer}: {other:?}"),
            }
        }
    }
    assert!(Discovery::builder("http://127.0.0.1:9101").allow_http_loopback().build().is_ok());
    assert!(Discovery::new("http://127.0.0.1:9101").is_err());
}

// R8414-2.1-1, RFC 8414 §2, §3.2, RFC 8628 §4: a good document, read verbatim.
#[test]
fn rfc8414_3_2_a_good_document_is_enough() {
    let more = json!({
        "device_authorization_endpoint": "https://other.example:8443//device/?tenant=1", "x": {"issuer": "https://evil"},
        "signed_metadata": "e.y.J", "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code"], "jwks_uri": "http://as/jwks",
        "authorization_endpoint": "javascript:alert(1)"
    });
    let (run, outcome) = answered(&[(200, &document(more))]);
    let metadata = outcome.unwrap();
    assert_eq!(urls(&run), [INSERTED], "the first place is enough");
    assert_eq!((metadata.issuer(), metadata.token_endpoint()), (ISSUER, "https://as/token"));
    // C21, OpenID Connect Discovery §3: on another host, with port, query and doubled slash: as it stands.
    assert_eq!(metadata.device_authorization_endpoint(), Some("https://other.example:8443//device/?tenant=1"));
    assert!(metadata.lists_device_grant());
    for status in [200, 203] {
        let (_, outcome) = answered(&[(status, &format!("\u{feff} {}\n", document(json!({}))))]);
        assert!(outcome.is_ok());
    }
}

// RFC 8414 §2, §3.2: the endpoint counts more than the list of grants.
#[test]
fn rfc8414_2_a_named_endpoint_is_trusted_without_a_listed_grant() {
    for (grants, listed) in [
        (json!(null), false),
        (json!([]), false),
        (json!("urn:ietf:params:oauth:grant-type:device_code"), true),
        (json!(["authorization_code"]), false),
        (json!(["device_code"]), false),
        (json!(["a", "urn:ietf:params:oauth:grant-type:device_code"]), true),
    ] {
        let metadata = answered(&[(200, &document(json!({"grant_types_supported": grants})))]).1.unwrap();
        assert_eq!(metadata.lists_device_grant(), listed, "{grants}");
        Client::builder(metadata, "my-app").build().unwrap();
    }
}

// RFC 8414 §2, §3.2.
#[test]
fn rfc8414_2_the_ways_to_authenticate_default_to_basic() {
    for (listed, found) in [
        (json!(null), vec!["client_secret_basic"]),
        (json!([]), vec!["client_secret_basic"]),
        (json!("none"), vec!["none"]),
        (json!(["none"]), vec!["none"]),
        (json!(["client_secret_post", "x"]), vec!["client_secret_post", "x"]),
    ] {
        let document = document(json!({"token_endpoint_auth_methods_supported": listed}));
        let metadata = answered(&[(200, &document)]).1.unwrap();
        assert_eq!(metadata.token_endpoint_auth_methods().collect::<Vec<_>>(), found, "{listed}");
    }
}

// C21, R8414-3.3-1, R8414-3.3-2, R8414-4-3, R8414-6.2-2, OIDD-4.3-1, OIDD-4.3-2, OIDD-7.2-1, RFC 8628 §5.3: to the
// letter, or nothing of it is used.
#[test]
fn rfc8414_3_3_the_issuer_must_be_identical() {
    for found in [
        "https://as/",
        "https://As",
        "HTTPS://as",
        "https://as:443",
        "http://as",
        "https://as/x",
        "https://as.",
        "https://a",
        "https://ass",
        " https://as",
        "https://as\n",
        "https://evil",
        "https://login.microsoftonline.com/{tenantid}/v2.0",
        "\u{1b}[2J",
    ] {
        let (run, outcome) = answered(&[(200, &document(json!({"issuer": found})))]);
        let ProtocolFault::IssuerMismatch { found: shown } = fault(outcome) else { panic!("{found}") };
        assert!(!shown.contains(char::is_control));
        // Both places were asked, and never an endpoint.
        assert_eq!(urls(&run), [INSERTED, APPENDED], "{found:?}");
    }
    for (value, expected) in [
        (json!(null), ProtocolFault::Missing("issuer")),
        (json!(""), ProtocolFault::Missing("issuer")),
        (json!(5), ProtocolFault::Invalid("issuer")),
        (json!(["https://as"]), ProtocolFault::Invalid("issuer")),
    ] {
        assert_eq!(fault(answered(&[(200, &document(json!({"issuer": value})))]).1), expected, "{value}");
    }
    let text = answered(&[(200, &document(json!({"issuer": "https://as/"})))]).1.unwrap_err().to_string();
    assert!(text.contains("https://as/,") && text.contains("exactly as the server writes it"), "{text}");
}

// R8414-4-1, R8414-4-2, OIDD-5-1: JSON escapes are removed, nothing else is.
#[test]
fn rfc8414_4_escapes_are_removed_and_nothing_is_normalised() {
    let escaped = document(json!({})).replace(r#""https://as""#, r#""https:\/\/a\u0073""#);
    assert_eq!(answered(&[(200, &escaped)]).1.unwrap().issuer(), ISSUER);
    let escaped = document(json!({})).replace("https://as/token", r"https:\/\/as\/token");
    assert_eq!(answered(&[(200, &escaped)]).1.unwrap().token_endpoint(), "https://as/token");
    let issuer = "https://as/caf%C3%A9";
    for (found, same) in [
        ("https://as/caf%C3%A9", true),
        ("https://as/caf%c3%a9", false),
        ("https://as/caf\u{e9}", false),
        ("https://as/cafe\u{301}", false),
        ("https://as/cafe%CC%81", false),
        ("https://as/./caf%C3%A9", false),
    ] {
        let mut run = Run::of(Discovery::new(issuer).unwrap());
        while run.go() {
            run.answer(200, &document(json!({"issuer": found})));
        }
        assert_eq!(run.outcome.unwrap().is_ok(), same, "{found}");
    }
}

// R8414-5-1, RFC 8414 §3.2, OpenID Connect Discovery §4.2: whatever the first place has instead of a document, the
// second is asked.
#[test]
fn rfc8414_5_the_second_place_counts_when_the_first_has_nothing() {
    let good = document(json!({}));
    for (status, body) in [
        (404, ""),
        (404, "<html>Not Found</html>"),
        (404, r#"{"error":"not_found"}"#),
        (401, "{}"),
        (200, "<html>login</html>"),
        (200, ""),
        (204, ""),
        (200, "[]"),
        (200, "null"),
        (200, "{}"),
        (200, "{\"issuer\":"),
        (200, &format!("{good}x")),
        (200, &good.replace('{', r#"{"issuer":"https://as","#)),
        (200, r#"{"error":"invalid_request"}"#),
        (302, &good),
        (400, &good),
        (503, ""),
        (200, &document(json!({"issuer": "https://evil"}))),
        (200, &document(json!({"token_endpoint": null}))),
        (200, &document(json!({"token_endpoint": "http://as/token"}))),
        (200, &without_device_endpoint()),
    ] {
        let (run, outcome) = answered(&[(status, body), (200, &good)]);
        assert_eq!(outcome.unwrap().device_authorization_endpoint(), Some("https://as/device"), "{status} {body}");
        assert_eq!((urls(&run), run.now), (vec![INSERTED, APPENDED], START));
    }
}

// R8414-5-1, GitLab, django-oauth-toolkit: a document without the device endpoint is good enough when there is no
// better one.
#[test]
fn a_document_without_the_device_endpoint_is_second_best() {
    let poor = without_device_endpoint();
    let other = poor.replace("https://as/token", "https://as/token2");
    for (answers, token) in [
        (vec![(200, poor.as_str()), (404, "")], "https://as/token"),
        (vec![(404, ""), (200, &poor)], "https://as/token"),
        (vec![(200, &poor), (200, "{}")], "https://as/token"),
        (vec![(200, &poor), (200, &other)], "https://as/token"),
        (vec![(200, &other), (200, &poor)], "https://as/token2"),
    ] {
        let (run, outcome) = answered(&answers);
        let metadata = outcome.unwrap();
        assert_eq!((metadata.device_authorization_endpoint(), metadata.token_endpoint()), (None, token));
        assert_eq!(urls(&run), [INSERTED, APPENDED]);
    }
}

// D07, rule 14: a failure that is reported with an earlier time happened at the latest time seen.
#[test]
fn a_failure_from_the_past_does_not_pull_the_next_request_forward() {
    let mut run = run();
    run.go();
    let (latest, ticket) = (run.now, run.take_ticket());
    let lost = TransportError::new(TransportErrorKind::Closed);
    run.machine.transport_failed(ticket, lost, Timestamp::from_millis(latest - 60_000)).unwrap();
    run.go();
    assert_eq!(run.now, latest + 1_000);
}

// RFC 8414 §3.2: an error answer is reported by its status.
#[test]
fn an_error_answer_is_no_document() {
    let (run, outcome) = answered(&[(404, r#"{"error":"not_found"}"#)]);
    assert_eq!(fault(outcome), ProtocolFault::Status(404));
    assert_eq!(urls(&run), [INSERTED, APPENDED]);
}

// A place that cannot answer now may have a better document, so it is asked again before the second best is taken.
#[test]
fn a_place_that_is_unavailable_is_asked_again_before_settling() {
    let (poor, good) = (without_device_endpoint(), document(json!({})));
    let (run, outcome) = answered(&[(200, &poor), (503, ""), (200, &poor), (200, &good)]);
    assert!(outcome.unwrap().device_authorization_endpoint().is_some());
    assert_eq!((run.requests.len(), run.now), (4, START + 1_000));
    let (run, outcome) = answered(&[(200, poor.as_str()), (503, "")].repeat(4));
    assert_eq!(outcome.unwrap().device_authorization_endpoint(), None);
    assert_eq!((run.requests.len(), run.now), (8, START + 7_000));
}

// C21, RFC 8414 §2, R8628-3.1-5, G08: an endpoint that must not be used spoils the document.
#[test]
fn unsafe_endpoints_are_refused() {
    for member in ["token_endpoint", "device_authorization_endpoint"] {
        for (url, fault_found) in [
            ("http://as/token", TextFault::Scheme),
            ("http://127.0.0.1/token", TextFault::Scheme),
            ("javascript:alert(1)", TextFault::Scheme),
            ("file:///etc/passwd", TextFault::Scheme),
            ("/token", TextFault::NotAUri),
            ("https://as/a b", TextFault::NotAUri),
            ("https:\\\\as\\x", TextFault::NotAUri),
            ("https://as/\u{1b}[2J", TextFault::NotAUri),
            ("https://as/token#x", TextFault::Fragment),
            ("https://user:pw@as/", TextFault::UserInfo),
        ] {
            let (run, outcome) = answered(&[(200, &document(json!({member: url})))]);
            assert_eq!(fault(outcome), ProtocolFault::UnsafeEndpoint { member, fault: fault_found }, "{url}");
            assert_eq!(urls(&run), [INSERTED, APPENDED]);
        }
        assert_eq!(fault(answered(&[(200, &document(json!({member: 5})))]).1), ProtocolFault::Invalid(member));
    }
    for absent in [json!(null), json!("")] {
        let outcome = answered(&[(200, &document(json!({"token_endpoint": absent})))]).1;
        assert_eq!(fault(outcome), ProtocolFault::Missing("token_endpoint"));
        let outcome = answered(&[(200, &document(json!({"device_authorization_endpoint": absent})))]).1;
        assert_eq!(outcome.unwrap().device_authorization_endpoint(), None);
    }
}

// When both places fail, the more specific fault is reported.
#[test]
fn what_is_wrong_with_a_document_counts_more_than_that_there_is_none() {
    let evil = document(json!({"issuer": "https://evil"}));
    let mismatch = || ProtocolFault::IssuerMismatch { found: "https://evil".into() };
    let nothing = ProtocolFault::Status(404);
    for (answers, expected) in [
        ([(404, ""), (200, evil.as_str())], mismatch()),
        ([(404, "{}"), (200, &evil)], mismatch()),
        ([(200, "<html>"), (200, &evil)], mismatch()),
        ([(200, &evil), (404, "")], mismatch()),
        ([(200, &evil), (200, "{}")], mismatch()),
        ([(404, ""), (404, "")], nothing.clone()),
        ([(404, "{}"), (403, "")], nothing),
        ([(200, ""), (404, "")], ProtocolFault::Empty(200)),
        ([(307, ""), (404, "")], ProtocolFault::Redirect(307)),
        ([(404, ""), (302, "")], ProtocolFault::Redirect(302)),
    ] {
        let (run, outcome) = answered(&answers);
        assert_eq!(fault(outcome), expected, "{answers:?}");
        assert_eq!((run.requests.len(), run.waits.len()), (2, 0));
    }
}

// C10, R9110-15.4-3: a redirect is not followed.
#[test]
fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let mut run = run();
        while run.go() {
            let body = document(json!({}));
            run.respond(Response::new(status, body.as_bytes()).header("Location", b"https://elsewhere/"));
        }
        assert_eq!(urls(&run), [INSERTED, APPENDED]);
        assert_eq!(fault(run.outcome.unwrap()), ProtocolFault::Redirect(status));
    }
}

// A36, C01: both places cannot answer now, or one cannot and the other has nothing: again after 1, 2 and 4 seconds.
#[test]
fn an_unavailable_server_is_asked_again_and_then_reported() {
    for (first, second) in
        [((503, ""), (503, "")), ((503, ""), (404, "")), ((404, ""), (429, "{}")), ((500, "<html>"), (200, "{}"))]
    {
        let mut run = run();
        let mut at = vec![];
        while run.go() {
            at.push(run.now - START);
            let (status, body) = if run.requests.len() % 2 == 1 { first } else { second };
            run.answer(status, body);
        }
        assert_eq!(at, [0, 0, 1_000, 1_000, 3_000, 3_000, 7_000, 7_000]);
        let failure = run.outcome.take().unwrap().unwrap_err();
        let status = if first.0 == 404 { second.0 } else { first.0 };
        assert!(matches!(&failure, Failure::Protocol(e) if e.fault == ProtocolFault::Unavailable(status)), "{failure}");
        assert!(failure.is_retryable());
        assert!(matches!(run.waits[1].1, WaitReason::Backoff { cause: Cause::Status(s), attempt: 2 } if s == status));
    }
    // It comes back in the second round.
    let (run, outcome) = answered(&[(503, ""), (404, ""), (404, ""), (200, &document(json!({})))]);
    assert!(outcome.is_ok());
    assert_eq!((run.requests.len(), run.now), (4, START + 1_000));
}

// R9110-10.2.3-3: Retry-After of either place lengthens the wait, up to a minute.
#[test]
fn retry_after_of_either_place_is_kept() {
    for (first, second, wait) in [
        ("20", "", Some(20_000)),
        ("", "20", Some(20_000)),
        ("20", "30", Some(30_000)),
        ("30", "2", Some(30_000)),
        ("", "61", None),
    ] {
        let mut run = run();
        for retry_after in [first, second] {
            run.go();
            run.respond(Response::new(503, b"").header("Retry-After", retry_after.as_bytes()));
        }
        assert_eq!(run.go().then_some(run.now - START), wait, "{first} {second}");
    }
    // The place that has nothing does not matter.
    let mut run = run();
    run.go();
    run.respond(Response::new(503, b"").header("Retry-After", b"9"));
    run.go();
    run.respond(Response::new(404, b"").header("Retry-After", b"50"));
    run.go();
    assert_eq!(run.now, START + 9_000);
}

// C01, C02: transport failures; an untrusted certificate is final.
#[test]
fn transport_failures_are_tried_three_times_more() {
    for kind in [TransportErrorKind::Dns, TransportErrorKind::Timeout, TransportErrorKind::Other] {
        let mut run = run();
        let mut at = vec![];
        while run.go() {
            at.push(run.now - START);
            run.fail(kind);
        }
        assert_eq!(at, [0, 1_000, 3_000, 7_000]);
        assert_eq!(urls(&run), [INSERTED; 4]);
        assert!(matches!(run.outcome.unwrap(), Err(Failure::Transport(error)) if error.kind() == kind));
    }
    for answered_before in [false, true] {
        let mut run = run();
        if answered_before {
            run.go();
            run.answer(404, "");
        }
        run.go();
        run.fail(TransportErrorKind::UntrustedCertificate);
        let failure = run.failure();
        assert!(matches!(failure, Failure::Transport(_)) && !failure.is_retryable());
    }
    // After one failure the same place is asked again, not skipped.
    let mut run = run();
    run.go();
    run.fail(TransportErrorKind::Closed);
    run.go();
    run.answer(200, &document(json!({})));
    assert!(run.outcome().is_ok());
    assert_eq!(urls(&run), [INSERTED, INSERTED]);
}

// C06: 1 MiB from both sides.
#[test]
fn the_cap_on_documents() {
    const MIB: usize = 1024 * 1024;
    let good = document(json!({}));
    for (over, fits) in [(0, true), (1, false)] {
        let body = good.replacen('{', &format!("{{{}", " ".repeat(MIB - good.len() + over)), 1);
        assert_eq!(body.len(), MIB + over);
        let (_, outcome) = answered(&[(200, &body)]);
        if fits {
            assert!(outcome.is_ok());
        } else {
            assert_eq!(fault(outcome), ProtocolFault::TooLarge(MIB));
        }
    }
    let device_flow_core::Action::SendRequest(outgoing) = run().machine.next_action(device_flow_core::Timestamp::ZERO)
    else {
        panic!()
    };
    assert_eq!(outgoing.request.max_response(), MIB);
}

// R10027-6.1.14-3: cancelling, before, while asking, while waiting.
#[test]
fn cancelling_ends_it_from_every_state() {
    for steps in 0..4 {
        let mut run = run();
        if steps > 0 {
            run.go();
        }
        if steps > 1 {
            run.answer(503, "");
        }
        if steps > 2 {
            run.go();
            run.answer(503, "");
        }
        run.machine.cancel();
        assert!(matches!(run.failure(), Failure::Cancelled));
        run.machine.cancel();
        assert!(!run.go() && run.outcome.is_none());
    }
    // An outcome that is there stays.
    let mut run = run();
    run.go();
    run.answer(200, &document(json!({})));
    run.machine.cancel();
    assert!(run.outcome().is_ok());
}

// RFC 8628 §4: what three servers really send.
#[test]
fn real_documents() {
    for (issuer, body, device, token) in [
        (
            "http://127.0.0.1:9101",
            OIDC_PROVIDER,
            Some("http://127.0.0.1:9101/device/auth"),
            "http://127.0.0.1:9101/token",
        ),
        (
            "http://127.0.0.1:9111",
            AUTHLIB,
            Some("http://127.0.0.1:9111/device_authorization"),
            "http://127.0.0.1:9111/token",
        ),
        ("http://127.0.0.1:9121/o", DJANGO_OAUTH_TOOLKIT, None, "http://127.0.0.1:9121/o/token/"),
    ] {
        let mut run = Run::of(Discovery::builder(issuer).allow_http_loopback().build().unwrap());
        while run.go() {
            run.answer(200, body);
        }
        let metadata = run.outcome.unwrap().unwrap();
        assert_eq!((metadata.issuer(), metadata.token_endpoint()), (issuer, token));
        assert_eq!(metadata.device_authorization_endpoint(), device);
        assert!(metadata.lists_device_grant());
        assert!(metadata.token_endpoint_auth_methods().any(|method| method == "client_secret_basic"));
        let client = Client::builder(metadata, "my-app");
        // RFC 8414 §3: loopback was allowed for the document; the client must allow it too.
        assert!(client.clone().build().is_err());
        match client.allow_http_loopback().build() {
            Ok(client) => assert_eq!(Some(client.device_authorization_endpoint()), device),
            Err(ConfigError::NoDeviceAuthorizationEndpoint { .. }) => assert_eq!(device, None),
            Err(other) => panic!("{other}"),
        }
    }
}
