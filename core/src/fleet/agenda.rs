//! Owns when each waiting machine of a fleet is asked again, in eight bytes each.

use crate::Timestamp;
use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// Which slot is due when, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// The time since `zero` in the upper half, the slot in the lower one.
    entries: BinaryHeap<Reverse<u64>>,
    zero: Timestamp,
}

/// After this many milliseconds, some 24 days, times are counted anew.
const SPAN: u64 = 1 << 31;
/// How much of what has passed is still told apart then.
const PAST: u64 = 1 << 30;

impl Agenda {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The earliest time. One that is later than can be counted is told too early, which is harmless: the machine says
    /// that it waits, and comes back.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let Reverse(entry) = self.entries.peek()?;
        Some(Timestamp::from_millis(self.zero.as_millis().saturating_add(entry >> 32)))
    }

    pub(super) fn add(&mut self, slot: u32, at: Timestamp, now: Timestamp) {
        if self.since_zero(now) >= SPAN {
            self.count_anew(now);
        }
        let at = self.since_zero(at).min(u32::MAX.into());
        self.entries.push(Reverse(at << 32 | u64::from(slot)));
    }

    /// The slot that is due first, if it is due.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<u32> {
        self.next().filter(|next| *next <= now)?;
        // The lower half.
        self.entries.pop().and_then(|Reverse(entry)| u32::try_from(entry & u64::from(u32::MAX)).ok())
    }

    fn since_zero(&self, at: Timestamp) -> u64 {
        at.as_millis().saturating_sub(self.zero.as_millis())
    }

    /// From the earliest time in here, if that has not passed long ago.
    fn count_anew(&mut self, now: Timestamp) {
        let zero =
            self.next().unwrap_or(now).min(now).max(Timestamp::from_millis(now.as_millis().saturating_sub(PAST)));
        let passed = self.since_zero(zero).min(u32::MAX.into()) << 32;
        let later =
            |Reverse(entry): Reverse<u64>| Reverse(entry.saturating_sub(passed).max(entry & u64::from(u32::MAX)));
        let entries: Vec<_> = core::mem::take(&mut self.entries).into_vec();
        self.entries = entries.into_iter().map(later).collect();
        self.zero = zero;
    }
}
