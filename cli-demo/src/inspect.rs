//! Owns the `inspect` sub-command: what a JWT says, decoded here. Nothing is sent anywhere, and nothing is verified.

use crate::args::{Global, Inspect};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::{Purpose, is_stdin};
use crate::settings::Settings;
use crate::terminal::{Terminal, left, local, today};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_tokio::{Failure, Secret, SignInReason, UnixTime, harmless};
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// More than any server puts into a header.
const MOST: u64 = 1024 * 1024;

/// The claims that are times.
const TIMES: [&str; 5] = ["exp", "iat", "nbf", "auth_time", "updated_at"];

pub(crate) type Object = Map<String, Value>;

#[derive(Serialize)]
struct Inspected {
    /// The signature was not looked at.
    verified: bool,
    header: Object,
    claims: Object,
}

pub(crate) async fn inspect(
    args: Inspect,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let token = match args.file {
        Some(file) => read(file).await?,
        None => stored(args.id_token, flags, global, terminal).await?,
    };
    // Exposed to be decoded, which is the purpose of the command. The signature is not shown: whoever had it, too, would have the token.
    let inspected = decoded(token.expose())?;
    terminal.result("inspected", &inspected, &text(&inspected))
}

/// The stored one, which may need a refresh: that is not for this command, which makes no request.
async fn stored(id_token: bool, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<Secret, RunError> {
    let (_, session) = Selection::with_session(global, flags, Purpose::UseTokens, terminal).await?;
    let request = session.request().min_life(Duration::ZERO);
    let cache = session.cache().await?;
    let Some(signed_in) = request.cached(&cache, today()) else {
        let account = request.find_account(&cache)?;
        return Err(match account.is_some_and(|account| cache.is_refreshable(request.owner(&account))) {
            true => RunError::NoToken {
                exit: 4,
                text: "the stored access token has expired: `device-flow refresh` gets a new one".to_owned(),
            },
            false => session.error(Failure::SignInNeeded(SignInReason::NotSignedIn)).await,
        });
    };
    if !id_token {
        return Ok(signed_in.access_token().clone());
    }
    signed_in.id_token().cloned().ok_or_else(|| RunError::NoToken {
        exit: 4,
        text: "there is no ID token: sign in with the scope openid (device-flow login --force)".to_owned(),
    })
}

/// On another thread: reading may wait for a person or a pipe, and Ctrl-C must end that wait.
async fn read(file: PathBuf) -> Result<Secret, RunError> {
    let path = file.clone();
    let read = move || {
        let mut text = Zeroizing::new(String::new());
        let read = if is_stdin(&path) {
            std::io::stdin().lock().take(MOST).read_to_string(&mut text)
        } else {
            std::fs::File::open(&path).and_then(|open| open.take(MOST).read_to_string(&mut text))
        };
        read.map(|_| Secret::from(text.trim()))
    };
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| RunError::Internal(error.to_string()))?;
    read.map_err(|error| RunError::Usage(format!("{}: {error}", file.display())))
}

fn decoded(token: &str) -> Result<Inspected, RunError> {
    let no_jwt = |why: &str| RunError::Usage(format!("this token cannot be looked into: {why}"));
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, _] = &*parts else {
        return Err(no_jwt(match parts.len() {
            5 => "it is encrypted (a JWE), and only the server that it is for can read it",
            _ => "it is no JWT, and only the server that has issued it knows what it means",
        }));
    };
    let part = |part: &str| -> Option<Object> {
        let bytes = Base64UrlUnpadded::decode_vec(part.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    match (part(header), part(claims)) {
        (Some(header), Some(claims)) => Ok(Inspected { verified: false, header, claims }),
        _ => Err(no_jwt("it looks like a JWT, but its header or its claims are not JSON in base64url")),
    }
}

/// The claims of a JWT; `None` if it is none.
pub(crate) fn claims_of(token: &Secret) -> Option<Object> {
    // Exposed to be decoded.
    decoded(token.expose()).ok().map(|inspected| inspected.claims)
}

fn text(inspected: &Inspected) -> String {
    let mut text = "Not verified: this is what the token says, whoever wrote it.\n".to_owned();
    for (title, object) in [("Header", &inspected.header), ("Claims", &inspected.claims)] {
        text += &format!("{title}\n");
        let longest = object.keys().map(|name| harmless(name).len()).max().unwrap_or_default();
        for (name, value) in object {
            text += &format!("  {:<longest$}  {}\n", harmless(name), shown(name, value));
        }
    }
    text
}

fn shown(name: &str, value: &Value) -> String {
    let plain = value.as_str().map_or_else(|| value.to_string(), |text| harmless(text).into_owned());
    let Some(time) = value.as_u64().filter(|_| TIMES.contains(&name)).map(UnixTime::from_secs) else { return plain };
    let (ahead, ago) = (time.saturating_since(today()), today().saturating_since(time));
    let distance = if ago.is_zero() { format!("in {}", left(ahead)) } else { format!("{} ago", left(ago)) };
    format!("{plain}  ({}, {distance})", local(time))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic to report")]
mod tests {
    use super::*;
    use serde_json::json;

    fn jwt(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        format!("{}.{}.canary", part(header), part(claims))
    }

    #[test]
    fn a_jwt_is_decoded_without_its_signature() {
        let claims = json!({"sub": "ada\u{1b}", "exp": 1_000_000_000, "aud": ["a", "b"], "iat": 1.5, "nbf": "soon"});
        let inspected = decoded(&jwt(&json!({"alg": "none"}), &claims)).unwrap();
        assert!(!inspected.verified);
        let text = text(&inspected);
        for part in [
            "alg  none",
            "sub  ada\\u{1b}",
            "exp  1000000000  (2001-09-0",
            " ago)",
            "aud  [\"a\",\"b\"]",
            "nbf  soon\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("canary") && text.starts_with("Not verified"), "{text}");
        // Padding is not allowed, and some write it.
        let padded = jwt(&json!({"a": 1}), &json!({})).replacen('.', "==.", 1);
        assert!(decoded(&padded).is_ok());
    }

    #[test]
    fn what_is_no_jwt_is_said_to_be_none_and_not_shown() {
        for (token, why) in [
            ("gho_canary", "no JWT"),
            ("", "no JWT"),
            ("canary.canary", "no JWT"),
            ("a.b.c.d.canary", "encrypted"),
            ("canary.canary.canary", "not JSON"),
            ("e30.W10.canary", "not JSON"),
        ] {
            let error = decoded(token).map(drop).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("canary"), "{token}: {error}");
        }
    }
}
