//! W01: nothing that the core hands out is unprintable when it came from a server, unless its name says that it is raw.

use super::grants::*;
use crate::support::{PENDING, Run, device_answer};
use device_flow_core::{
    AccessTokenQuery, Account, ClientInfo, Discovery, Failure, IdTokenClaims, OAuthError, Secret, SignInRequest,
    TokenCache, TokenResponse, UserInfo, harmless,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// An escape sequence, a line break, a bidirectional control, a C1 control, an invisible character.
const HOSTILE: &str = "a\u{1b}[31m\nb\u{202e}\u{9b}2J\u{2066}\u{200b}c";
const SHOWN: &str = "a\\u{1b}[31m\\u{a}b\\u{202e}\\u{9b}2J\\u{2066}\\u{200b}c";

/// Public functions that return text of their caller, of this crate, of a configuration whose characters were checked, or
/// a secret; and `person`, whose `Person` is an identity to compare, not a text.
const NOT_OF_A_SERVER: [&str; 16] = [
    "as_str",
    "authentication_method",
    "client_id",
    "scope",
    "audience",
    "device_authorization_endpoint",
    "token_endpoint",
    "url",
    "method",
    "headers",
    "expose",
    "warnings",
    "into_machines",
    "detail",
    "provider",
    "advice",
];

/// What this test reads of each type that has text of a server.
const READ: [&str; 38] = [
    "issuer",
    "subject",
    "audience",
    "object_id",
    "tenant",
    "username",
    "name",
    "uid",
    "utid",
    "home_account_id",
    "local_account_id",
    "label",
    "slot",
    "environment",
    "realm",
    "home_tenant",
    "client_id",
    "scopes",
    "missing_scopes",
    "added_scopes",
    "extra_names",
    "token_type",
    "proof_key",
    "key",
    "device_authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
    "text",
    "token_endpoint_auth_methods",
    "token_endpoint_auth_signing_algs",
    "dpop_signing_algs",
    "code_challenge_methods",
    "description",
    "uri",
    "suberror",
    "timestamp",
    "claims",
];

/// And these, which other tests read with hostile texts: of an error, and of a prompt (A14, A15, A20).
const READ_ELSEWHERE: [&str; 10] = [
    "code",
    "correlation_id",
    "trace_id",
    "user_code",
    "verification_uri",
    "verification_uri_complete",
    "message",
    "said",
    "last_words",
    "harmless",
];

#[track_caller]
fn clean(text: &str) {
    assert_eq!(harmless(text), text, "{text:?}");
    assert!(!text.contains(|c: char| c.is_control() || "\u{202e}\u{2066}\u{200b}".contains(c)), "{text:?}");
}

#[track_caller]
fn all_clean<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) {
    texts.into_iter().for_each(|text| clean(text.as_ref()));
}

fn hostile_token(scope: serde_json::Value) -> (SignInRequest, TokenResponse) {
    let claims = json!({
        "sub": HOSTILE, "preferred_username": HOSTILE, "name": HOSTILE, "oid": HOSTILE, "tid": HOSTILE
    });
    let answer = grant(1, json!({"scope": scope, "id_token": id_token("ada", claims), HOSTILE: HOSTILE}));
    let request = request();
    let mut run = Run::of(request.device_flow([7; 32]));
    run.script(&[(200, &device_answer(json!({}))), (200, &answer)]);
    (request, run.outcome().unwrap())
}

// The scope is granted in each of its forms; a scope is sent back, and found, as it came.
#[test]
fn w01_scopes_and_names_of_an_answer_are_clean() {
    for scope in [json!(format!("mail {HOSTILE}")), json!(format!("mail,{HOSTILE}")), json!(["mail", HOSTILE])] {
        let (_, token) = hostile_token(scope);
        all_clean(token.scopes());
        all_clean(token.added_scopes());
        all_clean(token.missing_scopes());
        all_clean(token.extra_names());
        assert_eq!(token.scopes().collect::<Vec<_>>(), ["mail", SHOWN]);
        assert_eq!(token.added_scopes().collect::<Vec<_>>(), [SHOWN]);
        assert_eq!(token.raw_scopes().collect::<Vec<_>>(), ["mail", HOSTILE]);
        assert_eq!(token.raw_extra_names().collect::<Vec<_>>(), [HOSTILE]);
        assert!(token.extra(HOSTILE).is_some());
        clean(&format!("{token:?}"));
    }
}

