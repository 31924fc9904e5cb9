//! Owns the sign-in as a whole: a token from the cache, else by a refresh, else one that a person approves.

mod request;
mod signed_in;

pub use request::SignInRequest;
pub use signed_in::{SignedIn, TokenSource};

use crate::time::Calendar;
use crate::{
    Account, Action, AuthorityKind, ClaimsError, DeviceFlow, Endpoint, Failure, IdTokenClaims, Machine, Misuse, Person,
    ProtocolError, ProtocolFault, Refresh, Response, Secret, SignInReason, Ticket, Timestamp, TokenCache,
    TokenResponse, TransportError, UnixTime,
};
use alloc::boxed::Box;
use alloc::vec::{IntoIter, Vec};
use core::fmt;
use core::time::Duration;
use zeroize::Zeroizing;

/// Gets a token: from the cache, else by a refresh, else by a device flow, unless it must be silent.
///
/// It owns the cache until [`into_cache`](Self::into_cache). Store the cache whenever it [has
/// changed](TokenCache::is_changed), also after a failure: many servers invalidate the old refresh token when they
/// issue a new one. [Merge](TokenCache::merge) what another process has stored meanwhile.
///
/// A refresh token that the server refuses is removed from the cache. When the server cannot be reached nothing is
/// removed, and the person is not asked: the sign-in ends with that failure. A valid token that the server wants
/// replaced (`refresh_in`) is the result when the replacement fails; the next attempt is five minutes later.
///
/// Each step is available alone: [`SignInRequest::cached`], [`Refresh`], [`SignIn::silent`], [`DeviceFlow`].
///
/// ```
/// use device_flow_core::{Action, Client, Machine, Provider, SignIn, SignInRequest, Timestamp, TokenCache, UnixTime};
///
/// let request = SignInRequest::new(Client::builder(Provider::github(), "my-client-id").scope("repo").build()?);
/// # let (stored, now, entropy) = (b"", UnixTime::from_secs(1_795_377_332), [7; 32]);
/// let cache = TokenCache::from_json(stored)?;
/// let mut sign_in = SignIn::new(request, cache, now, entropy);
/// // Nobody is signed in, so this is the request for a code.
/// let Action::SendRequest(first) = sign_in.next_action(Timestamp::ZERO) else { panic!() };
/// assert_eq!(first.request.url(), "https://github.com/login/device/code");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SignIn {
    request: SignInRequest,
    cache: TokenCache,
    calendar: Calendar,
    /// The latest time seen: an earlier one counts as this.
    now: Timestamp,
    /// For the device flow; `None` when the sign-in must be silent.
    entropy: Option<Zeroizing<[u8; 32]>>,
    step: Step,
    outcome: Outcome,
    reason: Option<SignInReason>,
}

enum Step {
    /// Nothing was looked up.
    Start,
    Refreshing(Box<Refreshing>),
    DeviceFlow(Box<DeviceFlow>),
}

enum Outcome {
    Open,
    /// Not handed out.
    Ready(Box<Result<SignedIn, Failure>>),
    HandedOut,
}

/// A refresh token that is being tried, and what can be tried after it.
struct Refreshing {
    refresh: Refresh,
    candidate: Candidate,
    others: IntoIter<Candidate>,
    account: Account,
    /// A valid access token that the server wants replaced.
    aging: Option<SignedIn>,
}

struct Candidate {
    token: Secret,
    /// It belongs to another client of the family.
    foreign: bool,
}

/// The time to the next attempt after the replacement of an aging token has failed.
const PAUSE: Duration = Duration::from_secs(300);

impl SignIn {
    /// All three steps.
    ///
    /// `now`: the calendar time at the first action. `entropy`: as for [`DeviceFlow::new`].
    #[must_use]
    pub fn new(request: SignInRequest, cache: TokenCache, now: UnixTime, entropy: [u8; 32]) -> Self {
        Self { entropy: Some(Zeroizing::new(entropy)), ..Self::silent(request, cache, now) }
    }

