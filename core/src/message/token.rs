//! Owns the token response (RFC 6749 §5.1): the tokens and what the server says about them.

use super::json::Object;
use crate::prompt::Untrusted;
use crate::{Client, ProtocolFault, Secret};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// A lifetime beyond this many seconds (a hundred years) is cut to it, so that adding it to a calendar time cannot
/// overflow.
pub(crate) const MAX_LIFETIME: u64 = 3_155_760_000;

const KNOWN: [&str; 6] = ["access_token", "token_type", "expires_in", "refresh_token", "scope", "id_token"];

/// How an access token is used (RFC 6749 §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenType {
    /// It can be used by anybody who has it (RFC 6750).
    #[default]
    #[error("Bearer")]
    Bearer,
    /// Only with a proof of the key that it is bound to (RFC 9449).
    #[error("DPoP")]
    Dpop,
}

impl TokenType {
    /// The name of the scheme in an `Authorization` header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// What the token endpoint granted. Every token is a [`Secret`].
#[derive(Clone, Debug)]
pub struct TokenResponse {
    pub(crate) access_token: Secret,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) id_token: Option<Secret>,
    /// Separated by single spaces; empty when the server has granted none, `None` when they are as requested.
    pub(crate) granted: Option<Untrusted>,
    pub(crate) requested: Box<str>,
    pub(crate) audience: Box<str>,
    pub(crate) token_type: TokenType,
    /// The thumbprint of the key that the request was proven with; empty without one.
    pub(crate) key: Box<str>,
    pub(crate) extra: Extra,
}

/// The members that RFC 6749 does not name, the values as JSON. `Debug` leaves out the names, too: in a damaged form a
/// secret is read as one.
#[derive(Clone)]
pub(crate) struct Extra(pub(crate) Box<[(Untrusted, Secret)]>);

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(_, value)| value)).finish()
    }
}

impl TokenResponse {
    /// The access token: it goes into the `Authorization` header (RFC 6750 §2.1), never into a URL.
    #[must_use]
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// Bearer; or DPoP when the request was [proven](crate::ClientBuilder::proof_of_possession) and the server has bound
    /// the token to its key.
    #[must_use]
    pub fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// The thumbprint of the key that the request was proven with (RFC 7638); empty without one.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The thumbprint of the key that the server has bound the tokens to; empty when it has not.
    pub(crate) fn bound_to(&self) -> &str {
        if self.token_type == TokenType::Dpop { &self.key } else { "" }
    }

    /// The value of the `Authorization` header of a request to the API: `Bearer` or `DPoP`, and the access token (RFC
    /// 6750 §2.1, RFC 9449 §7.1). With `DPoP` the header `DPoP` goes beside it: see
    /// [`ProofRequest::to_resource`](crate::ProofRequest::to_resource). `None` when the token holds a space, which would
    /// end it there.
    #[must_use]
    pub fn authorization(&self) -> Option<Secret> {
        self.access_token.as_credentials(self.token_type)
    }

