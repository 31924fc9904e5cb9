//! Owns the revocation of a token (RFC 7009).

use crate::dialect::Call;
use crate::machine::Target;
use crate::message::advice::Place;
use crate::message::answer::{Answer, Meaning};
use crate::message::json::Object;
use crate::message::oauth_error::Refusal;
use crate::message::said::{said, words_of};
use crate::single_request::{SingleRequest, failed_or_cancelled};
use crate::sync::Arc;
use crate::{
    Action, Cause, Client, ConfigError, Failure, Machine, Misuse, ProtocolError, ProtocolFault, Response, Secret,
    Ticket, Timestamp,
};
use alloc::boxed::Box;
use core::fmt;

/// Invalidates a token (RFC 7009). To sign out, revoke the refresh token; most servers then invalidate its access
/// tokens, too.
///
/// It takes the token, because after a success nobody must use it (RFC 7009 §2.1); drop every other copy. The server
/// answers the same for a token that was invalid before. With [`Failure::Protocol`] (the server stayed unavailable) and
/// [`Failure::Transport`] the token still exists (RFC 7009 §2.2.1), and a later attempt may succeed.
///
/// ```
/// use device_flow_core::{Action, Client, ConfigError, Machine, Provider, Revocation, Timestamp, TokenKind};
///
/// let client = Client::builder(Provider::google(), "my-client-id").build()?;
/// let mut revocation = Revocation::new(client, "the refresh token")?.kind(TokenKind::RefreshToken);
/// let Action::SendRequest(first) = revocation.next_action(Timestamp::ZERO) else { panic!() };
/// assert_eq!(first.request.url(), "https://oauth2.googleapis.com/revoke");
///
/// let client = Client::builder(Provider::github(), "my-client-id").build()?;
/// assert_eq!(Revocation::new(client, "token").unwrap_err(), ConfigError::NoRevocationEndpoint);
/// # Ok::<(), ConfigError>(())
/// ```
pub struct Revocation {
    client: Arc<Client>,
    endpoint: Arc<Target>,
    token: Secret,
    kind: Option<TokenKind>,
    once: SingleRequest<()>,
}

/// The kind of a token (RFC 7009 §2.1): a hint that saves the server a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenKind {
    /// An access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
}

impl TokenKind {
    /// The value of `token_type_hint`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
        }
    }
}

impl Revocation {
    /// The revocation of this token.
    ///
    /// # Errors
    /// [`ConfigError::NoRevocationEndpoint`] when no endpoint is known: tell the person that the token was not revoked.
    /// [`ConfigError::Endpoint`] when the one in the metadata must not be used.
    pub fn new(client: impl Into<Arc<Client>>, token: impl Into<Secret>) -> Result<Self, ConfigError> {
        let client = client.into();
        let endpoint = client.checked_revocation_endpoint()?;
        Ok(Self { client, endpoint, token: token.into(), kind: None, once: SingleRequest::new() })
    }

    /// Tells the server what kind of token it is.
    #[must_use]
    pub fn kind(mut self, kind: TokenKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The client whose token it is.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    fn broken(&self, fault: ProtocolFault, said: Option<Box<str>>) -> Failure {
        Failure::Protocol(ProtocolError::of(self.client.sent(Place::Revocation), fault, said))
    }

    fn judge(&mut self, response: &Response<'_>, now: Timestamp) {
        // The status alone decides and the body must be ignored (RFC 7009 §2.2). 204 is 200 without a body.
        if matches!(response.status(), 200 | 204) {
            return self.once.finish(Ok(()));
        }
        let mut object = Object::default();
        let Answer { meaning, retry_after } =
            Answer::read(self.client.reading(), Call::Revocation, response, &mut object);
        let status = response.status();
        let (cause, given_up) = match meaning {
            Meaning::Error(error) if error.is_about_a_dead_token() => return self.once.finish(Ok(())),
            Meaning::Error(error) => {
                let refused = Failure::Rejected(error.in_full(&object, self.client.sent(Place::Revocation)));
                if error.refusal(&object) != Refusal::SlowDown {
                    return self.once.finish(Err(refused));
                }
                (Cause::Status(status), refused)
            }
            Meaning::Unavailable(status) => {
                let fault = ProtocolFault::Unavailable(status);
                (Cause::Status(status), self.broken(fault, said(response, &object)))
            }
            Meaning::Object => return self.once.finish(Err(self.broken(ProtocolFault::Status(status), None))),
            Meaning::NotJson(fault, _) => return self.once.finish(Err(self.broken(fault, None))),
            Meaning::Broken(fault) => {
                return self.once.finish(Err(self.broken(fault, words_of(response, &object))));
            }
        };
        self.once.again_or(given_up, cause, retry_after, now);
    }
}

impl Machine for Revocation {
    type Output = ();

    fn next_action(&mut self, now: Timestamp) -> Action<()> {
        let Self { client, endpoint, token, kind, once } = self;
        once.next_action(now, || client.revocation_request(endpoint, token, kind.map(TokenKind::as_str)))
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        if let Some(now) = self.once.answered(ticket, &response, now)? {
            self.judge(&response, now);
        }
        Ok(())
    }

    failed_or_cancelled!();
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Revocation");
        debug.field("endpoint", &self.endpoint.url).field("kind", &self.kind).field("once", &self.once);
        debug.finish_non_exhaustive()
    }
}
