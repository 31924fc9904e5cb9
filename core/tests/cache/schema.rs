//! The file (rows of the unified schema): whatever program wrote it, it is written as it was read.

use super::grants::*;
use device_flow_core::{Authority, CacheError, GrantOrigin, Person, TokenCache};
use proptest::prelude::*;
use serde_json::{Value, json};

// Both real files, with other accounts in them: nothing is lost or changed, and everything is found.
#[test]
fn msal_6_files_of_python_and_node_are_read_and_rewritten_without_a_loss() {
    for (file, name) in [(PYTHON, "msal-python-1.39.0"), (NODE, "msal-node-7.2.1")] {
        let cache = TokenCache::from_json(file.as_bytes()).unwrap();
        assert!(!cache.is_changed());
        assert_eq!(written(&cache), serde_json::from_str::<Value>(file).unwrap(), "{name}");
        let authority = localhost();
        let accounts = cache.accounts();
        assert_eq!(accounts.len(), 1, "{name}");
        let account = &accounts[0];
        assert_eq!((account.home_account_id(), account.local_account_id()), (HOME, OID));
        assert_eq!((account.username(), account.environment()), ("grace@fabrikam.test", "localhost"));
        assert_eq!((account.realm(), account.home_tenant()), (TENANT, Some(TENANT)));
        assert_eq!(account.name(), name.contains("node").then_some("Grace H"));
        let wanted = Some(format!("AT-canary-{name}"));
        assert_eq!(hit(&cache, owner(&authority), "User.Read", WRITTEN), wanted);
        assert_eq!(refresh_tokens(&cache, owner(&authority)), [format!("RT-canary-{name}")]);
        assert!(cache.id_token(owner(&authority)).unwrap().expose().ends_with(".canary"));
    }
}

// TokenCache.spec "unrecognised entities kept", serialized_cache.json: unknown roots, members and entries.
#[test]
fn msal_6_what_is_not_known_stays() {
    let file = json!({
        "Unknown": {"a": [1, null, {"b": "\u{e9}"}]},
        "AccessToken": {
            "no object": 7, "no home": {"secret": "AT-canary", "environment": "localhost"}, "nothing": null,
            "home is no text": {"home_account_id": 1, "environment": "localhost"}
        },
        "Account": {"k": {"home_account_id": HOME, "environment": "localhost", "realm": "r", "wam_account_ids": {"x": "y"}, "n": null}},
        "RefreshToken": [1, 2],
        "AppMetadata": null,
        "": 1.5,
    });
    let mut cache = read(&file);
    assert_eq!(written(&cache), file);
    // Also when something else is written.
    sign_in(&mut cache, &localhost(), json!({}), WRITTEN);
    let after = written(&cache);
    for root in ["Unknown", ""] {
        assert_eq!(after[root], file[root]);
    }
    for (key, value) in file["AccessToken"].as_object().unwrap() {
        assert_eq!(&after["AccessToken"][key], value);
    }
    assert_eq!(after["Account"]["k"], file["Account"]["k"]);
    assert_eq!(after["RefreshToken"].as_object().unwrap().len(), 1, "what must be a map gives way to one");
    assert_eq!(cache.to_json().expose().matches("\"RefreshToken\":").count(), 1);
}

#[test]
fn msal_6_texts_with_escapes_are_found_and_stay_as_they_are() {
    let text = r#"{"AccessToken":{"k\u0061\ud800":{"home_account_id":"\u0061b","environment":"\u006cocalhost","client_id":"my\/client","realm":"r","target":"a","secret":"AT-\u0063anary\/1","expires_on":"2000000000"}}}"#;
    let cache = TokenCache::from_json(text.as_bytes()).unwrap();
    assert_eq!(cache.to_json().expose(), text);
    let authority = Authority::entra("localhost", "r");
    let owner = device_flow_core::Owner {
        person: device_flow_core::Person::Id("AB"),
        client_id: "my/client",
        authority: &authority,
    };
    assert_eq!(hit(&cache, owner, "A", WRITTEN).as_deref(), Some("AT-canary/1"));
}

