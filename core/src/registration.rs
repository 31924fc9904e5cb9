//! Owns the registration of a client by itself, at a server that gives every installation an id of its own.

use crate::client::normalise_scope;
use crate::dialect::{Call, Dialect};
use crate::machine::Target;
use crate::message::advice::Sent;
use crate::message::answer::{Answer, MAX_ANSWER, Meaning, Reading};
use crate::message::form::Form;
use crate::message::json::Object;
use crate::message::oauth_error::Refusal;
use crate::message::said::{said, words_of};
use crate::message::token::check_token;
use crate::prompt::{endpoint_fault, printable};
use crate::single_request::{SingleRequest, failed_or_cancelled};
use crate::sync::Arc;
use crate::{
    Action, Cause, ConfigError, Failure, Machine, Method, Misuse, ProtocolError, ProtocolFault, Provider, Request,
    Response, Secret, Ticket, Timestamp, UnixTime,
};
use alloc::boxed::Box;
use core::fmt;

/// Registers a client (AWS SSO OIDC, `RegisterClient`): no person is needed, and no client id yet.
///
/// What it brings is for this installation alone. Keep it like a token, and register again before its end: without it the
/// tokens that were issued to it cannot be refreshed.
///
/// During an outage the request is repeated after 1, 2 and 4 seconds, or when `Retry-After` says.
///
/// ```
/// use device_flow_core::{Action, Machine, Provider, Registration, Timestamp};
///
/// let provider = Provider::aws("eu-west-1", "https://example.awsapps.com/start");
/// let mut registration = Registration::new(&provider, "my-program", "sso:account:access")?;
/// let Action::SendRequest(first) = registration.next_action(Timestamp::ZERO) else { panic!() };
/// assert_eq!(first.request.url(), "https://oidc.eu-west-1.amazonaws.com/client/register");
/// # Ok::<(), device_flow_core::ConfigError>(())
/// ```
pub struct Registration {
    target: Arc<Target>,
    dialect: &'static Dialect,
    reading: Reading,
    sent: Sent,
    form: Form,
    once: SingleRequest<Registered>,
}

/// A client that has registered itself.
#[derive(Clone, Debug)]
pub struct Registered {
    client_id: Box<str>,
    client_secret: Secret,
    expires_at: Option<UnixTime>,
}

impl Registered {
    /// The client id, for [`Client::builder`](crate::Client::builder).
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The secret of the registration, for
    /// [`ClientBuilder::client_secret_post`](crate::ClientBuilder::client_secret_post).
    #[must_use]
    pub fn client_secret(&self) -> &Secret {
        &self.client_secret
    }

    /// When it ends, in calendar time; `None` when it does not, or the server did not say.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }
}

impl Registration {
    /// `name`: what the person sees on the page where they approve. `scopes`: what the client may request, separated by
    /// spaces.
    ///
    /// # Errors
    /// [`ConfigError::NoRegistrationEndpoint`] for a provider where clients do not register themselves, else
    /// [`ConfigError`] for what cannot work.
    pub fn new(provider: &Provider, name: &str, scopes: &str) -> Result<Self, ConfigError> {
        let (url, dialect) = provider.registration()?;
        if let Some(fault) = endpoint_fault(&url, false) {
            return Err(ConfigError::Endpoint { which: "registration endpoint", url: printable(&url), fault });
        }
        let mut form = Form::default();
        form.push("client_name", name);
        let scope = normalise_scope(scopes)?;
        form.push("scope", &scope);
        let sent = Sent { scope: !scope.is_empty(), ..Sent::REGISTRATION };
        let (content_type, max_response) = (dialect.content_type(), MAX_ANSWER);
        let (method, url) = (Method::Post, url.into_boxed_str());
        let target =
            Arc::new(Target { method, url, authorization: None, correlation_id: None, content_type, max_response });
        let reading = Reading { max: MAX_ANSWER, dialect: Some(dialect) };
        Ok(Self { target, dialect, reading, sent, form, once: SingleRequest::new() })
    }

    fn broken(&self, fault: ProtocolFault, said: Option<Box<str>>) -> Failure {
        Failure::Protocol(ProtocolError::of(self.sent, fault, said))
    }

    fn judge(&mut self, response: &Response<'_>, now: Timestamp) {
        let mut object = Object::default();
        let status = response.status();
        let Answer { meaning, retry_after } = Answer::read(&self.reading, Call::Registration, response, &mut object);
        let (cause, given_up) = match meaning {
            Meaning::Object => {
                return self.once.finish(Registered::read(&object).map_err(|fault| self.broken(fault, None)));
            }
            Meaning::Error(error) => {
                let refused = Failure::Rejected(error.in_full(&object, self.sent));
                if error.refusal(&object) != Refusal::SlowDown {
                    return self.once.finish(Err(refused));
                }
                (Cause::Status(status), refused)
            }
            Meaning::Unavailable(status) => {
                (Cause::Status(status), self.broken(ProtocolFault::Unavailable(status), said(response, &object)))
            }
            Meaning::NotJson(fault, _) => return self.once.finish(Err(self.broken(fault, None))),
            Meaning::Broken(fault) => return self.once.finish(Err(self.broken(fault, words_of(response, &object)))),
        };
        self.once.again_or(given_up, cause, retry_after, now);
    }
}

impl Registered {
    fn read(object: &Object<'_>) -> Result<Self, ProtocolFault> {
        let expires_at = object.number("client_secret_expires_at").ok().flatten();
        // RFC 7591 §3.2.1: zero for a secret that does not expire.
        let expires_at = expires_at.filter(|time| !time.negative && time.floor > 0);
        let (id, secret) = (object.required("client_id")?, object.required("client_secret")?);
        // RFC 6749 Appendix A.1 and A.2, as for tokens.
        check_token("client_id", &id)?;
        check_token("client_secret", &secret)?;
        Ok(Self {
            client_id: Box::from(&*id),
            client_secret: Secret::from(&*secret),
            expires_at: expires_at.map(|time| UnixTime::from_secs(time.floor)),
        })
    }
}

impl Machine for Registration {
    type Output = Registered;

    fn next_action(&mut self, now: Timestamp) -> Action<Registered> {
        let Self { target, dialect, form, once, .. } = self;
        once.next_action(now, || Ok(Request::new(target, dialect.body(Call::Registration, &form.with_tail(b""), ""))))
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        if let Some(now) = self.once.answered(ticket, &response, now)? {
            self.judge(&response, now);
        }
        Ok(())
    }

    failed_or_cancelled!();
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("endpoint", &self.target.url)
            .field("once", &self.once)
            .finish_non_exhaustive()
    }
}
