//! Owns the keyring store: it splits bytes of any length into entries that each system accepts, and limits the time of
//! an answer.

use crate::lock::{LeaseFile, Lock, SharedWith, lease_name};
use crate::os::Dir;
use crate::{Contents, KeyringFailure, LOCK_TIMEOUT, Lease, Locked, Store, StoreError};
use keyring_core::{CredentialStore, Entry, Error};
use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::fmt;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long the keyring may take for one answer. A locked one asks a person, who may not be there; then an error is
/// better.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The size of an entry. Windows accepts 2,560 bytes (`CRED_MAX_CREDENTIAL_BLOB_SIZE`); the others have no such limit,
/// so this only bounds the size of copies.
const PART: usize = if cfg!(windows) { 2_560 } else { 1 << 20 };

/// How often a reader starts again because a writer came between.
const ROUNDS: usize = 4;

/// Keeps the bytes in the keyring of this user's session: Secret Service on Linux and the BSDs, Keychain on macOS,
/// Credential Manager on Windows, through the stores of the [`keyring`](https://crates.io/crates/keyring) family.
/// Clones are the same store.
///
/// Contents that are longer than an entry are split: the entry of the user is a list of parts, which is written last,
/// so that a reader sees the old or the new contents. Keyrings have no lock, so a file is used, `<lock>.lockfile`, as
/// in MSAL's extensions; its leases are beside it. The entries themselves are not MSAL's, which have a different name
/// in each of its languages.
///
/// There is no fallback to a file.
#[derive(Clone)]
pub struct KeyringStore {
    keyring: Arc<CredentialStore>,
    service: String,
    user: String,
    lock: PathBuf,
    part: usize,
    answer_timeout: Duration,
}

impl KeyringStore {
    /// The entry of `user` for `service` in the keyring of this session. The lock is `<lock>.lockfile`; the file `lock`
    /// itself is never created.
    ///
    /// # Errors
    /// [`StoreError::Keyring`] when there is none, or when it does not answer within 3 s.
    pub fn open(
        service: impl Into<String>,
        user: impl Into<String>,
        lock: impl Into<PathBuf>,
    ) -> Result<Self, StoreError> {
        let keyring = answer_within(ANSWER_TIMEOUT, system_keyring)?
            .map_err(|error| failure(KeyringFailure::Absent(error.to_string())))?;
        Self::with(keyring, service, user, lock)
    }

    /// As [`open`](Self::open), in a keyring of the caller's choice.
    ///
    /// # Errors
    /// [`StoreError::Keyring`] when it does not answer within 3 s.
    pub fn with(
        keyring: Arc<CredentialStore>,
        service: impl Into<String>,
        user: impl Into<String>,
        lock: impl Into<PathBuf>,
    ) -> Result<Self, StoreError> {
        let store = Self {
            keyring,
            service: service.into(),
            user: user.into(),
            lock: lock.into(),
            part: PART,
            answer_timeout: ANSWER_TIMEOUT,
        };
        // Ask now, so that a locked keyring is found before anybody has signed in.
        store.manifest()?;
        Ok(store)
    }

    /// The folder of the lock, and the name of the file that it is beside.
    fn lock_place(&self) -> Result<(Arc<Dir>, &OsStr), StoreError> {
        let name = self.lock.file_name().ok_or_else(|| StoreError::NoFileName(self.lock.clone()))?;
        let folder = self.lock.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok((Arc::new(Dir::create(folder)?), name))
    }

