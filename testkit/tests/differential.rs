//! Proves that the core in memory, the tokio adapter and the blocking adapter are one client: for every script they
//! make the same requests, in the same order, at the same times, and end the same way; and the server receives each
//! request once.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "test code: a panic is how it reports"
)]

#[path = "support/adapters.rs"]
mod adapters;

use adapters::{AUTHORITY, Adapter, PATIENT};
use device_flow_core::{
    Client, DeviceFlow, Discovery, Event, Machine, Stopped, TokenResponse, TransportErrorKind as Kind, WaitReason,
};
use device_flow_testkit::abreast::abreast;
use device_flow_testkit::attempts::once_below;
use device_flow_testkit::choices::{Bytes, Choose, every_path};
use device_flow_testkit::recorder::{Recorder, Trace};
use device_flow_testkit::scaled::Scaled;
use device_flow_testkit::server::{self, Asked, Number, Reply, Script, Turn};
use device_flow_testkit::{memory, tcp};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// A code that leaves time for some polls.
const CODE: Turn = code(Number::Whole(5), Number::Whole(900));
const PENDING: Turn = Turn::new(Reply::Pending);
const SLOW_DOWN: Turn = Turn::new(Reply::SlowDown(Number::Absent));
const TOKEN: Turn = Turn::new(Reply::Token);
const CLOSED: Turn = Turn::new(Reply::Fault(Kind::Closed));
const GARBAGE: Turn = Turn::new(Reply::Fault(Kind::InvalidHttp));
const PAGE: Turn = Turn::new(Reply::Page);
const NOTHING: Turn = Turn::new(Reply::Nothing);
const BUSY: Turn = Turn::new(Reply::Unavailable(503));
const METADATA: Turn = Turn::new(Reply::Metadata);

const fn code(interval: Number, lifetime: Number) -> Turn {
    Turn::new(Reply::Code { interval, lifetime })
}

const fn slow_down(hint: Number) -> Turn {
    Turn::new(Reply::SlowDown(hint))
}

const fn error(code: &'static str) -> Turn {
    Turn::new(Reply::Error(code))
}

