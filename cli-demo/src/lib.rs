//! The library half of the `device-flow` command line: [`main`] is the program, [`demo`] the authorization server
//! inside it.

mod account;
mod args;
mod completing;
mod config;
mod credential;
pub mod demo;
mod demo_command;
mod discover;
mod doctor;
mod generated;
mod host;
mod inspect;
mod logging;
mod login;
mod manual;
mod pending;
mod probe;
mod profiles;
mod providers;
mod remedy;
mod run;
mod run_error;
mod selection;
mod session;
mod settings;
mod shell;
mod signals;
mod terminal;
mod token;
mod whoami;

use args::{Cli, Command, ProfileAction, Progress};
use clap::builder::{FalseyValueParser, TypedValueParser as _};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser as _};
use credential::Invocation;
use run_error::RunError;
use settings::Settings;
use std::ffi::OsString;
use std::process::ExitCode;
use terminal::Terminal;

/// What the lines of `--json` look like (JSON Schema).
const SCHEMA: &str = include_str!("events.schema.json");

/// The program, from its command line to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| terminal::crashed(panic.location())));
    if completing::answers() {
        return ExitCode::SUCCESS;
    }
    let invocation = credential::invocation();
    let (Cli { mut global, command }, matches) = match parse(Cli::command(), &invocation.words) {
        Ok(parsed) => parsed,
        Err(error) if providers::are_asked_for(&error) => return list_providers(),
        Err(error) => return told(error, &invocation),
    };
    if let Some(text) = has_no_use_for_profile(&command, &matches) {
        let error = RunError::Usage(text.to_owned());
        Terminal::new(&global).failed(&error);
        return error.exit_code();
    }
    logging::start(global.verbose);
    if global.verbose > 0 && global.progress == Progress::Auto {
        // A line that is repainted and lines that scroll do not go together.
        global.progress = Progress::Plain;
    }
    // Git, kubectl and shells read their own format on stdout, even if the environment asks for JSON.
    let prints_pages = matches!(&command, Command::Man(man) if man.to.is_none());
    global.json &=
        !prints_pages && !matches!(command, Command::Credential(_) | Command::Completions(_) | Command::Run(_));
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
        // It has to clean up, which may take a moment, or still has something to say.
        let judges = matches!(&command, Command::Demo(demo) if demo.judge);
        let listens_itself = judges || matches!(command, Command::Login(_) | Command::Run(_));
        let work = async {
            let flags = || Settings::from_flags(innermost(&matches));
            match command {
                Command::Login(args) => login::login(args.into_inner(), flags()?, &global, &mut terminal).await,
                Command::Token(args) => token::token(args.into_inner(), flags()?, &global, &mut terminal).await,
                Command::Run(args) => run::run(args.into_inner(), flags()?, &global, &mut terminal).await,
                Command::Inspect(args) => inspect::inspect(args.into_inner(), flags()?, &global, &mut terminal).await,
                Command::Whoami(args) => whoami::whoami(args.into_inner(), flags()?, &global, &mut terminal).await,
                Command::Status(args) => account::status(args.into_inner(), flags()?, &global, &mut terminal).await,
                Command::Refresh(args) => account::refresh(args.into_inner(), flags()?, &global, &mut terminal).await,
                Command::Logout(args) => account::logout(args.into_inner(), flags()?, &global, &mut terminal).await,
                Command::List => profiles::list(&global, &mut terminal).await,
                Command::Profile(args) => profiles::profile(args.into_inner().action, &global, &mut terminal).await,
                Command::Providers(args) => providers::list(&args, &mut terminal),
                Command::Use(args) => profiles::make_current(&args, &global, &mut terminal),
                Command::Discover(args) => {
                    discover::discover(args.into_inner(), flags()?, &global, &mut terminal).await
                }
                Command::Doctor(args) => doctor::doctor(args.into_inner(), flags()?, &global, &mut terminal).await,
                Command::Demo(args) => demo_command::demo(args.into_inner(), &global, &mut terminal).await,
                Command::Credential(args) => {
                    credential::credential(args.into_inner(), flags()?, &global, &mut terminal).await
                }
                Command::Completions(args) => generated::completions(&args, &mut terminal),
                Command::Schema => terminal.raw(SCHEMA),
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

fn parse(command: clap::Command, words: &[OsString]) -> Result<(Cli, ArgMatches), clap::Error> {
    let matches = command.try_get_matches_from(words)?;
    Ok((Cli::from_arg_matches(&matches)?, matches))
}

/// Help and version go to stdout with exit code 0, mistakes to stderr with 2.
fn told(error: clap::Error, invocation: &Invocation) -> ExitCode {
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    // Only now does the help have to fit.
    let fitted = || parse(args::fitted(Cli::command(), terminal::result_columns()), &invocation.words).err();
    let error = is_help.then(fitted).flatten().unwrap_or(error);
    let is_mistake = error.exit_code() != 0;
    if is_mistake && invocation.by_cargo {
        credential::tell_cargo(error.to_string().lines().next().unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    terminal::print_usage(&error.render().to_string(), is_mistake);
    if is_mistake && wants_json(&invocation.words) {
        terminal::usage_error(&error.to_string());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Whether JSON is asked for, of a command line that cannot be parsed.
fn wants_json(words: &[OsString]) -> bool {
    let is_set = |value| FalseyValueParser::new().parse(&Cli::command(), None, value).unwrap_or(false);
    // What follows is the command of `run`.
    let mut ours = words.iter().take_while(|word| *word != "--");
    ours.any(|word| word == "--json") || std::env::var_os("DEVICE_FLOW_JSON").is_some_and(is_set)
}

/// `--provider list`, wherever it stands: the sub-command `providers`.
fn list_providers() -> ExitCode {
    let json = std::env::args_os().filter(|word| word == "--json").take(1);
    let words = ["device-flow", "providers"].into_iter().map(Into::into).chain(json);
    match Cli::try_parse_from(words) {
        Ok(Cli { global, .. }) => {
            let mut terminal = Terminal::new(&global);
            match providers::list(&args::Providers { name: None }, &mut terminal) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => error.exit_code(),
            }
        }
        // A variable of the environment is wrong.
        Err(error) => {
            terminal::print_usage(&error.render().to_string(), true);
            ExitCode::from(2)
        }
    }
}

/// Why `--profile` on the command line is refused, where it could be taken for a choice that nothing makes.
fn has_no_use_for_profile(command: &Command, matches: &ArgMatches) -> Option<&'static str> {
    let is_list = matches!(command, Command::List)
        || matches!(command, Command::Profile(profile) if matches!(profile.action, ProfileAction::List));
    let text = if is_list {
        "list shows every profile: leave out --profile, or use `device-flow status --profile NAME`"
    } else if matches!(command, Command::Use(_)) {
        "use takes the profile as its argument: leave out --profile"
    } else if matches!(command, Command::Profile(_)) {
        "profile takes the profile as its argument: leave out --profile"
    } else if matches!(
        command,
        Command::Providers(_) | Command::Demo(_) | Command::Schema | Command::Completions(_) | Command::Man(_)
    ) {
        "this sub-command uses no profile: leave out --profile"
    } else {
        return None;
    };
    (innermost(matches).value_source("profile") == Some(ValueSource::CommandLine)).then_some(text)
}

/// The matches of the sub-command itself. Global options are repeated there.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}
