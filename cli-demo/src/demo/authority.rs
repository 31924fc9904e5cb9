//! Owns the state and the decisions of the demo server: sign-ins, tokens, and how many of both it stores. It reads
//! neither clock nor wire format.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::answer::Refusal;
use super::grant::{AuthorizationRequest, Grant, Plan};
use super::options::{Decision, Fault, Options};
use super::random;

#[cfg(test)]
mod tests;

/// How long an expired code is stored, so that a person reads "expired" and not "unknown".
const REMEMBER_CODE: Duration = Duration::from_secs(60 * 60);
/// How long a refresh token is valid.
const REFRESH_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// RFC 8628 §5.1: after this many wrong user codes of one [`Guesser`] in [`WRONG_CODE_WINDOW`], none of its codes is
/// accepted for a while.
const WRONG_CODE_LIMIT: usize = 10;
const WRONG_CODE_WINDOW: Duration = Duration::from_secs(60);
/// How many sign-ins that are over are stored, for the pages.
const MOST_OVER: usize = 50;
/// The most sign-ins, and the most token families.
const MOST: usize = 5_000;
/// The most sign-ins of one peer that are not over.
const MOST_OF_A_PEER: usize = 1_000;
/// How long, beside two intervals, a client has for something more before its verdict.
const JUDGED_AFTER: Duration = Duration::from_secs(2);
/// How long a peer with too many sign-ins is told to stay away, in seconds.
const RETRY_AFTER: u64 = 60;
/// How many tokens of each kind a family stores, including spent ones, whose reuse must be noticed.
const MOST_TOKENS: usize = 32;

/// The authorization server without its sockets. `now` is the time since the server started.
pub(super) struct Authority {
    options: Options,
    /// By number; the newest is the last.
    grants: BTreeMap<u64, Grant>,
    grants_made: u64,
    user_codes: HashMap<UserCode, u64>,
    device_codes: HashMap<String, u64>,
    families: BTreeMap<u64, Family>,
    families_made: u64,
    refresh_tokens: HashMap<String, RefreshToken>,
    access_tokens: HashMap<String, AccessToken>,
    wrong_codes: HashMap<Guesser, Vec<Duration>>,
    /// Somebody asks for verdicts: no sign-in is dropped before it has one.
    has_judge: bool,
    next_sweep: Duration,
}

/// Who may be guessing codes. A page of another site can make a browser open addresses, but cannot send our form: so
/// what comes with an address does not count against the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Guesser {
    pub(super) peer: IpAddr,
    pub(super) by_address: bool,
}

/// The codes of one new sign-in.
pub(super) struct Issued {
    pub(super) device_code: String,
    pub(super) user_code: String,
}

/// A successful answer of the token endpoint.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    pub(super) scope: String,
}

/// Why a code that a person typed is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeProblem {
    Unknown,
    Expired,
    AlreadyUsed,
    TooManyWrong,
}

/// What a button on the live page does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misbehaviour {
    Fault(Fault),
    Expire,
    Deny,
}

/// A user code in the form in which codes are compared: without case and punctuation (RFC 8628 §6.1).
#[derive(Clone, PartialEq, Eq, Hash)]
struct UserCode(String);

/// All tokens that come from one approval. A token without its family is invalid.
struct Family {
    client_id: String,
    scope: String,
    expires: Duration,
    /// Pairs of an access and a refresh token, the oldest first.
    tokens: VecDeque<(String, String)>,
}

struct RefreshToken {
    family: u64,
    spent: bool,
}

struct AccessToken {
    family: u64,
    scope: String,
    expires: Duration,
}

