//! Owns the checks of the place where tokens are kept: its rights, its contents, its lock, and the keyring's answer.

use super::finding::{Finding, Report};
use crate::args::Target;
use crate::end::End;
use crate::session::{NO_KEYRING, Storage, open_keyring};
use device_flow_tokio::{FileStore, Store, StoreError, TokenCache};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Long enough to find out that a lock is dead, which takes 5 s.
const PATIENCE: Duration = Duration::from_secs(8);

const SIGN_OUT_AND_IN: &str = "If others use this computer, make the tokens that they may have read worthless: device-flow logout, device-flow login.";

/// What they all end with.
const EXIT: u8 = 8;

pub(super) async fn look(report: &mut Report<'_>, target: &Target) -> Result<(), End> {
    let target = target.clone();
    // Stores block their thread.
    let looked = tokio::task::spawn_blocking(move || findings(&target)).await;
    let findings = looked.map_err(|error| End::Internal(error.to_string()))?;
    findings.into_iter().try_for_each(|finding| report.tell(finding).map(drop))
}

fn findings(target: &Target) -> Vec<Finding> {
    match Storage::of(target) {
        Ok(Storage::File(path)) => file(&path),
        Ok(Storage::Keyring) => keyring(),
        Ok(Storage::Memory) => {
            let because = "tokens are kept in memory, until the program ends";
            vec![
                Finding::ok("storage", "in memory: tokens are gone when the program ends"),
                Finding::skipped("lock", because),
                Finding::skipped("keyring", because),
            ]
        }
        Err(error) => {
            let because = "no place for tokens is known";
            vec![failed("storage", &error), Finding::skipped("lock", because), Finding::skipped("keyring", because)]
        }
    }
}

fn file(path: &Path) -> Vec<Finding> {
    let no_keyring = Finding::skipped("keyring", "tokens are kept in a file");
    let told = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&told);
    let store = FileStore::new(path).map(|store| {
        store.lock_timeout(PATIENCE).on_warning(move |warning| {
            *tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(warning.to_string());
        })
    });
    let mut found = match store {
        Ok(store) => {
            let tightened = || told.lock().unwrap_or_else(PoisonError::into_inner).take();
            contents(&store, &path.display().to_string(), tightened)
        }
        Err(error) => vec![failed("storage", &error), Finding::skipped("lock", "no place for tokens is known")],
    };
    found.push(no_keyring);
    found
}

fn keyring() -> Vec<Finding> {
    let store = match open_keyring() {
        Ok(store) => store,
        Err(error) => {
            let finding = if let StoreError::Keyring { .. } = error {
                Finding::fail("keyring", EXIT, error.to_string(), NO_KEYRING)
            } else {
                failed("keyring", &error)
            };
            let because = "the keyring cannot be used";
            return vec![finding, Finding::skipped("storage", because), Finding::skipped("lock", because)];
        }
    };
    let mut found = vec![Finding::ok("keyring", "it answers, and is unlocked")];
    found.extend(contents(&store, "the keyring", || None));
    found
}

/// What is in a store, and whether its lock can be had. `tightened`: what had to be put right to read it.
fn contents(store: &dyn Store, place: &str, tightened: impl Fn() -> Option<String>) -> Vec<Finding> {
    let mut found = Vec::new();
    // Once more under the lock if it does not parse: other programs write in place.
    let loaded = store.load().map(|bytes| bytes.map(|bytes| TokenCache::from_json(&bytes)));
    if let Err(error) = loaded {
        return vec![failed("storage", &error), Finding::skipped("lock", "the tokens cannot be read")];
    }
    let locked = store.lock();
    let parsed = match (loaded, &locked) {
        (Ok(Some(Err(_))), Ok(locked)) => locked.current().map(TokenCache::from_json),
        (Ok(parsed), _) => parsed,
        (Err(_), _) => None,
    };
    found.push(match parsed {
        None => Finding::ok("storage", format!("{place}: nothing is kept yet")),
        Some(Ok(cache)) => {
            let accounts = match cache.accounts().len() {
                1 => "1 account".to_owned(),
                number => format!("{number} accounts"),
            };
            match tightened() {
                None => Finding::ok("storage", format!("{place}: can be read, and by you alone; {accounts}")),
                Some(warning) => Finding::warn("storage", format!("{warning}; {accounts}"), SIGN_OUT_AND_IN),
            }
        }
        Some(Err(error)) => {
            Finding::fail("storage", EXIT, format!("{place}: {error}"), "Then sign in again: device-flow login.")
        }
    });
    found.push(match locked {
        Ok(_) => Finding::ok("lock", "free"),
        Err(error) => failed("lock", &error),
    });
    found
}

fn failed(check: &'static str, error: &StoreError) -> Finding {
    Finding::fail(check, EXIT, error.to_string(), error.advice())
}
