//! Owns the locks on Unix: `<file>.flock` between processes of this crate, `<file>.lockfile` between all but Java's.

use super::Wait;
use super::author::Author;
use super::folder::FolderLock;
use crate::os::{Dir, Stamp, failed};
use crate::{LockHolder, StoreError, fault};
use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How long a lock file must be untouched before it can be dead. MSAL for Python goes on after the same time.
const QUIET: Duration = Duration::from_secs(5);

/// How often we touch ours, for those who see neither our process nor our `flock`.
const BEAT: Duration = Duration::from_secs(1);

/// The errors of a file system without locks.
pub(super) const NO_LOCKS: [Errno; 6] =
    [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL, Errno::BADF];

/// All locks, held. Dropping it releases them, in the reverse order.
///
/// The order is that of how long others wait: our processes first, then Java, and last Go and Python, which give up or
/// go on without the lock after five seconds. No program of another's takes two of them, so nobody can wait in a
/// circle.
#[derive(Debug)]
pub(crate) struct Lock {
    shared: SharedLock,
    /// `None` when no Java program shares the folder.
    folder: Option<FolderLock>,
    always_folder: bool,
    /// Our own lock, closed last. `None` on a file system without locks.
    own: Option<File>,
    timeout: Duration,
}

impl Lock {
    /// With the lock of the folder, for Java, when `always_folder` or when it is there.
    pub(crate) fn take(
        dir: &Arc<Dir>,
        name: &OsStr,
        timeout: Duration,
        always_folder: bool,
    ) -> Result<Self, StoreError> {
        let mut wait = Wait::new(timeout);
        let beside = |extension| {
            let mut name = name.to_owned();
            name.push(extension);
            name
        };
        let lockfile = beside(".lockfile");
        let own = take_own(dir, &beside(".flock"), &lockfile, &mut wait)?;
        let folder = FolderLock::take(dir, always_folder, &mut wait)?;
        let shared = SharedLock::take(dir, lockfile, own.is_some(), &mut wait)?;
        Ok(Self { shared, folder, always_folder, own, timeout })
    }

    /// Makes sure that it is still held: takes the lock files again if somebody has deleted ours.
    pub(crate) fn ensure_held(&mut self) -> Result<(), StoreError> {
        if self.folder.as_ref().is_some_and(|folder| !folder.is_held()) {
            // First let go, since this process may hold only one.
            self.folder = None;
            self.folder = FolderLock::take(&self.shared.dir, self.always_folder, &mut Wait::new(self.timeout))?;
        }
        if !self.shared.is_ours() {
            let mut wait = Wait::new(self.timeout);
            let (dir, name) = (Arc::clone(&self.shared.dir), self.shared.name.clone());
            self.shared = SharedLock::take(&dir, name, self.own.is_some(), &mut wait)?;
        }
        Ok(())
    }
}

/// Whether we hold it now; `None` when the file system has no such lock, as some network file systems.
fn try_flock(file: &File) -> io::Result<Option<bool>> {
    match fault::point("flock") {
        Err(error) if Errno::from_io_error(&error).is_some_and(|errno| NO_LOCKS.contains(&errno)) => return Ok(None),
        passed => passed?,
    }
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(true)),
        Err(Errno::WOULDBLOCK | Errno::INTR | Errno::ACCESS) => Ok(Some(false)),
        Err(errno) if NO_LOCKS.contains(&errno) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn take_own(dir: &Dir, name: &OsStr, lockfile: &OsStr, wait: &mut Wait) -> Result<Option<File>, StoreError> {
    let file = dir.open_or_create(name)?;
    loop {
        match try_flock(&file).map_err(failed("lock", &dir.path(name)))? {
            Some(true) => return Ok(Some(file)),
            None => return Ok(None),
            // The holder has written its name into the other file.
            Some(false) => wait.step(
                || dir.path(lockfile),
                || match LockFile::read(dir, lockfile) {
                    Ok(Some(found)) => found.author.holder(),
                    Ok(None) | Err(_) => LockHolder { pid: None, name: String::new() },
                },
            )?,
        }
    }
}

/// The lock file that MSAL's extensions know, held.
#[derive(Debug)]
struct SharedLock {
    dir: Arc<Dir>,
    name: OsString,
    file: Arc<File>,
    /// Dropping it ends the thread that touches the file.
    beat: Option<mpsc::Sender<()>>,
}

