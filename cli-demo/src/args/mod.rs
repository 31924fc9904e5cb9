//! Owns the command line: its sub-commands and their options.

mod credential;
mod deferred;
mod doctor;
mod examples;
mod help;
mod profile;
mod prompt_options;
mod run;
mod target;

use crate::completing;
use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::ArgValueCandidates;
use deferred::Deferred;

pub(crate) use credential::{
    Cargo, Credential, Docker, DockerAction, Git, Helpers, Keyring, KeyringMode, KeyringOutput, Kubernetes, Npm,
    Program,
};
pub(crate) use doctor::{Discover, Doctor};
pub(crate) use help::fitted;
pub(crate) use profile::{Profile, ProfileAction, ProfileName, RenameProfile};
pub(crate) use prompt_options::PromptOptions;
pub(crate) use run::{Inspect, Run};
pub(crate) use target::{ClientAuth, Network, Parameter, Pkce, ServerName, SignInOptions, StoreName, Target};

/// Sign in on another device (OAuth 2.0 Device Authorization Grant, RFC 8628).
#[derive(Debug, Parser)]
#[command(
    name = "device-flow",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  device-flow demo  try it here, with its own server and web page
  device-flow login --provider github --client-id Iv1.0123456789abcdef --scope read:user
  device-flow login --issuer https://login.example.com --client-id my-app --scope openid
  device-flow login --no-wait         show the code and exit; finish with device-flow login --resume
  curl -H \"$(device-flow token --format header)\" https://api.example.com/me

`login` saves its options as a profile, and the other commands read them from there. Options about the server, the client, the
request, the tokens and the network can also be set in the environment (--client-id is DEVICE_FLOW_CLIENT_ID), and so can those
marked [env]. A flag takes precedence over the environment, the environment over the profile. TIME is a number with s, m or h
(90s, 15m, 1h), or without a unit in seconds.

Exit codes: 0 ok, 1 internal, 2 usage, 3 denied, 4 sign-in needed, 5 code expired or --timeout, 6 network or TLS,
7 server refused or broke the protocol, 8 tokens could not be read or stored, 9 nobody can see the code, 130 Ctrl-C, 143 terminated."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in: silently while stored tokens are valid, else with a code that you approve on another device.
    ///
    /// The tokens are stored for `token` and later runs, and shown masked. The options are saved as a profile.
    #[command(after_help = examples::LOGIN)]
    Login(Deferred<Login>),
    /// Print an access token: the stored one while it is valid, else a refreshed one. Never shows a code.
    #[command(after_help = examples::TOKEN)]
    Token(Deferred<Token>),
    /// Run a command with the token in its environment.
    ///
    /// Signals and the exit code are passed through, as if the command had been started without this.
    #[command(after_help = examples::RUN)]
    Run(Deferred<Run>),
    /// Show what the token says, if it is a JWT. Decoded here, sent nowhere, and not verified.
    #[command(after_help = examples::INSPECT)]
    Inspect(Deferred<Inspect>),
    /// Show what the server says about the person who has signed in: asked now, else from the ID token.
    #[command(after_help = examples::WHOAMI)]
    Whoami(Deferred<TargetArgs>),
    /// Show who is signed in, until when, and where the tokens are stored. Makes no request.
    #[command(after_help = examples::STATUS)]
    Status(Deferred<TargetArgs>),
    /// Replace the access token now. Never shows a code.
    #[command(after_help = examples::REFRESH)]
    Refresh(Deferred<TargetArgs>),
    /// Sign out: remove the tokens here, then revoke them at the server.
    #[command(after_help = examples::LOGOUT)]
    Logout(Deferred<Logout>),
    /// List the profiles.
    #[command(after_help = examples::LIST)]
    List,
    /// List the servers that --provider knows, with the options that each of them takes.
    #[command(after_help = examples::PROVIDERS)]
    Providers(Deferred<Providers>),
    /// Choose the profile that commands use by default.
    #[command(after_help = examples::USE)]
    Use(Deferred<Use>),
    /// Show, rename or remove a profile.
    Profile(Deferred<Profile>),
    /// Show what a server's metadata says, and what that means for a sign-in.
    Discover(Deferred<Discover>),
    /// Find what keeps a sign-in from working, and say what to do about it.
    Doctor(Deferred<Doctor>),
    /// Try the flow on this computer: a small authorization server, and a sign-in to it.
    #[command(after_help = examples::DEMO)]
    Demo(Deferred<Demo>),
    /// Give the token to git, kubectl, docker, cargo, pip, uv or pnpm, in the format that they expect.
    Credential(Deferred<Credential>),
    /// Print what the lines of --json look like, as a JSON Schema.
    #[command(after_help = examples::SCHEMA)]
    Schema,
    /// Print the completion script for a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(Deferred<Completions>),
    /// Print the manual page, or write the pages of all sub-commands.
    #[command(after_help = examples::MAN)]
    Man(Deferred<Man>),
}

