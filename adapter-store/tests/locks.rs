//! F10: which locks are waited for, which are taken over, and how soon.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests panic to report")]

use device_flow_store::{Change, FileStore, Store, StoreError};
use device_flow_testkit::attempts::once_below;
use rustix::fs::FlockOperation;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use std::{env, thread};

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
    lockfile: PathBuf,
}

impl Place {
    /// With a lock file that says this.
    fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, lockfile) = (folder.path().join("tokens.json"), folder.path().join("tokens.json.lockfile"));
        fs::write(&lockfile, text).unwrap();
        Self { _folder: folder, path, lockfile }
    }

    fn save(&self, patience: Duration) -> (Result<(), StoreError>, Duration) {
        let start = Instant::now();
        let store = FileStore::new(&self.path).unwrap().lock_timeout(patience);
        (store.update(&mut |_| Change::Save(b"ours".to_vec().into())), start.elapsed())
    }

    /// Not before it can be known that the holder is dead, and within the ten seconds of F10.
    fn is_taken_over_after_five_seconds(&self) {
        let (text, written) =
            (fs::read(&self.lockfile).unwrap(), fs::metadata(&self.lockfile).unwrap().modified().unwrap());
        once_below(Duration::from_secs(10), || {
            fs::write(&self.lockfile, &text).unwrap();
            File::options().write(true).open(&self.lockfile).unwrap().set_modified(written).unwrap();
            let (outcome, took) = self.save(Duration::from_secs(60));
            outcome.unwrap();
            assert!(took >= Duration::from_secs(5), "{took:?}");
            assert!(!self.lockfile.exists());
            took
        });
    }

    fn is_left_alone(&self, patience: u64, named: &str) {
        let before = fs::read(&self.lockfile).unwrap();
        let (outcome, took) = self.save(Duration::from_secs(patience));
        let error = outcome.unwrap_err();
        assert!(matches!(error, StoreError::Busy { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(named) && text.contains("tokens.json.lockfile"), "{text}");
        // K07: nobody is told to delete the lock of a process that lives.
        assert!(error.advice().contains("end it") && !error.advice().contains("delete"), "{}", error.advice());
        // Nor much longer than one was willing to wait.
        assert!((Duration::from_secs(patience)..Duration::from_secs(patience + 30)).contains(&took), "{took:?}");
        assert_eq!(fs::read(&self.lockfile).unwrap(), before);
        assert!(!self.path.exists());
    }
}

fn dead() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn f10_the_lock_of_a_dead_node_is_taken_over() {
    Place::with(&dead().to_string()).is_taken_over_after_five_seconds();
}

#[test]
fn f10_the_lock_of_a_dead_python_is_taken_over() {
    Place::with(&format!("{} /usr/bin/az login", dead())).is_taken_over_after_five_seconds();
}

#[test]
fn f10_a_lock_that_names_nobody_is_taken_over() {
    Place::with("").is_taken_over_after_five_seconds();
}

// What an MSAL makes it writes into a moment later; nobody else makes that of a file that no MSAL knows.
#[test]
fn f10_a_lock_that_names_nobody_is_free_at_once_where_no_msal_knows_the_file() {
    let nothing = |_: Option<&[u8]>| Change::Save(b"ours".to_vec().into());
    for text in ["", &format!("{} device-flow-store", process::id())] {
        let place = Place::with(text);
        let store = FileStore::new(&place.path).unwrap().not_shared().lock_timeout(Duration::ZERO);
        store.update(&mut |stored| nothing(stored)).unwrap();
        assert!(!place.lockfile.exists());
    }
    // Of the two parts of a store that an MSAL shares, the one that it does not see.
    let place = Place::with("");
    let unshared = place.path.with_file_name("tokens.json.unshared");
    fs::rename(&place.lockfile, unshared.with_file_name("tokens.json.unshared.lockfile")).unwrap();
    let store = FileStore::new(&place.path).unwrap().lock_timeout(Duration::ZERO);
    store.unshared().unwrap().update(&mut |stored| nothing(stored)).unwrap();
    assert_eq!(fs::read(&unshared).unwrap(), b"ours");
    // The lock of another host can be held unseen.
    let place = Place::with("1 device-flow-store another.host");
    let store = FileStore::new(&place.path).unwrap().not_shared().lock_timeout(Duration::ZERO);
    let error = store.update(&mut |stored| nothing(stored)).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
}

/// After a reboot, say: process 1 always runs.
#[cfg(target_os = "linux")]
#[test]
fn f10_a_lock_that_is_older_than_its_process_is_taken_over() {
    let place = Place::with("1");
    let long_ago = SystemTime::now() - Duration::from_secs(5 * 365 * 86_400);
    File::options().write(true).open(&place.lockfile).unwrap().set_modified(long_ago).unwrap();
    place.is_taken_over_after_five_seconds();
}

#[test]
fn f10_the_lock_of_another_host_is_taken_over_when_nobody_touches_it() {
    Place::with(&format!("{} device-flow-store another.host", process::id())).is_taken_over_after_five_seconds();
}

/// As on a network file system without locks: neither the process nor its `flock` can be seen, only that it is touched.
#[test]
fn f10_the_lock_of_another_host_is_left_alone_while_it_is_touched() {
    let place = Place::with(&format!("{} device-flow-store another.host", dead()));
    let file = File::options().write(true).open(&place.lockfile).unwrap();
    let (ended, end) = std::sync::mpsc::channel::<()>();
    let beat = thread::spawn(move || {
        while end.recv_timeout(Duration::from_millis(100)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            file.set_modified(SystemTime::now()).unwrap();
        }
    });
    place.is_left_alone(8, "device-flow-store another.host");
    drop(ended);
    beat.join().unwrap();
}

/// We touch ours, too.
#[test]
fn f10_ours_is_touched_while_it_is_held() {
    let place = Place::with("");
    fs::remove_file(&place.lockfile).unwrap();
    let store = FileStore::new(&place.path).unwrap();
    let locked = store.lock().unwrap();
    let start = Instant::now();
    let touched = || fs::metadata(&place.lockfile).unwrap().modified().unwrap();
    let mut seen = vec![touched()];
    while seen.len() < 4 {
        // Once a second; how much less often than it may be is checked where it is compiled.
        assert!(start.elapsed() < Duration::from_secs(60), "{seen:?}");
        thread::yield_now();
        if seen.last() != Some(&touched()) {
            seen.push(touched());
        }
    }
    drop(locked);
    assert!(!place.lockfile.exists());
}

/// Node: its process is alive, and it locks nothing else.
#[test]
fn f10_the_lock_of_a_process_that_lives_is_left_alone_and_named() {
    Place::with(&process::id().to_string()).is_left_alone(7, &format!("process {}", process::id()));
}

/// Python, .NET: its number means nothing here, as between two containers, but it has the file locked.
#[test]
fn f10_a_lock_file_that_is_locked_is_left_alone() {
    let place = Place::with(&format!("{} /usr/bin/az", dead()));
    let file = File::open(&place.lockfile).unwrap();
    rustix::fs::flock(&file, FlockOperation::LockExclusive).unwrap();
    place.is_left_alone(7, "(\"/usr/bin/az\")");
    drop(file);
    place.is_taken_over_after_five_seconds();
}

/// Not a test: a process that is not root, whom every file obeys.
#[test]
#[ignore = "started by the test below"]
fn locks_of_any_mode() {
    let Some(host) = std::env::var_os("DEVICE_FLOW_STORE_CHILD") else { return };
    // Not meanwhile: a process that is about to be another has all our locks.
    let dead = dead().to_string();
    let ours = format!("{dead} device-flow-store {}", host.to_str().unwrap());
    thread::scope(|scope| {
        for mode in [0o664, 0o666, 0o777, 0o600, 0o400, 0o444, 0o200, 0o000] {
            // Ours at once, which is sooner than that of any other program.
            for (text, patience) in [(ours.clone(), 4), (dead.clone(), 60)] {
                scope.spawn(move || {
                    let place = Place::with(&text);
                    fs::set_permissions(&place.lockfile, fs::Permissions::from_mode(mode)).unwrap();
                    let (outcome, _) = place.save(Duration::from_secs(patience));
                    outcome.unwrap_or_else(|error| panic!("{mode:o} {text}: {error}"));
                    assert!(!place.lockfile.exists(), "{mode:o} {text}");
                    // Our own lock, and a lease, were made under some umask, too.
                    fs::set_permissions(place.path.with_extension("json.flock"), fs::Permissions::from_mode(mode))
                        .unwrap();
                    let lease = place.path.with_extension("json.lease-af63dc4c8601ec8c");
                    fs::write(&lease, "").unwrap();
                    fs::set_permissions(&lease, fs::Permissions::from_mode(mode)).unwrap();
                    let store = FileStore::new(&place.path).unwrap();
                    let lease = store.lease("a", Duration::ZERO).unwrap_or_else(|error| panic!("{mode:o}: {error}"));
                    place.save(Duration::ZERO).0.unwrap_or_else(|error| panic!("{mode:o}: {error}"));
                    drop(lease);
                });
            }
        }
    });
    println!("all");
}

/// K11: under a umask of 002, Python makes it with mode 664; under one of 277, we made it with mode 400.
#[test]
fn k11_the_lock_of_a_dead_process_is_taken_over_whatever_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let (exe, mut rights) = (folder.path().join("exe"), fs::metadata(folder.path()).unwrap().permissions());
    fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    rights.set_mode(0o777);
    fs::set_permissions(folder.path(), rights).unwrap();
    let mut child = Command::new(exe);
    child.args(["--exact", "locks_of_any_mode", "--ignored", "--nocapture"]).env("TMPDIR", folder.path());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    child.env("DEVICE_FLOW_STORE_CHILD", host).current_dir("/");
    if rustix::process::geteuid().is_root() {
        child.uid(65_534).gid(65_534);
    }
    let output = child.output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("all"), "{output:?}");
}

