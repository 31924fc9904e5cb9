//! Owns the world of a fleet: real device flows in one `Fleet`, the scripted server, a clock, and an owner who starts,
//! cancels and restarts, all driven by choices, each sign-in under a watch of its own.

use crate::choices::Choose;
use crate::server::{Endpoint, Reply, Turn};
use crate::signer::Holder;
use crate::watch::{Observation, Rule, Watch};
use crate::world::{BASE, CLIENT, Menu, Trace, lines, outcome_of};
use device_flow_core::{
    DeviceFlow, Fleet, FleetAction, FleetTicket, Snapshot, Stopped, Timestamp, TokenResponse, TransportError,
    TransportErrorKind,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How large the world of a fleet is. What happens to a request comes from a [`Menu`]; of its other parts only when the
/// clock starts and the keys count here.
pub struct Size {
    /// How many sign-ins there are at most.
    pub sign_ins: usize,
    /// How many requests are in flight at most.
    pub in_flight: usize,
    /// What the owner does between two steps.
    pub interventions: &'static [Intervention],
    /// How many interventions other than none there are at most.
    pub max_interventions: usize,
}

/// What the owner of a fleet does between two steps.
#[derive(Clone, Copy, Debug)]
pub enum Intervention {
    /// Nothing.
    None,
    /// One more sign-in begins.
    Start,
    /// One is cancelled.
    Cancel,
    /// The process ends, with what is in flight, and this many milliseconds later another goes on with what was stored.
    Restart(u64),
    /// A driver hands in what the fleet must refuse.
    Misuse,
}

/// The fleets of the property tests and of the fuzzer: few in a narrow way, more in a wide one.
pub const ANY: [Size; 3] = [any(30, 3), any(30, 1), any(60, 16)];

const fn any(sign_ins: usize, in_flight: usize) -> Size {
    const INTERVENTIONS: [Intervention; 10] = [
        Intervention::None,
        Intervention::None,
        Intervention::Start,
        Intervention::Start,
        Intervention::Start,
        Intervention::Start,
        Intervention::Cancel,
        Intervention::Restart(0),
        Intervention::Restart(7_000),
        Intervention::Misuse,
    ];
    Size { sign_ins, in_flight, interventions: &INTERVENTIONS, max_interventions: 120 }
}

/// No start goes before a poll that is later than this, in milliseconds.
const LATE: u64 = 5;

/// Drives a fleet until every sign-in has ended, and returns how many there were.
///
/// # Panics
/// With the trace of a sign-in, when something happened that the law, or the contract of the fleet, does not allow.
pub fn play(choose: &mut dyn Choose, menu: &Menu, size: &Size) -> usize {
    let now = menu.starts[choose.pick(menu.starts.len())];
    let holder = Holder::new(menu.keys[choose.pick(menu.keys.len())]);
    let fleet = Fleet::new(size.in_flight);
    let (flights, sign_ins) = (Vec::new(), BTreeMap::new());
    let mut world =
        World { choose, menu, size, interventions_left: size.max_interventions, now, holder, fleet, flights, sign_ins };
    world.start();
    for _ in 0..200_000 {
        if world.step() {
            return world.end();
        }
    }
    panic!("the fleet does not end");
}

struct World<'a> {
    choose: &'a mut dyn Choose,
    menu: &'a Menu,
    size: &'a Size,
    interventions_left: usize,
    now: u64,
    holder: Holder,
    fleet: Fleet<u8, DeviceFlow>,
    flights: Vec<Flight>,
    sign_ins: BTreeMap<u8, SignIn>,
}

struct Flight {
    lands: u64,
    key: u8,
    endpoint: Endpoint,
    turn: Turn,
    ticket: FleetTicket,
}

struct SignIn {
    watch: Watch,
    trace: Trace,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NotAsked,
    InFlight,
    Answered,
    WaitsUntil(u64),
    Ended,
}

