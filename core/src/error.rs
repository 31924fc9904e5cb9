//! Owns what can end a machine: `Failure`, `ProtocolError`, `OAuthError`, and the `Trail` of what happened before.

use crate::message::advice::{Kind, Seen, Sent, advice};
use crate::{Cause, ClaimsError, TextFault, TransportError, TransportErrorKind, Unshowable};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use core::fmt;

/// Why a machine ended without its result. The text of each says what happened and what to do.
///
/// `?` turns [`Expired`], [`SignInReason`], [`ProtocolError`] and [`TransportError`] into it. An [`OAuthError`] needs a
/// word more, since it may be [`Denied`](Self::Denied) or [`Rejected`](Self::Rejected).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// [`Machine::cancel`](crate::Machine::cancel) was called.
    #[error("the sign-in was cancelled")]
    Cancelled,
    /// The person refused, or the server did on their behalf (RFC 8628 §3.5 `access_denied`).
    #[error("the sign-in was denied ({0})")]
    Denied(OAuthError),
    /// The code expired before it was approved. Nothing restarts by itself: a new code needs a user action (RFC 8628
    /// §3.5).
    #[error(transparent)]
    Expired(#[from] Expired),
    /// Nothing can be done without the person: start a sign-in.
    ///
    /// This is a variant and not a method of [`Rejected`](Self::Rejected) because every caller of a silent sign-in or a
    /// refresh handles it differently from the rest, by showing a code: a method is easily forgotten, a variant is seen
    /// in every `match`. Nor is it the same as `invalid_grant`: what a sign-in would not cure, such as a policy about
    /// the application, is `Rejected`.
    #[error(transparent)]
    SignInNeeded(#[from] SignInReason),
    /// Several accounts are signed in and none was named. These are their names, safe to print.
    #[error("several accounts are signed in ({}): say which one is meant", .0.join(", "))]
    WhichAccount(Box<[Box<str>]>),
    /// The server refused with an OAuth error (RFC 6749 §5.2).
    #[error("the server refused: {0}")]
    Rejected(OAuthError),
    /// The server broke the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// No connection, or one that must not be trusted.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl Failure {
    /// Whether the same attempt may succeed later with nothing changed: after an outage or an expired code.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Expired(_) => true,
            Self::Transport(error) => error.kind() != TransportErrorKind::UntrustedCertificate,
            Self::Protocol(error) => matches!(error.fault, ProtocolFault::Unavailable(_)),
            Self::Cancelled | Self::Denied(_) | Self::SignInNeeded(_) | Self::WhichAccount(_) | Self::Rejected(_) => {
                false
            }
        }
    }

    /// What a person can do about it, where the answer of a server ended the machine and it is known what helps. It ends the
    /// text, too.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Denied(error) | Self::Rejected(error) | Self::SignInNeeded(SignInReason::Refused(error)) => {
                error.advice()
            }
            Self::Protocol(error) => error.advice(),
            Self::Cancelled | Self::Expired(_) | Self::SignInNeeded(_) | Self::WhichAccount(_) | Self::Transport(_) => {
                None
            }
        }
    }

    /// What the server, or the transport, said about it.
    pub(crate) fn words(&self) -> Option<Box<str>> {
        match self {
            Self::Rejected(error) => {
                let words = error.description.as_ref().map(|words| format!("{}: {words}", error.code).into_boxed_str());
                words.or_else(|| Some(error.code.clone()))
            }
            Self::Protocol(error) => error.said.clone(),
            Self::Transport(error) => Some(error.detail()).filter(|detail| !detail.is_empty()).map(Box::from),
            Self::Cancelled | Self::Denied(_) | Self::Expired(_) | Self::SignInNeeded(_) | Self::WhichAccount(_) => {
                None
            }
        }
    }

    /// Whether the answer to a poll was never seen before a device flow ended like this: the connection broke, the time was
    /// over, the request was given up, or its process died. Then the server may have issued a token that was never stored,
    /// and the person has to sign in again.
    #[must_use]
    pub fn a_poll_was_lost(&self) -> bool {
        match self {
            Self::Rejected(error) => error.poll_lost,
            Self::Expired(expired) => expired.trail.poll_lost(),
            Self::Cancelled
            | Self::Denied(_)
            | Self::SignInNeeded(_)
            | Self::WhichAccount(_)
            | Self::Protocol(_)
            | Self::Transport(_) => false,
        }
    }

    /// After a [`Refresh`](crate::Refresh): whether to keep the refresh token that it used, since it may still be good.
    ///
    /// False only when the server said that the token itself is no longer valid, or answered with the tokens of somebody
    /// else. An outage says nothing about it; and an error with a suberror such as `basic_action` (Microsoft Entra) is
    /// about what was requested: for other requests the token is still good.
    #[must_use]
    pub fn keeps_refresh_token(&self) -> bool {
        match self {
            Self::SignInNeeded(SignInReason::Refused(error)) => !error.spent,
            Self::Protocol(ProtocolError { fault: ProtocolFault::IdToken(fault), .. }) => !fault.is_of_another(),
            Self::SignInNeeded(_)
            | Self::WhichAccount(_)
            | Self::Cancelled
            | Self::Denied(_)
            | Self::Expired(_)
            | Self::Rejected(_)
            | Self::Protocol(_)
            | Self::Transport(_) => true,
        }
    }
}

