//! Owns everything that is printed: results on stdout, what a person needs to see on stderr, or JSON lines on stdout.

use crate::args::{Color, Global, Progress};
use crate::end::End;
use clipboard::Way;
use countdown::{Countdown, Wait};
use device_flow_tokio::{
    Client, Prompt, PromptWarning, SignInReason, SignedIn, TokenResponse, TokenSource, WaitReason,
};
use event::{JsonEvent, Line, Told, named, source};
use qr::{Ground, Picture};
use serde::Serialize;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;
use text::{after, folded, harmless, masked, name, one_line, width};
pub(crate) use text::{left, local, today, when};
use tokio::sync::mpsc;
use tokio::time::Instant;

mod browser;
mod clipboard;
mod countdown;
mod event;
mod keys;
mod look;
mod qr;
mod text;

pub(crate) use look::Look;

/// Where to print, and in which form.
pub(crate) struct Terminal {
    json: bool,
    bold: bool,
    /// Stderr is a terminal that understands escape sequences.
    understands: bool,
    /// And nobody asked for none (NO_COLOR).
    escapes: bool,
    ascii: bool,
    wait: Wait,
    input: bool,
    look: Look,
    countdown: Option<Countdown>,
    copying: bool,
    shown: bool,
    /// What Enter opens, once.
    to_open: Option<String>,
    tells: mpsc::UnboundedSender<Happening>,
    hears: mpsc::UnboundedReceiver<Happening>,
}

/// What happens beside the sign-in, none of which it waits for.
enum Happening {
    Enter,
    Opened(Result<(), String>),
    Copied(Result<(), String>),
}

