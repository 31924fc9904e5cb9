//! Owns the device flow (RFC 8628): its states, and the only code that changes them.

mod schedule;
#[cfg(feature = "serde")]
mod snapshot;

#[cfg(feature = "serde")]
pub use snapshot::{Snapshot, SnapshotError};

use crate::machine::Outstanding;
use crate::message::answer::{Answer, Meaning};
use crate::message::device_authorization::DeviceAuthorization;
use crate::message::form::encode;
use crate::message::json::Object;
use crate::message::oauth_error::{Consequence, ErrorCode, interval_hint};
use crate::prompt::PromptTexts;
use crate::retry::Retry;
use crate::{
    Action, Cause, Client, ConfigError, Endpoint, Expired, Failure, LastError, Machine, Misuse, OAuthError, Outgoing,
    Prompt, ProtocolError, ProtocolFault, Request, Response, Secret, Ticket, Timestamp, TokenResponse, Trail,
    TransportError, TransportErrorKind,
};
use alloc::boxed::Box;
use alloc::sync::Arc;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use core::fmt;
use core::time::Duration;
use schedule::Schedule;
use sha2::{Digest as _, Sha256};

/// The device flow of RFC 8628: gets a code, has it shown, and polls by the rules until there is a token or none can
/// come.
///
/// ```
/// use device_flow_core::{Action, Client, DeviceFlow, Machine, Provider, Response, Timestamp};
///
/// let client = Client::builder(Provider::github(), "my-client-id").scope("repo").build()?;
/// # let (entropy, now) = ([7; 32], Timestamp::ZERO);
/// let mut flow = DeviceFlow::new(client, entropy);
/// let Action::SendRequest(outgoing) = flow.next_action(now) else { panic!() };
/// let answer = br#"{"device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://github.com/login",
///     "expires_in": 900, "interval": 5}"#;
/// flow.response(outgoing.ticket, Response::new(200, answer), now)?;
/// let Action::ShowCode(prompt) = flow.next_action(now) else { panic!() };
/// assert_eq!(prompt.user_code(), "WDJB-MJHT");
/// // Then a wait of five seconds or a little more, and the first poll.
/// let Action::Wait { until, .. } = flow.next_action(now) else { panic!() };
/// assert!(until >= Timestamp::from_millis(5_000));
/// let Action::SendRequest(poll) = flow.next_action(until) else { panic!() };
/// assert_eq!(poll.request.url(), "https://github.com/login/oauth/access_token");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A waiting flow is 64 bytes, one block of at most 96 and its texts; a poll costs one allocation. Keep it in any
/// collection or, with the feature `serde`, store it as a `Snapshot` and resume it elsewhere. It cannot be cloned,
/// because two copies would poll twice as often.
///
/// ```compile_fail,E0277
/// fn cloned<T: Clone>() {}
/// cloned::<device_flow_core::DeviceFlow>();
/// ```
pub struct DeviceFlow {
    client: Arc<Client>,
    /// The latest time seen: an earlier one counts as this.
    now: Timestamp,
    outstanding: Outstanding,
    trail: Trail,
    state: State,
}

enum State {
    /// The device authorization request is due, now or after a wait.
    Opening(Box<Opening>),
    /// The device authorization request is in flight.
    Requesting(Box<Opening>),
    /// There is a code that was not shown to the person.
    Showing(Box<Grant>),
    /// The next poll is not due.
    Waiting(Box<Grant>),
    /// A poll is in flight.
    Polling(Box<Grant>),
    /// The outcome was not handed out.
    Finished(Box<Result<TokenResponse, Failure>>),
    /// The outcome was handed out.
    Ended,
}

/// What a flow holds before there is a code.
struct Opening {
    retry: Retry,
    verifier: Option<Secret>,
    /// A JSON object; may be empty.
    claims: Box<str>,
    jitter: u64,
}

/// What a flow holds while a code lives.
struct Grant {
    schedule: Schedule,
    texts: PromptTexts,
    /// The device code, form-encoded, with the PKCE verifier behind it when there is one: the end of every poll's body.
    tail: Secret,
}

/// How many pages in a row may come instead of JSON, as from a captive portal or a firewall.
const PAGES_TOLERATED: u8 = 3;
/// How many empty objects may come in a row.
const EMPTY_OBJECTS_TOLERATED: u8 = 1;

