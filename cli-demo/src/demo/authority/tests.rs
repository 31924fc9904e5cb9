//! Proves the server's rules in virtual time: a test says what time it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use super::*;
use std::net::Ipv4Addr;

const CLIENT: &str = "tv";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const FORM: Guesser = Guesser { peer: PEER, by_address: false };

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn authority() -> Authority {
    Authority::new(Options::default())
}

fn ask(scope: &str) -> AuthorizationRequest {
    AuthorizationRequest { client_id: CLIENT.to_owned(), scope: scope.to_owned(), code_challenge: None, peer: PEER }
}

fn poll(authority: &mut Authority, issued: &Issued, now: Duration) -> Result<Tokens, Refusal> {
    authority.poll(CLIENT, &issued.device_code, None, now)
}

/// An approved sign-in, redeemed at 5 s.
fn signed_in(authority: &mut Authority, scope: &str) -> Tokens {
    let issued = authority.issue(ask(scope), s(0)).unwrap();
    authority.decide(&issued.user_code, Decision::Approve, None, s(1)).unwrap();
    poll(authority, &issued, s(5)).unwrap()
}

#[test]
fn rfc8628_3_5_pending_until_a_person_decides_then_tokens_once() {
    let mut authority = authority();
    let issued = authority.issue(ask("openid"), s(0)).unwrap();
    assert_eq!(poll(&mut authority, &issued, s(5)).unwrap_err(), Refusal::AuthorizationPending);
    authority.decide(&issued.user_code, Decision::Approve, None, s(6)).unwrap();
    let tokens = poll(&mut authority, &issued, s(10)).unwrap();
    assert_eq!(authority.scope_of(&tokens.access_token, s(10)), Some("openid"));
    assert!(matches!(poll(&mut authority, &issued, s(15)), Err(Refusal::InvalidGrant(_))));
    assert_eq!(authority.polls(&issued.user_code), [s(5), s(10), s(15)]);
}

#[test]
fn rfc8628_3_5_slow_down_adds_five_seconds_for_good() {
    let mut authority = authority();
    let issued = authority.issue(ask(""), s(0)).unwrap();
    assert_eq!(poll(&mut authority, &issued, s(4)).unwrap_err(), Refusal::SlowDown, "the first poll counts from issue");
    assert_eq!(poll(&mut authority, &issued, s(13)).unwrap_err(), Refusal::SlowDown, "the interval is now 10 s");
    assert_eq!(poll(&mut authority, &issued, s(28)).unwrap_err(), Refusal::AuthorizationPending, "15 s are enough");
    assert_eq!(poll(&mut authority, &issued, s(42)).unwrap_err(), Refusal::SlowDown, "and the interval stays");
}

// S01: a twentieth of the interval, at most half a second.
#[test]
fn s01_the_demo_takes_a_poll_that_is_a_little_too_soon() {
    let ms = Duration::from_millis;
    for (interval, enough) in [(1, ms(950)), (2, ms(1_900)), (5, ms(4_750)), (10, ms(9_500)), (60, ms(59_500))] {
        let mut authority = Authority::new(Options { interval: s(interval), ..Options::default() });
        let [one, other] = [(); 2].map(|()| authority.issue(ask(""), s(0)).unwrap());
        let too_soon = enough - Duration::from_nanos(1);
        assert_eq!(poll(&mut authority, &one, too_soon).unwrap_err(), Refusal::SlowDown, "{interval}");
        assert_eq!(poll(&mut authority, &other, enough).unwrap_err(), Refusal::AuthorizationPending, "{interval}");
        // What slow_down has added counts as well: 5 s more need half a second less at most.
        let longer = interval + 5;
        let tolerance = (s(longer) / 20).min(ms(500));
        let enough = too_soon + s(longer) - tolerance;
        assert_eq!(poll(&mut authority, &one, enough).unwrap_err(), Refusal::AuthorizationPending, "{interval}");
    }
}

