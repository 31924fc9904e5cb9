//! Owns the request of a sign-in, and the steps that need no machine: the lookup in the cache and the saving of a
//! grant.

use super::{Candidate, SignedIn, TokenSource};
use crate::message::DEVICE_GRANT;
use crate::prompt::printable;
use crate::sync::Arc;
use crate::{
    AccessTokenQuery, Account, AuthorityKind, Client, ConfigError, DeviceFlow, Endpoint, Failure, GrantOrigin,
    IdTokenClaims, Owner, Person, ProtocolError, ProtocolFault, Refresh, Secret, SignInReason, TokenCache,
    TokenResponse, UnixTime,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// What a sign-in must bring: a token for this client and its scopes, for one account.
///
/// Unless an account is named, it is the only one that is signed in; when there are several, [`Failure::WhichAccount`]
/// names them.
///
/// ```
/// use device_flow_core::{Client, Provider, SignInRequest, TokenCache, UnixTime};
///
/// let client = Client::builder(Provider::gitlab(), "my-client-id").scope("openid read_api").build()?;
/// let request = SignInRequest::new(client).account("ada@example.com");
/// // Nobody is signed in.
/// assert!(request.cached(&TokenCache::new(), UnixTime::from_secs(1_795_377_332)).is_none());
/// # Ok::<(), device_flow_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SignInRequest {
    client: Arc<Client>,
    account: AccountChoice,
    slot: Box<str>,
    force_refresh: bool,
    min_life: Option<Duration>,
    /// A JSON object; may be empty.
    claims: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum AccountChoice {
    /// The only one that is signed in.
    Only,
    /// By user name or home account id.
    Named(Box<str>),
    Known(Box<Account>),
}

impl SignInRequest {
    /// A token for the account that is signed in.
    #[must_use]
    pub fn new(client: impl Into<Arc<Client>>) -> Self {
        let (account, slot, claims) = (AccountChoice::Only, Box::default(), Box::default());
        Self { client: client.into(), account, slot, force_refresh: false, min_life: None, claims }
    }

    /// The slot of a person whom the server does not name, because it sends no ID token: only the caller can tell two of
    /// them apart, and tokens of one slot are never used for another. Unless set, there is one slot without a name. It
    /// means nothing where the server names the person.
    ///
    /// ```
    /// use device_flow_core::{Client, Provider, SignInRequest};
    ///
    /// let client = std::sync::Arc::new(Client::builder(Provider::github(), "my-client-id").scope("repo").build()?);
    /// let (work, home) = (SignInRequest::new(client.clone()).slot("work"), SignInRequest::new(client).slot("home"));
    /// assert!(!work.is_same(&home));
    /// # Ok::<(), device_flow_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn slot(mut self, name: &str) -> Self {
        self.slot = Box::from(name);
        self
    }

    /// For this account, by its home account id, else by its user name. Letter case matters only in an id of a server
    /// that is not Microsoft's, and where two names differ in nothing else.
    #[must_use]
    pub fn account(mut self, name: &str) -> Self {
        self.account = AccountChoice::Named(Box::from(name));
        self
    }

    /// For this account, as [`TokenCache::accounts`] lists it: the fastest way.
    #[must_use]
    pub fn known_account(mut self, account: Account) -> Self {
        self.account = AccountChoice::Known(Box::new(account));
        self
    }

    /// Does not use the access token of the cache, because something about it has changed at the server.
    #[must_use]
    pub fn force_refresh(mut self) -> Self {
        self.force_refresh = true;
        self
    }

    /// Uses an access token of the cache if and only if it is valid for at least this long.
    ///
    /// Unless set, it must be valid for five more minutes, or for a fifth of its life when that is less, and the server
    /// must not want it replaced by now. A token from a refresh is used whatever its life.
    #[must_use]
    pub fn min_life(mut self, time: Duration) -> Self {
        self.min_life = Some(time);
        self
    }

    /// A token with these claims, from the claims challenge of an API (`WWW-Authenticate: … claims="…"`, decoded). The
    /// access token of the cache does not have them, so it is not used. An empty text or object requests nothing.
    ///
    /// # Errors
    /// [`ConfigError::Claims`] when it is not a JSON object.
    pub fn claims(mut self, json: &str) -> Result<Self, ConfigError> {
        self.claims = self.client.requested_claims(json)?;
        Ok(self)
    }

    /// The same for another client object, such as one that has looked the endpoints of its server up again.
    #[must_use]
    pub fn at(self, client: impl Into<Arc<Client>>) -> Self {
        Self { client: client.into(), ..self }
    }

    /// The client that the token is for.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Whether both request the same: client, account, claims and the rest.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.client, &other.client)
            && self.account == other.account
            && self.slot == other.slot
            && self.force_refresh == other.force_refresh
            && self.min_life == other.min_life
            && self.claims == other.claims
    }

    /// The first step alone: a valid access token of the cache with the scopes. It sends no request and changes
    /// nothing. `None` also when the server wants the token replaced by now.
    #[must_use]
    pub fn cached(&self, cache: &TokenCache, now: UnixTime) -> Option<SignedIn> {
        let account = self.find_account(cache).ok().flatten()?;
        self.find_token(cache, account, now).filter(|found| !self.is_aging(found, now))
    }

    /// The last step alone: a device flow for this request. Hand its outcome to [`keep`](Self::keep).
    ///
    /// `entropy`: as for [`DeviceFlow::new`].
    #[must_use]
    pub fn device_flow(&self, entropy: [u8; 32]) -> DeviceFlow {
        let plain = || DeviceFlow::new(Arc::clone(&self.client), entropy);
        // Checked when they were set.
        plain().claims(&self.claims).unwrap_or_else(|_| plain())
    }

    /// The same after a silent attempt: the claims that the refusal of a refresh asks for replace those of this
    /// request.
    #[must_use]
    pub fn device_flow_after(&self, reason: &SignInReason, entropy: [u8; 32]) -> DeviceFlow {
        let plain = || self.device_flow(entropy);
        let SignInReason::Refused(error) = reason else { return plain() };
        // A challenge that is not an object is ignored.
        error.claims().and_then(|claims| plain().claims(claims).ok()).unwrap_or_else(plain)
    }

    /// Checks the outcome of a device flow and saves it in the cache: tokens, account, what is known about the client.
    ///
    /// The ID token must be from the server that was asked, for this client and not expired; clocks may differ by five
    /// minutes (OpenID Connect Core §3.1.3.7).
    ///
    /// # Errors
    /// [`ProtocolFault::IdToken`] when the check fails; nothing is saved then.
    pub fn keep(&self, response: &TokenResponse, cache: &mut TokenCache, now: UnixTime) -> Result<SignedIn, Failure> {
        self.check(response.id_token(), now)?;
        Ok(self.save(response, cache, None, now))
    }

    pub(super) fn check(&self, id_token: Option<&Secret>, now: UnixTime) -> Result<Option<IdTokenClaims>, Failure> {
        let Some(id_token) = id_token else { return Ok(None) };
        let checked = IdTokenClaims::read(id_token).and_then(|claims| {
            let configured = self.client.issuer();
            let known = self.client.authority().may_name(&claims, configured);
            let issuer = configured.filter(|_| !known).unwrap_or(claims.raw_issuer());
            claims.check(issuer, self.client.client_id(), now)?;
            Ok(claims)
        });
        let broken = |fault| ProtocolError::new(Endpoint::Token, ProtocolFault::IdToken(fault));
        checked.map(Some).map_err(|fault| Failure::Protocol(broken(fault)))
    }

    /// `known`: the account of the refresh token; `None` after a device flow.
    pub(super) fn save(
        &self,
        response: &TokenResponse,
        cache: &mut TokenCache,
        known: Option<&Account>,
        now: UnixTime,
    ) -> SignedIn {
        let person = known.map_or(Person::Slot(&self.slot), |account| self.person_of(account));
        let grant_type = known.is_none().then_some(DEVICE_GRANT);
        let authority = self.client.authority();
        let origin = GrantOrigin { client_id: self.client.client_id(), authority, person, grant_type };
        let saved = cache.save(response, &origin, now);
        let source = if known.is_none() { TokenSource::DeviceFlow } else { TokenSource::Refresh };
        SignedIn::granted(response, saved.or_else(|| known.cloned()), source, now)
    }

    /// The account of the cache that this request is for; `None` when none matches.
    ///
    /// # Errors
    /// [`Failure::WhichAccount`] when several match.
    pub fn find_account(&self, cache: &TokenCache) -> Result<Option<Account>, Failure> {
        let name = match &self.account {
            AccountChoice::Known(account) => return Ok(Some(Account::clone(account))),
            AccountChoice::Named(name) => Some(name),
            AccountChoice::Only => None,
        };
        let mut matching = cache.accounts();
        matching.retain(|account| self.is_about(account));
        if let Some(name) = name {
            self.keep_named(name, &mut matching);
        }
        // What version 0.1.0 wrote is still there for other clients when this one has taken its part over.
        let taken_over: Vec<Account> =
            matching.iter().filter(|account| account.client_id().is_some()).cloned().collect();
        matching.retain(|account| {
            account.client_id().is_some() || taken_over.iter().all(|exact| exact.person() != self.person_of(account))
        });
        if matching.len() > 1 {
            // Other programs may share the cache: an account without tokens for this client does not count.
            matching.retain(|account| cache.has_tokens(self.owner(account)));
        }
        if name.is_none() && !self.slot.is_empty() {
            let slot = matching.iter().position(|account| account.person() == Person::Slot(&self.slot));
            if let Some(slot) = slot {
                return Ok(Some(matching.swap_remove(slot)));
            }
        }
        if matching.len() > 1 {
            let names = matching.iter().map(|account| match account.raw_home_account_id() {
                id if name.is_some() && !id.is_empty() => printable(id),
                _ if account.label().is_empty() => Box::from("one without a name"),
                _ => account.label(),
            });
            return Err(Failure::WhichAccount(names.collect()));
        }
        Ok(matching.pop())
    }

    /// Whether the cache has any token of the account and the client of this request, valid or expired. If not, nobody
    /// has signed in to this client here, although the account may be known through another one.
    #[must_use]
    pub fn has_tokens(&self, cache: &TokenCache) -> bool {
        let account = self.find_account(cache).ok().flatten();
        account.is_some_and(|account| cache.has_tokens(self.owner(&account)))
    }

    /// The owner of the tokens of this account, for lookups in a cache.
    #[must_use]
    pub fn owner<'a>(&'a self, account: &'a Account) -> Owner<'a> {
        Owner {
            person: self.person_of(account),
            client_id: self.client.client_id(),
            authority: self.client.authority(),
        }
    }

    /// The person of an account, for this request: version 0.1.0 wrote no slots.
    fn person_of<'a>(&'a self, account: &'a Account) -> Person<'a> {
        match account.person() {
            Person::Slot(_) if account.client_id().is_none() => Person::Slot(&self.slot),
            person @ (Person::Id(_) | Person::Slot(_)) => person,
        }
    }

    /// Whether an account is at the server of this request, of its client and, when it is a slot, in its slot; whoever it
    /// is.
    #[must_use]
    pub fn is_about(&self, account: &Account) -> bool {
        let slot = match account.person() {
            Person::Slot(slot) if account.client_id().is_some() => slot == &*self.slot,
            Person::Slot(_) | Person::Id(_) => true,
        };
        slot && self.client.authority().knows(account.raw_environment())
            && account.client_id().is_none_or(|client| client == self.client.client_id())
    }

    /// Keeps the accounts with this name: an id goes before a user name, and the exact spelling before another.
    fn keep_named(&self, name: &str, accounts: &mut Vec<Account>) {
        let exact = self.client.authority().kind() == AuthorityKind::Generic;
        let tiers: [&dyn Fn(&Account) -> bool; 4] = [
            &|account| account.raw_home_account_id() == name,
            &|account| !exact && account.raw_home_account_id().eq_ignore_ascii_case(name),
            &|account| account.raw_username() == name,
            &|account| account.raw_username().eq_ignore_ascii_case(name),
        ];
        let named = tiers.into_iter().find(|named| !name.is_empty() && accounts.iter().any(named));
        accounts.retain(|account| named.is_some_and(|named| named(account)));
    }

    fn query(&self) -> AccessTokenQuery<'_> {
        let query = AccessTokenQuery::scopes(self.client.scope()).audience(self.client.audience());
        query.proof_key(self.client.thumbprint()).min_life(self.min_life)
    }

    /// Whether the token should be replaced by now, although it is still valid.
    pub(super) fn is_aging(&self, found: &SignedIn, now: UnixTime) -> bool {
        self.min_life.is_none() && found.is_aging(now)
    }

    /// The access token of the cache, aging or not.
    pub(super) fn find_token(&self, cache: &TokenCache, account: Account, now: UnixTime) -> Option<SignedIn> {
        let owner = self.owner(&account);
        let query = self.query();
        let bypassed = self.force_refresh || !self.claims.is_empty();
        let found = cache.access_token(owner, if bypassed { query.bypass() } else { query }, now)?;
        let id_token = cache.id_token(owner);
        let refreshable = cache.is_refreshable(owner);
        Some(SignedIn::cached(&found, id_token, account, refreshable))
    }

    /// The scopes that a refresh must name; `None` for those that were granted. Only Microsoft's servers grant scopes
    /// that the sign-in did not request. Others may refuse the requested scopes when they had granted only a part of
    /// them.
    fn scope_of_refresh(&self) -> Option<&str> {
        (self.client.authority().kind() != AuthorityKind::Generic).then(|| self.client.scope())
    }

    pub(super) fn refresh(&self, token: &Secret) -> Refresh {
        Refresh::silent(Arc::clone(&self.client), token.clone(), self.scope_of_refresh(), &self.claims)
    }

    /// Whether the scopes need a new sign-in, because no refresh can bring them.
    pub(super) fn requests_more(&self, cache: &TokenCache, account: &Account) -> bool {
        self.scope_of_refresh().is_none() && !cache.has_requested(self.owner(account), self.query())
    }

    /// The refresh tokens to try; or the reason to ask the person when the only ones are bound to another key.
    pub(super) fn refresh_tokens(&self, cache: &TokenCache, account: &Account) -> Result<Vec<Candidate>, SignInReason> {
        let mut found = cache.refresh_tokens(self.owner(account));
        let any = !found.is_empty();
        // Servers bind the refresh tokens of public clients alone: the others prove who they are (RFC 9449 §5) and may take
        // a new key. But without any they would be refused for good, or get a bearer token.
        let (own, is_public) = (self.client.thumbprint(), self.client.authentication_method() == "none");
        found.retain(|token| {
            token.raw_proof_key().is_empty() || token.raw_proof_key() == own || !is_public && !own.is_empty()
        });
        if any && found.is_empty() {
            return Err(SignInReason::OtherKey);
        }
        Ok(found.iter().map(|token| Candidate { token: token.secret(), foreign: token.is_of_family() }).collect())
    }
}
