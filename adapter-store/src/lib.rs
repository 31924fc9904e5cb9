//! Storage for token caches between runs: a [file](FileStore) that other processes and MSAL respect,
//! [memory](MemoryStore), or, with the feature `keyring`, the system's keyring (`KeyringStore`). With the feature `age`
//! any of them is encrypted (`EncryptedStore`). It stores bytes and knows nothing about OAuth.
//!
//! ```
//! use device_flow_store::{Change, FileStore, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("device-flow").join("tokens.json");
//! // Or `default_path("device-flow", "tokens.json")?`, where the system wants it.
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
//! # No write is lost
//!
//! To read, call [`Store::load`]. To change anything you must hold the lock from the load to the save, and there is no
//! other way: [`Store::update`] holds it around a closure; [`Store::lock`] returns the only thing that can save, and
//! dropping that releases the lock. The lock belongs to the store and not to the process: a thread that takes it twice
//! waits for itself until the timeout.
//!
//! All users of a store wait for its lock, so nobody holds it during a request over the network. For that there are
//! leases, one for each owner of contents: [`Store::lease`]. A refresh, whose new token is nowhere else until it is
//! saved, goes like this:
//!
//! ```
//! # use device_flow_store::{MemoryStore, Store, StoreError};
//! # use std::time::Duration;
//! # fn needs_a_refresh(_: Option<&[u8]>) -> bool { true }
//! # fn request() -> Vec<u8> { vec![] }
//! # fn merge(_: Option<&[u8]>, new: &[u8]) -> Vec<u8> { new.to_vec() }
//! # fn refresh(store: &dyn Store) -> Result<(), StoreError> {
//! // Nobody else refreshes the tokens of this owner now, here or in another process. Other owners do not wait.
//! let mut lease = store.lease("issuer client person", Duration::from_secs(40))?;
//! // Somebody else may have done it meanwhile.
//! if !needs_a_refresh(store.load()?.as_deref()) {
//!     return Ok(());
//! }
//! // A full disk is found before the request and not after it.
//! lease.reserve(64 << 10)?;
//! let tokens = request();
//! let mut locked = loop {
//!     match lease.lock() {
//!         // Giving up would lose the tokens: it is waited for as long as it takes.
//!         Err(StoreError::Busy { holder, .. }) => eprintln!("still waiting for {holder}"),
//!         outcome => break outcome?,
//!     }
//! };
//! let merged = merge(locked.current(), &tokens);
//! locked.save(merged.into())
//! # }
//! # refresh(&MemoryStore::new()).unwrap();
//! ```
//!
//! The lease comes before the lock, and nobody holds two leases, or waits for a lease while holding the lock; so nobody
//! waits in a circle. The lease of a process that has died is free at once.
//!
//! # What is refused
//!
//! A store never reads or writes anything but its own plain file. It refuses symbolic and hard links, pipes, devices,
//! folders, files of other users, files that others may write to, and folders that everybody may write to. A file that
//! others may read is tightened to 0600 and [reported](FileWarning); so is one that the user's own group may write to,
//! as MSAL for Java makes it under the umask 002, when nobody else is in that group: it is the primary group of the
//! process, and its number is that of the user, who is not root. Every [`StoreError`] has [advice](StoreError::advice).
//!
//! # Full and read-only disks
//!
//! A file store saves by a temporary file that takes the name of the old one. [`Lease::reserve`] makes that file
//! beforehand and takes its blocks from the disk; where a file system cannot do that, by filling it with zeros, which
//! reserves nothing on one that compresses. While it is held, no other process takes it for one that was left behind.
//!
//! Where no file can take the name (the file is mounted alone, as into a container; the folder is read-only or marked
//! as immutable) or there is no room for a second one, the file is written in place: under the lock, after the same
//! checks, once the blocks that it lacks have been taken from the disk, its end last. A write that fails is undone. But
//! a reader may see some of both then, as with MSAL, and so may everybody after a crash in the midst of it. To remove
//! is to empty such a file.
//!
//! Then the locks have less to stand on:
//! - A folder that takes no lock file: the file itself is `flock`ed, which excludes all processes of this crate that
//!   find the folder so. MSAL cannot make its lock file there either. A lease is a file in a folder of this user among
//!   the system's temporary files, named after the file's number, and reaches as far as that folder is shared; if there
//!   is no such place, [`Store::lease`] fails.
//! - A file that is mounted alone: it is `flock`ed in addition to the lock files beside it, so that processes that see
//!   it in another folder wait for the lock. They do not see each other's leases, though: two containers may refresh
//!   the same token at the same time, unless they share the folder.
//! - A folder that takes no lock file, on a file system without `flock`: [`Store::lock`] fails.
//!
//! # Memory
//!
//! [`Contents`] are wiped when dropped, and `Debug` does not show them. Copies in the library of a keyring cannot be
//! wiped.
//!
//! # MSAL
//!
//! There are two lock files beside `<file>`: `<file>.lockfile`, the lock of MSAL's extensions, and `<file>.flock`, our
//! own. Java's extension alone locks the folder instead, with `.lockfile` in it. This is what each side does, from the
//! source of `msal-extensions` 1.3.1 (Python, with portalocker 4.4.2), `@azure/msal-node-extensions` 5.6.0,
//! `msal4j-persistence-extension` 1.3.0 and `microsoft-authentication-extensions-for-go/cache` 0.1.1, and tested
//! against all of them:
//!
//! | | takes the lock file | considers it dead | releases it |
//! |---|---|---|---|
//! | Python | creates it (`x`) every 250 ms for 5 s, **then goes on without**; in both cases `flock`s it for 5 s at most, then fails; writes `<pid> <argv0>` | after 5 s, if no one has it `flock`ed | unlocks, closes, deletes |
//! | Python without portalocker | creates it with `<pid> <argv0>` in it, for 5 s, then fails | never | deletes |
//! | Node | creates it (`wx+`) every 100 ms, 500 times, then fails; writes `<pid>` | never | deletes |
//! | Go | creates or opens it and `flock`s it every 10 ms for 5 s, then fails; writes `{<pid>} {<argv0>}`; **reads without it** | when no one has it `flock`ed | unlocks, closes, deletes |
//! | Java, `.lockfile` | creates it (exclusively) as often as it is told to, then opens it; locks it by `fcntl`; writes `<pid>@<host>` | when it has existed for that long and no one has it locked | unlocks, closes, deletes |
//! | this crate | creates it, `flock`s it, writes `<pid> device-flow-store <host>` | see below | deletes, then unlocks |
//!
//! So all wait for each other: Node because the file exists, Python because it exists and is locked, Go because it is
//! locked. Python gives up after 10 s, Node after 50 s, Go after 5 s, this crate after 60 s
//! ([`FileStore::lock_timeout`]).
//!
//! Java and the others do not see each other. This crate takes Java's lock, too, when it finds it, and always after
//! [`FileStore::shared_with_java`]. The order is fixed: `<file>.flock`, then `.lockfile` of the folder, then
//! `<file>.lockfile`, since its other takers wait least; they are released in the reverse order. A record lock belongs
//! to the process, so within one process a store that has it makes the others of that folder wait. What no MSAL reads,
//! the file of [`Store::unshared`] and a keyring, goes without it.
//!
//! MSAL writes `<file>` in place, so a [`load`](Store::load) without the lock may see half of it. If what you loaded
//! does not parse, load again under the lock.
//!
//! Four problems cannot be solved from outside:
//! - Node's plugin deletes the lock file at the end of *every* access, even one that never took the lock, and so
//!   deletes ours, too. This is why there is a second lock `<file>.flock`, which no MSAL knows: our own processes
//!   exclude each other whatever happens to the first. Before each save we check that the lock file is still ours, take
//!   it again if not, and check that `<file>` is still what we loaded. If not, nothing is saved: [`Locked::save`]
//!   returns [`StoreError::Changed`], and [`Store::update`] runs its closure again.
//! - A process that was killed leaves the lock file behind, and Node never gets past it. The next process of ours
//!   removes it.
//! - Python that has waited 5 s keeps the deleted file open and may believe that it holds the lock. Do not hold the
//!   lock that long when Python uses the same file. The same goes for Go that has waited at all.
//! - Go reads before it locks, and writes all that it has read: what was saved in between is lost.
//!
//! A lock file is dead, and is taken over in place, whatever its mode, when it is a plain file of this user, nobody has
//! it `flock`ed, and one of these holds:
//! - it is ours, of this host, and `<file>.flock` is free: at once;
//! - no MSAL knows the store ([`FileStore::not_shared`], [`Store::unshared`], the keyring), and it does not name another
//!   host: at once, although its process was killed before it had written its name;
//! - its process does not run here, is a zombie, or started after the file was written (its number was used again;
//!   Linux only), or the file names another host or no process; and nobody has touched it for 5 s, which is as long as
//!   Python waits. We touch ours every second, so this also works on a network file system without locks and between
//!   containers that do not see each other's processes.
//!
//! The file of a lease is `<file>.lease-` and a hash of its owner; it is `flock`ed, touched and deleted in the same
//! way. It is this crate's alone, so that a free one of this host is taken at once; the rule of 5 s is for those of
//! another host and for file systems without locks. Two owners with the same hash wait for each other, which does no
//! harm. What killed processes have left is removed by a save when nobody has touched it for 15 minutes.
//!
//! A lock is never taken from a living process: [`StoreError::Busy`] names it. .NET's extensions hold `<file>.lockfile`
//! open with `FileShare.None`, which is `flock` on Unix, and write a byte order mark and `<pid> <name>`, so they are
//! respected, too.
//!
//! # Windows
//!
//! The lock file, and that of a lease, is opened without sharing and deleted when its handle is closed, as in .NET, so
//! it cannot be stale. Files inherit the rights of their folder; in the user's profile only the user has any.

