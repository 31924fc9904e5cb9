//! Owns the judgement on clients: the rules of docs/polling-law.md that a server can see, and how a client kept each.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use serde::Serialize;

use super::answer::Refusal;
use super::form;
use super::grant::{Grant, Poll, Status, earliest, tolerance};
use super::oauth::{DEVICE_CODE_GRANT, basic};

#[cfg(test)]
mod tests;

/// How many clients are remembered by what their requests look like.
const MOST_CLIENTS: usize = 1_000;
/// What must not stand in a URL, which ends in logs and histories (RFC 6749 §2.3.1, RFC 9700 §4.3.2).
const SECRETS: [&str; 7] =
    ["client_secret", "client_assertion", "device_code", "code_verifier", "access_token", "refresh_token", "token"];

/// How a client kept the law in one sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The client.
    pub client_id: String,
    /// The number of the sign-in, counted from 1; its page is `/live/` and this number.
    pub sign_in: u64,
    /// `signed_in`, `denied`, `expired`, or `unfinished`.
    pub end: &'static str,
    /// How many polls there were.
    pub polls: u64,
    /// Every rule, always in the same order.
    pub rules: Vec<RuleVerdict>,
}

/// How a client kept one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RuleVerdict {
    /// A name for programs, such as `first_poll`.
    pub id: &'static str,
    /// The rule, for people.
    pub rule: &'static str,
    /// Where it stands: a rule of docs/polling-law.md, or a section of an RFC.
    pub source: &'static str,
    /// Whether it was kept.
    pub verdict: Kept,
    /// The first time that it was broken.
    pub detail: Option<String>,
}

/// Whether a rule was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Each time that it mattered.
    Kept,
    /// At least once it was not.
    Broken,
    /// It never mattered.
    NotTried,
}

/// In the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    FirstPoll,
    Interval,
    SlowDown,
    GoesOn,
    BackOff,
    RetryAfter,
    Expiry,
    OneAtATime,
    End,
    Form,
    Once,
    Url,
    Identity,
}

/// The rules: name for programs, words, source.
const RULES: [(Rule, &str, &str, &str); 13] = [
    (Rule::FirstPoll, "first_poll", "The first poll comes one interval after the code", "polling law, rule 1"),
    (Rule::Interval, "interval", "Every later poll comes one interval after the answer before", "polling law, rule 2"),
    (Rule::SlowDown, "slow_down", "Each slow_down adds five seconds, for good", "polling law, rule 4"),
    (Rule::GoesOn, "goes_on", "A failed poll does not end the sign-in", "polling law, rule 5"),
    (Rule::BackOff, "back_off", "After a failed poll the next wait is longer", "polling law, rule 5"),
    (Rule::RetryAfter, "retry_after", "Retry-After is waited for", "polling law, rule 6"),
    (Rule::Expiry, "expiry", "No poll comes after the code has expired", "polling law, rule 8"),
    (Rule::OneAtATime, "one_at_a_time", "No poll comes while another one is being answered", "polling law, rule 9"),
    (Rule::End, "end", "No poll comes after a final answer", "polling law, rules 9 and 10"),
    (Rule::Form, "form", "Every request is a POST with a form", "RFC 8628 §3.1, §3.4"),
    (
        Rule::Once,
        "once",
        "Every parameter comes once, and the grant type has its full name",
        "RFC 6749 §3.2, RFC 8628 §3.4",
    ),
    (Rule::Url, "url", "No secret stands in a URL", "RFC 6749 §2.3.1"),
    (Rule::Identity, "identity", "The client says in one way who it is", "RFC 6749 §2.3"),
];

/// What was seen of a client: every rule that mattered, with the first time that it was broken.
#[derive(Debug, Clone, Default)]
pub(super) struct Conduct(BTreeMap<Rule, Option<String>>);

