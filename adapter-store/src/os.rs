//! What the system is asked to do with files: one folder, held open, and names in it. Every call passes a fault point before.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{Dir, Stamp};
#[cfg(windows)]
pub(crate) use windows::{Dir, Stamp};

use crate::StoreError;
use std::io;
use std::path::Path;

/// Larger than any token cache: ten times what 10,000 accounts take.
pub(crate) const LARGEST: u64 = 512 << 20;

pub(crate) fn failed<E: Into<io::Error>>(step: &'static str, path: &Path) -> impl FnOnce(E) -> StoreError + use<E> {
    let path = path.to_owned();
    move |source| StoreError::Io { step, path, source: source.into() }
}
