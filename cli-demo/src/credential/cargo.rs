//! Owns cargo's credential protocol, version 1 (The Cargo Book, Credential Provider Protocol): a greeting, one request in JSON,
//! one answer. The options of the configuration come within the request.

use super::{read, read_now, token_for};
use crate::account;
use crate::args::{Cargo, Global, Login, Logout, PromptOptions};
use crate::login;
use crate::run_error::RunError;
use crate::settings::Settings;
use crate::terminal::{self, Terminal};
use crate::token::bearer_token;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use zeroize::Zeroizing;

/// The versions of the protocol that this program speaks.
const HELLO: &str = "{\"v\":[1]}\n";

#[derive(Deserialize)]
struct Request {
    registry: Registry,
    kind: String,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    index_url: String,
}

#[derive(Serialize)]
enum Answer<'a> {
    Ok(Done<'a>),
    Err(Refused),
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Done<'a> {
    Get {
        token: &'a str,
        cache: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        expiration: Option<u64>,
        /// The same token for reading and publishing.
        operation_independent: bool,
    },
    Login,
    Logout,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Refused {
    UrlNotSupported,
    NotFound,
    OperationNotSupported,
    Other { message: String },
}

/// The command line that cargo means: it starts the program with one word, and says the others in its request.
pub(super) fn words(started_with: &[OsString]) -> Vec<OsString> {
    terminal::answer(HELLO);
    let request = read_now(false).unwrap_or_default();
    let given = serde_json::from_str::<Request>(&request).map(|request| request.args).unwrap_or_default();
    let mut words: Vec<_> = started_with.iter().filter(|word| *word != "--cargo-plugin").cloned().collect();
    let is_named = |words: &[OsString]| words.windows(2).any(|pair| pair == ["credential", "cargo"]);
    let given: Vec<_> = given.into_iter().map(OsString::from).collect();
    if !is_named(&words) && !is_named(&given) {
        words.extend(["credential", "cargo"].map(OsString::from));
    }
    words.extend(given);
    words.extend(["--request".into(), request.into()]);
    words
}

/// Tells cargo of a mistake in the options.
pub(crate) fn tell_mistake(mistake: &str) {
    let answer = Answer::Err(Refused::Other { message: mistake.to_owned() });
    terminal::answer(&(serde_json::to_string(&answer).unwrap_or_default() + "\n"));
}

pub(crate) async fn cargo(
    args: Cargo,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let request = match &args.request {
        Some(request) => request.clone(),
        // Started by hand.
        None => {
            terminal.raw(HELLO)?;
            read(false).await?
        }
    };
    let request: Request = serde_json::from_str(&request).map_err(|error| {
        RunError::Usage(format!("stdin is not what cargo writes to its credential providers: {error}"))
    })?;
    terminal.leaves_stdout_to_a_program();
    // Every error is one that cargo hears of, and shows.
    let answer = match &*request.kind {
        "get" => return get(&request.registry.index_url, flags, global, terminal).await,
        "login" => sign_in(args, flags, global, terminal).await.map(|()| Done::Login),
        "logout" => sign_out(args, flags, global, terminal).await.map(|()| Done::Logout),
        _ => return tell(&Answer::Err(Refused::OperationNotSupported), terminal),
    };
    tell(&answer.map_or_else(|error| Answer::Err(refused(&error)), Answer::Ok), terminal)
}

fn tell(answer: &Answer<'_>, terminal: &mut Terminal) -> Result<(), RunError> {
    let text = serde_json::to_string(answer).map_err(|error| RunError::Internal(error.to_string()))?;
    terminal.raw(&Zeroizing::new(text + "\n"))
}

fn refused(error: &RunError) -> Refused {
    Refused::Other { message: format!("device-flow: {error}") }
}

async fn get(index: &str, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    let index = index.strip_prefix("sparse+").or_else(|| index.strip_prefix("registry+")).unwrap_or(index);
    let valid = match token_for(index, flags, global, terminal).await {
        Ok(Some((valid, _))) => valid,
        Ok(None) => return tell(&Answer::Err(Refused::UrlNotSupported), terminal),
        // With any other answer cargo would never get as far as asking for a login.
        Err(error) if error.exit_status() == 4 => {
            terminal.note(&format!("device-flow: {error}"));
            return tell(&Answer::Err(Refused::NotFound), terminal);
        }
        Err(error) => return tell(&Answer::Err(refused(&error)), terminal),
    };
    let token = match bearer_token(&valid) {
        Ok(token) => Zeroizing::new(format!("Bearer {token}")),
        Err(error) => return tell(&Answer::Err(refused(&error)), terminal),
    };
    let expiration = valid.expires_on.map(|end| end.as_secs());
    let cache = if expiration.is_some() { "expires" } else { "session" };
    tell(&Answer::Ok(Done::Get { token: &token, cache, expiration, operation_independent: true }), terminal)
}

/// With a code, whatever is stored: cargo has asked for the stored token before.
async fn sign_in(args: Cargo, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    let Cargo { target, helpers, .. } = args;
    let login = Login {
        server_name: None,
        target,
        force: true,
        no_wait: false,
        resume: None,
        timeout: None,
        insecure_storage: false,
        helpers,
        prompt: PromptOptions { no_open: true, ..PromptOptions::default() },
    };
    login::login(login, flags, global, terminal).await
}

async fn sign_out(args: Cargo, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    let logout = Logout { target: args.target, all: false, no_revoke: false };
    account::logout(logout, flags, global, terminal).await
}
