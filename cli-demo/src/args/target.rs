//! Owns the options that describe a sign-in: the server, the client, the request, where tokens are stored, how the
//! network is reached. A profile holds the same settings.

use super::{GitHosts, duration};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, ValueEnum};
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
    pub(crate) hosts: GitHosts,
}

/// The server, the client, the request and the token store.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// A well-known server.
    #[arg(long, value_enum, help_heading = SERVER, conflicts_with_all = ["issuer", "device_endpoint", "token_endpoint"])]
    pub(crate) provider: Option<ProviderName>,
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
    /// The tenant, for --provider entra: an id, a domain, organizations, consumers or common [default: common].
    #[arg(long, help_heading = SERVER)]
    pub(crate) tenant: Option<String>,
    /// The host of your GitHub Enterprise Server or GitLab.
    #[arg(long, value_name = "NAME", help_heading = SERVER)]
    pub(crate) host: Option<String>,

    /// The client id that is registered at the server.
    #[arg(long, value_name = "ID", help_heading = CLIENT)]
    pub(crate) client_id: Option<String>,
    /// Read the client secret from this file, or from stdin with `-`. Most device clients have none.
    #[arg(long, value_name = "FILE", help_heading = CLIENT)]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// How to send the client secret, if the server's metadata does not say or is wrong.
    #[arg(long, value_enum, requires = "client_secret_file", value_name = "HOW", help_heading = CLIENT)]
    pub(crate) client_auth: Option<ClientAuth>,
    /// Send the client id in the body as well when the secret is in the header (django-oauth-toolkit needs it).
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL",
        value_parser = FalseyValueParser::new(), requires = "client_secret_file", help_heading = CLIENT, hide_possible_values = true)]
    pub(crate) client_id_in_body: Option<bool>,
    /// Scopes to request, separated by spaces; may be repeated.
    #[arg(long, value_name = "SCOPES", help_heading = CLIENT)]
    pub(crate) scope: Vec<String>,
    /// The API that the token is for, as Auth0 and others expect it.
    #[arg(long, help_heading = CLIENT)]
    pub(crate) audience: Option<String>,
    /// The API that the token is for, as a URI (RFC 8707); may be repeated.
    #[arg(long, value_name = "URI", help_heading = CLIENT)]
    pub(crate) resource: Vec<String>,
    /// The signed-in account to use: a user name or an account id.
    #[arg(long, value_name = "NAME", help_heading = CLIENT)]
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
}

const SERVER: &str = "Server (--provider, --issuer, or both endpoints; default: the one of the profile)";
const CLIENT: &str = "Client and request";
const STORAGE: &str = "Tokens";

/// How the network is reached.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct Network {
    /// Trust the root certificates in this PEM file instead of the system's (or set SSL_CERT_FILE).
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Use this HTTP proxy, except for loopback [default: HTTPS_PROXY and NO_PROXY].
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
pub(crate) enum ProviderName {
    /// Microsoft Entra ID
    Entra,
    /// GitHub.com, or with --host an Enterprise Server
    Github,
    /// Google, for clients of the type "TVs and Limited Input devices"
    Google,
    /// GitLab.com, or with --host any other GitLab
    Gitlab,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreName {
    /// The keyring of your desktop session
    Keyring,
    /// A file that only you can read, not encrypted
    File,
    /// In memory, until the program ends (also called `none`)
    #[value(alias = "none")]
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientAuth {
    /// In the Authorization header, form-encoded as RFC 6749 §2.3.1 requires
    Basic,
    /// In the Authorization header as it is, for servers that do not decode it
    BasicUnencoded,
    /// In the body
    Post,
}
