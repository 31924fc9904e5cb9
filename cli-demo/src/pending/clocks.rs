//! Owns how long ago something was, by clocks that may have been set, stopped or exchanged meanwhile: never longer
//! than it was where the system counts the time since its start (Linux); elsewhere a wall clock that was put forward is believed.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// What the clocks said at one moment, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    /// Since 1970. Anyone may set it.
    pub(super) wall: u64,
    /// `None` where the system does not tell.
    boot: Option<Boot>,
}

/// Since a start of the machine, its sleep counted in. Nobody can set it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Boot {
    /// Which start it was.
    id: String,
    up: u64,
}

impl Reading {
    pub(super) fn now() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { wall: millis(wall), boot: boot() }
    }

    /// How long it was from this moment to that, or less: the smallest of what the clocks say. So a clock that was put forward
    /// changes nothing where there is another, and one that was put back counts as no time at all.
    pub(super) fn until(&self, later: &Self) -> Duration {
        let wall = later.wall.saturating_sub(self.wall);
        let up = match (&self.boot, &later.boot) {
            (Some(then), Some(now)) if then.id == now.id => now.up.saturating_sub(then.up),
            // Started in between, so at least as long ago as it runs. (On another machine that shares the file this says nothing,
            // but neither does it make the time longer than the wall clock says.)
            (Some(_), Some(now)) => now.up,
            (None, _) | (_, None) => u64::MAX,
        };
        // Each reading was rounded down.
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

    fn reading(wall: u64, boot: Option<(&str, u64)>) -> Reading {
        Reading { wall, boot: boot.map(|(id, up)| Boot { id: id.to_owned(), up }) }
    }

    // D05: a clock that was put forward makes nobody poll early, one that was put back makes nobody overflow.
    #[test]
    fn d05_the_time_away_is_never_longer_than_it_was() {
        const HOUR: u64 = 3_600_000;
        let then = reading(50 * HOUR, Some(("one", HOUR)));
        for (later, away, why) in [
            (reading(50 * HOUR + 5_001, Some(("one", HOUR + 5_001))), 5_000, "all is well"),
            (reading(59 * HOUR, Some(("one", HOUR + 5_001))), 5_000, "put forward by hours"),
            (reading(49 * HOUR, Some(("one", HOUR + 5_001))), 0, "put back"),
            (reading(0, Some(("one", HOUR + 5_001))), 0, "no battery for the clock"),
            (reading(50 * HOUR + 5_001, Some(("one", 9))), 0, "a machine that was set back to an image"),
            (reading(59 * HOUR, Some(("two", 7_001))), 7_000, "started again, and put forward"),
            (reading(50 * HOUR + 5_001, Some(("two", HOUR))), 5_000, "another machine on the same files"),
            (reading(50 * HOUR + 5_001, None), 5_000, "only the wall clock is left"),
            (then.clone(), 0, "at once"),
        ] {
            assert_eq!(then.until(&later), Duration::from_millis(away), "{why}");
        }
        // Nor does rounding make it longer.
        assert_eq!(reading(0, None).until(&reading(1, None)), Duration::ZERO);
        assert_eq!(reading(50 * HOUR, None).until(&reading(59 * HOUR + 1, None)), Duration::from_millis(9 * HOUR));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_the_time_since_its_start() {
        let (first, second) = (Reading::now(), Reading::now());
        let (Some(first), Some(second)) = (first.boot, second.boot) else { panic!("no time since the start") };
        assert_eq!((first.id.len(), &first.id), (36, &second.id));
        assert!(first.up > 0 && first.up <= second.up);
    }
}
