//! Owns the lock that the extension of MSAL for Java takes: `.lockfile` in the folder of the cache, whatever its files
//! are called.
//!
//! Java creates the file, waits while it exists, then takes a record lock (fcntl) on it, and deletes it at the end.
//! Such a lock belongs to a process and not to a file that is open, and a process loses it when it closes any file that
//! it has opened under that name. So within a process a list says who has it, and nobody else opens the file meanwhile.

use super::author::Author;
use super::{SharedWith, Wait};
use crate::os::{Dir, Purpose, failed, try_record_lock};
use crate::{LockHolder, StoreError};

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};

const NAME: &str = ".lockfile";

/// The folders whose lock this process has, or is trying to get.
static TAKEN: Mutex<BTreeSet<(i128, i128)>> = Mutex::new(BTreeSet::new());

/// The lock, held. Dropping it releases it.
#[derive(Debug)]
pub(super) struct FolderLock {
    dir: Arc<Dir>,
    file: File,
    /// Java waits for as long as the file exists, so it goes; but one that no MSAL made is left.
    remove: bool,
    /// Dropped last.
    _place: Place,
}

impl FolderLock {
    /// `None` when it was not to be taken.
    pub(super) fn take(dir: &Arc<Dir>, shared_with: SharedWith, wait: &mut Wait) -> Result<Option<Self>, StoreError> {
        let name = OsStr::new(NAME);
        match shared_with {
            SharedWith::NoMsal => return Ok(None),
            SharedWith::AnyMsal if !dir.has_file(name) => return Ok(None),
            SharedWith::AnyMsal | SharedWith::Java => {}
        }
        let path = || dir.path(name);
        let id = dir.identity().map_err(failed("look at", &path()))?;
        let place = loop {
            match Place::take(id) {
                Some(place) => break place,
                None => wait.step(path, this_process)?,
            }
        };
        loop {
            let (mut file, made) = match dir.create_file(name) {
                Ok(file) => (file, true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    match dir.open_file(name, Purpose::Lock)? {
                        Some((file, _)) => (file, false),
                        None => continue,
                    }
                }
                Err(error) => return Err(failed("create", &path())(error)),
            };
            let mut text = vec![];
            Read::by_ref(&mut file).take(4_096).read_to_end(&mut text).map_err(failed("read", &path()))?;
            // A file system without locks has none to wait for; the file alone keeps Java out.
            if try_record_lock(&file).map_err(failed("lock", &path()))? == Some(false) {
                wait.step(path, || Author::parse(&text).holder())?;
            } else if dir.is_still(name, &file).map_err(failed("look at", &path()))? {
                let remove = made || text.is_empty() || Author::parse(&text).has_pid();
                let mut lock = Self { dir: Arc::clone(dir), file, remove, _place: place };
                lock.sign();
                return Ok(Some(lock));
            }
            // Its holder has deleted it meanwhile.
        }
    }

    /// Whether others still see it: Java deletes the file after it has unlocked it, which may be after we have locked
    /// it.
    pub(super) fn is_held(&self) -> bool {
        self.dir.is_still(OsStr::new(NAME), &self.file).unwrap_or(false)
    }

    /// A full disk does not keep us from holding it.
    fn sign(&mut self) {
        if self.remove && self.file.set_len(0).is_ok() && self.file.rewind().is_ok() {
            let _ = self.file.write_all(Author::of_this_process().as_bytes());
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing the file unlocks it.
        if self.remove && self.is_held() {
            let _ = self.dir.remove(OsStr::new(NAME));
        }
    }
}

fn this_process() -> LockHolder {
    Author::parse(Author::of_this_process().as_bytes()).holder()
}

/// The right of this process to open the file of one folder.
#[derive(Debug)]
struct Place((i128, i128));

impl Place {
    fn take(id: (i128, i128)) -> Option<Self> {
        let is_new = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        // Not `then_some`: one that is not needed would be dropped, and with it the right of another thread.
        is_new.then(|| Self(id))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}
