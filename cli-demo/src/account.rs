//! Owns the sub-commands about who is signed in: `status`, `refresh`, `logout`. None of them shows a code.

use crate::args::{Global, Logout, TargetArgs};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::{Overview, Purpose, Session, Wanted};
use crate::settings::Settings;
use crate::terminal::{Kept, Terminal, left, local, today, when};
use crate::token::refreshed;
use device_flow_tokio::{Failure, SignInReason, SignInRequest, TokenCache, UnixTime};
use serde::Serialize;
use std::time::Duration;

/// Who is signed in.
#[derive(Serialize)]
pub(crate) struct Status {
    profile: Option<String>,
    signed_in: bool,
    server: String,
    client_id: String,
    account: Option<String>,
    scope: String,
    /// `None` also if there is no valid access token.
    expires_at: Option<String>,
    refreshable: bool,
    storage: &'static str,
    path: Option<String>,
    #[serde(skip)]
    expires_on: Option<UnixTime>,
    #[serde(skip)]
    has_token: bool,
}

impl Status {
    pub(crate) fn of(session: &Session, profile: Option<&str>, cache: &TokenCache) -> Result<Self, RunError> {
        // A token counts while it is valid, even if the next call would refresh it.
        let request = session.request().min_life(Duration::ZERO);
        let account = request.find_account(cache)?;
        let refreshable = account.as_ref().is_some_and(|account| cache.is_refreshable(request.owner(account)));
        let token = request.cached(cache, today());
        let label = account.map(|account| account.label()).filter(|label| !label.is_empty());
        let expires_on = token.as_ref().and_then(|token| token.expires_on());
        let client = session.client();
        Ok(Self {
            has_token: token.is_some(),
            profile: profile.map(str::to_owned),
            signed_in: token.is_some() || refreshable,
            server: client.issuer().unwrap_or_else(|| client.token_endpoint()).to_owned(),
            client_id: client.client_id().to_owned(),
            account: label.map(String::from),
            scope: token.map_or_else(String::new, |token| token.scopes().collect::<Vec<_>>().join(" ")),
            expires_at: expires_on.map(when),
            refreshable,
            storage: session.storage.name(),
            path: session.token_file().map(|path| path.display().to_string()),
            expires_on,
        })
    }

    fn text(&self) -> String {
        let server = self.server.strip_prefix("https://").unwrap_or(&self.server);
        let mut text = match (self.signed_in, &self.account) {
            (true, Some(account)) => format!("Signed in to {server} as {account}\n"),
            (true, None) => format!("Signed in to {server}\n"),
            (false, _) => format!("Not signed in to {server}\n"),
        };
        let mut line = |name: &str, value: &str| text += &format!("  {name:<14} {value}\n");
        if let Some(profile) = &self.profile {
            line("profile", profile);
        }
        line("client", &self.client_id);
        line(
            "access token",
            &match self.expires_on {
                Some(end) => format!("expires at {} (in {})", local(end), left(end.saturating_since(today()))),
                None if self.has_token => "valid; the server did not say for how long".to_owned(),
                None => "none that is valid".to_owned(),
            },
        );
        line("refresh token", if self.refreshable { "stored" } else { "none" });
        if !self.scope.is_empty() {
            line("scopes", &self.scope);
        }
        line("storage", self.path.as_deref().unwrap_or(self.storage));
        text
    }
}

pub(crate) async fn status(
    _: TargetArgs,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let (selection, session) = Selection::with_session(global, flags, Purpose::UseTokens, terminal).await?;
    let cache = session.cache().await?;
    let status = Status::of(&session, selection.profile(), &cache)?;
    if !status.signed_in {
        return Err(session.error(Failure::SignInNeeded(SignInReason::NotSignedIn)).await);
    }
    terminal.result("status", &status, &status.text())
}

pub(crate) async fn refresh(
    _: TargetArgs,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let (selection, session) = Selection::with_session(global, flags, Purpose::UseTokens, terminal).await?;
    let signed_in = refreshed(&session, Wanted::New).await?;
    let account = signed_in.account().map(|account| account.label()).filter(|label| !label.is_empty());
    let kept = Kept { storage: session.storage.name(), file: session.token_file(), profile: selection.profile() };
    terminal.signed_in(&session.client(), &signed_in, account.as_deref(), &kept)
}

/// The result for one account.
#[derive(Serialize)]
struct SignedOut<'a> {
    profile: Option<&'a str>,
    /// `None`: nobody was signed in.
    account: Option<&'a str>,
    /// Whether the server has revoked the tokens; `None`: nobody was signed in.
    revoked: Option<bool>,
    reason: Option<String>,
}

