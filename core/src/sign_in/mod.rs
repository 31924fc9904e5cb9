//! Owns the sign-in as a whole: the token of the cache, else one for a refresh token, else one that a person approves.

mod request;
mod signed_in;

pub use request::SignInRequest;
pub use signed_in::{SignedIn, TokenSource};

use crate::time::Calendar;
use crate::{
    Account, Action, ClaimsError, DeviceFlow, Endpoint, Failure, IdTokenClaims, Machine, Misuse, ProtocolError,
    ProtocolFault, Refresh, Response, Secret, SignInReason, Ticket, Timestamp, TokenCache, TokenResponse,
    TransportError, UnixTime,
};
use alloc::boxed::Box;
use alloc::vec::IntoIter;
use core::fmt;
use core::time::Duration;
use zeroize::Zeroizing;

/// Gets a token: from the cache; else for a refresh token; else, unless it has to be silent, by a device flow.
///
/// The cache belongs to it until [`into_cache`](Self::into_cache), and has to be stored whenever it
/// [has changed](TokenCache::is_changed), after a failure too: with many servers the old refresh token died when the new one
/// was made. What another process stored meanwhile is [merged](TokenCache::merge).
///
/// A refusal of a refresh token removes it from the cache. A server that cannot be reached removes nothing, and is no reason
/// to bother a person: the sign-in ends with that failure. A token that lives, but that the server wishes to be replaced
/// (`refresh_in`), is the result when it cannot be; then nobody tries again for five minutes.
///
/// Each step can be had alone: [`SignInRequest::cached`], [`Refresh`], [`SignIn::silent`], [`DeviceFlow`].
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
    /// For the device flow; `None` when it must be silent.
    entropy: Option<Zeroizing<[u8; 32]>>,
    step: Step,
    outcome: Outcome,
    reason: Option<SignInReason>,
}

enum Step {
    /// Nothing was looked up yet.
    Start,
    Refreshing(Box<Refreshing>),
    Asking(Box<DeviceFlow>),
}

enum Outcome {
    Open,
    /// To be handed out.
    Ready(Box<Result<SignedIn, Failure>>),
    HandedOut,
}

/// A refresh token that is tried, and what else could be.
struct Refreshing {
    refresh: Refresh,
    candidate: Candidate,
    others: IntoIter<Candidate>,
    account: Account,
    /// An access token that lives, but that the server wishes to be replaced.
    aging: Option<SignedIn>,
}

struct Candidate {
    token: Secret,
    /// Of another client of the family.
    foreign: bool,
}

/// After the replacement of an aging token has failed.
const PAUSE: Duration = Duration::from_secs(300);

impl SignIn {
    /// All three steps.
    ///
    /// `now`: the time of the calendar at the first action. `entropy`: as for [`DeviceFlow::new`].
    #[must_use]
    pub fn new(request: SignInRequest, cache: TokenCache, now: UnixTime, entropy: [u8; 32]) -> Self {
        Self { entropy: Some(Zeroizing::new(entropy)), ..Self::silent(request, cache, now) }
    }

    /// Never bothers the person: ends with [`Failure::SignInNeeded`] when only they can help.
    #[must_use]
    pub fn silent(request: SignInRequest, cache: TokenCache, now: UnixTime) -> Self {
        let calendar = Calendar::set(now);
        let (step, outcome) = (Step::Start, Outcome::Open);
        Self { request, cache, calendar, now: Timestamp::ZERO, entropy: None, step, outcome, reason: None }
    }

    /// The device flow at once, with a [new flow](SignInRequest::device_flow) or one that is resumed: somebody wants to sign in,
    /// perhaps as someone else.
    #[must_use]
    pub fn interactive(request: SignInRequest, cache: TokenCache, now: UnixTime, flow: DeviceFlow) -> Self {
        Self { step: Step::Asking(Box::new(flow)), ..Self::silent(request, cache, now) }
    }

