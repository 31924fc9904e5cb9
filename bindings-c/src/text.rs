//! Owns what can be read of a machine: every text and number by its own number.

use crate::code::Code;
use crate::handle::{Str, out, with};
use crate::machine::{Driven, Failed, Machine, Outcome, Tokens, Wait};
use device_flow_core::{Failure, Metadata, OAuthError, Prompt, Secret, SignInReason};

/// A text of a machine. How long one stays is beside each group.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Of the code, until the machine is freed: the code to enter.
    UserCode = 0,
    /// Where to enter it.
    VerificationUri = 1,
    /// The URI that holds the code, for a QR code or a browser; not every server sends one.
    VerificationUriComplete = 2,
    /// The server's own words for the person (Microsoft Entra).
    Message = 3,
    /// Something odd but harmless in the server's answer, by its index.
    Warning = 4,
    /// Of a wait, until the next `df_next_action`, `df_response` or `df_transport_failed`: what came instead of an answer, for
    /// `DF_WAIT_REASON_BACKOFF`.
    WaitCause = 5,
    /// The server's words, or the transport's, about the last attempt that was of no use.
    LastWords = 6,
    /// Of a success, until the machine is freed: the access token.
    AccessToken = 7,
    /// `Bearer` or `DPoP`.
    TokenType = 8,
    /// The value of an `Authorization` header with the access token.
    Authorization = 9,
    /// The refresh token, if there is one. After a refresh there always is: the one to keep, new or old.
    RefreshToken = 10,
    /// The ID token, neither parsed nor checked.
    IdToken = 11,
    /// The granted scopes, separated by spaces; those that were requested when the server did not say.
    Scope = 12,
    /// The name of a further member of the answer, by its index, safe to print.
    ExtraName = 13,
    /// The same member's value, as JSON; it may be a secret.
    ExtraValue = 14,
    /// Of a failure, until the machine is freed: what happened and what to do, safe to print.
    Failure = 15,
    /// The error code of the server (RFC 6749 §5.2, RFC 8628 §3.5), which programs may decide by.
    Error = 16,
    /// The server's explanation for developers.
    ErrorDescription = 17,
    /// A page about the error.
    ErrorUri = 18,
    /// What the next sign-in must request, as a JSON object (Microsoft Entra).
    Claims = 19,
    /// What a person can do about it; the text of the failure ends with it.
    Advice = 20,
    /// Of a refresh that failed: a refresh token that replaces the old one all the same.
    RotatedRefreshToken = 21,
    /// Of a discovery, until it is freed: the issuer.
    Issuer = 22,
    /// The device authorization endpoint.
    DeviceAuthorizationEndpoint = 23,
    /// The token endpoint.
    TokenEndpoint = 24,
    /// The revocation endpoint.
    RevocationEndpoint = 25,
}

impl Text {
    pub(crate) const ALL: [Self; 26] = [
        Self::UserCode,
        Self::VerificationUri,
        Self::VerificationUriComplete,
        Self::Message,
        Self::Warning,
        Self::WaitCause,
        Self::LastWords,
        Self::AccessToken,
        Self::TokenType,
        Self::Authorization,
        Self::RefreshToken,
        Self::IdToken,
        Self::Scope,
        Self::ExtraName,
        Self::ExtraValue,
        Self::Failure,
        Self::Error,
        Self::ErrorDescription,
        Self::ErrorUri,
        Self::Claims,
        Self::Advice,
        Self::RotatedRefreshToken,
        Self::Issuer,
        Self::DeviceAuthorizationEndpoint,
        Self::TokenEndpoint,
        Self::RevocationEndpoint,
    ];
}

