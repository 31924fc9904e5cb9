//! Owns `Http`, the transport on reqwest: its safe settings, the one way to send a request, and what each failure means.

use crate::Transport;
use crate::clock::{now, within};
use crate::failure::{causes, transport_error_kind};
use bytes::Bytes;
use device_flow_adapter::failure::{no_turn, other, words};
use device_flow_adapter::{
    Answer, ClientCertificate, ExchangeWatcher, HttpClient, HttpError, HttpSettings, Proxy, Roots, authority, through,
};
use device_flow_core::{Method, Request, TransportError, TransportErrorKind};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, HeaderValue};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::{BuilderVerifierExt as _, Verifier};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;
use zeroize::Zeroizing;

/// The [`Transport`] of this crate: an HTTP client that is built here, so that it cannot follow redirects.
///
/// Cheap to clone; clones share connections. Redirects, decompression, cookies and referrers are off, HTTP is version 1.1, TLS is
/// 1.2 or later, and an answer is read up to what the machine asks for and no further. Where IPv6 leads nowhere, IPv4 is tried
/// beside it after 0.3 seconds.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    timeout: Duration,
    gate: Option<Arc<Semaphore>>,
    proxy: Option<Proxy>,
    watcher: ExchangeWatcher,
    last: Arc<Mutex<Option<Arc<Target>>>>,
}

/// Where a request goes. That of the last one is kept, since most are sent to the same place as the one before.
struct Target {
    url: Url,
    /// Host and port, as hyper would write them for every request.
    host: HeaderValue,
}

/// The settings of [`Http`].
pub type HttpBuilder = device_flow_adapter::HttpBuilder<Http>;

impl Http {
    /// A client with the defaults that [`HttpBuilder`] names.
    pub fn builder() -> HttpBuilder {
        HttpBuilder::new()
    }

    /// The proxy that a request to this URL goes through, if any: its host and port, without credentials.
    #[must_use]
    pub fn proxy_for(&self, url: &str) -> Option<String> {
        Proxy::address_for(self.proxy.as_ref(), url)
    }

    async fn exchange(&self, request: Request) -> Result<Answer, TransportError> {
        let target = self.target(request.url())?;
        let limit = request.time_limit().map_or(self.timeout, |limit| limit.min(self.timeout));
        within(limit, self.execute(&target, request)).await.unwrap_or_else(|| {
            let detail = format!("{}: the time limit has passed", authority(&target.url));
            Err(TransportError::new(TransportErrorKind::Timeout).with_detail(&detail))
        })
    }

    async fn execute(&self, target: &Target, request: Request) -> Result<Answer, TransportError> {
        let (url, max) = (&target.url, request.max_response().saturating_add(1));
        let outgoing = outgoing(target, request)?;
        let mut response = self.client.execute(outgoing).await.map_err(|error| self.failure(url, &error))?;
        let status = response.status().as_u16();
        let length = response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let mut body = Zeroizing::new(Vec::with_capacity(length.unwrap_or(0).min(max)));
        // To ask for more after the last byte would be another turn of the connection's task.
        while body.len() < max
            && length != Some(body.len())
            && let Some(chunk) = response.chunk().await.map_err(|error| self.failure(url, &error))?
        {
            let room = max.saturating_sub(body.len()).min(chunk.len());
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        }
        Ok(Answer::new(status, body).headers(std::mem::take(response.headers_mut())))
    }

    fn target(&self, url: &str) -> Result<Arc<Target>, TransportError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|last| last.url.as_str() == url) {
            return Ok(last.clone());
        }
        let url = Url::parse(url).map_err(|error| other(&error))?;
        let host = HeaderValue::from_str(authority(&url)).map_err(|error| other(&error))?;
        Ok(last.insert(Arc::new(Target { url, host })).clone())
    }

    /// What a failure means, with its innermost cause in words. Of the URL only the host is shown: a query may be private.
    fn failure(&self, url: &Url, error: &reqwest::Error) -> TransportError {
        let kind = transport_error_kind(error);
        // Until TLS with the server begins, only the proxy has been talked to.
        let connecting =
            error.is_connect() && !matches!(kind, TransportErrorKind::Tls | TransportErrorKind::UntrustedCertificate);
        let proxy = self.proxy.as_ref().filter(|proxy| connecting && proxy.serves(url));
        let kind =
            if proxy.is_some() && kind != TransportErrorKind::Timeout { TransportErrorKind::Proxy } else { kind };
        let place = proxy.map_or_else(|| through(self.proxy.as_ref(), url), ToString::to_string);
        let cause = causes(error).last().map(words).unwrap_or_default();
        TransportError::new(kind).with_detail(&format!("{place}: {cause}"))
    }
}

