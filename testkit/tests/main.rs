//! Owns the list of the tests of the testkit itself, and of both adapters in one process, that share one program: it is
//! linked once. A file that stands in neither this list nor testkit/Cargo.toml would not run;
//! `every_test_file_is_part_of_a_program` looks for those.
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

mod blocking_in_a_runtime;
mod conformance;
mod dialects;
mod one_write;
mod watch;
