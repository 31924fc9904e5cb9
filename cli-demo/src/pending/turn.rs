//! Owns the turn of a sign-in: of two runs that begin the same one at once, only the first shows a code.
//!
//! The pending file tells of a sign-in that has a code. Until then the runs know of each other by a lease.

use super::{Invocation, LOOK, Resumable};
use device_flow_tokio::{FileStore, Lease, LockHolder, Store as _, StoreError, default_path};
use std::time::{Duration, Instant};

/// How long a run that has the turn may take until it has a code, and the other can say how to resume it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The turn of this run, until it is dropped.
pub(crate) struct Turn {
    /// `None`: there can be none here, so another run shows up only once it has a code.
    _lease: Option<Box<dyn Lease>>,
}

/// Another run waits for the approval of the same sign-in.
pub(crate) struct AlreadyWaiting {
    pub(crate) holder: LockHolder,
    /// `None`: it has no code yet.
    pub(crate) pending: Option<Resumable>,
}

impl Turn {
    /// The turn, unless another run has it.
    pub(crate) async fn take(invocation: &Invocation) -> Result<Self, AlreadyWaiting> {
        let since = Instant::now();
        loop {
            let lease = lease(invocation);
            if let Some(waiting) = waiting(invocation) {
                return Err(waiting);
            }
            match lease {
                Ok(lease) => return Ok(Self { _lease: Some(lease) }),
                Err(StoreError::Busy { holder, .. }) if since.elapsed() >= PATIENCE => {
                    return Err(AlreadyWaiting { holder, pending: None });
                }
                Err(StoreError::Busy { .. }) => tokio::time::sleep(LOOK).await,
                Err(_) => return Ok(Self { _lease: None }),
            }
        }
    }
}

/// The run that polls for this sign-in, if one does.
fn waiting(invocation: &Invocation) -> Option<AlreadyWaiting> {
    let is_same = |other: &Resumable| !other.is_expired() && key(&other.invocation) == key(invocation);
    Resumable::all().into_iter().filter(is_same).find_map(|pending| {
        let holder = pending.holder()?;
        Some(AlreadyWaiting { holder, pending: Some(pending) })
    })
}

fn lease(invocation: &Invocation) -> Result<Box<dyn Lease>, StoreError> {
    FileStore::new(default_path("device-flow", "logins")?)?.lease(&key(invocation), Duration::ZERO)
}

/// The same text for the same profile and client, with tokens in the same place.
fn key(invocation: &Invocation) -> String {
    format!("{:?} {:?}", invocation.profile, invocation.settings.of_client_and_store())
}
