//! Real sign-ins over real sockets. `sign_in`, `transport` and `settings` are the suite that both adapters pass: the other
//! one includes these very files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test reports"
)]

mod settings;
mod sign_in;
mod stopping;
mod transport;

use device_flow_testkit::scaled::Scaled;
use device_flow_tokio as adapter;
use device_flow_tokio::core::{DeviceFlow, Event, Machine, Stopped, TokenResponse};

/// Runs a machine to its end, and tells what went on.
fn drive<M: Machine>(http: &adapter::Http, machine: &mut M) -> (Result<M::Output, Stopped>, Vec<Event>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut events = Vec::new();
    let outcome = runtime.block_on(adapter::run(http, machine, |event| events.push(event)));
    (outcome, events)
}

/// Runs a flow a thousand times as fast.
fn sign_in(http: &adapter::Http, flow: DeviceFlow) -> Result<TokenResponse, Stopped> {
    drive(http, &mut Scaled::new(flow, 1000)).0
}

#[test]
fn the_rules_for_proxies_and_roots_are_the_same_in_both_adapters() {
    assert_eq!(include_str!("../../src/proxy.rs"), include_str!("../../../adapter-blocking/src/proxy.rs"));
    assert_eq!(include_str!("../../src/roots.rs"), include_str!("../../../adapter-blocking/src/roots.rs"));
}
