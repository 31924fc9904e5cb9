//! Owns machines: which protocol one runs, its step from action to action, and what a step leaves to be read.

use crate::code::{Code, Refused};
use crate::handle::{Handle, Header, Str, array, out, text, with};
use crate::text::millis;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ffi::{c_char, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use device_flow_core::{
    DeviceFlow, Discovery, Failure, Machine as _, Metadata, Misuse, Outgoing, Prompt, Refresh, Response, Revocation,
    Secret, Ticket, Timestamp, TokenResponse, TransportErrorKind,
};
use zeroize::Zeroizing;

/// A sign-in, a refresh, a revocation or a discovery under way. Opaque: always behind a pointer.
#[derive(Debug)]
pub struct Machine {
    _opaque: (),
}

impl Handle for Machine {
    type Inside = Driven;
    const KIND: u32 = 0x6466_6d61;
}

/// What to do now.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Action {
    /// What it is.
    pub kind: ActionKind,
    /// Why to wait, for `DF_ACTION_KIND_WAIT`.
    pub reason: WaitReason,
    /// The ticket of the request, for `DF_ACTION_KIND_SEND_REQUEST` and `…_AWAIT_RESPONSE`; else 0.
    pub ticket: u64,
    /// When to come back, for `DF_ACTION_KIND_WAIT`, in milliseconds on the caller's timeline; else 0.
    pub until_ms: u64,
    /// What to send, for `DF_ACTION_KIND_SEND_REQUEST`; else all of it is zero.
    pub request: Request,
}

/// A request to send as it stands, never following redirects. Its texts stay until its ticket is handed in, or the machine is
/// freed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: Str,
    /// The URL. It holds no secret.
    pub url: Str,
    /// The headers, their names in lower case. The values of `authorization` and `dpop` must stay out of logs.
    pub headers: *const Header,
    /// The number of headers.
    pub header_count: usize,
    /// The body, which holds secrets; empty for a GET.
    pub body: Str,
    /// How many bytes of the answer's body to read at most, after decoding. Hand in one more to say that there was more.
    pub max_response: usize,
    /// How long the answer may take, in milliseconds, where the machine has no use for it later; else 0. The caller's own
    /// limit may be shorter.
    pub time_limit_ms: u64,
}

/// The kinds of actions.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Send the request, never following redirects, and hand in the answer with the ticket: `df_response`, or
    /// `df_transport_failed`. It comes out once.
    SendRequest = 0,
    /// Show the code and the address to the person; all of it is safe to print. It comes out once.
    ShowCode = 1,
    /// Come back at `until_ms`; earlier, later or twice is harmless.
    Wait = 2,
    /// Wait for the answer to the request in flight.
    AwaitResponse = 3,
    /// A success: take the outcome. It comes out once.
    Done = 4,
    /// A failure: read why. It comes out once.
    Failed = 5,
    /// The outcome came out before. It can still be read.
    Ended = 6,
}

/// Why a machine waits.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// It does not wait.
    None = 0,
    /// The server's polling interval (RFC 8628 §3.5).
    Interval = 1,
    /// The server answered `slow_down`: the interval is longer from now on.
    SlowDown = 2,
    /// No usable answer came: `DF_TEXT_WAIT_CAUSE`.
    Backoff = 3,
    /// The server named a delay (`Retry-After`, RFC 9110 §10.2.3).
    RetryAfter = 4,
}

/// How a request failed without an answer.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// Something else.
    Other = 0,
    /// The time limit of the request passed.
    Timeout = 1,
    /// The host name could not be resolved.
    Dns = 2,
    /// No connection: refused, unreachable, no route.
    Connect = 3,
    /// The TLS handshake failed for a reason other than the certificate.
    Tls = 4,
    /// The server's certificate is not trusted. A machine ends at once.
    UntrustedCertificate = 5,
    /// The proxy refused, or asked for credentials.
    Proxy = 6,
    /// The connection closed before the whole answer had arrived.
    Closed = 7,
    /// What came is not HTTP.
    InvalidHttp = 8,
    /// The caller gave the request up.
    Abandoned = 9,
}

impl Action {
    pub(crate) fn of(kind: ActionKind) -> Self {
        Self { kind, reason: WaitReason::None, ticket: 0, until_ms: 0, request: Request::NONE }
    }
}

impl Request {
    const NONE: Self = Self {
        method: Str::NULL,
        url: Str::NULL,
        headers: ptr::null(),
        header_count: 0,
        body: Str::NULL,
        max_response: 0,
        time_limit_ms: 0,
    };
}

