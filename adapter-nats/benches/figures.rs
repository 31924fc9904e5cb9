//! Owns the figures of sign-ins on NATS: rates, lateness, processor time and memory. `testkit/nats.sh figures` runs it.
//!
//! Words choose some: part of a name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "it measures, and ends when it cannot"
)]

#[path = "../tests/support/nats_server.rs"]
#[allow(dead_code, reason = "nobody is killed here")]
mod nats_server;
#[path = "../tests/support/sign_ins.rs"]
#[allow(dead_code, reason = "nobody is killed here")]
mod sign_ins;
#[path = "../tests/support/workers.rs"]
#[allow(dead_code, reason = "nobody is killed here")]
mod workers;

use device_flow_testkit::crowd::{Crowd, Manners};
use device_flow_tokio::{Client, DeviceFlow, Fleet, FleetEvent, Http, Provider, entropy, now, run};
use nats_server::NatsServers;
use sign_ins::SignIns;
use std::fs;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;
use workers::{Troubles, WorkerProcess};

/// Some sign-ins, each with five requests: its code, and four polls.
struct Figure {
    name: &'static str,
    count: usize,
    interval: u64,
    servers: usize,
    /// As docs/nats.md recommends it.
    memory_limit: &'static str,
}

const FIGURES: [Figure; 3] = [
    Figure { name: "10,000 at 5 s, one server", count: 10_000, interval: 5, servers: 1, memory_limit: "49MiB" },
    Figure { name: "10,000 at 5 s, three servers", count: 10_000, interval: 5, servers: 3, memory_limit: "150MiB" },
    Figure { name: "100,000 at 60 s, one server", count: 100_000, interval: 60, servers: 1, memory_limit: "250MiB" },
];
const PENDING: u32 = 3;

/// What runs beside the first of them, with as many sign-ins at the same rate, in one process and without an engine.
const ALONE: [(&str, &str); 2] =
    [("run", "10,000 at 5 s, run, no engine"), ("fleet", "10,000 at 5 s, fleet, no engine")];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // What is measured runs on one thread.
    let alone = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match words.first().map(String::as_str) {
        Some("worker") => return alone.block_on(workers::work(&words[1..])),
        Some("alone") => return alone.block_on(work_alone(&words[1], &words[2], words[3].parse().unwrap())),
        _ => {}
    }
    let chosen = |name: &str| words.iter().all(|word| name.contains(&**word));
    println!(
        "{:<30} {:>7} {:>9} {:>14} {:>10} {:>6} {:>16} {:>16} {:>9} {:>9}",
        "",
        "time s",
        "polls/s",
        "late p50/p99",
        "early",
        "told",
        "NATS us/request",
        "worker us/req.",
        "NATS MB",
        "disk MB",
    );
    let mut side_by_side = vec![];
    for figure in FIGURES.iter().filter(|figure| chosen(figure.name)) {
        let micros = runtime.block_on(on_nats(figure));
        if figure.name == FIGURES[0].name {
            side_by_side.push(("worker", micros));
        }
    }
    for (mode, name) in ALONE.into_iter().filter(|(_, name)| chosen(name)) {
        side_by_side.push((mode, runtime.block_on(without(mode, name))));
    }
    if side_by_side.len() > 1 {
        println!("\nProcessor time a request, 10,000 at 5 s, side by side:");
        for (name, micros) in &side_by_side {
            println!("  {name:<8} {micros:>6.1} us");
        }
    }
    if let [("worker", worker), ("run", run), ..] = side_by_side[..] {
        println!("  The worker takes {:.2} of what run takes; it should take at most 0.8.", worker / run);
    }
    println!("\nMeasured on 2026-11-28 on two cores, the same stub, 10,000 at 5 s, for comparison and not again here:");
    println!("  Postgres 15, own table      1,980 polls/s, late 445/1,260 ms, 460 us engine CPU a request, +37 MB");
    println!("  Restate 1.7.12, guarded       705 polls/s, late 3,200/11,200 ms, 1,280 us, 161 to 505 MB");
}

