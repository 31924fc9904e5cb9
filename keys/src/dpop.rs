//! Owns `DpopKey`: proofs of possession (RFC 9449), and the latest nonce of each server.

use crate::jwt::Claims;
use crate::{KeyError, SigningKey, pem};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::{ProofOfPossession, ProofRequest, Secret, SigningError};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use url::Url;

/// A key that tokens are bound to (DPoP, RFC 9449).
///
/// Make a new one for each sign-in, on P-256: `ES256` is the one algorithm that every server that was tried takes. Tokens
/// that outlive the process need a key that does, too, kept as they are kept:
///
/// ```
/// use device_flow_keys::DpopKey;
///
/// let pem = DpopKey::generate_pem()?;
/// // … store `pem.expose()` where the tokens will be, and later:
/// let key = DpopKey::from_pem(pem.expose())?;
/// # Ok::<(), device_flow_keys::KeyError>(())
/// ```
///
/// It keeps the latest nonce of each server (RFC 9449 §8), of 64 at most. One key may serve any number of sign-ins at the
/// same time.
pub struct DpopKey {
    key: SigningKey,
    /// Encoded, with a dot at its end.
    header: Box<str>,
    nonces: Mutex<Nonces>,
}

impl DpopKey {
    /// With a key of the caller's, of any kind. Its key id is not sent: the proof has the public key itself.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"{}","jwk":{}}}"#, key.algorithm(), key.bare_jwk());
        let header = format!("{}.", Base64UrlUnpadded::encode_string(header.as_bytes()));
        Self { key, header: header.into(), nonces: Mutex::default() }
    }

    /// A new key on P-256 that ends with the process.
    ///
    /// # Errors
    /// [`KeyError::NoRandom`].
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_pem(Self::generate_pem()?.expose())
    }

    /// A new key on P-256 as PEM text (PKCS#8), to be stored beside the tokens and read by [`from_pem`](Self::from_pem).
    ///
    /// # Errors
    /// [`KeyError::NoRandom`].
    pub fn generate_pem() -> Result<Secret, KeyError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        document.map(|document| pem::write(document.as_ref())).map_err(|_| KeyError::NoRandom)
    }

    /// The key in PEM text, as [`SigningKey::from_pem`] reads it.
    ///
    /// # Errors
    /// [`KeyError`], which says what to do.
    pub fn from_pem(text: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::from_pem(text).map(Self::new)
    }

    fn nonces(&self) -> MutexGuard<'_, Nonces> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProofOfPossession for DpopKey {
    fn algorithm(&self) -> &str {
        self.key.algorithm().as_str()
    }

    fn thumbprint(&self) -> &str {
        self.key.thumbprint()
    }

    fn proof(&self, request: &ProofRequest<'_>) -> Result<Secret, SigningError> {
        let (method, url) = (request.method(), request.url());
        let nonces = self.nonces();
        let nonce = nonces.of(written_origin(url));
        let mut claims =
            Claims::new(&self.header, method.len() + url.len() + nonce.map_or(0, |nonce| nonce.len() + 10) + 50);
        claims.jti()?;
        claims.text(r#""htm":"#, method);
        claims.text(r#""htu":"#, url);
        claims.time(r#""iat":"#, self.key.now());
        if let Some(nonce) = nonce {
            claims.text(r#""nonce":"#, nonce);
        }
        // Nobody waits for a signature.
        drop(nonces);
        if let Some(token) = request.access_token() {
            claims.bytes(r#""ath":"#, digest(&SHA256, token.expose().as_bytes()).as_ref());
        }
        claims.sign(&self.key)
    }

    fn remember_nonce(&self, url: &str, nonce: &str) {
        if let Some(origin) = origin(url).filter(|_| (1..=LONGEST_NONCE).contains(&nonce.len())) {
            self.nonces().remember(origin, nonce);
        }
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("DpopKey");
        shown
            .field("algorithm", &self.key.algorithm())
            .field("thumbprint", &self.key.thumbprint())
            .finish_non_exhaustive()
    }
}

/// Servers that one client talks to: an authorization server and some APIs.
const MOST: usize = 64;
/// What fits into a header everywhere.
const LONGEST_NONCE: usize = 1024;

/// Origins with their latest nonces; the one that was heard of last is the last.
#[derive(Default)]
struct Nonces(VecDeque<(Box<str>, Box<str>)>);

impl Nonces {
    fn of(&self, origin: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| **known == *origin).map(|(_, nonce)| &**nonce)
    }

    fn remember(&mut self, origin: String, nonce: &str) {
        self.0.retain(|(known, _)| **known != *origin);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((origin.into(), nonce.into()));
    }
}

/// Scheme, host and port of any URL; `None` for one that is none.
fn origin(url: &str) -> Option<String> {
    let origin = Url::parse(url).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// The same of a URL in the form of `htu`, where it is what stands before the path.
fn written_origin(htu: &str) -> &str {
    let mut slashes = htu.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
    slashes.nth(2).and_then(|path| htu.get(..path)).unwrap_or(htu)
}

#[cfg(test)]
mod tests;
