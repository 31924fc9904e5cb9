//! F07, F08: the keyring store on a real Secret Service (gnome-keyring on its own bus): absent, locked and open.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests panic to report")]

use device_flow_store::{Change, KeyringFailure, KeyringStore, Store, StoreError};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Not a test: the process on the bus.
#[test]
#[ignore = "started by the tests below"]
fn role() {
    let Some(folder) = env::var_os("DEVICE_FLOW_STORE_CHILD").map(PathBuf::from) else { return };
    let start = Instant::now();
    let opened = KeyringStore::open("device-flow tests", "me", folder.join("tokens"));
    match env::var("DEVICE_FLOW_STORE_ROLE").unwrap().as_str() {
        "open" => {
            let store = opened.unwrap();
            // F08: 8 KiB, and more than one part.
            for length in [8_192, 3 << 20, 5] {
                let contents = b"canary".iter().copied().cycle().take(length).collect::<Vec<u8>>();
                store.update(&mut |_| Change::Save(contents.clone().into())).unwrap();
                assert!(store.load().unwrap().unwrap().to_vec() == contents, "{length}");
            }
            // K08.
            store.lease("ada", Duration::ZERO).unwrap().reserve(8_192).unwrap();
            println!("saved");
        }
        "again" => {
            let store = opened.unwrap();
            assert_eq!(store.load().unwrap().as_deref(), Some(&b"canar"[..]));
            store.update(&mut |_| Change::Remove).unwrap();
            store.update(&mut |_| Change::Remove).unwrap();
            assert_eq!(store.load().unwrap(), None);
            println!("removed");
        }
        "absent" => match opened.unwrap_err() {
            error @ StoreError::Keyring { reason: KeyringFailure::Absent(_) } => println!("absent: {}", error.advice()),
            error => panic!("{error}"),
        },
        "locked" => {
            let outcome = opened.and_then(|store| store.update(&mut |_| Change::Save(b"canary".to_vec().into())));
            let (error, took) = (outcome.unwrap_err(), start.elapsed());
            assert!(matches!(error, StoreError::Keyring { .. }), "{error}");
            // After three seconds for each answer; otherwise it would wait for ever.
            assert!(took < Duration::from_secs(60), "{took:?}");
            println!("locked: {error}");
        }
        role => panic!("{role}"),
    }
}

/// Runs the roles one after the other on one bus, each after its preparation. Without a display nobody can be asked for
/// a password.
fn on_a_bus(home: &Path, options: &[&str], script: &str) -> Output {
    let run = "run() { DEVICE_FLOW_STORE_ROLE=$1 \"$EXE\" --exact role --ignored --nocapture || exit 1; }; ";
    let mut bus = Command::new("dbus-run-session");
    bus.args(options).args(["--", "sh", "-c", &format!("{run}{script}")]);
    bus.env("EXE", env::current_exe().unwrap()).env("DEVICE_FLOW_STORE_CHILD", home).env("HOME", home);
    for variable in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "DISPLAY", "WAYLAND_DISPLAY"] {
        bus.env_remove(variable);
    }
    bus.env("XDG_RUNTIME_DIR", home).output().unwrap()
}

const UNLOCKED: &str = "printf canary-password | gnome-keyring-daemon --unlock --components=secrets >/dev/null; ";

fn ran(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && words.iter().all(|word| text.contains(word)), "{output:?}");
    for line in text.lines().filter(|line| line.starts_with("absent:") || line.starts_with("locked:")) {
        println!("{line}");
    }
}

#[test]
fn f08_a_real_keyring_keeps_it_for_the_next_process_and_forgets_it() {
    let home = tempfile::tempdir().unwrap();
    ran(&on_a_bus(home.path(), &[], &format!("{UNLOCKED}run open; run again")), &["saved", "removed"]);
}

#[test]
fn f07_a_bus_without_a_keyring_and_no_bus_at_all_are_said_to_be_so() {
    let home = tempfile::tempdir().unwrap();
    let no_bus = "export DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent/bus; run absent";
    ran(&on_a_bus(home.path(), &[], no_bus), &["absent:"]);
    // A bus that may not start services, whatever is installed.
    let config = home.path().join("bus.conf");
    let text = "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><policy context=\"default\">\
                <allow send_destination=\"*\" eavesdrop=\"true\"/>\
                <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>";
    std::fs::write(&config, text).unwrap();
    let option = format!("--config-file={}", config.display());
    ran(&on_a_bus(home.path(), &[&option], "run absent"), &["absent:"]);
}

#[test]
fn f07_a_locked_keyring_is_an_error_in_time() {
    let home = tempfile::tempdir().unwrap();
    let made = on_a_bus(home.path(), &[], &format!("{UNLOCKED}run open"));
    ran(&made, &["saved"]);
    // A daemon that was not given the password.
    ran(
        &on_a_bus(home.path(), &[], "gnome-keyring-daemon --start --components=secrets >/dev/null; run locked"),
        &["locked:"],
    );
}
