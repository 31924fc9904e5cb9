//! Owns one step of a flow as durable work: what happens between two waits, for an engine that keeps all the rest.

use super::{Away, DeviceFlow, Phase, Snapshot, SnapshotError, State};
use crate::sync::Arc;
use crate::{
    Action, Client, Machine, Misuse, Prompt, Response, Ticket, Timestamp, TokenResponse, TransportError, WaitReason,
};
use core::time::Duration;

/// A sign-in up to its next wait: one wake-up of a workflow engine, a job queue or cron. Any driver runs it to its end,
/// which is the next wait or the outcome, and never keeps it longer than its requests take.
///
/// The engine keeps three things: the snapshot, the time, and the right to poll, which one worker at a time has.
///
/// - Store the snapshot before you confirm the wake-up, and wake a worker again after [`wait`](Stepped::Waiting). Too
///   early is harmless: the next step sends nothing and waits for the rest.
/// - A worker that was given a wake-up which another has begun and not confirmed cannot know whether that one has polled:
///   it resumes from [`Snapshot::after_lost_poll`].
/// - Store the token in the step that brings it. What dies in between is told later by
///   [`Failure::a_poll_was_lost`](crate::Failure::a_poll_was_lost).
///
/// ```
/// use core::time::Duration;
/// use device_flow_core::{Away, Client, DeviceFlow, Provider, Step, Stepped, Timestamp};
/// # use device_flow_core::{Action, Machine, Response};
/// # use std::sync::Arc;
/// # fn run(step: &mut Step) -> Result<Stepped, Box<dyn std::error::Error>> {
/// #     let now = Timestamp::ZERO;
/// #     loop {
/// #         match step.next_action(now) {
/// #             Action::SendRequest(outgoing) => {
/// #                 let body = match outgoing.request.url() {
/// #                     "https://github.com/login/device/code" => r#"{"device_code": "d", "user_code": "WDJB-MJHT",
/// #                         "verification_uri": "https://github.com/login/device", "expires_in": 900}"#,
/// #                     _ => r#"{"access_token": "AT", "token_type": "bearer"}"#,
/// #                 };
/// #                 step.response(outgoing.ticket, Response::new(200, body.as_bytes()), now).unwrap();
/// #             }
/// #             Action::Done(outcome) => return Ok(outcome?),
/// #             other => panic!("{other:?}"),
/// #         }
/// #     }
/// # }
/// # let (entropy, now) = ([7; 32], Timestamp::ZERO);
/// let client = Arc::new(Client::builder(Provider::github(), "my-client-id").build()?);
/// let mut step = Step::start(DeviceFlow::new(client.clone(), entropy));
/// let Stepped::Waiting { snapshot, wait, prompt, .. } = run(&mut step)? else { panic!() };
/// assert_eq!(prompt.unwrap().user_code(), "WDJB-MJHT");
/// let stored = serde_json::to_string(&snapshot)?;
///
/// // After that wait, or a little later, maybe on another machine.
/// let away = Away::between(wait, wait + Duration::from_secs(1));
/// let mut step = Step::resume(client, serde_json::from_str(&stored)?, away, now)?;
/// let Stepped::Done(tokens) = run(&mut step)? else { panic!() };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Before there is a code, nothing can be stored: a step that begins a sign-in waits, for some seconds at most, when the
/// server cannot answer yet. If its process dies, begin again.
#[derive(Debug)]
pub struct Step(DeviceFlow);

/// What a [`Step`] brings; a failure of the sign-in is the failure of the machine.
#[derive(Debug)]
pub enum Stepped {
    /// The sign-in waits. Nothing but this snapshot goes on with it.
    Waiting {
        /// What the next step resumes.
        snapshot: Snapshot,
        /// How long nothing has to be done, from the end of the step: [`Snapshot::poll_in`]. Zero after a code was shown
        /// again when a poll is due.
        wait: Duration,
        /// Why. After a resume before the end of a wait this is [`WaitReason::Interval`], whatever it was before.
        reason: WaitReason,
        /// What to show to the person: in the step that got the code, and when [asked](Step::show_again).
        prompt: Option<Prompt>,
    },
    /// The person has approved.
    Done(TokenResponse),
}

impl Step {
    /// The first step of a new sign-in. With [`DeviceFlow::show_once`] the snapshot is without the prompt.
    #[must_use]
    pub fn start(flow: DeviceFlow) -> Self {
        Self(flow)
    }

    /// The next step of a stored one, which shows a code only if it was never shown. The arguments are those of
    /// [`DeviceFlow::resume`].
    ///
    /// # Errors
    /// [`SnapshotError`] when the snapshot belongs to another client or is damaged.
    pub fn resume(
        client: impl Into<Arc<Client>>,
        snapshot: Snapshot,
        away: impl Into<Away>,
        now: Timestamp,
    ) -> Result<Self, SnapshotError> {
        let was_shown = snapshot.was_shown();
        let mut flow = DeviceFlow::resume(client, snapshot, away, now)?;
        if let State::Granted(phase, _) = &mut flow.state
            && was_shown
        {
            *phase = Phase::Waiting;
        }
        Ok(Self(flow))
    }

    /// Shows the code again, unless the snapshot is without it. That is all that this step does: a poll that is due comes
    /// with the next one.
    #[must_use]
    pub fn show_again(mut self) -> Self {
        if let State::Granted(phase @ Phase::Waiting, _) = &mut self.0.state {
            *phase = Phase::Showing;
        }
        self
    }

    /// The flow as it stands, with its [trail](DeviceFlow::trail).
    #[must_use]
    pub fn flow(&self) -> &DeviceFlow {
        &self.0
    }

    /// What the flow waits for; `None` while there is no code.
    fn waiting(&mut self, prompt: Option<Prompt>, now: Timestamp) -> Option<Action<Stepped>> {
        let snapshot = self.0.snapshot(now)?;
        let wait = self.0.grant()?.schedule.wait_before_poll(self.0.now);
        let reason = wait.map_or(WaitReason::Interval, |(_, reason)| reason);
        self.0.state = State::Ended;
        Some(Action::Done(Ok(Stepped::Waiting { wait: snapshot.poll_in(), snapshot, reason, prompt })))
    }
}

impl Machine for Step {
    type Output = Stepped;

    fn next_action(&mut self, now: Timestamp) -> Action<Stepped> {
        match self.0.next_action(now) {
            Action::SendRequest(outgoing) => Action::SendRequest(outgoing),
            Action::ShowCode(prompt) => self.waiting(Some(prompt), now).unwrap_or(Action::Ended),
            Action::Wait { until, reason } => self.waiting(None, now).unwrap_or(Action::Wait { until, reason }),
            Action::AwaitResponse => Action::AwaitResponse,
            Action::Done(outcome) => Action::Done(outcome.map(Stepped::Done)),
            Action::Ended => Action::Ended,
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
