//! Owns the lock of a file between processes: our own, and those of MSAL's extensions; and leases. The crate
//! documentation explains them.

#[cfg(unix)]
mod author;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{LeaseFile, Lock};
#[cfg(windows)]
pub(crate) use windows::{LeaseFile, Lock};

use crate::{LockHolder, StoreError};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Which MSALs may lock the same file. It decides whether the lock of the folder, which is that of MSAL for Java, is
/// taken, too, and whether a lock file can be of somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SharedWith {
    /// None: only programs with this crate know the file. It may be locked while this process holds the lock of the folder
    /// for another file.
    NoMsal,
    /// Any of them. The lock of the folder is taken when it is there: then a Java program has it, or has left it.
    AnyMsal,
    /// That for Java, too, for certain.
    Java,
}

/// The beginning of the names of the leases of this file's store.
pub(crate) fn lease_prefix(file: &OsStr) -> OsString {
    beside(file, ".lease-")
}

/// The name of an owner's lease. Two owners with one hash wait for each other, which does no harm.
pub(crate) fn lease_name(file: &OsStr, owner: &str) -> OsString {
    // FNV-1a, because the name must be the same in every version of this crate and of Rust.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = owner.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    beside(&lease_prefix(file), &format!("{hash:016x}"))
}

fn beside(file: &OsStr, extension: &str) -> OsString {
    let mut name = file.to_owned();
    name.push(extension);
    name
}

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
