//! Invariant: for any sequence of answers, delays, cancellation, storing, resuming and misuse, with any numbers, a
//! sign-in keeps the polling law and the contract of the machine, and ends; as a whole, and step by step.

use device_flow_testkit::choices::Bytes;
use device_flow_testkit::world::{ANY, ANY_WITH_KEYS, Menu, play, play_in_steps};

/// The bytes are a sequence of choices for a world of the testkit.
pub fn check(data: &[u8]) {
    play(&mut Bytes(data), menu(data));
    play_in_steps(&mut Bytes(data), menu(data));
}

/// With keys and servers that want nonces, or without: the highest bit of the first byte, which chooses otherwise among
/// few.
pub(crate) fn menu(data: &[u8]) -> &'static Menu {
    if data.first().is_some_and(|first| *first >= 128) { &ANY_WITH_KEYS } else { &ANY }
}
