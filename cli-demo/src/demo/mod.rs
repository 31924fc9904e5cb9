//! The demo: a small authorization server of RFC 8628 on loopback. This file owns its start, its stop and its handle.
//!
//! It stores nothing, accepts every public client, and has one user, who is always signed in: right for a demo and for
//! tests, wrong for anything else.

mod answer;
mod authority;
mod browser;
mod form;
mod grant;
mod http;
mod id_token;
mod judge;
mod listen;
mod live;
mod oauth;
mod options;
mod origin;
mod pages;
mod random;
mod site;
mod visitor;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use id_token::IdTokens;
pub use judge::{Kept, RuleVerdict, Verdict};
pub use options::{CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, Decision, Fault, Options};
use options::{EMAIL, PERSON};
use site::Site;

/// How long an open connection may keep [`Server::shutdown`] waiting.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// A running server. Dropping it stops it; [`shutdown`](Self::shutdown) also waits until it has stopped.
#[derive(Debug)]
#[must_use = "the server stops when this is dropped"]
pub struct Server {
    site: Arc<Site>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts to serve, in a task of the current tokio runtime (which needs its I/O and time drivers).
    ///
    /// # Errors
    /// `InvalidInput` if a duration is zero or not in whole seconds; else the error of binding the port.
    pub async fn start(options: Options) -> io::Result<Self> {
        for duration in [options.interval, options.code_lifetime, options.access_token_lifetime] {
            if duration.is_zero() || duration.subsec_nanos() != 0 {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "durations must be whole seconds, and not zero",
                ));
            }
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let site = Arc::new(Site::new(listener.local_addr()?, options, IdTokens::new()?));
        let ending = Arc::clone(&site);
        let (stop, stopped) = oneshot::channel();
        let until = async move {
            // An error means that `stop` was dropped, which is the signal.
            let _ = stopped.await;
            ending.notify_end();
        };
        let task = tokio::spawn(listen::serve(listener, http::router(Arc::clone(&site)), Arc::clone(&site), until));
        Ok(Self { site, stop, task })
    }

    /// `http://127.0.0.1:PORT` without a slash at the end; also the issuer (RFC 8414 §2).
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.site.base_url()
    }

    /// The page where a person watches the sign-ins, poll by poll, and makes the server misbehave.
    #[must_use]
    pub fn live_url(&self) -> String {
        format!("{}/live", self.base_url())
    }

    /// Approves a code, as on the page. Returns true also if it was approved before, and false if there is no such
    /// pending code.
    #[must_use = "false: nothing was approved"]
    pub fn approve(&self, user_code: &str) -> bool {
        self.decide(user_code, Decision::Approve)
    }

    /// Denies a code, as on the page. Returns true also if it was denied before, and false if there is no such pending
    /// code.
    #[must_use = "false: nothing was denied"]
    pub fn deny(&self, user_code: &str) -> bool {
        self.decide(user_code, Decision::Deny)
    }

    /// The account of an access token, as `/userinfo` would answer; `None` if the token is not valid.
    #[must_use]
    pub fn account(&self, access_token: &str) -> Option<String> {
        let authority = self.site.authority();
        authority.scope_of(access_token, self.site.now()).map(|_| format!("{} <{}>", PERSON, EMAIL))
    }

    /// When each of the last hundred polls for this code arrived, since the server started.
    #[must_use]
    pub fn polls(&self, user_code: &str) -> Vec<Duration> {
        self.site.authority().polls(user_code)
    }

    /// The verdicts on the sign-ins that are over since the last call, each once: how their clients kept the polling
    /// law. A sign-in is over when its client knows how it ended, or its code has expired; a client then has two
    /// intervals and two seconds for what it should not do. From the first call on, no sign-in is dropped before its
    /// verdict; before it, the last fifty that are over are stored.
    #[must_use = "each verdict comes once"]
    pub fn verdicts(&self) -> Vec<Verdict> {
        self.site.verdicts(false)
    }

    /// The same, and the verdicts on sign-ins that are not over, as they stand now.
    #[must_use = "each verdict comes once"]
    pub fn verdicts_so_far(&self) -> Vec<Verdict> {
        self.site.verdicts(true)
    }

    /// The number of connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.site.connections()
    }

    /// The number of requests so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.site.requests()
    }

    /// The number of requests so far for one of the server's paths, such as `/token`.
    #[must_use]
    pub fn requests_to(&self, path: &str) -> usize {
        self.site.requests_to(path)
    }

    /// Stops accepting, lets requests in flight finish, and returns within a few seconds.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A connection that is still open then ends with the runtime.
        let _ = tokio::time::timeout(SHUTDOWN_PATIENCE, self.task).await;
    }

    fn decide(&self, user_code: &str, decision: Decision) -> bool {
        let decided = self.site.authority().decide(user_code, decision, None, self.site.now()).is_ok();
        self.site.notify_change();
        decided
    }
}
