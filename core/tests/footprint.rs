//! The footprint of a flow: sizes, live heap and allocations, counted and never timed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod support;

use device_flow_core::{
    AccessTokenQuery, Action, Authority, Client, DeviceFlow, Fleet, FleetAction, Machine, Owner, Response, Secret,
    Timestamp, TokenCache, UnixTime,
};
use serde_json::json;
use std::sync::Arc;
use support::*;

const PENDING_OF_A_REAL_SERVER: &[u8] = br#"{"error":"authorization_pending","error_description":"authorization request is still pending as the end-user hasn't yet completed the user interaction steps"}"#;

/// A flow that waits, and the length of the strings that it must keep.
fn waiting(device_code: &str, texts: &serde_json::Value) -> (DeviceFlow, usize) {
    waiting_for(&Arc::new(builder().build().unwrap()), device_code, texts, |flow| flow)
}

fn waiting_for(
    client: &Arc<Client>,
    device_code: &str,
    texts: &serde_json::Value,
    configure: fn(DeviceFlow) -> DeviceFlow,
) -> (DeviceFlow, usize) {
    let mut answer = texts.clone();
    answer["device_code"] = json!(device_code);
    let mut flow = configure(DeviceFlow::new(client.clone(), [9; 32]));
    let now = Timestamp::ZERO;
    let Action::SendRequest(outgoing) = flow.next_action(now) else { panic!() };
    flow.response(outgoing.ticket, Response::new(200, device_answer(answer).as_bytes()), now).unwrap();
    let Action::ShowCode(prompt) = flow.next_action(now) else { panic!() };
    let Action::Wait { .. } = flow.next_action(now) else { panic!() };
    let complete = prompt.verification_uri_complete().map_or(0, str::len);
    (flow, device_code.len() + prompt.user_code().len() + prompt.verification_uri().len() + complete)
}

#[test]
fn a_waiting_flow_is_96_bytes_and_its_heap_is_one_block_with_its_strings() {
    assert!(size_of::<DeviceFlow>() <= 96, "{}", size_of::<DeviceFlow>());
    let usual = json!({
        "verification_uri": "https://login.example.com/device",
        "verification_uri_complete": "https://login.example.com/device?user_code=WDJB-MJHT"
    });
    let code = "c".repeat(100);
    // The client is shared and counted separately.
    let client = Arc::new(builder().build().unwrap());
    for (configure, once) in [(<fn(DeviceFlow) -> DeviceFlow>::from(|flow| flow), false), (DeviceFlow::show_once, true)]
    {
        let mut held = None;
        let measured = allocation_counter::measure(|| held = Some(waiting_for(&client, &code, &usual, configure)));
        let (flow, strings) = held.unwrap();
        println!(
            "one waiting flow{}: {} bytes itself, {} bytes of heap in {} block for {strings} bytes of strings",
            if once { ", shown once" } else { "" },
            size_of::<DeviceFlow>(),
            measured.bytes_current,
            measured.count_current
        );
        // Whether there is a prompt; the lengths of its texts and its warnings. Shown once, the device code alone.
        let bytes = if once { 1 + code.len() } else { 1 + 9 + strings };
        assert_eq!((measured.count_current, measured.bytes_current), (1, i64::try_from(bytes).unwrap()));
        assert_eq!(flow.prompt().is_none(), once);
    }
}

#[test]
fn a_pending_poll_costs_one_allocation() {
    let (mut flow, _) = waiting(&"c".repeat(100), &json!({}));
    let mut now = Timestamp::ZERO;
    for _ in 0..3 {
        let Action::Wait { until, .. } = flow.next_action(now) else { panic!() };
        now = until;
        let measured = allocation_counter::measure(|| {
            let Action::SendRequest(outgoing) = flow.next_action(now) else { panic!() };
            let response = Response::new(400, PENDING_OF_A_REAL_SERVER).header("content-type", b"application/json");
            flow.response(outgoing.ticket, response, now).unwrap();
            let Action::Wait { .. } = flow.next_action(now) else { panic!() };
        });
        println!("one pending poll: {} allocations", measured.count_total);
        assert_eq!((measured.count_total, measured.bytes_current), (1, 0));
    }
}

/// Does all that a fleet has to do at this moment; every request is answered at once.
fn go(fleet: &mut Fleet<u32, DeviceFlow>, now: u64, status: u16, answer: &[u8]) {
    let now = Timestamp::from_millis(now);
    loop {
        match fleet.next_action(now) {
            FleetAction::SendRequest { ticket, .. } => {
                fleet.response(ticket, Response::new(status, answer), now).unwrap();
            }
            FleetAction::ShowCode { .. } | FleetAction::Waiting { .. } | FleetAction::Done { .. } => {}
            FleetAction::Wait { .. } | FleetAction::AwaitResponse | FleetAction::Idle => return,
        }
    }
}

