//! Owns git's credential-helper protocol (git-credential(1), gitcredentials(7)): the request on stdin, and the answer.

use super::trust::{Asker, Trust};
use crate::args::{Git, Global, TokenRequirements};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::{Purpose, Session, Wanted};
use crate::settings::Settings;
use crate::terminal::{Terminal, today};
use crate::token::{ValidToken, bearer_token, valid_token};
use device_flow_tokio::Failure;
use std::io::Read as _;
use std::time::Duration;
use zeroize::Zeroizing;

/// Git writes a handful of lines of at most 65535 bytes.
const MOST: u64 = 1024 * 1024;

/// What git says about the repository, and about a rejected credential. Other keys are dropped.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    protocol: String,
    host: String,
    username: String,
    /// Whether git can send anything but a user name and a password.
    knows_authtype: bool,
    password: Zeroizing<String>,
    credential: Zeroizing<String>,
}

pub(crate) async fn git(args: Git, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    let is_get = match &*args.action {
        "get" => true,
        "erase" => false,
        // `store`: git would store what came from here. gitcredentials(7) has helpers ignore all other operations.
        _ => return Ok(()),
    };
    let request = read().await?;
    let selection = Selection::new(global, flags, Purpose::UseTokens)?;
    let options = selection.options()?;
    let trust = Trust::of(&request.protocol, &request.host, &options, Asker::Git);
    if !trust.allows(&format!("{}://{}", request.protocol, request.host), terminal) {
        // Without an answer, git asks its next helper.
        return Ok(());
    }
    if !is_get {
        return erase(&selection.open(Purpose::UseTokens, terminal).await?, &request).await;
    }
    // Most servers ignore the user name beside a token, so git's own is used, if it has one. GitLab requires this one.
    let asked = Some(&*request.username).filter(|name| !name.is_empty() && !options.target.is_at("gitlab"));
    let username = options.helpers.token_username.as_deref().or(asked).unwrap_or("oauth2");
    match get(&selection, args.bearer, username, &request, terminal).await {
        Ok(answer) => terminal.raw(&answer),
        // Without an answer git would ask the person for a user name and a password, which this host does not accept; a
        // script would hang at that question. With `quit` git stops, below our error message. It ignores the exit code.
        Err(error) => {
            terminal.raw("quit=1\n")?;
            Err(error)
        }
    }
}

async fn get(
    selection: &Selection,
    bearer: bool,
    username: &str,
    request: &Request,
    terminal: &mut Terminal,
) -> Result<Zeroizing<String>, RunError> {
    if bearer && !request.knows_authtype {
        return Err(RunError::Usage(
            "this git cannot send bearer tokens (git 2.46 or newer can): leave out --bearer".to_owned(),
        ));
    }
    let session = selection.open(Purpose::UseTokens, terminal).await?;
    let requirements = TokenRequirements::default();
    answer(bearer, username, &valid_token(&session, requirements, terminal).await?)
}

fn answer(bearer: bool, username: &str, valid: &ValidToken) -> Result<Zeroizing<String>, RunError> {
    let token = bearer_token(valid)?;
    let mut text = Zeroizing::new(if bearer {
        format!("capability[]=authtype\nauthtype=Bearer\ncredential={token}\nephemeral=1\n")
    } else {
        format!("username={username}\npassword={token}\n")
    });
    if let Some(end) = valid.expires_on {
        text.push_str(&format!("password_expiry_utc={}\n", end.as_secs()));
    }
    Ok(text)
}

/// A server rejected a token. If it is the one that the next `get` would return, it must be replaced: by a refresh, or
/// if that needs a new sign-in, by removing it.
async fn erase(session: &Session, request: &Request) -> Result<(), RunError> {
    let cache = session.cache().await?;
    let stored = session.request().min_life(Duration::ZERO).cached(&cache, today());
    let is_current = stored.is_some_and(|stored| {
        let token = stored.access_token().expose();
        token == request.password.as_str() || token == request.credential.as_str()
    });
    if !is_current {
        return Ok(());
    }
    let Err(error) = session.silent(Wanted::New).await else { return Ok(()) };
    let needs_person = matches!(error, RunError::Failed(Failure::SignInNeeded(_)));
    // Before the tokens are gone: it says what was missing.
    let error = session.error(error).await;
    if needs_person {
        session.accounts()?.forget(&session.request()).await?;
    }
    Err(error)
}

/// Reads the request: on another thread, so that a person who started this by hand can end it.
async fn read() -> Result<Request, RunError> {
    let wrong = |what: &str| RunError::Usage(format!("stdin is not what git writes to its credential helpers: {what}"));
    let read = tokio::task::spawn_blocking(|| {
        let mut bytes = Zeroizing::new(Vec::new());
        std::io::stdin().lock().take(MOST).read_to_end(&mut bytes).map(|_| bytes)
    });
    let read = read.await.map_err(|error| RunError::Internal(error.to_string()))?;
    let bytes = read.map_err(|error| wrong(&error.to_string()))?;
    if u64::try_from(bytes.len()).unwrap_or(MOST) >= MOST {
        return Err(wrong("too much"));
    }
    parse(&bytes).map_err(wrong)
}

/// Lines `key=value`, up to an empty one. Unknown keys are ignored, as the protocol demands.
fn parse(bytes: &[u8]) -> Result<Request, &'static str> {
    let mut request = Request::default();
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    for line in text.split('\n') {
        if line.is_empty() {
            break;
        }
        // Other programs may take these for the end of a line, and so read two lines where git wrote one.
        if line.contains(['\0', '\r']) {
            return Err("a NUL or a carriage return");
        }
        let (key, value) = line.split_once('=').ok_or("a line without =")?;
        match key {
            "protocol" => value.clone_into(&mut request.protocol),
            "host" => value.clone_into(&mut request.host),
            "username" => value.clone_into(&mut request.username),
            "password" => value.clone_into(&mut request.password),
            "credential" => value.clone_into(&mut request.credential),
            // An empty value clears the list.
            "capability[]" => {
                request.knows_authtype = !value.is_empty() && (request.knows_authtype || value == "authtype")
            }
            _ => {}
        }
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_git_credential_1_says() {
        let said = b"capability[]=state\ncapability[]=authtype\nprotocol=https\nhost=example.com:8443\nwwwauth[]=Basic realm=\"x=y\"\n\
            path=a=b.git\nusername=ada\npassword=canary=1\nnew-key=\n\nhost=too.late\n";
        let request = parse(said);
        let expected = Request {
            protocol: "https".to_owned(),
            host: "example.com:8443".to_owned(),
            username: "ada".to_owned(),
            knows_authtype: true,
            password: Zeroizing::new("canary=1".to_owned()),
            credential: Zeroizing::default(),
        };
        assert_eq!(request, Ok(expected));
        // Without an empty line the request ends with the file; of two values the last counts, as in git.
        assert_eq!(parse(b"host=a\nhost=b").map(|request| request.host), Ok("b".to_owned()));
        let cleared = parse(b"capability[]=authtype\ncapability[]=\n").map(|request| request.knows_authtype);
        assert_eq!(cleared, Ok(false));
        assert_eq!(parse(b""), Ok(Request::default()));
    }

    #[test]
    fn input_that_git_would_not_write_is_refused() {
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
