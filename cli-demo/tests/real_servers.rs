//! Proves the program `device-flow` on real authorization servers, run as people and scripts run it: what it prints,
//! what it keeps secret, and its exit code.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is how it reports"
)]

#[path = "support/on_keycloak.rs"]
mod on_keycloak;
#[path = "support/program.rs"]
mod program;
#[path = "support/with_keys.rs"]
mod with_keys;

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use device_flow_testkit::abreast::side_by_side;
use device_flow_testkit::servers::{BASIC, Kind, Options, POST, PUBLIC, Server, Tap};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longer than any wait here.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running program.
struct Login {
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// The lines of a stream.
struct Output {
    lines: Receiver<String>,
    seen: String,
}

/// The program after its end.
struct Ended {
    exit: i32,
    stdout: String,
    stderr: String,
}

impl Login {
    fn start(words: &[&str]) -> Self {
        Self::start_with_stdin(words, "")
    }

    fn start_with_stdin(words: &[&str], stdin: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_device-flow"));
        command.args(["login", "--allow-http-loopback"]).args(words);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("DEVICE_FLOW_") {
                command.env_remove(name);
            }
        }
        command.env("DEVICE_FLOW_STORE", "memory");
        Self::of(&mut command, stdin)
    }

    fn of(command: &mut Command, stdin: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let (stdout, stderr) = (Output::of(child.stdout.take().unwrap()), Output::of(child.stderr.take().unwrap()));
        Self { child, stdout, stderr }
    }

    /// The user code, as a script reads it.
    fn code_from_json(&mut self) -> String {
        self.stdout.find(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            (event["event"] == "device_code").then(|| event["user_code"].as_str().unwrap().to_owned())
        })
    }

    /// The user code, as a person reads it.
    fn code_from_stderr(&mut self) -> String {
        self.stderr.find(|line| line.trim().strip_prefix("2. Enter the code").map(|code| code.trim().to_owned()))
    }

    fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "still running: {}{}", self.stdout.seen, self.stderr.seen);
            thread::sleep(Duration::from_millis(5));
        };
        let exit = status.code().unwrap_or_else(|| panic!("{status}"));
        Ended { exit, stdout: self.stdout.rest(), stderr: self.stderr.rest() }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        // Only after a failure; it may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        thread::spawn(move || {
            BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { lines, seen: String::new() }
    }

    #[track_caller]
    fn find(&mut self, wanted: impl Fn(&str) -> Option<String>) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("not found in {}", self.seen));
            self.seen.extend([&line, "\n"]);
            if let Some(found) = wanted(&line) {
                return found;
            }
        }
    }

    fn rest(&mut self) -> String {
        for line in &self.lines {
            self.seen.extend([&line, "\n"]);
        }
        std::mem::take(&mut self.seen)
    }
}

impl Ended {
    /// The events of a run with `--json`, after checks that hold for all such runs.
    #[track_caller]
    fn events(&self) -> Vec<Value> {
        program::schema::check(&self.stdout);
        let events: Vec<Value> = self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(events.iter().all(|event| event["v"] == 1), "{}", self.stdout);
        let ends: Vec<_> =
            events.iter().map(|event| event["event"] == "success" || event["event"] == "error").collect();
        assert_eq!(ends.iter().filter(|end| **end).count(), 1, "exactly one terminal event: {}", self.stdout);
        assert_eq!(ends.last(), Some(&true), "it must be the last one: {}", self.stdout);
        assert_eq!(self.stderr, "", "with --json everything is an event");
        events
    }

    /// The last event of a run with `--json` that failed, which must agree with the exit code.
    #[track_caller]
    fn error(&self) -> Value {
        let last = self.events().pop().unwrap();
        assert_eq!((&last["event"], &last["exit"]), (&"error".into(), &self.exit.into()), "{last}");
        last
    }

    /// No secret of the exchanges was printed, not even eight consecutive characters of one.
    #[track_caller]
    fn keeps_secrets(&self, tap: &Tap) {
        let exchanges = tap.exchanges();
        let answers: Vec<_> = exchanges.iter().map(|exchange| exchange.json()).collect();
        let names = ["device_code", "access_token", "refresh_token", "id_token"];
        let secrets = answers.iter().flat_map(|answer| names.iter().filter_map(|name| answer[name].as_str()));
        let secrets: Vec<_> = secrets.collect();
        assert!(secrets.len() >= 3, "a device code and two tokens at least");
        for secret in secrets {
            for piece in secret.as_bytes().windows(8).map(|piece| std::str::from_utf8(piece).unwrap()) {
                assert!(!self.stdout.contains(piece) && !self.stderr.contains(piece), "{piece} of {secret} is shown");
            }
        }
    }

