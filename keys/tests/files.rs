//! Files with keys: private from the first byte, never overwritten, read with a limit.

use crate::support::*;
use device_flow_core::Secret;
use device_flow_keys::{DpopKey, KeyError, SigningKey, create_key_file};
use std::fs;
use std::io::ErrorKind;

#[test]
fn a_key_file_is_private_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let pem = DpopKey::generate_pem().unwrap();
    create_key_file(&path, &pem).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), pem.expose());
    let error = create_key_file(&path, &Secret::from("canary")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("choose another name"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), pem.expose());
    let error = create_key_file(folder.path().join("not").join("there"), &pem).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let again = SigningKey::from_file(&path).unwrap();
    assert_eq!(again.thumbprint(), SigningKey::from_pem(pem.expose()).unwrap().thumbprint());
}

#[cfg(unix)]
#[test]
fn a_key_file_is_for_its_owner_alone_and_no_link_is_followed() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (path, target, link) = (folder.path().join("key"), folder.path().join("target"), folder.path().join("link"));
    create_key_file(&path, &Secret::from("canary")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    symlink(&target, &link).unwrap();
    assert_eq!(create_key_file(&link, &Secret::from("canary")).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(!target.exists());
}

#[test]
fn a_file_that_holds_no_key_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.jwk");
    let error = SigningKey::from_file(&path).unwrap_err();
    assert!(matches!(&error, KeyError::Unreadable { path: told, .. } if *told == path), "{error}");
    assert!(matches!(SigningKey::from_file(folder.path()), Err(KeyError::Unreadable { .. })));
    fs::write(&path, RSA_JWK).unwrap();
    assert_eq!(SigningKey::from_file(&path).unwrap().key_id(), Some("bilbo.baggins@hobbiton.example"));
    // Both sides of the limit.
    let mut long = RSA_JWK.to_owned() + &" ".repeat((1 << 20) - RSA_JWK.len());
    fs::write(&path, &long).unwrap();
    SigningKey::from_file(&path).unwrap();
    long.push(' ');
    fs::write(&path, &long).unwrap();
    assert_eq!(SigningKey::from_file(&path).unwrap_err(), KeyError::TooLarge { path });
}
