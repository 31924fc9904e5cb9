//! Owns the client of a server where every installation registers itself: the registration that an earlier run has
//! stored, or a new one.

use super::client::known_provider;
use super::http::LazyHttp;
use super::storage::{AnyStore, Storage};
use super::{Credentials, Purpose};
use crate::args::Target;
use crate::run_error::RunError;
use crate::terminal::Terminal;
use device_flow_tokio::{Change, Event, Registered, Registration, Secret, Store, run};
use serde::{Deserialize, Serialize};
use std::mem::take;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::info;
use zeroize::{Zeroize as _, Zeroizing};

/// A registration is renewed this many seconds before its end, as the command line of AWS does.
const BEFORE_END: u64 = 15 * 60;

/// What the person sees on the page where they approve.
const NAME: &str = "device-flow";

/// The client id where nothing has been registered yet: no token belongs to it.
const NOBODY: &str = "not-registered";

/// As it is stored: with a secret, so only this user can read it.
#[derive(Deserialize, Serialize)]
struct StoredRegistration {
    client_id: String,
    client_secret: String,
    /// Seconds since 1970; none when it does not end.
    expires_at: Option<u64>,
}

impl Drop for StoredRegistration {
    fn drop(&mut self) {
        self.client_secret.zeroize();
    }
}

/// Whether the client of this server registers itself.
pub(super) fn is_for(target: &Target) -> bool {
    target.is_at("aws") && target.client_id.is_none()
}

/// The id of the registration that is stored, without a request.
pub(super) fn known_id(target: &Target, storage: &Storage) -> Option<String> {
    let store = storage.open_for_registration(&server(target)).ok()?;
    Some(take(&mut stored(store.as_ref())?.client_id))
}

/// The client id and its secret. A sign-in registers the client if that has not been done, or if its registration is about
/// to end. Using tokens does not, since without a registration there are none.
pub(super) async fn client(
    target: &Target,
    purpose: Purpose,
    http: &LazyHttp,
    storage: &Storage,
    tokens: &AnyStore,
    terminal: &mut Terminal,
) -> Result<(String, Credentials), RunError> {
    if target.client_secret_file.is_some() {
        return Err(RunError::Usage(
            "--client-secret-file is the secret of a client: name it with --client-id".to_owned(),
        ));
    }
    let provider = known_provider(target)?;
    let store = storage.open_for_registration(&server(target))?;
    let from = Arc::clone(&store);
    let found = tokio::task::spawn_blocking(move || stored(from.as_ref()));
    let found = found.await.map_err(|error| RunError::Internal(error.to_string()))?;
    let left = |kept: &StoredRegistration| kept.expires_at.map_or(u64::MAX, |end| end.saturating_sub(seconds()));
    let is_good = |kept: &StoredRegistration| match purpose {
        Purpose::SignIn => left(kept) > BEFORE_END,
        Purpose::UseTokens => left(kept) > 0,
        Purpose::SignOut => true,
    };
    match (found, purpose) {
        (Some(kept), _) if is_good(&kept) => Ok(kept.into()),
        (_, Purpose::UseTokens | Purpose::SignOut) => {
            Ok((NOBODY.to_owned(), Credentials::with_secret(Secret::from(NOBODY))))
        }
        (ended, Purpose::SignIn) => {
            // What is wrong with the settings is told before the server is asked for anything.
            Credentials::with_any_secret().client(target, NOBODY, provider.clone())?;
            let mut registration = Registration::new(&provider, NAME, &target.scope.join(" "))?;
            let registered = run(http.get()?, &mut registration, |event| {
                if let Event::Waiting { wait, reason, said, .. } = event {
                    // Only a progress message: if it cannot be written, neither can the result, and that is reported.
                    let _ = terminal.waiting(wait, reason, said.as_deref());
                }
            });
            let registered = registered.await?;
            info!("registered as client {}", registered.client_id());
            let ended = ended.map(|mut kept| take(&mut kept.client_id));
            if let Some(id) = &ended {
                forget(id, storage, tokens).await?;
            }
            let saved = tokio::task::spawn_blocking(move || save(store.as_ref(), &registered, ended.as_deref()));
            Ok(saved.await.map_err(|error| RunError::Internal(error.to_string()))??.into())
        }
    }
}

/// Lets a registration end that its server no longer knows, so that the next sign-in registers the client anew. It is not
/// removed: that sign-in removes the tokens that go with it. Returns whether it was there.
pub(super) async fn end(target: &Target, storage: &Storage, client_id: &str) -> Result<bool, RunError> {
    let (store, client_id) = (storage.open_for_registration(&server(target))?, client_id.to_owned());
    let ended = tokio::task::spawn_blocking(move || end_in(store.as_ref(), &client_id));
    ended.await.map_err(|error| RunError::Internal(error.to_string()))?
}