    fn ask<T: Send + 'static>(
        &self,
        user: String,
        question: impl FnOnce(Entry) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let (keyring, service) = (Arc::clone(&self.keyring), self.service.clone());
        match answer_within(self.answer_timeout, move || keyring.build(&service, &user, None).and_then(question))? {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::NoEntry) => Ok(None),
            Err(Error::NoStorageAccess(why)) => Err(failure(KeyringFailure::Locked(why.to_string()))),
            // Its `Debug` may hold the secret; its `Display` does not.
            Err(error) => Err(failure(KeyringFailure::Failed(error.to_string()))),
        }
    }

    fn get(&self, user: String) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.ask(user, |entry| Ok(Zeroizing::new(entry.get_secret()?)))
    }

    fn set(&self, user: String, secret: Zeroizing<Vec<u8>>) -> Result<(), StoreError> {
        self.ask(user, move |entry| entry.set_secret(&secret)).map(|_| ())
    }

    fn delete(&self, user: String) -> Result<(), StoreError> {
        self.ask(user, |entry| entry.delete_credential()).map(|_| ())
    }

    fn manifest(&self) -> Result<Option<Manifest>, StoreError> {
        let Some(text) = self.get(self.user.clone())? else { return Ok(None) };
        let manifest = Manifest::parse(&text);
        manifest.map(Some).ok_or_else(|| failure(KeyringFailure::Damaged("the list of parts is not one of ours")))
    }

    fn part(&self, slot: u8, number: usize) -> String {
        format!("{} part {slot}.{number}", self.user)
    }

    fn read(&self) -> Result<(Option<Contents>, Option<Manifest>), StoreError> {
        let mut manifest = self.manifest()?;
        for _ in 0..ROUNDS {
            let Some(list) = &manifest else { return Ok((None, None)) };
            if let Some(contents) = self.parts(list)? {
                return Ok((Some(contents).filter(|contents| !contents.is_empty()), manifest));
            }
            // Perhaps a writer came between.
            let now = self.manifest()?;
            if now == manifest {
                return Err(failure(KeyringFailure::Damaged("a part is missing or belongs to another save")));
            }
            manifest = now;
        }
        Err(StoreError::Changed { path: PathBuf::from(&self.user) })
    }

    fn parts(&self, list: &Manifest) -> Result<Option<Contents>, StoreError> {
        let mut contents = Zeroizing::new(Vec::with_capacity(list.bytes));
        for number in 0..list.parts {
            let Some(part) = self.get(self.part(list.slot, number))? else { return Ok(None) };
            let Some(part) = part.strip_prefix(list.heading(number).as_bytes()) else { return Ok(None) };
            if contents.len().saturating_add(part.len()) > list.bytes {
                return Ok(None);
            }
            contents.extend_from_slice(part);
        }
        Ok(Some(Contents::from(contents)).filter(|contents| contents.len() == list.bytes))
    }

    /// Deletes a slot's parts from this number on, the last first, so that the rest after a crash is found again.
    fn sweep(&self, slot: u8, from: usize) -> Result<(), StoreError> {
        let mut end = from;
        while self.get(self.part(slot, end))?.is_some() {
            end = end.saturating_add(1);
        }
        (from..end).rev().try_for_each(|number| self.delete(self.part(slot, number)))
    }

    fn write(&self, contents: &[u8], before: Option<&Manifest>) -> Result<Manifest, StoreError> {
        let slot = before.map_or(0, |before| 1 - before.slot);
        let nonce = RandomState::new().hash_one(std::process::id());
        let mut list = Manifest { slot, parts: 0, bytes: contents.len(), nonce };
        for part in contents.chunks(self.part.saturating_sub(Manifest::LONGEST_HEADING).max(1)) {
            let heading = list.heading(list.parts);
            let mut secret = Zeroizing::new(Vec::with_capacity(heading.len().saturating_add(part.len())));
            secret.extend_from_slice(heading.as_bytes());
            secret.extend_from_slice(part);
            self.set(self.part(slot, list.parts), secret)?;
            list.parts = list.parts.saturating_add(1);
        }
        self.set(self.user.clone(), Zeroizing::new(list.to_string().into_bytes()))?;
        Ok(list)
    }
}

fn failure(reason: KeyringFailure) -> StoreError {
    StoreError::Keyring { reason }
}

/// Asks on a separate thread, which is abandoned if it gets no answer, because a call over D-Bus cannot be cancelled.
fn answer_within<T: Send + 'static>(
    limit: Duration,
    question: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let (answer, answered) = mpsc::sync_channel(1);
    let asking = thread::Builder::new().name("device-flow-store keyring".to_owned()).spawn(move || {
        // The receiver may be gone.
        let _ = answer.send(question());
    });
    asking.map_err(|error| failure(KeyringFailure::Failed(error.to_string())))?;
    answered.recv_timeout(limit).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => failure(KeyringFailure::NoAnswer(limit)),
        mpsc::RecvTimeoutError::Disconnected => failure(KeyringFailure::Failed("its library panicked".to_owned())),
    })
}

fn system_keyring() -> keyring_core::Result<Arc<CredentialStore>> {
    #[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
    return Ok(zbus_secret_service_keyring_store::Store::new()?);
    #[cfg(target_os = "macos")]
    return Ok(apple_native_keyring_store::keychain::Store::new()?);
    #[cfg(windows)]
    return Ok(windows_native_keyring_store::Store::new()?);
    #[allow(unreachable_code, reason = "for the systems named above")]
    Err(Error::NotSupportedByStore("no keyring is known for this system".to_owned()))
}

