//! Owns time: tokio's monotonic clock on the process's timeline, and the sleep that never ends early.

use device_flow_adapter::timeline;
use device_flow_core::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// The time on which [`run`](crate::run) drives every machine of this process, whatever transport it has: for whatever else
/// needs a `now`, such as the snapshot of a flow. It is tokio's clock, so tests may pause it.
#[must_use]
pub fn now() -> Timestamp {
    timeline::rounded_down(Instant::now().into_std())
}

/// The time at which an answer arrived.
pub(crate) fn arrival() -> Timestamp {
    timeline::rounded_up(Instant::now().into_std())
}

/// Sleeps until then, or for a day when it is longer than that: a driver asks its machine again anyway.
pub(crate) async fn sleep_until(until: Timestamp) {
    tokio::time::sleep(timeline::rest(Instant::now().into_std(), until).min(A_DAY)).await;
}

/// Far below what an `Instant` can hold, so that no time from a server overflows it.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
