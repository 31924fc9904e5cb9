//! Owns lookups in a cache: which tokens an owner has, and whether they are still valid.

use super::authority::{Authority, AuthorityKind};
use super::entry::{Entry, Kind};
use super::owner::same;
use super::{Owner, TokenCache};
use crate::prompt::harmless;
use crate::{Secret, UnixTime};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::time::Duration;

/// A token that expires within this time is not used any more, because it takes time to arrive and clocks differ.
const SKEW: Duration = Duration::from_secs(300);

/// An access token from the same answer as a refresh token may have been written seconds later.
const SAME_TIME: Duration = Duration::from_secs(5);

/// How the key of a refresh token ends that this crate has written, or Node.
pub(super) const OUR_ENDING: &str = "---";

/// The family of Microsoft's own clients; no other family exists.
const FIRST_FAMILY: &str = "1";

/// What an access token must be valid for.
#[derive(Clone, Copy, Debug)]
pub struct AccessTokenQuery<'a> {
    scopes: &'a str,
    audience: &'a str,
    token_type: &'a str,
    key: &'a str,
    min_life: Option<Duration>,
    bypassed: bool,
}

impl<'a> AccessTokenQuery<'a> {
    /// All of these scopes, separated by spaces; without regard to case where Microsoft's servers granted them. `openid`,
    /// `profile` and `offline_access` are about the sign-in, so they do not count beside other scopes.
    #[must_use]
    pub fn scopes(scopes: &'a str) -> Self {
        Self { scopes, audience: "", token_type: "Bearer", key: "", min_life: None, bypassed: false }
    }

    /// For this API, named as [`Client::audience`](crate::Client::audience) names it. Unless set, a token that was
    /// requested without an API.
    #[must_use]
    pub fn audience(mut self, audience: &'a str) -> Self {
        self.audience = audience;
        self
    }

    /// Requested with a proof of the key with this thumbprint (RFC 9449): of type DPoP, or Bearer when the server did not
    /// bind it. Unless set, a Bearer token that was requested without a proof.
    #[must_use]
    pub fn proof_key(mut self, thumbprint: &'a str) -> Self {
        self.key = thumbprint;
        self
    }

    /// Of this type, as another program wrote it: Bearer unless set.
    #[must_use]
    pub fn token_type(mut self, token_type: &'a str) -> Self {
        self.token_type = token_type;
        self
    }

    /// It must be valid for at least this long, instead of five minutes or a fifth of its life.
    #[must_use]
    pub fn min_life(mut self, time: Option<Duration>) -> Self {
        self.min_life = time;
        self
    }

    /// Finds no access token, because a refresh is forced or an API asked for more claims than its token has. Refresh
    /// tokens are not affected.
    #[must_use]
    pub fn bypass(mut self) -> Self {
        self.bypassed = true;
        self
    }

    fn is_of_type(&self, entry: &Entry) -> bool {
        let is = |name: &str| entry.token_type().eq_ignore_ascii_case(name);
        entry.proof_key() == self.key && (is(self.token_type) || !self.key.is_empty() && is("DPoP"))
    }

    /// Whether this token, valid or expired, is what the server issues for this query.
    fn matches(&self, entry: &Entry) -> bool {
        let exact = entry.is_exact();
        let met = self.is_met_by(entry.target(), exact) || self.is_met_by(entry.requested(), exact);
        met && entry.audience() == self.audience
    }

    /// `exact`: letter case matters, as RFC 6749 §3.3 has it.
    pub(super) fn is_met_by(&self, target: &str, exact: bool) -> bool {
        let requested = || self.scopes.split(' ').filter(|scope| !scope.is_empty());
        let only_reserved = requested().all(is_reserved);
        // No answer lists offline_access, and beside other scopes the reserved ones say nothing about the token.
        let mut needed = requested().filter(|scope| {
            if only_reserved { !scope.eq_ignore_ascii_case("offline_access") } else { !is_reserved(scope) }
        });
        needed.all(|scope| has_scope(target, scope, exact))
    }
}

/// Scopes of OpenID Connect that are about the sign-in, not about what a token is valid for.
pub(super) fn is_reserved(scope: &str) -> bool {
    ["openid", "profile", "offline_access"].iter().any(|reserved| reserved.eq_ignore_ascii_case(scope))
}

pub(super) fn has_scope(target: &str, scope: &str, exact: bool) -> bool {
    target.split(' ').any(|known| same(exact, known, scope))
}

/// A valid access token in a cache.
#[derive(Clone, Copy)]
pub struct CachedAccessToken<'a>(&'a Entry);

