//! Owns discovery: from an issuer to its endpoints (RFC 8414, OpenID Connect Discovery 1.0).

use crate::machine::Headers;
use crate::message::answer::{Answer, Meaning};
use crate::message::json::Object;
use crate::message::metadata::MAX_METADATA;
use crate::prompt::{endpoint_fault, printable};
use crate::single_request::{SingleRequest, failed_or_cancelled};
use crate::{
    Action, Cause, ConfigError, Endpoint, Failure, Machine, Metadata, Method, Misuse, ProtocolError, ProtocolFault,
    Request, Response, TextFault, Ticket, Timestamp,
};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::time::Duration;
use zeroize::Zeroizing;

/// Finds out where a server's endpoints are, from its issuer.
///
/// It asks at two places (RFC 8414 §5): first `/.well-known/oauth-authorization-server` between host and path of the
/// issuer, then `/.well-known/openid-configuration` after it. A document counts only when its `issuer` is exactly the
/// one asked for. The first that names a device authorization endpoint wins, else the first that counts.
///
/// ```
/// use device_flow_core::{Action, Discovery, Machine, Timestamp};
///
/// let mut discovery = Discovery::new("https://login.example.com/tenant")?;
/// let Action::SendRequest(first) = discovery.next_action(Timestamp::ZERO) else { panic!() };
/// assert_eq!(first.request.url(), "https://login.example.com/.well-known/oauth-authorization-server/tenant");
/// # Ok::<(), device_flow_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Discovery {
    issuer: Box<str>,
    allow_http_loopback: bool,
    /// The places, in order.
    urls: [Arc<str>; 2],
    at_second: bool,
    /// A document without a device authorization endpoint: good enough if the other place has no better one.
    second_best: Option<Metadata>,
    /// What to report if no place has a document.
    fault: Option<ProtocolFault>,
    /// The last status that means "try later", and the longest delay asked for. While there is one, both places are
    /// asked again.
    unavailable: Option<(u16, Duration)>,
    once: SingleRequest<Metadata>,
}

impl Discovery {
    /// Discovery for `issuer`, written exactly as the server writes it, with or without a slash at the end.
    ///
    /// # Errors
    /// [`ConfigError::Issuer`] when it is not an https URL or has a query or fragment (RFC 8414 §2).
    pub fn new(issuer: &str) -> Result<Self, ConfigError> {
        Self::builder(issuer).build()
    }

    /// The same with settings; [`DiscoveryBuilder::build`] checks the issuer.
    ///
    /// ```
    /// use device_flow_core::Discovery;
    ///
    /// let issuer = "http://localhost:8080/realms/test";
    /// assert!(Discovery::new(issuer).is_err());
    /// let discovery = Discovery::builder(issuer).allow_http_loopback().build()?;
    /// # Ok::<(), device_flow_core::ConfigError>(())
    /// ```
    pub fn builder(issuer: &str) -> DiscoveryBuilder<'_> {
        DiscoveryBuilder { issuer, allow_http_loopback: false }
    }

    fn judge(&mut self, response: &Response<'_>, now: Timestamp) {
        let mut object = Object::default();
        let Answer { meaning, retry_after } = Answer::read(response, MAX_METADATA, &mut object);
        match meaning {
            Meaning::Object => match Metadata::read(&object, &self.issuer, self.allow_http_loopback) {
                Ok(metadata) if metadata.device_authorization_endpoint().is_some() => {
                    return self.once.finish(Ok(metadata));
                }
                Ok(metadata) => self.second_best = self.second_best.take().or(Some(metadata)),
                Err(fault) => self.note(fault),
            },
            Meaning::Error(_) => self.note(ProtocolFault::Status(response.status())),
            Meaning::NotJson(fault, _) | Meaning::Broken(fault) => self.note(fault),
            Meaning::Unavailable(status) => {
                let longest = self.unavailable.map_or(retry_after, |(_, earlier)| retry_after.max(earlier));
                self.unavailable = Some((status, longest));
            }
        }
        if !self.at_second {
            self.at_second = true;
            return;
        }
        // A place that cannot answer now may have a better document.
        let unavailable = self.unavailable.take();
        if let Some((status, retry_after)) = unavailable
            && self.once.again(Cause::Status(status), retry_after, now)
        {
            self.at_second = false;
            return;
        }
        let outcome = match (self.second_best.take(), unavailable) {
            (Some(metadata), _) => Ok(metadata),
            (None, Some((status, _))) => Err(broken(ProtocolFault::Unavailable(status))),
            (None, None) => Err(broken(self.fault.take().unwrap_or(ProtocolFault::Missing("issuer")))),
        };
        self.once.finish(outcome);
    }

    /// Keeps the fault that says most: that a document is wrong rather than that there is none.
    fn note(&mut self, fault: ProtocolFault) {
        let tells_little = |fault: &ProtocolFault| {
            matches!(fault, ProtocolFault::Status(_) | ProtocolFault::Page { .. } | ProtocolFault::Empty(_))
        };
        if self.fault.as_ref().is_none_or(|known| tells_little(known) && !tells_little(&fault)) {
            self.fault = Some(fault);
        }
    }
}

/// The settings of a [`Discovery`].
#[must_use = "nothing happens before build"]
#[derive(Clone, Copy, Debug)]
pub struct DiscoveryBuilder<'a> {
    issuer: &'a str,
    allow_http_loopback: bool,
}

impl DiscoveryBuilder<'_> {
    /// Allows the issuer and its endpoints to be `http://` on 127.0.0.0/8, `[::1]` and `localhost`, for development.
    pub fn allow_http_loopback(mut self) -> Self {
        self.allow_http_loopback = true;
        self
    }

    /// Checks the issuer.
    ///
    /// # Errors
    /// As [`Discovery::new`].
    pub fn build(self) -> Result<Discovery, ConfigError> {
        let Self { issuer, allow_http_loopback } = self;
        let query = || issuer.contains('?').then_some(TextFault::Query);
        if let Some(fault) = endpoint_fault(issuer, allow_http_loopback).or_else(query) {
            return Err(ConfigError::Issuer { issuer: printable(issuer), fault });
        }
        // Only the URL loses the slash at the end (RFC 8414 §3.1); the comparison keeps it.
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let host = base.find("://").map_or(0, |scheme| scheme.saturating_add(3));
        let path = base.get(host..).and_then(|rest| rest.find('/')).map_or(base.len(), |at| at.saturating_add(host));
        let (origin, path) = base.split_at(path);
        Ok(Discovery {
            issuer: Box::from(issuer),
            allow_http_loopback,
            urls: [
                format!("{origin}/.well-known/oauth-authorization-server{path}").into(),
                format!("{base}/.well-known/openid-configuration").into(),
            ],
            at_second: false,
            second_best: None,
            fault: None,
            unavailable: None,
            once: SingleRequest::new(),
        })
    }
}

fn broken(fault: ProtocolFault) -> Failure {
    Failure::Protocol(ProtocolError { endpoint: Endpoint::Metadata, fault })
}

impl Machine for Discovery {
    type Output = Metadata;

    fn next_action(&mut self, now: Timestamp) -> Action<Metadata> {
        let [first, second] = &self.urls;
        let url = if self.at_second { second } else { first };
        let get = || Request::new(Method::Get, Arc::clone(url), Headers::default(), Zeroizing::default(), MAX_METADATA);
        self.once.next_action(now, get)
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        if let Some(now) = self.once.answered(ticket, &response, now)? {
            self.judge(&response, now);
        }
        Ok(())
    }

    failed_or_cancelled!();
}
