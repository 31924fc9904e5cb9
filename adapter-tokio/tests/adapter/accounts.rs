//! Accounts on a store: when the server or the person is asked, when neither is, and what is kept when something breaks.

use crate::adapter::{
    CacheError, Contents, Event, Failure, FileStore, Http, Lease, Locked, MemoryStore, NotRevoked, SignInError,
    SignInReason, SignInRequest, SignedIn, Stopped, Store, StoreError, TokenCache, TokenSource,
};
use crate::{Accounts, drive};
use device_flow_testkit::rotating::Rotating;
use device_flow_testkit::scaled::Skipping;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Long enough for a whole test.
const HOUR: u64 = 3_600;
/// Expired on arrival.
pub(crate) const NOTHING: u64 = 0;

fn http() -> Http {
    Http::builder().build().unwrap()
}

pub(crate) fn request(server: &Rotating) -> SignInRequest {
    SignInRequest::new(server.client_builder().scope("mail").build().unwrap())
}

/// The gist of an event.
pub(crate) fn in_short(event: &Event) -> String {
    match event {
        Event::SignInNeeded(reason) => reason.to_string(),
        Event::ShowCode(prompt) => format!("code {}", prompt.user_code()),
        Event::Waiting { .. } => "wait".to_owned(),
        other => panic!("{other:?}"),
    }
}

fn came_from(outcome: &Result<SignedIn, SignInError>) -> (TokenSource, String) {
    let signed_in = outcome.as_ref().unwrap_or_else(|error| panic!("a token was expected, not: {error}"));
    (signed_in.source(), signed_in.access_token().expose().to_owned())
}

fn reason(outcome: Result<SignedIn, SignInError>) -> SignInReason {
    match outcome.unwrap_err() {
        SignInError::Stopped(Stopped::Failed(Failure::SignInNeeded(reason))) => reason,
        error => panic!("{error}"),
    }
}

/// A sign-in without its waits.
pub(crate) fn approved(
    server: &Rotating,
    accounts: &Accounts,
    request: &SignInRequest,
) -> Result<SignedIn, SignInError> {
    let mut flow = Skipping::new(request.device_flow([7; 32]));
    let response = drive(&http(), &mut flow).0.unwrap();
    assert!(server.live().is_some());
    accounts.keep(request, response)
}

fn stored(store: &dyn Store) -> TokenCache {
    // No account of these tests is Microsoft's.
    let stored = store.unshared().map_or_else(|| store.load(), |unshared| unshared.load()).unwrap();
    TokenCache::from_json(&stored.unwrap_or_default()).unwrap()
}

