//! Stopping on tokio: a future that is dropped anywhere leaves a machine that goes on, and never early.

use crate::adapter::core::{
    Action, Cause, DeviceFlow, Event, Machine, Misuse, Outgoing, Response, Stopped, Ticket, Timestamp, TransportError,
    TransportErrorKind, WaitReason,
};
use crate::adapter::{Http, entropy, run};
use device_flow_testkit::loopback::{self, Loopback};
use device_flow_testkit::scaled::Scaled;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

const CODE: &[u8] = br#"{"device_code":"device-code-1-canary","user_code":"AB","verification_uri":"https://as.example/d","expires_in":900,"interval":5}"#;

/// A flow that has its code, without a server.
fn with_code(http: &Http, server: &Loopback) -> DeviceFlow {
    let mut flow = DeviceFlow::new(server.client(), entropy().unwrap());
    let Action::SendRequest(Outgoing { ticket, .. }) = flow.next_action(http.now()) else { panic!() };
    flow.response(ticket, Response::new(200, CODE), http.now()).unwrap();
    flow
}

fn until(action: &Action<impl Sized>) -> Timestamp {
    match action {
        Action::Wait { until, .. } => *until,
        _ => panic!("no wait"),
    }
}

// G05.
#[tokio::test(start_paused = true)]
async fn g05_a_future_dropped_in_a_wait_keeps_the_wait() {
    let server = Loopback::http(loopback::sign_in(&[]));
    let http = Http::builder().build().unwrap();
    let mut flow = with_code(&http, &server);
    for slept in [0, 1, 4_000] {
        let _ = tokio::time::timeout(Duration::from_millis(slept), run(&http, &mut flow, |_| {})).await.unwrap_err();
    }
    let end = until(&flow.next_action(http.now()));
    assert!(end >= Timestamp::from_millis(5_000), "{end:?}");

    // To the last millisecond there is nothing but the same wait; then comes the poll.
    let rest = end.saturating_since(http.now()).saturating_sub(Duration::from_millis(1));
    tokio::time::advance(rest).await;
    assert_eq!(until(&flow.next_action(http.now())), end);
    assert_eq!(server.connections(), 0);
    tokio::time::advance(Duration::from_millis(2)).await;
    tokio::time::resume();
    assert!(run(&http, &mut flow, |_| {}).await.is_ok());
    assert_eq!(server.polls().len(), 1);
}

// G05.
#[tokio::test]
async fn g05_a_future_dropped_in_a_request_counts_as_a_failed_one_and_the_flow_goes_on() {
    let play = loopback::sign_in(&["authorization_pending"]);
    let server = Loopback::http(move |asked, wire| {
        if matches!(asked.number, 0 | 2) {
            thread::sleep(Duration::from_millis(300));
        }
        play(asked, wire)
    });
    let http = Http::builder().build().unwrap();
    let mut flow = Scaled::new(DeviceFlow::new(server.client(), entropy().unwrap()), 20);
    let mut reasons = Vec::new();
    let mut runs = 0;
    let outcome = loop {
        runs += 1;
        let seen = server.requests().len();
        let mut future = pin!(run(&http, &mut flow, |event| {
            if let Event::Waiting { reason, .. } = event {
                reasons.push(reason);
            }
        }));
        // Dropped as soon as a slow request is on its way.
        let outcome = poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if server.requests().len() > seen && matches!(server.requests().len(), 1 | 3) => {
                Poll::Ready(None)
            }
            Poll::Pending => {
                let waker = context.waker().clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    waker.wake();
                });
                Poll::Pending
            }
        })
        .await;
        if let Some(outcome) = outcome {
            break outcome;
        }
    };
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(runs, 3);
    let abandoned = reasons.iter().filter(|reason| {
        matches!(reason, WaitReason::Backoff { cause: Cause::Transport(TransportErrorKind::Abandoned), .. })
    });
    assert_eq!(abandoned.count(), 2);
    // One second of interval is 50 ms here.
    let polls = server.polls();
    for (before, after) in polls.iter().zip(&polls[1..]) {
        assert!(after.at.duration_since(before.at) >= Duration::from_millis(50));
    }
}

// G13.
#[test]
fn g13_without_a_runtime_there_is_an_error_and_no_panic() {
    let server = Loopback::http(loopback::sign_in(&[]));
    let http = Http::builder().build().unwrap();
    let mut flow = DeviceFlow::new(server.client(), entropy().unwrap());
    let outcome = poll_once(run(&http, &mut flow, |_| {}));
    assert!(matches!(outcome, Some(Err(Stopped::NoRuntime))), "{outcome:?}");
    // The machine has not been touched.
    assert!(matches!(flow.next_action(http.now()), Action::SendRequest(_)));
}

fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match pin!(future).as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_machine_that_waits_for_another_drivers_answer_is_left_alone() {
    let server = Loopback::http(loopback::sign_in(&[]));
    let http = Http::builder().build().unwrap();
    let mut flow = DeviceFlow::new(server.client(), entropy().unwrap());
    let Action::SendRequest(Outgoing { .. }) = flow.next_action(http.now()) else { panic!() };
    assert!(matches!(run(&http, &mut flow, |_| {}).await, Err(Stopped::NotOurs)));
    assert_eq!(server.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sign_ins_share_one_client_across_threads() {
    let server = Loopback::http(|asked, wire| match &*asked.target {
        "/device" => loopback::device_answer(wire),
        _ => loopback::token_answer(wire),
    });
    let http = Http::builder().build().unwrap();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (http, client) = (http.clone(), server.client());
            tokio::spawn(async move {
                let mut flow = Scaled::new(DeviceFlow::new(client, entropy().unwrap()), 100);
                run(&http, &mut flow, |_| {}).await
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().is_ok());
    }
    assert!(server.connections() <= 20);
}

struct Never;

impl Machine for Never {
    type Output = ();

    fn next_action(&mut self, _: Timestamp) -> Action<()> {
        Action::Wait { until: Timestamp::MAX, reason: WaitReason::Interval }
    }

    fn response(&mut self, _: Ticket, _: Response<'_>, _: Timestamp) -> Result<(), Misuse> {
        Ok(())
    }

    fn transport_failed(&mut self, _: Ticket, _: TransportError, _: Timestamp) -> Result<(), Misuse> {
        Ok(())
    }

    fn cancel(&mut self) {}
}

// D01.
#[tokio::test(start_paused = true)]
async fn d01_a_wait_to_the_end_of_time_overflows_nothing_and_is_told_once() {
    let http = Http::builder().build().unwrap();
    let mut told = 0;
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let _ = tokio::time::timeout(week, run(&http, &mut Never, |_| told += 1)).await.unwrap_err();
    assert_eq!(told, 1);
}
