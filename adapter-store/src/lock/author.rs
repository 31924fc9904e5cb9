//! Owns the author of a lock file: the process that it names, and whether that process can still be running.

use crate::LockHolder;
use rustix::process::Pid;
use std::fs;
use std::time::{Duration, SystemTime};

/// The second word of our own lock files; the third is the host.
const OURS: &str = "device-flow-store";

/// The content of a lock file: `<pid>` (Node), `<pid> <argv0>` (Python), `{<pid>} {<argv0>}` (Go), the same without
/// braces after a byte order mark (.NET), `<pid>@<host>` (Java), `<pid> device-flow-store <host>` (this crate), or
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Author {
    pub(super) pid: Option<Pid>,
    name: String,
}

impl Author {
    pub(super) fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let text = text.trim_start_matches('\u{feff}').trim();
        let in_braces = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let parts = match in_braces {
            Some(inner) => inner.split_once("} {"),
            None => text.split_once([' ', '@']),
        };
        let (pid, name) = parts.unwrap_or((in_braces.unwrap_or(text), ""));
        // Without a sign: a negative number would be a group of processes.
        let pid = pid.parse::<u32>().ok().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        Self { pid, name: name.trim().to_owned() }
    }

    /// What this process writes.
    pub(super) fn of_this_process() -> String {
        format!("{} {OURS} {}", std::process::id(), host())
    }

    fn host(&self) -> Option<&str> {
        self.name.strip_prefix(OURS)?.strip_prefix(' ')
    }

    /// Written by this crate on this host.
    pub(super) fn is_ours_here(&self) -> bool {
        self.host() == Some(host().as_str())
    }

    /// Written by this crate on another host.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.host().is_some_and(|host| host != self::host())
    }

    /// Whether its process runs on this computer and did so when the file was written.
    pub(super) fn is_alive(&self, written: SystemTime) -> bool {
        let Some(pid) = self.pid.filter(|_| self.host().is_none_or(|host| host == self::host())) else { return false };
        // A process of another user cannot be signalled but is alive.
        let runs = !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH));
        runs && started(pid).is_none_or(|process| match process {
            Process::Dead => false,
            // Two seconds because the clocks are read in ticks. A clock that was set forward makes the lock look old,
            // but it counts as dead only when nobody touches it for a while.
            Process::Since(age) => {
                written.elapsed().is_ok_and(|lock| lock <= age.saturating_add(Duration::from_secs(2)))
                    || written.elapsed().is_err()
            }
        })
    }

    pub(super) fn has_pid(&self) -> bool {
        self.pid.is_some()
    }

    pub(super) fn holder(&self) -> LockHolder {
        let pid = self.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
        LockHolder { pid, name: self.name.chars().take(200).collect() }
    }
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[derive(Debug, PartialEq, Eq)]
enum Process {
    /// It has ended, and its parent has not waited for it.
    Dead,
    /// It has run for this long.
    Since(Duration),
}

/// From `/proc/<pid>/stat`, proc_pid_stat(5); `None` where there is no such file.
fn started(pid: Pid) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in parentheses may hold spaces and parentheses. After it come (3) the state, …, (22) the ticks from boot
    // to its start.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return Some(Process::Dead);
    }
    let ticks: u64 = fields.nth(18)?.parse().ok()?;
    let started = Duration::from_secs(ticks / rustix::param::clock_ticks_per_second().max(1));
    Some(Process::Since(uptime()?.saturating_sub(started)))
}

/// Not `/proc/uptime`, which container runtimes replace with the container's own.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn uptime() -> Option<Duration> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some(Duration::from_secs(u64::try_from(now.tv_sec).ok()?))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn uptime() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests;
