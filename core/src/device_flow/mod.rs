//! Owns the device flow (RFC 8628): its states, and the only code that changes them.

#[cfg(feature = "serde")]
mod away;
mod grant;
mod kept;
mod schedule;
#[cfg(feature = "serde")]
mod snapshot;
#[cfg(feature = "serde")]
mod step;

#[cfg(feature = "serde")]
pub use {
    away::Away,
    snapshot::{Snapshot, SnapshotError},
    step::{Step, Stepped},
};

use crate::dialect::Call;
use crate::machine::Outstanding;
use crate::message::advice::Place;
use crate::message::answer::{Answer, Meaning};
use crate::message::device_authorization::DeviceAuthorization;
use crate::message::form::encode;
use crate::message::json::Object;
use crate::message::said::{said, words_of};
use crate::retry::Retry;
use crate::sync::Arc;
use crate::{
    Action, Cause, Client, ConfigError, Failure, LastError, Machine, Misuse, Outgoing, Prompt, ProtocolError,
    ProtocolFault, Request, Response, Secret, Ticket, Timestamp, TokenResponse, Trail, TransportError,
    TransportErrorKind,
};
use alloc::boxed::Box;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use core::fmt;
use core::time::Duration;
use grant::{Grant, Outcome};
use kept::Kept;
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
/// A waiting flow is 96 bytes and one block of memory with its texts; a poll costs one allocation. Keep it in any
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
    /// There is a code.
    Granted(Phase, Grant),
    /// The outcome was not handed out.
    Finished(Outcome),
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
    show_once: bool,
}

/// What a flow does while a code lives. Beside the grant, so that a poll moves nothing but this.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The code was not shown to the person.
    Showing,
    /// The next poll is not due.
    Waiting,
    /// A poll is in flight.
    Polling,
    /// The server did not look at the poll, but sent a nonce to prove it with: it is due again at once.
    Challenged,
    /// The same poll is in flight again.
    Repeating,
}

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
        let opening = Opening { retry: Retry::new(), verifier, claims: client.claims(""), jitter, show_once: false };
        Self::at(client, Timestamp::ZERO, State::Opening(Box::new(opening)))
    }

    /// Requests these claims (OpenID Connect Core §5.5), such as the claims challenge of an API or of an
    /// [error](crate::OAuthError::claims). An empty text or object requests nothing. Call it before the first action.
    ///
    /// # Errors
    /// [`ConfigError::Claims`] when it is not a JSON object.
    pub fn claims(mut self, json: &str) -> Result<Self, ConfigError> {
        let claims = self.client.requested_claims(json)?;
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

    /// What to show while a code lives: the same as in [`Action::ShowCode`]. `None` when it was to be shown
    /// [once](Self::show_once), and was.
    #[must_use]
    pub fn prompt(&self) -> Option<Prompt> {
        self.grant()?.prompt()
    }

    /// Keeps the prompt no longer than until [`Action::ShowCode`] hands it out, for a program that has thousands of flows
    /// and keeps what it shows: then a waiting flow holds its device code alone, and a later snapshot of it shows no code
    /// when it is resumed.
    #[must_use]
    pub fn show_once(mut self) -> Self {
        match &mut self.state {
            State::Opening(opening) | State::Requesting(opening) => opening.show_once = true,
            State::Granted(Phase::Showing, grant) => grant.kept.show_once(),
            State::Granted(..) | State::Finished(_) | State::Ended => {}
        }
        self
    }

    fn grant(&self) -> Option<&Grant> {
        if let State::Granted(_, grant) = &self.state { Some(grant) } else { None }
    }

    fn send(&mut self, request: Request) -> Action<TokenResponse> {
        Action::SendRequest(Outgoing { request, ticket: self.outstanding.issue() })
    }

    fn take(&mut self) -> State {
        core::mem::replace(&mut self.state, State::Ended)
    }

    fn device_answered(&mut self, mut opening: Box<Opening>, response: &Response<'_>, now: Timestamp) -> State {
        let mut object = Object::default();
        let Answer { meaning, retry_after } = Answer::read(self.client.reading(), Call::Device, response, &mut object);
        let (cause, given_up) = match meaning {
            Meaning::Object => {
                let read = DeviceAuthorization::read(&object, self.client.strict(), self.client.allow_http_loopback());
                return match read {
                    Ok(answer) => granted(&opening, answer, now),
                    Err(fault) => broken(&self.client, fault, None),
                };
            }
            Meaning::Error(error) => {
                let failure = Failure::Rejected(error.in_full(&object, self.client.sent(Place::Device)));
                if !error.is_too_many() {
                    return State::failed(failure);
                }
                opening.retry.hear(&failure);
                (Cause::Status(response.status()), State::failed(failure))
            }
            Meaning::Unavailable(status) => {
                let fault = ProtocolFault::Unavailable(status);
                let failure = unusable(&self.client, fault, said(response, &object));
                opening.retry.hear(&failure);
                (Cause::Status(status), State::failed(failure))
            }
            Meaning::NotJson(fault, _) => return broken(&self.client, fault, None),
            Meaning::Broken(fault) => return broken(&self.client, fault, words_of(response, &object)),
        };
        if opening.retry.again(cause, retry_after, now) { State::Opening(opening) } else { given_up }
    }

    /// After something happened to the grant. Ends when it is over, or when no poll fits before the deadline, so that nobody
    /// waits for nothing.
    #[inline]
    fn settle(&mut self, over: Option<Outcome>) {
        if let Some(outcome) = over {
            self.state = State::Finished(outcome);
        } else if self.grant().is_some_and(|grant| !grant.schedule.has_poll_left()) {
            self.state = State::failed(grant::expired(&self.trail, None));
        }
    }
}

