//! Owns all file operations: one folder, held open, and names in it. A fault point comes before every call.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{Dir, Stamp, Temporary, make_room, overwrite, temporary_folder, try_flock, try_record_lock};
#[cfg(windows)]
pub(crate) use windows::{Dir, Stamp, Temporary, make_room, overwrite, temporary_folder};

use crate::StoreError;
use std::io;
use std::io::ErrorKind;
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

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    /// To write in place.
    Write,
    #[cfg(unix)]
    Lock,
}

/// Whether the folder, its disk or a mount refused to make or to replace a file. The file itself may still be written.
pub(crate) fn is_refused_by_folder(error: &StoreError) -> bool {
    const KINDS: [ErrorKind; 6] = [
        ErrorKind::PermissionDenied,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::ResourceBusy,
        ErrorKind::CrossesDevices,
    ];
    matches!(error, StoreError::Io { source, .. } if KINDS.contains(&source.kind()))
}

pub(crate) fn failed<E: Into<io::Error>>(step: &'static str, path: &Path) -> impl FnOnce(E) -> StoreError + use<E> {
    let path = path.to_owned();
    move |source| StoreError::Io { step, path, source: source.into() }
}
