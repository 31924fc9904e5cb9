//! Owns the contract between a machine and its driver: what to do next, what to send, what came back.

use crate::message::form::Body;
use crate::sync::Arc;
use crate::sync::{AtomicUsize, Ordering};
use crate::{Failure, Prompt, Secret, Timestamp};
use alloc::boxed::Box;
#[cfg(feature = "http")]
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// A protocol as a state machine: told the time and what happened, it answers with the one thing to do next.
///
/// A driver is a loop around [`next_action`](Machine::next_action); waking early, late or twice is harmless.
/// `device-flow-tokio` and `device-flow-blocking` have such a loop. One of your own is this:
///
/// ```
/// use device_flow_core::{Action, Failure, Machine, Prompt, Request, Response, Timestamp, TransportError};
///
/// fn run<M: Machine>(
///     machine: &mut M,
///     now: impl Fn() -> Timestamp,
///     sleep_until: impl Fn(Timestamp),
///     send: impl Fn(&Request) -> Result<(u16, Vec<(String, Vec<u8>)>, Vec<u8>), TransportError>,
///     show: impl Fn(&Prompt),
/// ) -> Result<M::Output, Failure> {
///     loop {
///         match machine.next_action(now()) {
///             // Never follow redirects, and read no further than `request.max_response()`.
///             Action::SendRequest(outgoing) => match send(&outgoing.request) {
///                 Ok((status, headers, body)) => {
///                     let response = Response::new(status, &body);
///                     let response = headers.iter().fold(response, |all, (name, value)| all.header(name, value));
///                     machine.response(outgoing.ticket, response, now())
///                 }
///                 Err(error) => machine.transport_failed(outgoing.ticket, error, now()),
///             }
///             .expect("every ticket goes back to the machine that issued it"),
///             Action::ShowCode(prompt) => show(&prompt),
///             Action::Wait { until, .. } => sleep_until(until),
///             Action::Done(outcome) => return outcome,
///             Action::AwaitResponse | Action::Ended => unreachable!("nobody else runs this machine"),
///         }
///     }
/// }
/// ```
///
/// # One timeline
///
/// `now` is monotonic time, counted from a zero of the driver's choice; an earlier `now` counts as the latest one seen.
/// **All calls to one machine must count from the same zero**, whichever drivers, HTTP clients or threads take turns at
/// it, because the machine compares the times that it is given. A second driver with a zero of its own polls too early
/// or waits too long, and polling early is what servers lock clients out for (RFC 8628 §3.5).
///
/// So a driver takes the time from one clock per process: a `static` `Instant`, or a clock that counts from the boot.
/// The function `now()` of both adapters is such a clock, and a driver that shares its machines with them must use it.
/// Another process cannot share it: store a `Snapshot` of the flow there, which holds durations, and resume it.
pub trait Machine {
    /// What the machine brings on success.
    type Output;

    /// The one thing to do now. A request, a prompt and an outcome come out once; every other action repeats. Never
    /// panics.
    ///
    /// (Not called `poll`: in this protocol that word means asking the token endpoint.)
    fn next_action(&mut self, now: Timestamp) -> Action<Self::Output>;

    /// Hands in the answer to a request: any status, any bytes.
    ///
    /// # Errors
    /// [`Misuse`] when the ticket is not the one outstanding here, or the status is not an HTTP status. The machine is
    /// unchanged then.
    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse>;

    /// Says that no answer came.
    ///
    /// # Errors
    /// [`Misuse`] when the ticket is not the one outstanding here. The machine is unchanged then.
    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse>;

    /// The server's own words, or the transport's, about the last attempt that was of no use, safe to print: what to tell
    /// about the wait that follows it ([`WaitReason::Backoff`]). None for a machine that does not keep them.
    fn last_words(&self) -> Option<&str> {
        None
    }

    /// Ends the machine: the next action is `Done(Err(Failure::Cancelled))`. The answer to a request that is still in
    /// flight may still be handed in; it is dropped. Does nothing to a machine that has its outcome.
    fn cancel(&mut self);
}

/// The one thing to do now. Exhaustive on purpose: a new variant must break every driver at compile time.
#[must_use = "an action that is dropped is a request not sent, a code not shown or an outcome lost"]
#[derive(Debug)]
pub enum Action<T> {
    /// Send this, never following redirects, and hand in the answer with the ticket.
    SendRequest(Outgoing),
    /// Show this to the person: before the first poll, and again after a resume.
    ShowCode(Prompt),
    /// Nothing to do before `until`, which is always in the future.
    Wait {
        /// When to call [`Machine::next_action`] again.
        until: Timestamp,
        /// Why.
        reason: WaitReason,
    },
    /// A request is in flight; nothing to do until its ticket comes back.
    AwaitResponse,
    /// The outcome, handed out once.
    Done(Result<T, Failure>),
    /// The outcome was handed out before.
    Ended,
}

