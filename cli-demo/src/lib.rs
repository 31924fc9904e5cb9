//! The library half of the `device-flow` command line: [`main`] is the program, [`demo`] the authorization server
//! inside it.

mod account;
mod args;
mod config;
mod credential;
pub mod demo;
mod demo_command;
mod discover;
mod doctor;
mod generated;
mod host;
mod logging;
mod login;
mod pending;
mod probe;
mod profiles;
mod run_error;
mod selection;
mod session;
mod settings;
mod shell;
mod signals;
mod terminal;
mod token;

use args::{Cli, Command, Man, Progress};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use run_error::RunError;
use settings::Settings;
use std::process::ExitCode;
use terminal::Terminal;

/// The program, from its command line to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (Cli { mut global, command }, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version go to stdout with exit code 0, mistakes to stderr with 2.
            let _ = error.print();
            if error.exit_code() != 0 && std::env::args_os().any(|word| word == "--json") {
                terminal::usage_error(&error.to_string());
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    logging::start(global.verbose);
    if global.verbose > 0 && global.progress == Progress::Auto {
        // A line that is repainted and lines that scroll do not go together.
        global.progress = Progress::Plain;
    }
    // Git, kubectl and shells read their own format on stdout, even if the environment asks for JSON.
    global.json &=
        !matches!(command, Command::Credential(_) | Command::Completions(_) | Command::Man(Man { to: None }));
    let mut terminal = Terminal::new(&global);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = RunError::Internal(format!("no runtime: {error}"));
            terminal.failed(&error);
            return error.exit_code();
        }
    };
    let outcome = runtime.block_on(async {
        let signal = signals::signal();
        // It has to clean up, which may take a moment.
        let listens_itself = matches!(command, Command::Login(_));
        let work = async {
            let flags = || Settings::from_flags(innermost(&matches));
            match command {
                Command::Login(args) => login::login(*args, flags()?, &global, &mut terminal).await,
                Command::Token(args) => token::token(*args, flags()?, &global, &mut terminal).await,
                Command::Status(args) => account::status(*args, flags()?, &global, &mut terminal).await,
                Command::Refresh(args) => account::refresh(*args, flags()?, &global, &mut terminal).await,
                Command::Logout(args) => account::logout(*args, flags()?, &global, &mut terminal).await,
                Command::List => profiles::list(&global, &mut terminal).await,
                Command::Use(args) => profiles::make_current(&args, &global, &mut terminal),
                Command::Discover(args) => discover::discover(*args, flags()?, &global, &mut terminal).await,
                Command::Doctor(args) => doctor::doctor(*args, flags()?, &global, &mut terminal).await,
                Command::Demo(args) => demo_command::demo(args, &global, &mut terminal).await,
                Command::Credential(args) => credential::credential(args, flags()?, &global, &mut terminal).await,
                Command::Completions(args) => generated::completions(&args, &mut terminal),
                Command::Man(args) => generated::man(&args, &mut terminal),
            }
        };
        tokio::select! {
            biased;
            outcome = work => outcome,
            error = signal, if !listens_itself => Err(match session::unfinished::is_revoking() {
                true => RunError::NotYetRevoked(Box::new(error)),
                false => error,
            }),
        }
    });
    // A refresh whose answer is not stored yet would cost the refresh token.
    runtime.block_on(session::unfinished::finish());
    // A name look-up that hangs on a thread of its own must not delay the exit.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.failed(&error);
            error.exit_code()
        }
    }
}

/// The matches of the sub-command itself. Global options are repeated there.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}
