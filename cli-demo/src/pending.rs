//! Owns sign-ins that have their code but no token yet: the file that lets another run go on with one, and who may poll for it.
//!
//! One file for each, in `device-flow/pending` among the state files, whatever was said of the place of tokens: `--resume ID`
//! finds it by nothing but its id. Who polls holds the file's lock, which ends with the process, however that ends.

mod clocks;
mod id;
mod kept;

pub(crate) use id::Id;
pub(crate) use kept::{Kept, Shown};

use crate::end::End;
use crate::settings::Settings;
use clocks::Reading;
use device_flow_tokio::{
    Client, DeviceFlow, FileStore, LockHolder, Locked, SignInError, Snapshot, SnapshotError, Store as _, StoreError,
    Timestamp, UnixTime, default_path, entropy,
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

/// No code lives longer, so what cannot be read is dead after it.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// For a process that is just ending.
const PATIENCE: Duration = Duration::from_secs(1);

/// Room for any of them, so that no copy of the device code is left where a buffer grew.
const ROOM: usize = 16 * 1024;

/// What was said when the sign-in began.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Words {
    pub(crate) profile: Option<String>,
    /// Whether somebody chose that name at the time.
    pub(crate) named: bool,
    /// The file of profiles, if not the usual one.
    pub(crate) config: Option<String>,
    pub(crate) settings: Settings,
    /// The client secret is nowhere to be found again.
    pub(crate) secret_from_stdin: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    v: u32,
    words: Cow<'a, Words>,
    taken: Reading,
    /// In milliseconds from then.
    expires_in: u64,
    /// For how many milliseconds from then a request may have been under way; nobody was left to write down its end.
    in_flight: u64,
    flow: Snapshot,
}

/// One sign-in, ours to poll for as long as this lives.
pub(crate) struct Pending {
    id: Id,
    words: Words,
    /// `None`: nothing can be written any more.
    locked: RefCell<Option<Box<dyn Locked>>>,
    stored: Cell<bool>,
    trouble: RefCell<Option<StoreError>>,
}

/// A sign-in as another run has left it.
pub(crate) struct Left {
    snapshot: Snapshot,
    taken: Reading,
    /// Of the code's life, when it was taken.
    expires_in: Duration,
    /// For how long after that a request may have been under way.
    in_flight: Duration,
}

impl Pending {
    /// A place for a new one. Nothing is written before there is a code.
    pub(crate) fn new(words: Words) -> Result<Self, SignInError> {
        let id = Id::random(entropy()?);
        let locked = store(&id)?.lock_timeout(PATIENCE).lock()?;
        Ok(Self::held(id, words, locked))
    }

    fn held(id: Id, words: Words, locked: Box<dyn Locked>) -> Self {
        let stored = Cell::new(locked.current().is_some());
        Self { id, words, locked: RefCell::new(Some(locked)), stored, trouble: RefCell::default() }
    }

    /// Takes over what another run has left.
    pub(crate) fn take_over(id: Id) -> Result<(Self, Left), End> {
        let store = store(&id)?.lock_timeout(PATIENCE);
        // Without the lock, which would make the folder of what is not there.
        if store.load()?.is_none() {
            return Err(unknown(&id));
        }
        let locked = store.lock().map_err(|error| {
            if let StoreError::Busy { holder, .. } = &error { busy(&id, holder) } else { error.into() }
        })?;
        let stored = locked.current().ok_or_else(|| unknown(&id))?;
        let Stored { words, taken, expires_in, in_flight, flow: snapshot, .. } = read(&id, stored)?;
        let words = words.into_owned();
        let pending = Self::held(id, words, locked);
        let (expires_in, in_flight) = (Duration::from_millis(expires_in), Duration::from_millis(in_flight));
        if taken.until(&Reading::now()) >= expires_in {
            pending.forget();
            return Err(End::CodeExpired(pending.id.to_string()));
        }
        Ok((pending, Left { snapshot, taken, expires_in, in_flight }))
    }

    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    /// While another run could go on with it.
    pub(crate) fn id(&self) -> Option<&str> {
        self.stored.get().then_some(&*self.id)
    }

    /// Why it can no longer be resumed, once.
    pub(crate) fn trouble(&self) -> Option<StoreError> {
        self.trouble.borrow_mut().take()
    }

    /// What a person types to go on, while that is possible.
    pub(crate) fn how_to_resume(&self) -> Option<String> {
        self.id().map(|id| how_to_resume(id, &self.words))
    }

    /// It is over, or not wanted any more.
    pub(crate) fn forget(&self) {
        if let Some(mut locked) = self.locked.borrow_mut().take() {
            // What cannot be removed is swept one day, and of no use to anybody: the code is dead, or nobody approves it.
            let _ = locked.remove();
        }
        self.stored.set(false);
    }

