//! Proves clients with keys on a real Keycloak, with both adapters: `private_key_jwt`, DPoP and PKCE where they are
//! demanded, client certificates.
//!
//! `testkit/keycloak.sh test` starts the server and runs these. Each adapter has a client of its own: when one person
//! allows two devices of one client in the same moment, Keycloak 26.7.3 fails.

use crate::adapters::Adapter;
use crate::keys::{
    OFF, build, flow, is_bound, proof_key, refresh, rejected, sign_in, sign_out, signing_key, with_clock,
};
use device_flow_core::{
    Client, ClientBuilder, Discovery, Event, Failure, Metadata, Refresh, Revocation, Stopped, TokenResponse, TokenType,
};
use device_flow_keys::{Algorithm, DpopKey, SigningKey};
use device_flow_testkit::abreast::side_by_side;
use device_flow_testkit::loopback::{ClientIdentity, KeyKind};
use device_flow_testkit::servers::Keycloak;
use std::sync::Arc;
use std::thread;

pub(crate) const BOUND: (&str, &str) = ("dpop.bound.access.tokens", "true");
pub(crate) const PKCE: (&str, &str) = ("pkce.code.challenge.method", "S256");

fn discover(adapter: Adapter, keycloak: &Keycloak) -> Metadata {
    adapter.run(&mut Discovery::builder(&keycloak.issuer()).allow_http_loopback().build().unwrap(), |_| {}).unwrap()
}

/// Registers a client that signs with this key, and these further attributes.
pub(crate) fn signing_client(keycloak: &Keycloak, key: &SigningKey, more: &[(&str, &str)]) -> String {
    let jwks = format!(r#"{{"keys":[{}]}}"#, key.public_jwk());
    let own = [
        ("use.jwks.string", "true"),
        ("jwks.string", &*jwks),
        ("token.endpoint.auth.signing.alg", key.algorithm().as_str()),
    ];
    keycloak.client(Some("client-jwt"), &[&own, more].concat())
}

fn userinfo(keycloak: &Keycloak) -> String {
    format!("{}/protocol/openid-connect/userinfo", keycloak.issuer())
}

/// What the server says, whatever becomes of the flow.
fn said<T: std::fmt::Debug>(outcome: Result<T, Stopped>) -> String {
    outcome.unwrap_err().to_string()
}

#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_knows_a_client_by_what_it_signs_from_the_code_to_the_revocation() {
    let keycloak = Keycloak::running();
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa] {
        let key = Arc::new(signing_key(algorithm));
        side_by_side(&Adapter::BOTH, |&adapter| {
            let id = signing_client(&keycloak, &key, &[]);
            let metadata = discover(adapter, &keycloak);
            let client = |key: &Arc<SigningKey>| {
                build(Client::builder(metadata.clone(), id.clone()).client_assertion(key.clone()))
            };
            let token = sign_in(adapter, &client(&key), |code| keycloak.approve(code)).unwrap();
            let token = refresh(adapter, &client(&key), &token).unwrap();
            assert_eq!(token.token_type(), TokenType::Bearer);

            let wrong = client(&Arc::new(signing_key(Algorithm::Es256)));
            let revocation = Revocation::new(wrong.clone(), token.refresh_token().unwrap().clone());
            for error in [
                rejected(adapter.run(&mut flow(&wrong), |_| {})),
                rejected(refresh(adapter, &wrong, &token)),
                rejected(adapter.run(&mut revocation.unwrap(), |_| {})),
            ] {
                // Not the 401 of RFC 6749 §5.2.
                assert_eq!((error.code(), error.status()), ("invalid_client", 400), "{error}");
                assert!(error.to_string().contains("that this key and its algorithm are registered"), "{error}");
            }
            sign_out(adapter, &client(&key), &token);
        });
    }
}

#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_binds_tokens_where_it_demands_it() {
    let keycloak = Keycloak::running();
    side_by_side(&Adapter::BOTH, |&adapter| {
        let id = keycloak.client(None, &[BOUND]);
        let metadata = discover(adapter, &keycloak);
        let client = |key: Option<&Arc<DpopKey>>| {
            let client = Client::builder(metadata.clone(), id.clone());
            build(key.into_iter().fold(client, |client, key| client.proof_of_possession(key.clone())))
        };
        let error = rejected(sign_in(adapter, &client(None), |_| {}));
        assert_eq!((error.code(), error.status()), ("invalid_request", 400));
        assert!(error.to_string().contains("turn on the proof of possession (DPoP)"), "{error}");

        let (own, other) = (proof_key(), proof_key());
        let token = sign_in(adapter, &client(Some(&own)), |code| keycloak.approve(code)).unwrap();
        let token = refresh(adapter, &client(Some(&own)), &token).unwrap();
        is_bound(&userinfo(&keycloak), &token, &own);
        // The refresh token of a public client is bound, too, and is still good after another key was refused.
        let text = said(refresh(adapter, &client(Some(&other)), &token));
        assert!(text.contains("DPoP"), "{text}");
        let token = refresh(adapter, &client(Some(&own)), &token).unwrap();
        sign_out(adapter, &client(Some(&own)), &token);
    });
}

// The metadata lists S256, which is all it takes.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_gets_the_pkce_that_it_demands() {
    let keycloak = Keycloak::running();
    side_by_side(&Adapter::BOTH, |&adapter| {
        let id = keycloak.client(None, &[PKCE]);
        let client = || Client::builder(discover(adapter, &keycloak), id.clone());
        let error = rejected(adapter.run(&mut flow(&build(client())), |_| {}));
        assert_eq!(error.code(), "invalid_request");
        assert!(error.to_string().contains("the server wants PKCE from this client"), "{error}");
        let client = build(client().pkce_if_listed());
        let token = sign_in(adapter, &client, |code| keycloak.approve(code)).unwrap();
        sign_out(adapter, &client, &refresh(adapter, &client, &token).unwrap());
    });
}

