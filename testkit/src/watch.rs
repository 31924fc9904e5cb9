//! Owns the polling law on a trace: an independent reading of RFC 8628 §3.4 and §3.5 and of what ten years of broken clients
//! teach, with every bound stated from below and from above. It shares no code with the core, and knows other clients too.

use crate::law::{self, Law};
use crate::server::{Endpoint, Number, Reply, Turn};
use device_flow_core::TransportErrorKind;
use std::fmt;

/// The rules, by their number in the law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// 1: the first poll comes one interval after the code.
    WaitFirst,
    /// 2: a poll is due one interval after the answer before it.
    CountFromTheAnswer,
    /// 3: numbers as servers write them; five seconds without one.
    Interval,
    /// 4: `slow_down` adds five seconds for good; a hint can only raise that.
    SlowDown,
    /// 5: a failure doubles the wait up to a cap, and leaves the interval alone.
    Backoff,
    /// 6: `Retry-After` only lengthens, and costs no last poll.
    RetryAfter,
    /// 7: an untrusted certificate is final.
    Untrusted,
    /// 8: no request at or after the deadline, and no waiting for nothing.
    Deadline,
    /// 9: one request in flight, none after the end.
    OneAtATime,
    /// 10: what each answer means.
    Meaning,
    /// 12: jitter only lengthens, by a tenth of the interval at most.
    Jitter,
    /// 13: a margin after several `slow_down` in a row.
    Drift,
    /// 14: no panic, no early poll, no hot loop, whatever the numbers.
    Saturate,
    /// What the machine's contract promises beyond the law: the code is shown first, waits are in the future and repeat, and
    /// there are no more polls than intervals fit into the life of the code.
    Contract,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, text) = match self {
            Self::WaitFirst => ("1", "wait first"),
            Self::CountFromTheAnswer => ("2", "count from the answer"),
            Self::Interval => ("3", "the interval's default and its oddities"),
            Self::SlowDown => ("4", "slow_down adds five seconds for good"),
            Self::Backoff => ("5", "back off from failures, and recover"),
            Self::RetryAfter => ("6", "Retry-After only lengthens"),
            Self::Untrusted => ("7", "untrusted is final"),
            Self::Deadline => ("8", "the local deadline is hard"),
            Self::OneAtATime => ("9", "one request in flight, none after the end"),
            Self::Meaning => ("10", "what answers mean"),
            Self::Jitter => ("12", "jitter only lengthens, a little"),
            Self::Drift => ("13", "a margin for clocks that run fast"),
            Self::Saturate => ("14", "everything saturates"),
            Self::Contract => ("-", "the machine's contract"),
        };
        write!(f, "rule {number} ({text})")
    }
}

/// How a sign-in ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With the token that the server gave.
    Token,
    /// The person refused.
    Denied,
    /// The code died.
    Expired,
    /// The server refused with this error code.
    Rejected(String),
    /// The server broke the protocol.
    Protocol,
    /// No connection, or an untrusted one.
    Transport(TransportErrorKind),
    /// It was cancelled.
    Cancelled,
}

/// One thing that happened, as everybody outside the client can see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A request went out.
    Asked(Endpoint),
    /// This came back for it.
    Answered(Turn),
    /// The person was shown the code.
    Shown {
        /// What the client believes the interval to be, in seconds.
        interval: u64,
        /// When it believes the code to die.
        deadline: u64,
    },
    /// The client will do nothing before this moment.
    Waits(u64),
    /// It was told to stop.
    Cancelled,
    /// It was stored and, this much later (milliseconds), resumed with that much of it claimed.
    Restarted {
        /// How long it really was away.
        passed: u64,
        /// How long it was told that it was away, at most as much.
        claimed: u64,
    },
    /// It ended.
    Ended(End),
}

/// A rule broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which one.
    pub rule: Rule,
    /// When.
    pub at: u64,
    /// How.
    pub what: String,
}

/// When the next request may go out at the earliest, and must at the latest; and which rules say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    earliest: u64,
    latest: u64,
    rule: Rule,
}

/// What must come next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    Ask(Endpoint, Window),
    Show(Window),
    Answer(Endpoint),
    End(End, Rule),
    Nothing,
}

/// What is known of a code. All in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Code {
    law: Law,
    granted: u64,
    first_interval: u64,
    polls: u64,
    pages: u32,
}

/// Watches one sign-in. Feed it everything in order with [`see`](Watch::see).
#[derive(Debug)]
pub struct Watch {
    next: Next,
    code: Option<Code>,
    device_failures: usize,
    in_flight: bool,
    promised: Option<u64>,
    /// Whether the client says when it waits and shows what it knows, as ours does; others only sleep and ask.
    talks: bool,
    breaches: Vec<Breach>,
}

