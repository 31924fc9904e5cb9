//! Owns the saving of a grant: its entries, each under the key where other readers look for it, and what they replace.

use super::TokenCache;
use super::account::Account;
use super::authority::{Authority, AuthorityKind, preferred_cache, same_realm};
use super::entry::{AUDIENCE, Entry, Kind, REQUESTED, encoded, hash, members};
use super::lookup::{AccessTokenQuery, OUR_ENDING, Owner, has_scope, is_reserved};
use crate::message::claims::{ClientInfo, IdTokenClaims};
use crate::message::json::Number;
use crate::{Secret, TokenResponse, UnixTime};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;
use zeroize::Zeroizing;

/// The assumed life of an access token without `expires_in`, when a refresh token can replace it: the usual hour.
const USUAL_LIFE: Duration = Duration::from_secs(3_600);

/// The same when no refresh token can replace it: it is used until the server refuses it. Some readers treat a token
/// that expires in ten years or more as damaged.
const LONGEST_LIFE: Duration = Duration::from_secs(3_600 * 24 * 3_649);

/// Where a grant came from: which client requested it from which server, and origin.
#[derive(Clone, Copy, Debug)]
pub struct GrantOrigin<'a> {
    /// The client that requested it.
    pub client_id: &'a str,
    /// The server that granted it.
    pub authority: &'a Authority,
    /// The home account id whose tokens were refreshed; `None` after a sign-in, when the answer names the person.
    pub account: Option<&'a str>,
    /// The grant type of a sign-in, stored as `account_source`; `None` after a refresh.
    pub grant_type: Option<&'a str>,
}

/// The parts that the keys of all entries of a grant share.
struct Place<'a> {
    origin: &'a GrantOrigin<'a>,
    environment: &'a str,
    home: &'a str,
}

/// How the key of a refresh token ends, and which `target` makes Python compute the same key, which it does whenever it
/// writes or removes.
///
/// Each MSAL replaces what is under its own key only, and appends its token otherwise. Then Node and Java send the
/// first in the file, which is the replaced one, and Go any of the two; Python and .NET find the right one. No key
/// suits Node, Java and Go at once: so what one of them has written keeps its key, and Node's is the one for a new
/// token.
enum Spelling<'a> {
    Node,
    /// .NET's, too.
    Java,
    /// The whole key, which has the host in it that Go was configured with.
    Go(&'a str),
}

impl<'a> Spelling<'a> {
    /// `None` for one that only Python writes, with the scopes at its end.
    fn of(key: &'a str, name: &str) -> Option<Self> {
        let stem = key.trim_end_matches('-');
        let (rest, found) = stem.split_at_checked(stem.len().checked_sub(name.len())?)?;
        let is_whole = found.eq_ignore_ascii_case(name) && rest.ends_with("-refreshtoken-");
        match key.len().saturating_sub(stem.len()) {
            _ if !is_whole => None,
            0 => Some(Self::Go(key)),
            2 => Some(Self::Java),
            3 => Some(Self::Node),
            _ => None,
        }
    }

    fn key(&self, stem: &str) -> String {
        let ending = match self {
            Self::Node => OUR_ENDING,
            Self::Java => "--",
            Self::Go(key) => return String::from(*key),
        };
        [&stem.to_lowercase(), ending].concat()
    }

    fn target(&self) -> &'static str {
        if matches!(self, Self::Node) { "-" } else { "" }
    }
}

