//! Saving a grant and signing out (rows 4.7, 4.8 and 5, the hazards of row 6).

use super::grants::*;
use device_flow_core::{Authority, Owner, TokenCache};
use serde_json::{Value, json};
use std::time::Duration;

// Hazard (a): after a rotation exactly one refresh token is left, under the key that every other writer uses.
#[test]
fn msal_4_7_a_rotated_refresh_token_replaces_every_older_one_whatever_its_key() {
    let key = format!("{HOME}-localhost-refreshtoken-my-client---");
    for file in [PYTHON, NODE] {
        let mut cache = TokenCache::from_json(file.as_bytes()).unwrap();
        let grant = granted("user.read", json!({"refresh_token": "RT-canary-2"}));
        cache.save(&grant, &refreshed(&localhost(), HOME), at(WRITTEN + 100));
        let tokens = written(&cache)["RefreshToken"].clone();
        assert_eq!(tokens.as_object().unwrap().len(), 1);
        assert_eq!(tokens[&key]["secret"], "RT-canary-2");
        assert_eq!(tokens[&key]["last_modification_time"], "1800077435");
        // Python computes its key like this.
        let part = |name: &str| tokens[&key][name].as_str().unwrap().to_owned();
        let parts =
            [part("home_account_id"), part("environment"), part("credential_type"), part("client_id"), String::new()];
        assert_eq!(format!("{}-{}", parts.join("-"), part("target")).to_lowercase(), key);
        assert_eq!(refresh_tokens(&cache, owner(&localhost())), ["RT-canary-2"]);
    }
}

#[test]
fn msal_4_7_tokens_of_all_writers_side_by_side_become_one_and_others_stay() {
    let token = |client: &str, environment: &str, family: Value| {
        let mut token = json!({"home_account_id": HOME.to_uppercase(), "environment": environment, "client_id": client, "secret": "RT-canary"});
        merge(&mut token, json!({"family_id": family}));
        token
    };
    let file = json!({"RefreshToken": {
        "python": token("my-client", "login.microsoftonline.com", Value::Null),
        "java": token("MY-CLIENT", "login.windows.net", Value::Null),
        "other client": token("other", "login.windows.net", Value::Null),
        "other cloud": token("my-client", "login.microsoftonline.us", Value::Null),
        "family": token("other", "login.windows.net", json!("1")),
    }});
    let left = |change: Value| {
        let mut cache = read(&file);
        sign_in(&mut cache, &public(), change, WRITTEN);
        keys(&cache, "RefreshToken")
    };
    let alone = left(json!({}));
    let key = |who: &str| format!("{HOME}-login.windows.net-refreshtoken-{who}---");
    assert_eq!(alone, [&key("my-client"), "family", "other client", "other cloud"]);
    let in_family = left(json!({"foci": 1}));
    assert_eq!(in_family, [&key("1"), "other client", "other cloud"]);
}

// What another client of the family wrote is replaced, and so is a token that is bound to something. Neither says
// anything about the new token.
#[test]
fn msal_4_7_a_new_refresh_token_takes_nothing_from_another_clients_or_from_one_that_is_bound() {
    let token = |change: Value| {
        let mut token = json!({"home_account_id": HOME, "environment": "localhost", "secret": "RT-canary-old"});
        merge(&mut token, change);
        token
    };
    for old in [
        json!({"client_id": "other", "family_id": "1", "theirs": 7}),
        json!({"client_id": "my-client", "family_id": "1", "kid": "a key", "theirs": 7}),
    ] {
        let mut cache = read(&json!({"RefreshToken": {"old": token(old.clone())}}));
        sign_in(&mut cache, &localhost(), json!({"foci": "1"}), WRITTEN);
        let new = json!({(format!("{HOME}-localhost-refreshtoken-1---")): {
            "credential_type": "RefreshToken", "secret": "RT-canary", "home_account_id": HOME, "environment": "localhost",
            "client_id": "my-client", "family_id": "1", "last_modification_time": "1800077335"
        }});
        assert_eq!(written(&cache)["RefreshToken"], new, "{old}");
    }
}