// S02: it ends the polling, which is all that the server can want.
#[test]
fn s02_at_the_demo_a_decision_goes_before_slow_down() {
    let mut authority = authority();
    let [approved, denied, expired] = [(); 3].map(|()| authority.issue(ask(""), s(0)).unwrap());
    authority.decide(&approved.user_code, Decision::Approve, None, s(1)).unwrap();
    authority.decide(&denied.user_code, Decision::Deny, None, s(1)).unwrap();
    assert!(poll(&mut authority, &approved, s(1)).is_ok(), "too soon, and approved");
    assert_eq!(poll(&mut authority, &denied, s(1)).unwrap_err(), Refusal::AccessDenied);
    assert_eq!(poll(&mut authority, &expired, s(599)).unwrap_err(), Refusal::AuthorizationPending);
    assert_eq!(poll(&mut authority, &expired, s(600)).unwrap_err(), Refusal::ExpiredToken);
    let number = 1;
    let polls: Vec<bool> = authority.grant(number).unwrap().polls().map(|poll| poll.is_lawful()).collect();
    assert_eq!(polls, [false], "it came too soon all the same");
}

#[test]
fn rfc8628_3_5_slow_down_is_each_codes_own() {
    let mut authority = authority();
    let (one, other) = (authority.issue(ask(""), s(0)).unwrap(), authority.issue(ask(""), s(0)).unwrap());
    assert_eq!(poll(&mut authority, &one, s(1)).unwrap_err(), Refusal::SlowDown);
    assert_eq!(poll(&mut authority, &other, s(5)).unwrap_err(), Refusal::AuthorizationPending);
}

#[test]
fn rfc8628_3_5_denied_stays_denied() {
    let mut authority = authority();
    let issued = authority.issue(ask(""), s(0)).unwrap();
    authority.decide(&issued.user_code, Decision::Deny, None, s(1)).unwrap();
    assert_eq!(poll(&mut authority, &issued, s(5)).unwrap_err(), Refusal::AccessDenied);
    assert_eq!(poll(&mut authority, &issued, s(10)).unwrap_err(), Refusal::AccessDenied);
}

#[test]
fn rfc8628_3_5_a_code_expires_for_device_and_person_even_when_approved() {
    let mut authority = authority();
    let (waiting, approved) = (authority.issue(ask(""), s(0)).unwrap(), authority.issue(ask(""), s(0)).unwrap());
    authority.decide(&approved.user_code, Decision::Approve, None, s(599)).unwrap();
    assert_eq!(poll(&mut authority, &waiting, s(599)).unwrap_err(), Refusal::AuthorizationPending);
    assert_eq!(poll(&mut authority, &waiting, s(600)).unwrap_err(), Refusal::ExpiredToken);
    assert_eq!(poll(&mut authority, &approved, s(600)).unwrap_err(), Refusal::ExpiredToken);
    assert_eq!(authority.look_up(&waiting.user_code, FORM, s(600)).unwrap_err(), CodeProblem::Expired);
    assert_eq!(
        authority.decide(&waiting.user_code, Decision::Approve, None, s(600)).unwrap_err(),
        CodeProblem::Expired
    );
}

#[test]
fn expired_codes_and_tokens_are_dropped() {
    let mut authority = authority();
    let tokens = signed_in(&mut authority, "");
    let later = s(600) + REMEMBER_CODE + REFRESH_LIFETIME;
    authority.issue(ask(""), later).unwrap();
    assert_eq!((authority.grants.len(), authority.device_codes.len(), authority.families.len()), (1, 1, 0));
    assert_eq!((authority.refresh_tokens.len(), authority.access_tokens.len()), (0, 0));
    assert!(authority.refresh(CLIENT, &tokens.refresh_token, None, later).is_err());
}

#[test]
fn rfc8628_5_2_another_client_cannot_redeem_a_code() {
    let mut authority = authority();
    let issued = authority.issue(ask(""), s(0)).unwrap();
    authority.decide(&issued.user_code, Decision::Approve, None, s(1)).unwrap();
    assert!(matches!(authority.poll("thief", &issued.device_code, None, s(5)), Err(Refusal::InvalidGrant(_))));
    assert!(poll(&mut authority, &issued, s(5)).is_ok(), "the thief's poll is not counts against the owner");
}

