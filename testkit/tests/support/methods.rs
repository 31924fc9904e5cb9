//! Prints the table of docs/keys.md: real servers, and what each takes from a client with keys. Each cell is a sign-in, a
//! refresh and a sign-out.
//!
//! `testkit/keycloak.sh table` starts Keycloak and runs this.

use crate::adapters::Adapter;
use crate::keycloak::{self, signing_client};
use crate::keys::{build, pem, proof_key, refresh, sign_in};
use crate::mutual_tls;
use device_flow_core::{
    Client, ClientBuilder, Discovery, Failure, Provider, Revocation, Stopped, TokenResponse, TokenType,
};
use device_flow_keys::{Algorithm, DpopKey, SigningKey};
use device_flow_testkit::servers::{KeyClient, KeyClients, Keycloak, Kind, Nonces, Options, Server};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

const ALGORITHMS: [Algorithm; 6] =
    [Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Ed25519];

/// The same key each time.
fn signing_key(algorithm: Algorithm) -> SigningKey {
    static PEMS: LazyLock<[String; 6]> = LazyLock::new(|| ALGORITHMS.map(pem));
    let at = ALGORITHMS.iter().position(|known| *known == algorithm).unwrap();
    SigningKey::from_pem(&PEMS[at]).unwrap().with_algorithm(algorithm).unwrap()
}

/// What the metadata does not list is tried all the same, and PKCE used where it is listed.
fn client(provider: Provider, id: &str) -> ClientBuilder {
    Client::builder(provider, id).try_unlisted().pkce_if_listed()
}

