//! Owns what the demo server knows and decides: codes, tokens and the polling law; it reads no clock and no wire form.

use std::collections::HashMap;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use sha2::{Digest as _, Sha256};

use super::Options;
use super::random;
use super::refusal::Refusal;

#[cfg(test)]
mod tests;

/// RFC 8628 §3.5: what each `slow_down` adds to the interval, for good.
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// How long a dead code is remembered, so that a person reads "expired" and not "unknown".
const REMEMBER_CODE: Duration = Duration::from_secs(60 * 60);
/// How long a sign-in outlives its last refresh.
const REFRESH_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// RFC 8628 §5.1: this many wrong user codes in [`WRONG_CODE_WINDOW`] close the pages for a while.
const WRONG_CODE_LIMIT: usize = 10;
const WRONG_CODE_WINDOW: Duration = Duration::from_secs(60);

/// The authorization server without its sockets. `now` is the time since the server started.
pub(super) struct Authority {
    options: Options,
    grants: HashMap<UserCode, Grant>,
    device_codes: HashMap<String, UserCode>,
    families: HashMap<u64, Family>,
    families_made: u64,
    refresh_tokens: HashMap<String, RefreshToken>,
    access_tokens: HashMap<String, AccessToken>,
    wrong_codes: Vec<Duration>,
    next_sweep: Duration,
}

/// What a client asks for: the request of RFC 8628 §3.1.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) client_id: String,
    /// Scope tokens, separated by spaces; may be empty.
    pub(super) scope: String,
    /// The S256 challenge of RFC 7636, when the client sent one.
    pub(super) code_challenge: Option<String>,
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

/// What a person said on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Approve,
    Deny,
}

/// Why a code that a person typed leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeProblem {
    Unknown,
    Expired,
    AlreadyUsed,
    TooManyWrong,
}

/// A user code as it is compared: RFC 8628 §6.1 wants case and punctuation ignored.
#[derive(Clone, PartialEq, Eq, Hash)]
struct UserCode(String);

struct Grant {
    ask: Ask,
    user_code: String,
    issued: Duration,
    expires: Duration,
    interval: Duration,
    polls: Vec<Duration>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Approved,
    Denied,
    Redeemed,
}

