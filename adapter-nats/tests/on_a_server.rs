//! Owns the tests of the engine on a real nats-server, with nobody killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests panic to report"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names what it expects")]

#[path = "support/nats_server.rs"]
#[allow(dead_code, reason = "nobody is killed here")]
mod nats_server;

use async_nats::ConnectOptions;
use async_nats::jetstream;
use device_flow_nats::{
    Engine, EngineError, KeySeal, Kind, News, Seal, SealError, Setup, SignInError, Start, Trouble, Unworkable, Worker,
};
use device_flow_testkit::crowd::{Crowd, Manners};
use device_flow_tokio::{Answer, Client, Failure, Http, Provider, Request, Transport, TransportError};
use nats_server::NatsServers;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

const KEY: [u8; 32] = [7; 32];
const CANARY: &str = "canary";

async fn connect(servers: &NatsServers) -> jetstream::Context {
    let options = ConnectOptions::new().retry_on_initial_connect();
    jetstream::new(options.connect(servers.addresses().split(',').collect::<Vec<_>>()).await.unwrap())
}

/// Until the server answers.
async fn set_up(servers: &NatsServers, seal: impl Seal + Clone + 'static) -> Engine {
    loop {
        let setup = Setup::replicas(1).ack_wait(Duration::from_secs(4));
        match Engine::setup(connect(servers).await, &setup, seal.clone()).await {
            Ok(engine) => return engine,
            Err(error) => eprintln!("{error}"),
        }
    }
}

#[derive(Clone)]
struct Key([u8; 32]);

impl Seal for Key {
    fn seal(&self, id: &str, kind: Kind, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        KeySeal::new(self.0).seal(id, kind, plain)
    }

    fn open(&self, id: &str, kind: Kind, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        KeySeal::new(self.0).open(id, kind, sealed)
    }
}

/// A stub, and the client that knows it.
fn stub(pending: u32) -> (Crowd, Arc<Client>) {
    let crowd = Crowd::strict(Manners { interval: 1, pending, lifetime: 600 }, Duration::ZERO);
    let client = client(crowd.listen().unwrap());
    (crowd, client)
}

fn client(address: SocketAddr) -> Arc<Client> {
    client_named("crowd", address)
}

fn client_named(id: &str, address: SocketAddr) -> Arc<Client> {
    let provider = Provider::endpoints(format!("http://{address}/device"), format!("http://{address}/token"));
    Client::builder(provider, id).allow_http_loopback().build().unwrap().into()
}

/// A worker that runs until it is told to stop.
struct Running {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
    troubles: Arc<Mutex<Vec<Trouble>>>,
}

impl Running {
    fn start(engine: &Engine, clients: &[(&str, &Arc<Client>)]) -> Self {
        Self::start_with(engine, clients, Duration::from_secs(15 * 60))
    }

    fn start_with(engine: &Engine, clients: &[(&str, &Arc<Client>)], begin_within: Duration) -> Self {
        let troubles = Arc::new(Mutex::new(vec![]));
        let (told, (stop, stopped)) = (troubles.clone(), oneshot::channel::<()>());
        let clients = clients.iter().map(|(name, client)| (*name, (*client).clone()));
        let worker = Worker::new(engine.clone(), clients, Http::builder().build().unwrap())
            .in_flight(16)
            .begin_within(begin_within)
            .on_trouble(move |trouble| told.lock().unwrap().push(trouble));
        let ended = tokio::spawn(worker.run_until(async { drop(stopped.await) }));
        Self { stop, ended, troubles }
    }

    async fn stop(self) -> Vec<Trouble> {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
        std::mem::take(&mut self.troubles.lock().unwrap())
    }

