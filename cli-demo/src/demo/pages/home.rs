//! Owns the words and the HTML of the front door: what this is, who has asked, and what became of it.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};

use super::frame::{Refresh, live_page};
use super::live::{Parts, badge};
use crate::demo::grant::{Grant, Standing};

/// How many sign-ins, and how many clients, are listed.
const ROWS: usize = 20;
/// How often a page without scripts loads itself again, in seconds.
const RELOAD: u8 = 10;

/// The front door.
pub(in crate::demo) fn page<'g>(base_url: &str, grants: impl Iterator<Item = &'g Grant>, now: Duration) -> Markup {
    let parts = parts(grants, now);
    let part = |id: &str| parts.iter().find(|(known, _)| *known == id).map(|(_, part)| part);
    let refresh = Refresh { events: "/events", seconds: Some(RELOAD) };
    live_page(
        "Demo authorization server",
        &refresh,
        html! {
            div.columns {
                section.card.what {
                    h1 { "A sign-in server to try things with" }
                    p {
                        "This is a small, real authorization server for the OAuth 2.0 Device Authorization Grant (RFC 8628). \
                        It runs on your own computer and forgets everything when it stops."
                    }
                    p.doors { a.button.primary href="/device" { "Enter a code" } a.button href="/live" { "Watch it live" } }
                    h2 { "For clients" }
                    p.quiet { "Every client id is welcome. All that a client needs to know is at" }
                    p.address { a href="/.well-known/oauth-authorization-server" { (base_url) "/.well-known/oauth-authorization-server" } }
                }
                section.card.list {
                    h2 { "Sign-ins" }
                    div #sign-ins data-live { (part("sign-ins").unwrap_or(&html! {})) }
                }
                section.card.who {
                    h2 { "Clients that have asked" }
                    div #clients data-live { (part("clients").unwrap_or(&html! {})) }
                }
            }
            p.gone role="alert" hidden { "The demo server has stopped. This is the last that was seen." }
        },
    )
}

/// What changes while one looks.
pub(in crate::demo) fn parts<'g>(grants: impl Iterator<Item = &'g Grant>, now: Duration) -> Parts {
    let grants: Vec<&Grant> = grants.collect();
    vec![("sign-ins", sign_ins(&grants, now)), ("clients", clients(&grants, now))]
}

fn sign_ins(grants: &[&Grant], now: Duration) -> Markup {
    html! {
        @if grants.is_empty() {
            p.quiet { "None yet. This page shows them as they come." }
        } @else {
            table {
                thead { tr { th scope="col" { "Client" } th scope="col" { "In time" } th scope="col" { "How it stands" } } }
                tbody {
                    @for grant in grants.iter().take(ROWS) {
                        @let counted = grant.counted();
                        tr {
                            th scope="row" { a href={ "/live/" (grant.number) } { (grant.ask.client_id) } " " span.quiet { "no. " (grant.number) } }
                            td.early[counted.lawful < counted.polls] {
                                @if counted.polls == 0 { "no poll yet" } @else { (counted.lawful) " of " (counted.polls) }
                            }
                            td { (badge(grant.standing(now))) }
                        }
                    }
                }
            }
            @if grants.len() > ROWS { p.quiet { "And " (grants.len().saturating_sub(ROWS)) " before these." } }
        }
    }
}

fn clients(grants: &[&Grant], now: Duration) -> Markup {
    // How often each asked, and how often it got what it asked for.
    let mut clients: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for grant in grants {
        let (asked, signed_in) = clients.entry(&grant.ask.client_id).or_default();
        *asked += 1;
        *signed_in += usize::from(grant.standing(now) == Standing::SignedIn);
    }
    html! {
        @if clients.is_empty() {
            p.quiet { "None yet." }
        } @else {
            ul.clients {
                @for (client, (asked, signed_in)) in clients.iter().take(ROWS) {
                    li { span.client { (client) } " " span.quiet { "asked " (times(*asked)) ", signed in " (times(*signed_in)) } }
                }
            }
        }
    }
}

fn times(count: usize) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}