const SECOND: u64 = 1_000;

impl Watch {
    /// Of a client that begins now.
    pub fn new(now: u64) -> Self {
        let at_once = Window { earliest: now, latest: now, rule: Rule::Contract };
        Self {
            next: Next::Ask(Endpoint::Device, at_once),
            code: None,
            device_failures: 0,
            in_flight: false,
            promised: None,
            talks: true,
            breaches: Vec::new(),
        }
    }

    /// Of a client that does not say what it is going to do. What it never shows is not asked for.
    pub fn of_a_silent_client(now: u64) -> Self {
        Self { talks: false, ..Self::new(now) }
    }

    /// What it has seen of the law being broken.
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    /// Whether a code lives, so that the sign-in could be stored.
    pub fn can_be_stored(&self) -> bool {
        match self.next {
            Next::Ask(Endpoint::Token, _) | Next::Show(_) | Next::Answer(Endpoint::Token) => true,
            Next::Ask(..) | Next::Answer(_) | Next::End(..) | Next::Nothing => false,
        }
    }

    /// Polls in a row without a usable answer.
    pub fn failures(&self) -> u32 {
        self.code.map_or(0, |code| code.law.failures)
    }

    /// Takes down what happened at this moment (milliseconds).
    pub fn see(&mut self, at: u64, seen: &Seen) {
        match seen {
            Seen::Asked(endpoint) => self.asked(at, *endpoint),
            Seen::Answered(turn) => self.answered(at, turn),
            Seen::Shown { interval, deadline } => self.shown(at, *interval, *deadline),
            Seen::Waits(until) => self.waits(at, *until),
            Seen::Cancelled if matches!(self.next, Next::End(..) | Next::Nothing) => {}
            Seen::Cancelled => self.next = Next::End(End::Cancelled, Rule::Contract),
            Seen::Restarted { passed, claimed } => self.restarted(at, *passed, *claimed),
            Seen::Ended(end) => self.ended(at, end),
        }
    }

    /// Something that the law does not allow.
    pub fn breach(&mut self, rule: Rule, at: u64, what: impl Into<String>) {
        self.breaches.push(Breach { rule, at, what: what.into() });
    }

    fn asked(&mut self, at: u64, endpoint: Endpoint) {
        if self.in_flight {
            self.breach(Rule::OneAtATime, at, "a request while another is in flight");
        }
        self.in_flight = true;
        self.promised = None;
        if endpoint == Endpoint::Token
            && let Some(mut code) = self.code
        {
            if at >= code.law.deadline {
                self.breach(Rule::Deadline, at, format!("a poll at or after the deadline ({})", code.law.deadline));
            }
            code.polls += 1;
            let most = (code.law.deadline - code.granted) / code.first_interval;
            if code.polls > most {
                self.breach(Rule::Contract, at, format!("poll {}, where at most {most} fit", code.polls));
            }
            self.code = Some(code);
        }
        let window = match &self.next {
            Next::Ask(wanted, window) if *wanted == endpoint => *window,
            Next::Show(window) if !self.talks => *window,
            Next::End(end, rule) => {
                let (rule, what) = (*rule, format!("a request where it had to end: {end:?}"));
                self.next = Next::Answer(endpoint);
                return self.breach(rule, at, what);
            }
            Next::Nothing => return self.breach(Rule::OneAtATime, at, "a request after the end"),
            other @ (Next::Ask(..) | Next::Show(_) | Next::Answer(_)) => {
                let what = format!("a request to {endpoint:?}, where this was due: {other:?}");
                self.next = Next::Answer(endpoint);
                return self.breach(Rule::Contract, at, what);
            }
        };
        if at < window.earliest {
            self.breach(window.rule, at, format!("a request {} ms early", window.earliest - at));
        }
        // Who talks may be woken late; who only sleeps decides itself when to wake.
        if !self.talks && at > window.latest {
            self.breach(window.rule, at, format!("a request {} ms late", at - window.latest));
        }
        self.next = Next::Answer(endpoint);
    }

