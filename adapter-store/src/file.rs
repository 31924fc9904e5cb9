//! Owns the file store: it replaces a file as a whole, or else writes it in place, under a lock.

mod lease;

use crate::lock::{Lock, SharedWith, lease_prefix};
use crate::os::{self, Dir, Laxity, Purpose, Stamp, Temporary};
use crate::{Contents, LOCK_TIMEOUT, Lease, Locked, Store, StoreError};
use lease::{FileLease, Reserved, Room};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf, is_separator};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Keeps the bytes in a file, which it replaces as a whole: a reader, or a computer that loses power, sees the old or
/// the new one. Where no file can take its place, it writes in it; see [the crate
/// documentation](crate#full-and-read-only-disks).
///
/// Only this user can read or write the file (0600, and 0700 for a folder that it creates), from its first byte. See
/// the [crate documentation](crate) for what is refused, and for the lock. Clones are the same store.
#[derive(Clone)]
pub struct FileStore {
    place: Arc<Place>,
    lock_timeout: Duration,
    shared_with: SharedWith,
    on_warning: Arc<dyn Fn(&FileWarning) + Send + Sync>,
}

/// Something that was repaired and that a person may want to know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileWarning {
    /// Others could read the file. They no longer can, but may have.
    #[error("others could read {path:?}, which holds tokens; it is now readable by you alone")]
    Tightened {
        /// Which file.
        path: PathBuf,
    },
    /// The user's own group could write to the file, as under the umask 002 of some systems. It no longer can.
    #[error("your group could write to {path:?}, which holds tokens; it is now yours alone")]
    GroupCouldWrite {
        /// Which file.
        path: PathBuf,
    },
}

#[derive(Debug)]
struct Place {
    folder: PathBuf,
    name: OsString,
}

/// The age at which a lease that a killed process has left behind is removed; until then it waits for its owner.
const LEASE_FORGOTTEN: Duration = Duration::from_secs(15 * 60);

impl FileStore {
    /// The store in this file. Nothing is read or created yet.
    ///
    /// # Errors
    /// [`StoreError::NoFileName`] when the path ends in no name.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let place = Arc::new(Place::of(&path).ok_or(StoreError::NoFileName(path))?);
        Ok(Self { place, lock_timeout: LOCK_TIMEOUT, shared_with: SharedWith::AnyMsal, on_warning: Arc::new(|_| {}) })
    }

    /// How long to wait for the lock: 60 s unless set. Less than 6 s is too short to find out that the holder of a lock
    /// is dead.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Says that a program with the extension of MSAL for Java uses the file, too.
    ///
    /// That extension does not lock the file: it locks the folder, with a file `.lockfile` in it that is there only
    /// while the lock is held. This takes that lock, too, each time; all stores of this process in the folder then wait
    /// for each other. Otherwise it is taken only when a Java program holds it at that moment. On Windows this changes
    /// nothing.
    #[must_use]
    pub fn shared_with_java(mut self) -> Self {
        self.shared_with = SharedWith::Java;
        self
    }

    /// Says that no MSAL knows the file: it is of programs with this crate alone.
    ///
    /// A lock file of a killed process is then never taken for that of an MSAL that has not yet written into it, and is
    /// taken over at once, not after 5 s.
    #[must_use]
    pub fn not_shared(mut self) -> Self {
        self.shared_with = SharedWith::NoMsal;
        self
    }

    /// Called with each repair, on the thread that loads.
    #[must_use]
    pub fn on_warning(mut self, on_warning: impl Fn(&FileWarning) + Send + Sync + 'static) -> Self {
        self.on_warning = Arc::new(on_warning);
        self
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.place.folder.join(&self.place.name)
    }

    /// As [`Store::lock`]; the first save uses the room.
    fn lock_with(&self, room: Room) -> Result<Box<dyn Locked>, StoreError> {
        let dir = Arc::new(Dir::create(&self.place.folder)?);
        let lock = Lock::take(&dir, &self.place.name, self.lock_timeout, self.shared_with)?;
        let (current, stamp) = self.read(&dir)?;
        Ok(Box::new(LockedFile { store: self.clone(), dir, lock, current, stamp, room }))
    }

    fn read(&self, dir: &Dir) -> Result<(Option<Contents>, Option<Stamp>), StoreError> {
        let Some((contents, stamp, laxity)) = dir.read(&self.place.name)? else { return Ok((None, None)) };
        match laxity {
            Laxity::None => {}
            Laxity::Readable => (self.on_warning)(&FileWarning::Tightened { path: self.path() }),
            Laxity::GroupWritable => (self.on_warning)(&FileWarning::GroupCouldWrite { path: self.path() }),
        }
        Ok((contents, Some(stamp)))
    }
}

