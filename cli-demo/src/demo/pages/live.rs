//! Owns the text and the HTML of the live page of one sign-in: its status, its polls, and the buttons to misbehave.

use std::time::Duration;

use maud::{Markup, html};

use super::frame::{Refresh, hidden, live_page};
use super::timeline::{Mark, bar, clock, seconds, timeline};
use crate::demo::answer::Refusal;
use crate::demo::grant::{Grant, OUTAGE, Poll, RETRY_AFTER, Status};
use crate::demo::options::Fault;

/// How many polls the table shows.
const ROWS: usize = 20;
/// After how many seconds a page without scripts reloads.
const RELOAD: u8 = 3;

pub(in crate::demo) const BROKEN: &str = "The form could not be read. Nothing was changed.";
pub(in crate::demo) const FOREIGN: &str =
    "That did not come from this page, or your browser blocks cookies. Nothing was changed.";
pub(in crate::demo) const TOO_LATE: &str = "It is too late for that: this sign-in is already decided.";

/// The parts of a page that are sent again whenever they change, by their ids.
pub(in crate::demo) type Parts = Vec<(&'static str, Markup)>;

/// The buttons: value, name, effect, and until when there is something that they can change.
const BUTTONS: [(&str, &str, &str, Until); 6] = [
    ("slow_down", "slow_down", "at the next poll", Until::Told),
    ("retry_after", "Retry-After", "429, 10 s", Until::Told),
    ("unavailable", "503", "at three polls", Until::Told),
    ("hang_up", "Hang up", "at three polls", Until::Told),
    ("expire", "Expire", "the code, now", Until::Settled),
    ("deny", "Deny", "as the person", Until::Decided),
];

/// What makes a button useless.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// The person has decided, or the code has expired.
    Decided,
    /// The same, but an approval that the client has not fetched can still expire.
    Settled,
    /// The client knows how it ended, or is no longer expected.
    Told,
}

impl Until {
    fn is_reached(self, grant: &Grant, now: Duration) -> bool {
        let status = grant.status(now);
        grant.is_over(now)
            || match self {
                Self::Told => false,
                Self::Settled => !matches!(status, Status::Waiting | Status::Approved),
                Self::Decided => status != Status::Waiting,
            }
    }
}

/// The whole page. `newest`: the number of the newest sign-in. `still`: a page without scripts does not reload.
pub(in crate::demo) fn page(
    grant: &Grant,
    newest: u64,
    form_token: &str,
    now: Duration,
    (still, problem): (bool, Option<&str>),
) -> Markup {
    let number = grant.number;
    let parts = parts(grant, newest, now);
    let part = |id: &str| parts.iter().find(|(known, _)| *known == id).map(|(_, part)| part);
    let refresh = Refresh { events: &format!("/live/{number}/events"), seconds: (!still).then_some(RELOAD) };
    live_page(
        &format!("Sign-in {number} live"),
        &refresh,
        html! {
            @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
            div.top {
                p.crumb { a href="/" { "All sign-ins" } " / " (number) }
                h1 { span.client { (grant.ask.client_id) } " signs in" }
                div #standing data-live { (part("standing").unwrap_or(&html! {})) }
            }
            p.visually-hidden #news role="status" data-live { (part("news").unwrap_or(&html! {})) }
            p.gone role="alert" hidden { "The demo server has stopped. This is its last state." }
            div.columns {
                section.facts aria-label="In figures" #facts data-live { (part("facts").unwrap_or(&html! {})) }
                section.card.time {
                    h2 { "Polls over time" }
                    div #timeline data-live { (part("timeline").unwrap_or(&html! {})) }
                    (legend())
                }
                div.act {
                    div.card.person #person data-live { (part("person").unwrap_or(&html! {})) }
                    div.card.server {
                        h2 { "Be a bad server" }
                        div #ahead data-live { (part("ahead").unwrap_or(&html! {})) }
                        form method="post" action={ "/live/" (number) "/misbehave" } {
                            (hidden("form_token", form_token))
                            div.misbehave #buttons data-live { (part("buttons").unwrap_or(&html! {})) }
                        }
                    }
                }
                section.card.list {
                    h2 { "Poll by poll" }
                    div #polls data-live { (part("polls").unwrap_or(&html! {})) }
                }
            }
            noscript {
                p.quiet {
                    @if still { a href={ "/live/" (number) } { "Reload every " (RELOAD) " seconds" } }
                    @else { "Without scripts this page reloads every " (RELOAD) " seconds. "
                        a href={ "/live/" (number) "?still" } { "Stop reloading" } }
                }
            }
        },
    )
}

