//! Properties of whole flows: random worlds, extreme numbers, shifted time, snapshots at any step.
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod support;

use core::time::Duration;
use device_flow_core::{
    Action, Client, DeviceFlow, Failure, Machine, Response, Ticket, Timestamp, TransportError, TransportErrorKind,
};
use proptest::prelude::*;
use std::sync::Arc;
use support::*;

#[derive(Clone, Debug)]
enum Op {
    /// Asks for the next action this many milliseconds later (or earlier).
    Ask(i64),
    /// Goes to the time that the machine named, off by this much.
    Wake(i64),
    Answer(u16, String, Option<String>),
    Fail(u8),
    /// Stores and resumes, with this time away claimed of the time that really passed.
    Restart {
        passed: u64,
        claimed: u64,
    },
    Cancel,
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..40_u64).prop_map(|n| n.to_string()), 1 => any::<u64>().prop_map(|n| n.to_string()), 1 => any::<f64>().prop_map(|n| n.to_string()),
        1 => Just("null".to_owned()), 1 => Just("18446744073709551616".to_owned()), 1 => Just("-1".to_owned()), 1 => Just("\"5\"".to_owned()),
    ]
}

fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(PENDING.to_owned()),
        3 => number().prop_map(|hint| format!(r#"{{"error":"slow_down","interval":{hint}}}"#)),
        1 => Just(String::new()), 1 => Just("<html>".to_owned()), 1 => Just("{}".to_owned()), 1 => Just(TOKEN.to_owned()),
        1 => Just(r#"{"error":"access_denied"}"#.to_owned()), 1 => Just(r#"{"error":"invalid_grant"}"#.to_owned()),
        3 => (number(), number()).prop_map(|(interval, life)| {
            device_answer(serde_json::json!({"interval": "I", "expires_in": "E"})).replace("\"I\"", &interval).replace("\"E\"", &life)
        }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let status = prop_oneof![5 => Just(400_u16), 3 => Just(200), 1 => Just(429), 1 => Just(503), 1 => 100..1000_u16];
    let retry_after = prop_oneof![4 => Just(None), 1 => number().prop_map(Some)];
    prop_oneof![
        2 => (-100_000..100_000_i64).prop_map(Op::Ask),
        6 => prop_oneof![Just(0_i64), -50..50_i64, 0..100_000_i64].prop_map(Op::Wake),
        6 => (status, body(), retry_after).prop_map(|(status, body, after)| Op::Answer(status, body, after)),
        2 => (0..5_u8).prop_map(Op::Fail),
        1 => (0..100_000_u64, 0..=100_u64).prop_map(|(passed, percent)| Op::Restart { passed, claimed: passed * percent / 100 }),
        1 => prop_oneof![20 => Just(Op::Wake(0)), 1 => Just(Op::Cancel)],
    ]
}

/// What a driver and a server would see, and the laws that each step must keep.
struct World {
    client: Arc<Client>,
    flow: DeviceFlow,
    now: u64,
    ticket: Option<Ticket>,
    until: Option<u64>,
    shown: bool,
    /// The lifetime and interval that the accepted answer meant, learned from the prompt.
    deadline: Option<u64>,
    interval_ms: u64,
    last_answer: u64,
    polls: u64,
    first_bound: u64,
    ended: bool,
    trace: Vec<String>,
}

impl World {
    fn new(start: u64) -> Self {
        let client = Arc::new(builder().build().unwrap());
        let flow = DeviceFlow::new(client.clone(), [3; 32]);
        Self {
            client,
            flow,
            now: start,
            ticket: None,
            until: None,
            shown: false,
            deadline: None,
            interval_ms: 0,
            last_answer: 0,
            polls: 0,
            first_bound: 0,
            ended: false,
            trace: vec![],
        }
    }

    fn ask(&mut self, asked: u64) {
        self.now = self.now.max(asked);
        let action = self.flow.next_action(Timestamp::from_millis(asked));
        let is_end = matches!(action, Action::Done(_) | Action::Ended);
        assert!(!self.ended || matches!(action, Action::Ended), "terminal is terminal");
        match action {
            Action::SendRequest(outgoing) => {
                assert!(self.ticket.is_none(), "one in flight");
                self.ticket = Some(outgoing.ticket);
                if outgoing.request.url().ends_with("/token") {
                    assert!(self.shown, "the code is shown before the first poll");
                    assert!(self.now >= self.last_answer + self.interval_ms, "an early poll");
                    assert!(self.now < self.deadline.unwrap(), "a poll after the deadline");
                    self.polls += 1;
                    assert!(self.polls <= self.first_bound, "too many polls");
                }
                self.trace.push(format!("{:?}@{}", outgoing.request, self.now));
            }
            Action::ShowCode(prompt) => {
                self.shown = true;
                let interval = u64::try_from(prompt.interval().as_millis()).unwrap();
                assert!(interval >= 1_000 && interval >= self.interval_ms, "the interval never falls");
                if self.deadline.is_none() {
                    self.first_bound = (prompt.expires_at().as_millis() - self.last_answer) / interval;
                }
                self.interval_ms = interval;
                self.deadline = Some(prompt.expires_at().as_millis());
                assert!(self.now < prompt.expires_at().as_millis(), "a dead code is not shown");
                self.trace.push(format!("show@{}", self.now));
            }
            Action::Wait { until, .. } => {
                assert!(until.as_millis() > self.now, "a wait is in the future");
                assert!(
                    self.deadline.is_none_or(|deadline| until.as_millis() <= deadline),
                    "and not beyond the deadline"
                );
                self.until = Some(until.as_millis());
            }
            Action::AwaitResponse => assert!(self.ticket.is_some(), "something must be awaited"),
            Action::Done(outcome) => self.trace.push(format!("done@{} {:?}", self.now, outcome.err())),
            Action::Ended => {}
        }
        self.ended |= is_end;
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Ask(by) => self.ask(self.now.saturating_add_signed(*by)),
            Op::Wake(by) => self.ask(self.until.unwrap_or(self.now).saturating_add_signed(*by)),
            Op::Answer(status, body, retry_after) => {
                let Some(ticket) = self.ticket.take() else { return };
                let mut response = Response::new(*status, body.as_bytes());
                if let Some(value) = retry_after {
                    response = response.header("retry-after", value.as_bytes());
                }
                self.flow.response(ticket, response, Timestamp::from_millis(self.now)).unwrap();
                self.last_answer = self.now;
                self.until = None;
            }
            Op::Fail(kind) => {
                let Some(ticket) = self.ticket.take() else { return };
                let kind = [
                    TransportErrorKind::Timeout,
                    TransportErrorKind::Closed,
                    TransportErrorKind::Dns,
                    TransportErrorKind::Other,
                    TransportErrorKind::UntrustedCertificate,
                ][usize::from(*kind)];
                self.flow
                    .transport_failed(ticket, TransportError::new(kind), Timestamp::from_millis(self.now))
                    .unwrap();
                self.last_answer = self.now;
                self.until = None;
            }
            Op::Restart { passed, claimed } => {
                let Some(snapshot) = self.flow.snapshot(Timestamp::from_millis(self.now)) else { return };
                if self.ticket.take().is_some() {
                    self.last_answer = self.now;
                }
                let text = serde_json::to_string(&snapshot).unwrap();
                self.now += passed;
                let (away, now) = (Duration::from_millis(*claimed), Timestamp::from_millis(self.now));
                self.flow =
                    DeviceFlow::resume(self.client.clone(), serde_json::from_str(&text).unwrap(), away, now).unwrap();
                // Claiming less time away moves the deadline later with the poll; the server's own deadline stays its own.
                self.deadline = self.deadline.map(|deadline| deadline + passed - claimed);
                self.first_bound += (passed - claimed) / self.interval_ms.max(1_000) + 1;
                (self.shown, self.until) = (false, None);
            }
            Op::Cancel => self.flow.cancel(),
        }
    }

    fn run(mut self, ops: &[Op]) -> Vec<String> {
        self.ask(self.now);
        for op in ops {
            self.step(op);
        }
        // From anywhere the flow ends by itself once nobody answers any more.
        for _ in 0..100_000 {
            if self.ended {
                return self.trace;
            }
            if self.ticket.is_some() { self.step(&Op::Fail(0)) } else { self.step(&Op::Wake(0)) }
        }
        panic!("a hot loop, or a flow that never ends");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    // D01, D02, D06, D07, D13, G01, G03, G04, G05, rule 1 to 9 and 14: whatever happens, in whatever order.
    #[test]
    fn the_law_holds_in_every_world(start in prop_oneof![Just(0_u64), 0..1_u64 << 40], ops in prop::collection::vec(op(), 0..120)) {
        World::new(start).run(&ops);
    }

    // Time has no origin: the same world a constant later gives the same trace that much later.
    #[test]
    fn a_shift_of_time_shifts_the_trace(shift in 0..1_u64 << 40, ops in prop::collection::vec(op(), 0..60)) {
        let shifted = |start: u64| -> Vec<String> {
            World::new(start + 10_000_000).run(&ops).iter().map(|line| {
                let (what, rest) = line.split_once('@').unwrap();
                let (at, more) = rest.split_once(' ').unwrap_or((rest, ""));
                format!("{what}@{} {more}", at.parse::<u64>().unwrap() - start)
            }).collect()
        };
        prop_assert_eq!(shifted(0), shifted(shift));
    }

    // R6749-5.1-9, R6749-5.1-10, A10: unknown members and the order of members change nothing.
    #[test]
    fn order_and_unknown_members_change_nothing(
        keys in Just(vec![0_usize, 1, 2, 3, 4]).prop_shuffle(),
        extra in prop::collection::vec(("[a-z]{8,12}", "[ -!#-\\[\\]-~]{0,9}"), 0..20),
    ) {
        let known = [
            r#""device_code":"d""#, r#""user_code":"WDJB-MJHT""#, r#""verification_uri":"https://as/x""#, r#""expires_in":900"#, r#""interval":7"#,
        ];
        let extra: std::collections::BTreeMap<_, _> = extra.into_iter().collect();
        let mut members: Vec<String> = keys.into_iter().map(|key| known[key].to_owned()).collect();
        for (index, (name, value)) in extra.iter().enumerate() {
            members.insert(index % members.len(), format!(r#""x-{name}":["{value}",{{"a":null}}]"#));
        }
        let mut run = Run::with_answer(200, &format!("{{{}}}", members.join(",")));
        assert_gap(run.poll(), 7, 7);
        prop_assert_eq!(run.prompts[0].user_code(), "WDJB-MJHT");
        prop_assert_eq!(run.prompts[0].expires_at(), Timestamp::from_millis(START + 900_000));
    }
}

#[test]
fn a_world_without_a_server_ends_in_a_transport_failure() {
    let trace = World::new(0).run(&[]);
    assert!(trace.last().unwrap().starts_with("done@7000 "), "{trace:?}");
    let mut run = Run::new(builder().build().unwrap());
    while run.go() {
        run.fail(TransportErrorKind::Connect);
    }
    assert!(matches!(run.outcome, Some(Err(Failure::Transport(_)))));
}
