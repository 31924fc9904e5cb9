//! Owns the token cache: its entries, their index, and the record of changes.

mod account;
mod authority;
mod entry;
mod file;
mod lookup;
mod merge;
mod owner;
mod revocations;
mod save;
mod spelling;

pub use account::Account;
pub use authority::{Authority, AuthorityKind};
pub use file::CacheError;
pub use lookup::{AccessTokenQuery, CachedAccessToken, CachedRefreshToken};
pub use owner::{Owner, Person};
pub use save::GrantOrigin;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use entry::{Entry, Kind};
use file::Section;
use merge::Change;
use owner::is_exact_key;

/// Accounts and their tokens, in the schema that every MSAL reads and writes: pure data, no file, no clock.
///
/// What it does not know (other maps, further members, entries that it cannot read) comes out of
/// [`to_json`](TokenCache::to_json) as it went into [`from_json`](TokenCache::from_json). What belongs to one
/// [`Owner`] is never found for another.
///
/// | To | Call |
/// | --- | --- |
/// | see who is signed in | [`accounts`](TokenCache::accounts) |
/// | use a valid token | [`access_token`](TokenCache::access_token) |
/// | get a new one | [`refresh_tokens`](TokenCache::refresh_tokens), then [`save`](TokenCache::save) |
/// | keep what a sign-in brought | [`save`](TokenCache::save) |
/// | sign out | [`remember_revocation`](TokenCache::remember_revocation) of the refresh tokens, then [`remove_account`](TokenCache::remove_account) |
/// | store it where others write too | [`merge`](TokenCache::merge), [`to_json`](TokenCache::to_json), [`mark_saved`](TokenCache::mark_saved) |
///
/// # Beside MSAL
///
/// What this crate writes works with every MSAL that was run on it (Python 1.39.0, Node 7.2.1, Java 1.26.1, Go 1.10.1),
/// also with a server that invalidates a refresh token when it issues the next: an MSAL that refreshes after us needs
/// one request. This crate never sends a refresh token that it knows to be replaced, whatever the others have left in
/// the file. Some problems that the MSALs make for each other cannot be repaired from outside. They last until the next
/// [`save`](TokenCache::save) here, and they matter only where replaced refresh tokens are refused, which Microsoft
/// does not do at once:
/// - After Node has refreshed what Python wrote, or the reverse, there are two refresh tokens. Python tries the invalid
///   one first and then the other; Node sends the first in the file, and fails when that is the invalid one.
/// - Node writes a refresh token without the `target` that makes Python write to the same place, so after Node and then
///   Python there are two again.
/// - Node finds no token at all while the application's metadata is there under two names of the cloud, as after a
///   sign-in by Python and a refresh by Python with a token of another MSAL.
/// - Java and Go write a second refresh token beside the first that this crate has written; their next refresh may send
///   the invalid one. The next [`save`](TokenCache::save) here puts its token where they have put theirs.
/// - Go signs out under one name of the cloud only.
/// - Python does not list an account under `login.windows.net`, where all other MSALs write, while it has one under the
///   name that it was configured with; and it signs out under one name only.
///
/// `Debug` shows only how many entries and unsaved changes there are.
pub struct TokenCache {
    /// The members of the root object, in their order.
    sections: Vec<Section>,
    /// The same of what no MSAL may see.
    unshared_sections: Vec<Section>,
    /// Whether something that an MSAL could see must be moved to where it cannot.
    misplaced: bool,
    /// In the order of the file; new ones come last.
    entries: Vec<Entry>,
    /// Hashes of home account ids with places in `entries`, sorted.
    index: Vec<(u64, u32)>,
    /// What was changed since it was loaded or saved.
    changes: BTreeMap<(Kind, Box<str>), Change>,
}

