//! Owns how the network options become an HTTP client.

use crate::args::Network;
use crate::run_error::RunError;
use device_flow_tokio::{Http, HttpBuilder, TransportErrorKind};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::info;

/// An HTTP client that is built when it is first needed: reading the root certificates of a system takes time, and most
/// runs make no request.
pub(super) struct LazyHttp {
    network: Network,
    certificate: Option<PathBuf>,
    http: OnceCell<Http>,
    last: Arc<Mutex<Option<Outcome>>>,
}

/// The status of an answer, or why there was none.
type Outcome = Result<u16, TransportErrorKind>;

impl LazyHttp {
    pub(super) fn new(network: Network, certificate: Option<PathBuf>) -> Self {
        Self { network, certificate, http: OnceCell::new(), last: Arc::default() }
    }

    pub(super) fn get(&self) -> Result<&Http, RunError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let last = Arc::clone(&self.last);
        let builder = http_builder(&self.network, self.certificate.as_deref())?.on_exchange(move |exchange| {
            info!("{exchange}");
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(exchange.outcome());
        });
        let built = builder.build()?;
        Ok(self.http.get_or_init(|| built))
    }

    /// How the last request ended.
    pub(super) fn last_outcome(&self) -> Option<Outcome> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn request_limit(&self) -> Duration {
        request_limit(&self.network)
    }
}

pub(crate) fn http(network: &Network) -> Result<Http, RunError> {
    Ok(http_builder(network, None)?.build()?)
}

/// `certificate`: the file of the client's own certificate and key.
pub(crate) fn http_builder(network: &Network, certificate: Option<&Path>) -> Result<HttpBuilder, RunError> {
    let http = Http::builder().on_exchange(|exchange| info!("{exchange}"));
    let mut http = http.timeout(request_limit(network));
    if let Some(limit) = network.connect_timeout {
        http = http.connect_timeout(limit);
    }
    if let Some(file) = &network.ca_file {
        let pem = std::fs::read(file).map_err(|error| RunError::unreadable("--ca-file", file, &error))?;
        http = http.root_certificates_pem(pem);
    }
    if let Some(file) = &network.add_ca_file {
        let pem = std::fs::read(file).map_err(|error| RunError::unreadable("--add-ca-file", file, &error))?;
        http = http.added_root_certificates_pem(pem);
    }
    if let Some(file) = certificate {
        let pem = std::fs::read(file).map_err(|error| RunError::unreadable("--client-certificate", file, &error))?;
        http = http.client_certificate_pem(pem);
    }
    if let Some(proxy) = &network.proxy {
        http = http.proxy(proxy);
    }
    Ok(http)
}

fn request_limit(network: &Network) -> Duration {
    network.request_timeout.unwrap_or(HttpBuilder::DEFAULT_TIMEOUT)
}
