//! What is special with Microsoft's servers: scopes, client_info, language, correlation, tenants, families of clients.

use super::grants::*;
use crate::support::{Run, device_answer};
use device_flow_core::{
    Authority, ClaimsError, Client, ClientBuilder, ConfigError, EntraCloud, Failure, ProtocolFault, Provider,
    SignInReason, SignInRequest, TokenCache, TokenSource,
};
use serde_json::{Value, json};

const TENANT: &str = "c0ffee00-5a17-4e57-8b33-000000000042";

fn entra() -> ClientBuilder {
    Client::builder(Provider::entra(EntraCloud::Public, TENANT), "my-app").scope("User.Read")
}

fn request_of(builder: ClientBuilder) -> SignInRequest {
    SignInRequest::new(builder.build().unwrap())
}

/// A grant of Entra for Ada in her home tenant.
fn answer(number: u32, change: Value) -> String {
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let mut members = json!({
        "scope": "User.Read profile openid email",
        "id_token": id_token("ada", json!({"iss": issuer, "tid": TENANT, "oid": "oid-ada"})),
        "client_info": encoded(&json!({"uid": "oid-ada", "utid": TENANT}))
    });
    change.as_object().unwrap().iter().for_each(|(name, value)| members[name] = value.clone());
    grant(number, members)
}

fn signed_in() -> TokenCache {
    cache_of(&request_of(entra()), &[answer(1, json!({}))])
}

