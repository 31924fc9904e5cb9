//! F05, K09: a disk that is really full, one that is really read-only, a file that is really mounted alone. Other
//! refusals of the system are in `src/file/tests.rs`.
#![cfg(target_os = "linux")]

use device_flow_store::{Change, FileStore, Store, StoreError};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
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
    let (path, disk) = (folder.join("tokens.json"), folder.join("disk"));
    match env::var("DEVICE_FLOW_STORE_ROLE").unwrap().as_str() {
        "disk" => a_full_and_a_read_only_disk(&disk),
        "reserved" => room_on_a_full_disk(&disk),
        "mounted alone" => a_file_that_is_mounted_alone(&folder, &disk),
        "folder that takes nothing" => a_folder_that_takes_nothing(&path),
        "immutable file" => an_immutable_file(&path),
        "limit" => {
            let limit = rustix::process::Rlimit { current: Some(10_000), maximum: Some(10_000) };
            rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
            let _ = save(&path, &b"canary".repeat(50_000));
        }
        role => panic!("{role}"),
    }
    println!("done");
}

fn a_full_and_a_read_only_disk(disk: &Path) {
    let path = disk.join("tokens.json");
    save(&path, b"the old canary").unwrap();
    for _ in 0..2 {
        assert_eq!(kind(save(&path, &b"canary".repeat(50_000))), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"the old canary");
        assert_eq!(names(disk), ["tokens.json", "tokens.json.flock"]);
    }
    // The space is free again.
    save(&path, &b"canary".repeat(5_000)).unwrap();

    mount(&["-o", "remount,bind,ro"], &[disk]);
    assert_eq!(kind(save(&path, b"new")), io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(kind(save(&disk.join("sub").join("tokens.json"), b"new")), io::ErrorKind::ReadOnlyFilesystem);
    // To read, no lock is needed.
    let store = FileStore::new(&path).unwrap();
    assert_eq!(store.load().unwrap().unwrap().len(), 30_000);
    // Before a request, this is known.
    assert_eq!(kind(store.lease("ada", NOW).unwrap().reserve(100)), io::ErrorKind::ReadOnlyFilesystem);
}

/// What is not free now is busy.
const NOW: Duration = Duration::ZERO;

fn mount(options: &[&str], paths: &[&Path]) {
    assert!(Command::new("mount").args(options).args(paths).status().unwrap().success());
}

/// Takes every byte that is left.
fn fill(disk: &Path) {
    let mut file = fs::File::create(disk.join("something else")).unwrap();
    for size in [4_096, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
}

fn room_on_a_full_disk(disk: &Path) {
    let (path, old, new) = (disk.join("tokens.json"), b"old canary".repeat(400), b"new canary".repeat(2_000));
    save(&path, &old).unwrap();
    let store = FileStore::new(&path).unwrap();
    let (mut ada, mut bob) = (store.lease("ada", NOW).unwrap(), store.lease("bob", NOW).unwrap());
    // What is reserved first counts as room for what is reserved instead.
    for bytes in [40_000, 45_000, new.len()] {
        ada.reserve(bytes).unwrap();
    }
    fill(disk);
    // Nothing fits any more, and whoever asks before a request is told so.
    assert_eq!(kind(bob.reserve(new.len())), io::ErrorKind::StorageFull);
    assert_eq!(kind(bob.lock().unwrap().save(new.clone().into())), io::ErrorKind::StorageFull);
    assert_eq!(fs::read(&path).unwrap(), old);
    // Except what was reserved.
    ada.lock().unwrap().save(new.clone().into()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), new);
    // The blocks of the old file were given back; somebody else takes them. Those of the file itself are enough.
    fill(disk);
    bob.reserve(new.len()).unwrap();
    bob.lock().unwrap().save(b"short".to_vec().into()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"short");
    // A lease and a lock need none.
    drop((ada, bob));
    drop(store.lease("ada", NOW).unwrap());
    let mut left = names(disk);
    left.retain(|name| name != "something else");
    assert_eq!(left, ["tokens.json", "tokens.json.flock"]);
}

/// As in a container: `<folder>/alone` is mounted as `<disk>/tokens.json`.
fn a_file_that_is_mounted_alone(folder: &Path, disk: &Path) {
    let (alone, path) = (folder.join("alone"), disk.join("tokens.json"));
    save(&alone, b"the old canary").unwrap();
    fs::File::create(&path).unwrap();
    mount(&["--bind"], &[&alone, &path]);
    let store = FileStore::new(&path).unwrap().lock_timeout(NOW);
    let refresh = |contents: &[u8]| {
        let mut lease = store.lease("ada", NOW).unwrap();
        assert!(matches!(store.lease("ada", NOW).err(), Some(StoreError::Busy { .. })));
        lease.reserve(contents.len()).unwrap();
        let mut locked = lease.lock().unwrap();
        assert!(matches!(store.lock().err(), Some(StoreError::Busy { .. })));
        locked.save(contents.to_vec().into()).unwrap();
        assert_eq!(fs::read(&alone).unwrap(), contents);
        // Again, under the same lock.
        locked.save(b"again".to_vec().into()).unwrap();
        drop((locked, lease));
        assert_eq!(fs::read(&alone).unwrap(), b"again");
        assert_eq!(fs::metadata(&alone).unwrap().permissions().mode() & 0o7777, 0o600);
    };
    refresh(&b"longer than the old canary ".repeat(100));
    assert_eq!(names(disk), ["tokens.json", "tokens.json.flock"]);

    // Another container sees another folder with the same file in it, and waits for the lock all the same.
    let other = disk.join("other container");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    let elsewhere = other.join("tokens.json");
    fs::File::create(&elsewhere).unwrap();
    mount(&["--bind"], &[&alone, &elsewhere]);
    let locked = store.lock().unwrap();
    let there = FileStore::new(&elsewhere).unwrap().lock_timeout(NOW);
    assert!(matches!(there.lock().err(), Some(StoreError::Busy { .. })));
    drop(locked);
    drop(there.lock().unwrap());

    // Nothing but the file can be written.
    fs::remove_file(disk.join("tokens.json.flock")).unwrap();
    mount(&["-o", "remount,bind,ro"], &[disk]);
    refresh(&b"a read-only folder ".repeat(200));
    // There are no names for leases beside it, so they are among the temporary files of this user.
    let places = names(folder);
    assert!(places.iter().any(|name| name.starts_with("device-flow-store-")), "{places:?}");
    // What a program that takes no lock has written is not lost.
    let mut locked = store.lock().unwrap();
    fs::write(&alone, b"theirs").unwrap();
    assert!(matches!(locked.save(b"ours".to_vec().into()), Err(StoreError::Changed { .. })));
    assert_eq!(fs::read(&alone).unwrap(), b"theirs");
    drop(locked);
    // What cannot be removed is emptied.
    store.update(&mut |_| Change::Remove).unwrap();
    assert_eq!((fs::read(&alone).unwrap(), store.load().unwrap()), (vec![], None));
}

fn a_folder_that_takes_nothing(path: &Path) {
    let store = FileStore::new(path).unwrap().lock_timeout(NOW);
    let mut lease = store.lease("ada", NOW).unwrap();
    lease.reserve(100_000).unwrap();
    let mut locked = lease.lock().unwrap();
    assert!(matches!(store.lock().err(), Some(StoreError::Busy { .. })));
    locked.save(b"canary".repeat(10_000).into()).unwrap();
    assert_eq!(fs::read(path).unwrap().len(), 60_000);
}

fn an_immutable_file(path: &Path) {
    let store = FileStore::new(path).unwrap();
    let mut lease = store.lease("ada", NOW).unwrap();
    assert_eq!(kind(lease.reserve(100)), io::ErrorKind::PermissionDenied);
    assert_eq!(kind(lease.lock().unwrap().save(b"canary".to_vec().into())), io::ErrorKind::PermissionDenied);
    assert_eq!(fs::read(path).unwrap().len(), 60_000);
}

/// Runs a role with a disk of 64 KiB in its folder, which is gone when the role ends. Returns whether it was run.
fn on_a_small_disk(role: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let script = "mkdir \"$DEVICE_FLOW_STORE_CHILD/disk\" && cd \"$DEVICE_FLOW_STORE_CHILD\" || exit 1; \
                  mount -t tmpfs -o size=64k,mode=0700 tmpfs disk || exit 77; \
                  exec \"$0\" --exact disk::role --ignored --nocapture";
    let mut unshare = Command::new("unshare");
    unshare.arg(if rustix::process::geteuid().is_root() { "-m" } else { "-rm" });
    unshare.args(["sh", "-c", script]).arg(env::current_exe().unwrap());
    let output = child(role, folder.path(), unshare.env("TMPDIR", folder.path()));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    // 77 is our own status; 1 with this message comes from a system without user namespaces.
    if output.status.code() == Some(77) || (told.contains("unshare") && told.contains("not permitted")) {
        println!("not run: this system lets nobody mount a disk ({told})");
        return false;
    }
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("done"), "{output:?}");
    true
}