impl TransportError {
    const ALL: [(Self, TransportErrorKind); 10] = [
        (Self::Other, TransportErrorKind::Other),
        (Self::Timeout, TransportErrorKind::Timeout),
        (Self::Dns, TransportErrorKind::Dns),
        (Self::Connect, TransportErrorKind::Connect),
        (Self::Tls, TransportErrorKind::Tls),
        (Self::UntrustedCertificate, TransportErrorKind::UntrustedCertificate),
        (Self::Proxy, TransportErrorKind::Proxy),
        (Self::Closed, TransportErrorKind::Closed),
        (Self::InvalidHttp, TransportErrorKind::InvalidHttp),
        (Self::Abandoned, TransportErrorKind::Abandoned),
    ];
}

/// A machine with what its last steps have left to be read.
pub(crate) struct Driven {
    protocol: Protocol,
    pub(crate) left: Left,
    snapshot: Zeroizing<Vec<u8>>,
}

/// What the last steps of a machine have left to be read.
#[derive(Default)]
pub(crate) struct Left {
    /// The number of the ticket, as the caller knows it.
    ticket: Option<(u64, Ticket)>,
    /// Until its ticket comes back.
    request: Option<device_flow_core::Request>,
    /// Those of the request. Kept for the next one, so that a poll allocates nothing for them.
    headers: Vec<Header>,
    pub(crate) prompt: Option<Prompt>,
    pub(crate) warnings: Vec<Box<str>>,
    pub(crate) wait: Wait,
    pub(crate) outcome: Outcome,
}

/// One of the machines of the core.
pub(crate) enum Protocol {
    Flow(DeviceFlow),
    Refresh(Box<Refresh>),
    Revocation(Box<Revocation>),
    Discovery(Box<Discovery>),
}

/// What is known of a wait.
#[derive(Default)]
pub(crate) enum Wait {
    #[default]
    Usual,
    SlowDown(u32),
    Backoff(Box<str>, u32),
}

#[derive(Default)]
pub(crate) enum Outcome {
    #[default]
    None,
    Tokens(Box<Tokens>),
    Revoked,
    Found(Box<Metadata>),
    Failed(Box<Failed>),
}

pub(crate) struct Tokens {
    pub(crate) response: TokenResponse,
    /// Separated by single spaces.
    pub(crate) scope: Box<str>,
    pub(crate) authorization: Option<Secret>,
}

pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) text: Box<str>,
}

impl Outcome {
    fn tokens(response: TokenResponse) -> Self {
        let scope = response.scopes().collect::<Vec<_>>().join(" ").into_boxed_str();
        let authorization = response.authorization();
        Self::Tokens(Box::new(Tokens { response, scope, authorization }))
    }
}

