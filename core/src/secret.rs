//! Owns `Secret`: text that is wiped when dropped and never printed.

use crate::TokenType;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use memchr::memchr;
use zeroize::Zeroizing;

/// A token, a code or a password: wiped from memory when dropped, shown by `Debug` as `[secret]`.
///
/// There is no `Display` and no `PartialEq` on purpose: printing or comparing a secret takes a visible call of
/// [`expose`](Secret::expose).
///
/// ```
/// use device_flow_core::Secret;
///
/// let token = Secret::from("hunter2");
/// assert_eq!(format!("{token:?}"), "[secret]");
/// assert_eq!(token.expose(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// The text itself. Say at the call why it must leave this type.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is a signed JWT: three parts of base64url (RFC 7515 §3.1), which go into a form or a header as they are.
    pub(crate) fn is_jwt(&self) -> bool {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() | matches!(b, b'-' | b'_' | b'.');
        let next = |text: &'_ [u8]| memchr(b'.', text).filter(|at| *at > 0);
        let parts = || {
            let (_, rest) = self.0.as_bytes().split_at(next(self.0.as_bytes())?);
            let rest = rest.get(1..)?;
            rest.get(next(rest)?.saturating_add(1)..)
        };
        // Without an early end, so that many bytes are looked at together.
        self.0.bytes().fold(true, |all, byte| all & is_plain(byte))
            && parts().is_some_and(|last| !last.is_empty() && memchr(b'.', last).is_none())
    }

    /// The value of an `Authorization` header (RFC 6750 §2.1, RFC 9449 §7.1), as secret as this; `None` for a token with a
    /// space, which would end it there.
    pub(crate) fn as_credentials(&self, token_type: TokenType) -> Option<Self> {
        (!self.0.contains(' ')).then(|| Self::from([token_type.as_str(), " ", &self.0].concat()))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(Box::from(text)))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        // Shrinking a string with spare room would copy it and free the old bytes unwiped, so copy it here and wipe
        // them.
        if text.len() == text.capacity() {
            Self(Zeroizing::new(text.into_boxed_str()))
        } else {
            Self::from(&**Zeroizing::new(text))
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
