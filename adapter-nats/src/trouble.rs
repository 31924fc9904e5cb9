//! Owns what a worker tells of what did not go as it should.

use crate::Unworkable;
use std::fmt;
use std::time::Duration;

/// Something did not go as it should, and the worker goes on. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// There is no connection to NATS. The worker waits for one; the polls of these seconds will be late.
    Disconnected,
    /// There is one again.
    Connected,
    /// NATS refused something, or did not answer. The worker tries again.
    Refused {
        /// What was asked for.
        what: &'static str,
        /// For this sign-in, if for one.
        id: Option<String>,
        /// The refusal.
        error: String,
    },
    /// Somebody may have had this sign-in before and never said what became of it: a worker died, stood still, or lost its
    /// connection; or the server was started again and may have forgotten what it delivered last. The poll counts as lost, so the next
    /// one is later than usual.
    LostPoll {
        /// The sign-in.
        id: String,
    },
    /// Another worker has gone on with this sign-in. What this one knew of it is dropped.
    TakenOver {
        /// The sign-in.
        id: String,
    },
    /// This worker held a sign-in for too long before it could send its request: the machine or the process stood still, or has
    /// too much to do. It is left to another.
    Stale {
        /// The sign-in.
        id: String,
        /// How long it was held.
        held: Duration,
    },
    /// This worker does not know the client of a sign-in. It is offered again, to all workers, in some seconds, while there is time.
    UnknownClient {
        /// The sign-in.
        id: String,
        /// The client's name.
        client: String,
    },
    /// A stored sign-in cannot be read or resumed here: another key, another version, another configuration of its client. It is
    /// offered again, to all workers, in some seconds, while there is time.
    Unreadable {
        /// The sign-in.
        id: String,
        /// Why.
        error: String,
    },
    /// Nobody could work on a sign-in while there was time, this worker included. It has ended:
    /// [`SignInError::Unworkable`](crate::SignInError::Unworkable).
    GivenUp {
        /// The sign-in.
        id: String,
        /// Why this worker could not.
        why: Unworkable,
    },
    /// The answer to a poll was lost before this sign-in failed: the server may have issued a token that nobody has stored, and
    /// the person has to sign in again. The outcome says so, too: [`Failure::a_poll_was_lost`](device_flow_core::Failure::a_poll_was_lost).
    MayHaveBeenRedeemed {
        /// The sign-in.
        id: String,
    },
    /// A token came for a sign-in that was cancelled meanwhile. It was not stored.
    TokenAfterCancel {
        /// The sign-in.
        id: String,
    },
    /// A token came for a sign-in that was forgotten meanwhile. It was not stored, not for another sign-in of the same id either.
    TokenAfterForget {
        /// The sign-in.
        id: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the connection to NATS is lost"),
            Self::Connected => f.write_str("the connection to NATS is there again"),
            Self::Refused { what, id: Some(id), error } => write!(f, "{id}: {what}: {error}; trying again"),
            Self::Refused { what, id: None, error } => write!(f, "{what}: {error}; trying again"),
            Self::LostPoll { id } => write!(f, "{id}: what became of its last poll is not known; it waits again"),
            Self::TakenOver { id } => write!(f, "{id}: another worker has gone on with it"),
            Self::Stale { id, held } => {
                write!(f, "{id}: held for {:.1} s and not asked for: left to another worker", held.as_secs_f64())
            }
            Self::UnknownClient { id, client } => write!(f, "{id}: this worker knows no client {client:?}"),
            Self::Unreadable { id, error } => write!(f, "{id}: {error}"),
            Self::GivenUp { id, why } => {
                write!(f, "{id}: nobody could work on it while there was time ({why}), and it has ended")
            }
            Self::MayHaveBeenRedeemed { id } => {
                write!(f, "{id}: failed after the answer to a poll was lost, perhaps with its token in it")
            }
            Self::TokenAfterCancel { id } => write!(f, "{id}: a token came after it was cancelled, and is dropped"),
            Self::TokenAfterForget { id } => write!(f, "{id}: a token came after it was forgotten, and is dropped"),
        }
    }
}