/// The page before the first sign-in.
pub(in crate::demo) fn nothing_yet(base_url: &str) -> Markup {
    let refresh = Refresh { events: "/live/events", seconds: Some(RELOAD) };
    live_page(
        "Waiting for a sign-in",
        &refresh,
        html! {
            div.card.empty {
                h1 { "No sign-in yet" }
                p { "As soon as a client requests a code, this page shows each of its polls." }
                p.quiet { "To try it in a terminal:" }
                pre.address tabindex="0" { "device-flow login --issuer " (base_url) " --client-id my-app --allow-http-loopback" }
            }
        },
    )
}

/// The parts of the page that change.
pub(in crate::demo) fn parts(grant: &Grant, newest: u64, now: Duration) -> Parts {
    let over = grant.is_over(now);
    let ahead = (!over).then(|| grant.due());
    vec![
        ("standing", standing(grant, newest, now)),
        ("news", news(grant, now)),
        ("facts", facts(grant, now)),
        ("timeline", timeline(grant.polls(), grant.issued, now, ahead)),
        ("person", person(grant, now)),
        ("ahead", pending_fault(grant, now)),
        ("buttons", buttons(grant, now)),
        ("polls", polls(grant)),
    ]
}

/// The status as a badge.
pub(super) fn badge(status: Status) -> Markup {
    let (class, words) = match status {
        Status::Waiting => ("badge waiting", "Waiting for the person"),
        Status::Approved => ("badge waiting", "Approved"),
        Status::SignedIn => ("badge good", "Signed in"),
        Status::Denied => ("badge bad", "Denied"),
        Status::Expired => ("badge bad", "Code expired"),
    };
    html! { span class=(class) { (words) } }
}

fn standing(grant: &Grant, newest: u64, now: Duration) -> Markup {
    html! {
        p.standing.over[grant.is_over(now)] {
            (badge(grant.status(now)))
            @if let Some(words) = client_knows(grant, now) { " " span.quiet { (words) } }
            @if newest != grant.number { " " a href="/live" { "A newer sign-in has begun" } }
        }
    }
}

/// What the client may not know, or whether it is there at all.
fn client_knows(grant: &Grant, now: Duration) -> Option<String> {
    let is_waiting = grant.status(now) == Status::Waiting;
    Some(match grant.gone_for(now).map(|silent| silent.as_secs()) {
        _ if grant.knows_its_end() => return None,
        _ if grant.is_over(now) => "The client did not come back to learn it.".to_owned(),
        Some(silent) if is_waiting => format!("No poll for {silent} s: the client seems to be gone."),
        Some(silent) => format!("The client does not know: no poll for {silent} s, it seems to be gone."),
        None if is_waiting => return None,
        None => "The client does not know yet: it will learn this at its next poll.".to_owned(),
    })
}

/// The person's part: to approve or deny as long as that is possible.
fn person(grant: &Grant, now: Duration) -> Markup {
    let done = match grant.status(now) {
        Status::Waiting => None,
        Status::Approved | Status::SignedIn => Some("You have approved. Nothing is left to do."),
        Status::Denied => Some("You have denied. Nothing is left to do."),
        Status::Expired => Some("The code has expired. The client has to begin anew."),
    };
    html! {
        h2 { "Be the person" }
        @match done {
            None => {
                p.code { (grant.user_code) }
                a.button.primary href={ "/device?user_code=" (grant.user_code) } { "Approve or deny" }
            }
            Some(words) => { p.quiet { (words) } }
        }
    }
}

