//! Whole sign-ins: the requests, the events, and the connections that carry them.

use crate::adapter::{
    Action, DeviceFlow, Event, Http, Machine, Misuse, Response, Stopped, Ticket, Timestamp, TokenResponse,
    TransportError, WaitReason, entropy,
};
use crate::{drive, drive_to_first_wait};
use device_flow_testkit::attempts::once_below;
use device_flow_testkit::loopback::{self, Loopback, Next};
use device_flow_testkit::recorder::Recorder;
use device_flow_testkit::scaled::{Scaled, Skipping};
use std::sync::Arc;
use std::time::Duration;

const PENDING: &str = "authorization_pending";

fn http() -> Http {
    Http::builder().build().unwrap()
}

#[test]
fn a_sign_in_waits_slows_down_and_brings_the_token() {
    let server = Loopback::http(loopback::sign_in(&[PENDING, PENDING, "slow_down"]));
    // On a timeline of its own: a wait that is over before the driver comes to it would cause no event.
    let mut flow = Recorder::new(DeviceFlow::new(server.client(), entropy().unwrap()), &server.url(""));
    let (outcome, events) = drive(&http(), &mut flow);

    assert_eq!(outcome.unwrap().access_token().expose(), "token-1-canary");
    assert_eq!(flow.inner().trail().polls(), 4);
    assert_eq!(flow.inner().trail().slow_downs(), 1);
    assert!(matches!(&events[0], Event::ShowCode(prompt) if prompt.user_code() == "WDJB-MJHT"));
    // Each wait causes one event, however often the timer wakes.
    let reasons: Vec<_> = events[1..]
        .iter()
        .map(|event| match event {
            Event::Waiting { reason, .. } => *reason,
            other => panic!("{other:?}"),
        })
        .collect();
    let interval = WaitReason::Interval;
    assert_eq!(reasons, [interval, interval, interval, WaitReason::SlowDown { interval: 6 }]);
    assert!(server.polls().iter().all(|poll| poll.body.contains("device_code=device-code-1")));
    assert_eq!(server.connections(), 1);

    // The outcome comes out once.
    assert!(matches!(drive(&http(), &mut flow).0, Err(Stopped::AlreadyEnded)));
}

#[test]
fn a_hundred_polls_take_one_connection() {
    let server = Loopback::http(loopback::sign_in(&[PENDING; 99]));
    let mut flow = Recorder::new(DeviceFlow::new(server.client(), entropy().unwrap()), &server.url(""));
    let (outcome, _) = drive(&http(), &mut flow);
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!((server.polls().len(), server.connections()), (100, 1));
}

// K18: if each client had a zero of its own, the flow would poll early in one direction and late in the other.
#[test]
fn k18_a_flow_goes_on_with_another_client_on_the_same_timeline() {
    let server = Loopback::http(loopback::sign_in(&[]));
    let old = http();
    // So that the clients are more than an interval apart.
    assert!(drive(&old, &mut DeviceFlow::new(server.client(), entropy().unwrap())).0.is_ok());
    let new = http();
    for (first, second) in [(&old, &new), (&new, &old)] {
        let before = server.requests().len();
        let mut flow = DeviceFlow::new(server.client(), entropy().unwrap());
        drive_to_first_wait(first, &mut flow);
        let (outcome, events) = drive(second, &mut flow);
        assert!(outcome.is_ok(), "{outcome:?}");
        // Less is left on a slow machine, or nothing.
        let in_time =
            |event: &Event| matches!(event, Event::Waiting { wait, .. } if *wait <= Duration::from_millis(1_101));
        assert!(events.len() <= 1 && events.iter().all(in_time), "the interval and a tenth at most: {events:?}");
        let requests = server.requests();
        assert!(requests[before + 1].at.duration_since(requests[before].at) >= Duration::from_secs(1), "early");
    }
}

