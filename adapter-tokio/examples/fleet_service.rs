//! A service that signs in many devices: stopped and started again, it goes on where it was; Prometheus reads how it does.
//!
//! ```sh
//! cargo run -p device-flow-tokio --features serde --example fleet_service -- \
//!     https://as.example.com/device_authorization https://as.example.com/token my-client-id 1000 FOLDER
//! ```
//!
//! It prints where its metrics are, then every code, and it stops on SIGTERM and Ctrl-C. FOLDER remembers who is signed in, and
//! who was waiting.

#![allow(clippy::wildcard_enum_match_arm, reason = "a later version may tell more")]

use device_flow_tokio::{
    Away, Client, Fleet, FleetEvent, FleetEvents, FleetMeasure, FleetStats, Http, Provider, Snapshot,
};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Which of the devices it is.
type Device = u32;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [device_endpoint, token_endpoint, client_id, count, folder] = &words[..] else {
        return Err("usage: fleet_service DEVICE_ENDPOINT TOKEN_ENDPOINT CLIENT_ID COUNT FOLDER".into());
    };
    let (count, mut journal) = (count.parse()?, Journal::open(Path::new(folder))?);
    let provider = Provider::endpoints(&**device_endpoint, &**token_endpoint);
    let client = Arc::new(Client::builder(provider, &**client_id).allow_http_loopback().build()?);

    let stopped = stopped()?;
    let (metrics, measure) = metrics();
    let (fleet, mut events) = Fleet::builder(Http::builder().build()?).show_once().on_measure(measure).spawn();
    let fleet = Arc::new(fleet);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("metrics: http://{}/metrics", listener.local_addr()?);
    tokio::spawn(serve(listener, metrics, fleet.clone()));

    // Those who were waiting go on, after the time that this service was away.
    let mut known = journal.signed_in.clone();
    let Waiting { since, sign_ins } = journal.take_waiting()?;
    let gone = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + since).unwrap_or_default();
    let away = Away::between(gone.saturating_sub(CLOCK_STEP), gone + CLOCK_STEP);
    for (device, snapshot) in sign_ins {
        // What was stored twice goes on once.
        if known.contains(&device) {
            continue;
        }
        match fleet.restore(device, client.clone(), snapshot, away) {
            Ok(()) => _ = known.insert(device),
            Err(error) => eprintln!("{device} starts again: {error}"),
        }
    }
    // And all others begin.
    let others: Vec<_> = (0..count).filter(|device| !known.contains(device)).collect();
    let outcome = {
        let starting = async {
            for device in others {
                fleet.start(device, client.clone()).await?;
            }
            std::future::pending::<()>().await;
            Ok::<_, Box<dyn Error>>(())
        };
        tokio::select! {
            result = starting => result,
            result = listen(count, &mut journal, &mut events) => result,
            () = stopped => Ok(()),
        }
    };

    // Whatever has happened, what waits is stored. Answers that are on their way may hold tokens: they are events, too.
    let waiting = fleet.drain(Duration::from_secs(20)).await;
    // Who has no code yet starts again.
    let waiting: Vec<_> = waiting.into_iter().filter_map(|(device, snapshot)| Some((device, snapshot?))).collect();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let waiting = Waiting { since, sign_ins: waiting };
    journal.store_waiting(&waiting)?;
    while let Some(event) = events.next().await {
        journal.hears(event)?;
    }
    println!("{} are signed in, {} wait", journal.signed_in.len(), waiting.sign_ins.len());
    outcome
}

/// Ends when all are signed in.
async fn listen(
    count: Device,
    journal: &mut Journal<'_>,
    events: &mut FleetEvents<Device>,
) -> Result<(), Box<dyn Error>> {
    while journal.signed_in.len() < usize::try_from(count)? {
        journal.hears(events.next().await.ok_or("the fleet has ended")?)?;
    }
    Ok(())
}

/// Ends when this process is asked to stop, from now on.
fn stopped() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        })
    }
    #[cfg(not(unix))]
    Ok(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
}

/// By how much the clock of this machine may be set while the service is away, forward or back. It polls later by that, and
/// gives codes up sooner; a clock that nobody can set needs none of it.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// Who was waiting.
#[derive(Default, Serialize, Deserialize)]
struct Waiting {
    /// Since the beginning of 1970.
    since: Duration,
    sign_ins: Vec<(Device, Snapshot)>,
}

/// What this service remembers.
struct Journal<'a> {
    folder: &'a Path,
    /// One line for each device that is signed in.
    file: File,
    signed_in: BTreeSet<Device>,
}

