//! Owns what pip and uv ask a program called `keyring`: three forms of a question, three forms of the answer.

use super::token_for;
use crate::args::{Global, Keyring, KeyringMode, KeyringOutput};
use crate::run_error::RunError;
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::token::bearer_token;
use serde::Serialize;
use zeroize::Zeroizing;

#[derive(Serialize)]
struct Credential<'a> {
    username: &'a str,
    password: &'a str,
}

pub(crate) async fn keyring(
    args: Keyring,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    if args.action != "get" {
        let text = "device-flow stores no passwords: sign in with `device-flow login`";
        return Err(RunError::Usage(text.to_owned()));
    }
    let Some(service) = &args.service else { return Err(RunError::Usage("no index is named".to_owned())) };
    // As the keyring without an entry: the caller goes on without a credential.
    let answer = token_for(service, flags, global, terminal).await?;
    let (valid, helpers) = answer.ok_or(RunError::AlreadyTold(1))?;
    let password = bearer_token(&valid)?;
    // A user name that is asked for has to be the one of the answer.
    let username = args.user.as_deref().unwrap_or_else(|| helpers.username());
    let text = match (args.mode, args.output) {
        (KeyringMode::Password, KeyringOutput::Plain) => format!("{password}\n"),
        (KeyringMode::Creds, KeyringOutput::Plain) => format!("{username}\n{password}\n"),
        (_, KeyringOutput::Json) => {
            let credential = Credential { username, password };
            serde_json::to_string(&credential).map_err(|error| RunError::Internal(error.to_string()))? + "\n"
        }
    };
    terminal.raw(&Zeroizing::new(text))
}
