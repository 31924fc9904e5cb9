//! Owns time: tokio's monotonic clock on the process's timeline, and the sleep that never ends early.

use device_flow_adapter::timeline;
use device_flow_core::Timestamp;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{self, Instant};

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
///
/// tokio wakes its own driver, by two system calls, whenever a timer is set that is due before all others of the runtime. A second
/// timer, due a little later, keeps the time limit of the request that follows from being such a one.
pub(crate) async fn sleep_until(until: Timestamp) {
    let now = Instant::now();
    let end = now + timeline::rest(now.into_std(), until).min(A_DAY);
    let mut later = pin!(time::sleep_until(end + LATER));
    // A timer is set when it is first polled.
    poll_fn(|cx| Poll::Ready(later.as_mut().poll(cx).is_ready())).await;
    time::sleep_until(end).await;
}

/// What `work` comes to, or `None` when this time has passed.
///
/// Most requests are short, so the timer is first set to a little while, and to the whole limit only when that has passed: then it
/// is due before the wait that follows the request, for which tokio need not wake its driver either.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let now = Instant::now();
    let (soon, end) = (now + limit.min(SOON), now + limit.min(A_DAY));
    let (mut work, mut timer) = (pin!(work), pin!(time::sleep_until(soon)));
    poll_fn(|cx| {
        if let Poll::Ready(output) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= end {
                return Poll::Ready(None);
            }
            timer.as_mut().reset(end);
        }
        Poll::Pending
    })
    .await
}

/// Shorter than any wait between polls, and longer than [`LATER`].
const SOON: Duration = Duration::from_millis(300);

const LATER: Duration = Duration::from_millis(200);

/// Far below what an `Instant` can hold, so that no time from a server overflows it.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test(start_paused = true)]
    async fn a_time_limit_is_over_when_it_is_and_not_sooner() {
        for limit in [Duration::ZERO, SOON / 2, SOON, SOON * 2, Duration::from_secs(30)] {
            let start = Instant::now();
            assert_eq!(within(limit, pending::<()>()).await, None);
            // tokio's timers have milliseconds.
            assert!((limit..=limit + Duration::from_millis(2)).contains(&start.elapsed()), "{limit:?}");
            for part in [0, 1, 9] {
                let work = time::sleep(limit * part / 10);
                assert_eq!(within(limit + Duration::from_millis(5), work).await, Some(()), "{limit:?}, {part}");
            }
        }
        assert_eq!(within(Duration::MAX, async { 7 }).await, Some(7));
    }
}
