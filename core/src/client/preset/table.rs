//! Owns the table of servers that are known by name.

use super::{Form, Need, Preset, Server, Urls};
use crate::client::{EntraCloud, Provider};
use alloc::string::String;

const fn need(name: &'static str, form: Form, about: &'static str) -> Need {
    Need { name, about, default: None, form }
}

const fn optional(name: &'static str, form: Form, default: &'static str, about: &'static str) -> Need {
    Need { name, about, default: Some(default), form }
}

const HOST: Need = need("host", Form::Host, "the host of the server, such as login.example.com");
const PATH: Need = optional("path", Form::Path, "", "the path that the server is installed under, such as /auth");
const TENANT: Need =
    optional("tenant", Form::Name, "common", "the tenant: its id or domain, organizations, consumers or common");
const CLOUD: Need = optional(
    "cloud",
    Form::Word(&[
        (EntraCloud::Public.word(), EntraCloud::Public.host()),
        (EntraCloud::UsGovernment.word(), EntraCloud::UsGovernment.host()),
        (EntraCloud::China.word(), EntraCloud::China.host()),
    ]),
    "public",
    "the cloud that the app is registered in: public, us-gov or china",
);

const fn entra(base: &'static str) -> Urls {
    Urls {
        base,
        issuer: Some("/v2.0"),
        device_authorization: "/oauth2/v2.0/devicecode",
        token: "/oauth2/v2.0/token",
        revocation: None,
    }
}

pub(in crate::client) const ADFS: Preset = Preset {
    name: "adfs",
    about: "Active Directory Federation Services 2019 or newer",
    needs: &[HOST],
    server: Server::At(Urls {
        base: "https://{host}/adfs",
        issuer: Some(""),
        device_authorization: "/oauth2/devicecode",
        token: "/oauth2/token",
        revocation: None,
    }),
};

const AUTH0: Preset = Preset {
    name: "auth0",
    about: "Auth0; an API is named by its audience",
    needs: &[need("host", Form::Host, "the domain of the tenant, such as example.eu.auth0.com, or your own")],
    server: Server::At(Urls {
        base: "https://{host}",
        issuer: Some("/"),
        device_authorization: "/oauth/device/code",
        token: "/oauth/token",
        revocation: Some("/oauth/revoke"),
    }),
};

const AUTHENTIK: Preset = Preset {
    name: "authentik",
    about: "authentik",
    needs: &[HOST, need("slug", Form::Segment, "the slug of the application")],
    server: Server::At(Urls {
        base: "https://{host}/application/o",
        issuer: Some("/{slug}/"),
        device_authorization: "/device/",
        token: "/token/",
        revocation: Some("/revoke/"),
    }),
};

const DEX: Preset = Preset {
    name: "dex",
    about: "Dex",
    needs: &[HOST, optional("path", Form::Path, "", "the path of its issuer, such as /dex")],
    server: Server::At(Urls {
        base: "https://{host}{path}",
        issuer: Some(""),
        device_authorization: "/device/code",
        token: "/token",
        revocation: None,
    }),
};

const DOCKER: Preset = Preset {
    name: "docker",
    about: "Docker Hub",
    needs: &[],
    server: Server::At(Urls {
        base: "https://login.docker.com",
        issuer: Some("/"),
        device_authorization: "/oauth/device/code",
        token: "/oauth/token",
        revocation: Some("/oauth/revoke"),
    }),
};

pub(in crate::client) const ENTRA: Preset = Preset {
    name: "entra",
    about: "Microsoft Entra ID; the app must allow public client flows",
    needs: &[TENANT, CLOUD],
    server: Server::At(entra("https://{cloud}/{tenant}")),
};

const ENTRA_CHINA: Preset = Preset {
    name: "entra-china",
    about: "Microsoft Entra ID in China, operated by 21Vianet",
    needs: &[TENANT],
    server: Server::At(entra("https://login.partner.microsoftonline.cn/{tenant}")),
};

pub(in crate::client) const ENTRA_EXTERNAL: Preset = Preset {
    name: "entra-external",
    about: "Microsoft Entra External ID (CIAM)",
    needs: &[need("subdomain", Form::Name, "the part before .ciamlogin.com")],
    server: Server::At(entra("https://{subdomain}.ciamlogin.com/{subdomain}.onmicrosoft.com")),
};

const ENTRA_US_GOV: Preset = Preset {
    name: "entra-us-gov",
    about: "Microsoft Entra ID for the government of the United States",
    needs: &[TENANT],
    server: Server::At(entra("https://login.microsoftonline.us/{tenant}")),
};

pub(in crate::client) const GITHUB: Preset = Preset {
    name: "github",
    about: "GitHub; the device flow must be enabled in the app's settings",
    needs: &[optional(
        "host",
        Form::Host,
        "github.com",
        "the host of an Enterprise Server, or NAME.ghe.com for Enterprise Cloud with data residency",
    )],
    // Its own way to revoke needs the client secret, which an installed program cannot keep.
    server: Server::At(Urls {
        base: "https://{host}/login",
        issuer: Some("/oauth"),
        device_authorization: "/device/code",
        token: "/oauth/access_token",
        revocation: None,
    }),
};

