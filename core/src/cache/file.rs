//! Owns the cache as bytes: what was not changed is written exactly as it was read.

use super::TokenCache;
use super::entry::{Entry, Kind, Part, Reader, Source, Span, encoded, kind, members, parts};
use crate::Secret;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
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

impl TokenCache {
    /// Reads what an MSAL or [`to_json`](TokenCache::to_json) wrote. No bytes, or only white space, are an empty cache.
    ///
    /// The bytes are copied, and the copy is wiped when it is no longer needed. The caller must wipe the bytes
    /// themselves.
    ///
    /// # Errors
    /// [`CacheError`] when they are not a JSON object. Anything inside an object is tolerated and kept.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CacheError> {
        if bytes.len() > MAX_BYTES {
            return Err(CacheError::TooLarge);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| CacheError::NotUtf8)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Ok(Self::new());
        }
        let text = Zeroizing::new(Box::<str>::from(text));
        let mut reader = Reader::new(&text);
        let (mut sections, mut drafts) = (Vec::new(), Vec::new());
        let mut take = |part| match part {
            Part::Map(kind) => sections.push(Ok(kind)),
            Part::Entry(kind, key, value) => drafts.push(reader.entry(kind, key, value)),
            Part::Other(name, value) => sections.push(Err((kind(name), reader.member(name, value)))),
        };
        if parts(&text, &mut take).is_none() {
            // This is rare: something else stands in the place of a map, or all of it is garbage. Parse again, member
            // by member.
            (sections, drafts, reader) = (Vec::new(), Vec::new(), Reader::new(&text));
            let mut root = |name, value| {
                let before = drafts.len();
                let mut take = |kind| members(value, &mut |key, entry| drafts.push(reader.entry(kind, key, entry)));
                match (kind(name), kind(name).and_then(&mut take)) {
                    (Some(kind), Some(())) => sections.push(Ok(kind)),
                    (kind, _) => {
                        drafts.truncate(before);
                        sections.push(Err((kind, reader.member(name, value))));
                    }
                }
            };
            members(&text, &mut root).ok_or(CacheError::NotAnObject)?;
        }
        let decoded = reader.into_decoded();
        let source = Entry::all(text, decoded);
        let mut seen = Vec::new();
        let mut cache = Self { sections: Vec::new(), entries: Vec::new(), index: Vec::new(), changes: BTreeMap::new() };
        for section in sections {
            match section {
                // A map that occurs twice becomes one.
                Ok(kind) if seen.contains(&kind) => {}
                Ok(kind) => {
                    seen.push(kind);
                    cache.sections.push(Section::Known(kind));
                }
                Err((kind, span)) => cache.sections.push(Section::Other(kind, Arc::clone(&source), span)),
            }
        }
        cache.entries = drafts.into_iter().map(|draft| Entry::new(draft, &source)).collect();
        cache.reindex();
        Ok(cache)
    }

    /// The whole cache as JSON, for a file that only its owner can read or for another store of secrets.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        // Measured first so that it never grows, which would leave copies of secrets behind.
        let mut length = 0_usize;
        self.pieces(&mut |piece| length = length.saturating_add(piece.len()));
        let mut text = Zeroizing::new(String::with_capacity(length));
        self.pieces(&mut |piece| text.push_str(piece));
        Secret::from(core::mem::take(&mut *text))
    }

    fn pieces(&self, put: &mut impl FnMut(&str)) {
        put("{");
        let mut separator = "";
        let full: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| self.has(*kind)).collect();
        let listed: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| self.lists(*kind)).collect();
        for section in &self.sections {
            match section {
                Section::Known(kind) => self.map(*kind, &mut separator, put),
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
            self.map(kind, &mut separator, put);
        }
        put("}");
    }

    fn map(&self, kind: Kind, separator: &mut &str, put: &mut impl FnMut(&str)) {
        put(separator);
        *separator = ",";
        put(&encoded(kind.name()));
        put(":{");
        let mut between = "";
        for entry in self.entries.iter().filter(|entry| entry.kind == kind) {
            put(between);
            put(entry.member());
            between = ",";
        }
        put("}");
    }

    fn has(&self, kind: Kind) -> bool {
        self.entries.iter().any(|entry| entry.kind == kind)
    }

    fn lists(&self, kind: Kind) -> bool {
        self.sections.iter().any(|section| matches!(section, Section::Known(known) if *known == kind))
    }
}
