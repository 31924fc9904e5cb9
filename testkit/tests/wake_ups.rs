//! What waiting costs: the thread of a driver sleeps until the wait is over, however long it is.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use device_flow_core::DeviceFlow;
use device_flow_testkit::loopback::{Loopback, sign_in};
use device_flow_testkit::wake_ups::CountingWaits;
use device_flow_tokio::entropy;

/// To fall asleep for once and, in tokio, for the rest that its coarse timer leaves.
const MOST: u64 = 2;

/// Of a sign-in with one wait, of a second. The least of ten, since a thread may as well wait for memory on a busy machine.
fn wake_ups_of_a_wait(sign_in_with: impl Fn(&mut CountingWaits<DeviceFlow>)) -> u64 {
    let count = || {
        let server = Loopback::http(sign_in(&[]));
        let mut flow = CountingWaits::new(DeviceFlow::new(server.client(), entropy().unwrap()));
        sign_in_with(&mut flow);
        flow.wake_ups()
    };
    (0..9).fold(count(), |least, _| if least <= MOST { least } else { least.min(count()) })
}

#[test]
fn a_wait_without_a_runtime_sleeps_through() {
    use device_flow_blocking::{Cancel, Http, run};
    let count = wake_ups_of_a_wait(|flow| {
        let http = Http::builder().build().unwrap();
        run(&http, flow, &Cancel::new(), |_| {}).unwrap();
    });
    assert!((1..=MOST).contains(&count), "{count} wake-ups");
}

#[test]
fn a_wait_on_tokio_sleeps_through() {
    use device_flow_tokio::{Http, run};
    let count = wake_ups_of_a_wait(|flow| {
        let http = Http::builder().build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(&http, flow, |_| {})).unwrap();
    });
    assert!((1..=MOST).contains(&count), "{count} wake-ups");
}