    async fn tells(&self, what: impl Fn(&Trouble) -> bool) {
        while !self.troubles.lock().unwrap().iter().any(&what) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn ended(engine: &Engine, id: &str) -> Result<String, SignInError> {
    let mut watch = engine.watch(id).await.unwrap();
    loop {
        if let News::Done(outcome) = watch.next().await.unwrap().expect("an outcome") {
            return outcome.map(|token| token.access_token().expose().to_owned());
        }
    }
}

#[tokio::test]
async fn a_sign_in_is_shown_then_done_then_forgotten() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Key(KEY)).await;
    let (crowd, client) = stub(2);
    let worker = Running::start(&engine, &[("stub", &client)]);
    let mut watch = engine.watch("a1").await.unwrap();
    engine.start("a1", "stub").await.unwrap();
    assert!(matches!(engine.start("a1", "stub").await, Err(EngineError::Exists)));
    let Some(News::ShowCode(shown)) = watch.next().await.unwrap() else { panic!("a code") };
    assert_eq!(shown.prompt.user_code(), "00000000");
    assert_eq!(engine.prompt("a1").await.unwrap().unwrap().expires_at, shown.expires_at);
    assert!(engine.outcome("a1").await.unwrap().is_none());
    let Some(News::Done(Ok(token))) = watch.next().await.unwrap() else { panic!("a token") };
    assert_eq!(token.access_token().expose(), "AT-canary-0");
    assert!(watch.next().await.unwrap().is_none());

    assert_eq!(ended(&engine, "a1").await.unwrap(), "AT-canary-0");
    assert!(engine.prompt("a1").await.unwrap().is_none());
    assert!(matches!(engine.start("a1", "stub").await, Err(EngineError::Exists)));
    assert!(!engine.cancel("a1").await.unwrap(), "it is over");
    engine.forget("a1").await.unwrap();
    assert!(engine.outcome("a1").await.unwrap().is_none());
    engine.start("a1", "stub").await.unwrap();
    assert_eq!(ended(&engine, "a1").await.unwrap(), "AT-canary-1");
    let report = crowd.report();
    assert_eq!((report.codes, report.polls, report.early, report.early_first, report.overlapping), (2, 6, 0, 0, 0));
    assert_eq!(worker.stop().await, []);
    assert!(matches!(engine.start("a.1", "stub").await, Err(EngineError::Id)));
}

#[tokio::test]
async fn what_is_cancelled_is_over_and_no_longer_asked_for() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Key(KEY)).await;
    let (crowd, client) = stub(u32::MAX);
    let worker = Running::start(&engine, &[("stub", &client)]);
    let mut watch = engine.watch("a1").await.unwrap();
    engine.start("a1", "stub").await.unwrap();
    assert!(matches!(watch.next().await.unwrap(), Some(News::ShowCode(_))));
    assert!(engine.cancel("a1").await.unwrap());
    let next = watch.next().await.unwrap();
    assert!(matches!(next, Some(News::Done(Err(SignInError::Failed(Failure::Cancelled))))), "{next:?}");
    assert!(engine.cancel("a1").await.unwrap(), "a call that is repeated says the same");
    let polls = crowd.report().polls;
    // Longer than its interval: another one that is started now has two polls.
    engine.start("a2", "stub").await.unwrap();
    while crowd.report().polls < polls + 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    engine.cancel("a2").await.unwrap();
    let report = crowd.report();
    assert!((report.codes, report.polls) <= (2, polls + 3), "{report:?}");
    worker.stop().await;
    let outcome = engine.outcome("a1").await.unwrap();
    assert!(matches!(outcome, Some(Err(SignInError::Failed(Failure::Cancelled)))), "{outcome:?}");
}

#[tokio::test]
async fn a_worker_that_stops_hands_back_what_it_holds_and_no_poll_is_lost() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Key(KEY)).await;
    let (crowd, client) = stub(4);
    let mut worker = Running::start(&engine, &[("stub", &client)]);
    let ids: Vec<_> = (0..60).map(|number| format!("a{number}")).collect();
    for id in &ids {
        engine.start(id, "stub").await.unwrap();
    }
    let mut troubles = vec![];
    for polls in [30, 90, 150] {
        while crowd.report().polls < polls {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let next = Running::start(&engine, &[("stub", &client)]);
        troubles.extend(std::mem::replace(&mut worker, next).stop().await);
    }
    for id in &ids {
        assert!(ended(&engine, id).await.unwrap().contains(CANARY));
    }
    troubles.extend(worker.stop().await);
    assert_eq!(troubles, []);
    let report = crowd.report();
    assert_eq!((report.codes, report.polls, report.tokens, report.early, report.overlapping), (60, 300, 60, 0, 0));
}

