//! Owns a run of many sign-ins: how they are started, how long it takes, and whether all of it was right.

use crate::nats_server::NatsServers;
use crate::workers::{CLIENT, KEY, Troubles, connect};
use async_nats::jetstream;
use async_nats::jetstream::consumer::PullConsumer;
use device_flow_nats::{Engine, EngineError, KeySeal, Setup};
use device_flow_testkit::crowd::{Crowd, Manners, Report};
use device_flow_tokio::Failure;
use futures_util::StreamExt as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Longer than any run takes that is right.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// A stub and an engine, and the sign-ins on both.
pub(crate) struct SignIns {
    pub(crate) crowd: Crowd,
    pub(crate) stub: String,
    pub(crate) engine: Engine,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) count: usize,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) report: Report,
    pub(crate) tokens: usize,
    /// Failed with the word that a poll was lost.
    pub(crate) told: usize,
    pub(crate) wrong: Vec<String>,
}

impl SignIns {
    pub(crate) async fn new(
        servers: &NatsServers,
        replicas: usize,
        ack_wait: Duration,
        crowd: Crowd,
        count: usize,
    ) -> Self {
        let stub = crowd.listen().unwrap().to_string();
        let setup = Setup::replicas(replicas).ack_wait(ack_wait);
        let jetstream = connect(&servers.addresses()).await;
        let start = Instant::now();
        let engine = loop {
            match Engine::setup(jetstream.clone(), &setup, KeySeal::new(KEY)).await {
                Ok(engine) => break engine,
                // A cluster elects its leaders first.
                Err(error) => assert!(start.elapsed() < Duration::from_secs(120), "{error}"),
            }
            sleep(Duration::from_millis(200)).await;
        };
        Self { crowd, stub, engine, jetstream, count }
    }

    /// Starts them within this time, each again until it is started.
    pub(crate) fn start(&self, within: Duration) -> JoinSet<()> {
        let (mut starting, engine, count) = (JoinSet::new(), self.engine.clone(), self.count);
        starting.spawn(async move {
            let (begun, turns, mut all) = (Instant::now(), Arc::new(Semaphore::new(64)), JoinSet::new());
            for number in 0..count {
                let at = within.mul_f64(number as f64 / count as f64);
                sleep(at.saturating_sub(begun.elapsed())).await;
                let (engine, turn) = (engine.clone(), turns.clone().acquire_owned().await.unwrap());
                all.spawn(async move {
                    let _turn = turn;
                    loop {
                        match engine.start(&id(number), CLIENT).await {
                            // After an error it may have been stored all the same.
                            Ok(()) | Err(EngineError::Exists) => return,
                            Err(_) => sleep(Duration::from_millis(100)).await,
                        }
                    }
                });
            }
            all.join_all().await;
        });
        starting
    }

    /// How many sign-ins wait, are due, or were delivered and not acknowledged. (A server that was killed keeps some messages that
    /// were acknowledged; it delivers none of them.)
    async fn strays(&self) -> Option<u64> {
        let stream = self.jetstream.get_stream("SIGNIN").await.ok()?;
        let waiting = stream.info_with_subjects("signin.wait.*").await.ok()?.count().await as u64;
        let mut consumer: PullConsumer = stream.get_consumer("worker").await.ok()?;
        let info = consumer.info().await.ok()?;
        Some(waiting + info.num_pending + info.num_ack_pending as u64)
    }

    /// How many outcomes there are; what the workers note of the servers lies beside them.
    async fn outcomes(&self) -> Option<u64> {
        let stream = self.jetstream.get_stream("KV_SIGNIN_DONE").await.ok()?;
        let noted = stream.info_with_subjects("$KV.SIGNIN_DONE.server.*").await.ok()?;
        let all = noted.info.state.messages;
        Some(all - noted.count().await as u64)
    }

    /// Waits until all have ended.
    pub(crate) async fn end(&self) -> Duration {
        let start = Instant::now();
        while self.outcomes().await.is_none_or(|ended| ended < self.count as u64) {
            assert!(start.elapsed() < LONGEST, "lost: {:?} of {} have ended", self.outcomes().await, self.count);
            sleep(Duration::from_millis(100)).await;
        }
        start.elapsed()
    }

    /// Reads all outcomes and compares them with what the stub has seen. `stops`: so many workers were stopped, each perhaps
    /// between its last look at the clock and the system call that sends, which nothing can close.
    pub(crate) async fn judge(&self, stops: usize) -> Verdict {
        let mut wrong = vec![];
        let (mut tokens, mut told, mut stored) = (BTreeSet::new(), 0, 0);
        for number in 0..self.count {
            match self.engine.outcome(&id(number)).await.unwrap() {
                Some(Ok(token)) => {
                    stored += 1;
                    if !tokens.insert(token.access_token().expose().to_owned()) {
                        wrong.push(format!("{} has the token of another", id(number)));
                    }
                }
                Some(Err(error)) if error.failure().is_some_and(Failure::a_poll_was_lost) => told += 1,
                Some(Err(error)) => wrong.push(format!("{} failed: {error}", id(number))),
                None => wrong.push(format!("{} is lost", id(number))),
            }
        }
        let outcomes = self.outcomes().await.unwrap();
        if outcomes != self.count as u64 {
            wrong.push(format!("{outcomes} outcomes, which are not {}", self.count));
        }
        // What was delivered twice is dealt with when it comes again.
        let start = Instant::now();
        while self.strays().await != Some(0) && start.elapsed() < Duration::from_secs(180) {
            sleep(Duration::from_millis(200)).await;
        }
        let strays = self.strays().await.unwrap();
        let report = self.crowd.report();
        let Report { early, early_first, overlapping, .. } = report;
        for (what, count) in [
            ("polls were early", (early + early_first).saturating_sub(stops as u64)),
            ("polls overlapped", overlapping),
            ("sign-ins are left that have ended", strays),
        ] {
            if count > 0 {
                wrong.push(format!("{count} {what}"));
            }
        }
        if report.tokens != (stored + told) as u64 {
            wrong.push(format!("{} codes were redeemed, {stored} tokens stored, {told} told", report.tokens));
        }
        Verdict { report, tokens: stored, told, wrong }
    }

    /// Judges, prints a line, and fails when anything was wrong.
    pub(crate) async fn must_be_right(&self, name: &str, took: Duration, troubles: &Troubles, stops: usize) {
        let Verdict { report, tokens, told, wrong } = self.judge(stops).await;
        let troubles: Vec<_> = troubles.lock().unwrap().iter().map(|(name, count)| format!("{name} {count}")).collect();
        println!(
            "{name}: {} sign-ins in {:.1} s: {tokens} tokens, {told} redeemed and not stored, as told; {} polls, late p50/p99 {}/{} ms; \
             {} early, {} overlapping; workers told: {}",
            self.count,
            took.as_secs_f64(),
            report.polls,
            report.late[0],
            report.late[1],
            report.early + report.early_first,
            report.overlapping,
            troubles.join(", "),
        );
        assert!(wrong.is_empty(), "{name}: {} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}

fn id(number: usize) -> String {
    format!("s{number}")
}

/// The usual stub: it thinks for this long, so that many a kill falls into a poll.
pub(crate) fn crowd(interval: u64, pending: u32, thinks: Duration) -> Crowd {
    Crowd::strict(Manners { interval, pending, lifetime: 3_600 }, thinks)
}