// After both have refreshed: under Node's key, because Node goes on using what is there and Python takes the newest.
#[test]
fn msal_4_7_of_two_writers_keys_the_one_stays_whose_writer_knows_no_time() {
    let token = |time: Value| json!({"home_account_id": HOME, "environment": "localhost", "client_id": "my-client", "secret": "RT-canary", "last_modification_time": time});
    let node = format!("{HOME}-localhost-refreshtoken-my-client---");
    // Without the scopes when Python refreshes what Node has written.
    for scopes in ["a", ""] {
        let python = format!("{HOME}-localhost-refreshtoken-my-client--{scopes}");
        let file = json!({"RefreshToken": {(node.clone()): token(Value::Null), (python): token(json!("1800000000"))}});
        let mut cache = read(&file);
        sign_in(&mut cache, &localhost(), json!({}), WRITTEN);
        assert_eq!(keys(&cache, "RefreshToken"), [&*node]);
    }
}

// Everything is under one name of the cloud, since Python signs out under one only, and it is the name of the other
// MSALs.
#[test]
fn msal_6_all_is_written_under_the_name_that_most_msals_write() {
    let mut cache = TokenCache::new();
    sign_in(&mut cache, &public(), json!({}), WRITTEN);
    assert_eq!(keys(&cache, "RefreshToken"), [format!("{HOME}-login.windows.net-refreshtoken-my-client---")]);
    assert_eq!(keys(&cache, "Account"), [format!("{HOME}-login.windows.net-{TENANT}")]);
    let environment = |entry: &Value| entry["environment"] == "login.windows.net";
    let cache_written = written(&cache);
    assert!(
        cache_written.as_object().unwrap().values().flat_map(|map| map.as_object().unwrap().values()).all(environment)
    );
    assert_eq!(refresh_tokens(&cache, owner(&public())), ["RT-canary"]);
}

// Python signs out under one name of the cloud only, and does not list accounts under another name while it has some
// under its own. So its accounts stay where they are, until another MSAL has written them under the preferred name.
#[test]
fn msal_5_all_of_a_person_is_under_the_name_that_their_account_has() {
    let other = PYTHON.replace("localhost", "login.microsoftonline.com");
    let mut file: Value = serde_json::from_str(&other).unwrap();
    file["AppMetadata"]["beside"] = json!({"client_id": "MY-client", "environment": "sts.windows.net"});
    let saved = |file: &Value| {
        let mut cache = read(file);
        cache.save(&granted("user.read", json!({})), &refreshed(&public(), HOME), at(WRITTEN));
        written(&cache)
    };
    let names = |after: &Value, map: &str| {
        let map = after[map].as_object().unwrap();
        let names: Vec<_> = map.values().map(|entry| entry["environment"].as_str().unwrap().to_owned()).collect();
        assert!(
            map.iter().all(|(key, entry)| key.contains(entry["environment"].as_str().unwrap())),
            "{:?}",
            map.keys()
        );
        names
    };
    let after = saved(&file);
    for map in ["Account", "RefreshToken", "IdToken", "AccessToken", "AppMetadata"] {
        assert_eq!(names(&after, map), ["login.microsoftonline.com"], "{map}");
    }
    // Node has refreshed, and written the account, too.
    let mut account = after["Account"][format!("{HOME}-login.microsoftonline.com-{TENANT}")].clone();
    account["environment"] = json!("login.windows.net");
    file["Account"][format!("{HOME}-login.windows.net-{TENANT}")] = account;
    let after = saved(&file);
    assert_eq!(names(&after, "Account"), ["login.microsoftonline.com", "login.windows.net"]);
    for map in ["RefreshToken", "IdToken", "AccessToken", "AppMetadata"] {
        assert_eq!(names(&after, map), ["login.windows.net"], "{map}");
    }
}

