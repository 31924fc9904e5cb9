//! The blocking driver where it does not belong, inside an async runtime: it holds its thread up, and nothing worse.
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use device_flow_blocking::{Cancel, DeviceFlow, Http, entropy, run};
use device_flow_testkit::loopback::{Loopback, sign_in};
use device_flow_testkit::scaled::Scaled;

// G13: no panic and no deadlock, on the runtime's only thread.
#[test]
fn g13_the_blocking_driver_inside_a_runtime_brings_its_token() {
    let server = Loopback::http(sign_in(&["authorization_pending", "slow_down"]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let http = Http::builder().build().unwrap();
        let mut flow = Scaled::new(DeviceFlow::new(server.client(), entropy().unwrap()), 1_000);
        run(&http, &mut flow, &Cancel::new(), |_| {})
    });
    assert_eq!(outcome.unwrap().access_token().expose(), "token-1-canary");
    assert_eq!(server.polls().len(), 3);
}
