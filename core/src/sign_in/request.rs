//! Owns what a sign-in is asked for, and the steps of it that need no machine: a look into the cache, and the keeping of a grant.

use super::{Candidate, SignedIn, TokenSource};
use crate::message::DEVICE_GRANT;
use crate::message::claims::request;
use crate::prompt::printable;
use crate::{
    AccessTokenQuery, Account, AuthorityKind, Client, ConfigError, DeviceFlow, Endpoint, Failure, IdTokenClaims, Owner,
    ProtocolError, ProtocolFault, Refresh, SaveAs, Secret, SignInReason, TokenCache, TokenResponse, UnixTime,
};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// Which token of whom is wanted: of this client, with its scopes.
///
/// Without a name it is the account that is signed in; when there are several, [`Failure::WhichAccount`] asks for one.
///
/// ```
/// use device_flow_core::{Client, Provider, SignInRequest, TokenCache, UnixTime};
///
/// let client = Client::builder(Provider::gitlab(), "my-client-id").scope("openid read_api").build()?;
/// let request = SignInRequest::new(client).account("ada@example.com");
/// // Nobody is signed in yet.
/// assert!(request.cached(&TokenCache::new(), UnixTime::from_secs(1_795_377_332)).is_none());
/// # Ok::<(), device_flow_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SignInRequest {
    client: Arc<Client>,
    who: Who,
    force_refresh: bool,
    min_life: Option<Duration>,
    /// A JSON object; may be empty.
    claims: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    /// The only one.
    Any,
    /// By user name or home account id.
    Named(Box<str>),
    Known(Box<Account>),
}

impl SignInRequest {
    /// A token of whoever is signed in.
    #[must_use]
    pub fn new(client: impl Into<Arc<Client>>) -> Self {
        Self { client: client.into(), who: Who::Any, force_refresh: false, min_life: None, claims: Box::default() }
    }

    /// Of this account, by its user name or its home account id, without regard to case.
    #[must_use]
    pub fn account(mut self, name: &str) -> Self {
        self.who = Who::Named(Box::from(name));
        self
    }

    /// Of this account, as [`TokenCache::accounts`] listed it: the quickest way.
    #[must_use]
    pub fn known_account(mut self, account: Account) -> Self {
        self.who = Who::Known(Box::new(account));
        self
    }

    /// Never the access token of the cache: something about it has changed at the server.
    #[must_use]
    pub fn force_refresh(mut self) -> Self {
        self.force_refresh = true;
        self
    }

    /// An access token of the cache is good when it lives this long yet, and only then; nothing else is asked of its age.
    ///
    /// Without it: when it lives for five minutes yet, or for a fifth of its life when that is less, and the server does not wish
    /// it to be replaced by now. What a refresh brings is taken as it is.
    #[must_use]
    pub fn min_life(mut self, time: Duration) -> Self {
        self.min_life = Some(time);
        self
    }

    /// A token with these claims, as the claims challenge of an API has them (`WWW-Authenticate: … claims="…"`, decoded). The
    /// access token of the cache does not have them, so it is not used. An empty text or object asks for nothing.
    ///
    /// # Errors
    /// [`ConfigError::Claims`] when it is no JSON object.
    pub fn claims(mut self, json: &str) -> Result<Self, ConfigError> {
        self.claims = request(json)?;
        Ok(self)
    }