impl Authority {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            grants: BTreeMap::new(),
            grants_made: 0,
            user_codes: HashMap::new(),
            device_codes: HashMap::new(),
            families: BTreeMap::new(),
            families_made: 0,
            refresh_tokens: HashMap::new(),
            access_tokens: HashMap::new(),
            wrong_codes: HashMap::new(),
            has_judge: false,
            next_sweep: Duration::ZERO,
        }
    }

    /// Device authorization (RFC 8628 §3.1, §3.2).
    pub(super) fn issue(&mut self, ask: AuthorizationRequest, now: Duration) -> Result<Issued, Refusal> {
        check_scope(&ask.scope)?;
        self.sweep(now);
        self.limit_those_over(now);
        if self.grants.len() >= MOST {
            return Err(Refusal::Unavailable);
        }
        let of_this_peer = self.grants.values().filter(|grant| grant.ask.peer == ask.peer && !grant.is_over(now));
        if of_this_peer.count() >= MOST_OF_A_PEER {
            return Err(Refusal::RetryLater(RETRY_AFTER));
        }
        let device_code = random::secret()?;
        let user_code = loop {
            let candidate = random::user_code()?;
            if !self.user_codes.contains_key(&UserCode::typed(&candidate)) {
                break candidate;
            }
        };
        self.grants_made += 1;
        let number = self.grants_made;
        let times = (self.options.interval, self.options.code_lifetime);
        let plan = Plan { decision: self.options.decision, fault: self.options.fault };
        self.device_codes.insert(device_code.clone(), number);
        self.user_codes.insert(UserCode::typed(&user_code), number);
        self.grants.insert(number, Grant::new(number, ask, user_code.clone(), now, times, plan));
        Ok(Issued { device_code, user_code })
    }

    /// One poll of the token endpoint (RFC 8628 §3.4, §3.5).
    pub(super) fn poll(
        &mut self,
        client_id: &str,
        device_code: &str,
        verifier: Option<&str>,
        now: Duration,
    ) -> Result<Tokens, Refusal> {
        let grant = self
            .device_codes
            .get(device_code)
            .and_then(|number| self.grants.get_mut(number))
            .filter(|grant| grant.ask.client_id == client_id)
            .ok_or(Refusal::InvalidGrant("no such device code"))?;
        grant.poll(verifier, now)?;

        let family = self.families_made;
        self.families_made = family.saturating_add(1);
        let AuthorizationRequest { client_id, scope, .. } = grant.ask.clone();
        let expires = now.saturating_add(REFRESH_LIFETIME);
        if self.families.len() >= MOST {
            self.families.pop_first();
        }
        let tokens = VecDeque::new();
        self.families.insert(family, Family { client_id, scope: scope.clone(), expires, tokens });
        self.mint(family, scope, now)
    }

    /// How long the answer to the last poll of this code must be kept back.
    pub(super) fn hold(&self, device_code: &str) -> Duration {
        let grant = self.device_codes.get(device_code).and_then(|number| self.grants.get(number));
        grant.and_then(|grant| grant.polls().next_back()).map_or(Duration::ZERO, |poll| poll.held)
    }

    /// The refresh token grant (RFC 6749 §6). Each refresh token can be used once (RFC 9700 §4.14.2).
    pub(super) fn refresh(
        &mut self,
        client_id: &str,
        token: &str,
        scope: Option<&str>,
        now: Duration,
    ) -> Result<Tokens, Refusal> {
        const UNKNOWN: Refusal = Refusal::InvalidGrant("no such refresh token");
        self.sweep(now);
        let known = self.refresh_tokens.get_mut(token).ok_or(UNKNOWN)?;
        let family = self
            .families
            .get_mut(&known.family)
            .filter(|family| family.client_id == client_id && now < family.expires)
            .ok_or(UNKNOWN)?;
        if known.spent {
            // Two parties have this token, and one of them stole it: the family ends for both.
            self.families.remove(&known.family);
            return Err(Refusal::InvalidGrant("the refresh token was used before; all its tokens are revoked"));
        }
        let scope = scope.unwrap_or(&family.scope).to_owned();
        check_scope(&scope)?;
        if !scope.split(' ').all(|wanted| family.scope.split(' ').any(|granted| granted == wanted)) {
            return Err(Refusal::InvalidScope);
        }
        known.spent = true;
        family.expires = now.saturating_add(REFRESH_LIFETIME);
        let family = known.family;
        self.mint(family, scope, now)
    }

    /// Revocation (RFC 7009): of a refresh token with its whole family, of an access token alone.
    pub(super) fn revoke(&mut self, client_id: &str, token: &str) -> Result<(), Refusal> {
        let refresh = self.refresh_tokens.get(token).map(|known| known.family);
        let access = self.access_tokens.get(token).map(|known| known.family);
        let Some((number, family)) = refresh.or(access).and_then(|number| Some((number, self.families.get(&number)?)))
        else {
            return Ok(()); // RFC 7009 §2.2: an invalid token needs no revocation.
        };
        if family.client_id != client_id {
            return Err(Refusal::InvalidGrant("the token belongs to another client"));
        }
        if refresh.is_some() {
            self.families.remove(&number);
        }
        self.access_tokens.remove(token);
        Ok(())
    }

    /// The scope of a valid access token.
    pub(super) fn scope_of(&self, access_token: &str, now: Duration) -> Option<&str> {
        self.access_tokens
            .get(access_token)
            .filter(|token| now < token.expires && self.families.contains_key(&token.family))
            .map(|token| token.scope.as_str())
    }

    /// The request behind a pending code, and the code as the device shows it.
    pub(super) fn look_up(
        &mut self,
        typed: &str,
        guesser: Guesser,
        now: Duration,
    ) -> Result<(AuthorizationRequest, String), CodeProblem> {
        let grant = self.find(typed, Some(guesser), now)?;
        if grant.is_undecided() {
            Ok((grant.ask.clone(), grant.user_code.clone()))
        } else {
            Err(CodeProblem::AlreadyUsed)
        }
    }

    /// Records a decision, and returns the request that it was about. Without a guesser, nobody can be guessing.
    pub(super) fn decide(
        &mut self,
        typed: &str,
        decision: Decision,
        guesser: Option<Guesser>,
        now: Duration,
    ) -> Result<AuthorizationRequest, CodeProblem> {
        let grant = self.find(typed, guesser, now)?;
        if grant.decide(decision) { Ok(grant.ask.clone()) } else { Err(CodeProblem::AlreadyUsed) }
    }

    /// When the last polls for this code arrived.
    pub(super) fn polls(&self, user_code: &str) -> Vec<Duration> {
        let grant = self.user_codes.get(&UserCode::typed(user_code)).and_then(|number| self.grants.get(number));
        grant.map_or_else(Vec::new, |grant| grant.polls().map(|poll| poll.at).collect())
    }

    /// All stored sign-ins, the newest first.
    pub(super) fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.values().rev()
    }

    pub(super) fn grant(&self, number: u64) -> Option<&Grant> {
        self.grants.get(&number)
    }

    /// The sign-ins that have just got their verdict: those that are over, and whose client has had the time to do
    /// something more, or all.
    pub(super) fn judged_now(&mut self, now: Duration, all: bool) -> impl Iterator<Item = &Grant> {
        self.has_judge = true;
        self.grants.values_mut().filter_map(move |grant| {
            let quiet = grant.last_answer().saturating_add(grant.due().saturating_mul(2)).saturating_add(JUDGED_AFTER);
            let is_due = !grant.is_judged && (all || (grant.is_over(now) && now >= quiet));
            grant.is_judged |= is_due;
            is_due.then_some(&*grant)
        })
    }

    /// Does what a button says. Returns false if the sign-in is over.
    pub(super) fn misbehave(&mut self, number: u64, what: Misbehaviour, now: Duration) -> bool {
        let Some(grant) = self.grants.get_mut(&number).filter(|grant| !grant.is_over(now)) else { return false };
        match what {
            Misbehaviour::Fault(fault) => grant.add_fault(fault),
            Misbehaviour::Expire => grant.expire(now),
            // An earlier decision stays.
            Misbehaviour::Deny => return grant.decide(Decision::Deny),
        }
        true
    }

    fn find(&mut self, typed: &str, guesser: Option<Guesser>, now: Duration) -> Result<&mut Grant, CodeProblem> {
        let is_recent = |then: &Duration| now.saturating_sub(*then) < WRONG_CODE_WINDOW;
        let wrong = guesser.and_then(|guesser| self.wrong_codes.get(&guesser));
        // Right codes are refused as well, else the limit would not slow a guesser down.
        if wrong.is_some_and(|wrong| wrong.iter().filter(|then| is_recent(then)).count() >= WRONG_CODE_LIMIT) {
            return Err(CodeProblem::TooManyWrong);
        }
        match self.user_codes.get(&UserCode::typed(typed)).and_then(|number| self.grants.get_mut(number)) {
            Some(grant) if grant.is_undecided() && now >= grant.expires => Err(CodeProblem::Expired),
            Some(grant) => Ok(grant),
            None => {
                if let Some(guesser) = guesser {
                    let wrong = self.wrong_codes.entry(guesser).or_default();
                    wrong.retain(is_recent);
                    wrong.push(now);
                }
                Err(CodeProblem::Unknown)
            }
        }
    }

    fn mint(&mut self, family: u64, scope: String, now: Duration) -> Result<Tokens, Refusal> {
        let tokens = Tokens { access_token: random::secret()?, refresh_token: random::secret()?, scope };
        let expires = now.saturating_add(self.options.access_token_lifetime);
        let access = AccessToken { family, scope: tokens.scope.clone(), expires };
        self.access_tokens.insert(tokens.access_token.clone(), access);
        self.refresh_tokens.insert(tokens.refresh_token.clone(), RefreshToken { family, spent: false });
        if let Some(family) = self.families.get_mut(&family) {
            family.tokens.push_back((tokens.access_token.clone(), tokens.refresh_token.clone()));
            if family.tokens.len() > MOST_TOKENS
                && let Some((access_token, refresh_token)) = family.tokens.pop_front()
            {
                self.access_tokens.remove(&access_token);
                self.refresh_tokens.remove(&refresh_token);
            }
        }
        Ok(tokens)
    }

    /// Drops the oldest sign-ins that are over.
    fn limit_those_over(&mut self, now: Duration) {
        let may_go = |grant: &&Grant| grant.is_over(now) && (grant.is_judged || !self.has_judge);
        let over: Vec<u64> = self.grants.values().filter(may_go).map(|grant| grant.number).collect();
        let Some(too_many) = over.len().checked_sub(MOST_OVER).filter(|count| *count > 0) else { return };
        for number in over.into_iter().take(too_many) {
            self.grants.remove(&number);
        }
        self.forget_codes();
    }

    fn forget_codes(&mut self) {
        self.user_codes.retain(|_, number| self.grants.contains_key(number));
        self.device_codes.retain(|_, number| self.grants.contains_key(number));
    }

    /// Drops what has expired, at most once a minute, so that a server that is left running does not grow.
    fn sweep(&mut self, now: Duration) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now.saturating_add(Duration::from_secs(60));
        self.wrong_codes.retain(|_, wrong| wrong.iter().any(|then| now.saturating_sub(*then) < WRONG_CODE_WINDOW));
        self.grants.retain(|_, grant| now < grant.expires.saturating_add(REMEMBER_CODE));
        self.forget_codes();
        self.families.retain(|_, family| now < family.expires);
        self.refresh_tokens.retain(|_, token| self.families.contains_key(&token.family));
        self.access_tokens.retain(|_, token| now < token.expires && self.families.contains_key(&token.family));
    }
}

impl UserCode {
    fn typed(text: &str) -> Self {
        Self(text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect())
    }
}

/// RFC 6749 §3.3: `scope-token *( SP scope-token )`, or an empty scope.
fn check_scope(scope: &str) -> Result<(), Refusal> {
    let is_token =
        |token: &str| !token.is_empty() && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if scope.is_empty() || scope.split(' ').all(is_token) { Ok(()) } else { Err(Refusal::InvalidScope) }
}
