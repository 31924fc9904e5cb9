//! Owns reading the certificate of a client and its private key, and every way in which they can be unusable.

use crate::HttpError;
use crate::roots::is_pem;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A client certificate with the chain above it and the private key that belongs to it, checked as
/// [`HttpBuilder::client_certificate_pem`](crate::HttpBuilder::client_certificate_pem) says. The key is wiped with the last clone.
#[derive(Clone)]
pub struct ClientCertificate {
    chain: Arc<[CertificateDer<'static>]>,
    key: Arc<Zeroizing<Vec<u8>>>,
}

impl ClientCertificate {
    /// Reads PEM texts: the chain, and the key, which may be in the same text.
    pub(crate) fn read(chain: &[u8], key: &Zeroizing<Vec<u8>>) -> Result<Self, HttpError> {
        if [chain, key].into_iter().any(|pem| !pem.trim_ascii().is_empty() && !is_pem(pem)) {
            return Err(HttpError::ClientCertificateNotPem);
        }
        let chain = certificates(chain)?;
        let private = private_key(key)?;
        let private = any_supported_type(&private).map_err(|_| HttpError::UnusableClientKey)?;
        match CertifiedKey::new(chain.clone(), private).keys_match() {
            // Where rustls cannot tell, the server can.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err(HttpError::ClientKeyMismatch),
            Err(_) => return Err(HttpError::UnusableClientCertificate),
        }
        Ok(Self { chain: Arc::from(chain), key: Arc::new(key.clone()) })
    }

    /// The certificates, the client's own first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The text with the private key, which is the first one in it: for the HTTP client alone.
    #[must_use]
    pub fn key_pem(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for ClientCertificate {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Each item in the text that rustls knows, wiped unless it is taken.
fn items(pem: &[u8]) -> impl Iterator<Item = Result<(SectionKind, Zeroizing<Vec<u8>>), HttpError>> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).map(|item| match item {
        Ok((kind, der)) => Ok((kind, Zeroizing::new(der))),
        // In the older way the lines that say how it is encrypted are in the way.
        Err(_) if is_encrypted(pem) => Err(HttpError::EncryptedClientKey),
        Err(_) => Err(HttpError::DamagedClientCertificate),
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let mut chain = Vec::new();
    for item in items(pem) {
        let (kind, mut der) = item?;
        if kind == SectionKind::Certificate {
            chain.push(CertificateDer::from(std::mem::take(&mut *der)));
        }
    }
    if chain.is_empty() { Err(HttpError::NoClientCertificate) } else { Ok(chain) }
}

fn private_key(pem: &[u8]) -> Result<Zeroizing<PrivateKeyDer<'static>>, HttpError> {
    for item in items(pem) {
        let (kind, mut der) = item?;
        if let Some(key) = PrivateKeyDer::from_pem(kind, std::mem::take(&mut *der)) {
            return Ok(Zeroizing::new(key));
        }
    }
    Err(if is_encrypted(pem) { HttpError::EncryptedClientKey } else { HttpError::NoClientKey })
}

/// Whether a key in it is encrypted: in PKCS#8 (RFC 7468 §11), or in the older way of OpenSSL (RFC 1421 §4.6.1.1).
fn is_encrypted(pem: &[u8]) -> bool {
    let marked =
        |line: &[u8]| line.starts_with(b"-----BEGIN ENCRYPTED ") || line.starts_with(b"Proc-Type: 4,ENCRYPTED");
    pem.split(|byte| matches!(byte, b'\n' | b'\r')).any(marked)
}
