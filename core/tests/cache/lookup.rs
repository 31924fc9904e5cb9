//! Silent acquisition, the cache's part: which token is found (rows 4.1 to 4.16 of docs/msal.md).

use super::grants::*;
use device_flow_core::{AccessTokenQuery, Authority, Owner, TokenCache};
use serde_json::{Value, json};

/// A cache with one access token, with `change` members.
fn one(change: Value) -> TokenCache {
    let mut token = json!({
        "home_account_id": HOME, "environment": "login.windows.net", "credential_type": "AccessToken", "client_id": "my-client",
        "secret": "AT-canary", "realm": TENANT, "target": "User.Read Mail.Read", "cached_at": WRITTEN.to_string(),
        "expires_on": (WRITTEN + 3_600).to_string()
    });
    merge(&mut token, change);
    read(&json!({"AccessToken": {"some key": token}}))
}

fn is_hit(cache: &TokenCache, scopes: &str) -> bool {
    hit(cache, owner(&public()), scopes, WRITTEN).is_some()
}

// With aliases of the environment, any case, and nothing but the fields: the key of the entry does not matter.
#[test]
fn msal_4_1_an_access_token_is_found_by_account_environment_realm_client_and_scopes() {
    assert!(is_hit(&one(json!({})), "user.read"));
    for (name, other) in [
        ("home_account_id", json!("other.home")),
        ("environment", json!("login.microsoftonline.us")),
        ("environment", json!("localhost")),
        ("client_id", json!("other")),
        ("realm", json!("other")),
        ("target", json!("Mail.Read")),
        ("token_type", json!("pop")),
        ("ext_cache_key", json!("hash")),
        ("key_id", json!("kid")),
        ("user_assertion_hash", json!("hash")),
        ("secret", json!("")),
        ("expires_on", Value::Null),
        ("expires_on", json!("soon")),
    ] {
        assert!(!is_hit(&one(json!({name: other.clone()})), "user.read"), "{name} {other}");
    }
    for (name, same) in [
        ("home_account_id", json!(HOME.to_uppercase())),
        ("environment", json!("STS.windows.net")),
        ("client_id", json!("MY-CLIENT")),
        ("realm", json!(TENANT.to_uppercase())),
        ("token_type", json!("bEARER")),
        ("token_type", Value::Null),
        ("expires_on", json!(WRITTEN + 3_600)),
        ("expires_on", json!(1_800_080_935.5)),
        ("cached_at", Value::Null),
        ("key_id", Value::Null),
    ] {
        assert!(is_hit(&one(json!({name: same.clone()})), "user.read"), "{name} {same}");
    }
    let pop = one(json!({"token_type": "pop"}));
    let query = AccessTokenQuery::scopes("user.read").token_type("PoP");
    assert!(pop.access_token(owner(&public()), query, at(WRITTEN)).is_some());
}

// RFC 9449 §5: with the key, both types that the server may have issued for it; without it, none of its tokens.
#[test]
fn a_token_is_found_with_its_key_and_of_a_type_that_goes_with_a_key() {
    let found = |kind: &str, bound: &str, key: &str| {
        let cache = one(json!({"token_type": kind, "proof_key_thumbprint": bound}));
        let query = AccessTokenQuery::scopes("user.read").proof_key(key);
        cache.access_token(owner(&public()), query, at(WRITTEN)).is_some()
    };
    for (kind, bound, key, is_found) in [
        ("DPoP", "thumb", "thumb", true),
        ("Bearer", "thumb", "thumb", true),
        ("pop", "thumb", "thumb", false),
        ("DPoP", "thumb", "other", false),
        ("DPoP", "thumb", "", false),
        ("DPoP", "", "", false),
        ("Bearer", "", "thumb", false),
    ] {
        assert_eq!(found(kind, bound, key), is_found, "{kind} {bound:?} {key:?}");
    }
}

// Some write `organizations` where others write the home tenant; a guest's tenant is another one.
#[test]
fn msal_5_realm_organizations_is_the_home_tenant() {
    let organizations = Authority::entra("login.microsoftonline.com", "organizations");
    assert_eq!(hit(&one(json!({})), owner(&organizations), "user.read", WRITTEN).as_deref(), Some("AT-canary"));
    assert!(is_hit(&one(json!({"realm": "common"})), "user.read"));
    let guest = one(json!({"realm": "guest-tenant"}));
    assert_eq!(hit(&guest, owner(&organizations), "user.read", WRITTEN), None);
}

