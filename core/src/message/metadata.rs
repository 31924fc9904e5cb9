//! Owns the metadata document (RFC 8414 §2, OpenID Connect Discovery §3): the few members that this grant needs.

use super::json::Object;
use crate::ProtocolFault;
use crate::prompt::{Untrusted, endpoint_fault, harmless, printable};
use alloc::boxed::Box;
use alloc::string::String;

/// Metadata documents may have 1 MiB; everything else 64 KiB.
pub(crate) const MAX_METADATA: usize = 1024 * 1024;

/// What an authorization server says about itself, as far as this grant needs it. Every URL is as the server wrote it, and
/// every text is safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    issuer: Box<str>,
    device_authorization_endpoint: Option<Untrusted>,
    token_endpoint: Untrusted,
    revocation_endpoint: Option<Untrusted>,
    userinfo_endpoint: Option<Untrusted>,
    grant_types: Option<Box<[String]>>,
    /// Empty when the document lists none, as are the other lists.
    pub(crate) auth_methods: Box<[String]>,
    pub(crate) auth_algorithms: Box<[String]>,
    pub(crate) proof_algorithms: Box<[String]>,
    challenge_methods: Box<[String]>,
    /// Of device authorization, token and revocation, where they differ for a connection with a certificate.
    mtls_aliases: [Option<Untrusted>; 3],
    binds_to_certificate: bool,
}

impl Metadata {
    /// The issuer, identical to the one that discovery asked for (RFC 8414 §3.3).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The device authorization endpoint (RFC 8628 §4); `None` when the document does not name one, which does not
    /// always mean that the server has none (GitLab, django-oauth-toolkit).
    #[must_use]
    pub fn device_authorization_endpoint(&self) -> Option<&str> {
        self.device_authorization_endpoint.as_ref().map(Untrusted::shown)
    }

    pub(crate) fn raw_device_authorization_endpoint(&self) -> Option<&str> {
        self.device_authorization_endpoint.as_ref().map(Untrusted::raw)
    }

    /// The token endpoint.
    #[must_use]
    pub fn token_endpoint(&self) -> &str {
        self.token_endpoint.shown()
    }

    pub(crate) fn raw_token_endpoint(&self) -> &str {
        self.token_endpoint.raw()
    }

    /// The revocation endpoint (RFC 7009), if the document names one. Unlike the others it is not checked here, because
    /// no sign-in needs it; [`Revocation`](crate::Revocation) refuses one that is not an https URL.
    #[must_use]
    pub fn revocation_endpoint(&self) -> Option<&str> {
        self.revocation_endpoint.as_ref().map(Untrusted::shown)
    }

    pub(crate) fn raw_revocation_endpoint(&self) -> Option<&str> {
        self.revocation_endpoint.as_ref().map(Untrusted::raw)
    }

    /// The userinfo endpoint (OpenID Connect Discovery §3), if the document names one. It is checked when it is used:
    /// [`UserInfo`](crate::UserInfo).
    #[must_use]
    pub fn userinfo_endpoint(&self) -> Option<&str> {
        self.userinfo_endpoint.as_ref().map(Untrusted::shown)
    }

    /// Whether the document lists the device grant. An endpoint that it names is better evidence than this list.
    #[must_use]
    pub fn lists_device_grant(&self) -> bool {
        let listed = |grants: &[String]| grants.iter().any(|grant| grant == super::DEVICE_GRANT);
        self.grant_types.as_deref().is_some_and(listed)
    }

    /// The methods of client authentication at the token endpoint; `client_secret_basic` when the document lists none
    /// (RFC 8414 §2).
    pub fn token_endpoint_auth_methods(&self) -> impl Iterator<Item = &str> {
        let default = self.auth_methods.is_empty().then_some("client_secret_basic");
        self.auth_methods.iter().map(String::as_str).chain(default)
    }

    /// Whether the document lists such methods. Where it does not, a client may try any.
    #[must_use]
    pub fn lists_auth_methods(&self) -> bool {
        !self.auth_methods.is_empty()
    }