/// Its metadata does not name the device authorization endpoint.
pub(in crate::client) const GITLAB: Preset = Preset {
    name: "gitlab",
    about: "GitLab 17.2 or newer",
    needs: &[optional("host", Form::Host, "gitlab.com", "the host of any other GitLab")],
    server: Server::At(Urls {
        base: "https://{host}",
        issuer: Some(""),
        device_authorization: "/oauth/authorize_device",
        token: "/oauth/token",
        revocation: Some("/oauth/revoke"),
    }),
};

pub(in crate::client) const GOOGLE: Preset = Preset {
    name: "google",
    about: "Google, for clients of the type \"TVs and Limited Input devices\", which have a secret",
    needs: &[],
    server: Server::At(Urls {
        base: "https://oauth2.googleapis.com",
        issuer: Some("https://accounts.google.com"),
        device_authorization: "/device/code",
        token: "/token",
        revocation: Some("/revoke"),
    }),
};

const HUGGING_FACE: Preset = Preset {
    name: "huggingface",
    about: "Hugging Face",
    needs: &[],
    server: Server::At(Urls {
        base: "https://huggingface.co",
        issuer: Some(""),
        device_authorization: "/oauth/device",
        token: "/oauth/token",
        revocation: None,
    }),
};

/// Installations write their issuer with a slash at its end or without.
const HYDRA: Preset = Preset {
    name: "hydra",
    about: "Ory Hydra, on its public port",
    needs: &[HOST],
    server: Server::At(ory("https://{host}")),
};

const ORY: Preset = Preset {
    name: "ory",
    about: "Ory Network",
    needs: &[need("slug", Form::Host, "the slug of the project: the part before .projects.oryapis.com")],
    server: Server::At(ory("https://{slug}.projects.oryapis.com")),
};

const fn ory(base: &'static str) -> Urls {
    Urls {
        base,
        issuer: None,
        device_authorization: "/oauth2/device/auth",
        token: "/oauth2/token",
        revocation: Some("/oauth2/revoke"),
    }
}

const KEYCLOAK: Preset = Preset {
    name: "keycloak",
    about: "Keycloak; before version 17 its path is /auth",
    needs: &[HOST, need("realm", Form::Segment, "the name of the realm"), PATH],
    server: Server::At(Urls {
        base: "https://{host}{path}/realms/{realm}",
        issuer: Some(""),
        device_authorization: "/protocol/openid-connect/auth/device",
        token: "/protocol/openid-connect/token",
        revocation: Some("/protocol/openid-connect/revoke"),
    }),
};

const OKTA: Preset = Preset {
    name: "okta",
    about: "Okta, one of its custom authorization servers",
    needs: &[OKTA_HOST, optional("server", Form::Segment, "default", "the id of the authorization server")],
    server: Server::At(okta("https://{host}/oauth2/{server}", "", "/v1/device/authorize", "/v1/token", "/v1/revoke")),
};

const OKTA_ORG: Preset = Preset {
    name: "okta-org",
    about: "Okta, the authorization server of the organization itself",
    needs: &[OKTA_HOST],
    server: Server::At(okta(
        "https://{host}",
        "",
        "/oauth2/v1/device/authorize",
        "/oauth2/v1/token",
        "/oauth2/v1/revoke",
    )),
};

const OKTA_HOST: Need = need("host", Form::Host, "the domain of the organization, such as example.okta.com");

const fn okta(
    base: &'static str,
    issuer: &'static str,
    device_authorization: &'static str,
    token: &'static str,
    revocation: &'static str,
) -> Urls {
    Urls { base, issuer: Some(issuer), device_authorization, token, revocation: Some(revocation) }
}

const PING_ONE: Preset = Preset {
    name: "pingone",
    about: "PingOne",
    needs: &[
        need("environment", Form::Segment, "the id of the environment"),
        optional(
            "host",
            Form::Host,
            "auth.pingone.com",
            "the host of your region, such as auth.pingone.eu, or your own",
        ),
    ],
    server: Server::At(Urls {
        base: "https://{host}/{environment}/as",
        issuer: Some(""),
        device_authorization: "/device_authorization",
        token: "/token",
        revocation: Some("/revoke"),
    }),
};

/// The answer brings no ID token and no issuer.
const WORK_OS: Preset = Preset {
    name: "workos",
    about: "WorkOS AuthKit",
    needs: &[],
    server: Server::At(Urls {
        base: "https://api.workos.com/user_management",
        issuer: None,
        device_authorization: "/authorize/device",
        token: "/authenticate",
        revocation: None,
    }),
};

const ZITADEL: Preset = Preset {
    name: "zitadel",
    about: "Zitadel",
    needs: &[HOST],
    server: Server::At(Urls {
        base: "https://{host}",
        issuer: Some(""),
        device_authorization: "/oauth/v2/device_authorization",
        token: "/oauth/v2/token",
        revocation: Some("/oauth/v2/revoke"),
    }),
};

