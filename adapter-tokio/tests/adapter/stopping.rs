//! Stopping on tokio: a future that is dropped anywhere leaves a machine that goes on, and never early.

use crate::accounts::{NOTHING, approved, kept_tokens, request};
use crate::adapter::{
    Action, Cause, Contents, DeviceFlow, Event, Http, Lease, Locked, Machine, MemoryStore, Misuse, Outgoing, Response,
    SignInError, Stopped, Store, StoreError, Ticket, Timestamp, TransportError, TransportErrorKind, WaitReason,
    entropy, now, run,
};
use device_flow_testkit::loopback::{self, Loopback};
use device_flow_testkit::recorder::{Recorder, Step};
use device_flow_testkit::rotating::Rotating;
use device_flow_testkit::scaled::Scaled;
use std::future::Future as _;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

const CODE: &[u8] = br#"{"device_code":"device-code-1-canary","user_code":"AB","verification_uri":"https://as.example/d","expires_in":900,"interval":5}"#;

/// A flow that has its code, without a server.
fn with_code(server: &Loopback) -> DeviceFlow {
    let mut flow = DeviceFlow::new(server.client(), entropy().unwrap());
    let Action::SendRequest(Outgoing { ticket, .. }) = flow.next_action(now()) else { panic!() };
    flow.response(ticket, Response::new(200, CODE), now()).unwrap();
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
    let start = now();
    let mut flow = with_code(&server);
    for slept in [0, 1, 4_000] {
        let _ = tokio::time::timeout(Duration::from_millis(slept), run(&http, &mut flow, |_| {})).await.unwrap_err();
    }
    let end = until(&flow.next_action(now()));
    assert!(end >= start.saturating_add(Duration::from_secs(5)), "{end:?}");

    // Until the last millisecond there is the same wait; then comes the poll.
    let rest = end.saturating_since(now()).saturating_sub(Duration::from_millis(1));
    tokio::time::advance(rest).await;
    assert_eq!(until(&flow.next_action(now())), end);
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
    // Two answers come only when their request has been given up.
    let (given_up, awaited) = mpsc::channel::<()>();
    let awaited = Mutex::new(awaited);
    let server = Loopback::http(move |asked, wire| {
        if matches!(asked.number, 0 | 2) {
            awaited.lock().unwrap().recv().unwrap();
        }
        play(asked, wire)
    });
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let watcher = Arc::clone(&outcomes);
    let http = Http::builder().on_exchange(move |exchange| watcher.lock().unwrap().push(exchange.outcome()));
    let http = http.build().unwrap();
    // On a timeline of its own, so that each wait is seen, however slow the machine is.
    let mut flow = Recorder::new(DeviceFlow::new(server.client(), entropy().unwrap()), &server.url(""));
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
        given_up.send(()).unwrap();
    };
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(runs, 3);
    let abandoned = reasons.iter().filter(|reason| {
        matches!(reason, WaitReason::Backoff { cause: Cause::Transport(TransportErrorKind::Abandoned), .. })
    });
    assert_eq!(abandoned.count(), 2);
    // The watcher hears of them in order.
    let (given_up, outcomes) = (Err(TransportErrorKind::Abandoned), outcomes.lock().unwrap());
    assert_eq!((&outcomes[..3], outcomes.last()), (&[given_up, Ok(200), given_up][..], Some(&Ok(200))));
    assert_eq!(outcomes.len(), server.requests().len());
    let steps = || flow.trace().0.iter();
    assert_eq!(steps().filter(|(_, step)| *step == Step::Fail(TransportErrorKind::Abandoned)).count(), 2);
    let polls: Vec<_> = steps()
        .filter_map(|(at, step)| matches!(step, Step::Send(sent) if sent.target == "/token").then_some(*at))
        .collect();
    assert!(
        polls.len() == server.polls().len() && polls.windows(2).all(|pair| pair[1] - pair[0] >= 1_000),
        "{polls:?}"
    );
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
    assert!(matches!(flow.next_action(now()), Action::SendRequest(_)));
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
    let Action::SendRequest(Outgoing { .. }) = flow.next_action(now()) else { panic!() };
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
                // Half a second, in which each connection is free again.
                let mut flow = Scaled::new(DeviceFlow::new(client, entropy().unwrap()), 2);
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
async fn d01_a_wait_to_the_end_of_time_overflows_nothing_and_causes_one_event() {
    let http = Http::builder().build().unwrap();
    let mut events = 0;
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let _ = tokio::time::timeout(week, run(&http, &mut Never, |_| events += 1)).await.unwrap_err();
    assert_eq!(events, 1);
}

