//! Owns the one table of error codes: what each means for the flow, and what a person can do about it.

use super::json::Object;
use crate::prompt::{printable, verbatim};
use crate::{OAuthError, ProtocolFault};
use alloc::borrow::Cow;

/// What an error code means for a flow that waits (RFC 8628 §3.5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// Not yet: ask again.
    Pending,
    /// Ask more slowly, for good.
    SlowDown,
    /// Refused.
    Denied,
    /// The code is dead.
    Expired,
    /// The server does not know the code: expired, used or refused some time ago.
    UnknownCode,
    /// Everything else stops (RFC 8628 §3.5: MUST).
    Stop,
}

/// The error in an answer, not yet copied: a pending answer costs no allocation.
pub(crate) struct ErrorCode<'a> {
    code: Cow<'a, str>,
    status: u16,
    row: Option<&'static Row>,
}

struct Row {
    code: &'static str,
    consequence: Consequence,
    advice: Option<&'static str>,
}

const fn row(code: &'static str, consequence: Consequence) -> Row {
    Row { code, consequence, advice: None }
}

const fn stop(code: &'static str, advice: &'static str) -> Row {
    Row { code, consequence: Consequence::Stop, advice: Some(advice) }
}

const fn unknown_code(code: &'static str) -> Row {
    Row {
        code,
        consequence: Consequence::UnknownCode,
        advice: Some(
            "the server no longer knows this code: it expired, was used, or the sign-in was refused; start again for a new one",
        ),
    }
}

const REGISTER: &str = "check the client id and, if there is one, the secret and how it is sent: this server does not know the client by them";
const ENABLE: &str = "allow the device flow for this client in the server's settings, or use a client that may use it";
const SCOPE: &str = "check the scopes: this server or client does not allow one of them";
const POLICY: &str = "a policy of the organization forbids this sign-in; only its administrator can change that";
const TOO_MANY: &str =
    "too many sign-ins were started with this client or from this address; wait before starting another";
const DPOP: &str = "the server wants tokens bound to a key (DPoP), which this client does not do";

/// Exact matches only (RFC 6749 §1.9). The first rows are the ones that every flow meets.
static TABLE: [Row; 30] = [
    row("authorization_pending", Consequence::Pending),
    row("slow_down", Consequence::SlowDown),
    row("access_denied", Consequence::Denied),
    row("expired_token", Consequence::Expired),
    unknown_code("invalid_grant"),
    stop("invalid_client", REGISTER),
    stop(
        "invalid_request",
        "the server does not accept the request: check the endpoints, the client and the parameters",
    ),
    stop("invalid_scope", SCOPE),
    stop("unauthorized_client", ENABLE),
    stop(
        "unsupported_grant_type",
        "this server, or this client on it, does not do the device flow: check the token endpoint",
    ),
    // RFC 8707 §2, RFC 9396 §5, RFC 9449 §5 and §8.
    stop("invalid_target", "check the resource or audience: the server does not know it or does not allow it"),
    stop("invalid_authorization_details", "check the authorization details: the server does not accept them"),
    stop("invalid_dpop_proof", DPOP),
    stop("use_dpop_nonce", DPOP),
    // Microsoft Entra, OpenAM; the old Entra endpoint.
    row("authorization_declined", Consequence::Denied),
    row("code_expired", Consequence::Expired),
    unknown_code("bad_verification_code"),
    stop("interaction_required", "the server wants the person to do something more in a browser: start again"),
    // GitHub.
    row("token_expired", Consequence::Expired),
    unknown_code("incorrect_device_code"),
    stop("incorrect_client_credentials", REGISTER),
    stop("device_flow_disabled", ENABLE),
    // Google.
    stop("deleted_client", REGISTER),
    stop("admin_policy_enforced", POLICY),
    stop("org_internal", POLICY),
    stop("rate_limit_exceeded", TOO_MANY),
    // Twitch, in `message`; django-oauth-toolkit.
    unknown_code("invalid device code"),
    unknown_code("device_not_found"),
    // No server is known to send these two, but clients look for them.
    row("expired_device_code", Consequence::Expired),
    row("device_code_expired", Consequence::Expired),
];

impl<'a> ErrorCode<'a> {
    /// The error in an answer, if it is one. With a status that means "not now" (408, 429, 5xx) only a known code counts:
    /// `{"error":"Bad Gateway"}` is a gateway's remark, not an OAuth error (those have status 4xx, RFC 6749 §5.2).
    pub(crate) fn find(object: &Object<'a>, status: u16, not_now: bool) -> Result<Option<Self>, ProtocolFault> {
        if let Some(code) = object.text("error")?.filter(|code| !code.is_empty()) {
            let row = lookup(&code);
            return Ok((row.is_some() || !not_now).then_some(Self { code, status, row }));
        }
        // Google's quota answer and Twitch name the code elsewhere.
        Ok(["error_code", "message"].into_iter().find_map(|member| {
            let code = object.text(member).ok()??;
            lookup(&code).map(|row| Self { code, status, row: Some(row) })
        }))
    }

    pub(crate) fn consequence(&self) -> Consequence {
        self.row.map_or(Consequence::Stop, |row| row.consequence)
    }

    /// The whole error, copied out of the answer.
    pub(crate) fn in_full(&self, object: &Object<'_>) -> OAuthError {
        let text = |name| {
            let text = object.text(name).ok().flatten();
            text.map(|text| printable(&text)).filter(|text| !text.is_empty())
        };
        OAuthError {
            code: verbatim(&self.code),
            description: text("error_description"),
            uri: text("error_uri"),
            status: self.status,
            advice: self.row.and_then(|row| row.advice),
        }
    }

    /// The same at the device authorization endpoint, where `slow_down` speaks of new codes.
    pub(crate) fn in_full_for_device_endpoint(&self, object: &Object<'_>) -> OAuthError {
        let error = self.in_full(object);
        if self.consequence() == Consequence::SlowDown { OAuthError { advice: Some(TOO_MANY), ..error } } else { error }
    }
}

/// A new interval in seconds, which some servers send with `slow_down`; nonsense counts as none.
pub(crate) fn interval_hint(object: &Object<'_>) -> u32 {
    let hint = object.number("interval").ok().flatten().filter(|hint| !hint.negative);
    hint.map_or(0, |hint| u32::try_from(hint.ceil).unwrap_or(u32::MAX))
}

fn lookup(code: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.code == code)
}
