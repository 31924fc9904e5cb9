//! The tests of the device flow, of silent acquisition and of the cache from MSAL's own repositories, as behaviour of
//! this core: M01 to M31, then the silent and cache suites. Where ours differs by choice, the test shows ours and says
//! why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod caches;
mod dotnet;
mod entra;
mod go;
#[allow(dead_code, reason = "shared with the tests of the cache")]
#[path = "../cache/grants.rs"]
mod grants;
mod node;
mod python;
#[path = "../support/mod.rs"]
mod support;
