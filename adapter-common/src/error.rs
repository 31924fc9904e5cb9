//! Owns how a sign-in or a sign-out of an account can fail.

use device_flow_core::{Account, CacheError, ConfigError, Failure, SignedIn, Stopped};
use device_flow_store::StoreError;
use std::io;
use std::sync::Arc;

/// Why there is no token, or none that was stored. The text says what happened; [`advice`](Self::advice) what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// The sign-in did not come to its end; most often [`Stopped::Failed`].
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store could not be read or locked. Nothing was asked of the server or the person.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// What is stored is not a token cache. It is left as it is.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// There is a token, which the next run will not find. After a refresh it can be used; what a sign-in brought was
    /// revoked, if the server can.
    #[error("signed in, but the tokens could not be stored: {error}{}", if *.revoked { "; they were revoked" } else { "" })]
    NotKept {
        /// What the sign-in brought.
        signed_in: Box<SignedIn>,
        /// Why it was not stored.
        error: Box<SignInError>,
        /// Whether the server has revoked it.
        revoked: bool,
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

    pub(crate) fn not_kept(signed_in: SignedIn, error: Self) -> Self {
        Self::NotKept { signed_in: Box::new(signed_in), error: Box::new(error), revoked: false }
    }

    /// The same once the server has revoked what could not be stored.
    #[must_use]
    pub fn once_revoked(mut self) -> Self {
        if let Self::NotKept { revoked, .. } = &mut self {
            *revoked = true;
        }
        self
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

/// An account that was signed out: its tokens are gone here, and `not_revoked` says whether the server still honours them.
#[derive(Clone, Debug)]
#[must_use = "the server may still honour the tokens"]
pub struct SignedOut {
    /// Whose it was.
    pub account: Account,
    /// Why the server still honours the tokens until they end by themselves; `None` when it does not.
    pub not_revoked: Option<NotRevoked>,
}

/// Why tokens that are gone here live on at the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotRevoked {
    /// There is no revocation endpoint that may be used.
    #[error("{0}")]
    NoEndpoint(ConfigError),
    /// It did not work.
    #[error("the token was not revoked: {0}")]
    Stopped(#[from] Stopped),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_of_a_machine_can_be_asked_for_and_there_is_none_of_a_store() {
        assert_eq!(SignInError::from(Failure::Cancelled).failure(), Some(&Failure::Cancelled));
        assert_eq!(SignInError::from(StoreError::NoHome).failure(), None);
        assert_eq!(SignInError::from(Stopped::Interrupted).failure(), None);
    }
}
