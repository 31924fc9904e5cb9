//! The library half of the `device-flow` command line: [`main`] is the program, [`demo`] the authorization server inside it.

mod account;
mod args;
mod config;
mod credential;
pub mod demo;
mod discover;
mod doctor;
mod end;
mod generated;
mod logging;
mod login;
mod pending;
mod probe;
mod profiles;
mod servers;
mod session;
mod settings;
mod terminal;
mod token;
mod try_out;

use args::{Cli, Command, Man, Progress};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use end::End;
use settings::Settings;
use std::process::ExitCode;
use terminal::Terminal;

/// The program, from the words on its command line to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (Cli { mut global, command }, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version go to stdout and end with 0, mistakes to stderr with 2.
            let _ = error.print();
            if error.exit_code() != 0 && std::env::args_os().any(|word| word == "--json") {
                terminal::mistake(&error.to_string());
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    logging::start(global.verbose);
    if global.verbose > 0 && global.progress == Progress::Auto {
        // A line that is repainted and lines that scroll do not go together.
        global.progress = Progress::Plain;
    }
    // What git, kubectl or a shell reads on stdout is in their words, whatever the environment says.
    global.json &=
        !matches!(command, Command::Credential(_) | Command::Completions(_) | Command::Man(Man { to: None }));
    let mut terminal = Terminal::new(&global);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let end = End::Internal(format!("no runtime: {error}"));
            terminal.failed(&end);
            return end.exit_code();
        }
    };
    let outcome = runtime.block_on(async {
        let ended = signal();
        let work = async {
            let flags = || Settings::of_flags(innermost(&matches));
            match command {
                Command::Login(args) => login::login(*args, flags()?, &global, &mut terminal).await,
                Command::Token(args) => token::token(*args, flags()?, &global, &mut terminal).await,
                Command::Status(args) => account::status(*args, flags()?, &global, &mut terminal).await,
                Command::Refresh(args) => account::refresh(*args, flags()?, &global, &mut terminal).await,
                Command::Logout(args) => account::logout(*args, flags()?, &global, &mut terminal).await,
                Command::List => profiles::list(&global, &mut terminal),
                Command::Use(args) => profiles::make_current(&args, &global, &mut terminal),
                Command::Discover(args) => discover::discover(*args, flags()?, &global, &mut terminal).await,
                Command::Doctor(args) => doctor::doctor(*args, flags()?, &global, &mut terminal).await,
                Command::Demo(args) => try_out::demo(args, &global, &mut terminal).await,
                Command::Credential(args) => credential::credential(args, flags()?, &global, &mut terminal).await,
                Command::Completions(args) => generated::completions(&args, &mut terminal),
                Command::Man(args) => generated::man(&args, &mut terminal),
            }
        };
        tokio::select! {
            biased;
            // First, since some of it hears signals, too, and has to tidy up.
            outcome = work => outcome,
            end = ended => Err(end),
        }
    });
    // A name look-up that hangs in a thread of its own must not hold up the end.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(end) => {
            terminal.failed(&end);
            end.exit_code()
        }
    }
}

/// What was written of the sub-command itself. Options that every sub-command takes are repeated there.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}

/// Ctrl-C, or being told to end: heard from this call on. Dropping the work is a clean cancel: nothing is written half.
#[cfg(unix)]
pub(crate) fn signal() -> impl Future<Output = End> {
    use signal_hook::consts::SIGINT;
    use std::sync::{Arc, atomic::AtomicBool};
    use tokio::signal::unix::{SignalKind, signal};
    let streams = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    // Whatever the end takes (a file is just being written): the second Ctrl-C does not wait for it.
    let again = Arc::new(AtomicBool::new(false));
    let at_once = signal_hook::flag::register_conditional_shutdown(SIGINT, 130, again.clone());
    // If that cannot be had, the first one still ends it, in its time.
    let _ = at_once.and_then(|_| signal_hook::flag::register(SIGINT, again));
    async move {
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = streams else {
            // Signals cannot be heard here; the default of the system ends the process.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => End::Interrupted,
            _ = terminate.recv() => End::Terminated,
            _ = hangup.recv() => End::Terminated,
        }
    }
}

#[cfg(not(unix))]
pub(crate) async fn signal() -> End {
    match tokio::signal::ctrl_c().await {
        Ok(()) => End::Interrupted,
        Err(_) => std::future::pending().await,
    }
}
