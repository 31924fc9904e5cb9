//! The binary as people and scripts run it, with the demo server: exit codes, output, signals.
#![cfg(unix)]

use crate::program::schema;
use device_flow_cli::demo::{CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, Options, Server};
use device_flow_testkit::black_hole::ClosedPort;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A demo server and its runtime.
struct Site {
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    fn start(lifetime: u64) -> Self {
        Self::with_interval(lifetime, 1)
    }

    fn with_interval(lifetime: u64, interval: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = Options {
            interval: Duration::from_secs(interval),
            code_lifetime: Duration::from_secs(lifetime),
            ..Options::default()
        };
        let server = runtime.block_on(Server::start(options)).unwrap();
        Self { server: Some(server), runtime }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// `login` at this server.
    fn login(&self, more: &[&str]) -> Command {
        let mut command = device_flow();
        command.args(["login", "--issuer", self.server().base_url(), "--allow-http-loopback"]);
        if !more.contains(&"--client-id") {
            command.args(["--client-id", "my-app"]);
        }
        command.args(more);
        command
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}

fn device_flow() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_device-flow"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("LANG", "C.UTF-8");
    command.env("DEVICE_FLOW_STORE", "memory");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Reads lines until one contains the code.
fn code_from(
    reader: impl std::io::Read,
    line_with_code: impl Fn(&str) -> Option<String>,
) -> (String, impl std::io::Read) {
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the output ended without a code");
        if let Some(code) = line_with_code(&line) {
            return (code, reader);
        }
    }
}

fn human_code(line: &str) -> Option<String> {
    line.trim().strip_prefix("2. Enter the code").map(|code| code.trim().to_owned())
}

fn json_code(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).unwrap();
    (value["event"] == "device_code").then(|| value["user_code"].as_str().unwrap().to_owned())
}

