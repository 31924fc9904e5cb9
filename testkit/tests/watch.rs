//! The watch notices when a rule of the law is broken by one millisecond, on either side, and reports nothing where it
//! is kept.

use device_flow_core::TransportErrorKind::{Timeout, UntrustedCertificate};
use device_flow_testkit::server::Number::{Absent, Whole};
use device_flow_testkit::server::{Endpoint, Number, Reply, Turn};
use device_flow_testkit::watch::{Observation, Outcome, Rule, Watch};

const PENDING: Turn = Turn::new(Reply::Pending);
const SLOW_DOWN: Turn = Turn::new(Reply::SlowDown(Absent));
const FAULT: Turn = Turn::new(Reply::Fault(Timeout));
const PAGE: Turn = Turn::new(Reply::Page);
const TOKEN: Turn = Turn::new(Reply::Token);
const CHALLENGE: Turn = Turn::new(Reply::Challenge).nonce(1);

/// A client that only sleeps and sends: a code at 0, then these polls, each at its time and answered at once.
fn client(interval: Number, lifetime: u64, polls: &[(u64, Turn)], end: Option<(u64, Outcome)>) -> Vec<Rule> {
    watched(Watch::silent_client(0), interval, lifetime, polls, end)
}

fn watched(
    mut watch: Watch,
    interval: Number,
    lifetime: u64,
    polls: &[(u64, Turn)],
    end: Option<(u64, Outcome)>,
) -> Vec<Rule> {
    let code = Turn::new(Reply::Code { interval, lifetime: Whole(lifetime) });
    for (at, observation) in [(0, Observation::Request(Endpoint::Device)), (0, Observation::Response(code))] {
        watch.observe(at, &observation);
    }
    for (at, turn) in polls {
        watch.observe(*at, &Observation::Request(Endpoint::Token));
        watch.observe(*at, &Observation::Response(*turn));
    }
    if let Some((at, end)) = end {
        watch.observe(at, &Observation::Ended(end));
    }
    watch.breaches().iter().map(|breach| breach.rule).collect()
}

/// After these polls the next one is due from `earliest` to `latest`, by this rule.
#[track_caller]
fn due(interval: Number, lifetime: u64, before: &[(u64, Turn)], earliest: u64, latest: u64, rule: Rule) {
    let at = |at| client(interval, lifetime, &[before, &[(at, TOKEN)]].concat(), None);
    assert_eq!(at(earliest), [], "the earliest");
    assert_eq!(at(latest), [], "the latest");
    assert_eq!(at(earliest - 1), [rule], "early");
    assert_eq!(at(latest + 1), [rule], "late");
}

#[test]
fn each_bound_of_a_poll_is_checked_from_both_sides() {
    let five = Whole(5);
    due(five, 900, &[], 5_000, 5_500, Rule::WaitFirst);
    due(Absent, 900, &[], 5_000, 5_500, Rule::WaitFirst);
    due(Number::AndAHalf(5), 900, &[], 6_000, 6_600, Rule::WaitFirst);
    due(five, 900, &[(5_200, PENDING)], 10_200, 10_700, Rule::CountFromTheAnswer);
    due(five, 900, &[(5_000, SLOW_DOWN)], 15_000, 16_000, Rule::SlowDown);
    due(five, 900, &[(5_000, SLOW_DOWN), (15_000, PENDING)], 25_000, 26_000, Rule::CountFromTheAnswer);
    due(five, 900, &[(5_000, Turn::new(Reply::SlowDown(Whole(25))))], 30_000, 32_500, Rule::SlowDown);
    due(five, 900, &[(5_000, Turn::new(Reply::SlowDown(Whole(1))))], 15_000, 16_000, Rule::SlowDown);
    // The second in a row, and the third.
    due(five, 900, &[(5_000, SLOW_DOWN), (15_000, SLOW_DOWN)], 33_000, 34_500, Rule::Drift);
    due(five, 900, &[(5_000, SLOW_DOWN), (15_000, SLOW_DOWN), (33_000, SLOW_DOWN)], 61_000, 63_000, Rule::Drift);
    due(five, 900, &[(5_000, FAULT)], 15_000, 15_500, Rule::Backoff);
    due(five, 900, &[(5_000, FAULT), (15_000, FAULT)], 35_000, 35_500, Rule::Backoff);
    due(five, 900, &[(5_000, FAULT), (15_000, PENDING)], 20_000, 20_500, Rule::CountFromTheAnswer);
    // The cap: a minute, or twice the interval.
    let four = [(5_000, FAULT), (15_000, FAULT), (35_000, FAULT), (75_000, FAULT)];
    due(five, 900, &four, 135_000, 135_500, Rule::Backoff);
    due(Whole(40), 900, &[(40_000, FAULT), (120_000, FAULT)], 200_000, 204_000, Rule::Backoff);
    due(five, 900, &[(5_000, PENDING.retry_after(8))], 13_000, 13_500, Rule::RetryAfter);
    due(five, 900, &[(5_000, PENDING.retry_after(5))], 10_000, 10_500, Rule::CountFromTheAnswer);
    // Cut so that one poll remains a second before the end; but the interval is kept.
    due(five, 20, &[(5_000, PENDING.retry_after(100))], 19_000, 19_000, Rule::RetryAfter);
    let late = [(5_400, PENDING), (10_800, PENDING), (16_200, PENDING.retry_after(100))];
    due(five, 22, &late, 21_200, 21_200, Rule::CountFromTheAnswer);
}

