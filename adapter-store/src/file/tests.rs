//! The file store when it is killed between any two system calls, or when any of them fails.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to report")]

use super::*;
use crate::Change;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::thread;
use std::time::Instant;

const OWNER: &str = "ada";

/// What is not free now is busy.
const NOW: Duration = Duration::ZERO;

const OLD: &[u8] = b"{\"the old\": \"canary\"}";

fn new() -> Vec<u8> {
    b"the new canary ".repeat(3_000)
}

/// Not a test: the process that the others start, to be killed.
#[test]
#[ignore = "started by the tests of this file"]
fn child() {
    let Some(path) = std::env::var_os("DEVICE_FLOW_STORE_CHILD") else { return };
    let umask = std::env::var("DEVICE_FLOW_STORE_UMASK").unwrap();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(u32::from_str_radix(&umask, 8).unwrap()));
    let store = FileStore::new(path).unwrap();
    let role = std::env::var("DEVICE_FLOW_STORE_ROLE").unwrap_or_default();
    let outcome = match role.as_str() {
        "lease" => save_under_a_lease(&store),
        "reserve" => reserve(&store),
        "remove" => store.update(&mut |_| Change::Remove),
        "look" => look(store),
        "java" => save_after_java_is_gone(store),
        _ => save(&store, &new()),
    };
    match outcome {
        Ok(()) => println!("saved"),
        Err(error) => println!("error {error} | {} | {error:?}", error.advice()),
    }
}

fn save(store: &FileStore, contents: &[u8]) -> Result<(), StoreError> {
    store.update(&mut |_| Change::Save(contents.to_vec().into()))
}

/// As in a refresh.
fn save_under_a_lease(store: &FileStore) -> Result<(), StoreError> {
    let mut lease = store.lease(OWNER, NOW)?;
    lease.reserve(new().len())?;
    lease.lock()?.save(new().into())
}

fn reserve(store: &FileStore) -> Result<(), StoreError> {
    let mut lease = store.lease(OWNER, NOW)?;
    lease.reserve(new().len())?;
    let folder = &store.place.folder;
    let reserved = names(folder).into_iter().find(|name| name.contains("tmp")).unwrap();
    let about = fs::metadata(folder.join(reserved)).unwrap();
    assert!(about.blocks() * 512 >= about.len() && about.len() == u64::try_from(new().len()).unwrap());
    Ok(())
}

/// Tells what its lock file holds while it has the lock.
fn look(store: FileStore) -> Result<(), StoreError> {
    let lockfile = store.place.folder.join("tokens.json.lockfile");
    store.update(&mut |_| {
        let author = fs::read_to_string(&lockfile);
        println!("lock file: {}", author.map_or("none".to_owned(), |author| format!("[{author}]")));
        Change::Save(new().into())
    })
}

/// A Java program that was slow deletes the lock of the folder, after we have taken it.
fn save_after_java_is_gone(store: FileStore) -> Result<(), StoreError> {
    let lockfile = store.place.folder.join(".lockfile");
    let store = store.shared_with_java();
    let mut lease = store.lease(OWNER, NOW)?;
    let mut lock = lease.lock()?;
    let _ = fs::remove_file(lockfile);
    lock.save(new().into())
}

fn run_child(path: &Path, fault: &str, umask: &str) -> Output {
    run_role("", path, fault, umask)
}

fn run_role(role: &str, path: &Path, fault: &str, umask: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "file::tests::child", "--ignored", "--nocapture"]);
    command.env("DEVICE_FLOW_STORE_ROLE", role);
    command.env("DEVICE_FLOW_STORE_CHILD", path).env("DEVICE_FLOW_STORE_FAULT", fault);
    command.env("DEVICE_FLOW_STORE_UMASK", umask).output().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What is in the folder before the process that will be killed starts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    NoFolder,
    Stored,
    /// Left by one that was killed before.
    Wreck,
}

