//! Owns where a server is: endpoints by hand, from metadata, or from a preset.

use super::ConfigError;
use crate::Metadata;
use crate::prompt::printable;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// An authorization server: its endpoints, or how to know them.
///
/// Presets hold what the providers document; no client id of anyone is built in.
#[derive(Clone, Debug)]
pub struct Provider(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Endpoints { device_authorization: String, token: String },
    Metadata(Box<Metadata>),
    Entra { cloud: EntraCloud, tenant: String },
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
    /// Both endpoints by hand, used verbatim.
    #[must_use]
    pub fn endpoints(device_authorization: impl Into<String>, token: impl Into<String>) -> Self {
        Self(Kind::Endpoints { device_authorization: device_authorization.into(), token: token.into() })
    }

    /// Microsoft Entra ID. `tenant` is a tenant's id or domain, `organizations`, `consumers` or `common`. The app must
    /// allow public client flows; ask for `offline_access` to get a refresh token.
    #[must_use]
    pub fn entra(cloud: EntraCloud, tenant: impl Into<String>) -> Self {
        Self(Kind::Entra { cloud, tenant: tenant.into() })
    }

    /// GitHub.com. The device flow must be enabled in the app's settings; there is no secret.
    #[must_use]
    pub fn github() -> Self {
        Self::github_enterprise("github.com")
    }

    /// A GitHub Enterprise Server on its own host.
    #[must_use]
    pub fn github_enterprise(host: impl Into<String>) -> Self {
        Self(Kind::GitHub { host: host.into() })
    }

    /// GitLab.com, 17.2 or newer.
    #[must_use]
    pub fn gitlab() -> Self {
        Self::gitlab_at("gitlab.com")
    }

    /// A GitLab on its own host. Its metadata does not name the device authorization endpoint, so discovery does not do.
    #[must_use]
    pub fn gitlab_at(host: impl Into<String>) -> Self {
        Self(Kind::GitLab { host: host.into() })
    }

    /// Google, for clients of the type "TVs and Limited Input devices". They have a secret: give it with
    /// [`client_secret_post`](crate::ClientBuilder::client_secret_post).
    #[must_use]
    pub fn google() -> Self {
        Self(Kind::Google)
    }

    pub(super) fn resolve(self) -> Result<Endpoints, ConfigError> {
        let preset = |issuer: Option<String>, device_authorization, token| {
            Ok(Endpoints {
                issuer: issuer.map(String::into_boxed_str),
                device_authorization,
                token,
                auth_methods: Vec::new(),
            })
        };
        match self.0 {
            Kind::Endpoints { device_authorization, token } => preset(None, device_authorization, token),
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
                    auth_methods: metadata.token_endpoint_auth_methods().map(String::from).collect(),
                })
            }
            Kind::Entra { cloud, tenant } => {
                check_name(&tenant)?;
                let base = format!("https://{}/{tenant}", cloud.host());
                let endpoint = |name| format!("{base}/oauth2/v2.0/{name}");
                preset(Some(format!("{base}/v2.0")), endpoint("devicecode"), endpoint("token"))
            }
            Kind::GitHub { host } => {
                check_name(&host)?;
                let base = format!("https://{host}/login");
                let endpoints = (format!("{base}/device/code"), format!("{base}/oauth/access_token"));
                preset(Some(format!("{base}/oauth")), endpoints.0, endpoints.1)
            }
            Kind::GitLab { host } => {
                check_name(&host)?;
                let base = format!("https://{host}");
                let endpoints = (format!("{base}/oauth/authorize_device"), format!("{base}/oauth/token"));
                preset(Some(base), endpoints.0, endpoints.1)
            }
            Kind::Google => preset(
                Some(String::from("https://accounts.google.com")),
                String::from("https://oauth2.googleapis.com/device/code"),
                String::from("https://oauth2.googleapis.com/token"),
            ),
        }
    }
}

impl From<Metadata> for Provider {
    /// What [`Discovery`](crate::Discovery) found.
    fn from(metadata: Metadata) -> Self {
        Self(Kind::Metadata(Box::new(metadata)))
    }
}

pub(super) struct Endpoints {
    pub(super) issuer: Option<Box<str>>,
    pub(super) device_authorization: String,
    pub(super) token: String,
    /// Empty: unknown.
    pub(super) auth_methods: Vec<String>,
}

/// A host (with port) or tenant name, which goes into a URL as it stands.
fn check_name(name: &str) -> Result<(), ConfigError> {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    let dots = name.split('.').any(str::is_empty);
    if name.is_empty() || dots || !name.bytes().all(known) { Err(ConfigError::Name(printable(name))) } else { Ok(()) }
}