#[test]
fn each_end_is_checked_from_both_sides() {
    let polls = [(5_000, PENDING)];
    let ends = |polls: &[(u64, Turn)], at, end| client(Whole(5), 10, polls, Some((at, end)));
    // No legal poll is left before the deadline: over at once, and nothing else.
    assert_eq!(ends(&polls, 5_000, Outcome::Expired), []);
    assert_eq!(client(Whole(5), 11, &polls, Some((5_000, Outcome::Expired))), [Rule::Deadline]);
    assert_eq!(client(Whole(5), 10, &[(5_000, PENDING), (9_999, TOKEN)], None), [Rule::Deadline]);
    // At the deadline it is over.
    assert_eq!(client(Whole(5), 11, &polls, Some((11_000, Outcome::Expired))), []);
    assert_eq!(ends(&[(5_000, TOKEN)], 5_000, Outcome::Token), []);
    assert_eq!(ends(&[(5_000, TOKEN)], 5_000, Outcome::Denied), [Rule::Meaning]);
    let untrusted = Turn::new(Reply::Fault(UntrustedCertificate));
    assert_eq!(ends(&[(5_000, untrusted)], 5_000, Outcome::Transport(UntrustedCertificate)), []);
    assert_eq!(client(Whole(5), 900, &[(5_000, untrusted), (15_000, TOKEN)], None), [Rule::Untrusted]);
    // Nothing after success.
    assert_eq!(client(Whole(5), 900, &[(5_000, TOKEN), (10_000, TOKEN)], None), [Rule::Meaning]);
    // Three pages in a row, and a fourth.
    let pages = [(5_000, PAGE), (15_000, PAGE), (35_000, PAGE), (75_000, PAGE)];
    assert_eq!(client(Whole(5), 900, &pages, Some((75_000, Outcome::Protocol))), []);
    assert_eq!(client(Whole(5), 900, &pages[..3], Some((35_000, Outcome::Protocol))), [Rule::Backoff]);
    // An interval that is no shorter than the life of the code.
    assert_eq!(client(Whole(9), 9, &[], Some((0, Outcome::Protocol))), []);
    assert_eq!(client(Whole(9), 9, &[(9_000, TOKEN)], None), [Rule::Interval]);
    assert_eq!(client(Whole(8), 9, &[(8_000, TOKEN)], None), []);
}

#[test]
fn two_requests_in_flight_are_a_breach() {
    let mut watch = Watch::new(0);
    watch.observe(0, &Observation::Request(Endpoint::Device));
    watch.observe(0, &Observation::Request(Endpoint::Device));
    assert_eq!(watch.breaches().first().map(|breach| breach.rule), Some(Rule::OneAtATime));
}

