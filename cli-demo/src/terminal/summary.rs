//! Owns the text that says what a sign-in brought: the account, the tokens, the scopes, and where they are kept.

use super::text::{harmless, left, local, masked, name, today};
use device_flow_tokio::{Client, SignedIn, TokenResponse, TokenSource};
use std::path::PathBuf;

/// Where the tokens of a sign-in are, and under which name.
pub(crate) struct Kept<'a> {
    pub(crate) storage: &'static str,
    pub(crate) file: Option<PathBuf>,
    pub(crate) profile: Option<&'a str>,
}

/// The result of a sign-in, in lines. Tokens are masked.
pub(super) fn summary(client: &Client, signed_in: &SignedIn, account: Option<&str>, kept: &Kept<'_>) -> String {
    let server = name(client.issuer().unwrap_or_else(|| client.token_endpoint()));
    let how = match signed_in.source() {
        TokenSource::Cache => " (stored earlier, still valid)",
        TokenSource::Refresh => " (refreshed)",
        TokenSource::DeviceFlow | _ => "",
    };
    let mut text = format!("Signed in to {server}{how}\n");
    if let Some(account) = account {
        text += &format!("  account        {account}\n");
    }
    let expiry = match signed_in.expires_on() {
        Some(end) => format!(", expires at {} (in {})", local(end), left(end.saturating_since(today()))),
        None => String::new(),
    };
    text += &format!("  access token   {}{expiry}\n", masked(signed_in.access_token().expose()));
    let response = signed_in.response();
    text += &match response.and_then(TokenResponse::refresh_token) {
        Some(refresh) => format!("  refresh token  {}\n", masked(refresh.expose())),
        None if signed_in.is_refreshable() => "  refresh token  stored\n".to_owned(),
        None => "  refresh token  none\n".to_owned(),
    };
    let scope = signed_in.scopes().collect::<Vec<_>>().join(" ");
    // Where the server does not say, they are those that were requested.
    let none = !client.scope().is_empty() || response.is_some_and(TokenResponse::names_scopes);
    let scope = match scope.is_empty() {
        true if none => "none granted",
        true => "not named by the server",
        false => &scope,
    };
    text += &format!("  scopes         {scope}\n");
    let Scopes { missing, added } = Scopes::of(signed_in);
    if !missing.is_empty() {
        text += &format!("  not granted    {}\n", missing.join(" "));
    }
    if !added.is_empty() {
        text += &format!("  not asked for  {}\n", added.join(" "));
    }
    if let Some(profile) = kept.profile {
        text += &format!("  profile        {profile}\n");
    }
    match &kept.file {
        Some(file) => text += &format!("  storage        {}\n", harmless(&file.display().to_string())),
        None => text += &format!("  storage        {}\n", kept.storage),
    }
    text
}

/// How the granted scopes differ from those that were requested; known of a new token alone.
#[derive(Default)]
pub(super) struct Scopes<'a> {
    pub(super) missing: Vec<&'a str>,
    pub(super) added: Vec<&'a str>,
}

impl<'a> Scopes<'a> {
    pub(super) fn of(signed_in: &'a SignedIn) -> Self {
        signed_in.response().map_or_else(Self::default, |response| Self {
            missing: response.missing_scopes().collect(),
            added: response.added_scopes().collect(),
        })
    }
}
