//! Owns what all of the demo server's answers share: routes, the host check, security headers, counters and the time.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use super::state::Authority;
use super::{Options, browser, oauth};

/// No request of ours comes near this.
const BODY_LIMIT: usize = 16 * 1024;

const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"), // RFC 6749 §10.13, for browsers without frame-ancestors
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"), // the address of a page may hold a user code
    (header::CACHE_CONTROL, "no-store"),      // RFC 6749 §5.1
];

/// When a request arrived, since the server started. Taken before its body is read: the polling law counts arrivals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival(pub(super) Duration);

/// All that handlers share.
pub(super) struct Site {
    authority: Mutex<Authority>,
    options: Options,
    base_url: String,
    address: SocketAddr,
    started: Instant,
    counters: Mutex<Counters>,
}

#[derive(Default)]
struct Counters {
    connections: usize,
    requests: usize,
    by_route: HashMap<String, usize>,
}

/// Every route of the server, for people and for clients.
pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(browser::home))
        .route("/device", get(browser::enter_code).post(browser::look_up))
        .route("/device/decide", post(browser::decide))
        .route("/style.css", get(browser::style))
        .route("/device_authorization", post(oauth::device_authorization))
        .route("/token", post(oauth::token))
        .route("/revoke", post(oauth::revoke))
        .route("/userinfo", get(oauth::userinfo))
        .route("/.well-known/oauth-authorization-server", get(oauth::metadata))
        .route("/.well-known/openid-configuration", get(oauth::metadata))
        .fallback(browser::not_found)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guard))
        .with_state(site)
}

impl Site {
    pub(super) fn new(address: SocketAddr, options: Options) -> Self {
        Self {
            authority: Mutex::new(Authority::new(options.clone())),
            options,
            base_url: format!("http://{address}"),
            address,
            started: Instant::now(),
            counters: Mutex::default(),
        }
    }

    pub(super) fn authority(&self) -> MutexGuard<'_, Authority> {
        self.authority.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn count_connection(&self) {
        self.counters().connections += 1;
    }

    pub(super) fn connections(&self) -> usize {
        self.counters().connections
    }

    pub(super) fn requests(&self) -> usize {
        self.counters().requests
    }

    pub(super) fn requests_to(&self, route: &str) -> usize {
        self.counters().by_route.get(route).copied().unwrap_or_default()
    }

    fn count_request(&self, route: Option<&MatchedPath>) {
        let mut counters = self.counters();
        counters.requests += 1;
        if let Some(route) = route {
            *counters.by_route.entry(route.as_str().to_owned()).or_default() += 1;
        }
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page elsewhere can point its own name at 127.0.0.1 (DNS rebinding), but cannot change what it calls us.
    fn is_called(&self, request: &Request) -> bool {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.as_bytes() == self.address.to_string().as_bytes(),
            (Some(_), Some(_)) | (None, _) => false,
        }
    }
}

/// Secrets live in there, and nobody needs to print them.
impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

async fn guard(
    State(site): State<Arc<Site>>,
    route: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrival = Arrival(site.now());
    site.count_request(route.as_ref());
    let mut response = if site.is_called(&request) {
        request.extensions_mut().insert(arrival);
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "This server answers to its loopback address only.\n").into_response()
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
