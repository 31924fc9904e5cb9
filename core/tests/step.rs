//! Steps: a sign-in as durable work, from wait to wait, away for a time that is known within two bounds.
#![cfg(feature = "serde")]

use crate::support::*;
use core::time::Duration;
use device_flow_core::{
    Action, Away, Client, DeviceFlow, Failure, Machine, Misuse, Prompt, Snapshot, SnapshotError, Step, Stepped,
    Timestamp, TransportError, TransportErrorKind, WaitReason,
};
use serde_json::{Value, json};
use std::sync::Arc;

const SECOND: u64 = 1_000;

fn client() -> Arc<Client> {
    Arc::new(builder().build().unwrap())
}

/// A snapshot that went through a store.
fn stored(snapshot: &Snapshot) -> Snapshot {
    serde_json::from_str(&serde_json::to_string(snapshot).unwrap()).unwrap()
}

/// A run of the first step, whose request for a code is out.
fn started(flow: DeviceFlow) -> Run<Step> {
    let mut run = Run::of(Step::start(flow));
    assert!(run.go());
    run
}

/// A run of the next step.
fn next(snapshot: &Snapshot, away: impl Into<Away>, now: u64) -> Run<Step> {
    let step = Step::resume(client(), stored(snapshot), away, Timestamp::from_millis(now)).unwrap();
    run_at(step, now)
}

fn run_at<M: Machine>(machine: M, now: u64) -> Run<M> {
    let mut run = Run::of(machine);
    (run.now, run.answered_at) = (now, now);
    run
}

struct Waiting {
    snapshot: Snapshot,
    wait: u64,
    reason: WaitReason,
    prompt: Option<Prompt>,
}

#[track_caller]
fn waiting(run: &mut Run<Step>) -> Waiting {
    let stepped = run.outcome().unwrap_or_else(|failure| panic!("{failure}"));
    let Stepped::Waiting { snapshot, wait, reason, prompt } = stepped else { panic!("{stepped:?}") };
    assert_eq!(wait, snapshot.poll_in());
    Waiting { snapshot, wait: u64::try_from(wait.as_millis()).unwrap(), reason, prompt }
}