/// What every sub-command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The profile to use [default: the current one].
    #[arg(long, global = true, env = "DEVICE_FLOW_PROFILE", hide_env_values = true, value_name = "NAME",
        add = ArgValueCandidates::new(completing::profiles))]
    pub(crate) profile: Option<String>,
    /// The file of profiles [default: device-flow/config.toml in your configuration folder].
    #[arg(long, global = true, env = "DEVICE_FLOW_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print everything on stdout, one JSON object per line.
    #[arg(long, global = true, env = "DEVICE_FLOW_JSON", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    /// Colours in messages.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "DEVICE_FLOW_COLOR", hide_env_values = true, value_name = "WHEN")]
    pub(crate) color: Color,
    /// How to show the wait: a countdown on a terminal, plain lines, or nothing.
    #[arg(long, global = true, value_enum, default_value_t = Progress::Auto, env = "DEVICE_FLOW_PROGRESS", hide_env_values = true, value_name = "HOW")]
    pub(crate) progress: Progress,
    /// Log requests and decisions on stderr, and with -vv also what the libraries log. Never a secret.
    #[arg(short, long, global = true, action = ArgAction::Count, env = "DEVICE_FLOW_VERBOSE", hide_env_values = true, value_parser = verbosity)]
    pub(crate) verbose: u8,
    /// Do not read keys from stdin.
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
    /// The server in short: a name that --provider takes, or the URL of an issuer.
    #[arg(value_name = "SERVER", value_parser = target::server_name, add = ArgValueCandidates::new(completing::providers),
        conflicts_with_all = ["provider", "issuer", "device_endpoint", "token_endpoint"])]
    pub(crate) server_name: Option<ServerName>,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Show a code even if you are signed in, or another run waits for the same sign-in.
    #[arg(long, conflicts_with = "account")]
    pub(crate) force: bool,
    /// Show the code and exit: `login --resume` finishes the sign-in.
    #[arg(long, conflicts_with = "open")]
    pub(crate) no_wait: bool,
    /// Finish a sign-in that --no-wait began or that was interrupted: the one with this id, or the only one.
    #[arg(long, num_args = 0..=1, value_name = "ID", conflicts_with_all = ["no_wait", "force"])]
    pub(crate) resume: Option<Option<String>>,
    /// Give up after this time, even if the code is valid for longer.
    #[arg(long, value_parser = duration, env = "DEVICE_FLOW_TIMEOUT", hide_env_values = true, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
    /// Store the tokens in a file, not encrypted: the same as --store file.
    #[arg(long, conflicts_with = "store")]
    pub(crate) insecure_storage: bool,
    #[command(flatten)]
    pub(crate) helpers: Helpers,
    #[command(flatten)]
    pub(crate) prompt: PromptOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) requirements: TokenRequirements,
    /// The format to print it in.
    #[arg(long, value_enum, default_value_t = Format::Raw, value_name = "FORM")]
    pub(crate) format: Format,
    /// The URL that the token is for, with --format header: if the token is bound to a key (--dpop), its proof is printed as
    /// a second header, which is good for one request within seconds.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The method of that request.
    #[arg(long, value_name = "METHOD", default_value = "GET", requires = "url", value_parser = method)]
    pub(crate) method: String,
    /// The nonce that the API has asked for (DPoP-Nonce).
    #[arg(long, value_name = "NONCE", requires = "url", value_parser = target::opaque, allow_hyphen_values = true)]
    pub(crate) nonce: Option<String>,
}

