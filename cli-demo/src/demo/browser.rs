//! Owns the pages where a person decides: which page answers which request.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};

use super::answer::Refusal;
use super::authority::{CodeProblem, Guesser};
use super::form::Form;
use super::grant::AuthorizationRequest;
use super::listen::Peer;
use super::options::Decision;
use super::pages::device as pages;
use super::pages::frame;
use super::site::{Arrival, Site};
use super::visitor::{BadForm, Submission, Visitor};

/// The form for the code, or with `?user_code=` the question itself. Opening an address never decides anything; when
/// too many wrong codes came with an address, it only fills the form in.
pub(super) async fn enter_code(
    State(site): State<Arc<Site>>,
    Extension(Arrival(now)): Extension<Arrival>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let visitor = Visitor::recognise(&site, &headers)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    Ok(match query.as_ref().map(|query| query.get("user_code")) {
        Ok(None) => visitor.see(StatusCode::OK, pages::enter_code(&visitor.form_token, "", None)),
        Ok(Some(typed)) => match look(&site, typed, Guesser { peer, by_address: true }, now) {
            Err(CodeProblem::TooManyWrong) => {
                visitor.see(StatusCode::OK, pages::enter_code(&visitor.form_token, typed, None))
            }
            found => confirm(&visitor, found, typed),
        },
        Err(_) => refuse(&visitor, BadForm::Broken),
    })
}

/// The code as typed: shows which client asks for what.
pub(super) async fn look_up(Submission { site, visitor, form, now, peer: Peer(peer) }: Submission) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(bad_form) => return refuse(&visitor, bad_form),
    };
    match form.get("user_code") {
        None => turn_away(&visitor, StatusCode::BAD_REQUEST, pages::NO_CODE),
        Some(typed) => confirm(&visitor, look(&site, typed, Guesser { peer, by_address: false }, now), typed),
    }
}

/// Approve or deny.
pub(super) async fn decide(Submission { site, visitor, form, now, peer: Peer(peer) }: Submission) -> Response {
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
    let decided = site.authority().decide(typed, decision, Some(Guesser { peer, by_address: false }), now);
    match decided {
        Ok(request) => visitor.see(StatusCode::OK, pages::decided(decision, &request.client_id)),
        Err(problem) => explain(&visitor, problem, typed),
    }
}

/// What OpenID Connect Discovery demands an address for. No client has registered a redirection URI here, so that
/// nobody can be sent back (RFC 6749 §4.1.2.1).
pub(super) async fn authorize() -> impl IntoResponse {
    (StatusCode::BAD_REQUEST, Html(pages::only_devices().into_string()))
}

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("pages/style.css"))
}

pub(super) async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, Html(frame::not_found().into_string()))
}

type Found = Result<(AuthorizationRequest, String), CodeProblem>;

fn look(site: &Site, typed: &str, guesser: Guesser, now: Duration) -> Found {
    site.authority().look_up(typed, guesser, now)
}

fn confirm(visitor: &Visitor, found: Found, typed: &str) -> Response {
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