#[tokio::test]
async fn a_token_of_a_forgotten_sign_in_does_not_reach_another_one_of_its_id() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Key(KEY)).await;
    let crowd = Crowd::strict(Manners { interval: 1, pending: 0, lifetime: 600 }, Duration::from_secs(1));
    let client = client(crowd.listen().unwrap());
    let worker = Running::start(&engine, &[("stub", &client)]);
    // On a busy machine the answer may be there before it is forgotten.
    for codes in (0..20).step_by(2) {
        engine.start("a1", "stub").await.unwrap();
        while crowd.report().polls == codes {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        engine.forget("a1").await.unwrap();
        engine.start("a1", "stub").await.unwrap();
        assert_eq!(ended(&engine, "a1").await.unwrap(), format!("AT-canary-{}", codes + 1));
        engine.forget("a1").await.unwrap();
        if !worker.troubles.lock().unwrap().is_empty() {
            break;
        }
    }
    assert_eq!(worker.stop().await, [Trouble::TokenAfterForget { id: "a1".to_owned() }]);
}

#[tokio::test]
async fn an_unknown_client_and_another_key_are_told_and_nothing_is_asked_for() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Key(KEY)).await;
    let (crowd, client) = stub(0);
    let worker = Running::start(&engine, &[("another", &client)]);
    engine.start("a1", "stub").await.unwrap();
    worker
        .tells(|trouble| matches!(trouble, Trouble::UnknownClient { id, client } if id == "a1" && client == "stub"))
        .await;
    worker.stop().await;
    let other = Engine::open(connect(&servers).await, KeySeal::new([8; 32])).await.unwrap();
    let worker = Running::start(&other, &[("stub", &client)]);
    engine.start("a2", "stub").await.unwrap();
    worker.tells(|trouble| matches!(trouble, Trouble::Unreadable { id, .. } if id == "a2")).await;
    worker.stop().await;
    assert_eq!(crowd.report().codes, 0);
    assert!(matches!(other.prompt("a2").await, Err(EngineError::Seal(SealError::DoesNotOpen))));
    // A worker that knows the client and has the key goes on with both, some seconds later.
    let worker = Running::start(&engine, &[("stub", &client)]);
    for id in ["a1", "a2"] {
        ended(&engine, id).await.unwrap();
    }
    assert_eq!(worker.stop().await, []);
}

/// Until nothing of a sign-in is left but its outcome.
async fn nothing_is_offered(servers: &NatsServers) {
    let stream = connect(servers).await.get_stream("SIGNIN").await.unwrap();
    while stream.get_info().await.unwrap().state.messages > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_nobody_can_begin_ends_and_says_why() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Key(KEY)).await;
    let other = Engine::open(connect(&servers).await, KeySeal::new([8; 32])).await.unwrap();
    let (crowd, client) = stub(0);
    for (id, engine_of_worker, name, why) in [
        ("a1", &engine, "another", Unworkable::UnknownClient("stub".to_owned())),
        ("a2", &other, "stub", Unworkable::DoesNotOpen),
    ] {
        let worker = Running::start_with(engine_of_worker, &[(name, &client)], Duration::from_secs(1));
        engine.start(id, "stub").await.unwrap();
        assert_eq!(ended(&engine, id).await, Err(SignInError::Unworkable(why.clone())), "{id}");
        nothing_is_offered(&servers).await;
        let told = worker.stop().await;
        assert_eq!(told.last(), Some(&Trouble::GivenUp { id: id.to_owned(), why }), "{told:?}");
        assert!(matches!(engine.start(id, "stub").await, Err(EngineError::Exists)));
    }
    assert_eq!(crowd.report().codes, 0);
}

#[tokio::test]
async fn what_has_a_code_ends_with_it_when_nobody_can_go_on() {
    let crowd = Crowd::strict(Manners { interval: 1, pending: u32::MAX, lifetime: 5 }, Duration::ZERO);
    let address = crowd.listen().unwrap();
    let (client, other) = (client(address), client_named("other", address));
    // A code that a worker has got, and then a worker with these clients and this key.
    let sign_in = async |clients: (&str, &Arc<Client>), key: [u8; 32]| {
        let servers = NatsServers::start(1);
        let engine = set_up(&servers, Key(KEY)).await;
        let worker = Running::start(&engine, &[("stub", &client)]);
        engine.start("a1", "stub").await.unwrap();
        let mut watch = engine.watch("a1").await.unwrap();
        assert!(matches!(watch.next().await.unwrap(), Some(News::ShowCode(_))));
        worker.stop().await;
        let engine_of_worker = Engine::open(connect(&servers).await, KeySeal::new(key)).await.unwrap();
        let worker = Running::start(&engine_of_worker, &[clients]);
        let ended = ended(&engine, "a1").await;
        nothing_is_offered(&servers).await;
        worker.stop().await;
        ended
    };
    let ended = tokio::join!(
        sign_in(("another", &client), KEY),
        sign_in(("stub", &other), KEY),
        sign_in(("stub", &client), [8; 32])
    );
    let unworkable = |why| Err(SignInError::Unworkable(why));
    assert_eq!(ended.0, unworkable(Unworkable::UnknownClient("stub".to_owned())));
    assert_eq!(ended.1, unworkable(Unworkable::OtherClient));
    assert_eq!(ended.2, unworkable(Unworkable::DoesNotOpen));
}

