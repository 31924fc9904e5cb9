//! Owns the `whoami` sub-command: who has signed in, in the server's own words.

use crate::args::{Global, TargetArgs, TokenRequirements};
use crate::inspect::claims_of;
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::{Purpose, Session};
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::token::valid_token;
use device_flow_tokio::{AuthorityKind, IdTokenClaims, SignedIn, UserInfo, harmless, run};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::info;

#[derive(Serialize)]
struct Person<'a> {
    profile: Option<&'a str>,
    server: String,
    source: Source,
    subject: Option<String>,
    username: Option<String>,
    name: Option<String>,
    email: Option<String>,
    claims: Map<String, Value>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    Userinfo,
    IdToken,
}

pub(crate) async fn whoami(
    _: TargetArgs,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let (selection, session) = Selection::with_session(global, flags, Purpose::UseTokens, terminal).await?;
    let signed_in = valid_token(&session, TokenRequirements::default(), terminal).await?.signed_in;
    let (source, claims) = told(&session, &signed_in).await?;
    let client = session.client();
    let text = |names: &[&str]| names.iter().find_map(|name| shown(claims.get(*name)?));
    let person = Person {
        profile: selection.profile(),
        server: client.issuer().unwrap_or_else(|| client.token_endpoint()).to_owned(),
        source,
        subject: text(&["sub", "id"]),
        // GitHub's name for it is the second.
        username: text(&["preferred_username", "login", "upn", "nickname"]),
        name: text(&["name"]),
        email: text(&["email"]),
        claims,
    };
    terminal.result("whoami", &person, &person.text())
}

/// What the server says, asked now, else what it said in the ID token.
async fn told(session: &Session, signed_in: &SignedIn) -> Result<(Source, Map<String, Value>), RunError> {
    let of_token = signed_in.id_token().and_then(claims_of).map(|claims| (Source::IdToken, claims));
    // Microsoft's endpoint takes only tokens that are for Microsoft Graph.
    if session.client().authority().kind() != AuthorityKind::Generic
        && let Some(told) = of_token
    {
        return Ok(told);
    }
    let asked = match session.userinfo_endpoint().await {
        Ok(Some(endpoint)) => ask(session, signed_in, &endpoint).await.map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    match (asked, of_token) {
        (Ok(Some(claims)), _) => Ok((Source::Userinfo, claims)),
        (Err(error), Some(told)) => {
            info!("the ID token has to do: {error}");
            Ok(told)
        }
        (Ok(None), Some(told)) => Ok(told),
        (Err(error), None) => Err(error),
        (Ok(None), None) => Err(RunError::NoToken {
            exit: 7,
            text: "this server names nobody: it has no userinfo endpoint and has issued no ID token. If it knows OpenID Connect, \
                   sign in with the scope openid (device-flow login --force --scope openid)"
                .to_owned(),
        }),
    }
}

async fn ask(session: &Session, signed_in: &SignedIn, endpoint: &str) -> Result<Map<String, Value>, RunError> {
    let mut question = UserInfo::new(session.client(), endpoint, signed_in)?;
    if let Some(claims) = signed_in.id_token().and_then(|token| IdTokenClaims::read(token).ok()) {
        question = question.about(claims.raw_subject());
    }
    let answer = run(session.http()?, &mut question, |_| {}).await?;
    let claim = |(name, json): (&str, &str)| Some((name.to_owned(), serde_json::from_str(json).ok()?));
    Ok(answer.raw_claims().filter_map(claim).collect())
}

/// A text or a number, safe to print.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(harmless(text).into_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Person<'_> {
    fn text(&self) -> String {
        let who = [&self.username, &self.email, &self.name, &self.subject].into_iter().flatten().next();
        let mut text = format!("{}\n", who.map_or("The server gives no name.", String::as_str));
        let mut line = |name: &str, value: Option<&String>| {
            if let Some(value) = value.filter(|value| Some(*value) != who) {
                text += &format!("  {name:<10} {value}\n");
            }
        };
        line("name", self.name.as_ref());
        line("email", self.email.as_ref());
        line("subject", self.subject.as_ref());
        line("server", Some(&self.server.trim_start_matches("https://").to_owned()));
        line("profile", self.profile.map(str::to_owned).as_ref());
        if self.source == Source::IdToken {
            text += "This is what the ID token says, as of the sign-in.\n";
        }
        text
    }
}
