//! Owns what a person is told to do about an answer: by endpoint, status, code, words, and what was sent.
//!
//! No sentence says what was not seen: the device flow stands at its two endpoints alone, a code where there is one, a
//! secret where one was sent, or is said to be missing. Each ends with the way out. `tests.rs` holds that for every row.

mod microsoft;
mod table;
#[cfg(test)]
mod tests;
mod words;

use super::oauth_error::is_known;
use crate::Endpoint;
use crate::dialect::Call;

/// A request, as far as the answer to it depends on it: the same error means another thing with and without a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) place: Place,
    pub(crate) how: How,
    /// Whether the client has a proof of possession.
    pub(crate) proof: bool,
    pub(crate) pkce: bool,
    /// Whether scopes were requested, with it or, for a poll, with its code.
    pub(crate) scope: bool,
    /// An audience, or a resource.
    pub(crate) resource: bool,
    pub(crate) details: bool,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Metadata,
    Device,
    Poll,
    Refresh,
    Revocation,
    /// A client that has no id yet registers itself.
    Registration,
}

/// How a client says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// By its id alone.
    Id,
    /// A secret in the `Authorization` header.
    Basic,
    /// A secret in the body.
    Post,
    /// A secret where a dialect has it.
    Dialect,
    Assertion,
    Certificate,
}

/// What came back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen<'a> {
    pub(crate) status: u16,
    /// Empty without an error code.
    pub(crate) code: &'a str,
    /// The server's own words; may be empty.
    pub(crate) words: &'a str,
    /// Microsoft's, and Google's.
    pub(crate) numbers: &'a [u32],
    pub(crate) suberror: &'a str,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An OAuth error.
    #[default]
    Error,
    /// A status that will not change, without an OAuth error.
    Status,
    /// A page or a text in place of JSON.
    Page,
    /// A status that says "not now", time and again.
    Outage,
    /// An answer of success, or JSON, that breaks the protocol.
    Broken,
}

/// What must have been sent for a sentence to be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// The device flow: a request for a code, or a poll.
    Flow,
    /// A device code.
    Code,
    Refresh,
    Id,
    Secret,
    NoSecret,
    Basic,
    Post,
    Dialect,
    Assertion,
    Certificate,
    /// An assertion or a certificate.
    Key,
    Proof,
    NoProof,
    Pkce,
    NoPkce,
    Scope,
    NoScope,
    Resource,
    NoResource,
    Details,
    NoDetails,
}

/// The most specific advice: words that name the trouble, then Microsoft's numbers and suberrors, then the code or status.
/// None at all without the feature `advice`, for programs without room for the sentences.
pub(crate) fn advice(seen: &Seen<'_>, sent: &Sent) -> Option<&'static str> {
    if !cfg!(feature = "advice") {
        return None;
    }
    let by_number = || microsoft::advice(seen.numbers, seen.words, seen.suberror, sent);
    let by_code = || table::find(table::TABLE, seen, sent);
    table::find(words::BY_WORDS, seen, sent).or_else(by_number).or_else(by_code).or_else(|| by_status(seen, sent))
}

/// A code that nobody knows (`{"error":"Not Found"}`, of a framework and not of OAuth) says no more than its status, if that
/// is none that servers give to errors of OAuth.
fn by_status(seen: &Seen<'_>, sent: &Sent) -> Option<&'static str> {
    let tells = seen.kind == Kind::Error && matches!(seen.status, 404 | 405 | 410 | 415 | 501) && !is_known(seen.code);
    let seen = Seen { kind: Kind::Status, ..*seen };
    if tells { table::find(table::TABLE, &seen, sent) } else { None }
}

/// Whether a description is about the proof of possession, and so not about the token that came with it.
pub(super) fn is_about_proof(description: &str) -> bool {
    mentions(description, "DPoP")
}

fn mentions(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

impl Sent {
    /// A request for metadata, which says nothing about a client.
    pub(crate) const METADATA: Self = Self {
        place: Place::Metadata,
        how: How::Id,
        proof: false,
        pkce: false,
        scope: false,
        resource: false,
        details: false,
    };
    /// The registration of a client, which has nothing yet.
    pub(crate) const REGISTRATION: Self = Self { place: Place::Registration, ..Self::METADATA };
}

impl Place {
    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::Metadata => Endpoint::Metadata,
            Self::Device => Endpoint::DeviceAuthorization,
            Self::Poll | Self::Refresh => Endpoint::Token,
            Self::Revocation => Endpoint::Revocation,
            Self::Registration => Endpoint::Registration,
        }
    }

    /// Metadata has no dialect.
    pub(crate) fn call(self) -> Call {
        match self {
            Self::Metadata | Self::Device => Call::Device,
            Self::Poll => Call::Poll,
            Self::Refresh => Call::Refresh,
            Self::Revocation => Call::Revocation,
            Self::Registration => Call::Registration,
        }
    }
}

impl Need {
    fn is_met(self, sent: &Sent) -> bool {
        match self {
            Self::Nothing => true,
            Self::Flow => matches!(sent.place, Place::Device | Place::Poll),
            Self::Code => sent.place == Place::Poll,
            Self::Refresh => sent.place == Place::Refresh,
            Self::Id => sent.how == How::Id,
            Self::Secret => matches!(sent.how, How::Basic | How::Post | How::Dialect),
            Self::NoSecret => !matches!(sent.how, How::Basic | How::Post | How::Dialect),
            Self::Basic => sent.how == How::Basic,
            Self::Post => sent.how == How::Post,
            Self::Dialect => sent.how == How::Dialect,
            Self::Assertion => sent.how == How::Assertion,
            Self::Certificate => sent.how == How::Certificate,
            Self::Key => matches!(sent.how, How::Assertion | How::Certificate),
            Self::Proof => sent.proof,
            Self::NoProof => !sent.proof,
            Self::Pkce => sent.pkce,
            Self::NoPkce => !sent.pkce,
            Self::Scope => sent.scope,
            Self::NoScope => !sent.scope,
            Self::Resource => sent.resource,
            Self::NoResource => !sent.resource,
            Self::Details => sent.details,
            Self::NoDetails => !sent.details,
        }
    }
}
