//! Owns `Worker`: how many sign-ins it holds, where they come from, and how it ends.

mod guard;
mod step;
mod store;

use crate::clock::{Clock, Pair, Sample, ServerTime};
use crate::credit::Credit;
use crate::delivery::Arrival;
use crate::names::{CONSUMER, STREAM};
use crate::{Engine, EngineError, Trouble, pulse};
use async_nats::client::Request;
use async_nats::connection::State;
use async_nats::jetstream::kv::CreateErrorKind;
use async_nats::{Client as Nats, Subscriber};
use device_flow_core::Client;
use device_flow_tokio::Transport;
use futures_util::StreamExt as _;
use serde::Deserialize;
use std::collections::HashMap;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// Works on sign-ins: asks for codes, polls, and stores outcomes. As many as you like share one engine, on any machines.
///
/// ```no_run
/// use device_flow_nats::{Engine, KeySeal, Worker};
/// use device_flow_tokio::{Client, Http, Provider};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let key = [7; 32];
/// let nats = async_nats::ConnectOptions::new().retry_on_initial_connect().connect("nats.example.com").await?;
/// let engine = Engine::open(async_nats::jetstream::new(nats), KeySeal::new(key)).await?;
/// let github = Client::builder(Provider::github(), "Iv1.0123456789abcdef").scope("read:user").build()?;
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// Worker::new(engine, [("github", github)], Http::builder().build()?).in_flight(64).run_until(stop).await;
/// # Ok(())
/// # }
/// ```
pub struct Worker<T> {
    shared: Arc<Shared<T>>,
    in_flight: usize,
}

/// What all steps of a worker share.
struct Shared<T> {
    engine: Engine,
    nats: Nats,
    clients: HashMap<String, Arc<Client>>,
    transport: T,
    clock: Clock,
    /// Sign-ins that are asking, or are about to.
    asking: AtomicUsize,
    /// There is a free slot.
    freed: Notify,
    first_beat: Instant,
    begin_within: Duration,
    tell: Box<dyn Fn(Trouble) + Send + Sync>,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Worker<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("transport", &self.shared.transport).finish_non_exhaustive()
    }
}

/// The server's clock is looked at so often, so many times; and `ack_wait` once.
const CLOCK_EVERY: Duration = Duration::from_secs(5);
const CLOCK_LOOKS: u32 = 3;
/// The state of the connection and what was asked for is looked at so often.
const TICK: Duration = Duration::from_millis(50);
/// Between two questions of which the first had no answer.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the server keeps a request for messages open. A worker that ends waits so long for what may still come.
const PULL: Duration = Duration::from_secs(2);
/// After that and this, a request that the server has not ended is taken for lost.
const PULL_GRACE: Duration = Duration::from_secs(2);
/// How many steps may wait for the server to store what they did, for each that may ask.
const STORING: usize = 8;

