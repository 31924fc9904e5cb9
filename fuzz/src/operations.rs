//! Invariant: for any sequence of answers, delays, cancellation, storing, resuming and misuse, with any numbers, a
//! sign-in keeps the polling law and the contract of the machine, and ends; as a whole, and step by step.

use device_flow_testkit::choices::Bytes;
use device_flow_testkit::world::{ANY, play, play_in_steps};

/// The bytes are a sequence of choices for a world of the testkit.
pub fn check(data: &[u8]) {
    play(&mut Bytes(data), &ANY);
    play_in_steps(&mut Bytes(data), &ANY);
}
