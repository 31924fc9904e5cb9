//! Owns the driver of a fleet without a runtime: as many threads as there may be requests in flight.

use crate::clock::{arrival, now};
use crate::{Client, Transport};
#[cfg(feature = "serde")]
use device_flow_adapter::crew::RestoreError;
use device_flow_adapter::crew::{
    self, Crew, CrewSettings, CrewStep, FleetError, FleetEvent, FleetMeasure, FleetStats, Unread,
};
use device_flow_adapter::timeline;
#[cfg(feature = "serde")]
use device_flow_core::{Away, Snapshot};
use device_flow_core::{DeviceFlow, Prompt};
use std::fmt;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Thousands of sign-ins in one process, on a few threads and connections.
///
/// ```no_run
/// use device_flow_blocking::{Client, Fleet, FleetEvent, Http, Provider};
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Arc::new(Client::builder(Provider::github(), "Iv1.0123456789abcdef").build()?);
/// let (fleet, events) = Fleet::builder(Http::builder().build()?).spawn();
/// // Not on the thread that reads the events: `start` waits while many of them were not read.
/// let starting = std::thread::spawn(move || {
///     (0..10_000_u32).try_for_each(|device| fleet.start(device, client.clone()))
/// });
/// for event in events {
///     match event {
///         FleetEvent::ShowCode { key, prompt } => println!("device {key} shows {}", prompt.user_code()),
///         FleetEvent::Done { key, outcome } => println!("device {key}: {:?}", outcome.map(|_| "signed in")),
///         _ => {}
///     }
/// }
/// starting.join().expect("it does not panic")?;
/// # Ok(())
/// # }
/// ```
///
/// Each sign-in keeps the polling rules as [`run`](crate::run) does. Between them, polls that are due go first, and sign-ins
/// that begin wait while polls come late; so an overload shows as lateness, and never as a crowd of connections or a poll
/// that comes early. If it lasts, no sign-in begins, and a poll may come too late for its code.
///
/// Make a fleet for each authorization server, which may share one transport: one that does not answer would hold up the
/// sign-ins of all others.
///
/// When this is dropped, the sign-ins go on; the events and the threads end with the last of them. When the events are
/// dropped, everything stops.
pub struct Fleet<K: Clone + Eq + Hash> {
    shared: Arc<Shared<K>>,
}

/// How a [`Fleet`] is made.
#[must_use = "settings do nothing until `spawn`"]
pub struct FleetBuilder<T> {
    transport: T,
    settings: CrewSettings,
}

/// What happens in a [`Fleet`]: each step waits for the next event, and there is none when the fleet has ended.
pub struct FleetEvents<K: Clone + Eq + Hash> {
    events: Receiver<FleetEvent<K>>,
    unread: Unread,
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    crew: Mutex<Crew<K>>,
    /// Wakes a worker that has nothing to do.
    work: Condvar,
    /// Wakes those who want to start a sign-in.
    room: Condvar,
    /// Wakes the one who waits for the last worker to stop.
    stopped: Condvar,
}

impl Fleet<()> {
    /// The settings of a fleet that sends its requests over this transport.
    pub fn builder<T: Transport + Send + Sync + 'static>(transport: T) -> FleetBuilder<T> {
        FleetBuilder { transport, settings: CrewSettings { max_in_flight: 16, ..CrewSettings::default() } }
    }
}

