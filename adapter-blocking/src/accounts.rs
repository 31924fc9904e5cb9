//! Owns the accounts of a program: silent sign-in, sign-in, sign-out, on one store, with one refresh at a time for all callers.

use crate::{Cancel, Http, Transport, run};
use device_flow_adapter::account_store::{self, Begun};
use device_flow_adapter::{NotRevoked, SignInError, SignedOut, entropy};
use device_flow_core::{
    Account, DeviceFlow, Event, Failure, SignInRequest, SignedIn, Stopped, TokenCache, TokenResponse,
};
use device_flow_store::Store;
use std::fmt;
use std::sync::Arc;

/// Who is signed in, kept in a [`Store`]: gets a token silently when it can, else shows a code.
///
/// Cheap to clone; clones are the same accounts. Any number of threads and processes may ask at once: one of them refreshes, the
/// rest wait for its lease and find what it got.
///
/// Only callers who want the token of the same owner wait for each other's refresh; the store's lock is held to load, merge
/// and save alone.
///
/// ```no_run
/// use device_flow_blocking::{Accounts, Cancel, Client, Event, FileStore, Http, Provider, SignInRequest, default_path};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder(Provider::gitlab(), "my-client-id").scope("openid read_api").build()?;
/// let accounts = Accounts::new(Http::builder().build()?, FileStore::new(default_path("my-app", "tokens.json")?)?);
/// let signed_in = accounts.sign_in(&SignInRequest::new(client), &Cancel::new(), |event| {
///     if let Event::ShowCode(prompt) = event {
///         println!("Open {} and enter {}", prompt.verification_uri(), prompt.user_code());
///     }
/// })?;
/// println!("Hello {}", signed_in.account().map_or("", |account| account.username()));
/// # Ok(())
/// # }
/// ```
pub struct Accounts<T = Http> {
    shared: Arc<(T, Box<dyn Store>)>,
}

impl<T: Transport> Accounts<T> {
    /// The accounts of this store, with this way to the servers.
    #[must_use]
    pub fn new(transport: T, store: impl Store + 'static) -> Self {
        Self { shared: Arc::new((transport, Box::new(store))) }
    }

    /// A token: of the cache; else for a refresh token; else by a code. `on_event` hears why a code is needed, the code, and
    /// each wait for it.
    ///
    /// # Errors
    /// [`SignInError`]. A server that cannot be reached is one, not a reason to show a code.
    pub fn sign_in(
        &self,
        request: &SignInRequest,
        cancel: &Cancel,
        mut on_event: impl FnMut(Event),
    ) -> Result<SignedIn, SignInError> {
        let reason = match self.silent(request, cancel) {
            Err(SignInError::Stopped(Stopped::Failed(Failure::SignInNeeded(reason)))) => reason,
            outcome => return outcome,
        };
        let mut flow = request.device_flow_after(&reason, entropy()?);
        on_event(Event::SignInNeeded(reason));
        self.interactive(request, &mut flow, cancel, on_event)
    }

    /// A token without the person: of the cache, else for a refresh token.
    ///
    /// # Errors
    /// [`SignInError`]; [`Failure::SignInNeeded`] in it when only the person can help.
    pub fn silent(&self, request: &SignInRequest, cancel: &Cancel) -> Result<SignedIn, SignInError> {
        if let Some(outcome) = account_store::silent_from_cache(self.store(), request)? {
            return Ok(outcome?);
        }
        let begun = account_store::begin_refresh(self.store(), request.clone(), account_store::PATIENCE)?;
        let (mut sign_in, refreshing) = match begun {
            Begun::Done(outcome) => return Ok(outcome?),
            Begun::Refresh(sign_in, refreshing) => (sign_in, refreshing),
        };
        let outcome = run(self.transport(), &mut *sign_in, cancel, |_| {});
        refreshing.settle(outcome, *sign_in)
    }

