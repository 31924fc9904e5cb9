//! Owns the HTTP client: its safe settings, the one way to send a request, and what each of its failures means.

use crate::clock::Clock;
use crate::exchange::{Exchange, Watch};
use crate::proxy::{Proxy, authority};
use crate::roots;
use device_flow_core::{Method, Request, Response, Timestamp, TransportError, TransportErrorKind};
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::Verifier;
use std::error::Error;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use ureq::config::{AutoHeaderValue, Config};
use ureq::http::header::{HeaderMap, HeaderValue};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, http};
use url::Url;
use zeroize::Zeroizing;

/// The HTTP client for [`run`](crate::run): built here, so that it cannot follow redirects, and the timeline of its waits.
///
/// Cheap to clone; clones share connections and timeline. Redirects, decompression, cookies and referrers are off, HTTP is
/// version 1.1, TLS is 1.2 or later, and an answer is read up to what the machine asks for and no further.
#[derive(Clone)]
pub struct Http {
    client: Agent,
    proxy: Option<(Agent, Proxy)>,
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
        self.proxy.as_ref().map(|(_, proxy)| proxy).filter(|proxy| proxy.serves(&url)).map(Proxy::address)
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Sends one request, once, and reads the answer to its end or to one byte more than the machine wants.
    pub(crate) fn send(&self, request: &Request) -> Result<Answer, TransportError> {
        let watched = self.watch.begins(request);
        let answer = self.exchange(request);
        if let Some(watched) = watched {
            watched.ends(&answer);
        }
        answer
    }

    fn exchange(&self, request: &Request) -> Result<Answer, TransportError> {
        let max = request.max_response().saturating_add(1);
        let mut response = self.execute(request)?;
        let status = response.status().as_u16();
        let expected = response.body().content_length().map_or(0, |length| usize::try_from(length).unwrap_or(max));
        let mut body = Zeroizing::new(Vec::with_capacity(expected.min(max)));
        let mut reader = response.body_mut().as_reader().take(u64::try_from(max).unwrap_or(u64::MAX));
        reader.read_to_end(&mut body).map_err(|error| self.failure(request, &error.into()))?;
        Ok(Answer { status, headers: std::mem::take(response.headers_mut()), body })
    }

    fn execute(&self, request: &Request) -> Result<http::Response<ureq::Body>, TransportError> {
        let client = self.proxy(request).map_or(&self.client, |(client, _)| client);
        let outgoing = outgoing(request)?;
        let response = match request.method() {
            Method::Get => client.run(outgoing.map(|_| ())),
            Method::Post => client.run(outgoing),
        };
        response.map_err(|error| self.failure(request, &error))
    }

    fn proxy(&self, request: &Request) -> Option<&(Agent, Proxy)> {
        self.proxy.as_ref().filter(|(_, proxy)| Url::parse(request.url()).is_ok_and(|url| proxy.serves(&url)))
    }

    /// What a failure means, and its innermost cause in words. Of the URL only the host is told: a query is nobody's business.
    fn failure(&self, request: &Request, error: &ureq::Error) -> TransportError {
        let kind = kind(error);
        // Until TLS with the server begins, only the proxy has been talked to.
        let connecting =
            matches!(kind, TransportErrorKind::Proxy | TransportErrorKind::Connect | TransportErrorKind::Dns);
        let proxy = self.proxy(request).filter(|_| connecting);
        let kind = if proxy.is_some() { TransportErrorKind::Proxy } else { kind };
        let place = proxy.map_or_else(
            || Url::parse(request.url()).map_or_else(|_| String::new(), |url| authority(&url).to_owned()),
            |(_, proxy)| proxy.to_string(),
        );
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

    /// The time limit for name, connection and TLS, within [`timeout`](HttpBuilder::timeout). Default: 10 seconds. The addresses
    /// of a host are tried one after the other: where IPv6 leads nowhere, IPv4 has its turn after two thirds of this time.
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
        self.build_with(Agent::new_with_config)
    }

