//! Invariant: for any bytes that load as a snapshot, the resumed flow keeps the rest of the stored wait, the stored
//! interval and the stored deadline, shows only what may be shown, hides the device code, and ends.

use crate::drive::{Drive, Step, client};
use crate::{drive, judge};
use device_flow_core::{DeviceFlow, Response, Snapshot, SnapshotError, Timestamp};
use device_flow_testkit::law::{Law, Next};
use serde_json::Value;
use std::time::Duration;

const NOW: u64 = 1_000;

/// The bytes are the time away in milliseconds on a line of its own, and then a snapshot as JSON.
pub fn check(data: &[u8]) {
    let (away, json) = read(data);
    let Ok(snapshot) = serde_json::from_slice::<Snapshot>(json) else { return };
    // What was stored, in one form.
    let stored = serde_json::to_value(&snapshot).unwrap();
    let tail = stored["v1"]["tail"].as_str().unwrap_or_default().to_owned();
    let unique = Some(&*tail).filter(|tail| judge::is_unique(tail, json));
    let secrets: Vec<&str> = unique.into_iter().chain(drive::secrets(data)).collect();
    judge::hides(&format!("{snapshot:?}"), &secrets);
    let now = Timestamp::from_millis(NOW);
    let flow = match DeviceFlow::resume(client(), snapshot, Duration::from_millis(away), now) {
        Ok(flow) => flow,
        Err(error) => {
            judge::safe(&error.to_string());
            let ours =
                stored["v1"]["client_id"] == "fuzz" && stored["v1"]["token_endpoint"] == crate::drive::TOKEN_ENDPOINT;
            return assert_eq!(ours, error != SnapshotError::OtherClient, "{error}");
        }
    };
    let stored = &stored["v1"];
    let number = |name: &str| stored["schedule"][name].as_u64().unwrap();
    let (interval, expires_in) = (number("interval"), number("expires_in_ms"));
    assert!(interval > 0 && expires_in <= 86_400_000, "an invalid snapshot was resumed");
    let (deadline, due) =
        (NOW + expires_in.saturating_sub(away), NOW.saturating_add(number("poll_in_ms").saturating_sub(away)));

    judge::hides(&format!("{flow:?}"), &secrets);
    let law = Law { interval: interval * 1_000, deadline, failures: 0, slow_downs: 0 };
    let next = if stored["wait_again"] == true {
        // The poll before was lost: the wait begins now.
        let in_a_row = |name: &str| u32::try_from(number(name)).unwrap();
        let failures = in_a_row("failures_in_row").saturating_add(1);
        Law { failures, slow_downs: in_a_row("slow_downs_in_row"), ..law }.next(NOW, 0)
    } else {
        same_again(&flow, now, stored, away);
        let poll = Next::Poll { earliest: due, latest: due };
        if due < deadline { poll } else { Next::Expired }
    };

    let mut drive = Drive::with(flow, data, NOW);
    drive.law = Some(law);
    drive.next = Some(next);
    match drive.step() {
        Step::Poll(ticket, request) => {
            assert!(request.ends_with(tail.as_bytes()), "a different device code was sent");
            // A flow that had forgotten what it has shown cannot show it again.
            assert_eq!(drive.prompt.is_some(), stored["user_code"].is_string(), "whether the code was shown again");
            drive.round_trip();
            drive.answer(ticket, Response::new(400, br#"{"error":"authorization_pending"}"#));
            drive.expect(0, Law::pending);
            drive.abandon();
        }
        Step::Done(outcome) => {
            assert!(matches!(next, Next::Expired), "expired with a poll left: {outcome:?}");
            judge::hides(&format!("{outcome:?}"), &secrets);
        }
        Step::Device(_) => panic!("a second code was requested"),
    }
}

/// A flow that is resumed and stored again at once has lost only the time away.
fn same_again(flow: &DeviceFlow, now: Timestamp, stored: &Value, away: u64) {
    let Some(again) = flow.snapshot(now) else { return };
    let again = serde_json::to_value(&again).unwrap();
    let again = &again["v1"];
    for name in ["client_id", "token_endpoint", "tail", "user_code", "polls", "slow_downs", "failures"] {
        assert_eq!(again[name], stored[name], "{name}");
    }
    let (again, stored) = (&again["schedule"], &stored["schedule"]);
    for name in ["interval", "jitter", "failures_in_row", "slow_downs_in_row", "pages_in_row"] {
        assert_eq!(again[name], stored[name], "{name}");
    }
    for name in ["expires_in_ms", "poll_in_ms"] {
        let left = stored[name].as_u64().unwrap().saturating_sub(away);
        // Only a wait beyond the end of the timeline is shorter, by the part that exceeds it.
        assert_eq!(again[name].as_u64().unwrap(), left.min(u64::MAX - NOW), "{name}");
    }
}

fn read(data: &[u8]) -> (u64, &[u8]) {
    let end = data.iter().take(21).position(|byte| *byte == b'\n');
    let away = end.and_then(|end| std::str::from_utf8(&data[..end]).ok()?.parse().ok());
    match (away, end) {
        (Some(away), Some(end)) => (away, &data[end + 1..]),
        _ => (0, data),
    }
}
