//! Owns who we are: the client, its builder, and every check of a configuration.

mod auth;
mod provider;

pub use provider::{EntraCloud, Provider};

use crate::message::answer::MAX_ANSWER;
use crate::message::form::Form;
use crate::message::{DEVICE_GRANT, REFRESH_GRANT};
use crate::prompt::printable;
use crate::{Method, Request, Secret, TextFault};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use auth::Authentication;
use core::fmt;
use url::Url;
use zeroize::Zeroizing;

/// A client as one server knows it: endpoints, credentials, scopes. Everything that stays the same from poll to poll is
/// encoded here once; flows share it in an [`Arc`].
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
    scope: Box<str>,
    device_authorization_endpoint: Arc<str>,
    token_endpoint: Arc<str>,
    revocation_endpoint: Result<Arc<str>, ConfigError>,
    authorization: Option<Arc<Secret>>,
    device_form: Form,
    /// Ends with `device_code=`, so that a poll is this and the encoded code.
    poll_form: Form,
    /// Ends with `refresh_token=`.
    refresh_form: Form,
    /// Ends with `token=`.
    revocation_form: Form,
    pkce: bool,
    strict: bool,
    allow_http_loopback: bool,
    max_answer: usize,
}

impl Client {
    /// Starts a configuration; [`ClientBuilder::build`] checks it.
    pub fn builder(provider: Provider, client_id: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            provider,
            client_id: client_id.into(),
            authentication: Authentication::Public,
            scopes: String::new(),
            audience: String::new(),
            resources: Vec::new(),
            device_parameters: Vec::new(),
            token_parameters: Vec::new(),
            client_id_in_body: false,
            pkce: false,
            strict: false,
            allow_http_loopback: false,
            max_answer: MAX_ANSWER,
        }
    }

    /// The client identifier.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.id
    }

    /// Whose tokens these are: from metadata or the preset, `None` for endpoints by hand.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The scopes to ask for, separated by single spaces; possibly empty.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Where codes come from.
    #[must_use]
    pub fn device_authorization_endpoint(&self) -> &str {
        &self.device_authorization_endpoint
    }

    /// Where tokens come from.
    #[must_use]
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// Where tokens are revoked (RFC 7009), if the server has such a place that may be used.
    #[must_use]
    pub fn revocation_endpoint(&self) -> Option<&str> {
        self.revocation_endpoint.as_deref().ok()
    }

    /// `finish` may add what differs from flow to flow.
    pub(crate) fn device_request(&self, finish: impl FnOnce(&mut Form)) -> Request {
        let mut form = self.device_form.clone();
        finish(&mut form);
        self.post(&self.device_authorization_endpoint, form.with_tail(b""))
    }

    /// One allocation: `tail` is the encoded device code and what follows it.
    pub(crate) fn poll_request(&self, tail: &[u8]) -> Request {
        self.post(&self.token_endpoint, self.poll_form.with_tail(tail))
    }

    pub(crate) fn refresh_request(
        &self,
        token: &Secret,
        scope: Option<&str>,
        parameters: &[(String, Secret)],
    ) -> Request {
        let mut form = self.refresh_form.with_secret(token);
        form.push("scope", scope.unwrap_or_default());
        parameters.iter().for_each(|(name, value)| form.push_hidden(name, value));
        self.post(&self.token_endpoint, form.with_tail(b""))
    }

    pub(crate) fn revocation_request(&self, endpoint: &Arc<str>, token: &Secret, hint: Option<&str>) -> Request {
        let mut form = self.revocation_form.with_secret(token);
        form.push("token_type_hint", hint.unwrap_or_default());
        self.post(endpoint, form.with_tail(b""))
    }

    pub(crate) fn checked_revocation_endpoint(&self) -> Result<Arc<str>, ConfigError> {
        self.revocation_endpoint.clone()
    }

    /// Some of the scopes of this client, checked (RFC 6749 §6).
    pub(crate) fn narrower_scope(&self, scopes: &str) -> Result<Box<str>, ConfigError> {
        let scopes = normalise_scope(scopes)?;
        let known = |scope: &&str| self.scope.is_empty() || self.scope.split(' ').any(|known| known == *scope);
        match scopes.split(' ').find(|scope| !known(scope)) {
            Some(wider) if !scopes.is_empty() => Err(ConfigError::WiderScope(printable(wider))),
            _ => Ok(scopes),
        }
    }

    /// A parameter of one refresh beside the ones that it has `already` and those of every refresh.
    pub(crate) fn check_refresh_parameter<'a>(
        &self,
        name: &str,
        mut already: impl Iterator<Item = &'a str>,
    ) -> Result<(), ConfigError> {
        check_parameter_name(name)?;
        if self.refresh_form.has(name) || already.any(|known| known == name) {
            return Err(ConfigError::RepeatedParameter(printable(name)));
        }
        Ok(())
    }

    fn post(&self, endpoint: &Arc<str>, body: Zeroizing<Box<[u8]>>) -> Request {
        Request::new(Method::Post, Arc::clone(endpoint), self.authorization.clone(), body, self.max_answer)
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

    pub(crate) fn max_answer(&self) -> usize {
        self.max_answer
    }
}