impl TokenCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::of([Kind::OF_MSAL.into_iter().map(Section::Known).collect(), Vec::new()], Vec::new())
    }

    fn of([sections, unshared_sections]: [Vec<Section>; 2], entries: Vec<Entry>) -> Self {
        let (index, changes) = (Vec::new(), BTreeMap::new());
        let mut cache = Self { sections, unshared_sections, misplaced: false, entries, index, changes };
        cache.reindex();
        cache
    }

    /// Whether there is something to save.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Says that what it holds now has been stored: changes are counted from here.
    pub fn mark_saved(&mut self) {
        self.changes.clear();
    }

    /// The entries of an account at any server.
    fn of_home<'a, 'b>(&'a self, home: &'b str) -> impl Iterator<Item = &'a Entry> + use<'a, 'b> {
        let hash = entry::hash(home);
        let first = self.index.partition_point(|(known, _)| *known < hash);
        let places = self.index.get(first..).unwrap_or_default().iter().take_while(move |(known, _)| *known == hash);
        let entries = places.filter_map(|(_, place)| self.entries.get(usize::try_from(*place).ok()?));
        entries.filter(move |entry| entry.home().eq_ignore_ascii_case(home))
    }

    fn find(&self, kind: Kind, key: &str) -> Option<&Entry> {
        let hash = entry::hash(key);
        // When a key occurs twice, every reader takes the last.
        self.entries.iter().rev().find(|entry| entry.has_key(kind, key, hash))
    }

    /// Puts an entry in the place of the first of those that it replaces, and removes the others.
    fn put(&mut self, mut entry: Entry, replaced: impl Fn(&Entry) -> bool) {
        let (kind, hash) = (entry.kind, entry.key_hash);
        let goes = |known: &Entry| known.kind == kind && (known.has_key(kind, entry.key(), hash) || replaced(known));
        let mut gone = self.entries.iter().filter(|known| goes(known));
        if let (Some(only), None) = (gone.next(), gone.next())
            && only.key() == entry.key()
            && only.value() == entry.value()
        {
            return;
        }
        let unshared = self.entries.iter().any(|known| known.unshared && goes(known));
        self.note(kind, entry.key());
        let place = self.entries.iter().position(goes).unwrap_or(self.entries.len());
        self.take(false, goes);
        // What is written over an entry of version 0.1.0 is as misplaced as that was.
        entry.unshared |= unshared;
        self.entries.insert(place.min(self.entries.len()), entry);
    }

    /// Removes entries; `true` when there were any.
    fn take(&mut self, signed_out: bool, goes: impl Fn(&Entry) -> bool) -> bool {
        let gone = self.entries.iter().filter(|entry| goes(entry));
        let hashes: BTreeSet<u64> = gone.map(|entry| entry.key_hash).collect();
        if hashes.is_empty() {
            return false;
        }
        let alike: Vec<&Entry> = self.entries.iter().filter(|entry| hashes.contains(&entry.key_hash)).collect();
        // The last of equal keys counts, as in `find`.
        let bases: BTreeMap<_, &Entry> = alike.iter().map(|entry| (place(entry.kind, entry.key()), *entry)).collect();
        for entry in alike.iter().filter(|entry| goes(entry)) {
            let place = place(entry.kind, entry.key());
            let base = bases.get(&place).copied().cloned();
            self.changes.entry(place).or_insert(Change { base, signed_out }).signed_out = signed_out;
        }
        self.entries.retain(|entry| !goes(entry));
        true
    }

    /// Records what an entry was before its first change.
    fn note(&mut self, kind: Kind, key: &str) {
        let base = self.find(kind, key).cloned();
        let change = Change { base, signed_out: false };
        self.changes.entry(place(kind, key)).or_insert(change).signed_out = false;
    }

    /// Must follow every change of `entries`.
    fn reindex(&mut self) {
        self.index.clear();
        let owned = self.entries.iter().zip(0_u32..).filter(|(entry, _)| entry.is_readable());
        self.index.extend(owned.map(|(entry, place)| (entry.home_hash, place)));
        self.index.sort_unstable();
    }
}

/// The key of an entry in the form in which keys are compared.
fn place(kind: Kind, key: &str) -> (Kind, Box<str>) {
    (kind, if is_exact_key(key) { Box::from(key) } else { key.to_ascii_lowercase().into_boxed_str() })
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TokenCache");
        debug.field("entries", &self.entries.len()).field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}
