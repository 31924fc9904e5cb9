//! Owns the server's own words about what went wrong, wherever an answer has them; safe to print.

use super::answer::excerpt;
use super::json::Object;
use crate::Response;
use crate::prompt::printable;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;

/// Where servers explain an error, besides `error_description`: frameworks, gateways, Okta, RFC 9457.
const EXPLANATIONS: [&str; 8] =
    ["message", "errorSummary", "error_message", "errorMessage", "detail", "msg", "reason", "title"];

/// What an answer that is no OAuth error says for itself: its code and explanation, or the beginning of its text.
pub(crate) fn said(response: &Response<'_>, object: &Object<'_>) -> Option<Box<str>> {
    if object.is_empty() {
        return Some(excerpt(response.body())).filter(|text| !text.is_empty());
    }
    let code = ["error", "error_code", "errorCode", "code"].into_iter().find_map(|name| text(object, name));
    let code = code.unwrap_or_default();
    let said = match explanation(object, &code) {
        None => printable(&code),
        Some(words) if code.is_empty() => printable(&words),
        Some(words) => printable(&format!("{code}: {words}")),
    };
    Some(said).filter(|said| !said.is_empty())
}

/// The same of an answer that may be one of success, which explains nothing and may hold secrets.
pub(crate) fn words_of(response: &Response<'_>, object: &Object<'_>) -> Option<Box<str>> {
    if (200..300).contains(&response.status()) { None } else { said(response, object) }
}

/// The explanation of an error with this code, unless it is the code once more, elsewhere (Twitch).
pub(crate) fn explanation<'a>(object: &Object<'a>, code: &str) -> Option<Cow<'a, str>> {
    if let Some(description) = text(object, "error_description") {
        return Some(description);
    }
    let of_members = EXPLANATIONS.into_iter().find_map(|name| text(object, name).filter(|text| *text != code));
    of_members.or_else(|| {
        // An error that is an object, as Google's APIs and Facebook have it.
        let error = object.json_object("error")?;
        let mut nested = Object::default();
        nested.read_json(&error).ok()?;
        text(&nested, "message").map(|text| Cow::Owned(text.into_owned()))
    })
}

fn text<'a>(object: &Object<'a>, name: &'static str) -> Option<Cow<'a, str>> {
    object.text(name).ok().flatten().filter(|text| !text.trim().is_empty())
}
