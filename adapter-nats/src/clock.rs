//! Owns the server's time, by which alone polls are scheduled: the clock of a worker's machine may be anything.

use crate::pulse;
use device_flow_core::UnixTime;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment on the clock of the NATS server: nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ServerTime(u64);

impl ServerTime {
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// From RFC 3339, as servers write it, with up to nine digits behind the seconds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(time.unix_timestamp_nanos()).ok().map(Self)
    }

    pub(crate) fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time since `earlier`; zero when that is later.
    pub(crate) const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) const fn unix_time(self) -> UnixTime {
        UnixTime::from_secs(self.0 / 1_000_000_000)
    }

    /// RFC 3339 with milliseconds, rounded up: what is scheduled then is not early.
    pub(crate) fn to_rfc3339(self) -> String {
        let millis = self.0.div_ceil(1_000_000);
        let seconds = UnixTime::from_secs(millis / 1_000).to_string();
        format!("{}.{:03}Z", seconds.trim_end_matches('Z'), millis % 1_000)
    }
}

/// One look at the server's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it was asked, and when the answer was there, by the [pulse].
    pub(crate) asked: Duration,
    pub(crate) answered: Duration,
    pub(crate) server: ServerTime,
}

/// What the server's clock shows while ours goes on. The server has read its clock after it was asked, so this is late, by
/// `slack` at most, and never early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    asked: Duration,
    server: ServerTime,
    slack: Duration,
}

impl Pair {
    /// The sample that is the least late.
    pub(crate) fn best(samples: impl IntoIterator<Item = Sample>) -> Option<Self> {
        let ahead =
            |sample: &Sample| i128::from(sample.server.0) - i128::try_from(sample.asked.as_nanos()).unwrap_or(0);
        let Sample { asked, answered, server } = samples.into_iter().min_by_key(ahead)?;
        Some(Self { asked, server, slack: answered.saturating_sub(asked) })
    }

    /// The server's time at this moment by the pulse.
    pub(crate) fn at(&self, pulse: Duration) -> ServerTime {
        self.server.saturating_add(pulse.saturating_sub(self.asked))
    }
}

/// The server's clock, as far as a worker knows it.
#[derive(Debug, Default)]
pub(crate) struct Clock(Mutex<Option<Pair>>);

/// Now, by the server's clock: this at most, and less by `slack` at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) time: ServerTime,
    pub(crate) slack: Duration,
}

impl Now {
    /// Whether this time has come, for certain.
    pub(crate) fn is_after(&self, time: ServerTime) -> bool {
        self.time.saturating_since(time) >= self.slack && self.time >= time
    }
}

impl Clock {
    pub(crate) fn set(&self, pair: Pair) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pair);
    }

    /// `None` before the server was asked.
    pub(crate) fn now(&self) -> Option<Now> {
        let pair = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(Now { time: pair.at(pulse::now()), slack: pair.slack })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic to report")]

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const NOON: u64 = 1_795_867_200_000_000_000;

    /// The server's clock at a moment of the pulse, when nobody has to ask.
    fn truth(pulse: Duration) -> ServerTime {
        ServerTime(NOON).saturating_add(pulse)
    }

    /// The request takes this long to the server, the answer that long back.
    fn sample(asked: u64, there: u64, back: u64) -> Sample {
        Sample { asked: millis(asked), answered: millis(asked + there + back), server: truth(millis(asked + there)) }
    }

    #[test]
    fn errs_late_by_its_slack_at_most_and_never_early() {
        for there in [0, 1, 7, 400, 3_000] {
            for back in [0, 1, 90, 3_000] {
                let pair = Pair::best([sample(1_000, there, back)]).unwrap();
                for later in [0, 1, 5_000, 3_600_000] {
                    let at = millis(1_000 + there + back + later);
                    assert!(pair.at(at) >= truth(at), "early: {there} {back} {later}");
                    assert!(pair.at(at).saturating_since(truth(at)) <= pair.slack, "{there} {back} {later}");
                }
            }
        }
    }

    #[test]
    fn the_best_of_three_is_the_least_late() {
        let samples = [sample(0, 50, 1), sample(100, 3, 90), sample(200, 9, 0)];
        let pair = Pair::best(samples).unwrap();
        assert_eq!(pair.at(millis(1_000)).saturating_since(truth(millis(1_000))), millis(3));
        assert_eq!(pair.slack, millis(93));
        assert_eq!(Pair::best([]), None);
    }

    #[test]
    fn a_clock_that_nobody_has_set_knows_no_time() {
        let clock = Clock::default();
        assert!(clock.now().is_none());
        clock.set(Pair::best([sample(0, 0, 0)]).unwrap());
        assert!(clock.now().unwrap().time >= ServerTime(NOON));
    }

    #[test]
    fn a_time_has_come_when_no_slack_can_be_the_reason() {
        let (time, slack) = (ServerTime(NOON), millis(30));
        for (now, has_come) in [(NOON - 1, false), (NOON + 29_999_999, false), (NOON + 30_000_000, true)] {
            assert_eq!(Now { time: ServerTime(now), slack }.is_after(time), has_come, "{now}");
        }
        for (now, has_come) in [(NOON - 1, false), (NOON, true)] {
            assert_eq!(Now { time: ServerTime(now), slack: Duration::ZERO }.is_after(time), has_come, "{now}");
        }
    }

    #[test]
    fn rfc_3339_is_read_to_the_nanosecond_and_written_rounded_up() {
        let time = ServerTime::parse("2026-11-28T12:00:00.000000001Z").unwrap();
        assert_eq!(time, ServerTime(NOON + 1));
        assert_eq!(time.to_rfc3339(), "2026-11-28T12:00:00.001Z");
        assert_eq!(ServerTime(NOON).to_rfc3339(), "2026-11-28T12:00:00.000Z");
        assert_eq!(ServerTime(NOON + 999_000_001).to_rfc3339(), "2026-11-28T12:00:01.000Z");
        assert_eq!(ServerTime::parse("2026-11-28T13:00:00+01:00"), Some(ServerTime(NOON)));
        for text in ["", "1969-12-31T23:59:59Z", "2026-11-28 12:00", "now"] {
            assert_eq!(ServerTime::parse(text), None, "{text}");
        }
        assert_eq!(ServerTime(NOON).unix_time().to_string(), "2026-11-28T12:00:00Z");
    }
}
