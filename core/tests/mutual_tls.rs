//! Mutual TLS (RFC 8705): which endpoints a client with a certificate asks, and what it says there of itself.

use crate::support::*;
use device_flow_core::{
    Client, ClientBuilder, ConfigError, Discovery, Metadata, Provider, Refresh, Revocation, TextFault,
};
use serde_json::{Value, json};
use std::sync::Arc;

const PLAIN: [&str; 3] = ["https://as/device", "https://as/token", "https://as/revoke"];
const ALIASES: [&str; 3] = ["https://mtls.as/device", "https://mtls.as/token", "https://mtls.as/revoke"];
const METHODS: [&str; 2] = ["tls_client_auth", "self_signed_tls_client_auth"];

fn aliases() -> Value {
    json!({ "mtls_endpoint_aliases": {
        "device_authorization_endpoint": ALIASES[0], "token_endpoint": ALIASES[1], "revocation_endpoint": ALIASES[2],
        "userinfo_endpoint": "https://mtls.as/userinfo"
    } })
}

fn document(change: &Value) -> String {
    let mut document = json!({
        "issuer": "https://as",
        "device_authorization_endpoint": PLAIN[0], "token_endpoint": PLAIN[1], "revocation_endpoint": PLAIN[2]
    });
    document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    document.to_string()
}

fn discovered(document: &str) -> Metadata {
    let mut run = Run::of(Discovery::new("https://as").unwrap());
    // Without a device authorization endpoint it asks for the other document, too.
    while run.go() {
        run.answer(200, document);
    }
    run.outcome.unwrap().unwrap()
}

fn metadata(change: &Value) -> Metadata {
    discovered(&document(change))
}

fn client(metadata: impl Into<Provider>) -> ClientBuilder {
    Client::builder(metadata, "my-app")
}

/// Both ways to authenticate by the certificate.
const BY_CERTIFICATE: [fn(ClientBuilder) -> ClientBuilder; 2] =
    [ClientBuilder::tls_client_auth, ClientBuilder::self_signed_tls_client_auth];

/// A request for a code, two polls, a refresh and a revocation.
fn requests(client: ClientBuilder) -> Vec<Sent> {
    let client = Arc::new(client.build().unwrap());
    let mut flow = Run::new(client.clone());
    flow.poll();
    flow.answer(200, &device_answer(json!({})));
    flow.script(&[(400, PENDING), (200, TOKEN)]);
    let mut refresh = Run::of(Refresh::new(client.clone(), "RT-canary"));
    refresh.poll();
    let mut revocation = Run::of(Revocation::new(client, "RT-canary").unwrap());
    revocation.poll();
    [flow.requests, refresh.requests, revocation.requests].concat()
}

fn urls(client: ClientBuilder) -> Vec<String> {
    requests(client).into_iter().map(|sent| sent.url).collect()
}

/// Where the five requests go when these are the endpoints.
fn each(endpoints: [&str; 3]) -> Vec<&str> {
    let [device, token, revocation] = endpoints;
    vec![device, token, token, token, revocation]
}

#[test]
fn rfc8705_5_a_client_with_a_certificate_asks_the_aliases() {
    for by_certificate in BY_CERTIFICATE {
        let built = by_certificate(client(metadata(&aliases())));
        assert_eq!(urls(built.clone()), each(ALIASES));
        let built = built.build().unwrap();
        assert_eq!([built.device_authorization_endpoint(), built.token_endpoint()], ALIASES[..2]);
        assert_eq!(built.revocation_endpoint(), Some(ALIASES[2]));
        assert_eq!(built.issuer(), Some("https://as"), "who the server is stays the same");
    }
}

#[test]
fn rfc8705_5_where_there_is_no_alias_the_endpoint_itself_is_asked() {
    for by_certificate in BY_CERTIFICATE {
        assert_eq!(urls(by_certificate(client(metadata(&json!({}))))), each(PLAIN));
        assert_eq!(urls(by_certificate(client(metadata(&json!({ "mtls_endpoint_aliases": {} }))))), each(PLAIN));
        let endpoints = Provider::endpoints(PLAIN[0], PLAIN[1]).revocation_endpoint(PLAIN[2]);
        assert_eq!(urls(by_certificate(client(endpoints))), each(PLAIN));
    }
    // Each by itself.
    for (index, member) in ["device_authorization_endpoint", "token_endpoint", "revocation_endpoint"].iter().enumerate()
    {
        let mut expected = PLAIN;
        expected[index] = ALIASES[index];
        let one = json!({ "mtls_endpoint_aliases": { *member: ALIASES[index] } });
        assert_eq!(urls(client(metadata(&one)).tls_client_auth()), each(expected));
    }
    // One that the metadata has for a connection with a certificate alone.
    let only =
        json!({ "device_authorization_endpoint": null, "mtls_endpoint_aliases": aliases()["mtls_endpoint_aliases"] });
    assert_eq!(urls(client(metadata(&only)).tls_client_auth()), each([ALIASES[0], ALIASES[1], ALIASES[2]]));
    assert!(matches!(client(metadata(&only)).build(), Err(ConfigError::NoDeviceAuthorizationEndpoint { .. })));
}

#[test]
fn rfc8705_5_a_client_without_a_certificate_asks_no_alias() {
    for without in [
        client(metadata(&aliases())),
        client(metadata(&aliases())).client_secret("SEC-canary"),
        client(metadata(&aliases())).client_secret_post("SEC-canary"),
    ] {
        assert_eq!(urls(without), each(PLAIN));
    }
}

