//! What the tests of this workspace share. This file alone owns the list of its rooms.
//!
//! - `black_hole` (feature `loopback`, Unix): an address that swallows packets.
//! - `loopback` (feature of the same name, Unix): small servers whose every byte a test decides, and certificates for them.
//! - `scaled`: any machine on a faster timeline, or without waits.
//! - `servers` (feature of the same name, Unix): real authorization servers, started and stopped by a test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is how it reports"
)]

#[cfg(all(feature = "loopback", unix))]
pub mod black_hole;
#[cfg(all(feature = "loopback", unix))]
pub mod loopback;
pub mod scaled;
#[cfg(all(feature = "servers", unix))]
pub mod servers;
