//! Rules 10 to 14 of docs/polling-law.md in virtual time: what answers mean, crowds, clocks and huge numbers.

use crate::support::*;
use device_flow_core::{
    DeviceFlow, Failure, Machine, ProtocolFault, Response, Timestamp, TransportError, TransportErrorKind,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

// Rule 10. B02, P04, P38, P45, R8628-3.5-3, R8628-3.4-6.
#[test]
fn rule_10_pending_continues_whatever_the_status() {
    for status in [100, 200, 201, 400, 401, 403, 404, 428, 429, 500, 503, 999] {
        let mut run = Run::granted(json!({}));
        let gaps = run.script(&[(status, PENDING), (200, TOKEN)]);
        assert_gap(gaps[1], 5, 5);
        token(run.outcome());
        assert_eq!(run.requests[1].body, run.requests[2].body);
        assert_eq!(run.machine.trail().failures(), 0);
    }
}

// Rule 10. B06, P06, P38, R8628-3.5-7, R8628-3.5-8, R8628-3.5-10, R8628-3.1-10.
#[test]
fn rule_10_refusals_and_expiry_end_the_flow_and_nothing_restarts() {
    for status in [200, 400, 403, 500] {
        for code in ["access_denied", "authorization_declined"] {
            let mut run = Run::granted(json!({}));
            run.script(&[(status, &format!(r#"{{"error":"{code}"}}"#))]);
            let failure = run.failure();
            assert!(matches!(&failure, Failure::Denied(error) if error.code() == code), "{failure}");
            assert_eq!(run.requests.len(), 2);
        }
        for code in ["expired_token", "code_expired", "token_expired"] {
            let mut run = Run::granted(json!({}));
            run.script(&[(status, &format!(r#"{{"error":"{code}"}}"#))]);
            let end = expired(run.failure());
            assert_eq!(end.error.unwrap().code(), code);
            assert_eq!(run.requests.len(), 2);
        }
    }
}

// Rule 10. B07, B09, P14, R8628-3.5-11, R8628-3.5-12, R6749-1.9-1, R6749-5.2-3, RFC 6749 §8.5.
#[test]
fn rule_10_every_other_code_stops_and_keeps_its_text() {
    for code in [
        "weird",
        "foo_bar",
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "AUTHORIZATION_PENDING",
        "Authorization_Pending",
        " authorization_pending",
        "slow_down ",
        "server_error",
    ] {
        let mut run = Run::granted(json!({}));
        let body =
            json!({"error": code, "error_description": "made-up text", "error_uri": "https://as/help"}).to_string();
        run.script(&[(400, &body)]);
        let Failure::Rejected(error) = run.failure() else { panic!("{code}") };
        assert_eq!(error.code(), code);
        assert_eq!(
            (error.description(), error.uri(), error.status()),
            (Some("made-up text"), Some("https://as/help"), 400)
        );
        assert_eq!(run.requests.len(), 2);
    }
    let mut run = Run::granted(json!({}));
    run.script(&[(400, "{\"error\":\"authorization_pending\\u0000\"}")]);
    let Failure::Rejected(error) = run.failure() else { panic!() };
    assert_eq!(error.code(), "authorization_pending\\u{0}");
}

// Rule 10. B07: the message says what it mostly means.
#[test]
fn rule_10_invalid_grant_says_that_the_code_is_no_longer_known() {
    let mut run = Run::granted(json!({}));
    run.script(&[(400, r#"{"error":"invalid_grant","error_description":"grant request is invalid"}"#)]);
    let failure = run.failure();
    assert!(failure.to_string().contains("no longer knows this code"), "{failure}");
    assert!(failure.to_string().contains("grant request is invalid"), "{failure}");
}

// Rule 10. RFC 6749 §5.1, §5.2: one of the two is wrong, and which one nobody knows.
#[test]
fn rule_10_k19_a_token_beside_an_error_is_a_protocol_error_and_final() {
    for code in ["authorization_pending", "slow_down", "access_denied", "expired_token", "invalid_grant", "weird"] {
        for status in [200, 201, 299] {
            for body in [
                json!({"access_token": "AT-canary", "token_type": "Bearer", "error": code}),
                json!({"error": code, "expires_in": 60, "access_token": "AT-canary", "refresh_token": "RT-canary"}),
                json!({"error": code, "access_token": 5}),
            ] {
                let mut run = Run::granted(json!({}));
                run.script(&[(status, &body.to_string())]);
                let failure = run.failure();
                let Failure::Protocol(error) = &failure else { panic!("{status} {code}: {failure}") };
                assert_eq!(error.fault, ProtocolFault::TokenAndError(code.into()), "{status}");
                assert!(failure.to_string().contains(code) && !failure.to_string().contains("canary"), "{failure}");
                assert_eq!(run.requests.len(), 2, "final: {status} {code}");
            }
        }
    }
    // The other side: neither nothing called access_token nor nothing called error counts, and an error status decides.
    for (status, body) in [
        (200, r#"{"error":"authorization_pending","access_token":null}"#),
        (200, r#"{"error":"authorization_pending","access_token":""}"#),
        (400, r#"{"error":"authorization_pending","access_token":"AT-canary"}"#),
    ] {
        let mut run = Run::granted(json!({}));
        run.script(&[(status, body), (200, TOKEN)]);
        token(run.outcome());
    }
    for error in ["null", "\"\""] {
        let mut run = Run::granted(json!({}));
        run.script(&[(200, &format!(r#"{{"access_token":"AT-canary","token_type":"Bearer","error":{error}}}"#))]);
        token(run.outcome());
    }
}

// Rule 10, rule 5: an error that only a gateway can have written does not end a sign-in.
#[test]
fn rule_10_an_unknown_code_with_a_not_now_status_is_an_outage() {
    for (status, body) in [
        (502, r#"{"error":"Bad Gateway"}"#),
        (500, r#"{"timestamp":1,"status":500,"error":"Internal Server Error","path":"/token"}"#),
        (429, r#"{"errorCode":"E0000047","errorSummary":"made-up text"}"#),
        (429, r#"{"error":"temporarily_unavailable"}"#),
        (503, r#"{"error":{"code":503}}"#),
    ] {
        let mut run = Run::granted(json!({}));
        let gaps = run.script(&[(status, body), (200, TOKEN)]);
        assert_gap(gaps[1], 10, 5);
        token(run.outcome());
    }
}

// Rule 11. B04, B05.
#[test]
fn rule_11_slow_down_may_come_at_once_and_for_an_approved_code() {
    let mut run = Run::granted(json!({}));
    run.script(&[(400, SLOW_DOWN), (400, SLOW_DOWN), (200, TOKEN)]);
    token(run.outcome());
    assert_eq!(run.machine.trail().slow_downs(), 2);
}

// Rule 12. C22: only lengthened, at most a tenth, spread over the crowd.
#[test]
fn rule_12_jitter_only_lengthens_and_spreads_a_crowd() {
    let client = std::sync::Arc::new(builder().build().unwrap());
    let answer = device_answer(json!({}));
    let mut firsts: Vec<u64> = (0..10_000_u32)
        .map(|seed| {
            let mut entropy = [0; 32];
            entropy[..4].copy_from_slice(&seed.to_le_bytes());
            let mut run = Run::of(DeviceFlow::new(client.clone(), entropy));
            run.go();
            run.answer(200, &answer);
            run.poll()
        })
        .collect();
    firsts.sort_unstable();
    assert_eq!((firsts[0], firsts[9_999]), (5_000, 5_500), "the whole tenth is used, no more");
    let busiest = firsts.chunk_by(|a, b| a / 10 == b / 10).map(<[u64]>::len).max().unwrap();
    assert!(busiest < 3 * 10_000 / 50, "{busiest} polls in the same 10 ms");
}

// Rule 12: the same entropy gives the same trace, other entropy another one; from poll to poll it varies.
#[test]
fn rule_12_jitter_comes_from_the_given_entropy_alone() {
    let trace = |entropy| {
        let mut run = Run::of(DeviceFlow::new(builder().build().unwrap(), entropy));
        run.go();
        run.answer(200, &device_answer(json!({})));
        run.script(&[(400, PENDING); 20])
    };
    assert_eq!(trace([1; 32]), trace([1; 32]));
    assert_ne!(trace([1; 32]), trace([2; 32]));
    assert!(trace([1; 32]).windows(2).any(|pair| pair[0] != pair[1]));
}

// Rule 12: the series is SplitMix64, here by its published values, from a seed that is hashed out of the entropy.
#[test]
fn rule_12_jitter_is_a_known_series() {
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    let mut state = 1_234_567;
    let published =
        [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431];
    assert_eq!([(); 4].map(|()| next(&mut state)), published);

    let entropy = [42; 32];
    let digest = Sha256::digest([b"jitter".as_slice(), &entropy].concat());
    let mut state = u64::from_be_bytes(digest[..8].try_into().unwrap());
    let mut run = Run::of(DeviceFlow::new(builder().build().unwrap(), entropy));
    run.go();
    run.answer(200, &device_answer(json!({})));
    for gap in run.script(&[(400, PENDING); 50]) {
        assert_eq!(gap, 5_000 + next(&mut state) % 501);
    }
}

// Rule 13. B05.
#[test]
fn rule_13_slow_downs_in_a_row_widen_the_wait_until_a_pending_answer() {
    let mut run = Run::granted(json!({}));
    let gaps = run.script(&[
        (400, SLOW_DOWN),
        (400, SLOW_DOWN),
        (400, SLOW_DOWN),
        (400, SLOW_DOWN),
        (400, PENDING),
        (400, PENDING),
    ]);
    assert_gap(gaps[1], 10, 10);
    assert_gap(gaps[2], 18, 15);
    assert_gap(gaps[3], 28, 20);
    assert_gap(gaps[4], 35, 25);
    assert_gap(gaps[5], 25, 25);
}

// Rule 13. B05: a flow that ends after three in a row names the suspicion; after a pending answer in between it does
// not.
#[test]
fn rule_13_an_endless_slow_down_names_the_clock() {
    let mut run = Run::granted(json!({"expires_in": 300}));
    while run.go() {
        run.answer(400, SLOW_DOWN);
    }
    let end = expired(run.outcome.take().unwrap().unwrap_err());
    assert!(end.trail.clock_drift_suspected());
    assert!(end.to_string().contains("clock"), "{end}");

    let mut run = Run::granted(json!({"expires_in": 300}));
    run.script(&[(400, SLOW_DOWN), (400, SLOW_DOWN)]);
    assert!(!run.machine.trail().clock_drift_suspected());
    run.script(&[(400, SLOW_DOWN)]);
    assert!(run.machine.trail().clock_drift_suspected());
    run.script(&[(400, PENDING)]);
    assert!(!run.machine.trail().clock_drift_suspected());
}

// Rule 14. D01, D07, G04, P03, P31, P36: backwards, frozen, at the end of time.
#[test]
fn rule_14_time_that_goes_backwards_counts_as_standing_still() {
    let mut run = Run::granted(json!({}));
    run.go();
    run.answer(400, PENDING);
    let device_flow_core::Action::Wait { until, .. } = run.machine.next_action(Timestamp::from_millis(run.now)) else {
        panic!()
    };
    for now in [0, 1, run.now - 1, run.now, until.as_millis() - 1] {
        let device_flow_core::Action::Wait { until: again, .. } = run.machine.next_action(Timestamp::from_millis(now))
        else {
            panic!()
        };
        assert_eq!(again, until);
    }
    // D06: a frozen clock keeps waiting, it does not spin into a poll.
    assert!(matches!(
        run.machine.next_action(Timestamp::from_millis(until.as_millis() - 1)),
        device_flow_core::Action::Wait { .. }
    ));
    assert!(matches!(run.machine.next_action(until), device_flow_core::Action::SendRequest(_)));
}

// Rule 14. D07, G04: an answer handed in with an earlier time arrived at the latest time seen, a code as well as a
// poll's.
#[test]
fn rule_14_an_answer_from_the_past_does_not_pull_the_next_poll_forward() {
    let client = || DeviceFlow::new(builder().build().unwrap(), [7; 32]);
    let handed_in_early = |run: &mut Run<DeviceFlow>, body: &str, status| {
        let (latest, ticket) = (run.now, run.take_ticket());
        let earlier = Timestamp::from_millis(latest - 60_000);
        run.machine.response(ticket, Response::new(status, body.as_bytes()), earlier).unwrap();
        run.answered_at = latest;
    };
    let mut run = Run::of(client());
    run.go();
    handed_in_early(&mut run, &device_answer(json!({})), 200);
    assert_gap(run.poll(), 5, 5);
    assert_eq!(run.prompts[0].expires_at(), Timestamp::from_millis(START + 900_000));
    handed_in_early(&mut run, PENDING, 400);
    assert_gap(run.poll(), 5, 5);
    let (latest, ticket) = (run.now, run.take_ticket());
    let lost = TransportError::new(TransportErrorKind::Closed);
    run.machine.transport_failed(ticket, lost, Timestamp::from_millis(latest - 60_000)).unwrap();
    run.answered_at = latest;
    assert_gap(run.poll(), 10, 5);
}

// Rule 14.
#[test]
fn rule_14_the_end_of_time_saturates() {
    for start in [u64::MAX, u64::MAX - 1, u64::MAX - 5_000, u64::MAX - 900_000] {
        let mut run = Run::new(builder().build().unwrap());
        run.now = start;
        run.go();
        run.answer(200, &device_answer(json!({"expires_in": 18_446_744_073_709_551_615_u64, "interval": 86_399})));
        // No time is left on this timeline, so no poll is possible; nothing panics, nothing is sent.
        assert!(!run.go());
        expired(run.outcome.take().unwrap().unwrap_err());
    }
}

// R8628-3.5-15 and design: waking early or twice is harmless.
#[test]
fn waking_early_or_twice_repeats_the_wait() {
    let mut run = Run::granted(json!({}));
    assert!(matches!(run.machine.next_action(Timestamp::from_millis(run.now)), device_flow_core::Action::ShowCode(_)));
    let mut waits = vec![];
    // D13, G01: ten milliseconds early is early.
    for at in [0, 0, 10, 2_000, 4_990] {
        let device_flow_core::Action::Wait { until, .. } = run.machine.next_action(Timestamp::from_millis(START + at))
        else {
            panic!()
        };
        waits.push(until);
    }
    waits.dedup();
    assert_eq!(waits.len(), 1);
}
