//! Owns the life of a request that happens once: ready, in flight, answered; sent again while the server cannot answer.

use crate::machine::Outstanding;
use crate::retry::Retry;
use crate::{
    Action, Cause, Failure, Misuse, Outgoing, Request, Response, SigningError, Ticket, Timestamp, TransportError,
    TransportErrorKind,
};
use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

/// What discovery, refresh and revocation have in common. Each adds its request and the meaning of an answer.
pub(crate) struct SingleRequest<T> {
    /// The latest time seen: an earlier one counts as this.
    now: Timestamp,
    outstanding: Outstanding,
    retry: Retry,
    /// It was repeated at once.
    repeated: bool,
    /// How long all of it may take, from the first request.
    limit: Option<Duration>,
    state: State<T>,
}

enum State<T> {
    /// Not sent: due now or after a wait.
    Ready,
    InFlight,
    /// The outcome was not handed out.
    Finished(Box<Result<T, Failure>>),
    /// The outcome was handed out.
    Ended,
}

/// The two methods of `Machine` that are the same for every machine whose field `once` is a [`SingleRequest`].
macro_rules! failed_or_cancelled {
    () => {
        fn transport_failed(
            &mut self,
            ticket: $crate::Ticket,
            error: $crate::TransportError,
            now: $crate::Timestamp,
        ) -> Result<(), $crate::Misuse> {
            self.once.transport_failed(ticket, error, now)
        }

        fn last_words(&self) -> Option<&str> {
            self.once.said()
        }

        fn cancel(&mut self) {
            self.once.cancel();
        }
    };
}
pub(crate) use failed_or_cancelled;

impl<T> SingleRequest<T> {
    pub(crate) fn new() -> Self {
        let (now, outstanding, retry) = (Timestamp::ZERO, Outstanding::default(), Retry::new());
        Self { now, outstanding, retry, repeated: false, limit: None, state: State::Ready }
    }

    /// With a limit for all attempts together.
    pub(crate) fn within(limit: Duration) -> Self {
        Self { limit: Some(limit), ..Self::new() }
    }

    pub(crate) fn next_action(
        &mut self,
        now: Timestamp,
        request: impl FnOnce() -> Result<Request, SigningError>,
    ) -> Action<T> {
        let now = self.now.advance(now);
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Ready => {
                if let Some((until, reason)) = self.retry.wait(now) {
                    self.state = State::Ready;
                    return Action::Wait { until, reason };
                }
                self.state = State::InFlight;
                if let Some(limit) = self.limit {
                    self.retry.end_within(limit, now);
                }
                match request() {
                    Ok(request) => {
                        let request = request.within(self.retry.left(now));
                        Action::SendRequest(Outgoing { request, ticket: self.outstanding.issue() })
                    }
                    Err(error) => {
                        self.state = State::Ended;
                        Action::Done(Err(Failure::Transport(error.into())))
                    }
                }
            }
            State::InFlight => {
                self.state = State::InFlight;
                Action::AwaitResponse
            }
            State::Finished(outcome) => Action::Done(*outcome),
            State::Ended => Action::Ended,
        }
    }

    /// Takes the ticket back and returns the time at which to judge the answer; `None` when the request was cancelled
    /// meanwhile, so that the answer is dropped. Unless the caller then calls [`finish`](Self::finish), there will be
    /// another request.
    pub(crate) fn answered(
        &mut self,
        ticket: Ticket,
        response: &Response<'_>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Misuse> {
        self.outstanding.redeem_with(ticket, response)?;
        let now = self.now.advance(now);
        if !matches!(self.state, State::InFlight) {
            return Ok(None);
        }
        self.state = State::Ready;
        Ok(Some(now))
    }

    pub(crate) fn transport_failed(
        &mut self,
        ticket: Ticket,
        error: TransportError,
        now: Timestamp,
    ) -> Result<(), Misuse> {
        self.outstanding.redeem(ticket)?;
        let now = self.now.advance(now);
        if matches!(self.state, State::InFlight) {
            self.state = State::Ready;
            let cause = Cause::Transport(error.kind());
            if error.kind() == TransportErrorKind::UntrustedCertificate {
                self.finish(Err(Failure::Transport(error)));
            } else {
                self.again_or(Failure::Transport(error), cause, Duration::ZERO, now);
            }
        }
        Ok(())
    }

    /// Counts a failure. Returns `false` when it was one too many.
    #[must_use]
    pub(crate) fn again(&mut self, cause: Cause, retry_after: Duration, now: Timestamp) -> bool {
        self.retry.again(cause, retry_after, now)
    }

    /// Counts a failure, or ends with it when it was one too many.
    pub(crate) fn again_or(&mut self, given_up: Failure, cause: Cause, retry_after: Duration, now: Timestamp) {
        self.retry.hear(&given_up);
        if !self.again(cause, retry_after, now) {
            self.finish(Err(given_up));
        }
    }

    pub(crate) fn hear(&mut self, failure: &Failure) {
        self.retry.hear(failure);
    }

    pub(crate) fn said(&self) -> Option<&str> {
        self.retry.said()
    }

    /// Whether to repeat it now, with the nonce that the server has asked for (RFC 9449 §8): only once.
    #[must_use]
    pub(crate) fn repeat(&mut self) -> bool {
        !core::mem::replace(&mut self.repeated, true)
    }

    pub(crate) fn finish(&mut self, outcome: Result<T, Failure>) {
        self.state = State::Finished(Box::new(outcome));
    }

    pub(crate) fn cancel(&mut self) {
        if matches!(self.state, State::Ready | State::InFlight) {
            self.finish(Err(Failure::Cancelled));
        }
    }
}

impl<T> fmt::Debug for SingleRequest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Ready => "Ready",
            State::InFlight => "InFlight",
            State::Finished(_) => "Finished",
            State::Ended => "Ended",
        };
        f.debug_struct("SingleRequest")
            .field("state", &state)
            .field("now", &self.now)
            .field("retry", &self.retry)
            .finish()
    }
}
