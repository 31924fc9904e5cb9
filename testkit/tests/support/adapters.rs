//! Owns `Adapter`: both adapters behind one call, for tests that want the same of both.

use device_flow_core::{Event, Machine, Stopped};
use device_flow_testkit::loopback::Authority;
use std::sync::LazyLock;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adapter {
    Tokio,
    Blocking,
}

/// The authority whose servers these clients trust, and no others.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

impl Adapter {
    pub(crate) const BOTH: [Self; 2] = [Self::Tokio, Self::Blocking];

    /// Runs a machine with a client of its own, of this time limit for a request.
    pub(crate) fn run<M: Machine>(
        self,
        limit: Duration,
        machine: &mut M,
        on_event: impl FnMut(Event),
    ) -> Result<M::Output, Stopped> {
        let roots = AUTHORITY.pem();
        match self {
            Self::Tokio => {
                let http = device_flow_tokio::Http::builder().timeout(limit).root_certificates_pem(roots);
                let http = http.no_proxy().build().unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(device_flow_tokio::run(&http, machine, on_event))
            }
            Self::Blocking => {
                let http = device_flow_blocking::Http::builder().timeout(limit).root_certificates_pem(roots);
                let http = http.no_proxy().build().unwrap();
                device_flow_blocking::run(&http, machine, &device_flow_blocking::Cancel::new(), on_event)
            }
        }
    }
}

/// Runs a test on all cases, this many at once, for most of it is waiting. A panic names its case.
pub(crate) fn abreast<T: std::fmt::Debug + Sync>(width: usize, cases: &[T], test: impl Fn(&T) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(case)));
            if let Err(panic) = outcome {
                eprintln!("in the case {case:?}");
                std::panic::resume_unwind(panic);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..width).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}
