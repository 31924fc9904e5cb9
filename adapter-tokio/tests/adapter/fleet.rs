//! A fleet on tokio, over a transport without sockets and a clock without waits: how many requests, to whom, when; and how it
//! stops.

use crate::adapter::{
    Answer, Client, DeviceFlow, Failure, Fleet, FleetError, FleetEvent, FleetEvents, FleetMeasure, Provider, Request,
    Stopped, Transport, TransportError, TransportErrorKind,
};
use device_flow_testkit::crowd::{self, Crowd, Manners};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const MANNERS: Manners = Manners { interval: 5, pending: 2, lifetime: 900 };

fn client() -> Arc<Client> {
    static CLIENT: LazyLock<Arc<Client>> = LazyLock::new(|| {
        let provider = Provider::endpoints("https://as.example/device", "https://as.example/token");
        Arc::new(Client::builder(provider, "crowd").build().unwrap())
    });
    CLIENT.clone()
}

/// The server as a transport, ten milliseconds away.
#[derive(Clone)]
struct Wire(Arc<Seen>);

struct Seen {
    server: Crowd,
    /// What happens to the nth request before the server sees it.
    fate: fn(usize) -> Fate,
    sent: AtomicUsize,
    in_flight: AtomicUsize,
    most: AtomicUsize,
    /// When the last answer about each device code arrived.
    arrived: Mutex<BTreeMap<String, Instant>>,
}

enum Fate {
    Arrives,
    Fails,
    Hangs,
    Panics,
    PanicsAtOnce,
}

impl Wire {
    fn new(manners: Manners, fate: fn(usize) -> Fate) -> Self {
        let server = Crowd::new(manners);
        Self(Arc::new(Seen {
            server,
            fate,
            sent: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            arrived: Mutex::default(),
        }))
    }
}

impl Wire {
    /// Rules 1 and 2, to the millisecond: at most one request is in flight for a code, so that the answer which arrived last is
    /// the one that counts.
    fn is_never_early(&self, code: Option<&str>) {
        let interval = Duration::from_secs(self.0.server.manners().interval);
        if let Some(arrived) = code.and_then(|code| self.0.arrived.lock().unwrap().get(code).copied()) {
            assert!(arrived.elapsed() >= interval, "a poll {:?} after the last answer", arrived.elapsed());
        }
    }

    async fn answered(&self, request: &Request, number: usize) -> Result<Answer, TransportError> {
        match (self.0.fate)(number) {
            Fate::Arrives => {
                let target = request.url().trim_start_matches("https://as.example");
                let (status, body) = self.0.server.answer(target, request.body());
                Ok(Answer::new(status, body.into_bytes()))
            }
            Fate::Fails => Err(TransportError::new(TransportErrorKind::Closed)),
            Fate::Hangs => std::future::pending().await,
            Fate::Panics | Fate::PanicsAtOnce => panic!("as the test wants it"),
        }
    }
}

impl Transport for Wire {
    fn send(&self, request: Request) -> impl Future<Output = Result<Answer, TransportError>> + Send {
        let number = self.0.sent.fetch_add(1, Ordering::SeqCst);
        // Before there is a future.
        assert!(!matches!((self.0.fate)(number), Fate::PanicsAtOnce), "as the test wants it");
        async move {
            let seen = &self.0;
            let code = crowd::device_code(request.body());
            self.is_never_early(code.as_deref());
            let in_flight = seen.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most.fetch_max(in_flight, Ordering::SeqCst);
            sleep(Duration::from_millis(5)).await;
            let answer = self.answered(&request, number).await;
            sleep(Duration::from_millis(5)).await;
            seen.in_flight.fetch_sub(1, Ordering::SeqCst);
            let issued = || {
                serde_json::from_slice::<Value>(answer.as_ref().ok()?.as_response().body()).ok()?["device_code"]
                    .as_str()
                    .map(str::to_owned)
            };
            if let Some(code) = code.or_else(issued) {
                seen.arrived.lock().unwrap().insert(code, Instant::now());
            }
            answer
        }
    }
}

/// Reads events until the fleet has ended: whose codes were shown, who is signed in, who is not.
async fn until_the_end(events: &mut FleetEvents<u32>) -> (BTreeSet<u32>, BTreeSet<u32>, Vec<(u32, Stopped)>) {
    let (mut shown, mut granted, mut failed) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    while let Some(event) = events.next().await {
        match event {
            FleetEvent::ShowCode { key, .. } => assert!(shown.insert(key), "{key}: shown twice"),
            FleetEvent::Done { key, outcome: Ok(_) } => assert!(granted.insert(key), "{key}: done twice"),
            FleetEvent::Done { key, outcome: Err(stopped) } => failed.push((key, stopped)),
            _ => {}
        }
    }
    (shown, granted, failed)
}

