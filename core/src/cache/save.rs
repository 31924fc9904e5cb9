//! Owns the saving of a grant: its entries, each under the key where other readers look for it, and what they replace.

use super::TokenCache;
use super::account::Account;
use super::authority::{Authority, AuthorityKind, preferred_cache};
use super::entry::{AUDIENCE, Entry, Kind, PROOF_KEY, REQUESTED, SLOT, encoded, hash, members};
use super::lookup::{AccessTokenQuery, OUR_ENDING, has_scope, is_reserved};
use super::owner::exact_key;
use super::spelling::Spelling;
use super::{Owner, Person};
use crate::message::claims::{ClientInfo, IdTokenClaims};
use crate::message::json::Number;
use crate::{Secret, TokenResponse, UnixTime};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;
use zeroize::Zeroizing;

/// The assumed life of an access token of Microsoft's without `expires_in`: the usual hour. Every reader of their schema
/// needs a time; elsewhere what is unknown is not written.
const USUAL_LIFE: Duration = Duration::from_secs(3_600);

/// Where a grant came from: which client requested it from which server, and origin.
#[derive(Clone, Copy, Debug)]
pub struct GrantOrigin<'a> {
    /// The client that requested it.
    pub client_id: &'a str,
    /// The server that granted it.
    pub authority: &'a Authority,
    /// After a refresh, whose token was refreshed. After a sign-in, who it is when the answer does not say.
    pub person: Person<'a>,
    /// The grant type of a sign-in, stored as `account_source`; `None` after a refresh.
    pub grant_type: Option<&'a str>,
}

/// What all entries of a grant share.
struct Place<'a> {
    owner: Owner<'a>,
    environment: &'a str,
}

impl Place<'_> {
    /// The beginning of an object. An exact entry of a person without an id has the slot instead.
    fn start(&self, object: &mut Object<'_>) {
        object.text("home_account_id", self.owner.person.id()).text("environment", self.environment);
        if self.owner.is_exact() && matches!(self.owner.person, Person::Slot(_)) {
            object.text(SLOT, self.owner.person.slot());
        }
    }

    /// The key of an exact entry: server, client, person, and what tells entries of one owner apart.
    fn exact_key(&self, further: &[&str]) -> String {
        let mut key = self.owner.key();
        if !further.is_empty() {
            key.push(' ');
            key.push_str(&exact_key(further));
        }
        key
    }
}

/// The person who signed in.
struct Identity {
    home: String,
    slot: String,
    local: String,
    username: String,
    name: String,
    /// Whether the answer named the person, so that the account must be written.
    is_named: bool,
    client_info: Option<String>,
}

impl TokenCache {
    /// Saves a grant: access token, refresh token, ID token, account and what is known of the client. It removes the
    /// refresh tokens of the same owner that it replaces, whatever key their writer used, and the access tokens whose
    /// scopes it covers.
    ///
    /// The person is named by Microsoft's `client_info` (`uid.utid`), else by the ID token (`sub`), which the caller
    /// has [checked](IdTokenClaims::check). When the server sends neither, the account is in the slot of `origin`. Without
    /// scopes in the answer, the requested ones were granted (RFC 6749 §5.1).
    ///
    /// Returns the account; `None` after a refresh whose answer does not name the person when the cache does not have
    /// it either.
    pub fn save(&mut self, response: &TokenResponse, origin: &GrantOrigin<'_>, now: UnixTime) -> Option<Account> {
        let identity = Identity::of(response, origin);
        let family = member(response, "foci").filter(|_| origin.authority.kind() == AuthorityKind::Entra);
        let environment = self.environment(origin.authority, &identity.home);
        let person = if identity.home.is_empty() { Person::Slot(&identity.slot) } else { Person::Id(&identity.home) };
        let owner = Owner { person, client_id: origin.client_id, authority: origin.authority };
        let place = Place { owner, environment: &environment };
        self.take_over(&place);
        // Before the access token, which replaces those that date the refresh tokens of others.
        if let Some(token) = response.refresh_token() {
            self.save_refresh_token(token, response.bound_to(), &place, family.as_deref(), now);
        }
        self.save_access_token(response, &place, now);
        if let Some(token) = response.id_token() {
            self.save_id_token(token, &place);
        }
        let account = self.save_account(&place, &identity, origin.grant_type);
        if origin.authority.kind() == AuthorityKind::Entra {
            self.save_app_metadata(origin.client_id, origin.authority, &environment, family.as_deref());
        }
        self.reindex();
        account
    }

