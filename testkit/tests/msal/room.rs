//! Owns `Room`: one server and one cache file, and how each program uses both.

use crate::ours;
use device_flow_testkit::loopback::Authority;
use device_flow_testkit::microsoft::{CLIENT, HOST, Microsoft, Seen, TENANT};
use device_flow_testkit::msal::Language;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use tempfile::TempDir;

/// The certificate authority that all programs trust.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// The scopes that all programs request.
pub(crate) const SCOPES: &str = "user.read mail.read";

/// Longer than an access token lives.
pub(crate) const AN_HOUR: u64 = 3_600;

/// Which program takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours(ours::Adapter),
    Msal(Language),
}

pub(crate) const TOKIO: Side = Side::Ours(ours::Adapter::Tokio);
pub(crate) const BLOCKING: Side = Side::Ours(ours::Adapter::Blocking);
pub(crate) const PYTHON: Side = Side::Msal(Language::Python);
pub(crate) const NODE: Side = Side::Msal(Language::Node);
pub(crate) const JAVA: Side = Side::Msal(Language::Java);
pub(crate) const GO: Side = Side::Msal(Language::Go);

/// What reads and writes the cache file for an MSAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// The package of its extensions, with a lock.
    Extensions,
    /// Its own serialisation, and a file read and written by the program.
    Plain,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With this access token.
    Token(String),
    /// There was no account, or nothing that a token could be got with.
    Nothing,
    /// With this error.
    Error(Value),
}

impl Outcome {
    #[track_caller]
    pub(crate) fn token(&self) -> &str {
        let Self::Token(token) = self else { panic!("no token: {self:?}") };
        token
    }
}

pub(crate) struct Room {
    pub(crate) microsoft: Microsoft,
    folder: TempDir,
    pub(crate) keeper: Keeper,
    /// The host in the configuration of the programs.
    pub(crate) host: String,
    /// The tenant in it.
    pub(crate) tenant: &'static str,
    /// The client in it.
    pub(crate) client: &'static str,
}

