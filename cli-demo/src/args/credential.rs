//! Owns the options of `credential`: the program that wants the token, and the hosts that it may be sent to.

use super::deferred::Deferred;
use super::{Target, TokenRequirements, examples};
use crate::host::Host;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Credential {
    #[command(subcommand)]
    pub(crate) program: Program,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Program {
    /// A git credential helper: git clones, fetches and pushes with the token of a sign-in.
    ///
    /// Git runs it and writes its request to stdin. Git gets the token for the host of the server that issued it and
    /// for the hosts that --git-host or --token-host names, and nothing for any other. A token that git reports as rejected is
    /// replaced.
    #[command(after_help = examples::GIT)]
    Git(Deferred<Git>),
    /// A credential plugin for kubectl and other Kubernetes clients: prints an ExecCredential.
    ///
    /// A kubeconfig names it under `exec`; KUBERNETES_EXEC_INFO selects the version of the answer.
    #[command(after_help = examples::KUBERNETES)]
    Kubernetes(Deferred<Kubernetes>),
    /// A credential helper for docker, podman, skopeo, crane and oras, as docker-credential-device-flow.
    ///
    /// These programs run `docker-credential-NAME`: make a link of that name to this program. A registry gets the token as a
    /// password (--token-username), if its host is the server's or one that --token-host names.
    #[command(after_help = examples::DOCKER)]
    Docker(Deferred<Docker>),
    /// A credential provider for cargo: registries get the token, `cargo login` and `cargo logout` sign in and out.
    ///
    /// Cargo's configuration names it as credential-provider, with options of this command behind it. A registry gets the
    /// token if the host of its index is the server's or one that --token-host names.
    #[command(after_help = examples::CARGO)]
    Cargo(Deferred<Cargo>),
    /// What pip and uv ask as `keyring`: an index gets the token as a password.
    ///
    /// They run a program called keyring: make a link of that name to this program, in a folder of its own that stands first
    /// in PATH. An index gets the token if its host is the server's or one that --token-host names.
    #[command(after_help = examples::KEYRING)]
    Keyring(Deferred<Keyring>),
    /// The token helper of pnpm: prints `Bearer` and the token.
    ///
    /// Pnpm does not say which registry asks: the token goes to the one that its configuration names beside tokenHelper.
    #[command(after_help = examples::NPM)]
    Npm(Deferred<Npm>),
}

#[derive(Debug, Args)]
pub(crate) struct Git {
    /// The operation: get, store or erase. Git adds it; other operations are ignored.
    #[arg(value_name = "ACTION")]
    pub(crate) action: String,
    /// Have git send `Authorization: Bearer` instead of the token as a password (needs git 2.46).
    #[arg(long)]
    pub(crate) bearer: bool,
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) helpers: Helpers,
}

#[derive(Debug, Args)]
pub(crate) struct Kubernetes {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) requirements: TokenRequirements,
}

#[derive(Debug, Args)]
pub(crate) struct Docker {
    /// The operation, which the other program adds.
    #[arg(value_enum, value_name = "ACTION")]
    pub(crate) action: DockerAction,
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) helpers: Helpers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DockerAction {
    /// Print the credential for the registry on stdin
    Get,
    /// Refused: there are no passwords here
    Store,
    /// Nothing: `device-flow logout` signs out
    Erase,
    /// Print the registries that there is a credential for
    List,
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct Cargo {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) helpers: Helpers,
    /// What cargo asks, which was read already to know these options.
    #[arg(long, hide = true)]
    pub(crate) request: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Keyring {
    /// The operation, which the other program adds. Only `get` is for this program.
    #[arg(value_name = "ACTION")]
    pub(crate) action: String,
    /// The index, as a URL or a host.
    #[arg(value_name = "SERVICE")]
    pub(crate) service: Option<String>,
    /// The user name.
    #[arg(value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Whether the user name is printed, too.
    #[arg(long, value_enum, default_value_t = KeyringMode::Password)]
    pub(crate) mode: KeyringMode,
    /// In which form.
    #[arg(long, value_enum, default_value_t = KeyringOutput::Plain)]
    pub(crate) output: KeyringOutput,
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) helpers: Helpers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyringMode {
    /// The token alone
    Password,
    /// The user name and the token
    Creds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyringOutput {
    /// Lines
    Plain,
    /// A JSON object
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Npm {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) requirements: TokenRequirements,
}

/// Where credential helpers may send the token, and as whom. Can also be set in a profile or in the environment.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Credential helpers")]
pub(crate) struct Helpers {
    /// Another host that git may send the token to, with its port if it has one; may be repeated.
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub(crate) git_host: Vec<String>,
    /// Another host that any credential helper may send the token to, with its port if it has one; may be repeated.
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub(crate) token_host: Vec<String>,
    /// The user name beside the token where it is sent as a password [default: oauth2].
    #[arg(long, value_name = "NAME", value_parser = username)]
    pub(crate) token_username: Option<String>,
}

impl Helpers {
    /// The user name that goes with the token.
    pub(crate) fn username(&self) -> &str {
        self.token_username.as_deref().unwrap_or("oauth2")
    }
}

fn host(text: &str) -> Result<String, String> {
    match Host::parse(text, 443) {
        Some(_) => Ok(text.to_owned()),
        None => Err("write a host alone, like git.example.com or git.example.com:8443".to_owned()),
    }
}

/// RFC 7617 §2: a colon ends the user name, and neither part may have control characters.
fn username(text: &str) -> Result<String, String> {
    match !text.is_empty() && !text.contains(|c: char| c == ':' || c.is_control()) {
        true => Ok(text.to_owned()),
        false => Err("write a user name without a colon and without control characters".to_owned()),
    }
}
