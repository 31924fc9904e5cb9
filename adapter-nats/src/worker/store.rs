//! Owns what a worker stores: the next wait or the outcome, behind the fence, and again until it is stored.

use super::Shared;
use crate::clock::ServerTime;
use crate::delivery::Delivery;
use crate::engine::fence;
use crate::record::{self, SignInV1, Waiting};
use crate::{EngineError, Outcome, SignInError, Trouble, names, pulse};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::kv::CreateErrorKind;
use device_flow_core::Failure;
use std::time::Duration;
use tokio::time::{sleep, sleep_until};

/// Between two tries, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// What waits is stored, and what is stored acknowledged, when the next of these is over.
const STORE_BEAT: Duration = Duration::from_millis(10);
const ACKNOWLEDGE_BEAT: Duration = Duration::from_millis(50);

fn longer(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(PAUSES[1])
}

impl<T> Shared<T> {
    /// Waits for the next beat, as all steps do at the same time.
    async fn beat(&self, beat: Duration) {
        let beats = self.first_beat.elapsed().as_nanos() / beat.as_nanos();
        let next =
            u32::try_from(beats).ok().and_then(|beats| beats.checked_add(1)).map(|beats| beat.saturating_mul(beats));
        if let Some(next) = next {
            sleep_until(self.first_beat + next).await;
        }
    }

    pub(super) async fn acknowledge(&self, delivery: &Delivery) {
        if let Err(error) = delivery.acknowledge(&self.nats).await {
            self.refused("cannot acknowledge", Some(&delivery.id), &error);
        }
    }

    /// Stores what waits, to be due then.
    pub(super) async fn schedule(&self, delivery: &Delivery, sign_in: SignInV1, due: ServerTime, is_news: bool) {
        let id = &*delivery.id;
        let ends = sign_in.waiting.as_ref().map(Waiting::ends);
        let sealed = match record::seal_sign_in(&*self.engine.seal, id, sign_in) {
            Ok(sealed) => sealed,
            // It comes again, and its poll counts as lost.
            Err(error) => return self.refused("cannot seal", Some(id), &error),
        };
        if self.wait(delivery, sealed, due, ends).await && is_news {
            self.engine.tell_news(id).await;
        }
    }

    /// Lets somebody else have it, so much later: as if it had not been here, if nobody has had it before.
    pub(super) async fn hand_back(&self, delivery: &Delivery, is_untouched: bool, later: Duration) {
        let held = pulse::now().saturating_sub(delivery.since);
        match self.clock.now() {
            // Later than that, somebody else may have it already.
            Some(at) if is_untouched && held < self.engine.ack_wait() / 2 => {
                self.wait(delivery, delivery.payload.to_vec(), at.time.saturating_add(later), None).await;
            }
            // The server goes on counting how often it was delivered.
            _ => {
                if let Err(error) = delivery.refuse(&self.nats, later).await {
                    self.refused("cannot hand back", Some(&delivery.id), &error);
                }
            }
        }
    }

    /// True when it is stored, by this worker. `ends`: when its time is over; `None`: as before.
    async fn wait(&self, delivery: &Delivery, sealed: Vec<u8>, due: ServerTime, ends: Option<ServerTime>) -> bool {
        let id = &*delivery.id;
        let mut headers = fence(&names::due(id), delivery.sequence);
        headers.insert("Nats-Schedule", format!("@at {}", due.to_rfc3339()));
        headers.insert("Nats-Schedule-Target", names::due(id));
        headers.insert(names::ENDS, ends.unwrap_or_else(|| delivery.ends(self.begin_within)).to_rfc3339());
        let mut pause = PAUSES[0];
        // There is time: it is due much later. What is sent together costs both sides less.
        self.beat(STORE_BEAT).await;
        loop {
            match self.engine.publish(names::wait(id), headers.clone(), sealed.clone()).await {
                Ok(()) => {
                    self.beat(ACKNOWLEDGE_BEAT).await;
                    self.acknowledge(delivery).await;
                    return true;
                }
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {
                    (self.tell)(Trouble::TakenOver { id: id.to_owned() });
                    self.acknowledge(delivery).await;
                    return false;
                }
                Err(error) => self.refused("cannot store that it waits", Some(id), &error),
            }
            if self.is_given_up(delivery) {
                return false;
            }
            sleep(pause).await;
            pause = longer(pause);
        }
    }

