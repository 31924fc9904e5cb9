//! Owns the wait for a file descriptor: one system call, however long it takes.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// Waits until the descriptor is ready, for this long at most, and tells whether it may be. A signal ends the wait as well.
pub(crate) fn wait(descriptor: &impl AsFd, flags: PollFlags, limit: Duration) -> io::Result<bool> {
    let limit = Timespec::try_from(limit.min(A_DAY)).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(descriptor, flags)], Some(&limit)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Far below what every system can wait; the caller asks again anyway.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
