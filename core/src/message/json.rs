//! Owns the parsing of bodies: JSON or form into one flat object, without repeated members and with lenient numbers.

use crate::ProtocolFault;
use crate::prompt::printable;
use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::IntErrorKind;
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

pub(crate) mod text;

/// The members of an answer, as they were written. Usual answers have few, so they fit without an allocation. It is
/// filled in place, because moving it would be most of the cost of a poll.
#[derive(Default)]
pub(crate) struct Object<'a> {
    members: SmallVec<[Member<'a>; 8]>,
    encoding: Encoding<'a>,
}

struct Member<'a> {
    name: Cow<'a, str>,
    /// As it was written: a JSON string has its quotes.
    value: &'a str,
}

#[derive(Clone, Copy, Default)]
enum Encoding<'a> {
    /// Values are checked JSON text.
    #[default]
    Json,
    /// Values are percent-encoded.
    Form,
    /// JSON in which a dialect has found an error; this is what the server itself calls it.
    Translated(&'a str),
}

/// Why a body is not an object.
pub(crate) enum NoObject {
    /// Not JSON at all, or cut short: perhaps not from the authorization server.
    NotJson,
    /// JSON, but unacceptable.
    Fault(ProtocolFault),
}

/// A number, also with a fraction, an exponent or in quotes, as some servers write it. Saturates.
#[derive(Clone, Copy)]
pub(crate) struct Number {
    pub(crate) negative: bool,
    pub(crate) floor: u64,
    pub(crate) ceil: u64,
}

impl<'a> Object<'a> {
    #[inline]
    pub(crate) fn read_json(&mut self, text: &'a str) -> Result<(), NoObject> {
        let read = text::take_apart(text, b"{}", |name, value| self.members.push(Member { name, value }));
        if read.is_err() {
            // Where it breaks off, what looks like an error may be a part of a token.
            self.members.clear();
        }
        read.and_then(|()| self.refuse_duplicates())
    }

    /// The format of GitHub's answers to requests that do not ask for JSON.
    pub(crate) fn read_form(&mut self, text: &'a str) -> Result<(), NoObject> {
        self.encoding = Encoding::Form;
        for field in text.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let name = self.encoding.text(name).unwrap_or(Cow::Borrowed(name));
            self.members.push(Member { name, value });
        }
        self.refuse_duplicates()
    }

    /// No parameter may occur twice (RFC 6749 §5.1, RFC 8628 §3.1), however its name is escaped.
    pub(crate) fn refuse_duplicates(&self) -> Result<(), NoObject> {
        let twice = if self.members.spilled() {
            let mut seen = BTreeSet::new();
            self.members.iter().find(|member| !seen.insert(&member.name))
        } else {
            let mut rest = self.members.as_slice();
            loop {
                match rest {
                    [] => break None,
                    [first, others @ ..] if others.iter().any(|other| other.name == first.name) => break Some(first),
                    [_, others @ ..] => rest = others,
                }
            }
        };
        match twice {
            Some(member) => Err(NoObject::Fault(ProtocolFault::DuplicateMember(printable(&member.name)))),
            None => Ok(()),
        }
    }

    /// The written value of a member; absent and null are the same.
    fn value(&self, name: &str) -> Option<&'a str> {
        let value = self.members.iter().find(|member| member.name == name)?.value;
        (self.encoding.is_form() || value != "null").then_some(value)
    }

    /// Whether a member is there, of whatever type; null and an empty text are the same as absent.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| !matches!(value, "" | "\"\""))
    }

    /// A text member; absent and null are the same.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, ProtocolFault> {
        self.value(name).map(|value| self.encoding.text(value).ok_or(ProtocolFault::Invalid(name))).transpose()
    }

    /// A text member that must be there and must not be empty.
    pub(crate) fn required(&self, name: &'static str) -> Result<Cow<'a, str>, ProtocolFault> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or(ProtocolFault::Missing(name))
    }

    /// A number, in quotes or not; absent and null are the same.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<Number>, ProtocolFault> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text = self.encoding.text(value).unwrap_or(Cow::Borrowed(value));
        Number::read(&text).map(Some).ok_or(ProtocolFault::Invalid(name))
    }

    /// A list of texts, or a single text as a list of one; `None` when it is absent or of another type.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        let value = self.value(name)?;
        let texts = |all: Vec<_>| all.into_iter().map(|each| Some(text::unescaped(each)?.into_owned())).collect();
        let alone = || Some([self.encoding.text(value)?.into_owned()].into());
        text::elements(value).and_then(texts).or_else(alone)
    }

    /// The numbers of a list, or a single number; whatever is not a whole number of 32 bits is left out.
    pub(crate) fn numbers(&self, name: &str) -> Vec<u32> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let written = text::elements(value).unwrap_or_else(|| [value].into()).into_iter();
        let numbers =
            written.filter_map(|value| Number::read(&self.encoding.text(value).unwrap_or(Cow::Borrowed(value))));
        let whole = numbers.filter(|number| !number.negative && number.floor == number.ceil);
        whole.filter_map(|number| u32::try_from(number.floor).ok()).collect()
    }

    /// A member that is a JSON object, or the text of one, as that text.
    pub(crate) fn json_object(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.value(name)?;
        let json = self.encoding.text(value).unwrap_or(Cow::Borrowed(value));
        text::take_apart(&json, b"{}", |_, _| ()).is_ok().then_some(json)
    }

    /// Whether a member is `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A text without escapes, as it stands in the answer; absent and of another type are the same.
    pub(crate) fn plain_text(&self, name: &str) -> Option<&'a str> {
        let text = self.encoding.text(self.value(name)?)?;
        if let Cow::Borrowed(text) = text { Some(text).filter(|text| !text.is_empty()) } else { None }
    }

    /// The JSON of a member, as it was written; null is the same as absent. A form has none.
    pub(crate) fn json(&self, name: &str) -> Option<&'a str> {
        self.value(name).filter(|_| !self.encoding.is_form())
    }

    /// The JSON of a member that is a text with something in it.
    pub(crate) fn json_text(&self, name: &str) -> Option<&'a str> {
        self.json(name).filter(|json| json.starts_with('"') && json.len() > 2)
    }

    /// Gives a member another name, if it is there.
    pub(crate) fn rename(&mut self, from: &str, to: &'static str) {
        if let Some(member) = self.members.iter_mut().find(|member| member.name == from) {
            member.name = Cow::Borrowed(to);
        }
    }

    /// Adds a member, or replaces the one of this name. `json` is JSON text. A form is left as it is, unless it is empty.
    pub(crate) fn set(&mut self, name: &'static str, json: &'a str) {
        if self.is_empty() {
            self.encoding = Encoding::Json;
        }
        if self.encoding.is_form() {
            return;
        }
        match self.members.iter_mut().find(|member| member.name == name) {
            Some(member) => member.value = json,
            None => self.members.push(Member { name: Cow::Borrowed(name), value: json }),
        }
    }

    /// The object as JSON text. A form has none.
    pub(crate) fn to_json(&self) -> String {
        let mut written = String::from("{");
        for Member { name, value } in &self.members {
            let comma = if written.len() > 1 { "," } else { "" };
            // Text always has a JSON form.
            let name = serde_json::to_string(name).unwrap_or_default();
            written.extend([comma, &name, ":", *value]);
        }
        written.push('}');
        written
    }

    /// What the server itself calls its error; empty where its answer is not translated.
    pub(crate) fn own_name(&self) -> &'a str {
        if let Encoding::Translated(name) = self.encoding { name } else { "" }
    }

    pub(crate) fn set_own_name(&mut self, name: &'a str) {
        self.encoding = if self.encoding.is_form() { Encoding::Form } else { Encoding::Translated(name) };
    }

    /// Every member that is not among `known`, as JSON text.
    pub(crate) fn others<'b>(&'b self, known: &'b [&str]) -> impl Iterator<Item = (&'b str, Cow<'a, str>)> {
        let others = self.members.iter().filter(|member| !known.contains(&&*member.name));
        let others = others.filter(|member| self.encoding.is_form() || member.value != "null");
        others.map(|member| match self.encoding {
            Encoding::Json | Encoding::Translated(_) => (&*member.name, Cow::Borrowed(member.value)),
            // Text always has a JSON form.
            Encoding::Form => {
                let text = self.encoding.text(member.value).unwrap_or_default();
                (&*member.name, Cow::Owned(serde_json::to_string(&text).unwrap_or_default()))
            }
        })
    }
}