#[test]
fn msal_4_2_scopes_are_a_superset_without_regard_to_case_and_to_reserved_ones() {
    let cache = one(json!({}));
    for scopes in
        ["user.read", "USER.READ mail.read", "openid profile offline_access user.read", "user.read  user.read", ""]
    {
        assert!(is_hit(&cache, scopes), "{scopes}");
    }
    for scopes in ["user", "user.read files.read", "openid", "email"] {
        assert!(!is_hit(&cache, scopes), "{scopes}");
    }
    // Alone they count; no answer lists offline_access.
    assert!(is_hit(&one(json!({"target": "profile openid"})), "openid offline_access"));
}

// SilentFlowClient.spec, RefreshInTests; 300 s from both sides.
#[test]
fn msal_4_3_a_token_that_ends_within_five_minutes_is_not_used() {
    let cache = one(json!({}));
    assert!(hit(&cache, owner(&public()), "user.read", WRITTEN + 3_299).is_some());
    assert!(hit(&cache, owner(&public()), "user.read", WRITTEN + 3_300).is_none());
    // "cached after the current time": the clock was set back.
    assert!(hit(&cache, owner(&public()), "user.read", WRITTEN - 300).is_some());
    assert!(hit(&cache, owner(&public()), "user.read", WRITTEN - 301).is_none());
}

#[test]
fn msal_4_4_of_several_tokens_the_one_that_lives_longest_is_used() {
    let token = |secret: &str, expires: u64| {
        json!({
            "home_account_id": HOME, "environment": "localhost", "client_id": "my-client", "secret": secret, "realm": TENANT,
            "target": "a", "expires_on": expires.to_string()
        })
    };
    let cache = read(&json!({"AccessToken": {
        "1": token("AT-canary-1", WRITTEN + 1_000), "2": token("AT-canary-2", WRITTEN + 3_000), "3": token("AT-canary-3", WRITTEN + 2_000)
    }}));
    let before = written(&cache);
    assert_eq!(hit(&cache, owner(&localhost()), "a", WRITTEN).as_deref(), Some("AT-canary-2"));
    assert_eq!(written(&cache), before);
}

// TestApplicationForRefreshInBehaviors, the cache's half: fresh, aging, expired.
#[test]
fn msal_4_5_a_token_past_refresh_on_is_aging_and_still_there() {
    let cache = one(json!({"refresh_on": (WRITTEN + 1_800).to_string()}));
    let aging = |now| {
        let query = AccessTokenQuery::scopes("user.read");
        cache.access_token(owner(&public()), query, at(now)).map(|token| token.is_aging(at(now)))
    };
    assert_eq!(aging(WRITTEN + 1_799), Some(false));
    assert_eq!(aging(WRITTEN + 1_800), Some(true));
    assert_eq!(aging(WRITTEN + 3_300), None);
}

fn refresh_token(secret: &str, change: Value) -> Value {
    let mut token = json!({
        "home_account_id": HOME, "environment": "localhost", "credential_type": "RefreshToken", "client_id": "my-client",
        "secret": secret
    });
    merge(&mut token, change);
    token
}

#[test]
fn msal_4_6_refresh_tokens_come_newest_first_and_all_of_them() {
    let cache = read(&json!({"RefreshToken": {
        "0": refresh_token("RT-canary-0", json!({})),
        "1": refresh_token("RT-canary-1", json!({"last_modification_time": "100"})),
        "2": refresh_token("RT-canary-2", json!({"last_modification_time": 300})),
        "3": refresh_token("RT-canary-3", json!({"last_modification_time": "200"})),
        "4": refresh_token("RT-canary-4", json!({"client_id": "other"})),
        "5": refresh_token("RT-canary-5", json!({"environment": "elsewhere"})),
        "6": refresh_token("", json!({})),
    }}));
    let found = refresh_tokens(&cache, owner(&localhost()));
    assert_eq!(found, ["RT-canary-2", "RT-canary-3", "RT-canary-1", "RT-canary-0"]);
}

// Hazard (a): a token without a time of writing, beside an access token with one.
#[test]
fn msal_4_7_a_rotated_token_without_a_time_is_dated_by_the_access_token_beside_it() {
    let mut cache = json!({
        "RefreshToken": {
            "ours": refresh_token("RT-canary-old", json!({"last_modification_time": WRITTEN.to_string()})),
            "node": refresh_token("RT-canary-new", json!({"environment": "LOCALHOST"})),
        },
        "AccessToken": {"node": {
            "home_account_id": HOME, "environment": "localhost", "client_id": "my-client", "secret": "AT-canary", "realm": TENANT,
            "target": "a", "cached_at": (WRITTEN + 6).to_string()
        }}
    });
    assert_eq!(refresh_tokens(&read(&cache), owner(&localhost()))[0], "RT-canary-new");
    cache["AccessToken"]["node"]["cached_at"] = json!((WRITTEN + 5).to_string());
    assert_eq!(refresh_tokens(&read(&cache), owner(&localhost()))[0], "RT-canary-old");
}

