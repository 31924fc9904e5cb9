//! Unix: `<file>.flock` among ourselves, `<file>.lockfile` among all.

use super::Wait;
use super::holder::Author;
use crate::os::{Dir, Stamp, failed};
use crate::{Holder, StoreError, fault};
use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How long nobody may have touched a lock file before it can be dead. MSAL for Python goes on after the same time.
const QUIET: Duration = Duration::from_secs(5);

/// How often we touch ours, so that those see it living who see neither our process nor our `flock`.
const BEAT: Duration = Duration::from_secs(1);

/// What a file system says that knows no locks.
const NO_LOCKS: [Errno; 6] = [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL, Errno::BADF];

/// Both locks, held. Dropping it gives them back, the one of MSAL first.
#[derive(Debug)]
pub(crate) struct Lock {
    shared: Shared,
    /// Closed last. `None` on a file system without locks.
    turn: Option<File>,
    patience: Duration,
}

impl Lock {
    pub(crate) fn take(dir: &Arc<Dir>, name: &OsStr, patience: Duration) -> Result<Self, StoreError> {
        let mut wait = Wait::new(patience);
        let beside = |extension| {
            let mut name = name.to_owned();
            name.push(extension);
            name
        };
        let lockfile = beside(".lockfile");
        let turn = take_turn(dir, &beside(".flock"), &lockfile, &mut wait)?;
        let shared = Shared::take(dir, lockfile, turn.is_some(), &mut wait)?;
        Ok(Self { shared, turn, patience })
    }

    /// Makes sure that it is still held: takes the lock file again if somebody has deleted ours.
    pub(crate) fn hold(&mut self) -> Result<(), StoreError> {
        if !self.shared.is_ours() {
            let mut wait = Wait::new(self.patience);
            let (dir, name) = (Arc::clone(&self.shared.dir), self.shared.name.clone());
            self.shared = Shared::take(&dir, name, self.turn.is_some(), &mut wait)?;
        }
        Ok(())
    }
}

/// Whether we have it now; `None` when there is no such lock here, as on some network file systems.
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

fn take_turn(dir: &Dir, name: &OsStr, lockfile: &OsStr, wait: &mut Wait) -> Result<Option<File>, StoreError> {
    let file = dir.open_or_create(name)?;
    loop {
        match try_flock(&file).map_err(failed("lock", &dir.path(name)))? {
            Some(true) => return Ok(Some(file)),
            None => return Ok(None),
            // Whose turn it is has written so into the other file.
            Some(false) => wait.step(
                || dir.path(lockfile),
                || match Seen::look(dir, lockfile) {
                    Ok(Some(seen)) => seen.author.holder(),
                    Ok(None) | Err(_) => Holder { pid: None, name: String::new() },
                },
            )?,
        }
    }
}

/// The lock file that MSAL's extensions know, held.
#[derive(Debug)]
struct Shared {
    dir: Arc<Dir>,
    name: OsString,
    file: Arc<File>,
    /// Dropping it ends the thread that touches the file.
    beat: Option<mpsc::Sender<()>>,
}

impl Shared {
    fn take(dir: &Arc<Dir>, name: OsString, our_turn: bool, wait: &mut Wait) -> Result<Self, StoreError> {
        let mut quiet: Option<(Seen, Instant)> = None;
        loop {
            match dir.create_file(&name) {
                Ok(file) => {
                    let made = Self { dir: Arc::clone(dir), name: name.clone(), file: Arc::new(file), beat: None };
                    // Python may have come between; it holds it then, and deletes it afterwards.
                    match try_flock(&made.file).map_err(failed("lock", &dir.path(&name)))? {
                        Some(true) | None => return Ok(made.sign()),
                        Some(false) => made.leave(),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("create", &dir.path(&name))(error)),
            }
            let Some(seen) = Seen::look(dir, &name)? else { continue };
            if !quiet.as_ref().is_some_and(|(before, _)| before.is_as(&seen)) {
                quiet = Some((seen.clone(), Instant::now()));
            }
            let watched = quiet.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
            if seen.may_be_dead(our_turn, watched)
                && try_flock(&seen.file).map_err(failed("lock", &dir.path(&name)))? != Some(false)
            {
                // Taken over where it is, under its own lock: nobody sees it missing. Looked at again, because its owner may
                // have given it back, or another have taken it over, before we locked it.
                let lock = Self { dir: Arc::clone(dir), name: name.clone(), file: Arc::clone(&seen.file), beat: None };
                if lock.is_ours() && Seen::look(dir, &name)?.is_some_and(|now| now.is_as(&seen)) {
                    return Ok(lock.sign());
                }
                lock.leave();
            }
            wait.step(|| dir.path(&name), || seen.author.holder())?;
        }
    }

    /// Says whose it is, and keeps touching it. That the disk is full is no reason not to hold it.
    fn sign(mut self) -> Self {
        let mut file = &*self.file;
        if fault::point("write-lock-file").is_ok() && file.set_len(0).is_ok() && file.rewind().is_ok() {
            let _ = file.write_all(Author::me().as_bytes());
        }
        let (ended, end) = mpsc::channel::<()>();
        let touched = Arc::clone(&self.file);
        let beat = thread::Builder::new().name("device-flow-store lock".to_owned()).spawn(move || {
            while end.recv_timeout(BEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
                let _ = rustix::fs::futimens(&touched, &Timestamps { last_access: now, last_modification: now });
            }
        });
        // Without a thread it is seen living only by those who see our process or our flock.
        self.beat = beat.ok().map(|_| ended);
        self
    }

    /// Whether the name still leads to the file that we hold.
    fn is_ours(&self) -> bool {
        let there = self.dir.stamp(&self.name).ok().flatten();
        let ours = Stamp::of(&self.file).ok();
        there.zip(ours).is_some_and(|(there, ours)| there.same_file(ours))
    }

    /// Closes it, and lets the file be.
    fn leave(mut self) {
        self.name.clear();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Its thread ends by itself, and is not waited for.
        self.beat = None;
        // Deleted before it is unlocked, so that whoever waits for that finds it gone.
        if !self.name.is_empty() && self.is_ours() {
            let _ = self.dir.remove(&self.name);
        }
        // That thread may still have it open.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

/// A lock file of somebody, as it was at one moment.
#[derive(Debug, Clone)]
struct Seen {
    file: Arc<File>,
    stamp: Stamp,
    author: Author,
    written: SystemTime,
}

impl Seen {
    fn look(dir: &Dir, name: &OsStr) -> Result<Option<Self>, StoreError> {
        let path: PathBuf = dir.path(name);
        let Some((file, _)) = dir.open_file(name, true)? else { return Ok(None) };
        let stamp = Stamp::of(&file).map_err(failed("look at", &path))?;
        let written = file.metadata().and_then(|about| about.modified()).map_err(failed("look at", &path))?;
        let mut text = vec![];
        (&file).take(4_096).read_to_end(&mut text).map_err(failed("read", &path))?;
        Ok(Some(Self { file: Arc::new(file), stamp, author: Author::parse(&text), written }))
    }

    /// Nobody has touched it in between.
    fn is_as(&self, other: &Self) -> bool {
        self.stamp == other.stamp && self.author == other.author
    }

    /// As far as can be told without its `flock`: who has that lives.
    fn may_be_dead(&self, our_turn: bool, watched: Duration) -> bool {
        (our_turn && self.author.is_ours_here()) || (watched >= QUIET && !self.author.lives(self.written))
    }
}
