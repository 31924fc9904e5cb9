//! Owns client authentication (RFC 6749 §2.3): how a client proves who it is, in the same way at every endpoint (RFC
//! 8628 §3.1).

use super::ConfigError;
use crate::message::form::{Form, basic_credentials};
use crate::prompt::printable;
use crate::sync::Arc;
use crate::{ClientAssertion, Secret};
use alloc::string::String;

#[derive(Clone, Debug)]
pub(super) enum Authentication {
    /// No secret: the client only identifies itself.
    Public,
    /// A secret, sent in the way that the metadata lists.
    Listed(Secret),
    Basic(Secret),
    BasicUnencoded(Secret),
    Post(Secret),
    /// A signature in every request (RFC 7523 §2.2).
    Assertion(Arc<dyn ClientAssertion>),
    /// The certificate of the connection (RFC 8705 §2).
    Tls {
        self_signed: bool,
    },
}

impl Authentication {
    /// The name of the method (RFC 8414 §2), where the setting alone decides it.
    fn method(&self) -> Option<&'static str> {
        match self {
            Self::Public | Self::Listed(_) => None,
            Self::Basic(_) | Self::BasicUnencoded(_) => Some("client_secret_basic"),
            Self::Post(_) => Some("client_secret_post"),
            Self::Assertion(_) => Some("private_key_jwt"),
            Self::Tls { self_signed: false } => Some("tls_client_auth"),
            Self::Tls { self_signed: true } => Some("self_signed_tls_client_auth"),
        }
    }

    /// Whether the connection itself says who the client is.
    pub(super) fn is_by_certificate(&self) -> bool {
        matches!(self, Self::Tls { .. })
    }

    pub(super) fn signer(&self) -> Option<&Arc<dyn ClientAssertion>> {
        if let Self::Assertion(signer) = self { Some(signer) } else { None }
    }

    /// The same with the secret in the body, where a dialect has it; `None` for what no dialect carries.
    pub(super) fn in_body(self) -> Option<Self> {
        match self {
            Self::Public => Some(Self::Public),
            Self::Listed(secret) | Self::Post(secret) => Some(Self::Post(secret)),
            Self::Basic(_) | Self::BasicUnencoded(_) | Self::Assertion(_) | Self::Tls { .. } => None,
        }
    }

    /// Checks a key or a certificate against what the metadata lists: the server itself would only say `invalid_client`. A
    /// secret is sent as it was asked for, whatever the metadata says.
    pub(super) fn check(&self, methods: &[String], algorithms: &[String]) -> Result<(), ConfigError> {
        if let (Self::Assertion(_) | Self::Tls { .. }, Some(method)) = (self, self.method()) {
            check_listed("client authentication", method, methods)?;
        }
        self.signer().map_or(Ok(()), |signer| check_listed("client assertions", signer.algorithm(), algorithms))
    }

    /// Adds to the form what belongs in the body of every request, and returns the `Authorization` header. A request
    /// uses one method, never two (RFC 6749 §2.3).
    pub(super) fn apply(
        &self,
        client_id: &str,
        listed: &[String],
        id_in_body: bool,
        form: &mut Form,
    ) -> Result<Option<Secret>, ConfigError> {
        let lists = |method| listed.is_empty() || listed.iter().any(|known| known == method);
        let (secret, encoded, header) = match self {
            Self::Public | Self::Tls { .. } => {
                form.push("client_id", client_id);
                return Ok(None);
            }
            // The id is optional beside an assertion (RFC 7521 §4.2), but Spring refuses a request without it.
            Self::Assertion(_) => {
                form.push("client_id", client_id);
                form.push("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                return Ok(None);
            }
            Self::Listed(secret) if lists("client_secret_basic") => (secret, true, true),
            Self::Listed(secret) if lists("client_secret_post") => (secret, true, false),
            Self::Listed(_) => return Err(ConfigError::NoAuthenticationMethod),
            Self::Basic(secret) => (secret, true, true),
            Self::BasicUnencoded(secret) => (secret, false, true),
            Self::Post(secret) => (secret, true, false),
        };
        if id_in_body || !header {
            form.push("client_id", client_id);
        }
        if header {
            // Without the encoding the first colon ends the name (RFC 7617 §2).
            if !encoded && client_id.contains(':') {
                return Err(ConfigError::ClientId);
            }
            let value = basic_credentials(client_id, secret, encoded).ok_or(ConfigError::ClientSecret)?;
            return Ok(Some(value));
        }
        form.push_secret("client_secret", secret).ok_or(ConfigError::ClientSecret)?;
        Ok(None)
    }

    /// The name of the method that [`apply`](Self::apply) has chosen.
    pub(super) fn applied(&self, in_header: bool) -> &'static str {
        match (self, in_header) {
            (Self::Public, _) => "none",
            (Self::Listed(_), true) => "client_secret_basic",
            (Self::Listed(_), false) => "client_secret_post",
            (_, _) => self.method().unwrap_or("none"),
        }
    }
}

/// Checks a name against those that the metadata lists, if it lists any.
pub(super) fn check_listed(what: &'static str, wanted: &str, listed: &[String]) -> Result<(), ConfigError> {
    if listed.is_empty() || listed.iter().any(|known| known == wanted) {
        return Ok(());
    }
    Err(ConfigError::NotListed { what, wanted: printable(wanted), listed: printable(&listed.join(", ")) })
}
