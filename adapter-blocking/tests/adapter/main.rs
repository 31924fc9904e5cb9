//! Real sign-ins over real sockets. `accounts`, `mutual_tls`, `sign_in`, `transport` and `settings` are the suite that both adapters pass: they are the
//! other one's very files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test reports"
)]

#[path = "../../../adapter-tokio/tests/adapter/accounts.rs"]
mod accounts;
mod conformance;
mod fleet;
#[path = "../../../adapter-tokio/tests/adapter/mutual_tls.rs"]
mod mutual_tls;
#[path = "../../../adapter-tokio/tests/adapter/settings.rs"]
mod settings;
#[path = "../../../adapter-tokio/tests/adapter/sign_in.rs"]
mod sign_in;
mod stopping;
#[path = "../../../adapter-tokio/tests/adapter/transport.rs"]
mod transport;

use device_flow_blocking as adapter;
use device_flow_blocking::{
    Account, Cancel, DeviceFlow, Event, Machine, SignInError, SignInRequest, SignedIn, SignedOut, Stopped, Store,
    TokenCache, TokenResponse,
};
use device_flow_testkit::recorder::Recorder;

/// Runs a machine to its end, with the events on the way.
fn drive<M: Machine>(http: &adapter::Http, machine: &mut M) -> (Result<M::Output, Stopped>, Vec<Event>) {
    let mut events = Vec::new();
    let outcome = adapter::run(http, machine, &adapter::Cancel::new(), |event| events.push(event));
    (outcome, events)
}

/// Runs a machine up to its first wait.
fn drive_to_first_wait<M: Machine>(http: &adapter::Http, machine: &mut M) {
    let cancel = Cancel::new();
    let outcome = adapter::run(http, machine, &cancel, |event| {
        if let Event::Waiting { .. } = event {
            cancel.cancel();
        }
    });
    assert_eq!(outcome.err(), Some(Stopped::Interrupted));
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
        let outcome = self.0.sign_in(request, &Cancel::new(), |event| events.push(accounts::in_short(&event)));
        (outcome, events)
    }

    fn silent(&self, request: &SignInRequest) -> Result<SignedIn, SignInError> {
        self.0.silent(request, &Cancel::new())
    }

    fn keep(&self, request: &SignInRequest, response: TokenResponse) -> Result<SignedIn, SignInError> {
        self.0.keep(request, &response)
    }

    fn list(&self) -> Result<Vec<Account>, SignInError> {
        self.0.list()
    }

    fn cache(&self) -> Result<TokenCache, SignInError> {
        self.0.cache()
    }

    fn forget(&self, request: &SignInRequest) -> Result<Option<Account>, SignInError> {
        self.0.forget(request)
    }

    fn sign_out(&self, request: &SignInRequest) -> Result<Option<SignedOut>, SignInError> {
        self.0.sign_out(request, &Cancel::new())
    }

    /// The access tokens that this many callers get from each of these stores when they ask at the same time.
    fn all_at_once<S: Store + Clone + 'static>(stores: &[S], callers: usize, request: &SignInRequest) -> Vec<String> {
        let accounts: Vec<_> = stores.iter().map(|store| Self::new(store.clone())).collect();
        let ask = |own: &Self| own.silent(request).unwrap().access_token().expose().to_owned();
        std::thread::scope(|scope| {
            let asking: Vec<_> =
                accounts.iter().flat_map(|own| (0..callers).map(move |_| scope.spawn(move || ask(own)))).collect();
            asking.into_iter().map(|token| token.join().unwrap()).collect()
        })
    }
}

/// Runs a flow on a timeline of its own, with waits of a millisecond: however slow the machine is, the code lives.
fn sign_in(http: &adapter::Http, flow: DeviceFlow) -> Result<TokenResponse, Stopped> {
    drive(http, &mut Recorder::new(flow, "")).0
}
