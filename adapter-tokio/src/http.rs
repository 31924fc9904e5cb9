//! Owns the HTTP client: its safe settings, the one way to send a request, and what each of its failures means.

use crate::clock::Clock;
use crate::exchange::{Exchange, Watch};
use crate::proxy::{Proxy, authority};
use crate::roots;
use bytes::Bytes;
use device_flow_core::{Method, Request, Response, Timestamp, TransportError, TransportErrorKind};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use url::Url;
use zeroize::Zeroizing;

/// The HTTP client for [`run`](crate::run): built here, so that it cannot follow redirects, and the timeline of its waits.
///
/// Cheap to clone; clones share connections and timeline. Redirects, decompression, cookies and referrers are off, HTTP is
/// version 1.1, TLS is 1.2 or later, and an answer is read up to what the machine asks for and no further.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    proxy: Option<Proxy>,
    clock: Clock,
    watch: Watch,
}

impl Http {
    /// A client with the defaults that [`HttpBuilder`] names.
    #[must_use]
    pub fn builder() -> HttpBuilder {
        HttpBuilder::new()
    }

    /// The time on the timeline on which [`run`](crate::run) drives a machine: milliseconds since this client was built. For
    /// whatever else needs a `now`, such as the snapshot of a flow.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The proxy that a request to this URL goes through, if any: its host and port, without credentials.
    #[must_use]
    pub fn proxy_for(&self, url: &str) -> Option<String> {
        let url = Url::parse(url).ok()?;
        self.proxy.as_ref().filter(|proxy| proxy.serves(&url)).map(Proxy::address)
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Sends one request, once, and reads the answer to its end or to one byte more than the machine wants. `last` is the URL
    /// of the request before, for most are sent to the same one again and again.
    pub(crate) async fn send(&self, request: Request, last: &mut Option<Url>) -> Result<Answer, TransportError> {
        let watched = self.watch.begins(&request);
        let answer = self.exchange(request, last).await;
        if let Some(watched) = watched {
            watched.ends(&answer);
        }
        answer
    }

    async fn exchange(&self, request: Request, last: &mut Option<Url>) -> Result<Answer, TransportError> {
        let url = match last.take().filter(|last| last.as_str() == request.url()) {
            Some(last) => last,
            None => Url::parse(request.url()).map_err(|error| other(&error))?,
        };
        let url = &*last.insert(url);
        let max = request.max_response().saturating_add(1);
        let outgoing = outgoing(url.clone(), request)?;
        let mut response = self.client.execute(outgoing).await.map_err(|error| self.failure(url, &error))?;
        let status = response.status().as_u16();
        let expected = response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(max));
        let mut body = Zeroizing::new(Vec::with_capacity(expected.min(max)));
        while body.len() < max
            && let Some(chunk) = response.chunk().await.map_err(|error| self.failure(url, &error))?
        {
            let room = max.saturating_sub(body.len()).min(chunk.len());
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        }
        Ok(Answer { status, headers: std::mem::take(response.headers_mut()), body })
    }

    /// What a failure means, and its innermost cause in words. Of the URL only the host is told: a query is nobody's business.
    fn failure(&self, url: &Url, error: &reqwest::Error) -> TransportError {
        let kind = kind(error);
        // Until TLS with the server begins, only the proxy has been talked to.
        let connecting = error.is_connect() && !matches!(kind, TransportErrorKind::Tls | UNTRUSTED);
        let proxy = self.proxy.as_ref().filter(|proxy| connecting && proxy.serves(url));
        let kind =
            if proxy.is_some() && kind != TransportErrorKind::Timeout { TransportErrorKind::Proxy } else { kind };
        let place = proxy.map_or_else(|| authority(url).to_owned(), ToString::to_string);
        let cause = causes(error).last().map(ToString::to_string).unwrap_or_default();
        TransportError::new(kind).with_detail(&format!("{place}: {cause}"))
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// The settings of [`Http`].
#[derive(Clone)]
pub struct HttpBuilder {
    timeout: Duration,
    connect_timeout: Duration,
    user_agent: String,
    roots: Option<Vec<u8>>,
    route: Route,
    watch: Watch,
}

/// Where the proxy comes from.
#[derive(Clone)]
enum Route {
    Environment,
    Direct,
    Through(String),
}

impl HttpBuilder {
    fn new() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            user_agent: concat!("device-flow/", env!("CARGO_PKG_VERSION")).to_owned(),
            roots: None,
            route: Route::Environment,
            watch: Watch::default(),
        }
    }

