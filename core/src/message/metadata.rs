//! Owns the metadata document (RFC 8414 §2, OpenID Connect Discovery §3): the few members that this grant needs.

use super::json::Object;
use crate::ProtocolFault;
use crate::prompt::{endpoint_fault, printable};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// Metadata documents may have 1 MiB; everything else 64 KiB.
pub(crate) const MAX_METADATA: usize = 1024 * 1024;

/// What an authorization server says about itself, as far as this grant needs it. Every URL is as the server wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    issuer: Box<str>,
    device_authorization_endpoint: Option<Box<str>>,
    token_endpoint: Box<str>,
    revocation_endpoint: Option<Box<str>>,
    grant_types: Option<Box<[String]>>,
    auth_methods: Option<Box<[String]>>,
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
        self.device_authorization_endpoint.as_deref()
    }

    /// The token endpoint.
    #[must_use]
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// The revocation endpoint (RFC 7009), if the document names one. Unlike the others it is not checked here, because
    /// no sign-in needs it; [`Revocation`](crate::Revocation) refuses one that is not an https URL.
    #[must_use]
    pub fn revocation_endpoint(&self) -> Option<&str> {
        self.revocation_endpoint.as_deref()
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
        let listed = self.auth_methods.as_deref().filter(|methods| !methods.is_empty());
        let default = listed.is_none().then_some("client_secret_basic");
        listed.unwrap_or_default().iter().map(String::as_str).chain(default)
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
                None => Ok(Some(Box::from(&*url))),
            },
        };
        let list = |member| object.list(member).map(Vec::into_boxed_slice);
        Ok(Self {
            issuer: Box::from(issuer),
            device_authorization_endpoint: endpoint("device_authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?.ok_or(ProtocolFault::Missing("token_endpoint"))?,
            revocation_endpoint: object.text("revocation_endpoint").ok().flatten().map(|url| Box::from(&*url)),
            grant_types: list("grant_types_supported"),
            auth_methods: list("token_endpoint_auth_methods_supported"),
        })
    }
}
