//! The binary with its default store, a real Secret Service (gnome-keyring on a bus of its own), unlocked and locked.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use device_flow_testkit::rotating::Rotating;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a script on a bus of its own, where `$DF` is the binary and nobody can enter a password.
fn on_a_bus(home: &Path, script: &str) -> Output {
    let mut bus = Command::new("dbus-run-session");
    bus.args(["--", "sh", "-ec", script]);
    bus.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("LANG", "C.UTF-8");
    bus.env("HOME", home).env("XDG_RUNTIME_DIR", home).env("DF", env!("CARGO_BIN_EXE_device-flow"));
    bus.output().unwrap()
}

// By default, and a locked one is an error in time. Nothing is stored elsewhere.
#[test]
fn f07_tokens_are_in_the_keyring_from_login_to_logout() {
    let (server, home) = (Rotating::new(3_600), tempfile::tempdir().unwrap());
    let url = |path| server.server.url(path);
    let (device, token, revoke) = (url("/device"), url("/token"), url("/revoke"));
    let at = format!(
        "--device-endpoint {device} --token-endpoint {token} --revocation-endpoint {revoke} --client-id my-app \
         --scope mail --allow-http-loopback"
    );
    let open = "printf canary-password | gnome-keyring-daemon --unlock --components=secrets >/dev/null";
    let life = format!(
        "{open}; $DF login {at} --json; $DF token; $DF refresh --json; $DF token; $DF logout --json; \
         $DF token || echo code $?; $DF login --json"
    );
    let output = on_a_bus(home.path(), &life);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let storages = text.matches("\"storage\":\"keyring\"").count();
    assert!(storages == 3 && text.contains("AT-canary-1\n") && text.contains("AT-canary-2\n"), "{text}");
    assert!(text.contains("\"revoked\":true") && text.contains("code 4\n"), "{text}");

    // A daemon without the password.
    let asked = server.requests();
    let locked = "gnome-keyring-daemon --start --components=secrets >/dev/null; $DF token; echo code $?; $DF login --force; echo code $?";
    let output = on_a_bus(home.path(), &locked.replacen("$DF token", "set +e; $DF token", 1));
    let (text, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(text.matches("code 8\n").count(), 2, "{text}{errors}");
    assert!(errors.contains("--store file") && server.requests() == asked, "{errors}");
    // No token is in any of our files.
    let state = home.path().join(".local/state/device-flow");
    for file in std::fs::read_dir(&state).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            // No pending sign-in is left.
            assert!(std::fs::read_dir(&path).unwrap().next().is_none(), "{path:?}");
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("canary"));
    }
}
