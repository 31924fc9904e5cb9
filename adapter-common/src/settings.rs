//! Owns the settings of an HTTP client, their defaults and their checks, whatever client they are for.

use crate::client_certificate::ClientCertificate;
use crate::exchange::{Exchange, ExchangeWatcher};
use crate::proxy::Proxy;
use crate::roots::Roots;
use http::HeaderValue;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;
use zeroize::Zeroizing;

/// An HTTP client that is made from [`HttpSettings`]: the `Http` of each adapter.
pub trait HttpClient: Sized {
    /// The client with these settings.
    ///
    /// # Errors
    /// [`HttpError`] when the client cannot be had with them.
    fn from_settings(settings: HttpSettings) -> Result<Self, HttpError>;
}

/// The settings of an adapter's `Http`.
#[derive(Clone)]
#[must_use = "settings do nothing until `build`"]
pub struct HttpBuilder<C> {
    timeout: Duration,
    connect_timeout: Duration,
    max_in_flight: Option<usize>,
    user_agent: String,
    roots: Option<Vec<u8>>,
    added_roots: Option<Vec<u8>>,
    has_roots: bool,
    client_certificate: Option<Zeroizing<Vec<u8>>>,
    client_key: Option<Zeroizing<Vec<u8>>>,
    route: Route,
    watcher: ExchangeWatcher,
    client: PhantomData<fn() -> C>,
}

/// Where the proxy comes from.
#[derive(Clone)]
enum Route {
    Environment,
    Direct,
    Through(String),
}

impl<C> HttpBuilder<C> {
    /// The time limit of a request unless [`timeout`](Self::timeout) names another.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
}

impl<C: HttpClient> HttpBuilder<C> {
    /// The defaults.
    #[expect(clippy::new_without_default, reason = "made by `Http::builder`")]
    pub fn new() -> Self {
        Self {
            timeout: Self::DEFAULT_TIMEOUT,
            connect_timeout: Duration::from_secs(10),
            max_in_flight: None,
            user_agent: concat!("device-flow/", env!("CARGO_PKG_VERSION")).to_owned(),
            roots: None,
            added_roots: None,
            has_roots: true,
            client_certificate: None,
            client_key: None,
            route: Route::Environment,
            watcher: ExchangeWatcher::default(),
            client: PhantomData,
        }
    }