pub(crate) fn kept_tokens(store: &dyn Store) -> Vec<String> {
    let cache: serde_json::Value = serde_json::from_str(stored(store).to_json().expose()).unwrap();
    let tokens = cache["RefreshToken"].as_object().unwrap().values();
    tokens.map(|entry| entry["secret"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_life_of_a_sign_in_from_the_first_code_to_a_revocation_and_the_next_code() {
    let (server, store) = (Rotating::new(HOUR), MemoryStore::new());
    let (accounts, request) = (Accounts::new(store.clone()), request(&server));
    let (outcome, events) = accounts.sign_in(&request);
    assert_eq!(came_from(&outcome), (TokenSource::DeviceFlow, "AT-canary-1".into()));
    assert_eq!(events, ["nobody is signed in", "code WDJB-MJHT", "wait"]);

    // Within its life: no request.
    let before = server.requests();
    let (outcome, events) = accounts.sign_in(&request);
    assert_eq!(came_from(&outcome), (TokenSource::Cache, "AT-canary-1".into()));
    assert_eq!((server.requests(), events.len()), (before, 0));

    // After it: one refresh, and the new refresh token is kept.
    server.set_lifetime(NOTHING);
    assert_eq!(came_from(&accounts.silent(&request.clone().force_refresh())).0, TokenSource::Refresh);
    server.set_lifetime(HOUR);
    let (outcome, events) = accounts.sign_in(&request);
    assert_eq!(came_from(&outcome), (TokenSource::Refresh, "AT-canary-3".into()));
    assert_eq!((server.refreshes(), events.len()), (2, 0));
    assert_eq!(kept_tokens(&store), ["RT-canary-3"]);

    // After a revocation: it says so, and shows a code.
    server.set_lifetime(NOTHING);
    assert_eq!(came_from(&accounts.silent(&request.clone().force_refresh())).0, TokenSource::Refresh);
    server.revoke();
    let (outcome, events) = accounts.sign_in(&request);
    assert_eq!(came_from(&outcome).0, TokenSource::DeviceFlow);
    assert!(events[0].starts_with("sign in again: invalid_grant"), "{events:?}");
    assert_eq!(events[1], "code WDJB-MJHT");
    assert_eq!((kept_tokens(&store).len(), server.reuses()), (1, 1));
}

#[test]
fn silence_without_tokens_makes_no_request_and_takes_no_lock() {
    let server = Rotating::new(HOUR);
    let store = Counted::default();
    let accounts = Accounts::new(store.clone());
    assert_eq!(reason(accounts.silent(&request(&server))), SignInReason::NotSignedIn);
    assert_eq!((server.requests(), store.locks.load(Ordering::SeqCst)), (0, 0));
    // Nor does a hit.
    approved(&server, &accounts, &request(&server)).unwrap();
    let (asked, locked) = (server.requests(), store.locks.load(Ordering::SeqCst));
    accounts.silent(&request(&server)).unwrap();
    assert_eq!((server.requests(), store.locks.load(Ordering::SeqCst)), (asked, locked));
}

/// Counts how often it is locked.
#[derive(Clone, Default)]
struct Counted {
    inner: MemoryStore,
    locks: Arc<AtomicUsize>,
}

impl Store for Counted {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        self.inner.load()
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        self.locks.fetch_add(1, Ordering::SeqCst);
        self.inner.lock()
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(LeaseOf { inner: self.inner.lease(owner, patience)?, store: self.clone() }))
    }
}

/// The lease of a store in another store, whose lock it takes.
struct LeaseOf<S> {
    inner: Box<dyn Lease>,
    store: S,
}

impl<S: Store> Lease for LeaseOf<S> {
    fn reserve(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.inner.reserve(bytes)
    }

    fn lock(&mut self) -> Result<Box<dyn Locked>, StoreError> {
        self.store.lock()
    }
}

// F09: threads of one process, and several that could be processes.
#[test]
fn f09_many_callers_make_one_refresh() {
    let server = Rotating::new(NOTHING);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache").join("tokens.json");
    let store = || FileStore::new(&path).unwrap();
    let request = request(&server);
    approved(&server, &Accounts::new(store()), &request).unwrap();
    server.set_lifetime(HOUR);
    server.set_slowness(Duration::from_millis(50));
    let tokens = Accounts::all_at_once(&[store(), store(), store(), store()], 8, &request);
    assert_eq!(tokens, vec!["AT-canary-2"; 32]);
    assert_eq!((server.refreshes(), server.reuses()), (1, 0));
    assert_eq!(kept_tokens(&store()), ["RT-canary-2"]);
}

// In one file: what a slow server holds up is the refresh of its own owner, and nothing else.
#[test]
fn k07_a_server_that_hangs_holds_up_only_its_own_owner() {
    let (slow, quick) = (Rotating::new(NOTHING), Rotating::new(NOTHING));
    let folder = tempfile::tempdir().unwrap();
    let accounts = || Accounts::new(FileStore::new(folder.path().join("tokens.json")).unwrap());
    for server in [&slow, &quick] {
        approved(server, &accounts(), &request(server)).unwrap();
        server.set_lifetime(HOUR);
    }
    let gate = slow.close_gate();
    std::thread::scope(|scope| {
        let asked = slow.requests();
        let held = scope.spawn(|| came_from(&accounts().silent(&request(&slow))));
        while slow.requests() == asked {
            std::thread::yield_now();
        }
        let refreshed = came_from(&accounts().silent(&request(&quick)));
        assert_eq!(refreshed, (TokenSource::Refresh, "AT-canary-2".into()));
        approved(&quick, &accounts(), &request(&quick)).unwrap();
        assert!(!held.is_finished(), "all of that went by while the slow server was asked");
        drop(gate);
        assert_eq!(held.join().unwrap(), (TokenSource::Refresh, "AT-canary-2".into()));
    });
    assert_eq!((slow.reuses(), quick.reuses()), (0, 0));
    assert_eq!(kept_tokens(&FileStore::new(folder.path().join("tokens.json")).unwrap()).len(), 2);
}

// F05, F13: the token is not lost because the disk is full.
#[test]
fn f05_what_cannot_be_kept_is_handed_out_all_the_same() {
    let server = Rotating::new(NOTHING);
    let store = Broken::default();
    let accounts = Accounts::new(store.clone());
    approved(&server, &accounts, &request(&server)).unwrap();
    server.set_lifetime(HOUR);
    *store.fault.lock().unwrap() = Some("save");
    for outcome in [accounts.silent(&request(&server)), approved(&server, &accounts, &request(&server))] {
        let error = outcome.unwrap_err();
        assert!(
            error.to_string().starts_with("signed in, but the tokens could not be stored: cannot write"),
            "{error}"
        );
        assert!(error.advice().unwrap().starts_with("Free some space"), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
        let SignInError::NotKept { signed_in, .. } = error else { panic!() };
        assert!(signed_in.access_token().expose().starts_with("AT-canary-"));
    }
    // A store that cannot be locked is reported before anything is asked; after an approval the token is not lost either.
    *store.fault.lock().unwrap() = Some("lock");
    let asked = server.requests();
    assert!(matches!(accounts.silent(&request(&server)), Err(SignInError::Store(_))));
    assert_eq!(server.requests(), asked);
    assert!(matches!(approved(&server, &accounts, &request(&server)), Err(SignInError::NotKept { .. })));
    *store.fault.lock().unwrap() = Some("load");
    assert!(matches!(accounts.sign_in(&request(&server)).0, Err(SignInError::Store(_))));
    assert!(accounts.list().is_err());
}

// The store is tried before a code is requested; what it does not take all the same is revoked.
#[test]
fn k08_no_code_for_tokens_without_a_place_and_what_has_none_is_revoked() {
    let (server, store) = (Rotating::new(HOUR), Broken::default());
    let accounts = Accounts::new(store.clone());
    *store.fault.lock().unwrap() = Some("lock");
    assert!(matches!(accounts.sign_in(&request(&server)).0, Err(SignInError::Store(_))));
    assert_eq!(server.requests(), 0);
    *store.fault.lock().unwrap() = Some("save");
    let error = approved(&server, &accounts, &request(&server)).unwrap_err();
    assert!(matches!(error, SignInError::NotKept { revoked: true, .. }), "{error}");
    assert!(error.to_string().ends_with("they were revoked"), "{error}");
    assert_eq!(server.live(), None);
}

// A spent refresh token must not meet a disk that is full by then. For what is there, and for the largest tokens that are
// known.
#[test]
fn k09_room_is_reserved_before_a_code_and_before_a_refresh() {
    const ONE_MORE: usize = 64 * 1024;
    let server = Arc::new(Rotating::new(NOTHING));
    let store = Reserving { inner: MemoryStore::new(), server: Arc::clone(&server), reserved: Arc::default() };
    let accounts = Accounts::new(store.clone());
    accounts.sign_in(&request(&server)).0.unwrap();
    assert_eq!(std::mem::take(&mut *store.reserved.lock().unwrap()), [(ONE_MORE, 0)]);
    let (stored, asked) = (store.load().unwrap().unwrap().len(), server.requests());
    server.set_lifetime(HOUR);
    assert_eq!(came_from(&accounts.silent(&request(&server))).0, TokenSource::Refresh);
    assert_eq!(*store.reserved.lock().unwrap(), [(stored + ONE_MORE, asked)]);
}

/// Records how much was reserved, and how many requests the server had seen by then.
#[derive(Clone)]
struct Reserving {
    inner: MemoryStore,
    server: Arc<Rotating>,
    reserved: Arc<Mutex<Vec<(usize, usize)>>>,
}

impl Store for Reserving {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        self.inner.load()
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        self.inner.lock()
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(ReservingLease { inner: self.inner.lease(owner, patience)?, store: self.clone() }))
    }
}

