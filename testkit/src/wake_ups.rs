//! Owns the count of wake-ups, as the kernel knows them: how often a thread has waited for something. Linux alone.

use device_flow_core::{Action, Machine, Misuse, Response, Ticket, Timestamp, TransportError};
use std::fs;
use std::path::Path;

/// Of all threads of this process so far, without those that have ended.
pub fn of_this_process() -> u64 {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads.map(|thread| read(&thread.unwrap().path())).sum()
}

/// Of this thread so far.
pub fn of_this_thread() -> u64 {
    read(Path::new("/proc/thread-self"))
}

fn read(thread: &Path) -> u64 {
    let status = fs::read_to_string(thread.join("status")).unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    count.trim().parse().unwrap()
}

/// A machine that counts how often its driver's thread wakes while it waits: from each [`Action::Wait`] to the next action.
#[derive(Debug)]
pub struct CountingWaits<M> {
    inner: M,
    before: Option<u64>,
    wake_ups: u64,
}

impl<M> CountingWaits<M> {
    /// Counts the waits of `inner`.
    pub fn new(inner: M) -> Self {
        Self { inner, before: None, wake_ups: 0 }
    }

    /// In all waits so far.
    pub fn wake_ups(&self) -> u64 {
        self.wake_ups
    }
}

impl<M: Machine> Machine for CountingWaits<M> {
    type Output = M::Output;

    fn next_action(&mut self, now: Timestamp) -> Action<M::Output> {
        if let Some(before) = self.before.take() {
            self.wake_ups += of_this_thread() - before;
        }
        let action = self.inner.next_action(now);
        if let Action::Wait { .. } = action {
            self.before = Some(of_this_thread());
        }
        action
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.inner.response(ticket, response, now)
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.inner.transport_failed(ticket, error, now)
    }

    fn cancel(&mut self) {
        self.inner.cancel();
    }
}