impl DeviceFlow {
    /// A new sign-in. Start one only when a person asked for it (RFC 8628 §3.1).
    ///
    /// `entropy`: 32 fresh bytes from the system's random source (the crate `getrandom`, or `entropy()` of an adapter).
    /// They seed the jitter and, when the client asks for PKCE, are the code verifier; so never use the same ones
    /// twice.
    #[must_use]
    pub fn new(client: impl Into<Arc<Client>>, entropy: [u8; 32]) -> Self {
        let client = client.into();
        let verifier = client.pkce().then(|| Secret::from(Base64UrlUnpadded::encode_string(&entropy)));
        // Hashed separately, so that the timing of polls reveals nothing about the verifier.
        let digest = Sha256::new().chain_update(b"jitter").chain_update(entropy).finalize();
        let jitter = digest.iter().take(8).fold(0, |seed: u64, byte| seed << 8 | u64::from(*byte));
        let opening = Opening { retry: Retry::new(), verifier, claims: client.claims(""), jitter };
        Self::at(client, Timestamp::ZERO, State::Opening(Box::new(opening)))
    }

    /// Requests these claims (OpenID Connect Core §5.5), such as the claims challenge of an API or of an
    /// [error](OAuthError::claims). An empty text or object requests nothing. Call it before the first action.
    ///
    /// # Errors
    /// [`ConfigError::Claims`] when it is not a JSON object.
    pub fn claims(mut self, json: &str) -> Result<Self, ConfigError> {
        let claims = crate::message::claims::request(json)?;
        if let State::Opening(opening) = &mut self.state {
            opening.claims = self.client.claims(&claims);
        }
        Ok(self)
    }

    fn at(client: Arc<Client>, now: Timestamp, state: State) -> Self {
        Self { client, now, outstanding: Outstanding::default(), trail: Trail::default(), state }
    }

    /// The client that the flow is for.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// What happened so far.
    #[must_use]
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// What to show while a code lives: the same as in [`Action::ShowCode`].
    #[must_use]
    pub fn prompt(&self) -> Option<Prompt> {
        self.grant().map(Grant::prompt)
    }

    fn grant(&self) -> Option<&Grant> {
        match &self.state {
            State::Showing(grant) | State::Waiting(grant) | State::Polling(grant) => Some(grant),
            State::Opening(_) | State::Requesting(_) | State::Finished(_) | State::Ended => None,
        }
    }

    fn send(&mut self, request: Request) -> Action<TokenResponse> {
        Action::SendRequest(Outgoing { request, ticket: self.outstanding.issue() })
    }

    fn take(&mut self) -> State {
        core::mem::replace(&mut self.state, State::Ended)
    }

    fn device_answered(&mut self, mut opening: Box<Opening>, response: &Response<'_>, now: Timestamp) -> State {
        let mut object = Object::default();
        let Answer { meaning, retry_after } = Answer::read(response, self.client.max_answer(), &mut object);
        let (cause, given_up) = match meaning {
            Meaning::Object => {
                let read = DeviceAuthorization::read(&object, self.client.strict(), self.client.allow_http_loopback());
                return match read {
                    Ok(answer) => self.granted(&opening, answer, now),
                    Err(fault) => broken(Endpoint::DeviceAuthorization, fault),
                };
            }
            Meaning::Error(error) => {
                let too_many = error.consequence() == Consequence::SlowDown;
                let failure = Failure::Rejected(error.in_full_for_device_endpoint(&object));
                if !too_many {
                    return State::failed(failure);
                }
                (Cause::Status(response.status()), State::failed(failure))
            }
            Meaning::Unavailable(status) => {
                (Cause::Status(status), broken(Endpoint::DeviceAuthorization, ProtocolFault::Unavailable(status)))
            }
            Meaning::NotJson(fault, _) | Meaning::Broken(fault) => return broken(Endpoint::DeviceAuthorization, fault),
        };
        if opening.retry.again(cause, retry_after, now) { State::Opening(opening) } else { given_up }
    }

    fn granted(&self, opening: &Opening, answer: DeviceAuthorization<'_>, now: Timestamp) -> State {
        // Exposed because RFC 7636 §4.5 sends it with each token request. base64url needs no encoding.
        let verifier = opening.verifier.as_ref().map_or("", Secret::expose);
        let joint = if verifier.is_empty() { "" } else { "&code_verifier=" };
        let claims = if opening.claims.is_empty() { "" } else { "&claims=" };
        let tail = [&*encode(&answer.device_code), joint, verifier, claims, &*encode(&opening.claims)];
        let tail = Secret::from(tail.concat());
        let schedule = Schedule::start(now, answer.interval, answer.lifetime, opening.jitter);
        self.if_poll_left(Grant { schedule, texts: answer.texts, tail }, State::Showing)
    }