    fn waits(&mut self, at: u64, until: u64) {
        if until <= at {
            self.breach(Rule::Contract, at, format!("a wait until {until}, which is not in the future"));
        }
        if let Some(promised) = self.promised.filter(|promised| *promised != until) {
            self.breach(Rule::Contract, at, format!("a wait until {until}, where {promised} was said before"));
        }
        self.promised = Some(until);
        if let Some(code) = self.code.filter(|code| until > code.law.deadline) {
            self.breach(
                Rule::Deadline,
                at,
                format!("a wait until {until}, beyond the deadline ({})", code.law.deadline),
            );
        }
        match &self.next {
            Next::Ask(_, window) => {
                let window = *window;
                if until < window.earliest {
                    self.breach(window.rule, at, format!("a wait that ends {} ms early", window.earliest - until));
                }
                if until > window.latest {
                    // All but the jitter is exact.
                    let jitter = self.code.map_or(0, |code| code.law.interval / 10);
                    let rule = if until - window.latest <= jitter { Rule::Jitter } else { window.rule };
                    self.breach(rule, at, format!("a wait that ends {} ms late", until - window.latest));
                }
            }
            Next::End(end, rule) => {
                let (rule, what) = (*rule, format!("a wait where it had to end: {end:?}"));
                self.breach(rule, at, what);
            }
            other @ (Next::Show(_) | Next::Answer(_) | Next::Nothing) => {
                let what = format!("a wait, where this was due: {other:?}");
                self.breach(Rule::Contract, at, what);
            }
        }
    }

    fn shown(&mut self, at: u64, interval: u64, deadline: u64) {
        match (&self.next, self.code) {
            (Next::Show(window), Some(code)) => {
                self.next = Next::Ask(Endpoint::Token, *window);
                if at >= code.law.deadline {
                    self.breach(Rule::Deadline, at, "a dead code is shown");
                }
                if deadline != code.law.deadline {
                    self.breach(Rule::Deadline, at, format!("it dies at {}, not at {deadline}", code.law.deadline));
                }
                if interval.checked_mul(SECOND) != Some(code.law.interval) {
                    let what =
                        format!("an interval of {interval} s is believed in, of {} ms in force", code.law.interval);
                    self.breach(Rule::SlowDown, at, what);
                }
            }
            (Next::End(end, rule), _) => {
                let (rule, what) = (*rule, format!("a code is shown where it had to end: {end:?}"));
                self.breach(rule, at, what);
            }
            (other, _) => {
                let what = format!("a code is shown, where this was due: {other:?}");
                self.breach(Rule::Contract, at, what);
            }
        }
    }

    fn ended(&mut self, at: u64, end: &End) {
        let next = std::mem::replace(&mut self.next, Next::Nothing);
        // Nothing is left to do at the deadline but to say so.
        let over =
            self.code.is_some_and(|code| at >= code.law.deadline) && matches!(next, Next::Ask(..) | Next::Show(_));
        match next {
            Next::End(wanted, rule) if wanted != *end => {
                self.breach(rule, at, format!("it ended with {end:?}, not with {wanted:?}"));
            }
            Next::End(..) => {}
            Next::Nothing => self.breach(Rule::OneAtATime, at, format!("it ended once more: {end:?}")),
            Next::Ask(..) | Next::Show(_) if over && *end == End::Expired => {}
            // Only where the times end: with some jitter there is a poll left, with more there is none.
            Next::Ask(_, window) | Next::Show(window)
                if *end == End::Expired && self.code.is_some_and(|code| window.latest >= code.law.deadline) => {}
            Next::Ask(_, window) | Next::Show(window) => {
                let rule = match (end, window.rule) {
                    (End::Expired, _) => Rule::Deadline,
                    (_, Rule::Backoff) => Rule::Backoff,
                    _ => Rule::Meaning,
                };
                self.breach(rule, at, format!("it gave up ({end:?}) where it had to go on"));
            }
            Next::Answer(_) => self.breach(Rule::Meaning, at, format!("it gave up ({end:?}) without the answer")),
        }
    }

    fn answered(&mut self, at: u64, turn: &Turn) {
        if !std::mem::replace(&mut self.in_flight, false) {
            return self.breach(Rule::OneAtATime, at, "an answer that nobody asked for");
        }
        match self.next {
            Next::Answer(Endpoint::Device) => self.device_answered(at, turn),
            Next::Answer(Endpoint::Token) => self.token_answered(at, turn),
            // Cancelled in the meantime.
            Next::Answer(Endpoint::Metadata) | Next::Ask(..) | Next::Show(_) | Next::End(..) | Next::Nothing => {}
        }
    }

