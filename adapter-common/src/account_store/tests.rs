//! What version 0.1.0 has mixed is taken apart, and programs that write without the lock are neither overwritten nor
//! waited for without end.
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use super::*;
use device_flow_core::{Client, DeviceFlow, Provider, Response};
use device_flow_store::{LockHolder, MemoryStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// As version 0.1.0 wrote it: Ada's account at a server of no MSAL's beside Grace's at Microsoft's.
const FORMER: &str = r#"{
    "RefreshToken": {"42-gitlab.com-refreshtoken-app---": {
        "credential_type": "RefreshToken", "secret": "RT-canary", "home_account_id": "42",
        "environment": "gitlab.com", "client_id": "app", "target": "-"
    }},
    "Account": {
        "42-gitlab.com-": {
            "home_account_id": "42", "environment": "gitlab.com", "realm": "", "local_account_id": "42",
            "username": "ada", "authority_type": "Generic",
            "account_source": "urn:ietf:params:oauth:grant-type:device_code"
        },
        "g.t-login.windows.net-t": {
            "home_account_id": "g.t", "environment": "login.windows.net", "realm": "t", "username": "grace"
        }
    }
}"#;

/// A store whose contents another program changes just before a save, as often as is said.
#[derive(Clone)]
struct Disturbed {
    store: MemoryStore,
    unshared: Option<MemoryStore>,
    disturbances: usize,
    saves: Arc<AtomicUsize>,
}

/// Holds what version 0.1.0 wrote.
fn disturbed(unshared: Option<MemoryStore>, disturbances: usize) -> Disturbed {
    let store = MemoryStore::new();
    store.lock().unwrap().save(FORMER.as_bytes().to_vec().into()).unwrap();
    Disturbed { store, unshared, disturbances, saves: Arc::default() }
}

impl Store for Disturbed {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        self.store.load()
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        Ok(Box::new(DisturbedLock { inner: self.store.lock()?, store: self.clone() }))
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        self.store.lease(owner, patience)
    }

    fn unshared(&self) -> Option<Box<dyn Store>> {
        Some(Box::new(self.unshared.clone()?))
    }
}

struct DisturbedLock {
    inner: Box<dyn Locked>,
    store: Disturbed,
}

impl Locked for DisturbedLock {
    fn current(&self) -> Option<&[u8]> {
        self.inner.current()
    }

    fn reload(&mut self) -> Result<(), StoreError> {
        self.inner.reload()
    }

