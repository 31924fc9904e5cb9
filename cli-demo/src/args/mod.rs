//! Owns what can be written on the command line, and what each word means.

mod credential;
mod doctor;
mod examples;
mod target;

use crate::terminal::Look;
use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use credential::{Credential, Git, GitHosts, Kubernetes, Program};
pub(crate) use doctor::{Discover, Doctor};
pub(crate) use target::{ClientAuth, Network, ProviderName, StoreName, Target};

/// Sign in on another device (OAuth 2.0 Device Authorization Grant, RFC 8628).
#[derive(Debug, Parser)]
#[command(
    name = "device-flow",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  device-flow demo  try it here, with a server and a web page of its own
  device-flow login --provider github --client-id Iv1.0123456789abcdef --scope read:user
  device-flow login --issuer https://login.example.com --client-id my-app --scope openid
  device-flow login --no-wait         show the code and end; device-flow login --resume goes on
  curl -H \"$(device-flow token --format header)\" https://api.example.com/me

What `login` was told is remembered as a profile; `token` and the others need no more words. The options about the server, the
client, what is asked for, the tokens and the network can stand in the environment, too: --client-id as DEVICE_FLOW_CLIENT_ID; so can
those that are marked [env]. A flag goes before the environment, that before the profile. TIME is a number with s, m or h (90s,
15m, 1h); without one of these it is seconds.

Exit codes: 0 ok, 1 internal, 2 usage, 3 denied, 4 sign-in needed, 5 code expired or --timeout, 6 network or TLS,
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
    /// The tokens are kept for `token` and the next run, and shown masked. What was asked for is remembered as a profile.
    #[command(after_help = examples::LOGIN)]
    Login(Box<Login>),
    /// Print an access token: the stored one while it lives, else a refreshed one. Never shows a code.
    #[command(after_help = examples::TOKEN)]
    Token(Box<Token>),
    /// Tell who is signed in, until when, and where the tokens are. Asks no server.
    #[command(after_help = examples::STATUS)]
    Status(Box<Which>),
    /// Replace the access token now. Never shows a code.
    #[command(after_help = examples::REFRESH)]
    Refresh(Box<Which>),
    /// Sign out: remove the tokens here, then revoke them at the server.
    #[command(after_help = examples::LOGOUT)]
    Logout(Box<Logout>),
    /// List the profiles.
    #[command(after_help = examples::LIST)]
    List,
    /// Choose the profile that is meant when none is named.
    #[command(after_help = examples::USE)]
    Use(Use),
    /// Tell what a server says of itself, and what that means for a sign-in.
    Discover(Box<Discover>),
    /// Look for what could keep a sign-in from working, and say what to do about it.
    Doctor(Box<Doctor>),
    /// Try the flow here: a small real authorization server on this computer, and a sign-in against it.
    #[command(after_help = examples::DEMO)]
    Demo(Demo),
    /// Give the token to another program in its own words: git, kubectl.
    Credential(Credential),
    /// Print what lets a shell complete the words of this program.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(Completions),
    /// Print the manual page, or write those of all sub-commands.
    #[command(after_help = examples::MAN)]
    Man(Man),
}

/// What every sub-command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The profile that is meant [default: the one in use].
    #[arg(long, global = true, env = "DEVICE_FLOW_PROFILE", hide_env_values = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The file of the profiles [default: device-flow/config.toml among your configuration files].
    #[arg(long, global = true, env = "DEVICE_FLOW_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Tell everything as one JSON object a line on stdout.
    #[arg(long, global = true, env = "DEVICE_FLOW_JSON", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    /// Colours in messages.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "DEVICE_FLOW_COLOR", hide_env_values = true, value_name = "WHEN")]
    pub(crate) color: Color,
    /// How to show the wait: a countdown on a terminal, plain lines, or nothing.
    #[arg(long, global = true, value_enum, default_value_t = Progress::Auto, env = "DEVICE_FLOW_PROGRESS", hide_env_values = true, value_name = "HOW")]
    pub(crate) progress: Progress,
    /// Tell on stderr what happens: every request and every decision; twice (-vv), what the libraries below say, too. Never a
    /// secret.
    #[arg(short, long, global = true, action = ArgAction::Count, env = "DEVICE_FLOW_VERBOSE", hide_env_values = true, value_parser = verbosity)]
    pub(crate) verbose: u8,
    /// Never wait for a key: leave stdin alone.
    #[arg(long, global = true, env = "DEVICE_FLOW_NO_INPUT", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) no_input: bool,
    #[command(flatten)]
    pub(crate) network: Network,
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
    pub(crate) target: Target,
    /// Show a code even if somebody is signed in.
    #[arg(long, conflicts_with = "account")]
    pub(crate) force: bool,
    /// Show the code and end: `login --resume` goes on once it is approved.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Go on with a sign-in that --no-wait has begun, or a run that was ended: the one of this id, or the only one.
    #[arg(long, num_args = 0..=1, value_name = "ID", conflicts_with_all = ["no_wait", "force"])]
    pub(crate) resume: Option<Option<String>>,
    /// Give up after this time, even if the code lives longer.
    #[arg(long, value_parser = duration, env = "DEVICE_FLOW_TIMEOUT", hide_env_values = true, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
    /// Keep the tokens in a file, not encrypted: the same as --store file.
    #[arg(long, conflicts_with = "store")]
    pub(crate) insecure_storage: bool,
    #[command(flatten)]
    pub(crate) hosts: GitHosts,
    #[command(flatten)]
    pub(crate) look: Look,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) life: Life,
    /// In which form to print it.
    #[arg(long, value_enum, default_value_t = Format::Raw, value_name = "FORM")]
    pub(crate) format: Format,
}

/// How good a token must be.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Life {
    /// The token must live this long yet; else it is refreshed [default: 5m, or a fifth of its life].
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) min_ttl: Option<Duration>,
    /// Only the stored token, if it lives.
    #[arg(long)]
    pub(crate) no_refresh: bool,
    /// The ID token in place of the access token: who it is, for what asks for that (Kubernetes with OpenID Connect).
    #[arg(long)]
    pub(crate) id_token: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The token alone
    Raw,
    /// An Authorization header, for curl -H
    Header,
    /// One JSON object, with what is known of it
    Json,
    /// Lines for a shell to evaluate: ACCESS_TOKEN and ACCESS_TOKEN_EXPIRES_AT
    Env,
}

/// Which sign-in, and nothing else.
#[derive(Debug, Args)]
pub(crate) struct Which {
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Of every profile.
    #[arg(long, conflicts_with_all = ["profile", "provider", "issuer", "device_endpoint", "client_id", "account"])]
    pub(crate) all: bool,
    /// Tell the server nothing: the tokens live on there until they end by themselves.
    #[arg(long)]
    pub(crate) no_revoke: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Use {
    /// The profile.
    #[arg(value_name = "PROFILE")]
    pub(crate) name: String,
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
    #[command(flatten)]
    pub(crate) look: Look,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for every sub-command into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
}

/// As the environment says it; an empty variable counts as unset.
fn verbosity(text: &str) -> Result<u8, String> {
    let number = if text.is_empty() { "0" } else { text };
    number.parse().map_err(|_| "write 1 or 2".to_owned())
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
