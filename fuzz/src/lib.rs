//! Owns the list of fuzz targets: each has a file that opens with its invariant, which must hold for any bytes.
//!
//! A target is a function of bytes that panics when its invariant is broken. libFuzzer calls it with bytes that it
//! generates, `tests/corpus.rs` with every committed seed. What an answer means is decided by independent code (`body`,
//! `judge`, the testkit's `law`), never by the core.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a target reports"
)]

pub mod bindings_c;
mod body;
pub mod cache;
pub mod client_info;
pub mod device_authorization;
pub mod dialect;
pub mod discovery;
mod drive;
pub mod fleet;
pub mod headers;
pub mod id_token;
mod judge;
pub mod key_file;
pub mod nonce;
pub mod once;
pub mod operations;
pub mod prompt;
pub mod sign_in;
pub mod snapshot;
pub mod token;

/// A target: the name of its binary and of its corpus folder, and its invariant.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("bindings_c", bindings_c::check),
    ("cache", cache::check),
    ("client_info", client_info::check),
    ("device_authorization", device_authorization::check),
    ("dialect", dialect::check),
    ("discovery", discovery::check),
    ("fleet", fleet::check),
    ("headers", headers::check),
    ("id_token", id_token::check),
    ("key_file", key_file::check),
    ("nonce", nonce::check),
    ("once", once::check),
    ("operations", operations::check),
    ("prompt", prompt::check),
    ("sign_in", sign_in::check),
    ("snapshot", snapshot::check),
    ("token", token::check),
];
