//! Owns what all handlers share: the authority, the clock, the counters, and the word that something has changed.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::header;
use tokio::sync::watch;
// Tokio's own clock, so that tests may set it.
use tokio::time::Instant;

use super::setting::Options;
use super::state::Authority;

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
    /// True when the server is about to stop.
    change: watch::Sender<bool>,
}

#[derive(Default)]
struct Counters {
    connections: usize,
    requests: usize,
    by_route: HashMap<String, usize>,
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
            change: watch::Sender::new(false),
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

    /// Hears of every change; the value is true when the server is about to stop.
    pub(super) fn changes(&self) -> watch::Receiver<bool> {
        self.change.subscribe()
    }

    /// Something that a page shows may be different now.
    pub(super) fn tell_change(&self) {
        self.change.send_modify(|_| {});
    }

    /// Ends what would otherwise go on for as long as somebody watches.
    pub(super) fn tell_end(&self) {
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

    /// A page elsewhere can point its own name at 127.0.0.1 (DNS rebinding), but cannot change what it calls us.
    pub(super) fn is_called(&self, request: &Request) -> bool {
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
