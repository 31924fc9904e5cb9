//! Owns the text of a JWT: claims in JSON, base64url, and the signature behind them, written once into its own place.

use crate::SigningKey;
use device_flow_core::{Secret, SigningError, UnixTime};
use ring::rand::{SecureRandom as _, SystemRandom};

/// A JWT under way.
pub(crate) struct Claims<'a> {
    /// Encoded: the header with its dot, and perhaps the first claims.
    head: &'a str,
    /// The claims that follow.
    json: Vec<u8>,
}

/// The quotes, colons and commas of some claims; `jti`, two times.
const REST: usize = 120;

impl<'a> Claims<'a> {
    /// With room for claims whose names and values have this many bytes together, beside `jti` and times.
    pub(crate) fn new(header: &'a str, texts: usize) -> Self {
        let mut json = Vec::with_capacity(texts.saturating_add(REST));
        json.push(b'{');
        Self { head: header, json }
    }

    /// All claims, as a JSON object.
    pub(crate) fn whole(header: &'a str, json: &str) -> Self {
        Self { head: header, json: json.as_bytes().to_vec() }
    }

    pub(crate) fn after(opening: &'a Opening) -> Self {
        let mut json = Vec::with_capacity(REST);
        json.extend_from_slice(&opening.rest);
        Self { head: &opening.head, json }
    }

    /// The name is in quotes, with its colon, here and below.
    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        push_json(&mut self.json, value);
        self.json.push(b',');
    }

    pub(crate) fn time(&mut self, name: &'static str, value: UnixTime) {
        self.name(name);
        // Ten digits from 2001 until 2286.
        match value.as_secs() {
            secs @ 1_000_000_000..=9_999_999_999 => {
                let mut digits = [0; 10];
                let mut rest = secs;
                for pair in digits.as_chunks_mut::<2>().0.iter_mut().rev() {
                    let two = (rest % 100) as u8;
                    *pair = [b'0' + two / 10, b'0' + two % 10];
                    rest /= 100;
                }
                self.json.extend_from_slice(&digits);
            }
            secs => self.json.extend_from_slice(secs.to_string().as_bytes()),
        }
        self.json.push(b',');
    }

    /// In base64url.
    pub(crate) fn bytes(&mut self, name: &'static str, value: &[u8]) {
        self.name(name);
        self.json.push(b'"');
        let start = self.json.len();
        self.json.resize(start + base64url_length(value.len()), 0);
        encode(self.json.get_mut(start..).unwrap_or_default(), value);
        self.json.extend_from_slice(b"\",");
    }

    /// Sixteen random bytes: none comes twice (RFC 7519 §4.1.7).
    pub(crate) fn jti(&mut self) -> Result<(), SigningError> {
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).map_err(|_| no_random())?;
        self.bytes(r#""jti":"#, &random);
        Ok(())
    }

    /// As it is written, with quotes and colon: so it is copied at once.
    fn name(&mut self, name: &'static str) {
        self.json.extend_from_slice(name.as_bytes());
    }

    /// The JWT.
    pub(crate) fn sign(mut self, key: &SigningKey) -> Result<Secret, SigningError> {
        // There is at least one claim.
        if let Some(last) = self.json.last_mut() {
            *last = b'}';
        }
        // A text that is full becomes a secret without being copied.
        let signed = self.head.len() + base64url_length(self.json.len());
        let whole = signed + 1 + base64url_length(key.signature_length());
        let mut jwt = Vec::with_capacity(whole);
        jwt.extend_from_slice(self.head.as_bytes());
        // The one dot that stays is the one between claims and signature.
        jwt.resize(whole, b'.');
        if let Some((signed, rest)) = jwt.split_at_mut_checked(signed) {
            encode(signed.get_mut(self.head.len()..).unwrap_or_default(), &self.json);
            let signature = key.sign(signed)?;
            encode(rest.get_mut(1..).unwrap_or_default(), signature.as_ref());
        }
        String::from_utf8(jwt).map(Secret::from).map_err(|_| SigningError::new("the JWT is no text"))
    }
}

/// What is the same in every assertion for one client and audience, encoded once. With it an assertion costs half as much.
pub(crate) struct Opening {
    client_id: Box<str>,
    audience: Box<str>,
    head: Box<str>,
    /// Claims at the end that are no three bytes, so that they cannot be encoded yet.
    rest: Box<[u8]>,
}

impl Opening {
    pub(crate) fn new(mut claims: Claims<'_>, client_id: &str, audience: &str) -> Self {
        let rest = claims.json.split_off(claims.json.len() / 3 * 3);
        let mut head = claims.head.as_bytes().to_vec();
        head.resize(head.len() + base64url_length(claims.json.len()), 0);
        encode(head.get_mut(claims.head.len()..).unwrap_or_default(), &claims.json);
        let head = String::from_utf8(head).unwrap_or_default().into();
        Self { client_id: client_id.into(), audience: audience.into(), head, rest: rest.into() }
    }

    pub(crate) fn is_for(&self, client_id: &str, audience: &str) -> bool {
        *self.client_id == *client_id && *self.audience == *audience
    }
}

pub(crate) fn no_random() -> SigningError {
    SigningError::new("the system gives no random numbers, without which nothing can be signed")
}

/// A text in JSON, with its quotes (RFC 8259 §7).
pub(crate) fn push_json(json: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    json.push(b'"');
    if text.as_bytes().iter().all(is_plain) {
        json.extend_from_slice(text.as_bytes());
    } else {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => json.extend_from_slice(&[b'\\', byte]),
                0..0x20 => {
                    let hex = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
                    json.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
                }
                _ => json.push(byte),
            }
        }
    }
    json.push(b'"');
}

pub(crate) const fn base64url_length(bytes: usize) -> usize {
    // Four for three, and for the rest one more than it has.
    bytes / 3 * 4 + if bytes.is_multiple_of(3) { 0 } else { bytes % 3 + 1 }
}

/// The two characters of twelve bits.
#[allow(clippy::indexing_slicing, reason = "the compiler runs it")]
static PAIRS: [[u8; 2]; 4096] = {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut pairs = [[0; 2]; 4096];
    let mut bits = 0;
    while bits < pairs.len() {
        pairs[bits] = [ALPHABET[bits >> 6], ALPHABET[bits & 63]];
        bits += 1;
    }
    pairs
};

/// base64url without padding (RFC 7515 §2), of what is sent in the clear. The constant-time one of base64ct, which reads
/// and writes keys here, costs more than all the rest of a JWT.
fn encode(place: &mut [u8], bytes: &[u8]) {
    let pair = |bits: u32| PAIRS.get((bits & 4095) as usize).copied().unwrap_or_default();
    let (triples, rest) = bytes.as_chunks::<3>();
    let (quads, last) = place.as_chunks_mut::<4>();
    for (quad, [a, b, c]) in quads.iter_mut().zip(triples) {
        let bits = u32::from_be_bytes([0, *a, *b, *c]);
        let ([first, second], [third, fourth]) = (pair(bits >> 12), pair(bits));
        *quad = [first, second, third, fourth];
    }
    match (last, rest) {
        ([first, second], [a]) => [*first, *second] = pair(u32::from(*a) << 4),
        ([first, second, third], [a, b]) => {
            let bits = u32::from_be_bytes([0, *a, *b, 0]);
            ([*first, *second], [*third, _]) = (pair(bits >> 12), pair(bits));
        }
        _ => {}
    }
}