    fn device_answered(&mut self, at: u64, turn: &Turn) {
        const DELAYS: [u64; 3] = [1, 2, 4];
        let given_up = match meaning(turn) {
            Meaning::Code { interval, lifetime } => return self.granted(at, interval, lifetime),
            Meaning::Untrusted => {
                let end = End::Transport(TransportErrorKind::UntrustedCertificate);
                self.next = Next::End(end, Rule::Untrusted);
                return;
            }
            Meaning::Error("slow_down", _) => End::Rejected("slow_down".to_owned()),
            Meaning::Error(code, _) => {
                self.next = Next::End(End::Rejected(code.to_owned()), Rule::Meaning);
                return;
            }
            Meaning::Fault(kind) => End::Transport(kind),
            Meaning::Unavailable => End::Protocol,
            Meaning::Token | Meaning::Page | Meaning::Nothing | Meaning::Broken => {
                self.next = Next::End(End::Protocol, Rule::Meaning);
                return;
            }
        };
        let delay = DELAYS.get(self.device_failures).filter(|_| turn.retry_after.is_none_or(|asked| asked <= 60));
        self.next = match delay {
            Some(delay) => {
                self.device_failures += 1;
                let due = at.saturating_add(SECOND * delay.max(&turn.retry_after.unwrap_or(0)));
                Next::Ask(Endpoint::Device, Window { earliest: due, latest: due, rule: Rule::Backoff })
            }
            None => Next::End(given_up, Rule::Backoff),
        };
    }

    fn granted(&mut self, at: u64, interval: Number, lifetime: Number) {
        let broken = Next::End(End::Protocol, Rule::Interval);
        // In seconds. Ten minutes are assumed where nothing is said; a day is the most.
        let lifetime = match read(lifetime) {
            Reading::None => 600,
            Reading::Nonsense => return self.next = broken,
            Reading::Negative => 0,
            Reading::Seconds { floor, .. } => floor.min(86_400),
        };
        let interval = match read(interval) {
            Reading::None => 0,
            Reading::Nonsense | Reading::Negative => return self.next = broken,
            Reading::Seconds { ceil, .. } => ceil,
        };
        if lifetime > 0 && interval >= lifetime {
            return self.next = broken;
        }
        let interval = if interval == 0 { 5 } else { interval }.saturating_mul(SECOND);
        let law = Law { interval, deadline: at.saturating_add(lifetime * SECOND), failures: 0, slow_downs: 0 };
        self.code = Some(Code { law, granted: at, first_interval: interval, polls: 0, pages: 0 });
        self.wait(at, None, Rule::WaitFirst);
        if let Next::Ask(_, window) = self.next {
            self.next = Next::Show(window);
        }
    }

    fn token_answered(&mut self, at: u64, turn: &Turn) {
        let Some(mut code) = self.code else {
            return self.next = Next::End(End::Protocol, Rule::Interval);
        };
        let end = match meaning(turn) {
            Meaning::Error("authorization_pending", _) => {
                code.law.pending();
                code.pages = 0;
                self.code = Some(code);
                return self.wait(at, turn.retry_after, Rule::CountFromTheAnswer);
            }
            Meaning::Error("slow_down", hint) => {
                let hint = match read(hint) {
                    Reading::Seconds { ceil, .. } => ceil,
                    Reading::None | Reading::Negative | Reading::Nonsense => 0,
                };
                code.law.slow_down(hint);
                code.pages = 0;
                self.code = Some(code);
                let rule = if code.law.slow_downs > 1 { Rule::Drift } else { Rule::SlowDown };
                return self.wait(at, turn.retry_after, rule);
            }
            Meaning::Fault(_) | Meaning::Unavailable => {
                code.pages = 0;
                return self.setback(at, turn, code);
            }
            Meaning::Page | Meaning::Nothing => {
                code.pages += 1;
                let tolerated = if matches!(meaning(turn), Meaning::Page) { 3 } else { 1 };
                if code.pages <= tolerated {
                    return self.setback(at, turn, code);
                }
                End::Protocol
            }
            Meaning::Untrusted => {
                let end = End::Transport(TransportErrorKind::UntrustedCertificate);
                return self.next = Next::End(end, Rule::Untrusted);
            }
            Meaning::Token => End::Token,
            Meaning::Error("access_denied" | "authorization_declined", _) => End::Denied,
            Meaning::Error("expired_token" | "code_expired", _) => End::Expired,
            // What servers say of a code that they have forgotten.
            Meaning::Error("invalid_grant", _) if at >= code.law.deadline => End::Expired,
            Meaning::Error(error, _) => End::Rejected(error.to_owned()),
            Meaning::Code { .. } | Meaning::Broken => End::Protocol,
        };
        self.next = Next::End(end, Rule::Meaning);
    }

