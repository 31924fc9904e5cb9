//! The real extensions of MSAL for Python, Node, Java and Go, and this crate, at one lock.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests panic to report")]

use device_flow_store::{Change, FileStore, Store, StoreError};
use device_flow_testkit::msal::Language::{self, Go, Java, Node, Python};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Not before this time is a lock taken that was not given back.
const DEAD: Duration = Duration::from_secs(5);

trait Locks {
    fn start(self, path: &Path, mode: &str) -> Child;
    fn holding(self, path: &Path, mode: &str) -> Child;
    fn tries(self, path: &Path) -> String;
}

impl Locks for Language {
    fn start(self, path: &Path, mode: &str) -> Child {
        let mut command = self.program("lock");
        command.arg(path).arg(mode).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    fn holding(self, path: &Path, mode: &str) -> Child {
        let mut child = self.start(path, mode);
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        child
    }

    fn tries(self, path: &Path) -> String {
        let output = self.start(path, "try").wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn go_on(mut child: Child) {
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    (folder, path)
}

fn save(path: &Path, patience: u64) -> (Result<(), StoreError>, Duration) {
    let start = Instant::now();
    let store = FileStore::new(path).unwrap().lock_timeout(Duration::from_secs(patience)).shared_with_java();
    (store.update(&mut |_| Change::Save(b"ours".to_vec().into())), start.elapsed())
}

/// Java locks the folder.
fn lock_of(language: Language, path: &Path) -> PathBuf {
    path.with_file_name(if language == Java { ".lockfile" } else { "tokens.json.lockfile" })
}

/// Longer than it takes to consider a lock dead.
fn theirs_is_respected(language: Language) {
    let (_folder, path) = place();
    let child = language.holding(&path, "hold");
    let (outcome, took) = save(&path, 7);
    let text = outcome.unwrap_err().to_string();
    assert!(text.contains(&format!("process {}", child.id())), "{text}");
    let name = match language {
        Python => "lock.py",
        Go => "device-flow-msal",
        _ => "",
    };
    assert!(text.contains(name), "{text}");
    assert!(took >= Duration::from_secs(7));
    assert!(lock_of(language, &path).exists());
    println!("{language:?}: {text}");
    go_on(child);
    let (outcome, took) = save(&path, 7);
    outcome.unwrap();
    assert!(took < DEAD, "{took:?}");
}

#[test]
fn f10_we_wait_for_python() {
    theirs_is_respected(Python);
}

#[test]
fn f10_we_wait_for_node() {
    theirs_is_respected(Node);
}

#[test]
fn f10_we_wait_for_go() {
    theirs_is_respected(Go);
}

#[test]
fn f10_we_wait_for_java() {
    theirs_is_respected(Java);
}

// A program that does not say that Java shares the file still sees that Java has it now.
#[test]
fn f10_we_wait_for_java_that_is_there_without_being_told() {
    let (_folder, path) = place();
    let child = Java.holding(&path, "hold");
    let store = FileStore::new(&path).unwrap();
    let saved = |timeout| store.clone().lock_timeout(timeout).update(&mut |_| Change::Save(b"ours".to_vec().into()));
    let error = saved(Duration::from_millis(10)).unwrap_err();
    assert!(matches!(&error, StoreError::Busy { holder, .. } if holder.pid == Some(child.id())), "{error}");
    // Another file in the folder has the same lock.
    let beside = FileStore::new(path.with_file_name("other.json")).unwrap().lock_timeout(Duration::from_millis(10));
    assert!(matches!(beside.lock().map(drop), Err(StoreError::Busy { .. })));
    go_on(child);
    saved(Duration::from_secs(60)).unwrap();
    assert!(!lock_of(Java, &path).exists());
}

fn ours_is_respected(language: Language) {
    let (_folder, path) = place();
    // Java creates a missing file before it takes its lock.
    save(&path, 60).0.unwrap();
    let mut locked = FileStore::new(&path).unwrap().shared_with_java().lock().unwrap();
    assert_eq!(language.tries(&path), "refused");
    locked.save(b"ours".to_vec().into()).unwrap();
    drop(locked);
    assert_eq!(language.tries(&path), "got it");
    save(&path, 60).0.unwrap();
}

#[test]
fn f10_python_waits_for_us() {
    ours_is_respected(Python);
}

#[test]
fn f10_node_waits_for_us() {
    ours_is_respected(Node);
}

#[test]
fn f10_go_waits_for_us() {
    ours_is_respected(Go);
}

#[test]
fn f10_java_waits_for_us() {
    ours_is_respected(Java);
}

#[test]
fn f10_a_killed_java_blocks_nobody() {
    let (_folder, path) = place();
    let mut child = Java.holding(&path, "hold");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(lock_of(Java, &path).exists());
    let (outcome, took) = save(&path, 7);
    outcome.unwrap();
    assert!(took < DEAD, "its lock ended with it: {took:?}");
    assert!(!lock_of(Java, &path).exists(), "Java would wait for as long as it is there");
}

fn killed_it_is_taken_over_and_all_go_on(language: Language) {
    let (_folder, path) = place();
    let mut child = language.holding(&path, "hold");
    child.kill().unwrap();
    child.wait().unwrap();
    // Node alone never would.
    assert_eq!(Node.tries(&path), "refused");
    // How soon, a test shows that can try again on a busy machine: `f10_the_lock_of_a_dead_python_is_taken_over`.
    let (outcome, took) = save(&path, 60);
    outcome.unwrap();
    assert!(took >= DEAD, "{took:?}");
    assert_eq!((Node.tries(&path), Python.tries(&path)), ("got it".to_owned(), "got it".to_owned()));
    println!("{language:?} killed: taken over after {took:?}");
}

#[test]
fn f10_a_killed_python_blocks_nobody() {
    killed_it_is_taken_over_and_all_go_on(Python);
}

#[test]
fn f10_a_killed_node_blocks_nobody() {
    killed_it_is_taken_over_and_all_go_on(Node);
}

#[test]
fn f10_a_killed_go_blocks_nobody() {
    killed_it_is_taken_over_and_all_go_on(Go);
}

#[test]
fn f09_three_languages_lose_no_change() {
    no_change_is_lost_beside([Python, Node]);
}

// Not Java beside Python: these two have no lock in common.
#[test]
fn f09_java_loses_no_change_and_neither_do_we() {
    no_change_is_lost_beside([Java, Java]);
}

fn no_change_is_lost_beside(languages: [Language; 2]) {
    let (_folder, path) = place();
    fs::write(&path, "0").unwrap();
    let others = languages.map(|language| language.start(&path, "count"));
    let store = FileStore::new(&path).unwrap().shared_with_java();
    for _ in 0..20 {
        store
            .update(&mut |current| {
                let number: u32 = str::from_utf8(current.unwrap()).unwrap().parse().unwrap();
                Change::Save((number + 1).to_string().into_bytes().into())
            })
            .unwrap();
    }
    for mut other in others {
        assert!(other.wait().unwrap().success());
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "60");
}

/// The reason for the second lock. When Node no longer does this, a paragraph of the crate documentation can go.
#[test]
fn f09_node_deletes_our_lock_when_it_reads_and_nothing_is_lost() {
    let (_folder, path) = place();
    let store = FileStore::new(&path).unwrap();
    save(&path, 60).0.unwrap();
    let node = Node.holding(&path, "read twice");
    let mut locked = store.lock().unwrap();
    let lockfile = path.with_file_name("tokens.json.lockfile");
    assert!(lockfile.exists());
    go_on(node);
    assert!(!lockfile.exists(), "Node has learnt to leave it");
    // Our other processes still wait, and the save takes the lock again.
    assert!(matches!(save(&path, 1).0, Err(StoreError::Busy { .. })));
    locked.save(b"after".to_vec().into()).unwrap();
    assert!(lockfile.exists());
    drop(locked);
    assert!(!lockfile.exists());
    assert_eq!(fs::read(&path).unwrap(), b"after");
}
