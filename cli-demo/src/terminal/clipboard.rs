//! Owns the clipboard: the way to it from here, and the code going there. It is never read.

use base64ct::{Base64, Encoding as _};
use std::ffi::OsString;
/// How the code gets to the clipboard of the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// That of the desktop here.
    Desktop,
    /// The terminal is asked to do it: it stands where the person sits.
    Terminal,
}

/// `escapes`: stderr is a terminal that understands escape sequences.
pub(super) fn way(escapes: bool, env: &dyn Fn(&str) -> Option<OsString>) -> Option<Way> {
    let any = |names: &[&str]| names.iter().any(|name| env(name).is_some());
    let elsewhere = any(&["SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"]);
    let desktop = cfg!(any(target_os = "macos", windows)) || any(&["DISPLAY", "WAYLAND_DISPLAY"]);
    match (cfg!(feature = "clipboard") && desktop && !elsewhere, escapes) {
        (true, _) => Some(Way::Desktop),
        (false, true) => Some(Way::Terminal),
        (false, false) => None,
    }
}

/// OSC 52. Whether the terminal does it, it does not tell.
pub(super) fn request(code: &str) -> String {
    format!("\u{1b}]52;c;{}\u{7}", Base64::encode_string(code.as_bytes()))
}

/// Puts the code into the clipboard of the desktop, and keeps it there as long as this process lives: under X11 and Wayland a
/// clipboard is whoever offers it.
#[cfg(feature = "clipboard")]
pub(super) async fn copy(code: String) -> Result<(), String> {
    /// Nobody waits longer to hear that it did not work.
    const ANSWERS_WITHIN: std::time::Duration = std::time::Duration::from_millis(900);
    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread that hangs in a library does not hold up the end of the process.
    let thread = std::thread::Builder::new().spawn(move || {
        let mut clipboard = arboard::Clipboard::new().and_then(|mut clipboard| {
            clipboard.set_text(code)?;
            Ok(clipboard)
        });
        // Nobody hears it any more: the time was up.
        let _ = tell.send(clipboard.as_mut().map(|_| ()).map_err(|error| error.to_string()));
        while clipboard.is_ok() {
            std::thread::park();
        }
    });
    thread.map_err(|error| error.to_string())?;
    match tokio::time::timeout(ANSWERS_WITHIN, told).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err("it went away".to_owned()),
        Err(_) => Err("it does not answer".to_owned()),
    }
}

#[cfg(not(feature = "clipboard"))]
pub(super) async fn copy(_: String) -> Result<(), String> {
    Err("this program was built without it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_os = "linux", feature = "clipboard"))]
    fn way_with(escapes: bool, names: &[&str]) -> Option<Way> {
        way(escapes, &|name| names.contains(&name).then(|| OsString::from("x")))
    }

    // E10.
    #[cfg(all(target_os = "linux", feature = "clipboard"))]
    #[test]
    fn the_way_leads_to_where_the_person_sits() {
        assert_eq!(way_with(true, &["DISPLAY"]), Some(Way::Desktop));
        assert_eq!(way_with(false, &["WAYLAND_DISPLAY"]), Some(Way::Desktop));
        // X11 that is forwarded, too: whether the person's own terminal is asked or their X server, it is the same desk.
        assert_eq!(way_with(true, &["SSH_CONNECTION", "DISPLAY"]), Some(Way::Terminal));
        assert_eq!(way_with(true, &[]), Some(Way::Terminal));
        assert_eq!(way_with(false, &["SSH_TTY", "DISPLAY"]), None);
        assert_eq!(way_with(false, &[]), None);
    }

    #[test]
    fn the_terminal_is_asked_by_osc_52() {
        assert_eq!(request("WDJB-MJHT"), "\u{1b}]52;c;V0RKQi1NSkhU\u{7}");
    }
}
