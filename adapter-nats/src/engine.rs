//! Owns `Engine`: what is on the server, and what a program that starts sign-ins asks of it.

use crate::names::{self, CONSUMER, DONE, STREAM};
use crate::record::{self, SignInV1};
use crate::{EngineError, Seal, SealError, Shown, SignInError, Watch};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::kv::{self, CreateErrorKind, Operation};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{self, LastRawMessageErrorKind, RetentionPolicy};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{HeaderMap, HeaderValue};
use device_flow_core::{Client, ConfigError, DeviceFlow, Failure, Provider, TokenResponse};
use device_flow_tokio::entropy;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a sign-in ended.
pub type Outcome = Result<TokenResponse, SignInError>;

/// Sign-ins as durable work on NATS JetStream. Cheap to clone.
///
/// One program [sets it up](Setup), any number of programs [open](Self::open) it, to start sign-ins and to ask about them, or to
/// work on them as a [`Worker`](crate::Worker). Every method may be called again after an error: nothing is done twice.
#[derive(Clone)]
pub struct Engine {
    pub(crate) jetstream: Context,
    pub(crate) stream: stream::Stream<()>,
    pub(crate) done: kv::Store,
    pub(crate) seal: Arc<dyn Seal>,
    /// In nanoseconds, and the same for all clones: a worker looks again and again whether it is another.
    ack_wait: Arc<AtomicU64>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("ack_wait", &self.ack_wait()).finish_non_exhaustive()
    }
}

/// How the engine is set up on the server. All of it can be changed later by setting it up again, while workers run.
#[derive(Clone, Debug)]
pub struct Setup {
    replicas: usize,
    ack_wait: Duration,
    max_age: Duration,
    outcomes: Duration,
}

impl Setup {
    /// On this many servers: three in production, on machines that do not fail together; one for a trial.
    #[must_use]
    pub const fn replicas(replicas: usize) -> Self {
        Self {
            replicas,
            ack_wait: Duration::from_secs(30),
            max_age: Duration::from_secs(2 * 60 * 60),
            outcomes: Duration::from_secs(24 * 60 * 60),
        }
    }

    /// How long a worker may be silent before another takes its sign-ins over. Default: 30 seconds. Half of it is the time limit of
    /// a request; a sign-in whose worker dies is late by all of it.
    ///
    /// Workers that run learn of another one within some five seconds. When it becomes shorter, what they asked for before that may be
    /// given to another worker too soon: it counts as lost there, and the next poll is later than usual.
    #[must_use]
    pub const fn ack_wait(mut self, ack_wait: Duration) -> Self {
        self.ack_wait = ack_wait;
        self
    }

    /// How long the server keeps what nobody has touched. Default: two hours. Longer than any code lives, and longer than all
    /// workers may be away.
    #[must_use]
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// How long an outcome is kept that nobody [forgets](Engine::forget). Default: a day.
    #[must_use]
    pub const fn keep_outcomes(mut self, age: Duration) -> Self {
        self.outcomes = age;
        self
    }
}

/// A sign-in to start: the name by which the workers know its client, and what it asks for.
#[derive(Clone, Debug)]
pub struct Start {
    client: String,
    claims: Option<String>,
}

impl Start {
    /// With the client of this name.
    #[must_use]
    pub fn with(client: impl Into<String>) -> Self {
        Self { client: client.into(), claims: None }
    }

    /// With a claims request, as [`DeviceFlow::claims`](device_flow_core::DeviceFlow::claims) has it. [`Engine::start`] checks it.
    #[must_use]
    pub fn claims(mut self, json: impl Into<String>) -> Self {
        self.claims = Some(json.into());
        self
    }
}

impl<T: Into<String>> From<T> for Start {
    fn from(client: T) -> Self {
        Self::with(client)
    }
}

impl Engine {
    /// Makes the stream, the bucket and the consumer, or changes them to this.
    ///
    /// # Errors
    /// [`EngineError::Nats`]: the server refuses, is older than 2.12, or has too few peers for the replicas.
    pub async fn setup(jetstream: Context, setup: &Setup, seal: impl Seal + 'static) -> Result<Self, EngineError> {
        let config = stream::Config {
            name: STREAM.to_owned(),
            subjects: vec![names::due("*"), names::wait("*")],
            retention: RetentionPolicy::WorkQueue,
            max_messages_per_subject: 1,
            max_age: setup.max_age,
            num_replicas: setup.replicas,
            allow_message_schedules: true,
            allow_rollup: true,
            description: Some("device sign-ins that begin or wait".to_owned()),
            ..stream::Config::default()
        };
        let refused = |error| EngineError::nats("cannot set up the stream SIGNIN", error);
        jetstream.create_or_update_stream(config).await.map_err(refused)?;
        let config = kv::Config {
            bucket: DONE.to_owned(),
            description: "how device sign-ins ended".to_owned(),
            history: 1,
            max_age: setup.outcomes,
            num_replicas: setup.replicas,
            ..kv::Config::default()
        };
        let refused = |error| EngineError::nats("cannot set up the bucket SIGNIN_DONE", error);
        jetstream.create_or_update_key_value(config).await.map_err(refused)?;
        let config = pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            filter_subject: names::due("*"),
            ack_policy: AckPolicy::Explicit,
            ack_wait: setup.ack_wait,
            max_deliver: -1,
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        let refused = |error| EngineError::nats("cannot set up the consumer of SIGNIN", error);
        jetstream.create_consumer_on_stream(config, STREAM).await.map_err(refused)?;
        Self::open(jetstream, seal).await
    }

