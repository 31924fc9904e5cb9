//! The binary with stored tokens: a second `login` is silent while the token is valid, refreshes it afterwards, and
//! says why it shows a code.
#![cfg(unix)]

use crate::program;
use device_flow_cli::demo::{Options, Server};
use device_flow_testkit::rotating::Rotating;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// `login` with the file store.
fn login(home: &Path, words: &[&str]) -> Command {
    let mut command = program::program("device-flow", home);
    command.args(["login", "--client-id", "my-app", "--allow-http-loopback"]).args(words);
    command.env("DEVICE_FLOW_STORE", "file");
    command
}

/// Exit code, stdout, stderr; without a secret.
fn ended(command: &mut Command) -> (i32, String, String) {
    let (exit, stdout, stderr) = program::ended(command);
    assert!(!(stdout.clone() + &stderr).contains("canary"), "a secret is in the output");
    (exit, stdout, stderr)
}

#[test]
fn a_code_then_silence_then_a_refresh_then_after_a_revocation_another_code() {
    let (server, home) = (Rotating::new(3_600), tempfile::tempdir().unwrap());
    let endpoints = [server.server.url("/device"), server.server.url("/token")];
    let words = ["--device-endpoint", &endpoints[0], "--token-endpoint", &endpoints[1], "--scope", "mail"];
    let again = || ended(&mut login(home.path(), &words));

    let (exit, stdout, stderr) = again();
    assert_eq!(exit, 0, "{stderr}");
    assert!(stderr.contains("2. Enter the code        WDJB-MJHT"), "{stderr}");
    assert!(
        stdout.starts_with("Signed in to http://") && stdout.contains("refresh token  ... (11 characters)"),
        "{stdout}"
    );
    let file = home.path().join(".local/state/device-flow/tokens.json.unshared");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    // While the token is valid: no request.
    let asked = server.requests();
    let (exit, stdout, stderr) = again();
    assert_eq!((exit, server.requests(), stderr.as_str()), (0, asked, ""));
    assert!(stdout.contains("(stored earlier, still valid)") && stdout.contains("refresh token  stored"), "{stdout}");
    assert!(stdout.contains("expires at"), "{stdout}");

    // After that: one refresh.
    let text = std::fs::read_to_string(&file).unwrap();
    let mut cache: Value = serde_json::from_str(&text).unwrap();
    cache["AccessToken"].as_object_mut().unwrap().values_mut().for_each(|token| token["expires_on"] = "1".into());
    std::fs::write(&file, cache.to_string()).unwrap();
    let (exit, stdout, stderr) = again();
    assert_eq!((exit, server.requests(), server.refreshes(), stderr.as_str()), (0, asked + 1, 1, ""));
    assert!(stdout.contains("(refreshed)"), "{stdout}");

    // After a revocation: the reason, and a code.
    server.revoke();
    cache["RefreshToken"]
        .as_object_mut()
        .unwrap()
        .values_mut()
        .for_each(|token| token["secret"] = "RT-canary-2".into());
    std::fs::write(&file, cache.to_string()).unwrap();
    let (exit, _, stderr) = again();
    assert_eq!(exit, 0, "{stderr}");
    assert!(stderr.starts_with("Sign in again: invalid_grant"), "{stderr}");
    assert!(stderr.contains("WDJB-MJHT"), "{stderr}");

    // A code can be forced.
    let (exit, _, stderr) = ended(&mut login(home.path(), &[&words[..], &["--force"]].concat()));
    assert_eq!(exit, 0);
    assert!(stderr.starts_with("Sign in to") && stderr.contains("WDJB-MJHT"), "{stderr}");
}

