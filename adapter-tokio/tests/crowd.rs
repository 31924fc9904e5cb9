//! Thousands of sign-ins on real sockets: connections, memory and allocations, counted and never timed.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests panic to report")]

use device_flow_testkit::crowd::{Crowd, Manners};
use device_flow_tokio::{Client, Fleet, FleetEvent, Http, Provider};
use std::sync::Arc;
use tokio::runtime::Builder;

/// How many there are; `DEVICE_FLOW_CROWD` names another number.
const COUNT: u64 = 1_000;
/// Heap of a connection with its worker, and of a sign-in with the spare room of what grows.
const BYTES: [u64; 2] = [64 << 10, 250];

#[test]
fn a_crowd_that_starts_at_once_takes_64_connections_and_little_memory() {
    let count = std::env::var("DEVICE_FLOW_CROWD").map_or(COUNT, |count| count.parse().unwrap());
    let elsewhere = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = Crowd::new(Manners { interval: 1, pending: 2, lifetime: 900 });
    let address = elsewhere.block_on(async { server.listen() }).unwrap();
    let provider = Provider::endpoints(format!("http://{address}/device"), format!("http://{address}/token"));
    let client = Arc::new(Client::builder(provider, "crowd").allow_http_loopback().build().unwrap());
    let http = Http::builder().build().unwrap();

    let mut granted = 0;
    // Only what this thread allocates is counted.
    let measured = allocation_counter::measure(|| {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let (fleet, mut events) = Fleet::builder(http.clone()).show_once().spawn();
            let starting = async {
                for key in 0..count {
                    fleet.start(key, client.clone()).await.unwrap();
                }
                drop(fleet);
            };
            let listening = async {
                while let Some(event) = events.next().await {
                    match event {
                        FleetEvent::Done { outcome, .. } => granted += u64::from(outcome.is_ok()),
                        FleetEvent::Delayed { key, reason, .. } => panic!("{key}: {reason:?}"),
                        _ => {}
                    }
                }
            };
            tokio::join!(starting, listening);
        });
    });
    let seen = server.report();
    let requests = seen.codes + seen.polls;
    let allocations = measured.count_total / requests;
    println!(
        "{count} sign-ins at once: {} connections, {requests} requests with {allocations} allocations each, at most {} \
         bytes of heap",
        seen.connections, measured.bytes_max
    );
    assert_eq!((granted, seen.codes, seen.tokens), (count, count, count));
    assert_eq!((requests, seen.early, seen.early_first, seen.after_success), (count * 4, 0, 0, 0));
    assert!(seen.connections <= 64, "{} connections", seen.connections);
    let [connection, sign_in] = BYTES;
    assert!(measured.bytes_max <= 64 * connection + count * sign_in, "{} bytes", measured.bytes_max);
    assert!(allocations <= 60, "{allocations} allocations");
}
