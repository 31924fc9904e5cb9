//! Owns the lock of a file between processes: our own, and those of MSAL's extensions. The crate documentation explains
//! them.

#[cfg(unix)]
mod author;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::Lock;
#[cfg(windows)]
pub(crate) use windows::Lock;

use crate::{LockHolder, StoreError};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Waits in small steps that grow, until a timeout that is [`StoreError::Busy`].
struct Wait {
    since: Instant,
    timeout: Duration,
    step: Duration,
}

impl Wait {
    /// Short enough not to be noticed; MSAL waits 100 ms or more.
    const LONGEST: Duration = Duration::from_millis(50);

    fn new(timeout: Duration) -> Self {
        Self { since: Instant::now(), timeout, step: Duration::from_millis(1) }
    }

    /// Sleeps for a step, or reports `holder` when the time is up.
    fn step(&mut self, path: impl FnOnce() -> PathBuf, holder: impl FnOnce() -> LockHolder) -> Result<(), StoreError> {
        let left = self.timeout.saturating_sub(self.since.elapsed());
        if left.is_zero() {
            return Err(StoreError::Busy { path: path(), holder: holder(), waited: self.timeout });
        }
        thread::sleep(self.step.min(left));
        self.step = self.step.saturating_mul(2).min(Self::LONGEST);
        Ok(())
    }
}
