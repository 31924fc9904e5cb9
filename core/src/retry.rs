//! Owns when a request that happens once is tried again: device authorization, metadata, refresh, revocation.

use crate::{Cause, Failure, Timestamp, WaitReason};
use alloc::boxed::Box;
use core::time::Duration;

/// Waits of 1, 2 and 4 seconds, then gives up, because a person is looking at an empty screen.
#[derive(Debug)]
pub(crate) struct Retry {
    failures: u32,
    due: Timestamp,
    end: Option<Timestamp>,
    reason: WaitReason,
    /// What the server, or the transport, said about the last failure.
    said: Option<Box<str>>,
}

impl Retry {
    const DELAYS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
    /// A server that asks for more than a minute is reported as an outage instead.
    const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

    /// Due at once.
    pub(crate) fn new() -> Self {
        Self { failures: 0, due: Timestamp::ZERO, end: None, reason: WaitReason::Interval, said: None }
    }

    /// Keeps what the failure that may be survived would have told.
    pub(crate) fn hear(&mut self, failure: &Failure) {
        self.said = failure.words();
    }

    pub(crate) fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// Sets when all attempts together must have ended, unless it is set.
    pub(crate) fn end_within(&mut self, limit: Duration, now: Timestamp) {
        self.end = self.end.or(Some(now.saturating_add(limit)));
    }

    /// How long the next attempt may take.
    pub(crate) fn left(&self, now: Timestamp) -> Option<Duration> {
        self.end.map(|end| end.saturating_since(now))
    }

    /// Counts a failure. Returns `false` when it was one too many, or when the next attempt would begin too late.
    #[must_use]
    pub(crate) fn again(&mut self, cause: Cause, retry_after: Duration, now: Timestamp) -> bool {
        let delay = usize::try_from(self.failures).ok().and_then(|failures| Self::DELAYS.get(failures));
        let Some(delay) = delay.filter(|_| retry_after <= Self::MAX_RETRY_AFTER) else { return false };
        if self.end.is_some_and(|end| now.saturating_add((*delay).max(retry_after)) >= end) {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.due = now.saturating_add((*delay).max(retry_after));
        self.reason = match retry_after > *delay {
            true => WaitReason::RetryAfter,
            false => WaitReason::Backoff { cause, attempt: self.failures },
        };
        true
    }

    /// How long to wait and why; `None` when the request is due.
    pub(crate) fn wait(&self, now: Timestamp) -> Option<(Timestamp, WaitReason)> {
        (now < self.due).then_some((self.due, self.reason))
    }
}
