//! Owns everything that is printed: results on stdout, what a person needs to see on stderr, or JSON lines on stdout.

use crate::args::{Global, Progress, PromptOptions};
use crate::run_error::RunError;
use clipboard::Clipboard;
use countdown::{Countdown, Display};
use device_flow_tokio::{Client, Failure, Prompt, SignInReason, SignedIn, WaitReason};
use json::{CustomLine, JsonEvent, Line, cause_name, source_name};
#[cfg(unix)]
pub(crate) use keys::is_in_foreground_of_its_terminal;
use screen::Screen;
pub(crate) use screen::result_columns;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;
pub(crate) use summary::Kept;
use summary::Scopes;
pub(crate) use text::folded;
use text::{after, harmless, name, one_line};
pub(crate) use text::{left, local, today, when};
use tokio::sync::mpsc;
use tokio::time::Instant;
use zeroize::Zeroizing;

mod browser;
mod clipboard;
mod countdown;
mod json;
mod keys;
mod qr;
mod screen;
mod summary;
mod text;

/// Where to print, and in which form.
pub(crate) struct Terminal {
    json: bool,
    screen: Screen,
    display: Display,
    reads_keys: bool,
    options: PromptOptions,
    countdown: Option<Countdown>,
    /// A copy to the clipboard is under way.
    copying: bool,
    has_shown_code: bool,
    results_to_stderr: bool,
    /// What Enter opens, once.
    to_open: Option<String>,
    ui_sender: mpsc::UnboundedSender<UiEvent>,
    ui_events: mpsc::UnboundedReceiver<UiEvent>,
}

/// What happens beside the sign-in, which waits for none of it.
enum UiEvent {
    EnterPressed,
    BrowserOpened(Result<(), String>),
    CodeCopied(Result<(), String>),
}

impl Terminal {
    pub(crate) fn new(global: &Global) -> Self {
        let display = match global.progress {
            Progress::None => Display::Silent,
            Progress::Plain => Display::EveryMinute,
            Progress::Auto if !io::stderr().is_terminal() => Display::Once,
            Progress::Auto if screen::is_dumb() || screen::env("ACCESSIBLE").is_some() => Display::EveryMinute,
            Progress::Auto => Display::Repaint,
        };
        let (ui_sender, ui_events) = mpsc::unbounded_channel();
        Self {
            json: global.json,
            screen: Screen::new(global.color),
            display,
            reads_keys: !global.no_input,
            options: PromptOptions::default(),
            countdown: None,
            copying: false,
            has_shown_code: false,
            results_to_stderr: false,
            to_open: None,
            ui_sender,
            ui_events,
        }
    }

    pub(crate) fn set_prompt_options(&mut self, options: PromptOptions) {
        self.options = options;
    }

    /// Whether somebody could see a code.
    pub(crate) fn can_be_seen(&self) -> bool {
        self.json || !screen::is_invisible()
    }

    pub(crate) fn has_shown_code(&self) -> bool {
        self.has_shown_code
    }

    /// `resume_id`: with which another run can finish the sign-in. `waits`: whether this run waits for it.
    pub(crate) fn show_code(
        &mut self,
        client: &Client,
        prompt: &Prompt,
        lifetime: Duration,
        resume_id: Option<&str>,
        waits: bool,
    ) -> Result<(), RunError> {
        self.has_shown_code = true;
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
        self.write_instructions(client, prompt);
        self.copy(prompt.user_code());
        let address = prompt.verification_uri_complete().unwrap_or_else(|| prompt.verification_uri());
        let keys = match waits {
            false => "",
            true if self.offer_browser(address) => "Press Enter to open the browser here, Ctrl-C to cancel.",
            true => "Press Ctrl-C to cancel.",
        };
        if self.options.qr {
            let and = if prompt.verification_uri_complete().is_some() { "check that it shows" } else { "enter" };
            // The code once more: the one above may have scrolled away.
            let below = format!("Scan it with a phone, and {and} the code {}\n{keys}", prompt.user_code());
            self.screen.draw_qr(address, below.trim_end(), keys);
        } else if waits {
            self.screen.say(keys);
        }
        if waits {
            let countdown = Countdown::new(self.display, self.screen.uses_escapes, Instant::now(), lifetime);
            self.countdown = Some(countdown);
            self.tick();
        }
        Ok(())
    }