    /// Puts a new refresh token in the place of an old one, which may be invalid by now: after a refresh whose answer
    /// was of no other use, with the token from [`Refresh::rotated`](crate::Refresh::rotated). `true` when the old one
    /// was there.
    pub fn replace_refresh_token(&mut self, old: &Secret, new: &Secret, now: UnixTime) -> bool {
        // Exposed to be compared with what is in the cache, and to be written where only its owner reads.
        let (old, new) = (old.expose(), new.expose());
        let is_old = |entry: &&Entry| entry.kind == Kind::RefreshToken && entry.secret() == old;
        let found: Vec<Entry> = self.entries.iter().filter(is_old).cloned().collect();
        for entry in &found {
            let mut object = Object::default();
            object.text("secret", new).time("last_modification_time", now);
            self.put(Entry::made(Kind::RefreshToken, entry.key(), &object.over(entry.value(), &[])), |_| false);
        }
        self.reindex();
        !found.is_empty()
    }

    /// Postpones the replacement of an aging access token until `until`, after an attempt that failed.
    pub(crate) fn postpone_refresh(&mut self, token: &Secret, until: UnixTime) {
        // Exposed to be compared with what is in the cache.
        let token = token.expose();
        let is_it = |entry: &&Entry| entry.kind == Kind::AccessToken && entry.secret() == token;
        if let Some(entry) = self.entries.iter().find(is_it).cloned() {
            let mut object = Object::default();
            object.time("refresh_on", until);
            self.put(Entry::made(Kind::AccessToken, entry.key(), &object.over(entry.value(), &[])), |_| false);
            self.reindex();
        }
    }

    /// Removes an account at this server. Of Microsoft's: all realms, all access and ID tokens, and the refresh tokens of
    /// this client and of its family; refresh tokens of other clients stay. Elsewhere what this client has. `true` when
    /// there was something to remove.
    ///
    /// The server still accepts the removed tokens, so revoke the [refresh tokens](TokenCache::refresh_tokens) first.
    pub fn remove_account(&mut self, owner: Owner<'_>) -> bool {
        let home = hash(owner.person.id());
        let is_shared = self.is_shared_in_0_1(&owner);
        let family = self.app_metadata(owner.client_id, owner.authority).map(Entry::family);
        let family = family.filter(|family| !family.is_empty()).map(String::from);
        let removed = self.take(true, |entry| {
            is_of(entry, home, &owner)
                && match entry.kind {
                    Kind::AccessToken | Kind::IdToken => !owner.is_exact() || owner.is_client_of(entry),
                    Kind::Account => owner.is_account_of(entry) && (entry.is_exact() || !is_shared),
                    Kind::RefreshToken => {
                        owner.is_client_of(entry) || family.as_deref().is_some_and(|family| family == entry.family())
                    }
                    Kind::AppMetadata | Kind::Revocation => false,
                }
        });
        self.reindex();
        removed
    }

    /// Removes every copy of a refresh token that the server has refused for good. One that another process has put in
    /// its place meanwhile survives the [`merge`](TokenCache::merge). `true` when it was there.
    pub fn remove_refresh_token(&mut self, token: &Secret) -> bool {
        // Exposed to be compared with what is in the cache.
        let token = token.expose();
        let removed = self.take(false, |entry| entry.kind == Kind::RefreshToken && entry.secret() == token);
        self.reindex();
        removed
    }

    /// Records that the server said that this client is in no family: from now on only its own refresh tokens are
    /// tried.
    pub fn leave_family(&mut self, client_id: &str, authority: &Authority) {
        let known = self.app_metadata(client_id, authority).map(Entry::environment);
        let environment = String::from(known.unwrap_or_else(|| preferred_cache(authority.environment())));
        self.save_app_metadata(client_id, authority, &environment, None);
        self.reindex();
    }

