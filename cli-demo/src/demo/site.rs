//! Owns what all handlers share: the authority, the clock, the counters, and the notice of changes.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, MatchedPath, Request};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;
// Tokio's clock, which tests can set.
use tokio::time::Instant;

use super::authority::Authority;
use super::id_token::IdTokens;
use super::judge::{Manners, Sight, Verdict};
use super::listen::Peer;
use super::options::Options;

/// How long a body may take.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// When a request arrived, since the server started; before its body is read, since the polling law counts arrivals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival(pub(super) Duration);

/// A request with its whole body.
pub(super) struct Received {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// When it arrived, and from where.
    pub(super) now: Duration,
    pub(super) peer: Peer,
    pub(super) uri: Uri,
}

impl Received {
    /// The error is the answer to a body that is too large, or that takes too long.
    pub(super) async fn whole(request: Request, site: &Site) -> Result<Self, Response> {
        let (headers, uri) = (request.headers().clone(), request.uri().clone());
        let now = request.extensions().get().map_or_else(|| site.now(), |Arrival(now)| *now);
        let peer = request.extensions().get().copied().unwrap_or(Peer(site.address.ip()));
        match tokio::time::timeout(BODY_PATIENCE, Bytes::from_request(request, &())).await {
            Ok(body) => Ok(Self { headers, body: body.map_err(IntoResponse::into_response)?, now, peer, uri }),
            Err(_) => {
                let close = [(header::CONNECTION, "close")];
                Err((StatusCode::REQUEST_TIMEOUT, close, "The body did not arrive in time.\n").into_response())
            }
        }
    }
}

/// What all handlers share.
pub(super) struct Site {
    authority: Mutex<Authority>,
    manners: Mutex<Manners>,
    id_tokens: IdTokens,
    options: Options,
    base_url: String,
    address: SocketAddr,
    started: Instant,
    counters: Mutex<Counters>,
    /// True: the server is about to stop.
    change: watch::Sender<bool>,
}

#[derive(Default)]
struct Counters {
    connections: usize,
    requests: usize,
    by_route: HashMap<String, usize>,
}

impl Site {
    pub(super) fn new(address: SocketAddr, options: Options, id_tokens: IdTokens) -> Self {
        Self {
            authority: Mutex::new(Authority::new(options.clone())),
            manners: Mutex::default(),
            id_tokens,
            options,
            base_url: format!("http://{address}"),
            address,
            started: Instant::now(),
            counters: Mutex::default(),
            change: watch::Sender::new(false),
        }
    }

    pub(super) fn authority(&self) -> MutexGuard<'_, Authority> {
        self.authority.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn id_tokens(&self) -> &IdTokens {
        &self.id_tokens
    }

    /// One more request at an endpoint for clients.
    pub(super) fn judge(&self, sight: &Sight<'_>) {
        self.manners().see(sight);
    }

    /// The verdicts on sign-ins that are over, or on all, each once.
    pub(super) fn verdicts(&self, all: bool) -> Vec<Verdict> {
        let (manners, now) = (self.manners(), self.now());
        self.authority().judged_now(now, all).map(|grant| manners.verdict(grant, now)).collect()
    }

    fn manners(&self) -> MutexGuard<'_, Manners> {
        self.manners.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Notices every change. The value is true when the server is about to stop.
    pub(super) fn changes(&self) -> watch::Receiver<bool> {
        self.change.subscribe()
    }

    /// Something that a page shows may have changed.
    pub(super) fn notify_change(&self) {
        self.change.send_modify(|_| {});
    }

    /// Ends the event streams, which would otherwise go on as long as somebody watches.
    pub(super) fn notify_end(&self) {
        self.change.send_replace(true);
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

    pub(super) fn count_request(&self, route: Option<&MatchedPath>) {
        let mut counters = self.counters();
        counters.requests += 1;
        if let Some(route) = route {
            *counters.by_route.entry(route.as_str().to_owned()).or_default() += 1;
        }
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the Host header is our address. A page of another site can point its name to 127.0.0.1 (DNS rebinding),
    /// but then the browser sends that name.
    pub(super) fn is_addressed_by(&self, request: &Request) -> bool {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.as_bytes() == self.address.to_string().as_bytes(),
            (Some(_), Some(_)) | (None, _) => false,
        }
    }
}

/// Without the authority, which contains secrets.
impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}
