//! Snapshots: what one keeps, what a resumed flow does, and what does not load.
#![cfg(feature = "serde")]

use crate::support::*;
use core::time::Duration;
use device_flow_core::{Action, DeviceFlow, Failure, Machine, Snapshot, SnapshotError, Timestamp, TransportErrorKind};
use serde_json::{Value, json};

fn stored(flow: &DeviceFlow, now: u64) -> Value {
    serde_json::to_value(flow.snapshot(Timestamp::from_millis(now)).expect("a code lives")).unwrap()
}

fn resumed(value: Value, away: Duration, now: u64) -> Result<Run<DeviceFlow>, SnapshotError> {
    let snapshot: Snapshot = serde_json::from_value(value).unwrap();
    let flow = DeviceFlow::resume(builder().build().unwrap(), snapshot, away, Timestamp::from_millis(now))?;
    let mut run = Run::of(flow);
    (run.now, run.answered_at) = (now, now);
    Ok(run)
}

// P16, G05: the wait, the grown interval, the deadline and the trail are kept; the code is shown again.
#[test]
fn a_resumed_flow_goes_on_within_the_law() {
    let mut run = Run::granted(json!({
        "verification_uri_complete": "https://as/x?c=1", "message": "hello", "verification_url": "https://as/other", "expires_in": null
    }));
    run.script(&[(400, SLOW_DOWN), (400, PENDING)]);
    let value = stored(&run.machine, run.now + 3_000);
    let prompt = run.machine.prompt().unwrap();

    let mut later = resumed(value, Duration::ZERO, 55).unwrap();
    let gap = later.poll();
    assert!((7_000..=8_000).contains(&gap), "10 s less the 3 s before the snapshot: {gap}");
    let shown = &later.prompts[0];
    assert_eq!(shown.user_code(), prompt.user_code());
    assert_eq!(shown.verification_uri_complete(), prompt.verification_uri_complete());
    assert_eq!(shown.message(), prompt.message());
    assert_eq!((prompt.warnings().count(), shown.warnings().collect::<Vec<_>>()), (2, prompt.warnings().collect()));
    assert_eq!(
        shown.expires_in(Timestamp::from_millis(55)),
        prompt.expires_in(Timestamp::from_millis(run.now + 3_000))
    );
    later.answer(400, PENDING);
    assert_gap(later.poll(), 10, 10);
    assert_eq!((later.machine.trail().polls(), later.machine.trail().slow_downs()), (4, 1));
    assert_eq!(later.requests[0].body, run.requests[1].body);
    later.answer(200, TOKEN);
    token(later.outcome());
}

// G05: the time away shortens the wait and the life of the code; less time away means a later poll.
#[test]
fn time_away_shortens_the_wait_and_the_life() {
    let run = Run::granted(json!({}));
    for (away, gap) in [(0, 5_000), (2_000, 3_000), (5_500, 0), (60_000, 0)] {
        let mut later = resumed(stored(&run.machine, START), Duration::from_millis(away), 9).unwrap();
        let waited = later.poll();
        assert!(waited >= gap && waited <= gap + 500, "{away}: {waited}");
        assert_eq!(later.prompts[0].expires_at(), Timestamp::from_millis(9 + 900_000 - away));
    }
    for away in [900_000, 900_001, u64::MAX] {
        let mut later = resumed(stored(&run.machine, START), Duration::from_millis(away), 9).unwrap();
        assert!(matches!(later.failure(), Failure::Expired(_)));
        assert!(later.requests.is_empty() && later.prompts.is_empty());
    }
}

// The answer of a poll in flight will not be seen, so it counts as one failure.
#[test]
fn a_poll_in_flight_counts_as_a_failure() {
    let mut run = Run::granted(json!({}));
    run.poll();
    let mut later = resumed(stored(&run.machine, run.now), Duration::ZERO, 0).unwrap();
    assert_gap(later.poll(), 10, 5);
    assert_eq!(later.machine.trail().failures(), 1);
    // The flow itself goes on unchanged.
    run.answer(400, PENDING);
    assert_gap(run.poll(), 5, 5);
    assert_eq!(run.machine.trail().failures(), 0);
}

