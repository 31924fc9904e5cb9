//! K07, K09: one holder of an owner's lease at a time, no owner that waits for another, and room that is really there.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests panic to report")]

use device_flow_store::{Change, FileStore, Lease, MemoryStore, Store, StoreError};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

/// Not at all: what is not free now is busy.
const NOW: Duration = Duration::ZERO;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(120);

fn each_store(test: impl Fn(Arc<dyn Store>)) {
    test(Arc::new(MemoryStore::new()));
    let folder = tempfile::tempdir().unwrap();
    test(Arc::new(FileStore::new(folder.path().join("a").join("tokens.json")).unwrap()));
}

fn is_busy(store: &dyn Store, owner: &str) -> bool {
    match store.lease(owner, NOW) {
        Ok(_) => false,
        Err(StoreError::Busy { .. }) => true,
        Err(error) => panic!("{error}"),
    }
}

fn count(lease: &mut dyn Lease) {
    let mut locked = lease.lock().unwrap();
    let number: u32 = locked.current().map_or(0, |text| str::from_utf8(text).unwrap().parse().unwrap());
    locked.save((number + 1).to_string().into_bytes().into()).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn k07_a_lease_is_held_once_and_neither_other_owners_nor_the_lock_wait_for_it() {
    each_store(|store| {
        let mut ada = store.lease("ada", NOW).unwrap();
        assert!(is_busy(&*store, "ada"));
        // A long wait is not needed to find that the others are free.
        let bob = store.lease("bob", NOW).unwrap();
        store.update(&mut |_| Change::Save(b"1".to_vec().into())).unwrap();
        ada.reserve(100).unwrap();
        count(&mut *ada);
        assert_eq!(store.load().unwrap().as_deref(), Some(&b"2"[..]));
        assert!(is_busy(&*store, "ada"), "a save does not give it back");
        drop(ada);
        assert!(!is_busy(&*store, "ada") && is_busy(&*store, "bob"));
        drop(bob);
        assert!(!is_busy(&*store, "bob"));
    });
}

#[test]
fn k07_a_lease_travels_between_threads_and_is_given_back_by_one_that_panics() {
    each_store(|store| {
        let mut lease = store.lease("ada", NOW).unwrap();
        let elsewhere = thread::spawn(move || {
            count(&mut *lease);
            panic!("on purpose");
        });
        assert!(elsewhere.join().is_err());
        assert!(!is_busy(&*store, "ada"));
        assert_eq!(store.load().unwrap().as_deref(), Some(&b"1"[..]));
    });
}

#[test]
fn k07_threads_hold_a_lease_one_after_the_other() {
    each_store(|store| {
        let holders = [AtomicU32::new(0), AtomicU32::new(0)];
        thread::scope(|scope| {
            for number in 0..12 {
                let (store, holders) = (&store, &holders);
                scope.spawn(move || {
                    for _ in 0..4 {
                        let owner = number % holders.len();
                        let mut lease = store.lease(&owner.to_string(), LONG).unwrap();
                        assert_eq!(holders.get(owner).unwrap().fetch_add(1, Ordering::SeqCst), 0);
                        count(&mut *lease);
                        assert_eq!(holders.get(owner).unwrap().fetch_sub(1, Ordering::SeqCst), 1);
                    }
                });
            }
        });
        assert_eq!(store.load().unwrap().as_deref(), Some(&b"48"[..]));
    });
}

/// Not a test: one of the processes. It holds the lease of its owner until its input ends, and then counts.
#[test]
#[ignore = "started by the tests below"]
fn child() {
    let Some(path) = env::var_os("DEVICE_FLOW_STORE_CHILD").map(PathBuf::from) else { return };
    let owner = env::var("DEVICE_FLOW_STORE_OWNER").unwrap();
    let mut lease = FileStore::new(&path).unwrap().lease(&owner, LONG).unwrap();
    // Only one at a time can make this.
    let mark = path.with_file_name(format!("held by {owner}"));
    fs::File::create_new(&mark).unwrap();
    println!("held");
    std::io::stdin().read_to_end(&mut vec![]).unwrap();
    lease.reserve(1_000).unwrap();
    count(&mut *lease);
    fs::remove_file(&mark).unwrap();
}

fn start(path: &Path, owner: &str, input: Stdio) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture"]);
    command.env("DEVICE_FLOW_STORE_CHILD", path).env("DEVICE_FLOW_STORE_OWNER", owner);
    command.stdin(input).stdout(Stdio::piped()).spawn().unwrap()
}

/// A process that holds the lease, and goes on when its input is dropped.
fn holder(path: &Path, owner: &str) -> Child {
    let mut child = start(path, owner, Stdio::piped());
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"));
    child
}