impl Conduct {
    /// One more poll. `overlaps`: the poll before was still being answered. `told`: the interval and the end of the
    /// code as the client was told at the start.
    pub(super) fn poll(
        &mut self,
        before: Option<&Poll>,
        poll: &Poll,
        overlaps: bool,
        (interval, end): (Duration, Duration),
    ) {
        let came = |due: Duration| format!("poll {} came after {}, not {}", poll.number, Secs(poll.waited), Secs(due));
        if poll.at > end.saturating_add(tolerance(interval)) {
            let late = poll.at.saturating_sub(end);
            self.see(Rule::Expiry, false, || format!("poll {} came {} after the end", poll.number, Secs(late)));
        }
        let Some(before) = before else {
            return self.see(Rule::FirstPoll, poll.is_lawful(), || came(poll.due));
        };
        if before.is_final() {
            let last = before.answer.err().map_or("the tokens", Refusal::name);
            return self.see(Rule::End, false, || format!("poll {} came after {last}", poll.number));
        }
        if !before.held.is_zero() {
            let which = || format!("poll {} came before the answer to poll {}", poll.number, before.number);
            self.see(Rule::OneAtATime, !overlaps, which);
        }
        self.see(Rule::Interval, poll.waited >= earliest(interval), || came(interval));
        if before.has_failed() {
            self.see(Rule::GoesOn, true, String::new);
        }
        if matches!(before.answer, Err(Refusal::RetryLater(_))) {
            return self.see(Rule::RetryAfter, poll.is_lawful(), || came(poll.due));
        }
        if poll.due > interval {
            self.see(Rule::SlowDown, poll.is_lawful(), || came(poll.due));
        }
        if before.has_failed() {
            self.see(Rule::BackOff, poll.backs_off_after(before), || {
                format!("poll {} came {} after a poll that failed", poll.number, Secs(poll.waited))
            });
        }
    }

    fn see(&mut self, rule: Rule, kept: bool, detail: impl FnOnce() -> String) {
        let broken = self.0.entry(rule).or_default();
        if !kept && broken.is_none() {
            *broken = Some(detail());
        }
    }

    /// With what the end of a sign-in says.
    fn ended(mut self, grant: &Grant, now: Duration) -> Self {
        let last = grant.polls().next_back();
        if last.is_some_and(Poll::is_final) {
            self.see(Rule::End, true, String::new);
        } else if now >= grant.told_to_expire && last.is_some() {
            self.see(Rule::Expiry, true, String::new);
            if let Some(failed) = last.filter(|poll| poll.has_failed()) {
                self.see(Rule::GoesOn, false, || format!("no poll came after poll {}, which failed", failed.number));
            }
        }
        self
    }

    /// What both have seen.
    fn and(mut self, other: Option<&Self>) -> Self {
        for (rule, broken) in other.into_iter().flat_map(|other| &other.0) {
            self.see(*rule, broken.is_none(), || broken.clone().unwrap_or_default());
        }
        self
    }
}

/// What the requests of each client look like. Those that do not say whose they are count against every client.
#[derive(Debug, Default)]
pub(super) struct Manners(BTreeMap<Option<String>, Conduct>);

/// A request as it arrived at one of the endpoints for clients.
pub(super) struct Sight<'r> {
    pub(super) method: &'r Method,
    pub(super) path: &'r str,
    pub(super) query: &'r str,
    pub(super) headers: &'r HeaderMap,
    pub(super) body: &'r [u8],
}

