//! Owns how the network options become an HTTP client.

use crate::args::Network;
use crate::run_error::RunError;
use device_flow_tokio::{Http, HttpBuilder};
use std::cell::OnceCell;
use std::time::Duration;
use tracing::info;

/// An HTTP client that is built when it is first needed: reading the root certificates of a system takes time, and most
/// runs make no request.
pub(super) struct LazyHttp {
    network: Network,
    http: OnceCell<Http>,
}

impl LazyHttp {
    pub(super) fn new(network: Network) -> Self {
        Self { network, http: OnceCell::new() }
    }

    pub(super) fn get(&self) -> Result<&Http, RunError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let built = http(&self.network)?;
        Ok(self.http.get_or_init(|| built))
    }

    pub(super) fn request_limit(&self) -> Duration {
        request_limit(&self.network)
    }
}

pub(crate) fn http(network: &Network) -> Result<Http, RunError> {
    Ok(http_builder(network)?.build()?)
}

pub(crate) fn http_builder(network: &Network) -> Result<HttpBuilder, RunError> {
    let http = Http::builder().on_exchange(|exchange| info!("{exchange}"));
    let mut http = http.timeout(request_limit(network));
    if let Some(limit) = network.connect_timeout {
        http = http.connect_timeout(limit);
    }
    if let Some(file) = &network.ca_file {
        let pem = std::fs::read(file).map_err(|error| RunError::unreadable("--ca-file", file, &error))?;
        http = http.root_certificates_pem(pem);
    }
    if let Some(proxy) = &network.proxy {
        http = http.proxy(proxy);
    }
    Ok(http)
}

fn request_limit(network: &Network) -> Duration {
    network.request_timeout.unwrap_or(HttpBuilder::DEFAULT_TIMEOUT)
}