impl World<'_> {
    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn observe(&mut self, key: u8, observation: Observation) {
        let sign_in = self.sign_ins.get_mut(&key).unwrap();
        sign_in.watch.observe(self.now, &observation);
        sign_in.trace.push((self.now, observation));
        if let Some(breach) = sign_in.watch.breaches().first() {
            panic!("sign-in {key}: {breach}\n{}", lines(&sign_in.trace));
        }
    }

    fn set(&mut self, key: u8, state: State) {
        self.sign_ins.get_mut(&key).unwrap().state = state;
    }

    fn states(&self) -> impl Iterator<Item = State> {
        self.sign_ins.values().map(|sign_in| sign_in.state)
    }

    /// A sign-in that waits for a time that has passed since this long.
    fn overdue(&self, by: u64) -> bool {
        self.states().any(|state| matches!(state, State::WaitsUntil(until) if self.now.checked_sub(until) >= Some(by)))
    }

    fn start(&mut self) {
        let key = u8::try_from(self.sign_ins.len()).unwrap();
        let flow = || DeviceFlow::new(self.holder.client.clone(), [key; 32]);
        self.fleet.start(key, flow()).ok().unwrap();
        let again = self.fleet.start(key, flow());
        assert!(again.is_err_and(|(same, _)| same == key), "a key that is there was taken again");
        let sign_in = self.new_sign_in();
        self.sign_ins.insert(key, sign_in);
    }

    fn new_sign_in(&self) -> SignIn {
        let watch = Watch::new(self.now);
        let watch = if self.holder.proves_possession() { watch.proves_possession() } else { watch };
        SignIn { watch, trace: Trace::new(), state: State::NotAsked }
    }

    /// One action of the fleet and what the world makes of it. Whether that was the end.
    fn step(&mut self) -> bool {
        self.intervene();
        let alive = self.states().filter(|state| *state != State::Ended).count();
        assert_eq!((self.fleet.len(), self.fleet.is_empty()), (alive, alive == 0));
        match self.fleet.next_action(self.at()) {
            FleetAction::SendRequest { key, request, ticket, late } => {
                let endpoint = self.holder.endpoint(&request).unwrap();
                match (self.sign_ins[&key].state, late) {
                    (State::NotAsked, None) => {
                        assert!(!self.overdue(LATE + 1), "a start went before a poll that is late");
                    }
                    (State::WaitsUntil(until), Some(late)) => {
                        assert_eq!(late, Duration::from_millis(self.now - until), "sign-in {key}");
                        let first = self.states().all(|state| !matches!(state, State::WaitsUntil(at) if at < until));
                        assert!(first, "another was due before sign-in {key}");
                    }
                    // Resumed, and due; or challenged.
                    (State::Answered, None) => {}
                    (state, late) => panic!("sign-in {key} sends in {state:?}, {late:?} late"),
                }
                self.set(key, State::InFlight);
                self.observe(key, Observation::Request(endpoint));
                let turn = match endpoint {
                    Endpoint::Token if self.choose.is_used_up() => Turn::new(Reply::Token),
                    Endpoint::Device => (self.menu.device)(self.choose),
                    Endpoint::Token | Endpoint::Metadata => (self.menu.poll)(self.choose),
                };
                let turn = self.holder.with_new_nonce(turn);
                let lands = self.now.saturating_add(turn.latency);
                self.flights.push(Flight { lands, key, endpoint, turn, ticket });
                assert!(self.flights.len() <= self.size.in_flight, "too many requests are in flight");
                assert_eq!(self.fleet.in_flight(), self.flights.len());
            }
            FleetAction::ShowCode { key, prompt } => {
                let (interval, deadline) = (prompt.interval().as_secs(), prompt.expires_at().as_millis());
                self.observe(key, Observation::CodeShown { interval, deadline });
                self.set(key, State::Answered);
            }
            FleetAction::Waiting { key, until, .. } => {
                self.observe(key, Observation::WaitUntil(until.as_millis()));
                self.set(key, State::WaitsUntil(until.as_millis()));
            }
            FleetAction::Done { key, outcome } => {
                self.ended(key, outcome);
            }
            FleetAction::Wait { until } => {
                assert!(until > self.at(), "a wait that is over");
                assert!(!self.states().any(|state| state == State::NotAsked), "a start was forgotten");
                assert!(!self.overdue(0), "a poll was forgotten");
                if self.flights.iter().any(|flight| flight.lands <= until.as_millis()) {
                    self.land();
                } else {
                    let by = self.choose.pick(8) as u64;
                    self.now = until.as_millis().saturating_add(by * by);
                }
            }
            FleetAction::AwaitResponse => {
                let full = self.flights.len() == self.size.in_flight;
                assert!(full || !self.states().any(|state| matches!(state, State::NotAsked | State::WaitsUntil(_))));
                self.land();
            }
            FleetAction::Idle => {
                assert_eq!(alive, 0);
                // The answers of those that were cancelled still come.
                if self.flights.is_empty() {
                    return true;
                }
                self.land();
            }
        }
        false
    }

    fn ended(&mut self, key: u8, outcome: Result<TokenResponse, Stopped>) {
        let outcome = outcome.map_err(|stopped| {
            let Stopped::Failed(failure) = stopped else { panic!("sign-in {key}: {stopped}") };
            failure
        });
        self.observe(key, Observation::Ended(outcome_of(&outcome)));
        self.set(key, State::Ended);
        assert!(self.fleet.get(&key).is_none() && self.fleet.cancel(&key, self.at()).is_none());
    }

    /// The first answer arrives.
    fn land(&mut self) {
        let first = (0..self.flights.len()).min_by_key(|index| self.flights[*index].lands);
        let Flight { lands, key, endpoint, turn, ticket } = self.flights.remove(first.expect("nothing is in flight"));
        self.now = self.now.max(lands);
        let now = self.at();
        turn.answered(BASE, |answer| match answer {
            Ok(response) => self.fleet.response(ticket, response, now),
            Err(error) => self.fleet.transport_failed(ticket, error, now),
        })
        .unwrap();
        if self.sign_ins[&key].state == State::InFlight {
            self.set(key, State::Answered);
            self.holder.answered(endpoint, &turn);
            self.observe(key, Observation::Response(turn));
        }
    }

    fn intervene(&mut self) {
        if self.interventions_left == 0 {
            return;
        }
        let intervention = self.size.interventions[self.choose.pick(self.size.interventions.len())];
        if !matches!(intervention, Intervention::None) {
            self.interventions_left -= 1;
        }
        match intervention {
            Intervention::None => {}
            Intervention::Start if self.sign_ins.len() < self.size.sign_ins => self.start(),
            Intervention::Start => {}
            Intervention::Cancel => {
                let key = u8::try_from(self.choose.pick(self.sign_ins.len())).unwrap();
                let alive = self.sign_ins[&key].state != State::Ended;
                let outcome = self.fleet.cancel(&key, self.at());
                assert_eq!(outcome.is_some(), alive);
                if let Some(outcome) = outcome {
                    self.observe(key, Observation::Cancelled);
                    self.ended(key, outcome);
                }
            }
            Intervention::Restart(passed) => self.restart(passed),
            Intervention::Misuse => self.misuse(),
        }
    }

    fn restart(&mut self, passed: u64) {
        let stored_at = self.at();
        self.now = self.now.saturating_add(passed);
        self.flights.clear();
        let fleet = std::mem::replace(&mut self.fleet, Fleet::new(self.size.in_flight));
        for (key, flow) in fleet.into_machines() {
            let Some(snapshot) = flow.snapshot(stored_at) else {
                // There is no code yet: another sign-in in its place.
                let same = DeviceFlow::new(self.holder.client.clone(), [key; 32]);
                self.fleet.start(key, same).ok().unwrap();
                self.sign_ins.insert(key, self.new_sign_in());
                continue;
            };
            let stored = serde_json::to_string(&snapshot).unwrap();
            let loaded: Snapshot = serde_json::from_str(&stored).unwrap();
            let (away, now) = (Duration::from_millis(passed), Timestamp::from_millis(self.now));
            let flow = DeviceFlow::resume(self.holder.client.clone(), loaded, away, now).unwrap();
            self.fleet.restore(key, flow, now).ok().unwrap();
            self.set(key, State::WaitsUntil(self.now));
            let (at_least, at_most) = (passed, passed);
            self.observe(key, Observation::Resumed { passed, at_least, at_most, from_now: false, shows: true });
        }
    }

    /// A ticket of another fleet is refused, and nothing changes.
    fn misuse(&mut self) {
        let mut other = Fleet::new(1);
        other.start(0_u8, DeviceFlow::new(CLIENT.with(Arc::clone), [8; 32])).ok().unwrap();
        let FleetAction::SendRequest { ticket, .. } = other.next_action(self.at()) else { unreachable!() };
        let before = format!("{:?}", self.fleet);
        let error = TransportError::new(TransportErrorKind::Timeout);
        let refused = self.fleet.transport_failed(ticket, error, Timestamp::MAX).unwrap_err();
        assert_eq!(format!("{:?}", self.fleet), before, "a foreign ticket changed something");
        let error = TransportError::new(TransportErrorKind::Timeout);
        other.transport_failed(refused.into_ticket(), error, Timestamp::MAX).unwrap();
    }

    fn end(mut self) -> usize {
        assert!(matches!(self.fleet.next_action(Timestamp::MAX), FleetAction::Idle));
        assert_eq!((self.fleet.len(), self.fleet.in_flight(), self.fleet.starting()), (0, 0, 0));
        for (key, sign_in) in &mut self.sign_ins {
            if sign_in.state != State::Ended {
                sign_in.watch.breach(Rule::Contract, self.now, format!("sign-in {key} has no outcome"));
                panic!("{}", lines(&sign_in.trace));
            }
        }
        self.sign_ins.len()
    }
}
