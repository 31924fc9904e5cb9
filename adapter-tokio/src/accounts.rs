//! Owns the accounts of a program: silent sign-in, sign-in, sign-out, on one store, with one refresh at a time for all callers.

use crate::{Http, Transport, run};
use device_flow_adapter::account_store::{self, Begun};
use device_flow_adapter::{NotRevoked, SignInError, SignedOut, entropy};
use device_flow_core::{
    Account, DeviceFlow, Event, Failure, SignInRequest, SignedIn, Stopped, TokenCache, TokenResponse,
};
use device_flow_store::Store;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, panic};
use tokio::sync::watch;
use tokio::task::JoinError;

/// Who is signed in, kept in a [`Store`]: gets a token silently when it can, else shows a code.
///
/// Cheap to clone; clones are the same accounts. Any number of callers may ask at once, in this process and in others: one of
/// them refreshes, and the others get what it got. A caller that goes away during a refresh does not stop it: the new
/// refresh token would be lost.
///
/// Only callers who want the token of the same owner wait for each other's refresh; the store's lock is held to load, merge
/// and save alone.
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
    /// How many refreshes and saves are in progress.
    unfinished: watch::Sender<usize>,
}

/// The longest time between two looks at a lease that others hold.
const LONGEST_STEP: Duration = Duration::from_millis(50);

