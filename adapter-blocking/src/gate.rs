//! Owns `Gate`: a bound on how many may do something at once, the others in the order in which they came.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Lets so many in at once.
#[derive(Debug)]
pub(crate) struct Gate {
    most: usize,
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct State {
    inside: usize,
    /// The number of the next one to come, and of the next one to be let in.
    next: u64,
    turn: u64,
}

/// Leaves when it is dropped.
pub(crate) struct Inside<'a>(&'a Gate);

impl Gate {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), left: Condvar::new() }
    }

    /// Waits until there is room, and until those who came before are in.
    pub(crate) fn enter(&self) -> Inside<'_> {
        let mut state = self.state();
        let number = state.next;
        state.next = number.wrapping_add(1);
        while state.turn != number || state.inside >= self.most {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.turn = number.wrapping_add(1);
        state.inside = state.inside.saturating_add(1);
        drop(state);
        // The next in line may find room, too.
        self.left.notify_all();
        Inside(self)
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
        self.0.left.notify_all();
    }
}
