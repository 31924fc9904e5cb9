//! Owns the proofs on files that the MSALs for Java, .NET and Go have written, alone and after this crate.

use super::grants::{at, granted, keys, written};
use device_flow_core::{AccessTokenQuery, Authority, GrantOrigin, Owner, Person, TokenCache};
use serde_json::json;

const CLIENT: &str = "4b0db8c2-9f26-4417-8bde-3f0e3656f8e0";
const TENANT: &str = "5a3c1f0e-8d24-4b6a-9c11-2f7be0a4d316";
const HOME: &str = "0b5e6a1c-41d7-4c59-b0a2-7d90e3f1a201.5a3c1f0e-8d24-4b6a-9c11-2f7be0a4d316";

const DOTNET: &str = include_str!("files/msal-dotnet-4.83.3.json");
const GO: &str = include_str!("files/msal-go-1.10.1.json");
const JAVA: &str = include_str!("files/msal4j-1.26.1.json");
const OURS_THEN_DOTNET: &str = include_str!("files/ours-then-msal-dotnet-4.83.3.json");
const OURS_THEN_GO: &str = include_str!("files/ours-then-msal-go-1.10.1.json");
const OURS_THEN_JAVA: &str = include_str!("files/ours-then-msal4j-1.26.1.json");

fn read(file: &str) -> TokenCache {
    TokenCache::from_json(file.as_bytes()).unwrap()
}

fn authority() -> Authority {
    Authority::entra("login.microsoftonline.com", TENANT)
}

fn owner(authority: &Authority) -> Owner<'_> {
    Owner { person: Person::Id(HOME), client_id: CLIENT, authority }
}

// The person is listed once, the token of the last answer is used, and its refresh token comes first. The replaced one
// was dated by us, and Java removes that date.
#[test]
fn msal_6_10_files_of_dotnet_java_and_go_are_listed_hit_and_their_newest_refresh_token_comes_first() {
    for (file, cached_at, access, refresh) in [
        (DOTNET, 1_795_842_991, "AT-canary-439", &["1.RT-canary-439"][..]),
        (JAVA, 1_795_842_473, "AT-canary-333", &["1.RT-canary-333"]),
        (GO, 1_795_843_362, "AT-canary-534", &["1.RT-canary-534"]),
        (OURS_THEN_DOTNET, 1_795_841_976, "AT-canary-82", &["1.RT-canary-82"]),
        (OURS_THEN_GO, 1_795_841_992, "AT-canary-99", &["1.RT-canary-99", "1.RT-canary-98"]),
        (OURS_THEN_JAVA, 1_795_841_954, "AT-canary-67", &["1.RT-canary-67", "1.RT-canary-66"]),
    ] {
        let (cache, authority) = (read(file), authority());
        let names: Vec<_> = cache.accounts().iter().map(|account| account.username().to_owned()).collect();
        assert_eq!(names, ["ada@contoso.example"], "{access}");
        let query = AccessTokenQuery::scopes("user.read mail.read");
        let found = cache.access_token(owner(&authority), query, at(cached_at + 1));
        assert_eq!(found.unwrap().secret().expose(), access);
        let found = cache.refresh_tokens(owner(&authority));
        let secrets: Vec<_> = found.iter().map(|token| token.secret().expose().to_owned()).collect();
        assert_eq!(secrets, refresh);
        // Nothing that was not changed is written differently.
        let before: serde_json::Value = serde_json::from_str(file.trim_start_matches('\u{feff}')).unwrap();
        assert_eq!(written(&cache), before, "{access}");
    }
}

// One token is left, under the key that the other program goes on replacing. Python computes a key from `target`.
#[test]
fn msal_4_7_a_new_refresh_token_takes_the_key_of_the_program_that_wrote_the_newest() {
    let stem = |host: &str| format!("{HOME}-{host}-refreshtoken-{CLIENT}");
    let (preferred, of_go) = (stem("login.windows.net"), stem("login.microsoftonline.com"));
    for (file, key, target) in [
        (DOTNET, format!("{preferred}--"), ""),
        (JAVA, format!("{preferred}--"), ""),
        (OURS_THEN_DOTNET, format!("{preferred}--"), ""),
        (OURS_THEN_JAVA, format!("{preferred}--"), ""),
        (GO, of_go.clone(), ""),
        (OURS_THEN_GO, of_go, ""),
    ] {
        let (mut cache, authority) = (read(file), authority());
        let origin =
            GrantOrigin { client_id: CLIENT, authority: &authority, person: Person::Id(HOME), grant_type: None };
        for (secret, now) in [("RT-canary-1", 1_800_000_000), ("RT-canary-2", 1_800_003_600)] {
            let nobody = json!({"refresh_token": secret, "client_info": null, "id_token": null});
            cache.save(&granted("user.read mail.read openid profile", nobody), &origin, at(now));
            let tokens = written(&cache)["RefreshToken"].clone();
            assert_eq!(keys(&cache, "RefreshToken"), [&*key]);
            assert_eq!((&tokens[&key]["secret"], &tokens[&key]["target"]), (&json!(secret), &json!(target)));
        }
    }
}
