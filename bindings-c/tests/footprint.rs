//! Owns the allocations of a poll through the functions of C, counted beside those of the same poll in Rust.
#![allow(
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    clippy::wildcard_enum_match_arm,
    reason = "tests panic to report, and call as C does"
)]

mod support;

use device_flow_c::{ActionKind, Code, Header};
use device_flow_core::{Client, DeviceFlow, Machine as _, Provider, Response, Timestamp};
use std::hint::black_box;
use support::{ENTROPY, GRANT, PENDING, client, free, header, next, waiting};

/// Allocations, and bytes that are left, of one poll in Rust.
fn in_rust() -> (u64, i64) {
    let provider = Provider::endpoints("https://op.example.com/device/auth", "https://op.example.com/token");
    let mut flow = DeviceFlow::new(Client::builder(provider, "device-public").build().unwrap(), ENTROPY);
    let mut now = Timestamp::ZERO;
    let mut measured = (0, 0);
    let mut answer = GRANT;
    loop {
        let counted = allocation_counter::measure(|| match flow.next_action(now) {
            device_flow_core::Action::SendRequest(outgoing) => {
                black_box((outgoing.request.body(), outgoing.request.headers().count()));
                flow.response(outgoing.ticket, Response::new(200, answer.as_bytes()), now).unwrap();
            }
            device_flow_core::Action::Wait { until, .. } => now = until,
            action => drop(action),
        });
        if flow.trail().polls() == 3 {
            return measured;
        }
        answer = if now == Timestamp::ZERO { answer } else { PENDING };
        if flow.trail().polls() > 0 && counted.count_total > 0 {
            measured = (counted.count_total, counted.bytes_current);
        }
    }
}

#[test]
fn a_pending_poll_through_c_allocates_no_more_than_in_rust() {
    let client = client();
    let machine = waiting(client);
    let mut now = 0;
    for _ in 0..3 {
        now = next(machine, now).until_ms;
        let headers = [header("content-type", "application/json"), header("server", "x")];
        let measured = allocation_counter::measure(|| whole_poll(machine, now, &headers));
        println!("one pending poll through C: {} allocations", measured.count_total);
        assert_eq!((measured.count_total, measured.bytes_current), (1, 0));
        assert_eq!((measured.count_total, measured.bytes_current), in_rust());
    }
    free(machine);
    free(client);
}

/// All that a driver asks about a poll, without an allocation of its own.
fn whole_poll(machine: *mut device_flow_c::Machine, now: u64, headers: &[Header]) {
    let mut action = support::NOTHING;
    unsafe {
        assert_eq!(device_flow_c::df_next_action(machine, now, &mut action), Code::Ok);
        assert_eq!(action.kind, ActionKind::SendRequest);
        black_box(action.request);
        let (ticket, body) = (action.ticket, PENDING.as_ptr().cast());
        let answered =
            device_flow_c::df_response(machine, ticket, 400, headers.as_ptr(), headers.len(), body, PENDING.len(), now);
        assert_eq!(answered, Code::Ok);
    }
    assert_eq!(next(machine, now).kind, ActionKind::Wait);
}
