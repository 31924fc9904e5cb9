//! Owns what may reach a person's terminal or browser: the prompt, and the checks on text and URLs from the network.

use crate::Timestamp;
use crate::url::{Host, Url};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::iter;
use core::time::Duration;

/// What to show to the person (RFC 8628 §3.3). Every text in it is safe to print as it stands: no control,
/// bidirectional, line-breaking or invisible character, no URL that is not https (or http on loopback, when allowed).
///
/// Always show [`user_code`](Prompt::user_code) and [`verification_uri`](Prompt::verification_uri), even beside a QR
/// code of the complete URI (RFC 8628 §3.3.1), and tell people to enter a code only for a sign-in that they started
/// themselves (RFC 8628 §5.4). `Debug` shows all of it, for none of it is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Prompt {
    texts: PromptTexts,
    interval: u32,
    expires_at: Timestamp,
}

impl Prompt {
    pub(crate) fn new(texts: PromptTexts, interval: u32, expires_at: Timestamp) -> Self {
        Self { texts, interval, expires_at }
    }

    /// The code to enter, exactly as the server wrote it; letter case and hyphens are unchanged.
    #[must_use]
    pub fn user_code(&self) -> &str {
        self.texts.part(0)
    }

    /// Where to enter it. A host name with letters outside ASCII is shown in its ASCII form (`xn--…`).
    #[must_use]
    pub fn verification_uri(&self) -> &str {
        self.texts.part(1)
    }

    /// The URI that already holds the code, for a QR code or a browser; `None` when the server sent none that is safe
    /// to use.
    #[must_use]
    pub fn verification_uri_complete(&self) -> Option<&str> {
        Some(self.texts.part(2)).filter(|uri| !uri.is_empty())
    }

    /// The server's own words for the person (Microsoft Entra), with unprintable characters escaped.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        Some(self.texts.part(3)).filter(|message| !message.is_empty())
    }

    /// When the code expires, on the driver's timeline.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The time that is left before the code expires.
    #[must_use]
    pub fn expires_in(&self, now: Timestamp) -> Duration {
        self.expires_at.saturating_since(now)
    }

    /// The polling interval: the shortest time between two polls.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval))
    }

    /// What was odd but harmless in the server's answer.
    pub fn warnings(&self) -> impl Iterator<Item = PromptWarning> {
        let bits = self.texts.warnings;
        PromptWarning::ALL.into_iter().filter(move |warning| bits & warning.bit() != 0)
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("user_code", &self.user_code())
            .field("verification_uri", &self.verification_uri())
            .field("verification_uri_complete", &self.verification_uri_complete())
            .field("message", &self.message())
            .field("interval", &self.interval())
            .field("expires_at", &self.expires_at)
            .field("warnings", &self.warnings().collect::<Vec<_>>())
            .finish()
    }
}

/// Something odd but harmless in the server's answer, for a person who looks for the cause of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PromptWarning {
    /// `verification_uri` and `verification_url` were both there and differ; the first was used.
    #[error("the server sent two different verification addresses; the one with the standard name is shown")]
    TwoVerificationUris,
    /// The host name of the verification URI has letters outside ASCII.
    #[error("the verification address has letters outside ASCII; it is shown in its ASCII form, check it with care")]
    InternationalHost,
    /// `verification_uri_complete` was on another host, or no usable URI, and is left out.
    #[error("the server sent a complete address that is unusable or on another host; it is left out")]
    CompleteUriIgnored,
    /// `expires_in` was missing; ten minutes were assumed.
    #[error("the server did not say how long the code lives; ten minutes are assumed")]
    LifetimeAssumed,
}

impl PromptWarning {
    const ALL: [Self; 4] =
        [Self::TwoVerificationUris, Self::InternationalHost, Self::CompleteUriIgnored, Self::LifetimeAssumed];

    fn bit(self) -> u8 {
        match self {
            Self::TwoVerificationUris => 1,
            Self::InternationalHost => 2,
            Self::CompleteUriIgnored => 4,
            Self::LifetimeAssumed => 8,
        }
    }
}