// RFC 8705 §3, §4: the client is known by other means, or not at all.
#[test]
fn rfc8705_4_bound_tokens_are_asked_for_at_the_aliases_however_the_client_authenticates() {
    let public = client(metadata(&aliases())).certificate_bound_tokens();
    assert_eq!(urls(public.clone()), each(ALIASES));
    assert_eq!(public.build().unwrap().authentication_method(), "none");
    let secret = client(metadata(&aliases())).client_secret("SEC-canary").certificate_bound_tokens();
    for (sent, url) in requests(secret).into_iter().zip(each(ALIASES)) {
        assert_eq!(sent.url, url);
        assert!(sent.header("authorization").is_some());
    }
}

// RFC 8705 §2.
#[test]
fn rfc8705_2_the_client_names_itself_in_every_request_and_sends_no_other_credential() {
    for by_certificate in BY_CERTIFICATE {
        for change in [aliases(), json!({})] {
            for sent in requests(by_certificate(client(metadata(&change)).client_secret("SEC-canary").scope("a"))) {
                assert_eq!(sent.parameter("client_id").as_deref(), Some("my-app"), "{}", sent.body);
                assert_eq!(sent.parameters().iter().filter(|(name, _)| name == "client_id").count(), 1);
                for other in ["client_secret", "client_assertion", "client_assertion_type"] {
                    assert_eq!(sent.parameter(other), None);
                }
                assert_eq!(sent.header("authorization"), None);
                assert!(!format!("{sent:?}").contains("SEC-canary"));
            }
        }
    }
}

#[test]
fn rfc8705_2_1_1_and_2_2_1_the_methods_have_their_registered_names() {
    for (by_certificate, method) in BY_CERTIFICATE.into_iter().zip(METHODS) {
        for lists in [json!({}), json!({ "token_endpoint_auth_methods_supported": ["none", method] })] {
            let built = by_certificate(client(metadata(&lists))).build().unwrap();
            assert_eq!(built.authentication_method(), method);
        }
    }
}

// RFC 8705 §2.1.1, §2.2.1, RFC 8414 §2.
#[test]
fn rfc8705_2_1_2_a_method_that_the_metadata_does_not_list_is_told_before_anything_is_sent() {
    for (index, by_certificate) in BY_CERTIFICATE.into_iter().enumerate() {
        let (wanted, other) = (METHODS[index], METHODS[1 - index]);
        let mut lists = aliases();
        lists["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic", other]);
        let built = by_certificate(client(metadata(&lists)));
        let error = built.clone().build().unwrap_err();
        assert_eq!(
            error,
            ConfigError::NotListed {
                what: "client authentication",
                wanted: wanted.into(),
                listed: format!("client_secret_basic, {other}").into(),
            }
        );
        assert!(error.to_string().contains("use one of those"), "{error}");
        assert_eq!(urls(built.try_unlisted()), each(ALIASES));
        // What nobody authenticates with need not be listed.
        assert!(client(metadata(&lists)).certificate_bound_tokens().build().is_ok());
    }
}

#[test]
fn rfc8705_5_an_unsafe_alias_is_refused_only_where_it_would_be_used() {
    let unsafe_alias = |member: &str| json!({ "mtls_endpoint_aliases": { member: "http://mtls.as/x" } });
    for (member, which) in
        [("device_authorization_endpoint", "device authorization endpoint"), ("token_endpoint", "token endpoint")]
    {
        let found = metadata(&unsafe_alias(member));
        assert_eq!(urls(client(found.clone())), each(PLAIN));
        let refused = ConfigError::Endpoint { which, url: "http://mtls.as/x".into(), fault: TextFault::Scheme };
        assert_eq!(client(found.clone()).tls_client_auth().build().unwrap_err(), refused);
        assert_eq!(client(found).certificate_bound_tokens().build().unwrap_err(), refused);
    }
    // No sign-in needs it.
    let found = metadata(&unsafe_alias("revocation_endpoint"));
    assert_eq!(urls(client(found.clone())), each(PLAIN));
    let built = client(found).tls_client_auth().build().unwrap();
    let refused = Revocation::new(built, "RT-canary").unwrap_err();
    let which = "revocation endpoint";
    assert_eq!(refused, ConfigError::Endpoint { which, url: "http://mtls.as/x".into(), fault: TextFault::Scheme });
}

#[test]
fn rfc8705_5_aliases_that_cannot_be_read_are_none() {
    for aliases in [json!(null), json!("https://mtls.as"), json!([]), json!(5)] {
        let found = metadata(&json!({ "mtls_endpoint_aliases": aliases }));
        assert_eq!(urls(client(found).tls_client_auth()), each(PLAIN));
    }
    for value in [json!(null), json!(""), json!(5), json!([]), json!({})] {
        let found = metadata(&json!({ "mtls_endpoint_aliases": { "token_endpoint": value } }));
        assert_eq!(urls(client(found).tls_client_auth()), each(PLAIN));
    }
    // Which of two it is, nobody knows.
    let twice = r#"{"token_endpoint":"https://one.as/token","token_endpoint":"https://two.as/token"}"#;
    let found = discovered(&document(&json!({ "mtls_endpoint_aliases": "here" })).replace(r#""here""#, twice));
    assert_eq!(urls(client(found).tls_client_auth()), each(PLAIN));
}