mod contents;
mod default_path;
#[cfg(feature = "age")]
mod encrypted;
mod error;
mod fault;
mod file;
#[cfg(feature = "keyring")]
mod keyring;
mod lock;
mod memory;
mod os;

pub use contents::Contents;
pub use default_path::default_path;
#[cfg(feature = "age")]
pub use encrypted::{AgeKey, AgeKeyError, EncryptedStore};
pub use error::{FileKind, KeyringFailure, LockHolder, StoreError};
pub use file::{FileStore, FileWarning};
#[cfg(feature = "keyring")]
pub use keyring::KeyringStore;
pub use memory::MemoryStore;

use std::time::Duration;

/// Longer than any MSAL waits for the lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// How often `update` starts again because a program that does not respect the lock was faster.
const ROUNDS: usize = 5;

/// A place for bytes.
///
/// Implement it for a place of your own. Here it is a row of a table, whose failures become errors by
/// [`StoreError::other`]:
///
/// ```
/// use device_flow_store::{Contents, Lease, Locked, Store, StoreError};
/// # use std::sync::Arc;
/// use std::time::Duration;
/// # struct Database;
/// # impl Database {
/// #     fn select(&self, user: &str) -> Result<Option<Vec<u8>>, std::io::Error> { Ok(None) }
/// #     fn lock(&self, user: &str) -> Result<RowLock, std::io::Error> { Ok(RowLock(())) }
/// #     fn advisory_lock(&self, name: String, _: Duration) -> Result<RowLock, std::io::Error> { Ok(RowLock(())) }
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
///
///     fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
///         // On a connection of its own, so that it ends with the process. Time over is a `StoreError::Busy`.
///         let lock = self.database.advisory_lock(format!("{} {owner}", self.user), patience);
///         Ok(Box::new(RowLease { store: self.clone(), _lock: lock.map_err(StoreError::other)? }))
///     }
/// }
///
/// struct RowLease {
///     store: RowStore,
///     _lock: RowLock,
/// }
///
/// impl Lease for RowLease {
///     fn reserve(&mut self, _bytes: usize) -> Result<(), StoreError> {
///         // Better: write and roll back, so that a database that is read-only now is found now.
///         self.store.load().map(drop)
///     }
///
///     fn lock(&mut self) -> Result<Box<dyn Locked>, StoreError> {
///         self.store.lock()
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
    /// What is stored now; `None` when nothing is. It takes no lock, so it is for reading only.
    ///
    /// # Errors
    /// When it cannot be read, or must not be.
    fn load(&self) -> Result<Option<Contents>, StoreError>;

    /// Waits for the lock, then loads. The result is the only thing that can save, and dropping it releases the lock.
    /// Hold it to load, merge and save alone, and never while you wait for anything else: all others wait for you.
    /// Blocks its thread.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process holds the lock for too long; else as [`load`](Self::load). Who has
    /// something that must not get lost, such as a refresh token that works once, asks again as long as it takes.
    fn lock(&self) -> Result<Box<dyn Locked>, StoreError>;

    /// Waits, `patience` at most, for the lease of an owner: whoever holds it may do what takes long, such as a request
    /// for new tokens of that owner. One holds it at a time, across threads and processes; the leases of other owners
    /// are independent. Dropping the result gives it back. Blocks its thread.
    ///
    /// `owner` is any text that stays the same. It is not stored, and only compared with other owners of this store.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when it is held by another for longer than `patience`; with a patience of zero, at once.
    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError>;

    /// Where contents go that no other program may see; `None`: here, because nobody else reads this store.
    fn unshared(&self) -> Option<Box<dyn Store>> {
        None
    }

    /// Load, change, save, under the lock.
    ///
    /// `change` gets what is stored. It is called again, with what is stored then, when a program that does not respect
    /// the lock has written meanwhile; so it should merge what is new into its argument and remember nothing from an
    /// earlier call.
    ///
    /// # Errors
    /// As [`lock`](Self::lock). When nothing could be saved, what was stored before is unharmed.
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