#[test]
fn f10_a_lock_that_is_given_back_is_taken_at_once() {
    once_below(Duration::from_secs(1), || {
        let place = Place::with(&process::id().to_string());
        let lockfile = place.lockfile.clone();
        let (given_back, when) = std::sync::mpsc::channel();
        let holder = thread::spawn(move || {
            thread::sleep(Duration::from_millis(1_500));
            fs::remove_file(lockfile).unwrap();
            given_back.send(Instant::now()).unwrap();
        });
        place.save(Duration::from_secs(60)).0.unwrap();
        let lag = when.recv().unwrap().elapsed();
        holder.join().unwrap();
        lag
    });
}

#[test]
fn f10_taken_twice_it_names_this_process() {
    let place = Place::with("");
    fs::remove_file(&place.lockfile).unwrap();
    let locked = FileStore::new(&place.path).unwrap().lock().unwrap();
    once_below(Duration::from_secs(3), || {
        let (outcome, took) = place.save(Duration::from_secs(1));
        assert!(outcome.unwrap_err().to_string().starts_with(&format!("process {} (", process::id())));
        took
    });
    drop(locked);
    place.save(Duration::ZERO).0.unwrap();
}

// Java waits for as long as the file exists.
#[test]
fn f10_the_lock_of_the_folder_is_there_while_it_is_held_and_only_when_java_shares_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = |name: &str| {
        FileStore::new(folder.path().join(name)).unwrap().lock_timeout(Duration::from_millis(10)).shared_with_java()
    };
    let lockfile = folder.path().join(".lockfile");
    drop(FileStore::new(folder.path().join("a")).unwrap().lock().unwrap());
    let mut held = FileStore::new(folder.path().join("a")).unwrap().lock().unwrap();
    assert!(!lockfile.exists(), "nobody said that Java shares it");
    held.save(b"ours".to_vec().into()).unwrap();
    drop(held);

    let mut held = store("a").lock().unwrap();
    assert_eq!(fs::metadata(&lockfile).unwrap().mode() & 0o7777, 0o600);
    // A record lock would let the same process in twice.
    match store("b").lock().map(drop) {
        Err(StoreError::Busy { holder, .. }) => assert_eq!(holder.pid, Some(process::id())),
        other => panic!("{other:?}"),
    }
    held.save(b"ours".to_vec().into()).unwrap();
    assert!(lockfile.exists());
    // Java deletes the file after it has unlocked it, which may be after we have locked it: then it is made again.
    fs::remove_file(&lockfile).unwrap();
    held.save(b"ours again".to_vec().into()).unwrap();
    assert!(lockfile.exists());
    drop(held);
    assert!(!lockfile.exists());
    drop(store("b").lock().unwrap());
}

