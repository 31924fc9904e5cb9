//! The client side of the OAuth 2.0 Device Authorization Grant (RFC 8628) as a pure state machine: no clock, no
//! sockets, no threads, no files, no random numbers of its own. Told the time and what happened, a [`Machine`] answers
//! with the one thing to do next.
//!
//! # A sign-in
//!
//! From an issuer to an access token; `run` is the loop that [`Machine`] shows, or that of an adapter:
//!
//! ```no_run
//! use device_flow_core::{Client, DeviceFlow, Discovery};
//! # use device_flow_core::{Failure, Machine};
//! # fn run<M: Machine>(machine: &mut M) -> Result<M::Output, Failure> { unimplemented!() }
//! # fn fresh_random_bytes() -> [u8; 32] { unimplemented!() }
//!
//! // Or a preset: `Provider::github()`, `Preset::find("keycloak")`; or `Provider::endpoints(…)` by hand.
//! let metadata = run(&mut Discovery::new("https://login.example.com")?)?;
//! let client = Client::builder(metadata, "my-app").scope("openid profile").build()?;
//! let granted = run(&mut DeviceFlow::new(client, fresh_random_bytes()))?;
//! // The header of a request to the API.
//! let authorization = granted.authorization();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`SignIn`] is the same with a memory: it looks into a [`TokenCache`] first, then tries a refresh, and shows a code
//! only when the person is needed.
//!
//! # The machines
//!
//! | [`Machine`] | What it brings | Standard |
//! | --- | --- | --- |
//! | [`Discovery`] | where a server's endpoints are | RFC 8414, OpenID Connect Discovery 1.0 |
//! | [`DeviceFlow`] | tokens, once the person has approved | RFC 8628 |
//! | [`Refresh`] | new tokens for a refresh token | RFC 6749 §6 |
//! | [`Revocation`] | the end of a token | RFC 7009 |
//! | [`Registration`] | a client id of one's own, where a server gives one to every installation | AWS SSO OIDC |
//! | [`SignIn`] | a usable token: from a [`TokenCache`], else by a refresh, else by the device flow | all of these |
//!
//! [`Fleet`] drives many of them as one.
//!
//! # The contract
//!
//! A driver asks [`Machine::next_action`] what to do and does it:
//!
//! | [`Action`] | The driver |
//! | --- | --- |
//! | [`SendRequest`](Action::SendRequest) | sends it, never following redirects, and hands the answer to [`Machine::response`], or the lack of one to [`Machine::transport_failed`], with the ticket |
//! | [`ShowCode`](Action::ShowCode) | shows the prompt to the person; all of it is safe to print |
//! | [`Wait`](Action::Wait) | comes back at that time; earlier, later or twice is harmless |
//! | [`AwaitResponse`](Action::AwaitResponse) | waits for the answer to the request in flight |
//! | [`Done`](Action::Done) | takes the outcome |
//! | [`Ended`](Action::Ended) | stops: the outcome was handed out before |
//!
//! You need not write one: `device-flow-tokio` and `device-flow-blocking` drive any [`Machine`].
//!
//! # Errors
//!
//! Four kinds: [`ConfigError`] (a configuration that cannot work; nothing was sent), [`Misuse`] (the
//! driver's bug; the machine is unchanged), [`TransportError`] (an input), [`Failure`] (how a machine ended). Each says
//! what happened and what to do, in text that is safe to print.
//!
//! # Features
//!
//! - `std` (default): [`UnixTime`] from and to `std::time::SystemTime`. Without it the crate is `no_std` and needs
//!   `alloc`.
//! - `http` (default, implies `std`): [`Request::into_http`].
//! - `advice` (default): what a person can do about an error, in its text and as [`OAuthError::advice`]; some 25 KiB of sentences.
//! - `idn` (default): URLs as the URL standard reads them, with international host names. Without it a strict part of them in
//!   ASCII, which needs no tables: a host of another script is refused, and one in its ASCII form (`xn--…`) is taken as it is.
//! - `serde`: a flow as data (`Snapshot`), to be resumed in another process, or to run `Step` by step as durable work; its
//!   outcome, [`TokenResponse`] or [`Failure`], as data.
//!
//! On a processor without compare-and-swap, such as `thumbv6m`, the program enables the feature of the crate `portable-atomic`
//! that says how it does without (`unsafe-assume-single-core`, `critical-section`), and `Arc` is that of `portable-atomic-util`.
#![no_std]
#![warn(clippy::arithmetic_side_effects)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod cache;
mod client;
mod device_flow;
mod dialect;
mod discovery;
mod driver;
mod error;
mod fleet;
mod machine;
mod message;
mod prompt;
mod refresh;
mod registration;
mod retry;
mod revocation;
mod secret;
mod sign_in;
mod signing;
mod single_request;
#[cfg(feature = "serde")]
mod stored;
mod sync;
mod time;
mod url;
mod user_info;

pub use cache::{
    AccessTokenQuery, Account, Authority, AuthorityKind, CacheError, CachedAccessToken, CachedRefreshToken,
    GrantOrigin, Owner, Person, TokenCache,
};
pub use client::{Client, ClientBuilder, ConfigError, EntraCloud, Need, Preset, Provider};
pub use device_flow::DeviceFlow;
#[cfg(feature = "serde")]
pub use device_flow::{Away, Snapshot, SnapshotError, Step, Stepped};
pub use discovery::{Discovery, DiscoveryBuilder};
pub use driver::{Event, Stopped};
pub use error::{Endpoint, Expired, Failure, LastError, OAuthError, ProtocolError, ProtocolFault, SignInReason, Trail};
pub use fleet::{Fleet, FleetAction, FleetMisuse, FleetTicket};
pub use machine::{
    Action, Cause, Machine, Method, Misuse, Outgoing, Request, Response, Ticket, TransportError, TransportErrorKind,
    WaitReason,
};
pub use message::claims::{ClaimsError, ClientInfo, IdTokenClaims};
pub use message::metadata::Metadata;
pub use message::token::{TokenResponse, TokenType};
pub use message::user_info::UserInfoResponse;
pub use prompt::{Prompt, PromptWarning, TextFault, Unshowable, harmless};
pub use refresh::Refresh;
pub use registration::{Registered, Registration};
pub use revocation::{Revocation, TokenKind};
pub use secret::Secret;
pub use sign_in::{SignIn, SignInRequest, SignedIn, TokenSource};
pub use signing::{ClientAssertion, ProofOfPossession, ProofRequest, SigningError};
pub use time::{Timestamp, UnixTime};
pub use user_info::UserInfo;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
