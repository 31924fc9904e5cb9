//! Owns the merge of two writers: what was changed here is applied to what the other has written meanwhile.

use super::TokenCache;
use super::entry::{Entry, Kind};
use core::mem;

/// What an entry was when it was loaded, and why it has changed.
pub(super) struct Change {
    /// `None`: it did not exist.
    pub(super) base: Option<Entry>,
    /// Whether it was removed because it must not be used any more, not because a newer entry replaced it.
    pub(super) signed_out: bool,
}

impl TokenCache {
    /// Takes over what another process has stored since this cache was loaded, and applies the changes made here to it.
    ///
    /// `stored` is what is stored now. An entry that only one side has changed is taken from that side. Of a token that
    /// both have changed the newer one stays, and what was signed out here stays removed. Hold the store's lock from
    /// reading `stored` until [`to_json`](TokenCache::to_json) is written, then call
    /// [`mark_saved`](TokenCache::mark_saved).
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
                // Another process has replaced what was replaced here, or has removed it as well.
                (None, _) => {}
            }
        }
        self.reindex();
    }
}

/// Whether their token was written later than ours. Without a time, or with the same one, ours stays.
fn is_newer(theirs: &Entry, ours: &Entry) -> bool {
    matches!(ours.kind, Kind::AccessToken | Kind::RefreshToken) && theirs.written() > ours.written()
}
