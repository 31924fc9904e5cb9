//! Owns the messages on the wire: the only files that see bytes and status codes.

pub(crate) mod advice;
pub(crate) mod answer;
pub(crate) mod claims;
pub(crate) mod device_authorization;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod metadata;
pub(crate) mod oauth_error;
mod retry_after;
pub(crate) mod said;
pub(crate) mod token;
pub(crate) mod user_info;

/// The media type of forms (RFC 6749 Appendix B).
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
/// RFC 8628 §3.4.
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 6749 §6.
pub(crate) const REFRESH_GRANT: &str = "refresh_token";
