//! Owns what is fixed at the start: the options of the server, and its one user and one confidential client.

use std::time::Duration;

/// The one client with a secret, to try client authentication with. Every other client is public.
pub const CONFIDENTIAL_CLIENT_ID: &str = "demo-confidential";
/// The secret of [`CONFIDENTIAL_CLIENT_ID`]. It contains the characters that clients forget to encode (RFC 6749
/// §2.3.1).
pub const CONFIDENTIAL_CLIENT_SECRET: &str = "s3cret+/= %:canary";

/// The name of the one user.
pub(super) const PERSON: &str = "Ada Demo";
/// Her email address.
pub(super) const EMAIL: &str = "ada@example.com";

/// The scopes that the server can explain.
pub(super) const SCOPES: [(&str, &str); 4] = [
    ("openid", "Know who you are"),
    ("profile", "See your name"),
    ("email", "See your email address"),
    ("offline_access", "Stay signed in until you sign out"),
];

/// How the server behaves. All durations must be whole seconds and not zero, since the protocol has only whole seconds.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// How long clients must wait between polls (RFC 8628 §3.2 `interval`); 5 s by default.
    pub interval: Duration,
    /// How long a device code and its user code are valid; 10 minutes by default.
    pub code_lifetime: Duration,
    /// How long an access token is valid; one hour by default.
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