// B24: an answer without a refresh token keeps the old one.
#[test]
fn b24_without_a_new_refresh_token_the_old_one_stays() {
    let mut cache = TokenCache::from_json(PYTHON.as_bytes()).unwrap();
    let grant = granted("user.read", json!({"refresh_token": null, "access_token": "AT-canary-2"}));
    cache.save(&grant, &refreshed(&localhost(), HOME), at(WRITTEN + 100));
    assert_eq!(refresh_tokens(&cache, owner(&localhost())), ["RT-canary-msal-python-1.39.0"]);
    assert_eq!(hit(&cache, owner(&localhost()), "user.read", WRITTEN + 100).as_deref(), Some("AT-canary-2"));
}

// RFC 6749 §6: the old token may be invalid by now.
#[test]
fn a_refresh_token_is_replaced_alone_and_only_if_it_is_there() {
    let entry = |home: &str, secret: &str| json!({"home_account_id": home, "environment": "localhost", "client_id": "my-client", "secret": secret, "mine": [home]});
    let mut file = json!({
        "AccessToken": {"access": entry(HOME, "RT-canary-old")},
        "RefreshToken": {"grace": entry(HOME, "RT-canary-old"), "other": entry("other", "RT-canary-other")},
    });
    let mut cache = read(&file);
    assert!(!cache.replace_refresh_token(&secret("RT-canary-unknown"), &secret("RT-canary-new"), at(WRITTEN)));
    assert!(!cache.is_changed());
    assert!(cache.replace_refresh_token(&secret("RT-canary-old"), &secret("RT-canary-new"), at(WRITTEN)));
    let grace = &mut file["RefreshToken"]["grace"];
    merge(grace, json!({"secret": "RT-canary-new", "last_modification_time": "1800077335"}));
    assert_eq!(written(&cache), file);
}

// Who has nothing to save does not write, and does not undo what another program changes meanwhile.
#[test]
fn what_is_saved_again_is_no_change() {
    let mut cache = TokenCache::new();
    sign_in(&mut cache, &localhost(), json!({}), WRITTEN);
    assert!(cache.is_changed());
    cache.mark_saved();
    let before = cache.to_json();
    sign_in(&mut cache, &localhost(), json!({}), WRITTEN);
    assert!(!cache.is_changed() && cache.to_json().expose() == before.expose());
}

// B23: a token that was refused for good is removed; everything else stays.
#[test]
fn b23_a_refused_refresh_token_is_removed_alone() {
    let mut cache = TokenCache::from_json(NODE.as_bytes()).unwrap();
    assert!(!cache.remove_refresh_token(&secret("RT-canary-other")));
    assert!(!cache.is_changed());
    assert!(cache.remove_refresh_token(&secret("RT-canary-msal-node-7.2.1")));
    assert!(cache.is_changed());
    let mut expected: Value = serde_json::from_str(NODE).unwrap();
    expected["RefreshToken"] = json!({});
    assert_eq!(written(&cache), expected);
}

// Node finds no access token when two match, so covered ones are removed; others stay.
#[test]
fn msal_4_4_access_and_id_tokens_that_are_covered_are_replaced() {
    let mut cache = TokenCache::from_json(NODE.as_bytes()).unwrap();
    sign_in(&mut cache, &localhost(), json!({"scope": "openid profile User.Read mail.read"}), WRITTEN + 1);
    assert_eq!((keys(&cache, "AccessToken").len(), keys(&cache, "IdToken").len()), (1, 1));
    sign_in(&mut cache, &localhost(), json!({"scope": "files.read"}), WRITTEN + 2);
    assert_eq!(keys(&cache, "AccessToken").len(), 2);
    assert_eq!(keys(&cache, "IdToken"), [format!("{HOME}-localhost-idtoken-my-client-{TENANT}-")]);
}

#[test]
fn msal_5_an_account_that_another_wrote_keeps_its_key_and_what_it_knows() {
    let mut cache = TokenCache::from_json(NODE.as_bytes()).unwrap();
    let id_token = jwt(&claims(json!({"preferred_username": "new@fabrikam.test", "name": null})));
    let account = sign_in(&mut cache, &localhost(), json!({"id_token": id_token}), WRITTEN);
    assert_eq!((account.username(), account.name()), ("new@fabrikam.test", Some("Grace H")));
    let before: Value = serde_json::from_str(NODE).unwrap();
    let key = format!("{HOME}-localhost-{TENANT}");
    let after = written(&cache)["Account"].clone();
    assert_eq!(after.as_object().unwrap().len(), 1);
    assert_eq!(after[&key]["tenantProfiles"], before["Account"][&key]["tenantProfiles"]);
    assert_eq!(cache.accounts(), [account]);
}

