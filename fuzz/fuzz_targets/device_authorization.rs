//! Fuzzes `device_authorization`; its invariant is in `src/device_authorization.rs`.
#![no_main]
#![allow(missing_docs, reason = "the macro makes a public item")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| device_flow_fuzz::device_authorization::check(data));
