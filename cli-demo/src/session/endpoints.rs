//! Owns where the endpoints of a session come from, and when the server is asked again where they are: remembered
//! metadata is used for a day at most, and not once an endpoint turns out to be gone.

use super::client::discovery;
use super::http::LazyHttp;
use super::metadata_cache::MetadataCache;
use super::storage::Storage;
use super::{Purpose, Session};
use crate::args::Target;
use crate::run_error::RunError;
use crate::terminal::Terminal;
use device_flow_tokio::{Event, Failure, Metadata, Provider, TransportErrorKind, run};
use std::path::PathBuf;
use std::sync::Arc;
use tracing::info;

/// How much is known about the endpoints of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoints {
    /// The options name them, they are built in, or this run has asked the server.
    Certain,
    /// An earlier run has asked the server, within the last day.
    Remembered,
    /// The same, but too long ago: they are good for finding stored tokens, and for no request.
    Outdated,
}

/// The endpoints that the issuer's metadata names: remembered, or requested.
pub(super) async fn found(
    issuer: &str,
    target: &Target,
    purpose: Purpose,
    http: &LazyHttp,
    storage: &Storage,
    terminal: &mut Terminal,
) -> Result<(Provider, Endpoints), RunError> {
    let cache = MetadataCache::beside(storage);
    match cache.get(issuer, allow_http_loopback(target)) {
        Some((metadata, true)) => {
            info!("the server's metadata is cached");
            return Ok((Provider::from(metadata), Endpoints::Remembered));
        }
        // Enough to find the tokens; only a request needs more.
        Some((metadata, false)) if purpose != Purpose::SignIn => {
            info!("the server's metadata is cached, but older than a day");
            return Ok((Provider::from(metadata), Endpoints::Outdated));
        }
        Some(_) | None => {}
    }
    let mut discovery = discovery(issuer, allow_http_loopback(target))?;
    let found = run(http.get()?, &mut discovery, |event| {
        if let Event::Waiting { wait, reason, said, .. } = event {
            // Only a progress message: if it cannot be written, neither can the result, and that is reported.
            let _ = terminal.waiting(wait, reason, said.as_deref());
        }
    });
    let metadata = match found.await {
        // The issuer alone is enough to find the tokens that must go.
        Err(_) if purpose == Purpose::SignOut => return Ok((Provider::endpoints(issuer, issuer), Endpoints::Certain)),
        found => found?,
    };
    cache.put(&metadata);
    Ok((Provider::from(metadata), Endpoints::Certain))
}

/// What is remembered of a server's metadata, and in which file.
pub(crate) struct Remembered {
    pub(crate) metadata: Metadata,
    pub(crate) path: PathBuf,
}

/// What other commands remember of this issuer.
pub(crate) fn remembered(issuer: &str, target: &Target) -> Option<Remembered> {
    let cache = MetadataCache::beside(&Storage::of(target).ok()?);
    let (metadata, _) = cache.get(issuer, allow_http_loopback(target))?;
    Some(Remembered { metadata, path: cache.path()? })
}

fn allow_http_loopback(target: &Target) -> bool {
    target.allow_http_loopback == Some(true)
}

impl Session {
    /// Asks the server where its endpoints are, and uses and remembers the answer.
    pub(super) async fn look_up_again(&self) -> Result<(), RunError> {
        let Some(issuer) = &self.target.issuer else { return Ok(()) };
        let mut discovery = discovery(issuer, allow_http_loopback(&self.target))?;
        let metadata = run(self.http()?, &mut discovery, |_| {}).await?;
        MetadataCache::beside(&self.storage).put(&metadata);
        self.use_endpoints(Provider::from(metadata))
    }

    /// Where the server tells who a token is for, if it says so. GitHub has no metadata, and its own API for it.
    pub(crate) async fn userinfo_endpoint(&self) -> Result<Option<String>, RunError> {
        if self.target.is_at("github") {
            return Ok(Some(match self.target.place.get("host") {
                None | Some("github.com") => "https://api.github.com/user".to_owned(),
                Some(host) if host.ends_with(".ghe.com") => format!("https://api.{host}/user"),
                Some(host) => format!("https://{host}/api/v3/user"),
            }));
        }
        let client = self.client();
        let Some(issuer) = client.issuer() else { return Ok(None) };
        let remembered = MetadataCache::beside(&self.storage).get(issuer, allow_http_loopback(&self.target));
        let metadata = match remembered.filter(|(metadata, _)| metadata.userinfo_endpoint().is_some()) {
            Some((metadata, _)) => metadata,
            None => run(self.http()?, &mut discovery(issuer, allow_http_loopback(&self.target))?, |_| {}).await?,
        };
        Ok(metadata.userinfo_endpoint().map(str::to_owned))
    }

    fn use_endpoints(&self, provider: Provider) -> Result<(), RunError> {
        let id = self.client().client_id().to_owned();
        let client = self.credentials.client(&self.target, &id, provider)?;
        self.client.replace(Arc::new(client));
        self.endpoints.set(Endpoints::Certain);
        Ok(())
    }

    /// Before a request: remembered endpoints that are too old for one are looked up.
    pub(crate) async fn refresh_endpoints(&self) -> Result<(), RunError> {
        if self.endpoints.get() == Endpoints::Outdated { self.look_up_again().await } else { Ok(()) }
    }

    /// Before a person is shown a code: none of the endpoints may turn out to be gone once they have approved it.
    pub(crate) async fn confirm_endpoints(&self) {
        if self.endpoints.get() != Endpoints::Certain
            && let Err(error) = self.look_up_again().await
        {
            // The endpoints may answer all the same.
            info!("the server's metadata cannot be looked up: {error}");
        }
    }

    /// As [`refresh_endpoints`](Self::refresh_endpoints) for `logout`, which must work without the server: then the tokens are sent to no endpoint at all.
    pub(crate) async fn refresh_or_drop_endpoints(&self) -> Result<(), RunError> {
        let (Err(error), Some(issuer)) = (self.refresh_endpoints().await, &self.target.issuer) else { return Ok(()) };
        info!("the server's metadata cannot be looked up: {error}");
        self.use_endpoints(Provider::endpoints(issuer, issuer))
    }

    /// After a request that failed like this: whether the endpoint was a remembered one that is gone, and is now looked
    /// up, so that the request is worth another try.
    pub(crate) async fn has_found_endpoints_again(&self, failure: &Failure) -> bool {
        if self.endpoints.get() == Endpoints::Certain || !self.is_gone(failure) {
            return false;
        }
        info!("a remembered endpoint may have moved: looking the server's metadata up again");
        // If that fails, the failure of the endpoint says more.
        self.look_up_again().await.is_ok()
    }

    /// Whether nothing that belongs to the server is where the last request went. What came back may be a page of any
    /// kind, so the status alone counts.
    fn is_gone(&self, failure: &Failure) -> bool {
        let judged = matches!(failure, Failure::Rejected(_) | Failure::Protocol(_) | Failure::Transport(_));
        judged
            && match self.http.last_outcome() {
                Some(Ok(status)) => matches!(status, 404 | 405 | 410),
                Some(Err(kind)) => matches!(
                    kind,
                    TransportErrorKind::Dns | TransportErrorKind::UntrustedCertificate | TransportErrorKind::Tls
                ),
                None => false,
            }
    }
}