impl<T: Transport + Send + Sync + 'static> FleetBuilder<T> {
    /// How many requests are in flight at most, and so how many threads and connections there are. Default: 16, which carry
    /// a hundred requests a second to a server that answers within 160 ms.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.settings.max_in_flight = requests.max(1);
        self
    }

    /// Gives back the memory of each prompt when its event was sent. A sign-in that is [restored](Fleet::restore) later does
    /// not show its code again.
    pub fn show_once(mut self) -> Self {
        self.settings.show_once = true;
        self
    }

    /// Calls `measure` for all that happens, while the fleet is locked: for counters, which take no time. It must not call
    /// the fleet. A panic in it is dropped.
    pub fn on_measure(mut self, measure: impl Fn(FleetMeasure) + Send + Sync + 'static) -> Self {
        self.settings.measure = Some(Arc::new(measure));
        self
    }

    /// Starts the fleet on threads of its own.
    ///
    /// # Panics
    /// When the system does not start that many threads.
    pub fn spawn<K: Clone + Eq + Hash + Send + 'static>(self) -> (Fleet<K>, FleetEvents<K>) {
        let (sender, events) = mpsc::channel();
        // When nobody listens, the workers stop.
        let crew = Crew::new(&self.settings, move |event| _ = sender.send(event));
        let unread = crew.unread();
        let (work, room, stopped) = Default::default();
        let shared = Arc::new(Shared { crew: Mutex::new(crew), work, room, stopped });
        // Made first, so that the threads end if one more does not start.
        let ends = (Fleet { shared: shared.clone() }, FleetEvents { events, unread, shared: shared.clone() });
        let transport = Arc::new(self.transport);
        for _ in 0..self.settings.max_in_flight {
            let (worker, transport) = (Worker(shared.clone()), transport.clone());
            thread::spawn(move || worker.work(&*transport));
        }
        ends
    }
}

impl<K: Clone + Eq + Hash> Fleet<K> {
    /// Starts a sign-in. Waits while more than a thousand others have not sent anything, or many events were not read.
    ///
    /// # Errors
    /// [`FleetError`] when there is a sign-in of this key, or the fleet has ended.
    pub fn start(&self, key: K, client: impl Into<Arc<Client>>) -> Result<(), FleetError> {
        let client = client.into();
        let mut crew = self.shared.crew();
        while !crew.has_room() {
            crew = wait(&self.shared.room, crew);
        }
        let started = crew.start(key, client);
        drop(crew);
        self.shared.work.notify_one();
        // There may be room for another one.
        self.shared.room.notify_one();
        started
    }

    /// Goes on with a sign-in that was [drained](Fleet::drain) or stored otherwise. Its code is shown again, if it is in the
    /// snapshot.
    ///
    /// `away`: the time since the snapshot was taken, or [two bounds](Away) of it.
    ///
    /// # Errors
    /// [`RestoreError`].
    #[cfg(feature = "serde")]
    pub fn restore(
        &self,
        key: K,
        client: impl Into<Arc<Client>>,
        snapshot: Snapshot,
        away: impl Into<Away>,
    ) -> Result<(), RestoreError> {
        // Rounded up, so that no wait is shortened.
        self.shared.crew().resume(key, client.into(), snapshot, away.into(), arrival())?;
        self.shared.work.notify_one();
        Ok(())
    }

    /// What a sign-in shows while its code lives, unless it was to be [shown once](FleetBuilder::show_once).
    pub fn prompt(&self, key: &K) -> Option<Prompt> {
        self.shared.crew().prompt(key)
    }

    /// Cancels a sign-in, whose key is free at once; its end is an event, too. Returns `false` when there is none of this
    /// key. A token that its poll is about to bring is lost.
    pub fn cancel(&self, key: &K) -> bool {
        let known = self.shared.crew().cancel(key, now());
        // Perhaps it had not begun.
        self.shared.room.notify_one();
        known
    }

    /// How things stand.
    #[must_use]
    pub fn stats(&self) -> FleetStats {
        self.shared.crew().stats()
    }

    /// Goes on with a flow of this process, such as one that was [drained](Self::drain_flows), or one with
    /// [claims](DeviceFlow::claims) that has not begun.
    ///
    /// # Errors
    /// [`FleetError`].
    pub fn restore_flow(&self, key: K, flow: DeviceFlow) -> Result<(), FleetError> {
        self.shared.crew().restore(key, flow, arrival())?;
        self.shared.work.notify_one();
        Ok(())
    }

    /// Lets no sign-in in any more: the events end with the last one that is under way. Dropping the fleet does that, too.
    pub fn close(&self) {
        self.shared.crew().close();
        self.shared.wake_all();
    }

