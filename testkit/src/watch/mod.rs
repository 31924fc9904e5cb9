//! Owns the polling law on a trace: an independent reading of RFC 8628 §3.4 and §3.5 and of ten years of broken
//! clients, with every bound stated from below and from above. It shares no code with the core, and watches other
//! clients too.

mod breach;
mod meaning;
mod observation;

pub use breach::{Breach, Rule};
pub use observation::{Observation, Outcome};

use crate::law::{self, Law};
use crate::server::{Endpoint, Number, Turn};
use device_flow_core::TransportErrorKind;
use meaning::{Meaning, Seconds};
use std::fmt;

/// Watches one sign-in: [`observe`](Watch::observe) takes all that happens, in order; [`breaches`](Watch::breaches)
/// tells which rules were broken. All times are milliseconds on one clock, which the observer chooses and which must be
/// right.
#[derive(Debug)]
pub struct Watch {
    due: Due,
    code: Option<Code>,
    device_failures: usize,
    in_flight: bool,
    announced_wait: Option<u64>,
    /// Whether the client says until when it waits and what it knows of the code, as our core does; others only sleep
    /// and send.
    announces: bool,
    /// Whether it has a key to answer challenges with.
    proves_possession: bool,
    breaches: Vec<Breach>,
}

/// What must come next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Due {
    Request(Endpoint, Window),
    CodeShown(Window),
    Response(Endpoint),
    End(Outcome, Rule),
    Nothing,
}

/// When the next request may go out at the earliest, and must at the latest; and which rule says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    earliest: u64,
    latest: u64,
    rule: Rule,
}

/// What is known of a code. All in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Code {
    law: Law,
    granted: u64,
    first_interval: u64,
    polls: u64,
    pages: u32,
    /// The last answer was a challenge: what is due, or in flight, is the repetition of a poll.
    challenged: bool,
}

const SECOND: u64 = 1_000;

impl Watch {
    /// Watches a client on the core's `Machine`, which starts now: it announces its waits and what it knows of the
    /// code, and both are held against the law.
    pub fn new(now: u64) -> Self {
        let at_once = Window { earliest: now, latest: now, rule: Rule::Contract };
        Self {
            due: Due::Request(Endpoint::Device, at_once),
            code: None,
            device_failures: 0,
            in_flight: false,
            announced_wait: None,
            announces: true,
            proves_possession: false,
            breaches: Vec::new(),
        }
    }

    /// Watches any other client, which starts now and announces nothing: it only sleeps and sends. So a late request is
    /// a breach here, and showing the code need not be observed.
    pub fn silent_client(now: u64) -> Self {
        Self { announces: false, ..Self::new(now) }
    }

    /// The same for a client that proves possession of a key (RFC 9449): it must answer a challenge that has a nonce.
    /// For any other a challenge is the end.
    #[must_use]
    pub fn proves_possession(self) -> Self {
        Self { proves_possession: true, ..self }
    }

    /// The breaches so far.
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    /// Whether there is a live code, so that the sign-in could be stored.
    pub fn can_be_stored(&self) -> bool {
        match self.due {
            Due::Request(Endpoint::Token, _) | Due::CodeShown(_) | Due::Response(Endpoint::Token) => true,
            Due::Request(..) | Due::Response(_) | Due::End(..) | Due::Nothing => false,
        }
    }

    /// Polls in a row without a usable answer.
    pub fn failures(&self) -> u32 {
        self.code.map_or(0, |code| code.law.failures)
    }

    /// Takes what happened at this moment.
    pub fn observe(&mut self, at: u64, observation: &Observation) {
        match observation {
            Observation::Request(endpoint) => self.request(at, *endpoint),
            Observation::Response(turn) => self.response(at, turn),
            Observation::CodeShown { interval, deadline } => self.code_shown(at, *interval, *deadline),
            Observation::WaitUntil(until) => self.wait_announced(at, *until),
            Observation::Cancelled if matches!(self.due, Due::End(..) | Due::Nothing) => {}
            Observation::Cancelled => self.due = Due::End(Outcome::Cancelled, Rule::Contract),
            Observation::Resumed { passed, at_least, at_most, from_now, shows } => {
                self.resumed(at, *passed, [*at_least, *at_most], *from_now, *shows);
            }
            Observation::Ended(outcome) => self.ended(at, outcome),
        }
    }