/// What a client announces must be true, and stay true.
#[test]
fn announcements_are_held_against_the_law() {
    let breaches = |observations: &[(u64, Observation)]| {
        let mut watch = Watch::new(0);
        let code = Turn::new(Reply::Code { interval: Whole(5), lifetime: Whole(900) });
        watch.observe(0, &Observation::Request(Endpoint::Device));
        watch.observe(0, &Observation::Response(code));
        observations.iter().for_each(|(at, observation)| watch.observe(*at, observation));
        watch.breaches().iter().map(|breach| breach.rule).collect::<Vec<_>>()
    };
    let shown = (0, Observation::CodeShown { interval: 5, deadline: 900_000 });
    let wait = |until| (0, Observation::WaitUntil(until));
    assert_eq!(
        breaches(&[shown.clone(), wait(5_000), wait(5_000), (9_000, Observation::Request(Endpoint::Token))]),
        []
    );
    assert_eq!(breaches(&[shown.clone(), wait(4_999)]), [Rule::WaitFirst]);
    assert_eq!(breaches(&[shown.clone(), wait(5_501)]), [Rule::Jitter]);
    assert_eq!(breaches(&[shown.clone(), wait(5_000), wait(5_001)]), [Rule::Contract]);
    assert_eq!(breaches(&[(0, Observation::CodeShown { interval: 6, deadline: 900_000 })]), [Rule::SlowDown]);
    assert_eq!(breaches(&[(0, Observation::CodeShown { interval: 5, deadline: 900_001 })]), [Rule::Deadline]);
    // The code is shown before anything else, and again after a resume.
    assert_eq!(breaches(&[(5_000, Observation::Request(Endpoint::Token))]), [Rule::Contract]);
    let resumed = |at_least, at_most, from_now, shows| {
        (3_000, Observation::Resumed { passed: 2_000, at_least, at_most, from_now, shows })
    };
    let away = |at_least, at_most| resumed(at_least, at_most, false, true);
    let again = |deadline| (3_000, Observation::CodeShown { interval: 5, deadline });
    let poll = |at| (at, Observation::Request(Endpoint::Token));
    assert_eq!(breaches(&[shown.clone(), away(2_000, 2_000), again(900_000), poll(5_000)]), []);
    assert_eq!(breaches(&[shown.clone(), away(2_000, 2_000), again(900_000), poll(4_999)]), [Rule::WaitFirst]);
    // For an unsure time: later by what is missing, and the end sooner by what is too much.
    assert_eq!(breaches(&[shown.clone(), away(0, 3_000), again(899_000), poll(7_000)]), []);
    assert_eq!(breaches(&[shown.clone(), away(0, 3_000), again(899_000), poll(6_999)]), [Rule::WaitFirst]);
    assert_eq!(breaches(&[shown.clone(), away(0, 3_000), again(899_001)]), [Rule::Deadline]);
    assert_eq!(breaches(&[shown.clone(), away(2_000, 2_000), poll(5_000)]), [Rule::Contract]);
    // One that does not show it again has nothing to show unless it has not shown it.
    let silent = |from_now| resumed(2_000, 2_000, from_now, false);
    assert_eq!(breaches(&[shown.clone(), silent(false), poll(5_000)]), []);
    assert_eq!(breaches(&[shown.clone(), silent(false), again(900_000)]), [Rule::Contract]);
    assert_eq!(breaches(&[silent(false), again(900_000), poll(5_000)]), []);
    assert_eq!(breaches(&[silent(false), poll(5_000)]), [Rule::Contract]);
    // A poll whose answer is lost: twice the interval, from the moment when it was stored, or from now.
    let lost = |at, from_now| {
        let resumed = Observation::Resumed { passed: 2_000, at_least: 2_000, at_most: 2_000, from_now, shows: false };
        breaches(&[shown.clone(), poll(5_000), (7_500, resumed), poll(at)])
    };
    assert_eq!((lost(15_500, false), lost(15_499, false)), (vec![], vec![Rule::Backoff]));
    assert_eq!((lost(17_500, true), lost(17_499, true)), (vec![], vec![Rule::Backoff]));
}

