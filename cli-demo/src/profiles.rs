//! Owns the sub-commands about profiles: `list`, `use`, and `profile` with what else can be done to one.

use crate::args::{Global, ProfileAction, ProfileName, RenameProfile, Use};
use crate::config::{Config, check_name};
use crate::pending::Resumable;
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::Overview;
use crate::settings::{Key, Settings};
use crate::shell::word;
use crate::terminal::Terminal;
use device_flow_tokio::Account;
use serde::Serialize;

#[derive(Serialize)]
struct Listed {
    profiles: Vec<Profile>,
    /// Accounts that no profile is about; `logout --all` removes them.
    accounts_without_profile: Vec<Other>,
}

#[derive(Serialize)]
struct Other {
    account: Option<String>,
    server: String,
    client_id: Option<String>,
}

#[derive(Serialize)]
struct Profile {
    profile: String,
    current: bool,
    server: String,
    client_id: Option<String>,
    storage: Option<String>,
    /// Everybody who is signed in; `None` where the server does not say who it is.
    accounts: Vec<Option<String>>,
}

pub(crate) async fn list(global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    let config = Config::load(global.config.as_deref())?;
    config.require_place()?;
    let selections = Selection::all(global)?;
    let overview = Overview::of(&selections, terminal).await;
    let mut listed = Listed { profiles: Vec::new(), accounts_without_profile: Vec::new() };
    for (name, selection) in config.names().zip(&selections) {
        let settings = config.profile(name)?.unwrap_or_default();
        let own = |key| settings.get(key).map(str::to_owned);
        listed.profiles.push(Profile {
            profile: name.to_owned(),
            current: config.current() == Some(name),
            server: settings.server_name().unwrap_or_else(|| "no server".to_owned()),
            client_id: own(Key::ClientId),
            storage: own(Key::Store),
            accounts: overview.of_profile(selection).iter().map(label).collect(),
        });
    }
    for (_, account) in overview.without_profile(&selections) {
        listed.accounts_without_profile.push(Other {
            account: label(&account),
            server: account.environment().to_owned(),
            client_id: account.client_id().map(str::to_owned),
        });
    }
    let longest = listed.profiles.iter().map(|profile| profile.profile.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Profile { profile, current, server, client_id, storage, accounts } in &listed.profiles {
        let mark = if *current { '*' } else { ' ' };
        let server = server.strip_prefix("https://").unwrap_or(server);
        let client = client_id.as_ref().map_or_else(String::new, |id| format!("  (client {id})"));
        text += &format!("{mark} {profile:<longest$}  {server}{client}\n");
        let place = storage.as_ref().map_or_else(String::new, |storage| format!(" ({storage})"));
        for account in accounts {
            let account = account.as_deref().unwrap_or("signed in; the server does not say as whom");
            text += &format!("  {:<longest$}  {account}{place}\n", "");
        }
    }
    for Other { account, server, client_id } in &listed.accounts_without_profile {
        let (server, account) = (server.escape_debug(), account.as_deref().unwrap_or("somebody"));
        let client = client_id.as_deref().map_or_else(String::new, |id| format!("  (client {})", id.escape_debug()));
        text += &format!("  no profile: {account} at {server}{client}\n");
    }
    if text.is_empty() {
        terminal
            .note(&format!("There are no profiles in {} yet: `device-flow login` creates the first.", config.place()));
    }
    terminal.result("profiles", &listed, &text)
}

fn label(account: &Account) -> Option<String> {
    Some(String::from(account.label())).filter(|label| !label.is_empty())
}

pub(crate) fn make_current(args: &Use, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    let config = Config::load(global.config.as_deref())?;
    if config.profile(&args.name)?.is_none() {
        return Err(config.no_such(&args.name));
    }
    config.make_current(&args.name)?;
    #[derive(Serialize)]
    struct InUse<'a> {
        profile: &'a str,
    }
    terminal.result(
        "in_use",
        &InUse { profile: &args.name },
        &format!("Profile {} is now the current one\n", args.name),
    )
}

pub(crate) async fn profile(action: ProfileAction, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    match action {
        ProfileAction::List => list(global, terminal).await,
        ProfileAction::Use(args) => make_current(&args, global, terminal),
        ProfileAction::Show(args) => show(args.name, global, terminal).await,
        ProfileAction::Rename(args) => rename(&args, global, terminal).await,
        ProfileAction::Remove(args) => remove(&args, global, terminal).await,
    }
}

