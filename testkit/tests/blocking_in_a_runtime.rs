//! Both adapters in one program: the blocking driver inside an async runtime, where it does not belong, and the one
//! timeline.

use device_flow_blocking::{Cancel, DeviceFlow, Http, entropy, run};
use device_flow_testkit::loopback::{Loopback, sign_in};
use device_flow_testkit::scaled::Skipping;

// G13: no panic and no deadlock, on the runtime's only thread.
#[test]
fn g13_the_blocking_driver_gets_its_token_inside_a_runtime() {
    let server = Loopback::http(sign_in(&["authorization_pending", "slow_down"]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let http = Http::builder().build().unwrap();
        let mut flow = Skipping::new(DeviceFlow::new(server.client(), entropy().unwrap()));
        run(&http, &mut flow, &Cancel::new(), |_| {})
    });
    assert_eq!(outcome.unwrap().access_token().expose(), "token-1-canary");
    assert_eq!(server.polls().len(), 3);
}

// K18: a flow may go on from one adapter to the other.
#[test]
fn k18_both_adapters_count_from_the_same_zero() {
    let times = [device_flow_tokio::now(), device_flow_blocking::now(), device_flow_tokio::now()];
    assert!(times.is_sorted(), "{times:?}");
    // Not sorted because they stand still: they have begun to count long before.
    assert!(times[0] > device_flow_blocking::Timestamp::ZERO);
}
