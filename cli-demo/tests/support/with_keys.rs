//! Proves clients with keys on real servers through the binary, whose every run is a process of its own: oidc-provider,
//! and Keycloak where it runs (`testkit/keycloak.sh test`).

use super::Login;
use crate::program::{ended, program};
use device_flow_keys::SigningKey;
use device_flow_testkit::abreast::side_by_side;
use device_flow_testkit::loopback::{ClientIdentity, KeyKind};
use device_flow_testkit::secrets::none_in;
use device_flow_testkit::servers::{KeyClient, KeyClients, Keycloak, Kind, Nonces, Options, Server};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// A computer with a key file and a file for tokens, and the client that it is.
pub(crate) struct Computer {
    pub(crate) home: TempDir,
    /// The options of every run.
    options: Vec<String>,
}

impl Computer {
    fn new(issuer: &str, client: &str, more: &[&str]) -> Self {
        Self::asking_for("openid offline_access", issuer, client, more)
    }

    pub(crate) fn asking_for(scope: &str, issuer: &str, client: &str, more: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let tokens = home.path().join("tokens.json");
        let options = ["--issuer", issuer, "--client-id", client, "--allow-http-loopback", "--token-file"];
        let scope = [tokens.to_str().unwrap(), "--scope", scope];
        let options = [&options[..], &scope, more].concat();
        Self { home, options: options.into_iter().map(str::to_owned).collect() }
    }

    /// With a key for signing in a file.
    fn with_key_file(self, pem: &str) -> Self {
        let file = self.home.path().join("client-key.pem");
        fs::write(&file, pem).unwrap();
        self.with(&["--client-key-file", file.to_str().unwrap()])
    }

    fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// A run to its end: exit code, stdout, stderr.
    pub(crate) fn run(&self, command: &str, more: &[&str]) -> (i32, String, String) {
        let mut binary = program("device-flow", self.home.path());
        ended(binary.arg(command).args(&self.options).args(more))
    }

    #[track_caller]
    pub(crate) fn succeeds(&self, command: &str, more: &[&str]) -> String {
        let (exit, stdout, stderr) = self.run(command, more);
        assert_eq!(exit, 0, "{command}: {stdout}{stderr}");
        none_in(&stderr);
        stdout
    }

    /// A sign-in that has begun.
    pub(crate) fn login(&self, more: &[&str]) -> Login {
        let mut binary = program("device-flow", self.home.path());
        Login::of(binary.arg("login").args(&self.options).arg("--json").args(more), "")
    }

    /// Signs in, with somebody who approves the code.
    #[track_caller]
    pub(crate) fn signs_in(&self, approve: impl FnOnce(&str)) {
        self.signs_in_with(&[], approve);
    }

    /// The same with these options.
    #[track_caller]
    pub(crate) fn signs_in_with(&self, more: &[&str], approve: impl FnOnce(&str)) {
        let mut login = self.login(more);
        approve(&login.code_from_json());
        let ended = login.end();
        assert_eq!(ended.exit, 0, "{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.events().last().unwrap()["event"], "success");
    }

    /// The headers of a request with the token and its proof, as `curl -H @-` takes them.
    fn headers(&self, url: &str, more: &[&str]) -> String {
        let words = ["--format", "header", "--url", url, "--method", "GET"];
        self.succeeds("token", &[&words, more].concat())
    }

    /// The files with keys of tokens, beside their locks.
    fn proof_keys(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.home.path()).unwrap().map(|file| file.unwrap().path());
        let is_key = |file: &PathBuf| {
            file.extension().is_some_and(|extension| extension.to_string_lossy().starts_with("dpop-key-"))
        };
        files.filter(|file| is_key(file) && file.is_file()).collect()
    }
}

