//! W05: no row of the table says what was not seen, whatever was sent, and each ends with the way out.
#![allow(clippy::panic, reason = "a panic is how a test reports")]

use super::microsoft::{NUMBERS, SUBERRORS};
use super::table::{Row, TABLE, code, find, other};
use super::words::BY_WORDS;
use super::{How, Kind, Need, Place, Seen, Sent, advice};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

const PLACES: [Place; 6] =
    [Place::Metadata, Place::Device, Place::Poll, Place::Refresh, Place::Revocation, Place::Registration];
const WAYS: [How; 6] = [How::Id, How::Basic, How::Post, How::Dialect, How::Assertion, How::Certificate];
const STATUSES: [u16; 19] =
    [200, 204, 400, 401, 403, 404, 405, 407, 410, 418, 429, 500, 501, 502, 503, 505, 510, 511, 599];
/// All but an OAuth error.
const KINDS: [Kind; 4] = [Kind::Status, Kind::Page, Kind::Outage, Kind::Broken];

/// With which the way out begins.
const IMPERATIVES: [&str; 24] = [
    "allow", "ask", "check", "enter", "give", "have", "let", "look", "make", "name", "report", "request", "reset",
    "revoke", "sign", "start", "try", "turn", "use", "verify", "wait", "read", "do", "change",
];

/// What can be sent to each place.
fn everything_sent() -> Vec<Sent> {
    let mut all = Vec::new();
    for place in PLACES {
        for how in WAYS {
            // Nothing, one thing at a time, everything.
            for bits in [0_u8, 1, 2, 4, 8, 16, 31] {
                let bit = |n: u8| bits & (1 << n) != 0;
                let of_the_flow = matches!(place, Place::Device | Place::Poll);
                let (proof, resource, details) = (bit(0), bit(3), bit(4));
                let scope = bit(2) && (of_the_flow || matches!(place, Place::Refresh | Place::Registration));
                let pkce = bit(1) && of_the_flow;
                all.push(Sent { place, how, proof, pkce, scope, resource, details });
            }
        }
    }
    all.retain(|sent| !matches!(sent.place, Place::Metadata | Place::Registration) || sent.how == How::Id);
    all
}

/// Every answer that a row of the table, a number or a suberror is about, and some that none is about.
fn everything_seen() -> Vec<Seen<'static>> {
    let rows = || BY_WORDS.iter().chain(TABLE);
    let codes: BTreeSet<&str> =
        rows().flat_map(|row| row.codes).copied().chain(["weird", "authorization_pending"]).collect();
    let words: BTreeSet<&str> = rows().flat_map(|row| row.words).copied().chain(["", "made-up text"]).collect();
    let mut all = Vec::new();
    for words in &words {
        for status in [400, 401, 403, 500] {
            all.extend(codes.iter().map(|code| Seen { status, code, words, ..Seen::default() }));
        }
        for status in STATUSES {
            all.extend(KINDS.map(|kind| Seen { status, words, kind, ..Seen::default() }));
        }
    }
    let error = |code| Seen { status: 400, code, ..Seen::default() };
    all.extend(NUMBERS.iter().map(|(numbers, ..)| Seen { numbers, ..error("weird") }));
    all.extend(SUBERRORS.iter().map(|(suberror, ..)| Seen { suberror, ..error("weird") }));
    all
}