impl<T: Transport + 'static> Worker<T> {
    /// A worker that knows these clients by the names that [`Engine::start`] is given.
    pub fn new<N: Into<String>, C: Into<Arc<Client>>>(
        engine: Engine,
        clients: impl IntoIterator<Item = (N, C)>,
        transport: T,
    ) -> Self {
        let shared = Shared {
            nats: engine.jetstream.client(),
            engine,
            clients: clients.into_iter().map(|(name, client)| (name.into(), client.into())).collect(),
            transport,
            clock: Clock::default(),
            asking: AtomicUsize::new(0),
            freed: Notify::new(),
            first_beat: Instant::now(),
            begin_within: Duration::from_secs(15 * 60),
            tell: Box::new(|trouble| log::warn!("{trouble}")),
        };
        Self { shared: Arc::new(shared), in_flight: 64 }
    }

    /// At most so many requests to authorization servers at once. Default: 64.
    #[must_use]
    pub fn in_flight(mut self, requests: usize) -> Self {
        self.in_flight = requests.max(1);
        self
    }

    /// How long a sign-in without a code is left to other workers when this one cannot begin it, from its start on. Default: 15 minutes.
    /// Then it [ends](crate::SignInError::Unworkable). The first worker that leaves it decides; shorter than
    /// [`Setup::max_age`](crate::Setup::max_age), and longer than it takes to start the workers that can. (One with a code ends with it.)
    #[must_use]
    pub fn begin_within(self, time: Duration) -> Self {
        self.with(|shared| shared.begin_within = time)
    }

    /// Hears of all trouble. Without it, `log` does, as warnings. It must not block.
    #[must_use]
    pub fn on_trouble(self, tell: impl Fn(Trouble) + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.tell = Box::new(tell))
    }

    fn with(mut self, set: impl FnOnce(&mut Shared<T>)) -> Self {
        // Nobody else has it before it runs.
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            set(shared);
        }
        self
    }

    /// Works until its future is dropped, and then leaves what it holds to others as if it had died: better is
    /// [`run_until`](Self::run_until). Whatever fails is told, and tried again.
    pub async fn run(self) {
        self.run_until(pending()).await;
    }

    /// Works until `stop`. Then it begins no step and waits for those under way, which takes as long as a request may take; without
    /// NATS twice [`ack_wait`](crate::Setup::ack_wait), and with a token that cannot be stored until it is. What else it was given goes
    /// back at once, and is not late by that.
    pub async fn run_until(self, stop: impl Future<Output = ()>) {
        let Self { shared, in_flight } = self;
        let mut stop = pin!(stop);
        let mut stopping: Option<Duration> = None;
        let mut time_keeper = JoinSet::new();
        time_keeper.spawn(keep_time(shared.clone()));
        let mut hand = Hand { credit: Credit::default(), steps: JoinSet::new(), in_flight };
        let mut inbox: Option<Inbox> = None;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut state = shared.nats.connection_state();
        loop {
            let lost = hand
                .credit
                .oldest()
                .is_some_and(|sent| pulse::now() > sent.saturating_add(PULL).saturating_add(PULL_GRACE));
            if lost || inbox.as_ref().is_none_or(|inbox| inbox.connects != connects(&shared.nats)) {
                // The server has forgotten what was asked for, and how old what an old connection has brought is, nobody knows.
                hand.credit.clear();
                let before = inbox.take();
                inbox = Inbox::open(&shared).await;
                if let (Some(inbox), Some(before)) = (&mut inbox, before)
                    && inbox.connects == before.connects
                {
                    inbox.runs_since = before.runs_since;
                }
            }
            if stopping
                .is_some_and(|since| hand.credit.outstanding() == 0 || pulse::now() > since.saturating_add(PULL * 2))
            {
                break;
            }
            let mut ticked = false;
            tokio::select! {
                () = &mut stop, if stopping.is_none() => stopping = Some(pulse::now()),
                Some(ended) = hand.steps.join_next() => {
                    if let Err(error) = ended {
                        shared.refused("a step panicked", None, &error);
                    }
                }
                message = next(&mut inbox) => match message {
                    // Since the last look, the connection may have become another one, which serves what the old one was asked.
                    Some(message) => match inbox.as_ref().filter(|inbox| inbox.connects == connects(&shared.nats)) {
                        Some(inbox) => hand.take(&shared, message, inbox.runs_since, stopping.is_some()),
                        None => inbox = None,
                    },
                    None => inbox = None,
                },
                () = shared.freed.notified() => {}
                _ = tick.tick() => ticked = true,
            }
            if ticked && state != shared.nats.connection_state() {
                state = shared.nats.connection_state();
                (shared.tell)(if state == State::Connected { Trouble::Connected } else { Trouble::Disconnected });
            }
            // What is asked for without a connection would be asked for in the next one.
            if let (Some(inbox), State::Connected, None) = (&mut inbox, shared.nats.connection_state(), stopping) {
                if inbox.runs_since.is_none() && pulse::now() >= inbox.not_before {
                    inbox.runs_since = shared.server_runs_since().await;
                    inbox.not_before = pulse::now().saturating_add(PAUSE);
                }
                if inbox.runs_since.is_some() && inbox.connects == connects(&shared.nats) {
                    hand.ask(&shared, inbox, ticked).await;
                }
            }
        }
        while hand.steps.join_next().await.is_some() {}
        // So that what was said last is said before the caller drops the connection.
        let _ = timeout(PULL, shared.nats.flush()).await;
    }
}

