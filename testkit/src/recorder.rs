//! Owns `Recorder`: any machine on a timeline that only its own waits advance, and a record of all that it did. Every
//! driver, however slow, gets the same record; so two drivers of one script can be compared to the byte and the
//! millisecond.

use device_flow_core::{
    Action, Failure, LastError, Machine, Misuse, Outgoing, Prompt, Response, Ticket, Timestamp, TransportError,
    TransportErrorKind, WaitReason,
};
use std::fmt::{self, Write as _};

/// How long each request takes on the timeline of the machine: not zero, so that counting from the wrong end of it is
/// noticed.
pub const ROUND_TRIP: u64 = 40;
/// How long each wait takes on the timeline of the driver, in milliseconds: not zero, so that its waiting is exercised.
const NAP: u64 = 1;

/// A machine, its own time, and a record of what it did.
///
/// What it changes: the machine does not get the time of the driver. Each wait ends exactly when it should, and takes
/// the driver a millisecond; each request takes [`ROUND_TRIP`]. Requests, answers, failures and their order pass
/// through unchanged.
///
/// It also checks the machine: it wakes it too early in every wait, and during every request.
pub struct Recorder<M> {
    inner: M,
    base: String,
    now: u64,
    nap: Option<Nap>,
    trace: Trace,
}

struct Nap {
    /// On the timeline of the driver.
    end: Timestamp,
    /// On the timeline of the machine.
    until: u64,
    reason: WaitReason,
}

/// What a machine did, and when, on its own timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(pub Vec<(u64, Step)>);

/// One thing that a machine did, or that was handed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It asked for this request to be sent.
    Send(Sent),
    /// A response was handed in: its status, and how many bytes of body.
    Answer(u16, usize),
    /// The request failed.
    Fail(TransportErrorKind),
    /// It asked for this code to be shown.
    Show(Prompt),
    /// It asked to wait until then.
    Wait(u64, WaitReason),
    /// It ended, perhaps with this failure. The words of the network are left out.
    End(Result<(), String>),
}

/// A request as the machine wants it sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path and query.
    pub target: String,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: String,
}

impl<M> Recorder<M> {
    /// Records a machine that talks to the server at `base` (scheme, host, port); that address is left out of the
    /// trace.
    pub fn new(inner: M, base: &str) -> Self {
        Self { inner, base: base.to_owned(), now: 0, nap: None, trace: Trace::default() }
    }

    /// The machine inside.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    /// The record so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    fn record(&mut self, step: Step) {
        self.trace.0.push((self.now, step));
    }
}

impl<M: Machine> Recorder<M> {
    fn sent(&mut self, Outgoing { request, .. }: &Outgoing) {
        let url = request.url();
        self.record(Step::Send(Sent {
            method: request.method().as_str(),
            target: url.strip_prefix(&self.base).unwrap_or(url).to_owned(),
            headers: request.headers().map(|(name, value)| (name, value.to_owned())).collect(),
            body: String::from_utf8(request.body().to_vec()).unwrap(),
        }));
        // Polling law 9: one request in flight, even when the driver asks again.
        let next = self.inner.next_action(Timestamp::from_millis(self.now));
        assert!(matches!(next, Action::AwaitResponse), "two requests in flight\n{}", self.trace);
    }

    fn waits(&mut self, until: u64, reason: WaitReason, now: Timestamp) -> Timestamp {
        assert!(self.now < until, "a wait that has already ended\n{}", self.trace);
        self.record(Step::Wait(until, reason));
        if self.now < until - 1 {
            let next = self.inner.next_action(Timestamp::from_millis(until - 1));
            let same = matches!(next, Action::Wait { until: again, .. } if again.as_millis() == until);
            assert!(same, "woken early, the machine did not go on waiting\n{}", self.trace);
        }
        let end = Timestamp::from_millis(now.as_millis() + NAP);
        self.nap = Some(Nap { end, until, reason });
        end
    }

