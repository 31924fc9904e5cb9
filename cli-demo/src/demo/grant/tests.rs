//! Proves the law of one sign-in, and the trouble made on purpose, in virtual time: a test says what time it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

use super::*;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Issued at 0 s, to be asked about every 5 s, good for 10 minutes.
fn grant() -> Grant {
    let ask = Ask { client_id: "tv".to_owned(), scope: String::new(), code_challenge: None };
    Grant::new(7, ask, "BCDF-GHJK".to_owned(), s(0), (s(5), s(600)))
}

fn poll(grant: &mut Grant, now: u64) -> Refusal {
    grant.poll(None, s(now)).unwrap_err()
}

#[test]
fn rfc8628_3_5_a_slow_down_on_purpose_is_one_answer_and_five_seconds_for_good() {
    let mut grant = grant();
    grant.trouble(Trouble::SlowDown);
    assert_eq!(poll(&mut grant, 5), Refusal::SlowDown);
    assert_eq!((grant.interval, grant.trouble_ahead()), (s(10), None));
    assert_eq!(poll(&mut grant, 15), Refusal::AuthorizationPending);
    assert_eq!(poll(&mut grant, 24), Refusal::SlowDown, "a second less than the new interval");
    let lawful: Vec<bool> = grant.polls().map(Poll::is_lawful).collect();
    assert_eq!(lawful, [true, true, false], "the first came in time, whatever it was answered");
    assert_eq!(grant.counted(), Counted { polls: 3, lawful: 2 });
}

#[test]
fn an_outage_lasts_three_polls_and_leaves_interval_and_decision_alone() {
    for (trouble, answer) in [(Trouble::Unavailable, Refusal::Unavailable), (Trouble::HangUp, Refusal::HungUp)] {
        let mut grant = grant();
        grant.trouble(trouble);
        assert!(grant.decide(Decision::Approve));
        assert_eq!(poll(&mut grant, 5), answer);
        assert_eq!(grant.trouble_ahead(), Some((trouble, 2)));
        assert_eq!(poll(&mut grant, 6), answer, "a server that is down judges nobody");
        assert_eq!(poll(&mut grant, 20), answer);
        assert_eq!((grant.interval, grant.trouble_ahead()), (s(5), None));
        assert_eq!(grant.standing(s(20)), Standing::Approved);
        assert_eq!(grant.poll(None, s(25)), Ok(()));
        assert_eq!(grant.standing(s(25)), Standing::SignedIn);
        assert_eq!(grant.counted(), Counted { polls: 4, lawful: 3 });
    }
}

#[test]
fn a_retry_after_is_due_once() {
    let mut grant = grant();
    grant.trouble(Trouble::RetryAfter);
    assert_eq!(poll(&mut grant, 5), Refusal::RetryLater(10));
    assert_eq!(grant.due(), s(10));
    assert_eq!(poll(&mut grant, 14), Refusal::AuthorizationPending, "a second too soon, but the interval is kept");
    assert_eq!(grant.due(), s(5));
    let gaps: Vec<_> = grant.polls().map(|poll| (poll.waited, poll.due, poll.is_lawful())).collect();
    assert_eq!(gaps, [(s(5), s(5), true), (s(9), s(10), false)]);
}

#[test]
fn the_last_button_counts() {
    let mut grant = grant();
    grant.trouble(Trouble::Unavailable);
    grant.trouble(Trouble::SlowDown);
    assert_eq!(poll(&mut grant, 5), Refusal::SlowDown);
    assert_eq!(poll(&mut grant, 15), Refusal::AuthorizationPending);
}

#[test]
fn a_code_that_is_ended_early_is_dead_for_device_and_person_and_does_not_come_back() {
    let mut grant = grant();
    grant.expire(s(7));
    grant.expire(s(9));
    assert_eq!((grant.expires, grant.standing(s(7))), (s(7), Standing::Expired));
    assert!(!grant.is_over(s(7)), "the client has not heard of it");
    assert_eq!(poll(&mut grant, 7), Refusal::ExpiredToken);
    assert!(grant.is_over(s(7)));
}

#[test]
fn it_is_over_when_the_client_has_heard_it_or_will_not_ask_again() {
    let mut denied = grant();
    assert!(denied.decide(Decision::Deny));
    assert!(!denied.is_over(s(5)));
    assert_eq!(poll(&mut denied, 5), Refusal::AccessDenied);
    assert!(denied.is_over(s(5)));
    let silent = grant();
    assert!(!silent.is_over(s(609)));
    assert!(silent.is_over(s(610)), "an interval and five seconds after the code's end");
}

#[test]
fn the_last_hundred_polls_are_kept_and_all_are_counted() {
    let mut grant = grant();
    for second in 1..=250 {
        poll(&mut grant, second);
    }
    let kept: Vec<u64> = grant.polls().map(|poll| poll.number).collect();
    assert_eq!(kept, (151..=250).collect::<Vec<_>>());
    assert_eq!(grant.counted(), Counted { polls: 250, lawful: 0 });
}
