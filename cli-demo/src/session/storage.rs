//! Owns the choice where tokens are stored: the keyring, a file, or memory.

use crate::args::{StoreName, Target};
use crate::run_error::RunError;
use crate::terminal::warn;
use device_flow_adapter::account_store;
use device_flow_tokio::{
    Account, Contents, FileStore, KeyringStore, Lease, Locked, MemoryStore, SignInError, SignInRequest, Store,
    StoreError, TokenCache, default_path,
};
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where tokens are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    Keyring,
    File(PathBuf),
    Memory,
}

impl Storage {
    pub(crate) fn of(target: &Target) -> Result<Self, StoreError> {
        let file = || match &target.token_file {
            Some(path) => Ok(path.clone()),
            None => default_path("device-flow", "tokens.json"),
        };
        let default = if target.token_file.is_some() { StoreName::File } else { StoreName::Keyring };
        Ok(match target.store.unwrap_or(default) {
            StoreName::Keyring => Self::Keyring,
            StoreName::File => Self::File(file()?),
            StoreName::Memory => Self::Memory,
        })
    }

    /// An error where no folder for it is known.
    pub(crate) fn require_place(&self) -> Result<(), StoreError> {
        match self {
            // It has a file beside it, for its lock.
            Self::Keyring => default_path("device-flow", "keyring").map(drop),
            Self::File(_) | Self::Memory => Ok(()),
        }
    }

    /// As `--store` calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::File(_) => "file",
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
            Self::File(path) => {
                let mut path = path.clone().into_os_string();
                path.push(format!(".{what}-{name}"));
                Arc::new(FileStore::new(PathBuf::from(path))?.not_shared().on_warning(|found| warn(&found.to_string())))
            }
            Self::Memory => Arc::new(MemoryStore::new()),
        })
    }

    /// A missing keyring is reported before anybody has to do anything. There is no silent fallback to another store.
    pub(super) fn open(&self) -> Result<AnyStore, RunError> {
        let store: Arc<dyn Store> = match self {
            Self::Keyring => Arc::new(keyring()?),
            Self::File(path) => Arc::new(FileStore::new(path)?.on_warning(|found| warn(&found.to_string()))),
            Self::Memory => Arc::new(MemoryStore::new()),
        };
        Ok(AnyStore(store, self.clone()))
    }

    /// The part of it that holds no token cache, as a person would look for it.
    fn damaged(&self) -> String {
        let Self::File(path) = self else { return format!("what is stored in the {}", self.name()) };
        let mut unshared = path.clone().into_os_string();
        unshared.push(".unshared");
        let parts = [path.clone(), PathBuf::from(unshared)];
        let is_damaged = |path: &&PathBuf| std::fs::read(path).is_ok_and(|text| TokenCache::from_json(&text).is_err());
        parts.iter().find(is_damaged).unwrap_or(path).display().to_string()
    }
}

/// Any of the stores, as one type.
#[derive(Clone)]
pub(super) struct AnyStore(Arc<dyn Store>, Storage);

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
pub(crate) const NO_KEYRING: &str = "Start or unlock the keyring; or use --store file to keep the tokens in a file that only \
    you can read (not encrypted), or --store memory to keep them nowhere";

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
