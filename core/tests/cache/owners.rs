//! Whose tokens are whose: server, client and person, where OAuth tells them apart and where Microsoft does not.

use super::grants::*;
use device_flow_core::{Account, Authority, GrantOrigin, Owner, Person, TokenCache, TokenKind, TokenResponse};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Byte for byte what version 0.1.0 wrote after three sign-ins: at Entra, at a server with ID tokens, and at one without.
const FORMER: &str = include_str!("files/device-flow-0.1.0.json");

fn secrets(cache: &TokenCache, owner: Owner<'_>) -> (Option<String>, Vec<String>) {
    (hit(cache, owner, "user.read", WRITTEN), refresh_tokens(cache, owner))
}

/// An answer that names this person by an ID token; or nobody, when there is no `sub`.
fn answer(number: usize, sub: Option<&str>) -> TokenResponse {
    let id_token = sub.map(|sub| jwt(&claims(json!({"sub": sub, "oid": null, "preferred_username": null}))));
    granted(
        "user.read",
        json!({
            "access_token": format!("AT-canary-{number}"), "refresh_token": format!("RT-canary-{number}"),
            "id_token": id_token, "client_info": null
        }),
    )
}

fn origin<'a>(client_id: &'a str, authority: &'a Authority, person: Person<'a>) -> GrantOrigin<'a> {
    GrantOrigin { client_id, authority, person, grant_type: Some("urn:ietf:params:oauth:grant-type:device_code") }
}

// K05: other than Microsoft, nobody folds.
#[test]
fn k05_servers_clients_and_people_that_differ_in_letter_case_have_nothing_in_common() {
    let (upper, lower) = (Authority::at("https://as.example/Acme"), Authority::at("https://as.example/acme"));
    let query = Authority::at("https://as.example/acme?tenant=1");
    let owners = [
        Owner { person: Person::Id("ada"), client_id: "app", authority: &lower },
        Owner { person: Person::Id("ada"), client_id: "app", authority: &upper },
        Owner { person: Person::Id("ada"), client_id: "app", authority: &query },
        Owner { person: Person::Id("ada"), client_id: "App", authority: &lower },
        Owner { person: Person::Id("Ada"), client_id: "app", authority: &lower },
        Owner { person: Person::Slot("ada"), client_id: "app", authority: &lower },
        Owner { person: Person::Slot(""), client_id: "app", authority: &lower },
    ];
    let mut cache = TokenCache::new();
    for (number, owner) in owners.iter().enumerate() {
        let sub = if let Person::Id(sub) = owner.person { Some(sub) } else { None };
        cache.save(&answer(number, sub), &origin(owner.client_id, owner.authority, owner.person), at(WRITTEN));
    }
    assert_eq!(cache.accounts().len(), owners.len());
    for (number, owner) in owners.into_iter().enumerate() {
        let own = (Some(format!("AT-canary-{number}")), vec![format!("RT-canary-{number}")]);
        assert_eq!(secrets(&cache, owner), own, "{owner:?}");
        assert_eq!(cache.id_token(owner).is_some(), matches!(owner.person, Person::Id(_)), "{owner:?}");
    }
    // The host is compared as the URL standard has it.
    let shouted = Authority::at("HTTPS://AS.EXAMPLE:443/acme");
    assert_eq!(secrets(&cache, Owner { authority: &shouted, ..owners[0] }).0.as_deref(), Some("AT-canary-0"));
    assert!(cache.remove_account(owners[3]));
    assert_eq!(cache.accounts().len(), owners.len() - 1);
    assert_eq!(secrets(&cache, owners[0]).0.as_deref(), Some("AT-canary-0"));
}

// RFC 6749 §3.3: scopes are case-sensitive. Microsoft's are not.
#[test]
fn k05_scopes_that_differ_in_letter_case_are_two() {
    let (mut cache, generic) = (TokenCache::new(), Authority::at("https://as.example"));
    cache.save(&answer(1, Some("ada")), &origin("app", &generic, Person::Slot("")), at(WRITTEN));
    let owner = Owner { person: Person::Id("ada"), client_id: "app", authority: &generic };
    assert!(hit(&cache, owner, "user.read", WRITTEN).is_some());
    assert!(hit(&cache, owner, "User.Read", WRITTEN).is_none());
}

