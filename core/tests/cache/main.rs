//! The token cache: what it reads, finds, writes, removes and shares with other writers; and the claims that name an
//! account.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod claims;
mod family;
mod grants;
mod lookup;
mod merging;
mod model;
mod owners;
mod saving;
mod schema;
#[path = "../support/mod.rs"]
mod support;
