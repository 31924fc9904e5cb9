//! Owns form encoding: the bodies of requests (RFC 6749 Appendix B).

use crate::Secret;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding as _};
use form_urlencoded::byte_serialize;
use percent_encoding::percent_decode;
use zeroize::{Zeroize as _, Zeroizing};

/// A form under construction, wiped when dropped.
#[derive(Clone, Default)]
pub(crate) struct Form {
    bytes: Zeroizing<Vec<u8>>,
    /// How many of them come before the first secret.
    public: usize,
}

/// The body of a request, wiped when dropped from its first secret on.
#[derive(Default)]
pub(crate) struct Body {
    bytes: Box<[u8]>,
    public: usize,
}

impl Form {
    /// Adds a parameter; one without a value counts as left out (RFC 6749 §3.2).
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        let was_public = self.public == self.bytes.len();
        self.push_private(name, value);
        if was_public {
            self.public = self.bytes.len();
        }
    }

    /// The same for a value that may be a secret.
    pub(crate) fn push_private(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let separator = if self.bytes.is_empty() { "" } else { "&" };
        let (name, value) = (encode(name), encode(value));
        self.append([separator, &name, "=", &value]);
    }

    /// Copies into a new block, so that growing leaves no unwiped copy behind.
    fn append(&mut self, pieces: [&str; 4]) {
        let more = pieces.iter().fold(self.bytes.len(), |sum, piece| sum.saturating_add(piece.len()));
        let mut grown = Zeroizing::new(Vec::with_capacity(more));
        grown.extend_from_slice(&self.bytes);
        pieces.iter().for_each(|piece| grown.extend_from_slice(piece.as_bytes()));
        self.bytes = grown;
    }

    /// Adds a secret parameter; `None` when the text cannot be a client secret.
    pub(crate) fn push_secret(&mut self, name: &str, secret: &Secret) -> Option<()> {
        // Exposed because RFC 6749 §2.3.1 puts it into the body, which is wiped when dropped.
        self.push_private(name, checked(secret)?);
        Some(())
    }

    /// Adds a name whose value comes with each request, as the tail.
    pub(crate) fn open(&mut self, name: &str) {
        self.append([if self.bytes.is_empty() { "" } else { "&" }, name, "=", ""]);
    }

    /// Whether it has a parameter of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        form_urlencoded::parse(&self.bytes).any(|(known, _)| known == name)
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
        self.push_private(name, value.expose());
    }

    /// The body of a request: this form and `tail`, in one allocation.
    #[inline]
    pub(crate) fn with_tail(&self, tail: &[u8]) -> Body {
        let mut body = Vec::with_capacity(self.bytes.len().saturating_add(tail.len()));
        body.extend_from_slice(&self.bytes);
        body.extend_from_slice(tail);
        // The vector is full, so this neither copies nor leaves anything behind.
        Body { bytes: body.into_boxed_slice(), public: self.public }
    }

    /// The same with a client assertion before its first secret. It is none itself: it is for one request, and for a minute.
    pub(crate) fn with_assertion(&self, tail: &[u8], assertion: &Secret) -> Body {
        let (public, private) = self.bytes.split_at_checked(self.public).unwrap_or((&self.bytes, b""));
        // Exposed because RFC 7523 §2.2 puts it into the body. A JWT needs no encoding.
        let parts = [public, b"&client_assertion=", assertion.expose().as_bytes(), private, tail];
        let mut body = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| body.extend_from_slice(part));
        let private = private.len().saturating_add(tail.len());
        Body { public: body.len().saturating_sub(private), bytes: body.into_boxed_slice() }
    }
}

impl Body {
    /// All of which may be secret.
    pub(crate) fn secret(bytes: &[u8]) -> Self {
        Self { bytes: Box::from(bytes), public: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, which nobody wipes from now on.
    #[cfg(feature = "http")]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.bytes).into_vec()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(private) = self.bytes.get_mut(self.public..) {
            private.zeroize();
        }
    }
}

/// The fields of an encoded form, still encoded.
pub(crate) fn fields(form: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    form.split(|byte| *byte == b'&').filter(|field| !field.is_empty()).map(|field| {
        let end = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        (field.get(..end).unwrap_or_default(), field.get(end.saturating_add(1)..).unwrap_or_default())
    })
}

/// One value, decoded. It never grows and leaves no copy behind.
pub(crate) fn decode(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(value.len()));
    for (index, word) in value.split(|byte| *byte == b'+').enumerate() {
        if index > 0 {
            decoded.push(b' ');
        }
        percent_decode(word).for_each(|byte| decoded.push(byte));
    }
    decoded
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
