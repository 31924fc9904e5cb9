//! Owns the client: what is the same in all its requests, and the requests themselves.

mod auth;
mod builder;
mod config_error;
mod preset;
mod provider;

pub use builder::ClientBuilder;
pub use config_error::ConfigError;
pub use preset::{Need, Preset};
pub use provider::{EntraCloud, Provider};

pub(crate) use builder::normalise_scope;

use crate::dialect::{Call, Dialect};
use crate::machine::Target;
use crate::message::advice::{How, Place, Sent};
use crate::message::answer::Reading;
use crate::message::form::Form;
use crate::prompt::printable;
use crate::signing::checked_jwt;
use crate::sync::Arc;
use crate::{Authority, ClientAssertion, ProofOfPossession, ProofRequest, Request, Response, Secret, SigningError};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// A client as one server knows it: endpoints, credentials, scopes. What is the same in every poll is encoded here
/// once; flows share the client in an [`Arc`].
///
/// ```
/// use device_flow_core::{Client, Provider};
///
/// let client = Client::builder(Provider::github(), "my-client-id").scope("repo read:org").build()?;
/// assert_eq!(client.token_endpoint(), "https://github.com/login/oauth/access_token");
/// # Ok::<(), device_flow_core::ConfigError>(())
/// ```
pub struct Client {
    id: Box<str>,
    issuer: Option<Box<str>>,
    authority: Authority,
    scope: Box<str>,
    audience: Box<str>,
    /// With the language as a query parameter, for servers that read it there.
    device_authorization: Arc<Target>,
    token: Arc<Target>,
    revocation: Result<Arc<Target>, ConfigError>,
    authentication_method: &'static str,
    assertion: Option<Assertion>,
    proof: Option<Proof>,
    capabilities: Box<[String]>,
    device_form: Form,
    /// Ends with `device_code=`, so that a poll is this and the encoded code.
    poll_form: Form,
    /// Ends with `refresh_token=`.
    refresh_form: Form,
    /// Ends with `token=`.
    revocation_form: Form,
    /// Nothing is signed and nothing translated.
    is_plain: bool,
    /// Where a server that does not speak RFC 8628 takes refresh tokens; `None` where clients poll.
    refresh: Option<Arc<Target>>,
    pkce: bool,
    strict: bool,
    allow_http_loopback: bool,
    reading: Reading,
}

/// How a client with a key proves who it is.
struct Assertion {
    signer: Arc<dyn ClientAssertion>,
    audience: Box<str>,
}

/// How a client proves that it has the key of its tokens.
struct Proof {
    key: Arc<dyn ProofOfPossession>,
    /// The token endpoint, as a proof has it.
    htu: Box<str>,
}

impl Client {
    /// Starts a configuration; [`ClientBuilder::build`] checks it.
    ///
    /// `provider`: a preset, endpoints by hand, or the [`Metadata`](crate::Metadata) that
    /// [`Discovery`](crate::Discovery) found.
    pub fn builder(provider: impl Into<Provider>, client_id: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(provider.into(), client_id.into())
    }