#[test]
fn rfc8628_6_1_user_codes_are_compared_without_case_and_punctuation() {
    let mut authority = authority();
    let issued = authority.issue(ask(""), s(0)).unwrap();
    let code = &issued.user_code;
    for typed in [code.clone(), code.to_lowercase(), code.replace('-', ""), format!(" {} ", code.replace('-', " – "))]
    {
        assert!(authority.look_up(&typed, FORM, s(1)).is_ok(), "{typed}");
    }
}

#[test]
fn rfc8628_6_1_user_codes_have_two_groups_of_four_safe_letters() {
    for _ in 0..500 {
        let code = random::user_code().unwrap();
        let is_letter = |letter: char| "BCDFGHJKLMNPQRSTVWXZ".contains(letter);
        assert!(
            code.char_indices().all(|(at, letter)| if at == 4 { letter == '-' } else { is_letter(letter) }),
            "{code}"
        );
        assert_eq!(code.len(), 9);
    }
}

#[test]
fn rfc8628_5_1_after_ten_wrong_codes_none_is_accepted_for_a_minute() {
    let mut authority = authority();
    let issued = authority.issue(ask(""), s(0)).unwrap();
    for second in 0..10 {
        assert_eq!(authority.look_up("AAAA-AAAA", FORM, s(second)).unwrap_err(), CodeProblem::Unknown);
    }
    assert_eq!(
        authority.look_up(&issued.user_code, FORM, s(59)).unwrap_err(),
        CodeProblem::TooManyWrong,
        "not even the right code"
    );
    assert!(authority.look_up(&issued.user_code, FORM, s(60)).is_ok());
}

// S04: what one peer types, or a page makes a browser open, locks nobody else's form.
#[test]
fn s04_the_demo_counts_wrong_codes_for_each_peer_and_apart_from_addresses() {
    let mut authority = authority();
    let issued = authority.issue(ask(""), s(0)).unwrap();
    let other = Guesser { peer: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), by_address: false };
    for guesser in [other, Guesser { by_address: true, ..FORM }] {
        for _ in 0..WRONG_CODE_LIMIT {
            assert_eq!(authority.look_up("AAAA-AAAA", guesser, s(1)).unwrap_err(), CodeProblem::Unknown);
        }
        assert_eq!(authority.look_up(&issued.user_code, guesser, s(1)).unwrap_err(), CodeProblem::TooManyWrong);
    }
    assert!(authority.look_up(&issued.user_code, FORM, s(1)).is_ok());
    assert!(authority.decide(&issued.user_code, Decision::Approve, Some(FORM), s(1)).is_ok());
    authority.issue(ask(""), s(120)).unwrap();
    assert_eq!(authority.wrong_codes.len(), 0, "and forgets them");
}

#[test]
fn a_decision_is_final_and_a_double_click_is_not_a_second_one() {
    let mut authority = authority();
    let issued = authority.issue(ask(""), s(0)).unwrap();
    authority.decide(&issued.user_code, Decision::Approve, None, s(1)).unwrap();
    assert!(authority.decide(&issued.user_code, Decision::Approve, None, s(1)).is_ok());
    assert_eq!(authority.decide(&issued.user_code, Decision::Deny, None, s(1)).unwrap_err(), CodeProblem::AlreadyUsed);
    assert_eq!(authority.look_up(&issued.user_code, FORM, s(1)).unwrap_err(), CodeProblem::AlreadyUsed);
}

#[test]
fn rfc7636_4_6_the_verifier_must_match_the_challenge() {
    let mut authority = authority();
    // The example of RFC 7636 appendix B.
    let (verifier, challenge) =
        ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let issued =
        authority.issue(AuthorizationRequest { code_challenge: Some(challenge.to_owned()), ..ask("") }, s(0)).unwrap();
    authority.decide(&issued.user_code, Decision::Approve, None, s(1)).unwrap();
    for (wrong, at) in [(None, 5), (Some("wrong"), 10), (Some(challenge), 15)] {
        assert!(matches!(authority.poll(CLIENT, &issued.device_code, wrong, s(at)), Err(Refusal::InvalidGrant(_))));
    }
    assert!(authority.poll(CLIENT, &issued.device_code, Some(verifier), s(20)).is_ok());
}

