//! Owns the stored form of a flow: versioned, in durations, checked when it is loaded.

use super::grant::Grant;
use super::kept::Kept;
use super::schedule::{Schedule, StoredSchedule};
use super::{Away, DeviceFlow, Phase, State};
use crate::error::Trouble;
use crate::prompt::{PromptTexts, RawPrompt, is_printable};
use crate::stored::{Exposed, optional_last_error};
use crate::sync::Arc;
use crate::{Cause, Client, LastError, Prompt, Secret, Timestamp, TransportErrorKind};
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use core::ops::Not;
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
    tail: Exposed,
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
    /// Version 0.1.0 did not store this, nor the next three.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_last_error")]
    last_error: Option<LastError>,
    #[serde(default, skip_serializing_if = "Not::not")]
    poll_lost: bool,
    /// The code was not shown yet.
    #[serde(default, skip_serializing_if = "Not::not")]
    unseen: bool,
    /// The wait begins when the flow is resumed.
    #[serde(default, skip_serializing_if = "Not::not")]
    wait_again: bool,
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

impl Snapshot {
    /// How long the flow has nothing to do, from the moment of the snapshot. Zero after a
    /// [lost poll](Self::after_lost_poll), whose wait begins when the flow is resumed.
    #[must_use]
    pub fn poll_in(&self) -> Duration {
        let Self(Stored::V1(stored)) = self;
        Duration::from_millis(stored.schedule.poll_in_ms)
    }

    /// How long the code lives, from the moment of the snapshot.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        let Self(Stored::V1(stored)) = self;
        Duration::from_millis(stored.schedule.expires_in_ms)
    }

    /// What to show to the person, checked again; `None` when it is not stored here or must not be shown. Its
    /// [`expires_at`](Prompt::expires_at) counts from the moment of the snapshot.
    #[must_use]
    pub fn prompt(&self) -> Option<Prompt> {
        let Self(Stored::V1(stored)) = self;
        let expires_at = Timestamp::ZERO.saturating_add(self.expires_in());
        // Whether http is allowed was decided by the client that had it shown first.
        Some(Prompt::new(stored.texts(true).ok()??, stored.schedule.interval, expires_at))
    }

    /// The compact form, for a program that keeps what it shows: a flow that is resumed from it shows no code.
    #[must_use]
    pub fn without_prompt(self) -> Self {
        let Self(Stored::V1(mut stored)) = self;
        (stored.user_code, stored.verification_uri) = (None, None);
        (stored.verification_uri_complete, stored.message, stored.warnings) = (None, None, 0);
        Self(Stored::V1(stored))
    }

    /// For a snapshot that was taken before a poll whose answer nobody has seen, because a process died: the poll counts
    /// as failed, and a longer wait begins when the flow is resumed, since the poll may have ended only now. So give
    /// this to the flow at once, whatever was left of the wait. (A snapshot that was taken while the poll was in flight says
    /// all this by itself.)
    ///
    /// When the server no longer knows the code after that, [`Failure::a_poll_was_lost`](crate::Failure::a_poll_was_lost)
    /// and the failure's text say so.
    #[must_use]
    pub fn after_lost_poll(self) -> Self {
        let Self(Stored::V1(mut stored)) = self;
        stored.polls = stored.polls.saturating_add(1);
        stored.failures = stored.failures.saturating_add(1);
        stored.last_error = Some(LastError { cause: ABANDONED, detail: Box::default() });
        stored.schedule.poll_in_ms = 0;
        (stored.poll_lost, stored.wait_again) = (true, true);
        Self(Stored::V1(stored))
    }

    pub(super) fn was_shown(&self) -> bool {
        let Self(Stored::V1(stored)) = self;
        !stored.unseen
    }
}

