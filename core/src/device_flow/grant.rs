//! Owns what a flow holds while a code lives, and what the answer to a poll does to it.

use super::kept::Kept;
use super::schedule::Schedule;
use crate::message::answer::{Answer, Meaning};
use crate::message::json::Object;
use crate::message::oauth_error::{Consequence, ErrorCode, interval_hint};
use crate::{
    Cause, Client, Endpoint, Expired, Failure, OAuthError, Prompt, ProtocolError, ProtocolFault, Response, Timestamp,
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

    /// Takes the answer to a poll, and returns the outcome if it brings one. Else the next poll is scheduled.
    pub(super) fn answered(
        &mut self,
        client: &Client,
        trail: &mut Trail,
        response: &Response<'_>,
        now: Timestamp,
    ) -> Option<Outcome> {
        let mut object = Object::default();
        let Answer { meaning, retry_after } = Answer::read(response, client.max_answer(), &mut object);
        match meaning {
            Meaning::Object if object.is_empty() => {
                let fault = ProtocolFault::Missing("access_token");
                let page = Page { fault, status: response.status(), tolerated: EMPTY_OBJECTS_TOLERATED };
                self.page(trail, page, retry_after, now)
            }
            Meaning::Object => {
                let token = TokenResponse::read(&object, client.scope(), client);
                Some(Box::new(token.map_err(broken)))
            }
            Meaning::Error(error) => self.refused(trail, &error, &object, retry_after, now),
            Meaning::Unavailable(status) => {
                self.setback(trail, Cause::Status(status), "", retry_after, now);
                None
            }
            Meaning::NotJson(fault, status) => {
                self.page(trail, Page { fault, status, tolerated: PAGES_TOLERATED }, retry_after, now)
            }
            Meaning::Broken(fault) => failed(broken(fault)),
        }
    }

    fn refused(
        &mut self,
        trail: &mut Trail,
        error: &ErrorCode<'_>,
        object: &Object<'_>,
        retry_after: Duration,
        now: Timestamp,
    ) -> Option<Outcome> {
        match error.consequence() {
            Consequence::Pending => {
                self.schedule.pending(now, retry_after);
                if let Some(trouble) = &mut trail.trouble {
                    trouble.drift_suspected = false;
                }
                None
            }
            Consequence::SlowDown => {
                self.schedule.slow_down(now, interval_hint(object), retry_after);
                let trouble = trail.trouble();
                trouble.slow_downs = trouble.slow_downs.saturating_add(1);
                trouble.drift_suspected |= self.schedule.drift_suspected();
                None
            }
            Consequence::Denied => failed(Failure::Denied(error.in_full(object))),
            Consequence::Expired => failed(expired(trail, Some(error.in_full(object)))),
            // Some servers say that a code has expired once or for some seconds, and then no longer know it (Keycloak,
            // Auth0).
            Consequence::UnknownCode if self.schedule.is_over(now) => {
                failed(expired(trail, Some(error.in_full(object))))
            }
            Consequence::UnknownCode if trail.poll_lost() => {
                failed(Failure::Rejected(error.in_full_after_lost_poll(object)))
            }
            Consequence::UnknownCode | Consequence::Stop => failed(Failure::Rejected(error.in_full(object))),
        }
    }

    /// Something other than the authorization server may have answered: poll again, a few times.
    fn page(&mut self, trail: &mut Trail, page: Page, retry_after: Duration, now: Timestamp) -> Option<Outcome> {
        if !self.schedule.tolerates_page(page.tolerated) {
            return failed(broken(page.fault));
        }
        self.setback(trail, Cause::Page(page.status), page.fault.excerpt(), retry_after, now);
        None
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
fn failed(failure: Failure) -> Option<Outcome> {
    Some(Box::new(Err(failure)))
}

fn broken(fault: ProtocolFault) -> Failure {
    Failure::Protocol(ProtocolError { endpoint: Endpoint::Token, fault })
}

pub(super) fn expired(trail: &Trail, error: Option<OAuthError>) -> Failure {
    Failure::Expired(Expired { trail: trail.clone(), error })
}
