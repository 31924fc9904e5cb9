//! Owns `Adapter`: both adapters behind one interface, for tests that demand the same of both.
#![allow(dead_code, reason = "not every test uses accounts")]

use device_flow_adapter::HttpBuilder;
use device_flow_core::{Account, Event, Machine, SignInRequest, SignedIn, Stopped, TokenResponse};
use device_flow_testkit::loopback::{Authority, ClientIdentity};
use std::sync::LazyLock;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adapter {
    Tokio,
    Blocking,
}

/// The authority whose servers these clients trust, and no others.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// A time limit that no test reaches.
pub(crate) const PATIENT: Duration = Duration::from_secs(120);

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
        self.run_as(None, limit, machine, on_event)
    }

    /// The same with this client certificate, if any.
    pub(crate) fn run_as<M: Machine>(
        self,
        client: Option<&ClientIdentity>,
        limit: Duration,
        machine: &mut M,
        on_event: impl FnMut(Event),
    ) -> Result<M::Output, Stopped> {
        self.run_with(AUTHORITY.pem(), client, limit, machine, on_event)
    }

    /// The same, trusting these root certificates.
    pub(crate) fn run_trusting<M: Machine>(
        self,
        roots: &str,
        client: Option<&ClientIdentity>,
        machine: &mut M,
        on_event: impl FnMut(Event),
    ) -> Result<M::Output, Stopped> {
        self.run_with(roots, client, PATIENT, machine, on_event)
    }

    fn run_with<M: Machine>(
        self,
        roots: &str,
        client: Option<&ClientIdentity>,
        limit: Duration,
        machine: &mut M,
        on_event: impl FnMut(Event),
    ) -> Result<M::Output, Stopped> {
        match self {
            Self::Tokio => {
                let http = device_flow_tokio::Http::builder().timeout(limit).root_certificates_pem(roots).no_proxy();
                let http = client.map(ClientIdentity::pem).into_iter().fold(http, HttpBuilder::client_certificate_pem);
                block_on(device_flow_tokio::run(&http.build().unwrap(), machine, on_event))
            }
            Self::Blocking => {
                let http = device_flow_blocking::Http::builder().timeout(limit).root_certificates_pem(roots).no_proxy();
                let http = client.map(ClientIdentity::pem).into_iter().fold(http, HttpBuilder::client_certificate_pem);
                let cancel = device_flow_blocking::Cancel::new();
                device_flow_blocking::run(&http.build().unwrap(), machine, &cancel, on_event)
            }
        }
    }
}

/// The accounts of either adapter.
pub(crate) enum Accounts {
    Tokio(device_flow_tokio::Accounts),
    Blocking(device_flow_blocking::Accounts),
}

type Outcome<T> = Result<T, String>;

impl Adapter {
    /// Accounts on this store, with a client of their own.
    pub(crate) fn accounts(self, store: impl device_flow_tokio::Store + 'static) -> Accounts {
        let roots = AUTHORITY.pem();
        match self {
            Self::Tokio => {
                let http = device_flow_tokio::Http::builder().timeout(PATIENT).root_certificates_pem(roots);
                Accounts::Tokio(device_flow_tokio::Accounts::new(http.no_proxy().build().unwrap(), store))
            }
            Self::Blocking => {
                let http = device_flow_blocking::Http::builder().timeout(PATIENT).root_certificates_pem(roots);
                Accounts::Blocking(device_flow_blocking::Accounts::new(http.no_proxy().build().unwrap(), store))
            }
        }
    }
}

/// Errors are the text that a person reads.
impl Accounts {
    pub(crate) fn silent(&self, request: &SignInRequest) -> Outcome<SignedIn> {
        match self {
            Self::Tokio(accounts) => block_on(accounts.silent(request)).map_err(|error| error.to_string()),
            Self::Blocking(accounts) => {
                accounts.silent(request, &device_flow_blocking::Cancel::new()).map_err(|error| error.to_string())
            }
        }
    }

    pub(crate) fn keep(&self, request: &SignInRequest, response: TokenResponse) -> Outcome<SignedIn> {
        match self {
            Self::Tokio(accounts) => block_on(accounts.keep(request, response)).map_err(|error| error.to_string()),
            Self::Blocking(accounts) => accounts.keep(request, &response).map_err(|error| error.to_string()),
        }
    }

    /// The account that was signed out, and why the server did not revoke its tokens.
    pub(crate) fn sign_out(&self, request: &SignInRequest) -> Outcome<Option<(Account, Option<String>)>> {
        let why = |not_revoked: Option<&dyn std::fmt::Display>| not_revoked.map(ToString::to_string);
        match self {
            Self::Tokio(accounts) => {
                let out = block_on(accounts.sign_out(request)).map_err(|error| error.to_string())?;
                Ok(out.map(|out| (out.account, why(out.not_revoked.as_ref().map(|why| why as _)))))
            }
            Self::Blocking(accounts) => {
                let out = accounts.sign_out(request, &device_flow_blocking::Cancel::new());
                let out = out.map_err(|error| error.to_string())?;
                Ok(out.map(|out| (out.account, why(out.not_revoked.as_ref().map(|why| why as _)))))
            }
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