#[test]
fn f05_a_full_and_a_read_only_disk() {
    on_a_small_disk("disk");
}

#[test]
fn k09_room_that_was_reserved_is_there_when_the_disk_is_full() {
    on_a_small_disk("reserved");
}

#[test]
fn k09_a_file_that_is_mounted_alone_is_written_in_place_even_in_a_read_only_folder() {
    on_a_small_disk("mounted alone");
}

/// Needs root, and a file system with such a mark.
#[test]
fn k09_a_folder_and_a_file_that_are_marked_immutable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    save(&path, b"the old canary").unwrap();
    let mark = |how: &str, what: &Path| Command::new("chattr").arg(how).arg(what).output();
    if !mark("+i", folder.path()).is_ok_and(|output| output.status.success()) {
        println!("not run: nothing can be marked here");
        return;
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", "disk::role", "--ignored", "--nocapture"]).env("TMPDIR", elsewhere.path());
    let of_folder = child("folder that takes nothing", folder.path(), &mut again);
    mark("-i", folder.path()).unwrap();
    mark("+i", &path).unwrap();
    let of_file = child("immutable file", folder.path(), &mut again);
    mark("-i", &path).unwrap();
    for output in [of_folder, of_file] {
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("done"), "{output:?}");
    }
    assert_eq!(names(folder.path()), ["tokens.json", "tokens.json.flock"]);
}