/// What [`Store::update`] does with the stored bytes.
#[derive(Debug)]
pub enum Change {
    /// Leave what is stored as it is: nothing is written.
    Keep,
    /// Store this in its place.
    Save(Contents),
    /// Remove what is stored.
    Remove,
}

/// A [lease](Store::lease) of a [`Store`], held. Dropping it gives it back.
#[must_use = "the lease is given back at once when this is dropped"]
pub trait Lease: Send {
    /// Reserves room for a save of that many bytes, in place of what was reserved before. It stays until the next
    /// save through this lease, or until the lease is given back.
    ///
    /// # Errors
    /// When such a save would fail, as far as can be known now. The lease is still held, and whoever holds it decides
    /// whether to go on.
    fn reserve(&mut self, bytes: usize) -> Result<(), StoreError>;

    /// The lock of the store, as by [`Store::lock`]. A save through it uses the reserved room, and works for more than
    /// was reserved if there is more.
    ///
    /// # Errors
    /// As [`Store::lock`].
    fn lock(&mut self) -> Result<Box<dyn Locked>, StoreError>;
}

/// A [`Store`] whose lock is held, for changes. Dropping it releases the lock.
#[must_use = "the lock is released at once when this is dropped"]
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

    /// Removes what is stored. It is not an error when nothing was.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    fn remove(&mut self) -> Result<(), StoreError>;
}

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
