//! Owns the list of what tests of device flow clients share.
//!
//! - `abreast`: one test on many cases at once.
//! - `attempts`: times that a busy machine may exceed now and then.
//! - `black_hole` (feature `loopback`, Unix): an address that drops packets, and one that refuses.
//! - `choices`: what drives a world: every path of a bounded one, or bytes.
//! - `conformance` (feature `loopback`, Unix): the duties of a transport, tried one by one.
//! - `dialects`: scripted servers of providers that do not speak RFC 8628, without sockets.
//! - `faults` (feature `loopback`, Unix): a proxy that damages the answers of any server.
//! - `in_steps`: a sign-in as a whole, or step by step through a store.
//! - `law`: when the next poll may and must come.
//! - `loopback` (feature of the same name, Unix): small servers that send exactly the bytes of a test, and certificates
//!   for them.
//! - `memory`: a driver without sockets and without waits.
//! - `microsoft` (feature `loopback`, Unix): a server that looks like Microsoft Entra ID and follows a script.
//! - `msal` (Unix): MSAL for Python, Node, Java and Go, installed and run.
//! - `recorder`: any machine on a timeline of its own, and a record of what it did.
//! - `rotating` (feature `loopback`, Unix): an authorization server that accepts each refresh token once.
//! - `scaled`: any machine on a faster timeline, or without waits.
//! - `secrets`: the word that every secret in the tests contains, and the search for it.
//! - `server`: the scripted authorization server, without sockets.
//! - `servers` (feature of the same name, Unix): real authorization servers, started and stopped by a test.
//! - `signer`: clients with keys, and what they sign.
//! - `tcp` (feature `loopback`, Unix): the scripted server on real sockets.
//! - `wake_ups` (Linux): how often a thread wakes, as the kernel counts it.
//! - `watch`: the polling law on a trace.
//! - `world`: a sign-in driven by choices, under the watch.
//!
#![doc = include_str!("../README.md")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is how it reports"
)]

pub mod abreast;
pub mod attempts;
#[cfg(all(feature = "loopback", unix))]
pub mod black_hole;
pub mod choices;
#[cfg(all(feature = "loopback", unix))]
pub mod conformance;
#[cfg(feature = "crowd")]
pub mod crowd;
pub mod dialects;
#[cfg(all(feature = "loopback", unix))]
pub mod faults;
pub mod fleet_world;
pub mod in_steps;
#[cfg(unix)]
mod installation;
pub mod law;
#[cfg(all(feature = "loopback", unix))]
pub mod loopback;
pub mod memory;
#[cfg(all(feature = "loopback", unix))]
pub mod microsoft;
#[cfg(unix)]
pub mod msal;
pub mod recorder;
#[cfg(all(feature = "loopback", unix))]
pub mod rotating;
pub mod scaled;
pub mod secrets;
pub mod server;
#[cfg(all(feature = "servers", unix))]
pub mod servers;
pub mod signer;
#[cfg(all(feature = "loopback", unix))]
pub mod tcp;
#[cfg(target_os = "linux")]
pub mod wake_ups;
pub mod watch;
pub mod world;

/// The code of the README and of the design document compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/design.md")]
struct Documents;
