//! Owns one sign-in: its states from code to token, the polling law, its last polls, and faults on purpose.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use sha2::{Digest as _, Sha256};

use super::answer::Refusal;
use super::judge::Conduct;
use super::options::{Decision, Fault};
use super::random::same_secret;

#[cfg(test)]
mod tests;

/// RFC 8628 §3.5: what each `slow_down` adds to the interval, for good.
pub(super) const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The seconds in [`Fault::RetryAfter`].
pub(super) const RETRY_AFTER: u64 = 10;
/// For how many polls an outage lasts: enough to see the back-off grow.
pub(super) const OUTAGE: u32 = 3;
/// How many polls of a sign-in are stored.
const MOST_POLLS: usize = 100;
/// How much sooner a poll may come than it is due: a twentieth of the time, at most half a second, since a clock and a
/// network are never exact. Without it, half of the polls of a client that keeps to the interval would be too soon.
const TOLERANCE: (u32, Duration) = (20, Duration::from_millis(500));
/// How long a client is silent at least before it counts as gone, and how many failures in a row make that longer.
const GONE_AFTER: Duration = Duration::from_secs(15);
const MOST_BACK_OFF: usize = 6;
/// The poll of a sign-in at which the fault of [`Plan`] begins, and the one after which its decision is made.
const FAULT_AT: u64 = 2;
const DECIDED_AFTER: u64 = 4;

/// The device authorization request (RFC 8628 §3.1).
#[derive(Debug, Clone)]
pub(super) struct AuthorizationRequest {
    pub(super) client_id: String,
    /// Scope tokens, separated by spaces; may be empty.
    pub(super) scope: String,
    /// The S256 challenge of RFC 7636, if the client sent one.
    pub(super) code_challenge: Option<String>,
    /// From where it came.
    pub(super) peer: IpAddr,
}

/// What happens in each sign-in without a person.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan {
    pub(super) decision: Option<Decision>,
    pub(super) fault: Option<Fault>,
}

/// A sign-in. All times are since the server started.
pub(super) struct Grant {
    pub(super) number: u64,
    pub(super) ask: AuthorizationRequest,
    pub(super) user_code: String,
    pub(super) issued: Duration,
    pub(super) expires: Duration,
    /// When the code expires by the `expires_in` that the client was told.
    pub(super) told_to_expire: Duration,
    pub(super) first_interval: Duration,
    pub(super) interval: Duration,
    pub(super) conduct: Conduct,
    /// There is a verdict on it.
    pub(super) is_judged: bool,
    plan: Plan,
    phase: Phase,
    polls: VecDeque<Poll>,
    counts: PollCounts,
    /// The fault of the next polls, and of how many.
    fault: Option<(Fault, u32)>,
    /// How long a `Retry-After` makes the next gap.
    retry_after: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Approved,
    Denied,
    Redeemed,
}

/// The state of a sign-in, as the pages show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Waiting,
    /// The client has not polled since.
    Approved,
    SignedIn,
    Denied,
    Expired,
}

/// One poll, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Poll {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) at: Duration,
    /// The time since the poll before, or since the code was issued.
    pub(super) waited: Duration,
    /// The time that it had to wait.
    pub(super) due: Duration,
    pub(super) answer: Result<(), Refusal>,
    /// How long the answer was kept back.
    pub(super) held: Duration,
}

/// The number of all polls, also of those that are no longer stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PollCounts {
    pub(super) polls: u64,
    pub(super) lawful: u64,
}

impl Grant {
    pub(super) fn new(
        number: u64,
        ask: AuthorizationRequest,
        user_code: String,
        now: Duration,
        (interval, life): (Duration, Duration),
        plan: Plan,
    ) -> Self {
        Self {
            number,
            ask,
            user_code,
            issued: now,
            expires: now.saturating_add(life),
            told_to_expire: now.saturating_add(life),
            first_interval: interval,
            interval,
            conduct: Conduct::default(),
            is_judged: false,
            plan,
            phase: Phase::Waiting,
            polls: VecDeque::new(),
            counts: PollCounts::default(),
            fault: None,
            retry_after: Duration::ZERO,
        }
    }

