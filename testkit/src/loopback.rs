//! Owns `Loopback`: a small HTTP server on loopback, with TLS or without; a test decides every byte that it sends, and
//! it records what it receives. Owns the certificates for it, too.

use device_flow_core::{Client, ClientBuilder, Provider};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

mod mutual_tls;

pub use mutual_tls::{ClientIdentity, KeyKind, TLS_VERSIONS};

/// A server on a free port of 127.0.0.1, with one thread for each connection. It keeps connections open unless told
/// otherwise.
pub struct Loopback {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
    closed: AtomicUsize,
}

/// One request as it was received.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The number of the connection, counted from 0.
    pub connection: usize,
    /// The number of the request among all of this server, counted from 0.
    pub number: usize,
    /// When its last byte was read.
    pub at: Instant,
    /// The target, as in the request line.
    pub target: String,
    /// Request line and headers, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
    /// The whole request, byte for byte.
    pub bytes: Vec<u8>,
    /// The certificate that the client has shown, in DER.
    pub client_certificate: Option<Vec<u8>>,
}

/// What happens to the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It waits for the next request.
    Keep,
    /// It is closed (FIN).
    Close,
    /// It is reset (RST).
    Reset,
    /// It is closed in one direction: the server sends no more, but reads until the client goes.
    HalfClose,
    /// It stays open, and the server sends no more, until the client goes.
    Hang,
}

/// How long a silent server waits for the client to go: if the client never does, the test must fail and not hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// The certificate of a connection, by the number of requests before it.
type Certificates = dyn Fn(usize) -> Arc<ServerConfig> + Send + Sync;

impl Loopback {
    /// A server for plain HTTP.
    pub fn http(serve: impl Fn(&Asked, &mut dyn Write) -> Next + Send + Sync + 'static) -> Self {
        Self::start("http", None, serve)
    }

    /// A server for HTTPS.
    pub fn https(
        tls: Arc<ServerConfig>,
        serve: impl Fn(&Asked, &mut dyn Write) -> Next + Send + Sync + 'static,
    ) -> Self {
        Self::https_by(move |_| tls.clone(), serve)
    }

    /// The same with a certificate for each connection, chosen by the number of requests before it.
    pub fn https_by(
        certificate: impl Fn(usize) -> Arc<ServerConfig> + Send + Sync + 'static,
        serve: impl Fn(&Asked, &mut dyn Write) -> Next + Send + Sync + 'static,
    ) -> Self {
        Self::start("https", Some(Arc::new(certificate)), serve)
    }

    fn start(
        scheme: &'static str,
        tls: Option<Arc<Certificates>>,
        serve: impl Fn(&Asked, &mut dyn Write) -> Next + Send + Sync + 'static,
    ) -> Self {
        // What clients log is printed when `RUST_LOG` asks for it, so that the whole test run can be searched for
        // secrets.
        let _ = env_logger::builder().is_test(true).try_init();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (serve, shared) = (Arc::new(serve), seen.clone());
        // The thread lives as long as the test process; ending it earlier would gain nothing.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
                let (stream, tls, serve, shared) = (stream.unwrap(), tls.clone(), serve.clone(), shared.clone());
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let socket = stream.try_clone().unwrap();
                    let next = match tls {
                        None => talk(stream, connection, &shared, &*serve, |_| None),
                        Some(tls) => {
                            let before = shared.requests.lock().unwrap().len();
                            let session = ServerConnection::new(tls(before)).unwrap();
                            talk(StreamOwned::new(session, stream), connection, &shared, &*serve, client_certificate)
                        }
                    };
                    match next.unwrap_or(Next::Close) {
                        Next::Keep | Next::Close => {}
                        Next::Reset => {
                            rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
                        }
                        next @ (Next::HalfClose | Next::Hang) => {
                            if next == Next::HalfClose {
                                // The client may have gone away.
                                let _ = socket.shutdown(Shutdown::Write);
                            }
                            socket.set_read_timeout(Some(PATIENCE)).unwrap();
                            let _ = io::copy(&mut &socket, &mut io::sink());
                        }
                    }
                    drop(socket);
                    shared.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, scheme, seen }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// A client for the authorization server that [`sign_in`] plays.
    pub fn client(&self) -> Client {
        self.client_builder().build().unwrap()
    }

