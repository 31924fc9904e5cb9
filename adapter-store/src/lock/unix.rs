//! Owns the locks on Unix: `<file>.flock` between processes of this crate, `<file>.lockfile` between all but Java's; and
//! the leases.

use super::author::Author;
use super::folder::FolderLock;
use super::{SharedWith, Wait, beside};
use crate::os::{Dir, Purpose, Stamp, failed, is_refused_by_folder, try_flock};
use crate::{LockHolder, StoreError, fault};
use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW};
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

// A process that is held up for some beats is not dead.
const _: () = assert!(BEAT.as_millis() * 5 <= QUIET.as_millis());

/// All locks, held. Dropping it releases them, in the reverse order.
///
/// The order is that of how long others wait: our processes first, then Java, and last Go and Python, which give up or
/// go on without the lock after five seconds. No program of another's takes two of them, so nobody can wait in a
/// circle.
#[derive(Debug)]
pub(crate) struct Lock {
    /// `None` where the folder takes no lock file, and so none of MSAL's either.
    shared: Option<SharedLock>,
    /// `None` when no Java program shares the folder, or where the folder takes no lock file.
    folder: Option<FolderLock>,
    /// It has to be taken again, which has failed so far.
    folder_lost: bool,
    dir: Arc<Dir>,
    shared_with: SharedWith,
    /// Our own locks, released last. None on a file system without locks.
    own: Vec<File>,
    timeout: Duration,
}

impl Lock {
    pub(crate) fn take(
        dir: &Arc<Dir>,
        name: &OsStr,
        timeout: Duration,
        shared_with: SharedWith,
    ) -> Result<Self, StoreError> {
        let mut wait = Wait::new(timeout);
        let (flock, lockfile) = (beside(name, ".flock"), beside(name, ".lockfile"));
        // The holder has written its name into the other file.
        let holder = || match LockFile::read(dir, &lockfile) {
            Ok(Some(found)) => found.author.holder(),
            Ok(None) | Err(_) => LockHolder { pid: None, name: String::new() },
        };
        let mut own = vec![];
        let refused = match flocked(dir, &flock, || dir.open_or_create(&flock).map(Some), holder, &mut wait) {
            Err(error) if is_refused_by_folder(&error) => true,
            outcome => {
                own.extend(outcome?);
                false
            }
        };
        // The file itself takes the place of a lock file that cannot be made; and a file that is mounted alone is
        // shared with processes that see another folder. It stays the same file, because it cannot be replaced there.
        if refused || dir.is_pinned(name) {
            let open = || open_to_lock(dir, name);
            own.extend(flocked(dir, name, open, holder, &mut wait)?);
        }
        let folder = take_folder(dir, shared_with, !own.is_empty(), &mut wait)?;
        let shared = match SharedLock::take(dir, lockfile, Rule::of(shared_with, &own), &mut wait) {
            Err(error @ StoreError::Io { step: "create", .. }) if is_refused_by_folder(&error) && !own.is_empty() => {
                None
            }
            outcome => Some(outcome?),
        };
        Ok(Self { shared, folder, folder_lost: false, dir: Arc::clone(dir), shared_with, own, timeout })
    }

    /// Makes sure that it is still held: takes the lock files again if somebody has deleted ours.
    pub(crate) fn ensure_held(&mut self) -> Result<(), StoreError> {
        self.folder_lost |= self.folder.as_ref().is_some_and(|folder| !folder.is_held());
        if self.folder_lost {
            // First let go, since this process may hold only one.
            self.folder = None;
            let mut wait = Wait::new(self.timeout);
            self.folder = take_folder(&self.dir, self.shared_with, !self.own.is_empty(), &mut wait)?;
            self.folder_lost = false;
        }
        if let Some(shared) = self.shared.as_mut().filter(|shared| !shared.is_ours()) {
            let mut wait = Wait::new(self.timeout);
            let (dir, name) = (Arc::clone(&shared.dir), shared.name.clone());
            *shared = SharedLock::take(&dir, name, Rule::of(self.shared_with, &self.own), &mut wait)?;
        }
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.shared = None;
        self.folder = None;
        // Closing does not unlock what a process that was just started has open, too.
        for file in &self.own {
            let _ = rustix::fs::flock(file, FlockOperation::Unlock);
        }
    }
}

/// `None` when no Java program shares the folder, or where it takes no lock file and so none of Java's either.
fn take_folder(
    dir: &Arc<Dir>,
    shared_with: SharedWith,
    own_held: bool,
    wait: &mut Wait,
) -> Result<Option<FolderLock>, StoreError> {
    match FolderLock::take(dir, shared_with, wait) {
        Err(error @ StoreError::Io { step: "create", .. }) if is_refused_by_folder(&error) && own_held => Ok(None),
        outcome => outcome,
    }
}

/// The store's file: for writing if possible, because some file systems lock nothing else.
fn open_to_lock(dir: &Dir, name: &OsStr) -> Result<Option<File>, StoreError> {
    let opened = dir.open_file(name, Purpose::Write).or_else(|_| dir.open_file(name, Purpose::Read))?;
    Ok(opened.map(|(file, _)| file))
}