    /// Sends nothing more, waits for the answers that are on their way, but no longer than `limit`, and hands out what has not
    /// ended: to be stored, and [restored](Fleet::restore) by another process. A sign-in without a snapshot has no code yet:
    /// start it again. The time away begins when this returns.
    ///
    /// Read the rest of the events, too: the last answers may have brought codes and tokens. An answer that comes after `limit`
    /// is lost; if it brought a token, the sign-in that is restored ends with `invalid_grant`.
    #[cfg(feature = "serde")]
    pub fn drain(&self, limit: Duration) -> Vec<(K, Option<Snapshot>)> {
        let flows = self.drain_flows(limit);
        let now = now();
        flows.into_iter().map(|(key, flow)| (key, flow.snapshot(now))).collect()
    }

    /// The same with the flows themselves, which can [go on](Self::restore_flow) in another fleet of this process.
    pub fn drain_flows(&self, limit: Duration) -> Vec<(K, DeviceFlow)> {
        let mut crew = self.shared.crew();
        crew.drain();
        self.shared.wake_all();
        let since = Instant::now();
        while !crew.is_still() {
            let Some(left) = limit.checked_sub(since.elapsed()) else { break };
            crew = self.shared.stopped.wait_timeout(crew, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        crew.take_flows(now())
    }
}

impl<K: Clone + Eq + Hash> Drop for Fleet<K> {
    fn drop(&mut self) {
        self.shared.crew().leave(now());
        self.shared.wake_all();
    }
}

impl<K: Clone + Eq + Hash> Iterator for FleetEvents<K> {
    type Item = FleetEvent<K>;

    fn next(&mut self) -> Option<FleetEvent<K>> {
        let event = self.events.recv().ok()?;
        if self.unread.read() {
            // Locked, so that nobody looks for room before this and goes to sleep after it.
            let _crew = self.shared.crew();
            self.shared.room.notify_all();
        }
        Some(event)
    }
}

impl<K: Clone + Eq + Hash> Drop for FleetEvents<K> {
    fn drop(&mut self) {
        self.shared.crew().drain();
        self.shared.wake_all();
    }
}

impl<K: Clone + Eq + Hash> Shared<K> {
    fn crew(&self) -> MutexGuard<'_, Crew<K>> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        self.work.notify_all();
        self.room.notify_all();
    }
}

fn wait<'a, T>(bell: &Condvar, crew: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    bell.wait(crew).unwrap_or_else(PoisonError::into_inner)
}

/// One request at a time.
struct Worker<K: Clone + Eq + Hash>(Arc<Shared<K>>);

impl<K: Clone + Eq + Hash> Worker<K> {
    fn work(self, transport: &impl Transport) {
        let Self(shared) = &self;
        let mut crew = shared.crew();
        loop {
            match crew.next_step(now()) {
                CrewStep::Send(request, ticket) => {
                    drop(crew);
                    // There may be more to send, and now nobody may be watching the time.
                    shared.work.notify_one();
                    shared.room.notify_one();
                    let since = Instant::now();
                    // A panic costs this request and not the thread.
                    let answer = catch_unwind(AssertUnwindSafe(|| transport.send(request)));
                    let (took, arrival) = (since.elapsed(), arrival());
                    crew = shared.crew();
                    crew.landed(ticket, answer.unwrap_or_else(|_| Err(crew::panicked())), took, arrival);
                }
                CrewStep::Watch(until) => {
                    let rest = timeline::rest(Instant::now(), until);
                    crew = shared.work.wait_timeout(crew, rest).unwrap_or_else(PoisonError::into_inner).0;
                    crew.woke(until);
                }
                CrewStep::More => {
                    drop(crew);
                    thread::yield_now();
                    crew = shared.crew();
                }
                CrewStep::Rest => crew = wait(&shared.work, crew),
                CrewStep::End => return,
            }
        }
    }
}

impl<K: Clone + Eq + Hash> Drop for Worker<K> {
    fn drop(&mut self) {
        if self.0.crew().worker_stopped(now()) {
            self.0.stopped.notify_all();
        }
        self.0.wake_all();
    }
}

impl<K: Clone + Eq + Hash> fmt::Debug for Fleet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.crew().fmt(f)
    }
}

impl<K: Clone + Eq + Hash> fmt::Debug for FleetEvents<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetEvents").field("unread", &self.unread).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for FleetBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
