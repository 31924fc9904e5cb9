//! Owns the options that describe a sign-in: the server, the client, the request, where tokens are stored, how the
//! network is reached. A profile holds the same settings.

use super::{Helpers, duration};
use crate::completing;
use clap::builder::{FalseyValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, ValueEnum};
use clap_complete::engine::ArgValueCandidates;
use device_flow_tokio::Preset;
use std::path::PathBuf;
use std::time::Duration;

/// All options that can also be set in a profile or in the environment. The table of their names is `settings/key.rs`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(crate) struct SignInOptions {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) network: Network,
    #[command(flatten)]
    pub(crate) helpers: Helpers,
}

/// The server, the client, the request and the token store.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// A server that is known by name, such as entra, github or keycloak. `device-flow providers` lists them all, with
    /// the options that each of them takes.
    #[arg(long, value_name = "NAME", value_parser = provider(), hide_possible_values = true, help_heading = SERVER,
        conflicts_with_all = ["issuer", "device_endpoint", "token_endpoint"])]
    pub(crate) provider: Option<&'static Preset>,
    /// The issuer of a server that publishes metadata, exactly as the server writes it.
    #[arg(long, value_name = "URL", help_heading = SERVER, conflicts_with_all = ["device_endpoint", "token_endpoint"])]
    pub(crate) issuer: Option<String>,
    /// The device authorization endpoint.
    #[arg(long, value_name = "URL", help_heading = SERVER, requires = "token_endpoint")]
    pub(crate) device_endpoint: Option<String>,
    /// The token endpoint.
    #[arg(long, value_name = "URL", help_heading = SERVER, requires = "device_endpoint")]
    pub(crate) token_endpoint: Option<String>,
    /// The revocation endpoint, if the server has one (only with both other endpoints).
    #[arg(long, value_name = "URL", help_heading = SERVER, requires = "token_endpoint")]
    pub(crate) revocation_endpoint: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,

    /// The client id that is registered at the server.
    #[arg(long, value_name = "ID", value_parser = opaque, allow_hyphen_values = true, help_heading = CLIENT)]
    pub(crate) client_id: Option<String>,
    /// Read the client secret from this file, or from stdin with `-`. Most device clients have none.
    #[arg(long, value_name = "FILE", help_heading = CLIENT)]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// The private key of the client, in place of a secret: PEM or JWK. It signs every request (private_key_jwt).
    #[arg(long, value_name = "FILE", help_heading = CLIENT, conflicts_with = "client_secret_file")]
    pub(crate) client_key_file: Option<PathBuf>,
    /// The certificate of the client and its private key, in one PEM file, for servers that ask for it (mutual TLS).
    #[arg(long, value_name = "FILE", help_heading = CLIENT)]
    pub(crate) client_certificate: Option<PathBuf>,
    /// How the client proves who it is, if the server's metadata does not say or is wrong.
    #[arg(long, value_enum, value_name = "HOW", help_heading = CLIENT)]
    pub(crate) client_auth: Option<ClientAuth>,
    /// Send the client id in the body as well when the secret is in the header (django-oauth-toolkit needs it).
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL",
        value_parser = FalseyValueParser::new(), requires = "client_secret_file", help_heading = CLIENT, hide_possible_values = true)]
    pub(crate) client_id_in_body: Option<bool>,
    /// Bind the tokens to a key that never leaves this computer (DPoP), so that nobody else can use them.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL",
        value_parser = FalseyValueParser::new(), help_heading = CLIENT, hide_possible_values = true)]
    pub(crate) dpop: Option<bool>,
    /// Whether to use PKCE [default: if the server's metadata lists S256].
    #[arg(long, value_enum, value_name = "WHEN", help_heading = CLIENT)]
    pub(crate) pkce: Option<Pkce>,
    /// Scopes to request, separated by spaces; may be repeated.
    #[arg(long, value_name = "SCOPES", help_heading = CLIENT)]
    pub(crate) scope: Vec<String>,
    /// The API that the token is for, as Auth0 and others expect it.
    #[arg(long, help_heading = CLIENT)]
    pub(crate) audience: Option<String>,
    /// The API that the token is for, as a URI (RFC 8707); may be repeated.
    #[arg(long, value_name = "URI", help_heading = CLIENT)]
    pub(crate) resource: Vec<String>,
    /// What the token must allow, as a JSON array (RFC 9396).
    #[arg(long, value_name = "JSON", help_heading = CLIENT)]
    pub(crate) authorization_details: Option<String>,
    /// Who is expected to sign in, for the server's page: a user name or an e-mail address.
    #[arg(long, value_name = "NAME", help_heading = CLIENT)]
    pub(crate) login_hint: Option<String>,
    /// How well the person must prove who they are, in the server's own words (OpenID Connect acr_values).
    #[arg(long, value_name = "VALUES", help_heading = CLIENT)]
    pub(crate) acr_values: Option<String>,
    /// A further parameter of the request for a code; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter, help_heading = CLIENT)]
    pub(crate) device_parameter: Vec<Parameter>,
    /// A further parameter of every request for tokens; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter, help_heading = CLIENT)]
    pub(crate) token_parameter: Vec<Parameter>,
    /// The signed-in account to use: a user name or an account id.
    #[arg(long, value_name = "NAME", value_parser = opaque, allow_hyphen_values = true, help_heading = CLIENT,
        add = ArgValueCandidates::new(completing::accounts))]
    pub(crate) account: Option<String>,
    /// The language of the server's pages and messages, such as de-DE.
    #[arg(long, value_name = "TAG", help_heading = CLIENT)]
    pub(crate) language: Option<String>,
    /// Allow http:// on 127.0.0.0/8, [::1] and localhost, for development.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL",
        value_parser = FalseyValueParser::new(), help_heading = CLIENT, hide_possible_values = true)]
    pub(crate) allow_http_loopback: Option<bool>,

    /// Where tokens are stored [default: keyring].
    #[arg(long, value_enum, value_name = "WHERE", help_heading = STORAGE)]
    pub(crate) store: Option<StoreName>,
    /// The file for tokens, in the format of MSAL; implies --store file [default: tokens.json in your state folder].
    #[arg(long, value_name = "FILE", help_heading = STORAGE)]
    pub(crate) token_file: Option<PathBuf>,
    /// The key for --store age: a file of age-keygen, protected by a passphrase or not [default: a key of its own, with a
    /// passphrase that is asked for].
    #[arg(long, value_name = "FILE", help_heading = STORAGE)]
    pub(crate) age_key_file: Option<PathBuf>,
}