fn buttons(grant: &Grant, now: Duration) -> Markup {
    html! {
        @for (value, name, what, until) in BUTTONS {
            @if !until.is_reached(grant, now) {
                button type="submit" name="what" value=(value) { strong { (name) } " " span { (what) } }
            }
        }
    }
}

/// The last event as one sentence, for screen readers.
fn news(grant: &Grant, now: Duration) -> Markup {
    let how = match grant.status(now) {
        Status::Waiting => "",
        Status::Approved => "Approved. ",
        Status::SignedIn => "Signed in. ",
        Status::Denied => "Denied. ",
        Status::Expired => "The code has expired. ",
    };
    html! {
        (how)
        @match grant.polls().next_back() {
            None => { "No poll yet." }
            Some(poll) => {
                "Poll " (poll.number) " came after " (seconds(poll.waited)) ", "
                (if poll.is_lawful() { "in time" } else { "too soon" }) ". The answer: " (name(poll)) "."
            }
        }
        @if grant.gone_for(now).is_some() { " The client seems to be gone." }
    }
}

fn facts(grant: &Grant, now: Duration) -> Markup {
    let (counts, over) = (grant.counts(), grant.is_over(now));
    let silent = now.saturating_sub(grant.last_answer());
    let left = grant.expires.saturating_sub(now);
    let (next, next_note) = match grant.due().checked_sub(silent).filter(|rest| !rest.is_zero()) {
        _ if over => ("none".to_owned(), "it is over".to_owned()),
        Some(rest) => (format!("in {} s", rest.as_secs_f64().ceil()), "at the earliest".to_owned()),
        None => ("allowed".to_owned(), format!("silent for {} s", silent.as_secs())),
    };
    let (life, life_note) = match grant.status(now) {
        Status::SignedIn => ("used".to_owned(), "it is valid once"),
        Status::Expired => ("expired".to_owned(), "before it was used"),
        Status::Waiting | Status::Approved | Status::Denied => (clock(left), "until it expires"),
    };
    let grown = match grant.interval.saturating_sub(grant.first_interval).as_secs() {
        0 => "as at the start".to_owned(),
        seconds => format!("{seconds} s more than at the start"),
    };
    let polls = match counts.polls {
        0 => ("none".to_owned(), "no poll yet"),
        1 => (format!("{} of 1", counts.lawful), "poll"),
        polls => (format!("{} of {polls}", counts.lawful), "polls"),
    };
    html! {
        dl {
            (fact("Within the law", &polls.0, polls.1, counts.lawful < counts.polls))
            (fact("Interval", &format!("{} s", grant.interval.as_secs()), &grown, false))
            (fact("Next poll", &next, &next_note, false))
            (fact("Code", &life, life_note, false))
        }
    }
}

fn fact(name: &str, figure: &str, note: &str, wrong: bool) -> Markup {
    html! {
        div.fact.wrong[wrong] { dt { (name) } dd { strong { (figure) } " " span { (note) } } }
    }
}

fn pending_fault(grant: &Grant, now: Duration) -> Markup {
    html! {
        @if grant.is_over(now) {
            p.ahead { "This sign-in is over." }
        } @else if let Some((fault, times)) = grant.pending_fault() {
            p.ahead.set {
                (match fault {
                    Fault::SlowDown => "slow_down",
                    Fault::RetryAfter => "Retry-After",
                    Fault::Unavailable => "503",
                    Fault::HangUp => "No answer",
                    Fault::LateAnswer => "A late answer",
                })
                @if times == 1 { " at the next poll" } @else { " at the next " (times) " polls" }
            }
        } @else {
            p.quiet { "Press a button and watch how the client reacts." }
            p.ahead { "No fault is set." }
        }
    }
}

