//! Owns our side: the accounts of either adapter on the cache file of the room, used as a program uses them.

use crate::room::{AUTHORITY, Outcome, Room, SCOPES};
use device_flow_blocking::Cancel;
use device_flow_core::{
    Account, Authority, Client, ClientBuilder, EntraCloud, Event, Failure, OAuthError, Provider, SignInReason,
    SignInRequest, SignedIn,
};
use device_flow_store::{FileStore, MemoryStore, Store};
use serde_json::{Value, json};
use std::future::Future;

/// Which adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adapter {
    Tokio,
    Blocking,
}

/// The accounts of either adapter.
enum Accounts {
    Tokio(device_flow_tokio::Accounts),
    Blocking(device_flow_blocking::Accounts),
}

type SignInResult = Result<SignedIn, Option<Failure>>;

impl Accounts {
    fn new(room: &Room, adapter: Adapter, store: impl Store + 'static) -> Self {
        let roots = AUTHORITY.pem();
        match adapter {
            Adapter::Tokio => {
                let http = device_flow_tokio::Http::builder().root_certificates_pem(roots);
                let http = if room.is_local() { http.no_proxy() } else { http.proxy(room.microsoft.proxy()) };
                Self::Tokio(device_flow_tokio::Accounts::new(http.build().unwrap(), store))
            }
            Adapter::Blocking => {
                let http = device_flow_blocking::Http::builder().root_certificates_pem(roots);
                let http = if room.is_local() { http.no_proxy() } else { http.proxy(room.microsoft.proxy()) };
                Self::Blocking(device_flow_blocking::Accounts::new(http.build().unwrap(), store))
            }
        }
    }

    fn of(room: &Room, adapter: Adapter) -> Self {
        Self::new(room, adapter, FileStore::new(room.path()).unwrap())
    }

    fn sign_in(&self, request: &SignInRequest, on_event: impl FnMut(Event)) -> SignInResult {
        match self {
            Self::Tokio(accounts) => {
                in_runtime(accounts.sign_in(request, on_event)).map_err(|error| error.failure().cloned())
            }
            Self::Blocking(accounts) => {
                accounts.sign_in(request, &Cancel::new(), on_event).map_err(|error| error.failure().cloned())
            }
        }
    }

    fn interactive(&self, request: &SignInRequest) -> SignInResult {
        let mut flow = request.device_flow(device_flow_blocking::entropy().unwrap());
        match self {
            Self::Tokio(accounts) => {
                in_runtime(accounts.interactive(request, &mut flow, |_| {})).map_err(|error| error.failure().cloned())
            }
            Self::Blocking(accounts) => {
                let outcome = accounts.interactive(request, &mut flow, &Cancel::new(), |_| {});
                outcome.map_err(|error| error.failure().cloned())
            }
        }
    }

    fn silent(&self, request: &SignInRequest) -> SignInResult {
        match self {
            Self::Tokio(accounts) => in_runtime(accounts.silent(request)).map_err(|error| error.failure().cloned()),
            Self::Blocking(accounts) => {
                accounts.silent(request, &Cancel::new()).map_err(|error| error.failure().cloned())
            }
        }
    }

    fn list(&self) -> Vec<Account> {
        match self {
            Self::Tokio(accounts) => in_runtime(accounts.list()).unwrap(),
            Self::Blocking(accounts) => accounts.list().unwrap(),
        }
    }

    fn sign_out(&self, request: &SignInRequest) {
        let signed_out = match self {
            Self::Tokio(accounts) => in_runtime(accounts.sign_out(request)).unwrap().map(|it| it.account),
            Self::Blocking(accounts) => accounts.sign_out(request, &Cancel::new()).unwrap().map(|it| it.account),
        };
        assert!(signed_out.is_some());
    }
}

fn in_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn request(room: &Room) -> SignInRequest {
    SignInRequest::new(builder(room).build().unwrap())
}

