//! Owns private keys in DER: PKCS#8 (RFC 5958), SEC1 (RFC 5915), PKCS#1 (RFC 8017 A.1.2), and the public key of a
//! certificate's form (RFC 5480).

use crate::KeyError;
use crate::material::{Bytes, Curve, Material, RsaParts};
use zeroize::Zeroizing;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `[0]` and `[1]` of an `ECPrivateKey`.
const EC_PARAMETERS: u8 = 0xa0;
const EC_PUBLIC: u8 = 0xa1;
/// `[0]` and `[1]` of a `OneAsymmetricKey`.
const ATTRIBUTES: u8 = 0xa0;
const PUBLIC: u8 = 0x81;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// Those that people try, by their names.
const OTHERS: [(&[u8], &str); 5] = [
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "P-521"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "secp256k1"),
    (&[0x2b, 0x65, 0x71], "Ed448"),
    (&[0x2b, 0x65, 0x6e], "X25519"),
    (&[0x2b, 0x65, 0x6f], "X448"),
];

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next element, whatever it is: its tag and content. `None` where there is none, or it is damaged.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Two bytes suffice for any key.
            0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
            0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), rest.get(2..)?),
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The next element, if it has this tag; else nothing is read.
    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.next().map(|(_, content)| content) } else { None }
    }

    fn expect(&mut self, tag: u8) -> Result<&'a [u8], KeyError> {
        self.optional(tag).ok_or(KeyError::Damaged)
    }

    /// A number without its leading zeros.
    fn integer(&mut self) -> Result<&'a [u8], KeyError> {
        self.expect(INTEGER).map(without_zeros)
    }
}

pub(crate) fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The elements of the one sequence that these bytes are.
fn whole(der: &[u8]) -> Result<Reader<'_>, KeyError> {
    let mut reader = Reader(der);
    let content = reader.expect(SEQUENCE)?;
    if reader.0.is_empty() { Ok(Reader(content)) } else { Err(KeyError::Damaged) }
}

/// The bytes of a bit string, which has no unused bits here.
fn bits(content: &[u8]) -> Result<&[u8], KeyError> {
    content.strip_prefix(&[0]).ok_or(KeyError::Damaged)
}

fn owned(bytes: &[u8]) -> Bytes {
    Zeroizing::new(bytes.to_vec())
}

fn curve(oid: &[u8]) -> Result<Curve, KeyError> {
    match oid {
        P256 => Ok(Curve::P256),
        P384 => Ok(Curve::P384),
        other => Err(KeyError::Curve(name(other))),
    }
}

fn name(oid: &[u8]) -> Box<str> {
    OTHERS.iter().find(|(known, _)| *known == oid).map_or("another one", |(_, name)| name).into()
}

/// The curve of an algorithm identifier or of an `ECPrivateKey`: its name, since parameters in full may be any curve.
fn named_curve(reader: &mut Reader<'_>) -> Result<Curve, KeyError> {
    match reader.next() {
        Some((OID, oid)) => curve(oid),
        Some((SEQUENCE, _)) => Err(KeyError::CurveInFull),
        Some(_) | None => Err(KeyError::Damaged),
    }
}

/// `PRIVATE KEY`: PKCS#8, the second version too, which has the public key beside the private one.
pub(crate) fn pkcs8(der: &[u8]) -> Result<Material, KeyError> {
    let mut key = whole(der)?;
    let _version = key.integer()?;
    let mut algorithm = Reader(key.expect(SEQUENCE)?);
    let oid = algorithm.expect(OID)?;
    let private = key.expect(OCTET_STRING)?;
    key.optional(ATTRIBUTES);
    let public = key.optional(PUBLIC).map(bits).transpose()?;
    match oid {
        RSA => rsa(private).map(Material::Rsa),
        // Parameters say which hashes the key may be used with.
        RSA_PSS if algorithm.0.is_empty() => rsa(private).map(Material::RsaPss),
        RSA_PSS => Err(KeyError::PssParameters),
        EC => ec(private, Some(named_curve(&mut algorithm)?), public),
        ED25519 => {
            let seed = Reader(private).expect(OCTET_STRING)?;
            Ok(Material::Ed25519 { seed: owned(seed), public: public.map(owned) })
        }
        DSA => Err(KeyError::Kind("DSA".into())),
        other => Err(KeyError::Kind(name(other))),
    }
}

/// `EC PRIVATE KEY`: SEC1.
pub(crate) fn sec1(der: &[u8]) -> Result<Material, KeyError> {
    ec(der, None, None)
}

fn ec(der: &[u8], outer: Option<Curve>, public: Option<&[u8]>) -> Result<Material, KeyError> {
    let mut key = whole(der)?;
    let _version = key.integer()?;
    let scalar = key.expect(OCTET_STRING)?;
    let inner = key.optional(EC_PARAMETERS).map(|content| named_curve(&mut Reader(content))).transpose()?;
    let curve = match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => return Err(KeyError::Mismatch),
        (outer, inner) => outer.or(inner).ok_or(KeyError::Damaged)?,
    };
    let inner = key.optional(EC_PUBLIC).map(|content| Reader(content).expect(BIT_STRING).and_then(bits)).transpose()?;
    Ok(Material::Ec { curve, scalar: curve.padded(scalar)?, point: inner.or(public).map(owned) })
}

/// `RSA PRIVATE KEY`: PKCS#1.
pub(crate) fn pkcs1(der: &[u8]) -> Result<Material, KeyError> {
    rsa(der).map(Material::Rsa)
}

fn rsa(der: &[u8]) -> Result<Box<RsaParts>, KeyError> {
    let mut key = whole(der)?;
    // The first version alone has two primes.
    if !key.integer()?.is_empty() {
        return Err(KeyError::MorePrimes);
    }
    let mut next = || key.integer().map(owned);
    let (n, e, d, p, q) = (next()?, next()?, next()?, next()?, next()?);
    Ok(Box::new(RsaParts { n, e, d, p, q, dp: next()?, dq: next()?, qi: next()? }))
}

/// `PUBLIC KEY`: the point of a key on a curve.
pub(crate) fn public_point(der: &[u8]) -> Option<(Curve, Bytes)> {
    let mut key = whole(der).ok()?;
    let mut algorithm = Reader(key.optional(SEQUENCE)?);
    algorithm.optional(OID).filter(|oid| *oid == EC)?;
    let curve = named_curve(&mut algorithm).ok()?;
    Some((curve, owned(bits(key.optional(BIT_STRING)?).ok()?)))
}
