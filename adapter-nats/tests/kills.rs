//! Owns the proof that nothing is lost, nothing redeemed twice and nothing asked for early when workers and servers die.
//!
//! Without words: what CI runs. `whole`: all of it. It prints the seed from which the kills are drawn; DEVICE_FLOW_SEED repeats them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests panic to report"
)]
#![allow(unreachable_pub, reason = "its own program")]

#[path = "support/nats_server.rs"]
#[allow(dead_code, reason = "the figures need more of it")]
mod nats_server;
#[path = "support/sign_ins.rs"]
#[allow(dead_code, reason = "the figures need more of it")]
mod sign_ins;
#[path = "support/workers.rs"]
#[allow(dead_code, reason = "the figures need more of it")]
mod workers;

use nats_server::NatsServers;
use rustix::process::{Pid, Signal, kill_process};
use sign_ins::{SignIns, crowd};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use workers::{Troubles, WorkerProcess};

/// What dies in a run.
#[derive(Clone, Copy)]
struct Kills {
    name: &'static str,
    sign_ins: usize,
    workers: usize,
    servers: usize,
    worker_kills: usize,
    server_kills: usize,
    both: usize,
    /// Workers that are stopped for longer than `ack_wait`.
    stops: usize,
    /// How the workers' clocks are set.
    clocks: &'static [&'static str],
    /// Polls of a code before it is approved.
    pending: u32,
    /// For how long sign-ins are started.
    within: u64,
}

const CI: Kills = Kills {
    name: "workers and the server killed",
    sign_ins: 300,
    workers: 3,
    servers: 1,
    worker_kills: 6,
    server_kills: 2,
    both: 0,
    stops: 0,
    clocks: &[],
    pending: 3,
    within: 12,
};

const THOUSAND: Kills = Kills { sign_ins: 1_000, worker_kills: 0, server_kills: 0, within: 20, ..CI };

const WHOLE: [Kills; 8] = [
    Kills { name: "workers killed", worker_kills: 12, ..THOUSAND },
    Kills { name: "the server killed", server_kills: 4, ..THOUSAND },
    Kills { name: "workers, the server and both killed", worker_kills: 4, server_kills: 2, both: 3, ..THOUSAND },
    Kills { name: "workers killed while most answers are tokens", worker_kills: 12, pending: 0, ..THOUSAND },
    Kills { name: "workers stopped for longer than another takes over", stops: 11, ..THOUSAND },
    Kills {
        name: "workers' clocks 2 s behind and ahead",
        sign_ins: 300,
        workers: 2,
        clocks: &["-2s", "+2s"],
        ..THOUSAND
    },
    Kills { name: "three servers, the leader killed", servers: 3, server_kills: 6, ..THOUSAND },
    Kills {
        name: "three servers, workers and the leader killed",
        servers: 3,
        worker_kills: 4,
        server_kills: 3,
        both: 2,
        ..THOUSAND
    },
];

const ACK_WAIT: Duration = Duration::from_secs(4);
const INTERVAL: u64 = 2;
/// How long the stub thinks about an answer.
const THINKS: Duration = Duration::from_millis(80);
/// A server that was killed is away for this long.
const AWAY: Duration = Duration::from_millis(700);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if words.first().is_some_and(|word| word == "worker") {
        return runtime.block_on(workers::work(&words[1..]));
    }
    let seed = std::env::var("DEVICE_FLOW_SEED").ok().and_then(|text| text.parse().ok());
    let seed =
        seed.unwrap_or_else(|| u64::from_le_bytes(device_flow_tokio::entropy().unwrap()[..8].try_into().unwrap()));
    println!("DEVICE_FLOW_SEED={seed}");
    let whole = words.iter().any(|word| word == "whole");
    let only = |kills: &&Kills| {
        words.iter().all(|word| word.starts_with('-') || word == "whole" || kills.name.contains(&**word))
    };
    for kills in if whole { &WHOLE[..] } else { &[CI] }.iter().filter(only) {
        runtime.block_on(run(*kills, Random(seed)));
    }
}

/// SplitMix64: enough to draw kills from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % bound as u64) as usize
    }
}

