//! Proves what each fault between client and server leads to, at each request, on both adapters: one table lists it.

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
    Cause, Client, DeviceFlow, Discovery, Expired, Failure, ProtocolFault, Provider, Stopped,
    TransportErrorKind as Kind, WaitReason,
};
use device_flow_testkit::abreast::abreast;
use device_flow_testkit::black_hole::ClosedPort;
use device_flow_testkit::faults::{self, Fault, Proxy};
use device_flow_testkit::loopback::{self, Loopback};
use device_flow_testkit::recorder::{Recorder, Trace};
use device_flow_testkit::server::{self, Number, Reply, Script, Turn};
use device_flow_testkit::tcp;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// What a fault leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client does not notice it.
    Unnoticed,
    /// Once: the request is sent again after a delay. Always: four attempts, then this failure.
    Retried(Kind),
    /// Discovery. Once: the second location is asked at once. Always: this breach of the protocol, after both
    /// locations.
    SecondLocation(Breach),
    /// A poll. Once: one failure in the trail, and the flow goes on. Always: the code expires, and the trail has the
    /// cause.
    Survived(Kind),
    /// A poll. Once: one failure in the trail, and the flow goes on. Always: this breach, with the fourth in a row.
    Tolerated(Breach),
    /// Once or always: the flow ends at once.
    Broken(Breach),
    /// Once or always: the flow ends at once, before a byte of the request is sent.
    Untrusted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breach {
    Redirect(u16),
    TooLarge,
    Page,
}

/// Fault, and its end for discovery, device authorization and poll.
type Row = (Fault, [End; 3]);

/// The targets of redirects. The first is a real server, which must never be contacted.
fn redirects(elsewhere: &str) -> Vec<String> {
    let elsewhere = elsewhere.replace("http://", "http://u:hunter2-canary@");
    [&elsewhere, "/elsewhere", "", "http://as.example/", "file:///etc/hostname"].map(str::to_owned).into()
}

#[rustfmt::skip]
fn table(elsewhere: &str) -> Vec<Row> {
    use Breach::{Page, TooLarge};
    use End::{Broken, Retried, SecondLocation, Survived, Tolerated, Unnoticed, Untrusted};
    use Kind::{Closed, InvalidHttp, Timeout};
    let mut table = vec![
        //                                                  discovery              device authorization  poll
        (Fault::None,                                      [Unnoticed,             Unnoticed,            Unnoticed]),
        (Fault::Latency(Duration::from_millis(50)),        [Unnoticed,             Unnoticed,            Unnoticed]),
        (Fault::ByteByByte,                                [Unnoticed,             Unnoticed,            Unnoticed]),
        // C08, C09: the time limit of the request. An answer after it does not count.
        (LATE,                                             [Retried(Timeout),      Retried(Timeout),     Survived(Timeout)]),
        (Fault::Trickle,                                   [Retried(Timeout),      Retried(Timeout),     Survived(Timeout)]),
        (Fault::Hang,                                      [Retried(Timeout),      Retried(Timeout),     Survived(Timeout)]),
        // C03.
        (Fault::Close,                                     [Retried(Closed),       Retried(Closed),      Survived(Closed)]),
        (Fault::Reset,                                     [Retried(Closed),       Retried(Closed),      Survived(Closed)]),
        (Fault::HalfClose,                                 [Retried(Closed),       Retried(Closed),      Survived(Closed)]),
        (Fault::ResetInBody,                               [Retried(Closed),       Retried(Closed),      Survived(Closed)]),
        (Fault::CutHead,                                   [Retried(Closed),       Retried(Closed),      Survived(Closed)]),
        (Fault::CutChunk,                                  [Retried(Closed),       Retried(Closed),      Survived(Closed)]),
        (Fault::CutBody,                                   [Retried(Closed),       Retried(Closed),      Survived(Closed)]),
        // Only the JSON shows that something is missing; under TLS the missing close_notify does too, see [`ends`].
        (Fault::CutUnnoticed,                              [SecondLocation(Page),  Broken(Page),         Tolerated(Page)]),
        // C05.
        (Fault::Garbage(SSH),                              [Retried(InvalidHttp),  Retried(InvalidHttp), Survived(InvalidHttp)]),
        (Fault::Garbage(NO_STATUS),                        [Retried(InvalidHttp),  Retried(InvalidHttp), Survived(InvalidHttp)]),
        (Fault::Garbage(NO_HEADER),                        [Retried(InvalidHttp),  Retried(InvalidHttp), Survived(InvalidHttp)]),
        (Fault::EndlessHeaders,                            [Retried(InvalidHttp),  Retried(InvalidHttp), Survived(InvalidHttp)]),
        (Fault::EndlessHeader,                             [Retried(InvalidHttp),  Retried(InvalidHttp), Survived(InvalidHttp)]),
        // C06.
        (Fault::EndlessObject { chunked: false },          [SecondLocation(TooLarge), Broken(TooLarge),  Broken(TooLarge)]),
        (Fault::EndlessObject { chunked: true },           [SecondLocation(TooLarge), Broken(TooLarge),  Broken(TooLarge)]),
        (Fault::EndlessPage,                               [SecondLocation(Page),  Broken(Page),         Tolerated(Page)]),
        // C07: neither adapter decodes it. Decoded, it would begin like an object and be too large.
        (Fault::GzipBomb,                                  [SecondLocation(Page),  Broken(Page),         Tolerated(Page)]),
        // C02.
        (Fault::WrongCertificate,                          [Untrusted,             Untrusted,            Untrusted]),
    ];
    // C10, C11.
    for status in [301, 302, 303, 307, 308] {
        let redirect = Breach::Redirect(status);
        table.extend(redirects(elsewhere).into_iter().map(|target| {
            (Fault::Redirect(status, target), [SecondLocation(redirect), Broken(redirect), Broken(redirect)])
        }));
    }
    table
}