/// What the token must be like.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct TokenRequirements {
    /// The token must stay valid for this long, else it is refreshed [default: 5m, or a fifth of its lifetime].
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) min_ttl: Option<Duration>,
    /// Only a stored token, if it is still valid.
    #[arg(long)]
    pub(crate) no_refresh: bool,
    /// The ID token instead of the access token, for what identifies people with it (Kubernetes with OpenID Connect).
    #[arg(long)]
    pub(crate) id_token: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The token alone
    Raw,
    /// An Authorization header, for curl -H
    Header,
    /// One JSON object with all that is known about it
    Json,
    /// Lines for a shell's eval: ACCESS_TOKEN and ACCESS_TOKEN_EXPIRES_AT
    Env,
}

/// Which sign-in a command is about, and nothing else.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Sign out of every profile.
    #[arg(long, conflicts_with_all = ["profile", "provider", "issuer", "device_endpoint", "client_id", "account"])]
    pub(crate) all: bool,
    /// Do not revoke the tokens: the server accepts them until they expire.
    #[arg(long)]
    pub(crate) no_revoke: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Use {
    /// The profile.
    #[arg(value_name = "PROFILE", add = ArgValueCandidates::new(completing::profiles))]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Providers {
    /// Only this one.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Approve the code automatically after a few seconds, for scripts.
    #[arg(long, conflicts_with = "serve")]
    pub(crate) yes: bool,
    /// Only run the server, for other clients to sign in to.
    #[arg(long, conflicts_with_all = ["qr", "copy", "open", "no_open"])]
    pub(crate) serve: bool,
    /// Print a verdict on every client: which rules of the polling law it kept.
    #[arg(long, requires = "serve")]
    pub(crate) judge: bool,
    /// Decide every sign-in without a person, after its fourth poll.
    #[arg(long, value_enum, requires = "serve", value_name = "WHAT")]
    pub(crate) decide: Option<Decide>,
    /// Misbehave in every sign-in, from its second poll on.
    #[arg(long, value_enum, requires = "serve", value_name = "WHAT")]
    pub(crate) fault: Option<Fault>,
    /// The port of the server on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// How long clients must wait between polls.
    #[arg(long, value_parser = duration, default_value = "2s", value_name = "TIME")]
    pub(crate) interval: Duration,
    /// How long a code is valid.
    #[arg(long, value_parser = duration, default_value = "10m", value_name = "TIME")]
    pub(crate) lifetime: Duration,
    #[command(flatten)]
    pub(crate) prompt: PromptOptions,
}

/// What `demo --decide` decides.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Decide {
    /// The client gets its tokens
    Approve,
    /// The client is told that the person refused
    Deny,
}

/// What `demo --fault` does wrong.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Fault {
    /// slow_down, once
    SlowDown,
    /// Status 503, three times
    Unavailable,
    /// The connection is closed without an answer, three times
    HangUp,
    /// Status 429 with Retry-After: 10, once
    RetryAfter,
    /// The answer comes a second later than the interval is long, once
    LateAnswer,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write the pages of all sub-commands to this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
}

/// As a variable has it; an empty one counts as unset.
fn verbosity(text: &str) -> Result<u8, String> {
    let number = if text.is_empty() { "0" } else { text };
    number.parse().map_err(|_| "write 1 or 2".to_owned())
}

/// A method as HTTP spells it (RFC 9110 §9.1): upper case, unless it is one of the caller's own.
fn method(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
        true => Ok(text.to_ascii_uppercase()),
        false => Err("write a method like GET or POST".to_owned()),
    }
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

    // A nonce or an id in base64url: one in 64 begins with a hyphen.
    #[test]
    fn what_servers_make_up_may_begin_with_a_hyphen() {
        for value in ["-zab", "--zAb", "---", "-", "--b3", "plain"] {
            let words = [
                "device-flow",
                "token",
                "--client-id",
                value,
                "--account",
                value,
                "--url",
                "https://a",
                "--nonce",
                value,
            ];
            let parsed = Cli::try_parse_from(words).map(|cli| cli.command);
            assert!(
                matches!(&parsed, Ok(Command::Token(token)) if token.nonce.as_deref() == Some(value)),
                "{parsed:?}"
            );
        }
        for option in ["--client-id", "--account", "--nonce"] {
            let refused =
                Cli::try_parse_from(["device-flow", "token", option, "--json"]).map_err(|error| error.to_string());
            assert!(matches!(&refused, Err(error) if error.contains("the value is missing")), "{refused:?}");
        }
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