/// Runs `login --json`, lets `decide` handle the code, and returns the exit code and all events.
fn json_login(site: &Site, more: &[&str], decide: impl Fn(&Server, &str)) -> (i32, Vec<Value>) {
    let mut child = site.login(&[&["--json"], more].concat()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut events: Vec<Value> = vec![];
    while let Some(line) = lines.next().transpose().unwrap() {
        no_control_characters(&line);
        let event: Value = serde_json::from_str(&line).unwrap();
        assert!(line.starts_with(r#"{"v":1,"event":""#), "{line}");
        if event["event"] == "device_code" {
            decide(site.server(), event["user_code"].as_str().unwrap());
        }
        events.push(event);
    }
    let output = child.wait_with_output().unwrap();
    no_tokens(&String::from_utf8(output.stderr).unwrap());
    let ends = events.iter().filter(|event| event["event"] == "success" || event["event"] == "error").count();
    assert_eq!(ends, 1, "exactly one terminal event: {events:?}");
    for event in &events {
        no_tokens(&event.to_string());
    }
    (output.status.code().unwrap(), events)
}

/// The demo's tokens and device codes are 43 characters of base64url.
fn no_tokens(text: &str) {
    let run = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).find(|run| run.len() >= 43);
    assert_eq!(run, None, "a secret is in the output");
}

/// No control, bidirectional, line-breaking or invisible character.
fn no_control_characters(text: &str) {
    let acts = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    assert!(!text.chars().any(acts), "{text:?}");
}

fn text(output: &Output) -> (String, String) {
    let (stdout, stderr) =
        (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap());
    no_tokens(&stdout);
    no_tokens(&stderr);
    schema::check(&stdout);
    (stdout, stderr)
}

fn exit(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let (stdout, stderr) = text(&output);
    (output.status.code().unwrap(), stdout, stderr)
}

// RFC 8628 §5.4, §3.3, §3.3.1, R10027-6.1.14-1: what a person sees, and exit 0.
#[test]
fn a_person_signs_in() {
    let site = Site::start(60);
    let mut child = site.login(&["--scope", "openid profile", "--scope", "email"]).spawn().unwrap();
    let (code, mut rest) = code_from(child.stderr.take().unwrap(), human_code);
    assert!(site.server().approve(&code));
    let output = child.wait_with_output().unwrap();
    let (stdout, _) = text(&output);
    let mut stderr = String::new();
    rest.read_to_string(&mut stderr).unwrap();
    no_tokens(&stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stdout.starts_with(&format!("Signed in to {}\n", site.server().base_url())), "{stdout}");
    assert!(stdout.contains("scopes         openid profile email"), "{stdout}");
    assert!(stdout.contains("(43 characters), expires at"), "{stdout}");
    assert!(stderr.contains(&format!("{}/device?user_code={code}", site.server().base_url())), "{stderr}");
    assert!(stderr.contains("Never enter a code that someone sent you"), "{stderr}");
    no_control_characters(&(stdout + &stderr));
    assert_eq!(site.server().requests_to("/device_authorization"), 1);
}

// R8628-3.3-1, R8628-3.3-2, R8628-3.3.1-2, R8628-3.3.1-3, R8628-5.4-1, R10027-6.1.14-1, R10027-6.1.14-2.
#[test]
fn a_person_is_told_who_asks_for_what_and_how_it_ended() {
    let site = Site::start(60);
    let base = site.server().base_url().to_owned();
    let (code, _, told) = exit(&mut site.login(&["--scope", "openid profile", "--timeout", "1"]));
    assert_eq!(code, 5, "{told}");
    let who = told.find(&format!("Sign in to {base} as client \"my-app\"   (scopes: openid profile)\n")).unwrap();
    let address = told.find(&format!("  1. On any device, open   {base}/device\n")).unwrap();
    let user_code = told.lines().find_map(human_code).unwrap();
    let complete = format!("  or open  {base}/device?user_code={user_code}  and check that it shows the same code.\n");
    let warning =
        "You started this sign-in. Never enter a code that someone sent you, and never send this one to anyone.";
    let ended = told.find("nobody approved the sign-in within 1 s").unwrap();
    let places = [
        who,
        address,
        told.find(&user_code).unwrap(),
        told.find(&complete).unwrap(),
        told.find(warning).unwrap(),
        ended,
    ];
    assert!(places.is_sorted(), "{told}");
    no_tokens(&told);
}

// E13.
#[test]
fn scripts_read_json_lines() {
    let site = Site::start(60);
    let (exit, events) =
        json_login(&site, &["--scope", "openid offline_access"], |server, code| assert!(server.approve(code)));
    assert_eq!(exit, 0, "{events:?}");
    let success = events.last().unwrap();
    assert_eq!(success["scope"], "openid offline_access");
    assert_eq!(success["refreshable"], true);
    assert_eq!(events[0]["issuer"], site.server().base_url());
    // What is left of it when it is shown.
    assert!((1..=60).contains(&events[0]["expires_in"].as_u64().unwrap()), "{}", events[0]);
    assert_eq!(events[0]["interval"], 1);
}

// B06.
#[test]
fn a_refusal_ends_with_3() {
    let site = Site::start(60);
    let (exit, events) = json_login(&site, &[], |server, code| assert!(server.deny(code)));
    assert_eq!(exit, 3);
    let error = events.last().unwrap();
    assert_eq!(
        (error["code"].as_str(), error["exit"].as_u64(), error["retryable"].as_bool()),
        (Some("access_denied"), Some(3), Some(false))
    );
}

// B06, R8628-3.1-10, R8628-3.5-10, rule 8.
#[test]
fn an_expired_code_ends_with_5_and_nothing_restarts() {
    let site = Site::start(3);
    let (exit, events) = json_login(&site, &[], |_, _| {});
    assert_eq!(exit, 5);
    let error = events.last().unwrap();
    assert_eq!((error["code"].as_str(), error["retryable"].as_bool()), (Some("expired"), Some(true)));
    assert_eq!(site.server().requests_to("/device_authorization"), 1);
}

#[test]
fn a_time_limit_ends_with_5() {
    let site = Site::start(60);
    let (exit, events) = json_login(&site, &["--timeout", "1s"], |_, _| {});
    assert_eq!((exit, events.last().unwrap()["code"].as_str()), (5, Some("timeout")));
}

// C01: three more tries, reported in one line each, then 6.
#[test]
fn an_unreachable_server_ends_with_6() {
    let closed = ClosedPort::new();
    let address = closed.base();
    let (code, stdout, stderr) =
        exit(device_flow().args(["login", "--issuer", &address, "--client-id", "x", "--allow-http-loopback"]));
    assert_eq!((code, stdout.as_str()), (6, ""), "{stderr}");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("No usable answer")).count(), 3, "{stderr}");
    assert!(stderr.contains("refused"), "{stderr}");
}

