//! What goes wrong below OAuth: redirects, bodies, connections, certificates, proxies, and how each is told.

use crate::adapter::core::{
    Client, DeviceFlow, Failure, ProtocolFault, Provider, Stopped, TransportError, TransportErrorKind as Kind,
};
use crate::adapter::{Http, HttpBuilder, entropy};
use crate::{drive, sign_in};
use device_flow_testkit::loopback::{self, Asked, Authority, JSON, Loopback, Next};
use device_flow_testkit::scaled::Scaled;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn flow(client: Client) -> DeviceFlow {
    DeviceFlow::new(client, entropy().unwrap())
}

fn client_at(base: &str) -> Client {
    let provider = Provider::endpoints(format!("{base}/device?tenant=of-nobodys-business"), format!("{base}/token"));
    Client::builder(provider, "client").allow_http_loopback().build().unwrap()
}

fn failure(http: &Http, client: Client) -> Failure {
    match sign_in(http, flow(client)) {
        Err(Stopped::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

/// How the first request fails without an answer, in the end.
fn transport_error(http: HttpBuilder, client: Client) -> TransportError {
    match failure(&http.build().unwrap(), client) {
        Failure::Transport(error) => {
            assert!(!error.to_string().contains("tenant"), "{error}");
            error
        }
        other => panic!("{other:?}"),
    }
}

fn impatient() -> HttpBuilder {
    Http::builder().timeout(Duration::from_millis(300))
}

// Redirects

// C10, C11.
#[test]
fn c10_c11_redirects_are_never_followed_and_never_printed() {
    let target = Arc::new(Loopback::http(loopback::sign_in(&[])));
    for status in [301, 302, 303, 307, 308] {
        let other = target.url("/device").replace("http://", "http://u:hunter2-canary@");
        for location in [other.as_str(), "/device", "/elsewhere", "file:///etc/hostname", ""] {
            for path in ["/device", "/token"] {
                let headers = format!("Location: {location}\r\n{JSON}");
                let server = Loopback::http(move |asked, wire| {
                    if asked.target == path {
                        loopback::answer(wire, status, &headers, "")
                    } else {
                        loopback::device_answer(wire)
                    }
                });
                let failure = failure(&Http::builder().build().unwrap(), server.client());
                assert!(
                    matches!(&failure, Failure::Protocol(error) if error.fault == ProtocolFault::Redirect(status)),
                    "{failure:?}"
                );
                assert!(!format!("{failure} {failure:?}").contains("hunter2"));
                assert_eq!(server.requests().iter().filter(|asked| asked.target == path).count(), 1);
            }
        }
    }
    assert_eq!(target.connections(), 0);
}

// Bodies

/// Sends what it is told to without end and counts it.
fn flood(head: &'static str, piece: &'static [u8], sent: &Arc<AtomicUsize>) -> Loopback {
    let sent = sent.clone();
    Loopback::http(move |_, wire| {
        let piece = piece.repeat(64);
        let mut result = wire.write_all(head.as_bytes());
        while result.is_ok() && sent.load(Ordering::SeqCst) < 1 << 30 {
            sent.fetch_add(piece.len(), Ordering::SeqCst);
            result = wire.write_all(&piece);
        }
        Next::Close
    })
}

// C06.
#[test]
fn c06_an_endless_body_is_read_to_the_cap_and_no_further() {
    for (head, piece) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{\"a\":\"", &[b'a'; 1024][..]),
        ("HTTP/1.1 200 OK\r\n\r\n{\"a\":\"", &[b'a'; 1024][..]),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{\"a\":\"\r\n", b"8\r\naaaaaaaa\r\n"),
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let server = flood(head, piece, &sent);
        let failure = failure(&Http::builder().build().unwrap(), server.client());
        assert!(
            matches!(&failure, Failure::Protocol(error) if error.fault == ProtocolFault::TooLarge(64 * 1024)),
            "{failure:?}"
        );
        // What was sent beyond the cap sits in the buffers of two sockets.
        assert!(sent.load(Ordering::SeqCst) < 16 << 20, "{sent:?}");
    }
}

// C06.
#[test]
fn c06_a_body_of_exactly_the_cap_is_read_whole() {
    let code = r#"{"device_code":"d","user_code":"AB","verification_uri":"https://as.example/d","expires_in":900,"interval":1}"#;
    let server = Loopback::http(move |asked, wire| match &*asked.target {
        "/device" => loopback::answer(wire, 200, JSON, &(code.to_owned() + &" ".repeat(65_536 - code.len()))),
        _ => loopback::token_answer(wire),
    });
    assert!(sign_in(&Http::builder().build().unwrap(), flow(server.client())).is_ok());
    assert_eq!(server.connections(), 1);
}

// C07.
#[test]
fn c07_compressed_bodies_are_neither_invited_nor_decoded() {
    let server = Loopback::http(|_, wire| {
        let body = GZIPPED_DEVICE_ANSWER;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n{JSON}\r\n",
            GZIPPED_DEVICE_ANSWER.len()
        );
        wire.write_all(&[head.as_bytes(), body].concat()).map_or(Next::Close, |()| Next::Keep)
    });
    let failure = failure(&Http::builder().build().unwrap(), server.client());
    assert!(matches!(&failure, Failure::Protocol(_)), "{failure:?}");
    assert!(!server.requests()[0].head.contains("accept-encoding"));
}

// C08.
#[test]
fn c08_a_body_that_trickles_ends_with_the_time_limit_of_the_request() {
    let server = Loopback::http(|_, wire| {
        let mut result = wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while result.is_ok() {
            thread::sleep(Duration::from_millis(20));
            result = wire.write_all(b" ");
        }
        Next::Close
    });
    let start = Instant::now();
    let error = transport_error(impatient(), server.client());
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    let each = start.elapsed() / u32::try_from(server.requests().len()).unwrap();
    assert!((Duration::from_millis(290)..Duration::from_millis(900)).contains(&each), "{each:?}");
}

// C09.
#[test]
fn c09_silence_after_the_request_ends_with_the_time_limit() {
    let server = Loopback::http(|_, _| {
        thread::sleep(Duration::from_secs(2));
        Next::Close
    });
    let error = transport_error(impatient(), server.client());
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
}

// Connections

// C03.
#[test]
fn c03_a_connection_that_breaks_off_is_closed_and_the_flow_goes_on() {
    let breaks: [fn(&Asked, &mut dyn Write) -> Next; 6] = [
        |_, _| Next::Reset,
        |_, _| Next::Close,
        |_, wire| wire.write_all(b"HTTP/1.1 200 O").map_or(Next::Close, |()| Next::Close),
        |_, wire| {
            wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":1}")
                .map_or(Next::Close, |()| Next::Close)
        },
        |_, wire| {
            wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":1}")
                .map_or(Next::Close, |()| Next::Reset)
        },
        |_, wire| {
            wire.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\"")
                .map_or(Next::Close, |()| Next::Close)
        },
    ];
    for (number, broken) in breaks.into_iter().enumerate() {
        // At the start of a sign-in: told after some tries.
        let server = Loopback::http(broken);
        let error = transport_error(Http::builder(), server.client());
        assert_eq!(error.kind(), Kind::Closed, "{number}: {error}");
        assert!(error.detail().starts_with(&format!("127.0.0.1:{}: ", server.port())), "{number}: {error}");
        // In the middle of one: survived.
        let play = loopback::sign_in(&[]);
        let server =
            Loopback::http(move |asked, wire| if asked.number == 1 { broken(asked, wire) } else { play(asked, wire) });
        let mut flow = Scaled::new(flow(server.client()), 1000);
        let (outcome, _) = drive(&Http::builder().build().unwrap(), &mut flow);
        assert!(outcome.is_ok(), "{number}: {outcome:?}");
        assert_eq!((flow.inner().trail().failures(), server.polls().len()), (1, 2), "{number}");
    }
}

