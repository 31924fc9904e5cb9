//! A fleet on threads: how many requests, to whom, when; over how many connections; and how it stops.

use crate::adapter::{
    Answer, Client, Failure, Fleet, FleetError, FleetEvent, FleetEvents, FleetMeasure, Http, Provider, Request,
    Stopped, Transport, TransportError,
};
#[cfg(feature = "serde")]
use device_flow_testkit::abreast::side_by_side;
use device_flow_testkit::crowd::{Crowd, Manners};
use device_flow_testkit::loopback::{self, Loopback};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const MANNERS: Manners = Manners { interval: 1, pending: 1, lifetime: 900 };
/// Nobody polls within the time of a test.
const SLOW: Manners = Manners { interval: 60, ..MANNERS };
/// The most that a busy machine needs for what happens at once.
const SOON: Duration = Duration::from_secs(30);

fn client() -> Client {
    let provider = Provider::endpoints("https://as.example/device", "https://as.example/token");
    Client::builder(provider, "crowd").build().unwrap()
}

/// The server as a transport, a millisecond away.
#[derive(Clone)]
struct Wire(Arc<Seen>);

struct Seen {
    server: Crowd,
    /// Requests wait while a test holds it.
    gate: Mutex<()>,
    /// This request, counted from 0, panics.
    panics: Option<usize>,
    sent: AtomicUsize,
    in_flight: AtomicUsize,
    most: AtomicUsize,
}

impl Wire {
    fn new(manners: Manners, panics: Option<usize>) -> Self {
        let (gate, sent, in_flight, most) = Default::default();
        Self(Arc::new(Seen { server: Crowd::new(manners), gate, panics, sent, in_flight, most }))
    }

    /// Whether the threads, which share it, are gone soon.
    fn is_left(&self) -> bool {
        soon(|| Arc::strong_count(&self.0) == 1)
    }

    fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::SeqCst)
    }
}

impl Transport for Wire {
    fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let seen = &self.0;
        let number = seen.sent.fetch_add(1, Ordering::SeqCst);
        assert_ne!(Some(number), seen.panics, "as the test wants it");
        seen.most.fetch_max(seen.in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        drop(seen.gate.lock().unwrap());
        let target = request.url().trim_start_matches("https://as.example");
        let (status, body) = seen.server.answer(target, request.body());
        thread::sleep(Duration::from_millis(1));
        seen.in_flight.fetch_sub(1, Ordering::SeqCst);
        Ok(Answer::new(status, body.into_bytes()))
    }
}

fn soon(is_so: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() && start.elapsed() < SOON {
        thread::sleep(Duration::from_millis(1));
    }
    is_so()
}

/// Reads events until the fleet has ended: whose codes were shown, who is signed in, who is not.
fn until_the_end(events: FleetEvents<u32>) -> (BTreeSet<u32>, BTreeSet<u32>, Vec<(u32, Stopped)>) {
    let (mut shown, mut granted, mut failed) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for event in events {
        match event {
            FleetEvent::ShowCode { key, .. } => assert!(shown.insert(key), "{key}: shown twice"),
            FleetEvent::Done { key, outcome: Ok(_) } => assert!(granted.insert(key), "{key}: done twice"),
            FleetEvent::Done { key, outcome: Err(stopped) } => failed.push((key, stopped)),
            _ => {}
        }
    }
    (shown, granted, failed)
}

/// Reads the events of this many codes, and no others.
fn codes(events: &mut FleetEvents<u32>, count: usize) {
    for event in events.take(count) {
        assert!(matches!(event, FleetEvent::ShowCode { .. }), "{event:?}");
    }
}

// Rules 1 to 5, judged where the polls arrive.
#[test]
fn a_crowd_on_few_threads_is_never_early_and_nobody_is_forgotten() {
    let wire = Wire::new(MANNERS, None);
    let pending = Arc::new(AtomicUsize::new(0));
    let seen = pending.clone();
    let count = move |what| _ = seen.fetch_add(usize::from(what == FleetMeasure::Pending), Ordering::SeqCst);
    let (fleet, events) = Fleet::builder(wire.clone()).max_in_flight(4).on_measure(count).spawn();
    for key in 0..300 {
        fleet.start(key, client()).unwrap();
    }
    assert!(matches!(fleet.start(7, client()), Err(FleetError::KeyTaken)));
    drop(fleet);
    let (shown, granted, failed) = until_the_end(events);
    assert_eq!((shown.len(), granted.len(), failed), (300, 300, vec![]));
    let report = wire.0.server.report();
    assert_eq!((report.codes, report.polls, report.tokens), (300, 600, 300));
    assert_eq!((report.early, report.early_first, report.after_success), (0, 0, 0));
    assert_eq!((wire.0.most.load(Ordering::SeqCst), wire.in_flight()), (4, 0));
    assert_eq!(pending.load(Ordering::SeqCst), 300);
    assert!(wire.is_left());
}

