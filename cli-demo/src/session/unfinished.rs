//! Owns what must be finished before the process may end: refreshes that were asked for, tokens that are being stored,
//! and sign-outs that the server has not heard of.

use crate::signals::signal;
use device_flow_tokio::Accounts;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a run that was told to end still waits for the server and the store. Who tells it twice does not wait.
const LIMIT: Duration = Duration::from_secs(10);

static WATCHED: Mutex<Vec<Accounts>> = Mutex::new(Vec::new());
static IS_REVOKING: AtomicBool = AtomicBool::new(false);

pub(super) fn watch(accounts: &Accounts) {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).push(accounts.clone());
}

/// Waits until nothing is left that would be lost, for ten seconds or until the next signal.
pub(crate) async fn finish() {
    let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let finished = async {
        for accounts in &watched {
            accounts.finished().await;
        }
    };
    tokio::select! {
        biased;
        () = finished => {}
        _ = signal() => {}
        () = tokio::time::sleep(LIMIT) => {}
    }
}

/// A sign-out is between its two halves: gone here, not yet at the server.
pub(super) struct Revoking;

impl Revoking {
    pub(super) fn begin() -> Self {
        IS_REVOKING.store(true, Ordering::SeqCst);
        Self
    }

    pub(super) fn end(self) {
        IS_REVOKING.store(false, Ordering::SeqCst);
    }
}

/// Whether the run ended before the server had heard of a sign-out.
pub(crate) fn is_revoking() -> bool {
    IS_REVOKING.load(Ordering::SeqCst)
}
