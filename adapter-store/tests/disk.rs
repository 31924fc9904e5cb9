//! F05: a disk that is really full, and one that is really read-only. Other refusals of the system are in
//! `src/file/tests.rs`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests panic to report")]

use device_flow_store::{Change, FileStore, Store, StoreError};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, io};

fn save(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    FileStore::new(path)?.update(&mut |_| Change::Save(bytes.to_vec().into()))
}

fn kind(outcome: Result<(), StoreError>) -> io::ErrorKind {
    let error = outcome.unwrap_err();
    assert!(error.advice().contains("memory"), "{}", error.advice());
    assert!(!format!("{error} {error:?}").contains("canary"));
    let StoreError::Io { source, .. } = error else { panic!("{error}") };
    source.kind()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn child(role: &str, folder: &Path, command: &mut Command) -> Output {
    command.env("DEVICE_FLOW_STORE_ROLE", role).env("DEVICE_FLOW_STORE_CHILD", folder).output().unwrap()
}

/// Not a test: the process on the small disk, or under the limit.
#[test]
#[ignore = "started by the tests below"]
fn role() {
    let Some(folder) = env::var_os("DEVICE_FLOW_STORE_CHILD").map(PathBuf::from) else { return };
    let path = folder.join("tokens.json");
    match env::var("DEVICE_FLOW_STORE_ROLE").unwrap().as_str() {
        "disk" => {
            save(&path, b"the old canary").unwrap();
            for _ in 0..2 {
                assert_eq!(kind(save(&path, &b"canary".repeat(50_000))), io::ErrorKind::StorageFull);
                assert_eq!(fs::read(&path).unwrap(), b"the old canary");
                assert_eq!(names(&folder), ["tokens.json", "tokens.json.flock"]);
            }
            // The space is free again.
            save(&path, &b"canary".repeat(5_000)).unwrap();

            let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(&folder).status().unwrap();
            assert!(remount.success());
            assert_eq!(kind(save(&path, b"new")), io::ErrorKind::ReadOnlyFilesystem);
            assert_eq!(kind(save(&folder.join("sub").join("tokens.json"), b"new")), io::ErrorKind::ReadOnlyFilesystem);
            // To read, no lock is needed.
            assert_eq!(FileStore::new(&path).unwrap().load().unwrap().unwrap().len(), 30_000);
            println!("done");
        }
        "limit" => {
            let limit = rustix::process::Rlimit { current: Some(10_000), maximum: Some(10_000) };
            rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
            let _ = save(&path, &b"canary".repeat(50_000));
            println!("survived");
        }
        role => panic!("{role}"),
    }
}

#[test]
fn f05_a_full_and_a_read_only_disk() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=64k,mode=0700 tmpfs \"$DEVICE_FLOW_STORE_CHILD\" || exit 77; \
                  exec \"$0\" --exact role --ignored --nocapture";
    let mut unshare = Command::new("unshare");
    unshare.arg(if rustix::process::geteuid().is_root() { "-m" } else { "-rm" });
    unshare.args(["sh", "-c", script]).arg(env::current_exe().unwrap());
    let output = child("disk", folder.path(), &mut unshare);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    // 77 is our own status; 1 with this message comes from a system without user namespaces.
    if output.status.code() == Some(77) || (told.contains("unshare") && told.contains("not permitted")) {
        println!("not run: this system lets nobody mount a disk ({told})");
        return;
    }
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("done"), "{output:?}");
}

/// The system kills the process during a write, with SIGXFSZ.
#[test]
fn f04_killed_by_the_system_in_the_midst_of_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    save(&path, b"the old canary").unwrap();
    let mut again = Command::new(env::current_exe().unwrap());
    let output = child("limit", folder.path(), again.args(["--exact", "role", "--ignored", "--nocapture"]));
    assert_eq!(output.status.signal(), Some(25), "{output:?}");
    assert_eq!(fs::read(&path).unwrap(), b"the old canary");
    assert!(names(folder.path()).len() > 2, "it has left something");
    save(&path, b"new").unwrap();
    assert_eq!(names(folder.path()), ["tokens.json", "tokens.json.flock"]);
}
