//! Owns who is signed in, in every store that a profile names: without a request, and without any secret.

use super::client::{client, known_provider};
use super::registration;
use super::storage::Storage;
use crate::args::Target;
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::terminal::Terminal;
use device_flow_tokio::{Account, Person, Provider, SignInRequest, TokenCache};

/// What the stores hold.
pub(crate) struct Overview(Vec<(Storage, TokenCache)>);

impl Overview {
    /// A store that cannot be read is told, and counts as empty.
    pub(crate) async fn of(selections: &[Selection], terminal: &mut Terminal) -> Self {
        let mut stores: Vec<(Storage, TokenCache)> = Vec::new();
        for selection in selections {
            let Ok(Ok(storage)) = selection.options().map(|options| Storage::of(&options.target)) else { continue };
            if storage == Storage::Memory || stores.iter().any(|(known, _)| *known == storage) {
                continue;
            }
            let opened = match storage.unlock(false, terminal).await {
                Ok(()) => storage.open(),
                Err(error) => Err(error),
            };
            let cache = match opened {
                Ok(store) => store.cache().await,
                Err(error) => Err(error),
            };
            let cache = cache.unwrap_or_else(|error| {
                terminal.note(&format!("Who is signed in cannot be seen: {error}"));
                TokenCache::new()
            });
            stores.push((storage, cache));
        }
        Self(stores)
    }

    /// The accounts that belong to a profile: the one in use, and others that have signed in to the same client.
    pub(crate) fn of_profile(&self, selection: &Selection) -> Vec<Account> {
        let found = || {
            let target = selection.options().ok()?.target;
            let storage = Storage::of(&target).ok()?;
            let request = request(&target, &storage, selection.profile()?).ok()?;
            let (_, cache) = self.0.iter().find(|(known, _)| *known == storage)?;
            Some(cache.accounts().into_iter().filter(|account| request.is_about(account)).collect())
        };
        found().unwrap_or_default()
    }

    /// Moves those whom the server does not name to another name of this profile, under which they are found.
    pub(crate) async fn move_slots(&self, selection: &Selection, new: &str) -> Result<(), RunError> {
        let old = selection.profile().unwrap_or_default();
        let target = selection.options()?.target;
        let storage = Storage::of(&target)?;
        for account in self.of_profile(selection) {
            if account.person() == Person::Slot(old) && account.client_id().is_some() {
                let request = request(&target, &storage, old)?;
                storage.open()?.move_to_slot(request, account, new.to_owned()).await?;
            }
        }
        Ok(())
    }

    /// The accounts of this program that no profile is about.
    pub(crate) fn without_profile(&self, selections: &[Selection]) -> Vec<(Storage, Account)> {
        let of_profiles: Vec<_> = selections.iter().flat_map(|selection| self.of_profile(selection)).collect();
        let all = self
            .0
            .iter()
            .flat_map(|(storage, cache)| cache.accounts().into_iter().map(|account| (storage.clone(), account)));
        // Those of Microsoft's servers may be another program's.
        all.filter(|(_, account)| account.client_id().is_some() && !of_profiles.contains(account)).collect()
    }
}

fn request(target: &Target, storage: &Storage, profile: &str) -> Result<SignInRequest, RunError> {
    let provider = match &target.issuer {
        // The issuer is all that the accounts are found by.
        Some(issuer) => Provider::endpoints(issuer, issuer),
        None => known_provider(target)?,
    };
    let client_id = match &target.client_id {
        None if registration::is_for(target) => registration::known_id(target, storage).unwrap_or_default(),
        id => id.clone().unwrap_or_default(),
    };
    // No account is found by the secret of a client, but there are servers without clients that have none.
    Ok(SignInRequest::new(client(target, &client_id, provider).client_secret_post("any").build()?).slot(profile))
}
