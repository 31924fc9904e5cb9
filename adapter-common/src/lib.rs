//! What the adapters of device-flow share: everything around a machine that needs neither a runtime nor an HTTP client.
//!
//! A program does not need this crate by name: `device-flow-tokio` and `device-flow-blocking` re-export what it is for. An adapter
//! for another runtime or HTTP client starts here.
//!
//! | For | There is |
//! | --- | --- |
//! | the settings of an HTTP client, and their checks | [`HttpBuilder`], [`HttpSettings`], [`HttpError`], [`ClientCertificate`], [`Proxy`] |
//! | what a transport brings back | [`Answer`], [`failure`] |
//! | the time | [`timeline`] |
//! | the loop around a machine, but for sending and waiting | [`driver`]; [`crew`] for a fleet |
//! | a log of requests | [`Exchange`], [`ExchangeWatcher`] |
//! | accounts on a store | [`account_store`], [`SignInError`], [`SignedOut`] |
//!
//! # The duties of a transport
//!
//! A transport sends one [`Request`](device_flow_core::Request) and brings an [`Answer`], or a
//! [`TransportError`](device_flow_core::TransportError) when there is none. The rules of RFC 8628 hold over any transport; these
//! keep secrets and time with it:
//!
//! 1. **It sends the request once**: method, URL, headers and body as they are, an empty body of a POST with `content-length: 0`. It
//!    never sends it again by itself: a device code that was redeemed must not be replayed.
//! 2. **It follows no redirect.** The status is an answer like any other; the request would hand its secrets to another address.
//! 3. **It brings every status as an answer**, with all headers: the body decides, and `retry-after` and `date` matter.
//! 4. **It reads no further than one byte beyond** [`max_response`](device_flow_core::Request::max_response), decodes no
//!    compression and declines it (`Accept-Encoding: identity`), and bounds the length of headers, too.
//! 5. **It has one time limit for the whole request**, name look-up and the last byte of the answer included, no longer than
//!    [`time_limit`](device_flow_core::Request::time_limit), and tells
//!    [`Timeout`](device_flow_core::TransportErrorKind::Timeout) when it has passed.
//!    A request that has to wait for its turn is not sent when it [has expired](device_flow_core::Request::is_expired) meanwhile.
//! 6. **It checks certificates**, and tells one that is not trusted as
//!    [`UntrustedCertificate`](device_flow_core::TransportErrorKind::UntrustedCertificate), which ends a sign-in at once, apart from
//!    every other failure, which does not.
//! 7. **An answer that breaks off is no answer**: fewer bytes than announced are
//!    [`Closed`](device_flow_core::TransportErrorKind::Closed).
//! 8. **It keeps no cookies, sends no referrer, and logs no secret.**
//! 9. **A client certificate, where it has one, is shown to servers that ask for it**, never to a proxy, and over no connection of a
//!    client with another one. A server that demands one, or refuses the one it got, is told as
//!    [`Tls`](device_flow_core::TransportErrorKind::Tls), with TLS 1.3, too, where it says so only after the handshake.
//!
//! `device_flow_testkit::conformance` is a suite of tests that holds a transport to them.

pub mod account_store;
mod answer;
mod client_certificate;
pub mod crew;
pub mod driver;
mod entropy;
mod error;
mod exchange;
pub mod failure;
mod proxy;
mod roots;
mod settings;
pub mod timeline;

pub use answer::Answer;
pub use client_certificate::ClientCertificate;
pub use entropy::entropy;
pub use error::{NotRevoked, SignInError, SignedOut};
pub use exchange::{Exchange, ExchangeWatcher, WatchedExchange};
pub use proxy::{Proxy, authority, through};
pub use roots::Roots;
pub use settings::{HttpBuilder, HttpClient, HttpError, HttpSettings};
