//! Holds the state diagram of docs/design.md against the transitions that really happen.

use crate::keys::Signer;
use crate::support::*;
use device_flow_core::{Action, DeviceFlow, Machine, Response, Timestamp, TransportError, TransportErrorKind};
use std::collections::BTreeSet;

type Arrow = (String, String);

/// The arrows that docs/design.md draws, without the start, the end and `cancel()`.
fn drawn() -> BTreeSet<Arrow> {
    let document = include_str!("../../docs/design.md");
    let diagram = document.split("stateDiagram-v2").nth(1).unwrap().split("```").next().unwrap();
    let arrows = diagram.lines().filter_map(|line| line.split_once("-->"));
    let arrows = arrows.map(|(from, to)| (from.trim().to_owned(), to.split(':').next().unwrap().trim().to_owned()));
    arrows.filter(|(from, to)| from != "[*]" && to != "[*]").collect()
}

fn state(flow: &DeviceFlow) -> String {
    format!("{flow:?}").split('"').nth(1).unwrap().to_owned()
}

/// Every path of a small world: each answer of a set at each request, each wait kept or overslept, cancelled or not.
fn walk(path: &mut Vec<usize>, seen: &mut BTreeSet<Arrow>, cancelled_from: &mut BTreeSet<String>) {
    let (granted, short) =
        (device_answer(serde_json::json!({"expires_in": 16})), device_answer(serde_json::json!({"expires_in": 0})));
    let answers: [Option<(u16, &str)>; 10] = [
        Some((200, &granted)),
        Some((200, &short)),
        Some((503, "")),
        Some((400, PENDING)),
        Some((400, SLOW_DOWN)),
        Some((200, TOKEN)),
        Some((400, r#"{"error":"access_denied"}"#)),
        Some((200, "[]")),
        Some((400, r#"{"error":"use_dpop_nonce"}"#)),
        None,
    ];
    let depth = path.len();
    let mut flow = DeviceFlow::new(builder().proof_of_possession(Signer::named("thumb")).build().unwrap(), [5; 32]);
    let (mut now, mut step, mut before) = (0_u64, 0, state(&flow));
    let note = |flow: &DeviceFlow, before: &mut String, seen: &mut BTreeSet<Arrow>| {
        let after = state(flow);
        if after != *before {
            seen.insert((std::mem::replace(before, after.clone()), after));
        }
    };
    let options = loop {
        let action = flow.next_action(Timestamp::from_millis(now));
        if matches!(action, Action::Done(_)) && before != "Finished" {
            // An outcome that `next_action` finds is handed out by the same call.
            seen.insert((std::mem::replace(&mut before, "Finished".to_owned()), "Finished".to_owned()));
        }
        note(&flow, &mut before, seen);
        let options = match &action {
            Action::SendRequest(_) => answers.len() + 1,
            Action::Wait { .. } | Action::ShowCode(_) => 3,
            Action::Ended => return,
            Action::Done(_) | Action::AwaitResponse => 1,
        };
        if step == depth {
            break options;
        }
        let choice = path[step];
        step += 1;
        if choice + 1 == options && options > 1 {
            cancelled_from.insert(before.clone());
            flow.cancel();
            assert_eq!(state(&flow), "Finished");
            before = state(&flow);
            continue;
        }
        match action {
            Action::SendRequest(outgoing) => {
                let at = Timestamp::from_millis(now);
                match answers[choice] {
                    Some((status, body)) => flow.response(
                        outgoing.ticket,
                        Response::new(status, body.as_bytes()).header("dpop-nonce", b"n"),
                        at,
                    ),
                    None => flow.transport_failed(outgoing.ticket, TransportError::new(TransportErrorKind::Closed), at),
                }
                .unwrap();
                note(&flow, &mut before, seen);
            }
            // In time, or far too late.
            Action::Wait { until, .. } => {
                now = if choice == 0 { until.as_millis() } else { until.as_millis() + 1_000_000 }
            }
            Action::ShowCode(_) | Action::Done(_) | Action::AwaitResponse | Action::Ended => {}
        }
    };
    if depth < 9 {
        for choice in 0..options {
            path.push(choice);
            walk(path, seen, cancelled_from);
            path.pop();
        }
    }
}

#[test]
fn the_diagram_draws_what_happens() {
    let (mut seen, mut cancelled_from) = (BTreeSet::new(), BTreeSet::new());
    walk(&mut vec![], &mut seen, &mut cancelled_from);
    // A resumed flow may find that its code has expired before it is shown.
    let mut late = Run::granted(serde_json::json!({}));
    assert_eq!(state(&late.machine), "Showing");
    late.now += 900_000;
    assert!(matches!(late.machine.next_action(Timestamp::from_millis(late.now)), Action::Done(Err(_))));
    seen.insert(("Showing".to_owned(), "Finished".to_owned()));
    // So may one that is to prove a poll again.
    let client = builder().proof_of_possession(Signer::named("thumb")).build().unwrap();
    let mut late = Run::new(client);
    late.script(&[(200, &device_answer(serde_json::json!({})))]);
    late.poll();
    late.respond(Response::new(400, br#"{"error":"use_dpop_nonce"}"#).header("dpop-nonce", b"n"));
    assert_eq!(state(&late.machine), "Challenged");
    late.now += 900_000;
    expired(late.failure());
    seen.insert(("Challenged".to_owned(), "Finished".to_owned()));
    assert_eq!(seen, drawn());
    // Every state that leads to a request or a wait can be cancelled.
    let expected: BTreeSet<String> = ["Opening", "Requesting", "Waiting", "Polling"].map(String::from).into();
    assert_eq!(cancelled_from, expected);
}
