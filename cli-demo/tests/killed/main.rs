//! The binary when it gets a signal before any of its system calls: what it loses, leaves behind and says.
//!
//! `DEVICE_FLOW_KILLS=all` tries every call; without it some of them are tried.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests panic to report")]

mod login;
mod logout;
mod points;
#[path = "../support/program.rs"]
mod program;
mod refresh;
mod site;
mod tracer;