pub(crate) async fn logout(
    args: Logout,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    if !args.all {
        let selection = Selection::with_or_without_server(global, flags, Purpose::SignOut)?;
        if !selection.settings().names_server() {
            selection.require_places()?;
            let nobody = SignedOut { profile: None, account: None, revoked: None, reason: None };
            return terminal.result("signed_out", &nobody, "Nobody was signed in: there is no profile yet\n");
        }
        return sign_out(&selection, args.no_revoke, terminal).await;
    }
    if let Some(key) = flags.about_a_sign_in() {
        return Err(RunError::Usage(format!(
            "--all signs out of every profile as it was stored: leave out --{key}, or --all"
        )));
    }
    // After a profile that cannot be signed out the others still are.
    let (mut outcome, mut profiles) = (Ok(()), 0);
    let mut all = Selection::all(global)?;
    // How the network is reached may be said anew.
    all.iter_mut().for_each(|selection| selection.put_over(&flags));
    if all.is_empty() {
        Selection::with_or_without_server(global, flags, Purpose::SignOut)?.require_places()?;
    }
    for selection in &all {
        let Err(error) = sign_out_everybody(selection, args.no_revoke, terminal).await else {
            profiles += 1;
            continue;
        };
        let (profile, message) = (selection.profile().unwrap_or_default(), error.to_string());
        terminal.note(&format!("Profile {profile} was not signed out: {message}"));
        terminal.result("not_signed_out", &NotSignedOut { profile, message }, "")?;
        outcome = outcome.and(Err(error));
    }
    for (storage, account) in Overview::of(&all, terminal).await.without_profile(&all) {
        storage.forget(&account).await?;
        let (label, why) = (account.label(), "no profile names its server");
        let text = format!(
            "Signed out {label} (no profile): the tokens are removed here, but the server may accept them until they expire: {why}\n"
        );
        let account = Some(&*label).filter(|label| !label.is_empty());
        let out = SignedOut { profile: None, account, revoked: Some(false), reason: Some(why.to_owned()) };
        terminal.result("signed_out", &out, &text)?;
    }
    outcome?;
    terminal.result("all_signed_out", &AllSignedOut { profiles }, "")
}

#[derive(Serialize)]
struct NotSignedOut<'a> {
    profile: &'a str,
    message: String,
}

/// The last event of `logout --all`.
#[derive(Serialize)]
struct AllSignedOut {
    profiles: u32,
}

/// The account of a profile, and everybody else who has signed in to the same client.
async fn sign_out_everybody(selection: &Selection, no_revoke: bool, terminal: &mut Terminal) -> Result<(), RunError> {
    let session = selection.open(Purpose::SignOut, terminal).await?;
    let request = session.request();
    let cache = session.cache().await?;
    let others = cache.accounts().into_iter().filter(|account| request.is_about(account)).collect::<Vec<_>>();
    if others.len() < 2 {
        return sign_out_of(selection, &session, &request, no_revoke, terminal).await;
    }
    for account in others {
        let request = request.clone().known_account(account);
        sign_out_of(selection, &session, &request, no_revoke, terminal).await?;
    }
    Ok(())
}

async fn sign_out(selection: &Selection, no_revoke: bool, terminal: &mut Terminal) -> Result<(), RunError> {
    let session = selection.open(Purpose::SignOut, terminal).await?;
    sign_out_of(selection, &session, &session.request(), no_revoke, terminal).await
}

async fn sign_out_of(
    selection: &Selection,
    session: &Session,
    request: &SignInRequest,
    no_revoke: bool,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let (account, not_revoked) = if no_revoke {
        (session.accounts()?.forget(request).await?, Some("--no-revoke".to_owned()))
    } else {
        match session.sign_out_of(request).await? {
            None => (None, None),
            Some(out) => (Some(out.account), out.not_revoked.map(|why| why.to_string())),
        }
    };
    let profile = selection.profile();
    let place = profile.map_or_else(String::new, |profile| format!(" (profile {profile})"));
    let Some(account) = account else {
        let nobody = SignedOut { profile, account: None, revoked: None, reason: None };
        return terminal.result("signed_out", &nobody, &format!("Nobody was signed in{place}\n"));
    };
    let label = account.label();
    let who = if label.is_empty() { String::new() } else { format!(" {label}") };
    let text = match &not_revoked {
        None => format!("Signed out{who}{place}: the tokens are removed here and revoked at the server\n"),
        Some(why) => format!(
            "Signed out{who}{place}: the tokens are removed here, but the server may accept them until they expire: {why}\n"
        ),
    };
    let account = Some(&*label).filter(|label| !label.is_empty());
    let out = SignedOut { profile, account, revoked: Some(not_revoked.is_none()), reason: not_revoked };
    terminal.result("signed_out", &out, &text)
}
