//! Owns the accounts of a program: silent sign-in, sign-in, sign-out, on one store, with one refresh at a time for all callers.

use crate::{Http, Transport, run};
use device_flow_adapter::account_store::{self, RemovedAccount};
use device_flow_adapter::{SignInError, SignedOut, entropy};
use device_flow_core::{
    Account, DeviceFlow, Event, Failure, SignInRequest, SignedIn, Stopped, TokenCache, TokenResponse,
};
use device_flow_store::Store;
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, panic};
use tokio::sync::watch;

/// Who is signed in, kept in a [`Store`]: gets a token silently when it can, else shows a code.
///
/// Cheap to clone; clones are the same accounts. Any number of callers may ask at once, in this process and in others: one of
/// them refreshes, and the others get what it got. A caller that goes away during a refresh does not stop it: the new
/// refresh token would be lost.
///
/// A store is for what one person or program keeps: its lock is held during a refresh, so refreshes of one store come one after
/// the other. A service with many people gives each a store of their own.
///
/// ```no_run
/// use device_flow_tokio::{Accounts, Client, Event, FileStore, Http, Provider, SignInRequest, default_path};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder(Provider::gitlab(), "my-client-id").scope("openid read_api").build()?;
/// let accounts = Accounts::new(Http::builder().build()?, FileStore::new(default_path("my-app", "tokens.json")?)?);
/// let signed_in = accounts
///     .sign_in(&SignInRequest::new(client), |event| {
///         if let Event::ShowCode(prompt) = event {
///             println!("Open {} and enter {}", prompt.verification_uri(), prompt.user_code());
///         }
///     })
///     .await?;
/// println!("Hello {}", signed_in.account().map_or("", |account| account.username()));
/// # Ok(())
/// # }
/// ```
pub struct Accounts<T = Http> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    transport: T,
    store: Arc<dyn Store>,
    refreshing: Mutex<Vec<Refreshing>>,
    /// Taken before the store's lock, for which each caller would wait in a thread of its own, and there are only so many.
    turn: tokio::sync::Mutex<()>,
}

/// A refresh that goes on, and where its outcome will be.
struct Refreshing {
    request: SignInRequest,
    outcome: Outcome,
}

type Outcome = watch::Receiver<Option<Result<SignedIn, SignInError>>>;