/// The four texts of a prompt, checked and in one allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PromptTexts {
    pub(crate) text: Box<str>,
    /// Where the user code, the URI and the complete URI end; the message is the rest.
    pub(crate) ends: [u16; 3],
    /// One bit each.
    pub(crate) warnings: u8,
}

/// The texts as the server sent them, unchecked.
#[derive(Clone, Copy, Default)]
pub(crate) struct RawPrompt<'a> {
    pub(crate) user_code: &'a str,
    pub(crate) verification_uri: &'a str,
    /// The same under the name that Google and old servers use, when both were sent.
    pub(crate) other_verification_uri: Option<&'a str>,
    pub(crate) verification_uri_complete: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
}

/// Which text of a prompt cannot be shown, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unshowable {
    /// The user code.
    #[error("user_code {0}")]
    UserCode(TextFault),
    /// The verification URI.
    #[error("verification_uri {0}")]
    VerificationUri(TextFault),
}

/// What is wrong with a text or URL from the server or the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It is too long to be of use: over 256 characters for a code, 2,048 for a URI.
    #[error("is too long to be shown")]
    TooLong,
    /// It holds a control, bidirectional, line-breaking or invisible character, which could deceive the reader.
    #[error("holds characters that could deceive the reader or change the terminal")]
    Unprintable,
    /// It is not an absolute URI.
    #[error("is not an absolute URI")]
    NotAUri,
    /// Its scheme is not https; http is for loopback only, and only when allowed.
    #[error("is not an https address (http is allowed only on loopback, when allow-http-loopback is set)")]
    Scheme,
    /// It has a fragment (`#…`), which an endpoint must not have.
    #[error("has a fragment (#…)")]
    Fragment,
    /// It has a query (`?…`), which an issuer must not have.
    #[error("has a query (?…)")]
    Query,
    /// It holds a user name or password.
    #[error("holds a user name or password")]
    UserInfo,
}

const MAX_USER_CODE: usize = 256;
const MAX_URI: usize = 2_048;
const MAX_URI_COMPLETE: usize = 4_096;
const MAX_ENDPOINT: usize = 8_192;
const MAX_MESSAGE: usize = 1_000;
const MAX_LINE: usize = 200;

impl PromptTexts {
    /// Checks and packs what the server sent.
    pub(crate) fn check(raw: RawPrompt<'_>, allow_http_loopback: bool) -> Result<Self, Unshowable> {
        let mut warnings = 0;
        if raw.user_code.trim().is_empty() {
            return Err(Unshowable::UserCode(TextFault::Empty));
        }
        if raw.user_code.chars().count() > MAX_USER_CODE {
            return Err(Unshowable::UserCode(TextFault::TooLong));
        }
        if raw.user_code.chars().any(is_unsafe) {
            return Err(Unshowable::UserCode(TextFault::Unprintable));
        }
        let uri =
            ShownUri::check(raw.verification_uri, MAX_URI, allow_http_loopback).map_err(Unshowable::VerificationUri)?;
        if raw.other_verification_uri.is_some_and(|other| other != raw.verification_uri) {
            warnings |= PromptWarning::TwoVerificationUris.bit();
        }
        if uri.international {
            warnings |= PromptWarning::InternationalHost.bit();
        }
        let complete = raw.verification_uri_complete.filter(|complete| !complete.is_empty()).and_then(|complete| {
            let complete = ShownUri::check(complete, MAX_URI_COMPLETE, allow_http_loopback).ok();
            let complete = complete.filter(|complete| complete.url.host() == uri.url.host());
            if complete.is_none() {
                warnings |= PromptWarning::CompleteUriIgnored.bit();
            }
            complete
        });
        let complete = complete.as_ref().map_or("", |complete| &*complete.text);
        let message = escape(raw.message.unwrap_or_default(), MAX_MESSAGE);

        let (mut text, mut ends) = (String::new(), [0; 3]);
        for (end, part) in ends.iter_mut().zip([raw.user_code, &uri.text, complete]) {
            text.push_str(part);
            // Cannot saturate: the limits above add up to 7 KiB.
            *end = u16::try_from(text.len()).unwrap_or(u16::MAX);
        }
        text.push_str(&message);
        Ok(Self { text: text.into_boxed_str(), ends, warnings })
    }

