//! Owns what can be written on the command line, and what each word means.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Sign in on another device (OAuth 2.0 Device Authorization Grant, RFC 8628).
#[derive(Debug, Parser)]
#[command(
    name = "device-flow",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  device-flow demo                    try it here, with a server and a web page of its own
  device-flow login --provider github --client-id Iv1.0123456789abcdef --scope read:user
  device-flow login --issuer https://login.example.com --client-id my-app --scope openid

Exit codes: 0 ok, 1 internal, 2 usage, 3 denied, 5 code expired or --timeout, 6 network or TLS,
7 server broke the protocol or refused, 8 tokens could not be read or kept, 9 nobody can see the code, 130 Ctrl-C, 143 terminated."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in: silently if the stored tokens still do, else show a code and wait until it is approved; tell what was granted.
    ///
    /// The tokens are stored for the next run and shown masked.
    Login(Box<Login>),
    /// Try the flow here: a small real authorization server on this computer, and a sign-in against it.
    Demo(Demo),
}

/// What every sub-command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Tell everything as one JSON object a line on stdout.
    #[arg(long, global = true, env = "DEVICE_FLOW_JSON", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) json: bool,
    /// Colours in messages.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "DEVICE_FLOW_COLOR", value_name = "WHEN")]
    pub(crate) color: Color,
    /// How to show the wait: a countdown on a terminal, plain lines, or nothing.
    #[arg(long, global = true, value_enum, default_value_t = Progress::Auto, env = "DEVICE_FLOW_PROGRESS", value_name = "HOW")]
    pub(crate) progress: Progress,
    /// Trust the certificates in this PEM file instead of the system's (which SSL_CERT_FILE can name, too).
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Go through this HTTP proxy, never for loopback [default: from HTTPS_PROXY and NO_PROXY].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// The time limit for a connection.
    #[arg(long, global = true, value_parser = duration, default_value = "10s", value_name = "TIME")]
    pub(crate) connect_timeout: Duration,
    /// The time limit for a whole request.
    #[arg(long, global = true, value_parser = duration, default_value = "30s", value_name = "TIME")]
    pub(crate) request_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    Auto,
    Plain,
    None,
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The client id, as registered with the server.
    #[arg(long, env = "DEVICE_FLOW_CLIENT_ID", value_name = "ID")]
    pub(crate) client_id: String,
    /// Read the client secret from this file, or from stdin with `-`. Most device clients have none.
    #[arg(long, env = "DEVICE_FLOW_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// How to send the secret, when the server's metadata does not tell or is wrong.
    #[arg(long, value_enum, requires = "client_secret_file", value_name = "HOW")]
    pub(crate) client_auth: Option<ClientAuth>,
    /// Send the client id in the body, too, when the secret is in the header (django-oauth-toolkit wants it).
    #[arg(long, requires = "client_secret_file")]
    pub(crate) client_id_in_body: bool,
    /// Scopes to ask for, separated by spaces; may be repeated.
    #[arg(long, env = "DEVICE_FLOW_SCOPE", value_name = "SCOPES")]
    pub(crate) scope: Vec<String>,
    /// The API that the token is for, as Auth0 and others name it.
    #[arg(long, env = "DEVICE_FLOW_AUDIENCE")]
    pub(crate) audience: Option<String>,
    /// The API that the token is for, as a URI (RFC 8707); may be repeated.
    #[arg(long, value_name = "URI")]
    pub(crate) resource: Vec<String>,
    /// Which of the accounts that are signed in is meant: a user name or an account id.
    #[arg(long, env = "DEVICE_FLOW_ACCOUNT", value_name = "NAME")]
    pub(crate) account: Option<String>,
    /// Show a code even if somebody is signed in.
    #[arg(long, conflicts_with = "account")]
    pub(crate) force: bool,
    /// Where tokens are kept.
    #[arg(long, value_enum, default_value_t = StoreName::File, env = "DEVICE_FLOW_STORE", value_name = "WHERE")]
    pub(crate) store: StoreName,
    /// The file of the tokens, which MSAL can read, too [default: device-flow/tokens.json among the user's state files].
    #[arg(long, env = "DEVICE_FLOW_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The language of the server's texts, such as de-DE.
    #[arg(long, value_name = "TAG")]
    pub(crate) language: Option<String>,
    /// Give up after this time, even if the code lives longer.
    #[arg(long, value_parser = duration, env = "DEVICE_FLOW_TIMEOUT", value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
    /// Allow http:// on 127.0.0.0/8, [::1] and localhost, for development.
    #[arg(long)]
    pub(crate) allow_http_loopback: bool,
}

/// Where the server is: one of three ways.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server (one of --provider, --issuer, or both endpoints)")]
pub(crate) struct ServerArgs {
    /// A server that is known by name.
    #[arg(long, value_enum, env = "DEVICE_FLOW_PROVIDER", conflicts_with_all = ["issuer", "device_endpoint", "token_endpoint"],
        required_unless_present_any = ["issuer", "device_endpoint"])]
    pub(crate) provider: Option<ProviderName>,
    /// The issuer of a server that publishes its metadata, written exactly as the server writes it.
    #[arg(long, env = "DEVICE_FLOW_ISSUER", value_name = "URL", conflicts_with_all = ["device_endpoint", "token_endpoint"])]
    pub(crate) issuer: Option<String>,
    /// The device authorization endpoint.
    #[arg(long, value_name = "URL", requires = "token_endpoint")]
    pub(crate) device_endpoint: Option<String>,
    /// The token endpoint.
    #[arg(long, value_name = "URL", requires = "device_endpoint")]
    pub(crate) token_endpoint: Option<String>,
    /// The tenant, for --provider entra: an id, a domain, organizations, consumers or common.
    #[arg(long, default_value = "common", env = "DEVICE_FLOW_TENANT")]
    pub(crate) tenant: String,
    /// The host of a GitHub Enterprise Server or of a GitLab.
    #[arg(long, env = "DEVICE_FLOW_HOST", value_name = "NAME")]
    pub(crate) host: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProviderName {
    /// Microsoft Entra ID
    Entra,
    /// GitHub.com, or an Enterprise Server with --host
    Github,
    /// Google, for clients of the type "TVs and Limited Input devices"
    Google,
    /// GitLab.com, or another with --host
    Gitlab,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreName {
    /// A file that only you can read
    File,
    /// Nowhere: they are gone when the program ends
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientAuth {
    /// In the Authorization header, form-encoded as RFC 6749 demands
    Basic,
    /// In the Authorization header as it is, for servers that do not decode it
    BasicUnencoded,
    /// In the body
    Post,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Approve by itself after a few seconds, for scripts.
    #[arg(long, conflicts_with = "serve")]
    pub(crate) yes: bool,
    /// Only run the server, for other clients to sign in against.
    #[arg(long)]
    pub(crate) serve: bool,
    /// The port of the server on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// How long clients must wait between polls.
    #[arg(long, value_parser = duration, default_value = "2s", value_name = "TIME")]
    pub(crate) interval: Duration,
    /// How long a code lives.
    #[arg(long, value_parser = duration, default_value = "10m", value_name = "TIME")]
    pub(crate) lifetime: Duration,
}

/// `90`, `90s`, `15m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        _ => None,
    };
    let seconds = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    match seconds {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        Some(_) | None => Err("write a time like 90s, 15m or 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("1", 1), ("90", 90), ("90s", 90), ("15m", 900), ("1h", 3_600)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "0s", "-1", "1d", "s", "1.5h", "1h30m", "99999999999999999999", "5124095576030432h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