#[test]
fn metadata_is_cached_so_that_a_silent_login_makes_no_request() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = Options { interval: Duration::from_secs(1), ..Options::default() };
    let (server, home) = (runtime.block_on(Server::start(options)).unwrap(), tempfile::tempdir().unwrap());
    let url = server.base_url().to_owned();
    let words = ["--issuer", &url, "--scope", "openid", "--json"];
    let mut first = login(home.path(), &words).spawn().unwrap();
    let mut end = String::new();
    for line in BufReader::new(first.stdout.take().unwrap()).lines() {
        end = line.unwrap();
        let event: Value = serde_json::from_str(&end).unwrap();
        if event["event"] == "device_code" {
            assert!(server.approve(event["user_code"].as_str().unwrap()));
        }
    }
    assert!(first.wait().unwrap().success());
    let event: Value = serde_json::from_str(&end).unwrap();
    assert_eq!((&event["source"], &event["storage"]), (&"device_flow".into(), &"file".into()));

    // The server is gone, which does not matter.
    runtime.block_on(server.shutdown());
    let (exit, stdout, stderr) = ended(&mut login(home.path(), &words));
    assert_eq!((exit, stderr.as_str()), (0, ""));
    let event: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&event["event"], &event["source"]), (&"success".into(), &"cache".into()));
    // A broken cache only costs a request.
    std::fs::write(home.path().join(".local/state/device-flow/tokens.servers.json"), "{").unwrap();
    let (exit, _, stderr) = ended(&mut login(home.path(), &["--issuer", &url, "--request-timeout", "1s"]));
    assert_eq!(exit, 6, "{stderr}");
}

// F05, E07: with what is wrong, and what to do.
#[test]
fn f13_an_unusable_token_store_ends_with_8_before_any_request() {
    let (server, home) = (Rotating::new(3_600), tempfile::tempdir().unwrap());
    let endpoints = [server.server.url("/device"), server.server.url("/token")];
    let words = ["--device-endpoint", &*endpoints[0], "--token-endpoint", &*endpoints[1]];
    let with = |more: &[&str]| login(home.path(), &[&words[..], more].concat());

    let damaged = home.path().join("damaged.json");
    std::fs::write(&damaged, "[]").unwrap();
    let folder = home.path().join("folder.json");
    std::fs::create_dir(&folder).unwrap();
    for (place, text) in [(&damaged, "move it away"), (&folder, "is a folder, not a file. Move it away")] {
        let (exit, stdout, stderr) = ended(&mut with(&["--token-file", place.to_str().unwrap()]));
        assert_eq!((exit, stdout.as_str()), (8, ""), "{stderr}");
        assert!(stderr.contains(text), "{stderr}");
    }
    let (exit, _, stderr) = ended(with(&[]).env_remove("HOME"));
    assert_eq!(exit, 8);
    assert!(stderr.contains("no home folder is known") && stderr.contains("Set HOME"), "{stderr}");
    assert_eq!((server.requests(), std::fs::read_to_string(&damaged).unwrap().as_str()), (0, "[]"));
    // The memory store needs nothing, and leaves nothing.
    let (exit, _, stderr) = ended(with(&["--store", "memory"]).env_remove("HOME"));
    assert_eq!(exit, 0, "{stderr}");
    assert!(!home.path().join(".local").exists());
}

#[test]
fn f09_thirty_two_processes_make_one_refresh() {
    let (server, home) = (Rotating::new(0), tempfile::tempdir().unwrap());
    let endpoints = [server.server.url("/device"), server.server.url("/token")];
    let words = ["--device-endpoint", &endpoints[0], "--token-endpoint", &endpoints[1], "--scope", "mail"];
    assert_eq!(ended(&mut login(home.path(), &words)).0, 0);
    server.set_lifetime(3_600);
    server.set_slowness(Duration::from_millis(100));
    let running: Vec<_> = (0..32).map(|_| login(home.path(), &words).spawn().unwrap()).collect();
    let ends: Vec<_> = running.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    for end in &ends {
        assert!(end.status.success(), "{}", String::from_utf8_lossy(&end.stderr));
        assert!(end.stderr.is_empty(), "{}", String::from_utf8_lossy(&end.stderr));
    }
    let refreshed = ends.iter().filter(|end| String::from_utf8_lossy(&end.stdout).contains("(refreshed)")).count();
    assert_eq!((server.refreshes(), server.reuses(), refreshed), (1, 0, 1));
}
