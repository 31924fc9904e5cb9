//! Owns what a sign-out that is killed at any of its system calls leaves: somebody who is signed in, or whose tokens are
//! revoked or remembered to be.

use crate::points::{Count, at_each, works_on_the_store};
use crate::site::{Site, TOKENS};
use crate::tracer::is_allowed;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// Where a refresh token is.
#[derive(Debug, PartialEq)]
enum Left {
    /// Stored, and valid.
    SignedIn,
    /// Out of the store, and remembered until it is revoked.
    Remembered,
    /// Revoked, and nowhere.
    Gone,
}

fn left(site: &Site, token: &str, case: &str) -> Left {
    let (stored, text, live) = (site.refresh_token(), site.stored(), site.server.live());
    match (stored.as_deref(), live.as_deref()) {
        (Some(stored), Some(live)) if stored == live && live == token => Left::SignedIn,
        // Whether or not the server has heard of it.
        (None, Some(_) | None) if text.contains(token) => Left::Remembered,
        (None, None) => Left::Gone,
        // Above all a live token that nobody remembers.
        _ => panic!("{case}: {stored:?} is stored, {live:?} is live at the server"),
    }
}

// F12, K12.
#[test]
fn f12_killed_at_any_system_call_a_sign_out_leaves_no_live_token_that_nobody_remembers() {
    if !is_allowed() {
        return;
    }
    let [signed_in, remembered, gone] = [(); 3].map(|()| Count::default());
    let points = at_each(Signal::SIGKILL, Site::signed_in, works_on_the_store, |site, shot, case| {
        let (clean, text, token) = (site.names(), site.stored(), site.refresh_token().unwrap());
        let run = site.types_and_is_shot("logout", shot);
        let expected = if run.hit.is_some() { Err(Signal::SIGKILL) } else { Ok(0) };
        assert_eq!(run.end, expected, "{case}: {}", run.stderr);
        site.check_files(case);
        let found = left(site, &token, case);
        assert!(run.stdout.is_empty() || found == Left::Gone, "{case}: {found:?}, but it says {}", run.stdout);
        let began = Instant::now();
        let (exit, _, stderr) = site.types("logout");
        assert_eq!(exit, 0, "{case}: {stderr}");
        // Not as long as it would wait for a lock.
        assert!(began.elapsed() < Duration::from_secs(50), "{case}: {:?}", began.elapsed());
        assert_eq!(left(site, &token, case), Left::Gone, "{case}");
        assert!(!site.stored().contains("canary"), "{case}");
        site.write_stored(&text);
        site.server.revive(&token);
        if found == Left::Gone && site.names() != clean {
            // A run that finds nothing to do takes no lock, so only the next one that does removes that of the dead one.
            let lock = format!("{TOKENS}.lockfile");
            assert!(
                site.names().iter().all(|name| clean.contains(name) || *name == lock),
                "{case}: {:?}",
                site.names()
            );
            assert_eq!(site.types("token").0, 0, "{case}");
        }
        assert_eq!(site.names(), clean, "{case}");
        signed_in.when(found == Left::SignedIn);
        remembered.when(found == Left::Remembered);
        gone.when(found == Left::Gone);
        run
    });
    println!(
        "logout: {points}; {signed_in} times still signed in, {remembered} times remembered, {gone} times revoked"
    );
}
