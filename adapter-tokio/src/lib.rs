//! Signs a person in on another device (RFC 8628), on tokio and reqwest: the driver for the machines of
//! [`device_flow_core`].
//!
//! ```no_run
//! use device_flow_tokio::{Client, DeviceFlow, Event, Http, Provider, entropy, run};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder(Provider::github(), "Iv1.0123456789abcdef").scope("read:user").build()?;
//! let mut flow = DeviceFlow::new(client, entropy()?);
//!
//! let http = Http::builder().build()?;
//! let token = run(&http, &mut flow, |event| {
//!     if let Event::ShowCode(prompt) = event {
//!         println!("Open {} and enter {}", prompt.verification_uri(), prompt.user_code());
//!     }
//! })
//! .await?;
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
//! `device-flow-blocking` is the same without a runtime.
//!
//! # Runtime
//!
//! [`run`] needs a tokio runtime, current-thread or multi-thread, with I/O and time enabled (`enable_all`). tokio panics
//! when one of the drivers is missing; without any runtime [`run`] returns an error.
//!
//! Use an [`Http`] on one runtime. Its connections belong to the runtime on which they were opened: when that ends, requests of
//! others that are under way on them fail, and are tried again.
//!
//! # Beside other uses of reqwest
//!
//! This crate brings its own TLS set-up and builds reqwest without a default one. A program that makes a `reqwest::Client` of
//! its own should name the TLS that it wants, by a feature of reqwest or by installing a default provider of rustls.
//!
//! # Stopping
//!
//! Drop the future. The machine was only borrowed and knows of a request that was given up: it can be run again or stored,
//! and will not ask the server earlier for it.
//!
//! # Logs
//!
//! This crate logs nothing itself: [`HttpBuilder::on_exchange`](device_flow_adapter::HttpBuilder::on_exchange) hears of every
//! request. What reqwest, hyper and rustls log holds no secret, not at trace level either.

mod accounts;
mod clock;
mod failure;
mod fleet;
mod http;
mod transport;

pub use accounts::Accounts;
pub use clock::now;
#[cfg(feature = "serde")]
pub use device_flow_adapter::crew::RestoreError;
pub use device_flow_adapter::crew::{FleetError, FleetEvent, FleetMeasure, FleetStats};
pub use device_flow_adapter::{Answer, Exchange, HttpError, NotRevoked, SignInError, SignedOut, entropy};
#[doc(inline)]
pub use device_flow_core::*;
#[doc(inline)]
pub use device_flow_store::*;
pub use failure::transport_error_kind;
pub use fleet::{Fleet, FleetBuilder, FleetEvents};
pub use http::{Http, HttpBuilder};
pub use transport::Transport;

use device_flow_adapter::driver::{self, Next, Run};

/// Drives a machine to its result: sends what it asks for, waits when it says so, and reports what happens.
///
/// `on_event` is called on this task, between two steps: at once with what to show, and once for every wait. A machine may be run
/// over one transport and later over another: every adapter tells the time on one timeline, that of [`now`].
///
/// # Errors
/// [`Stopped::Failed`] when the machine ended with a failure; [`Stopped::NoRuntime`] when there is no tokio runtime here;
/// [`Stopped::AlreadyEnded`] when it had handed out its outcome before; [`Stopped::NotOurs`] when it waits for an answer that
/// another driver has asked for. [`Stopped::Interrupted`] does not occur: to stop, drop the future.
pub async fn run<M: Machine>(
    transport: &(impl Transport + ?Sized),
    machine: &mut M,
    mut on_event: impl FnMut(Event),
) -> Result<M::Output, Stopped> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(Stopped::NoRuntime);
    }
    let mut running = Run::default();
    loop {
        match running.next_step(machine, now, &mut on_event)? {
            Next::Send(Outgoing { request, ticket }) => {
                let flight = Flight { machine: &mut *machine, ticket: Some(ticket) };
                let answer = transport.send(request).await;
                flight.land(answer)?;
            }
            Next::WaitUntil(until) => clock::sleep_until(until).await,
            Next::Done(result) => return Ok(result),
        }
    }
}

/// A request on its way. If it is dropped before it lands, because the future of [`run`] was, the machine learns of it.
struct Flight<'a, M: Machine> {
    machine: &'a mut M,
    ticket: Option<Ticket>,
}

impl<M: Machine> Flight<'_, M> {
    fn land(mut self, answer: Result<Answer, TransportError>) -> Result<(), Stopped> {
        let Some(ticket) = self.ticket.take() else { return Ok(()) };
        driver::hand_over(self.machine, ticket, answer, clock::arrival())
    }
}

impl<M: Machine> Drop for Flight<'_, M> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let abandoned = TransportError::new(TransportErrorKind::Abandoned);
            // Nobody is left to hear of a refusal.
            let _ = driver::hand_over(self.machine, ticket, Err(abandoned), clock::arrival());
        }
    }
}

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
