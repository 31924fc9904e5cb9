//! Owns the OAuth errors the demo server gives: their names and their form on the wire.

use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::oauth;

/// An error answer of RFC 6749 §5.2 or RFC 8628 §3.5; a text inside is its `error_description`.
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
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
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

    fn code_and_description(self) -> (&'static str, &'static str) {
        match self {
            Self::InvalidRequest(why) => ("invalid_request", why),
            Self::InvalidClient => ("invalid_client", "client authentication failed"),
            Self::InvalidGrant(why) => ("invalid_grant", why),
            Self::InvalidScope => ("invalid_scope", "the scope is malformed or more than was granted"),
            Self::UnsupportedGrantType => ("unsupported_grant_type", "use the device code or the refresh token grant"),
            Self::AuthorizationPending => ("authorization_pending", "nobody has decided yet; ask again later"),
            Self::SlowDown => ("slow_down", "too soon; wait 5 seconds longer from now on"),
            Self::AccessDenied => ("access_denied", "the person said no"),
            Self::ExpiredToken => ("expired_token", "the device code has expired"),
            Self::ServerError => ("server_error", "no random numbers to be had"),
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
        let (error, description) = self.code_and_description();
        let answer = oauth::json(self.status(), &json!({ "error": error, "error_description": description }));
        match self.status() {
            // RFC 9110 §15.5.2: every 401 names a way to authenticate.
            StatusCode::UNAUTHORIZED => {
                ([(WWW_AUTHENTICATE, "Basic realm=\"device-flow demo\"")], answer).into_response()
            }
            _ => answer,
        }
    }
}