    /// What is asked for.
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
        // An answer that nobody has looked at yet counts.
        self.cancel();
        self.cache
    }

    /// Why the person is asked, once it has come to that and silence was tried first.
    #[must_use]
    pub fn reason(&self) -> Option<&SignInReason> {
        self.reason.as_ref()
    }

    /// The device flow, once it has come to that: for its prompt, its trail, its snapshot.
    #[must_use]
    pub fn device_flow(&self) -> Option<&DeviceFlow> {
        if let Step::Asking(flow) = &self.step { Some(flow) } else { None }
    }

    fn finish(&mut self, outcome: Result<SignedIn, Failure>) {
        self.outcome = Outcome::Ready(Box::new(outcome));
    }

    fn begin(&mut self, now: UnixTime) {
        let account = match self.request.whose(&self.cache) {
            Ok(Some(account)) => account,
            Ok(None) => return self.ask(SignInReason::NotSignedIn),
            Err(failure) => return self.finish(Err(failure)),
        };
        let found = self.request.look_up(&self.cache, account.clone(), now);
        let aging = match found {
            Some(found) if !self.request.is_aging(&found, now) => return self.finish(Ok(found)),
            found => found,
        };
        if aging.is_none() && self.request.asks_for_more(&self.cache, &account) {
            return self.ask(SignInReason::NewScopes);
        }
        let candidates = self.request.refresh_tokens(&self.cache, &account).into_iter();
        self.try_next(candidates, account, aging, SignInReason::NotSignedIn, now);
    }

    /// The next refresh token; `reason`: why the one before it did not do.
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
            (None, Some(aging)) => self.make_do(aging, now),
            (None, None) => self.ask(reason),
        }
    }

    /// The person is needed.
    fn ask(&mut self, reason: SignInReason) {
        match self.entropy.take() {
            None => self.finish(Err(Failure::SignInNeeded(reason))),
            Some(entropy) => {
                self.step = Step::Asking(Box::new(self.request.device_flow_after(&reason, *entropy)));
                self.reason = Some(reason);
            }
        }
    }

    /// The token that could not be replaced lives on.
    fn make_do(&mut self, aging: SignedIn, now: UnixTime) {
        self.cache.postpone_refresh(aging.access_token(), now.saturating_add(PAUSE));
        self.finish(Ok(aging));
    }

    fn refreshed(&mut self, tried: Refreshing, outcome: Result<TokenResponse, Failure>, now: UnixTime) {
        let Refreshing { refresh, candidate, others, account, aging } = tried;
        let outcome = outcome.and_then(|response| {
            self.check_same(&response, &account, now)?;
            Ok(self.request.save(&response, &mut self.cache, Some(&account), now))
        });
        let failure = match outcome {
            Ok(signed_in) => return self.finish(Ok(signed_in)),
            Err(failure) => failure,
        };
        if let Some(rotated) = refresh.rotated() {
            self.cache.replace_refresh_token(&candidate.token, rotated, now);
        }
        if !failure.keeps_refresh_token() {
            self.cache.remove_refresh_token(&candidate.token);
        }
        if let Failure::SignInNeeded(reason) = failure {
            self.try_next(others, account, aging, reason, now);
        } else if let (Failure::Rejected(error), true) = (&failure, candidate.foreign) {
            // Nothing is known yet of the client's own token.
            if error.is_client_mismatch() {
                let client = self.request.client();
                self.cache.leave_family(client.client_id(), client.authority());
            }
            self.try_next(others, account, aging, SignInReason::Refused(error.clone()), now);
        } else if let Some(aging) = aging {
            self.make_do(aging, now);
        } else {
            self.finish(Err(failure));
        }
    }

    /// OpenID Connect Core §12.2: a refresh is about the same person.
    fn check_same(&self, response: &TokenResponse, account: &Account, now: UnixTime) -> Result<(), Failure> {
        let Some(claims) = self.request.check(response, now)? else { return Ok(()) };
        let before =
            self.cache.id_token(self.request.owner(account)).and_then(|token| IdTokenClaims::read(&token).ok());
        if before.is_none_or(|before| before.subject() == claims.subject()) {
            return Ok(());
        }
        let fault = ProtocolFault::IdToken(ClaimsError::Subject);
        Err(Failure::Protocol(ProtocolError { endpoint: Endpoint::Token, fault }))
    }

    fn approved(&mut self, outcome: Result<TokenResponse, Failure>, now: UnixTime) {
        let outcome = outcome.and_then(|response| self.request.keep(&response, &mut self.cache, now));
        self.finish(outcome);
    }
}

