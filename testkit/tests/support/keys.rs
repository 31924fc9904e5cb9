//! Proves clients with keys (`private_key_jwt`, RFC 7523; DPoP, RFC 9449) on real servers, oidc-provider and Authlib, with
//! both adapters.

use crate::adapters::Adapter;
use crate::plain_http::agent;
use crate::{SCOPE, discover};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::{
    Client, ClientBuilder, ConfigError, DeviceFlow, Event, Failure, OAuthError, ProofOfPossession as _, ProofRequest,
    Provider, Refresh, Revocation, SignInReason, SignInRequest, Stopped, TokenResponse, TokenSource, TokenType,
    UnixTime,
};
use device_flow_keys::{Algorithm, DpopKey, SigningKey};
use device_flow_testkit::abreast::side_by_side;
use device_flow_testkit::loopback::{ClientIdentity, KeyKind};
use device_flow_testkit::servers::{Exchange, KeyClient, KeyClients, Kind, Nonces, Options, Server, Tap};
use device_flow_tokio::MemoryStore;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

/// A client of `private_key_jwt`.
const SIGNED: &str = "device-signed";
/// The same, and its tokens must be bound.
const BOTH: &str = "device-signed-bound";
/// A public client whose tokens must be bound.
const BOUND: &str = "device-bound";

/// Ten minutes, in seconds.
pub(crate) const OFF: i64 = 600;

/// A new key for this algorithm.
pub(crate) fn signing_key(algorithm: Algorithm) -> SigningKey {
    SigningKey::from_pem(pem(algorithm)).unwrap().with_algorithm(algorithm).unwrap()
}

/// The same in PEM. Those of RSA and Ed25519 are always the same.
pub(crate) fn pem(algorithm: Algorithm) -> String {
    let kind = match algorithm {
        Algorithm::Es384 => KeyKind::P384,
        Algorithm::Rs256 | Algorithm::Ps256 => KeyKind::Rsa,
        Algorithm::EdDsa | Algorithm::Ed25519 => KeyKind::Ed25519,
        _ => KeyKind::P256,
    };
    ClientIdentity::self_signed("device-client", kind).key_pem
}

/// The key with a clock that is this many seconds fast.
pub(crate) fn with_clock(key: SigningKey, off: i64) -> SigningKey {
    key.with_clock(move || UnixTime::from_secs(crate::now().as_secs().checked_add_signed(off).unwrap()))
}

pub(crate) fn proof_key() -> Arc<DpopKey> {
    Arc::new(DpopKey::generate().unwrap())
}

pub(crate) fn flow(client: &Arc<Client>) -> DeviceFlow {
    DeviceFlow::new(client.clone(), device_flow_tokio::entropy().unwrap())
}

/// Signs in with this client. Once a code is shown, `person` is called with it in another thread.
pub(crate) fn sign_in(
    adapter: Adapter,
    client: &Arc<Client>,
    person: impl FnOnce(&str) + Send,
) -> Result<TokenResponse, Stopped> {
    let mut person = Some(person);
    thread::scope(|scope| {
        let mut deciding: Option<thread::ScopedJoinHandle<'_, ()>> = None;
        adapter.run(&mut flow(client), |event| match event {
            Event::ShowCode(prompt) => {
                let person = person.take().expect("a code is shown once");
                deciding = Some(scope.spawn(move || person(prompt.user_code())));
            }
            // Without them the code would have to expire.
            _ => {
                if let Some(decided) = deciding.take_if(|deciding| deciding.is_finished()) {
                    decided.join().expect("the person decides");
                }
            }
        })
    })
}

pub(crate) fn refresh(adapter: Adapter, client: &Arc<Client>, token: &TokenResponse) -> Result<TokenResponse, Stopped> {
    adapter.run(&mut Refresh::new(client.clone(), token.refresh_token().unwrap().clone()), |_| {})
}

/// The refresh token is revoked, and of no use afterwards.
#[track_caller]
pub(crate) fn sign_out(adapter: Adapter, client: &Arc<Client>, token: &TokenResponse) {
    let refresh_token = token.refresh_token().unwrap().clone();
    adapter.run(&mut Revocation::new(client.clone(), refresh_token).unwrap(), |_| {}).unwrap();
    let revoked = refresh(adapter, client, token);
    assert!(matches!(revoked, Err(Stopped::Failed(Failure::SignInNeeded(_)))), "{revoked:?}");
}

