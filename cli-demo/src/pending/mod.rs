//! Owns sign-ins that have a code but no token yet: the file with which another run can finish one, and who may poll
//! for it.
//!
//! There is one file for each in `device-flow/pending`, in the state folder, wherever the tokens are stored, so that
//! `--resume ID` needs nothing but the id. The run that polls holds the lock of the file. The lock ends with the
//! process, however that ends.

mod clocks;
mod id;
mod recorded_flow;
mod turn;

pub(crate) use id::Id;
pub(crate) use recorded_flow::{RecordedFlow, UntilShown};
pub(crate) use turn::{AlreadyWaiting, Turn};

use crate::run_error::RunError;
use crate::settings::Settings;
use clocks::ClockReading;
use device_flow_tokio::{
    Away, Client, DeviceFlow, FileStore, LockHolder, Locked, SignInError, Snapshot, SnapshotError, Store as _,
    StoreError, Timestamp, UnixTime, default_path, entropy,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

const VERSION: u32 = 1;

/// No code is valid for longer, so an unreadable file of this age can go.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Long enough for a process that is ending to release its lock.
const PATIENCE: Duration = Duration::from_secs(1);

/// Long enough for a process that only looks whether a lock is free.
const LOOK: Duration = Duration::from_millis(100);

/// More than any file needs, so that the buffer never grows and leaves a copy of the device code behind.
const ROOM: usize = 16 * 1024;

/// The run that began the sign-in: what a later run must do alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invocation {
    pub(crate) profile: Option<String>,
    /// Whether the person named the profile. Version 0.1.0 reads it.
    pub(crate) named: bool,
    /// The file of profiles, if it is not the default.
    pub(crate) config: Option<String>,
    pub(crate) settings: Settings,
    /// The client secret came from stdin, so the later run needs it again.
    pub(crate) secret_from_stdin: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    v: u32,
    #[serde(rename = "words")]
    invocation: Cow<'a, Invocation>,
    /// When this was written.
    taken: ClockReading,
    /// Milliseconds from then until the code expires, for version 0.1.0: the flow itself knows it, too.
    expires_in: u64,
    /// For how many milliseconds from then a request may have been in flight.
    in_flight: u64,
    flow: Snapshot,
}

impl Stored<'_> {
    fn is_expired(&self) -> bool {
        self.taken.until(&ClockReading::now()) >= self.flow.expires_in()
    }

    /// By the wall clock, for people.
    fn expires(&self) -> UnixTime {
        UnixTime::from_secs(Duration::from_millis(self.taken.wall).saturating_add(self.flow.expires_in()).as_secs())
    }
}

/// A sign-in for which this run holds the lock, and therefore may poll.
pub(crate) struct Pending {
    id: Id,
    invocation: Invocation,
    /// `None`: it can no longer be stored.
    locked: RefCell<Option<Box<dyn Locked>>>,
    is_stored: Cell<bool>,
    /// Why it can no longer be stored, until somebody is told.
    store_error: RefCell<Option<StoreError>>,
}

/// A flow as another run stored it.
pub(crate) struct StoredFlow {
    snapshot: Snapshot,
    taken: ClockReading,
    /// For how long after that a request may have been in flight.
    in_flight: Duration,
}

impl Pending {
    /// Takes the lock for a new sign-in. Nothing is stored before there is a code.
    pub(crate) fn new(invocation: Invocation) -> Result<Self, SignInError> {
        let id = Id::random(entropy()?);
        let locked = store(&id)?.lock_timeout(PATIENCE).lock()?;
        Ok(Self::locked(id, invocation, locked))
    }

    fn locked(id: Id, invocation: Invocation, locked: Box<dyn Locked>) -> Self {
        let is_stored = Cell::new(locked.current().is_some());
        Self { id, invocation, locked: RefCell::new(Some(locked)), is_stored, store_error: RefCell::default() }
    }

    /// Takes over a sign-in that another run stored.
    pub(crate) fn take_over(id: Id) -> Result<(Self, StoredFlow), RunError> {
        let store = store(&id)?.lock_timeout(PATIENCE);
        // Before taking the lock, which would create the folder.
        if store.load()?.is_none() {
            return Err(unknown(&id));
        }
        let locked = store.lock().map_err(|error| {
            if let StoreError::Busy { holder, .. } = &error { busy(&id, holder) } else { error.into() }
        })?;
        let stored = locked.current().ok_or_else(|| unknown(&id))?;
        let stored = read(&id, stored)?;
        let is_expired = stored.is_expired();
        let Stored { invocation, taken, in_flight, flow: snapshot, .. } = stored;
        let pending = Self::locked(id, invocation.into_owned(), locked);
        if is_expired {
            pending.forget();
            return Err(RunError::CodeExpired(pending.id.to_string()));
        }
        Ok((pending, StoredFlow { snapshot, taken, in_flight: Duration::from_millis(in_flight) }))
    }