/// Scripts of sign-ins. After the last turn of a script the server answers `authorization_pending` until the code
/// expires.
fn sign_ins() -> Vec<Vec<Turn>> {
    use Number::{Absent, AndAHalf, Huge, Negative, Nonsense, Null, Quoted, Whole};
    let short = code(Whole(5), Whole(60));
    let mut scripts = vec![
        // Outcomes.
        vec![CODE, TOKEN],
        vec![CODE, PENDING, PENDING, TOKEN],
        vec![CODE, PENDING, error("access_denied")],
        vec![CODE, error("authorization_declined")],
        vec![CODE, error("expired_token")],
        vec![CODE, error("code_expired")],
        vec![CODE, PENDING, error("invalid_grant")],
        vec![CODE, error("weird")],
        vec![error("invalid_client")],
        vec![error("unauthorized_client").status(401)],
        vec![short],
        // OAuth errors with other statuses (B02, B10).
        [&[CODE][..], &[200, 401, 403, 408, 428, 429, 500, 503].map(|status| PENDING.status(status)), &[TOKEN]]
            .concat(),
        vec![CODE, PENDING.status(200), SLOW_DOWN.status(429), PENDING.status(500), TOKEN.status(201)],
        // slow_down (B03, B04, B05).
        vec![CODE, SLOW_DOWN, TOKEN],
        vec![CODE, SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, PENDING, TOKEN],
        vec![CODE, slow_down(Whole(25)), PENDING, slow_down(Whole(1)), TOKEN],
        vec![code(Whole(5), Whole(120)), SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, SLOW_DOWN],
        // Back-off and what ends it.
        vec![CODE, CLOSED, TOKEN],
        vec![CODE, GARBAGE, CLOSED, BUSY, CLOSED, PENDING, CLOSED, TOKEN],
        vec![CODE, SLOW_DOWN, SLOW_DOWN, CLOSED, TOKEN],
        vec![short, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED],
        [&[CODE][..], &[408, 429, 500, 502, 504].map(|status| Turn::new(Reply::Unavailable(status))), &[TOKEN]]
            .concat(),
        // Retry-After (rule 6).
        vec![CODE, BUSY.retry_after(30), PENDING.retry_after(2), SLOW_DOWN.retry_after(100), TOKEN],
        vec![short, PENDING.retry_after(u64::MAX), TOKEN],
        vec![BUSY.retry_after(2), BUSY, CODE, TOKEN],
        vec![BUSY.retry_after(61)],
        vec![BUSY, BUSY, BUSY, BUSY],
        // Something else answers (B11, B12, B14, P10).
        vec![CODE, PAGE, PAGE, PAGE, TOKEN],
        vec![CODE, PAGE, PAGE, PAGE, PAGE],
        vec![CODE, PAGE.status(403), BUSY, PAGE.status(502), PENDING, TOKEN],
        vec![CODE, NOTHING, TOKEN],
        vec![CODE, NOTHING, NOTHING],
        vec![CODE, Turn::new(Reply::Array), TOKEN],
        vec![CODE, Turn::new(Reply::Trailing), TOKEN],
        vec![CODE, Turn::new(Reply::Redirect), TOKEN],
        vec![PAGE],
        vec![NOTHING],
        vec![Turn::new(Reply::Array)],
        vec![Turn::new(Reply::Redirect)],
        vec![TOKEN],
        // The device authorization request is attempted four times (C01, C03).
        vec![CLOSED, CODE, TOKEN],
        vec![CLOSED, GARBAGE, CLOSED, CODE, CLOSED, TOKEN],
        vec![CLOSED, CLOSED, GARBAGE, CLOSED],
        vec![SLOW_DOWN, CODE, TOKEN],
        // A slow server is asked only once.
        vec![CODE.latency(20), PENDING.latency(20), TOKEN.latency(20)],
    ];
    // Every way to write a number, in each of the three places.
    for number in
        [Absent, Null, Whole(0), Whole(1), Quoted(7), AndAHalf(7), Negative(7), Huge, Nonsense, Whole(u64::MAX)]
    {
        scripts.push(vec![code(number, Whole(60)), PENDING, TOKEN]);
        scripts.push(vec![code(Whole(50), number), PENDING, TOKEN]);
        scripts.push(vec![code(Whole(1), Whole(60)), slow_down(number), TOKEN]);
    }
    // Every order of what polling reacts to: three polls, then the token.
    every_path(|choices| {
        let menu = [PENDING, SLOW_DOWN, CLOSED, BUSY, PAGE];
        let polls: Vec<_> = (0..3).map(|_| *choices.from(&menu)).collect();
        scripts.push([&[CODE][..], &polls, &[TOKEN]].concat());
    });
    scripts.extend((0..60).map(at_random));
    scripts
}

/// A long random script; the same for the same seed.
fn at_random(seed: u64) -> Vec<Turn> {
    use Number::{Absent, AndAHalf, Quoted, Whole};
    let mut state = seed;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
    .take(100)
    .collect();
    let mut choices = Bytes(&bytes[1..]);
    let interval = *choices.from(&[Whole(5), Absent, Whole(1), Quoted(9), AndAHalf(2)]);
    let lifetime = *choices.from(&[Whole(900), Whole(100), Whole(30)]);
    let mut script = vec![code(interval, lifetime)];
    while script.len() < 16 && !choices.is_used_up() {
        let hint = *choices.from(&[Absent, Whole(1), Whole(30), Quoted(12), Whole(10_000)]);
        let turn = *choices.from(&[PENDING, slow_down(hint), CLOSED, GARBAGE, BUSY, PAGE, NOTHING, TOKEN]);
        let status = *choices.from(&[None, None, None, Some(200), Some(429)]);
        let retry_after = *choices.from(&[None, None, None, Some(0), Some(8), Some(120)]);
        script.push(Turn { status: status.or(turn.status), retry_after, ..turn });
    }
    script
}