/// Rule 15, for a client with a key that only sleeps and sends.
#[test]
fn the_answer_to_a_challenge_is_checked_from_both_sides() {
    let with_key = |lifetime, polls: &[(u64, Turn)], end| {
        watched(Watch::silent_client(0).proves_possession(), Whole(5), lifetime, polls, end)
    };
    let due = |before: &[(u64, Turn)], earliest, latest, rule| {
        let at = |at| with_key(900, &[before, &[(at, TOKEN)]].concat(), None);
        assert_eq!((at(earliest), at(latest)), (vec![], vec![]), "within the bounds");
        assert_eq!(at(latest + 1), [rule], "late");
        if before.last().is_none_or(|(answered, _)| earliest > *answered) {
            assert_eq!(at(earliest - 1), [rule], "early");
        }
    };
    // At once; so a client that waits an interval is late.
    let first = (5_000, CHALLENGE);
    due(&[first], 5_000, 5_000, Rule::Challenge);
    assert_eq!(with_key(900, &[first, (10_000, TOKEN)], None), [Rule::Challenge]);
    // The second for the same poll is a failure, and a third would be one more; the next poll may be repeated again.
    due(&[first, first], 15_000, 15_500, Rule::Challenge);
    assert_eq!(with_key(900, &[first, first, (5_000, TOKEN)], None), [Rule::Challenge], "repeated twice");
    due(&[first, first, (15_000, CHALLENGE)], 15_000, 15_000, Rule::Challenge);
    due(&[first, first, (15_000, CHALLENGE), (15_000, CHALLENGE)], 35_000, 35_500, Rule::Challenge);
    due(&[first, first, (15_000, PENDING)], 20_000, 20_500, Rule::CountFromTheAnswer);
    due(&[first, (5_000, PENDING)], 10_000, 10_500, Rule::CountFromTheAnswer);
    due(&[first, (5_000, PENDING), (10_000, CHALLENGE)], 10_000, 10_000, Rule::Challenge);
    due(&[first, (5_000, SLOW_DOWN)], 15_000, 16_000, Rule::SlowDown);
    due(&[first, (5_000, FAULT)], 15_000, 15_500, Rule::Backoff);
    // Nor does it end a back-off.
    due(&[(5_000, FAULT), (15_000, CHALLENGE), (15_000, FAULT)], 35_000, 35_500, Rule::Backoff);
    // Whatever the status, and whatever else the server asks for.
    due(&[(5_000, CHALLENGE.status(503).retry_after(30))], 5_000, 5_000, Rule::Challenge);
    due(&[first, (5_000, CHALLENGE.retry_after(30))], 35_000, 35_500, Rule::RetryAfter);
    // Without a nonce there is nothing to repeat with.
    let bare = Turn::new(Reply::Challenge);
    due(&[(5_000, bare)], 15_000, 15_500, Rule::Challenge);
    due(&[(5_000, bare), (15_000, CHALLENGE)], 15_000, 15_000, Rule::Challenge);
    due(&[first, (5_000, bare)], 15_000, 15_500, Rule::Challenge);
    due(&[(5_000, PENDING.nonce(1))], 10_000, 10_500, Rule::CountFromTheAnswer);

    // It is no end for a client with a key, and for any other it is.
    let refused = || Some((5_000, Outcome::Rejected("use_dpop_nonce".to_owned())));
    assert_eq!(with_key(900, &[first], refused()), [Rule::Challenge]);
    assert_eq!(with_key(900, &[first, first], refused()), [Rule::Challenge]);
    assert_eq!(with_key(900, &[(5_000, bare)], refused()), [Rule::Challenge]);
    for challenge in [CHALLENGE, bare] {
        assert_eq!(client(Whole(5), 900, &[(5_000, challenge)], refused()), []);
        assert_eq!(client(Whole(5), 900, &[(5_000, challenge), (5_000, TOKEN)], None), [Rule::Meaning]);
    }
}

