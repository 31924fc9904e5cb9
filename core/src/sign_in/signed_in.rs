//! Owns what a sign-in brings, wherever it came from.

use crate::{Account, CachedAccessToken, Secret, TokenResponse, UnixTime};
use alloc::boxed::Box;
use core::fmt;

/// An access token that can be used now, and whose it is.
#[derive(Clone)]
pub struct SignedIn {
    access_token: Secret,
    id_token: Option<Secret>,
    scopes: Box<str>,
    expires_on: Option<UnixTime>,
    refresh_on: Option<UnixTime>,
    account: Option<Account>,
    source: TokenSource,
    refreshable: bool,
    response: Option<Box<TokenResponse>>,
}

/// Where an access token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSource {
    /// It was in the cache.
    Cache,
    /// A refresh token brought it.
    Refresh,
    /// A person approved it just now.
    DeviceFlow,
}

impl SignedIn {
    pub(super) fn cached(
        token: &CachedAccessToken<'_>,
        id_token: Option<Secret>,
        account: Account,
        refreshable: bool,
    ) -> Self {
        Self {
            access_token: token.secret(),
            id_token,
            scopes: Box::from(token.target()),
            expires_on: Some(token.expires_on()),
            refresh_on: token.refresh_on(),
            account: Some(account),
            source: TokenSource::Cache,
            refreshable,
            response: None,
        }
    }

    pub(super) fn granted(
        response: &TokenResponse,
        account: Option<Account>,
        source: TokenSource,
        now: UnixTime,
    ) -> Self {
        let scopes = response.granted();
        Self {
            access_token: response.access_token().clone(),
            id_token: response.id_token().cloned(),
            scopes: Box::from(scopes),
            expires_on: response.expires_in().map(|life| now.saturating_add(life)),
            refresh_on: None,
            account,
            source,
            refreshable: response.refresh_token().is_some(),
            response: Some(Box::new(response.clone())),
        }
    }

    /// The access token, of type Bearer: it goes into the `Authorization` header (RFC 6750 §2.1), never into a URL.
    #[must_use]
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// The value of the `Authorization` header that an API wants to see; `None` when the token holds a space.
    #[must_use]
    pub fn authorization(&self) -> Option<Secret> {
        self.access_token.as_bearer()
    }

    /// The ID token as the server sent it last, checked when it came. One from the cache may have expired since.
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref()
    }

    /// The end of the access token's life; `None` when the server did not say.
    #[must_use]
    pub fn expires_on(&self) -> Option<UnixTime> {
        self.expires_on
    }

    /// The scopes that it is good for, which may be others than those that were asked for.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whose it is; `None` only when the server told it neither now nor before.
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Where it came from.
    #[must_use]
    pub fn source(&self) -> TokenSource {
        self.source
    }

    /// Whether a refresh token can replace it silently.
    #[must_use]
    pub fn is_refreshable(&self) -> bool {
        self.refreshable
    }

    /// The whole answer of the server with its further members; `None` when the token was in the cache.
    #[must_use]
    pub fn response(&self) -> Option<&TokenResponse> {
        self.response.as_deref()
    }

    /// Whether the server wishes it to be replaced by now, although it lives on.
    pub(super) fn is_aging(&self, now: UnixTime) -> bool {
        self.refresh_on.is_some_and(|refresh_on| refresh_on <= now)
    }
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SignedIn");
        debug.field("source", &self.source).field("scopes", &self.scopes);
        debug.field("expires_on", &self.expires_on).field("is_refreshable", &self.refreshable).finish_non_exhaustive()
    }
}
