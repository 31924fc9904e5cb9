//! Fuzzes `key_file`; its invariant is in `src/key_file.rs`.
#![no_main]
#![allow(missing_docs, reason = "the macro makes a public item")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| device_flow_fuzz::key_file::check(data));
