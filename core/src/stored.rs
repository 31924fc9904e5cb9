//! Owns the stored form of outcomes: a token response and a failure as data, versioned and checked when they are loaded.

use crate::error::ErrorDetails;
use crate::error::Trouble;
use crate::message::token::{Extra, MAX_LIFETIME};
use crate::prompt::{Untrusted, is_printable};
use crate::{
    Cause, ClaimsError, Endpoint, Expired, Failure, LastError, OAuthError, ProtocolError, ProtocolFault, Secret,
    SignInReason, TextFault, TokenResponse, TokenType, Trail, TransportError, TransportErrorKind, Unshowable,
};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A secret that becomes data.
#[derive(Clone)]
pub(crate) struct Exposed(pub(crate) Secret);

impl Serialize for Exposed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Exposed to be stored: what is without it is of no use to whoever loads it.
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Exposed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::from).map(Self)
    }
}

/// A new version is a new variant; an unknown one does not load.
#[derive(Serialize, Deserialize)]
#[serde(rename = "TokenResponse", rename_all = "lowercase")]
enum StoredTokenResponse {
    V1(Box<TokenResponseV1>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenResponseV1 {
    access_token: Exposed,
    /// In seconds.
    expires_in: Option<u64>,
    refresh_token: Option<Exposed>,
    id_token: Option<Exposed>,
    granted: Option<Box<str>>,
    requested: Box<str>,
    audience: Box<str>,
    #[serde(default, with = "TokenTypeV1")]
    token_type: TokenType,
    /// The thumbprint of the key that it was requested with.
    #[serde(default)]
    key: Box<str>,
    extra: Vec<(Box<str>, Exposed)>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TokenType")]
enum TokenTypeV1 {
    Bearer,
    #[serde(rename = "DPoP")]
    Dpop,
}

/// With the feature `serde`: the tokens stand in it as they are, so **seal it** (encrypt it, or store it where only its owner
/// can read it) wherever it goes. [`expires_in`](TokenResponse::expires_in) stays what it was at the moment of the answer.
impl Serialize for TokenResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let exposed = |secret: &Option<Secret>| secret.clone().map(Exposed);
        let stored = TokenResponseV1 {
            access_token: Exposed(self.access_token.clone()),
            expires_in: self.expires_in.map(|life| life.as_secs()),
            refresh_token: exposed(&self.refresh_token),
            id_token: exposed(&self.id_token),
            granted: self.granted.as_ref().map(|granted| Box::from(granted.raw())),
            requested: self.requested.clone(),
            audience: self.audience.clone(),
            token_type: self.token_type,
            key: self.key.clone(),
            extra: self.extra.0.iter().map(|(name, json)| (Box::from(name.raw()), Exposed(json.clone()))).collect(),
        };
        StoredTokenResponse::V1(Box::new(stored)).serialize(serializer)
    }
}

/// With the feature `serde`: a token that could break out of a header is refused, as in an answer of a server.
impl<'de> Deserialize<'de> for TokenResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StoredTokenResponse::V1(stored) = StoredTokenResponse::deserialize(deserializer)?;
        let damaged = |what| D::Error::custom(format_args!("this stored token is damaged ({what})"));
        // Exposed to be checked.
        if !is_token(stored.access_token.0.expose()) {
            return Err(damaged("access_token"));
        }
        if stored.refresh_token.as_ref().is_some_and(|token| !is_token(token.0.expose())) {
            return Err(damaged("refresh_token"));
        }
        if stored.expires_in.is_some_and(|life| life > MAX_LIFETIME) {
            return Err(damaged("expires_in"));
        }
        let secret = |exposed: Option<Exposed>| exposed.map(|exposed| exposed.0);
        Ok(Self {
            access_token: stored.access_token.0,
            expires_in: stored.expires_in.map(Duration::from_secs),
            refresh_token: secret(stored.refresh_token),
            id_token: secret(stored.id_token),
            granted: stored.granted.as_deref().map(Untrusted::new),
            requested: stored.requested,
            audience: stored.audience,
            token_type: stored.token_type,
            key: stored.key,
            extra: Extra(stored.extra.into_iter().map(|(name, json)| (Untrusted::new(&name), json.0)).collect()),
        })
    }
}

