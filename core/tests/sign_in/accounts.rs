//! The account of a sign-in: the only one, the named one, or an error that lists them.

use super::grants::*;
use device_flow_core::{Client, Failure, Provider, SignInReason, SignInRequest, TokenSource};
use serde_json::json;

fn ada_and_eve() -> device_flow_core::TokenCache {
    let eve = grant(2, json!({"id_token": id_token("eve", json!({}))}));
    cache(&[grant(1, json!({})), eve])
}

#[test]
fn of_several_accounts_none_is_guessed() {
    let failure = silent(request(), ada_and_eve(), THEN).failure();
    assert_eq!(failure, Failure::WhichAccount(["ada@example.test".into(), "eve@example.test".into()].into()));
    assert_eq!(
        failure.to_string(),
        "several accounts are signed in (ada@example.test, eve@example.test): say which one is meant"
    );
    // Nor is a code shown, which could only add a third account.
    let mut run = full(request(), ada_and_eve(), THEN);
    assert!(matches!(run.failure(), Failure::WhichAccount(_)));
}

#[test]
fn an_account_is_named_by_its_user_name_or_its_id() {
    for name in ["eve@example.test", "EVE@Example.Test", "sub-eve"] {
        let mut run = silent(request().account(name), ada_and_eve(), THEN);
        assert_eq!(token(run.outcome()), ("AT-canary-2".to_owned(), TokenSource::Cache), "{name}");
    }
    let cache = ada_and_eve();
    let eve = cache.account("eve@example.test").unwrap();
    assert_eq!(token(Ok(request().known_account(eve).cached(&cache, THEN).unwrap())).0, "AT-canary-2");
    let mut run = silent(request().account("mallory@example.test"), ada_and_eve(), THEN);
    assert_eq!(run.failure(), Failure::SignInNeeded(SignInReason::NotSignedIn));
}

// Bob calls himself by Ada's id.
#[test]
fn k06_an_account_id_goes_before_a_user_name() {
    let bob = grant(2, json!({"id_token": id_token("bob", json!({"preferred_username": "sub-ada"}))}));
    let both = || cache(&[grant(1, json!({})), bob.clone()]);
    for (name, number) in [("sub-ada", 1), ("sub-bob", 2), ("ada@example.test", 1), ("SUB-ADA", 2)] {
        let mut run = silent(request().account(name), both(), THEN);
        assert_eq!(token(run.outcome()).0, format!("AT-canary-{number}"), "{name}");
    }
    // The exact spelling of a user name goes before another.
    let upper = grant(2, json!({"id_token": id_token("bob", json!({"preferred_username": "ADA@example.test"}))}));
    for (name, number) in [("ADA@example.test", 2), ("ada@example.test", 1)] {
        let mut run = silent(request().account(name), cache(&[grant(1, json!({})), upper.clone()]), THEN);
        assert_eq!(token(run.outcome()).0, format!("AT-canary-{number}"), "{name}");
    }
    let failure = silent(request().account("Ada@example.test"), cache(&[grant(1, json!({})), upper]), THEN).failure();
    assert_eq!(failure, Failure::WhichAccount(["sub-ada".into(), "sub-bob".into()].into()));
    assert_eq!(silent(request().account(""), both(), THEN).failure(), Failure::SignInNeeded(SignInReason::NotSignedIn));
}

