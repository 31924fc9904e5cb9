//! Owns git's credential-helper protocol (git-credential(1), gitcredentials(7)): what git asks on stdin, and the answer.

use super::host::Trust;
use crate::args::{Git, Global, Life, ProviderName};
use crate::end::End;
use crate::session::{Chosen, Purpose, Session};
use crate::settings::Settings;
use crate::terminal::{Terminal, today};
use crate::token::{Fresh, fresh};
use device_flow_tokio::{Failure, SignInError, Stopped};
use std::io::Read as _;
use std::time::Duration;
use zeroize::Zeroizing;

/// Git writes lines of at most 65535 bytes, and a handful of them.
const MOST: u64 = 1024 * 1024;

/// What git says of the repository, and of a credential that did not do. What is not needed here is not kept.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    protocol: String,
    host: String,
    username: String,
    /// Whether git can send something else than a user name and a password.
    knows_authtype: bool,
    password: Zeroizing<String>,
    credential: Zeroizing<String>,
}

pub(crate) async fn git(args: Git, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), End> {
    let is_get = match &*args.action {
        "get" => true,
        "erase" => false,
        // `store`: what git would have kept came from here. And gitcredentials(7) has helpers ignore what they do not know.
        _ => return Ok(()),
    };
    let asked = read().await?;
    let chosen = Chosen::new(global, flags, Purpose::UseTokens)?;
    let said = chosen.said()?;
    match Trust::of(&asked.protocol, &asked.host, &said) {
        Trust::Ours => {}
        // Nothing is said, so that git asks its next helper.
        Trust::Foreign => return Ok(()),
        Trust::OursInTheClear => {
            terminal.note(&format!(
                "The token is not sent to http://{}, where others could read it: use https.",
                asked.host
            ));
            return Ok(());
        }
    }
    if !is_get {
        return erase(&Session::open(&chosen, Purpose::UseTokens, terminal).await?, &asked).await;
    }
    let is_gitlab = said.target.provider == Some(ProviderName::Gitlab);
    match get(&chosen, args.bearer, is_gitlab, &asked, terminal).await {
        Ok(answer) => terminal.raw(&answer),
        // Without a word git would now ask the person for a user name and a password, which this host does not take, or a
        // script would hang at that question. With `quit` it ends, below our line that says what helps; the exit code it ignores.
        Err(end) => {
            terminal.raw("quit=1\n")?;
            Err(end)
        }
    }
}

async fn get(
    chosen: &Chosen,
    bearer: bool,
    is_gitlab: bool,
    asked: &Asked,
    terminal: &mut Terminal,
) -> Result<Zeroizing<String>, End> {
    if bearer && !asked.knows_authtype {
        return Err(End::Usage(
            "this git cannot send bearer tokens: git 2.46 or newer can. Or leave out --bearer".to_owned(),
        ));
    }
    let session = Session::open(chosen, Purpose::UseTokens, terminal).await?;
    let life = Life { min_ttl: None, no_refresh: false, id_token: false };
    answer(bearer, is_gitlab, asked, &fresh(&session, life, terminal).await?)
}

fn answer(bearer: bool, is_gitlab: bool, asked: &Asked, fresh: &Fresh) -> Result<Zeroizing<String>, End> {
    // Exposed to be printed: that is what was asked for.
    let token = fresh.token.expose();
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(End::Internal("the token does not fit into a header".to_owned()));
    }
    // Which user name stands beside a token does not matter to most servers: git's own, if it has one. GitLab wants this one.
    let username = if is_gitlab || asked.username.is_empty() { "oauth2" } else { &asked.username };
    let mut text = Zeroizing::new(if bearer {
        format!("capability[]=authtype\nauthtype=Bearer\ncredential={token}\nephemeral=1\n")
    } else {
        format!("username={username}\npassword={token}\n")
    });
    if let Some(end) = fresh.expires_on {
        text.push_str(&format!("password_expiry_utc={}\n", end.as_secs()));
    }
    Ok(text)
}

