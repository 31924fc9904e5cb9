//! Owns the text that says what a sign-in brought: the account, the tokens, the scopes.

use super::text::{left, local, masked, name, today};
use device_flow_tokio::{Client, SignedIn, TokenResponse, TokenSource};

/// The result of a sign-in, in lines. Tokens are masked.
pub(super) fn summary(client: &Client, signed_in: &SignedIn, account: Option<&str>) -> String {
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
    text += &format!("  scopes         {}\n", if scope.is_empty() { "not named by the server" } else { &scope });
    let missing = response.map(|response| response.missing_scopes().collect::<Vec<_>>().join(" "));
    if let Some(missing) = missing.filter(|missing| !missing.is_empty()) {
        text += &format!("  not granted    {missing}\n");
    }
    text
}