    pub(crate) fn warn(&mut self, warning: PromptWarning) {
        self.warnings |= warning.bit();
    }

    #[cfg(feature = "serde")]
    pub(crate) fn restore_warnings(&mut self, stored: u8) {
        PromptWarning::ALL
            .into_iter()
            .filter(|warning| stored & warning.bit() != 0)
            .for_each(|warning| self.warn(warning));
    }

    fn part(&self, index: usize) -> &str {
        let end = self.ends.get(index).map_or(self.text.len(), |end| usize::from(*end));
        let start =
            index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |start| usize::from(*start));
        self.text.get(start..end).unwrap_or_default()
    }
}

/// A URI that may be shown to a person or handed to a browser.
struct ShownUri {
    text: String,
    url: Url,
    international: bool,
}

impl ShownUri {
    fn check(raw: &str, max: usize, allow_http_loopback: bool) -> Result<Self, TextFault> {
        let raw = raw.trim_matches(' ');
        if raw.is_empty() {
            return Err(TextFault::Empty);
        }
        if raw.chars().count() > max {
            return Err(TextFault::TooLong);
        }
        // Before parsing: the URL standard drops tabs and line breaks and escapes the rest, so it would hide them.
        if raw.chars().any(|c| is_unsafe(c) || c == ' ') {
            return Err(TextFault::Unprintable);
        }
        let url = Url::parse(raw).map_err(|_| TextFault::NotAUri)?;
        check_url(&url, allow_http_loopback)?;
        let text = String::from(if raw.is_ascii() && spells_host(raw, &url) { raw } else { url.as_str() });
        if text.len() > max {
            return Err(TextFault::TooLong);
        }
        let international = url.domain().is_some_and(|name| name.split('.').any(|label| label.starts_with("xn--")));
        Ok(Self { text, url, international })
    }
}

/// The checks that every URL must pass, whether it is shown or used: https, or http on loopback when allowed, and no
/// user information.
pub(crate) fn check_url(url: &Url, allow_http_loopback: bool) -> Result<(), TextFault> {
    match url.scheme() {
        "https" => {}
        "http" if allow_http_loopback && is_loopback(url) => {}
        _ => return Err(TextFault::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TextFault::UserInfo);
    }
    Ok(())
}

/// Why a URL cannot be an endpoint: it must be an absolute https URL (http on loopback when allowed) without user
/// information or fragment (RFC 6749 §3.2), and in the characters of RFC 3986, since it is sent verbatim.
pub(crate) fn endpoint_fault(text: &str, allow_http_loopback: bool) -> Option<TextFault> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&b);
    if text.is_empty() {
        return Some(TextFault::Empty);
    }
    if text.len() > MAX_ENDPOINT {
        return Some(TextFault::TooLong);
    }
    if text.contains('#') {
        return Some(TextFault::Fragment);
    }
    match Url::parse(text) {
        Ok(url) if text.bytes().all(allowed) => check_url(&url, allow_http_loopback)
            .err()
            .or_else(|| (!spells_host(text, &url)).then_some(TextFault::NotAUri)),
        Ok(_) | Err(_) => Some(TextFault::NotAUri),
    }
}

/// Whether scheme and host are spelt in the text as they were parsed. The URL standard forgives backslashes, missing or
/// extra slashes, escapes and odd numbers there, in which another program, or a person, may see another host.
fn spells_host(text: &str, url: &Url) -> bool {
    let (Some((scheme, rest)), Some(host)) = (text.split_once("://"), url.host_str()) else { return false };
    let Some((named, rest)) = rest.split_at_checked(host.len()) else { return false };
    let path = rest.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
    scheme.eq_ignore_ascii_case(url.scheme())
        && named.eq_ignore_ascii_case(host)
        && (path.is_empty() || path.starts_with(['/', '?', '#']))
}

