//! Owns claims: those of an ID token and of Microsoft's `client_info`, their checks, and those to request.

use super::json::{Number, Object};
use crate::prompt::printable;
use crate::{ConfigError, ProtocolFault, Secret, UnixTime};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use core::time::Duration;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// How far the clocks of server and client may differ.
const SKEW: Duration = Duration::from_secs(300);

/// The claims of an ID token (OpenID Connect Core §2), as far as an account needs them.
///
/// The signature is not checked and need not be: the token comes directly from the token endpoint over TLS, where the
/// server's certificate vouches for it (OpenID Connect Core §3.1.3.7, item 6). So read only tokens from a
/// [`TokenResponse`](crate::TokenResponse) or your own cache, never one from anywhere else, and
/// [`check`](IdTokenClaims::check) the claims before you rely on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenClaims {
    issuer: Box<str>,
    subject: Box<str>,
    audience: Box<[String]>,
    authorized_party: Option<Box<str>>,
    expires: UnixTime,
    object_id: Option<Box<str>>,
    tenant: Option<Box<str>>,
    username: Option<Box<str>>,
    name: Option<Box<str>>,
}

/// Why an ID token is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// It is not a JWT: three parts, the second of which is a JSON object in base64url.
    #[error("the ID token is not readable")]
    Unreadable,
    /// A required claim is missing or has a wrong type (OpenID Connect Core §2).
    #[error("the ID token has no usable {0}")]
    Claim(&'static str),
    /// Item 2 of OpenID Connect Core §3.1.3.7.
    #[error("the ID token was issued by {found}, not by the server that was asked")]
    Issuer {
        /// Who issued it, safe to print.
        found: Box<str>,
    },
    /// Items 3 to 5.
    #[error("the ID token is meant for another client")]
    Audience,
    /// OpenID Connect Core §12.2: a refresh brings the same person.
    #[error("the ID token is about a different person than the one before")]
    Subject,
    /// Item 9.
    #[error("the ID token has expired: is the clock of this machine right?")]
    Expired,
}

impl ClaimsError {
    /// Whether the token was meant for somebody else: then nothing of its answer may be used, the refresh token
    /// included.
    #[must_use]
    pub fn is_of_another(&self) -> bool {
        match self {
            Self::Issuer { .. } | Self::Audience | Self::Subject => true,
            Self::Unreadable | Self::Claim(_) | Self::Expired => false,
        }
    }
}

impl IdTokenClaims {
    /// Reads the payload.
    ///
    /// # Errors
    /// [`ClaimsError::Unreadable`], or [`ClaimsError::Claim`] when `iss`, `sub`, `aud` or `exp` is missing.
    pub fn read(id_token: &Secret) -> Result<Self, ClaimsError> {
        // Exposed to be read; the copy is wiped.
        let mut parts = id_token.expose().split('.');
        let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(ClaimsError::Unreadable);
        };
        let payload = decode(payload).ok_or(ClaimsError::Unreadable)?;
        let payload = core::str::from_utf8(&payload).map_err(|_| ClaimsError::Unreadable)?;
        let mut object = Object::default();
        object.read_json(payload).map_err(|_| ClaimsError::Unreadable)?;
        let required = |name| object.required(name).map(own).map_err(|_| ClaimsError::Claim(name));
        let optional = |name| text(&object, name);
        let expires: Option<Number> = object.number("exp").ok().flatten();
        Ok(Self {
            issuer: required("iss")?,
            subject: required("sub")?,
            audience: object.list("aud").ok_or(ClaimsError::Claim("aud"))?.into(),
            authorized_party: optional("azp"),
            expires: match expires {
                Some(Number { negative: false, floor, .. }) => UnixTime::from_secs(floor),
                _ => return Err(ClaimsError::Claim("exp")),
            },
            object_id: optional("oid"),
            tenant: optional("tid"),
            username: optional("preferred_username").or_else(|| optional("upn")).or_else(|| optional("email")),
            name: optional("name"),
        })
    }

    /// Checks, as in OpenID Connect Core §3.1.3.7, that the token was issued by `issuer`, is meant for `client_id` and
    /// has not expired; clocks may differ by five minutes. `{tenantid}` in the issuer of Microsoft's metadata stands
    /// for the tenant that the token names.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, issuer: &str, client_id: &str, now: UnixTime) -> Result<(), ClaimsError> {
        let expected: Cow<'_, str> = match (issuer.split_once("{tenantid}"), &self.tenant) {
            (Some((before, after)), Some(tenant)) => Cow::Owned([before, tenant, after].concat()),
            _ => Cow::Borrowed(issuer),
        };
        if expected != *self.issuer {
            return Err(ClaimsError::Issuer { found: printable(&self.issuer) });
        }
        let named = self.audience.iter().any(|audience| audience == client_id);
        let party = match &self.authorized_party {
            Some(party) => **party == *client_id,
            None => self.audience.len() == 1,
        };
        if !named || !party {
            return Err(ClaimsError::Audience);
        }
        if self.expires.saturating_add(SKEW) <= now { Err(ClaimsError::Expired) } else { Ok(()) }
    }

    /// A refresh brings the issuer and the subject of the ID token before (OpenID Connect Core §12.2). Each tenant of
    /// Microsoft's has an issuer of its own.
    pub(crate) fn check_successor_of(&self, before: &Self, authority: &crate::Authority) -> Result<(), ClaimsError> {
        if authority.kind() == crate::AuthorityKind::Generic && !authority.may_name(self, Some(&before.issuer)) {
            return Err(ClaimsError::Issuer { found: printable(&self.issuer) });
        }
        if self.subject == before.subject { Ok(()) } else { Err(ClaimsError::Subject) }
    }

    /// `iss`: the server that issued the token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: the person, as this issuer knows them. Never reassigned; letter case matters.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `aud`: the clients that it is meant for.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().map(String::as_str)
    }

    /// `exp`: when the token expires.
    #[must_use]
    pub fn expires(&self) -> UnixTime {
        self.expires
    }

    /// `oid`: the person, as their tenant knows them (Microsoft).
    #[must_use]
    pub fn object_id(&self) -> Option<&str> {
        self.object_id.as_deref()
    }

    /// `tid`: the tenant (Microsoft).
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// `preferred_username`, else `upn`, else `email`: a name to show, never to decide by. It comes from the server and
    /// is not safe to print.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// `name`: the full name. It comes from the server and is not safe to print.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Microsoft's `client_info`: who signed in, in terms of their home tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    uid: Box<str>,
    utid: Box<str>,
}