impl fmt::Debug for Client {
    /// The encoded forms hold the secret, so they stay out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Client");
        debug.field("id", &self.id).field("issuer", &self.issuer).field("scope", &self.scope);
        debug.field("device_authorization_endpoint", &self.device_authorization_endpoint);
        debug.field("token_endpoint", &self.token_endpoint);
        debug.field("revocation_endpoint", &self.revocation_endpoint()).finish_non_exhaustive()
    }
}

/// A configuration in the making. Nothing is checked before [`build`](ClientBuilder::build).
#[derive(Clone)]
#[must_use]
pub struct ClientBuilder {
    provider: Provider,
    client_id: String,
    authentication: Authentication,
    scopes: String,
    audience: String,
    resources: Vec<String>,
    device_parameters: Vec<(String, String)>,
    token_parameters: Vec<(String, String)>,
    client_id_in_body: bool,
    pkce: bool,
    strict: bool,
    allow_http_loopback: bool,
    max_answer: usize,
}

impl ClientBuilder {
    /// Scopes to ask for, separated by spaces; may be called again for more. Ask for the least that is needed.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scopes.push(' ');
        self.scopes.push_str(scope);
        self
    }

    /// The API that the token is for, as Auth0, Docker and others name it.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// The API that the token is for, as an absolute URI (RFC 8707 §2); may be called again for more.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// A further parameter of the device authorization request. It cannot replace one that the grant owns.
    pub fn device_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.device_parameters.push((name.into(), value.into()));
        self
    }

    /// A further parameter of every token request, polls and refreshes. It cannot replace one that the grant owns.
    pub fn token_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.token_parameters.push((name.into(), value.into()));
        self
    }

    /// A secret, sent in the way that the metadata lists: the `Authorization` header if it can be (RFC 6749 §2.3.1), else
    /// the body.
    pub fn client_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.authentication = Authentication::Listed(secret.into());
        self
    }

    /// A secret in the `Authorization` header, form-encoded first as RFC 6749 §2.3.1 demands.
    pub fn client_secret_basic(mut self, secret: impl Into<Secret>) -> Self {
        self.authentication = Authentication::Basic(secret.into());
        self
    }

    /// The same without the form encoding, for servers that take the header literally (django-allauth, Glewlwyd).
    pub fn client_secret_basic_unencoded(mut self, secret: impl Into<Secret>) -> Self {
        self.authentication = Authentication::BasicUnencoded(secret.into());
        self
    }

    /// A secret in the body (RFC 6749 §2.3.1: for servers that cannot take the header; Google).
    pub fn client_secret_post(mut self, secret: impl Into<Secret>) -> Self {
        self.authentication = Authentication::Post(secret.into());
        self
    }

    /// Repeats the client id in the body beside the `Authorization` header (django-oauth-toolkit and allauth want it).
    pub fn client_id_in_body(mut self) -> Self {
        self.client_id_in_body = true;
        self
    }

    /// Sends a PKCE challenge with the device request and the verifier with each poll (RFC 7636, S256). RFC 8628 knows
    /// nothing of it; Keycloak can demand it.
    pub fn pkce(mut self) -> Self {
        self.pkce = true;
        self
    }

    /// Refuses what is tolerated by default: a device answer without `expires_in`, a token without `token_type`.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Allows `http://` to 127.0.0.0/8, `[::1]` and `localhost`, for development. Other hosts need https always.
    pub fn allow_http_loopback(mut self) -> Self {
        self.allow_http_loopback = true;
        self
    }

    /// The most bytes that an answer may have; 64 KiB when not set.
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Checks everything and encodes what can be encoded now.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that cannot work.
    pub fn build(self) -> Result<Client, ConfigError> {
        check_client_id(&self.client_id)?;
        let endpoints = self.provider.resolve()?;
        let check = |which, url: &str| match crate::prompt::endpoint_fault(url, self.allow_http_loopback) {
            Some(fault) => Err(ConfigError::Endpoint { which, url: printable(url), fault }),
            None => Ok(Arc::from(url)),
        };
        let device_authorization_endpoint = check("device authorization endpoint", &endpoints.device_authorization)?;
        let token_endpoint = check("token endpoint", &endpoints.token)?;
        let revocation_endpoint = endpoints.revocation.ok_or(ConfigError::NoRevocationEndpoint);
        let revocation_endpoint = revocation_endpoint.and_then(|url| check("revocation endpoint", &url));
        // What is wrong in the metadata is told when it is needed: no sign-in needs it.
        if let (Err(error), true) = (&revocation_endpoint, endpoints.revocation_by_hand) {
            return Err(error.clone());
        }
        let scope = normalise_scope(&self.scopes)?;

        let [mut device_form, mut poll_form, mut refresh_form, mut revocation_form] =
            core::array::from_fn(|_| Form::default());
        poll_form.push("grant_type", DEVICE_GRANT);
        refresh_form.push("grant_type", REFRESH_GRANT);
        let mut authorization = None;
        for form in [&mut device_form, &mut poll_form, &mut refresh_form, &mut revocation_form] {
            authorization =
                self.authentication.apply(&self.client_id, &endpoints.auth_methods, self.client_id_in_body, form)?;
        }
        device_form.push("scope", &scope);
        for (form, parameters) in [
            (&mut device_form, &self.device_parameters),
            (&mut poll_form, &self.token_parameters),
            (&mut refresh_form, &self.token_parameters),
        ] {
            form.push("audience", &self.audience);
            for resource in &self.resources {
                check_resource(resource)?;
                form.push("resource", resource);
            }
            push_parameters(form, parameters)?;
        }
        poll_form.open("device_code");
        refresh_form.open("refresh_token");
        revocation_form.open("token");

        Ok(Client {
            id: self.client_id.into_boxed_str(),
            issuer: endpoints.issuer,
            scope,
            device_authorization_endpoint,
            token_endpoint,
            revocation_endpoint,
            authorization,
            device_form,
            poll_form,
            refresh_form,
            revocation_form,
            pkce: self.pkce,
            strict: self.strict,
            allow_http_loopback: self.allow_http_loopback,
            max_answer: self.max_answer,
        })
    }
}