#[test]
fn k07_fifty_processes_of_five_owners_and_nobody_waits_for_the_owner_of_a_server_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let mut slow = holder(&path, "slow");
    let waiting: Vec<Child> = (0..9).map(|_| start(&path, "slow", Stdio::null())).collect();
    let others = (0..40).map(|number| start(&path, &format!("owner {}", number % 4), Stdio::null()));
    for other in others.collect::<Vec<_>>() {
        let output = other.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    // All of them, while the slow one still holds its lease, and none of those who wait for it.
    assert_eq!(fs::read(&path).unwrap(), b"40");
    assert!(is_busy(&FileStore::new(&path).unwrap(), "slow"));
    drop(slow.stdin.take());
    assert!(slow.wait().unwrap().success());
    for waiting in waiting {
        let output = waiting.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"50");
    let left = names(folder.path());
    assert!(left.iter().all(|name| ["tokens.json", "tokens.json.flock"].contains(&name.as_str())), "{left:?}");
}

#[test]
fn k07_the_lease_of_a_process_that_was_killed_is_free_at_once_and_that_of_one_that_lives_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let store = FileStore::new(&path).unwrap();
    let mut child = holder(&path, "ada");
    let Err(error) = store.lease("ada", NOW) else { panic!("it is held") };
    let text = format!("{error} {}", error.advice());
    // On Windows nobody can read it.
    assert!(cfg!(windows) || text.contains(&format!("process {}", child.id())), "{text}");
    assert!(text.contains("tokens.json.lease-") && !text.contains("ada") && !text.contains("delete"), "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
    store.lease("ada", NOW).unwrap().reserve(10).unwrap();
    drop(child);
    assert_eq!(names(folder.path()), ["held by ada"]);
}

/// Other versions of this crate must find the same file.
#[test]
fn k07_the_file_of_a_lease_is_named_by_a_hash_that_stays_and_gone_when_it_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::new(folder.path().join("tokens.json")).unwrap();
    // The test vectors of FNV-1a, 64 bits.
    for (owner, hash) in [("", "cbf29ce484222325"), ("a", "af63dc4c8601ec8c"), ("foobar", "85944171f73967e8")] {
        let lease = store.lease(owner, NOW).unwrap();
        assert_eq!(names(folder.path()), [format!("tokens.json.lease-{hash}")]);
        drop(lease);
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn contents_for_nobody_else_are_in_a_file_of_their_own_with_the_same_settings() {
    let folder = tempfile::tempdir().unwrap();
    let told = Arc::new(AtomicU32::new(0));
    let store = FileStore::new(folder.path().join("tokens.json")).unwrap().lock_timeout(NOW).on_warning({
        let told = Arc::clone(&told);
        move |_| {
            told.fetch_add(1, Ordering::SeqCst);
        }
    });
    let unshared = store.unshared().unwrap();
    unshared.update(&mut |_| Change::Save(b"ours alone".to_vec().into())).unwrap();
    assert_eq!(fs::read(folder.path().join("tokens.json.unshared")).unwrap(), b"ours alone");
    assert_eq!(store.load().unwrap(), None);
    // Their locks and leases are independent.
    let (_locked, _lease) = (unshared.lock().unwrap(), unshared.lease("ada", NOW).unwrap());
    let (_other, _other_lease) = (store.lock().unwrap(), store.lease("ada", NOW).unwrap());
    assert!(matches!(unshared.lock().err().unwrap(), StoreError::Busy { waited: NOW, .. }));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = folder.path().join("tokens.json.unshared");
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        unshared.load().unwrap();
        assert_eq!(told.load(Ordering::SeqCst), 1);
    }
    assert!(MemoryStore::new().unshared().is_none());
}

#[cfg(unix)]
mod on_unix {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::time::{Instant, SystemTime};

