//! Invariant: bytes are a token cache exactly when they are a JSON object or empty; every member, known or not,
//! survives reading and writing; no query changes anything or finds something that is not in the file; and saving,
//! merging and removing leave everything of other people unchanged.

use crate::body::RawMembers;
use device_flow_core::{
    AccessTokenQuery, Action, Authority, Client, GrantOrigin, Machine, Owner, Provider, Refresh, Response, Timestamp,
    TokenCache, TokenResponse, UnixTime,
};
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::sync::OnceLock;

const KINDS: [&str; 5] = ["\"AccessToken\"", "\"RefreshToken\"", "\"IdToken\"", "\"Account\"", "\"AppMetadata\""];
const NOW: u64 = 1_800_000_000;

/// The bytes are a cache.
pub fn check(data: &[u8]) {
    let read = TokenCache::from_json(data);
    assert_eq!(read.is_ok(), is_cache(data), "whether it is a cache: {:?}", read.err());
    let Ok(cache) = read else { return };
    let text = std::str::from_utf8(data).unwrap();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (before, written) = (File::read(text), cache.to_json());
    let file = File::read(written.expose());
    if let Some(before) = &before {
        assert_eq!(before.others(|_| false), file.as_ref().unwrap().others(|_| false), "a member was lost or changed");
        assert_eq!(before.entries(), file.as_ref().unwrap().entries(), "an entry was lost or changed");
    }
    assert_eq!(again(&cache).to_json().expose(), written.expose(), "written, read and written is not the same");
    assert_eq!(format!("{cache:?}").split('{').next(), Some("TokenCache "));

    let file = file.unwrap();
    let people = file.people();
    for person in people.iter().take(4) {
        ask(&cache, &file, person);
    }
    let accounts = cache.accounts();
    let known = file.entries().iter().filter(|(kind, ..)| *kind == KINDS[3]).count();
    assert!(accounts.len() <= known, "an account that is not in the file");
    for account in accounts.iter().take(4) {
        assert!(
            cache
                .account(account.raw_username())
                .is_none_or(|found| found.raw_username().eq_ignore_ascii_case(account.raw_username()))
        );
    }
    assert!(!cache.is_changed() && cache.to_json().expose() == written.expose(), "a query changed the cache");
    let newcomer = Person { home: "uid.utid".into(), environment: "login.windows.net".into(), ..Person::default() };
    change(&written, &file, people.get(data.len() % 4).unwrap_or(&newcomer), data.len());
}

