//! Owns the accounts of a program: silent sign-in, sign-in, sign-out, on one store, with one refresh at a time for all callers.

use crate::kept::{self, Forgotten, Held, NotRevoked, SignInError, SignedOut};
use crate::{Http, entropy, run};
use device_flow_core::{
    Account, DeviceFlow, Event, Failure, Revocation, SignIn, SignInRequest, SignedIn, Stopped, TokenCache,
    TokenResponse,
};
use device_flow_store::Store;
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, panic};
use tokio::sync::watch;

/// Who is signed in, kept in a [`Store`]: gets a token silently when it can, else shows a code.
///
/// Cheap to clone; clones are the same accounts. Any number of callers may ask at once, in this process and in others: one of
/// them refreshes, the rest have what it got. A caller that goes away in the midst of a refresh does not stop it, since the
/// new refresh token would be lost.
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
#[derive(Clone)]
pub struct Accounts {
    http: Http,
    store: Arc<dyn Store>,
    running: Arc<Mutex<Vec<Running>>>,
    /// Whoever wants the store's lock: each of them would wait in a thread, and there are only so many.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A refresh that goes on, and where its outcome will be.
struct Running {
    request: SignInRequest,
    outcome: Told,
}

type Told = watch::Receiver<Option<Result<SignedIn, SignInError>>>;

impl Accounts {
    /// The accounts of this store.
    #[must_use]
    pub fn new(http: Http, store: impl Store + 'static) -> Self {
        Self { http, store: Arc::new(store), running: Arc::default(), turn: Arc::default() }
    }

    /// A token: of the cache; else for a refresh token; else by a code. `on_event` hears why a code is needed, of the code, and of
    /// the waits for it.
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
        if let Some(outcome) = self.with_store(move |store| kept::at_once(store, &asked)).await? {
            return Ok(outcome?);
        }
        let mut outcome = self.refreshed(request);
        let told = outcome.wait_for(Option::is_some).await;
        // Nobody is left to tell when the runtime is being shut down.
        told.ok().and_then(|outcome| outcome.clone()).unwrap_or(Err(Stopped::Interrupted.into()))
    }

    /// A token by this flow, [new](SignInRequest::device_flow) or resumed, whoever is signed in.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn interactive(
        &self,
        request: &SignInRequest,
        flow: &mut DeviceFlow,
        on_event: impl FnMut(Event),
    ) -> Result<SignedIn, SignInError> {
        let response = run(&self.http, flow, on_event).await?;
        self.keep(request, response).await
    }

    /// Checks and keeps what a device flow brought that something else has driven.
    ///
    /// # Errors
    /// [`SignInError`]; [`NotKept`](SignInError::NotKept) has the token in it.
    pub async fn keep(&self, request: &SignInRequest, response: TokenResponse) -> Result<SignedIn, SignInError> {
        let request = request.clone();
        let _turn = self.turn.lock().await;
        self.with_store(move |store| kept::keep(store, &request, &response)).await
    }

    /// Everyone who is signed in, whatever the server.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be read.
    pub async fn list(&self) -> Result<Vec<Account>, SignInError> {
        self.with_store(|store| Ok(kept::load(store)?.accounts())).await
    }

    /// What is stored now, to be looked into: [`SignInRequest::cached`] and [`SignInRequest::whose`] ask it without a request.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be read.
    pub async fn cache(&self) -> Result<TokenCache, SignInError> {
        self.with_store(kept::load).await
    }

    /// Signs an account out here alone: the server honours its tokens until they end by themselves. `None`: it was not signed in.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be changed.
    pub async fn forget(&self, request: &SignInRequest) -> Result<Option<Account>, SignInError> {
        Ok(self.forgotten(request).await?.map(|(account, _)| account))
    }

    /// Signs an account out: here at once, then at the server, if it can revoke (RFC 7009). `None`: it was not signed in.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be changed. What the server does not do is told in [`SignedOut`].
    pub async fn sign_out(&self, request: &SignInRequest) -> Result<Option<SignedOut>, SignInError> {
        let Some((account, tokens)) = self.forgotten(request).await? else { return Ok(None) };
        let mut not_revoked = None;
        for (token, kind) in tokens {
            let revoked = match Revocation::new(request.client().clone(), token) {
                Ok(revocation) => {
                    run(&self.http, &mut revocation.kind(kind), |_| {}).await.map_err(NotRevoked::Stopped)
                }
                Err(error) => Err(NotRevoked::NoEndpoint(error)),
            };
            not_revoked = revoked.err().or(not_revoked);
        }
        Ok(Some(SignedOut { account, not_revoked }))
    }

    async fn forgotten(&self, request: &SignInRequest) -> Result<Option<Forgotten>, SignInError> {
        let asked = request.clone();
        let _turn = self.turn.lock().await;
        self.with_store(move |store| kept::forget(store, &asked)).await
    }

    /// Joins the refresh that goes on for the same request, or starts one that no caller can stop.
    fn refreshed(&self, request: &SignInRequest) -> Told {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = running.iter().find(|running| running.request.is_same(request)) {
            return same.outcome.clone();
        }
        let (tell, outcome) = watch::channel(None);
        running.push(Running { request: request.clone(), outcome: outcome.clone() });
        let (this, request) = (self.clone(), request.clone());
        tokio::spawn(async move {
            let over = Over { accounts: &this, request: &request };
            let outcome = this.refresh(&request).await;
            // Who asks from now on asks anew.
            drop(over);
            tell.send_replace(Some(outcome));
        });
        outcome
    }

    async fn refresh(&self, request: &SignInRequest) -> Result<SignedIn, SignInError> {
        let _turn = self.turn.lock().await;
        let (held, cache) = self.with_store(Held::lock).await?;
        let mut sign_in = SignIn::silent(request.clone(), cache, kept::now());
        let outcome = run(&self.http, &mut sign_in, |_| {}).await;
        let cache = sign_in.into_cache();
        kept::settled(outcome, self.with_store(move |_| held.save(cache)).await)
    }

    /// Stores block their thread.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, SignInError> + Send + 'static,
    ) -> Result<T, SignInError> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Err(Stopped::NoRuntime.into()) };
        let store = Arc::clone(&self.store);
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

/// Takes a refresh off the list, even if it panics.
struct Over<'a> {
    accounts: &'a Accounts,
    request: &'a SignInRequest,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let mut running = self.accounts.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|running| !running.request.is_same(self.request));
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("http", &self.http).finish_non_exhaustive()
    }
}
