//! Owns a session: the client that the settings describe, with its endpoints, its HTTP client and its token store.

mod age_key;
mod client;
mod credentials;
mod endpoints;
mod http;
mod metadata_cache;
mod overview;
mod registration;
mod storage;
mod tokens;
pub(crate) mod unfinished;

pub(crate) use client::{NO_SERVER, discovery, is_stdin, known_provider};
pub(crate) use credentials::Credentials;
pub(crate) use endpoints::{Remembered, remembered};
pub(crate) use http::{http, http_builder};
pub(crate) use overview::Overview;
pub(crate) use storage::{NO_KEYRING, Storage, open_keyring, with};
pub(crate) use tokens::{Wanted, is_refusal};

use crate::args::{SignInOptions, Target};
use crate::run_error::RunError;
use crate::terminal::Terminal;
use client::client;
use device_flow_tokio::{
    Account, Accounts, AuthorityKind, Client, Failure, Http, Person, SignInRequest, StoreError, TokenCache,
};
use endpoints::Endpoints;
use http::LazyHttp;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use storage::AnyStore;
use tracing::info;

/// What a session is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `login`: a new sign-in may become a profile, and metadata older than a day is requested again.
    SignIn,
    /// Using the tokens that `login` stored.
    UseTokens,
    /// Removing them, which must work even if the server does not answer.
    SignOut,
}

/// The command that signs in, for messages.
pub(crate) struct HowToSignIn {
    /// With the profile, if it must be named.
    pub(crate) command: String,
    /// Whether the person must repeat the options, because no profile has them.
    pub(crate) with_the_same_options: bool,
}

impl HowToSignIn {
    /// Silently while stored tokens are good, else with a code.
    pub(crate) fn plain(&self) -> String {
        self.with("")
    }

    /// With a code, whatever is stored.
    pub(crate) fn forced(&self) -> String {
        self.with(" --force")
    }

    fn with(&self, flag: &str) -> String {
        let options = if self.with_the_same_options { " with the same options" } else { "" };
        format!("{}{flag}{options}", self.command)
    }
}

/// A client, and where its tokens are stored.
pub(crate) struct Session {
    http: LazyHttp,
    /// Replaced when the server is asked again where its endpoints are.
    client: RefCell<Arc<Client>>,
    endpoints: Cell<Endpoints>,
    target: Target,
    credentials: Credentials,
    store: AnyStore,
    pub(crate) storage: Storage,
    /// Where the tokens of a person are whom the server does not name: the profile.
    slot: RefCell<String>,
    how_to_sign_in: HowToSignIn,
}

impl Session {
    pub(crate) async fn open(
        options: SignInOptions,
        how_to_sign_in: HowToSignIn,
        purpose: Purpose,
        terminal: &mut Terminal,
    ) -> Result<Self, RunError> {
        let SignInOptions { target, network, .. } = options;
        let http = LazyHttp::new(network, target.client_certificate.clone());
        if purpose == Purpose::SignIn {
            // Wrong network settings are reported before anything else.
            http.get()?;
        }
        if target.client_id.is_none() && !registration::is_for(&target) {
            let text = "no client is named: use --client-id with the id that is registered at the server";
            return Err(RunError::Usage(text.to_owned()));
        }
        // What is wrong with the command is told before what is wrong with this computer.
        let known = if target.issuer.is_none() { Some(known_provider(&target)?) } else { None };
        let storage = Storage::of(&target)
            .and_then(|storage| storage.require_place().map(|()| storage))
            .map_err(|error| no_storage(error, purpose))?;
        storage.unlock(purpose == Purpose::SignIn, terminal).await?;
        let store = storage.open()?;
        let (client_id, credentials) = match &target.client_id {
            Some(id) => (id.clone(), Credentials::read(&target, &storage, purpose, terminal).await?),
            None => registration::client(&target, purpose, &http, &storage, &store, terminal).await?,
        };
        let (provider, endpoints) = match (known, &target.issuer) {
            (Some(known), _) => (known, Endpoints::Certain),
            (None, Some(issuer)) => endpoints::found(issuer, &target, purpose, &http, &storage, terminal).await?,
            (None, None) => return Err(RunError::Usage(NO_SERVER.to_owned())),
        };
        let client = Arc::new(credentials.client(&target, &client_id, provider)?);
        info!("client {} of {}", client.client_id(), client.issuer().unwrap_or_else(|| client.token_endpoint()));
        match storage.path() {
            Some(path) => info!("tokens are stored in {}", path.display()),
            None => info!("tokens are stored in the {}", storage.name()),
        }
        let (client, endpoints) = (RefCell::new(client), Cell::new(endpoints));
        let slot = RefCell::default();
        Ok(Self { http, client, endpoints, target, credentials, store, storage, slot, how_to_sign_in })
    }

