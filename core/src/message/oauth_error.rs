//! Owns the table of error codes: what each means for a machine. What a person can do about them stands in `advice.rs`.

use super::advice;
use super::json::Object;
use crate::error::ErrorDetails;
use crate::prompt::{printable, verbatim};
use crate::{OAuthError, ProtocolFault};
use alloc::borrow::Cow;
use alloc::boxed::Box;

/// What an error code means for a flow that waits (RFC 8628 §3.5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// Not approved yet: poll again.
    Pending,
    /// Poll more slowly from now on.
    SlowDown,
    /// Refused.
    Denied,
    /// The code has expired.
    Expired,
    /// The server does not know the code: expired, used or refused some time ago.
    UnknownCode,
    /// Everything else stops (RFC 8628 §3.5: MUST).
    Stop,
}

/// What an error code means for a refresh (RFC 6749 §6).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Only the person can go on.
    SignIn,
    /// Too many requests.
    SlowDown,
    /// Nothing that a sign-in would change.
    Stop,
}

/// Suberrors of refusals that a sign-in does not cure, whatever the code: a token of another client, a policy about the
/// application, a device that is not registered.
const NOT_CURED_BY_SIGN_IN: [&str; 3] =
    ["client_mismatch", "protection_policy_required", "device_authentication_failed"];
/// Suberrors about the refresh token itself. Every other one is about what was requested, so the same token may still
/// be good for other requests.
const OF_THE_TOKEN: [&str; 2] = ["bad_token", "token_expired"];

/// The longest claims challenge that is kept. It goes back to the server whole or not at all.
const MAX_CLAIMS: usize = 8 * 1024;
/// The most numbers of an error that are kept.
const MAX_NUMBERS: usize = 16;

/// The error in an answer, not yet copied: a pending answer costs no allocation.
pub(crate) struct ErrorCode<'a> {
    code: Cow<'a, str>,
    status: u16,
    row: Option<&'static Row>,
}

struct Row {
    code: &'static str,
    consequence: Consequence,
    refresh: Refresh,
    advice: Option<&'static str>,
}

/// What a code says about a refresh token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refresh {
    /// Nothing.
    Nothing,
    /// It is valid, but the person is needed.
    Person,
    /// It is no longer valid.
    Dead,
}

const fn row(code: &'static str, consequence: Consequence) -> Row {
    Row { code, consequence, refresh: Refresh::Nothing, advice: None }
}

const fn stop(code: &'static str, advice: &'static str) -> Row {
    Row { code, consequence: Consequence::Stop, refresh: Refresh::Nothing, advice: Some(advice) }
}

const fn person(code: &'static str, advice: &'static str) -> Row {
    Row { code, consequence: Consequence::Stop, refresh: Refresh::Person, advice: Some(advice) }
}

const fn dead_token(code: &'static str) -> Row {
    Row { code, consequence: Consequence::Stop, refresh: Refresh::Dead, advice: Some(DEAD_TOKEN) }
}

