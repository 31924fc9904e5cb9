//! Owns the one table of settings: how each is called as a flag, in the environment and in a profile, and what it
//! belongs to.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// What a setting belongs to. It decides what stays when one source of settings replaces another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Together they name the authorization server.
    Server,
    /// What a server that is known by name has to be told.
    Place,
    /// Valid for one client of one server only.
    Credential,
    /// What the client asks for.
    Request,
    /// About this computer: useful with any server.
    Local,
}

/// How many values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    One,
    Many,
}

macro_rules! settings {
    ($($key:ident, $name:literal, $variable:literal, $takes:ident, $group:ident;)*) => {
        /// One setting. The order is the one in which a new profile lists its settings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Key { $($key,)* }

        impl Key {
            pub(crate) const ALL: &[Self] = &[$(Self::$key,)*];

            const fn row(self) -> (&'static str, &'static str, Takes, Group) {
                match self { $(Self::$key => ($name, $variable, Takes::$takes, Group::$group),)* }
            }
        }
    };
}

// key, flag (`--…`) and key in a profile, environment variable, values, group
settings! {
    Provider,           "provider",            "DEVICE_FLOW_PROVIDER",            One,  Server;
    Issuer,             "issuer",              "DEVICE_FLOW_ISSUER",              One,  Server;
    DeviceEndpoint,     "device-endpoint",     "DEVICE_FLOW_DEVICE_ENDPOINT",     One,  Server;
    TokenEndpoint,      "token-endpoint",      "DEVICE_FLOW_TOKEN_ENDPOINT",      One,  Server;
    RevocationEndpoint, "revocation-endpoint", "DEVICE_FLOW_REVOCATION_ENDPOINT", One,  Server;
    Tenant,             "tenant",              "DEVICE_FLOW_TENANT",              One,  Place;
    Region,             "region",              "DEVICE_FLOW_REGION",              One,  Place;
    StartUrl,           "start-url",           "DEVICE_FLOW_START_URL",           One,  Place;
    GraphVersion,       "graph-version",       "DEVICE_FLOW_GRAPH_VERSION",       One,  Place;
    Host,               "host",                "DEVICE_FLOW_HOST",                One,  Place;
    Cloud,              "cloud",               "DEVICE_FLOW_CLOUD",               One,  Place;
    Realm,              "realm",               "DEVICE_FLOW_REALM",               One,  Place;
    Path,               "path",                "DEVICE_FLOW_PATH",                One,  Place;
    Server,             "server",              "DEVICE_FLOW_SERVER",              One,  Place;
    Slug,               "slug",                "DEVICE_FLOW_SLUG",                One,  Place;
    Subdomain,          "subdomain",           "DEVICE_FLOW_SUBDOMAIN",           One,  Place;
    Environment,        "environment",         "DEVICE_FLOW_ENVIRONMENT",         One,  Place;
    ClientId,           "client-id",           "DEVICE_FLOW_CLIENT_ID",           One,  Request;
    ClientSecretFile,   "client-secret-file",  "DEVICE_FLOW_CLIENT_SECRET_FILE",  One,  Credential;
    ClientKeyFile,      "client-key-file",     "DEVICE_FLOW_CLIENT_KEY_FILE",     One,  Credential;
    ClientCertificate,  "client-certificate",  "DEVICE_FLOW_CLIENT_CERTIFICATE",  One,  Credential;
    ClientAuth,         "client-auth",         "DEVICE_FLOW_CLIENT_AUTH",         One,  Credential;
    ClientIdInBody,     "client-id-in-body",   "DEVICE_FLOW_CLIENT_ID_IN_BODY",   One,  Credential;
    Dpop,               "dpop",                "DEVICE_FLOW_DPOP",                One,  Request;
    Pkce,               "pkce",                "DEVICE_FLOW_PKCE",                One,  Request;
    Scope,              "scope",               "DEVICE_FLOW_SCOPE",               Many, Request;
    Audience,           "audience",            "DEVICE_FLOW_AUDIENCE",            One,  Request;
    Resource,           "resource",            "DEVICE_FLOW_RESOURCE",            Many, Request;
    AuthorizationDetails, "authorization-details", "DEVICE_FLOW_AUTHORIZATION_DETAILS", One, Request;
    LoginHint,          "login-hint",          "DEVICE_FLOW_LOGIN_HINT",          One,  Request;
    AcrValues,          "acr-values",          "DEVICE_FLOW_ACR_VALUES",          One,  Request;
    DeviceParameter,    "device-parameter",    "DEVICE_FLOW_DEVICE_PARAMETER",    Many, Request;
    TokenParameter,     "token-parameter",     "DEVICE_FLOW_TOKEN_PARAMETER",     Many, Request;
    Account,            "account",             "DEVICE_FLOW_ACCOUNT",             One,  Credential;
    Language,           "language",            "DEVICE_FLOW_LANGUAGE",            One,  Request;
    AllowHttpLoopback,  "allow-http-loopback", "DEVICE_FLOW_ALLOW_HTTP_LOOPBACK", One,  Request;
    GitHost,            "git-host",            "DEVICE_FLOW_GIT_HOST",            Many, Request;
    TokenHost,          "token-host",          "DEVICE_FLOW_TOKEN_HOST",          Many, Request;
    TokenUsername,      "token-username",      "DEVICE_FLOW_TOKEN_USERNAME",      One,  Request;
    Store,              "store",               "DEVICE_FLOW_STORE",               One,  Local;
    TokenFile,          "token-file",          "DEVICE_FLOW_TOKEN_FILE",          One,  Local;
    AgeKeyFile,         "age-key-file",        "DEVICE_FLOW_AGE_KEY_FILE",        One,  Local;
    CaFile,             "ca-file",             "DEVICE_FLOW_CA_FILE",             One,  Local;
    AddCaFile,          "add-ca-file",         "DEVICE_FLOW_ADD_CA_FILE",         One,  Local;
    Proxy,              "proxy",               "DEVICE_FLOW_PROXY",               One,  Local;
    ConnectTimeout,     "connect-timeout",     "DEVICE_FLOW_CONNECT_TIMEOUT",     One,  Local;
    RequestTimeout,     "request-timeout",     "DEVICE_FLOW_REQUEST_TIMEOUT",     One,  Local;
}

