//! Owns the clipboard: which one can be reached from here, and copying the code to it. It is never read.

use base64ct::{Base64, Encoding as _};
use std::ffi::OsString;

/// A clipboard that the person can paste from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clipboard {
    /// The one of the desktop on this computer.
    OfDesktop,
    /// The one where the terminal runs, which is where the person sits.
    OfTerminal,
}

/// `escapes`: stderr is a terminal that understands escape sequences.
pub(super) fn reachable(escapes: bool, env: &dyn Fn(&str) -> Option<OsString>) -> Option<Clipboard> {
    let any = |names: &[&str]| names.iter().any(|name| env(name).is_some());
    let elsewhere = any(&["SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"]);
    // Desktops on Wayland have an X server, too, and share the clipboard with it. Where there is none, terminals copy.
    let desktop = cfg!(any(target_os = "macos", windows)) || any(&["DISPLAY"]);
    match (cfg!(feature = "clipboard") && desktop && !elsewhere, escapes) {
        (true, _) => Some(Clipboard::OfDesktop),
        (false, true) => Some(Clipboard::OfTerminal),
        (false, false) => None,
    }
}

/// The escape sequence that asks a terminal to copy. It does not answer whether it did.
pub(super) fn osc_52(code: &str) -> String {
    format!("\u{1b}]52;c;{}\u{7}", Base64::encode_string(code.as_bytes()))
}

/// Copies the code to the clipboard of the desktop, and offers it there as long as this process lives: under X11 the
/// process that copied holds the contents.
#[cfg(feature = "clipboard")]
pub(super) async fn copy(code: String) -> Result<(), String> {
    /// After this time the person is told that it did not work.
    const ANSWERS_WITHIN: std::time::Duration = std::time::Duration::from_millis(900);
    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread that hangs in a library does not delay the exit of the process.
    let thread = std::thread::Builder::new().spawn(move || {
        let mut clipboard = arboard::Clipboard::new().and_then(|mut clipboard| {
            clipboard.set_text(code)?;
            Ok(clipboard)
        });
        // An error here means that the time was up.
        let _ = tell.send(clipboard.as_mut().map(|_| ()).map_err(|error| error.to_string()));
        while clipboard.is_ok() {
            std::thread::park();
        }
    });
    thread.map_err(|error| error.to_string())?;
    match tokio::time::timeout(ANSWERS_WITHIN, told).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err("it was closed".to_owned()),
        Err(_) => Err("it does not answer".to_owned()),
    }
}

#[cfg(not(feature = "clipboard"))]
pub(super) async fn copy(_: String) -> Result<(), String> {
    Err("this program was built without clipboard support".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_os = "linux", feature = "clipboard"))]
    fn reachable_with(escapes: bool, names: &[&str]) -> Option<Clipboard> {
        reachable(escapes, &|name| names.contains(&name).then(|| OsString::from("x")))
    }

    #[cfg(all(target_os = "linux", feature = "clipboard"))]
    #[test]
    fn e10_the_clipboard_is_the_one_where_the_person_sits() {
        assert_eq!(reachable_with(true, &["DISPLAY"]), Some(Clipboard::OfDesktop));
        assert_eq!(reachable_with(false, &["WAYLAND_DISPLAY", "DISPLAY"]), Some(Clipboard::OfDesktop));
        assert_eq!(reachable_with(true, &["WAYLAND_DISPLAY"]), Some(Clipboard::OfTerminal));
        // Also with forwarded X11: the terminal and the X server are on the same desk.
        assert_eq!(reachable_with(true, &["SSH_CONNECTION", "DISPLAY"]), Some(Clipboard::OfTerminal));
        assert_eq!(reachable_with(true, &[]), Some(Clipboard::OfTerminal));
        assert_eq!(reachable_with(false, &["SSH_TTY", "DISPLAY"]), None);
        assert_eq!(reachable_with(false, &[]), None);
    }

    #[test]
    fn the_terminal_is_asked_by_osc_52() {
        assert_eq!(osc_52("WDJB-MJHT"), "\u{1b}]52;c;V0RKQi1NSkhU\u{7}");
    }
}
