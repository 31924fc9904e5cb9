//! The cache suites of MSAL .NET, Node, Python and Go, except what the tests of the cache cover.

use super::entra::*;
use crate::cache::grants::*;
use crate::support::*;
use device_flow_core::{Authority, Failure, GrantOrigin, Owner, Refresh, SignInReason, TokenCache};
use serde_json::{Value, json};

/// A cache that another library wrote under this name of the public cloud.
fn written_under(environment: &str) -> TokenCache {
    let entry = |change: Value| {
        let mut entry = json!({
            "home_account_id": HOME, "environment": environment, "client_id": "my-client", "realm": TENANT, "secret": "AT-canary",
            "target": "User.Read", "expires_on": (WRITTEN + 3_600).to_string(), "username": "grace@fabrikam.test"
        });
        merge(&mut entry, change);
        json!({"any key": entry})
    };
    read(&json!({
        "AccessToken": entry(json!({})), "Account": entry(json!({})),
        "RefreshToken": entry(json!({"secret": "RT-canary"}))
    }))
}

// TestClientApplicationForAuthorityMigration (3): accounts, access token and refresh token. No request finds out what
// is known.
#[test]
fn python_authority_migration_finds_all_three_under_another_name_of_the_cloud() {
    for environment in ["login.windows.net", "sts.windows.net", "login.microsoft.com", "login.microsoftonline.com"] {
        let (cache, authority) = (written_under(environment), public());
        let names: Vec<String> = cache.accounts().iter().map(|account| account.username().to_owned()).collect();
        assert_eq!(names, ["grace@fabrikam.test"], "{environment}");
        assert!(authority.knows(cache.accounts()[0].environment()));
        assert_eq!(hit(&cache, owner(&authority), "user.read", WRITTEN).as_deref(), Some("AT-canary"));
        assert_eq!(refresh_tokens(&cache, owner(&authority)), ["RT-canary"]);
        let mut run = silent(request(), cache, WRITTEN);
        assert_eq!(run.outcome().unwrap().access_token().expose(), "AT-canary");
        assert!(run.requests.is_empty());
    }
    // And nothing of another cloud.
    let (cache, authority) = (written_under("login.chinacloudapi.cn"), public());
    assert!(!authority.knows(cache.accounts()[0].environment()));
    assert_eq!(hit(&cache, owner(&authority), "user.read", WRITTEN), None);
    assert_eq!(refresh_tokens(&cache, owner(&authority)), [""; 0]);
}

// test_old_rt_data_with_wrong_key_should_still_be_salvaged_into_new_rt: theirs leaves two entries, ours one, for the
// old one is dead with a server that rotates.
#[test]
fn python_a_refresh_token_under_a_wrong_key_is_salvaged_and_replaced() {
    let (mut cache, authority) = (written_under("login.windows.net"), public());
    let token = cache.refresh_tokens(owner(&authority))[0].secret();
    let mut run = Run::of(Refresh::new(client().build().unwrap(), token));
    run.poll();
    assert_eq!(run.requests[0].parameter("refresh_token").as_deref(), Some("RT-canary"));
    run.answer(200, &tokens(json!({"refresh_token": "RT-canary-2"})));
    cache.save(&token_of(run), &refreshed(&authority, HOME), at(WRITTEN + 1)).unwrap();
    assert_eq!(refresh_tokens(&cache, owner(&authority)), ["RT-canary-2"]);
    assert_eq!(keys(&cache, "RefreshToken").len(), 1);
}

fn token_of(mut run: Run<Refresh>) -> device_flow_core::TokenResponse {
    token(run.outcome())
}

