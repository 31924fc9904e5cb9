//! Real sign-ins over real sockets. `sign_in`, `transport` and `settings` are the suite that both adapters pass: they are the
//! other one's very files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test reports"
)]

#[path = "../../../adapter-tokio/tests/adapter/settings.rs"]
mod settings;
#[path = "../../../adapter-tokio/tests/adapter/sign_in.rs"]
mod sign_in;
mod stopping;
#[path = "../../../adapter-tokio/tests/adapter/transport.rs"]
mod transport;

use device_flow_blocking as adapter;
use device_flow_blocking::core::{DeviceFlow, Event, Machine, Stopped, TokenResponse};
use device_flow_testkit::scaled::Scaled;

/// Runs a machine to its end, and tells what went on.
fn drive<M: Machine>(http: &adapter::Http, machine: &mut M) -> (Result<M::Output, Stopped>, Vec<Event>) {
    let mut events = Vec::new();
    let outcome = adapter::run(http, machine, &adapter::Cancel::new(), |event| events.push(event));
    (outcome, events)
}

/// Runs a flow a thousand times as fast.
fn sign_in(http: &adapter::Http, flow: DeviceFlow) -> Result<TokenResponse, Stopped> {
    drive(http, &mut Scaled::new(flow, 1000)).0
}
