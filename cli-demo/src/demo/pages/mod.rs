//! Owns nothing but the list of its rooms: the words and the HTML of the demo server's pages.

pub(super) mod device;
pub(super) mod frame;
pub(super) mod home;
pub(super) mod live;
mod timeline;