// K03: a server that names nobody.
#[test]
fn k03_somebody_whom_the_server_does_not_name_is_the_slot_that_the_caller_names() {
    let (mut cache, github) = (TokenCache::new(), Authority::at("https://github.com/login/oauth"));
    for (number, slot) in ["work", "home", ""].into_iter().enumerate() {
        let account = cache.save(&answer(number, None), &origin("app", &github, Person::Slot(slot)), at(WRITTEN));
        let account = account.unwrap();
        assert_eq!((account.slot(), account.person(), &*account.label()), (slot, Person::Slot(slot), ""));
    }
    let owner = |slot| Owner { person: Person::Slot(slot), client_id: "app", authority: &github };
    assert_eq!(secrets(&cache, owner("work")).1, ["RT-canary-0"]);
    assert!(cache.remove_account(owner("home")));
    assert_eq!(secrets(&cache, owner("work")).1, ["RT-canary-0"]);
    assert_eq!(secrets(&cache, owner("")).1, ["RT-canary-2"]);
    assert_eq!(secrets(&cache, owner("home")), (None, vec![]));
    assert_eq!(secrets(&cache, owner("elsewhere")), (None, vec![]));
}

#[test]
fn k12_what_must_be_revoked_is_remembered_until_it_is_and_is_no_token_any_more() {
    let (gitlab, other) = (Authority::at("https://gitlab.example"), Authority::at("https://gitlab.example/Other"));
    let mut cache = TokenCache::new();
    cache.save(&answer(1, Some("ada")), &origin("app", &gitlab, Person::Slot("")), at(WRITTEN));
    let owner = Owner { person: Person::Id("ada"), client_id: "app", authority: &gitlab };
    let stored = TokenCache::from_parts(b"", cache.to_unshared_json().unwrap().expose().as_bytes()).unwrap();
    for (token, kind) in [("RT-canary-1", TokenKind::RefreshToken), ("rt-CANARY-1", TokenKind::AccessToken)] {
        cache.remember_revocation(owner, &secret(token), kind);
    }
    cache.remove_account(owner);
    let remembered = |cache: &TokenCache| {
        let found = cache.revocations("app", &gitlab).into_iter();
        found.map(|(token, kind)| (token.expose().to_owned(), kind)).collect::<Vec<_>>()
    };
    let both =
        [("RT-canary-1".to_owned(), TokenKind::RefreshToken), ("rt-CANARY-1".to_owned(), TokenKind::AccessToken)];
    assert_eq!((remembered(&cache), secrets(&cache, owner)), (both.to_vec(), (None, vec![])));
    assert!(cache.revocations("App", &gitlab).is_empty() && cache.revocations("app", &other).is_empty());
    // It outlives the way through a store on which somebody else has written; no MSAL sees it.
    cache.merge(stored);
    assert!(cache.to_shared_json().is_none() && cache.accounts().is_empty());
    let mut cache = TokenCache::from_parts(b"", cache.to_unshared_json().unwrap().expose().as_bytes()).unwrap();
    assert_eq!(remembered(&cache), both);
    assert!(cache.forget_revocation(&secret("RT-canary-1")) && !cache.forget_revocation(&secret("RT-canary-1")));
    assert_eq!(remembered(&cache), both[1..]);
    // At Microsoft's servers, too, should one have an endpoint for it.
    let (entra, alias) = (public(), Authority::entra("sts.windows.net", TENANT));
    let grace = Owner { person: Person::Id(HOME), client_id: "my-client", authority: &entra };
    cache.remember_revocation(grace, &secret("RT-canary-2"), TokenKind::RefreshToken);
    assert_eq!(cache.revocations("MY-CLIENT", &alias).len(), 1);
    assert!(cache.to_shared_json().is_none());
}

