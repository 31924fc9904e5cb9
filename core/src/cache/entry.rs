//! Owns one entry of a cache: its text exactly as it was written, and the positions of the few fields that lookups
//! need.

use super::authority::same_environment;
use super::owner::{is_exact_key, same};
use crate::UnixTime;
use crate::message::json::Number;
use crate::sync::Arc;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::marker::PhantomData;
use memchr::memchr;
use serde_core::de::{Deserialize as _, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The five maps of the unified schema, and our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    AccessToken,
    RefreshToken,
    IdToken,
    Account,
    AppMetadata,
    /// A token that must be revoked.
    Revocation,
}

impl Kind {
    pub(super) const OF_MSAL: [Self; 5] =
        [Self::AccessToken, Self::RefreshToken, Self::IdToken, Self::Account, Self::AppMetadata];
    pub(super) const ALL: [Self; 6] =
        [Self::AccessToken, Self::RefreshToken, Self::IdToken, Self::Account, Self::AppMetadata, Self::Revocation];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "AccessToken",
            Self::RefreshToken => "RefreshToken",
            Self::IdToken => "IdToken",
            Self::Account => "Account",
            Self::AppMetadata => "AppMetadata",
            Self::Revocation => "Revocation",
        }
    }
}

/// The text that entries were read from. All of them share it, and it is wiped when the last of them is dropped.
pub(super) struct Source {
    text: Zeroizing<Box<str>>,
    /// Unescaped copies of texts that had escapes. Spans beyond `text` point in here.
    decoded: Zeroizing<String>,
}

/// The position of a text in its [`Source`].
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    /// One more than the start, so that 0 means that there is none.
    after: u32,
    len: u32,
}

impl Source {
    pub(super) fn get(&self, span: Span) -> Option<&str> {
        let start = usize::try_from(span.after).ok()?.checked_sub(1)?;
        let len = usize::try_from(span.len).ok()?;
        match start.checked_sub(self.text.len()) {
            None => self.text.get(start..start.checked_add(len)?),
            Some(start) => self.decoded.get(start..start.checked_add(len)?),
        }
    }
}

/// Reads members and their positions.
pub(super) struct Reader<'t> {
    text: &'t str,
    decoded: Zeroizing<String>,
    /// Of the entry that comes next.
    fields: Fields,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, decoded: Zeroizing::new(String::new()), fields: Fields::default() }
    }

    /// The unescaped copies, for the [`Source`] of the text that was read.
    pub(super) fn into_decoded(self) -> Zeroizing<String> {
        self.decoded
    }

    pub(super) fn span(&self, part: &str) -> Span {
        let start = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        span(start, part.len())
    }

    /// The span of the text that this JSON is, when it is text.
    fn text(&mut self, json: &str) -> Span {
        let [b'"', inner @ .., b'"'] = json.as_bytes() else { return Span::default() };
        if memchr(b'\\', inner).is_none() {
            return json.get(1..inner.len().saturating_add(1)).map(|inner| self.span(inner)).unwrap_or_default();
        }
        let Ok(text) = serde_json::from_str::<String>(json).map(Zeroizing::new) else { return Span::default() };
        // Unescaping only shortens a text, so this grows once at most. Growing again would leave copies of secrets behind.
        let rest = self.text.len().saturating_sub(self.decoded.len());
        self.decoded.reserve_exact(rest);
        let start = self.text.len().saturating_add(self.decoded.len());
        self.decoded.push_str(&text);
        span(start, text.len())
    }

    /// Name and value, with what is between them.
    pub(super) fn member(&self, name: &str, value: &str) -> Span {
        let start = name.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        let end = value.as_ptr().addr().saturating_add(value.len()).saturating_sub(self.text.as_ptr().addr());
        span(start, end.saturating_sub(start))
    }

    /// One member of the entry that comes next.
    pub(super) fn field(&mut self, name: &'t str, json: &'t str) {
        let Some(name) = name.get(1..name.len().saturating_sub(1)) else { return };
        match name {
            "home_account_id" => self.fields.home = self.text(json),
            "environment" => self.fields.environment = self.text(json),
            "client_id" => self.fields.client = self.text(json),
            "realm" => self.fields.realm = self.text(json),
            "target" => self.fields.target = self.text(json),
            REQUESTED => self.fields.requested = self.text(json),
            AUDIENCE => self.fields.audience = self.text(json),
            "secret" => self.fields.secret = self.text(json),
            "token_type" => self.fields.token_type = self.text(json),
            "family_id" => self.fields.family = self.text(json),
            "local_account_id" => self.fields.local = self.text(json),
            "username" => self.fields.username = self.text(json),
            "name" => self.fields.name = self.text(json),
            SLOT => self.fields.slot = self.text(json),
            PROOF_KEY => self.fields.proof_key = self.text(json),
            "expires_on" => self.fields.expires = time(json),
            "refresh_on" => self.fields.refresh = time(json),
            "cached_at" | "last_modification_time" => self.fields.written = time(json),
            // Bound to a key, to a user's assertion or to something else that was not requested.
            "ext_cache_key" | "key_id" | "kid" | "keyid" | "user_assertion_hash" => {
                self.fields.bound |= !matches!(json, "null" | "\"\"");
            }
            _ => {}
        }
    }

    /// The entry whose fields have been read.
    pub(super) fn entry(&mut self, kind: Kind, key: &'t str, value: &'t str) -> Draft {
        let mut decoded = self.text(key);
        if decoded.after == 0 {
            // Invalid escapes; it is still a key.
            decoded = self.span(key);
        }
        let (value, member) = (self.span(value), self.member(key, value));
        Draft { kind, key: decoded, value, member, fields: core::mem::take(&mut self.fields) }
    }

    /// An entry with its fields; one that cannot be read is kept as it is.
    pub(super) fn any_entry(&mut self, kind: Kind, key: &'t str, value: &'t str) -> Draft {
        if members(value, &mut |name, json| self.field(name, json)).is_none() {
            self.fields = Fields::default();
        }
        self.entry(kind, key, value)
    }
}

