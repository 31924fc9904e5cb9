//! Owns what every driver of a fleet does between sending and waiting: it asks the fleet, reports events, counts, and says
//! which of its workers sleeps until the next poll.

use crate::{Answer, entropy};
#[cfg(feature = "serde")]
use device_flow_core::{Away, Snapshot, SnapshotError};
use device_flow_core::{
    Client, DeviceFlow, Failure, Fleet, FleetAction, FleetTicket, Prompt, Request, Stopped, Timestamp, TokenResponse,
    TransportError, TransportErrorKind, WaitReason,
};
use std::fmt;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a fleet tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum FleetEvent<K> {
    /// Show this to the person.
    ShowCode {
        /// Whose code it is.
        key: K,
        /// What to show.
        prompt: Prompt,
    },
    /// This sign-in waits for longer than usual: the server asked for it, or no usable answer came.
    Delayed {
        /// Whose sign-in it is.
        key: K,
        /// How long it waits.
        wait: Duration,
        /// Why.
        reason: WaitReason,
    },
    /// The sign-in has ended.
    Done {
        /// Whose sign-in it was.
        key: K,
        /// Its tokens, or why there are none.
        outcome: Result<TokenResponse, Stopped>,
    },
}

/// What happens in a fleet, for counters and histograms. It is told where it happens, so keep it short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FleetMeasure {
    /// A request was sent.
    Sent {
        /// How much later than it was due; `None` for the first request of a sign-in, and for one that has not waited.
        late: Option<Duration>,
    },
    /// An answer came, or the request failed, after this time.
    Landed {
        /// Since it was sent.
        took: Duration,
        /// Whether it was an answer.
        answered: bool,
    },
    /// There is a code.
    CodeShown,
    /// The person has not decided.
    Pending,
    /// The server asked for fewer polls.
    SlowedDown,
    /// The sign-in goes on, but waits for longer: no usable answer came, or the server has named a time (`Retry-After`).
    SetBack,
    /// Tokens came.
    Granted,
    /// The sign-in ended without tokens.
    Failed,
    /// The sign-in was cancelled.
    Cancelled,
}

/// A fleet at one moment, and what it has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetStats {
    /// Sign-ins that have not ended.
    pub sign_ins: usize,
    /// Those of them that were started and have not sent anything.
    pub starting: usize,
    /// Requests without an answer.
    pub in_flight: usize,
    /// Requests that were sent, first ones and polls.
    pub requests: u64,
    /// Codes that were shown.
    pub codes: u64,
    /// Sign-ins that ended with tokens.
    pub granted: u64,
    /// Sign-ins that ended without, cancelled ones included.
    pub failed: u64,
    /// How late a request was sent at most, since the fleet began.
    pub latest: Duration,
}

/// Why a sign-in was not added to a fleet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// There is a sign-in of this key.
    #[error("a sign-in with this key is under way: wait for its end, or cancel it")]
    KeyTaken,
    /// The fleet was drained, or nobody listens to its events any more.
    #[error("this fleet has ended: start another one")]
    Ended,
    /// The system has no random bytes to give.
    #[error("the system has no random bytes to give: {0}")]
    Entropy(#[from] std::io::Error),
}

/// Why a sign-in did not go on in a fleet.
#[cfg(feature = "serde")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It was not added.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// It cannot be resumed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// What comes of a request whose transport has panicked.
#[must_use]
pub fn panicked() -> TransportError {
    TransportError::new(TransportErrorKind::Other).with_detail("the transport has panicked")
}

/// What to do next, for one of the workers.
#[derive(Debug)]
#[must_use = "a step that is dropped is a request not sent"]
pub enum CrewStep {
    /// Wake another worker, send this, and hand in what comes.
    Send(Request, FleetTicket),
    /// Sleep until then, or until something happens: nobody else does.
    Watch(Timestamp),
    /// There is more to tell: come back when others have had their turn.
    More,
    /// Sleep until something happens.
    Rest,
    /// Stop.
    End,
}