/// What is wrong with a sentence for what was sent.
fn fault(text: &str, sent: &Sent) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').collect();
    let has = |word: &str| words.contains(&word);
    let says = |phrase: &str| lower.contains(phrase);
    let secret = matches!(sent.how, How::Basic | How::Post | How::Dialect);
    let of_the_flow = matches!(sent.place, Place::Device | Place::Poll);
    let way_out = text.rsplit([':', ';']).next().unwrap_or_default();
    let imperative = |clause: &str| {
        let clause = clause.trim_start();
        let rest = ["and ", "or ", "then "].into_iter().find_map(|word| clause.strip_prefix(word)).unwrap_or(clause);
        IMPERATIVES
            .iter()
            .any(|verb| rest.strip_prefix(verb).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
    };
    [
        ((says("device flow") || says("device grant")) && !of_the_flow, "the device flow is elsewhere"),
        (has("code") && sent.place != Place::Poll && !says("device code"), "there is no code"),
        (says("device authorization endpoint") && sent.place != Place::Device, "another endpoint was asked"),
        (says("token endpoint") && !matches!(sent.place, Place::Poll | Place::Refresh), "another endpoint was asked"),
        (says("revocation endpoint") && sent.place != Place::Revocation, "another endpoint was asked"),
        (has("issuer") && sent.place != Place::Metadata, "no issuer was asked"),
        (has("metadata") && sent.place != Place::Metadata, "no metadata was asked for"),
        (has("client") && sent.place == Place::Metadata && !says("client or address"), "no client was named"),
        (has("scope") && says("no scope was requested") == sent.scope, "a scope was, or was not, sent"),
        (has("scopes") && !sent.scope, "no scope was sent"),
        (
            has("secret")
                && !secret
                && !says("no secret was sent")
                && !says("give the secret")
                && !says("give it")
                && !says("without a secret"),
            "no secret was sent",
        ),
        (secret && (says("no secret was sent") || says("give the secret")), "a secret was sent"),
        (says("was in the body") && sent.how != How::Post, "it was not in the body"),
        (says("was in the authorization header") && sent.how != How::Basic, "it was not in the header"),
        (says("has signed") && sent.how != How::Assertion, "nothing was signed"),
        (says("this certificate") && sent.how != How::Certificate, "there was no certificate"),
        (says("turn on the proof") && sent.proof, "it is on"),
        (says("does not accept the proof") && !sent.proof, "there was no proof"),
        (says("pkce") && says("turn it on") && sent.pkce, "it is on"),
        (says("the pkce of this sign-in") && !sent.pkce, "there was none"),
        (
            says("refresh token") && !matches!(sent.place, Place::Refresh | Place::Revocation),
            "no refresh token was sent",
        ),
        (says("does not accept the authorization details") && !sent.details, "none were sent"),
        (text.ends_with('.') || text.trim() != text, "a sentence of another form"),
        (text.chars().count() > 260, "too long"),
        (!way_out.split(',').any(imperative), "no way out at the end"),
    ]
    .into_iter()
    .find_map(|(wrong, why)| wrong.then_some(why))
}

#[test]
fn w05_no_row_says_what_was_not_seen() {
    let mut faults = BTreeSet::new();
    let mut told = BTreeSet::new();
    let all = everything_seen();
    for sent in everything_sent() {
        let mut judged = BTreeSet::new();
        for seen in &all {
            // A document with an error is told by its status.
            if sent.place == Place::Metadata && seen.kind == Kind::Error {
                continue;
            }
            let Some(text) = advice(seen, &sent) else { continue };
            told.insert(text);
            // Most answers lead to the same few texts.
            if judged.insert(text)
                && let Some(why) = fault(text, &sent)
            {
                faults.insert(alloc::format!("{:?}, {why}: {text}", sent.place));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
    // Each row is reached.
    let rows = BY_WORDS.iter().chain(TABLE).map(|row| row.advice);
    let microsoft = NUMBERS.iter().chain(&[]).map(|(.., text)| *text).chain(SUBERRORS.iter().map(|(.., text)| *text));
    let silent: BTreeSet<_> = rows.chain(microsoft).filter(|text| !told.contains(text)).collect();
    assert!(silent.is_empty(), "never told: {silent:#?}");
}

// The first row that fits is told, so a row that needs less must not come before one that needs more.
#[test]
fn w05_no_row_is_hidden_behind_another() {
    for table in [BY_WORDS, TABLE] {
        for (number, row) in table.iter().enumerate() {
            let hiding = table.iter().take(number).find(|before| hides(before, row));
            assert!(hiding.is_none(), "{} is hidden", row.advice);
        }
    }
}

fn hides(before: &Row, row: &Row) -> bool {
    fn covers<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
        wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|it| wide.contains(it)))
    }
    before.kind == row.kind
        && covers(before.at, row.at)
        && covers(before.statuses, row.statuses)
        && covers(before.codes, row.codes)
        && covers(before.words, row.words)
        && (before.need == Need::Nothing || before.need == row.need)
}

// The checker finds what it is for.
#[test]
fn w05_the_checker_notices() {
    let poll = Sent { place: Place::Poll, ..Sent::METADATA };
    let refresh = Sent { place: Place::Refresh, how: How::Post, ..poll };
    let of_all = Sent { scope: true, pkce: true, proof: true, ..poll };
    for (text, sent) in [
        ("allow the device flow", refresh),
        ("start again for a new code", refresh),
        ("check the scopes", poll),
        ("the server does not accept the secret: check it", poll),
        ("no secret was sent: give the secret", refresh),
        ("the server wants PKCE: turn it on", of_all),
        ("turn on the proof of possession", of_all),
        ("check the issuer", poll),
        ("check the token endpoint", Sent { place: Place::Device, ..poll }),
        ("check it: the server is down", poll),
        ("the server is down", poll),
        ("try again later.", poll),
    ] {
        assert!(fault(text, &sent).is_some(), "{text}");
        let good = String::from("the server is down: try again later");
        assert_eq!(fault(&good, &sent), None);
    }
}