fn is_cache(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let object = text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{');
    text.trim().is_empty() || object && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn again(cache: &TokenCache) -> TokenCache {
    TokenCache::from_json(cache.to_json().expose().as_bytes()).expect("what was written is read")
}

/// The owners of the entries.
#[derive(Clone, Debug, Default, PartialEq)]
struct Person {
    home: String,
    environment: String,
    client: String,
    realm: String,
    target: String,
}

fn owner<'a>(person: &'a Person, authority: &'a Authority) -> Owner<'a> {
    let id = match &*person.home {
        "" => device_flow_core::Person::Slot(""),
        home => device_flow_core::Person::Id(home),
    };
    Owner { person: id, client_id: &person.client, authority }
}

/// A server of Microsoft's, by its host.
fn microsoft(person: &Person) -> Authority {
    Authority::entra(&person.environment, &person.realm)
}

/// What is found is in the file, is not expired, and covers the request.
fn ask(cache: &TokenCache, file: &File<'_>, person: &Person) {
    let authority = microsoft(person);
    let owner = owner(person, &authority);
    let query = AccessTokenQuery::scopes(&person.target);
    assert!(cache.access_token(owner, query.bypass(), UnixTime::from_secs(NOW)).is_none());
    for now in [0, NOW, u64::MAX] {
        let Some(token) = cache.access_token(owner, query, UnixTime::from_secs(now)) else { continue };
        let (end, secret) = (token.expires_on().expect("MSAL always writes it").as_secs(), token.secret());
        assert!(end > now.saturating_add(file.margin(secret.expose(), end)), "an expired token");
        assert!(file.has_text("\"secret\"", token.secret().expose()), "a token that is not in the file");
        assert!(token.token_type().eq_ignore_ascii_case("Bearer"));
        let _ = token.is_aging(UnixTime::from_secs(now));
    }
    let refresh_tokens = cache.refresh_tokens(owner);
    for token in &refresh_tokens {
        assert!(file.has_text("\"secret\"", token.secret().expose()), "a refresh token that is not in the file");
    }
    assert_eq!(format!("{refresh_tokens:?}").matches("CachedRefreshToken").count(), refresh_tokens.len());
    if let Some(token) = cache.id_token(owner) {
        assert!(
            token.expose().is_empty() || file.has_text("\"secret\"", token.expose()),
            "an ID token that is not in the file"
        );
    }
}

/// A grant, through the same code as every grant, with or without details of the person.
fn grant(tells: bool) -> &'static TokenResponse {
    static GRANTS: OnceLock<[TokenResponse; 2]> = OnceLock::new();
    let read = |more: &str| {
        let provider = Provider::endpoints("https://as.example/device", "https://as.example/token");
        let client = Client::builder(provider, "fuzz").scope("user.read").build().unwrap();
        let mut refresh = Refresh::new(client, "old");
        let Action::SendRequest(outgoing) = refresh.next_action(Timestamp::ZERO) else { panic!("no request") };
        let body = format!(
            r#"{{"access_token":"new-access","token_type":"Bearer","expires_in":3600,"refresh_token":"new-refresh"{more}}}"#
        );
        refresh.response(outgoing.ticket, Response::new(200, body.as_bytes()), Timestamp::ZERO).unwrap();
        let Action::Done(Ok(token)) = refresh.next_action(Timestamp::ZERO) else { panic!("no token") };
        token
    };
    // {"uid":"uid","utid":"utid"}
    let grants = GRANTS.get_or_init(|| [read(""), read(r#","client_info":"eyJ1aWQiOiJ1aWQiLCJ1dGlkIjoidXRpZCJ9""#)]);
    &grants[usize::from(tells)]
}

/// A sign-in or a refresh, a merge with what is stored, and a sign-out.
fn change(written: &device_flow_core::Secret, file: &File<'_>, person: &Person, salt: usize) {
    let stored = || TokenCache::from_json(written.expose().as_bytes()).unwrap();
    let (mut cache, tells) = (stored(), salt.is_multiple_of(2));
    let (authority, now) = (microsoft(person), UnixTime::from_secs(NOW));
    let person = if tells { Person { home: "uid.utid".into(), ..person.clone() } } else { person.clone() };
    let owner = owner(&person, &authority);
    let how = GrantOrigin {
        client_id: &person.client,
        authority: &authority,
        person: owner.person,
        grant_type: Some("grant"),
    };
    let _ = cache.save(grant(tells), &how, now);
    let saved = cache.to_json();
    let after = File::read(saved.expose()).expect("an object");
    file.survives(&after, &person);
    assert_eq!(again(&cache).to_json().expose(), saved.expose(), "saved, read and written is not the same");
    let query = AccessTokenQuery::scopes("user.read");
    let found = cache.access_token(owner, query, now).expect("what was saved is not found");
    assert!(found.expires_on().is_some_and(|end| end.as_secs() >= NOW + 3_600));
    let refreshed =
        |cache: &TokenCache| cache.refresh_tokens(owner).iter().any(|token| token.secret().expose() == "new-refresh");
    assert!(refreshed(&cache), "what was saved is not found");

    cache.merge(stored());
    assert!(refreshed(&cache), "a merge with what was loaded lost the change");
    if file.keys_differ() {
        let merged = cache.to_json();
        let (mut ours, mut merged) =
            (after.entries(), File::read(merged.expose()).unwrap().entries().into_iter().map(own).collect::<Vec<_>>());
        ours.sort_unstable();
        merged.sort_unstable();
        assert_eq!(
            ours.into_iter().map(own).collect::<Vec<_>>(),
            merged,
            "a merge with what was loaded changed something"
        );
    }

    assert!(cache.remove_account(owner), "the account was not found");
    assert!(
        cache.access_token(owner, query, now).is_none() && cache.refresh_tokens(owner).is_empty(),
        "something is left after signing out"
    );
    let left = cache.accounts();
    let mut same = left.iter().filter(|account| authority.knows(account.raw_environment()));
    assert!(
        same.all(|account| !account.raw_home_account_id().eq_ignore_ascii_case(&person.home)),
        "an account is left"
    );
    if file.keys_differ() {
        // Of a duplicate key a merge leaves one, as every other reader does.
        let removed = cache.to_json();
        after.survives(&File::read(removed.expose()).expect("an object"), &person);
    }
    cache.mark_saved();
    assert!(!cache.remove_account(owner) && !cache.is_changed(), "removing an account twice changed something");
}

fn own((kind, key, value): (&str, &str, &str)) -> (String, String, String) {
    (kind.to_owned(), key.to_owned(), value.to_owned())
}

/// The independent reading of a cache: names and values as they are written.
struct File<'a>(RawMembers<'a>);

impl<'a> File<'a> {
    fn read(text: &'a str) -> Option<Self> {
        RawMembers::read(text).map(Self)
    }

    /// The entries of one of the five maps; if it is there twice, those of both.
    fn entries(&self) -> Vec<(&'static str, &'a str, &'a str)> {
        let mut entries = vec![];
        for kind in KINDS {
            for map in
                self.0.0.iter().filter(|(name, _)| *name == kind).filter_map(|(_, value)| RawMembers::read(value))
            {
                entries.extend(map.0.into_iter().map(|(key, value)| (kind, key, value)));
            }
        }
        entries
    }

    /// The members of the root other than the five maps. A value in the place of a map is replaced by one.
    fn others(&self, has: impl Fn(&str) -> bool) -> Vec<(&'a str, &'a str)> {
        let is_map = |(name, value): &&(&'a str, &'a str)| KINDS.contains(name) && RawMembers::read(value).is_some();
        let maps: BTreeSet<&str> = self.0.0.iter().filter(is_map).map(|(name, _)| *name).collect();
        let others = self.0.0.iter().filter(|member| !is_map(member) && !maps.contains(member.0) && !has(member.0));
        others.copied().collect()
    }

    /// Whether everything of other people is there.
    fn survives(&self, after: &Self, person: &Person) {
        let has_entries = |kind: &str| after.entries().iter().any(|(known, ..)| *known == kind);
        for other in self.others(has_entries) {
            assert!(after.0.0.contains(&other), "{other:?} was lost");
        }
        let (before, after) = (self.entries(), after.entries());
        // The old value of a key is replaced by the new one.
        let replaced = |entry: &(&str, &str, &str)| {
            let same = |new: &&(&str, &str, &str)| new.0 == entry.0 && key(new.1).eq_ignore_ascii_case(&key(entry.1));
            entry.0 == KINDS[4] || after.iter().filter(same).any(|new| !before.contains(new))
        };
        for entry in &before {
            let theirs = RawMembers::read(entry.2).is_none_or(|members| {
                let all = |name, other: &dyn Fn(&str) -> bool| members.texts(name).iter().all(|known| other(known));
                all("\"home_account_id\"", &|home| !home.eq_ignore_ascii_case(&person.home))
                    || all("\"environment\"", &|environment| elsewhere(environment, &person.environment))
            });
            assert!(!theirs || replaced(entry) || after.contains(entry), "{entry:?} was lost");
        }
    }

    /// Whether no key is there twice, without regard to case.
    fn keys_differ(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.entries().iter().all(|(kind, name, _)| seen.insert((*kind, key(name).to_ascii_lowercase())))
    }

    /// How long before its expiry a token is no longer used: five minutes, or a fifth of a lifetime that is known to be
    /// shorter.
    fn margin(&self, secret: &str, end: u64) -> u64 {
        let entries = self.entries().into_iter().filter_map(|(_, _, value)| RawMembers::read(value));
        let same = entries.filter(|members| members.texts("\"secret\"").iter().any(|known| known == secret));
        let written = same.map(|members| {
            let names = ["\"cached_at\"", "\"last_modification_time\""];
            let written = members.0.iter().filter(|(name, _)| names.contains(name));
            // If it is there twice, or is no number, any value is accepted.
            written.map(|(_, value)| value.trim_matches('"').parse().unwrap_or(u64::MAX)).max()
        });
        written
            .map(|written| written.map_or(300, |written| end.saturating_sub(written) / 5))
            .min()
            .unwrap_or(300)
            .min(300)
    }

    fn has_text(&self, name: &str, text: &str) -> bool {
        let members = self.entries().into_iter().filter_map(|(_, _, value)| RawMembers::read(value));
        members.into_iter().any(|members| members.texts(name).iter().any(|known| known == text))
    }

    fn people(&self) -> Vec<Person> {
        let read = |(_, _, value): (_, _, &str)| {
            let members = RawMembers::read(value)?;
            let last = |name| members.texts(name).pop();
            Some(Person {
                home: last("\"home_account_id\"")?,
                // A URL is how this crate names the servers that are not Microsoft's; as a host it is another one.
                environment: last("\"environment\"")?.replace("://", "//"),
                client: last("\"client_id\"").unwrap_or_default(),
                realm: last("\"realm\"").unwrap_or_default(),
                target: last("\"target\"").unwrap_or_default(),
            })
        };
        self.entries().into_iter().filter_map(read).collect()
    }
}

/// Whether these are certainly two servers: some of Microsoft's have two names.
fn elsewhere(one: &str, other: &str) -> bool {
    let microsoft = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.contains("login") || name.contains("sts.")
    };
    !(one.eq_ignore_ascii_case(other) || microsoft(one) && microsoft(other))
}

/// A key as text; if its escapes are invalid, as it is written.
fn key(written: &str) -> String {
    serde_json::from_str(written).unwrap_or_else(|_| written.trim_matches('"').to_owned())
}
