//! Owns client authentication (RFC 6749 §2.3): how a client proves who it is, in the same way at every endpoint (RFC
//! 8628 §3.1).

use super::ConfigError;
use crate::Secret;
use crate::message::form::{Form, basic_credentials};
use alloc::string::String;
use alloc::sync::Arc;

#[derive(Clone, Debug)]
pub(super) enum Authentication {
    /// No secret: the client only identifies itself.
    Public,
    /// In the way that the metadata lists.
    Listed(Secret),
    Basic(Secret),
    BasicUnencoded(Secret),
    Post(Secret),
}

impl Authentication {
    /// Adds to the form what belongs in the body, and returns the `Authorization` header. A request uses one method,
    /// never two (RFC 6749 §2.3).
    pub(super) fn apply(
        &self,
        client_id: &str,
        listed: &[String],
        id_in_body: bool,
        form: &mut Form,
    ) -> Result<Option<Arc<Secret>>, ConfigError> {
        let lists = |method| listed.is_empty() || listed.iter().any(|known| known == method);
        let (secret, encoded, header) = match self {
            Self::Public => {
                form.push("client_id", client_id);
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
            return Ok(Some(Arc::new(value)));
        }
        form.push_secret("client_secret", secret).ok_or(ConfigError::ClientSecret)?;
        Ok(None)
    }
}
