//! Owns when to poll: the only file of the flow that adds times. The numbered rules are those of docs/polling-law.md.

#[cfg(feature = "serde")]
use super::Away;
use crate::{Cause, Timestamp, WaitReason};
use core::time::Duration;

/// RFC 8628 §3.5: `slow_down` adds five seconds, for this and all later polls.
const SLOW_DOWN_STEP: u32 = 5;
/// A back-off never grows beyond this, or twice the interval if that is more.
const BACKOFF_CAP: u64 = 60_000;
/// How long before the deadline the last poll comes when a longer wait would lose it (rule 6).
const LAST_POLL: u64 = 1_000;

/// When to poll for one code. In few bytes: there may be a million of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    due: Timestamp,
    /// How long the code lives after `due`, in milliseconds; 0 when it has expired by then.
    left: u32,
    /// In seconds; it never falls.
    interval: u32,
    jitter: u64,
    why: Why,
    /// Each in a row.
    failures: u16,
    slow_downs: u8,
    pages: u8,
}

/// Why a flow waits: a [`WaitReason`] without the numbers that are in the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Interval,
    SlowDown,
    Backoff(Cause),
    RetryAfter,
}

impl Schedule {
    /// For a code that arrived now. The first poll comes one interval later (rule 1).
    pub(super) fn start(now: Timestamp, interval: u32, lifetime: u32, jitter: u64) -> Self {
        let mut schedule = Self {
            due: now,
            left: until(now, now.plus_millis(millis(lifetime))),
            interval,
            jitter,
            why: Why::Interval,
            failures: 0,
            slow_downs: 0,
            pages: 0,
        };
        schedule.pace(now, Duration::ZERO);
        schedule
    }

    pub(super) fn interval(&self) -> u32 {
        self.interval
    }

    /// When the code expires, while a poll is left.
    pub(super) fn deadline(&self) -> Timestamp {
        self.due.plus_millis(self.left.into())
    }

