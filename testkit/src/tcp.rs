//! Owns the scripted server on real sockets, plain and with TLS: it puts each turn on the wire, faults included, and
//! records the requests in order.

use crate::loopback::{self, Loopback, Next};
use crate::server::{Asked, Script, Turn};
use device_flow_core::TransportErrorKind;
use rustls::ServerConfig;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// Plays a [`Script`] on a free port of 127.0.0.1.
pub struct Server {
    loopback: Loopback,
    play: Arc<Mutex<Play>>,
}

struct Play {
    script: Script,
    exchanges: Vec<Exchange>,
    overlaps: usize,
}

/// A request, and when it was answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request.
    pub asked: Asked,
    /// Request line and headers, in lower case.
    pub head: String,
    /// When the last byte of the request was read.
    pub from: Instant,
    /// Just before the first byte of the answer, or of the fault in its place, was written.
    pub to: Option<Instant>,
}

impl Server {
    /// For plain HTTP.
    pub fn http(script: Script) -> Self {
        Self::start(script, "http", |serve| Loopback::http(serve))
    }

    /// For HTTPS.
    pub fn https(script: Script, tls: Arc<ServerConfig>) -> Self {
        Self::start(script, "https", |serve| Loopback::https(tls, serve))
    }

    fn start(script: Script, scheme: &'static str, start: impl FnOnce(Serve) -> Loopback) -> Self {
        let play = Arc::new(Mutex::new(Play { script, exchanges: Vec::new(), overlaps: 0 }));
        let shared = play.clone();
        let loopback = start(Box::new(move |asked, wire| {
            let turn = lock(&shared).asked(asked);
            thread::sleep(Duration::from_millis(turn.latency));
            lock(&shared).answered(asked.number);
            perform(&turn, &base(asked, scheme), wire)
        }));
        Self { loopback, play }
    }

    /// Scheme, host and port.
    pub fn base(&self) -> String {
        self.loopback.url("")
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.loopback.port()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.loopback.connections()
    }

    /// The requests so far, and their times.
    pub fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.play).exchanges.clone()
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.exchanges().into_iter().map(|exchange| exchange.asked).collect()
    }

    /// How many requests came before the previous one was answered.
    pub fn overlaps(&self) -> usize {
        lock(&self.play).overlaps
    }

    /// The script, with the turns that are left.
    pub fn script(&self) -> Script {
        lock(&self.play).script.clone()
    }
}

type Serve = Box<dyn Fn(&loopback::Asked, &mut dyn Write) -> Next + Send + Sync>;

impl Play {
    fn asked(&mut self, seen: &loopback::Asked) -> Turn {
        self.overlaps += usize::from(self.exchanges.last().is_some_and(|last| last.to.is_none()));
        let header = |name: &str| seen.head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let asked = Asked {
            method: seen.head.split(' ').next().unwrap_or_default().to_uppercase(),
            target: seen.target.clone(),
            content_type: header("content-type: "),
            body: seen.body.clone(),
        };
        let turn = self.script.turn(&asked);
        self.exchanges.push(Exchange { asked, head: seen.head.clone(), from: seen.at, to: None });
        turn
    }

    fn answered(&mut self, number: usize) {
        self.exchanges[number].to = Some(Instant::now());
    }
}

fn lock(play: &Mutex<Play>) -> MutexGuard<'_, Play> {
    play.lock().unwrap()
}

/// The address that the client used: a proxy passes it on.
fn base(asked: &loopback::Asked, scheme: &str) -> String {
    let header = |name: &str| asked.head.lines().find_map(|line| line.strip_prefix(name));
    let scheme = header("x-forwarded-proto: ").unwrap_or(scheme);
    format!("{scheme}://{}", header("host: ").unwrap_or_default())
}

/// The greeting of another protocol.
const GARBAGE: &[u8] = b"SSH-2.0-OpenSSH_9.6\r\n\r\n";

fn perform(turn: &Turn, base: &str, wire: &mut dyn Write) -> Next {
    match turn.wire(base) {
        Ok(answer) => {
            let headers = answer.headers().into_iter().map(|(name, value)| format!("{name}: {value}\r\n"));
            loopback::answer(wire, answer.status, &headers.collect::<String>(), &answer.body)
        }
        Err(TransportErrorKind::Closed) => Next::Close,
        Err(TransportErrorKind::Timeout) => Next::Hang,
        // The client may have gone away.
        Err(TransportErrorKind::InvalidHttp) => wire.write_all(GARBAGE).map_or(Next::Close, |()| Next::Keep),
        Err(kind) => panic!("a server cannot cause this failure of a request that has reached it: {kind:?}"),
    }
}