impl Protocol {
    fn next_action(&mut self, left: &mut Left, now: Timestamp, place: &mut MaybeUninit<Action>) {
        match self {
            Self::Flow(flow) => left.take(flow.next_action(now), Outcome::tokens, place),
            Self::Refresh(refresh) => left.step(&mut **refresh, now, Outcome::tokens, place),
            Self::Revocation(revocation) => left.step(&mut **revocation, now, |()| Outcome::Revoked, place),
            Self::Discovery(discovery) => {
                left.step(&mut **discovery, now, |found| Outcome::Found(Box::new(found)), place);
            }
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        match self {
            Self::Flow(flow) => flow.response(ticket, response, now),
            Self::Refresh(refresh) => refresh.response(ticket, response, now),
            Self::Revocation(revocation) => revocation.response(ticket, response, now),
            Self::Discovery(discovery) => discovery.response(ticket, response, now),
        }
    }

    fn transport_failed(
        &mut self,
        ticket: Ticket,
        error: device_flow_core::TransportError,
        now: Timestamp,
    ) -> Result<(), Misuse> {
        match self {
            Self::Flow(flow) => flow.transport_failed(ticket, error, now),
            Self::Refresh(refresh) => refresh.transport_failed(ticket, error, now),
            Self::Revocation(revocation) => revocation.transport_failed(ticket, error, now),
            Self::Discovery(discovery) => discovery.transport_failed(ticket, error, now),
        }
    }

    fn cancel(&mut self) {
        match self {
            Self::Flow(flow) => flow.cancel(),
            Self::Refresh(refresh) => refresh.cancel(),
            Self::Revocation(revocation) => revocation.cancel(),
            Self::Discovery(discovery) => discovery.cancel(),
        }
    }

    fn last_words(&self) -> Option<&str> {
        match self {
            Self::Flow(flow) => flow.last_words(),
            Self::Refresh(refresh) => refresh.last_words(),
            Self::Revocation(revocation) => revocation.last_words(),
            Self::Discovery(discovery) => discovery.last_words(),
        }
    }
}

impl Left {
    /// Keeps what comes with an action, and says in `place` which it is.
    #[inline(always)]
    fn take<T>(
        &mut self,
        action: device_flow_core::Action<T>,
        success: impl FnOnce(T) -> Outcome,
        place: &mut MaybeUninit<Action>,
    ) {
        match action {
            device_flow_core::Action::SendRequest(Outgoing { request, ticket }) => {
                let number = next_ticket();
                self.ticket = Some((number, ticket));
                let request = self.request.insert(request);
                self.headers.clear();
                request.headers().for_each(|(name, value)| self.headers.push(Header::of(name, value)));
                let request = Request {
                    method: Str::of(request.method().as_str()),
                    url: Str::of(request.url()),
                    headers: self.headers.as_ptr(),
                    header_count: self.headers.len(),
                    body: Str::bytes(request.body()),
                    max_response: request.max_response(),
                    time_limit_ms: request.time_limit().map_or(0, millis),
                };
                place.write(Action { ticket: number, request, ..Action::of(ActionKind::SendRequest) });
            }
            device_flow_core::Action::ShowCode(prompt) => {
                self.shown(prompt);
                place.write(Action::of(ActionKind::ShowCode));
            }
            device_flow_core::Action::Wait { until, reason } => {
                let reason = self.waits(reason);
                place.write(Action { reason, until_ms: until.as_millis(), ..Action::of(ActionKind::Wait) });
            }
            device_flow_core::Action::AwaitResponse => {
                let ticket = self.ticket.as_ref().map_or(0, |(number, _)| *number);
                place.write(Action { ticket, ..Action::of(ActionKind::AwaitResponse) });
            }
            device_flow_core::Action::Done(Ok(outcome)) => {
                self.outcome = success(outcome);
                place.write(Action::of(ActionKind::Done));
            }
            device_flow_core::Action::Done(Err(failure)) => {
                self.failed(failure);
                place.write(Action::of(ActionKind::Failed));
            }
            device_flow_core::Action::Ended => {
                place.write(Action::of(ActionKind::Ended));
            }
        }
    }

    // Apart from the polls, which are many.
    #[inline(never)]
    fn step<M: device_flow_core::Machine>(
        &mut self,
        machine: &mut M,
        now: Timestamp,
        success: impl FnOnce(M::Output) -> Outcome,
        place: &mut MaybeUninit<Action>,
    ) {
        self.take(machine.next_action(now), success, place);
    }

    #[inline(always)]
    fn waits(&mut self, reason: device_flow_core::WaitReason) -> WaitReason {
        let (wait, reason) = match reason {
            device_flow_core::WaitReason::Interval => (Wait::Usual, WaitReason::Interval),
            device_flow_core::WaitReason::RetryAfter => (Wait::Usual, WaitReason::RetryAfter),
            device_flow_core::WaitReason::SlowDown { interval } => (Wait::SlowDown(interval), WaitReason::SlowDown),
            device_flow_core::WaitReason::Backoff { cause, attempt } => {
                (Wait::Backoff(cause.to_string().into(), attempt), WaitReason::Backoff)
            }
        };
        self.wait = wait;
        reason
    }

    // Apart from the polls, which are many.
    #[inline(never)]
    fn shown(&mut self, prompt: Prompt) {
        self.warnings = prompt.warnings().map(|warning| warning.to_string().into()).collect();
        self.prompt = Some(prompt);
    }

    #[inline(never)]
    fn failed(&mut self, failure: Failure) {
        self.outcome = Outcome::Failed(Box::new(Failed { text: failure.to_string().into(), failure }));
    }
}

impl Driven {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self { protocol, left: Left::default(), snapshot: Zeroizing::default() }
    }

    /// The ticket of this number, if it is outstanding.
    fn redeem(&mut self, number: u64) -> Result<Ticket, Code> {
        let ticket = self.left.ticket.take_if(|(known, _)| *known == number);
        ticket.map(|(_, ticket)| ticket).ok_or(Code::BadTicket)
    }

    /// What became of it. After a misuse all is as it was.
    fn redeemed(&mut self, number: u64, result: Result<(), Misuse>) -> Result<(), Refused> {
        let Err(misuse) = result else {
            self.left.request = None;
            return Ok(());
        };
        let code = match misuse {
            Misuse::InvalidStatus(..) => Code::BadStatus,
            Misuse::NotOutstanding(_) => Code::BadTicket,
        };
        self.left.ticket = Some((number, misuse.into_ticket()));
        Err(code.into())
    }

