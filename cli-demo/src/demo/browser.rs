//! Owns the pages where a person decides: which page answers which request.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};

use super::answer::Refusal;
use super::authority::CodeProblem;
use super::form::Form;
use super::grant::Decision;
use super::pages::device as pages;
use super::pages::frame;
use super::site::{Arrival, Site};
use super::visitor::{BadForm, Submission, Visitor};

/// The form for the code, or with `?user_code=` the question itself. Opening an address never decides anything.
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
        Err(_) => refuse(&visitor, BadForm::Broken),
    })
}

/// The code as typed: shows which client asks for what.
pub(super) async fn look_up(Submission { site, visitor, form, now }: Submission) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(bad_form) => return refuse(&visitor, bad_form),
    };
    match form.get("user_code") {
        None => turn_away(&visitor, StatusCode::BAD_REQUEST, pages::NO_CODE),
        Some(typed) => confirm(&visitor, &site, typed, now),
    }
}

/// Approve or deny.
pub(super) async fn decide(Submission { site, visitor, form, now }: Submission) -> Response {
    let decision = |form: Form| match form.get("decision") {
        Some("approve") => Ok((Decision::Approve, form)),
        Some("deny") => Ok((Decision::Deny, form)),
        Some(_) | None => Err(BadForm::Broken),
    };
    let (decision, form) = match form.and_then(decision) {
        Ok(decided) => decided,
        Err(bad_form) => return refuse(&visitor, bad_form),
    };
    let typed = form.get("user_code").unwrap_or_default();
    let decided = site.authority().decide(typed, decision, now);
    match decided {
        Ok(request) => visitor.see(StatusCode::OK, pages::decided(decision, &request.client_id)),
        Err(problem) => explain(&visitor, problem, typed),
    }
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

/// The form for the code again, with what is wrong with the last one.
fn explain(visitor: &Visitor, problem: CodeProblem, typed: &str) -> Response {
    let status = match problem {
        CodeProblem::Unknown => StatusCode::NOT_FOUND,
        CodeProblem::Expired | CodeProblem::AlreadyUsed => StatusCode::GONE,
        CodeProblem::TooManyWrong => StatusCode::TOO_MANY_REQUESTS,
    };
    let page = visitor.see(status, pages::enter_code(&visitor.form_token, typed, Some(pages::explanation(problem))));
    if status == StatusCode::TOO_MANY_REQUESTS { ([(RETRY_AFTER, "60")], page).into_response() } else { page }
}

fn refuse(visitor: &Visitor, bad_form: BadForm) -> Response {
    let why = match bad_form {
        BadForm::Broken => pages::BAD_FORM,
        BadForm::Foreign => pages::FOREIGN_FORM,
    };
    turn_away(visitor, bad_form.status(), why)
}

fn turn_away(visitor: &Visitor, status: StatusCode, why: &'static str) -> Response {
    visitor.see(status, pages::enter_code(&visitor.form_token, "", Some(why)))
}