const SSH: &str = "SSH-2.0-OpenSSH_9.6\r\n\r\n";
const NO_STATUS: &str = "HTTP/1.1 abc OK\r\n\r\n";
const NO_HEADER: &str = "HTTP/1.1 200 OK\r\nno header\r\n\r\n";

/// The time limit of a request, for the faults that end only by it: time enough, on a busy machine too, for the requests
/// without a fault.
const LIMIT: Duration = Duration::from_secs(3);
/// So much later that nobody takes it for an answer in time.
const LATE: Fault = Fault::Latency(Duration::from_secs(9));

fn limit(fault: &Fault) -> Duration {
    match fault {
        Fault::Hang | Fault::Trickle => LIMIT,
        fault if *fault == LATE => LIMIT,
        _ => PATIENT,
    }
}

/// A code with time for four polls when each of them fails.
const CODE: Turn = Turn::new(Reply::Code { interval: Number::Whole(5), lifetime: Number::Whole(60) });
const PENDING: Turn = Turn::new(Reply::Pending);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Discovery,
    Device,
    Poll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Once,
    Always,
}

/// One run of one adapter.
#[derive(Clone, Debug)]
struct Cell {
    fault: Fault,
    at: At,
    times: Times,
    adapter: Adapter,
    tls: bool,
    end: End,
}

fn cells(table: &[Row]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (fault, row) in table {
        for tls in [false, true].into_iter().filter(|tls| *tls || *fault != Fault::WrongCertificate) {
            for adapter in Adapter::BOTH {
                for (at, end) in [At::Discovery, At::Device, At::Poll].into_iter().zip(ends(fault, *row, adapter, tls))
                {
                    for times in [Times::Once, Times::Always] {
                        cells.push(Cell { fault: fault.clone(), at, times, adapter, tls, end });
                    }
                }
            }
        }
    }
    cells
}