/// The list of parts. A save takes effect when its list is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Manifest {
    /// 0 or 1: a save writes to the one that is not in use.
    slot: u8,
    parts: usize,
    bytes: usize,
    /// Different in each save, so that a part that an abandoned save writes late is not taken for a part of another
    /// save.
    nonce: u64,
}

impl Manifest {
    const VERSION: &str = "device-flow-store 1";
    const LONGEST_HEADING: usize = 16 + 1 + 20 + 1;

    fn parse(text: &[u8]) -> Option<Self> {
        let mut words = str::from_utf8(text).ok()?.strip_prefix(Self::VERSION)?.strip_prefix(' ')?.split(' ');
        let slot = words.next()?.parse().ok().filter(|slot| *slot <= 1)?;
        let (parts, bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let nonce = u64::from_str_radix(words.next()?, 16).ok()?;
        let sane = parts <= bytes && u64::try_from(bytes).is_ok_and(|bytes| bytes <= crate::os::LARGEST);
        (sane && words.next().is_none()).then_some(Self { slot, parts, bytes, nonce })
    }

    fn heading(&self, number: usize) -> String {
        format!("{:016x} {number}\n", self.nonce)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} {:016x}", Self::VERSION, self.slot, self.parts, self.bytes, self.nonce)
    }
}

impl Store for KeyringStore {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        Ok(self.read()?.0)
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        let (dir, name) = self.lock_place()?;
        let lock = Lock::take(&dir, name, LOCK_TIMEOUT, SharedWith::NoMsal)?;
        let (current, manifest) = self.read()?;
        Ok(Box::new(LockedKeyring { store: self.clone(), lock, current, manifest }))
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        let (dir, name) = self.lock_place()?;
        let held = LeaseFile::take(&dir, lease_name(name, owner), patience)?;
        Ok(Box::new(LeasedKeyring { store: self.clone(), _held: held }))
    }
}

struct LeasedKeyring {
    store: KeyringStore,
    _held: LeaseFile,
}

impl Lease for LeasedKeyring {
    /// No keyring has room to reserve. Something is written and removed, so that one that is locked is found now.
    fn reserve(&mut self, bytes: usize) -> Result<(), StoreError> {
        let entry = format!("{} room", self.store.user);
        self.store.set(entry.clone(), Zeroizing::new(vec![b' '; bytes.clamp(1, self.store.part)]))?;
        self.store.delete(entry)
    }

    fn lock(&mut self) -> Result<Box<dyn Locked>, StoreError> {
        self.store.lock()
    }
}

struct LockedKeyring {
    store: KeyringStore,
    lock: Lock,
    current: Option<Contents>,
    manifest: Option<Manifest>,
}

impl LockedKeyring {
    fn check_unchanged(&mut self) -> Result<(), StoreError> {
        self.lock.ensure_held()?;
        if self.store.manifest()? == self.manifest {
            return Ok(());
        }
        Err(StoreError::Changed { path: PathBuf::from(&self.store.user) })
    }
}

impl Locked for LockedKeyring {
    fn current(&self) -> Option<&[u8]> {
        self.current.as_deref()
    }

    fn reload(&mut self) -> Result<(), StoreError> {
        (self.current, self.manifest) = self.store.read()?;
        Ok(())
    }

    fn save(&mut self, contents: Contents) -> Result<(), StoreError> {
        self.check_unchanged()?;
        let list = self.store.write(&contents, self.manifest.as_ref())?;
        self.current = Some(contents);
        // Old parts are no longer read, and the next save overwrites them if they cannot be deleted now.
        let _ = self.store.sweep(list.slot, list.parts);
        let _ = self.store.sweep(1 - list.slot, 0);
        self.manifest = Some(list);
        Ok(())
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.check_unchanged()?;
        self.store.delete(self.store.user.clone())?;
        (self.current, self.manifest) = (None, None);
        // Here a failure matters: the person wants these tokens to be gone.
        self.store.sweep(0, 0)?;
        self.store.sweep(1, 0)
    }
}

impl fmt::Debug for KeyringStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringStore")
            .field("service", &self.service)
            .field("user", &self.user)
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