struct ReservingLease {
    inner: Box<dyn Lease>,
    store: Reserving,
}

impl Lease for ReservingLease {
    fn reserve(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.store.reserved.lock().unwrap().push((bytes, self.store.server.requests()));
        self.inner.reserve(bytes)
    }

    fn lock(&mut self) -> Result<Box<dyn Locked>, StoreError> {
        self.inner.lock()
    }
}

/// Fails at one kind of access.
#[derive(Clone, Default)]
struct Broken {
    inner: MemoryStore,
    fault: Arc<Mutex<Option<&'static str>>>,
}

impl Broken {
    fn check(&self, at: &str) -> Result<(), StoreError> {
        if *self.fault.lock().unwrap() != Some(at) {
            return Ok(());
        }
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(StoreError::Io { step: "write", path: PathBuf::from("/full"), source })
    }
}

impl Store for Broken {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        self.check("load")?;
        self.inner.load()
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        self.check("lock")?;
        Ok(Box::new(BrokenLocked { inner: self.inner.lock()?, store: self.clone() }))
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(LeaseOf { inner: self.inner.lease(owner, patience)?, store: self.clone() }))
    }
}

struct BrokenLocked {
    inner: Box<dyn Locked>,
    store: Broken,
}

impl Locked for BrokenLocked {
    fn current(&self) -> Option<&[u8]> {
        self.inner.current()
    }