    /// One poll (RFC 8628 §3.4, §3.5). `Ok` once, when it redeems the code.
    pub(super) fn poll(&mut self, verifier: Option<&str>, now: Duration) -> Result<(), Refusal> {
        let number = self.counts.polls + 1;
        if number == FAULT_AT
            && let Some(fault) = self.plan.fault
        {
            self.add_fault(fault);
        }
        let waited = now.saturating_sub(self.last_answer());
        let due = self.due();
        let overlaps = now < self.last_answer();
        let fault = self.next_fault();
        let answer = self.answer(fault, waited, verifier, now);
        let held = if fault == Some(Fault::LateAnswer) { late(due) } else { Duration::ZERO };
        self.retry_after = match answer {
            Err(Refusal::RetryLater(seconds)) => Duration::from_secs(seconds),
            Ok(()) | Err(_) => Duration::ZERO,
        };
        let poll = Poll { number, at: now, waited, due, answer, held };
        self.counts.polls = number;
        self.counts.lawful += u64::from(poll.is_lawful());
        self.conduct.poll(self.polls.back(), &poll, overlaps, (self.first_interval, self.told_to_expire));
        if self.polls.len() >= MOST_POLLS {
            self.polls.pop_front();
        }
        self.polls.push_back(poll);
        if number == DECIDED_AFTER
            && let Some(decision) = self.plan.decision
        {
            // False: a person was faster.
            let _ = self.decide(decision);
        }
        answer
    }

    /// A decision goes before `slow_down`: it ends the polling, which is all that the server can want.
    fn answer(
        &mut self,
        fault: Option<Fault>,
        waited: Duration,
        verifier: Option<&str>,
        now: Duration,
    ) -> Result<(), Refusal> {
        // A server that is down checks nothing.
        match fault {
            Some(Fault::Unavailable) => return Err(Refusal::Unavailable),
            Some(Fault::HangUp) => return Err(Refusal::HungUp),
            Some(Fault::RetryAfter) => return Err(Refusal::RetryLater(RETRY_AFTER)),
            Some(Fault::SlowDown | Fault::LateAnswer) | None => {}
        }
        if self.phase == Phase::Redeemed {
            return Err(Refusal::InvalidGrant("the device code was already redeemed"));
        }
        if now >= self.expires {
            return Err(Refusal::ExpiredToken);
        }
        let is_too_soon = self.phase == Phase::Waiting && waited < earliest(self.interval);
        if is_too_soon || fault == Some(Fault::SlowDown) {
            self.interval = self.interval.saturating_add(SLOW_DOWN);
            return Err(Refusal::SlowDown);
        }
        if !proves_possession(self.ask.code_challenge.as_deref(), verifier) {
            return Err(Refusal::InvalidGrant("the code verifier does not match"));
        }
        match self.phase {
            Phase::Waiting => Err(Refusal::AuthorizationPending),
            Phase::Denied => Err(Refusal::AccessDenied),
            Phase::Approved | Phase::Redeemed => {
                self.phase = Phase::Redeemed;
                Ok(())
            }
        }
    }

    fn next_fault(&mut self) -> Option<Fault> {
        let (fault, times) = self.fault?;
        self.fault = times.checked_sub(1).filter(|left| *left > 0).map(|left| (fault, left));
        Some(fault)
    }

    /// Records a decision. Returns false if another one was made before; the same one twice is a double click.
    pub(super) fn decide(&mut self, decision: Decision) -> bool {
        let decided = match (self.phase, decision) {
            (Phase::Waiting, Decision::Approve) => Phase::Approved,
            (Phase::Waiting, Decision::Deny) => Phase::Denied,
            (Phase::Approved | Phase::Redeemed, Decision::Approve) | (Phase::Denied, Decision::Deny) => self.phase,
            (Phase::Approved | Phase::Redeemed, Decision::Deny) | (Phase::Denied, Decision::Approve) => return false,
        };
        self.phase = decided;
        true
    }

    /// A fault from the next poll on, in place of any other.
    pub(super) fn add_fault(&mut self, fault: Fault) {
        let times = match fault {
            Fault::SlowDown | Fault::RetryAfter | Fault::LateAnswer => 1,
            Fault::Unavailable | Fault::HangUp => OUTAGE,
        };
        self.fault = Some((fault, times));
    }

