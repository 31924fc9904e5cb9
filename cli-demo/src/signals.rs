//! Owns the signals that end a run.

use crate::run_error::RunError;

/// Ctrl-C, or being told to end; signals are caught from this call on. Dropping the work that waits beside it is a
/// clean cancel: no file is left half written.
#[cfg(unix)]
pub(crate) fn signal() -> impl Future<Output = RunError> {
    use signal_hook::consts::SIGINT;
    use std::sync::{Arc, atomic::AtomicBool};
    use tokio::signal::unix::{SignalKind, signal};
    let streams = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    // The second Ctrl-C ends the process at once, whatever it is doing.
    let again = Arc::new(AtomicBool::new(false));
    let at_once = signal_hook::flag::register_conditional_shutdown(SIGINT, 130, again.clone());
    // If this cannot be registered, the first Ctrl-C still ends the run.
    let _ = at_once.and_then(|_| signal_hook::flag::register(SIGINT, again));
    async move {
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = streams else {
            // Signals cannot be caught here; the system's default ends the process.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => RunError::Interrupted,
            _ = terminate.recv() => RunError::Terminated,
            _ = hangup.recv() => RunError::Terminated,
        }
    }
}

#[cfg(not(unix))]
pub(crate) async fn signal() -> RunError {
    match tokio::signal::ctrl_c().await {
        Ok(()) => RunError::Interrupted,
        Err(_) => std::future::pending().await,
    }
}