/// A number of a machine.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Of the code: when it expires, in milliseconds on the caller's timeline.
    CodeExpiresAtMs = 0,
    /// The polling interval in milliseconds, as it was when the code came.
    IntervalMs = 1,
    /// Of a wait after `slow_down`: the interval in force now, in milliseconds.
    SlowIntervalMs = 2,
    /// Of a wait after a failure: the number of failures in a row.
    Attempt = 3,
    /// Of a sign-in: the requests that were sent to the token endpoint.
    Polls = 4,
    /// Of a success: how long the access token lives, in seconds from the moment of the answer; not every server says.
    ExpiresIn = 5,
    /// Of a failure: its kind, a `DF_FAILURE_KIND_…`.
    FailureKind = 6,
    /// 1 when the same attempt may succeed later with nothing changed, else 0.
    Retryable = 7,
    /// After a refresh that failed: 1 when the refresh token may still be good, else 0.
    KeepsRefreshToken = 8,
    /// 1 when the answer to a poll was never seen, so that a token may have been issued and lost; else 0.
    PollLost = 9,
    /// The HTTP status of the server's error.
    ErrorStatus = 10,
}

impl Number {
    pub(crate) const ALL: [Self; 11] = [
        Self::CodeExpiresAtMs,
        Self::IntervalMs,
        Self::SlowIntervalMs,
        Self::Attempt,
        Self::Polls,
        Self::ExpiresIn,
        Self::FailureKind,
        Self::Retryable,
        Self::KeepsRefreshToken,
        Self::PollLost,
        Self::ErrorStatus,
    ];
}

/// Why a machine failed.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A kind that this header does not know.
    Other = 0,
    /// `df_cancel` was called.
    Cancelled = 1,
    /// The person refused, or the server on their behalf (RFC 8628 §3.5).
    Denied = 2,
    /// The code expired before it was approved.
    Expired = 3,
    /// The refresh token is of no use any more: start a sign-in.
    SignInNeeded = 4,
    /// The server refused with an error (RFC 6749 §5.2).
    Rejected = 5,
    /// The server broke the protocol.
    Protocol = 6,
    /// No connection, or one that must not be trusted.
    Transport = 7,
}

impl FailureKind {
    fn of(failure: &Failure) -> Self {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a kind that comes later is Other")]
        match failure {
            Failure::Cancelled => Self::Cancelled,
            Failure::Denied(_) => Self::Denied,
            Failure::Expired(_) => Self::Expired,
            Failure::SignInNeeded(_) => Self::SignInNeeded,
            Failure::Rejected(_) => Self::Rejected,
            Failure::Protocol(_) => Self::Protocol,
            Failure::Transport(_) => Self::Transport,
            _ => Self::Other,
        }
    }
}

/// The server's error in a failure.
fn error(failure: &Failure) -> Option<&OAuthError> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "no other kind holds one")]
    match failure {
        Failure::Denied(error) | Failure::Rejected(error) | Failure::SignInNeeded(SignInReason::Refused(error)) => {
            Some(error)
        }
        Failure::Expired(expired) => expired.error.as_ref(),
        _ => None,
    }
}

impl Driven {
    fn tokens(&self) -> Option<&Tokens> {
        if let Outcome::Tokens(tokens) = &self.left.outcome { Some(tokens) } else { None }
    }

    fn failed(&self) -> Option<&Failed> {
        if let Outcome::Failed(failed) = &self.left.outcome { Some(failed) } else { None }
    }

    fn error(&self) -> Option<&OAuthError> {
        error(&self.failed()?.failure)
    }

