//! Owns the question who a token is for (OpenID Connect Core §5.3).

use crate::dialect::Call;
use crate::machine::Target;
use crate::message::FORM;
use crate::message::answer::{Answer, MAX_ANSWER, Meaning, Reading};
use crate::message::form::Body;
use crate::message::json::Object;
use crate::message::said::{said, words_of};
use crate::message::user_info::UserInfoResponse;
use crate::prompt::{endpoint_fault, printable};
use crate::signing::checked_jwt;
use crate::single_request::{SingleRequest, failed_or_cancelled};
use crate::sync::Arc;
use crate::{
    Action, Cause, Client, ConfigError, Endpoint, Failure, Machine, Method, Misuse, ProofOfPossession, ProofRequest,
    ProtocolError, ProtocolFault, Request, Response, Secret, SignedIn, SigningError, Ticket, Timestamp, TokenType,
};
use alloc::boxed::Box;
use core::fmt;

/// Asks a server who has signed in: the userinfo endpoint (OpenID Connect Core §5.3), or another address that answers a
/// GET with the token by a JSON object about the person, such as GitHub's `https://api.github.com/user`.
///
/// The token needs the scope `openid` there; `profile` and `email` bring more. The endpoint is
/// [`Metadata::userinfo_endpoint`](crate::Metadata::userinfo_endpoint). Where the server has issued an ID token, that says
/// the same without a request.
///
/// ```
/// use device_flow_core::{Client, ConfigError, SignedIn, UserInfo, UserInfoResponse};
///
/// fn question(client: Client, signed_in: &SignedIn) -> Result<UserInfo, ConfigError> {
///     // A driver runs it; the outcome is a `UserInfoResponse`.
///     UserInfo::new(client, "https://login.example.com/userinfo", signed_in)
/// }
///
/// fn greeting(person: &UserInfoResponse) -> String {
///     format!("Hello {}", person.text("name").unwrap_or_else(|| "you".into()))
/// }
/// ```
pub struct UserInfo {
    question: Question,
    subject: Option<Box<str>>,
    once: SingleRequest<UserInfoResponse>,
}

struct Question {
    endpoint: Arc<Target>,
    access_token: Secret,
    /// Of a client whose token is bound to a key.
    bound_of: Option<Arc<Client>>,
}

impl Question {
    fn key(&self) -> Option<&Arc<dyn ProofOfPossession>> {
        self.bound_of.as_ref()?.proof_of_possession()
    }

    fn request(&self) -> Result<Request, SigningError> {
        let request = Request::new(&self.endpoint, Body::default());
        let Some(key) = self.key() else { return Ok(request) };
        let proven = ProofRequest::to_resource(Method::Get.as_str(), &self.endpoint.url, &self.access_token);
        let proven = proven.map_err(|_| SigningError::new("there is no proof for this address"))?;
        Ok(request.with_proof(checked_jwt(key.proof(&proven)?)?))
    }
}

impl UserInfo {
    /// The question at this address.
    ///
    /// # Errors
    /// [`ConfigError::Endpoint`] when the address must not be sent a token: it is not https, and not http on loopback
    /// with a client that allows that.
    pub fn new(client: impl Into<Arc<Client>>, endpoint: &str, signed_in: &SignedIn) -> Result<Self, ConfigError> {
        let client = client.into();
        if let Some(fault) = endpoint_fault(endpoint, client.allow_http_loopback()) {
            return Err(ConfigError::Endpoint { which: "userinfo endpoint", url: printable(endpoint), fault });
        }
        let endpoint = Arc::new(Target {
            method: Method::Get,
            url: Box::from(endpoint),
            authorization: signed_in.authorization(),
            correlation_id: None,
            content_type: FORM,
            max_response: MAX_ANSWER,
        });
        let mut once = SingleRequest::new();
        if endpoint.authorization.is_none() {
            once.finish(Err(broken(ProtocolFault::Invalid("access_token"), None)));
        }
        let access_token = signed_in.access_token().clone();
        let bound_of = (signed_in.token_type() == TokenType::Dpop).then_some(client);
        Ok(Self { question: Question { endpoint, access_token, bound_of }, subject: None, once })
    }

    /// Takes an answer about this subject only: that of the ID token, as the server wrote it
    /// ([`IdTokenClaims::raw_subject`](crate::IdTokenClaims::raw_subject)). Another one is a [`ProtocolFault::Invalid`]
    /// (OpenID Connect Core §5.3.2).
    #[must_use]
    pub fn about(mut self, subject: impl Into<Box<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    fn judge(&mut self, response: &Response<'_>, now: Timestamp) {
        let nonce = response.dpop_nonce().zip(self.question.key());
        if let Some((nonce, key)) = &nonce {
            key.remember_nonce(&self.question.endpoint.url, nonce);
        }
        // What is wrong may be told in a header alone (RFC 9449 §9).
        if nonce.is_some() && response.status() == 401 && self.once.repeat() {
            return;
        }
        let mut object = Object::default();
        let Answer { meaning, retry_after } = Answer::read(&READING, Call::Refresh, response, &mut object);
        let status = response.status();
        let failure = match meaning {
            Meaning::Object => match UserInfoResponse::read(&object, self.subject.as_deref()) {
                Ok(person) => return self.once.finish(Ok(person)),
                Err(fault) => broken(fault, None),
            },
            Meaning::Unavailable(status) => {
                let given_up = broken(ProtocolFault::Unavailable(status), said(response, &object));
                return self.once.again_or(given_up, Cause::Status(status), retry_after, now);
            }
            Meaning::Error(_) => broken(ProtocolFault::Status(status), said(response, &object)),
            Meaning::NotJson(fault, _) => broken(fault, None),
            Meaning::Broken(fault) => broken(fault, words_of(response, &object)),
        };
        self.once.finish(Err(failure));
    }
}

const READING: Reading = Reading { max: MAX_ANSWER, dialect: None };

fn broken(fault: ProtocolFault, said: Option<Box<str>>) -> Failure {
    Failure::Protocol(ProtocolError { said, ..ProtocolError::new(Endpoint::UserInfo, fault) })
}

impl Machine for UserInfo {
    type Output = UserInfoResponse;

    fn next_action(&mut self, now: Timestamp) -> Action<UserInfoResponse> {
        let Self { question, once, .. } = self;
        once.next_action(now, || question.request())
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        if let Some(now) = self.once.answered(ticket, &response, now)? {
            self.judge(&response, now);
        }
        Ok(())
    }

    failed_or_cancelled!();
}

impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserInfo")
            .field("endpoint", &self.question.endpoint.url)
            .field("once", &self.once)
            .finish_non_exhaustive()
    }
}
