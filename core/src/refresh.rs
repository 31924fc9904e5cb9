//! Owns the refresh (RFC 6749 §6): from a refresh token to new tokens, without the person.

use crate::dialect::Call;
use crate::message::advice::{Place, Sent};
use crate::message::answer::{Answer, Meaning};
use crate::message::json::Object;
use crate::message::oauth_error::{Consequence, Refusal};
use crate::message::said::{said, words_of};
use crate::message::token::Rotated;
use crate::single_request::{SingleRequest, failed_or_cancelled};
use crate::sync::Arc;
use crate::{
    Action, Cause, Client, ConfigError, Failure, Machine, Misuse, ProtocolError, ProtocolFault, Response, Secret,
    SignInReason, Ticket, Timestamp, TokenResponse,
};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// How long a refresh may take as a whole: somebody waits for a token, and others may wait for this one.
const WHOLE: Duration = Duration::from_secs(30);

/// Gets new tokens for a refresh token (RFC 6749 §6).
///
/// The output holds the refresh token to keep from now on: [`TokenResponse::refresh_token`] is the new one, which
/// replaces the old one for good, or the old one when the server sent none. Store it before you use the access token:
/// many servers invalidate the old one when they issue the new one.
///
/// When there is no output, [`Failure::keeps_refresh_token`] says whether the old one may still be good:
/// - [`Failure::SignInNeeded`]: the server wants the person. Start a sign-in.
/// - [`Failure::Rejected`]: the server refused for another reason, which a sign-in would not change.
/// - [`Failure::Transport`], [`Failure::Protocol`]: no answer, or no usable one. Nothing is known about the token, so
///   keep it.
///
/// During an outage the request is repeated after 1, 2 and 4 seconds, or when `Retry-After` says, if that is within 30
/// seconds of the first: a refresh as a whole takes no longer. It sends the old token again: if the lost answer held a new one, only the server knows that, and servers that rotate refresh tokens
/// tolerate this for a while.
///
/// ```
/// use device_flow_core::{Action, Client, Machine, Provider, Refresh, Timestamp};
///
/// let client = Client::builder(Provider::gitlab(), "my-client-id").scope("read_api read_user").build()?;
/// let mut refresh = Refresh::new(client, "the refresh token").scope("read_user")?;
/// let Action::SendRequest(first) = refresh.next_action(Timestamp::ZERO) else { panic!() };
/// assert_eq!(first.request.url(), "https://gitlab.com/oauth/token");
/// # Ok::<(), device_flow_core::ConfigError>(())
/// ```
pub struct Refresh {
    client: Arc<Client>,
    token: Secret,
    /// `None`: as granted, so it is not sent.
    scope: Option<Box<str>>,
    parameters: Vec<(String, Secret)>,
    rotated: Option<Rotated>,
    once: SingleRequest<TokenResponse>,
}

impl Refresh {
    /// New tokens for this refresh token, with the scopes that were granted with it.
    #[must_use]
    pub fn new(client: impl Into<Arc<Client>>, refresh_token: impl Into<Secret>) -> Self {
        Self {
            client: client.into(),
            token: refresh_token.into(),
            scope: None,
            parameters: Vec::new(),
            rotated: None,
            once: SingleRequest::within(WHOLE),
        }
    }

    /// Requests only these scopes, separated by spaces: some or all of the client's.
    ///
    /// # Errors
    /// [`ConfigError::Scope`], or [`ConfigError::WiderScope`] for a scope that the client does not request, which
    /// therefore cannot have been granted (RFC 6749 §6: MUST NOT). A client without scopes leaves the choice to the
    /// server, so any scope is allowed here.
    pub fn scope(mut self, scope: &str) -> Result<Self, ConfigError> {
        self.scope = Some(self.client.narrower_scope(scope)?).filter(|scope| !scope.is_empty());
        Ok(self)
    }

    /// A further parameter, such as Microsoft's `client_info` or the `claims` of a challenge. It is sent in addition to
    /// those that the client adds to each token request, and never logged. One without a value is left out.
    ///
    /// # Errors
    /// [`ConfigError::ReservedParameter`] for a parameter of the grant itself, [`ConfigError::RepeatedParameter`] for
    /// one that was given before.
    pub fn parameter(mut self, name: &str, value: impl Into<Secret>) -> Result<Self, ConfigError> {
        self.client.check_refresh_parameter(name, self.parameters.iter().map(|(name, _)| name.as_str()))?;
        self.parameters.push((String::from(name), value.into()));
        Ok(self)
    }

