//! The author of a lock file, and whether that process is alive.
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use super::*;
use std::process::{Command, Stdio};
use std::time::Instant;

fn author(text: &str) -> Author {
    Author::parse(text.as_bytes())
}

#[test]
fn each_kind_of_lock_file_is_understood() {
    let me = std::process::id();
    assert_eq!(author("4711").holder(), LockHolder { pid: Some(4711), name: String::new() });
    assert_eq!(
        author("4711 /opt/my app.py").holder(),
        LockHolder { pid: Some(4711), name: "/opt/my app.py".to_owned() }
    );
    for text in ["{4711} {/opt/my app}", "\u{feff}4711 /opt/my app", "4711@/opt/my app"] {
        assert_eq!(author(text).holder(), LockHolder { pid: Some(4711), name: "/opt/my app".to_owned() }, "{text:?}");
    }
    assert!(author(&Author::of_this_process()).is_ours_here());
    assert_eq!(author(&Author::of_this_process()).holder().pid, Some(me));
    assert!(!author(&format!("{me} device-flow-store another.host")).is_ours_here());
    // Nothing, nonsense, and numbers that would signal groups of processes.
    for text in
        ["", " ", "x", "{", "{}", "{} {}", "{x} {y}", "@", "{-1} {x}", "-1", "0", "-4711 x", "99999999999", "\u{1b}[2J"]
    {
        assert_eq!(author(text).pid, None, "{text:?}");
    }
}

#[test]
fn a_process_lives_until_it_ends_and_not_before_it_began() {
    let now = SystemTime::now();
    assert!(author(&std::process::id().to_string()).is_alive(now));
    // The number was used again: the file is older than this process.
    let long_ago = now - Duration::from_secs(3 * 365 * 86_400);
    assert!(!author(&std::process::id().to_string()).is_alive(long_ago));
    // A clock that was set back.
    assert!(author(&std::process::id().to_string()).is_alive(now + Duration::from_secs(3_600)));

    // Elsewhere, the number says nothing.
    assert!(!author(&format!("{} device-flow-store another.host", std::process::id())).is_alive(now));

    // Ended, first as a zombie, then altogether.
    let before = Instant::now();
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let of_child = author(&child.id().to_string());
    assert!(of_child.is_alive(now));
    // Not since the start of the computer, which was some time ago.
    if let Some(Process::Since(age)) = started(of_child.pid.unwrap()) {
        assert!(age <= before.elapsed() + Duration::from_secs(2), "{age:?}");
        assert!(uptime().is_some_and(|uptime| !uptime.is_zero()));
    }
    drop(child.stdin.take());
    while !matches!(started(of_child.pid.unwrap()), Some(Process::Dead)) {
        std::thread::yield_now();
    }
    assert!(!of_child.is_alive(now));
    child.wait().unwrap();
    assert!(!of_child.is_alive(now));
}