impl Target {
    /// Whether the server is the one that the core's table calls so.
    pub(crate) fn is_at(&self, provider: &str) -> bool {
        self.provider.is_some_and(|preset| preset.name() == provider)
    }
}

/// What a provider has to be told. Which of these it takes is in the core's table of presets.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Place {
    /// The host of the server: your own GitLab, a GitHub Enterprise Server (or NAME.ghe.com), Keycloak, Okta, Auth0 and
    /// others.
    #[arg(long, value_name = "HOST", help_heading = SERVER)]
    pub(crate) host: Option<String>,
    /// The tenant of Entra: an id, a domain, organizations, consumers or common [default: common].
    #[arg(long, value_name = "TENANT", help_heading = SERVER)]
    pub(crate) tenant: Option<String>,
    /// The cloud of Entra that the app is registered in: public, us-gov or china [default: public].
    #[arg(long, value_name = "CLOUD", help_heading = SERVER)]
    pub(crate) cloud: Option<String>,
    /// The realm of Keycloak.
    #[arg(long, value_name = "REALM", help_heading = SERVER)]
    pub(crate) realm: Option<String>,
    /// The path that Keycloak or Dex is installed under, such as /auth.
    #[arg(long, value_name = "PATH", help_heading = SERVER)]
    pub(crate) path: Option<String>,
    /// The id of the authorization server of Okta [default: default].
    #[arg(long, value_name = "ID", help_heading = SERVER)]
    pub(crate) server: Option<String>,
    /// The slug of the application at authentik, or of the project at Ory.
    #[arg(long, value_name = "SLUG", help_heading = SERVER)]
    pub(crate) slug: Option<String>,
    /// The part before .ciamlogin.com, for Entra External ID.
    #[arg(long, value_name = "NAME", help_heading = SERVER)]
    pub(crate) subdomain: Option<String>,
    /// The id of the environment of PingOne.
    #[arg(long, value_name = "ID", help_heading = SERVER)]
    pub(crate) environment: Option<String>,
    /// The region of your AWS IAM Identity Center, such as eu-west-1.
    #[arg(long, value_name = "NAME", help_heading = SERVER)]
    pub(crate) region: Option<String>,
    /// The address of your organization's access portal, for AWS.
    #[arg(long, value_name = "URL", help_heading = SERVER)]
    pub(crate) start_url: Option<String>,
    /// The version of the Graph API of Facebook [default: v16.0].
    #[arg(long, value_name = "VERSION", help_heading = SERVER)]
    pub(crate) graph_version: Option<String>,
}