/// An expired code, and what happened while it lived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// What happened between the code and its end.
    pub trail: Trail,
    /// The server's error, when the server said that the code expired; `None` when the local deadline passed.
    pub error: Option<OAuthError>,
}

impl core::error::Error for Expired {}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the code expired before the sign-in was approved: start again for a new one")?;
        write!(f, " ({}", self.trail)?;
        if let Some(error) = &self.error {
            write!(f, "; the server said {error}")?;
        }
        f.write_str(")")
    }
}

/// What happened since the code was shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    pub(crate) polls: u32,
    /// Of its own, since most flows have none.
    pub(crate) trouble: Option<Box<Trouble>>,
}

/// What a flow has met besides pending answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub(crate) struct Trouble {
    pub(crate) slow_downs: u32,
    pub(crate) failures: u32,
    pub(crate) drift_suspected: bool,
    pub(crate) poll_lost: bool,
    #[cfg_attr(feature = "serde", serde(with = "crate::stored::optional_last_error"))]
    pub(crate) last_error: Option<LastError>,
}

impl Trail {
    /// Requests sent to the token endpoint.
    #[must_use]
    pub fn polls(&self) -> u32 {
        self.polls
    }

    /// `slow_down` answers among them.
    #[must_use]
    pub fn slow_downs(&self) -> u32 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.slow_downs)
    }

    /// Polls that brought no usable answer.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.failures)
    }

    /// Three `slow_down` answers came in a row although every wait was kept: the clock of this computer probably runs
    /// fast, as it does in some virtual machines.
    #[must_use]
    pub fn clock_drift_suspected(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.drift_suspected)
    }

    /// The last thing that went wrong.
    #[must_use]
    pub fn last_error(&self) -> Option<&LastError> {
        self.trouble.as_ref()?.last_error.as_ref()
    }

    /// The answer to a poll was never seen: the connection broke, the time was over, the request was given up, or its
    /// process died. If the person had approved by then, the token was issued and is lost, and the server no longer knows
    /// the code. (A request that cannot have been sent, as without a connection, is not lost.)
    #[must_use]
    pub fn poll_lost(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.poll_lost)
    }

    pub(crate) fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// Counts a poll without a usable answer.
    pub(crate) fn set_back(&mut self, cause: Cause, detail: &str) {
        let trouble = self.trouble();
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.poll_lost |= matches!(cause, Cause::Transport(kind) if kind.may_have_arrived());
        trouble.last_error = Some(LastError { cause, detail: Box::from(detail) });
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} polls, {} slow_down answers, {} failures", self.polls, self.slow_downs(), self.failures())?;
        if let Some(last) = self.last_error() {
            write!(f, ", the last one: {last}")?;
        }
        if self.clock_drift_suspected() {
            f.write_str("; the server kept asking to slow down: does the clock of this machine run fast?")?;
        }
        Ok(())
    }
}

/// A failure that a flow has survived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}{}{detail}", if detail.is_empty() { "" } else { ": " })]
pub struct LastError {
    pub(crate) cause: Cause,
    pub(crate) detail: Box<str>,
}

impl LastError {
    /// What kind of failure.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// What the transport had to say, or how the body began; safe to print, may be empty.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// Why a person must sign in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignInReason {
    /// There are no tokens of this account, or of anybody, for this client.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// The tokens that are there were requested with fewer scopes, or for another API.
    #[error("more is requested than at the last sign-in")]
    NewScopes,
    /// The tokens are bound to a key that this client does not have (RFC 9449 §5): it has another one, or none.
    #[error("the tokens are bound to a key (DPoP) that is not the one in use: use that key, or sign in again")]
    OtherKey,
    /// The server refused the refresh token. The error says why, and its [`claims`](OAuthError::claims) say what the
    /// next sign-in must request.
    #[error("sign in again: {0}")]
    Refused(OAuthError),
}

