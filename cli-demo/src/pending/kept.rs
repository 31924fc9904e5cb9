//! Owns the flow that writes down how far it has come before each step, so that whoever goes on with it keeps to the polling law.

use super::Pending;
use device_flow_tokio::{
    Action, DeviceFlow, Expired, Failure, Machine, Misuse, Prompt, Response, Ticket, Timestamp, TokenResponse,
    TransportError, TransportErrorKind,
};
use std::time::Duration;

/// A device flow that can be killed at any moment.
///
/// It is written down before each poll, as one whose answer is lost; and at each wait, with what the answer has changed.
pub(crate) struct Kept<'a> {
    flow: &'a mut DeviceFlow,
    /// `None`: nobody will resume it.
    pending: Option<&'a Pending>,
    /// The longest that a request takes.
    request_limit: Duration,
    /// Of a resumed code. The flow's own may be later, where the time away was not certain.
    deadline: Timestamp,
    /// The end of the wait that was told last.
    waits: Option<Timestamp>,
    /// With the code its first wait was written down.
    shown: bool,
}

impl<'a> Kept<'a> {
    pub(crate) fn new(flow: &'a mut DeviceFlow, pending: Option<&'a Pending>, request_limit: Duration) -> Self {
        Self { flow, pending, request_limit, deadline: Timestamp::MAX, waits: None, shown: false }
    }

    /// No poll at or after it, whatever the flow believes.
    pub(crate) fn deadline(mut self, deadline: Timestamp) -> Self {
        self.deadline = deadline;
        self
    }

    fn write(&mut self, now: Timestamp, in_flight: Duration) {
        if let Some(pending) = self.pending {
            pending.keep(self.flow, now, in_flight);
        }
    }
}

impl Machine for Kept<'_> {
    type Output = TokenResponse;

    fn next_action(&mut self, now: Timestamp) -> Action<TokenResponse> {
        let lives = self.flow.prompt().is_some();
        if lives && now >= self.deadline {
            self.flow.cancel();
        }
        let mut action = self.flow.next_action(now);
        if lives && now >= self.deadline {
            let expired = Expired { trail: self.flow.trail().clone(), error: None };
            action = Action::Done(Err(Failure::Expired(expired)));
        }
        if let Action::Wait { until, .. } = &mut action {
            *until = self.deadline.min(*until);
        }
        match &action {
            Action::SendRequest(_) => self.write(now, self.request_limit),
            Action::ShowCode(_) => {
                self.shown = true;
                self.write(now, Duration::ZERO);
            }
            Action::Wait { until, .. } => {
                let told = self.waits.replace(*until) == Some(*until);
                if !std::mem::take(&mut self.shown) && !told {
                    self.write(now, Duration::ZERO);
                }
            }
            Action::Done(_) | Action::Ended => self.pending.into_iter().for_each(Pending::forget),
            Action::AwaitResponse => {}
        }
        action
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.flow.response(ticket, response, now)
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        let given_up = error.kind() == TransportErrorKind::Abandoned;
        let outcome = self.flow.transport_failed(ticket, error, now);
        if given_up {
            // There will be no next step, but now its end is known.
            self.write(now, Duration::ZERO);
        }
        outcome
    }

    fn cancel(&mut self) {
        self.flow.cancel();
    }
}

/// The same until there is a code.
pub(crate) struct Shown<'a, 'b>(pub(crate) &'a mut Kept<'b>);

impl Machine for Shown<'_, '_> {
    type Output = Prompt;

    fn next_action(&mut self, now: Timestamp) -> Action<Prompt> {
        match self.0.next_action(now) {
            Action::ShowCode(prompt) => Action::Done(Ok(prompt)),
            Action::Done(Err(failure)) => Action::Done(Err(failure)),
            Action::SendRequest(outgoing) => Action::SendRequest(outgoing),
            Action::Wait { until, reason } => Action::Wait { until, reason },
            Action::AwaitResponse => Action::AwaitResponse,
            // Nobody polls before the code is shown.
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

    /// A flow whose code was shown at the start, to be polled for every `interval` seconds.
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

    // Rule 8, where the flow believes that its code lives for longer.
    #[test]
    fn there_is_no_poll_at_the_end_of_the_code_or_after_it() {
        let at = Timestamp::from_millis;
        for interval in [1, 5] {
            let mut flow = shown(interval);
            let mut kept = Kept::new(&mut flow, None, Duration::ZERO).deadline(at(3_000));
            let Action::Wait { until, .. } = kept.next_action(at(0)) else { panic!("no wait") };
            assert!(until <= at(3_000), "nobody waits for nothing: {until:?}");
            let Action::Done(Err(Failure::Expired(expired))) = kept.next_action(at(3_000)) else {
                panic!("it goes on")
            };
            assert_eq!((expired.error, expired.trail.polls()), (None, 0));
            assert!(matches!(kept.next_action(at(3_000)), Action::Ended));
        }
        // A token that came in time is handed out.
        let mut flow = shown(1);
        let mut kept = Kept::new(&mut flow, None, Duration::ZERO).deadline(at(3_000));
        let Action::SendRequest(outgoing) = kept.next_action(at(2_999)) else { panic!("no poll") };
        let token = br#"{"access_token":"canary","token_type":"Bearer"}"#;
        kept.response(outgoing.ticket, Response::new(200, token), at(3_001)).unwrap();
        assert!(matches!(kept.next_action(at(3_002)), Action::Done(Ok(_))));
    }
}