/// Scripts of discoveries.
fn discoveries() -> Vec<Vec<Turn>> {
    let not_found = PAGE.status(404);
    vec![
        vec![METADATA],
        vec![not_found, METADATA],
        vec![not_found, not_found],
        vec![NOTHING, METADATA],
        vec![Turn::new(Reply::Redirect), METADATA],
        vec![Turn::new(Reply::Redirect), Turn::new(Reply::Redirect)],
        vec![BUSY.retry_after(3), not_found, BUSY, METADATA],
        vec![BUSY; 8],
        vec![CLOSED, METADATA],
        vec![not_found, CLOSED, GARBAGE, METADATA],
        vec![CLOSED, GARBAGE, CLOSED, CLOSED],
        vec![Turn::new(Reply::Array), Turn::new(Reply::Array)],
        vec![error("access_denied"), TOKEN],
    ]
}

/// All that can be observed of a run.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    trace: Trace,
    asked: Vec<Asked>,
    complaints: Vec<String>,
    turns_left: usize,
    reasons: Vec<WaitReason>,
    outcome: String,
}

fn in_memory<M: Machine>(script: &[Turn], base: &str, machine: M, show: impl Fn(M::Output) -> String) -> Run {
    let (mut script, mut machine, mut reasons) = (Script::new(script.to_vec()), Recorder::new(machine, base), vec![]);
    let (outcome, asked) = memory::run(&mut machine, base, &mut script, |event| reasons.extend(reason(&event)));
    assert_eq!(asked.len(), machine.trace().sent().count());
    Run {
        trace: machine.trace().clone(),
        asked,
        complaints: script.complaints().to_vec(),
        turns_left: script.left(),
        reasons,
        outcome: in_words(outcome, base, show),
    }
}

fn on_the_wire<M: Machine>(
    adapter: Adapter,
    limit: Duration,
    server: &tcp::Server,
    machine: M,
    show: impl Fn(M::Output) -> String,
) -> Run {
    let (mut machine, mut reasons) = (Recorder::new(machine, &server.base()), vec![]);
    let outcome = adapter.run_within(limit, &mut machine, |event| reasons.extend(reason(&event)));
    assert_eq!(server.overlaps(), 0, "a request came while another one was in flight");
    // Every header that the machine asked for is on the wire.
    for (sent, seen) in machine.trace().sent().zip(server.exchanges()) {
        for (name, value) in &sent.headers {
            let line = format!("\r\n{name}: {}\r\n", value.to_ascii_lowercase());
            assert_eq!(seen.head.matches(&line).count(), 1, "{line:?} in {:?}", seen.head);
        }
    }
    let script = server.script();
    Run {
        trace: machine.trace().clone(),
        asked: server.asked(),
        complaints: script.complaints().to_vec(),
        turns_left: script.left(),
        reasons,
        outcome: in_words(outcome, &server.base(), show),
    }
}

fn reason(event: &Event) -> Option<WaitReason> {
    if let Event::Waiting { reason, .. } = event { Some(*reason) } else { None }
}