impl SharedLock {
    fn take(dir: &Arc<Dir>, name: OsString, own_held: bool, wait: &mut Wait) -> Result<Self, StoreError> {
        let mut quiet: Option<(LockFile, Instant)> = None;
        loop {
            match dir.create_file(&name) {
                Ok(file) => {
                    let made = Self { dir: Arc::clone(dir), name: name.clone(), file: Arc::new(file), beat: None };
                    // Python may have come between. Then it holds the lock, and deletes the file afterwards.
                    match try_flock(&made.file).map_err(failed("lock", &dir.path(&name)))? {
                        Some(true) | None => return Ok(made.sign()),
                        Some(false) => made.leave(),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("create", &dir.path(&name))(error)),
            }
            let Some(found) = LockFile::read(dir, &name)? else { continue };
            if !quiet.as_ref().is_some_and(|(before, _)| before.is_unchanged(&found)) {
                quiet = Some((found.clone(), Instant::now()));
            }
            let watched = quiet.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
            if found.may_be_dead(own_held, watched)
                && try_flock(&found.file).map_err(failed("lock", &dir.path(&name)))? != Some(false)
            {
                // Taken over in place, under its own lock, so that nobody sees it missing. Checked again, because its
                // holder may have released it, or another process have taken it over, before we locked it.
                let lock = Self { dir: Arc::clone(dir), name: name.clone(), file: Arc::clone(&found.file), beat: None };
                if lock.is_ours() && LockFile::read(dir, &name)?.is_some_and(|now| now.is_unchanged(&found)) {
                    return Ok(lock.sign());
                }
                lock.leave();
            }
            wait.step(|| dir.path(&name), || found.author.holder())?;
        }
    }

    /// Writes our name into it and keeps touching it. A full disk does not keep us from holding it.
    fn sign(mut self) -> Self {
        let mut file = &*self.file;
        if fault::point("write-lock-file").is_ok() && file.set_len(0).is_ok() && file.rewind().is_ok() {
            let _ = file.write_all(Author::of_this_process().as_bytes());
        }
        let (ended, end) = mpsc::channel::<()>();
        let touched = Arc::clone(&self.file);
        let beat = thread::Builder::new().name("device-flow-store lock".to_owned()).spawn(move || {
            while end.recv_timeout(BEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
                let _ = rustix::fs::futimens(&touched, &Timestamps { last_access: now, last_modification: now });
            }
        });
        // Without the thread only those who see our process or our flock know that it is alive.
        self.beat = beat.ok().map(|_| ended);
        self
    }

    /// Whether the name still belongs to the file that we hold.
    fn is_ours(&self) -> bool {
        let there = self.dir.stamp(&self.name).ok().flatten();
        let ours = Stamp::of(&self.file).ok();
        there.zip(ours).is_some_and(|(there, ours)| there.same_file(ours))
    }

    /// Closes the file without deleting it.
    fn leave(mut self) {
        self.name.clear();
    }
}

impl Drop for SharedLock {
    fn drop(&mut self) {
        // The thread ends by itself and is not waited for.
        self.beat = None;
        // Deleted before it is unlocked, so that a process that waits for the lock finds the file gone.
        if !self.name.is_empty() && self.is_ours() {
            let _ = self.dir.remove(&self.name);
        }
        // The thread may still have the file open.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

/// A lock file of any process, as it was at one moment.
#[derive(Debug, Clone)]
struct LockFile {
    file: Arc<File>,
    stamp: Stamp,
    author: Author,
    written: SystemTime,
}

impl LockFile {
    fn read(dir: &Dir, name: &OsStr) -> Result<Option<Self>, StoreError> {
        let path: PathBuf = dir.path(name);
        let Some((file, _)) = dir.open_file(name, true)? else { return Ok(None) };
        let stamp = Stamp::of(&file).map_err(failed("look at", &path))?;
        let written = file.metadata().and_then(|about| about.modified()).map_err(failed("look at", &path))?;
        let mut text = vec![];
        (&file).take(4_096).read_to_end(&mut text).map_err(failed("read", &path))?;
        Ok(Some(Self { file: Arc::new(file), stamp, author: Author::parse(&text), written }))
    }

    /// Whether nobody has touched it in between.
    fn is_unchanged(&self, other: &Self) -> bool {
        self.stamp == other.stamp && self.author == other.author
    }

    /// As far as can be known without trying its `flock`, which only a living process holds.
    fn may_be_dead(&self, own_held: bool, watched: Duration) -> bool {
        (own_held && self.author.is_ours_here()) || (watched >= QUIET && !self.author.is_alive(self.written))
    }
}