    /// Opens what was set up.
    ///
    /// # Errors
    /// [`EngineError::Nats`]: it was not, or there is no answer.
    pub async fn open(jetstream: Context, seal: impl Seal + 'static) -> Result<Self, EngineError> {
        let refused = |error| EngineError::nats("cannot open the bucket SIGNIN_DONE", error);
        let done = jetstream.get_key_value(DONE).await.map_err(refused)?;
        let refused = |error| EngineError::nats("cannot open the stream SIGNIN", error);
        let stream = jetstream.get_stream_no_info(STREAM).await.map_err(refused)?;
        let engine = Self { jetstream, stream, done, seal: Arc::new(seal), ack_wait: Arc::default() };
        engine.learn_ack_wait().await?;
        Ok(engine)
    }

    /// Nobody else is given a sign-in for so long.
    pub(crate) fn ack_wait(&self) -> Duration {
        Duration::from_nanos(self.ack_wait.load(Ordering::Relaxed))
    }

    /// Asks the server, where it may have been set up again.
    pub(crate) async fn learn_ack_wait(&self) -> Result<(), EngineError> {
        let refused = |error| EngineError::nats("cannot look at the consumer of SIGNIN", error);
        let ack_wait = self.stream.consumer_info(CONSUMER).await.map_err(refused)?.config.ack_wait;
        self.ack_wait.store(u64::try_from(ack_wait.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(())
    }

    /// Starts a sign-in: the next free worker asks for its code. The id is the caller's, and nobody else's to guess: with it the
    /// outcome can be asked for.
    ///
    /// # Errors
    /// [`EngineError::Exists`]: after an error of another kind it may be this one, which was stored. [`EngineError::Claims`]: nobody
    /// could work on it, and nothing was stored.
    pub async fn start(&self, id: &str, start: impl Into<Start>) -> Result<(), EngineError> {
        let id = names::checked(id)?;
        if self.entry(id).await?.is_some() {
            return Err(EngineError::Exists);
        }
        let Start { client, claims } = start.into();
        claims.as_deref().map_or(Ok(()), check_claims)?;
        let no_run = |error: std::io::Error| SealError::NotSealed(error.to_string().into());
        let random = entropy().map_err(no_run)?;
        let run = random.first_chunk().copied().map_or(0, u64::from_le_bytes);
        let sealed = record::seal_sign_in(&*self.seal, id, SignInV1 { client, claims, run, waiting: None })?;
        match self.publish(names::due(id), fence(&names::any(id), 0), sealed).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Err(EngineError::Exists),
            Err(error) => Err(EngineError::nats("cannot store the sign-in", error)),
        }
    }

    /// What to show to the person; `None` before the code is there and after the outcome.
    ///
    /// # Errors
    /// [`EngineError::Nats`] without an answer; what is stored may not open, either.
    pub async fn prompt(&self, id: &str) -> Result<Option<Shown>, EngineError> {
        Ok(self.under_way(names::checked(id)?).await?.flatten())
    }

    /// What to show, if there is a code; `None` when nothing is stored but, maybe, an outcome.
    pub(crate) async fn under_way(&self, id: &str) -> Result<Option<Option<Shown>>, EngineError> {
        let Some(last) = self.last(id).await? else { return Ok(None) };
        // A server that was killed may have kept what was acknowledged.
        if *last.subject == names::due(id) && self.entry(id).await?.is_some() {
            return Ok(None);
        }
        let sign_in = record::open_sign_in(&*self.seal, id, &last.payload)?;
        Ok(Some(sign_in.waiting.and_then(|waiting| {
            let expires_at = waiting.ends().unix_time();
            Some(Shown { prompt: waiting.snapshot.prompt()?, expires_at })
        })))
    }

    /// How it ended; `None` while it has not, after a day, and for an id that was never started.
    ///
    /// # Errors
    /// [`EngineError::Nats`] without an answer; what is stored may not open, either. (That nobody could work on a sign-in opens always:
    /// who could not open it could not seal that.)
    pub async fn outcome(&self, id: &str) -> Result<Option<Outcome>, EngineError> {
        Ok(self.entry(names::checked(id)?).await?.map(|(_, outcome)| outcome))
    }

    /// Follows one sign-in: its code, then its outcome.
    ///
    /// # Errors
    /// [`EngineError::Nats`] without a connection.
    pub async fn watch(&self, id: &str) -> Result<Watch, EngineError> {
        Watch::new(self.clone(), names::checked(id)?).await
    }

    /// Ends a sign-in with [`Failure::Cancelled`]. False: it had ended before. A poll that is under way may still redeem the code; its
    /// token is dropped.
    ///
    /// # Errors
    /// [`EngineError::Nats`]: call it again until it is done.
    pub async fn cancel(&self, id: &str) -> Result<bool, EngineError> {
        let id = names::checked(id)?;
        let sealed = record::seal_outcome(&*self.seal, id, Err(Failure::Cancelled.into()))?;
        let cancelled = match self.done.create(id, sealed.into()).await {
            Ok(_) => true,
            // By an earlier call that did not come to its end.
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {
                matches!(self.entry(id).await?, Some((_, Err(SignInError::Failed(Failure::Cancelled)))))
            }
            Err(error) => return Err(EngineError::nats("cannot store that it is cancelled", error)),
        };
        self.purge(id).await?;
        self.tell_news(id).await;
        Ok(cancelled)
    }

    /// Removes whatever is stored of a sign-in. One that is under way ends without an outcome, and who watches it gets
    /// [`EngineError::NotFound`]: what a poll still brings is dropped, and does not reach another sign-in that is started with this id.
    /// (Only within the milliseconds in which that outcome is being stored it can.)
    ///
    /// # Errors
    /// [`EngineError::Nats`]: call it again until it is done.
    pub async fn forget(&self, id: &str) -> Result<(), EngineError> {
        let id = names::checked(id)?;
        self.purge(id).await?;
        self.done.purge(id).await.map_err(|error| EngineError::nats("cannot forget the outcome", error))?;
        self.tell_news(id).await;
        Ok(())
    }

    async fn purge(&self, id: &str) -> Result<(), EngineError> {
        let purged = self.stream.purge().filter(names::any(id)).await;
        purged.map(drop).map_err(|error| EngineError::nats("cannot remove the sign-in", error))
    }

    /// The outcome and its revision.
    pub(crate) async fn entry(&self, id: &str) -> Result<Option<(u64, Outcome)>, EngineError> {
        let entry =
            self.done.entry(id).await.map_err(|error| EngineError::nats("cannot look for the outcome", error))?;
        match entry.filter(|entry| entry.operation == Operation::Put) {
            Some(entry) => Ok(Some((entry.revision, record::open_outcome(&*self.seal, id, &entry.value)?))),
            None => Ok(None),
        }
    }

    /// What is stored last of a sign-in that is not over. Asked of the leader.
    pub(crate) async fn last(&self, id: &str) -> Result<Option<StreamMessage>, EngineError> {
        last_message(&self.stream, &names::any(id), "cannot look for the sign-in").await
    }

    /// Whether it has ended. Asked of the leader, too: any server answers [`entry`](Self::entry), and one that is behind does not know
    /// of an outcome yet whose sign-in is removed already.
    pub(crate) async fn has_outcome(&self, id: &str) -> Result<bool, EngineError> {
        let subject = format!("{}{id}", self.done.prefix);
        let last = last_message(&self.done.stream, &subject, "cannot look for the outcome").await?;
        // Where it was forgotten, a note of that is left.
        Ok(last.is_some_and(|message| message.headers.get("KV-Operation").is_none()))
    }

    /// Stores a message and waits until it is.
    pub(crate) async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Vec<u8>,
    ) -> Result<(), PublishError> {
        let message = PublishMessage::build().headers(headers).payload(payload.into());
        self.jetstream.send_publish(subject, message).await?.await.map(drop)
    }

    /// Tells whoever watches now. Not stored: a watcher that misses it looks by itself.
    pub(crate) async fn tell_news(&self, id: &str) {
        let _ = self.jetstream.client().publish(names::news(id), bytes::Bytes::new()).await;
    }
}

async fn last_message<I>(
    stream: &stream::Stream<I>,
    subject: &str,
    what: &'static str,
) -> Result<Option<StreamMessage>, EngineError> {
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(refusal) if refusal.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
                Ok(None)
            }
            LastRawMessageErrorKind::JetStream(_)
            | LastRawMessageErrorKind::InvalidSubject
            | LastRawMessageErrorKind::Other => Err(EngineError::nats(what, error)),
        },
    }
}

/// By the rule of the flow itself, which is the same for all clients.
fn check_claims(json: &str) -> Result<(), ConfigError> {
    let client = Client::builder(Provider::github(), "any").build()?;
    DeviceFlow::new(client, [0; 32]).claims(json).map(drop)
}

/// Nothing is stored unless this is the last sequence number of these subjects.
pub(crate) fn fence(subject: &str, sequence: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Last-Subject-Sequence", HeaderValue::from(sequence));
    headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", subject);
    headers
}
