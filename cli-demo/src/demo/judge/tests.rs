//! Proves the judge: each rule kept, broken and not tried, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

use super::*;
use crate::demo::grant::{AuthorizationRequest, Plan};
use crate::demo::options::{Decision, Fault};
use axum::http::HeaderValue;
use std::net::{IpAddr, Ipv4Addr};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A sign-in with an interval of 5 s, valid for 100 s, polled at these seconds with a fault before the second poll; a
/// decision comes before the last one.
fn polled(at: &[u64], fault: Option<Fault>, decision: Option<Decision>) -> Grant {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let ask = AuthorizationRequest { client_id: "tv".to_owned(), scope: String::new(), code_challenge: None, peer };
    let plan = Plan { fault, decision: None };
    let mut grant = Grant::new(1, ask, "BCDF-GHJK".to_owned(), s(0), (s(5), s(100)), plan);
    for (index, now) in at.iter().enumerate() {
        if index + 1 == at.len()
            && let Some(decision) = decision
        {
            assert!(grant.decide(decision));
        }
        let _ = grant.poll(None, s(*now));
    }
    grant
}

fn found(verdict: &Verdict, id: &str) -> (Kept, String) {
    let rule = verdict.rules.iter().find(|rule| rule.id == id).unwrap();
    (rule.verdict, rule.detail.clone().unwrap_or_default())
}

fn judged(grant: &Grant, id: &str, now: u64) -> (Kept, String) {
    found(&Manners::default().verdict(grant, s(now)), id)
}

const KEPT: (Kept, String) = (Kept::Kept, String::new());
const NOT_TRIED: (Kept, String) = (Kept::NotTried, String::new());

fn broken(detail: &str) -> (Kept, String) {
    (Kept::Broken, detail.to_owned())
}

#[test]
fn the_demos_judge_knows_every_rule_once_and_tells_them_in_order() {
    let rules = RULES.map(|(rule, ..)| rule);
    assert!(rules.is_sorted_by(|one, other| one < other));
    let verdict = Manners::default().verdict(&polled(&[], None, None), s(1));
    assert!(verdict.rules.iter().all(|rule| rule.verdict == Kept::NotTried), "{verdict}");
    assert_eq!((verdict.end, verdict.polls), ("unfinished", 0));
    assert!(verdict.to_string().starts_with("Sign-in 1 of client \"tv\": unfinished, 0 polls\n  not tried  The first"));
}

