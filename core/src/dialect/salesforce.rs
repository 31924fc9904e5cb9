//! Owns the dialect of Salesforce: one URL for both steps, told apart by `response_type` and the grant `device`.

use super::words::{CODE, Value, Word, Words};
use super::{Call, Dialect};
use crate::Response;
use crate::message::json::Object;
use crate::message::oauth_error::code;

pub(crate) static SALESFORCE: Dialect = Dialect {
    name: "Salesforce",
    paths: ["/services/oauth2/token", "/services/oauth2/token", "", "/services/oauth2/revoke", ""],
    parameters: &[CODE],
    device: Words { fixed: &[("response_type", "device_code")], ..Words::SAME },
    poll: Words { changed: &[Word("grant_type", "", Value::Fixed("device"))], ..Words::SAME },
    errors,
    notes: &[
        "Needs an app with the device flow switched on that is installed in the organization: since September 2025 the flow \
         is blocked for all others, also where it had worked before.",
        "The answer does not say how long a code lives (ten minutes), nor how long a token lives.",
        "No denial is known.",
    ],
    ..Dialect::STANDARD
};

/// Its errors have the form of the standard, but for one: a code that it does not know.
fn errors<'a>(call: Call, _: &Response<'a>, object: &mut Object<'a>) -> bool {
    let unknown = object.json("error") == Some(code::INVALID_REQUEST)
        && object.plain_text("error_description") == Some("invalid device code");
    if unknown && call == Call::Poll {
        object.set("error", code::INVALID_GRANT);
    }
    unknown
}
