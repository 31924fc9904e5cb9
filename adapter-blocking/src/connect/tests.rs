//! What only a client with names of its own can show: when a name is looked up, when what was found is believed, and a host whose
//! first address leads nowhere.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a panic is how a test reports")]

use super::{Socket, agent};
use crate::http::{Http, HttpBuilder, from_settings};
use crate::{Transport as _, now, ready};
use device_flow_core::{Action, Client, DeviceFlow, Machine, Provider, TransportErrorKind};
use device_flow_testkit::black_hole::BlackHole;
use device_flow_testkit::loopback::{self, Authority, Loopback, Next, self_signed};
use rustix::event::PollFlags;
use std::io::{self, Read as _, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{LazyBuffers, NextTimeout, Transport as _};

/// Every name has these addresses, until they are changed.
#[derive(Clone, Debug)]
struct Names(Arc<Mutex<Vec<SocketAddr>>>, Arc<AtomicUsize>);

impl Names {
    fn of(port: u16) -> Self {
        Self(Arc::new(Mutex::new(vec![here(port)])), Arc::default())
    }

    fn move_to(&self, port: u16) {
        *self.0.lock().unwrap() = vec![here(port)];
    }

    fn looked_up(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

impl Resolver for Names {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let mut found = self.empty();
        self.0.lock().unwrap().iter().for_each(|address| found.push(*address));
        Ok(found)
    }
}

fn here(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn http(names: &Names, settings: HttpBuilder) -> Http {
    from_settings(settings.check().unwrap(), |config| agent(config, names.clone())).unwrap()
}

/// Asks for a code there: the status, or how there was none.
fn ask(http: &Http, base: &str) -> Result<u16, TransportErrorKind> {
    let provider = Provider::endpoints(format!("{base}/device"), format!("{base}/token"));
    let client = Client::builder(provider, "client").allow_http_loopback().build().unwrap();
    let Action::SendRequest(outgoing) = DeviceFlow::new(client, [7; 32]).next_action(now()) else { panic!() };
    http.send(outgoing.request).map(|answer| answer.as_response().status()).map_err(|error| error.kind())
}

/// Answers, and keeps no connection. It says so: otherwise the client could use it again before it sees the end.
fn closing() -> impl Fn(&loopback::Asked, &mut dyn Write) -> Next {
    |_, wire| {
        loopback::answer(wire, 200, "Connection: close\r\n", "{}");
        Next::Close
    }
}

// C17: later than elsewhere, but with time enough left: a third of 9 s, and then it is an error.
#[test]
fn c17_where_ipv6_leads_nowhere_ipv4_has_its_turn() {
    let server = Loopback::http(|_, wire| loopback::device_answer(wire));
    // Without IPv6 nothing can be shown; `.ci/run` tells of it.
    let Some(hole) = BlackHole::at(SocketAddr::from((Ipv6Addr::LOCALHOST, server.port()))) else { return };
    let names = Names::of(server.port());
    names.0.lock().unwrap().insert(0, hole.address());
    let http = http(&names, Http::builder().connect_timeout(Duration::from_secs(9)));
    let start = Instant::now();
    assert_eq!(ask(&http, &format!("http://localhost:{}", server.port())), Ok(200));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(5_900), "{took:?}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_name_is_looked_up_once_while_it_leads_somewhere() {
    let keeping = Loopback::http(|_, wire| loopback::device_answer(wire));
    for (server, connections) in [(keeping, 1), (Loopback::http(closing()), 3)] {
        let names = Names::of(server.port());
        let http = http(&names, Http::builder());
        for _ in 0..3 {
            assert_eq!(ask(&http, "http://localhost"), Ok(200));
        }
        assert_eq!((names.looked_up(), server.connections()), (1, connections));
        // Another port of the same name is another place, an address needs no look-up, in whatever version.
        assert_eq!(ask(&http, "http://localhost:81"), Ok(200));
        assert_eq!(names.looked_up(), 2);
        assert_eq!(ask(&http, &server.url("")), Ok(200));
        assert_eq!(ask(&http, "http://[::1]:9"), Err(TransportErrorKind::Connect));
        assert_eq!(names.looked_up(), 2);
    }
}

#[test]
fn a_remembered_address_that_leads_nowhere_is_looked_up_anew() {
    let heir = Loopback::http(closing());
    let names = Names::of(gone_after_one_answer());
    let http = http(&names, Http::builder());
    assert_eq!(ask(&http, "http://localhost"), Ok(200));
    // The same again: then it is as if nothing had been remembered.
    assert_eq!(ask(&http, "http://localhost"), Err(TransportErrorKind::Connect));
    assert_eq!(names.looked_up(), 2);

    let names = Names::of(gone_after_one_answer());
    let http = self::http(&names, Http::builder());
    assert_eq!(ask(&http, "http://localhost"), Ok(200));
    names.move_to(heir.port());
    assert_eq!(ask(&http, "http://localhost"), Ok(200));
    assert_eq!((names.looked_up(), heir.connections()), (2, 1));
}

// An address that now belongs to somebody else must not end a sign-in, as a certificate that is not trusted does.
#[test]
fn a_remembered_address_that_has_anothers_certificate_is_looked_up_anew() {
    let authority = Authority::new();
    let ours = authority.server(&["localhost"]);
    let theirs = self_signed(&["localhost"]);
    let certificates = [ours.clone(), theirs];
    let server = Loopback::https_by(move |before| certificates[before.min(1)].clone(), closing());
    let heir = Loopback::https(ours, closing());
    let names = Names::of(server.port());
    let trusting = Http::builder().root_certificates_pem(authority.pem());
    let http = http(&names, trusting.clone());
    assert_eq!(ask(&http, "https://localhost"), Ok(200));
    names.move_to(heir.port());
    assert_eq!(ask(&http, "https://localhost"), Ok(200));
    assert_eq!((server.connections(), heir.connections()), (2, 1));

    names.move_to(server.port());
    assert_eq!(ask(&http, "https://localhost"), Ok(200), "the heir is remembered");
    let fresh = self::http(&names, trusting.clone());
    assert_eq!(ask(&fresh, "https://localhost"), Err(TransportErrorKind::UntrustedCertificate));
    assert_eq!(server.connections(), 3, "and it is not tried twice");
}

// A TLS alert, for example. Sent in several parts, the rest of a handshake may find the server gone.
#[cfg(target_os = "linux")]
#[test]
fn what_a_server_said_before_it_went_is_read_though_writing_fails() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    stream.write_all(b"never read").unwrap();
    server.write_all(b"why").unwrap();
    // With bytes that it has not read, it resets the connection.
    drop(server);
    ready::wait(&stream, PollFlags::HUP, Duration::from_secs(60)).unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut socket = Socket { stream, buffers: LazyBuffers::new(64, 64) };
    let limit = NextTimeout { after: Duration::from_secs(60).into(), ..NextTimeout::default() };
    for _ in 0..3 {
        socket.transmit_output(1, limit).unwrap();
    }
    assert!(socket.await_input(limit).unwrap());
    assert_eq!(socket.buffers().input(), b"why");
    socket.buffers().input_consume(3);
    assert!(!matches!(socket.await_input(limit), Ok(true)), "and then it has ended");
}

/// A server that is gone after its first answer: its port, where nobody listens from then on.
fn gone_after_one_answer() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    port
}
