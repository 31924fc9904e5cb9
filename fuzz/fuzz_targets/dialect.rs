//! Fuzzes `dialect`; its invariant is in `src/dialect.rs`.
#![no_main]
#![allow(missing_docs, reason = "the macro makes a public item")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| device_flow_fuzz::dialect::check(data));