#[tokio::test]
async fn what_has_a_code_is_left_to_those_who_can_go_on_while_the_code_lives() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Key(KEY)).await;
    let (crowd, client) = stub(2);
    let worker = Running::start(&engine, &[("stub", &client)]);
    engine.start("a1", "stub").await.unwrap();
    let mut watch = engine.watch("a1").await.unwrap();
    assert!(matches!(watch.next().await.unwrap(), Some(News::ShowCode(_))));
    worker.stop().await;
    // That it has no time to be begun does not matter any more.
    let worker = Running::start_with(&engine, &[], Duration::ZERO);
    worker.tells(|trouble| matches!(trouble, Trouble::UnknownClient { .. })).await;
    worker.stop().await;
    let worker = Running::start(&engine, &[("stub", &client)]);
    assert_eq!(ended(&engine, "a1").await.unwrap(), "AT-canary-0");
    assert_eq!(worker.stop().await, []);
    let report = crowd.report();
    assert_eq!((report.codes, report.polls, report.early, report.early_first), (1, 3, 0, 0));
}

#[tokio::test]
async fn claims_that_are_no_object_are_refused_before_anything_is_stored() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Key(KEY)).await;
    for claims in ["[]", "{", "1", r#"{"a":1} canary"#] {
        let started = engine.start("a1", Start::with("stub").claims(claims)).await;
        let Err(EngineError::Claims(error)) = started else { panic!("{claims}: {started:?}") };
        assert!(error.to_string().contains("must be a JSON object"), "{error}");
    }
    for (id, claims) in [("a1", r#"{"id_token":{"auth_time":null}}"#), ("a2", "{}"), ("a3", "")] {
        engine.start(id, Start::with("stub").claims(claims)).await.unwrap();
    }
}

#[tokio::test]
async fn who_watches_what_is_not_there_is_told() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Key(KEY)).await;
    let mut watch = engine.watch("a1").await.unwrap();
    assert!(matches!(watch.next().await, Err(EngineError::NotFound)), "never started");
    // One that waits for a worker is there.
    engine.start("a1", "stub").await.unwrap();
    let (crowd, client) = stub(u32::MAX);
    let late = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        Running::start(&engine, &[("stub", &client)])
    };
    let (shown, worker) = tokio::join!(watch.next(), late);
    assert!(matches!(shown, Ok(Some(News::ShowCode(_)))), "{shown:?}");
    let forget = async {
        while crowd.report().polls == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        engine.forget("a1").await.unwrap();
    };
    let (news, ()) = tokio::join!(watch.next(), forget);
    assert!(matches!(news, Err(EngineError::NotFound)), "{news:?}");
    // The same watch goes on with the next one of this id.
    engine.start("a1", "stub").await.unwrap();
    assert!(matches!(watch.next().await, Ok(Some(News::ShowCode(_)))));
    worker.stop().await;
}

/// Answers nothing, and counts what was sent and what was given up.
#[derive(Clone, Default)]
struct Silent {
    sent: Arc<AtomicUsize>,
    given_up: Arc<AtomicUsize>,
}

struct Asked<'a>(&'a Silent);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.given_up.fetch_add(1, Ordering::Relaxed);
    }
}