#[test]
fn polling_law_2_each_poll_comes_a_whole_interval_after_the_answer_before() {
    // Never early; and late only if the machine is busy.
    once_below(Duration::from_millis(1_700), || {
        let server = Loopback::http(loopback::sign_in(&[PENDING]));
        let (outcome, _) = drive(&http(), &mut DeviceFlow::new(server.client(), entropy().unwrap()));
        assert!(outcome.is_ok(), "{outcome:?}");
        let at: Vec<_> = server.requests().iter().map(|request| request.at).collect();
        assert_eq!(at.len(), 3);
        let distances: Vec<_> = at.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect();
        assert!(distances.iter().all(|distance| *distance >= Duration::from_secs(1)), "early: {distances:?}");
        distances.into_iter().max().unwrap()
    });
}

// C13.
#[test]
fn c13_a_connection_that_the_server_closed_between_polls_is_replaced_unnoticed() {
    let play = loopback::sign_in(&[PENDING, PENDING, PENDING]);
    let server = Arc::new(Loopback::http(move |asked, wire| {
        play(asked, wire);
        Next::Close
    }));
    let flow = Scaled::new(DeviceFlow::new(server.client(), entropy().unwrap()), 20);
    let mut flow = AfterTheClose { inner: flow, server: Arc::clone(&server) };
    let (outcome, _) = drive(&http(), &mut flow);
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(flow.inner.inner().trail().failures(), 0);
    assert_eq!((server.requests().len(), server.connections()), (5, 5));
}

/// A machine that goes on only when the server has closed every connection: its wait begins then.
struct AfterTheClose {
    inner: Scaled<DeviceFlow>,
    server: Arc<Loopback>,
}

impl Machine for AfterTheClose {
    type Output = TokenResponse;

    fn next_action(&mut self, now: Timestamp) -> Action<TokenResponse> {
        if self.server.closed() < self.server.connections() {
            let until = now.saturating_add(Duration::from_millis(2));
            return Action::Wait { until, reason: WaitReason::Interval };
        }
        self.inner.next_action(now)
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.inner.response(ticket, response, now)
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.inner.transport_failed(ticket, error, now)
    }

    fn cancel(&mut self) {
        self.inner.cancel();
    }
}

// C13.
/// Nobody can know whether the server has read the poll, so the machine decides: it waits longer and asks again. An adapter
/// that sent the poll again by itself would break the interval, or replay a code that was just redeemed.
#[test]
fn c13_a_poll_that_was_sent_is_never_sent_again_behind_the_machines_back() {
    let play = loopback::sign_in(&[PENDING]);
    let server = Loopback::http(move |asked, wire| match asked.number {
        2 => Next::Close,
        4 => Next::Reset,
        _ => play(asked, wire),
    });
    let mut flow = Scaled::new(DeviceFlow::new(server.client(), entropy().unwrap()), 20);
    let (outcome, _) = drive(&http(), &mut flow);
    assert!(outcome.is_ok(), "{outcome:?}");
    let trail = flow.inner().trail();
    assert_eq!(trail.polls() as usize, server.polls().len());
    assert_eq!(trail.failures(), 1);
}

#[test]
fn requests_carry_what_the_machine_asked_for_and_nothing_that_could_identify_or_invite() {
    let server = Loopback::http(loopback::sign_in(&[]));
    let client = server.client_builder().client_secret_basic("secret").build().unwrap();
    let (outcome, _) = drive(&http(), &mut Skipping::new(DeviceFlow::new(client, entropy().unwrap())));
    assert!(outcome.is_ok(), "{outcome:?}");
    for request in server.requests() {
        let mut names: Vec<_> =
            request.head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
        names.sort_unstable();
        let expected =
            ["accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "user-agent"];
        assert_eq!(names, expected, "{}", request.head);
        assert!(request.head.starts_with("post ") && request.head.contains(" http/1.1\r\n"));
        assert!(request.head.contains(concat!("user-agent: device-flow/", env!("CARGO_PKG_VERSION"), "\r\n")));
    }
}