/// The host of a server that has one place only, or another one for its tests.
const fn usual(host: &'static str) -> Need {
    optional("host", Form::Host, host, "another host, such as that of a test system")
}

/// A server that does not speak RFC 8628.
const fn dialect(
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    provider: fn(&[String]) -> Provider,
) -> Preset {
    Preset { name, about, needs, server: Server::Dialect(provider) }
}

fn value(values: &[String], number: usize) -> &str {
    values.get(number).map_or("", String::as_str)
}

const AWS: Preset = dialect(
    "aws",
    "AWS IAM Identity Center, where the client registers itself",
    &[
        need("region", Form::Name, "the region of your Identity Center, such as eu-west-1"),
        need("start-url", Form::Url, "the address of your organization's access portal"),
        optional("host", Form::Host, "", "another host than that of the region, such as that of a test system"),
    ],
    |values| {
        let provider = Provider::aws(value(values, 0), value(values, 1));
        let host = value(values, 2);
        if host.is_empty() { provider } else { provider.at_host(host) }
    },
);

const ENTRA_V1: Preset = dialect(
    "entra-v1",
    "Microsoft's first endpoints, for one API (its resource)",
    &[TENANT, optional("host", Form::Host, EntraCloud::Public.host(), "the host of another cloud")],
    |values| Provider::entra_v1(EntraCloud::Public, value(values, 0)).at_host(value(values, 1)),
);

const FACEBOOK: Preset = dialect(
    "facebook",
    "Facebook; the client token of the app is its secret",
    &[optional("graph-version", Form::Name, "v16.0", "the version of the Graph API"), usual("graph.facebook.com")],
    |values| Provider::facebook(value(values, 0)).at_host(value(values, 1)),
);

const GOOGLE_TV: Preset = dialect(
    "google-tv",
    "Google, with the older grant of clients for televisions, and their secret",
    &[usual("oauth2.googleapis.com")],
    |values| Provider::google_tv().at_host(value(values, 0)),
);

const SALESFORCE: Preset = dialect(
    "salesforce",
    "Salesforce; the app must be installed in the organization",
    &[optional("host", Form::Host, "login.salesforce.com", "test.salesforce.com for a sandbox, or your My Domain")],
    |values| Provider::salesforce(value(values, 0)),
);

const TRAKT: Preset = dialect("trakt", "Trakt, with the secret of the app", &[usual("api.trakt.tv")], |values| {
    Provider::trakt().at_host(value(values, 0))
});

const TWITCH: Preset =
    dialect("twitch", "Twitch, for applications of the type Public", &[usual("id.twitch.tv")], |values| {
        Provider::twitch().at_host(value(values, 0))
    });

const YANDEX: Preset =
    dialect("yandex", "Yandex ID, with the secret of the app", &[usual("oauth.yandex.ru")], |values| {
        Provider::yandex().at_host(value(values, 0))
    });

pub(super) static ALL: [Preset; 29] = [
    ADFS,
    AUTH0,
    AUTHENTIK,
    AWS,
    DEX,
    DOCKER,
    ENTRA,
    ENTRA_CHINA,
    ENTRA_EXTERNAL,
    ENTRA_US_GOV,
    ENTRA_V1,
    FACEBOOK,
    GITHUB,
    GITLAB,
    GOOGLE,
    GOOGLE_TV,
    HUGGING_FACE,
    HYDRA,
    KEYCLOAK,
    OKTA,
    OKTA_ORG,
    ORY,
    PING_ONE,
    SALESFORCE,
    TRAKT,
    TWITCH,
    WORK_OS,
    YANDEX,
    ZITADEL,
];

#[cfg(test)]
mod tests {
    use super::*;

    // What these functions are given is in its place: rows that are made of the wrong ones still compile.
    #[test]
    fn the_parts_of_a_row_are_in_their_places() {
        let urls = okta("base", "issuer", "device", "token", "revocation");
        assert_eq!(
            (urls.base, urls.issuer, urls.device_authorization, urls.token, urls.revocation),
            ("base", Some("issuer"), "device", "token", Some("revocation"))
        );
        for (urls, token, revocation) in
            [(entra("base"), "/oauth2/v2.0/token", None), (ory("base"), "/oauth2/token", Some("/oauth2/revoke"))]
        {
            assert_eq!((urls.base, urls.token, urls.revocation), ("base", token, revocation));
        }
        let plain = need("realm", Form::Segment, "about");
        assert_eq!((plain.name(), plain.about(), plain.default()), ("realm", "about", None));
        let other = usual("host.example");
        assert_eq!((other.name(), other.default()), ("host", Some("host.example")));
        let row = dialect("name", "about", &[HOST], |_| Provider::twitch());
        assert_eq!((row.name(), row.about(), row.needs().len()), ("name", "about", 1));
    }
}
