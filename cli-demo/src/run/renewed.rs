//! Owns the file in which the token of a long run is renewed.

use crate::args::TokenRequirements;
use crate::run_error::RunError;
use crate::session::Session;
use crate::terminal::{Terminal, today};
use crate::token::{ValidToken, valid_token};
use device_flow_tokio::{Change, FileStore, Secret, SignInError, Store as _, entropy};
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

/// How often it is looked whether the token is still good for long enough, at most and at least: a computer that has slept is
/// noticed soon.
const MOST: Duration = Duration::from_secs(60);
const LEAST: Duration = Duration::from_secs(1);

/// A file that only this user can read, in a folder of its own, for as long as this lives.
pub(super) struct Renewed(FileStore);

impl Renewed {
    pub(super) fn with(token: &Secret) -> Result<Self, RunError> {
        let random = entropy().map_err(SignInError::from)?;
        let name: String = random.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        // In memory, where there is such a place, and gone with the session of this user.
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = runtime.unwrap_or_else(std::env::temp_dir).join(format!("device-flow-run-{name}"));
        let renewed = Self(FileStore::new(folder.join("token"))?.not_shared());
        renewed.write(token)?;
        Ok(renewed)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// The token alone, without a line end: many programs take every byte of such a file for a part of it.
    fn write(&self, token: &Secret) -> Result<(), RunError> {
        // Exposed to be handed over, which is the purpose of the file.
        self.0.update(&mut |_| Change::Save(token.expose().as_bytes().to_vec().into()))?;
        Ok(())
    }

    /// Keeps the token in it good.
    pub(super) async fn renew(
        &self,
        mut valid: ValidToken,
        session: &Session,
        requirements: TokenRequirements,
        terminal: &mut Terminal,
    ) -> Infallible {
        let mut told = String::new();
        loop {
            let left = valid.expires_on.map_or(MOST, |end| end.saturating_since(today()) / 5);
            tokio::time::sleep(left.clamp(LEAST, MOST)).await;
            let renewed = match valid_token(session, requirements, terminal).await {
                Ok(new) if new.token.expose() == valid.token.expose() => Ok(()),
                Ok(new) => self.write(&new.token).map(|()| valid = new),
                Err(error) => Err(error),
            };
            match renewed.map_err(|error| error.to_string()) {
                Ok(()) => told.clear(),
                Err(error) if error != told => {
                    terminal.note(&format!("The token in {} could not be renewed: {error}", self.path().display()));
                    told = error;
                }
                Err(_) => {}
            }
        }
    }
}

impl Drop for Renewed {
    /// The folder holds nothing but the token and its lock. Where it cannot be removed, the token in it expires.
    fn drop(&mut self) {
        if let Some(folder) = self.path().parent() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
