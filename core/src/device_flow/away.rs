//! Owns how long a stored flow was away, as far as that is known.

use core::time::Duration;

/// The time between a [`Snapshot`](super::Snapshot) and now, known within two bounds. A [`Duration`] is one that is known
/// exactly.
///
/// A resumed flow is on the safe side of both: its next poll counts with the lower bound, so it is never early (RFC 8628
/// §3.5); the life of its code counts with the upper one, so no poll is sent after its end.
///
/// ```
/// use core::time::Duration;
/// use device_flow_core::Away;
///
/// let (one, two) = (Duration::from_secs(1), Duration::from_secs(2));
/// let away = Away::between(one, two);
/// assert_eq!((away.at_least(), away.at_most()), (one, two));
/// assert_eq!(Away::from(one), Away::between(one, one));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    at_least: Duration,
    at_most: Duration,
}

impl Away {
    /// For this long, by one clock that nobody can set.
    #[must_use]
    pub const fn exactly(time: Duration) -> Self {
        Self { at_least: time, at_most: time }
    }

    /// For a time between these two, in either order. The first is zero where nothing is known, and the second then as
    /// long as it can have been: a second bound that is too long ends the flow too soon.
    #[must_use]
    pub fn between(at_least: Duration, at_most: Duration) -> Self {
        Self { at_least: at_least.min(at_most), at_most: at_least.max(at_most) }
    }

    /// The lower bound.
    #[must_use]
    pub const fn at_least(self) -> Duration {
        self.at_least
    }

    /// The upper bound.
    #[must_use]
    pub const fn at_most(self) -> Duration {
        self.at_most
    }
}

impl From<Duration> for Away {
    fn from(time: Duration) -> Self {
        Self::exactly(time)
    }
}
