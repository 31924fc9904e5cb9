//! Owns the default path of a program's file: the only file that reads the environment.

use crate::StoreError;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// The path of `file` in the folder where the state of `app` belongs, for this user.
///
/// On Unix `$XDG_STATE_HOME/<app>/<file>`, or `~/.local/state/<app>/<file>`; on macOS in `~/Library/Application
/// Support`; on Windows in `%LOCALAPPDATA%`. A relative path in `XDG_STATE_HOME` is ignored, as the XDG Base Directory
/// Specification requires, and so is an empty one. Nothing is created.
///
/// # Errors
/// [`StoreError::NoHome`] when the environment names no absolute path.
pub fn default_path(app: &str, file: &str) -> Result<PathBuf, StoreError> {
    Ok(state_folder(|name| env::var_os(name))?.join(app).join(file))
}

fn state_folder(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, StoreError> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return absolute("LOCALAPPDATA").ok_or(StoreError::NoHome);
    }
    let home = || absolute("HOME").ok_or(StoreError::NoHome);
    if cfg!(target_os = "macos") {
        return Ok(home()?.join("Library/Application Support"));
    }
    absolute("XDG_STATE_HOME").map_or_else(|| Ok(home()?.join(".local/state")), Ok)
}

#[cfg(all(test, unix, not(target_os = "macos")))]
mod tests;