    fn token_answered(&mut self, mut grant: Box<Grant>, response: &Response<'_>, now: Timestamp) -> State {
        let mut object = Object::default();
        let Answer { meaning, retry_after } = Answer::read(response, self.client.max_answer(), &mut object);
        match meaning {
            Meaning::Object if object.is_empty() => {
                let fault = ProtocolFault::Missing("access_token");
                self.page(grant, EMPTY_OBJECTS_TOLERATED, fault, response.status(), retry_after, now)
            }
            Meaning::Object => match TokenResponse::read(&object, self.client.scope(), &self.client) {
                Ok(token) => State::Finished(Box::new(Ok(token))),
                Err(fault) => broken(Endpoint::Token, fault),
            },
            Meaning::Error(error) => self.refused(grant, &error, &object, retry_after, now),
            Meaning::Unavailable(status) => {
                self.setback(&mut grant, Cause::Status(status), "", retry_after, now);
                self.waiting(grant)
            }
            Meaning::NotJson(fault, status) => self.page(grant, PAGES_TOLERATED, fault, status, retry_after, now),
            Meaning::Broken(fault) => broken(Endpoint::Token, fault),
        }
    }

    fn refused(
        &mut self,
        mut grant: Box<Grant>,
        error: &ErrorCode<'_>,
        object: &Object<'_>,
        retry_after: Duration,
        now: Timestamp,
    ) -> State {
        match error.consequence() {
            Consequence::Pending => {
                grant.schedule.pending(now, retry_after);
                self.trail.drift_suspected = false;
                self.waiting(grant)
            }
            Consequence::SlowDown => {
                self.trail.slow_downs = self.trail.slow_downs.saturating_add(1);
                grant.schedule.slow_down(now, interval_hint(object), retry_after);
                self.trail.drift_suspected |= grant.schedule.drift_suspected();
                self.waiting(grant)
            }
            Consequence::Denied => State::failed(Failure::Denied(error.in_full(object))),
            Consequence::Expired => self.expired(Some(error.in_full(object))),
            // Some servers say that a code has expired once or for some seconds, and then no longer know it (Keycloak,
            // Auth0).
            Consequence::UnknownCode if grant.schedule.is_over(now) => self.expired(Some(error.in_full(object))),
            Consequence::UnknownCode | Consequence::Stop => State::failed(Failure::Rejected(error.in_full(object))),
        }
    }

    /// Something other than the authorization server may have answered: poll again, a few times.
    fn page(
        &mut self,
        mut grant: Box<Grant>,
        tolerated: u8,
        fault: ProtocolFault,
        status: u16,
        retry_after: Duration,
        now: Timestamp,
    ) -> State {
        if !grant.schedule.tolerates_page(tolerated) {
            return broken(Endpoint::Token, fault);
        }
        self.setback(&mut grant, Cause::Page(status), fault.excerpt(), retry_after, now);
        self.waiting(grant)
    }

    fn setback(&mut self, grant: &mut Grant, cause: Cause, detail: &str, retry_after: Duration, now: Timestamp) {
        self.trail.failures = self.trail.failures.saturating_add(1);
        self.trail.last_error = Some(Box::new(LastError { cause, detail: Box::from(detail) }));
        grant.schedule.setback(now, cause, retry_after);
    }

    /// Enters `state`, or expires when no poll fits before the deadline, so that nobody waits for nothing.
    fn if_poll_left(&self, grant: impl Into<Box<Grant>>, state: fn(Box<Grant>) -> State) -> State {
        let grant = grant.into();
        if grant.schedule.has_poll_left() { state(grant) } else { self.expired(None) }
    }

    fn waiting(&self, grant: Box<Grant>) -> State {
        self.if_poll_left(grant, State::Waiting)
    }

    fn expired(&self, error: Option<OAuthError>) -> State {
        State::failed(Failure::Expired(Expired { trail: self.trail.clone(), error }))
    }
}

impl State {
    fn failed(failure: Failure) -> Self {
        Self::Finished(Box::new(Err(failure)))
    }
}

