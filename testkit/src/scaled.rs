//! Owns `Scaled`: any machine on a faster timeline, so that a hundred polls take a second against a real server.

use device_flow_core::{Action, Machine, Misuse, Response, Ticket, Timestamp, TransportError};

/// A machine for which time runs faster: an outer millisecond is `factor` inner ones.
///
/// What it changes, and what a test through it therefore proves nothing about: every wait is that much shorter on the wire,
/// and the times in [`Action::Wait`] are outer ones, while those inside a prompt (`expires_at`) and in reasons stay inner
/// ones. Time limits of the HTTP client are not scaled, so a slow answer costs the inner machine `factor` times as much of
/// its code's life. Requests, answers, failures and their order go through untouched, and no wait ends early for the inner
/// machine: the outer end is rounded up.
#[derive(Debug)]
pub struct Scaled<M> {
    inner: M,
    factor: u64,
}

impl<M> Scaled<M> {
    /// Runs `inner` this many times as fast; 0 counts as 1.
    pub fn new(inner: M, factor: u32) -> Self {
        Self { inner, factor: u64::from(factor.max(1)) }
    }

    /// The machine inside.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    /// The machine inside, for good.
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