fn is_token(token: &str) -> bool {
    !token.is_empty() && crate::message::token::check_token("", token).is_ok()
}

/// A new version is a new variant; an unknown one does not load.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Failure", rename_all = "lowercase")]
enum StoredFailure {
    V1(#[serde(with = "FailureV1")] Failure),
}

/// With the feature `serde`: it comes back equal, with the same text. It holds no token; the
/// [claims](OAuthError::claims) of an error are not meant for everybody's eyes.
impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredFailure::V1(self.clone()).serialize(serializer)
    }
}

/// With the feature `serde`: a text that is not safe to print is refused.
impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StoredFailure::V1(failure) = StoredFailure::deserialize(deserializer)?;
        let error = match &failure {
            Self::Denied(error) | Self::Rejected(error) | Self::SignInNeeded(SignInReason::Refused(error)) => {
                Some(error)
            }
            Self::Expired(expired) => expired.error.as_ref(),
            Self::Cancelled
            | Self::SignInNeeded(SignInReason::NotSignedIn | SignInReason::NewScopes | SignInReason::OtherKey)
            | Self::WhichAccount(_)
            | Self::Protocol(_)
            | Self::Transport(_) => None,
        };
        // All other texts stand in its own.
        let ids = error.map(|error| [error.correlation_id(), error.trace_id(), error.timestamp()]);
        if !is_printable(&failure.to_string()) || !ids.iter().flatten().flatten().all(|id| is_printable(id)) {
            return Err(D::Error::custom("this stored failure is damaged (a text that is not safe to print)"));
        }
        Ok(failure)
    }
}

/// The members of an answer, and the claims of an ID token, that a failure can name.
static MEMBERS: [&str; 16] = [
    "access_token",
    "aud",
    "device_authorization_endpoint",
    "device_code",
    "error",
    "exp",
    "expires_in",
    "interval",
    "iss",
    "issuer",
    "refresh_token",
    "sub",
    "token_endpoint",
    "token_type",
    "user_code",
    "verification_uri",
];

/// With a name of its own, lest serde borrow it from what is loaded.
type Member = &'static str;

fn member<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Member, D::Error> {
    let name = Cow::<str>::deserialize(deserializer)?;
    let known = MEMBERS.iter().find(|known| **known == name);
    known.copied().ok_or_else(|| D::Error::custom("this stored failure is damaged (an unknown member)"))
}

