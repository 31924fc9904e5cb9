//! Owns the browser on this computer: whether a person would see it, which program opens it, and whether that worked.

use std::ffi::OsString;

/// Reads a variable of the environment, unless it is empty.
type Env<'a> = &'a (dyn Fn(&str) -> Option<OsString> + Sync);

/// Whether a browser that opens here is seen by the person at this terminal.
pub(super) fn would_be_seen(env: Env<'_>) -> bool {
    // The person sits at another computer; the screen of this one is somebody else's, if there is one.
    let elsewhere = ["SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"].into_iter().any(|name| env(name).is_some());
    !elsewhere && os::has_a_screen(env) && os::has_an_opener(env)
}

/// Opens the address. The opener's output is discarded, and it gets no keys or signals of this terminal.
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