// A server without ID tokens: two people in two slots.
#[test]
fn k03_each_slot_has_the_token_of_its_own_sign_in() {
    let nobody = |number| grant(number, json!({"id_token": null}));
    let (work, home) = (request().slot("work"), request().slot("home"));
    let mut cache = cache_of(&work, &[nobody(1)]);
    let failure = silent(home.clone(), copy(&cache), THEN).failure();
    assert_eq!(failure, Failure::SignInNeeded(SignInReason::NotSignedIn));
    assert_eq!(silent(request(), copy(&cache), THEN).failure(), Failure::SignInNeeded(SignInReason::NotSignedIn));
    let mut run = crate::support::Run::of(home.device_flow([7; 32]));
    run.script(&[(200, &crate::support::device_answer(json!({}))), (200, &nobody(2))]);
    home.keep(&run.outcome().unwrap(), &mut cache, THEN).unwrap();
    for (request, number) in [(&work, 1), (&home, 2)] {
        assert_eq!(token(silent(request.clone(), copy(&cache), THEN).outcome()).0, format!("AT-canary-{number}"));
    }
    // A refresh stays in its slot, even when the server names the person for the first time.
    let mut run = silent(work.clone(), copy(&cache), later(HOUR));
    run.script(&[(200, &grant(3, json!({})))]);
    let signed_in = run.outcome().unwrap();
    let account = signed_in.account().unwrap();
    assert_eq!(
        (account.slot(), account.username(), &*account.label()),
        ("work", "ada@example.test", "ada@example.test")
    );
    let cache = run.machine.into_cache();
    assert_eq!(refresh_tokens(&cache), ["RT-canary-2", "RT-canary-3"]);
    // From now on it must be about that person.
    let mut run = silent(work, cache, later(2 * HOUR));
    run.script(&[(200, &grant(4, json!({"id_token": id_token("eve", json!({}))})))]);
    assert!(matches!(run.failure(), Failure::Protocol(_)));
}

// Somebody whom the server named, and somebody in the slot that is meant.
#[test]
fn k03_the_slot_that_is_named_goes_before_somebody_else_s_account() {
    let work = request().slot("work");
    let mut cache = cache_of(&work, &[grant(1, json!({"id_token": null})), grant(2, json!({}))]);
    assert_eq!(cache.accounts().len(), 2);
    assert_eq!(token(silent(work.clone(), copy(&cache), THEN).outcome()).0, "AT-canary-1");
    assert_eq!(token(silent(work.account("sub-ada"), copy(&cache), THEN).outcome()).0, "AT-canary-2");
    // Without a slot there is only one that is meant; with the slot without a name there are two.
    assert_eq!(token(silent(request(), copy(&cache), THEN).outcome()).0, "AT-canary-2");
    let nobody = cache_of(&request(), &[grant(3, json!({"id_token": null}))]);
    cache.merge(nobody);
    let mut run = crate::support::Run::of(request().device_flow([7; 32]));
    run.script(&[(200, &crate::support::device_answer(json!({}))), (200, &grant(4, json!({})))]);
    request().keep(&run.outcome().unwrap(), &mut cache, THEN).unwrap();
    let failure = silent(request(), cache, THEN).failure();
    assert_eq!(failure, Failure::WhichAccount(["one without a name".into(), "ada@example.test".into()].into()));
    // The same request at a client that has looked its endpoints up again.
    let (again, named) = (client(), request().account("ada").slot("work"));
    let at = named.clone().at(again.clone());
    assert!(std::sync::Arc::ptr_eq(at.client(), &again) && !at.is_same(&named));
    assert!(at.is_same(&SignInRequest::new(again).account("ada").slot("work")));
}

// Somebody without a name belongs to a slot, whatever the request names.
#[test]
fn k03_a_known_account_stays_in_its_slot() {
    let nobody = |number| grant(number, json!({"id_token": null}));
    let mut cache = cache_of(&request().slot("work"), &[nobody(1)]);
    sign_in(&mut cache, &request().slot("home"), &nobody(2));
    let work = cache.accounts().into_iter().find(|account| account.slot() == "work").unwrap();
    let known = request().slot("home").known_account(work.clone());
    assert_eq!(known.owner(&work).person, device_flow_core::Person::Slot("work"));
    assert_eq!(token(Ok(known.cached(&cache, THEN).unwrap())).0, "AT-canary-1");
}