const fn unknown_code(code: &'static str) -> Row {
    Row {
        code,
        consequence: Consequence::UnknownCode,
        refresh: Refresh::Nothing,
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

const DEAD_TOKEN: &str =
    "the refresh token is no longer good: it expired, was revoked or was used before, or belongs to another client";

const POLL_LOST: &str = "the server no longer knows this code, and the answer to a poll was never seen: the process may have died before it stored the token; start again for a new code";

/// Exact matches only (RFC 6749 §1.9). The first rows are the ones that every flow meets.
static TABLE: [Row; 35] = [
    row("authorization_pending", Consequence::Pending),
    row("slow_down", Consequence::SlowDown),
    row("access_denied", Consequence::Denied),
    row("expired_token", Consequence::Expired),
    Row { refresh: Refresh::Dead, ..unknown_code("invalid_grant") },
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
    // OpenID Connect Core §3.1.2.6.
    person("interaction_required", "the server wants the person to do something more in a browser: start again"),
    person("login_required", "the server wants the person to sign in again"),
    person("consent_required", "the server wants the person to agree to what this client asks for: sign in again"),
    person("account_selection_required", "the server does not know which account is meant: sign in again"),
    // GitHub.
    row("token_expired", Consequence::Expired),
    unknown_code("incorrect_device_code"),
    stop("incorrect_client_credentials", REGISTER),
    stop("device_flow_disabled", ENABLE),
    dead_token("bad_refresh_token"),
    // Google.
    stop("deleted_client", REGISTER),
    stop("admin_policy_enforced", POLICY),
    stop("org_internal", POLICY),
    stop("rate_limit_exceeded", TOO_MANY),
    // Twitch, in `message`; django-oauth-toolkit.
    unknown_code("invalid device code"),
    dead_token("Invalid refresh token"),
    unknown_code("device_not_found"),
    // No server is known to send these two, but clients handle them.
    row("expired_device_code", Consequence::Expired),
    row("device_code_expired", Consequence::Expired),
];

impl<'a> ErrorCode<'a> {
    /// The error in an answer, if it is one. With a status that means "try later" (408, 429, 5xx) only a known code
    /// counts: `{"error":"Bad Gateway"}` comes from a gateway and is not an OAuth error (those have status 4xx, RFC
    /// 6749 §5.2).
    pub(crate) fn find(object: &Object<'a>, status: u16, not_now: bool) -> Result<Option<Self>, ProtocolFault> {
        if let Some(code) = object.text("error")?.filter(|code| !code.is_empty()) {
            let row = lookup(&code);
            return Ok((row.is_some() || !not_now).then_some(Self { code, status, row }));
        }
        // Google's quota error and Twitch have the code elsewhere.
        Ok(["error_code", "message"].into_iter().find_map(|member| {
            let code = object.text(member).ok()??;
            lookup(&code).map(|row| Self { code, status, row: Some(row) })
        }))
    }

    /// The code, safe to print.
    pub(crate) fn printable(&self) -> Box<str> {
        verbatim(&self.code)
    }

    pub(crate) fn consequence(&self) -> Consequence {
        self.row.map_or(Consequence::Stop, |row| row.consequence)
    }

    /// What the error means for a refresh: the code decides; the suberror only tells apart what a sign-in cannot cure.
    pub(crate) fn refusal(&self, object: &Object<'_>) -> Refusal {
        if self.consequence() == Consequence::SlowDown {
            return Refusal::SlowDown;
        }
        match self.refresh() {
            Refresh::Person | Refresh::Dead if !NOT_CURED_BY_SIGN_IN.contains(&&*suberror(object)) => Refusal::SignIn,
            Refresh::Person | Refresh::Dead | Refresh::Nothing => Refusal::Stop,
        }
    }

    fn refresh(&self) -> Refresh {
        self.row.map_or(Refresh::Nothing, |row| row.refresh)
    }

    /// RFC 7009 §2.2: a token that is not valid is what a revocation wants. Google says so with an error.
    pub(crate) fn is_about_a_dead_token(&self) -> bool {
        self.code == "invalid_token"
    }

    /// The whole error, copied out of the answer.
    pub(crate) fn in_full(&self, object: &Object<'_>) -> OAuthError {
        self.copied(object, self.row.and_then(|row| row.advice))
    }

    /// The same at the device authorization endpoint, where `slow_down` is about new codes.
    pub(crate) fn in_full_for_device_endpoint(&self, object: &Object<'_>) -> OAuthError {
        if self.consequence() == Consequence::SlowDown {
            return self.copied(object, Some(TOO_MANY));
        }
        self.in_full(object)
    }

    /// The same in the answer to a refresh, which has no device code that could be unknown.
    pub(crate) fn in_full_for_refresh(&self, object: &Object<'_>) -> OAuthError {
        if self.refresh() != Refresh::Dead {
            return self.in_full(object);
        }
        let suberror = suberror(object);
        let spent = suberror.is_empty() || OF_THE_TOKEN.contains(&&*suberror);
        OAuthError { spent, ..self.copied(object, Some(DEAD_TOKEN)) }
    }

    /// The same about a code that may have been redeemed by a poll whose answer was never seen.
    pub(crate) fn in_full_after_lost_poll(&self, object: &Object<'_>) -> OAuthError {
        OAuthError { advice: Some(Cow::Borrowed(POLL_LOST)), poll_lost: true, ..self.in_full(object) }
    }

    fn copied(&self, object: &Object<'_>, by_code: Option<&'static str>) -> OAuthError {
        let text = |name| object.text(name).ok().flatten().unwrap_or_default();
        let shown = |name| Some(printable(&text(name))).filter(|text| !text.is_empty());
        let suberror = suberror(object);
        let mut numbers = object.numbers("error_codes");
        numbers.truncate(MAX_NUMBERS);
        let by_code = by_code.or_else(|| advice::by_code(&self.code));
        let advice = advice::advice(&numbers, &text("error_description"), &suberror, by_code);
        let details = ErrorDetails {
            numbers: numbers.into_boxed_slice(),
            suberror: Some(verbatim(&suberror)).filter(|text| !text.is_empty()),
            correlation_id: shown("correlation_id"),
            trace_id: shown("trace_id"),
            timestamp: shown("timestamp"),
            claims: object
                .json_object("claims")
                .filter(|claims| claims.len() <= MAX_CLAIMS)
                .map(|claims| Box::from(&*claims)),
        };
        OAuthError {
            code: verbatim(&self.code),
            description: shown("error_description"),
            uri: shown("error_uri"),
            status: self.status,
            advice: advice.map(Cow::Borrowed),
            spent: false,
            poll_lost: false,
            details: (details != ErrorDetails::default()).then(|| Box::new(details)),
        }
    }
}

/// Microsoft's subdivision of an error code; Google has another name for the member.
fn suberror<'a>(object: &Object<'a>) -> Cow<'a, str> {
    let text = |name| object.text(name).ok().flatten().filter(|text| !text.is_empty());
    text("suberror").or_else(|| text("error_subtype")).unwrap_or_default()
}

/// The new interval in seconds that some servers send with `slow_down`; 0 for none or nonsense.
pub(crate) fn interval_hint(object: &Object<'_>) -> u32 {
    let hint = object.number("interval").ok().flatten().filter(|hint| !hint.negative);
    hint.map_or(0, |hint| u32::try_from(hint.ceil).unwrap_or(u32::MAX))
}

fn lookup(code: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.code == code)
}