// Whatever a name is made of, it is written as JSON and found again.
#[test]
fn k03_a_slot_of_quotes_backslashes_or_control_characters_is_found_again() {
    let github = Authority::at("https://github.com/login/oauth");
    for name in ["\"", "\\", "\n", "\u{1f}", " ", "\u{7f}", "a\"b\\c\td", "\u{fffd}é"] {
        let mut cache = TokenCache::new();
        cache.save(&answer(1, None), &origin("app", &github, Person::Slot(name)), at(WRITTEN));
        let again = TokenCache::from_json(cache.to_json().expose().as_bytes()).unwrap();
        let owner = Owner { person: Person::Slot(name), client_id: "app", authority: &github };
        assert_eq!((secrets(&again, owner), again.accounts()[0].slot()), (secrets(&cache, owner), name), "{name:?}");
        assert!(secrets(&again, owner).0.is_some(), "{name:?}");
    }
}

// The caller has another name for the slot.
#[test]
fn k03_a_slot_is_moved_as_a_whole() {
    let (mut cache, github) = (TokenCache::new(), Authority::at("https://github.com/login/oauth"));
    for (number, slot) in ["default", "home"].into_iter().enumerate() {
        cache.save(&answer(number, None), &origin("app", &github, Person::Slot(slot)), at(WRITTEN));
    }
    let owner = |slot| Owner { person: Person::Slot(slot), client_id: "app", authority: &github };
    assert!(!cache.move_to_slot(owner("nobody"), "work") && !cache.move_to_slot(owner("home"), "home"));
    let before = secrets(&cache, owner("default"));
    assert!(cache.move_to_slot(owner("default"), "work"));
    assert_eq!((secrets(&cache, owner("default")), secrets(&cache, owner("work"))), ((None, vec![]), before.clone()));
    assert_eq!(cache.accounts().iter().map(Account::slot).collect::<Vec<_>>(), ["work", "home"]);
    // The one who was there is gone.
    assert!(cache.move_to_slot(owner("work"), "home"));
    assert_eq!((secrets(&cache, owner("home")), cache.accounts().len()), (before, 1));
}

// What belongs to another client, or was signed out, or may belong to anybody, is not theirs to move.
#[test]
fn k03_only_what_the_owner_has_in_a_slot_is_moved() {
    let (mut cache, github) = (TokenCache::new(), Authority::at("https://github.com/login/oauth"));
    let owner = |client_id, slot| Owner { person: Person::Slot(slot), client_id, authority: &github };
    for (number, client_id) in ["app", "other"].into_iter().enumerate() {
        cache.save(&answer(number, None), &origin(client_id, &github, Person::Slot("default")), at(WRITTEN));
    }
    let out = ["RT-canary-8", "RT-canary-9"];
    for token in out {
        cache.remember_revocation(owner("app", "default"), &secret(token), TokenKind::RefreshToken);
    }
    assert!(cache.move_to_slot(owner("app", "default"), "work"));
    assert_eq!(secrets(&cache, owner("app", "work")).1, ["RT-canary-0"]);
    assert_eq!(secrets(&cache, owner("other", "default")).1, ["RT-canary-1"]);
    assert_eq!(secrets(&cache, owner("other", "work")), (None, vec![]));
    let left = cache.revocations("app", &github);
    assert_eq!(left.iter().map(|(token, _)| token.expose()).collect::<Vec<_>>(), out);

    // Version 0.1.0 knew no slots.
    let mut cache = TokenCache::from_json(FORMER.as_bytes()).unwrap();
    assert!(secrets(&cache, owner("my-client", "default")).0.is_some());
    assert!(!cache.move_to_slot(owner("my-client", "default"), "work") && !cache.is_changed());
}

// Microsoft's servers fold as every MSAL does.
#[test]
fn k05_at_microsoft_letter_case_and_the_name_of_the_cloud_do_not_matter() {
    let (mut cache, public) = (TokenCache::new(), public());
    sign_in(&mut cache, &public, json!({}), WRITTEN);
    let (upper, alias) = (HOME.to_uppercase(), Authority::entra("STS.windows.net", TENANT));
    let owner = Owner { person: Person::Id(&upper), client_id: "MY-CLIENT", authority: &alias };
    assert!(secrets(&cache, owner).0.is_some());
    assert_eq!(owner.key(), Owner { person: Person::Id(HOME), client_id: "my-client", authority: &public }.key());
}

