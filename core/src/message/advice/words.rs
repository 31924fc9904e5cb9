//! Owns the rows of advice that go before Microsoft's numbers: the server's own words name the trouble, or what was sent
//! does.

use super::Kind::{Outage, Status};
use super::Need;
use super::Place::{Device, Poll, Refresh};
use super::table::{ANYWHERE, ASSERTION, BASIC, DIALECT, FLOW, OF_A_CLIENT, POST, Row, UNAUTHORIZED, code, other};

const PROOF_WANTED: &str =
    "the server wants tokens that are bound to a key: turn on the proof of possession (DPoP) for this client";
const PROOF_REFUSED: &str = "the server does not accept the proof of possession (DPoP): check that the clock of this computer is right, and that the server knows the algorithm of the key";

/// The first one that fits counts.
#[rustfmt::skip]
pub(super) static BY_WORDS: &[Row] = &[
    // Keycloak answers `invalid_request` where RFC 9449 has `invalid_dpop_proof`, and oidc-provider `invalid_grant` where there
    // is no proof at all.
    code(ANYWHERE, &["invalid_dpop_proof", "use_dpop_nonce"], Need::Proof, PROOF_REFUSED),
    code(ANYWHERE, &["invalid_dpop_proof", "use_dpop_nonce"], Need::NoProof, PROOF_WANTED),
    code(ANYWHERE, &["invalid_request", "invalid_grant"], Need::Proof, PROOF_REFUSED).saying(&["DPoP"]),
    code(ANYWHERE, &["invalid_request", "invalid_grant"], Need::NoProof, PROOF_WANTED).saying(&["DPoP"]),
    code(&[Poll], &["invalid_grant"], Need::NoProof, "the server no longer knows this code, or wants tokens that are bound to a key: start again, with a proof of possession (DPoP) if the client must have one").saying(&["grant request is invalid"]),
    code(&[Refresh], &["invalid_grant"], Need::NoProof, "the refresh token is no longer good, or is bound to a key: sign in again, with a proof of possession (DPoP) if the client must have one").saying(&["grant request is invalid"]),
    code(FLOW, &["invalid_request", "invalid_grant"], Need::NoPkce, "the server wants PKCE from this client: turn it on, then start again").saying(&["code_challenge", "PKCE", "code verifier", "code_verifier"]),
    code(FLOW, &["invalid_request", "invalid_grant"], Need::Pkce, "the server does not accept the PKCE of this sign-in: start again; if that does not help, turn it off for this client, or allow the method S256 for it").saying(&["code_challenge", "PKCE", "code verifier", "code_verifier"]),
    code(OF_A_CLIENT, &["invalid_client"], Need::Assertion, ASSERTION),
    code(OF_A_CLIENT, UNAUTHORIZED, Need::Assertion, ASSERTION).with(&[401]),
    // Keycloak.
    code(FLOW, &["unauthorized_client", "invalid_grant"], Need::Nothing, "the device flow is switched off for this client: allow the device flow in the client's settings, or use a client that may use it").saying(&["not allowed OAuth 2.0 Device Authorization", "not allowed to initiate OAuth 2.0 Device"]),
    code(OF_A_CLIENT, UNAUTHORIZED, Need::Basic, BASIC).saying(&["error when authenticating client"]),
    code(OF_A_CLIENT, UNAUTHORIZED, Need::Post, POST).saying(&["error when authenticating client"]),
    code(OF_A_CLIENT, UNAUTHORIZED, Need::Dialect, DIALECT).saying(&["error when authenticating client"]),
    code(OF_A_CLIENT, &["invalid_request"], Need::Nothing, "the server wants https here: use its https address").saying(&["HTTPS required"]),
    code(OF_A_CLIENT, &[], Need::Nothing, "this realm is not there or is switched off: check the realm in the address, or ask the server's administrator to switch it on").saying(&["Realm not enabled", "Realm does not exist"]),
    other(ANYWHERE, Status, Need::Nothing, "this realm is not there: check the realm in the address, letter by letter").saying(&["Realm does not exist"]),
    code(&[Refresh], &["invalid_grant"], Need::Nothing, "the refresh token was issued under another address of this server: use the address of the sign-in, or sign in again").saying(&["Invalid token issuer"]),
    // Google, at the token endpoint and for a client of another type.
    code(OF_A_CLIENT, &["invalid_request", "invalid_client"], Need::Id, "the client has to send its secret, and no secret was sent: give the secret").saying(&["client_secret is missing"]),
    code(FLOW, &["invalid_client", "unauthorized_client"], Need::Nothing, "a client of this type may not use the device flow here: make one for devices (Google: TVs and Limited Input devices), and use its id").saying(&["client type", "clients of type"]),
    // Auth0, for an audience that it does not know.
    code(&[Device], &["access_denied"], Need::Resource, "the server does not know the resource or audience, or does not allow it for this client: check it").saying(&["Service not found"]),
    // Hydra, django-oauth-toolkit.
    code(OF_A_CLIENT, &["invalid_request", "invalid_client"], Need::Basic, "the server wants the client id in the body, too, beside the Authorization header: turn that on for this client").saying(&["client_id"]),
    // Zitadel says so of a client that it does not know, and everybody of a fault of their own.
    other(OF_A_CLIENT, Outage, Need::Nothing, "the server has failed, for a moment or because it does not know the client: check the client id, then try again later").saying(&["client not found", "unknown client", "no such client"]),
    other(OF_A_CLIENT, Status, Need::Nothing, "the server does not know the client: check the client id").saying(&["client not found", "unknown client", "no such client"]),
];