// Version 0.1.0 had one account for all clients: what is left of it for another client is nobody else for this one.
#[test]
fn k03_an_account_of_0_1_0_that_was_taken_over_is_found_once_and_others_are_still_there() {
    let entry = |who: &str, client: &str| {
        json!({
            "home_account_id": format!("sub-{who}"), "environment": "as/token", "realm": "", "local_account_id": "",
            "username": format!("{who}@example.test"), "authority_type": "Generic", "credential_type": "RefreshToken",
            "client_id": client, "target": "mail", "secret": format!("RT-canary-{who}-{client}")
        })
    };
    let account = |who: &str| {
        let mut account = entry(who, "");
        for name in ["credential_type", "client_id", "target", "secret"] {
            account.as_object_mut().unwrap().remove(name);
        }
        account
    };
    let former = json!({
        "Account": {"sub-ada-as/token-": account("ada"), "sub-eve-as/token-": account("eve")},
        "RefreshToken": {"1": entry("ada", "my-app"), "2": entry("ada", "other-app"), "3": entry("eve", "my-app")}
    });
    let former = device_flow_core::TokenCache::from_json(former.to_string().as_bytes()).unwrap();
    let mut run = silent(request().account("sub-ada"), former, THEN);
    run.script(&[(200, &grant(4, json!({})))]);
    run.outcome().unwrap();
    let cache = run.machine.into_cache();
    // Ada with this client, what is left of her for the other one, and Eve.
    assert_eq!(cache.accounts().len(), 3);
    let failure = request().find_account(&cache).unwrap_err();
    assert_eq!(failure, Failure::WhichAccount(["eve@example.test".into(), "ada@example.test".into()].into()));
    assert_eq!(token(silent(request().account("ada@example.test"), cache, THEN).outcome()).0, "AT-canary-4");
}

#[test]
fn what_has_signed_in_shows_no_secret() {
    let shown = format!("{:?}", request().cached(&cache(&[grant(1, json!({}))]), THEN).unwrap());
    assert!(shown.contains("Cache") && shown.contains("mail") && !shown.contains("canary"), "{shown}");
}

// A refresh that goes on is joined by those who want the same token, and by nobody from another slot.
#[test]
fn k03_the_refresh_of_one_slot_is_not_that_of_another() {
    let request = request();
    let of = |slot: &str| request.clone().slot(slot);
    assert!(of("work").is_same(&of("work")));
    assert!(!of("work").is_same(&of("home")) && !of("work").is_same(&of("Work")) && !of("work").is_same(&request));
}

// Version 0.1.0 knew no slots: the slot that refreshes what it wrote has it from then on, and no other slot.
#[test]
fn k03_what_0_1_0_wrote_becomes_the_slot_that_refreshes_it() {
    let whose = json!({
        "home_account_id": "", "environment": "as/token", "realm": "", "local_account_id": "", "username": "",
        "authority_type": "Generic", "credential_type": "RefreshToken", "client_id": "my-app", "target": "mail",
        "secret": "RT-canary-1"
    });
    let mut account = whose.clone();
    for name in ["credential_type", "client_id", "target", "secret"] {
        account.as_object_mut().unwrap().remove(name);
    }
    let former = json!({
        "Account": {"-as/token-": account}, "RefreshToken": {"-as/token-refreshtoken-my-app--mail": whose}
    });
    let former = device_flow_core::TokenCache::from_json(former.to_string().as_bytes()).unwrap();
    let mut run = silent(request().slot("work"), former, THEN);
    run.script(&[(200, &grant(2, json!({"id_token": null})))]);
    assert_eq!(run.outcome().unwrap().account().unwrap().slot(), "work");
    let cache = run.machine.into_cache();
    assert_eq!(token(silent(request().slot("work"), copy(&cache), THEN).outcome()).0, "AT-canary-2");
    for other in ["home", ""] {
        let failure = silent(request().slot(other), copy(&cache), THEN).failure();
        assert_eq!(failure, Failure::SignInNeeded(SignInReason::NotSignedIn), "{other}");
    }
}