/// What the table says, with the one difference between the adapters: reqwest notices that a TLS connection was cut off
/// (RFC 8446 §6.1), ureq leaves that to the JSON.
fn ends(fault: &Fault, row: [End; 3], adapter: Adapter, tls: bool) -> [End; 3] {
    let noticed = *fault == Fault::CutUnnoticed && adapter == Adapter::Tokio && tls;
    let cut_off = [End::Retried(Kind::Closed), End::Retried(Kind::Closed), End::Survived(Kind::Closed)];
    if noticed { cut_off } else { row }
}

/// The result of a cell.
struct Found {
    trace: Trace,
    outcome: Result<(), Failure>,
    proxy: Proxy,
}

fn run(cell: &Cell) -> Found {
    // At the request with the fault the server gives the same answer again when it is asked again.
    let script = match (cell.at, cell.times) {
        (At::Discovery, _) => vec![Turn::new(Reply::Metadata); 4],
        (At::Device, Times::Once) => match cell.end {
            End::Retried(_) => vec![CODE, CODE, PENDING, Turn::new(Reply::Token)],
            _ => vec![CODE, PENDING, Turn::new(Reply::Token)],
        },
        (At::Device, Times::Always) if cell.end == End::Unnoticed => vec![CODE, PENDING, Turn::new(Reply::Token)],
        (At::Device, Times::Always) => vec![CODE; 4],
        (At::Poll, Times::Always) if cell.end != End::Unnoticed => vec![CODE],
        (At::Poll, _) => vec![CODE, PENDING, Turn::new(Reply::Token)],
    };
    let upstream = tcp::Server::http(Script::new(script));
    let (fault, first, times) = (cell.fault.clone(), usize::from(cell.at == At::Poll), cell.times);
    let plan = move |number: usize| {
        let hit = if times == Times::Once { number == first } else { number >= first };
        if hit { fault.clone() } else { Fault::None }
    };
    let proxy = match cell.tls {
        false => Proxy::http(upstream.port(), plan),
        true => Proxy::https(upstream.port(), &AUTHORITY, plan),
    };
    let (trace, outcome) = match cell.at {
        At::Discovery => {
            let mut machine =
                Recorder::new(Discovery::builder(&proxy.base()).allow_http_loopback().build().unwrap(), &proxy.base());
            let outcome = cell.adapter.run_within(limit(&cell.fault), &mut machine, |_| {});
            (machine.trace().clone(), outcome.map(drop))
        }
        At::Device | At::Poll => {
            let flow = DeviceFlow::new(server::client(&proxy.base()).build().unwrap(), [7; 32]);
            let mut machine = Recorder::new(flow, &proxy.base());
            let outcome = cell.adapter.run_within(limit(&cell.fault), &mut machine, |_| {});
            if outcome.is_ok() {
                let failures = matches!(cell.end, End::Survived(_) | End::Tolerated(_));
                assert_eq!(machine.inner().trail().failures(), u32::from(failures));
            }
            (machine.trace().clone(), outcome.map(drop))
        }
    };
    // The upstream server received only requests of the right form, and never two at once.
    assert_eq!(upstream.script().complaints(), [""; 0]);
    assert_eq!(upstream.overlaps(), 0);
    let outcome = outcome.map_err(|stopped| match stopped {
        Stopped::Failed(failure) => failure,
        other => panic!("{other:?}"),
    });
    Found { trace, outcome, proxy }
}

// C02, C03, C05, C06, C07, C08, C09, C10, C11, P17, P18.
#[test]
fn c02_to_c11_every_fault_at_every_request_on_both_adapters_ends_as_the_table_says() {
    let elsewhere = Loopback::http(loopback::sign_in(&[]));
    let mut cells = cells(&table(&elsewhere.url("/device")));
    // By default one adapter meets a fault under TLS and the other without, by turns.
    if std::env::var_os("DEVICE_FLOW_FAULTS").is_none_or(|level| level != "all") {
        let mut turn = 0;
        cells.retain(|cell| {
            turn +=
                usize::from(cell.at == At::Discovery && cell.times == Times::Once && cell.adapter == Adapter::Tokio);
            cell.fault == Fault::WrongCertificate || (cell.adapter == Adapter::Tokio) == (cell.tls == (turn % 4 < 2))
        });
    }
    println!("{} runs over real sockets", cells.len());
    // The runs that end by the time limit spend most of their time waiting for it: the others run meanwhile.
    let (slow, quick): (Vec<_>, Vec<_>) = cells.into_iter().partition(|cell| limit(&cell.fault) == LIMIT);
    thread::scope(|scope| {
        scope.spawn(|| abreast(36, &slow, check));
        abreast(4, &quick, check);
    });
    assert_eq!(elsewhere.connections(), 0);
}