#[test]
fn the_page_about_other_clients_lists_the_rules_of_the_demos_judge() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/other-clients.md");
    let page = std::fs::read_to_string(page).unwrap();
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `--")).collect();
    let rules = RULES.map(|(_, id, words, source)| format!("| `{id}` | {words} | {source} |"));
    assert_eq!(listed, rules);
}

#[test]
fn the_demos_judge_on_the_first_poll_and_the_interval() {
    for (at, first, interval) in [
        (&[5, 10, 15][..], KEPT, KEPT),
        (&[0, 10], broken("poll 1 came after 0.0 s, not 5.0 s"), KEPT),
        (&[5, 9], KEPT, broken("poll 2 came after 4.0 s, not 5.0 s")),
        (&[5], KEPT, NOT_TRIED),
    ] {
        let grant = polled(at, None, None);
        assert_eq!((judged(&grant, "first_poll", 20), judged(&grant, "interval", 20)), (first, interval), "{at:?}");
    }
}

#[test]
fn the_demos_judge_on_slow_down() {
    let slow = Some(Fault::SlowDown);
    for (at, slow_down, interval) in [
        (&[5, 10, 20, 30][..], KEPT, KEPT),
        (&[5, 10, 20, 25], broken("poll 4 came after 5.0 s, not 10.0 s"), KEPT),
        (&[5, 10, 15], broken("poll 3 came after 5.0 s, not 10.0 s"), KEPT),
        (&[5, 10, 12], broken("poll 3 came after 2.0 s, not 10.0 s"), broken("poll 3 came after 2.0 s, not 5.0 s")),
        (&[5, 10], NOT_TRIED, KEPT),
    ] {
        let grant = polled(at, slow, None);
        assert_eq!((judged(&grant, "slow_down", 40), judged(&grant, "interval", 40)), (slow_down, interval), "{at:?}");
    }
}

#[test]
fn the_demos_judge_on_an_outage() {
    for fault in [Fault::Unavailable, Fault::HangUp] {
        let grant = polled(&[5, 10, 20, 40, 80], Some(fault), None);
        assert_eq!((judged(&grant, "goes_on", 90), judged(&grant, "back_off", 90)), (KEPT, KEPT));
        // A quarter more than the interval is a back-off; a tenth may be jitter.
        let grant = polled(&[5, 10, 16], Some(fault), None);
        assert_eq!(judged(&grant, "back_off", 20), broken("poll 3 came 6.0 s after a poll that failed"));
        assert_eq!(judged(&polled(&[5, 10, 17], Some(fault), None), "back_off", 20), KEPT);
        let gone = polled(&[5, 10], Some(fault), None);
        assert_eq!((judged(&gone, "goes_on", 99), judged(&gone, "back_off", 99)), (NOT_TRIED, NOT_TRIED));
        assert_eq!(judged(&gone, "goes_on", 100), broken("no poll came after poll 2, which failed"));
    }
}

#[test]
fn the_demos_judge_on_retry_after_and_late_answers() {
    let retry = Some(Fault::RetryAfter);
    assert_eq!(judged(&polled(&[5, 10, 20], retry, None), "retry_after", 30), KEPT);
    let grant = polled(&[5, 10, 15], retry, None);
    assert_eq!(judged(&grant, "retry_after", 30), broken("poll 3 came after 5.0 s, not 10.0 s"));
    assert_eq!((judged(&grant, "slow_down", 30), judged(&grant, "goes_on", 30)), (NOT_TRIED, KEPT));
    let gone = polled(&[5, 10], retry, None);
    assert_eq!(judged(&gone, "goes_on", 100), broken("no poll came after poll 2, which failed"));

    let late = Some(Fault::LateAnswer);
    let judge = |at: &[u64]| {
        let grant = polled(at, late, None);
        (judged(&grant, "one_at_a_time", 50), judged(&grant, "interval", 50))
    };
    // The second poll is answered at 16 s.
    assert_eq!(judge(&[5, 10, 21]), (KEPT, KEPT));
    assert_eq!(judge(&[5, 10, 17]), (KEPT, broken("poll 3 came after 1.0 s, not 5.0 s")));
    let overlap = broken("poll 3 came before the answer to poll 2");
    assert_eq!(judge(&[5, 10, 15]), (overlap, broken("poll 3 came after 0.0 s, not 5.0 s")));
}

#[test]
fn the_demos_judge_on_the_end() {
    for (decision, last) in [(Decision::Approve, "the tokens"), (Decision::Deny, "access_denied")] {
        let grant = polled(&[5, 10], None, Some(decision));
        assert_eq!(judged(&grant, "end", 20), KEPT);
        let mut grant = grant;
        let _ = grant.poll(None, s(15));
        assert_eq!(judged(&grant, "end", 20), broken(&format!("poll 3 came after {last}")));
    }
    assert_eq!(judged(&polled(&[5, 10], None, None), "end", 20), NOT_TRIED);
}

#[test]
fn the_demos_judge_on_expiry() {
    let silent = polled(&[5, 90], None, None);
    assert_eq!((judged(&silent, "expiry", 99), judged(&silent, "expiry", 100)), (NOT_TRIED, KEPT));
    // The client counts from when the answer came, so that it may be a little late.
    let mut in_time = polled(&[5], None, None);
    let _ = in_time.poll(None, s(100) + Duration::from_millis(250));
    assert_eq!((judged(&in_time, "expiry", 110), judged(&in_time, "end", 110)), (NOT_TRIED, KEPT));
    let late = polled(&[5, 101], None, None);
    assert_eq!(judged(&late, "expiry", 110), broken("poll 2 came 1.0 s after the end"));
    // The client cannot know that a button has ended the code.
    let mut ended = polled(&[5], None, None);
    ended.expire(s(7));
    let _ = ended.poll(None, s(10));
    assert_eq!(judged(&ended, "expiry", 20), NOT_TRIED);
}

/// What is found of a request: rule, and verdict with its detail.
fn manners(method: &Method, path: &str, query: &str, headers: &[(&'static str, &'static str)], body: &str) -> Verdict {
    let mut manners = Manners::default();
    let headers =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
    manners.see(&Sight { method, path, query, headers: &headers, body: body.as_bytes() });
    manners.verdict(&polled(&[5], None, None), s(6))
}

#[test]
fn the_demos_judge_on_the_form_of_a_request() {
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    const BASIC: (&str, &str) = ("authorization", "Basic dHY6c2VjcmV0LWNhbmFyeQ==");
    let good = "client_id=tv&grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=canary";
    let verdict = manners(&Method::POST, "/token", "", &[FORM], good);
    for id in ["form", "once", "url", "identity"] {
        assert_eq!(found(&verdict, id), KEPT, "{id}");
    }
    let twice = format!("{good}&grant_type=x");
    let secret = format!("{good}&client_secret=canary");
    for (method, path, query, headers, body, id, detail) in [
        (Method::GET, "/token", good, &[][..], "", "url", "device_code stands in the URL of /token"),
        (
            Method::GET,
            "/token",
            "client_id=tv",
            &[FORM],
            "",
            "form",
            "GET /token with application/x-www-form-urlencoded",
        ),
        (
            Method::POST,
            "/token",
            "",
            &[("content-type", "application/json")],
            "{}",
            "form",
            "POST /token with application/json",
        ),
        (Method::POST, "/token", "", &[], good, "form", "POST /token with no media type"),
        (Method::POST, "/token", "", &[FORM], &twice, "once", "grant_type is repeated"),
        (
            Method::POST,
            "/token",
            "",
            &[FORM],
            "client_id=tv&grant_type=device_code",
            "once",
            "grant_type is device_code",
        ),
        (Method::POST, "/token", "", &[FORM], "client_id=tv&grant_type=a%0Ab", "once", "grant_type is a\\nb"),
        (Method::POST, "/token", "", &[FORM], "client_id=tv", "once", "grant_type is missing"),
        (
            Method::POST,
            "/token",
            "",
            &[FORM, BASIC],
            &secret,
            "identity",
            "the request to /token authenticates the client in two ways",
        ),
        (
            Method::GET,
            "/userinfo",
            "access_token=canary",
            &[],
            "",
            "url",
            "access_token stands in the URL of /userinfo",
        ),
    ] {
        let verdict = manners(&method, path, query, headers, body);
        assert_eq!(found(&verdict, id), broken(detail), "{method} {path} {query} {body}");
        assert!(!verdict.to_string().contains("canary"), "{verdict}");
    }
    let revoked = manners(&Method::POST, "/revoke", "token=canary", &[FORM], "client_id=tv");
    assert_eq!(found(&revoked, "url"), broken("token stands in the URL of /revoke"));
    // A browser asks so before a page may, and says of no client whose it is.
    let preflight = manners(&Method::OPTIONS, "/token", "", &[], "");
    assert_eq!(found(&preflight, "form"), NOT_TRIED);
    // RFC 8707 §2: one parameter may be repeated.
    let resources = format!("{good}&resource=a&resource=b");
    assert_eq!(found(&manners(&Method::POST, "/token", "", &[FORM, BASIC], &resources), "once"), KEPT);
    let other = manners(&Method::POST, "/token", "", &[FORM], &twice.replace("client_id=tv", "client_id=radio"));
    assert_eq!(found(&other, "once"), NOT_TRIED, "another client's");
}
