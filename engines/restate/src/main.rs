//! Owns a sign-in as durable work on Restate: a workflow that lives through the death of its worker and of the engine, never
//! polls early, and leaves no secret in the journal.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use device_flow_nats::{KeySeal, Kind, Seal as _};
use device_flow_tokio::{
    Away, Client, DeviceFlow, Failure, Http, Provider, Snapshot, Step, Stepped, Stopped, TokenResponse, entropy, now,
    run,
};
use restate_sdk::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::error::Error;
use std::future::pending;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// A worker. What is not in the journal dies with it.
struct SignIn {
    client: Arc<Client>,
    http: Http,
    seal: KeySeal,
    /// Random: tells this process from all others.
    process: u64,
    /// The permits that this process has given out and not used.
    permits: Mutex<HashSet<u64>>,
    /// Told to end: gives out no permit any more.
    ending: Arc<AtomicBool>,
    /// Without the guards, to show what they are for.
    unguarded: bool,
}

/// What the journal keeps of a step.
#[derive(Serialize, Deserialize)]
enum Journaled {
    Waiting(Waiting),
    Ended(Result<Sealed<TokenResponse>, Failure>),
}

#[derive(Clone, Serialize, Deserialize)]
struct Waiting {
    snapshot: Sealed<Snapshot>,
    /// Where the person has to go and what to enter, once.
    prompt: Option<String>,
    wait: Duration,
    /// The process in which the wait began, and when, by a clock that nobody can set and that no other process has.
    process: u64,
    since_ms: u64,
    /// The same by the calendar, which is set, and differs from machine to machine.
    unix_ms: u64,
}

/// The right to send one poll.
#[derive(Serialize, Deserialize)]
struct Permit {
    nonce: u64,
    /// How long the sign-in has surely waited.
    waited: Duration,
}

/// For one sign-in, in base64. Who reads the journal learns nothing from it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Sealed<T>(String, #[serde(skip)] PhantomData<T>);

impl<T: Serialize + DeserializeOwned> Sealed<T> {
    fn new(seal: &KeySeal, id: &str, kind: Kind, plain: &T) -> HandlerResult<Self> {
        let sealed = seal.seal(id, kind, &serde_json::to_vec(plain)?)?;
        Ok(Self(BASE64_STANDARD.encode(sealed), PhantomData))
    }

    fn open(&self, seal: &KeySeal, id: &str, kind: Kind) -> HandlerResult<T> {
        Ok(serde_json::from_slice(&seal.open(id, kind, &BASE64_STANDARD.decode(&self.0)?)?)?)
    }
}

/// How a sign-in ended, and how many of its polls were given up because nobody could know whether they were sent.
#[derive(Serialize, Deserialize)]
struct Outcome {
    result: Result<Sealed<TokenResponse>, Failure>,
    lost_polls: u32,
}

#[workflow]
impl SignIn {
    /// From a code to its outcome: wait, permit, poll, and again.
    #[handler]
    async fn run(&self, ctx: WorkflowContext<'_>) -> HandlerResult<Json<Outcome>> {
        let (id, mut lost_polls) = (ctx.key(), 0);
        let mut step = ctx.run(|| self.open(id)).name("open").await?.into_inner();
        loop {
            let waiting = match step {
                Journaled::Waiting(waiting) => waiting,
                Journaled::Ended(result) => return Ok(Json(Outcome { result, lost_polls })),
            };
            if let Some(prompt) = &waiting.prompt {
                ctx.set("prompt", prompt.clone());
            }
            // A hint: the SDK computes its end with the wall clock of the worker.
            ctx.sleep(waiting.wait).await?;
            let permit = ctx.run(|| self.permit(waiting.clone())).name("permit").await?.into_inner();
            // From here to the end of the next line is where a poll can be lost.
            let polled = ctx.run(|| self.poll(id, waiting, permit)).name("poll").await?.into_inner();
            lost_polls += u32::from(polled.1);
            step = polled.0;
        }
    }

    /// What the person has to see, as soon as there is a code.
    #[handler]
    async fn prompt(&self, ctx: SharedWorkflowContext<'_>) -> HandlerResult<String> {
        Ok(ctx.get::<String>("prompt").await?.unwrap_or_default())
    }
}

impl SignIn {
    /// Gets a code. A worker that dies here has shown none to anybody: the next one gets another.
    async fn open(&self, id: &str) -> HandlerResult<Json<Journaled>> {
        self.step(id, Step::start(DeviceFlow::new(self.client.clone(), entropy()?))).await
    }

