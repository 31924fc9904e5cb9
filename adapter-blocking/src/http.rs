//! Owns `Http`, the transport on ureq: its safe settings, the one way to send a request, and what each failure means.

use crate::Transport;
use crate::clock::now;
use crate::gate::Gate;
use device_flow_adapter::failure::{cause, io_kind, no_turn, other, tls_kind, words};
use device_flow_adapter::{
    Answer, ClientCertificate, ExchangeWatcher, HttpClient, HttpError, HttpSettings, Proxy, Roots, through,
};
use device_flow_core::{Method, Request, TransportError, TransportErrorKind};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use std::error::Error;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use ureq::config::Config;
use ureq::http::header::HeaderValue;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, AsSendBody, http};
use url::Url;
use zeroize::Zeroizing;

/// The [`Transport`] of this crate: an HTTP client that is built here, so that it cannot follow redirects.
///
/// Cheap to clone; clones share connections. Redirects, decompression, cookies and referrers are off, HTTP is version 1.1, TLS is
/// 1.2 or later, and an answer is read up to what the machine asks for and no further. The addresses of a host are tried one
/// after the other: where IPv6 leads nowhere, IPv4 is tried after two thirds of
/// [`connect_timeout`](device_flow_adapter::HttpBuilder::connect_timeout).
#[derive(Clone)]
pub struct Http {
    client: Agent,
    proxy: Option<(Agent, Proxy)>,
    timeout: Duration,
    gate: Option<Arc<Gate>>,
    watcher: ExchangeWatcher,
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
        Proxy::address_for(self.proxy.as_ref().map(|(_, proxy)| proxy), url)
    }

    fn exchange(&self, request: &Request) -> Result<Answer, TransportError> {
        let max = request.max_response().saturating_add(1);
        let mut response = self.execute(request)?;
        let status = response.status().as_u16();
        let expected = response.body().content_length().map_or(0, |length| usize::try_from(length).unwrap_or(max));
        let mut body = Zeroizing::new(Vec::with_capacity(expected.min(max)));
        let mut reader = response.body_mut().as_reader().take(u64::try_from(max).unwrap_or(u64::MAX));
        reader.read_to_end(&mut body).map_err(|error| self.failure(request, &error.into()))?;
        Ok(Answer::new(status, body).headers(std::mem::take(response.headers_mut())))
    }

    fn execute(&self, request: &Request) -> Result<http::Response<ureq::Body>, TransportError> {
        let client = self.proxy(request).map_or(&self.client, |(client, _)| client);
        let outgoing = outgoing(request)?;
        let limit = request.time_limit().map(|limit| limit.min(self.timeout));
        let response = match (request.method(), limit) {
            (Method::Get, None) => client.run(outgoing.map(|_| ())),
            (Method::Post, None) => client.run(outgoing),
            (Method::Get, limit) => client.run(limited(client, outgoing.map(|_| ()), limit)),
            (Method::Post, limit) => client.run(limited(client, outgoing, limit)),
        };
        response.map_err(|error| self.failure(request, &error))
    }

    fn proxy(&self, request: &Request) -> Option<&(Agent, Proxy)> {
        self.proxy.as_ref().filter(|(_, proxy)| Url::parse(request.url()).is_ok_and(|url| proxy.serves(&url)))
    }

    /// What a failure means, with its innermost cause in words. Of the URL only the host is shown: a query may be private.
    fn failure(&self, request: &Request, error: &ureq::Error) -> TransportError {
        let kind = kind(error);
        // Until TLS with the server begins, only the proxy has been talked to.
        let connecting =
            matches!(kind, TransportErrorKind::Proxy | TransportErrorKind::Connect | TransportErrorKind::Dns);
        let proxy = self.proxy(request).filter(|_| connecting);
        let kind = if proxy.is_some() { TransportErrorKind::Proxy } else { kind };
        let all = self.proxy.as_ref().map(|(_, proxy)| proxy);
        let place = proxy.map_or_else(
            || Url::parse(request.url()).map_or_else(|_| String::new(), |url| through(all, &url)),
            |(_, proxy)| proxy.to_string(),
        );
        let cause = causes(error).last().map(words).unwrap_or_default();
        TransportError::new(kind).with_detail(&format!("{place}: {cause}"))
    }
}

impl Transport for Http {
    fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let _turn = match &self.gate {
            Some(gate) => {
                let turn = gate.enter(request.time_limit());
                Some(turn.filter(|_| !request.is_expired(now())).ok_or_else(no_turn)?)
            }
            None => None,
        };
        let watched = self.watcher.begins(&request);
        let answer = self.exchange(&request);
        if let Some(watched) = watched {
            watched.ends(&answer);
        }
        answer
    }
}