// The parts of a key do not run into each other.
#[test]
fn k05_owners_whose_texts_are_the_same_in_a_row_have_different_keys() {
    let (short, long) = (Authority::at("https://as.example/a"), Authority::at("https://as.example/ab"));
    let key = |authority, client_id, person| Owner { person, client_id, authority }.key();
    assert_ne!(key(&short, "bc", Person::Id("d")), key(&long, "c", Person::Id("d")));
    assert_ne!(key(&short, "c", Person::Id("iddd")), key(&short, "cid", Person::Id("dd")));
    assert_ne!(key(&short, "c id d", Person::Id("")), key(&short, "c", Person::Id("d id ")));
    assert_ne!(key(&short, "c", Person::Id(" ")), key(&short, "c", Person::Id("%20")));
}

// The other program spells the keys of the same entries in another letter case.
#[test]
fn k05_at_microsoft_a_key_is_the_same_in_any_letter_case() {
    let (mut cache, public) = (TokenCache::new(), public());
    sign_in(&mut cache, &public, json!({}), WRITTEN);
    let mut spelled = written(&cache);
    for entries in spelled.as_object_mut().unwrap().values_mut() {
        let entries = entries.as_object_mut().unwrap();
        *entries = std::mem::take(entries).into_iter().map(|(key, entry)| (key.to_uppercase(), entry)).collect();
    }
    assert!(cache.remove_account(owner(&public)));
    cache.merge(read(&spelled));
    assert_eq!((cache.accounts(), secrets(&cache, owner(&public))), (vec![], (None, vec![])));
}

// It left out the scheme and the query, by which two servers may differ.
#[test]
fn k05_what_0_1_0_wrote_is_taken_over_by_the_server_without_a_query_alone() {
    let cache = TokenCache::from_parts(FORMER.as_bytes(), b"").unwrap();
    for (url, found) in [
        ("https://gitlab.example", true),
        ("https://gitlab.example?tenant=1", false),
        ("http://gitlab.example", false),
        ("https://gitlab.example/42", false),
    ] {
        let authority = Authority::at(url);
        let owner = Owner { person: Person::Id("42"), client_id: "my-client", authority: &authority };
        assert_eq!(secrets(&cache, owner).0.is_some(), found, "{url}");
    }
}

fn names(json: &str) -> Vec<String> {
    let accounts: Value = serde_json::from_str(json).unwrap();
    let accounts = accounts["Account"].as_object().unwrap();
    accounts.values().map(|account| account["environment"].as_str().unwrap().to_owned()).collect()
}

// What an MSAL may read holds Microsoft's accounts alone.
#[test]
fn accounts_of_other_servers_are_in_a_part_that_no_msal_reads() {
    let mut cache = TokenCache::from_parts(PYTHON.as_bytes(), b"").unwrap();
    assert!(!cache.is_misplaced() && cache.to_unshared_json().is_none());
    let before = cache.to_shared_json().unwrap();
    let gitlab = Authority::at("https://gitlab.example");
    cache.save(&answer(1, Some("ada")), &origin("app", &gitlab, Person::Slot("")), at(WRITTEN));
    assert_eq!(cache.to_shared_json().unwrap().expose(), before.expose(), "not a byte of the shared part has changed");
    let unshared = cache.to_unshared_json().unwrap();
    assert_eq!(names(unshared.expose()), ["https://gitlab.example"]);
    let again = TokenCache::from_parts(before.expose().as_bytes(), unshared.expose().as_bytes()).unwrap();
    assert!(!again.is_misplaced());
    assert_eq!(again.accounts(), cache.accounts());
    assert_eq!(again.to_unshared_json().unwrap().expose(), unshared.expose());
    // Each stays in its part when it is replaced.
    let mut replaced = TokenCache::from_parts(before.expose().as_bytes(), unshared.expose().as_bytes()).unwrap();
    replaced.save(&granted("user.read", json!({})), &refreshed(&localhost(), HOME), at(WRITTEN + 1));
    assert_eq!(replaced.to_unshared_json().unwrap().expose(), unshared.expose());
    assert_eq!(
        keys(&TokenCache::from_json(replaced.to_shared_json().unwrap().expose().as_bytes()).unwrap(), "RefreshToken")
            .len(),
        1
    );
    // A store that nobody else reads holds both.
    let whole = TokenCache::from_json(again.to_json().expose().as_bytes()).unwrap();
    assert_eq!(whole.accounts(), again.accounts());
}