// What 0.1.0 had mixed is taken apart under both locks, and a record lock belongs to the whole process.
#[test]
fn f10_the_file_that_no_msal_reads_is_locked_while_the_lock_of_the_folder_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::new(folder.path().join("a")).unwrap().lock_timeout(Duration::from_millis(10));
    for store in [store.clone(), store.shared_with_java()] {
        fs::write(folder.path().join(".lockfile"), "4711@host").unwrap();
        let mut held = store.lock().unwrap();
        let unshared = store.unshared().unwrap();
        let mut beside = unshared.lock().unwrap();
        beside.save(b"not Java's".to_vec().into()).unwrap();
        held.save(b"Java's".to_vec().into()).unwrap();
        drop((beside, held));
        assert!(!folder.path().join(".lockfile").exists());
    }
}

#[test]
fn f10_what_no_msal_has_put_in_the_place_of_the_lock_of_the_folder_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::new(folder.path().join("a")).unwrap();
    let lockfile = folder.path().join(".lockfile");
    let save = || store.update(&mut |_| Change::Save(b"ours".to_vec().into())).unwrap();
    fs::write(&lockfile, "notes").unwrap();
    save();
    assert_eq!(fs::read(&lockfile).unwrap(), b"notes");
    fs::remove_file(&lockfile).unwrap();
    fs::create_dir(&lockfile).unwrap();
    save();
    fs::remove_dir(&lockfile).unwrap();
    // Left by a Java program that was killed, before it had written into it or afterwards.
    for text in ["4711@host", ""] {
        fs::write(&lockfile, text).unwrap();
        save();
        assert!(!lockfile.exists(), "{text}");
    }
}