    /// The time limit of a whole request: name, connection, TLS, request, and the answer to its last byte, however slowly
    /// it trickles in. Default: 30 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The time limit for name, connection and TLS, within [`timeout`](HttpBuilder::timeout). Default: 10 seconds. Where IPv6
    /// leads nowhere, IPv4 is tried beside it after 0.3 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// What to say in the `user-agent` header. Default: `device-flow/` and the version.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Trusts these root certificates **instead of** the system's: one or more in PEM, such as the content of a bundle file.
    /// Default: what the operating system trusts.
    #[must_use]
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Goes through this proxy, whatever the environment says: `http://` or `https://`, host, port, and a user name and
    /// password where it asks for them. Never for loopback.
    ///
    /// Default: the first of `HTTPS_PROXY`, `https_proxy`, `ALL_PROXY`, `all_proxy` that is set, unless `NO_PROXY` (or
    /// `no_proxy`) names the host, a domain above it, its network (`10.0.0.0/8`), or `*`.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.route = Route::Through(url.into());
        self
    }

    /// Goes through no proxy, whatever the environment says.
    #[must_use]
    pub fn no_proxy(mut self) -> Self {
        self.route = Route::Direct;
        self
    }

    /// Who is told of every request as it ends: for a log, since no secret is in an [`Exchange`]. It is called where the request
    /// was made, and the next step waits for it; a request that is given up on its way is told of, too.
    #[must_use]
    pub fn on_exchange(mut self, watcher: impl Fn(&Exchange) + Send + Sync + 'static) -> Self {
        self.watch = Watch::new(watcher);
        self
    }

    /// The client; its timeline starts now.
    ///
    /// # Errors
    /// [`HttpError`] when a setting is unusable, or the system has no root certificates and none were given.
    pub fn build(self) -> Result<Http, HttpError> {
        self.build_with(|client| client)
    }

    /// The same, refined at last.
    fn build_with(
        self,
        refine: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Http, HttpError> {
        let proxy = match self.route {
            Route::Environment => Proxy::from_env(|name| std::env::var(name).ok())?,
            Route::Direct => None,
            Route::Through(address) => Some(Proxy::new(&address, "the proxy setting")?),
        };
        let user_agent = user_agent(&self.user_agent)?;
        // What a feature of reqwest turns on, another crate in the same build may have enabled: so it is all said here.
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .no_hickory_dns()
            .http1_only()
            .no_proxy()
            .timeout(self.timeout)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(KEPT_IDLE)
            .user_agent(user_agent)
            .tls_backend_preconfigured(tls(self.roots.as_deref())?);
        if let Some(proxy) = proxy.clone() {
            client =
                client.proxy(reqwest::Proxy::custom(move |target| proxy.serves(target).then(|| proxy.url().clone())));
        }
        let client = refine(client).build().map_err(|error| HttpError::Setup(error.to_string()))?;
        Ok(Http { client, proxy, clock: Clock::start(), watch: self.watch })
    }
}

impl fmt::Debug for HttpBuilder {
    /// A proxy's address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBuilder").finish_non_exhaustive()
    }
}

/// Why [`HttpBuilder::build`] made no client. The text of each says what to do, and shows no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The root certificates are no PEM text.
    #[error(
        "the root certificates are not in PEM: if they are in DER, convert them with `openssl x509 -inform der -in FILE -out FILE.pem`"
    )]
    RootsNotPem,
    /// There is no root certificate in the PEM text.
    #[error("there are no root certificates: PEM text with at least one -----BEGIN CERTIFICATE----- is needed")]
    NoRoots,
    /// This one of the root certificates, counted from 1, cannot be read.
    #[error("root certificate number {0} is damaged: take it out or replace it")]
    DamagedRoot(usize),
    /// The certificates that the system trusts cannot be had.
    #[error(
        "no trusted certificates on this system ({0}): install its ca-certificates package, or name a file with root certificates"
    )]
    NoSystemRoots(String),
    /// The proxy setting or environment variable of this name is unusable.
    #[error("{0} is no usable proxy address: expected http://host:port or https://host:port (SOCKS is not supported)")]
    BadProxy(&'static str),
    /// The user agent is no header value.
    #[error("the user agent must be printable ASCII text")]
    BadUserAgent,
    /// The HTTP client refused its settings.
    #[error("the HTTP client could not be set up: {0}")]
    Setup(String),
}