impl fmt::Debug for ClientBuilder {
    /// Further parameters may be secrets, so they stay out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ClientBuilder");
        debug.field("provider", &self.provider).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Parameters that the grant itself owns, or that have a method of their own.
const RESERVED: [&str; 13] = [
    "audience",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "grant_type",
    "refresh_token",
    "resource",
    "scope",
];

/// RFC 8628 §3.1: no parameter more than once.
fn push_parameters(form: &mut Form, parameters: &[(String, String)]) -> Result<(), ConfigError> {
    for (index, (name, value)) in parameters.iter().enumerate() {
        check_parameter_name(name)?;
        if parameters.iter().take(index).any(|(earlier, _)| earlier == name) {
            return Err(ConfigError::RepeatedParameter(printable(name)));
        }
        form.push(name, value);
    }
    Ok(())
}

fn check_parameter_name(name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || RESERVED.contains(&name) {
        Err(ConfigError::ReservedParameter(printable(name)))
    } else {
        Ok(())
    }
}

/// RFC 6749 Appendix A.1: visible ASCII and space. The limit keeps requests within what servers take.
fn check_client_id(id: &str) -> Result<(), ConfigError> {
    const MAX_CLIENT_ID: usize = 16 * 1024;
    let visible = id.bytes().all(|b| matches!(b, 0x20..=0x7e));
    if id.is_empty() || id.len() > MAX_CLIENT_ID || !visible { Err(ConfigError::ClientId) } else { Ok(()) }
}

/// Single spaces, no scope twice, and the characters of RFC 6749 §3.3 only.
fn normalise_scope(scopes: &str) -> Result<Box<str>, ConfigError> {
    let mut unique: Vec<&str> = Vec::new();
    for scope in scopes.split(' ').filter(|scope| !scope.is_empty()) {
        if !scope.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            return Err(ConfigError::Scope(printable(scope)));
        }
        if !unique.contains(&scope) {
            unique.push(scope);
        }
    }
    Ok(unique.join(" ").into_boxed_str())
}

