//! Owns the claims of a client assertion (RFC 7523 §3).

use crate::SigningKey;
use crate::jwt::{Claims, Opening};
use device_flow_core::{ClientAssertion, Secret, SigningError};
use std::time::Duration;

/// Keycloak takes no longer life than this.
const LIFE: Duration = Duration::from_secs(60);

/// `iat` is now and `exp` 60 seconds later, `jti` is random, and there is no `nbf`: a clock that is a little slow or fast
/// does no harm then.
impl ClientAssertion for SigningKey {
    fn algorithm(&self) -> &str {
        self.algorithm().as_str()
    }

    fn assertion(&self, client_id: &str, audience: &str) -> Result<Secret, SigningError> {
        let opening =
            self.opening().get_or_init(|| Opening::new(begun(self, client_id, audience), client_id, audience));
        // A key serves one client on one server, as a rule.
        let is_usual = opening.is_for(client_id, audience);
        let mut claims = if is_usual { Claims::after(opening) } else { begun(self, client_id, audience) };
        let now = self.now();
        claims.jti()?;
        claims.time(r#""iat":"#, now);
        claims.time(r#""exp":"#, now.saturating_add(LIFE));
        claims.sign(self)
    }
}

fn begun<'a>(key: &'a SigningKey, client_id: &str, audience: &str) -> Claims<'a> {
    let mut claims = Claims::new(key.header(), client_id.len() * 2 + audience.len());
    claims.text(r#""iss":"#, client_id);
    claims.text(r#""sub":"#, client_id);
    // One text: oidc-provider with the profile FAPI 2.0 takes no list, and Keycloak none of two.
    claims.text(r#""aud":"#, audience);
    claims
}