#[test]
fn who_starts_waits_while_a_thousand_others_have_sent_nothing() {
    for open in [true, false] {
        let wire = Wire::new(SLOW, None);
        let shut = wire.0.gate.lock().unwrap();
        let (fleet, events) = Fleet::builder(wire.clone()).max_in_flight(2).spawn();
        for key in 0..1_024 + 2 {
            fleet.start(key, client()).unwrap();
        }
        let (sender, started) = mpsc::channel();
        let starting = thread::spawn(move || {
            sender.send(fleet.start(9_999, client())).unwrap();
            fleet
        });
        assert!(started.recv_timeout(Duration::from_millis(100)).is_err());
        if open {
            drop(shut);
            assert!(started.recv_timeout(SOON).unwrap().is_ok());
            drop(events);
        } else {
            // Nobody listens any more: who waits learns of it.
            drop(events);
            assert!(matches!(started.recv_timeout(SOON).unwrap(), Err(FleetError::Ended)));
            assert_eq!(starting.join().unwrap().stats().in_flight, 2);
            drop(shut);
        }
        assert!(wire.is_left());
    }
}

#[test]
fn what_happens_while_the_threads_sleep_happens_at_once() {
    let wire = Wire::new(SLOW, None);
    let (fleet, mut events) = Fleet::builder(wire.clone()).max_in_flight(2).spawn();
    let start = Instant::now();
    for key in 0..10 {
        fleet.start(key, client()).unwrap();
    }
    codes(&mut events, 10);
    fleet.start(10, client()).unwrap();
    codes(&mut events, 1);
    for key in 0..=10 {
        assert!(fleet.cancel(&key) && !fleet.cancel(&77));
        let Some(FleetEvent::Done { key: cancelled, outcome }) = events.next() else { panic!("{key}") };
        assert_eq!((cancelled, outcome.unwrap_err()), (key, Stopped::Failed(Failure::Cancelled)));
        assert!(!fleet.cancel(&key));
    }
    drop(fleet);
    assert!(events.next().is_none());
    assert!(start.elapsed() < SOON && wire.is_left());
}

#[test]
fn polls_that_are_due_at_once_do_not_wait_for_each_other() {
    // They poll again and again, so that it does not matter how soon the gate is shut.
    let wire = Wire::new(Manners { pending: u32::MAX, ..MANNERS }, None);
    let (fleet, mut events) = Fleet::builder(wire.clone()).max_in_flight(3).spawn();
    for key in 0..3 {
        fleet.start(key, client()).unwrap();
    }
    codes(&mut events, 3);
    // So that the requests of the codes are over.
    assert!(soon(|| wire.in_flight() == 0));
    let shut = wire.0.gate.lock().unwrap();
    assert!(soon(|| wire.in_flight() == 3));
    drop((shut, events));
    assert!(wire.is_left());
}

#[test]
fn threads_that_sleep_end_with_their_owner() {
    for (sign_ins, drains) in [(0, false), (0, true), (3, true)] {
        let wire = Wire::new(SLOW, None);
        let (fleet, mut events) = Fleet::builder(wire.clone()).max_in_flight(3).spawn();
        for key in (0..).take(sign_ins) {
            fleet.start(key, client()).unwrap();
        }
        codes(&mut events, sign_ins);
        // Long enough for them to fall asleep.
        thread::sleep(Duration::from_millis(50));
        if drains {
            assert_eq!(fleet.drain_flows(SOON).len(), sign_ins);
        } else {
            drop(fleet);
        }
        assert!(events.next().is_none() && wire.is_left());
    }
}

#[test]
fn when_nobody_listens_everything_stops() {
    let wire = Wire::new(SLOW, None);
    let (fleet, mut events) = Fleet::builder(wire.clone()).spawn();
    for key in 0..100 {
        fleet.start(key, client()).unwrap();
    }
    codes(&mut events, 100);
    drop(events);
    assert!(wire.is_left());
    assert!(matches!(fleet.start(100, client()), Err(FleetError::Ended)));
}

