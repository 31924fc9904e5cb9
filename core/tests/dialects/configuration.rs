//! What a dialect cannot carry is refused before anything is sent, and what it needs is asked for.

use super::*;
use crate::keys::Signer;
use crate::support::*;
use device_flow_core::{Client, ClientBuilder, ConfigError, Provider, Refresh, SignInRequest};
use device_flow_testkit::dialects::START_URL;

#[track_caller]
fn refused(builder: ClientBuilder, what: &str) {
    match builder.build() {
        Err(ConfigError::NotInDialect { what: found, .. } | ConfigError::NeededByDialect { what: found, .. }) => {
            assert!(found.contains(what), "{found} is not about {what}");
        }
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what} was left out silently"),
    }
}

#[test]
fn what_a_dialect_has_no_place_for_is_refused() {
    for speech in Speech::ALL {
        let client = || speech.client(HOST);
        client().build().unwrap();
        refused(client().pkce(), "PKCE");
        client().pkce_if_listed().build().unwrap();
        refused(client().audience("https://api"), "audience");
        refused(client().capability("cp1"), "capabilities");
        refused(client().authorization_details(r#"[{"type":"x"}]"#), "details");
        refused(client().proof_of_possession(Signer::named("K1")), "DPoP");
        refused(client().certificate_bound_tokens(), "certificate");
        refused(client().client_assertion(Signer::named("")), "key");
        refused(client().client_secret_basic("SEC-canary"), "header");
        refused(client().client_secret_basic_unencoded("SEC-canary"), "header");
        client().client_secret_post("SEC-canary").build().unwrap();
        if speech == Speech::EntraV1 {
            refused(client().resource("https://other"), "more than one");
            client().language("de").build().unwrap();
        } else {
            refused(client().resource("https://api"), "resource");
            refused(client().language("de"), "language");
        }
        if !speech.has_scopes() {
            refused(client().scope("x"), "scope");
        }
        let id_only = Client::builder(speech.provider(HOST), "my-app");
        if speech.has_secret() {
            refused(id_only, "secret");
        } else if speech == Speech::EntraV1 {
            refused(id_only, "resource");
        } else {
            id_only.build().unwrap();
        }
    }
}

#[test]
fn claims_are_refused_where_no_dialect_has_them() {
    let client = || std::sync::Arc::new(Speech::Twitch.client(HOST).build().unwrap());
    let claims = r#"{"access_token":{}}"#;
    let wrong = |error| assert!(matches!(error, ConfigError::NotInDialect { what: "claims", .. }), "{error}");
    wrong(DeviceFlow::new(client(), [7; 32]).claims(claims).unwrap_err());
    wrong(SignInRequest::new(client()).claims(claims).unwrap_err());
    DeviceFlow::new(client(), [7; 32]).claims("{}").unwrap();
    DeviceFlow::new(builder().build().unwrap(), [7; 32]).claims(claims).unwrap();
}

// A parameter under the provider's own name would be there twice.
#[test]
fn no_parameter_may_have_a_name_of_the_dialect() {
    for (speech, name) in [
        (Speech::Aws, "clientId"),
        (Speech::Aws, "clientSecret"),
        (Speech::Aws, "deviceCode"),
        (Speech::Aws, "grantType"),
        (Speech::Aws, "startUrl"),
        (Speech::Twitch, "scopes"),
        (Speech::Facebook, "access_token"),
        (Speech::Facebook, "code"),
        (Speech::Salesforce, "response_type"),
        (Speech::Salesforce, "code"),
        (Speech::Trakt, "code"),
        (Speech::EntraV1, "mkt"),
        (Speech::Yandex, "code"),
        (Speech::GoogleTv, "code"),
    ] {
        let reserved = |error| matches!(error, ConfigError::ReservedParameter(_));
        assert!(reserved(speech.client(HOST).device_parameter(name, "x").build().unwrap_err()), "{speech:?} {name}");
        assert!(reserved(speech.client(HOST).token_parameter(name, "x").build().unwrap_err()), "{speech:?} {name}");
        let refresh = Refresh::new(speech.client(HOST).build().unwrap(), "RT-canary");
        assert!(reserved(refresh.parameter(name, "x").unwrap_err()), "{speech:?} {name}");
        // For every other server it is a parameter like others.
        builder().device_parameter(name, "x").build().unwrap();
    }
    let twice = Speech::Aws.client(HOST).device_parameter("start_url", "x").build().unwrap_err();
    assert!(matches!(twice, ConfigError::RepeatedParameter(_)), "{twice}");
    Speech::Yandex.client(HOST).device_parameter("optional_scope", "x").build().unwrap();
}

// G08: what goes into a URL is a name, from both sides.
#[test]
fn hosts_regions_versions_and_portals_are_checked() {
    let names: [fn(&str) -> Provider; 4] = [
        |name| Provider::salesforce(name),
        |name| Provider::facebook(name),
        |name| Provider::aws(name, START_URL),
        |name| Provider::trakt().at_host(name),
    ];
    for provider in names {
        let built = |name| Client::builder(provider(name), "my-app").client_secret("SEC-canary").build();
        for good in ["a", "eu-west-1", "login.example"] {
            built(good).unwrap();
        }
        for bad in ["a/b", "a?b", "a#b", "a@b", "a b", "..", "a..b", "ä"] {
            assert!(matches!(built(bad), Err(ConfigError::Name(_))), "{bad}");
        }
    }
    assert!(matches!(Client::builder(Provider::salesforce(""), "my-app").build(), Err(ConfigError::Name(_))));
    let portal =
        |url: &str| Client::builder(Provider::aws("eu-west-1", url), "my-app").client_secret("SEC-canary").build();
    for good in ["https://d-0.awsapps.example/start", "https://d-0.awsapps.example/start#/"] {
        portal(good).unwrap();
    }
    for bad in ["", "d-0.awsapps.example/start", "http://d-0.awsapps.example/start", "https://a b/", "https://a/\u{1b}"]
    {
        assert!(matches!(portal(bad), Err(ConfigError::StartUrl(_))), "{bad}");
    }
    // The id of an application is a resource, too, for Microsoft's first endpoint alone.
    let id = "00000002-0000-0000-c000-000000000000";
    let provider = Provider::entra_v1(device_flow_core::EntraCloud::Public, "common");
    Client::builder(provider.clone(), "my-app").resource(id).build().unwrap();
    assert!(Client::builder(provider, "my-app").resource("no resource").build().is_err());
    assert!(builder().resource(id).build().is_err());
}

// In the words of the command line and of logs.
#[test]
fn each_dialect_is_called_by_the_name_of_its_provider() {
    for (speech, name) in [
        (Speech::Aws, "AWS IAM Identity Center"),
        (Speech::Twitch, "Twitch"),
        (Speech::Facebook, "Facebook"),
        (Speech::Salesforce, "Salesforce"),
        (Speech::Trakt, "Trakt"),
        (Speech::EntraV1, "Microsoft's v1 endpoint"),
        (Speech::Yandex, "Yandex"),
        (Speech::GoogleTv, "Google's TV client"),
    ] {
        let refused = speech.client(HOST).capability("cp1").build().unwrap_err();
        assert!(refused.to_string().contains(name), "{speech:?}: {refused}");
        assert!(format!("{:?}", speech.provider(HOST)).contains(name), "{speech:?}");
    }
}