fn prepare(folder: &Path, before: Before) -> PathBuf {
    let path = folder.join("made").join("tokens.json");
    let _ = fs::remove_dir_all(folder.join("made"));
    if before != Before::NoFolder {
        FileStore::new(&path).unwrap().update(&mut |_| Change::Save(OLD.to_vec().into())).unwrap();
    }
    if before == Before::Wreck {
        let mut dead = Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let author = format!("{} device-flow-store {host}", dead.id());
        for (name, text) in [
            ("tokens.json.lockfile".into(), author.clone()),
            (crate::lock::lease_name("tokens.json".as_ref(), OWNER), author),
            (".tokens.json.tmp-1-0".into(), "half a can".to_owned()),
        ] {
            let name = path.with_file_name(name);
            fs::write(&name, text).unwrap();
            fs::set_permissions(&name, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    path
}

/// F01, F04, F10.
#[test]
fn f04_killed_between_any_two_calls_the_file_is_whole_and_private_and_the_lock_recovers() {
    let cases = [
        (Before::NoFolder, "000"),
        (Before::NoFolder, "077"),
        (Before::Stored, "000"),
        (Before::Stored, "277"),
        (Before::Wreck, "022"),
    ];
    thread::scope(|scope| {
        for (before, umask) in cases {
            scope.spawn(move || kill_at_each_point("", before, umask));
        }
    });
}

/// K07, K09.
#[test]
fn k07_killed_at_any_point_between_lease_and_give_back_its_lease_is_free_at_once_and_its_room_is_removed() {
    let cases = [(Before::NoFolder, "077"), (Before::Stored, "277"), (Before::Wreck, "022")];
    thread::scope(|scope| {
        for (before, umask) in cases {
            scope.spawn(move || kill_at_each_point("lease", before, umask));
        }
    });
}

fn kill_at_each_point(role: &str, before: Before, umask: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (mut points, mut saw_old, mut saw_new) = (0, 0, 0);
    loop {
        let path = prepare(folder.path(), before);
        let made = path.parent().unwrap().to_owned();
        let output = run_role(role, &path, &format!("kill {points}"), umask);
        let case = format!("{role} {before:?}, umask {umask}, killed at {points}");
        for name in names(&made) {
            let mode = mode(&made.join(&name));
            assert_eq!(mode & !0o600, 0, "{case}: {name} has mode {mode:o}");
        }
        assert!(!made.exists() || mode(&made) & !0o700 == 0, "{case}");
        if output.status.success() {
            assert!(String::from_utf8_lossy(&output.stdout).contains("saved"), "{case}: {output:?}");
            no_more_than_the_store_is_left(&path, role, &case);
            break;
        }
        assert_eq!(output.status.signal(), Some(9), "{case}: {output:?}");

        let store = FileStore::new(&path).unwrap();
        match store.load().unwrap().as_deref() {
            None => assert_eq!(before, Before::NoFolder, "{case}"),
            Some(OLD) => saw_old += 1,
            Some(contents) => {
                assert!(*contents == new(), "{case}: {} bytes", contents.len());
                saw_new += 1;
            }
        }
        if role == "lease" {
            let mut lease = store.lease(OWNER, NOW).unwrap_or_else(|error| panic!("{case}: {error}"));
            lease.reserve(100).unwrap_or_else(|error| panic!("{case}: {error}"));
        }
        let (start, stored) = (Instant::now(), store.load().unwrap());
        let mut seen = None;
        store
            .update(&mut |current| {
                seen = current.map(<[u8]>::to_vec);
                Change::Save(b"after".to_vec().into())
            })
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        // An empty lock file names no owner and is left alone for five seconds; otherwise it would be for a minute.
        assert!(start.elapsed() < Duration::from_secs(50), "{case}: {:?}", start.elapsed());
        assert_eq!(seen.as_deref(), stored.as_deref(), "{case}");
        assert_eq!(store.load().unwrap().as_deref(), Some(&b"after"[..]), "{case}");
        no_more_than_the_store_is_left(&path, role, &case);
        assert_eq!(mode(&path), 0o600, "{case}");
        points += 1;
    }
    assert!(
        points >= 20 && saw_new >= 3 && (saw_old >= 10) == (before != Before::NoFolder),
        "{points} {saw_old} {saw_new}"
    );
    println!("{before:?}: killed at {points} points; {saw_old} times the old, {saw_new} times the new");
}

/// A wreck's lease waits for its owner.
fn no_more_than_the_store_is_left(path: &Path, role: &str, case: &str) {
    let mut left = names(path.parent().unwrap());
    left.retain(|name| role == "lease" || !name.contains(".lease-"));
    assert_eq!(left, ["tokens.json", "tokens.json.flock"], "{case}");
}

/// K09, R6749-10.3-1, R6749-10.4-1: then the file may be neither the old nor the new, but its size and its end come
/// last, and the next save works.
#[test]
fn k09_killed_at_any_point_of_a_write_in_place_the_file_stays_private_and_the_next_save_works() {
    let folder = tempfile::tempdir().unwrap();
    let (mut points, mut saw_old, mut saw_both, mut saw_new) = (0, 0, 0, 0);
    let shorter = &new()[..30_000];
    loop {
        let path = prepare(folder.path(), Before::Stored);
        let longer = b"the old canary ".repeat(3_100);
        save(&FileStore::new(&path).unwrap(), &longer).unwrap();
        let number = fs::metadata(&path).unwrap().ino();
        // The file is mounted alone.
        let output = run_role("", &path, &format!("kill {points}, fail rename 16"), "022");
        let contents = fs::read(&path).unwrap();
        assert_eq!((mode(&path), fs::metadata(&path).unwrap().ino()), (0o600, number));
        match contents {
            contents if contents == new() => saw_new += 1,
            contents if contents == longer => saw_old += 1,
            contents => {
                assert_eq!(contents.len(), longer.len());
                saw_both += 1;
            }
        }
        let store = FileStore::new(&path).unwrap();
        save(&store, shorter).unwrap();
        assert!(*store.load().unwrap().unwrap() == *shorter);
        no_more_than_the_store_is_left(&path, "", &format!("killed at {points}"));
        if output.status.success() {
            break;
        }
        points += 1;
    }
    assert!(points >= 20 && saw_old >= 10 && saw_both >= 2 && saw_new >= 3, "{points} {saw_old} {saw_both} {saw_new}");
}

/// K07, F10: on a file system without locks, a lease is known to be held by its file, its process, and its being
/// touched.
#[test]
fn k07_without_locks_of_the_file_system_a_lease_is_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = prepare(folder.path(), Before::Stored);
    let output = run_role("lease", &path, "fail flock 37", "022");
    assert!(String::from_utf8_lossy(&output.stdout).contains("saved"), "{output:?}");
    assert!(fs::read(&path).unwrap() == new());
    no_more_than_the_store_is_left(&path, "lease", "without locks");
    // Its process lives; nothing else says so.
    let lease = path.with_file_name(crate::lock::lease_name("tokens.json".as_ref(), OWNER));
    let author = |pid| format!("{pid} device-flow-store {}", rustix::system::uname().nodename().to_string_lossy());
    fs::write(&lease, author(std::process::id())).unwrap();
    let output = run_role("lease", &path, "fail flock 37", "022");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert!(lease.exists());
}

/// K09: then the blocks are taken by writing zeros, and in place it is asked whether there are enough.
#[test]
fn k09_a_file_system_that_cannot_allocate_reserves_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for errno in [95, 38] {
        for (role, fault) in [("reserve", ""), ("lease", ""), ("lease", ", fail allocate 28"), ("", ", fail rename 16")]
        {
            let path = prepare(folder.path(), Before::Stored);
            let output = run_role(role, &path, &format!("fail fallocate {errno}{fault}"), "022");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("saved"), "{role} {fault} {output:?}");
            assert!(fs::read(&path).unwrap() == if role == "reserve" { OLD.to_vec() } else { new() });
        }
    }
    // A full disk is one that can.
    let path = prepare(folder.path(), Before::Stored);
    let output = run_role("reserve", &path, "fail fallocate 28", "022");
    assert!(String::from_utf8_lossy(&output.stdout).contains("error cannot reserve room in"), "{output:?}");
}

