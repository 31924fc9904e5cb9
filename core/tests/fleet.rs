//! Many machines as one: whose turn it is, how many requests are in flight, and what becomes of each. Whole fleets, under the
//! watch, are in every_path.rs and properties.rs.

use crate::support::*;
use device_flow_core::TransportErrorKind::Timeout;
use device_flow_core::{
    Action, DeviceFlow, Failure, Fleet, FleetAction, FleetTicket, Machine, Misuse, Response, Stopped, Ticket,
    Timestamp, TransportError, WaitReason,
};
use serde_json::json;

/// A driver of a fleet by hand.
struct Hand {
    fleet: Fleet<u32, DeviceFlow>,
    now: u64,
    tickets: Vec<(u32, FleetTicket)>,
}

/// What a fleet did at one moment.
#[derive(Debug, PartialEq, Eq)]
enum Did {
    Sent(u32),
    Shown(u32),
    Waits(u32),
    Done(u32),
}
use Did::{Done, Sent, Shown, Waits};

impl Hand {
    fn new(max_in_flight: usize) -> Self {
        Self { fleet: Fleet::new(max_in_flight), now: 0, tickets: Vec::new() }
    }

    fn start(&mut self, keys: std::ops::Range<u32>) {
        keys.for_each(|key| self.fleet.start(key, DeviceFlow::new(builder().build().unwrap(), [7; 32])).unwrap());
    }

    fn one(&mut self) -> Option<Did> {
        match self.fleet.next_action(Timestamp::from_millis(self.now)) {
            FleetAction::SendRequest { key, ticket, .. } => {
                self.tickets.push((key, ticket));
                Some(Sent(key))
            }
            FleetAction::ShowCode { key, .. } => Some(Shown(key)),
            FleetAction::Waiting { key, .. } => Some(Waits(key)),
            FleetAction::Done { key, .. } => Some(Done(key)),
            FleetAction::Wait { .. } | FleetAction::AwaitResponse | FleetAction::Idle => None,
        }
    }

    /// Whether it was there.
    fn cancel(&mut self, key: u32) -> bool {
        let outcome = self.fleet.cancel(&key, Timestamp::from_millis(self.now));
        outcome.is_some_and(|outcome| {
            assert_eq!(outcome.unwrap_err(), Stopped::Failed(Failure::Cancelled));
            true
        })
    }

    /// All that there is to do.
    fn go(&mut self) -> Vec<Did> {
        std::iter::from_fn(|| self.one()).collect()
    }

    /// Answers the oldest request.
    fn answer(&mut self, status: u16, body: &str) {
        let (_, ticket) = self.tickets.remove(0);
        let now = Timestamp::from_millis(self.now);
        self.fleet.response(ticket, Response::new(status, body.as_bytes()), now).unwrap();
    }

    /// These sign-ins have their codes and wait until the same moment; jitter may come on top.
    fn with_codes(count: u32, max_in_flight: usize) -> Self {
        let mut hand = Self::new(max_in_flight);
        hand.start(0..count);
        for _ in 0..count {
            hand.go();
            hand.answer(200, &device_answer(json!({ "interval": 5 })));
        }
        hand.go();
        hand
    }
}

#[test]
fn at_most_so_many_requests_are_in_flight_and_none_counts_as_one() {
    for (most, sent) in [(0, 1), (1, 1), (3, 3), (9, 5)] {
        let mut hand = Hand::new(most);
        hand.start(0..5);
        assert_eq!(hand.go(), (0..sent).map(Sent).collect::<Vec<_>>());
        assert_eq!(
            (hand.fleet.in_flight(), hand.fleet.starting(), hand.fleet.len()),
            (sent as usize, 5 - sent as usize, 5)
        );
        assert!(matches!(hand.fleet.next_action(Timestamp::ZERO), FleetAction::AwaitResponse));
    }
}

