//! Owns the pages where a person decides: which page answers what.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};

use super::answer::Refusal;
use super::form::Form;
use super::grant::Decision;
use super::pages::device as pages;
use super::pages::frame;
use super::site::{Arrival, Site};
use super::state::CodeProblem;
use super::visitor::{NotOurs, Visitor};

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
        Ok(Some(typed)) => confirm(&visitor, &site, typed, now),
        Err(_) => refuse(&visitor, NotOurs::Broken),
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
        Err(not_ours) => refuse(&visitor, not_ours),
        Ok(form) => match form.get("user_code") {
            None => turn_away(&visitor, StatusCode::BAD_REQUEST, pages::NO_CODE),
            Some(typed) => confirm(&visitor, &site, typed, now),
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
        Err(not_ours) => return Ok(refuse(&visitor, not_ours)),
    };
    let decision = match form.get("decision") {
        Some("approve") => Decision::Approve,
        Some("deny") => Decision::Deny,
        Some(_) | None => return Ok(refuse(&visitor, NotOurs::Broken)),
    };
    let typed = form.get("user_code").unwrap_or_default();
    let decided = site.authority().decide(typed, decision, now);
    Ok(match decided {
        Ok(ask) => visitor.see(StatusCode::OK, pages::decided(decision, &ask.client_id)),
        Err(problem) => explain(&visitor, problem, typed),
    })
}

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("pages/style.css"))
}

pub(super) async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, Html(frame::not_found().into_string()))
}

fn confirm(visitor: &Visitor, site: &Site, typed: &str, now: Duration) -> Response {
    let found = site.authority().look_up(typed, now);
    match found {
        Ok((ask, user_code)) => visitor.see(StatusCode::OK, pages::confirm(&visitor.form_token, &ask, &user_code)),
        Err(problem) => explain(visitor, problem, typed),
    }
}

/// The form for the code again, with what was wrong with the last one.
fn explain(visitor: &Visitor, problem: CodeProblem, typed: &str) -> Response {
    let status = match problem {
        CodeProblem::Unknown => StatusCode::NOT_FOUND,
        CodeProblem::Expired | CodeProblem::AlreadyUsed => StatusCode::GONE,
        CodeProblem::TooManyWrong => StatusCode::TOO_MANY_REQUESTS,
    };
    let page = visitor.see(status, pages::enter_code(&visitor.form_token, typed, Some(pages::explanation(problem))));
    if status == StatusCode::TOO_MANY_REQUESTS { ([(RETRY_AFTER, "60")], page).into_response() } else { page }
}

fn refuse(visitor: &Visitor, not_ours: NotOurs) -> Response {
    let why = match not_ours {
        NotOurs::Broken => pages::BAD_FORM,
        NotOurs::Foreign => pages::FOREIGN_FORM,
    };
    turn_away(visitor, not_ours.status(), why)
}

fn turn_away(visitor: &Visitor, status: StatusCode, why: &'static str) -> Response {
    visitor.see(status, pages::enter_code(&visitor.form_token, "", Some(why)))
}
