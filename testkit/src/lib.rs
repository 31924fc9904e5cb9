//! What the tests of this workspace share. This file alone owns the list of its rooms.
//!
//! - `loopback` (feature of the same name, Unix): small servers whose every byte a test decides, and certificates for them.
//! - `scaled`: any machine on a faster timeline, or without waits.
//! - `secrets`: the word that every secret of the tests contains, and the search for it.
//! - `servers` (feature of the same name, Unix): real authorization servers, started and stopped by a test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is how it reports"
)]

#[cfg(all(feature = "loopback", unix))]
pub mod loopback;
pub mod scaled;
pub mod secrets;
#[cfg(all(feature = "servers", unix))]
pub mod servers;
