//! Owns `SigningKey`: a private key with its algorithm and its name, and the signatures that it makes.

use crate::jwk::{self, Jwk, Public};
use crate::jwt::{Claims, Opening, no_random};
use crate::material::{Curve, Material, RsaParts};
use crate::{Algorithm, KeyError, file, pem};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::{Secret, SigningError, UnixTime};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// A private key of a client, which signs its assertions (`private_key_jwt`, RFC 7523) or, as a
/// [`DpopKey`](crate::DpopKey), its proofs of possession.
///
/// | key | signs |
/// | --- | --- |
/// | EC on P-256 | `ES256`, which every server that was tried takes |
/// | EC on P-384 | `ES384` |
/// | RSA of 2048, 3072 or 4096 bits | `RS256`, or `PS256` when it is [told to](Self::with_algorithm) |
/// | Ed25519 | `EdDSA`, or `Ed25519` when it is told to |
///
/// It is read from PEM text (PKCS#8, SEC1, PKCS#1) or from a JWK (RFC 7517). What is read on the way is wiped; the key
/// itself stays in the memory of ring for as long as this lives, and ring does not wipe it. `Debug` shows the algorithm
/// and the thumbprint.
pub struct SigningKey {
    pair: Pair,
    algorithm: Algorithm,
    kid: Option<Box<str>>,
    jwk: Box<str>,
    thumbprint: Box<str>,
    clock: Clock,
    /// Of an assertion, encoded, with a dot at its end.
    header: Box<str>,
    /// Of the first assertion.
    opening: OnceLock<Opening>,
}

/// `None`: the system's.
type Clock = Option<Arc<dyn Fn() -> UnixTime + Send + Sync>>;

enum Pair {
    Ecdsa(Curve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
    RsaPss(Box<RsaKeyPair>),
}

impl SigningKey {
    /// Reads a file: PEM text, or a JWK. A file of more than 1 MiB is none of these.
    ///
    /// ```no_run
    /// use device_flow_keys::SigningKey;
    ///
    /// let key = SigningKey::from_file("client-key.pem")?.with_key_id("2026-11");
    /// println!("register this: {}", key.public_jwk());
    /// # Ok::<(), device_flow_keys::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// [`KeyError`], which says what to do.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        Self::from_bytes(&file::read(path.as_ref())?)
    }

    /// The content of a file: PEM text, or a JWK.
    ///
    /// # Errors
    /// [`KeyError`], which says what to do.
    pub fn from_bytes(content: &[u8]) -> Result<Self, KeyError> {
        let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        if text.trim_ascii_start().starts_with(b"{") {
            Self::from_jwk(text)
        } else if pem::is_pem(text) {
            Self::from_pem(text)
        } else {
            Err(KeyError::NoKey)
        }
    }

    /// The one private key in PEM text: `PRIVATE KEY` (PKCS#8), `EC PRIVATE KEY` (SEC1) or `RSA PRIVATE KEY` (PKCS#1).
    /// Certificates and parameters beside it are passed over. It has no key id.
    ///
    /// An EC key must have its public half, in its own section or in a `PUBLIC KEY` beside it. Java leaves it out.
    ///
    /// # Errors
    /// [`KeyError`], which says what to do.
    pub fn from_pem(text: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::new(Jwk { material: pem::read(text.as_ref())?, algorithm: None, kid: None })
    }

    /// A private JWK (RFC 7517), or a set with one: `EC`, `OKP` with Ed25519 (RFC 8037), or `RSA` with all its parts
    /// (RFC 7518 §6.3.2). Its members `kid` and `alg` are kept.
    ///
    /// # Errors
    /// [`KeyError`], which says what to do.
    pub fn from_jwk(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::new(jwk::read(json.as_ref())?)
    }

    fn new(Jwk { material, algorithm, kid }: Jwk) -> Result<Self, KeyError> {
        let (pair, public) = Pair::new(material)?;
        let jwk = public.canonical();
        let thumbprint = jwk::thumbprint(&jwk);
        let mut key = Self {
            algorithm: pair.usual_algorithm(),
            pair,
            kid,
            jwk: jwk.into(),
            thumbprint: thumbprint.into(),
            clock: None,
            header: Box::default(),
            opening: OnceLock::new(),
        };
        key.encode_header();
        match algorithm {
            Some(algorithm) => key.with_algorithm(algorithm),
            None => Ok(key),
        }
    }