    fn save_access_token(&mut self, response: &TokenResponse, place: &Place<'_>, now: UnixTime) {
        let &Place { owner, environment } = place;
        let home = owner.person.id();
        // Some servers never list openid and profile among what they granted; readers look for them.
        let openid = response.missing_scopes().filter(|scope| is_reserved(scope) && *scope != "offline_access");
        let scopes: BTreeSet<&str> = response.raw_scopes().chain(openid).collect();
        let target = scopes.into_iter().collect::<Vec<_>>().join(" ");
        let life = response.expires_in().or_else(|| (!owner.is_exact()).then_some(USUAL_LIFE));
        let realm = owner.authority.realm();
        let mut object = Object::new("AccessToken");
        // Exposed to be written where only its owner reads.
        object.text("secret", response.access_token().expose());
        place.start(&mut object);
        object.text("client_id", owner.client_id).text("target", &target).text("realm", realm);
        object.text("token_type", response.token_type().as_str()).time("cached_at", now);
        if !response.key().is_empty() {
            object.text(PROOF_KEY, response.key());
        }
        if let Some(life) = life {
            object.time("expires_on", now.saturating_add(life));
        }
        let audience = response.audience();
        if !audience.is_empty() {
            object.text(AUDIENCE, audience);
        }
        if !AccessTokenQuery::scopes(response.requested()).is_met_by(&target, owner.is_exact()) {
            // Without this the same request would never find the token, when the server names other scopes (GitHub sums
            // them up).
            object.text(REQUESTED, response.requested());
        }
        if let Some(life) = seconds(response, "ext_expires_in") {
            object.time("extended_expires_on", now.saturating_add(life));
        }
        if let Some(life) = seconds(response, "refresh_in") {
            object.time("refresh_on", now.saturating_add(life));
        }
        let key = if owner.is_exact() {
            place.exact_key(&[&target, audience])
        } else {
            let mut key = [home, environment, "accesstoken", owner.client_id, realm, &target].join("-").to_lowercase();
            if !audience.is_empty() {
                key.push('-');
                key.push_str(audience);
            }
            key
        };
        let hash = hash(home);
        let is_covered = |scope: &str| scope.is_empty() || has_scope(&target, scope, owner.is_exact());
        self.put(Entry::made(Kind::AccessToken, &key, &object.json()), |known| {
            is_of(known, hash, &owner)
                && owner.is_client_of(known)
                && owner.is_in_realm_of(known)
                && (known.token_type().eq_ignore_ascii_case("Bearer") || !known.proof_key().is_empty())
                && !known.is_bound()
                && known.audience() == audience
                && known.target().split(' ').all(is_covered)
        });
    }

    /// Writes one entry per owner, under the key that the other programs replace, so that no invalid token is left
    /// beside theirs: see [`Spelling`].
    fn save_refresh_token(
        &mut self,
        token: &Secret,
        bound_to: &str,
        place: &Place<'_>,
        family: Option<&str>,
        now: UnixTime,
    ) {
        let &Place { owner, environment } = place;
        let home = owner.person.id();
        let hash = hash(home);
        let is_replaced = |known: &Entry| {
            let own = owner.is_client_of(known) && known.family().is_empty();
            known.kind == Kind::RefreshToken
                && is_of(known, hash, &owner)
                && (own || family.is_some_and(|family| known.family() == family))
        };
        let owned = self.entries.iter().filter(|known| is_replaced(known));
        let older = owned.filter(|known| owner.is_client_of(known) && !known.is_bound());
        let older: Vec<&Entry> = older.collect();
        let name = family.unwrap_or(owner.client_id);
        let spelling = if owner.is_exact() { Spelling::Node } else { self.spelling(&older, name) };
        let key = if owner.is_exact() {
            place.exact_key(&[])
        } else {
            spelling.key(&[home, environment, "refreshtoken", name].join("-"))
        };
        let older = older.into_iter().max_by_key(|known| (known.key().ends_with(OUR_ENDING), known.written())).cloned();
        let mut object = Object::new("RefreshToken");
        // Exposed to be written where only its owner reads.
        object.text("secret", token.expose());
        place.start(&mut object);
        object.text("client_id", owner.client_id).time("last_modification_time", now);
        match family {
            // Python's key always contains the client id, so no common key is possible here.
            Some(family) => drop(object.text("family_id", family)),
            None if owner.is_exact() => {}
            None => drop(object.text("target", spelling.target())),
        }
        // Empty over an older one that was bound.
        if !bound_to.is_empty() || older.as_ref().is_some_and(|older| !older.proof_key().is_empty()) {
            object.text(PROOF_KEY, bound_to);
        }
        let entry = match older {
            Some(older) => {
                let spelling: &[&str] = if owner.is_exact() { &[] } else { &["home_account_id", "client_id"] };
                let value = object.over(older.value(), spelling);
                Entry::made(Kind::RefreshToken, &key, &value)
            }
            None => Entry::made(Kind::RefreshToken, &key, &object.json()),
        };
        self.put(entry, is_replaced);
    }