// TestClientApplicationForFoci (5), the cache's part: a client that nobody knows may use the family's token, and when
// that works it is of the family; the next one who is looks at the family's first; signing out takes it along.
#[test]
fn python_foci_a_client_joins_the_family_by_its_token_and_leaves_it_with_its_account() {
    let (mut cache, authority) = (TokenCache::new(), public());
    let office = GrantOrigin {
        client_id: "office",
        authority: &authority,
        person: device_flow_core::Person::Slot(""),
        grant_type: None,
    };
    cache.save(&granted("user.read", json!({"foci": "1"})), &office, at(WRITTEN)).unwrap();
    let found = cache.refresh_tokens(owner(&authority));
    assert!(found.len() == 1 && found[0].is_of_family(), "an unknown client tries the family");
    let answer = granted("user.read", json!({"foci": "1", "refresh_token": "RT-canary-2"}));
    cache.save(&answer, &refreshed(&authority, HOME), at(WRITTEN + 1)).unwrap();
    let metadata = written(&cache)["AppMetadata"].clone();
    let key = "appmetadata-login.windows.net-my-client";
    assert_eq!(metadata[key]["family_id"], "1");
    let other = Owner { client_id: "office", ..owner(&authority) };
    for client in [owner(&authority), other] {
        assert_eq!(refresh_tokens(&cache, client), ["RT-canary-2"], "one token for the family");
    }
    // A client that is known to be outside never sees it.
    cache.leave_family("third", &authority);
    assert_eq!(refresh_tokens(&cache, Owner { client_id: "third", ..other }), [""; 0]);
    assert!(cache.remove_account(owner(&authority)));
    assert_eq!(refresh_tokens(&cache, other), [""; 0], "signed out of the family");
    assert_eq!(cache.accounts(), []);
}

// UnifiedSchemaValidationTests (21): the keys of a personal account, whose tenant is the one of all of them. Those of a
// tenant's account stand in `cache/schema.rs`.
#[test]
fn dotnet_unified_schema_of_a_personal_account() {
    const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let authority = Authority::entra("login.microsoftonline.com", CONSUMERS);
    let id_token = jwt(&claims(json!({"tid": CONSUMERS, "oid": "00000000-0000-0000-13dd-22bcd17a4b68"})));
    let person = encoded(&json!({"uid": "00000000-0000-0000-13dd-22bcd17a4b68", "utid": CONSUMERS}));
    let mut cache = TokenCache::new();
    sign_in(
        &mut cache,
        &authority,
        json!({"id_token": id_token, "client_info": person, "scope": "tasks.read"}),
        WRITTEN,
    );
    let home = format!("00000000-0000-0000-13dd-22bcd17a4b68.{CONSUMERS}");
    // The name that .NET prefers.
    let host = "login.windows.net";
    for (kind, key) in [
        ("AccessToken", format!("{home}-{host}-accesstoken-my-client-{CONSUMERS}-openid profile tasks.read")),
        ("RefreshToken", format!("{home}-{host}-refreshtoken-my-client---")),
        ("IdToken", format!("{home}-{host}-idtoken-my-client-{CONSUMERS}-")),
        ("Account", format!("{home}-{host}-{CONSUMERS}")),
        ("AppMetadata", format!("appmetadata-{host}-my-client")),
    ] {
        assert_eq!(keys(&cache, kind), [key], "{kind}");
    }
    // Times are texts of whole seconds, for every reader.
    let tokens = written(&cache)["AccessToken"].clone();
    let token = tokens.as_object().unwrap().values().next().unwrap();
    assert_eq!((&token["cached_at"], &token["expires_on"]), (&json!("1800077335"), &json!("1800080935")));
}