// Judged where the polls arrive.
#[tokio::test(start_paused = true)]
async fn a_crowd_on_few_requests_is_never_early_and_nobody_is_forgotten() {
    for (fate, failures) in [
        ((|_| Fate::Arrives) as fn(usize) -> Fate, false),
        (|n| if n % 10 == 7 { Fate::Fails } else { Fate::Arrives }, true),
    ] {
        let wire = Wire::new(MANNERS, fate);
        let measures = Arc::new(Mutex::new(Vec::new()));
        let seen = measures.clone();
        let (fleet, mut events) = Fleet::builder(wire.clone())
            .max_in_flight(8)
            .on_measure(move |what| seen.lock().unwrap().push(what))
            .spawn();
        for key in 0..800 {
            fleet.start(key, client()).await.unwrap();
        }
        assert!(matches!(fleet.start(7, client()).await, Err(FleetError::KeyTaken)));
        drop(fleet);
        let (shown, granted, failed) = until_the_end(&mut events).await;
        assert_eq!((shown.len(), granted.len(), failed), (800, 800, vec![]));
        let report = wire.0.server.report();
        assert_eq!(
            (report.codes, report.tokens, report.early, report.early_first, report.after_success),
            (800, 800, 0, 0, 0)
        );
        assert_eq!((wire.0.most.load(Ordering::SeqCst), wire.0.in_flight.load(Ordering::SeqCst)), (8, 0));

        // What was measured adds up.
        let measures = measures.lock().unwrap();
        let count = |is: fn(&FleetMeasure) -> bool| measures.iter().filter(|what| is(what)).count();
        let sent = count(|what| matches!(what, FleetMeasure::Sent { .. }));
        assert_eq!(sent, wire.0.sent.load(Ordering::SeqCst));
        assert_eq!(count(|what| matches!(what, FleetMeasure::Landed { .. })), sent);
        assert_eq!(count(|what| *what == FleetMeasure::CodeShown), 800);
        assert_eq!(count(|what| *what == FleetMeasure::Granted), 800);
        assert_eq!(count(|what| *what == FleetMeasure::Pending), 1_600);
        assert_eq!(count(|what| *what == FleetMeasure::SetBack) > 0, failures);
        assert_eq!(
            count(|what| *what == FleetMeasure::SetBack),
            count(|what| matches!(what, FleetMeasure::Landed { answered: false, .. }))
        );
    }
}

/// A panic of the transport costs a request, one of the owner's counters nothing.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_after_a_panic() {
    let fate = |n| match n {
        0..3 => Fate::Panics,
        3..6 => Fate::PanicsAtOnce,
        _ => Fate::Arrives,
    };
    let wire = Wire::new(MANNERS, fate);
    let measure = |what| assert!(matches!(what, FleetMeasure::CodeShown), "as the test wants it");
    let (fleet, mut events) = Fleet::builder(wire.clone()).max_in_flight(2).on_measure(measure).spawn();
    for key in 0..10 {
        fleet.start(key, client()).await.unwrap();
    }
    drop(fleet);
    let (shown, granted, failed) = until_the_end(&mut events).await;
    assert_eq!((shown.len(), granted.len(), failed), (10, 10, vec![]));
}