    /// Exposed where a secret is asked for by its name.
    fn text(&self, text: Text, index: usize) -> Option<Str> {
        // Those of which there are several come by their index.
        let only = |text: Option<&str>| text.filter(|_| index == 0).map(Str::of);
        let secret = |secret: Option<&Secret>| only(secret.map(Secret::expose));
        match text {
            Text::UserCode => only(self.left.prompt.as_ref().map(Prompt::user_code)),
            Text::VerificationUri => only(self.left.prompt.as_ref().map(Prompt::verification_uri)),
            Text::VerificationUriComplete => {
                only(self.left.prompt.as_ref().and_then(Prompt::verification_uri_complete))
            }
            Text::Message => only(self.left.prompt.as_ref().and_then(Prompt::message)),
            Text::Warning => self.left.warnings.get(index).map(|warning| Str::of(warning)),
            Text::WaitCause => only(if let Wait::Backoff(cause, _) = &self.left.wait { Some(&**cause) } else { None }),
            Text::LastWords => only(self.last_words()),
            Text::AccessToken => secret(self.tokens().map(|tokens| tokens.response.access_token())),
            Text::TokenType => only(self.tokens().map(|tokens| tokens.response.token_type().as_str())),
            Text::Authorization => secret(self.tokens().and_then(|tokens| tokens.authorization.as_ref())),
            Text::RefreshToken => secret(self.tokens().and_then(|tokens| tokens.response.refresh_token())),
            Text::IdToken => secret(self.tokens().and_then(|tokens| tokens.response.id_token())),
            Text::Scope => only(self.tokens().map(|tokens| &*tokens.scope)),
            Text::ExtraName => self.tokens()?.response.extra_names().nth(index).map(Str::of),
            Text::ExtraValue => {
                let response = &self.tokens()?.response;
                let value = response.extra(response.raw_extra_names().nth(index)?);
                value.map(|value| Str::of(value.expose()))
            }
            Text::Failure => only(self.failed().map(|failed| &*failed.text)),
            Text::Error => only(self.error().map(OAuthError::code)),
            Text::ErrorDescription => only(self.error().and_then(OAuthError::description)),
            Text::ErrorUri => only(self.error().and_then(OAuthError::uri)),
            Text::Claims => only(self.error().and_then(OAuthError::claims)),
            Text::Advice => only(self.failed().and_then(|failed| failed.failure.advice())),
            Text::RotatedRefreshToken => secret(self.rotated()),
            Text::Issuer => only(self.metadata().map(Metadata::issuer)),
            Text::DeviceAuthorizationEndpoint => only(self.metadata()?.device_authorization_endpoint()),
            Text::TokenEndpoint => only(self.metadata().map(Metadata::token_endpoint)),
            Text::RevocationEndpoint => only(self.metadata()?.revocation_endpoint()),
        }
    }

    fn number(&self, number: Number) -> Option<u64> {
        let failure = self.failed().map(|failed| &failed.failure);
        match number {
            Number::CodeExpiresAtMs => self.left.prompt.as_ref().map(|prompt| prompt.expires_at().as_millis()),
            Number::IntervalMs => self.left.prompt.as_ref().map(|prompt| millis(prompt.interval())),
            Number::SlowIntervalMs => match self.left.wait {
                Wait::SlowDown(seconds) => Some(u64::from(seconds).saturating_mul(1_000)),
                Wait::Usual | Wait::Backoff(..) => None,
            },
            Number::Attempt => {
                if let Wait::Backoff(_, attempt) = self.left.wait {
                    Some(u64::from(attempt))
                } else {
                    None
                }
            }
            Number::Polls => self.flow().map(|flow| u64::from(flow.trail().polls())),
            Number::ExpiresIn => self.tokens()?.response.expires_in().map(|life| life.as_secs()),
            Number::FailureKind => failure.map(|failure| FailureKind::of(failure) as u64),
            Number::Retryable => failure.map(|failure| u64::from(failure.is_retryable())),
            Number::KeepsRefreshToken => failure.map(|failure| u64::from(failure.keeps_refresh_token())),
            Number::PollLost => failure.map(|failure| u64::from(failure.a_poll_was_lost())),
            Number::ErrorStatus => self.error().map(|error| u64::from(error.status())),
        }
    }
}

pub(crate) fn millis(time: core::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A text of the machine, a `DF_TEXT_…`: `DF_CODE_NONE` when there is none now. `index` counts from 0 for those of which
/// there are several (headers, warnings, further members); it is 0 for all others. The text stays as long as its group says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_read_text(machine: *mut Machine, text: u32, index: usize, value: *mut Str) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(machine, |machine| {
            let place = out(value)?;
            let text = usize::try_from(text).ok().and_then(|at| Text::ALL.get(at)).ok_or(Code::BadArgument)?;
            place.write(machine.text(*text, index).ok_or(Code::None)?);
            Ok(())
        })
    }
}

/// A number of the machine, a `DF_NUMBER_…`: `DF_CODE_NONE` when there is none now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_read_number(machine: *mut Machine, number: u32, value: *mut u64) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(machine, |machine| {
            let place = out(value)?;
            let number = usize::try_from(number).ok().and_then(|at| Number::ALL.get(at)).ok_or(Code::BadArgument)?;
            place.write(machine.number(*number).ok_or(Code::None)?);
            Ok(())
        })
    }
}
