//! Owns the refresh (RFC 6749 §6): from a refresh token to new tokens, and never a word to the person.

use crate::message::answer::{Answer, Meaning};
use crate::message::json::Object;
use crate::message::oauth_error::Refusal;
use crate::once::Once;
use crate::{
    Action, Cause, Client, ConfigError, Endpoint, Failure, Machine, Misuse, ProtocolError, ProtocolFault, Response,
    Secret, SignInReason, Ticket, Timestamp, TokenResponse, TransportError,
};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Gets new tokens for a refresh token (RFC 6749 §6).
///
/// The output names the refresh token to keep from now on: [`TokenResponse::refresh_token`] is the new one, which replaces
/// the old one for good, or the old one when the server sent none. Store it before the access token is used: with many servers
/// the old one died when this one was made.
///
/// When there is no output, [`Failure::keeps_refresh_token`] tells whether the old one may still be good:
/// - [`Failure::SignInNeeded`]: the server wants the person. Start a sign-in.
/// - [`Failure::Rejected`]: the server refused for another reason, which a sign-in would not change.
/// - [`Failure::Transport`], [`Failure::Protocol`]: no answer, or none that can be used. Nothing is known about the token, so
///   it is to be kept.
///
/// An outage is waited out for 1, 2 and 4 seconds, or as long as `Retry-After` says. The old token is sent again then: if the
/// lost answer held a new one, nobody but the server knows that, and those that rotate tolerate it for a while.
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
    rotated: Option<Secret>,
    once: Once<TokenResponse>,
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
            once: Once::new(),
        }
    }

    /// Asks for these scopes alone, separated by spaces: some or all of the client's.
    ///
    /// # Errors
    /// [`ConfigError::Scope`], or [`ConfigError::WiderScope`] for one that the client does not ask for, so that it cannot have
    /// been granted (RFC 6749 §6: MUST NOT). A client without scopes leaves the choice to the server, and so to this call.
    pub fn scope(mut self, scope: &str) -> Result<Self, ConfigError> {
        self.scope = Some(self.client.narrower_scope(scope)?).filter(|scope| !scope.is_empty());
        Ok(self)
    }

    /// A further parameter, such as Microsoft's `client_info` or the `claims` of a challenge. It is sent beside those that the
    /// client adds to each token request, and kept out of every log. One without a value is left out.
    ///
    /// # Errors
    /// [`ConfigError::ReservedParameter`] for one that the grant owns, [`ConfigError::RepeatedParameter`] for one that is
    /// there already.
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

    /// A refresh token that the server sent, though its answer was of no other use or came after the end: it replaces the old
    /// one, which may be dead. [`TokenCache::replace_refresh_token`](crate::TokenCache::replace_refresh_token) does that.
    #[must_use]
    pub fn rotated(&self) -> Option<&Secret> {
        self.rotated.as_ref()
    }

    /// With the claims that [`parameter`](Self::parameter) would refuse beside those of the client.
    pub(crate) fn silent(client: Arc<Client>, token: Secret, scope: Option<&str>, claims: &str) -> Self {
        let mut refresh = Self::new(client, token);
        refresh.scope = scope.filter(|scope| !scope.is_empty()).map(Box::from);
        if !claims.is_empty() {
            let claims = refresh.client.claims(claims);
            refresh.parameters.push((String::from("claims"), Secret::from(&*claims)));
        }
        refresh
    }

    fn judge(&mut self, response: &Response<'_>, now: Timestamp) {
        let mut object = Object::default();
        let Answer { meaning, retry_after } = Answer::read(response, self.client.max_answer(), &mut object);
        let (cause, given_up) = match meaning {
            Meaning::Object => {
                let requested = self.scope.as_deref().unwrap_or(self.client.scope());
                let read = TokenResponse::read(&object, requested, &self.client);
                self.rotated = TokenResponse::refresh_token_in(&object);
                let kept = read.map(|answer| answer.or_refresh_token(&self.token));
                return self.once.finish(kept.map_err(broken));
            }
            Meaning::Error(error) => {
                let whole = error.in_full_for_refresh(&object);
                match error.refusal(&object) {
                    Refusal::SignIn => {
                        return self.once.finish(Err(Failure::SignInNeeded(SignInReason::Refused(whole))));
                    }
                    Refusal::Stop => return self.once.finish(Err(Failure::Rejected(whole))),
                    Refusal::SlowDown => (Cause::Status(response.status()), Failure::Rejected(whole)),
                }
            }
            Meaning::Unavailable(status) => (Cause::Status(status), broken(ProtocolFault::Unavailable(status))),
            Meaning::NotJson(fault, _) | Meaning::Broken(fault) => return self.once.finish(Err(broken(fault))),
        };
        if !self.once.again(cause, retry_after, now) {
            self.once.finish(Err(given_up));
        }
    }
}

fn broken(fault: ProtocolFault) -> Failure {
    Failure::Protocol(ProtocolError { endpoint: Endpoint::Token, fault })
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
            // Cancelled in the meantime, but the old token may be dead all the same.
            None => {
                let mut object = Object::default();
                let _ = Answer::read(&response, self.client.max_answer(), &mut object);
                self.rotated = TokenResponse::refresh_token_in(&object);
            }
        }
        Ok(())
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.once.transport_failed(ticket, error, now)
    }

    fn cancel(&mut self) {
        self.once.cancel();
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").field("scope", &self.scope).field("once", &self.once).finish_non_exhaustive()
    }
}
