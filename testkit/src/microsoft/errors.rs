//! Owns the errors of Microsoft's token endpoint: their numbers, words and form.

use super::HOST;
use serde_json::{Value, json};

pub(super) const TRACE: &str = "7d2b6a10-93f5-4c0e-8a44-1f0c5e6b2d00";
const CORRELATION: &str = "9f0c1d2e-3b4a-4958-a6c7-d8e9f0a1b2c3";

/// An error answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct OAuthError {
    status: u16,
    error: &'static str,
    number: u32,
    words: &'static str,
    suberror: Option<&'static str>,
    claims: Option<&'static str>,
}

impl OAuthError {
    const fn new(error: &'static str, number: u32, words: &'static str) -> Self {
        Self { status: 400, error, number, words, suberror: None, claims: None }
    }

    const fn suberror(mut self, suberror: &'static str) -> Self {
        self.suberror = Some(suberror);
        self
    }

    const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with the claims that the next sign-in must request.
    pub(super) fn claims(mut self, claims: &'static str) -> Self {
        self.claims = Some(claims);
        self
    }

    pub(super) const PENDING: Self = Self::new("authorization_pending", 70016, "The person has not signed in yet.");
    pub(super) const DECLINED: Self = Self::new("authorization_declined", 70021, "The person has declined.");
    pub(super) const EXPIRED: Self = Self::new("expired_token", 70020, "The device code has expired.");
    pub(super) const BAD_CODE: Self = Self::new("bad_verification_code", 70018, "The device code is not known.");
    pub(super) const REDEEMED: Self = Self::new("invalid_grant", 54005, "The code was redeemed before.");
    pub(super) const BAD_TOKEN: Self =
        Self::new("invalid_grant", 70000, "The refresh token is not valid.").suberror("bad_token");
    pub(super) const REVOKED: Self = Self::new("invalid_grant", 50173, "The grant has been revoked.");
    pub(super) const OTHER_CLIENT: Self =
        Self::new("invalid_grant", 700_007, "The refresh token is another client's.").suberror("client_mismatch");
    pub(super) const CHALLENGE: Self =
        Self::new("invalid_grant", 50076, "A second factor is needed.").suberror("basic_action");
    pub(super) const NO_TENANT: Self = Self::new("invalid_request", 90002, "The tenant was not found.");
    pub(super) const NO_CLIENT: Self = Self::new("unauthorized_client", 700_016, "The application was not found.");
    pub(super) const NO_PARAMETER: Self = Self::new("invalid_request", 900_144, "A parameter is missing in the body.");
    pub(super) const NO_GRANT: Self = Self::new("unsupported_grant_type", 70003, "The grant type is not supported.");
    pub(super) const UNAVAILABLE: Self =
        Self::new("temporarily_unavailable", 90033, "The service is not available.").status(503);

    pub(super) fn answer(&self, correlation: Option<&str>) -> (u16, Value) {
        let &Self { number, words, .. } = self;
        let correlation = correlation.unwrap_or(CORRELATION);
        let time = "2026-11-23 11:00:00Z";
        let mut body = json!({
            "error": self.error,
            "error_description": format!("AADSTS{number}: {words} Trace ID: {TRACE} Correlation ID: {correlation} Timestamp: {time}"),
            "error_codes": [number],
            "timestamp": time,
            "trace_id": TRACE,
            "correlation_id": correlation,
            "error_uri": format!("https://{HOST}/error?code={number}"),
        });
        for (name, value) in [("suberror", self.suberror), ("claims", self.claims)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        (self.status, body)
    }
}
