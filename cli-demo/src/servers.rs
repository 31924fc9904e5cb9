//! Owns what is remembered of servers, so that a run that has its token makes no request for metadata either.

use crate::probe::discovery;
use crate::session::Storage;
use device_flow_tokio::{
    Action, Change, FileStore, Machine as _, Metadata, Response, Store as _, Timestamp, default_path,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// How long a sign-in takes a server's metadata for true without another look.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// So many are remembered.
const MOST: usize = 64;

/// The memory: a file beside the tokens, or none. Whatever is wrong with it, the server can be asked.
pub(crate) struct Servers(Option<FileStore>);

#[derive(Deserialize, Serialize)]
struct Known {
    /// Seconds since 1970.
    seen: u64,
    /// As the server would write it.
    document: Document,
}

#[derive(Deserialize, Serialize)]
struct Document {
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_authorization_endpoint: Option<String>,
    token_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Vec<String>,
}

impl Servers {
    pub(crate) fn beside(storage: &Storage) -> Self {
        let path = match storage {
            Storage::Keyring => default_path("device-flow", "servers.json").ok(),
            Storage::File(tokens) => Some(tokens.with_extension("servers.json")),
            Storage::Memory => None,
        };
        Self(path.and_then(|path| FileStore::new(path).ok()))
    }

    /// What this issuer said last, and whether that was within the last day.
    pub(crate) fn known(&self, issuer: &str, allow_http_loopback: bool) -> Option<(Metadata, bool)> {
        let stored = self.0.as_ref()?.load().ok()??;
        let mut servers: BTreeMap<String, Known> = serde_json::from_slice(&stored).ok()?;
        let known = servers.remove(issuer)?;
        let is_fresh = seconds().checked_sub(known.seen).is_some_and(|age| age < A_DAY.as_secs());
        // Read again as the server's answer, with all checks.
        let mut discovery = discovery(issuer, allow_http_loopback).ok()?;
        let Action::SendRequest(outgoing) = discovery.next_action(Timestamp::ZERO) else { return None };
        let document = serde_json::to_vec(&known.document).ok()?;
        discovery.response(outgoing.ticket, Response::new(200, &document), Timestamp::ZERO).ok()?;
        let Action::Done(Ok(metadata)) = discovery.next_action(Timestamp::ZERO) else { return None };
        Some((metadata, is_fresh))
    }

    /// Keeps what it says now.
    pub(crate) fn remember(&self, metadata: &Metadata) {
        let Some(store) = &self.0 else { return };
        let own = |text: Option<&str>| text.map(str::to_owned);
        let document = || Document {
            issuer: metadata.issuer().to_owned(),
            device_authorization_endpoint: own(metadata.device_authorization_endpoint()),
            token_endpoint: metadata.token_endpoint().to_owned(),
            revocation_endpoint: own(metadata.revocation_endpoint()),
            token_endpoint_auth_methods_supported: metadata.token_endpoint_auth_methods().map(str::to_owned).collect(),
        };
        // A memory that cannot be kept costs a request next time.
        let _ = store.update(&mut |stored| {
            let stored = stored.and_then(|stored| serde_json::from_slice(stored).ok());
            let mut servers: BTreeMap<String, Known> = stored.unwrap_or_default();
            if servers.len() >= MOST {
                let oldest = servers.iter().min_by_key(|(_, known)| known.seen).map(|(issuer, _)| issuer.clone());
                oldest.and_then(|oldest| servers.remove(&oldest));
            }
            servers.insert(metadata.issuer().to_owned(), Known { seen: seconds(), document: document() });
            serde_json::to_vec(&servers).map_or(Change::Keep, |bytes| Change::Save(bytes.into()))
        });
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