/// F04: somebody who cleans up takes the temporary file for one that was left behind, before it is locked.
#[test]
fn f04_a_temporary_file_that_is_removed_before_it_is_locked_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = prepare(folder.path(), Before::Stored);
    let temporary = path.with_file_name(".tokens.json.tmp-");
    let output = run_child(&path, &format!("remove flock {} 3", temporary.display()), "022");
    assert!(String::from_utf8_lossy(&output.stdout).contains("saved"), "{output:?}");
    assert!(fs::read(&path).unwrap() == new());
}

/// F05.
#[test]
fn f05_whatever_the_disk_refuses_the_old_is_kept_and_nothing_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (enospc, eio, eacces, erofs, edquot) = (28, 5, 13, 30, if cfg!(target_os = "linux") { 122 } else { 69 });
    let mut cases = vec![("read", eio), ("rename", eio), ("write", eio), ("fsync", eio)];
    cases.extend([("fchmod", eio), ("flock", eio), ("open", eacces), ("stat", eio), ("fsync-folder", eio)]);
    // Where the file could be written in place, but that is refused, too.
    let refusals = [
        ("create", eacces),
        ("create", erofs),
        ("create", enospc),
        ("rename", enospc),
        ("write", enospc),
        ("write", edquot),
        ("fsync", edquot),
        ("fsync", enospc),
    ];
    let cases =
        cases.into_iter().map(|case| (case, "")).chain(refusals.map(|case| (case, ", fail allocate-in-place 28")));
    for ((call, errno), and) in cases {
        let path = prepare(folder.path(), Before::Stored);
        let output = run_child(&path, &format!("fail {call} {errno}{and}"), "022");
        let text = String::from_utf8_lossy(&output.stdout);
        let case = format!("{call} fails with {errno}: {text}");
        assert!(text.contains("error "), "{case}");
        assert!(text.contains("tokens.json") || call == "fsync-folder", "{case}");
        assert!(text.contains("memory"), "the advice names another store. {case}");
        assert!(!text.contains("canary"), "{case}");
        let stored = fs::read(&path).unwrap();
        // It is renamed, but perhaps not durably.
        assert!(if call == "fsync-folder" { stored == new() } else { stored == OLD }, "{case}");
        no_temporary_is_left(&path, &case);
    }
}