// What a server says about a person.
#[test]
fn w01_claims_of_a_person_are_clean() {
    let signed_in = request().cached(&ada(), THEN).unwrap();
    let mut run = Run::of(UserInfo::new(client(), "https://as/me", &signed_in).unwrap());
    run.script(&[(200, &json!({"sub": HOSTILE, HOSTILE: HOSTILE}).to_string())]);
    let person = run.outcome().unwrap();
    assert_eq!(person.text("sub").as_deref(), Some(SHOWN));
    assert_eq!(person.text(HOSTILE).as_deref(), Some(SHOWN));
    assert!(person.raw_claims().any(|(name, _)| name == HOSTILE));
    clean(&format!("{person:?}"));
}

// From the cache, too, and in an account; who it is stays exact.
#[test]
fn w01_what_a_cache_hands_out_is_clean() {
    let (request, token) = hostile_token(json!(["mail", HOSTILE]));
    let mut cache = TokenCache::new();
    let signed_in = request.keep(&token, &mut cache, THEN).unwrap();
    let cache = TokenCache::from_json(cache.to_json().expose().as_bytes()).unwrap();
    let stored = request.cached(&cache, THEN).unwrap();
    for signed_in in [&signed_in, &stored] {
        all_clean(signed_in.scopes());
        assert!(signed_in.scopes().any(|scope| scope == SHOWN));
        account(signed_in.account().unwrap());
        clean(&format!("{signed_in:?}"));
    }
    let [ada] = &*cache.accounts() else { panic!("one account") };
    account(ada);
    let owner = request.owner(ada);
    clean(&owner.key());
    let other = device_flow_core::Owner { person: device_flow_core::Person::Id(SHOWN), ..owner };
    assert_ne!(owner.key(), other.key(), "escaped or written like that: two people");
    let found = cache.access_token(owner, AccessTokenQuery::scopes("mail"), THEN).unwrap();
    all_clean(found.scopes());
    clean(&found.token_type());
    cache.refresh_tokens(owner).iter().for_each(|token| clean(&token.proof_key()));
    let other_type = cache.to_json().expose().replace("\"Bearer\"", "\"B\\u001b[2J\"");
    let cache = TokenCache::from_json(other_type.as_bytes()).unwrap();
    let query = AccessTokenQuery::scopes("mail").token_type("B\u{1b}[2J");
    clean(&cache.access_token(owner, query, THEN).unwrap().token_type());
}

#[track_caller]
fn account(account: &Account) {
    all_clean([account.home_account_id(), account.local_account_id(), account.username(), &account.label()]);
    all_clean([account.environment(), account.realm(), account.slot()]);
    all_clean([account.name(), account.client_id(), account.home_tenant()].into_iter().flatten());
    assert_eq!((account.raw_home_account_id(), account.raw_username()), (HOSTILE, HOSTILE));
    assert_eq!((account.home_account_id(), account.username(), account.name()), (SHOWN, SHOWN, Some(SHOWN)));
    clean(&format!("{account:?}"));
}

#[test]
fn w01_claims_are_clean() {
    let change = json!({
        "iss": HOSTILE, "sub": HOSTILE, "aud": [HOSTILE, "my-app"], "oid": HOSTILE, "tid": HOSTILE, "name": HOSTILE,
        "preferred_username": HOSTILE
    });
    let claims = IdTokenClaims::read(&Secret::from(&*id_token("ada", change))).unwrap();
    all_clean([claims.issuer(), claims.subject()]);
    all_clean(claims.audience());
    all_clean([claims.object_id(), claims.tenant(), claims.username(), claims.name()].into_iter().flatten());
    assert_eq!((claims.raw_issuer(), claims.raw_subject()), (HOSTILE, HOSTILE));
    assert_eq!((claims.raw_object_id(), claims.raw_tenant()), (Some(HOSTILE), Some(HOSTILE)));
    assert_eq!(claims.raw_audience().collect::<Vec<_>>(), [HOSTILE, "my-app"]);
    clean(&format!("{claims:?} {}", claims.check(HOSTILE, "other", THEN).unwrap_err()));
    clean(&claims.check("https://as", "my-app", THEN).unwrap_err().to_string());

    let info = ClientInfo::read(&encoded(&json!({"uid": HOSTILE, "utid": HOSTILE}))).unwrap();
    all_clean([info.uid(), info.utid(), &info.home_account_id()]);
    assert_eq!(info.raw_home_account_id(), format!("{HOSTILE}.{HOSTILE}"));
}

