//! Owns proof that a form came from one of our own pages, and from the browser that got that page (RFC 6749 §10.12).

use axum::http::header::{COOKIE, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use maud::Markup;

use super::answer::Refusal;
use super::form::Form;
use super::random::{self, same_secret};
use super::site::Site;

/// The sender filled in no form of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotOurs {
    /// It cannot be read.
    Broken,
    /// It comes from elsewhere, or from a browser that keeps no cookies.
    Foreign,
}

/// Bits that only one browser knows, as a cookie; our pages repeat them in each form.
pub(super) struct Visitor {
    pub(super) form_token: String,
    /// Set when the browser must still be told its token.
    set_cookie: Option<String>,
}

impl Visitor {
    pub(super) fn recognise(site: &Site, headers: &HeaderMap) -> Result<Self, Refusal> {
        // Browsers share cookies among all ports of a host: the port in the name keeps two demos apart.
        let name = format!("device-flow-demo-{}", site.port());
        match cookie(headers, &name) {
            Some(token) => Ok(Self { form_token: token.to_owned(), set_cookie: None }),
            None => {
                let form_token = random::secret()?;
                let set_cookie = Some(format!("{name}={form_token}; Path=/; HttpOnly; SameSite=Strict"));
                Ok(Self { form_token, set_cookie })
            }
        }
    }

    /// The form, if one of our pages sent it and this browser got that page.
    pub(super) fn own_form(&self, site: &Site, headers: &HeaderMap, body: &[u8]) -> Result<Form, NotOurs> {
        let form = Form::from_body(headers, body).map_err(|_| NotOurs::Broken)?;
        let repeated = form.get("form_token").unwrap_or_default();
        if self.set_cookie.is_none() && same_secret(repeated, &self.form_token) && is_same_origin(site, headers) {
            Ok(form)
        } else {
            Err(NotOurs::Foreign)
        }
    }

    pub(super) fn see(&self, status: StatusCode, page: Markup) -> Response {
        let page = (status, Html(page.into_string()));
        match &self.set_cookie {
            Some(cookie) => ([(SET_COOKIE, cookie.as_str())], page).into_response(),
            None => page.into_response(),
        }
    }
}

impl NotOurs {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Foreign => StatusCode::FORBIDDEN,
        }
    }
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// What the browser itself says about where a form comes from. Other clients say nothing, and have no cookie to steal.
fn is_same_origin(site: &Site, headers: &HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let says_same = match header("sec-fetch-site") {
        Some("same-origin") => true,
        Some(_) => return false,
        None => false,
    };
    match header(ORIGIN.as_str()) {
        None => true,
        // `Referrer-Policy: no-referrer` makes browsers write "null" even on our own pages' forms (Fetch §3.2).
        Some("null") => says_same,
        Some(origin) => origin == site.base_url(),
    }
}
