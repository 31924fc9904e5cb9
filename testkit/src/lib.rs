//! What the tests of this workspace share. This file alone owns the list of its rooms.
//!
//! - `black_hole` (feature `loopback`, Unix): an address that swallows packets.
//! - `choices`: what drives a world: every path of a bounded one, or bytes.
//! - `loopback` (feature of the same name, Unix): small servers whose every byte a test decides, and certificates for them.
//! - `scaled`: any machine on a faster timeline, or without waits.
//! - `server`: the scripted authorization server, without sockets.
//! - `watch`: the polling law on a trace. `world`: a sign-in driven by choices, under the watch.
//! - `servers` (feature of the same name, Unix): real authorization servers, started and stopped by a test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is how it reports"
)]

#[cfg(all(feature = "loopback", unix))]
pub mod black_hole;
pub mod choices;
#[cfg(all(feature = "loopback", unix))]
pub mod loopback;
pub mod scaled;
pub mod server;
#[cfg(all(feature = "servers", unix))]
pub mod servers;
pub mod watch;
pub mod world;
