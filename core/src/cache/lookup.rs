//! Owns the questions to a cache: which token is there for this owner, and does it still live.

use super::TokenCache;
use super::authority::{Authority, AuthorityKind, same_realm};
use super::entry::{Entry, Kind};
use crate::{Secret, UnixTime};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::time::Duration;

/// A token that ends within this time, at most, is not used any more: it has to arrive, and clocks differ.
const SKEW: Duration = Duration::from_secs(300);

/// An access token that was written at the same time as a refresh token may have been written seconds later.
const SAME_TIME: Duration = Duration::from_secs(5);

/// The family of Microsoft's own clients; there never was another.
const FIRST_FAMILY: &str = "1";

/// Whose tokens are meant: this person's, for this client, at this server.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// [`Account::home_account_id`](super::Account::home_account_id).
    pub home_account_id: &'a str,
    /// The client that the tokens were issued to.
    pub client_id: &'a str,
    /// The server.
    pub authority: &'a Authority,
}

/// What an access token must be good for.
#[derive(Clone, Copy, Debug)]
pub struct AccessTokenQuery<'a> {
    scopes: &'a str,
    audience: &'a str,
    token_type: &'a str,
    min_life: Option<Duration>,
    bypassed: bool,
}

impl<'a> AccessTokenQuery<'a> {
    /// All of these scopes, separated by spaces; without regard to case. `openid`, `profile` and `offline_access` are about
    /// the sign-in, so among others they are not looked for.
    #[must_use]
    pub fn scopes(scopes: &'a str) -> Self {
        Self { scopes, audience: "", token_type: "Bearer", min_life: None, bypassed: false }
    }

    /// For this API, named as [`Client::audience`](crate::Client::audience) names it. Without it, a token that was asked for
    /// without one.
    #[must_use]
    pub fn audience(mut self, audience: &'a str) -> Self {
        self.audience = audience;
        self
    }

    /// Of another type than Bearer.
    #[must_use]
    pub fn token_type(mut self, token_type: &'a str) -> Self {
        self.token_type = token_type;
        self
    }

    /// It must live this long yet, in place of five minutes or a fifth of its life.
    #[must_use]
    pub fn min_life(mut self, time: Option<Duration>) -> Self {
        self.min_life = time;
        self
    }

    /// Never from the cache: a refresh is forced, or an API asked for more claims than its token has. Refresh tokens are found
    /// all the same.
    #[must_use]
    pub fn bypass(mut self) -> Self {
        self.bypassed = true;
        self
    }

    /// Whether this token, alive or not, is what the server gives to who asks so.
    fn asks_for(&self, entry: &Entry) -> bool {
        let met = self.is_met_by(entry.target()) || self.is_met_by(entry.asked());
        met && entry.audience() == self.audience
    }

    pub(super) fn is_met_by(&self, target: &str) -> bool {
        let asked = || self.scopes.split(' ').filter(|scope| !scope.is_empty());
        let only_reserved = asked().all(is_reserved);
        // No answer ever lists offline_access, and other scopes say all that matters about the token.
        let mut needed = asked().filter(|scope| {
            if only_reserved { !scope.eq_ignore_ascii_case("offline_access") } else { !is_reserved(scope) }
        });
        needed.all(|scope| has_scope(target, scope))
    }
}

/// Scopes of OpenID Connect that say what the sign-in brings, not what a token is good for.
pub(super) fn is_reserved(scope: &str) -> bool {
    ["openid", "profile", "offline_access"].iter().any(|reserved| reserved.eq_ignore_ascii_case(scope))
}

pub(super) fn has_scope(target: &str, scope: &str) -> bool {
    target.split(' ').any(|known| known.eq_ignore_ascii_case(scope))
}

/// An access token in a cache that still lives.
#[derive(Clone, Copy)]
pub struct CachedAccessToken<'a>(&'a Entry);

impl CachedAccessToken<'_> {
    /// The token, as a copy that outlives the cache.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::from(self.0.secret())
    }

    /// The end of its life.
    #[must_use]
    pub fn expires_on(&self) -> UnixTime {
        self.0.expires().unwrap_or_default()
    }

    /// Whether the server wishes it to be replaced by now, although it lives on. Try to refresh; use this one if that fails.
    #[must_use]
    pub fn is_aging(&self, now: UnixTime) -> bool {
        self.refresh_on().is_some_and(|refresh_on| refresh_on <= now)
    }

    pub(crate) fn refresh_on(&self) -> Option<UnixTime> {
        self.0.refresh()
    }

    /// The scopes that it is good for.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.target().split(' ').filter(|scope| !scope.is_empty())
    }

    pub(crate) fn target(&self) -> &str {
        self.0.target()
    }

    /// How it is to be presented, as the cache has it; Bearer when that says nothing.
    #[must_use]
    pub fn token_type(&self) -> &str {
        self.0.token_type()
    }
}

