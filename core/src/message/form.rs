//! Owns form encoding: the bodies of requests (RFC 6749 Appendix B).

use crate::Secret;
use alloc::boxed::Box;
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
        let separator = if self.0.is_empty() { "" } else { "&" };
        let (name, value) = (encode(name), encode(value));
        self.append([separator, &name, "=", &value]);
    }

    /// Copies into a new block, so that growing leaves no unwiped copy behind.
    fn append(&mut self, pieces: [&str; 4]) {
        let more = pieces.iter().fold(self.0.len(), |sum, piece| sum.saturating_add(piece.len()));
        let mut grown = Zeroizing::new(Vec::with_capacity(more));
        grown.extend_from_slice(&self.0);
        pieces.iter().for_each(|piece| grown.extend_from_slice(piece.as_bytes()));
        self.0 = grown;
    }

    /// Adds a secret parameter; `None` when the text cannot be a client secret.
    pub(crate) fn push_secret(&mut self, name: &str, secret: &Secret) -> Option<()> {
        // Exposed because RFC 6749 §2.3.1 puts it into the body, which is wiped when dropped.
        self.push(name, checked(secret)?);
        Some(())
    }

    /// Adds a name whose value comes with each request, as the tail.
    pub(crate) fn open(&mut self, name: &str) {
        self.append([if self.0.is_empty() { "" } else { "&" }, name, "=", ""]);
    }

    /// Whether it has a parameter of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        form_urlencoded::parse(&self.0).any(|(known, _)| known == name)
    }

    /// This form with the value that [`open`](Self::open) left out, which is a secret.
    pub(crate) fn with_secret(&self, secret: &Secret) -> Self {
        let mut form = self.clone();
        // Exposed because the request is about this token (RFC 6749 §6, RFC 7009 §2.1); the body is wiped when dropped.
        form.append([&encode(secret.expose()), "", "", ""]);
        form
    }

    /// Adds a parameter that may be a secret.
    pub(crate) fn push_hidden(&mut self, name: &str, value: &Secret) {
        // Exposed because it is a parameter of this request; the body is wiped when dropped.
        self.push(name, value.expose());
    }

    /// The body of a request: this form and `tail`, in one allocation.
    pub(crate) fn with_tail(&self, tail: &[u8]) -> Zeroizing<Box<[u8]>> {
        let mut body = Vec::with_capacity(self.0.len().saturating_add(tail.len()));
        body.extend_from_slice(&self.0);
        body.extend_from_slice(tail);
        // The vector is full, so this neither copies nor leaves anything behind.
        Zeroizing::new(body.into_boxed_slice())
    }
}

/// One value, encoded.
pub(crate) fn encode(value: &str) -> Zeroizing<String> {
    // Room for every byte to be escaped, so that it never grows and leaves a copy behind.
    let mut encoded = Zeroizing::new(String::with_capacity(value.len().saturating_mul(3)));
    byte_serialize(value.as_bytes()).for_each(|piece| encoded.push_str(piece));
    encoded
}

/// The `Authorization` header of RFC 6749 §2.3.1: id and secret are form-encoded before they become user name and
/// password, unless the server takes them literally. `None` when the text cannot be a client secret.
pub(crate) fn basic_credentials(id: &str, secret: &Secret, encoded: bool) -> Option<Secret> {
    // Room for both with every byte escaped, as in `encode`.
    let room = id.len().saturating_add(secret.expose().len()).saturating_mul(3).saturating_add(1);
    let mut pair = Zeroizing::new(String::with_capacity(room));
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
    Some(Secret::from(header))
}

/// RFC 6749 Appendix A.2: visible ASCII and space.
fn checked(secret: &Secret) -> Option<&str> {
    let text = secret.expose();
    let visible = text.bytes().all(|b| matches!(b, 0x20..=0x7e));
    (visible && !text.is_empty()).then_some(text)
}
