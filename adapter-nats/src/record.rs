//! Owns the form in which sign-ins and outcomes are stored: versioned JSON, sealed.

use crate::clock::{Now, ServerTime};
use crate::{Kind, Outcome, Seal, SealError, SignInError, Unworkable};
use device_flow_core::{Away, Failure, Snapshot, TokenResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zeroize::Zeroizing;

/// Why something stored cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Of another version, for example. Where, and not what the parser says of it, which may quote a secret.
    #[error("it was stored in a form that this version does not read, from byte {0}")]
    Form(usize),
}

/// A sign-in that is not over. A new version is a new variant; an unknown one does not load.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SignIn {
    V1(SignInV1),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInV1 {
    /// The name by which workers know its client.
    pub(crate) client: String,
    /// Tells it from others that were started with the same id.
    pub(crate) run: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claims: Option<String>,
    /// `None`: it has no code yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<Waiting>,
}

/// A sign-in with a code.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waiting {
    pub(crate) snapshot: Snapshot,
    /// The server's time, not before the snapshot was taken.
    pub(crate) since: ServerTime,
    /// At most this much after it.
    slack_ms: u64,
}

impl Waiting {
    pub(crate) fn new(snapshot: Snapshot, now: Now) -> Self {
        Self {
            snapshot,
            since: now.time,
            slack_ms: u64::try_from(now.slack.as_millis()).unwrap_or(u64::MAX).saturating_add(1),
        }
    }

    /// When its wait is over, by the server's clock.
    pub(crate) fn due(&self) -> ServerTime {
        self.since.saturating_add(self.snapshot.poll_in())
    }

    /// When its code expires, by the server's clock.
    pub(crate) fn ends(&self) -> ServerTime {
        self.since.saturating_add(self.snapshot.expires_in())
    }

    /// How long it was away. It was at least until `published`, when the server's own clock ended its wait.
    pub(crate) fn away(&self, published: ServerTime, now: Now) -> Away {
        let at_most = now.time.saturating_since(self.since).saturating_add(Duration::from_millis(self.slack_ms));
        Away::between(published.saturating_since(self.since).min(at_most), at_most)
    }
}

/// How a sign-in ended.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Done {
    Token(TokenResponse),
    Failure(Failure),
}

/// Seals a sign-in.
pub(crate) fn seal_sign_in(seal: &dyn Seal, id: &str, sign_in: SignInV1) -> Result<Vec<u8>, SealError> {
    sealed(seal, id, Kind::SignIn, &SignIn::V1(sign_in))
}

pub(crate) fn open_sign_in(seal: &dyn Seal, id: &str, bytes: &[u8]) -> Result<SignInV1, RecordError> {
    let SignIn::V1(sign_in) = opened(seal, id, Kind::SignIn, bytes)?;
    Ok(sign_in)
}

/// The first byte of an outcome: whether the rest is sealed.
const SEALED: u8 = 1;
const OPEN: u8 = 2;

/// Seals an outcome, except that nobody could work on the sign-in: a worker that has another key could seal that for nobody, and
/// who could write it to the server could remove the sign-in just as well.
pub(crate) fn seal_outcome(seal: &dyn Seal, id: &str, outcome: Outcome) -> Result<Vec<u8>, SealError> {
    let (first, rest) = match outcome {
        Ok(token) => (SEALED, sealed(seal, id, Kind::Outcome, &Done::Token(token))?),
        Err(SignInError::Failed(failure)) => (SEALED, sealed(seal, id, Kind::Outcome, &Done::Failure(failure))?),
        Err(SignInError::Unworkable(why)) => (OPEN, json(&why)?.to_vec()),
    };
    Ok([&[first], &rest[..]].concat())
}

