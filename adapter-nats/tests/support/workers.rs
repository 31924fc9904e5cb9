//! Owns worker processes: this program once more, in a mode that works until its stdin ends or it is killed.

use async_nats::ConnectOptions;
use async_nats::jetstream;
use device_flow_nats::{Engine, KeySeal, Worker};
use device_flow_tokio::{Client, Http, Provider};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) const KEY: [u8; 32] = [7; 32];
/// The name of the only client.
pub(crate) const CLIENT: &str = "stub";

pub(crate) async fn connect(addresses: &str) -> jetstream::Context {
    let options = ConnectOptions::new().retry_on_initial_connect();
    jetstream::new(options.connect(addresses.split(',').collect::<Vec<_>>()).await.unwrap())
}

/// The mode of this program that works: `worker NATS STUB IN-FLIGHT`. Prints the name of each trouble.
pub(crate) async fn work(words: &[String]) {
    let [nats, stub, in_flight] = words else { panic!("worker NATS STUB IN-FLIGHT") };
    let engine = loop {
        match Engine::open(connect(nats).await, KeySeal::new(KEY)).await {
            Ok(engine) => break engine,
            Err(error) => eprintln!("{error}"),
        }
    };
    let provider = Provider::endpoints(format!("http://{stub}/device"), format!("http://{stub}/token"));
    let client = Client::builder(provider, "crowd").allow_http_loopback().build().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        let _ = stop.send(());
    });
    Worker::new(engine, [(CLIENT, client)], Http::builder().build().unwrap())
        .in_flight(in_flight.parse().unwrap())
        .on_trouble(|trouble| {
            let text = format!("{trouble:?}");
            println!("{}", text.split([' ', '{', '(']).next().unwrap_or_default());
            if std::env::var_os("DEVICE_FLOW_TROUBLE").is_some() {
                eprintln!("{trouble}");
            }
        })
        .run_until(async { drop(stopped.await) })
        .await;
}

/// What the workers of a run have told: how often each trouble was.
pub(crate) type Troubles = Arc<Mutex<BTreeMap<String, u64>>>;

/// A worker process.
pub(crate) struct WorkerProcess(Child);

impl WorkerProcess {
    /// `clock`: how it is set, as faketime has it: `-2s`.
    pub(crate) fn start(words: &[String], clock: Option<&str>, troubles: &Troubles) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = match clock {
            Some(clock) => {
                let mut command = Command::new("faketime");
                command.args(["--exclude-monotonic", "-f", clock]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let command = command.arg("worker").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start a worker (faketime is needed for another clock): {error}"));
        let (lines, troubles) = (BufReader::new(child.stdout.take().unwrap()).lines(), troubles.clone());
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *troubles.lock().unwrap().entry(line).or_default() += 1;
            }
        });
        Self(child)
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.0.id()
    }

    /// Lets what is under way finish.
    pub(crate) fn stop(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// kill −9.
impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
