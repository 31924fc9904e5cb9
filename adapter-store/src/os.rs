//! Owns all file operations: one folder, held open, and names in it. A fault point comes before every call.

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

/// Larger than any token cache: ten times the size of 10,000 accounts.
pub(crate) const LARGEST: u64 = 512 << 20;

/// What a file allowed that it should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(windows, allow(dead_code, reason = "files inherit the rights of their folder there"))]
pub(crate) enum Laxity {
    /// Nothing.
    None,
    /// Others could read it.
    Readable,
    /// The group of this user could write to it.
    GroupWritable,
}

pub(crate) fn failed<E: Into<io::Error>>(step: &'static str, path: &Path) -> impl FnOnce(E) -> StoreError + use<E> {
    let path = path.to_owned();
    move |source| StoreError::Io { step, path, source: source.into() }
}