fn span(start: usize, len: usize) -> Span {
    // Texts are shorter than 4 GiB; a longer one has no span.
    match (u32::try_from(start.saturating_add(1)), u32::try_from(len)) {
        (Ok(after), Ok(len)) => Span { after, len },
        _ => Span::default(),
    }
}

/// Whether an environment is a URL, where MSAL has a host.
fn is_url(environment: &str) -> bool {
    let scheme = memchr(b':', environment.as_bytes());
    scheme.and_then(|end| environment.get(end..)).is_some_and(|rest| rest.starts_with("://"))
}

/// Seconds since 1970 as a text or a number.
fn time(json: &str) -> Option<UnixTime> {
    let number = Number::read(json.trim_matches('"'))?;
    (!number.negative).then(|| UnixTime::from_secs(number.floor))
}

/// An entry before its source is complete.
pub(super) struct Draft {
    kind: Kind,
    key: Span,
    value: Span,
    member: Span,
    fields: Fields,
}

/// Our own members of access tokens, which every MSAL leaves alone.
pub(super) const REQUESTED: &str = "requested_scopes";
pub(super) const AUDIENCE: &str = "requested_audience";

/// Our own member of tokens that were requested with a proof of possession: the thumbprint of its key.
pub(super) const PROOF_KEY: &str = "proof_key_thumbprint";

/// Our own member of entries of a person whom the server does not name.
pub(super) const SLOT: &str = "slot";

#[derive(Clone, Copy, Default)]
struct Fields {
    home: Span,
    environment: Span,
    client: Span,
    realm: Span,
    target: Span,
    requested: Span,
    audience: Span,
    secret: Span,
    token_type: Span,
    family: Span,
    local: Span,
    username: Span,
    name: Span,
    slot: Span,
    proof_key: Span,
    expires: Option<UnixTime>,
    refresh: Option<UnixTime>,
    written: Option<UnixTime>,
    bound: bool,
}

/// One member of one of the five maps. Cloning it copies no text.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Whether it must be stored where no MSAL sees it.
    pub(super) unshared: bool,
    exact: bool,
    /// Hash of the home account id; compare it before the text.
    pub(super) home_hash: u64,
    /// Hash of the key.
    pub(super) key_hash: u64,
    source: Arc<Source>,
    key: Span,
    value: Span,
    member: Span,
    fields: Fields,
}

impl Entry {
    pub(super) fn all(text: Zeroizing<Box<str>>, decoded: Zeroizing<String>) -> Arc<Source> {
        Arc::new(Source { text, decoded })
    }

    pub(super) fn new(draft: Draft, source: &Arc<Source>) -> Self {
        let Draft { kind, key, value, member, fields } = draft;
        let hash = |span| source.get(span).map_or(0, hash);
        let (home_hash, key_hash) = (hash(fields.home), hash(key));
        let exact = source.get(fields.environment).is_some_and(is_url);
        let (unshared, source) = (exact || kind == Kind::Revocation, Arc::clone(source));
        Self { kind, unshared, exact, home_hash, key_hash, source, key, value, member, fields }
    }

