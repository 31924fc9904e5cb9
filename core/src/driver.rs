//! Owns the types that all drivers share: what a driver tells its caller on the way, and how a run can end early.

use crate::{Failure, Prompt, SignInReason, Timestamp, WaitReason};
use alloc::boxed::Box;
use core::time::Duration;

/// What a driver tells its caller while it runs a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Show this to the person.
    ShowCode(Prompt),
    /// No token could be had silently: a code follows, and this is why.
    SignInNeeded(SignInReason),
    /// Nothing happens before this time.
    Waiting {
        /// The end of the wait, on the driver's timeline.
        until: Timestamp,
        /// How long it is.
        wait: Duration,
        /// Why.
        reason: WaitReason,
        /// [`Machine::last_words`](crate::Machine::last_words), after an answer of no use.
        said: Option<Box<str>>,
    },
}

/// Why a driver stopped without the machine's result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// The machine ended with a failure.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The driver was told to stop. The machine is unchanged: run it again, or take its snapshot.
    #[error("stopped; the sign-in can be resumed")]
    Interrupted,
    /// The machine had handed out its outcome before.
    #[error("this machine has ended: its outcome was handed out before")]
    AlreadyEnded,
    /// The asynchronous runtime that the driver needs is missing.
    #[error("there is no runtime here: call this from within one")]
    NoRuntime,
    /// The machine waits for the answer to a request that another driver has sent.
    #[error("this machine waits for an answer that another driver has asked for")]
    NotOurs,
}
