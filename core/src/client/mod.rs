//! Owns the client: its configuration, its builder, and every check of a configuration.

mod auth;
mod config_error;
mod provider;

pub use config_error::ConfigError;
pub use provider::{EntraCloud, Provider};

use crate::machine::Headers;
use crate::message::answer::MAX_ANSWER;
use crate::message::form::Form;
use crate::message::{DEVICE_GRANT, REFRESH_GRANT};
use crate::prompt::printable;
use crate::{Authority, AuthorityKind, Method, Request, Secret};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use auth::Authentication;
use core::fmt;
use url::Url;
use zeroize::Zeroizing;

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
    device_authorization_endpoint: Arc<str>,
    token_endpoint: Arc<str>,
    revocation_endpoint: Result<Arc<str>, ConfigError>,
    authorization: Option<Arc<Secret>>,
    correlation_id: Option<Arc<str>>,
    capabilities: Box<[String]>,
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
    ///
    /// `provider`: a preset, endpoints by hand, or the [`Metadata`](crate::Metadata) that
    /// [`Discovery`](crate::Discovery) found.
    pub fn builder(provider: impl Into<Provider>, client_id: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            provider: provider.into(),
            client_id: client_id.into(),
            authentication: Authentication::Public,
            scopes: String::new(),
            exact_scope: false,
            authority: None,
            language: String::new(),
            correlation_id: None,
            capabilities: Vec::new(),
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

    /// The APIs that tokens are for: audience and resources, separated by spaces; empty for most clients. A token for
    /// one API is not used for another.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The device authorization endpoint (RFC 8628 §3.1), which issues codes.
    #[must_use]
    pub fn device_authorization_endpoint(&self) -> &str {
        &self.device_authorization_endpoint
    }

    /// The token endpoint (RFC 6749 §3.2), which issues tokens.
    #[must_use]
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// The revocation endpoint (RFC 7009); `None` when none is known or the known one must not be used.
    #[must_use]
    pub fn revocation_endpoint(&self) -> Option<&str> {
        self.revocation_endpoint.as_deref().ok()
    }

    /// How it authenticates, in the terms of RFC 8414 §2: `client_secret_basic`, `client_secret_post`, or `none`
    /// without a secret.
    #[must_use]
    pub fn authentication_method(&self) -> &'static str {
        match &self.authorization {
            Some(_) => "client_secret_basic",
            None if self.poll_form.has("client_secret") => "client_secret_post",
            None => "none",
        }
    }

    /// These requested claims, a JSON object or nothing, together with the capabilities of this client.
    pub(crate) fn claims(&self, requested: &str) -> Box<str> {
        if self.capabilities.is_empty() {
            return Box::from(requested);
        }
        crate::message::claims::with_capabilities(requested, &self.capabilities)
    }

    /// `finish` may add what differs between flows.
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
        if !parameters.iter().any(|(name, _)| name == "claims") {
            form.push("claims", &self.claims(""));
        }
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

    /// Checks that these are among the scopes of this client (RFC 6749 §6).
    pub(crate) fn narrower_scope(&self, scopes: &str) -> Result<Box<str>, ConfigError> {
        let scopes = normalise_scope(scopes)?;
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
        check_parameter_name(name)?;
        if self.refresh_form.has(name) || already.any(|known| known == name) {
            return Err(ConfigError::RepeatedParameter(printable(name)));
        }
        Ok(())
    }

    fn post(&self, endpoint: &Arc<str>, body: Zeroizing<Box<[u8]>>) -> Request {
        let headers =
            Headers { authorization: self.authorization.clone(), correlation_id: self.correlation_id.clone() };
        Request::new(Method::Post, Arc::clone(endpoint), headers, body, self.max_answer)
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
    exact_scope: bool,
    authority: Option<Authority>,
    language: String,
    correlation_id: Option<String>,
    capabilities: Vec<String>,
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
    /// Requests scopes, separated by spaces; may be called again for more. Request the least that you need.
    ///
    /// With Microsoft's servers `openid profile offline_access` are added, as every MSAL does: without them the answer
    /// would not say who signed in, and no silent sign-in would be possible later. [`exact_scope`](Self::exact_scope)
    /// leaves them out.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scopes.push(' ');
        self.scopes.push_str(scope);
        self
    }

    /// Requests only the scopes given to [`scope`](Self::scope).
    pub fn exact_scope(mut self) -> Self {
        self.exact_scope = true;
        self
    }

    /// Names the kind of server when its URL does not show it: one that behaves like Microsoft Entra ID on a host of
    /// its own.
    pub fn authority(mut self, authority: Authority) -> Self {
        self.authority = Some(authority);
        self
    }

    /// The language of the person, such as `de-DE` (RFC 5646), for the texts that the server sends: `mkt` with
    /// Microsoft's servers, `ui_locales` with others (OpenID Connect Core §3.1.2.1), which ignore it when they do not
    /// know it.
    pub fn language(mut self, tag: impl Into<String>) -> Self {
        self.language = tag.into();
        self
    }

    /// Sends this in the header `client-request-id` of every request, so that the server's log can be searched for it.
    /// Microsoft's servers want a GUID and repeat it in their errors. To let it name one sign-in, build a client for
    /// each.
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Tells Microsoft's servers what the program can handle, such as `cp1`: claims challenges of an API, in exchange
    /// for tokens that live longer and end when the person's rights do. It is sent in the claims of every request; may
    /// be called again.
    pub fn capability(mut self, name: impl Into<String>) -> Self {
        self.capabilities.push(name.into());
        self
    }

    /// The API that the token is for, as a parameter `audience` (Auth0, Docker and others).
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// The API that the token is for, as an absolute URI (RFC 8707 §2); may be called again for more.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// A further parameter of the device authorization request. It cannot replace one of the grant itself.
    pub fn device_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.device_parameters.push((name.into(), value.into()));
        self
    }

    /// A further parameter of every token request, polls and refreshes. It cannot replace one of the grant itself.
    pub fn token_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.token_parameters.push((name.into(), value.into()));
        self
    }

    /// A secret, sent in a way that the metadata lists: in the `Authorization` header if possible (RFC 6749 §2.3.1),
    /// else in the body.
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

    /// Repeats the client id in the body in addition to the `Authorization` header (django-oauth-toolkit and allauth
    /// require it).
    pub fn client_id_in_body(mut self) -> Self {
        self.client_id_in_body = true;
        self
    }

    /// Sends a PKCE challenge with the device request and the verifier with each poll (RFC 7636, S256). RFC 8628 does
    /// not define this, but Keycloak can require it.
    pub fn pkce(mut self) -> Self {
        self.pkce = true;
        self
    }

    /// Refuses what is tolerated by default: a device answer without `expires_in`, a token without `token_type`.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Allows `http://` to 127.0.0.0/8, `[::1]` and `localhost`, for development. Other hosts always need https.
    pub fn allow_http_loopback(mut self) -> Self {
        self.allow_http_loopback = true;
        self
    }

    /// The most bytes that an answer may have; 64 KiB unless set.
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Checks the configuration and encodes the requests as far as possible.
    ///
    /// # Errors
    /// [`ConfigError`] for the first setting that cannot work.
    pub fn build(self) -> Result<Client, ConfigError> {
        check_client_id(&self.client_id)?;
        let endpoints = self.provider.resolve()?;
        let check = |which, url: &str| match crate::prompt::endpoint_fault(url, self.allow_http_loopback) {
            Some(fault) => Err(ConfigError::Endpoint { which, url: printable(url), fault }),
            None => Ok(Arc::from(url)),
        };
        let authority =
            self.authority.unwrap_or_else(|| Authority::at(endpoints.issuer.as_deref().unwrap_or(&endpoints.token)));
        let is_microsoft = authority.kind() != AuthorityKind::Generic;
        let mut device_endpoint = endpoints.device_authorization;
        check_language(&self.language)?;
        if is_microsoft && !self.language.is_empty() {
            device_endpoint.push_str(if device_endpoint.contains('?') { "&mkt=" } else { "?mkt=" });
            device_endpoint.push_str(&self.language);
        }
        let device_authorization_endpoint = check("device authorization endpoint", &device_endpoint)?;
        let token_endpoint = check("token endpoint", &endpoints.token)?;
        let revocation_endpoint = endpoints.revocation.ok_or(ConfigError::NoRevocationEndpoint);
        let revocation_endpoint = revocation_endpoint.and_then(|url| check("revocation endpoint", &url));
        // A wrong one in the metadata is reported when it is needed: no sign-in needs it.
        if let (Err(error), true) = (&revocation_endpoint, endpoints.revocation_by_hand) {
            return Err(error.clone());
        }
        let mut scopes = self.scopes;
        if is_microsoft && !self.exact_scope {
            scopes.push_str(" openid profile offline_access");
        }
        let scope = normalise_scope(&scopes)?;
        let correlation_id = self.correlation_id.map(check_correlation_id).transpose()?;

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
        if !is_microsoft {
            device_form.push("ui_locales", &self.language);
        }
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
        if authority.kind() == AuthorityKind::Entra {
            // The answer then says who signed in, in terms of their home tenant.
            for form in [&mut poll_form, &mut refresh_form] {
                form.push("client_info", if form.has("client_info") { "" } else { "1" });
            }
        }
        let audience = core::iter::once(&*self.audience).filter(|audience| !audience.is_empty());
        let mut apis: Vec<&str> = audience.chain(self.resources.iter().map(String::as_str)).collect();
        apis.sort_unstable();
        poll_form.open("device_code");
        refresh_form.open("refresh_token");
        revocation_form.open("token");

        Ok(Client {
            id: self.client_id.into_boxed_str(),
            issuer: endpoints.issuer,
            authority,
            scope,
            audience: apis.join(" ").into_boxed_str(),
            device_authorization_endpoint,
            token_endpoint,
            revocation_endpoint,
            authorization,
            correlation_id,
            capabilities: self.capabilities.into_boxed_slice(),
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

/// RFC 5646 §2.1: letters, digits and hyphens.
fn check_language(tag: &str) -> Result<(), ConfigError> {
    let plain = tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain && tag.len() <= 64 { Ok(()) } else { Err(ConfigError::Language(printable(tag))) }
}

/// It becomes a header and a word in a log.
fn check_correlation_id(id: String) -> Result<Arc<str>, ConfigError> {
    let visible = id.bytes().all(|b| matches!(b, 0x21..=0x7e));
    if visible && (1..=128).contains(&id.len()) { Ok(Arc::from(id)) } else { Err(ConfigError::CorrelationId) }
}

/// RFC 8707 §2: an absolute URI without a fragment.
fn check_resource(resource: &str) -> Result<(), ConfigError> {
    if Url::parse(resource).is_err() || resource.contains('#') || !resource.bytes().all(|b| matches!(b, 0x21..=0x7e)) {
        return Err(ConfigError::Resource(printable(resource)));
    }
    Ok(())
}