    /// The same without a tap: nothing that could be a secret was printed.
    #[track_caller]
    fn shows_no_long_word(&self) {
        let url = |word: &str| word.contains("http");
        let words = self.stdout.split_whitespace().chain(self.stderr.split_whitespace());
        let pieces = words.flat_map(|word| word.split([',', '{', '}'])).filter(|piece| !url(piece));
        for word in pieces.flat_map(|piece| piece.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)))) {
            let known = ["verification_uri_complete"].contains(&word);
            assert!(known || word.len() < 20, "{word} looks like a secret");
        }
    }
}

/// What is granted for the scopes of these tests, as it is told. Keycloak adds what a realm has for all of its clients,
/// in any order.
#[track_caller]
fn are_granted(kind: Kind, scopes: &str) {
    let mut scopes: Vec<_> = scopes.split(' ').collect();
    scopes.sort_unstable();
    match kind {
        Kind::Keycloak => assert_eq!(scopes, ["email", "offline_access", "openid", "profile"]),
        Kind::OidcProvider | Kind::Authlib | Kind::DjangoOauthToolkit => {
            assert_eq!(scopes, ["offline_access", "openid"]);
        }
    }
}

fn by_issuer<'a>(issuer: &'a str, client: &'a str) -> Vec<&'a str> {
    vec!["--issuer", issuer, "--client-id", client, "--scope", "openid offline_access"]
}

fn by_endpoints(tap: &Tap) -> Vec<&str> {
    let (device, token) = (tap.device_authorization_endpoint(), tap.token_endpoint());
    let scope = "openid offline_access";
    vec!["--device-endpoint", device, "--token-endpoint", token, "--client-id", PUBLIC, "--scope", scope]
}

#[test]
fn a_person_signs_in_and_sees_no_token() {
    side_by_side(&Kind::here(), |&kind| {
        let server = Server::shared(kind);
        let tap = Tap::on(&server);
        let mut login = Login::start(&by_endpoints(&tap));
        let code = login.code_from_stderr();
        tap.after_polls(1);
        server.approve(&code);

        let ended = login.end();
        assert_eq!(ended.exit, 0, "{}", ended.stderr);
        ended.keeps_secrets(&tap);
        assert!(ended.stdout.starts_with("Signed in to http://127.0.0.1:"), "{}", ended.stdout);
        assert!(ended.stdout.contains("offline_access"), "{}", ended.stdout);
        assert!(!ended.stdout.contains(&code), "stdout carries the result alone: {}", ended.stdout);
        let device = tap.device_answer();
        for shown in ["verification_uri", "verification_uri_complete"] {
            assert!(ended.stderr.contains(device[shown].as_str().unwrap()), "{shown}: {}", ended.stderr);
        }
        assert!(tap.quiet_before_polls().iter().all(|quiet| *quiet >= Duration::from_secs(1)));
    });
}

#[test]
fn a_script_signs_in_and_reads_no_token() {
    side_by_side(&Kind::here(), |&kind| {
        let server = Server::shared(kind);
        let tap = Tap::on(&server);
        let mut login = Login::start(&[by_endpoints(&tap), vec!["--json"]].concat());
        server.approve(&login.code_from_json());

        let ended = login.end();
        assert_eq!(ended.exit, 0, "{}", ended.stdout);
        ended.keeps_secrets(&tap);
        let events = ended.events();
        let (first, device) = (&events[0], tap.device_answer());
        for member in ["verification_uri", "verification_uri_complete", "user_code", "interval"] {
            assert_eq!(first[member], device[member], "{member}");
        }
        assert_eq!(events[1]["event"], "success");
        are_granted(kind, events[1]["scope"].as_str().unwrap());
        assert_eq!(events[1]["refreshable"], true);
    });
}