    /// Whose tokens they are.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Whether both ask for the same: the same client, account, claims.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.client, &other.client)
            && self.who == other.who
            && self.force_refresh == other.force_refresh
            && self.min_life == other.min_life
            && self.claims == other.claims
    }

    /// The first step alone: an access token that is in the cache, is good for the scopes and lives for five minutes yet. No
    /// request, no change. `None` also when the server wishes the token to be replaced by now.
    #[must_use]
    pub fn cached(&self, cache: &TokenCache, now: UnixTime) -> Option<SignedIn> {
        let account = self.whose(cache).ok().flatten()?;
        self.look_up(cache, account, now).filter(|found| !self.is_aging(found, now))
    }

    /// The last step alone: a device flow with what is asked for. Hand its outcome to [`keep`](Self::keep).
    ///
    /// `entropy`: as for [`DeviceFlow::new`].
    #[must_use]
    pub fn device_flow(&self, entropy: [u8; 32]) -> DeviceFlow {
        let plain = || DeviceFlow::new(Arc::clone(&self.client), entropy);
        // Checked when they were set.
        plain().claims(&self.claims).unwrap_or_else(|_| plain())
    }

    /// The same after silence was not enough: what the refusal of a refresh asks for goes before what was asked for at first.
    #[must_use]
    pub fn device_flow_after(&self, reason: &SignInReason, entropy: [u8; 32]) -> DeviceFlow {
        let plain = || self.device_flow(entropy);
        let SignInReason::Refused(error) = reason else { return plain() };
        // A challenge that is no object asks for nothing.
        error.claims().and_then(|claims| plain().claims(claims).ok()).unwrap_or_else(plain)
    }

    /// Checks what a device flow brought and keeps it in the cache: tokens, account, what is known of the client.
    ///
    /// The ID token must be from the server that was asked, for this client and alive, with five minutes for clocks that
    /// differ (OpenID Connect Core §3.1.3.7).
    ///
    /// # Errors
    /// [`ProtocolFault::IdToken`] when it is not; nothing is kept then.
    pub fn keep(&self, response: &TokenResponse, cache: &mut TokenCache, now: UnixTime) -> Result<SignedIn, Failure> {
        self.check(response, now)?;
        Ok(self.save(response, cache, None, now))
    }

    pub(super) fn check(&self, response: &TokenResponse, now: UnixTime) -> Result<Option<IdTokenClaims>, Failure> {
        let Some(id_token) = response.id_token() else { return Ok(None) };
        let checked = IdTokenClaims::read(id_token).and_then(|claims| {
            let configured = self.client.issuer();
            let known = self.client.authority().may_name(&claims, configured);
            let issuer = configured.filter(|_| !known).unwrap_or(claims.issuer());
            claims.check(issuer, self.client.client_id(), now)?;
            Ok(claims)
        });
        let broken = |fault| ProtocolError { endpoint: Endpoint::Token, fault: ProtocolFault::IdToken(fault) };
        checked.map(Some).map_err(|fault| Failure::Protocol(broken(fault)))
    }

    /// `known`: whose refresh token it was; `None` after a device flow.
    pub(super) fn save(
        &self,
        response: &TokenResponse,
        cache: &mut TokenCache,
        known: Option<&Account>,
        now: UnixTime,
    ) -> SignedIn {
        let account = known.map(Account::home_account_id);
        let source = account.is_none().then_some(DEVICE_GRANT);
        let authority = self.client.authority();
        let how = SaveAs { client_id: self.client.client_id(), authority, account, source };
        let saved = cache.save(response, &how, now);
        let source = if account.is_none() { TokenSource::DeviceFlow } else { TokenSource::Refresh };
        SignedIn::granted(response, saved.or_else(|| known.cloned()), source, now)
    }

    /// Whose token it is, of those who are signed in; `None` when nobody fits.
    ///
    /// # Errors
    /// [`Failure::WhichAccount`] when several fit.
    pub fn whose(&self, cache: &TokenCache) -> Result<Option<Account>, Failure> {
        let name = match &self.who {
            Who::Known(account) => return Ok(Some(Account::clone(account))),
            Who::Named(name) => Some(name),
            Who::Any => None,
        };
        let authority = self.client.authority();
        let mut fitting = cache.accounts();
        fitting.retain(|account| {
            let is_named = |name: &str| {
                name.eq_ignore_ascii_case(account.username()) || name.eq_ignore_ascii_case(account.home_account_id())
            };
            authority.knows(account.environment()) && name.is_none_or(|name| is_named(name))
        });
        if fitting.len() > 1 {
            // Others may share the cache: who has never used this client is not meant.
            fitting.retain(|account| cache.has_tokens(self.owner(account)));
        }
        if fitting.len() > 1 {
            let names = fitting.iter().map(|account| match account.username() {
                "" => printable(account.home_account_id()),
                _ if name.is_some() => printable(account.home_account_id()),
                username => printable(username),
            });
            return Err(Failure::WhichAccount(names.collect()));
        }
        Ok(fitting.pop())
    }

    /// Whose entries of a cache are meant.
    #[must_use]
    pub fn owner<'a>(&'a self, account: &'a Account) -> Owner<'a> {
        let home_account_id = account.home_account_id();
        Owner { home_account_id, client_id: self.client.client_id(), authority: self.client.authority() }
    }

    fn query(&self) -> AccessTokenQuery<'_> {
        AccessTokenQuery::scopes(self.client.scope()).audience(self.client.audience()).min_life(self.min_life)
    }

    /// Whether it should be replaced by now, although it lives on.
    pub(super) fn is_aging(&self, found: &SignedIn, now: UnixTime) -> bool {
        self.min_life.is_none() && found.is_aging(now)
    }

    /// The access token of the cache, aging or not.
    pub(super) fn look_up(&self, cache: &TokenCache, account: Account, now: UnixTime) -> Option<SignedIn> {
        let owner = self.owner(&account);
        let query = self.query();
        let bypassed = self.force_refresh || !self.claims.is_empty();
        let found = cache.access_token(owner, if bypassed { query.bypass() } else { query }, now)?;
        let id_token = cache.id_token(owner);
        let refreshable = cache.is_refreshable(owner);
        Some(SignedIn::cached(&found, id_token, account, refreshable))
    }

    /// The scopes that a refresh has to name; `None`: those that were granted. Only Microsoft's servers grant others than those
    /// of the sign-in, and others may refuse to hear those again of which they granted a part.
    fn scope_of_refresh(&self) -> Option<&str> {
        (self.client.authority().kind() != AuthorityKind::Generic).then(|| self.client.scope())
    }

    pub(super) fn refresh(&self, token: &Secret) -> Refresh {
        Refresh::silent(Arc::clone(&self.client), token.clone(), self.scope_of_refresh(), &self.claims)
    }

    /// Whether no refresh could bring the scopes.
    pub(super) fn asks_for_more(&self, cache: &TokenCache, account: &Account) -> bool {
        self.scope_of_refresh().is_none() && !cache.has_requested(self.owner(account), self.query())
    }

    pub(super) fn refresh_tokens(&self, cache: &TokenCache, account: &Account) -> Vec<Candidate> {
        let found = cache.refresh_tokens(self.owner(account));
        found.iter().map(|token| Candidate { token: token.secret(), foreign: token.is_of_family() }).collect()
    }
}