#[test]
fn w01_metadata_is_clean() {
    let list = json!([HOSTILE, "none"]);
    let document = json!({
        "issuer": "https://as", "token_endpoint": "https://as/token", "device_authorization_endpoint": "https://as/device",
        "revocation_endpoint": format!("https://as/{HOSTILE}"), "userinfo_endpoint": format!("https://as/{HOSTILE}"),
        "token_endpoint_auth_methods_supported": list,
        "token_endpoint_auth_signing_alg_values_supported": list, "dpop_signing_alg_values_supported": list,
        "code_challenge_methods_supported": list, "grant_types_supported": list,
        "mtls_endpoint_aliases": {
            "token_endpoint": HOSTILE, "device_authorization_endpoint": HOSTILE, "revocation_endpoint": HOSTILE
        },
    });
    let mut run = Run::of(Discovery::new("https://as").unwrap());
    run.script(&[(200, &document.to_string())]);
    let metadata = run.outcome().unwrap();
    for metadata in [metadata.clone(), metadata.over_mutual_tls()] {
        all_clean([metadata.issuer(), metadata.token_endpoint()]);
        all_clean(metadata.device_authorization_endpoint().into_iter().chain(metadata.revocation_endpoint()));
        clean(metadata.userinfo_endpoint().unwrap());
        all_clean(metadata.token_endpoint_auth_methods().chain(metadata.token_endpoint_auth_signing_algs()));
        all_clean(metadata.dpop_signing_algs().chain(metadata.code_challenge_methods()));
        assert!(metadata.token_endpoint_auth_methods().any(|method| method == SHOWN));
        clean(&format!("{metadata:?}"));
    }
}

#[test]
fn w01_errors_are_clean_and_a_challenge_means_the_same() {
    let claims = json!({"a": HOSTILE, "b": "\u{e0001}"}).to_string().replace(',', "\t,\n");
    let members = json!({
        "error": HOSTILE, "error_description": HOSTILE, "error_uri": HOSTILE, "suberror": HOSTILE, "timestamp": HOSTILE,
        "trace_id": HOSTILE, "correlation_id": HOSTILE, "claims": claims
    });
    let mut run = Run::of(request().device_flow([7; 32]));
    run.script(&[(200, &device_answer(json!({"message": HOSTILE}))), (400, PENDING), (400, &members.to_string())]);
    let failure = run.failure();
    clean(&failure.to_string());
    all_clean(run.prompts[0].message());
    let Failure::Rejected(error) = failure else { panic!("{failure}") };
    clean(error.code());
    let read: [fn(&OAuthError) -> Option<&str>; 7] = [
        OAuthError::description,
        OAuthError::uri,
        OAuthError::suberror,
        OAuthError::timestamp,
        OAuthError::trace_id,
        OAuthError::correlation_id,
        OAuthError::claims,
    ];
    for read in read {
        clean(read(&error).unwrap());
    }
    let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
    assert_eq!(value(error.claims().unwrap()), value(&claims));
}

// A new accessor belongs in one of these lists, and in the tests above.
#[test]
fn w01_every_accessor_that_hands_out_text_is_read_here() {
    let mut names = BTreeSet::new();
    accessors(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut names);
    let known: BTreeSet<&str> = NOT_OF_A_SERVER.iter().chain(&READ).chain(&READ_ELSEWHERE).copied().collect();
    let unknown: Vec<_> =
        names.iter().filter(|name| !name.starts_with("raw_") && !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(names.len() > 40 && names.contains("raw_subject"), "{names:?}");
}

/// The names of the public functions in a folder that return text.
fn accessors(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            accessors(&path, names);
        } else {
            let text = fs::read_to_string(path).unwrap();
            let returning = |line: &&str| {
                line.split_once("->").is_some_and(|(_, returned)| {
                    ["&str", "String", "Box<str>", "Cow<"].iter().any(|word| returned.contains(word))
                })
            };
            let functions = text.lines().map(str::trim).filter(|line| line.starts_with("pub fn")).filter(returning);
            names.extend(
                functions.filter_map(|line| line["pub fn ".len()..].split(['(', '<']).next()).map(String::from),
            );
        }
    }
}
