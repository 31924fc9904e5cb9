//! Owns the device flow that is stored before each step, so that another run can go on with it within the polling law.

use super::Pending;
use device_flow_tokio::{
    Action, DeviceFlow, Machine, Misuse, Prompt, Response, Ticket, Timestamp, TokenResponse, TransportError,
    TransportErrorKind,
};
use std::time::Duration;

/// A device flow whose process can be killed at any moment.
///
/// It is stored before each poll, as one whose answer is lost, and at each wait, with what the answer has changed.
pub(crate) struct RecordedFlow<'a> {
    flow: &'a mut DeviceFlow,
    /// `None`: it is not stored.
    pending: Option<&'a Pending>,
    /// The longest that a request takes.
    request_limit: Duration,
    /// The end of the last wait that was stored.
    stored_wait: Option<Timestamp>,
    /// The code was just shown, and its first wait stored with it.
    just_shown: bool,
}

impl<'a> RecordedFlow<'a> {
    pub(crate) fn new(flow: &'a mut DeviceFlow, pending: Option<&'a Pending>, request_limit: Duration) -> Self {
        Self { flow, pending, request_limit, stored_wait: None, just_shown: false }
    }

    fn store(&mut self, now: Timestamp, in_flight: Duration) {
        if let Some(pending) = self.pending {
            pending.store(self.flow, now, in_flight);
        }
    }
}

impl Machine for RecordedFlow<'_> {
    type Output = TokenResponse;

    fn next_action(&mut self, now: Timestamp) -> Action<TokenResponse> {
        let action = self.flow.next_action(now);
        match &action {
            Action::SendRequest(_) => self.store(now, self.request_limit),
            Action::ShowCode(_) => {
                self.just_shown = true;
                self.store(now, Duration::ZERO);
            }
            Action::Wait { until, .. } => {
                let is_stored = self.stored_wait.replace(*until) == Some(*until);
                if !std::mem::take(&mut self.just_shown) && !is_stored {
                    self.store(now, Duration::ZERO);
                }
            }
            // The code is dead.
            Action::Done(Err(_)) => self.pending.into_iter().for_each(Pending::forget),
            // After a success it is forgotten once the tokens are stored, which is not decided here.
            Action::Done(_) | Action::Ended | Action::AwaitResponse => {}
        }
        action
    }

    fn last_words(&self) -> Option<&str> {
        self.flow.last_words()
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.flow.response(ticket, response, now)
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        let is_abandoned = error.kind() == TransportErrorKind::Abandoned;
        let outcome = self.flow.transport_failed(ticket, error, now);
        if is_abandoned {
            // There will be no next step, but now the end of the request is known.
            self.store(now, Duration::ZERO);
        }
        outcome
    }

    fn cancel(&mut self) {
        self.flow.cancel();
    }
}

/// The same flow, ending as soon as there is a code.
pub(crate) struct UntilShown<'a, 'b>(pub(crate) &'a mut RecordedFlow<'b>);

impl Machine for UntilShown<'_, '_> {
    type Output = Prompt;

    fn next_action(&mut self, now: Timestamp) -> Action<Prompt> {
        match self.0.next_action(now) {
            Action::ShowCode(prompt) => Action::Done(Ok(prompt)),
            Action::Done(Err(failure)) => Action::Done(Err(failure)),
            Action::SendRequest(outgoing) => Action::SendRequest(outgoing),
            Action::Wait { until, reason } => Action::Wait { until, reason },
            Action::AwaitResponse => Action::AwaitResponse,
            // There is no poll before the code is shown.
            Action::Done(Ok(_)) | Action::Ended => Action::Ended,
        }
    }

    fn last_words(&self) -> Option<&str> {
        self.0.last_words()
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.0.response(ticket, response, now)
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.0.transport_failed(ticket, error, now)
    }

    fn cancel(&mut self) {
        self.0.cancel();
    }
}
