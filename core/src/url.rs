//! Owns what a URL is: what the URL standard says; or, without the feature `idn`, a strict part of it.

#[cfg(feature = "idn")]
pub(crate) use ::url::{Host, Url};
#[cfg(not(feature = "idn"))]
pub(crate) use strict::{Host, Url};

#[cfg(any(test, not(feature = "idn")))]
mod strict;
#[cfg(all(test, feature = "idn"))]
mod tests;