#[test]
fn in_a_fleet_a_flow_costs_its_key_and_thirty_bytes_more_and_a_poll_no_more_than_alone() {
    const COUNT: u32 = 1_024;
    let client = Arc::new(builder().build().unwrap());
    let answer = device_answer(json!({ "device_code": "c".repeat(100) }));
    let mut held = None;
    let measured = allocation_counter::measure(|| {
        let mut fleet = Fleet::new(64);
        for key in 0..COUNT {
            fleet.start(key, DeviceFlow::new(client.clone(), [9; 32]).show_once()).unwrap();
        }
        go(&mut fleet, 0, 200, answer.as_bytes());
        held = Some(fleet);
    });
    let mut fleet = held.unwrap();
    assert_eq!((fleet.waiting(), fleet.in_flight()), (COUNT as usize, 0));
    // The device code, its length, and the block's own head.
    let bytes = measured.bytes_current as f64 / f64::from(COUNT) - 101.0;
    println!("one waiting flow in a fleet: {bytes:.1} bytes and its code");
    assert!(bytes <= (size_of::<DeviceFlow>() + size_of::<u64>() + 30) as f64, "{bytes}");
    let polls = allocation_counter::measure(|| go(&mut fleet, 10_000, 400, PENDING_OF_A_REAL_SERVER));
    assert_eq!(polls.count_total, u64::from(COUNT));
}

#[test]
fn in_a_fleet_those_that_come_use_the_room_of_those_that_are_gone() {
    let client = Arc::new(builder().build().unwrap());
    let mut fleet = Fleet::new(1);
    let mut turn = |key: u32| {
        fleet.start(key, DeviceFlow::new(client.clone(), [9; 32])).unwrap();
        go(&mut fleet, u64::from(key) * 10_000, 200, device_answer(json!({})).as_bytes());
        assert!(fleet.cancel(&key, Timestamp::from_millis(u64::from(key) * 10_000)).is_some());
        go(&mut fleet, u64::from(key) * 10_000, 200, b"");
        assert!(fleet.is_empty());
    };
    (0..10).for_each(&mut turn);
    let later = allocation_counter::measure(|| (10..1_000).for_each(&mut turn));
    assert_eq!(later.bytes_current, 0);
}

#[test]
fn a_silent_hit_among_a_thousand_accounts_allocates_its_token_and_nothing_else() {
    let token = |number| {
        let secret = format!("AT-canary-{number:040}");
        json!({
            "home_account_id": format!("uid-{number}.tenant"), "environment": "login.windows.net", "client_id": "me",
            "realm": "tenant", "target": "openid profile User.Read", "secret": secret, "expires_on": "4000000000"
        })
    };
    let tokens: serde_json::Map<_, _> = (0..1_000).map(|number| (format!("key {number}"), token(number))).collect();
    let file = json!({ "AccessToken": tokens }).to_string();
    let cache = TokenCache::from_json(file.as_bytes()).unwrap();
    // Another name of the same cloud, and of the same tenant.
    let authority = Authority::entra("login.microsoftonline.com", "organizations");
    let owner =
        Owner { person: device_flow_core::Person::Id("UID-777.tenant"), client_id: "me", authority: &authority };
    let query = AccessTokenQuery::scopes("user.read openid");
    let mut hit = None;
    let measured = allocation_counter::measure(|| {
        hit = cache.access_token(owner, query, UnixTime::from_secs(1_800_000_000)).map(|found| found.secret());
    });
    assert_eq!(hit.unwrap().expose(), format!("AT-canary-{:040}", 777));
    println!("one silent hit: {} allocations, {} bytes", measured.count_total, measured.bytes_total);
    assert_eq!((measured.count_total, measured.bytes_total), (1, 50));
}

#[test]
fn a_secret_takes_over_a_full_text_and_copies_a_roomy_one() {
    let (full, mut roomy) = (String::from("SEC-canary"), String::with_capacity(100));
    roomy.push_str("SEC-canary");
    assert!(full.capacity() == full.len() && roomy.capacity() > roomy.len());
    let mut secrets = Vec::with_capacity(2);
    let taken = allocation_counter::measure(|| secrets.push(Secret::from(full)));
    assert_eq!(taken.count_total, 0, "a copy of it would lie about longer");
    // Shrinking in place would leave what was in the rest.
    let copied = allocation_counter::measure(|| secrets.push(Secret::from(roomy)));
    assert_eq!((copied.count_total, copied.bytes_current), (1, 10 - 100));
}