    /// Without the person: ends with [`Failure::SignInNeeded`] when only they can help.
    #[must_use]
    pub fn silent(request: SignInRequest, cache: TokenCache, now: UnixTime) -> Self {
        let calendar = Calendar::set(now);
        let (step, outcome) = (Step::Start, Outcome::Open);
        Self { request, cache, calendar, now: Timestamp::ZERO, entropy: None, step, outcome, reason: None }
    }

    /// The device flow at once, with a [new](SignInRequest::device_flow) or resumed flow: the person wants to sign in,
    /// perhaps with another account.
    #[must_use]
    pub fn interactive(request: SignInRequest, cache: TokenCache, now: UnixTime, flow: DeviceFlow) -> Self {
        Self { step: Step::DeviceFlow(Box::new(flow)), ..Self::silent(request, cache, now) }
    }

    /// The request that it was started with.
    #[must_use]
    pub fn request(&self) -> &SignInRequest {
        &self.request
    }

    /// The cache as it is now.
    #[must_use]
    pub fn cache(&self) -> &TokenCache {
        &self.cache
    }

    /// The cache, to be stored.
    #[must_use]
    pub fn into_cache(mut self) -> TokenCache {
        // An answer that was handed in but not processed still counts.
        self.cancel();
        self.cache
    }

    /// Why the person is asked, after a silent attempt.
    #[must_use]
    pub fn reason(&self) -> Option<&SignInReason> {
        self.reason.as_ref()
    }

    /// The device flow, once it runs: for its prompt, its trail, its snapshot.
    #[must_use]
    pub fn device_flow(&self) -> Option<&DeviceFlow> {
        if let Step::DeviceFlow(flow) = &self.step { Some(flow) } else { None }
    }

    fn finish(&mut self, outcome: Result<SignedIn, Failure>) {
        self.outcome = Outcome::Ready(Box::new(outcome));
    }

    fn begin(&mut self, now: UnixTime) {
        let account = match self.request.find_account(&self.cache) {
            Ok(Some(account)) => account,
            Ok(None) => return self.ask_person(SignInReason::NotSignedIn),
            Err(failure) => return self.finish(Err(failure)),
        };
        let found = self.request.find_token(&self.cache, account.clone(), now);
        let aging = match found {
            Some(found) if !self.request.is_aging(&found, now) => return self.finish(Ok(found)),
            found => found,
        };
        if aging.is_none() && self.request.requests_more(&self.cache, &account) {
            return self.ask_person(SignInReason::NewScopes);
        }
        let (candidates, reason) = match self.request.refresh_tokens(&self.cache, &account) {
            Ok(candidates) => (candidates, SignInReason::NotSignedIn),
            Err(reason) => (Vec::new(), reason),
        };
        self.try_next(candidates.into_iter(), account, aging, reason, now);
    }

    /// Tries the next refresh token; `reason`: why the one before it was refused.
    fn try_next(
        &mut self,
        mut others: IntoIter<Candidate>,
        account: Account,
        aging: Option<SignedIn>,
        reason: SignInReason,
        now: UnixTime,
    ) {
        match (others.next(), aging) {
            (Some(candidate), aging) => {
                let refresh = self.request.refresh(&candidate.token);
                self.step = Step::Refreshing(Box::new(Refreshing { refresh, candidate, others, account, aging }));
            }
            (None, Some(aging)) => self.finish_with_aging(aging, now),
            (None, None) => self.ask_person(reason),
        }
    }

    /// Starts the device flow, or fails because the sign-in must be silent.
    fn ask_person(&mut self, reason: SignInReason) {
        match self.entropy.take() {
            None => self.finish(Err(Failure::SignInNeeded(reason))),
            Some(entropy) => {
                self.step = Step::DeviceFlow(Box::new(self.request.device_flow_after(&reason, *entropy)));
                self.reason = Some(reason);
            }
        }
    }

    /// Ends with the token that could not be replaced, which is still valid.
    fn finish_with_aging(&mut self, aging: SignedIn, now: UnixTime) {
        self.cache.postpone_refresh(aging.access_token(), now.saturating_add(PAUSE));
        self.finish(Ok(aging));
    }

