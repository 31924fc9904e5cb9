//! Owns the list of the tests that search this repository, in one program that needs no adapter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod cases_table;
mod clauses_table;
mod every_secret_has_the_word;
#[path = "support/files.rs"]
mod files;
mod house_rules;
mod msal_table;
#[path = "support/table.rs"]
mod table;
