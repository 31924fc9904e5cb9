//! The real MSAL for Python, Node, Java and Go and this project on one server and one cache file: what each wrote
//! serves the others, after any number of refreshes, and the documented samples have the same results as our examples.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests panic to report"
)]

mod family;
mod leaving;
mod names;
mod ours;
mod refusals;
mod room;
mod rounds;
mod samples;
mod sharing;
