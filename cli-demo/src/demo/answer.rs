//! Owns the answers to clients on the wire: JSON, OAuth errors by name, and the faults that a person can ask for.

use std::future::ready;
use std::io;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};

/// A negative answer: an error of RFC 6749 §5.2 or RFC 8628 §3.5 (with its `error_description`), or what a faulty
/// server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    InvalidRequest(&'static str),
    InvalidClient,
    InvalidGrant(&'static str),
    InvalidScope,
    UnsupportedGrantType,
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
    ServerError,
    /// 503 and a line of text, like a proxy whose server is down.
    Unavailable,
    /// 429 with `Retry-After`, in seconds.
    RetryLater(u64),
    /// No answer: the connection is closed.
    HungUp,
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, value: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

impl Refusal {
    /// Name and description of an OAuth error.
    fn error(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::InvalidRequest(why) => ("invalid_request", why),
            Self::InvalidClient => ("invalid_client", "client authentication failed"),
            Self::InvalidGrant(why) => ("invalid_grant", why),
            Self::InvalidScope => ("invalid_scope", "the scope is malformed or more than was granted"),
            Self::UnsupportedGrantType => ("unsupported_grant_type", "use the device code or the refresh token grant"),
            Self::AuthorizationPending => ("authorization_pending", "the person has not decided yet"),
            Self::SlowDown => ("slow_down", "wait 5 seconds longer from now on"),
            Self::AccessDenied => ("access_denied", "the person denied the request"),
            Self::ExpiredToken => ("expired_token", "the device code has expired"),
            Self::ServerError => ("server_error", "no random numbers available"),
            Self::Unavailable | Self::RetryLater(_) | Self::HungUp => return None,
        })
    }

    /// A short name, as a person would look it up.
    pub(super) fn name(self) -> &'static str {
        match self.error() {
            Some((name, _)) => name,
            None if self == Self::Unavailable => "503",
            None if self == Self::HungUp => "no answer",
            None => "429",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::RetryLater(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::HungUp => StatusCode::OK,
            Self::InvalidRequest(_)
            | Self::InvalidGrant(_)
            | Self::InvalidScope
            | Self::UnsupportedGrantType
            | Self::AuthorizationPending
            | Self::SlowDown
            | Self::AccessDenied
            | Self::ExpiredToken => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<getrandom::Error> for Refusal {
    fn from(_: getrandom::Error) -> Self {
        Self::ServerError
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        match (self, self.error()) {
            (Self::RetryLater(seconds), _) => {
                (status, [(RETRY_AFTER, seconds.to_string())], "Too many requests.\n").into_response()
            }
            // A body that fails before its first byte: the server closes the connection without sending even a status.
            (Self::HungUp, _) => {
                let broken = ready(Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted)));
                Body::from_stream(stream::once(broken)).into_response()
            }
            (_, None) => (status, "Service unavailable.\n").into_response(),
            (_, Some((error, description))) => {
                let answer = json(status, &json!({ "error": error, "error_description": description }));
                if status == StatusCode::UNAUTHORIZED {
                    // RFC 9110 §15.5.2: every 401 names a way to authenticate.
                    ([(WWW_AUTHENTICATE, "Basic realm=\"device-flow demo\"")], answer).into_response()
                } else {
                    answer
                }
            }
        }
    }
}