/// What the workers of a fleet share, behind a lock that none of them holds while it waits.
pub struct Crew<K> {
    fleet: Fleet<K, DeviceFlow>,
    stats: FleetStats,
    /// Until when the worker sleeps that watches the time.
    watched: Option<Timestamp>,
    /// Workers that have not stopped.
    workers: usize,
    /// `None` when there is nothing more to tell.
    tell: Option<Box<dyn FnMut(FleetEvent<K>) + Send>>,
    unread: Unread,
    measure: Option<Arc<Measure>>,
    show_once: bool,
    /// No sign-in will be added.
    closed: bool,
    /// Nothing more is sent.
    draining: bool,
    /// Nobody will take the flows.
    left: bool,
}

/// After so many events a worker lets others have the crew, and looks at the clock again.
const AT_ONCE: usize = 1_000;
/// Sign-ins that were started and have sent nothing: more of them wait.
const STARTING: usize = 1_024;
/// While so many events were not read, no sign-in is started: an owner that does not listen has no use for more.
const UNREAD: usize = 16_384;

/// How many events were told and not read.
#[derive(Clone, Debug, Default)]
pub struct Unread(Arc<AtomicUsize>);

impl Unread {
    /// One more was read. Returns whether that may have made [room](Crew::has_room) for those who start sign-ins.
    #[must_use]
    pub fn read(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) == UNREAD
    }
}

type Measure = dyn Fn(FleetMeasure) + Send + Sync;

/// How a fleet is made.
#[derive(Clone, Default)]
pub struct CrewSettings {
    /// How many requests are in flight at most; as many workers.
    pub max_in_flight: usize,
    /// Prompts are kept until they are shown, and no longer.
    pub show_once: bool,
    /// Hears of all that happens.
    pub measure: Option<Arc<Measure>>,
}

impl<K: Clone + Eq + Hash> Crew<K> {
    /// An empty fleet of as many workers as may have a request in flight. `tell` does not block.
    pub fn new(settings: &CrewSettings, tell: impl FnMut(FleetEvent<K>) + Send + 'static) -> Self {
        Self {
            fleet: Fleet::new(settings.max_in_flight),
            stats: FleetStats::default(),
            watched: None,
            workers: settings.max_in_flight,
            tell: Some(Box::new(tell)),
            unread: Unread::default(),
            measure: settings.measure.clone(),
            show_once: settings.show_once,
            closed: false,
            draining: false,
            left: false,
        }
    }

    /// Adds a sign-in.
    ///
    /// # Errors
    /// [`FleetError`].
    pub fn start(&mut self, key: K, client: Arc<Client>) -> Result<(), FleetError> {
        let flow = DeviceFlow::new(client, entropy()?);
        let flow = if self.show_once { flow.show_once() } else { flow };
        self.check_open()?;
        self.fleet.start(key, flow).map_err(|_| FleetError::KeyTaken)
    }

    /// Adds a sign-in that goes on.
    ///
    /// # Errors
    /// [`FleetError`].
    pub fn restore(&mut self, key: K, flow: DeviceFlow, now: Timestamp) -> Result<(), FleetError> {
        let flow = if self.show_once { flow.show_once() } else { flow };
        self.check_open()?;
        self.fleet.restore(key, flow, now).map_err(|_| FleetError::KeyTaken)
    }

    /// Adds a sign-in that was stored, and has been away for so long.
    ///
    /// # Errors
    /// [`RestoreError`].
    #[cfg(feature = "serde")]
    pub fn resume(
        &mut self,
        key: K,
        client: Arc<Client>,
        snapshot: Snapshot,
        away: Away,
        now: Timestamp,
    ) -> Result<(), RestoreError> {
        let flow = DeviceFlow::resume(client, snapshot, away, now)?;
        Ok(self.restore(key, flow, now)?)
    }

