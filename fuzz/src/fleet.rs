//! Invariant: for any sequence of starts, answers that overtake each other, cancellations, restarts and misuse, each sign-in
//! of a fleet keeps the polling law and has one outcome, whoever is due comes first, and no more requests are in flight than
//! allowed.

use crate::operations::menu;
use device_flow_testkit::choices::{Bytes, Choose as _};
use device_flow_testkit::fleet_world;

/// The bytes are a sequence of choices for a fleet of the testkit.
pub fn check(data: &[u8]) {
    let mut choices = Bytes(data);
    let size = choices.from(&fleet_world::ANY);
    fleet_world::play(&mut choices, menu(data), size);
}