/// The profile of this name, among all of them.
fn find<'a>(all: &'a [Selection], config: &Config, name: &str) -> Result<&'a Selection, RunError> {
    all.iter().find(|selection| selection.profile() == Some(name)).ok_or_else(|| config.no_such(name))
}

async fn show(name: Option<String>, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    #[derive(Serialize)]
    struct Shown<'a> {
        profile: &'a str,
        current: bool,
        settings: &'a Settings,
        accounts: Vec<Option<String>>,
    }
    let config = Config::load(global.config.as_deref())?;
    config.require_place()?;
    let current = config.current().map(str::to_owned);
    let Some(name) = name.or_else(|| current.clone()) else {
        let text = "there is no current profile: name one, or choose one with `device-flow use`";
        return Err(RunError::Usage(text.to_owned()));
    };
    let all = Selection::all(global)?;
    let selection = find(&all, &config, &name)?;
    let accounts: Vec<_> =
        Overview::of(std::slice::from_ref(selection), terminal).await.of_profile(selection).iter().map(label).collect();
    let own = config.profile(&name)?.unwrap_or_default();
    let mut text = format!("[profile.{name}]\n{}", own.to_profile());
    for account in &accounts {
        let account = account.as_deref().unwrap_or("somebody whom the server does not name");
        text += &format!("# signed in: {account}\n");
    }
    let current = current.as_deref() == Some(&name);
    terminal.result("profile", &Shown { profile: &name, current, settings: &own, accounts }, &text)
}

async fn rename(args: &RenameProfile, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    #[derive(Serialize)]
    struct Renamed<'a> {
        profile: &'a str,
        was: &'a str,
    }
    let RenameProfile { old, new } = args;
    check_name(new)?;
    let config = Config::load(global.config.as_deref())?;
    let all = Selection::all(global)?;
    let selection = find(&all, &config, old)?;
    if config.names().any(|name| name == new) {
        return Err(RunError::Usage(format!(
            "there is a profile {new} already: choose another name, or rename that one first"
        )));
    }
    refuse_while_waiting(old, "renamed")?;
    let overview = Overview::of(std::slice::from_ref(selection), terminal).await;
    config.rename(old, new)?;
    // Somebody whom the server does not name is found by the name of the profile.
    if let Err(error) = overview.move_slots(selection, new).await {
        Config::load(global.config.as_deref())?.rename(new, old)?;
        return Err(error);
    }
    terminal.result("renamed", &Renamed { profile: new, was: old }, &format!("Profile {old} is now called {new}\n"))
}

async fn remove(args: &ProfileName, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    #[derive(Serialize)]
    struct Removed<'a> {
        profile: &'a str,
    }
    let name = &*args.name;
    let config = Config::load(global.config.as_deref())?;
    let all = Selection::all(global)?;
    let selection = find(&all, &config, name)?;
    refuse_while_waiting(name, "removed")?;
    let overview = Overview::of(&all, terminal).await;
    // Another profile of the same client still leads to them.
    let others = all.iter().filter(|other| other.profile() != Some(name));
    let found_elsewhere: Vec<_> = others.flat_map(|other| overview.of_profile(other)).collect();
    let accounts = overview.of_profile(selection);
    if let Some(account) = accounts.iter().find(|account| !found_elsewhere.contains(account)) {
        let who = label(account).unwrap_or_else(|| "somebody".to_owned());
        return Err(RunError::Usage(format!(
            "{who} is signed in with profile {name}, and nothing else would lead to these tokens. Sign out first: \
             device-flow logout --profile {}",
            word(name)
        )));
    }
    config.remove(name)?;
    terminal.result("removed", &Removed { profile: name }, &format!("Profile {name} is removed\n"))
}

fn refuse_while_waiting(profile: &str, what: &str) -> Result<(), RunError> {
    let mut waiting = Resumable::all().into_iter().filter(|sign_in| !sign_in.is_expired());
    match waiting.find(|sign_in| sign_in.is_of_profile(Some(profile))) {
        Some(sign_in) => Err(RunError::Usage(format!(
            "profile {profile} cannot be {what} while a sign-in of it waits to be approved: finish that one ({}), or wait until \
             its code has expired",
            sign_in.how_to_resume()
        ))),
        None => Ok(()),
    }
}