impl CachedAccessToken<'_> {
    /// The token, as a copy that outlives the cache.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::from(self.0.secret())
    }

    /// When it expires; `None` when the server did not say. Then it is used until an API refuses it.
    #[must_use]
    pub fn expires_on(&self) -> Option<UnixTime> {
        known_end(self.0)
    }

    /// Whether the server wants it replaced by now, although it is still valid. Try to refresh, and use this one if
    /// that fails.
    #[must_use]
    pub fn is_aging(&self, now: UnixTime) -> bool {
        self.refresh_on().is_some_and(|refresh_on| refresh_on <= now)
    }

    pub(crate) fn refresh_on(&self) -> Option<UnixTime> {
        self.0.refresh()
    }

    /// The scopes that it is valid for, safe to print.
    pub fn scopes(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.target().split(' ').filter(|scope| !scope.is_empty()).map(harmless)
    }

    pub(crate) fn target(&self) -> &str {
        self.0.target()
    }

    /// Whether it is of no use without a proof of its key.
    pub(crate) fn is_proven(&self) -> bool {
        !self.0.proof_key().is_empty() && self.0.token_type().eq_ignore_ascii_case("DPoP")
    }

    /// The token type, safe to print; Bearer when the cache does not say.
    #[must_use]
    pub fn token_type(&self) -> Cow<'_, str> {
        harmless(self.0.token_type())
    }
}

/// A refresh token in a cache. Only the server knows whether it is still valid.
#[derive(Clone, Copy)]
pub struct CachedRefreshToken<'a> {
    entry: &'a Entry,
    foreign: bool,
}

impl CachedRefreshToken<'_> {
    /// The token, as a copy that outlives the cache.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::from(self.entry.secret())
    }

    /// The thumbprint of the key that its access token is bound to (RFC 9449 §5): the refresh token of a public client is
    /// bound to it, too. Empty for most tokens.
    #[must_use]
    pub fn proof_key(&self) -> Cow<'_, str> {
        harmless(self.entry.proof_key())
    }

    pub(crate) fn raw_proof_key(&self) -> &str {
        self.entry.proof_key()
    }

    /// Whether it came from another client of the same family. A server that answers `client_mismatch` to it says that
    /// the client is not in the family: go on with the next, and tell the cache with [`TokenCache::leave_family`].
    #[must_use]
    pub fn is_of_family(&self) -> bool {
        self.foreign
    }
}

impl fmt::Debug for CachedAccessToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("CachedAccessToken");
        debug.field("target", &self.target()).field("expires_on", &self.expires_on()).finish_non_exhaustive()
    }
}

impl fmt::Debug for CachedRefreshToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("CachedRefreshToken");
        debug.field("client_id", &self.entry.client()).field("is_of_family", &self.foreign).finish_non_exhaustive()
    }
}

