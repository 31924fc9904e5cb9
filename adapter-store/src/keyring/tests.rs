//! The keyring store on a mock keyring: parts, crashes between them, missing answers, and refusals.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests panic to report"
)]

use super::*;
use crate::Change;
use keyring_core::api::CredentialStoreApi;
use keyring_core::mock;
use std::any::Any;
use std::collections::HashMap;
use std::time::Instant;

const OLD: &[u8] = b"old canary";

fn on(keyring: &Arc<mock::Store>, folder: &tempfile::TempDir, part: usize) -> KeyringStore {
    let mut store = KeyringStore::with(keyring.clone(), "device-flow", "me", folder.path().join("tokens")).unwrap();
    store.part = part;
    store
}

/// The entries of a keyring: names and lengths.
fn entries(keyring: &mock::Store) -> Vec<(String, usize)> {
    let inner = keyring.inner.lock().unwrap();
    let creds: Vec<_> = inner.borrow().clone();
    let length = |cred: &mock::Cred| cred.inner.lock().unwrap().borrow().secret.as_ref().map(Vec::len);
    creds.iter().filter_map(|cred| Some((cred.specifiers.1.clone(), length(cred)?))).collect()
}

fn save(store: &KeyringStore, contents: &[u8]) -> Result<(), StoreError> {
    store.update(&mut |_| Change::Save(contents.to_vec().into()))
}