    /// The algorithms of client assertions at the token endpoint, such as `ES256` (RFC 8414 §2); none when the document
    /// lists none.
    pub fn token_endpoint_auth_signing_algs(&self) -> impl Iterator<Item = &str> {
        self.auth_algorithms.iter().map(String::as_str)
    }

    /// The algorithms of DPoP proofs (RFC 9449 §5.1). None: the server may not know DPoP.
    pub fn dpop_signing_algs(&self) -> impl Iterator<Item = &str> {
        self.proof_algorithms.iter().map(String::as_str)
    }

    /// The methods of PKCE, such as `S256` (RFC 8414 §2).
    pub fn code_challenge_methods(&self) -> impl Iterator<Item = &str> {
        self.challenge_methods.iter().map(String::as_str)
    }

    /// Whether the server can bind access tokens to the certificate of the connection (RFC 8705 §3.3).
    #[must_use]
    pub fn binds_tokens_to_certificates(&self) -> bool {
        self.binds_to_certificate
    }

    /// The same server as a connection with a client certificate must ask it: with the `mtls_endpoint_aliases` in place
    /// of its endpoints, as far as there are any (RFC 8705 §5). They are checked when a client is built.
    #[must_use]
    pub fn over_mutual_tls(mut self) -> Self {
        let [device_authorization, token, revocation] = core::mem::take(&mut self.mtls_aliases);
        self.device_authorization_endpoint = device_authorization.or(self.device_authorization_endpoint);
        self.token_endpoint = token.unwrap_or(self.token_endpoint);
        self.revocation_endpoint = revocation.or(self.revocation_endpoint);
        self
    }

    pub(crate) fn read(object: &Object<'_>, issuer: &str, allow_http_loopback: bool) -> Result<Self, ProtocolFault> {
        let found = object.required("issuer")?;
        // By code points, unescaped, without normalisation (RFC 8414 §4); on a mismatch nothing is used (§3.3).
        if found != issuer {
            return Err(ProtocolFault::IssuerMismatch { found: printable(&found) });
        }
        let endpoint = |member: &'static str| match object.text(member)?.filter(|url| !url.is_empty()) {
            None => Ok(None),
            Some(url) => match endpoint_fault(&url, allow_http_loopback) {
                Some(fault) => Err(ProtocolFault::UnsafeEndpoint { member, fault }),
                None => Ok(Some(Untrusted::new(&url))),
            },
        };
        // A name that is not printable is none that anybody looks for.
        let clean = |name: String| harmless(&name).into_owned();
        let list = |member| object.list(member).map(|names| names.into_iter().map(clean).collect::<Box<[String]>>());
        let aliases = object.json_object("mtls_endpoint_aliases").unwrap_or_default();
        let mut of_aliases = Object::default();
        // Nothing but a client with a certificate needs them. Which of two with one name is meant, nobody knows.
        if of_aliases.read_json(&aliases).is_err() {
            of_aliases = Object::default();
        }
        let alias = |member| {
            of_aliases.text(member).ok().flatten().filter(|url| !url.is_empty()).map(|url| Untrusted::new(&url))
        };
        Ok(Self {
            issuer: Box::from(issuer),
            device_authorization_endpoint: endpoint("device_authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?.ok_or(ProtocolFault::Missing("token_endpoint"))?,
            revocation_endpoint: object.text("revocation_endpoint").ok().flatten().map(|url| Untrusted::new(&url)),
            userinfo_endpoint: object.text("userinfo_endpoint").ok().flatten().map(|url| Untrusted::new(&url)),
            grant_types: list("grant_types_supported"),
            auth_methods: list("token_endpoint_auth_methods_supported").unwrap_or_default(),
            auth_algorithms: list("token_endpoint_auth_signing_alg_values_supported").unwrap_or_default(),
            proof_algorithms: list("dpop_signing_alg_values_supported").unwrap_or_default(),
            challenge_methods: list("code_challenge_methods_supported").unwrap_or_default(),
            mtls_aliases: ["device_authorization_endpoint", "token_endpoint", "revocation_endpoint"].map(alias),
            binds_to_certificate: object.is_true("tls_client_certificate_bound_access_tokens"),
        })
    }
}
