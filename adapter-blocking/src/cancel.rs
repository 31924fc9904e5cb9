//! Owns `Cancel`: the flag that ends a wait, and the bell that wakes its sleepers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Ends a wait of [`run`](crate::run) from elsewhere: another thread, or a signal handler.
///
/// Clones share the flag. It stays set: take a new one to run again.
///
/// [`Cancel::new`] opens two file descriptors on Unix, which are closed with the last clone. When there are none left, and for a
/// flag that something else sets ([`From<Arc<AtomicBool>>`](#impl-From<Arc<AtomicBool>>-for-Cancel)), a wait looks at the flag 20
/// times a second instead of sleeping through.
#[derive(Clone, Debug)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    bell: Option<Arc<Bell>>,
}

impl Cancel {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self { flag: Arc::default(), bell: Bell::new().map(Arc::new) }
    }

    /// Ends every wait on this flag at once, or within 50 ms where it has to be looked at.
    ///
    /// Allowed in a signal handler on Unix: it stores to an atomic, and the first time it calls `shutdown(2)` on a socket, which
    /// does not block, and sets `errno` only if it fails.
    pub fn cancel(&self) {
        if !self.flag.swap(true, Ordering::SeqCst)
            && let Some(bell) = &self.bell
        {
            bell.ring();
        }
    }

    /// Whether [`cancel`](Cancel::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Sleeps for this long, or shorter: until it is cancelled, or for no reason.
    pub(crate) fn sleep(&self, time: Duration) {
        if !self.bell.as_ref().is_some_and(|bell| bell.wait(time)) {
            thread::sleep(time.min(SLICE));
        }
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Arc<AtomicBool>> for Cancel {
    /// Shares a flag that something else sets to `true`, as `signal_hook::flag::register` does.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self { flag, bell: None }
    }
}

/// How long a flag may be set unnoticed where no bell rings.
const SLICE: Duration = Duration::from_millis(50);

/// Rings once, for every thread that waits now or later. A pair of sockets: when one end is shut down, the other can be read
/// for good, by any number of threads, and a signal handler may shut it down.
#[cfg(unix)]
#[derive(Debug)]
struct Bell {
    rung: std::os::unix::net::UnixStream,
    heard: std::os::unix::net::UnixStream,
}

#[cfg(unix)]
impl Bell {
    fn new() -> Option<Self> {
        let (rung, heard) = std::os::unix::net::UnixStream::pair().ok()?;
        Some(Self { rung, heard })
    }

    fn ring(&self) {
        // It cannot fail on a socket of our own. If it did, the wait would end in its own time.
        let _ = self.rung.shutdown(std::net::Shutdown::Both);
    }

    /// Waits this long at most. `false` when that is not possible.
    fn wait(&self, time: Duration) -> bool {
        crate::ready::wait(&self.heard, rustix::event::PollFlags::IN, time).is_ok()
    }
}

/// The same, where no signal handler calls it: on Windows, one for Ctrl-C has a thread of its own.
#[cfg(not(unix))]
#[derive(Debug, Default)]
struct Bell {
    rung: std::sync::Mutex<bool>,
    heard: std::sync::Condvar,
}

#[cfg(not(unix))]
impl Bell {
    fn new() -> Option<Self> {
        Some(Self::default())
    }

    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    fn wait(&self, time: Duration) -> bool {
        self.rung.lock().is_ok_and(|rung| self.heard.wait_timeout_while(rung, time, |rung| !*rung).is_ok())
    }
}
