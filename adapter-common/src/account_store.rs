//! Owns the way between a store and a cache: load without the lock, or lock, load, change and save.

use crate::{NotRevoked, SignInError, SignedOut};
use device_flow_core::{
    AccessTokenQuery, Action, Failure, Machine as _, Revocation, SignIn, SignInRequest, SignedIn, Stopped, Timestamp,
    TokenCache, TokenKind, TokenResponse, UnixTime,
};
use device_flow_store::{Contents, Locked, Store, StoreError};
use std::fmt;
use std::time::SystemTime;

/// Calendar time, by which stored tokens expire.
fn calendar_time() -> UnixTime {
    SystemTime::now().into()
}

/// What is stored. MSAL writes in place, so a file that was read half written is read again under the lock.
///
/// # Errors
/// [`SignInError`] when the store cannot be read, or holds something else than a cache.
pub fn load(store: &dyn Store) -> Result<TokenCache, SignInError> {
    let stored = store.load()?;
    parse(stored.as_deref()).or_else(|_| Ok(LockedCache::lock(store)?.1))
}

/// The outcome of a silent sign-in that needs neither the server nor a change of what is stored; else `None`.
///
/// # Errors
/// [`SignInError`] when the store cannot be read.
pub fn silent_from_cache(
    store: &dyn Store,
    request: &SignInRequest,
) -> Result<Option<Result<SignedIn, Failure>>, SignInError> {
    let mut sign_in = SignIn::silent(request.clone(), load(store)?, calendar_time());
    let first = sign_in.next_action(Timestamp::ZERO);
    Ok(if let Action::Done(outcome) = first { Some(outcome) } else { None })
}

/// A silent sign-in on what is stored, under the store's lock: run it, then give its cache to [`LockedCache::settle`].
///
/// # Errors
/// [`SignInError`] when the store cannot be locked or read.
pub fn silent_under_lock(store: &dyn Store, request: SignInRequest) -> Result<(LockedCache, SignIn), SignInError> {
    let (locked, cache) = LockedCache::lock(store)?;
    Ok((locked, SignIn::silent(request, cache, calendar_time())))
}

/// The lock of a store that holds a cache. Dropping it gives the lock back.
#[must_use = "the lock is given back at once when this is dropped"]
pub struct LockedCache(Box<dyn Locked>);

impl LockedCache {
    /// Waits for the lock. The cache is what is stored now.
    fn lock(store: &dyn Store) -> Result<(Self, TokenCache), SignInError> {
        let locked = store.lock()?;
        let cache = parse(locked.current())?;
        Ok((Self(locked), cache))
    }

    /// Stores the cache, if it has changed. If another program that ignores the lock has written in between, on top of what
    /// it wrote.
    fn save(mut self, mut cache: TokenCache) -> Result<(), SignInError> {
        /// Nobody comes in between that often by chance.
        const ROUNDS: usize = 5;
        let mut rounds = 1..ROUNDS;
        while cache.is_changed() {
            // Exposed to be stored, where only its owner reads.
            let bytes = Contents::from(cache.to_json().expose().as_bytes().to_vec());
            match self.0.save(bytes) {
                Ok(()) => break,
                Err(StoreError::Changed { .. }) if rounds.next().is_some() => self.0.reload()?,
                Err(error) => return Err(error.into()),
            }
            cache.merge(parse(self.0.current())?);
        }
        Ok(())
    }

    /// Stores what a silent sign-in has changed, whatever its outcome, and returns both.
    ///
    /// # Errors
    /// [`SignInError`]: the outcome's own, or that of the store; [`SignInError::NotKept`] has the token in it.
    pub fn settle(self, outcome: Result<SignedIn, Stopped>, sign_in: SignIn) -> Result<SignedIn, SignInError> {
        match (outcome, self.save(sign_in.into_cache())) {
            (Ok(signed_in), Err(error)) => Err(SignInError::not_kept(signed_in, error)),
            (_, Err(error)) => Err(error),
            (outcome, Ok(())) => Ok(outcome?),
        }
    }
}

impl fmt::Debug for LockedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedCache").finish_non_exhaustive()
    }
}

fn parse(stored: Option<&[u8]>) -> Result<TokenCache, SignInError> {
    Ok(TokenCache::from_json(stored.unwrap_or_default())?)
}

/// Checks and stores what a device flow brought.
///
/// # Errors
/// [`SignInError`]; [`SignInError::NotKept`] has the token in it.
pub fn keep(store: &dyn Store, request: &SignInRequest, response: &TokenResponse) -> Result<SignedIn, SignInError> {
    let unsaved = request.keep(response, &mut TokenCache::new(), calendar_time())?;
    let saved = LockedCache::lock(store).and_then(|(locked, mut cache)| {
        let signed_in = request.keep(response, &mut cache, calendar_time())?;
        locked.save(cache).map(|()| signed_in)
    });
    saved.map_err(|error| SignInError::not_kept(unsaved, error))
}

/// An account that is no longer stored, and what is left to do at the server.
#[derive(Debug)]
pub struct RemovedAccount {
    /// What to return, once the revocations have run; the last failure of one belongs in it.
    pub signed_out: SignedOut,
    /// Of its refresh tokens, or of the access token where there is none.
    pub revocations: Vec<Revocation>,
}

/// Removes an account from the store; `None` when it was not signed in.
///
/// # Errors
/// [`SignInError`] when the store cannot be changed.
pub fn remove(store: &dyn Store, request: &SignInRequest) -> Result<Option<RemovedAccount>, SignInError> {
    let (locked, mut cache) = LockedCache::lock(store)?;
    let Some(account) = request.find_account(&cache)? else { return Ok(None) };
    let (owner, client) = (request.owner(&account), request.client());
    // A token that another client of the family was given is that client's to revoke.
    let refresh_tokens = cache.refresh_tokens(owner).into_iter().filter(|token| !token.is_of_family());
    let mut tokens: Vec<_> = refresh_tokens.map(|token| (token.secret(), TokenKind::RefreshToken)).collect();
    if tokens.is_empty() {
        let query = AccessTokenQuery::scopes(client.scope()).audience(client.audience());
        let access_token = cache.access_token(owner, query, calendar_time());
        tokens.extend(access_token.map(|token| (token.secret(), TokenKind::AccessToken)));
    }
    cache.remove_account(owner);
    locked.save(cache)?;
    let (mut revocations, mut not_revoked) = (Vec::new(), None);
    for (token, kind) in tokens {
        match Revocation::new(client.clone(), token) {
            Ok(revocation) => revocations.push(revocation.kind(kind)),
            Err(error) => not_revoked = Some(NotRevoked::NoEndpoint(error)),
        }
    }
    Ok(Some(RemovedAccount { signed_out: SignedOut { account, not_revoked }, revocations }))
}
