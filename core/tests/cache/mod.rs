//! The token cache: what it reads, finds, writes, removes and shares with other writers; and the claims that name an
//! account.

mod claims;
mod family;
pub(crate) mod grants;
mod lookup;
mod merging;
mod model;
mod owners;
mod saving;
mod schema;