impl Transport for Silent {
    async fn send(&self, _: Request) -> Result<Answer, TransportError> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let _asked = Asked(self);
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_a_dead_worker_had_ends_too_when_nobody_can_go_on() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Key(KEY)).await;
    let (silent, (_, client)) = (Silent::default(), stub(0));
    let dying = tokio::spawn(Worker::new(engine.clone(), [("stub", client)], silent.clone()).run());
    engine.start("a1", "stub").await.unwrap();
    while silent.sent.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    dying.abort();
    // Longer than until the server offers it to another.
    let worker = Running::start_with(&engine, &[], Duration::from_secs(6));
    let why = Unworkable::UnknownClient("stub".to_owned());
    assert_eq!(ended(&engine, "a1").await, Err(SignInError::Unworkable(why)));
    nothing_is_offered(&servers).await;
    worker.stop().await;
    assert_eq!(silent.sent.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_worker_learns_that_another_ack_wait_was_set() {
    let servers = NatsServers::start(1);
    set_up(&servers, Key(KEY)).await;
    let set_up = async |ack_wait| {
        let setup = Setup::replicas(1).ack_wait(ack_wait);
        Engine::setup(connect(&servers).await, &setup, Key(KEY)).await.unwrap()
    };
    // Half of it is the time of a request.
    let engine = set_up(Duration::from_secs(24 * 60 * 60)).await;
    let (silent, (_, client)) = (Silent::default(), stub(0));
    let worker = Worker::new(engine.clone(), [("stub", client)], silent.clone()).in_flight(1_000).on_trouble(|_| {});
    let running = tokio::spawn(worker.run());
    for number in 0.. {
        engine.start(&format!("a{number}"), "stub").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        match (silent.sent.load(Ordering::Relaxed), silent.given_up.load(Ordering::Relaxed)) {
            (0, _) => {}
            (_, 0) => drop(set_up(Duration::from_secs(2)).await),
            _ => break,
        }
    }
    running.abort();
}

/// A key service that does not answer when it should seal the first outcomes.
#[derive(Clone)]
struct Hiccups(Arc<AtomicUsize>);

impl Seal for Hiccups {
    fn seal(&self, id: &str, kind: Kind, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let left = |left: usize| left.checked_sub(1);
        if kind == Kind::Outcome && self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
            return Err(SealError::NotSealed("no answer".into()));
        }
        Key(KEY).seal(id, kind, plain)
    }

    fn open(&self, id: &str, kind: Kind, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        Key(KEY).open(id, kind, sealed)
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_sealed_at_once_is_not_lost() {
    let servers = NatsServers::start(1);
    let engine = set_up(&servers, Hiccups(Arc::new(AtomicUsize::new(3)))).await;
    let (crowd, client) = stub(1);
    let worker = Running::start(&engine, &[("stub", &client)]);
    engine.start("a1", "stub").await.unwrap();
    assert_eq!(ended(&engine, "a1").await.unwrap(), "AT-canary-0");
    let told = worker.stop().await;
    let is_told = |trouble: &Trouble| matches!(trouble, Trouble::Refused { what: "cannot seal", .. });
    assert!(told.len() == 3 && told.iter().all(is_told), "{told:?}");
    assert_eq!((crowd.report().codes, crowd.report().polls), (1, 2));
}

/// Seals nothing, to show that the search below would find it.
#[derive(Clone)]
struct Glass;

impl Seal for Glass {
    fn seal(&self, _: &str, _: Kind, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(plain.to_vec())
    }

    fn open(&self, _: &str, _: Kind, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        Ok(Zeroizing::new(sealed.to_vec()))
    }
}

#[tokio::test]
async fn no_secret_is_in_what_the_server_stores() {
    for (seal, found) in [(true, false), (false, true)] {
        let mut servers = NatsServers::start(1);
        let engine = if seal { set_up(&servers, Key(KEY)).await } else { set_up(&servers, Glass).await };
        // Some have ended, and some wait.
        let ((crowd, client), (_, quick)) = (stub(u32::MAX), stub(0));
        let worker = Running::start(&engine, &[("stub", &client), ("quick", &quick)]);
        for number in 0..20 {
            engine.start(&format!("a{number}"), "stub").await.unwrap();
            engine.start(&format!("b{number}"), "quick").await.unwrap();
        }
        for number in 0..20 {
            ended(&engine, &format!("b{number}")).await.unwrap();
        }
        while crowd.report().polls < 40 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        worker.stop().await;
        servers.kill(0);
        let (contains, bytes) = servers.store_contains(CANARY);
        assert!(bytes > 10_000, "only {bytes} bytes were looked at");
        assert_eq!(contains, found, "sealed: {seal}");
    }
}