impl Key {
    /// The name of the flag, without its dashes, and of the key in a profile.
    pub(crate) const fn name(self) -> &'static str {
        self.row().0
    }

    pub(crate) const fn variable(self) -> &'static str {
        self.row().1
    }

    pub(crate) fn takes_many(self) -> bool {
        self.row().2 == Takes::Many
    }

    pub(crate) const fn group(self) -> Group {
        self.row().3
    }

    /// Whether two values of it mean two servers. The tenants of one Entra share their clients, and may share accounts.
    pub(crate) fn tells_servers_apart(self) -> bool {
        self.group() == Group::Place && self != Self::Tenant
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.name() == name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| serde::de::Error::custom("an unknown setting"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic to report")]
mod tests {
    use super::*;
    use crate::args::SignInOptions;
    use clap::{ArgAction, CommandFactory as _, Parser as _};
    use device_flow_tokio::Preset;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn the_table_and_the_flags_agree() {
        let command = SignInOptions::command();
        let flag = |arg: &clap::Arg| (arg.get_id().to_string(), (arg.get_long().map(str::to_owned), takes_many(arg)));
        let flags: BTreeMap<_, _> = command.get_arguments().map(flag).collect();
        let row = |key: &Key| (key.name().replace('-', "_"), (Some(key.name().to_owned()), key.takes_many()));
        let table: BTreeMap<_, _> = Key::ALL.iter().map(row).collect();
        assert_eq!((table.len(), flags), (Key::ALL.len(), table));
    }

    fn takes_many(arg: &clap::Arg) -> bool {
        matches!(arg.get_action(), ArgAction::Append)
    }

    // W07: what the core's table asks for can be said, and nothing else can.
    #[test]
    fn w07_every_need_of_a_provider_is_an_option_and_every_such_option_is_a_need() {
        let needs: BTreeSet<_> =
            Preset::all().iter().flat_map(Preset::needs).map(device_flow_tokio::Need::name).collect();
        let places: BTreeSet<_> =
            Key::ALL.iter().filter(|key| key.group() == Group::Place).map(|key| key.name()).collect();
        assert_eq!(needs, places);
        for name in needs {
            let options = SignInOptions::try_parse_from([format!("--{name}=x")]).unwrap();
            assert_eq!(options.target.place.get(name), Some("x"), "{name}");
        }
    }

    #[test]
    fn a_variable_is_called_like_its_flag() {
        for key in Key::ALL {
            let name = key.name().replace('-', "_").to_ascii_uppercase();
            assert_eq!(key.variable(), format!("DEVICE_FLOW_{name}"));
        }
    }
}
