//! What goes wrong below OAuth (bodies, connections, certificates, proxies), and the error that each becomes. The outcome of
//! each fault at each request is a table of the testkit (`tests/faults.rs`).

use crate::adapter::{
    Client, DeviceFlow, Discovery, Exchange, Failure, Http, HttpBuilder, Method, Provider, Refresh, Revocation,
    Stopped, TransportError, TransportErrorKind as Kind, entropy,
};
use crate::{drive, drive_to_first_wait, sign_in};
use device_flow_testkit::abreast::side_by_side;
use device_flow_testkit::black_hole::ClosedPort;
use device_flow_testkit::loopback::{self, Asked, Authority, JSON, Loopback, Next};
use device_flow_testkit::scaled::Skipping;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn flow(client: Client) -> DeviceFlow {
    DeviceFlow::new(client, entropy().unwrap())
}

fn client_at(base: &str) -> Client {
    let provider = Provider::endpoints(format!("{base}/device?tenant=private"), format!("{base}/token"));
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

/// The exchanges that a client has reported.
type Reported = Arc<Mutex<Vec<Exchange>>>;

fn watched(http: HttpBuilder) -> (Http, Reported) {
    let reported = Reported::default();
    let watcher = reported.clone();
    (http.on_exchange(move |exchange| watcher.lock().unwrap().push(exchange.clone())).build().unwrap(), reported)
}

fn impatient() -> HttpBuilder {
    Http::builder().timeout(Duration::from_millis(300))
}

// Bodies

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

// C07, W10.
#[test]
fn c07_w10_compressed_bodies_are_declined_and_not_decoded() {
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
    assert!(failure.to_string().contains("compressed with gzip"), "{failure}");
    assert!(server.requests()[0].head.contains("\naccept-encoding: identity\r\n"), "{}", server.requests()[0].head);
}

// C08.
#[test]
fn c08_a_body_that_trickles_ends_with_the_time_limit_of_the_request() {
    let server = Loopback::http(|_, wire| {
        // For half an hour.
        let mut result = wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n");
        while result.is_ok() {
            thread::sleep(Duration::from_millis(20));
            result = wire.write_all(b" ");
        }
        Next::Close
    });
    let start = Instant::now();
    let error = transport_error(impatient(), server.client());
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    // On a busy machine the time of a request may be over before it is sent.
    let requests = u32::try_from(server.requests().len()).unwrap();
    let took = start.elapsed();
    assert!(took >= requests * Duration::from_millis(290) && took < Duration::from_secs(60), "{requests}: {took:?}");
}

// Connections

// C01.
#[test]
fn c01_a_refused_connection_says_so() {
    let closed = ClosedPort::new();
    let error = transport_error(Http::builder(), client_at(&closed.base()));
    assert_eq!(error.kind(), Kind::Connect, "{error}");
    assert!(error.detail().to_lowercase().contains("connection refused"), "{error}");
    assert!(error.detail().starts_with(&format!("127.0.0.1:{}: ", closed.number())), "{error}");
}

// C01.
#[test]
fn c01_a_host_without_an_address_says_so() {
    let error = transport_error(Http::builder().no_proxy(), client_at("https://nonexistent.invalid"));
    assert_eq!(error.kind(), Kind::Dns, "{error}");
    assert!(error.detail().starts_with("nonexistent.invalid: "), "{error}");
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

// C02, R6749-10.9-1, R8414-6.1-2, RFC 8414 §6.2, OIDD-7.1-1, R9110-4.3.4-1, OIDC-16.17-1.
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

// R8414-6.2-1, R7009-5-1, R9110-4.3.4-1, OIDC-16.17-1: a certificate for another host ends every machine, each at its
// first request.
#[test]
fn rfc8414_6_2_the_certificate_is_checked_for_every_kind_of_request() {
    let authority = Authority::new();
    let server = Loopback::https(authority.server(&["elsewhere.example"]), loopback::sign_in(&[]));
    let http = Http::builder().root_certificates_pem(authority.pem()).build().unwrap();
    let provider = Provider::endpoints(server.url("/device"), server.url("/token"));
    let provider = provider.revocation_endpoint(server.url("/revoke"));
    let client = Arc::new(Client::builder(provider, "client").build().unwrap());
    let untrusted = |stopped: Option<Stopped>| match stopped {
        Some(Stopped::Failed(Failure::Transport(error))) => assert_eq!(error.kind(), Kind::UntrustedCertificate),
        other => panic!("{other:?}"),
    };
    untrusted(drive(&http, &mut Discovery::new(server.url("").as_str()).unwrap()).0.err());
    untrusted(drive(&http, &mut DeviceFlow::new(client.clone(), entropy().unwrap())).0.err());
    untrusted(drive(&http, &mut Refresh::new(client.clone(), "RT-canary")).0.err());
    untrusted(drive(&http, &mut Revocation::new(client, "RT-canary").unwrap()).0.err());
    assert_eq!((server.connections(), server.requests().len()), (4, 0));
}

// C16, R8414-6.1-1.
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
            let _ = stream.read(&mut [0; 16 * 1024]);
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
    // Each request may take half a minute.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

// Logs

// G11: a watcher learns where requests went and what came of them, and nothing that was in them.
#[test]
fn g11_every_exchange_is_reported_without_its_content() {
    let server = Loopback::http(loopback::sign_in(&["authorization_pending"]));
    let (http, reported) = watched(Http::builder());
    let (start, base) = (Instant::now(), server.url(""));
    assert!(sign_in(&http, flow(client_at(&base))).is_ok());
    let took = start.elapsed();
    let reported = reported.lock().unwrap();
    let seen: Vec<_> =
        reported.iter().map(|exchange| (exchange.method(), exchange.url().to_owned(), exchange.outcome())).collect();
    let poll = |status| (Method::Post, format!("{base}/token"), Ok(status));
    assert_eq!(seen, [(Method::Post, format!("{base}/device"), Ok(200)), poll(400), poll(200)]);
    assert!(reported.iter().all(|exchange| !exchange.elapsed().is_zero()));
    assert!(reported.iter().map(Exchange::elapsed).sum::<Duration>() < took, "all of them lie in it");
    assert!(reported[1].to_string().starts_with(&format!("POST {base}/token: HTTP status 400, ")), "{}", reported[1]);
    let all = format!("{reported:?}");
    assert!(!all.contains("canary") && !all.contains("tenant"), "{}", all.len());
}

// C02.
#[test]
fn a_request_without_an_answer_is_reported_with_the_kind_of_its_failure() {
    let server = Loopback::https(loopback::self_signed(&["localhost"]), loopback::sign_in(&[]));
    let base = format!("https://localhost:{}", server.port());
    let (http, reported) = watched(Http::builder());
    assert!(matches!(failure(&http, client_at(&base)), Failure::Transport(_)));
    let reported = reported.lock().unwrap();
    assert_eq!(reported.iter().map(Exchange::outcome).collect::<Vec<_>>(), [Err(Kind::UntrustedCertificate)]);
    let line = reported[0].to_string();
    assert!(line.starts_with(&format!("POST {base}/device: the server's certificate is not trusted, ")), "{line}");
}

// A client secret may be a JWT, and a proof is one: the head of a request is of any length up to that.
#[test]
fn a_request_with_a_long_head_is_sent_as_it_is() {
    let secret = "canary".repeat(1_500);
    let server = Loopback::http(loopback::sign_in(&[]));
    let client = server.client_builder().client_secret_basic(secret.as_str()).build().unwrap();
    let http = Http::builder().no_proxy().build().unwrap();
    assert!(sign_in(&http, flow(client)).is_ok());
    let heads: Vec<_> = server.requests().into_iter().map(|asked| asked.head).collect();
    assert_eq!(heads.len(), 2);
    assert!(
        heads.iter().all(|head| head.len() > 12_000 && head.contains("\nauthorization: basic ")),
        "{}",
        heads[0].len()
    );
}

// Proxies

// C14, C15.
#[test]
fn c15_the_proxy_of_a_server_is_named_without_its_password() {
    let http = Http::builder().proxy("http://user:hunter2-canary@127.0.0.1").build().unwrap();
    assert_eq!(http.proxy_for("https://as.example/token").as_deref(), Some("127.0.0.1:80"));
    for direct in ["http://127.0.0.1:1/", "https://localhost/", "nonsense"] {
        assert_eq!(http.proxy_for(direct), None, "{direct}");
    }
    assert_eq!(Http::builder().no_proxy().build().unwrap().proxy_for("https://as.example"), None);
}

// C14.
#[test]
fn c14_a_proxy_that_refuses_is_named_without_its_password() {
    let closed = ClosedPort::new();
    let refusals: [fn(&Asked, &mut dyn Write) -> Next; 3] = [
        |_, wire| loopback::answer(wire, 407, "Proxy-Authenticate: Basic\r\n", ""),
        |_, wire| loopback::answer(wire, 403, "Content-Type: text/html\r\n", "<html>blocked</html>"),
        |_, _| Next::Close,
    ];
    let servers = refusals.map(Loopback::http);
    for port in servers.iter().map(Loopback::port).chain([closed.number()]) {
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
    let proxy = loopback::tunnel_to(server.port(), |_| {});
    let http = Http::builder().proxy(format!("127.0.0.1:{proxy}")).root_certificates_pem(authority.pem());
    let outcome = sign_in(&http.build().unwrap(), flow(client_at("https://as.example")));
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(server.connections(), 1);

    // A certificate for another host is the server's fault, not the proxy's.
    let server = Loopback::https(authority.server(&["elsewhere.example"]), loopback::sign_in(&[]));
    let http = Http::builder().proxy(format!("http://127.0.0.1:{}", loopback::tunnel_to(server.port(), |_| {})));
    let error = transport_error(http.root_certificates_pem(authority.pem()), client_at("https://as.example"));
    assert_eq!(error.kind(), Kind::UntrustedCertificate);
    assert!(error.detail().starts_with("as.example: "), "{error}");
}

// C14: RFC 1928, RFC 1929.
#[test]
fn c14_a_socks_proxy_carries_the_sign_in_and_resolves_the_name() {
    let authority = Authority::new();
    let server = Loopback::https(authority.server(&["as.example"]), loopback::sign_in(&["authorization_pending"]));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let proxy = loopback::socks_to(Some(server.port()), move |request| log.lock().unwrap().push(request));
    for (address, request) in [
        (format!("socks5://127.0.0.1:{proxy}"), "as.example:443"),
        (format!("socks5h://me:canary%21@127.0.0.1:{proxy}"), "me:canary!@as.example:443"),
    ] {
        let http = Http::builder().proxy(address).root_certificates_pem(authority.pem()).build().unwrap();
        assert_eq!(http.proxy_for("https://as.example/x"), Some(format!("127.0.0.1:{proxy}")));
        let outcome = sign_in(&http, flow(client_at("https://as.example")));
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), [request]);
    }
    // The server's fault, not the proxy's.
    let server = Loopback::https(authority.server(&["elsewhere.example"]), loopback::sign_in(&[]));
    let proxy = loopback::socks_to(Some(server.port()), |_| {});
    let http = Http::builder().proxy(format!("socks5://127.0.0.1:{proxy}"));
    let error = transport_error(http.root_certificates_pem(authority.pem()), client_at("https://as.example"));
    assert_eq!(error.kind(), Kind::UntrustedCertificate);
    assert!(error.detail().starts_with("as.example: "), "{error}");
}

// C14.
#[test]
fn c14_a_socks_proxy_that_refuses_or_is_none_is_named_without_its_password() {
    /// Says this to whoever connects, and hangs up.
    fn saying(words: &'static [u8]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            listener.incoming().for_each(|near| drop(near.and_then(|mut near| near.write_all(words))))
        });
        port
    }
    let (closed, refuses) = (ClosedPort::new(), loopback::socks_to(None, |_| {}));
    for port in [refuses, saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), saying(b""), closed.number()] {
        let http = Http::builder().proxy(format!("socks5://user:hunter2-canary@127.0.0.1:{port}"));
        let error = transport_error(http, client_at("https://as.example"));
        assert_eq!(error.kind(), Kind::Proxy, "{error}");
        assert!(error.detail().starts_with(&format!("the proxy 127.0.0.1:{port}: ")), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    let error = transport_error(
        Http::builder().proxy(format!("socks5://127.0.0.1:{refuses}")),
        client_at("https://as.example"),
    );
    assert!(error.detail().contains("not allowed"), "{error}");
}

// Certificates that are trusted beside the system's.
#[test]
fn added_root_certificates_are_trusted_beside_the_others() {
    let (one, two) = (Authority::new(), Authority::new());
    let server = |authority: &Authority| Loopback::https(authority.server(&["localhost"]), loopback::sign_in(&[]));
    let servers = [server(&one), server(&two)];
    let outcomes = |http: &dyn Fn() -> HttpBuilder| {
        servers.each_ref().map(|server| {
            let client = client_at(&format!("https://localhost:{}", server.port()));
            sign_in(&http().no_proxy().build().unwrap(), flow(client)).is_ok()
        })
    };
    assert_eq!(outcomes(&|| Http::builder().added_root_certificates_pem(one.pem())), [true, false]);
    assert_eq!(outcomes(&|| Http::builder().root_certificates_pem(two.pem())), [false, true]);
    let both = || Http::builder().root_certificates_pem(two.pem()).added_root_certificates_pem(one.pem());
    assert_eq!(outcomes(&both), [true, true]);
    assert!(Http::builder().added_root_certificates_pem("nonsense").build().is_err());
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

const CODE: &str = r#"{"device_code":"device-code-1-canary","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":1800,"interval":1}"#;
const TOKEN: &str = r#"{"access_token":"token-1-canary","token_type":"Bearer"}"#;

/// A device authorization response, as gzip.
const GZIPPED_DEVICE_ANSWER: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x35\xcb\x41\x0a\x80\x20\x10\x46\xe1\xbb\xcc\x5a\xb2\x96\xb9\xab\x8b\x88\xe8\x1f\x0d\x94\xca\x68\x12\x44\x77\xaf\x16\x2d\xdf\x07\xef\xa2\x80\xc6\x1e\xd6\xa7\x00\x32\x14\x48\xd1\x51\x20\x7f\x4f\xf3\x0b\x0d\xc2\x0b\x7b\x57\x39\x45\x7b\x08\xbf\xbe\xd6\x9a\x8b\xd1\xda\x95\x0e\xa7\xdb\xf3\x06\xfd\xad\x38\x33\x0b\x8a\xe5\x48\x66\xec\x7b\x45\x1c\x2b\xa4\xb9\x8d\xcc\x70\x3f\x80\x78\x71\x8c\x6c\x00\x00\x00";

#[test]
fn at_most_so_many_requests_are_in_flight() {
    side_by_side(&[(0, 1), (1, 1), (3, 3), (100, 8)], |&(most, expected)| {
        let (inside, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counter, highest) = (inside.clone(), seen.clone());
        // No connection is used again: with reqwest it would belong to the runtime of another thread, and end with it.
        let headers = format!("{JSON}Connection: close\r\n");
        let server = Loopback::http(move |asked, wire| {
            highest.fetch_max(counter.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Nobody leaves before all are inside that may be; and then there is time for one too many.
            while highest.load(Ordering::SeqCst) < expected {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis(20));
            counter.fetch_sub(1, Ordering::SeqCst);
            let body = if asked.target.starts_with("/device") { CODE } else { TOKEN };
            loopback::answer(wire, 200, &headers, body);
            Next::Close
        });
        let http = Http::builder().max_in_flight(most).timeout(Duration::from_secs(60)).build().unwrap();
        // On the timeline of the adapter, on which a request that waits for its turn may expire, and without waits.
        let sign_in = || drive(&http.clone(), &mut Skipping::new(flow(server.client()))).0;
        side_by_side(&[0; 8], |_| assert!(sign_in().is_ok()));
        assert_eq!(seen.load(Ordering::SeqCst), expected, "{most}");
    });
}

// The first request takes all the time that it may; those behind it have not lost theirs.
#[test]
fn the_time_limit_of_a_request_begins_with_its_turn() {
    let (sender, is_first) = mpsc::channel();
    let play = loopback::sign_in(&[]);
    let server = Loopback::http(move |asked, wire| {
        if asked.number == 0 {
            sender.send(()).unwrap();
            return Next::Hang;
        }
        play(asked, wire)
    });
    let http = Http::builder().max_in_flight(1).timeout(Duration::from_secs(5)).build().unwrap();
    let (other, client) = (http.clone(), server.client());
    let first = thread::spawn(move || drive_to_first_wait(&other, &mut flow(client)));
    is_first.recv().unwrap();
    let mut second = flow(server.client());
    drive_to_first_wait(&http, &mut second);
    assert!(second.prompt().is_some(), "it has failed with the first one");
    first.join().unwrap();
}

// The code dies while another request, which the server does not answer, has the only place.
#[test]
fn rule_08_a_poll_that_has_waited_too_long_for_its_turn_is_not_sent() {
    let (sender, is_shown) = mpsc::channel();
    let server = Loopback::http(move |asked, wire| {
        if asked.number > 0 {
            sender.send(()).unwrap();
            thread::sleep(Duration::from_millis(2_500));
            return Next::Close;
        }
        let code = r#"{"device_code":"device-code-1-canary","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":2,"interval":1}"#;
        loopback::answer(wire, 200, JSON, code)
    });
    let http = Http::builder().max_in_flight(1).timeout(Duration::from_secs(10)).build().unwrap();
    let mut waiting = flow(server.client());
    drive_to_first_wait(&http, &mut waiting);
    let (other, client) = (http.clone(), server.client());
    let hanging = thread::spawn(move || drive_to_first_wait(&other, &mut flow(client)));
    is_shown.recv().unwrap();
    let (outcome, _) = drive(&http, &mut waiting);
    assert!(matches!(outcome, Err(Stopped::Failed(Failure::Expired(_)))), "{outcome:?}");
    assert_eq!(server.polls().len(), 0);
    hanging.join().unwrap();
}