/// RFC 8707 §2: an absolute URI without a fragment.
fn check_resource(resource: &str) -> Result<(), ConfigError> {
    if Url::parse(resource).is_err() || resource.contains('#') || !resource.bytes().all(|b| matches!(b, 0x21..=0x7e)) {
        return Err(ConfigError::Resource(printable(resource)));
    }
    Ok(())
}

/// A configuration that cannot work. Only building returns it; nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The client id is empty, longer than 16 KiB, or has characters outside visible ASCII (RFC 6749 Appendix A.1); or it has
    /// a colon, which an unencoded Basic header cannot carry (RFC 7617 §2).
    #[error(
        "the client id must be 1 to 16384 visible ASCII characters, without a colon if it is sent unencoded: copy it from the server's registration page"
    )]
    ClientId,
    /// The secret is empty or has characters outside visible ASCII (RFC 6749 Appendix A.2).
    #[error(
        "the client secret must be visible ASCII characters: copy it again, without line breaks; a public client has none"
    )]
    ClientSecret,
    /// The metadata lists no way to send a secret that this library knows.
    #[error(
        "the server takes a client secret neither in the Authorization header nor in the body: choose client_secret_basic or client_secret_post to try nevertheless"
    )]
    NoAuthenticationMethod,
    /// An endpoint that must not be used.
    #[error("the {which} {url} {fault}")]
    Endpoint {
        /// Which one.
        which: &'static str,
        /// The URL, safe to print.
        url: Box<str>,
        /// What is wrong with it.
        fault: TextFault,
    },
    /// The metadata does not name a device authorization endpoint.
    #[error(
        "the metadata of {issuer} does not name a device authorization endpoint: if the server has one, give it and the token endpoint {token_endpoint} by hand"
    )]
    NoDeviceAuthorizationEndpoint {
        /// The issuer, safe to print.
        issuer: Box<str>,
        /// The token endpoint that the metadata names.
        token_endpoint: Box<str>,
    },
    /// The server has no revocation endpoint that is known to us: its tokens live until they expire.
    #[error(
        "no revocation endpoint is known for this server, so the token was not revoked: give the endpoint by hand, or revoke the token on the server's own pages"
    )]
    NoRevocationEndpoint,
    /// The issuer is no https URL, or has a query or fragment (RFC 8414 §2).
    #[error("the issuer {issuer} {fault}")]
    Issuer {
        /// The issuer, safe to print.
        issuer: Box<str>,
        /// What is wrong with it.
        fault: TextFault,
    },
    /// A tenant or host name with characters that no such name has.
    #[error("{0} is no tenant or host name: give the name alone, without https:// or a path")]
    Name(Box<str>),
    /// A scope with characters that RFC 6749 §3.3 does not allow.
    #[error("the scope {0} has characters that a scope cannot have; separate scopes by spaces")]
    Scope(Box<str>),
    /// A refresh for a scope that this client does not ask for (RFC 6749 §6).
    #[error("a refresh cannot ask for the scope {0}, which was not granted: sign in again to ask for it")]
    WiderScope(Box<str>),
    /// A resource that is no absolute URI, or has a fragment (RFC 8707 §2).
    #[error("the resource {0} must be an absolute URI without a fragment")]
    Resource(Box<str>),
    /// A further parameter without a name, or with one that the grant owns.
    #[error("the parameter {0:?} belongs to the grant itself: use the method made for it")]
    ReservedParameter(Box<str>),
    /// A further parameter that was given twice (RFC 8628 §3.1).
    #[error("the parameter {0} was given twice")]
    RepeatedParameter(Box<str>),
}