    /// Signs with this algorithm from now on, such as [`Algorithm::Ps256`] with an RSA key: it must be the one that the
    /// client is registered with.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] when the key is of another kind.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Result<Self, KeyError> {
        let (key, allowed, can) = match (&self.pair, algorithm) {
            (Pair::Ecdsa(Curve::P256, _), asked) => ("EC on P-256", "ES256", asked == Algorithm::Es256),
            (Pair::Ecdsa(Curve::P384, _), asked) => ("EC on P-384", "ES384", asked == Algorithm::Es384),
            (Pair::Rsa(_), asked) => ("RSA", "RS256 and PS256", matches!(asked, Algorithm::Rs256 | Algorithm::Ps256)),
            (Pair::RsaPss(_), asked) => ("RSA-PSS", "PS256", asked == Algorithm::Ps256),
            (Pair::Ed25519(_), asked) => {
                ("Ed25519", "EdDSA and Ed25519", matches!(asked, Algorithm::EdDsa | Algorithm::Ed25519))
            }
        };
        if !can {
            return Err(KeyError::Algorithm { algorithm: algorithm.as_str(), key, allowed });
        }
        self.algorithm = algorithm;
        self.encode_header();
        Ok(self)
    }

    /// The id under which the server knows the key (`kid`, RFC 7515 §4.1.4): servers refuse an id that they do not know,
    /// and do without one.
    #[must_use]
    pub fn with_key_id(mut self, kid: &str) -> Self {
        self.kid = Some(kid.into());
        self.encode_header();
        self
    }

    /// Where `iat` and `exp` come from, in place of the system's clock: for devices that know the time from elsewhere,
    /// and for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The id of the key, of its JWK or as [told](Self::with_key_id).
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The SHA-256 thumbprint of the public key (RFC 7638): 43 characters of base64url.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The public key as a JWK, to be registered with the server: the required members, that it is for signatures
    /// (`"use":"sig"`, RFC 7517 §4.2: Keycloak passes over keys that do not say so), and the id of the key if there is one.
    /// A server that wants a set (`jwks`) takes `{"keys":[` this `]}`.
    #[must_use]
    pub fn public_jwk(&self) -> String {
        let jwk = jwk::with_member(&self.jwk, "use", "sig");
        self.kid.as_deref().map_or_else(|| jwk.clone(), |kid| jwk::with_member(&jwk, "kid", kid))
    }

    /// A JWT of these claims (RFC 7519), in compact form, with the id of the key in its header if there is one.
    ///
    /// `claims` is a JSON object and goes into the token as it is: those of an ID token, or what an API of your own takes.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn sign_claims(&self, claims: &str) -> Result<Secret, SigningError> {
        Claims::whole(&self.header, claims).sign(self)
    }

    /// Without a key id, as in the header of a proof.
    pub(crate) fn bare_jwk(&self) -> &str {
        &self.jwk
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.clock.as_ref().map_or_else(|| SystemTime::now().into(), |clock| clock())
    }

    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    pub(crate) fn opening(&self) -> &OnceLock<Opening> {
        &self.opening
    }

    fn encode_header(&mut self) {
        let mut header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, self.algorithm);
        if let Some(kid) = &self.kid {
            header = jwk::with_member(&header, "kid", kid);
        }
        self.header = format!("{}.", Base64UrlUnpadded::encode_string(header.as_bytes())).into();
        // It begins with the header.
        self.opening = OnceLock::new();
    }

    pub(crate) fn signature_length(&self) -> usize {
        match &self.pair {
            Pair::Ecdsa(curve, _) => curve.size() * 2,
            Pair::Ed25519(_) => 64,
            Pair::Rsa(pair) | Pair::RsaPss(pair) => pair.public().modulus_len(),
        }
    }

    /// In the form of a JWS (RFC 7518 §3): of ECDSA both numbers, one behind the other.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Signature, SigningError> {
        let failed = |_| no_random();
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(_, pair) => pair.sign(&random, message).map(Signature::Short).map_err(failed),
            Pair::Ed25519(pair) => Ok(Signature::Short(pair.sign(message))),
            Pair::Rsa(pair) | Pair::RsaPss(pair) => {
                let padding = if self.algorithm == Algorithm::Ps256 {
                    &RSA_PSS_SHA256
                } else {
                    &RSA_PKCS1_SHA256 as &'static dyn signature::RsaEncoding
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signature).map_err(failed)?;
                Ok(Signature::Long(signature))
            }
        }
    }
}

