//! Owns the list of the tests of keys that share one program: it is linked once. A file that stands in neither this list
//! nor keys/Cargo.toml would not run; `every_test_file_is_part_of_a_program` of the testkit looks for those.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests panic to report"
)]

mod assertions;
mod files;
mod key_errors;
mod key_forms;
mod proofs;
mod properties;
mod support;
