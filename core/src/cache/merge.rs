//! Owns the meeting of two writers: what was changed here goes onto what the other has written meanwhile.

use super::TokenCache;
use super::entry::{Entry, Kind};
use core::mem;

/// What one entry was when it was loaded, and why it is not that any more.
pub(super) struct Change {
    /// `None`: it did not exist.
    pub(super) base: Option<Entry>,
    /// Removed because it must not be used any more, not because something newer took its place.
    pub(super) signed_out: bool,
}

impl TokenCache {
    /// Takes over what another process has stored since this cache was loaded, under the changes made here.
    ///
    /// `stored` is what is stored now. An entry that only one of both changed is as that one has it. Of a token that both
    /// changed, the newer stays; what was signed out here is gone. Hold the store's lock from reading `stored` until
    /// [`to_json`](TokenCache::to_json) is written, then call [`mark_saved`](TokenCache::mark_saved).
    pub fn merge(&mut self, stored: Self) {
        let mine = mem::replace(self, stored);
        self.changes.clear();
        for ((kind, key), change) in &mine.changes {
            let (ours, theirs) = (mine.find(*kind, key), self.find(*kind, key));
            let untouched = match (&change.base, theirs) {
                (None, None) => true,
                (Some(base), Some(theirs)) => base.says_the_same(theirs),
                (Some(_), None) | (None, Some(_)) => false,
            };
            match (ours, theirs) {
                (Some(ours), Some(theirs)) if !untouched && is_newer(theirs, ours) => {}
                (Some(ours), _) => self.put(ours.clone(), |_| false),
                (None, Some(_)) if untouched || change.signed_out => {
                    let hash = super::entry::hash(key);
                    self.take(change.signed_out, |entry| entry.has_key(*kind, key, hash));
                }
                // Another process has replaced what was replaced here, or removed it too.
                (None, _) => {}
            }
        }
        self.reindex();
    }
}

/// Of a token that both have, the one that was written later; what has no time, or the same, stays as it is here.
fn is_newer(theirs: &Entry, ours: &Entry) -> bool {
    matches!(ours.kind, Kind::AccessToken | Kind::RefreshToken) && theirs.written() > ours.written()
}
