//! Owns what a refresh loses when a signal ends it, at any of its system calls: nothing, but for one window.

use crate::points::{Count, at_each, works_on_the_store};
use crate::site::{Site, TOKENS};
use crate::tracer::{Call, Ended, Shot, is_allowed};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// From the server's rotation to the file's new name, in system calls of all threads: what the window may become.
const WINDOW: usize = 140;

/// A run of `token`, and where the refresh token is afterwards.
struct Refresh {
    run: Ended,
    /// Whether the server has issued a new one.
    is_rotated: bool,
    /// Whether the file has it.
    is_stored: bool,
}

impl Refresh {
    fn of(site: &Site, shot: Option<Shot>, case: &str) -> Self {
        let (before, refreshes) = (site.refresh_token(), site.server.refreshes());
        let run = site.types_and_is_shot("token", shot);
        site.check_files(case);
        let (after, live) = (site.refresh_token(), site.server.live());
        let is_rotated = site.server.refreshes() > refreshes;
        assert!(after == before || after == live, "{case}: the file has {after:?}");
        assert_eq!(is_rotated, live != before, "{case}");
        let refresh = Self { is_rotated, is_stored: is_rotated && after == live, run };
        // What the file has is what the rename says that it has.
        let (is_begun, is_done) =
            (refresh.run.calls.iter().any(is_placing), refresh.run.first_done(is_placing).is_some());
        assert!(if refresh.is_stored { is_begun } else { !is_done }, "{case}: {is_begun} {is_done}");
        refresh.is_truth_printed(site, case);
        refresh
    }

    /// What is on stdout is the whole of the newest token, and it is stored with its refresh token.
    fn is_truth_printed(&self, site: &Site, case: &str) {
        let stdout = &*self.run.stdout;
        if self.run.end == Ok(0) || !stdout.is_empty() {
            let newest = site.server.live().unwrap().replace("RT-", "AT-") + "\n";
            assert!(stdout == newest && self.is_stored, "{case}: {} {stdout:?}", self.run.stderr);
        }
    }

    fn is_lost(&self) -> bool {
        self.is_rotated && !self.is_stored
    }
}

fn is_placing(call: &Call) -> bool {
    call.is_rename() && call.name.as_deref() == Some(TOKENS)
}

/// The next run: it is held up by nobody, and leaves nothing of the one before.
fn next_run_works(site: &Site, clean: &[String], case: &str) -> Duration {
    let (began, reuses) = (Instant::now(), site.server.reuses());
    let (exit, stdout, stderr) = site.types("token");
    let took = began.elapsed();
    assert_eq!(exit, 0, "{case}: {stderr}");
    assert_eq!(site.server.reuses(), reuses, "{case}");
    assert_eq!(stdout, site.server.live().unwrap().replace("RT-", "AT-") + "\n", "{case}");
    assert_eq!(site.refresh_token(), site.server.live(), "{case}");
    assert_eq!(site.names(), clean, "{case}");
    site.check_files(case);
    took
}

// F04, K01, K07, K09.
#[test]
fn f04_killed_at_any_system_call_a_refresh_loses_a_token_only_between_the_rotation_and_the_rename() {
    if !is_allowed() {
        return;
    }
    let (lost, stored, waited) = (Count::default(), Count::default(), Count::default());
    let points = at_each(Signal::SIGKILL, Site::signed_in, works_on_the_store, |site, shot, case| {
        let clean = site.names();
        let refresh = Refresh::of(site, shot, case);
        let expected = if refresh.run.hit.is_some() { Err(Signal::SIGKILL) } else { Ok(0) };
        assert_eq!(refresh.run.end, expected, "{case}: {}", refresh.run.stderr);
        if refresh.is_lost() {
            // The one moment that SECURITY.md owns up to. The person is told what to do.
            let (old, text) = (site.refresh_token().unwrap(), site.stored());
            let (exit, stdout, stderr) = site.types("token");
            assert!(
                exit == 4 && stdout.is_empty() && stderr.contains("to sign in: device-flow login"),
                "{case}: {stderr}"
            );
            assert_eq!(site.names(), clean, "{case}");
            site.server.revive(&old);
            site.write_stored(&text);
        }
        let took = next_run_works(site, &clean, case);
        // Not as long as it would wait for a lock.
        assert!(took < Duration::from_secs(50), "{case}: {took:?}");
        lost.when(refresh.is_lost());
        stored.when(refresh.is_stored);
        waited.when(took > Duration::from_secs(4));
        refresh.run
    });
    println!(
        "token: {points}; {lost} times lost between rotation and rename, {stored} times the new one; {waited} next runs waited for an unsigned lock file"
    );
    assert!(lost.get() <= WINDOW, "the window is {lost} calls wide");
}

// K01.
#[test]
fn k01_told_to_end_at_any_system_call_a_refresh_loses_nothing_and_tells_the_truth() {
    if !is_allowed() {
        return;
    }
    let (early, ended, printed) = (Count::default(), Count::default(), Count::default());
    let points = at_each(Signal::SIGTERM, Site::signed_in, Call::is_connect, |site, shot, case| {
        let (clean, requests) = (site.names(), site.server.requests());
        let refresh = Refresh::of(site, shot, case);
        let run = &refresh.run;
        match run.end {
            // Before it listens to signals.
            Err(Signal::SIGTERM) => assert_eq!(site.server.requests(), requests, "{case}"),
            Ok(143) => assert_eq!(run.stdout, "", "{case}"),
            Ok(0) => {}
            end => panic!("{case}: {end:?} {}", run.stderr),
        }
        assert!(!refresh.is_lost(), "{case}: {}", run.stderr);
        assert_eq!(site.names(), clean, "{case}: it has cleaned up itself");
        next_run_works(site, &clean, case);
        early.when(run.end == Err(Signal::SIGTERM));
        ended.when(run.end == Ok(143));
        printed.when(run.hit.is_some() && run.end == Ok(0));
        refresh.run
    });
    println!(
        "token: {points}; {early} times before it listens, {ended} times exit 143, {printed} times the token is printed; none lost"
    );
}

// K09: what is printed has its place on the disk, after a loss of power, too.
#[test]
fn f04_the_new_token_is_synced_then_renamed_then_its_folder_synced_then_printed() {
    if !is_allowed() {
        return;
    }
    let site = Site::signed_in();
    let run = Refresh::of(&site, None, "without a signal").run;
    let from = |start: usize, is: &dyn Fn(&Call) -> bool| {
        let found = run.calls.iter().enumerate().skip(start).find(|(_, call)| is(call));
        found.unwrap_or_else(|| panic!("there is none after call {start}")).0
    };
    let connected = from(0, &Call::is_connect);
    let synced = from(connected, &Call::is_fsync);
    let placed = from(synced, &is_placing);
    let folder_synced = from(placed, &Call::is_fsync);
    let printed = from(folder_synced, &|call| call.writes_to(1));
    assert_eq!(from(0, &is_placing), placed, "renamed before it was synced");
    assert_eq!(from(0, &|call| call.writes_to(1)), printed, "printed before it was stored");
}
