//! Invariant: whatever is asked, answered, delayed, cancelled, stored, resumed and misused, in whatever order and with whatever
//! numbers, a sign-in keeps the polling law and the machine's contract, and comes to its end.

use device_flow_testkit::choices::Bytes;
use device_flow_testkit::world::{ANY, play};

/// The bytes are the choices of a world of the testkit, one after the other.
pub fn check(data: &[u8]) {
    play(&mut Bytes(data), &ANY);
}
