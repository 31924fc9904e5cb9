//! Owns how a command takes the place of this program, or runs beside it with every signal passed on.

use crate::run_error::RunError;
use std::ffi::OsStr;
use std::io;
use std::process::ExitStatus;

/// As shells tell it: 127 where there is no such program, 126 where it cannot be run.
fn not_started(program: &OsStr, error: &io::Error) -> RunError {
    let exit = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    RunError::NotStarted { exit, text: format!("{} could not be started: {error}", program.display()) }
}

fn outcome(status: ExitStatus) -> Result<(), RunError> {
    match exit_code(status) {
        0 => Ok(()),
        exit => Err(RunError::AlreadyTold(exit)),
    }
}

#[cfg(unix)]
pub(super) use unix::{Signals, ended, replaced_by};

#[cfg(not(unix))]
pub(super) use elsewhere::{Signals, ended, replaced_by};

#[cfg(unix)]
fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    // As shells tell of a program that a signal has ended.
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(not(unix))]
fn exit_code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(unix)]
mod unix {
    use super::{not_started, outcome};
    use crate::run_error::RunError;
    use crate::terminal::is_in_foreground_of_its_terminal;
    use rustix::process::{Pid, Signal, kill_process};
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    use std::task::Poll;
    use tokio::signal::unix::{self, SignalKind};

    /// The signals that a person or a service manager sends to a program.
    pub(crate) struct Signals(Vec<(unix::Signal, Signal)>);

    impl Signals {
        /// From now on they no longer end this program.
        pub(crate) fn caught() -> Self {
            let kinds = [
                (SignalKind::interrupt(), Signal::INT),
                (SignalKind::terminate(), Signal::TERM),
                (SignalKind::hangup(), Signal::HUP),
                (SignalKind::quit(), Signal::QUIT),
                (SignalKind::user_defined1(), Signal::USR1),
                (SignalKind::user_defined2(), Signal::USR2),
            ];
            // One that cannot be caught ends both programs, as it would without us.
            Self(kinds.into_iter().filter_map(|(kind, signal)| Some((unix::signal(kind).ok()?, signal))).collect())
        }

        async fn next(&mut self) -> Signal {
            std::future::poll_fn(|context| {
                let arrived = |(stream, signal): &mut (unix::Signal, Signal)| {
                    stream.poll_recv(context).is_ready().then_some(*signal)
                };
                self.0.iter_mut().find_map(arrived).map_or(Poll::Pending, Poll::Ready)
            })
            .await
        }

        /// While there is no command yet: why the run ends.
        pub(crate) async fn ends(&mut self) -> RunError {
            match self.next().await {
                Signal::INT => RunError::Interrupted,
                _ => RunError::Terminated,
            }
        }
    }

    /// Does not return unless the command cannot be started.
    pub(crate) fn replaced_by(mut command: Command) -> Result<(), RunError> {
        let error = command.exec();
        Err(not_started(command.get_program(), &error))
    }

    /// Runs it to its end, with every signal passed on.
    pub(crate) async fn ended(command: Command, mut signals: Signals) -> Result<(), RunError> {
        let program = command.get_program().to_owned();
        let mut child =
            tokio::process::Command::from(command).spawn().map_err(|error| not_started(&program, &error))?;
        loop {
            let signal = tokio::select! {
                biased;
                ended = child.wait() => {
                    let lost = |error| RunError::Internal(format!("the command cannot be waited for: {error}"));
                    return outcome(ended.map_err(lost)?);
                }
                signal = signals.next() => signal,
            };
            // What a person types reaches every program in the foreground of the terminal anyway.
            let was_typed = matches!(signal, Signal::INT | Signal::QUIT) && is_in_foreground_of_its_terminal();
            let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            if let Some(pid) = pid.filter(|_| !was_typed) {
                // It may have ended meanwhile.
                let _ = kill_process(pid, signal);
            }
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use super::{not_started, outcome};
    use crate::run_error::RunError;
    use std::process::Command;

    /// Ctrl-C, which every program in a console hears of.
    pub(crate) struct Signals;

    impl Signals {
        pub(crate) fn caught() -> Self {
            Self
        }

        pub(crate) async fn ends(&mut self) -> RunError {
            crate::signals::signal().await
        }
    }

    /// Runs it to its end: a program cannot take our place here.
    pub(crate) fn replaced_by(mut command: Command) -> Result<(), RunError> {
        let status = command.status().map_err(|error| not_started(command.get_program(), &error))?;
        outcome(status)
    }

    pub(crate) async fn ended(command: Command, _: Signals) -> Result<(), RunError> {
        let program = command.get_program().to_owned();
        let mut child =
            tokio::process::Command::from(command).spawn().map_err(|error| not_started(&program, &error))?;
        loop {
            tokio::select! {
                biased;
                ended = child.wait() => {
                    let lost = |error| RunError::Internal(format!("the command cannot be waited for: {error}"));
                    return outcome(ended.map_err(lost)?);
                }
                // The command has heard it, too.
                _ = tokio::signal::ctrl_c() => {}
            }
        }
    }
}
