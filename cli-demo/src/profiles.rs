//! Owns the sub-commands about profiles: `list`, `use`.

use crate::args::{Global, Use};
use crate::config::Config;
use crate::run_error::RunError;
use crate::settings::Key;
use crate::terminal::Terminal;
use serde::Serialize;

#[derive(Serialize)]
struct Listed {
    profiles: Vec<Profile>,
}

#[derive(Serialize)]
struct Profile {
    profile: String,
    current: bool,
    server: String,
    client_id: Option<String>,
    storage: Option<String>,
}

pub(crate) fn list(global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    let config = Config::load(global.config.as_deref())?;
    config.require_place()?;
    let mut listed = Listed { profiles: Vec::new() };
    for name in config.names() {
        let settings = config.profile(name)?.unwrap_or_default();
        let own = |key| settings.get(key).map(str::to_owned);
        listed.profiles.push(Profile {
            profile: name.to_owned(),
            current: config.current() == Some(name),
            server: settings.server_name().unwrap_or("no server").to_owned(),
            client_id: own(Key::ClientId),
            storage: own(Key::Store),
        });
    }
    let longest = listed.profiles.iter().map(|profile| profile.profile.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Profile { profile, current, server, client_id, .. } in &listed.profiles {
        let mark = if *current { '*' } else { ' ' };
        let server = server.strip_prefix("https://").unwrap_or(server);
        let client = client_id.as_ref().map_or_else(String::new, |id| format!("  (client {id})"));
        text += &format!("{mark} {profile:<longest$}  {server}{client}\n");
    }
    if text.is_empty() {
        terminal
            .note(&format!("There are no profiles in {} yet: `device-flow login` creates the first.", config.place()));
    }
    terminal.result("profiles", &listed, &text)
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