/// A refresh token in a cache. Only the server knows whether it still works.
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

    /// Whether it came from another client of the same family. A server that answers `client_mismatch` to it says that the
    /// client is not in the family: go on with the next, and tell the cache with [`TokenCache::leave_family`].
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
    /// An access token that covers the scopes and lives for five minutes yet, or for a fifth of its life when that is less, unless
    /// the query says [how long](AccessTokenQuery::min_life); of several the one that lives longest.
    ///
    /// A token that was written in the future is not trusted to say when it ends: the clock has been put back.
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
        let alive = |entry: &&Entry| {
            let life = query.min_life.unwrap_or_else(|| margin(entry));
            let expires = entry.expires().is_some_and(|expires| expires > now.saturating_add(life));
            expires && entry.written().is_none_or(|cached| cached <= now.saturating_add(SKEW))
        };
        let fits = |entry: &&Entry| {
            entry.kind == Kind::AccessToken
                && !entry.is_bound()
                && !entry.secret().is_empty()
                && owner.is_client_of(entry)
                && owner.is_in_realm_of(entry)
                && entry.token_type().eq_ignore_ascii_case(query.token_type)
                && query.asks_for(entry)
        };
        let found = self.owned_by(&owner).filter(alive).filter(fits);
        found.max_by_key(|entry| (entry.expires(), entry.written())).map(CachedAccessToken)
    }

    /// Whether this was asked for when the owner signed in, as far as is known: some access token, alive or not, was
    /// for them, or there is none that could tell.
    pub(crate) fn has_asked(&self, owner: Owner<'_>, query: AccessTokenQuery<'_>) -> bool {
        let is_mine = |entry: &&Entry| {
            entry.kind == Kind::AccessToken && owner.is_client_of(entry) && owner.is_in_realm_of(entry)
        };
        let mut tokens = self.owned_by(&owner).filter(is_mine).peekable();
        tokens.peek().is_none() || tokens.any(|entry| query.asks_for(entry))
    }

    /// Whether anything is there that this client could use.
    pub(crate) fn has_tokens(&self, owner: Owner<'_>) -> bool {
        let mut tokens = self.owned_by(&owner).filter(|entry| entry.kind == Kind::AccessToken);
        tokens.any(|entry| owner.is_client_of(entry)) || self.is_refreshable(owner)
    }

    /// Whether there is a refresh token that may work.
    #[must_use]
    pub fn is_refreshable(&self, owner: Owner<'_>) -> bool {
        let family = self.family(owner.client_id, owner.authority);
        self.owned_by(&owner).any(|entry| is_usable(entry, &owner, family))
    }

    /// All refresh tokens that may work, the likeliest first: those of the client's family, then the client's own; in each
    /// the newest first. Try one after the other: some MSALs leave a replaced token beside the new one.
    #[must_use]
    pub fn refresh_tokens(&self, owner: Owner<'_>) -> Vec<CachedRefreshToken<'_>> {
        let family = self.family(owner.client_id, owner.authority);
        let of_family = |entry: &Entry| is_of_family(entry, family);
        let mut found: Vec<&Entry> = self.owned_by(&owner).filter(|entry| is_usable(entry, &owner, family)).collect();
        // The first in the file comes first among equals, as it does for every MSAL.
        found.sort_by_key(|entry| Reverse((of_family(entry), self.freshness(entry))));
        let token = |entry| CachedRefreshToken { entry, foreign: !owner.is_client_of(entry) };
        found.into_iter().map(token).collect()
    }

    /// The ID token of the last sign-in or refresh, as the server sent it. It may have expired; it says who someone is, and
    /// opens nothing.
    #[must_use]
    pub fn id_token(&self, owner: Owner<'_>) -> Option<Secret> {
        let mut owned = self.owned_by(&owner).filter(|entry| entry.kind == Kind::IdToken);
        let found = owned.find(|entry| owner.is_client_of(entry) && owner.is_in_realm_of(entry));
        found.map(|entry| Secret::from(entry.secret()))
    }

    /// The family whose refresh tokens a client may use: `None` if none, empty never.
    pub(super) fn family(&self, client_id: &str, authority: &Authority) -> Option<&str> {
        if authority.kind() != AuthorityKind::Entra {
            return None;
        }
        let known = self.app_metadata(client_id, authority);
        // A client that was never seen may be in it: only the server can tell.
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
        let authority = owner.authority;
        self.of_home(owner.home_account_id).filter(move |entry| authority.knows(entry.environment()))
    }

    /// When a refresh token was written. Only some writers say; of the others it is known when they wrote the newest access
    /// token beside it, and a server that replaces refresh tokens does so each time.
    fn freshness(&self, token: &Entry) -> (UnixTime, bool) {
        if let Some(written) = token.written() {
            return (written.saturating_add(SAME_TIME), true);
        }
        let beside = self.of_home(token.home()).filter(|entry| {
            entry.kind == Kind::AccessToken
                && entry.client().eq_ignore_ascii_case(token.client())
                && entry.environment().eq_ignore_ascii_case(token.environment())
        });
        (beside.filter_map(Entry::written).max().unwrap_or_default(), false)
    }
}

/// How long before its end a token is not used any more. Some servers give tokens of five minutes.
fn margin(entry: &Entry) -> Duration {
    let life = entry.expires().zip(entry.written()).map(|(expires, written)| expires.saturating_since(written));
    life.and_then(|life| life.checked_div(5)).map_or(SKEW, |fifth| fifth.min(SKEW))
}

fn is_of_family(entry: &Entry, family: Option<&str>) -> bool {
    family.is_some_and(|family| !family.is_empty() && entry.family() == family)
}

/// Whether this refresh token may work for this owner.
fn is_usable(entry: &Entry, owner: &Owner<'_>, family: Option<&str>) -> bool {
    entry.kind == Kind::RefreshToken
        && !entry.secret().is_empty()
        && (owner.is_client_of(entry) || is_of_family(entry, family))
}

impl Owner<'_> {
    pub(super) fn is_client_of(&self, entry: &Entry) -> bool {
        entry.client().eq_ignore_ascii_case(self.client_id)
    }

    pub(super) fn is_in_realm_of(&self, entry: &Entry) -> bool {
        same_realm(self.authority.realm(), entry.realm(), self.home_account_id)
    }
}
