//! Owns the translation of a request: the parameters of RFC 6749 and RFC 8628 get other names or values, or are left out,
//! in a form or in JSON.

use super::{Call, Dialect};
use crate::message::form::{Body, decode, encode, fields};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// The parameters of one kind of request.
pub(super) struct Words {
    /// Those that are not sent as they are; they take precedence over those of the dialect as a whole.
    pub(super) changed: &'static [Word],
    /// Those that are sent in every one.
    pub(super) fixed: &'static [(&'static str, &'static str)],
    /// Those that are sent unless the program has given another value.
    pub(super) defaults: &'static [(&'static str, &'static str)],
    /// Whether the scopes are sent although RFC 8628 does not send them here.
    pub(super) repeats_scope: bool,
}

/// A parameter by the name of the standards, the provider's name, and how its value is written.
#[derive(PartialEq, Eq)]
pub(super) struct Word(pub(super) &'static str, pub(super) &'static str, pub(super) Value);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// As it is.
    Same,
    /// It is not sent.
    LeftOut,
    /// Words with commas between them in place of spaces.
    Commas,
    /// Words as a JSON array.
    List,
    /// Behind the value of the parameter before it, with a `|` between them.
    Joined,
    /// This value, under the same name, in place of the one of the standard.
    Fixed(&'static str),
}

/// What six of the eight call the device code.
pub(super) const CODE: Word = Word("device_code", "code", Value::Same);
/// Where the secret is for the token endpoint alone.
pub(super) const NO_SECRET: Word = Word("client_secret", "", Value::LeftOut);

impl Words {
    /// A request as the standards have it.
    pub(super) const SAME: Self = Self { changed: &[], fixed: &[], defaults: &[], repeats_scope: false };

    pub(super) fn leaves_out_secret(&self) -> bool {
        self.changed.contains(&NO_SECRET)
    }

    /// Whether a parameter has this name on the wire, and is not only a default.
    pub(super) fn has(&self, name: &str) -> bool {
        self.changed.iter().any(|word| word.1 == name) || self.fixed.iter().any(|(fixed, _)| *fixed == name)
    }
}

impl Dialect {
    /// The body of a request, from its form as the standards have it. `scope`: the scopes of the client. All of the body may
    /// be secret.
    pub(crate) fn body(&self, call: Call, standard: &Body, scope: &str) -> Body {
        let words = self.words(call);
        let scope = encode(if words.repeats_scope { scope } else { "" });
        let repeated = (!scope.is_empty()).then_some((&b"scope"[..], scope.as_bytes()));
        let absent = |name: &str| fields(standard.bytes()).all(|(given, _)| given != name.as_bytes());
        let defaults = words.defaults.iter().filter(|(name, _)| absent(name));
        let mut writer = Writer::with_room(self.json, standard.bytes().len().saturating_add(scope.len()));
        for (name, value) in words.fixed.iter().chain(defaults) {
            writer.member(name.as_bytes(), encode(value).as_bytes(), Value::Same);
        }
        for (name, value) in fields(standard.bytes()).chain(repeated) {
            let mut words = words.changed.iter().chain(self.parameters);
            match words.find(|word| word.0.as_bytes() == name) {
                None => writer.member(name, value, Value::Same),
                Some(Word(_, _, Value::Fixed(value))) => writer.member(name, encode(value).as_bytes(), Value::Same),
                Some(Word(_, theirs, how)) => writer.member(theirs.as_bytes(), value, *how),
            }
        }
        writer.finish()
    }
}

/// A body in the making. Its block has room for everything, so that no copy is left behind.
struct Writer {
    json: bool,
    bytes: Zeroizing<Vec<u8>>,
}

impl Writer {
    /// `length`: of the form that is translated. An escape of a form is three bytes, and at most six in JSON; a word of a list
    /// gets two quotes. The names and values of any one dialect are shorter than what is added.
    fn with_room(json: bool, length: usize) -> Self {
        Self { json, bytes: Zeroizing::new(Vec::with_capacity(length.saturating_mul(4).saturating_add(1_024))) }
    }

    /// `name` and `value` are encoded as in a form.
    fn member(&mut self, name: &[u8], value: &[u8], how: Value) {
        match (self.json, how) {
            (_, Value::LeftOut) => {}
            (false, Value::Joined) => {
                self.bytes.extend_from_slice(b"%7C");
                self.bytes.extend_from_slice(value);
            }
            (false, _) => {
                if !self.bytes.is_empty() {
                    self.bytes.push(b'&');
                }
                self.bytes.extend_from_slice(name);
                self.bytes.push(b'=');
                for (index, word) in value.split(|byte| *byte == b'+' && how == Value::Commas).enumerate() {
                    self.bytes.extend_from_slice(if index > 0 { b"%2C" } else { b"" });
                    self.bytes.extend_from_slice(word);
                }
            }
            (true, _) => {
                let is_first = self.bytes.is_empty();
                self.bytes.push(if is_first { b'{' } else { b',' });
                self.text(&decode(name));
                self.bytes.push(b':');
                if how != Value::List {
                    return self.text(&decode(value));
                }
                self.bytes.push(b'[');
                for (index, word) in value.split(|byte| *byte == b'+').enumerate() {
                    self.bytes.extend_from_slice(if index > 0 { b"," } else { b"" });
                    self.text(&decode(word));
                }
                self.bytes.push(b']');
            }
        }
    }

    /// A JSON string (RFC 8259 §7).
    fn text(&mut self, text: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.bytes.push(b'"');
        for byte in text {
            match byte {
                b'"' | b'\\' => self.bytes.extend_from_slice(&[b'\\', *byte]),
                0..=0x1f => {
                    let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or_default();
                    self.bytes.extend_from_slice(b"\\u00");
                    self.bytes.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
                }
                _ => self.bytes.push(*byte),
            }
        }
        self.bytes.push(b'"');
    }

    fn finish(mut self) -> Body {
        if self.json {
            let is_empty = self.bytes.is_empty();
            self.bytes.extend_from_slice(if is_empty { b"{}" } else { b"}" });
        }
        Body::secret(&self.bytes)
    }
}
