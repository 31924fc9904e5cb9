//! Owns the options of `credential`: the program that wants the token, and the hosts that git may send it to.

use super::{Target, TokenRequirements, examples};
use crate::host::Host;
use clap::{Args, Subcommand};

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
    /// for the hosts that --git-host names, and nothing for any other. A token that git reports as rejected is
    /// replaced.
    #[command(after_help = examples::GIT)]
    Git(Box<Git>),
    /// A credential plugin for kubectl and other Kubernetes clients: prints an ExecCredential.
    ///
    /// A kubeconfig names it under `exec`; KUBERNETES_EXEC_INFO selects the version of the answer.
    #[command(after_help = examples::KUBERNETES)]
    Kubernetes(Box<Kubernetes>),
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
    pub(crate) hosts: GitHosts,
}

#[derive(Debug, Args)]
pub(crate) struct Kubernetes {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) requirements: TokenRequirements,
}

/// Where git may send the token. Can also be set in a profile or in the environment.
#[derive(Clone, Debug, Args)]
pub(crate) struct GitHosts {
    /// Another host that git may send the token to, with its port if it has one; may be repeated.
    #[arg(long, value_name = "HOST", value_parser = host, help_heading = "Git")]
    pub(crate) git_host: Vec<String>,
}

fn host(text: &str) -> Result<String, String> {
    match Host::parse(text, 443) {
        Some(_) => Ok(text.to_owned()),
        None => Err("write a host alone, like git.example.com or git.example.com:8443".to_owned()),
    }
}
