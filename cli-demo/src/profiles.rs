//! Owns the sub-commands about profiles: `list`, `use`.

use crate::args::{Global, Use};
use crate::config::Config;
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::Overview;
use crate::settings::Key;
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
            server: settings.server_name().unwrap_or("no server").to_owned(),
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
    for Profile { profile, current, server, client_id, accounts, .. } in &listed.profiles {
        let mark = if *current { '*' } else { ' ' };
        let server = server.strip_prefix("https://").unwrap_or(server);
        let client = client_id.as_ref().map_or_else(String::new, |id| format!("  (client {id})"));
        text += &format!("{mark} {profile:<longest$}  {server}{client}\n");
        for account in accounts.iter().flatten() {
            text += &format!("  {:<longest$}  {account}\n", "");
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