impl Terminal {
    pub(crate) fn new(global: &Global) -> Self {
        let dumb = env("TERM").is_some_and(|term| term == "dumb");
        let is_terminal = io::stderr().is_terminal();
        let bold = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if env("NO_COLOR").is_some() || dumb => false,
            Color::Auto => is_terminal || env("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
        };
        let wait = match global.progress {
            Progress::None => Wait::Silent,
            Progress::Plain => Wait::Heartbeat,
            Progress::Auto if !is_terminal => Wait::Once,
            Progress::Auto if dumb || env("ACCESSIBLE").is_some() => Wait::Heartbeat,
            Progress::Auto => Wait::Repaint,
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(env);
        let ascii = locale.is_some_and(|locale| {
            let locale = locale.to_string_lossy().to_ascii_lowercase();
            !locale.contains("utf-8") && !locale.contains("utf8")
        });
        let (tells, hears) = mpsc::unbounded_channel();
        Self {
            json: global.json,
            bold,
            understands: is_terminal && !dumb,
            escapes: is_terminal && !dumb && bold,
            ascii,
            wait,
            input: !global.no_input,
            look: Look::default(),
            countdown: None,
            copying: false,
            shown: false,
            to_open: None,
            tells,
            hears,
        }
    }

    /// What is to be shown with the code.
    pub(crate) fn look(&mut self, look: Look) {
        self.look = look;
    }

    /// Whether a person can see what goes to stderr. (The standard library opens a closed stderr as the null device.)
    pub(crate) fn can_be_seen(&self) -> bool {
        self.json || !leads_nowhere()
    }

    /// `resume_id`: by which another run can go on. `waits`: whether this one does.
    pub(crate) fn show_code(
        &mut self,
        client: &Client,
        prompt: &Prompt,
        lifetime: Duration,
        resume_id: Option<&str>,
        waits: bool,
    ) -> Result<(), End> {
        self.shown = true;
        if self.json {
            self.event(JsonEvent::DeviceCode {
                verification_uri: prompt.verification_uri(),
                verification_uri_complete: prompt.verification_uri_complete(),
                user_code: prompt.user_code(),
                message: prompt.message(),
                expires_in: lifetime.as_secs(),
                expires_at: after(lifetime).to_string(),
                interval: prompt.interval().as_secs(),
                issuer: client.issuer(),
                warnings: prompt.warnings().map(|warning| warning.to_string()).collect(),
                resume_id,
            })?;
            self.copy(prompt.user_code());
            return Ok(());
        }
        let server = name(client.issuer().unwrap_or_else(|| client.device_authorization_endpoint()));
        let scopes = if client.scope().is_empty() { String::new() } else { format!("   (scopes: {})", client.scope()) };
        self.say(&format!("Sign in to {server} as client \"{}\"{scopes}\n", client.client_id()));
        self.step("  1. On any device, open   ", prompt.verification_uri());
        self.step("  2. Enter the code        ", prompt.user_code());
        self.say("");
        if let Some(complete) = prompt.verification_uri_complete() {
            self.say(&format!("  or open  {complete}  and check that it shows the same code.\n"));
        }
        if let Some(message) = prompt.message() {
            self.say(&format!("The server says: {message}\n"));
        }
        prompt.warnings().for_each(|warning| self.warn(warning));
        self.say(
            "You started this sign-in. Never enter a code that someone sent you, and never send this one to anyone.",
        );
        self.copy(prompt.user_code());
        let address = prompt.verification_uri_complete().unwrap_or_else(|| prompt.verification_uri());
        let keys = match waits {
            false => "",
            true if self.offer(address) => "Press Enter to open the browser here, Ctrl-C to cancel.",
            true => "Press Ctrl-C to cancel.",
        };
        if self.look.qr {
            let and = if prompt.verification_uri_complete().is_some() { "check that it shows" } else { "enter" };
            // The code once more: the one above may have scrolled away.
            let below = format!("Scan it with a phone, and {and} the code {}\n{keys}", prompt.user_code());
            self.draw(address, below.trim_end(), keys);
        } else if waits {
            self.say(keys);
        }
        if !waits {
            return Ok(());
        }
        self.countdown = Some(Countdown::new(self.wait, self.escapes, Instant::now(), lifetime));
        self.tick();
        Ok(())
    }

    fn warn(&self, warning: PromptWarning) {
        self.say(&format!("Note: {warning}."));
    }

    /// A step with what it is about, which is never broken: it is to be read, copied or clicked as a whole.
    fn step(&self, label: &str, what: &str) {
        let what = self.shown(what);
        let fits = |indent: usize| columns().is_none_or(|columns| width(&what).saturating_add(indent) <= columns);
        let strong = self.strong(&what);
        if fits(width(label)) {
            return self.put(&format!("{label}{strong}\n"));
        }
        let label = folded(label.trim_end(), columns().unwrap_or(usize::MAX), 3);
        self.put(&format!("{label}\n{}{strong}\n", if fits(5) { "     " } else { "" }));
    }

    /// Puts the code into the clipboard, if that was asked for. Nothing waits for it.
    fn copy(&mut self, code: &str) {
        if !self.look.copy {
            return;
        }
        match clipboard::way(self.understands && !self.json, &env) {
            None => self.note("--copy: there is no clipboard here, neither of a desktop nor of a terminal."),
            Some(Way::Terminal) => {
                self.put(&clipboard::request(code));
                self.note("The terminal was asked to copy the code (not every terminal does).");
            }
            Some(Way::Desktop) => {
                self.copying = true;
                let (tell, code) = (self.tells.clone(), code.to_owned());
                tokio::spawn(async move {
                    let _ = tell.send(Happening::Copied(clipboard::copy(code).await));
                });
            }
        }
    }

    /// Waits for Enter, if a browser that opens here is seen by the person. Whether it may be offered.
    fn offer(&mut self, address: &str) -> bool {
        let there_are_keys = self.input && io::stdin().is_terminal() && io::stderr().is_terminal();
        let wished = !self.look.no_open && (self.look.open || browser::would_be_seen(&env));
        let tell = self.tells.clone();
        if !wished || !there_are_keys || !keys::on_enter(move || drop(tell.send(Happening::Enter))) {
            return false;
        }
        self.to_open = Some(address.to_owned());
        true
    }

    /// Draws a QR code, if a camera can read it here, with words below; else other words alone.
    fn draw(&self, address: &str, below: &str, alone: &str) {
        match self.picture(address, below) {
            Ok(picture) => {
                self.put(&picture.text);
                self.say(below);
            }
            Err(why) => {
                self.say(&format!("No QR code: {why}."));
                self.say(alone);
            }
        }
    }

    fn picture(&self, address: &str, below: &str) -> Result<Picture, String> {
        if self.ascii {
            return Err("its characters are not in this locale (it is not UTF-8)".to_owned());
        }
        let (columns, rows) = size().ok_or("stderr is no terminal")?;
        let light = |colours: OsString| matches!(colours.to_string_lossy().rsplit(';').next(), Some("7" | "15"));
        let ground = match (self.escapes, env("COLORFGBG").is_some_and(light)) {
            (true, _) => Ground::Painted,
            (false, true) => Ground::Light,
            (false, false) => Ground::Dark,
        };
        let picture = qr::drawn(address, ground).ok_or("the address is too long for one")?;
        // All that stands below it, with the row of the countdown: what scrolls away cannot be photographed.
        let below = folded(below, columns, 0).lines().count().saturating_add(1);
        let (wide, high) = (picture.columns, picture.rows.saturating_add(below));
        if wide > columns || high > rows {
            return Err(format!("it needs {wide} columns and {high} rows, and the terminal has {columns} and {rows}"));
        }
        Ok(picture)
    }

    /// Keeps the terminal alive while others work: counts down, and acts on keys. Returns after each thing that it did, for ever
    /// to be called again; nothing is lost when it is dropped before.
    pub(crate) async fn attend(&mut self) {
        let due = self.countdown.as_ref().and_then(Countdown::due);
        let next_line = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(happening) = self.hears.recv() => self.happened(happening),
            () = next_line => self.tick(),
        }
    }