/// An error response (RFC 6749 §5.2, RFC 8628 §3.5), with what Microsoft adds to it. All texts are safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    pub(crate) code: Box<str>,
    pub(crate) description: Option<Box<str>>,
    pub(crate) uri: Option<Box<str>>,
    pub(crate) status: u16,
    pub(crate) advice: Option<Cow<'static, str>>,
    /// It says that the refresh token is no longer valid.
    pub(crate) spent: bool,
    /// The answer to a poll before it was never seen.
    pub(crate) poll_lost: bool,
    /// `None` when there are none.
    pub(crate) details: Option<Box<ErrorDetails>>,
}

/// What only a few servers add to an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub(crate) struct ErrorDetails {
    pub(crate) numbers: Box<[u32]>,
    pub(crate) suberror: Option<Box<str>>,
    pub(crate) correlation_id: Option<Box<str>>,
    pub(crate) trace_id: Option<Box<str>>,
    pub(crate) timestamp: Option<Box<str>>,
    pub(crate) claims: Option<Box<str>>,
}

impl OAuthError {
    /// The error code, which programs may decide by.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The server's explanation for developers, on one line of at most 200 characters. Never decide by it.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// A page about the error. Never fetched, and not checked beyond being printable.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        self.uri.as_deref()
    }

    /// The HTTP status that it came with. Never decide by it.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The server's own numbers, at most 16 of them (`error_codes`: 50076 for `AADSTS50076` of Microsoft Entra). They
    /// may change at any time: never decide by them.
    #[must_use]
    pub fn numbers(&self) -> &[u32] {
        self.details.as_deref().map_or(&[], |details| &details.numbers)
    }

    /// What is behind the code, for a better message (`suberror` of Microsoft Entra, `error_subtype` of Google).
    #[must_use]
    pub fn suberror(&self) -> Option<&str> {
        self.details.as_deref()?.suberror.as_deref()
    }

    /// Microsoft's way of saying that the client is not in the family that the refresh token belongs to.
    pub(crate) fn is_client_mismatch(&self) -> bool {
        self.suberror() == Some("client_mismatch")
    }

    /// What the server's support needs to find the request, together with [`trace_id`](Self::trace_id) and
    /// [`timestamp`](Self::timestamp) (Microsoft Entra).
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.details.as_deref()?.correlation_id.as_deref()
    }

    /// The server's name for this answer.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.details.as_deref()?.trace_id.as_deref()
    }

    /// The time of the error, as the server wrote it.
    #[must_use]
    pub fn timestamp(&self) -> Option<&str> {
        self.details.as_deref()?.timestamp.as_deref()
    }

    /// The claims challenge: a JSON object, which goes back to the server as the parameter `claims` of the next sign-in.
    /// Characters that are not safe to print are escaped in it, as JSON escapes them. At most 8 KiB; a longer one is dropped,
    /// since a part of it is useless.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.details.as_deref()?.claims.as_deref()
    }

    /// What a person can do about it, in one or two sentences, when the error is a known one.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }
}

impl core::error::Error for OAuthError {}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if let Some(suberror) = self.suberror() {
            write!(f, " ({suberror})")?;
        }
        if let Some(description) = &self.description {
            write!(f, ": {description}")?;
        }
        if let Some(uri) = &self.uri {
            write!(f, " <{uri}>")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, " - {advice}")?;
        }
        Ok(())
    }
}

/// The endpoint that an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Endpoint {
    /// The metadata document (RFC 8414, OpenID Connect Discovery).
    #[error("metadata document")]
    Metadata,
    /// The device authorization endpoint (RFC 8628 §3.1).
    #[error("device authorization endpoint")]
    DeviceAuthorization,
    /// The token endpoint (RFC 6749 §3.2).
    #[error("token endpoint")]
    Token,
    /// The revocation endpoint (RFC 7009 §2).
    #[error("revocation endpoint")]
    Revocation,
    /// Where a client registers itself (AWS `/client/register`; RFC 7591 §3 is its standard).
    #[error("registration endpoint")]
    Registration,
    /// What says who a token is for (OpenID Connect Core §5.3).
    #[error("userinfo endpoint")]
    UserInfo,
}

/// The server broke the protocol, or cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    /// The endpoint that the answer came from.
    pub endpoint: Endpoint,
    /// What is wrong with it.
    pub fault: ProtocolFault,
    pub(crate) said: Option<Box<str>>,
    pub(crate) advice: Option<Cow<'static, str>>,
}

impl ProtocolError {
    /// An error without the server's words, and without advice.
    #[must_use]
    pub fn new(endpoint: Endpoint, fault: ProtocolFault) -> Self {
        Self { endpoint, fault, said: None, advice: None }
    }

