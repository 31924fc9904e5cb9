//! Owns the plain HTTP client of the tests.

/// Keeps connections, follows nothing but what it is told. The adapter builds reqwest without a default for TLS, so that one
/// has to be named even where none is used.
pub(crate) fn http_client() -> reqwest::Client {
    // An error says that another test of this program was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client without settings")
}