fn no_temporary_is_left(path: &Path, case: &str) {
    let mut left = names(path.parent().unwrap());
    left.retain(|name| name.contains("tmp"));
    assert!(left.is_empty(), "{left:?} {case}");
}

/// K09: no room for a second file, no right to make one, or a file that is mounted alone.
#[test]
fn k09_a_file_that_cannot_be_replaced_is_written_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let (enospc, eacces, ebusy, eperm, erofs) = (28, 13, 16, 1, 30);
    let cases = [
        ("create", enospc),
        ("create", eacces),
        ("create", eperm),
        ("create", erofs),
        ("write", enospc),
        ("fsync", enospc),
        ("rename", ebusy),
        ("rename", eperm),
        ("rename", enospc),
    ];
    for (call, errno) in cases {
        let path = prepare(folder.path(), Before::Stored);
        let number = fs::metadata(&path).unwrap().ino();
        let output = run_child(&path, &format!("fail {call} {errno}"), "022");
        let case = format!("{call} fails with {errno}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("saved"), "{case}");
        assert!(fs::read(&path).unwrap() == new(), "{case}");
        assert_eq!((fs::metadata(&path).unwrap().ino(), mode(&path)), (number, 0o600), "{case}");
        no_temporary_is_left(&path, &case);

        // There is nothing to write in.
        let path = prepare(folder.path(), Before::NoFolder);
        let output = run_child(&path, &format!("fail {call} {errno}"), "022");
        assert!(String::from_utf8_lossy(&output.stdout).contains("error "), "{output:?}");
        assert!(!path.exists());
    }
}

/// K09.
#[test]
fn k09_a_write_in_place_that_fails_puts_the_old_back_and_says_that_the_file_may_be_damaged() {
    let folder = tempfile::tempdir().unwrap();
    for call in ["write-in-place", "ftruncate-in-place", "fsync-in-place"] {
        let path = prepare(folder.path(), Before::Stored);
        let output = run_child(&path, &format!("fail rename 16, fail {call} 5"), "022");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("cannot overwrite") && text.contains("damaged"), "{text}");
        assert!(!text.contains("unharmed"), "{text}");
        // What fails here fails for ever, so that the old is put back as far as that call.
        assert!(fs::read(&path).unwrap().starts_with(OLD), "{call}");
    }
}

/// F10: the errors of Linux for an NFS mount whose server has no locks.
#[test]
fn f10_without_locks_of_the_file_system_the_lock_file_alone_does() {
    let folder = tempfile::tempdir().unwrap();
    for errno in [37, 95] {
        let path = prepare(folder.path(), Before::Stored);
        let output = run_child(&path, &format!("fail flock {errno}"), "022");
        assert!(String::from_utf8_lossy(&output.stdout).contains("saved"), "{output:?}");
        assert!(fs::read(&path).unwrap() == new());
        assert_eq!(names(path.parent().unwrap()), ["tokens.json", "tokens.json.flock"]);
    }
}

