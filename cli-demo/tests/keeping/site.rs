//! Owns the server and the person of these tests.

use crate::program::{self, ended};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_testkit::loopback::{Asked, JSON, Loopback, Next, answer};
use device_flow_testkit::rotating::Rotating;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// What the server does.
pub(crate) struct State {
    /// Whether it issues refresh tokens.
    pub(crate) refresh_tokens: bool,
    /// Status, further headers and body of its answers to refreshes; `None`: new tokens.
    pub(crate) refusal: Option<(u16, &'static str, &'static str)>,
    /// The first part of the paths of its endpoints.
    pub(crate) version: &'static str,
    /// Whether there is no metadata any more.
    pub(crate) hides_metadata: bool,
    /// How it answers at any other path.
    pub(crate) elsewhere: (u16, &'static str, &'static str),
    /// How long access tokens live, in seconds; `None`: it does not say.
    pub(crate) lifetime: Option<u64>,
    /// Whom its ID tokens name; `None`: it issues none.
    pub(crate) subject: Option<&'static str>,
    grants: u32,
    /// Where requests wait before they are answered.
    pub(crate) gate: Option<Gate>,
    /// The tokens that it was asked to revoke.
    pub(crate) revoked: Vec<String>,
}

/// Holds the answers to requests of one path: says that one has come, and waits until it may go on.
pub(crate) struct Gate {
    path: &'static str,
    arrived: Sender<()>,
    open: Receiver<()>,
}

/// The test's side of a [`Gate`].
pub(crate) struct Keeper {
    arrived: Receiver<()>,
    open: Sender<()>,
}

impl Keeper {
    pub(crate) fn wait_for_a_request(&self) {
        self.arrived.recv().unwrap();
    }

    pub(crate) fn open(&self) {
        self.open.send(()).unwrap();
    }
}

/// An authorization server that publishes metadata, and whose endpoints may move.
pub(crate) struct Server {
    pub(crate) server: Loopback,
    state: Arc<Mutex<State>>,
}

pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";

impl Server {
    pub(crate) fn start() -> Self {
        let state = State {
            refresh_tokens: true,
            refusal: None,
            version: "/v1",
            hides_metadata: false,
            elsewhere: (404, "Content-Type: text/plain\r\n", "404 page not found\n"),
            lifetime: Some(3_600),
            subject: None,
            grants: 0,
            gate: None,
            revoked: vec![],
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        Self { server: Loopback::http(move |asked, wire| serve(&mut shared.lock().unwrap(), asked, wire)), state }
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// From now on refreshes, or requests of another path, wait until the gate is opened, each time.
    pub(crate) fn close_gate(&self, path: &'static str) -> Keeper {
        let ((arrived, arrivals), (open, opened)) = (channel(), channel());
        self.set(|state| state.gate = Some(Gate { path, arrived, open: opened }));
        Keeper { arrived: arrivals, open }
    }

    pub(crate) fn revoked(&self) -> Vec<String> {
        self.state.lock().unwrap().revoked.clone()
    }

    /// The paths that were requested from this number on.
    pub(crate) fn paths_from(&self, number: usize) -> Vec<String> {
        self.server.requests().into_iter().skip(number).map(|asked| asked.target).collect()
    }
}

fn serve(state: &mut State, asked: &Asked, wire: &mut dyn Write) -> Next {
    let host = asked.head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let version = state.version;
    if asked.target == METADATA && !state.hides_metadata {
        let at = |path: &str| format!("http://{host}{version}{path}");
        let document = serde_json::json!({
            "issuer": format!("http://{host}"),
            "device_authorization_endpoint": at("/device"),
            "token_endpoint": at("/token"),
            "revocation_endpoint": at("/revoke"),
            "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code"],
            "token_endpoint_auth_methods_supported": ["none"],
        });
        return answer(wire, 200, JSON, &document.to_string());
    }
    let path = asked.target.strip_prefix(version);
    if let Some(gate) = state.gate.as_ref().filter(|gate| Some(gate.path) == path) {
        gate.arrived.send(()).unwrap();
        // The test has ended when it is gone.
        let _ = gate.open.recv();
    }
    match path {
        Some("/device") => {
            let code = r#"{"device_code":"device-code-canary","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":600,"interval":1}"#;
            answer(wire, 200, JSON, code)
        }
        Some("/revoke") => {
            state.revoked.push(asked.body.clone());
            answer(wire, 200, "", "")
        }
        Some("/token") => {
            if let (true, Some((status, headers, body))) =
                (asked.body.contains("grant_type=refresh_token"), state.refusal)
            {
                return answer(wire, status, headers, body);
            }
            state.grants += 1;
            let mut tokens = serde_json::json!({
                "access_token": format!("AT-canary-{}", state.grants), "token_type": "Bearer",
            });
            if let Some(lifetime) = state.lifetime {
                tokens["expires_in"] = lifetime.into();
            }
            if state.refresh_tokens {
                tokens["refresh_token"] = format!("RT-canary-{}", state.grants).into();
            }
            if let Some(subject) = state.subject {
                tokens["id_token"] = id_token(&format!("http://{host}"), subject).into();
            }
            answer(wire, 200, JSON, &tokens.to_string())
        }
        _ => answer(wire, state.elsewhere.0, state.elsewhere.1, state.elsewhere.2),
    }
}

fn id_token(issuer: &str, subject: &str) -> String {
    let claims = serde_json::json!({"iss": issuer, "sub": subject, "aud": "my-app", "exp": 4_000_000_000_u64});
    format!("e30.{}.canary", Base64UrlUnpadded::encode_string(claims.to_string().as_bytes()))
}

/// A person: a home, and what they type there.
pub(crate) struct Person {
    pub(crate) home: tempfile::TempDir,
}

impl Person {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = program::program("device-flow", self.home.path());
        command.args(line.split_whitespace());
        command
    }