#[track_caller]
pub(crate) fn rejected<T: std::fmt::Debug>(outcome: Result<T, Stopped>) -> OAuthError {
    match outcome {
        Err(Stopped::Failed(Failure::Rejected(error))) => error,
        other => panic!("{other:?}"),
    }
}

/// What the API of the server, its page about the person, answers to this token with these headers.
pub(crate) fn userinfo(url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let request = headers.iter().fold(agent().get(url), |request, (name, value)| request.header(*name, *value));
    let answer = request.call().unwrap();
    let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), challenge.unwrap_or_default())
}

/// A bound token is taken with its proof, and neither without one nor as a bearer token.
#[track_caller]
pub(crate) fn is_bound(url: &str, token: &TokenResponse, key: &DpopKey) {
    assert_eq!(token.token_type(), TokenType::Dpop);
    let (authorization, access_token) = (token.authorization().unwrap(), token.access_token());
    assert!(authorization.expose().starts_with("DPoP "));
    let proof = key.proof(&ProofRequest::to_resource("GET", url, access_token).unwrap()).unwrap();
    let with = [("Authorization", authorization.expose()), ("DPoP", proof.expose())];
    assert_eq!(userinfo(url, &with), (200, String::new()));
    // 401 by RFC 9449 §7.1; oidc-provider says 400.
    let (status, challenge) = userinfo(url, &with[..1]);
    assert!(matches!(status, 400 | 401) && challenge.starts_with("DPoP "), "{status} {challenge}");
    let bearer = format!("Bearer {}", access_token.expose());
    assert_eq!(userinfo(url, &[("Authorization", &bearer)]).0, 401);
    // Of another key.
    let proof = proof_key().proof(&ProofRequest::to_resource("GET", url, access_token).unwrap()).unwrap();
    let other = [("Authorization", authorization.expose()), ("DPoP", proof.expose())];
    assert_eq!(userinfo(url, &other).0, 401);
}

/// An oidc-provider with the three clients, and the key of those that sign.
struct Scene {
    server: Server,
    pem: String,
}

impl Scene {
    fn new(nonces: Nonces) -> Self {
        let pem = ClientIdentity::self_signed("device-client", KeyKind::P256).key_pem;
        let jwk = SigningKey::from_pem(&pem).unwrap().public_jwk();
        let client = |id, public_jwk, bound| KeyClient { id, public_jwk, algorithm: None, bound };
        let clients = [client(SIGNED, Some(&*jwk), false), client(BOTH, Some(&*jwk), true), client(BOUND, None, true)];
        let keys = KeyClients { clients: &clients, nonces };
        // Three minutes may pass with each request.
        let options = Options { interval: Some(1), expires: Some(36_000) };
        Self { server: Server::start_with_keys(Kind::OidcProvider, options, keys), pem }
    }

    fn key_with_clock(&self, off: i64) -> Arc<SigningKey> {
        Arc::new(with_clock(SigningKey::from_pem(&self.pem).unwrap(), off))
    }

    /// A client by the endpoints of the tap, or of the server.
    fn client(&self, id: &str, tap: Option<&Tap>, proof: Option<&Arc<DpopKey>>) -> Arc<Client> {
        let provider = match tap {
            Some(tap) => Provider::endpoints(tap.device_authorization_endpoint(), tap.token_endpoint()),
            None => Provider::endpoints(self.server.device_authorization_endpoint(), self.server.token_endpoint()),
        };
        let revocation = match tap {
            Some(tap) => tap.token_endpoint().replace("/token", "/token/revocation"),
            None => self.server.revocation_endpoint(),
        };
        let mut client = Client::builder(provider.revocation_endpoint(revocation), id);
        if id != BOUND {
            client = client.client_assertion(self.key_with_clock(0));
        }
        if let Some(proof) = proof {
            client = client.proof_of_possession(proof.clone());
        }
        build(client)
    }
}

pub(crate) fn build(client: ClientBuilder) -> Arc<Client> {
    Arc::new(client.scope(SCOPE).allow_http_loopback().build().unwrap())
}

/// The claims of the JWTs in a request: of the assertion, and of the proof.
fn claims(exchange: &Exchange) -> [Option<Value>; 2] {
    let request = exchange.request();
    let after = |name: &str| request.split_once(name).map(|(_, rest)| rest);
    let proof = request.lines().find_map(|line| line.to_lowercase().starts_with("dpop:").then(|| line[5..].trim()));
    let assertion = after("client_assertion=").map(|rest| rest.split('&').next().unwrap());
    [assertion, proof].map(|jwt| {
        let claims = Base64UrlUnpadded::decode_vec(jwt?.split('.').nth(1).unwrap()).unwrap();
        Some(serde_json::from_slice(&claims).unwrap())
    })
}

