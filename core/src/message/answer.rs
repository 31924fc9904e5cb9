//! Owns the first look at an answer: status, headers and body become one of five meanings, the body first.

use super::json::{NoObject, Object};
use super::oauth_error::{ErrorAnswer, Found};
use super::retry_after;
use crate::prompt::printable;
use crate::{ProtocolFault, Response};
use core::time::Duration;

/// How many bytes an answer may have (1 MiB for metadata, RFC 6749 sets no limit).
pub(crate) const MAX_ANSWER: usize = 64 * 1024;

/// An answer, and the delay that it asks for before the next request.
pub(crate) struct Answer<'a> {
    pub(crate) meaning: Meaning<'a>,
    pub(crate) retry_after: Duration,
}

pub(crate) enum Meaning<'a> {
    /// Status 2xx and an object without an error.
    Object(Object<'a>),
    /// An OAuth error, whatever the status.
    Error(ErrorAnswer<'a>),
    /// Not now: 408, 429 or 5xx without an OAuth error.
    Unavailable(u16),
    /// No JSON, or a body cut short: perhaps not from the authorization server at all.
    NotJson(ProtocolFault, u16),
    /// Never acceptable.
    Broken(ProtocolFault),
}

impl<'a> Answer<'a> {
    pub(crate) fn read(response: &Response<'a>, max: usize) -> Self {
        Self { meaning: Meaning::read(response, max), retry_after: retry_after::delay(response) }
    }
}

impl<'a> Meaning<'a> {
    fn read(response: &Response<'a>, max: usize) -> Self {
        let status = response.status();
        let not_now = matches!(status, 408 | 429 | 500..=599);
        if (300..400).contains(&status) {
            return Self::Broken(ProtocolFault::Redirect(status));
        }
        let found = object(response, max)
            .and_then(|object| ErrorAnswer::find(object, status, not_now).map_err(NoObject::Fault));
        match found {
            Ok(Found::Yes(error)) => Self::Error(error),
            _ if not_now => Self::Unavailable(status),
            Ok(Found::No(object)) if (200..300).contains(&status) => Self::Object(object),
            Ok(Found::No(_)) => Self::Broken(ProtocolFault::Status(status)),
            Err(NoObject::Fault(fault)) => Self::Broken(fault),
            Err(NoObject::NotJson) if matches!(status, 204 | 205) => Self::Broken(ProtocolFault::Empty(status)),
            Err(NoObject::NotJson) if response.body().is_empty() => Self::NotJson(ProtocolFault::Empty(status), status),
            Err(NoObject::NotJson) => Self::NotJson(page(response), status),
        }
    }
}

fn object<'a>(response: &Response<'a>, max: usize) -> Result<Object<'a>, NoObject> {
    let body = response.body();
    if body.len() > max {
        return Err(NoObject::Fault(ProtocolFault::TooLarge(max)));
    }
    let text = core::str::from_utf8(body).map_err(|_| NoObject::Fault(ProtocolFault::NotUtf8))?;
    // One byte order mark is forgiven: RFC 8259 §8.1 lets a parser ignore it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_form(response.content_type()) && !text.trim_start().starts_with('{') {
        return Object::from_form(text);
    }
    Object::from_json(text)
}

/// Media types compare without regard to case and may have parameters (RFC 9110 §8.3.1).
fn is_form(content_type: Option<&str>) -> bool {
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// What a person needs to see of a page that came instead of JSON.
fn page(response: &Response<'_>) -> ProtocolFault {
    const ENOUGH: usize = 480;
    let start = response.body().get(..ENOUGH).unwrap_or(response.body());
    let text = start.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let cut = text.char_indices().nth(120).map_or(text.len(), |(end, _)| end);
    ProtocolFault::Page { status: response.status(), excerpt: printable(text.get(..cut).unwrap_or_default()) }
}
