//! The real MSAL for Python and for Node and this project on one server and one cache file: what each wrote serves the others,
//! after any number of refreshes, and the documented samples end as ours do.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod ours;
mod room;
mod sharing;