// Rows of 5: uid.utid, else sub; oid, else sub; and the tokens of a server that names nobody are kept.
#[test]
fn msal_5_who_signed_in() {
    let generic = Authority::at("https://as.example");
    let told = |change| {
        let mut cache = TokenCache::new();
        let account = sign_in(&mut cache, &generic, change, WRITTEN);
        let owner = Owner { person: account.person(), client_id: "my-client", authority: &generic };
        assert_eq!(hit(&cache, owner, "user.read", WRITTEN).as_deref(), Some("AT-canary"));
        assert_eq!(refresh_tokens(&cache, owner), ["RT-canary"]);
        [account.home_account_id(), account.local_account_id(), account.username()].map(String::from)
    };
    // Only Microsoft's servers name a person by client_info.
    for client_info in [json!(encoded(&json!({"uid": OID, "utid": TENANT}))), json!(null), json!("garbage")] {
        assert_eq!(told(json!({"client_info": client_info})), ["sub-grace", OID, "grace@fabrikam.test"]);
    }
    let plain = jwt(&claims(json!({"oid": null, "preferred_username": null})));
    assert_eq!(told(json!({"client_info": null, "id_token": plain})), ["sub-grace", "sub-grace", ""]);
    assert_eq!(told(json!({"id_token": null, "client_info": null})), ["", "", ""]);
}

// A refresh may bring an ID token without client_info: the account stays the same, and so does what the answer does not
// name.
#[test]
fn msal_5_a_refresh_stays_with_its_account() {
    let mut cache = TokenCache::from_json(PYTHON.as_bytes()).unwrap();
    for change in [json!({"client_info": null}), json!({"client_info": null, "id_token": null}), json!({})] {
        let account = cache.save(&granted("user.read", change), &refreshed(&localhost(), HOME), at(WRITTEN)).unwrap();
        assert_eq!((account.home_account_id(), account.username()), (HOME, "grace@fabrikam.test"));
        assert_eq!(keys(&cache, "Account").len(), 1);
    }
    // In the spelling of the cache.
    let upper = HOME.to_uppercase();
    cache.save(&granted("user.read", json!({})), &refreshed(&localhost(), &upper), at(WRITTEN)).unwrap();
    assert!(
        written(&cache)["AccessToken"].as_object().unwrap().values().all(|token| token["home_account_id"] == upper)
    );
    assert_eq!((keys(&cache, "Account").len(), keys(&cache, "AccessToken").len()), (1, 1));
    let grant = granted("user.read", json!({"client_info": null, "id_token": null}));
    assert_eq!(cache.save(&grant, &refreshed(&localhost(), "nobody"), at(WRITTEN)), None);
}

// It would undo what another program changes in the account meanwhile.
#[test]
fn msal_5_a_refresh_that_does_not_name_the_person_does_not_touch_the_account() {
    let mut file: Value = serde_json::from_str(PYTHON).unwrap();
    let accounts = file["Account"].as_object_mut().unwrap();
    // What this crate would write is not all there.
    accounts.values_mut().for_each(|account| merge(account, json!({"local_account_id": null})));
    let mut cache = read(&file);
    let nobody = granted("user.read", json!({"client_info": null, "id_token": null}));
    assert!(cache.save(&nobody, &refreshed(&localhost(), HOME), at(WRITTEN)).is_some());
    assert_eq!(written(&cache)["Account"], file["Account"]);
}