/// Why a machine waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The server's polling interval (RFC 8628 §3.5).
    Interval,
    /// The server answered `slow_down`; from now on the interval is this many seconds or more.
    SlowDown {
        /// The interval in force now, in seconds.
        interval: u32,
    },
    /// No usable answer came; the waits grow until one does.
    Backoff {
        /// What came instead.
        cause: Cause,
        /// The number of failures in a row, this one included.
        attempt: u32,
    },
    /// The server named a delay (`Retry-After`, RFC 9110 §10.2.3).
    RetryAfter,
}

/// What came instead of a usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No answer at all.
    #[error("{0}")]
    Transport(TransportErrorKind),
    /// A status that says "not now" (408, 429, and 5xx except 501, 505, 510 and 511) without an OAuth error in the body.
    #[error("the server answered with HTTP status {0}")]
    Status(u16),
    /// Something that is not an OAuth answer: a captive portal, a firewall's page, a body cut short. The number is its
    /// status.
    #[error("HTTP status {0} and no JSON, perhaps from something other than the authorization server")]
    Page(u16),
}

/// A request, and the ticket to hand in with its answer.
#[derive(Debug)]
pub struct Outgoing {
    /// What to send.
    pub request: Request,
    /// What to hand in with the answer or the failure.
    pub ticket: Ticket,
}

/// The right to answer one request. It moves: answering twice, or unasked, does not compile.
///
/// ```compile_fail,E0382
/// use device_flow_core::{DeviceFlow, Machine, Response, Ticket, Timestamp};
///
/// fn twice(flow: &mut DeviceFlow, ticket: Ticket, response: Response<'_>) {
///     let _ = flow.response(ticket, response, Timestamp::ZERO);
///     let _ = flow.response(ticket, response, Timestamp::ZERO);
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket(usize);

/// The ticket that a machine waits for; 0 is none.
#[derive(Debug, Default)]
pub(crate) struct Outstanding(usize);

impl Outstanding {
    /// A ticket that no other machine in this process has, so that an answer can never reach another sign-in. The
    /// counter is the only state that machines share, and it tells nothing about them.
    pub(crate) fn issue(&mut self) -> Ticket {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        self.0 = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
        Ticket(self.0)
    }

    /// Takes the ticket back, or returns it inside [`Misuse`] and changes nothing.
    pub(crate) fn redeem(&mut self, ticket: Ticket) -> Result<(), Misuse> {
        if self.0 == 0 || self.0 != ticket.0 {
            return Err(Misuse::NotOutstanding(ticket));
        }
        self.0 = 0;
        Ok(())
    }

    /// The same for an answer, whose status must be one that HTTP allows (RFC 9110 §15).
    pub(crate) fn redeem_with(&mut self, ticket: Ticket, response: &Response<'_>) -> Result<(), Misuse> {
        if !(100..=999).contains(&response.status) && self.0 == ticket.0 {
            return Err(Misuse::InvalidStatus(ticket, response.status));
        }
        self.redeem(ticket)
    }
}

/// A bug in the driver. The machine is unchanged, and the ticket comes back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// The ticket belongs to another machine, or to a request that this machine no longer waits for.
    #[error("this ticket is not the one that this machine waits for: hand every answer to the machine that asked")]
    NotOutstanding(Ticket),
    /// The status is not a number from 100 to 999.
    #[error("{1} is not an HTTP status: a transport that got no answer must call transport_failed")]
    InvalidStatus(Ticket, u16),
}

impl Misuse {
    /// The ticket, for the machine that issued it.
    #[must_use]
    pub fn into_ticket(self) -> Ticket {
        match self {
            Self::NotOutstanding(ticket) | Self::InvalidStatus(ticket, _) => ticket,
        }
    }
}

/// The HTTP method of a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Metadata is fetched with GET (RFC 8414 §3.1).
    Get,
    /// Every other endpoint takes POST (RFC 8628 §3.1, RFC 6749 §3.2).
    Post,
}

impl Method {
    /// `GET` or `POST`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request to send as it stands: method, URL, headers, body. `Debug` shows only the method and the URL.
pub struct Request {
    target: Arc<Target>,
    body: Body,
    proof: Option<Secret>,
    time_limit: Option<Duration>,
    not_after: Option<Timestamp>,
}

/// What all requests to one endpoint have in common.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) method: Method,
    pub(crate) url: Box<str>,
    pub(crate) authorization: Option<Secret>,
    pub(crate) correlation_id: Option<Box<str>>,
    /// The media type of a body.
    pub(crate) content_type: &'static str,
    pub(crate) max_response: usize,
}

