//! Owns a private key between the file that it was read from and the signatures that it makes: its parts, by their
//! names.

use crate::KeyError;
use std::fmt;
use zeroize::Zeroizing;

/// Wiped when dropped.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

/// The curves of ES256 and ES384 (RFC 7518 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// RFC 7518 §6.2.1.1.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// The bytes of a coordinate, and of a private key.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    /// A number at its full size: some programs leave out leading zeros, which RFC 5915 §3 and RFC 7518 §6.2.1 forbid.
    pub(crate) fn padded(self, number: &[u8]) -> Result<Bytes, KeyError> {
        let number = crate::der::without_zeros(number);
        let zeros = self.size().checked_sub(number.len()).ok_or(KeyError::Damaged)?;
        let mut padded = Zeroizing::new(Vec::with_capacity(self.size()));
        padded.resize(zeros, 0);
        padded.extend_from_slice(number);
        Ok(padded)
    }
}

/// RFC 7518 §6.3, without leading zeros.
#[derive(Default)]
pub(crate) struct RsaParts {
    pub(crate) n: Bytes,
    pub(crate) e: Bytes,
    pub(crate) d: Bytes,
    pub(crate) p: Bytes,
    pub(crate) q: Bytes,
    pub(crate) dp: Bytes,
    pub(crate) dq: Bytes,
    pub(crate) qi: Bytes,
}

/// A private key that nobody has checked.
pub(crate) enum Material {
    Ec {
        curve: Curve,
        scalar: Bytes,
        /// SEC1 §2.3.3, compressed or not.
        point: Option<Bytes>,
    },
    Rsa(Box<RsaParts>),
    /// For PSS alone (RFC 4055 §1.2).
    RsaPss(Box<RsaParts>),
    Ed25519 {
        seed: Bytes,
        public: Option<Bytes>,
    },
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material")
    }
}
