//! Owns what can go wrong for somebody who starts a sign-in or asks about one.

use crate::SealError;
use crate::record::RecordError;
use std::error::Error;

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