/// What a part does is what the whole does, but for its outcome.
fn pass(action: Action<TokenResponse>) -> Result<Action<SignedIn>, Box<Result<TokenResponse, Failure>>> {
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
                Step::Refreshing(mut tried) => match (pass(tried.refresh.next_action(now)), tried.aging.take()) {
                    (Err(outcome), aging) => self.refreshed(Refreshing { aging, ..*tried }, *outcome, calendar),
                    // There is a token to go on with, so nobody waits for a better one.
                    (Ok(Action::Wait { .. }), Some(aging)) => self.make_do(aging, calendar),
                    (Ok(action), aging) => {
                        tried.aging = aging;
                        self.step = Step::Refreshing(tried);
                        return action;
                    }
                },
                Step::Asking(mut flow) => {
                    let passed = pass(flow.next_action(now));
                    self.step = Step::Asking(flow);
                    match passed {
                        Ok(action) => return action,
                        Err(outcome) => self.approved(*outcome, calendar),
                    }
                }
            }
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        let now = self.now.advance(now);
        match &mut self.step {
            Step::Start => Err(Misuse::NotOutstanding(ticket)),
            Step::Asking(flow) => flow.response(ticket, response, now),
            Step::Refreshing(tried) => {
                tried.refresh.response(ticket, response, now)?;
                // After a cancel nobody will ask for the outcome, but a token that the server sent is not lost.
                if let (Outcome::Ready(_) | Outcome::HandedOut, Some(rotated)) =
                    (&self.outcome, tried.refresh.rotated())
                {
                    self.cache.replace_refresh_token(&tried.candidate.token, rotated, self.calendar.at(now));
                }
                Ok(())
            }
        }
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        let now = self.now.advance(now);
        match &mut self.step {
            Step::Start => Err(Misuse::NotOutstanding(ticket)),
            Step::Asking(flow) => flow.transport_failed(ticket, error, now),
            Step::Refreshing(tried) => tried.refresh.transport_failed(ticket, error, now),
        }
    }

    fn cancel(&mut self) {
        if !matches!(self.outcome, Outcome::Open) {
            return;
        }
        // An answer that came just before counts: nothing is lost that the server gave, and what it refused goes.
        let (now, calendar) = (self.now, self.calendar.at(self.now));
        match core::mem::replace(&mut self.step, Step::Start) {
            Step::Start => {}
            Step::Asking(mut flow) => {
                flow.cancel();
                let passed = pass(flow.next_action(now));
                self.step = Step::Asking(flow);
                if let Err(outcome) = passed {
                    self.approved(*outcome, calendar);
                }
            }
            Step::Refreshing(mut tried) => {
                tried.refresh.cancel();
                match pass(tried.refresh.next_action(now)) {
                    Err(outcome) if !matches!(*outcome, Err(Failure::Cancelled)) => {
                        self.refreshed(*tried, *outcome, calendar)
                    }
                    // What is still in flight is for this one to take.
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
            (Outcome::Open, Step::Asking(_)) => "Asking",
        };
        f.debug_struct("SignIn").field("step", &step).field("cache", &self.cache).finish_non_exhaustive()
    }
}
