//! Owns the cache of servers' metadata, so that a run that finds its token in the store makes no request for metadata
//! either.

use super::client::discovery;
use super::storage::Storage;
use device_flow_tokio::{
    Action, Change, FileStore, Machine as _, Metadata, Response, Store as _, Timestamp, default_path,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// What is cached is used for no request when it is older than this.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// At most this many servers are cached.
const MOST: usize = 64;

/// A file beside the tokens, or none. If it cannot be read or written, the server is asked again.
pub(super) struct MetadataCache(Option<FileStore>);

#[derive(Deserialize, Serialize)]
struct Entry {
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Vec<String>,
    // Absent in what older versions wrote.
    #[serde(default)]
    token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    dpop_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    mtls_endpoint_aliases: BTreeMap<String, String>,
    #[serde(default)]
    tls_client_certificate_bound_access_tokens: bool,
}

impl MetadataCache {
    pub(super) fn beside(storage: &Storage) -> Self {
        let path = match storage {
            Storage::Keyring => default_path("device-flow", "servers.json").ok(),
            Storage::File(tokens) | Storage::Age(tokens, _) => Some(tokens.with_extension("servers.json")),
            Storage::Memory => None,
        };
        Self(path.and_then(|path| Some(FileStore::new(path).ok()?.not_shared())))
    }

    pub(super) fn path(&self) -> Option<PathBuf> {
        self.0.as_ref().map(FileStore::path)
    }

    /// The last metadata of this issuer, and whether it is less than a day old.
    pub(super) fn get(&self, issuer: &str, allow_http_loopback: bool) -> Option<(Metadata, bool)> {
        let stored = self.0.as_ref()?.load().ok()??;
        let mut servers: BTreeMap<String, Entry> = serde_json::from_slice(&stored).ok()?;
        let entry = servers.remove(issuer)?;
        let is_fresh = seconds().checked_sub(entry.seen).is_some_and(|age| age < A_DAY.as_secs());
        // Read like the server's own answer, with all checks.
        let mut discovery = discovery(issuer, allow_http_loopback).ok()?;
        let Action::SendRequest(outgoing) = discovery.next_action(Timestamp::ZERO) else { return None };
        let document = serde_json::to_vec(&entry.document).ok()?;
        discovery.response(outgoing.ticket, Response::new(200, &document), Timestamp::ZERO).ok()?;
        let Action::Done(Ok(metadata)) = discovery.next_action(Timestamp::ZERO) else { return None };
        Some((metadata, is_fresh))
    }

    pub(super) fn put(&self, metadata: &Metadata) {
        let Some(store) = &self.0 else { return };
        let own = |text: Option<&str>| text.map(str::to_owned);
        let list = |values: &mut dyn Iterator<Item = &str>| values.map(str::to_owned).collect();
        let aliased = metadata.clone().over_mutual_tls();
        let aliases = [
            (
                "device_authorization_endpoint",
                aliased.device_authorization_endpoint(),
                metadata.device_authorization_endpoint(),
            ),
            ("token_endpoint", Some(aliased.token_endpoint()), Some(metadata.token_endpoint())),
            ("revocation_endpoint", aliased.revocation_endpoint(), metadata.revocation_endpoint()),
        ];
        let aliases = aliases.into_iter().filter(|(_, alias, plain)| alias != plain);
        let aliases: BTreeMap<_, _> =
            aliases.filter_map(|(name, alias, _)| Some((name.to_owned(), alias?.to_owned()))).collect();
        let document = || Document {
            issuer: metadata.issuer().to_owned(),
            device_authorization_endpoint: own(metadata.device_authorization_endpoint()),
            token_endpoint: metadata.token_endpoint().to_owned(),
            revocation_endpoint: own(metadata.revocation_endpoint()),
            userinfo_endpoint: own(metadata.userinfo_endpoint()),
            token_endpoint_auth_methods_supported: list(
                &mut metadata.token_endpoint_auth_methods().filter(|_| metadata.lists_auth_methods()),
            ),
            token_endpoint_auth_signing_alg_values_supported: list(&mut metadata.token_endpoint_auth_signing_algs()),
            dpop_signing_alg_values_supported: list(&mut metadata.dpop_signing_algs()),
            code_challenge_methods_supported: list(&mut metadata.code_challenge_methods()),
            mtls_endpoint_aliases: aliases.clone(),
            tls_client_certificate_bound_access_tokens: metadata.binds_tokens_to_certificates(),
        };
        // If this fails, the next run makes one more request.
        let _ = store.update(&mut |stored| {
            let stored = stored.and_then(|stored| serde_json::from_slice(stored).ok());
            let mut servers: BTreeMap<String, Entry> = stored.unwrap_or_default();
            if servers.len() >= MOST {
                let oldest = servers.iter().min_by_key(|(_, entry)| entry.seen).map(|(issuer, _)| issuer.clone());
                oldest.and_then(|oldest| servers.remove(&oldest));
            }
            servers.insert(metadata.issuer().to_owned(), Entry { seen: seconds(), document: document() });
            serde_json::to_vec(&servers).map_or(Change::Keep, |bytes| Change::Save(bytes.into()))
        });
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
