//! Owns discovery: from an issuer to its endpoints (RFC 8414, OpenID Connect Discovery 1.0).

use crate::dialect::Call;
use crate::machine::Target;
use crate::message::FORM;
use crate::message::advice::Sent;
use crate::message::answer::{Answer, Meaning, Reading};
use crate::message::form::Body;
use crate::message::json::Object;
use crate::message::metadata::MAX_METADATA;
use crate::message::said::{said, words_of};
use crate::prompt::{endpoint_fault, printable};
use crate::single_request::{SingleRequest, failed_or_cancelled};
use crate::sync::Arc;
use crate::{
    Action, Cause, ConfigError, Failure, Machine, Metadata, Method, Misuse, ProtocolError, ProtocolFault, Request,
    Response, TextFault, Ticket, Timestamp,
};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

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
    /// In order.
    places: [Arc<Target>; 2],
    at_second: bool,
    /// A document without a device authorization endpoint: good enough if the other place has no better one.
    second_best: Option<Metadata>,
    /// What to report if no place has a document, with the server's words.
    fault: Option<(ProtocolFault, Option<Box<str>>)>,
    /// The last status that means "try later", the longest delay asked for, and the server's words. While there is one, both places are
    /// asked again.
    unavailable: Option<(u16, Duration, Option<Box<str>>)>,
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
        let Answer { meaning, retry_after } = Answer::read(&READING, Call::Device, response, &mut object);
        match meaning {
            Meaning::Object => match Metadata::read(&object, &self.issuer, self.allow_http_loopback) {
                Ok(metadata) if metadata.device_authorization_endpoint().is_some() => {
                    return self.once.finish(Ok(metadata));
                }
                Ok(metadata) => self.second_best = self.second_best.take().or(Some(metadata)),
                Err(fault) => self.note(fault, None),
            },
            Meaning::Error(_) => self.note(ProtocolFault::Status(response.status()), said(response, &object)),
            Meaning::NotJson(fault, _) => self.note(fault, None),
            Meaning::Broken(fault) => self.note(fault, words_of(response, &object)),
            Meaning::Unavailable(status) => {
                let before = self.unavailable.take();
                let longest = before.map_or(retry_after, |(_, earlier, _)| retry_after.max(earlier));
                self.unavailable = Some((status, longest, said(response, &object)));
            }
        }
        if !self.at_second {
            self.at_second = true;
            return;
        }
        // A place that cannot answer now may have a better document.
        let unavailable = self.unavailable.take();
        if let Some((status, retry_after, said)) = &unavailable {
            self.once.hear(&broken(ProtocolFault::Unavailable(*status), said.clone()));
            if self.once.again(Cause::Status(*status), *retry_after, now) {
                self.at_second = false;
                return;
            }
        }
        let outcome = match (self.second_best.take(), unavailable) {
            (Some(metadata), _) => Ok(metadata),
            (None, Some((status, _, said))) => Err(broken(ProtocolFault::Unavailable(status), said)),
            (None, None) => {
                let (fault, said) = self.fault.take().unwrap_or((ProtocolFault::Missing("issuer"), None));
                Err(broken(fault, said))
            }
        };
        self.once.finish(outcome);
    }

    /// Keeps the fault that says most: that a document is wrong rather than that there is none. The second place is the
    /// usual one, so its words go before those of the first.
    fn note(&mut self, fault: ProtocolFault, said: Option<Box<str>>) {
        let tells_little = |fault: &ProtocolFault| {
            matches!(fault, ProtocolFault::Status(_) | ProtocolFault::Page { .. } | ProtocolFault::Empty(_))
        };
        let has_words = said.is_some() && matches!(fault, ProtocolFault::Status(_));
        let says_more = |known: &ProtocolFault| tells_little(known) && (!tells_little(&fault) || has_words);
        if self.fault.as_ref().is_none_or(|(known, _)| says_more(known)) {
            self.fault = Some((fault, said));
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
            places: [
                place(format!("{origin}/.well-known/oauth-authorization-server{path}")),
                place(format!("{base}/.well-known/openid-configuration")),
            ],
            at_second: false,
            second_best: None,
            fault: None,
            unavailable: None,
            once: SingleRequest::new(),
        })
    }
}

/// No server with a dialect has metadata.
const READING: Reading = Reading { max: MAX_METADATA, dialect: None };

fn place(url: String) -> Arc<Target> {
    Arc::new(Target {
        method: Method::Get,
        url: url.into_boxed_str(),
        authorization: None,
        correlation_id: None,
        content_type: FORM,
        max_response: MAX_METADATA,
    })
}

fn broken(fault: ProtocolFault, said: Option<Box<str>>) -> Failure {
    Failure::Protocol(ProtocolError::of(Sent::METADATA, fault, said))
}

impl Machine for Discovery {
    type Output = Metadata;

    fn next_action(&mut self, now: Timestamp) -> Action<Metadata> {
        let [first, second] = &self.places;
        let place = if self.at_second { second } else { first };
        self.once.next_action(now, || Ok(Request::new(place, Body::default())))
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        if let Some(now) = self.once.answered(ticket, &response, now)? {
            self.judge(&response, now);
        }
        Ok(())
    }

    failed_or_cancelled!();
}