/// No two requests have an assertion or a proof in common.
#[track_caller]
fn each_is_signed_anew(exchanges: &[Exchange]) -> usize {
    let all: Vec<_> = exchanges.iter().flat_map(claims).flatten().map(|claims| claims["jti"].to_string()).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    all.len()
}

fn challenges(exchanges: &[Exchange]) -> Vec<usize> {
    let is = |exchange: &Exchange| exchange.is_answered() && exchange.json()["error"] == "use_dpop_nonce";
    exchanges.iter().enumerate().filter(|(_, exchange)| is(exchange)).map(|(number, _)| number).collect()
}

// R7523-3-8, R9700-2.5-1.
#[test]
fn rfc7523_2_2_a_client_is_known_by_what_it_signs_from_the_code_to_the_revocation() {
    let algorithms = [Algorithm::Es256, Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Ed25519];
    let keys = algorithms.map(signing_key);
    let (jwks, names) = (keys.each_ref().map(SigningKey::public_jwk), algorithms.map(Algorithm::as_str));
    let clients: Vec<_> = std::iter::zip(names, &jwks)
        .map(|(name, jwk)| KeyClient { id: name, public_jwk: Some(jwk), algorithm: Some(name), bound: false })
        .collect();
    let keys = keys.map(Arc::new);
    let options = Options { interval: Some(1), ..Options::default() };
    let known = KeyClients { clients: &clients, nonces: Nonces::None };
    let server = Server::start_with_keys(Kind::OidcProvider, options, known);
    let cases: Vec<_> = keys.iter().flat_map(|key| Adapter::BOTH.map(|adapter| (adapter, key))).collect();
    side_by_side(&cases, |(adapter, key)| {
        let metadata = discover(*adapter, &server);
        let client =
            |key: &Arc<SigningKey>, id| build(Client::builder(metadata.clone(), id).client_assertion(key.clone()));
        let id = key.algorithm().as_str();
        let token = sign_in(*adapter, &client(key, id), |code| server.approve(code)).unwrap();
        assert_eq!(token.token_type(), TokenType::Bearer);
        let token = refresh(*adapter, &client(key, id), &token).unwrap();

        // A key that is not registered.
        let wrong = client(&Arc::new(signing_key(Algorithm::Es256)), id);
        for error in [
            rejected(adapter.run(&mut flow(&wrong), |_| {})),
            rejected(refresh(*adapter, &wrong, &token)),
            rejected(adapter.run(&mut Revocation::new(wrong, token.refresh_token().unwrap().clone()).unwrap(), |_| {})),
        ] {
            assert_eq!((error.code(), error.status()), ("invalid_client", 401), "{error}");
            assert!(error.to_string().contains("that this key and its algorithm are registered"), "{error}");
        }
        sign_out(*adapter, &client(key, id), &token);
    });
}

// Authlib brings the check of the assertion; which keys and audiences it takes is its application's.
#[test]
fn rfc7523_2_2_authlib_knows_a_client_by_what_it_signs() {
    let pem = pem(Algorithm::Es256);
    let key = |off| Arc::new(with_clock(SigningKey::from_pem(&pem).unwrap(), off));
    let jwk = key(0).public_jwk();
    let clients = [KeyClient { id: SIGNED, public_jwk: Some(&jwk), algorithm: None, bound: false }];
    let options = Options { interval: Some(1), ..Options::default() };
    let keys = KeyClients { clients: &clients, nonces: Nonces::None };
    let server = Server::start_with_keys(Kind::Authlib, options, keys);
    side_by_side(&Adapter::BOTH, |&adapter| {
        let metadata = discover(adapter, &server);
        let client = |key| build(Client::builder(metadata.clone(), SIGNED).client_assertion(key));
        let token = sign_in(adapter, &client(key(0)), |code| server.approve(code)).unwrap();
        let token = refresh(adapter, &client(key(0)), &token).unwrap();
        // Both directions: it looks at `exp` and at `iat`.
        for wrong in [Arc::new(signing_key(Algorithm::Es256)), key(-OFF), key(OFF)] {
            let wrong = client(wrong);
            for error in [rejected(adapter.run(&mut flow(&wrong), |_| {})), rejected(refresh(adapter, &wrong, &token))]
            {
                assert_eq!((error.code(), error.status()), ("invalid_client", 400), "{error}");
                assert!(error.to_string().contains("that this key and its algorithm are registered"), "{error}");
                assert!(error.to_string().contains("the clock of this computer"), "{error}");
            }
        }
        sign_out(adapter, &client(key(0)), &token);
    });
}

