//! Owns the list of the demo server's pages.

pub(super) mod device;
pub(super) mod frame;
pub(super) mod home;
pub(super) mod live;
mod timeline;
