//! Owns the locks on Windows: `<file>.lockfile` and leases, opened without sharing and deleted with their handles, so
//! that they cannot be stale.

use super::{SharedWith, Wait, beside};
use crate::os::{Dir, failed};
use crate::{LockHolder, StoreError};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::windows::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

/// <https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-createfilew>
const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;

/// Another process has it open or has just deleted it: ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION,
/// ERROR_DELETE_PENDING.
const HELD: [i32; 3] = [5, 32, 303];

#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code, reason = "closing it releases the lock")] File);

impl Lock {
    /// Also takes over a file that a killed Node process has left, since no handle to it is open.
    pub(crate) fn take(
        dir: &Arc<Dir>,
        name: &OsStr,
        timeout: Duration,
        _shared_with: SharedWith,
    ) -> Result<Self, StoreError> {
        open_alone(dir, &beside(name, ".lockfile"), timeout).map(Self)
    }

    /// A file that is open without sharing cannot be deleted by others.
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "Unix has something to do here")]
    pub(crate) fn ensure_held(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// An owner's lease, held. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct LeaseFile(#[allow(dead_code, reason = "closing it gives the lease back")] File);

impl LeaseFile {
    pub(crate) fn take(dir: &Arc<Dir>, name: OsString, patience: Duration) -> Result<Self, StoreError> {
        open_alone(dir, &name, patience).map(Self)
    }
}

fn open_alone(dir: &Dir, name: &OsStr, timeout: Duration) -> Result<File, StoreError> {
    let mut wait = Wait::new(timeout);
    let path = dir.path(name);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    options.share_mode(0).custom_flags(FILE_FLAG_DELETE_ON_CLOSE);
    loop {
        match options.open(&path) {
            Ok(mut file) => {
                let _ = write!(file, "{} device-flow-store", std::process::id());
                return Ok(file);
            }
            Err(error) if error.raw_os_error().is_some_and(|code| HELD.contains(&code)) => {
                wait.step(|| path.clone(), || LockHolder { pid: None, name: String::new() })?;
            }
            Err(error) => return Err(failed("create", &path)(error)),
        }
    }
}