// Servers, clients and slots whose names differ in letter case alone.
#[test]
fn k05_a_request_finds_only_the_account_of_its_own_spelling() {
    let at = |token: &str, client: &str, slot: &str| {
        let client = Client::builder(Provider::endpoints("https://as/device", token), client);
        SignInRequest::new(client.scope("mail").build().unwrap()).slot(slot)
    };
    let requests = [
        at("https://as/token", "my-app", "work"),
        at("https://as/Token", "my-app", "work"),
        at("https://as/token", "My-App", "work"),
        at("https://as/token", "my-app", "Work"),
    ];
    // By slots, and by people whom the server names.
    for (named, requests) in [(false, &requests[..]), (true, &requests[..3])] {
        let mut cache = device_flow_core::TokenCache::new();
        for (number, request) in (0..).zip(requests) {
            assert_eq!(request.find_account(&cache), Ok(None), "{number}, named: {named}");
            let id_token = named.then(|| id_token("ada", json!({"aud": request.client().client_id()})));
            let mut run = crate::support::Run::of(request.device_flow([7; 32]));
            let answer = grant(number, json!({"id_token": id_token}));
            run.script(&[(200, &crate::support::device_answer(json!({}))), (200, &answer)]);
            request.keep(&run.outcome().unwrap(), &mut cache, THEN).unwrap();
        }
        for (number, request) in requests.iter().enumerate() {
            let found = token(silent(request.clone(), copy(&cache), THEN).outcome()).0;
            assert_eq!(found, format!("AT-canary-{number}"), "named: {named}");
        }
    }
}

fn copy(cache: &device_flow_core::TokenCache) -> device_flow_core::TokenCache {
    device_flow_core::TokenCache::from_json(cache.to_json().expose().as_bytes()).unwrap()
}

#[test]
fn two_accounts_of_one_name_are_told_by_their_ids() {
    let twin = grant(2, json!({"id_token": id_token("eve", json!({"preferred_username": "ada@example.test"}))}));
    let both = || cache(&[grant(1, json!({})), twin.clone()]);
    let failure = silent(request().account("ada@example.test"), both(), THEN).failure();
    assert_eq!(failure, Failure::WhichAccount(["sub-ada".into(), "sub-eve".into()].into()));
    assert_eq!(token(silent(request().account("sub-eve"), both(), THEN).outcome()).0, "AT-canary-2");
}

// F14.
#[test]
fn accounts_of_another_server_or_of_another_client_are_not_meant() {
    let there = Client::builder(Provider::endpoints("https://other/device", "https://other/token"), "my-app");
    let there = SignInRequest::new(there.scope("mail").build().unwrap());
    let failure = silent(there, ada(), THEN).failure();
    assert_eq!(failure, Failure::SignInNeeded(SignInReason::NotSignedIn));
    // Two accounts in one cache, one of which has never used this client.
    let other = Client::builder(Provider::endpoints("https://as/device", "https://as/token"), "other-app");
    let other = SignInRequest::new(other.scope("mail").build().unwrap());
    let eve = grant(2, json!({"id_token": id_token("eve", json!({"aud": "other-app"}))}));
    let mut cache = cache_of(&other, &[eve]);
    let mut base = ada();
    base.merge(cache);
    cache = base;
    // A merge without changes takes over what is stored.
    assert_eq!(cache.accounts().len(), 1);
    let run = {
        let flow = request().device_flow([7; 32]);
        let sign_in = device_flow_core::SignIn::interactive(request(), cache, THEN, flow);
        let mut run = crate::support::Run::of(sign_in);
        run.script(&[(200, &crate::support::device_answer(json!({}))), (200, &grant(1, json!({})))]);
        run.outcome().unwrap();
        run
    };
    let cache = run.machine.into_cache();
    assert_eq!(cache.accounts().len(), 2);
    let bytes = cache.to_json();
    assert_eq!(token(silent(request(), cache, THEN).outcome()).0, "AT-canary-1");
    let cache = device_flow_core::TokenCache::from_json(bytes.expose().as_bytes()).unwrap();
    assert_eq!(token(silent(other, cache, THEN).outcome()).0, "AT-canary-2");
}

