//! Owns the classification of an answer: status, headers and body become one of five meanings, the body first.

use super::json::{NoObject, Object};
use super::oauth_error::ErrorCode;
use super::retry_after;
use crate::dialect::{Call, Dialect};
use crate::prompt::printable;
use crate::{ProtocolFault, Response};
use alloc::boxed::Box;
use core::time::Duration;

/// The most bytes that an answer may have unless set otherwise. RFC 6749 sets no limit; metadata may have 1 MiB.
pub(crate) const MAX_ANSWER: usize = 64 * 1024;

/// How the answers of one server are read.
pub(crate) struct Reading {
    /// The most bytes that one may have.
    pub(crate) max: usize,
    /// The language of a server that does not speak RFC 8628.
    pub(crate) dialect: Option<&'static Dialect>,
}

/// An answer: what it means, and the delay that it asks for before the next request.
pub(crate) struct Answer<'a> {
    pub(crate) meaning: Meaning<'a>,
    pub(crate) retry_after: Duration,
}

pub(crate) enum Meaning<'a> {
    /// Status 2xx and an object without an error.
    Object,
    /// An OAuth error, whatever the status.
    Error(ErrorCode<'a>),
    /// Try later: 408, 429 or most of 5xx, without an OAuth error.
    Unavailable(u16),
    /// Not JSON, or a body cut short: perhaps not from the authorization server at all.
    NotJson(ProtocolFault, u16),
    /// Never acceptable.
    Broken(ProtocolFault),
}

impl<'a> Answer<'a> {
    /// Puts the members into the caller's empty `object`; they are valid when the meaning is `Object` or `Error`.
    pub(crate) fn read(reading: &Reading, call: Call, response: &Response<'a>, object: &mut Object<'a>) -> Self {
        Self { meaning: meaning(reading, call, response, object), retry_after: retry_after::delay(response) }
    }
}

fn meaning<'a>(reading: &Reading, call: Call, response: &Response<'a>, object: &mut Object<'a>) -> Meaning<'a> {
    let status = response.status();
    let not_now = is_not_now(status);
    if (300..400).contains(&status) {
        return Meaning::Broken(ProtocolFault::Redirect(status));
    }
    let mut read = read(response, reading.max, object);
    if let Some(dialect) = reading.dialect {
        dialect.translate(call, response, &mut read, object);
    }
    let error = read.and_then(|()| ErrorCode::find(object, status, not_now).map_err(NoObject::Fault));
    match error {
        // One of the two is wrong. Polling on would drop a token that was approved, and taking it would pass over an error.
        Ok(Some(error)) if (200..300).contains(&status) && object.holds("access_token") => {
            Meaning::Broken(ProtocolFault::TokenAndError(error.printable()))
        }
        Ok(Some(error)) => Meaning::Error(error),
        _ if not_now => Meaning::Unavailable(status),
        Ok(None) if (200..300).contains(&status) => Meaning::Object,
        Ok(None) => Meaning::Broken(ProtocolFault::Status(status)),
        Err(NoObject::Fault(fault)) => Meaning::Broken(fault),
        // These two statuses mean that there is no body (RFC 9110 §15.3.5, §15.3.6).
        Err(NoObject::NotJson) if matches!(status, 204 | 205) => Meaning::Broken(ProtocolFault::Empty(status)),
        Err(NoObject::NotJson) => Meaning::NotJson(no_json(response), status),
    }
}

/// Statuses that say "try later". What a server does not do at all (501, 505, 510) it will not do later either, and 511
/// comes from a network that wants a sign-in of its own (RFC 6585 §6).
fn is_not_now(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=504 | 506..=509 | 512..=599)
}

/// What to report if this happens too often.
fn no_json(response: &Response<'_>) -> ProtocolFault {
    match (response.body().is_empty(), response.status()) {
        (true, status @ 400..=599) => ProtocolFault::Status(status),
        (true, status) => ProtocolFault::Empty(status),
        (false, _) => page(response),
    }
}

fn read<'a>(response: &Response<'a>, max: usize, object: &mut Object<'a>) -> Result<(), NoObject> {
    // A byte order mark is ignored, as RFC 8259 §8.1 allows.
    let body = response.body().strip_prefix(b"\xef\xbb\xbf").unwrap_or(response.body());
    // A page has any length, encoding and beginning (`404 page not found`, `null pointer`): only what begins as an object
    // is judged as JSON.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let fault = |fault| if is_object { NoObject::Fault(fault) } else { NoObject::NotJson };
    if response.body().len() > max {
        return Err(fault(ProtocolFault::TooLarge(max)));
    }
    let text = core::str::from_utf8(body).map_err(|_| fault(ProtocolFault::NotUtf8))?;
    if is_object {
        return object.read_json(text);
    }
    if is_form(response.content_type()) { object.read_form(text) } else { Err(NoObject::NotJson) }
}

/// Media types compare without regard to case and may have parameters (RFC 9110 §8.3.1).
fn is_form(content_type: Option<&str>) -> bool {
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// What a person needs to see of a page that came instead of JSON.
fn page(response: &Response<'_>) -> ProtocolFault {
    ProtocolFault::Page { status: response.status(), excerpt: excerpt(response.body()) }
}

/// How a page or a plain text begins, safe to print. It may be a token response that was cut short or has another format,
/// so markup ends where a member and its value may begin, and plain text at the first word that is no word of a language.
pub(super) fn excerpt(body: &[u8]) -> Box<str> {
    const ENOUGH: usize = 480;
    let start = body.get(..ENOUGH).unwrap_or(body);
    let text = start.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_start();
    let text = match text.as_bytes() {
        // No transport asks for it, but a server or a proxy may send it all the same (RFC 9110 §12.5.3; RFC 1952 §2.3.1).
        [0x1f, ..] if start.starts_with(b"\x1f\x8b") => "(compressed with gzip, which nobody asked for)",
        // JSON that was cut short, or is none.
        [b'{', ..] => "",
        [b'<', ..] => text.split(['{', '"', '=', '_']).next().unwrap_or_default(),
        _ => prose(text),
    };
    let cut = text.char_indices().nth(120).map_or(text.len(), |(end, _)| end);
    printable(text.get(..cut).unwrap_or_default().trim_end())
}

/// The beginning of a text that no secret can be in: words of letters, and numbers as short as a status. No secret has a
/// character beyond ASCII, so each of those counts as a letter, which spares the tables of letters.
fn prose(text: &str) -> &str {
    let is_word = |word: &str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '_' && c != '=');
        let number = word.len() <= 4 && word.bytes().all(|b| b.is_ascii_digit());
        number
            || (word.chars().count() <= 15
                && word.chars().all(|c| c.is_ascii_alphabetic() || c == '\'' || !c.is_ascii()))
    };
    let mut end = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        if !is_word(word.trim_end()) {
            break;
        }
        end = word.len().saturating_add(end);
    }
    text.get(..end).unwrap_or_default()
}
