//! Real sign-ins over real sockets. `accounts`, `mutual_tls`, `sign_in`, `transport` and `settings` are the suite that both adapters pass: the other
//! one includes these very files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test reports"
)]

mod accounts;
mod conformance;
mod fleet;
mod mutual_tls;
mod settings;
mod sign_in;
mod stopping;
mod transport;

use device_flow_testkit::recorder::Recorder;
use device_flow_tokio as adapter;
use device_flow_tokio::{
    Account, DeviceFlow, Event, Machine, SignInError, SignInRequest, SignedIn, SignedOut, Stopped, Store, TokenCache,
    TokenResponse,
};
use std::future::Future;

/// Runs a machine to its end, with the events on the way.
fn drive<M: Machine>(http: &adapter::Http, machine: &mut M) -> (Result<M::Output, Stopped>, Vec<Event>) {
    let mut events = Vec::new();
    let outcome = block_on(adapter::run(http, machine, |event| events.push(event)));
    (outcome, events)
}

/// Runs a machine up to its first wait.
fn drive_to_first_wait<M: Machine>(http: &adapter::Http, machine: &mut M) {
    let (waits, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    block_on(async {
        let run = adapter::run(http, machine, |event| {
            if let Event::Waiting { .. } = event {
                waits.send(()).unwrap();
            }
        });
        tokio::select! {
            outcome = run => panic!("{:?}", outcome.err()),
            _ = waiting.recv() => {}
        }
    });
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// The accounts of this adapter, with the methods that the shared tests call.
struct Accounts(adapter::Accounts);

impl Accounts {
    fn new(store: impl Store + 'static) -> Self {
        Self(adapter::Accounts::new(adapter::Http::builder().build().unwrap(), store))
    }

    /// With the events on the way.
    fn sign_in(&self, request: &SignInRequest) -> (Result<SignedIn, SignInError>, Vec<String>) {
        let mut events = Vec::new();
        let outcome = block_on(self.0.sign_in(request, |event| events.push(accounts::in_short(&event))));
        (outcome, events)
    }

    fn silent(&self, request: &SignInRequest) -> Result<SignedIn, SignInError> {
        block_on(self.0.silent(request))
    }

    fn keep(&self, request: &SignInRequest, response: TokenResponse) -> Result<SignedIn, SignInError> {
        block_on(self.0.keep(request, response))
    }

    fn list(&self) -> Result<Vec<Account>, SignInError> {
        block_on(self.0.list())
    }

    fn cache(&self) -> Result<TokenCache, SignInError> {
        block_on(self.0.cache())
    }

    fn forget(&self, request: &SignInRequest) -> Result<Option<Account>, SignInError> {
        block_on(self.0.forget(request))
    }

    fn sign_out(&self, request: &SignInRequest) -> Result<Option<SignedOut>, SignInError> {
        block_on(self.0.sign_out(request))
    }

    /// The access tokens that this many callers get from each of these stores when they ask at the same time.
    fn all_at_once<S: Store + Clone + 'static>(stores: &[S], callers: usize, request: &SignInRequest) -> Vec<String> {
        block_on(async {
            let accounts: Vec<_> = stores.iter().map(|store| Self::new(store.clone()).0).collect();
            let ask = |accounts: &adapter::Accounts| {
                let (accounts, request) = (accounts.clone(), request.clone());
                tokio::spawn(async move { accounts.silent(&request).await.unwrap().access_token().expose().to_owned() })
            };
            let asking: Vec<_> = accounts.iter().flat_map(|own| (0..callers).map(move |_| ask(own))).collect();
            let mut tokens = Vec::new();
            for token in asking {
                tokens.push(token.await.unwrap());
            }
            tokens
        })
    }
}

/// Runs a flow on a timeline of its own, with waits of a millisecond: however slow the machine is, the code lives.
fn sign_in(http: &adapter::Http, flow: DeviceFlow) -> Result<TokenResponse, Stopped> {
    drive(http, &mut Recorder::new(flow, "")).0
}