// The metadata of oidc-provider does not list it, and the server means it.
#[test]
fn an_algorithm_that_the_server_does_not_list_is_told_before_anything_is_sent() {
    let key = Arc::new(signing_key(Algorithm::Es384));
    let jwk = key.public_jwk();
    let clients = [KeyClient { id: SIGNED, public_jwk: Some(&jwk), algorithm: None, bound: false }];
    let keys = KeyClients { clients: &clients, nonces: Nonces::None };
    let server = Server::start_with_keys(Kind::OidcProvider, Options::default(), keys);
    let client = Client::builder(discover(Adapter::Tokio, &server), SIGNED).client_assertion(key).allow_http_loopback();
    let error = client.clone().build().unwrap_err();
    assert!(matches!(error, ConfigError::NotListed { .. }), "{error}");
    assert!(error.to_string().contains("ES384") && error.to_string().contains("ES256"), "{error}");
    let tried = rejected(Adapter::Tokio.run(&mut flow(&build(client.try_unlisted())), |_| {}));
    assert_eq!((tried.code(), tried.status()), ("invalid_client", 401));
}

// R9449-8-1, R9449-8.2-2. One challenge, answered within the same poll with everything signed anew; and no other until
// the end.
#[test]
fn rfc9449_8_a_nonce_challenge_is_answered_once_within_the_poll() {
    let scene = Scene::new(Nonces::Required);
    let cases: Vec<_> = [BOTH, BOUND].into_iter().flat_map(|id| Adapter::BOTH.map(|adapter| (adapter, id))).collect();
    side_by_side(&cases, |&(adapter, id)| {
        let (tap, key) = (Tap::on(&scene.server), proof_key());
        let client = scene.client(id, Some(&tap), Some(&key));
        let (mut flow, mut events) = (flow(&client), Vec::new());
        let token = thread::scope(|scope| {
            adapter.run(&mut flow, |event| {
                events.push(event.clone());
                if let Event::ShowCode(prompt) = event {
                    let (tap, server) = (&tap, &scene.server);
                    scope.spawn(move || {
                        tap.after_polls(3);
                        server.approve(prompt.user_code());
                    });
                }
            })
        });
        let token = token.unwrap();
        let exchanges = tap.exchanges();
        assert_eq!(challenges(&exchanges), [1], "the first poll, and no other");
        assert_eq!(exchanges[2].json()["error"], "authorization_pending");
        let trail = flow.trail();
        assert_eq!((trail.polls() as usize, trail.failures()), (exchanges.len() - 1, 0), "{trail}");
        // The interval of a second is kept between polls, and nobody waits for it within one.
        let waits = events.iter().filter(|event| matches!(event, Event::Waiting { .. })).count();
        assert_eq!(waits, exchanges.len() - 2, "the answer to the challenge was waited for");
        let signed = each_is_signed_anew(&exchanges);
        assert_eq!(signed, exchanges.len() - 1 + if id == BOTH { exchanges.len() } else { 0 });

        let before = tap.exchanges().len();
        let refreshed = refresh(adapter, &client, &token).unwrap();
        assert_eq!(refreshed.token_type(), TokenType::Dpop);
        assert_eq!(tap.exchanges().len(), before + 1, "the nonce of the polls serves the refresh");
        is_bound(&tap.token_endpoint().replace("/token", "/me"), &refreshed, &key);
        sign_out(adapter, &client, &refreshed);
    });
}