fn check(cell: &Cell) {
    let found = run(cell);
    let requests = found.proxy.requests();
    check_end(cell, &found);
    check_bounds(cell, &found);
    // Only the requests that the machine asked for: no redirect is followed, and nothing is sent twice.
    let seen: Vec<_> = requests.iter().map(|asked| asked.target.clone()).collect();
    let mut wanted: Vec<_> = found.trace.sent().map(|sent| sent.target.clone()).collect();
    if cell.end == End::Untrusted {
        wanted.pop();
        assert_eq!(found.proxy.connections(), wanted.len() + 1);
    }
    assert_eq!(seen, wanted);
    if let Err(Failure::Transport(error)) = &found.outcome {
        let place = found.proxy.base().split_once("://").unwrap().1.to_owned();
        assert!(error.detail().starts_with(&format!("{place}: ")), "{error}");
    }
    if let Err(failure) = &found.outcome {
        assert!(!format!("{failure} {failure:?}").contains("hunter2"));
    }
}

fn check_end(cell: &Cell, Found { trace, outcome, .. }: &Found) {
    let requests: Vec<_> = trace.sent().map(|sent| &*sent.target).collect();
    let backoffs: Vec<_> = trace
        .waits()
        .filter_map(|(_, reason)| match reason {
            WaitReason::Backoff { cause, .. } => Some(cause),
            _ => None,
        })
        .collect();
    let once = cell.times == Times::Once;
    let (first, second) = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration");
    let whole = match cell.at {
        At::Discovery => vec![first],
        At::Device | At::Poll => vec!["/device", "/token", "/token"],
    };
    let breach = |wanted: Breach| match outcome {
        Err(Failure::Protocol(error)) => match (wanted, &error.fault) {
            (Breach::Redirect(status), ProtocolFault::Redirect(found)) => status == *found,
            (Breach::TooLarge, ProtocolFault::TooLarge(max)) => *max == most(cell.at),
            (Breach::Page, ProtocolFault::Page { .. }) => true,
            _ => false,
        },
        _ => false,
    };
    let right = match cell.end {
        End::Unnoticed => outcome.is_ok() && requests == whole && backoffs.is_empty(),
        End::Retried(kind) if once => {
            let again = [&whole[..1], &whole[..]].concat();
            outcome.is_ok() && requests == again && backoffs == [Cause::Transport(kind)]
        }
        End::Retried(kind) => {
            let failed = matches!(outcome, Err(Failure::Transport(error)) if error.kind() == kind);
            failed && requests == [whole[0]; 4] && backoffs == [Cause::Transport(kind); 3]
        }
        End::SecondLocation(_) if once => outcome.is_ok() && requests == [first, second] && backoffs.is_empty(),
        End::SecondLocation(wanted) => breach(wanted) && requests == [first, second] && backoffs.is_empty(),
        End::Survived(kind) if once => outcome.is_ok() && requests == whole && backoffs == [Cause::Transport(kind)],
        End::Survived(kind) => {
            let expired = matches!(outcome, Err(Failure::Expired(expired))
                if expired.trail.failures() == expired.trail.polls()
                    && expired.trail.last_error().unwrap().cause() == Cause::Transport(kind));
            // After 5, 10 and 20 seconds, and a second before the end.
            expired && requests.len() == 5 && backoffs == [Cause::Transport(kind); 3]
        }
        End::Tolerated(_) if once => outcome.is_ok() && requests == whole && matches!(backoffs[..], [Cause::Page(_)]),
        End::Tolerated(wanted) => breach(wanted) && requests.len() == 5 && backoffs.len() == 3,
        End::Broken(wanted) => {
            let before = usize::from(cell.at == At::Poll);
            breach(wanted) && requests == whole[..=before] && backoffs.is_empty()
        }
        End::Untrusted => {
            let before = usize::from(cell.at == At::Poll);
            let untrusted =
                matches!(outcome, Err(Failure::Transport(error)) if error.kind() == Kind::UntrustedCertificate);
            untrusted && requests == whole[..=before] && backoffs.is_empty()
        }
    };
    assert!(right, "expected {:?}, found {outcome:?}\n{trace}", cell.end);
}

