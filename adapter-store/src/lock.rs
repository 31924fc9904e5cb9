//! The lock of a file across processes: ours, and that of MSAL's extensions. The crate's documentation says who does what.

#[cfg(unix)]
mod holder;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::Lock;
#[cfg(windows)]
pub(crate) use windows::Lock;

use crate::{Holder, StoreError};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Waits in small steps that grow, and ends in [`StoreError::Busy`].
struct Wait {
    since: Instant,
    patience: Duration,
    step: Duration,
}

impl Wait {
    /// A person does not notice it, and MSAL waits 100 ms or more.
    const LONGEST: Duration = Duration::from_millis(50);

    fn new(patience: Duration) -> Self {
        Self { since: Instant::now(), patience, step: Duration::from_millis(1) }
    }

    /// Sleeps, or is out of patience with `holder`.
    fn step(&mut self, path: impl FnOnce() -> PathBuf, holder: impl FnOnce() -> Holder) -> Result<(), StoreError> {
        let left = self.patience.saturating_sub(self.since.elapsed());
        if left.is_zero() {
            return Err(StoreError::Busy { path: path(), holder: holder(), waited: self.patience });
        }
        thread::sleep(self.step.min(left));
        self.step = self.step.saturating_mul(2).min(Self::LONGEST);
        Ok(())
    }
}