    pub(crate) fn has_shown_code(&self) -> bool {
        self.shown
    }

    /// Before the end of a run that does not wait: what was begun for the person is let come to its end.
    pub(crate) async fn settle(&mut self) {
        if self.copying {
            let _ = tokio::time::timeout(Duration::from_secs(1), self.attend()).await;
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Enter => {
                let Some(address) = self.to_open.take() else { return };
                if self.escapes && self.countdown.is_some() {
                    // The terminal went on to the next line: back to the one of the countdown, and nothing below it.
                    self.put("\u{1b}[A\r\u{1b}[J");
                }
                self.note("Opening the browser.");
                let tell = self.tells.clone();
                tokio::spawn(async move {
                    let _ = tell.send(Happening::Opened(browser::open(address, &env).await));
                });
            }
            Happening::Opened(Ok(())) => {}
            Happening::Opened(Err(why)) => {
                self.note(&format!("No browser could be opened here ({why}). Open the address yourself."));
            }
            Happening::Copied(Ok(())) => self.note("The code is in the clipboard."),
            Happening::Copied(Err(why)) => self.note(&format!("The code could not be copied to the clipboard: {why}.")),
        }
    }

    /// Says how long the code lives, when that is due.
    fn tick(&mut self) {
        let now = Instant::now();
        let Some(countdown) = &mut self.countdown else { return };
        if keys::is_in_foreground() {
            let line = countdown.line(now, columns());
            self.put(&line);
        } else {
            countdown.skip(now);
        }
    }

    /// Wipes the countdown, so that whatever comes next starts on a clean line. It is painted again afterwards.
    fn clear_line(&mut self) {
        if let Some(countdown) = &mut self.countdown {
            let wiped = countdown.wipe();
            countdown.again(Instant::now());
            self.put(&wiped);
        }
    }

