//! Owns the two notions of time: milliseconds on the driver's own timeline, and calendar time in seconds.

use core::fmt;
use core::time::Duration;
#[cfg(feature = "std")]
use std::time::SystemTime;

/// A moment, in milliseconds on the driver's own monotonic timeline.
///
/// The zero is the driver's choice (the start of the process, the boot of the device …); only differences matter, so
/// all times that a machine is given must [count from the same zero](crate::Machine#one-timeline). All arithmetic
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

    /// Moves a machine's clock forward to `now` and returns it. An earlier `now` counts as the latest time seen.
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

    /// The time since `earlier`; zero when that is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Calendar time, from a clock that was set once and the driver's timeline since then.
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
/// Tokens in a cache are valid until such a moment, because it means the same in every process. Nothing here reads a
/// clock: the caller of a cache says what time it is, for example with `UnixTime::from(SystemTime::now())`. All
/// arithmetic saturates.
///
/// ```
/// use core::time::Duration;
/// use device_flow_core::UnixTime;
///
/// let now = UnixTime::from_secs(1_795_850_772);
/// assert_eq!(now.to_string(), "2026-11-28T07:26:12Z");
/// assert_eq!(now.saturating_add(Duration::from_secs(3_600)).as_secs(), 1_795_854_372);
/// assert_eq!(now.saturating_since(UnixTime::from_secs(1_795_850_000)), Duration::from_secs(772));
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

    /// The time since `earlier`; zero when that is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// The last second that RFC 3339 can write.
const END_OF_9999: u64 = 253_402_300_799;

/// RFC 3339 in UTC: `2026-11-28T07:26:12Z`. A time after the year 9999, which that format cannot write, shows as the
/// last second of it.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.min(END_OF_9999);
        let (days, second) = (secs / 86_400, secs % 86_400);
        // Years begin in March here, so that the leap day is the last of its year; 400 of them are an era of 146,097
        // days.
        let days = days.saturating_add(719_468);
        let (era, day) = (days / 146_097, days % 146_097);
        let leap_days = (day / 1_460).saturating_add(day / 146_096).saturating_sub(day / 36_524);
        let year = day.saturating_sub(leap_days) / 365;
        let day = day.saturating_add(year / 100).saturating_sub(year / 4).saturating_sub(year.saturating_mul(365));
        // Five months are 153 days, from March on and again from August on.
        let month = day.saturating_mul(5).saturating_add(2) / 153;
        let day = day.saturating_add(1).saturating_sub(month.saturating_mul(153).saturating_add(2) / 5);
        let (month, next_year) = if month < 10 { (month.saturating_add(3), 0) } else { (month.saturating_sub(9), 1) };
        let year = era.saturating_mul(400).saturating_add(year).saturating_add(next_year);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// A fraction of a second is dropped; a time before 1970 becomes the beginning of it.
#[cfg(feature = "std")]
impl From<SystemTime> for UnixTime {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

/// A time after the year 9999 becomes the last second of it, which every system can hold.
#[cfg(feature = "std")]
impl From<UnixTime> for SystemTime {
    fn from(time: UnixTime) -> Self {
        let since = Duration::from_secs(time.0.min(END_OF_9999));
        Self::UNIX_EPOCH.checked_add(since).unwrap_or(Self::UNIX_EPOCH)
    }
}
