//! Fuzzes `bindings_c`; its invariant is in `src/bindings_c.rs`.
#![no_main]
#![allow(missing_docs, reason = "the macro makes a public item")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| device_flow_fuzz::bindings_c::check(data));
