//! Owns the behaviour of the live pages: what each shows, the events that update it, and the buttons to misbehave.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use super::answer::Refusal;
use super::authority::Misbehaviour;
use super::options::Fault;
use super::pages::{frame, home, live};
use super::site::Site;
use super::visitor::{BadForm, Submission, Visitor};

/// How often a page is updated that changes only with time.
const TICK: Duration = Duration::from_secs(1);

/// What a page shows.
#[derive(Debug, Clone, Copy)]
enum View {
    Home,
    /// Leads to the newest sign-in, as soon as there is one.
    Newest,
    One(u64),
}

pub(super) async fn home(State(site): State<Arc<Site>>) -> Html<String> {
    let (now, authority) = (site.now(), site.authority());
    Html(home::page(site.base_url(), authority.grants(), now).into_string())
}

pub(super) async fn newest(State(site): State<Arc<Site>>) -> Response {
    match newest_number(&site) {
        Some(number) => Redirect::to(&format!("/live/{number}")).into_response(),
        None => Html(live::nothing_yet(site.base_url()).into_string()).into_response(),
    }
}

pub(super) async fn watch(
    State(site): State<Arc<Site>>,
    Path(number): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let visitor = Visitor::recognise(&site, &headers)?;
    let still = query.is_some_and(|query| query == "still");
    Ok(show(&site, &visitor, &number, StatusCode::OK, (still, None)))
}

/// A button was pressed.
pub(super) async fn misbehave(
    Path(number): Path<String>,
    Submission { site, visitor, form, now, .. }: Submission,
) -> Response {
    let asked = form.and_then(|form| {
        Ok(match form.get("what") {
            Some("slow_down") => Misbehaviour::Fault(Fault::SlowDown),
            Some("retry_after") => Misbehaviour::Fault(Fault::RetryAfter),
            Some("unavailable") => Misbehaviour::Fault(Fault::Unavailable),
            Some("hang_up") => Misbehaviour::Fault(Fault::HangUp),
            Some("expire") => Misbehaviour::Expire,
            Some("deny") => Misbehaviour::Deny,
            Some(_) | None => return Err(BadForm::Broken),
        })
    });
    let what = match asked {
        Ok(what) => what,
        Err(bad_form) => {
            let why = match bad_form {
                BadForm::Broken => live::BROKEN,
                BadForm::Foreign => live::FOREIGN,
            };
            return show(&site, &visitor, &number, bad_form.status(), (true, Some(why)));
        }
    };
    let done = number.parse().is_ok_and(|number| site.authority().misbehave(number, what, now));
    if done {
        Redirect::to(&format!("/live/{number}")).into_response()
    } else {
        show(&site, &visitor, &number, StatusCode::CONFLICT, (true, Some(live::TOO_LATE)))
    }
}

pub(super) async fn home_events(State(site): State<Arc<Site>>) -> impl IntoResponse {
    events_of(site, View::Home)
}

pub(super) async fn newest_events(State(site): State<Arc<Site>>) -> impl IntoResponse {
    events_of(site, View::Newest)
}

pub(super) async fn events(State(site): State<Arc<Site>>, Path(number): Path<String>) -> Response {
    match number.parse().ok().filter(|number| site.authority().grant(*number).is_some()) {
        Some(number) => events_of(site, View::One(number)).into_response(),
        // 204 tells the browser not to reconnect.
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("pages/live.css"))
}

pub(super) async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("pages/live.js"))
}

fn show(
    site: &Site,
    visitor: &Visitor,
    number: &str,
    status: StatusCode,
    (still, problem): (bool, Option<&str>),
) -> Response {
    let (now, authority) = (site.now(), site.authority());
    let newest = authority.grants().next().map_or(0, |grant| grant.number);
    match number.parse().ok().and_then(|number| authority.grant(number)) {
        Some(grant) => visitor.see(status, live::page(grant, newest, &visitor.form_token, now, (still, problem))),
        None => visitor.see(StatusCode::NOT_FOUND, frame::not_found()),
    }
}

fn newest_number(site: &Site) -> Option<u64> {
    site.authority().grants().next().map(|grant| grant.number)
}

fn events_of(site: Arc<Site>, view: View) -> impl IntoResponse {
    let changes = site.changes();
    let watcher =
        Watcher { site, view, changes, sent: HashMap::new(), ready: VecDeque::new(), begun: false, over: false };
    Sse::new(watcher.stream()).keep_alive(KeepAlive::default())
}

/// An open page, which gets only what has changed.
struct Watcher {
    site: Arc<Site>,
    view: View,
    changes: watch::Receiver<bool>,
    /// The parts as the page has them.
    sent: HashMap<&'static str, String>,
    ready: VecDeque<Event>,
    begun: bool,
    over: bool,
}

impl Watcher {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut watcher| async move {
            loop {
                if let Some(event) = watcher.ready.pop_front() {
                    return Some((Ok(event), watcher));
                }
                if watcher.over {
                    return None;
                }
                if watcher.begun {
                    // After a change or a tick.
                    let _ = tokio::time::timeout(TICK, watcher.changes.changed()).await;
                }
                watcher.begun = true;
                // The last change before the server stops is sent as well.
                watcher.over = *watcher.changes.borrow_and_update();
                watcher.update();
            }
        })
    }

    fn update(&mut self) {
        let (now, authority) = (self.site.now(), self.site.authority());
        let newest = authority.grants().next().map(|grant| grant.number);
        let parts = match self.view {
            View::Home => home::parts(authority.grants(), now),
            View::Newest => {
                if let Some(number) = newest {
                    self.ready.push_back(Event::default().event("go").data(format!("/live/{number}")));
                    self.over = true;
                }
                return;
            }
            View::One(number) => match authority.grant(number) {
                Some(grant) => live::parts(grant, newest.unwrap_or(number), now),
                None => {
                    self.over = true;
                    return;
                }
            },
        };
        for (id, part) in parts {
            let part = part.into_string();
            if self.sent.get(id) != Some(&part) {
                // A browser drops an event without data.
                let data = if part.is_empty() { " " } else { &part };
                self.ready.push_back(Event::default().event(id).data(data));
                self.sent.insert(id, part);
            }
        }
    }
}
