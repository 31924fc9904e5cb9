//! Owns the room where all sides meet: one server, one cache file, and each program's way to both.

use crate::ours;
use device_flow_store::FileStore;
use device_flow_testkit::loopback::Authority;
use device_flow_testkit::microsoft::{CLIENT, HOST, Microsoft, Seen, TENANT};
use device_flow_testkit::msal::Language;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use tempfile::TempDir;

/// The authority whose servers everyone here trusts.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// What everybody asks for.
pub(crate) const SCOPES: &str = "user.read mail.read";

/// How long an access token lives, and more.
pub(crate) const AN_HOUR: u64 = 3_600;

/// Who does a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours(ours::Adapter),
    Msal(Language),
}

pub(crate) const TOKIO: Side = Side::Ours(ours::Adapter::Tokio);
pub(crate) const BLOCKING: Side = Side::Ours(ours::Adapter::Blocking);
pub(crate) const PYTHON: Side = Side::Msal(Language::Python);
pub(crate) const NODE: Side = Side::Msal(Language::Node);

/// What keeps the file for an MSAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// Its package of extensions, with the lock.
    Extensions,
    /// Its own serialisation, and a file read and written by the program.
    Plain,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// With this access token.
    Token(String),
    /// There was nobody to be silent for, or nothing to do it with.
    Nothing,
    /// With this error.
    Error(Value),
}

impl Told {
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
    /// How the programs are configured: host, tenant, client.
    pub(crate) host: String,
    pub(crate) tenant: &'static str,
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

    /// A host of nobody's cloud, with a port.
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

    pub(crate) fn store(&self) -> FileStore {
        FileStore::new(self.path()).unwrap()
    }

    pub(crate) fn cache(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path()).unwrap()).unwrap()
    }

    /// The keys of one of the five maps.
    pub(crate) fn keys(&self, map: &str) -> Vec<String> {
        let cache = self.cache();
        cache[map].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }

    /// Lets time pass for everything in the cache: all its times move back. The rest of its bytes stays as it is, the order of
    /// its entries too, since Node takes the first that fits.
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

    /// A program of `testkit/msal` for this room.
    pub(crate) fn program(&self, language: Language, name: &str) -> Command {
        let mut command = language.program(name);
        let authority = format!("https://{}/{}", self.host, self.tenant);
        command.env("CLIENT_ID", self.client).env("AUTHORITY", authority);
        let roots = self.folder.path().join("ca.pem");
        match language {
            Language::Python => command.env("REQUESTS_CA_BUNDLE", roots),
            Language::Node => command.env("NODE_EXTRA_CA_CERTS", roots),
        };
        if self.is_local() {
            command.env("PRIVATE_AUTHORITY", "1");
        } else {
            match language {
                Language::Python => command.env("HTTPS_PROXY", self.microsoft.proxy()),
                Language::Node => command.env("SERVER_PORT", self.microsoft.port().to_string()),
            };
        }
        command
    }

    fn driver(&self, language: Language, parameters: &[&str]) -> Value {
        let mut command = self.program(language, "driver");
        let keeper = if self.keeper == Keeper::Extensions { "extensions" } else { "plain" };
        command.env("CACHE", self.path()).env("KEEPER", keeper).args(parameters);
        answer(command)
    }

    /// Who is signed in: home account id and user name.
    pub(crate) fn accounts(&self, side: Side) -> Vec<(String, String)> {
        let Side::Msal(language) = side else { return ours::accounts(self) };
        let told = self.driver(language, &["accounts"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        told.as_array().unwrap().iter().map(|account| (text(&account["id"]), text(&account["username"]))).collect()
    }

    /// A sign-in with a code, whatever the cache has.
    pub(crate) fn sign_in(&self, side: Side) -> Told {
        match side {
            Side::Ours(adapter) => ours::sign_in(self, adapter),
            Side::Msal(language) => told(self.driver(language, &["sign_in", SCOPES])),
        }
    }

    /// A token without a word to the person.
    pub(crate) fn silent(&self, side: Side, username: &str) -> Told {
        self.silently(side, username, false)
    }

    /// The same from the server, whatever the cache has.
    pub(crate) fn forced(&self, side: Side, username: &str) -> Told {
        self.silently(side, username, true)
    }

    fn silently(&self, side: Side, username: &str, force: bool) -> Told {
        match side {
            Side::Ours(adapter) => ours::silent(self, adapter, username, force),
            Side::Msal(language) => {
                let force = if force { "force" } else { "no" };
                told(self.driver(language, &["silent", username, SCOPES, force]))
            }
        }
    }

    /// Signs out.
    pub(crate) fn remove(&self, side: Side, username: &str) {
        match side {
            Side::Ours(_) => ours::remove(self, username),
            Side::Msal(language) => drop(self.driver(language, &["remove", username])),
        }
    }

    /// A step, and the requests meanwhile but those for metadata, which MSAL fetches once for each process.
    pub(crate) fn during<T>(&self, step: impl FnOnce(&Self) -> T) -> (T, Vec<Seen>) {
        use device_flow_testkit::microsoft::Endpoint::{Instances, Metadata};
        let (result, mut seen) = self.microsoft.during(|| step(self));
        seen.retain(|seen| !matches!(seen.endpoint, Instances | Metadata));
        (result, seen)
    }
}

/// What a program says, in its last line.
#[track_caller]
pub(crate) fn answer(mut command: Command) -> Value {
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    // Never what it printed: there may be tokens in it.
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(printed.lines().last().unwrap()).unwrap()
}

fn told(value: Value) -> Told {
    match value["token"].as_str() {
        Some(token) => Told::Token(token.to_owned()),
        None if value["nothing"] == true => Told::Nothing,
        None => Told::Error(value),
    }
}