    /// By then somebody else has it, and nothing is lost with what this worker knows, unless that is a token.
    fn is_given_up(&self, delivery: &Delivery) -> bool {
        pulse::now().saturating_sub(delivery.since) > self.engine.ack_wait().saturating_mul(2)
    }

    /// Stores how it ended. A token is not given up, however long it takes. `run`: `None` when nobody knows which one it is.
    pub(super) async fn store(&self, delivery: &Delivery, run: Option<u64>, outcome: Outcome) {
        let id = &*delivery.id;
        let is_token = outcome.is_ok();
        let trouble = match &outcome {
            Err(SignInError::Failed(failure)) if failure.a_poll_was_lost() => {
                Some(Trouble::MayHaveBeenRedeemed { id: id.to_owned() })
            }
            Err(SignInError::Unworkable(why)) => Some(Trouble::GivenUp { id: id.to_owned(), why: why.clone() }),
            Ok(_) | Err(SignInError::Failed(_)) => None,
        };
        let mut pause = PAUSES[0];
        let sealed = loop {
            match record::seal_outcome(&*self.engine.seal, id, outcome.clone()) {
                Ok(sealed) => break bytes::Bytes::from(sealed),
                Err(error) => self.refused("cannot seal", Some(id), &error),
            }
            if !is_token && self.is_given_up(delivery) {
                return;
            }
            sleep(pause).await;
            pause = longer(pause);
        };
        let mut pause = PAUSES[0];
        loop {
            match self.put(delivery, run, sealed.clone(), is_token).await {
                Ok(is_stored) => {
                    if let Some(trouble) = trouble.filter(|_| is_stored) {
                        (self.tell)(trouble);
                    }
                    self.acknowledge(delivery).await;
                    return self.engine.tell_news(id).await;
                }
                Err(EngineError::Nats { what, source }) => self.refused(what, Some(id), &source),
                Err(error) => self.refused("cannot read the outcome that is there", Some(id), &error),
            }
            if !is_token && self.is_given_up(delivery) {
                return;
            }
            sleep(pause).await;
            pause = longer(pause);
        }
    }

    /// Stores it unless there is an outcome, and says whether it did. A token also replaces the failure that another worker has met
    /// because this one has the token; not another token, and not that the sign-in was cancelled.
    async fn put(
        &self,
        delivery: &Delivery,
        run: Option<u64>,
        sealed: bytes::Bytes,
        is_token: bool,
    ) -> Result<bool, EngineError> {
        const WHAT: &str = "cannot store the outcome";
        let (done, id) = (&self.engine.done, &*delivery.id);
        if self.is_forgotten(delivery, run).await? {
            if is_token {
                (self.tell)(Trouble::TokenAfterForget { id: id.to_owned() });
            }
            return Ok(false);
        }
        match done.create(id, sealed.clone()).await {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {}
            Err(error) => return Err(EngineError::nats(WHAT, error)),
        }
        if !is_token {
            return Ok(false);
        }
        match self.engine.entry(id).await? {
            Some((_, Ok(_))) => Ok(false),
            Some((_, Err(SignInError::Failed(Failure::Cancelled)))) => {
                (self.tell)(Trouble::TokenAfterCancel { id: id.to_owned() });
                Ok(false)
            }
            // If it is another by now, it is looked at again.
            Some((revision, Err(_))) => {
                let updated = done.update(id, sealed, revision).await;
                updated.map(|_| true).map_err(|error| EngineError::nats(WHAT, error))
            }
            // A stale read, or it was forgotten meanwhile.
            None => Err(EngineError::nats(WHAT, "it is gone again")),
        }
    }

    /// Whether nothing is known of this sign-in any more, or its id is that of another one by now. Who does not know which one it was
    /// takes any that was stored later for another: it is no longer his to end.
    async fn is_forgotten(&self, delivery: &Delivery, run: Option<u64>) -> Result<bool, EngineError> {
        let id = &*delivery.id;
        Ok(match self.engine.last(id).await? {
            Some(last) if last.sequence == delivery.sequence => false,
            Some(last) => run.is_none_or(|run| {
                record::open_sign_in(&*self.engine.seal, id, &last.payload).is_ok_and(|sign_in| sign_in.run != run)
            }),
            // Another worker may have ended it.
            None => self.engine.entry(id).await?.is_none(),
        })
    }
}
