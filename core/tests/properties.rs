//! Long worlds at random, under the watch: numbers of any size, clocks of any kind, deeds at any step.
//!
//! A failure is shrunk to the fewest and dullest choices and printed; written into `fuzz/corpus/operations` they are kept.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test reports")]

use device_flow_core::{Action, DeviceFlow, Machine, Outgoing, Response, Timestamp};
use device_flow_testkit::choices::Bytes;
use device_flow_testkit::server::{self, Number, Reply, Turn};
use device_flow_testkit::watch::Seen;
use device_flow_testkit::world::{ANY, Menu, Trace, Wake, play};
use proptest::prelude::*;

fn choices(most: usize) -> impl Strategy<Value = Vec<u8>> {
    // Small numbers more often, since 0 is the dull choice.
    prop::collection::vec(prop_oneof![2 => Just(0_u8), 3 => 0..12_u8, 3 => any::<u8>()], 0..most)
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { default } else { ProptestConfig { cases: 400, ..default } }
}

/// The same things, that much later.
fn shifted(trace: Trace, by: u64) -> Trace {
    let later = |seen| match seen {
        Seen::Waits(until) => Seen::Waits(until + by),
        Seen::Shown { interval, deadline } => Seen::Shown { interval, deadline: deadline + by },
        seen @ (Seen::Asked(_) | Seen::Answered(_) | Seen::Cancelled | Seen::Restarted { .. } | Seen::Ended(_)) => seen,
    };
    trace.into_iter().map(|(at, seen)| (at + by, later(seen))).collect()
}

proptest! {
    #![proptest_config(config())]

    // D01, D02, D04, D06, D07, D09, D13, G01, G02, G03, G04, G05, rules 1 to 10 and 12 to 14.
    #[test]
    fn the_law_holds_in_every_world(choices in choices(400)) {
        play(&mut Bytes(&choices), &ANY);
    }

    // Time has no origin: the same world a constant later gives the same trace that much later.
    #[test]
    fn a_shift_of_time_shifts_the_trace(choices in choices(200)) {
        const EARLY: Menu = Menu { starts: &[10_000_000], wakes: &[Wake::OnTime, Wake::Random, Wake::Early(1), Wake::Backwards(10_000)], ..ANY };
        const LATE: Menu = Menu { starts: &[1 << 40], ..EARLY };
        let world = |menu| play(&mut Bytes(&choices), menu);
        let early = world(&EARLY);
        // Where an answer took so long that the end of time came into sight, nothing can be later.
        if early.iter().all(|(at, _)| *at < 1 << 40) {
            prop_assert_eq!(world(&LATE), shifted(early, (1 << 40) - 10_000_000));
        }
    }

    // D02, rules 11 and 13 (cli/cli#9370, cli/oauth#108): a server that grows its own interval with every early poll, and looks at
    // the rate before the approval, still gives the token to a clock that runs too fast or too slow.
    #[test]
    fn a_strict_server_is_satisfied_whatever_the_clock(percent in 70..=130_u64, interval in 1..=10_u64, approved in 0..=300_u64, seed: [u8; 32]) {
        let mut server = Strict { interval: interval * 1_000, last: None, approved: approved * 1_000 };
        let mut flow = DeviceFlow::new(server::client("https://as.example").build().unwrap(), seed);
        let (mut now, mut polls) = (1_000_000_u64, 0);
        let outcome = loop {
            match flow.next_action(Timestamp::from_millis(now)) {
                Action::SendRequest(Outgoing { request, ticket }) => {
                    let turn = if request.url().ends_with("/device") {
                        Turn::new(Reply::Code { interval: Number::Whole(interval), lifetime: Number::Whole(3_600) })
                    } else {
                        polls += 1;
                        server.poll((now - 1_000_000) * 100 / percent)
                    };
                    let wire = turn.wire("").unwrap();
                    flow.response(ticket, Response::new(wire.status, wire.body.as_bytes()), Timestamp::from_millis(now)).unwrap();
                }
                Action::Wait { until, .. } => now = until.as_millis(),
                Action::ShowCode(_) => {}
                Action::Done(outcome) => break outcome,
                Action::AwaitResponse | Action::Ended => unreachable!("every request is answered at once"),
            }
        };
        prop_assert!(outcome.is_ok(), "{} polls: {:?}", polls, outcome);
        if percent <= 100 {
            prop_assert_eq!(flow.trail().slow_downs(), 0, "a clock that does not run fast is never early");
        }
    }
}

/// GitHub's way: a poll before its time adds five seconds for good, and nothing else is looked at then.
struct Strict {
    interval: u64,
    last: Option<u64>,
    approved: u64,
}

impl Strict {
    fn poll(&mut self, now: u64) -> Turn {
        let early = now - self.last.replace(now).unwrap_or(0) < self.interval;
        if early {
            self.interval += 5_000;
            return Turn::new(Reply::SlowDown(Number::Absent));
        }
        Turn::new(if now < self.approved { Reply::Pending } else { Reply::Token })
    }
}
