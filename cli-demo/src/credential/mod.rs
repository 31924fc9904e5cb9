//! Owns the `credential` sub-command: which program asks, and so which format it gets.

mod cargo;
mod docker;
mod git;
mod invoked;
mod keyring;
mod kubernetes;
mod npm;
mod trust;

pub(crate) use cargo::tell_mistake as tell_cargo;
pub(crate) use invoked::{Invocation, invocation};

use crate::args::{Credential, Global, Helpers, Program, TokenRequirements};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::Purpose;
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::token::{ValidToken, valid_token};
use trust::Trust;

pub(crate) async fn credential(
    args: Credential,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    match args.program {
        Program::Git(args) => git::git(args.into_inner(), flags, global, terminal).await,
        Program::Kubernetes(args) => kubernetes::kubernetes(args.into_inner(), flags, global, terminal).await,
        Program::Docker(args) => docker::docker(args.into_inner(), flags, global, terminal).await,
        Program::Cargo(args) => cargo::cargo(args.into_inner(), flags, global, terminal).await,
        Program::Keyring(args) => keyring::keyring(args.into_inner(), flags, global, terminal).await,
        Program::Npm(args) => npm::npm(args.into_inner(), flags, global, terminal).await,
    }
}

/// The token for a registry or an index, and who it is sent as; `None`: it may not have it.
async fn token_for(
    service: &str,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<Option<(ValidToken, Helpers)>, RunError> {
    let selection = Selection::new(global, flags, Purpose::UseTokens)?;
    let options = selection.options()?;
    if !Trust::of_service(service, &options).allows(service, terminal) {
        return Ok(None);
    }
    let session = selection.open(Purpose::UseTokens, terminal).await?;
    let valid = valid_token(&session, TokenRequirements::default(), terminal).await?;
    Ok(Some((valid, options.helpers)))
}

/// What another program writes to our stdin, up to its end or to the end of a line: on another thread, so that a person who
/// started this by hand can end it.
async fn read(whole: bool) -> Result<String, RunError> {
    let read = tokio::task::spawn_blocking(move || read_now(whole)).await;
    read.map_err(|error| RunError::Internal(error.to_string()))?
}

/// The same, while nothing else happens.
fn read_now(whole: bool) -> Result<String, RunError> {
    use std::io::{BufRead as _, Read as _};
    /// No program writes as much.
    const MOST: u64 = 1024 * 1024;
    let wrong = |what: &str| RunError::Usage(format!("stdin is not what another program would write here: {what}"));
    let (mut text, mut input) = (String::new(), std::io::stdin().lock().take(MOST));
    let read = if whole { input.read_to_string(&mut text) } else { input.read_line(&mut text) };
    read.map_err(|error| wrong(&error.to_string()))?;
    match u64::try_from(text.len()).is_ok_and(|length| length < MOST) {
        true => Ok(text),
        false => Err(wrong("too much")),
    }
}
