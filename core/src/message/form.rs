//! Owns form encoding: what goes out (RFC 6749 Appendix B).

use crate::{ConfigError, Secret};
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding as _};
use form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

/// A form under construction, wiped when dropped.
#[derive(Clone, Default)]
pub(crate) struct Form(Zeroizing<Vec<u8>>);

impl Form {
    /// Adds a parameter; one without a value counts as left out (RFC 6749 §3.2).
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(b'&');
        }
        let name = byte_serialize(name.as_bytes());
        for piece in name.chain(core::iter::once("=")).chain(byte_serialize(value.as_bytes())) {
            self.0.extend_from_slice(piece.as_bytes());
        }
    }

    /// A secret parameter.
    pub(crate) fn push_secret(&mut self, name: &str, secret: &Secret) -> Result<(), ConfigError> {
        // Exposed because RFC 6749 §2.3.1 puts it into the body, which is wiped when dropped.
        self.push(name, checked(secret)?);
        Ok(())
    }

    /// Adds a name whose value comes with each request, as the tail.
    pub(crate) fn open(&mut self, name: &str) {
        for piece in ["&", name, "="] {
            self.0.extend_from_slice(piece.as_bytes());
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The body of a request: this form and `tail`, in one allocation.
    pub(crate) fn with_tail(&self, separator: &str, tail: &[u8]) -> Zeroizing<Vec<u8>> {
        let separator = if tail.is_empty() { "" } else { separator };
        let length = self.0.len().saturating_add(separator.len()).saturating_add(tail.len());
        let mut body = Vec::with_capacity(length);
        for part in [self.as_bytes(), separator.as_bytes(), tail] {
            body.extend_from_slice(part);
        }
        Zeroizing::new(body)
    }
}

/// One value, encoded.
pub(crate) fn encode(value: &str) -> Zeroizing<String> {
    Zeroizing::new(byte_serialize(value.as_bytes()).collect())
}

/// The `Authorization` header of RFC 6749 §2.3.1: id and secret are form-encoded before they become user name and password,
/// unless the server is one that takes them literally.
pub(crate) fn basic_credentials(id: &str, secret: &Secret, encoded: bool) -> Result<Secret, ConfigError> {
    let mut pair = Zeroizing::new(String::new());
    // Exposed because the header carries it; the pair and the header are wiped when dropped.
    for (separator, value) in [("", id), (":", checked(secret)?)] {
        pair.push_str(separator);
        if encoded {
            // `%20` for a space is decoded by every server; Authlib takes `+` literally.
            byte_serialize(value.as_bytes()).for_each(|piece| pair.push_str(if piece == "+" { "%20" } else { piece }));
        } else {
            pair.push_str(value);
        }
    }
    let encoded = Zeroizing::new(Base64::encode_string(pair.as_bytes()));
    let mut header = String::with_capacity(encoded.len().saturating_add(6));
    header.push_str("Basic ");
    header.push_str(&encoded);
    Ok(Secret::from(header))
}

/// RFC 6749 Appendix A.2: visible ASCII and space.
fn checked(secret: &Secret) -> Result<&str, ConfigError> {
    let text = secret.expose();
    let visible = text.bytes().all(|b| matches!(b, 0x20..=0x7e));
    if text.is_empty() || !visible { Err(ConfigError::ClientSecret) } else { Ok(text) }
}
