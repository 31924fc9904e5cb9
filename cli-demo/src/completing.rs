//! Owns what a running shell completes: sub-commands, options, and what only this computer knows: profiles and accounts.

use crate::args::Cli;
use crate::config::Config;
use crate::run_error::RunError;
use crate::session::{Storage, with};
use crate::shell::word;
use clap::CommandFactory as _;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use device_flow_tokio::{Preset, TokenCache};
use std::borrow::Cow;

/// With it, the script of [`script`] asks this program.
const VARIABLE: &str = "DEVICE_FLOW_COMPLETE";
const NAME: &str = "device-flow";

/// Answers a shell, if one asks. What goes wrong completes nothing.
pub(crate) fn answers() -> bool {
    let Some(shell) = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty()) else { return false };
    let is_known = shell.to_str().is_some_and(|shell| Shells::builtins().completer(shell).is_some());
    let complete = || {
        let folder = std::env::current_dir().ok();
        CompleteEnv::with_factory(Cli::command)
            .var(VARIABLE)
            .bin(NAME)
            .try_complete(std::env::args_os(), folder.as_deref())
    };
    // Without words it would print a script of its own.
    if is_known && std::env::args_os().len() > 1 {
        let _ = complete();
    }
    true
}

/// The script that makes a shell ask.
pub(crate) fn script(shell: &str) -> Result<String, RunError> {
    let internal = |error: String| RunError::Internal(error);
    let shells = Shells::builtins();
    let completer = shells.completer(shell).ok_or_else(|| internal(format!("no script for {shell}")))?;
    let mut script = Vec::new();
    let written = completer.write_registration(VARIABLE, NAME, NAME, NAME, &mut script);
    written.map_err(|error| internal(error.to_string()))?;
    String::from_utf8(script).map_err(|error| internal(error.to_string()))
}

/// The profiles of the file, each with its server.
pub(crate) fn profiles() -> Vec<CompletionCandidate> {
    let Ok(config) = Config::load(None) else { return Vec::new() };
    let one = |name: &str| {
        let server = config.profile(name).ok().flatten().and_then(|settings| settings.server_name());
        CompletionCandidate::new(name.to_owned()).help(server.map(Into::into))
    };
    config.names().map(one).collect()
}

/// The servers that are known by name.
pub(crate) fn providers() -> Vec<CompletionCandidate> {
    let one = |preset: &Preset| CompletionCandidate::new(preset.name()).help(Some(preset.about().into()));
    Preset::all().iter().map(one).collect()
}

/// The accounts in the files of the profiles. No keyring is asked and no key unlocked, which could wait for a person.
pub(crate) fn accounts() -> Vec<CompletionCandidate> {
    let mut found: Vec<String> = Vec::new();
    let Ok(config) = Config::load(None) else { return Vec::new() };
    let options = config.names().filter_map(|name| config.profile(name).ok()??.parse(name).ok());
    let files = options.filter_map(|options| Storage::of(&options.target).ok());
    for storage in files {
        let Storage::File(path) = storage else { continue };
        // Read as they are: a store would repair permissions, and here it could not say so.
        let parts = [path.clone(), with(&path, ".unshared")].map(|path| std::fs::read(path).ok());
        let caches = parts.iter().flatten().filter_map(|part| TokenCache::from_json(part).ok());
        found.extend(caches.flat_map(|cache| cache.accounts()).map(|account| account.username().to_owned()));
    }
    found.sort_unstable();
    found.dedup();
    // A server's text goes into a command line.
    found.retain(|name| !name.is_empty() && !name.starts_with('-') && matches!(word(name), Cow::Borrowed(_)));
    found.into_iter().map(CompletionCandidate::new).collect()
}
