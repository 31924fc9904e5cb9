//! Owns the server and the home folder of these tests, and what must be true of the folder whatever has happened.

use crate::login::Begun;
use crate::program::{ended, program};
use crate::tracer::{self, Ended, Shot};
use device_flow_testkit::loopback::Authority;
use device_flow_testkit::rotating::Rotating;
use serde_json::Value;
use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// The file that holds the tokens of a server that is not Microsoft's.
pub(crate) const TOKENS: &str = "tokens.json.unshared";

/// Somebody, and a server that accepts each refresh token once. Access tokens live for no time, so every
/// `token` is a refresh.
pub(crate) struct Site {
    pub(crate) server: Rotating,
    home: tempfile::TempDir,
    /// What `login` tests go back to.
    pub(crate) begun: OnceCell<Begun>,
}

impl Site {
    pub(crate) fn signed_in() -> Self {
        let site = Self::new();
        let (exit, _, stderr) = site.types(&format!("login {}", site.options()));
        assert_eq!(exit, 0, "{stderr}");
        site
    }

    /// Nobody is signed in.
    pub(crate) fn new() -> Self {
        let site = Self { server: Rotating::new(0), home: tempfile::tempdir().unwrap(), begun: OnceCell::new() };
        fs::write(site.root(), Authority::new().pem()).unwrap();
        site
    }

    pub(crate) fn options(&self) -> String {
        let at = |path| self.server.server.url(path);
        let (device, token, revoke) = (at("/device"), at("/token"), at("/revoke"));
        format!(
            "--device-endpoint {device} --token-endpoint {token} --revocation-endpoint {revoke} --client-id my-app \
             --allow-http-loopback --store file"
        )
    }

    pub(crate) fn types(&self, line: &str) -> (i32, String, String) {
        ended(self.program("device-flow").args(line.split_whitespace()))
    }

    fn program(&self, name: &str) -> Command {
        let mut command = program(name, self.home.path());
        // The server has no TLS, and to read all certificates of the system would be most of the system calls.
        command.env("SSL_CERT_FILE", self.root());
        command
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("root.pem")
    }

    /// The same with a signal at one of its system calls; after that, when the server has done what it was asked.
    pub(crate) fn types_and_is_shot(&self, line: &str, shot: Option<Shot>) -> Ended {
        let words: Vec<_> = ["device-flow"].into_iter().chain(line.split_whitespace()).collect();
        let run = tracer::run(&mut self.program("sh"), &words, shot).unwrap();
        let server = &self.server.server;
        let began = Instant::now();
        while server.closed() < server.connections() {
            assert!(began.elapsed() < Duration::from_secs(120), "a connection stays open");
            thread::yield_now();
        }
        run
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join(".local/state/device-flow")
    }

    /// What the file of tokens holds.
    pub(crate) fn stored(&self) -> String {
        fs::read_to_string(self.folder().join(TOKENS)).unwrap()
    }

    /// The refresh token in it that can be used, and is not one that a sign-out has left to revoke.
    pub(crate) fn refresh_token(&self) -> Option<String> {
        if !self.folder().join(TOKENS).exists() {
            return None;
        }
        let cache: Value = serde_json::from_str(&self.stored()).unwrap();
        let mut all = cache["RefreshToken"].as_object().into_iter().flatten().map(|(_, token)| &token["secret"]);
        let first = all.next()?.as_str().unwrap().to_owned();
        assert_eq!(all.next(), None);
        Some(first)
    }

    /// Everything that the person's programs have written: private, and JSON where it should be.
    pub(crate) fn check_files(&self, case: &str) {
        for path in files(&self.folder()) {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            let most = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode & !most, 0, "{case}: {} has mode {mode:o}", path.display());
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_file() && (name.ends_with(".json") || name == TOKENS) && !name.starts_with('.') {
                let text = fs::read(&path).unwrap();
                let parsed = serde_json::from_slice::<Value>(&text);
                assert!(parsed.is_ok(), "{case}: {} does not parse", path.display());
            }
        }
    }

    /// The names of all files, without the folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let folder = self.folder();
        let name = |path: PathBuf| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = files(&folder).into_iter().map(name).collect();
        names.sort();
        names
    }

    pub(crate) fn has_profile(&self) -> bool {
        self.home.path().join(".config/device-flow/config.toml").exists()
    }

    /// As if nobody had ever signed in here.
    pub(crate) fn forget_everything(&self) {
        for folder in [self.folder(), self.home.path().join(".config/device-flow")] {
            if folder.exists() {
                fs::remove_dir_all(folder).unwrap();
            }
        }
    }

    pub(crate) fn write_stored(&self, text: &str) {
        fs::write(self.folder().join(TOKENS), text).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found
}