    pub(crate) fn invocation(&self) -> &Invocation {
        &self.invocation
    }

    /// `None`: no other run could finish it.
    pub(crate) fn id(&self) -> Option<&str> {
        self.is_stored.get().then_some(&*self.id)
    }

    /// Why it can no longer be resumed; only once.
    pub(crate) fn take_store_error(&self) -> Option<StoreError> {
        self.store_error.borrow_mut().take()
    }

    /// What a person types to finish it, while that is possible.
    pub(crate) fn how_to_resume(&self) -> Option<String> {
        self.id().map(|id| how_to_resume(id, &self.invocation))
    }

    /// Removes it: it is over, or cancelled.
    pub(crate) fn forget(&self) {
        if let Some(mut locked) = self.locked.borrow_mut().take() {
            // If it cannot be removed, a later sweep does that; the code is of no use to anybody.
            let _ = locked.remove();
        }
        self.is_stored.set(false);
    }

    /// `in_flight`: for how long from now a request may be in flight.
    fn store(&self, flow: &DeviceFlow, now: Timestamp, in_flight: Duration) {
        let Some(snapshot) = flow.snapshot(now) else { return };
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let stored = Stored {
            v: VERSION,
            invocation: Cow::Borrowed(&self.invocation),
            // After the snapshot, so that the time away is never overestimated.
            taken: ClockReading::now(),
            expires_in: millis(snapshot.expires_in()),
            in_flight: millis(in_flight),
            flow: snapshot,
        };
        let mut place = self.locked.borrow_mut();
        let Some(locked) = place.as_mut() else { return };
        let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
        let written = serde_json::to_writer(&mut *bytes, &stored);
        match written.map_err(|error| unwritable(&self.id, error)).and_then(|()| locked.save(bytes.into())) {
            Ok(()) => self.is_stored.set(true),
            Err(error) => {
                // What is stored now is outdated: resuming it would poll too early.
                let _ = locked.remove();
                *place = None;
                self.is_stored.set(false);
                *self.store_error.borrow_mut() = Some(error);
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let locked = self.locked.take();
        drop(locked);
        if !self.is_stored.get() {
            remove_lock(&self.id);
        }
    }
}

impl StoredFlow {
    pub(crate) fn resume(self, client: &Arc<Client>, now: Timestamp) -> Result<DeviceFlow, SnapshotError> {
        let gone = self.taken.until(&ClockReading::now());
        // The answer to a poll in flight is lost. The wait after it counts from the moment at which its process died,
        // which was at the latest when the longest request would have ended. The life of the code counts on meanwhile.
        let away = Away::between(gone.saturating_sub(self.in_flight), gone);
        DeviceFlow::resume(Arc::clone(client), self.snapshot, away, now)
    }
}

/// A stored sign-in, read without its lock.
pub(crate) struct Resumable {
    pub(crate) id: Id,
    invocation: Invocation,
    /// By the wall clock, for people.
    expires: UnixTime,
    is_expired: bool,
}

impl Resumable {
    /// All that can be read, in the order in which they expire.
    pub(crate) fn all() -> Vec<Self> {
        let one = |id: Id| {
            let stored = store(&id).ok()?.load().ok()??;
            let stored = read(&id, &stored).ok()?;
            let (expires, is_expired) = (stored.expires(), stored.is_expired());
            Some(Self { id, invocation: stored.invocation.into_owned(), expires, is_expired })
        };
        let mut all: Vec<_> = ids().into_iter().filter_map(one).collect();
        all.sort_by(|one, other| (one.expires, &*one.id).cmp(&(other.expires, &*other.id)));
        all
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.is_expired
    }

    pub(crate) fn is_of_profile(&self, profile: Option<&str>) -> bool {
        self.invocation.profile.as_deref() == profile
    }

    /// Whether it is about the same client of the same server.
    pub(crate) fn is_about(&self, settings: &Settings) -> bool {
        self.invocation.settings.is_about(settings)
    }

    /// Whether no other run polls for it.
    pub(crate) fn is_free(&self) -> bool {
        store(&self.id).and_then(|store| store.lock_timeout(Duration::ZERO).lock()).is_ok()
    }

    /// The process that polls for it, if one does.
    fn holder(&self) -> Option<LockHolder> {
        // A run that only looks, as this one does, is gone in an instant.
        match store(&self.id).and_then(|store| store.lock_timeout(LOOK).lock()) {
            Err(StoreError::Busy { holder, .. }) => Some(holder),
            Err(_) | Ok(_) => None,
        }
    }

    pub(crate) fn expires(&self) -> UnixTime {
        self.expires
    }

    pub(crate) fn how_to_resume(&self) -> String {
        how_to_resume(&self.id, &self.invocation)
    }

    /// The id, and the profile or the server.
    pub(crate) fn label(&self) -> String {
        match &self.invocation.profile {
            Some(profile) => format!("{} (profile {profile})", &*self.id),
            None => format!(
                "{} ({})",
                &*self.id,
                self.invocation.settings.server_name().unwrap_or_else(|| "no server".to_owned())
            ),
        }
    }
}

/// Removes expired sign-ins, and what killed processes left of others.
pub(crate) fn sweep() {
    for id in ids() {
        let Ok(store) = store(&id) else { return };
        let is_dead = match store.load() {
            // Only a lock, or half a file: its process died, or has only begun, in which case it holds the lock.
            Ok(None) => true,
            Ok(Some(stored)) => match read(&id, &stored) {
                Ok(stored) => stored.is_expired(),
                Err(_) => is_old(&store.path()),
            },
            Err(_) => false,
        };
        if !is_dead {
            continue;
        }
        let gone = store.lock_timeout(Duration::ZERO).lock().is_ok_and(|mut locked| locked.remove().is_ok());
        if gone {
            remove_lock(&id);
        }
    }
}

fn unwritable(id: &Id, error: serde_json::Error) -> StoreError {
    StoreError::Io { step: "write", path: PathBuf::from(format!("{id}.json")), source: error.into() }
}

fn is_old(path: &Path) -> bool {
    let age =
        std::fs::metadata(path).and_then(|about| about.modified()).map(|then| SystemTime::now().duration_since(then));
    matches!(age, Ok(Ok(age)) if age > A_DAY)
}

/// An id is never used twice, so neither is its lock.
fn remove_lock(id: &Id) {
    if let Ok(folder) = folder() {
        let _ = std::fs::remove_file(folder.join(format!("{}.json.flock", &**id)));
    }
}

/// An error where no folder for pending sign-ins is known.
pub(crate) fn require_place() -> Result<(), StoreError> {
    folder().map(drop)
}

fn folder() -> Result<PathBuf, StoreError> {
    default_path("device-flow", "pending")
}

fn store(id: &Id) -> Result<FileStore, StoreError> {
    Ok(FileStore::new(folder()?.join(format!("{}.json", &**id)))?.not_shared())
}

/// The ids of all files: sign-ins, locks, half-written files.
fn ids() -> BTreeSet<Id> {
    let entries = folder().ok().and_then(|folder| std::fs::read_dir(folder).ok());
    let names = entries.into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| Id::parse(name.trim_start_matches('.').split('.').next()?)).collect()
}

fn read<'a>(id: &Id, stored: &[u8]) -> Result<Stored<'a>, RunError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    match serde_json::from_slice(stored) {
        Ok(Version { v: VERSION }) => {}
        Ok(Version { v }) => {
            return Err(RunError::Storage(format!(
                "the stored sign-in {id} is of version {v}, and this program knows version {VERSION}: resume it with the \
                 program that began it, or start a new one"
            )));
        }
        Err(_) => return Err(damaged(id)),
    }
    // The parser's message may quote what is stored.
    serde_json::from_slice(stored).map_err(|_| damaged(id))
}

fn damaged(id: &Id) -> RunError {
    RunError::Storage(format!("the stored sign-in {id} is damaged: start a new one"))
}

fn unknown(id: &Id) -> RunError {
    RunError::Usage(format!("there is no sign-in {id}: it has ended, its code has expired, or another user began it"))
}

fn busy(id: &Id, holder: &LockHolder) -> RunError {
    RunError::Usage(format!("{holder} is still waiting for the sign-in {id}: end that process first"))
}

fn how_to_resume(id: &str, invocation: &Invocation) -> String {
    let secret = if invocation.secret_from_stdin { " --client-secret-file -" } else { "" };
    format!("device-flow login --resume {id}{secret}")
}