    fn reload(&mut self) -> Result<(), StoreError> {
        self.inner.reload()
    }

    fn save(&mut self, contents: Contents) -> Result<(), StoreError> {
        self.store.check("save")?;
        // A program that ignores the lock writes in between, once.
        if *self.store.fault.lock().unwrap() == Some("change") {
            *self.store.fault.lock().unwrap() = None;
            self.inner.save(contents_with_a_stranger())?;
            return Err(StoreError::Changed { path: PathBuf::from("/changed") });
        }
        self.inner.save(contents)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.inner.remove()
    }
}

fn contents_with_a_stranger() -> Contents {
    let account =
        r#"{"home_account_id":"s.t","environment":"other","realm":"t","local_account_id":"s","username":"stranger"}"#;
    format!(r#"{{"Account":{{"s.t-other-t":{account}}},"Strange":[1]}}"#).into_bytes().into()
}

#[test]
fn what_a_stranger_wrote_in_between_is_kept() {
    let (server, store) = (Rotating::new(HOUR), Broken::default());
    let accounts = Accounts::new(store.clone());
    *store.fault.lock().unwrap() = Some("change");
    approved(&server, &accounts, &request(&server)).unwrap();
    assert_eq!(accounts.list().unwrap().len(), 2);
    assert!(store.load().unwrap().unwrap().windows(13).any(|bytes| bytes == br#""Strange":[1]"#));
    assert_eq!(came_from(&accounts.silent(&request(&server))).0, TokenSource::Cache);
}

#[test]
fn what_is_no_cache_is_left_as_it_is() {
    let (server, store) = (Rotating::new(HOUR), MemoryStore::new());
    store.lock().unwrap().save(b"[not a cache]".to_vec().into()).unwrap();
    let accounts = Accounts::new(store.clone());
    for outcome in [accounts.silent(&request(&server)), accounts.sign_in(&request(&server)).0] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, SignInError::Cache(CacheError::NotAnObject)), "{error}");
        assert!(error.to_string().contains("move it away"), "{error}");
    }
    assert_eq!(server.requests(), 0);
    assert!(matches!(approved(&server, &accounts, &request(&server)), Err(SignInError::NotKept { .. })));
    assert_eq!(store.load().unwrap().as_deref(), Some(&b"[not a cache]"[..]));
}