/// A panic of the transport costs a request, one of the owner's counters nothing.
#[test]
fn nobody_waits_for_ever_after_a_panic() {
    let wire = Wire::new(SLOW, Some(0));
    let (fleet, mut events) = Fleet::builder(wire.clone()).max_in_flight(1).spawn();
    for key in 0..2 {
        fleet.start(key, client()).unwrap();
    }
    let event = events.next();
    assert!(matches!(event, Some(FleetEvent::Delayed { key: 0, .. })), "{event:?}");
    codes(&mut events, 1);
    let codes: Vec<_> = fleet.drain_flows(SOON).into_iter().map(|(key, flow)| (key, flow.prompt().is_some())).collect();
    assert_eq!(codes, [(0, false), (1, true)]);
    assert!(wire.is_left());

    let wire = Wire::new(MANNERS, None);
    let measure = |what| assert!(matches!(what, FleetMeasure::CodeShown), "as the test wants it");
    let (fleet, events) = Fleet::builder(wire.clone()).max_in_flight(2).on_measure(measure).spawn();
    for key in 0..10 {
        fleet.start(key, client()).unwrap();
    }
    drop(fleet);
    let (shown, granted, failed) = until_the_end(events);
    assert_eq!((shown.len(), granted.len(), failed), (10, 10, vec![]));
}

#[cfg(feature = "serde")]
#[test]
fn what_is_drained_goes_on_in_another_process_and_nobody_is_early_lost_or_signed_in_twice() {
    side_by_side(&[(0, true), (30, false), (1_020, true)], |&(millis, once)| {
        let wire = Wire::new(MANNERS, None);
        let builder = || {
            let builder = Fleet::builder(wire.clone()).max_in_flight(4);
            if once { builder.show_once() } else { builder }
        };
        let (fleet, events) = builder().spawn();
        for key in 0..150 {
            fleet.start(key, client()).unwrap();
        }
        thread::sleep(Duration::from_millis(millis));
        let stored = fleet.drain(SOON);
        assert_eq!(wire.in_flight(), 0);
        let (shown, granted, failed) = until_the_end(events);
        assert_eq!((granted.len() + stored.len(), failed), (150, vec![]));
        assert!(wire.is_left());

        let (fleet, events) = builder().spawn();
        for (key, snapshot) in stored {
            if let Some(snapshot) = snapshot {
                let stored = serde_json::to_string(&snapshot).unwrap();
                let snapshot = serde_json::from_str(&stored).unwrap();
                fleet.restore(key, client(), snapshot, Duration::ZERO).unwrap();
            } else {
                fleet.start(key, client()).unwrap();
            }
        }
        drop(fleet);
        let (shown_again, granted_later, failed) = until_the_end(events);
        assert!(granted.is_disjoint(&granted_later) && failed.is_empty(), "{failed:?}");
        assert_eq!((granted.len() + granted_later.len(), shown.union(&shown_again).count()), (150, 150));
        assert!(!once || shown.is_disjoint(&shown_again), "shown again");
        let report = wire.0.server.report();
        assert_eq!((report.codes, report.tokens, report.early, report.after_success), (150, 150, 0, 0));
    });
}

#[test]
fn a_fleet_has_as_many_connections_as_threads_and_keeps_them() {
    // The first polls wait for each other.
    let (first, polls) = (Barrier::new(8), AtomicUsize::new(0));
    let server = Loopback::http(move |asked, wire| {
        if asked.target == "/device" {
            return loopback::device_answer(wire);
        }
        if polls.fetch_add(1, Ordering::SeqCst) < 8 {
            first.wait();
        }
        loopback::token_answer(wire)
    });
    let http = Http::builder().timeout(SOON).build().unwrap();
    let (fleet, events) = Fleet::builder(http).max_in_flight(8).spawn();
    let client = Arc::new(server.client());
    for key in 0..64 {
        fleet.start(key, client.clone()).unwrap();
    }
    drop(fleet);
    let (shown, granted, failed) = until_the_end(events);
    assert_eq!((shown.len(), granted.len(), failed), (64, 64, vec![]));
    assert_eq!((server.requests().len(), server.connections()), (128, 8));
}