fn is_loopback(url: &Url) -> bool {
    url.host().is_some_and(|host| match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name == "localhost",
    })
}

/// One line of at most 200 characters from untrusted text, safe to print: line breaks become spaces, and everything
/// else that could deceive a reader is escaped (`\u{1b}`).
pub(crate) fn printable(text: &str) -> Box<str> {
    escape(text, MAX_LINE).into_boxed_str()
}

/// An error code as it was written if it is a valid one (RFC 6749 §5.2: visible ASCII and space), else as [`printable`]
/// text.
pub(crate) fn verbatim(code: &str) -> Box<str> {
    let is_code = code.len() <= MAX_LINE && code.bytes().all(|b| matches!(b, 0x20..=0x7e));
    if is_code { Box::from(code) } else { printable(code) }
}

/// A text from anywhere, safe to print on one line: every character that prints as something other than itself is escaped
/// (`\u{1b}`), line breaks included. The one filter of every text that reaches a person; texts of this crate have passed it
/// already, except those whose accessor is called `raw_…`.
///
/// ```
/// assert_eq!(device_flow_core::harmless("a\u{1b}[31m b\n"), "a\\u{1b}[31m b\\u{a}");
/// assert_eq!(device_flow_core::harmless("Zażółć 日本語"), "Zażółć 日本語");
/// ```
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    // Most texts are plain ASCII, and a cache has thousands of them.
    let is_plain = text.bytes().all(|b| matches!(b, b' '..=b'~'));
    if is_plain || !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().flat_map(shown).collect())
}

/// JSON in which no character is unsafe to print: they stand in texts alone, where an escape means the same.
pub(crate) fn harmless_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_unsafe) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::new();
    for c in json.chars() {
        match c {
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if is_unsafe(c) => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
            }
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// A text of a server: as it came, and as it may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untrusted {
    raw: Box<str>,
    /// `None` when it may be shown as it came.
    shown: Option<Box<str>>,
}

impl Untrusted {
    pub(crate) fn new(raw: &str) -> Self {
        let shown = match harmless(raw) {
            Cow::Borrowed(_) => None,
            Cow::Owned(shown) => Some(shown.into_boxed_str()),
        };
        Self { raw: Box::from(raw), shown }
    }

    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    pub(crate) fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.raw)
    }
}

impl From<String> for Untrusted {
    fn from(raw: String) -> Self {
        Self::new(&raw)
    }
}

fn escape(text: &str, max: usize) -> String {
    let words = text.split(is_space).filter(|word| !word.is_empty());
    let line = words.flat_map(|word| iter::once(' ').chain(word.chars().flat_map(shown))).skip(1);
    // One character more than may stay shows that there is more, without going through the rest of a long text.
    let mut line: String = line.take(max.saturating_add(1)).collect();
    if let Some((last, _)) = line.char_indices().nth(max.saturating_sub(1))
        && line.chars().count() > max
    {
        line.truncate(last);
        line.push('…');
    }
    line
}

/// Whether a text is safe to print, such as one that was stored.
#[cfg(feature = "serde")]
pub(crate) fn is_printable(text: &str) -> bool {
    !text.chars().any(is_unsafe)
}

/// The space, the tab and everything that breaks a line.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A character, or its escape (`\u{1b}`) when it is unsafe.
fn shown(c: char) -> impl Iterator<Item = char> {
    let (escaped, plain) = if is_unsafe(c) { (Some(c.escape_unicode()), None) } else { (None, Some(c)) };
    escaped.into_iter().flatten().chain(plain)
}

/// Characters that print as something other than themselves: controls, line and bidirectional controls, interlinear
/// annotation, and what Unicode calls default-ignorable (invisible). White space other than the plain space counts too.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        // Noncharacters: the last two of every plane, and U+FDD0..U+FDEF.
        || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff) || matches!(c, '\u{fdd0}'..='\u{fdef}')
}