// C01.
#[test]
fn c01_a_refused_connection_says_so() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let error = transport_error(Http::builder(), client_at(&format!("http://127.0.0.1:{port}")));
    assert_eq!(error.kind(), Kind::Connect, "{error}");
    assert!(error.detail().to_lowercase().contains("connection refused"), "{error}");
    assert!(error.detail().starts_with(&format!("127.0.0.1:{port}: ")), "{error}");
}

// C01.
#[test]
fn c01_a_host_without_an_address_says_so() {
    let error = transport_error(Http::builder().no_proxy(), client_at("https://nonexistent.invalid"));
    assert_eq!(error.kind(), Kind::Dns, "{error}");
    assert!(error.detail().starts_with("nonexistent.invalid: "), "{error}");
}

// C05.
#[test]
fn c05_headers_without_end_and_answers_that_are_no_http_are_invalid() {
    let sent = Arc::new(AtomicUsize::new(0));
    let error = transport_error(Http::builder(), flood("HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", &sent).client());
    assert_eq!(error.kind(), Kind::InvalidHttp, "{error}");
    let error = transport_error(Http::builder(), flood("HTTP/1.1 200 OK\r\nX-A: ", &[b'a'; 1024], &sent).client());
    assert_eq!(error.kind(), Kind::InvalidHttp, "{error}");
    assert!(sent.load(Ordering::SeqCst) < 64 << 20, "{sent:?}");

    for nonsense in ["SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno header\r\n\r\n"] {
        let server = Loopback::http(|_, wire| wire.write_all(nonsense.as_bytes()).map_or(Next::Close, |()| Next::Keep));
        let error = transport_error(impatient(), server.client());
        assert_eq!(error.kind(), Kind::InvalidHttp, "{nonsense}: {error}");
    }
}