    fn save_id_token(&mut self, token: &Secret, place: &Place<'_>) {
        let &Place { owner, environment } = place;
        let (home, realm) = (owner.person.id(), owner.authority.realm());
        let mut object = Object::new("IdToken");
        // Exposed to be written where only its owner reads.
        object.text("secret", token.expose());
        place.start(&mut object);
        object.text("realm", realm).text("client_id", owner.client_id);
        let key = if owner.is_exact() {
            place.exact_key(&[])
        } else {
            [home, environment, "idtoken", owner.client_id, realm, ""].join("-").to_lowercase()
        };
        let hash = hash(home);
        self.put(Entry::made(Kind::IdToken, &key, &object.json()), |known| {
            is_of(known, hash, &owner) && owner.is_client_of(known) && owner.is_in_realm_of(known)
        });
    }

    fn save_account(&mut self, place: &Place<'_>, identity: &Identity, grant_type: Option<&str>) -> Option<Account> {
        let &Place { owner, environment } = place;
        let (home, realm) = (owner.person.id(), owner.authority.realm());
        let hash = hash(home);
        let is_same = |known: &Entry| {
            known.kind == Kind::Account
                && known.home_hash == hash
                && known.is_readable()
                && owner.is_account_of(known)
                && known.realm().eq_ignore_ascii_case(realm)
        };
        let mut same = self.entries.iter().filter(|known| is_same(known));
        let first = same.clone().next();
        let known = same.find(|known| known.environment().eq_ignore_ascii_case(environment)).or(first).cloned();
        let is_former = known.as_ref().is_some_and(|known| owner.is_exact() && !known.is_exact());
        if !identity.is_named && grant_type.is_none() && !is_former {
            // A refresh that does not name the person leaves what is known.
            return known.as_ref().map(Account::of);
        }
        let mut object = Object::default();
        place.start(&mut object);
        object.text("realm", realm).text("local_account_id", &identity.local);
        object.text("username", &identity.username).text("authority_type", owner.authority.kind().name());
        if owner.is_exact() {
            object.text("client_id", owner.client_id);
        }
        for (name, value) in [("name", Some(&*identity.name)), ("account_source", grant_type)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                object.text(name, value);
            }
        }
        if let Some(client_info) = &identity.client_info {
            object.text("client_info", client_info);
        }
        let key = match &known {
            _ if owner.is_exact() => place.exact_key(&[]),
            Some(known) => String::from(known.key()),
            None => [home, environment, realm].join("-").to_lowercase(),
        };
        let entry = match known {
            Some(known) => {
                let mut spelling = Vec::from(["home_account_id", "environment", "realm", "authority_type"]);
                spelling.retain(|_| !owner.is_exact());
                let named = [("username", &identity.username), ("local_account_id", &identity.local)];
                spelling.extend(named.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| *name));
                Entry::made(Kind::Account, &key, &object.over(known.value(), &spelling))
            }
            None => Entry::made(Kind::Account, &key, &object.json()),
        };
        let account = Account::of(&entry);
        let is_shared = self.is_shared_in_0_1(&owner);
        self.put(entry, |known| owner.is_exact() && is_same(known) && (known.is_exact() || !is_shared));
        Some(account)
    }

    /// Writes what version 0.1.0 wrote for this owner as it is written today, so that nobody else can be meant by it.
    fn take_over(&mut self, place: &Place<'_>) {
        let owner = place.owner;
        let is_former = |entry: &&Entry| !entry.is_exact() && owner.is_exact() && owner.is_client_of(entry);
        let former: Vec<Entry> = self.owned_by(&owner).filter(is_former).cloned().collect();
        self.rewrite(former, place);
    }

    /// Moves a person whom the server does not name to another [slot](Person::Slot), in place of whoever was there.
    /// `true` when there was something to move.
    pub fn move_to_slot(&mut self, owner: Owner<'_>, slot: &str) -> bool {
        let to = Owner { person: Person::Slot(slot), ..owner };
        let is_own = |entry: &&Entry| entry.is_exact() && entry.kind != Kind::Revocation && owner.is_client_of(entry);
        let own: Vec<Entry> = self.owned_by(&owner).filter(is_own).cloned().collect();
        if own.is_empty() || !matches!(owner.person, Person::Slot(from) if from != slot) {
            return false;
        }
        self.remove_account(to);
        self.rewrite(own, &Place { owner: to, environment: owner.authority.environment() });
        self.reindex();
        true
    }

    /// Writes entries as those of this owner, in place of what they were.
    fn rewrite(&mut self, entries: Vec<Entry>, place: &Place<'_>) {
        for entry in entries {
            let mut object = Object::default();
            place.start(&mut object);
            let key = match entry.kind {
                Kind::AccessToken => place.exact_key(&[entry.target(), entry.audience()]),
                Kind::RefreshToken | Kind::IdToken | Kind::Account | Kind::AppMetadata | Kind::Revocation => {
                    place.exact_key(&[])
                }
            };
            let (kind, old) = (entry.kind, String::from(entry.key()));
            self.put(Entry::made(kind, &key, &object.over(entry.value(), &[])), |known| known.key() == old);
        }
    }

    /// Whether another client has tokens under an account as version 0.1.0 wrote it, for all clients of a server.
    fn is_shared_in_0_1(&self, owner: &Owner<'_>) -> bool {
        owner.is_exact()
            && self
                .owned_by(owner)
                .any(|entry| !entry.is_exact() && !entry.client().is_empty() && !owner.is_client_of(entry))
    }

    /// The name of the server under which everything of a person is written, since Python signs out under one name
    /// only, that of the account. Python writes the name that it was configured with, and beside that it does not see
    /// an account under another name. All other MSALs write the preferred name, so that is used for a new person and
    /// for one who has an account there.
    fn environment(&self, authority: &Authority, home: &str) -> String {
        if authority.kind() == AuthorityKind::Generic {
            return String::from(authority.environment());
        }
        let preferred = preferred_cache(authority.environment());
        let accounts = self.of_home(home).filter(|known| known.kind == Kind::Account);
        let mut names = accounts.map(Entry::environment).filter(|name| authority.knows(name)).peekable();
        let first = names.peek().copied();
        let is_preferred = names.any(|name| name.eq_ignore_ascii_case(preferred));
        String::from(first.filter(|_| !is_preferred).unwrap_or(preferred))
    }

    /// Writes one entry per client: when there are two, under two names of the cloud, Node finds no tokens at all.
    fn save_app_metadata(&mut self, client_id: &str, authority: &Authority, environment: &str, family: Option<&str>) {
        let known = self.app_metadata(client_id, authority);
        let mut object = Object::default();
        object.text("client_id", client_id).text("environment", environment);
        match (family, known) {
            (Some(family), _) => object.text("family_id", family),
            (None, Some(known)) if !known.family().is_empty() => object.json_member("family_id", "null"),
            (None, _) => &mut object,
        };
        let key = ["appmetadata", environment, client_id].join("-").to_lowercase();
        let entry = match known {
            Some(known) => Entry::made(Kind::AppMetadata, &key, &object.over(known.value(), &["client_id"])),
            None => Entry::made(Kind::AppMetadata, &key, &object.json()),
        };
        self.put(entry, |known| known.client().eq_ignore_ascii_case(client_id) && authority.knows(known.environment()));
    }
}

