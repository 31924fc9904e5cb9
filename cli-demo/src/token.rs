//! Owns the `token` sub-command, and how every helper gets a token: a valid one, without showing a code.

use crate::args::{Format, Global, Token, TokenRequirements};
use crate::login::source;
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::{Purpose, Session, Wanted};
use crate::settings::Settings;
use crate::shell::quoted;
use crate::terminal::{Terminal, today, when};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_tokio::{Failure, IdTokenClaims, ProofRequest, Secret, SignInReason, SignedIn, TokenType, UnixTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tracing::info;
use zeroize::Zeroizing;

/// A token that meets the requirements.
pub(crate) struct ValidToken {
    pub(crate) signed_in: SignedIn,
    pub(crate) token: Secret,
    pub(crate) expires_on: Option<UnixTime>,
    is_access_token: bool,
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
    let format = if global.json { Format::Json } else { args.format };
    if args.url.is_some() && format != Format::Header {
        return Err(RunError::Usage("--url is for --format header".to_owned()));
    }
    let (selection, session) = Selection::with_session(global, flags, Purpose::UseTokens, terminal).await?;
    let valid = valid_token(&session, args.requirements, terminal).await?;
    let proof = match format {
        Format::Header => proof(&session, &args, &valid)?,
        Format::Raw | Format::Env | Format::Json => {
            if valid.is_bound() {
                terminal.note("This token is bound to a key (DPoP): an API takes it only with a proof (--format header --url URL).");
            }
            None
        }
    };
    // Exposed to be printed, which is the purpose of the command.
    let mut text = Zeroizing::new(printed(format, &valid, args.requirements.id_token, selection.profile())?);
    if let Some(proof) = proof {
        text.push_str("DPoP: ");
        text.push_str(proof.expose());
        text.push('\n');
    }
    terminal.raw(&text)
}

/// The proof that goes with the token to the URL that was named; `None` for a token that needs none.
fn proof(session: &Session, args: &Token, valid: &ValidToken) -> Result<Option<Secret>, RunError> {
    let Some(url) = &args.url else { return valid.require_bearer(" (--url URL --method METHOD)").map(|()| None) };
    let client = session.client();
    let Some(key) = client.proof_of_possession().filter(|_| valid.is_bound()) else { return Ok(None) };
    if let Some(nonce) = &args.nonce {
        key.remember_nonce(url, nonce);
    }
    let request = ProofRequest::to_resource(&args.method, url, &valid.token)?;
    key.proof(&request).map(Some).map_err(|error| RunError::Internal(error.to_string()))
}

impl ValidToken {
    /// Whether it is of no use without a proof of the key that it is bound to.
    fn is_bound(&self) -> bool {
        // An ID token is never bound.
        self.signed_in.token_type() == TokenType::Dpop && self.is_access_token
    }

    /// For what can hand on bearer tokens alone. `instead`: what works, in parentheses.
    pub(crate) fn require_bearer(&self, instead: &str) -> Result<(), RunError> {
        let certificate = is_bound_to_a_certificate(&self.token);
        if !self.is_bound() && !certificate {
            return Ok(());
        }
        let by = if certificate { "the certificate of this client" } else { "a key (DPoP)" };
        let instead = if certificate { "" } else { instead };
        Err(RunError::NoToken {
            exit: 4,
            text: format!("the token is bound to {by}, so it is of no use as a bearer token{instead}"),
        })
    }
}

/// The token for what sends it as `Authorization: Bearer`, or as a password.
pub(crate) fn bearer_token(valid: &ValidToken) -> Result<&str, RunError> {
    valid.require_bearer("")?;
    // Exposed to be handed over, which is the purpose of the commands that ask for it.
    in_a_header(valid.token.expose())
}

fn in_a_header(token: &str) -> Result<&str, RunError> {
    match token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(token),
        false => Err(RunError::Internal("the token contains characters that a header cannot carry".to_owned())),
    }
}

/// Whether an access token says that it is bound to the certificate of the connection (RFC 8705 §3.1). Only one that is a
/// JWT says so.
fn is_bound_to_a_certificate(token: &Secret) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        cnf: Confirmation,
    }
    #[derive(Deserialize)]
    struct Confirmation {
        #[serde(rename = "x5t#S256")]
        certificate: String,
    }
    // Exposed to be looked at.
    let claims = token.expose().split('.').nth(1).and_then(|claims| Base64UrlUnpadded::decode_vec(claims).ok());
    claims.is_some_and(|claims| {
        serde_json::from_slice::<Claims>(&claims).is_ok_and(|claims| !claims.cnf.certificate.is_empty())
    })
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
        return Ok(ValidToken { signed_in, token, expires_on, is_access_token: true });
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
    (expires > today().saturating_add(least)).then(|| ValidToken {
        signed_in,
        token,
        expires_on: Some(expires),
        is_access_token: false,
    })
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
            let token = in_a_header(token)?;
            let scheme = if is_id_token { TokenType::Bearer } else { valid.signed_in.token_type() };
            format!("Authorization: {scheme} {token}\n")
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
                token_type: if is_id_token { TokenType::Bearer } else { valid.signed_in.token_type() }.as_str(),
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
