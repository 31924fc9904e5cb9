//! Windows: `<file>.lockfile`, opened for nobody else to share and deleted with its handle, so that it cannot outlive its holder.

use super::Wait;
use crate::os::{Dir, failed};
use crate::{Holder, StoreError};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::windows::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

/// <https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-createfilew>
const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;

/// Somebody has it open, or has just deleted it: ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_DELETE_PENDING.
const HELD: [i32; 3] = [5, 32, 303];

#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code, reason = "closing it gives the lock back")] File);

impl Lock {
    /// A file that a killed Node has left is taken over: it has no handle open.
    pub(crate) fn take(dir: &Arc<Dir>, name: &OsStr, patience: Duration) -> Result<Self, StoreError> {
        let mut wait = Wait::new(patience);
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
                    wait.step(|| path.clone(), || Holder { pid: None, name: String::new() })?;
                }
                Err(error) => return Err(failed("create", &path)(error)),
            }
        }
    }

    /// What is open for nobody else cannot be deleted either.
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "Unix has something to do here")]
    pub(crate) fn hold(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