    /// Whether a sign-in may be started, or learn at once that the fleet has ended. Otherwise there may be room after a
    /// request was sent, and when [`Unread::read`] says so.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.closed || self.fleet.starting() < STARTING && self.unread.0.load(Ordering::Relaxed) < UNREAD
    }

    /// Counts the events that were not read, for the one who reads them.
    #[must_use]
    pub fn unread(&self) -> Unread {
        self.unread.clone()
    }

    fn check_open(&self) -> Result<(), FleetError> {
        if self.closed { Err(FleetError::Ended) } else { Ok(()) }
    }

    /// Cancels a sign-in. Returns `false` when there is none of this key.
    pub fn cancel(&mut self, key: &K, now: Timestamp) -> bool {
        let Some(outcome) = self.fleet.cancel(key, now) else { return false };
        self.ended(key.clone(), outcome);
        true
    }

    /// What the sign-in of this key shows, while its code lives and is kept.
    #[must_use]
    pub fn prompt(&self, key: &K) -> Option<Prompt> {
        self.fleet.get(key)?.prompt()
    }

    /// How things stand.
    #[must_use]
    pub fn stats(&self) -> FleetStats {
        let (sign_ins, starting) = (self.fleet.len(), self.fleet.starting());
        FleetStats { sign_ins, starting, in_flight: self.fleet.in_flight(), ..self.stats }
    }

    /// No sign-in will be added, and the workers stop when the last one has ended.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The owner is gone: as [`close`](Self::close), and nobody will take the flows.
    pub fn leave(&mut self, now: Timestamp) {
        (self.closed, self.left) = (true, true);
        self.end_events(now);
    }

    /// Nothing more is sent: each worker stops when its request has landed.
    pub fn drain(&mut self) {
        (self.closed, self.draining) = (true, true);
        self.fleet.pause();
    }

    /// What a worker does next.
    pub fn next_step(&mut self, now: Timestamp) -> CrewStep {
        for _ in 0..AT_ONCE {
            match self.fleet.next_action(now) {
                FleetAction::SendRequest { request, ticket, late, .. } => {
                    self.stats.requests = self.stats.requests.saturating_add(1);
                    self.stats.latest = self.stats.latest.max(late.unwrap_or_default());
                    self.measure(FleetMeasure::Sent { late });
                    return CrewStep::Send(request, ticket);
                }
                FleetAction::ShowCode { key, prompt } => self.shown(key, prompt),
                FleetAction::Waiting { answered: false, .. } => {}
                FleetAction::Waiting { key, until, reason, .. } => self.waits(key, until.saturating_since(now), reason),
                FleetAction::Done { key, outcome } => self.ended(key, outcome),
                FleetAction::Wait { until } if self.watched.is_none_or(|watched| until < watched) => {
                    self.watched = Some(until);
                    return CrewStep::Watch(until);
                }
                FleetAction::Idle if self.closed => return CrewStep::End,
                FleetAction::AwaitResponse if self.draining => return CrewStep::End,
                FleetAction::Wait { .. } | FleetAction::AwaitResponse | FleetAction::Idle => return CrewStep::Rest,
            }
        }
        CrewStep::More
    }

    /// The worker that has slept until then, or was woken, no longer watches the time.
    pub fn woke(&mut self, watched: Timestamp) {
        if self.watched == Some(watched) {
            self.watched = None;
        }
    }

    /// Hands in what came of a request.
    pub fn landed(
        &mut self,
        ticket: FleetTicket,
        answer: Result<Answer, TransportError>,
        took: Duration,
        arrival: Timestamp,
    ) {
        self.measure(FleetMeasure::Landed { took, answered: answer.is_ok() });
        // Each worker hands in its own ticket, so that there is nothing to refuse but a status that HTTP does not have.
        let handed_in = match &answer {
            Ok(answer) => self.fleet.response(ticket, answer.as_response(), arrival),
            Err(error) => self.fleet.transport_failed(ticket, error.clone(), arrival),
        };
        if let Err(misuse) = handed_in {
            let error = TransportError::new(TransportErrorKind::InvalidHttp);
            let _ = self.fleet.transport_failed(misuse.into_ticket(), error, arrival);
        }
    }

    /// A worker has stopped. Returns whether it was the last one; then no sign-in will be added.
    pub fn worker_stopped(&mut self, now: Timestamp) -> bool {
        self.workers = self.workers.saturating_sub(1);
        self.closed |= self.workers == 0;
        self.end_events(now);
        self.workers == 0
    }

    /// Without workers there is nothing more to tell, unless somebody will take the flows.
    fn end_events(&mut self, now: Timestamp) {
        if self.workers == 0 && (self.left || !self.draining) {
            self.tell_the_rest(now);
        }
    }

    /// What was answered and not told, which may be tokens; and nothing after that.
    fn tell_the_rest(&mut self, now: Timestamp) {
        self.fleet.pause();
        while let CrewStep::More = self.next_step(now) {}
        self.tell = None;
    }

    /// Whether the workers have stopped.
    #[must_use]
    pub fn is_still(&self) -> bool {
        self.workers == 0
    }

    /// All sign-ins of a fleet that is drained, also those whose answers are still on their way: nobody will hear of them.
    pub fn take_flows(&mut self, now: Timestamp) -> Vec<(K, DeviceFlow)> {
        self.tell_the_rest(now);
        std::mem::replace(&mut self.fleet, Fleet::new(1)).into_machines().collect()
    }

    fn shown(&mut self, key: K, prompt: Prompt) {
        self.stats.codes = self.stats.codes.saturating_add(1);
        self.measure(FleetMeasure::CodeShown);
        self.tell(FleetEvent::ShowCode { key, prompt });
    }

    /// After an answer, or the lack of one.
    fn waits(&mut self, key: K, wait: Duration, reason: WaitReason) {
        let measure = match reason {
            WaitReason::Interval => return self.measure(FleetMeasure::Pending),
            WaitReason::SlowDown { .. } => FleetMeasure::SlowedDown,
            WaitReason::Backoff { .. } | WaitReason::RetryAfter => FleetMeasure::SetBack,
        };
        self.measure(measure);
        self.tell(FleetEvent::Delayed { key, wait, reason });
    }

    fn ended(&mut self, key: K, outcome: Result<TokenResponse, Stopped>) {
        let (count, measure) = match &outcome {
            Ok(_) => (&mut self.stats.granted, FleetMeasure::Granted),
            Err(Stopped::Failed(Failure::Cancelled)) => (&mut self.stats.failed, FleetMeasure::Cancelled),
            Err(_) => (&mut self.stats.failed, FleetMeasure::Failed),
        };
        *count = count.saturating_add(1);
        self.measure(measure);
        self.tell(FleetEvent::Done { key, outcome });
    }

    fn tell(&mut self, event: FleetEvent<K>) {
        if let Some(tell) = &mut self.tell {
            self.unread.0.fetch_add(1, Ordering::Relaxed);
            tell(event);
        }
    }

    /// A panic of the owner's code costs its counter, and no sign-in.
    fn measure(&self, what: FleetMeasure) {
        if let Some(measure) = &self.measure {
            let _ = catch_unwind(AssertUnwindSafe(|| measure(what)));
        }
    }
}