    fn setback(&mut self, at: u64, turn: &Turn, mut code: Code) {
        code.law.failures = code.law.failures.saturating_add(1);
        self.code = Some(code);
        self.wait(at, turn.retry_after, Rule::Backoff);
    }

    /// The next poll, counted from this moment.
    fn wait(&mut self, at: u64, retry_after: Option<u64>, rule: Rule) {
        let Some(Code { law, .. }) = self.code else { return };
        let asked = law.next(at, retry_after.unwrap_or(0).saturating_mul(SECOND));
        let rule = if asked == law.next(at, 0) { rule } else { Rule::RetryAfter };
        self.next = match asked {
            law::Next::Expired => Next::End(End::Expired, Rule::Deadline),
            law::Next::Poll { earliest, latest } => Next::Ask(Endpoint::Token, Window { earliest, latest, rule }),
        };
    }

    fn restarted(&mut self, now: u64, passed: u64, claimed: u64) {
        let (stored, claimed) = (now - passed, claimed.min(passed));
        // The answer to a poll in flight is lost: one failure more.
        if self.next == Next::Answer(Endpoint::Token)
            && let Some(mut code) = self.code
        {
            self.in_flight = false;
            code.law.failures = code.law.failures.saturating_add(1);
            code.pages = 0;
            self.code = Some(code);
            self.wait(stored, None, Rule::Backoff);
        }
        let later = |moment: u64| now.saturating_add(moment.saturating_sub(stored).saturating_sub(claimed));
        let (Next::Ask(_, window) | Next::Show(window)) = self.next else { return };
        if let Some(code) = &mut self.code {
            code.law.deadline = later(code.law.deadline);
            self.promised = None;
            // Where the times end, a wait can reach the deadline.
            self.next = if now.max(later(window.earliest)) >= code.law.deadline {
                Next::End(End::Expired, Rule::Deadline)
            } else {
                Next::Show(Window { earliest: later(window.earliest), latest: later(window.latest), rule: window.rule })
            };
        }
    }
}

/// What an answer means, by the RFCs and the law, read from the script instead of from the bytes.
enum Meaning {
    Code { interval: Number, lifetime: Number },
    Token,
    Error(&'static str, Number),
    Unavailable,
    Page,
    Nothing,
    Broken,
    Untrusted,
    Fault(TransportErrorKind),
}

fn meaning(turn: &Turn) -> Meaning {
    let not_now = matches!(turn.status, Some(408 | 429 | 500..=599));
    let good = turn.status.is_none_or(|status| (200..300).contains(&status));
    // Exact matches only.
    let known = |code| !matches!(code, "weird" | "AUTHORIZATION_PENDING");
    match turn.reply {
        Reply::Fault(TransportErrorKind::UntrustedCertificate) => Meaning::Untrusted,
        Reply::Fault(kind) => Meaning::Fault(kind),
        Reply::Redirect if turn.status.is_none() => Meaning::Broken,
        Reply::Pending => Meaning::Error("authorization_pending", Number::Absent),
        Reply::SlowDown(hint) => Meaning::Error("slow_down", hint),
        Reply::Error(code) if !not_now || known(code) => Meaning::Error(code, Number::Absent),
        Reply::Unavailable(_) if turn.status.is_none() => Meaning::Unavailable,
        _ if not_now => Meaning::Unavailable,
        // With another status these are bodies without JSON.
        Reply::Page | Reply::Unavailable(_) | Reply::Redirect => Meaning::Page,
        _ if !good => Meaning::Broken,
        Reply::Code { interval, lifetime } => Meaning::Code { interval, lifetime },
        Reply::Token => Meaning::Token,
        Reply::Nothing => Meaning::Nothing,
        Reply::Metadata | Reply::Array | Reply::Trailing | Reply::Error(_) => Meaning::Broken,
    }
}

enum Reading {
    None,
    Seconds { floor: u64, ceil: u64 },
    Negative,
    Nonsense,
}

fn read(number: Number) -> Reading {
    match number {
        Number::Absent | Number::Null => Reading::None,
        Number::Whole(n) | Number::Quoted(n) => Reading::Seconds { floor: n, ceil: n },
        Number::AndAHalf(n) => Reading::Seconds { floor: n, ceil: n.saturating_add(1) },
        Number::Negative(0) => Reading::Seconds { floor: 0, ceil: 0 },
        Number::Negative(_) => Reading::Negative,
        Number::Huge => Reading::Seconds { floor: u64::MAX, ceil: u64::MAX },
        Number::Nonsense => Reading::Nonsense,
    }
}
