//! Owns claims: those of an ID token and of Microsoft's `client_info`, their checks, and those to request.

use super::json::{Number, Object, text};
use crate::prompt::{Untrusted, printable};
use crate::{ConfigError, ProtocolFault, Secret, UnixTime};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use core::time::Duration;
use zeroize::Zeroizing;

/// How far the clocks of server and client may differ.
const SKEW: Duration = Duration::from_secs(300);

/// The claims of an ID token (OpenID Connect Core §2), as far as an account needs them.
///
/// The signature is not checked and need not be: the token comes directly from the token endpoint over TLS, where the
/// server's certificate vouches for it (OpenID Connect Core §3.1.3.7, item 6). So read only tokens from a
/// [`TokenResponse`](crate::TokenResponse) or your own cache, never one from anywhere else, and
/// [`check`](IdTokenClaims::check) the claims before you rely on them.
///
/// Every text is safe to print, and so may differ from the claim: to compare, use the accessors that are called `raw_…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenClaims {
    issuer: Untrusted,
    subject: Untrusted,
    audience: Box<[Untrusted]>,
    authorized_party: Option<Box<str>>,
    expires: UnixTime,
    object_id: Option<Untrusted>,
    tenant: Option<Untrusted>,
    username: Option<Untrusted>,
    name: Option<Untrusted>,
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
        let required = |name| match object.required(name) {
            Ok(text) => Ok(Untrusted::new(&text)),
            Err(_) => Err(ClaimsError::Claim(name)),
        };
        let optional = |name| text(&object, name);
        let expires: Option<Number> = object.number("exp").ok().flatten();
        Ok(Self {
            issuer: required("iss")?,
            subject: required("sub")?,
            audience: object.list("aud").ok_or(ClaimsError::Claim("aud"))?.into_iter().map(Untrusted::from).collect(),
            authorized_party: object.text("azp").ok().flatten().filter(|party| !party.is_empty()).map(own),
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
            (Some((before, after)), Some(tenant)) => Cow::Owned([before, tenant.raw(), after].concat()),
            _ => Cow::Borrowed(issuer),
        };
        if expected != self.issuer.raw() {
            return Err(ClaimsError::Issuer { found: printable(self.issuer.raw()) });
        }
        let named = self.audience.iter().any(|audience| audience.raw() == client_id);
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
        if authority.kind() == crate::AuthorityKind::Generic && !authority.may_name(self, Some(before.issuer.raw())) {
            return Err(ClaimsError::Issuer { found: printable(self.issuer.raw()) });
        }
        if self.subject.raw() == before.subject.raw() { Ok(()) } else { Err(ClaimsError::Subject) }
    }

    /// `iss`: the server that issued the token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuer.shown()
    }

    /// The same as the server wrote it, to compare: not safe to print.
    #[must_use]
    pub fn raw_issuer(&self) -> &str {
        self.issuer.raw()
    }

    /// `sub`: the person, as this issuer knows them. Never reassigned; letter case matters.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.subject.shown()
    }

    /// The same as the server wrote it, to compare: not safe to print.
    #[must_use]
    pub fn raw_subject(&self) -> &str {
        self.subject.raw()
    }

    /// `aud`: the clients that it is meant for.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().map(Untrusted::shown)
    }

    /// The same as the server wrote it, to compare: not safe to print.
    pub fn raw_audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().map(Untrusted::raw)
    }

    /// `exp`: when the token expires.
    #[must_use]
    pub fn expires(&self) -> UnixTime {
        self.expires
    }

    /// `oid`: the person, as their tenant knows them (Microsoft).
    #[must_use]
    pub fn object_id(&self) -> Option<&str> {
        self.object_id.as_ref().map(Untrusted::shown)
    }

    /// The same as the server wrote it, to compare: not safe to print.
    #[must_use]
    pub fn raw_object_id(&self) -> Option<&str> {
        self.object_id.as_ref().map(Untrusted::raw)
    }

    /// `tid`: the tenant (Microsoft).
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_ref().map(Untrusted::shown)
    }

    /// The same as the server wrote it, to compare: not safe to print.
    #[must_use]
    pub fn raw_tenant(&self) -> Option<&str> {
        self.tenant.as_ref().map(Untrusted::raw)
    }

    /// `preferred_username`, else `upn`, else `email`: a name to show, never to decide by.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_ref().map(Untrusted::shown)
    }

    /// The same as the server wrote it: not safe to print.
    #[must_use]
    pub fn raw_username(&self) -> Option<&str> {
        self.username.as_ref().map(Untrusted::raw)
    }

    /// `name`: the full name, to show.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().map(Untrusted::shown)
    }

    /// The same as the server wrote it: not safe to print.
    #[must_use]
    pub fn raw_name(&self) -> Option<&str> {
        self.name.as_ref().map(Untrusted::raw)
    }
}

