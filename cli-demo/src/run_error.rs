//! Owns the errors that end a run: one table from a cause to its exit code, its name in JSON and its message.

use crate::config::{is_not_ours_to_write, no_place_for};
use crate::remedy;
use crate::shell::word;
use device_flow_tokio::{
    ConfigError, Failure, HttpError, ProtocolFault, SignInError, SignInReason, Stopped, StoreError, TransportErrorKind,
};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Why a run ended without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The command line, or a file that it names, is wrong.
    #[error("{0}")]
    Usage(String),
    #[error("{0}{hint}", hint = hint(.0))]
    Failed(#[from] Failure),
    /// Only a person can help, and this sub-command shows no code.
    #[error("{failure} (to sign in: {how})")]
    SignInNeeded { failure: Box<Failure>, how: String },
    /// Somebody is signed in, but the access token cannot be replaced without them.
    #[error(
        "there is no refresh token, so {access_token} (to sign in again: {how}; some servers issue a refresh token only for \
         the scope offline_access)"
    )]
    NoRefreshToken { access_token: String, how: String },
    /// The server refuses the refresh, and not only for now.
    #[error("{failure} (to sign in again, with a code: {how})")]
    RefreshRefused { failure: Box<Failure>, how: String },
    /// Another run shows a code for the same sign-in.
    #[error("{0}")]
    AlreadyWaiting(String),
    /// The run was ended while it stored the tokens of a sign-in, and has stored them.
    #[error("{0}; but the sign-in was complete, and its tokens are stored")]
    EndedSignedIn(Box<RunError>),
    /// The run was ended after a sign-out here, before the server had revoked the tokens.
    #[error(
        "{0}: the tokens are removed here, but the server has not revoked them yet. They are remembered until it has: run \
         `device-flow logout` again"
    )]
    NotYetRevoked(Box<RunError>),
    /// Tokens could not be read or stored.
    #[error("{0}")]
    Storage(String),
    #[error("nobody approved the sign-in within {} s (--timeout)", .0.as_secs())]
    TimedOut(Duration),
    /// The time was up before there was a code to approve.
    #[error("no code came within {} s (--timeout): the server was not reached or was too slow", .0.as_secs())]
    NoCode(Duration),
    /// There is no token of the kind that was asked for.
    #[error("{text}")]
    NoToken { exit: u8, text: String },
    /// The command of `run` could not be started.
    #[error("{text}")]
    NotStarted { exit: u8, text: String },
    /// What there is to say was said in the way that another program expects, or by the command of `run` itself.
    #[error("ended with {0}")]
    AlreadyTold(u8),
    /// Of a sign-in that an earlier run began.
    #[error("the code of the sign-in {0} has expired: start again to get a new one")]
    CodeExpired(String),
    /// The run has ended, the sign-in has not.
    #[error("{error}. To resume: {how}")]
    Resumable { error: Box<RunError>, how: String },
    #[error("nobody could see the code, since stderr is closed or /dev/null: connect it to a terminal, or use --json")]
    NobodyCanSee,
    /// What `doctor` found; it was reported already.
    #[error("failed: {failed}")]
    ChecksFailed { exit: u8, failed: String },
    #[error("cancelled")]
    Interrupted,
    #[error("terminated")]
    Terminated,
    #[error("{0}")]
    Internal(String),
    /// A closed pipe is not reported: its reader went away on purpose.
    #[error("the output could not be written: {0}")]
    Output(std::io::Error),
}

impl RunError {
    /// A file that an option names.
    pub(crate) fn unreadable(flag: &str, file: &Path, error: &std::io::Error) -> Self {
        Self::Usage(format!("{flag} {}: {error}", file.display()))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_status())
    }

    /// The exit code as a number.
    pub(crate) fn exit_status(&self) -> u8 {
        self.row().0
    }

    /// What happened, and what the core advises, if it does: as a sentence. Together they are the text.
    pub(crate) fn with_advice_apart(&self) -> (String, Option<String>) {
        let text = self.to_string();
        let advice = if let Self::Failed(failure) = self { failure.advice() } else { None };
        let apart = advice.and_then(|advice| Some((text.strip_suffix(advice)?.strip_suffix(" - ")?, sentence(advice))));
        match apart {
            Some((happened, advice)) => (happened.to_owned(), Some(advice)),
            None => (text, None),
        }
    }

    /// The exit code, the name in JSON, and whether the same command may succeed later.
    pub(crate) fn row(&self) -> (u8, &str, bool) {
        match self {
            Self::Usage(_) => (2, "usage", false),
            Self::Storage(_) => (8, "storage", false),
            Self::NobodyCanSee => (9, "interaction_required", false),
            Self::TimedOut(_) => (5, "timeout", true),
            Self::NoCode(_) => (6, "timeout", true),
            Self::NoToken { exit, .. } => (*exit, "no_token", false),
            Self::ChecksFailed { exit, .. } => (*exit, "unwell", false),
            Self::NotStarted { exit, .. } => (*exit, "not_started", false),
            Self::AlreadyTold(exit) => (*exit, "told", false),
            Self::CodeExpired(_) => (5, "expired", true),
            Self::Resumable { error, .. } => error.row(),
            Self::Interrupted => (130, "cancelled", false),
            Self::Terminated => (143, "terminated", false),
            Self::Internal(_) | Self::Output(_) => (1, "internal", false),
            Self::Failed(failure) => row_of_failure(failure),
            Self::SignInNeeded { failure, .. } | Self::RefreshRefused { failure, .. } => row_of_failure(failure),
            Self::NoRefreshToken { .. } => (4, "no_refresh_token", false),
            Self::AlreadyWaiting(_) => (4, "already_waiting", true),
            Self::EndedSignedIn(error) | Self::NotYetRevoked(error) => error.row(),
        }
    }
}

