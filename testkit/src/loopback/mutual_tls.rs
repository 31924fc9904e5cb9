//! Owns mutual TLS on loopback (RFC 8705): client certificates, and servers that ask for them.

use super::Authority;
use base64ct::{Base64, Encoding as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, PKCS_RSA_SHA256,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::fmt;
use std::sync::Arc;

/// The kind of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with 2048 bits. Always the same key: ring makes none.
    Rsa,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519. Always the same key: its bytes hold the word of [`secrets`](crate::secrets), so that a search finds it.
    Ed25519,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Rsa, Self::P256, Self::P384, Self::Ed25519];

    fn make(self) -> KeyPair {
        match self {
            Self::Rsa => KeyPair::from_pkcs8_pem_and_sign_algo(include_str!("rsa-key.pem"), &PKCS_RSA_SHA256),
            Self::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
            Self::Ed25519 => {
                let key = [ED25519_HEAD, b"canary-canary-canary-canary-cana"].concat();
                KeyPair::from_pkcs8_der_and_sign_algo(&key.into(), &PKCS_ED25519)
            }
        }
        .unwrap()
    }
}

/// What stands before the 32 bytes of a private key in PKCS#8 (RFC 8410 §7).
const ED25519_HEAD: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// A client certificate and its private key.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The key in PEM (PKCS#8).
    pub key_pem: String,
}

impl ClientIdentity {
    /// A self-signed certificate with this common name.
    pub fn self_signed(name: &str, key: KeyKind) -> Self {
        let key = key.make();
        Self { certificate_pem: params(name).self_signed(&key).unwrap().pem(), key_pem: key.serialize_pem() }
    }

    /// Both in one text.
    pub fn pem(&self) -> String {
        format!("{}{}", self.certificate_pem, self.key_pem)
    }

    /// The key of RSA in PKCS#1, or of an elliptic curve in SEC1, as OpenSSL has long written them.
    pub fn traditional_key_pem(&self, label: &str) -> String {
        let key = PrivatePkcs8KeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap();
        // A sequence of the version, the algorithm, and the key in an octet string (RFC 5208 §5).
        let (mut rest, _) = der_value(key.secret_pkcs8_der());
        for _ in 0..2 {
            rest = der_value(rest).1;
        }
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", Base64::encode_string(der_value(rest).0))
    }

    /// The certificate, as a server sees it.
    pub fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).unwrap().to_vec()
    }
}

impl fmt::Debug for ClientIdentity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

/// The first value in DER, and what follows it.
fn der_value(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, head) = match der[1] {
        short @ 0..0x80 => (usize::from(short), 2),
        long => {
            let bytes = usize::from(long & 0x7f);
            (der[2..2 + bytes].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), 2 + bytes)
        }
    };
    der[head..].split_at(length)
}

/// The common name is all of the subject.
fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Both versions of TLS. They differ in when a client hears that its certificate was refused: in the handshake, or after it.
pub const TLS_VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

impl Authority {
    /// Another authority, with a certificate of this one.
    pub fn subordinate(&self) -> Self {
        let mut params = params("subordinate authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A client certificate with this common name.
    pub fn client(&self, name: &str, key: KeyKind) -> ClientIdentity {
        self.client_with(name, key, |_| {})
    }

    /// The same with parameters changed, for example [`expired`](super::expired).
    pub fn client_with(&self, name: &str, key: KeyKind, refine: impl FnOnce(&mut CertificateParams)) -> ClientIdentity {
        let (key, mut params) = (key.make(), params(name));
        refine(&mut params);
        let certificate_pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        ClientIdentity { certificate_pem, key_pem: key.serialize_pem() }
    }

    /// A server at 127.0.0.1 and as.example that asks for a certificate of this authority. Without one a client gets nowhere if it
    /// is `demanded`; a wrong one is refused in any case.
    pub fn server_for_clients(&self, demanded: bool, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let verifier = if demanded { verifier } else { verifier.allow_unauthenticated() };
        let (certificate, key) = self.issue(&["127.0.0.1", "as.example"], |_| {});
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        Arc::new(config)
    }
}
