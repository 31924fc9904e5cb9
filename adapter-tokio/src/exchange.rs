//! Owns what a watcher is told of each request: where it went, what came back and when, and nothing that was in it.

use crate::http::Answer;
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

    /// The status of the answer, or how there was none. [`TransportErrorKind::Abandoned`] when nobody waited for it any more.
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

/// Who watches, if anyone does.
#[derive(Clone, Default)]
pub(crate) struct Watch(Option<Arc<Watcher>>);

impl Watch {
    pub(crate) fn new(watcher: impl Fn(&Exchange) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watcher)))
    }

    /// A request begins. `None`, which costs nothing, when nobody watches.
    pub(crate) fn begins(&self, request: &Request) -> Option<Watched<'_>> {
        let watcher = self.0.as_deref()?;
        let url = request.url();
        let path = url.find(['?', '#']).and_then(|end| url.get(..end)).unwrap_or(url);
        let outcome = Err(TransportErrorKind::Abandoned);
        let exchange = Exchange { method: request.method(), url: path.to_owned(), outcome, elapsed: Duration::ZERO };
        Some(Watched { watcher, exchange, since: Instant::now() })
    }
}

/// A request that is watched. Its watcher is told when this is dropped, whatever has become of it by then.
pub(crate) struct Watched<'a> {
    watcher: &'a Watcher,
    exchange: Exchange,
    since: Instant,
}

impl Watched<'_> {
    pub(crate) fn ends(mut self, answer: &Result<Answer, TransportError>) {
        self.exchange.outcome = match answer {
            Ok(answer) => Ok(answer.as_response().status()),
            Err(error) => Err(error.kind()),
        };
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.exchange.elapsed = self.since.elapsed();
        (self.watcher)(&self.exchange);
    }
}