#[test]
fn a_server_that_never_says_who_has_one_account() {
    let nobody = |number| grant(number, json!({"id_token": null}));
    let mut run = silent(request(), cache(&[nobody(1)]), THEN);
    let signed_in = run.outcome().unwrap();
    assert_eq!(signed_in.account().unwrap().username(), "");
    assert_eq!(token(Ok(signed_in)).1, TokenSource::Cache);
    // The next sign-in takes its place.
    assert_eq!(token(silent(request(), cache(&[nobody(1), nobody(2)]), THEN).outcome()).0, "AT-canary-2");
    let mut run = silent(request(), cache(&[nobody(1)]), later(HOUR));
    run.script(&[(200, &nobody(3))]);
    assert_eq!(token(run.outcome()).1, TokenSource::Refresh);
    assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-3"]);
}

// GitHub sums scopes up: the same request finds the token that is there.
#[test]
fn scopes_that_the_server_renamed_are_found_again() {
    let client = Client::builder(Provider::github(), "my-app").scope("user user:email repo").build().unwrap();
    let request = SignInRequest::new(client);
    let github = json!({"access_token": "AT-canary-1", "token_type": "bearer", "scope": "repo,user"}).to_string();
    let cache = || cache_of(&request, std::slice::from_ref(&github));
    let mut run = silent(request.clone(), cache(), later(1_000 * HOUR));
    let signed_in = run.outcome().unwrap();
    assert_eq!(signed_in.scopes().collect::<Vec<_>>(), ["repo", "user"]);
    // Other scopes were never requested, and no refresh can bring them.
    let more = Client::builder(Provider::github(), "my-app").scope("user gist").build().unwrap();
    let failure = silent(SignInRequest::new(more), cache(), THEN).failure();
    assert_eq!(failure, Failure::SignInNeeded(SignInReason::NewScopes));
    let less = Client::builder(Provider::github(), "my-app").scope("user:email").build().unwrap();
    assert_eq!(token(silent(SignInRequest::new(less), cache(), THEN).outcome()).1, TokenSource::Cache);
}

// F14: with some servers the audience, and not the scopes, says what a token is valid for.
#[test]
fn a_token_for_one_api_is_not_used_for_another() {
    let of = |api: &str| request_for(|client| if api.is_empty() { client } else { client.audience(api) });
    let resources = || request_for(|client| client.resource("https://b.test/").resource("https://a.test/"));
    let grants = |number| grant(number, json!({}));
    let cache = cache_of(&of("https://a.test/"), &[grants(1)]);
    let nowhere = Failure::SignInNeeded(SignInReason::NewScopes);
    for request in [of(""), of("https://b.test/"), resources()] {
        assert!(request.cached(&cache, THEN).is_none());
        let copy = device_flow_core::TokenCache::from_json(cache.to_json().expose().as_bytes()).unwrap();
        assert_eq!(silent(request, copy, THEN).failure(), nowhere);
    }
    // Each is found by a request for it; the order of resources does not matter.
    let mut cache = cache;
    for (number, request) in [(2, of("")), (3, of("https://b.test/")), (4, resources())] {
        let mut run = crate::support::Run::of(request.device_flow([7; 32]));
        run.script(&[(200, &crate::support::device_answer(json!({}))), (200, &grants(number))]);
        request.keep(&run.outcome().unwrap(), &mut cache, THEN).unwrap();
    }
    let turned = request_for(|client| client.resource("https://a.test/").resource("https://b.test/"));
    for (number, request) in [(1, of("https://a.test/")), (2, of("")), (3, of("https://b.test/")), (4, turned)] {
        let found = request.cached(&cache, THEN).unwrap();
        assert_eq!(found.access_token().expose(), format!("AT-canary-{number}"));
    }
    assert_eq!(secrets(&cache, "AccessToken").len(), 4);
    // The refresh token of the last sign-in serves all of them; each refresh names its API.
    let mut run = silent(of("https://b.test/"), cache, later(HOUR));
    run.script(&[(200, &grants(5))]);
    asked(&run.requests[0], &[("audience", Some("https://b.test/")), ("refresh_token", Some("RT-canary-4"))]);
    assert_eq!(token(run.outcome()).1, TokenSource::Refresh);
    assert_eq!(secrets(run.machine.cache(), "AccessToken").len(), 4);
}

