//! Owns what an answer means by the RFCs and the polling law, read from the script of the server and not from its
//! bytes.

use crate::server::{Number, Reply, Turn};
use device_flow_core::TransportErrorKind;

pub(super) enum Meaning {
    Code { interval: Number, lifetime: Number },
    Token,
    Error(&'static str, Number),
    Unavailable,
    Page,
    Empty,
    Broken,
    Untrusted,
    Fault(TransportErrorKind),
}

impl Meaning {
    pub(super) fn of(turn: &Turn) -> Self {
        let not_now = matches!(turn.status, Some(408 | 429 | 500 | 502..=504 | 506..=509 | 512..=599));
        let good = turn.status.is_none_or(|status| (200..300).contains(&status));
        // Exact matches only.
        let known = |code| !matches!(code, "weird" | "AUTHORIZATION_PENDING");
        match turn.reply {
            Reply::Fault(TransportErrorKind::UntrustedCertificate) => Self::Untrusted,
            Reply::Fault(kind) => Self::Fault(kind),
            Reply::Redirect if turn.status.is_none() => Self::Broken,
            Reply::Pending => Self::Error("authorization_pending", Number::Absent),
            Reply::SlowDown(hint) => Self::Error("slow_down", hint),
            Reply::Challenge => Self::Error("use_dpop_nonce", Number::Absent),
            Reply::Error(code) if !not_now || known(code) => Self::Error(code, Number::Absent),
            Reply::Unavailable(_) if turn.status.is_none() => Self::Unavailable,
            _ if not_now => Self::Unavailable,
            // With another status these are bodies that do not begin as an object.
            Reply::Page | Reply::Array | Reply::Unavailable(_) | Reply::Redirect => Self::Page,
            _ if !good => Self::Broken,
            Reply::Code { interval, lifetime } => Self::Code { interval, lifetime },
            Reply::Token => Self::Token,
            Reply::Nothing => Self::Empty,
            Reply::Metadata | Reply::Trailing | Reply::Error(_) => Self::Broken,
        }
    }
}

/// A number of seconds as a client has to read it.
pub(super) enum Seconds {
    Absent,
    Rounded { floor: u64, ceil: u64 },
    Negative,
    Nonsense,
}

impl Seconds {
    pub(super) fn of(number: Number) -> Self {
        match number {
            Number::Absent | Number::Null => Self::Absent,
            Number::Whole(n) | Number::Quoted(n) => Self::Rounded { floor: n, ceil: n },
            Number::AndAHalf(n) => Self::Rounded { floor: n, ceil: n.saturating_add(1) },
            Number::Negative(0) => Self::Rounded { floor: 0, ceil: 0 },
            Number::Negative(_) => Self::Negative,
            Number::Huge => Self::Rounded { floor: u64::MAX, ceil: u64::MAX },
            Number::Nonsense => Self::Nonsense,
        }
    }
}