// C12.
#[test]
fn c12_interim_answers_are_passed_over_and_a_flood_of_them_ends_with_the_time_limit() {
    const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let play = loopback::sign_in(&[]);
    let server = Loopback::http(move |asked, wire| {
        let _ = wire.write_all(&INTERIM.repeat(1000));
        play(asked, wire)
    });
    let outcome = sign_in(&Http::builder().build().unwrap(), flow(server.client()));
    assert!(outcome.is_ok(), "{outcome:?}");

    let server = Loopback::http(|_, wire| {
        while wire.write_all(INTERIM).is_ok() {
            thread::sleep(Duration::from_millis(2));
        }
        Next::Close
    });
    let error = transport_error(impatient(), server.client());
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
}

// Certificates

// C02, R6749-10.9-1, R8414-6.1-1, R8414-6.1-2, R8414-6.2-1, OIDD-7.1-1, R9110-4.3.4-1.
#[test]
fn c02_a_certificate_that_is_not_trusted_ends_it_before_a_byte_is_sent() {
    let authority = Authority::new();
    let expired = authority.server_with(&["127.0.0.1"], loopback::expired);
    for (name, tls) in [
        ("self-signed", loopback::self_signed(&["127.0.0.1"])),
        ("unknown authority", Authority::new().server(&["127.0.0.1"])),
        ("wrong host", authority.server(&["elsewhere.example"])),
        ("expired", expired),
    ] {
        let server = Loopback::https(tls, loopback::sign_in(&[]));
        for trust in [Http::builder(), Http::builder().root_certificates_pem(authority.pem())] {
            let connections = server.connections();
            let error = transport_error(trust, server.client());
            assert_eq!(error.kind(), Kind::UntrustedCertificate, "{name}: {error}");
            assert!(error.detail().contains("certificate"), "{name}: {error}");
            assert_eq!((server.connections(), server.requests().len()), (connections + 1, 0), "{name}");
        }
    }
}

// C02, R6749-10.9-1, R8414-6.1-1, R8414-6.1-2, R8414-6.2-1, OIDD-7.1-1, R9110-4.3.4-1.
#[test]
fn c02_a_certificate_that_turns_bad_in_the_middle_ends_it_too() {
    let authority = Authority::new();
    let good = Loopback::https(authority.server(&["127.0.0.1"]), loopback::sign_in(&["authorization_pending"]));
    let bad = Loopback::https(loopback::self_signed(&["127.0.0.1"]), loopback::sign_in(&[]));
    let provider = Provider::endpoints(good.url("/device"), bad.url("/token"));
    let client = Client::builder(provider, "client").build().unwrap();
    let error = transport_error(Http::builder().root_certificates_pem(authority.pem()), client);
    assert_eq!(error.kind(), Kind::UntrustedCertificate);
    assert_eq!((bad.connections(), bad.requests().len()), (1, 0));
}

// C16.
#[test]
fn c16_given_root_certificates_are_trusted_alone_or_in_a_bundle() {
    let (one, other) = (Authority::new(), Authority::new());
    let server = Loopback::https(other.server(&["127.0.0.1"]), loopback::sign_in(&["authorization_pending"; 3]));
    let bundle = format!("# a comment\n{}\n{}", one.pem(), other.pem());
    let http = Http::builder().root_certificates_pem(bundle).build().unwrap();
    let outcome = sign_in(&http, flow(server.client()));
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!((server.requests().len(), server.connections()), (5, 1));
}

#[test]
fn tls_that_fails_for_another_reason_is_told_apart() {
    let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = plain.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in plain.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let error = transport_error(Http::builder(), client_at(&format!("https://127.0.0.1:{port}")));
    assert_eq!(error.kind(), Kind::Tls, "{error}");
}

// C03.
#[test]
fn c03_a_connection_closed_in_the_tls_handshake_is_closed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().for_each(|stream| drop(stream.unwrap().read(&mut [0; 4096]))));
    let error = transport_error(Http::builder(), client_at(&format!("https://127.0.0.1:{port}")));
    assert_eq!(error.kind(), Kind::Closed, "{error}");
}

