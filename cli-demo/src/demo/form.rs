//! Owns parsing of form bodies and query strings into parameters (RFC 6749 §3.1, §3.2).

use axum::http::{HeaderMap, header::CONTENT_TYPE};

/// Parameters by name, none of them repeated.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// A body of `application/x-www-form-urlencoded`. The error is an `error_description`.
    pub(super) fn from_body(headers: &HeaderMap, body: &[u8]) -> Result<Self, &'static str> {
        if !is_form(headers) {
            return Err("the body must be application/x-www-form-urlencoded");
        }
        Self::parse(body)
    }

    /// A query string or the bytes of a body. The error is an `error_description`.
    pub(super) fn parse(encoded: &[u8]) -> Result<Self, &'static str> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(encoded) {
            // The only parameter that may be repeated (RFC 8707 §2); this server ignores it.
            if name == "resource" {
                continue;
            }
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err("a parameter is repeated");
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter; one without a value counts as omitted (RFC 6749 §3.1).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

/// Whether the body says that it is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