#[test]
fn a_paused_fleet_sends_nothing_and_tells_what_was_answered() {
    let mut hand = Hand::with_codes(2, 8);
    hand.start(10..12);
    assert_eq!(hand.go(), [Sent(10), Sent(11)]);
    hand.now = 10_000;
    assert_eq!(hand.go(), [Sent(0), Sent(1)]);
    hand.start(12..13);
    hand.fleet.pause();
    assert_eq!(hand.go(), []);
    for (status, body, did) in [
        (200, device_answer(json!({})), vec![Shown(10), Waits(10)]),
        (400, r#"{"error":"invalid_client"}"#.to_owned(), vec![Done(11)]),
        (200, TOKEN.to_owned(), vec![Done(0)]),
        (400, PENDING.to_owned(), vec![Waits(1)]),
    ] {
        hand.answer(status, &body);
        assert_eq!(hand.go(), did);
    }
    assert!(matches!(hand.fleet.next_action(Timestamp::MAX), FleetAction::AwaitResponse));
    assert_eq!((hand.fleet.in_flight(), hand.fleet.starting(), hand.fleet.len()), (0, 1, 3));
}

// A poll that is late by 5 ms is on time, one by 6 ms is not.
#[test]
fn while_polls_are_due_every_fourth_request_is_a_start_and_none_while_they_are_late() {
    for (late, starts) in [(0, [3, 7, 10]), (5, [3, 7, 10]), (6, [8, 9, 10])] {
        let mut hand = Hand::with_codes(8, 100);
        let FleetAction::Wait { until } = hand.fleet.next_action(Timestamp::ZERO) else { panic!() };
        hand.start(100..103);
        // The jitter is the same for all, so all are due.
        hand.now = until.as_millis() + late;
        let sent: Vec<_> =
            hand.go().into_iter().map(|did| if let Sent(key) = did { key } else { panic!("{did:?}") }).collect();
        let of_starts: Vec<_> = (0..sent.len()).filter(|place| sent[*place] >= 100).collect();
        assert_eq!((sent.len(), &*of_starts), (11, &starts[..]), "{late} ms late");
    }
}

// Each stage of a sign-in, each with others around it.
#[test]
fn a_cancelled_one_has_its_outcome_at_once_wherever_it_is_and_its_slot_is_used_again() {
    let mut hand = Hand::with_codes(3, 2);
    hand.start(10..14);
    assert_eq!(hand.go(), [Sent(10), Sent(11)]);
    assert_eq!((hand.fleet.waiting(), hand.fleet.is_empty()), (3, false));
    assert!(hand.fleet.get(&1).is_some_and(|flow| flow.prompt().is_some()) && hand.fleet.get(&77).is_none());
    assert!(format!("{:?}", hand.fleet).contains("len: 7, starting: 2, in_flight: 2"), "{:?}", hand.fleet);
    // Before its turn, in flight, waiting; each once.
    for key in [13, 11, 1] {
        assert!(hand.cancel(key) && !hand.cancel(key) && hand.fleet.get(&key).is_none(), "{key}");
        assert_eq!(hand.go(), [], "{key}");
    }
    // The answer that still comes counts as one in flight, and is for nobody.
    assert_eq!((hand.fleet.in_flight(), hand.fleet.len()), (2, 4));
    hand.answer(200, &device_answer(json!({})));
    assert_eq!(hand.go(), [Shown(10), Waits(10), Sent(12)]);
    hand.answer(200, &device_answer(json!({})));
    // Cancelled with its answer in, before it was asked.
    hand.answer(200, &device_answer(json!({})));
    assert!(hand.cancel(12));
    assert_eq!((hand.go(), hand.fleet.in_flight()), (vec![], 0));

    // Keys and slots of those that are gone: nothing of them is left.
    hand.start(11..14);
    assert_eq!(hand.go(), [Sent(11), Sent(12)]);
    hand.answer(400, r#"{"error":"invalid_client"}"#);
    assert_eq!(hand.go(), [Done(11), Sent(13)]);
    let mut left: Vec<_> = hand.fleet.into_machines().map(|(key, _)| key).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 2, 10, 12, 13]);
}

#[test]
fn a_fleet_refuses_what_is_not_its_own_and_what_has_run_before() {
    let (mut one, mut other) = (Hand::new(1), Hand::new(1));
    one.start(0..1);
    other.start(0..1);
    one.go();
    other.go();
    let (_, ticket) = one.tickets.remove(0);
    let now = Timestamp::ZERO;
    let refused = other.fleet.response(ticket, Response::new(200, b"{}"), now).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "this ticket is not the one that this machine waits for: hand every answer to the machine that asked"
    );
    let refused = one.fleet.response(refused.into_ticket(), Response::new(0, b"{}"), now).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "0 is not an HTTP status: a transport that got no answer must call transport_failed"
    );
    assert_eq!(one.fleet.in_flight(), 1);
    one.fleet.transport_failed(refused.into_ticket(), TransportError::new(Timeout), now).unwrap();
    assert_eq!(one.fleet.in_flight(), 0);
    // A fleet in which that slot is empty.
    let (_, ticket) = other.tickets.remove(0);
    let mut empty = Hand::new(1);
    let refused = empty.fleet.transport_failed(ticket, TransportError::new(Timeout), now).unwrap_err();
    assert!(matches!(empty.fleet.next_action(now), FleetAction::Idle));
    other.fleet.response(refused.into_ticket(), Response::new(200, b"{}"), now).unwrap();

    // Machines that somebody else has driven.
    let mut fleet = Fleet::new(1);
    let mut in_flight = DeviceFlow::new(builder().build().unwrap(), [7; 32]);
    let _sent = in_flight.next_action(now);
    let mut ended = DeviceFlow::new(builder().build().unwrap(), [7; 32]);
    ended.cancel();
    let _outcome = ended.next_action(now);
    fleet.start("in flight", in_flight).unwrap();
    fleet.restore("ended", ended, now).unwrap();
    for (key, stopped) in [("ended", Stopped::AlreadyEnded), ("in flight", Stopped::NotOurs)] {
        let FleetAction::Done { key: whose, outcome } = fleet.next_action(now) else { panic!() };
        assert_eq!((whose, outcome.unwrap_err()), (key, stopped));
    }
    assert!(fleet.is_empty() && matches!(fleet.next_action(now), FleetAction::Idle));
}

