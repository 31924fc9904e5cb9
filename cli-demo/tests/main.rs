//! Owns the list of the tests of the command line that share one program: it is linked once. A file that stands in neither
//! this list nor cli-demo/Cargo.toml would not run; `every_test_file_is_part_of_a_program` of the testkit looks for those.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests panic to report")]

mod command_line;
#[cfg(target_os = "linux")]
mod container;
mod credential_git;
mod credential_kubernetes;
mod demo_limits;
mod demo_live;
mod demo_server;
mod dialects;
mod doctor;
#[cfg(target_os = "linux")]
mod encrypted;
mod examples;
mod generated;
mod help_examples;
mod helpers;
#[cfg(unix)]
mod json_schema;
mod keeping;
mod keys;
mod log;
#[cfg(target_os = "linux")]
mod narrow;
mod profiles;
#[cfg(unix)]
#[path = "support/program.rs"]
mod program;
mod providers;
#[cfg(target_os = "linux")]
mod pty;
mod resume;
mod run;
#[cfg(unix)]
mod server_words;
mod silent_login;
#[path = "support/stage.rs"]
mod stage;
mod support;
mod terminal;
#[cfg(unix)]
mod whoami;
#[cfg(target_os = "linux")]
mod words;
