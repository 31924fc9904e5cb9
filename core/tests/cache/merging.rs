//! Two writers of one store: the changes of both survive.

use super::grants::*;
use device_flow_core::TokenCache;
use serde_json::{Value, json};

/// The store that both have loaded, as the other changed it, and as it is after this one merges and saves.
fn merged(base: &str, other: impl FnOnce(&mut TokenCache), mine: impl FnOnce(&mut TokenCache)) -> TokenCache {
    let load = |text: &str| TokenCache::from_json(text.as_bytes()).unwrap();
    let (mut theirs, mut ours) = (load(base), load(base));
    other(&mut theirs);
    mine(&mut ours);
    // Other writers format it in their own way.
    ours.merge(load(&serde_json::to_string_pretty(&written(&theirs)).unwrap()));
    ours
}

fn refresh(number: u8, now: u64) -> impl FnOnce(&mut TokenCache) {
    move |cache| {
        let grant = granted(
            "user.read",
            json!({"refresh_token": format!("RT-canary-{number}"), "access_token": format!("AT-canary-{number}")}),
        );
        cache.save(&grant, &refreshed(&localhost(), HOME), at(now));
    }
}

fn sign_out(cache: &mut TokenCache) {
    assert!(cache.remove_account(owner(&localhost())));
}

fn other_person(cache: &mut TokenCache) {
    let change = json!({"client_info": encoded(&json!({"uid": "other", "utid": "person"}))});
    sign_in(cache, &localhost(), change, WRITTEN);
}

#[test]
fn what_both_added_is_there() {
    let cache = merged(PYTHON, other_person, refresh(2, WRITTEN + 9));
    assert_eq!(cache.accounts().len(), 2);
    assert_eq!(refresh_tokens(&cache, owner(&localhost())), ["RT-canary-2"]);
    assert_eq!(hit(&cache, owner(&localhost()), "user.read", WRITTEN + 9).as_deref(), Some("AT-canary-2"));
    assert!(cache.is_changed());
    let nothing = merged(PYTHON, other_person, |_| ());
    assert_eq!((nothing.accounts().len(), nothing.is_changed()), (2, false));
}

#[test]
fn a_token_that_both_replaced_is_the_newer_one() {
    for (mine, theirs, newer) in [(9, 8, "RT-canary-1"), (8, 9, "RT-canary-2"), (8, 8, "RT-canary-1")] {
        let cache = merged(PYTHON, refresh(2, WRITTEN + theirs), refresh(1, WRITTEN + mine));
        assert_eq!(refresh_tokens(&cache, owner(&localhost()))[0], newer);
    }
}

#[test]
fn an_account_signed_out_here_stays_signed_out_even_if_refreshed_there() {
    let cache = merged(NODE, refresh(2, WRITTEN + 9), sign_out);
    assert!(cache.accounts().is_empty() && refresh_tokens(&cache, owner(&localhost())).is_empty());
}

#[test]
fn an_account_signed_out_there_and_refreshed_here_stays_signed_in() {
    let cache = merged(NODE, sign_out, refresh(2, WRITTEN + 9));
    assert_eq!(refresh_tokens(&cache, owner(&localhost())), ["RT-canary-2"]);
}

#[test]
fn an_account_signed_out_there_is_not_restored() {
    let cache = merged(NODE, sign_out, other_person);
    assert_eq!(cache.accounts().len(), 1);
    assert!(refresh_tokens(&cache, owner(&localhost())).is_empty());
}

// A refused token is removed; the one that another process got in its place stays.
#[test]
fn b23_a_refused_token_that_was_replaced_meanwhile_stays_replaced() {
    let refused = |cache: &mut TokenCache| assert!(cache.remove_refresh_token(&secret("RT-canary-msal-node-7.2.1")));
    let cache = merged(NODE, refresh(2, WRITTEN + 9), refused);
    assert_eq!(refresh_tokens(&cache, owner(&localhost())), ["RT-canary-2"]);
    let alone = merged(NODE, |_| (), refused);
    assert!(refresh_tokens(&alone, owner(&localhost())).is_empty());
}

// What was merged and saved is the base of the next change.
#[test]
fn merging_and_saving_again_and_again() {
    let mut stored = String::from(NODE);
    let mut ours = TokenCache::from_json(stored.as_bytes()).unwrap();
    for round in 0..4_u8 {
        let mut theirs = TokenCache::from_json(stored.as_bytes()).unwrap();
        let person = encoded(&json!({"uid": round.to_string(), "utid": "t"}));
        sign_in(&mut theirs, &localhost(), json!({"client_info": person}), WRITTEN);
        stored = theirs.to_json().expose().to_owned();
        refresh(round, WRITTEN + 10 + u64::from(round))(&mut ours);
        ours.merge(TokenCache::from_json(stored.as_bytes()).unwrap());
        stored = ours.to_json().expose().to_owned();
        ours.mark_saved();
        assert!(!ours.is_changed());
        assert_eq!(ours.accounts().len(), usize::from(round) + 2);
        assert_eq!(refresh_tokens(&ours, owner(&localhost())), [format!("RT-canary-{round}")]);
    }
    let unknown: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(unknown["Account"].as_object().unwrap().len(), 5);
}

// Keys with invalid escapes are still keys, each a different one.
#[test]
fn keys_with_invalid_escapes_are_distinct() {
    let token = |number: u8| {
        format!(
            r#"{{"home_account_id":"{HOME}","environment":"localhost","client_id":"my-client","secret":"RT-canary-{number}"}}"#
        )
    };
    let file = format!(r#"{{"RefreshToken":{{"\ud800":{},"\ud801":{}}}}}"#, token(1), token(2));
    let mut cache = TokenCache::from_json(file.as_bytes()).unwrap();
    assert!(cache.remove_refresh_token(&secret("RT-canary-1")));
    cache.merge(TokenCache::from_json(file.as_bytes()).unwrap());
    assert_eq!(refresh_tokens(&cache, owner(&localhost())), ["RT-canary-2"]);
}