impl HttpClient for Http {
    fn from_settings(settings: HttpSettings) -> Result<Self, HttpError> {
        from_settings(settings, agent)
    }
}

/// The client with these settings, with this way from a configuration of ureq to its client.
pub(crate) fn from_settings(settings: HttpSettings, agent: impl Fn(Config) -> Agent) -> Result<Http, HttpError> {
    let tls = tls(settings.roots, settings.client_certificate)?;
    let user_agent = settings.user_agent.to_str().map_err(|_| HttpError::BadUserAgent)?;
    // Every default that a feature of ureq changes is set here: another crate in the same build may have enabled it.
    let client = |proxy| {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Without it a server may use any coding (RFC 9110 §12.5.3), and none is decoded here.
            .accept_encoding("identity")
            .proxy(proxy)
            .timeout_global(Some(settings.timeout))
            .timeout_resolve(Some(settings.connect_timeout))
            .timeout_connect(Some(settings.connect_timeout))
            .max_idle_age(KEPT_IDLE)
            // Every one is kept, so that there are as many as there were requests at once, and no request waits for another one.
            .max_idle_connections(usize::MAX)
            .max_idle_connections_per_host(usize::MAX)
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
    let (client, proxy) = (client(None), settings.proxy.map(through).transpose()?);
    let gate = settings.max_in_flight.map(|most| Arc::new(Gate::new(most)));
    Ok(Http { client, proxy, timeout: settings.timeout, gate, watcher: settings.watcher })
}

#[cfg(unix)]
fn agent(config: Config) -> Agent {
    crate::connect::agent(config, ureq::unversioned::resolver::DefaultResolver::default())
}

/// With ureq's own connections, which start a thread for each request.
#[cfg(not(unix))]
fn agent(config: Config) -> Agent {
    Agent::new_with_config(config)
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// How long a connection is kept for the next request: longer than any usual wait. The server mostly closes it earlier.
const KEPT_IDLE: Duration = Duration::from_secs(120);

/// The limit of an answer's status line and headers together.
const MAX_HEAD: usize = 48 * 1024;

/// The buffer that a connection reads into: above the limit of the head, which ureq would otherwise not notice.
const INPUT: usize = 64 * 1024;

/// The buffer that a connection writes from; a request fits.
const OUTPUT: usize = 16 * 1024;

fn outgoing(request: &Request) -> Result<http::Request<&[u8]>, TransportError> {
    let mut outgoing = http::Request::builder().method(request.method().as_str()).uri(request.url());
    for (name, value) in request.headers() {
        let mut value = HeaderValue::from_str(value).map_err(|error| other(&error))?;
        // It may be credentials, or a proof.
        value.set_sensitive(true);
        outgoing = outgoing.header(name, value);
    }
    outgoing.body(request.body()).map_err(|error| other(&error))
}

/// A request with a shorter time limit than the client's.
fn limited<B: AsSendBody>(client: &Agent, request: http::Request<B>, limit: Option<Duration>) -> http::Request<B> {
    client.configure_request(request).timeout_global(limit).build()
}

fn tls(roots: Roots, client: Option<ClientCertificate>) -> Result<TlsConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = match roots {
        Roots::System => system_roots(&provider)?,
        // ureq's verifier of the system takes no further certificates. Those that cannot be read are passed over, as it does.
        Roots::SystemAnd(added) => only(&[rustls_native_certs::load_native_certs().certs, added].concat()),
        Roots::Only(roots) => only(&roots),
    };
    let builder = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(roots);
    let client = client.as_ref().map(client_certificate).transpose()?;
    Ok(builder.client_cert(client).unversioned_rustls_crypto_provider(provider).build())
}

fn only(roots: &[CertificateDer<'_>]) -> RootCerts {
    let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    RootCerts::new_with_certs(&roots)
}

fn client_certificate(client: &ClientCertificate) -> Result<ClientCert, HttpError> {
    let chain: Vec<_> = client.chain().iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let key = PrivateKey::from_pem(client.key_pem()).map_err(|_| HttpError::NoClientKey)?;
    Ok(ClientCert::new_with_certs(&chain, key))
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

/// An error and all below it. What ureq's error wraps is no `source` of its own.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref() {
        Some(ureq::Error::Io(inner)) => Some(inner),
        Some(ureq::Error::Rustls(inner)) => Some(inner),
        _ => cause(error),
    })
}
