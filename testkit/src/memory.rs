//! Owns the driver in memory: it connects a machine with a script, without sockets, on a virtual clock.

use crate::server::{Asked, Script};
use device_flow_core::{Action, Event, Machine, Outgoing, Stopped, Timestamp};

/// Drives a machine to its end against a script that plays the server at `base` (scheme, host, port), and returns the
/// outcome and the requests. It does what `run` of the adapters does; waits end exactly on time, and an answer takes
/// the latency of its turn.
///
/// # Panics
/// When the machine has not ended after ten thousand steps.
pub fn run<M: Machine>(
    machine: &mut M,
    base: &str,
    script: &mut Script,
    mut on_event: impl FnMut(Event),
) -> (Result<M::Output, Stopped>, Vec<Asked>) {
    let (mut now, mut all) = (Timestamp::ZERO, Vec::new());
    for _ in 0..10_000 {
        match machine.next_action(now) {
            Action::SendRequest(Outgoing { request, ticket }) => {
                let asked = Asked::of(&request, base);
                let turn = script.turn(&asked);
                all.push(asked);
                now = Timestamp::from_millis(now.as_millis() + turn.latency);
                turn.hand_to(machine, ticket, base, now);
            }
            Action::ShowCode(prompt) => on_event(Event::ShowCode(prompt)),
            Action::Wait { until, reason } => {
                on_event(Event::Waiting { until, wait: until.saturating_since(now), reason, said: None });
                now = until;
            }
            Action::AwaitResponse => return (Err(Stopped::NotOurs), all),
            Action::Done(outcome) => return (outcome.map_err(Stopped::Failed), all),
            Action::Ended => return (Err(Stopped::AlreadyEnded), all),
        }
    }
    panic!("the machine does not end")
}
