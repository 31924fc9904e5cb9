//! Whole sign-ins over real sockets with a word in every secret (G11): it is in nothing that is printed, told, logged
//! at any level or panicked with, whether the sign-in succeeds or fails.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test reports")]

use device_flow_blocking::{DeviceFlow, Event, Stopped, TokenResponse};
use device_flow_core::{Client, ClientBuilder, Provider};
use device_flow_testkit::black_hole::ClosedPort;
use device_flow_testkit::loopback::{
    self, Asked, Authority, ClientIdentity, JSON, KeyKind, Loopback, Next, TLS_VERSIONS,
};
use device_flow_testkit::scaled::Skipping;
use device_flow_testkit::secrets::{CANARY, ENTROPY, leak, none_in};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, Once};
use std::thread;
use std::time::Duration;

/// Collects all log records of all levels, those of `tracing` too, through its feature `log-always`.
struct Collector(Mutex<Vec<(String, Level, String)>>);

static LOGGED: Collector = Collector(Mutex::new(Vec::new()));

/// Whether ureq logs at trace level too: the only exception, and the documentation of device-flow-blocking warns of it.
static UREQ_DUMPS: AtomicBool = AtomicBool::new(false);

fn is_ureq(target: &str) -> bool {
    target.starts_with("ureq")
}

impl Log for Collector {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.level() < Level::Trace || !is_ureq(of.target()) || UREQ_DUMPS.load(Ordering::SeqCst)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = (record.target().to_owned(), record.level(), record.args().to_string());
            self.0.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

fn collect_all_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&LOGGED).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
}

/// The settings of an adapter.
#[derive(Default)]
struct Settings {
    roots: Option<String>,
    proxy: Option<String>,
    client: Option<ClientIdentity>,
}

type Run = (Result<TokenResponse, Stopped>, Vec<Event>, String);

/// Builds the client of this adapter, and its `Debug` text.
macro_rules! http {
    ($adapter:ident, $settings:expr) => {{
        let mut builder = $adapter::Http::builder().timeout(Duration::from_secs(60));
        if let Some(pem) = &$settings.roots {
            builder = builder.root_certificates_pem(pem.as_str());
        }
        if let Some(proxy) = &$settings.proxy {
            builder = builder.proxy(proxy.as_str());
        }
        if let Some(client) = &$settings.client {
            builder = builder.client_certificate_pem(client.pem());
        }
        let shown = format!("{builder:?}");
        let http = builder.build().unwrap();
        let shown = format!("{shown} {http:?}");
        (http, shown)
    }};
}

fn tokio(settings: &Settings, flow: &mut Skipping<DeviceFlow>) -> Run {
    let (http, shown) = http!(device_flow_tokio, settings);
    let mut events = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(device_flow_tokio::run(&http, flow, |event| events.push(event)));
    (outcome, events, shown)
}

fn blocking(settings: &Settings, flow: &mut Skipping<DeviceFlow>) -> Run {
    let (http, shown) = http!(device_flow_blocking, settings);
    let mut events = Vec::new();
    let outcome = device_flow_blocking::run(&http, flow, &device_flow_blocking::Cancel::new(), |event| {
        events.push(event);
    });
    (outcome, events, shown)
}

/// Cookies are secrets of the server.
const HEAD: &str =
    "Content-Type: application/json\r\nSet-Cookie: session=canary-cookie\r\nX-Request: canary-header\r\n";
const DEVICE: &str = r#"{"device_code":"canary-device-code","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":1800,"interval":1,"further":"canary-further"}"#;
const TOKEN: &str = r#"{"access_token":"canary-access-token","token_type":"Bearer","refresh_token":"canary-refresh-token","id_token":"canary.id.token","expires_in":3600,"further":"canary-further","deeper":{"secret":["canary-deep"]}}"#;

type Serve = fn(&Asked, usize, &mut dyn Write) -> Next;