/// All tokens that descend from one approval; without its family a token is worth nothing.
struct Family {
    client_id: String,
    scope: String,
    expires: Duration,
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
            grants: HashMap::new(),
            device_codes: HashMap::new(),
            families: HashMap::new(),
            families_made: 0,
            refresh_tokens: HashMap::new(),
            access_tokens: HashMap::new(),
            wrong_codes: Vec::new(),
            next_sweep: Duration::ZERO,
        }
    }

    /// Device authorization (RFC 8628 §3.1, §3.2).
    pub(super) fn issue(&mut self, ask: Ask, now: Duration) -> Result<Issued, Refusal> {
        check_scope(&ask.scope)?;
        self.sweep(now);
        let device_code = random::secret()?;
        let user_code = loop {
            let candidate = random::user_code()?;
            if !self.grants.contains_key(&UserCode::typed(&candidate)) {
                break candidate;
            }
        };
        let grant = Grant {
            ask,
            user_code: user_code.clone(),
            issued: now,
            expires: now.saturating_add(self.options.code_lifetime),
            interval: self.options.interval,
            polls: Vec::new(),
            phase: Phase::Waiting,
        };
        self.device_codes.insert(device_code.clone(), UserCode::typed(&user_code));
        self.grants.insert(UserCode::typed(&user_code), grant);
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
            .and_then(|user_code| self.grants.get_mut(user_code))
            .filter(|grant| grant.ask.client_id == client_id)
            .ok_or(Refusal::InvalidGrant("no such device code"))?;
        grant.poll(verifier, now)?;

        let family = self.families_made;
        self.families_made = family.saturating_add(1);
        let Ask { client_id, scope, .. } = grant.ask.clone();
        let expires = now.saturating_add(REFRESH_LIFETIME);
        self.families.insert(family, Family { client_id, scope: scope.clone(), expires });
        self.mint(family, scope, now)
    }

    /// The refresh token grant (RFC 6749 §6), each token good for one use (RFC 9700 §4.14.2).
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
            // Two parties hold this token and one of them stole it: neither may go on.
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

    /// Revocation (RFC 7009): a refresh token takes its whole family along, an access token goes alone.
    pub(super) fn revoke(&mut self, client_id: &str, token: &str) -> Result<(), Refusal> {
        let refresh = self.refresh_tokens.get(token).map(|known| known.family);
        let access = self.access_tokens.get(token).map(|known| known.family);
        let Some((number, family)) = refresh.or(access).and_then(|number| Some((number, self.families.get(&number)?)))
        else {
            return Ok(()); // RFC 7009 §2.2: an invalid token is as good as revoked.
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

    /// The scope of a live access token.
    pub(super) fn scope_of(&self, access_token: &str, now: Duration) -> Option<&str> {
        self.access_tokens
            .get(access_token)
            .filter(|token| now < token.expires && self.families.contains_key(&token.family))
            .map(|token| token.scope.as_str())
    }

    /// What a waiting code asks for, with the code as the device shows it.
    pub(super) fn look_up(&mut self, typed: &str, now: Duration) -> Result<(Ask, String), CodeProblem> {
        let grant = self.find(typed, now)?;
        match grant.phase {
            Phase::Waiting => Ok((grant.ask.clone(), grant.user_code.clone())),
            Phase::Approved | Phase::Denied | Phase::Redeemed => Err(CodeProblem::AlreadyUsed),
        }
    }

    /// Records what the person said and returns what it was about. Saying the same twice is a double click, not a mistake.
    pub(super) fn decide(&mut self, typed: &str, decision: Decision, now: Duration) -> Result<Ask, CodeProblem> {
        let grant = self.find(typed, now)?;
        grant.phase = match (grant.phase, decision) {
            (Phase::Waiting, Decision::Approve) => Phase::Approved,
            (Phase::Waiting, Decision::Deny) => Phase::Denied,
            (Phase::Approved | Phase::Redeemed, Decision::Approve) | (Phase::Denied, Decision::Deny) => grant.phase,
            (Phase::Approved | Phase::Redeemed, Decision::Deny) | (Phase::Denied, Decision::Approve) => {
                return Err(CodeProblem::AlreadyUsed);
            }
        };
        Ok(grant.ask.clone())
    }

    /// When the polls for this code arrived.
    pub(super) fn polls(&self, user_code: &str) -> &[Duration] {
        self.grants.get(&UserCode::typed(user_code)).map_or(&[], |grant| &grant.polls)
    }

    fn find(&mut self, typed: &str, now: Duration) -> Result<&mut Grant, CodeProblem> {
        self.wrong_codes.retain(|then| now.saturating_sub(*then) < WRONG_CODE_WINDOW);
        // Right codes wait too, else the limit would not slow a guesser down.
        if self.wrong_codes.len() >= WRONG_CODE_LIMIT {
            return Err(CodeProblem::TooManyWrong);
        }
        match self.grants.get_mut(&UserCode::typed(typed)) {
            Some(grant) if grant.phase == Phase::Waiting && now >= grant.expires => Err(CodeProblem::Expired),
            Some(grant) => Ok(grant),
            None => {
                self.wrong_codes.push(now);
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
        Ok(tokens)
    }

    /// Forgets what is dead, at most once a minute, so that a server left running does not grow.
    fn sweep(&mut self, now: Duration) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now.saturating_add(Duration::from_secs(60));
        self.grants.retain(|_, grant| now < grant.expires.saturating_add(REMEMBER_CODE));
        self.device_codes.retain(|_, user_code| self.grants.contains_key(user_code));
        self.families.retain(|_, family| now < family.expires);
        self.refresh_tokens.retain(|_, token| self.families.contains_key(&token.family));
        self.access_tokens.retain(|_, token| now < token.expires && self.families.contains_key(&token.family));
    }
}

impl Grant {
    /// `Ok` once, when the code is redeemed by this poll.
    fn poll(&mut self, verifier: Option<&str>, now: Duration) -> Result<(), Refusal> {
        let waited = now.saturating_sub(self.polls.last().copied().unwrap_or(self.issued));
        self.polls.push(now);
        if self.phase == Phase::Redeemed {
            return Err(Refusal::InvalidGrant("the device code was redeemed before"));
        }
        if now >= self.expires {
            return Err(Refusal::ExpiredToken);
        }
        if waited < self.interval {
            self.interval = self.interval.saturating_add(SLOW_DOWN);
            return Err(Refusal::SlowDown);
        }
        if !proves_possession(self.ask.code_challenge.as_deref(), verifier) {
            return Err(Refusal::InvalidGrant("the code verifier does not match"));
        }
        match self.phase {
            Phase::Waiting => Err(Refusal::AuthorizationPending),
            Phase::Denied => Err(Refusal::AccessDenied),
            Phase::Approved | Phase::Redeemed => {
                self.phase = Phase::Redeemed;
                Ok(())
            }
        }
    }
}

impl UserCode {
    fn typed(text: &str) -> Self {
        Self(text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect())
    }
}

/// Compares secrets in a time that says nothing about them, by their digests.
pub(super) fn same_secret(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}

/// RFC 7636 §4.6; a verifier without a challenge is a downgrade (RFC 9700 §2.1.1).
fn proves_possession(challenge: Option<&str>, verifier: Option<&str>) -> bool {
    match (challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            same_secret(challenge, &Base64UrlUnpadded::encode_string(&Sha256::digest(verifier)))
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// RFC 6749 §3.3: `scope-token *( SP scope-token )`, or nothing at all.
fn check_scope(scope: &str) -> Result<(), Refusal> {
    let is_token =
        |token: &str| !token.is_empty() && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if scope.is_empty() || scope.split(' ').all(is_token) { Ok(()) } else { Err(Refusal::InvalidScope) }
}
