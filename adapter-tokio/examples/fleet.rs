//! A crowd signs in at once: a fleet, one task for each sign-in, and oauth2-rs, against the same server on loopback, each in a
//! process of its own. Prints a line for each.
//!
//! ```sh
//! cargo run --release -p device-flow-tokio --example fleet -- 50000
//! cargo run --release -p device-flow-tokio --example fleet -- 10000 --within 0 --only fleet
//! ```
//!
//! COUNT sign-ins are started within `--within` seconds (5; 0: all at once); the interval is `--interval` seconds (5), and each
//! code is approved after `--pending` polls (2). `--only` names one client: fleet, tasks, oauth2-rs. `again` counts polls for a
//! token that was sent before and has not arrived. Without COUNT it prints the figures of 10,000 at once, 50,000 and 100,000 in
//! 5 s, of a million that wait, and what one core carries (needs `taskset`); that takes some ten minutes.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "it measures, and ends when it cannot")]

use device_flow_testkit::crowd::{Crowd, Manners, Report};
use device_flow_tokio::{
    Action, Answer, Client, DeviceFlow, Event, Fleet, FleetAction, FleetEvent, FleetMeasure, Http, Machine as _,
    Provider, Request, Response, Timestamp, Transport, TransportError, entropy, now, run,
};
use oauth2::basic::BasicClient;
use oauth2::{ClientId, DeviceAuthorizationUrl, StandardDeviceAuthorizationResponse, TokenUrl};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

/// The usual number of seconds between two polls.
const INTERVAL: u64 = 5;

#[derive(Clone, Copy)]
struct Options {
    count: u64,
    within: f64,
    interval: u64,
    pending: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, usual: f64| named(name).map_or(Ok(usual), |text| text.parse::<f64>());
    let options = Options {
        count: words.first().and_then(|word| word.parse().ok()).unwrap_or(50_000),
        within: number("--within", 5.0)?,
        interval: number("--interval", INTERVAL as f64)? as u64,
        pending: number("--pending", 2.0)? as u32,
    };
    if words.iter().any(|word| word == "--serve") {
        return serve(options);
    }
    if let Some(kind) = named("--client") {
        let address = named("--at").ok_or("--at is missing")?;
        return client(kind, address, options);
    }
    let only = |kind: &&str| named("--only").is_none_or(|only| only == kind);
    if words.first().is_some_and(|word| word.parse::<u64>().is_ok()) {
        return compare(options, only);
    }
    for (count, within) in [(10_000, 0.0), (50_000, 5.0), (100_000, 5.0)] {
        compare(Options { count, within, ..options }, only)?;
    }
    waiting(1_000_000)?;
    one_core(options)
}

/// A table with a line for each client.
fn compare(options: Options, only: impl Fn(&&str) -> bool) -> Result<(), Box<dyn Error>> {
    let Options { count, within, interval, pending } = options;
    println!("{count} sign-ins started within {within} s, an interval of {interval} s, {} polls each", pending + 1);
    println!(
        "{:<10} {:>9} {:>8} {:>9} {:>6} {:>6} {:>14} {:>14} {:>9} {:>9} {:>11} {:>8}",
        "client",
        "signed in",
        "failed",
        "repeated",
        "early",
        "again",
        "late p50/p99",
        "codes after",
        "sockets",
        "B/flow",
        "peak MB",
        "us/req",
    );
    for kind in ["fleet", "tasks", "oauth2-rs", "requests"].into_iter().filter(only) {
        let (outcome, report) = one(kind, options, None)?;
        let late = outcome.late.unwrap_or(report.late);
        println!(
            "{kind:<10} {:>9} {:>8} {:>9} {:>6} {:>6} {:>8}/{:<5} {:>12.1} s {:>9} {:>9} {:>11} {:>8.1}",
            outcome.signed_in,
            count - outcome.signed_in,
            outcome.repeated,
            report.early,
            report.after_success,
            late[0],
            late[1],
            outcome.codes_after,
            report.connections,
            outcome.bytes_per_flow,
            outcome.peak >> 20,
            outcome.processor_time * 1e6 / (report.codes + report.polls) as f64,
        );
    }
    Ok(())
}