    fn store() -> (tempfile::TempDir, PathBuf, FileStore) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let store = FileStore::new(&path).unwrap();
        (folder, path, store)
    }

    fn reserved(folder: &Path) -> Vec<PathBuf> {
        let names = names(folder).into_iter().filter(|name| name.starts_with(".tokens.json.tmp-"));
        names.map(|name| folder.join(name)).collect()
    }

    fn save(store: &dyn Store, bytes: &[u8]) {
        store.update(&mut |_| Change::Save(bytes.to_vec().into())).unwrap();
    }

    #[test]
    fn k07_who_gives_back_a_lease_whose_file_was_deleted_does_not_delete_that_of_the_next() {
        let (folder, _, store) = store();
        let first = store.lease("ada", NOW).unwrap();
        fs::remove_file(folder.path().join(names(folder.path()).first().unwrap())).unwrap();
        let second = store.lease("ada", NOW).unwrap();
        drop(first);
        assert!(is_busy(&store, "ada"));
        drop(second);
        assert!(!is_busy(&store, "ada"));
    }

    /// The locks of some network file systems are those of one host: only that it is touched shows that it is alive.
    #[test]
    fn k07_the_lease_of_another_host_is_taken_over_when_nobody_touches_it() {
        let (folder, _, store) = store();
        let lease = folder.path().join("tokens.json.lease-af63dc4c8601ec8c");
        fs::write(&lease, "1 device-flow-store another.host").unwrap();
        let Err(error) = store.lease("a", Duration::from_secs(1)) else { panic!("taken over too soon") };
        assert!(error.to_string().contains("another.host"), "{error}");
        let start = Instant::now();
        drop(store.lease("a", Duration::from_secs(60)).unwrap());
        assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());
        assert!(!lease.exists());
    }

    /// Held: locked, whatever its age. Left behind: removed by the next save, but not at once, because its maker may
    /// not have locked it yet.
    #[test]
    fn k07_a_save_removes_old_leases_that_nobody_holds() {
        let (folder, _, store) = store();
        let held = store.lease("held", NOW).unwrap();
        let file = |name: &str| folder.path().join(format!("tokens.json.lease-{name}"));
        fs::write(file("0123456789abcdef"), "").unwrap();
        fs::write(file("fedcba9876543210"), "").unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(3_600);
        for name in names(folder.path()).iter().filter(|name| !name.contains("fedcba")) {
            let file = fs::File::options().write(true).open(folder.path().join(name)).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        save(&store, b"new");
        assert!(!file("0123456789abcdef").exists() && file("fedcba9876543210").exists());
        assert!(is_busy(&store, "held"));
        drop(held);
    }

    #[test]
    fn k09_reserved_room_is_taken_from_the_disk_private_and_is_where_the_save_goes() {
        let (folder, path, store) = store();
        save(&store, b"old");
        let mut lease = store.lease("ada", NOW).unwrap();
        lease.reserve(200_000).unwrap();
        let file = reserved(folder.path()).pop().unwrap();
        let about = fs::metadata(&file).unwrap();
        assert!(about.blocks() * 512 >= 200_000, "{} blocks", about.blocks());
        assert_eq!(about.mode() & 0o7777, 0o600);
        // Others save meanwhile, and remove what is left behind.
        save(&store, b"theirs");
        assert!(file.exists());
        let mut locked = lease.lock().unwrap();
        assert_eq!(locked.current(), Some(&b"theirs"[..]));
        locked.save(b"ours".to_vec().into()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), about.ino());
        assert_eq!(fs::read(&path).unwrap(), b"ours");
        // The next save finds its own room.
        locked.save(b"again".to_vec().into()).unwrap();
        drop(locked);
        assert_eq!(fs::read(&path).unwrap(), b"again");
        assert!(reserved(folder.path()).is_empty());
    }

    #[test]
    fn k09_room_is_given_back_with_the_lease_and_reserved_anew_when_it_is_too_little() {
        let (folder, path, store) = store();
        let mut lease = store.lease("ada", NOW).unwrap();
        for bytes in [10, 50_000, 0] {
            lease.reserve(bytes).unwrap();
            let files = reserved(folder.path());
            assert_eq!(files.len(), 1);
            assert_eq!(fs::metadata(files.first().unwrap()).unwrap().len(), u64::try_from(bytes).unwrap());
        }
        drop(lease);
        assert!(reserved(folder.path()).is_empty());
        let mut lease = store.lease("ada", NOW).unwrap();
        lease.reserve(10).unwrap();
        lease.lock().unwrap().save(vec![b'x'; 100_000].into()).unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), 100_000);
        // A lock may live longer than the lease that it was taken through.
        lease.reserve(10).unwrap();
        let mut locked = lease.lock().unwrap();
        drop(lease);
        locked.save(b"late".to_vec().into()).unwrap();
        assert_eq!((fs::read(&path).unwrap(), reserved(folder.path()).len()), (b"late".to_vec(), 0));
    }

    #[test]
    fn k09_room_outlives_a_save_that_came_too_late_and_its_own_removal() {
        let (folder, path, store) = store();
        save(&store, b"old");
        let mut lease = store.lease("ada", NOW).unwrap();
        lease.reserve(100_000).unwrap();
        let number = fs::metadata(reserved(folder.path()).first().unwrap()).unwrap().ino();
        let mut locked = lease.lock().unwrap();
        // By a program that takes no lock.
        fs::write(&path, b"theirs").unwrap();
        assert!(matches!(locked.save(b"ours".to_vec().into()), Err(StoreError::Changed { .. })));
        let about = fs::metadata(reserved(folder.path()).first().unwrap()).unwrap();
        assert!(about.ino() == number && about.blocks() * 512 >= 100_000);
        locked.reload().unwrap();
        locked.save(b"both".to_vec().into()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), number);
        drop(locked);
        lease.reserve(100_000).unwrap();
        fs::remove_file(reserved(folder.path()).first().unwrap()).unwrap();
        lease.lock().unwrap().save(b"without".to_vec().into()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"without");
        // The whole folder, too.
        lease.reserve(100_000).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        lease.lock().unwrap().save(b"anew".to_vec().into()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"anew");
    }
}