    /// No request at or after the deadline (rule 8).
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.deadline()
    }

    pub(super) fn has_poll_left(&self) -> bool {
        self.left > 0
    }

    pub(super) fn wait_before_poll(&self, now: Timestamp) -> Option<(Timestamp, WaitReason)> {
        let reason = || match self.why {
            Why::Interval => WaitReason::Interval,
            Why::SlowDown => WaitReason::SlowDown { interval: self.interval },
            Why::Backoff(cause) => WaitReason::Backoff { cause, attempt: self.failures.into() },
            Why::RetryAfter => WaitReason::RetryAfter,
        };
        (now < self.due).then(|| (self.due, reason()))
    }

    /// A real answer: the back-off ends, the interval stays (rule 5).
    pub(super) fn pending(&mut self, now: Timestamp, retry_after: Duration) {
        (self.failures, self.pages, self.slow_downs) = (0, 0, 0);
        self.pace(now, retry_after);
    }

    /// Five seconds more for good, or what the server names if that is more (rule 4).
    pub(super) fn slow_down(&mut self, now: Timestamp, hint: u32, retry_after: Duration) {
        (self.failures, self.pages) = (0, 0);
        self.slow_downs = self.slow_downs.saturating_add(1);
        self.interval = self.interval.saturating_add(SLOW_DOWN_STEP).max(hint);
        self.pace(now, retry_after);
    }

    /// No usable answer: a longer wait, on top of the interval (rule 5).
    pub(super) fn setback(&mut self, now: Timestamp, cause: Cause, retry_after: Duration) {
        self.failures = self.failures.saturating_add(1);
        if !matches!(cause, Cause::Page(_)) {
            self.pages = 0;
        }
        self.pace(now, retry_after);
        if self.why != Why::RetryAfter {
            self.why = Why::Backoff(cause);
        }
    }

    /// Counts a page that came instead of JSON. Returns `false` when it was one too many.
    pub(super) fn tolerates_page(&mut self, tolerated: u8) -> bool {
        self.pages = self.pages.saturating_add(1);
        self.pages <= tolerated
    }

    /// Three in a row although every wait was kept (rule 13).
    pub(super) fn drift_suspected(&self) -> bool {
        self.slow_downs >= 3
    }

    /// Sets when the next poll is due, counted from the arrival of the answer (rule 2). All in milliseconds.
    fn pace(&mut self, now: Timestamp, retry_after: Duration) {
        let (interval, deadline) = (millis(self.interval), self.deadline());
        // Rule 13: a clock that runs fast never satisfies a server that grows its own interval with every slow_down.
        let margin = match self.slow_downs {
            0 | 1 => 0,
            2 => interval.saturating_mul(2) / 10,
            _ => interval.saturating_mul(4) / 10,
        };
        let mut wait = interval.saturating_add(margin);
        // Without a failure this would change nothing but cost some instructions in every poll.
        if self.failures != 0 {
            let doubled = interval.saturating_mul(1_u64.checked_shl(self.failures.into()).unwrap_or(u64::MAX));
            wait = wait.max(doubled.min(BACKOFF_CAP.max(interval.saturating_mul(2))));
        }
        self.why = if self.slow_downs > 0 { Why::SlowDown } else { Why::Interval };
        // Rule 6: `Retry-After` only lengthens.
        if !retry_after.is_zero() {
            let asked = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
            if asked > wait {
                (wait, self.why) = (asked, Why::RetryAfter);
            }
        }
        // Rule 12: up to a tenth of the interval more, so that many devices spread.
        let wanted = now.plus_millis(wait.saturating_add(self.next_jitter(interval / 10)));
        // Rule 6: nothing but the interval itself may cost the last legal poll.
        self.due = wanted.min(deadline.minus_millis(LAST_POLL)).max(now.plus_millis(interval));
        self.left = until(self.due, deadline);
    }

    /// A number from 0 to `most` by SplitMix64: one addition and two multiplications, and a different series for every
    /// seed.
    fn next_jitter(&mut self, most: u64) -> u64 {
        self.jitter = self.jitter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.jitter;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        mixed.checked_rem(most.saturating_add(1)).unwrap_or(0)
    }

    #[cfg(feature = "serde")]
    pub(super) fn to_stored(self, now: Timestamp, deadline: Timestamp) -> StoredSchedule {
        StoredSchedule {
            expires_in_ms: deadline.as_millis().saturating_sub(now.as_millis()),
            poll_in_ms: self.due.as_millis().saturating_sub(now.as_millis()),
            interval: self.interval,
            jitter: self.jitter,
            failures_in_row: self.failures,
            slow_downs_in_row: self.slow_downs,
            pages_in_row: self.pages,
        }
    }

    /// Unsure of the time away, it polls later and expires sooner.
    #[cfg(feature = "serde")]
    pub(super) fn from_stored(stored: &StoredSchedule, away: Away, now: Timestamp) -> Self {
        let due = now.saturating_add(Duration::from_millis(stored.poll_in_ms).saturating_sub(away.at_least()));
        // A fraction of a millisecond that is left is none.
        let left = Duration::from_millis(stored.expires_in_ms).saturating_sub(away.at_most()).as_millis();
        let deadline = now.plus_millis(u64::try_from(left).unwrap_or(u64::MAX));
        Self {
            due,
            left: until(due, deadline),
            interval: stored.interval,
            jitter: stored.jitter,
            why: Why::Interval,
            failures: stored.failures_in_row,
            slow_downs: stored.slow_downs_in_row,
            pages: stored.pages_in_row,
        }
    }
}

/// A schedule as data: what is left of each time.
#[cfg(feature = "serde")]
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredSchedule {
    pub(super) expires_in_ms: u64,
    pub(super) poll_in_ms: u64,
    pub(super) interval: u32,
    pub(super) jitter: u64,
    pub(super) failures_in_row: u16,
    pub(super) slow_downs_in_row: u8,
    pub(super) pages_in_row: u8,
}

/// From `due` to `deadline` in milliseconds; 0 when that is earlier. No code lives for more than a day.
fn until(due: Timestamp, deadline: Timestamp) -> u32 {
    u32::try_from(deadline.as_millis().saturating_sub(due.as_millis())).unwrap_or(u32::MAX)
}

fn millis(seconds: u32) -> u64 {
    u64::from(seconds).saturating_mul(1000)
}