pub(crate) fn open_outcome(seal: &dyn Seal, id: &str, bytes: &[u8]) -> Result<Outcome, RecordError> {
    match bytes.split_first() {
        Some((&SEALED, rest)) => Ok(match opened(seal, id, Kind::Outcome, rest)? {
            Done::Token(token) => Ok(token),
            Done::Failure(failure) => Err(failure.into()),
        }),
        Some((&OPEN, rest)) => Ok(Err(read::<Unworkable>(rest)?.into())),
        Some(_) | None => Err(RecordError::Form(0)),
    }
}

fn sealed<T: Serialize>(seal: &dyn Seal, id: &str, kind: Kind, plain: &T) -> Result<Vec<u8>, SealError> {
    seal.seal(id, kind, &json(plain)?)
}

fn json<T: Serialize>(plain: &T) -> Result<Zeroizing<Vec<u8>>, SealError> {
    // Large enough for most, so that no copy of a secret is left behind where it grew.
    let mut text = Zeroizing::new(Vec::with_capacity(2_048));
    serde_json::to_writer(&mut *text, plain).map_err(|error| SealError::NotSealed(error.to_string().into()))?;
    Ok(text)
}

fn opened<T: DeserializeOwned>(seal: &dyn Seal, id: &str, kind: Kind, bytes: &[u8]) -> Result<T, RecordError> {
    read(&seal.open(id, kind, bytes)?)
}

fn read<T: DeserializeOwned>(plain: &[u8]) -> Result<T, RecordError> {
    serde_json::from_slice(plain).map_err(|error| RecordError::Form(error.column()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to report")]

    use super::*;
    use crate::{EngineError, KeySeal};

    #[test]
    fn what_does_not_read_is_told_without_a_word_of_it() {
        let seal = KeySeal::new([1; 32]);
        for plain in [
            r#"{"v1":{"client":"a","run":1,"waiting":"canary"}}"#,
            r#"{"v1":{"client":"a","run":1,"waiting":{"snapshot":"canary"}}}"#,
            r#"{"v1":{"client":"a","run":1,"canary":1}}"#,
            r#"{"canary":{}}"#,
        ] {
            let sealed = seal.seal("a1", Kind::SignIn, plain.as_bytes()).unwrap();
            let Err(error) = open_sign_in(&seal, "a1", &sealed) else { panic!("{plain} was read") };
            let (text, error) = (error.to_string(), EngineError::from(error));
            assert!(matches!(error, EngineError::Unreadable(_)));
            assert!(!format!("{text} {error} {error:?}").contains("canary"), "{plain}: {text}");
        }
    }

    #[test]
    fn that_nobody_could_work_on_it_opens_with_any_key_and_is_safe_to_print() {
        let (seal, other) = (KeySeal::new([1; 32]), KeySeal::new([2; 32]));
        let why = Unworkable::UnknownClient("x\u{1b}[2J\u{202e}".to_owned());
        let stored = seal_outcome(&seal, "a1", Err(why.clone().into())).unwrap();
        let opened = open_outcome(&other, "a1", &stored).unwrap().unwrap_err();
        assert_eq!(opened, SignInError::Unworkable(why));
        assert!(opened.to_string().contains(r#"knew no client "x\u{1b}[2J\u{202e}""#), "{opened}");
        // Everything else needs the key.
        let stored = seal_outcome(&seal, "a1", Err(Failure::Cancelled.into())).unwrap();
        assert!(matches!(open_outcome(&seal, "a1", &stored), Ok(Err(SignInError::Failed(Failure::Cancelled)))));
        assert!(matches!(open_outcome(&other, "a1", &stored), Err(RecordError::Seal(SealError::DoesNotOpen))));
        for forged in [&[OPEN], &stored[1..]].map(|rest| [&[OPEN], rest].concat()) {
            assert!(matches!(open_outcome(&seal, "a1", &forged), Err(RecordError::Form(_))));
        }
        let token = br#"{"token":{}}"#;
        for bytes in [&[][..], &[0], &[3, 1], &[&[OPEN], &token[..]].concat()] {
            assert!(matches!(open_outcome(&seal, "a1", bytes), Err(RecordError::Form(_))), "{bytes:?}");
        }
    }
}