#[tokio::test(start_paused = true)]
async fn those_that_were_cancelled_before_they_began_make_room() {
    let wire = Wire::new(MANNERS, |n| if n < 2 { Fate::Hangs } else { Fate::Arrives });
    let (fleet, mut events) = Fleet::builder(wire.clone()).max_in_flight(2).spawn();
    for key in 0..1_024 + 2 {
        fleet.start(key, client()).await.unwrap();
        tokio::task::yield_now().await;
    }
    let waiting = async { fleet.start(9_999, client()).await.unwrap() };
    let cancelling = async {
        sleep(Duration::from_secs(1)).await;
        for key in 0..1_024 + 2 {
            assert!(fleet.cancel(&key) && !fleet.cancel(&key));
        }
        // All are free again.
        assert_eq!((fleet.stats().sign_ins, fleet.stats().starting), (0, 0));
    };
    timeout(Duration::from_secs(2), async { tokio::join!(waiting, cancelling) }).await.unwrap();
    for key in 0..1_024 + 2 {
        let event = events.next().await;
        let is_it = |key: u32| matches!(&event, Some(FleetEvent::Done { key: of, outcome: Err(Stopped::Failed(Failure::Cancelled)) }) if *of == key);
        assert!(is_it(key), "{key}: {event:?}");
    }
    fleet.start(0, client()).await.unwrap();
    assert_eq!(fleet.stats().sign_ins, 2);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_given_up_or_takes_too_long_loses_no_answer_that_has_come() {
    for given_up in [true, false] {
        // Two codes; then a poll that hangs, and one that brings a token.
        let wire = Wire::new(Manners { pending: 0, ..MANNERS }, |n| if n == 2 { Fate::Hangs } else { Fate::Arrives });
        let (fleet, mut events) = Fleet::builder(wire.clone()).max_in_flight(4).spawn();
        for key in 0..2 {
            fleet.start(key, client()).await.unwrap();
        }
        while wire.0.sent.load(Ordering::SeqCst) < 4 {
            sleep(Duration::from_millis(1)).await;
        }
        if given_up {
            assert!(timeout(Duration::from_secs(1), fleet.drain_flows(Duration::MAX)).await.is_err());
            drop(fleet);
        } else {
            let start = Instant::now();
            let left = fleet.drain_flows(Duration::from_secs(1)).await;
            assert_eq!((left.len(), start.elapsed()), (1, Duration::from_secs(1)));
            assert!(matches!(fleet.start(5, client()).await, Err(FleetError::Ended)));
        }
        let (mut codes, mut tokens) = (0, 0);
        // The worker whose request hangs holds the events open.
        while let Ok(Some(event)) = timeout(Duration::from_secs(60), events.next()).await {
            match event {
                FleetEvent::ShowCode { .. } => codes += 1,
                FleetEvent::Done { outcome, .. } => tokens += u32::from(outcome.is_ok()),
                _ => {}
            }
        }
        assert_eq!((codes, tokens), (2, 1), "{given_up}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_fleet_ends_with_its_last_sign_in_and_flows_of_this_process_go_on_in_another() {
    let wire = Wire::new(MANNERS, |_| Fate::Arrives);
    let (fleet, mut events) = Fleet::builder(wire.clone()).spawn();
    fleet.start(0, client()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(fleet.prompt(&0).is_some_and(|prompt| prompt.user_code() == "00000000") && fleet.prompt(&1).is_none());
    let flows = fleet.drain_flows(Duration::from_secs(1)).await;
    assert!(matches!(events.next().await, Some(FleetEvent::ShowCode { key: 0, .. })));
    assert!(events.next().await.is_none());

    let (fleet, mut events) = Fleet::builder(wire.clone()).spawn();
    for (key, flow) in flows {
        fleet.restore_flow(key, flow).unwrap();
    }
    fleet.restore_flow(1, DeviceFlow::new(client(), [7; 32])).unwrap();
    fleet.close();
    assert!(matches!(fleet.start(2, client()).await, Err(FleetError::Ended)));
    // The handle is still there.
    let (shown, granted, failed) = until_the_end(&mut events).await;
    assert_eq!((shown.len(), granted.len(), failed), (1, 2, vec![]));
    drop(fleet);
}

#[tokio::test(start_paused = true)]
async fn who_starts_waits_while_a_thousand_others_have_sent_nothing() {
    let wire = Wire::new(MANNERS, |_| Fate::Hangs);
    let (fleet, events) = Fleet::builder(wire.clone()).max_in_flight(2).spawn();
    for key in 0..1_024 + 2 {
        timeout(Duration::from_secs(1), fleet.start(key, client())).await.unwrap().unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!((fleet.stats().in_flight, fleet.stats().starting, fleet.stats().sign_ins), (2, 1_024, 1_026));
    assert!(timeout(Duration::from_secs(1), fleet.start(9_999, client())).await.is_err());
    // Nobody listens any more: who waits learns of it, and the workers stop.
    let waiting = fleet.start(9_999, client());
    drop(events);
    assert!(matches!(timeout(Duration::from_secs(1), waiting).await.unwrap(), Err(FleetError::Ended)));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_sign_in_ends_at_once_and_the_others_go_on() {
    let wire = Wire::new(Manners { pending: u32::MAX, lifetime: 60, ..MANNERS }, |_| Fate::Arrives);
    let (fleet, mut events) = Fleet::builder(wire.clone()).max_in_flight(2).spawn();
    for key in 0..10 {
        fleet.start(key, client()).await.unwrap();
    }
    let start = Instant::now();
    sleep(Duration::from_secs(12)).await;
    assert!(fleet.cancel(&3) && !fleet.cancel(&77));
    sleep(Duration::from_millis(1)).await;
    let mut cancelled = None;
    while cancelled.is_none() {
        if let FleetEvent::Done { key, outcome } = events.next().await.unwrap() {
            cancelled = Some((key, outcome.unwrap_err()));
        }
    }
    assert_eq!(cancelled, Some((3, Stopped::Failed(Failure::Cancelled))));
    assert!(start.elapsed() < Duration::from_secs(13));
    assert!(!fleet.cancel(&3));
    drop(fleet);
    let (_, _, failed) = until_the_end(&mut events).await;
    assert!(
        failed.len() == 9 && failed.iter().all(|(_, stopped)| matches!(stopped, Stopped::Failed(Failure::Expired(_))))
    );
    // The last polls came within the life of the codes.
    assert!(start.elapsed() < Duration::from_secs(62), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn when_nobody_listens_everything_stops() {
    let wire = Wire::new(MANNERS, |_| Fate::Arrives);
    let (fleet, events) = Fleet::builder(wire.clone()).spawn();
    for key in 0..100 {
        fleet.start(key, client()).await.unwrap();
    }
    sleep(Duration::from_secs(7)).await;
    drop(events);
    sleep(Duration::from_secs(1)).await;
    let sent = wire.0.sent.load(Ordering::SeqCst);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(wire.0.sent.load(Ordering::SeqCst), sent);
    // The workers, which held it, are gone.
    assert_eq!(Arc::strong_count(&wire.0), 1);
    assert!(matches!(fleet.start(100, client()).await, Err(FleetError::Ended)));
}

/// In the process that goes on, the codes are not shown again.
#[cfg(feature = "serde")]
#[tokio::test(start_paused = true)]
async fn what_is_drained_goes_on_in_another_process_and_nobody_is_early_lost_or_signed_in_twice() {
    for (seconds, once) in [(0, true), (3, false), (5, true), (7, true), (11, false), (14, true)] {
        let wire = Wire::new(MANNERS, |_| Fate::Arrives);
        let builder = || {
            let builder = Fleet::builder(wire.clone()).max_in_flight(8);
            if once { builder.show_once() } else { builder }
        };
        let (fleet, mut events) = builder().spawn();
        for key in 0..200 {
            fleet.start(key, client()).await.unwrap();
        }
        sleep(Duration::from_secs(seconds)).await;
        let stored = fleet.drain(Duration::from_secs(30)).await;
        assert_eq!(wire.0.in_flight.load(Ordering::SeqCst), 0);
        let (shown, granted, failed) = until_the_end(&mut events).await;
        assert_eq!((granted.len() + stored.len(), failed), (200, vec![]), "{seconds}");

        sleep(Duration::from_secs(2)).await;
        let (fleet, mut events) = builder().spawn();
        let mut begun_anew = 0;
        for (key, snapshot) in stored {
            match snapshot {
                Some(snapshot) => {
                    let stored = serde_json::to_string(&snapshot).unwrap();
                    let snapshot = serde_json::from_str(&stored).unwrap();
                    fleet.restore(key, client(), snapshot, Duration::from_secs(2)).unwrap();
                }
                None => {
                    begun_anew += 1;
                    fleet.start(key, client()).await.unwrap();
                }
            }
        }
        drop(fleet);
        let (shown_again, granted_later, failed) = until_the_end(&mut events).await;
        assert!(granted.is_disjoint(&granted_later) && failed.is_empty(), "{seconds}: {failed:?}");
        assert_eq!(granted.len() + granted_later.len(), 200, "{seconds}");
        assert_eq!(shown.union(&shown_again).count(), 200, "{seconds}");
        assert!(!once || shown.is_disjoint(&shown_again), "{seconds}: shown again");
        let report = wire.0.server.report();
        assert_eq!(
            (report.codes, report.tokens, report.early, report.after_success),
            (200, 200, 0, 0),
            "{seconds}, {begun_anew} anew"
        );
    }
}

/// The example of a service, as a process.
#[cfg(all(unix, feature = "serde"))]
mod service {
    use super::*;
    use device_flow_testkit::crowd::Report;
    use rustix::process::{Pid, Signal, kill_process};
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpStream;
    use std::path::{Path, PathBuf};
    use std::process::{Child, ChildStdout, Command, Stdio};

    const COUNT: usize = 300;

    struct Service {
        process: Child,
        lines: BufReader<ChildStdout>,
        metrics: String,
    }

    impl Service {
        fn start(program: &Path, server: &str, folder: &Path) -> Self {
            let mut command = Command::new(program);
            command.args([&format!("http://{server}/device"), &format!("http://{server}/token"), "crowd"]);
            command.arg(COUNT.to_string()).arg(folder).stdout(Stdio::piped());
            let mut process = command.spawn().unwrap();
            let lines = BufReader::new(process.stdout.take().unwrap());
            let mut service = Self { process, lines, metrics: String::new() };
            service.metrics = service.line().trim_start_matches("metrics: http://").to_owned();
            service
        }

        fn line(&mut self) -> String {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it has ended");
            line.trim().to_owned()
        }

        /// How many are signed in and how many wait, as it says when it has stored them.
        fn stored(&mut self) -> (usize, usize) {
            loop {
                let line = self.line();
                if let Some((signed_in, waiting)) = line.split_once(" are signed in, ") {
                    return (signed_in.parse().unwrap(), waiting.split(' ').next().unwrap().parse().unwrap());
                }
            }
        }

        /// Whether it has counted an answer already.
        fn shows_its_metrics(&self) -> bool {
            let scraped = self.scrape();
            assert!(scraped.starts_with("HTTP/1.1 200 OK\r\n") && scraped.ends_with("# EOF\n"), "{scraped}");
            let metrics =
                ["device_flow_late_seconds_bucket{le=\"0.001\"}", "device_flow_sign_ins ", "device_flow_in_flight "];
            assert!(metrics.iter().all(|metric| scraped.contains(metric)), "{scraped}");
            scraped.contains(r#"device_flow_answers_total{kind="authorization_pending"}"#)
        }

        fn scrape(&self) -> String {
            let (address, path) = self.metrics.split_once('/').unwrap();
            let mut stream = TcpStream::connect(address).unwrap();
            // At once: it answers the first bytes that it reads, and closes.
            stream.write_all(format!("GET /{path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        }
    }

    impl Drop for Service {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    /// `cargo test` builds it before it runs any test.
    fn program() -> Option<PathBuf> {
        let program =
            std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("fleet_service");
        if !program.exists() {
            println!("SKIPPED: the example fleet_service is not built");
            return None;
        }
        Some(program)
    }

    // Stopped while sign-ins begin, after the first polls, and after the first tokens; and killed as soon as it has stored
    // what waits.
    #[test]
    fn a_service_that_is_drained_and_killed_goes_on_and_nothing_is_lost() {
        let Some(program) = program() else { return };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = Crowd::new(Manners { interval: 1, pending: 6, lifetime: 900 });
        let address = runtime.block_on(async { server.listen() }).unwrap().to_string();
        let folder = tempfile::tempdir().unwrap();
        let moments: [fn(&Report) -> bool; 3] =
            [|seen| seen.codes >= 100, |seen| seen.polls >= 200, |seen| seen.tokens >= 50];
        for (number, moment) in moments.into_iter().enumerate() {
            let mut service = Service::start(&program, &address, folder.path());
            while !moment(&server.report()) {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Here it has seconds of work before it.
            while number == 1 && !service.shows_its_metrics() {}
            kill_process(Pid::from_child(&service.process), Signal::TERM).unwrap();
            let (signed_in, waiting) = service.stored();
            service.process.kill().unwrap();
            service.process.wait().unwrap();
            let seen = server.report();
            assert_eq!((signed_in, signed_in + waiting), (seen.tokens as usize, seen.codes as usize));
        }
        let mut service = Service::start(&program, &address, folder.path());
        assert_eq!(service.stored(), (COUNT, 0));
        let seen = server.report();
        let lost = COUNT - seen.tokens as usize;
        assert_eq!((lost, seen.codes as usize, seen.early, seen.early_first), (0, COUNT, 0, 0));
        assert_eq!(seen.after_success, 0);
        let lines = std::fs::read_to_string(folder.path().join("signed-in")).unwrap();
        assert_eq!(lines.lines().collect::<BTreeSet<_>>().len(), COUNT);
    }
}
