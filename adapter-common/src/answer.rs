//! Owns `Answer`: what a transport brings back, before any machine has judged it.

use device_flow_core::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use zeroize::Zeroizing;

/// The answer to a request as it came: status, headers and body.
///
/// `Debug` shows the status and the length of the body alone, and the body is wiped when this is dropped: it may hold tokens.
///
/// ```
/// use device_flow_adapter::Answer;
///
/// let answer = Answer::new(429, Vec::from(b"{}")).header("retry-after", "30");
/// assert_eq!(answer.as_response().status(), 429);
/// ```
pub struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// An answer without headers.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self { status, headers: HeaderMap::new(), body: body.into() }
    }

    /// With all these headers, in place of those it had.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// With one header more. One that HTTP does not allow is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.append(name, value);
        }
        self
    }

    /// The same answer as a machine takes it.
    #[must_use]
    pub fn as_response(&self) -> Response<'_> {
        self.headers.iter().fold(Response::new(self.status, &self.body), |response, (name, value)| {
            response.header(name.as_str(), value.as_bytes())
        })
    }
}

impl<B: Into<Zeroizing<Vec<u8>>>> From<http::Response<B>> for Answer {
    fn from(response: http::Response<B>) -> Self {
        let (head, body) = response.into_parts();
        Self::new(head.status.as_u16(), body).headers(head.headers)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_status_and_no_byte_of_the_body() {
        let shown = format!("{:?}", Answer::new(418, Vec::from(b"AT-canary")).header("x", "canary"));
        assert!(shown.contains("418") && shown.contains('9') && !shown.contains("canary"), "{shown}");
    }
}
