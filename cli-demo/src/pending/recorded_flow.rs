//! Owns the device flow that is stored before each step, so that another run can go on with it within the polling law.

use super::Pending;
use device_flow_tokio::{
    Action, DeviceFlow, Expired, Failure, Machine, Misuse, Prompt, Response, Ticket, Timestamp, TokenResponse,
    TransportError, TransportErrorKind,
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
    /// When a resumed code expires. The flow's own deadline may be later, since the time away is only known within
    /// bounds.
    deadline: Timestamp,
    /// The end of the last wait that was stored.
    stored_wait: Option<Timestamp>,
    /// The code was just shown, and its first wait stored with it.
    just_shown: bool,
}

impl<'a> RecordedFlow<'a> {
    pub(crate) fn new(flow: &'a mut DeviceFlow, pending: Option<&'a Pending>, request_limit: Duration) -> Self {
        Self { flow, pending, request_limit, deadline: Timestamp::MAX, stored_wait: None, just_shown: false }
    }

    /// There is no poll at or after the deadline, whatever the flow's own is.
    pub(crate) fn deadline(mut self, deadline: Timestamp) -> Self {
        self.deadline = deadline;
        self
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
        let has_code = self.flow.prompt().is_some();
        if has_code && now >= self.deadline {
            self.flow.cancel();
        }
        let mut action = self.flow.next_action(now);
        if has_code && now >= self.deadline {
            let expired = Expired { trail: self.flow.trail().clone(), error: None };
            action = Action::Done(Err(Failure::Expired(expired)));
        }
        if let Action::Wait { until, .. } = &mut action {
            *until = self.deadline.min(*until);
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic to report")]
mod tests {
    use super::*;
    use device_flow_tokio::{Client, Provider};

    /// A flow whose code was shown at time 0, with this interval in seconds.
    fn shown(interval: u32) -> DeviceFlow {
        let client =
            Client::builder(Provider::endpoints("https://as.example/d", "https://as.example/t"), "my-app").build();
        let mut flow = DeviceFlow::new(client.unwrap(), [7; 32]);
        let Action::SendRequest(outgoing) = flow.next_action(Timestamp::ZERO) else { panic!("no request") };
        let code = format!(
            r#"{{"device_code":"canary","user_code":"AB","verification_uri":"https://as.example/x","expires_in":600,"interval":{interval}}}"#
        );
        flow.response(outgoing.ticket, Response::new(200, code.as_bytes()), Timestamp::ZERO).unwrap();
        assert!(matches!(flow.next_action(Timestamp::ZERO), Action::ShowCode(_)));
        flow
    }

    // Where the flow's own deadline is later.
    #[test]
    fn rule_08_there_is_no_poll_at_or_after_the_expiry_of_a_resumed_code() {
        let at = Timestamp::from_millis;
        for interval in [1, 5] {
            let mut flow = shown(interval);
            let mut recorded = RecordedFlow::new(&mut flow, None, Duration::ZERO).deadline(at(3_000));
            let Action::Wait { until, .. } = recorded.next_action(at(0)) else { panic!("no wait") };
            assert!(until <= at(3_000), "no wait beyond the expiry: {until:?}");
            let Action::Done(Err(Failure::Expired(expired))) = recorded.next_action(at(3_000)) else {
                panic!("it goes on")
            };
            assert_eq!((expired.error, expired.trail.polls()), (None, 0));
            assert!(matches!(recorded.next_action(at(3_000)), Action::Ended));
        }
        // A token that was requested in time is still handed out.
        let mut flow = shown(1);
        let mut recorded = RecordedFlow::new(&mut flow, None, Duration::ZERO).deadline(at(3_000));
        let Action::SendRequest(outgoing) = recorded.next_action(at(2_999)) else { panic!("no poll") };
        let token = br#"{"access_token":"canary","token_type":"Bearer"}"#;
        recorded.response(outgoing.ticket, Response::new(200, token), at(3_001)).unwrap();
        assert!(matches!(recorded.next_action(at(3_002)), Action::Done(Ok(_))));
    }
}
