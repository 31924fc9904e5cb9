//! Owns the suite that holds a transport to its duties, whatever client it is made of.
//!
//! A transport sends one request and brings what came back; [its duties](device_flow_adapter#the-duties-of-a-transport) are written down
//! with the crate that adapters share. [`check`] tries each of them on real sockets, among them servers that answer without end,
//! trickle, cut off, redirect, or show a certificate that nobody trusts.
//!
//! ```no_run
//! use device_flow_adapter::Answer;
//! use device_flow_core::{Request, TransportError};
//! use device_flow_testkit::conformance::{self, Setup};
//!
//! # struct MyTransport;
//! # impl MyTransport {
//! #     fn new(_roots: &[u8], _timeout: std::time::Duration) -> Self { Self }
//! #     fn send(&self, _request: Request) -> Result<Answer, TransportError> { unimplemented!() }
//! # }
//! // In a test of your crate: how to make the transport, and how to call it from a thread that may block.
//! conformance::check(|setup: &Setup| {
//!     let transport = MyTransport::new(setup.roots_pem.as_bytes(), setup.timeout);
//!     Box::new(move |request| transport.send(request))
//! });
//! ```

mod client_certificates;

use crate::black_hole::ClosedPort;
use crate::faults::{Fault, Proxy};
use crate::loopback::{self, Authority, ClientIdentity, JSON, Loopback, Next};
use device_flow_adapter::Answer;
use device_flow_core::{Action, Client, DeviceFlow, Discovery, Machine, Outgoing, Provider, Timestamp};
use device_flow_core::{Request, TransportError, TransportErrorKind as Kind};
use rustls::ServerConfig;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// What a transport is made with, for one of the duties.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The root certificates to trust, in PEM, instead of the system's.
    pub roots_pem: String,
    /// The time limit of a whole request.
    pub timeout: Duration,
    /// The certificate to show to servers that ask for one. Only [`check_client_certificates`] gives it.
    pub client_certificate: Option<ClientIdentity>,
}

/// A transport, made for one of the duties. The thread that calls it may block.
pub type Sender = Box<dyn Fn(Request) -> Result<Answer, TransportError>>;

/// Makes a transport.
type Maker<'a> = &'a (dyn Fn(&Setup) -> Sender + Sync);

/// Tries every duty on transports that `make` makes.
///
/// # Panics
/// When a duty is not met; the message names all of those.
pub fn check(make: impl Fn(&Setup) -> Sender + Sync) {
    try_all(DUTIES, &make);
}

/// Tries the duties around client certificates (mutual TLS, RFC 8705), for transports that can have one.
///
/// # Panics
/// When a duty is not met; the message names all of those.
pub fn check_client_certificates(make: impl Fn(&Setup) -> Sender + Sync) {
    try_all(client_certificates::DUTIES, &make);
}

fn try_all(duties: &[Duty], make: Maker<'_>) {
    let unmet: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = duties
            .iter()
            .map(|(duty, test)| (duty, scope.spawn(|| catch_unwind(AssertUnwindSafe(|| test(make))).is_err())))
            .collect();
        running.into_iter().filter_map(|(duty, test)| test.join().unwrap().then_some(*duty)).collect()
    });
    assert!(unmet.is_empty(), "duties that the transport does not meet: {unmet:#?}");
}

/// The number of a duty in the documentation, what it says, and its test.
type Duty = (&'static str, fn(Maker<'_>));

#[rustfmt::skip]
const DUTIES: &[Duty] = &[
    ("1: the request is sent as it is", sent_as_it_is),
    ("1: a POST without a body says so", sent_without_a_body),
    ("1: a request that dies on a kept connection is not sent again", sent_once),
    ("2: no redirect is followed", no_redirect),
    ("3: every status is an answer, with its headers", every_status),
    ("4: a body is read to one byte beyond the limit", body_limit),
    ("4: headers without end are refused", header_limit),
    ("4: no compression is asked for, none decoded", no_compression),
    ("5: a request ends with its time limit", time_limit),
    ("6: a trusted certificate is accepted", trusted),
    ("6: a certificate that is not trusted is told apart", untrusted),
    ("6: TLS that fails otherwise is not called untrusted", broken_tls),
    ("6: a server that demands a client certificate is not called untrusted", client_certificates::demanded),
    ("7: an answer that breaks off is no answer", broken_off),
    ("7: what is not HTTP is told apart", not_http),
    ("7: no connection, no address", not_reached),
    ("8: no cookie, no referrer", no_traces),
];

/// Long enough for a busy machine.
const PATIENT: Duration = Duration::from_secs(120);
/// For what only the time limit ends.
const IMPATIENT: Duration = Duration::from_millis(400);

fn sender(make: Maker<'_>) -> Sender {
    // Something must be trusted; nothing is signed by it.
    trusting(make, &Authority::new())
}

