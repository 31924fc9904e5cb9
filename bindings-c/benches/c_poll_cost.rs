//! Counts what one pending poll costs through the functions of C beside the same poll in Rust, in instructions under
//! callgrind: `cargo bench -p device-flow-c`.
//!
//! One poll, on both sides: ask for the wait and for the request, read its method, URL, headers, body and limit, hand in the
//! answer of a real server (oidc-provider), which the compiler knows nothing of. Each number is the difference of two runs, so start-up costs nothing, and it
//! is the same on every run of the same build.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::undocumented_unsafe_blocks,
    missing_docs,
    reason = "a bench panics to report, and calls as C does"
)]

use device_flow_c::*;
use device_flow_core::{DeviceFlow, Machine as _, Provider, Response, Timestamp};
use std::hint::black_box;
use std::process::Command;
use std::ptr;

const PENDING: &[u8] = br#"{"error":"authorization_pending","error_description":"authorization request is still pending as the end-user hasn't yet completed the user interaction steps"}"#;
const GRANT: &[u8] = br#"{"device_code":"TVIZiWC3ImtM0Q9zhiacRHxJgRIm8ubiJPqY8KCmoAj","user_code":"DKBD-TMWL","verification_uri":"https://op.example.com/device","verification_uri_complete":"https://op.example.com/device?user_code=DKBD-TMWL","expires_in":86400,"interval":1}"#;
const DEVICE: &str = "https://op.example.com/device/auth";
const TOKEN: &str = "https://op.example.com/token";
const HEADER: (&str, &str) = ("content-type", "application/json; charset=utf-8");
/// More than in Rust, at most. Three calls that check their pointers and their handle, and the request laid out for C.
const LIMIT: u64 = 300;

fn in_rust(count: u64) {
    let provider = Provider::endpoints(DEVICE, TOKEN);
    let client = device_flow_core::Client::builder(provider, "device-public").scope("openid").build().unwrap();
    // As the library has it: in a block of its own.
    let mut flow = Box::new(DeviceFlow::new(client, [9; 32]));
    let mut now = Timestamp::ZERO;
    let device_flow_core::Action::SendRequest(outgoing) = flow.next_action(now) else { panic!() };
    flow.response(outgoing.ticket, Response::new(200, GRANT), now).unwrap();
    let device_flow_core::Action::ShowCode(_) = flow.next_action(now) else { panic!() };
    let (body, headers) = (PENDING.to_vec(), vec![HEADER]);
    for _ in 0..count {
        let device_flow_core::Action::Wait { until, .. } = flow.next_action(now) else { panic!() };
        now = until;
        let device_flow_core::Action::SendRequest(outgoing) = flow.next_action(now) else { panic!() };
        black_box((outgoing.request.method(), outgoing.request.url(), outgoing.request.body()));
        outgoing.request.headers().for_each(|header| _ = black_box(header));
        black_box(outgoing.request.max_response());
        // As the documentation of `Machine` has it.
        let answer = Response::new(400, black_box(&body));
        let answer =
            black_box(&headers[..]).iter().fold(answer, |all, (name, value)| all.header(name, value.as_bytes()));
        flow.response(outgoing.ticket, answer, now).unwrap();
    }
}

fn check(code: Code) {
    assert_eq!(code, Code::Ok);
}

unsafe fn in_c(count: u64) {
    let (mut config, mut client, mut machine) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let (name, value) = HEADER;
    let answered = [Header {
        name: name.as_ptr().cast(),
        name_len: name.len(),
        value: value.as_ptr().cast(),
        value_len: value.len(),
    }];
    let nothing = Str { data: ptr::null(), len: 0 };
    let (headers, header_count, max_response, time_limit_ms) = (ptr::null(), 0, 0, 0);
    let request =
        Request { method: nothing, url: nothing, headers, header_count, body: nothing, max_response, time_limit_ms };
    let mut action = Action { kind: ActionKind::Ended, reason: WaitReason::None, ticket: 0, until_ms: 0, request };
    let body = PENDING.to_vec();
    unsafe {
        check(df_config_new(&mut config));
        for (setting, value) in [
            (Setting::DeviceAuthorizationEndpoint, DEVICE),
            (Setting::TokenEndpoint, TOKEN),
            (Setting::ClientId, "device-public"),
            (Setting::Scope, "openid"),
        ] {
            check(df_config_set(config, setting as u32, value.as_ptr().cast(), value.len()));
        }
        check(df_client_new(config, &mut client));
        check(df_flow_new(client, [9; 32].as_ptr(), 32, &mut machine));
        check(df_next_action(machine, 0, &mut action));
        check(df_response(machine, action.ticket, 200, ptr::null(), 0, GRANT.as_ptr().cast(), GRANT.len(), 0));
        check(df_next_action(machine, 0, &mut action));
        let mut now = 0;
        for _ in 0..count {
            check(df_next_action(machine, now, &mut action));
            now = action.until_ms;
            check(df_next_action(machine, now, &mut action));
            let Request { method, url, headers, header_count, body: form, max_response, .. } = action.request;
            black_box((method, url, form));
            for header in std::slice::from_raw_parts(headers, header_count) {
                black_box(header);
            }
            black_box(max_response);
            let (body, headers) = (black_box(body.as_ptr().cast()), black_box(&answered[..]));
            let (first, count) = (headers.as_ptr(), headers.len());
            check(df_response(machine, action.ticket, 400, first, count, body, PENDING.len(), now));
        }
        check(df_free(machine.cast()));
        check(df_free(client.cast()));
        check(df_free(config.cast()));
    }
}

fn instructions(way: &str, count: u64) -> Option<u64> {
    let this = std::env::current_exe().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args([way, &count.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn per_poll(way: &str) -> Option<u64> {
    Some((instructions(way, 11_000)? - instructions(way, 1_000)?) / 10_000)
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let Some(count) = arguments.get(2).and_then(|count| count.parse().ok()) {
        match &*arguments[1] {
            "c" => unsafe { in_c(count) },
            _ => in_rust(count),
        }
        return;
    }
    let (Some(rust), Some(c)) = (per_poll("rust"), per_poll("c")) else {
        println!("SKIPPED: instructions per poll through C (valgrind is not installed)");
        return;
    };
    let more = c.saturating_sub(rust);
    println!("one pending poll through C: {c} instructions, {more} more than the same in Rust (limit {LIMIT})");
    assert!(more <= LIMIT, "{more} instructions more");
}