// C01.
#[test]
fn c01_a_tls_handshake_that_hangs_ends_with_the_limit_for_connecting() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let start = Instant::now();
    let impatient = Http::builder().connect_timeout(Duration::from_millis(200));
    let error = transport_error(impatient, client_at(&format!("https://127.0.0.1:{port}")));
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

// Proxies

// C14.
#[test]
fn c14_a_proxy_that_refuses_is_named_without_its_password() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let refusals: [fn(&Asked, &mut dyn Write) -> Next; 3] = [
        |_, wire| loopback::answer(wire, 407, "Proxy-Authenticate: Basic\r\n", ""),
        |_, wire| loopback::answer(wire, 403, "Content-Type: text/html\r\n", "<html>blocked</html>"),
        |_, _| Next::Close,
    ];
    let servers = refusals.map(Loopback::http);
    for port in servers.iter().map(Loopback::port).chain([closed]) {
        let http = Http::builder().proxy(format!("http://user:hunter2-canary@127.0.0.1:{port}"));
        let error = transport_error(http, client_at("https://as.example"));
        assert_eq!(error.kind(), Kind::Proxy, "{error}");
        assert!(error.detail().starts_with(&format!("the proxy 127.0.0.1:{port}: ")), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    for server in &servers {
        let head = &server.requests()[0].head;
        assert!(head.starts_with("connect as.example:443 "), "{head}");
        assert!(head.contains("proxy-authorization: basic dxnlcjpodw50zxiy"), "{head}");
    }
}

// C14.
#[test]
fn c14_a_proxy_that_tunnels_carries_the_sign_in_and_resolves_the_name() {
    let authority = Authority::new();
    let server = Loopback::https(authority.server(&["as.example"]), loopback::sign_in(&["authorization_pending"]));
    let proxy = tunnel_to(server.port());
    let http = Http::builder().proxy(format!("127.0.0.1:{proxy}")).root_certificates_pem(authority.pem());
    let outcome = sign_in(&http.build().unwrap(), flow(client_at("https://as.example")));
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(server.connections(), 1);

    // A certificate for another host is the server's fault, not the proxy's.
    let server = Loopback::https(authority.server(&["elsewhere.example"]), loopback::sign_in(&[]));
    let http = Http::builder().proxy(format!("http://127.0.0.1:{}", tunnel_to(server.port())));
    let error = transport_error(http.root_certificates_pem(authority.pem()), client_at("https://as.example"));
    assert_eq!(error.kind(), Kind::UntrustedCertificate);
    assert!(error.detail().starts_with("as.example: "), "{error}");
}

// C15.
#[test]
fn c15_loopback_never_goes_through_a_proxy() {
    let server = Loopback::http(loopback::sign_in(&[]));
    let http = Http::builder().proxy("http://127.0.0.1:1").build().unwrap();
    assert!(sign_in(&http, flow(server.client())).is_ok());

    let authority = Authority::new();
    let server = Loopback::https(authority.server(&["localhost"]), loopback::sign_in(&[]));
    let http = Http::builder().proxy("http://127.0.0.1:1").root_certificates_pem(authority.pem()).build().unwrap();
    let outcome = sign_in(&http, flow(client_at(&format!("https://localhost:{}", server.port()))));
    assert!(outcome.is_ok(), "{outcome:?}");
}

/// A proxy that connects every tunnel to this port.
fn tunnel_to(port: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for near in listener.incoming() {
            let mut near = near.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                near.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            near.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    own
}

/// A device authorization response, as gzip.
const GZIPPED_DEVICE_ANSWER: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x35\xcb\x41\x0a\x80\x20\x10\x46\xe1\xbb\xcc\x5a\xb2\x96\xb9\xab\x8b\x88\xe8\x1f\x0d\x94\xca\x68\x12\x44\x77\xaf\x16\x2d\xdf\x07\xef\xa2\x80\xc6\x1e\xd6\xa7\x00\x32\x14\x48\xd1\x51\x20\x7f\x4f\xf3\x0b\x0d\xc2\x0b\x7b\x57\x39\x45\x7b\x08\xbf\xbe\xd6\x9a\x8b\xd1\xda\x95\x0e\xa7\xdb\xf3\x06\xfd\xad\x38\x33\x0b\x8a\xe5\x48\x66\xec\x7b\x45\x1c\x2b\xa4\xb9\x8d\xcc\x70\x3f\x80\x78\x71\x8c\x6c\x00\x00\x00";
