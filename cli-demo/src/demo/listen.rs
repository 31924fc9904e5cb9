//! Owns the connections of the demo server: how many each peer may have, and for how long one may be idle.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use super::site::Site;

/// The most connections of one peer, and of all: fewer than the files that a process may have open on most systems.
pub(super) const MOST_OF_A_PEER: usize = 256;
const MOST: usize = 512;
/// How long a failed `accept` is waited after: there are too many open files, and waiting is all that helps.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Peer(pub(super) IpAddr);

/// The open connections of each peer.
#[derive(Debug, Default)]
struct Open(Mutex<HashMap<IpAddr, usize>>);

/// One of them, until it is dropped.
struct Place(Arc<Open>, IpAddr);

impl Open {
    /// `None`: this peer, or all together, have too many.
    fn place(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let of_this = open.entry(peer).or_default();
        if all >= MOST || *of_this >= MOST_OF_A_PEER {
            return None;
        }
        *of_this += 1;
        Some(Place(Arc::clone(self), peer))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

/// Serves until `stop`, and then until the requests in flight have their answers.
pub(super) async fn serve(listener: TcpListener, router: Router, site: Arc<Site>, stop: impl Future<Output = ()>) {
    let (open, graceful) = (Arc::new(Open::default()), GracefulShutdown::new());
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, address.ip()),
            Err(error) => {
                if !is_of_the_connection(&error) {
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
                continue;
            }
        };
        site.count_connection();
        // One too many is closed at once.
        if let Some(place) = open.place(peer) {
            // Answers are small, and Nagle's algorithm would only delay them. A failure to disable it does no harm.
            let _ = stream.set_nodelay(true);
            let service = TowerToHyperService::new(router.clone());
            let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer(peer));
                service.call(request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(site.options().connection_patience)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                // An error means that the client went away, or took too long.
                let _ = connection.await;
                drop(place);
            });
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Whether only the connection that was about to be accepted has failed.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
