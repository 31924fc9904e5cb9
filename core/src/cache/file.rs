//! Owns the cache as bytes: what was not changed is written exactly as it was read.

use super::TokenCache;
use super::entry::{Entry, Kind, Part as RootPart, Reader, Source, Span, encoded, hash, kind, members, parts};
use crate::Secret;
use crate::message::DEVICE_GRANT;
use crate::sync::Arc;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// Spans count in 32 bits. A cache of this size would hold half a million accounts.
const MAX_BYTES: usize = 1024 * 1024 * 1024;

/// Why bytes are not a token cache. They were not changed; overwriting them loses what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// Not UTF-8.
    #[error(
        "the token cache is not UTF-8 text: it may be encrypted or damaged; move it away to start with an empty one"
    )]
    NotUtf8,
    /// Not a JSON object, or cut short.
    #[error(
        "the token cache is not a JSON object: it may be encrypted or damaged; move it away to start with an empty one"
    )]
    NotAnObject,
    /// More than 1 GiB.
    #[error("the token cache is larger than 1 GiB: move it away to start with an empty one")]
    TooLarge,
}

/// A member of the root.
pub(super) enum Section {
    /// One of the five maps; its entries are stored separately.
    Known(Kind),
    /// Something else, name and value; with the kind of the map that should be there.
    Other(Option<Kind>, Arc<Source>, Span),
}

/// Which entries are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Shared,
    Unshared,
}

impl Part {
    fn has(self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::Shared => !entry.unshared,
            Self::Unshared => entry.unshared,
        }
    }
}

impl TokenCache {
    /// Reads what an MSAL or [`to_json`](TokenCache::to_json) wrote. No bytes, or only white space, are an empty cache.
    ///
    /// The bytes are copied, and the copy is wiped when it is no longer needed. The caller must wipe the bytes
    /// themselves.
    ///
    /// # Errors
    /// [`CacheError`] when they are not a JSON object. Anything inside an object is tolerated and kept.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CacheError> {
        let (sections, mut entries) = read(bytes)?;
        mark_former(&mut entries);
        Ok(Self::of([sections, Vec::new()], entries))
    }

    /// Reads a cache in two parts: one that an MSAL may read, with the accounts of Microsoft's servers, and one that only
    /// this crate reads, with all others. An MSAL would list accounts of other servers, offer them to people, and drop
    /// what it does not know of them.
    ///
    /// Version 0.1.0 wrote all accounts into the shared part. They are found here, and belong to the other part from now
    /// on; [`is_misplaced`](TokenCache::is_misplaced) says that both must be written.
    ///
    /// # Errors
    /// As [`from_json`](TokenCache::from_json).
    pub fn from_parts(shared: &[u8], unshared: &[u8]) -> Result<Self, CacheError> {
        let ((sections, mut entries), (unshared_sections, others)) = (read(shared)?, read(unshared)?);
        mark_former(&mut entries);
        let misplaced = entries.iter().any(|entry| entry.unshared);
        if misplaced {
            // A move that was cut short has left it in both.
            let moved = by_hash(others.iter(), |entry| entry.key_hash);
            let is_moved = |entry: &Entry| {
                let alike = moved.get(&entry.key_hash).map(Vec::as_slice).unwrap_or_default();
                alike.iter().any(|moved| moved.has_key(entry.kind, entry.key(), entry.key_hash))
            };
            entries.retain(|entry| !entry.unshared || !is_moved(entry));
        }
        entries.extend(others.into_iter().map(|mut entry| {
            entry.unshared = true;
            entry
        }));
        Ok(Self { misplaced, ..Self::of([sections, unshared_sections], entries) })
    }

    /// Whether something was read from the shared part that belongs to the other.
    #[must_use]
    pub fn is_misplaced(&self) -> bool {
        self.misplaced
    }

    /// The whole cache as JSON, for a store of secrets that nobody else reads.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        self.part(Part::All)
    }

    /// The part that an MSAL may read, for a file that only its owner can read; `None` when it holds nothing.
    #[must_use]
    pub fn to_shared_json(&self) -> Option<Secret> {
        self.part_with(Part::Shared, &self.sections)
    }

    /// The other part; `None` when it holds nothing.
    #[must_use]
    pub fn to_unshared_json(&self) -> Option<Secret> {
        self.part_with(Part::Unshared, &self.unshared_sections)
    }

    fn part_with(&self, part: Part, sections: &[Section]) -> Option<Secret> {
        let is_other = |section: &Section| matches!(section, Section::Other(..));
        let holds = self.entries.iter().any(|entry| part.has(entry)) || sections.iter().any(is_other);
        holds.then(|| self.part(part))
    }

    fn part(&self, part: Part) -> Secret {
        // Measured first so that it never grows, which would leave copies of secrets behind.
        let mut length = 0_usize;
        self.pieces(part, &mut |piece| length = length.saturating_add(piece.len()));
        let mut text = Zeroizing::new(String::with_capacity(length));
        self.pieces(part, &mut |piece| text.push_str(piece));
        Secret::from(core::mem::take(&mut *text))
    }

    fn pieces(&self, part: Part, put: &mut impl FnMut(&str)) {
        put("{");
        let mut separator = "";
        let sections = if part == Part::Unshared { &self.unshared_sections } else { &self.sections };
        let lists =
            |kind: Kind| sections.iter().any(|section| matches!(section, Section::Known(known) if *known == kind));
        let has = |kind: Kind| self.entries.iter().any(|entry| entry.kind == kind && part.has(entry));
        let full: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| has(*kind)).collect();
        let listed: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| lists(*kind)).collect();
        for section in sections {
            match section {
                Section::Known(kind) => self.map(*kind, part, &mut separator, put),
                // A member that should be a map is replaced when there are entries for the map.
                Section::Other(Some(kind), ..) if full.contains(kind) || listed.contains(kind) => {}
                Section::Other(_, source, span) => {
                    put(separator);
                    put(source.get(*span).unwrap_or_default());
                    separator = ",";
                }
            }
        }
        for kind in full.into_iter().filter(|kind| !listed.contains(kind)) {
            self.map(kind, part, &mut separator, put);
        }
        put("}");
    }

    fn map(&self, kind: Kind, part: Part, separator: &mut &str, put: &mut impl FnMut(&str)) {
        put(separator);
        *separator = ",";
        put(&encoded(kind.name()));
        put(":{");
        let mut between = "";
        for entry in self.entries.iter().filter(|entry| entry.kind == kind && part.has(entry)) {
            put(between);
            put(entry.member());
            between = ",";
        }
        put("}");
    }
}

