//! Owns what all answers of the demo server share: routes, the check of the Host header, and security headers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use super::judge::Sight;
use super::site::{Arrival, Site};
use super::{browser, live, oauth, origin};

/// Far more than any legitimate request.
const BODY_LIMIT: usize = 16 * 1024;

const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"), // RFC 6749 §10.13, for browsers without frame-ancestors
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"), // the address of a page may contain a user code
    (header::CACHE_CONTROL, "no-store"),      // RFC 6749 §5.1
];

/// For the live pages: they have one script, which connects to this server only.
const SCRIPTED: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

/// Every route of the server, for people and for clients.
pub(super) fn router(site: Arc<Site>) -> Router {
    let live = Router::new()
        .route("/", get(live::home))
        .route("/live", get(live::newest))
        .route("/live/{number}", get(live::watch))
        .route("/live/{number}/misbehave", post(live::misbehave))
        .layer(middleware::map_response(scripted));
    Router::new()
        .merge(live)
        .route("/events", get(live::home_events))
        .route("/live/events", get(live::newest_events))
        .route("/live/{number}/events", get(live::events))
        .route("/device", get(browser::enter_code).post(browser::look_up))
        .route("/device/decide", post(browser::decide))
        .route("/style.css", get(browser::style))
        .route("/live.css", get(live::style))
        .route("/live.js", get(live::script))
        .route("/device_authorization", post(oauth::device_authorization))
        .route("/token", post(oauth::token))
        .route("/revoke", post(oauth::revoke))
        .route("/userinfo", get(oauth::userinfo).post(oauth::userinfo))
        .route("/jwks", get(oauth::jwks))
        .route("/authorize", get(browser::authorize).post(browser::authorize))
        .route("/.well-known/oauth-authorization-server", get(oauth::metadata))
        .route("/.well-known/openid-configuration", get(oauth::metadata))
        .fallback(browser::not_found)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guard))
        .with_state(site)
}

async fn guard(
    State(site): State<Arc<Site>>,
    route: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrival = Arrival(site.now());
    let may_change_something = request.method() == Method::POST;
    site.count_request(route.as_ref());
    let mut response = if !site.is_addressed_by(&request) {
        (StatusCode::MISDIRECTED_REQUEST, "This server answers to its loopback address only.\n").into_response()
    } else if origin::is_embedded(request.method(), request.headers()) {
        (StatusCode::FORBIDDEN, "A page of another site may lead here, and embed nothing.\n").into_response()
    } else {
        request.extensions_mut().insert(arrival);
        judge_without_body(&site, &request);
        next.run(request).await
    };
    // The live pages have their own policy.
    let policy = response.headers_mut().remove(header::CONTENT_SECURITY_POLICY);
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Some(policy) = policy {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if may_change_something {
        site.notify_change();
    }
    response
}

/// What can be judged before the body has come. Endpoints that take a form judge the whole request.
fn judge_without_body(site: &Site, request: &Request) {
    let (method, path) = (request.method(), request.uri().path());
    let is_judged = match path {
        "/device_authorization" | "/token" | "/revoke" => method != Method::POST,
        "/userinfo" => true,
        _ => false,
    };
    if is_judged {
        let query = request.uri().query().unwrap_or_default();
        site.judge(&Sight { method, path, query, headers: request.headers(), body: &[] });
    }
}

async fn scripted(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SCRIPTED));
    response
}
