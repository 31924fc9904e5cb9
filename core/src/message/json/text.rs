//! Owns JSON as text: what an object or an array is made of, and what the escapes of a string stand for.
//!
//! A string without escapes ends at its next quote; whatever has more to it is checked by the library. The library would also
//! make values of it, with floats, whose tables are a twentieth of a small program.

use super::NoObject;
use crate::ProtocolFault;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use memchr::memchr;
use serde_core::de::IgnoredAny;

const INVALID: NoObject = NoObject::Fault(ProtocolFault::InvalidJson);

/// Hands every member of an object to `each`, or every element of an array with an empty name. Values are as they were
/// written.
#[inline]
pub(crate) fn take_apart<'a>(
    json: &'a str,
    brackets: &[u8; 2],
    mut each: impl FnMut(Cow<'a, str>, &'a str),
) -> Result<(), NoObject> {
    let [open, close] = *brackets;
    let mut rest = Rest { json, at: 0 };
    rest.sign(&[open])?;
    if rest.next() != Some(close) {
        loop {
            let mut name = Cow::Borrowed("");
            if open == b'{' {
                name = rest.name()?;
                rest.sign(b":")?;
            }
            each(name, rest.value()?);
            if rest.next() == Some(close) {
                break;
            }
            rest.sign(b",")?;
        }
    }
    rest.sign(&[close])?;
    if rest.next().is_none() { Ok(()) } else { Err(INVALID) }
}

/// The elements of an array, as they were written; `None` when it is something else.
pub(crate) fn elements(json: &str) -> Option<Vec<&str>> {
    let mut all = Vec::new();
    take_apart(json, b"[]", |_, element| all.push(element)).is_ok().then_some(all)
}

/// A text that is read from its beginning to its end.
struct Rest<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.json.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at = self.at.saturating_add(1),
                other => return other.copied(),
            }
        }
    }

    /// Reads the one sign that may be here. A text that ends was cut short.
    fn sign(&mut self, right: &[u8; 1]) -> Result<(), NoObject> {
        let sign = self.next().ok_or(NoObject::NotJson)?;
        self.at = self.at.saturating_add(1);
        if right.contains(&sign) { Ok(()) } else { Err(INVALID) }
    }

    /// Reads a string that has no escapes, as nearly every name and value: what is between its quotes.
    fn plain(&mut self) -> Option<&'a str> {
        self.next().filter(|sign| *sign == b'"')?;
        let text = self.json.get(self.at.saturating_add(1)..)?;
        let text = text.get(..memchr(b'"', text.as_bytes())?)?;
        // Without a branch for each byte, so that the compiler looks at many at once.
        if text.bytes().fold(false, |is_odd, byte| is_odd | matches!(byte, 0..=0x1f | b'\\')) {
            return None;
        }
        self.at = self.at.saturating_add(text.len()).saturating_add(2);
        Some(text)
    }

    fn name(&mut self) -> Result<Cow<'a, str>, NoObject> {
        match self.plain() {
            Some(name) => Ok(Cow::Borrowed(name)),
            None if matches!(self.next(), None | Some(b'"')) => unescaped(self.value()?).ok_or(INVALID),
            None => Err(INVALID),
        }
    }

    fn value(&mut self) -> Result<&'a str, NoObject> {
        self.next();
        let start = self.at;
        if self.plain().is_none() {
            let rest = self.json.get(start..).unwrap_or_default();
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
            values.next().ok_or(NoObject::NotJson)?.map_err(|error| no_object(&error))?;
            self.at = start.saturating_add(values.byte_offset());
        }
        self.json.get(start..self.at).ok_or(INVALID)
    }
}

#[cold]
fn no_object(error: &serde_json::Error) -> NoObject {
    // Cut short, or broken.
    if error.is_eof() { NoObject::NotJson } else { INVALID }
}

/// The text that a JSON string stands for, borrowed when it has no escapes; `None` when they make no text, which the library
/// does not look at where it reads no values, and for what is not a string. It is never longer than what was written, so
/// no copy of it is left behind while it grows.
pub(crate) fn unescaped(json: &str) -> Option<Cow<'_, str>> {
    let mut rest = json.strip_prefix('"')?.strip_suffix('"')?;
    if memchr(b'\\', rest.as_bytes()).is_none() {
        return Some(Cow::Borrowed(rest));
    }
    let mut text = String::with_capacity(rest.len());
    while let Some((plain, escaped)) = rest.split_once('\\') {
        let (escape, after) = escaped.split_at_checked(1)?;
        let (character, after) = match escape {
            "\"" => ('"', after),
            "\\" => ('\\', after),
            "/" => ('/', after),
            "b" => ('\u{8}', after),
            "f" => ('\u{c}', after),
            "n" => ('\n', after),
            "r" => ('\r', after),
            "t" => ('\t', after),
            "u" => of_utf16(after)?,
            _ => return None,
        };
        text.extend([plain, character.encode_utf8(&mut [0; 4])]);
        rest = after;
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// The character that four hexadecimal digits are, or eight in two escapes; and what comes after them.
fn of_utf16(digits: &str) -> Option<(char, &str)> {
    let unit = |text: &str| u16::from_str_radix(text.get(..4)?, 16).ok();
    let (first, rest) = (unit(digits)?, digits.get(4..)?);
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, rest));
    }
    let rest = rest.strip_prefix("\\u")?;
    let character = char::decode_utf16([first, unit(rest)?]).next()?.ok()?;
    Some((character, rest.get(4..)?))
}

#[cfg(test)]
mod tests;