    fn refreshed(&mut self, tried: Refreshing, outcome: Result<TokenResponse, Failure>, now: UnixTime) {
        let Refreshing { refresh, candidate, others, account, aging } = tried;
        let outcome = outcome.and_then(|response| {
            self.check_person(response.id_token(), response.client_info(), &account, now)?;
            Ok(self.request.save(&response, &mut self.cache, Some(&account), now))
        });
        let failure = match outcome {
            Ok(signed_in) => return self.finish(Ok(signed_in)),
            Err(failure) => failure,
        };
        self.keep_rotated(&refresh, &candidate.token, &account, now);
        if !failure.keeps_refresh_token() {
            self.cache.remove_refresh_token(&candidate.token);
        }
        if let Failure::SignInNeeded(reason) = failure {
            self.try_next(others, account, aging, reason, now);
        } else if let (Failure::Rejected(error), true) = (&failure, candidate.foreign) {
            // This says nothing about the client's own token.
            if error.is_client_mismatch() {
                let client = self.request.client();
                self.cache.leave_family(client.client_id(), client.authority());
            }
            self.try_next(others, account, aging, SignInReason::Refused(error.clone()), now);
        } else if let Some(aging) = aging {
            self.finish_with_aging(aging, now);
        } else {
            self.finish(Err(failure));
        }
    }

    /// Keeps the new refresh token of an answer that is of no other use, unless it is somebody else's.
    fn keep_rotated(&mut self, refresh: &Refresh, old: &Secret, account: &Account, now: UnixTime) {
        let Some(rotated) = refresh.rotated_answer() else { return };
        let (id_token, client_info) = (rotated.id_token.as_ref(), rotated.client_info.as_ref());
        let checked = self.check_person(id_token, client_info, account, now);
        if checked.is_ok() || checked.is_err_and(|failure| failure.keeps_refresh_token()) {
            self.cache.replace_refresh_token(old, &rotated.refresh_token, now);
        }
    }

    /// A refresh must be about the same person (OpenID Connect Core §12.2).
    fn check_person(
        &self,
        id_token: Option<&Secret>,
        client_info: Option<&Secret>,
        account: &Account,
        now: UnixTime,
    ) -> Result<(), Failure> {
        let owner = self.request.owner(account);
        let claims = self.request.check(id_token, now)?;
        let before = || self.cache.id_token(owner).and_then(|token| IdTokenClaims::read(&token).ok());
        let fault = claims.and_then(|claims| match (before(), owner.person, owner.authority.kind()) {
            (Some(before), ..) => claims.check_successor_of(&before, owner.authority).err(),
            (None, Person::Id(id), AuthorityKind::Generic) if id != claims.raw_subject() => Some(ClaimsError::Subject),
            (None, ..) => None,
        });
        let other_client_info = (!owner.may_be(client_info)).then_some(ClaimsError::Subject);
        fault.or(other_client_info).map_or(Ok(()), |fault| {
            let fault = ProtocolFault::IdToken(fault);
            Err(Failure::Protocol(ProtocolError::new(Endpoint::Token, fault)))
        })
    }

    fn approved(&mut self, outcome: Result<TokenResponse, Failure>, now: UnixTime) {
        let outcome = outcome.and_then(|response| self.request.keep(&response, &mut self.cache, now));
        self.finish(outcome);
    }
}

/// Hands on an action of a part as an action of the whole; an outcome is returned as the error.
fn forward(action: Action<TokenResponse>) -> Result<Action<SignedIn>, Box<Result<TokenResponse, Failure>>> {
    Ok(match action {
        Action::SendRequest(outgoing) => Action::SendRequest(outgoing),
        Action::ShowCode(prompt) => Action::ShowCode(prompt),
        Action::Wait { until, reason } => Action::Wait { until, reason },
        Action::AwaitResponse => Action::AwaitResponse,
        Action::Ended => Action::Ended,
        Action::Done(outcome) => return Err(Box::new(outcome)),
    })
}

impl Machine for SignIn {
    type Output = SignedIn;

