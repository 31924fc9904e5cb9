//! Owns the algorithms of signatures, by their names in a header.

use crate::KeyError;
use std::fmt;
use std::str::FromStr;

/// An algorithm of a JSON Web Signature (RFC 7518 §3.1, RFC 8037 §3.1).
///
/// ```
/// use device_flow_keys::Algorithm;
///
/// assert_eq!("PS256".parse::<Algorithm>()?, Algorithm::Ps256);
/// # Ok::<(), device_flow_keys::KeyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `ES256`: ECDSA on P-256. Every server that was tried takes it, for assertions and proofs.
    Es256,
    /// `ES384`: ECDSA on P-384.
    Es384,
    /// `RS256`: RSASSA-PKCS1-v1_5, what an RSA key signs unless it is told otherwise.
    Rs256,
    /// `PS256`: RSASSA-PSS.
    Ps256,
    /// `EdDSA`, with Ed25519.
    EdDsa,
    /// `Ed25519`: the same signatures as `EdDSA` under the name of RFC 9864, which replaces that one.
    Ed25519,
}

impl Algorithm {
    const ALL: [Self; 6] = [Self::Es256, Self::Es384, Self::Rs256, Self::Ps256, Self::EdDsa, Self::Ed25519];

    /// The name in a header, such as `ES256`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names are compared with regard to case (RFC 7515 §4.1.1).
impl FromStr for Algorithm {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name);
        found.ok_or_else(|| KeyError::UnknownAlgorithm(name.chars().take(40).collect()))
    }
}
