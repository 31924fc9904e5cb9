//! Owns what is fixed at the start: the options of the server, and its one user and one confidential client.

use std::time::Duration;

/// The one client with a secret, to try client authentication with. Every other client is public.
pub const CONFIDENTIAL_CLIENT_ID: &str = "demo-confidential";
/// The secret of [`CONFIDENTIAL_CLIENT_ID`]. It contains the characters that clients forget to encode (RFC 6749
/// §2.3.1).
pub const CONFIDENTIAL_CLIENT_SECRET: &str = "s3cret+/= %:canary";

/// The one user, as a name that never changes (OpenID Connect Core §5.1 `sub`).
pub(super) const SUBJECT: &str = "ada";
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
    /// How long a client may take to send the head of a request, and how long an idle connection lives; 30 s by
    /// default.
    pub connection_patience: Duration,
    /// What is decided after the fourth poll of each sign-in; `None`, the default, leaves it to a person.
    pub decision: Option<Decision>,
    /// What goes wrong from the second poll of each sign-in on; `None` by default.
    pub fault: Option<Fault>,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The client gets its tokens at the next poll.
    Approve,
    /// It is told `access_denied`.
    Deny,
}

/// What the server can do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// One `slow_down` for a client that was not too fast.
    SlowDown,
    /// Status 503 without an OAuth error, three times.
    Unavailable,
    /// The connection is closed without an answer, three times.
    HangUp,
    /// Status 429 and `Retry-After: 10`, once.
    RetryAfter,
    /// One answer comes a second later than the interval is long: clients that count from their request, and not from
    /// the answer, poll again too soon, or at the same time.
    LateAnswer,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            interval: Duration::from_secs(5),
            code_lifetime: Duration::from_secs(600),
            access_token_lifetime: Duration::from_secs(3600),
            connection_patience: Duration::from_secs(30),
            decision: None,
            fault: None,
        }
    }
}