/// One piece of work that must not be lost.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(unfinished: &watch::Sender<usize>) -> Self {
        unfinished.send_modify(|count| *count = count.saturating_add(1));
        Self(unfinished.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
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
        let (refreshing, unfinished) = (Mutex::default(), watch::Sender::new(0));
        Self { shared: Arc::new(Shared { transport, store: Arc::new(store), refreshing, unfinished }) }
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
        self.try_store(request).await?;
        let response = run(&self.shared.transport, flow, on_event).await?;
        self.keep(request, response).await
    }

    /// Tries whether the store will take what a sign-in brings. [`sign_in`](Self::sign_in) and
    /// [`interactive`](Self::interactive) do so before they show a code.
    ///
    /// # Errors
    /// [`SignInError`] when it will not.
    pub async fn try_store(&self, request: &SignInRequest) -> Result<(), SignInError> {
        let request = request.clone();
        self.with_store(move |store| account_store::try_store(store, &request)).await
    }

    /// Checks and stores what a device flow brought that something else has driven. What cannot be stored is revoked. It
    /// goes on after its caller is dropped.
    ///
    /// # Errors
    /// [`SignInError`]; [`NotKept`](SignInError::NotKept) says whether the tokens were revoked.
    pub async fn keep(&self, request: &SignInRequest, response: TokenResponse) -> Result<SignedIn, SignInError> {
        let (this, request) = (self.clone(), request.clone());
        self.unstoppable(async move {
            let (asked, answered) = (request.clone(), response.clone());
            let kept = this.with_store(move |store| account_store::keep(store, &asked, &answered)).await;
            let Err(error @ SignInError::NotKept { .. }) = kept else { return kept };
            let Some(mut revocation) = account_store::revocation_of(&request, &response) else { return Err(error) };
            let revoked = run(&this.shared.transport, &mut revocation, |_| {}).await.is_ok();
            Err(if revoked { error.once_revoked() } else { error })
        })
        .await
    }

    /// Waits until nothing is in progress that would lose tokens if the process ended: a refresh whose caller is gone, or
    /// the saving of what a sign-in brought. What begins meanwhile is waited for as well.
    pub async fn finished(&self) {
        // The sender lives as long as these accounts.
        let _ = self.shared.unfinished.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Does this even if the caller is dropped, and counts it until it is done.
    async fn unstoppable<R: Send + 'static>(
        &self,
        work: impl Future<Output = Result<R, SignInError>> + Send + 'static,
    ) -> Result<R, SignInError> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Err(Stopped::NoRuntime.into()) };
        let counted = Counted::new(&self.shared.unfinished);
        let task = runtime.spawn(async move {
            let outcome = work.await;
            drop(counted);
            outcome
        });
        joined(task.await)
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
        let request = request.clone();
        let forgotten = self.with_store(move |store| account_store::forget(store, &request)).await?;
        Ok(forgotten.map(|signed_out| signed_out.account))
    }

    /// Signs an account out: here at once, then at the server, if it can revoke (RFC 7009). `None`: it was not signed in.
    ///
    /// What must be revoked is remembered until it is: after an interruption or a failure the next call for this client
    /// and server, or [`finish_sign_outs`](Self::finish_sign_outs), tries it again.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be changed. [`SignedOut`] says what the server did not do.
    pub async fn sign_out(&self, request: &SignInRequest) -> Result<Option<SignedOut>, SignInError> {
        let asked = request.clone();
        let removed = self.with_store(move |store| account_store::remove(store, &asked)).await?;
        let not_revoked = self.finish_sign_outs(request).await?;
        Ok(removed.map(|out| SignedOut { not_revoked: out.not_revoked.or(not_revoked), ..out }))
    }

    /// Revokes what sign-outs of this client at this server have left: they were interrupted, or the server did not answer.
    /// Returns why something is still left.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be read or changed.
    pub async fn finish_sign_outs(&self, request: &SignInRequest) -> Result<Option<NotRevoked>, SignInError> {
        let (asked, mut not_revoked) = (request.clone(), None);
        for (token, mut revocation) in self.with_store(move |store| account_store::revocations(store, &asked)).await? {
            match run(&self.shared.transport, &mut revocation, |_| {}).await {
                Ok(()) => {
                    let asked = request.clone();
                    self.with_store(move |store| account_store::forget_revocation(store, &asked, &token)).await?;
                }
                Err(stopped) => not_revoked = Some(stopped.into()),
            }
        }
        Ok(not_revoked)
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
        let counted = Counted::new(&self.shared.unfinished);
        tokio::spawn(async move {
            let _counted = counted;
            let listed = Listed { refreshing: &this.shared.refreshing, request: &request };
            let outcome = this.refresh(&request).await;
            // A caller who asks from now on starts a new one.
            drop(listed);
            sender.send_replace(Some(outcome));
        });
        outcome
    }

    async fn refresh(&self, request: &SignInRequest) -> Result<SignedIn, SignInError> {
        let begun = self.begin_refresh(request).await?;
        let (mut sign_in, refreshing) = match begun {
            Begun::Done(outcome) => return Ok(outcome?),
            Begun::Refresh(sign_in, refreshing) => (sign_in, refreshing),
        };
        let outcome = run(&self.shared.transport, &mut *sign_in, |_| {}).await;
        self.with_store(move |_| refreshing.settle(outcome, *sign_in)).await
    }

    /// Asks for the lease again and again, since each caller that waited for it would take a thread, and its holder needs
    /// one to give it back.
    async fn begin_refresh(&self, request: &SignInRequest) -> Result<Begun, SignInError> {
        let (mut step, began) = (Duration::from_millis(1), Instant::now());
        loop {
            let asked = request.clone();
            let begin = move |store: &dyn Store| account_store::begin_refresh(store, asked, Duration::ZERO);
            match self.with_store(begin).await {
                Err(error) if account_store::is_busy(&error) && began.elapsed() < account_store::PATIENCE => {
                    tokio::time::sleep(step).await;
                    step = step.saturating_mul(2).min(LONGEST_STEP);
                }
                outcome => return outcome,
            }
        }
    }

    /// Stores block their thread.
    async fn with_store<R: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<R, SignInError> + Send + 'static,
    ) -> Result<R, SignInError> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Err(Stopped::NoRuntime.into()) };
        let store = Arc::clone(&self.shared.store);
        joined(runtime.spawn_blocking(move || work(&*store)).await)
    }
}

fn joined<R>(task: Result<Result<R, SignInError>, JoinError>) -> Result<R, SignInError> {
    match task {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panicked) => panic::resume_unwind(panicked),
            // The runtime is being shut down.
            Err(_) => Err(Stopped::Interrupted.into()),
        },
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