impl Place {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_owned();
        // "dir/" and "dir/." have a file name, too, but it is not the one that was meant; nor is "dir\\" on Windows.
        let text = path.as_os_str().as_encoded_bytes();
        if text.strip_suffix(b".").unwrap_or(text).last().is_some_and(|last| is_separator(char::from(*last))) {
            return None;
        }
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(Self { folder: folder.to_owned(), name })
    }

    /// The beginning of the names of all temporary files. The dot hides them.
    fn prefix(&self) -> OsString {
        let mut prefix = OsString::from(".");
        prefix.push(&self.name);
        prefix.push(".tmp-");
        prefix
    }

    fn temporary(&self) -> OsString {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut name = self.prefix();
        name.push(format!("{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        name
    }
}

impl Store for FileStore {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        match Dir::open(&self.place.folder)? {
            Some(dir) => Ok(self.read(&dir)?.0),
            None => Ok(None),
        }
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        self.lock_with(Room::default())
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(FileLease::take(self, owner, patience)?))
    }

    /// `<file>.unshared`, which no MSAL reads.
    fn unshared(&self) -> Option<Box<dyn Store>> {
        let mut name = self.place.name.clone();
        name.push(".unshared");
        let place = Arc::new(Place { folder: self.place.folder.clone(), name });
        Some(Box::new(Self { place, shared_with: SharedWith::NoMsal, ..self.clone() }))
    }
}

struct LockedFile {
    store: FileStore,
    dir: Arc<Dir>,
    lock: Lock,
    current: Option<Contents>,
    stamp: Option<Stamp>,
    room: Room,
}

impl LockedFile {
    fn name(&self) -> &OsStr {
        &self.store.place.name
    }

    /// The last check before the file is replaced: do we still hold the lock, and is the file still the one that we
    /// loaded?
    fn check_unchanged(&mut self) -> Result<(), StoreError> {
        self.lock.ensure_held()?;
        if self.dir.stamp(self.name())? == self.stamp {
            return Ok(());
        }
        Err(StoreError::Changed { path: self.store.path() })
    }

    fn replace(&mut self, contents: &[u8]) -> Result<(), StoreError> {
        // What was reserved may be gone, or be in a folder that has been replaced.
        let mut reserved = match self.room.take().filter(|reserved| reserved.file.is_in(&self.dir)) {
            Some(reserved) => reserved,
            None => Reserved::of(Temporary::create(&self.dir, || self.store.place.temporary())?),
        };
        reserved.file.fill(contents)?;
        if let Err(error) = self.check_unchanged() {
            // Another try may follow.
            self.room.give_back(reserved);
            return Err(error);
        }
        reserved.file.rename_to(self.name())
    }

    /// Writes in place, if it can; if not, the error is that of the other way.
    fn overwrite(&mut self, contents: &[u8], refused: StoreError) -> Result<(), StoreError> {
        self.check_unchanged()?;
        let path = self.store.path();
        let Ok(Some((file, _))) = self.dir.open_file(self.name(), Purpose::Write) else { return Err(refused) };
        if os::make_room(&file, u64::try_from(contents.len()).unwrap_or(u64::MAX)).is_err() {
            return Err(refused);
        }
        os::overwrite(&file, &path, contents).inspect_err(|_| {
            // What was there still has its place on the disk.
            let _ = os::overwrite(&file, &path, self.current.as_deref().unwrap_or_default());
        })
    }

    /// Removes the temporary files of processes that were killed, since they hold tokens, and leases that nobody has
    /// touched for long. A failure of this is ignored.
    fn sweep(&self) {
        let temporary = self.store.place.prefix();
        for name in self.dir.names(&temporary).unwrap_or_default() {
            let _ = self.dir.remove_abandoned(&name, None);
        }
        for name in self.dir.names(&lease_prefix(self.name())).unwrap_or_default() {
            let _ = self.dir.remove_abandoned(&name, Some(LEASE_FORGOTTEN));
        }
    }
}

impl Locked for LockedFile {
    fn current(&self) -> Option<&[u8]> {
        self.current.as_deref()
    }

    fn reload(&mut self) -> Result<(), StoreError> {
        (self.current, self.stamp) = self.store.read(&self.dir)?;
        Ok(())
    }

    fn save(&mut self, contents: Contents) -> Result<(), StoreError> {
        self.sweep();
        match self.replace(&contents) {
            Err(error) if os::is_refused_by_folder(&error) => self.overwrite(&contents, error)?,
            outcome => outcome?,
        }
        self.current = Some(contents);
        // Only now, because a rename changes the ctime.
        self.stamp = self.dir.stamp(self.name())?;
        self.dir.sync()
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.sweep();
        self.check_unchanged()?;
        match self.dir.remove(self.name()) {
            // An empty file holds nothing.
            Err(error) if os::is_refused_by_folder(&error) => self.overwrite(b"", error)?,
            outcome => outcome?,
        }
        self.current = None;
        self.stamp = self.dir.stamp(self.name())?;
        self.dir.sync()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.path())
            .field("lock_timeout", &self.lock_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, unix))]
mod tests;
