//! Owns the leases of the file store, and the room that a save under one of them will need.

use super::FileStore;
use crate::lock::{LeaseFile, lease_name};
use crate::os::{self, Dir, Purpose, Temporary, is_refused_by_folder};
use crate::{Lease, Locked, StoreError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Held until it is dropped.
pub(super) struct FileLease {
    store: FileStore,
    room: Room,
    _held: LeaseFile,
}

impl FileLease {
    pub(super) fn take(store: &FileStore, owner: &str, patience: Duration) -> Result<Self, StoreError> {
        let (folder, name) = (&store.place.folder, &store.place.name);
        let dir = Arc::new(Dir::create(folder)?);
        let held = match LeaseFile::take(&dir, lease_name(name, owner), patience) {
            Err(error @ StoreError::Io { step: "create", .. }) if is_refused_by_folder(&error) => {
                elsewhere(&dir, store, owner, patience).unwrap_or(Err(error))?
            }
            outcome => outcome?,
        };
        Ok(Self { store: store.clone(), room: Room::default(), _held: held })
    }

    /// A temporary file of that size.
    fn aside(&self, dir: &Arc<Dir>, bytes: u64) -> Result<Reserved, StoreError> {
        let mut file = Temporary::create(dir, || self.store.place.temporary())?;
        file.allocate(bytes)?;
        Ok(Reserved { file, bytes })
    }

    /// Whether the file could hold so much.
    fn in_place(&self, dir: &Dir, bytes: u64) -> Result<(), StoreError> {
        let path = self.store.path();
        let Some((file, _)) = dir.open_file(&self.store.place.name, Purpose::Write)? else {
            return Err(os::failed("open", &path)(std::io::ErrorKind::NotFound));
        };
        os::make_room(&file, bytes).map_err(os::failed("reserve room in", &path))
    }
}

/// The lease where the file's folder takes no lock file: in the folder for temporary files, under the file's number,
/// which stays the same because nothing can take its place. `None`: there is no such place.
fn elsewhere(dir: &Dir, store: &FileStore, owner: &str, patience: Duration) -> Option<Result<LeaseFile, StoreError>> {
    let number = dir.number(&store.place.name)?;
    let folder = Arc::new(Dir::create(&os::temporary_folder()).ok()?);
    let taken = LeaseFile::take(&folder, lease_name(number.as_ref(), owner), patience);
    // The folder's own error says more than that of a makeshift.
    Some(taken).filter(|taken| matches!(taken, Ok(_) | Err(StoreError::Busy { .. })))
}

impl Lease for FileLease {
    fn reserve(&mut self, bytes: usize) -> Result<(), StoreError> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let dir = Arc::new(Dir::create(&self.store.place.folder)?);
        // Given back first, so that it counts as room.
        drop(self.room.take());
        if dir.is_pinned(&self.store.place.name) {
            return self.in_place(&dir, bytes);
        }
        match self.aside(&dir, bytes) {
            Ok(reserved) => {
                self.room.put(reserved);
                Ok(())
            }
            Err(error) if is_refused_by_folder(&error) => self.in_place(&dir, bytes).map_err(|_| error),
            Err(error) => Err(error),
        }
    }

    fn lock(&mut self) -> Result<Box<dyn Locked>, StoreError> {
        self.store.lock_with(self.room.clone())
    }
}

/// What a lease has reserved, for the locks that are taken through it.
#[derive(Debug, Clone, Default)]
pub(super) struct Room(Arc<Mutex<Option<Reserved>>>);

/// A temporary file, and how long it was made at first.
#[derive(Debug)]
pub(super) struct Reserved {
    pub(super) file: Temporary,
    bytes: u64,
}

impl Reserved {
    /// Nothing reserved yet.
    pub(super) fn of(file: Temporary) -> Self {
        Self { file, bytes: 0 }
    }
}

impl Room {
    pub(super) fn take(&self) -> Option<Reserved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, reserved: Reserved) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reserved);
    }

    /// After a save that did not happen, at its full size again.
    pub(super) fn give_back(&self, mut reserved: Reserved) {
        if reserved.bytes > 0 && reserved.file.allocate(reserved.bytes).is_ok() {
            self.put(reserved);
        }
    }
}