/// Not a test: a process that holds the lock of the folder as Java does, until its input ends.
#[test]
#[ignore = "started by the test below"]
fn java() {
    let Some(path) = env::var_os("DEVICE_FLOW_STORE_CHILD") else { return };
    let mut file = File::create(path).unwrap();
    rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    write!(file, "{}@host", process::id()).unwrap();
    println!("held");
    std::io::stdin().read_to_end(&mut vec![]).unwrap();
}

// A record lock keeps out other processes alone.
#[test]
fn f10_the_lock_of_the_folder_is_waited_for_while_another_process_holds_it_and_then_names_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let lockfile = folder.path().join(".lockfile");
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "java", "--ignored", "--nocapture"]).env("DEVICE_FLOW_STORE_CHILD", &lockfile);
    let mut java = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(java.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"));
    let store = FileStore::new(folder.path().join("a")).unwrap();
    match store.clone().lock_timeout(Duration::from_millis(10)).lock().map(drop) {
        Err(StoreError::Busy { holder, path, .. }) => {
            assert_eq!((holder.pid, path), (Some(java.id()), lockfile.clone()))
        }
        other => panic!("{other:?}"),
    }
    drop(java.stdin.take());
    java.wait().unwrap();
    let held = store.lock().unwrap();
    assert!(fs::read_to_string(&lockfile).unwrap().starts_with(&format!("{} ", process::id())));
    drop(held);
    assert!(!lockfile.exists());
}
