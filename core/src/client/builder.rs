//! Owns the configuration of a client: its settings, and every check of them.

use super::auth::{Authentication, check_listed};
use super::{Assertion, Client, ConfigError, Proof, Provider};
use crate::dialect::{Dialect, Presence};
use crate::machine::Target;
use crate::message::answer::{MAX_ANSWER, Reading};
use crate::message::claims::authorization_details;
use crate::message::form::Form;
use crate::message::{DEVICE_GRANT, FORM, REFRESH_GRANT};
use crate::prompt::{endpoint_fault, printable};
use crate::sync::Arc;
use crate::url::Url;
use crate::{Authority, AuthorityKind, ClientAssertion, Method, ProofOfPossession, Secret, signing};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

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
    proof: Option<Arc<dyn ProofOfPossession>>,
    certificate_bound: bool,
    token_endpoint_as_audience: bool,
    try_unlisted: bool,
    authorization_details: String,
    pkce: Pkce,
    strict: bool,
    allow_http_loopback: bool,
    max_answer: usize,
}

/// Whether a client uses PKCE.
#[derive(Clone, Copy)]
enum Pkce {
    Never,
    IfListed,
    Always,
}

impl ClientBuilder {
    pub(super) fn new(provider: Provider, client_id: String) -> Self {
        Self {
            provider,
            client_id,
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
            proof: None,
            certificate_bound: false,
            token_endpoint_as_audience: false,
            try_unlisted: false,
            authorization_details: String::new(),
            pkce: Pkce::Never,
            strict: false,
            allow_http_loopback: false,
            max_answer: MAX_ANSWER,
        }
    }

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

    /// A signature in every request in place of a secret: `private_key_jwt` (RFC 7523 §2.2). The audience is the issuer,
    /// or the token endpoint when no issuer is known: the issuer as one string is what every server takes.
    pub fn client_assertion(mut self, signer: Arc<dyn ClientAssertion>) -> Self {
        self.authentication = Authentication::Assertion(signer);
        self
    }

    /// Names the token endpoint as the audience of client assertions, for servers older than RFC 9700.
    pub fn token_endpoint_as_audience(mut self) -> Self {
        self.token_endpoint_as_audience = true;
        self
    }

    /// The certificate of the connection in place of a secret: `tls_client_auth` (RFC 8705 §2.1), for one that the
    /// server trusts through its issuer. The transport must have it (`HttpBuilder::client_certificate_pem` of the
    /// adapters). Requests go to the `mtls_endpoint_aliases` of the metadata, as far as there are any.
    pub fn tls_client_auth(mut self) -> Self {
        self.authentication = Authentication::Tls { self_signed: false };
        self
    }

    /// The same for a certificate that is registered with the client itself: `self_signed_tls_client_auth` (RFC 8705
    /// §2.2).
    pub fn self_signed_tls_client_auth(mut self) -> Self {
        self.authentication = Authentication::Tls { self_signed: true };
        self
    }

    /// Sends the requests to the `mtls_endpoint_aliases` of the metadata, for tokens that are bound to the certificate of
    /// the connection (RFC 8705 §3) although the client proves who it is in another way, or not at all (§4).
    pub fn certificate_bound_tokens(mut self) -> Self {
        self.certificate_bound = true;
        self
    }

    /// Binds tokens to a key (DPoP, RFC 9449): a proof goes with each request to the token endpoint. A token of type DPoP
    /// is accepted then, and only then. A server that does not know DPoP issues a Bearer token all the same:
    /// [`TokenResponse::token_type`](crate::TokenResponse::token_type) says so, and [`strict`](Self::strict) refuses it.
    pub fn proof_of_possession(mut self, key: Arc<dyn ProofOfPossession>) -> Self {
        self.proof = Some(key);
        self
    }

    /// Tries methods and algorithms that the server's metadata does not list.
    pub fn try_unlisted(mut self) -> Self {
        self.try_unlisted = true;
        self
    }

    /// What the token must allow, more exactly than scopes can say: a JSON array of objects, each with a `type` (RFC 9396
    /// §2, §6).
    pub fn authorization_details(mut self, json: impl Into<String>) -> Self {
        self.authorization_details = json.into();
        self
    }

