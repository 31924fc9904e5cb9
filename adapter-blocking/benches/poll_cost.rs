//! CPU time of one poll through this adapter and through oauth2-rs, on the same ureq agent, against the same server.
//!
//! `cargo bench -p device-flow-blocking --bench poll_cost`. The server is this program again, in a process of its own, so that
//! its time does not count. Rounds of both are interleaved; the median counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a panic is how a bench reports")]

use device_flow_blocking::core::{Client, DeviceFlow, Provider};
use device_flow_blocking::{Cancel, Http, entropy, run};
use device_flow_testkit::loopback::{self, Loopback};
use device_flow_testkit::scaled::Scaled;
use oauth2::basic::BasicClient;
use oauth2::{
    ClientId, DeviceAuthorizationUrl, HttpRequest, HttpResponse, StandardDeviceAuthorizationResponse,
    TokenResponse as _, TokenUrl,
};
use rustix::time::{ClockId, clock_gettime};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use ureq::Agent;

const POLLS: usize = 200;
const ROUNDS: usize = 31;
/// How long a wait is: a second of interval, so many times as fast.
const FASTER: u32 = 1000;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        serve();
    }
    let (mut server, port) = start_server();
    let http = Http::builder().build().unwrap();
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .timeout_resolve(Some(Duration::from_secs(10)))
        .timeout_connect(Some(Duration::from_secs(10)))
        .proxy(None)
        .build()
        .new_agent();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let us = cpu_time(|| sign_in_with_ours(&http, port));
        let them = cpu_time(|| sign_in_with_oauth2(&agent, port));
        // The first round opens the connections and warms up.
        if round > 0 {
            ours.push(us);
            theirs.push(them);
        }
    }
    server.kill().unwrap();
    report("device-flow-blocking", "oauth2-rs on ureq", ours, theirs);
}

fn sign_in_with_ours(http: &Http, port: u16) {
    let base = format!("http://127.0.0.1:{port}");
    let provider = Provider::endpoints(format!("{base}/device"), format!("{base}/token"));
    let client = Client::builder(provider, "client").allow_http_loopback().build().unwrap();
    let mut flow = Scaled::new(DeviceFlow::new(client, entropy().unwrap()), FASTER);
    let token = run(http, &mut flow, &Cancel::new(), |_| {}).unwrap();
    assert_eq!((token.access_token().expose(), flow.inner().trail().polls()), ("token-1", POLLS as u32));
}

fn sign_in_with_oauth2(agent: &Agent, port: u16) {
    let base = format!("http://127.0.0.1:{port}");
    let client = BasicClient::new(ClientId::new("client".to_owned()))
        .set_device_authorization_url(DeviceAuthorizationUrl::new(format!("{base}/device")).unwrap())
        .set_token_uri(TokenUrl::new(format!("{base}/token")).unwrap());
    // As oauth2-rs itself does it for the ureq that it knows.
    let send = |request: HttpRequest| {
        let response = agent.run(request)?;
        let (parts, mut body) = response.into_parts();
        Ok::<_, ureq::Error>(HttpResponse::from_parts(parts, body.read_to_vec()?))
    };
    let sleep = |_| std::thread::sleep(Duration::from_secs(1) / FASTER);
    let details: StandardDeviceAuthorizationResponse = client.exchange_device_code().request(&send).unwrap();
    let token = client.exchange_device_access_token(&details).request(&send, sleep, None).unwrap();
    assert_eq!(token.access_token().secret(), "token-1");
}

/// Plays the server until it is killed. A sign-in at a time: asking for a code starts the count again.
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
    loop {
        std::thread::park();
    }
}

fn start_server() -> (Child, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap()).arg("serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().parse().unwrap())
}

/// The CPU time that this process spends on it, with all its threads.
fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
    };
    let start = now();
    work();
    now() - start
}

fn report(us: &str, them: &str, mut ours: Vec<Duration>, mut theirs: Vec<Duration>) {
    let mut ratios: Vec<_> = ours.iter().zip(&theirs).map(|(us, them)| us.as_secs_f64() / them.as_secs_f64()).collect();
    ours.sort();
    theirs.sort();
    ratios.sort_by(f64::total_cmp);
    let middle = ROUNDS / 2;
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / POLLS as f64;
    println!("{ROUNDS} sign-ins of {POLLS} polls each, CPU time per poll, median");
    println!("{us:24} {:8.1} µs", micros(ours[middle]));
    println!("{them:24} {:8.1} µs", micros(theirs[middle]));
    println!(
        "ratio ours / oauth2-rs   {:8.3}  (of the rounds: {:.3} to {:.3})",
        ratios[middle],
        ratios[0],
        ratios[ROUNDS - 1]
    );
}