    /// The machine's time when the response or failure arrived.
    fn arrival(&mut self) -> Timestamp {
        self.now += ROUND_TRIP;
        Timestamp::from_millis(self.now)
    }
}

impl<M: Machine> Machine for Recorder<M> {
    type Output = M::Output;

    fn next_action(&mut self, now: Timestamp) -> Action<M::Output> {
        if let Some(nap) = self.nap.take() {
            if now < nap.end {
                let (until, reason) = (nap.end, nap.reason);
                self.nap = Some(nap);
                return Action::Wait { until, reason };
            }
            self.now = nap.until;
        }
        let action = self.inner.next_action(Timestamp::from_millis(self.now));
        match &action {
            Action::SendRequest(outgoing) => self.sent(outgoing),
            Action::ShowCode(prompt) => self.record(Step::Show(prompt.clone())),
            Action::Wait { until, reason } => {
                let reason = *reason;
                return Action::Wait { until: self.waits(until.as_millis(), reason, now), reason };
            }
            Action::Done(outcome) => {
                let outcome =
                    outcome.as_ref().map(|_| ()).map_err(|failure| without_network_words(failure, &self.base));
                self.record(Step::End(outcome));
            }
            Action::AwaitResponse | Action::Ended => {}
        }
        action
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, _: Timestamp) -> Result<(), Misuse> {
        let now = self.arrival();
        // Only `Debug` tells how long a body is.
        let length = format!("{response:?}").chars().filter(char::is_ascii_digit).skip(3).collect::<String>();
        self.record(Step::Answer(response.status(), length.parse().unwrap()));
        self.inner.response(ticket, response, now)
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, _: Timestamp) -> Result<(), Misuse> {
        let now = self.arrival();
        self.record(Step::Fail(error.kind()));
        self.inner.transport_failed(ticket, error, now)
    }

    fn cancel(&mut self) {
        self.inner.cancel();
    }
}

/// A failure without the words of the network, in which drivers differ.
fn without_network_words(failure: &Failure, base: &str) -> String {
    if let Failure::Transport(error) = failure {
        return format!("Transport({:?})", error.kind());
    }
    if let Failure::Expired(expired) = failure {
        let trail = &expired.trail;
        let counts = (trail.polls(), trail.slow_downs(), trail.failures());
        let cause = trail.last_error().map(LastError::cause);
        return format!("Expired({counts:?}, {cause:?}, {}, {:?})", trail.clock_drift_suspected(), expired.error);
    }
    format!("{failure:?}").replace(base, "")
}

impl Trace {
    /// The requests.
    pub fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.0.iter().filter_map(|(_, step)| if let Step::Send(sent) = step { Some(sent) } else { None })
    }

    /// How many bytes of body were handed in, for each response.
    pub fn lengths(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|(_, step)| if let Step::Answer(_, length) = step { Some(*length) } else { None })
    }

    /// The waits: how long, and for which reason.
    pub fn waits(&self) -> impl Iterator<Item = (u64, WaitReason)> {
        self.0.iter().filter_map(|(at, step)| match step {
            Step::Wait(until, reason) => Some((until - at, *reason)),
            Step::Send(_) | Step::Answer(..) | Step::Fail(_) | Step::Show(_) | Step::End(_) => None,
        })
    }

    /// How it ended, if it did.
    pub fn end(&self) -> Option<&Result<(), String>> {
        self.0.iter().find_map(|(_, step)| if let Step::End(end) = step { Some(end) } else { None })
    }
}

/// One line for each step.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(at, step)| {
            write!(f, "{at:>8} ")?;
            match step {
                Step::Send(sent) => writeln!(f, "{} {} {:?} {}", sent.method, sent.target, sent.headers, sent.body),
                Step::Answer(status, length) => writeln!(f, "HTTP {status}, {length} bytes"),
                Step::Fail(_) | Step::Show(_) | Step::Wait(..) | Step::End(_) => writeln!(f, "{step:?}"),
            }
        })?;
        f.write_char('\n')
    }
}
