//! Owns the words that every driver shares: what it tells its caller on the way, and how a run can end early.

use crate::{Failure, Prompt, SignInReason, Timestamp, WaitReason};
use core::time::Duration;

/// What a driver tells its caller while it runs a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Show this to the person.
    ShowCode(Prompt),
    /// Silence has not been enough: a code follows, and this is why.
    SignInNeeded(SignInReason),
    /// Nothing happens before `until`.
    Waiting {
        /// The end of the wait, on the driver's timeline.
        until: Timestamp,
        /// How long it is.
        wait: Duration,
        /// Why.
        reason: WaitReason,
    },
}

/// Why a driver stopped without the machine's result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// The machine ended with a failure.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The driver was told to stop. The machine is as it was: run it again, or take its snapshot.
    #[error("stopped; the sign-in can be resumed")]
    Interrupted,
    /// The machine had handed out its outcome before.
    #[error("this machine has ended: its outcome was handed out before")]
    AlreadyEnded,
    /// There is nothing here that could wait and send, such as the asynchronous runtime that the driver needs.
    #[error("there is no runtime here: call this from within one")]
    NoRuntime,
    /// The machine waits for a ticket that this driver does not hold.
    #[error("this machine waits for an answer that another driver has asked for")]
    NotOurs,
}