    /// Guard 1: the wait is measured by the monotonic clock of the process that has lived through all of it. In any other
    /// process nobody knows how much of it has passed, and the whole wait begins again: late, and never early.
    ///
    /// Guard 2: a permit that is in the journal before the poll says that this poll may have been sent.
    async fn permit(&self, waiting: Waiting) -> HandlerResult<Json<Permit>> {
        let began = if waiting.process == self.process { waiting.since_ms } else { now().as_millis() + 1 };
        let passed = || Duration::from_millis(now().as_millis().saturating_sub(began));
        if self.unguarded {
            return Ok(Json(Permit { nonce: 0, waited: waiting.wait }));
        }
        sleep(waiting.wait.saturating_sub(passed())).await;
        if self.ending.load(Relaxed) {
            // Another worker takes over.
            pending::<()>().await;
        }
        let nonce = random()?;
        self.permits().insert(nonce);
        Ok(Json(Permit { nonce, waited: passed() }))
    }

    /// Sends the poll, if this process gave the permit and has not used it. Otherwise the engine runs this once more, and the
    /// poll may have been sent: it counts as lost, and a longer wait begins.
    async fn poll(&self, id: &str, waiting: Waiting, permit: Permit) -> HandlerResult<Json<(Journaled, bool)>> {
        let lost = !self.permits().remove(&permit.nonce) && !self.unguarded;
        // An error, here and below, is a worker with another key or configuration: the engine tries again, until it gets the right one.
        let snapshot = waiting.snapshot.open(&self.seal, id, Kind::SignIn)?;
        let snapshot = if lost { snapshot.after_lost_poll() } else { snapshot };
        // Only the life of the code counts with this one; a calendar that is far ahead would end a sign-in too soon.
        let at_most = Duration::from_millis(unix_ms()?.saturating_sub(waiting.unix_ms)).max(permit.waited);
        let step = Step::resume(self.client.clone(), snapshot, Away::between(permit.waited, at_most), now())?;
        let Json(journaled) = self.step(id, step).await?;
        Ok(Json((journaled, lost)))
    }

    /// Runs a step to its end. A sign-in that fails is an outcome, and nothing to be run again.
    async fn step(&self, id: &str, mut step: Step) -> HandlerResult<Json<Journaled>> {
        Ok(Json(match run(&self.http, &mut step, |_| {}).await {
            Ok(Stepped::Waiting { snapshot, wait, prompt, .. }) => {
                let snapshot = Sealed::new(&self.seal, id, Kind::SignIn, &snapshot)?;
                let prompt = prompt.map(|prompt| format!("{} {}", prompt.verification_uri(), prompt.user_code()));
                // Rounded up, since the journal has whole milliseconds.
                let (process, since_ms) = (self.process, now().as_millis() + 1);
                Journaled::Waiting(Waiting { snapshot, prompt, wait, process, since_ms, unix_ms: unix_ms()? })
            }
            Ok(Stepped::Done(token)) => Journaled::Ended(Ok(Sealed::new(&self.seal, id, Kind::Outcome, &token)?)),
            Err(Stopped::Failed(failure)) => Journaled::Ended(Err(failure)),
            Err(other) => return Err(other.into()),
        }))
    }

    fn permits(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random() -> std::io::Result<u64> {
    let [a, b, c, d, e, f, g, h, ..] = entropy()?;
    Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

fn unix_ms() -> Result<u64, Box<dyn Error + Send + Sync>> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis().try_into()?)
}

/// `worker SERVER PORT [unguarded]`: the address of the authorization server, the port on which the engine finds this worker.
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [server, port, rest @ ..] = &words[..] else { return Err("worker SERVER PORT [unguarded]".into()) };
    let provider = Provider::endpoints(format!("http://{server}/device"), format!("http://{server}/token"));
    let ending = Arc::new(AtomicBool::new(false));
    let sign_in = SignIn {
        client: Arc::new(Client::builder(provider, "restate-example").allow_http_loopback().build()?),
        http: Http::builder().build()?,
        // A service reads its key from where it keeps its secrets. This one lies open in an example.
        seal: KeySeal::new(*b"an example, and no secret at all"),
        process: random()?,
        permits: Mutex::default(),
        ending: ending.clone(),
        unguarded: rest.first().is_some_and(|word| word == "unguarded"),
    };
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    // By itself the SDK ends at SIGINT alone. It then waits for up to ten seconds, in which the polls under way end.
    let told = async move {
        tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminated.recv() => {} }
        ending.store(true, Relaxed);
    };
    HttpServer::new(Endpoint::builder().bind(sign_in).build()).serve_with_cancel(listener, told).await;
    Ok(())
}