/// MSAL writes in place: a reader without the lock may see half a file.
#[test]
fn half_a_file_is_read_again_under_the_lock() {
    #[derive(Clone, Default)]
    struct Half(MemoryStore);
    impl Store for Half {
        fn load(&self) -> Result<Option<Contents>, StoreError> {
            let whole = self.0.load()?;
            Ok(whole.map(|whole| whole[..whole.len() / 2].to_vec().into()))
        }

        fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
            self.0.lock()
        }

        fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
            self.0.lease(owner, patience)
        }
    }
    let server = Rotating::new(HOUR);
    let accounts = Accounts::new(Half::default());
    approved(&server, &accounts, &request(&server)).unwrap();
    assert_eq!(came_from(&accounts.silent(&request(&server))).0, TokenSource::Cache);
    assert_eq!(accounts.list().unwrap().len(), 1);
}

// F12, R7009-2.1-4.
#[test]
fn f12_signing_out_removes_here_and_revokes_there_and_twice_is_no_error() {
    let (server, store) = (Rotating::new(HOUR), MemoryStore::new());
    let (accounts, request) = (Accounts::new(store.clone()), request(&server));
    approved(&server, &accounts, &request).unwrap();
    let signed_out = accounts.sign_out(&request).unwrap().unwrap();
    assert_eq!((signed_out.not_revoked, server.live()), (None, None));
    assert!(kept_tokens(&store).is_empty() && accounts.list().unwrap().is_empty());
    let asked = server.requests();
    assert!(accounts.sign_out(&request).unwrap().is_none() && accounts.forget(&request).unwrap().is_none());
    assert_eq!(server.requests(), asked);

    // Here alone. What is stored can be looked into in the meantime.
    approved(&server, &accounts, &request).unwrap();
    let asked = server.requests();
    let now = crate::adapter::UnixTime::from_secs(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
    );
    assert!(request.cached(&accounts.cache().unwrap(), now).is_some());
    assert!(accounts.forget(&request).unwrap().is_some());
    assert!(request.cached(&accounts.cache().unwrap(), now).is_none() && kept_tokens(&store).is_empty());
    assert!(server.requests() == asked && server.live().is_some());

    // Offline, and at a server that cannot revoke: gone here, and the caller learns of it.
    let nowhere = device_flow_testkit::black_hole::ClosedPort::new();
    let provider = |revoke: Option<String>| {
        let provider = crate::adapter::Provider::endpoints(server.server.url("/device"), server.server.url("/token"));
        let provider = if let Some(url) = revoke { provider.revocation_endpoint(url) } else { provider };
        let client = crate::adapter::Client::builder(provider, "client").scope("mail").allow_http_loopback();
        SignInRequest::new(client.build().unwrap())
    };
    for (request, text) in [
        (provider(None), "no revocation endpoint is known for this server, so the token was not revoked"),
        (provider(Some(format!("{}/revoke", nowhere.base()))), "the token was not revoked: "),
    ] {
        approved(&server, &accounts, &request).unwrap();
        let not_revoked: NotRevoked = accounts.sign_out(&request).unwrap().unwrap().not_revoked.unwrap();
        assert!(not_revoked.to_string().starts_with(text), "{not_revoked}");
        assert!(kept_tokens(&store).is_empty() && server.live().is_some());
    }
}

// Gone here, and remembered until the server has heard of it.
#[test]
fn k12_what_the_server_did_not_revoke_is_tried_again() {
    let (server, nowhere) = (Rotating::new(HOUR), device_flow_testkit::black_hole::ClosedPort::new());
    let (accounts, request) = (Accounts::new(MemoryStore::new()), request(&server));
    let provider = crate::adapter::Provider::endpoints(server.server.url("/device"), server.server.url("/token"));
    let provider = provider.revocation_endpoint(format!("{}/revoke", nowhere.base()));
    let offline = crate::adapter::Client::builder(provider, "client").scope("mail").allow_http_loopback();
    let offline = SignInRequest::new(offline.build().unwrap());
    approved(&server, &accounts, &offline).unwrap();
    assert!(accounts.sign_out(&offline).unwrap().unwrap().not_revoked.is_some());
    assert!(accounts.list().unwrap().is_empty() && server.live().is_some());
    // Nobody is signed in any more, but something is left to do, once.
    assert!(accounts.sign_out(&request).unwrap().is_none());
    assert_eq!(server.live(), None);
    let asked = server.requests();
    assert!(accounts.sign_out(&request).unwrap().is_none());
    assert_eq!(server.requests(), asked);
}