/// A server that gives a code and leaves the polls, counted from 0, to `serve`.
fn serving(serve: Serve) -> impl Fn(&Asked, &mut dyn Write) -> Next + Send + Sync + 'static {
    let polls = AtomicUsize::new(0);
    move |asked, wire| match &*asked.target {
        "/device" => loopback::answer(wire, 200, HEAD, DEVICE),
        // A code that expires soon, for answers after which the client polls until then.
        "/brief/device" => loopback::answer(wire, 200, HEAD, &DEVICE.replace("1800", "400")),
        _ => serve(asked, polls.fetch_add(1, Ordering::SeqCst), wire),
    }
}

fn raw(wire: &mut dyn Write, bytes: &str) -> Next {
    let _ = wire.write_all(bytes.as_bytes()).and_then(|()| wire.flush());
    Next::Close
}

/// Answers authorization_pending, then slow_down, then a token.
fn grants(_: &Asked, poll: usize, wire: &mut dyn Write) -> Next {
    match poll {
        0 => loopback::answer(wire, 400, HEAD, r#"{"error":"authorization_pending","further":"canary"}"#),
        1 => loopback::answer(wire, 400, HEAD, r#"{"error":"slow_down"}"#),
        _ => loopback::answer(wire, 200, HEAD, TOKEN),
    }
}

/// Answers of a server to every poll that make the sign-in fail.
const ENDINGS: [(&str, Serve); 14] = [
    ("denied", |_, _, wire| loopback::answer(wire, 400, HEAD, r#"{"error":"access_denied","further":"canary"}"#)),
    ("refused", |_, _, wire| loopback::answer(wire, 401, HEAD, r#"{"error":"invalid_client"}"#)),
    ("expired", |_, _, wire| loopback::answer(wire, 400, HEAD, r#"{"error":"expired_token"}"#)),
    ("redirected", |_, _, wire| {
        loopback::answer(wire, 307, &format!("Location: /canary?canary#canary\r\n{HEAD}"), TOKEN)
    }),
    ("token with a line break", |_, _, wire| {
        loopback::answer(wire, 200, HEAD, &TOKEN.replace("canary-access-token", "canary\\r\\ncanary"))
    }),
    ("token of another type", |_, _, wire| loopback::answer(wire, 200, HEAD, &TOKEN.replace("Bearer", "DPoP"))),
    ("token that is a number", |_, _, wire| {
        loopback::answer(wire, 200, HEAD, &TOKEN.replace(r#""canary-access-token""#, r#"["canary"]"#))
    }),
    ("token twice", |_, _, wire| {
        loopback::answer(wire, 200, HEAD, &TOKEN.replace('}', r#","access_token":"canary-2"}"#))
    }),
    ("bytes after the object", |_, _, wire| loopback::answer(wire, 200, HEAD, &format!("{TOKEN} canary"))),
    ("status 500", |_, _, wire| loopback::answer(wire, 500, HEAD, TOKEN)),
    ("form", |_, _, wire| {
        loopback::answer(wire, 200, JSON, "access_token=canary-access-token&token_type=bearer&further=canary")
    }),
    ("cut short", |_, _, wire| raw(wire, &format!("HTTP/1.1 200 OK\r\n{HEAD}Content-Length: 9999\r\n\r\n{TOKEN}"))),
    ("no HTTP", |_, _, wire| raw(wire, "canary canary\r\n\r\n")),
    ("bad header", |_, _, wire| raw(wire, "HTTP/1.1 200 OK\r\nSet-Cookie canary\r\n\r\n")),
];

/// The ways in which a client can send its secret.
const WAYS: [fn(ClientBuilder) -> ClientBuilder; 3] = [
    |client| client.client_secret_basic("canary-client-secret"),
    |client| client.client_secret_post("canary-client-secret"),
    |client| {
        let client = client.client_secret_basic_unencoded(String::from("canary client secret"));
        client.token_parameter("further", "canary-parameter").device_parameter("further", "canary-parameter")
    },
];

fn client(base: &str, way: usize) -> ClientBuilder {
    let provider = Provider::endpoints(format!("{base}/device"), format!("{base}/token"));
    let client = Client::builder(provider, "my-app").scope("openid").pkce().allow_http_loopback();
    WAYS.get(way % WAYS.len()).unwrap()(client)
}

/// Signs in and checks everything on the way; returns the outcome.
fn sign_in(
    drive: fn(&Settings, &mut Skipping<DeviceFlow>) -> Run,
    settings: &Settings,
    base: &str,
    way: usize,
) -> Result<TokenResponse, Stopped> {
    let builder = client(base, way);
    none_in(&format!("{builder:?}"));
    let mut flow = Skipping::new(DeviceFlow::new(builder.build().unwrap(), ENTROPY));
    none_in(&format!("{flow:?}"));
    let (outcome, events, shown) = drive(settings, &mut flow);
    let mut shown = format!("{shown} {events:?} {flow:?} {} {:?}", flow.inner().trail(), flow.inner().trail());
    write!(shown, " {outcome:?}").unwrap();
    match &outcome {
        Ok(_) => {
            // What `unwrap_err` of a careless caller prints.
            let copy = outcome.clone();
            let panic = thread::spawn(move || copy.unwrap_err()).join().unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            assert!(message.contains("TokenResponse"), "{message}");
            shown.push_str(message);
        }
        Err(stopped) => {
            let mut cause = Some(stopped as &dyn Error);
            while let Some(error) = cause {
                write!(shown, "\n{error} {error:?} {error:#?}").unwrap();
                cause = error.source();
            }
        }
    }
    none_in(&shown);
    outcome
}

/// The server received the secrets: otherwise nothing could have leaked.
fn secrets_were_sent(server: &Loopback, way: usize) {
    let requests = server.requests();
    let poll = requests.iter().find(|asked| asked.target.ends_with("/token")).expect("a poll");
    assert!(poll.body.contains("device_code=canary-device-code"), "the device code was not sent");
    assert!(poll.body.contains("code_verifier=canary-"), "the verifier was not sent");
    match way % WAYS.len() {
        1 => assert!(poll.body.contains("client_secret=canary"), "the client secret was not sent"),
        // `Loopback` has heads in lower case.
        _ => assert!(poll.head.contains("authorization: basic bxkty"), "the client secret was not sent"),
    }
}

fn every_scenario(drive: fn(&Settings, &mut Skipping<DeviceFlow>) -> Run) {
    let authority = Authority::new();
    let tls = |name: &str| authority.server(&[name]);
    let trusting = || Settings { roots: Some(authority.pem().to_owned()), ..Settings::default() };

    for way in 0..WAYS.len() {
        let server = Loopback::http(serving(grants));
        let token = sign_in(drive, &Settings::default(), &server.url(""), way).unwrap();
        secrets_were_sent(&server, way);
        for secret in [token.access_token(), token.refresh_token().unwrap(), token.id_token().unwrap()] {
            assert!(secret.expose().contains(CANARY), "another token came than was sent");
        }
        assert!(token.extra("deeper").unwrap().expose().contains(CANARY), "the further member is lost");

        let server = Loopback::https(tls("127.0.0.1"), serving(grants));
        assert!(sign_in(drive, &trusting(), &server.url(""), way).is_ok());
        secrets_were_sent(&server, way);

        // With a certificate, whose key is a secret, too.
        let tls_for_clients = authority.server_for_clients(true, TLS_VERSIONS.get(way % TLS_VERSIONS.len()).unwrap());
        let server = Loopback::https(tls_for_clients, serving(grants));
        let identity = authority.client("client", KeyKind::Ed25519);
        assert!(leak(&identity.key_pem).is_some(), "the key does not have the word in it");
        let certified = Settings { client: Some(identity), ..trusting() };
        assert!(sign_in(drive, &certified, &server.url(""), way).is_ok());
        secrets_were_sent(&server, way);
        assert!(sign_in(drive, &trusting(), &server.url(""), way).is_err(), "a certificate is demanded");

        // Through a proxy that asks for a password.
        let server = Loopback::https(tls("as.example"), serving(grants));
        let settings = Settings { proxy: Some(tunnel_to(server.port())), ..trusting() };
        let outcome = sign_in(drive, &settings, "https://as.example", way);
        assert!(outcome.is_ok(), "{outcome:?}");
        secrets_were_sent(&server, way);
    }

    for (way, (name, serve)) in ENDINGS.into_iter().enumerate() {
        for secure in [false, true] {
            let tls = tls("127.0.0.1");
            let server = if secure { Loopback::https(tls, serving(serve)) } else { Loopback::http(serving(serve)) };
            let settings = if secure { trusting() } else { Settings::default() };
            let outcome = sign_in(drive, &settings, &server.url("/brief"), way);
            assert!(matches!(outcome, Err(Stopped::Failed(_))), "{name}: {outcome:?}");
            secrets_were_sent(&server, way);
        }
    }

    // An untrusted certificate, a closed port, a proxy that refuses.
    let stranger = Loopback::https(loopback::self_signed(&["127.0.0.1"]), serving(grants));
    assert!(sign_in(drive, &trusting(), &stranger.url(""), 0).is_err());
    let closed = ClosedPort::new();
    assert!(sign_in(drive, &Settings::default(), &closed.base(), 1).is_err());
    let refuses = Loopback::http(|_, wire| {
        loopback::answer(wire, 407, "Proxy-Authenticate: Basic realm=canary\r\nSet-Cookie: canary\r\n", "canary")
    });
    let proxy = |port| Some(format!("http://canary-user:canary-password@127.0.0.1:{port}"));
    for port in [refuses.port(), closed.number()] {
        let settings = Settings { proxy: proxy(port), ..trusting() };
        assert!(sign_in(drive, &settings, "https://as.example", 2).is_err());
    }
    assert!(refuses.requests().iter().all(|asked| asked.head.contains("proxy-authorization: basic y2fuyxj5")));
}

/// The address of a proxy that connects every tunnel to this port, with a password.
fn tunnel_to(port: u16) -> String {
    let proxy = loopback::tunnel_to(port, |head| assert!(head.contains("Y2FuYXJ5"), "the password was not sent"));
    format!("http://canary-user:canary-password@127.0.0.1:{proxy}")
}

/// The records of these crates so far.
fn logged(from: impl Fn(&str) -> bool) -> Vec<(String, Level, String)> {
    LOGGED.0.lock().unwrap().iter().filter(|(target, ..)| from(target)).cloned().collect()
}

/// No record has a secret, neither by itself nor together with the others, and these crates did log.
fn are_clean(lines: &[(String, Level, String)], by: &[&str]) {
    for name in by {
        assert!(lines.iter().any(|(target, ..)| target.starts_with(name)), "{name} logged nothing");
    }
    for (target, level, line) in lines {
        assert!(leak(line).is_none(), "{target} logs a secret at {level}");
    }
    let together: String = lines.iter().map(|(_, _, line)| &**line).collect();
    none_in(&together);
}

// G11.
#[test]
fn g11_no_secret_leaves_a_sign_in_on_tokio() {
    collect_all_logs();
    every_scenario(tokio);
    are_clean(&logged(|target| !is_ureq(target)), &["reqwest", "hyper_util", "rustls"]);
}

// G11.
#[test]
fn g11_no_secret_leaves_a_blocking_sign_in() {
    collect_all_logs();
    every_scenario(blocking);
    are_clean(&logged(|_| true), &["ureq", "ureq_proto", "rustls"]);

    // At trace level ureq logs every byte of every connection, sixteen in a line, and the target of a redirect. When
    // this fails, that has improved, and the warning can be removed.
    UREQ_DUMPS.store(true, Ordering::SeqCst);
    let server = Loopback::http(serving(grants));
    assert!(sign_in(blocking, &Settings::default(), &server.url(""), 0).is_ok());
    let dump = logged(|target| target.starts_with("ureq_proto"));
    let rows: String = dump.iter().filter_map(|(.., row)| row.split(' ').next_back()).collect();
    assert!(rows.contains("canary-access-token"), "ureq no longer logs what it reads");
}

/// Prints and logs a secret, which `testkit/secrets.sh` must find.
#[test]
#[ignore = "a leak on purpose"]
fn a_leak_on_purpose() {
    println!("{CANARY} in what a test prints");
    let _server = Loopback::http(|_, _| Next::Close);
    log::trace!("{CANARY} in what a crate logs");
}
