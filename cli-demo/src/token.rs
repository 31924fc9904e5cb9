//! Owns the `token` sub-command, and how every helper gets a token: a valid one, without showing a code.

use crate::args::{Format, Global, Token, TokenRequirements};
use crate::login::source;
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::{Purpose, Session, Wanted};
use crate::settings::Settings;
use crate::shell::quoted;
use crate::terminal::{Terminal, today, when};
use device_flow_tokio::{Failure, IdTokenClaims, Secret, SignInReason, SignedIn, UnixTime};
use serde::Serialize;
use std::time::Duration;
use tracing::info;
use zeroize::Zeroizing;

/// A token that meets the requirements.
pub(crate) struct ValidToken {
    pub(crate) signed_in: SignedIn,
    pub(crate) token: Secret,
    pub(crate) expires_on: Option<UnixTime>,
}

/// `--format json`: the only JSON object of this program that contains a secret.
#[derive(Serialize)]
struct Printed<'a> {
    v: u8,
    token_type: &'static str,
    #[serde(flatten)]
    token: PrintedToken<'a>,
    expires_at: Option<String>,
    /// In seconds.
    expires_in: Option<u64>,
    scope: String,
    account: Option<&'a str>,
    profile: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum PrintedToken<'a> {
    AccessToken(&'a str),
    IdToken(&'a str),
}

pub(crate) async fn token(
    args: Token,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let (selection, session) = Selection::with_session(global, flags, Purpose::UseTokens, terminal).await?;
    let valid = valid_token(&session, args.requirements, terminal).await?;
    let format = if global.json { Format::Json } else { args.format };
    // Exposed to be printed, which is the purpose of the command.
    let text = Zeroizing::new(printed(format, &valid, args.requirements.id_token, selection.profile())?);
    terminal.raw(&text)
}

/// The stored token if it meets the requirements, else a refreshed one.
pub(crate) async fn valid_token(
    session: &Session,
    wanted: TokenRequirements,
    terminal: &mut Terminal,
) -> Result<ValidToken, RunError> {
    let life = wanted.min_ttl.or(wanted.no_refresh.then_some(Duration::ZERO)).map_or(Wanted::Valid, Wanted::ValidFor);
    let request = session.request_for(life);
    let cache = session.cache().await?;
    let signed_in = match request.cached(&cache, today()) {
        Some(stored) => stored,
        None if wanted.no_refresh => {
            let whose = match request.find_account(&cache) {
                Ok(whose) => whose,
                Err(failure) => return Err(session.error(failure).await),
            };
            let refreshable = whose.is_some_and(|account| cache.is_refreshable(request.owner(&account)));
            let text = "no stored token is valid for long enough, and --no-refresh forbids a new one".to_owned();
            return Err(match refreshable {
                true => RunError::NoToken { exit: 4, text },
                false => session.error(Failure::SignInNeeded(SignInReason::NotSignedIn)).await,
            });
        }
        None => refreshed(session, life).await?,
    };
    info!("the token is from {}", source(&signed_in));
    if !wanted.id_token {
        let (token, expires_on) = (signed_in.access_token().clone(), signed_in.expires_on());
        warn_if_short(wanted.min_ttl, expires_on, terminal);
        return Ok(ValidToken { signed_in, token, expires_on });
    }
    // An ID token expires by itself, at another time than the access token.
    let least = wanted.min_ttl.unwrap_or(Duration::from_secs(60));
    if let Some(valid) = with_id_token(signed_in, least) {
        return Ok(valid);
    }
    if !wanted.no_refresh
        && let Some(valid) = with_id_token(refreshed(session, Wanted::New).await?, Duration::ZERO)
    {
        warn_if_short(wanted.min_ttl, valid.expires_on, terminal);
        return Ok(valid);
    }
    let asked = session.client().scope().split(' ').any(|scope| scope == "openid");
    Err(if asked && !wanted.no_refresh {
        RunError::NoToken {
            exit: 7,
            text: "the server issued no ID token, although the scope openid was requested".to_owned(),
        }
    } else {
        let text = "there is no valid ID token: sign in with the scope openid (device-flow login --force)";
        RunError::NoToken { exit: 4, text: text.to_owned() }
    })
}

/// A token without the person, or the error with what they can do.
pub(crate) async fn refreshed(session: &Session, wanted: Wanted) -> Result<SignedIn, RunError> {
    match session.silent(wanted).await {
        Ok(signed_in) => Ok(signed_in),
        Err(error) => Err(session.error(error).await),
    }
}

fn with_id_token(signed_in: SignedIn, least: Duration) -> Option<ValidToken> {
    let token = signed_in.id_token()?.clone();
    let expires = IdTokenClaims::read(&token).ok()?.expires();
    (expires > today().saturating_add(least)).then(|| ValidToken { signed_in, token, expires_on: Some(expires) })
}

fn warn_if_short(least: Option<Duration>, expires_on: Option<UnixTime>, terminal: &mut Terminal) {
    if let (Some(least), Some(end)) = (least, expires_on) {
        let left = end.saturating_since(today());
        if left < least {
            terminal.note(&format!(
                "The server issues tokens that are valid for {} s; --min-ttl asks for {} s.",
                left.as_secs(),
                least.as_secs()
            ));
        }
    }
}

fn printed(format: Format, valid: &ValidToken, is_id_token: bool, profile: Option<&str>) -> Result<String, RunError> {
    let token = valid.token.expose();
    let expires_at = valid.expires_on.map(when);
    Ok(match format {
        Format::Raw => format!("{token}\n"),
        Format::Header => {
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(RunError::Internal("the token contains characters that a header cannot carry".to_owned()));
            }
            format!("Authorization: Bearer {token}\n")
        }
        Format::Env => {
            let name = if is_id_token { "ID_TOKEN" } else { "ACCESS_TOKEN" };
            let mut text = format!("export {name}={}\n", quoted(token));
            if let Some(at) = expires_at {
                text += &format!("export {name}_EXPIRES_AT={}\n", quoted(&at));
            }
            text
        }
        Format::Json => {
            let label = valid.signed_in.account().map(|account| account.label()).filter(|label| !label.is_empty());
            let printed = Printed {
                v: 1,
                token_type: "Bearer",
                token: if is_id_token { PrintedToken::IdToken(token) } else { PrintedToken::AccessToken(token) },
                expires_at,
                expires_in: valid.expires_on.map(|end| end.saturating_since(today()).as_secs()),
                scope: valid.signed_in.scopes().collect::<Vec<_>>().join(" "),
                account: label.as_deref(),
                profile,
            };
            serde_json::to_string(&printed).map_err(|error| RunError::Internal(error.to_string()))? + "\n"
        }
    })
}
