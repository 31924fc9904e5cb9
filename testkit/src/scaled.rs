//! Owns faster timelines for any machine against a real server: `Scaled`, whose waits are short, and `Skipping`, which
//! has none.

use device_flow_core::{Action, Machine, Misuse, Response, Ticket, Timestamp, TransportError};
use std::time::Duration;

/// A machine for which time runs faster: an outer millisecond is `factor` inner ones.
///
/// What it changes, and what a test with it therefore cannot prove: every wait is `factor` times shorter on the wire,
/// and the times in [`Action::Wait`] are outer ones, while those inside a prompt (`expires_at`) and in reasons stay
/// inner ones. Time limits of the HTTP client are not scaled, so a slow answer costs `factor` times as much of the
/// lifetime of the code. Requests, answers, failures and their order pass through unchanged, and no wait ends early for
/// the inner machine: the outer end is rounded up.
#[derive(Debug)]
pub struct Scaled<M> {
    inner: M,
    factor: u64,
}

impl<M> Scaled<M> {
    /// Runs `inner` this many times as fast; 0 means 1.
    pub fn new(inner: M, factor: u32) -> Self {
        Self { inner, factor: u64::from(factor.max(1)) }
    }

    /// The machine inside.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    /// Unwraps the machine inside.
    pub fn into_inner(self) -> M {
        self.inner
    }

    fn scale(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis().saturating_mul(self.factor))
    }
}

impl<M: Machine> Machine for Scaled<M> {
    type Output = M::Output;

    fn next_action(&mut self, now: Timestamp) -> Action<M::Output> {
        match self.inner.next_action(self.scale(now)) {
            Action::Wait { until, reason } => {
                Action::Wait { until: Timestamp::from_millis(until.as_millis().div_ceil(self.factor)), reason }
            }
            action @ (Action::SendRequest(_)
            | Action::ShowCode(_)
            | Action::AwaitResponse
            | Action::Done(_)
            | Action::Ended) => action,
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.inner.response(ticket, response, self.scale(now))
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.inner.transport_failed(ticket, error, self.scale(now))
    }

    fn cancel(&mut self) {
        self.inner.cancel();
    }
}

/// A machine whose waits end as soon as they begin: its time jumps to the end of each. For measuring everything but the
/// waits.
///
/// What it changes: a driver never gets [`Action::Wait`], so a test with it proves nothing about waiting, and the
/// server is polled as fast as it answers. For the inner machine every wait was observed; its time is ahead of the
/// driver's.
#[derive(Debug)]
pub struct Skipping<M> {
    inner: M,
    ahead: Duration,
}

impl<M> Skipping<M> {
    /// Runs `inner` without waits.
    pub fn new(inner: M) -> Self {
        Self { inner, ahead: Duration::ZERO }
    }

    /// The machine inside.
    pub fn inner(&self) -> &M {
        &self.inner
    }
}

impl<M: Machine> Machine for Skipping<M> {
    type Output = M::Output;

    fn next_action(&mut self, now: Timestamp) -> Action<M::Output> {
        loop {
            match self.inner.next_action(now.saturating_add(self.ahead)) {
                Action::Wait { until, .. } => self.ahead = until.saturating_since(now),
                action @ (Action::SendRequest(_)
                | Action::ShowCode(_)
                | Action::AwaitResponse
                | Action::Done(_)
                | Action::Ended) => return action,
            }
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.inner.response(ticket, response, now.saturating_add(self.ahead))
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.inner.transport_failed(ticket, error, now.saturating_add(self.ahead))
    }

    fn cancel(&mut self) {
        self.inner.cancel();
    }
}
