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

/// The time limit where none is to be felt.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);

impl Adapter {
    pub(crate) const BOTH: [Self; 2] = [Self::Tokio, Self::Blocking];

    /// Runs a machine with a client of its own.
    pub(crate) fn run<M: Machine>(self, machine: &mut M, on_event: impl FnMut(Event)) -> Result<M::Output, Stopped> {
        self.run_within(PATIENT, machine, on_event)
    }

    /// The same with this time limit for a request.
    pub(crate) fn run_within<M: Machine>(
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
