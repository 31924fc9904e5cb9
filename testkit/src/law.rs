//! Owns when the next poll may and must come, written from the polling law (RFC 8628 §3.5) and not from the core. The
//! watch and the fuzz targets judge by it.

/// The state of the law for one code. Times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// The shortest time from an answer to the next poll.
    pub interval: u64,
    /// No poll may be sent at or after this moment.
    pub deadline: u64,
    /// Polls in a row without a usable answer.
    pub failures: u32,
    /// Answers `slow_down` in a row, without `authorization_pending` in between.
    pub slow_downs: u32,
}

/// What must come after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A poll within these bounds, in milliseconds; between them is the jitter.
    Poll {
        /// Not earlier.
        earliest: u64,
        /// Not later.
        latest: u64,
    },
    /// The end: no poll is left before the deadline.
    Expired,
}

impl Law {
    /// Rules 1, 2, 5, 6, 8, 12 and 13, from the arrival of an answer with this `Retry-After`. It computes in 128 bits,
    /// so that nothing can overflow here; a moment beyond 64 bits never comes.
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
        // No other wait than the interval may cost the last poll, a second before the deadline.
        let cut = |moment: u128| moment.min(deadline.saturating_sub(1_000)).max(soonest);
        let [earliest, latest] =
            [cut(answered + wait), cut(answered + wait + interval / 10)].map(|moment| moment.min(end) as u64);
        Next::Poll { earliest, latest }
    }

    /// Rule 4: five seconds more for good, or the interval that the server names if that is longer.
    pub fn slow_down(&mut self, hint_seconds: u64) {
        self.slow_downs += 1;
        self.failures = 0;
        self.interval = (self.interval + 5_000).max(hint_seconds.min(u64::from(u32::MAX)) * 1_000);
    }

    /// `authorization_pending` ends the back-off and leaves the interval alone.
    pub fn pending(&mut self) {
        (self.failures, self.slow_downs) = (0, 0);
    }
}