/// The first request of a machine.
fn first<M: Machine>(mut machine: M) -> Request {
    let Action::SendRequest(Outgoing { request, .. }) = machine.next_action(Timestamp::ZERO) else {
        panic!("a machine begins with a request")
    };
    request
}

/// A POST with a body, a query and a secret in a header.
fn post(base: &str) -> Request {
    let provider = Provider::endpoints(format!("{base}/device?tenant=a%20b"), format!("{base}/token"));
    let client = Client::builder(provider, "client").client_secret("secret-canary").scope("read write");
    first(DeviceFlow::new(client.allow_http_loopback().build().unwrap(), [7; 32]))
}

fn get(base: &str) -> Request {
    first(Discovery::builder(base).allow_http_loopback().build().unwrap())
}

fn kind(outcome: Result<Answer, TransportError>) -> Kind {
    match outcome {
        Ok(answer) => panic!("an answer: {answer:?}"),
        Err(error) => error.kind(),
    }
}

fn sent_as_it_is(make: Maker<'_>) {
    let (send, server) = (sender(make), Loopback::http(|_, wire| loopback::device_answer(wire)));
    for request in [post(&server.url("")), get(&server.url(""))] {
        let line = request.url().split_once(&server.url("")).unwrap().1.to_lowercase();
        let line = format!("{} {line} http/1.1", request.method().as_str().to_lowercase());
        let headers: Vec<_> =
            request.headers().map(|(name, value)| format!("{name}: {value}").to_lowercase()).collect();
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        assert_eq!(send(request).unwrap().as_response().status(), 200);
        let asked = server.requests().pop().unwrap();
        let lines: Vec<_> = asked.head.lines().collect();
        assert_eq!(lines[0], line);
        for header in &headers {
            assert_eq!(lines.iter().filter(|line| *line == header).count(), 1, "{header} in {lines:?}");
        }
        assert_eq!(asked.body, body);
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        assert_eq!(length, body.len().to_string());
    }
}

fn sent_without_a_body(make: Maker<'_>) {
    let (send, server) = (sender(make), Loopback::http(|_, wire| loopback::device_answer(wire)));
    let client = server.client_builder().client_secret("secret-canary").build().unwrap();
    let request = first(DeviceFlow::new(client, [7; 32]));
    assert!(request.body().is_empty(), "the client is named in a header, and there is nothing else to say");
    assert!(send(request).is_ok());
    // Some servers answer 411 otherwise.
    assert!(server.requests()[0].head.lines().any(|line| line == "content-length: 0"), "{}", server.requests()[0].head);
}

fn sent_once(make: Maker<'_>) {
    let server = Loopback::http(|asked, wire| match asked.number {
        0 => loopback::device_answer(wire),
        _ => Next::Reset,
    });
    let send = sender(make);
    assert!(send(post(&server.url(""))).is_ok());
    assert_eq!(kind(send(post(&server.url("")))), Kind::Closed);
    assert_eq!(server.requests().len(), 2, "the server has seen it: sent again, it could replay a redeemed code");
}

fn no_redirect(make: Maker<'_>) {
    for status in [301, 302, 303, 307, 308] {
        let server = Loopback::http(move |_, wire| loopback::answer(wire, status, "Location: /elsewhere\r\n", ""));
        for request in [post(&server.url("")), get(&server.url(""))] {
            let before = server.requests().len();
            assert_eq!(sender(make)(request).unwrap().as_response().status(), status);
            assert_eq!(server.requests().len(), before + 1);
        }
    }
}