/// What a type and its stored form have in common is checked by the compiler.
macro_rules! optional {
    ($module:ident, $type:ident, $stored:tt) => {
        pub(crate) mod $module {
            use super::*;

            #[derive(Serialize, Deserialize)]
            struct Stored(#[serde(with = $stored)] $type);

            pub(crate) fn serialize<S: Serializer>(it: &Option<$type>, serializer: S) -> Result<S::Ok, S::Error> {
                it.clone().map(Stored).serialize(serializer)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$type>, D::Error> {
                Ok(Option::<Stored>::deserialize(deserializer)?.map(|stored| stored.0))
            }
        }
    };
}

optional!(optional_error, OAuthError, "OAuthErrorV1");
optional!(optional_last_error, LastError, "LastErrorV1");

#[derive(Serialize, Deserialize)]
#[serde(remote = "Failure", rename_all = "snake_case")]
enum FailureV1 {
    Cancelled,
    Denied(#[serde(with = "OAuthErrorV1")] OAuthError),
    Expired(#[serde(with = "ExpiredV1")] Expired),
    SignInNeeded(#[serde(with = "SignInReasonV1")] SignInReason),
    WhichAccount(Box<[Box<str>]>),
    Rejected(#[serde(with = "OAuthErrorV1")] OAuthError),
    Protocol(#[serde(with = "ProtocolErrorV1")] ProtocolError),
    Transport(#[serde(with = "TransportErrorV1")] TransportError),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Expired", deny_unknown_fields)]
struct ExpiredV1 {
    #[serde(with = "TrailV1")]
    trail: Trail,
    #[serde(with = "optional_error")]
    error: Option<OAuthError>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Trail", deny_unknown_fields)]
struct TrailV1 {
    polls: u32,
    trouble: Option<Box<Trouble>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LastError", deny_unknown_fields)]
struct LastErrorV1 {
    #[serde(with = "CauseV1")]
    cause: Cause,
    detail: Box<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Cause", rename_all = "snake_case")]
enum CauseV1 {
    Transport(#[serde(with = "TransportErrorKindV1")] TransportErrorKind),
    Status(u16),
    Page(u16),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TransportError", deny_unknown_fields)]
struct TransportErrorV1 {
    #[serde(with = "TransportErrorKindV1")]
    kind: TransportErrorKind,
    detail: Box<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TransportErrorKind", rename_all = "snake_case")]
enum TransportErrorKindV1 {
    Timeout,
    Dns,
    Connect,
    Tls,
    UntrustedCertificate,
    Proxy,
    Closed,
    InvalidHttp,
    Abandoned,
    Signing,
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SignInReason", rename_all = "snake_case")]
enum SignInReasonV1 {
    NotSignedIn,
    NewScopes,
    OtherKey,
    Refused(#[serde(with = "OAuthErrorV1")] OAuthError),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OAuthError", deny_unknown_fields)]
struct OAuthErrorV1 {
    code: Box<str>,
    description: Option<Box<str>>,
    uri: Option<Box<str>>,
    status: u16,
    advice: Option<Cow<'static, str>>,
    spent: bool,
    poll_lost: bool,
    details: Option<Box<ErrorDetails>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProtocolError", deny_unknown_fields)]
struct ProtocolErrorV1 {
    #[serde(with = "EndpointV1")]
    endpoint: Endpoint,
    #[serde(with = "ProtocolFaultV1")]
    fault: ProtocolFault,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    advice: Option<Cow<'static, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Endpoint", rename_all = "snake_case")]
enum EndpointV1 {
    Metadata,
    DeviceAuthorization,
    Token,
    Revocation,
    Registration,
    UserInfo,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProtocolFault", rename_all = "snake_case")]
enum ProtocolFaultV1 {
    Empty(u16),
    NotUtf8,
    Page {
        status: u16,
        excerpt: Box<str>,
    },
    InvalidJson,
    DuplicateMember(Box<str>),
    Missing(#[serde(deserialize_with = "member")] Member),
    Invalid(#[serde(deserialize_with = "member")] Member),
    Unshowable(#[serde(with = "UnshowableV1")] Unshowable),
    IntervalTooLong,
    TooLarge(usize),
    Redirect(u16),
    Status(u16),
    Unavailable(u16),
    TokenAndError(Box<str>),
    TokenType(Box<str>),
    IssuerMismatch {
        found: Box<str>,
    },
    IdToken(#[serde(with = "ClaimsErrorV1")] ClaimsError),
    UnsafeEndpoint {
        #[serde(deserialize_with = "member")]
        member: Member,
        #[serde(with = "TextFaultV1")]
        fault: TextFault,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ClaimsError", rename_all = "snake_case")]
enum ClaimsErrorV1 {
    Unreadable,
    Claim(#[serde(deserialize_with = "member")] Member),
    Issuer { found: Box<str> },
    Audience,
    Subject,
    Expired,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Unshowable", rename_all = "snake_case")]
enum UnshowableV1 {
    UserCode(#[serde(with = "TextFaultV1")] TextFault),
    VerificationUri(#[serde(with = "TextFaultV1")] TextFault),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TextFault", rename_all = "snake_case")]
enum TextFaultV1 {
    Empty,
    TooLong,
    Unprintable,
    NotAUri,
    Scheme,
    Fragment,
    Query,
    UserInfo,
}