/// How many connections there were.
fn connects(nats: &Nats) -> u64 {
    nats.statistics().connects.load(Ordering::Relaxed)
}

/// Where the messages of one connection arrive.
struct Inbox {
    subject: String,
    messages: Subscriber,
    connects: u64,
    /// Since when the process of this server is known to run. Of what was due before, nobody knows whether somebody had it: a server
    /// that was killed forgets what it delivered last, and delivers it as if for the first time.
    runs_since: Option<ServerTime>,
    /// The server is not asked for that again before this time, by the pulse.
    not_before: Duration,
}

impl Inbox {
    async fn open<T: Transport>(shared: &Shared<T>) -> Option<Self> {
        let (subject, connects) = (shared.nats.new_inbox(), connects(&shared.nats));
        match shared.nats.subscribe(subject.clone()).await {
            Ok(messages) => Some(Self { subject, messages, connects, runs_since: None, not_before: Duration::ZERO }),
            Err(error) => {
                shared.refused("cannot listen for sign-ins", None, &error);
                sleep(PULL).await;
                None
            }
        }
    }
}

async fn next(inbox: &mut Option<Inbox>) -> Option<async_nats::Message> {
    match inbox {
        Some(inbox) => inbox.messages.next().await,
        None => pending().await,
    }
}

/// What a worker holds and has asked for.
struct Hand {
    credit: Credit,
    steps: JoinSet<()>,
    in_flight: usize,
}

impl Hand {
    /// Begins the step that a message asks for, or hands it back.
    fn take<T: Transport + 'static>(
        &mut self,
        shared: &Arc<Shared<T>>,
        message: async_nats::Message,
        runs_since: Option<ServerTime>,
        stopping: bool,
    ) {
        let credit = &mut self.credit;
        // What was not asked for can be of any age.
        match Arrival::of(message, || credit.arrived().unwrap_or_default()) {
            Arrival::Due(delivery) if stopping => {
                self.steps.spawn(step::give_back(shared.clone(), delivery, runs_since));
            }
            Arrival::Due(delivery) => {
                let slot = Slot::take(shared.clone());
                self.steps.spawn(step::run(slot, delivery, runs_since));
            }
            Arrival::Ended { pending, status, description } => {
                self.credit.returned(pending);
                // 404 and 408 are the usual end of a request.
                if !matches!(status, 404 | 408) {
                    shared.refused("a request for sign-ins was ended", None, &format!("{status} {description}"));
                }
            }
            Arrival::Strange(subject) => {
                self.credit.returned(1);
                shared.refused("this is no sign-in", None, &subject);
            }
        }
    }

    /// Asks for as many as there are free slots, unless they are so few that it is not worth it before the next tick.
    async fn ask<T: Transport>(&mut self, shared: &Shared<T>, inbox: &Inbox, ticked: bool) {
        let free = self.in_flight.saturating_sub(shared.asking.load(Ordering::Relaxed));
        let room = self.in_flight.saturating_mul(STORING).saturating_sub(self.steps.len());
        let outstanding = self.credit.outstanding();
        let wanted = free.min(room).saturating_sub(outstanding);
        let (half, quarter) = (self.in_flight / 2, self.in_flight.div_ceil(4));
        if outstanding <= half && (wanted >= quarter || (ticked && wanted > 0)) {
            let request = format!(r#"{{"batch":{wanted},"expires":{}}}"#, PULL.as_nanos());
            let sent = pulse::now();
            let request = Request::new().payload(request.into()).inbox(inbox.subject.clone());
            let subject = format!("CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}");
            match shared.engine.jetstream.send_request(subject, request).await {
                Ok(()) => self.credit.pull(wanted, sent),
                Err(error) => shared.refused("cannot ask for sign-ins", None, &error),
            }
        }
    }
}

