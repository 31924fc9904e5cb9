//! Owns the `token` sub-command, and what every helper that needs a token asks for: one that lives, without the person.

use crate::args::{Format, Global, Life, Token};
use crate::end::End;
use crate::login::from;
use crate::session::{Chosen, Purpose, Session};
use crate::settings::Settings;
use crate::terminal::{Terminal, today, when};
use device_flow_tokio::{Failure, IdTokenClaims, Secret, SignInReason, SignedIn, UnixTime};
use serde::Serialize;
use std::time::Duration;
use tracing::info;
use zeroize::Zeroizing;

/// A token that may be handed out.
pub(crate) struct Fresh {
    pub(crate) signed_in: SignedIn,
    pub(crate) token: Secret,
    pub(crate) expires_on: Option<UnixTime>,
}

/// `--format json`: the only object of this program that holds a secret.
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

pub(crate) async fn token(args: Token, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), End> {
    let chosen = Chosen::new(global, flags, Purpose::UseTokens)?;
    let session = Session::open(&chosen, Purpose::UseTokens, terminal).await?;
    let fresh = fresh(&session, args.life, terminal).await?;
    let format = if global.json { Format::Json } else { args.format };
    // Exposed to be printed: that is what was asked for.
    let text = Zeroizing::new(printed(format, &fresh, args.life.id_token, chosen.profile())?);
    terminal.raw(&text)
}

/// The stored token while it lives long enough, else a refreshed one.
pub(crate) async fn fresh(session: &Session, life: Life, terminal: &mut Terminal) -> Result<Fresh, End> {
    let mut request = session.request();
    if let Some(least) = life.min_ttl.or(life.no_refresh.then_some(Duration::ZERO)) {
        request = request.min_life(least);
    }
    let cache = session.cache().await?;
    let signed_in = match request.cached(&cache, today()) {
        Some(stored) => stored,
        None if life.no_refresh => {
            let whose = request.find_account(&cache).map_err(|failure| session.end(failure))?;
            let text = "no stored token lives long enough, and --no-refresh forbids a new one".to_owned();
            return Err(match whose {
                Some(_) => End::NoToken { exit: 4, text },
                None => session.end(Failure::SignInNeeded(SignInReason::NotSignedIn)),
            });
        }
        None => session.accounts()?.silent(&request).await.map_err(|error| session.end(error))?,
    };
    info!("the token is from {}", from(&signed_in));
    if !life.id_token {
        let (token, expires_on) = (signed_in.access_token().clone(), signed_in.expires_on());
        warn_if_short(life.min_ttl, expires_on, terminal);
        return Ok(Fresh { signed_in, token, expires_on });
    }
    // An ID token has a life of its own.
    let least = life.min_ttl.unwrap_or(Duration::from_secs(60));
    if let Some(fresh) = with_id_token(signed_in, least) {
        return Ok(fresh);
    }
    if !life.no_refresh {
        let refreshed = session.accounts()?.silent(&session.request().force_refresh()).await;
        if let Some(fresh) = with_id_token(refreshed.map_err(|error| session.end(error))?, Duration::ZERO) {
            warn_if_short(life.min_ttl, fresh.expires_on, terminal);
            return Ok(fresh);
        }
    }
    let asked = session.client.scope().split(' ').any(|scope| scope == "openid");
    Err(if asked && !life.no_refresh {
        End::NoToken {
            exit: 7,
            text: "the server gave no ID token, although the scope openid was asked for".to_owned(),
        }
    } else {
        let text = "there is no ID token that lives: sign in with the scope openid (device-flow login --force)";
        End::NoToken { exit: 4, text: text.to_owned() }
    })
}

fn with_id_token(signed_in: SignedIn, least: Duration) -> Option<Fresh> {
    let token = signed_in.id_token()?.clone();
    let expires = IdTokenClaims::read(&token).ok()?.expires();
    (expires > today().saturating_add(least)).then(|| Fresh { signed_in, token, expires_on: Some(expires) })
}

fn warn_if_short(least: Option<Duration>, expires_on: Option<UnixTime>, terminal: &mut Terminal) {
    if let (Some(least), Some(end)) = (least, expires_on) {
        let left = end.saturating_since(today());
        if left < least {
            terminal.note(&format!(
                "The server gives tokens that live for {} s; --min-ttl asks for {} s.",
                left.as_secs(),
                least.as_secs()
            ));
        }
    }
}

fn printed(format: Format, fresh: &Fresh, is_id_token: bool, profile: Option<&str>) -> Result<String, End> {
    let token = fresh.token.expose();
    let expires_at = fresh.expires_on.map(when);
    Ok(match format {
        Format::Raw => format!("{token}\n"),
        Format::Header => {
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(End::Internal("the token does not fit into a header".to_owned()));
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
            let label = fresh.signed_in.account().map(|account| account.label()).filter(|label| !label.is_empty());
            let printed = Printed {
                v: 1,
                token_type: "Bearer",
                token: if is_id_token { PrintedToken::IdToken(token) } else { PrintedToken::AccessToken(token) },
                expires_at,
                expires_in: fresh.expires_on.map(|end| end.saturating_since(today()).as_secs()),
                scope: fresh.signed_in.scopes().collect::<Vec<_>>().join(" "),
                account: label.as_deref(),
                profile,
            };
            serde_json::to_string(&printed).map_err(|error| End::Internal(error.to_string()))? + "\n"
        }
    })
}

/// For any shell of the Bourne family.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_evaluates_is_one_word() {
        assert_eq!(quoted("a$b`c\"d e"), "'a$b`c\"d e'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