    /// Sends a PKCE challenge with the device request and the verifier with each poll (RFC 7636, S256). RFC 8628 does
    /// not define this, but Keycloak can require it.
    pub fn pkce(mut self) -> Self {
        self.pkce = Pkce::Always;
        self
    }

    /// The same if the server's metadata lists S256. Servers that do not use it in this grant ignore it.
    pub fn pkce_if_listed(mut self) -> Self {
        self.pkce = Pkce::IfListed;
        self
    }

    /// Refuses what is tolerated by default: a device answer without `expires_in`, a token without `token_type`, a Bearer
    /// token in place of one that is [bound to a key](Self::proof_of_possession).
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
    pub fn build(mut self) -> Result<Client, ConfigError> {
        check_client_id(&self.client_id)?;
        let by_certificate = self.certificate_bound || self.authentication.is_by_certificate();
        let endpoints = self.provider.clone().resolve(by_certificate)?;
        let dialect = endpoints.dialect;
        if let Some(dialect) = dialect {
            self.authentication = self.check_dialect(dialect)?;
        }
        let check = |which, url: &str| match endpoint_fault(url, self.allow_http_loopback) {
            Some(fault) => Err(ConfigError::Endpoint { which, url: printable(url), fault }),
            None => Ok(Box::from(url)),
        };
        let authority = self.authority.unwrap_or_else(|| match (&endpoints.issuer, dialect) {
            // A token of another version is of no use to the programs that share the tokens of Microsoft's servers.
            (None, Some(_)) => Authority::generic(&endpoints.token, ""),
            (issuer, _) => Authority::at(issuer.as_deref().unwrap_or(&endpoints.token)),
        });
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

        if !self.try_unlisted {
            self.authentication.check(&endpoints.auth_methods, &endpoints.auth_algorithms)?;
            if let Some(key) = &self.proof {
                check_listed("DPoP proofs", key.algorithm(), &endpoints.proof_algorithms)?;
            }
        }
        let assertion = self.authentication.signer().map(|signer| {
            let issuer = endpoints.issuer.as_deref().filter(|_| !self.token_endpoint_as_audience);
            Assertion { signer: Arc::clone(signer), audience: Box::from(issuer.unwrap_or(&endpoints.token)) }
        });
        let proof = self.proof.map(|key| Proof { key, htu: signing::htu(&token_endpoint).into_boxed_str() });

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
        device_form.push("start_url", &endpoints.start_url);
        device_form.push("authorization_details", authorization_details(&self.authorization_details)?);
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
                check_resource(resource, dialect.is_some())?;
                form.push("resource", resource);
            }
            push_parameters(form, parameters, dialect)?;
        }
        if authority.kind() == AuthorityKind::Entra {
            // The answer then says who signed in, in terms of their home tenant.
            for form in [&mut poll_form, &mut refresh_form] {
                form.push("client_info", if form.has("client_info") { "" } else { "1" });
            }
        }
        let audience = core::iter::once(&*self.audience).filter(|audience| !audience.is_empty());
        let mut apis: Vec<&str> = Vec::new();
        for api in audience.chain(self.resources.iter().map(String::as_str)) {
            // In order. There are one or two, and `sort` is more than a hundredth of a small program.
            apis.insert(apis.partition_point(|earlier| *earlier <= api), api);
        }
        poll_form.open("device_code");
        refresh_form.open("refresh_token");
        revocation_form.open("token");

        let max_response = self.max_answer;
        let content_type = dialect.map_or(FORM, Dialect::content_type);
        let target = |url| {
            let (authorization, correlation_id) = (authorization.clone(), correlation_id.clone());
            Arc::new(Target { method: Method::Post, url, authorization, correlation_id, content_type, max_response })
        };
        let refresh = endpoints.refresh.map(|url| check("token endpoint for refreshes", &url)).transpose()?.map(target);
        Ok(Client {
            id: self.client_id.into_boxed_str(),
            issuer: endpoints.issuer,
            authority,
            scope,
            audience: apis.join(" ").into_boxed_str(),
            device_authorization: target(device_authorization_endpoint),
            token: target(token_endpoint),
            revocation: revocation_endpoint.map(target),
            is_plain: assertion.is_none() && proof.is_none() && dialect.is_none(),
            refresh,
            authentication_method: self.authentication.applied(authorization.is_some()),
            assertion,
            proof,
            capabilities: self.capabilities.into_boxed_slice(),
            device_form,
            poll_form,
            refresh_form,
            revocation_form,
            pkce: match self.pkce {
                Pkce::Never => false,
                Pkce::IfListed => endpoints.lists_pkce,
                Pkce::Always => true,
            },
            strict: self.strict,
            allow_http_loopback: self.allow_http_loopback,
            reading: Reading { max: self.max_answer, dialect },
        })
    }

    /// Refuses what has no place in the requests of a dialect, and what is missing there: nothing is left out silently.
    /// Returns how the client says who it is.
    fn check_dialect(&self, dialect: &Dialect) -> Result<Authentication, ConfigError> {
        let provider = dialect.name;
        let settings = [
            ("scopes", !self.scopes.trim().is_empty(), dialect.scope),
            ("a resource", !self.resources.is_empty(), dialect.resource),
            ("more than one resource", self.resources.len() > 1, Presence::Never),
            ("an audience", !self.audience.is_empty(), Presence::Never),
            ("a language", !self.language.is_empty(), dialect.language),
            ("capabilities", !self.capabilities.is_empty(), Presence::Never),
            ("authorization details", !self.authorization_details.is_empty(), Presence::Never),
            ("PKCE", matches!(self.pkce, Pkce::Always), Presence::Never),
            ("tokens that are bound to a key (DPoP)", self.proof.is_some(), Presence::Never),
            ("tokens that are bound to a certificate", self.certificate_bound, Presence::Never),
            ("a client secret", !matches!(self.authentication, Authentication::Public), dialect.secret),
        ];
        for (what, given, presence) in settings {
            match (given, presence) {
                (true, Presence::Never) => return Err(ConfigError::NotInDialect { provider, what }),
                (false, Presence::Required) => return Err(ConfigError::NeededByDialect { provider, what }),
                (true, Presence::Optional | Presence::Required) | (false, Presence::Never | Presence::Optional) => {}
            }
        }
        let what = "a client that proves itself in a header, with a key or with a certificate";
        self.authentication.clone().in_body().ok_or(ConfigError::NotInDialect { provider, what })
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
fn push_parameters(form: &mut Form, all: &[(String, String)], dialect: Option<&Dialect>) -> Result<(), ConfigError> {
    for (index, (name, value)) in all.iter().enumerate() {
        check_parameter_name(name, dialect)?;
        if form.has(name) || all.iter().take(index).any(|(earlier, _)| earlier == name) {
            return Err(ConfigError::RepeatedParameter(printable(name)));
        }
        // It may be a secret.
        form.push_private(name, value);
    }
    Ok(())
}

pub(super) fn check_parameter_name(name: &str, dialect: Option<&Dialect>) -> Result<(), ConfigError> {
    if name.is_empty() || RESERVED.contains(&name) || dialect.is_some_and(|dialect| dialect.owns(name)) {
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
pub(crate) fn normalise_scope(scopes: &str) -> Result<Box<str>, ConfigError> {
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
fn check_correlation_id(id: String) -> Result<Box<str>, ConfigError> {
    let visible = id.bytes().all(|b| matches!(b, 0x21..=0x7e));
    if visible && (1..=128).contains(&id.len()) { Ok(id.into_boxed_str()) } else { Err(ConfigError::CorrelationId) }
}

/// RFC 8707 §2: an absolute URI without a fragment; in a dialect it may be the id of an application.
fn check_resource(resource: &str, may_be_id: bool) -> Result<(), ConfigError> {
    let is_id = may_be_id && !resource.is_empty() && resource.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_uri =
        Url::parse(resource).is_ok() && !resource.contains('#') && resource.bytes().all(|b| matches!(b, 0x21..=0x7e));
    if is_uri || is_id { Ok(()) } else { Err(ConfigError::Resource(printable(resource))) }
}