/// Status line and headers of the answer.
fn get(url: &str, headers: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut connection = TcpStream::connect(host).unwrap();
    let headers = headers.trim().replace('\n', "\r\n");
    write!(connection, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n{headers}\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split("\r\n\r\n").next().unwrap().to_owned()
}

#[track_caller]
fn is_200(answer: &str) {
    assert_eq!(answer.split(' ').nth(1), Some("200"), "{answer}");
}

fn pem() -> String {
    ClientIdentity::self_signed("device-client", KeyKind::P256).key_pem
}

// RFC 9449: the key outlives the process, beside the tokens. Without it, or with another one, they are of no use.
#[test]
fn the_key_of_tokens_is_kept_beside_them_from_one_run_to_the_next() {
    let pem = pem();
    let jwk = SigningKey::from_pem(&pem).unwrap().public_jwk();
    let client = |id, public_jwk| KeyClient { id, public_jwk, algorithm: None, bound: true };
    let clients = [client("device-bound", None), client("device-signed-bound", Some(&*jwk))];
    let keys = KeyClients { clients: &clients, nonces: Nonces::Required };
    let server = Server::start_with_keys(Kind::OidcProvider, Options { interval: Some(1), ..Options::default() }, keys);
    side_by_side(&["device-bound", "device-signed-bound"], |&id| {
        let computer = Computer::new(&server.issuer(), id, &[]);
        let computer = if id == "device-bound" { computer } else { computer.with_key_file(&pem) };
        let without = Computer { home: tempfile::tempdir().unwrap(), options: computer.options.clone() };
        let computer = computer.with(&["--dpop"]);
        computer.signs_in(|code| server.approve(code));
        let files = computer.proof_keys();
        assert_eq!(files.len(), 1, "{files:?}");
        for file in &files {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o77, 0, "{}", file.display());
        }

        let me = format!("{}/me", server.base_url());
        let challenge = get(&me, &computer.headers(&me, &[]));
        let nonce = challenge.lines().find_map(|line| line.strip_prefix("dpop-nonce: ")).unwrap_or_else(|| {
            panic!("{challenge}");
        });
        assert!(challenge.starts_with("HTTP/1.1 401") && challenge.contains("use_dpop_nonce"), "{challenge}");
        is_200(&get(&me, &computer.headers(&me, &["--nonce", nonce])));
        let headers = computer.headers(&me, &["--nonce", nonce]);
        let alone = headers.lines().next().unwrap();
        assert!(alone.starts_with("Authorization: DPoP "));
        assert_eq!(get(&me, alone).split(' ').nth(1), Some("400"));

        computer.succeeds("refresh", &[]);
        assert_ne!(computer.headers(&me, &[]).lines().next(), Some(alone), "a new token");
        is_200(&get(&me, &computer.headers(&me, &["--nonce", nonce])));

        // The options of somebody who has forgotten about the key: nobody is asked, and nothing is lost.
        let (exit, _, stderr) = without.run("refresh", &[]);
        assert_eq!(exit, 4);
        assert!(stderr.contains("the tokens are bound to a key (DPoP) that is not the one in use"), "{stderr}");
        is_200(&get(&me, &computer.headers(&me, &["--nonce", nonce])));

        // The key is lost.
        for file in &files {
            fs::rename(file, computer.home.path().join("away")).unwrap();
        }
        let (exit, stdout, stderr) = computer.run("token", &["--format", "header", "--url", &me, "--nonce", nonce]);
        none_in(&stderr);
        if id == "device-bound" {
            assert_eq!(exit, 4);
            assert!(stderr.contains("the tokens are bound to a key (DPoP) that is not the one in use"), "{stderr}");
        } else {
            // A client that proves who it is gets tokens for a new key, which is kept.
            is_200(&get(&me, &stdout));
            let again = computer.headers(&me, &["--nonce", nonce]);
            assert_eq!(again.lines().next(), stdout.lines().next(), "the token is not found again");
        }
        // It comes back.
        for file in &files {
            fs::rename(computer.home.path().join("away"), file).unwrap();
        }
        is_200(&get(&me, &computer.headers(&me, &["--nonce", nonce])));

        computer.succeeds("logout", &[]);
        let (exit, _, stderr) = computer.run("token", &[]);
        assert_eq!(exit, 4, "{stderr}");
    });
}

