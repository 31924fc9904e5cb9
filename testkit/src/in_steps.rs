//! Owns the two ways in which a world has its sign-in driven: as a whole, or step by step through a store, as a workflow
//! engine does it.

use device_flow_core::{
    Action, Away, Client, DeviceFlow, Machine, Misuse, Prompt, Response, Snapshot, Step, Stepped, Ticket, Timestamp,
    TokenResponse, TransportError, WaitReason,
};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// A sign-in that can be stored and resumed at any moment.
pub trait Driven: Machine<Output = TokenResponse> + Debug {
    /// Whether it shows its code again when it is resumed.
    const SHOWS_AGAIN: bool;

    /// A new one.
    fn start(flow: DeviceFlow) -> Self;

    /// The flow, while one is loaded.
    fn flow(&self) -> Option<&DeviceFlow>;

    /// What a store holds at this moment.
    fn stored(&self, now: Timestamp) -> Option<Stored>;

    /// Goes on with what a store has held, `away` after that moment.
    fn resumed(client: Arc<Client>, stored: Stored, away: Away, now: Timestamp) -> Self;
}

/// What a store holds.
#[derive(Debug)]
pub struct Stored {
    /// As it was loaded.
    pub snapshot: Snapshot,
    /// How long ago that was.
    pub age: Duration,
    /// A poll was sent after that.
    pub poll_lost: bool,
}

impl Stored {
    fn now(snapshot: &Snapshot) -> Self {
        Self { snapshot: reloaded(snapshot), age: Duration::ZERO, poll_lost: false }
    }

    fn load(&self) -> Snapshot {
        let snapshot = self.snapshot.clone();
        if self.poll_lost { reloaded(&snapshot.after_lost_poll()) } else { snapshot }
    }

    fn away(&self, since: Away) -> Away {
        Away::between(self.age + since.at_least(), self.age.saturating_add(since.at_most()))
    }
}

/// Through JSON.
fn reloaded(snapshot: &Snapshot) -> Snapshot {
    serde_json::from_str(&serde_json::to_string(snapshot).unwrap()).unwrap()
}

impl Driven for DeviceFlow {
    const SHOWS_AGAIN: bool = true;

    fn start(flow: DeviceFlow) -> Self {
        flow
    }

    fn flow(&self) -> Option<&DeviceFlow> {
        Some(self)
    }

    fn stored(&self, now: Timestamp) -> Option<Stored> {
        Some(Stored::now(&self.snapshot(now)?))
    }

    fn resumed(client: Arc<Client>, stored: Stored, away: Away, now: Timestamp) -> Self {
        Self::resume(client, stored.load(), stored.away(away), now).unwrap()
    }
}

/// A sign-in that is stored at each wait, and resumed at the end of it.
#[derive(Debug)]
pub struct InSteps {
    client: Arc<Client>,
    /// The latest time seen.
    now: Timestamp,
    /// What the last step has stored, and when.
    stored: Option<(Snapshot, Timestamp)>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A step runs.
    Running {
        step: Box<Step>,
        /// A request of its is out.
        asks: bool,
    },
    /// None does, until then.
    Waiting(Timestamp, WaitReason),
}

impl InSteps {
    fn new(client: Arc<Client>, now: Timestamp, step: Step) -> Self {
        Self { client, now, stored: None, state: State::Running { step: Box::new(step), asks: false } }
    }

    fn answered(&mut self, hand: impl FnOnce(&mut Step) -> Result<(), Misuse>) -> Result<(), Misuse> {
        match &mut self.state {
            State::Running { step, asks } => {
                hand(step)?;
                *asks = false;
                Ok(())
            }
            // Only a misuse can come here: it is refused by any flow that has asked nothing.
            State::Waiting(..) => hand(&mut Step::start(DeviceFlow::new(self.client.clone(), [7; 32]))),
        }
    }

