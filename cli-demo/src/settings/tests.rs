//! Tests for `settings`: what one source leaves of another, and how settings are stored.
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use super::*;
use toml_edit::DocumentMut;

fn settings(values: &[(Key, &str)]) -> Settings {
    Settings(values.iter().map(|(key, value)| (*key, vec![(*value).to_owned()])).collect())
}

#[test]
fn naming_another_server_drops_what_was_set_for_the_first() {
    let lower = || {
        settings(&[(Key::Provider, "entra"), (Key::Tenant, "contoso.com"), (Key::Scope, "mail"), (Key::Store, "file")])
    };
    let flags = || settings(&[(Key::Issuer, "https://b.example")]);
    let over = settings(&[(Key::Issuer, "https://b.example"), (Key::Scope, "mail"), (Key::Store, "file")]);
    assert_eq!(flags().over(lower()), over);
    // Of a profile nothing about the client remains.
    let of_profile = settings(&[(Key::Issuer, "https://b.example"), (Key::Store, "file")]);
    assert_eq!(flags().over_profile(lower()), of_profile);
    // The same server keeps its tenant, and a tenant alone is another place in the same server.
    assert_eq!(settings(&[(Key::Provider, "entra")]).over_profile(lower()), lower());
    assert_eq!(settings(&[(Key::Tenant, "x")]).over_profile(lower()).get(Key::Tenant), Some("x"));
    // A host alone goes with the provider of the other source.
    let host = settings(&[(Key::Host, "git.example.com")]);
    assert_eq!(settings(&[(Key::Provider, "gitlab")]).over(host).get(Key::Host), Some("git.example.com"));
}

#[test]
fn f14_a_secret_stays_with_its_client_and_server() {
    let secret =
        [(Key::Issuer, "https://a.example"), (Key::ClientId, "a"), (Key::ClientSecretFile, "s"), (Key::GitHost, "g")];
    let gone = |over: Settings| over.get(Key::ClientSecretFile).is_none();
    for flags in [
        &[(Key::Issuer, "https://b.example")][..],
        &[(Key::ClientId, "b")],
        &[(Key::Issuer, "https://b.example"), (Key::ClientId, "b")],
        &[(Key::Provider, "github")],
    ] {
        assert!(gone(settings(flags).over_environment(settings(&secret))), "{flags:?}");
        assert!(gone(settings(flags).over_profile(settings(&secret))), "{flags:?}");
    }
    let other_server = settings(&[(Key::Provider, "github")]).over_environment(settings(&secret));
    assert!(other_server.get(Key::GitHost).is_none());
    for flags in [&[(Key::Issuer, "https://a.example")][..], &[(Key::ClientId, "a")], &[(Key::Scope, "mail")], &[]] {
        assert!(!gone(settings(flags).over_environment(settings(&secret))), "{flags:?}");
        assert!(!gone(settings(flags).over_profile(settings(&secret))), "{flags:?}");
    }
    // A secret that stands alone in the environment is for the client that the flags name.
    let alone = settings(&[(Key::ClientSecretFile, "s")]);
    let flags = settings(&[(Key::Issuer, "https://b.example"), (Key::ClientId, "b")]);
    assert!(!gone(flags.over_environment(alone)));
}

#[test]
fn a_provider_without_a_host_means_its_own_host() {
    let of_company = settings(&[(Key::Provider, "github"), (Key::Host, "ghe.example.com"), (Key::ClientId, "a")]);
    let public = settings(&[(Key::Provider, "github")]);
    assert!(!public.is_about(&of_company));
    assert!(public.over_profile(of_company).get(Key::Host).is_none());
}

// W07
#[test]
fn w07_another_realm_cloud_or_server_is_another_server_and_the_default_is_the_default() {
    let keycloak = |realm| settings(&[(Key::Provider, "keycloak"), (Key::Host, "sso.example"), (Key::Realm, realm)]);
    assert!(keycloak("a").agrees_on_server(&keycloak("a")));
    assert!(!keycloak("a").agrees_on_server(&keycloak("b")));
    let with = |more: &[(Key, &str)]| settings(&[&[(Key::Provider, "entra")], more].concat());
    assert!(with(&[]).agrees_on_server(&with(&[(Key::Cloud, "public")])));
    assert!(!with(&[]).agrees_on_server(&with(&[(Key::Cloud, "china")])));
    // A tenant is no other server: the same app may be in both.
    assert!(with(&[(Key::Tenant, "a")]).agrees_on_server(&with(&[(Key::Tenant, "b")])));
    let github = |host: &[(Key, &str)]| settings(&[&[(Key::Provider, "github")], host].concat());
    assert!(github(&[]).agrees_on_server(&github(&[(Key::Host, "github.com")])));
    // A realm alone is another one on the same host, for which the first one's secret is not.
    let mut stored = keycloak("a");
    stored.set(Key::ClientSecretFile, ["s"]);
    let other = settings(&[(Key::Realm, "b")]).over_profile(stored);
    let found = [Key::Host, Key::Realm, Key::ClientSecretFile].map(|key| other.get(key).map(str::to_owned));
    assert_eq!(found, [Some("sso.example".to_owned()), Some("b".to_owned()), None]);
}

