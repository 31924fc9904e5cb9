//! Owns the text and the HTML of the start page: what the server is, its sign-ins, and its clients.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};

use super::frame::{Refresh, live_page};
use super::live::{Parts, badge};
use crate::demo::grant::{Grant, Status};

/// How many sign-ins, and how many clients, are listed.
const ROWS: usize = 20;
/// After how many seconds a page without scripts reloads.
const RELOAD: u8 = 10;

/// The start page.
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
                    p.quiet { "Every client id is accepted. The metadata for clients is at" }
                    p.address { a href="/.well-known/oauth-authorization-server" { (base_url) "/.well-known/oauth-authorization-server" } }
                }
                section.card.list {
                    h2 { "Sign-ins" }
                    div #sign-ins data-live { (part("sign-ins").unwrap_or(&html! {})) }
                }
                section.card.who {
                    h2 { "Clients so far" }
                    div #clients data-live { (part("clients").unwrap_or(&html! {})) }
                }
            }
            p.gone role="alert" hidden { "The demo server has stopped. This is its last state." }
        },
    )
}

/// The parts of the page that change.
pub(in crate::demo) fn parts<'g>(grants: impl Iterator<Item = &'g Grant>, now: Duration) -> Parts {
    let grants: Vec<&Grant> = grants.collect();
    vec![("sign-ins", sign_ins(&grants, now)), ("clients", clients(&grants, now))]
}

fn sign_ins(grants: &[&Grant], now: Duration) -> Markup {
    html! {
        @if grants.is_empty() {
            p.quiet { "None yet. New sign-ins appear here." }
        } @else {
            table {
                thead { tr { th scope="col" { "Client" } th scope="col" { "In time" } th scope="col" { "Status" } } }
                tbody {
                    @for grant in grants.iter().take(ROWS) {
                        @let counts = grant.counts();
                        tr {
                            th scope="row" { a href={ "/live/" (grant.number) } { (grant.ask.client_id) } " " span.quiet { "no. " (grant.number) } }
                            td.early[counts.lawful < counts.polls] {
                                @if counts.polls == 0 { "no poll yet" } @else { (counts.lawful) " of " (counts.polls) }
                            }
                            td { (badge(grant.status(now))) }
                        }
                    }
                }
            }
            @if grants.len() > ROWS { p.quiet { "And " (grants.len().saturating_sub(ROWS)) " earlier ones." } }
        }
    }
}

fn clients(grants: &[&Grant], now: Duration) -> Markup {
    // How often each asked for a code, and how often it got tokens.
    let mut clients: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for grant in grants {
        let (asked, signed_in) = clients.entry(&grant.ask.client_id).or_default();
        *asked += 1;
        *signed_in += usize::from(grant.status(now) == Status::SignedIn);
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