    fn write_instructions(&self, client: &Client, prompt: &Prompt) {
        let screen = &self.screen;
        let server = name(client.issuer().unwrap_or_else(|| client.device_authorization_endpoint()));
        let scopes = if client.scope().is_empty() { String::new() } else { format!("   (scopes: {})", client.scope()) };
        screen.say(&format!("Sign in to {server} as client \"{}\"{scopes}\n", client.client_id()));
        screen.labelled("  1. On any device, open   ", prompt.verification_uri());
        screen.labelled("  2. Enter the code        ", prompt.user_code());
        screen.say("");
        if let Some(complete) = prompt.verification_uri_complete() {
            screen.say(&format!("  or open  {complete}  and check that it shows the same code.\n"));
        }
        if let Some(message) = prompt.message() {
            screen.say(&format!("The server says: {message}\n"));
        }
        prompt.warnings().for_each(|warning| screen.say(&format!("Note: {warning}.")));
        screen.say(
            "You started this sign-in. Never enter a code that someone sent you, and never send this one to anyone.",
        );
    }

    /// Copies the code to the clipboard, if that was asked for. Nothing waits for it.
    fn copy(&mut self, code: &str) {
        if !self.options.copy {
            return;
        }
        match clipboard::reachable(self.screen.understands_escapes && !self.json, &screen::env) {
            None => self.note("--copy: there is no clipboard here, neither of a desktop nor of a terminal."),
            Some(Clipboard::OfTerminal) => {
                self.screen.put(&clipboard::osc_52(code));
                self.note("The terminal was asked to copy the code (not every terminal does).");
            }
            Some(Clipboard::OfDesktop) => {
                self.copying = true;
                let (sender, code) = (self.ui_sender.clone(), code.to_owned());
                tokio::spawn(async move {
                    let _ = sender.send(UiEvent::CodeCopied(clipboard::copy(code).await));
                });
            }
        }
    }

    /// Waits for Enter, if a browser that opens here would be seen by the person. Returns whether it may be offered.
    fn offer_browser(&mut self, address: &str) -> bool {
        let is_wanted = !self.options.no_open && (self.options.open || browser::would_be_seen(&screen::env));
        let sender = self.ui_sender.clone();
        if !is_wanted || !self.can_ask() || !keys::on_enter(move || drop(sender.send(UiEvent::EnterPressed))) {
            return false;
        }
        self.to_open = Some(address.to_owned());
        true
    }

