//! Presets: where the endpoints of each are, what each needs, and which values can stand in a URL.

use device_flow_core::{Client, ConfigError, EntraCloud, Preset, Provider};
use std::collections::BTreeSet;

fn provider(name: &str, values: &[(&str, &str)]) -> Result<Provider, ConfigError> {
    let given = |need: &str| values.iter().find(|(name, _)| *name == need).map(|(_, value)| (*value).to_owned());
    Preset::find(name).unwrap_or_else(|| panic!("{name}")).provider(given)
}

fn client(name: &str, values: &[(&str, &str)]) -> Client {
    let provider = provider(name, values).unwrap_or_else(|error| panic!("{name}: {error}"));
    // Some have no clients without a secret, and one none without a resource.
    let mut builder = Client::builder(provider, "my-app");
    if !["twitch", "entra-v1"].contains(&name) {
        builder = builder.client_secret_post("canary");
    }
    if name == "entra-v1" {
        builder = builder.resource("https://api.example");
    }
    builder.build().unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Device authorization endpoint, token endpoint, revocation endpoint, issuer; `-` for none.
fn urls(client: &Client) -> [String; 4] {
    let or_none = |url: Option<&str>| url.unwrap_or("-").to_owned();
    [
        client.device_authorization_endpoint().to_owned(),
        client.token_endpoint().to_owned(),
        or_none(client.revocation_endpoint()),
        or_none(client.issuer()),
    ]
}

/// Name, values, and the four URLs as the makers of the servers document them.
type Row = (&'static str, &'static [(&'static str, &'static str)], [&'static str; 4]);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("adfs", &[("host", "fs.example.com")], ["https://fs.example.com/adfs/oauth2/devicecode", "https://fs.example.com/adfs/oauth2/token", "-", "https://fs.example.com/adfs"]),
    ("auth0", &[("host", "example.eu.auth0.com")], ["https://example.eu.auth0.com/oauth/device/code", "https://example.eu.auth0.com/oauth/token", "https://example.eu.auth0.com/oauth/revoke", "https://example.eu.auth0.com/"]),
    ("authentik", &[("host", "id.example"), ("slug", "my-app")], ["https://id.example/application/o/device/", "https://id.example/application/o/token/", "https://id.example/application/o/revoke/", "https://id.example/application/o/my-app/"]),
    ("aws", &[("region", "eu-west-1"), ("start-url", "https://example.awsapps.com/start")], ["https://oidc.eu-west-1.amazonaws.com/device_authorization", "https://oidc.eu-west-1.amazonaws.com/token", "-", "-"]),
    ("dex", &[("host", "dex.example:5554")], ["https://dex.example:5554/device/code", "https://dex.example:5554/token", "-", "https://dex.example:5554"]),
    ("dex", &[("host", "example.com"), ("path", "/dex")], ["https://example.com/dex/device/code", "https://example.com/dex/token", "-", "https://example.com/dex"]),
    ("docker", &[], ["https://login.docker.com/oauth/device/code", "https://login.docker.com/oauth/token", "https://login.docker.com/oauth/revoke", "https://login.docker.com/"]),
    ("entra", &[], ["https://login.microsoftonline.com/common/oauth2/v2.0/devicecode", "https://login.microsoftonline.com/common/oauth2/v2.0/token", "-", "https://login.microsoftonline.com/common/v2.0"]),
    ("entra", &[("tenant", "contoso.com"), ("cloud", "us-gov")], ["https://login.microsoftonline.us/contoso.com/oauth2/v2.0/devicecode", "https://login.microsoftonline.us/contoso.com/oauth2/v2.0/token", "-", "https://login.microsoftonline.us/contoso.com/v2.0"]),
    ("entra", &[("cloud", "china")], ["https://login.partner.microsoftonline.cn/common/oauth2/v2.0/devicecode", "https://login.partner.microsoftonline.cn/common/oauth2/v2.0/token", "-", "https://login.partner.microsoftonline.cn/common/v2.0"]),
    ("entra-china", &[("tenant", "contoso.cn")], ["https://login.partner.microsoftonline.cn/contoso.cn/oauth2/v2.0/devicecode", "https://login.partner.microsoftonline.cn/contoso.cn/oauth2/v2.0/token", "-", "https://login.partner.microsoftonline.cn/contoso.cn/v2.0"]),
    ("entra-external", &[("subdomain", "contoso")], ["https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/devicecode", "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token", "-", "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/v2.0"]),
    ("entra-us-gov", &[], ["https://login.microsoftonline.us/common/oauth2/v2.0/devicecode", "https://login.microsoftonline.us/common/oauth2/v2.0/token", "-", "https://login.microsoftonline.us/common/v2.0"]),
    ("entra-v1", &[("tenant", "contoso.com")], ["https://login.microsoftonline.com/contoso.com/oauth2/devicecode?api-version=1.0", "https://login.microsoftonline.com/contoso.com/oauth2/token", "-", "-"]),
    ("facebook", &[], ["https://graph.facebook.com/v16.0/device/login", "https://graph.facebook.com/v16.0/device/login_status", "-", "-"]),
    ("github", &[], ["https://github.com/login/device/code", "https://github.com/login/oauth/access_token", "-", "https://github.com/login/oauth"]),
    ("github", &[("host", "octo.ghe.com")], ["https://octo.ghe.com/login/device/code", "https://octo.ghe.com/login/oauth/access_token", "-", "https://octo.ghe.com/login/oauth"]),
    ("gitlab", &[], ["https://gitlab.com/oauth/authorize_device", "https://gitlab.com/oauth/token", "https://gitlab.com/oauth/revoke", "https://gitlab.com"]),
    ("gitlab", &[("host", "git.example:8443")], ["https://git.example:8443/oauth/authorize_device", "https://git.example:8443/oauth/token", "https://git.example:8443/oauth/revoke", "https://git.example:8443"]),
    ("google", &[], ["https://oauth2.googleapis.com/device/code", "https://oauth2.googleapis.com/token", "https://oauth2.googleapis.com/revoke", "https://accounts.google.com"]),
    ("google-tv", &[], ["https://oauth2.googleapis.com/device/code", "https://oauth2.googleapis.com/token", "https://oauth2.googleapis.com/revoke", "https://accounts.google.com"]),
    ("huggingface", &[], ["https://huggingface.co/oauth/device", "https://huggingface.co/oauth/token", "-", "https://huggingface.co"]),
    ("hydra", &[("host", "hydra.example:4444")], ["https://hydra.example:4444/oauth2/device/auth", "https://hydra.example:4444/oauth2/token", "https://hydra.example:4444/oauth2/revoke", "-"]),
    ("keycloak", &[("host", "sso.example"), ("realm", "staff")], ["https://sso.example/realms/staff/protocol/openid-connect/auth/device", "https://sso.example/realms/staff/protocol/openid-connect/token", "https://sso.example/realms/staff/protocol/openid-connect/revoke", "https://sso.example/realms/staff"]),
    ("keycloak", &[("host", "sso.example"), ("realm", "staff"), ("path", "auth")], ["https://sso.example/auth/realms/staff/protocol/openid-connect/auth/device", "https://sso.example/auth/realms/staff/protocol/openid-connect/token", "https://sso.example/auth/realms/staff/protocol/openid-connect/revoke", "https://sso.example/auth/realms/staff"]),
    ("okta", &[("host", "example.okta.com")], ["https://example.okta.com/oauth2/default/v1/device/authorize", "https://example.okta.com/oauth2/default/v1/token", "https://example.okta.com/oauth2/default/v1/revoke", "https://example.okta.com/oauth2/default"]),
    ("okta", &[("host", "example.okta.com"), ("server", "aus1")], ["https://example.okta.com/oauth2/aus1/v1/device/authorize", "https://example.okta.com/oauth2/aus1/v1/token", "https://example.okta.com/oauth2/aus1/v1/revoke", "https://example.okta.com/oauth2/aus1"]),
    ("okta-org", &[("host", "example.okta.com")], ["https://example.okta.com/oauth2/v1/device/authorize", "https://example.okta.com/oauth2/v1/token", "https://example.okta.com/oauth2/v1/revoke", "https://example.okta.com"]),
    ("ory", &[("slug", "happy-hen-1")], ["https://happy-hen-1.projects.oryapis.com/oauth2/device/auth", "https://happy-hen-1.projects.oryapis.com/oauth2/token", "https://happy-hen-1.projects.oryapis.com/oauth2/revoke", "-"]),
    ("pingone", &[("environment", "e-1")], ["https://auth.pingone.com/e-1/as/device_authorization", "https://auth.pingone.com/e-1/as/token", "https://auth.pingone.com/e-1/as/revoke", "https://auth.pingone.com/e-1/as"]),
    ("pingone", &[("environment", "e-1"), ("host", "auth.pingone.eu")], ["https://auth.pingone.eu/e-1/as/device_authorization", "https://auth.pingone.eu/e-1/as/token", "https://auth.pingone.eu/e-1/as/revoke", "https://auth.pingone.eu/e-1/as"]),
    ("salesforce", &[("host", "test.salesforce.com")], ["https://test.salesforce.com/services/oauth2/token", "https://test.salesforce.com/services/oauth2/token", "https://test.salesforce.com/services/oauth2/revoke", "-"]),
    ("trakt", &[], ["https://api.trakt.tv/oauth/device/code", "https://api.trakt.tv/oauth/device/token", "-", "-"]),
    ("twitch", &[], ["https://id.twitch.tv/oauth2/device", "https://id.twitch.tv/oauth2/token", "-", "https://id.twitch.tv/oauth2"]),
    ("workos", &[], ["https://api.workos.com/user_management/authorize/device", "https://api.workos.com/user_management/authenticate", "-", "-"]),
    ("yandex", &[], ["https://oauth.yandex.ru/device/code", "https://oauth.yandex.ru/token", "-", "-"]),
    ("zitadel", &[("host", "id.example")], ["https://id.example/oauth/v2/device_authorization", "https://id.example/oauth/v2/token", "https://id.example/oauth/v2/revoke", "https://id.example"]),
];

#[test]
fn every_preset_has_the_endpoints_that_its_maker_documents() {
    for (name, values, expected) in ROWS {
        assert_eq!(urls(&client(name, values)), *expected, "{name} {values:?}");
    }
}

#[test]
fn the_table_is_in_order_and_names_can_be_typed() {
    let names: Vec<_> = Preset::all().iter().map(Preset::name).collect();
    assert!(names.is_sorted());
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name stands for one server");
    for preset in Preset::all() {
        let needs: Vec<_> = preset.needs().iter().map(|need| need.name()).collect();
        assert_eq!(needs.iter().collect::<BTreeSet<_>>().len(), needs.len(), "{}", preset.name());
        for word in needs.iter().chain([&preset.name()]) {
            assert!(word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{word}");
        }
        for about in preset.needs().iter().map(|need| need.about()).chain([preset.about()]) {
            assert!(!about.is_empty() && !about.ends_with('.') && about.len() < 100, "{about}");
        }
        assert_eq!(Preset::find(preset.name()), Some(preset));
    }
    for unknown in ["", "GitHub", "github ", "keycloak/", "slack"] {
        assert!(Preset::find(unknown).is_none(), "{unknown}");
    }
}

fn value(need: &device_flow_core::Need) -> &'static str {
    if need.name() == "start-url" { "https://example.awsapps.com/start" } else { "example" }
}

/// Values that every need of a preset takes, other than its default.
fn other_value(need: &device_flow_core::Need) -> &'static str {
    need.choices().last().map_or("other", |(word, _)| word)
}

// W07: nothing that a preset asks for is ignored.
#[test]
fn w07_every_need_changes_an_endpoint_and_is_required_unless_it_has_a_default() {
    for preset in Preset::all() {
        let all: Vec<_> =
            preset.needs().iter().map(|need| (need.name(), need.default().unwrap_or_else(|| value(need)))).collect();
        let with_all = urls(&client(preset.name(), &all));
        for need in preset.needs() {
            let others: Vec<_> = all.iter().copied().filter(|(name, _)| *name != need.name()).collect();
            let changed = others.iter().copied().chain([(need.name(), other_value(need))]).collect::<Vec<_>>();
            // It goes into the body.
            if need.name() != "start-url" {
                assert_ne!(urls(&client(preset.name(), &changed)), with_all, "{} {}", preset.name(), need.name());
            }
            match (provider(preset.name(), &others), need.default()) {
                (Ok(_), Some(_)) => {
                    let built = client(preset.name(), &others);
                    assert_eq!(urls(&built), with_all, "{}: the default of {}", preset.name(), need.name());
                }
                (Err(ConfigError::Missing { preset: of, need: what, about }), None) => {
                    assert_eq!((of, what, about), (preset.name(), need.name(), need.about()));
                }
                (other, _) => panic!("{} without {}: {other:?}", preset.name(), need.name()),
            }
        }
    }
    let missing = provider("keycloak", &[("host", "sso.example")]).unwrap_err();
    assert_eq!(missing.to_string(), "keycloak needs to be told the realm: the name of the realm");
}

#[test]
fn the_constructors_are_the_same_presets() {
    let same = |provider: Provider, name, values: &[(&str, &str)]| {
        let built = Client::builder(provider, "my-app").client_secret_post("canary").build().unwrap();
        assert_eq!(urls(&built), urls(&client(name, values)), "{name}");
    };
    same(Provider::adfs("fs.example.com"), "adfs", &[("host", "fs.example.com")]);
    same(Provider::entra_external("contoso"), "entra-external", &[("subdomain", "contoso")]);
    same(Provider::github_enterprise("git.example"), "github", &[("host", "git.example")]);
    same(Provider::gitlab_at("git.example"), "gitlab", &[("host", "git.example")]);
    same(Provider::github(), "github", &[]);
    same(Provider::gitlab(), "gitlab", &[]);
    same(Provider::google(), "google", &[]);
    same(Provider::yandex(), "yandex", &[]);
    same(Provider::facebook("v19.0"), "facebook", &[("graph-version", "v19.0")]);
    same(Provider::salesforce("my.example.com"), "salesforce", &[("host", "my.example.com")]);
    for (cloud, preset) in
        [(EntraCloud::Public, "entra"), (EntraCloud::UsGovernment, "entra-us-gov"), (EntraCloud::China, "entra-china")]
    {
        same(Provider::entra(cloud, "contoso.com"), preset, &[("tenant", "contoso.com")]);
    }
}

// G08: what stands in a path is encoded where it may, and refused where it could leave its segment.
#[test]
fn g08_a_realm_stays_one_segment_of_the_path() {
    let realm = |realm| provider("keycloak", &[("host", "sso.example"), ("realm", realm)]);
    for (name, encoded) in [
        ("staff", "staff"),
        ("a", "a"),
        ("a.b-c_d~e", "a.b-c_d~e"),
        ("...a", "...a"),
        ("My Realm", "My%20Realm"),
        ("Müller", "M%C3%BCller"),
        ("a+b@c:d!e", "a+b@c:d!e"),
        ("[x]", "%5Bx%5D"),
        ("\"<>^`{|}", "%22%3C%3E%5E%60%7B%7C%7D"),
        ("{host}", "%7Bhost%7D"),
    ] {
        let client = Client::builder(realm(name).unwrap(), "my-app").build().unwrap();
        assert_eq!(client.issuer(), Some(&*format!("https://sso.example/realms/{encoded}")), "{name}");
    }
    for bad in [
        "",
        ".",
        "..",
        "...",
        "a/b",
        "/a",
        "a/",
        "../x",
        "a\\b",
        "a?b",
        "a#b",
        "a%2fb",
        "%2e",
        "a;b",
        "a\nb",
        "\u{1b}[2J",
    ] {
        let refused = realm(bad).unwrap_err();
        let ConfigError::Value { preset: "keycloak", need: "realm", .. } = &refused else {
            panic!("{bad:?}: {refused}")
        };
        assert!(!refused.to_string().contains(char::is_control), "{refused}");
    }
}

#[test]
fn a_path_has_any_number_of_segments_however_its_ends_are_written() {
    let path = |path| provider("dex", &[("host", "example.com"), ("path", path)]);
    for (written, stands) in
        [("", ""), ("/", ""), ("dex", "/dex"), ("/dex", "/dex"), ("/dex/", "/dex"), ("/a/b c", "/a/b%20c")]
    {
        let client = Client::builder(path(written).unwrap(), "my-app").build().unwrap();
        assert_eq!(client.issuer(), Some(&*format!("https://example.com{stands}")), "{written}");
    }
    for bad in ["a//b", "/a/../b", "/.", "a?b", "https://example.com/dex", "a\u{7}"] {
        let refused = path(bad);
        assert!(matches!(refused, Err(ConfigError::Value { preset: "dex", need: "path", .. })), "{bad}: {refused:?}");
    }
}

#[test]
fn a_word_is_one_of_those_that_there_are() {
    let cloud = |cloud| provider("entra", &[("cloud", cloud)]);
    for bad in ["", "China", "us-gov ", "germany", "login.microsoftonline.us"] {
        let refused = cloud(bad).unwrap_err();
        assert!(
            refused.to_string().ends_with("cannot be the cloud of entra: write one of public, us-gov, china"),
            "{refused}"
        );
    }
}

#[test]
fn the_host_of_an_issuer_is_in_lower_case_and_without_the_default_port() {
    for (written, stands) in [
        ("SSO.Example", "sso.example"),
        ("sso.example:443", "sso.example"),
        ("sso.example:8443", "sso.example:8443"),
        ("sso.example:4430", "sso.example:4430"),
        ("[::1]:443", "[::1]"),
    ] {
        assert_eq!(client("zitadel", &[("host", written)]).issuer(), Some(&*format!("https://{stands}")), "{written}");
    }
    // No issuer is written so, and a URL with the last one is none.
    for odd in ["sso.example:", "sso.example:0443", "sso.example:0", "[::1]:", "sso.example:x", "sso.example:65536"] {
        assert!(matches!(provider("zitadel", &[("host", odd)]), Err(ConfigError::Name(_))), "{odd}");
    }
    assert!(provider("zitadel", &[("host", "sso.example:65535")]).is_ok());
}

#[test]
fn a_preset_is_itself_and_no_other() {
    let all = Preset::all();
    for (number, preset) in all.iter().enumerate() {
        assert_eq!(all.iter().position(|other| other == preset), Some(number), "{}", preset.name());
        assert_eq!(Preset::find(preset.name()), Some(preset));
    }
}
