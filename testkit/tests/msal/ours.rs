//! Owns this project's side: core, both adapters and the file store, put together as a program does it.

use crate::room::{AUTHORITY, Room, SCOPES, Told};
use device_flow_blocking::Cancel;
use device_flow_core::{
    Account, Authority, Client, ClientBuilder, EntraCloud, Event, Failure, Machine, OAuthError, Owner, Provider,
    SignIn, SignInReason, SignInRequest, SignedIn, Stopped, TokenCache, UnixTime,
};
use device_flow_store::{Change, Store};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Which of the two drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adapter {
    Tokio,
    Blocking,
}

impl Adapter {
    pub(crate) fn run<M: Machine>(
        self,
        room: &Room,
        machine: &mut M,
        on_event: impl FnMut(Event),
    ) -> Result<M::Output, Stopped> {
        let roots = AUTHORITY.pem();
        match self {
            Self::Tokio => {
                let http = device_flow_tokio::Http::builder().root_certificates_pem(roots);
                let http = if room.is_local() { http.no_proxy() } else { http.proxy(room.microsoft.proxy()) };
                let http = http.build().unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(device_flow_tokio::run(&http, machine, on_event))
            }
            Self::Blocking => {
                let http = device_flow_blocking::Http::builder().root_certificates_pem(roots);
                let http = if room.is_local() { http.no_proxy() } else { http.proxy(room.microsoft.proxy()) };
                device_flow_blocking::run(&http.build().unwrap(), machine, &Cancel::new(), on_event)
            }
        }
    }
}

pub(crate) fn request(room: &Room) -> SignInRequest {
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

fn now() -> UnixTime {
    UnixTime::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

fn read(bytes: Option<&[u8]>) -> TokenCache {
    bytes.map_or_else(TokenCache::new, |bytes| TokenCache::from_json(bytes).unwrap())
}

fn written(cache: &TokenCache) -> device_flow_store::Contents {
    // Exposed to be stored where only its owner reads.
    cache.to_json().expose().as_bytes().to_vec().into()
}

pub(crate) fn accounts(room: &Room) -> Vec<(String, String)> {
    let cache = read(room.store().load().unwrap().as_deref());
    let request = request(room);
    let here = |account: &Account| request.client().authority().knows(account.environment());
    let told = |account: Account| (account.home_account_id().to_owned(), account.username().to_owned());
    cache.accounts().into_iter().filter(here).map(told).collect()
}

pub(crate) fn sign_in(room: &Room, adapter: Adapter) -> Told {
    let request = request(room);
    let flow = request.device_flow(device_flow_blocking::entropy().unwrap());
    run(room, adapter, |cache| SignIn::interactive(request, cache, now(), flow))
}

pub(crate) fn silent(room: &Room, adapter: Adapter, username: &str, force: bool) -> Told {
    let request = request(room).account(username).force_refresh(force);
    run(room, adapter, |cache| SignIn::silent(request, cache, now()))
}

/// Under the store's lock from the look to the save, so that nobody sends the same refresh token twice.
fn run(room: &Room, adapter: Adapter, start: impl FnOnce(TokenCache) -> SignIn) -> Told {
    let mut locked = room.store().lock().unwrap();
    let mut machine = start(read(locked.current()));
    let outcome = adapter.run(room, &mut machine, |_| {});
    let cache = machine.into_cache();
    if cache.is_changed() {
        locked.save(written(&cache)).unwrap();
    }
    match outcome {
        Ok(signed_in) => Told::Token(signed_in.access_token().expose().to_owned()),
        Err(Stopped::Failed(failure)) => refused(&failure),
        Err(stopped) => panic!("{stopped}"),
    }
}

/// What the documented samples do, in one machine: whoever is signed in, silently, else a code. Told as they tell it.
pub(crate) fn sample(room: &Room, adapter: Adapter) -> Value {
    let entropy = device_flow_blocking::entropy().unwrap();
    let mut machine = SignIn::new(request(room), TokenCache::new(), now(), entropy);
    let (message, outcome) = shown(room, adapter, &mut machine);
    let signed_in = outcome.unwrap();
    let accounts: Vec<_> = machine.cache().accounts().iter().map(|one| one.home_account_id().to_owned()).collect();
    json!({"message": message, "scopes": signed_in.scopes().collect::<Vec<_>>(), "accounts": accounts})
}

/// What a person sees who speaks this language.
pub(crate) fn message_in(room: &Room, language: &str) -> String {
    let request = SignInRequest::new(builder(room).language(language).build().unwrap());
    let entropy = device_flow_blocking::entropy().unwrap();
    let mut machine = SignIn::new(request, TokenCache::new(), now(), entropy);
    shown(room, Adapter::Blocking, &mut machine).0.unwrap()
}

fn shown(room: &Room, adapter: Adapter, machine: &mut SignIn) -> (Option<String>, Result<SignedIn, Stopped>) {
    let mut message = None;
    let outcome = adapter.run(room, machine, |event| {
        if let Event::ShowCode(prompt) = event {
            message = prompt.message().map(str::to_owned);
        }
    });
    (message, outcome)
}

pub(crate) fn remove(room: &Room, username: &str) {
    let request = request(room);
    let authority = request.client().authority();
    let mut remove = |current: Option<&[u8]>| {
        let mut cache = read(current);
        let account = cache.account(username).unwrap();
        let owner = Owner { home_account_id: account.home_account_id(), client_id: room.client, authority };
        assert!(cache.remove_account(owner));
        Change::Save(written(&cache))
    };
    room.store().update(&mut remove).unwrap();
}

fn refused(failure: &Failure) -> Told {
    let (kind, error) = match failure {
        Failure::SignInNeeded(SignInReason::NotSignedIn) => return Told::Nothing,
        Failure::SignInNeeded(SignInReason::Refused(error)) => ("sign in", Some(error)),
        Failure::Rejected(error) => ("rejected", Some(error)),
        Failure::Denied(error) => ("denied", Some(error)),
        Failure::Expired(expired) => ("expired", expired.error.as_ref()),
        Failure::Transport(_) => ("transport", None),
        Failure::Protocol(_) => ("protocol", None),
        other => panic!("{other}"),
    };
    let told = |read: fn(&OAuthError) -> Option<&str>| error.and_then(read).map(str::to_owned);
    Told::Error(json!({
        "kind": kind,
        "error": told(|error| Some(error.code())),
        "suberror": told(|error| error.suberror()),
        "claims": told(OAuthError::claims),
    }))
}