impl Room {
    /// Microsoft's own host, through a proxy.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), AUTHORITY.pem()).unwrap();
        let microsoft = Microsoft::start(&AUTHORITY);
        let host = HOST.to_owned();
        Self { microsoft, folder, keeper: Keeper::Extensions, host, tenant: TENANT, client: CLIENT }
    }

    /// A host that belongs to no cloud, with a port.
    pub(crate) fn local() -> Self {
        let room = Self::new();
        let host = room.microsoft.local_host();
        Self { host, ..room }
    }

    pub(crate) fn is_local(&self) -> bool {
        self.host != HOST
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("tokens.json")
    }

    pub(crate) fn cache(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path()).unwrap()).unwrap()
    }

    /// The keys of one of the five maps.
    pub(crate) fn keys(&self, map: &str) -> Vec<String> {
        let cache = self.cache();
        cache[map].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }

    /// Lets time pass for everything in the cache: all its times move back. All other bytes stay, and so does the order
    /// of the entries, since Node takes the first that fits.
    pub(crate) fn pass(&self, seconds: u64) {
        let names = ["cached_at", "expires_on", "extended_expires_on", "refresh_on", "last_modification_time"];
        let mut text = fs::read_to_string(self.path()).unwrap();
        let mut moved = 0;
        for name in names.map(|name| format!("\"{name}\"")) {
            let mut from = 0;
            while let Some(place) = text[from..].find(&name) {
                let start = from + place + name.len();
                let Some(digit) = text[start..].find(|c: char| c.is_ascii_digit()) else { break };
                let digits = start + digit;
                let end = digits + text[digits..].find(|c: char| !c.is_ascii_digit()).unwrap();
                let earlier = text[digits..end].parse::<u64>().unwrap() - seconds;
                text.replace_range(digits..end, &earlier.to_string());
                from = digits;
                moved += 1;
            }
        }
        assert!(moved > 0, "there is no time in the cache");
        fs::write(self.path(), text).unwrap();
    }

    /// A program of `testkit/msal`, configured for this room.
    pub(crate) fn program(&self, language: Language, name: &str) -> Command {
        let mut command = language.program(name);
        let authority = format!("https://{}/{}", self.host, self.tenant);
        command.env("CLIENT_ID", self.client).env("AUTHORITY", authority);
        let roots = self.folder.path().join("ca.pem");
        match language {
            Language::Python => command.env("REQUESTS_CA_BUNDLE", roots),
            Language::Node => command.env("NODE_EXTRA_CA_CERTS", roots),
            Language::Java => command.env("ROOTS", roots),
            Language::Go => command.env("SSL_CERT_FILE", roots),
        };
        if self.is_local() {
            command.env("PRIVATE_AUTHORITY", "1");
        } else {
            match language {
                Language::Python | Language::Java | Language::Go => command.env("HTTPS_PROXY", self.microsoft.proxy()),
                Language::Node => command.env("SERVER_PORT", self.microsoft.port().to_string()),
            };
        }
        command
    }

    /// The program that takes the steps of a test, on the cache file of this room.
    pub(crate) fn driver(&self, language: Language, parameters: &[&str]) -> Command {
        let mut command = self.program(language, "driver");
        let keeper = if self.keeper == Keeper::Extensions { "extensions" } else { "plain" };
        command.env("CACHE", self.path()).env("KEEPER", keeper).args(parameters);
        command
    }

    /// The accounts that are signed in: home account ID and user name.
    pub(crate) fn accounts(&self, side: Side) -> Vec<(String, String)> {
        let language = match side {
            Side::Ours(adapter) => return ours::accounts(self, adapter),
            Side::Msal(language) => language,
        };
        let accounts = answer(self.driver(language, &["accounts"]));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        accounts.as_array().unwrap().iter().map(|account| (text(&account["id"]), text(&account["username"]))).collect()
    }

    /// A sign-in with a code, whatever is in the cache.
    pub(crate) fn sign_in(&self, side: Side) -> Outcome {
        match side {
            Side::Ours(adapter) => ours::sign_in(self, adapter),
            Side::Msal(language) => outcome_of(answer(self.driver(language, &["sign_in", SCOPES]))),
        }
    }

    /// A token without showing a code.
    pub(crate) fn silent(&self, side: Side, username: &str) -> Outcome {
        self.silently(side, username, false)
    }

    /// The same from the server, whatever is in the cache.
    pub(crate) fn forced(&self, side: Side, username: &str) -> Outcome {
        self.silently(side, username, true)
    }

    fn silently(&self, side: Side, username: &str, force: bool) -> Outcome {
        match side {
            Side::Ours(adapter) => ours::silent(self, adapter, username, force),
            Side::Msal(language) => {
                let force = if force { "force" } else { "no" };
                outcome_of(answer(self.driver(language, &["silent", username, SCOPES, force])))
            }
        }
    }

    /// Signs out.
    pub(crate) fn remove(&self, side: Side, username: &str) {
        match side {
            Side::Ours(adapter) => ours::remove(self, adapter, username),
            Side::Msal(language) => drop(answer(self.driver(language, &["remove", username]))),
        }
    }

    /// Runs a step and returns its result, and the requests in the meantime without those for metadata, which MSAL
    /// fetches in every process.
    pub(crate) fn during<T>(&self, step: impl FnOnce(&Self) -> T) -> (T, Vec<Seen>) {
        use device_flow_testkit::microsoft::Endpoint::{Instances, Metadata};
        let (result, mut seen) = self.microsoft.during(|| step(self));
        seen.retain(|seen| !matches!(seen.endpoint, Instances | Metadata));
        (result, seen)
    }
}

/// The JSON in the last line that a program prints.
#[track_caller]
pub(crate) fn answer(mut command: Command) -> Value {
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    // Never its stdout: there may be tokens in it.
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(printed.lines().last().unwrap()).unwrap()
}

fn outcome_of(value: Value) -> Outcome {
    match value["token"].as_str() {
        Some(token) => Outcome::Token(token.to_owned()),
        None if value["nothing"] == true => Outcome::Nothing,
        None => Outcome::Error(value),
    }
}