    /// Whether there is a person who can be asked something.
    pub(crate) fn can_ask(&self) -> bool {
        !self.json && self.reads_keys && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// The answer to a question, without spaces around it; `None`: there is nobody to ask, or nobody answers.
    pub(crate) async fn ask(&mut self, question: &str) -> Option<String> {
        Some(self.asked(question, false).await?.trim().to_owned())
    }

    /// The same for a secret, which is not shown while it is typed.
    pub(crate) async fn ask_secret(&mut self, question: &str) -> Option<Zeroizing<String>> {
        self.asked(question, true).await
    }

    async fn asked(&mut self, question: &str, hidden: bool) -> Option<Zeroizing<String>> {
        if !self.can_ask() {
            return None;
        }
        let answer = keys::Answer::expect(hidden)?;
        self.clear_line();
        let question = self.screen.encoded(question);
        // With room for the space after it and the first letter of an answer.
        let columns = screen::columns().map(|columns| columns.saturating_sub(2));
        let question = columns.map_or_else(|| question.clone(), |columns| folded(&question, columns, 0));
        self.screen.put(&(question + " "));
        answer.line().await
    }

    /// For a person, before a question.
    pub(crate) fn say(&mut self, text: &str) {
        self.clear_line();
        self.screen.say(text);
    }

    /// Keeps the terminal alive while others work: counts down, and reacts to keys. It returns after each thing that it
    /// did and must then be called again; dropping it in between loses nothing.
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
            Some(event) = self.ui_events.recv() => self.react(event),
            () = next_line => self.tick(),
        }
    }

    /// Before the end of a run that does not wait: gives a copy to the clipboard time to finish.
    pub(crate) async fn settle(&mut self) {
        if self.copying {
            let _ = tokio::time::timeout(Duration::from_secs(1), self.attend()).await;
        }
    }

    fn react(&mut self, event: UiEvent) {
        match event {
            UiEvent::EnterPressed => {
                let Some(address) = self.to_open.take() else { return };
                if self.screen.uses_escapes && self.countdown.is_some() {
                    // Enter moved the cursor to the next line: back to the line of the countdown, and clear below it.
                    self.screen.put("\u{1b}[A\r\u{1b}[J");
                }
                self.note("Opening the browser.");
                let sender = self.ui_sender.clone();
                tokio::spawn(async move {
                    let _ = sender.send(UiEvent::BrowserOpened(browser::open(address, &screen::env).await));
                });
            }
            UiEvent::BrowserOpened(Ok(())) => {}
            UiEvent::BrowserOpened(Err(why)) => {
                self.note(&format!("No browser could be opened here ({why}). Open the address yourself."));
            }
            UiEvent::CodeCopied(Ok(())) => self.note("The code is in the clipboard."),
            UiEvent::CodeCopied(Err(why)) => {
                self.note(&format!("The code could not be copied to the clipboard: {why}."));
            }
        }
    }

    /// Writes the countdown, when that is due.
    fn tick(&mut self) {
        let now = Instant::now();
        let Some(countdown) = &mut self.countdown else { return };
        if keys::is_in_foreground() {
            let line = countdown.line(now, screen::columns());
            self.screen.put(&line);
        } else {
            countdown.skip(now);
        }
    }

    /// Clears the countdown, so that whatever comes next starts on a clean line. It is painted again afterwards.
    fn clear_line(&mut self) {
        if let Some(countdown) = &mut self.countdown {
            let cleared = countdown.clear();
            countdown.repaint_at(Instant::now());
            self.screen.put(&cleared);
        }
    }

    /// `said`: the words of the server, or of the transport, about what failed.
    pub(crate) fn waiting(&mut self, wait: Duration, reason: WaitReason, said: Option<&str>) -> Result<(), RunError> {
        let seconds = wait.saturating_add(Duration::from_millis(500)).as_secs().max(1);
        let (event, text) = match reason {
            WaitReason::Interval => return Ok(()),
            WaitReason::SlowDown { interval } => (
                JsonEvent::SlowDown { interval },
                format!("The server asked to slow down: polling every {interval} s from now on."),
            ),
            WaitReason::Backoff { cause, attempt } => (
                {
                    let (kind, status) = cause_name(cause);
                    JsonEvent::Transient { kind, status, said, attempt, retry_in: seconds }
                },
                match said {
                    Some(said) => format!("No usable answer ({cause}: {said}); trying again in {seconds} s."),
                    None => format!("No usable answer ({cause}); trying again in {seconds} s."),
                },
            ),
            WaitReason::RetryAfter => {
                (JsonEvent::RetryAfter { retry_in: seconds }, format!("The server asked to wait {seconds} s."))
            }
        };
        if self.json {
            return self.event(event);
        }
        self.clear_line();
        self.screen.say(&text);
        Ok(())
    }

    /// Why a code follows, although somebody was signed in before.
    pub(crate) fn sign_in_needed(&mut self, reason: &SignInReason) -> Result<(), RunError> {
        if *reason == SignInReason::NotSignedIn {
            return Ok(());
        }
        self.code_needed(reason.to_string())
    }

    /// The same after a refresh that the server refuses.
    pub(crate) fn refresh_refused(&mut self, failure: &Failure) -> Result<(), RunError> {
        self.code_needed(format!("sign in again: {failure}"))
    }

    fn code_needed(&mut self, text: String) -> Result<(), RunError> {
        if self.json {
            return self.event(JsonEvent::SignInNeeded { reason: text });
        }
        let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
        self.screen.say(&format!("{}{rest}.\n", first.to_uppercase()));
        Ok(())
    }

    /// The result, on stdout.
    pub(crate) fn signed_in(
        &mut self,
        client: &Client,
        signed_in: &SignedIn,
        account: Option<&str>,
        kept: &Kept<'_>,
    ) -> Result<(), RunError> {
        if self.json {
            let Scopes { missing, added } = Scopes::of(signed_in);
            return self.event(JsonEvent::Success {
                profile: kept.profile,
                account,
                scope: signed_in.scopes().collect::<Vec<_>>().join(" "),
                missing_scopes: missing,
                added_scopes: added,
                expires_at: signed_in.expires_on().map(when),
                storage: kept.storage,
                source: source_name(signed_in.source()),
                refreshable: signed_in.is_refreshable(),
            });
        }
        self.clear_line();
        self.write_result(&self.screen.encoded(&summary::summary(client, signed_in, account, kept)))
    }

    /// A result: one JSON object with these fields, or this text, on stdout.
    pub(crate) fn result<T: Serialize>(&mut self, event: &str, fields: &T, text: &str) -> Result<(), RunError> {
        if self.json {
            return write_line(&CustomLine { v: 1, event, fields });
        }
        self.clear_line();
        self.write_result(&self.screen.encoded(&harmless(text)))
    }

    /// From now on results go to stderr, since another program reads stdout, in its own format.
    pub(crate) fn leaves_stdout_to_a_program(&mut self) {
        self.results_to_stderr = true;
    }

    /// For a person: between words where the terminal's lines end.
    fn write_result(&self, text: &str) -> Result<(), RunError> {
        if self.results_to_stderr {
            self.screen.say(text.trim_end());
            return Ok(());
        }
        match result_columns() {
            Some(columns) => write_stdout(&folded(text, columns, 2)),
            None => write_stdout(text),
        }
    }

    /// What another program reads: on stdout, unchanged.
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), RunError> {
        self.clear_line();
        write_stdout(text)
    }

    /// A remark for a person. (Programs read events.)
    pub(crate) fn note(&mut self, text: &str) {
        if !self.json {
            self.clear_line();
            self.screen.say(&one_line(text));
        }
    }

    pub(crate) fn server(&mut self, base_url: &str, live_url: &str, text: &str) -> Result<(), RunError> {
        if self.json {
            return self.event(JsonEvent::Server { base_url, live_url });
        }
        self.screen.say(text);
        Ok(())
    }

    /// The last line of a run that did not succeed.
    pub(crate) fn failed(&mut self, error: &RunError) {
        // A reader that closed the pipe does not want to hear about it.
        let is_closed = matches!(error, RunError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe);
        if is_closed || matches!(error, RunError::AlreadyTold(_)) {
            return;
        }
        let (exit, code, retryable) = error.row();
        if self.json {
            let _ = self.event(JsonEvent::Error { code, exit, message: error.to_string(), retryable });
            return;
        }
        self.clear_line();
        if io::stderr().is_terminal() {
            // Over the ^C that the terminal shows.
            self.screen.put("\r");
        }
        self.screen.say(&harmless(&format!("device-flow: {error}")));
    }

    fn event(&self, event: JsonEvent<'_>) -> Result<(), RunError> {
        write_line(&Line { v: 1, event })
    }
}

