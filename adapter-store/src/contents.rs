//! Owns the bytes of a token cache: wiped when dropped and never shown.

use std::fmt;
use std::ops::Deref;
use zeroize::Zeroizing;

/// What is stored: bytes that are wiped from memory when dropped and that `Debug` does not show.
///
/// Make it from a `Vec` that never had to grow, because growing leaves copies behind that cannot be wiped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents(Zeroizing<Vec<u8>>);

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Contents {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<Zeroizing<Vec<u8>>> for Contents {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({} bytes)", self.0.len())
    }
}
