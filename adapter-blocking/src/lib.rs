//! Signs a person in on another device (RFC 8628), without an async runtime, on ureq: the driver for the machines of
//! [`device_flow_core`].
//!
//! ```no_run
//! use device_flow_blocking::{Cancel, Client, DeviceFlow, Event, Http, Provider, entropy, run};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder(Provider::github(), "Iv1.0123456789abcdef").scope("read:user").build()?;
//! let mut flow = DeviceFlow::new(client, entropy()?);
//!
//! let http = Http::builder().build()?;
//! let token = run(&http, &mut flow, &Cancel::new(), |event| {
//!     if let Event::ShowCode(prompt) = event {
//!         println!("Open {} and enter {}", prompt.verification_uri(), prompt.user_code());
//!     }
//! })?;
//! // `token.access_token().expose()` is what the API wants to see as the bearer.
//! # Ok(())
//! # }
//! ```
//!
//! | For | There is |
//! | --- | --- |
//! | one sign-in, nothing kept | [`run`] with a [`DeviceFlow`], as above |
//! | tokens kept, refreshed, and signed out | [`Accounts`] on a [`FileStore`], [`MemoryStore`], or `KeyringStore` (feature `keyring`) |
//! | thousands of sign-ins at once | [`Fleet`] |
//! | a server known by its issuer | [`Discovery`], then [`Client::builder`] with the [`Metadata`] that it brings |
//! | a server known by name, or by its endpoints | [`Provider`] |
//! | proxies, certificates, time limits, a log of requests | [`Http::builder`](Http::builder) |
//! | an HTTP client of your own | [`Transport`] |
//! | a sign-in that goes on in another process | [`DeviceFlow`]'s snapshots (feature `serde`), with the time of [`now`] |
//!
//! This crate knows HTTP and time, and nothing of OAuth: the machine decides what to send, when, and what an answer means.
//! `device-flow-tokio` is the same for tokio.
//!
//! # Runtime
//!
//! None. [`run`] blocks its thread for minutes: in an async program call it where blocking is allowed
//! (`tokio::task::spawn_blocking`), or take `device-flow-tokio`.
//!
//! # Stopping
//!
//! [`Cancel`] ends a wait at once, from another thread or a signal handler. A request on its way is awaited first, its
//! [`timeout`](device_flow_adapter::HttpBuilder::timeout) at most, and its answer is not lost: if it was the token, [`run`] returns
//! it. After
//! [`Stopped::Interrupted`] the machine can be run again or stored, and will not ask
//! the server earlier for it.
//!
//! # What waiting costs
//!
//! Nothing: a wait is one system call, however long it is. A poll is seven, and no thread is started for it, unless the connection
//! has to be made and its host's name was not looked up within the last minute. (On Windows, names are looked up for every request.)
//!
//! # Logs
//!
//! This crate logs nothing itself: [`HttpBuilder::on_exchange`](device_flow_adapter::HttpBuilder::on_exchange) hears of every
//! request. ureq does, through the crate `log`: up to the level debug without a secret, but **at trace level it dumps every byte
//! of every connection**, tokens and passwords included. Keep it at debug where everything else may be at
//! trace: `RUST_LOG=trace,ureq=debug,ureq_proto=debug`.

mod accounts;
mod cancel;
mod clock;
#[cfg(unix)]
mod connect;
mod fleet;
mod gate;
mod http;
#[cfg(unix)]
mod ready;
mod transport;

pub use accounts::Accounts;
pub use cancel::Cancel;
pub use clock::now;
#[cfg(feature = "serde")]
pub use device_flow_adapter::crew::RestoreError;
pub use device_flow_adapter::crew::{FleetError, FleetEvent, FleetMeasure, FleetStats};
pub use device_flow_adapter::{Answer, Exchange, HttpError, NotRevoked, SignInError, SignedOut, entropy};
#[doc(inline)]
pub use device_flow_core::*;
#[doc(inline)]
pub use device_flow_store::*;
pub use fleet::{Fleet, FleetBuilder, FleetEvents};
pub use http::{Http, HttpBuilder};
pub use transport::Transport;

use device_flow_adapter::driver::{self, Next, Run};

/// Drives a machine to its result: sends what it asks for, waits when it says so, and reports what happens.
///
/// `on_event` is called on this thread, between two steps: at once with what to show, and once for every wait. A machine may be
/// run over one transport and later over another: every adapter tells the time on one timeline, that of [`now`].
///
/// # Errors
/// [`Stopped::Failed`] when the machine ended with a failure; [`Stopped::Interrupted`] when `cancel` was called;
/// [`Stopped::AlreadyEnded`] when the machine had handed out its outcome before; [`Stopped::NotOurs`] when it waits for an
/// answer that another driver has asked for.
pub fn run<M: Machine>(
    transport: &(impl Transport + ?Sized),
    machine: &mut M,
    cancel: &Cancel,
    mut on_event: impl FnMut(Event),
) -> Result<M::Output, Stopped> {
    if cancel.is_cancelled() {
        return Err(Stopped::Interrupted);
    }
    let mut running = Run::default();
    loop {
        match running.next_step(machine, now, &mut on_event)? {
            Next::Send(Outgoing { request, ticket }) => {
                // Cancelled during the request before this one: a wait looks for itself.
                let given_up = cancel.is_cancelled();
                let abandoned = || Err(TransportError::new(TransportErrorKind::Abandoned));
                let answer = if given_up { abandoned() } else { transport.send(request) };
                driver::hand_over(machine, ticket, answer, clock::arrival())?;
                if given_up {
                    return Err(Stopped::Interrupted);
                }
            }
            Next::WaitUntil(until) => {
                if !clock::sleep_until(until, cancel) {
                    return Err(Stopped::Interrupted);
                }
            }
            Next::Done(result) => return Ok(result),
        }
    }
}

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
