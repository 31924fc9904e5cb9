//! Owns which servers there are, and where each has its endpoints.

use super::{Keycloak, sources};
use std::fs;

/// Which authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// oidc-provider (Node.js). Never says `slow_down`; replaying a used device code revokes the tokens it gave.
    OidcProvider,
    /// Authlib with Flask. Says `slow_down` by the strictest rule: a poll sooner than the interval after the one
    /// before, even a refused one, adds five seconds for good.
    Authlib,
    /// django-oauth-toolkit. Never says `slow_down` nor `expired_token`: an expired code stays pending for ever.
    DjangoOauthToolkit,
    /// Keycloak (Java), on which a [`Server`](super::Server) is a [realm](super::Keycloak). Says `slow_down` to every
    /// poll sooner than the interval, even of an approved or denied code, and does not make the interval longer.
    Keycloak,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::OidcProvider, Self::Authlib, Self::DjangoOauthToolkit, Self::Keycloak];

    /// Every kind that can be started, for tests that hold on all of them: without Keycloak where none runs.
    pub fn here() -> Vec<Self> {
        Self::of(&Self::ALL)
    }

    /// The same of these kinds.
    pub fn of(kinds: &[Self]) -> Vec<Self> {
        let here = |kind: &Self| *kind != Self::Keycloak || Keycloak::is_running();
        if !kinds.iter().all(here) {
            eprintln!("not on Keycloak, since none runs: testkit/keycloak.sh");
        }
        kinds.iter().copied().filter(here).collect()
    }

    /// Its name and version, as they are pinned.
    ///
    /// # Panics
    /// When no file pins it, or no Keycloak runs.
    pub fn version(self) -> String {
        let (name, file, mark) = match self {
            Self::OidcProvider => ("oidc-provider", "package.json", "\"oidc-provider\": \""),
            Self::Authlib => ("Authlib", "requirements.txt", "Authlib=="),
            Self::DjangoOauthToolkit => ("django-oauth-toolkit", "requirements.txt", "django-oauth-toolkit=="),
            Self::Keycloak => return format!("Keycloak {}", Keycloak::running().version()),
        };
        let text = fs::read_to_string(sources().join(file)).expect("the versions of the servers");
        let version = text.split(mark).nth(1).and_then(|rest| rest.split(['"', '\n']).next());
        format!("{name} {}", version.expect("a pinned version"))
    }

    /// Where the server has its endpoints, below its base URL; on Keycloak below the realm.
    pub(super) const fn paths(self) -> Paths {
        match self {
            Self::OidcProvider => Paths {
                issuer: "",
                device_authorization: "/device/auth",
                token: "/token",
                revocation: "/token/revocation",
                verification: "/device",
            },
            Self::Authlib => Paths {
                issuer: "",
                device_authorization: "/device_authorization",
                token: "/token",
                revocation: "/revoke",
                verification: "/activate",
            },
            Self::DjangoOauthToolkit => Paths {
                issuer: "/o",
                device_authorization: "/o/device-authorization/",
                token: "/o/token/",
                revocation: "/o/revoke_token/",
                verification: "/o/device/",
            },
            Self::Keycloak => Paths {
                issuer: "",
                device_authorization: "/protocol/openid-connect/auth/device",
                token: "/protocol/openid-connect/token",
                revocation: "/protocol/openid-connect/revoke",
                verification: "/device",
            },
        }
    }
}

/// Where a server has its endpoints.
pub(super) struct Paths {
    pub(super) issuer: &'static str,
    pub(super) device_authorization: &'static str,
    pub(super) token: &'static str,
    pub(super) revocation: &'static str,
    pub(super) verification: &'static str,
}
