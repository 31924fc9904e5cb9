//! Owns
#![allow(dead_code)]
mod clock;
mod credit;
mod pulse;
mod seal;
pub use seal::{KeySeal, Kind, Seal, SealError};
