//! CPU time of one poll through this adapter and through oauth2-rs, on the same reqwest client, against the same server.
//!
//! `cargo bench -p device-flow-tokio --bench poll_cost`. The server is this program again, in a process of its own, so that
//! its time does not count. Rounds of both are interleaved; the median counts. With `-- ours` or `-- theirs` one side runs
//! alone, for a profiler.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a panic is how a bench reports")]

use device_flow_testkit::loopback::{self, Loopback};
use device_flow_testkit::scaled::{Scaled, Skipping};
use device_flow_tokio::{Client, DeviceFlow, Http, Provider, entropy, run};
use oauth2::basic::BasicClient;
use oauth2::{
    ClientId, DeviceAuthorizationUrl, HttpRequest, HttpResponse, StandardDeviceAuthorizationResponse,
    TokenResponse as _, TokenUrl,
};
use rustix::time::{ClockId, clock_gettime};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const POLLS: usize = 100;
/// How long a wait is: a second of interval, so many times as fast.
const FASTER: u32 = 1000;

/// Whether there are waits between polls. What a poll costs after a sleep is mostly the waking of an idle core, the same for
/// both, which hides the difference; so it is measured without, too.
#[derive(Clone, Copy, PartialEq)]
enum Pace {
    Short,
    None,
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        serve();
    }
    let (mut server, port) = start_server();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let http = Http::builder().build().unwrap();
    let reqwest = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .connect_timeout(Duration::from_secs(10))
        .http1_only()
        .no_proxy()
        .tls_backend_preconfigured(tls())
        .build()
        .unwrap();
    let only = std::env::args().find(|argument| matches!(&**argument, "ours" | "theirs"));
    for (title, pace, rounds) in [("with waits of 2 to 3 ms", Pace::Short, 41), ("without waits", Pace::None, 201)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let us =
                (only.as_deref() != Some("theirs")).then(|| cost(|| sign_in_with_ours(&runtime, &http, port, pace)));
            let them =
                (only.as_deref() != Some("ours")).then(|| cost(|| sign_in_with_oauth2(&runtime, &reqwest, port, pace)));
            // The first round opens the connections and warms up.
            if round > 0 {
                ours.extend(us);
                theirs.extend(them);
            }
        }
        if only.is_none() {
            report(title, ("device-flow-tokio", &ours), ("oauth2-rs on reqwest", &theirs));
        }
    }
    drop(server.stdin.take());
    server.wait().unwrap();
}

fn sign_in_with_ours(runtime: &Runtime, http: &Http, port: u16, pace: Pace) {
    let base = format!("http://127.0.0.1:{port}");
    let provider = Provider::endpoints(format!("{base}/device"), format!("{base}/token"));
    let client = Client::builder(provider, "client").allow_http_loopback().build().unwrap();
    let flow = DeviceFlow::new(client, entropy().unwrap());
    let polls = match pace {
        Pace::Short => {
            let machine = &mut Scaled::new(flow, FASTER);
            assert_eq!(runtime.block_on(run(http, machine, |_| {})).unwrap().access_token().expose(), "token-1-canary");
            machine.inner().trail().polls()
        }
        Pace::None => {
            let machine = &mut Skipping::new(flow);
            assert_eq!(runtime.block_on(run(http, machine, |_| {})).unwrap().access_token().expose(), "token-1-canary");
            machine.inner().trail().polls()
        }
    };
    assert_eq!(polls as usize, POLLS);
}

fn sign_in_with_oauth2(runtime: &Runtime, reqwest: &reqwest::Client, port: u16, pace: Pace) {
    let base = format!("http://127.0.0.1:{port}");
    let client = BasicClient::new(ClientId::new("client".to_owned()))
        .set_device_authorization_url(DeviceAuthorizationUrl::new(format!("{base}/device")).unwrap())
        .set_token_uri(TokenUrl::new(format!("{base}/token")).unwrap());
    // As oauth2-rs itself does it for the reqwest that it knows.
    let send = |request: HttpRequest| async move {
        let response = reqwest.execute(request.try_into()?).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = HttpResponse::new(response.bytes().await?.to_vec());
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok::<_, reqwest::Error>(answer)
    };
    let start = Instant::now();
    let sleep = |_| async move {
        if pace == Pace::Short {
            tokio::time::sleep(as_long_as_ours(start)).await;
        }
    };
    let token = runtime.block_on(async {
        let details: StandardDeviceAuthorizationResponse =
            client.exchange_device_code().request_async(&send).await.unwrap();
        client.exchange_device_access_token(&details).request_async(&send, sleep, None).await.unwrap()
    });
    assert_eq!(token.access_token().secret(), "token-1-canary");
}

fn tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// What `Scaled` makes of a second at this speed: from the next whole millisecond on, one and the started next. The length of a
/// sleep shows in the CPU time after it, so it has to be the same for both.
fn as_long_as_ours(start: Instant) -> Duration {
    let elapsed = start.elapsed();
    Duration::from_millis(u64::try_from(elapsed.as_millis()).unwrap() + 3).saturating_sub(elapsed)
}

/// Plays the server until the bench has ended. A sign-in at a time: asking for a code starts the count again.
fn serve() -> ! {
    let polls = AtomicUsize::new(0);
    let server = Loopback::http(move |asked, wire| {
        if asked.target == "/device" {
            polls.store(0, Ordering::SeqCst);
            loopback::device_answer(wire)
        } else if polls.fetch_add(1, Ordering::SeqCst) + 1 < POLLS {
            loopback::error_answer(wire, "authorization_pending")
        } else {
            loopback::token_answer(wire)
        }
    });
    println!("{}", server.port());
    // When the bench has ended, however it did, its end of the pipe is gone.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::exit(0)
}

fn start_server() -> (Child, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().parse().unwrap())
}

/// What a round took for each poll.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: f64,
}

/// The CPU time that this process spends on it, with all its threads, and the time that passes; in microseconds.
fn cost(work: impl FnOnce()) -> Cost {
    let cpu = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let (start, cpu_before) = (Instant::now(), cpu());
    work();
    let each = |total: f64| total / POLLS as f64;
    Cost { cpu: each(cpu() - cpu_before), wall: each(start.elapsed().as_secs_f64() * 1e6) }
}

fn report(title: &str, ours: (&str, &[Cost]), theirs: (&str, &[Cost])) {
    println!("{title}: {} sign-ins of {POLLS} polls each, µs for each poll", ours.1.len());
    println!("  {:22} {:>10} {:>10} {:>10}", "", "CPU median", "CPU least", "wall");
    for (name, costs) in [ours, theirs] {
        let cpu = sorted(costs.iter().map(|cost| cost.cpu));
        let wall = sorted(costs.iter().map(|cost| cost.wall));
        println!("  {name:22} {:10.1} {:10.1} {:10.1}", cpu[cpu.len() / 2], cpu[0], wall[wall.len() / 2]);
    }
    let ratios = sorted(ours.1.iter().zip(theirs.1).map(|(us, them)| us.cpu / them.cpu));
    println!("  ratio of CPU time, {} / {}: {:.3}", ours.0, theirs.0, ratios[ratios.len() / 2]);
}

fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}
