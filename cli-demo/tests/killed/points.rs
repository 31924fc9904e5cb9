//! Owns the enumeration: a command, run once for each system call that it makes, with a signal before that call.

use crate::site::Site;
use crate::tracer::{Call, Ended, Shot};
use nix::sys::signal::Signal;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Two runs do not make the same number of calls: threads wait for each other, or do not.
const MORE: usize = 24;

/// How many try at once: a traced process mostly waits for its tracer.
const PEOPLE: usize = 6;

/// Every nth point is tried before the calls that matter.
const FIRST: usize = 8;

/// Every nth point is tried without the variable.
const SOME: usize = 37;

/// Whether all points are tried.
pub(crate) fn is_complete() -> bool {
    std::env::var_os("DEVICE_FLOW_KILLS").is_some_and(|value| value == "all")
}

/// A number that all threads count up.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn when(&self, is_so: bool) {
        self.0.fetch_add(usize::from(is_so), Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Other threads than the first begin with that.
pub(crate) fn works_on_the_store(call: &Call) -> bool {
    !call.is_main
}

/// Runs `one` with this signal at each call from the first one of this kind on, or without the variable at some, and says
/// at how many points that was.
/// `one` runs the command, checks what has happened, and leaves the site as it was.
pub(crate) fn at_each(
    signal: Signal,
    site: fn() -> Site,
    begins: fn(&Call) -> bool,
    one: impl Fn(&Site, Option<Shot>, &str) -> Ended + Sync,
) -> String {
    let first = site();
    let unharmed: Vec<_> = (0..3).map(|_| one(&first, None, "without a signal").calls).collect();
    let calls = unharmed.iter().map(Vec::len).max().unwrap();
    let begins = |calls: &Vec<Call>| calls.iter().position(begins).unwrap();
    let begins = unharmed.iter().map(begins).min().unwrap().saturating_sub(MORE);
    let points: Vec<_> = match is_complete() {
        true => (1..begins).step_by(FIRST).chain(begins..=calls + MORE).collect(),
        false => (1..=calls + MORE).step_by(SOME).collect(),
    };
    let next = Mutex::new(points.iter().copied());
    let [hit, missed, connected, printed] = [(); 4].map(|()| Count::default());
    let try_all = || {
        let site = site();
        loop {
            let Some(at) = next.lock().unwrap().next() else { return };
            let ended = one(&site, Some(Shot { signal, at }), &format!("{signal} at call {at} of about {calls}"));
            // A point that was not reached is no point that passed.
            missed.when(ended.hit.is_none());
            hit.when(ended.hit.is_some());
            connected.when(ended.calls[..ended.hit.unwrap_or_default()].iter().any(Call::is_connect));
            printed.when(ended.calls[..ended.hit.unwrap_or_default()].iter().any(|call| call.writes_to(1)));
        }
    };
    thread::scope(|scope| (0..PEOPLE).for_each(|_| drop(scope.spawn(try_all))));
    assert_eq!(hit.get() + missed.get(), points.len());
    if is_complete() {
        assert!(
            missed.get() <= 3 * MORE && printed.get() > 0,
            "{missed} of {calls} were not reached, {printed} after the print"
        );
    }
    format!("{signal} at {hit} of about {calls} calls (each from {begins} on), {connected} of them from connect on")
}
