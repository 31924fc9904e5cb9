//! Owns running a test on many cases at once, since most of the time is spent waiting. A panic names its case.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs the test on all cases at once.
pub fn side_by_side<T: Debug + Sync>(cases: &[T], test: impl Fn(&T) + Sync) {
    abreast(cases.len(), cases, test);
}

/// Runs the test on all cases, this many at once.
pub fn abreast<T: Debug + Sync>(width: usize, cases: &[T], test: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(case))) {
                eprintln!("in the case {case:?}");
                resume_unwind(panic);
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..width).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    });
}