    /// The same, not yet built.
    pub fn client_builder(&self) -> ClientBuilder {
        let provider = Provider::endpoints(self.url("/device"), self.url("/token"));
        Client::builder(provider, "client").allow_http_loopback()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Asked> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// The requests for tokens so far.
    pub fn polls(&self) -> Vec<Asked> {
        self.requests().into_iter().filter(|asked| asked.target == "/token").collect()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many of them were closed, by either side.
    pub fn closed(&self) -> usize {
        self.seen.closed.load(Ordering::SeqCst)
    }
}

fn talk<S: Read + Write>(
    stream: S,
    connection: usize,
    seen: &Seen,
    serve: &dyn Fn(&Asked, &mut dyn Write) -> Next,
    client_certificate: fn(&S) -> Option<Vec<u8>>,
) -> io::Result<Next> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length, mut last) = (String::new(), 0, false);
        loop {
            let start = head.len();
            if stream.read_line(&mut head)? == 0 {
                return Ok(Next::Close);
            }
            let line = head[start..].trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            last |= line == "connection: close";
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let client_certificate = client_certificate(stream.get_ref());
        let asked = {
            let mut requests = seen.requests.lock().unwrap();
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let asked = Asked {
                connection,
                number: requests.len(),
                at: Instant::now(),
                target,
                head: head.to_ascii_lowercase(),
                body: String::from_utf8_lossy(&body).into_owned(),
                bytes: [head.as_bytes(), &body].concat(),
                client_certificate,
            };
            requests.push(asked.clone());
            asked
        };
        match serve(&asked, stream.get_mut()) {
            Next::Keep if last => return Ok(Next::Close),
            Next::Keep => {}
            next @ (Next::Close | Next::Reset | Next::HalfClose | Next::Hang) => return Ok(next),
        }
    }
}

fn client_certificate(stream: &StreamOwned<ServerConnection, TcpStream>) -> Option<Vec<u8>> {
    Some(stream.conn.peer_certificates()?.first()?.to_vec())
}

/// Starts a proxy that connects every tunnel to this port of 127.0.0.1, whatever host is requested, and passes the head
/// of each CONNECT request to `check`. Returns the proxy's own port.
pub fn tunnel_to(port: u16, check: impl Fn(&str) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        'connections: for near in listener.incoming() {
            let mut near = near.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if near.read_exact(&mut byte).is_err() {
                    // A client that only checks whether there is a proxy.
                    continue 'connections;
                }
                head.extend(byte);
            }
            check(&String::from_utf8(head).unwrap());
            near.write_all(b"HTTP/1.1 200 Connected\r\nSet-Cookie: canary\r\n\r\n").unwrap();
            join(near, port);
        }
    });
    own
}

/// Carries what comes on a connection to this port of 127.0.0.1, and back.
fn join(near: TcpStream, port: u16) {
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
        thread::spawn(move || io::copy(&mut from, &mut to));
    }
}

/// Starts a SOCKS5 proxy (RFC 1928, RFC 1929) that connects everybody to this port of 127.0.0.1, whatever is requested; without
/// one, its rules allow nothing. `seen` hears of each request, as `user:password@host:port`. Returns the proxy's own port.
pub fn socks_to(port: Option<u16>, seen: impl Fn(String) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for near in listener.incoming() {
            let mut near = near.unwrap();
            // Who only checks whether there is a proxy sends nothing.
            let Ok(asked) = socks_request(&mut near) else { continue };
            seen(asked);
            let reply = if port.is_some() { 0 } else { 2 };
            near.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            if let Some(port) = port {
                join(near, port);
            }
        }
    });
    own
}

