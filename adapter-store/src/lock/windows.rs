//! Owns the lock on Windows: `<file>.lockfile`, opened without sharing and deleted with its handle, so that it cannot
//! be stale.

use super::Wait;
use crate::os::{Dir, failed};
use crate::{LockHolder, StoreError};
use std::ffi::OsStr;
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
    pub(crate) fn take(dir: &Arc<Dir>, name: &OsStr, timeout: Duration, _folder: bool) -> Result<Self, StoreError> {
        let mut wait = Wait::new(timeout);
        let mut lockfile = name.to_owned();
        lockfile.push(".lockfile");
        let path = dir.path(&lockfile);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        options.share_mode(0).custom_flags(FILE_FLAG_DELETE_ON_CLOSE);
        loop {
            match options.open(&path) {
                Ok(mut file) => {
                    let _ = write!(file, "{} device-flow-store", std::process::id());
                    return Ok(Self(file));
                }
                Err(error) if error.raw_os_error().is_some_and(|code| HELD.contains(&code)) => {
                    wait.step(|| path.clone(), || LockHolder { pid: None, name: String::new() })?;
                }
                Err(error) => return Err(failed("create", &path)(error)),
            }
        }
    }

    /// A file that is open without sharing cannot be deleted by others.
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "Unix has something to do here")]
    pub(crate) fn ensure_held(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