impl Identity {
    fn of(response: &TokenResponse, origin: &GrantOrigin<'_>) -> Self {
        let exact = origin.authority.kind() == AuthorityKind::Generic;
        let client_info = member(response, "client_info").filter(|_| !exact);
        let info = client_info.as_deref().and_then(ClientInfo::read);
        let claims = response.id_token().and_then(|token| IdTokenClaims::read(token).ok());
        let claims = claims.as_ref();
        let subject = claims.map(IdTokenClaims::raw_subject);
        let named_home = info.as_ref().map(ClientInfo::raw_home_account_id);
        let is_named = named_home.is_some() || subject.is_some();
        let known = Some(origin.person.id()).filter(|id| !id.is_empty());
        let home = match named_home {
            // Keep the spelling of the cache.
            Some(named) => known.filter(|known| named.eq_ignore_ascii_case(known)).map_or(named, String::from),
            // A refresh is about the person whose token it was, a slot included, and may name them for the first time.
            None if exact && origin.grant_type.is_none() => String::from(origin.person.id()),
            None if exact => String::from(subject.or(known).unwrap_or_default()),
            // A refresh may bring an ID token without client_info: the account stays the one it was.
            None => String::from(known.or(subject).unwrap_or_default()),
        };
        let local =
            claims.and_then(IdTokenClaims::raw_object_id).or(subject).or(info.as_ref().map(ClientInfo::raw_uid));
        Self {
            slot: String::from(if home.is_empty() { origin.person.slot() } else { "" }),
            home,
            local: String::from(local.unwrap_or_default()),
            username: String::from(claims.and_then(IdTokenClaims::raw_username).unwrap_or_default()),
            name: String::from(claims.and_then(IdTokenClaims::raw_name).unwrap_or_default()),
            is_named,
            client_info: client_info.filter(|_| info.is_some()),
        }
    }
}

