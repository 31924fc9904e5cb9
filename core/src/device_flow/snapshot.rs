//! Owns the stored form of a flow: versioned, in durations, checked when it is loaded.

use super::grant::Grant;
use super::kept::Kept;
use super::schedule::{Schedule, StoredSchedule};
use super::{DeviceFlow, Phase, State};
use crate::error::Trouble;
use crate::prompt::{PromptTexts, RawPrompt};
use crate::{Cause, Client, Prompt, Secret, Timestamp, TransportErrorKind};
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A flow that has its code, as data: store it, and [`resume`](DeviceFlow::resume) in another process.
///
/// It holds the device code, which is a secret: store it where only its owner can read it. It holds durations and no
/// moments, so the clock of the other process may count from another zero. `Debug` shows only what a person may see.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Snapshot(Stored);

/// A new version is a new variant; an unknown one does not load.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stored {
    V1(Box<V1>),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct V1 {
    client_id: String,
    token_endpoint: String,
    #[serde(with = "exposed")]
    tail: Secret,
    /// `None` like the next three, when the flow has forgotten what it has shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verification_uri: Option<String>,
    verification_uri_complete: Option<String>,
    message: Option<String>,
    warnings: u8,
    schedule: StoredSchedule,
    polls: u32,
    slow_downs: u32,
    failures: u32,
}

/// Why a snapshot cannot be resumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It belongs to another client or another server.
    #[error("this sign-in was started with another client or server: resume it with the same configuration")]
    OtherClient,
    /// Its content cannot have come from a flow.
    #[error("this stored sign-in is damaged ({0}): start a new one")]
    Damaged(&'static str),
}

impl core::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(Stored::V1(stored)) = self;
        let mut debug = f.debug_struct("Snapshot");
        debug.field("client_id", &stored.client_id).field("token_endpoint", &stored.token_endpoint);
        debug.field("user_code", &stored.user_code).field("verification_uri", &stored.verification_uri);
        debug
            .field("expires_in_ms", &stored.schedule.expires_in_ms)
            .field("polls", &stored.polls)
            .finish_non_exhaustive()
    }
}

/// Longer than any lifetime that a flow accepts.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl DeviceFlow {
    /// The flow as data while a code lives; `None` before there is one and after the outcome: start a new flow then.
    ///
    /// A poll in flight counts as failed, since its answer will not be seen. The flow itself goes on unchanged, but
    /// only one may poll: either it or the flow that is resumed from the snapshot.
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Option<Snapshot> {
        let grant = self.grant()?;
        let now = self.now.max(now);
        let (mut schedule, mut failures) = (grant.schedule, self.trail.failures());
        if matches!(self.state, State::Granted(Phase::Polling, _)) {
            schedule.setback(now, Cause::Transport(TransportErrorKind::Abandoned), Duration::ZERO);
            failures = failures.saturating_add(1);
        }
        let prompt = grant.prompt();
        let shown = |text: fn(&Prompt) -> Option<&str>| prompt.as_ref().and_then(text).map(String::from);
        Some(Snapshot(Stored::V1(Box::new(V1 {
            client_id: self.client.client_id().to_string(),
            token_endpoint: self.client.token_endpoint().to_string(),
            // Encoded, so that it is text.
            tail: Secret::from(core::str::from_utf8(grant.kept.tail()).unwrap_or_default()),
            user_code: shown(|prompt| Some(prompt.user_code())),
            verification_uri: shown(|prompt| Some(prompt.verification_uri())),
            verification_uri_complete: shown(Prompt::verification_uri_complete),
            message: shown(Prompt::message),
            warnings: grant.kept.prompt().map_or(0, |texts| texts.warnings),
            schedule: schedule.to_stored(now),
            polls: self.trail.polls(),
            slow_downs: self.trail.slow_downs(),
            failures,
        }))))
    }

    /// Goes on with a stored flow by the same polling rules: the code is shown again, then the rest of the wait is
    /// kept.
    ///
    /// `away`: the time between [`snapshot`](DeviceFlow::snapshot) and now. If you are not sure, pass less: then the
    /// next poll comes later, never sooner. `now`: on the timeline of the driver that goes on.
    ///
    /// # Errors
    /// [`SnapshotError`] when the snapshot belongs to another client or is damaged.
    pub fn resume(
        client: impl Into<Arc<Client>>,
        snapshot: Snapshot,
        away: Duration,
        now: Timestamp,
    ) -> Result<Self, SnapshotError> {
        let client = client.into();
        let Snapshot(Stored::V1(stored)) = snapshot;
        if stored.client_id != client.client_id() || stored.token_endpoint != client.token_endpoint() {
            return Err(SnapshotError::OtherClient);
        }
        // Exposed to be checked: it goes into a request body as it stands.
        let tail = stored.tail.expose();
        if tail.is_empty() || !tail.bytes().all(|b| b.is_ascii_alphanumeric() || b"*-._+%&=".contains(&b)) {
            return Err(SnapshotError::Damaged("device code"));
        }
        if stored.schedule.interval == 0 || stored.schedule.expires_in_ms > DAY_MS {
            return Err(SnapshotError::Damaged("times"));
        }
        let texts = stored.texts(client.allow_http_loopback())?;
        let phase = if texts.is_some() { Phase::Showing } else { Phase::Waiting };
        let schedule = Schedule::from_stored(&stored.schedule, away, now);
        let grant = Grant { schedule, kept: Kept::new(texts.as_ref(), &[tail.as_bytes()]) };
        let mut flow = Self::at(client, now, State::Granted(phase, grant));
        flow.trail.polls = stored.polls;
        if (stored.slow_downs, stored.failures) != (0, 0) || schedule.drift_suspected() {
            *flow.trail.trouble() = Trouble {
                slow_downs: stored.slow_downs,
                failures: stored.failures,
                drift_suspected: schedule.drift_suspected(),
                last_error: None,
            };
        }
        // A poll that was in flight counts as failed, and may have been the last one before the deadline.
        flow.settle(None);
        Ok(flow)
    }
}

impl V1 {
    /// The texts of the prompt, checked again; `None` when the flow had forgotten them.
    fn texts(&self, allow_http_loopback: bool) -> Result<Option<PromptTexts>, SnapshotError> {
        let (user_code, verification_uri) = match (&self.user_code, &self.verification_uri) {
            (Some(code), Some(uri)) => (code, uri),
            (None, None) if self.verification_uri_complete.is_none() && self.message.is_none() => return Ok(None),
            _ => return Err(SnapshotError::Damaged("prompt")),
        };
        let raw = RawPrompt {
            user_code,
            verification_uri,
            other_verification_uri: None,
            verification_uri_complete: self.verification_uri_complete.as_deref(),
            message: self.message.as_deref(),
        };
        let mut texts = PromptTexts::check(raw, allow_http_loopback).map_err(|_| SnapshotError::Damaged("prompt"))?;
        texts.restore_warnings(self.warnings);
        Ok(Some(texts))
    }
}

/// Where a secret becomes data: a snapshot without its device code could not be resumed.
mod exposed {
    use crate::Secret;
    use alloc::string::String;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::from)
    }
}