#[test]
fn w07_what_a_provider_does_not_take_is_told_with_the_way_out() {
    for (values, key, why) in [
        (
            &[(Key::Provider, "entra"), (Key::Host, "login.microsoftonline.us")][..],
            Key::Host,
            "--host is not for --provider entra, which takes --tenant, --cloud: for login.microsoftonline.us write --cloud \
             us-gov",
        ),
        (
            &[(Key::Provider, "github"), (Key::Tenant, "x")],
            Key::Tenant,
            "--tenant is not for --provider github, which takes --host",
        ),
        (
            &[(Key::Provider, "google"), (Key::Host, "x")],
            Key::Host,
            "--host is not for --provider google, which takes no such option",
        ),
        (
            &[(Key::Issuer, "https://a.example"), (Key::Realm, "x")],
            Key::Realm,
            "--realm goes with a --provider that takes it (keycloak), but the server is named by its URLs",
        ),
        (
            &[(Key::Tenant, "x")],
            Key::Tenant,
            "--tenant goes with a --provider that takes it (entra, entra-china, entra-us-gov, entra-v1), but no server is named",
        ),
    ] {
        let settings = settings(values);
        assert_eq!(settings.misplaced().collect::<Vec<_>>(), [key]);
        assert_eq!(settings.why_misplaced(key), why);
    }
    let fits = settings(&[(Key::Provider, "entra"), (Key::Tenant, "x"), (Key::Cloud, "us-gov"), (Key::Scope, "s")]);
    assert_eq!(fits.misplaced().count(), 0);
}

#[test]
fn a_named_token_file_chooses_the_file_store() {
    let over = settings(&[(Key::TokenFile, "t.json")]).over_profile(settings(&[(Key::Store, "keyring")]));
    assert_eq!((over.get(Key::TokenFile), over.get(Key::Store)), (Some("t.json"), None));
    // And another store leaves the file.
    let file = || settings(&[(Key::Store, "file"), (Key::TokenFile, "t.json")]);
    assert_eq!(settings(&[(Key::Store, "keyring")]).over_profile(file()).get(Key::TokenFile), None);
    assert_eq!(settings(&[(Key::Store, "file")]).over_profile(file()).get(Key::TokenFile), Some("t.json"));
    for (values, in_a_file) in [
        (&[][..], false),
        (&[(Key::TokenFile, "t.json")], true),
        (&[(Key::Store, "file")], true),
        (&[(Key::Store, "memory"), (Key::TokenFile, "t.json")], false),
    ] {
        assert_eq!(settings(values).stores_in_a_file(), in_a_file, "{values:?}");
    }
}

/// Every setting, as 0.1.0 wrote a profile.
const PROFILE_0_1_0: &str = r#"account = "alice"
allow-http-loopback = true
audience = "https://api.example"
ca-file = "/etc/root.pem"
client-auth = "post"
client-id = "my-app"
client-id-in-body = true
client-secret-file = "/run/secret"
connect-timeout = "5s"
git-host = ["git.example.com", "git.example.com:8443"]
issuer = "https://login.example.com"
language = "de-DE"
proxy = "http://proxy.example:3128"
request-timeout = "20s"
resource = ["https://a.example", "https://b.example"]
scope = ["openid offline_access", "mail"]
store = "file"
token-file = "/home/a/tokens.json"
"#;

#[test]
fn a_profile_of_0_1_0_loads_and_is_written_back_with_the_same_keys_and_values() {
    let document: DocumentMut = PROFILE_0_1_0.parse().unwrap();
    let settings = Settings::from_profile("profile x", document.as_table()).unwrap();
    let written = settings.to_profile();
    assert_eq!(written.len(), 18);
    let mut lines: Vec<_> = written.to_string().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines.join("\n") + "\n", PROFILE_0_1_0);
    assert!(written.to_string().starts_with("issuer = "), "the server comes first");
    // The other ways to name a server.
    let by_hand =
        "device-endpoint = \"https://a/d\"\ntoken-endpoint = \"https://a/t\"\nrevocation-endpoint = \"https://a/r\"\n";
    for profile in
        [by_hand, "provider = \"entra\"\ntenant = \"x\"\n", "provider = \"gitlab\"\nhost = \"git.example\"\n"]
    {
        let document: DocumentMut = profile.parse().unwrap();
        let settings = Settings::from_profile("profile x", document.as_table()).unwrap();
        assert_eq!(settings.to_profile().to_string(), profile);
    }
}

#[test]
fn settings_of_a_pending_sign_in_are_stored_under_their_flag_names() {
    let stored =
        r#"{"issuer":["https://a.example"],"client-id":["my-app"],"scope":["openid","mail"],"store":["file"]}"#;
    let settings: Settings = serde_json::from_str(stored).unwrap();
    assert_eq!(settings.get(Key::ClientId), Some("my-app"));
    assert_eq!(serde_json::to_string(&settings).unwrap(), stored);
    // In any order, as 0.1.0 wrote them in that of the alphabet.
    let alphabetical =
        r#"{"client-id":["my-app"],"issuer":["https://a.example"],"scope":["openid","mail"],"store":["file"]}"#;
    assert_eq!(serde_json::from_str::<Settings>(alphabetical).unwrap(), settings);
    assert!(serde_json::from_str::<Settings>(r#"{"clientid":["my-app"]}"#).is_err());
}
