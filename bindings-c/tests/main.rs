//! Owns the tests of the functions that C calls, in one program.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::undocumented_unsafe_blocks,
    clippy::wildcard_enum_match_arm,
    reason = "tests panic to report, and keep the contract of the first page but where they say so"
)]

#[cfg(feature = "calls")]
mod any_calls;
mod misuse;
mod sign_in;
mod stored;
mod support;