fn request_for(
    refine: impl FnOnce(device_flow_core::ClientBuilder) -> device_flow_core::ClientBuilder,
) -> SignInRequest {
    SignInRequest::new(refine(crate::support::builder()).build().unwrap())
}

// django-oauth-toolkit brings no ID token with the device grant, and one with the refresh (findings/). OpenID Connect Core §12.2.
#[test]
fn an_account_gets_its_name_with_the_refresh_when_the_sign_in_brought_none() {
    let mut run = silent(request(), cache(&[grant(1, json!({"id_token": null}))]), later(HOUR));
    run.script(&[(200, &grant(3, json!({})))]);
    let signed_in = run.outcome().unwrap();
    assert_eq!(signed_in.account().map(|account| account.username().to_owned()).as_deref(), Some("ada@example.test"));
    let cache = run.machine.into_cache();
    // One account and one refresh token, not a second beside the one without a name.
    assert_eq!((cache.accounts().len(), refresh_tokens(&cache)), (1, vec!["RT-canary-3".to_owned()]));
    assert_eq!(token(silent(request(), cache, later(HOUR)).outcome()), ("AT-canary-3".to_owned(), TokenSource::Cache));
}

// What another client of the same server has requested does not count.
#[test]
fn k05_a_scope_that_only_another_client_has_requested_needs_a_sign_in() {
    let other = Client::builder(Provider::endpoints("https://as/device", "https://as/token"), "other-app");
    let other = SignInRequest::new(other.scope("files").build().unwrap());
    let mut cache = cache(&[grant(1, json!({}))]);
    sign_in(&mut cache, &other, &grant(2, json!({"id_token": id_token("ada", json!({"aud": "other-app"}))})));
    let mut run = silent(request_for(|client| client.scope("files")), cache, later(HOUR));
    assert_eq!(run.failure(), Failure::SignInNeeded(SignInReason::NewScopes));
}

// OIDC-12.2-2, where no ID token is left to compare with: the account's id is the subject.
#[test]
fn k06_a_refresh_for_somebody_else_is_refused_without_an_earlier_id_token_too() {
    let mut written: serde_json::Value =
        serde_json::from_str(cache(&[grant(1, json!({}))]).to_json().expose()).unwrap();
    written.as_object_mut().unwrap().remove("IdToken").unwrap();
    for (who, refused) in [("ada", false), ("eve", true)] {
        let cache = device_flow_core::TokenCache::from_json(written.to_string().as_bytes()).unwrap();
        let mut run = silent(request(), cache, later(HOUR));
        run.script(&[(200, &grant(3, json!({"id_token": id_token(who, json!({}))})))]);
        match run.outcome() {
            Ok(signed_in) => assert_eq!((signed_in.access_token().expose(), refused), ("AT-canary-3", false), "{who}"),
            Err(failure) => assert!(refused && !failure.keeps_refresh_token(), "{who}: {failure}"),
        }
    }
}

// Without a refresh token, a sign-in that has expired is one all the same.
#[test]
fn k16_whether_somebody_has_signed_in_is_told_apart_from_whether_a_token_is_left() {
    let cache = cache(&[grant(1, json!({"refresh_token": null}))]);
    for now in [THEN, later(2 * HOUR)] {
        assert_eq!(request().cached(&cache, now).is_some(), now == THEN);
        assert!(request().has_tokens(&cache) && request().account("ada@example.test").has_tokens(&cache));
    }
    // Another client has nothing.
    let other = Client::builder(Provider::endpoints("https://as/device", "https://as/token"), "other-app");
    let other = SignInRequest::new(other.scope("mail").build().unwrap());
    assert!(other.find_account(&cache).unwrap().is_none() && !other.has_tokens(&cache));
    assert!(!request().account("eve@example.test").has_tokens(&cache));
    assert!(!request().has_tokens(&device_flow_core::TokenCache::new()));
    // A refresh token alone is enough.
    let expired = grant(1, json!({"expires_in": 0}));
    assert!(request().has_tokens(&cache_of(&request(), &[expired])));
}
