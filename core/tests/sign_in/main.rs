//! The sign-in as a whole: the cache first, then a refresh, then the person; and what is saved whatever happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod accounts;
mod grants;
mod microsoft;
mod silent;
#[path = "../support/mod.rs"]
mod support;
mod whole;