/// The members of the root and the entries of the five maps.
fn read(bytes: &[u8]) -> Result<(Vec<Section>, Vec<Entry>), CacheError> {
    if bytes.len() > MAX_BYTES {
        return Err(CacheError::TooLarge);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| CacheError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Ok((Kind::OF_MSAL.into_iter().map(Section::Known).collect(), Vec::new()));
    }
    let text = Zeroizing::new(Box::<str>::from(text));
    let mut reader = Reader::new(&text);
    let (mut found, mut drafts) = (Vec::new(), Vec::new());
    let mut take = |part| match part {
        RootPart::Map(kind) => found.push(Ok(kind)),
        RootPart::Field(name, json) => reader.field(name, json),
        RootPart::Entry(kind, key, value) => drafts.push(reader.entry(kind, key, value)),
        RootPart::Other(name, value) => found.push(Err((kind(name), reader.member(name, value)))),
    };
    if parts(&text, &mut take).is_none() {
        // This is rare: something else stands in the place of a map or an entry, or all of it is garbage. Parse again,
        // member by member.
        (found, drafts, reader) = (Vec::new(), Vec::new(), Reader::new(&text));
        let mut root = |name, value| {
            let before = drafts.len();
            let mut take = |kind| members(value, &mut |key, entry| drafts.push(reader.any_entry(kind, key, entry)));
            match (kind(name), kind(name).and_then(&mut take)) {
                (Some(kind), Some(())) => found.push(Ok(kind)),
                (kind, _) => {
                    drafts.truncate(before);
                    found.push(Err((kind, reader.member(name, value))));
                }
            }
        };
        members(&text, &mut root).ok_or(CacheError::NotAnObject)?;
    }
    let decoded = reader.into_decoded();
    let source = Entry::all(text, decoded);
    let (mut seen, mut sections) = (Vec::new(), Vec::new());
    for section in found {
        match section {
            // A map that occurs twice becomes one.
            Ok(kind) if seen.contains(&kind) => {}
            Ok(kind) => {
                seen.push(kind);
                sections.push(Section::Known(kind));
            }
            Err((kind, span)) => sections.push(Section::Other(kind, Arc::clone(&source), span)),
        }
    }
    Ok((sections, drafts.into_iter().map(|draft| Entry::new(draft, &source)).collect()))
}

/// Entries by a hash, because to compare each entry of a large file with each takes seconds.
fn by_hash<'a>(entries: impl Iterator<Item = &'a Entry>, hash: impl Fn(&Entry) -> u64) -> BTreeMap<u64, Vec<Entry>> {
    let mut found: BTreeMap<u64, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        found.entry(hash(entry)).or_default().push(entry.clone());
    }
    found
}

/// Marks what version 0.1.0 wrote for accounts that no MSAL may see.
fn mark_former(entries: &mut [Entry]) {
    // Not `home_hash`, since an entry without an id may belong to an account whose id is empty.
    let former = by_hash(entries.iter().filter(|entry| is_of_0_1(entry)), |account| hash(account.home()));
    if former.is_empty() {
        return;
    }
    for entry in entries.iter_mut().filter(|entry| entry.realm().is_empty()) {
        let accounts = former.get(&hash(entry.home())).map(Vec::as_slice).unwrap_or_default();
        entry.unshared |= accounts.iter().any(|account| account.is_of_same_person(entry));
    }
}

/// Whether this is an account that version 0.1.0 wrote for a server that is not Microsoft's: without a tenant, and by the
/// grant that no MSAL writes together with this type.
fn is_of_0_1(entry: &Entry) -> bool {
    let (mut is_generic, mut is_device_grant) = (false, false);
    let mut look = |name: &str, json: &str| match name {
        "\"authority_type\"" => is_generic = json == "\"Generic\"",
        "\"account_source\"" => is_device_grant = json.trim_matches('"') == DEVICE_GRANT,
        _ => {}
    };
    entry.kind == Kind::Account
        && entry.realm().is_empty()
        && members(entry.value(), &mut look).is_some()
        && is_generic
        && is_device_grant
}
