//! What can come between two steps of taking a lock.
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use super::*;
use std::cell::Cell;

/// F10: one that lost its name is nobody's lock: the next process would lock the new file.
#[test]
fn f10_a_file_that_loses_its_name_before_it_is_locked_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = Dir::open(folder.path()).unwrap().unwrap();
    let (name, opened) = (OsStr::new("tokens.json.flock"), Cell::new(0));
    let open = || {
        let file = dir.open_or_create(name)?;
        opened.set(opened.get() + 1);
        if opened.get() == 1 {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
        Ok(Some(file))
    };
    let nobody = || LockHolder { pid: None, name: String::new() };
    let file = flocked(&dir, name, open, nobody, &mut Wait::new(Duration::from_secs(60))).unwrap().unwrap();
    assert!(dir.is_still(name, &file).unwrap() && opened.get() == 2);
}