#[test]
fn msal_6_an_empty_file_is_an_empty_cache_and_garbage_is_none() {
    for empty in [&b""[..], b" \n", b"\xef\xbb\xbf", b"{}", b"\xef\xbb\xbf{}"] {
        assert_eq!(TokenCache::from_json(empty).unwrap().accounts(), []);
    }
    for (garbage, error) in [
        (&b"\xff"[..], CacheError::NotUtf8),
        (b"[]", CacheError::NotAnObject),
        (b"{\"AccessToken\":{", CacheError::NotAnObject),
        (b"{} {}", CacheError::NotAnObject),
        (b"null", CacheError::NotAnObject),
    ] {
        assert_eq!(TokenCache::from_json(garbage).unwrap_err(), error);
    }
    assert_eq!(TokenCache::from_json(&vec![b' '; 3 << 20]).unwrap().accounts(), []);
    let new = written(&TokenCache::new());
    assert_eq!(new, json!({"AccessToken": {}, "RefreshToken": {}, "IdToken": {}, "Account": {}, "AppMetadata": {}}));
}

// A map that occurs twice becomes one; of a key that occurs twice the last counts, as for every reader.
#[test]
fn msal_6_what_is_there_twice() {
    let account =
        |name: &str| format!(r#""k":{{"home_account_id":"h","environment":"e","realm":"","username":"{name}"}}"#);
    let text = format!(r#"{{"Account":{{{}}},"X":1,"Account":{{{}}},"X":2}}"#, account("a"), account("b"));
    let cache = TokenCache::from_json(text.as_bytes()).unwrap();
    let expected = format!(r#"{{"Account":{{{},{}}},"X":1,"X":2}}"#, account("a"), account("b"));
    assert_eq!(cache.to_json().expose(), expected);
}

// An entry is read as it is passed, and where it ends is known from its last member alone.
#[test]
fn msal_6_an_entry_stays_as_it_is_written_whatever_stands_in_it() {
    let account = "\"home_account_id\":\"h\" , \"environment\":\"e\",\"realm\" : \"\",\"name\":\"{}\"";
    let odd = ["{}", "{ \n}", "{\"}\":\"}{\"}", "{\"a\" : { \"b\":[{}] } , \"c\":1\t}", "{\"c\":[] \n }"];
    for (last, other) in odd.iter().flat_map(|last| ["null", "[{}]", "\"{}\"", "7", "{}"].map(|other| (last, other))) {
        let text = format!("{{\"Account\":{{\"{{}}\"\t: {{ {account}\r}},\"k\" :{last},\"n\":{other}}}}}");
        let cache = TokenCache::from_json(text.as_bytes()).unwrap();
        assert_eq!(cache.to_json().expose(), text);
        let accounts = cache.accounts();
        assert_eq!(
            accounts.iter().map(|it| (it.home_account_id(), it.name())).collect::<Vec<_>>(),
            [("h", Some("{}"))]
        );
    }
}

// Golden keys and fields: as Python writes them, except for the refresh token, whose key is Node's (see `saving`).
#[test]
fn msal_6_keys_and_fields_of_a_first_sign_in() {
    let mut cache = TokenCache::new();
    let grant = json!({"scope": "User.Read profile openid", "refresh_in": "1800", "ext_expires_in": 7200, "foci": "1"});
    sign_in(&mut cache, &localhost(), grant, WRITTEN);
    let id_token = jwt(&claims(json!({})));
    let expected = json!({
        "AccessToken": {(format!("{HOME}-localhost-accesstoken-my-client-{TENANT}-user.read openid profile")): {
            "credential_type": "AccessToken", "secret": "AT-canary", "home_account_id": HOME, "environment": "localhost",
            "client_id": "my-client", "target": "User.Read openid profile", "realm": TENANT, "token_type": "Bearer",
            "cached_at": "1800077335", "expires_on": "1800080935", "extended_expires_on": "1800084535",
            "refresh_on": "1800079135"
        }},
        "RefreshToken": {(format!("{HOME}-localhost-refreshtoken-1---")): {
            "credential_type": "RefreshToken", "secret": "RT-canary", "home_account_id": HOME, "environment": "localhost",
            "client_id": "my-client", "family_id": "1", "last_modification_time": "1800077335"
        }},
        "IdToken": {(format!("{HOME}-localhost-idtoken-my-client-{TENANT}-")): {
            "credential_type": "IdToken", "secret": id_token, "home_account_id": HOME, "environment": "localhost",
            "realm": TENANT, "client_id": "my-client"
        }},
        "Account": {(format!("{HOME}-localhost-{TENANT}")): {
            "home_account_id": HOME, "environment": "localhost", "realm": TENANT, "local_account_id": OID,
            "username": "grace@fabrikam.test", "authority_type": "MSSTS", "name": "Grace H",
            "account_source": "urn:ietf:params:oauth:grant-type:device_code",
            "client_info": encoded(&json!({"uid": OID, "utid": TENANT}))
        }},
        "AppMetadata": {"appmetadata-localhost-my-client": {
            "client_id": "my-client", "environment": "localhost", "family_id": "1"
        }}
    });
    assert_eq!(written(&cache), expected);
}

// Elsewhere nothing is written for Python's sake, and a slot stands for a person without a name alone.
#[test]
fn keys_and_fields_of_a_first_sign_in_at_a_server_that_is_not_microsofts() {
    let (server, slot) = (Authority::at("https://as.example"), Person::Slot("work"));
    let origin = |authority| GrantOrigin { person: slot, ..signed_in(authority) };
    let id_token = jwt(&claims(json!({"oid": null})));
    let written_for = |id_token: Option<&str>| {
        let mut cache = TokenCache::new();
        let grant = granted("mail", json!({"id_token": id_token, "client_info": null}));
        cache.save(&grant, &origin(&server), at(WRITTEN)).unwrap();
        written(&cache)
    };
    let named = json!({"home_account_id": "sub-grace", "environment": "https://as.example"});
    let with = |person: &Value, change: Value| {
        let mut entry = person.clone();
        merge(&mut entry, change);
        entry
    };
    let tokens = |person: &Value, key: &str| {
        json!({
            "AccessToken": {(format!("{key} mail%20openid%20profile ")): with(person, json!({
                "credential_type": "AccessToken", "secret": "AT-canary", "client_id": "my-client",
                "target": "mail openid profile", "realm": "", "token_type": "Bearer", "cached_at": "1800077335", "expires_on": "1800080935"
            }))},
            "RefreshToken": {(key): with(person, json!({
                "credential_type": "RefreshToken", "secret": "RT-canary", "client_id": "my-client",
                "last_modification_time": "1800077335"
            }))},
        })
    };
    let account = |person: &Value, local: &str, username: &str| {
        with(
            person,
            json!({
                "realm": "", "local_account_id": local, "username": username, "authority_type": "Generic",
                "client_id": "my-client", "account_source": "urn:ietf:params:oauth:grant-type:device_code"
            }),
        )
    };
    let key = "https://as.example my-client id sub-grace";
    let mut expected = tokens(&named, key);
    expected["IdToken"] = json!({(key): with(&named, json!({
        "credential_type": "IdToken", "secret": id_token, "realm": "", "client_id": "my-client"
    }))});
    let named = with(&account(&named, "sub-grace", "grace@fabrikam.test"), json!({"name": "Grace H"}));
    expected["Account"] = json!({(key): named});
    expected["AppMetadata"] = json!({});
    assert_eq!(written_for(Some(&id_token)), expected);

    let nobody = json!({"home_account_id": "", "environment": "https://as.example", "slot": "work"});
    let key = "https://as.example my-client slot work";
    let mut expected = tokens(&nobody, key);
    (expected["IdToken"], expected["AppMetadata"]) = (json!({}), json!({}));
    expected["Account"] = json!({(key): account(&nobody, "", "")});
    assert_eq!(written_for(None), expected);

    // Nor does an MSAL ever see a slot.
    let (entra, mut cache) = (localhost(), TokenCache::new());
    cache.save(&granted("mail", json!({"id_token": null, "client_info": null})), &origin(&entra), at(WRITTEN));
    assert!(!cache.to_json().expose().contains("work"), "{}", written(&cache));
}

const KNOWN: [&str; 8] =
    ["home_account_id", "environment", "client_id", "realm", "target", "secret", "expires_on", "family_id"];

/// Names of one cloud.
const ALIASES: [&str; 3] = ["login.microsoftonline.com", "login.windows.net", "STS.windows.net"];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,6}|\\PC{0,4}".prop_map(Value::from),
    ];
    let name = || prop_oneof![prop::sample::select(&KNOWN[..]).prop_map(String::from), "\\PC{0,4}"];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..5).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn any_cache() -> impl Strategy<Value = Value> {
    let root = prop_oneof![
        4 => prop::sample::select(&["AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata"][..]).prop_map(String::from),
        1 => "\\PC{0,4}"
    ];
    prop::collection::btree_map(root, any_json(), 0..6).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cache_comes_out_as_it_went_in(file in any_cache(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&file) } else { serde_json::to_string(&file) }.unwrap();
        let cache = TokenCache::from_json(text.as_bytes()).unwrap();
        prop_assert_eq!(&written(&cache), &file);
        // What was added can be removed again, and everything is as before.
        let (mut cache, authority) = (cache, Authority::at("https://somewhere.example/else"));
        let grant = granted("a", json!({"client_info": null}));
        let account = cache.save(&grant, &signed_in(&authority), at(WRITTEN)).unwrap();
        let owner = device_flow_core::Owner { person: account.person(), ..owner(&authority) };
        let found = hit(&cache, owner, "a", WRITTEN);
        prop_assert_eq!(found.as_deref(), Some("AT-canary"));
        cache.remove_account(owner);
        let after = written(&cache);
        for (name, value) in file.as_object().unwrap() {
            let gave_way = !value.is_object() && ["AccessToken", "RefreshToken", "IdToken", "Account"].contains(&name.as_str());
            prop_assert!(gave_way || &after[name] == value, "{}", name);
        }
    }

    // A refresh updates the entries that it finds and keeps members that it does not own; so does `leave_family`.
    #[test]
    fn what_a_refresh_replaces_keeps_the_members_that_nobody_knows(
        unknown in prop::collection::btree_map("x\\PC{0,4}", any_json(), 0..4),
        kinds in prop::collection::vec(any::<bool>(), 3),
        aliases in prop::collection::vec(prop::sample::select(&ALIASES[..]), 3),
        upper: bool,
    ) {
        let home = if upper { HOME.to_uppercase() } else { HOME.to_owned() };
        let owned = ["RefreshToken", "Account", "AppMetadata"].into_iter().zip(&kinds).zip(&aliases);
        let mut file = json!({});
        for ((kind, _), environment) in owned.filter(|((_, there), _)| **there) {
            let mut entry = json!({
                "home_account_id": home, "environment": environment, "client_id": "my-client", "realm": TENANT,
                "secret": "RT-canary-old", "username": "old"
            });
            unknown.iter().for_each(|(name, value)| entry[name] = value.clone());
            file[kind] = json!({"any key": entry});
        }
        let (mut cache, authority) = (read(&file), public());
        let grant = granted("user.read", json!({"refresh_token": "RT-canary-new"}));
        cache.save(&grant, &refreshed(&authority, HOME), at(WRITTEN));
        cache.leave_family("my-client", &authority);
        let after = written(&cache);
        for kind in ["RefreshToken", "Account", "AppMetadata"] {
            let left: Vec<&Value> = after[kind].as_object().unwrap().values().collect();
            prop_assert_eq!(left.len(), 1, "one is left of {}", kind);
            for (name, value) in unknown.iter().filter(|_| file[kind].is_object()) {
                prop_assert_eq!(&left[0][name], value, "{} of {}", name, kind);
            }
        }
        prop_assert_eq!(refresh_tokens(&cache, owner(&authority)), ["RT-canary-new"]);
        let names: Vec<String> = cache.accounts().iter().map(|account| account.username().to_owned()).collect();
        prop_assert_eq!(names, ["grace@fabrikam.test"]);
    }

    #[test]
    fn any_bytes_are_a_cache_or_an_error(bytes: Vec<u8>) {
        let _ = TokenCache::from_json(&bytes);
    }
}