impl<T: Transport + 'static> Accounts<T> {
    /// The accounts of this store, with this way to the servers.
    #[must_use]
    pub fn new(transport: T, store: impl Store + 'static) -> Self {
        let (refreshing, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { shared: Arc::new(Shared { transport, store: Arc::new(store), refreshing, turn }) }
    }

    /// A token: of the cache; else for a refresh token; else by a code. `on_event` hears why a code is needed, the code, and
    /// each wait for it.
    ///
    /// # Errors
    /// [`SignInError`]. A server that cannot be reached is one, not a reason to show a code.
    pub async fn sign_in(
        &self,
        request: &SignInRequest,
        mut on_event: impl FnMut(Event),
    ) -> Result<SignedIn, SignInError> {
        let reason = match self.silent(request).await {
            Err(SignInError::Stopped(Stopped::Failed(Failure::SignInNeeded(reason)))) => reason,
            outcome => return outcome,
        };
        let mut flow = request.device_flow_after(&reason, entropy()?);
        on_event(Event::SignInNeeded(reason));
        self.interactive(request, &mut flow, on_event).await
    }

    /// A token without the person: of the cache, else for a refresh token.
    ///
    /// # Errors
    /// [`SignInError`]; [`Failure::SignInNeeded`] in it when only the person can help.
    pub async fn silent(&self, request: &SignInRequest) -> Result<SignedIn, SignInError> {
        let asked = request.clone();
        if let Some(outcome) = self.with_store(move |store| account_store::silent_from_cache(store, &asked)).await? {
            return Ok(outcome?);
        }
        let mut outcome = self.refreshed(request);
        let arrived = outcome.wait_for(Option::is_some).await;
        // The refresh is gone when the runtime is being shut down.
        arrived.ok().and_then(|outcome| outcome.clone()).unwrap_or(Err(Stopped::Interrupted.into()))
    }

    /// A token by this flow, [new](SignInRequest::device_flow) or resumed, even if somebody is signed in.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn interactive(
        &self,
        request: &SignInRequest,
        flow: &mut DeviceFlow,
        on_event: impl FnMut(Event),
    ) -> Result<SignedIn, SignInError> {
        let response = run(&self.shared.transport, flow, on_event).await?;
        self.keep(request, response).await
    }

    /// Checks and stores what a device flow brought that something else has driven.
    ///
    /// # Errors
    /// [`SignInError`]; [`NotKept`](SignInError::NotKept) has the token in it.
    pub async fn keep(&self, request: &SignInRequest, response: TokenResponse) -> Result<SignedIn, SignInError> {
        let request = request.clone();
        let _turn = self.shared.turn.lock().await;
        self.with_store(move |store| account_store::keep(store, &request, &response)).await
    }

    /// Every account that is signed in, whatever the server.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be read.
    pub async fn list(&self) -> Result<Vec<Account>, SignInError> {
        Ok(self.cache().await?.accounts())
    }

    /// What is stored now, to be looked into: [`SignInRequest::cached`] and [`SignInRequest::find_account`] ask it without a request.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be read.
    pub async fn cache(&self) -> Result<TokenCache, SignInError> {
        self.with_store(account_store::load).await
    }

    /// Signs an account out here alone: the server honours its tokens until they end by themselves. `None`: it was not signed in.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be changed.
    pub async fn forget(&self, request: &SignInRequest) -> Result<Option<Account>, SignInError> {
        Ok(self.remove(request).await?.map(|removed| removed.signed_out.account))
    }

    /// Signs an account out: here at once, then at the server, if it can revoke (RFC 7009). `None`: it was not signed in.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be changed. [`SignedOut`] says what the server did not do.
    pub async fn sign_out(&self, request: &SignInRequest) -> Result<Option<SignedOut>, SignInError> {
        let Some(RemovedAccount { mut signed_out, revocations }) = self.remove(request).await? else { return Ok(None) };
        for mut revocation in revocations {
            if let Err(stopped) = run(&self.shared.transport, &mut revocation, |_| {}).await {
                signed_out.not_revoked = Some(stopped.into());
            }
        }
        Ok(Some(signed_out))
    }

    async fn remove(&self, request: &SignInRequest) -> Result<Option<RemovedAccount>, SignInError> {
        let asked = request.clone();
        let _turn = self.shared.turn.lock().await;
        self.with_store(move |store| account_store::remove(store, &asked)).await
    }

    /// Joins the refresh that goes on for the same request, or starts one that no caller can stop.
    fn refreshed(&self, request: &SignInRequest) -> Outcome {
        let mut refreshing = self.shared.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = refreshing.iter().find(|other| other.request.is_same(request)) {
            return same.outcome.clone();
        }
        let (sender, outcome) = watch::channel(None);
        refreshing.push(Refreshing { request: request.clone(), outcome: outcome.clone() });
        let (this, request) = (self.clone(), request.clone());
        tokio::spawn(async move {
            let listed = Listed { refreshing: &this.shared.refreshing, request: &request };
            let outcome = this.refresh(&request).await;
            // A caller who asks from now on starts a new one.
            drop(listed);
            sender.send_replace(Some(outcome));
        });
        outcome
    }

    async fn refresh(&self, request: &SignInRequest) -> Result<SignedIn, SignInError> {
        let _turn = self.shared.turn.lock().await;
        let asked = request.clone();
        let (locked, mut sign_in) =
            self.with_store(move |store| account_store::silent_under_lock(store, asked)).await?;
        let outcome = run(&self.shared.transport, &mut sign_in, |_| {}).await;
        self.with_store(move |_| locked.settle(outcome, sign_in)).await
    }

    /// Stores block their thread.
    async fn with_store<R: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<R, SignInError> + Send + 'static,
    ) -> Result<R, SignInError> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Err(Stopped::NoRuntime.into()) };
        let store = Arc::clone(&self.shared.store);
        match runtime.spawn_blocking(move || work(&*store)).await {
            Ok(outcome) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panicked) => panic::resume_unwind(panicked),
                // The runtime is being shut down.
                Err(_) => Err(Stopped::Interrupted.into()),
            },
        }
    }
}

/// The place of a refresh on the list, which it leaves even if it panics.
struct Listed<'a> {
    refreshing: &'a Mutex<Vec<Refreshing>>,
    request: &'a SignInRequest,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let mut refreshing = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        refreshing.retain(|other| !other.request.is_same(self.request));
    }
}

// Not derived: a clone is the same accounts, whether the transport can be cloned or not.
impl<T> Clone for Accounts<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Accounts<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}
