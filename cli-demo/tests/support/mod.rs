//! Owns the plain HTTP client of the tests.

/// Without proxy. The adapter builds reqwest without a default for TLS, so one must be installed even where it is not
/// used.
pub(crate) fn http_client() -> reqwest::Client {
    // An error says that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client without settings")
}
