//! Owns the pages' behaviour: which page answers what, and proof that a form came from one of our own pages.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, ORIGIN, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use maud::Markup;

use super::form::Form;
use super::http::{Arrival, Site};
use super::refusal::Refusal;
use super::state::{CodeProblem, Decision, same_secret};
use super::{pages, random};

/// Bits that only one browser knows, as a cookie; our pages repeat them in each form.
struct Visitor {
    form_token: String,
    /// Set when the browser must still be told its token.
    set_cookie: Option<String>,
}

pub(super) async fn home(State(site): State<Arc<Site>>) -> Html<String> {
    Html(pages::home(site.base_url()).into_string())
}

/// The form for the code, or with `?user_code=` the question itself. Never a decision: opening an address decides nothing.
pub(super) async fn enter_code(
    State(site): State<Arc<Site>>,
    Extension(Arrival(now)): Extension<Arrival>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let visitor = Visitor::recognise(&site, &headers)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    Ok(match query.as_ref().map(|query| query.get("user_code")) {
        Ok(None) => visitor.see(StatusCode::OK, pages::enter_code(&visitor.form_token, "", None)),
        Ok(Some(typed)) => visitor.confirm(&site, typed, now),
        Err(_) => visitor.turn_away(StatusCode::BAD_REQUEST, pages::BAD_FORM),
    })
}

/// The code as typed: shows who asks for what.
pub(super) async fn look_up(
    State(site): State<Arc<Site>>,
    Extension(Arrival(now)): Extension<Arrival>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let visitor = Visitor::recognise(&site, &headers)?;
    Ok(match visitor.own_form(&site, &headers, &body) {
        Err((status, why)) => visitor.turn_away(status, why),
        Ok(form) => match form.get("user_code") {
            None => visitor.turn_away(StatusCode::BAD_REQUEST, pages::NO_CODE),
            Some(typed) => visitor.confirm(&site, typed, now),
        },
    })
}

/// Approve or deny.
pub(super) async fn decide(
    State(site): State<Arc<Site>>,
    Extension(Arrival(now)): Extension<Arrival>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let visitor = Visitor::recognise(&site, &headers)?;
    let form = match visitor.own_form(&site, &headers, &body) {
        Ok(form) => form,
        Err((status, why)) => return Ok(visitor.turn_away(status, why)),
    };
    let decision = match form.get("decision") {
        Some("approve") => Decision::Approve,
        Some("deny") => Decision::Deny,
        Some(_) | None => return Ok(visitor.turn_away(StatusCode::BAD_REQUEST, pages::BAD_FORM)),
    };
    let typed = form.get("user_code").unwrap_or_default();
    let decided = site.authority().decide(typed, decision, now);
    Ok(match decided {
        Ok(ask) => visitor.see(StatusCode::OK, pages::decided(decision, &ask.client_id)),
        Err(problem) => visitor.explain(problem, typed),
    })
}

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}

pub(super) async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, Html(pages::not_found().into_string()))
}

impl Visitor {
    fn recognise(site: &Site, headers: &HeaderMap) -> Result<Self, Refusal> {
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

    /// The form, if one of our pages sent it and this browser got that page (RFC 6749 §10.12); else what to turn it away with.
    fn own_form(&self, site: &Site, headers: &HeaderMap, body: &[u8]) -> Result<Form, (StatusCode, &'static str)> {
        let form = Form::from_body(headers, body).map_err(|_| (StatusCode::BAD_REQUEST, pages::BAD_FORM))?;
        let repeated = form.get("form_token").unwrap_or_default();
        if self.set_cookie.is_none() && same_secret(repeated, &self.form_token) && is_same_origin(site, headers) {
            Ok(form)
        } else {
            Err((StatusCode::FORBIDDEN, pages::FOREIGN_FORM))
        }
    }

    fn confirm(&self, site: &Site, typed: &str, now: Duration) -> Response {
        let found = site.authority().look_up(typed, now);
        match found {
            Ok((ask, user_code)) => self.see(StatusCode::OK, pages::confirm(&self.form_token, &ask, &user_code)),
            Err(problem) => self.explain(problem, typed),
        }
    }

    /// The form for the code again, with what was wrong with the last one.
    fn explain(&self, problem: CodeProblem, typed: &str) -> Response {
        let status = match problem {
            CodeProblem::Unknown => StatusCode::NOT_FOUND,
            CodeProblem::Expired | CodeProblem::AlreadyUsed => StatusCode::GONE,
            CodeProblem::TooManyWrong => StatusCode::TOO_MANY_REQUESTS,
        };
        let page = self.see(status, pages::enter_code(&self.form_token, typed, Some(pages::explanation(problem))));
        if status == StatusCode::TOO_MANY_REQUESTS { ([(RETRY_AFTER, "60")], page).into_response() } else { page }
    }

    fn turn_away(&self, status: StatusCode, why: &'static str) -> Response {
        self.see(status, pages::enter_code(&self.form_token, "", Some(why)))
    }

    fn see(&self, status: StatusCode, page: Markup) -> Response {
        let page = (status, Html(page.into_string()));
        match &self.set_cookie {
            Some(cookie) => ([(SET_COOKIE, cookie.as_str())], page).into_response(),
            None => page.into_response(),
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
