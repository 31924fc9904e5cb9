//! Tokens that are bound to a key (RFC 9449 §5, §6): which key finds which token, and what a lost key means.

use super::grants::*;
use crate::keys::Signer;
use crate::support::builder;
use device_flow_core::{
    AccessTokenQuery, Failure, Owner, Person, SignInReason, SignInRequest, TokenCache, TokenSource, TokenType,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A client that proves that it has this key; without one when it is empty.
fn with_key(key: &str) -> SignInRequest {
    keyed(key, |builder| builder)
}

fn keyed(key: &str, more: fn(device_flow_core::ClientBuilder) -> device_flow_core::ClientBuilder) -> SignInRequest {
    let client = more(builder().scope("mail"));
    let client = if key.is_empty() { client } else { client.proof_of_possession(Signer::named(key)) };
    SignInRequest::new(Arc::new(client.build().unwrap()))
}

/// A sign-in with this key, answered by a token of this type.
fn signed_in(key: &str, token_type: &str) -> TokenCache {
    cache_of(&with_key(key), &[grant(1, json!({"token_type": token_type}))])
}

fn found(cache: &TokenCache, key: &str) -> Option<TokenType> {
    with_key(key).cached(cache, THEN).map(|found| found.token_type())
}

// R10027-6.1.12-1.
#[test]
fn rfc9449_6_a_token_is_found_with_its_own_key_alone() {
    let bound = signed_in("one", "DPoP");
    assert_eq!([found(&bound, "one"), found(&bound, "two"), found(&bound, "")], [Some(TokenType::Dpop), None, None]);
    let hit = with_key("one").cached(&bound, THEN).unwrap();
    assert_eq!(hit.authorization().unwrap().expose(), "DPoP AT-canary-1");
    // A server that knows no DPoP: the token can be used, is found again, and is not taken for a bound one.
    let loose = signed_in("one", "Bearer");
    assert_eq!([found(&loose, "one"), found(&loose, "two"), found(&loose, "")], [Some(TokenType::Bearer), None, None]);
    // Nor is a token that was requested without a proof found by a client that wants a bound one.
    let plain = signed_in("", "Bearer");
    assert_eq!([found(&plain, ""), found(&plain, "one")], [Some(TokenType::Bearer), None]);
    // It survives the way into a file and back.
    let stored = bound.to_json();
    let again = TokenCache::from_json(stored.expose().as_bytes()).unwrap();
    assert_eq!(found(&again, "one"), Some(TokenType::Dpop));
}

#[test]
fn a_lookup_by_hand_names_the_key() {
    let cache = signed_in("one", "DPoP");
    let request = with_key("one");
    let owner = Owner { person: Person::Id("sub-ada"), client_id: "my-app", authority: request.client().authority() };
    let query = |key| AccessTokenQuery::scopes("mail").proof_key(key);
    assert_eq!(cache.access_token(owner, query("one"), THEN).unwrap().token_type(), "DPoP");
    assert!(cache.access_token(owner, query("two"), THEN).is_none());
    assert!(cache.access_token(owner, AccessTokenQuery::scopes("mail"), THEN).is_none());
    // The type alone says nothing of the key.
    assert!(cache.access_token(owner, AccessTokenQuery::scopes("mail").token_type("DPoP"), THEN).is_none());
    assert_eq!(cache.refresh_tokens(owner)[0].proof_key(), "one");
}

// R9449-5-5, R9700-2.2.2-1: servers bind the refresh tokens of public clients.
#[test]
fn rfc9449_5_a_public_client_that_has_lost_its_key_signs_in_again() {
    for other in ["two", ""] {
        let mut run = silent(with_key(other), signed_in("one", "DPoP"), THEN);
        assert_eq!(run.failure(), Failure::SignInNeeded(SignInReason::OtherKey));
        assert!(run.requests.is_empty(), "the server would refuse it");
        assert_eq!(refresh_tokens(&run.machine.into_cache()), ["RT-canary-1"], "the key may come back");
        let mut run = full(with_key(other), signed_in("one", "DPoP"), THEN);
        run.poll();
        assert_eq!(run.requests[0].url, "https://as/device");
        assert_eq!(run.machine.reason(), Some(&SignInReason::OtherKey));
    }
    let mut run = silent(with_key("one"), signed_in("one", "DPoP"), later(HOUR));
    run.script(&[(200, &grant(2, json!({"token_type": "DPoP"})))]);
    assert_eq!(token(run.outcome()), ("AT-canary-2".to_owned(), TokenSource::Refresh));
    assert!(run.requests[0].header("dpop").is_some());
}

// The others prove who they are, so any key will do. A token that was not bound can be refreshed with any key, too.
#[test]
fn rfc9449_5_a_confidential_client_takes_its_refresh_token_to_a_new_key() {
    let secret: fn(device_flow_core::ClientBuilder) -> device_flow_core::ClientBuilder =
        |builder| builder.client_secret_basic("SEC-canary");
    let bound = cache_of(&keyed("one", secret), &[grant(1, json!({"token_type": "DPoP"}))]);
    let mut run = silent(keyed("two", secret), bound, THEN);
    run.script(&[(200, &grant(2, json!({"token_type": "DPoP"})))]);
    assert_eq!(token(run.outcome()).0, "AT-canary-2");
    let cache = run.machine.into_cache();
    assert_eq!(secrets(&cache, "AccessToken"), ["AT-canary-2"], "the old one is of no use any more");
    let names = |cache: &TokenCache| -> Vec<Value> {
        let json: Value = serde_json::from_str(cache.to_json().expose()).unwrap();
        let of = |kind: &str| json[kind].as_object().unwrap().values().map(|it| it["proof_key_thumbprint"].clone());
        of("AccessToken").chain(of("RefreshToken")).collect()
    };
    assert_eq!(names(&cache), ["two", "two"]);
    // Without any key, oidc-provider and Keycloak refuse it as if it were dead, or answer with a token for anybody.
    let bound = cache_of(&keyed("one", secret), &[grant(1, json!({"token_type": "DPoP"}))]);
    let mut run = silent(keyed("", secret), bound, THEN);
    assert_eq!(run.failure(), Failure::SignInNeeded(SignInReason::OtherKey));
    assert!(run.requests.is_empty());
    assert_eq!(refresh_tokens(&run.machine.into_cache()), ["RT-canary-1"], "the key may come back");
    for key in ["two", ""] {
        let mut run = silent(with_key(key), signed_in("one", "Bearer"), THEN);
        run.script(&[(200, &grant(2, json!({})))]);
        assert_eq!(token(run.outcome()).0, "AT-canary-2", "a refresh token that is not bound");
    }
}

// A refresh that brings an unbound token over a bound one: the note about the key goes with it.
#[test]
fn what_is_no_longer_bound_is_no_longer_said_to_be() {
    let secret: fn(device_flow_core::ClientBuilder) -> device_flow_core::ClientBuilder =
        |builder| builder.client_secret_basic("SEC-canary");
    let bound = cache_of(&keyed("one", secret), &[grant(1, json!({"token_type": "DPoP"}))]);
    let mut run = silent(keyed("one", secret), bound, later(HOUR));
    run.script(&[(200, &grant(2, json!({})))]);
    assert_eq!(run.outcome().unwrap().token_type(), TokenType::Bearer);
    let cache = run.machine.into_cache();
    let request = with_key("one");
    assert_eq!(request.cached(&cache, later(HOUR)).unwrap().token_type(), TokenType::Bearer);
    let owner = Owner { person: Person::Id("sub-ada"), client_id: "my-app", authority: request.client().authority() };
    assert_eq!(cache.refresh_tokens(owner)[0].proof_key(), "");
}

// What another program wrote with a type of its own is neither used nor replaced.
#[test]
fn bound_tokens_of_others_stay_where_they_are() {
    let mut cache = cache_of(&request(), &[grant(1, json!({}))]);
    let text = cache.to_json().expose().replace("\"token_type\":\"Bearer\"", "\"token_type\":\"pop\",\"kid\":\"k\"");
    assert!(text.contains("\"pop\""));
    cache = TokenCache::from_json(text.replace("AT-canary-1", "AT-canary-pop").as_bytes()).unwrap();
    for key in ["", "k"] {
        assert_eq!(found(&cache, key), None);
    }
}

// As without a key: nothing is left of the tokens that the new one covers.
#[test]
fn a_bound_token_takes_the_place_of_those_that_it_covers() {
    let mut cache = signed_in("one", "DPoP");
    let client = builder().scope("mail").scope("files").proof_of_possession(Signer::named("one")).build().unwrap();
    assert!(client.proof_of_possession().is_some());
    assert!(builder().build().unwrap().proof_of_possession().is_none());
    sign_in(&mut cache, &SignInRequest::new(client), &grant(2, json!({"token_type": "DPoP"})));
    let stored: Value = serde_json::from_str(cache.to_json().expose()).unwrap();
    let tokens = stored["AccessToken"].as_object().unwrap();
    assert_eq!(tokens.values().map(|token| &token["secret"]).collect::<Vec<_>>(), ["AT-canary-2"]);
}