fn write_line(line: &impl Serialize) -> Result<(), RunError> {
    let line = serde_json::to_string(line).map_err(|error| RunError::Internal(error.to_string()))?;
    write_stdout(&(line + "\n"))
}

/// Flushed at once: its reader may be waiting for it.
fn write_stdout(text: &str) -> Result<(), RunError> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(RunError::Output)
}

/// Help, or a mistake on the command line. What is wider than the terminal is broken between words.
pub(crate) fn print_usage(text: &str, is_mistake: bool) {
    let columns = if is_mistake { screen::columns() } else { screen::result_columns() };
    let text = columns.map_or_else(|| text.to_owned(), |columns| folded(text, columns, 4));
    // There is no other place to report a failure.
    if is_mistake {
        let _ = io::stderr().write_all(text.as_bytes());
    } else {
        let _ = write_stdout(&text);
    }
}

/// A mistake on the command line, as a JSON line.
pub(crate) fn usage_error(text: &str) {
    let error = JsonEvent::Error { code: "usage", exit: 2, message: one_line(text), retryable: false };
    let _ = write_line(&Line { v: 1, event: error });
}

/// What another program reads, before the options are known.
pub(crate) fn answer(text: &str) {
    // Where it does not hear this, it hears of no error either.
    let _ = write_stdout(text);
}

/// A mistake in this program: the place of it alone, since its words might hold what nobody may see.
pub(crate) fn crashed(place: Option<&std::panic::Location<'_>>) {
    let place = place.map_or_else(String::new, |place| format!(" ({place})"));
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(
        io::stderr(),
        "device-flow: this is a mistake in device-flow {version}{place}. Please report it, with what you typed."
    );
    std::process::exit(1);
}

/// A store's warning, which may come at any moment and from any thread.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "device-flow: warning: {text}");
}

/// Where the lines of `-v` go: to stderr, each in one piece and without characters that a terminal would act on.
pub(crate) fn log_writer() -> impl io::Write {
    LogWriter
}

struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // In one piece; a log that nobody can read is no failure.
        let _ = io::stderr().write_all((one_line(&String::from_utf8_lossy(line)) + "\n").as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
