//! Owns keys in JSON (RFC 7517): the private key of a JWK, and the public JWK of a key with its thumbprint (RFC 7638).

use crate::jwt::push_json;
use crate::material::{Bytes, Curve, Material, RsaParts};
use crate::{Algorithm, KeyError, der};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use ring::digest::{SHA256, digest};
use serde::de::{Deserialize, Deserializer, IgnoredAny, Visitor};
use std::fmt;
use zeroize::Zeroizing;

/// What a JWK says of its key.
pub(crate) struct Jwk {
    pub(crate) material: Material,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) kid: Option<Box<str>>,
}

/// The one key of a JWK, or of a set with one key.
pub(crate) fn read(json: &[u8]) -> Result<Jwk, KeyError> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    // What serde_json says of a member repeats its value.
    let mut members = serde_json::from_slice::<Members>(json)
        .map_err(|error| KeyError::NotJson { line: error.line(), column: error.column() })?;
    if let Some(mut keys) = members.keys.take() {
        members = keys.pop().ok_or(KeyError::NoKey)?;
        if !keys.is_empty() {
            return Err(KeyError::Several);
        }
    }
    members.check_purpose()?;
    let algorithm = members.alg.as_ref().map(|name| name.0.parse()).transpose()?;
    let kid = members.kid.as_ref().map(|kid| Box::from(&**kid.0));
    Ok(Jwk { material: members.material()?, algorithm, kid })
}

/// The members that mean something here; all others are passed over (RFC 7517 §4).
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Members {
    kty: Option<Text>,
    crv: Option<Text>,
    kid: Option<Text>,
    alg: Option<Text>,
    r#use: Option<Text>,
    key_ops: Option<Vec<Text>>,
    n: Option<Text>,
    e: Option<Text>,
    d: Option<Text>,
    p: Option<Text>,
    q: Option<Text>,
    dp: Option<Text>,
    dq: Option<Text>,
    qi: Option<Text>,
    oth: Option<IgnoredAny>,
    x: Option<Text>,
    y: Option<Text>,
    /// Of a set (RFC 7517 §5).
    keys: Option<Vec<Members>>,
}

impl Members {
    fn check_purpose(&self) -> Result<(), KeyError> {
        if self.r#use.as_ref().is_some_and(|purpose| **purpose.0 != *"sig") {
            return Err(KeyError::NotForSigning("use"));
        }
        match &self.key_ops {
            Some(operations) if !operations.iter().any(|operation| **operation.0 == *"sign") => {
                // The public half may only verify: what is wrong is that it is one.
                if self.d.is_none() { Err(KeyError::Public) } else { Err(KeyError::NotForSigning("key_ops")) }
            }
            Some(_) | None => Ok(()),
        }
    }

    fn material(&self) -> Result<Material, KeyError> {
        let (kty, crv) = (self.kty.as_ref().ok_or(KeyError::MissingMember("kty"))?, self.crv.as_ref());
        let crv = || crv.map(|crv| &**crv.0).ok_or(KeyError::MissingMember("crv"));
        // One that is damaged may be neither.
        let private = || if self.d.is_some() { Ok(()) } else { Err(KeyError::Public) };
        match &**kty.0 {
            "EC" => {
                let curve = match crv()? {
                    "P-256" => Curve::P256,
                    "P-384" => Curve::P384,
                    other => return Err(KeyError::Curve(short(other))),
                };
                private()?;
                let part =
                    |name, value| curve.padded(&decoded(name, value)?).map_err(|_| KeyError::DamagedMember(name));
                let (x, y, scalar) = (part("x", &self.x)?, part("y", &self.y)?, part("d", &self.d)?);
                let point = Zeroizing::new([&[4], &x[..], &y[..]].concat());
                Ok(Material::Ec { curve, scalar, point: Some(point) })
            }
            "OKP" => match crv()? {
                "Ed25519" => {
                    private()?;
                    let part = |name, value| {
                        decoded(name, value).and_then(|bytes| {
                            if bytes.len() == 32 { Ok(bytes) } else { Err(KeyError::DamagedMember(name)) }
                        })
                    };
                    Ok(Material::Ed25519 { seed: part("d", &self.d)?, public: Some(part("x", &self.x)?) })
                }
                other => Err(KeyError::Kind(short(other))),
            },
            "RSA" => {
                private()?;
                if self.oth.is_some() {
                    return Err(KeyError::MorePrimes);
                }
                // RFC 7518 §6.3.1.1: some programs put a zero before a number.
                let part = |name, value| Ok(Zeroizing::new(der::without_zeros(&decoded(name, value)?).to_vec()));
                Ok(Material::Rsa(Box::new(RsaParts {
                    n: part("n", &self.n)?,
                    e: part("e", &self.e)?,
                    d: part("d", &self.d)?,
                    p: part("p", &self.p)?,
                    q: part("q", &self.q)?,
                    dp: part("dp", &self.dp)?,
                    dq: part("dq", &self.dq)?,
                    qi: part("qi", &self.qi)?,
                })))
            }
            "oct" => Err(KeyError::Kind("a shared secret".into())),
            other => Err(KeyError::Kind(short(other))),
        }
    }
}

/// A name out of a file, for an error.
fn short(name: &str) -> Box<str> {
    let named = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name.chars().filter(named).take(20).collect();
    if name.is_empty() { "unknown".into() } else { name.into() }
}

fn decoded(name: &'static str, value: &Option<Text>) -> Result<Bytes, KeyError> {
    let text = value.as_ref().ok_or(KeyError::MissingMember(name))?;
    let text = text.0.trim_end_matches('=');
    let mut bytes = Zeroizing::new(vec![0; text.len()]);
    let length = Base64UrlUnpadded::decode(text, &mut bytes).map_err(|_| KeyError::DamagedMember(name))?.len();
    bytes.truncate(length);
    Ok(bytes)
}

/// A text that is wiped when dropped.
struct Text(Zeroizing<Box<str>>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Copy;

        impl Visitor<'_> for Copy {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Zeroizing::new(text.into())))
            }
        }

        deserializer.deserialize_str(Copy)
    }
}

/// The public half of a key.
pub(crate) enum Public {
    Ec {
        curve: Curve,
        /// Uncompressed: 4, x, y.
        point: Vec<u8>,
    },
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Ed25519 {
        x: Vec<u8>,
    },
}

impl Public {
    /// The required members alone, in the order of their names and without space (RFC 7638 §3.2, RFC 8037 §2).
    pub(crate) fn canonical(&self) -> String {
        let text = Base64UrlUnpadded::encode_string;
        match self {
            Self::Ec { curve, point } => {
                let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(curve.size()).unwrap_or_default();
                format!(r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#, curve.name(), text(x), text(y))
            }
            Self::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(e), text(n)),
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(x)),
        }
    }
}

/// RFC 7638 §3, of a canonical JWK.
pub(crate) fn thumbprint(canonical: &str) -> String {
    Base64UrlUnpadded::encode_string(digest(&SHA256, canonical.as_bytes()).as_ref())
}

/// An object of flat JSON with one more member, such as `kid`.
pub(crate) fn with_member(object: &str, name: &str, value: &str) -> String {
    let mut json = object.trim_end_matches('}').as_bytes().to_vec();
    json.extend_from_slice(format!(r#","{name}":"#).as_bytes());
    push_json(&mut json, value);
    json.push(b'}');
    // The escapes of JSON keep UTF-8 as it is.
    String::from_utf8(json).unwrap_or_default()
}

#[cfg(test)]
mod tests;
