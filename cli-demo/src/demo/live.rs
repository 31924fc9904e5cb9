//! Owns the live views' behaviour: what each shows, the events that keep it up to date, and the buttons to misbehave.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use super::answer::Refusal;
use super::grant::Trouble;
use super::pages::{frame, home, live};
use super::site::{Arrival, Site};
use super::state::Misbehaviour;
use super::visitor::{NotOurs, Visitor};

/// How often something is looked at that changes with the time alone.
const TICK: Duration = Duration::from_secs(1);

/// What a page shows.
#[derive(Debug, Clone, Copy)]
enum View {
    Home,
    /// The newest sign-in, as soon as there is one.
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
    State(site): State<Arc<Site>>,
    Path(number): Path<String>,
    Extension(Arrival(now)): Extension<Arrival>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let visitor = Visitor::recognise(&site, &headers)?;
    let asked = visitor.own_form(&site, &headers, &body).and_then(|form| {
        Ok(match form.get("what") {
            Some("slow_down") => Misbehaviour::Trouble(Trouble::SlowDown),
            Some("retry_after") => Misbehaviour::Trouble(Trouble::RetryAfter),
            Some("unavailable") => Misbehaviour::Trouble(Trouble::Unavailable),
            Some("hang_up") => Misbehaviour::Trouble(Trouble::HangUp),
            Some("expire") => Misbehaviour::Expire,
            Some("deny") => Misbehaviour::Deny,
            Some(_) | None => return Err(NotOurs::Broken),
        })
    });
    let what = match asked {
        Ok(what) => what,
        Err(not_ours) => {
            let why = match not_ours {
                NotOurs::Broken => live::BROKEN,
                NotOurs::Foreign => live::FOREIGN,
            };
            return Ok(show(&site, &visitor, &number, not_ours.status(), (true, Some(why))));
        }
    };
    let done = number.parse().is_ok_and(|number| site.authority().misbehave(number, what, now));
    Ok(if done {
        Redirect::to(&format!("/live/{number}")).into_response()
    } else {
        show(&site, &visitor, &number, StatusCode::CONFLICT, (true, Some(live::TOO_LATE)))
    })
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
        // 204 tells a browser not to come again.
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
        Watcher { site, view, changes, told: HashMap::new(), ready: VecDeque::new(), begun: false, over: false };
    Sse::new(watcher.stream()).keep_alive(KeepAlive::default())
}

/// Somebody who looks at a view, and is told only what has changed.
struct Watcher {
    site: Arc<Site>,
    view: View,
    changes: watch::Receiver<bool>,
    told: HashMap<&'static str, String>,
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
                    // Either way it is time to look again.
                    let _ = tokio::time::timeout(TICK, watcher.changes.changed()).await;
                }
                watcher.begun = true;
                // The last thing that happens before the server stops is worth telling, too.
                watcher.over = *watcher.changes.borrow_and_update();
                watcher.look();
            }
        })
    }

    fn look(&mut self) {
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
            if self.told.get(id) != Some(&part) {
                self.ready.push_back(Event::default().event(id).data(&part));
                self.told.insert(id, part);
            }
        }
    }
}