    fn waits(&mut self, snapshot: &Snapshot, wait: Duration, reason: WaitReason) {
        self.stored = Some((reloaded(snapshot), self.now));
        self.state = State::Waiting(self.now.saturating_add(wait), reason);
    }
}

impl Machine for InSteps {
    type Output = TokenResponse;

    fn next_action(&mut self, now: Timestamp) -> Action<TokenResponse> {
        self.now = self.now.max(now);
        let now = self.now;
        if let (State::Waiting(until, reason), Some((snapshot, since))) = (&self.state, &self.stored) {
            if now < *until {
                return Action::Wait { until: *until, reason: *reason };
            }
            let away = now.saturating_since(*since);
            let step = Step::resume(self.client.clone(), snapshot.clone(), away, now).unwrap();
            self.state = State::Running { step: Box::new(step), asks: false };
        }
        let State::Running { step, asks } = &mut self.state else { unreachable!("it waits for what it has stored") };
        match step.next_action(now) {
            Action::SendRequest(outgoing) => {
                *asks = true;
                Action::SendRequest(outgoing)
            }
            Action::ShowCode(_) => unreachable!("a step hands its code out at the end"),
            Action::Wait { until, reason } => Action::Wait { until, reason },
            Action::AwaitResponse => Action::AwaitResponse,
            Action::Done(Ok(Stepped::Waiting { snapshot, wait, reason, prompt })) => {
                self.waits(&snapshot, wait, reason);
                prompt.map_or_else(|| self.next_action(now), Action::ShowCode)
            }
            Action::Done(Ok(Stepped::Done(token))) => Action::Done(Ok(token)),
            Action::Done(Err(failure)) => Action::Done(Err(failure)),
            Action::Ended => Action::Ended,
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.answered(|step| step.response(ticket, response, now))?;
        self.now = self.now.max(now);
        Ok(())
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.answered(|step| step.transport_failed(ticket, error, now))?;
        self.now = self.now.max(now);
        Ok(())
    }

    fn cancel(&mut self) {
        if let (State::Waiting(..), Some((snapshot, since))) = (&self.state, &self.stored) {
            // An engine cancels what it has stored, as it was then: no code expires by that, not even where time ends.
            let step = Step::resume(self.client.clone(), snapshot.clone(), Duration::ZERO, *since).unwrap();
            self.state = State::Running { step: Box::new(step), asks: false };
        }
        if let State::Running { step, .. } = &mut self.state {
            step.cancel();
        }
    }
}

impl Driven for InSteps {
    const SHOWS_AGAIN: bool = false;

    fn start(flow: DeviceFlow) -> Self {
        Self::new(flow.client().clone(), Timestamp::ZERO, Step::start(flow))
    }

    fn flow(&self) -> Option<&DeviceFlow> {
        if let State::Running { step, .. } = &self.state { Some(step.flow()) } else { None }
    }

    /// While a request is out, that is what the step before has stored.
    fn stored(&self, now: Timestamp) -> Option<Stored> {
        let now = self.now.max(now);
        let last = |poll_lost| {
            let (snapshot, since) = self.stored.clone()?;
            Some(Stored { snapshot, age: now.saturating_since(since), poll_lost })
        };
        match &self.state {
            State::Waiting(..) => last(false),
            State::Running { asks: true, step } => step.flow().snapshot(now).and_then(|_| last(true)),
            State::Running { asks: false, step } => Some(Stored::now(&step.flow().snapshot(now)?)),
        }
    }

    fn resumed(client: Arc<Client>, stored: Stored, away: Away, now: Timestamp) -> Self {
        let step = Step::resume(client.clone(), stored.load(), stored.away(away), now).unwrap();
        // It is stored again before it polls, with what is left now.
        let stored = step.flow().snapshot(now).map(|snapshot| (reloaded(&snapshot), now));
        Self { stored, ..Self::new(client, now, step) }
    }
}

/// What either shows while its code lives.
pub(crate) fn prompt(driven: &impl Driven) -> Option<Prompt> {
    driven.flow()?.prompt()
}
