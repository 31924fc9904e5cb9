//! Owns how a session gets a token without the person, how it gives them up, and what a person is told when that does
//! not work.

use super::unfinished::Revoking;
use super::{HowToSignIn, Session};
use crate::run_error::RunError;
use crate::terminal::{local, today, warn};
use device_flow_tokio::{
    Endpoint, Failure, NotRevoked, ProtocolFault, SignInError, SignInReason, SignInRequest, SignedIn, SignedOut,
    Stopped,
};
use std::time::Duration;

/// What the token must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Valid, with some time to spare.
    Valid,
    /// Valid for at least this long.
    ValidFor(Duration),
    /// A new one, whatever is stored.
    New,
}

impl Session {
    /// The request for such a token.
    pub(crate) fn request_for(&self, wanted: Wanted) -> SignInRequest {
        let request = self.request();
        match wanted {
            Wanted::Valid => request,
            Wanted::ValidFor(time) => request.min_life(time),
            Wanted::New => request.force_refresh(),
        }
    }

    /// A token without the person: the stored one, else a refreshed one.
    pub(crate) async fn silent(&self, wanted: Wanted) -> Result<SignedIn, RunError> {
        if self.would_refresh(wanted).await? {
            let found = self.refresh_endpoints().await;
            let valid = self.request_for(Wanted::ValidFor(Duration::ZERO));
            match found {
                Ok(()) => {}
                // As after any other failure to replace a token that is still good.
                Err(error) if wanted == Wanted::Valid => {
                    return valid.cached(&self.cache().await?, today()).ok_or(error);
                }
                Err(error) => return Err(error),
            }
        }
        match self.silent_once(wanted).await {
            Err(RunError::Failed(failure)) if self.has_found_endpoints_again(&failure).await => {
                self.silent_once(wanted).await
            }
            outcome => outcome,
        }
    }

    async fn silent_once(&self, wanted: Wanted) -> Result<SignedIn, RunError> {
        match self.accounts()?.silent(&self.request_for(wanted)).await {
            // The token is as good as any other; only the next run will not find it.
            Err(SignInError::NotKept { signed_in, error, revoked: false }) => {
                let advice = error.advice().map_or_else(String::new, |advice| format!(" {advice}"));
                warn(&format!(
                    "the new tokens could not be stored, so the next run may have to sign in again: {error}.{advice}"
                ));
                Ok(*signed_in)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Whether a request would be made for it.
    async fn would_refresh(&self, wanted: Wanted) -> Result<bool, RunError> {
        let (cache, request) = (self.cache().await?, self.request_for(wanted));
        if request.cached(&cache, today()).is_some() {
            return Ok(false);
        }
        let account = request.find_account(&cache).ok().flatten();
        Ok(account.is_some_and(|account| cache.is_refreshable(request.owner(&account))))
    }

    /// Signs out: here at once, then at the server. `None`: nobody was signed in. What an earlier sign-out has left to
    /// revoke is revoked, too.
    pub(crate) async fn sign_out_of(&self, request: &SignInRequest) -> Result<Option<SignedOut>, RunError> {
        let cache = self.cache().await?;
        let client = self.client();
        let is_signed_in = request.find_account(&cache)?.is_some();
        if !is_signed_in && cache.revocations(client.client_id(), client.authority()).is_empty() {
            return Ok(None);
        }
        self.refresh_or_drop_endpoints().await?;
        let revoking = Revoking::begin();
        let outcome = self.sign_out_once(&request.clone().at(self.client())).await;
        revoking.end();
        outcome
    }

    async fn sign_out_once(&self, request: &SignInRequest) -> Result<Option<SignedOut>, RunError> {
        let Some(mut out) = self.accounts()?.sign_out(request).await? else { return Ok(None) };
        if let Some(NotRevoked::Stopped(Stopped::Failed(failure))) = &out.not_revoked
            && self.has_found_endpoints_again(failure).await
        {
            out.not_revoked = self.accounts()?.finish_sign_outs(&request.clone().at(self.client())).await?;
        }
        Ok(Some(out))
    }

    /// The error of a run that may not show a code, with what the person can do about it.
    pub(crate) async fn error(&self, error: impl Into<RunError>) -> RunError {
        let error = error.into();
        let RunError::Failed(failure) = error else { return error };
        if let Failure::SignInNeeded(reason) = &failure {
            if *reason == SignInReason::NotSignedIn
                && let Some(error) = self.no_refresh_token().await
            {
                return error;
            }
            // A plain `login` would find the access token and be content with it.
            let how = if self.has_valid_token().await { HowToSignIn::forced } else { HowToSignIn::plain };
            return RunError::SignInNeeded { failure: Box::new(failure), how: how(&self.how_to_sign_in) };
        }
        if is_refusal(&failure) {
            return RunError::RefreshRefused { failure: Box::new(failure), how: self.how_to_sign_in.forced() };
        }
        failure.into()
    }

    async fn has_valid_token(&self) -> bool {
        let request = self.request_for(Wanted::ValidFor(Duration::ZERO));
        self.cache().await.is_ok_and(|cache| request.cached(&cache, today()).is_some())
    }

    /// The error if somebody is signed in, and only the refresh token is missing.
    pub(crate) async fn no_refresh_token(&self) -> Option<RunError> {
        let cache = self.cache().await.ok()?;
        let request = self.request_for(Wanted::ValidFor(Duration::ZERO));
        let account = request.find_account(&cache).ok().flatten()?;
        if !request.has_tokens(&cache) || cache.is_refreshable(request.owner(&account)) {
            return None;
        }
        let access_token = match request.cached(&cache, today()).map(|token| token.expires_on()) {
            Some(Some(end)) => format!("the access token, which expires at {}, cannot be replaced", local(end)),
            Some(None) => "the access token cannot be replaced".to_owned(),
            None => "the access token has expired and cannot be replaced".to_owned(),
        };
        Some(RunError::NoRefreshToken { access_token, how: self.how_to_sign_in.forced() })
    }
}

/// Whether the server has refused a refresh: it answered, and will answer the same tomorrow. Not an outage, and not the
/// page of somebody else on the way.
pub(crate) fn is_refusal(failure: &Failure) -> bool {
    if let Failure::Rejected(error) = failure {
        // Codes that ask to come back later.
        return !["slow_down", "temporarily_unavailable", "rate_limit_exceeded"].contains(&error.code());
    }
    let Failure::Protocol(error) = failure else { return false };
    if error.endpoint != Endpoint::Token {
        return false;
    }
    if let ProtocolFault::Page { status, .. } = &error.fault {
        return *status >= 400;
    }
    !matches!(error.fault, ProtocolFault::Unavailable(_) | ProtocolFault::Redirect(_))
}
