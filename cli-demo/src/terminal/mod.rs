//! Owns everything that is printed: results on stdout, what a person needs to see on stderr, or JSON lines on stdout.

use crate::args::{Color, Global, Progress};
use crate::end::End;
use device_flow_tokio::core::{
    Client, Prompt, SignInReason, SignedIn, TokenResponse, TokenSource, WaitReason, Warning,
};
use event::{JsonEvent, Line, Told, named, source};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};
use text::{after, harmless, masked, name, one_line, wrapped};
pub(crate) use text::{left, local, today, when};

mod event;
mod text;

/// Where to print, and in which form.
pub(crate) struct Terminal {
    json: bool,
    bold: bool,
    ascii: bool,
    progress: Progress,
    /// The end of the code and the length of the line that counts down to it.
    countdown: Option<(Instant, usize)>,
}

impl Terminal {
    pub(crate) fn new(global: &Global) -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        let is_terminal = io::stderr().is_terminal();
        let bold = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR").is_some() || dumb => false,
            Color::Auto => is_terminal || set("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
        };
        let plain = !is_terminal || dumb || set("ACCESSIBLE").is_some();
        let progress = if plain && global.progress == Progress::Auto { Progress::Plain } else { global.progress };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let ascii = locale.is_some_and(|locale| {
            let locale = locale.to_string_lossy().to_ascii_lowercase();
            !locale.contains("utf-8") && !locale.contains("utf8")
        });
        Self { json: global.json, bold, ascii, progress, countdown: None }
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
        if self.json {
            return self.event(JsonEvent::DeviceCode {
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
            });
        }
        let server = name(client.issuer().unwrap_or_else(|| client.device_authorization_endpoint()));
        let scopes = if client.scope().is_empty() { String::new() } else { format!("   (scopes: {})", client.scope()) };
        self.say(&format!("Sign in to {server} as client \"{}\"{scopes}\n", client.client_id()));
        self.say(&format!("  1. On any device, open   {}", self.strong(prompt.verification_uri())));
        self.say(&format!("  2. Enter the code        {}\n", self.strong(prompt.user_code())));
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
        if !waits {
            return Ok(());
        }
        self.say("Press Ctrl-C to cancel.");
        match self.progress {
            Progress::None => {}
            Progress::Plain => {
                let clock = after(lifetime).to_zoned(TimeZone::system()).strftime("%H:%M").to_string();
                self.say(&format!("Waiting for approval: code expires at {clock} (in {})", left(lifetime)));
            }
            Progress::Auto => {
                self.countdown = Instant::now().checked_add(lifetime).map(|end| (end, 0));
                self.tick();
            }
        }
        Ok(())
    }

    fn warn(&self, warning: Warning) {
        self.say(&format!("Note: {warning}."));
    }

    /// Repaints the countdown: a carriage return and spaces do, so no terminal needs to understand more.
    pub(crate) fn tick(&mut self) {
        let Some((end, painted)) = &mut self.countdown else { return };
        let left_over = end.saturating_duration_since(Instant::now());
        let clock = after(left_over).to_zoned(TimeZone::system()).strftime("%H:%M").to_string();
        let long = format!("Waiting for approval: code expires at {clock} ({} left)", left(left_over));
        let line =
            if long.len() < columns().unwrap_or(80) { long } else { format!("Waiting, {} left", left(left_over)) };
        let padding = " ".repeat(painted.saturating_sub(line.len()));
        *painted = line.len();
        let mut stderr = io::stderr();
        // A terminal that is gone cannot be told so.
        let _ = write!(stderr, "\r{line}{padding}\r").and_then(|()| stderr.flush());
    }

    /// Whether [`tick`](Terminal::tick) has something to repaint.
    pub(crate) fn counts_down(&self) -> bool {
        self.countdown.is_some()
    }

    /// Wipes the countdown, so that whatever comes next starts on a clean line.
    fn clear_line(&mut self) {
        if let Some((_, painted)) = &mut self.countdown {
            let mut stderr = io::stderr();
            let _ = write!(stderr, "\r{}\r", " ".repeat(*painted)).and_then(|()| stderr.flush());
            *painted = 0;
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
        self.tick();
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
            let text = one_line(text);
            self.say(&columns().map_or_else(|| text.clone(), |columns| wrapped(&text, columns)));
        }
    }

    pub(crate) fn server(&mut self, base_url: &str, text: &str) -> Result<(), End> {
        if self.json {
            return self.event(JsonEvent::Server { base_url });
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
        self.say(&format!("device-flow: {end}"));
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

    fn say(&self, text: &str) {
        // Nothing is left to tell a failure on.
        let _ = writeln!(io::stderr(), "{}", self.shown(text));
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

/// What a store has to say on the way, whoever prints what at that moment.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "device-flow: warning: {text}");
}

/// How wide the terminal is, if there is one.
fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| width.0.into())
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
