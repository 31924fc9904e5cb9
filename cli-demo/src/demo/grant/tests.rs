//! Tests for `grant`: the polling law of one sign-in, and faults on purpose, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

use super::*;
use std::net::Ipv4Addr;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Issued at 0 s, with an interval of 5 s, valid for 10 minutes.
fn grant() -> Grant {
    planned(Plan::default())
}

fn planned(plan: Plan) -> Grant {
    let ask =
        AuthorizationRequest { client_id: "tv".to_owned(), scope: String::new(), code_challenge: None, peer: PEER };
    Grant::new(7, ask, "BCDF-GHJK".to_owned(), s(0), (s(5), s(600)), plan)
}

fn poll(grant: &mut Grant, now: u64) -> Refusal {
    grant.poll(None, s(now)).unwrap_err()
}

#[test]
fn rfc8628_3_5_a_slow_down_on_purpose_is_one_answer_and_five_seconds_for_good() {
    let mut grant = grant();
    grant.add_fault(Fault::SlowDown);
    assert_eq!(poll(&mut grant, 5), Refusal::SlowDown);
    assert_eq!((grant.interval, grant.pending_fault()), (s(10), None));
    assert_eq!(poll(&mut grant, 15), Refusal::AuthorizationPending);
    assert_eq!(poll(&mut grant, 24), Refusal::SlowDown, "a second less than the new interval");
    let lawful: Vec<bool> = grant.polls().map(Poll::is_lawful).collect();
    assert_eq!(lawful, [true, true, false], "the first was in time, whatever its answer");
    assert_eq!(grant.counts(), PollCounts { polls: 3, lawful: 2 });
}

#[test]
fn an_outage_lasts_three_polls_and_leaves_interval_and_decision_alone() {
    for (fault, answer) in [(Fault::Unavailable, Refusal::Unavailable), (Fault::HangUp, Refusal::HungUp)] {
        let mut grant = grant();
        grant.add_fault(fault);
        assert!(grant.decide(Decision::Approve));
        assert_eq!(poll(&mut grant, 5), answer);
        assert_eq!(grant.pending_fault(), Some((fault, 2)));
        assert_eq!(poll(&mut grant, 6), answer, "a server that is down checks nothing");
        assert_eq!(poll(&mut grant, 20), answer);
        assert_eq!((grant.interval, grant.pending_fault()), (s(5), None));
        assert_eq!(grant.status(s(20)), Status::Approved);
        assert_eq!(grant.poll(None, s(25)), Ok(()));
        assert_eq!(grant.status(s(25)), Status::SignedIn);
        assert_eq!(grant.counts(), PollCounts { polls: 4, lawful: 3 });
    }
}

#[test]
fn a_retry_after_counts_for_one_gap() {
    let mut grant = grant();
    grant.add_fault(Fault::RetryAfter);
    assert_eq!(poll(&mut grant, 5), Refusal::RetryLater(10));
    assert_eq!(grant.due(), s(10));
    assert_eq!(poll(&mut grant, 14), Refusal::AuthorizationPending, "a second too soon, but the interval is stored");
    assert_eq!(grant.due(), s(5));
    let gaps: Vec<_> = grant.polls().map(|poll| (poll.waited, poll.due, poll.is_lawful())).collect();
    assert_eq!(gaps, [(s(5), s(5), true), (s(9), s(10), false)]);
}

#[test]
fn a_new_fault_replaces_the_one_before() {
    let mut grant = grant();
    grant.add_fault(Fault::Unavailable);
    grant.add_fault(Fault::SlowDown);
    assert_eq!(poll(&mut grant, 5), Refusal::SlowDown);
    assert_eq!(poll(&mut grant, 15), Refusal::AuthorizationPending);
}

#[test]
fn a_code_that_expires_early_stays_expired() {
    let mut grant = grant();
    grant.expire(s(7));
    grant.expire(s(9));
    assert_eq!((grant.expires, grant.status(s(7))), (s(7), Status::Expired));
    assert!(!grant.is_over(s(7)), "the client does not know it yet");
    assert_eq!(poll(&mut grant, 7), Refusal::ExpiredToken);
    assert!(grant.is_over(s(7)));
}

#[test]
fn it_is_over_when_the_client_knows_it_or_will_not_poll_again() {
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
fn the_last_hundred_polls_are_stored_and_all_are_counted() {
    let mut grant = grant();
    for second in 1..=250 {
        poll(&mut grant, second);
    }
    let stored: Vec<u64> = grant.polls().map(|poll| poll.number).collect();
    assert_eq!(stored, (151..=250).collect::<Vec<_>>());
    assert_eq!(grant.counts(), PollCounts { polls: 250, lawful: 0 });
}

#[test]
fn a_plan_of_the_demo_begins_at_the_second_poll_and_ends_after_the_fourth() {
    let mut grant = planned(Plan { decision: Some(Decision::Approve), fault: Some(Fault::SlowDown) });
    let answers = [5, 10, 20, 30].map(|now| poll(&mut grant, now));
    use Refusal::{AuthorizationPending, SlowDown};
    assert_eq!(answers, [AuthorizationPending, SlowDown, AuthorizationPending, AuthorizationPending]);
    assert_eq!(grant.poll(None, s(40)), Ok(()));
    let mut grant = planned(Plan { decision: Some(Decision::Deny), fault: Some(Fault::HangUp) });
    let answers = [5, 10, 20, 40, 80].map(|now| poll(&mut grant, now));
    assert_eq!(answers[..4], [AuthorizationPending, Refusal::HungUp, Refusal::HungUp, Refusal::HungUp]);
    assert_eq!(answers[4], Refusal::AccessDenied);
}

#[test]
fn after_a_late_answer_of_the_demo_the_interval_counts_from_it() {
    let mut grant = grant();
    grant.add_fault(Fault::LateAnswer);
    assert_eq!(poll(&mut grant, 5), Refusal::AuthorizationPending);
    assert_eq!((grant.last_answer(), grant.polls().next_back().unwrap().held), (s(11), s(6)));
    assert_eq!(poll(&mut grant, 15), Refusal::SlowDown, "10 s after the request, 4 s after the answer");
    assert_eq!(poll(&mut grant, 25), Refusal::AuthorizationPending);
}

#[test]
fn a_client_is_gone_after_twice_its_interval_or_its_back_off_but_never_once_it_knows() {
    let mut slow = grant();
    slow.interval = s(10);
    assert_eq!((slow.gone_for(s(19)), slow.gone_for(s(20))), (None, Some(s(20))));

    let mut grant = grant();
    assert_eq!((grant.gone_for(s(14)), grant.gone_for(s(15))), (None, Some(s(15))), "at least a quarter of a minute");
    assert_eq!(poll(&mut grant, 20), Refusal::AuthorizationPending);
    assert_eq!((grant.gone_for(s(34)), grant.gone_for(s(35))), (None, Some(s(15))), "it came back");
    grant.add_fault(Fault::HangUp);
    for (number, at) in [40, 50, 70].into_iter().enumerate() {
        assert_eq!(poll(&mut grant, at), Refusal::HungUp);
        let patience = 5 * (4 << number);
        assert_eq!((grant.gone_for(s(at + patience - 1)), grant.gone_for(s(at + patience))), (None, Some(s(patience))));
    }
    assert!(grant.decide(Decision::Deny));
    assert_eq!(poll(&mut grant, 110), Refusal::AccessDenied);
    assert_eq!(grant.gone_for(s(10_000)), None, "it has no reason to come back");
}