fn legend() -> Markup {
    html! {
        ul.legend {
            @for (mark, words) in [
                (Mark::Pending, "pending"), (Mark::Slow, "slow down"), (Mark::Fault, "outage"),
                (Mark::Good, "tokens"), (Mark::Bad, "ended"),
            ] { li { (mark.icon()) (words) } }
            li { span.swatch aria-hidden="true" {} "too soon for a poll" }
        }
    }
}

fn polls(grant: &Grant) -> Markup {
    let shown: Vec<&Poll> = grant.polls().rev().take(ROWS).collect();
    let longest = shown.iter().map(|poll| poll.waited.max(poll.due)).max().unwrap_or_default();
    let befores = shown.iter().skip(1).map(|poll| Some(*poll)).chain([None]);
    html! {
        @if shown.is_empty() {
            p.quiet { "No poll yet. A correct client waits one interval before the first." }
        } @else {
            table {
                thead { tr { th scope="col" { "Poll" } th scope="col" { "Waited" } th scope="col" { "Answer" } } }
                tbody {
                    @for (poll, before) in shown.iter().zip(befores) {
                        tr {
                            th scope="row" { (poll.number) }
                            td.waited {
                                strong { (seconds(poll.waited)) } " "
                                @if poll.is_lawful() { span.quiet { "of " (poll.due.as_secs()) " s" } }
                                @else { span.early { (seconds(poll.due.saturating_sub(poll.waited))) " too soon" } }
                                (bar(poll, longest))
                                @if let Some(words) = before.and_then(|before| reaction(before, poll)) { p.reaction { (words) } }
                            }
                            td { div.answer { (Mark::of(poll.answer).icon()) div { code { (name(poll)) } " " span.quiet { (meaning(poll)) } } } }
                        }
                    }
                }
            }
            @if grant.counts().polls > ROWS as u64 { p.quiet { "Earlier polls are not shown." } }
        }
    }
}

/// How the client reacted to the answer before.
fn reaction(before: &Poll, after: &Poll) -> Option<String> {
    let longer = after.backs_off_after(before);
    Some(match before.answer {
        Err(Refusal::SlowDown) if after.is_lawful() => "It slowed down.".to_owned(),
        Err(Refusal::SlowDown) => "It did not slow down.".to_owned(),
        Err(Refusal::RetryLater(seconds)) if after.is_lawful() => format!("It stayed away for {seconds} s, as asked."),
        Err(Refusal::RetryLater(seconds)) => format!("It did not stay away for {seconds} s."),
        Err(Refusal::Unavailable | Refusal::HungUp) if longer => "It backed off.".to_owned(),
        Err(Refusal::Unavailable | Refusal::HungUp) => "It did not back off.".to_owned(),
        Ok(()) => "It polled again although it had its tokens.".to_owned(),
        Err(_) => return None,
    })
}

fn name(poll: &Poll) -> &'static str {
    poll.answer.err().map_or("tokens", Refusal::name)
}

fn meaning(poll: &Poll) -> &'static str {
    match poll.answer {
        Ok(()) => "Signed in.",
        Err(Refusal::AuthorizationPending) => "The person has not decided yet.",
        Err(Refusal::SlowDown) => "5 s more from now on.",
        Err(Refusal::AccessDenied) => "The person denied.",
        Err(Refusal::ExpiredToken) => "The code has expired.",
        Err(Refusal::Unavailable) => "Service unavailable.",
        Err(Refusal::RetryLater(_)) => "Too many requests.",
        Err(Refusal::HungUp) => "The connection was closed.",
        Err(Refusal::InvalidGrant(_)) => "The code is no longer valid, or its verifier is wrong.",
        Err(_) => "",
    }
}

// As the texts of the buttons say.
const _: () = assert!(OUTAGE == 3 && RETRY_AFTER == 10);
