//! Owns time: the system's monotonic clock as a `Timestamp`, the sleep that never ends early, and what interrupts it.

use device_flow_core::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A timeline that starts when it is made.
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

    /// Sleeps until then, in slices, and tells whether it got there: `false` when it was cancelled.
    pub(crate) fn sleep_until(self, until: Timestamp, cancel: &Cancel) -> bool {
        loop {
            if cancel.is_cancelled() {
                return false;
            }
            let rest = Duration::from_millis(until.as_millis()).saturating_sub(self.start.elapsed());
            if rest.is_zero() {
                return true;
            }
            thread::sleep(rest.min(SLICE));
        }
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
