//! Device sign-ins (RFC 8628) as durable work on NATS JetStream.

mod clock;
mod credit;
mod delivery;
mod engine;
mod error;
mod names;
mod pulse;
mod record;
mod seal;
mod trouble;
mod watch;
mod worker;

pub use engine::{Engine, Outcome, Setup, Start};
pub use error::EngineError;
pub use seal::{KeySeal, Kind, Seal, SealError};
pub use trouble::Trouble;
pub use watch::{News, Shown, Watch};
pub use worker::Worker;