fn broken(endpoint: Endpoint, fault: ProtocolFault) -> State {
    State::failed(Failure::Protocol(ProtocolError { endpoint, fault }))
}

impl Grant {
    fn prompt(&self) -> Prompt {
        Prompt::new(self.texts.clone(), self.schedule.interval(), self.schedule.deadline())
    }
}

impl Machine for DeviceFlow {
    type Output = TokenResponse;

    fn next_action(&mut self, now: Timestamp) -> Action<TokenResponse> {
        let now = self.now.advance(now);
        match self.take() {
            State::Opening(opening) => {
                if let Some((until, reason)) = opening.retry.wait(now) {
                    self.state = State::Opening(opening);
                    return Action::Wait { until, reason };
                }
                let request = self.client.device_request(|form| {
                    if let Some(verifier) = &opening.verifier {
                        // Exposed to be hashed: only the digest is sent (RFC 7636 §4.2).
                        let digest = Sha256::digest(verifier.expose().as_bytes());
                        form.push("code_challenge", &Base64UrlUnpadded::encode_string(&digest));
                        form.push("code_challenge_method", "S256");
                    }
                    form.push("claims", &opening.claims);
                });
                self.state = State::Requesting(opening);
                self.send(request)
            }
            State::Showing(grant) | State::Waiting(grant) if grant.schedule.is_over(now) => {
                self.state = self.expired(None);
                drop(grant);
                self.next_action(now)
            }
            State::Showing(grant) => {
                let prompt = grant.prompt();
                self.state = State::Waiting(grant);
                Action::ShowCode(prompt)
            }
            State::Waiting(grant) => {
                if let Some((until, reason)) = grant.schedule.wait_before_poll(now) {
                    self.state = State::Waiting(grant);
                    return Action::Wait { until, reason };
                }
                self.trail.polls = self.trail.polls.saturating_add(1);
                // Exposed because the device code is what a poll is about (RFC 8628 §3.4); the body is wiped when
                // dropped.
                let request = self.client.poll_request(grant.tail.expose().as_bytes());
                self.state = State::Polling(grant);
                self.send(request)
            }
            busy @ (State::Requesting(_) | State::Polling(_)) => {
                self.state = busy;
                Action::AwaitResponse
            }
            State::Finished(outcome) => Action::Done(*outcome),
            State::Ended => Action::Ended,
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.outstanding.redeem_with(ticket, &response)?;
        let now = self.now.advance(now);
        self.state = match self.take() {
            State::Requesting(opening) => self.device_answered(opening, &response, now),
            State::Polling(grant) => self.token_answered(grant, &response, now),
            // Cancelled meanwhile: the answer is dropped.
            idle @ (State::Opening(_) | State::Showing(_) | State::Waiting(_) | State::Finished(_) | State::Ended) => {
                idle
            }
        };
        Ok(())
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.outstanding.redeem(ticket)?;
        let now = self.now.advance(now);
        let cause = Cause::Transport(error.kind());
        let untrusted = error.kind() == TransportErrorKind::UntrustedCertificate;
        self.state = match self.take() {
            State::Requesting(_) | State::Polling(_) if untrusted => State::failed(Failure::Transport(error)),
            State::Requesting(mut opening) => {
                if opening.retry.again(cause, Duration::ZERO, now) {
                    State::Opening(opening)
                } else {
                    State::failed(Failure::Transport(error))
                }
            }
            State::Polling(mut grant) => {
                self.setback(&mut grant, cause, error.detail(), Duration::ZERO, now);
                self.waiting(grant)
            }
            idle @ (State::Opening(_) | State::Showing(_) | State::Waiting(_) | State::Finished(_) | State::Ended) => {
                idle
            }
        };
        Ok(())
    }

    fn cancel(&mut self) {
        if !matches!(self.state, State::Finished(_) | State::Ended) {
            self.state = State::failed(Failure::Cancelled);
        }
    }
}

impl fmt::Debug for DeviceFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Opening(_) => "Opening",
            State::Requesting(_) => "Requesting",
            State::Showing(_) => "Showing",
            State::Waiting(_) => "Waiting",
            State::Polling(_) => "Polling",
            State::Finished(_) => "Finished",
            State::Ended => "Ended",
        };
        f.debug_struct("DeviceFlow").field("state", &state).field("trail", &self.trail).finish_non_exhaustive()
    }
}