fn in_words<T>(outcome: Result<T, Stopped>, base: &str, show: impl Fn(T) -> String) -> String {
    match outcome {
        Ok(output) => show(output).replace(base, ""),
        // The trace has the failure, without the words of the network.
        Err(Stopped::Failed(_)) => "failed".to_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

/// With a real server, plain and with TLS, both adapters do what the core does in memory.
fn compare<M: Machine>(
    script: &[Turn],
    limit: Duration,
    machine: impl Fn(&str) -> M,
    show: impl Fn(M::Output) -> String + Copy,
) {
    let play = || Script::new(script.to_vec());
    for adapter in Adapter::BOTH {
        for server in [tcp::Server::http(play()), tcp::Server::https(play(), TLS.clone())] {
            let expected = in_memory(script, &server.base(), machine(&server.base()), show);
            let found = on_the_wire(adapter, limit, &server, machine(&server.base()), show);
            assert_eq!(
                expected,
                found,
                "{adapter:?} at {}\nscript: {script:?}\nin memory:\n{}\non the wire:\n{}",
                server.base(),
                expected.trace,
                found.trace
            );
            assert_eq!(found.reasons, found.trace.waits().map(|(_, reason)| reason).collect::<Vec<_>>());
            assert_eq!(found.complaints, [""; 0], "{script:?}");
            assert!(found.trace.end().is_some());
        }
    }
}

static TLS: std::sync::LazyLock<Arc<rustls::ServerConfig>> =
    std::sync::LazyLock::new(|| AUTHORITY.server(&["127.0.0.1"]));

fn client(base: &str) -> Client {
    server::client(base).build().unwrap()
}

fn flow(base: &str) -> DeviceFlow {
    DeviceFlow::new(client(base), [7; 32])
}

/// Everything in the response, including its secrets.
fn token(token: TokenResponse) -> String {
    let secrets = [Some(token.access_token()), token.refresh_token(), token.id_token()];
    let scopes: Vec<_> = token.scopes().collect();
    format!(
        "{:?} {:?} {scopes:?}",
        secrets.map(|secret| secret.map(|secret| secret.expose().to_owned())),
        token.expires_in()
    )
}

#[test]
fn a_sign_in_is_the_same_in_memory_on_tokio_and_blocking() {
    let scripts = sign_ins();
    println!("{} scripts, each in memory and on two adapters, plain and over TLS", scripts.len());
    abreast(8, &scripts, |script| compare(script, PATIENT, flow, token));
}

/// With a time limit that the requests with an answer do not reach, on a busy machine either.
#[test]
fn silence_is_the_same_in_memory_on_tokio_and_blocking() {
    const SILENCE: Turn = Turn::new(Reply::Fault(Kind::Timeout));
    let scripts = [vec![CODE, SILENCE, PENDING, TOKEN], vec![SILENCE, CODE, TOKEN], vec![CODE, SILENCE, CLOSED, TOKEN]];
    abreast(3, &scripts, |script| compare(script, Duration::from_secs(3), flow, token));
}

#[test]
fn a_discovery_is_the_same_in_memory_on_tokio_and_blocking() {
    let show = |metadata| format!("{metadata:?}");
    abreast(4, &discoveries(), |script| {
        compare(script, PATIENT, |base| Discovery::builder(base).allow_http_loopback().build().unwrap(), show)
    });
}

/// The same waits in real time, twenty times as fast: on the wire, each gap from an answer to the next request is no
/// shorter than the wait of the machine in memory, and not much longer, unless the machine is busy.
#[test]
fn polling_law_2_real_waits_are_those_in_memory() {
    const FACTOR: u32 = 20;
    let script =
        [code(Number::Whole(1), Number::Whole(900)), PENDING.latency(30), SLOW_DOWN, CLOSED.latency(30), TOKEN];
    abreast(2, &Adapter::BOTH, |adapter| {
        once_below(Duration::from_secs(1), || {
            let server = tcp::Server::http(Script::new(script));
            let expected = in_memory(&script, &server.base(), flow(&server.base()), token);
            let mut machine = Scaled::new(flow(&server.base()), FACTOR);
            let outcome = adapter.run(&mut machine, |_| {}).map(token).unwrap();
            assert_eq!((outcome, server.asked()), (expected.outcome, expected.asked));
            let exchanges = server.exchanges();
            let waits: Vec<_> = expected.trace.waits().map(|(wait, _)| Duration::from_millis(wait) / FACTOR).collect();
            assert_eq!(waits.len(), exchanges.len() - 1);
            let late = exchanges.windows(2).zip(waits).map(|(pair, wait)| {
                let gap = pair[1].from.duration_since(pair[0].to.unwrap());
                gap.checked_sub(wait).unwrap_or_else(|| panic!("early: {gap:?} instead of {wait:?}"))
            });
            late.max().unwrap()
        });
    });
}
