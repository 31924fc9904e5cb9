//! Invariant: for any sequence of calls of the functions for C, with any arguments that a C program can have by mistake,
//! misuse is told by a code, every text that comes out is readable, and every handle can be freed once. What is called is in
//! `bindings-c/src/calls.rs`, since no other crate has unsafe code.

/// The bytes are a sequence of calls.
pub fn check(data: &[u8]) {
    device_flow_c::calls::check(data);
}
