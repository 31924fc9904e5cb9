//! Owns the way between a store and a cache: load without a lock, or lock, load, change and save; and the order of what
//! must not be lost.

use crate::{NotRevoked, SignInError, SignedOut};
use device_flow_core::{
    AccessTokenQuery, Account, Action, Authority, AuthorityKind, CacheError, Failure, Machine as _, Owner, Revocation,
    Secret, SignIn, SignInRequest, SignedIn, Stopped, Timestamp, TokenCache, TokenKind, TokenResponse, UnixTime,
};
use device_flow_store::{Contents, Lease, Locked, Store, StoreError};
use std::fmt;
use std::time::{Duration, SystemTime};

/// How long to wait for somebody else's refresh of the same owner: longer than one may take as a whole.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// Room for the tokens of one more owner. The largest tokens that are known are those of people in hundreds of groups.
const ONE_MORE: usize = 64 * 1024;

/// How often a save starts again because a program that ignores the lock has written meanwhile. Nobody comes in between
/// that often by chance.
const ROUNDS: usize = 5;

/// Calendar time, by which stored tokens expire.
fn calendar_time() -> UnixTime {
    SystemTime::now().into()
}

/// What a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All accounts: nobody else reads it.
    Whole,
    /// What an MSAL may read.
    Shared,
    /// All other accounts.
    Unshared,
}

impl Part {
    fn parse(self, stored: Option<&[u8]>) -> Result<TokenCache, CacheError> {
        let stored = stored.unwrap_or_default();
        match self {
            Self::Whole => TokenCache::from_json(stored),
            Self::Shared => TokenCache::from_parts(stored, b""),
            Self::Unshared => TokenCache::from_parts(b"", stored),
        }
    }

    fn written(self, cache: &TokenCache) -> Contents {
        let json = match self {
            Self::Whole => Some(cache.to_json()),
            Self::Shared => cache.to_shared_json(),
            Self::Unshared => cache.to_unshared_json(),
        };
        // Exposed to be stored, where only its owner reads.
        Contents::from(json.as_ref().map_or("{}", Secret::expose).as_bytes().to_vec())
    }
}

/// The store in which the tokens for a request are.
struct Home<'a> {
    store: Lent<'a>,
    part: Part,
}

enum Lent<'a> {
    Ours(Box<dyn Store>),
    Theirs(&'a dyn Store),
}

impl<'a> Home<'a> {
    /// After what version 0.1.0 has left in the shared part was moved to the other.
    fn of(store: &'a dyn Store, request: &SignInRequest) -> Result<Self, SignInError> {
        let Some(unshared) = store.unshared() else {
            return Ok(Self { store: Lent::Theirs(store), part: Part::Whole });
        };
        if parsed_or_locked(store, |stored| Part::Shared.parse(stored))?.is_misplaced() {
            move_former(store, &*unshared)?;
        }
        Ok(match request.client().authority().kind() == AuthorityKind::Generic {
            true => Self { store: Lent::Ours(unshared), part: Part::Unshared },
            false => Self { store: Lent::Theirs(store), part: Part::Shared },
        })
    }

    fn store(&self) -> &dyn Store {
        match &self.store {
            Lent::Ours(store) => &**store,
            Lent::Theirs(store) => *store,
        }
    }

    fn lock(&self) -> Result<(LockedCache, TokenCache), SignInError> {
        LockedCache::of(self.store().lock()?, self.part)
    }
}