// RefreshTokenClient.spec: theirs will not use a refresh token near the end of a life that somebody noted. Only the
// server knows, so ours asks it; what it refuses goes.
#[test]
fn node_a_refresh_token_is_tried_whatever_was_noted_of_its_life_and_goes_when_it_is_refused() {
    let token = json!({
        "home_account_id": HOME, "environment": "localhost", "client_id": "my-client", "secret": "RT-canary",
        "credential_type": "RefreshToken", "expiresOn": (WRITTEN - 1).to_string()
    });
    let (mut cache, authority) = (read(&json!({"RefreshToken": {"k": token}})), localhost());
    assert_eq!(refresh_tokens(&cache, owner(&authority)), ["RT-canary"]);
    let used = cache.refresh_tokens(owner(&authority))[0].secret();
    for (suberror, stays) in [("basic_action", true), ("bad_token", false)] {
        let mut run = Run::of(Refresh::new(client().build().unwrap(), used.clone()));
        run.poll();
        run.answer(400, &json!({"error": "invalid_grant", "suberror": suberror}).to_string());
        let failure = run.failure();
        assert!(matches!(failure, Failure::SignInNeeded(_)));
        assert_eq!(failure.keeps_refresh_token(), stays, "{suberror}");
        if !failure.keeps_refresh_token() {
            assert!(cache.remove_refresh_token(&used));
        }
        assert_eq!(refresh_tokens(&cache, owner(&authority)).len(), usize::from(stays), "{suberror}");
    }
}

// TestSchemaUpgrade: entries of older writers, who had fewer fields, are found; what a newer one adds is kept.
#[test]
fn go_entries_of_an_older_schema_are_found_and_keep_what_is_new_in_them() {
    let old = json!({"AccessToken": {"k": {
        "home_account_id": HOME, "environment": "localhost", "client_id": "my-client", "secret": "AT-canary", "realm": TENANT,
        "target": "User.Read", "expires_on": (WRITTEN + 3_600).to_string()
    }}});
    assert_eq!(hit(&read(&old), owner(&localhost()), "user.read", WRITTEN).as_deref(), Some("AT-canary"));
    let mut new = old.clone();
    let token = &mut new["AccessToken"]["k"];
    merge(token, json!({"token_type": "Bearer", "key_id": "", "ext_cache_key": "", "from_the_future": {"a": [1]}}));
    let mut cache = read(&new);
    assert_eq!(hit(&cache, owner(&localhost()), "user.read", WRITTEN).as_deref(), Some("AT-canary"));
    // Also when something is written beside it.
    sign_in(&mut cache, &localhost(), json!({"scope": "files.read"}), WRITTEN);
    assert_eq!(written(&cache)["AccessToken"]["k"], new["AccessToken"]["k"]);
}

// MsalServiceException_Classification_Only (13): what a suberror makes of `invalid_grant`, told to programs as it came.
#[test]
fn dotnet_suberrors_decide_who_has_to_act() {
    // Suberror; whether a sign-in is wanted; whether the refresh token is kept.
    for (suberror, sign_in, kept) in [
        (None, true, false),
        (Some(""), true, false),
        (Some("new_value"), true, true),
        (Some("basic_action"), true, true),
        (Some("additional_action"), true, true),
        (Some("message_only"), true, true),
        (Some("consent_required"), true, true),
        (Some("user_password_expired"), true, true),
        (Some("bad_token"), true, false),
        (Some("token_expired"), true, false),
        (Some("protection_policy_required"), false, true),
        (Some("client_mismatch"), false, true),
        (Some("device_authentication_failed"), false, true),
    ] {
        let mut run = Run::of(Refresh::new(client().build().unwrap(), "RT-canary"));
        run.poll();
        run.answer(400, &json!({"error": "invalid_grant", "suberror": suberror}).to_string());
        let failure = run.failure();
        assert_eq!(failure.keeps_refresh_token(), kept, "{suberror:?}");
        let (Failure::SignInNeeded(SignInReason::Refused(error)) | Failure::Rejected(error)) = &failure else {
            panic!("{failure}")
        };
        assert_eq!(matches!(failure, Failure::SignInNeeded(_)), sign_in, "{suberror:?}");
        // Theirs hides five of them; a program may want to know.
        assert_eq!(error.suberror(), suberror.filter(|suberror| !suberror.is_empty()));
    }
}
