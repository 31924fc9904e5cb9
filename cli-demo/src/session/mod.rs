//! Owns a session: the client that the settings describe, with its endpoints, its HTTP client and its token store.

mod client;
mod http;
mod metadata_cache;
mod storage;

pub(crate) use client::{NO_SERVER, client, discovery, is_stdin, known_provider, secret};
pub(crate) use http::{http, http_builder};
pub(crate) use storage::{NO_KEYRING, Storage, open_keyring};

use crate::args::{SignInOptions, Target};
use crate::run_error::RunError;
use crate::terminal::Terminal;
use device_flow_tokio::{Accounts, Client, Event, Failure, Http, Provider, SignInRequest, Store as _, TokenCache, run};
use http::LazyHttp;
use metadata_cache::MetadataCache;
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

/// A client, and where its tokens are stored.
pub(crate) struct Session {
    http: LazyHttp,
    pub(crate) client: Arc<Client>,
    store: AnyStore,
    pub(crate) storage: Storage,
    account: Option<String>,
    /// The command that signs this client in, for messages.
    how_to_sign_in: String,
}

impl Session {
    pub(crate) async fn open(
        options: SignInOptions,
        how_to_sign_in: String,
        purpose: Purpose,
        terminal: &mut Terminal,
    ) -> Result<Self, RunError> {
        let SignInOptions { target, network, .. } = options;
        let http = LazyHttp::new(network);
        if purpose == Purpose::SignIn {
            // Wrong network settings are reported before anything else.
            http.get()?;
        }
        let Some(client_id) = &target.client_id else {
            let text = "no client is named: use --client-id with the id that is registered at the server";
            return Err(RunError::Usage(text.to_owned()));
        };
        let secret = secret(&target, terminal).await?;
        let storage = Storage::of(&target)?;
        let store = storage.open()?;
        let provider = match &target.issuer {
            Some(issuer) => discovered(issuer, &target, purpose, &http, &storage, terminal).await?,
            None => known_provider(&target)?,
        };
        let client = Arc::new(client(&target, client_id, provider, secret).build()?);
        info!("client {} of {}", client.client_id(), client.issuer().unwrap_or_else(|| client.token_endpoint()));
        match &storage {
            Storage::File(path) => info!("tokens are stored in {}", path.display()),
            Storage::Keyring | Storage::Memory => info!("tokens are stored in the {}", storage.name()),
        }
        Ok(Self { http, client, store, storage, account: target.account, how_to_sign_in })
    }

    pub(crate) fn http(&self) -> Result<&Http, RunError> {
        self.http.get()
    }

    /// The longest that a request takes.
    pub(crate) fn request_limit(&self) -> Duration {
        self.http.request_limit()
    }

    pub(crate) fn accounts(&self) -> Result<Accounts, RunError> {
        Ok(Accounts::new(self.http()?.clone(), self.store.clone()))
    }

    /// What is stored now. Most runs need no more than that, so they build no HTTP client.
    pub(crate) async fn cache(&self) -> Result<TokenCache, RunError> {
        let store = self.store.clone();
        let stored = tokio::task::spawn_blocking(move || store.load()).await;
        let stored = stored.map_err(|error| RunError::Internal(error.to_string()))??;
        match TokenCache::from_json(stored.as_deref().unwrap_or_default()) {
            Ok(cache) => Ok(cache),
            // Another program may be writing it at this moment: this waits for the lock.
            Err(_) => Ok(self.accounts()?.cache().await?),
        }
    }

    /// The request for a token of the account that the options name, if they name one.
    pub(crate) fn request(&self) -> SignInRequest {
        let request = SignInRequest::new(Arc::clone(&self.client));
        match &self.account {
            Some(account) => request.account(account),
            None => request,
        }
    }

    /// The error of a run that may not show a code: if a sign-in is needed, it names the command.
    pub(crate) fn error(&self, error: impl Into<RunError>) -> RunError {
        let error = error.into();
        if let RunError::Failed(failure @ Failure::SignInNeeded(_)) = error {
            return RunError::SignInNeeded { failure: Box::new(failure), how: self.how_to_sign_in.clone() };
        }
        error
    }
}

/// The endpoints that the issuer's metadata names: cached, or requested.
async fn discovered(
    issuer: &str,
    target: &Target,
    purpose: Purpose,
    http: &LazyHttp,
    storage: &Storage,
    terminal: &mut Terminal,
) -> Result<Provider, RunError> {
    let allow_http_loopback = target.allow_http_loopback == Some(true);
    let cache = MetadataCache::beside(storage);
    let cached = cache.get(issuer, allow_http_loopback);
    if let Some((metadata, _)) = cached.filter(|(_, is_fresh)| *is_fresh || purpose != Purpose::SignIn) {
        info!("the server's metadata is cached");
        return Ok(Provider::from(metadata));
    }
    let mut discovery = discovery(issuer, allow_http_loopback)?;
    let found = run(http.get()?, &mut discovery, |event| {
        if let Event::Waiting { wait, reason, .. } = event {
            // Only a progress message: if it cannot be written, neither can the result, and that is reported.
            let _ = terminal.waiting(wait, reason);
        }
    });
    let metadata = match found.await {
        // The issuer alone is enough to find the tokens that must go.
        Err(_) if purpose == Purpose::SignOut => return Ok(Provider::endpoints(issuer, issuer)),
        found => found?,
    };
    cache.put(&metadata);
    Ok(Provider::from(metadata))
}