#[test]
fn what_version_0_1_0_wrote_is_found_and_moved_and_nothing_is_lost() {
    let (gitlab, github) = (Authority::at("https://gitlab.example"), Authority::at("https://github.com/login/oauth"));
    let of = |authority, person| Owner { person, client_id: "my-client", authority };
    let mut cache = TokenCache::from_parts(FORMER.as_bytes(), b"").unwrap();
    assert!(cache.is_misplaced());
    let found = |cache: &TokenCache| {
        (secrets(cache, of(&gitlab, Person::Id("42"))), secrets(cache, of(&github, Person::Slot("work"))))
    };
    let known = found(&cache);
    assert_eq!(known.0, (Some("AT-canary-gitlab".into()), vec!["RT-canary-gitlab".into()]));
    assert_eq!(known.1, (Some("AT-canary-github".into()), vec![]));
    // K15: 0.1.0 invented an end in 2036.
    let query = device_flow_core::AccessTokenQuery::scopes("user.read");
    let github_token = cache.access_token(of(&github, Person::Slot("work")), query, at(WRITTEN)).unwrap();
    assert_eq!(github_token.expires_on(), None);
    let (shared, unshared) = (cache.to_shared_json().unwrap(), cache.to_unshared_json().unwrap());
    assert_eq!(names(shared.expose()), ["login.windows.net"]);
    assert_eq!(names(unshared.expose()).len(), 2);
    let all = |json: &str| json.matches("\"secret\"").count();
    assert_eq!(all(shared.expose()) + all(unshared.expose()), all(FORMER));
    let moved = TokenCache::from_parts(shared.expose().as_bytes(), unshared.expose().as_bytes()).unwrap();
    assert!(!moved.is_misplaced());
    assert_eq!((found(&moved), moved.accounts()), (found(&cache), cache.accounts()));
    // A move that was cut short has left them in both places.
    let both = TokenCache::from_parts(FORMER.as_bytes(), unshared.expose().as_bytes()).unwrap();
    assert!(both.is_misplaced());
    assert_eq!(both.to_unshared_json().unwrap().expose(), unshared.expose());
    // So does a refresh that names nobody, for one slot alone.
    let (mut refreshed, work) = (both, Person::Slot("work"));
    let refresh = GrantOrigin { grant_type: None, ..origin("my-client", &github, work) };
    let account = refreshed.save(&answer(7, None), &refresh, at(WRITTEN + 1)).unwrap();
    assert_eq!((account.environment(), account.person()), ("https://github.com/login/oauth", work));
    assert_eq!(secrets(&refreshed, of(&github, work)).1, ["RT-canary-7"]);
    assert_eq!(secrets(&refreshed, of(&github, Person::Slot("home"))), (None, vec![]));
    // The next grant takes the owner's part over: one account, one refresh token, under the new name.
    cache.save(&answer(9, Some("42")), &origin("my-client", &gitlab, Person::Slot("")), at(WRITTEN + 1));
    assert_eq!(secrets(&cache, of(&gitlab, Person::Id("42"))).1, ["RT-canary-9"]);
    cache.save(&answer(8, None), &origin("my-client", &github, Person::Slot("work")), at(WRITTEN + 1));
    assert_eq!(secrets(&cache, of(&github, Person::Slot("home"))), (None, vec![]));
    let mut environments = names(cache.to_unshared_json().unwrap().expose());
    environments.sort();
    assert_eq!(environments, ["https://github.com/login/oauth", "https://gitlab.example"]);
}

// An account of somebody else's that is alike in all but one thing stays where every MSAL finds it.
#[test]
fn what_version_0_1_0_cannot_have_written_stays_in_the_shared_part() {
    let former: Value = serde_json::from_str(FORMER).unwrap();
    let account = &former["Account"]["42-gitlab.example-"];
    let is_moved = |section: &str, account: &Value| {
        let cache = json!({ section: { "key": account } }).to_string();
        TokenCache::from_parts(cache.as_bytes(), b"").unwrap().is_misplaced()
    };
    assert!(is_moved("Account", account));
    for section in ["AccessToken", "RefreshToken", "IdToken"] {
        assert!(!is_moved(section, account), "{section}");
    }
    for (name, value) in [
        ("realm", json!("acme")),
        ("authority_type", json!("ADFS")),
        ("authority_type", Value::Null),
        ("account_source", json!("authorization_code")),
        ("account_source", Value::Null),
    ] {
        let mut other = account.clone();
        other[name] = value.clone();
        assert!(!is_moved("Account", &other), "{name}: {value}");
    }
    assert!(!is_moved("Account", &json!([])));
}