// FociBehaviors, FociTests: an unknown client tries the family first; AppMetadata decides; elsewhere there are no
// families.
#[test]
fn msal_4_9_family_by_app_metadata() {
    let cache = |metadata: Value| {
        let metadata =
            if metadata.is_null() { json!({}) } else { json!({"appmetadata-localhost-my-client": metadata}) };
        read(&json!({"AppMetadata": metadata, "RefreshToken": {
            "own": refresh_token("RT-canary-own", json!({"last_modification_time": "900"})),
            "family": refresh_token("RT-canary-family", json!({"client_id": "other", "family_id": "1", "last_modification_time": "100"})),
            "second": refresh_token("RT-canary-second", json!({"client_id": "third", "family_id": "2"})),
        }}))
    };
    let known =
        |family: Value| cache(json!({"client_id": "my-client", "environment": "localhost", "family_id": family}));
    let first = ["RT-canary-family", "RT-canary-own"];
    assert_eq!(refresh_tokens(&cache(Value::Null), owner(&localhost())), first);
    assert_eq!(refresh_tokens(&known(json!("1")), owner(&localhost())), first);
    assert_eq!(refresh_tokens(&known(json!("2")), owner(&localhost())), ["RT-canary-second", "RT-canary-own"]);
    for none in [Value::Null, json!("")] {
        assert_eq!(refresh_tokens(&known(none), owner(&localhost())), ["RT-canary-own"]);
    }
    let (mut unknown, authority) = (cache(Value::Null), localhost());
    let of_family: Vec<bool> =
        unknown.refresh_tokens(owner(&authority)).iter().map(|token| token.is_of_family()).collect();
    assert_eq!(of_family, [true, false]);
    // client_mismatch.
    unknown.leave_family("my-client", &authority);
    assert_eq!(refresh_tokens(&unknown, owner(&authority)), ["RT-canary-own"]);
    let generic = Authority::at("https://localhost");
    assert_eq!(refresh_tokens(&cache(Value::Null), owner(&generic)), ["RT-canary-own"]);
}

#[test]
fn msal_4_15_4_16_claims_and_a_forced_refresh_bypass_the_access_token_only() {
    let (cache, authority) = (TokenCache::from_json(PYTHON.as_bytes()).unwrap(), localhost());
    let query = AccessTokenQuery::scopes("user.read");
    assert!(cache.access_token(owner(&authority), query, at(WRITTEN)).is_some());
    assert!(cache.access_token(owner(&authority), query.bypass(), at(WRITTEN)).is_none());
    assert_eq!(refresh_tokens(&cache, owner(&authority)).len(), 1);
}

// F14: another issuer never gets a token, even on the same host.
#[test]
fn f14_two_issuers_have_nothing_in_common() {
    let mut cache = TokenCache::new();
    let one = Authority::at("https://sso.example/realms/a");
    let account = sign_in(&mut cache, &one, json!({"client_info": null}), WRITTEN);
    let owner = Owner { person: account.person(), client_id: "my-client", authority: &one };
    assert!(hit(&cache, owner, "user.read", WRITTEN).is_some());
    for other in [
        "https://sso.example/realms/b",
        "https://sso.example",
        "https://sso.example:444/realms/a",
        "https://other.example/realms/a",
    ] {
        let other = Authority::at(other);
        let elsewhere = Owner { authority: &other, ..owner };
        assert!(hit(&cache, elsewhere, "user.read", WRITTEN).is_none());
        assert!(cache.refresh_tokens(elsewhere).is_empty());
        assert!(cache.id_token(elsewhere).is_none());
    }
}

// One cache with the ID tokens of two clients and of two tenants.
#[test]
fn k05_an_id_token_is_that_of_the_client_and_the_tenant() {
    let tenant = "c0ffee00-5a17-4e57-8b33-000000000043";
    let token = |client: &str, realm: &str| {
        json!({
            "home_account_id": HOME, "environment": "login.windows.net", "credential_type": "IdToken", "client_id": client,
            "secret": format!("{client} {realm} canary"), "realm": realm
        })
    };
    let cache = read(&json!({"IdToken": {
        "1": token("other", TENANT), "2": token("my-client", tenant), "3": token("my-client", TENANT), "4": token("other", tenant),
    }}));
    for (client_id, realm) in [("my-client", TENANT), ("my-client", tenant), ("other", TENANT), ("other", tenant)] {
        let authority = Authority::entra("login.microsoftonline.com", realm);
        let found = cache.id_token(Owner { client_id, ..owner(&authority) }).unwrap();
        assert_eq!(found.expose(), format!("{client_id} {realm} canary"));
    }
    assert!(cache.id_token(Owner { client_id: "third", ..owner(&public()) }).is_none());
}

