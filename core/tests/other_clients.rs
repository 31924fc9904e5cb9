//! What other clients get wrong, replayed: the answers that broke each of them, the waits that were due, and the right
//! outcome.

use crate::support::*;
use device_flow_core::{DeviceFlow, Failure, ProtocolFault, Response, Timestamp, TransportErrorKind};
use serde_json::{Value, json};

/// An answer to a poll.
#[derive(Clone, Copy)]
enum Is {
    Answer(u16, &'static str),
    /// With the header `Retry-After`.
    After(u16, &'static str, &'static str),
    Broken,
}

use Is::{After, Answer, Broken};

const P: Is = Answer(400, PENDING);
const S: Is = Answer(400, SLOW_DOWN);
const T: Is = Answer(200, TOKEN);
const TOKEN_WITH_QUOTES: &str = r#"{"access_token":"AT-canary","token_type":"bearer","expires_in":"3600"}"#;
const S1: Is = Answer(400, r#"{"error":"slow_down","interval":1}"#);

/// Plays these answers. Every wait must be at least what was due and at most a tenth longer.
#[track_caller]
fn play(case: &str, change: Value, answers: &[Is], waits: &[u64]) -> Run<DeviceFlow> {
    let mut run = Run::granted(change);
    assert_eq!(answers.len(), waits.len(), "{case}");
    for (answer, seconds) in answers.iter().zip(waits) {
        let gap = run.poll();
        assert!((seconds * 1000..=seconds * 1100).contains(&gap), "{case}: {gap} ms instead of {seconds} s");
        match answer {
            Answer(status, body) => run.answer(*status, body),
            After(status, body, delay) => {
                run.respond(Response::new(*status, body.as_bytes()).header("Retry-After", delay.as_bytes()));
            }
            Broken => run.fail(TransportErrorKind::Closed),
        }
    }
    run
}

// P01, P02, P04, P07, P08, P09, P13, P18, P19, P20, P21, P23, P24, P29, P32, P33, P34, P35, P39, P41, P42, P44, P45:
// they all end with the token, and each poll is one request.
#[test]
fn where_others_fail_or_hurry_this_one_waits_and_gets_its_token() {
    let only_url = json!({"verification_uri": null, "verification_url": "https://as/x", "interval": null});
    let (none, html) = (json!({}), Answer(400, "<html>waf</html>"));
    for (case, change, answers, waits) in [
        ("P01", json!({"interval": 30}), vec![P, Broken, P, T], vec![30, 30, 60, 30]),
        ("P02", none.clone(), vec![S, S, Broken, T], vec![5, 10, 18, 30]),
        ("P04, P45", none.clone(), vec![Answer(200, PENDING), T], vec![5, 5]),
        ("P07", none.clone(), vec![Answer(200, TOKEN_WITH_QUOTES)], vec![5]),
        ("P08", none.clone(), vec![Answer(201, TOKEN)], vec![5]),
        ("P09", none.clone(), vec![T], vec![5]),
        ("P13", none.clone(), vec![P, P, P, T], vec![5, 5, 5, 5]),
        ("P18", none.clone(), vec![P, Broken, T], vec![5, 5, 10]),
        ("P19", json!({"interval": null}), vec![P, T], vec![5, 5]),
        ("P20, P39", json!({"interval": 0}), vec![P, P, T], vec![5, 5, 5]),
        ("P21", none.clone(), vec![S1, S1, T], vec![5, 10, 18]),
        ("P23", none.clone(), vec![After(503, "", "Wed, 21 Oct 2015 07:28:00 GMT"), T], vec![5, 10]),
        ("P24", none.clone(), vec![After(429, "", "2"), T], vec![5, 10]),
        ("P24", none.clone(), vec![After(429, "", "30"), T], vec![5, 30]),
        ("P29", none.clone(), vec![Answer(500, r#"{"message":"internal"}"#), T], vec![5, 10]),
        ("P32", none.clone(), vec![Broken, Broken, Broken, T], vec![5, 10, 20, 40]),
        ("P33", none.clone(), vec![Broken, Broken, Broken, Broken, Broken, Broken, T], vec![5, 10, 20, 40, 60, 60, 60]),
        ("P34, P44", only_url, vec![P, S, T], vec![5, 5, 10]),
        ("P35", none.clone(), vec![html, html, html, T], vec![5, 10, 20, 40]),
        ("P41", json!({"interval": 9}), vec![P, S, T], vec![9, 9, 14]),
        ("P42", none, vec![S, P, T], vec![5, 10, 10]),
    ] {
        let mut run = play(case, change, &answers, &waits);
        let granted = token(run.outcome());
        assert_eq!(granted.access_token().expose(), "AT-canary", "{case}");
        assert!(!format!("{granted:?}").contains("canary"), "{case}");
        assert_eq!(run.requests.len(), 1 + answers.len(), "{case}: one request for each poll");
    }
}

// P03, P06, P10, P11, P14, P15, P17, P27, P30, P31, P36, P38, P43: each ends at once with the right outcome after these
// polls.
#[test]
fn where_others_panic_or_go_on_this_one_ends() {
    let denied = Answer(400, r#"{"error":"access_denied"}"#);
    let denied_with_200 = Answer(200, r#"{"error":"access_denied"}"#);
    for answer in [denied, denied_with_200] {
        let mut run = play("P06, P38", json!({}), &[P, answer], &[5, 5]);
        assert!(matches!(run.failure(), Failure::Denied(_)));
        assert_eq!(run.requests.len(), 3);
    }
    let garbage: &'static str = concat!(r#"{"access_token":"AT-canary","token_type":"bearer"}"#, "GARBAGE");
    let mut run = play("P10", json!({}), &[Answer(200, garbage)], &[5]);
    assert!(matches!(run.failure(), Failure::Protocol(error) if error.fault == ProtocolFault::InvalidJson));
    let mut run = play("P17", json!({}), &[Answer(307, TOKEN)], &[5]);
    assert!(matches!(run.failure(), Failure::Protocol(error) if error.fault == ProtocolFault::Redirect(307)));

    for (case, member, raw) in [
        ("P03", "interval", "18446744073709551615"),
        ("P11", "interval", "-1"),
        ("P11", "interval", "9223372037"),
        ("P27", "expires_in", "\"900s\""),
        ("P43", "user_code", r#""U\u001b]0;x\u0007""#),
        ("P43", "verification_uri", r#""javascript:alert(1)//\u001b[2J""#),
    ] {
        let body = device_answer(json!({member: "RAW"})).replace("\"RAW\"", raw);
        let mut run = Run::with_answer(200, &body);
        let failure = run.failure();
        assert!(matches!(failure, Failure::Protocol(_)), "{case}: {failure}");
        assert!(!failure.to_string().contains(char::is_control), "{case}");
        assert_eq!(
            (run.requests.len(), run.now, run.prompts.len()),
            (1, START, 0),
            "{case}: no wait, no poll, no prompt"
        );
    }
    let mut run = Run::with_answer(200, r#"{"error":"device_flow_disabled"}"#);
    assert!(matches!(run.failure(), Failure::Rejected(error) if error.code() == "device_flow_disabled"), "P14");
    assert!(run.prompts.is_empty());

    // P15, P30, P31, P36: with any lifetime, a flow that only gets pending answers ends, and in time.
    for (raw, seconds) in
        [("null", 600), ("1", 0), ("9223372036854775807", 86_400), ("18446744073709551615", 86_400), ("16", 16)]
    {
        let mut run =
            Run::with_answer(200, &device_answer(json!({"expires_in": "RAW", "interval": 5})).replace("\"RAW\"", raw));
        while run.go() {
            assert!(run.now < START + 86_400_000, "{raw}: polls after a day");
            run.answer(400, PENDING);
        }
        let ended = run.now - START;
        assert!(ended <= seconds * 1000 && ended + 6_000 * u64::from(seconds > 0) >= seconds * 1000, "{raw}: {ended}");
        assert!(run.outcome.unwrap().is_err());
    }
}

// P16: a code with 0.4 s left, stored and restored, still dies in 0.4 s.
#[cfg(feature = "serde")]
#[test]
fn p16_a_restored_code_keeps_its_deadline() {
    let mut run = Run::granted(json!({}));
    run.script(&[(400, PENDING)]);
    let at = Timestamp::from_millis(START + 899_600);
    let snapshot = run.machine.snapshot(at).unwrap();
    let restored = |snapshot| {
        let now = Timestamp::from_millis(50);
        DeviceFlow::resume(builder().build().unwrap(), snapshot, core::time::Duration::ZERO, now).unwrap()
    };
    // Too late: nothing is sent.
    let mut late = Run::of(restored(snapshot.clone()));
    late.now = 50 + 400;
    expired(late.failure());
    assert_eq!((late.requests.len(), late.prompts.len()), (0, 0));
    // In time: the poll that was due comes, and it was the last one.
    let mut in_time = Run::of(restored(snapshot));
    in_time.now = 50 + 399;
    assert!(in_time.go());
    assert_eq!(in_time.prompts[0].expires_at(), Timestamp::from_millis(50 + 400));
    in_time.answer(400, PENDING);
    expired(in_time.failure());
    assert_eq!(in_time.requests.len(), 1);
}