/// Whether an entry belongs to this person at this server; the hash is compared first.
fn is_of(entry: &Entry, home_hash: u64, owner: &Owner<'_>) -> bool {
    entry.home_hash == home_hash && entry.is_readable() && owner.is_person_of(entry)
}

impl Owner<'_> {
    /// Whether Microsoft's `client_info` of an answer, as JSON, is about this person, or says nothing.
    pub(crate) fn may_be(&self, client_info: Option<&Secret>) -> bool {
        let named = client_info.and_then(text).as_deref().and_then(ClientInfo::read);
        let known = self.person.id();
        let same = named.is_none_or(|named| named.raw_home_account_id().eq_ignore_ascii_case(known));
        self.is_exact() || known.is_empty() || same
    }
}

/// A further member of the answer, as text; a number is its digits.
fn member(response: &TokenResponse, name: &str) -> Option<String> {
    text(response.extra(name)?)
}

fn text(json: &Secret) -> Option<String> {
    // Exposed to be read; client_info names the person and is not a secret by itself.
    let json = json.expose();
    let text = if json.starts_with('"') { serde_json::from_str(json).ok()? } else { String::from(json) };
    Some(text).filter(|text| !text.is_empty() && !text.starts_with(['{', '[']))
}

/// A lifetime in seconds that the answer may hold. Nonsense counts as absent, so that the tokens are not lost because
/// of it.
fn seconds(response: &TokenResponse, name: &str) -> Option<Duration> {
    let number = Number::read(&member(response, name)?)?;
    (!number.negative).then(|| Duration::from_secs(number.floor))
}

/// The members of a new entry, as JSON.
#[derive(Default)]
pub(super) struct Object<'a>(Vec<(&'a str, Zeroizing<String>)>);

impl<'a> Object<'a> {
    fn new(credential_type: &'a str) -> Self {
        let mut object = Self::default();
        object.text("credential_type", credential_type);
        object
    }

    pub(super) fn text(&mut self, name: &'a str, value: &str) -> &mut Self {
        self.0.push((name, encoded(value)));
        self
    }

    /// As a text, which is what readers expect.
    fn time(&mut self, name: &'a str, time: UnixTime) -> &mut Self {
        self.text(name, &time.as_secs().to_string())
    }

    fn json_member(&mut self, name: &'a str, json: &str) -> &mut Self {
        self.0.push((name, Zeroizing::new(String::from(json))));
        self
    }

    pub(super) fn json(&self) -> Zeroizing<String> {
        let own = self.0.iter().map(|(name, json)| (encoded(name), json.as_str()));
        write(&own.collect::<Vec<_>>())
    }

    /// The older object with these members in place of its own, except those in `kept`. All its other members stay.
    fn over(&self, older: &str, kept: &[&str]) -> Zeroizing<String> {
        let mut all: Vec<(Zeroizing<String>, &str)> = Vec::new();
        let own = |written: &str| self.0.iter().find(|(name, _)| *encoded(name) == *written);
        members(older, &mut |name, value| {
            let replaced = own(name).filter(|(name, _)| !kept.contains(name));
            let value = replaced.map_or(value, |(_, json)| json.as_str());
            all.push((Zeroizing::new(String::from(name)), value));
        });
        for (name, json) in &self.0 {
            let name = encoded(name);
            if !all.iter().any(|(known, _)| *known == name) {
                all.push((name, json.as_str()));
            }
        }
        write(&all)
    }
}

/// Measured first so that it never grows, which would leave copies of secrets behind.
fn write(members: &[(Zeroizing<String>, &str)]) -> Zeroizing<String> {
    let length = members.iter().map(|(name, json)| name.len().saturating_add(json.len()).saturating_add(2)).sum();
    let mut text = Zeroizing::new(String::with_capacity(usize::saturating_add(length, 2)));
    for (name, json) in members {
        let separator = if text.is_empty() { '{' } else { ',' };
        text.push(separator);
        text.push_str(name);
        text.push(':');
        text.push_str(json);
    }
    text.push('}');
    text
}