// Hazards (c), (d): a lifetime of any shape and an answer without scopes lose nothing.
#[test]
fn msal_6_odd_answers_are_kept() {
    for (refresh_in, aging) in
        [(json!("60"), true), (json!(60), true), (json!("soon"), false), (json!(-5), false), (json!([]), false)]
    {
        let mut cache = TokenCache::new();
        let account =
            sign_in(&mut cache, &localhost(), json!({"refresh_in": refresh_in.clone(), "scope": null}), WRITTEN);
        let authority = localhost();
        let owner = Owner { person: account.person(), ..owner(&authority) };
        let query = device_flow_core::AccessTokenQuery::scopes("user.read");
        let token = cache.access_token(owner, query, at(WRITTEN + 60)).unwrap();
        assert_eq!(token.is_aging(at(WRITTEN + 60)), aging, "{refresh_in}");
    }
}

// RFC 6749 §5.1: a missing lifetime does not mean expired.
#[test]
fn rfc6749_5_1_a_token_without_a_lifetime() {
    let (github, mut cache) = (Authority::at("https://github.com/login/oauth"), TokenCache::new());
    let nobody = Owner { person: device_flow_core::Person::Slot(""), client_id: "my-client", authority: &github };
    let bare = json!({"expires_in": null, "refresh_token": null, "id_token": null, "client_info": null});
    let year = 365 * 24 * 3_600;
    // K15: it is used until an API refuses it, and nobody is told a time; with a refresh token, too.
    let refreshable = json!({"expires_in": null, "id_token": null, "client_info": null});
    for grant in [bare, refreshable] {
        sign_in(&mut cache, &github, grant, WRITTEN);
        let query = device_flow_core::AccessTokenQuery::scopes("user.read").min_life(Some(Duration::from_secs(3_600)));
        let token = cache.access_token(nobody, query, at(WRITTEN + 100 * year)).unwrap();
        assert_eq!(token.expires_on(), None);
    }
    assert!(!cache.to_json().expose().contains("expires_on"));
    // Every MSAL needs a time.
    let (authority, mut cache) = (public(), TokenCache::new());
    sign_in(&mut cache, &authority, json!({"expires_in": null}), WRITTEN);
    assert!(hit(&cache, owner(&authority), "user.read", WRITTEN + 3_299).is_some());
    assert!(hit(&cache, owner(&authority), "user.read", WRITTEN + 3_300).is_none());
}

// remove-account-test-cache.json: all realms, all names of the server, upper case; other people, servers and clients
// stay.
#[test]
fn msal_5_remove_account() {
    let upper = HOME.to_uppercase();
    let entry = |home: &str, environment: &str, client: &str, realm: &str| json!({"home_account_id": home, "environment": environment, "client_id": client, "realm": realm, "secret": "canary"});
    let all = |family: &str| {
        let mut entries = json!({
            "mine": entry(HOME, "login.microsoftonline.com", "my-client", TENANT),
            "upper": entry(&upper, "login.windows.net", "MY-client", "guest"),
            "other client": entry(HOME, "login.windows.net", "other", TENANT),
            "other person": entry("sub", "login.windows.net", "my-client", TENANT),
            "other cloud": entry(HOME, "login.microsoftonline.us", "my-client", TENANT),
        });
        if !family.is_empty() {
            entries["family"] = entry(HOME, "login.windows.net", "third", TENANT);
            entries["family"]["family_id"] = json!(family);
        }
        entries
    };
    let metadata = json!({"appmetadata-login.windows.net-my-client": {"client_id": "my-client", "environment": "login.windows.net", "family_id": "1"}});
    let mut cache = read(
        &json!({"AccessToken": all(""), "IdToken": all(""), "Account": all(""), "RefreshToken": all("1"), "AppMetadata": metadata}),
    );
    assert_eq!(cache.accounts().len(), 3);
    let authority = public();
    assert!(cache.remove_account(owner(&authority)));
    for kind in ["AccessToken", "IdToken", "Account"] {
        assert_eq!(keys(&cache, kind), ["other cloud", "other person"], "{kind}");
    }
    assert_eq!(keys(&cache, "RefreshToken"), ["other client", "other cloud", "other person"]);
    assert_eq!(keys(&cache, "AppMetadata").len(), 1);
    cache.mark_saved();
    assert!(!cache.remove_account(owner(&authority)) && !cache.is_changed(), "the second time there is nothing to do");
    // A client outside the family does not remove the family's token.
    let mut outside = read(&json!({"RefreshToken": all("1")}));
    outside.remove_account(owner(&authority));
    assert_eq!(keys(&outside, "RefreshToken"), ["family", "other client", "other cloud", "other person"]);
}

