//! Owns the table of error codes: what each means for a machine. What a person can do about them is in `advice/`.

use super::advice::{self, Seen, Sent};
use super::json::Object;
use super::said::explanation;
use crate::error::ErrorDetails;
use crate::prompt::{harmless_json, printable, verbatim};
use crate::{OAuthError, ProtocolFault};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

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
    /// Prove the same request again, with the nonce of the answer (RFC 9449 §8).
    Nonce,
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

impl Row {
    /// Whether the code is one of RFC 8628 §3.5 or RFC 6749 §5.2, or a provider's name for one of those: what a server
    /// says when it has looked at the request.
    fn is_of_the_grant(&self) -> bool {
        const REFUSALS: [&str; 8] = [
            "invalid_request",
            "invalid_client",
            "unauthorized_client",
            "unsupported_grant_type",
            "invalid_scope",
            "device_flow_disabled",
            "incorrect_client_credentials",
            "deleted_client",
        ];
        self.consequence != Consequence::Stop || REFUSALS.contains(&self.code)
    }
}

const fn row(code: &'static str, consequence: Consequence) -> Row {
    Row { code, consequence, refresh: Refresh::Nothing }
}

const fn stop(code: &'static str) -> Row {
    row(code, Consequence::Stop)
}

const fn person(code: &'static str) -> Row {
    Row { refresh: Refresh::Person, ..stop(code) }
}

const fn dead_token(code: &'static str) -> Row {
    Row { refresh: Refresh::Dead, ..stop(code) }
}

const fn unknown_code(code: &'static str) -> Row {
    row(code, Consequence::UnknownCode)
}

const POLL_LOST: &str = "the server no longer knows this code, and the answer to an earlier poll was never seen: it may have held the token; start again for a new code";

/// Exact matches only (RFC 6749 §1.9). The first rows are the ones that every flow meets.
static TABLE: [Row; 35] = [
    row("authorization_pending", Consequence::Pending),
    row("slow_down", Consequence::SlowDown),
    row("access_denied", Consequence::Denied),
    row("expired_token", Consequence::Expired),
    Row { refresh: Refresh::Dead, ..unknown_code("invalid_grant") },
    stop("invalid_client"),
    stop("invalid_request"),
    stop("invalid_scope"),
    stop("unauthorized_client"),
    stop("unsupported_grant_type"),
    // RFC 8707 §2, RFC 9396 §5, RFC 9449 §5 and §8.
    stop("invalid_target"),
    stop("invalid_authorization_details"),
    stop("invalid_dpop_proof"),
    row("use_dpop_nonce", Consequence::Nonce),
    // Microsoft Entra, OpenAM; the old Entra endpoint.
    row("authorization_declined", Consequence::Denied),
    row("code_expired", Consequence::Expired),
    unknown_code("bad_verification_code"),
    // OpenID Connect Core §3.1.2.6.
    person("interaction_required"),
    person("login_required"),
    person("consent_required"),
    person("account_selection_required"),
    // GitHub.
    row("token_expired", Consequence::Expired),
    unknown_code("incorrect_device_code"),
    stop("incorrect_client_credentials"),
    stop("device_flow_disabled"),
    dead_token("bad_refresh_token"),
    // Google.
    stop("deleted_client"),
    stop("admin_policy_enforced"),
    stop("org_internal"),
    stop("rate_limit_exceeded"),
    // Twitch, in `message`; django-oauth-toolkit.
    unknown_code("invalid device code"),
    dead_token("Invalid refresh token"),
    unknown_code("device_not_found"),
    // No server is known to send these two, but clients handle them.
    row("expired_device_code", Consequence::Expired),
    row("device_code_expired", Consequence::Expired),
];

/// What a dialect translates the errors of its server to, as JSON.
pub(crate) mod code {
    pub(crate) const PENDING: &str = r#""authorization_pending""#;
    pub(crate) const SLOW_DOWN: &str = r#""slow_down""#;
    pub(crate) const DENIED: &str = r#""access_denied""#;
    pub(crate) const EXPIRED: &str = r#""expired_token""#;
    pub(crate) const INVALID_GRANT: &str = r#""invalid_grant""#;
    pub(crate) const INVALID_CLIENT: &str = r#""invalid_client""#;
    pub(crate) const INVALID_REQUEST: &str = r#""invalid_request""#;
    pub(crate) const INVALID_SCOPE: &str = r#""invalid_scope""#;
    pub(crate) const UNAUTHORIZED_CLIENT: &str = r#""unauthorized_client""#;
    pub(crate) const UNSUPPORTED_GRANT: &str = r#""unsupported_grant_type""#;
    /// Not of any standard: the server has a name for it that this library does not know.
    pub(crate) const UNRECOGNIZED: &str = r#""unrecognized_error""#;
}