// Rule 8, D09: when the poll in flight was the last one, nobody is shown a code and made to wait for nothing.
#[test]
fn a_flow_without_a_poll_left_resumes_as_expired() {
    let mut run = Run::granted(json!({"expires_in": 8}));
    run.poll();
    let value = stored(&run.machine, run.now);
    let mut later = resumed(value.clone(), Duration::ZERO, 9).unwrap();
    assert_eq!(expired(later.failure()).trail.polls(), 1);
    assert!(later.prompts.is_empty() && later.waits.is_empty() && later.now == 9);

    // From the other side: with one more millisecond of life there is a poll.
    let due = value["v1"]["schedule"]["poll_in_ms"].as_u64().unwrap();
    for (expires_in, polls) in [(due, false), (due + 1, true)] {
        let mut changed = value.clone();
        changed["v1"]["schedule"]["expires_in_ms"] = json!(expires_in);
        assert_eq!(resumed(changed, Duration::ZERO, 9).unwrap().go(), polls);
    }
}

#[test]
fn the_back_off_and_the_drift_margin_come_along() {
    let mut run = Run::granted(json!({}));
    run.script(&[(400, SLOW_DOWN), (400, SLOW_DOWN), (400, SLOW_DOWN)]);
    let mut later = resumed(stored(&run.machine, run.now), Duration::ZERO, 0).unwrap();
    assert!(later.machine.trail().clock_drift_suspected());
    assert_gap(later.poll(), 28, 20);
    later.fail(TransportErrorKind::Timeout);
    assert_gap(later.poll(), 40, 20);
    later.fail(TransportErrorKind::Timeout);
    let mut again = resumed(stored(&later.machine, later.now), Duration::ZERO, 0).unwrap();
    assert_gap(again.poll(), 60, 20);
}

#[test]
fn pkce_and_odd_device_codes_come_along() {
    let client = || builder().pkce().build().unwrap();
    let mut run = Run::new(client());
    run.go();
    run.answer(200, &device_answer(json!({"device_code": "canary/b+c d&e=f%é"})));
    run.poll();
    let value = stored(&run.machine, run.now);
    let flow = DeviceFlow::resume(
        client(),
        serde_json::from_value(value).unwrap(),
        Duration::ZERO,
        Timestamp::from_millis(START),
    );
    let mut later = Run::of(flow.unwrap());
    later.poll();
    assert_eq!(later.requests[0].parameter("device_code").unwrap(), "canary/b+c d&e=f%é");
    assert_eq!(later.requests[0].body, run.requests[1].body);
}

#[test]
fn there_is_no_snapshot_without_a_code() {
    let at = Timestamp::from_millis(START);
    let mut run = Run::new(builder().build().unwrap());
    assert!(run.machine.snapshot(at).is_none());
    run.go();
    assert!(run.machine.snapshot(at).is_none());
    run.answer(200, &device_answer(json!({})));
    assert!(run.machine.snapshot(at).is_some(), "before it was shown");
    run.poll();
    run.answer(200, TOKEN);
    assert!(run.machine.snapshot(at).is_none(), "the outcome is not handed out yet, but it is there");
    token(run.outcome());
    assert!(run.machine.snapshot(at).is_none());
}

// F14: a code is never sent to another server or by another client.
#[test]
fn a_snapshot_belongs_to_its_client_and_server() {
    let value = stored(&Run::granted(json!({})).machine, START);
    let provider = |token| device_flow_core::Provider::endpoints("https://as/device", token);
    for (token_endpoint, id, fits) in [
        ("https://as/token", "my-app", true),
        ("https://evil/token", "my-app", false),
        ("https://as/token", "other", false),
    ] {
        let client = device_flow_core::Client::builder(provider(token_endpoint), id).build().unwrap();
        let snapshot = serde_json::from_value(value.clone()).unwrap();
        let resumed = DeviceFlow::resume(client, snapshot, Duration::ZERO, Timestamp::ZERO);
        assert_eq!(resumed.err(), (!fits).then_some(SnapshotError::OtherClient));
    }
}

// G11: `Debug` shows what a person may see, the stored form alone holds the device code.
#[test]
fn a_snapshot_prints_no_secret() {
    let run = Run::granted(json!({"device_code": "canary-code"}));
    let snapshot = run.machine.snapshot(Timestamp::from_millis(START)).unwrap();
    let shown = format!("{snapshot:?}");
    assert!(shown.contains("user_code") && !shown.contains("canary"), "{shown}");
    assert!(serde_json::to_string(&snapshot).unwrap().contains("canary-code"));
}

