//! Owns the lines of `--json`: their fields, and the names of causes and sources in them.

use device_flow_tokio::{Cause, TokenSource, TransportErrorKind};
use serde::Serialize;

/// One line of `--json`. It never contains a secret.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) v: u8,
    #[serde(flatten)]
    pub(super) event: JsonEvent<'a>,
}

/// One line whose event and fields belong to one sub-command.
#[derive(Serialize)]
pub(super) struct CustomLine<'a, T> {
    pub(super) v: u8,
    pub(super) event: &'a str,
    #[serde(flatten)]
    pub(super) fields: &'a T,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum JsonEvent<'a> {
    Server {
        base_url: &'a str,
        live_url: &'a str,
    },
    DeviceCode {
        verification_uri: &'a str,
        verification_uri_complete: Option<&'a str>,
        user_code: &'a str,
        message: Option<&'a str>,
        expires_in: u64,
        expires_at: String,
        interval: u64,
        issuer: Option<&'a str>,
        warnings: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        resume_id: Option<&'a str>,
    },
    SignInNeeded {
        reason: String,
    },
    SlowDown {
        interval: u32,
    },
    Transient {
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        said: Option<&'a str>,
        attempt: u32,
        retry_in: u64,
    },
    RetryAfter {
        retry_in: u64,
    },
    Success {
        #[serde(skip_serializing_if = "Option::is_none")]
        profile: Option<&'a str>,
        account: Option<&'a str>,
        scope: String,
        /// Requested, and not among those that a new token has; then those that it has without having been requested.
        missing_scopes: Vec<&'a str>,
        added_scopes: Vec<&'a str>,
        expires_at: Option<String>,
        storage: &'static str,
        source: &'static str,
        refreshable: bool,
    },
    Error {
        code: &'a str,
        exit: u8,
        message: String,
        retryable: bool,
    },
}

/// The name of a cause, and the status if there was an answer.
pub(super) fn cause_name(cause: Cause) -> (&'static str, Option<u16>) {
    let kind = match cause {
        Cause::Status(status) => return ("status", Some(status)),
        Cause::Page(status) => return ("page", Some(status)),
        Cause::Transport(kind) => kind,
    };
    let name = match kind {
        TransportErrorKind::Timeout => "timeout",
        TransportErrorKind::Dns => "dns",
        TransportErrorKind::Connect => "connect",
        TransportErrorKind::Tls => "tls",
        TransportErrorKind::UntrustedCertificate => "untrusted_certificate",
        TransportErrorKind::Proxy => "proxy",
        TransportErrorKind::Closed => "closed",
        TransportErrorKind::InvalidHttp => "invalid_http",
        // And kinds that this version does not know.
        TransportErrorKind::Abandoned | TransportErrorKind::Other | _ => "other",
    };
    (name, None)
}

/// The name of where a token came from.
pub(super) fn source_name(source: TokenSource) -> &'static str {
    match source {
        TokenSource::Cache => "cache",
        TokenSource::Refresh => "refresh",
        // And sources that this version does not know.
        TokenSource::DeviceFlow | _ => "device_flow",
    }
}