impl<K> fmt::Debug for Crew<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("fleet", &self.fleet).finish_non_exhaustive()
    }
}

impl fmt::Debug for CrewSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrewSettings").field("max_in_flight", &self.max_in_flight).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]
mod tests {
    use super::*;
    use device_flow_core::Provider;
    use std::sync::mpsc::{Receiver, TryRecvError, channel};

    const NOW: Timestamp = Timestamp::ZERO;

    fn client() -> Arc<Client> {
        let provider = Provider::endpoints("https://as/device", "https://as/token");
        Arc::new(Client::builder(provider, "client").build().unwrap())
    }

    /// A sign-in that has its code, and waits for so many seconds.
    fn waiting(crew: &mut Crew<u32>, key: u32, interval: u32) {
        crew.start(key, client()).unwrap();
        let CrewStep::Send(_, ticket) = crew.next_step(NOW) else { panic!("a request was expected") };
        let code = format!(
            r#"{{"device_code":"d-canary","user_code":"A-B","verification_uri":"https://as/x","expires_in":900,"interval":{interval}}}"#
        );
        crew.landed(ticket, Ok(Answer::new(200, code.into_bytes())), Duration::ZERO, NOW);
    }

    #[test]
    fn one_worker_watches_the_time_and_another_only_for_what_is_due_earlier() {
        let (mut crew, _events) = crew(4);
        waiting(&mut crew, 1, 60);
        let CrewStep::Watch(later) = crew.next_step(NOW) else { panic!("nobody watches the time") };
        assert!(matches!(crew.next_step(NOW), CrewStep::Rest), "two watch the same time");
        assert_eq!(crew.prompt(&1).map(|prompt| prompt.user_code().to_owned()).as_deref(), Some("A-B"));
        waiting(&mut crew, 2, 10);
        let CrewStep::Watch(earlier) = crew.next_step(NOW) else { panic!("nobody watches the earlier time") };
        assert!(earlier < later);
        // Who was late for another time watches nothing any more.
        crew.woke(later);
        assert!(matches!(crew.next_step(NOW), CrewStep::Rest));
        crew.woke(earlier);
        assert!(matches!(crew.next_step(NOW), CrewStep::Watch(again) if again == earlier));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_stored_sign_in_goes_on_in_the_fleet() {
        let (mut before, _events) = crew(1);
        waiting(&mut before, 1, 60);
        let (_, flow) = before.take_flows(NOW).remove(0);
        let (mut after, _events) = crew(1);
        let mut resume = || after.resume(1, client(), flow.snapshot(NOW).unwrap(), Away::exactly(Duration::ZERO), NOW);
        resume().unwrap();
        assert!(resume().is_err(), "the key is taken");
        assert_eq!(after.stats().sign_ins, 1);
    }

    #[test]
    fn debug_shows_how_many_there_are() {
        let (mut crew, _events) = crew(7);
        waiting(&mut crew, 1, 60);
        assert!(format!("{crew:?}").starts_with("Crew { fleet: Fleet"), "{crew:?}");
        let settings = CrewSettings { max_in_flight: 7, ..CrewSettings::default() };
        assert_eq!(format!("{settings:?}"), "CrewSettings { max_in_flight: 7, .. }");
    }

    fn crew(max_in_flight: usize) -> (Crew<u32>, Receiver<FleetEvent<u32>>) {
        let (sender, events) = channel();
        let settings = CrewSettings { max_in_flight, ..CrewSettings::default() };
        (Crew::new(&settings, move |event| _ = sender.send(event)), events)
    }

    #[test]
    fn an_owner_that_does_not_listen_starts_nothing_more() {
        let (mut crew, _events) = crew(1);
        let unread = crew.unread();
        for more in [UNREAD, 2] {
            assert!(crew.has_room());
            for _ in 0..more {
                crew.tell(FleetEvent::Delayed { key: 0, wait: Duration::ZERO, reason: WaitReason::Interval });
            }
            assert!(!crew.has_room());
            assert!(unread.read() && crew.has_room());
            assert!(!unread.read() && crew.has_room());
        }
    }

    #[test]
    fn events_end_with_the_last_worker_unless_somebody_takes_the_flows() {
        let is_over = |events: &Receiver<_>| events.try_recv().err() == Some(TryRecvError::Disconnected);
        for (drain, leaves, ends) in
            [(false, true, true), (false, false, true), (true, true, true), (true, false, false)]
        {
            let (mut crew, events) = crew(2);
            let now = Timestamp::ZERO;
            if drain {
                crew.drain();
            }
            if leaves {
                crew.leave(now);
            }
            assert!(!crew.worker_stopped(now) && !crew.is_still() && !is_over(&events));
            assert_eq!(crew.check_open().is_ok(), !drain && !leaves, "one worker is left");
            assert!(crew.worker_stopped(now) && crew.is_still());
            assert_eq!(is_over(&events), ends, "{drain}, {leaves}");
            assert!(crew.take_flows(now).is_empty() && is_over(&events));
            assert!(crew.has_room() && matches!(crew.check_open(), Err(FleetError::Ended)));
        }
    }
}
