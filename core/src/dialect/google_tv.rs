//! Owns the dialect of Google's older clients for televisions (YouTube): a grant of their own, `code`, and a secret at the
//! token endpoint alone.

use super::words::{CODE, NO_SECRET, Value, Word, Words};
use super::{Dialect, Presence};

pub(crate) static GOOGLE_TV: Dialect = Dialect {
    name: "Google's TV client",
    paths: ["/device/code", "/token", "", "/revoke", ""],
    issuer: Some("https://accounts.google.com"),
    secret: Presence::Required,
    parameters: &[CODE],
    device: Words { changed: &[NO_SECRET], ..Words::SAME },
    poll: Words { changed: &[GRANT], ..Words::SAME },
    notes: &[
        "Needs the id and secret of a client of the type TVs and Limited Input devices.",
        "For programs that still need the older grant: Provider::google speaks the one of RFC 8628.",
    ],
    ..Dialect::STANDARD
};

const GRANT: Word = Word("grant_type", "", Value::Fixed("http://oauth.net/grant_type/device/1.0"));
