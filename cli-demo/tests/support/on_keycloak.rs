//! Proves on a real Keycloak, through the binary, what no other server here does: sessions that devices share, refusals
//! after the approval, issuers that depend on the address, tokens for one use.
//!
//! `testkit/keycloak.sh test` starts the server and runs these.

use crate::with_keys::Computer;
use device_flow_testkit::servers::{Keycloak, Options, PUBLIC};
use serde_json::{Value, json};
use std::fs;
use std::thread;
use std::time::Duration;

/// The last event of a login, and its exit code.
fn end_of(login: crate::Login) -> (i32, Value) {
    let ended = login.end();
    (ended.exit, ended.events().pop().unwrap())
}

// B07.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn keycloak_refuses_offline_access_after_the_approval_and_login_ends_with_7_and_the_reason() {
    let keycloak = Keycloak::running();
    let computer = |scope| Computer::asking_for(scope, &keycloak.issuer(), PUBLIC, &[]);
    let mut login = computer("openid offline_access").login(&[]);
    keycloak.approve_as_bob(&login.code_from_json());
    let (exit, error) = end_of(login);
    assert_eq!((exit, &error["code"]), (7, &"not_allowed".into()), "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("Offline tokens not allowed for the user or client"), "{message}");

    let computer = computer("openid");
    computer.signs_in(|code| keycloak.approve_as_bob(code));
    computer.succeeds("refresh", &[]);
}

#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn a_logout_on_keycloak_ends_the_other_device_that_was_approved_in_the_same_browser() {
    let keycloak = Keycloak::with_realm(Options { interval: Some(1), ..Options::default() }, &json!({}));
    let computer = || Computer::asking_for("openid", &keycloak.issuer(), PUBLIC, &[]);
    let (one, other) = (computer(), computer());
    let (mut first, mut second) = (one.login(&[]), other.login(&[]));
    keycloak.approve_in_one_browser(&[&first.code_from_json(), &second.code_from_json()]);
    for login in [first, second] {
        assert_eq!(end_of(login).0, 0);
    }
    other.succeeds("refresh", &[]);

    one.succeeds("logout", &[]);
    // Its access token is still there, and the server is not asked before that has expired.
    other.succeeds("token", &[]);
    let (exit, stdout, stderr) = other.run("refresh", &[]);
    assert_eq!((exit, &*stdout), (4, ""), "{stderr}");
    assert!(stderr.contains("Session not active"), "{stderr}");
    other.signs_in_with(&["--force"], |code| keycloak.approve(code));
    other.succeeds("refresh", &[]);
}

// B24: a copy of the file, from a backup or another computer, is enough.
#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn on_a_realm_of_tokens_for_one_use_an_old_copy_of_the_file_ends_the_sign_in_everywhere() {
    let rotates = json!({"revokeRefreshToken": true, "refreshTokenMaxReuse": 0});
    let keycloak = Keycloak::with_realm(Options { interval: Some(1), ..Options::default() }, &rotates);
    let computer = Computer::asking_for("openid offline_access", &keycloak.issuer(), PUBLIC, &[]);
    computer.signs_in(|code| keycloak.approve(code));
    // On a server that is not Microsoft's, they are in this file.
    let file = computer.home.path().join("tokens.json.unshared");
    let old = fs::read(&file).unwrap();
    for _ in 0..3 {
        // Keycloak counts in seconds: a token of the same second is not yet an old one.
        thread::sleep(Duration::from_millis(1100));
        computer.succeeds("refresh", &[]);
    }
    let new = fs::read(&file).unwrap();

    fs::write(&file, old).unwrap();
    let (exit, _, stderr) = computer.run("refresh", &[]);
    assert_eq!(exit, 4, "{stderr}");
    assert!(stderr.contains("invalid_grant"), "{stderr}");
    fs::write(&file, new).unwrap();
    let (exit, _, stderr) = computer.run("refresh", &[]);
    assert_eq!(exit, 4, "{stderr}");
    computer.signs_in_with(&["--force"], |code| keycloak.approve(code));
    computer.succeeds("refresh", &[]);
}

#[test]
#[ignore = "needs a Keycloak: testkit/keycloak.sh test"]
fn approved_at_another_address_than_the_issuers_login_ends_with_7_and_names_it() {
    let keycloak = Keycloak::running();
    let computer = Computer::asking_for("openid", &keycloak.issuer(), PUBLIC, &[]);
    let mut login = computer.login(&[]);
    keycloak.approve_at(&keycloak.issuer_at_localhost(), &login.code_from_json());
    let (exit, error) = end_of(login);
    assert_eq!(exit, 7, "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&keycloak.issuer_at_localhost()), "{message}");
    let (exit, _, stderr) = computer.run("token", &[]);
    assert_eq!(exit, 4, "nothing is kept: {stderr}");

    // By that address, all is well.
    let computer = Computer::asking_for("openid", &keycloak.issuer_at_localhost(), PUBLIC, &[]);
    computer.signs_in(|code| keycloak.approve_at(&keycloak.issuer_at_localhost(), code));
    computer.succeeds("refresh", &[]);
    computer.succeeds("logout", &[]);
}