    /// The same, with another way from the settings to the client.
    fn build_with(self, agent: impl Fn(Config) -> Agent) -> Result<Http, HttpError> {
        let proxy = match self.route {
            Route::Environment => Proxy::from_env(|name| std::env::var(name).ok())?,
            Route::Direct => None,
            Route::Through(address) => Some(Proxy::new(&address, "the proxy setting")?),
        };
        let user_agent = user_agent(&self.user_agent)?;
        let tls = tls(self.roots.as_deref())?;
        // What a feature of ureq turns on, another crate in the same build may have enabled: so it is all said here.
        let client = |proxy| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .accept_encoding(AutoHeaderValue::None)
                .proxy(proxy)
                .timeout_global(Some(self.timeout))
                .timeout_resolve(Some(self.connect_timeout))
                .timeout_connect(Some(self.connect_timeout))
                .max_idle_age(KEPT_IDLE)
                .max_response_header_size(MAX_HEAD)
                .input_buffer_size(INPUT)
                .output_buffer_size(OUTPUT)
                .user_agent(user_agent)
                .tls_config(tls.clone())
                .build();
            agent(config)
        };
        let through = |proxy: Proxy| {
            let address = ureq::Proxy::new(proxy.url().as_str());
            let address = address.map_err(|_| HttpError::Setup(format!("{proxy} is not understood")))?;
            Ok((client(Some(address)), proxy))
        };
        Ok(Http {
            client: client(None),
            proxy: proxy.map(through).transpose()?,
            clock: Clock::start(),
            watch: self.watch,
        })
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

/// How long a connection is kept for the next request: longer than any usual wait. The server mostly closes it earlier.
const KEPT_IDLE: Duration = Duration::from_secs(120);

const UNTRUSTED: TransportErrorKind = TransportErrorKind::UntrustedCertificate;

/// The limit of an answer's status line and headers together.
const MAX_HEAD: usize = 48 * 1024;

/// The buffer that a connection reads into: above the limit of the head, which ureq would otherwise not notice.
const INPUT: usize = 64 * 1024;

/// The buffer that a connection writes from; a request fits.
const OUTPUT: usize = 16 * 1024;

fn user_agent(text: &str) -> Result<&str, HttpError> {
    HeaderValue::from_str(text).ok().filter(|_| text.is_ascii()).map(|_| text).ok_or(HttpError::BadUserAgent)
}

fn outgoing(request: &Request) -> Result<http::Request<&[u8]>, TransportError> {
    let mut outgoing = http::Request::builder().method(request.method().as_str()).uri(request.url());
    for (name, value) in request.headers() {
        let mut value = HeaderValue::from_str(value).map_err(|error| other(&error))?;
        value.set_sensitive(name == "authorization");
        outgoing = outgoing.header(name, value);
    }
    outgoing.body(request.body()).map_err(|error| other(&error))
}

fn tls(roots: Option<&[u8]>) -> Result<TlsConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = match roots {
        Some(pem) => {
            let roots = roots::read(pem)?;
            let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
            RootCerts::new_with_certs(&roots)
        }
        None => system_roots(&provider)?,
    };
    let builder = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(roots);
    Ok(builder.unversioned_rustls_crypto_provider(provider).build())
}

/// ureq loads the system's certificates with the first connection, too late to say that there are none.
fn system_roots(provider: &Arc<CryptoProvider>) -> Result<RootCerts, HttpError> {
    Verifier::new(provider.clone()).map_err(|error| HttpError::NoSystemRoots(error.to_string()))?;
    Ok(RootCerts::PlatformVerifier)
}

fn kind(error: &ureq::Error) -> TransportErrorKind {
    use ureq::Error as Ureq;
    if let Some(error) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return tls_kind(error);
    }
    if matches!(error, Ureq::Timeout(_)) {
        TransportErrorKind::Timeout
    } else if matches!(error, Ureq::HostNotFound)
        || causes(error).filter_map(|cause| cause.downcast_ref()).any(is_lookup)
    {
        TransportErrorKind::Dns
    } else if let Some(kind) = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).find_map(io_kind) {
        kind
    } else if matches!(error, Ureq::ConnectProxyFailed(_) | Ureq::InvalidProxyUrl) {
        TransportErrorKind::Proxy
    } else if matches!(error, Ureq::ConnectionFailed) {
        TransportErrorKind::Connect
    } else if matches!(error, Ureq::Tls(_) | Ureq::TlsRequired) {
        TransportErrorKind::Tls
    } else if matches!(error, Ureq::Protocol(_) | Ureq::LargeResponseHeader(..)) {
        TransportErrorKind::InvalidHttp
    } else {
        TransportErrorKind::Other
    }
}

/// A failed `getaddrinfo` has no kind in `std`, which gives it its own text, or on Windows the system's error.
fn is_lookup(error: &io::Error) -> bool {
    error.to_string().starts_with("failed to lookup address information")
        || (cfg!(windows) && error.raw_os_error().is_some_and(|code| (11_001..=11_004).contains(&code)))
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

/// An error and all below it. What an `io::Error` wraps is no `source` of its own, nor is what ureq's error wraps, and just
/// there lie the TLS errors.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            error.get_ref().map(|inner| inner as &(dyn Error + 'static))
        } else if let Some(ureq::Error::Io(inner)) = error.downcast_ref() {
            Some(inner)
        } else if let Some(ureq::Error::Rustls(inner)) = error.downcast_ref() {
            Some(inner)
        } else {
            error.source()
        }
    })
}

fn other(error: &dyn fmt::Display) -> TransportError {
    TransportError::new(TransportErrorKind::Other).with_detail(&error.to_string())
}

#[cfg(all(test, unix))]
mod tests;