/// One of the requests that may be in flight.
struct Slot<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Slot<T> {
    fn take(shared: Arc<Shared<T>>) -> Self {
        shared.asking.fetch_add(1, Ordering::Relaxed);
        Self { shared }
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        self.shared.asking.fetch_sub(1, Ordering::Relaxed);
        self.shared.freed.notify_one();
    }
}

impl<T> Shared<T> {
    fn refused(&self, what: &'static str, id: Option<&str>, error: &dyn std::fmt::Display) {
        (self.tell)(Trouble::Refused { what, id: id.map(str::to_owned), error: error.to_string() });
    }
}

impl<T: Transport> Shared<T> {
    /// Since when the process of the server that we are connected to is known to run: since the first worker that was connected to it
    /// wrote that down. If we are the first, nobody was given anything by it before now. (When our connection broke does not matter:
    /// it may have been started, and killed, more than once since then.)
    async fn server_runs_since(&self) -> Option<ServerTime> {
        // After an answer, it is the server of this connection whose name is known.
        if let Err(error) = look_at_the_clock(self).await {
            self.refused("cannot ask for the server's time", None, &error);
            return None;
        }
        let now = self.clock.now()?.time;
        // Not an id: it has a dot.
        let (key, done) = (format!("server.{}", self.nats.server_info().server_id), &self.engine.done);
        let refused =
            |error: &dyn std::fmt::Display| self.refused("cannot look for how long the server runs", None, error);
        match done.get(&*key).await {
            Ok(Some(since)) => return serde_json::from_slice(&since).map_err(|error| refused(&error)).ok(),
            Ok(None) => {}
            Err(error) => {
                refused(&error);
                return None;
            }
        }
        let text = serde_json::to_vec(&now).map_err(|error| refused(&error)).ok()?;
        match done.create(key, text.into()).await {
            Ok(_) => Some(now),
            // It is read the next time.
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => None,
            Err(error) => {
                refused(&error);
                None
            }
        }
    }
}

/// The part of a stream's description that is of interest here.
#[derive(Deserialize)]
struct StreamInfo {
    ts: String,
}

/// Looks again and again at the server's clock, and at how long nobody else has what this worker was given.
async fn keep_time<T: Transport>(shared: Arc<Shared<T>>) {
    loop {
        let mut samples = Vec::new();
        for _ in 0..CLOCK_LOOKS {
            match look_at_the_clock(&shared).await {
                Ok(sample) => samples.push(sample),
                Err(error) => shared.refused("cannot ask for the server's time", None, &error),
            }
        }
        match shared.engine.learn_ack_wait().await {
            Ok(()) => {}
            Err(EngineError::Nats { what, source }) => shared.refused(what, None, &source),
            Err(error) => shared.refused("cannot ask for ack_wait", None, &error),
        }
        let known = Pair::best(samples).map(|pair| shared.clock.set(pair)).is_some();
        sleep(if known { CLOCK_EVERY } else { CLOCK_EVERY / 10 }).await;
    }
}

async fn look_at_the_clock<T>(shared: &Shared<T>) -> Result<Sample, Box<dyn std::error::Error + Send + Sync>> {
    let asked = pulse::now();
    let info: StreamInfo = shared.engine.jetstream.request(format!("STREAM.INFO.{STREAM}"), &()).await?;
    let answered = pulse::now();
    let server = ServerTime::parse(&info.ts).ok_or("the stream's description has no time")?;
    Ok(Sample { asked, answered, server })
}
