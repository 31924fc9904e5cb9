//! Owns the result of a sign-in, wherever the token came from.

use crate::prompt::harmless;
use crate::{Account, CachedAccessToken, Secret, TokenResponse, TokenType, UnixTime};
use alloc::boxed::Box;
use core::fmt;

/// An access token that can be used now, and its account.
#[derive(Clone)]
pub struct SignedIn {
    access_token: Secret,
    token_type: TokenType,
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
    /// From the cache.
    Cache,
    /// By a refresh.
    Refresh,
    /// By a device flow that a person has approved.
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
            token_type: if token.is_proven() { TokenType::Dpop } else { TokenType::Bearer },
            id_token,
            scopes: Box::from(&*harmless(token.target())),
            expires_on: token.expires_on(),
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
        let scopes = response.shown_scope();
        Self {
            access_token: response.access_token().clone(),
            token_type: response.token_type(),
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

    /// The access token: it goes into the `Authorization` header (RFC 6750 §2.1), never into a URL.
    #[must_use]
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// Bearer; or DPoP when it is bound to the key of the client.
    #[must_use]
    pub fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// The value of the `Authorization` header of a request to the API, as
    /// [`TokenResponse::authorization`](crate::TokenResponse::authorization) has it.
    #[must_use]
    pub fn authorization(&self) -> Option<Secret> {
        self.access_token.as_credentials(self.token_type)
    }

    /// The last ID token from the server, checked when it came. One from the cache may have expired since.
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref()
    }

    /// When the access token expires; `None` when the server did not say.
    #[must_use]
    pub fn expires_on(&self) -> Option<UnixTime> {
        self.expires_on
    }

    /// The scopes that it is valid for, which may differ from the requested ones; safe to print.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.split(' ').filter(|scope| !scope.is_empty())
    }

    /// The account; `None` only when the server never named one.
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

    /// The whole token response with its further members; `None` when the token was in the cache.
    #[must_use]
    pub fn response(&self) -> Option<&TokenResponse> {
        self.response.as_deref()
    }

    /// Whether the server wants it replaced by now, although it is still valid.
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