impl ClientInfo {
    /// Reads the base64url text; `None` unless both ids are there.
    #[must_use]
    pub fn read(client_info: &str) -> Option<Self> {
        let payload = decode(client_info)?;
        let payload = core::str::from_utf8(&payload).ok()?;
        let mut object = Object::default();
        object.read_json(payload).ok()?;
        Some(Self { uid: text(&object, "uid")?, utid: text(&object, "utid")? })
    }

    /// `uid`: the person in their home tenant.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// `utid`: their home tenant.
    #[must_use]
    pub fn utid(&self) -> &str {
        &self.utid
    }

    /// `uid.utid`, by which every MSAL knows the account.
    #[must_use]
    pub fn home_account_id(&self) -> String {
        [&*self.uid, ".", &*self.utid].concat()
    }
}

/// Requested claims (OpenID Connect Core §5.5), checked to be a JSON object; empty for one without members.
pub(crate) fn request(json: &str) -> Result<Box<str>, ConfigError> {
    let json = json.trim();
    if json.is_empty() {
        return Ok(Box::default());
    }
    let mut object = Object::default();
    object.read_json(json).map_err(|_| ConfigError::Claims)?;
    Ok(if object.is_empty() { Box::default() } else { Box::from(json) })
}

/// Requested claims, with what the client can handle added to them: `xms_cc`, the capabilities that Microsoft's servers
/// ask for. Everything else in `claims` stays as it is.
pub(crate) fn with_capabilities(claims: &str, capabilities: &[String]) -> Box<str> {
    let read = |json: &str| serde_json::from_str::<Map<String, Value>>(json).unwrap_or_default();
    let mut claims = read(claims);
    let mut of_access_token = match claims.remove("access_token") {
        Some(Value::Object(members)) => members,
        Some(_) | None => Map::new(),
    };
    let values = capabilities.iter().cloned().map(Value::String).collect();
    let values = Map::from_iter([(String::from("values"), Value::Array(values))]);
    of_access_token.insert(String::from("xms_cc"), Value::Object(values));
    claims.insert(String::from("access_token"), Value::Object(of_access_token));
    Value::Object(claims).to_string().into_boxed_str()
}

/// Base64url (RFC 7515 §2). Padding is not allowed there but is harmless.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    Base64UrlUnpadded::decode_vec(text.trim_end_matches('=')).ok().map(Zeroizing::new)
}

fn own(text: Cow<'_, str>) -> Box<str> {
    text.into_owned().into_boxed_str()
}

/// An optional claim, which is ignored when it has a wrong type.
fn text(object: &Object<'_>, name: &'static str) -> Option<Box<str>> {
    let text: Result<_, ProtocolFault> = object.text(name);
    text.ok().flatten().filter(|text| !text.is_empty()).map(own)
}
