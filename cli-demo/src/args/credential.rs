//! Owns the words of `credential`: which program asks for a token, and which hosts git may send it to.

use super::{Life, Target, examples};
use crate::credential::Host;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Credential {
    #[command(subcommand)]
    pub(crate) program: Program,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Program {
    /// Answer git, as one of its credential helpers: git clones, fetches and pushes with the token of a sign-in.
    ///
    /// Git starts it by itself and writes on stdin what it wants. The token goes to the host of the server that gave it, and to
    /// those that --git-host names; git is told nothing for any other. A token that git says was rejected is replaced.
    #[command(after_help = examples::GIT)]
    Git(Box<Git>),
    /// Answer kubectl and other clients of Kubernetes, as their credential plugin: prints an ExecCredential.
    ///
    /// A kubeconfig names it under `exec`; KUBERNETES_EXEC_INFO says which version of the answer is wanted.
    #[command(after_help = examples::KUBERNETES)]
    Kubernetes(Box<Kubernetes>),
}

#[derive(Debug, Args)]
pub(crate) struct Git {
    /// What git wants: get, store or erase. Git adds it by itself; it is told nothing for any other.
    #[arg(value_name = "ACTION")]
    pub(crate) action: String,
    /// Have git send `Authorization: Bearer`, instead of the token as a password (git 2.46 or newer).
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
    pub(crate) life: Life,
}

/// Where git may send the token. Can stand in a profile or in the environment, too.
#[derive(Clone, Debug, Args)]
pub(crate) struct GitHosts {
    /// Git may send the token to this host, too, with its port if it has one; may be repeated [default: only the server's host].
    #[arg(long, value_name = "HOST", value_parser = host, help_heading = "Git")]
    pub(crate) git_host: Vec<String>,
}

fn host(text: &str) -> Result<String, String> {
    match Host::parse(text, 443) {
        Some(_) => Ok(text.to_owned()),
        None => Err("write a host alone, like git.example.com or git.example.com:8443".to_owned()),
    }
}
