//! Owns this project's side: core, both adapters and the file store, put together as a program does it.

use crate::room::{AUTHORITY, Room, SCOPES, Told};
use device_flow_blocking::Cancel;
use device_flow_core::{
    AccessTokenQuery, Account, Authority, Client, DeviceFlow, EntraCloud, Event, Failure, Machine, Owner, Provider,
    Refresh, SaveAs, Secret, Stopped, TokenCache, UnixTime,
};
use device_flow_store::{Change, Store};
use serde_json::json;
use std::sync::Arc;
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

pub(crate) fn client(room: &Room) -> Arc<Client> {
    let provider = if room.is_local() {
        let endpoint = |name| format!("https://{}/{}/oauth2/v2.0/{name}", room.host, room.tenant);
        Provider::endpoints(endpoint("devicecode"), endpoint("token"))
    } else {
        Provider::entra(EntraCloud::Public, room.tenant)
    };
    let client = Client::builder(provider, room.client).scope(SCOPES).scope("openid profile offline_access");
    Arc::new(client.token_parameter("client_info", "1").build().unwrap())
}

pub(crate) fn authority(room: &Room) -> Authority {
    Authority::entra(&room.host, room.tenant)
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
    let authority = authority(room);
    let here = |account: &Account| authority.knows(account.environment());
    let told = |account: Account| (account.home_account_id().to_owned(), account.username().to_owned());
    cache.accounts().into_iter().filter(here).map(told).collect()
}

pub(crate) fn sign_in(room: &Room, adapter: Adapter) -> Told {
    let mut flow = DeviceFlow::new(client(room), device_flow_blocking::entropy().unwrap());
    let response = match adapter.run(room, &mut flow, |_| {}) {
        Ok(response) => response,
        Err(stopped) => return refused(stopped),
    };
    let authority = authority(room);
    let source = Some("urn:ietf:params:oauth:grant-type:device_code");
    let how = SaveAs { client_id: room.client, authority: &authority, account: None, source };
    let save = |current: Option<&[u8]>| {
        let mut cache = read(current);
        cache.save(&response, &how, now());
        Change::Save(written(&cache))
    };
    let mut save = save;
    room.store().update(&mut save).unwrap();
    Told::Token(response.access_token().expose().to_owned())
}

/// Under the store's lock from the look to the save, so that nobody sends the same refresh token twice.
pub(crate) fn silent(room: &Room, adapter: Adapter, username: &str, force: bool) -> Told {
    let mut locked = room.store().lock().unwrap();
    let mut cache = read(locked.current());
    let authority = authority(room);
    let Some(account) = cache.account(username) else { return Told::Nothing };
    let owner = Owner { home_account_id: account.home_account_id(), client_id: room.client, authority: &authority };
    let alive = cache.access_token(owner, AccessTokenQuery::scopes(SCOPES).bypass(force), now());
    if let Some(alive) = alive.filter(|token| !token.is_aging(now())) {
        return Told::Token(alive.secret().expose().to_owned());
    }
    let spare = alive.map(|token| token.secret());
    let mut outcome = Told::Nothing;
    let tokens: Vec<Secret> = cache.refresh_tokens(owner).iter().map(|token| token.secret()).collect();
    for token in tokens {
        let mut refresh = Refresh::new(client(room), token.clone());
        let response = match adapter.run(room, &mut refresh, |_| {}) {
            Ok(response) => response,
            Err(stopped) => {
                outcome = refused(stopped);
                continue;
            }
        };
        let account = Some(account.home_account_id());
        cache.save(&response, &SaveAs { client_id: room.client, authority: &authority, account, source: None }, now());
        locked.save(written(&cache)).unwrap();
        return Told::Token(response.access_token().expose().to_owned());
    }
    spare.map_or(outcome, |token| Told::Token(token.expose().to_owned()))
}

pub(crate) fn remove(room: &Room, username: &str) {
    let authority = authority(room);
    let mut remove = |current: Option<&[u8]>| {
        let mut cache = read(current);
        let account = cache.account(username).unwrap();
        let owner = Owner { home_account_id: account.home_account_id(), client_id: room.client, authority: &authority };
        assert!(cache.remove_account(owner));
        Change::Save(written(&cache))
    };
    room.store().update(&mut remove).unwrap();
}

fn refused(stopped: Stopped) -> Told {
    let Stopped::Failed(failure) = stopped else { panic!("{stopped}") };
    let (kind, error) = match &failure {
        Failure::SignInNeeded(error) => ("sign in", Some(error)),
        Failure::Rejected(error) => ("rejected", Some(error)),
        Failure::Denied(error) => ("denied", Some(error)),
        Failure::Expired(expired) => ("expired", expired.error.as_ref()),
        Failure::Transport(_) => ("transport", None),
        Failure::Protocol(_) => ("protocol", None),
        other => panic!("{other}"),
    };
    let told = |read: fn(&device_flow_core::OAuthError) -> Option<&str>| error.and_then(read).map(str::to_owned);
    Told::Error(json!({
        "kind": kind,
        "error": told(|error| Some(error.code())),
        "suberror": told(|error| error.suberror()),
        "claims": told(|error| error.claims()),
    }))
}