/// How many polls a second a fleet sends on one core, in time.
fn one_core(options: Options) -> Result<(), Box<dyn Error>> {
    let mut most = (0, 0, 0);
    for count in [25_000, 50_000, 75_000, 100_000, 125_000, 150_000] {
        let (outcome, report) = one("fleet", Options { count, within: 5.0, ..options }, Some("0"))?;
        let [_, p99] = outcome.late.unwrap_or_default();
        if outcome.signed_in < count || p99 > 100 {
            break;
        }
        most = (count / options.interval, p99, report.early);
    }
    let (rate, late, early) = most;
    println!("one core carries {rate} polls a second: 99 % of them at most {late} ms late, {early} early");
    for interval in [5_u64, 60] {
        let polls = 1_000_000 / interval;
        println!(
            "a million at an interval of {interval} s: {polls} polls a second, {} cores",
            polls.div_ceil(rate.max(1))
        );
    }
    Ok(())
}

/// The memory of sign-ins that wait, and the work of a round of polls, without a transport.
fn waiting(count: u64) -> Result<(), Box<dyn Error>> {
    let client = our_client("127.0.0.1:9")?;
    let answer = Crowd::new(Manners { interval: INTERVAL, pending: 0, lifetime: 3_600 }).answer("/device", b"").1;
    let (before, mut fleet) = (memory("VmRSS"), device_flow_core::Fleet::new(64));
    for key in 0..count {
        fleet.start(key, DeviceFlow::new(client.clone(), entropy()?).show_once()).map_err(|_| "a key is taken")?;
    }
    let mut spent = Vec::new();
    for (round, (status, body)) in
        [(200, &*answer), (400, r#"{"error":"authorization_pending"}"#)].into_iter().enumerate()
    {
        let (now, start) = (Timestamp::from_millis(round as u64 * 6_000), processor_time());
        loop {
            match fleet.next_action(now) {
                FleetAction::SendRequest { ticket, .. } => {
                    fleet.response(ticket, Response::new(status, body.as_bytes()), now)?;
                }
                FleetAction::Wait { .. } => break,
                _ => {}
            }
        }
        spent.push(format!("{:.1} us", (processor_time() - start) * 1e6 / count as f64));
    }
    assert_eq!((fleet.waiting() as u64, fleet.in_flight()), (count, 0));
    let used = memory("VmRSS").saturating_sub(before);
    println!(
        "{count} sign-ins wait, with device codes of 100 bytes: {} MB, {} bytes each; of the processor a start and a poll \
         take {}",
        used / 1_000_000,
        used / count,
        spent.join(" and ")
    );
    Ok(())
}

/// One client in a process of its own, and a server of its own; the client on one core alone, if one is named.
fn one(kind: &str, options: Options, core: Option<&str>) -> Result<(Outcome, Report), Box<dyn Error>> {
    let Options { count, within, interval, pending } = options;
    let words =
        [("--within", within.to_string()), ("--interval", interval.to_string()), ("--pending", pending.to_string())];
    let mut words: Vec<String> = words.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
    words.insert(0, count.to_string());
    let mut server = Process::start(&words, &["--serve"], None)?;
    let address = server.line()?;
    let mut client = Process::start(&words, &["--client", kind, "--at", &address], core)?;
    let outcome = serde_json::from_str(&client.line()?)?;
    // The server tells what it has seen when its stdin ends.
    drop(server.child.stdin.take());
    Ok((outcome, serde_json::from_str(&server.line()?)?))
}

/// This program once more, in a process that does not outlive this one.
struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(words: &[String], more: &[&str], core: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let program = std::env::current_exe()?;
        let mut command = match core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", core]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let mut child = command.args(words).args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Self { child, stdout })
    }

    fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::main]
async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let manners = Manners { interval: options.interval, pending: options.pending, lifetime: 3_600 };
    let server = Crowd::new(manners);
    println!("{}", server.listen()?);
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    println!("{}", serde_json::to_string(&server.report())?);
    Ok(())
}

/// What a client tells of itself.
#[derive(Default, Serialize, Deserialize)]
struct Outcome {
    signed_in: u64,
    /// Requests that failed and were sent again.
    repeated: u64,
    /// In milliseconds, for half of the polls at most and for 99 % at most; `None` for a client that does not know when its polls
    /// were due.
    late: Option<[u64; 2]>,
    /// When the last code was there, in seconds.
    codes_after: f64,
    bytes_per_flow: u64,
    /// The most memory, in bytes.
    peak: u64,
    /// In seconds.
    processor_time: f64,
}

/// What all sign-ins of a client count.
#[derive(Default)]
struct Counts {
    codes: AtomicU64,
    repeated: AtomicU64,
    signed_in: AtomicU64,
    failed: AtomicU64,
    late: Mutex<Vec<u64>>,
}