// G05, F09: the new refresh token would be lost, and with it the sign-in.
#[test]
fn g05_a_caller_that_goes_away_does_not_stop_the_refresh() {
    let (server, store) = (Rotating::new(NOTHING), MemoryStore::new());
    let (accounts, request) = (crate::Accounts::new(store.clone()), request(&server));
    approved(&server, &accounts, &request).unwrap();
    let gate = server.close_gate();
    let before = server.requests();
    crate::block_on(async {
        tokio::select! {
            outcome = accounts.0.silent(&request) => panic!("it was not answered: {:?}", outcome.err()),
            () = soon(|| server.requests() > before) => {}
        }
        // The caller went away.
        drop(gate);
        while kept_tokens(&store) == ["RT-canary-1"] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!((kept_tokens(&store), server.refreshes()), (vec!["RT-canary-2".to_owned()], 1));
}

async fn soon(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Counts how often it is looked into.
#[derive(Clone, Default)]
struct Looked {
    inner: MemoryStore,
    loads: Arc<AtomicUsize>,
}

impl Store for Looked {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        let loaded = self.inner.load();
        self.loads.fetch_add(1, Ordering::SeqCst);
        loaded
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        self.inner.lock()
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        self.inner.lease(owner, patience)
    }
}

// F09: one refusal is the outcome of all.
#[test]
fn f09_callers_at_the_same_time_share_a_refusal() {
    let (server, store) = (Rotating::new(NOTHING), Looked::default());
    let (accounts, request) = (crate::Accounts::new(store.clone()), request(&server));
    approved(&server, &accounts, &request).unwrap();
    let gate = server.close_gate();
    server.revoke();
    let before = store.loads.load(Ordering::SeqCst);
    let refusals = crate::block_on(async {
        let ask = || {
            let (accounts, request) = (accounts.0.clone(), request.clone());
            tokio::spawn(async move { accounts.silent(&request).await.unwrap_err().to_string() })
        };
        let asking: Vec<_> = (0..16).map(|_| ask()).collect();
        // All have found that the token has expired, and had the time to join the refresh that is under way.
        soon(|| store.loads.load(Ordering::SeqCst) >= before + 16).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(gate);
        let mut refusals = Vec::new();
        for refusal in asking {
            refusals.push(refusal.await.unwrap());
        }
        refusals
    });
    assert!(refusals.iter().all(|refusal| refusal.starts_with("sign in again: invalid_grant")), "{refusals:?}");
    assert_eq!((server.refreshes(), server.reuses()), (1, 1));
}

// F09: each caller that waits for the store's lock would take a thread, and the holder needs one to give it back.
#[test]
fn f09_more_callers_than_threads_get_their_tokens() {
    let (server, store) = (Rotating::new(NOTHING), MemoryStore::new());
    let accounts = crate::Accounts::new(store);
    approved(&server, &accounts, &request(&server)).unwrap();
    server.set_lifetime(3_600);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        // Each with a client of its own, so that none joins the refresh of another.
        let ask = || {
            let (accounts, request) = (accounts.0.clone(), request(&server));
            tokio::spawn(async move { accounts.silent(&request).await.unwrap() })
        };
        let asking: Vec<_> = (0..20).map(|_| ask()).collect();
        for token in asking {
            assert_eq!(token.await.unwrap().access_token().expose(), "AT-canary-2");
        }
    });
    assert_eq!((server.refreshes(), server.reuses()), (1, 0));
}

#[test]
fn without_a_runtime_accounts_say_so() {
    let accounts = crate::Accounts::new(MemoryStore::new()).0;
    let mut listing = std::pin::pin!(accounts.list());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = listing.as_mut().poll(&mut context) else { panic!() };
    assert!(matches!(error, SignInError::Stopped(Stopped::NoRuntime)), "{error}");
}