#[test]
fn an_unknown_version_or_shape_does_not_load() {
    let value = stored(&Run::granted(json!({})).machine, START);
    for damaged in
        [json!({"v2": value["v1"]}), json!({"v1": null}), json!({}), json!([]), json!("v1"), json!({"v1": {}}), {
            let mut more = value.clone();
            more["v1"]["surprise"] = json!(1);
            more
        }]
    {
        assert!(serde_json::from_value::<Snapshot>(damaged.clone()).is_err(), "{damaged}");
    }
}

// A snapshot comes from a disk, so it is checked like an answer of a server.
#[test]
fn a_damaged_snapshot_is_refused() {
    let value = stored(&Run::granted(json!({})).machine, START);
    for (pointer, bad) in [
        ("/v1/user_code", json!("\u{1b}[2J")),
        ("/v1/user_code", json!("")),
        ("/v1/verification_uri", json!("javascript:alert(1)")),
        ("/v1/verification_uri", json!("http://as/x")),
        ("/v1/tail", json!("")),
        ("/v1/tail", json!("a\r\nb")),
        ("/v1/tail", json!("é")),
        ("/v1/schedule/interval", json!(0)),
        ("/v1/schedule/expires_in_ms", json!(86_400_001)),
    ] {
        let mut damaged = value.clone();
        *damaged.pointer_mut(pointer).unwrap() = bad.clone();
        let error = resumed(damaged, Duration::ZERO, 0).err();
        assert!(matches!(error, Some(SnapshotError::Damaged(_))), "{pointer} {bad}: {error:?}");
    }
    // The bounds themselves load.
    for (pointer, good) in [("/v1/schedule/interval", json!(1)), ("/v1/schedule/expires_in_ms", json!(86_400_000))] {
        let mut changed = value.clone();
        *changed.pointer_mut(pointer).unwrap() = good;
        assert!(resumed(changed, Duration::ZERO, 0).is_ok());
    }
    // Huge numbers saturate.
    for pointer in ["/v1/schedule/poll_in_ms", "/v1/schedule/jitter"] {
        let mut changed = value.clone();
        *changed.pointer_mut(pointer).unwrap() = json!(u64::MAX);
        let mut run = resumed(changed, Duration::ZERO, u64::MAX - 1).unwrap();
        assert!(!run.go());
    }
}

// The wait of a resumed flow is in the future or over; it never spins.
#[test]
fn resuming_at_the_end_of_time_does_not_spin() {
    let value = stored(&Run::granted(json!({})).machine, START);
    let mut run = resumed(value, Duration::ZERO, u64::MAX).unwrap();
    assert!(matches!(run.failure(), Failure::Expired(_)));
    assert!(matches!(run.machine.next_action(Timestamp::MAX), Action::Ended));
}

// Stored without what it has shown: a person sees the code once.
#[test]
fn a_flow_that_shows_its_code_once_is_stored_and_resumed_without_it() {
    let mut run = Run::of(DeviceFlow::new(builder().build().unwrap(), [7; 32]).show_once());
    run.go();
    run.answer(200, &device_answer(json!({ "verification_uri_complete": "https://as/x?c=1", "message": "hello" })));
    // Not shown yet.
    let before = stored(&run.machine, 0);
    assert!(run.machine.prompt().is_some() && before["v1"]["user_code"] == "WDJB-MJHT");
    let Action::ShowCode(prompt) = run.machine.next_action(Timestamp::ZERO) else { panic!() };
    assert_eq!((prompt.user_code(), prompt.message(), run.machine.prompt()), ("WDJB-MJHT", Some("hello"), None));

    let Action::Wait { until: due, .. } = run.machine.next_action(Timestamp::ZERO) else { panic!() };
    let value = stored(&run.machine, due.as_millis() - 4_000);
    for name in ["user_code", "verification_uri", "verification_uri_complete", "message"] {
        assert!(value["v1"].get(name).is_none_or(Value::is_null), "{value}");
    }
    let mut later = resumed(value.clone(), Duration::from_secs(2), 9).unwrap();
    let Action::Wait { until, .. } = later.machine.next_action(Timestamp::from_millis(9)) else { panic!() };
    assert_eq!(until.as_millis(), 9 + 2_000);

    // Half a prompt is damage.
    for (name, text) in [
        ("user_code", "WDJB-MJHT"),
        ("verification_uri", "https://as/x"),
        ("message", "hello"),
        ("verification_uri_complete", "https://as/x"),
    ] {
        let mut damaged = value.clone();
        damaged["v1"][name] = json!(text);
        assert_eq!(resumed(damaged, Duration::ZERO, 0).err(), Some(SnapshotError::Damaged("prompt")), "{name}");
    }
}
