//! Claims: whom they name, whom they are meant for, and what cannot be read.

use super::grants::*;
use device_flow_core::{ClaimsError, ClientInfo, IdTokenClaims};
use proptest::prelude::*;
use serde_json::json;

const ISSUER: &str = "https://localhost/c0ffee00-5a17-4e57-8b33-000000000042/v2.0";

fn check(change: serde_json::Value, issuer: &str, now: u64) -> Result<(), ClaimsError> {
    IdTokenClaims::read(&secret(&jwt(&claims(change)))).unwrap().check(issuer, "my-client", at(now))
}

// OIDC-2-3, OIDC-3.1.3.7-3, OIDC-3.1.3.7-4, OIDC-3.1.3.7-5, OIDC-3.1.3.7-9; five minutes for clocks, from both sides.
#[test]
fn oidc_core_3_1_3_7_issuer_audience_and_expiry() {
    assert_eq!(check(json!({}), ISSUER, WRITTEN), Ok(()));
    let other = Err(ClaimsError::Issuer { found: "https://evil.example".into() });
    assert_eq!(check(json!({"iss": "https://evil.example"}), ISSUER, WRITTEN), other);
    for (change, fits) in [
        (json!({"aud": ["my-client"]}), true),
        (json!({"aud": "other"}), false),
        (json!({"aud": []}), false),
        (json!({"aud": ["my-client", "other"]}), false),
        (json!({"aud": ["my-client", "other"], "azp": "my-client"}), true),
        (json!({"azp": "other"}), false),
        (json!({"aud": "other", "azp": "my-client"}), false),
    ] {
        let expected = if fits { Ok(()) } else { Err(ClaimsError::Audience) };
        assert_eq!(check(change.clone(), ISSUER, WRITTEN), expected, "{change}");
    }
    assert_eq!(check(json!({"exp": WRITTEN}), ISSUER, WRITTEN + 299), Ok(()));
    assert_eq!(check(json!({"exp": WRITTEN}), ISSUER, WRITTEN + 300), Err(ClaimsError::Expired));
    assert_eq!(check(json!({"exp": WRITTEN.to_string()}), ISSUER, WRITTEN), Ok(()));
}

// MSAL 1.12: the issuer of Microsoft's metadata for many tenants.
#[test]
fn msal_1_12_the_issuer_of_many_tenants_stands_for_the_one_that_the_token_names() {
    assert_eq!(check(json!({}), "https://localhost/{tenantid}/v2.0", WRITTEN), Ok(()));
    assert!(check(json!({"tid": null}), "https://localhost/{tenantid}/v2.0", WRITTEN).is_err());
    assert!(check(json!({"tid": "other"}), "https://localhost/{tenantid}/v2.0", WRITTEN).is_err());
}

#[test]
fn claims_name_the_subject_the_audience_and_the_end() {
    let claims = IdTokenClaims::read(&secret(&jwt(&claims(json!({"aud": ["my-client", "api"]}))))).unwrap();
    assert_eq!(claims.subject(), "sub-grace");
    assert_eq!(claims.audience().collect::<Vec<_>>(), ["my-client", "api"]);
    assert_eq!(claims.expires(), at(WRITTEN + 3_600));
}

// To show is one thing, to compare another.
#[test]
fn every_claim_can_be_had_as_it_was_written_and_safe_to_print() {
    let hostile = |text: &str| format!("{text}\u{1b}[31m");
    let members = ["iss", "sub", "oid", "tid", "preferred_username", "name"];
    let change: serde_json::Map<_, _> =
        members.iter().map(|name| (String::from(*name), json!(hostile(name)))).collect();
    let claims = IdTokenClaims::read(&secret(&jwt(&claims(change.into())))).unwrap();
    let shown = [Some(claims.issuer()), Some(claims.subject()), claims.object_id(), claims.tenant(), claims.username()];
    let raw = [
        Some(claims.raw_issuer()),
        Some(claims.raw_subject()),
        claims.raw_object_id(),
        claims.raw_tenant(),
        claims.raw_username(),
    ];
    let shown = shown.into_iter().chain([claims.name()]);
    let raw = raw.into_iter().chain([claims.raw_name()]);
    for ((name, shown), raw) in members.iter().zip(shown).zip(raw) {
        assert_eq!(raw, Some(&*hostile(name)));
        let shown = shown.unwrap();
        assert!(shown.starts_with(name) && shown.contains("[31m") && !shown.contains('\u{1b}'), "{name}: {shown}");
    }
    let info = ClientInfo::read(&encoded(&json!({"uid": hostile("uid"), "utid": hostile("utid")}))).unwrap();
    assert_eq!((info.raw_uid(), info.raw_utid()), (&*hostile("uid"), &*hostile("utid")));
    assert!(info.uid().starts_with("uid") && info.utid().starts_with("utid"));
    assert!(!info.home_account_id().contains('\u{1b}') && info.raw_home_account_id().contains('\u{1b}'));
}

#[test]
fn msal_5_the_username_is_the_first_of_three() {
    let name = |change| IdTokenClaims::read(&secret(&jwt(&claims(change)))).unwrap().username().map(String::from);
    let all = json!({"upn": "u@x", "email": "e@x"});
    assert_eq!(name(all).as_deref(), Some("grace@fabrikam.test"));
    assert_eq!(name(json!({"preferred_username": null, "upn": "u@x", "email": "e@x"})).as_deref(), Some("u@x"));
    assert_eq!(name(json!({"preferred_username": 7, "email": "e@x"})).as_deref(), Some("e@x"));
    assert_eq!(name(json!({"preferred_username": null})), None);
}

#[test]
fn client_info_with_and_without_padding() {
    let info = encoded(&json!({"uid": "u", "utid": "t"}));
    for text in [info.clone(), format!("{info}="), format!("{info}==")] {
        let info = ClientInfo::read(&text).unwrap();
        assert_eq!((info.uid(), info.utid(), &*info.home_account_id()), ("u", "t", "u.t"));
    }
    for garbage in [json!({"uid": "u"}), json!({"uid": "", "utid": "t"}), json!({"uid": 1, "utid": "t"}), json!([])] {
        assert_eq!(ClientInfo::read(&encoded(&garbage)), None, "{garbage}");
    }
}

#[test]
fn an_unreadable_id_token_is_an_error_with_a_name() {
    let read = |token: &str| IdTokenClaims::read(&secret(token)).map(|_| ());
    for garbage in ["", "canary", "a.b", "a.!canary.c", "a.e30.b.canary", "a.W10.canary", "a.eyJh.canary"] {
        assert_eq!(read(garbage), Err(ClaimsError::Unreadable), "{}", garbage.len());
    }
    for name in ["iss", "sub", "aud", "exp"] {
        assert_eq!(read(&jwt(&claims(json!({name: null})))), Err(ClaimsError::Claim(name)));
    }
    let padded = jwt(&claims(json!({}))).replace(".canary", "=.canary");
    assert_eq!(read(&padded), Ok(()));
}

proptest! {
    #[test]
    fn any_text_is_claims_or_an_error(text in "\\PC*", payload: Vec<u8>) {
        use base64ct::{Base64UrlUnpadded, Encoding as _};
        let payload = Base64UrlUnpadded::encode_string(&payload);
        for token in [text.clone(), format!("a.{text}.b"), format!("a.{payload}.b")] {
            let _ = IdTokenClaims::read(&secret(&token));
        }
        prop_assert!(ClientInfo::read(&text).is_none());
        let _ = ClientInfo::read(&payload);
    }
}