impl TokenCache {
    /// An access token that covers the scopes and is valid for five more minutes, or for a fifth of its life when that
    /// is less, unless the query says [how long](AccessTokenQuery::min_life). Of several, the one that expires last. One
    /// whose life the server did not tell counts as valid.
    ///
    /// The expiry of a token that was written in the future is not trusted, because the clock has been set back.
    #[must_use]
    pub fn access_token(
        &self,
        owner: Owner<'_>,
        query: AccessTokenQuery<'_>,
        now: UnixTime,
    ) -> Option<CachedAccessToken<'_>> {
        if query.bypassed {
            return None;
        }
        let is_valid = |entry: &&Entry| {
            let life = query.min_life.unwrap_or_else(|| margin(entry));
            // An MSAL always writes when a token expires.
            let is_alive = known_end(entry).map_or(entry.unshared, |end| end > now.saturating_add(life));
            is_alive && entry.written().is_none_or(|cached| cached <= now.saturating_add(SKEW))
        };
        let fits = |entry: &&Entry| {
            entry.kind == Kind::AccessToken
                && !entry.is_bound()
                && !entry.secret().is_empty()
                && owner.is_client_of(entry)
                && owner.is_in_realm_of(entry)
                && query.is_of_type(entry)
                && query.matches(entry)
        };
        let found = self.owned_by(&owner).filter(is_valid).filter(fits);
        found.max_by_key(|entry| (entry.expires(), entry.written())).map(CachedAccessToken)
    }

    /// Whether this was requested when the owner signed in, as far as is known: some access token, valid or expired,
    /// matches, or there is no access token at all.
    pub(crate) fn has_requested(&self, owner: Owner<'_>, query: AccessTokenQuery<'_>) -> bool {
        let is_mine = |entry: &&Entry| {
            entry.kind == Kind::AccessToken && owner.is_client_of(entry) && owner.is_in_realm_of(entry)
        };
        let mut tokens = self.owned_by(&owner).filter(is_mine).peekable();
        tokens.peek().is_none() || tokens.any(|entry| query.matches(entry))
    }

    /// Whether there is any token that this client could use.
    pub(crate) fn has_tokens(&self, owner: Owner<'_>) -> bool {
        let mut tokens = self.owned_by(&owner).filter(|entry| entry.kind == Kind::AccessToken);
        tokens.any(|entry| owner.is_client_of(entry)) || self.is_refreshable(owner)
    }

    /// Whether there is a refresh token that may be valid.
    #[must_use]
    pub fn is_refreshable(&self, owner: Owner<'_>) -> bool {
        let family = self.family(owner.client_id, owner.authority);
        self.owned_by(&owner).any(|entry| is_usable(entry, &owner, family))
    }

    /// All refresh tokens that may be valid, the most likely first: those of the client's family, then the client's
    /// own, the newest first in each. Try one after the other, because some MSALs leave a replaced token beside the new
    /// one.
    #[must_use]
    pub fn refresh_tokens(&self, owner: Owner<'_>) -> Vec<CachedRefreshToken<'_>> {
        let family = self.family(owner.client_id, owner.authority);
        let of_family = |entry: &Entry| is_of_family(entry, family);
        let mut found: Vec<&Entry> = self.owned_by(&owner).filter(|entry| is_usable(entry, &owner, family)).collect();
        // Equals stay in the order of the file, as with every MSAL.
        found.sort_by_key(|entry| Reverse((of_family(entry), self.freshness(entry))));
        let token = |entry| CachedRefreshToken { entry, foreign: !owner.is_client_of(entry) };
        found.into_iter().map(token).collect()
    }

    /// The ID token of the last sign-in or refresh, as the server sent it. It may have expired; it says who signed in
    /// and gives access to nothing.
    #[must_use]
    pub fn id_token(&self, owner: Owner<'_>) -> Option<Secret> {
        let mut owned = self.owned_by(&owner).filter(|entry| entry.kind == Kind::IdToken);
        let found = owned.find(|entry| owner.is_client_of(entry) && owner.is_in_realm_of(entry));
        found.map(|entry| Secret::from(entry.secret()))
    }

    /// The family whose refresh tokens a client may use; never an empty text.
    pub(super) fn family(&self, client_id: &str, authority: &Authority) -> Option<&str> {
        if authority.kind() != AuthorityKind::Entra {
            return None;
        }
        let known = self.app_metadata(client_id, authority);
        // A client that was never seen may be in the family; only the server knows.
        known.map_or(Some(FIRST_FAMILY), |entry| Some(entry.family()).filter(|family| !family.is_empty()))
    }

    pub(super) fn app_metadata(&self, client_id: &str, authority: &Authority) -> Option<&Entry> {
        self.entries.iter().find(|entry| {
            entry.kind == Kind::AppMetadata
                && entry.client().eq_ignore_ascii_case(client_id)
                && authority.knows(entry.environment())
        })
    }

    pub(super) fn owned_by<'a, 'b>(&'a self, owner: &'b Owner<'b>) -> impl Iterator<Item = &'a Entry> + use<'a, 'b> {
        self.of_home(owner.person.id()).filter(|entry| {
            // `of_home` has compared the home already, without regard to letter case.
            if owner.is_exact() { owner.is_person_of(entry) } else { owner.authority.knows(entry.environment()) }
        })
    }

    /// When a refresh token was written, and whether its writer said so. Otherwise it counts as written with the newest
    /// access token of its client, since a server that replaces refresh tokens does so in every answer.
    ///
    /// Of several without a time, one under the key that this crate writes is the oldest: Java removes our time when it
    /// writes its own token beside it.
    pub(super) fn freshness(&self, token: &Entry) -> (UnixTime, bool, bool) {
        let is_foreign = !token.key().ends_with(OUR_ENDING);
        if let Some(written) = token.written() {
            return (written.saturating_add(SAME_TIME), true, is_foreign);
        }
        let beside = self.of_home(token.home()).filter(|entry| {
            entry.kind == Kind::AccessToken
                && entry.is_of_same_client(token)
                && same(token.is_exact(), entry.environment(), token.environment())
                && entry.slot() == token.slot()
        });
        (beside.filter_map(Entry::written).max().unwrap_or_default(), false, is_foreign)
    }
}

/// When a token expires, as far as its server said so. Version 0.1.0 wrote a time for those without one.
fn known_end(entry: &Entry) -> Option<UnixTime> {
    const UNKNOWN_IN_0_1: Duration = Duration::from_secs(3_600 * 24 * 3_649);
    let invented = |end: &UnixTime| entry.written().is_some_and(|from| end.saturating_since(from) == UNKNOWN_IN_0_1);
    entry.expires().filter(|end| !(entry.unshared && invented(end)))
}

/// How long before its expiry a token is no longer used. Some servers issue tokens for five minutes.
fn margin(entry: &Entry) -> Duration {
    let life = entry.expires().zip(entry.written()).map(|(expires, written)| expires.saturating_since(written));
    life.and_then(|life| life.checked_div(5)).map_or(SKEW, |fifth| fifth.min(SKEW))
}

fn is_of_family(entry: &Entry, family: Option<&str>) -> bool {
    family.is_some_and(|family| !family.is_empty() && entry.family() == family)
}

/// Whether this refresh token may be valid for this owner.
fn is_usable(entry: &Entry, owner: &Owner<'_>, family: Option<&str>) -> bool {
    entry.kind == Kind::RefreshToken
        && !entry.secret().is_empty()
        && (owner.is_client_of(entry) || is_of_family(entry, family))
}