impl Request {
    pub(crate) fn new(target: &Arc<Target>, body: Body) -> Self {
        Self { target: Arc::clone(target), body, proof: None, time_limit: None, not_after: None }
    }

    pub(crate) fn expires(&mut self, at: Timestamp) {
        self.not_after = Some(at);
    }

    pub(crate) fn within(self, time_limit: Option<Duration>) -> Self {
        Self { time_limit, ..self }
    }

    pub(crate) fn with_proof(mut self, proof: Secret) -> Self {
        self.proof = Some(proof);
        self
    }

    /// GET or POST.
    #[must_use]
    pub fn method(&self) -> Method {
        self.target.method
    }

    /// The endpoint, exactly as configured or discovered. It never holds a secret.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.target.url
    }

    /// The body, a form or the JSON of a dialect; empty for a GET. It holds secrets.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.bytes()
    }

    /// Names, in lower case, and values. Those of `authorization` and `dpop` must stay out of logs.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        // Each is made when it is asked for: a chain of iterators costs several times as much.
        (0..6).filter_map(|place| {
            let target = &*self.target;
            Some(match place {
                // GitHub answers in form encoding unless JSON is asked for.
                0 => ("accept", "application/json"),
                1 if target.method == Method::Post => ("content-type", target.content_type),
                // Exposed because a header is text on the wire; `http::HeaderValue` is marked sensitive in `into_http`.
                2 => ("authorization", target.authorization.as_ref()?.expose()),
                3 => ("dpop", self.proof.as_ref()?.expose()),
                4 => ("client-request-id", target.correlation_id.as_deref()?),
                5 => target.correlation_id.as_ref().map(|_| ("return-client-request-id", "true"))?,
                _ => return None,
            })
        })
    }

    /// How many bytes of the body to read at most, after decoding. Hand in one byte more to say that there was more.
    #[must_use]
    pub fn max_response(&self) -> usize {
        self.target.max_response
    }

    /// How long the answer may take, where the machine has no use for it later; the transport's own limit may be shorter.
    /// A transport that takes longer holds up whoever waits for this token.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        self.time_limit
    }

    /// Whether it must no longer be sent, because its code has expired (RFC 8628 §3.5). The machine has looked; a transport
    /// that lets requests wait for each other looks again.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.not_after.is_some_and(|end| now >= end)
    }

    /// The same request as a value of the `http` crate; the headers `authorization` and `dpop` are marked sensitive.
    ///
    /// # Errors
    /// When the `http` crate cannot hold the URL, for example because it is longer than 65,534 bytes.
    #[cfg(feature = "http")]
    pub fn into_http(mut self) -> Result<http::Request<Vec<u8>>, http::Error> {
        let mut builder = http::Request::builder().method(self.method().as_str()).uri(self.url());
        for (name, value) in self.headers() {
            let mut value = http::HeaderValue::from_str(value)?;
            value.set_sensitive(matches!(name, "authorization" | "dpop"));
            builder = builder.header(name, value);
        }
        if self.method() == Method::Post && self.body().is_empty() {
            // Clients leave it out for an empty body, and some servers then answer 411.
            builder = builder.header(http::header::CONTENT_LENGTH, 0);
        }
        builder.body(self.body.take())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method().as_str(), self.url())
    }
}

/// An answer, borrowed from the driver: status, body and the few headers that matter.
///
/// ```
/// use device_flow_core::Response;
///
/// let response = Response::new(400, br#"{"error":"slow_down"}"#)
///     .header("Content-Type", b"application/json")
///     .header("Server", b"ignored");
/// assert_eq!(response.status(), 400);
/// ```
#[derive(Clone, Copy)]
pub struct Response<'a> {
    status: u16,
    body: &'a [u8],
    content_type: Option<&'a [u8]>,
    retry_after: Option<&'a [u8]>,
    date: Option<&'a [u8]>,
    age: Option<&'a [u8]>,
    /// A nonce for proofs, or what AWS calls the error: the two never come together, and a poll moves an answer often.
    of_server: Option<&'a [u8]>,
    is_error_type: bool,
}

impl<'a> Response<'a> {
    /// An answer without headers.
    #[must_use]
    pub fn new(status: u16, body: &'a [u8]) -> Self {
        Self {
            status,
            body,
            content_type: None,
            retry_after: None,
            date: None,
            age: None,
            of_server: None,
            is_error_type: false,
        }
    }