    /// The fault of an answer to what was `sent`, and what the server `said` in it.
    pub(crate) fn of(sent: Sent, fault: ProtocolFault, said: Option<Box<str>>) -> Self {
        let advice = fault.kind().and_then(|(kind, status)| {
            let words = said.as_deref().unwrap_or_default();
            advice(&Seen { kind, status, words, ..Seen::default() }, &sent)
        });
        Self { endpoint: sent.place.endpoint(), fault, said, advice: advice.map(Cow::Borrowed) }
    }

    /// The server's own words, on one line of at most 200 characters, safe to print; `None` without any, and for a page,
    /// whose beginning is in the fault.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// What a person can do about it, in one or two sentences.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }
}

impl core::error::Error for ProtocolError {}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unusable answer from the {}: {}", self.endpoint, self.fault)?;
        if let Some(said) = &self.said {
            write!(f, "; the server says: {said}")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, " - {advice}")?;
        }
        Ok(())
    }
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// There is no body.
    #[error("it is empty (HTTP status {0})")]
    Empty(u16),
    /// The body is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// A page instead of JSON.
    #[error(
        "HTTP status {status} and a page instead of JSON{}{excerpt}",
        if excerpt.is_empty() { "" } else { ", which begins: " }
    )]
    Page {
        /// Its HTTP status.
        status: u16,
        /// How it begins, safe to print.
        excerpt: Box<str>,
    },
    /// Invalid JSON, or something after its end.
    #[error("it is not valid JSON")]
    InvalidJson,
    /// A member occurs twice (RFC 6749 §5.1 forbids it).
    #[error("the member {0} occurs twice")]
    DuplicateMember(Box<str>),
    /// A required member is missing, null or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member has a wrong type or value.
    #[error("{0} has an unusable value")]
    Invalid(&'static str),
    /// A text that cannot be shown to a person.
    #[error("{0}")]
    Unshowable(Unshowable),
    /// The polling interval is not shorter than the life of the code.
    #[error("the polling interval is not shorter than the life of the code")]
    IntervalTooLong,
    /// The body is longer than this many bytes.
    #[error("it is longer than {0} bytes")]
    TooLarge(usize),
    /// A redirect. None is followed, because that would hand the secrets of the request to another address.
    #[error("it is a redirect (HTTP status {0}), and redirects are never followed: configure the final address")]
    Redirect(u16),
    /// A status that does not fit the body, without an OAuth error.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The server answered that it cannot serve the request now, until the attempts were used up or it named too long a
    /// delay.
    #[error("HTTP status {0}")]
    Unavailable(u16),
    /// A token and an error in one answer of success, so that neither can be believed (RFC 6749 §5.1, §5.2).
    #[error(
        "it holds an access token and the error {0} at once, so neither is used: report this to the operator of the server"
    )]
    TokenAndError(Box<str>),
    /// A token of a type that this client did not request and cannot use (RFC 6749 §7.1).
    #[error("the token is of type {0}, which was not requested, so it is not used")]
    TokenType(Box<str>),
    /// The metadata belongs to another issuer (RFC 8414 §3.3); nothing in it was used.
    #[error(
        "it belongs to the issuer {found}, not to the configured one: configure the issuer exactly as the server writes it"
    )]
    IssuerMismatch {
        /// The issuer that the document names, safe to print.
        found: Box<str>,
    },
    /// The ID token is not acceptable (OpenID Connect Core §3.1.3.7), so the access token beside it is not used.
    #[error("{0}")]
    IdToken(ClaimsError),
    /// An endpoint in the metadata that must not be used.
    #[error("{member} {fault}")]
    UnsafeEndpoint {
        /// Which one.
        member: &'static str,
        /// Why not.
        fault: TextFault,
    },
}

impl ProtocolFault {
    /// How the body began, when it was a page.
    pub(crate) fn excerpt(&self) -> &str {
        if let Self::Page { excerpt, .. } = self { excerpt } else { "" }
    }

    /// What the advice goes by; `None` for a fault whose own text says what to do.
    fn kind(&self) -> Option<(Kind, u16)> {
        match self {
            Self::Page { status, .. } => Some((Kind::Page, *status)),
            Self::Status(status) => Some((Kind::Status, *status)),
            Self::Unavailable(status) => Some((Kind::Outage, *status)),
            Self::Empty(status) => Some((Kind::Broken, *status)),
            Self::NotUtf8
            | Self::InvalidJson
            | Self::DuplicateMember(_)
            | Self::Missing(_)
            | Self::Invalid(_)
            | Self::Unshowable(_)
            | Self::IntervalTooLong
            | Self::TooLarge(_)
            | Self::TokenType(_)
            | Self::UnsafeEndpoint { .. } => Some((Kind::Broken, 0)),
            Self::Redirect(_) | Self::TokenAndError(_) | Self::IssuerMismatch { .. } | Self::IdToken(_) => None,
        }
    }
}