#[test]
fn an_issuer_with_metadata_is_enough() {
    let kinds = Kind::of(&[Kind::OidcProvider, Kind::Authlib, Kind::Keycloak]);
    let cases: Vec<_> = kinds.into_iter().flat_map(|kind| [(kind, true), (kind, false)]).collect();
    side_by_side(&cases, |&(kind, json)| {
        let server = Server::shared(kind);
        let issuer = server.issuer();
        let words = by_issuer(&issuer, PUBLIC);
        let mut login = Login::start(&if json { [words, vec!["--json"]].concat() } else { words });
        server.approve(&if json { login.code_from_json() } else { login.code_from_stderr() });

        let ended = login.end();
        assert_eq!(ended.exit, 0, "{}{}", ended.stdout, ended.stderr);
        ended.shows_no_long_word();
        if json {
            assert_eq!(ended.events()[0]["issuer"], issuer);
        } else {
            assert!(ended.stderr.starts_with(&format!("Sign in to {issuer} as client \"{PUBLIC}\"")));
            assert!(ended.stdout.starts_with(&format!("Signed in to {issuer}\n")), "{}", ended.stdout);
        }
    });
}

#[test]
fn metadata_without_a_device_endpoint_end_with_2_and_name_the_flags_that_help() {
    let server = Server::shared(Kind::DjangoOauthToolkit);
    let issuer = server.issuer();
    let remedy = format!("--device-endpoint URL --token-endpoint {}", server.token_endpoint());

    let ended = Login::start(&by_issuer(&issuer, PUBLIC)).end();
    assert_eq!((ended.exit, &*ended.stdout), (2, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains(&remedy), "{}", ended.stderr);

    let ended = Login::start(&[by_issuer(&issuer, PUBLIC), vec!["--json"]].concat()).end();
    let error = ended.error();
    assert_eq!((ended.exit, &error["code"]), (2, &"usage".into()));
    assert!(error["message"].as_str().unwrap().contains(&remedy), "{error}");
}

#[test]
fn a_denial_ends_with_3() {
    side_by_side(&Kind::here(), |&kind| {
        let server = Server::shared(kind);
        let tap = Tap::on(&server);
        let mut login = Login::start(&[by_endpoints(&tap), vec!["--json"]].concat());
        server.deny(&login.code_from_json());

        let ended = login.end();
        let error = ended.error();
        assert_eq!((ended.exit, &error["code"], &error["retryable"]), (3, &"access_denied".into(), &false.into()));
    });
}

#[test]
fn an_expired_code_ends_with_5_whatever_the_server_says() {
    side_by_side(&Kind::here(), |&kind| {
        // One poll, which comes long before either clock has the code expired, and no time for another.
        let server = Server::start(kind, Options { expires: Some(20), interval: Some(10) });
        let tap = Tap::on(&server);
        let login = Login::start(&[by_endpoints(&tap), vec!["--json"]].concat());

        let ended = login.end();
        let error = ended.error();
        assert_eq!((ended.exit, &error["code"], &error["retryable"]), (5, &"expired".into(), &true.into()));
        // What is left of it when it is shown, which is later than the server's answer.
        let (shown, answered) = (ended.events()[0]["expires_in"].clone(), tap.device_answer()["expires_in"].clone());
        assert!((1..=answered.as_u64().unwrap()).contains(&shown.as_u64().unwrap()), "{shown} of {answered}");
        // No second code, which would need the person.
        let answers: Vec<_> = tap.exchanges()[1..].iter().map(|exchange| exchange.json()["error"].clone()).collect();
        assert_eq!(answers, ["authorization_pending"]);
    });
}

#[test]
fn an_unknown_client_ends_with_7_and_the_servers_description() {
    side_by_side(&Kind::here(), |&kind| {
        let server = Server::shared(kind);
        let tap = Tap::on(&server);
        let words = by_endpoints(&tap);
        let words: Vec<_> = words.iter().map(|word| if *word == PUBLIC { "nobody" } else { word }).collect();

        let ended = Login::start(&[words, vec!["--json"]].concat()).end();
        let (error, answer) = (ended.error(), tap.device_answer());
        assert_eq!((ended.exit, &error["code"]), (7, &answer["error"]));
        let description = answer["error_description"].as_str().unwrap();
        assert!(error["message"].as_str().unwrap().contains(description), "{error}");
        assert_eq!(tap.exchanges().len(), 1, "a refused request was repeated");
    });
}

#[test]
fn a_client_secret_comes_from_a_file_or_from_stdin() {
    let (id, secret) = BASIC;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    let file = file.to_str().unwrap();

    let kinds = Kind::of(&[Kind::OidcProvider, Kind::Authlib, Kind::Keycloak]);
    side_by_side(&kinds, |&kind| {
        let from = if kind == Kind::OidcProvider { "-" } else { file };
        let server = Server::shared(kind);
        let issuer = server.issuer();
        let words = [by_issuer(&issuer, id), vec!["--client-secret-file", from, "--json"]].concat();
        let mut login = Login::start_with_stdin(&words, if from == "-" { secret } else { "" });
        server.approve(&login.code_from_json());
        let ended = login.end();
        assert_eq!(ended.exit, 0, "{}", ended.stdout);
        assert!(!ended.stdout.contains(&secret[..6]), "{}", ended.stdout);

        // Without the secret the server refuses: it was needed.
        let ended = Login::start(&[by_issuer(&issuer, id), vec!["--json"]].concat()).end();
        let code = if kind == Kind::Keycloak { "unauthorized_client" } else { "invalid_client" };
        assert_eq!((ended.exit, &ended.error()["code"]), (7, &code.into()));
    });
}

// Servers differ: Authlib demands the secret of device-post in the body, django-oauth-toolkit the client ID beside the
// header.
#[test]
fn how_a_secret_is_sent_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = |secret: &str| {
        let file = folder.path().join(secret.len().to_string());
        std::fs::write(&file, secret).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let mut cases = vec![
        (Kind::Authlib, POST, vec!["--client-auth", "post"]),
        (Kind::DjangoOauthToolkit, BASIC, vec!["--client-auth", "basic", "--client-id-in-body"]),
        (Kind::OidcProvider, POST, vec!["--client-auth", "post"]),
    ];
    // Keycloak takes either for the same client.
    for kind in Kind::of(&[Kind::Keycloak]) {
        cases.extend([(kind, BASIC, vec!["--client-auth", "basic"]), (kind, BASIC, vec!["--client-auth", "post"])]);
    }
    side_by_side(&cases, |(kind, (id, secret), how)| {
        let server = Server::shared(*kind);
        let (device, token) = (server.device_authorization_endpoint(), server.token_endpoint());
        let file = secret_file(secret);
        let words = ["--device-endpoint", &device, "--token-endpoint", &token, "--client-id", id, "--scope", "openid"];
        let words = [words.to_vec(), vec!["--client-secret-file", &file, "--json"], how.clone()].concat();
        let mut login = Login::start(&words);
        server.approve(&login.code_from_json());
        let ended = login.end();
        assert_eq!(ended.exit, 0, "{}", ended.stdout);
    });
}

#[test]
fn ctrl_c_ends_the_wait_at_once_with_130() {
    // The next poll is far away: the wait ends neither there nor when the code expires.
    let server = Server::start(Kind::OidcProvider, Options { interval: Some(300), ..Options::default() });
    let tap = Tap::on(&server);
    let mut login = Login::start(&[by_endpoints(&tap), vec!["--json"]].concat());
    login.code_from_json();

    let pressed = Instant::now();
    kill_process(Pid::from_child(&login.child), Signal::INT).unwrap();
    let ended = login.end();
    assert!(pressed.elapsed() < Duration::from_secs(30), "{:?}", pressed.elapsed());
    assert_eq!(tap.exchanges().len(), 1, "it has polled");
    assert_eq!((ended.exit, &ended.error()["code"]), (130, &"cancelled".into()));
}

/// RFC 8628 §3.5.
#[test]
fn a_slow_down_is_reported_and_obeyed() {
    side_by_side(&Kind::of(&[Kind::Authlib, Kind::Keycloak]), |&kind| {
        let server = Server::start(kind, Options { interval: Some(4), ..Options::default() });
        let tap = Tap::with_a_poll_before_the_first(&server);
        let mut login = Login::start(&[by_endpoints(&tap), vec!["--json"]].concat());
        let code = login.code_from_json();
        // The server would answer an early poll of an approved code with the tokens.
        tap.after_polls(1);
        server.approve(&code);

        let ended = login.end();
        assert_eq!(ended.exit, 0, "{}", ended.stdout);
        ended.keeps_secrets(&tap);
        let events = ended.events();
        let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
        assert_eq!(names, ["device_code", "slow_down", "success"]);
        assert_eq!(events[1]["interval"], 9);
        let quiet = tap.quiet_before_polls();
        assert!(quiet.len() >= 2 && quiet[1..].iter().all(|quiet| *quiet >= Duration::from_secs(9)), "{quiet:?}");
    });
}
