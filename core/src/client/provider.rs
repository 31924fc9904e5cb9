//! Owns the endpoints of a server: given by hand, from metadata, or from a preset.

use super::preset::{ADFS, ENTRA, ENTRA_EXTERNAL, Filled, GITHUB, GITLAB, GOOGLE, Urls, check_name, host};
use super::{ConfigError, Preset};
use crate::Metadata;
use crate::dialect::{AWS, Call, Dialect, ENTRA_V1, FACEBOOK, GOOGLE_TV, SALESFORCE, TRAKT, TWITCH, YANDEX, aws_host};
use crate::prompt::printable;
use crate::url::Url;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// An authorization server: its endpoints, or how to derive them.
///
/// For the best known servers there are methods here; [`Preset`] knows these and many more by name. No client id is built
/// in.
#[derive(Clone, Debug)]
pub struct Provider {
    kind: Kind,
    /// Given by hand.
    revocation: Option<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    Endpoints {
        device_authorization: String,
        token: String,
    },
    Metadata(Box<Metadata>),
    /// The values are in the order of its needs.
    Preset {
        preset: &'static Preset,
        urls: &'static Urls,
        values: Vec<String>,
    },
    Dialect(Dialectal),
}

/// A server that does not speak RFC 8628.
#[derive(Clone, Debug)]
struct Dialectal {
    dialect: &'static Dialect,
    host: String,
    /// The tenant or version behind the host; may be empty.
    place: String,
    /// Of AWS; else empty.
    start_url: String,
}

/// One of Microsoft's separate clouds; an app registered in one is unknown in the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntraCloud {
    /// `login.microsoftonline.com`.
    #[default]
    Public,
    /// `login.microsoftonline.us`, for the government of the United States.
    UsGovernment,
    /// `login.partner.microsoftonline.cn`, operated by 21Vianet.
    China,
}

impl EntraCloud {
    pub(super) const fn host(self) -> &'static str {
        match self {
            Self::Public => "login.microsoftonline.com",
            Self::UsGovernment => "login.microsoftonline.us",
            Self::China => "login.partner.microsoftonline.cn",
        }
    }

    /// As the preset calls it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::UsGovernment => "us-gov",
            Self::China => "china",
        }
    }
}

impl Provider {
    /// Both endpoints, used verbatim.
    #[must_use]
    pub fn endpoints(device_authorization: impl Into<String>, token: impl Into<String>) -> Self {
        Kind::Endpoints { device_authorization: device_authorization.into(), token: token.into() }.into()
    }

    /// Microsoft Entra ID. `tenant` is a tenant's id or domain, `organizations`, `consumers` or `common`. The app must
    /// allow public client flows.
    #[must_use]
    pub fn entra(cloud: EntraCloud, tenant: impl Into<String>) -> Self {
        ENTRA.at(vec![tenant.into(), cloud.word().into()])
    }

    /// Microsoft Entra External ID (CIAM): `contoso` for `contoso.ciamlogin.com`.
    #[must_use]
    pub fn entra_external(subdomain: impl Into<String>) -> Self {
        ENTRA_EXTERNAL.at(vec![subdomain.into()])
    }

    /// Active Directory Federation Services 2019 or newer, on its own host. It has no tenants.
    #[must_use]
    pub fn adfs(host: impl Into<String>) -> Self {
        ADFS.at(vec![host.into()])
    }

    /// GitHub.com. The device flow must be enabled in the app's settings; there is no secret.
    #[must_use]
    pub fn github() -> Self {
        Self::github_enterprise("github.com")
    }

    /// A GitHub Enterprise Server on its own host, or Enterprise Cloud with data residency on `NAME.ghe.com`.
    #[must_use]
    pub fn github_enterprise(host: impl Into<String>) -> Self {
        GITHUB.at(vec![host.into()])
    }

    /// GitLab.com, 17.2 or newer.
    #[must_use]
    pub fn gitlab() -> Self {
        Self::gitlab_at("gitlab.com")
    }

    /// A GitLab on its own host. Its metadata does not name the device authorization endpoint, so discovery is not
    /// enough.
    #[must_use]
    pub fn gitlab_at(host: impl Into<String>) -> Self {
        GITLAB.at(vec![host.into()])
    }

    /// Google, for clients of the type "TVs and Limited Input devices". They have a secret, which goes to
    /// [`client_secret_post`](crate::ClientBuilder::client_secret_post).
    #[must_use]
    pub fn google() -> Self {
        GOOGLE.at(Vec::new())
    }

    pub(super) fn preset(preset: &'static Preset, urls: &'static Urls, values: Vec<String>) -> Self {
        Kind::Preset { preset, urls, values }.into()
    }