    /// Exit code, stdout, stderr.
    pub(crate) fn types(&self, line: &str) -> (i32, String, String) {
        ended(&mut self.command(line))
    }

    /// Signs in to this server, with more options.
    pub(crate) fn signs_in(&self, server: &Server, more: &str) {
        let issuer = server.server.url("");
        let line = format!("login --issuer {issuer} --client-id my-app --allow-http-loopback --store file {more}");
        let (exit, stdout, stderr) = self.types(&line);
        assert_eq!(exit, 0, "{stderr}{stdout}");
    }

    /// The helper of git, asked for a repository on the server.
    pub(crate) fn as_git(&self, command: &mut Command, server: &Server) -> (i32, String, String) {
        let host = server.server.url("");
        let asked = format!("protocol=http\nhost={}\n\n", host.trim_start_matches("http://"));
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
        let end = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (end.status.code().unwrap(), text(end.stdout), text(end.stderr))
    }

    fn state(&self, name: &str) -> PathBuf {
        self.home.path().join(".local/state/device-flow").join(name)
    }

    /// Changes a member of every stored access token.
    pub(crate) fn set_of_access_tokens(&self, member: &str, value: &str) {
        self.tamper("tokens.json.unshared", |cache| {
            cache["AccessToken"].as_object_mut().unwrap().values_mut().for_each(|token| token[member] = value.into());
        });
    }

    /// Changes what is remembered of every server.
    pub(crate) fn set_of_servers(&self, change: impl Fn(&mut Value)) {
        self.tamper("tokens.servers.json", |servers| servers.as_object_mut().unwrap().values_mut().for_each(change));
    }

    fn tamper(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = self.state(name);
        let mut stored: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut stored);
        std::fs::write(&path, stored.to_string()).unwrap();
    }
}

/// The options that name a server without metadata, and a client of it.
pub(crate) fn at(server: &Rotating) -> String {
    let (device, token) = (server.server.url("/device"), server.server.url("/token"));
    format!("--device-endpoint {device} --token-endpoint {token} --client-id my-app --allow-http-loopback")
}

pub(crate) fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