    /// A new entry, from its key and its object as JSON text.
    pub(super) fn made(kind: Kind, key: &str, value: &str) -> Self {
        let key = encoded(key);
        let mut text = String::with_capacity(key.len().saturating_add(value.len()).saturating_add(1));
        text.push_str(&key);
        text.push(':');
        text.push_str(value);
        let text = Zeroizing::new(text.into_boxed_str());
        let mut reader = Reader::new(&text);
        let (key, value) = (text.get(..key.len()), text.get(key.len().saturating_add(1)..));
        let draft = reader.any_entry(kind, key.unwrap_or_default(), value.unwrap_or_default());
        let decoded = reader.into_decoded();
        Self::new(draft, &Self::all(text, decoded))
    }

    fn get(&self, span: Span) -> &str {
        self.source.get(span).unwrap_or_default()
    }

    pub(super) fn key(&self) -> &str {
        self.get(self.key)
    }

    /// The object, as it was written.
    pub(super) fn value(&self) -> &str {
        self.get(self.value)
    }

    /// Key and object, as they were written.
    pub(super) fn member(&self) -> &str {
        self.get(self.member)
    }

    pub(super) fn home(&self) -> &str {
        self.get(self.fields.home)
    }

    pub(super) fn environment(&self) -> &str {
        self.get(self.fields.environment)
    }

    pub(super) fn client(&self) -> &str {
        self.get(self.fields.client)
    }

    pub(super) fn realm(&self) -> &str {
        self.get(self.fields.realm)
    }

    pub(super) fn target(&self) -> &str {
        self.get(self.fields.target)
    }

    /// The requested scopes, where they are more than the target.
    pub(super) fn requested(&self) -> &str {
        self.get(self.fields.requested)
    }

    /// The requested API beside the scopes; empty for most tokens.
    pub(super) fn audience(&self) -> &str {
        self.get(self.fields.audience)
    }

    pub(super) fn secret(&self) -> &str {
        self.get(self.fields.secret)
    }

    /// Bearer when the entry does not say.
    pub(super) fn token_type(&self) -> &str {
        let written = self.get(self.fields.token_type);
        if written.is_empty() { "Bearer" } else { written }
    }

    pub(super) fn family(&self) -> &str {
        self.get(self.fields.family)
    }

    pub(super) fn local(&self) -> &str {
        self.get(self.fields.local)
    }

    pub(super) fn username(&self) -> &str {
        self.get(self.fields.username)
    }

    pub(super) fn name(&self) -> &str {
        self.get(self.fields.name)
    }

    pub(super) fn slot(&self) -> &str {
        self.get(self.fields.slot)
    }

    /// The thumbprint of the key that the token was requested with; empty for most tokens.
    pub(super) fn proof_key(&self) -> &str {
        self.get(self.fields.proof_key)
    }

    /// Whether server, client and person are compared code point by code point.
    pub(super) fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether both are about the same person at the same server, whatever the client.
    pub(super) fn is_of_same_person(&self, other: &Self) -> bool {
        if self.is_exact() || other.is_exact() {
            self.environment() == other.environment() && self.home() == other.home() && self.slot() == other.slot()
        } else {
            self.home().eq_ignore_ascii_case(other.home()) && same_environment(self.environment(), other.environment())
        }
    }

    pub(super) fn is_of_same_client(&self, other: &Self) -> bool {
        same(self.is_exact(), self.client(), other.client())
    }

    pub(super) fn expires(&self) -> Option<UnixTime> {
        self.fields.expires
    }

    pub(super) fn refresh(&self) -> Option<UnixTime> {
        self.fields.refresh
    }

    /// `cached_at` or `last_modification_time`.
    pub(super) fn written(&self) -> Option<UnixTime> {
        self.fields.written
    }

    pub(super) fn is_bound(&self) -> bool {
        self.fields.bound
    }

    /// Whether it says whose it is. An entry that does not is kept but never found.
    pub(super) fn is_readable(&self) -> bool {
        let environment = self.source.get(self.fields.environment).is_some();
        environment && (self.kind == Kind::AppMetadata || self.source.get(self.fields.home).is_some())
    }

    pub(super) fn has_key(&self, kind: Kind, key: &str, key_hash: u64) -> bool {
        self.kind == kind && self.key_hash == key_hash && same(is_exact_key(key), self.key(), key)
    }

    /// Whether both say the same, however they are formatted.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let parsed = |text| serde_json::from_str::<serde_json::Value>(text).ok();
        self.value() == other.value() || parsed(self.value()).is_some_and(|it| Some(it) == parsed(other.value()))
    }
}

