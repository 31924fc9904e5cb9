//! Owns the way between a store and a cache: load without the lock, or lock, load, change, save; and what can go wrong there.

use device_flow_core::{
    AccessTokenQuery, Account, Action, CacheError, ConfigError, Failure, Machine as _, Secret, SignIn, SignInRequest,
    SignedIn, Stopped, Timestamp, TokenCache, TokenKind, TokenResponse, UnixTime,
};
use device_flow_store::{Contents, Locked, Store, StoreError};
use std::sync::Arc;
use std::time::SystemTime;
use std::{fmt, io};

/// Why there is no token, or none that is kept. The text says what happened; [`advice`](Self::advice) what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// The sign-in did not come to its end; most often [`Stopped::Failed`].
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store could not be read or locked. Nothing was asked of the server or the person.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// What is stored is no token cache. It is left as it is.
    #[error(transparent)]
    Cache(CacheError),
    /// There is a token, which can be used; but the next run will not find it.
    #[error("signed in, but the tokens could not be kept: {error}")]
    NotKept {
        /// What the sign-in brought.
        signed_in: Box<SignedIn>,
        /// Why it is not kept.
        error: Box<SignInError>,
    },
    /// The system has no random bytes to give.
    #[error("no random bytes: {0}")]
    Entropy(Arc<io::Error>),
}

impl SignInError {
    /// What the machine ended with, if it is that kind of error.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        if let Self::Stopped(Stopped::Failed(failure)) = self { Some(failure) } else { None }
    }

    /// What a person can do about it, where the text does not say it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Stopped(_) | Self::Cache(_) | Self::Entropy(_) => None,
            Self::Store(error) => Some(error.advice()),
            Self::NotKept { error, .. } => error.advice(),
        }
    }
}

impl From<StoreError> for SignInError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<Failure> for SignInError {
    fn from(failure: Failure) -> Self {
        Self::Stopped(Stopped::Failed(failure))
    }
}

impl From<io::Error> for SignInError {
    fn from(error: io::Error) -> Self {
        Self::Entropy(Arc::new(error))
    }
}

/// Who was signed out. Here they are gone; whether the server knows, too, is told.
#[derive(Clone, Debug)]
#[must_use = "the server may still honour the tokens"]
pub struct SignedOut {
    /// Who it was.
    pub account: Account,
    /// Why the server still honours the tokens until they end by themselves; `None` when it does not.
    pub not_revoked: Option<NotRevoked>,
}

/// Why tokens that are gone here live on at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotRevoked {
    /// There is no revocation endpoint that may be used.
    NoEndpoint(ConfigError),
    /// It did not work.
    Stopped(Stopped),
}

impl fmt::Display for NotRevoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEndpoint(error) => write!(f, "{error}"),
            Self::Stopped(stopped) => write!(f, "the token was not revoked: {stopped}"),
        }
    }
}

/// The time of the calendar, in which the lives of stored tokens are told. A clock before 1970 says 1970.
pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime::from_secs(since.unwrap_or_default().as_secs())
}

/// What is stored. MSAL writes in place, so half a file is read again under the lock.
pub(crate) fn load(store: &dyn Store) -> Result<TokenCache, SignInError> {
    let stored = store.load()?;
    parse(stored.as_deref()).or_else(|_| Ok(Held::lock(store)?.1))
}

/// The outcome of a silent sign-in that needs neither the server nor a change of what is stored.
pub(crate) fn at_once(
    store: &dyn Store,
    request: &SignInRequest,
) -> Result<Option<Result<SignedIn, Failure>>, SignInError> {
    let mut sign_in = SignIn::silent(request.clone(), load(store)?, now());
    let first = sign_in.next_action(Timestamp::ZERO);
    Ok(if let Action::Done(outcome) = first { Some(outcome) } else { None })
}

/// The lock of a store, which is given back when this is dropped.
pub(crate) struct Held(Box<dyn Locked>);

impl Held {
    /// Waits for the lock. The cache is what is stored now.
    pub(crate) fn lock(store: &dyn Store) -> Result<(Self, TokenCache), SignInError> {
        let locked = store.lock()?;
        let cache = parse(locked.current())?;
        Ok((Self(locked), cache))
    }

    /// Stores the cache, if it has changed. A program that keeps to no lock may have been quicker: then on top of what it wrote.
    pub(crate) fn save(mut self, mut cache: TokenCache) -> Result<(), SignInError> {
        /// Nobody is quicker that often by chance.
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
}

fn parse(stored: Option<&[u8]>) -> Result<TokenCache, SignInError> {
    TokenCache::from_json(stored.unwrap_or_default()).map_err(SignInError::Cache)
}

/// What a silent sign-in came to, once its cache was saved or not.
pub(crate) fn settled(
    outcome: Result<SignedIn, Stopped>,
    saved: Result<(), SignInError>,
) -> Result<SignedIn, SignInError> {
    match (outcome, saved) {
        (Ok(signed_in), Err(error)) => Err(not_kept(signed_in, error)),
        (_, Err(error)) => Err(error),
        (outcome, Ok(())) => Ok(outcome?),
    }
}

fn not_kept(signed_in: SignedIn, error: SignInError) -> SignInError {
    SignInError::NotKept { signed_in: Box::new(signed_in), error: Box::new(error) }
}

/// Checks and keeps what a device flow brought. It is not lost when the store fails.
pub(crate) fn keep(
    store: &dyn Store,
    request: &SignInRequest,
    response: &TokenResponse,
) -> Result<SignedIn, SignInError> {
    let alone = request.keep(response, &mut TokenCache::new(), now())?;
    let kept = Held::lock(store).and_then(|(held, mut cache)| {
        let signed_in = request.keep(response, &mut cache, now())?;
        held.save(cache).map(|()| signed_in)
    });
    kept.map_err(|error| not_kept(alone, error))
}

/// An account that was removed, and what to revoke.
pub(crate) type Forgotten = (Account, Vec<(Secret, TokenKind)>);

/// Removes an account, and tells what to revoke: its refresh tokens, or the access token where there is none.
pub(crate) fn forget(store: &dyn Store, request: &SignInRequest) -> Result<Option<Forgotten>, SignInError> {
    let (held, mut cache) = Held::lock(store)?;
    let Some(account) = request.whose(&cache)? else { return Ok(None) };
    let owner = request.owner(&account);
    // What another client of the family brought is its own to revoke.
    let refresh_tokens = cache.refresh_tokens(owner).into_iter().filter(|token| !token.is_of_family());
    let mut tokens: Vec<_> = refresh_tokens.map(|token| (token.secret(), TokenKind::RefreshToken)).collect();
    if tokens.is_empty() {
        let client = request.client();
        let query = AccessTokenQuery::scopes(client.scope()).audience(client.audience());
        let access_token = cache.access_token(owner, query, now());
        tokens.extend(access_token.map(|token| (token.secret(), TokenKind::AccessToken)));
    }
    cache.remove_account(owner);
    held.save(cache)?;
    Ok(Some((account, tokens)))
}