#[test]
fn the_scopes_of_a_sign_in_and_client_info_are_added() {
    let mut run = full(request_of(entra()), TokenCache::new(), THEN);
    run.script(&[(200, &device_answer(json!({}))), (200, &answer(1, json!({})))]);
    asked(&run.requests[0], &[("scope", Some("User.Read openid profile offline_access")), ("client_info", None)]);
    asked(&run.requests[1], &[("client_info", Some("1"))]);
    let account = run.outcome().unwrap().account().unwrap().clone();
    assert_eq!(account.home_account_id(), format!("oid-ada.{TENANT}"));

    let mut run = silent(request_of(entra()), signed_in(), later(HOUR));
    run.script(&[(200, &answer(2, json!({})))]);
    asked(&run.requests[0], &[("scope", Some("User.Read openid profile offline_access")), ("client_info", Some("1"))]);
    assert_eq!(token(run.outcome()), ("AT-canary-2".to_owned(), TokenSource::Refresh));

    for (builder, scope, client_info) in [
        (entra().exact_scope(), "User.Read", Some("1")),
        (entra().scope("openid"), "User.Read openid profile offline_access", Some("1")),
        (entra().token_parameter("client_info", "2"), "User.Read openid profile offline_access", Some("2")),
        (
            Client::builder(Provider::adfs("fs.contoso.test"), "my-app").scope("a"),
            "a openid profile offline_access",
            None,
        ),
        (Client::builder(Provider::entra_external("contoso"), "my-app"), "openid profile offline_access", Some("1")),
        (Client::builder(Provider::gitlab(), "my-app").scope("api"), "api", None),
    ] {
        let mut run = full(request_of(builder), TokenCache::new(), THEN);
        run.script(&[(200, &device_answer(json!({}))), (400, r#"{"error":"authorization_pending"}"#)]);
        asked(&run.requests[0], &[("scope", Some(scope))]);
        asked(&run.requests[1], &[("client_info", client_info)]);
    }
}

#[test]
fn where_the_forms_of_microsoft_are() {
    for (provider, device, token, environment, realm) in [
        (
            Provider::adfs("fs.contoso.test"),
            "https://fs.contoso.test/adfs/oauth2/devicecode",
            "https://fs.contoso.test/adfs/oauth2/token",
            "fs.contoso.test",
            "adfs",
        ),
        (
            Provider::entra_external("contoso"),
            "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/devicecode",
            "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token",
            "contoso.ciamlogin.com",
            "contoso.onmicrosoft.com",
        ),
    ] {
        let client = Client::builder(provider, "my-app").build().unwrap();
        assert_eq!((client.device_authorization_endpoint(), client.token_endpoint()), (device, token));
        assert_eq!((client.authority().environment(), client.authority().realm()), (environment, realm));
    }
    for bad in ["a/b", "https://x", ""] {
        assert!(matches!(Client::builder(Provider::adfs(bad), "a").build(), Err(ConfigError::Name(_))), "{bad}");
        assert!(
            matches!(Client::builder(Provider::entra_external(bad), "a").build(), Err(ConfigError::Name(_))),
            "{bad}"
        );
    }
}

// M 1.14: `mkt` makes the server's message speak the person's language.
#[test]
fn the_language_goes_where_the_server_reads_it() {
    let client = entra().language("de-DE").build().unwrap();
    assert_eq!(
        client.device_authorization_endpoint(),
        format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/devicecode?mkt=de-DE")
    );
    let mut run = full(SignInRequest::new(client), TokenCache::new(), THEN);
    run.poll();
    asked(&run.requests[0], &[("ui_locales", None)]);
    let mut run =
        full(request_of(Client::builder(Provider::gitlab(), "my-app").language("de-DE")), TokenCache::new(), THEN);
    run.poll();
    asked(&run.requests[0], &[("ui_locales", Some("de-DE"))]);
    assert_eq!(run.requests[0].url, "https://gitlab.com/oauth/authorize_device");
    for bad in ["de_DE", "de DE", "de&x=y", &"a".repeat(65)] {
        assert!(matches!(entra().language(bad).build(), Err(ConfigError::Language(_))), "{bad}");
    }
    entra().language("a".repeat(64)).build().unwrap();
}

#[test]
fn a_correlation_id_is_a_header_of_every_request() {
    let id = "5a2d9e9c-54b4-4a3f-9d0f-8f8d37b7f7a1";
    let mut run = full(request_of(entra().correlation_id(id)), signed_in(), later(HOUR));
    run.script(&[
        (400, r#"{"error":"invalid_grant"}"#),
        (200, &device_answer(json!({}))),
        (200, &answer(2, json!({}))),
    ]);
    assert_eq!(run.requests.len(), 3);
    for sent in &run.requests {
        assert_eq!(sent.header("client-request-id"), Some(id));
        assert_eq!(sent.header("return-client-request-id"), Some("true"));
    }
    let mut run = full(request_of(entra()), TokenCache::new(), THEN);
    run.poll();
    assert_eq!(run.requests[0].header("client-request-id"), None);
    for bad in ["", "a b", "a\r\nb", &"a".repeat(129)] {
        assert_eq!(entra().correlation_id(bad).build().unwrap_err(), ConfigError::CorrelationId, "{bad:?}");
    }
    entra().correlation_id("a".repeat(128)).build().unwrap();
}

#[test]
fn a_token_names_its_tenant_as_the_issuer() {
    let issued = |issuer: &str, tenant: &str| {
        let token = id_token("ada", json!({"iss": issuer, "tid": tenant, "oid": "oid-ada"}));
        answer(1, json!({"id_token": token}))
    };
    let organizations = Provider::entra(EntraCloud::Public, "organizations");
    let of = |provider: Provider| request_of(Client::builder(provider, "my-app"));
    let external =
        "https://11112222-0000-4000-8000-000000000001.ciamlogin.com/c0ffee00-5a17-4e57-8b33-000000000042/v2.0";
    for (provider, issuer, good) in [
        (&organizations, format!("https://login.microsoftonline.com/{TENANT}/v2.0"), true),
        (&organizations, format!("https://sts.windows.net/{TENANT}/"), true),
        (&organizations, "https://login.microsoftonline.com/another/v2.0".into(), false),
        (&organizations, format!("https://login.microsoftonline.us/{TENANT}/v2.0"), false),
        (&organizations, format!("https://evil.test/{TENANT}/v2.0"), false),
        (&organizations, format!("http://login.microsoftonline.com/{TENANT}/v2.0"), false),
        (&organizations, external.into(), false),
        (&Provider::entra_external("contoso"), external.into(), true),
        (&Provider::gitlab(), format!("https://login.microsoftonline.com/{TENANT}/v2.0"), false),
    ] {
        let mut run = full(of(provider.clone()), TokenCache::new(), THEN);
        run.script(&[(200, &device_answer(json!({}))), (200, &issued(&issuer, TENANT))]);
        assert_eq!(run.outcome().is_ok(), good, "{issuer} of {provider:?}");
    }
}

#[test]
fn a_server_that_behaves_like_it_is_named_by_hand() {
    let provider = Provider::endpoints("https://login.contoso.test/t/devicecode", "https://login.contoso.test/t/token");
    let builder = Client::builder(provider, "my-app").authority(Authority::entra("login.contoso.test", TENANT));
    let request = request_of(builder);
    let issuer = format!("https://login.contoso.test/{TENANT}/v2.0");
    let token = id_token("ada", json!({"iss": issuer, "tid": TENANT}));
    let cache = cache_of(&request, &[answer(1, json!({"id_token": token}))]);
    assert_eq!(cache.accounts()[0].home_account_id(), format!("oid-ada.{TENANT}"));
    assert_eq!(cache.accounts()[0].environment(), "login.contoso.test");
}

/// Another client of the family has signed Ada in.
fn of_family() -> TokenCache {
    let builder = Client::builder(Provider::entra(EntraCloud::Public, TENANT), "their-app").scope("User.Read");
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let token = id_token("ada", json!({"iss": issuer, "tid": TENANT, "aud": "their-app"}));
    cache_of(&request_of(builder), &[answer(7, json!({"foci": "1", "id_token": token}))])
}

#[test]
fn a_client_of_the_family_is_signed_in_by_another() {
    let mut run = silent(request_of(entra()), of_family(), THEN);
    run.script(&[(200, &answer(2, json!({"foci": "1"})))]);
    asked(&run.requests[0], &[("refresh_token", Some("RT-canary-7")), ("client_id", Some("my-app"))]);
    assert_eq!(token(run.outcome()).1, TokenSource::Refresh);
    assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-2"], "the family has one");
}

#[test]
fn a_client_that_is_in_no_family_asks_once_and_remembers() {
    let refusal = r#"{"error":"invalid_grant","suberror":"client_mismatch"}"#;
    let mut run = silent(request_of(entra()), of_family(), THEN);
    run.script(&[(400, refusal)]);
    let Failure::SignInNeeded(SignInReason::Refused(error)) = run.failure() else { panic!() };
    assert_eq!(error.suberror(), Some("client_mismatch"));
    let cache = run.machine.into_cache();
    assert_eq!(refresh_tokens(&cache), ["RT-canary-7"], "it is theirs, and good");
    let failure = silent(request_of(entra()), cache, THEN).failure();
    assert_eq!(failure, Failure::SignInNeeded(SignInReason::NotSignedIn), "without a request");
    // Any other refusal says nothing of the family.
    let mut run = silent(request_of(entra()), of_family(), THEN);
    run.script(&[(400, r#"{"error":"invalid_client"}"#)]);
    run.failure();
    let mut run = silent(request_of(entra()), run.machine.into_cache(), THEN);
    run.poll();
    asked(&run.requests[0], &[("refresh_token", Some("RT-canary-7"))]);
}

#[test]
fn after_the_family_the_own_token_is_tried() {
    let mut cache = of_family();
    let flow = request_of(entra()).device_flow([7; 32]);
    let mut run = Run::of(device_flow_core::SignIn::interactive(request_of(entra()), cache, THEN, flow));
    run.script(&[(200, &device_answer(json!({}))), (200, &answer(1, json!({})))]);
    run.outcome().unwrap();
    cache = run.machine.into_cache();
    let refusal = r#"{"error":"invalid_grant","suberror":"client_mismatch"}"#;
    // Its own sign-in has shown that it is in no family.
    let mut run = silent(request_of(entra()), cache, later(HOUR));
    run.poll();
    asked(&run.requests[0], &[("refresh_token", Some("RT-canary-1"))]);
    run.answer(400, refusal);
    run.failure();
    // Where that is not known, the family comes first.
    let mut written: Value = serde_json::from_str(run.machine.cache().to_json().expose()).unwrap();
    written["AppMetadata"] = json!({});
    let cache = TokenCache::from_json(written.to_string().as_bytes()).unwrap();
    let mut run = silent(request_of(entra()), cache, later(HOUR));
    run.script(&[(400, refusal), (200, &answer(3, json!({})))]);
    asked(&run.requests[0], &[("refresh_token", Some("RT-canary-7"))]);
    asked(&run.requests[1], &[("refresh_token", Some("RT-canary-1"))]);
    assert_eq!(token(run.outcome()).1, TokenSource::Refresh);
    assert_eq!(refresh_tokens(run.machine.cache()), ["RT-canary-7", "RT-canary-3"]);
}

// xms_cc: the capabilities are sent with every request and do not bypass the cache.
#[test]
fn capabilities_go_with_every_request_and_with_the_claims_of_a_challenge() {
    let able = || entra().capability("cp1").capability("cp2");
    let alone = r#"{"access_token":{"xms_cc":{"values":["cp1","cp2"]}}}"#;
    let cache = cache_of(&request_of(able()), &[answer(1, json!({}))]);
    assert!(request_of(able()).cached(&cache, THEN).is_some());
    let challenge = r#"{"access_token":{"nbf":{"essential":true},"xms_cc":{"values":["x"]}},"id_token":{"acr":null}}"#;
    let both =
        r#"{"access_token":{"nbf":{"essential":true},"xms_cc":{"values":["cp1","cp2"]}},"id_token":{"acr":null}}"#;
    for (request, claims) in [
        (request_of(able()), alone),
        (request_of(able()).claims("{}").unwrap(), alone),
        (request_of(able()).claims(challenge).unwrap(), both),
        (request_of(able()).claims(r#"{"access_token":null}"#).unwrap(), alone),
    ] {
        let cache = cache_of(&request_of(entra()), &[answer(1, json!({}))]);
        let mut run = full(request, cache, later(HOUR));
        run.script(&[
            (400, r#"{"error":"invalid_grant"}"#),
            (200, &device_answer(json!({}))),
            (200, &answer(2, json!({}))),
        ]);
        assert_eq!(run.requests.len(), 3);
        for sent in &run.requests {
            asked(sent, &[("claims", Some(claims))]);
        }
    }
    // By hand it is the same.
    let mut refresh = Run::of(device_flow_core::Refresh::new(able().build().unwrap(), "RT-canary"));
    refresh.poll();
    asked(&refresh.requests[0], &[("claims", Some(alone))]);
}

// All clients share the accounts; an ID token alone gives access to nothing.
#[test]
fn has_tokens_means_those_that_this_client_could_use() {
    let written: Value = serde_json::from_str(signed_in().to_json().expose()).unwrap();
    let has_tokens = |change: &dyn Fn(&mut Value)| {
        let mut written = written.clone();
        change(&mut written);
        let cache = TokenCache::from_json(written.to_string().as_bytes()).unwrap();
        // It is the only one, so it is the one that is meant.
        assert!(request_of(entra()).find_account(&cache).unwrap().is_some());
        request_of(entra()).has_tokens(&cache)
    };
    let remove = |written: &mut Value, kind| _ = written.as_object_mut().unwrap().remove(kind).unwrap();
    assert!(has_tokens(&|_| ()));
    assert!(has_tokens(&|written| remove(written, "RefreshToken")));
    assert!(has_tokens(&|written| remove(written, "AccessToken")));
    assert!(!has_tokens(&|written| {
        remove(written, "RefreshToken");
        remove(written, "AccessToken");
    }));
    assert!(!has_tokens(&|written| {
        remove(written, "RefreshToken");
        for token in written["AccessToken"].as_object_mut().unwrap().values_mut() {
            token["client_id"] = json!("other");
        }
    }));
}

#[test]
fn of_several_accounts_only_those_with_tokens_for_this_client_count() {
    let mut written: Value = serde_json::from_str(signed_in().to_json().expose()).unwrap();
    for kind in ["Account", "RefreshToken"] {
        let entries = written[kind].as_object_mut().unwrap();
        let mut eve = entries.values().next().unwrap().clone();
        (eve["home_account_id"], eve["local_account_id"]) = (json!("oid-eve.tenant"), json!("oid-eve"));
        (eve["username"], eve["secret"]) = (json!("eve@example.test"), json!("RT-canary-eve"));
        if kind == "RefreshToken" {
            (eve["client_id"], eve["family_id"]) = (json!("other"), Value::Null);
        }
        entries.insert("eve".into(), eve);
    }
    let cache = |written: &Value| TokenCache::from_json(written.to_string().as_bytes()).unwrap();
    assert_eq!(cache(&written).accounts().len(), 2);
    let found = request_of(entra()).find_account(&cache(&written)).unwrap().unwrap();
    assert_eq!(found.username(), "ada@example.test");
    written["RefreshToken"]["eve"]["client_id"] = json!("my-app");
    let failure = request_of(entra()).find_account(&cache(&written)).unwrap_err();
    assert_eq!(failure, Failure::WhichAccount(["eve@example.test".into(), "ada@example.test".into()].into()));
}

// OpenID Connect Core §12.2: without an ID token, Microsoft's client_info says who it is. Of another server it says nothing.
#[test]
fn client_info_of_somebody_else_ends_a_refresh_at_microsoft_alone() {
    let other = encoded(&json!({"uid": "oid-bob", "utid": TENANT}));
    let refreshed = |request: SignInRequest, cache, info: &str, id_token: Value| {
        let mut run = silent(request, cache, later(HOUR));
        run.script(&[(200, &answer(2, json!({"client_info": info, "id_token": id_token})))]);
        run.outcome()
    };
    let Err(Failure::Protocol(error)) = refreshed(request_of(entra()), signed_in(), &other, Value::Null) else {
        panic!("the tokens of somebody else")
    };
    assert_eq!(error.fault, ProtocolFault::IdToken(ClaimsError::Subject));
    for same in [encoded(&json!({"uid": "OID-ADA", "utid": TENANT})), "nonsense".to_owned()] {
        let outcome = refreshed(request_of(entra()), signed_in(), &same, Value::Null);
        assert_eq!(token(outcome).0, "AT-canary-2", "{same}");
    }
    assert_eq!(token(refreshed(request(), ada(), &other, Value::Null)).0, "AT-canary-2");
}

// The same where the answer has no access token: a new refresh token is kept unless it is of somebody else, whatever other
// members come first.
#[test]
fn a_rotated_refresh_token_of_somebody_else_is_not_kept() {
    let person = |uid: &str| encoded(&json!({"uid": uid, "utid": TENANT}));
    for (info, kept) in [
        (json!(person("oid-bob")), "RT-canary-1"),
        (json!(person("oid-ada")), "RT-canary-2"),
        (json!(7), "RT-canary-2"),
        (json!(null), "RT-canary-2"),
    ] {
        let mut run = silent(request_of(entra()), signed_in(), later(HOUR));
        let rotated = json!({"account_info": person("oid-ada"), "client_info": info, "refresh_token": "RT-canary-2"});
        run.script(&[(200, &rotated.to_string())]);
        assert!(matches!(run.failure(), Failure::Protocol(_)), "{info}");
        assert_eq!(refresh_tokens(run.machine.cache()), [kept], "{info}");
    }
}
