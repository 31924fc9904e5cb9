//! Owns time: the system's monotonic clock on the process's timeline, the sleep that never ends early, and what interrupts it.

use device_flow_adapter::timeline;
use device_flow_core::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

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

/// Sleeps until then, in slices, and tells whether it got there: `false` when it was cancelled.
pub(crate) fn sleep_until(until: Timestamp, cancel: &Cancel) -> bool {
    loop {
        if cancel.is_cancelled() {
            return false;
        }
        let rest = timeline::rest(Instant::now(), until);
        if rest.is_zero() {
            return true;
        }
        thread::sleep(rest.min(SLICE));
    }
}

/// How long a cancellation may go unnoticed. Nothing that could wake a thread is allowed in a signal handler.
const SLICE: Duration = Duration::from_millis(50);

/// Ends a wait of [`run`](crate::run) from elsewhere: another thread, or a signal handler, where
/// [`cancel`](Cancel::cancel) is allowed because all it does is to set a flag.
///
/// Clones share the flag. It stays set: take a new one to run again.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the wait within 100 ms.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Cancel::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl From<Arc<AtomicBool>> for Cancel {
    /// Shares a flag that something else sets to `true`, as `signal_hook::flag::register` does.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}