    fn store(&mut self, now: Timestamp) -> Result<Str, Refused> {
        let Protocol::Flow(flow) = &self.protocol else { return Err(Code::None.into()) };
        let snapshot = flow.snapshot(now).ok_or(Code::None)?;
        let json = serde_json::to_vec(&snapshot).map_err(|error| Refused::new(Code::BadSnapshot, &error))?;
        self.snapshot = Zeroizing::new(json);
        Ok(Str::bytes(&self.snapshot))
    }

    pub(crate) fn last_words(&self) -> Option<&str> {
        self.protocol.last_words()
    }

    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        if let Outcome::Found(metadata) = &self.left.outcome { Some(metadata) } else { None }
    }

    pub(crate) fn rotated(&self) -> Option<&Secret> {
        if let Protocol::Refresh(refresh) = &self.protocol { refresh.rotated() } else { None }
    }

    pub(crate) fn flow(&self) -> Option<&DeviceFlow> {
        if let Protocol::Flow(flow) = &self.protocol { Some(flow) } else { None }
    }
}

/// A number that no other machine in this process has, like the ticket behind it, which tells nobody its own.
fn next_ticket() -> u64 {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1) as u64
}

/// The one thing to do now. `now_ms` is monotonic time in milliseconds, from a zero of the caller's choice that is the same
/// in all calls with one machine; an earlier time counts as the latest one seen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_next_action(machine: *mut Machine, now_ms: u64, action: *mut Action) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(machine, |machine| {
            machine.protocol.next_action(&mut machine.left, Timestamp::from_millis(now_ms), out(action)?);
            Ok(())
        })
    }
}

/// Hands in the answer to a request: any status, any bytes. Hand in all headers; those that matter are kept. Of a body that
/// is longer than `DF_NUMBER_MAX_RESPONSE`, one byte more than that is enough.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_response(
    machine: *mut Machine,
    ticket: u64,
    status: u32,
    headers: *const Header,
    header_count: usize,
    body: *const c_void,
    body_len: usize,
    now_ms: u64,
) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(machine, |machine| {
            // No status is 0.
            let mut response =
                Response::new(u16::try_from(status).unwrap_or_default(), array(body.cast::<u8>(), body_len)?);
            for header in array(headers, header_count)? {
                let name = array(header.name.cast::<u8>(), header.name_len)?;
                response = response.header(name, array(header.value.cast::<u8>(), header.value_len)?);
            }
            let redeemed = machine.redeem(ticket)?;
            let result = machine.protocol.response(redeemed, response, Timestamp::from_millis(now_ms));
            machine.redeemed(ticket, result)
        })
    }
}

/// Says that no answer came. `kind` is a `DF_TRANSPORT_ERROR_…`, `detail` what the transport has to say, for a person; it
/// must hold no secret, and may be empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_transport_failed(
    machine: *mut Machine,
    ticket: u64,
    kind: u32,
    detail: *const c_char,
    detail_len: usize,
    now_ms: u64,
) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(machine, |machine| {
            let known = TransportError::ALL.into_iter().find(|(known, _)| *known as u32 == kind);
            let (_, kind) = known.ok_or(Code::BadArgument)?;
            let error = device_flow_core::TransportError::new(kind).with_detail(text(detail, detail_len)?);
            let redeemed = machine.redeem(ticket)?;
            let result = machine.protocol.transport_failed(redeemed, error, Timestamp::from_millis(now_ms));
            machine.redeemed(ticket, result)
        })
    }
}

/// Ends the machine: the next action is a failure, `DF_FAILURE_KIND_CANCELLED`. The answer to a request in flight may still
/// be handed in; it is dropped. Does nothing to a machine that has its outcome.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_cancel(machine: *mut Machine) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(machine, |machine| {
            machine.protocol.cancel();
            Ok(())
        })
    }
}

/// The sign-in as JSON while a code lives; `DF_CODE_NONE` before there is one, after the outcome, and for other machines. It
/// holds the device code, which is a secret. It stays until the next `df_snapshot` of this machine, or until it is freed.
/// Either the machine or the one that is resumed may poll, not both.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_snapshot(machine: *mut Machine, now_ms: u64, snapshot: *mut Str) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(machine, |machine| {
            let place = out(snapshot)?;
            place.write(machine.store(Timestamp::from_millis(now_ms))?);
            Ok(())
        })
    }
}
