//! Rules 1 to 9 of docs/polling-law.md in virtual time: when to poll and when to stop; and the cases B, D and P about
//! them.

use crate::support::*;
use device_flow_core::{
    Cause, DeviceFlow, Failure, Machine, ProtocolFault, Response, Timestamp, TransportErrorKind, WaitReason,
};
use serde_json::json;

const HTML: &str = "<html><body>Please log in to the hotel network</body></html>";

// Rule 1. P09, R8628-3.4-5: the prompt comes first, then a whole interval, then the first poll.
#[test]
fn rule_01_first_poll_comes_one_interval_after_the_code() {
    let mut run = Run::granted(json!({}));
    assert_gap(run.poll(), 5, 5);
    assert_eq!(run.prompts.len(), 1);
    assert_eq!(run.requests.len(), 2);
    assert!(matches!(run.waits[0].1, WaitReason::Interval));
}

// Rule 2. D08, D02, R8628-3.5-4: a slow answer does not eat into the next wait.
#[test]
fn rule_02_the_interval_counts_from_the_answer() {
    let mut run = Run::granted(json!({}));
    run.poll();
    run.now += 30_000;
    run.answer(400, PENDING);
    assert_gap(run.poll(), 5, 5);
}

// Rule 2. D14: after twenty seconds without a chance to run there is no burst of polls.
#[test]
fn rule_02_a_late_wake_up_is_not_caught_up() {
    let mut run = Run::granted(json!({}));
    run.now += 20_000;
    run.poll();
    run.answer(400, PENDING);
    assert_gap(run.poll(), 5, 5);
}

// Rule 3. A28, P19, P20, P34, P39, P41, R8628-3.2-7, R8628-3.2-8.
#[test]
fn rule_03_intervals_as_servers_write_them() {
    for (sent, seconds) in [
        (json!({"interval": null}), 5),
        (json!({"interval": 0}), 5),
        (json!({"interval": 1}), 1),
        (json!({"interval": "5"}), 5),
        (json!({"interval": " 5 "}), 5),
        (json!({"interval": 5.0}), 5),
        (json!({"interval": 5.5}), 6),
        (json!({"interval": 0.2}), 1),
        (json!({"interval": "0"}), 5),
        (json!({"interval": 9}), 9),
        (json!({"interval": 899}), 899),
    ] {
        let mut run = Run::granted(sent.clone());
        let gap = run.poll();
        assert!(gap >= seconds * 1000 && gap <= seconds * 1100, "{sent}: {gap} ms");
    }
    for raw in ["5e0", "50e-1", "-0", "null"] {
        let body = device_answer(json!({"interval": "RAW"})).replace("\"RAW\"", raw);
        assert_gap(Run::with_answer(200, &body).poll(), 5, 5);
    }
}

// Rule 3. A29, P11.
#[test]
fn rule_03_an_interval_that_is_no_positive_number_is_a_protocol_error() {
    for bad in [
        json!(-1),
        json!("abc"),
        json!(true),
        json!([]),
        json!({}),
        json!("0x10"),
        json!("5s"),
        json!("inf"),
        json!("NaN"),
        json!(""),
    ] {
        let failure = Run::granted(json!({"interval": bad})).failure();
        let Failure::Protocol(error) = failure else { panic!("{failure}") };
        assert_eq!(error.fault, ProtocolFault::Invalid("interval"), "{bad}");
    }
}

// Rule 3. A30, P03.
#[test]
fn rule_03_an_interval_not_shorter_than_the_lifetime_is_a_protocol_error_at_once() {
    for raw in ["900", "901", "9223372037", "18446744073709551615", "18446744073709551616", "1e400", "899.5"] {
        let body = device_answer(json!({"interval": "RAW"})).replace("\"RAW\"", raw);
        let mut run = Run::with_answer(200, &body);
        let failure = run.failure();
        assert!(
            matches!(&failure, Failure::Protocol(error) if error.fault == ProtocolFault::IntervalTooLong),
            "{raw}: {failure}"
        );
        assert_eq!(run.now, START, "no sleep");
    }
    assert!(Run::granted(json!({"interval": 899})).go());
}