    /// Reports a breach that the observer itself has noticed, such as a panic.
    pub fn breach(&mut self, rule: Rule, at: u64, what: impl Into<String>) {
        self.breaches.push(Breach { rule, at, what: what.into() });
    }

    fn request(&mut self, at: u64, endpoint: Endpoint) {
        if self.in_flight {
            self.breach(Rule::OneAtATime, at, format!("a request to {endpoint} was sent while another was in flight"));
        }
        self.in_flight = true;
        self.announced_wait = None;
        if endpoint == Endpoint::Token
            && let Some(mut code) = self.code
        {
            let deadline = code.law.deadline;
            if at >= deadline {
                self.breach(Rule::Deadline, at, format!("a poll was sent at or after the deadline, {deadline} ms"));
            }
            // A server that sends a challenge has not looked at the poll.
            code.polls += u64::from(!code.challenged);
            let most = (deadline - code.granted) / code.first_interval;
            if code.polls > most {
                let what = format!("poll {} was sent, where the lifetime of the code allows {most}", code.polls);
                self.breach(Rule::Contract, at, what);
            }
            self.code = Some(code);
        }
        let window = match &self.due {
            Due::Request(wanted, window) if *wanted == endpoint => *window,
            Due::CodeShown(window) if !self.announces => *window,
            Due::End(_, rule) => {
                let (rule, what) = (*rule, format!("a request to {endpoint} was sent: {} was due", self.due));
                self.due = Due::Response(endpoint);
                return self.breach(rule, at, what);
            }
            Due::Nothing => {
                return self.breach(
                    Rule::OneAtATime,
                    at,
                    format!("a request to {endpoint} was sent after the end: {} was due", self.due),
                );
            }
            Due::Request(..) | Due::CodeShown(_) | Due::Response(_) => {
                let what = format!("a request to {endpoint} was sent: {} was due", self.due);
                self.due = Due::Response(endpoint);
                return self.breach(Rule::Contract, at, what);
            }
        };
        if at < window.earliest {
            let early = window.earliest - at;
            let what = format!("the request to {endpoint} came {early} ms early: it was due {window}");
            self.breach(window.rule, at, what);
        }
        // The driver of a client that announces its waits may wake it late; one that only sleeps decides that itself.
        if !self.announces && at > window.latest {
            let late = at - window.latest;
            let what = format!("the request to {endpoint} came {late} ms late: it was due {window}");
            self.breach(window.rule, at, what);
        }
        self.due = Due::Response(endpoint);
    }

    fn wait_announced(&mut self, at: u64, until: u64) {
        if until <= at {
            self.breach(
                Rule::Contract,
                at,
                format!("a wait until {until} ms was announced, which is not in the future"),
            );
        }
        if let Some(before) = self.announced_wait.filter(|before| *before != until) {
            let what = format!("a wait until {until} ms was announced, after one until {before} ms");
            self.breach(Rule::Contract, at, what);
        }
        self.announced_wait = Some(until);
        if let Some(code) = self.code.filter(|code| until > code.law.deadline) {
            let what = format!("a wait until {until} ms was announced, beyond the deadline, {} ms", code.law.deadline);
            self.breach(Rule::Deadline, at, what);
        }
        match &self.due {
            Due::Request(_, window) => {
                let window = *window;
                if until < window.earliest {
                    let early = window.earliest - until;
                    let what = format!("a wait was announced that ends {early} ms early: the request is due {window}");
                    self.breach(window.rule, at, what);
                }
                if until > window.latest {
                    let late = until - window.latest;
                    // All but the jitter is exact.
                    let jitter = self.code.map_or(0, |code| code.law.interval / 10);
                    let rule = if late <= jitter { Rule::Jitter } else { window.rule };
                    let what = format!("a wait was announced that ends {late} ms late: the request is due {window}");
                    self.breach(rule, at, what);
                }
            }
            Due::End(_, rule) => self.breach(*rule, at, format!("a wait was announced: {} was due", self.due)),
            Due::CodeShown(_) | Due::Response(_) | Due::Nothing => {
                self.breach(Rule::Contract, at, format!("a wait was announced: {} was due", self.due));
            }
        }
    }

