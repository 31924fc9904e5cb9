//! Owns what an embedder signs for a client: the client assertion (RFC 7523) and the proof of possession (RFC 9449).

use crate::prompt::{endpoint_fault, printable};
use crate::url::Url;
use crate::{ConfigError, Secret, TransportError, TransportErrorKind};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// Proves who a client is with a key in place of a secret: `private_key_jwt` (RFC 7523 §2.2, OpenID Connect Core §9).
///
/// A machine asks for an assertion in [`next_action`](crate::Machine::next_action), right before each request that it
/// wants sent, repeats included: servers remember the `jti` of every assertion that they have seen, also that of a
/// request that they refused, and take none twice. So sign each time, and cache nothing. The core has no keys, no clock and
/// no random numbers; the crate `device-flow-keys` has an implementation for keys in files.
///
/// It runs on the thread that drives the machine. A signer that is far away (a key service) holds up that thread for as
/// long as it takes.
pub trait ClientAssertion: fmt::Debug + Send + Sync {
    /// The algorithm of the signature, such as `ES256` (RFC 7518 §3.1), which is compared with those that the metadata
    /// of the server lists.
    fn algorithm(&self) -> &str;

    /// A new JWT (RFC 7523 §3). `iss` and `sub`: the client id; `aud`: the audience, as one string; `jti`: never used
    /// before; `iat`: now; `exp`: 60 seconds later. No `nbf`. Keycloak refuses more than 60 seconds and more than one
    /// audience.
    ///
    /// # Errors
    /// [`SigningError`] when the key cannot be used now: a poll comes again later, another request fails.
    fn assertion(&self, client_id: &str, audience: &str) -> Result<Secret, SigningError>;
}

/// Proves that a client has the key that its tokens are bound to: DPoP (RFC 9449).
///
/// As with a [`ClientAssertion`], a machine asks for a proof right before each request that it wants sent. The
/// implementation keeps the nonces of servers, because all requests to one server share them, whichever sign-in they
/// belong to.
pub trait ProofOfPossession: fmt::Debug + Send + Sync {
    /// The algorithm of the signature, such as `ES256`, which is compared with those that the metadata of the server
    /// lists.
    fn algorithm(&self) -> &str;

    /// The SHA-256 thumbprint of the public key (RFC 7638), in base64url without padding: 43 characters. Tokens in a
    /// cache belong to the key with this thumbprint.
    fn thumbprint(&self) -> &str;

    /// A new proof (RFC 9449 §4.2). `htm` and `htu`: those of the request; `jti`: never used before; `iat`: now;
    /// `nonce`: the latest one of this server, if there is one; `ath`: of the access token, if there is one.
    ///
    /// # Errors
    /// [`SigningError`] when the key cannot be used now: a poll comes again later, another request fails.
    fn proof(&self, request: &ProofRequest<'_>) -> Result<Secret, SigningError>;

    /// Keeps a nonce that a server sent, for later requests to the same origin (scheme, host and port of `url`; RFC 9449
    /// §8.2). Only the latest counts.
    fn remember_nonce(&self, url: &str, nonce: &str);
}

/// The request that a proof is for.
#[derive(Clone, Debug)]
pub struct ProofRequest<'a> {
    method: &'a str,
    url: Cow<'a, str>,
    access_token: Option<&'a Secret>,
}

impl<'a> ProofRequest<'a> {
    /// A request to an API with an access token (RFC 9449 §7.1). Method and URL as they are sent: the proof holds the
    /// URL without query and fragment (§4.2).
    ///
    /// ```
    /// use device_flow_core::{ProofRequest, Secret};
    ///
    /// let token = Secret::from("an access token");
    /// let request = ProofRequest::to_resource("GET", "https://API.example.com:443/files?page=2#top", &token)?;
    /// assert_eq!(request.url(), "https://api.example.com/files");
    /// # Ok::<(), device_flow_core::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::Endpoint`] when the URL is neither https nor http on a loopback address, so that a token must not
    /// be sent there.
    pub fn to_resource(method: &'a str, url: &str, access_token: &'a Secret) -> Result<Self, ConfigError> {
        let plain = url.split(['?', '#']).next().unwrap_or_default();
        if let Some(fault) = endpoint_fault(plain, true) {
            return Err(ConfigError::Endpoint { which: "URL of the API", url: printable(plain), fault });
        }
        Ok(Self { method, url: Cow::Owned(htu(plain)), access_token: Some(access_token) })
    }

    /// A request to the token endpoint.
    pub(crate) fn to_token_endpoint(htu: &'a str) -> Self {
        Self { method: "POST", url: Cow::Borrowed(htu), access_token: None }
    }

    /// The claim `htm`.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method
    }

    /// The claim `htu`: without query and fragment, scheme and host in lower case, without a default port. Spring and
    /// Keycloak compare it as text.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The access token of the request, whose hash is the claim `ath`; `None` at the token endpoint.
    #[must_use]
    pub fn access_token(&self) -> Option<&Secret> {
        self.access_token
    }
}

/// A checked URL as the claim `htu` has it.
pub(crate) fn htu(url: &str) -> String {
    Url::parse(url).map_or_else(
        |_| String::from(url),
        |mut url| {
            url.set_query(None);
            String::from(url)
        },
    )
}

/// Why nothing could be signed: the key is locked, its service is down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SigningError(Box<str>);

impl SigningError {
    /// With what a person needs to know. It must hold no secret; unprintable characters are escaped.
    #[must_use]
    pub fn new(detail: &str) -> Self {
        Self(printable(detail))
    }
}

impl From<SigningError> for TransportError {
    fn from(error: SigningError) -> Self {
        Self::new(TransportErrorKind::Signing).with_detail(&error.0)
    }
}

/// RFC 9449 §8.1: the characters of a nonce. A longer one would not fit into the header of a proof everywhere.
pub(crate) fn is_nonce(nonce: &str) -> bool {
    const MAX_NONCE: usize = 1024;
    let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    (1..=MAX_NONCE).contains(&nonce.len()) && nonce.bytes().all(allowed)
}

/// What a signer has returned goes into a form or a header as it stands.
pub(crate) fn checked_jwt(jwt: Secret) -> Result<Secret, SigningError> {
    if jwt.is_jwt() { Ok(jwt) } else { Err(SigningError::new("what the key's owner has signed is not a JWT")) }
}