    /// How long the access token lives, from the moment of the answer. Zero when the server said that it has expired;
    /// `None` when the server did not say (RFC 6749 §5.1); at most a hundred years.
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// The refresh token (RFC 6749 §6), if there is one. After a [`Refresh`](crate::Refresh) there always is: the one
    /// to keep, new or old.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// The ID token as the server sent it, neither parsed nor checked: see [`IdTokenClaims`](crate::IdTokenClaims).
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref()
    }

    /// The granted scopes, safe to print; the requested ones when the server did not say (RFC 6749 §5.1), and none when it
    /// said so (`"scope":""`, `[]`).
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        scopes(self.shown_scope())
    }

    /// Whether the server said which scopes it granted, be it none.
    #[must_use]
    pub fn names_scopes(&self) -> bool {
        self.granted.is_some()
    }

    /// The same as the server wrote them, to send them back to it: not safe to print.
    pub fn raw_scopes(&self) -> impl Iterator<Item = &str> {
        scopes(self.granted.as_ref().map_or(&self.requested, Untrusted::raw))
    }

    pub(crate) fn shown_scope(&self) -> &str {
        self.granted.as_ref().map_or(&self.requested, Untrusted::shown)
    }

    /// Scopes that were requested and are not among the granted ones. Some servers never list `openid` or
    /// `offline_access`, so this is a hint, not an error.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &str> {
        self.requested
            .split(' ')
            .filter(|scope| !scope.is_empty() && self.raw_scopes().all(|granted| granted != *scope))
    }

    /// Scopes that were granted without having been requested, safe to print.
    pub fn added_scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes().filter(|scope| self.requested.split(' ').all(|requested| requested != *scope))
    }

    /// A further member of the answer, as JSON text; it may be a secret.
    ///
    /// For example `"1699999999"` with its quotes for the `issued_at` of Salesforce.
    #[must_use]
    pub fn extra(&self, name: &str) -> Option<&Secret> {
        self.extra.0.iter().find(|(known, _)| known.raw() == name).map(|(_, value)| value)
    }

    /// The names of the further members, in the server's order, safe to print.
    pub fn extra_names(&self) -> impl Iterator<Item = &str> {
        self.extra.0.iter().map(|(name, _)| name.shown())
    }

    /// The same as the server wrote them, for [`extra`](Self::extra): not safe to print.
    pub fn raw_extra_names(&self) -> impl Iterator<Item = &str> {
        self.extra.0.iter().map(|(name, _)| name.raw())
    }

    /// RFC 6749 §6: without a new refresh token the old one stays in use.
    pub(crate) fn or_refresh_token(mut self, old: &Secret) -> Self {
        self.refresh_token.get_or_insert_with(|| old.clone());
        self
    }

    /// Microsoft's `client_info`, which names the person.
    pub(crate) fn client_info(&self) -> Option<&Secret> {
        self.extra("client_info")
    }

    /// The requested scopes, separated by single spaces.
    pub(crate) fn requested(&self) -> &str {
        &self.requested
    }

    /// The requested API, as [`Client::audience`] names it.
    pub(crate) fn audience(&self) -> &str {
        &self.audience
    }

    /// `requested`: the scopes that this client has requested.
    pub(crate) fn read(object: &Object<'_>, requested: &str, client: &Client) -> Result<Self, ProtocolFault> {
        let access_token = object.required("access_token")?;
        check_token("access_token", &access_token)?;
        let key = client.thumbprint();
        let token_type = match object.text("token_type")?.as_deref().unwrap_or_default() {
            // Facebook leaves it out, and then nothing but Bearer can be meant.
            "" if !client.strict() => TokenType::Bearer,
            "" => return Err(ProtocolFault::Missing("token_type")),
            name if name.eq_ignore_ascii_case("bearer") && (key.is_empty() || !client.strict()) => TokenType::Bearer,
            name if name.eq_ignore_ascii_case("dpop") && !key.is_empty() => TokenType::Dpop,
            other => return Err(ProtocolFault::TokenType(crate::prompt::printable(other))),
        };
        let refresh_token = object.text("refresh_token")?.filter(|token| !token.is_empty());
        if let Some(token) = &refresh_token {
            check_token("refresh_token", token)?;
        }
        // An approved token is not thrown away because its lifetime is nonsense.
        let expires_in = object.number("expires_in").ok().flatten();
        let expires_in = expires_in.map(|seconds| if seconds.negative { 0 } else { seconds.floor.min(MAX_LIFETIME) });
        let id_token = object.text("id_token").ok().flatten().filter(|token| !token.is_empty());
        let extra = object.others(&KNOWN).map(|(name, json)| (Untrusted::new(name), Secret::from(&*json)));
        Ok(Self {
            access_token: Secret::from(&*access_token),
            expires_in: expires_in.map(Duration::from_secs),
            refresh_token: refresh_token.as_deref().map(Secret::from),
            id_token: id_token.as_deref().map(Secret::from),
            granted: granted(object, requested),
            requested: Box::from(requested),
            audience: Box::from(client.audience()),
            token_type,
            key: Box::from(key),
            extra: Extra(extra.collect()),
        })
    }
}

/// What must be kept of an answer that is of no other use: a refresh token, and whose it is.
pub(crate) struct Rotated {
    pub(crate) refresh_token: Secret,
    pub(crate) id_token: Option<Secret>,
    /// As JSON, as [`TokenResponse::extra`] has it.
    pub(crate) client_info: Option<Secret>,
}

impl Rotated {
    pub(crate) fn read(object: &Object<'_>) -> Option<Self> {
        let text = |name| object.text(name).ok().flatten().filter(|text| !text.is_empty());
        let refresh_token = text("refresh_token").filter(|token| check_token("refresh_token", token).is_ok())?;
        let client_info = object.others(&KNOWN).find(|(name, _)| *name == "client_info");
        Some(Self {
            refresh_token: Secret::from(&*refresh_token),
            id_token: text("id_token").as_deref().map(Secret::from),
            client_info: client_info.map(|(_, json)| Secret::from(&*json)),
        })
    }
}

/// Visible ASCII and space (RFC 6749 Appendix A.12 and A.17). Anything else could break out of a header.
pub(crate) fn check_token(name: &'static str, token: &str) -> Result<(), ProtocolFault> {
    if token.bytes().all(|b| matches!(b, 0x20..=0x7e)) { Ok(()) } else { Err(ProtocolFault::Invalid(name)) }
}

fn scopes(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|scope| !scope.is_empty())
}

/// A list separated by spaces (RFC 6749 §3.3) or commas (GitHub), or an array (Twitch). Absent means as requested, empty
/// that none was granted.
fn granted(object: &Object<'_>, requested: &str) -> Option<Untrusted> {
    let scopes: Vec<Cow<'_, str>> = match object.text("scope") {
        Ok(Some(text)) => {
            let by_comma = !text.contains(' ') && requested.split(' ').all(|scope| scope != text);
            let separator = if by_comma { ',' } else { ' ' };
            text.split(separator).map(|scope| Cow::Owned(String::from(scope))).collect()
        }
        Ok(None) => return None,
        Err(_) => object.list("scope")?.into_iter().map(Cow::Owned).collect(),
    };
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.trim()).filter(|scope| !scope.is_empty()).collect();
    Some(Untrusted::new(&scopes.join(" ")))
}