    fn save(&mut self, contents: Contents) -> Result<(), StoreError> {
        let number = self.store.saves.fetch_add(1, SeqCst);
        assert!(number < 100, "it does not end");
        if number < self.store.disturbances {
            let stored = text(self.inner.current());
            self.inner.save(stored.replacen('{', &format!(r#"{{"Strange{number}": [],"#), 1).into_bytes().into())?;
            return Err(StoreError::Changed { path: PathBuf::from("/changed") });
        }
        self.inner.save(contents)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.inner.remove()
    }
}

fn text(stored: Option<&[u8]>) -> String {
    String::from_utf8(stored.unwrap_or_default().to_vec()).unwrap()
}

fn held_by(store: &dyn Store) -> String {
    text(store.load().unwrap().as_deref())
}

/// The client's at the server where Ada has her account.
fn request() -> SignInRequest {
    SignInRequest::new(Client::builder(Provider::gitlab(), "app").build().unwrap())
}

/// What a sign-in brings at a server that does not say who it was.
fn granted() -> TokenResponse {
    let mut flow = DeviceFlow::new(request().client().clone(), [7; 32]);
    let mut answers = [
        r#"{"device_code":"DC-canary","user_code":"A","verification_uri":"https://gitlab.com/device","expires_in":900}"#,
        r#"{"access_token":"AT-canary","token_type":"bearer","refresh_token":"RT2-canary"}"#,
    ]
    .into_iter();
    let mut now = Timestamp::ZERO;
    loop {
        match flow.next_action(now) {
            Action::SendRequest(out) => {
                flow.response(out.ticket, Response::new(200, answers.next().unwrap().as_bytes()), now).unwrap();
            }
            Action::ShowCode(_) => {}
            Action::Wait { until, .. } => now = until,
            Action::Done(outcome) => return outcome.unwrap(),
            Action::AwaitResponse | Action::Ended => panic!("it has an answer, and one outcome"),
        }
    }
}

#[test]
fn whom_the_server_does_not_name_is_moved_to_another_slot_and_forgotten_there() {
    for store in [disturbed(None, 1), disturbed(Some(MemoryStore::new()), 0)] {
        let (one, other) = (request().slot("one"), request().slot("other"));
        keep(&store, &one, &granted()).unwrap();
        let of = |request: &SignInRequest| request.find_account(&load(&store).unwrap()).unwrap();
        move_to_slot(&store, &one, &of(&one).unwrap(), "other").unwrap();
        let account = of(&other).unwrap();
        assert!(of(&one).is_none_or(|of_one| of_one != account));
        assert!(
            format!("{}{}", held_by(&store), store.unshared.iter().map(|store| held_by(store)).collect::<String>())
                .contains("RT2-canary")
        );
        forget_account(&store, &account).unwrap();
        assert!(of(&other).is_none_or(|of_other| of_other != account));
        // The others are still there.
        assert!(load(&store).unwrap().accounts().len() >= 2);
    }
}

fn is_changed(error: &SignInError) -> bool {
    matches!(error, SignInError::Store(error) if matches!(**error, StoreError::Changed { .. }))
}

#[test]
fn what_version_0_1_0_has_mixed_is_taken_apart_once() {
    let unshared = MemoryStore::new();
    let store = disturbed(Some(unshared.clone()), 0);
    for _ in 0..2 {
        try_store(&store, &request()).unwrap();
        let (shared, moved) = (held_by(&store), held_by(&unshared));
        assert!(shared.contains("grace") && !shared.contains("gitlab.com"), "{shared}");
        assert!(moved.contains("RT-canary") && moved.contains("ada") && !moved.contains("grace"), "{moved}");
        assert_eq!(store.saves.load(SeqCst), 1);
    }
    assert!(forget(&store, &request()).unwrap().is_some(), "Ada is found where she is now");
}

// Nobody comes in between again and again by chance.
#[test]
fn what_another_program_writes_during_the_move_is_kept_and_after_five_times_it_is_an_error() {
    for (disturbances, saves) in [(1, 2), (ROUNDS - 1, ROUNDS), (ROUNDS, ROUNDS), (usize::MAX, ROUNDS)] {
        let unshared = MemoryStore::new();
        let store = disturbed(Some(unshared.clone()), disturbances);
        let outcome = try_store(&store, &request());
        assert_eq!(store.saves.load(SeqCst), saves);
        let shared = held_by(&store);
        assert!((0..disturbances.min(saves)).all(|number| shared.contains(&format!("Strange{number}"))), "{shared}");
        assert!(held_by(&unshared).contains("RT-canary"));
        match outcome {
            Ok(()) => assert!(disturbances < ROUNDS && !shared.contains("RT-canary")),
            Err(error) => assert!(disturbances >= ROUNDS && is_changed(&error) && shared.contains("RT-canary")),
        }
    }
}

#[test]
fn what_another_program_writes_during_a_save_is_kept_and_after_five_times_it_is_an_error() {
    for (disturbances, saves) in [(0, 1), (ROUNDS - 1, ROUNDS), (ROUNDS, ROUNDS), (usize::MAX, ROUNDS)] {
        let store = disturbed(None, disturbances);
        let outcome = forget(&store, &request());
        assert_eq!(store.saves.load(SeqCst), saves);
        let stored = held_by(&store);
        assert!((0..disturbances.min(saves)).all(|number| stored.contains(&format!("Strange{number}"))), "{stored}");
        match outcome {
            Ok(gone) => assert!(disturbances < ROUNDS && gone.is_some() && !stored.contains("RT-canary")),
            Err(error) => assert!(disturbances >= ROUNDS && is_changed(&error) && stored.contains("RT-canary")),
        }
    }
}

// Who is busy is asked again; any other fault would only be hidden for as long.
#[test]
fn only_a_lease_or_a_lock_that_others_hold_is_busy() {
    let path = || PathBuf::from("/tokens");
    let holder = LockHolder { pid: None, name: String::new() };
    assert!(is_busy(&StoreError::Busy { path: path(), holder, waited: Duration::ZERO }.into()));
    for error in [StoreError::Changed { path: path() }.into(), SignInError::Cache(CacheError::NotAnObject)] {
        assert!(!is_busy(&error), "{error}");
    }
}

#[test]
fn debug_shows_no_token_of_a_refresh() {
    let store = disturbed(None, 0);
    let begun = begin_refresh(&store, request(), Duration::ZERO).unwrap();
    let shown = format!("{begun:?}");
    assert!(shown.ends_with("Refreshing { part: Whole, .. })") && !shown.contains("canary"), "{shown}");
}
