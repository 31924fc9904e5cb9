//! Owns `Secret`: text that is wiped when dropped and never printed.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
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

    /// The value of an `Authorization` header (RFC 6750 §2.1), as secret as this; `None` for a token with a space,
    /// which would end it there.
    pub(crate) fn as_bearer(&self) -> Option<Self> {
        (!self.0.contains(' ')).then(|| Self::from(["Bearer ", &self.0].concat()))
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
