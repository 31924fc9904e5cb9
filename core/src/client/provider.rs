//! Owns the endpoints of a server: given by hand, from metadata, or from a preset.

use super::ConfigError;
use crate::Metadata;
use crate::prompt::printable;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// An authorization server: its endpoints, or how to derive them.
///
/// Presets hold what the providers document. No client id is built in.
#[derive(Clone, Debug)]
pub struct Provider {
    kind: Kind,
    /// Given by hand.
    revocation: Option<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    Endpoints { device_authorization: String, token: String },
    Metadata(Box<Metadata>),
    Entra { cloud: EntraCloud, tenant: String },
    EntraExternal { subdomain: String },
    Adfs { host: String },
    GitHub { host: String },
    GitLab { host: String },
    Google,
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
    fn host(self) -> &'static str {
        match self {
            Self::Public => "login.microsoftonline.com",
            Self::UsGovernment => "login.microsoftonline.us",
            Self::China => "login.partner.microsoftonline.cn",
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
        Kind::Entra { cloud, tenant: tenant.into() }.into()
    }

    /// Microsoft Entra External ID (CIAM): `contoso` for `contoso.ciamlogin.com`.
    #[must_use]
    pub fn entra_external(subdomain: impl Into<String>) -> Self {
        Kind::EntraExternal { subdomain: subdomain.into() }.into()
    }

    /// Active Directory Federation Services 2019 or newer, on its own host. It has no tenants.
    #[must_use]
    pub fn adfs(host: impl Into<String>) -> Self {
        Kind::Adfs { host: host.into() }.into()
    }

    /// GitHub.com. The device flow must be enabled in the app's settings; there is no secret.
    #[must_use]
    pub fn github() -> Self {
        Self::github_enterprise("github.com")
    }

    /// A GitHub Enterprise Server on its own host.
    #[must_use]
    pub fn github_enterprise(host: impl Into<String>) -> Self {
        Kind::GitHub { host: host.into() }.into()
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
        Kind::GitLab { host: host.into() }.into()
    }

    /// Google, for clients of the type "TVs and Limited Input devices". They have a secret, which goes to
    /// [`client_secret_post`](crate::ClientBuilder::client_secret_post).
    #[must_use]
    pub fn google() -> Self {
        Kind::Google.into()
    }

    /// Sets the revocation endpoint (RFC 7009 §2), used verbatim, instead of one from the metadata or the preset.
    #[must_use]
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.revocation = Some(url.into());
        self
    }

    pub(super) fn resolve(self) -> Result<Endpoints, ConfigError> {
        let (by_hand, revocation_by_hand) = (self.revocation.clone(), self.revocation.is_some());
        let preset = |issuer: Option<String>, device_authorization, token, revocation: Option<String>| {
            Ok(Endpoints {
                issuer: issuer.map(String::into_boxed_str),
                device_authorization,
                token,
                revocation: by_hand.clone().or(revocation),
                revocation_by_hand,
                auth_methods: Vec::new(),
            })
        };
        let entra = |base: &str| {
            let endpoint = |name| format!("{base}/oauth2/v2.0/{name}");
            preset(Some(format!("{base}/v2.0")), endpoint("devicecode"), endpoint("token"), None)
        };
        match self.kind {
            Kind::Endpoints { device_authorization, token } => preset(None, device_authorization, token, None),
            Kind::Metadata(metadata) => {
                let token = metadata.token_endpoint();
                let Some(device_authorization) = metadata.device_authorization_endpoint() else {
                    return Err(ConfigError::NoDeviceAuthorizationEndpoint {
                        issuer: printable(metadata.issuer()),
                        token_endpoint: printable(token),
                    });
                };
                Ok(Endpoints {
                    issuer: Some(Box::from(metadata.issuer())),
                    device_authorization: String::from(device_authorization),
                    token: String::from(token),
                    revocation: by_hand.or_else(|| metadata.revocation_endpoint().map(String::from)),
                    revocation_by_hand,
                    auth_methods: metadata.token_endpoint_auth_methods().map(String::from).collect(),
                })
            }
            Kind::Entra { cloud, tenant } => {
                check_name(&tenant)?;
                entra(&format!("https://{}/{tenant}", cloud.host()))
            }
            Kind::EntraExternal { subdomain } => {
                check_name(&subdomain)?;
                entra(&format!("https://{subdomain}.ciamlogin.com/{subdomain}.onmicrosoft.com"))
            }
            Kind::Adfs { host } => {
                check_name(&host)?;
                let base = format!("https://{host}/adfs");
                let endpoint = |name| format!("{base}/oauth2/{name}");
                preset(Some(base.clone()), endpoint("devicecode"), endpoint("token"), None)
            }
            Kind::GitHub { host } => {
                check_name(&host)?;
                let base = format!("https://{host}/login");
                let endpoints = (format!("{base}/device/code"), format!("{base}/oauth/access_token"));
                // Its own way to revoke needs the client secret, which an installed program cannot keep.
                preset(Some(format!("{base}/oauth")), endpoints.0, endpoints.1, None)
            }
            Kind::GitLab { host } => {
                check_name(&host)?;
                let base = format!("https://{host}");
                let endpoints = (format!("{base}/oauth/authorize_device"), format!("{base}/oauth/token"));
                let revocation = format!("{base}/oauth/revoke");
                preset(Some(base), endpoints.0, endpoints.1, Some(revocation))
            }
            Kind::Google => preset(
                Some(String::from("https://accounts.google.com")),
                String::from("https://oauth2.googleapis.com/device/code"),
                String::from("https://oauth2.googleapis.com/token"),
                Some(String::from("https://oauth2.googleapis.com/revoke")),
            ),
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

pub(super) struct Endpoints {
    pub(super) issuer: Option<Box<str>>,
    pub(super) device_authorization: String,
    pub(super) token: String,
    pub(super) revocation: Option<String>,
    pub(super) revocation_by_hand: bool,
    /// Empty when unknown.
    pub(super) auth_methods: Vec<String>,
}

/// Checks the name of a host (with port) or tenant, which goes into a URL as it stands.
fn check_name(name: &str) -> Result<(), ConfigError> {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    let dots = name.split('.').any(str::is_empty);
    if name.is_empty() || dots || !name.bytes().all(known) { Err(ConfigError::Name(printable(name))) } else { Ok(()) }
}