    /// The time limit of a whole request: name, connection, TLS, request, and the answer to its last byte, however slowly
    /// it trickles in. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The time limit for name, connection and TLS, within [`timeout`](Self::timeout). Default: 10 seconds. The client's own
    /// documentation says how it tries a host with several addresses.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How many requests are in flight at most, over this client and its clones; 0 counts as 1. Others wait for their turn, in
    /// order, and the time limit of each begins with it. A poll whose code expires meanwhile is not sent, and a refresh waits no
    /// longer than it may take. Default: no limit, which with thousands of sign-ins means thousands of connections; a fleet has
    /// a limit of its own.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = Some(requests.max(1));
        self
    }

    /// What to say in the `user-agent` header. Default: `device-flow/` and the version.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Trusts these root certificates **instead of** the system's: one or more in PEM, such as the content of a bundle file.
    /// Default: what the operating system trusts.
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Trusts these root certificates, in PEM, **as well**: beside the system's, or beside those of
    /// [`root_certificates_pem`](Self::root_certificates_pem). For a company's own authority, or a proxy that inspects TLS.
    pub fn added_root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.added_roots = Some(pem.into());
        self
    }

    /// Trusts no root certificate at all, so that no https server is ever reached: for a client that only talks http to
    /// loopback, on a system that may have no root certificates.
    pub fn no_root_certificates(mut self) -> Self {
        self.has_roots = false;
        self
    }

    /// The client's own certificate, with which it proves who it is (mutual TLS, RFC 8705): PEM text with the certificate, those
    /// of its issuers after it as far as the server needs them, and its private key, unless
    /// [`client_key_pem`](Self::client_key_pem) has the key. The key is RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519, in
    /// PKCS#8, PKCS#1 or SEC1, and not encrypted. Default: none.
    ///
    /// It is shown to every https server that asks for one, whatever the request, and to no proxy: one with an `https://`
    /// address could ask for it, too, and is refused by [`build`](Self::build). With TLS 1.2 the certificate, though not the
    /// key, can be read on the way. Whether it has expired is for the server to say.
    ///
    /// A client has one certificate, and so have its clones, which share its connections. For another certificate, or for none,
    /// build another client. A renewed certificate needs a new client, too.
    ///
    /// To be known by it, a protocol client says so as well: `ClientBuilder::tls_client_auth`, `self_signed_tls_client_auth`, or
    /// `certificate_bound_tokens`.
    ///
    /// The text is wiped from memory with these settings; ring and the HTTP client keep the key, unwiped, as long as they live.
    ///
    /// ```
    /// # use device_flow_adapter::{HttpBuilder, HttpClient, HttpError};
    /// # fn of_an_adapter<Http: HttpClient>(builder: HttpBuilder<Http>) -> Result<(), Box<dyn std::error::Error>> {
    /// // `builder` is `Http::builder()` of an adapter.
    /// let certificate = std::fs::read("client.pem")?;
    /// let http = builder.client_certificate_pem(certificate).client_key_pem(std::fs::read("client.key")?).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_certificate_pem(mut self, chain_and_key: impl Into<Vec<u8>>) -> Self {
        self.client_certificate = Some(Zeroizing::new(chain_and_key.into()));
        self
    }

    /// The private key of the [client certificate](Self::client_certificate_pem), in PEM, where it is in a file of its own.
    pub fn client_key_pem(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.client_key = Some(Zeroizing::new(key.into()));
        self
    }

    /// Goes through this proxy, whatever the environment says: `http://`, `https://` or `socks5://` (RFC 1928; `socks5h://`
    /// is the same), host, port, and a user name and password where it asks for them. It looks the names of servers up. Never
    /// for loopback.
    ///
    /// Default: the first of `HTTPS_PROXY`, `https_proxy`, `ALL_PROXY`, `all_proxy` that is set, unless `NO_PROXY` (or
    /// `no_proxy`) names the host, a domain above it, its network (`10.0.0.0/8`), or `*`.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.route = Route::Through(url.into());
        self
    }

    /// Goes through no proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.route = Route::Direct;
        self
    }

    /// Calls `watcher` at the end of every request: for a log, since an [`Exchange`] holds no secret. It is called where the
    /// request was made, and the next step waits for it; it also hears of a request that is given up on its way.
    pub fn on_exchange(mut self, watcher: impl Fn(&Exchange) + Send + Sync + 'static) -> Self {
        self.watcher = ExchangeWatcher::new(watcher);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`HttpError`] when a setting is unusable, or the system has no root certificates and none were given.
    pub fn build(self) -> Result<C, HttpError> {
        C::from_settings(self.check()?)
    }

    /// The settings, checked, for a client that is made in another way.
    ///
    /// # Errors
    /// [`HttpError`] when a setting is unusable.
    pub fn check(self) -> Result<HttpSettings, HttpError> {
        let user_agent = HeaderValue::from_str(&self.user_agent).ok().filter(|_| self.user_agent.is_ascii());
        let key = self.client_key.as_ref().or(self.client_certificate.as_ref());
        let chain = self.client_certificate.as_deref().map_or(&[][..], Vec::as_slice);
        let client_certificate = key.map(|key| ClientCertificate::read(chain, key)).transpose()?;
        let proxy = match self.route {
            Route::Environment => Proxy::from_env(|name| std::env::var(name).ok())?,
            Route::Direct => None,
            Route::Through(address) => Some(Proxy::new(&address, "the proxy setting")?),
        };
        if client_certificate.is_some() && proxy.as_ref().is_some_and(|proxy| proxy.url().scheme() == "https") {
            return Err(HttpError::ClientCertificateAndHttpsProxy);
        }
        // Read in any case: a mistake in them is told.
        let roots = Roots::read(self.roots.as_deref(), self.added_roots.as_deref())?;
        Ok(HttpSettings {
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            max_in_flight: self.max_in_flight,
            user_agent: user_agent.ok_or(HttpError::BadUserAgent)?,
            roots: if self.has_roots { roots } else { Roots::Only(vec![]) },
            client_certificate,
            proxy,
            watcher: self.watcher,
        })
    }
}

impl<C> fmt::Debug for HttpBuilder<C> {
    /// A proxy's address may hold a password, and a private key is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBuilder")
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}

/// Settings that were checked, as [`HttpBuilder`] describes them.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpSettings {
    /// The time limit of a whole request.
    pub timeout: Duration,
    /// The time limit for name, connection and TLS.
    pub connect_timeout: Duration,
    /// How many requests are in flight at most; at least 1.
    pub max_in_flight: Option<usize>,
    /// Printable ASCII.
    pub user_agent: HeaderValue,
    /// What is trusted.
    pub roots: Roots,
    /// What is shown to a server that asks for the client's certificate. Never together with an `https://` proxy.
    pub client_certificate: Option<ClientCertificate>,
    /// The proxy, and the hosts that are reached without it.
    pub proxy: Option<Proxy>,
    /// Hears of every request.
    pub watcher: ExchangeWatcher,
}

impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}

/// Why there is no HTTP client. The text of each says what to do, and shows no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The root certificates are not PEM text.
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
    /// The system's trusted certificates could not be loaded.
    #[error(
        "no trusted certificates on this system ({0}): install its ca-certificates package, or name a file with root certificates"
    )]
    NoSystemRoots(String),
    /// The client certificate, or its key, is not PEM text.
    #[error(
        "the client certificate or its key is not in PEM: convert a .p12 or .pfx file with `openssl pkcs12 -in FILE -nodes -out FILE.pem`, a certificate in DER with `openssl x509 -inform der -in FILE -out FILE.pem`, a key in DER with `openssl pkey -inform der -in FILE -out FILE.pem`"
    )]
    ClientCertificateNotPem,
    /// The PEM text of the client certificate, or of its key, cannot be decoded.
    #[error(
        "the PEM text of the client certificate or its key is damaged: copy it again, whole, from -----BEGIN to -----END"
    )]
    DamagedClientCertificate,
    /// There is a key, but no certificate.
    #[error(
        "there is no client certificate: PEM text with -----BEGIN CERTIFICATE----- is needed, the client's own certificate first"
    )]
    NoClientCertificate,
    /// The client's own certificate cannot be read.
    #[error(
        "the client certificate cannot be used: it is damaged, or not of X.509 version 3; OpenSSL makes one of version 3 when it is given extensions (-extfile or -addext)"
    )]
    UnusableClientCertificate,
    /// There is a certificate, but no key.
    #[error(
        "there is no private key for the client certificate: PEM text with -----BEGIN PRIVATE KEY----- is needed, after the certificate or in a text of its own"
    )]
    NoClientKey,
    /// The key is protected by a passphrase.
    #[error(
        "the private key of the client certificate is encrypted: decrypt it with `openssl pkey -in FILE -out FILE.pem`, and let nobody else read the result"
    )]
    EncryptedClientKey,
    /// The key is damaged, or of a kind that cannot be used.
    #[error(
        "the private key of the client certificate cannot be used: RSA of 2048 to 4096 bits, P-256, P-384 and Ed25519 are; one without its public half (Java writes such keys) is completed by `openssl ec -in FILE -out FILE.pem`"
    )]
    UnusableClientKey,
    /// The key belongs to another certificate.
    #[error(
        "the private key does not belong to the client certificate: give the key of the first certificate in the text, or put the client's own certificate before those of its issuers"
    )]
    ClientKeyMismatch,
    /// A proxy that is reached over https could ask for the certificate, too.
    #[error(
        "a client certificate cannot be used together with an https:// proxy, which could ask for it, too: use an http:// proxy, or none"
    )]
    ClientCertificateAndHttpsProxy,
    /// The proxy setting or environment variable of this name is unusable.
    #[error("{0} is not a usable proxy address: expected http://host:port, https://host:port or socks5://host:port")]
    BadProxy(&'static str),
    /// The user agent cannot be a header value.
    #[error("the user agent must be printable ASCII text")]
    BadUserAgent,
    /// The HTTP client refused its settings.
    #[error("the HTTP client could not be set up: {0}")]
    Setup(String),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test reports")]
mod tests {
    use super::*;

    struct Client;

    impl HttpClient for Client {
        fn from_settings(_: HttpSettings) -> Result<Self, HttpError> {
            Ok(Self)
        }
    }

    #[test]
    fn without_root_certificates_none_is_trusted() {
        let roots = |builder: HttpBuilder<Client>| builder.check().map(|settings| settings.roots);
        assert!(matches!(roots(HttpBuilder::new()), Ok(Roots::System)));
        let none = roots(HttpBuilder::new().no_root_certificates());
        assert!(matches!(&none, Ok(Roots::Only(roots)) if roots.is_empty()), "{none:?}");
        // A mistake is still told.
        let mistaken = roots(HttpBuilder::new().root_certificates_pem("x").no_root_certificates());
        assert_eq!(mistaken.unwrap_err(), HttpError::RootsNotPem);
    }

    #[test]
    fn debug_shows_the_limits_and_no_secret() {
        let builder = || {
            HttpBuilder::<Client>::new()
                .timeout(Duration::from_secs(71))
                .connect_timeout(Duration::from_secs(72))
                .max_in_flight(73)
                .proxy("http://me:canary@proxy.test:1")
        };
        for shown in [format!("{:?}", builder()), format!("{:?}", builder().check().unwrap())] {
            assert!(["71s", "72s", "73"].iter().all(|limit| shown.contains(limit)), "{shown}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
