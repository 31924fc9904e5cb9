//! Owns what is given from the start: how the server is to behave, and the small world it knows.

use std::time::Duration;

/// The one client that has a secret, to try client authentication with. Every other client is public.
pub const CONFIDENTIAL_CLIENT_ID: &str = "demo-confidential";
/// The secret of [`CONFIDENTIAL_CLIENT_ID`], full of characters that clients forget to encode (RFC 6749 §2.3.1).
pub const CONFIDENTIAL_CLIENT_SECRET: &str = "s3cret+/= %:canary";

/// The one person this server knows.
pub(super) const PERSON: &str = "Ada Demo";
/// Where she gets mail.
pub(super) const EMAIL: &str = "ada@example.com";

/// The scopes this server can explain.
pub(super) const SCOPES: [(&str, &str); 4] = [
    ("openid", "Know who you are"),
    ("profile", "See your name"),
    ("email", "See your email address"),
    ("offline_access", "Stay signed in until you sign out"),
];

/// How the server behaves. The wire knows whole seconds only, so all durations must be whole and not zero.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// How long clients must wait between polls (RFC 8628 §3.2 `interval`); 5 s by default.
    pub interval: Duration,
    /// How long a device code and its user code live; 10 minutes by default.
    pub code_lifetime: Duration,
    /// How long an access token lives; one hour by default.
    pub access_token_lifetime: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            interval: Duration::from_secs(5),
            code_lifetime: Duration::from_secs(600),
            access_token_lifetime: Duration::from_secs(3600),
        }
    }
}
