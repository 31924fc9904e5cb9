//! Owns how long ago something happened, by clocks that may have been set in between. Where the system counts the time
//! since boot (Linux), the result is never too long; elsewhere it is as long as the wall clock says, even if that was
//! set forward.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// The clocks at one moment, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockReading {
    /// Since 1970. It can be set.
    pub(super) wall: u64,
    /// `None` where the system does not count it.
    boot: Option<Boot>,
}

/// The time since the machine booted, including sleep. It cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Boot {
    /// Identifies the boot.
    id: String,
    up: u64,
}

impl ClockReading {
    pub(super) fn now() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { wall: millis(wall), boot: boot() }
    }

    /// The time from this moment to a later one, or less: the smallest that any clock says. So a clock that was set
    /// forward changes nothing where there is another one, and a clock that was set back counts as no time.
    pub(super) fn until(&self, later: &Self) -> Duration {
        let wall = later.wall.saturating_sub(self.wall);
        let up = match (&self.boot, &later.boot) {
            (Some(then), Some(now)) if then.id == now.id => now.up.saturating_sub(then.up),
            // Booted in between, so at least that long ago. (On another machine that shares the file this says nothing,
            // but the result is still no longer than the wall clock says.)
            (Some(_), Some(now)) => now.up,
            (None, _) | (_, None) => u64::MAX,
        };
        // Both readings were rounded down.
        Duration::from_millis(wall.min(up).saturating_sub(1))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(target_os = "linux")]
fn boot() -> Option<Boot> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let up = Duration::new(u64::try_from(up.tv_sec).ok()?, u32::try_from(up.tv_nsec).ok()?);
    Some(Boot { id: id.trim().to_owned(), up: millis(up) })
}

#[cfg(not(target_os = "linux"))]
fn boot() -> Option<Boot> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall: u64, boot: Option<(&str, u64)>) -> ClockReading {
        ClockReading { wall, boot: boot.map(|(id, up)| Boot { id: id.to_owned(), up }) }
    }

    // A clock that was set forward causes no early poll, one that was set back no overflow.
    #[test]
    fn d05_the_time_away_is_never_longer_than_it_was() {
        const HOUR: u64 = 3_600_000;
        let then = reading(50 * HOUR, Some(("one", HOUR)));
        for (later, away, why) in [
            (reading(50 * HOUR + 5_001, Some(("one", HOUR + 5_001))), 5_000, "nothing was set"),
            (reading(59 * HOUR, Some(("one", HOUR + 5_001))), 5_000, "set forward by hours"),
            (reading(49 * HOUR, Some(("one", HOUR + 5_001))), 0, "set back"),
            (reading(0, Some(("one", HOUR + 5_001))), 0, "a clock without a battery"),
            (reading(50 * HOUR + 5_001, Some(("one", 9))), 0, "a machine that was restored from an image"),
            (reading(59 * HOUR, Some(("two", 7_001))), 7_000, "rebooted, and set forward"),
            (reading(50 * HOUR + 5_001, Some(("two", HOUR))), 5_000, "another machine with the same files"),
            (reading(50 * HOUR + 5_001, None), 5_000, "only the wall clock can be read"),
            (then.clone(), 0, "at once"),
        ] {
            assert_eq!(then.until(&later), Duration::from_millis(away), "{why}");
        }
        // Rounding does not make it longer.
        assert_eq!(reading(0, None).until(&reading(1, None)), Duration::ZERO);
        assert_eq!(reading(50 * HOUR, None).until(&reading(59 * HOUR + 1, None)), Duration::from_millis(9 * HOUR));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_counts_the_time_since_boot() {
        let (first, second) = (ClockReading::now(), ClockReading::now());
        let (Some(first), Some(second)) = (first.boot, second.boot) else { panic!("no time since boot") };
        assert_eq!((first.id.len(), &first.id), (36, &second.id));
        assert!(first.up > 0 && first.up <= second.up);
    }
}
