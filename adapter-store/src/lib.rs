//! Where token caches live between runs: a [file](FileStore) that other processes and MSAL respect, [memory](MemoryStore), or,
//! with the feature `keyring`, the system's keyring (`KeyringStore`). Bytes go in and come out; nothing here knows OAuth.
//!
//! ```
//! use device_flow_store::{Change, FileStore, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("device-flow").join("tokens.json");
//! // `default_path("device-flow", "tokens.json")?` for the place where the system wants it.
//! let store = FileStore::new(path)?.on_warning(|warning| eprintln!("warning: {warning}"));
//!
//! store.update(&mut |current| {
//!     assert!(current.is_none());
//!     Change::Save(b"{}".to_vec().into())
//! })?;
//! assert_eq!(store.load()?.as_deref(), Some(&b"{}"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # Nobody's write is lost
//!
//! Whoever only reads calls [`Store::load`]. Whoever changes anything must hold the lock from the load to the save, and no
//! other way is offered: [`Store::update`] takes it around a closure; [`Store::lock`] hands out what saves, for a change that
//! takes its time (a refresh over the network, across an `await`). It is given back when that is dropped. The lock is the
//! store's, not the process's: taken twice by one thread, it waits for itself and then says so.
//!
//! # What is refused
//!
//! A store never reads or writes through something that is not its own plain file: symbolic and hard links, pipes, devices,
//! folders, files of other users, files that others may write to, folders that everybody may write to. A file that others
//! may read is tightened to 0600 and [reported](FileWarning). Every [`StoreError`] has an [advice](StoreError::advice).
//!
//! # Memory
//!
//! [`Contents`] are wiped when dropped, and no `Debug` shows them. What a keyring's own library copies is out of reach.
//!
//! # MSAL
//!
//! Beside `<file>` stand `<file>.lockfile`, the lock of MSAL's extensions, and `<file>.flock`, our own. What each side does,
//! read from `msal-extensions` 1.3.1 (Python, with portalocker 4.4.2) and `@azure/msal-node-extensions` 5.6.0, and tested
//! against both:
//!
//! | | takes `.lockfile` | believes it dead | lets go |
//! |---|---|---|---|
//! | Python | creates it (`x`) every 250 ms for 5 s, **then goes on without**; in both cases `flock`s it for 5 s at most, then fails; writes `<pid> <argv0>` | after 5 s, if no one has it `flock`ed | unlocks, closes, deletes |
//! | Python without portalocker | creates it with `<pid> <argv0>` in it, for 5 s, then fails | never | deletes |
//! | Node | creates it (`wx+`) every 100 ms, 500 times, then fails; writes `<pid>` | never | deletes |
//! | this crate | creates it, `flock`s it, writes `<pid> device-flow-store <host>` | see below | deletes, then unlocks |
//!
//! So both sides wait for each other: Node because the file exists, Python because it exists and is locked. Python gives up
//! after 10 s, Node after 50 s, we after 60 s ([`FileStore::patience`]). MSAL writes `<file>` in place: a [`load`](Store::load)
//! without the lock may see half of it. If what you loaded does not parse, load again under the lock.
//!
//! Three things no one can mend from outside, and what is done about them:
//! - Node's plugin deletes the lock file at the end of *every* access, even one that never took the lock: ours too. Hence the
//!   second lock `<file>.flock`, which no MSAL knows: our own processes exclude each other whatever happens to the first. Before
//!   each save we look whether the lock file is still ours, take it again if not, and look whether `<file>` is still what we
//!   loaded. If not, nothing is saved: [`Locked::save`] says [`StoreError::Changed`], [`Store::update`] runs its closure again.
//! - A process that was killed leaves the file, and Node never gets past it. The next of ours removes it.
//! - Python that has waited 5 s keeps the deleted file open, and may believe it holds the lock. Do not hold it that long beside Python.
//!
//! A lock file is dead, and taken over in place, when no one has it `flock`ed, and
//! - it is ours, of this host, and `<file>.flock` is free: at once; or
//! - its process does not run here, is a zombie, or started after the file was written (its number was used again; Linux only),
//!   or the file names another host or no process, and for 5 s, as long as Python waits, nobody has touched it. We touch ours every second,
//!   so this holds on a network file system without locks, and between containers that do not see each other's processes.
//!
//! A process that lives is never robbed: [`StoreError::Busy`] names it. .NET's extensions hold the file open with `FileShare.None`, which on
//! Unix is `flock`, and are respected by that; they were not run here.
//!
//! # Windows
//!
//! The lock file is opened for nobody else to share and deleted when its handle is closed, as .NET does it: it cannot be stale.
//! Files inherit the rights of their folder, which in the user's profile are the user's alone.

mod contents;
mod error;
mod fault;
mod file;
#[cfg(feature = "keyring")]
mod keyring;
mod lock;
mod memory;
mod os;
mod place;

pub use contents::Contents;
pub use error::{FileKind, Holder, KeyringFailure, StoreError};
pub use file::{FileStore, FileWarning};
#[cfg(feature = "keyring")]
pub use keyring::KeyringStore;
pub use memory::MemoryStore;
pub use place::default_path;

