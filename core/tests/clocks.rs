//! Wrong clocks: the server's date, a device that sleeps, a clock that runs faster or slower than the server's.

use crate::support::*;
use device_flow_core::{Action, DeviceFlow, Machine, Response, Timestamp, TransportError, TransportErrorKind};
use proptest::prelude::*;
use serde_json::json;

const NOW: &str = "Sun, 22 Nov 2026 20:00:31 GMT";

/// A sign-in in which every answer has this date and this delay: when each request was sent, and the deadline.
fn dated(date: Option<&str>, retry_after: &str) -> (Vec<u64>, Timestamp) {
    let mut run = Run::new(builder().build().unwrap());
    run.go();
    let device = device_answer(json!({}));
    for (status, body) in
        [(200, &*device), (400, PENDING), (400, SLOW_DOWN), (503, "busy"), (400, PENDING), (200, TOKEN)]
    {
        run.go();
        let response = Response::new(status, body.as_bytes()).header("Retry-After", retry_after.as_bytes());
        run.respond(date.iter().fold(response, |response, date| response.header("Date", date.as_bytes())));
    }
    token(run.outcome());
    (run.requests.iter().map(|sent| sent.at).collect(), run.prompts[0].expires_at())
}

// C19, D05: the server's date is not used as a clock; it only measures a delay that the same answer gives as a date.
#[test]
fn c19_a_date_ten_years_off_changes_nothing() {
    for retry_after in ["", "2", "30"] {
        let right = dated(Some(NOW), retry_after);
        for wrong in ["Tue, 22 Nov 2016 20:00:31 GMT", "Sat, 22 Nov 2036 20:00:31 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"]
        {
            assert_eq!(dated(Some(wrong), retry_after), right, "{wrong}");
        }
        assert_eq!(dated(None, retry_after), right);
        assert_eq!(right.1, Timestamp::from_millis(START + 900_000));
    }
    // Forty seconds are forty seconds in any decade.
    let years =
        [(NOW, "Sun, 22 Nov 2026 20:01:11 GMT"), ("Tue, 22 Nov 2016 20:00:31 GMT", "Tue, 22 Nov 2016 20:01:11 GMT")];
    for (date, later) in years {
        let (sent, _) = dated(Some(date), later);
        assert!((40_000..=40_500).contains(&(sent[2] - sent[1])), "{date}: {sent:?}");
    }
}

/// A flow that has polled once and sleeps: three seconds of its interval have passed.
fn asleep() -> Run<DeviceFlow> {
    let mut run = Run::granted(json!({}));
    run.script(&[(400, PENDING)]);
    run.now += 3_000;
    run
}