    fn code_shown(&mut self, at: u64, interval: u64, deadline: u64) {
        match (&self.due, self.code) {
            (Due::CodeShown(window), Some(code)) => {
                self.due = Due::Request(Endpoint::Token, *window);
                let in_force = code.law;
                if at >= in_force.deadline {
                    self.breach(Rule::Deadline, at, "an expired code was shown");
                }
                if deadline != in_force.deadline {
                    let what =
                        format!("the code expires at {} ms, but was shown until {deadline} ms", in_force.deadline);
                    self.breach(Rule::Deadline, at, what);
                }
                if interval.checked_mul(SECOND) != Some(in_force.interval) {
                    let what =
                        format!("the interval is {} ms, but the client believes {interval} s", in_force.interval);
                    self.breach(Rule::SlowDown, at, what);
                }
            }
            (Due::End(_, rule), _) => self.breach(*rule, at, format!("a code was shown: {} was due", self.due)),
            (Due::Request(..) | Due::CodeShown(_) | Due::Response(_) | Due::Nothing, _) => {
                self.breach(Rule::Contract, at, format!("a code was shown: {} was due", self.due));
            }
        }
    }

    fn ended(&mut self, at: u64, outcome: &Outcome) {
        let due = std::mem::replace(&mut self.due, Due::Nothing);
        // Nothing is left to do at the deadline but to say so.
        let expired = self.code.is_some_and(|code| at >= code.law.deadline);
        match due {
            Due::End(wanted, rule) if wanted != *outcome => {
                self.breach(rule, at, format!("the sign-in ended with {outcome}: {wanted} was due"));
            }
            Due::End(..) => {}
            Due::Nothing => {
                self.breach(Rule::OneAtATime, at, format!("the sign-in ended a second time, with {outcome}"))
            }
            Due::Request(..) | Due::CodeShown(_) if expired && *outcome == Outcome::Expired => {}
            // Only at the end of the range of times: with some jitter there is a poll left, with more there is none.
            Due::Request(_, window) | Due::CodeShown(window)
                if *outcome == Outcome::Expired && self.code.is_some_and(|code| window.latest >= code.law.deadline) => {
            }
            Due::Request(_, window) | Due::CodeShown(window) => {
                let rule = match (outcome, window.rule) {
                    (Outcome::Expired, _) => Rule::Deadline,
                    (_, rule @ (Rule::Backoff | Rule::Challenge)) => rule,
                    _ => Rule::Meaning,
                };
                self.breach(rule, at, format!("the sign-in ended with {outcome}: a request was due {window}"));
            }
            Due::Response(endpoint) => {
                let what = format!("the sign-in ended with {outcome} before the response of {endpoint}");
                self.breach(Rule::Meaning, at, what);
            }
        }
    }

    fn response(&mut self, at: u64, turn: &Turn) {
        if !std::mem::replace(&mut self.in_flight, false) {
            return self.breach(Rule::OneAtATime, at, "a response came where no request was in flight");
        }
        match self.due {
            Due::Response(Endpoint::Device) => self.device_response(at, turn),
            Due::Response(Endpoint::Token) => self.token_response(at, turn),
            // Cancelled in the meantime.
            Due::Response(Endpoint::Metadata) | Due::Request(..) | Due::CodeShown(_) | Due::End(..) | Due::Nothing => {}
        }
    }

