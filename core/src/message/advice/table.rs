//! Owns the table of advice: endpoint × answer × what was sent → what a person can do, the first row that fits.
//!
//! Its rows come from the answers of Keycloak, Spring Authorization Server, Hydra, Dex, Zitadel, authentik, Glewlwyd, Okta,
//! Auth0, Entra, GitHub, GitLab and Google, which mean different things by the same code.

use super::Kind::{Broken, Error, Outage, Page, Status};
use super::Place::{Device, Metadata, Poll, Refresh, Registration, Revocation};
use super::{Kind, Need, Place, Seen, Sent, mentions};

/// One row. Empty lists fit everything.
pub(super) struct Row {
    pub(super) at: &'static [Place],
    pub(super) kind: Kind,
    pub(super) statuses: &'static [u16],
    pub(super) codes: &'static [&'static str],
    /// Of which one is in the server's own words; those of Keycloak may be its code.
    pub(super) words: &'static [&'static str],
    pub(super) need: Need,
    pub(super) advice: &'static str,
}

pub(super) fn find(rows: &[Row], seen: &Seen<'_>, sent: &Sent) -> Option<&'static str> {
    rows.iter().find(|row| row.fits(seen, sent)).map(|row| row.advice)
}

impl Row {
    fn fits(&self, seen: &Seen<'_>, sent: &Sent) -> bool {
        (self.at.is_empty() || self.at.contains(&sent.place))
            && self.kind == seen.kind
            && (self.statuses.is_empty() || self.statuses.contains(&seen.status))
            && (self.codes.is_empty() || self.codes.contains(&seen.code))
            && (self.words.is_empty()
                || self.words.iter().any(|word| mentions(seen.words, word) || mentions(seen.code, word)))
            && self.need.is_met(sent)
    }

    /// The same where the server says one of these.
    pub(super) const fn saying(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    pub(super) const fn with(self, statuses: &'static [u16]) -> Self {
        Self { statuses, ..self }
    }
}

pub(super) const fn code(
    at: &'static [Place],
    codes: &'static [&'static str],
    need: Need,
    advice: &'static str,
) -> Row {
    Row { at, kind: Error, statuses: &[], codes, words: &[], need, advice }
}

pub(super) const fn other(at: &'static [Place], kind: Kind, need: Need, advice: &'static str) -> Row {
    Row { at, kind, statuses: &[], codes: &[], words: &[], need, advice }
}

/// What has a client: everything but metadata and registration.
pub(super) const OF_A_CLIENT: &[Place] = &[Device, Poll, Refresh, Revocation];
pub(super) const FLOW: &[Place] = &[Device, Poll];
const TOKENS: &[Place] = &[Device, Poll, Refresh];
pub(super) const ANYWHERE: &[Place] = &[];

const UNKNOWN_CLIENT: &[&str] = &["invalid_client", "incorrect_client_credentials", "deleted_client"];
pub(super) const UNAUTHORIZED: &[&str] = &["unauthorized_client"];
const UNKNOWN_CODE: &[&str] =
    &["invalid_grant", "bad_verification_code", "incorrect_device_code", "invalid device code", "device_not_found"];
const DEAD: &[&str] = &[
    "invalid_grant",
    "bad_refresh_token",
    "Invalid refresh token",
    "invalid_token",
    "expired_token",
    "token_expired",
    "code_expired",
];
const TOO_MANY: &[&str] = &["slow_down", "rate_limit_exceeded"];
const NOT_THERE: &[u16] = &[404, 405, 410, 501, 505, 510];

pub(super) const ASSERTION: &str = "the server does not accept what this client has signed: check the client id, that this key and its algorithm are registered for it, and that the clock of this computer is right (a signature is good for a minute)";
pub(super) const BASIC: &str = "the server does not accept this client id with this secret: check both, and how the secret is sent (it was in the Authorization header, and some servers want it in the body, as client_secret_post)";
pub(super) const POST: &str = "the server does not accept this client id with this secret: check both, and how the secret is sent (it was in the body, and some servers want it in the Authorization header, as client_secret_basic)";
pub(super) const DIALECT: &str = "the server does not accept this client id with this secret: check both";
const CERTIFICATE: &str = "the server does not accept this client id with this certificate: check the client id, and that the certificate is registered for it";
const NO_SECRET: &str = "the server does not know this client id, or the client has to prove who it is, and no secret was sent: check the client id, and give the secret if there is one";
const DEAD_TOKEN: &str = "the refresh token is no longer good: it expired, was revoked or was used before, or belongs to another client; sign in again";
const CONSENT: &str = "the server wants the person to agree to what this client asks for: sign in again";
const LATER: &str = "the server has a problem of its own for the moment: try again later";
const REPORT: &str = "check that the address is right; if it is, report this to the operator of the server";

/// What the code or the status says by itself. One row a line.
#[rustfmt::skip]
pub(super) static TABLE: &[Row] = &[
    // A client that the server does not know, or does not believe. Keycloak answers 401 unauthorized_client to a wrong secret.
    code(OF_A_CLIENT, UNKNOWN_CLIENT, Need::Basic, BASIC),
    code(OF_A_CLIENT, UNKNOWN_CLIENT, Need::Post, POST),
    code(OF_A_CLIENT, UNKNOWN_CLIENT, Need::Dialect, DIALECT),
    code(OF_A_CLIENT, UNKNOWN_CLIENT, Need::Certificate, CERTIFICATE),
    code(OF_A_CLIENT, UNKNOWN_CLIENT, Need::Assertion, ASSERTION),
    code(OF_A_CLIENT, UNKNOWN_CLIENT, Need::Id, NO_SECRET),
    code(OF_A_CLIENT, UNAUTHORIZED, Need::Basic, BASIC).with(&[401]),
    code(OF_A_CLIENT, UNAUTHORIZED, Need::Post, POST).with(&[401]),
    code(OF_A_CLIENT, UNAUTHORIZED, Need::Dialect, DIALECT).with(&[401]),
    code(OF_A_CLIENT, UNAUTHORIZED, Need::Certificate, CERTIFICATE).with(&[401]),
    code(OF_A_CLIENT, UNAUTHORIZED, Need::Id, NO_SECRET).with(&[401]),
    // With another status it may be that, too (Zitadel, Glewlwyd), or a client without the grant (Keycloak, Spring).
    code(FLOW, UNAUTHORIZED, Need::Secret, "this client may not use the device flow on this server, or the server does not accept its secret: allow the device flow for this client in its registration, and check the client id and the secret"),
    code(FLOW, UNAUTHORIZED, Need::Key, "this client may not use the device flow on this server, or the server does not accept its key: allow the device flow for this client in its registration, and check the client id and the key"),
    code(FLOW, UNAUTHORIZED, Need::Id, "this client may not use the device flow on this server, or the server does not know it: allow the device flow for this client in its registration, and check the client id"),
    code(&[Refresh], UNAUTHORIZED, Need::Secret, "this client may not refresh tokens on this server, or the server does not accept its secret: check the client id and the secret, allow refreshes for this client, or sign in again"),
    code(&[Refresh], UNAUTHORIZED, Need::NoSecret, "this client may not refresh tokens on this server, or the server does not know it: check the client id, allow refreshes for this client, or sign in again"),
    code(&[Revocation], UNAUTHORIZED, Need::Secret, "this client may not revoke tokens on this server, or the server does not accept its secret: check the client id and the secret, or revoke the token on the provider's page of signed-in applications"),
    code(&[Revocation], UNAUTHORIZED, Need::NoSecret, "this client may not revoke tokens on this server, or the server does not know it: check the client id, or revoke the token on the provider's page of signed-in applications"),
    code(FLOW, &["device_flow_disabled"], Need::Nothing, "the device flow is switched off for this client: allow the device flow in the client's settings, or use a client that may use it"),
    // Hydra.
    code(&[Device], &["invalid_grant"], Need::Nothing, "the server does not let this client start a device flow: allow the device flow for this client in its registration, and check the client id"),
    code(&[Poll], UNKNOWN_CODE, Need::Nothing, "the server no longer knows this code: it expired, was used, or the sign-in was refused; start again for a new one"),
    code(&[Refresh], DEAD, Need::Nothing, DEAD_TOKEN),
    code(&[Revocation], DEAD, Need::Nothing, "the server does not take this token: it expired, was revoked before, or belongs to another client; to be sure, look for this client on the provider's page of signed-in applications"),
    code(&[Device, Poll], &["invalid_token"], Need::Nothing, "the token is not valid, or not one of this client: sign in again"),
    code(TOKENS, &["invalid_scope"], Need::Scope, "this server or client does not allow one of the requested scopes: check the scopes"),
    code(&[Registration], &["invalid_scope"], Need::Scope, "the server does not allow one of the requested scopes: check the scopes"),
    code(FLOW, &["invalid_scope"], Need::NoScope, "the server wants to know what the token is for, and no scope was requested: name a scope"),
    code(&[Refresh], &["invalid_scope"], Need::NoScope, "the server no longer allows what it once granted: sign in again"),
    code(&[Device], &["invalid_request"], Need::Nothing, "the server does not accept the request, or does not know the client: check the client id, the device authorization endpoint and the parameters"),
    code(&[Poll], &["invalid_request"], Need::Nothing, "the server does not accept the request, or no longer knows the code: start again for a new one; if that does not help, check the client id, the token endpoint and the parameters"),
    code(&[Refresh], &["invalid_request"], Need::Nothing, "the server does not accept the request: check the client id, the token endpoint and the parameters, or sign in again"),
    code(&[Revocation], &["invalid_request"], Need::Nothing, "the server does not accept the request: check the client id and the revocation endpoint"),
    code(&[Device], &["access_denied", "authorization_declined"], Need::Nothing, "the server refuses this client or this request, and nobody was asked yet: check the client id, or ask the server's administrator"),
    code(&[Refresh], &["access_denied", "authorization_declined"], Need::Nothing, "the server refuses this client or this account: sign in again, or ask the server's administrator"),
    code(&[Revocation], &["access_denied", "authorization_declined"], Need::Nothing, "the server does not let this client revoke the token: revoke it on the provider's page of signed-in applications, or ask the server's administrator"),
    // authentik and Google limit how many codes are issued.
    code(&[Device], TOO_MANY, Need::Nothing, "too many sign-ins were started with this client or from this address: wait some minutes before starting another"),
    code(ANYWHERE, TOO_MANY, Need::Nothing, "too many requests come from this client or address: wait some minutes before trying again"),
    code(&[Device], &["unsupported_grant_type"], Need::Nothing, "another endpoint answers here, or the server does not do the device flow: check the device authorization endpoint, and that the device flow is switched on"),
    code(&[Poll], &["unsupported_grant_type"], Need::Nothing, "this server, or this client on it, does not do the device flow: allow the device flow in the server's settings, and check the token endpoint"),
    code(&[Refresh], &["unsupported_grant_type"], Need::Nothing, "this server, or this client on it, does not refresh tokens: allow refreshes for this client, or sign in again"),
    code(&[Revocation], &["unsupported_grant_type"], Need::Nothing, "another endpoint answers here: check the revocation endpoint"),
    // RFC 8707 §2, RFC 9396 §5.
    code(TOKENS, &["invalid_target"], Need::Resource, "the server does not know the resource or audience, or does not allow it for this client: check it"),
    code(TOKENS, &["invalid_target"], Need::NoResource, "the server wants to know which API the token is for: name the resource or audience"),
    code(TOKENS, &["invalid_authorization_details"], Need::Details, "the server does not accept the authorization details: check them"),
    code(TOKENS, &["invalid_authorization_details"], Need::NoDetails, "the server wants authorization details, and none were sent: name them"),
    // OpenID Connect Core §3.1.2.6.
    code(ANYWHERE, &["interaction_required"], Need::Nothing, "the server wants the person to do something more in a browser: sign in again"),
    code(ANYWHERE, &["login_required"], Need::Nothing, "the server wants to see the person again: sign in again"),
    code(ANYWHERE, &["consent_required"], Need::Nothing, CONSENT),
    code(ANYWHERE, &["account_selection_required"], Need::Nothing, "the server does not know which account is meant: sign in again"),
    // Google Workspace.
    code(OF_A_CLIENT, &["admin_policy_enforced", "org_internal"], Need::Nothing, "a policy of the organization forbids this sign-in: ask its administrator, who alone can change that"),
    // RFC 7009 §2.2.1.
    code(&[Revocation], &["unsupported_token_type"], Need::Nothing, "this server does not revoke tokens of this kind: revoke the refresh token, or let it expire"),
    // Microsoft, GitHub, Auth0, Okta.
    code(ANYWHERE, &["invalid_tenant"], Need::Nothing, "the tenant was not found: check its id or domain name, and whether it lives in another of Microsoft's clouds"),
    code(TOKENS, &["unverified_user_email"], Need::Nothing, "the account has no verified e-mail address: verify one with the provider, then sign in again"),
    code(OF_A_CLIENT, &["application_suspended"], Need::Nothing, "the provider has suspended the application: ask those who run it"),
    code(ANYWHERE, &["mfa_required"], Need::Nothing, "the server wants a second factor, or a newer proof of it: sign in again, and set one up if it asks for that"),
    // Keycloak, after the person has approved.
    code(TOKENS, &["not_allowed"], Need::Scope, "this client or account may not have what was requested (on Keycloak often offline_access, for which the account needs a role): request fewer scopes, or ask the server's administrator"),
    code(OF_A_CLIENT, &["not_allowed"], Need::Nothing, "this client or account may not do that on this server: ask its administrator"),
    code(ANYWHERE, &["temporarily_unavailable", "server_error"], Need::Nothing, LATER),
    // A client that registers itself.
    code(&[Registration], &["invalid_request", "invalid_scope", "invalid_client", "unauthorized_client", "unsupported_grant_type", "access_denied"], Need::Nothing, "the server does not let this program register itself: check what it was told about the server, such as the region, and what it asks for"),
    other(&[Registration], Page, Need::Nothing, "something other than a registration endpoint answers: check that its address is right, such as the region in it, and whether a captive portal or firewall is in between"),
    other(&[Registration], Status, Need::Nothing, "the server, or something before it, does not let this program register itself: check that the address is right, such as the region in it, and what is in between"),
    // Pages and texts, whatever the status: of the server, or of something in between.
    other(&[Metadata], Page, Need::Nothing, "no metadata is at this address, or something in between answers: check the issuer, letter by letter, and whether a captive portal or firewall is in between; if the server has no metadata, name its endpoints by hand"),
    other(&[Device], Page, Need::Nothing, "something else answers, or the server does not do the device flow: check that the address of the device authorization endpoint is right, that the device flow is switched on, and whether a captive portal or firewall is in between"),
    other(&[Poll, Refresh], Page, Need::Nothing, "something other than a token endpoint answers: check that the address of the token endpoint is right, and whether a captive portal or firewall is in between"),
    other(&[Revocation], Page, Need::Nothing, "something other than a revocation endpoint answers: check that its address is right, and whether a captive portal or firewall is in between"),
    // Statuses without an error.
    other(&[Metadata], Status, Need::Nothing, "no metadata is at this address: check the issuer, letter by letter; if the server has none, name its endpoints by hand").with(NOT_THERE),
    other(&[Metadata], Status, Need::Nothing, "the server, or something before it, does not let everybody read its metadata: check the issuer and the proxy, or name the endpoints by hand").with(&[401, 403, 407]),
    other(&[Metadata], Status, Need::Nothing, "check the issuer; if it is right, name the endpoints by hand"),
    // Spring Authorization Server has nothing in it for a client that it does not know, nor for one without a secret.
    other(&[Device, Poll], Status, Need::Id, "the server does not know this client id, or lets no client in without a secret: check the client id; if the client has a secret, give it; if it has none, have the server set up for clients without one, and allow the device flow there").with(&[401]),
    other(&[Refresh], Status, Need::Id, "the server does not know this client id, or refreshes no tokens without a secret: check the client id, give the secret if there is one, or sign in again").with(&[401]),
    other(&[Revocation], Status, Need::Id, NO_SECRET).with(&[401]),
    other(OF_A_CLIENT, Status, Need::Basic, BASIC).with(&[401]),
    other(OF_A_CLIENT, Status, Need::Post, POST).with(&[401]),
    other(OF_A_CLIENT, Status, Need::Dialect, DIALECT).with(&[401]),
    other(OF_A_CLIENT, Status, Need::Assertion, ASSERTION).with(&[401]),
    other(OF_A_CLIENT, Status, Need::Certificate, CERTIFICATE).with(&[401]),
    other(&[Device], Status, Need::Nothing, "the server, or a firewall before it, refuses the request: check the client id, that the device flow is allowed for this client, and what is in between").with(&[403]),
    other(&[Poll], Status, Need::Nothing, "the server, or a firewall before it, refuses the request: check the client id, that the device flow is allowed for this client, and what is in between; then start again").with(&[403]),
    other(&[Refresh], Status, Need::Nothing, "the server, or a firewall before it, refuses the request: check what is in between, or sign in again").with(&[403]),
    other(&[Revocation], Status, Need::Nothing, "the server, or a firewall before it, does not let this client revoke the token: revoke it on the provider's page of signed-in applications, or ask the server's administrator").with(&[403]),
    other(&[Device], Status, Need::Nothing, "there is no device authorization endpoint at this address, or it is switched off: check that the address is right, and that the server does the device flow").with(NOT_THERE),
    other(&[Poll, Refresh], Status, Need::Nothing, "there is no token endpoint at this address: check that the address is right, since the server may have moved it").with(NOT_THERE),
    other(&[Revocation], Status, Need::Nothing, "there is no revocation endpoint at this address: check that the address is right, or revoke the token on the provider's page of signed-in applications").with(NOT_THERE),
    other(&[Device], Status, Need::Nothing, "check that the address is right, the client id, that the device flow is allowed for this client, and what is in between"),
    other(&[Poll], Status, Need::Nothing, "check that the address of the token endpoint is right, and what is in between; then start again"),
    other(&[Refresh], Status, Need::Nothing, "check that the address of the token endpoint is right, and what is in between, or sign in again"),
    other(&[Revocation], Status, Need::Nothing, "check that the address of the revocation endpoint is right, and what is in between"),
    // Outages.
    other(&[Device], Outage, Need::Nothing, "too many sign-ins were started with this client or from this address: wait some minutes before starting another").with(&[429]),
    other(ANYWHERE, Outage, Need::Nothing, "too many requests come from this client or address: wait some minutes before trying again").with(&[429]),
    other(ANYWHERE, Outage, Need::Nothing, "the server has failed, or something before it: read its own words if there are any, and try again later").with(&[500]),
    other(ANYWHERE, Outage, Need::Nothing, "the server, or something before it, is overloaded or down: try again later"),
    // What breaks the protocol.
    other(&[Metadata], Broken, Need::Nothing, "check the issuer; if it is right, report this to the operator of the server, or name the endpoints by hand"),
    other(ANYWHERE, Broken, Need::Nothing, REPORT),
];