impl Place {
    /// The value of the option with this name, which is that of a need in the core's table.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = match name {
            "host" => &self.host,
            "tenant" => &self.tenant,
            "cloud" => &self.cloud,
            "realm" => &self.realm,
            "path" => &self.path,
            "server" => &self.server,
            "slug" => &self.slug,
            "subdomain" => &self.subdomain,
            "environment" => &self.environment,
            "region" => &self.region,
            "start-url" => &self.start_url,
            "graph-version" => &self.graph_version,
            _ => return None,
        };
        value.as_deref()
    }
}

/// The names in the core's table, for messages and completions too.
fn provider() -> impl TypedValueParser<Value = &'static Preset> {
    let names = Preset::all().iter().map(|preset| PossibleValue::new(preset.name()).help(preset.about()));
    PossibleValuesParser::new(names).try_map(|name| Preset::find(&name).ok_or("this provider is not known"))
}

/// The server of `login SERVER`.
#[derive(Clone, Debug)]
pub(crate) enum ServerName {
    Provider(&'static Preset),
    Issuer(String),
}

pub(super) fn server_name(text: &str) -> Result<ServerName, String> {
    if text.contains("://") {
        return Ok(ServerName::Issuer(text.to_owned()));
    }
    let unknown = "it is neither a name that `device-flow providers` lists nor a URL (https://…)";
    Preset::find(text).map(ServerName::Provider).ok_or_else(|| unknown.to_owned())
}

const SERVER: &str = "Server (default: that of the profile)";
const CLIENT: &str = "Client and request";
const STORAGE: &str = "Tokens";

/// How the network is reached.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct Network {
    /// Trust the root certificates in this PEM file instead of the system's (or set SSL_CERT_FILE).
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Trust the root certificates in this PEM file, too, such as your organization's own.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) add_ca_file: Option<PathBuf>,
    /// Use this proxy (http, https or socks5), except for loopback [default: HTTPS_PROXY, ALL_PROXY and NO_PROXY].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// The time limit for a connection [default: 10s].
    #[arg(long, global = true, value_parser = duration, value_name = "TIME")]
    pub(crate) connect_timeout: Option<Duration>,
    /// The time limit for a whole request [default: 30s].
    #[arg(long, global = true, value_parser = duration, value_name = "TIME")]
    pub(crate) request_timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreName {
    /// The keyring of your desktop session
    Keyring,
    /// A file that is encrypted in the format of the tool age, with a key or a passphrase
    Age,
    /// A file that only you can read, not encrypted
    File,
    /// In memory, until the program ends (also called `none`)
    #[value(alias = "none")]
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientAuth {
    /// The secret in the Authorization header, form-encoded as RFC 6749 §2.3.1 requires
    Basic,
    /// The secret in the Authorization header as it is, for servers that do not decode it
    BasicUnencoded,
    /// The secret in the body
    Post,
    /// A signature with --client-key-file in every request
    #[value(name = "private_key_jwt")]
    PrivateKeyJwt,
    /// --client-certificate, which the server trusts through its issuer
    #[value(name = "tls_client_auth")]
    Tls,
    /// --client-certificate, which is registered at the server itself
    #[value(name = "self_signed_tls_client_auth")]
    SelfSignedTls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pkce {
    /// Whatever the metadata says
    On,
    /// Never
    Off,
}

/// A parameter of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// What a server has made up: often base64url, so that it may begin with a hyphen. Still, an option whose value was
/// forgotten does not swallow the next one.
pub(super) fn opaque(text: &str) -> Result<String, String> {
    let is_option = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    };
    match text.strip_prefix("--").is_some_and(is_option) {
        true => Err("this is another option: the value is missing".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn parameter(text: &str) -> Result<Parameter, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok(Parameter { name: name.to_owned(), value: value.to_owned() })
        }
        Some(_) | None => Err("write it as NAME=VALUE".to_owned()),
    }
}
