//! What a request leaves behind in memory: its secrets are wiped before its block is given back. Linux lets a process read
//! its own memory as a file, given back or not.
#![cfg(all(target_os = "linux", not(miri)))]

use crate::keys::Signer;
use crate::support::*;
use device_flow_core::{
    Action, Client, ClientBuilder, DeviceFlow, Machine, Provider, Refresh, Response, Revocation, Timestamp, TokenKind,
};
use device_flow_testkit::dialects::{Say, Speech};
use serde_json::json;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The block of the body of a machine's next request, after the request was dropped.
fn left_behind<M: Machine>(machine: &mut M, now: Timestamp) -> String {
    let memory = File::open("/proc/self/mem").unwrap();
    let Action::SendRequest(outgoing) = machine.next_action(now) else { panic!("a request") };
    let (address, length) = (outgoing.request.body().as_ptr().addr(), outgoing.request.body().len());
    // Made before, so that it is not in that block.
    let mut left = vec![0; length];
    assert!(String::from_utf8_lossy(outgoing.request.body()).contains("canary"));
    drop(outgoing);
    memory.read_exact_at(&mut left, u64::try_from(address).unwrap()).unwrap();
    String::from_utf8_lossy(&left).into_owned()
}

/// The allocator writes into the first bytes of a free block; what is public and comes after them shows that it is the block.
#[track_caller]
fn is_wiped(left: &str) {
    assert!(left.contains("my-app"), "{left:?}");
    assert!(!left.contains("canary"), "{left:?}");
}

fn poll(client: ClientBuilder) -> String {
    let mut flow = DeviceFlow::new(client.build().unwrap(), [7; 32]);
    let Action::SendRequest(outgoing) = flow.next_action(Timestamp::ZERO) else { panic!() };
    let answer = device_answer(json!({"device_code": "DC-canary"}));
    flow.response(outgoing.ticket, Response::new(200, answer.as_bytes()), Timestamp::ZERO).unwrap();
    let Action::ShowCode(_) = flow.next_action(Timestamp::ZERO) else { panic!() };
    let Action::Wait { until, .. } = flow.next_action(Timestamp::ZERO) else { panic!() };
    left_behind(&mut flow, until)
}

#[test]
fn what_may_be_a_secret_in_a_request_is_wiped_with_it() {
    is_wiped(&poll(builder()));
    is_wiped(&poll(builder().pkce()));
    is_wiped(&poll(builder().client_secret_post("SEC-canary")));
    is_wiped(&poll(builder().token_parameter("password", "PW-canary").audience("https://api")));
    let client = || builder().client_secret_post("SEC-canary").build().unwrap();
    is_wiped(&left_behind(&mut Refresh::new(client(), "RT-canary"), Timestamp::ZERO));
    let refresh = Refresh::new(builder().build().unwrap(), "RT-canary").scope("openid").unwrap();
    let mut refresh = refresh.parameter("assertion", "P-canary").unwrap();
    is_wiped(&left_behind(&mut refresh, Timestamp::ZERO));
    let provider = Provider::endpoints("https://as/device", "https://as/token");
    let client = Client::builder(provider.revocation_endpoint("https://as/revoke"), "a-longer-name-of-my-app");
    let revocation = Revocation::new(client.build().unwrap(), "T-canary").unwrap();
    is_wiped(&left_behind(&mut revocation.kind(TokenKind::AccessToken), Timestamp::ZERO));
}

// What a dialect sends is a body of its own, all of which is wiped.
#[test]
fn requests_in_a_dialect_are_wiped() {
    for speech in Speech::ALL {
        let client = speech.client("as").token_parameter("password", "PW-canary").build().unwrap();
        let mut flow = DeviceFlow::new(client, [7; 32]);
        let Action::SendRequest(outgoing) = flow.next_action(Timestamp::ZERO) else { panic!() };
        let code = speech.reply(Say::Code).body;
        flow.response(outgoing.ticket, Response::new(200, code.as_bytes()), Timestamp::ZERO).unwrap();
        let Action::ShowCode(_) = flow.next_action(Timestamp::ZERO) else { panic!() };
        let Action::Wait { until, .. } = flow.next_action(Timestamp::ZERO) else { panic!() };
        let left = left_behind(&mut flow, until);
        assert!(!left.contains("canary"), "{speech:?}: {left:?}");
        let mut refresh = Refresh::new(speech.client("as").build().unwrap(), "RT-canary");
        let left = left_behind(&mut refresh, Timestamp::ZERO);
        assert!(!left.contains("canary"), "{speech:?}: {left:?}");
    }
}

// A client assertion is no secret once it was sent: it is for one request. All the rest is.
#[test]
fn beside_a_client_assertion_everything_else_is_wiped() {
    let left = poll(builder().client_assertion(Signer::named("")));
    assert!(left.contains("client_assertion=canary.") && !left.contains("DC-canary"), "{left:?}");
}
