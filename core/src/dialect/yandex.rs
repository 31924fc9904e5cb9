//! Owns the dialect of Yandex ID: the grant `device_code`, `code`, and a secret at the token endpoint alone.

use super::words::{CODE, NO_SECRET, Value, Word, Words};
use super::{Dialect, Presence};

pub(crate) static YANDEX: Dialect = Dialect {
    name: "Yandex",
    paths: ["/device/code", "/token", "", "", ""],
    secret: Presence::Required,
    parameters: &[CODE],
    device: Words { changed: &[NO_SECRET], ..Words::SAME },
    poll: Words { changed: &[Word("grant_type", "", Value::Fixed("device_code"))], ..Words::SAME },
    notes: &[
        "Needs an app's id and secret. A wrong secret may be noticed only after the person has approved.",
        "No denial and no slow_down are known.",
        "Requests to its APIs carry the token as OAuth, not as Bearer.",
    ],
    ..Dialect::STANDARD
};