    pub(crate) fn waiting(&mut self, wait: Duration, reason: WaitReason) -> Result<(), End> {
        let seconds = wait.saturating_add(Duration::from_millis(500)).as_secs().max(1);
        let (event, text) = match reason {
            WaitReason::Interval => return Ok(()),
            WaitReason::SlowDown { interval } => (
                JsonEvent::SlowDown { interval },
                format!("The server asks for fewer questions: asking every {interval} s from now on."),
            ),
            WaitReason::Backoff { cause, attempt } => (
                {
                    let (kind, status) = named(cause);
                    JsonEvent::Transient { kind, status, attempt, retry_in: seconds }
                },
                format!("No usable answer ({cause}); trying again in {seconds} s."),
            ),
            WaitReason::RetryAfter => {
                (JsonEvent::RetryAfter { retry_in: seconds }, format!("The server asks to wait {seconds} s."))
            }
        };
        if self.json {
            return self.event(event);
        }
        self.clear_line();
        self.say(&text);
        Ok(())
    }

    /// Why a code follows, when there was hope that none was needed.
    pub(crate) fn sign_in_needed(&mut self, reason: &SignInReason) -> Result<(), End> {
        if *reason == SignInReason::NotSignedIn {
            return Ok(());
        }
        if self.json {
            return self.event(JsonEvent::SignInNeeded { reason: reason.to_string() });
        }
        let text = reason.to_string();
        let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
        self.say(&format!("{}{rest}.\n", first.to_uppercase()));
        Ok(())
    }

    /// The result, on stdout.
    pub(crate) fn signed_in(
        &mut self,
        client: &Client,
        signed_in: &SignedIn,
        account: Option<&str>,
        storage: &'static str,
        profile: Option<&str>,
    ) -> Result<(), End> {
        let scope = signed_in.scopes().collect::<Vec<_>>().join(" ");
        let life = signed_in.expires_on().map(|end| end.saturating_since(today()));
        let response = signed_in.response();
        if self.json {
            return self.event(JsonEvent::Success {
                profile,
                account,
                scope,
                expires_at: signed_in.expires_on().map(when),
                storage,
                source: source(signed_in.source()),
                refreshable: signed_in.is_refreshable(),
            });
        }
        self.clear_line();
        let server = name(client.issuer().unwrap_or_else(|| client.token_endpoint()));
        let how = match signed_in.source() {
            TokenSource::Cache => " (stored earlier, still good)",
            TokenSource::Refresh => " (refreshed)",
            TokenSource::DeviceFlow | _ => "",
        };
        let mut text = format!("Signed in to {server}{how}\n");
        if let Some(account) = account {
            text += &format!("  account        {account}\n");
        }
        let life = match (signed_in.expires_on(), life) {
            (Some(end), Some(life)) => format!(", expires at {} (in {})", local(end), left(life)),
            _ => String::new(),
        };
        text += &format!("  access token   {}{life}\n", masked(signed_in.access_token().expose()));
        text += &match response.and_then(TokenResponse::refresh_token) {
            Some(refresh) => format!("  refresh token  {}\n", masked(refresh.expose())),
            None if signed_in.is_refreshable() => "  refresh token  stored\n".to_owned(),
            None => "  refresh token  none\n".to_owned(),
        };
        text += &format!("  scopes         {}\n", if scope.is_empty() { "not told by the server" } else { &scope });
        let missing = response.map(|response| response.missing_scopes().collect::<Vec<_>>().join(" "));
        if let Some(missing) = missing.filter(|missing| !missing.is_empty()) {
            text += &format!("  not granted    {missing}\n");
        }
        self.result(&self.shown(&text))
    }

    /// A result: one JSON object with these fields, or this text, on stdout.
    pub(crate) fn tell<T: Serialize>(&mut self, event: &str, fields: &T, text: &str) -> Result<(), End> {
        if self.json {
            return self.line(&Told { v: 1, event, fields });
        }
        self.clear_line();
        self.result(&self.shown(&harmless(text)))
    }