/// The processor time of the workers for each request, in microseconds.
async fn on_nats(figure: &Figure) -> f64 {
    let Figure { name, count, interval, servers: replicas, memory_limit } = *figure;
    let servers = NatsServers::start_limited(replicas, memory_limit);
    // One that thinks for no time, so that what is measured is not its patience.
    let crowd = Crowd::strict(Manners { interval, pending: PENDING, lifetime: 3_600 }, Duration::ZERO);
    let sign_ins = SignIns::new(&servers, replicas, Duration::from_secs(30), crowd, count).await;
    let (words, troubles) = ([servers.addresses(), sign_ins.stub.clone(), "64".to_owned()], Troubles::default());
    let workers = [(); 2].map(|()| WorkerProcess::start(&words, None, &troubles));
    sleep(Duration::from_secs(1)).await;
    let (nats, working) = (servers.process_ids(), workers.each_ref().map(WorkerProcess::process_id));
    let before = (processor_time(&nats), processor_time(&working));
    let start = Instant::now();
    // As many new ones a second as will poll later.
    let starting = sign_ins.start(Duration::from_secs(interval));
    let (mut most, mut polls) = (0, vec![]);
    let memory = async {
        loop {
            most = most.max(nats.iter().map(|process| memory(*process)).max().unwrap_or(0));
            polls.push(sign_ins.crowd.report().polls);
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = memory => {}
        _ = sign_ins.end() => {}
    }
    let took = start.elapsed();
    let (nats, working) = (processor_time(&nats) - before.0, processor_time(&working) - before.1);
    starting.join_all().await;
    let verdict = sign_ins.judge(0).await;
    let (report, requests) = (&verdict.report, (verdict.report.polls + verdict.report.codes) as f64);
    let (_, stored) = servers.store_contains("canary");
    println!(
        "{name:<30} {:>7.1} {:>9} {:>8}/{:<5} {:>10} {:>6} {:>16.0} {:>16.0} {:>9} {:>9}",
        took.as_secs_f64(),
        // In the best seconds of a whole interval.
        polls.windows(interval as usize + 1).map(|window| window[interval as usize] - window[0]).max().unwrap_or(0)
            / interval,
        report.late[0],
        report.late[1],
        report.early + report.early_first,
        troubles.lock().unwrap().values().sum::<u64>(),
        nats * 1e6 / requests,
        working * 1e6 / requests,
        most >> 20,
        stored >> 20,
    );
    for wrong in &verdict.wrong {
        println!("  WRONG: {wrong}");
    }
    workers.into_iter().for_each(WorkerProcess::stop);
    working * 1e6 / requests
}

/// The processor time of this mode for each request, in microseconds.
async fn without(mode: &str, name: &str) -> f64 {
    let Figure { count, interval, .. } = FIGURES[0];
    let crowd = Crowd::strict(Manners { interval, pending: PENDING, lifetime: 3_600 }, Duration::ZERO);
    let address = crowd.listen().unwrap().to_string();
    let program = std::env::current_exe().unwrap();
    let mut command = tokio::process::Command::new(program);
    let output = command.args(["alone", mode, &address, &count.to_string()]).output().await.unwrap();
    let seconds: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    let report = crowd.report();
    assert_eq!(report.tokens, count as u64, "{mode}");
    let (micros, none) = (seconds * 1e6 / (report.polls + report.codes) as f64, "");
    println!(
        "{name:<31} {none:>6} {none:>9} {:>8}/{:<5} {:>10} {none:>6} {:>16} {:>16.0}",
        report.late[0],
        report.late[1],
        report.early + report.early_first,
        0,
        micros,
    );
    micros
}

/// The modes without an engine: `run` in one task for each sign-in, or a fleet. Prints its processor time in seconds.
async fn work_alone(mode: &str, address: &str, count: u32) {
    let provider = Provider::endpoints(format!("http://{address}/device"), format!("http://{address}/token"));
    let client = std::sync::Arc::new(Client::builder(provider, "crowd").allow_http_loopback().build().unwrap());
    let (http, begun) = (Http::builder().build().unwrap(), processor_time(&[std::process::id()]));
    let start = now();
    let turn = async |number: u32| {
        let at = Duration::from_secs(5) * number / count;
        sleep(at.saturating_sub(now().saturating_since(start))).await;
    };
    if mode == "run" {
        let mut all = JoinSet::new();
        for number in 0..count {
            turn(number).await;
            let (http, client) = (http.clone(), client.clone());
            all.spawn(async move {
                let mut flow = DeviceFlow::new(client, entropy().unwrap());
                run(&http, &mut flow, |_| {}).await.unwrap();
            });
        }
        all.join_all().await;
    } else {
        let (fleet, mut events) = Fleet::builder(http).show_once().spawn();
        let starting = async {
            for number in 0..count {
                turn(number).await;
                fleet.start(number, client.clone()).await.unwrap();
            }
        };
        let ending = async {
            let mut ended = 0;
            while ended < count {
                ended += u32::from(matches!(events.next().await, Some(FleetEvent::Done { .. })));
            }
        };
        tokio::join!(starting, ending);
    }
    println!("{}", processor_time(&[std::process::id()]) - begun);
}

/// Of these processes, in seconds.
fn processor_time(processes: &[u32]) -> f64 {
    let of = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let fields = stat.rsplit(") ").next().unwrap_or_default().to_owned();
        // Hundredths of a second, in and outside of the system.
        fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    };
    processes.iter().map(of).sum()
}

/// Resident, in bytes.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}
