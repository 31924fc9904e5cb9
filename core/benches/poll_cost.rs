//! Counts what one pending poll costs in the core, in instructions under callgrind: `cargo bench -p device-flow-core`.
//!
//! One poll: build the request, take the answer of a real server (oidc-provider), decide. The number is the difference
//! of two runs, so start-up costs nothing, and it is the same on every run of the same build.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a bench panics to report")]

use device_flow_core::{Action, Client, DeviceFlow, Machine, Provider, Response, Timestamp};
use std::hint::black_box;
use std::process::Command;

const PENDING: &[u8] = br#"{"error":"authorization_pending","error_description":"authorization request is still pending as the end-user hasn't yet completed the user interaction steps"}"#;
const GRANT: &[u8] = br#"{"device_code":"TVIZiWC3ImtM0Q9zhiacRHxJgRIm8ubiJPqY8KCmoAj","user_code":"DKBD-TMWL","verification_uri":"https://op.example.com/device","verification_uri_complete":"https://op.example.com/device?user_code=DKBD-TMWL","expires_in":86400,"interval":1}"#;
const LIMIT: u64 = 2_400;

fn polls(count: u64) {
    let provider = Provider::endpoints("https://op.example.com/device/auth", "https://op.example.com/token");
    let client = Client::builder(provider, "device-public").scope("openid offline_access").build().unwrap();
    let mut flow = DeviceFlow::new(client, [9; 32]);
    let mut now = Timestamp::ZERO;
    let Action::SendRequest(outgoing) = flow.next_action(now) else { panic!("the device request comes first") };
    flow.response(outgoing.ticket, Response::new(200, GRANT), now).unwrap();
    let Action::ShowCode(_) = flow.next_action(now) else { panic!("then the code") };
    // In a block of its own, as a body that was read from a socket is.
    let body = PENDING.to_vec();
    for _ in 0..count {
        let Action::Wait { until, .. } = flow.next_action(now) else { panic!("then waits") };
        now = until;
        let Action::SendRequest(outgoing) = flow.next_action(now) else { panic!("and polls") };
        black_box(outgoing.request.body());
        let answer = Response::new(400, black_box(&body)).header("content-type", b"application/json; charset=utf-8");
        flow.response(outgoing.ticket, answer, now).unwrap();
    }
}

fn instructions(count: u64) -> Option<u64> {
    let this = std::env::current_exe().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .arg(count.to_string())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn main() {
    if let Some(count) = std::env::args().find_map(|argument| argument.parse().ok()) {
        return polls(count);
    }
    let (Some(few), Some(many)) = (instructions(1_000), instructions(11_000)) else {
        println!("SKIPPED: instructions per poll (valgrind is not installed)");
        return;
    };
    let per_poll = (many - few) / 10_000;
    println!("one pending poll in the core: {per_poll} instructions (limit {LIMIT}; oauth2-rs spends 13,000)");
    assert!(per_poll <= LIMIT, "{per_poll} instructions");
}
