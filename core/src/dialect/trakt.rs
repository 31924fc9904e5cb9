//! Owns the dialect of Trakt: JSON bodies, no grant, and a status that says everything where others have an error.

use super::words::{CODE, NO_SECRET, Value, Word, Words};
use super::{Call, Dialect, Presence};
use crate::Response;
use crate::message::json::Object;
use crate::message::oauth_error::code;

pub(crate) static TRAKT: Dialect = Dialect {
    name: "Trakt",
    paths: ["/oauth/device/code", "/oauth/device/token", "/oauth/token", "", ""],
    json: true,
    secret: Presence::Required,
    scope: Presence::Never,
    parameters: &[CODE],
    device: Words { changed: &[NO_SECRET], ..Words::SAME },
    poll: Words { changed: &[Word("grant_type", "", Value::LeftOut)], ..Words::SAME },
    // It wants the URI of the app's registration; this one is that of apps without a page.
    refresh: Words { defaults: &[("redirect_uri", "urn:ietf:wg:oauth:2.0:oob")], ..Words::SAME },
    errors,
    notes: &[
        "Needs an app's id and secret.",
        "The status alone says what happened to a code, mostly without a body: no reason is given.",
        "There are no scopes.",
    ],
    ..Dialect::STANDARD
};

/// Its documented table of statuses, with what to say of each.
const STATUSES: [(u16, &str, &str); 6] = [
    (400, code::PENDING, r#""the person has not approved the code yet (HTTP status 400)""#),
    (404, code::INVALID_GRANT, r#""the server does not know this code (HTTP status 404)""#),
    (409, code::INVALID_GRANT, r#""the code was used before (HTTP status 409)""#),
    (410, code::EXPIRED, r#""the code has expired (HTTP status 410)""#),
    (418, code::DENIED, r#""the person has refused (HTTP status 418)""#),
    (429, code::SLOW_DOWN, r#""too many polls (HTTP status 429)""#),
];

/// Only for polls, and not where an error is named: that says more than a status.
fn errors<'a>(call: Call, response: &Response<'a>, object: &mut Object<'a>) -> bool {
    if call != Call::Poll || object.holds("error") {
        return false;
    }
    let Some((_, code, said)) = STATUSES.iter().find(|(status, ..)| *status == response.status()) else { return false };
    object.set("error", code);
    object.set("error_description", said);
    true
}
