//! Owns the browser on this computer: whether a person would see it, which program opens it, and what came of that.

use std::ffi::OsString;

/// What the environment says, unless it is empty.
type Env<'a> = &'a (dyn Fn(&str) -> Option<OsString> + Sync);

/// Whether a browser that opens here is seen by the person at this terminal.
pub(super) fn would_be_seen(env: Env<'_>) -> bool {
    // The person sits at another computer, and this one's screen is somebody else's or nobody's.
    let elsewhere = ["SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"].into_iter().any(|name| env(name).is_some());
    !elsewhere && os::has_a_screen(env) && os::has_an_opener(env)
}

/// Opens the address. What the opener prints goes nowhere, and keys and signals of this terminal do not reach it.
pub(super) async fn open(address: String, env: Env<'_>) -> Result<(), String> {
    os::open(address, env).await
}

#[cfg(any(target_os = "macos", windows))]
mod os {
    use super::Env;

    pub(super) fn has_a_screen(_: Env<'_>) -> bool {
        true
    }

    pub(super) fn has_an_opener(_: Env<'_>) -> bool {
        true
    }

    pub(super) async fn open(address: String, _: Env<'_>) -> Result<(), String> {
        let opened = tokio::task::spawn_blocking(move || webbrowser::open(&address)).await;
        opened.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

#[cfg(not(any(target_os = "macos", windows)))]
mod programs;
#[cfg(not(any(target_os = "macos", windows)))]
use programs as os;
#[cfg(all(test, not(any(target_os = "macos", windows))))]
mod tests;