/// What became of a poll whose process died.
const ABANDONED: Cause = Cause::Transport(TransportErrorKind::Abandoned);

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
        let (mut schedule, mut trail) = (grant.schedule, self.trail.clone());
        let deadline = schedule.deadline();
        match &self.state {
            State::Granted(Phase::Polling | Phase::Repeating, _) => {
                schedule.setback(now, ABANDONED, Duration::ZERO);
                trail.set_back(ABANDONED, "");
            }
            // The nonce stays behind, so the poll counts as answered.
            State::Granted(Phase::Challenged, _) => schedule.pending(now, Duration::ZERO),
            State::Granted(Phase::Showing | Phase::Waiting, _)
            | State::Opening(_)
            | State::Requesting(_)
            | State::Finished(_)
            | State::Ended => {}
        }
        let prompt = grant.prompt();
        let shown = |text: fn(&Prompt) -> Option<&str>| prompt.as_ref().and_then(text).map(String::from);
        Some(Snapshot(Stored::V1(Box::new(V1 {
            client_id: self.client.client_id().to_string(),
            token_endpoint: self.client.token_endpoint().to_string(),
            // Encoded, so that it is text.
            tail: Exposed(Secret::from(core::str::from_utf8(grant.kept.tail()).unwrap_or_default())),
            user_code: shown(|prompt| Some(prompt.user_code())),
            verification_uri: shown(|prompt| Some(prompt.verification_uri())),
            verification_uri_complete: shown(Prompt::verification_uri_complete),
            message: shown(Prompt::message),
            warnings: grant.kept.prompt().map_or(0, |texts| texts.warnings),
            schedule: schedule.to_stored(now, deadline),
            polls: trail.polls(),
            slow_downs: trail.slow_downs(),
            failures: trail.failures(),
            last_error: trail.last_error().cloned(),
            poll_lost: trail.poll_lost(),
            unseen: matches!(self.state, State::Granted(Phase::Showing, _)),
            wait_again: false,
        }))))
    }

    /// Goes on with a stored flow by the same polling rules: the code is shown again, then the rest of the wait is
    /// kept.
    ///
    /// `away`: the time between [`snapshot`](DeviceFlow::snapshot) and now; within two [bounds](Away) if you are not sure.
    /// `now`: on the timeline of the driver that goes on.
    ///
    /// # Errors
    /// [`SnapshotError`] when the snapshot belongs to another client or is damaged.
    pub fn resume(
        client: impl Into<Arc<Client>>,
        snapshot: Snapshot,
        away: impl Into<Away>,
        now: Timestamp,
    ) -> Result<Self, SnapshotError> {
        let client = client.into();
        let Snapshot(Stored::V1(stored)) = snapshot;
        if stored.client_id != client.client_id() || stored.token_endpoint != client.token_endpoint() {
            return Err(SnapshotError::OtherClient);
        }
        // Exposed to be checked: it goes into a request body as it stands.
        let tail = stored.tail.0.expose();
        if tail.is_empty() || !tail.bytes().all(|b| b.is_ascii_alphanumeric() || b"*-._+%&=".contains(&b)) {
            return Err(SnapshotError::Damaged("device code"));
        }
        let waits_twice = stored.wait_again && stored.schedule.poll_in_ms > 0;
        if stored.schedule.interval == 0 || stored.schedule.expires_in_ms > DAY_MS || waits_twice {
            return Err(SnapshotError::Damaged("times"));
        }
        if stored.last_error.as_ref().is_some_and(|error| !is_printable(error.detail())) {
            return Err(SnapshotError::Damaged("last error"));
        }
        let texts = stored.texts(client.allow_http_loopback())?;
        let phase = if texts.is_some() { Phase::Showing } else { Phase::Waiting };
        let mut schedule = Schedule::from_stored(&stored.schedule, away.into(), now);
        if stored.wait_again {
            schedule.setback(now, ABANDONED, Duration::ZERO);
        }
        let grant = Grant { schedule, kept: Kept::new(texts.as_ref(), &[tail.as_bytes()]) };
        let mut flow = Self::at(client, now, State::Granted(phase, grant));
        flow.trail.polls = stored.polls;
        let trouble = Trouble {
            slow_downs: stored.slow_downs,
            failures: stored.failures,
            drift_suspected: schedule.drift_suspected(),
            poll_lost: stored.poll_lost,
            last_error: stored.last_error,
        };
        if trouble != Trouble::default() {
            *flow.trail.trouble() = trouble;
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