// Keycloak and frameworks put a text where OAuth has a code, and without metadata the device endpoint is asked first.
#[test]
fn w05_an_error_that_is_no_code_of_oauth_is_told_by_its_text_or_its_status() {
    let told = |place, status, code, words| {
        let sent = Sent { place, resource: true, ..Sent::METADATA };
        advice(&Seen { status, code, words, ..Seen::default() }, &sent).unwrap_or_default()
    };
    for place in [Place::Device, Place::Poll, Place::Refresh, Place::Revocation] {
        assert!(told(place, 404, "Realm does not exist", "").contains("check the realm"), "{place:?}");
        for status in [404, 405] {
            assert!(told(place, status, "Not Found", "").contains("check that the address is right"), "{place:?}");
        }
        for status in [400, 401, 403] {
            assert_eq!(told(place, status, "Not Found", ""), "", "{place:?}");
        }
        // What OAuth says with the same status is something else.
        assert!(!told(place, 404, "expired_token", "").contains("address"), "{place:?}");
    }
    let google = "Only clients of type 'TVs and Limited Input devices' can use the OAuth 2.0 flow";
    assert!(told(Place::Device, 401, "invalid_client", google).contains("make one for devices"));
    assert!(told(Place::Device, 403, "access_denied", "Service not found: https://api").contains("audience"));
}

// A row fits what it names, and nothing else.
#[test]
fn a_row_fits_its_code_its_status_and_its_words() {
    let row = code(&[Place::Poll], &["weird"], Need::Nothing, "text").saying(&["word"]).with(&[400]);
    let sent = Sent { place: Place::Poll, ..Sent::METADATA };
    let seen = Seen { status: 400, code: "weird", words: "a word", ..Seen::default() };
    assert_eq!(find(core::slice::from_ref(&row), &seen, &sent), Some("text"));
    for (seen, sent) in [
        (Seen { status: 401, ..seen }, sent),
        (Seen { code: "other", ..seen }, sent),
        (Seen { words: "nothing", ..seen }, sent),
        (Seen { kind: Kind::Page, ..seen }, sent),
        (seen, Sent::METADATA),
    ] {
        assert_eq!(find(core::slice::from_ref(&row), &seen, &sent), None);
    }
    let page = other(&[Place::Poll], Kind::Page, Need::Nothing, "page");
    assert_eq!(find(&[page], &Seen { kind: Kind::Page, ..seen }, &sent), Some("page"));
}

// W05: what the table is asked about is what a client really sends.
#[test]
fn w05_a_client_knows_what_it_sends_to_each_endpoint() {
    use crate::{Client, ClientBuilder, Provider};
    let sent = |builder: ClientBuilder, place| match builder.build() {
        Ok(client) => client.sent(place),
        Err(error) => panic!("{error}"),
    };
    let plain = || Client::builder(Provider::endpoints("https://as/device", "https://as/token"), "app");
    for (how, builder) in [
        (How::Id, plain()),
        (How::Basic, plain().client_secret_basic("canary")),
        (How::Post, plain().client_secret_post("canary")),
        (How::Certificate, plain().tls_client_auth()),
        (How::Certificate, plain().self_signed_tls_client_auth()),
    ] {
        for place in [Place::Device, Place::Poll, Place::Refresh, Place::Revocation] {
            assert_eq!(sent(builder.clone(), place).how, how, "{place:?}");
        }
    }
    // Google's older clients show the secret to the token endpoint alone.
    let television = || Client::builder(Provider::google_tv(), "app").scope("openid").client_secret("canary");
    assert_eq!(sent(television(), Place::Device).how, How::Id);
    assert_eq!(sent(television(), Place::Poll).how, How::Dialect);
    for place in [Place::Device, Place::Poll, Place::Refresh] {
        let of_the_flow = place != Place::Refresh;
        let all = sent(plain().scope("openid").resource("https://api").pkce(), place);
        assert_eq!((all.scope, all.resource, all.pkce), (of_the_flow, true, of_the_flow), "{place:?}");
        let none = sent(plain(), place);
        assert_eq!((none.scope, none.resource, none.pkce, none.proof), (false, false, false, false), "{place:?}");
    }
}