    /// A token by this flow, [new](SignInRequest::device_flow) or resumed, even if somebody is signed in.
    ///
    /// # Errors
    /// [`SignInError`].
    pub fn interactive(
        &self,
        request: &SignInRequest,
        flow: &mut DeviceFlow,
        cancel: &Cancel,
        on_event: impl FnMut(Event),
    ) -> Result<SignedIn, SignInError> {
        self.try_store(request)?;
        let response = run(self.transport(), flow, cancel, on_event)?;
        self.keep(request, &response)
    }

    /// Tries whether the store will take what a sign-in brings. [`sign_in`](Self::sign_in) and
    /// [`interactive`](Self::interactive) do so before they show a code.
    ///
    /// # Errors
    /// [`SignInError`] when it will not.
    pub fn try_store(&self, request: &SignInRequest) -> Result<(), SignInError> {
        account_store::try_store(self.store(), request)
    }

    /// Checks and stores what a device flow brought that something else has driven. What cannot be stored is revoked.
    ///
    /// # Errors
    /// [`SignInError`]; [`NotKept`](SignInError::NotKept) says whether the tokens were revoked.
    pub fn keep(&self, request: &SignInRequest, response: &TokenResponse) -> Result<SignedIn, SignInError> {
        let kept = account_store::keep(self.store(), request, response);
        let Err(error @ SignInError::NotKept { .. }) = kept else { return kept };
        let Some(mut revocation) = account_store::revocation_of(request, response) else { return Err(error) };
        let revoked = run(self.transport(), &mut revocation, &Cancel::new(), |_| {}).is_ok();
        Err(if revoked { error.once_revoked() } else { error })
    }

    /// Every account that is signed in, whatever the server.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be read.
    pub fn list(&self) -> Result<Vec<Account>, SignInError> {
        Ok(self.cache()?.accounts())
    }

    /// What is stored now, to be looked into: [`SignInRequest::cached`] and [`SignInRequest::find_account`] ask it without a request.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be read.
    pub fn cache(&self) -> Result<TokenCache, SignInError> {
        account_store::load(self.store())
    }

    /// Signs an account out here alone: the server honours its tokens until they end by themselves. `None`: it was not signed in.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be changed.
    pub fn forget(&self, request: &SignInRequest) -> Result<Option<Account>, SignInError> {
        Ok(account_store::forget(self.store(), request)?.map(|signed_out| signed_out.account))
    }

    /// Signs an account out: here at once, then at the server, if it can revoke (RFC 7009). `None`: it was not signed in.
    ///
    /// What must be revoked is remembered until it is: after an interruption or a failure the next call for this client
    /// and server, or [`finish_sign_outs`](Self::finish_sign_outs), tries it again.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be changed. [`SignedOut`] says what the server did not do.
    pub fn sign_out(&self, request: &SignInRequest, cancel: &Cancel) -> Result<Option<SignedOut>, SignInError> {
        let removed = account_store::remove(self.store(), request)?;
        let not_revoked = self.finish_sign_outs(request, cancel)?;
        Ok(removed.map(|out| SignedOut { not_revoked: out.not_revoked.or(not_revoked), ..out }))
    }

    /// Revokes what sign-outs of this client at this server have left: they were interrupted, or the server did not answer.
    /// Returns why something is still left.
    ///
    /// # Errors
    /// [`SignInError`] when the store cannot be read or changed.
    pub fn finish_sign_outs(
        &self,
        request: &SignInRequest,
        cancel: &Cancel,
    ) -> Result<Option<NotRevoked>, SignInError> {
        let mut not_revoked = None;
        for (token, mut revocation) in account_store::revocations(self.store(), request)? {
            match run(self.transport(), &mut revocation, cancel, |_| {}) {
                Ok(()) => account_store::forget_revocation(self.store(), request, &token)?,
                Err(stopped) => not_revoked = Some(stopped.into()),
            }
        }
        Ok(not_revoked)
    }

    fn transport(&self) -> &T {
        &self.shared.0
    }

    fn store(&self) -> &dyn Store {
        &*self.shared.1
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
