//! Owns the tokens that are signed out here and may be alive at the server: they are remembered until they are revoked.

use super::entry::{Entry, Kind};
use super::owner::exact_key;
use super::save::Object;
use super::{Owner, TokenCache};
use crate::{Authority, AuthorityKind, Secret, TokenKind};
use alloc::vec::Vec;

impl TokenCache {
    /// Remembers that a token must be revoked, until [`forget_revocation`](Self::forget_revocation): a sign-out that is
    /// interrupted can be finished later. It is never found as a token again.
    pub fn remember_revocation(&mut self, owner: Owner<'_>, token: &Secret, kind: TokenKind) {
        // Exposed to be written where only its owner reads.
        let secret = token.expose();
        let environment = owner.authority.environment();
        let mut object = Object::default();
        object.text("secret", secret).text("target", kind.as_str()).text("environment", environment);
        object.text("home_account_id", owner.person.id()).text("client_id", owner.client_id);
        let scheme = if owner.is_exact() { "" } else { "https://" };
        let key = exact_key(&[&[scheme, environment].concat(), owner.client_id, secret]);
        self.put(Entry::made(Kind::Revocation, &key, &object.json()), |_| false);
        self.reindex();
    }

    /// The tokens of a client that must be revoked at a server.
    #[must_use]
    pub fn revocations(&self, client_id: &str, authority: &Authority) -> Vec<(Secret, TokenKind)> {
        let exact = authority.kind() == AuthorityKind::Generic;
        let is_meant = |entry: &&Entry| {
            entry.kind == Kind::Revocation
                && authority.knows(entry.environment())
                && super::owner::same(exact, entry.client(), client_id)
        };
        let kind = |entry: &Entry| match entry.target() == TokenKind::AccessToken.as_str() {
            true => TokenKind::AccessToken,
            false => TokenKind::RefreshToken,
        };
        let found = self.entries.iter().filter(is_meant);
        found.map(|entry| (Secret::from(entry.secret()), kind(entry))).collect()
    }

    /// Forgets a token that was revoked. `true` when it was there.
    pub fn forget_revocation(&mut self, token: &Secret) -> bool {
        // Exposed to be compared with what is in the cache.
        let token = token.expose();
        let removed = self.take(true, |entry| entry.kind == Kind::Revocation && entry.secret() == token);
        self.reindex();
        removed
    }
}