// Rule 4. B03, P02, P21, P42, R8628-3.5-5, R8628-3.5-6.
#[test]
fn rule_04_slow_down_adds_five_seconds_for_good() {
    let mut run = Run::granted(json!({}));
    let gaps =
        run.script(&[(400, SLOW_DOWN), (400, PENDING), (400, SLOW_DOWN), (400, PENDING), (400, PENDING), (200, TOKEN)]);
    for (gap, seconds) in gaps.into_iter().zip([5, 10, 10, 15, 15, 15]) {
        assert_gap(gap, seconds, seconds);
    }
    token(run.outcome());
    assert!(matches!(run.waits[1].1, WaitReason::SlowDown { interval: 10 }));
}

// Rule 4. B03, P21: the server's own number can only raise.
#[test]
fn rule_04_a_hint_in_slow_down_can_only_raise() {
    for (hint, seconds) in [
        (json!(25), 25),
        (json!("25"), 25),
        (json!(10), 10),
        (json!(1), 10),
        (json!(0), 10),
        (json!(-3), 10),
        (json!("x"), 10),
        (json!(null), 10),
        (json!([9]), 10),
        (json!(10.2), 11),
    ] {
        let mut run = Run::granted(json!({}));
        let body = json!({"error": "slow_down", "interval": hint}).to_string();
        let gaps = run.script(&[(200, &body), (400, PENDING), (400, PENDING)]);
        assert_gap(gaps[1], seconds, seconds);
        assert_gap(gaps[2], seconds, seconds);
    }
}

