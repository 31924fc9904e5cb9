//! Owns the choice where tokens are stored: the keyring, a file, encrypted or not, or memory.

use super::age_key::AgeKeySource;
use crate::args::{StoreName, Target};
use crate::run_error::RunError;
use crate::terminal::{Terminal, warn};
use device_flow_adapter::account_store;
use device_flow_tokio::{
    Account, AgeKey, Contents, EncryptedStore, FileStore, KeyringStore, Lease, Locked, MemoryStore, SignInError,
    SignInRequest, Store, StoreError, TokenCache, default_path,
};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where tokens are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    Keyring,
    File(PathBuf),
    /// A file that is encrypted with a key.
    Age(PathBuf, AgeKeySource),
    Memory,
}

impl Storage {
    pub(crate) fn of(target: &Target) -> Result<Self, StoreError> {
        let file = |name| match &target.token_file {
            Some(path) => Ok(path.clone()),
            None => default_path("device-flow", name),
        };
        let default = if target.token_file.is_some() { StoreName::File } else { StoreName::Keyring };
        Ok(match target.store.unwrap_or(default) {
            StoreName::Keyring => Self::Keyring,
            StoreName::File => Self::File(file("tokens.json")?),
            StoreName::Age => Self::Age(file("tokens.age")?, AgeKeySource::of(target)),
            StoreName::Memory => Self::Memory,
        })
    }

    /// An error where no folder for it is known.
    pub(crate) fn require_place(&self) -> Result<(), StoreError> {
        match self {
            // It has a file beside it, for its lock.
            Self::Keyring => default_path("device-flow", "keyring").map(drop),
            Self::File(_) | Self::Age(..) | Self::Memory => Ok(()),
        }
    }

    /// Gets the key of an encrypted file ready, which may need a person. `may_make`: a sign-in makes one where there is none.
    pub(crate) async fn unlock(&self, may_make: bool, terminal: &mut Terminal) -> Result<(), RunError> {
        let Self::Age(path, key) = self else { return Ok(()) };
        // An emptied file is none.
        let is_used = std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
        key.unlock(may_make, is_used, terminal).await
    }

    /// The file, if it is one.
    pub(crate) fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) | Self::Age(path, _) => Some(path),
            Self::Keyring | Self::Memory => None,
        }
    }

    /// As `--store` calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::File(_) => "file",
            Self::Age(..) => "age",
            Self::Memory => "memory",
        }
    }

    /// Removes an account that no client is known for.
    pub(crate) async fn forget(&self, account: &Account) -> Result<(), RunError> {
        let account = account.clone();
        self.open()?.with(move |store| account_store::forget_account(store, &account)).await
    }

    /// The place beside the tokens for the key that the tokens of this client of this server are bound to.
    pub(super) fn open_for_key(&self, client: &str) -> Result<Arc<dyn Store>, RunError> {
        self.open_beside("dpop-key", client)
    }

    /// The place beside the tokens for how this program has registered itself at this server.
    pub(super) fn open_for_registration(&self, server: &str) -> Result<Arc<dyn Store>, RunError> {
        self.open_beside("registration", server)
    }

    fn open_beside(&self, what: &str, client: &str) -> Result<Arc<dyn Store>, RunError> {
        let digest = Sha256::digest(client.as_bytes());
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(match self {
            Self::Keyring => {
                let entry = format!("{what}-{name}");
                let lock = default_path("device-flow", &entry)?;
                Arc::new(KeyringStore::open("device-flow", &entry, lock).map_err(no_keyring)?)
            }
            Self::File(path) => Arc::new(file(&with(path, &format!(".{what}-{name}")))?.not_shared()),
            Self::Age(path, key) => encrypted(&with(path, &format!(".{what}-{name}")), key)?,
            Self::Memory => Arc::new(MemoryStore::new()),
        })
    }

    /// A missing keyring is reported before anybody has to do anything. There is no silent fallback to another store.
    pub(crate) fn open(&self) -> Result<AnyStore, RunError> {
        let store: Arc<dyn Store> = match self {
            Self::Keyring => Arc::new(keyring()?),
            Self::File(path) => Arc::new(file(path)?),
            Self::Age(path, key) => encrypted(path, key)?,
            Self::Memory => Arc::new(MemoryStore::new()),
        };
        Ok(AnyStore(store, self.clone()))
    }

    /// The part of it that holds no token cache, as a person would look for it.
    fn damaged(&self) -> String {
        let Self::File(path) = self else {
            return self
                .path()
                .map_or_else(|| format!("what is stored in the {}", self.name()), |path| path.display().to_string());
        };
        let parts = [path.clone(), with(path, ".unshared")];
        let is_damaged = |path: &&PathBuf| std::fs::read(path).is_ok_and(|text| TokenCache::from_json(&text).is_err());
        parts.iter().find(is_damaged).unwrap_or(path).display().to_string()
    }
}

/// The path with more at its end.
pub(crate) fn with(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn file(path: &Path) -> Result<FileStore, StoreError> {
    Ok(FileStore::new(path)?.on_warning(|found| warn(&found.to_string())))
}

fn encrypted(path: &Path, key: &AgeKeySource) -> Result<Arc<dyn Store>, RunError> {
    let key: AgeKey = key.unlocked().ok_or_else(|| RunError::Internal("the key is not unlocked".to_owned()))?;
    Ok(Arc::new(EncryptedStore::new(file(path)?.not_shared(), key)))
}

/// Any of the stores, as one type.
#[derive(Clone)]
pub(crate) struct AnyStore(Arc<dyn Store>, Storage);

impl AnyStore {
    /// What is stored now.
    pub(super) async fn cache(&self) -> Result<TokenCache, RunError> {
        self.with(account_store::load).await
    }

    /// Moves a person whom the server does not name.
    pub(super) async fn move_to_slot(
        &self,
        request: SignInRequest,
        account: Account,
        slot: String,
    ) -> Result<(), RunError> {
        self.with(move |store| account_store::move_to_slot(store, &request, &account, &slot)).await
    }

    /// Stores block their thread.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, SignInError> + Send + 'static,
    ) -> Result<T, RunError> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|error| RunError::Internal(error.to_string()))?.map_err(|error| {
            if let SignInError::Cache(error) = error {
                return RunError::Storage(format!("{}: {error}", self.1.damaged()));
            }
            error.into()
        })
    }
}

impl Store for AnyStore {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        self.0.load()
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        self.0.lock()
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        self.0.lease(owner, patience)
    }

    fn unshared(&self) -> Option<Box<dyn Store>> {
        self.0.unshared()
    }
}

/// What to do where there is no keyring.
pub(crate) const NO_KEYRING: &str = "Start or unlock the keyring; or use --store age to keep the tokens in a file that is \
    encrypted with a key or a passphrase, --store file for a file that only you can read (not encrypted), or --store memory to keep \
    them nowhere";

pub(crate) fn open_keyring() -> Result<KeyringStore, StoreError> {
    KeyringStore::open("device-flow", "tokens", default_path("device-flow", "keyring")?)
}

fn keyring() -> Result<KeyringStore, RunError> {
    open_keyring().map_err(no_keyring)
}

fn no_keyring(error: StoreError) -> RunError {
    let StoreError::Keyring { .. } = error else { return error.into() };
    RunError::Storage(format!("no keyring can be used here ({error}). {NO_KEYRING}"))
}
