//! Owns one sign-in: its life from the code to the token, the polling law, its last polls, and trouble made on purpose.

use std::collections::VecDeque;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use sha2::{Digest as _, Sha256};

use super::answer::Refusal;
use super::random::same_secret;

#[cfg(test)]
mod tests;

/// RFC 8628 §3.5: what each `slow_down` adds to the interval, for good.
pub(super) const SLOW_DOWN: Duration = Duration::from_secs(5);
/// What [`Trouble::RetryAfter`] asks for, in seconds.
pub(super) const RETRY_AFTER: u64 = 10;
/// How many polls an outage lasts: enough to see a back-off grow.
pub(super) const OUTAGE: u32 = 3;
/// How many polls of one sign-in are kept.
const MOST_POLLS: usize = 100;

/// What a client asks for: the request of RFC 8628 §3.1.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) client_id: String,
    /// Scope tokens, separated by spaces; may be empty.
    pub(super) scope: String,
    /// The S256 challenge of RFC 7636, when the client sent one.
    pub(super) code_challenge: Option<String>,
}

/// What a person said on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Approve,
    Deny,
}

/// A sign-in that a client has begun. All times are since the server started.
pub(super) struct Grant {
    pub(super) number: u64,
    pub(super) ask: Ask,
    pub(super) user_code: String,
    pub(super) issued: Duration,
    pub(super) expires: Duration,
    /// At first, and now.
    pub(super) first_interval: Duration,
    pub(super) interval: Duration,
    phase: Phase,
    polls: VecDeque<Poll>,
    counted: Counted,
    /// What comes next, and for how many polls.
    trouble: Option<(Trouble, u32)>,
    /// What a `Retry-After` demands of the next gap.
    hold: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Approved,
    Denied,
    Redeemed,
}

/// How a sign-in stands, as a watcher sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Waiting,
    /// The client has not asked since.
    Approved,
    SignedIn,
    Denied,
    Expired,
}

/// One question of the client, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Poll {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) at: Duration,
    /// Since the answer before, or since the code was issued. Answers take no time here.
    pub(super) waited: Duration,
    /// What the law wanted it to wait.
    pub(super) due: Duration,
    pub(super) answer: Result<(), Refusal>,
}

/// All polls there ever were, also those that are no longer kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) polls: u64,
    pub(super) lawful: u64,
}

/// What the server can be told to do wrong at the next polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    SlowDown,
    Unavailable,
    HangUp,
    RetryAfter,
}

impl Grant {
    pub(super) fn new(
        number: u64,
        ask: Ask,
        user_code: String,
        now: Duration,
        (interval, life): (Duration, Duration),
    ) -> Self {
        Self {
            number,
            ask,
            user_code,
            issued: now,
            expires: now.saturating_add(life),
            first_interval: interval,
            interval,
            phase: Phase::Waiting,
            polls: VecDeque::new(),
            counted: Counted::default(),
            trouble: None,
            hold: Duration::ZERO,
        }
    }

    /// One poll (RFC 8628 §3.4, §3.5). `Ok` once, when it redeems the code.
    pub(super) fn poll(&mut self, verifier: Option<&str>, now: Duration) -> Result<(), Refusal> {
        let waited = now.saturating_sub(self.last_heard());
        let due = self.due();
        let answer = self.answer(waited, verifier, now);
        self.hold = match answer {
            Err(Refusal::RetryLater(seconds)) => Duration::from_secs(seconds),
            Ok(()) | Err(_) => Duration::ZERO,
        };
        self.counted.polls += 1;
        self.counted.lawful += u64::from(waited >= due);
        if self.polls.len() >= MOST_POLLS {
            self.polls.pop_front();
        }
        self.polls.push_back(Poll { number: self.counted.polls, at: now, waited, due, answer });
        answer
    }

    fn answer(&mut self, waited: Duration, verifier: Option<&str>, now: Duration) -> Result<(), Refusal> {
        // A server that is down looks at nothing.
        let trouble = self.next_trouble();
        match trouble {
            Some(Trouble::Unavailable) => return Err(Refusal::Unavailable),
            Some(Trouble::HangUp) => return Err(Refusal::HungUp),
            Some(Trouble::RetryAfter) => return Err(Refusal::RetryLater(RETRY_AFTER)),
            Some(Trouble::SlowDown) | None => {}
        }
        if self.phase == Phase::Redeemed {
            return Err(Refusal::InvalidGrant("the device code was redeemed before"));
        }
        if now >= self.expires {
            return Err(Refusal::ExpiredToken);
        }
        if waited < self.interval || trouble == Some(Trouble::SlowDown) {
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

    fn next_trouble(&mut self) -> Option<Trouble> {
        let (trouble, times) = self.trouble?;
        self.trouble = times.checked_sub(1).filter(|left| *left > 0).map(|left| (trouble, left));
        Some(trouble)
    }

    /// Records what the person said; false when something else was said before. Saying the same twice is a double click.
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

    /// Trouble from the next poll on, instead of any that was to come.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        let times = match trouble {
            Trouble::SlowDown | Trouble::RetryAfter => 1,
            Trouble::Unavailable | Trouble::HangUp => OUTAGE,
        };
        self.trouble = Some((trouble, times));
    }

    /// Ends the code's life now, if it has not ended before.
    pub(super) fn expire(&mut self, now: Duration) {
        self.expires = self.expires.min(now);
    }

    pub(super) fn standing(&self, now: Duration) -> Standing {
        match self.phase {
            Phase::Redeemed => Standing::SignedIn,
            Phase::Denied => Standing::Denied,
            Phase::Waiting | Phase::Approved if now >= self.expires => Standing::Expired,
            Phase::Waiting => Standing::Waiting,
            Phase::Approved => Standing::Approved,
        }
    }

    pub(super) fn is_undecided(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// Whether the client has heard how it ends, or will not ask again.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        let heard = self.polls.back().is_some_and(|poll| {
            matches!(
                poll.answer,
                Ok(()) | Err(Refusal::AccessDenied | Refusal::ExpiredToken | Refusal::InvalidGrant(_))
            )
        });
        // A client counts the life of its code, too. One that a button ended early may ask once more.
        heard || now >= self.expires.saturating_add(self.due()).saturating_add(SLOW_DOWN)
    }

    /// The last polls, the oldest first.
    pub(super) fn polls(&self) -> impl DoubleEndedIterator<Item = &Poll> + ExactSizeIterator {
        self.polls.iter()
    }

    pub(super) fn counted(&self) -> Counted {
        self.counted
    }

    /// The trouble to come, and for how many polls.
    pub(super) fn trouble_ahead(&self) -> Option<(Trouble, u32)> {
        self.trouble
    }

    /// How long the next gap must be.
    pub(super) fn due(&self) -> Duration {
        self.interval.max(self.hold)
    }

    /// When the client was answered last.
    pub(super) fn last_heard(&self) -> Duration {
        self.polls.back().map_or(self.issued, |poll| poll.at)
    }
}

impl Poll {
    pub(super) fn is_lawful(&self) -> bool {
        self.waited >= self.due
    }
}

/// RFC 7636 §4.6; a verifier without a challenge is a downgrade (RFC 9700 §2.1.1).
fn proves_possession(challenge: Option<&str>, verifier: Option<&str>) -> bool {
    match (challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            same_secret(challenge, &Base64UrlUnpadded::encode_string(&Sha256::digest(verifier)))
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}