#[test]
fn rfc9700_2_1_1_a_verifier_without_a_challenge_is_refused() {
    let mut authority = authority();
    let issued = authority.issue(ask(""), s(0)).unwrap();
    authority.decide(&issued.user_code, Decision::Approve, None, s(1)).unwrap();
    assert!(matches!(authority.poll(CLIENT, &issued.device_code, Some("any"), s(5)), Err(Refusal::InvalidGrant(_))));
}

#[test]
fn rfc9700_4_14_2_refresh_tokens_rotate_and_reuse_revokes_the_family() {
    let mut authority = authority();
    let first = signed_in(&mut authority, "");
    let second = authority.refresh(CLIENT, &first.refresh_token, None, s(10)).unwrap();
    assert!(authority.scope_of(&second.access_token, s(10)).is_some());
    assert!(matches!(authority.refresh(CLIENT, &first.refresh_token, None, s(11)), Err(Refusal::InvalidGrant(_))));
    assert!(matches!(authority.refresh(CLIENT, &second.refresh_token, None, s(12)), Err(Refusal::InvalidGrant(_))));
    assert_eq!(authority.scope_of(&first.access_token, s(12)), None);
    assert_eq!(authority.scope_of(&second.access_token, s(12)), None);
}

#[test]
fn rfc6749_6_a_refresh_may_narrow_the_scope_but_not_widen_it() {
    let mut authority = authority();
    let first = signed_in(&mut authority, "openid email");
    assert_eq!(
        authority.refresh(CLIENT, &first.refresh_token, Some("openid admin"), s(6)).unwrap_err(),
        Refusal::InvalidScope
    );
    let second = authority.refresh(CLIENT, &first.refresh_token, Some("email"), s(7)).unwrap();
    assert_eq!(second.scope, "email");
    let third = authority.refresh(CLIENT, &second.refresh_token, None, s(8)).unwrap();
    assert_eq!(third.scope, "openid email", "the refresh token keeps what was granted");
    assert!(authority.refresh("thief", &third.refresh_token, None, s(9)).is_err());
}

#[test]
fn access_tokens_expire() {
    let mut authority = authority();
    let tokens = signed_in(&mut authority, "");
    assert!(authority.scope_of(&tokens.access_token, s(5 + 3599)).is_some());
    assert!(authority.scope_of(&tokens.access_token, s(5 + 3600)).is_none());
}

#[test]
fn rfc7009_2_1_revoking_a_refresh_token_ends_all_and_an_access_token_only_itself() {
    let mut authority = authority();
    let first = signed_in(&mut authority, "");
    assert!(matches!(authority.revoke("thief", &first.access_token), Err(Refusal::InvalidGrant(_))));
    authority.revoke(CLIENT, &first.access_token).unwrap();
    assert_eq!(authority.scope_of(&first.access_token, s(6)), None);
    let second = authority.refresh(CLIENT, &first.refresh_token, None, s(6)).unwrap();
    authority.revoke(CLIENT, &second.refresh_token).unwrap();
    assert_eq!(authority.scope_of(&second.access_token, s(7)), None);
    assert!(authority.refresh(CLIENT, &second.refresh_token, None, s(7)).is_err());
    authority.revoke(CLIENT, "never issued").unwrap();
}

#[test]
fn rfc6749_3_3_malformed_scopes_are_refused() {
    let mut authority = authority();
    for scope in [" ", "a  b", "a ", "quo\"te", "back\\slash", "ünicode", "new\nline"] {
        assert_eq!(authority.issue(ask(scope), s(0)).err(), Some(Refusal::InvalidScope), "{scope:?}");
    }
}