    fn device_response(&mut self, at: u64, turn: &Turn) {
        const DELAYS: [u64; 3] = [1, 2, 4];
        let given_up = match Meaning::of(turn) {
            Meaning::Code { interval, lifetime } => return self.code_granted(at, interval, lifetime),
            Meaning::Untrusted => {
                let outcome = Outcome::Transport(TransportErrorKind::UntrustedCertificate);
                self.due = Due::End(outcome, Rule::Untrusted);
                return;
            }
            Meaning::Error("slow_down", _) => Outcome::Rejected("slow_down".to_owned()),
            Meaning::Error(code, _) => {
                self.due = Due::End(Outcome::Rejected(code.to_owned()), Rule::Meaning);
                return;
            }
            Meaning::Fault(kind) => Outcome::Transport(kind),
            Meaning::Unavailable => Outcome::Protocol,
            Meaning::Token | Meaning::Page | Meaning::Empty | Meaning::Broken => {
                self.due = Due::End(Outcome::Protocol, Rule::Meaning);
                return;
            }
        };
        let delay = DELAYS.get(self.device_failures).filter(|_| turn.retry_after.is_none_or(|asked| asked <= 60));
        self.due = match delay {
            Some(delay) => {
                self.device_failures += 1;
                let due = at.saturating_add(SECOND * delay.max(&turn.retry_after.unwrap_or(0)));
                Due::Request(Endpoint::Device, Window { earliest: due, latest: due, rule: Rule::Backoff })
            }
            None => Due::End(given_up, Rule::Backoff),
        };
    }

    fn code_granted(&mut self, at: u64, interval: Number, lifetime: Number) {
        let broken = Due::End(Outcome::Protocol, Rule::Interval);
        // In seconds. Ten minutes are assumed where nothing is said; a day is the most.
        let lifetime = match Seconds::of(lifetime) {
            Seconds::Absent => 600,
            Seconds::Nonsense => return self.due = broken,
            Seconds::Negative => 0,
            Seconds::Rounded { floor, .. } => floor.min(86_400),
        };
        let interval = match Seconds::of(interval) {
            Seconds::Absent => 0,
            Seconds::Nonsense | Seconds::Negative => return self.due = broken,
            Seconds::Rounded { ceil, .. } => ceil,
        };
        if lifetime > 0 && interval >= lifetime {
            return self.due = broken;
        }
        let interval = if interval == 0 { 5 } else { interval }.saturating_mul(SECOND);
        let law = Law { interval, deadline: at.saturating_add(lifetime * SECOND), failures: 0, slow_downs: 0 };
        self.code = Some(Code { law, granted: at, first_interval: interval, polls: 0, pages: 0, challenged: false });
        self.schedule(at, None, Rule::WaitFirst);
        if let Due::Request(_, window) = self.due {
            self.due = Due::CodeShown(window);
        }
    }

    fn token_response(&mut self, at: u64, turn: &Turn) {
        let Some(mut code) = self.code else {
            return self.due = Due::End(Outcome::Protocol, Rule::Interval);
        };
        let repeated = std::mem::take(&mut code.challenged);
        let outcome = match Meaning::of(turn) {
            Meaning::Error("use_dpop_nonce", _) if self.proves_possession => {
                if repeated || turn.nonce.is_none() {
                    code.pages = 0;
                    return self.failed(at, turn, code, Rule::Challenge);
                }
                code.challenged = true;
                self.code = Some(code);
                // At the deadline it is over; then the request would be the breach.
                let at_once = Window { earliest: at, latest: at, rule: Rule::Challenge };
                return self.due = Due::Request(Endpoint::Token, at_once);
            }
            Meaning::Error("authorization_pending", _) => {
                code.law.pending();
                code.pages = 0;
                self.code = Some(code);
                return self.schedule(at, turn.retry_after, Rule::CountFromTheAnswer);
            }
            Meaning::Error("slow_down", hint) => {
                let hint = match Seconds::of(hint) {
                    Seconds::Rounded { ceil, .. } => ceil,
                    Seconds::Absent | Seconds::Negative | Seconds::Nonsense => 0,
                };
                code.law.slow_down(hint);
                code.pages = 0;
                self.code = Some(code);
                let rule = if code.law.slow_downs > 1 { Rule::Drift } else { Rule::SlowDown };
                return self.schedule(at, turn.retry_after, rule);
            }
            Meaning::Fault(_) | Meaning::Unavailable => {
                code.pages = 0;
                return self.failed(at, turn, code, Rule::Backoff);
            }
            meaning @ (Meaning::Page | Meaning::Empty) => {
                code.pages += 1;
                let tolerated = if matches!(meaning, Meaning::Page) { 3 } else { 1 };
                if code.pages <= tolerated {
                    return self.failed(at, turn, code, Rule::Backoff);
                }
                Outcome::Protocol
            }
            Meaning::Untrusted => {
                let outcome = Outcome::Transport(TransportErrorKind::UntrustedCertificate);
                return self.due = Due::End(outcome, Rule::Untrusted);
            }
            Meaning::Token => Outcome::Token,
            Meaning::Error("access_denied" | "authorization_declined", _) => Outcome::Denied,
            Meaning::Error("expired_token" | "code_expired", _) => Outcome::Expired,
            // What servers say of a code that they have forgotten.
            Meaning::Error("invalid_grant", _) if at >= code.law.deadline => Outcome::Expired,
            Meaning::Error(error, _) => Outcome::Rejected(error.to_owned()),
            Meaning::Code { .. } | Meaning::Broken => Outcome::Protocol,
        };
        self.due = Due::End(outcome, Rule::Meaning);
    }

