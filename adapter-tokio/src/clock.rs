//! Owns time: tokio's monotonic clock as a `Timestamp`, and the sleep that never ends early.

use device_flow_core::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// A timeline that starts when it is made. It is tokio's own clock, so that tests may pause it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The time in whole milliseconds, rounded down: what was waited for is never reached early.
    pub(crate) fn now(self) -> Timestamp {
        Timestamp::from_millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The time in whole milliseconds, rounded up: what is counted from an arrival never starts before it.
    pub(crate) fn arrival(self) -> Timestamp {
        Timestamp::ZERO.saturating_add(self.start.elapsed())
    }

    /// Sleeps until then, or for a day when it is longer than that: whoever waits asks again anyway.
    pub(crate) async fn sleep_until(self, until: Timestamp) {
        let rest = Duration::from_millis(until.as_millis()).saturating_sub(self.start.elapsed());
        tokio::time::sleep(rest.min(A_DAY)).await;
    }
}

/// Far below what an `Instant` can hold, so that no time from a server overflows it.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
