//! Stopping without a runtime: a flag that is set from elsewhere ends a wait at once, and the machine goes on later.

use crate::adapter::{
    Action, Cancel, DeviceFlow, Event, Http, Machine, Misuse, Outgoing, Response, Stopped, Ticket, Timestamp,
    TransportError, WaitReason, entropy, now, run,
};
use crate::drive_to_first_wait;
use device_flow_testkit::loopback::{self, Loopback, Next};
use device_flow_testkit::recorder::Recorder;
use device_flow_testkit::scaled::Skipping;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn http() -> Http {
    Http::builder().build().unwrap()
}

// G05.
#[test]
fn g05_a_wait_ends_at_the_cancel_and_the_flow_goes_on_without_an_early_poll() {
    // A wait of two minutes, which a cancel that it does not notice would not end.
    let code = r#"{"device_code":"device-code-1-canary","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":1800,"interval":120}"#;
    let server = Loopback::http(|_, wire| loopback::answer(wire, 200, loopback::JSON, code));
    let http = http();
    let (cancel, start) = (Cancel::new(), Instant::now());
    let remote = cancel.clone();
    let (waits, first_wait) = mpsc::channel();
    let canceller = thread::spawn(move || {
        first_wait.recv().unwrap();
        // So that it sleeps.
        thread::sleep(Duration::from_millis(300));
        remote.cancel();
    });
    let mut flow = DeviceFlow::new(server.client(), entropy().unwrap());
    let outcome = run(&http, &mut flow, &cancel, |event| {
        if let Event::Waiting { .. } = event {
            waits.send(()).unwrap();
        }
    });
    assert_eq!(outcome.unwrap_err(), Stopped::Interrupted);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    canceller.join().unwrap();
    assert!(server.polls().is_empty());

    // Still cancelled: at once, and nothing is asked.
    let server = Loopback::http(loopback::sign_in(&[]));
    let mut flow = DeviceFlow::new(server.client(), entropy().unwrap());
    drive_to_first_wait(&http, &mut flow);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(run(&http, &mut flow, &cancel, |_| {}).unwrap_err(), Stopped::Interrupted);
    assert!(server.polls().is_empty());
    let mut waits = Vec::new();
    let outcome = run(&http, &mut flow, &Cancel::new(), |event| waits.push(event));
    assert!(outcome.is_ok(), "{outcome:?}");
    // What is left of it. On a slow machine that may be nothing.
    let rest = |event: &Event| matches!(event, Event::Waiting { wait, .. } if *wait < Duration::from_millis(900));
    assert!(waits.len() <= 1 && waits.iter().all(rest), "{waits:?}");
    let requests = server.requests();
    assert!(requests[1].at.duration_since(requests[0].at) >= Duration::from_secs(1));
}

// G05.
#[test]
fn g05_an_answer_that_arrives_after_the_cancel_is_not_lost() {
    for (slow, token) in [(1, true), (0, false)] {
        let cancel = Cancel::new();
        let remote = cancel.clone();
        let play = loopback::sign_in(&[]);
        let server = Loopback::http(move |asked, wire| {
            if asked.number == slow {
                remote.cancel();
                thread::sleep(Duration::from_millis(100));
            }
            play(asked, wire)
        });
        let http = http();
        // With waits, however slow the machine is: a poll that is due already is given up, which counts as a failure.
        let mut flow = Recorder::new(DeviceFlow::new(server.client(), entropy().unwrap()), &server.url(""));
        let first = run(&http, &mut flow, &cancel, |_| {});
        if token {
            assert!(first.is_ok(), "{first:?}");
        } else {
            assert_eq!(first.unwrap_err(), Stopped::Interrupted);
            assert!(flow.inner().prompt().is_some());
            assert!(run(&http, &mut flow, &Cancel::new(), |_| {}).is_ok());
        }
        assert_eq!(flow.inner().trail().failures(), 0);
        assert_eq!(server.requests().len(), 2);
    }
}

// G05.
#[test]
fn g05_every_wait_on_clones_of_one_cancel_ends() {
    let cancel = Cancel::new();
    thread::scope(|scope| {
        let waits: Vec<_> = (0..5)
            .map(|_| {
                let cancel = cancel.clone();
                scope.spawn(move || run(&http(), &mut Never, &cancel, |_| {}))
            })
            .collect();
        thread::sleep(Duration::from_millis(100));
        cancel.cancel();
        for wait in waits {
            assert_eq!(wait.join().unwrap(), Err(Stopped::Interrupted));
        }
    });
}

#[test]
fn a_flag_of_the_callers_own_cancels_too() {
    let server = Loopback::http(|_, _| Next::Close);
    let flag = Arc::new(AtomicBool::new(false));
    let cancel = Cancel::from(flag.clone());
    flag.store(true, Ordering::Relaxed);
    let mut flow = DeviceFlow::new(server.client(), entropy().unwrap());
    assert_eq!(run(&http(), &mut flow, &cancel, |_| {}).unwrap_err(), Stopped::Interrupted);
    assert_eq!(server.connections(), 0);

    let flag = Arc::new(AtomicBool::new(false));
    let cancel = Cancel::from(flag.clone());
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        flag.store(true, Ordering::Relaxed);
    });
    assert_eq!(run(&http(), &mut Never, &cancel, |_| {}), Err(Stopped::Interrupted));
}

#[test]
fn a_machine_that_waits_for_another_drivers_answer_is_left_alone() {
    let server = Loopback::http(loopback::sign_in(&[]));
    let http = http();
    let mut flow = DeviceFlow::new(server.client(), entropy().unwrap());
    let Action::SendRequest(Outgoing { .. }) = flow.next_action(now()) else { panic!() };
    assert!(matches!(run(&http, &mut flow, &Cancel::new(), |_| {}), Err(Stopped::NotOurs)));
    assert_eq!(server.connections(), 0);
}

#[test]
fn many_sign_ins_share_one_client_across_threads() {
    let server = Loopback::http(|asked, wire| match &*asked.target {
        "/device" => loopback::device_answer(wire),
        _ => loopback::token_answer(wire),
    });
    let http = http();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut flow = Skipping::new(DeviceFlow::new(server.client(), entropy().unwrap()));
                assert!(run(&http, &mut flow, &Cancel::new(), |_| {}).is_ok());
            });
        }
    });
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
#[test]
fn d01_a_wait_to_the_end_of_time_overflows_nothing_and_causes_one_event() {
    let (cancel, mut events) = (Cancel::new(), 0);
    let remote = cancel.clone();
    let (waits, first_wait) = mpsc::channel();
    thread::spawn(move || {
        first_wait.recv().unwrap();
        thread::sleep(Duration::from_millis(150));
        remote.cancel();
    });
    let count = |_| {
        events += 1;
        let _ = waits.send(());
    };
    assert_eq!(run(&http(), &mut Never, &cancel, count).unwrap_err(), Stopped::Interrupted);
    assert_eq!(events, 1);
}
