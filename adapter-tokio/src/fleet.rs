//! Owns the driver of a fleet on tokio: as many workers as there may be requests in flight.

use crate::clock::{arrival, now, sleep_until};
use crate::{Client, Transport};
use device_flow_adapter::Answer;
#[cfg(feature = "serde")]
use device_flow_adapter::crew::RestoreError;
use device_flow_adapter::crew::{
    self, Crew, CrewSettings, CrewStep, FleetError, FleetEvent, FleetMeasure, FleetStats, Unread,
};
#[cfg(feature = "serde")]
use device_flow_core::{Away, Snapshot};
use device_flow_core::{DeviceFlow, Prompt, TransportError};
use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Thousands of sign-ins in one process, on a few connections.
///
/// ```no_run
/// use device_flow_tokio::{Client, Fleet, FleetEvent, Http, Provider};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Arc::new(Client::builder(Provider::github(), "Iv1.0123456789abcdef").build()?);
/// let (fleet, mut events) = Fleet::builder(Http::builder().build()?).spawn();
/// // Not in the task that reads the events: `start` waits while many of them were not read.
/// tokio::spawn(async move {
///     for device in 0..10_000_u32 {
///         fleet.start(device, client.clone()).await?;
///     }
///     Ok::<_, device_flow_tokio::FleetError>(())
/// });
/// while let Some(event) = events.next().await {
///     match event {
///         FleetEvent::ShowCode { key, prompt } => println!("device {key} shows {}", prompt.user_code()),
///         FleetEvent::Done { key, outcome } => println!("device {key}: {:?}", outcome.map(|_| "signed in")),
///         _ => {}
///     }
/// }
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
/// When this is dropped, the sign-ins go on; the events end with the last of them. When the events are dropped, everything
/// stops.
pub struct Fleet<K: Clone + Eq + Hash> {
    shared: Arc<Shared<K>>,
}

/// How a [`Fleet`] is made.
#[must_use = "settings do nothing until `spawn`"]
pub struct FleetBuilder<T> {
    transport: T,
    settings: CrewSettings,
}

/// What happens in a [`Fleet`].
pub struct FleetEvents<K: Clone + Eq + Hash> {
    events: mpsc::UnboundedReceiver<FleetEvent<K>>,
    unread: Unread,
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    crew: Mutex<Crew<K>>,
    /// Wakes a worker that has nothing to do.
    work: Notify,
    /// Wakes those who want to start a sign-in.
    room: Notify,
    /// Wakes those who wait for the last worker to stop.
    stopped: Notify,
}

impl Fleet<()> {
    /// The settings of a fleet that sends its requests over this transport.
    pub fn builder<T: Transport + 'static>(transport: T) -> FleetBuilder<T> {
        FleetBuilder { transport, settings: CrewSettings { max_in_flight: 64, ..CrewSettings::default() } }
    }
}

impl<T: Transport + 'static> FleetBuilder<T> {
    /// How many requests are in flight at most, and so how many connections there are. Default: 64, which carries thousands
    /// of requests a second.
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

    /// Starts the fleet on this runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn<K: Clone + Eq + Hash + Send + 'static>(self) -> (Fleet<K>, FleetEvents<K>) {
        let (sender, events) = mpsc::unbounded_channel();
        // When nobody listens, the workers stop.
        let crew = Crew::new(&self.settings, move |event| _ = sender.send(event));
        let unread = crew.unread();
        let shared = Arc::new(Shared {
            crew: Mutex::new(crew),
            work: Notify::new(),
            room: Notify::new(),
            stopped: Notify::new(),
        });
        let transport = Arc::new(self.transport);
        for _ in 0..self.settings.max_in_flight {
            tokio::spawn(Worker(shared.clone()).work(transport.clone()));
        }
        (Fleet { shared: shared.clone() }, FleetEvents { events, unread, shared })
    }
}

