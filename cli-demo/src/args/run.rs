//! Owns the options of `run` and `inspect`.

use super::{Target, TokenRequirements};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) requirements: TokenRequirements,
    /// The variable that holds the token; NAME_EXPIRES_AT says until when it is valid.
    #[arg(long, value_name = "NAME", default_value = "ACCESS_TOKEN", value_parser = variable)]
    pub(crate) env: String,
    /// Renew the token as long as the command runs, in a file that only you can read: NAME_FILE says where it is. The variable
    /// itself keeps the first token.
    #[arg(long)]
    pub(crate) refresh: bool,
    /// The command and its arguments.
    #[arg(value_name = "COMMAND", required = true, last = true, num_args = 1..)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A file with a token, or - for stdin, in place of the stored token.
    #[arg(value_name = "FILE", conflicts_with = "id_token")]
    pub(crate) file: Option<PathBuf>,
    /// The ID token instead of the access token.
    #[arg(long)]
    pub(crate) id_token: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// IEEE Std 1003.1, Environment Variable Definition.
fn variable(text: &str) -> Result<String, String> {
    let is_name =
        !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match is_name && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err("write a name of letters, digits and _, not beginning with a digit".to_owned()),
    }
}