/// How many bytes of body are wanted at most.
fn most(at: At) -> usize {
    if at == At::Discovery { 1 << 20 } else { 64 << 10 }
}

/// C05, C06, C07: how much is read has a bound, whatever is sent.
fn check_bounds(cell: &Cell, Found { trace, proxy, .. }: &Found) {
    let most = most(cell.at);
    assert!(trace.lengths().all(|length| length <= most + 1), "{trace}");
    let endless = matches!(cell.fault, Fault::EndlessObject { .. } | Fault::EndlessPage);
    let bomb = cell.fault == Fault::GzipBomb;
    let longest = trace.lengths().max().unwrap_or_default();
    if endless || (bomb && cell.at != At::Discovery) {
        assert_eq!(longest, most + 1, "{trace}");
    }
    if bomb && cell.at == At::Discovery {
        assert_eq!(longest, faults::gzip_bomb().len(), "{trace}");
    }
    // What was sent beyond the limit is in the buffers of two sockets.
    let each = proxy.written() / proxy.requests().len().max(1) as u64;
    assert!(each < 16 << 20, "{each} bytes for each request");
}

// C01.
#[test]
fn c01_polls_that_never_connect_go_on_until_the_code_expires() {
    let refusing = ClosedPort::new();
    let dead = [
        (format!("{}/token", refusing.base()), Kind::Connect),
        ("https://nonexistent.invalid/token".to_owned(), Kind::Dns),
    ];
    for (token, kind) in dead {
        for adapter in Adapter::BOTH {
            let upstream = tcp::Server::http(Script::new([CODE]));
            let provider = Provider::endpoints(format!("{}/device", upstream.base()), &*token);
            let client = Client::builder(provider, server::CLIENT_ID).scope(server::SCOPE).allow_http_loopback();
            let mut machine = Recorder::new(DeviceFlow::new(client.build().unwrap(), [7; 32]), &upstream.base());
            let outcome = adapter.run(&mut machine, |_| {});
            let Err(Stopped::Failed(Failure::Expired(Expired { trail, .. }))) = outcome else { panic!("{outcome:?}") };
            assert_eq!((trail.polls(), trail.failures()), (4, 4), "{token}");
            assert_eq!(trail.last_error().unwrap().cause(), Cause::Transport(kind), "{token}");
        }
    }
}

// C07.
/// gzip decodes it to its full size.
#[test]
fn c07_the_gzip_bomb_decodes_to_256_megabytes() {
    let mut gzip = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let writer = thread::spawn(move || input.write_all(&faults::gzip_bomb()));
    let (mut output, mut length, mut first) = (gzip.stdout.take().unwrap(), 0, None);
    let mut buffer = vec![0; 1 << 20];
    while let Ok(read @ 1..) = output.read(&mut buffer) {
        first.get_or_insert(buffer[0]);
        length += read as u64;
    }
    writer.join().unwrap().unwrap();
    // Its checksum is right.
    assert!(gzip.wait().unwrap().success());
    assert_eq!((first, length), (Some(b'{'), faults::BOMB_SIZE));
}
