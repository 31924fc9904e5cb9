//! Owns the one timeline of a process, on which every adapter tells its machines the time.
//!
//! A machine compares the times that it is given, so all of them must be counted from the same zero: a flow that one client began
//! and another continues would otherwise poll too early or too late.

use device_flow_core::Timestamp;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long ago the timeline began when it was first asked for. Not at once: a paused clock, as tokio's tests have it, stands still
/// at a moment before that, and must be on the timeline, too.
const HEAD_START: Duration = Duration::from_secs(60 * 60);

fn since_zero(moment: Instant) -> Duration {
    static ZERO: OnceLock<Instant> = OnceLock::new();
    let zero = ZERO.get_or_init(|| {
        let now = Instant::now();
        // There is no such moment where the computer was started less than an hour ago and its clock began at zero.
        now.checked_sub(HEAD_START).unwrap_or(now)
    });
    moment.saturating_duration_since(*zero)
}

/// A moment in whole milliseconds, rounded down: what is waited for is never reached early.
#[must_use]
pub fn rounded_down(moment: Instant) -> Timestamp {
    Timestamp::from_millis(u64::try_from(since_zero(moment).as_millis()).unwrap_or(u64::MAX))
}

/// A moment in whole milliseconds, rounded up: what is counted from the arrival of an answer never starts before it.
#[must_use]
pub fn rounded_up(moment: Instant) -> Timestamp {
    Timestamp::ZERO.saturating_add(since_zero(moment))
}

/// How long it is from a moment to `until`; zero when that has passed.
#[must_use]
pub fn rest(moment: Instant, until: Timestamp) -> Duration {
    Duration::from_millis(until.as_millis()).saturating_sub(since_zero(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_nanos(999_999);

    // Polling law, rules 2 and 14: rounding may lengthen a wait, and never shortens one.
    #[test]
    fn rule_02_a_wait_from_a_rounded_arrival_to_a_rounded_now_is_never_short() {
        let arrival = Instant::now();
        let wait = Duration::from_secs(5);
        let until = rounded_up(arrival).saturating_add(wait);
        for early in [Duration::from_nanos(1), MOST, wait] {
            let now = arrival + wait - early;
            assert!(rounded_down(now) < until, "{early:?}");
            assert!(!rest(now, until).is_zero(), "{early:?}");
        }
        assert!(rounded_down(arrival + wait + MOST + Duration::from_nanos(1)) >= until);
        assert_eq!(rest(arrival + wait + Duration::from_millis(1), until), Duration::ZERO);
    }

    #[test]
    fn a_moment_before_the_first_question_is_on_the_timeline() {
        let _ = rounded_up(Instant::now());
        // There is none where the computer was started just now, and counts from that.
        if let Some(before) = Instant::now().checked_sub(HEAD_START - Duration::from_secs(600)) {
            assert!(rounded_down(before) > Timestamp::ZERO);
        }
    }

    #[test]
    fn rule_14_moments_far_away_overflow_nothing() {
        let now = Instant::now();
        assert_eq!(rounded_up(now - HEAD_START * 2), Timestamp::ZERO);
        assert!(rest(now, Timestamp::MAX) > Duration::from_secs(u64::from(u32::MAX)));
    }
}
