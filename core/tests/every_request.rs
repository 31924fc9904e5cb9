//! Owns what every request of a client has, or must not have, from the request for a code to the revocation of its
//! token.

use crate::keys::Signer;
use crate::support::*;
use device_flow_core::{Client, ClientBuilder, ConfigError, Provider, Refresh, Revocation};
use serde_json::json;
use std::sync::Arc;

const DEVICE: &str = "https://as/device?tenant=1";
const TOKEN_URL: &str = "https://as/token?tenant=1";
const REVOKE: &str = "https://as/revoke?tenant=1";
const GRANTED: &str = r#"{"access_token":"AT-canary","token_type":"bearer","refresh_token":"RT-canary"}"#;

fn client() -> ClientBuilder {
    let provider = Provider::endpoints(DEVICE, TOKEN_URL).revocation_endpoint(REVOKE);
    Client::builder(provider, "my-app").scope("openid").pkce()
}

/// Code, outage, pending, approved; a refresh with an outage; a revocation with an outage.
fn every_request(client: ClientBuilder) -> Vec<Sent> {
    let client = Arc::new(client.build().unwrap());
    let mut run = Run::new(client.clone());
    let code = device_answer(json!({"device_code": "DC-canary"}));
    run.script(&[(503, ""), (200, &code), (503, ""), (400, PENDING), (200, GRANTED)]);
    token(run.outcome());
    let mut refresh = Run::of(Refresh::new(client.clone(), "RT-canary"));
    refresh.script(&[(503, ""), (200, GRANTED)]);
    token(refresh.outcome());
    let mut revocation = Run::of(Revocation::new(client, "RT-canary").unwrap());
    revocation.script(&[(503, ""), (200, "")]);
    revocation.outcome().unwrap();
    let requests = [run.requests, refresh.requests, revocation.requests].concat();
    assert_eq!(requests.len(), 9);
    requests
}

// R6749-2.3.1-6, R6749-10.4-1, R6750-5.3-1, R9700-4.3.2-1, R9396-12-1: URLs are the configured ones, over TLS; what is
// secret, and what was asked for, is in the body; a refresh token goes to the server that gave it, in a refresh or a
// revocation; an access token goes nowhere.
#[test]
fn secrets_are_in_no_url_and_go_only_where_they_belong() {
    let details = r#"[{"type":"details-canary"}]"#;
    for client in [client().client_secret_post("SEC-canary"), client().client_secret_basic("SEC-canary")] {
        for (at, sent) in every_request(client.authorization_details(details)).iter().enumerate() {
            let endpoint = [DEVICE, DEVICE, TOKEN_URL, TOKEN_URL, TOKEN_URL, TOKEN_URL, TOKEN_URL, REVOKE, REVOKE][at];
            assert_eq!((sent.method, sent.url.as_str()), ("POST", endpoint));
            assert_eq!(sent.body.contains("details-canary"), at < 2, "{}", sent.body);
            assert_eq!(sent.body.contains("DC-canary"), (2..5).contains(&at), "{}", sent.body);
            assert_eq!(sent.body.contains("RT-canary"), at >= 5, "{}", sent.body);
            let headers = sent.headers.iter().map(|(_, value)| value.as_str()).collect::<String>();
            assert!(!sent.body.contains("AT-canary") && !headers.contains("-canary"), "{headers}");
        }
    }
}

// R9700-2.4-1: there are two grants, and no caller can make a third of them.
#[test]
fn rfc9700_2_4_no_request_uses_the_password_grant() {
    let grants: Vec<_> = every_request(client()).iter().map(|sent| sent.parameter("grant_type")).collect();
    let (device, refresh) = (Some("urn:ietf:params:oauth:grant-type:device_code"), Some("refresh_token"));
    let expected = [None, None, device, device, device, refresh, refresh, None, None];
    assert_eq!(grants.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    for way in [ClientBuilder::device_parameter, ClientBuilder::token_parameter] {
        let refused = way(client(), "grant_type", "password").build().unwrap_err();
        assert_eq!(refused, ConfigError::ReservedParameter("grant_type".into()));
    }
    let refresh = Refresh::new(client().build().unwrap(), "RT-canary").parameter("grant_type", "password");
    assert_eq!(refresh.unwrap_err(), ConfigError::ReservedParameter("grant_type".into()));
}

// R9700-4.9.3-1, R9700-2.2.2-1, R9449-5-1: a client may ask for tokens that are good for one API and with one key
// alone; then every request for tokens says both.
#[test]
fn rfc9700_4_9_3_tokens_are_bound_to_a_key_and_to_an_api_at_once() {
    let key = Signer::named("thumb");
    let bound = every_request(client().resource("https://api/").proof_of_possession(key));
    for sent in bound.iter().filter(|sent| sent.url == TOKEN_URL) {
        assert!(sent.header("dpop").is_some(), "{}", sent.body);
        assert_eq!(sent.parameter("resource").as_deref(), Some("https://api/"));
    }
    assert_eq!(bound[0].parameter("resource").as_deref(), Some("https://api/"));
}