/// An 8 KiB token under the limit of Windows.
#[test]
fn f08_what_is_too_long_for_an_entry_is_split_and_put_together() {
    let (keyring, folder) = (mock::Store::new().unwrap(), tempfile::tempdir().unwrap());
    let store = on(&keyring, &folder, 2_560);
    let token: Vec<u8> = (0..8_192_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    let lengths = [0, 1, 2_521, 2_522, 2_523, 2 * 2_522, 8_192, 100_000];
    for length in lengths.into_iter().chain(lengths.into_iter().rev()) {
        let contents: Vec<u8> = token.iter().copied().cycle().take(length).collect();
        save(&store, &contents).unwrap();
        let expected = Some(contents.as_slice()).filter(|contents| !contents.is_empty());
        assert_eq!(store.load().unwrap().as_deref(), expected, "{length}");
        let entries = entries(&keyring);
        assert!(entries.iter().all(|(_, length)| *length <= 2_560), "{entries:?}");
        assert_eq!(entries.len(), 1 + length.div_ceil(2_522), "nothing is left over: {entries:?}");
    }
    store.update(&mut |_| Change::Remove).unwrap();
    store.update(&mut |_| Change::Remove).unwrap();
    assert_eq!((entries(&keyring), store.load().unwrap()), (vec![], None));
}

/// A keyring that fails, or never answers, after this many calls.
#[derive(Debug)]
struct Failing {
    inner: Arc<mock::Store>,
    calls_left: std::sync::atomic::AtomicUsize,
    hangs: bool,
}

impl CredentialStoreApi for Failing {
    fn vendor(&self) -> String {
        String::new()
    }

    fn id(&self) -> String {
        String::new()
    }

    fn build(&self, service: &str, user: &str, mods: Option<&HashMap<&str, &str>>) -> keyring_core::Result<Entry> {
        use std::sync::atomic::Ordering::SeqCst;
        if self.calls_left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_err() {
            if self.hangs {
                thread::park();
            }
            return Err(Error::NoStorageAccess("the collection is locked".into()));
        }
        self.inner.build(service, user, mods)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn f04_f08_stopped_between_any_two_calls_the_old_or_the_new_is_there_and_nothing_stays_behind() {
    let new = vec![b'n'; 500];
    let (mut calls, mut saw_old, mut saw_new) = (1, 0, 0);
    loop {
        let (keyring, folder) = (mock::Store::new().unwrap(), tempfile::tempdir().unwrap());
        // Three parts, saved twice, so that both slots have been used.
        save(&on(&keyring, &folder, 138), &[b'x'; 290]).unwrap();
        save(&on(&keyring, &folder, 138), OLD).unwrap();
        let failing = Failing { inner: keyring.clone(), calls_left: calls.into(), hangs: false };
        let mut store =
            KeyringStore::with(Arc::new(failing), "device-flow", "me", folder.path().join("tokens")).unwrap();
        store.part = 138;
        let outcome = save(&store, &new);
        let healthy = on(&keyring, &folder, 138);
        let stored = healthy.load().unwrap().unwrap();
        match outcome {
            Err(error) => {
                assert!(matches!(error, StoreError::Keyring { reason: KeyringFailure::Locked(_) }), "{error}");
                assert_eq!(&*stored, OLD, "{calls}");
                saw_old += 1;
            }
            Ok(()) => {
                assert_eq!(&*stored, &new, "{calls}");
                saw_new += 1;
            }
        }
        save(&healthy, b"after").unwrap();
        assert_eq!(healthy.load().unwrap().as_deref(), Some(&b"after"[..]));
        assert_eq!(entries(&keyring).len(), 2, "{calls}: {:?}", entries(&keyring));
        if saw_new > 12 {
            break;
        }
        calls += 1;
    }
    assert!(saw_old >= 8, "{saw_old}");
}

#[test]
fn f07_a_keyring_that_never_answers_is_an_error_after_three_seconds_and_not_later() {
    assert_eq!(ANSWER_TIMEOUT, Duration::from_secs(3));
    let folder = tempfile::tempdir().unwrap();
    let failing = Failing { inner: mock::Store::new().unwrap(), calls_left: 0.into(), hangs: true };
    let start = Instant::now();
    let error = KeyringStore::with(Arc::new(failing), "device-flow", "me", folder.path().join("tokens")).unwrap_err();
    let took = start.elapsed();
    assert!(matches!(error, StoreError::Keyring { reason: KeyringFailure::NoAnswer(ANSWER_TIMEOUT) }), "{error}");
    // It would hang for ever.
    assert!((ANSWER_TIMEOUT..ANSWER_TIMEOUT * 10).contains(&took), "{took:?}");
    assert!(error.advice().contains("Unlock") && error.advice().contains("file"), "{}", error.advice());
    // There was no fallback.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn f07_what_is_not_ours_or_not_whole_is_damaged_and_not_shown() {
    let (keyring, folder) = (mock::Store::new().unwrap(), tempfile::tempdir().unwrap());
    let store = on(&keyring, &folder, 138);
    save(&store, &[b'c'; 300]).unwrap();
    let of = |user: &str| keyring.build("device-flow", user, None).unwrap();
    let (manifest, part) = (of("me").get_secret().unwrap(), of("me part 0.1").get_secret().unwrap());
    let damaged = |what: &str| match store.load().unwrap_err() {
        StoreError::Keyring { reason: KeyringFailure::Damaged(_) } => {}
        error => panic!("{what}: {error}"),
    };
    let at_another_time = [&b"0123456789abcdef 1\n"[..], &part[19..]].concat();
    for changed in [&part[1..], &part[..part.len() - 1], &[&part[..], b"x"].concat(), &at_another_time, b""] {
        of("me part 0.1").set_secret(changed).unwrap();
        damaged("part");
    }
    of("me part 0.1").delete_credential().unwrap();
    damaged("no part");
    of("me part 0.1").set_secret(&part).unwrap();
    for text in [
        "",
        "canary",
        "device-flow-store 2 0 3 300 0",
        "device-flow-store 1 2 3 300 0",
        "device-flow-store 1 0 9 3 0",
        "device-flow-store 1 0 3 99999999999999 0",
        "device-flow-store 1 0 3 300 0 0",
    ] {
        of("me").set_secret(text.as_bytes()).unwrap();
        damaged(text);
    }
    of("me").set_secret(&manifest).unwrap();
    assert_eq!(store.load().unwrap().as_deref(), Some(&[b'c'; 300][..]));
}

#[test]
fn a_keyring_that_was_changed_by_someone_who_takes_no_lock_is_not_overwritten() {
    let (keyring, folder, other) =
        (mock::Store::new().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = on(&keyring, &folder, 1_000);
    let mut locked = store.lock().unwrap();
    save(&on(&keyring, &other, 1_000), b"theirs").unwrap();
    assert!(matches!(locked.save(b"ours".to_vec().into()), Err(StoreError::Changed { .. })));
    locked.reload().unwrap();
    assert_eq!(locked.current(), Some(&b"theirs"[..]));
    locked.save(b"both".to_vec().into()).unwrap();
    assert_eq!(store.load().unwrap().as_deref(), Some(&b"both"[..]));
    assert!(!format!("{store:?}").contains("both"));
}

#[test]
fn k08_a_reservation_finds_a_locked_keyring_and_leaves_nothing_behind() {
    let (keyring, folder) = (mock::Store::new().unwrap(), tempfile::tempdir().unwrap());
    let store = on(&keyring, &folder, 138);
    save(&store, OLD).unwrap();
    let mut lease = store.lease("ada", Duration::ZERO).unwrap();
    for bytes in [0, 1, 10_000_000] {
        lease.reserve(bytes).unwrap();
    }
    assert_eq!(entries(&keyring).len(), 2, "{:?}", entries(&keyring));
    // Each call in turn meets a keyring that was locked meanwhile.
    for calls_left in [0, 1] {
        let failing = Failing { inner: keyring.clone(), calls_left: (1 + calls_left).into(), hangs: false };
        let failing = KeyringStore::with(Arc::new(failing), "device-flow", "me", folder.path().join("tokens")).unwrap();
        let error = failing.lease("bob", Duration::ZERO).unwrap().reserve(100).unwrap_err();
        assert!(matches!(error, StoreError::Keyring { reason: KeyringFailure::Locked(_) }), "{error}");
    }
    // What a run that was stopped in between has left is overwritten by the next, and never read.
    lease.reserve(100).unwrap();
    assert_eq!(entries(&keyring).len(), 2);
    assert_eq!(store.load().unwrap().as_deref(), Some(OLD));
}

#[test]
fn k07_a_lease_is_beside_the_lock_and_held_once() {
    let (keyring, folder) = (mock::Store::new().unwrap(), tempfile::tempdir().unwrap());
    let (store, other) = (on(&keyring, &folder, 1_000), on(&keyring, &folder, 1_000));
    let mut lease = store.lease("ada", Duration::ZERO).unwrap();
    assert!(matches!(other.lease("ada", Duration::ZERO).err(), Some(StoreError::Busy { .. })));
    drop(other.lease("bob", Duration::ZERO).unwrap());
    save(&other, b"theirs").unwrap();
    let mut locked = lease.lock().unwrap();
    assert_eq!(locked.current(), Some(&b"theirs"[..]));
    locked.save(b"both".to_vec().into()).unwrap();
    drop((locked, lease));
    drop(other.lease("ada", Duration::ZERO).unwrap());
    assert!(store.unshared().is_none());
    let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["tokens.flock"]);
}
