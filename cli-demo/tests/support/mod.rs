//! Owns the plain HTTP client of the tests, and how they stop the clock.

/// Without proxy. The adapter builds reqwest without a default for TLS, so one must be installed even where it is not
/// used.
pub(crate) fn http_client() -> reqwest::Client {
    // An error says that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client without settings")
}

/// The clock of this runtime, which stands still: only a test moves it. For as long as this lives.
pub(crate) struct StoppedClock {
    _hold: std::sync::mpsc::Sender<()>,
}

impl StoppedClock {
    pub(crate) fn stop() -> Self {
        tokio::time::pause();
        // tokio lets a paused clock jump to the next timer, but not while a blocking thread like this one works.
        let (hold, held) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv());
        Self { _hold: hold }
    }
}