    /// `in_flight`: for how long from now a request may be under way.
    fn keep(&self, flow: &DeviceFlow, now: Timestamp, in_flight: Duration) {
        let (Some(snapshot), Some(prompt)) = (flow.snapshot(now), flow.prompt()) else { return };
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let stored = Stored {
            v: VERSION,
            words: Cow::Borrowed(&self.words),
            // After the snapshot, so that the time away is not longer than it was.
            taken: Reading::now(),
            expires_in: millis(prompt.expires_in(now)),
            in_flight: millis(in_flight),
            flow: snapshot,
        };
        let mut place = self.locked.borrow_mut();
        let Some(locked) = place.as_mut() else { return };
        let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
        let written = serde_json::to_writer(&mut *bytes, &stored);
        match written.map_err(|error| unwritable(&self.id, error)).and_then(|()| locked.save(bytes.into())) {
            Ok(()) => self.stored.set(true),
            Err(error) => {
                // What is there now is too old: going on with it would poll too early.
                let _ = locked.remove();
                *place = None;
                self.stored.set(false);
                *self.trouble.borrow_mut() = Some(error);
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let locked = self.locked.take();
        drop(locked);
        if !self.stored.get() {
            remove_lock(&self.id);
        }
    }
}

impl Left {
    /// Goes on. The moment is the end of its code, on the same timeline.
    pub(crate) fn resume(self, client: &Arc<Client>, now: Timestamp) -> Result<(DeviceFlow, Timestamp), SnapshotError> {
        let gone = self.taken.until(&Reading::now());
        // The answer to a poll in flight is lost, and the wait after it counts from the moment that its process died: at the
        // latest, from the end of the longest request.
        let away = gone.saturating_sub(self.in_flight);
        let flow = DeviceFlow::resume(Arc::clone(client), self.snapshot, away, now)?;
        Ok((flow, now.saturating_add(self.expires_in.saturating_sub(gone))))
    }
}

/// A sign-in that could be resumed.
pub(crate) struct Waiting {
    pub(crate) id: Id,
    words: Words,
    /// By the wall clock, for people.
    ends: UnixTime,
    expired: bool,
}

impl Waiting {
    /// All of them that can be read, the oldest first.
    pub(crate) fn all() -> Vec<Self> {
        let one = |id: Id| {
            let stored = store(&id).ok()?.load().ok()??;
            let Stored { words, taken, expires_in, .. } = read(&id, &stored).ok()?;
            let expired = taken.until(&Reading::now()) >= Duration::from_millis(expires_in);
            let ends = UnixTime::from_secs(taken.wall.saturating_add(expires_in) / 1_000);
            Some(Self { id, words: words.into_owned(), ends, expired })
        };
        let mut all: Vec<_> = ids().into_iter().filter_map(one).collect();
        all.sort_by(|one, other| (one.ends, &*one.id).cmp(&(other.ends, &*other.id)));
        all
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expired
    }

    pub(crate) fn is_of(&self, profile: Option<&str>) -> bool {
        self.words.profile.as_deref() == profile
    }

    /// Whether it is about the same client of the same server.
    pub(crate) fn is_about(&self, settings: &Settings) -> bool {
        self.words.settings.is_about(settings)
    }

    /// Whether no other run polls for it.
    pub(crate) fn is_free(&self) -> bool {
        store(&self.id).and_then(|store| store.lock_timeout(Duration::ZERO).lock()).is_ok()
    }

    pub(crate) fn ends(&self) -> UnixTime {
        self.ends
    }

    pub(crate) fn how_to_resume(&self) -> String {
        how_to_resume(&self.id, &self.words)
    }

    /// Enough to tell it from others.
    pub(crate) fn label(&self) -> String {
        let said = |name| self.words.settings.get(name);
        let server =
            ["issuer", "host", "provider", "device-endpoint"].into_iter().find_map(said).unwrap_or("no server");
        match &self.words.profile {
            Some(profile) => format!("{} (profile {profile})", &*self.id),
            None => format!("{} ({server})", &*self.id),
        }
    }
}

/// Removes what is of no use any more: dead codes, and what is left of them.
pub(crate) fn sweep() {
    for id in ids() {
        let Ok(store) = store(&id) else { return };
        let dead = match store.load() {
            // Only a lock, or half a file: its process died, or is just beginning, which its lock will tell.
            Ok(None) => true,
            Ok(Some(stored)) => match read(&id, &stored) {
                Ok(stored) => stored.taken.until(&Reading::now()) >= Duration::from_millis(stored.expires_in),
                Err(_) => is_old(&store.path()),
            },
            Err(_) => false,
        };
        if !dead {
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

/// Nobody uses the lock of an id that is gone: it is never used again.
fn remove_lock(id: &Id) {
    if let Ok(folder) = folder() {
        let _ = std::fs::remove_file(folder.join(format!("{}.json.flock", &**id)));
    }
}

fn folder() -> Result<PathBuf, StoreError> {
    default_path("device-flow", "pending")
}

fn store(id: &Id) -> Result<FileStore, StoreError> {
    FileStore::new(folder()?.join(format!("{}.json", &**id)))
}

/// The ids of all files that are there: of sign-ins, of their locks, of halves.
fn ids() -> BTreeSet<Id> {
    let entries = folder().ok().and_then(|folder| std::fs::read_dir(folder).ok());
    let names = entries.into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| Id::parse(name.trim_start_matches('.').split('.').next()?)).collect()
}

fn read<'a>(id: &Id, stored: &[u8]) -> Result<Stored<'a>, End> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    match serde_json::from_slice(stored) {
        Ok(Version { v: VERSION }) => {}
        Ok(Version { v }) => {
            return Err(End::Storage(format!(
                "the stored sign-in {id} is of version {v}, and this program knows version {VERSION}: resume it with the \
                 program that began it, or start a new one"
            )));
        }
        Err(_) => return Err(damaged(id)),
    }
    // What it says of the error may quote what is stored.
    serde_json::from_slice(stored).map_err(|_| damaged(id))
}

pub(crate) fn damaged(id: &Id) -> End {
    End::Storage(format!("the stored sign-in {id} is damaged: start a new one"))
}

pub(crate) fn unknown(id: &Id) -> End {
    End::Usage(format!("no sign-in is called {id}: it has ended, its code has expired, or another user began it"))
}

fn busy(id: &Id, holder: &LockHolder) -> End {
    End::Usage(format!("{holder} still waits for the sign-in {id}: end that one first"))
}

fn how_to_resume(id: &str, words: &Words) -> String {
    let secret = if words.secret_from_stdin { " --client-secret-file -" } else { "" };
    format!("device-flow login --resume {id}{secret}")
}
