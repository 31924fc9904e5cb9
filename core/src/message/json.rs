//! Owns the reading of bodies: JSON or form into one flat object, with no member twice and with lenient numbers.

use crate::ProtocolFault;
use crate::prompt::printable;
use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde_core::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

/// The members of an answer. Usual answers have few, so they fit without an allocation.
pub(crate) struct Object<'a> {
    members: SmallVec<[Member<'a>; 12]>,
}

struct Member<'a> {
    name: Cow<'a, str>,
    value: Value<'a>,
}

enum Value<'a> {
    /// Checked JSON text.
    Json(&'a str),
    /// The value of a form field.
    Text(Cow<'a, str>),
}

/// Why there is no object.
pub(crate) enum NoObject {
    /// Not JSON at all, or cut short: perhaps not from the authorization server.
    NotJson,
    /// JSON that must not be accepted.
    Fault(ProtocolFault),
}

/// A number as lenient servers write it: with a fraction, an exponent, in quotes. Saturates.
#[derive(Clone, Copy)]
pub(crate) struct Number {
    pub(crate) negative: bool,
    pub(crate) floor: u64,
    pub(crate) ceil: u64,
}

impl<'a> Object<'a> {
    pub(crate) fn from_json(text: &'a str) -> Result<Self, NoObject> {
        let Members(members) = serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => NoObject::Fault(ProtocolFault::NotAnObject),
            serde_json::error::Category::Syntax if text.trim_start().starts_with(['{', '[', '"']) => {
                NoObject::Fault(ProtocolFault::InvalidJson)
            }
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io => NoObject::NotJson,
        })?;
        Self { members }.without_duplicates()
    }

    /// GitHub's answers when nobody asked it for JSON.
    pub(crate) fn from_form(text: &'a str) -> Result<Self, NoObject> {
        let members = form_urlencoded::parse(text.as_bytes())
            .map(|(name, value)| Member { name, value: Value::Text(value) })
            .collect();
        Self { members }.without_duplicates()
    }

    /// RFC 6749 §5.1 and RFC 8628 §3.1: no parameter more than once.
    fn without_duplicates(self) -> Result<Self, NoObject> {
        let twice = if self.members.spilled() {
            let mut seen = BTreeSet::new();
            self.members.iter().find(|member| !seen.insert(&member.name))
        } else {
            let mut rest = self.members.as_slice();
            loop {
                let Some((first, others)) = rest.split_first() else { break None };
                if others.iter().any(|other| other.name == first.name) {
                    break Some(first);
                }
                rest = others;
            }
        };
        match twice {
            Some(member) => Err(NoObject::Fault(ProtocolFault::DuplicateMember(printable(&member.name)))),
            None => Ok(self),
        }
    }

    fn value(&self, name: &str) -> Option<&Value<'a>> {
        let value = self.members.iter().find(|member| member.name == name).map(|member| &member.value);
        value.filter(|value| !matches!(value, Value::Json("null")))
    }

    /// A text member; absent and null are the same.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, ProtocolFault> {
        self.value(name).map(|value| value.text().ok_or(ProtocolFault::Invalid(name))).transpose()
    }

    /// A text member that must be there and not be empty.
    pub(crate) fn required(&self, name: &'static str) -> Result<Cow<'a, str>, ProtocolFault> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or(ProtocolFault::Missing(name))
    }

    /// A number, in quotes or not; absent and null are the same.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<Number>, ProtocolFault> {
        self.value(name).map(|value| value.number().ok_or(ProtocolFault::Invalid(name))).transpose()
    }

    /// A list of texts; `None` when it is absent or something else.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        match self.value(name)? {
            Value::Json(raw) => serde_json::from_str(raw).ok(),
            Value::Text(_) => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Every member that is not among `known`, as JSON text.
    pub(crate) fn others<'b>(&'b self, known: &'b [&str]) -> impl Iterator<Item = (&'b str, Cow<'b, str>)> {
        let others = self.members.iter().filter(|member| !known.contains(&&*member.name));
        others.map(|member| {
            let json = match &member.value {
                Value::Json(raw) => Cow::Borrowed(*raw),
                // Text always has a JSON form.
                Value::Text(text) => Cow::Owned(serde_json::to_string(text).unwrap_or_default()),
            };
            (&*member.name, json)
        })
    }
}

impl<'a> Value<'a> {
    fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Value::Text(text) => Some(text.clone()),
            Value::Json(raw) => {
                let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
                if inner.contains('\\') {
                    serde_json::from_str(raw).ok().map(Cow::Owned)
                } else {
                    Some(Cow::Borrowed(inner))
                }
            }
        }
    }

    fn number(&self) -> Option<Number> {
        match self {
            Value::Text(text) => Number::read(text),
            Value::Json(raw) if raw.starts_with('"') => Number::read(&self.text()?),
            Value::Json(raw) => Number::read(raw),
        }
    }
}

impl Number {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(whole) = text.parse::<u64>() {
            return Some(Self { negative: false, floor: whole, ceil: whole });
        }
        // The float parser also knows "inf", "nan" and "infinity", which are no numbers here.
        if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')) {
            return None;
        }
        let value: f64 = text.parse().ok()?;
        // A cast to an integer truncates and saturates.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let (floor, fraction) = (value as u64, value > (value as u64) as f64);
        Some(Self { negative: value < 0.0, floor, ceil: floor.saturating_add(u64::from(fraction)) })
    }
}

/// All members in order, each value as its checked JSON text.
struct Members<'a>(SmallVec<[Member<'a>; 12]>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = SmallVec::new();
                while let Some(Name(name)) = map.next_key()? {
                    let value: &'de RawValue = map.next_value()?;
                    members.push(Member { name, value: Value::Json(value.get()) });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// A member name, borrowed unless it has escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(String::from(name))))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}
