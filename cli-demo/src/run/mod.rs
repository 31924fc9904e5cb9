//! Owns the `run` sub-command: another program with the token in its environment, never among its arguments, which everybody
//! on the computer can read.

mod process;
mod renewed;

use crate::args::{Global, Run};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::{Purpose, unfinished};
use crate::settings::Settings;
use crate::terminal::{Terminal, when};
use crate::token::{ValidToken, valid_token};
use process::Signals;
use renewed::Renewed;
use std::process::Command;

pub(crate) async fn run(args: Run, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    let mut signals = Signals::caught();
    let work = async {
        let (_, session) = Selection::with_session(global, flags, Purpose::UseTokens, terminal).await?;
        let valid = valid_token(&session, args.requirements, terminal).await?;
        valid.require_bearer("")?;
        Ok::<_, RunError>((session, valid))
    };
    let (session, valid) = tokio::select! {
        biased;
        found = work => found?,
        error = signals.ends() => return Err(error),
    };
    let mut command = command(&args, &valid)?;
    unfinished::finish().await;
    if !args.refresh {
        // A program in our place has our signals, our exit code and our terminal without anybody's help.
        return process::replaced_by(command);
    }
    let (file, variable) = (Renewed::with(&valid.token)?, format!("{}_FILE", args.env));
    command.env(&variable, file.path());
    terminal.note(&format!(
        "{variable} names a file with the token, which is renewed until the command ends; {} holds the first one only.",
        args.env
    ));
    tokio::select! {
        biased;
        ended = process::ended(command, signals) => ended,
        never = file.renew(valid, &session, args.requirements, terminal) => match never {},
    }
}

/// The command with the token in its environment.
fn command(args: &Run, valid: &ValidToken) -> Result<Command, RunError> {
    let [program, arguments @ ..] = &*args.command else {
        return Err(RunError::Usage("no command is named".to_owned()));
    };
    let mut command = Command::new(program);
    // Exposed to be handed over, which is the purpose of the sub-command.
    command.args(arguments).env(&args.env, valid.token.expose());
    match valid.expires_on {
        Some(end) => command.env(format!("{}_EXPIRES_AT", args.env), when(end)),
        None => command.env_remove(format!("{}_EXPIRES_AT", args.env)),
    };
    Ok(command)
}
