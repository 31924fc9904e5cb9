//! Owns one step of a sign-in: from a message to what is stored because of it.

use super::guard::Guarded;
use super::{Shared, Slot};
use crate::delivery::Delivery;
use crate::names;
use crate::record::{self, SignInV1, Waiting};
use crate::{Trouble, pulse};
use device_flow_core::{DeviceFlow, Step, Stepped, Stopped};
use device_flow_tokio::{Transport, entropy, now};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// What cannot be worked on here is offered again so much later.
const LATER: Duration = Duration::from_secs(10);

/// Whatever happens is told and, where there is something to do about it, done again: by this worker or by the next one.
pub(super) async fn run<T: Transport>(slot: Slot<T>, delivery: Delivery) {
    let shared = slot.shared.clone();
    let (clock, id) = (shared.clock.now(), &*delivery.id);
    // It is known before anything is asked for.
    let Some(at) = clock else { return };
    let (mut sign_in, is_dealt_with) = match look(&shared, &delivery).await {
        Ok(looked) => looked,
        Err(error) => {
            (shared.tell)(Trouble::Unreadable { id: id.to_owned(), error: error.to_string() });
            return shared.hand_back(&delivery, LATER).await;
        }
    };
    if is_dealt_with {
        return shared.acknowledge(&delivery).await;
    }
    let away = sign_in.waiting.as_ref().map(|waiting| waiting.away(delivery.published, at));
    let Some(client) = shared.clients.get(&sign_in.client).cloned() else {
        (shared.tell)(Trouble::UnknownClient { id: id.to_owned(), client: sign_in.client });
        return shared.hand_back(&delivery, LATER).await;
    };
    let begun = match (sign_in.waiting.take(), away) {
        (Some(Waiting { snapshot, .. }), Some(away)) => {
            let snapshot = if delivery.delivered > 1 {
                (shared.tell)(Trouble::LostPoll { id: id.to_owned() });
                snapshot.after_lost_poll()
            } else {
                snapshot
            };
            Step::resume(client, snapshot, away, now()).map_err(|error| error.to_string())
        }
        _ => begin(client, sign_in.claims.as_deref()).map_err(|error| error.to_string()),
    };
    let mut step = match begun {
        Ok(step) => step,
        Err(error) => {
            (shared.tell)(Trouble::Unreadable { id: id.to_owned(), error });
            return shared.hand_back(&delivery, LATER).await;
        }
    };
    let guarded = Guarded::new(&shared.transport, delivery.since, shared.engine.ack_wait);
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
        Ok(Stepped::Done(token)) => shared.store(&delivery, Ok(token)).await,
        Err(Stopped::Failed(failure)) => shared.store(&delivery, Err(failure)).await,
        Err(stopped) => shared.refused("a step came to no end", Some(id), &stopped),
    }
}

/// The sign-in, and whether nothing is left to do about it: a worker may have died after it had stored what it did.
async fn look<T>(shared: &Shared<T>, delivery: &Delivery) -> Result<(SignInV1, bool), Box<dyn Error + Send + Sync>> {
    let (engine, id) = (&shared.engine, &*delivery.id);
    let sign_in = record::open_sign_in(&*engine.seal, id, &delivery.payload)?;
    if delivery.delivered == 1 {
        return Ok((sign_in, false));
    }
    let waits = engine.last(id).await?.is_some_and(|(subject, _)| subject == names::wait(id));
    Ok((sign_in, waits || engine.entry(id).await?.is_some()))
}

fn begin(client: Arc<device_flow_core::Client>, claims: Option<&str>) -> Result<Step, Box<dyn Error + Send + Sync>> {
    let flow = DeviceFlow::new(client, entropy()?);
    Ok(Step::start(match claims {
        Some(claims) => flow.claims(claims)?,
        None => flow,
    }))
}