// R9449-4.2-12, R9449-8.2-2. Each nonce is good for one request: whoever keeps that of the challenge is challenged at
// every poll.
#[test]
fn rfc9449_8_2_nonces_are_read_from_every_answer_pending_ones_included() {
    side_by_side(&Adapter::BOTH, |&adapter| {
        let scene = Scene::new(Nonces::ForOneRequest);
        let (tap, key) = (Tap::on(&scene.server), proof_key());
        let client = scene.client(BOUND, Some(&tap), Some(&key));
        let token = sign_in(adapter, &client, |code| {
            tap.after_polls(4);
            scene.server.approve(code);
        });
        let token = refresh(adapter, &client, &token.unwrap()).unwrap();
        let exchanges = tap.exchanges();
        assert_eq!(challenges(&exchanges), [1]);
        let nonces: BTreeSet<_> =
            exchanges[2..].iter().map(|exchange| claims(exchange)[1].as_ref().unwrap()["nonce"].to_string()).collect();
        assert!(nonces.len() >= 5 && nonces.len() == exchanges.len() - 2, "each its own: {nonces:?}");

        // A key without a nonce, as after a restart: one challenge in the refresh.
        let fresh = DpopKey::new(SigningKey::from_pem(PEM).unwrap());
        let client = scene.client(BOUND, Some(&tap), Some(&Arc::new(fresh)));
        let error = refresh(adapter, &client, &token).unwrap_err();
        assert!(matches!(error, Stopped::Failed(Failure::SignInNeeded(_))), "of another key: {error}");
        assert_eq!(challenges(&tap.exchanges()), [1, exchanges.len()]);
    });
}

/// A key on P-256 that no server has seen.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgs6oO5ACSdFnj/Arj
WBER62X5z7KXGfd3W+cbgYhbRK+hRANCAAQOM58q/yPjovzGomfoinkvWJ3g3cIt
iXOFZoYiAZcrQ3qquvSBfeboIgm0ffqzzan/7Mi7gqF29IicMXisGhCL
-----END PRIVATE KEY-----
";

// A proof that is sent to a server which does not demand it binds the tokens all the same.
#[test]
fn rfc9449_5_tokens_are_bound_where_nobody_demands_it() {
    let scene = Scene::new(Nonces::None);
    side_by_side(&Adapter::BOTH, |&adapter| {
        let key = proof_key();
        let client = scene.client(SIGNED, None, Some(&key));
        let token = sign_in(adapter, &client, |code| scene.server.approve(code)).unwrap();
        let me = format!("{}/me", scene.server.base_url());
        is_bound(&me, &token, &key);
        // The refresh token of a client that signs is not bound: another key takes its place.
        let other = proof_key();
        let client = scene.client(SIGNED, None, Some(&other));
        let token = refresh(adapter, &client, &token).unwrap();
        is_bound(&me, &token, &other);
        sign_out(adapter, &client, &token);
    });
}

// Without a proof, a client that must have one hears of it in the first poll.
#[test]
fn a_client_that_must_have_a_proof_is_told_so_at_the_first_poll() {
    let scene = Scene::new(Nonces::None);
    side_by_side(&Adapter::BOTH, |&adapter| {
        let tap = Tap::on(&scene.server);
        let error = sign_in(adapter, &scene.client(BOUND, Some(&tap), None), |_| {}).unwrap_err();
        assert!(error.to_string().contains("DPoP"), "{error}");
        assert_eq!(tap.exchanges().len(), 2);
    });
}

// oidc-provider looks at `exp` of an assertion alone, and at `iat` of a proof only where there is no nonce.
#[test]
fn a_clock_that_is_ten_minutes_off_is_named() {
    let scenes = [Nonces::None, Nonces::Required].map(Scene::new);
    side_by_side(&Adapter::BOTH, |&adapter| {
        let [scene, with_nonces] = &scenes;
        let provider = || Provider::from(discover(adapter, &scene.server));
        let signed = |off| build(Client::builder(provider(), SIGNED).client_assertion(scene.key_with_clock(off)));
        let expired = rejected(adapter.run(&mut flow(&signed(-OFF)), |_| {}));
        assert_eq!((expired.code(), expired.status()), ("invalid_client", 401));
        assert!(expired.to_string().contains("the clock of this computer"), "{expired}");
        let token = sign_in(adapter, &signed(OFF), |code| scene.server.approve(code)).unwrap();
        // The clock is set back while the client is signed in.
        let expired = rejected(refresh(adapter, &signed(-OFF), &token));
        assert_eq!((expired.code(), expired.status()), ("invalid_client", 401));
        refresh(adapter, &signed(0), &token).unwrap();

        for off in [-OFF, OFF] {
            let key = Arc::new(DpopKey::new(with_clock(signing_key(Algorithm::Es256), off)));
            let error = rejected(sign_in(adapter, &scene.client(BOUND, None, Some(&key)), |_| {}));
            assert_eq!((error.code(), error.status()), ("invalid_dpop_proof", 400), "{error}");
            assert!(error.to_string().contains("the clock of this computer"), "{error}");
            // With a nonce of the server, nobody needs a clock.
            let client = with_nonces.client(BOUND, None, Some(&key));
            let token = sign_in(adapter, &client, |code| with_nonces.server.approve(code)).unwrap();
            assert_eq!(token.token_type(), TokenType::Dpop);
        }
    });
}