/// Waits for the `flock` of a file that keeps its name. `None`: there is no such file, or the file system has no locks.
fn flocked(
    dir: &Dir,
    name: &OsStr,
    open: impl Fn() -> Result<Option<File>, StoreError>,
    holder: impl Fn() -> LockHolder,
    wait: &mut Wait,
) -> Result<Option<File>, StoreError> {
    loop {
        let Some(file) = open()? else { return Ok(None) };
        match try_flock(&file).map_err(failed("lock", &dir.path(name)))? {
            None => return Ok(None),
            Some(true) if dir.is_still(name, &file).unwrap_or(true) => return Ok(Some(file)),
            Some(_) => wait.step(|| dir.path(name), &holder)?,
        }
    }
}

/// An owner's lease, held. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct LeaseFile(#[allow(dead_code, reason = "dropping it gives the lease back")] SharedLock);

impl LeaseFile {
    pub(crate) fn take(dir: &Arc<Dir>, name: OsString, patience: Duration) -> Result<Self, StoreError> {
        SharedLock::take(dir, name, Rule::Ours, &mut Wait::new(patience)).map(Self)
    }
}

/// When a lock file whose `flock` is free is dead.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// It may be of a program that takes no `flock`. `own_held`: no process of ours on this host holds it.
    Shared { own_held: bool },
    /// It is of this crate alone.
    Ours,
}

impl Rule {
    fn of(shared_with: SharedWith, own: &[File]) -> Self {
        match shared_with {
            SharedWith::NoMsal => Self::Ours,
            SharedWith::AnyMsal | SharedWith::Java => Self::Shared { own_held: !own.is_empty() },
        }
    }
}

/// A lock file that is there as long as it is held: the one that MSAL's extensions know, or that of a lease.
#[derive(Debug)]
struct SharedLock {
    dir: Arc<Dir>,
    name: OsString,
    file: Arc<File>,
    /// Dropping it ends the thread that touches the file.
    beat: Option<mpsc::Sender<()>>,
}

impl SharedLock {
    fn take(dir: &Arc<Dir>, name: OsString, rule: Rule, wait: &mut Wait) -> Result<Self, StoreError> {
        let mut quiet: Option<(LockFile, Instant)> = None;
        loop {
            let made = match dir.create_file(&name) {
                Ok(file) => {
                    let made = Self { dir: Arc::clone(dir), name: name.clone(), file: Arc::new(file), beat: None };
                    // Python may have come between. Then it holds the lock, and deletes the file afterwards. So may a
                    // process that takes over, or removes, what it thinks was left behind.
                    match try_flock(&made.file).map_err(failed("lock", &dir.path(&name)))? {
                        Some(true) | None if made.is_ours() => return Ok(made.sign()),
                        _ => made.leave(),
                    }
                    Ok(())
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(failed("create", &dir.path(&name))(error)),
            };
            let Some(found) = LockFile::read(dir, &name)? else {
                made?;
                continue;
            };
            if !quiet.as_ref().is_some_and(|(before, _)| before.is_unchanged(&found)) {
                quiet = Some((found.clone(), Instant::now()));
            }
            let watched = quiet.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
            if found.may_be_dead(rule, watched) {
                let flocked = try_flock(&found.file).map_err(failed("lock", &dir.path(&name)))?;
                // Taken over in place, under its own lock, so that nobody sees it missing. Checked again, because its
                // holder may have released it, or another process have taken it over, before we locked it.
                let lock = Self { dir: Arc::clone(dir), name: name.clone(), file: Arc::clone(&found.file), beat: None };
                if found.is_dead(rule, watched, flocked)
                    && lock.is_ours()
                    && LockFile::read(dir, &name)?.is_some_and(|now| now.is_unchanged(&found))
                {
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
        // Not held open by the thread, which ends a little later.
        let touched = Arc::downgrade(&self.file);
        let beat = thread::Builder::new().name("device-flow-store lock".to_owned()).spawn(move || {
            while end.recv_timeout(BEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let Some(touched) = touched.upgrade() else { return };
                let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
                let _ = rustix::fs::futimens(&*touched, &Timestamps { last_access: now, last_modification: now });
            }
        });
        // Without the thread only those who see our process or our flock know that it is alive.
        self.beat = beat.ok().map(|_| ended);
        self
    }

    /// Whether the name still belongs to the file that we hold.
    fn is_ours(&self) -> bool {
        self.dir.is_still(&self.name, &self.file).unwrap_or(false)
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
        // The thread may be about to touch it, or a process that was just started have it open.
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
        let Some((file, _)) = dir.open_file(name, Purpose::Lock)? else { return Ok(None) };
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
    fn may_be_dead(&self, rule: Rule, watched: Duration) -> bool {
        match rule {
            Rule::Shared { own_held } => (own_held && self.author.is_ours_here()) || self.is_quiet(watched),
            Rule::Ours => true,
        }
    }

    /// Now that its `flock` was tried.
    fn is_dead(&self, rule: Rule, watched: Duration, flocked: Option<bool>) -> bool {
        match (rule, flocked) {
            (_, Some(false)) => false,
            (Rule::Shared { .. }, _) => true,
            // The locks of some network file systems are those of one host.
            (Rule::Ours, Some(true)) if !self.author.is_elsewhere() => true,
            (Rule::Ours, _) => self.is_quiet(watched),
        }
    }

    /// Whether its process, if it is known, does not run, and nobody has touched it for long.
    fn is_quiet(&self, watched: Duration) -> bool {
        watched >= QUIET && !self.author.is_alive(self.written)
    }
}

#[cfg(test)]
mod tests;
