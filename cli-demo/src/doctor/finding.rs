//! Owns findings: what they are, how they are printed, and which exit code they lead to.

use crate::run_error::RunError;
use crate::terminal::Terminal;
use serde::Serialize;

/// What was checked, what was found, and what to do about it.
#[derive(Serialize)]
pub(super) struct Finding {
    check: &'static str,
    status: Status,
    message: String,
    remedy: Option<String>,
    #[serde(skip)]
    exit: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warn,
    Fail,
    Skipped,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, message: message.into(), remedy: None, exit: 0 }
    }

    pub(super) fn warn(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Warn, remedy: Some(remedy.into()), ..Self::ok(check, message) }
    }

    /// `exit`: the exit code, if this is the first failure.
    pub(super) fn fail(check: &'static str, exit: u8, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Fail, exit, ..Self::warn(check, message, remedy) }
    }

    /// A run that failed: what the core advises about it, or else this, and what may come on top of that.
    pub(super) fn failed(check: &'static str, error: &RunError, otherwise: &str, besides: &str) -> Self {
        let (message, advice) = error.with_advice_apart();
        let remedy = advice.unwrap_or_else(|| otherwise.to_owned());
        let remedy = [&*remedy, besides].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
        Self::fail(check, error.exit_status(), message, remedy)
    }

    pub(super) fn skipped(check: &'static str, because: &str) -> Self {
        Self { status: Status::Skipped, ..Self::ok(check, format!("skipped because {because}")) }
    }

    fn text(&self) -> String {
        let mark = match self.status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
            Status::Skipped => "skip",
        };
        let end = if self.message.ends_with(['.', '?', '!']) { "" } else { "." };
        let remedy = self.remedy.as_ref().map_or_else(String::new, |remedy| format!("{end} {remedy}"));
        // The mark says so already.
        let message = self.message.strip_prefix("skipped ").unwrap_or(&self.message);
        let line = format!("{mark:<5} {:<11} {message}{remedy}", self.check);
        line.replace('\n', " ") + "\n"
    }
}

/// Prints each finding as it comes, and sums up.
pub(super) struct Report<'a> {
    pub(super) terminal: &'a mut Terminal,
    ok: usize,
    warnings: usize,
    skipped: usize,
    /// The checks that failed, and the exit code of the first of them.
    failed: Vec<&'static str>,
    exit: u8,
}

/// The last line when nothing failed.
#[derive(Serialize)]
struct Healthy {
    ok: usize,
    warnings: usize,
    skipped: usize,
}

impl<'a> Report<'a> {
    pub(super) fn new(terminal: &'a mut Terminal) -> Self {
        Self { terminal, ok: 0, warnings: 0, skipped: 0, failed: Vec::new(), exit: 0 }
    }

    /// Returns whether checks that depend on this one can go on.
    pub(super) fn add(&mut self, finding: Finding) -> Result<bool, RunError> {
        match finding.status {
            Status::Ok => self.ok += 1,
            Status::Warn => self.warnings += 1,
            Status::Skipped => self.skipped += 1,
            Status::Fail => {
                if self.failed.is_empty() {
                    self.exit = finding.exit;
                }
                self.failed.push(finding.check);
            }
        }
        self.terminal.result("finding", &finding, &finding.text())?;
        Ok(matches!(finding.status, Status::Ok | Status::Warn))
    }

    /// For a check that may have to ask something.
    pub(super) fn terminal(&mut self) -> &mut Terminal {
        self.terminal
    }

    pub(super) fn finish(self) -> Result<(), RunError> {
        let Self { terminal, ok, warnings, skipped, failed, exit } = self;
        if !failed.is_empty() {
            return Err(RunError::ChecksFailed { exit, failed: failed.join(", ") });
        }
        let text = match warnings {
            0 => "Nothing is wrong.\n".to_owned(),
            1 => "Nothing failed; there is 1 warning.\n".to_owned(),
            _ => format!("Nothing failed; there are {warnings} warnings.\n"),
        };
        terminal.result("healthy", &Healthy { ok, warnings, skipped }, &text)
    }
}