/// The server did not take a token. If it is the one that the next `get` would give, the next `get` must not: a refresh brings
/// another, or says that only the person can help; then nobody is signed in here any more.
async fn erase(session: &Session, asked: &Asked) -> Result<(), End> {
    let cache = session.cache().await?;
    let stored = session.request().min_life(Duration::ZERO).cached(&cache, today());
    let is_current = stored.is_some_and(|stored| {
        let token = stored.access_token().expose();
        token == asked.password.as_str() || token == asked.credential.as_str()
    });
    if !is_current {
        return Ok(());
    }
    match session.accounts()?.silent(&session.request().force_refresh()).await {
        Ok(_) => Ok(()),
        Err(SignInError::Stopped(Stopped::Failed(failure @ Failure::SignInNeeded(_)))) => {
            session.accounts()?.forget(&session.request()).await.map_err(|error| session.end(error))?;
            Err(session.end(failure))
        }
        Err(error) => Err(session.end(error)),
    }
}

/// Reads what git says: on a thread of its own, so that a person who started this by hand can end it.
async fn read() -> Result<Asked, End> {
    let wrong = |what: &str| End::Usage(format!("stdin is not what git writes to its credential helpers: {what}"));
    let said = tokio::task::spawn_blocking(|| {
        let mut said = Zeroizing::new(Vec::new());
        std::io::stdin().lock().take(MOST).read_to_end(&mut said).map(|_| said)
    });
    let said = said.await.map_err(|error| End::Internal(error.to_string()))?;
    let said = said.map_err(|error| wrong(&error.to_string()))?;
    if u64::try_from(said.len()).unwrap_or(MOST) >= MOST {
        return Err(wrong("too much"));
    }
    parse(&said).map_err(wrong)
}

/// Lines `key=value`, up to an empty one. Keys that are not needed here are ignored, as the protocol wants it.
fn parse(said: &[u8]) -> Result<Asked, &'static str> {
    let mut asked = Asked::default();
    let text = std::str::from_utf8(said).map_err(|_| "not UTF-8")?;
    for line in text.split('\n') {
        if line.is_empty() {
            break;
        }
        // What other programs take for the end of a line would be a second line to them.
        if line.contains(['\0', '\r']) {
            return Err("a NUL or a carriage return");
        }
        let (key, value) = line.split_once('=').ok_or("a line without =")?;
        match key {
            "protocol" => value.clone_into(&mut asked.protocol),
            "host" => value.clone_into(&mut asked.host),
            "username" => value.clone_into(&mut asked.username),
            "password" => value.clone_into(&mut asked.password),
            "credential" => value.clone_into(&mut asked.credential),
            // An empty one takes back those before it.
            "capability[]" => asked.knows_authtype = !value.is_empty() && (asked.knows_authtype || value == "authtype"),
            _ => {}
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_read_as_git_credential_1_says() {
        let said = b"capability[]=state\ncapability[]=authtype\nprotocol=https\nhost=example.com:8443\nwwwauth[]=Basic realm=\"x=y\"\n\
            path=a=b.git\nusername=ada\npassword=canary=1\nnew-key=\n\nhost=too.late\n";
        let asked = parse(said);
        let expected = Asked {
            protocol: "https".to_owned(),
            host: "example.com:8443".to_owned(),
            username: "ada".to_owned(),
            knows_authtype: true,
            password: Zeroizing::new("canary=1".to_owned()),
            credential: Zeroizing::default(),
        };
        assert_eq!(asked, Ok(expected));
        // The end of the file is the end, too; the last of two counts, as in git.
        assert_eq!(parse(b"host=a\nhost=b").map(|asked| asked.host), Ok("b".to_owned()));
        let taken_back = parse(b"capability[]=authtype\ncapability[]=\n").map(|asked| asked.knows_authtype);
        assert_eq!(taken_back, Ok(false));
        assert_eq!(parse(b""), Ok(Asked::default()));
    }

    #[test]
    fn what_git_would_not_write_is_refused() {
        for said in [
            &b"host=a\0b\n"[..],
            b"host=github.com\rhost=evil.example\n",
            b"protocol=https\r\n",
            b"host\n",
            b"host=\xff\n",
        ] {
            assert!(parse(said).is_err(), "{}", String::from_utf8_lossy(said));
        }
    }
}