    fn next_action(&mut self, now: Timestamp) -> Action<SignedIn> {
        let now = self.now.advance(now);
        let calendar = self.calendar.at(now);
        loop {
            match core::mem::replace(&mut self.outcome, Outcome::HandedOut) {
                Outcome::Open => self.outcome = Outcome::Open,
                Outcome::Ready(outcome) => return Action::Done(*outcome),
                Outcome::HandedOut => return Action::Ended,
            }
            match core::mem::replace(&mut self.step, Step::Start) {
                Step::Start => self.begin(calendar),
                Step::Refreshing(mut tried) => match (forward(tried.refresh.next_action(now)), tried.aging.take()) {
                    (Err(outcome), aging) => self.refreshed(Refreshing { aging, ..*tried }, *outcome, calendar),
                    // There is a valid token, so do not wait for a better one.
                    (Ok(Action::Wait { .. }), Some(aging)) => self.finish_with_aging(aging, calendar),
                    (Ok(action), aging) => {
                        tried.aging = aging;
                        self.step = Step::Refreshing(tried);
                        return action;
                    }
                },
                Step::DeviceFlow(mut flow) => {
                    let forwarded = forward(flow.next_action(now));
                    self.step = Step::DeviceFlow(flow);
                    match forwarded {
                        Ok(action) => return action,
                        Err(outcome) => self.approved(*outcome, calendar),
                    }
                }
            }
        }
    }

    fn last_words(&self) -> Option<&str> {
        match &self.step {
            Step::Start => None,
            Step::Refreshing(tried) => tried.refresh.last_words(),
            Step::DeviceFlow(flow) => flow.last_words(),
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        let now = self.now.advance(now);
        match &mut self.step {
            Step::Start => Err(Misuse::NotOutstanding(ticket)),
            Step::DeviceFlow(flow) => flow.response(ticket, response, now),
            Step::Refreshing(tried) => {
                tried.refresh.response(ticket, response, now)?;
                // After a cancel the outcome is not used, but a token that the server sent must not be lost.
                if !matches!(self.outcome, Outcome::Open)
                    && let Step::Refreshing(tried) = core::mem::replace(&mut self.step, Step::Start)
                {
                    let Refreshing { refresh, candidate, account, .. } = &*tried;
                    let now = self.calendar.at(now);
                    self.keep_rotated(refresh, &candidate.token, account, now);
                }
                Ok(())
            }
        }
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        let now = self.now.advance(now);
        match &mut self.step {
            Step::Start => Err(Misuse::NotOutstanding(ticket)),
            Step::DeviceFlow(flow) => flow.transport_failed(ticket, error, now),
            Step::Refreshing(tried) => tried.refresh.transport_failed(ticket, error, now),
        }
    }

    fn cancel(&mut self) {
        if !matches!(self.outcome, Outcome::Open) {
            return;
        }
        // An answer that came just before still counts: new tokens are saved, and refused ones are removed.
        let (now, calendar) = (self.now, self.calendar.at(self.now));
        match core::mem::replace(&mut self.step, Step::Start) {
            Step::Start => {}
            Step::DeviceFlow(mut flow) => {
                flow.cancel();
                let forwarded = forward(flow.next_action(now));
                self.step = Step::DeviceFlow(flow);
                if let Err(outcome) = forwarded {
                    self.approved(*outcome, calendar);
                }
            }
            Step::Refreshing(mut tried) => {
                tried.refresh.cancel();
                match forward(tried.refresh.next_action(now)) {
                    Err(outcome) if !matches!(*outcome, Err(Failure::Cancelled)) => {
                        self.refreshed(*tried, *outcome, calendar)
                    }
                    // It still takes the answer to the request in flight.
                    Ok(_) | Err(_) => self.step = Step::Refreshing(tried),
                }
            }
        }
        if let Outcome::Open = self.outcome {
            self.finish(Err(Failure::Cancelled));
        }
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match (&self.outcome, &self.step) {
            (Outcome::Ready(_), _) => "Finished",
            (Outcome::HandedOut, _) => "Ended",
            (Outcome::Open, Step::Start) => "Start",
            (Outcome::Open, Step::Refreshing(_)) => "Refreshing",
            (Outcome::Open, Step::DeviceFlow(_)) => "DeviceFlow",
        };
        f.debug_struct("SignIn").field("step", &step).field("cache", &self.cache).finish_non_exhaustive()
    }
}