// A server that is left running does not grow.
#[test]
fn the_last_fifty_sign_ins_that_are_over_are_stored() {
    let mut authority = authority();
    let waiting = authority.issue(ask(""), s(0)).unwrap();
    for _ in 0..200 {
        signed_in(&mut authority, "");
    }
    // The last one ended after room was made for it.
    assert_eq!(authority.grants().count(), 1 + MOST_OVER + 1);
    assert_eq!((authority.user_codes.len(), authority.device_codes.len()), (52, 52));
    assert_eq!(authority.grants().next().unwrap().number, 201, "the newest is the first");
    assert!(authority.look_up(&waiting.user_code, FORM, s(1)).is_ok(), "a pending sign-in is never dropped");
}

#[test]
fn the_demo_drops_no_sign_in_before_its_verdict() {
    let mut authority = authority();
    assert_eq!(authority.judged_now(s(0), false).count(), 0);
    for _ in 0..200 {
        signed_in(&mut authority, "");
    }
    // Redeemed at 5 s, two intervals of 5 s, and 2 s.
    assert_eq!(authority.judged_now(s(16), false).count(), 0);
    assert_eq!(authority.judged_now(s(17), false).count(), 200);
    assert_eq!(authority.judged_now(s(17), true).count(), 0);
    authority.issue(ask(""), s(18)).unwrap();
    assert_eq!(authority.grants().count(), MOST_OVER + 1);
}

// S04.
#[test]
fn s04_at_the_demo_too_many_sign_ins_of_a_peer_or_of_all_are_refused_until_some_are_over() {
    let mut authority = authority();
    let from = |last: u8| AuthorizationRequest { peer: IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), ..ask("") };
    for peer in 1..=5 {
        for _ in 0..MOST_OF_A_PEER {
            authority.issue(from(peer), s(0)).unwrap();
        }
        if peer < 5 {
            assert_eq!(authority.issue(from(peer), s(1)).err(), Some(Refusal::RetryLater(RETRY_AFTER)), "{peer}");
        }
    }
    assert_eq!(authority.grants().count(), MOST);
    assert_eq!(authority.issue(from(6), s(1)).err(), Some(Refusal::Unavailable), "a new peer, but no room");
    assert!(authority.issue(from(1), s(700)).is_ok());
    assert_eq!(authority.grants().count(), MOST_OVER + 1);
}

#[test]
fn a_family_stores_only_its_last_tokens() {
    let mut authority = authority();
    let first = signed_in(&mut authority, "");
    let mut newest = authority.refresh(CLIENT, &first.refresh_token, None, s(6)).unwrap();
    for second in 7..1_000 {
        newest = authority.refresh(CLIENT, &newest.refresh_token, None, s(second)).unwrap();
    }
    assert_eq!((authority.refresh_tokens.len(), authority.access_tokens.len()), (MOST_TOKENS, MOST_TOKENS));
    assert!(authority.refresh(CLIENT, &first.refresh_token, None, s(1_000)).is_err(), "a dropped token is refused");
    assert!(authority.scope_of(&newest.access_token, s(1_000)).is_some());
}

#[test]
fn buttons_work_until_it_is_over_and_do_not_undo_an_approval() {
    let mut authority = authority();
    let issued = authority.issue(ask(""), s(0)).unwrap();
    let number = authority.grants().next().unwrap().number;
    authority.decide(&issued.user_code, Decision::Approve, None, s(1)).unwrap();
    assert!(!authority.misbehave(number, Misbehaviour::Deny, s(2)), "it was approved");
    assert!(authority.misbehave(number, Misbehaviour::Fault(Fault::SlowDown), s(2)));
    assert_eq!(poll(&mut authority, &issued, s(5)).unwrap_err(), Refusal::SlowDown);
    assert!(poll(&mut authority, &issued, s(15)).is_ok());
    assert!(!authority.misbehave(number, Misbehaviour::Expire, s(16)), "it is over");
    assert!(!authority.misbehave(number + 1, Misbehaviour::Expire, s(16)), "there is no such sign-in");
}