/// Rule 15 beside the deadline, and beside the most polls that a code allows.
#[test]
fn a_repetition_is_no_poll_and_comes_before_the_deadline() {
    let with_key = |answered: u64, at, end| {
        let mut watch = Watch::silent_client(0).proves_possession();
        let code = Turn::new(Reply::Code { interval: Whole(5), lifetime: Whole(11) });
        let device = [Observation::Request(Endpoint::Device), Observation::Response(code)];
        let poll = [Observation::Request(Endpoint::Token), Observation::Response(CHALLENGE)];
        device.iter().zip([0, 0]).chain(poll.iter().zip([5_000, answered])).for_each(|(it, at)| watch.observe(at, it));
        match end {
            Some(end) => watch.observe(at, &Observation::Ended(end)),
            None => watch.observe(at, &Observation::Request(Endpoint::Token)),
        }
        watch.breaches().iter().map(|breach| breach.rule).collect::<Vec<_>>()
    };
    assert_eq!(with_key(10_999, 10_999, None), []);
    assert_eq!(with_key(11_000, 11_000, None), [Rule::Deadline]);
    assert_eq!(with_key(11_000, 11_000, Some(Outcome::Expired)), []);
    assert_eq!(with_key(10_999, 10_999, Some(Outcome::Expired)), [Rule::Deadline]);

    // Two polls fit, and each may be repeated.
    let watched = |polls: &[(u64, Turn)]| {
        watched(Watch::silent_client(0).proves_possession(), Whole(5), 11, polls, Some((10_000, Outcome::Token)))
    };
    let four = [(5_000, CHALLENGE), (5_000, PENDING), (10_000, CHALLENGE), (10_000, TOKEN)];
    assert_eq!(watched(&four), []);
    let pending = [(5_000, PENDING), (5_000, PENDING), (10_000, TOKEN)];
    assert!(watched(&pending).contains(&Rule::Contract), "a third poll");
}

/// Rule 15 where the client announces its waits and is stored.
#[test]
fn after_a_challenge_no_wait_is_announced_unless_the_flow_was_stored() {
    let breaches = |observations: &[(u64, Observation)]| {
        let mut watch = Watch::new(0).proves_possession();
        let code = Turn::new(Reply::Code { interval: Whole(5), lifetime: Whole(900) });
        let shown = Observation::CodeShown { interval: 5, deadline: 900_000 };
        watch.observe(0, &Observation::Request(Endpoint::Device));
        watch.observe(0, &Observation::Response(code));
        watch.observe(0, &shown);
        watch.observe(5_000, &Observation::Request(Endpoint::Token));
        observations.iter().for_each(|(at, observation)| watch.observe(*at, observation));
        watch.breaches().iter().map(|breach| breach.rule).collect::<Vec<_>>()
    };
    let challenge = (5_000, Observation::Response(CHALLENGE));
    let fault = (5_000, Observation::Response(FAULT));
    let poll = |at| (at, Observation::Request(Endpoint::Token));
    let wait = |at, until| (at, Observation::WaitUntil(until));
    assert_eq!(breaches(&[challenge.clone(), poll(5_000), fault.clone(), wait(5_000, 15_000)]), []);
    assert_eq!(breaches(&[challenge.clone(), wait(5_000, 10_000)]), [Rule::Challenge]);
    assert_eq!(breaches(&[challenge.clone(), poll(5_000), challenge.clone(), wait(5_000, 15_000)]), []);
    assert_eq!(breaches(&[challenge.clone(), poll(5_000), challenge.clone(), poll(5_000)]), [Rule::Challenge]);
    // Stored in between, it waits an interval from then on, has counted no failure, and may repeat the next poll.
    let away =
        |passed| Observation::Resumed { passed, at_least: passed, at_most: passed, from_now: false, shows: false };
    let stored = |rest: &[(u64, Observation)]| breaches(&[&[challenge.clone(), (7_000, away(2_000))], rest].concat());
    assert_eq!(stored(&[wait(7_000, 10_000), poll(10_000), (10_000, challenge.1.clone()), poll(10_000)]), []);
    assert_eq!(stored(&[wait(7_000, 9_999)]), [Rule::Challenge]);
    assert_eq!(stored(&[wait(7_000, 10_501)]), [Rule::Jitter]);
    assert_eq!(stored(&[poll(7_000)]), [Rule::Challenge]);
    assert_eq!(stored(&[poll(10_000), (10_000, fault.1.clone()), wait(10_000, 20_000)]), []);
    // A repetition that is lost is a poll that is lost.
    let lost = |rest: (u64, Observation)| breaches(&[challenge.clone(), poll(5_000), (7_000, away(2_000)), rest]);
    assert_eq!((lost(wait(7_000, 15_000)), lost(wait(7_000, 14_999))), (vec![], vec![Rule::Backoff]));
}
