//! Owns the key of an encrypted token file: where it is, and its passphrase.

use crate::args::Target;
use crate::run_error::RunError;
use crate::shell::word;
use crate::terminal::Terminal;
use device_flow_tokio::{AgeKey, AgeKeyError, Change, FileStore, Store as _, default_path};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// The text of a key.
const KEY: &str = "DEVICE_FLOW_AGE_KEY";
/// What protects one.
const PASSPHRASE: &str = "DEVICE_FLOW_AGE_PASSPHRASE";
/// The name of a credential of systemd (`LoadCredential=`, `LoadCredentialEncrypted=`).
const CREDENTIAL: &str = "device-flow-age-key";

/// What to do where nobody can be asked for a passphrase.
const WITHOUT_A_TERMINAL: &str = "Name a file with a key (--age-key-file FILE; `age-keygen -o FILE` makes one), put the key into \
    DEVICE_FLOW_AGE_KEY or into the systemd credential device-flow-age-key, or its passphrase into DEVICE_FLOW_AGE_PASSPHRASE; or \
    use --store file, which does not encrypt";

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AgeKeySource {
    /// A file that an option names.
    File(PathBuf),
    /// The environment itself.
    Environment,
    /// A file of systemd.
    Credential(PathBuf),
    /// The file that the first sign-in makes.
    Own(PathBuf),
    /// There is none, and no folder is known where one could be made.
    Nowhere,
}

/// What was unlocked, so that nobody is asked twice.
static UNLOCKED: Mutex<BTreeMap<AgeKeySource, AgeKey>> = Mutex::new(BTreeMap::new());

impl AgeKeySource {
    pub(super) fn of(target: &Target) -> Self {
        if let Some(file) = &target.age_key_file {
            return Self::File(file.clone());
        }
        if variable(KEY).is_some() {
            return Self::Environment;
        }
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        if let Some(file) = folder.map(|folder| folder.join(CREDENTIAL)).filter(|file| file.exists()) {
            return Self::Credential(file);
        }
        default_path("device-flow", "age-key").map_or(Self::Nowhere, Self::Own)
    }

    /// The key, if it was unlocked before.
    pub(super) fn unlocked(&self) -> Option<AgeKey> {
        UNLOCKED.lock().unwrap_or_else(PoisonError::into_inner).get(self).cloned()
    }

    /// Gets the key ready. `may_make`: a sign-in makes one where there is none yet. `is_used`: whether there is something that
    /// only the key opens.
    pub(super) async fn unlock(&self, may_make: bool, is_used: bool, terminal: &mut Terminal) -> Result<(), RunError> {
        if self.unlocked().is_some() {
            return Ok(());
        }
        let key = match self.read()? {
            Some(text) => match AgeKey::read(&text) {
                Err(AgeKeyError::Protected) => self.with_passphrase(text, terminal).await?,
                read => read.map_err(|error| self.unusable(&error))?,
            },
            None if is_used => {
                return Err(RunError::Storage(format!(
                    "the tokens are encrypted, and their key is gone ({self}). Bring it back, or move the tokens away and sign in \
                     again"
                )));
            }
            None if may_make => self.make(terminal).await?,
            // Nothing is stored, so any key finds nothing.
            None => AgeKey::generate(),
        };
        UNLOCKED.lock().unwrap_or_else(PoisonError::into_inner).insert(self.clone(), key);
        Ok(())
    }

    /// `None`: the own key does not exist yet.
    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, RunError> {
        const MOST: u64 = 64 * 1024;
        let file = match self {
            Self::Environment => {
                return Ok(variable(KEY).map(|text| Zeroizing::new(text.as_bytes().to_vec())));
            }
            Self::Own(path) => {
                let stored = FileStore::new(path)?.not_shared().load()?;
                return Ok(stored.map(|contents| Zeroizing::new(contents.to_vec())));
            }
            Self::Nowhere => {
                return Err(RunError::Storage(format!(
                    "there is no key for encrypted tokens, and no home folder (HOME) for one of their own. {WITHOUT_A_TERMINAL}"
                )));
            }
            Self::File(file) | Self::Credential(file) => file,
        };
        let mut text = Zeroizing::new(Vec::new());
        let read = std::fs::File::open(file).and_then(|open| open.take(MOST).read_to_end(&mut text));
        match read {
            Ok(_) => Ok(Some(text)),
            Err(error) => Err(RunError::unreadable("--age-key-file", file, &error)),
        }
    }