    /// What another program wants to have: on stdout as it is.
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), End> {
        self.clear_line();
        self.result(text)
    }

    /// A remark for a person. Programs are told in events.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.json {
            self.clear_line();
            self.say(&one_line(text));
        }
    }

    pub(crate) fn server(&mut self, base_url: &str, live_url: &str, text: &str) -> Result<(), End> {
        if self.json {
            return self.event(JsonEvent::Server { base_url, live_url });
        }
        self.say(text);
        Ok(())
    }

    /// The last word of a run that did not succeed.
    pub(crate) fn failed(&mut self, end: &End) {
        // Whoever closed our stdout does not want to hear of it (a closed pipe is no error to tell).
        if matches!(end, End::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return;
        }
        let (exit, code, retryable) = end.facts();
        if self.json {
            let _ = self.event(JsonEvent::Error { code, exit, message: end.to_string(), retryable });
            return;
        }
        self.clear_line();
        if io::stderr().is_terminal() {
            // Over the ^C that the terminal shows.
            self.put("\r");
        }
        self.say(&harmless(&format!("device-flow: {end}")));
    }

    fn event(&self, event: JsonEvent<'_>) -> Result<(), End> {
        self.line(&Line { v: 1, event })
    }

    fn line(&self, line: &impl Serialize) -> Result<(), End> {
        let line = serde_json::to_string(line).map_err(|error| End::Internal(error.to_string()))?;
        self.result(&(line + "\n"))
    }

    /// Flushed at once: who reads it wants to act on it now.
    fn result(&self, text: &str) -> Result<(), End> {
        let mut stdout = io::stdout();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(End::Output)
    }

    /// One or more whole lines for a person, broken between words where the terminal ends.
    fn say(&self, text: &str) {
        let text = self.shown(text);
        self.put(&(columns().map_or_else(|| text.clone(), |columns| folded(&text, columns, 0)) + "\n"));
    }

    fn put(&self, text: &str) {
        let mut stderr = io::stderr();
        // Nothing is left to tell a failure on.
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }

    fn strong(&self, text: &str) -> String {
        if self.bold { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// In a locale without UTF-8 other letters are escaped, so that they can at least be told apart.
    fn shown(&self, text: &str) -> String {
        if !self.ascii {
            return text.to_owned();
        }
        let escape = |c: char| if c.is_ascii() { c.to_string() } else { c.escape_unicode().to_string() };
        text.chars().map(escape).collect()
    }
}

/// A mistake on the command line, for whoever reads lines of JSON.
pub(crate) fn mistake(text: &str) {
    let error = JsonEvent::Error { code: "usage", exit: 2, message: one_line(text), retryable: false };
    if let Ok(line) = serde_json::to_string(&Line { v: 1, event: error }) {
        let _ = writeln!(io::stdout(), "{line}");
    }
}

/// What a store has to say on the way, whoever prints what at that moment.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "device-flow: warning: {text}");
}

/// What the environment says, unless it is empty.
fn env(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// How many columns and rows the terminal has, if there is one. (Some have not been told theirs, and say 0.)
fn size() -> Option<(usize, usize)> {
    let (columns, rows) = terminal_size::terminal_size_of(io::stderr())?;
    Some((columns.0.into(), rows.0.into())).filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

fn columns() -> Option<usize> {
    size().map(|(columns, _)| columns)
}

#[cfg(unix)]
fn leads_nowhere() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path| std::fs::metadata(path).ok().map(|metadata| metadata.rdev());
    let stderr = device("/dev/fd/2");
    stderr.is_none() || stderr == device("/dev/null")
}

#[cfg(not(unix))]
fn leads_nowhere() -> bool {
    false
}

/// Where the lines of `-v` go, each written whole: on stderr, harmless and one line whatever is in it.
pub(crate) fn log_writer() -> impl io::Write {
    LogWriter
}

struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // In one piece, and without a word if nobody can hear it.
        let _ = io::stderr().write_all((one_line(&String::from_utf8_lossy(line)) + "\n").as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
