//! Owns `Watch`: one sign-in followed from its code to its outcome.

use crate::{Engine, EngineError, Outcome, names};
use async_nats::Subscriber;
use device_flow_core::{Prompt, UnixTime};
use futures_util::StreamExt as _;
use std::time::Duration;

/// What to show to the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The code and where to enter it. Its [`expires_at`](Prompt::expires_at) counts from the last poll: look at the next field.
    pub prompt: Prompt,
    /// When the code expires, by the clock of the NATS server.
    pub expires_at: UnixTime,
}

/// News of a sign-in.
#[derive(Debug)]
#[non_exhaustive]
pub enum News {
    /// There is a code, or another one than before: a worker may have died between asking for the first and storing it.
    ShowCode(Shown),
    /// It has ended.
    Done(Outcome),
}

/// Follows one sign-in: [`Engine::watch`].
///
/// It hears at once of what happens while it is connected, and looks by itself now and then, after ten seconds at most, for what
/// it may have missed.
#[derive(Debug)]
pub struct Watch {
    engine: Engine,
    id: String,
    news: Subscriber,
    shown: Option<String>,
    pause: Duration,
    ended: bool,
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Watch {
    pub(crate) async fn new(engine: Engine, id: &str) -> Result<Self, EngineError> {
        let news = engine.jetstream.client().subscribe(names::news(id)).await;
        let news = news.map_err(|error| EngineError::nats("cannot listen for news", error))?;
        Ok(Self { engine, id: id.to_owned(), news, shown: None, pause: FIRST_PAUSE, ended: false })
    }

    /// Waits for what is next; `None` after the outcome. It may be dropped and called again. Who watches before the sign-in is started, to
    /// miss nothing, calls it when [`Engine::start`] has returned.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when nothing is known of the sign-in: it was not started yet, was forgotten, or is too old. Otherwise as
    /// [`Engine::outcome`]. It may be called again.
    pub async fn next(&mut self) -> Result<Option<News>, EngineError> {
        while !self.ended {
            if let Some(outcome) = self.engine.outcome(&self.id).await? {
                self.ended = true;
                return Ok(Some(News::Done(outcome)));
            }
            match self.engine.under_way(&self.id).await? {
                Some(Some(shown)) if self.shown.as_deref() != Some(shown.prompt.user_code()) => {
                    (self.shown, self.pause) = (Some(shown.prompt.user_code().to_owned()), FIRST_PAUSE);
                    return Ok(Some(News::ShowCode(shown)));
                }
                Some(_) => {}
                // It may have ended since the first look; or that was at a server that is behind, and will know of it soon.
                None if self.engine.has_outcome(&self.id).await? => {}
                None => return Err(EngineError::NotFound),
            }
            // `None` when the connection is closed for good; then the next look fails.
            let _ = tokio::time::timeout(self.pause, self.news.next()).await;
            self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        Ok(None)
    }
}