    /// The client whose refresh token it is.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// A refresh token from an answer that was of no other use, or that came after the machine had ended. It replaces
    /// the old one, which may be invalid by now:
    /// [`TokenCache::replace_refresh_token`](crate::TokenCache::replace_refresh_token).
    #[must_use]
    pub fn rotated(&self) -> Option<&Secret> {
        self.rotated.as_ref().map(|rotated| &rotated.refresh_token)
    }

    /// The same, with what says whose it is.
    pub(crate) fn rotated_answer(&self) -> Option<&Rotated> {
        self.rotated.as_ref()
    }

    /// Merges `claims` with those of the client, which [`parameter`](Self::parameter) would refuse.
    pub(crate) fn silent(client: Arc<Client>, token: Secret, scope: Option<&str>, claims: &str) -> Self {
        let mut refresh = Self::new(client, token);
        refresh.scope = scope.filter(|scope| !scope.is_empty()).map(Box::from);
        if !claims.is_empty() {
            let claims = refresh.client.claims(claims);
            refresh.parameters.push((String::from("claims"), Secret::from(&*claims)));
        }
        refresh
    }

    fn sent(&self) -> Sent {
        Sent { scope: self.scope.is_some(), ..self.client.sent(Place::Refresh) }
    }

    fn broken(&self, fault: ProtocolFault, said: Option<Box<str>>) -> Failure {
        Failure::Protocol(ProtocolError::of(self.sent(), fault, said))
    }

    fn judge(&mut self, response: &Response<'_>, now: Timestamp) {
        let mut object = Object::default();
        let has_nonce = self.client.remember_nonce(response);
        let Answer { meaning, retry_after } = Answer::read(self.client.reading(), Call::Refresh, response, &mut object);
        let (cause, given_up) = match meaning {
            Meaning::Object => {
                let requested = self.scope.as_deref().unwrap_or(self.client.scope());
                let read = TokenResponse::read(&object, requested, &self.client);
                self.rotated = Rotated::read(&object);
                let kept = read.map(|answer| answer.or_refresh_token(&self.token));
                return self.once.finish(kept.map_err(|fault| self.broken(fault, None)));
            }
            Meaning::Error(error) if has_nonce && error.consequence() == Consequence::Nonce => {
                if self.once.repeat() {
                    return;
                }
                (Cause::Status(response.status()), Failure::Rejected(error.in_full(&object, self.sent())))
            }
            Meaning::Error(error) => {
                let whole = error.in_full_for_refresh(&object, self.sent());
                match error.refusal(&object) {
                    Refusal::SignIn => {
                        return self.once.finish(Err(Failure::SignInNeeded(SignInReason::Refused(whole))));
                    }
                    Refusal::Stop => return self.once.finish(Err(Failure::Rejected(whole))),
                    Refusal::SlowDown => (Cause::Status(response.status()), Failure::Rejected(whole)),
                }
            }
            Meaning::Unavailable(status) => {
                let fault = ProtocolFault::Unavailable(status);
                (Cause::Status(status), self.broken(fault, said(response, &object)))
            }
            Meaning::NotJson(fault, _) => return self.once.finish(Err(self.broken(fault, None))),
            Meaning::Broken(fault) => {
                return self.once.finish(Err(self.broken(fault, words_of(response, &object))));
            }
        };
        self.once.again_or(given_up, cause, retry_after, now);
    }
}

impl Machine for Refresh {
    type Output = TokenResponse;

    fn next_action(&mut self, now: Timestamp) -> Action<TokenResponse> {
        let Self { client, token, scope, parameters, once, .. } = self;
        once.next_action(now, || client.refresh_request(token, scope.as_deref(), parameters))
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        match self.once.answered(ticket, &response, now)? {
            Some(now) => self.judge(&response, now),
            // Cancelled meanwhile, but the old token may be invalid all the same.
            None => {
                let mut object = Object::default();
                let _ = Answer::read(self.client.reading(), Call::Refresh, &response, &mut object);
                self.rotated = Rotated::read(&object);
            }
        }
        Ok(())
    }

    failed_or_cancelled!();
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").field("scope", &self.scope).field("once", &self.once).finish_non_exhaustive()
    }
}