    /// Lets the code expire now, unless it has already.
    pub(super) fn expire(&mut self, now: Duration) {
        self.expires = self.expires.min(now);
    }

    pub(super) fn status(&self, now: Duration) -> Status {
        match self.phase {
            Phase::Redeemed => Status::SignedIn,
            Phase::Denied => Status::Denied,
            Phase::Waiting | Phase::Approved if now >= self.expires => Status::Expired,
            Phase::Waiting => Status::Waiting,
            Phase::Approved => Status::Approved,
        }
    }

    pub(super) fn is_undecided(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// Whether the client knows how it ended, or will not poll again.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        // A client also keeps its own deadline. If a button expired the code early, it may poll once more.
        self.knows_its_end() || now >= self.expires.saturating_add(self.due()).saturating_add(SLOW_DOWN)
    }

    /// How long the client has been silent, if so long that it is likely to be gone: it may add to an interval, and
    /// after failures in a row back off further.
    pub(super) fn gone_for(&self, now: Duration) -> Option<Duration> {
        let failures = self.polls.iter().rev().take_while(|poll| poll.has_failed()).take(MOST_BACK_OFF).count();
        let patience = self.due().saturating_mul(2 << failures).max(GONE_AFTER);
        let silent = now.saturating_sub(self.last_answer());
        (silent >= patience && !self.knows_its_end()).then_some(silent)
    }

    /// Whether a poll got the answer that ends it.
    pub(super) fn knows_its_end(&self) -> bool {
        self.polls.back().is_some_and(Poll::is_final)
    }

    /// The last polls, the oldest first.
    pub(super) fn polls(&self) -> impl DoubleEndedIterator<Item = &Poll> + ExactSizeIterator {
        self.polls.iter()
    }

    pub(super) fn counts(&self) -> PollCounts {
        self.counts
    }

    /// The fault of the next polls, and of how many.
    pub(super) fn pending_fault(&self) -> Option<(Fault, u32)> {
        self.fault
    }

    /// How long the next gap must be.
    pub(super) fn due(&self) -> Duration {
        self.interval.max(self.retry_after)
    }

    /// When the client got its last answer.
    pub(super) fn last_answer(&self) -> Duration {
        self.polls.back().map_or(self.issued, |poll| poll.at.saturating_add(poll.held))
    }
}

impl Poll {
    pub(super) fn is_lawful(&self) -> bool {
        self.waited >= earliest(self.due)
    }

    /// Whether its answer ends the sign-in.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.answer, Ok(()) | Err(Refusal::AccessDenied | Refusal::ExpiredToken | Refusal::InvalidGrant(_)))
    }

    /// Whether its answer was none of the grant's: the server was down, or had too much to do.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.answer, Err(Refusal::Unavailable | Refusal::HungUp | Refusal::RetryLater(_)))
    }

    /// Whether this one, after a poll that failed, came so much later that the client has reduced its frequency, and
    /// not only added some jitter.
    pub(super) fn backs_off_after(&self, failed: &Self) -> bool {
        self.waited > failed.due.saturating_add(failed.due / 4)
    }
}

/// How long after an answer a poll is in time, if it must wait for so long.
pub(super) fn earliest(due: Duration) -> Duration {
    due.saturating_sub(tolerance(due))
}

/// How inexact a client may be with such a time.
pub(super) fn tolerance(time: Duration) -> Duration {
    (time / TOLERANCE.0).min(TOLERANCE.1)
}

/// How long a late answer is kept back: a client that counts from its request, and not from the answer, shows it.
fn late(due: Duration) -> Duration {
    due.saturating_add(Duration::from_secs(1))
}

/// RFC 7636 §4.6. A verifier without a challenge is refused as a downgrade (RFC 9700 §2.1.1).
fn proves_possession(challenge: Option<&str>, verifier: Option<&str>) -> bool {
    match (challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            same_secret(challenge, &Base64UrlUnpadded::encode_string(&Sha256::digest(verifier)))
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}