impl State {
    fn failed(failure: Failure) -> Self {
        Self::Finished(Box::new(Err(failure)))
    }
}

fn granted(opening: &Opening, answer: DeviceAuthorization<'_>, now: Timestamp) -> State {
    // Exposed because RFC 7636 §4.5 sends it with each token request. base64url needs no encoding.
    let verifier = opening.verifier.as_ref().map_or("", Secret::expose);
    let joint = if verifier.is_empty() { "" } else { "&code_verifier=" };
    let claims = if opening.claims.is_empty() { "" } else { "&claims=" };
    let tail = [&*encode(&answer.device_code), joint, verifier, claims, &*encode(&opening.claims)];
    let mut kept = Kept::new(Some(&answer.texts), &tail.map(str::as_bytes));
    if opening.show_once {
        kept.show_once();
    }
    let schedule = Schedule::start(now, answer.interval, answer.lifetime, opening.jitter);
    State::Granted(Phase::Showing, Grant { schedule, kept })
}

fn unusable(client: &Client, fault: ProtocolFault, said: Option<Box<str>>) -> Failure {
    Failure::Protocol(ProtocolError::of(client.sent(Place::Device), fault, said))
}

fn broken(client: &Client, fault: ProtocolFault, said: Option<Box<str>>) -> State {
    State::failed(unusable(client, fault, said))
}

impl Machine for DeviceFlow {
    type Output = TokenResponse;