    /// Lets the registration of this client end if a sign-in failed because its server no longer knows it: nobody else could,
    /// since nobody has registered it by hand. Returns whether the next sign-in registers anew.
    pub(crate) async fn has_ended_registration(&self, failure: &Failure) -> bool {
        let is_unknown = matches!(failure, Failure::Rejected(error) if error.code() == "invalid_client");
        if !is_unknown || !registration::is_for(&self.target) {
            return false;
        }
        let ended = registration::end(&self.target, &self.storage, self.client().client_id()).await;
        // The failure of the sign-in says more than one to store that.
        ended.inspect_err(|error| info!("the registration is not ended: {error}")).unwrap_or(false)
    }

    /// The file that holds the tokens of this server, if it is a file.
    pub(crate) fn token_file(&self) -> Option<PathBuf> {
        let path = self.storage.path()?;
        let mut file = path.clone().into_os_string();
        if matches!(self.storage, Storage::File(_)) && self.client().authority().kind() == AuthorityKind::Generic {
            // No MSAL that shares the file may see them.
            file.push(".unshared");
        }
        Some(file.into())
    }

    /// Names the profile that this is about, or that a sign-in will become.
    pub(crate) fn use_slot(&self, profile: &str) {
        profile.clone_into(&mut self.slot.borrow_mut());
    }

    /// The client, with the endpoints that are known now.
    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.borrow())
    }

    pub(crate) fn http(&self) -> Result<&Http, RunError> {
        self.http.get()
    }

    /// Gives a person whom the server does not name the profile that the sign-in has become, if another sign-in was faster
    /// to take the one that it would have become.
    pub(crate) async fn move_to_slot(&self, account: &Account, profile: &str) -> Result<(), RunError> {
        let Person::Slot(slot) = account.person() else { return Ok(()) };
        if slot == profile || account.client_id().is_none() {
            return Ok(());
        }
        self.store.move_to_slot(self.request(), account.clone(), profile.to_owned()).await?;
        self.use_slot(profile);
        Ok(())
    }

    /// The longest that a request takes.
    pub(crate) fn request_limit(&self) -> Duration {
        self.http.request_limit()
    }

    pub(crate) fn accounts(&self) -> Result<Accounts, RunError> {
        let accounts = Accounts::new(self.http()?.clone(), self.store.clone());
        unfinished::watch(&accounts);
        Ok(accounts)
    }

    /// What is stored now. Most runs need no more than that, so they build no HTTP client.
    pub(crate) async fn cache(&self) -> Result<TokenCache, RunError> {
        self.store.cache().await
    }

    /// The request for a token of the account that the options name, if they name one.
    pub(crate) fn request(&self) -> SignInRequest {
        let request = SignInRequest::new(self.client()).slot(&self.slot.borrow());
        match &self.target.account {
            Some(account) => request.account(account),
            None => request,
        }
    }
}

/// The error of a store that has no place. A sign-in needs none if its tokens end with it.
fn no_storage(error: StoreError, purpose: Purpose) -> RunError {
    match (RunError::from(error), purpose) {
        (RunError::Storage(text), Purpose::SignIn) => {
            RunError::Storage(format!("{text}; or sign in for this run alone, with --store memory"))
        }
        (error, _) => error,
    }
}
