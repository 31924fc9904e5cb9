//! Owns what a watcher hears of each request: where it went, the status and the time it took, and nothing that was in it.

use crate::Answer;
use device_flow_core::{Method, Request, TransportError, TransportErrorKind};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One request and what became of it, for a log: see [`HttpBuilder::on_exchange`](crate::HttpBuilder::on_exchange).
///
/// It holds no secret: no header, no body, and of the URL neither a query nor a fragment. `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    method: Method,
    url: String,
    outcome: Result<u16, TransportErrorKind>,
    elapsed: Duration,
}

impl Exchange {
    /// GET or POST.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// Where it went, up to the path.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The status of the answer, or how there was none. [`TransportErrorKind::Abandoned`] when its caller gave it up.
    ///
    /// # Errors
    /// The kind of failure, when no answer came.
    pub fn outcome(&self) -> Result<u16, TransportErrorKind> {
        self.outcome
    }

    /// From before the name is looked up until the last byte of the answer was read, or until it failed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.method.as_str(), self.url)?;
        match self.outcome {
            Ok(status) => write!(f, "HTTP status {status}")?,
            Err(kind) => write!(f, "{kind}")?,
        }
        write!(f, ", {} ms", self.elapsed.as_millis())
    }
}

type Watcher = dyn Fn(&Exchange) + Send + Sync;

/// What hears of every request, if anything does.
#[derive(Clone, Default)]
pub struct ExchangeWatcher(Option<Arc<Watcher>>);

impl ExchangeWatcher {
    /// Calls `watcher` at the end of every request.
    pub fn new(watcher: impl Fn(&Exchange) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watcher)))
    }

    /// A request begins. `None`, which costs nothing, when nothing watches.
    #[must_use]
    pub fn begins(&self, request: &Request) -> Option<WatchedExchange<'_>> {
        let watcher = self.0.as_deref()?;
        let url = request.url();
        let path = url.find(['?', '#']).and_then(|end| url.get(..end)).unwrap_or(url);
        let outcome = Err(TransportErrorKind::Abandoned);
        let exchange = Exchange { method: request.method(), url: path.to_owned(), outcome, elapsed: Duration::ZERO };
        Some(WatchedExchange { watcher, exchange, since: Instant::now() })
    }
}

impl fmt::Debug for ExchangeWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExchangeWatcher").field(&self.0.is_some()).finish()
    }
}

/// A request that is watched. The watcher hears of it when this is dropped, whatever has become of it by then.
pub struct WatchedExchange<'a> {
    watcher: &'a Watcher,
    exchange: Exchange,
    since: Instant,
}

impl WatchedExchange<'_> {
    /// What came of it.
    pub fn ends(mut self, answer: &Result<Answer, TransportError>) {
        self.exchange.outcome = match answer {
            Ok(answer) => Ok(answer.as_response().status()),
            Err(error) => Err(error.kind()),
        };
    }
}

impl fmt::Debug for WatchedExchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.exchange)
    }
}

impl Drop for WatchedExchange<'_> {
    fn drop(&mut self) {
        self.exchange.elapsed = self.since.elapsed();
        (self.watcher)(&self.exchange);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test reports")]
mod tests {
    use super::*;
    use device_flow_core::{Action, Discovery, Machine as _, Timestamp};

    #[test]
    fn debug_says_whether_something_watches_and_which_request_goes_on() {
        let watcher = ExchangeWatcher::new(|_| {});
        let shown = [format!("{watcher:?}"), format!("{:?}", ExchangeWatcher::default())];
        assert_eq!(shown, ["ExchangeWatcher(true)", "ExchangeWatcher(false)"]);
        let mut discovery = Discovery::new("https://as.example").unwrap();
        let Action::SendRequest(outgoing) = discovery.next_action(Timestamp::ZERO) else { panic!() };
        let shown = format!("{:?}", watcher.begins(&outgoing.request).unwrap());
        assert!(shown.starts_with("GET https://as.example/"), "{shown}");
    }
}
