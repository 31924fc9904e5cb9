//! Owns the independent reading of an answer: the first line of a seed, strict JSON members, form fields, numbers.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fmt;

/// An answer in the form of a seed: `<status> [<number>] [<content type>]` on the first line, then the body.
///
/// Without such a line everything is the body of a 200.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) status: u16,
    /// Its meaning depends on the target: usually an interval in seconds.
    pub(crate) number: Option<u32>,
    /// The rest of the line.
    pub(crate) line: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    pub(crate) fn read(data: &'a [u8]) -> Self {
        let whole = Self { status: 200, number: None, line: b"", body: data };
        let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return whole };
        let (line, body) = (&data[..end], &data[end + 1..]);
        let (status, line) = leading_number(line);
        let Some(status) = status.and_then(|status| u16::try_from(status).ok()).filter(|s| (100..=999).contains(s))
        else {
            return whole;
        };
        let (number, line) = leading_number(line);
        Self { status, number, line, body }
    }
}

/// A decimal number at the start of a line, and what follows it and one space.
fn leading_number(line: &[u8]) -> (Option<u32>, &[u8]) {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !matches!(line.get(digits), None | Some(b' ')) {
        return (None, line);
    }
    match std::str::from_utf8(&line[..digits]).unwrap().parse() {
        Ok(number) => (Some(number), line.get(digits + 1..).unwrap_or_default()),
        Err(_) => (None, line),
    }
}

/// The members of a JSON object, in order: the decoded name, and the value as it is written.
pub(crate) struct Members<'a>(Vec<(String, &'a str)>);

impl<'a> Members<'a> {
    /// One complete JSON object and nothing else, after at most one byte order mark.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let body = body.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(body);
        let first = body.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
        let text = std::str::from_utf8(body).ok().filter(|_| *first == b'{')?;
        let decoded = |(name, value)| Some((serde_json::from_str(name).ok()?, value));
        Some(Self(RawMembers::read(text)?.0.into_iter().map(decoded).collect::<Option<_>>()?))
    }

    pub(crate) fn has_duplicates(&self) -> bool {
        let mut seen = BTreeSet::new();
        !self.0.iter().all(|(name, _)| seen.insert(name))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    pub(crate) fn get(&self, name: &str) -> Member {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or(Member::Absent, |(_, value)| Member::read(value))
    }
}

/// The members of a JSON object, in order: name and value as they are written.
pub(crate) struct RawMembers<'a>(pub(crate) Vec<(&'a str, &'a str)>);

impl<'a> RawMembers<'a> {
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// All texts with this name.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let same = self.0.iter().filter(|(known, _)| *known == name);
        same.filter_map(|(_, value)| serde_json::from_str(value).ok()).collect()
    }
}

impl<'de> Deserialize<'de> for RawMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = RawMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawMembers<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                    members.push((name.get(), value.get()));
                }
                Ok(RawMembers(members))
            }
        }

        deserializer.deserialize_map(All)
    }
}

/// The value of a member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Member {
    /// Not there, or null.
    Absent,
    Text(String),
    /// As it was written.
    Number(String),
    /// Something else, or a text with a lone surrogate in it.
    Other,
}

impl Member {
    fn read(written: &str) -> Self {
        match written.as_bytes() {
            b"null" => Self::Absent,
            [b'"', ..] => serde_json::from_str::<String>(written).map_or(Self::Other, Self::Text),
            [b'-' | b'0'..=b'9', ..] => Self::Number(written.to_owned()),
            _ => Self::Other,
        }
    }

    /// A text that is present and not empty.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            Self::Absent | Self::Text(_) | Self::Number(_) | Self::Other => None,
        }
    }

    /// Absent, null, or an empty text.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self, Self::Absent) || matches!(self, Self::Text(text) if text.is_empty())
    }

    /// As a number of seconds, in quotes or not.
    pub(crate) fn seconds(&self) -> Seconds {
        match self {
            Self::Absent => Seconds::Absent,
            Self::Text(text) | Self::Number(text) => Seconds::read(text.trim()),
            Self::Other => Seconds::Nonsense,
        }
    }
}

/// A number of seconds as lenient servers write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seconds {
    Absent,
    Nonsense,
    Negative,
    /// Rounded down and up; saturated.
    Some {
        floor: u128,
        ceil: u128,
    },
}

impl Seconds {
    fn read(text: &str) -> Self {
        if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) {
            return Self::Nonsense;
        }
        if let Ok(whole) = text.parse::<u128>() {
            return Self::Some { floor: whole, ceil: whole };
        }
        // A float knows what a number is, and not always which.
        if text.parse::<f64>().is_err() { Self::Nonsense } else { Self::decimal(text) }
    }

    /// A valid number, in full: its digits are moved to where the point is.
    fn decimal(text: &str) -> Self {
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = digits.trim_start_matches(['+', '-']).split_once('.').unwrap_or((digits, ""));
        let whole = whole.trim_start_matches(['+', '-', '0']);
        let all = format!("{whole}{fraction}");
        if all.bytes().all(|digit| digit == b'0') {
            return Self::Some { floor: 0, ceil: 0 };
        }
        if text.starts_with('-') {
            return Self::Negative;
        }
        // Beyond every number of digits that a body has room for.
        let far = 1_000_000_000_000_000;
        let exponent = exponent.parse().unwrap_or(if exponent.starts_with('-') { -far } else { far }).clamp(-far, far);
        let point = i64::try_from(whole.len()).unwrap_or(i64::MAX) + exponent;
        let zeros = all.len() - all.trim_start_matches('0').len();
        if point > i64::try_from(zeros).unwrap_or(i64::MAX) + 40 {
            return Self::Some { floor: u128::MAX, ceil: u128::MAX };
        }
        let point = usize::try_from(point).unwrap_or(0);
        let (floor, rest) = if point < all.len() { all.split_at(point) } else { (&*all, "") };
        let floor = format!("0{floor}{}", "0".repeat(point.saturating_sub(all.len()))).parse().unwrap_or(u128::MAX);
        let ceil = if rest.bytes().any(|digit| digit != b'0') { floor.saturating_add(1) } else { floor };
        Self::Some { floor, ceil }
    }
}

/// Whether a content type names form encoding.
pub(crate) fn is_form(content_type: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(content_type) else { return false };
    text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The value of a form field that occurs once and is text.
pub(crate) fn form_field(body: &[u8], name: &str) -> Option<String> {
    let body = body.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(body);
    let mut values =
        form_urlencoded::parse(body).filter(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    let value = values.next()?;
    values.next().is_none().then_some(value)
}
