//! Owns the classification of an answer: status, headers and body become one of five meanings, the body first.

use super::json::{NoObject, Object};
use super::oauth_error::ErrorCode;
use super::retry_after;
use crate::prompt::printable;
use crate::{ProtocolFault, Response};
use core::time::Duration;

/// The most bytes that an answer may have unless set otherwise. RFC 6749 sets no limit; metadata may have 1 MiB.
pub(crate) const MAX_ANSWER: usize = 64 * 1024;

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
    /// Try later: 408, 429 or 5xx without an OAuth error.
    Unavailable(u16),
    /// Not JSON, or a body cut short: perhaps not from the authorization server at all.
    NotJson(ProtocolFault, u16),
    /// Never acceptable.
    Broken(ProtocolFault),
}

impl<'a> Answer<'a> {
    /// Puts the members into the caller's empty `object`; they are valid when the meaning is `Object` or `Error`.
    pub(crate) fn read(response: &Response<'a>, max: usize, object: &mut Object<'a>) -> Self {
        Self { meaning: meaning(response, max, object), retry_after: retry_after::delay(response) }
    }
}

fn meaning<'a>(response: &Response<'a>, max: usize, object: &mut Object<'a>) -> Meaning<'a> {
    let status = response.status();
    let not_now = matches!(status, 408 | 429 | 500..=599);
    if (300..400).contains(&status) {
        return Meaning::Broken(ProtocolFault::Redirect(status));
    }
    let error =
        read(response, max, object).and_then(|()| ErrorCode::find(object, status, not_now).map_err(NoObject::Fault));
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

/// What to report if this happens too often.
fn no_json(response: &Response<'_>) -> ProtocolFault {
    match (response.body().is_empty(), response.status()) {
        (true, status @ 400..500) => ProtocolFault::Status(status),
        (true, status) => ProtocolFault::Empty(status),
        (false, _) => page(response),
    }
}

fn read<'a>(response: &Response<'a>, max: usize, object: &mut Object<'a>) -> Result<(), NoObject> {
    // A byte order mark is ignored, as RFC 8259 §8.1 allows.
    let body = response.body().strip_prefix(b"\xef\xbb\xbf").unwrap_or(response.body());
    // A captive portal's page has any length and encoding: only what begins as an object is judged as one.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let fault = |fault| if is_object { NoObject::Fault(fault) } else { NoObject::NotJson };
    if response.body().len() > max {
        return Err(fault(ProtocolFault::TooLarge(max)));
    }
    let text = core::str::from_utf8(body).map_err(|_| fault(ProtocolFault::NotUtf8))?;
    if !is_object && is_form(response.content_type()) {
        return object.read_form(text);
    }
    object.read_json(text)
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
    // It may be a token response that was cut short or has another format, so only markup is shown, up to where a
    // member and its value may begin.
    let text = if text.trim_start().starts_with('<') { text } else { "" };
    let text = text.split(['{', '"', '=', '_']).next().unwrap_or_default();
    let cut = text.char_indices().nth(120).map_or(text.len(), |(end, _)| end);
    ProtocolFault::Page { status: response.status(), excerpt: printable(text.get(..cut).unwrap_or_default()) }
}
