//! Owns one step of a sign-in: from a message to what is stored because of it.

use super::guard::Guarded;
use super::{Shared, Slot};
use crate::clock::ServerTime;
use crate::delivery::Delivery;
use crate::names;
use crate::record::{self, SignInV1, Waiting};
use crate::{EngineError, SealError, Trouble, Unworkable, pulse};
use device_flow_core::{DeviceFlow, Step, Stepped, Stopped};
use device_flow_tokio::{Transport, entropy, now};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// What cannot be worked on here is offered again so much later, or when its time is over.
const LATER: Duration = Duration::from_secs(10);

/// Whatever happens is told and, where there is something to do about it, done again: by this worker or by the next one.
///
/// `runs_since`: what was due before that time may have been delivered to somebody.
pub(super) async fn run<T: Transport>(slot: Slot<T>, delivery: Delivery, runs_since: Option<ServerTime>) {
    let shared = slot.shared.clone();
    let id = &*delivery.id;
    let read = record::open_sign_in(&*shared.engine.seal, id, &delivery.payload);
    let is_untouched = is_untouched(&delivery, read.as_ref().ok(), runs_since);
    let looked = match read {
        Ok(sign_in) => look(&shared, &delivery, is_untouched).await.map(|known| (sign_in, known)),
        Err(error) => Err(error.into()),
    };
    let (mut sign_in, known) = match looked {
        Ok(looked) => looked,
        Err(EngineError::Nats { what, source }) => {
            shared.refused(what, Some(id), &source);
            return shared.hand_back(&delivery, false, Duration::ZERO).await;
        }
        Err(error) => {
            let is_closed = matches!(error, EngineError::Seal(SealError::DoesNotOpen));
            let why = if is_closed { Unworkable::DoesNotOpen } else { Unworkable::Unreadable };
            let trouble = Trouble::Unreadable { id: id.to_owned(), error: error.to_string() };
            return leave(&shared, &delivery, is_untouched, why, trouble).await;
        }
    };
    if known == Known::DealtWith {
        return shared.acknowledge(&delivery).await;
    }
    // In this order: what passes in between makes the code expire sooner, not later (rule 8).
    let resumed = now();
    // It is known before anything is asked for.
    let Some(at) = shared.clock.now() else { return };
    let away = sign_in.waiting.as_ref().map(|waiting| waiting.away(delivery.published, at));
    let Some(client) = shared.clients.get(&sign_in.client).cloned() else {
        let trouble = Trouble::UnknownClient { id: id.to_owned(), client: sign_in.client.clone() };
        return leave(&shared, &delivery, is_untouched, Unworkable::UnknownClient(sign_in.client), trouble).await;
    };
    let step = match (sign_in.waiting.take(), away) {
        (Some(Waiting { snapshot, .. }), Some(away)) => {
            let snapshot = if known == Known::MayHaveBeenAsked {
                (shared.tell)(Trouble::LostPoll { id: id.to_owned() });
                snapshot.after_lost_poll()
            } else {
                snapshot
            };
            Step::resume(client, snapshot, away, resumed).map_err(|error| (Unworkable::from(&error), error.to_string()))
        }
        _ => begin(client, sign_in.claims.as_deref()).map_err(|error| (Unworkable::Unreadable, error.to_string())),
    };
    let mut step = match step {
        Ok(step) => step,
        Err((why, error)) => {
            let trouble = Trouble::Unreadable { id: id.to_owned(), error };
            return leave(&shared, &delivery, is_untouched, why, trouble).await;
        }
    };
    let guarded = Guarded::new(&shared.transport, delivery.since, shared.engine.ack_wait());
    let stepped = device_flow_tokio::run(&guarded, &mut step, |_| {}).await;
    // The requests are over; what follows may take its time.
    drop(slot);
    if guarded.is_stale() {
        let held = pulse::now().saturating_sub(delivery.since);
        return (shared.tell)(Trouble::Stale { id: id.to_owned(), held });
    }
    match stepped {
        Ok(Stepped::Waiting { snapshot, wait, prompt, .. }) => {
            // Looked at after the snapshot was taken.
            let Some(at) = shared.clock.now() else { return };
            sign_in.waiting = Some(Waiting::new(snapshot, at));
            shared.schedule(&delivery, sign_in, at.time.saturating_add(wait), prompt.is_some()).await;
        }
        Ok(Stepped::Done(token)) => shared.store(&delivery, Some(sign_in.run), Ok(token)).await,
        Err(Stopped::Failed(failure)) => shared.store(&delivery, Some(sign_in.run), Err(failure.into())).await,
        Err(stopped) => shared.refused("a step came to no end", Some(id), &stopped),
    }
}

/// Leaves what cannot be worked on here to those who can; when its time is over, nobody could.
async fn leave<T>(shared: &Shared<T>, delivery: &Delivery, is_untouched: bool, why: Unworkable, trouble: Trouble) {
    // It is known before anything is asked for.
    let Some(at) = shared.clock.now() else { return };
    let ends = delivery.ends(shared.begin_within);
    if at.is_after(ends) {
        return shared.store(delivery, None, Err(why.into())).await;
    }
    (shared.tell)(trouble);
    // So much later it is certain that its time is over.
    let over = ends.saturating_since(at.time).saturating_add(at.slack);
    shared.hand_back(delivery, is_untouched, LATER.min(over)).await;
}

/// What became of a sign-in before this delivery.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Nobody has had it since it was stored.
    Untouched,
    /// Somebody may have sent its request and died.
    MayHaveBeenAsked,
    /// Somebody has died after having stored what came of it, or it was cancelled: nothing is left to do.
    DealtWith,
}

async fn look<T>(shared: &Shared<T>, delivery: &Delivery, is_untouched: bool) -> Result<Known, EngineError> {
    let (engine, id) = (&shared.engine, &*delivery.id);
    if is_untouched {
        return Ok(Known::Untouched);
    }
    let waits = engine.last(id).await?.is_some_and(|last| *last.subject == names::wait(id));
    let is_dealt_with = waits || engine.entry(id).await?.is_some();
    Ok(if is_dealt_with { Known::DealtWith } else { Known::MayHaveBeenAsked })
}

/// Whether nobody has had it for certain.
fn is_untouched(delivery: &Delivery, sign_in: Option<&SignInV1>, runs_since: Option<ServerTime>) -> bool {
    // A server that was killed may also have forgotten that a wait is over, and end it again: so it counts when that was.
    let waiting = sign_in.and_then(|sign_in| sign_in.waiting.as_ref());
    let due = waiting.map_or(delivery.published, Waiting::due);
    delivery.delivered == 1 && runs_since.is_some_and(|since| due >= since)
}

/// Gives back at once what a worker that ends was given.
pub(super) async fn give_back<T>(shared: Arc<Shared<T>>, delivery: Delivery, runs_since: Option<ServerTime>) {
    let read = record::open_sign_in(&*shared.engine.seal, &delivery.id, &delivery.payload);
    let is_untouched = is_untouched(&delivery, read.as_ref().ok(), runs_since);
    shared.hand_back(&delivery, is_untouched, Duration::ZERO).await;
}

fn begin(client: Arc<device_flow_core::Client>, claims: Option<&str>) -> Result<Step, Box<dyn Error + Send + Sync>> {
    let flow = DeviceFlow::new(client, entropy()?);
    Ok(Step::start(match claims {
        Some(claims) => flow.claims(claims)?,
        None => flow,
    }))
}
