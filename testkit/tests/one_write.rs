//! How often a sign-in writes to its store: once, however much it stores (row 6.23 of `docs/msal.md`).

use device_flow_blocking::{
    Accounts, Cancel, Contents, Http, Lease, Locked, MemoryStore, SignInRequest, Store, StoreError, run,
};
use device_flow_testkit::rotating::Rotating;
use device_flow_testkit::scaled::Skipping;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts the saves.
#[derive(Clone, Default)]
struct Counted {
    inner: MemoryStore,
    saves: Arc<AtomicUsize>,
}

impl Store for Counted {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        self.inner.load()
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        Ok(Box::new(CountedLock { inner: self.inner.lock()?, saves: Arc::clone(&self.saves) }))
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(CountedLease { inner: self.inner.lease(owner, patience)?, store: self.clone() }))
    }
}

struct CountedLease {
    inner: Box<dyn Lease>,
    store: Counted,
}

impl Lease for CountedLease {
    fn reserve(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.inner.reserve(bytes)
    }

    fn lock(&mut self) -> Result<Box<dyn Locked>, StoreError> {
        self.store.lock()
    }
}

struct CountedLock {
    inner: Box<dyn Locked>,
    saves: Arc<AtomicUsize>,
}

impl Locked for CountedLock {
    fn current(&self) -> Option<&[u8]> {
        self.inner.current()
    }

    fn reload(&mut self) -> Result<(), StoreError> {
        self.inner.reload()
    }

    fn save(&mut self, contents: Contents) -> Result<(), StoreError> {
        self.saves.fetch_add(1, Ordering::SeqCst);
        self.inner.save(contents)
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.inner.remove()
    }
}

#[test]
fn msal_6_23_a_sign_in_and_a_refresh_write_once_each_and_a_hit_never() {
    let (server, store) = (Rotating::new(3_600), Counted::default());
    let saves = || store.saves.load(Ordering::SeqCst);
    let http = || Http::builder().build().unwrap();
    let accounts = Accounts::new(http(), store.clone());
    let request = SignInRequest::new(server.client_builder().scope("mail").build().unwrap());
    let mut flow = Skipping::new(request.device_flow([7; 32]));
    let response = run(&http(), &mut flow, &Cancel::new(), |_| {}).unwrap();
    accounts.keep(&request, &response).unwrap();
    assert_eq!(saves(), 1);
    accounts.silent(&request, &Cancel::new()).unwrap();
    assert_eq!(saves(), 1);
    accounts.silent(&request.clone().force_refresh(), &Cancel::new()).unwrap();
    assert_eq!((saves(), server.refreshes()), (2, 1));
}
