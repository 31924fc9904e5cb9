//! F13: the default path, from the environment alone.
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use super::*;

fn folder(variables: &[(&str, &str)]) -> Option<String> {
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
    match state_folder(variable) {
        Ok(folder) => Some(folder.into_os_string().into_string().unwrap()),
        Err(error) => {
            assert!(matches!(error, StoreError::NoHome));
            assert!(error.advice().contains("HOME") && error.advice().contains("memory"));
            None
        }
    }
}

#[test]
fn f13_relative_and_empty_paths_are_ignored_and_without_any_it_says_so() {
    let home = ("HOME", "/home/me");
    assert_eq!(folder(&[home]).unwrap(), "/home/me/.local/state");
    assert_eq!(folder(&[home, ("XDG_STATE_HOME", "/var/me")]).unwrap(), "/var/me");
    assert_eq!(folder(&[("XDG_STATE_HOME", "/var/me")]).unwrap(), "/var/me");
    assert_eq!(folder(&[home, ("XDG_STATE_HOME", "state")]).unwrap(), "/home/me/.local/state");
    assert_eq!(folder(&[home, ("XDG_STATE_HOME", "../x")]).unwrap(), "/home/me/.local/state");
    assert_eq!(folder(&[home, ("XDG_STATE_HOME", "")]).unwrap(), "/home/me/.local/state");
    assert_eq!(folder(&[]), None);
    assert_eq!(folder(&[("HOME", "")]), None);
    assert_eq!(folder(&[("HOME", "me"), ("XDG_STATE_HOME", "state")]), None);
}