fn builder(room: &Room) -> ClientBuilder {
    let provider = if room.is_local() {
        let endpoint = |name| format!("https://{}/{}/oauth2/v2.0/{name}", room.host, room.tenant);
        Provider::endpoints(endpoint("devicecode"), endpoint("token"))
    } else {
        Provider::entra(EntraCloud::Public, room.tenant)
    };
    let client = Client::builder(provider, room.client).scope(SCOPES);
    if room.is_local() { client.authority(Authority::entra(&room.host, room.tenant)) } else { client }
}

/// The accounts at this server.
pub(crate) fn accounts(room: &Room, adapter: Adapter) -> Vec<(String, String)> {
    let request = request(room);
    let here = |account: &Account| request.client().authority().knows(account.environment());
    let names = |account: Account| (account.home_account_id().to_owned(), account.username().to_owned());
    Accounts::of(room, adapter).list().into_iter().filter(here).map(names).collect()
}

pub(crate) fn sign_in(room: &Room, adapter: Adapter) -> Outcome {
    as_outcome(Accounts::of(room, adapter).interactive(&request(room)))
}

pub(crate) fn silent(room: &Room, adapter: Adapter, username: &str, force: bool) -> Outcome {
    let request = request(room).account(username);
    as_outcome(Accounts::of(room, adapter).silent(&if force { request.force_refresh() } else { request }))
}

/// How many of this many refreshes, one after the other, brought a token, beside a program for Java.
pub(crate) fn refreshes_beside_java(room: &Room, username: &str, number: usize) -> usize {
    let accounts = Accounts::new(room, Adapter::Blocking, FileStore::new(room.path()).unwrap().shared_with_java());
    let request = request(room).account(username).force_refresh();
    (0..number).filter(|_| accounts.silent(&request).is_ok()).count()
}

pub(crate) fn remove(room: &Room, adapter: Adapter, username: &str) {
    Accounts::of(room, adapter).sign_out(&request(room).account(username));
}

/// What the documented samples do: a silent token for the account that is signed in, else a code; with the output of
/// the samples.
pub(crate) fn sample(room: &Room, adapter: Adapter) -> Value {
    let accounts = Accounts::new(room, adapter, MemoryStore::default());
    let mut message = None;
    let signed_in = accounts.sign_in(&request(room), |event| message = shown(&event).or(message.take())).unwrap();
    let ids: Vec<_> = accounts.list().iter().map(|account| account.home_account_id().to_owned()).collect();
    json!({"message": message, "scopes": signed_in.scopes().collect::<Vec<_>>(), "accounts": ids})
}

/// The message of the server in this language.
pub(crate) fn message_in(room: &Room, adapter: Adapter, language: &str) -> String {
    let request = SignInRequest::new(builder(room).language(language).build().unwrap());
    let mut message = None;
    let accounts = Accounts::new(room, adapter, MemoryStore::default());
    accounts.sign_in(&request, |event| message = shown(&event).or(message.take())).unwrap();
    message.unwrap()
}

fn shown(event: &Event) -> Option<String> {
    if let Event::ShowCode(prompt) = event { prompt.message().map(str::to_owned) } else { None }
}

fn as_outcome(outcome: SignInResult) -> Outcome {
    let failure = match outcome {
        Ok(signed_in) => return Outcome::Token(signed_in.access_token().expose().to_owned()),
        Err(failure) => failure.expect("the machine ended with a failure"),
    };
    let (kind, error) = match &failure {
        Failure::SignInNeeded(SignInReason::NotSignedIn) => return Outcome::Nothing,
        Failure::SignInNeeded(SignInReason::Refused(error)) => ("sign in", Some(error)),
        Failure::Rejected(error) => ("rejected", Some(error)),
        Failure::Denied(error) => ("denied", Some(error)),
        Failure::Expired(expired) => ("expired", expired.error.as_ref()),
        Failure::Transport(_) => ("transport", None),
        Failure::Protocol(_) => ("protocol", None),
        other => panic!("{other}"),
    };
    let text = |read: fn(&OAuthError) -> Option<&str>| error.and_then(read).map(str::to_owned);
    Outcome::Error(json!({
        "kind": kind,
        "error": text(|error| Some(error.code())),
        "suberror": text(|error| error.suberror()),
        "claims": text(OAuthError::claims),
    }))
}
