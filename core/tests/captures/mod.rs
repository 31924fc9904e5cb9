//! The answers of four real authorization servers, byte for byte, and what they mean to this core: each alone, whole
//! sign-ins in virtual time, our own requests beside the ones that those servers accepted, and what a person is told.
#![allow(clippy::wildcard_enum_match_arm, reason = "tests panic to report")]

mod advice;
mod conversations;
mod meaning;
mod reader;
mod requests;
mod table;