impl Manners {
    /// One more request.
    pub(super) fn see(&mut self, sight: &Sight<'_>) {
        // A browser asks so by itself, before it lets a page ask (Fetch §4.8): that is no request of a client.
        if sight.method == Method::OPTIONS {
            return;
        }
        let parameters: Vec<(String, String)> = form_urlencoded::parse(sight.body).into_owned().collect();
        let query: Vec<(String, String)> = form_urlencoded::parse(sight.query.as_bytes()).into_owned().collect();
        let basic = basic(sight.headers);
        let named =
            parameters.iter().chain(&query).find(|(name, _)| name == "client_id").map(|(_, value)| value.clone());
        let client = named.or_else(|| basic.as_ref().map(|(client_id, _)| client_id.clone()));
        if self.0.len() >= MOST_CLIENTS && !self.0.contains_key(&client) {
            return;
        }
        let conduct = self.0.entry(client).or_default();
        let path = sight.path;
        if let Some((name, _)) = query.iter().find(|(name, _)| SECRETS.contains(&&**name)) {
            conduct.see(Rule::Url, false, || format!("{name} stands in the URL of {path}"));
        } else {
            conduct.see(Rule::Url, true, String::new);
        }
        if path == "/userinfo" {
            return;
        }
        let is_form = form::is_form(sight.headers);
        conduct.see(Rule::Form, sight.method == Method::POST && is_form, || {
            let media_type = sight
                .headers
                .get(CONTENT_TYPE)
                .map_or("no media type", |value| value.to_str().unwrap_or("a media type that is no text"));
            format!("{} {path} with {}", sight.method, shortened(media_type))
        });
        if !is_form {
            return;
        }
        let mut names: Vec<&str> =
            parameters.iter().map(|(name, _)| &**name).filter(|name| *name != "resource").collect();
        names.sort_unstable();
        let repeated = names.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        });
        conduct
            .see(Rule::Once, repeated.is_none(), || format!("{} is repeated", shortened(repeated.unwrap_or_default())));
        let grant_type = parameters.iter().find(|(name, _)| name == "grant_type").map(|(_, value)| &**value);
        if path == "/token" {
            let is_known = grant_type.is_some_and(|known| [DEVICE_CODE_GRANT, "refresh_token"].contains(&known));
            conduct.see(Rule::Once, is_known, || match grant_type {
                Some(unknown) => format!("grant_type is {}", shortened(unknown)),
                None => "grant_type is missing".to_owned(),
            });
        }
        let in_body = parameters.iter().any(|(name, _)| name == "client_secret" || name == "client_assertion");
        let two_ways = sight.headers.contains_key(AUTHORIZATION) && in_body;
        conduct
            .see(Rule::Identity, !two_ways, || format!("the request to {path} authenticates the client in two ways"));
    }

    /// The verdict on a sign-in, as it stands now.
    pub(super) fn verdict(&self, grant: &Grant, now: Duration) -> Verdict {
        let client_id = grant.ask.client_id.clone();
        let conduct = grant.conduct.clone().ended(grant, now);
        let conduct = conduct.and(self.0.get(&Some(client_id.clone()))).and(self.0.get(&None));
        let rules = RULES.map(|(rule, id, words, source)| {
            let (verdict, detail) = match conduct.0.get(&rule) {
                None => (Kept::NotTried, None),
                Some(None) => (Kept::Kept, None),
                Some(Some(detail)) => (Kept::Broken, Some(detail.clone())),
            };
            RuleVerdict { id, rule: words, source, verdict, detail }
        });
        let end = match grant.status(now) {
            Status::SignedIn => "signed_in",
            Status::Denied => "denied",
            Status::Expired => "expired",
            Status::Waiting | Status::Approved => "unfinished",
        };
        Verdict { client_id, sign_in: grant.number, end, polls: grant.counts().polls, rules: rules.into() }
    }
}

/// Some lines of text, the last one with its end.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client_id, sign_in, end, polls, rules } = self;
        let s = if *polls == 1 { "" } else { "s" };
        let client_id = shortened(client_id);
        writeln!(f, "Sign-in {sign_in} of client \"{client_id}\": {}, {polls} poll{s}", end.replace('_', " "))?;
        for RuleVerdict { rule, source, verdict, detail, .. } in rules {
            let word = match verdict {
                Kept::Kept => "kept     ",
                Kept::Broken => "BROKEN   ",
                Kept::NotTried => "not tried",
            };
            write!(f, "  {word}  {rule} ({source})")?;
            match detail {
                Some(detail) => writeln!(f, ": {detail}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// What a client sent, cut to 80 characters, on one line.
fn shortened(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

/// `5.0 s`, rounded down.
struct Secs(Duration);

impl fmt::Display for Secs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} s", self.0.as_secs(), self.0.subsec_millis() / 100)
    }
}
