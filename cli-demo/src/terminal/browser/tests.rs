//! Tests for `browser`: which programs are used, and which never are.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to report")]

use super::programs::{Opener, openers};
use super::would_be_seen;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// A folder of programs that do nothing, as PATH.
fn programs(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn env<'a>(path: &'a tempfile::TempDir, set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    move |asked| match asked {
        "PATH" => Some(path.path().into()),
        _ => set.iter().find(|(name, _)| *name == asked).map(|(_, value)| OsString::from(value)),
    }
}

fn commands(path: &tempfile::TempDir, set: &[(&str, &str)]) -> Vec<String> {
    let command = |opener: Opener| {
        let name = opener.program.file_name().unwrap().to_string_lossy().into_owned();
        [vec![name], opener.arguments].concat().join(" ")
    };
    openers(&env(path, set), "https://as/?a=%s").into_iter().map(command).collect()
}

#[test]
fn e07_a_browser_is_offered_where_the_person_would_see_it() {
    let path = programs(&["xdg-open", "code-browser"]);
    for (set, seen) in [
        (&[][..], false),
        (&[("DISPLAY", ":0")], true),
        (&[("WAYLAND_DISPLAY", "wayland-0")], true),
        (&[("DISPLAY", "localhost:10.0"), ("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22")], false),
        (&[("DISPLAY", ":0"), ("SSH_TTY", "/dev/pts/1")], false),
        (&[("BROWSER", "code-browser")], true),
        (&[("BROWSER", "missing")], false),
        (&[("WSL_DISTRO_NAME", "Debian")], true),
        (&[("container", "podman")], false),
    ] {
        assert_eq!(would_be_seen(&env(&path, set)), seen, "{set:?}");
    }
    let nothing = programs(&[]);
    assert!(!would_be_seen(&env(&nothing, &[("DISPLAY", ":0")])), "no program opens one");
}

#[test]
fn browser_names_commands_and_where_the_address_goes() {
    let path = programs(&["firefox", "xdg-open", "gio"]);
    let list = "missing:firefox --new-window %s --x:firefox";
    assert_eq!(
        commands(&path, &[("BROWSER", list)]),
        [
            "firefox --new-window https://as/?a=%s --x",
            "firefox https://as/?a=%s",
            "xdg-open https://as/?a=%s",
            "gio open https://as/?a=%s"
        ]
    );
    let path = programs(&["wslview", "xdg-open"]);
    assert_eq!(commands(&path, &[("WSL_INTEROP", "1")])[0], "wslview https://as/?a=%s");
    assert_eq!(commands(&path, &[]), ["xdg-open https://as/?a=%s"]);
}

#[test]
fn a_text_browser_is_never_used_under_any_name() {
    let path = programs(&["w3m", "lynx", "www-browser", "elinks"]);
    symlink(path.path().join("w3m"), path.path().join("x-www-browser")).unwrap();
    symlink(path.path().join("lynx"), path.path().join("my-browser")).unwrap();
    let full = path.path().join("elinks");
    for browser in ["w3m", "lynx %s", "www-browser", "my-browser", "x-www-browser", full.to_str().unwrap()] {
        assert_eq!(commands(&path, &[("BROWSER", browser)]), [""; 0], "{browser}");
    }
}
