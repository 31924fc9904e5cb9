//! Proves clients with certificates (RFC 8705) on a real server, oidc-provider, with both adapters.

use crate::adapters::{AUTHORITY, Adapter, PATIENT};
use crate::{SCOPE, discover};
use device_flow_core::{
    Client, ClientBuilder, DeviceFlow, Event, Failure, Metadata, OAuthError, Refresh, Revocation, Stopped,
    TokenResponse, TokenType,
};
use device_flow_testkit::abreast::side_by_side;
use device_flow_testkit::loopback::{Authority, ClientIdentity, KeyKind};
use device_flow_testkit::servers::{MutualTls, Options, SELF_SIGNED_TLS, Server, TLS};
use std::sync::Arc;
use std::thread;

/// A server, and the certificates of its clients.
struct Scene {
    server: Server,
    /// Of the authority that the server trusts.
    issued: ClientIdentity,
    self_signed: ClientIdentity,
    /// Of the same authority, for another subject.
    of_another: ClientIdentity,
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::new();
        let self_signed = ClientIdentity::self_signed("device-client", KeyKind::Ed25519);
        let (certificate, key) = AUTHORITY.server_pem(&["127.0.0.1"]);
        let tls = MutualTls {
            certificate: &certificate,
            key: &key,
            client_authority: authority.pem(),
            self_signed: &self_signed.certificate_pem,
        };
        let server = Server::start_with_mutual_tls(Options { interval: Some(1), ..Options::default() }, tls);
        let [issued, of_another] = [("device-client", KeyKind::Rsa), ("device-client-2", KeyKind::P256)]
            .map(|(name, key)| authority.client(name, key));
        Self { server, issued, self_signed, of_another }
    }

    /// Each client of the server, with its certificate and some that are not.
    fn clients(&self, metadata: &Metadata) -> [(Arc<Client>, &ClientIdentity, [&ClientIdentity; 2]); 2] {
        let client = |id, by_certificate: fn(ClientBuilder) -> ClientBuilder| {
            let client = Client::builder(metadata.clone(), id).scope(SCOPE).allow_http_loopback();
            Arc::new(by_certificate(client).build().unwrap())
        };
        [
            (client(TLS, ClientBuilder::tls_client_auth), &self.issued, [&self.of_another, &self.self_signed]),
            (
                client(SELF_SIGNED_TLS, ClientBuilder::self_signed_tls_client_auth),
                &self.self_signed,
                [&self.issued, &self.of_another],
            ),
        ]
    }
}

/// From the code to the revocation, by one of the two methods.
pub(crate) fn whole(self_signed: bool) -> Result<TokenResponse, Stopped> {
    let (scene, adapter) = (Scene::new(), Adapter::Tokio);
    let clients = scene.clients(&discover(adapter, &scene.server));
    let (client, certificate, _) = &clients[usize::from(self_signed)];
    let mut flow = DeviceFlow::new(client.clone(), device_flow_tokio::entropy().unwrap());
    let token = thread::scope(|scope| {
        adapter.run_as(Some(certificate), PATIENT, &mut flow, |event| {
            if let Event::ShowCode(prompt) = event {
                let server = &scene.server;
                scope.spawn(move || server.approve(prompt.user_code()));
            }
        })
    })?;
    let mut refresh = Refresh::new(client.clone(), token.refresh_token().unwrap().clone());
    let token = adapter.run_as(Some(certificate), PATIENT, &mut refresh, |_| {})?;
    let mut revocation = Revocation::new(client.clone(), token.refresh_token().unwrap().clone()).unwrap();
    adapter.run_as(Some(certificate), PATIENT, &mut revocation, |_| {})?;
    Ok(token)
}

/// What the server says to a client that it does not recognise.
#[track_caller]
fn rejected<T: std::fmt::Debug>(outcome: Result<T, Stopped>) -> OAuthError {
    match outcome {
        Err(Stopped::Failed(Failure::Rejected(error))) => error,
        other => panic!("{other:?}"),
    }
}

// With a certificate alone a client gets a code, polls, refreshes and revokes.
#[test]
fn rfc8705_2_a_client_is_known_by_its_certificate_from_the_code_to_the_revocation() {
    let scene = Scene::new();
    side_by_side(&Adapter::BOTH, |&adapter| {
        let metadata = discover(adapter, &scene.server);
        assert!(metadata.binds_tokens_to_certificates());
        for (client, certificate, others) in scene.clients(&metadata) {
            assert!(client.token_endpoint().starts_with("https://"), "an alias (RFC 8705 §5)");
            let run = |certificate| move |flow: &mut DeviceFlow| adapter.run_as(certificate, PATIENT, flow, |_| {});
            let flow = || DeviceFlow::new(client.clone(), device_flow_tokio::entropy().unwrap());

            for wrong in [None, Some(others[0]), Some(others[1])] {
                let error = rejected(run(wrong)(&mut flow()));
                assert_eq!((error.code(), error.status()), ("invalid_client", 401), "{error}");
            }

            let token = thread::scope(|scope| {
                adapter.run_as(Some(certificate), PATIENT, &mut flow(), |event| {
                    if let Event::ShowCode(prompt) = event {
                        let server = &scene.server;
                        scope.spawn(move || server.approve(prompt.user_code()));
                    }
                })
            });
            let token = token.unwrap();
            assert_eq!(token.token_type(), TokenType::Bearer);
            let refresh_token = token.refresh_token().unwrap();

            let refresh = |certificate, token| {
                adapter.run_as(certificate, PATIENT, &mut Refresh::new(client.clone(), token), |_| {})
            };
            let error = rejected(refresh(None, refresh_token.clone()));
            assert_eq!((error.code(), error.status()), ("invalid_client", 401), "{error}");
            let token = refresh(Some(certificate), refresh_token.clone()).unwrap();
            let refresh_token = token.refresh_token().unwrap();

            let revoke = |certificate| {
                let mut revocation = Revocation::new(client.clone(), refresh_token.clone()).unwrap();
                adapter.run_as(certificate, PATIENT, &mut revocation, |_| {})
            };
            let error = rejected(revoke(None));
            assert_eq!((error.code(), error.status()), ("invalid_client", 401), "{error}");
            revoke(Some(certificate)).unwrap();
            let revoked = refresh(Some(certificate), refresh_token.clone());
            assert!(matches!(revoked, Err(Stopped::Failed(Failure::SignInNeeded(_)))), "{revoked:?}");
        }
    });
}
