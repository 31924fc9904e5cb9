//! Owns the memory store, whose contents end with the process.

use crate::{Contents, LOCK_TIMEOUT, LockHolder, Locked, Store, StoreError};
use std::path::PathBuf;
use std::process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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
    contents: Option<Contents>,
}

impl Shared {
    // Nothing that can panic runs while the mutex is held, so even a poisoned one is consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let waited = self.0.released.wait_timeout_while(self.0.state(), LOCK_TIMEOUT, |state| state.locked);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            let holder = LockHolder { pid: Some(process::id()), name: String::new() };
            return Err(StoreError::Busy { path: PathBuf::from("memory"), holder, waited: LOCK_TIMEOUT });
        }
        state.locked = true;
        let current = state.contents.clone();
        drop(state);
        Ok(Box::new(LockedMemory { shared: Arc::clone(&self.0), current }))
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
        self.shared.released.notify_one();
    }
}
