//! Owns what every driver does between two waits: it asks the machine, reports events, and hands over what came.

use crate::Answer;
use device_flow_core::{
    Action, Cause, Event, Machine, Outgoing, Stopped, Ticket, Timestamp, TransportError, WaitReason,
};

/// A run of a machine: what is left of a driver is to send, to wait, and to stop.
#[derive(Debug, Default)]
pub struct Run {
    /// The end of the wait that was reported last.
    reported: Option<Timestamp>,
}

/// What a driver has to do next.
#[derive(Debug)]
#[must_use = "what is dropped here is a request not sent or a result lost"]
pub enum Next<T> {
    /// Send this, and [hand over](hand_over) what came.
    Send(Outgoing),
    /// Come back then.
    WaitUntil(Timestamp),
    /// This is the result.
    Done(T),
}

impl Run {
    /// What to do next. On the way there, `on_event` hears of a code and of each wait, once.
    ///
    /// # Errors
    /// [`Stopped::Failed`] when the machine ended with a failure; [`Stopped::AlreadyEnded`] when it had handed out its outcome
    /// before; [`Stopped::NotOurs`] when it waits for an answer that another driver has asked for.
    pub fn next_step<M: Machine>(
        &mut self,
        machine: &mut M,
        now: impl Fn() -> Timestamp,
        mut on_event: impl FnMut(Event),
    ) -> Result<Next<M::Output>, Stopped> {
        loop {
            let now = now();
            match machine.next_action(now) {
                Action::SendRequest(outgoing) => return Ok(Next::Send(outgoing)),
                Action::ShowCode(prompt) => on_event(Event::ShowCode(prompt)),
                Action::Wait { until, reason } => {
                    if self.reported.replace(until) != Some(until) {
                        let failed =
                            matches!(reason, WaitReason::Backoff { cause: Cause::Status(_) | Cause::Page(_), .. });
                        let said = machine.last_words().filter(|_| failed);
                        let (wait, said) = (until.saturating_since(now), said.map(Box::from));
                        on_event(Event::Waiting { until, wait, reason, said });
                    }
                    return Ok(Next::WaitUntil(until));
                }
                Action::AwaitResponse => return Err(Stopped::NotOurs),
                Action::Done(outcome) => return Ok(Next::Done(outcome?)),
                Action::Ended => return Err(Stopped::AlreadyEnded),
            }
        }
    }
}

/// Hands the machine the answer to its request, or the lack of one. `arrival` is [rounded up](crate::timeline::rounded_up).
///
/// # Errors
/// [`Stopped::NotOurs`]: a machine takes back its own ticket, so a refusal means that another driver's is outstanding.
pub fn hand_over<M: Machine>(
    machine: &mut M,
    ticket: Ticket,
    answer: Result<Answer, TransportError>,
    arrival: Timestamp,
) -> Result<(), Stopped> {
    match answer {
        Ok(answer) => machine.response(ticket, answer.as_response(), arrival),
        Err(error) => machine.transport_failed(ticket, error, arrival),
    }
    .map_err(|_| Stopped::NotOurs)
}