// One client takes over its part; what another client of the same server has stays there.
#[test]
fn what_version_0_1_0_wrote_for_another_client_stays() {
    let gitlab = Authority::at("https://gitlab.example");
    let mut former: Value = serde_json::from_str(FORMER).unwrap();
    let mut other = former["RefreshToken"]["42-gitlab.example-refreshtoken-my-client---"].clone();
    (other["client_id"], other["secret"]) = (json!("other"), json!("RT-canary-other"));
    former["RefreshToken"]["other"] = other;
    let mut cache = TokenCache::from_parts(former.to_string().as_bytes(), b"").unwrap();
    cache.save(&answer(9, Some("42")), &origin("my-client", &gitlab, Person::Slot("")), at(WRITTEN));
    let owner = |client_id| Owner { person: Person::Id("42"), client_id, authority: &gitlab };
    assert_eq!(refresh_tokens(&cache, owner("my-client")), ["RT-canary-9"]);
    assert!(cache.remove_account(owner("my-client")));
    assert_eq!(refresh_tokens(&cache, owner("other")), ["RT-canary-other"]);
    assert!(cache.accounts().iter().any(|account| account.home_account_id() == "42"), "its account, too");
}

const SERVERS: [&str; 5] = [
    "https://as.example/a",
    "https://as.example/A",
    "https://as.example/a/",
    "https://as.example/a?b",
    "https://as.example:1/a",
];
const CLIENTS: [&str; 4] = ["app", "App", "app ", "app%20"];
const PEOPLE: [Person<'static>; 6] = [
    Person::Id("ada"),
    Person::Id("Ada"),
    Person::Id("ad"),
    Person::Slot("ada"),
    Person::Slot("Ada"),
    Person::Slot(""),
];

type Which = (usize, usize, usize);

#[derive(Clone, Copy, Debug)]
enum Deed {
    SignIn(Which),
    Refresh(Which),
    SignOut(Which),
    /// The two writers exchange their parts.
    Exchange,
}

fn deed() -> impl Strategy<Value = (usize, Deed)> {
    let which = (0..SERVERS.len(), 0..CLIENTS.len(), 0..PEOPLE.len());
    let deed = prop_oneof![
        4 => which.clone().prop_map(Deed::SignIn),
        4 => which.clone().prop_map(Deed::Refresh),
        2 => which.prop_map(Deed::SignOut),
        3 => Just(Deed::Exchange),
    ];
    (0..2_usize, deed)
}

const ANSWERS: usize = 30;