impl<'a> Journal<'a> {
    fn open(folder: &'a Path) -> Result<Self, Box<dyn Error>> {
        // Device codes are secrets.
        private(DirBuilder::new().recursive(true)).create(folder)?;
        let path = folder.join("signed-in");
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        // A last line without an end was not written to its end.
        let text = fs::read_to_string(&path)?;
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        file.set_len(whole.len() as u64 + u64::from(!whole.is_empty()))?;
        let signed_in = whole.lines().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { folder, file, signed_in })
    }

    fn hears(&mut self, event: FleetEvent<Device>) -> io::Result<()> {
        match event {
            FleetEvent::ShowCode { key, prompt } => println!("{key}: {}", prompt.user_code()),
            // Store the tokens here, where only their owner can read them, before the line that says so.
            FleetEvent::Done { key, outcome: Ok(_tokens) } => {
                self.file.write_all(format!("{key}\n").as_bytes())?;
                self.signed_in.insert(key);
            }
            FleetEvent::Done { key, outcome: Err(stopped) } => eprintln!("{key}: {stopped}"),
            _ => {}
        }
        Ok(())
    }

    /// Those who were waiting when the last process stopped. Only once: a process that is killed later has polled for them, and
    /// what is stored here knows nothing of that.
    fn take_waiting(&self) -> Result<Waiting, Box<dyn Error>> {
        let taken = self.folder.join("waiting.taken");
        match fs::rename(self.folder.join("waiting"), &taken) {
            Ok(()) => Ok(serde_json::from_slice(&fs::read(taken)?)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Waiting::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// As a whole or not at all.
    fn store_waiting(&self, waiting: &Waiting) -> Result<(), Box<dyn Error>> {
        let new = self.folder.join("waiting.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(waiting)?)?;
        file.sync_all()?;
        Ok(fs::rename(new, self.folder.join("waiting"))?)
    }
}

/// For this user alone, where the system knows of others.
fn private(folder: &mut DirBuilder) -> &mut DirBuilder {
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(folder, 0o700);
    folder
}

/// What Prometheus reads of the fleet, and what counts it.
fn metrics() -> (Metrics, impl Fn(FleetMeasure)) {
    let metrics = Metrics::default();
    let Metrics { answers, late, took, .. } = metrics.clone();
    let count = move |what| {
        let kind = match what {
            FleetMeasure::Sent { late: by } => return by.into_iter().for_each(|by| late.observe(by.as_secs_f64())),
            FleetMeasure::Landed { took: time, .. } => return took.observe(time.as_secs_f64()),
            FleetMeasure::CodeShown => "code",
            FleetMeasure::Pending => "authorization_pending",
            FleetMeasure::SlowedDown => "slow_down",
            FleetMeasure::SetBack => "no_answer",
            FleetMeasure::Granted => "token",
            FleetMeasure::Cancelled => "cancelled",
            _ => "failed",
        };
        answers.get_or_create(&[("kind", kind)]).inc();
    };
    (metrics, count)
}

#[derive(Clone)]
struct Metrics {
    answers: Family<[(&'static str, &'static str); 1], Counter>,
    late: Histogram,
    took: Histogram,
    sign_ins: Gauge,
    in_flight: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new([0.001, 0.01, 0.1, 1.0, 10.0]);
        let (sign_ins, in_flight) = (Gauge::default(), Gauge::default());
        Self { answers: Family::default(), late: seconds(), took: seconds(), sign_ins, in_flight }
    }
}

/// Answers every request with the metrics.
async fn serve(listener: TcpListener, metrics: Metrics, fleet: Arc<Fleet<Device>>) -> io::Result<()> {
    let mut registry = Registry::with_prefix("device_flow");
    registry.register("answers", "What has happened to sign-ins", metrics.answers);
    registry.register_with_unit("late", "How late polls were sent", Unit::Seconds, metrics.late);
    registry.register_with_unit("request", "How long requests took", Unit::Seconds, metrics.took);
    registry.register("sign_ins", "Sign-ins under way", metrics.sign_ins.clone());
    registry.register("in_flight", "Requests without an answer", metrics.in_flight.clone());
    loop {
        let (mut stream, _) = listener.accept().await?;
        let FleetStats { sign_ins: all, in_flight, .. } = fleet.stats();
        metrics.sign_ins.set(i64::try_from(all).unwrap_or(i64::MAX));
        metrics.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &registry).map_err(io::Error::other)?;
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let head = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        let answered = async {
            // What is asked does not matter.
            let _length = stream.read(&mut [0; 4_096]).await?;
            stream.write_all((head + &text).as_bytes()).await
        };
        // A caller that says nothing, or has gone away, holds nobody up.
        let _ = timeout(Duration::from_secs(1), answered).await;
    }
}