    async fn with_passphrase(&self, text: Zeroizing<Vec<u8>>, terminal: &mut Terminal) -> Result<AgeKey, RunError> {
        if let Some(passphrase) = variable(PASSPHRASE) {
            return unlock(text, passphrase).await?.map_err(|error| self.unusable(&error));
        }
        for _ in 0..3 {
            let Some(passphrase) = terminal.ask_secret("Passphrase of the key of your tokens:").await else {
                return Err(RunError::Storage(format!(
                    "the key of the tokens ({self}) is protected by a passphrase, and nobody can be asked for it here. \
                     {WITHOUT_A_TERMINAL}"
                )));
            };
            match unlock(text.clone(), passphrase).await? {
                Err(AgeKeyError::WrongPassphrase) => terminal.note("The passphrase is wrong."),
                unlocked => return unlocked.map_err(|error| self.unusable(&error)),
            }
        }
        Err(self.unusable(&AgeKeyError::WrongPassphrase))
    }

    /// A new key, protected by a passphrase that is asked for.
    async fn make(&self, terminal: &mut Terminal) -> Result<AgeKey, RunError> {
        let passphrase = match variable(PASSPHRASE) {
            Some(passphrase) => passphrase,
            None => new_passphrase(terminal).await?,
        };
        let Self::Own(path) = self else { return Err(RunError::Internal("no place for a key".to_owned())) };
        let store = FileStore::new(path)?.not_shared();
        let made = blocking(move || {
            let key = AgeKey::generate();
            let protected = key.protected(&passphrase).map_err(|error| RunError::Internal(error.to_string()))?;
            let mut is_first = true;
            store.update(&mut |stored| {
                is_first = stored.is_none();
                if is_first { Change::Save(protected.clone().into()) } else { Change::Keep }
            })?;
            let other = "another run has made a key meanwhile: try again";
            if is_first { Ok(key) } else { Err(RunError::Storage(other.to_owned())) }
        });
        let key = made.await??;
        terminal.note(&format!(
            "The key of your tokens is in {}. Without it and its passphrase they cannot be read.",
            path.display()
        ));
        Ok(key)
    }

    fn unusable(&self, error: &AgeKeyError) -> RunError {
        RunError::Storage(format!("the key of the tokens ({self}) cannot be used: {error}"))
    }
}

async fn new_passphrase(terminal: &mut Terminal) -> Result<Zeroizing<String>, RunError> {
    let nobody = || {
        RunError::Storage(format!(
            "there is no key for encrypted tokens yet, and nobody can be asked for a passphrase here. {WITHOUT_A_TERMINAL}"
        ))
    };
    loop {
        let first = terminal.ask_secret("A passphrase for the key of your tokens:").await.ok_or_else(nobody)?;
        if first.is_empty() {
            terminal.note("Without a passphrase, --store file does the same.");
            continue;
        }
        if terminal.ask_secret("The same once more:").await.ok_or_else(nobody)? == first {
            return Ok(first);
        }
        terminal.note("These two differ.");
    }
}

async fn unlock(
    text: Zeroizing<Vec<u8>>,
    passphrase: Zeroizing<String>,
) -> Result<Result<AgeKey, AgeKeyError>, RunError> {
    blocking(move || AgeKey::unlock(&text, &passphrase)).await
}

/// On another thread: it takes a second, and Ctrl-C must end it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RunError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| RunError::Internal(error.to_string()))
}

/// An empty one counts as unset.
fn variable(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(Zeroizing::new)
}

impl std::fmt::Display for AgeKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = |path: &Path| word(&path.display().to_string()).into_owned();
        match self {
            Self::File(file) | Self::Credential(file) | Self::Own(file) => f.write_str(&path(file)),
            Self::Environment => f.write_str(KEY),
            Self::Nowhere => f.write_str("none"),
        }
    }
}
