//! Owns the two notions of time: milliseconds on the driver's own timeline, and calendar time in seconds.

use core::time::Duration;

/// A moment, in milliseconds on the driver's own monotonic timeline.
///
/// The zero point is the driver's choice (its start, the boot of the device …); only differences matter. All arithmetic
/// saturates, so no number that a server sends can overflow it.
///
/// ```
/// use core::time::Duration;
/// use device_flow_core::Timestamp;
///
/// let now = Timestamp::from_millis(1_000);
/// assert_eq!(now.saturating_add(Duration::from_secs(5)), Timestamp::from_millis(6_000));
/// assert_eq!(now.saturating_add(Duration::MAX), Timestamp::MAX);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The start of the timeline.
    pub const ZERO: Self = Self(0);
    /// The end of the timeline, some 584 million years later.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `millis` milliseconds after the start of the timeline.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start of the timeline.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// `duration` later. A fraction of a millisecond counts as a whole one: a wait is never cut short by rounding.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let whole = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let rest = u64::from(!duration.subsec_nanos().is_multiple_of(1_000_000));
        Self(self.0.saturating_add(whole).saturating_add(rest))
    }

    /// A machine's clock: takes over a later time, and is what the machine believes. An earlier one counts as the latest seen.
    pub(crate) fn advance(&mut self, now: Self) -> Self {
        *self = (*self).max(now);
        *self
    }

    pub(crate) const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    pub(crate) const fn minus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// What the calendar says, by a clock that was set once and by the driver's timeline since then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calendar {
    set: UnixTime,
    /// The first time seen.
    since: Option<Timestamp>,
}

impl Calendar {
    pub(crate) fn set(to: UnixTime) -> Self {
        Self { set: to, since: None }
    }

    pub(crate) fn at(&mut self, now: Timestamp) -> UnixTime {
        let since = *self.since.get_or_insert(now);
        self.set.saturating_add(now.saturating_since(since))
    }
}

/// A moment of the calendar: whole seconds since 1970, in UTC, without leap seconds.
///
/// Tokens in a cache are valid until such a moment, for it means the same in every process. Nothing here reads a clock: who
/// asks a cache says what time it is. All arithmetic saturates.
///
/// ```
/// use core::time::Duration;
/// use device_flow_core::UnixTime;
///
/// let now = UnixTime::from_secs(1_795_377_332);
/// assert_eq!(now.saturating_add(Duration::from_secs(3_600)).as_secs(), 1_795_380_932);
/// assert_eq!(now.saturating_since(UnixTime::from_secs(1_795_377_000)), Duration::from_secs(332));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The moment `secs` seconds after the beginning of 1970.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds since the beginning of 1970.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// `duration` later; a fraction of a second is dropped, so nothing lives longer by rounding.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}
