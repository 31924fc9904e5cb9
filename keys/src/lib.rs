//! Keys for OAuth clients: what signs client assertions (`private_key_jwt`, RFC 7523) and proofs of possession (DPoP,
//! RFC 9449) for `device-flow-core`.
//!
//! ```
//! use device_flow_core::{Client, DeviceFlow, Provider};
//! use device_flow_keys::{DpopKey, SigningKey};
//! use std::sync::Arc;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("client-key.pem");
//! # device_flow_keys::create_key_file(&path, &DpopKey::generate_pem()?)?;
//! // Made by: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out client-key.pem
//! let key = SigningKey::from_file(path)?;
//! println!("register this with the server: {}", key.public_jwk());
//!
//! let provider = Provider::endpoints("https://login.example.com/device", "https://login.example.com/token");
//! let client = Client::builder(provider, "my-app")
//!     .client_assertion(Arc::new(key))
//!     .proof_of_possession(Arc::new(DpopKey::generate()?))
//!     .build()?;
//! let flow = DeviceFlow::new(client, [7; 32]); // 32 random bytes
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Keys come from PEM text or a JWK: EC on P-256 and P-384, RSA, Ed25519. The signatures are ring's, which rustls brings
//! along.
//!
//! # Keys elsewhere
//!
//! A key in a key service, a TPM or a token of PKCS#11 signs through the trait itself:
//!
//! ```
//! use device_flow_core::{ClientAssertion, Secret, SigningError};
//! # #[derive(Debug)]
//! # struct KeyService;
//! # impl KeyService {
//! #     fn sign_jwt(&self, _: &str) -> Result<String, std::io::Error> { Ok("a.b.c".into()) }
//! # }
//!
//! #[derive(Debug)]
//! struct RemoteKey(KeyService);
//!
//! impl ClientAssertion for RemoteKey {
//!     fn algorithm(&self) -> &str {
//!         "ES256"
//!     }
//!
//!     fn assertion(&self, client_id: &str, audience: &str) -> Result<Secret, SigningError> {
//!         // `iss` and `sub`: the client id; `aud`; a new `jti`; `iat`: now; `exp`: 60 seconds later.
//!         let claims = format!(r#"{{"iss":"{client_id}","sub":"{client_id}","aud":"{audience}", …}}"#);
//!         // The error is told to a person, and a poll comes again later.
//!         let signed = self.0.sign_jwt(&claims).map_err(|error| SigningError::new(&error.to_string()))?;
//!         Ok(Secret::from(signed))
//!     }
//! }
//! # let _ = RemoteKey(KeyService).assertion("me", "https://login.example.com");
//! ```

mod algorithm;
mod assertion;
mod der;
mod dpop;
mod error;
mod file;
mod jwk;
mod jwt;
mod material;
mod pem;
mod signing_key;

pub use algorithm::Algorithm;
pub use dpop::DpopKey;
pub use error::KeyError;
pub use file::create_key_file;
pub use signing_key::SigningKey;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