    /// AWS IAM Identity Center, whose JSON is not that of RFC 8628. `region` is that of the Identity Center, such as
    /// `eu-west-1`; `start_url` is the address of the organization's access portal. Each installation registers itself
    /// ([`Registration`](crate::Registration)) and gives the secret of its registration to
    /// [`client_secret_post`](crate::ClientBuilder::client_secret_post), although it is a public client. The scopes of
    /// the client must be those of its registration: they are sent there and in a refresh. Tokens cannot be revoked.
    #[must_use]
    pub fn aws(region: impl Into<String>, start_url: impl Into<String>) -> Self {
        Kind::Dialect(Dialectal { start_url: start_url.into(), ..dialectal(&AWS, aws_host(&region.into())) }).into()
    }

    /// Twitch, for an application of the type Public. Its errors are texts: an expired, a used and a wrong code are the
    /// same one, and no denial is known. A refresh token is good for one refresh.
    #[must_use]
    pub fn twitch() -> Self {
        Kind::Dialect(dialectal(&TWITCH, "id.twitch.tv")).into()
    }

    /// Facebook, for an app with "Login from Devices" switched on. The client id is the app's id, the secret is its client
    /// token (not the app secret). `version` is that of the Graph API, such as `v16.0`. There are no refresh tokens, and
    /// the answer names no scopes.
    #[must_use]
    pub fn facebook(version: impl Into<String>) -> Self {
        Kind::Dialect(Dialectal { place: version.into(), ..dialectal(&FACEBOOK, "graph.facebook.com") }).into()
    }

    /// Salesforce, at `login.salesforce.com`, `test.salesforce.com` or a My Domain: the host that the person signs in at.
    /// The app needs the device flow switched on and must be installed in the organization: since September 2025
    /// Salesforce blocks the flow for all other apps. It does not say how long codes and tokens live; a code counts for
    /// ten minutes. No denial is known.
    #[must_use]
    pub fn salesforce(host: impl Into<String>) -> Self {
        Kind::Dialect(dialectal(&SALESFORCE, host)).into()
    }

    /// Trakt, for an app with id and secret. It has no scopes, and says with a status alone what happened to a code:
    /// mostly there is no body with a reason.
    #[must_use]
    pub fn trakt() -> Self {
        Kind::Dialect(dialectal(&TRAKT, "api.trakt.tv")).into()
    }

    /// Microsoft's first endpoints, which ADAL and old programs use; [`entra`](Self::entra) is what replaced them. The
    /// API that the token is for goes to [`resource`](crate::ClientBuilder::resource), and there are no scopes. Its tokens
    /// are kept apart from those that programs with MSAL share.
    #[must_use]
    pub fn entra_v1(cloud: EntraCloud, tenant: impl Into<String>) -> Self {
        Kind::Dialect(Dialectal { place: tenant.into(), ..dialectal(&ENTRA_V1, cloud.host()) }).into()
    }

    /// Yandex ID, for an app with id and secret. The secret is sent when polling, not with the request for a code, so that
    /// a wrong one is noticed late. No denial is known.
    #[must_use]
    pub fn yandex() -> Self {
        Kind::Dialect(dialectal(&YANDEX, "oauth.yandex.ru")).into()
    }

    /// Google, with the older grant of clients of the type "TVs and Limited Input devices" and their secret;
    /// [`google`](Self::google) is the same with the grant of RFC 8628.
    #[must_use]
    pub fn google_tv() -> Self {
        Kind::Dialect(dialectal(&GOOGLE_TV, "oauth2.googleapis.com")).into()
    }

    /// Another host (with its port, if it has one of its own) in place of the provider's: a staging system, or the server
    /// of a test. Only for the providers that do not speak RFC 8628; the others take their hosts in their constructors.
    #[must_use]
    pub fn at_host(mut self, host: impl Into<String>) -> Self {
        if let Kind::Dialect(dialectal) = &mut self.kind {
            dialectal.host = host.into();
        }
        self
    }