/// Answers with secrets of their own, for each person.
fn answers() -> &'static Vec<Vec<TokenResponse>> {
    static ANSWERS_OF_ALL: OnceLock<Vec<Vec<TokenResponse>>> = OnceLock::new();
    ANSWERS_OF_ALL.get_or_init(|| {
        let of = |person: &Person<'static>| {
            let sub = if let Person::Id(sub) = person { Some(*sub) } else { None };
            (0..ANSWERS).map(|number| answer(number, sub)).collect()
        };
        PEOPLE.iter().map(of).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Two writers of one store: whatever they do and however they merge, nobody ever sees a token of another owner,
    // though owners differ in one code point.
    #[test]
    fn no_owner_ever_sees_a_token_of_another(deeds in prop::collection::vec(deed(), 1..ANSWERS)) {
        let servers = SERVERS.map(Authority::at);
        let owner = |(server, client, person): Which| Owner { person: PEOPLE[person], client_id: CLIENTS[client], authority: &servers[server] };
        let mut writers = [TokenCache::new(), TokenCache::new()];
        let mut stored = (String::new(), String::new());
        // Which owner each answer was for.
        let mut given: BTreeMap<String, Which> = BTreeMap::new();
        let mut signed_in: BTreeMap<Which, usize> = BTreeMap::new();
        for (number, (writer, deed)) in deeds.into_iter().enumerate() {
            let (cache, now) = (&mut writers[writer], at(WRITTEN + number as u64));
            match deed {
                Deed::SignIn(which) => {
                    let (server, client, person) = which;
                    let slot = if let Person::Slot(slot) = PEOPLE[person] { slot } else { "" };
                    let account = cache.save(&answers()[person][number], &origin(CLIENTS[client], &servers[server], Person::Slot(slot)), now);
                    prop_assert_eq!(account.as_ref().map(Account::person), Some(PEOPLE[person]));
                    given.insert(format!("RT-canary-{number}"), which);
                    signed_in.insert(which, number);
                }
                Deed::Refresh(which) => {
                    let (server, client, person) = which;
                    let refresh = GrantOrigin { grant_type: None, ..origin(CLIENTS[client], &servers[server], PEOPLE[person]) };
                    if let [old] = &refresh_tokens(cache, owner(which))[..] {
                        prop_assert_eq!(given.get(old), Some(&which));
                        cache.save(&answers()[person][number], &refresh, now);
                        given.insert(format!("RT-canary-{number}"), which);
                    }
                }
                Deed::SignOut(which) => {
                    let there = !refresh_tokens(cache, owner(which)).is_empty();
                    prop_assert_eq!(cache.remove_account(owner(which)), there);
                    prop_assert!(refresh_tokens(cache, owner(which)).is_empty());
                }
                Deed::Exchange => {
                    cache.merge(TokenCache::from_parts(stored.0.as_bytes(), stored.1.as_bytes()).unwrap());
                    let exposed = |part: Option<device_flow_core::Secret>| part.map_or(String::new(), |part| part.expose().to_owned());
                    stored = (exposed(cache.to_shared_json()), exposed(cache.to_unshared_json()));
                    prop_assert_eq!(&stored.0, "", "none of these is Microsoft's");
                    cache.mark_saved();
                }
            }
            for cache in &writers {
                for server in 0..SERVERS.len() {
                    for client in 0..CLIENTS.len() {
                        for person in 0..PEOPLE.len() {
                            let which = (server, client, person);
                            let (access, refresh) = secrets(cache, owner(which));
                            for token in access.map(|token| token.replace("AT", "RT")).iter().chain(&refresh) {
                                prop_assert_eq!(given.get(token), Some(&which));
                            }
                            prop_assert!(refresh.len() <= 1);
                        }
                    }
                }
            }
        }
    }

    // The name of a lease: equal for the same owner alone.
    #[test]
    fn owners_have_one_key_each(one: (String, String, String, bool), other: (String, String, String, bool), same in any::<[bool; 4]>()) {
        let other = (
            if same[0] { one.0.clone() } else { other.0 },
            if same[1] { one.1.clone() } else { other.1 },
            if same[2] { one.2.clone() } else { other.2 },
            if same[3] { one.3 } else { other.3 },
        );
        let authorities = [&one, &other].map(|owner| Authority::at(&format!("https://as.example/{}", owner.0)));
        let key = |of: &(String, String, String, bool), authority| {
            let person = if of.3 { Person::Id(&of.2) } else { Person::Slot(&of.2) };
            Owner { person, client_id: &of.1, authority }.key()
        };
        prop_assert_eq!(key(&one, &authorities[0]) == key(&other, &authorities[1]), one == other);
    }
}

// K05: the ID token of a sign-in says whose it is, whoever was expected; an answer to a refresh is about whose token it was.
#[test]
fn k05_a_sign_in_belongs_to_whom_the_server_names() {
    let server = Authority::at("https://as.example");
    let owner = |person| Owner { person: Person::Id(person), client_id: "app", authority: &server };
    let saved = |grant_type| {
        let mut cache = TokenCache::new();
        let origin = GrantOrigin { grant_type, ..origin("app", &server, Person::Id("ada")) };
        cache.save(&answer(1, Some("bob")), &origin, at(WRITTEN));
        [secrets(&cache, owner("ada")).0.is_some(), secrets(&cache, owner("bob")).0.is_some()]
    };
    assert_eq!(saved(Some("urn:ietf:params:oauth:grant-type:device_code")), [false, true]);
    assert_eq!(saved(None), [true, false]);
}
