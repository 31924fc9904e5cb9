//! M01 to M08: `DeviceCodeRequestTests` and `DeviceCodeResponseTests` of MSAL.NET.

use super::entra::*;
use crate::cache::grants::{HOME, WRITTEN, at, keys, refresh_tokens, signed_in, written};
use crate::support::*;
use device_flow_core::{
    AuthorityKind, Client, Failure, Machine as _, Owner, ProtocolFault, Provider, TokenCache, WaitReason,
};
use serde_json::json;

// The comma behind the last member is refused: it is no JSON (RFC 8259 §4), and no server sends it. Theirs stands in a
// body that was written by hand. All the rest of that body is read.
#[test]
fn m01_string_numbers_and_the_old_spelling_are_read_and_a_trailing_comma_is_not() {
    let client = || client().device_parameter("claims", r#"{"a":1}"#).device_parameter("slice", "testslice");
    let change = json!({
        "expires_in": "900", "interval": "1", "verification_uri": null, "verification_url": "https://microsoft.com/devicelogin"
    });
    let mut run = flow(client(), change.clone());
    assert_gap(run.poll(), 1, 1);
    run.answer(403, &refusal("authorization_pending", 70016));
    assert_gap(run.poll(), 1, 1);
    run.answer(200, &tokens(json!({})));

    let prompt = run.prompts[0].clone();
    assert_eq!((prompt.user_code(), prompt.verification_uri()), ("ABCD-EFGH", "https://microsoft.com/devicelogin"));
    assert_eq!(prompt.message(), Some("To sign in, open the page and enter the code ABCD-EFGH."));
    assert_eq!((prompt.interval().as_secs(), prompt.expires_at().as_millis()), (1, START + 900_000));
    let asked = &run.requests[0];
    assert_eq!(asked.url, DEVICE_ENDPOINT);
    assert_eq!(asked.parameter("claims").as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(asked.parameter("slice").as_deref(), Some("testslice"));
    assert_eq!(asked.parameter("scope").as_deref(), Some("user.read openid profile offline_access"));
    assert_eq!(run.requests.len(), 3);

    let (token, mut cache) = (token(run.outcome()), TokenCache::new());
    let authority = client().build().unwrap().authority().clone();
    let account = cache.save(&token, &signed_in(&authority), at(WRITTEN)).unwrap();
    assert_eq!((account.username(), account.home_account_id()), ("grace@fabrikam.test", HOME));
    for kind in ["AccessToken", "RefreshToken", "IdToken", "Account"] {
        assert_eq!(keys(&cache, kind).len(), 1, "{kind}");
    }

    let whole = code(change);
    let comma = format!("{},}}", whole.strip_suffix('}').unwrap());
    let mut run = Run::new(client().build().unwrap());
    run.poll();
    run.answer(200, &comma);
    let Failure::Protocol(error) = run.failure() else { panic!("a trailing comma was read") };
    assert_eq!(error.fault, ProtocolFault::InvalidJson);
    assert_eq!((run.prompts.len(), run.requests.len()), (0, 1));
}

#[test]
fn m02_an_error_with_status_200_is_that_error_and_nothing_is_shown() {
    let mut run = Run::new(client().build().unwrap());
    run.poll();
    run.answer(200, &refusal("invalid_client", 7_000_218));
    let Failure::Rejected(error) = run.failure() else { panic!("an error with status 200 was no error") };
    assert_eq!((error.code(), error.status(), error.numbers()), ("invalid_client", 200, &[7_000_218][..]));
    assert!(error.advice().unwrap().contains("allow public client flows"));
    assert_eq!((run.prompts.len(), run.requests.len()), (0, 1));
}

// ADFS names neither tenant nor client_info: the person is the subject of the ID token.
#[test]
fn m03_adfs_is_asked_at_its_own_paths_and_nowhere_else() {
    let base = "https://fs.contoso.com/adfs/oauth2";
    let client = Client::builder(Provider::adfs("fs.contoso.com"), "my-client").scope("user.read");
    let authority = client.clone().build().unwrap().authority().clone();
    assert_eq!((authority.environment(), authority.kind()), ("fs.contoso.com", AuthorityKind::Adfs));
    let mut run = flow(client, json!({"interval": 1}));
    run.poll();
    run.answer(400, &refusal("authorization_pending", 70016));
    run.poll();
    run.answer(200, &tokens(json!({"client_info": null})));
    let urls: Vec<&str> = run.requests.iter().map(|sent| &*sent.url).collect();
    assert_eq!(urls, [format!("{base}/devicecode"), format!("{base}/token"), format!("{base}/token")]);

    let mut cache = TokenCache::new();
    let account = cache.save(&token(run.outcome()), &signed_in(&authority), at(WRITTEN)).unwrap();
    assert_eq!((account.home_account_id(), account.username()), ("sub-grace", "grace@fabrikam.test"));
    let entries = written(&cache);
    assert!(entries["Account"].as_object().unwrap().values().all(|account| account["authority_type"] == "ADFS"));
    assert_eq!(entries["AppMetadata"], json!({}), "families are Entra's");
    let owner =
        Owner { person: device_flow_core::Person::Id("sub-grace"), client_id: "my-client", authority: &authority };
    assert_eq!(refresh_tokens(&cache, owner), ["RT-canary"]);
}

#[test]
fn m04_a_cancel_while_the_code_is_shown_asks_for_no_token() {
    let mut run = flow(client(), json!({}));
    run.machine.cancel();
    assert!(matches!(run.failure(), Failure::Cancelled));
    assert_eq!(run.requests.len(), 1);
    // Before the start not even a code is asked for.
    let mut run = Run::new(client().build().unwrap());
    run.machine.cancel();
    assert!(matches!(run.failure(), Failure::Cancelled));
    assert_eq!(run.requests.len(), 0);
}

// The core logs nothing; it reports the reasons of its waits, and the trail.
#[test]
fn m05_pending_is_reported_as_a_wait_and_never_as_an_error() {
    let mut run = flow(client(), json!({}));
    run.script(&[(400, &refusal("authorization_pending", 70016)), (400, &refusal("authorization_pending", 70016))]);
    let trail = run.machine.trail();
    assert_eq!((trail.polls(), trail.failures(), trail.last_error()), (2, 0, None));
    run.poll();
    run.answer(200, &tokens(json!({})));
    token(run.outcome());
    let reasons: Vec<WaitReason> = run.waits.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(reasons, [WaitReason::Interval; 3]);
}

#[test]
fn m06_m07_m08_the_standard_spelling_wins_over_the_old_one() {
    let shown = |url: Option<&str>, uri: Option<&str>| {
        let mut run = flow(client(), json!({"verification_url": url, "verification_uri": uri}));
        run.poll();
        run.prompts[0].verification_uri().to_owned()
    };
    let (old, standard) = ("https://old.example/url", "https://standard.example/uri");
    assert_eq!(shown(Some(old), None), old);
    assert_eq!(shown(None, Some(standard)), standard);
    assert_eq!(shown(Some(old), Some(standard)), standard);
}