fn cell(outcome: Result<TokenResponse, Stopped>, wanted: TokenType) -> String {
    match outcome {
        Ok(token) if token.token_type() == wanted => "yes".into(),
        Ok(_) => "no, a bearer token".into(),
        Err(Stopped::Failed(Failure::Rejected(error) | Failure::Denied(error))) => {
            format!("no, {} `{}`", error.status(), error.code())
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// From the code to the revocation.
fn whole(client: ClientBuilder, approve: impl Fn(&str) + Send + Sync) -> Result<TokenResponse, Stopped> {
    let (adapter, client) = (Adapter::Tokio, build(client));
    let token = sign_in(adapter, &client, |code| approve(code))?;
    let token = refresh(adapter, &client, &token)?;
    let refresh_token = token.refresh_token().unwrap().clone();
    adapter.run(&mut Revocation::new(client, refresh_token).unwrap(), |_| {})?;
    Ok(token)
}

fn with_assertion(client: ClientBuilder, algorithm: Algorithm) -> ClientBuilder {
    client.client_assertion(Arc::new(signing_key(algorithm)))
}

/// A column of the table, from its head to its foot.
type Column = Vec<String>;

const NOT_THERE: &str = "–";

fn of_a_server(kind: Kind) -> Column {
    let keys = ALGORITHMS.map(signing_key);
    let jwks: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
    // The algorithms of one key have one client: what it is registered with, the server must take.
    let of = |algorithm: Algorithm, jwk| KeyClient {
        id: algorithm.as_str(),
        public_jwk: Some(jwk),
        algorithm: None,
        bound: false,
    };
    let bound = KeyClient { id: "device-bound", public_jwk: None, algorithm: None, bound: true };
    let both = KeyClient { id: "device-both", public_jwk: Some(&jwks[0]), algorithm: None, bound: true };
    let mut clients: Vec<_> = std::iter::zip(ALGORITHMS, &jwks).map(|(algorithm, jwk)| of(algorithm, jwk)).collect();
    if kind == Kind::OidcProvider {
        clients.extend([bound, both]);
    }
    let options = Options { interval: Some(1), ..Options::default() };
    let start = |nonces| match kind {
        Kind::DjangoOauthToolkit | Kind::Keycloak => Server::start(kind, options),
        Kind::OidcProvider | Kind::Authlib => {
            Server::start_with_keys(kind, options, KeyClients { clients: &clients, nonces })
        }
    };
    let at = |server: &Server| -> Provider {
        match kind {
            // Its metadata has no device endpoint.
            Kind::DjangoOauthToolkit => {
                Provider::endpoints(server.device_authorization_endpoint(), server.token_endpoint())
                    .revocation_endpoint(server.revocation_endpoint())
            }
            Kind::OidcProvider | Kind::Authlib | Kind::Keycloak => crate::discover(Adapter::Tokio, server).into(),
        }
    };
    let server = start(Nonces::None);
    let try_out =
        |server: &Server, client: ClientBuilder, wanted| cell(whole(client, |code| server.approve(code)), wanted);
    let mut column = vec![kind.version()];
    for algorithm in ALGORITHMS {
        column.push(match kind {
            Kind::DjangoOauthToolkit => NOT_THERE.into(),
            _ => {
                try_out(&server, with_assertion(client(at(&server), algorithm.as_str()), algorithm), TokenType::Bearer)
            }
        });
    }
    for self_signed in [false, true] {
        column.push(match kind {
            Kind::OidcProvider => cell(mutual_tls::whole(self_signed), TokenType::Bearer),
            Kind::Authlib | Kind::DjangoOauthToolkit | Kind::Keycloak => NOT_THERE.into(),
        });
    }
    let proof: fn() -> Arc<DpopKey> = proof_key;
    let public = if kind == Kind::OidcProvider { bound.id } else { device_flow_testkit::servers::PUBLIC };
    column.push(try_out(&server, client(at(&server), public).proof_of_possession(proof()), TokenType::Dpop));
    column.push(match kind {
        Kind::OidcProvider => {
            let client = with_assertion(client(at(&server), both.id), Algorithm::Es256);
            try_out(&server, client.proof_of_possession(proof()), TokenType::Dpop)
        }
        Kind::Authlib => {
            let client = with_assertion(client(at(&server), "ES256"), Algorithm::Es256);
            try_out(&server, client.proof_of_possession(proof()), TokenType::Dpop)
        }
        Kind::DjangoOauthToolkit | Kind::Keycloak => NOT_THERE.into(),
    });
    column.push(match kind {
        Kind::OidcProvider => {
            let server = start(Nonces::Required);
            let client = with_assertion(client(at(&server), both.id), Algorithm::Es256);
            try_out(&server, client.proof_of_possession(proof()), TokenType::Dpop)
        }
        Kind::Authlib | Kind::DjangoOauthToolkit | Kind::Keycloak => NOT_THERE.into(),
    });
    // It cannot be demanded there.
    let public = client(at(&server), device_flow_testkit::servers::PUBLIC).pkce();
    column.push(match try_out(&server, public, TokenType::Bearer).as_str() {
        "yes" => "ignored".into(),
        other => other.into(),
    });
    column
}

fn of_keycloak() -> Column {
    let keycloak = Keycloak::running();
    let provider = || -> Provider {
        let mut discovery = Discovery::builder(&keycloak.issuer()).allow_http_loopback().build().unwrap();
        Adapter::Tokio.run(&mut discovery, |_| {}).unwrap().into()
    };
    let try_out = |client, wanted| cell(whole(client, |code| keycloak.approve(code)), wanted);
    let mut column = vec![format!("Keycloak {}", keycloak.version())];
    for algorithm in ALGORITHMS {
        let id = signing_client(&keycloak, &signing_key(algorithm), &[]);
        column.push(try_out(with_assertion(client(provider(), &id), algorithm), TokenType::Bearer));
    }
    let by_subject = keycloak.client(Some("client-x509"), &[("x509.subjectdn", "CN=device-client")]);
    let certified = keycloak::whole_by_certificate(Adapter::Tokio, &keycloak, &by_subject);
    column.push(cell(certified, TokenType::Bearer));
    column.push(NOT_THERE.into());
    let bound = keycloak.client(None, &[keycloak::BOUND]);
    column.push(try_out(client(provider(), &bound).proof_of_possession(proof_key()), TokenType::Dpop));
    let key = signing_key(Algorithm::Es256);
    let both = signing_client(&keycloak, &key, &[keycloak::BOUND, keycloak::PKCE]);
    let both = client(provider(), &both).client_assertion(Arc::new(key)).proof_of_possession(proof_key());
    column.push(try_out(both, TokenType::Dpop));
    column.push(NOT_THERE.into());
    let pkce = keycloak.client(None, &[keycloak::PKCE]);
    column.push(try_out(client(provider(), &pkce), TokenType::Bearer));
    column
}

#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh table"]
fn table_of_methods() {
    let algorithms = ALGORITHMS.map(|algorithm| format!("`private_key_jwt`, {algorithm}"));
    let rest = [
        "`tls_client_auth`",
        "`self_signed_tls_client_auth`",
        "DPoP, ES256",
        "DPoP and `private_key_jwt`, ES256",
        "the same, with a nonce demanded",
        "PKCE demanded (S256)",
    ];
    let rows: Vec<_> = [String::new()].into_iter().chain(algorithms).chain(rest.map(str::to_owned)).collect();
    let column = |kind| if kind == Kind::Keycloak { of_keycloak() } else { of_a_server(kind) };
    let columns = Kind::ALL.map(column);
    let mut table = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<_> = columns.iter().map(|column| column[number].as_str()).collect();
        writeln!(table, "| {row} | {} |", cells.join(" | ")).unwrap();
        if number == 0 {
            writeln!(table, "|{}", " --- |".repeat(columns.len() + 1)).unwrap();
        }
    }
    println!("{table}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/keys.md");
    assert!(fs::read_to_string(page).unwrap().contains(&table), "docs/keys.md says something else");
}
