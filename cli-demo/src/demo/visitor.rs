//! Owns the proof that a form comes from one of our pages, in the browser that got this page (RFC 6749 §10.12).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use maud::Markup;

use super::answer::Refusal;
use super::form::Form;
use super::listen::Peer;
use super::origin;
use super::random::{self, same_secret};
use super::site::{Received, Site};

/// A form from a browser, and whether it is one of ours.
pub(super) struct Submission {
    pub(super) site: Arc<Site>,
    pub(super) visitor: Visitor,
    pub(super) form: Result<Form, BadForm>,
    /// When it arrived, and from where.
    pub(super) now: Duration,
    pub(super) peer: Peer,
}

impl FromRequest<Arc<Site>> for Submission {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        let Received { headers, body, now, peer, .. } = Received::whole(request, site).await?;
        let visitor = Visitor::recognise(site, &headers).map_err(Refusal::into_response)?;
        let form = visitor.own_form(site, &headers, &body);
        Ok(Self { site: Arc::clone(site), visitor, form, now, peer })
    }
}

/// Why a form is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadForm {
    /// It cannot be parsed.
    Broken,
    /// It comes from another site, or from a browser without cookies.
    Foreign,
}

/// A browser, recognised by random bits in a cookie that our pages repeat in each form.
pub(super) struct Visitor {
    pub(super) form_token: String,
    /// Set if the browser has no token yet.
    set_cookie: Option<String>,
}

impl Visitor {
    pub(super) fn recognise(site: &Site, headers: &HeaderMap) -> Result<Self, Refusal> {
        // Browsers share cookies among all ports of a host, so the port is in the name.
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

    /// The form, if it comes from one of our pages in this browser.
    fn own_form(&self, site: &Site, headers: &HeaderMap, body: &[u8]) -> Result<Form, BadForm> {
        let form = Form::from_body(headers, body).map_err(|_| BadForm::Broken)?;
        let repeated = form.get("form_token").unwrap_or_default();
        if self.set_cookie.is_none() && same_secret(repeated, &self.form_token) && origin::is_own(site, headers) {
            Ok(form)
        } else {
            Err(BadForm::Foreign)
        }
    }

    /// A page for this browser.
    pub(super) fn see(&self, status: StatusCode, page: Markup) -> Response {
        let page = (status, Html(page.into_string()));
        match &self.set_cookie {
            Some(cookie) => ([(SET_COOKIE, cookie.as_str())], page).into_response(),
            None => page.into_response(),
        }
    }
}

impl BadForm {
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