/// The person who signed in.
struct Identity {
    home: String,
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
    /// has [checked](IdTokenClaims::check). A server that sends neither has one account, whose ids are empty. Without
    /// scopes in the answer, the requested ones were granted (RFC 6749 §5.1).
    ///
    /// Returns the account; `None` after a refresh whose answer does not name the person when the cache does not have
    /// it either.
    pub fn save(&mut self, response: &TokenResponse, origin: &GrantOrigin<'_>, now: UnixTime) -> Option<Account> {
        let identity = Identity::of(response, origin.account);
        let family = member(response, "foci");
        let environment = self.environment(origin.authority, &identity.home);
        let place = Place { origin, environment: &environment, home: &identity.home };
        // Before the access token, which replaces those that date the refresh tokens of others.
        if let Some(token) = response.refresh_token() {
            self.save_refresh_token(token, &place, family.as_deref(), now);
        }
        self.save_access_token(response, &place, now);
        if let Some(token) = response.id_token() {
            self.save_id_token(token, &place);
        }
        let account = self.save_account(&place, &identity);
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

    /// Removes an account at this server: all realms, all access and ID tokens, and the refresh tokens of this client
    /// and of its family. Refresh tokens of other clients stay. `true` when there was something to remove.
    ///
    /// The server still accepts the removed tokens, so revoke the [refresh tokens](TokenCache::refresh_tokens) first.
    pub fn remove_account(&mut self, owner: Owner<'_>) -> bool {
        let home = hash(owner.home_account_id);
        let family = self.app_metadata(owner.client_id, owner.authority).map(Entry::family);
        let family = family.filter(|family| !family.is_empty()).map(String::from);
        let removed = self.take(true, |entry| {
            is_of(entry, home, owner.home_account_id, owner.authority)
                && match entry.kind {
                    Kind::AccessToken | Kind::IdToken | Kind::Account => true,
                    Kind::RefreshToken => {
                        owner.is_client_of(entry) || family.as_deref().is_some_and(|family| family == entry.family())
                    }
                    Kind::AppMetadata => false,
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
        let &Place { origin, environment, home } = place;
        // Some servers never list openid and profile among what they granted; readers look for them.
        let openid = response.missing_scopes().filter(|scope| is_reserved(scope) && *scope != "offline_access");
        let scopes: BTreeSet<&str> = response.scopes().chain(openid).collect();
        let target = scopes.into_iter().collect::<Vec<_>>().join(" ");
        let life = match (response.expires_in(), response.refresh_token()) {
            (Some(life), _) => life,
            (None, Some(_)) => USUAL_LIFE,
            (None, None) => LONGEST_LIFE,
        };
        let realm = origin.authority.realm();
        let mut object = Object::new("AccessToken");
        // Exposed to be written where only its owner reads.
        object.text("secret", response.access_token().expose());
        object.text("home_account_id", home).text("environment", environment).text("client_id", origin.client_id);
        object.text("target", &target).text("realm", realm).text("token_type", "Bearer");
        object.time("cached_at", now).time("expires_on", now.saturating_add(life));
        let audience = response.audience();
        if !audience.is_empty() {
            object.text(AUDIENCE, audience);
        }
        if !AccessTokenQuery::scopes(response.requested()).is_met_by(&target) {
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
        let mut key = [home, environment, "accesstoken", origin.client_id, realm, &target].join("-").to_lowercase();
        if !audience.is_empty() {
            key.push('-');
            key.push_str(audience);
        }
        let hash = hash(home);
        self.put(Entry::made(Kind::AccessToken, &key, &object.json()), |known| {
            is_of(known, hash, home, origin.authority)
                && known.client().eq_ignore_ascii_case(origin.client_id)
                && same_realm(known.realm(), realm, home)
                && known.token_type().eq_ignore_ascii_case("Bearer")
                && !known.is_bound()
                && known.audience() == audience
                && known.target().split(' ').all(|scope| scope.is_empty() || has_scope(&target, scope))
        });
    }

    /// Writes one entry per owner, under the key that the other programs replace, so that no invalid token is left
    /// beside theirs: see [`Spelling`].
    fn save_refresh_token(&mut self, token: &Secret, place: &Place<'_>, family: Option<&str>, now: UnixTime) {
        let &Place { origin, environment, home } = place;
        let hash = hash(home);
        let is_replaced = |known: &Entry| {
            let own = known.client().eq_ignore_ascii_case(origin.client_id) && known.family().is_empty();
            known.kind == Kind::RefreshToken
                && is_of(known, hash, home, origin.authority)
                && (own || family.is_some_and(|family| known.family() == family))
        };
        let owned = self.entries.iter().filter(|known| is_replaced(known));
        let older = owned.filter(|known| known.client().eq_ignore_ascii_case(origin.client_id) && !known.is_bound());
        let older: Vec<&Entry> = older.collect();
        let name = family.unwrap_or(origin.client_id);
        let beside_node = older.iter().any(|known| known.key().ends_with(OUR_ENDING));
        let spelling = older.iter().filter_map(|known| {
            let spelling = Spelling::of(known.key(), name)?;
            // Node drops `target`, so that Python writes under Java's key. But Java and .NET write no time.
            let of_python = beside_node && known.written().is_some() && matches!(spelling, Spelling::Java);
            (!of_python).then(|| (self.freshness(known), spelling))
        });
        let spelling =
            spelling.max_by_key(|(freshness, _)| *freshness).map_or(Spelling::Node, |(_, spelling)| spelling);
        let key = spelling.key(&[home, environment, "refreshtoken", name].join("-"));
        let older = older.into_iter().max_by_key(|known| (known.key().ends_with(OUR_ENDING), known.written())).cloned();
        let mut object = Object::new("RefreshToken");
        // Exposed to be written where only its owner reads.
        object.text("secret", token.expose());
        object.text("home_account_id", home).text("environment", environment).text("client_id", origin.client_id);
        object.time("last_modification_time", now);
        match family {
            // Python's key always contains the client id, so no common key is possible here.
            Some(family) => object.text("family_id", family),
            None => object.text("target", spelling.target()),
        };
        let entry = match older {
            Some(older) => {
                let value = object.over(older.value(), &["home_account_id", "client_id"]);
                Entry::made(Kind::RefreshToken, &key, &value)
            }
            None => Entry::made(Kind::RefreshToken, &key, &object.json()),
        };
        self.put(entry, is_replaced);
    }

    fn save_id_token(&mut self, token: &Secret, place: &Place<'_>) {
        let &Place { origin, environment, home } = place;
        let realm = origin.authority.realm();
        let mut object = Object::new("IdToken");
        // Exposed to be written where only its owner reads.
        object.text("secret", token.expose());
        object.text("home_account_id", home).text("environment", environment);
        object.text("realm", realm).text("client_id", origin.client_id);
        let key = [home, environment, "idtoken", origin.client_id, realm, ""].join("-").to_lowercase();
        let hash = hash(home);
        self.put(Entry::made(Kind::IdToken, &key, &object.json()), |known| {
            is_of(known, hash, home, origin.authority)
                && known.client().eq_ignore_ascii_case(origin.client_id)
                && same_realm(known.realm(), realm, home)
        });
    }

    fn save_account(&mut self, place: &Place<'_>, identity: &Identity) -> Option<Account> {
        let &Place { origin, environment, home } = place;
        let realm = origin.authority.realm();
        let hash = hash(home);
        let is_same = |known: &Entry| {
            known.kind == Kind::Account
                && is_of(known, hash, home, origin.authority)
                && known.realm().eq_ignore_ascii_case(realm)
        };
        let mut same = self.entries.iter().filter(|known| is_same(known));
        let first = same.clone().next();
        let known = same.find(|known| known.environment().eq_ignore_ascii_case(environment)).or(first).cloned();
        if !identity.is_named && origin.account.is_some() {
            // A refresh that does not name the person leaves what is known.
            return known.as_ref().map(Account::of);
        }
        let mut object = Object::default();
        object.text("home_account_id", home).text("environment", environment).text("realm", realm);
        object.text("local_account_id", &identity.local);
        object.text("username", &identity.username).text("authority_type", origin.authority.kind().name());
        for (name, value) in [("name", Some(&*identity.name)), ("account_source", origin.grant_type)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                object.text(name, value);
            }
        }
        if let Some(client_info) = &identity.client_info {
            object.text("client_info", client_info);
        }
        let entry = match known {
            Some(known) => {
                let mut kept = Vec::from(["home_account_id", "environment", "realm", "authority_type"]);
                let named = [("username", &identity.username), ("local_account_id", &identity.local)];
                kept.extend(named.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| *name));
                Entry::made(Kind::Account, known.key(), &object.over(known.value(), &kept))
            }
            None => {
                let key = [home, environment, realm].join("-").to_lowercase();
                Entry::made(Kind::Account, &key, &object.json())
            }
        };
        let account = Account::of(&entry);
        let key = String::from(entry.key());
        self.put(entry, |known| known.key().eq_ignore_ascii_case(&key));
        Some(account)
    }

    /// The name of the server under which everything of a person is written, since Python signs out under one name
    /// only, that of the account. Python writes the name that it was configured with, and beside that it does not see
    /// an account under another name. All other MSALs write the preferred name, so that is used for a new person and
    /// for one who has an account there.
    fn environment(&self, authority: &Authority, home: &str) -> String {
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
    fn of(response: &TokenResponse, account: Option<&str>) -> Self {
        let client_info = member(response, "client_info");
        let info = client_info.as_deref().and_then(ClientInfo::read);
        let claims = response.id_token().and_then(|token| IdTokenClaims::read(token).ok());
        let subject = claims.as_ref().map(IdTokenClaims::subject);
        let named_home = info.as_ref().map(ClientInfo::home_account_id);
        let is_named = named_home.is_some() || subject.is_some();
        // A refresh may bring an ID token without client_info: the account stays the one it was.
        let known = || account.or(subject).map(String::from);
        let home = match (named_home, account) {
            // Keep the spelling of the cache.
            (Some(named), Some(known)) if named.eq_ignore_ascii_case(known) => String::from(known),
            (Some(named), _) => named,
            (None, _) => known().unwrap_or_default(),
        };
        let claims = claims.as_ref();
        let local = claims.and_then(IdTokenClaims::object_id).or(subject).or(info.as_ref().map(ClientInfo::uid));
        Self {
            home,
            local: String::from(local.unwrap_or_default()),
            username: String::from(claims.and_then(IdTokenClaims::username).unwrap_or_default()),
            name: String::from(claims.and_then(IdTokenClaims::name).unwrap_or_default()),
            is_named,
            client_info: client_info.filter(|_| info.is_some()),
        }
    }
}

/// Whether an entry belongs to this person at this server; the hash is compared first.
fn is_of(entry: &Entry, home_hash: u64, home: &str, authority: &Authority) -> bool {
    entry.home_hash == home_hash
        && entry.is_readable()
        && entry.home().eq_ignore_ascii_case(home)
        && authority.knows(entry.environment())
}

/// A further member of the answer, as text; a number is its digits.
fn member(response: &TokenResponse, name: &str) -> Option<String> {
    // Exposed to be read; client_info names the person and is not a secret by itself.
    let json = response.extra(name)?.expose();
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
struct Object<'a>(Vec<(&'a str, Zeroizing<String>)>);

impl<'a> Object<'a> {
    fn new(credential_type: &'a str) -> Self {
        let mut object = Self::default();
        object.text("credential_type", credential_type);
        object
    }

    fn text(&mut self, name: &'a str, value: &str) -> &mut Self {
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

    fn json(&self) -> Zeroizing<String> {
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
