//! Owns reading a caller's own root certificates, and every way in which they can be unusable.

use crate::HttpError;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Which root certificates are trusted.
#[derive(Clone, Debug)]
pub enum Roots {
    /// Those of the operating system.
    System,
    /// Those of the operating system, and these.
    SystemAnd(Vec<CertificateDer<'static>>),
    /// These alone.
    Only(Vec<CertificateDer<'static>>),
}

impl Roots {
    /// From PEM text in place of the system's certificates, and PEM text beside those.
    pub(crate) fn read(instead: Option<&[u8]>, added: Option<&[u8]>) -> Result<Self, HttpError> {
        let (instead, added) = (instead.map(read).transpose()?, added.map(read).transpose()?);
        Ok(match (instead, added) {
            (None, None) => Self::System,
            (None, Some(added)) => Self::SystemAnd(added),
            (Some(instead), added) => Self::Only([instead, added.unwrap_or_default()].concat()),
        })
    }
}

/// The certificates in PEM text, each of them usable as a root. Other PEM items in between, such as keys, are passed over.
pub(crate) fn read(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    // A file that is DER, or no certificate at all, would otherwise look like PEM text without any item.
    if !is_pem(pem) && !pem.trim_ascii().is_empty() {
        return Err(HttpError::RootsNotPem);
    }
    let mut roots = Vec::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let damaged = HttpError::DamagedRoot(index.saturating_add(1));
        let certificate = certificate.map_err(|_| damaged.clone())?;
        RootCertStore::empty().add(certificate.clone()).map_err(|_| damaged)?;
        roots.push(certificate);
    }
    if roots.is_empty() { Err(HttpError::NoRoots) } else { Ok(roots) }
}

/// Whether there is anything in PEM in it.
pub(crate) fn is_pem(text: &[u8]) -> bool {
    text.windows(11).any(|window| window == b"-----BEGIN ")
}