/// F10: the lock of Java's extension, left by a program that was killed, on such a mount, on a disk that is damaged, and in a
/// folder that takes no files.
#[test]
fn f10_the_lock_of_the_folder_where_there_are_no_locks() {
    let folder = tempfile::tempdir().unwrap();
    for (fault, is_saved, left) in [
        ("fail fcntl 37", true, None),
        ("fail fcntl 95", true, None),
        ("fail fcntl 5", false, Some("4711@host")),
        ("fail create 13", true, Some("4711@host")),
    ] {
        let path = prepare(folder.path(), Before::Stored);
        let lockfile = path.with_file_name(".lockfile");
        fs::write(&lockfile, "4711@host").unwrap();
        let output = run_child(&path, fault, "022");
        assert_eq!(String::from_utf8_lossy(&output.stdout).contains("saved"), is_saved, "{fault} {output:?}");
        assert!(fs::read(&path).unwrap() == if is_saved { new() } else { OLD.to_vec() }, "{fault}");
        assert_eq!(fs::read_to_string(&lockfile).ok().as_deref(), left, "{fault}");
    }
}

// A lease that a killed process has left behind waits a quarter of an hour for its owner; from both sides.
#[test]
fn k07_a_forgotten_lease_is_removed_by_a_save_after_a_quarter_of_an_hour() {
    for (minutes, is_there) in [(14, true), (16, false)] {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("tokens.json")).unwrap();
        let lease = folder.path().join(crate::lock::lease_name("tokens.json".as_ref(), "gone"));
        let file = fs::File::create(&lease).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(minutes * 60)).unwrap();
        drop(file);
        save(&store, b"{}").unwrap();
        assert_eq!(lease.exists(), is_there, "after {minutes} minutes");
    }
}

// Only where the folder lets nothing be removed is the file emptied in its place.
#[test]
fn f05_a_removal_that_the_disk_refuses_is_told_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = prepare(folder.path(), Before::Stored);
    let output = run_role("remove", &path, "fail unlink 5", "077");
    assert!(String::from_utf8_lossy(&output.stdout).contains("error cannot remove"), "{output:?}");
    assert_eq!(fs::read(&path).unwrap(), OLD);
}

#[test]
fn debug_shows_the_path_and_the_time_limit() {
    let store = FileStore::new("/somewhere/tokens.json").unwrap().lock_timeout(Duration::from_secs(71));
    let shown = format!("{store:?}");
    assert!(shown.contains("/somewhere/tokens.json") && shown.contains("71s"), "{shown}");
}

/// F10: a lock that cannot be made is done without only in a folder that takes no files, and only under another lock.
#[test]
fn f10_a_lock_file_is_done_without_only_where_none_can_be_made_and_under_another_lock() {
    let folder = tempfile::tempdir().unwrap();
    // Of ours, of the folder's when a Java program has left its own, and of the folder's when it has to be taken again.
    for (role, java_was_here, turn) in [("", false, 1), ("", true, 1), ("java", false, 5)] {
        for (fault, is_saved) in [
            (format!("fail create 13 {turn}"), true),
            (format!("fail create 5 {turn}"), false),
            // Before a write in place it is tried once more.
            (format!("fail flock 37, fail create 13 {turn}, fail create 13 {}", turn + 1), false),
        ] {
            let path = prepare(folder.path(), Before::Stored);
            if java_was_here {
                fs::write(path.with_file_name(".lockfile"), "4711@host").unwrap();
            }
            let output = run_role(role, &path, &fault, "022");
            let text = String::from_utf8_lossy(&output.stdout);
            let case = format!("{role} {java_was_here} {fault}: {output:?}");
            assert_eq!((text.contains("saved"), text.contains("error cannot create")), (is_saved, !is_saved), "{case}");
            assert!(fs::read(&path).unwrap() == if is_saved { new() } else { OLD.to_vec() }, "{case}");
        }
    }
}

/// F10: neither somebody who removes it between its making and its locking, nor a full disk.
#[test]
fn f10_our_lock_file_is_there_while_the_lock_is_held_whoever_comes_between() {
    let folder = tempfile::tempdir().unwrap();
    let path = prepare(folder.path(), Before::Stored);
    let lockfile = path.with_file_name("tokens.json.lockfile");
    for (fault, shown) in [
        (String::new(), "lock file: ["),
        (format!("remove flock {} 2", lockfile.display()), "lock file: ["),
        ("fail write-lock-file 28".to_owned(), "lock file: []"),
    ] {
        let output = run_role("look", &path, &fault, "022");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(shown) && text.contains("saved"), "{fault}: {output:?}");
        let is_named = text.contains(" device-flow-store ");
        assert_eq!(is_named, shown != "lock file: []", "{fault}: {output:?}");
    }
}