fn every_status(make: Maker<'_>) {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for status in [200, 400, 401, 403, 404, 410, 428, 429, 500, 503] {
        let headers = format!("{JSON}Date: {date}\r\nRetry-After: 7\r\n");
        let server =
            Loopback::http(move |_, wire| loopback::answer(wire, status, &headers, r#"{"error":"slow_down"}"#));
        let answer = sender(make)(post(&server.url(""))).unwrap();
        let response = answer.as_response();
        assert_eq!((response.status(), response.body()), (status, &br#"{"error":"slow_down"}"#[..]));
        assert_eq!(response.date(), Some(date), "headers are brought, too");
    }
}

/// An authorization server seen through a fault.
fn faulty(fault: &Fault) -> Proxy {
    let (server, fault) = (Loopback::http(|_, wire| loopback::device_answer(wire)), fault.clone());
    Proxy::http(server.port(), move |_| fault.clone())
}

fn body_limit(make: Maker<'_>) {
    for chunked in [false, true] {
        let proxy = faulty(&Fault::EndlessObject { chunked });
        let request = post(&proxy.base());
        let limit = request.max_response();
        let answer = sender(make)(request).unwrap();
        assert_eq!(answer.as_response().body().len(), limit + 1, "one byte more says that there was more");
        assert!(proxy.written() < 16 << 20, "{} bytes were taken", proxy.written());
    }
    let request = post("http://127.0.0.1:1");
    let whole = " ".repeat(request.max_response());
    let server = Loopback::http(move |_, wire| loopback::answer(wire, 200, JSON, &whole));
    let answer = sender(make)(post(&server.url(""))).unwrap();
    assert_eq!(answer.as_response().body().len(), request.max_response());
}

fn header_limit(make: Maker<'_>) {
    for fault in [Fault::EndlessHeaders, Fault::EndlessHeader] {
        let proxy = faulty(&fault);
        assert_eq!(kind(sender(make)(post(&proxy.base()))), Kind::InvalidHttp, "{fault:?}");
        assert!(proxy.written() < 16 << 20, "{} bytes were taken", proxy.written());
    }
}

fn no_compression(make: Maker<'_>) {
    let proxy = faulty(&Fault::GzipBomb);
    let answer = sender(make)(post(&proxy.base())).unwrap();
    assert!(answer.as_response().body().starts_with(&[0x1f, 0x8b]), "the bytes as they came");
    let head = &proxy.requests()[0].head;
    let asks = head.lines().filter_map(|line| line.strip_prefix("accept-encoding: ")).any(|value| value != "identity");
    assert!(!asks, "{head}");
}

fn time_limit(make: Maker<'_>) {
    let impatient =
        Setup { roots_pem: Authority::new().pem().to_owned(), timeout: IMPATIENT, client_certificate: None };
    for fault in [Fault::Hang, Fault::Trickle] {
        let (proxy, start) = (faulty(&fault), Instant::now());
        assert_eq!(kind(make(&impatient)(post(&proxy.base()))), Kind::Timeout, "{fault:?}");
        assert!(start.elapsed() >= IMPATIENT, "{fault:?}: given up after {:?}", start.elapsed());
        // A trickle would go on for ten minutes.
        assert!(start.elapsed() < Duration::from_secs(60), "{fault:?}: went on for {:?}", start.elapsed());
    }
}

fn https(tls: Arc<ServerConfig>) -> Loopback {
    Loopback::https(tls, |_, wire| loopback::device_answer(wire))
}

fn trusting(make: Maker<'_>, authority: &Authority) -> Sender {
    make(&Setup { roots_pem: authority.pem().to_owned(), timeout: PATIENT, client_certificate: None })
}

fn trusted(make: Maker<'_>) {
    let authority = Authority::new();
    let server = https(authority.server(&["127.0.0.1"]));
    assert_eq!(trusting(make, &authority)(post(&server.url(""))).unwrap().as_response().status(), 200);
}

fn untrusted(make: Maker<'_>) {
    let authority = Authority::new();
    for (name, tls) in [
        ("self-signed", loopback::self_signed(&["127.0.0.1"])),
        ("of an unknown authority", Authority::new().server(&["127.0.0.1"])),
        ("for another host", authority.server(&["elsewhere.example"])),
        ("expired", authority.server_with(&["127.0.0.1"], loopback::expired)),
    ] {
        let server = https(tls);
        assert_eq!(kind(trusting(make, &authority)(post(&server.url("")))), Kind::UntrustedCertificate, "{name}");
        assert_eq!(server.requests().len(), 0, "{name}: not a byte was sent");
    }
}

fn broken_tls(make: Maker<'_>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 16 * 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    assert_eq!(kind(sender(make)(post(&format!("https://127.0.0.1:{port}")))), Kind::Tls);
}

fn broken_off(make: Maker<'_>) {
    for fault in [
        Fault::Close,
        Fault::Reset,
        Fault::HalfClose,
        Fault::CutHead,
        Fault::CutBody,
        Fault::CutChunk,
        Fault::ResetInBody,
    ] {
        assert_eq!(kind(sender(make)(post(&faulty(&fault).base()))), Kind::Closed, "{fault:?}");
    }
}

fn not_http(make: Maker<'_>) {
    for bytes in ["SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno header\r\n\r\n"] {
        let proxy = faulty(&Fault::Garbage(bytes));
        assert_eq!(kind(sender(make)(post(&proxy.base()))), Kind::InvalidHttp, "{bytes:?}");
    }
}

fn not_reached(make: Maker<'_>) {
    let closed = ClosedPort::new();
    assert_eq!(kind(sender(make)(post(&closed.base()))), Kind::Connect);
    // RFC 6761 §6.4: this name never has an address.
    assert_eq!(kind(sender(make)(post("https://nonexistent.invalid"))), Kind::Dns);
}

fn no_traces(make: Maker<'_>) {
    let server = Loopback::http(|_, wire| loopback::answer(wire, 200, "Set-Cookie: a=canary; Path=/\r\n", "{}"));
    let send = sender(make);
    for _ in 0..2 {
        assert!(send(post(&server.url(""))).is_ok());
    }
    for asked in server.requests() {
        assert!(!asked.head.contains("\ncookie:") && !asked.head.contains("\nreferer:"), "{}", asked.head);
    }
}