/// Moves what version 0.1.0 has written for accounts that no MSAL may see. The new place is written first: a crash between
/// leaves the accounts in both, and the next run removes them from the old one.
fn move_former(store: &dyn Store, unshared: &dyn Store) -> Result<(), SignInError> {
    let (mut from, mut to) = (store.lock()?, unshared.lock()?);
    let mut rounds = 1..ROUNDS;
    loop {
        let cache = TokenCache::from_parts(from.current().unwrap_or_default(), to.current().unwrap_or_default())?;
        if !cache.is_misplaced() {
            return Ok(());
        }
        let written = to.save(Part::Unshared.written(&cache));
        match written.and_then(|()| from.save(Part::Shared.written(&cache))) {
            Err(StoreError::Changed { .. }) if rounds.next().is_some() => {
                from.reload()?;
                to.reload()?;
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Everything that is stored. MSAL writes in place, so a file that was read half written is read again under the lock.
///
/// # Errors
/// [`SignInError`] when the store cannot be read, or holds something else than a cache.
pub fn load(store: &dyn Store) -> Result<TokenCache, SignInError> {
    let Some(unshared) = store.unshared() else { return parsed_or_locked(store, |stored| Part::Whole.parse(stored)) };
    let others = unshared.load()?;
    let others = others.as_deref().unwrap_or_default();
    parsed_or_locked(store, |stored| TokenCache::from_parts(stored.unwrap_or_default(), others))
}

fn parsed_or_locked(
    store: &dyn Store,
    parse: impl Fn(Option<&[u8]>) -> Result<TokenCache, CacheError>,
) -> Result<TokenCache, SignInError> {
    let stored = store.load()?;
    match parse(stored.as_deref()) {
        Ok(cache) => Ok(cache),
        Err(_) => Ok(parse(store.lock()?.current())?),
    }
}

/// The outcome of a silent sign-in that needs neither the server nor a change of what is stored; else `None`.
///
/// # Errors
/// [`SignInError`] when the store cannot be read.
pub fn silent_from_cache(
    store: &dyn Store,
    request: &SignInRequest,
) -> Result<Option<Result<SignedIn, Failure>>, SignInError> {
    Ok(without_request(request, load(store)?))
}

fn without_request(request: &SignInRequest, cache: TokenCache) -> Option<Result<SignedIn, Failure>> {
    let mut sign_in = SignIn::silent(request.clone(), cache, calendar_time());
    let first = sign_in.next_action(Timestamp::ZERO);
    if let Action::Done(outcome) = first { Some(outcome) } else { None }
}

/// What a silent sign-in that needs the server begins with.
#[derive(Debug)]
pub enum Begun {
    /// It does not need the server after all: somebody else has refreshed meanwhile.
    Done(Result<SignedIn, Failure>),
    /// Run this, then [`settle`](Refreshing::settle).
    Refresh(Box<SignIn>, Refreshing),
}

/// Begins a refresh: waits for the lease of its owner, looks again at what is stored, and reserves room for the answer.
/// Only those who want the same owner's token wait for each other.
///
/// `patience`: how long to wait for somebody else's refresh, usually [`PATIENCE`].
///
/// # Errors
/// [`SignInError`] when the store cannot be locked or read, or when somebody else's refresh takes longer than that
/// ([`is_busy`]).
pub fn begin_refresh(store: &dyn Store, request: SignInRequest, patience: Duration) -> Result<Begun, SignInError> {
    let cache = load(store)?;
    let account = request.find_account(&cache);
    let owner = account.ok().flatten().map(|account| request.owner(&account).key());
    if owner.is_none()
        && let Some(outcome) = without_request(&request, cache)
    {
        return Ok(Begun::Done(outcome));
    }
    let home = Home::of(store, &request)?;
    let mut lease = home.store().lease(&owner.unwrap_or_default(), patience)?;
    // Nothing is asked of the server when the answer could not be stored because the store cannot be locked.
    let locked = lease.lock()?;
    let parse = || home.part.parse(locked.current());
    if let Some(outcome) = without_request(&request, parse()?) {
        return Ok(Begun::Done(outcome));
    }
    let (cache, bytes) = (parse()?, locked.current().map_or(0, <[u8]>::len));
    drop(locked);
    // Without room the refresh is tried all the same: the token can be used, and there may be room when it arrives.
    let _ = lease.reserve(bytes.saturating_add(ONE_MORE));
    let sign_in = SignIn::silent(request, cache, calendar_time());
    Ok(Begun::Refresh(Box::new(sign_in), Refreshing { lease, part: home.part }))
}

/// Whether others hold a lease or a lock.
#[must_use]
pub fn is_busy(error: &SignInError) -> bool {
    matches!(error, SignInError::Store(error) if matches!(**error, StoreError::Busy { .. }))
}

/// A refresh that goes on: it holds the lease of its owner, and nothing else.
#[must_use = "the lease is given back when this is dropped, and what the refresh brought is lost"]
pub struct Refreshing {
    lease: Box<dyn Lease>,
    part: Part,
}

impl Refreshing {
    /// Stores what a silent sign-in has changed, whatever its outcome, and returns the outcome. Waits for the store's lock
    /// as long as it takes: what it brings is nowhere else.
    ///
    /// # Errors
    /// [`SignInError`]: the outcome's own, or that of the store; [`SignInError::NotKept`] has the token in it.
    pub fn settle(mut self, outcome: Result<SignedIn, Stopped>, sign_in: SignIn) -> Result<SignedIn, SignInError> {
        let mut cache = sign_in.into_cache();
        if !cache.is_changed() {
            return Ok(outcome?);
        }
        let saved = patiently(|| self.lease.lock()).and_then(|locked| {
            let (locked, stored) = LockedCache::of(locked, self.part)?;
            cache.merge(stored);
            locked.save(cache)
        });
        match (outcome, saved) {
            (Ok(signed_in), Err(error)) => Err(SignInError::not_kept(signed_in, error)),
            (_, Err(error)) => Err(error),
            (outcome, Ok(())) => Ok(outcome?),
        }
    }
}

impl fmt::Debug for Refreshing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshing").field("part", &self.part).finish_non_exhaustive()
    }
}

/// Takes a lock however long others hold it.
fn patiently(mut lock: impl FnMut() -> Result<Box<dyn Locked>, StoreError>) -> Result<Box<dyn Locked>, SignInError> {
    loop {
        match lock() {
            Err(StoreError::Busy { .. }) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// The lock of a store that holds a cache. Dropping it gives the lock back.
struct LockedCache {
    locked: Box<dyn Locked>,
    part: Part,
}

impl LockedCache {
    /// With what is stored now.
    fn of(locked: Box<dyn Locked>, part: Part) -> Result<(Self, TokenCache), SignInError> {
        let cache = part.parse(locked.current())?;
        Ok((Self { locked, part }, cache))
    }

    /// Stores the cache, if it has changed. If another program that ignores the lock has written in between, on top of
    /// what it wrote.
    fn save(mut self, mut cache: TokenCache) -> Result<(), SignInError> {
        let mut rounds = 1..ROUNDS;
        while cache.is_changed() {
            match self.locked.save(self.part.written(&cache)) {
                Ok(()) => break,
                Err(StoreError::Changed { .. }) if rounds.next().is_some() => self.locked.reload()?,
                Err(error) => return Err(error.into()),
            }
            cache.merge(self.part.parse(self.locked.current())?);
        }
        Ok(())
    }
}

/// Tries whether the store will take what a sign-in brings, before anybody is shown a code: it is locked and read, and
/// room is reserved and given back.
///
/// # Errors
/// [`SignInError`] when it will not.
pub fn try_store(store: &dyn Store, request: &SignInRequest) -> Result<(), SignInError> {
    let home = Home::of(store, request)?;
    let mut lease = home.store().lease("a sign-in", PATIENCE)?;
    let bytes = home.store().load()?.map_or(0, |contents| contents.len());
    lease.reserve(bytes.saturating_add(ONE_MORE))?;
    LockedCache::of(lease.lock()?, home.part).map(drop)
}

/// Checks and stores what a device flow brought. Waits for the store's lock as long as it takes.
///
/// # Errors
/// [`SignInError`]; [`SignInError::NotKept`] has the token in it. Then [revoke](revocation_of) what nobody will find.
pub fn keep(store: &dyn Store, request: &SignInRequest, response: &TokenResponse) -> Result<SignedIn, SignInError> {
    let unsaved = request.keep(response, &mut TokenCache::new(), calendar_time())?;
    let saved = Home::of(store, request).and_then(|home| {
        let (locked, mut cache) = LockedCache::of(patiently(|| home.store().lock())?, home.part)?;
        let signed_in = request.keep(response, &mut cache, calendar_time())?;
        locked.save(cache).map(|()| signed_in)
    });
    saved.map_err(|error| SignInError::not_kept(unsaved, error))
}

/// The revocation of tokens that could not be stored; `None` when the server has no endpoint for it.
#[must_use]
pub fn revocation_of(request: &SignInRequest, response: &TokenResponse) -> Option<Revocation> {
    let (token, kind) = match response.refresh_token() {
        Some(token) => (token, TokenKind::RefreshToken),
        None => (response.access_token(), TokenKind::AccessToken),
    };
    Some(Revocation::new(request.client().clone(), token.clone()).ok()?.kind(kind))
}

/// Removes an account from the store, and remembers in the same step what must be [revoked](revocations). `None` when
/// nobody was signed in.
///
/// # Errors
/// [`SignInError`] when the store cannot be changed.
pub fn remove(store: &dyn Store, request: &SignInRequest) -> Result<Option<SignedOut>, SignInError> {
    let (locked, mut cache) = Home::of(store, request)?.lock()?;
    let Some(account) = request.find_account(&cache)? else { return Ok(None) };
    let (owner, mut not_revoked) = (request.owner(&account), None);
    for (token, kind) in tokens_of(request, &cache, &account) {
        match Revocation::new(request.client().clone(), token.clone()) {
            Ok(_) => cache.remember_revocation(owner, &token, kind),
            Err(error) => not_revoked = Some(NotRevoked::NoEndpoint(error)),
        }
    }
    cache.remove_account(owner);
    locked.save(cache)?;
    Ok(Some(SignedOut { account, not_revoked }))
}

/// What sign-outs of this client at this server have left to revoke. [Forget](forget_revocation) each that has succeeded.
///
/// # Errors
/// [`SignInError`] when the store cannot be read.
pub fn revocations(store: &dyn Store, request: &SignInRequest) -> Result<Vec<(Secret, Revocation)>, SignInError> {
    let client = request.client();
    let remembered = load(store)?.revocations(client.client_id(), client.authority());
    let revocation = |(token, kind): (Secret, TokenKind)| {
        Some((token.clone(), Revocation::new(client.clone(), token).ok()?.kind(kind)))
    };
    Ok(remembered.into_iter().filter_map(revocation).collect())
}

/// Removes an account from the store, and leaves its tokens to the server.
///
/// # Errors
/// [`SignInError`] when the store cannot be changed.
pub fn forget(store: &dyn Store, request: &SignInRequest) -> Result<Option<SignedOut>, SignInError> {
    let (locked, mut cache) = Home::of(store, request)?.lock()?;
    let Some(account) = request.find_account(&cache)? else { return Ok(None) };
    cache.remove_account(request.owner(&account));
    locked.save(cache)?;
    Ok(Some(SignedOut { account, not_revoked: None }))
}

/// Moves a person whom the server does not name to another slot.
///
/// # Errors
/// [`SignInError`] when the store cannot be changed.
pub fn move_to_slot(
    store: &dyn Store,
    request: &SignInRequest,
    account: &Account,
    slot: &str,
) -> Result<(), SignInError> {
    let (locked, mut cache) = Home::of(store, request)?.lock()?;
    cache.move_to_slot(request.owner(account), slot);
    locked.save(cache)
}

/// Removes an account of this crate's own, of whatever client and server. One of Microsoft's servers may be another
/// program's, so it stays.
///
/// # Errors
/// [`SignInError`] when the store cannot be changed.
pub fn forget_account(store: &dyn Store, account: &Account) -> Result<(), SignInError> {
    let Some(client_id) = account.client_id() else { return Ok(()) };
    let authority = Authority::at(account.raw_environment());
    let unshared = store.unshared();
    let (store, part) = match &unshared {
        Some(unshared) => (&**unshared, Part::Unshared),
        None => (store, Part::Whole),
    };
    let (locked, mut cache) = LockedCache::of(store.lock()?, part)?;
    cache.remove_account(Owner { person: account.person(), client_id, authority: &authority });
    locked.save(cache)
}

/// Forgets a token that the server has revoked.
///
/// # Errors
/// [`SignInError`] when the store cannot be changed.
pub fn forget_revocation(store: &dyn Store, request: &SignInRequest, token: &Secret) -> Result<(), SignInError> {
    let (locked, mut cache) = Home::of(store, request)?.lock()?;
    cache.forget_revocation(token);
    locked.save(cache)
}

/// The tokens of an account that this client may revoke.
fn tokens_of(request: &SignInRequest, cache: &TokenCache, account: &Account) -> Vec<(Secret, TokenKind)> {
    let (owner, client) = (request.owner(account), request.client());
    // A token that another client of the family was given is that client's to revoke.
    let refresh_tokens = cache.refresh_tokens(owner).into_iter().filter(|token| !token.is_of_family());
    let mut tokens: Vec<_> = refresh_tokens.map(|token| (token.secret(), TokenKind::RefreshToken)).collect();
    if tokens.is_empty() {
        let query = AccessTokenQuery::scopes(client.scope()).audience(client.audience());
        let access_token = cache.access_token(owner, query, calendar_time());
        tokens.extend(access_token.map(|token| (token.secret(), TokenKind::AccessToken)));
    }
    tokens
}

#[cfg(test)]
mod tests;