    fn failed(&mut self, at: u64, turn: &Turn, mut code: Code, rule: Rule) {
        code.law.failures = code.law.failures.saturating_add(1);
        self.code = Some(code);
        self.schedule(at, turn.retry_after, rule);
    }

    /// The next poll, counted from this moment.
    fn schedule(&mut self, at: u64, retry_after: Option<u64>, rule: Rule) {
        let Some(Code { law, .. }) = self.code else { return };
        let next = law.next(at, retry_after.unwrap_or(0).saturating_mul(SECOND));
        let rule = if next == law.next(at, 0) { rule } else { Rule::RetryAfter };
        self.due = match next {
            law::Next::Expired => Due::End(Outcome::Expired, Rule::Deadline),
            law::Next::Poll { earliest, latest } => Due::Request(Endpoint::Token, Window { earliest, latest, rule }),
        };
    }

    fn resumed(&mut self, now: u64, passed: u64, [at_least, at_most]: [u64; 2], from_now: bool, shows: bool) {
        let stored = now - passed;
        let (at_least, at_most) = (at_least.min(passed), at_most.max(passed));
        let later = |moment: u64, away| now.saturating_add(moment.saturating_sub(stored).saturating_sub(away));
        let Some(mut code) = self.code else { return };
        let deadline = later(code.law.deadline, at_most);
        let challenged = std::mem::take(&mut code.challenged);
        // The answer to a poll in flight is lost: one failure more.
        if self.due == Due::Response(Endpoint::Token) {
            self.in_flight = false;
            code.law.failures = code.law.failures.saturating_add(1);
            code.pages = 0;
            if from_now {
                code.law.deadline = deadline;
            }
            self.code = Some(code);
            self.schedule(if from_now { now } else { stored }, None, Rule::Backoff);
        } else if challenged {
            // The nonce stays behind, so this is no repetition: the challenge counts as an answer.
            code.law.pending();
            code.pages = 0;
            self.code = Some(code);
            self.schedule(stored, None, Rule::Challenge);
        }
        let (Due::Request(_, window) | Due::CodeShown(window)) = self.due else { return };
        code.law.deadline = deadline;
        self.code = Some(code);
        self.announced_wait = None;
        let window = if from_now {
            window
        } else {
            let [earliest, latest] = [window.earliest, window.latest].map(|moment| later(moment, at_least));
            Window { earliest, latest, rule: window.rule }
        };
        // A wait can reach the deadline, which comes sooner.
        self.due = if now.max(window.earliest) >= deadline {
            Due::End(Outcome::Expired, Rule::Deadline)
        } else if shows || matches!(self.due, Due::CodeShown(_)) {
            Due::CodeShown(window)
        } else {
            Due::Request(Endpoint::Token, window)
        };
    }
}

/// As the subject of "… was due".
impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(endpoint, window) => write!(f, "a request to {endpoint} {window}"),
            Self::CodeShown(_) => f.write_str("showing the code"),
            Self::Response(endpoint) => write!(f, "the response of {endpoint}"),
            Self::End(outcome, _) => write!(f, "the end with {outcome}"),
            Self::Nothing => f.write_str("nothing more"),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { earliest, latest, .. } = self;
        if earliest == latest { write!(f, "at {earliest} ms") } else { write!(f, "from {earliest} to {latest} ms") }
    }
}
