//! Owns the ways in which a configuration cannot work, and what to do about each.

use crate::TextFault;
use alloc::boxed::Box;

/// A configuration that cannot work. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The client id is empty, longer than 16 KiB, or has characters outside visible ASCII (RFC 6749 Appendix A.1); or
    /// it has a colon, which an unencoded Basic header cannot carry (RFC 7617 §2).
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
        "the server takes a client secret neither in the Authorization header nor in the body: choose client_secret_basic or client_secret_post to try all the same"
    )]
    NoAuthenticationMethod,
    /// The metadata lists which methods or algorithms the server takes, and this one is not among them.
    #[error("the server does not list {wanted} for {what}, only {listed}: use one of those")]
    NotListed {
        /// What they are for, in words.
        what: &'static str,
        /// The one that is configured.
        wanted: Box<str>,
        /// Those that the server lists, safe to print.
        listed: Box<str>,
    },
    /// Authorization details that are not a JSON array of objects (RFC 9396 §2).
    #[error("the authorization details must be a JSON array of objects, each with a type")]
    AuthorizationDetails,
    /// An endpoint that must not be used.
    #[error("the {which} {url} {fault}")]
    Endpoint {
        /// Which endpoint, in words.
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
    /// No revocation endpoint is known for this server: its tokens live until they expire.
    #[error(
        "no revocation endpoint is known for this server, so the token was not revoked: give the endpoint by hand, or revoke the token on the server's own pages"
    )]
    NoRevocationEndpoint,
    /// The issuer is not an https URL, or has a query or fragment (RFC 8414 §2).
    #[error("the issuer {issuer} {fault}")]
    Issuer {
        /// The issuer, safe to print.
        issuer: Box<str>,
        /// What is wrong with it.
        fault: TextFault,
    },
    /// A tenant or host name with characters that no such name has.
    #[error("{0} is not a tenant or host name: give only the name, without https:// or a path")]
    Name(Box<str>),
    /// A [`Preset`](crate::Preset) was not told something that it needs.
    #[error("{preset} needs to be told the {need}: {about}")]
    Missing {
        /// The name of the preset.
        preset: &'static str,
        /// The name of the need.
        need: &'static str,
        /// What it is, in words.
        about: &'static str,
    },
    /// A value that cannot stand in the URLs of a [`Preset`](crate::Preset).
    #[error("{value:?} cannot be the {need} of {preset}: {rule}")]
    Value {
        /// The name of the preset.
        preset: &'static str,
        /// The name of the need.
        need: &'static str,
        /// The value, safe to print.
        value: Box<str>,
        /// What to write instead.
        rule: Box<str>,
    },
    /// A scope with characters that RFC 6749 §3.3 does not allow.
    #[error("the scope {0} has characters that a scope cannot have; separate scopes by spaces")]
    Scope(Box<str>),
    /// A refresh for a scope that this client does not request (RFC 6749 §6).
    #[error("a refresh cannot request the scope {0}, which was not granted: sign in again to request it")]
    WiderScope(Box<str>),
    /// A language that is not a tag of RFC 5646.
    #[error("{0} is not a language tag: write one like de-DE")]
    Language(Box<str>),
    /// A correlation id that is empty, longer than 128 characters, or not all visible ASCII.
    #[error("the correlation id must be 1 to 128 visible ASCII characters without spaces, such as a GUID")]
    CorrelationId,
    /// Claims that are not a JSON object (OpenID Connect Core §5.5).
    #[error("the requested claims must be a JSON object, such as the claims challenge of an API")]
    Claims,
    /// A resource that is not an absolute URI, or has a fragment (RFC 8707 §2).
    #[error("the resource {0} must be an absolute URI without a fragment")]
    Resource(Box<str>),
    /// A further parameter without a name, or with the name of one that the grant itself sends.
    #[error("the parameter {0:?} belongs to the grant itself: use the method made for it")]
    ReservedParameter(Box<str>),
    /// A setting that the dialect of this provider has no place for.
    #[error("{provider} has no place for {what}: leave that out")]
    NotInDialect {
        /// The provider.
        provider: &'static str,
        /// The setting, in words.
        what: &'static str,
    },
    /// A setting that the dialect of this provider cannot do without. (The command line knows `what` by its words.)
    #[error("{provider} needs {what}")]
    NeededByDialect {
        /// The provider.
        provider: &'static str,
        /// The setting, in words.
        what: &'static str,
    },
    /// The address of an access portal of AWS that is not an https URL.
    #[error("the start URL {0} is not an https URL: copy it from the invitation or the administrator's page")]
    StartUrl(Box<str>),
    /// A registration at a server where clients do not register themselves.
    #[error(
        "programs do not register themselves at this server: register the client by hand, on the server's own pages"
    )]
    NoRegistrationEndpoint,
    /// A further parameter that was given twice (RFC 8628 §3.1).
    #[error("the parameter {0} was given twice")]
    RepeatedParameter(Box<str>),
}