// C01, E13: programs get the kind of failure by name.
#[test]
fn an_outage_has_a_name_for_programs() {
    let closed = ClosedPort::new();
    let address = closed.base();
    let words = ["login", "--issuer", &address, "--client-id", "x", "--allow-http-loopback", "--json"];
    let (code, stdout, _) = exit(device_flow().args(words));
    assert_eq!(code, 6);
    let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0].to_string(), r#"{"attempt":1,"event":"transient","kind":"connect","retry_in":1,"v":1}"#);
    assert_eq!(
        (events.len(), events[3]["code"].as_str(), events[3]["retryable"].as_bool()),
        (4, Some("network"), Some(true))
    );
}

// B07, A34, A35, E12, C11: whatever a server sends is shown on one line without changing the terminal.
#[test]
fn hostile_texts_are_escaped() {
    let evil =
        "\\u001b[2J\\u001b]52;c;ZXZpbA==\\u0007\\r\\n\\u202efake\\u009b31m\\u2028\\u2029\\u2066\\u200b\\u061c\\ufeff"
            .to_owned()
            + &"A ".repeat(20_000);
    for (body, status, expected) in [
        (format!(r#"{{"error":"invalid_scope","error_description":"{evil}"}}"#), "400 Bad", 7),
        (format!(r#"{{"error":"{evil}"}}"#), "400 Bad", 7),
        ("<html>\u{1b}[2J hotel wifi</html>".to_owned(), "200 OK", 7),
        (String::new(), "302 Found\r\nLocation: https://user:canary-password@evil.example/", 7),
        (
            r#"{"device_code":"d","user_code":"A\u001b[2JB","verification_uri":"https://as/x","expires_in":9}"#
                .to_owned(),
            "200 OK",
            7,
        ),
        (
            r#"{"device_code":"d","user_code":"AB","verification_uri":"javascript:alert(1)","expires_in":9}"#
                .to_owned(),
            "200 OK",
            7,
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let (code, stdout, stderr) = exit(device_flow().args([
            "login",
            "--device-endpoint",
            &url,
            "--token-endpoint",
            &url,
            "--client-id",
            "x",
            "--allow-http-loopback",
        ]));
        serving.join().unwrap();
        assert_eq!((code, stdout.as_str()), (expected, ""), "{stderr}");
        no_control_characters(&stderr);
        assert!(!stderr.contains("canary"), "a secret is in the output");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.chars().count() < 700, "{stderr}");
    }
}

// C16, E14, G06, G07, G08, C21.
#[test]
fn mistakes_on_the_command_line_end_with_2_before_any_request() {
    let site = Site::start(60);
    let url = site.server().base_url().to_owned();
    let folder = std::env::temp_dir();
    let empty = folder.join(format!("device-flow-test-empty-{}", std::process::id()));
    std::fs::write(&empty, "").unwrap();
    let empty_name = empty.to_str().unwrap();
    for (words, says) in [
        (vec!["login"], "--provider"),
        (vec!["login", "--issuer", &url, "--allow-http-loopback"], "--client-id"),
        (vec!["login", "--client-id", "x"], "--provider"),
        (vec!["login", "--client-id", "x", "--issuer", &url, "--provider", "github"], "cannot be used with"),
        (vec!["login", "--client-id", "x", "--device-endpoint", &url], "--token-endpoint"),
        (vec!["login", "--client-id", "x", "--issuer", &url], "not an https address"),
        (
            vec!["login", "--client-id", "x", "--issuer", "http://example.com", "--allow-http-loopback"],
            "not an https address",
        ),
        (vec!["login", "--client-id", "x", "--issuer", "https://as/?x=1"], "query"),
        (vec!["login", "--client-id", "", "--issuer", &url, "--allow-http-loopback"], "client id"),
        (vec!["login", "--client-id", "x", "--issuer", &url, "--allow-http-loopback", "--scope", "a\"b"], "scope"),
        (
            vec!["login", "--client-id", "x", "--issuer", &url, "--allow-http-loopback", "--resource", "relative"],
            "resource",
        ),
        (vec!["login", "--client-id", "x", "--issuer", &url, "--client-secret", "s"], "unexpected argument"),
        (
            vec!["login", "--client-id", "x", "--issuer", &url, "--client-secret-file", "/does/not/exist"],
            "--client-secret-file",
        ),
        (vec!["login", "--client-id", "x", "--issuer", &url, "--ca-file", "/does/not/exist"], "--ca-file"),
        (vec!["login", "--client-id", "x", "--issuer", &url, "--ca-file", empty_name], "root certificates"),
        (vec!["login", "--client-id", "x", "--issuer", &url, "--ca-file", "/"], "--ca-file"),
        (vec!["login", "--client-id", "x", "--issuer", &url, "--proxy", "socks4://h:1"], "socks5://host:port"),
        (vec!["login", "--client-id", "x", "--provider", "github", "--host", "a/b"], "host name"),
        (vec!["login", "--client-id", "x", "--provider", "entra", "--tenant", "../x"], "tenant"),
        (vec!["login", "--client-id", "x", "--issuer", &url, "--timeout", "soon"], "write a time like"),
        (vec!["demo", "--port", "99999"], "--port"),
        (vec!["frobnicate"], "unrecognized"),
    ] {
        let (code, stdout, stderr) = exit(device_flow().args(&words));
        assert_eq!((code, stdout.as_str()), (2, ""), "{words:?}: {stderr}");
        assert!(stderr.contains(says), "{words:?}: {stderr}");
    }
    std::fs::remove_file(&empty).unwrap();
    assert_eq!(site.server().requests_to("/device_authorization"), 0);
    for (words, says) in
        [(["--help"].as_slice(), "Examples:"), (&["--version"], "device-flow 0."), (&["login", "--help"], "--issuer")]
    {
        let (code, stdout, _) = exit(device_flow().args(words));
        assert_eq!(code, 0);
        assert!(stdout.contains(says), "{stdout}");
    }
}

// RFC 6749 §2.3.1: a secret from a file or from stdin, sent as the metadata lists it.
#[test]
fn a_secret_comes_from_a_file_or_stdin() {
    let site = Site::start(60);
    let file = std::env::temp_dir().join(format!("device-flow-test-secret-{}", std::process::id()));
    std::fs::write(&file, format!("{CONFIDENTIAL_CLIENT_SECRET}\n")).unwrap();
    let words = ["--client-id", CONFIDENTIAL_CLIENT_ID, "--client-secret-file", file.to_str().unwrap()];
    let (exit_code, events) = json_login(&site, &words, |server, code| assert!(server.approve(code)));
    assert_eq!(exit_code, 0, "{events:?}");
    std::fs::remove_file(&file).unwrap();

    let words = ["--client-id", CONFIDENTIAL_CLIENT_ID, "--client-secret-file", "-", "--json"];
    let mut child = site.login(&words).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"wrong-canary\r\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(7), "{stdout}{stderr}");
    assert!(stdout.contains(r#""code":"invalid_client""#) && !(stdout + &stderr).contains("canary"));
}

// E04: nobody could see the code, so none is requested.
#[test]
fn without_a_visible_stderr_it_ends_with_9_before_asking_for_a_code() {
    let site = Site::start(60);
    let output = site.login(&[]).stderr(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    assert_eq!(site.server().requests(), 0);
    // A stderr that is closed altogether.
    let shell = format!(
        "exec {} login --issuer {} --client-id x --allow-http-loopback 2>&-",
        env!("CARGO_BIN_EXE_device-flow"),
        site.server().base_url()
    );
    let status = Command::new("sh").args(["-c", &shell]).stdout(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(9));
    assert_eq!(site.server().requests(), 0);
}

// E05, E02: a result that could not be written is no success.
#[cfg(target_os = "linux")]
#[test]
fn a_full_or_closed_stdout_is_not_success() {
    let site = Site::start(60);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child = site.login(&[]).stdout(full).spawn().unwrap();
    let (code, mut rest) = code_from(child.stderr.take().unwrap(), human_code);
    assert!(site.server().approve(&code));
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut stderr = String::new();
    rest.read_to_string(&mut stderr).unwrap();
    assert!(stderr.contains("could not be written"), "{stderr}");

    let mut child = site.login(&["--json"]).spawn().unwrap();
    let (_, reader) = code_from(child.stdout.take().unwrap(), json_code);
    drop(reader);
    // The next event is the last one.
    kill_process(pid(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "without a message");
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

// E01, E02: at once, with an event, and not at the next poll.
#[test]
fn signals_end_the_wait_at_once() {
    let site = Site::with_interval(1_200, 300);
    for (signal, exit, code) in [(Signal::INT, 130, "cancelled"), (Signal::TERM, 143, "terminated")] {
        let mut child = site.login(&["--json"]).spawn().unwrap();
        let (_, mut rest) = code_from(child.stdout.take().unwrap(), json_code);
        let asked = Instant::now();
        kill_process(pid(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
        assert_eq!(status.code(), Some(exit));
        let mut stdout = String::new();
        rest.read_to_string(&mut stdout).unwrap();
        let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        assert_eq!((last["event"].as_str(), last["code"].as_str()), (Some("error"), Some(code)));
    }
}

// E03: polling goes on, whatever stdin is.
#[test]
fn stdin_does_not_matter() {
    let site = Site::start(60);
    let mut endless = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
    let mut child = site.login(&["--json"]).stdin(endless.stdout.take().unwrap()).spawn().unwrap();
    let (code, _reader) = code_from(child.stdout.take().unwrap(), json_code);
    assert!(site.server().approve(&code));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // It may have ended already, since nobody reads its output any more.
    let _ = endless.kill();
    endless.wait().unwrap();
}

/// Runs it until it shows the code, interrupts it, and returns the exit code and its stderr.
fn interrupted_at_the_code(command: &mut Command) -> (Option<i32>, String) {
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("Enter the code") {
        assert_ne!(stderr.read_line(&mut told).unwrap(), 0, "the output ended without a code: {told}");
    }
    kill_process(pid(&child), Signal::INT).unwrap();
    stderr.read_to_string(&mut told).unwrap();
    (child.wait().unwrap().code(), told)
}

// E06: no escape byte where none is wanted, and only ASCII where the locale has no more.
#[test]
fn no_escape_codes_without_a_terminal_that_wants_them() {
    let site = Site::start(60);
    for (name, value) in [("TERM", "dumb"), ("NO_COLOR", "1"), ("LC_ALL", "C"), ("ACCESSIBLE", "1"), ("NO_COLOR", "")] {
        let (code, told) = interrupted_at_the_code(site.login(&[]).env(name, value));
        assert_eq!(code, Some(130));
        no_control_characters(&told);
        assert!(told.is_ascii() && told.contains("Enter the code"), "{told}");
    }
    // On request there are.
    let (_, told) = interrupted_at_the_code(&mut site.login(&["--color", "always"]));
    assert!(told.contains("\u{1b}[1m"), "{told}");
}

// A flag takes precedence over the environment.
#[test]
fn the_environment_fills_in_what_flags_leave_out() {
    let site = Site::start(60);
    let mut command = device_flow();
    command.args(["login", "--allow-http-loopback"]).env("DEVICE_FLOW_ISSUER", site.server().base_url());
    command.env("DEVICE_FLOW_CLIENT_ID", "from-the-environment").env("DEVICE_FLOW_JSON", "1");
    let mut child = command.spawn().unwrap();
    let (code, _reader) = code_from(child.stdout.take().unwrap(), json_code);
    assert!(site.server().approve(&code));
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let mut command = site.login(&["--timeout", "5"]);
    command.env("DEVICE_FLOW_CLIENT_ID", "loses").env("DEVICE_FLOW_TIMEOUT", "50s");
    let (code, _, stderr) = exit(&mut command);
    assert_eq!(code, 5);
    assert!(stderr.contains("as client \"my-app\""), "{stderr}");
}

#[test]
fn the_demo_approves_itself() {
    let (code, stdout, stderr) = exit(device_flow().args(["demo", "--yes", "--interval", "1s"]));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("account        Ada Demo <ada@example.com>"), "{stdout}");
    assert!(stderr.starts_with("A small authorization server runs at http://127.0.0.1:"), "{stderr}");
}

// W13: nobody has to see a code that approves itself.
#[cfg(unix)]
#[test]
fn w13_the_demo_that_approves_itself_needs_nobody_to_see_it() {
    for (redirections, expected) in [
        (">/dev/null 2>&1", 0),
        (">&- 2>&-", 0),
        ("2>&-", 0),
        (">/dev/null 2>&-", 0),
        ("</dev/null >&- 2>/dev/null", 0),
    ] {
        let script = format!("exec \"$0\" demo --yes --interval 1s {redirections}");
        let status = Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_device-flow")]).status().unwrap();
        assert_eq!(status.code(), Some(expected), "{redirections}");
    }
    let (code, _, stderr) =
        exit(Command::new("sh").args(["-c", "exec \"$0\" demo 2>/dev/null", env!("CARGO_BIN_EXE_device-flow")]));
    assert_eq!((code, stderr.as_str()), (9, ""), "a person would have to see this one");
}

// S05: the world of `demo` for another process: an account, and tokens to ask for it.
#[test]
fn s05_the_served_demo_has_an_account() {
    let judging = ["demo", "--serve", "--judge", "--json", "--interval", "1s", "--decide", "approve"];
    let mut server = device_flow().args(judging).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();
    schema::check(&url);
    let url: Value = serde_json::from_str(&url).unwrap();
    let url = url["base_url"].as_str().unwrap().to_owned();
    let login = ["login", "--issuer", &url, "--client-id", "x", "--scope", "openid profile", "--allow-http-loopback"];
    let (code, stdout, stderr) = exit(device_flow().args(login).args(["--store", "none", "--json"]));
    assert_eq!(code, 0, "{stderr}");
    let success: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(success["account"], "ada", "{stdout}");
    let verdict = lines.next().unwrap().unwrap();
    schema::check(&verdict);
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!(
        (&verdict["event"], &verdict["client_id"], &verdict["end"]),
        (&json!("verdict"), &json!("x"), &json!("signed_in"))
    );
    let rules = verdict["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["verdict"] != "broken"), "our own client: {verdict}");
    kill_process(pid(&server), Signal::INT).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(130));
}

// Here for another process of ours.
#[test]
fn the_demo_serves_other_clients() {
    let mut server = device_flow().args(["demo", "--serve", "--json", "--interval", "1s"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url: Value = serde_json::from_str(&line).unwrap();
    let url = url["base_url"].as_str().unwrap().to_owned();
    let (code, _, stderr) = exit(device_flow().args([
        "login",
        "--issuer",
        &url,
        "--client-id",
        "x",
        "--allow-http-loopback",
        "--timeout",
        "6s",
    ]));
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("Enter the code"), "{stderr}");
    kill_process(pid(&server), Signal::INT).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(130));
}
