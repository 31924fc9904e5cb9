//! Owns how a run ends: the one table from a cause to its exit code, its name for programs and its text for people.

use device_flow_tokio::{
    ConfigError, Failure, HttpError, ProtocolFault, SignInError, SignInReason, Stopped, StoreError, TransportErrorKind,
};
use std::process::ExitCode;
use std::time::Duration;

/// Why a run ended without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The words on the command line, or a file that they name, cannot work.
    #[error("{0}")]
    Usage(String),
    #[error("{0}{remedy}", remedy = remedy(.0))]
    Failed(#[from] Failure),
    /// Only a person can help, and this sub-command asks none.
    #[error("{failure} (to sign in: {how})")]
    SignInNeeded { failure: Box<Failure>, how: String },
    /// Tokens could not be read or kept.
    #[error("{0}")]
    Storage(String),
    #[error("nobody approved the sign-in within {} s (--timeout)", .0.as_secs())]
    TimedOut(Duration),
    /// The time was over before there was anything to approve.
    #[error("no code came within {} s (--timeout): the server was not reached, or not in time", .0.as_secs())]
    NoCode(Duration),
    /// There is no token of the kind that was asked for.
    #[error("{text}")]
    NoToken { exit: u8, text: String },
    /// Of a sign-in that an earlier run began.
    #[error("the code of the sign-in {0} has expired: start again for a new one")]
    CodeExpired(String),
    /// The run is over, the sign-in is not.
    #[error("{end}. To go on: {how}")]
    Resumable { end: Box<End>, how: String },
    #[error("stderr leads nowhere, so nobody could see the code: connect it to a terminal, or use --json")]
    NobodyCanSee,
    /// What `doctor` found, told already.
    #[error("failed: {failed}")]
    Unwell { exit: u8, failed: String },
    #[error("cancelled")]
    Interrupted,
    #[error("terminated")]
    Terminated,
    #[error("{0}")]
    Internal(String),
    /// The reader of stdout went away: said to nobody.
    #[error("the output could not be written: {0}")]
    Output(std::io::Error),
}

impl End {
    /// The exit code, the name for programs, and whether the same call may succeed later.
    pub(crate) fn facts(&self) -> (u8, &str, bool) {
        match self {
            Self::Usage(_) => (2, "usage", false),
            Self::Storage(_) => (8, "storage", false),
            Self::NobodyCanSee => (9, "interaction_required", false),
            Self::TimedOut(_) => (5, "timeout", true),
            Self::NoCode(_) => (6, "timeout", true),
            Self::NoToken { exit, .. } => (*exit, "no_token", false),
            Self::Unwell { exit, .. } => (*exit, "unwell", false),
            Self::CodeExpired(_) => (5, "expired", true),
            Self::Resumable { end, .. } => end.facts(),
            Self::Interrupted => (130, "cancelled", false),
            Self::Terminated => (143, "terminated", false),
            Self::Internal(_) | Self::Output(_) => (1, "internal", false),
            Self::Failed(failure) => told(failure),
            Self::SignInNeeded { failure, .. } => told(failure),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.facts().0)
    }
}

/// Which word on the command line helps.
fn remedy(failure: &Failure) -> &'static str {
    if matches!(failure, Failure::WhichAccount(_)) { " (--account NAME)" } else { "" }
}

fn told(failure: &Failure) -> (u8, &str, bool) {
    let (exit, code) = failed(failure);
    (exit, code, failure.is_retryable())
}

fn failed(failure: &Failure) -> (u8, &str) {
    match failure {
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
    }
}

impl From<Stopped> for End {
    fn from(stopped: Stopped) -> Self {
        if let Stopped::Failed(failure) = stopped { Self::Failed(failure) } else { Self::Internal(stopped.to_string()) }
    }
}

impl From<SignInError> for End {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Stopped(stopped) => stopped.into(),
            SignInError::Entropy(_) => Self::Internal(error.to_string()),
            // And what this version does not know.
            SignInError::Store(_) | SignInError::Cache(_) | SignInError::NotKept { .. } | _ => {
                Self::Storage(error.advice().map_or_else(|| error.to_string(), |advice| format!("{error}. {advice}")))
            }
        }
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::from(SignInError::from(error))
    }
}

impl From<ConfigError> for End {
    fn from(error: ConfigError) -> Self {
        if let ConfigError::NoDeviceAuthorizationEndpoint { token_endpoint, .. } = error {
            return Self::Usage(format!(
                "the server's metadata does not name a device authorization endpoint. If the server has one, look it up in its \
                 documentation and use: --device-endpoint URL --token-endpoint {token_endpoint}"
            ));
        }
        Self::Usage(error.to_string())
    }
}

impl From<HttpError> for End {
    fn from(error: HttpError) -> Self {
        Self::Usage(error.to_string())
    }
}
