//! A thousand sign-ins on a nats-server, with two worker processes that may be killed.
//!
//! ```sh
//! cargo run -p device-flow-nats --example sign_ins
//! ```
//!
//! It is four things in one program: an authorization server on loopback that approves every code by itself, a program that starts
//! sign-ins, and the workers, which are this program once more. Kill one, with the command that it prints: it is started again, and
//! what it had is taken over by the other. Kill nats-server and start it again: everything goes on.
//!
//! Words: how many sign-ins (1000), then the address of nats-server (127.0.0.1:4222).

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context};
use device_flow_nats::{Engine, EngineError, KeySeal, Setup, Trouble, Worker};
use device_flow_testkit::crowd::{Crowd, Manners};
use device_flow_tokio::{Client, Http, Provider, entropy};
use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, nats, stub] = &words[..]
        && mode == "worker"
    {
        return work(nats, stub).await;
    }
    let count: usize = words.first().map_or(Ok(1_000), |word| word.parse())?;
    let nats = words.get(1).map_or("127.0.0.1:4222", String::as_str);
    println!("Looking for nats-server at {nats}");
    // The ids are new each time, and so are the outcomes.
    let run: String = entropy()?.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let engine =
        Engine::setup(connect(nats).await?, &Setup::replicas(1).ack_wait(Duration::from_secs(10)), seal()).await?;
    let crowd = Crowd::strict(Manners { interval: 5, pending: 3, lifetime: 600 }, Duration::from_millis(20));
    let stub = crowd.listen()?.to_string();
    let mut workers = [start_worker(nats, &stub)?, start_worker(nats, &stub)?];

    let (begun, mut ended, mut failed) = (Instant::now(), 0, 0);
    let starting = tokio::spawn(start(engine.clone(), run.clone(), count, stub.clone()));
    while ended < count {
        match engine.outcome(&format!("{run}-{ended}")).await {
            // In the order in which they were started: those behind it that have ended, too, are counted soon.
            Ok(Some(outcome)) => {
                ended += 1;
                failed += usize::from(outcome.is_err());
                continue;
            }
            Ok(None) => {}
            Err(error) => println!("\r\x1b[K{error}; trying again"),
        }
        let report = crowd.report();
        print!(
            "\r{:>4} s: {} codes, {} polls, {ended} of {count} have ended ",
            begun.elapsed().as_secs(),
            report.codes,
            report.polls
        );
        std::io::Write::flush(&mut std::io::stdout())?;
        for worker in &mut workers {
            if worker.try_wait()?.is_some() {
                println!("\r\x1b[KWorker {} is dead", worker.id());
                *worker = start_worker(nats, &stub)?;
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    starting.await?;
    let report = crowd.report();
    println!(
        "\r\x1b[K{count} sign-ins have ended after {:.1} s, {failed} of them without a token.",
        begun.elapsed().as_secs_f64()
    );
    println!(
        "Of {} polls {} came early, and {} while another one of the same sign-in was not answered.",
        report.polls,
        report.early + report.early_first,
        report.overlapping
    );
    for mut worker in workers {
        // It ends when its stdin does.
        drop(worker.stdin.take());
        worker.wait()?;
    }
    Ok(())
}

/// The name of the client is the address of the stub, so that nobody takes the sign-ins of an earlier run for those of this one.
async fn start(engine: Engine, run: String, count: usize, client: String) {
    for number in 0..count {
        // Who does not know whether it was stored asks again.
        while let Err(error) = engine.start(&format!("{run}-{number}"), &*client).await {
            if matches!(error, EngineError::Exists) {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn start_worker(nats: &str, stub: &str) -> Result<Child, Box<dyn Error>> {
    let worker = Command::new(std::env::current_exe()?).args(["worker", nats, stub]).stdin(Stdio::piped()).spawn()?;
    println!("\r\x1b[KA worker works; to see what happens: kill -9 {}", worker.id());
    Ok(worker)
}

/// The worker: all that a service of its own would need.
async fn work(nats: &str, stub: &str) -> Result<(), Box<dyn Error>> {
    let provider = Provider::endpoints(format!("http://{stub}/device"), format!("http://{stub}/token"));
    let client = Client::builder(provider, "example").allow_http_loopback().build()?;
    let engine = Engine::open(connect(nats).await?, seal()).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || stop.send(std::io::stdin().read_line(&mut String::new())));
    Worker::new(engine, [(stub, client)], Http::builder().build()?)
        .in_flight(64)
        .on_trouble(|trouble| {
            // What an earlier run has left that was ended by Ctrl-C.
            if !matches!(trouble, Trouble::UnknownClient { .. }) {
                println!("\r\x1b[K{trouble}");
            }
        })
        .run_until(async { drop(stopped.await) })
        .await;
    Ok(())
}

async fn connect(nats: &str) -> Result<Context, Box<dyn Error>> {
    Ok(jetstream::new(ConnectOptions::new().retry_on_initial_connect().connect(nats).await?))
}

/// A service reads its key from where it keeps its secrets. This one lies open in an example.
fn seal() -> KeySeal {
    KeySeal::new(*b"an example, and no secret at all")
}