/// One that is just made.
pub(crate) enum Signature {
    Short(signature::Signature),
    Long(Vec<u8>),
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short(signature) => signature.as_ref(),
            Self::Long(signature) => signature,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SigningKey");
        shown.field("algorithm", &self.algorithm).field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

impl Pair {
    /// The public half is that of the pair: what the file says of it was compared.
    fn new(material: Material) -> Result<(Self, Public), KeyError> {
        match material {
            Material::Ec { curve, scalar, point } => {
                let algorithm = match curve {
                    Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
                    Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
                };
                let point = point.filter(|point| point.first() == Some(&4)).ok_or(KeyError::NoPublicHalf)?;
                let random = SystemRandom::new();
                let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &scalar, &point, &random)
                    .map_err(rejected)?;
                let point = pair.public_key().as_ref().to_vec();
                Ok((Self::Ecdsa(curve, pair), Public::Ec { curve, point }))
            }
            Material::Ed25519 { seed, public } => {
                let pair = match public {
                    Some(public) => Ed25519KeyPair::from_seed_and_public_key(&seed, &public),
                    None => Ed25519KeyPair::from_seed_unchecked(&seed),
                };
                let pair = pair.map_err(rejected)?;
                let x = pair.public_key().as_ref().to_vec();
                Ok((Self::Ed25519(pair), Public::Ed25519 { x }))
            }
            Material::Rsa(parts) => rsa(&parts).map(|(pair, public)| (Self::Rsa(pair), public)),
            Material::RsaPss(parts) => rsa(&parts).map(|(pair, public)| (Self::RsaPss(pair), public)),
        }
    }

    fn usual_algorithm(&self) -> Algorithm {
        match self {
            Self::Ecdsa(Curve::P256, _) => Algorithm::Es256,
            Self::Ecdsa(Curve::P384, _) => Algorithm::Es384,
            Self::Ed25519(_) => Algorithm::EdDsa,
            Self::Rsa(_) => Algorithm::Rs256,
            Self::RsaPss(_) => Algorithm::Ps256,
        }
    }
}

/// ring says no more than this in a form that can be compared.
fn rejected(error: ring::error::KeyRejected) -> KeyError {
    if error.to_string() == "RNG failed" { KeyError::NoRandom } else { KeyError::Mismatch }
}

fn rsa(parts: &RsaParts) -> Result<(Box<RsaKeyPair>, Public), KeyError> {
    let RsaParts { n, e, d, p, q, dp, dq, qi } = parts;
    let zeros = n.first().map_or(0, |first| first.leading_zeros() as usize);
    match n.len() * 8 - zeros {
        0 => return Err(KeyError::Damaged),
        2048 | 3072 | 4096 => {}
        bits if bits < 2048 => return Err(KeyError::TooShort(bits)),
        // ring takes primes of a multiple of 512 bits.
        bits => return Err(KeyError::Size(bits)),
    }
    // ring takes 65537 to 2^33 - 1.
    if !matches!(e.as_slice(), [_, _, _] | [_, _, _, _] | [1, _, _, _, _]) {
        return Err(KeyError::Exponent);
    }
    let public_key = PublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
    let [d, p, q, dp, dq, qi] = [d, p, q, dp, dq, qi].map(|part| part.as_slice());
    let pair = RsaKeyPair::from_components(&KeyPairComponents { public_key, d, p, q, dP: dp, dQ: dq, qInv: qi })
        .map_err(rejected)?;
    // ring compares the exponents with each other in the first signature.
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"", &mut signature).map_err(|_| KeyError::Mismatch)?;
    Ok((Box::new(pair), Public::Rsa { n: n.to_vec(), e: e.to_vec() }))
}

#[cfg(test)]
mod tests;