// multi-tenant-account-cache.json, MultipleAccountsWithSameHome: one person is one account, that of the home tenant.
#[test]
fn msal_5_accounts_are_grouped_by_person_and_server() {
    let entry = |home: &str, environment: &str, realm: &str, name: &str| json!({"home_account_id": home, "environment": environment, "realm": realm, "username": name});
    let cache = read(&json!({"Account": {
        "1": entry("z", "login.windows.net", "", "zoe"),
        "2": entry(HOME, "login.windows.net", "guest", "guest"),
        "3": entry(&HOME.to_uppercase(), "login.microsoftonline.com", TENANT, "home"),
        "4": entry(HOME, "login.microsoftonline.us", "x", "Other"),
        "5": {"home_account_id": "no environment"},
        "6": {"environment": "login.windows.net", "username": "no home"},
    }}));
    let names: Vec<String> = cache.accounts().iter().map(|account| account.username().to_owned()).collect();
    assert_eq!(names, ["zoe", "home", "Other"]);
    assert_eq!(cache.account("OTHER").unwrap().environment(), "login.microsoftonline.us");
    assert_eq!(cache.account("guest"), None);
    // In whatever order they are; of several guests, the first.
    for (realms, chosen) in [([TENANT, "guest"], TENANT), (["guest", TENANT], TENANT), (["guest", "a"], "guest")] {
        let [one, other] = realms.map(|realm| entry(HOME, "login.windows.net", realm, realm));
        let accounts = read(&json!({"Account": {"1": one, "2": other}})).accounts();
        assert_eq!((accounts.len(), accounts[0].realm()), (1, chosen), "{realms:?}");
    }
}

#[test]
fn debug_shows_nothing_of_a_cache() {
    let cache = TokenCache::from_json(PYTHON.as_bytes()).unwrap();
    let authority = localhost();
    let shown = format!("{cache:?} {:?} {:?}", cache.refresh_tokens(owner(&authority)), cache.to_json());
    device_flow_testkit::secrets::none_in(&shown);
    assert!(shown.starts_with("TokenCache { entries: 5, changes: 0, .. }"), "{shown}");
}

#[test]
fn an_account_has_its_parts_as_they_came_to_compare() {
    let account = sign_in(&mut TokenCache::new(), &localhost(), json!({}), WRITTEN);
    assert_eq!((account.raw_local_account_id(), account.raw_realm()), (OID, TENANT));
}

// Row 4.9: a client that has left its family is in none, and the metadata of other clients is not touched. What is no name
// of a family names none.
#[test]
fn msal_4_9_the_metadata_of_a_client_says_whether_it_is_in_a_family_now() {
    let of_family = |foci: Value| {
        let mut cache = read(&json!({"AppMetadata": {
            "own": {"client_id": "my-client", "environment": "localhost", "family_id": "1"},
            "other": {"client_id": "other", "environment": "localhost", "family_id": "1"},
        }}));
        sign_in(&mut cache, &localhost(), json!({"foci": foci}), WRITTEN);
        let all = written(&cache)["AppMetadata"].clone();
        assert_eq!((all.as_object().unwrap().len(), &all["other"]["family_id"]), (2, &json!("1")), "{all}");
        all["appmetadata-localhost-my-client"]["family_id"].clone()
    };
    for (foci, family) in [
        (json!("2"), json!("2")),
        (json!(2), json!("2")),
        (Value::Null, Value::Null),
        (json!(""), Value::Null),
        (json!({"1": 1}), Value::Null),
        (json!(["1"]), Value::Null),
    ] {
        assert_eq!(of_family(foci.clone()), family, "{foci}");
    }
}
