//! Owns time: the system's monotonic clock on the process's timeline, and the sleep that never ends early.

use crate::Cancel;
use device_flow_adapter::timeline;
use device_flow_core::Timestamp;
use std::time::Instant;

/// The time on which [`run`](crate::run) drives every machine of this process, whatever transport it has: for whatever else
/// needs a `now`, such as the snapshot of a flow.
#[must_use]
pub fn now() -> Timestamp {
    timeline::rounded_down(Instant::now())
}

/// The time at which an answer arrived.
pub(crate) fn arrival() -> Timestamp {
    timeline::rounded_up(Instant::now())
}

/// Sleeps until then, and tells whether it got there: `false` when it was cancelled.
pub(crate) fn sleep_until(until: Timestamp, cancel: &Cancel) -> bool {
    loop {
        if cancel.is_cancelled() {
            return false;
        }
        let rest = timeline::rest(Instant::now(), until);
        if rest.is_zero() {
            return true;
        }
        cancel.sleep(rest);
    }
}
