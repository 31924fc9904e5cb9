//! Owns what may be shown to a person: it judges characters by their Unicode category and searches for secrets,
//! independently of how the core sanitises.

use device_flow_core::{Failure, Prompt, ProtocolFault, SignInReason, TransportError};
use memchr::{memchr3, memmem};
use unicode_general_category::{GeneralCategory, get_general_category};
use url::{Host, Url};

/// Panics unless every character of the text prints as itself, on one line, in the direction of its script.
pub(crate) fn safe(text: &str) {
    let bad = text.chars().find(|c| deceives(*c));
    assert!(bad.is_none(), "{:?} would be shown in {text:?}", bad.unwrap_or_default());
}

/// Whether a character changes the terminal, the line or the direction, or cannot be seen.
pub(crate) fn deceives(c: char) -> bool {
    if c.is_ascii() {
        return !matches!(c, ' '..='~');
    }
    match get_general_category(c) {
        GeneralCategory::Control
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator
        | GeneralCategory::SpaceSeparator
        | GeneralCategory::Surrogate => true,
        // Visible signs of a script: Arabic, Syriac and Kaithi number signs, the joiners of hieroglyphs.
        GeneralCategory::Format => !matches!(u32::from(c),
            0x600..=0x605 | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2 | 0x110bd | 0x110cd | 0x13430..=0x1343f),
        GeneralCategory::Unassigned => {
            matches!(u32::from(c) & 0xfffe, 0xfffe) || matches!(u32::from(c), 0xfdd0..=0xfdef | 0xe0000..=0xe0fff)
        }
        // Variation selectors, the grapheme joiner, inherent vowels, fillers: assigned, but invisible.
        _ => matches!(u32::from(c),
            0x34f | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x3164 | 0xffa0 | 0xfe00..=0xfe0f
            | 0xe0100..=0xe01ef),
    }
}

/// Panics unless everything in a prompt may be shown and its URLs may be opened.
pub(crate) fn prompt(prompt: &Prompt) {
    safe(prompt.user_code());
    assert!(prompt.user_code().chars().any(|c| c != ' '), "an empty code");
    let shown = openable(prompt.verification_uri());
    assert!(prompt.verification_uri().chars().count() <= 2_048, "a URI that is too long");
    if let Some(complete) = prompt.verification_uri_complete() {
        assert_eq!(openable(complete).host(), shown.host(), "the complete URI has another host");
    }
    if let Some(message) = prompt.message() {
        safe(message);
        assert!(message.chars().count() <= 1_000, "a message that is too long");
    }
    prompt.warnings().for_each(|warning| safe(&warning.to_string()));
}

/// Panics unless the URL may be handed to a browser: https, or http on loopback, visible ASCII, without user name and
/// password.
pub(crate) fn openable(text: &str) -> Url {
    assert!(text.bytes().all(|b| matches!(b, b'!'..=b'~')), "a URL that is not ASCII: {text:?}");
    let url = Url::parse(text).unwrap_or_else(|error| panic!("{text:?} is no URL: {error}"));
    let loopback = match url.host().unwrap_or_else(|| panic!("{text:?} has no host")) {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name == "localhost",
    };
    assert!(url.scheme() == "https" || (url.scheme() == "http" && loopback), "the scheme of {text:?}");
    assert!(url.username().is_empty() && url.password().is_none(), "a password in {text:?}");
    url
}

/// Panics unless everything in a failure may be shown.
pub(crate) fn failure(failure: &Failure) {
    safe(&failure.to_string());
    match failure {
        Failure::Denied(error) | Failure::SignInNeeded(SignInReason::Refused(error)) | Failure::Rejected(error) => {
            oauth_error(error)
        }
        Failure::Expired(expired) => {
            if let Some(error) = &expired.error {
                oauth_error(error);
            }
            if let Some(last) = expired.trail.last_error() {
                safe(last.detail());
            }
        }
        Failure::Transport(error) => transport(error),
        Failure::Protocol(error) => {
            if let ProtocolFault::Page { excerpt, .. } = &error.fault {
                assert!(excerpt.chars().count() <= 200, "a long excerpt");
            }
        }
        _ => {}
    }
}

/// Panics unless the error of a transport may be shown.
pub(crate) fn transport(error: &TransportError) {
    safe(error.detail());
    safe(&error.to_string());
    assert!(error.detail().chars().count() <= 200, "a long detail");
}

fn oauth_error(error: &device_flow_core::OAuthError) {
    let more = [error.description(), error.uri(), error.suberror(), error.correlation_id(), error.trace_id()];
    for text in [Some(error.code()), error.timestamp()].into_iter().chain(more).flatten() {
        safe(text);
        assert!(text.chars().count() <= 200, "a long text from the server");
    }
    assert!(error.numbers().len() <= 16, "a long list from the server");
    assert!(error.claims().unwrap_or("{}").trim_ascii_start().starts_with('{'), "claims that are no object");
    assert!(error.claims().unwrap_or_default().len() <= 8 * 1024, "long claims");
}

/// Panics when one of the secrets occurs in the text.
pub(crate) fn hides(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!contains(text.as_bytes(), secret), "the secret {secret} in {text}");
    }
}

/// Not with the standard library: libFuzzer would trace each of its comparisons, at half the speed.
pub(crate) fn contains(text: &[u8], word: &str) -> bool {
    memmem::find(text, word.as_bytes()).is_some()
}

/// Whether a text from an answer can be distinguished from everything that is not secret: long, of letters and digits,
/// and nowhere else in the answer, in which nothing can be decoded to it.
pub(crate) fn is_unique(secret: &str, body: &[u8]) -> bool {
    let mixed = secret.bytes().filter(u8::is_ascii_digit).count() >= 3
        && secret.bytes().filter(u8::is_ascii_alphabetic).count() >= 3;
    let plain = secret.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let literal = || body.is_ascii() && memchr3(b'\\', b'%', b'+', body).is_none();
    // Hosts are shown in lower case.
    let once = || {
        let (body, secret) = (body.to_ascii_lowercase(), secret.to_ascii_lowercase());
        memmem::find_iter(&body, secret.as_bytes()).take(2).count() == 1
    };
    secret.len() >= 10 && mixed && plain && literal() && once()
}
