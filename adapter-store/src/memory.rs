//! Owns the memory store, whose contents end with the process.

use crate::{Contents, LOCK_TIMEOUT, Lease, LockHolder, Locked, Store, StoreError};
use std::collections::HashSet;
use std::path::PathBuf;
use std::process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keeps the bytes in the memory of this process. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    locked: bool,
    /// The owners whose leases are held.
    leased: HashSet<String>,
    contents: Option<Contents>,
}

impl Shared {
    // Nothing that can panic runs while the mutex is held, so even a poisoned one is consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, once `held` is no longer true of it.
    fn wait_while(
        &self,
        patience: Duration,
        held: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'_, State>, StoreError> {
        let waited = self.released.wait_timeout_while(self.state(), patience, |state| held(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if held(&state) {
            let holder = LockHolder { pid: Some(process::id()), name: String::new() };
            return Err(StoreError::Busy { path: PathBuf::from("memory"), holder, waited: patience });
        }
        Ok(state)
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        Ok(self.0.state().contents.clone())
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        let mut state = self.0.wait_while(LOCK_TIMEOUT, |state| state.locked)?;
        state.locked = true;
        let current = state.contents.clone();
        drop(state);
        Ok(Box::new(LockedMemory { shared: Arc::clone(&self.0), current }))
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        let mut state = self.0.wait_while(patience, |state| state.leased.contains(owner))?;
        state.leased.insert(owner.to_owned());
        drop(state);
        Ok(Box::new(LeasedMemory { store: self.clone(), owner: owner.to_owned() }))
    }
}

struct LeasedMemory {
    store: MemoryStore,
    owner: String,
}

impl Lease for LeasedMemory {
    /// A program that gets no memory ends anyway.
    fn reserve(&mut self, _bytes: usize) -> Result<(), StoreError> {
        Ok(())
    }

    fn lock(&mut self) -> Result<Box<dyn Locked>, StoreError> {
        self.store.lock()
    }
}

impl Drop for LeasedMemory {
    fn drop(&mut self) {
        self.store.0.state().leased.remove(&self.owner);
        self.store.0.released.notify_all();
    }
}

struct LockedMemory {
    shared: Arc<Shared>,
    current: Option<Contents>,
}

impl Locked for LockedMemory {
    fn current(&self) -> Option<&[u8]> {
        self.current.as_deref()
    }

    fn reload(&mut self) -> Result<(), StoreError> {
        self.current = self.shared.state().contents.clone();
        Ok(())
    }

    fn save(&mut self, contents: Contents) -> Result<(), StoreError> {
        self.shared.state().contents = Some(contents.clone());
        self.current = Some(contents);
        Ok(())
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.shared.state().contents = None;
        self.current = None;
        Ok(())
    }
}

impl Drop for LockedMemory {
    fn drop(&mut self) {
        self.shared.state().locked = false;
        // All, because some wait for a lease.
        self.shared.released.notify_all();
    }
}
