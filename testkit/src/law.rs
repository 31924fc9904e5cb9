//! Owns when the next poll may and must come, written from the polling law (RFC 8628 §3.5) and not from the core: the judge of the
//! watch and of the fuzz targets.

/// What a code allows. Times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// The least time from an answer to the next poll.
    pub interval: u64,
    /// No poll at or after it.
    pub deadline: u64,
    /// Unanswered or unusable polls in a row.
    pub failures: u32,
    /// In a row, each without a pending answer in between.
    pub slow_downs: u32,
}

/// What must come after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A poll, not earlier and not later.
    Poll {
        /// In milliseconds, like all times here.
        earliest: u64,
        /// The jitter is what lies between.
        latest: u64,
    },
    /// The end: no poll is left before the deadline.
    Expired,
}

impl Law {
    /// Rules 1, 2, 5, 6, 8, 12 and 13, from the arrival of an answer that asked for `retry_after`. In 128 bits, so that nothing can
    /// overflow here; what lies beyond 64 never comes.
    pub fn next(&self, answered: u64, retry_after: u64) -> Next {
        let [interval, deadline, answered] = [self.interval, self.deadline, answered].map(u128::from);
        let soonest = answered + interval;
        let end = u128::from(u64::MAX);
        if soonest >= deadline.min(end) {
            return Next::Expired;
        }
        let with_margin = interval * [10, 10, 12, 14][self.slow_downs.min(3) as usize] / 10;
        let doubled = if self.failures == 0 { 0 } else { interval << self.failures.min(64) };
        let backoff = doubled.min((2 * interval).max(60_000));
        let wait = with_margin.max(backoff).max(u128::from(retry_after));
        // Only the interval itself may cost the last poll, a second before the end.
        let cut = |moment: u128| moment.min(deadline.saturating_sub(1_000)).max(soonest);
        let [earliest, latest] =
            [cut(answered + wait), cut(answered + wait + interval / 10)].map(|moment| moment.min(end) as u64);
        Next::Poll { earliest, latest }
    }

    /// Rule 4: five seconds more for good, or what the server names if that is more.
    pub fn slow_down(&mut self, hint_seconds: u64) {
        self.slow_downs += 1;
        self.failures = 0;
        self.interval = (self.interval + 5_000).max(hint_seconds.min(u64::from(u32::MAX)) * 1_000);
    }

    /// A real answer ends the back-off and leaves the interval alone.
    pub fn pending(&mut self) {
        (self.failures, self.slow_downs) = (0, 0);
    }
}