    /// Adds a header. Hand in all of them, in any letter case: the few that matter are kept (the first of each name),
    /// the others are ignored, and so are values that are not text.
    #[must_use]
    #[inline]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: &'a [u8]) -> Self {
        self.keep(name.as_ref(), value);
        self
    }

    fn keep(&mut self, name: &[u8], value: &'a [u8]) {
        let slot = if name.eq_ignore_ascii_case(b"content-type") {
            &mut self.content_type
        } else if name.eq_ignore_ascii_case(b"retry-after") {
            &mut self.retry_after
        } else if name.eq_ignore_ascii_case(b"date") {
            &mut self.date
        } else if name.eq_ignore_ascii_case(b"age") {
            &mut self.age
        } else if name.eq_ignore_ascii_case(b"dpop-nonce") {
            if core::mem::take(&mut self.is_error_type) {
                self.of_server = None;
            }
            &mut self.of_server
        } else if name.eq_ignore_ascii_case(b"x-amzn-errortype") {
            self.is_error_type |= self.of_server.is_none();
            &mut self.of_server
        } else {
            return;
        };
        *slot = slot.or(Some(value));
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body, as far as it was read. It may hold tokens.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    pub(crate) fn content_type(&self) -> Option<&'a str> {
        core::str::from_utf8(self.content_type?).ok()
    }

    pub(crate) fn retry_after(&self) -> Option<&'a str> {
        core::str::from_utf8(self.retry_after?).ok()
    }

    /// When the server sent it, as the header `date` says (RFC 9110 §6.6.1).
    #[must_use]
    pub fn date(&self) -> Option<&'a str> {
        core::str::from_utf8(self.date?).ok()
    }

    /// For how many seconds a cache on the way has kept it, as the header `age` says (RFC 9111 §5.1).
    #[must_use]
    pub fn age(&self) -> Option<&'a str> {
        core::str::from_utf8(self.age?).ok()
    }

    /// What AWS calls the error of this answer.
    pub(crate) fn error_type(&self) -> Option<&'a str> {
        core::str::from_utf8(self.of_server.filter(|_| self.is_error_type)?).ok()
    }

    /// A nonce for the proofs of later requests (RFC 9449 §8), whatever the status.
    pub(crate) fn dpop_nonce(&self) -> Option<&'a str> {
        core::str::from_utf8(self.of_server.filter(|_| !self.is_error_type)?)
            .ok()
            .filter(|nonce| crate::signing::is_nonce(nonce))
    }
}

impl fmt::Debug for Response<'_> {
    /// The body may hold tokens, so only its length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} ({} bytes)", self.status, self.body.len())
    }
}

/// How a request failed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The total time limit of the request passed.
    #[error("the request took too long")]
    Timeout,
    /// The host name could not be resolved.
    #[error("the host name could not be resolved")]
    Dns,
    /// No connection: refused, unreachable, no route.
    #[error("no connection to the server")]
    Connect,
    /// The TLS handshake failed for a reason other than the certificate.
    #[error("the TLS handshake failed")]
    Tls,
    /// The server's certificate is not trusted: expired, for another host, or from an unknown authority. A machine ends
    /// at once and never tries again.
    #[error("the server's certificate is not trusted")]
    UntrustedCertificate,
    /// The proxy refused, or asked for credentials.
    #[error("the proxy did not let the request through")]
    Proxy,
    /// The connection closed before the whole answer had arrived.
    #[error("the connection broke off")]
    Closed,
    /// What came is not HTTP, or breaks the limits of the transport.
    #[error("the answer is not valid HTTP")]
    InvalidHttp,
    /// The driver abandoned the request.
    #[error("the request was given up")]
    Abandoned,
    /// The client could not sign it, so it was not sent. Only a machine says so.
    #[error("the request could not be signed with the client's key")]
    Signing,
    /// Something else.
    #[error("the request failed")]
    Other,
}

impl TransportErrorKind {
    /// Whether the request may have reached the server all the same.
    pub(crate) const fn may_have_arrived(self) -> bool {
        match self {
            Self::Timeout | Self::Closed | Self::InvalidHttp | Self::Abandoned | Self::Other => true,
            Self::Dns | Self::Connect | Self::Tls | Self::UntrustedCertificate | Self::Proxy | Self::Signing => false,
        }
    }
}

/// A request that failed without an answer: an input for the machine, which decides whether to try again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}{}{detail}", if detail.is_empty() { "" } else { ": " })]
pub struct TransportError {
    pub(crate) kind: TransportErrorKind,
    pub(crate) detail: Box<str>,
}

impl TransportError {
    /// A failure of this kind.
    #[must_use]
    pub fn new(kind: TransportErrorKind) -> Self {
        Self { kind, detail: Box::default() }
    }

    /// Adds what the transport has to say, for a person to read. It must hold no secret; unprintable characters are
    /// escaped.
    #[must_use]
    pub fn with_detail(mut self, detail: &str) -> Self {
        self.detail = crate::prompt::printable(detail);
        self
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// What the transport had to say, safe to print; empty when it said nothing.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}
