//! Owns what the watch reports: the rules of the polling law by number, and a breach of one of them.

use std::error::Error;
use std::fmt;

/// The rules, by their number in the polling law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// 1: the first poll comes one interval after the code.
    WaitFirst,
    /// 2: a poll is due one interval after the previous answer.
    CountFromTheAnswer,
    /// 3: numbers as servers write them; five seconds without one.
    Interval,
    /// 4: `slow_down` adds five seconds for good; a hint can only raise that.
    SlowDown,
    /// 5: a failure doubles the wait up to a cap, and leaves the interval alone.
    Backoff,
    /// 6: `Retry-After` only lengthens the wait, and never costs the last poll.
    RetryAfter,
    /// 7: an untrusted certificate is final.
    Untrusted,
    /// 8: no request at or after the deadline, and no wait that ends there without one.
    Deadline,
    /// 9: one request in flight, none after the end.
    OneAtATime,
    /// 10: what each answer means.
    Meaning,
    /// 12: jitter only lengthens the wait, by a tenth of the interval at most.
    Jitter,
    /// 13: a margin after several `slow_down` in a row.
    Drift,
    /// 14: no panic, no early poll and no busy loop, whatever the numbers.
    Saturate,
    /// 15: a challenge is answered once, at once, and counts as no poll.
    Challenge,
    /// What the contract of the core's `Machine` promises beyond the law: the code is shown first, waits end in the
    /// future and are repeated unchanged, and there are no more polls than intervals in the lifetime of the code.
    Contract,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, text) = match self {
            Self::WaitFirst => ("1", "wait first"),
            Self::CountFromTheAnswer => ("2", "count from the answer"),
            Self::Interval => ("3", "the default interval and odd numbers"),
            Self::SlowDown => ("4", "slow_down adds five seconds for good"),
            Self::Backoff => ("5", "back off from failures, and recover"),
            Self::RetryAfter => ("6", "Retry-After only lengthens"),
            Self::Untrusted => ("7", "an untrusted certificate is final"),
            Self::Deadline => ("8", "the local deadline is hard"),
            Self::OneAtATime => ("9", "one request in flight, none after the end"),
            Self::Meaning => ("10", "what answers mean"),
            Self::Jitter => ("12", "jitter only lengthens, by little"),
            Self::Drift => ("13", "a margin for clocks that run fast"),
            Self::Saturate => ("14", "everything saturates"),
            Self::Challenge => ("15", "a challenge is answered once, at once"),
            Self::Contract => return f.write_str("the contract of the machine"),
        };
        write!(f, "rule {number} ({text})")
    }
}

/// A rule that was broken. `Display` is one sentence: which rule, when, and what was due.
///
/// ```
/// use device_flow_testkit::watch::{Breach, Rule};
///
/// let what = "the request to the token endpoint came 1 ms early: it was due from 5000 to 5500 ms".to_owned();
/// let breach = Breach { rule: Rule::WaitFirst, at: 4_999, what };
/// assert_eq!(
///     breach.to_string(),
///     "rule 1 (wait first) was broken at 4999 ms: \
///      the request to the token endpoint came 1 ms early: it was due from 5000 to 5500 ms"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which rule.
    pub rule: Rule,
    /// When, in milliseconds on the observer's clock.
    pub at: u64,
    /// What happened, and what was due in its place.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was broken at {} ms: {}", self.rule, self.at, self.what)
    }
}

impl Error for Breach {}