/// The first step up to its wait.
fn first(change: Value) -> Waiting {
    let mut run = started(DeviceFlow::new(client(), [7; 32]));
    run.answer(200, &device_answer(change));
    waiting(&mut run)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_sign_in_goes_from_wait_to_wait_and_shows_its_code_once() {
    let mut run = started(DeviceFlow::new(client(), [7; 32]));
    run.answer(200, &device_answer(json!({})));
    let Waiting { snapshot, wait, reason, prompt } = waiting(&mut run);
    assert!((5_000..=5_500).contains(&wait) && reason == WaitReason::Interval);
    let prompt = prompt.unwrap();
    assert_eq!((prompt.user_code(), prompt.expires_at()), ("WDJB-MJHT", Timestamp::from_millis(START + 900_000)));
    // The step is over: what goes on is the snapshot.
    assert!(run.prompts.is_empty() && run.waits.is_empty());
    assert!(matches!(run.machine.next_action(Timestamp::MAX), Action::Ended));
    run.machine.cancel();
    assert!(matches!(run.machine.next_action(Timestamp::MAX), Action::Ended));

    let mut run = next(&snapshot, millis(wait), 50);
    assert_eq!(run.poll(), 0);
    run.answer(400, SLOW_DOWN);
    let Waiting { snapshot, wait, reason, prompt } = waiting(&mut run);
    assert!((10_000..=11_000).contains(&wait) && reason == WaitReason::SlowDown { interval: 10 } && prompt.is_none());

    let mut run = next(&snapshot, millis(wait), 99);
    assert_eq!(run.poll(), 0);
    run.answer(200, TOKEN);
    let Ok(Stepped::Done(token)) = run.outcome() else { panic!() };
    assert_eq!(token.access_token().expose(), "AT-canary");
    assert!(matches!(run.machine.next_action(Timestamp::MAX), Action::Ended));
}

#[test]
fn a_step_that_begins_before_the_end_of_the_wait_sends_nothing_and_waits_for_the_rest() {
    let Waiting { snapshot, wait, .. } = first(json!({}));
    let mut run = next(&snapshot, millis(1_000), 9);
    let rest = waiting(&mut run);
    assert_eq!((rest.wait, rest.reason, rest.prompt), (wait - 1_000, WaitReason::Interval, None));
    assert!(run.requests.is_empty());
    let mut run = next(&rest.snapshot, millis(rest.wait), 9);
    assert_eq!(run.poll(), 0);
}

#[test]
fn a_failure_of_the_sign_in_is_the_failure_of_the_step() {
    let mut run = next(&first(json!({})).snapshot, millis(6_000), 9);
    run.poll();
    run.answer(400, r#"{"error":"access_denied"}"#);
    assert!(matches!(run.failure(), Failure::Denied(_)));

    let mut run = next(&first(json!({})).snapshot, millis(900_000), 9);
    assert!(matches!(run.failure(), Failure::Expired(_)));

    let mut run = started(DeviceFlow::new(client(), [7; 32]));
    run.machine.cancel();
    assert!(matches!(run.machine.next_action(Timestamp::MAX), Action::Done(Err(Failure::Cancelled))));
}

// There is nothing to store yet, so the step itself waits, for seconds.
#[test]
fn the_step_that_gets_the_code_tries_again_by_itself() {
    let mut run = started(DeviceFlow::new(client(), [7; 32]));
    run.fail(TransportErrorKind::Connect);
    assert!(run.go());
    assert_eq!(
        run.waits,
        [(
            START + SECOND,
            WaitReason::Backoff { cause: device_flow_core::Cause::Transport(TransportErrorKind::Connect), attempt: 1 }
        )]
    );
    run.answer(200, &device_answer(json!({})));
    assert!(waiting(&mut run).prompt.is_some());
}

#[test]
fn a_foreign_ticket_is_refused_and_changes_nothing() {
    let mut run = started(DeviceFlow::new(client(), [7; 32]));
    let mut other = started(DeviceFlow::new(client(), [8; 32]));
    let error = TransportError::new(TransportErrorKind::Timeout);
    let misuse = run.machine.transport_failed(other.take_ticket(), error, Timestamp::MAX);
    assert!(matches!(misuse, Err(Misuse::NotOutstanding(_))));
    assert!(matches!(run.machine.next_action(Timestamp::from_millis(START)), Action::AwaitResponse));
    run.answer(200, &device_answer(json!({})));
    waiting(&mut run);
}

#[test]
fn a_code_is_shown_again_when_that_is_asked_for() {
    let Waiting { snapshot, wait, prompt, .. } = first(json!({}));
    let resume = |snapshot: &Snapshot, away| {
        Step::resume(client(), stored(snapshot), away, Timestamp::from_millis(START)).unwrap().show_again()
    };
    let shown = waiting(&mut run_at(resume(&snapshot, Away::exactly(Duration::ZERO)), START));
    assert_eq!(shown.prompt, prompt);
    // And not again after that.
    assert_eq!(waiting(&mut next(&shown.snapshot, Duration::ZERO, START)).prompt, None);
    // A poll that is due comes after it.
    let shown = waiting(&mut run_at(resume(&snapshot, Away::exactly(millis(wait))), START));
    let expires_at = shown.prompt.unwrap().expires_at();
    assert_eq!((shown.wait, shown.reason), (0, WaitReason::Interval));
    assert_eq!(expires_at, Timestamp::from_millis(START + 900_000 - wait));
    let mut run = next(&shown.snapshot, Duration::ZERO, START);
    assert_eq!((run.poll(), run.machine.flow().trail().polls()), (0, 1));
    // What is not stored cannot be shown.
    let without = snapshot.without_prompt();
    assert_eq!(waiting(&mut run_at(resume(&without, Away::exactly(Duration::ZERO)), START)).prompt, None);
}

// As a fleet that is drained stores one.
#[test]
fn a_code_that_was_never_shown_is_shown_without_being_asked_for() {
    let run = Run::granted(json!({}));
    let unseen = run.machine.snapshot(Timestamp::from_millis(START)).unwrap();
    let mut step = next(&unseen, Duration::ZERO, START);
    let shown = waiting(&mut step);
    assert_eq!(shown.prompt, run.machine.prompt());
    assert_eq!(waiting(&mut next(&shown.snapshot, Duration::ZERO, START)).prompt, None);
}

#[test]
fn a_snapshot_says_when_to_come_back_and_what_to_show() {
    let change = json!({
        "verification_uri_complete": "https://as/x?c=1", "message": "hello", "verification_url": "https://as/other"
    });
    let mut run = Run::granted(change);
    let Action::ShowCode(prompt) = run.machine.next_action(Timestamp::from_millis(START)) else { panic!() };
    let Action::Wait { until, .. } = run.machine.next_action(Timestamp::from_millis(START)) else { panic!() };
    let snapshot = stored(&run.machine.snapshot(Timestamp::from_millis(START + 300)).unwrap());
    assert_eq!(snapshot.poll_in(), millis(until.as_millis() - START - 300));
    assert_eq!(snapshot.expires_in(), millis(899_700));
    let shown = snapshot.prompt().unwrap();
    assert_eq!((shown.user_code(), shown.message()), (prompt.user_code(), prompt.message()));
    assert_eq!(shown.verification_uri_complete(), prompt.verification_uri_complete());
    assert!(shown.warnings().eq(prompt.warnings()) && shown.warnings().count() == 1);
    assert_eq!((shown.interval(), shown.expires_in(Timestamp::ZERO)), (prompt.interval(), snapshot.expires_in()));

    let compact = stored(&snapshot.clone().without_prompt());
    assert_eq!(compact.prompt(), None);
    assert_eq!((compact.poll_in(), compact.expires_in()), (snapshot.poll_in(), snapshot.expires_in()));
    // Nothing of it is left.
    let mut bare = serde_json::to_value(&snapshot).unwrap();
    for name in ["user_code", "verification_uri"] {
        bare["v1"].as_object_mut().unwrap().remove(name);
    }
    (bare["v1"]["verification_uri_complete"], bare["v1"]["message"]) = (Value::Null, Value::Null);
    bare["v1"]["warnings"] = json!(0);
    assert_eq!(serde_json::to_value(&compact).unwrap(), bare);

    // What must not be shown is not handed out, wherever it comes from.
    let mut damaged = serde_json::to_value(&snapshot).unwrap();
    damaged["v1"]["user_code"] = json!("\u{1b}[2J");
    assert_eq!(serde_json::from_value::<Snapshot>(damaged).unwrap().prompt(), None);
    // A client of the demo may have it shown.
    let mut local = serde_json::to_value(&snapshot).unwrap();
    local["v1"]["verification_uri"] = json!("http://127.0.0.1:9/x");
    assert!(serde_json::from_value::<Snapshot>(local).unwrap().prompt().is_some());
}

// Rule 8: the poll in flight was the last one, so the wait after it is longer than the life of the code.
#[test]
fn a_snapshot_says_when_the_code_expires_whatever_the_wait() {
    let mut run = Run::granted(json!({"expires_in": 8}));
    run.poll();
    let snapshot = run.machine.snapshot(Timestamp::from_millis(run.now)).unwrap();
    assert_eq!(snapshot.expires_in(), millis(8 * SECOND - (run.now - START)));
    assert!(snapshot.poll_in() > snapshot.expires_in());
}

#[test]
fn time_away_has_two_bounds() {
    let (one, two) = (millis(1), millis(2));
    for away in [Away::between(one, two), Away::between(two, one)] {
        assert_eq!((away.at_least(), away.at_most()), (one, two));
    }
    for away in [Away::exactly(two), Away::from(two), two.into()] {
        assert_eq!((away.at_least(), away.at_most()), (two, two));
    }
}

// Rules 2 and 8: the poll counts with the lower bound, the life of the code with the upper one.
#[test]
fn rule_08_a_flow_that_was_away_for_an_unsure_time_expires_sooner_and_polls_later() {
    let Waiting { snapshot, wait, .. } = first(json!({}));
    let resume = |away| DeviceFlow::resume(client(), stored(&snapshot), away, Timestamp::from_millis(9)).unwrap();
    let mut run = run_at(resume(Away::between(millis(2_000), millis(60_000))), 9);
    assert_eq!(run.poll(), wait - 2_000);
    assert_eq!(run.prompts[0].expires_at(), Timestamp::from_millis(9 + 900_000 - 60_000));
    // A fraction of a millisecond is on the safe side, too.
    let fraction = Duration::from_micros(1_500);
    let mut run = run_at(resume(Away::exactly(fraction)), 9);
    assert_eq!(run.poll(), wait - 1);
    assert_eq!(run.prompts[0].expires_at(), Timestamp::from_millis(9 + 900_000 - 2));
    // No poll fits in between.
    let mut run = run_at(resume(Away::between(Duration::ZERO, millis(899_000))), 9);
    assert!(matches!(run.failure(), Failure::Expired(_)));
    assert!(run.requests.is_empty() && run.prompts.is_empty() && run.now == 9);
    let mut run = run_at(resume(Away::between(Duration::ZERO, millis(900_000 - wait - 1))), 9);
    assert_eq!(run.poll(), wait);
}

// The poll may have ended only now, so the wait begins now, whatever was left of it, and is longer (rule 5).
#[test]
fn rule_05_after_a_lost_poll_the_wait_begins_again() {
    let Waiting { snapshot, wait, .. } = first(json!({}));
    let lost = stored(&snapshot.after_lost_poll());
    assert_eq!((lost.poll_in(), lost.expires_in()), (Duration::ZERO, millis(900_000)));
    for away in [Duration::ZERO, millis(wait), millis(60_000)] {
        let mut run = next(&lost, away, 9);
        let Waiting { snapshot, wait, reason, prompt } = waiting(&mut run);
        assert!((10_000..=10_500).contains(&wait), "{wait}");
        let cause = device_flow_core::Cause::Transport(TransportErrorKind::Abandoned);
        assert_eq!((reason, prompt), (WaitReason::Backoff { cause, attempt: 1 }, None));
        assert_eq!(snapshot.expires_in(), millis(900_000) - away);
        let flow = DeviceFlow::resume(client(), stored(&snapshot), Duration::ZERO, Timestamp::ZERO).unwrap();
        let trail = flow.trail();
        assert_eq!((trail.polls(), trail.failures(), trail.poll_lost()), (1, 1, true));
        assert_eq!(trail.last_error().unwrap().cause(), cause);
        // Lost once, and lost once more: the waits grow.
        let mut again = next(&stored(&snapshot.after_lost_poll()), millis(wait), 9);
        let Waiting { wait, reason, .. } = waiting(&mut again);
        assert!((20_000..=20_500).contains(&wait), "{wait}");
        assert_eq!(reason, WaitReason::Backoff { cause, attempt: 2 });
    }
    let shown = Step::resume(client(), stored(&lost), Duration::ZERO, Timestamp::ZERO).unwrap().show_again();
    let shown = waiting(&mut run_at(shown, 0));
    assert!(shown.prompt.is_some() && matches!(shown.reason, WaitReason::Backoff { attempt: 1, .. }));
    // The first wait after it is a wait: the same flow stored again does not begin another.
    let again = waiting(&mut next(&lost, Duration::ZERO, 9));
    assert_eq!(waiting(&mut next(&again.snapshot, millis(1_000), 9)).wait, again.wait - 1_000);
    // No poll is left.
    for away in [millis(895_000), millis(900_000), Duration::MAX] {
        let Failure::Expired(expired) = next(&lost, away, 9).failure() else { panic!() };
        assert!(expired.trail.poll_lost());
    }
}

// A snapshot of version 0.1.0 has none of these, and nobody writes them so.
#[test]
fn a_wait_that_begins_again_has_no_rest() {
    let Waiting { snapshot, .. } = first(json!({}));
    let mut value = serde_json::to_value(snapshot.after_lost_poll()).unwrap();
    value["v1"]["schedule"]["poll_in_ms"] = json!(1);
    let snapshot = serde_json::from_value(value).unwrap();
    let error = Step::resume(client(), snapshot, Duration::ZERO, Timestamp::ZERO).unwrap_err();
    assert_eq!(error, SnapshotError::Damaged("times"));
}

// A process has died between redemption and storing: the token is lost, and the failure says so.
#[test]
fn rule_10_a_failure_says_that_a_poll_was_lost() {
    const GONE: &str = r#"{"error":"invalid_grant","error_description":"gone"}"#;
    let Waiting { snapshot, wait, .. } = first(json!({}));
    // Nothing was lost.
    let mut run = next(&snapshot, millis(wait), 9);
    run.poll();
    run.answer(400, GONE);
    let failure = run.failure();
    assert!(matches!(&failure, Failure::Rejected(error) if error.advice().unwrap().contains("no longer knows")));
    assert!(!failure.a_poll_was_lost() && !failure.to_string().contains("never seen"), "{failure}");

    // A poll was sent in the step before, which was not confirmed.
    let before = snapshot.after_lost_poll();
    // A flow in whose flight its process died.
    let mut dying = Run::granted(json!({}));
    dying.poll();
    let during = dying.machine.snapshot(Timestamp::from_millis(dying.now)).unwrap();
    // A driver that has given a request up.
    dying.fail(TransportErrorKind::Abandoned);
    let after = dying.machine.snapshot(Timestamp::from_millis(dying.now)).unwrap();
    for (code, says_so) in [("invalid_grant", true), ("bad_verification_code", true), ("invalid_client", false)] {
        for snapshot in [&before, &during, &after] {
            let step = waiting(&mut next(snapshot, Duration::ZERO, 9));
            let mut run = next(&step.snapshot, millis(step.wait), 9);
            run.poll();
            run.answer(400, &json!({"error": code, "error_description": "gone"}).to_string());
            let failure = run.failure();
            assert_eq!(failure.a_poll_was_lost(), says_so, "{failure}");
            assert_eq!(failure.to_string().contains("may have held the token"), says_so, "{failure}");
            let Failure::Rejected(error) = &failure else { panic!("{failure}") };
            assert_eq!((error.code(), error.description()), (code, Some("gone")));
        }
    }
    // The code has expired by then: nobody knows which it was.
    let step = waiting(&mut next(&before, Duration::ZERO, 9));
    let failure = next(&step.snapshot, millis(900_000), 9).failure();
    assert!(failure.a_poll_was_lost() && matches!(failure, Failure::Expired(_)));
    let Failure::Expired(expired) = next(&first(json!({})).snapshot, millis(900_000), 9).failure() else { panic!() };
    assert!(!expired.trail.poll_lost() && !Failure::Expired(expired).a_poll_was_lost());
    // What was lost stays lost, whatever comes after it.
    for kind in [TransportErrorKind::Abandoned, TransportErrorKind::Timeout] {
        dying.poll();
        dying.fail(kind);
        assert!(dying.machine.trail().poll_lost());
    }
    // The request may have arrived, or cannot have been sent.
    use TransportErrorKind::{Abandoned, Closed, Connect, Dns, InvalidHttp, Other, Proxy, Timeout, Tls};
    for (kinds, lost) in
        [(&[Abandoned, Timeout, Closed, InvalidHttp, Other][..], true), (&[Dns, Connect, Tls, Proxy], false)]
    {
        for kind in kinds {
            let mut other = Run::granted(json!({}));
            other.poll();
            other.fail(*kind);
            assert_eq!(other.machine.trail().poll_lost(), lost, "{kind:?}");
            other.poll();
            other.answer(400, GONE);
            assert_eq!(other.failure().a_poll_was_lost(), lost, "{kind:?}");
        }
    }
    // Another answer than the expected one is an answer.
    let mut other = Run::granted(json!({}));
    other.poll();
    other.answer(503, "");
    assert!(!other.machine.trail().poll_lost());
    assert!(
        ![Failure::Cancelled, Failure::Transport(TransportError::new(TransportErrorKind::Dns))]
            .iter()
            .any(Failure::a_poll_was_lost)
    );
}

// What an expired sign-in says of itself is the same, however often it was stored.
#[test]
fn the_last_error_comes_along() {
    let mut run = Run::granted(json!({}));
    run.poll();
    run.respond(device_flow_core::Response::new(502, b"<html>Bad Gateway"));
    let snapshot = run.machine.snapshot(Timestamp::from_millis(run.now)).unwrap();
    let flow = DeviceFlow::resume(client(), stored(&snapshot), Duration::ZERO, Timestamp::ZERO).unwrap();
    assert_eq!(flow.trail(), run.machine.trail());
    assert!(flow.trail().last_error().is_some());

    // Without any trouble it has no memory for that.
    let flow = DeviceFlow::resume(client(), first(json!({})).snapshot, Duration::ZERO, Timestamp::ZERO).unwrap();
    assert_eq!(flow.trail(), &device_flow_core::Trail::default());

    let mut damaged = serde_json::to_value(&snapshot).unwrap();
    damaged["v1"]["last_error"]["detail"] = json!("\u{1b}[2J");
    let damaged = serde_json::from_value(damaged).unwrap();
    let error = DeviceFlow::resume(client(), damaged, Duration::ZERO, Timestamp::ZERO).err();
    assert_eq!(error, Some(SnapshotError::Damaged("last error")));
}

// As version 0.1.0 wrote it.
#[test]
fn a_snapshot_of_the_first_version_loads() {
    let former = r#"{"v1":{"client_id":"my-app","token_endpoint":"https://as/token","tail":"d","user_code":"WDJB-MJHT","verification_uri":"https://as/x","verification_uri_complete":null,"message":null,"warnings":0,"schedule":{"expires_in_ms":895000,"poll_in_ms":5400,"interval":5,"jitter":7,"failures_in_row":1,"slow_downs_in_row":0,"pages_in_row":0},"polls":1,"slow_downs":0,"failures":1}}"#;
    let snapshot: Snapshot = serde_json::from_str(former).unwrap();
    assert_eq!((snapshot.poll_in(), snapshot.expires_in()), (millis(5_400), millis(895_000)));
    // It comes back as it was, and its code counts as shown.
    assert_eq!(serde_json::to_string(&snapshot).unwrap(), former);
    let Waiting { wait, prompt, .. } = waiting(&mut next(&snapshot, millis(400), 9));
    assert_eq!((wait, prompt), (5_000, None));
}