impl Counts {
    fn is_late(&self, by: Duration) {
        self.late.lock().unwrap().push(u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
    }

    fn ended(&self, granted: bool) {
        let counter = if granted { &self.signed_in } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::main]
async fn client(kind: &str, address: &str, options: Options) -> Result<(), Box<dyn Error>> {
    let before = memory("VmRSS");
    let counts = Arc::new(Counts::default());
    let watching = tokio::spawn(watch(kind.to_owned(), counts.clone(), options.count, before));
    match kind {
        "fleet" => fleet(address, options, &counts).await?,
        "tasks" => tasks(address, options, &counts).await?,
        "requests" => requests(address, options, &counts).await?,
        _ => oauth2_rs(address, options, &counts).await?,
    }
    let (codes_after, bytes_per_flow) = watching.await?;
    let mut late = std::mem::take(&mut *counts.late.lock().unwrap());
    late.sort_unstable();
    let at = |part: usize| late.get((late.len() * part / 100).min(late.len() - 1)).copied();
    let outcome = Outcome {
        signed_in: get(&counts.signed_in),
        repeated: get(&counts.repeated),
        late: (!late.is_empty()).then(|| [at(50).unwrap_or_default(), at(99).unwrap_or_default()]),
        codes_after,
        bytes_per_flow,
        peak: memory("VmHWM"),
        processor_time: processor_time(),
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

/// Shows progress until all have ended; when the last code was there, and the memory for each sign-in at that time.
async fn watch(kind: String, counts: Arc<Counts>, all: u64, before: u64) -> (f64, u64) {
    let (start, mut codes_after, mut bytes) = (Instant::now(), 0.0, 0);
    let is_terminal = std::io::stderr().is_terminal();
    for round in 0_u64.. {
        let (codes, signed_in, failed) = (get(&counts.codes), get(&counts.signed_in), get(&counts.failed));
        if codes < all {
            codes_after = start.elapsed().as_secs_f64();
        } else if bytes == 0 {
            bytes = memory("VmRSS").saturating_sub(before) / all;
        }
        if is_terminal && round % 10 == 0 {
            eprint!("\r{kind}: {codes} codes, {signed_in} signed in, {failed} failed \x1b[K");
        }
        if signed_in + failed >= all {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    if is_terminal {
        eprint!("\r\x1b[K");
    }
    (codes_after, bytes)
}

/// Waits until it is the turn of this sign-in to start.
async fn turn(number: u64, start: Instant, options: Options) {
    sleep_until(start + Duration::from_secs_f64(options.within * number as f64 / options.count as f64)).await;
}

fn our_client(address: &str) -> Result<Arc<Client>, Box<dyn Error>> {
    let provider = Provider::endpoints(format!("http://{address}/device"), format!("http://{address}/token"));
    Ok(Arc::new(Client::builder(provider, "crowd").allow_http_loopback().build()?))
}

async fn fleet(address: &str, options: Options, counts: &Arc<Counts>) -> Result<(), Box<dyn Error>> {
    let client = our_client(address)?;
    let measured = counts.clone();
    let measure = move |what| match what {
        FleetMeasure::Sent { late: Some(late) } => measured.is_late(late),
        FleetMeasure::CodeShown => _ = measured.codes.fetch_add(1, Ordering::Relaxed),
        FleetMeasure::SetBack => _ = measured.repeated.fetch_add(1, Ordering::Relaxed),
        _ => {}
    };
    let (fleet, mut events) = Fleet::builder(Http::builder().build()?).show_once().on_measure(measure).spawn();
    let starting = tokio::spawn(async move {
        let start = Instant::now();
        for number in 0..options.count {
            turn(number, start, options).await;
            if let Err(error) = fleet.start(number, client.clone()).await {
                eprintln!("{error}");
            }
        }
    });
    while let Some(event) = events.next().await {
        if let FleetEvent::Done { outcome, .. } = event {
            counts.ended(outcome.is_ok());
        }
    }
    Ok(starting.await?)
}

/// Counts what a transport does for one sign-in.
struct Counted {
    http: Http,
    counts: Arc<Counts>,
    due: Mutex<Option<Timestamp>>,
}

impl Transport for Counted {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        if let Some(due) = self.due.lock().unwrap().take() {
            // What the server counts as early all the same follows a poll that was given up and that it read later.
            assert!(now() >= due, "a poll leaves early");
            self.counts.is_late(now().saturating_since(due));
        }
        let answer = self.http.send(request).await;
        if answer.is_err() {
            self.counts.repeated.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }
}

async fn tasks(address: &str, options: Options, counts: &Arc<Counts>) -> Result<(), Box<dyn Error>> {
    let (client, http, start) = (our_client(address)?, Http::builder().build()?, Instant::now());
    let mut all = tokio::task::JoinSet::new();
    for number in 0..options.count {
        turn(number, start, options).await;
        let transport = Counted { http: http.clone(), counts: counts.clone(), due: Mutex::default() };
        let mut flow = DeviceFlow::new(client.clone(), entropy()?);
        all.spawn(async move {
            let outcome = run(&transport, &mut flow, |event| match event {
                Event::ShowCode(_) => _ = transport.counts.codes.fetch_add(1, Ordering::Relaxed),
                Event::Waiting { until, .. } => *transport.due.lock().unwrap() = Some(until),
                _ => {}
            });
            let granted = outcome.await.is_ok();
            transport.counts.ended(granted);
        });
    }
    while all.join_next().await.is_some() {}
    Ok(())
}

/// What the others cannot go below: as many requests, sent at the same times, through the same HTTP client and with as many in
/// flight as the fleet has. Nobody looks at the answers.
async fn requests(address: &str, options: Options, counts: &Arc<Counts>) -> Result<(), Box<dyn Error>> {
    let (client, http, places) = (our_client(address)?, Http::builder().build()?, Arc::new(Semaphore::new(64)));
    let (start, mut all) = (Instant::now(), tokio::task::JoinSet::new());
    let rounds = u64::from(options.pending) + 1;
    for round in 0..=rounds {
        let start = start + Duration::from_secs(round * options.interval);
        for number in 0..options.count {
            turn(number, start, options).await;
            let place = places.clone().acquire_owned().await?;
            let mut flow = DeviceFlow::new(client.clone(), entropy()?);
            let Action::SendRequest(outgoing) = flow.next_action(now()) else { return Err("no request".into()) };
            let (http, counts) = (http.clone(), counts.clone());
            all.spawn(async move {
                let answer = http.send(outgoing.request).await;
                drop(place);
                match round {
                    0 => _ = counts.codes.fetch_add(1, Ordering::Relaxed),
                    last if last == rounds => counts.ended(answer.is_ok()),
                    _ => {}
                }
            });
        }
    }
    while all.join_next().await.is_some() {}
    Ok(())
}

/// Its HTTP client is the same reqwest as ours, set up as its documentation says.
async fn oauth2_rs(address: &str, options: Options, counts: &Arc<Counts>) -> Result<(), Box<dyn Error>> {
    // This build of reqwest has none by itself.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    let client = BasicClient::new(ClientId::new("crowd".to_owned()))
        .set_device_authorization_url(DeviceAuthorizationUrl::new(format!("http://{address}/device"))?)
        .set_token_uri(TokenUrl::new(format!("http://{address}/token"))?);
    let (client, start, mut all) = (Arc::new(client), Instant::now(), tokio::task::JoinSet::new());
    for number in 0..options.count {
        turn(number, start, options).await;
        let (client, http, counts) = (client.clone(), http.clone(), counts.clone());
        all.spawn(async move {
            let send = |request: oauth2::HttpRequest| {
                let http = http.clone();
                async move {
                    let request = reqwest::Request::try_from(request)?;
                    let response = http.execute(request).await?;
                    let mut answer = oauth2::HttpResponse::new(Vec::new());
                    *answer.status_mut() = response.status();
                    *answer.headers_mut() = response.headers().clone();
                    *answer.body_mut() = response.bytes().await?.to_vec();
                    Ok::<_, reqwest::Error>(answer)
                }
            };
            let details = client.exchange_device_code().request_async(&send).await;
            let Ok(details) = details else { return counts.ended(false) };
            counts.codes.fetch_add(1, Ordering::Relaxed);
            let details: StandardDeviceAuthorizationResponse = details;
            let token = client.exchange_device_access_token(&details).request_async(&send, sleep, None).await;
            counts.ended(token.is_ok());
        });
    }
    while all.join_next().await.is_some() {}
    Ok(())
}

/// A line of /proc/self/status, in bytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Of this process, in seconds.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    // Hundredths of a second, in and outside of the system.
    fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
