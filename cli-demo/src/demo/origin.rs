//! Owns what browsers say about who made them send a request: a page of another site must change nothing here, and use
//! nothing up.

use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, Method};

use super::site::Site;

/// Whether a page of another site sends this to an endpoint for clients. No browser lets it read the answer, but it
/// could fill the list of sign-ins. Clients that are no pages send neither header.
pub(super) fn is_of_a_page(site: &Site, headers: &HeaderMap) -> bool {
    let is_foreign = |site: &str| !matches!(site, "same-origin" | "none");
    header(headers, "sec-fetch-site").is_some_and(is_foreign)
        || header(headers, ORIGIN.as_str()).is_some_and(|origin| origin != site.base_url())
}

/// Whether a page of another site embeds or fetches one of ours, and does not lead a person to it.
pub(super) fn is_embedded(method: &Method, headers: &HeaderMap) -> bool {
    let of_another_site = matches!(header(headers, "sec-fetch-site"), Some("cross-site" | "same-site"));
    let leads_here = method == Method::GET
        && header(headers, "sec-fetch-mode") == Some("navigate")
        && header(headers, "sec-fetch-dest").is_none_or(|destination| destination == "document");
    of_another_site && *method != Method::POST && !leads_here
}

/// What the browser says about the origin of a form. Other clients say nothing, and have no cookie to abuse.
pub(super) fn is_own(site: &Site, headers: &HeaderMap) -> bool {
    let says_same = match header(headers, "sec-fetch-site") {
        Some("same-origin") => true,
        Some(_) => return false,
        None => false,
    };
    match header(headers, ORIGIN.as_str()) {
        None => true,
        // `Referrer-Policy: no-referrer` makes browsers send "null" even for forms of our own pages (Fetch §3.2).
        Some("null") => says_same,
        Some(origin) => origin == site.base_url(),
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"))
}