// D03: the clock stood for the hour, so the flow cannot know of it: it waits for the rest of its interval, polls once,
// and the server decides.
#[test]
fn d03_after_a_sleep_with_the_clock_stopped_one_poll_comes_and_the_server_decides() {
    let mut run = asleep();
    let woken = run.now;
    run.poll();
    let rest = run.now - woken;
    assert!((2_000..=2_500).contains(&rest), "the rest of the interval, not {rest} ms");
    run.answer(400, r#"{"error":"expired_token"}"#);
    let end = expired(run.failure());
    assert_eq!((end.error.unwrap().code(), end.trail.polls()), ("expired_token", 2));

    // A code that outlives the hour goes on as before: no burst, no back-off.
    let mut run = asleep();
    run.poll();
    run.answer(400, PENDING);
    assert_gap(run.poll(), 5, 5);
    run.answer(200, TOKEN);
    token(run.outcome());
}

// D04: the clock ran on for the hour: an expired code is not polled, and one that is alive is polled once.
#[test]
fn d04_after_a_sleep_with_the_clock_running_an_expired_code_ends_and_a_valid_one_is_polled_once() {
    let mut run = asleep();
    run.now += 3_600_000;
    let woken = run.now;
    let end = expired(run.failure());
    assert_eq!((end.error, run.requests.len(), run.now), (None, 2, woken));

    let mut run = Run::granted(json!({"expires_in": 7_200}));
    run.script(&[(400, PENDING)]);
    run.now += 3_600_000;
    let woken = run.now;
    run.poll();
    assert_eq!(run.now, woken);
    run.answer(400, PENDING);
    assert_gap(run.poll(), 5, 5);
}

/// A server that adds five seconds to its own interval with every early poll and looks at nothing else then (GitHub),
/// beside a clock that is `percent` of its own. Approved after `approved` seconds; how many polls were early, and when
/// the token came, in the server's seconds.
fn beside_a_strict_server(percent: u64, interval: u64, approved: u64) -> (u32, u64) {
    let mut run = Run::granted(json!({"interval": interval, "expires_in": 3_600}));
    let (mut interval, mut last) = (interval * 1_000, 0);
    loop {
        run.poll();
        let now = (run.now - START) * 100 / percent;
        let early = now - last < interval;
        last = now;
        if early {
            interval += 5_000;
            run.answer(400, SLOW_DOWN);
        } else if now < approved * 1000 {
            run.answer(400, PENDING);
        } else {
            run.answer(200, TOKEN);
            token(run.outcome());
            return (run.machine.trail().slow_downs(), now / 1000);
        }
    }
}

// D02, B05, rule 13: a clock that runs slow or right is never early; one that runs fast is slowed down and still gets
// its token within the life of the code.
#[test]
fn d02_clocks_from_seven_tenths_to_thirteen_tenths_get_their_token() {
    for percent in [70, 80, 90, 100] {
        let (early, came) = beside_a_strict_server(percent, 5, 60);
        assert_eq!(early, 0, "{percent} %");
        assert!((60..=68).contains(&came), "{percent} %: after {came} s");
    }
    for percent in [115, 120, 125, 130] {
        let (early, came) = beside_a_strict_server(percent, 5, 60);
        assert!((1..=6).contains(&early), "{percent} %: {early} early polls");
        assert!((60..=160).contains(&came), "{percent} %: after {came} s");
    }
}

proptest! {
    // D02, rules 11 and 13 (cli/cli#9370, cli/oauth#108): the same for every such clock, interval and moment of
    // approval.
    #[test]
    fn d02_a_strict_server_is_satisfied_whatever_the_clock(percent in 70..=130_u64, interval in 1..=10_u64, approved in 0..=300_u64) {
        let (early, came) = beside_a_strict_server(percent, interval, approved);
        prop_assert!(came >= approved && (percent > 100 || early == 0), "{early} early polls, after {came} s");
    }
}

/// Small, huge, and everything between.
fn anything() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, 0..10_000_000_u64, any::<u64>(), (0..100_000_u64).prop_map(|before| u64::MAX - before)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    // D01, D07, G04: whatever the clock and the server's numbers are, over all of u64: no panic, every wait in the
    // future and none beyond the deadline, no poll before the wait is over.
    #[test]
    fn d01_no_number_and_no_time_breaks_the_arithmetic(
        interval in anything(), lifetime in anything(), hint in anything(), delay in anything(),
        times in prop::collection::vec(anything(), 1..12),
    ) {
        let mut flow = DeviceFlow::new(builder().build().unwrap(), [5; 32]);
        let device = device_answer(json!({"interval": interval, "expires_in": lifetime}));
        let slow_down = json!({"error": "slow_down", "interval": hint}).to_string();
        let (delay, mut latest, mut due, mut deadline) = (delay.to_string(), 0, 0, None);
        for (turn, now) in times.into_iter().enumerate() {
            latest = latest.max(now);
            match flow.next_action(Timestamp::from_millis(now)) {
                Action::SendRequest(outgoing) => {
                    prop_assert!(latest >= due, "asked at {latest}, due at {due}");
                    let at = Timestamp::from_millis(now);
                    let answer = if deadline.is_none() { &device } else { &slow_down };
                    let response = Response::new(200, answer.as_bytes()).header("Retry-After", delay.as_bytes());
                    if turn % 3 == 2 {
                        let error = TransportError::new(TransportErrorKind::Closed);
                        flow.transport_failed(outgoing.ticket, error, at).unwrap();
                    } else {
                        flow.response(outgoing.ticket, response, at).unwrap();
                    }
                    if let Some(prompt) = flow.prompt() {
                        deadline = Some(prompt.expires_at().as_millis());
                    }
                }
                Action::Wait { until, .. } => {
                    prop_assert!(until.as_millis() > latest);
                    prop_assert!(deadline.is_none_or(|deadline| until.as_millis() < deadline));
                    due = until.as_millis();
                }
                Action::ShowCode(_) | Action::AwaitResponse | Action::Done(_) | Action::Ended => {}
            }
        }
    }
}
