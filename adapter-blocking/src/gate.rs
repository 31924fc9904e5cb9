//! Owns `Gate`: a bound on how many may do something at once, the others in the order in which they came.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lets so many in at once.
#[derive(Debug)]
pub(crate) struct Gate {
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    inside: usize,
    /// Of the next one to come.
    number: u64,
    waiting: VecDeque<u64>,
}

/// Leaves when it is dropped.
pub(crate) struct Inside<'a>(&'a Gate);

impl Gate {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits until there is room, and until those who came before are in; `None` when that takes longer than `limit`.
    pub(crate) fn enter(&self, limit: Option<Duration>) -> Option<Inside<'_>> {
        let since = Instant::now();
        let mut state = self.state();
        let number = state.number;
        state.number = number.wrapping_add(1);
        state.waiting.push_back(number);
        while state.waiting.front() != Some(&number) || state.inside >= self.most {
            state = match limit {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(limit) => {
                    let Some(left) = limit.checked_sub(since.elapsed()) else {
                        state.waiting.retain(|waiting| *waiting != number);
                        drop(state);
                        // It may have been the first.
                        self.changed.notify_all();
                        return None;
                    };
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.waiting.pop_front();
        state.inside = state.inside.saturating_add(1);
        drop(state);
        // The next in line may find room, too.
        self.changed.notify_all();
        Some(Inside(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.inside = state.inside.saturating_sub(1);
        drop(state);
        self.0.changed.notify_all();
    }
}
