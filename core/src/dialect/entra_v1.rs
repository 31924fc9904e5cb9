//! Owns the dialect of Microsoft's first endpoints (ADAL, `/oauth2/devicecode`): `resource` in place of scopes, the grant
//! `device_code`, `code`.

use super::words::{CODE, Value, Word, Words};
use super::{Dialect, Presence};

pub(crate) static ENTRA_V1: Dialect = Dialect {
    name: "Microsoft's v1 endpoint",
    paths: ["/oauth2/devicecode?api-version=1.0", "/oauth2/token", "", "", ""],
    scope: Presence::Never,
    resource: Presence::Required,
    language: Presence::Optional,
    parameters: &[CODE, Word("ui_locales", "mkt", Value::Same)],
    poll: Words { changed: &[Word("grant_type", "", Value::Fixed("device_code"))], ..Words::SAME },
    notes: &[
        "Needs an app that allows public client flows, and the resource that the token is for in place of scopes.",
        "For programs that still need it: Provider::entra speaks the endpoint that replaced it.",
        "No MSAL shares its tokens: they are kept apart.",
    ],
    ..Dialect::STANDARD
};