use std::time::Duration;

/// Longer than one request with its timeout, which a holder may have to wait for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often `update` starts again when somebody who keeps to no lock was quicker.
const ROUNDS: usize = 5;

/// A place for bytes that outlives the process, or not.
///
/// A store of another kind, here the row of a table, says with [`StoreError::other`] what failed:
///
/// ```
/// use device_flow_store::{Contents, Locked, Store, StoreError};
/// # use std::sync::Arc;
/// # struct Database;
/// # impl Database {
/// #     fn select(&self, user: &str) -> Result<Option<Vec<u8>>, std::io::Error> { Ok(None) }
/// #     fn lock(&self, user: &str) -> Result<RowLock, std::io::Error> { Ok(RowLock(())) }
/// #     fn upsert(&self, user: &str, row: &[u8]) -> Result<(), std::io::Error> { Ok(()) }
/// #     fn delete(&self, user: &str) -> Result<(), std::io::Error> { Ok(()) }
/// # }
/// # struct RowLock(());
///
/// #[derive(Clone)]
/// struct RowStore {
///     database: Arc<Database>,
///     user: String,
/// }
///
/// impl Store for RowStore {
///     fn load(&self) -> Result<Option<Contents>, StoreError> {
///         Ok(self.database.select(&self.user).map_err(StoreError::other)?.map(Contents::from))
///     }
///
///     fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
///         // Such as a transaction with SELECT … FOR UPDATE, or an advisory lock with a time limit.
///         let lock = self.database.lock(&self.user).map_err(StoreError::other)?;
///         Ok(Box::new(LockedRow { current: self.load()?, store: self.clone(), _lock: lock }))
///     }
/// }
///
/// struct LockedRow {
///     store: RowStore,
///     current: Option<Contents>,
///     _lock: RowLock,
/// }
///
/// impl Locked for LockedRow {
///     fn current(&self) -> Option<&[u8]> {
///         self.current.as_deref()
///     }
///
///     fn reload(&mut self) -> Result<(), StoreError> {
///         self.current = self.store.load()?;
///         Ok(())
///     }
///
///     fn save(&mut self, contents: Contents) -> Result<(), StoreError> {
///         self.store.database.upsert(&self.store.user, &contents).map_err(StoreError::other)?;
///         self.current = Some(contents);
///         Ok(())
///     }
///
///     fn remove(&mut self) -> Result<(), StoreError> {
///         self.store.database.delete(&self.store.user).map_err(StoreError::other)?;
///         self.current = None;
///         Ok(())
///     }
/// }
/// ```
pub trait Store: Send + Sync {
    /// What is stored now; `None` when nothing is. For reading only: it takes no lock.
    ///
    /// # Errors
    /// When it cannot be read, or should not be.
    fn load(&self) -> Result<Option<Contents>, StoreError>;

    /// Waits for the lock, then loads. What it returns is the only thing that can save, and gives the lock back when dropped.
    /// Blocks its thread.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when someone else keeps it; else as [`load`](Self::load).
    fn lock(&self) -> Result<Box<dyn Locked>, StoreError>;

    /// Load, change, save, under the lock.
    ///
    /// `change` gets what is stored. It is called once; or again, with what is stored then, when a program that does not keep to
    /// the lock has written meanwhile: so it should merge what is new, not remember what was old.
    ///
    /// # Errors
    /// As [`lock`](Self::lock); when nothing could be saved, what was stored before is unharmed.
    fn update(&self, change: &mut dyn FnMut(Option<&[u8]>) -> Change) -> Result<(), StoreError> {
        let mut locked = self.lock()?;
        let mut rounds = 1..ROUNDS;
        loop {
            let outcome = match change(locked.current()) {
                Change::Keep => return Ok(()),
                Change::Save(contents) => locked.save(contents),
                Change::Remove => locked.remove(),
            };
            match outcome {
                Err(StoreError::Changed { .. }) if rounds.next().is_some() => locked.reload()?,
                outcome => return outcome,
            }
        }
    }
}

/// What [`Store::update`] is to do.
#[derive(Debug)]
pub enum Change {
    /// Leave what is stored as it is: nothing is written.
    Keep,
    /// Store this in its place.
    Save(Contents),
    /// Store nothing any more.
    Remove,
}

/// The lock of a [`Store`], and what may be done under it. Dropping it gives the lock back.
#[must_use = "the lock is given back at once when this is dropped"]
pub trait Locked: Send {
    /// What is stored: as it was when the lock was taken, or as last reloaded or saved.
    fn current(&self) -> Option<&[u8]>;

    /// Loads again.
    ///
    /// # Errors
    /// As [`Store::load`].
    fn reload(&mut self) -> Result<(), StoreError>;

    /// Stores these bytes in place of [`current`](Self::current): whole, or not at all.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when `current` is no longer what is stored: reload, merge, save again.
    fn save(&mut self, contents: Contents) -> Result<(), StoreError>;

    /// Stores nothing any more. Nothing stored before is no error.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    fn remove(&mut self) -> Result<(), StoreError>;
}

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