// While no place is free, no time matters: nothing could be sent then.
#[test]
fn a_fleet_waits_for_an_answer_while_all_places_are_taken_and_for_a_time_otherwise() {
    for (most, waits_for_a_time) in [(1, false), (2, true)] {
        let mut hand = Hand::with_codes(1, most);
        hand.start(1..2);
        assert_eq!(hand.go(), [Sent(1)]);
        let action = hand.fleet.next_action(Timestamp::from_millis(hand.now));
        assert_eq!(matches!(action, FleetAction::Wait { .. }), waits_for_a_time, "{action:?}");
        assert_eq!(matches!(action, FleetAction::AwaitResponse), !waits_for_a_time, "{action:?}");
    }
}

/// Waits until each of these times, and is done.
#[derive(Debug)]
struct Waiter(Vec<u64>);

impl Machine for Waiter {
    type Output = Timestamp;

    fn next_action(&mut self, now: Timestamp) -> Action<Timestamp> {
        match self.0.iter().copied().map(Timestamp::from_millis).find(|until| now < *until) {
            Some(until) => Action::Wait { until, reason: WaitReason::Interval },
            None => Action::Done(Ok(now)),
        }
    }

    fn response(&mut self, ticket: Ticket, _: Response<'_>, _: Timestamp) -> Result<(), Misuse> {
        Err(Misuse::NotOutstanding(ticket))
    }

    fn transport_failed(&mut self, ticket: Ticket, _: TransportError, _: Timestamp) -> Result<(), Misuse> {
        Err(Misuse::NotOutstanding(ticket))
    }

    fn cancel(&mut self) {}
}

// Times are kept in 32 bits.
#[test]
fn waits_of_any_length_end_on_time_and_in_order_however_long_the_fleet_has_run() {
    const DAY: u64 = 86_400_000;
    for zero in [0, DAY, 24 * DAY, 25 * DAY, 49 * DAY, 50 * DAY, 400 * DAY, u64::MAX - 300 * DAY] {
        let mut fleet = Fleet::new(1);
        let (mut now, mut ended) = (zero, Vec::new());
        let waits =
            [1, 5_000, DAY, 24 * DAY, 25 * DAY, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 60 * DAY, 200 * DAY];
        for (key, wait) in waits.into_iter().enumerate() {
            fleet.start(key, Waiter(vec![zero + wait])).unwrap();
        }
        let mut woken = 0;
        loop {
            match fleet.next_action(Timestamp::from_millis(now)) {
                FleetAction::Waiting { .. } => {}
                FleetAction::Wait { until } => {
                    assert!(until.as_millis() > now);
                    woken += 1;
                    now = until.as_millis();
                }
                FleetAction::Done { key, outcome } => {
                    assert_eq!(outcome.unwrap().as_millis(), zero + waits[key]);
                    ended.push(key);
                }
                FleetAction::Idle => break,
                other @ (FleetAction::SendRequest { .. }
                | FleetAction::ShowCode { .. }
                | FleetAction::AwaitResponse) => {
                    panic!("{other:?}")
                }
            }
        }
        assert_eq!(ended, [0, 1, 2, 3, 5, 6, 4, 7, 8, 9, 10], "{zero}");
        assert!(woken <= 20, "{woken}");
    }
}

// Nobody has asked for long: what is overdue ends in its order all the same, though something is added meanwhile.
#[test]
fn what_has_passed_when_times_are_counted_anew_keeps_its_order() {
    const LATE: u64 = 1 << 31;
    let mut fleet = Fleet::new(1);
    let waits = [vec![LATE - 1_000, LATE + 5_000], vec![LATE - 100], vec![LATE - 400], vec![LATE - 700]];
    for (key, waits) in waits.into_iter().enumerate() {
        fleet.start(key, Waiter(waits)).unwrap();
    }
    let mut ended = Vec::new();
    for now in [0, LATE, LATE + 5_000].map(Timestamp::from_millis) {
        loop {
            let action = fleet.next_action(now);
            if let FleetAction::Done { key, .. } = action {
                ended.push(key);
            } else if matches!(action, FleetAction::Wait { .. } | FleetAction::Idle) {
                break;
            }
        }
    }
    assert_eq!(ended, [3, 2, 1, 0]);
}