// Nothing of the token, and whose it is.
#[test]
fn a_refresh_token_shows_its_client_and_no_secret() {
    let mut cache = TokenCache::new();
    sign_in(&mut cache, &public(), json!({}), WRITTEN);
    let shown = format!("{:?}", cache.refresh_tokens(owner(&public())));
    assert!(shown.contains("my-client") && !shown.contains("canary"), "{shown}");
}

// ForAuthorityMigration: written under one name of a cloud, found under another; another cloud is another server.
#[test]
fn msal_1_clouds_have_many_names() {
    let aliases = ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "STS.windows.net"];
    for one in aliases {
        for other in aliases {
            assert!(Authority::entra(one, "t").knows(other));
        }
        assert!(!Authority::entra(one, "t").knows("login.microsoftonline.us"));
    }
    assert!(Authority::entra("login.partner.microsoftonline.cn", "t").knows("login.chinacloudapi.cn"));
    assert!(Authority::entra("login.usgovcloudapi.net", "t").knows("login.microsoftonline.us"));
}

#[test]
fn an_authority_is_read_from_a_url() {
    use device_flow_core::AuthorityKind::{Adfs, Entra, Generic};
    for (url, environment, realm, kind) in [
        ("https://login.microsoftonline.com/organizations/v2.0", "login.microsoftonline.com", "organizations", Entra),
        (
            "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/v2.0",
            "contoso.ciamlogin.com",
            "contoso.onmicrosoft.com",
            Entra,
        ),
        (
            "https://contoso.b2clogin.com/tfp/contoso.onmicrosoft.com/policy/v2.0",
            "contoso.b2clogin.com",
            "contoso.onmicrosoft.com",
            Entra,
        ),
        ("https://fs.contoso.test/adfs/oauth2/token", "fs.contoso.test", "adfs", Adfs),
        ("https://Github.com/login/oauth", "https://github.com/login/oauth", "", Generic),
        ("HTTPS://AS.example:8443/", "https://as.example:8443/", "", Generic),
        ("https://as.example:443", "https://as.example", "", Generic),
        ("https://as.example/a%41/../B?c=D", "https://as.example/a%41/../B?c=D", "", Generic),
        ("as.example", "https://as.example", "", Generic),
    ] {
        let authority = Authority::at(url);
        assert_eq!((authority.environment(), authority.realm(), authority.kind()), (environment, realm, kind), "{url}");
    }
    let client = crate::support::builder().build().unwrap();
    assert_eq!(client.authority().environment(), "https://as/token");
}

#[test]
fn a_silent_hit_allocates_its_result_and_nothing_else() {
    let (cache, authority) = (TokenCache::from_json(PYTHON.as_bytes()).unwrap(), localhost());
    let (owner, query) = (owner(&authority), AccessTokenQuery::scopes("openid profile user.read"));
    let found = allocation_counter::measure(|| assert!(cache.access_token(owner, query, at(WRITTEN)).is_some()));
    assert_eq!(found.count_total, 0);
    let copied = allocation_counter::measure(|| drop(cache.access_token(owner, query, at(WRITTEN)).unwrap().secret()));
    assert_eq!(copied.count_total, 1);
}

#[test]
fn an_account_and_a_token_say_what_their_entries_hold() {
    let mut cache = TokenCache::new();
    let account = sign_in(&mut cache, &public(), json!({}), WRITTEN);
    assert_eq!((account.home_account_id(), account.local_account_id()), (HOME, OID));
    assert_eq!((account.name(), &*account.label()), (Some("Grace H"), "grace@fabrikam.test"));
    assert_eq!((account.environment(), account.realm()), ("login.windows.net", TENANT));
    assert_eq!(account.home_tenant(), Some(TENANT));
    for part in [HOME, OID, "grace@fabrikam.test", "Grace H", "login.windows.net"] {
        assert!(format!("{account:?}").contains(part), "{part}");
    }
    let query = AccessTokenQuery::scopes("user.read");
    let token = cache.access_token(owner(&public()), query, at(WRITTEN)).unwrap();
    assert_eq!(token.token_type(), "Bearer");
    assert!(token.scopes().any(|scope| scope == "user.read"));
    let shown = format!("{token:?}");
    assert!(shown.contains("user.read") && !shown.contains("canary"), "{shown}");
    // A person without a user name is shown by the id, safe to print.
    let claims = jwt(&claims(json!({"preferred_username": null, "name": null, "sub": "a\u{1b}[31m"})));
    let nameless = sign_in(
        &mut TokenCache::default(),
        &Authority::at("https://as.example"),
        json!({"id_token": claims, "client_info": null}),
        WRITTEN,
    );
    assert_eq!((nameless.name(), nameless.home_tenant()), (None, None));
    assert!(!nameless.label().contains('\u{1b}') && nameless.label().starts_with('a'), "{:?}", nameless.label());
}