impl Transport for Http {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let _turn = match &self.gate {
            Some(gate) => Some(turn(gate, &request).await?),
            None => None,
        };
        let watched = self.watcher.begins(&request);
        let answer = self.exchange(request).await;
        if let Some(watched) = watched {
            watched.ends(&answer);
        }
        answer
    }
}

/// Waits for the turn of this request, unless that takes too long for it.
async fn turn<'a>(gate: &'a Semaphore, request: &Request) -> Result<SemaphorePermit<'a>, TransportError> {
    // It is never closed.
    let turn = async { gate.acquire().await.ok() };
    let turn = match request.time_limit() {
        Some(limit) => within(limit, turn).await.flatten(),
        None => turn.await,
    };
    turn.filter(|_| !request.is_expired(now())).ok_or_else(no_turn)
}

impl HttpClient for Http {
    fn from_settings(settings: HttpSettings) -> Result<Self, HttpError> {
        from_settings(settings, |client| client)
    }
}

/// The client with these settings, refined at last.
fn from_settings(
    settings: HttpSettings,
    refine: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<Http, HttpError> {
    // Every default that a feature of reqwest changes is set here: another crate in the same build may have enabled it.
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        // `never` alone would still copy every request, to be ready.
        .retry(reqwest::retry::never().max_retries_per_request(0))
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .no_hickory_dns()
        .http1_only()
        .no_proxy()
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(KEPT_IDLE)
        .user_agent(settings.user_agent)
        .tls_backend_preconfigured(tls(settings.roots, settings.client_certificate)?);
    if let Some(proxy) = settings.proxy.clone() {
        client = client.proxy(reqwest::Proxy::custom(move |target| proxy.serves(target).then(|| proxy.url().clone())));
    }
    let client = refine(client).build().map_err(|error| HttpError::Setup(error.to_string()))?;
    let HttpSettings { timeout, max_in_flight, proxy, watcher, .. } = settings;
    let gate = max_in_flight.map(|most| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))));
    Ok(Http { client, timeout, gate, proxy, watcher, last: Arc::default() })
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// A body that is sent as it lies there, and wiped by the core afterwards.
struct Sent(Request);

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        self.0.body()
    }
}

/// How long a connection is kept for the next request: longer than any usual wait. The server mostly closes it earlier.
const KEPT_IDLE: Duration = Duration::from_secs(120);

static IDENTITY: HeaderValue = HeaderValue::from_static("identity");
static JSON: HeaderValue = HeaderValue::from_static("application/json");
static FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

fn outgoing(target: &Target, request: Request) -> Result<reqwest::Request, TransportError> {
    let method = match request.method() {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
    };
    let mut outgoing = reqwest::Request::new(method, target.url.clone());
    outgoing.headers_mut().insert(HOST, target.host.clone());
    // Without it a server may use any coding (RFC 9110 §12.5.3), and none is decoded here.
    outgoing.headers_mut().insert(ACCEPT_ENCODING, IDENTITY.clone());
    for (name, value) in request.headers() {
        // Those of every poll: reqwest copies the headers three times, and what is static costs nothing then.
        let value = match value {
            "application/json" => JSON.clone(),
            "application/x-www-form-urlencoded" => FORM.clone(),
            value => {
                let mut value = HeaderValue::from_str(value).map_err(|error| other(&error))?;
                // It may be credentials, or a proof.
                value.set_sensitive(true);
                value
            }
        };
        outgoing.headers_mut().insert(name, value);
    }
    if request.method() == Method::Post {
        if request.body().is_empty() {
            // hyper leaves it out, and some servers then answer 411.
            outgoing.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        *outgoing.body_mut() = Some(Bytes::from_owner(Sent(request)).into());
    }
    Ok(outgoing)
}

fn tls(roots: Roots, client: Option<ClientCertificate>) -> Result<ClientConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let no_system_roots = |error: rustls::Error| HttpError::NoSystemRoots(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Setup(error.to_string()))?;
    let builder = match roots {
        Roots::Only(roots) => {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(roots);
            builder.with_root_certificates(store)
        }
        Roots::System => builder.with_platform_verifier().map_err(no_system_roots)?,
        Roots::SystemAnd(roots) => {
            let verifier = Verifier::new_with_extra_roots(roots, provider).map_err(no_system_roots)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let Some(client) = client else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_slice(client.key_pem()).map_err(|_| HttpError::NoClientKey)?;
    let tls = builder.with_client_auth_cert(client.chain().to_vec(), key);
    tls.map_err(|error| HttpError::Setup(error.to_string()))
}

#[cfg(all(test, unix))]
mod tests;