/// A hash that ignores the case of ASCII letters. Only the owner of a file puts keys into it, so an attack by
/// collisions would be one on oneself.
pub(super) fn hash(text: &str) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let mix = |hash: u64, word: &[u8; 8]| {
        let mixed = (hash ^ (u64::from_le_bytes(*word) | LOWER)).wrapping_mul(ODD);
        mixed ^ mixed.rotate_right(29)
    };
    mix(words.iter().fold(ODD, mix), &last)
}

/// A text as JSON.
pub(super) fn encoded(text: &str) -> Zeroizing<String> {
    let plain = !text.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\');
    Zeroizing::new(if plain {
        ["\"", text, "\""].concat()
    } else {
        // Text always has a JSON form.
        serde_json::to_string(text).unwrap_or_default()
    })
}

/// Visits the members of a JSON object, names as they were written, with their quotes; `None` when it is not an object.
pub(super) fn members<'t>(json: &'t str, each: &mut impl FnMut(&'t str, &'t str)) -> Option<()> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Members(each, PhantomData).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()
}

/// What the root of a cache holds, in its order.
pub(super) enum Part<'t> {
    /// One of the five maps begins.
    Map(Kind),
    /// A member of the entry that comes next, name and value.
    Field(&'t str, &'t str),
    /// A member of that map, key and value.
    Entry(Kind, &'t str, &'t str),
    /// Another member of the root, name and value.
    Other(&'t str, &'t str),
}

/// Visits a cache in one pass, since most of what loading costs is looking at each byte; `None` when it, one of the five
/// maps, or an entry is not an object.
pub(super) fn parts<'t>(json: &'t str, each: &mut impl FnMut(Part<'t>)) -> Option<()> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(Root(json, each)).ok()?;
    deserializer.end().ok()
}

/// The object that follows this key and whose last member ends with `last`, or with the key when it has no members.
/// Between them are white space, a colon and braces alone.
fn object<'t>(text: &'t str, key: &str, last: &str) -> Option<&'t str> {
    let end = |part: &str| part.as_ptr().addr().saturating_sub(text.as_ptr().addr()).saturating_add(part.len());
    let find = |byte, from| memchr(byte, text.as_bytes().get(from..)?)?.checked_add(from);
    let start = find(b'{', end(key))?;
    text.get(start..=find(b'}', end(last).max(start))?)
}

pub(super) fn kind(name: &str) -> Option<Kind> {
    let name = name.get(1..name.len().saturating_sub(1))?;
    Kind::ALL.into_iter().find(|kind| kind.name() == name)
}

struct Root<'a, 't, F>(&'t str, &'a mut F);

impl<'t, F: FnMut(Part<'t>)> Visitor<'t> for Root<'_, 't, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(text, each) = self;
        while let Some(name) = map.next_key_seed(Raw)? {
            match kind(name) {
                Some(kind) => {
                    each(Part::Map(kind));
                    map.next_value_seed(Map(text, kind, &mut *each))?;
                }
                None => each(Part::Other(name, map.next_value_seed(Raw)?)),
            }
        }
        Ok(())
    }
}

struct Map<'a, 't, F>(&'t str, Kind, &'a mut F);

impl<'t, F: FnMut(Part<'t>)> DeserializeSeed<'t> for Map<'_, 't, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t, F: FnMut(Part<'t>)> Visitor<'t> for Map<'_, 't, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(text, kind, each) = self;
        while let Some(key) = map.next_key_seed(Raw)? {
            let mut last = key;
            let mut field = |name, json| {
                last = json;
                each(Part::Field(name, json));
            };
            map.next_value_seed(Members(&mut field, PhantomData))?;
            each(Part::Entry(kind, key, object(text, key, last).unwrap_or_default()));
        }
        Ok(())
    }
}

struct Members<'a, 't, F>(&'a mut F, PhantomData<&'t str>);

impl<'t, F: FnMut(&'t str, &'t str)> Visitor<'t> for Members<'_, 't, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Raw)? {
            let value = map.next_value_seed(Raw)?;
            self.0(name, value);
        }
        Ok(())
    }
}

impl<'t, F: FnMut(&'t str, &'t str)> DeserializeSeed<'t> for Members<'_, 't, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

struct Raw;

impl<'t> DeserializeSeed<'t> for Raw {
    type Value = &'t str;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<&'t str, D::Error> {
        <&'t RawValue>::deserialize(deserializer).map(RawValue::get)
    }
}