// Rule 4, rule 8. B03: a hint beyond the deadline ends the flow now, not after a useless wait.
#[test]
fn rule_04_a_huge_hint_ends_as_expired() {
    let mut run = Run::granted(json!({}));
    run.script(&[(400, r#"{"error":"slow_down","interval":18446744073709551615}"#)]);
    let at = run.now;
    let end = expired(run.failure());
    assert_eq!((end.trail.polls(), end.trail.slow_downs(), run.now), (1, 1, at));
}

// Rule 5. B10, C01, P01, P18, P24, P29, P32, R8628-3.5-13, R8628-3.5-14: doubled, capped, and over with the first real
// answer.
#[test]
fn rule_05_failures_double_the_wait_up_to_a_cap_and_a_real_answer_ends_that() {
    let mut run = Run::granted(json!({}));
    assert_gap(run.poll(), 5, 5);
    for seconds in [10, 20, 40, 60, 60] {
        run.fail(TransportErrorKind::Timeout);
        assert_gap(run.poll(), seconds, 5);
    }
    run.answer(400, PENDING);
    assert_gap(run.poll(), 5, 5);
    for (status, body) in [
        (500, r#"{"message":"internal"}"#),
        (502, ""),
        (503, "busy"),
        (504, HTML),
        (408, ""),
        (429, "slow"),
        (599, "[]"),
    ] {
        run.answer(status, body);
        assert_gap(run.poll(), 10, 5);
        assert!(
            matches!(run.waits.last().unwrap().1, WaitReason::Backoff { cause: Cause::Status(s), attempt: 1 } if s == status)
        );
        run.answer(400, PENDING);
        assert_gap(run.poll(), 5, 5);
    }
    assert_eq!(run.machine.trail().failures(), 12);
}

// Rule 5. P01, P02: a cap never undercuts the interval (oauth2-rs sleeps 10 s after a server asked for 15 or 30).
#[test]
fn rule_05_the_cap_is_never_below_twice_the_interval() {
    let mut run = Run::granted(json!({"interval": 100}));
    assert_gap(run.poll(), 100, 100);
    for _ in 0..3 {
        run.fail(TransportErrorKind::Closed);
        assert_gap(run.poll(), 200, 100);
    }
}

// Rule 5. P33: an outage of any length before the deadline is survived.
#[test]
fn rule_05_a_long_outage_does_not_kill_the_flow() {
    let mut run = Run::granted(json!({}));
    for _ in 0..12 {
        run.poll();
        run.fail(TransportErrorKind::Connect);
    }
    run.poll();
    run.answer(200, TOKEN);
    token(run.outcome());
}

// Rule 5. B11, P35: a captive portal's page is survived three times in a row, the fourth ends the flow.
#[test]
fn rule_05_three_pages_in_a_row_are_survived_the_fourth_is_not() {
    for (status, page) in [(200, HTML), (400, HTML), (403, "Forbidden"), (200, ""), (400, ""), (200, "{\"access_tok")] {
        let mut run = Run::granted(json!({}));
        run.script(&[
            (status, page),
            (status, page),
            (status, page),
            (400, PENDING),
            (status, page),
            (status, page),
            (status, page),
        ]);
        assert!(run.go());
        run.answer(status, page);
        let failure = run.failure();
        assert!(matches!(failure, Failure::Protocol(_)), "{failure}");
        assert_eq!(run.machine.trail().failures(), 6);
    }
}

// Rule 5. B12: an empty object once; B14 stays final.
#[test]
fn rule_05_an_empty_object_is_survived_once() {
    let mut run = Run::granted(json!({}));
    run.script(&[(200, "{}"), (400, PENDING), (200, "{}"), (200, "{}")]);
    let failure = run.failure();
    assert!(matches!(&failure, Failure::Protocol(e) if e.fault == ProtocolFault::Missing("access_token")), "{failure}");
    let mut run = Run::granted(json!({}));
    run.script(&[(204, "")]);
    assert!(matches!(run.failure(), Failure::Protocol(e) if e.fault == ProtocolFault::Empty(204)));
}

fn answered_with_header(body: &str, status: u16, headers: &[(&str, &str)]) -> Run<DeviceFlow> {
    let mut run = Run::granted(json!({}));
    run.poll();
    let response = headers.iter().fold(Response::new(status, body.as_bytes()), |r, (n, v)| r.header(n, v.as_bytes()));
    run.respond(response);
    run
}

// Rule 6. P23, P24, R9110-10.2.3-1, R9110-10.2.3-2, R9110-10.2.3-3, R9110-5.6.7-1, R9110-5.6.7-2, RFC 9110 §15.6.4, RFC
// 6585 §4.
#[test]
fn rule_06_retry_after_can_only_lengthen() {
    let date = ("Date", "Wed, 21 Oct 2015 07:28:00 GMT");
    for (status, body, value, seconds) in [
        (429, "", "2", 10),
        (429, "", "30", 30),
        (503, "", "30", 30),
        (400, PENDING, "30", 30),
        (400, PENDING, "4", 5),
        (400, PENDING, "-30", 5),
        (400, PENDING, "30.5", 5),
        (400, PENDING, "", 5),
        (400, PENDING, "soon", 5),
        (400, PENDING, "Wed, 21 Oct 2015 07:28:40 GMT", 40),
        (400, PENDING, "Wednesday, 21-Oct-15 07:28:40 GMT", 40),
        (400, PENDING, "Wed Oct 21 07:28:40 2015", 40),
        (400, PENDING, "Wed, 21 Oct 2015 07:27:00 GMT", 5),
        // 1966, since 2066 is more than 50 years ahead.
        (400, PENDING, "Wednesday, 21-Oct-66 07:28:40 GMT", 5),
        (400, PENDING, "Wed, 99 Oct 2015 07:28:40 GMT", 5),
        (400, PENDING, "Wed, 21 Oct 2015 07:28:40", 5),
        (400, PENDING, "Wed, 21 Foo 2015 07:28:40 GMT", 5),
    ] {
        let gap = answered_with_header(body, status, &[("retry-AFTER", value), date]).poll();
        assert!(gap >= seconds * 1000 && gap <= seconds * 1000 + 500, "{value}: {gap} ms instead of {seconds} s");
    }
    // The reason is the delay only where it is what lengthens the wait.
    for (value, named) in [("5", false), ("6", true)] {
        let mut run = answered_with_header(PENDING, 400, &[("Retry-After", value)]);
        run.poll();
        assert_eq!(matches!(run.waits.last().unwrap().1, WaitReason::RetryAfter), named, "{value}");
    }
    // A date without a Date to measure it by is no delay: the core has no clock.
    let mut run = answered_with_header(PENDING, 400, &[("Retry-After", "Wed, 21 Oct 2065 07:28:40 GMT")]);
    assert_gap(run.poll(), 5, 5);
    // A leap day and the turn of a year.
    let day = [("Retry-After", "Thu, 29 Feb 2024 00:00:10 GMT"), ("Date", "Wed, 28 Feb 2024 23:59:50 GMT")];
    assert_gap(answered_with_header(PENDING, 400, &day).poll(), 20, 5);
    let year = [("Retry-After", "Fri, 01 Jan 2100 00:00:10 GMT"), ("Date", "Thu, 31 Dec 2099 23:59:50 GMT")];
    assert_gap(answered_with_header(PENDING, 400, &year).poll(), 20, 5);
    let march = [("Retry-After", "Mon, 01 Mar 2100 00:00:10 GMT"), ("Date", "Sun, 28 Feb 2100 23:59:50 GMT")];
    assert_gap(answered_with_header(PENDING, 400, &march).poll(), 20, 5);
}

// Rule 6. D09: one poll remains a second before the deadline, never below the interval.
#[test]
fn rule_06_neither_retry_after_nor_back_off_costs_the_last_poll() {
    for value in ["100000", "18446744073709551615", "99999999999999999999999999"] {
        let mut run = answered_with_header("", 503, &[("Retry-After", value)]);
        run.poll();
        assert_eq!(run.now, START + 899_000, "{value}");
        assert!(matches!(run.waits.last().unwrap().1, WaitReason::RetryAfter | WaitReason::Backoff { .. }));
    }
    // 12 s of life: polls at 5 s; the back-off of 10 s is cut to the interval, at the deadline's last second.
    let mut run = Run::granted(json!({"expires_in": 12}));
    run.poll();
    run.fail(TransportErrorKind::Timeout);
    let gap = run.poll();
    assert!(gap >= 5_000 && run.now <= START + 11_000, "{gap} {}", run.now);
    // 11 s of life: the cut would fall below the interval, so the interval decides, while it is before the deadline.
    let mut run = Run::granted(json!({"expires_in": 11}));
    run.poll();
    run.fail(TransportErrorKind::Timeout);
    let gap = run.poll();
    assert!((5_000..=5_500).contains(&gap) && run.now < START + 11_000, "{gap}");
}

// Rule 7. C02.
#[test]
fn rule_07_an_untrusted_certificate_is_final() {
    let mut run = Run::granted(json!({}));
    run.poll();
    run.fail(TransportErrorKind::UntrustedCertificate);
    assert!(matches!(run.failure(), Failure::Transport(e) if e.kind() == TransportErrorKind::UntrustedCertificate));
    let mut run = Run::new(builder().build().unwrap());
    run.go();
    run.fail(TransportErrorKind::UntrustedCertificate);
    assert!(matches!(run.failure(), Failure::Transport(_)));
    assert_eq!(run.requests.len(), 1);
}

// Rule 8. B01, P15, P16, P30, R8628-3.3-3, D09: the server says pending for ever; the flow does not.
#[test]
fn rule_08_the_local_deadline_is_hard() {
    for (lifetime, most) in [(900, 180), (6, 1), (10, 1), (11, 2), (16, 3)] {
        let mut run = Run::granted(json!({"expires_in": lifetime}));
        while run.go() {
            run.answer(400, PENDING);
        }
        let end = expired(run.outcome.take().unwrap().unwrap_err());
        assert!(end.error.is_none());
        assert!(run.now < START + lifetime * 1000, "told before the deadline, not after a useless wait");
        let polls = run.requests.len() as u64 - 1;
        assert_eq!(u64::from(end.trail.polls()), polls);
        assert!(polls <= lifetime / 5 && polls <= most, "{polls} polls in {lifetime} s");
        assert!(polls >= most * 9 / 10, "{polls} polls in {lifetime} s");
        for pair in run.requests[1..].windows(2) {
            assert!(pair[1].at - pair[0].at >= 5_000);
        }
    }
}

// Rule 8: for a transport that lets requests wait for each other.
#[test]
fn rule_08_a_poll_expires_with_its_code_and_the_request_for_a_code_never() {
    use device_flow_core::{Action, DeviceFlow, Machine as _, Response};
    let at = Timestamp::from_millis;
    let mut flow = DeviceFlow::new(builder().build().unwrap(), [7; 32]);
    let Action::SendRequest(first) = flow.next_action(at(START)) else { panic!() };
    assert!(!first.request.is_expired(Timestamp::MAX));
    flow.response(first.ticket, Response::new(200, device_answer(json!({})).as_bytes()), at(START)).unwrap();
    assert!(matches!(flow.next_action(at(START)), Action::ShowCode(_)));
    let Action::SendRequest(poll) = flow.next_action(at(START + 6_000)) else { panic!() };
    assert!(!poll.request.is_expired(at(START + 899_999)) && poll.request.is_expired(at(START + 900_000)));
}

// Rule 8. B01: 179 pending answers, then the token: 180 polls, every gap checked from both sides. (A life of 900 s is
// too short for that, because of the jitter.)
#[test]
fn rule_08_patience_until_the_end() {
    let mut run = Run::granted(json!({"expires_in": 1_000}));
    for poll in 1..=180 {
        assert_gap(run.poll(), 5, 5);
        if poll == 180 { run.answer(200, TOKEN) } else { run.answer(400, PENDING) }
    }
    token(run.outcome());
    assert_eq!(run.requests.len(), 181);
}

// Rule 8. D04, D05, R8628-3.3-3: a wake-up at or after the deadline sends nothing; just before it, it does.
#[test]
fn rule_08_no_request_at_or_after_the_deadline() {
    for (at, sends) in [(899_999, true), (900_000, false), (900_001, false), (u64::MAX - START, false)] {
        let mut run = Run::granted(json!({}));
        assert!(matches!(
            run.machine.next_action(Timestamp::from_millis(run.now)),
            device_flow_core::Action::ShowCode(_)
        ));
        run.now = START + at;
        assert_eq!(run.go(), sends, "{at}");
        if !sends {
            expired(run.outcome.take().unwrap().unwrap_err());
        }
    }
    // An expired code is not even shown.
    let mut run = Run::granted(json!({}));
    run.now = START + 900_000;
    assert!(!run.go());
    assert!(run.prompts.is_empty());
}

// Rule 8. A31, P15, P31, P36: lifetimes as servers write them.
#[test]
fn rule_08_lifetimes_as_servers_write_them() {
    for (raw, seconds) in [
        ("900", 900),
        ("\"900\"", 900),
        ("900.0", 900),
        ("900.9", 900),
        ("18446744073709551615", 86_400),
        ("1e400", 86_400),
        ("9223372036854775807", 86_400),
        ("86400", 86_400),
        ("86401", 86_400),
        ("86399", 86_399),
        ("null", 600),
    ] {
        let body = device_answer(json!({"expires_in": "RAW"})).replace("\"RAW\"", raw);
        let mut run = Run::with_answer(200, &body);
        run.go();
        assert_eq!(run.prompts[0].expires_at(), Timestamp::from_millis(START + seconds * 1000), "{raw}");
        let assumed = run.prompts[0].warnings().any(|w| w == device_flow_core::PromptWarning::LifetimeAssumed);
        assert_eq!(assumed, raw == "null");
    }
    for raw in ["0", "-0", "-1", "0.9", "-1e400", "\"0\""] {
        let body = device_answer(json!({"expires_in": "RAW"})).replace("\"RAW\"", raw);
        let mut run = Run::with_answer(200, &body);
        expired(run.failure());
        assert!(run.prompts.is_empty(), "{raw}");
    }
    // P27.
    for bad in [json!("900s"), json!("abc"), json!(true), json!([900])] {
        assert!(matches!(Run::granted(json!({"expires_in": bad})).failure(), Failure::Protocol(_)), "{bad}");
    }
}

// Rule 8. P30: no time for a poll at the default interval: expired at once.
#[test]
fn rule_08_a_life_too_short_for_a_poll_expires_at_once() {
    for lifetime in [1, 5] {
        let mut run = Run::granted(json!({"expires_in": lifetime, "interval": null}));
        expired(run.failure());
        assert_eq!(run.now, START);
        assert!(run.prompts.is_empty());
    }
    assert!(Run::granted(json!({"expires_in": 6, "interval": null})).go());
}

// Rule 8. B25.
#[test]
fn rule_08_an_answer_after_the_deadline_to_a_poll_before_it_may_bring_the_token() {
    let mut run = Run::granted(json!({}));
    run.poll();
    run.now = START + 930_000;
    assert!(matches!(
        run.machine.next_action(Timestamp::from_millis(run.now)),
        device_flow_core::Action::AwaitResponse
    ));
    run.answer(200, TOKEN);
    token(run.outcome());
    // After a pending answer nothing follows, and an unknown code counts as expired then.
    for body in [PENDING, SLOW_DOWN, r#"{"error":"invalid_grant"}"#] {
        let mut run = Run::granted(json!({}));
        run.poll();
        run.now = START + 930_000;
        run.answer(400, body);
        expired(run.failure());
    }
}

// Rule 9. C20, G02, G03, P13: `Run` asserts it at every step of every test; here, that nothing follows success.
#[test]
fn rule_09_nothing_is_sent_after_success() {
    let mut run = Run::granted(json!({}));
    run.script(&[(200, TOKEN)]);
    token(run.outcome());
    let sent = run.requests.len();
    run.now += 1_000_000;
    assert!(!run.go());
    assert!(matches!(run.machine.next_action(Timestamp::MAX), device_flow_core::Action::Ended));
    assert_eq!(run.requests.len(), sent);
}