/// An answer as it came.
pub(crate) struct Answer {
    status: u16,
    headers: HeaderMap,
    /// Wiped when dropped: it may hold tokens.
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    pub(crate) fn as_response(&self) -> Response<'_> {
        self.headers.iter().fold(Response::new(self.status, &self.body), |response, (name, value)| {
            response.header(name.as_str(), value.as_bytes())
        })
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

const UNTRUSTED: TransportErrorKind = TransportErrorKind::UntrustedCertificate;

fn user_agent(text: &str) -> Result<HeaderValue, HttpError> {
    HeaderValue::from_str(text).ok().filter(|_| text.is_ascii()).ok_or(HttpError::BadUserAgent)
}

fn outgoing(url: Url, request: Request) -> Result<reqwest::Request, TransportError> {
    let method = match request.method() {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
    };
    let mut outgoing = reqwest::Request::new(method, url);
    for (name, value) in request.headers() {
        let mut value = HeaderValue::from_str(value).map_err(|error| other(&error))?;
        value.set_sensitive(name == "authorization");
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

fn tls(roots: Option<&[u8]>) -> Result<ClientConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Setup(error.to_string()))?;
    let builder = match roots {
        Some(pem) => {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(roots::read(pem)?);
            builder.with_root_certificates(store)
        }
        None => builder.with_platform_verifier().map_err(|error| HttpError::NoSystemRoots(error.to_string()))?,
    };
    Ok(builder.with_no_client_auth())
}

fn kind(error: &reqwest::Error) -> TransportErrorKind {
    if error.is_timeout() {
        return TransportErrorKind::Timeout;
    }
    if error.is_dns() {
        return TransportErrorKind::Dns;
    }
    if let Some(error) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return tls_kind(error);
    }
    if causes(error).filter_map(|cause| cause.downcast_ref::<hyper::Error>()).any(hyper::Error::is_parse) {
        return TransportErrorKind::InvalidHttp;
    }
    if let Some(kind) = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).find_map(io_kind) {
        return kind;
    }
    let closed = |error: &hyper::Error| error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    if causes(error).filter_map(|cause| cause.downcast_ref::<hyper::Error>()).any(closed) {
        return TransportErrorKind::Closed;
    }
    if error.is_connect() { TransportErrorKind::Connect } else { TransportErrorKind::Other }
}

fn tls_kind(error: &rustls::Error) -> TransportErrorKind {
    let untrusted = matches!(
        error,
        rustls::Error::InvalidCertificate(_)
            | rustls::Error::InvalidCertRevocationList(_)
            | rustls::Error::NoCertificatesPresented
    );
    if untrusted { UNTRUSTED } else { TransportErrorKind::Tls }
}

fn io_kind(error: &io::Error) -> Option<TransportErrorKind> {
    use io::ErrorKind as Io;
    let is = |kinds: &[Io]| kinds.contains(&error.kind());
    if is(&[Io::TimedOut, Io::WouldBlock]) {
        Some(TransportErrorKind::Timeout)
    } else if is(&[Io::UnexpectedEof, Io::ConnectionReset, Io::ConnectionAborted, Io::BrokenPipe, Io::NotConnected]) {
        Some(TransportErrorKind::Closed)
    } else if is(&[
        Io::ConnectionRefused,
        Io::HostUnreachable,
        Io::NetworkUnreachable,
        Io::NetworkDown,
        Io::AddrNotAvailable,
    ]) {
        Some(TransportErrorKind::Connect)
    } else if is(&[Io::InvalidData, Io::InvalidInput]) {
        Some(TransportErrorKind::InvalidHttp)
    } else {
        None
    }
}

/// An error and all below it. What an `io::Error` wraps is no `source` of its own, and just there lie the TLS errors.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

fn other(error: &dyn fmt::Display) -> TransportError {
    TransportError::new(TransportErrorKind::Other).with_detail(&error.to_string())
}

#[cfg(all(test, unix))]
mod tests;