    fn next_action(&mut self, now: Timestamp) -> Action<TokenResponse> {
        let now = self.now.advance(now);
        match &mut self.state {
            State::Opening(opening) => {
                if let Some((until, reason)) = opening.retry.wait(now) {
                    return Action::Wait { until, reason };
                }
                let signed = self.client.device_request(|form| {
                    if let Some(verifier) = &opening.verifier {
                        // Exposed to be hashed: only the digest is sent (RFC 7636 §4.2).
                        let digest = Sha256::digest(verifier.expose().as_bytes());
                        form.push("code_challenge", &Base64UrlUnpadded::encode_string(&digest));
                        form.push("code_challenge_method", "S256");
                    }
                    form.push("claims", &opening.claims);
                });
                match signed {
                    Ok(request) => {
                        if let State::Opening(opening) = self.take() {
                            self.state = State::Requesting(opening);
                        }
                        self.send(request)
                    }
                    Err(error) => {
                        self.state = State::failed(Failure::Transport(error.into()));
                        self.next_action(now)
                    }
                }
            }
            State::Granted(phase @ (Phase::Showing | Phase::Waiting | Phase::Challenged), grant) => {
                if let (Phase::Waiting, Some((until, reason))) = (*phase, grant.schedule.wait_before_poll(now)) {
                    return Action::Wait { until, reason };
                }
                if grant.schedule.is_over(now) {
                    self.state = State::failed(grant::expired(&self.trail, None));
                    return self.next_action(now);
                }
                if let Phase::Showing = phase {
                    *phase = Phase::Waiting;
                    let prompt = grant.prompt();
                    grant.kept.shown();
                    return prompt.map_or_else(|| self.next_action(now), Action::ShowCode);
                }
                match self.client.poll_request(grant.kept.tail()) {
                    Ok(mut request) => {
                        *phase = if let Phase::Challenged = phase { Phase::Repeating } else { Phase::Polling };
                        self.trail.polls = self.trail.polls.saturating_add(1);
                        request.expires(grant.schedule.deadline());
                        self.send(request)
                    }
                    Err(error) => {
                        *phase = Phase::Waiting;
                        let error = TransportError::from(error);
                        let cause = Cause::Transport(error.kind());
                        grant.setback(&mut self.trail, cause, error.detail(), Duration::ZERO, now);
                        self.settle(None);
                        self.next_action(now)
                    }
                }
            }
            State::Requesting(_) | State::Granted(Phase::Polling | Phase::Repeating, _) => Action::AwaitResponse,
            State::Finished(_) | State::Ended => {
                if let State::Finished(outcome) = self.take() {
                    Action::Done(*outcome)
                } else {
                    Action::Ended
                }
            }
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.outstanding.redeem_with(ticket, &response)?;
        let now = self.now.advance(now);
        match &mut self.state {
            State::Granted(phase @ (Phase::Polling | Phase::Repeating), grant) => {
                let has_nonce = self.client.remember_nonce(&response);
                let may_repeat = has_nonce && matches!(phase, Phase::Polling);
                match grant.answered(&self.client, &mut self.trail, &response, may_repeat, now) {
                    Ok(next) => {
                        *phase = next;
                        self.settle(None);
                    }
                    Err(outcome) => self.settle(Some(outcome)),
                }
            }
            State::Requesting(_) => {
                if let State::Requesting(opening) = self.take() {
                    self.state = self.device_answered(opening, &response, now);
                    self.settle(None);
                }
            }
            // Cancelled meanwhile: the answer is dropped.
            State::Opening(_) | State::Granted(..) | State::Finished(_) | State::Ended => {}
        }
        Ok(())
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.outstanding.redeem(ticket)?;
        let now = self.now.advance(now);
        let cause = Cause::Transport(error.kind());
        let untrusted = error.kind() == TransportErrorKind::UntrustedCertificate;
        match &mut self.state {
            State::Requesting(_) | State::Granted(Phase::Polling | Phase::Repeating, _) if untrusted => {
                self.state = State::failed(Failure::Transport(error));
            }
            State::Granted(phase @ (Phase::Polling | Phase::Repeating), grant) => {
                *phase = Phase::Waiting;
                grant.setback(&mut self.trail, cause, error.detail(), Duration::ZERO, now);
                self.settle(None);
            }
            State::Requesting(_) => {
                if let State::Requesting(mut opening) = self.take() {
                    let error = Failure::Transport(error);
                    opening.retry.hear(&error);
                    self.state = match opening.retry.again(cause, Duration::ZERO, now) {
                        true => State::Opening(opening),
                        false => State::failed(error),
                    };
                }
            }
            State::Opening(_) | State::Granted(..) | State::Finished(_) | State::Ended => {}
        }
        Ok(())
    }

    fn last_words(&self) -> Option<&str> {
        match &self.state {
            State::Opening(opening) | State::Requesting(opening) => opening.retry.said(),
            State::Granted(..) => self.trail.last_error().map(LastError::detail).filter(|words| !words.is_empty()),
            State::Finished(_) | State::Ended => None,
        }
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
            State::Granted(Phase::Showing, _) => "Showing",
            State::Granted(Phase::Waiting, _) => "Waiting",
            State::Granted(Phase::Polling | Phase::Repeating, _) => "Polling",
            State::Granted(Phase::Challenged, _) => "Challenged",
            State::Finished(_) => "Finished",
            State::Ended => "Ended",
        };
        f.debug_struct("DeviceFlow").field("state", &state).field("trail", &self.trail).finish_non_exhaustive()
    }
}