/// Unless another sign-in has registered the client anew by now.
fn end_in(store: &dyn Store, client_id: &str) -> Result<bool, RunError> {
    let mut is_there = false;
    store.update(&mut |stored| {
        let Some(mut kept) = stored.and_then(parsed).filter(|kept| kept.client_id == client_id) else {
            return Change::Keep;
        };
        kept.expires_at = Some(0);
        let change = written(&kept);
        is_there = matches!(change, Change::Save(_));
        change
    })?;
    Ok(is_there)
}

/// Stores it, unless another sign-in was faster and has registered the client, too: then that one counts, since tokens
/// belong to a registration. `ended`: the id of the one that is replaced.
fn save(store: &dyn Store, registered: &Registered, ended: Option<&str>) -> Result<StoredRegistration, RunError> {
    let mut faster = None;
    store.update(&mut |stored| {
        faster = stored.and_then(parsed).filter(|kept| Some(&*kept.client_id) != ended);
        if faster.is_some() { Change::Keep } else { written(&StoredRegistration::from(registered)) }
    })?;
    Ok(faster.unwrap_or_else(|| StoredRegistration::from(registered)))
}

fn written(kept: &StoredRegistration) -> Change {
    // Large enough, so that no copy of the secret is left behind where it grew.
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    match serde_json::to_writer(&mut *bytes, kept) {
        Ok(()) => Change::Save(bytes.into()),
        Err(_) => Change::Keep,
    }
}

/// Tokens of a registration that has ended are of no use to any other.
async fn forget(client_id: &str, storage: &Storage, tokens: &AnyStore) -> Result<(), RunError> {
    for account in tokens.cache().await?.accounts() {
        if account.client_id() == Some(client_id) {
            storage.forget(&account).await?;
        }
    }
    Ok(())
}

/// One that cannot be read counts as none: the next sign-in registers anew.
fn stored(store: &dyn Store) -> Option<StoredRegistration> {
    parsed(&store.load().ok()??)
}

fn parsed(stored: &[u8]) -> Option<StoredRegistration> {
    serde_json::from_slice(stored).ok()
}

/// What a registration is for: no other server, portal or scope may use it.
fn server(target: &Target) -> String {
    let parts = [&target.place.region, &target.place.start_url, &target.place.host]
        .map(|part| part.as_deref().unwrap_or_default());
    let scopes = target.scope.join(" ");
    [&parts[..], &[&scopes]].concat().join("\n")
}

impl From<&Registered> for StoredRegistration {
    fn from(registered: &Registered) -> Self {
        Self {
            client_id: registered.client_id().to_owned(),
            // Exposed to be stored, where only this user can read it.
            client_secret: registered.client_secret().expose().to_owned(),
            expires_at: registered.expires_at().map(|time| time.as_secs()),
        }
    }
}

impl From<StoredRegistration> for (String, Credentials) {
    fn from(mut kept: StoredRegistration) -> Self {
        (take(&mut kept.client_id), Credentials::with_secret(Secret::from(take(&mut kept.client_secret))))
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use device_flow_tokio::{Action, Machine as _, MemoryStore, Provider, Response, Timestamp};

    fn registered(id: &str) -> Registered {
        let provider = Provider::aws("eu-west-1", "https://portal.example/start");
        let mut machine = Registration::new(&provider, NAME, "").unwrap_or_else(|error| panic!("{error}"));
        let Action::SendRequest(outgoing) = machine.next_action(Timestamp::ZERO) else { panic!("a request") };
        let body = format!(r#"{{"clientId":"{id}","clientSecret":"SEC-canary","clientSecretExpiresAt":9}}"#);
        let _ = machine.response(outgoing.ticket, Response::new(200, body.as_bytes()), Timestamp::ZERO);
        let Action::Done(Ok(registered)) = machine.next_action(Timestamp::ZERO) else { panic!("a client") };
        registered
    }

    #[test]
    fn of_two_sign_ins_that_register_at_once_both_use_the_first_registration() {
        let store = MemoryStore::new();
        let saved = |id, ended| save(&store, &registered(id), ended).map(|mut kept| take(&mut kept.client_id));
        assert_eq!(saved("first", None).ok().as_deref(), Some("first"));
        assert_eq!(saved("second", None).ok().as_deref(), Some("first"));
        // It replaces the one that it was made in place of, and no other.
        assert_eq!(saved("third", Some("other")).ok().as_deref(), Some("first"));
        assert_eq!(saved("third", Some("first")).ok().as_deref(), Some("third"));
        assert_eq!(
            stored(&store).map(|mut kept| (take(&mut kept.client_id), kept.expires_at)),
            Some(("third".to_owned(), Some(9)))
        );
    }

    #[test]
    fn only_the_registration_that_was_refused_ends() {
        let store = MemoryStore::new();
        let end = || stored(&store).map(|kept| kept.expires_at);
        assert_eq!((end_in(&store, "first").ok(), end()), (Some(false), None));
        assert!(save(&store, &registered("first"), None).is_ok());
        assert_eq!((end_in(&store, "other").ok(), end()), (Some(false), Some(Some(9))));
        assert_eq!((end_in(&store, "first").ok(), end()), (Some(true), Some(Some(0))));
    }
}