fn row_of_failure(failure: &Failure) -> (u8, &str, bool) {
    let (exit, code) = match failure {
        Failure::Cancelled => (130, "cancelled"),
        Failure::Denied(error) => (3, error.code()),
        Failure::SignInNeeded(SignInReason::Refused(error)) => (4, error.code()),
        Failure::SignInNeeded(_) => (4, "sign_in_needed"),
        Failure::WhichAccount(_) => (2, "which_account"),
        Failure::Expired(_) => (5, "expired"),
        Failure::Rejected(error) => (7, error.code()),
        Failure::Protocol(error) if matches!(error.fault, ProtocolFault::Unavailable(_)) => (6, "server_unavailable"),
        Failure::Protocol(_) => (7, "protocol"),
        Failure::Transport(error) if error.kind() == TransportErrorKind::UntrustedCertificate => {
            (6, "untrusted_certificate")
        }
        Failure::Transport(_) => (6, "network"),
        // A kind of failure that this version does not know.
        _ => (1, "internal"),
    };
    (exit, code, failure.is_retryable())
}

/// A clause as a sentence.
fn sentence(clause: &str) -> String {
    let (first, rest) = clause.split_at(clause.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}.", first.to_uppercase())
}

/// The option that helps, or what else does.
fn hint(failure: &Failure) -> String {
    if matches!(failure, Failure::WhichAccount(_)) {
        return " (--account NAME)".to_owned();
    }
    remedy::of(failure).map_or_else(String::new, |remedy| format!(". {}", remedy.trim_end_matches('.')))
}

impl From<Stopped> for RunError {
    fn from(stopped: Stopped) -> Self {
        if let Stopped::Failed(failure) = stopped { Self::Failed(failure) } else { Self::Internal(stopped.to_string()) }
    }
}

impl From<SignInError> for RunError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Stopped(stopped) => stopped.into(),
            SignInError::Entropy(_) => Self::Internal(error.to_string()),
            SignInError::Store(error) if matches!(*error, StoreError::NoHome) => no_place_for("tokens"),
            SignInError::Store(error) if is_not_ours_to_write(&error) => Self::Storage(format!(
                "{error}. Name a file in a folder that you may write to (--token-file FILE, DEVICE_FLOW_TOKEN_FILE), or sign in for \
                 this run alone (login --store memory)"
            )),
            // And what this version does not know.
            SignInError::Store(_) | SignInError::Cache(_) | SignInError::NotKept { .. } | _ => {
                Self::Storage(error.advice().map_or_else(|| error.to_string(), |advice| format!("{error}. {advice}")))
            }
        }
    }
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        Self::from(SignInError::from(error))
    }
}

impl From<ConfigError> for RunError {
    fn from(error: ConfigError) -> Self {
        if let ConfigError::NoDeviceAuthorizationEndpoint { token_endpoint, .. } = error {
            return Self::Usage(format!(
                "the server's metadata does not name a device authorization endpoint. If the server has one, look it up in its \
                 documentation and use: --device-endpoint URL --token-endpoint {}",
                word(&token_endpoint)
            ));
        }
        // In the words of the command line.
        if let ConfigError::Missing { preset, need, about } = error {
            return Self::Usage(format!("--provider {preset} needs --{need}: {about}"));
        }
        if let ConfigError::Value { need, value, rule, .. } = error {
            return Self::Usage(format!("--{need} {value:?}: {rule}"));
        }
        let needed = if let ConfigError::NeededByDialect { what, .. } = error { what } else { "" };
        let option = match needed {
            "a client secret" => " (--client-secret-file FILE)",
            "a resource" => " (--resource URI)",
            _ => "",
        };
        Self::Usage(format!("{error}{option}"))
    }
}

impl From<HttpError> for RunError {
    fn from(error: HttpError) -> Self {
        Self::Usage(remedy::of_settings(&error))
    }
}