    /// What a person must know of a provider that does not speak RFC 8628: what it needs beforehand, and what it cannot
    /// say. Whole sentences; none for every other provider.
    pub fn notes(&self) -> impl Iterator<Item = &'static str> {
        let notes: &[&str] = if let Kind::Dialect(dialectal) = &self.kind { dialectal.dialect.notes } else { &[] };
        notes.iter().copied()
    }

    /// Where a client registers itself, and in which words.
    pub(crate) fn registration(&self) -> Result<(String, &'static Dialect), ConfigError> {
        let Kind::Dialect(dialectal) = &self.kind else { return Err(ConfigError::NoRegistrationEndpoint) };
        let url = dialectal.dialect.url(Call::Registration, &dialectal.base()?);
        let url = url.ok_or(ConfigError::NoRegistrationEndpoint)?;
        check_start_url(&dialectal.start_url)?;
        Ok((url, dialectal.dialect))
    }

    /// Sets the revocation endpoint (RFC 7009 §2), used verbatim, instead of one from the metadata or the preset.
    #[must_use]
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.revocation = Some(url.into());
        self
    }

    /// `by_certificate`: whether the connection presents a certificate, for which a server may have other endpoints (RFC
    /// 8705 §5).
    pub(super) fn resolve(self, by_certificate: bool) -> Result<Endpoints, ConfigError> {
        let (by_hand, revocation_by_hand) = (self.revocation.clone(), self.revocation.is_some());
        let known = |issuer: Option<String>, device_authorization, token, revocation: Option<String>| {
            Ok(Endpoints {
                issuer: issuer.map(String::into_boxed_str),
                device_authorization,
                token,
                revocation: by_hand.clone().or(revocation),
                revocation_by_hand,
                ..Endpoints::default()
            })
        };
        match self.kind {
            Kind::Endpoints { device_authorization, token } => known(None, device_authorization, token, None),
            Kind::Metadata(metadata) => {
                let metadata = if by_certificate { metadata.over_mutual_tls() } else { *metadata };
                let token = metadata.raw_token_endpoint();
                let Some(device_authorization) = metadata.raw_device_authorization_endpoint() else {
                    return Err(ConfigError::NoDeviceAuthorizationEndpoint {
                        issuer: printable(metadata.issuer()),
                        token_endpoint: printable(token),
                    });
                };
                let lists_pkce = metadata.code_challenge_methods().any(|method| method == "S256");
                Ok(Endpoints {
                    issuer: Some(Box::from(metadata.issuer())),
                    device_authorization: String::from(device_authorization),
                    token: String::from(token),
                    revocation: by_hand.or_else(|| metadata.raw_revocation_endpoint().map(String::from)),
                    revocation_by_hand,
                    lists_pkce,
                    auth_methods: metadata.auth_methods.into_vec(),
                    auth_algorithms: metadata.auth_algorithms.into_vec(),
                    proof_algorithms: metadata.proof_algorithms.into_vec(),
                    ..Endpoints::default()
                })
            }
            Kind::Preset { preset, urls, values } => {
                let Filled { issuer, device_authorization, token, revocation } = preset.fill(urls, &values)?;
                known(issuer, device_authorization, token, revocation)
            }
            Kind::Dialect(dialectal) => {
                let (base, dialect) = (dialectal.base()?, dialectal.dialect);
                if dialect.url(Call::Registration, "").is_some() {
                    check_start_url(&dialectal.start_url)?;
                }
                let url = |call| dialect.url(call, &base);
                let device_authorization = url(Call::Device).unwrap_or_default();
                let token = url(Call::Poll).unwrap_or_default();
                let found = known(dialect.issuer(&base), device_authorization, token, url(Call::Revocation))?;
                let (refresh, start_url) = (url(Call::Refresh), dialectal.start_url);
                Ok(Endpoints { dialect: Some(dialect), refresh, start_url, ..found })
            }
        }
    }
}

impl From<Kind> for Provider {
    fn from(kind: Kind) -> Self {
        Self { kind, revocation: None }
    }
}

impl From<Metadata> for Provider {
    /// What [`Discovery`](crate::Discovery) found.
    fn from(metadata: Metadata) -> Self {
        Kind::Metadata(Box::new(metadata)).into()
    }
}

#[derive(Default)]
pub(super) struct Endpoints {
    pub(super) issuer: Option<Box<str>>,
    pub(super) device_authorization: String,
    pub(super) token: String,
    pub(super) revocation: Option<String>,
    pub(super) revocation_by_hand: bool,
    /// Empty when unknown, as are the algorithms of client assertions and of proofs of possession.
    pub(super) auth_methods: Vec<String>,
    pub(super) auth_algorithms: Vec<String>,
    pub(super) proof_algorithms: Vec<String>,
    pub(super) lists_pkce: bool,
    pub(super) dialect: Option<&'static Dialect>,
    /// Where a client refreshes, if the provider has a dialect.
    pub(super) refresh: Option<String>,
    pub(super) start_url: String,
}

fn dialectal(dialect: &'static Dialect, host: impl Into<String>) -> Dialectal {
    Dialectal { dialect, host: host.into(), place: String::new(), start_url: String::new() }
}

impl Dialectal {
    /// Scheme, host, and tenant or version.
    fn base(&self) -> Result<String, ConfigError> {
        let host = host(&self.host)?;
        if self.place.is_empty() {
            return Ok(["https://", &host].concat());
        }
        check_name(&self.place)?;
        Ok(["https://", &host, "/", &self.place].concat())
    }
}

/// It is a parameter, so it may have a fragment, as some portals do.
fn check_start_url(url: &str) -> Result<(), ConfigError> {
    let visible = url.bytes().all(|b| matches!(b, 0x21..=0x7e));
    let is_https = Url::parse(url).is_ok_and(|url| url.scheme() == "https");
    if visible && is_https { Ok(()) } else { Err(ConfigError::StartUrl(printable(url))) }
}