#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_gets_all_at_once() {
    let keycloak = Keycloak::running();
    let key = Arc::new(signing_key(Algorithm::Es256));
    side_by_side(&Adapter::BOTH, |&adapter| {
        let id = signing_client(&keycloak, &key, &[BOUND, PKCE]);
        let metadata = discover(adapter, &keycloak);
        let client = |proof: &Arc<DpopKey>| {
            let client = Client::builder(metadata.clone(), id.clone()).client_assertion(key.clone()).pkce_if_listed();
            build(client.proof_of_possession(proof.clone()))
        };
        let (first, second) = (proof_key(), proof_key());
        let token = sign_in(adapter, &client(&first), |code| keycloak.approve(code)).unwrap();
        is_bound(&userinfo(&keycloak), &token, &first);
        // The refresh token of a client that signs is not bound.
        let token = refresh(adapter, &client(&second), &token).unwrap();
        is_bound(&userinfo(&keycloak), &token, &second);
        sign_out(adapter, &client(&second), &token);
    });
}

#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_refuses_a_clock_that_is_ten_minutes_off_and_it_is_named() {
    let keycloak = Keycloak::running();
    let pem = ClientIdentity::self_signed("device-client", KeyKind::P256).key_pem;
    let signing = signing_client(&keycloak, &SigningKey::from_pem(&pem).unwrap(), &[]);
    let bound = keycloak.client(None, &[BOUND]);
    side_by_side(&Adapter::BOTH, |&adapter| {
        let metadata = discover(adapter, &keycloak);
        for off in [-OFF, OFF] {
            let key = || with_clock(SigningKey::from_pem(&pem).unwrap(), off);
            let signing = Client::builder(metadata.clone(), signing.clone()).client_assertion(Arc::new(key()));
            let error = rejected(adapter.run(&mut flow(&build(signing)), |_| {}));
            assert_eq!((error.code(), error.status()), ("invalid_client", 400), "{error}");
            assert!(error.to_string().contains("the clock of this computer"), "{error}");

            let key = Arc::new(DpopKey::new(key()));
            let bound = Client::builder(metadata.clone(), bound.clone()).proof_of_possession(key);
            let error = rejected(sign_in(adapter, &build(bound), |_| {}));
            assert_eq!((error.code(), error.status()), ("invalid_request", 400), "{error}");
            assert!(error.to_string().contains("the clock of this computer"), "{error}");
        }
    });
}

/// At the port with TLS, where this client is known by its certificate.
fn by_certificate(adapter: Adapter, keycloak: &Keycloak, id: &str) -> Arc<Client> {
    let mut discovery = Discovery::builder(&keycloak.tls_issuer()).build().unwrap();
    let metadata = adapter.run_trusting(&keycloak.pem("authority"), None, &mut discovery, |_| {}).unwrap();
    build(ClientBuilder::tls_client_auth(Client::builder(metadata, id)))
}

/// From the code to the revocation with this certificate.
pub(crate) fn whole_by_certificate(adapter: Adapter, keycloak: &Keycloak, id: &str) -> Result<TokenResponse, Stopped> {
    let client = by_certificate(adapter, keycloak, id);
    let (authority, own) = (keycloak.pem("authority"), identity(keycloak, "client"));
    let token = thread::scope(|scope| {
        adapter.run_trusting(&authority, Some(&own), &mut flow(&client), |event| {
            if let Event::ShowCode(prompt) = event {
                scope.spawn(move || keycloak.approve_at(&keycloak.tls_issuer(), prompt.user_code()));
            }
        })
    })?;
    let refresh_token = token.refresh_token().unwrap().clone();
    let mut refresh = Refresh::new(client.clone(), refresh_token);
    let token = adapter.run_trusting(&authority, Some(&own), &mut refresh, |_| {})?;
    let mut revocation = Revocation::new(client, token.refresh_token().unwrap().clone()).unwrap();
    adapter.run_trusting(&authority, Some(&own), &mut revocation, |_| {})?;
    Ok(token)
}

fn identity(keycloak: &Keycloak, name: &str) -> ClientIdentity {
    // Both are in one text, in which each is found.
    ClientIdentity { certificate_pem: keycloak.pem(name), key_pem: String::new() }
}

#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_knows_a_client_by_its_certificate() {
    let keycloak = Keycloak::running();
    side_by_side(&Adapter::BOTH, |&adapter| {
        let id = keycloak.client(Some("client-x509"), &[("x509.subjectdn", "CN=device-client")]);
        let client = by_certificate(adapter, &keycloak, &id);
        for wrong in [None, Some(identity(&keycloak, "another-client"))] {
            let refused = adapter.run_trusting(&keycloak.pem("authority"), wrong.as_ref(), &mut flow(&client), |_| {});
            let error = rejected(refused);
            assert_eq!((error.code(), error.status()), ("invalid_client", 401), "{error}");
        }
        let token = whole_by_certificate(adapter, &keycloak, &id).unwrap();
        assert_eq!(token.token_type(), TokenType::Bearer);
        let mut refresh = Refresh::new(client, token.refresh_token().unwrap().clone());
        let own = identity(&keycloak, "client");
        let revoked = adapter.run_trusting(&keycloak.pem("authority"), Some(&own), &mut refresh, |_| {});
        assert!(matches!(revoked, Err(Stopped::Failed(Failure::SignInNeeded(_)))), "{revoked:?}");
    });
}
