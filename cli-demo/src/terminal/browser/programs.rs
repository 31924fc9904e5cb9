//! Owns the programs that open a browser on Linux and the BSDs. The crate `webbrowser` is not used here: it gives text
//! browsers the terminal, on purpose, and does not report that an opener failed.

use super::Env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Browsers that draw into the terminal, which is in use, and programs that only download. Neither is a browser here.
const TEXT: [&str; 17] = [
    "lynx",
    "links",
    "links2",
    "elinks",
    "felinks",
    "w3m",
    "www-browser",
    "browsh",
    "carbonyl",
    "chawan",
    "cha",
    "edbrowse",
    "eww",
    "netrik",
    "retawq",
    "curl",
    "wget",
];

/// The browsers that xdg-open may choose from. Its own list ends in text browsers.
const GRAPHICAL: &str = "x-www-browser:firefox:chromium:google-chrome";

/// An opener that runs for longer is the browser itself.
const RETURNS_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn has_a_screen(env: Env<'_>) -> bool {
    // A set BROWSER means that there is one: an editor, for example, that forwards addresses from its container.
    ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(|name| env(name).is_some())
        || is_wsl(env)
        || !selection(env, "").is_empty()
}

pub(super) fn has_an_opener(env: Env<'_>) -> bool {
    !openers(env, "").is_empty()
}

fn is_wsl(env: Env<'_>) -> bool {
    ["WSL_DISTRO_NAME", "WSL_INTEROP"].into_iter().any(|name| env(name).is_some())
}

/// A program and its arguments.
pub(super) struct Opener {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// Every program that may open this address, the best first.
pub(super) fn openers(env: Env<'_>, address: &str) -> Vec<Opener> {
    let mut openers = selection(env, address);
    let known: [(&str, &[&str], bool); 5] = [
        ("wslview", &[], is_wsl(env)),
        ("rundll32.exe", &["url.dll,FileProtocolHandler"], is_wsl(env)),
        ("xdg-open", &[], true),
        ("gio", &["open"], true),
        ("x-www-browser", &[], true),
    ];
    for (name, words, _) in known.into_iter().filter(|(.., here)| *here) {
        if let Some(program) = graphical(OsStr::new(name), env) {
            let words = words.iter().copied().chain([address]).map(str::to_owned).collect();
            openers.push(Opener { program, arguments: words });
        }
    }
    openers
}

/// The commands in BROWSER, separated by colons; `%s` stands for the address.
fn selection(env: Env<'_>, address: &str) -> Vec<Opener> {
    let list = env("BROWSER").unwrap_or_default();
    let opener = |command: &str| {
        let mut words = command.split_whitespace();
        let program = graphical(OsStr::new(words.next()?), env)?;
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        if command.contains("%s") {
            words = words.iter().map(|word| word.replace("%s", address)).collect();
        } else {
            words.push(address.to_owned());
        }
        Some(Opener { program, arguments: words })
    };
    list.to_string_lossy().split(':').filter_map(opener).collect()
}

/// The path of this program, if it exists and is no text browser under another name.
fn graphical(program: &OsStr, env: Env<'_>) -> Option<PathBuf> {
    let is_text_browser = |path: &Path| path.file_name().is_some_and(|name| TEXT.iter().any(|text| name == *text));
    let found = if Path::new(program).components().count() > 1 {
        Some(PathBuf::from(program)).filter(|path| runs(path))
    } else {
        std::env::split_paths(&env("PATH").unwrap_or_default())
            .map(|folder| folder.join(program))
            .find(|path| runs(path))
    }?;
    // Debian's x-www-browser, for example, is a link.
    let really = found.canonicalize().ok()?;
    (!is_text_browser(&found) && !is_text_browser(&really)).then_some(found)
}

fn runs(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

pub(super) async fn open(address: String, env: Env<'_>) -> Result<(), String> {
    let mut failed = "no program that opens one was found; BROWSER can name one".to_owned();
    let mine = env("BROWSER").filter(|_| !selection(env, "").is_empty());
    for opener in openers(env, &address) {
        let name = opener.program.display().to_string();
        match run(opener, mine.as_deref().unwrap_or(OsStr::new(GRAPHICAL))).await {
            Ok(()) => return Ok(()),
            Err(why) => failed = format!("{name}: {why}"),
        }
    }
    Err(failed)
}

async fn run(opener: Opener, browsers: &OsStr) -> Result<(), String> {
    let mut command = Command::new(opener.program);
    command.args(opener.arguments).env("BROWSER", browsers);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // In a process group of its own, Ctrl-C does not end the browser, and reading from the terminal would stop it.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    match tokio::time::timeout(RETURNS_WITHIN, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(status.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_still_runs) => Ok(()),
    }
}
