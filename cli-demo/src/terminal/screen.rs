//! Owns what is written to stderr for a person: whole lines, folded to the width of the terminal, in the character set
//! of its locale.

use super::qr::{self, Ground, Picture};
use super::text::{folded, width};
use crate::args::Color;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

/// Stderr, and what it can show.
pub(super) struct Screen {
    bold: bool,
    /// Stderr is a terminal that understands escape sequences.
    pub(super) understands_escapes: bool,
    /// It does, and the person allows them (NO_COLOR).
    pub(super) uses_escapes: bool,
    ascii: bool,
}

impl Screen {
    pub(super) fn new(color: Color) -> Self {
        let (dumb, is_terminal) = (is_dumb(), io::stderr().is_terminal());
        let bold = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if env("NO_COLOR").is_some() || dumb => false,
            Color::Auto => is_terminal || env("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(env);
        let ascii = locale.is_some_and(|locale| {
            let locale = locale.to_string_lossy().to_ascii_lowercase();
            !locale.contains("utf-8") && !locale.contains("utf8")
        });
        let understands_escapes = is_terminal && !dumb;
        Self { bold, understands_escapes, uses_escapes: understands_escapes && bold, ascii }
    }

    /// One or more whole lines, folded between words.
    pub(super) fn say(&self, text: &str) {
        let text = self.encoded(text);
        self.put(&(columns().map_or_else(|| text.clone(), |columns| folded(&text, columns, 0)) + "\n"));
    }

    /// A text as it is.
    pub(super) fn put(&self, text: &str) {
        let mut stderr = io::stderr();
        // There is no other place to report a failure.
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }

    /// A label and a value, which is never broken: a person reads, copies or clicks it as a whole.
    pub(super) fn labelled(&self, label: &str, value: &str) {
        let value = self.encoded(value);
        let fits = |indent: usize| columns().is_none_or(|columns| width(&value).saturating_add(indent) <= columns);
        let strong = if self.bold { format!("\u{1b}[1m{value}\u{1b}[0m") } else { value.clone() };
        if fits(width(label)) {
            return self.put(&format!("{label}{strong}\n"));
        }
        let label = folded(label.trim_end(), columns().unwrap_or(usize::MAX), 3);
        self.put(&format!("{label}\n{}{strong}\n", if fits(5) { "     " } else { "" }));
    }

    /// In a locale without UTF-8 other characters are escaped, so that they can at least be told apart.
    pub(super) fn encoded(&self, text: &str) -> String {
        if !self.ascii {
            return text.to_owned();
        }
        let escape = |c: char| if c.is_ascii() { c.to_string() } else { c.escape_unicode().to_string() };
        text.chars().map(escape).collect()
    }

    /// Draws a QR code with `below` under it; where a camera could not read one, the reason and `instead`.
    pub(super) fn draw_qr(&self, address: &str, below: &str, instead: &str) {
        match self.picture(address, below) {
            Ok(picture) => {
                self.put(&picture.text);
                self.say(below);
            }
            Err(why) => {
                self.say(&format!("No QR code: {why}."));
                self.say(instead);
            }
        }
    }

    fn picture(&self, address: &str, below: &str) -> Result<Picture, String> {
        if self.ascii {
            return Err("its characters are not in this locale (it is not UTF-8)".to_owned());
        }
        let (columns, rows) = size().ok_or("stderr is no terminal")?;
        let is_light = |colours: OsString| matches!(colours.to_string_lossy().rsplit(';').next(), Some("7" | "15"));
        let ground = match (self.uses_escapes, env("COLORFGBG").is_some_and(is_light)) {
            (true, _) => Ground::Painted,
            (false, true) => Ground::Light,
            (false, false) => Ground::Dark,
        };
        let picture = qr::drawn(address, ground).ok_or("the address is too long for one")?;
        // With all lines below it and the countdown: nobody can photograph what has scrolled away.
        let below = folded(below, columns, 0).lines().count().saturating_add(1);
        let (wide, high) = (picture.columns, picture.rows.saturating_add(below));
        if wide > columns || high > rows {
            return Err(format!("it needs {wide} columns and {high} rows, and the terminal has {columns} and {rows}"));
        }
        Ok(picture)
    }
}

pub(super) fn is_dumb() -> bool {
    env("TERM").is_some_and(|term| term == "dumb")
}

/// A variable of the environment, unless it is empty.
pub(super) fn env(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The width of the terminal, if stderr is one.
pub(super) fn columns() -> Option<usize> {
    size().map(|(columns, _)| columns)
}

/// The width of the terminal, if stdout is one.
pub(crate) fn result_columns() -> Option<usize> {
    sized(terminal_size::terminal_size_of(io::stdout())).map(|(columns, _)| columns)
}

/// Columns and rows.
fn size() -> Option<(usize, usize)> {
    sized(terminal_size::terminal_size_of(io::stderr()))
}

/// A terminal that was never given a size says 0.
fn sized(size: Option<(terminal_size::Width, terminal_size::Height)>) -> Option<(usize, usize)> {
    let (columns, rows) = size?;
    Some((columns.0.into(), rows.0.into())).filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

/// Whether nobody can read what is written to stderr. (The standard library opens a closed stderr as the null device.)
#[cfg(unix)]
pub(super) fn is_invisible() -> bool {
    match (rustix::fs::fstat(rustix::stdio::stderr()), rustix::fs::stat("/dev/null")) {
        (Err(_), _) => true,
        (Ok(stderr), Ok(null)) => stderr.st_rdev == null.st_rdev,
        // An empty container has no devices: then it is a pipe or a file.
        (Ok(_), Err(_)) => false,
    }
}

#[cfg(not(unix))]
pub(super) fn is_invisible() -> bool {
    false
}