/// Whether the table has this code.
pub(crate) fn is_known(code: &str) -> bool {
    lookup(code).is_some()
}

impl<'a> ErrorCode<'a> {
    /// The error in an answer, if it is one. With a status that means "try later" (408, 429, 5xx) only a code of the
    /// grant counts: `{"error":"Bad Gateway"}` comes from a gateway, `rate_limit_exceeded` from a limiter, and OAuth
    /// errors have status 4xx (RFC 6749 §5.2).
    pub(crate) fn find(object: &Object<'a>, status: u16, not_now: bool) -> Result<Option<Self>, ProtocolFault> {
        if let Some(code) = object.text("error")?.filter(|code| !code.is_empty()) {
            let row = lookup(&code);
            return Ok((!not_now || row.is_some_and(Row::is_of_the_grant)).then_some(Self { code, status, row }));
        }
        // Google's quota error and Twitch have the code elsewhere.
        Ok(["error_code", "message"].into_iter().find_map(|member| {
            let code = object.text(member).ok()??;
            let row = lookup(&code).filter(|row| !not_now || row.is_of_the_grant())?;
            Some(Self { code, status, row: Some(row) })
        }))
    }

    /// The status that it came with.
    pub(crate) fn status(&self) -> u16 {
        self.status
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
        if self.is_too_many() {
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

    /// Whether it says that too much was asked for at once, so that the same may succeed later.
    pub(crate) fn is_too_many(&self) -> bool {
        self.consequence() == Consequence::SlowDown || self.code == "rate_limit_exceeded"
    }

    /// The whole error, copied out of the answer.
    pub(crate) fn in_full(&self, object: &Object<'_>, sent: Sent) -> OAuthError {
        let text = |name| object.text(name).ok().flatten().unwrap_or_default();
        let shown = |name| Some(printable(&text(name))).filter(|text| !text.is_empty());
        let suberror = suberror(object);
        let mut numbers = object.numbers("error_codes");
        numbers.truncate(MAX_NUMBERS);
        let words = explanation(object, &self.code).unwrap_or_default();
        let seen = Seen {
            status: self.status,
            code: &self.code,
            words: &words,
            numbers: &numbers,
            suberror: &suberror,
            kind: advice::Kind::Error,
        };
        let advice = advice::advice(&seen, &sent);
        let details = ErrorDetails {
            numbers: numbers.into_boxed_slice(),
            suberror: Some(verbatim(&suberror)).filter(|text| !text.is_empty()),
            correlation_id: shown("correlation_id"),
            trace_id: shown("trace_id"),
            timestamp: shown("timestamp"),
            claims: object
                .json_object("claims")
                .map(|claims| harmless_json(&claims).into_owned().into_boxed_str())
                .filter(|claims| claims.len() <= MAX_CLAIMS),
        };
        OAuthError {
            code: verbatim(&self.code),
            description: described(object.own_name(), Some(printable(&words)).filter(|words| !words.is_empty())),
            uri: shown("error_uri"),
            status: self.status,
            advice: advice.map(Cow::Borrowed),
            spent: false,
            poll_lost: false,
            details: (details != ErrorDetails::default()).then(|| Box::new(details)),
        }
    }

    /// The same in the answer to a refresh, which may be about the refresh token.
    pub(crate) fn in_full_for_refresh(&self, object: &Object<'_>, sent: Sent) -> OAuthError {
        if self.refresh() != Refresh::Dead {
            return self.in_full(object, sent);
        }
        let suberror = suberror(object);
        let description = object.text("error_description").ok().flatten().unwrap_or_default();
        let of_the_token = suberror.is_empty() || OF_THE_TOKEN.contains(&&*suberror);
        let spent = of_the_token && !advice::is_about_proof(&description);
        OAuthError { spent, ..self.in_full(object, sent) }
    }

    /// The same about a code that may have been redeemed by a poll whose answer was never seen.
    pub(crate) fn in_full_after_lost_poll(&self, object: &Object<'_>, sent: Sent) -> OAuthError {
        OAuthError { advice: Some(Cow::Borrowed(POLL_LOST)), poll_lost: true, ..self.in_full(object, sent) }
    }
}

/// What the server itself calls its error, before what it says about it.
fn described(own_name: &str, description: Option<Box<str>>) -> Option<Box<str>> {
    let said = description.as_deref().map_or_else(String::new, |text| [": ", text].concat());
    if own_name.is_empty() { description } else { Some(printable(&[own_name, &said].concat())) }
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
