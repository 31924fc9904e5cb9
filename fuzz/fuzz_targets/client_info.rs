//! Fuzzes `client_info`; its invariant is in `src/client_info.rs`.
#![no_main]
#![allow(missing_docs, reason = "the macro makes a public item")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| device_flow_fuzz::client_info::check(data));
