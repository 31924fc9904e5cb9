//! Owns the checks of the token store: permissions, contents, lock, and whether the keyring answers.

use super::finding::{Finding, Report};
use crate::args::Target;
use crate::run_error::RunError;
use crate::session::{NO_KEYRING, Storage, open_keyring};
use device_flow_tokio::{FileStore, Store, StoreError, TokenCache};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longer than the 5 s after which an abandoned lock is taken over.
const PATIENCE: Duration = Duration::from_secs(8);

const SIGN_OUT_AND_IN: &str = "If others use this computer, revoke the tokens that they may have read: device-flow logout, then device-flow login.";

/// The exit code of all these checks.
const EXIT: u8 = 8;

pub(super) async fn check(report: &mut Report<'_>, target: &Target) -> Result<(), RunError> {
    if let Ok(storage) = Storage::of(target)
        && let Err(error) = storage.unlock(false, report.terminal()).await
    {
        let remedy = "Check the key (--age-key-file, DEVICE_FLOW_AGE_KEY) and its passphrase.";
        report.add(Finding::failed("storage", &error, remedy, ""))?;
        report.add(Finding::skipped("lock", "the tokens cannot be read"))?;
        return report.add(Finding::skipped("keyring", "tokens are stored in a file")).map(drop);
    }
    let target = target.clone();
    // Stores block their thread.
    let checked = tokio::task::spawn_blocking(move || findings(&target)).await;
    let findings = checked.map_err(|error| RunError::Internal(error.to_string()))?;
    findings.into_iter().try_for_each(|finding| report.add(finding).map(drop))
}

fn findings(target: &Target) -> Vec<Finding> {
    match Storage::of(target) {
        Ok(Storage::File(path)) => file(&path),
        Ok(storage @ Storage::Age(..)) => encrypted(&storage),
        Ok(Storage::Keyring) => keyring(),
        Ok(Storage::Memory) => {
            let because = "tokens are stored in memory, until the program ends";
            vec![
                Finding::ok("storage", "in memory, until the program ends"),
                Finding::skipped("lock", because),
                Finding::skipped("keyring", because),
            ]
        }
        Err(error) => {
            let because = "the place for tokens is unknown";
            vec![failed("storage", &error), Finding::skipped("lock", because), Finding::skipped("keyring", because)]
        }
    }
}

fn file(path: &Path) -> Vec<Finding> {
    let no_keyring = Finding::skipped("keyring", "tokens are stored in a file");
    let warning = Arc::new(Mutex::new(None));
    let place = Arc::clone(&warning);
    let store = FileStore::new(path).map(|store| {
        store.lock_timeout(PATIENCE).on_warning(move |warning| {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(warning.to_string());
        })
    });
    let mut found = match store {
        Ok(store) => {
            let tightened = || warning.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut found = contents(&store, &path.display().to_string(), tightened);
            // Accounts of servers that are not Microsoft's.
            if let Some(unshared) = store.unshared().filter(|unshared| !matches!(unshared.load(), Ok(None))) {
                found.extend(contents(&*unshared, &format!("{}.unshared", path.display()), tightened));
            }
            found
        }
        Err(error) => vec![failed("storage", &error), Finding::skipped("lock", "the place for tokens is unknown")],
    };
    found.push(no_keyring);
    found
}

/// Its key is ready.
fn encrypted(storage: &Storage) -> Vec<Finding> {
    let place = storage.path().map_or_else(String::new, |path| path.display().to_string());
    let mut found = match storage.open() {
        Ok(store) => contents(&store, &format!("{place}, encrypted"), || None),
        Err(error) => {
            vec![Finding::failed("storage", &error, "", ""), Finding::skipped("lock", "the tokens cannot be read")]
        }
    };
    found.push(Finding::skipped("keyring", "tokens are stored in a file"));
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
    let mut found = vec![Finding::ok("keyring", "it answers and is unlocked")];
    found.extend(contents(&store, "the keyring", || None));
    found
}

/// What is in a store, and whether its lock is free. `tightened`: the permissions that had to be corrected to read it.
fn contents(store: &dyn Store, place: &str, tightened: impl Fn() -> Option<String>) -> Vec<Finding> {
    let mut found = Vec::new();
    // What does not parse is read once more under the lock: other programs write in place.
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
        None => Finding::ok("storage", format!("{place}: nothing is stored yet")),
        Some(Ok(cache)) => {
            let accounts = match cache.accounts().len() {
                1 => "1 account".to_owned(),
                number => format!("{number} accounts"),
            };
            match tightened() {
                None => Finding::ok("storage", format!("{place}: readable by you only; {accounts}")),
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
