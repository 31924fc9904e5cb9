//! A sign-in through the binary at each provider that does not speak RFC 8628: login, token, refresh, list, logout, against
//! the scripted servers of the testkit.
#![cfg(unix)]

use crate::program;
use device_flow_testkit::dialects::{
    ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, OnLoopback, RESOURCE, SCOPES, SECOND_ACCESS_TOKEN, START_URL, Say, Speech,
};
use device_flow_testkit::secrets::none_in;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use tempfile::TempDir;

/// Somebody's home, and a server.
struct Desk {
    home: TempDir,
    server: OnLoopback,
    speech: Speech,
}

impl Desk {
    fn new(speech: Speech, plan: &[Say]) -> Self {
        let desk = Self { home: tempfile::tempdir().unwrap(), server: OnLoopback::start(speech, plan), speech };
        fs::write(desk.file("ca.pem"), &desk.server.ca).unwrap();
        fs::write(desk.file("secret"), CLIENT_SECRET).unwrap();
        desk
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = program::program("device-flow", self.home.path());
        command.env("DEVICE_FLOW_STORE", "file").args(words);
        command
    }

    /// What a person types, as docs/dialects.md has it.
    fn login(&self) -> Command {
        let name = match self.speech {
            Speech::Aws => "aws",
            Speech::Twitch => "twitch",
            Speech::Facebook => "facebook",
            Speech::Salesforce => "salesforce",
            Speech::Trakt => "trakt",
            Speech::EntraV1 => "entra-v1",
            Speech::Yandex => "yandex",
            Speech::GoogleTv => "google-tv",
        };
        let mut command = self.command(&["login", "--provider", name, "--host", &self.server.host(), "--ca-file"]);
        command.arg(self.file("ca.pem"));
        if self.speech == Speech::Aws {
            command.args(["--region", "eu-west-1", "--start-url", START_URL]);
        } else {
            command.args(["--client-id", CLIENT_ID]);
        }
        if self.speech.has_scopes() {
            command.args(["--scope", SCOPES]);
        }
        if self.speech == Speech::EntraV1 {
            command.args(["--resource", RESOURCE]);
        }
        if self.speech.has_secret() && self.speech != Speech::Aws {
            command.arg("--client-secret-file").arg(self.file("secret"));
        }
        command
    }

    fn requests(&self) -> Vec<String> {
        self.server.sockets.requests().into_iter().map(|asked| asked.target).collect()
    }

    fn is_content(&self) {
        let seen = self.server.server.lock().unwrap();
        assert_eq!((&seen.refused, seen.early), (&vec![], 0), "{:?}", self.speech);
    }
}

/// Exit code, stdout, stderr; no secret but the token that was asked for.
fn ended(command: &mut Command) -> (i32, String, String) {
    let (exit, stdout, stderr) = program::ended(command);
    none_in(&stderr);
    (exit, stdout, stderr)
}

// The intervals are those of a second, so all of them run beside each other.
#[test]
fn a_login_at_each_provider() {
    thread::scope(|scope| {
        for speech in Speech::ALL {
            scope.spawn(move || from_login_to_logout(speech));
        }
    });
}

fn from_login_to_logout(speech: Speech) {
    let desk = Desk::new(speech, &[Say::Pending, Say::Token]);
    let (exit, stdout, stderr) = ended(&mut desk.login());
    assert_eq!(exit, 0, "{speech:?}: {stdout}{stderr}");
    none_in(&stdout);
    let (exit, stdout, stderr) = ended(&mut desk.command(&["token"]));
    assert_eq!((exit, stdout.trim()), (0, ACCESS_TOKEN), "{speech:?}: {stderr}");
    let (exit, _, stderr) = ended(&mut desk.command(&["refresh"]));
    assert_eq!(exit == 0, speech.has_refresh_tokens(), "{speech:?}: {stderr}");
    let token = if speech.has_refresh_tokens() { SECOND_ACCESS_TOKEN } else { ACCESS_TOKEN };
    let (_, stdout, stderr) = ended(&mut desk.command(&["token"]));
    assert_eq!(stdout.trim(), token, "{speech:?}: {stderr}");
    // Who is signed in is seen without a request and without a secret.
    let before = desk.requests().len();
    let (exit, stdout, stderr) = ended(&mut desk.command(&["list", "--json"]));
    assert_eq!(exit, 0, "{speech:?}: {stderr}");
    let listed: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(listed["profiles"][0]["accounts"].as_array().unwrap().len(), 1, "{speech:?}: {stdout}");
    assert_eq!(listed["accounts_without_profile"], serde_json::json!([]), "{speech:?}: {stdout}");
    assert_eq!(desk.requests().len(), before);
    desk.is_content();
    ended(&mut desk.command(&["logout"]));
    let (exit, stdout, _) = ended(&mut desk.command(&["token"]));
    assert_eq!((exit, &*stdout), (4, ""), "{speech:?}");
}

#[test]
fn a_denial_at_each_provider_that_has_one() {
    thread::scope(|scope| {
        for speech in Speech::ALL.into_iter().filter(|speech| speech.knows_denial()) {
            scope.spawn(move || {
                let desk = Desk::new(speech, &[Say::Denied]);
                let (exit, stdout, stderr) = ended(&mut desk.login());
                assert_eq!(exit, 3, "{speech:?}: {stdout}{stderr}");
                desk.is_content();
            });
        }
    });
}

