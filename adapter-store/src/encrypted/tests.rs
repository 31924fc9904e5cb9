//! Tests for `encrypted`: the duties of a store, the format, and every way in which a key can be wrong.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test reports")]

use super::*;
use crate::{Change, FileStore, MemoryStore};

fn save(store: &dyn Store, text: &str) {
    store.update(&mut |_| Change::Save(text.as_bytes().to_vec().into())).unwrap();
}

fn stored(store: &dyn Store) -> Option<String> {
    store.load().unwrap().map(|contents| String::from_utf8(contents.to_vec()).unwrap())
}

#[test]
fn what_is_saved_is_an_age_file_that_its_key_alone_opens() {
    let (inner, key) = (MemoryStore::new(), AgeKey::generate());
    let store = EncryptedStore::new(inner.clone(), key.clone());
    assert_eq!(stored(&store), None);
    save(&store, "RT-canary");
    let sealed = inner.load().unwrap().unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n-> X25519 "));
    assert!(!sealed.windows(6).any(|window| window == b"canary"));
    assert_eq!(
        stored(&EncryptedStore::new(inner.clone(), AgeKey::read(key.to_text().as_bytes()).unwrap())).unwrap(),
        "RT-canary"
    );

    let other = EncryptedStore::new(inner.clone(), AgeKey::generate());
    for error in [other.load().map(drop).unwrap_err(), other.lock().map(drop).unwrap_err()] {
        assert!(
            error.to_string().contains("this key does not open") && error.advice().contains("Use the key"),
            "{error}"
        );
    }
    // A byte of the payload, and one of the header.
    for at in [sealed.len() - 1, 30] {
        let mut damaged = sealed.to_vec();
        damaged[at] ^= 1;
        inner.update(&mut |_| Change::Save(damaged.clone().into())).unwrap();
        assert!(store.load().is_err(), "{at}");
    }
    inner.update(&mut |_| Change::Save(b"{}".to_vec().into())).unwrap();
    assert!(store.load().map(drop).unwrap_err().to_string().contains("not encrypted"));
}

#[test]
fn it_does_what_a_store_must_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = FileStore::new(folder.path().join("tokens.age")).unwrap().not_shared();
    let store = EncryptedStore::new(file, AgeKey::generate());
    assert!(store.unshared().is_none());
    save(&store, "one");
    let mut lease = store.lease("me", Duration::ZERO).unwrap();
    assert!(matches!(store.lease("me", Duration::ZERO).map(drop), Err(StoreError::Busy { .. })));
    lease.reserve(100_000).unwrap();
    let mut locked = lease.lock().unwrap();
    assert_eq!(locked.current(), Some(&b"one"[..]));
    let long = "x".repeat(100_000);
    locked.save(long.clone().into_bytes().into()).unwrap();
    assert_eq!(locked.current().map(<[u8]>::len), Some(100_000));
    locked.reload().unwrap();
    assert_eq!(locked.current(), Some(long.as_bytes()));
    locked.remove().unwrap();
    assert_eq!(locked.current(), None);
    drop(locked);
    assert_eq!(stored(&store), None);
}

// The room that is reserved is enough, and not much more.
#[test]
fn the_overhead_of_encryption_is_reserved() {
    let key = AgeKey::generate();
    for bytes in [0, 1, 65_535, 65_536, 65_537, 500_000] {
        for _ in 0..20 {
            let sealed = key.encrypt(&vec![7; bytes]).unwrap().len();
            let reserved = bytes + overhead(bytes);
            assert!(sealed <= reserved && reserved < sealed + 1_000, "{bytes}: {sealed} of {reserved}");
        }
    }
}

#[test]
fn a_key_is_read_as_age_keygen_writes_it_and_else_refused_with_the_reason() {
    let key = AgeKey::generate();
    let text = key.to_text();
    let file = format!("# created: 2026-11-30T12:00:00Z\n# public key: {}\n\n{}\r\n", key.recipient(), *text);
    assert_eq!(AgeKey::read(file.as_bytes()).unwrap().recipient(), key.recipient());
    assert_eq!(format!("{key:?}"), format!("AgeKey({})", key.recipient()));
    let refused = |file: &[u8]| AgeKey::read(file).map(drop).unwrap_err();
    for nothing in [&b""[..], b"# only a comment\n", b"age1qqqq\n", b"AGE-SECRET-KEY-PQ-1QQQ\n", b"\xff"] {
        assert_eq!(refused(nothing), AgeKeyError::NoKey);
    }
    let cut = text.get(..text.len() - 4).unwrap();
    assert_eq!(refused(cut.as_bytes()), AgeKeyError::Damaged);
    assert_eq!(refused(text.replacen("KEY-1", "KEY-1Q", 1).as_bytes()), AgeKeyError::Damaged);
}

#[test]
fn a_passphrase_protects_the_key() {
    let key = AgeKey::generate();
    let protected = key.protected("correct horse canary").unwrap();
    assert!(protected.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    assert_eq!(AgeKey::read(&protected).map(drop), Err(AgeKeyError::Protected));
    assert_eq!(AgeKey::unlock(&protected, "correct horse canary").unwrap().recipient(), key.recipient());
    assert_eq!(AgeKey::unlock(&protected, "wrong").map(drop), Err(AgeKeyError::WrongPassphrase));
    assert_eq!(AgeKey::unlock(b"{}", "any").map(drop), Err(AgeKeyError::WrongPassphrase));
}

// Where a file can only be emptied, as in a folder that takes nothing, an empty one holds nothing.
#[test]
fn an_emptied_file_holds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.age");
    let store = EncryptedStore::new(FileStore::new(&path).unwrap().not_shared(), AgeKey::generate());
    save(&store, "one");
    std::fs::write(&path, "").unwrap();
    assert_eq!(stored(&store), None);
    save(&store, "two");
    assert_eq!(stored(&store).as_deref(), Some("two"));
}
