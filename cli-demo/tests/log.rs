//! `-v` and `-vv`: a log on stderr, line by line, that never contains a secret.
#![cfg(unix)]

use crate::program;
use device_flow_testkit::loopback::{self, Authority, JSON, Loopback};
use device_flow_testkit::rotating::Rotating;
use device_flow_testkit::secrets::none_in;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn device_flow(home: &Path) -> Command {
    let mut command = program::program("device-flow", home);
    command.env("DEVICE_FLOW_STORE", "file");
    command
}

/// A rotating server, a home, and a secret in a file.
struct Site {
    server: Rotating,
    home: tempfile::TempDir,
    secret: PathBuf,
}

impl Site {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let secret = home.path().join("secret");
        fs::write(&secret, "SEC-canary\n").unwrap();
        Self { server: Rotating::new(3_600), home, secret }
    }

    /// Exit code, stdout and stderr of a sub-command about this server.
    fn run(&self, words: &[&str]) -> (i32, String, String) {
        let url = |path| self.server.server.url(path);
        let mut command = device_flow(self.home.path());
        command.args(words).args(["--client-id", "my-app", "--allow-http-loopback", "--scope", "mail"]);
        command.args(["--device-endpoint", &url("/device"), "--token-endpoint", &url("/token")]);
        command.args(["--revocation-endpoint", &url("/revoke")]);
        command.arg("--client-secret-file").arg(&self.secret);
        program::ended(&mut command)
    }
}

/// Each line begins with the seconds since the start.
fn assert_lines(stderr: &str) {
    for line in stderr.lines() {
        let (seconds, rest) = line.split_once(' ').unwrap();
        assert!(seconds.parse::<f64>().is_ok() && !rest.is_empty(), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

// E13: all output at the highest verbosity, except for the token that was asked for.
#[test]
fn g11_nothing_secret_is_logged_from_the_sign_in_to_the_sign_out() {
    let site = Site::start();
    let (exit, stdout, stderr) = site.run(&["-vv", "--json", "login"]);
    assert_eq!(exit, 0, "{stdout}");
    none_in(&stdout);
    none_in(&stderr);
    assert_lines(&stderr);
    // The user code is not logged either.
    assert!(!stderr.contains("WDJB"), "{stderr}");
    let token = site.server.server.url("/token");
    for text in [
        "no profile is used (".to_owned(),
        format!("client my-app of {token}\n"),
        "tokens are stored in /".to_owned(),
        "a code is needed: nobody is signed in\n".to_owned(),
        format!("POST {}: HTTP status 200, ", site.server.server.url("/device")),
        " s; polling every 1 s\n".to_owned(),
        " s, the interval\n".to_owned(),
        format!("POST {token}: HTTP status 200, "),
        "the token is from a code\n".to_owned(),
        // Of the libraries.
        "reqwest: starting new connection".to_owned(),
        "hyper_util: ".to_owned(),
    ] {
        assert!(stderr.contains(&text), "{text}\n{stderr}");
    }

    let (exit, stdout, stderr) = site.run(&["-vv", "token"]);
    assert_eq!((exit, stdout.as_str()), (0, "AT-canary-1\n"));
    none_in(&stderr);
    assert!(
        stderr.contains("profile default (") && stderr.contains("the token is from the store, without a request"),
        "{stderr}"
    );
    assert!(!stderr.contains("POST"), "{stderr}");

    let (exit, stdout, stderr) = site.run(&["-vv", "token", "--min-ttl", "2h"]);
    assert_eq!((exit, stdout.as_str()), (0, "AT-canary-2\n"));
    none_in(&stderr);
    assert!(
        stderr.contains("the token is from a refresh\n") && stderr.contains(&format!("POST {token}: ")),
        "{stderr}"
    );

    for (words, text) in [
        (&["-vv", "--json", "refresh"][..], format!("POST {token}: HTTP status 200, ")),
        (&["-vv", "--json", "doctor", "--try"], format!("POST {}: ", site.server.server.url("/device"))),
        (&["-vv", "--json", "discover"], "no profile is used".replace("no profile is used", "profile default")),
        (&["-vv", "--json", "logout"], format!("POST {}: HTTP status 200, ", site.server.server.url("/revoke"))),
    ] {
        let (exit, stdout, stderr) = site.run(words);
        assert_eq!(exit, 0, "{stdout}");
        none_in(&stdout);
        none_in(&stderr);
        assert_lines(&stderr);
        assert!(stderr.contains(&text), "{text}\n{stderr}");
    }
}

// A query may contain a key, and an answer anything.
#[test]
fn g11_queries_and_answers_stay_out() {
    let authority = Authority::new();
    let server = Loopback::https(authority.server(&["localhost"]), |asked, wire| match &*asked.target {
        "/device?key=canary" => loopback::device_answer(wire),
        _ => loopback::answer(wire, 400, JSON, r#"{"error":"access_denied","error_description":"x\r\n\u001b[2Jy"}"#),
    });
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("root.pem");
    fs::write(&root, authority.pem()).unwrap();
    let base = format!("https://localhost:{}", server.port());
    let mut command = device_flow(home.path());
    command.args(["-vv", "--json", "login", "--client-id", "my-app", "--ca-file"]).arg(&root);
    command.args([
        "--device-endpoint",
        &format!("{base}/device?key=canary"),
        "--token-endpoint",
        &format!("{base}/token"),
    ]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    none_in(&stderr);
    assert_lines(&stderr);
    assert!(stderr.contains(&format!("POST {base}/device: HTTP status 200, ")), "{stderr}");
    assert!(stderr.contains("rustls: "), "{stderr}");
}

#[test]
fn one_v_logs_our_own_lines_and_none_logs_nothing() {
    let site = Site::start();
    let (exit, stdout, stderr) = site.run(&["login", "--json"]);
    assert_eq!((exit, stderr.as_str()), (0, ""), "{stdout}");
    let (exit, _, stderr) = site.run(&["refresh", "--json", "-v"]);
    assert_eq!(exit, 0);
    assert_lines(&stderr);
    assert!(stderr.contains("POST ") && !stderr.contains("hyper_util") && !stderr.contains("reqwest"), "{stderr}");
    let lines_of_refresh = stderr.lines().count();

    // The environment can set it; an empty variable counts as unset.
    let with = |value: &str| {
        let mut command = device_flow(site.home.path());
        let output = command.args(["list", "--json"]).env("DEVICE_FLOW_VERBOSE", value).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!((with("").0, with("0").1.as_str()), (0, ""));
    assert_eq!(with("loud").0, 2);
    let mut command = device_flow(site.home.path());
    let output = command.args(["status", "--json"]).env("DEVICE_FLOW_VERBOSE", "1").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("profile default (") && stderr.lines().count() < lines_of_refresh, "{stderr}");
}

// E05: lines that cannot be written do not matter.
#[test]
fn e04_a_log_that_leads_nowhere_stops_nothing() {
    let site = Site::start();
    assert_eq!(site.run(&["login", "--json"]).0, 0);
    for place in ["2>&-", "2>/dev/full"] {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("\"$0\" -vv token {place}"), env!("CARGO_BIN_EXE_device-flow")]);
        shell.env("HOME", site.home.path()).env("DEVICE_FLOW_STORE", "file").env("DEVICE_FLOW_CLIENT_SECRET_FILE", "");
        let output = shell.stdin(Stdio::null()).output().unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"AT-canary-1\n"[..]), "{place}");
    }
}
