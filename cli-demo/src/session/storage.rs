//! Owns the choice where tokens are stored: the keyring, a file, or memory.

use crate::args::{StoreName, Target};
use crate::run_error::RunError;
use crate::terminal::warn;
use device_flow_adapter::account_store;
use device_flow_tokio::{
    Account, Contents, FileStore, KeyringStore, Lease, Locked, MemoryStore, SignInError, SignInRequest, Store,
    StoreError, TokenCache, default_path,
};
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

    /// A missing keyring is reported before anybody has to do anything. There is no silent fallback to another store.
    pub(super) fn open(&self) -> Result<AnyStore, RunError> {
        Ok(AnyStore(match self {
            Self::Keyring => Arc::new(keyring()?),
            Self::File(path) => Arc::new(FileStore::new(path)?.on_warning(|found| warn(&found.to_string()))),
            Self::Memory => Arc::new(MemoryStore::new()),
        }))
    }
}

/// Any of the stores, as one type.
#[derive(Clone)]
pub(super) struct AnyStore(Arc<dyn Store>);

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
        Ok(done.map_err(|error| RunError::Internal(error.to_string()))??)
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
    open_keyring().map_err(|error| {
        let StoreError::Keyring { .. } = error else { return error.into() };
        RunError::Storage(format!("no keyring can be used here ({error}). {NO_KEYRING}"))
    })
}