/// The greeting and the request of a client of SOCKS5.
fn socks_request(near: &mut TcpStream) -> io::Result<String> {
    fn take<const N: usize>(near: &mut TcpStream) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        near.read_exact(&mut bytes)?;
        Ok(bytes)
    }
    /// After its length in one byte.
    fn text(near: &mut TcpStream) -> io::Result<Vec<u8>> {
        let [length] = take(near)?;
        let mut bytes = vec![0; length.into()];
        near.read_exact(&mut bytes)?;
        Ok(bytes)
    }
    let show = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let [version] = take(near)?;
    let by_password = text(near)?.contains(&2);
    near.write_all(&[5, if by_password { 2 } else { 0 }])?;
    let mut asked = String::new();
    if by_password {
        let [_version] = take(near)?;
        asked = format!("{}:{}@", show(text(near)?), show(text(near)?));
        near.write_all(&[1, 0])?;
    }
    let [again, connect, _, kind] = take(near)?;
    assert_eq!((version, again, connect), (5, 5, 1));
    asked += &match kind {
        1 => Ipv4Addr::from(take::<4>(near)?).to_string(),
        3 => show(text(near)?),
        _ => Ipv6Addr::from(take::<16>(near)?).to_string(),
    };
    Ok(format!("{asked}:{}", u16::from_be_bytes(take(near)?)))
}

/// Writes a whole answer. The client may have gone away; then the connection is closed.
pub fn answer(wire: &mut dyn Write, status: u16, headers: &str, body: &str) -> Next {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\n{headers}\r\n");
    match wire.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).and_then(|()| wire.flush()) {
        Ok(()) => Next::Keep,
        Err(_) => Next::Close,
    }
}

/// Plays an authorization server: a code with an interval of one second, then one of these error codes for each poll,
/// then a token.
pub fn sign_in(errors: &'static [&'static str]) -> impl Fn(&Asked, &mut dyn Write) -> Next + Send + Sync + 'static {
    let polls = AtomicUsize::new(0);
    move |asked, wire| {
        if asked.target.starts_with("/device") {
            return device_answer(wire);
        }
        match errors.get(polls.fetch_add(1, Ordering::SeqCst)) {
            Some(error) => error_answer(wire, error),
            None => token_answer(wire),
        }
    }
}

/// Answers with a code that has an interval of one second and lives for half an hour.
pub fn device_answer(wire: &mut dyn Write) -> Next {
    let code = r#"{"device_code":"device-code-1-canary","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":1800,"interval":1}"#;
    answer(wire, 200, JSON, code)
}

/// Answers with an OAuth error.
pub fn error_answer(wire: &mut dyn Write, error: &str) -> Next {
    answer(wire, 400, JSON, &format!(r#"{{"error":"{error}"}}"#))
}

/// Answers with a token.
pub fn token_answer(wire: &mut dyn Write) -> Next {
    answer(wire, 200, JSON, r#"{"access_token":"token-1-canary","token_type":"Bearer","expires_in":3600}"#)
}

/// The header of JSON answers.
pub const JSON: &str = "Content-Type: application/json\r\n";

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one, which no system trusts.
    #[expect(clippy::new_without_default, reason = "each one is different")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // With the default name of rcgen, OpenSSL would mistake the certificates that it issues for self-signed ones.
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server certificate for these names or addresses.
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.server_with(names, |_| {})
    }

    /// The same with parameters changed, for example [`expired`].
    pub fn server_with(&self, names: &[&str], refine: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue(names, refine);
        server_config(certificate.der().clone(), &key)
    }

    /// A server certificate for these names or addresses and its key, in PEM: for a server that is not of this crate.
    pub fn server_pem(&self, names: &[&str]) -> (String, String) {
        let (certificate, key) = self.issue(names, |_| {});
        (certificate.pem(), key.serialize_pem())
    }

    fn issue(&self, names: &[&str], refine: impl FnOnce(&mut CertificateParams)) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        // Python 3.13 demands it.
        params.use_authority_key_identifier_extension = true;
        refine(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// Makes a certificate an expired one.
pub fn expired(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
}

/// Makes a certificate one of the future.
pub fn not_yet_valid(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(4000, 1, 1);
    params.not_after = rcgen::date_time_ymd(4001, 1, 1);
}

/// A self-signed certificate for these names or addresses.
pub fn self_signed(names: &[&str]) -> Arc<ServerConfig> {
    let params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    let key = KeyPair::generate().unwrap();
    server_config(params.self_signed(&key).unwrap().der().clone(), &key)
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}