impl Encoding<'_> {
    fn is_form(self) -> bool {
        matches!(self, Self::Form)
    }

    /// The text that was written, borrowed when nothing in it is escaped; `None` when it was not text.
    fn text<'t>(self, written: &'t str) -> Option<Cow<'t, str>> {
        match self {
            Self::Json | Self::Translated(_) => text::unescaped(written),
            Self::Form => {
                let spaced = written.replace('+', " ");
                percent_decode_str(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
            }
        }
    }
}

impl Number {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(whole) = text.parse::<u64>() {
            return Some(Self { negative: false, floor: whole, ceil: whole });
        }
        Self::read_decimal(text)
    }

    /// A number with a sign, a fraction or an exponent. Not by way of a float, whose tables are a tenth of the core.
    fn read_decimal(text: &str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let text = if negative { text } else { text.strip_prefix('+').unwrap_or(text) };
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent = match exponent.parse::<i64>() {
            Err(error) if *error.kind() == IntErrorKind::PosOverflow => i64::MAX,
            Err(error) if *error.kind() == IntErrorKind::NegOverflow => i64::MIN,
            exponent => exponent.ok()?,
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let point = exponent.saturating_add(i64::try_from(whole.len()).ok()?);
        let (mut floor, mut rest, mut place) = (0_u64, false, 0_i64);
        for digit in whole.bytes().chain(fraction.bytes()) {
            let digit = char::from(digit).to_digit(10)?;
            if place < point {
                floor = floor.saturating_mul(10).saturating_add(digit.into());
            } else {
                rest |= digit > 0;
            }
            place = place.saturating_add(1);
        }
        if place == 0 {
            return None;
        }
        while place < point && (1..u64::MAX).contains(&floor) {
            (floor, place) = (floor.saturating_mul(10), place.saturating_add(1));
        }
        if negative {
            return Some(Self { negative: floor > 0 || rest, floor: 0, ceil: 0 });
        }
        Some(Self { negative, floor, ceil: floor.saturating_add(rest.into()) })
    }
}

#[cfg(test)]
mod tests;
