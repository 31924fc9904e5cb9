//! The name of a temporary file.
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use super::*;

/// F04: one that another process has made, perhaps in another container, is its own.
#[test]
fn f04_a_name_that_is_taken_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = Arc::new(Dir::open(folder.path()).unwrap().unwrap());
    std::fs::write(folder.path().join("taken"), "canary").unwrap();
    let mut names = ["taken", "free"].into_iter().map(OsString::from);
    let made = Temporary::create(&dir, || names.next().unwrap()).unwrap();
    assert_eq!(made.name, "free");
    assert_eq!(std::fs::read(folder.path().join("taken")).unwrap(), b"canary");
}
