//! Owns the dialect of Facebook ("Login from Devices"): an app token in place of a client id, `code` in place of
//! `device_code`, and errors in an object whose subcode decides.

use super::words::{CODE, Value, Word, Words};
use super::{Call, Dialect, Presence};
use crate::Response;
use crate::message::json::Object;
use crate::message::oauth_error::code;

pub(crate) static FACEBOOK: Dialect = Dialect {
    name: "Facebook",
    paths: ["/device/login", "/device/login_status", "", "", ""],
    secret: Presence::Required,
    // `access_token=APP_ID|CLIENT_TOKEN`.
    parameters: &[
        Word("client_id", "access_token", Value::Same),
        Word("client_secret", "access_token", Value::Joined),
        Word("scope", "scope", Value::Commas),
        CODE,
    ],
    poll: Words { changed: &[Word("grant_type", "", Value::LeftOut)], ..Words::SAME },
    members: &[("code", "device_code")],
    errors,
    notes: &[
        "Needs an app with Login from Devices switched on, its id, and its client token (not the app secret).",
        "There are no refresh tokens: the person signs in again when the token ends, after about 60 days.",
        "The answer does not say which scopes were granted.",
    ],
    ..Dialect::STANDARD
};

/// By the names that Facebook's own SDKs give to them.
const SUBCODES: [(&str, &str); 4] =
    [("1349174", code::PENDING), ("1349172", code::SLOW_DOWN), ("1349173", code::DENIED), ("1349152", code::EXPIRED)];

/// `{"error":{"message":…,"type":…,"code":31,"error_subcode":1349174,"is_transient":false}}`. Whether it is transient
/// says nothing: pending is not.
fn errors<'a>(_: Call, _: &Response<'a>, object: &mut Object<'a>) -> bool {
    let Some(json) = object.json("error").filter(|json| json.starts_with('{')) else { return false };
    let mut error = Object::default();
    if error.read_json(json).is_err() {
        // The rule for members that are there twice holds in here, too. An error that nobody can read is still one.
        error = Object::default();
    }
    let number = |name| {
        error
            .json(name)
            .map(|json| json.trim_matches('"'))
            .filter(|json| json.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let subcode = number("error_subcode");
    let known = SUBCODES.iter().find(|(known, _)| Some(*known) == subcode).map(|(_, code)| *code);
    let known = known.or_else(|| (number("code") == Some("190")).then_some(code::INVALID_CLIENT));
    object.set("error", known.or_else(|| error.json_text("type")).unwrap_or(code::UNRECOGNIZED));
    if let Some(said) = error.json_text("message").or_else(|| error.json_text("error_user_msg")) {
        object.set("error_description", said);
    }
    if let Some(number) = subcode.or_else(|| number("code")) {
        object.set_own_name(number);
    }
    true
}
