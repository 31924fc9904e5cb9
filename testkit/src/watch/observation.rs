//! Owns what the watch is told: each thing that a client does or meets, as it can be seen from outside.

use crate::server::{Endpoint, Turn};
use device_flow_core::TransportErrorKind;
use std::fmt;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The client sent a request to this endpoint.
    Request(Endpoint),
    /// It received this response, or this failure.
    Response(Turn),
    /// It showed the code to the person.
    CodeShown {
        /// The interval that the client believes to be in force, in seconds.
        interval: u64,
        /// When the client believes the code to expire, in milliseconds.
        deadline: u64,
    },
    /// It said that it does nothing before this moment (milliseconds).
    WaitUntil(u64),
    /// It was cancelled.
    Cancelled,
    /// It was stored, and resumed some time later. In milliseconds.
    Resumed {
        /// How long it really was away.
        passed: u64,
        /// How long it was told that it had been away at least, at most as much.
        at_least: u64,
        /// How long it was told that it had been away at most, at least as much.
        at_most: u64,
        /// The answer to a poll is lost that was in flight: the wait after it counts from now, and not from the moment when
        /// it was stored.
        from_now: bool,
        /// It shows its code again, even if it was shown.
        shows: bool,
    },
    /// The sign-in ended.
    Ended(Outcome),
}

/// How a sign-in ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With the token that the server gave.
    Token,
    /// The person refused.
    Denied,
    /// The code expired.
    Expired,
    /// The server refused with this error code.
    Rejected(String),
    /// The server broke the protocol.
    Protocol,
    /// No connection, or an untrusted one.
    Transport(TransportErrorKind),
    /// It was cancelled.
    Cancelled,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => f.write_str("success"),
            Self::Denied => f.write_str("a denial"),
            Self::Expired => f.write_str("an expired code"),
            Self::Rejected(code) => write!(f, "the server's error {code}"),
            Self::Protocol => f.write_str("a breach of the protocol by the server"),
            Self::Transport(kind) => write!(f, "a failed request ({kind})"),
            Self::Cancelled => f.write_str("cancellation"),
        }
    }
}