// OIDC-9-2, R9449-7.3-1. The server has seen the assertion and the proof of the request whose answer was lost, and
// would take neither again.
#[test]
fn after_a_lost_answer_the_repeated_request_is_signed_anew_and_taken() {
    let scene = Scene::new(Nonces::None);
    type Which = fn(&Exchange) -> bool;
    let lost: [Which; 3] = [
        |exchange| exchange.request().starts_with("POST /device/auth "),
        Exchange::is_poll,
        |exchange| exchange.request().contains("grant_type=refresh_token"),
    ];
    let cases: Vec<_> = [0, 1, 2].into_iter().flat_map(|lost| Adapter::BOTH.map(|adapter| (adapter, lost))).collect();
    side_by_side(&cases, |&(adapter, which)| {
        let (tap, key) = (Tap::that_loses(&scene.server, lost[which]), proof_key());
        let client = scene.client(BOTH, Some(&tap), Some(&key));
        let token = sign_in(adapter, &client, |code| {
            tap.after_polls(2);
            scene.server.approve(code);
        });
        let token = token.unwrap();
        let refreshed = refresh(adapter, &client, &token);
        let exchanges = tap.exchanges();
        assert_eq!(exchanges.iter().filter(|exchange| lost[which](exchange)).count().min(2), 2, "it was repeated");
        let proofs = exchanges.iter().filter(|exchange| exchange.request().starts_with("POST /token ")).count();
        assert_eq!(each_is_signed_anew(&exchanges), exchanges.len() + proofs);
        let (first, again) = match which {
            0 => (&exchanges[0], &exchanges[1]),
            1 => (&exchanges[1], &exchanges[2]),
            _ => (&exchanges[exchanges.len() - 2], &exchanges[exchanges.len() - 1]),
        };
        let form = |exchange: &Exchange| {
            let request = exchange.request();
            let (_, form) = request.split_once("\r\n\r\n").unwrap();
            form.split('&').filter(|part| !part.starts_with("client_assertion=")).collect::<Vec<_>>().join("&")
        };
        assert_eq!(form(first), form(again), "the same request");
        assert_ne!(again.json()["error"], "invalid_client");
        match refreshed {
            Ok(token) => assert_eq!(token.token_type(), TokenType::Dpop),
            // Its answer held the next refresh token: who the client is was not in doubt.
            Err(Stopped::Failed(Failure::SignInNeeded(SignInReason::Refused(error)))) => {
                assert_eq!((which, error.code()), (2, "invalid_grant"));
            }
            Err(error) => panic!("{error:?}"),
        }
    });
}

// R9449-5-5. The library knows without asking, and loses nothing.
#[test]
fn rfc9449_5_a_public_client_with_another_key_is_told_so_and_goes_on_with_its_own() {
    let scene = Scene::new(Nonces::Required);
    side_by_side(&Adapter::BOTH, |&adapter| {
        let (tap, accounts) = (Tap::on(&scene.server), adapter.accounts(MemoryStore::new()));
        let with = |key: &Arc<DpopKey>| SignInRequest::new(scene.client(BOUND, Some(&tap), Some(key)));
        let (own, other) = (proof_key(), proof_key());
        let token = sign_in(adapter, with(&own).client(), |code| scene.server.approve(code)).unwrap();
        accounts.keep(&with(&own), token).unwrap();
        assert_eq!(accounts.silent(&with(&own)).unwrap().source(), TokenSource::Cache);

        let requests = tap.exchanges().len();
        for request in [with(&other), with(&other).force_refresh()] {
            let text = accounts.silent(&request).unwrap_err();
            assert_eq!(text, SignInReason::OtherKey.to_string());
        }
        assert_eq!(tap.exchanges().len(), requests, "nobody was asked");
        let again = accounts.silent(&with(&own).force_refresh()).unwrap();
        assert_eq!((again.source(), again.token_type()), (TokenSource::Refresh, TokenType::Dpop));
        // That the server would have refused: a copy of the token with the other key.
        let token = sign_in(adapter, with(&own).client(), |code| scene.server.approve(code)).unwrap();
        let refused = refresh(adapter, with(&other).client(), &token);
        assert!(refused.is_err(), "{refused:?}");
        refresh(adapter, with(&own).client(), &token).unwrap();
    });
}
