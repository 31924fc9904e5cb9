//! Owns the list of the tests of the store that share one program: it is linked once. A file that stands in neither this
//! list nor adapter-store/Cargo.toml would not run; `every_test_file_is_part_of_a_program` of the testkit looks for those.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests panic to report")]

mod disk;
mod refusals;
mod stores;