/// Microsoft's `client_info`: who signed in, in terms of their home tenant. Its texts are safe to print; to compare, there
/// are those that are called `raw_…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    uid: Untrusted,
    utid: Untrusted,
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
        self.uid.shown()
    }

    /// The same as the server wrote it, to compare: not safe to print.
    #[must_use]
    pub fn raw_uid(&self) -> &str {
        self.uid.raw()
    }

    /// `utid`: their home tenant.
    #[must_use]
    pub fn utid(&self) -> &str {
        self.utid.shown()
    }

    /// The same as the server wrote it, to compare: not safe to print.
    #[must_use]
    pub fn raw_utid(&self) -> &str {
        self.utid.raw()
    }

    /// `uid.utid`, by which every MSAL knows the account.
    #[must_use]
    pub fn home_account_id(&self) -> String {
        [self.uid(), ".", self.utid()].concat()
    }

    /// The same as the server wrote it, to compare: not safe to print.
    #[must_use]
    pub fn raw_home_account_id(&self) -> String {
        [self.uid.raw(), ".", self.utid.raw()].concat()
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

/// Checks requested authorization details (RFC 9396 §2): a JSON array of objects, each with a type. May be empty.
pub(crate) fn authorization_details(json: &str) -> Result<&str, ConfigError> {
    let json = json.trim();
    let has_type = |detail: &&str| {
        let mut object = Object::default();
        object.read_json(detail).is_ok() && object.required("type").is_ok()
    };
    let usable = json.is_empty() || text::elements(json).is_some_and(|all| !all.is_empty() && all.iter().all(has_type));
    if usable { Ok(json) } else { Err(ConfigError::AuthorizationDetails) }
}

/// Requested claims, with what the client can handle added to them: `xms_cc`, the capabilities that Microsoft's servers
/// ask for. Everything else in `claims` stays as it is.
pub(crate) fn with_capabilities(claims: &str, capabilities: &[String]) -> Box<str> {
    let mut all = Object::default();
    let _ = all.read_json(claims);
    let values = format!(r#"{{"values":{}}}"#, serde_json::to_string(capabilities).unwrap_or_default());
    let of_access_token = with_member(all.json("access_token").unwrap_or_default(), "xms_cc", &values);
    with_member(claims, "access_token", &of_access_token).into_boxed_str()
}

/// A JSON object with a member more, or another value of it. What is not an object counts as an empty one.
fn with_member(object: &str, name: &'static str, json: &str) -> String {
    let mut members = Object::default();
    let _ = members.read_json(object);
    members.set(name, json);
    members.to_json()
}

/// Base64url (RFC 7515 §2). Padding is not allowed there but is harmless.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    Base64UrlUnpadded::decode_vec(text.trim_end_matches('=')).ok().map(Zeroizing::new)
}

fn own(text: Cow<'_, str>) -> Box<str> {
    text.into_owned().into_boxed_str()
}

/// An optional claim, which is ignored when it has a wrong type.
fn text(object: &Object<'_>, name: &'static str) -> Option<Untrusted> {
    let text: Result<_, ProtocolFault> = object.text(name);
    text.ok().flatten().filter(|text| !text.is_empty()).map(|text| Untrusted::new(&text))
}
