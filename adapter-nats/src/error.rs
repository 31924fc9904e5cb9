//! Owns what can go wrong for somebody who starts a sign-in or asks about one, and why a sign-in brings no token.

use crate::SealError;
use crate::record::RecordError;
use device_flow_core::{ConfigError, Failure, SnapshotError};
use serde::{Deserialize, Serialize};
use std::error::Error;

/// Why a sign-in brought no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// It failed, was denied, expired or was cancelled.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// No worker that it was offered to could work on it while there was time: until its code expired, or, before it had one, for as
    /// long as [`Worker::begin_within`](crate::Worker::begin_within) says. If it had a code, nobody knows what became of its last poll.
    #[error("nobody could work on this sign-in while there was time ({0}): start it again when somebody can")]
    Unworkable(#[from] Unworkable),
}

impl SignInError {
    /// How it failed; `None` when nobody could work on it.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Unworkable(_) => None,
        }
    }
}

/// Why a worker cannot work on a sign-in. It leaves it to others, who may be able to, and says why when the time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unworkable {
    /// It knows no client of this name.
    #[error("the worker knew no client {0:?}")]
    UnknownClient(String),
    /// It knows the client with another id or another server.
    #[error("the worker knew its client with another configuration")]
    OtherClient,
    /// None of its keys opens what is stored.
    #[error("the worker had no key that opens what is stored")]
    DoesNotOpen,
    /// What is stored is damaged, or of another version.
    #[error("the worker could not read what is stored: it is damaged, or of another version")]
    Unreadable,
}

impl From<&SnapshotError> for Unworkable {
    fn from(error: &SnapshotError) -> Self {
        if *error == SnapshotError::OtherClient { Self::OtherClient } else { Self::Unreadable }
    }
}

/// Why the engine could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// An id has 1 to 128 letters, digits, `-` or `_`.
    #[error("not an id of a sign-in: it has 1 to 128 letters, digits, '-' and '_'")]
    Id,
    /// There is one with this id: under way, or its outcome is kept. Take another id, or
    /// [forget](crate::Engine::forget) the outcome first.
    #[error("there is a sign-in with this id")]
    Exists,
    /// There is none with this id: it was never started, was [forgotten](crate::Engine::forget), or is older than what is kept.
    #[error("there is no sign-in with this id: it was never started, was forgotten, or is too old")]
    NotFound,
    /// The claims that it was to be started with are not a claims request.
    #[error(transparent)]
    Claims(#[from] ConfigError),
    /// NATS refused, or did not answer. Ask again: nothing is done twice.
    #[error("{what}: {source}")]
    Nats {
        /// What was asked for.
        what: &'static str,
        /// Why it was not done.
        source: Box<dyn Error + Send + Sync>,
    },
    /// See [`SealError`].
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What is stored was written by another version, or damaged.
    #[error("what is stored cannot be read: {0}")]
    Unreadable(Box<str>),
}

impl EngineError {
    pub(crate) fn nats(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Nats { what, source: source.into() }
    }
}

impl From<RecordError> for EngineError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Seal(error) => Self::Seal(error),
            RecordError::Form(_) => Self::Unreadable(error.to_string().into()),
        }
    }
}