/// Root may write everywhere, so it becomes somebody else for this.
#[test]
fn k09_a_file_in_a_folder_that_this_user_may_not_write_to() {
    let outer = tempfile::tempdir().unwrap();
    let (exe, folder) = (outer.path().join("exe"), outer.path().join("folder"));
    let path = folder.join("tokens.json");
    // Not by this process: one that another test starts meanwhile would have the copy open for writing, and nothing runs
    // such a file.
    assert!(Command::new("cp").arg(env::current_exe().unwrap()).arg(&exe).status().unwrap().success());
    fs::create_dir(&folder).unwrap();
    fs::write(&path, b"the old canary").unwrap();
    let rights = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let mut again = Command::new(exe);
    again.args(["--exact", "disk::role", "--ignored", "--nocapture"]).env("TMPDIR", outer.path()).current_dir("/");
    if rustix::process::geteuid().is_root() {
        let nobody = 65_534;
        for path in [&folder, &path] {
            std::os::unix::fs::chown(path, Some(nobody), Some(nobody)).unwrap();
        }
        again.uid(nobody).gid(nobody);
    }
    for (path, mode) in [(outer.path(), 0o777), (&path, 0o600), (&folder, 0o555)] {
        rights(path, mode);
    }
    let output = child("folder that takes nothing", &folder, &mut again);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("done"), "{output:?}");
    assert_eq!(names(&folder), ["tokens.json"]);
    rights(&folder, 0o755);
}

/// The system kills the process during a write, with SIGXFSZ.
#[test]
fn f04_killed_by_the_system_in_the_midst_of_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    save(&path, b"the old canary").unwrap();
    let mut again = Command::new(env::current_exe().unwrap());
    let output = child("limit", folder.path(), again.args(["--exact", "disk::role", "--ignored", "--nocapture"]));
    assert_eq!(output.status.signal(), Some(25), "{output:?}");
    assert_eq!(fs::read(&path).unwrap(), b"the old canary");
    assert!(names(folder.path()).len() > 2, "it has left something");
    save(&path, b"new").unwrap();
    assert_eq!(names(folder.path()), ["tokens.json", "tokens.json.flock"]);
}
