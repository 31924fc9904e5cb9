//! Owns the last look before a request is sent: whether this worker still has the sign-in for itself.

use crate::pulse;
use device_flow_core::{Request, TransportError, TransportErrorKind};
use device_flow_tokio::{Answer, Transport};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// Sends through a transport, but only what begins in time and while it is in time: when a process stood still, or the machine
/// slept, another worker may be asking by now.
pub(super) struct Guarded<'a, T> {
    transport: &'a T,
    since: Duration,
    ack_wait: Duration,
    stale: AtomicBool,
}

impl<'a, T: Transport> Guarded<'a, T> {
    /// Nobody else has the sign-in from `since`, by the pulse, for `ack_wait`.
    pub(super) fn new(transport: &'a T, since: Duration, ack_wait: Duration) -> Self {
        Self { transport, since, ack_wait, stale: AtomicBool::new(false) }
    }

    /// Whether something was not sent, or given up, for that reason.
    pub(super) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    fn held(&self) -> Duration {
        pulse::now().saturating_sub(self.since)
    }

    fn too_late(&self) -> TransportError {
        self.stale.store(true, Ordering::Relaxed);
        TransportError::new(TransportErrorKind::Abandoned)
    }
}

impl<T: Transport> Transport for Guarded<'_, T> {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        // Half of the time is for the request itself.
        let limit = self.ack_wait / 2;
        if self.held() > limit {
            return Err(self.too_late());
        }
        let (mut answer, mut timer) = (pin!(self.transport.send(request)), pin!(sleep(limit)));
        poll_fn(|cx| {
            // Before anything else, since this may be the first moment after a long stop.
            if self.held() > self.ack_wait {
                return Poll::Ready(Err(self.too_late()));
            }
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            let timeout = || TransportError::new(TransportErrorKind::Timeout).with_detail("the time limit has passed");
            timer.as_mut().poll(cx).map(|()| Err(timeout()))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic to report")]

    use super::*;
    use device_flow_core::{Action, Client, DeviceFlow, Machine as _, Provider, Timestamp};
    use std::sync::atomic::AtomicUsize;

    /// Counts what it is asked to send, and answers nothing.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Transport for Counting {
        async fn send(&self, _: Request) -> Result<Answer, TransportError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(TransportError::new(TransportErrorKind::Connect))
        }
    }

    fn request() -> Request {
        let client = Client::builder(Provider::github(), "id").build().unwrap();
        let mut flow = DeviceFlow::new(client, [7; 32]);
        let Action::SendRequest(outgoing) = flow.next_action(Timestamp::ZERO) else { panic!("a request") };
        outgoing.request
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn what_was_held_for_half_of_the_time_is_not_sent() {
        let counting = Counting::default();
        // As after a stop: the pulse has gone on.
        for (ack_wait, sent, stale) in [(HOUR, 1, false), (Duration::ZERO, 1, true)] {
            let guarded = Guarded::new(&counting, pulse::now().saturating_sub(Duration::from_secs(1)), ack_wait);
            let kind = guarded.send(request()).await.unwrap_err().kind();
            let expected = if stale { TransportErrorKind::Abandoned } else { TransportErrorKind::Connect };
            assert_eq!((counting.0.load(Ordering::Relaxed), guarded.is_stale(), kind), (sent, stale, expected));
        }
        // A message that nobody asked for may be of any age: as old as the machine.
        let guarded = Guarded::new(&counting, Duration::ZERO, pulse::now() / 2);
        guarded.send(request()).await.unwrap_err();
        assert!(guarded.is_stale());
    }

    /// Becomes pending once; before it is asked again, the time of the sign-in is over.
    struct Standing<'a>(&'a AtomicUsize);

    impl Transport for Standing<'_> {
        async fn send(&self, _: Request) -> Result<Answer, TransportError> {
            std::thread::sleep(Duration::from_millis(30));
            tokio::task::yield_now().await;
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(TransportError::new(TransportErrorKind::Connect))
        }
    }

    #[tokio::test]
    async fn a_request_does_not_go_on_after_a_stop() {
        let went_on = AtomicUsize::new(0);
        let standing = Standing(&went_on);
        let guarded = Guarded::new(&standing, pulse::now(), Duration::from_millis(29));
        assert_eq!(guarded.send(request()).await.unwrap_err().kind(), TransportErrorKind::Abandoned);
        assert_eq!((went_on.load(Ordering::Relaxed), guarded.is_stale()), (0, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_has_half_of_the_time() {
        struct Silent;
        impl Transport for Silent {
            async fn send(&self, _: Request) -> Result<Answer, TransportError> {
                std::future::pending().await
            }
        }
        let (guarded, start) = (Guarded::new(&Silent, pulse::now(), HOUR), tokio::time::Instant::now());
        assert_eq!(guarded.send(request()).await.unwrap_err().kind(), TransportErrorKind::Timeout);
        assert_eq!((start.elapsed().as_secs(), guarded.is_stale()), (1_800, false));
    }
}
