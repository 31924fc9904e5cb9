//! Owns the lines of `--json`: their fields, and how programs call what happens.

use device_flow_tokio::{Cause, TokenSource, TransportErrorKind};
use serde::Serialize;

/// One line of `--json`. No secret is ever in it.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) v: u8,
    #[serde(flatten)]
    pub(super) event: JsonEvent<'a>,
}

/// One line whose fields another sub-command knows.
#[derive(Serialize)]
pub(super) struct Told<'a, T> {
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

/// A cause as programs call it, and the status if there was an answer.
pub(super) fn named(cause: Cause) -> (&'static str, Option<u16>) {
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

/// Where a token came from, as programs call it.
pub(super) fn source(source: TokenSource) -> &'static str {
    match source {
        TokenSource::Cache => "cache",
        TokenSource::Refresh => "refresh",
        // And places that this version does not know.
        TokenSource::DeviceFlow | _ => "device_flow",
    }
}