impl<K: Clone + Eq + Hash> Fleet<K> {
    /// Starts a sign-in. Waits while more than a thousand others have not sent anything, or many events were not read.
    ///
    /// # Errors
    /// [`FleetError`] when there is a sign-in of this key, or the fleet has ended.
    pub async fn start(&self, key: K, client: impl Into<Arc<Client>>) -> Result<(), FleetError> {
        let client = client.into();
        loop {
            // Before looking, so that no wake-up is missed.
            let room = self.shared.room.notified();
            if self.shared.crew().has_room() {
                let started = self.shared.crew().start(key, client);
                self.shared.work.notify_one();
                // There may be room for another one.
                self.shared.room.notify_one();
                return started;
            }
            room.await;
        }
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
    pub async fn drain(&self, limit: Duration) -> Vec<(K, Option<Snapshot>)> {
        let flows = self.drain_flows(limit).await;
        let now = now();
        flows.into_iter().map(|(key, flow)| (key, flow.snapshot(now))).collect()
    }

    /// The same with the flows themselves, which can [go on](Self::restore_flow) in another fleet of this process.
    pub async fn drain_flows(&self, limit: Duration) -> Vec<(K, DeviceFlow)> {
        self.shared.crew().drain();
        self.shared.wake_all();
        let still = async {
            loop {
                let stopped = self.shared.stopped.notified();
                if self.shared.crew().is_still() {
                    return;
                }
                stopped.await;
            }
        };
        let _ = tokio::time::timeout(limit, still).await;
        self.shared.crew().take_flows(now())
    }
}

impl<K: Clone + Eq + Hash> Drop for Fleet<K> {
    fn drop(&mut self) {
        self.shared.crew().leave(now());
        self.shared.wake_all();
    }
}

impl<K: Clone + Eq + Hash> FleetEvents<K> {
    /// The next event; `None` when the fleet has ended.
    pub async fn next(&mut self) -> Option<FleetEvent<K>> {
        let event = self.events.recv().await?;
        if self.unread.read() {
            self.shared.room.notify_waiters();
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
        self.work.notify_waiters();
        self.room.notify_waiters();
    }
}

/// One request at a time.
struct Worker<K: Clone + Eq + Hash>(Arc<Shared<K>>);

impl<K: Clone + Eq + Hash> Worker<K> {
    async fn work(self, transport: Arc<impl Transport>) {
        let Self(shared) = &self;
        loop {
            // Before looking, so that no wake-up is missed.
            let work = shared.work.notified();
            let step = shared.crew().next_step(now());
            match step {
                CrewStep::Send(request, ticket) => {
                    // There may be more to send, and now nobody may be watching the time.
                    shared.work.notify_one();
                    shared.room.notify_one();
                    let since = Instant::now();
                    let answer = unless_it_panics(async { transport.send(request).await }).await;
                    let (took, arrival) = (since.elapsed(), arrival());
                    shared.crew().landed(ticket, answer, took, arrival);
                    // So that the connection is free again before another request needs one.
                    tokio::task::yield_now().await;
                }
                CrewStep::More => tokio::task::yield_now().await,
                CrewStep::Watch(until) => {
                    first_of(sleep_until(until), work).await;
                    shared.crew().woke(until);
                }
                CrewStep::Rest => work.await,
                CrewStep::End => {
                    shared.wake_all();
                    return;
                }
            }
        }
    }
}

/// A panic costs this request and not the worker.
async fn unless_it_panics(
    send: impl Future<Output = Result<Answer, TransportError>>,
) -> Result<Answer, TransportError> {
    let mut send = pin!(send);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| send.as_mut().poll(cx))).unwrap_or_else(|_| Poll::Ready(Err(crew::panicked())))
    })
    .await
}

/// Ends with the first of the two.
async fn first_of(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| if one.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { other.as_mut().poll(cx) }).await;
}

impl<K: Clone + Eq + Hash> Drop for Worker<K> {
    fn drop(&mut self) {
        if self.0.crew().worker_stopped(now()) {
            self.0.stopped.notify_waiters();
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
