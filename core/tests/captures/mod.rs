//! The answers of three real authorization servers, byte for byte, and what they mean to this core: each alone, whole
//! sign-ins in virtual time, and our own requests beside the ones that those servers accepted.
#![allow(clippy::wildcard_enum_match_arm, reason = "tests panic to report")]

mod conversations;
mod meaning;
mod reader;
mod requests;
mod table;
