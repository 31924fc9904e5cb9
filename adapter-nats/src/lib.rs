//! Device sign-ins (RFC 8628) as durable work on NATS JetStream: for who outgrows one machine, or may not lose a waiting sign-in to a
//! crash.
//!
//! - [`Engine`] starts sign-ins and says how they ended. One is [set up](Engine::setup) on the server, any number are
//!   [opened](Engine::open).
//! - [`Worker`] asks for codes and polls. Any number share one engine, on any machines; each may be killed at any moment.
//! - [`Seal`] hides what is stored from whoever can read the server's disks: [`KeySeal`], or your own.
//! - [`Trouble`] is what a worker tells of refusals, lost connections and workers that died.
//!
//! The polling rules are those of `device-flow-core`, whose [`Step`](device_flow_core::Step) a worker runs between two waits; this crate
//! knows NATS and time.
//!
//! # What is promised
//!
//! A sign-in that was started ends with an outcome, unless nobody works for longer than [`Setup::max_age`]; one that no worker can work
//! on ends as [`Unworkable`], when its time is over. It is never polled by two at once, and early only by a worker that
//! was stopped between its last look at the clock and sending; a token that has reached a worker is stored, if that worker lives until then. Time is that of the NATS server alone; the clock of a worker may be wrong.
//!
//! What no engine can promise: a token that the authorization server has issued to a worker that dies before it has stored it is lost,
//! since the code is redeemed. Then the next poll fails, the outcome says that a poll was
//! [lost](device_flow_core::Failure::a_poll_was_lost), and the person has to sign in again.

mod clock;
mod credit;
mod delivery;
mod engine;
mod error;
mod names;
mod pulse;
mod record;
mod seal;
mod trouble;
mod watch;
mod worker;

pub use engine::{Engine, Outcome, Setup, Start};
pub use error::{EngineError, SignInError, Unworkable};
pub use seal::{KeySeal, Kind, Seal, SealError};
pub use trouble::Trouble;
pub use watch::{News, Shown, Watch};
pub use worker::Worker;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