#[derive(Clone, Copy)]
enum Kill {
    Worker,
    Server,
    Both,
    Stop,
}

struct Run {
    kills: Kills,
    random: Random,
    servers: NatsServers,
    words: Vec<String>,
    workers: Vec<WorkerProcess>,
    troubles: Troubles,
}

async fn run(kills: Kills, random: Random) {
    let servers = NatsServers::start(kills.servers);
    let crowd = crowd(INTERVAL, kills.pending, THINKS);
    let sign_ins = SignIns::new(&servers, kills.servers, ACK_WAIT, crowd, kills.sign_ins).await;
    let words = vec![servers.addresses(), sign_ins.stub.clone(), "32".to_owned()];
    let mut run = Run { kills, random, servers, words, workers: vec![], troubles: Troubles::default() };
    for number in 0..kills.workers {
        let worker = run.start_worker(number);
        run.workers.push(worker);
    }
    let (start, within) = (Instant::now(), Duration::from_secs(kills.within));
    let starting = sign_ins.start(within);
    let mut all = vec![Kill::Worker; kills.worker_kills];
    all.extend(vec![Kill::Server; kills.server_kills]);
    all.extend(vec![Kill::Both; kills.both]);
    all.extend(vec![Kill::Stop; kills.stops]);
    // Drawn without putting back, at moments spread over the time in which sign-ins begin, wait and end.
    let between = (within + Duration::from_secs(INTERVAL * u64::from(kills.pending) / 2)) / (all.len() as u32 + 1);
    while !all.is_empty() {
        let at = between.mul_f64(0.5 + run.random.below(1_000) as f64 / 1_000.0);
        sleep(at).await;
        let kill = all.swap_remove(run.random.below(all.len()));
        run.kill(kill, &sign_ins).await;
    }
    starting.join_all().await;
    sign_ins.end().await;
    sign_ins.must_be_right(kills.name, start.elapsed(), &run.troubles, kills.stops).await;
    run.workers.drain(..).for_each(WorkerProcess::stop);
    let (canary, bytes) = run.servers.store_contains("canary");
    assert!(!canary && bytes > 0, "a secret is in what the server stored");
}

impl Run {
    fn start_worker(&self, number: usize) -> WorkerProcess {
        let clock = self.kills.clocks.get(number % self.kills.clocks.len().max(1)).copied();
        WorkerProcess::start(&self.words, clock, &self.troubles)
    }

    async fn kill(&mut self, kill: Kill, sign_ins: &SignIns) {
        let worker = self.random.below(self.workers.len());
        match kill {
            Kill::Worker => self.kill_worker(worker),
            Kill::Server => self.kill_server(None, sign_ins).await,
            Kill::Both => self.kill_server(Some(worker), sign_ins).await,
            Kill::Stop => {
                // It goes on by itself, much later, while others have its sign-ins.
                let process = Pid::from_raw(self.workers[worker].process_id() as i32).unwrap();
                kill_process(process, Signal::STOP).unwrap();
                std::thread::spawn(move || {
                    std::thread::sleep(ACK_WAIT + Duration::from_secs(2));
                    let _ = kill_process(process, Signal::CONT);
                });
            }
        }
    }

    fn kill_worker(&mut self, number: usize) {
        // The old one is dead before the new one begins.
        let new = self.start_worker(number);
        drop(std::mem::replace(&mut self.workers[number], new));
    }

    /// That which leads the stream, if there are several.
    async fn kill_server(&mut self, worker: Option<usize>, sign_ins: &SignIns) {
        let number = if self.kills.servers == 1 { 0 } else { leader(&self.servers, sign_ins).await };
        self.servers.kill(number);
        if let Some(worker) = worker {
            self.kill_worker(worker);
        }
        sleep(AWAY).await;
        self.servers.start_again(number);
    }
}

async fn leader(servers: &NatsServers, sign_ins: &SignIns) -> usize {
    loop {
        if let Ok(stream) = sign_ins.jetstream.get_stream("SIGNIN").await
            && let Some(leader) = stream.cached_info().cluster.as_ref().and_then(|cluster| cluster.leader.clone())
        {
            return servers.named(&leader);
        }
        sleep(Duration::from_millis(100)).await;
    }
}
