//! Owns the protocol of docker's credential helpers (docker/docker-credential-helpers): an action, a registry on stdin, and what
//! is read of the answer.

use super::{read, token_for};
use crate::args::{Docker, DockerAction, Global};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::Purpose;
use crate::settings::{Key, Settings};
use crate::terminal::Terminal;
use crate::token::bearer_token;
use serde::Serialize;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// With exactly this on stdout, and an exit code that is not 0, the caller goes on without a credential. Any other text it shows
/// as an error.
const NOT_FOUND: &str = "credentials not found in native keychain\n";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credential<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

pub(crate) async fn docker(
    args: Docker,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    match args.action {
        DockerAction::Get => {}
        DockerAction::List => return list(global, flags, terminal),
        DockerAction::Version => return terminal.raw(concat!("device-flow ", env!("CARGO_PKG_VERSION"), "\n")),
        // An error here would be that of a sign-out, which the caller has done in its own file.
        DockerAction::Erase => {
            read(true).await?;
            terminal.note("Nothing is erased here: `device-flow logout` signs out.");
            return Ok(());
        }
        DockerAction::Store => {
            read(true).await?;
            terminal.raw("device-flow stores no passwords: sign in with `device-flow login`\n")?;
            return Err(RunError::AlreadyTold(1));
        }
    }
    let registry = read(true).await?;
    let answered = get(registry.trim(), global, flags, terminal).await;
    match answered {
        Ok(Some(answer)) => terminal.raw(&answer),
        Ok(None) => {
            terminal.raw(NOT_FOUND)?;
            Err(RunError::AlreadyTold(1))
        }
        // The caller shows what it reads there; stderr is not shown by all.
        Err(error) => {
            terminal.raw(&format!("{}\n", error.to_string().replace('\n', " ")))?;
            Err(RunError::AlreadyTold(error.exit_status()))
        }
    }
}

/// `None`: the registry is none of ours.
async fn get(
    registry: &str,
    global: &Global,
    flags: Settings,
    terminal: &mut Terminal,
) -> Result<Option<Zeroizing<String>>, RunError> {
    let Some((valid, helpers)) = token_for(registry, flags, global, terminal).await? else { return Ok(None) };
    let credential = Credential { server_url: registry, username: helpers.username(), secret: bearer_token(&valid)? };
    let answer = serde_json::to_string(&credential).map_err(|error| RunError::Internal(error.to_string()))?;
    Ok(Some(Zeroizing::new(answer + "\n")))
}

/// The registries that are named, with the user name for each.
fn list(global: &Global, flags: Settings, terminal: &mut Terminal) -> Result<(), RunError> {
    let selection = Selection::with_or_without_server(global, flags, Purpose::UseTokens)?;
    let options = selection.options()?;
    let named = options.helpers.token_host.iter().map(|host| (format!("https://{host}"), options.helpers.username()));
    let own = selection.settings().get(Key::Issuer).map(|issuer| (issuer.to_owned(), options.helpers.username()));
    let all: BTreeMap<_, _> = named.chain(own).collect();
    let text = serde_json::to_string(&all).map_err(|error| RunError::Internal(error.to_string()))?;
    terminal.raw(&(text + "\n"))
}