// A sign-in in a dialect is a value like any other: another run goes on with it.
#[test]
fn a_sign_in_at_each_provider_goes_on_in_another_run() {
    thread::scope(|scope| {
        for speech in Speech::ALL {
            scope.spawn(move || {
                let desk = Desk::new(speech, &[Say::Token]);
                let (exit, stdout, stderr) = ended(desk.login().arg("--no-wait"));
                assert_eq!(exit, 0, "{speech:?}: {stdout}{stderr}");
                let mut resumed = desk.command(&["login", "--resume"]);
                if speech.has_secret() && speech != Speech::Aws {
                    resumed.arg("--client-secret-file").arg(desk.file("secret"));
                }
                let (exit, stdout, stderr) = ended(&mut resumed);
                assert_eq!(exit, 0, "{speech:?}: {stdout}{stderr}");
                let (_, stdout, _) = ended(&mut desk.command(&["token"]));
                assert_eq!(stdout.trim(), ACCESS_TOKEN, "{speech:?}");
                desk.is_content();
            });
        }
    });
}

/// The file of the registration, which has no other name than its hash.
fn registration(desk: &Desk) -> PathBuf {
    let folder = desk.file(".local/state/device-flow");
    let mut found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.split_once(".registration-").is_some_and(|(_, rest)| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    let file = found.next().unwrap();
    assert_eq!(found.next(), None);
    file
}

fn ends(desk: &Desk, after: i64) {
    let file = registration(desk);
    let mut kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs();
    kept["expires_at"] = (i64::try_from(now).unwrap() + after).into();
    fs::write(&file, kept.to_string()).unwrap();
}

fn registrations(desk: &Desk) -> usize {
    desk.requests().iter().filter(|target| *target == "/client/register").count()
}

// The command line of AWS does the same: one registration for all sign-ins, until fifteen minutes before its end.
#[test]
fn aws_is_registered_with_once_and_again_before_the_end() {
    let desk = Desk::new(Speech::Aws, &[Say::Token]);
    let login = || {
        let (exit, _, stderr) = ended(desk.login().arg("--force"));
        assert_eq!(exit, 0, "{stderr}");
        registrations(&desk)
    };
    assert_eq!((login(), login()), (1, 1));
    let file = registration(&desk);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&file).unwrap().contains(CLIENT_SECRET));
    // Both sides of the bound, with a minute for a busy machine.
    ends(&desk, 16 * 60);
    assert_eq!(login(), 1);
    ends(&desk, 15 * 60 - 1);
    assert_eq!(login(), 2);
    // Something that cannot be read counts as none.
    fs::write(registration(&desk), "{").unwrap();
    assert_eq!(login(), 3);
    desk.is_content();
}

// A registration that was deleted at the server would else be in the way until its own end, which is months away.
#[test]
fn aws_is_registered_with_again_when_it_no_longer_knows_the_registration() {
    let desk = Desk::new(Speech::Aws, &[Say::WrongClient, Say::Token]);
    let (exit, stdout, stderr) = ended(&mut desk.login());
    assert_eq!((exit, registrations(&desk)), (7, 1), "{stdout}{stderr}");
    assert!(stderr.contains("The next sign-in registers it anew."), "{stderr}");
    let (exit, stdout, stderr) = ended(&mut desk.login());
    assert_eq!((exit, registrations(&desk)), (0, 2), "{stdout}{stderr}");
}

// Only a sign-in registers: what has no registration has no tokens either.
#[test]
fn without_a_registration_aws_asks_for_a_sign_in_and_logout_works() {
    let desk = Desk::new(Speech::Aws, &[Say::Token]);
    assert_eq!(ended(&mut desk.login()).0, 0);
    ends(&desk, -1);
    let (exit, stdout, _) = ended(&mut desk.command(&["token"]));
    assert_eq!((exit, &*stdout), (4, ""));
    // The tokens of a registration that has ended are still removed.
    let (exit, stdout, stderr) = ended(&mut desk.command(&["logout", "--no-revoke"]));
    assert_eq!(exit, 0, "{stdout}{stderr}");
    let tokens = fs::read_to_string(desk.file(".local/state/device-flow/tokens.json.unshared")).unwrap();
    assert!(!tokens.contains("canary"), "{tokens}");
    fs::remove_file(registration(&desk)).unwrap();
    assert_eq!(ended(&mut desk.command(&["token"])).0, 4);
    assert_eq!(registrations(&desk), 1);
}

#[test]
fn what_a_provider_needs_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    for (words, wanted) in [
        (&["aws"][..], "--region"),
        (&["aws", "--region", "eu-west-1"], "--start-url"),
        (&["aws", "--region", "eu-west-1", "--start-url", "http://x"], "start URL"),
        (&["aws", "--region", "eu-west-1", "--start-url", "https://x", "--audience", "y"], "an audience"),
        (&["trakt"], "--client-id"),
        (&["trakt", "--client-id", "x"], "Trakt needs a client secret (--client-secret-file FILE)"),
        (&["yandex", "--client-id", "x"], "Yandex needs a client secret"),
        (&["entra-v1", "--client-id", "x"], "needs a resource (--resource URI)"),
        (&["twitch", "--client-id", "x", "--audience", "y"], "Twitch has no place for an audience"),
        (&["twitch", "--client-id", "x", "--dpop"], "DPoP"),
    ] {
        let mut command = program::program("device-flow", home.path());
        command.env("DEVICE_FLOW_STORE", "file").args(["login", "--provider"]).args(words);
        let (exit, _, stderr) = ended(&mut command);
        assert_eq!(exit, 2, "{words:?}: {stderr}");
        assert!(stderr.contains(wanted), "{words:?}: {stderr}");
    }
}
