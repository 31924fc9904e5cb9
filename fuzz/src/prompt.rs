//! Invariant: no text of a server or a transport is shown that does not print as itself; plain text is shown unchanged,
//! and a URL only if it may be opened.

use crate::drive::{Drive, Step};
use crate::judge;
use device_flow_core::{Failure, Response, TransportError, TransportErrorKind};
use std::borrow::Cow;
use url::Url;

/// The bytes are four texts, separated by the byte FF, which is not valid in UTF-8: user code, verification URI,
/// complete URI, message. Without an FF they are one text, of an error or of a transport.
pub fn check(data: &[u8]) {
    if memchr::memchr(0xff, data).is_none() {
        let text = String::from_utf8_lossy(data);
        as_error(data, &text);
        as_detail(&text);
        return;
    }
    let mut texts = data.splitn(4, |byte| *byte == 0xff).map(String::from_utf8_lossy);
    let [code, uri, complete, message] = [(); 4].map(|()| texts.next().unwrap_or(Cow::Borrowed("")));
    as_prompt(data, &code, &uri, &complete, &message);
}

fn as_prompt(data: &[u8], code: &str, uri: &str, complete: &str, message: &str) {
    let body = serde_json::json!({
        "device_code": "d", "user_code": code, "verification_uri": uri, "verification_uri_complete": complete,
        "message": message, "expires_in": 900,
    });
    let mut drive = Drive::new(data);
    let Step::Device(ticket) = drive.step() else { panic!("no device authorization request") };
    drive.answer(ticket, Response::new(200, body.to_string().as_bytes()));
    let Some(prompt) = drive.flow.prompt() else {
        // A message that is the name of an error counts as one.
        let plain = is_plain(code) && is_plain_url(uri) && message.is_empty() && complete.len() < 4_000;
        assert!(!plain, "a plain prompt was refused");
        let Step::Done(outcome) = drive.step() else { return };
        judge::failure(&outcome.expect_err("a token without a poll"));
        return;
    };
    judge::prompt(&prompt);
    assert_eq!(prompt.user_code(), code, "the code was changed");
    let parsed = Url::parse(uri.trim_matches(' ')).expect("a URI that is none was shown");
    assert_eq!(Url::parse(prompt.verification_uri()).unwrap(), parsed, "another URI is shown");
    match prompt.verification_uri_complete() {
        Some(shown) => assert_eq!(Url::parse(shown).ok(), Url::parse(complete.trim_matches(' ')).ok()),
        None if complete.strip_prefix(uri).is_some_and(is_plain) => {
            assert!(
                !is_plain_url(uri) || !complete.starts_with(&format!("{uri}/")),
                "a plain complete URI was dropped"
            );
        }
        None => {}
    }
    let shown = prompt.message().unwrap_or_default();
    assert!(!is_plain(message) || message.len() > 1_000 || shown == message, "a plain message was changed");
    assert!(!shown.is_empty() || message.trim().is_empty(), "a message was lost");
    assert!(shown.is_empty() || !message.trim_ascii().is_empty(), "a message of nothing but line breaks and spaces");
    let Step::Poll(..) = ({
        drive.granted(5, 900);
        drive.step()
    }) else {
        panic!("no poll")
    };
}

fn as_error(data: &[u8], text: &str) {
    let (code, description) = (text, text);
    let body = serde_json::json!({ "error": code, "error_description": description, "error_uri": text }).to_string();
    let mut drive = Drive::new(data);
    let Step::Device(ticket) = drive.step() else { panic!("no device authorization request") };
    drive.answer(ticket, Response::new(400, body.as_bytes()));
    let outcome = match drive.step() {
        // Too much was asked for at once.
        Step::Device(_) => {
            return assert!(["slow_down", "rate_limit_exceeded"].contains(&code), "another attempt after {code:?}");
        }
        Step::Poll(..) => panic!("a poll without a code"),
        Step::Done(outcome) => outcome.expect_err("a token without a poll"),
    };
    match outcome {
        Failure::Rejected(error) => {
            assert!(!is_plain(code) || code.len() > 200 || error.code() == code, "the code was changed");
            let shown = error.description().unwrap_or_default();
            let changed = is_plain(description) && description.len() <= 200 && shown != description;
            assert!(!changed, "a plain text was changed");
        }
        // Without a code it is no error.
        Failure::Protocol(_) => assert!(code.is_empty(), "{code:?} is an error"),
        failure => panic!("an error led to {failure}"),
    }
}

fn as_detail(detail: &str) {
    let error = TransportError::new(TransportErrorKind::Connect).with_detail(detail);
    judge::transport(&error);
    assert!(!is_plain(detail) || detail.len() > 200 || error.detail() == detail, "a plain detail was changed");
    judge::failure(&Failure::Transport(error));
}

/// Text without anything suspicious.
fn is_plain(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'/' | b'?' | b'='))
}

/// The same for a URL.
fn is_plain_url(text: &str) -> bool {
    let plain = |rest: &str| {
        rest.len() <= 200
            && rest.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'.' | b'/'))
            && rest
                .split('/')
                .next()
                .unwrap_or_default()
                .split('.')
                .all(|label| !label.is_empty() && !label.starts_with("xn"))
    };
    text.strip_prefix("https://").is_some_and(plain)
}
