//! Owns the authority of an account: environment and realm, and which spellings of them mean the same.

use crate::IdTokenClaims;
use crate::url::Url;
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};

/// The server that accounts belong to, as a token cache names it.
///
/// Two servers never share an authority, so a token of one is never found for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    environment: Box<str>,
    realm: Box<str>,
    kind: AuthorityKind,
    /// What version 0.1.0 called it; empty where that could be another server, too.
    former: Box<str>,
}

/// The kind of server of an [`Authority`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorityKind {
    /// Microsoft Entra ID, B2C and External ID: many tenants on one host, families of clients.
    Entra,
    /// Active Directory Federation Services.
    Adfs,
    /// Any other server.
    Generic,
}

impl AuthorityKind {
    /// As `authority_type` has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Entra => "MSSTS",
            Self::Adfs => "ADFS",
            Self::Generic => "Generic",
        }
    }
}

impl Authority {
    /// The server at a URL, its issuer or, when that is not known, its token endpoint. Microsoft's hosts and paths are
    /// known. For any other server the environment is the URL as it is, with scheme and host as the URL standard
    /// normalises them: two issuers on one host have nothing in common.
    #[must_use]
    pub fn at(url: &str) -> Self {
        let Ok(parsed) = Url::parse(url) else { return Self::generic(&["https://", url].concat(), "") };
        let host = parsed.host_str().unwrap_or_default();
        let mut place = String::from(host);
        if let Some(port) = parsed.port() {
            place.push(':');
            place.push_str(&port.to_string());
        }
        let path = parsed.path().trim_matches('/');
        // B2C writes `/tfp/{tenant}/{policy}`.
        let tenant = path.strip_prefix("tfp/").unwrap_or(path).split('/').next().unwrap_or_default();
        if tenant.eq_ignore_ascii_case("adfs") {
            return Self::new(&place, tenant, AuthorityKind::Adfs);
        }
        let suffixes = [".ciamlogin.com", ".b2clogin.com", ".b2clogin.cn", ".b2clogin.us"];
        if is_microsoft(host) || suffixes.iter().any(|suffix| host.ends_with(suffix)) {
            return Self::new(&place, tenant, AuthorityKind::Entra);
        }
        // The path and the query as they are: the URL standard would normalise them, and a server may tell them apart.
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let rest = rest.find(['/', '?', '#']).and_then(|start| rest.get(start..)).unwrap_or_default();
        let environment = [parsed.scheme(), "://", &place, rest].concat();
        if parsed.scheme() != "https" || parsed.query().is_some() {
            return Self::generic(&environment, "");
        }
        if !path.is_empty() {
            place.push('/');
            place.push_str(path);
        }
        Self::generic(&environment, &place)
    }

    /// A tenant of Microsoft Entra ID, or of a server that behaves like it, on that host.
    #[must_use]
    pub fn entra(host: &str, tenant: &str) -> Self {
        Self::new(host, tenant, AuthorityKind::Entra)
    }

    fn new(environment: &str, realm: &str, kind: AuthorityKind) -> Self {
        Self { environment: Box::from(environment), realm: Box::from(realm), kind, former: Box::default() }
    }

    /// A server that is none of those whose tokens programs share, whatever its host.
    pub(crate) fn generic(environment: &str, former: &str) -> Self {
        Self { former: Box::from(former), ..Self::new(environment, "", AuthorityKind::Generic) }
    }

    /// The host, as `environment` in a cache has it; for a server other than Microsoft's its URL.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The tenant, as it was configured; empty for a server without tenants.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The kind of server.
    #[must_use]
    pub fn kind(&self) -> AuthorityKind {
        self.kind
    }

    /// Whether an ID token from this server may name its issuer. Each tenant of Microsoft's has an issuer of its own,
    /// with its id in it. `issuer` is the configured one, or `None` when it is not known.
    pub(crate) fn may_name(&self, claims: &IdTokenClaims, issuer: Option<&str>) -> bool {
        let found = claims.raw_issuer();
        // Google documents that the scheme may be missing.
        let google = |issuer: &str| issuer == "https://accounts.google.com" && found == "accounts.google.com";
        issuer.is_none_or(|issuer| issuer == found || google(issuer)) || self.is_tenant(found, claims.raw_tenant())
    }

    /// Whether this is the issuer of that tenant, in version 2 or 1 of Microsoft's tokens, on a host of the same cloud.
    fn is_tenant(&self, issuer: &str, tenant: Option<&str>) -> bool {
        let (Some(issuer), Some(tenant)) = (issuer.strip_prefix("https://"), tenant) else { return false };
        let Some((host, path)) = issuer.split_once('/') else { return false };
        let external = |host: &str| host.ends_with(".ciamlogin.com");
        self.kind == AuthorityKind::Entra
            && matches!(path.strip_prefix(tenant), Some("/v2.0" | "/"))
            && (self.knows(host) || (external(host) && external(&self.environment)))
    }

    /// Whether this environment is the same server, perhaps under another name.
    #[must_use]
    pub fn knows(&self, environment: &str) -> bool {
        match self.kind {
            AuthorityKind::Entra | AuthorityKind::Adfs => same_environment(&self.environment, environment),
            AuthorityKind::Generic => {
                *self.environment == *environment || (!self.former.is_empty() && *self.former == *environment)
            }
        }
    }

    /// One name for all the names of a server.
    pub(super) fn canonical(&self) -> &str {
        cloud(&self.environment).and_then(|hosts| hosts.first()).copied().unwrap_or(&self.environment)
    }
}

/// Hosts that are the same cloud (every MSAL has this list). Requests go to the first; the second of the public cloud
/// is the one that most MSALs write.
const CLOUDS: [&[&str]; 8] = [
    &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login-us.microsoftonline.com"],
    &["login.microsoftonline.de"],
    &["login.sovcloud-identity.fr"],
    &["login.sovcloud-identity.de"],
    &["login.sovcloud-identity.sg"],
];

fn cloud(host: &str) -> Option<&'static [&'static str]> {
    CLOUDS.into_iter().find(|hosts| hosts.iter().any(|known| known.eq_ignore_ascii_case(host)))
}

fn is_microsoft(host: &str) -> bool {
    cloud(host).is_some()
}

pub(super) fn same_environment(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || cloud(one).is_some_and(|hosts| hosts.iter().any(|known| known.eq_ignore_ascii_case(other)))
}

/// The name of a server to write. All MSALs except Python's use this one for the public cloud.
pub(super) fn preferred_cache(environment: &str) -> &str {
    if cloud(environment).is_some_and(|hosts| hosts.contains(&"login.windows.net")) {
        "login.windows.net"
    } else {
        environment
    }
}

/// Names of no tenant in particular: they sign a person in at the home tenant.
fn is_home(realm: &str) -> bool {
    ["common", "organizations", "consumers"].iter().any(|name| name.eq_ignore_ascii_case(realm))
}

/// The tenant that a home account id (`uid.utid`) ends with.
pub(super) fn home_tenant(home_account_id: &str) -> &str {
    home_account_id.rsplit_once('.').map_or("", |(_, tenant)| tenant)
}

/// Whether two realms mean the same tenant for this account: some MSALs write `organizations` where others write the
/// home tenant that answered to it.
pub(super) fn same_realm(one: &str, other: &str, home_account_id: &str) -> bool {
    let resolve = |realm| if is_home(realm) { home_tenant(home_account_id) } else { realm };
    one.eq_ignore_ascii_case(other)
        || ((is_home(one) || is_home(other)) && resolve(one).eq_ignore_ascii_case(resolve(other)))
}
