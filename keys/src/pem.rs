//! Owns private keys in PEM text (RFC 7468, and OpenSSL's older forms): which sections there are, and which of them is
//! the key.
//!
//! The reader of rustls-pki-types, which reads certificates elsewhere in this workspace, passes over the sections that it
//! does not know, so that it could not say what a file holds in place of a key, and it leaves the text of keys in memory.

use crate::material::{Bytes, Material};
use crate::{KeyError, der};
use base64ct::{Base64, Encoding as _};
use device_flow_core::Secret;
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Whether a file is PEM text.
pub(crate) fn is_pem(text: &[u8]) -> bool {
    text.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

/// The private key of a file. Certificates and parameters beside it are passed over.
pub(crate) fn read(text: &[u8]) -> Result<Material, KeyError> {
    let (mut keys, mut point, mut instead) = (vec![], None, KeyError::NoKey);
    // Comments around the sections may be in any encoding.
    for Section { label, lines } in Sections(text) {
        let lines = lines.ok_or(KeyError::Damaged)?;
        match label {
            b"PRIVATE KEY" => keys.push((der::pkcs8 as fn(&[u8]) -> _, lines)),
            b"EC PRIVATE KEY" => keys.push((der::sec1, lines)),
            b"RSA PRIVATE KEY" => keys.push((der::pkcs1, lines)),
            b"ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
            b"OPENSSH PRIVATE KEY" => return Err(KeyError::Openssh),
            b"DSA PRIVATE KEY" => return Err(KeyError::Kind("DSA".into())),
            b"PUBLIC KEY" => {
                point = content(lines).ok().and_then(|der| der::public_point(&der));
                instead = KeyError::Public;
            }
            b"RSA PUBLIC KEY" => instead = KeyError::Public,
            b"CERTIFICATE" | b"TRUSTED CERTIFICATE" | b"X509 CERTIFICATE" if instead == KeyError::NoKey => {
                instead = KeyError::Certificate;
            }
            _ => {}
        }
    }
    let (read, lines) = keys.pop().ok_or(instead)?;
    if !keys.is_empty() {
        return Err(KeyError::Several);
    }
    let mut key = read(&content(lines)?)?;
    // `openssl ec -pubout` beside a key that lacks it.
    if let (Material::Ec { curve, point: own, .. }, Some((other, point))) = (&mut key, point)
        && *curve == other
        && own.as_ref().is_none_or(|own| own.first() != Some(&4))
    {
        *own = Some(point);
    }
    Ok(key)
}

/// A section: its label, and the text up to its end, if it has one.
struct Section<'a> {
    label: &'a [u8],
    lines: Option<&'a [u8]>,
}

/// The sections of the text that is left.
struct Sections<'a>(&'a [u8]);

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Section<'a>> {
        let (_, rest) = split(self.0, BEGIN.as_bytes())?;
        let (label, rest) = split(rest, DASHES.as_bytes())?;
        let end = [END.as_bytes(), label, DASHES.as_bytes()].concat();
        let (lines, rest) = match split(rest, &end) {
            Some((lines, rest)) => (Some(lines), rest),
            None => (None, &b""[..]),
        };
        self.0 = rest;
        Some(Section { label, lines })
    }
}

/// What is before a mark, and after it.
fn split<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|window| window == mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// The bytes of a section.
fn content(lines: &[u8]) -> Result<Bytes, KeyError> {
    // OpenSSL's older form has headers, in this one case.
    if split(lines, b"ENCRYPTED").is_some() {
        return Err(KeyError::Encrypted);
    }
    let mut base64 = Zeroizing::new(Vec::with_capacity(lines.len()));
    base64.extend(lines.iter().filter(|byte| !byte.is_ascii_whitespace()));
    let text = std::str::from_utf8(&base64).map_err(|_| KeyError::Damaged)?;
    let mut decoded = Zeroizing::new(vec![0; text.len()]);
    let length = Base64::decode(text, &mut decoded).map_err(|_| KeyError::Damaged)?.len();
    decoded.truncate(length);
    Ok(decoded)
}

/// A private key in PKCS#8 as PEM text, in lines of 64 characters (RFC 7468 §2).
pub(crate) fn write(der: &[u8]) -> Secret {
    let mut base64 = Zeroizing::new(vec![0; Base64::encoded_len(der)]);
    let base64 = Base64::encode(der, &mut base64).unwrap_or_default();
    // With room for all of it, so that no copy is left behind.
    let mut text = Zeroizing::new(String::with_capacity(base64.len() + base64.len() / 64 + 64));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = base64;
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    Secret::from(text.as_str())
}
