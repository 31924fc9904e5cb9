//! Owns who the server says a person is: the ID token and its key, the claims in it and at `/userinfo`.

use std::io;
use std::time::{Duration, SystemTime};

use device_flow_keys::SigningKey;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::options::{EMAIL, PERSON, SUBJECT};

/// RS256, since every OpenID client must know that algorithm and many know no other (OpenID Connect Core §15.1). Keys
/// for it take seconds to make, so it is the same for every demo, and public: an ID token of this server proves
/// nothing, as the server lets everybody in anyway.
const KEY: &str = include_str!("id-token-key.pem");

/// What signs ID tokens.
pub(super) struct IdTokens {
    key: SigningKey,
}

impl IdTokens {
    /// The error cannot happen: a test reads the key.
    pub(super) fn new() -> io::Result<Self> {
        let key = SigningKey::from_pem(KEY).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let thumbprint = key.thumbprint().to_owned();
        Ok(Self { key: key.with_key_id(&thumbprint) })
    }

    /// The only algorithm of the signatures.
    pub(super) fn algorithm(&self) -> &'static str {
        self.key.algorithm().as_str()
    }

    /// The public keys (RFC 7517 §5).
    pub(super) fn jwks(&self) -> String {
        format!(r#"{{"keys":[{}]}}"#, self.key.public_jwk())
    }

    /// An ID token (OpenID Connect Core §2), good for as long as the access token beside it.
    pub(super) fn issue(&self, issuer: &str, client_id: &str, scope: &str, life: Duration) -> Result<String, Refusal> {
        let mut claims = person(scope);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        for (name, value) in [
            ("iss", json!(issuer)),
            ("aud", json!(client_id)),
            ("iat", json!(now.as_secs())),
            ("exp", json!(now.saturating_add(life).as_secs())),
        ] {
            if let Some(claims) = claims.as_object_mut() {
                claims.insert(name.to_owned(), value);
            }
        }
        let token = self.key.sign_claims(&claims.to_string()).map_err(|_| Refusal::ServerError)?;
        Ok(token.expose().to_owned())
    }
}

/// Whether this scope asks for an ID token.
pub(super) fn is_wanted(scope: &str) -> bool {
    has(scope, "openid")
}

/// The one person, as far as a scope shows them (OpenID Connect Core §5.4).
pub(super) fn person(scope: &str) -> Value {
    let mut person = json!({ "sub": SUBJECT, "name": PERSON });
    if let Some(person) = person.as_object_mut() {
        if has(scope, "profile") {
            person.insert("preferred_username".to_owned(), json!(SUBJECT));
        }
        if has(scope, "email") {
            person.insert("email".to_owned(), json!(EMAIL));
            person.insert("email_verified".to_owned(), json!(true));
        }
    }
    person
}

fn has(scope: &str, token: &str) -> bool {
    scope.split(' ').any(|granted| granted == token)
}
