//! Owns the dialect of Twitch: `scopes` in place of `scope`, and errors in `message`.

use super::words::{Value, Word, Words};
use super::{Call, Dialect};
use crate::Response;
use crate::message::json::Object;
use crate::message::oauth_error::{code, is_known};

pub(crate) static TWITCH: Dialect = Dialect {
    name: "Twitch",
    paths: ["/oauth2/device", "/oauth2/token", "", "", ""],
    issuer: Some("/oauth2"),
    parameters: &[Word("scope", "scopes", Value::Same)],
    poll: Words { repeats_scope: true, ..Words::SAME },
    errors,
    notes: &[
        "Needs an application of the type Public, which has no secret.",
        "No denial is known.",
        "An expired, a used and a wrong code are the same error: invalid device code.",
        "Each refresh token is good for one refresh and for 30 days.",
    ],
    ..Dialect::STANDARD
};

/// `{"status":400,"message":"authorization_pending"}`. Some answers have the name of the status in `error` beside it.
fn errors<'a>(_: Call, response: &Response<'a>, object: &mut Object<'a>) -> bool {
    let (Some(json), Some(message)) = (object.json_text("message"), object.plain_text("message")) else { return false };
    if object.plain_text("error").is_some_and(is_known) {
        return false;
    }
    match message {
        // A code that is known is found in `message` without this.
        _ if !(400..500).contains(&response.status()) => return false,
        "invalid client" | "invalid client secret" => translated(object, code::INVALID_CLIENT, json),
        "invalid scope" => translated(object, code::INVALID_SCOPE, json),
        // A code, or its own words, which are all that there is.
        _ => object.set("error", json),
    }
    true
}

fn translated<'a>(object: &mut Object<'a>, code: &'a str, said: &'a str) {
    object.set("error", code);
    object.set("error_description", said);
}
