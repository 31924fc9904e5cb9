//! Owns what a flow holds while a code lives, and what the answer to a poll does to it.

use super::Phase;
use super::kept::Kept;
use super::schedule::Schedule;
use crate::dialect::Call;
use crate::message::advice::Place;
use crate::message::answer::{Answer, Meaning};
use crate::message::json::Object;
use crate::message::oauth_error::{Consequence, ErrorCode, interval_hint};
use crate::message::said::{said, words_of};
use crate::{
    Cause, Client, Expired, Failure, OAuthError, Prompt, ProtocolError, ProtocolFault, Response, Timestamp,
    TokenResponse, Trail,
};
use alloc::boxed::Box;
use core::time::Duration;

/// How a flow ends. Boxed, since most polls bring none.
pub(super) type Outcome = Box<Result<TokenResponse, Failure>>;

/// A live code.
pub(super) struct Grant {
    pub(super) schedule: Schedule,
    /// Its tail: the device code, form-encoded, with the PKCE verifier and the claims behind it when there are any.
    pub(super) kept: Kept,
}

/// How many pages in a row may come instead of JSON, as from a captive portal or a firewall.
const PAGES_TOLERATED: u8 = 3;
/// How many empty objects may come in a row.
const EMPTY_OBJECTS_TOLERATED: u8 = 1;

/// An answer that came instead of an OAuth answer.
struct Page {
    fault: ProtocolFault,
    status: u16,
    /// How many in a row are survived.
    tolerated: u8,
}

impl Grant {
    pub(super) fn prompt(&self) -> Option<Prompt> {
        Some(Prompt::new(self.kept.prompt()?, self.schedule.interval(), self.schedule.deadline()))
    }

    /// Takes the answer to a poll, and returns the outcome as the error if it brings one. Else the next poll is scheduled,
    /// or this one is due again when it may be repeated with the nonce of the answer.
    pub(super) fn answered(
        &mut self,
        client: &Client,
        trail: &mut Trail,
        response: &Response<'_>,
        may_repeat: bool,
        now: Timestamp,
    ) -> Result<Phase, Outcome> {
        let mut object = Object::default();
        let Answer { meaning, retry_after } = Answer::read(client.reading(), Call::Poll, response, &mut object);
        match meaning {
            Meaning::Object if object.is_empty() => {
                let fault = ProtocolFault::Missing("access_token");
                let page = Page { fault, status: response.status(), tolerated: EMPTY_OBJECTS_TOLERATED };
                self.page(client, trail, page, retry_after, now)
            }
            Meaning::Object => {
                let token = TokenResponse::read(&object, client.scope(), client);
                Err(Box::new(token.map_err(|fault| broken(client, fault, None))))
            }
            Meaning::Error(error) if may_repeat && error.consequence() == Consequence::Nonce => Ok(Phase::Challenged),
            Meaning::Error(error) => self.refused(trail, &error, &object, client, retry_after, now),
            Meaning::Unavailable(status) => {
                let said = said(response, &object).unwrap_or_default();
                self.setback(trail, Cause::Status(status), &said, retry_after, now);
                Ok(Phase::Waiting)
            }
            Meaning::NotJson(fault, status) => {
                self.page(client, trail, Page { fault, status, tolerated: PAGES_TOLERATED }, retry_after, now)
            }
            Meaning::Broken(fault) => failed(broken(client, fault, words_of(response, &object))),
        }
    }

    fn refused(
        &mut self,
        trail: &mut Trail,
        error: &ErrorCode<'_>,
        object: &Object<'_>,
        client: &Client,
        retry_after: Duration,
        now: Timestamp,
    ) -> Result<Phase, Outcome> {
        match error.consequence() {
            Consequence::Pending => {
                self.schedule.pending(now, retry_after);
                if let Some(trouble) = &mut trail.trouble {
                    trouble.drift_suspected = false;
                }
                Ok(Phase::Waiting)
            }
            Consequence::SlowDown => {
                self.schedule.slow_down(now, interval_hint(object), retry_after);
                let trouble = trail.trouble();
                trouble.slow_downs = trouble.slow_downs.saturating_add(1);
                trouble.drift_suspected |= self.schedule.drift_suspected();
                Ok(Phase::Waiting)
            }
            // A second challenge for the same poll. The code is as good as before, so the next poll tries the new nonce.
            Consequence::Nonce if !client.thumbprint().is_empty() => {
                self.setback(trail, Cause::Status(error.status()), &error.printable(), retry_after, now);
                Ok(Phase::Waiting)
            }
            Consequence::Denied => failed(Failure::Denied(error.in_full(object, client.sent(Place::Poll)))),
            Consequence::Expired => failed(expired(trail, Some(error.in_full(object, client.sent(Place::Poll))))),
            // Some servers say that a code has expired once or for some seconds, and then no longer know it (Keycloak,
            // Auth0).
            Consequence::UnknownCode if self.schedule.is_over(now) => {
                failed(expired(trail, Some(error.in_full(object, client.sent(Place::Poll)))))
            }
            Consequence::UnknownCode if trail.poll_lost() => {
                failed(Failure::Rejected(error.in_full_after_lost_poll(object, client.sent(Place::Poll))))
            }
            Consequence::UnknownCode | Consequence::Nonce | Consequence::Stop => {
                failed(Failure::Rejected(error.in_full(object, client.sent(Place::Poll))))
            }
        }
    }

    /// Something other than the authorization server may have answered: poll again, a few times.
    fn page(
        &mut self,
        client: &Client,
        trail: &mut Trail,
        page: Page,
        retry_after: Duration,
        now: Timestamp,
    ) -> Result<Phase, Outcome> {
        if !self.schedule.tolerates_page(page.tolerated) {
            return failed(broken(client, page.fault, None));
        }
        self.setback(trail, Cause::Page(page.status), page.fault.excerpt(), retry_after, now);
        Ok(Phase::Waiting)
    }

    /// No usable answer: the next poll comes later.
    pub(super) fn setback(
        &mut self,
        trail: &mut Trail,
        cause: Cause,
        detail: &str,
        retry_after: Duration,
        now: Timestamp,
    ) {
        trail.set_back(cause, detail);
        self.schedule.setback(now, cause, retry_after);
    }
}

#[allow(clippy::unnecessary_wraps, reason = "as what a poll brings")]
fn failed(failure: Failure) -> Result<Phase, Outcome> {
    Err(Box::new(Err(failure)))
}

fn broken(client: &Client, fault: ProtocolFault, said: Option<Box<str>>) -> Failure {
    Failure::Protocol(ProtocolError::of(client.sent(Place::Poll), fault, said))
}

pub(super) fn expired(trail: &Trail, error: Option<OAuthError>) -> Failure {
    Failure::Expired(Expired { trail: trail.clone(), error })
}