    /// The client identifier.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.id
    }

    /// The issuer of the tokens, from metadata or the preset; `None` for endpoints by hand.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The server, as a [`TokenCache`](crate::TokenCache) names it.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The requested scopes, separated by single spaces; may be empty. With Microsoft's servers they include those that
    /// the builder [adds](ClientBuilder::scope).
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The APIs that tokens are for: audience and resources in order, separated by spaces; empty for most clients. A token for
    /// one API is not used for another.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The device authorization endpoint (RFC 8628 §3.1), which issues codes.
    #[must_use]
    pub fn device_authorization_endpoint(&self) -> &str {
        &self.device_authorization.url
    }

    /// The token endpoint (RFC 6749 §3.2), which issues tokens.
    #[must_use]
    pub fn token_endpoint(&self) -> &str {
        &self.token.url
    }

    /// The revocation endpoint (RFC 7009); `None` when none is known or the known one must not be used.
    #[must_use]
    pub fn revocation_endpoint(&self) -> Option<&str> {
        self.revocation.as_ref().ok().map(|target| &*target.url)
    }

    /// How it authenticates, in the terms of RFC 8414 §2: `none`, `client_secret_basic`, `client_secret_post`,
    /// `private_key_jwt`, `tls_client_auth` or `self_signed_tls_client_auth`.
    #[must_use]
    pub fn authentication_method(&self) -> &'static str {
        self.authentication_method
    }

    /// The key that tokens are bound to (RFC 9449), if they are.
    #[must_use]
    pub fn proof_of_possession(&self) -> Option<&Arc<dyn ProofOfPossession>> {
        self.proof.as_ref().map(|proof| &proof.key)
    }

    /// What its requests have in them.
    pub(crate) fn sent(&self, place: Place) -> Sent {
        let of_the_flow = matches!(place, Place::Device | Place::Poll);
        Sent {
            place,
            how: match self.authentication_method {
                _ if self.assertion.is_some() => How::Assertion,
                "client_secret_basic" => How::Basic,
                "client_secret_post" => self.how_in_a_body(place),
                "tls_client_auth" | "self_signed_tls_client_auth" => How::Certificate,
                _ => How::Id,
            },
            proof: self.proof.is_some(),
            pkce: self.pkce && of_the_flow,
            scope: !self.scope.is_empty() && of_the_flow,
            resource: !self.audience.is_empty(),
            details: self.device_form.has("authorization_details"),
        }
    }

    /// How a secret in the body is sent. Some dialects leave it out of some requests.
    fn how_in_a_body(&self, place: Place) -> How {
        match self.reading.dialect {
            None => How::Post,
            Some(dialect) if dialect.leaves_out_secret(place.call()) => How::Id,
            Some(_) => How::Dialect,
        }
    }

    /// The thumbprint of the key that tokens are bound to; empty without one.
    pub(crate) fn thumbprint(&self) -> &str {
        self.proof.as_ref().map_or("", |proof| proof.key.thumbprint())
    }

    /// These requested claims, a JSON object or nothing, together with the capabilities of this client.
    pub(crate) fn claims(&self, requested: &str) -> Box<str> {
        if self.capabilities.is_empty() {
            return Box::from(requested);
        }
        crate::message::claims::with_capabilities(requested, &self.capabilities)
    }

    /// Claims that a program requests (OpenID Connect Core §5.5), checked.
    pub(crate) fn requested_claims(&self, json: &str) -> Result<Box<str>, ConfigError> {
        let claims = crate::message::claims::request(json)?;
        let refusing = self.dialect().filter(|_| !claims.is_empty());
        let refused = |dialect: &Dialect| ConfigError::NotInDialect { provider: dialect.name, what: "claims" };
        refusing.map_or(Ok(claims), |dialect| Err(refused(dialect)))
    }

    /// `finish` may add what differs between flows.
    pub(crate) fn device_request(&self, finish: impl FnOnce(&mut Form)) -> Result<Request, SigningError> {
        let mut form = self.device_form.clone();
        finish(&mut form);
        self.post(Call::Device, &self.device_authorization, &form, b"")
    }

    /// Without a key, one allocation: `tail` is the encoded device code and what follows it.
    pub(crate) fn poll_request(&self, tail: &[u8]) -> Result<Request, SigningError> {
        // Most clients have neither a key nor a dialect, and poll more often than they do anything else.
        if self.is_plain {
            return Ok(Request::new(&self.token, self.poll_form.with_tail(tail)));
        }
        self.post_proven(Call::Poll, &self.poll_form, tail)
    }

    pub(crate) fn refresh_request(
        &self,
        token: &Secret,
        scope: Option<&str>,
        parameters: &[(String, Secret)],
    ) -> Result<Request, SigningError> {
        let mut form = self.refresh_form.with_secret(token);
        form.push("scope", scope.unwrap_or_default());
        parameters.iter().for_each(|(name, value)| form.push_hidden(name, value));
        if !parameters.iter().any(|(name, _)| name == "claims") {
            form.push("claims", &self.claims(""));
        }
        self.post_proven(Call::Refresh, &form, b"")
    }

    pub(crate) fn revocation_request(
        &self,
        endpoint: &Arc<Target>,
        token: &Secret,
        hint: Option<&str>,
    ) -> Result<Request, SigningError> {
        let mut form = self.revocation_form.with_secret(token);
        form.push("token_type_hint", hint.unwrap_or_default());
        self.post(Call::Revocation, endpoint, &form, b"")
    }

    /// Keeps the nonce of an answer of the token endpoint (RFC 9449 §8.2); `true` when there was one for this client.
    pub(crate) fn remember_nonce(&self, response: &Response<'_>) -> bool {
        let Some(proof) = &self.proof else { return false };
        response.dpop_nonce().inspect(|nonce| proof.key.remember_nonce(self.token_endpoint(), nonce)).is_some()
    }

    pub(crate) fn checked_revocation_endpoint(&self) -> Result<Arc<Target>, ConfigError> {
        self.revocation.clone()
    }

    /// Checks that these are among the scopes of this client (RFC 6749 §6).
    pub(crate) fn narrower_scope(&self, scopes: &str) -> Result<Box<str>, ConfigError> {
        let scopes = builder::normalise_scope(scopes)?;
        let known = |scope: &&str| self.scope.is_empty() || self.scope.split(' ').any(|known| known == *scope);
        match scopes.split(' ').find(|scope| !known(scope)) {
            Some(wider) if !scopes.is_empty() => Err(ConfigError::WiderScope(printable(wider))),
            _ => Ok(scopes),
        }
    }

    /// Checks a parameter of one refresh against those that it has `already` and those of every refresh.
    pub(crate) fn check_refresh_parameter<'a>(
        &self,
        name: &str,
        mut already: impl Iterator<Item = &'a str>,
    ) -> Result<(), ConfigError> {
        builder::check_parameter_name(name, self.dialect())?;
        if self.refresh_form.has(name) || already.any(|known| known == name) {
            return Err(ConfigError::RepeatedParameter(printable(name)));
        }
        Ok(())
    }

    /// A request with what says who the client is. An assertion is for one request (RFC 7523 §3, `jti`).
    fn post(&self, call: Call, target: &Arc<Target>, form: &Form, tail: &[u8]) -> Result<Request, SigningError> {
        let body = match &self.assertion {
            None => form.with_tail(tail),
            Some(Assertion { signer, audience }) => {
                form.with_assertion(tail, &checked_jwt(signer.assertion(&self.id, audience)?)?)
            }
        };
        Ok(match self.dialect() {
            None => Request::new(target, body),
            Some(dialect) => Request::new(target, dialect.body(call, &body, &self.scope)),
        })
    }

    /// A request to the token endpoint, which issues tokens for the key that it is proven with (RFC 9449 §5).
    fn post_proven(&self, call: Call, form: &Form, tail: &[u8]) -> Result<Request, SigningError> {
        let elsewhere = self.refresh.as_ref().filter(|_| call == Call::Refresh);
        let request = self.post(call, elsewhere.unwrap_or(&self.token), form, tail)?;
        let Some(Proof { key, htu }) = &self.proof else { return Ok(request) };
        Ok(request.with_proof(checked_jwt(key.proof(&ProofRequest::to_token_endpoint(htu))?)?))
    }

    /// The language of a server that does not speak RFC 8628.
    fn dialect(&self) -> Option<&'static Dialect> {
        self.reading.dialect
    }

    pub(crate) fn pkce(&self) -> bool {
        self.pkce
    }

    pub(crate) fn strict(&self) -> bool {
        self.strict
    }

    pub(crate) fn allow_http_loopback(&self) -> bool {
        self.allow_http_loopback
    }

    /// How the answers of the server are read.
    #[inline]
    pub(crate) fn reading(&self) -> &Reading {
        &self.reading
    }
}

impl fmt::Debug for Client {
    /// The encoded forms hold the secret, so they stay out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Client");
        debug.field("id", &self.id).field("issuer", &self.issuer).field("scope", &self.scope);
        debug.field("device_authorization_endpoint", &self.device_authorization_endpoint());
        debug.field("token_endpoint", &self.token_endpoint());
        debug.field("revocation_endpoint", &self.revocation_endpoint()).finish_non_exhaustive()
    }
}