#[test]
fn a_client_that_signs_with_the_wrong_key_is_told_what_to_check() {
    let jwk = SigningKey::from_pem(pem()).unwrap().public_jwk();
    let clients = [KeyClient { id: "device-signed", public_jwk: Some(&jwk), algorithm: None, bound: false }];
    let keys = KeyClients { clients: &clients, nonces: Nonces::None };
    let server = Server::start_with_keys(Kind::OidcProvider, Options::default(), keys);
    let computer = Computer::new(&server.issuer(), "device-signed", &[]).with_key_file(&pem());
    let (exit, stdout, stderr) = computer.run("login", &["--json"]);
    let error: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!((exit, &error["code"]), (7, &"invalid_client".into()), "{stderr}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("that this key and its algorithm are registered"), "{message}");
    assert!(message.contains("clock"), "{message}");
}

/// The line of `doctor` about one thing.
#[track_caller]
fn finding(computer: &Computer, more: &[&str], check: &str) -> (i32, Value) {
    let (exit, stdout, stderr) = computer.run("doctor", &[&["--try", "--json"], more].concat());
    let lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = lines.into_iter().find(|line| line["check"] == check);
    (exit, found.unwrap_or_else(|| panic!("{check}: {stdout}{stderr}")))
}

#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_gets_a_signature_a_bound_token_and_pkce_from_the_binary() {
    let (keycloak, pem) = (Keycloak::running(), pem());
    let jwks = format!(r#"{{"keys":[{}]}}"#, SigningKey::from_pem(&pem).unwrap().public_jwk());
    let attributes = [
        ("use.jwks.string", "true"),
        ("jwks.string", &*jwks),
        ("dpop.bound.access.tokens", "true"),
        ("pkce.code.challenge.method", "S256"),
    ];
    let id = keycloak.client(Some("client-jwt"), &attributes);
    let computer = Computer::new(&keycloak.issuer(), &id, &["--dpop"]).with_key_file(&pem);
    computer.signs_in(|code| keycloak.approve(code));
    let me = format!("{}/protocol/openid-connect/userinfo", keycloak.issuer());
    is_200(&get(&me, &computer.headers(&me, &[])));
    computer.succeeds("refresh", &[]);
    is_200(&get(&me, &computer.headers(&me, &[])));
    computer.succeeds("logout", &[]);
    let (exit, _, stderr) = computer.run("token", &[]);
    assert_eq!(exit, 4, "{stderr}");
}

// It gives codes to a client that must have a key, and refuses it only at the first poll.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_and_doctor_tell_beforehand_what_a_client_lacks() {
    let keycloak = Keycloak::running();
    let bound = keycloak.client(None, &[("dpop.bound.access.tokens", "true")]);
    let bound = Computer::new(&keycloak.issuer(), &bound, &[]);
    let (exit, found) = finding(&bound, &[], "poll");
    assert_eq!((exit, &found["status"]), (7, &"fail".into()), "{found}");
    assert!(found["remedy"].as_str().unwrap().contains("--dpop"), "{found}");
    assert_eq!(finding(&bound, &["--dpop"], "poll").0, 0);
    assert!(bound.proof_keys().is_empty(), "a key of a trial is kept");

    let pkce = keycloak.client(None, &[("pkce.code.challenge.method", "S256")]);
    let pkce = Computer::new(&keycloak.issuer(), &pkce, &[]);
    let (exit, found) = finding(&pkce, &["--pkce", "off"], "grant");
    assert_eq!((exit, &found["status"]), (7, &"fail".into()), "{found}");
    assert!(found["remedy"].as_str().unwrap().contains("wants PKCE"), "{found}");
    assert_eq!(finding(&pkce, &[], "poll").0, 0);
}
