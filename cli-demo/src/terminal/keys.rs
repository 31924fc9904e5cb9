//! Owns the keyboard: waiting for Enter without blocking anything else.

#[cfg(unix)]
pub(crate) use unix::is_in_foreground_of_its_terminal;
#[cfg(unix)]
pub(super) use unix::{Answer, is_in_foreground, on_enter};

/// Calls `pressed` at the first empty line that is typed from now on, and then leaves stdin alone. `false`: keys cannot
/// be read.
#[cfg(not(unix))]
pub(super) fn on_enter(pressed: impl FnOnce() + Send + 'static) -> bool {
    // A thread that reads does not delay the exit of the process.
    std::thread::Builder::new()
        .spawn(move || {
            let mut line = String::new();
            while std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
                if line.trim().is_empty() {
                    return pressed();
                }
                line.clear();
            }
        })
        .is_ok()
}

/// The answer to a question.
#[cfg(not(unix))]
pub(super) struct Answer;

#[cfg(not(unix))]
impl Answer {
    /// `None`: what is typed cannot be hidden here.
    pub(super) fn expect(hidden: bool) -> Option<Self> {
        (!hidden).then_some(Self)
    }

    /// The line that is typed, without its end; `None`: nobody answers.
    pub(super) async fn line(self) -> Option<zeroize::Zeroizing<String>> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let read = move || {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0);
            let _ = tell.send(read.then(|| zeroize::Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned())));
        };
        std::thread::Builder::new().spawn(read).ok()?;
        told.await.ok().flatten()
    }
}

/// Whether this process may paint. Only Unix has background jobs in a terminal.
#[cfg(not(unix))]
pub(super) fn is_in_foreground() -> bool {
    true
}

#[cfg(unix)]
mod unix {
    use rustix::fs::{Mode, OFlags, open};
    use rustix::process::getpgrp;
    use rustix::stdio::{stderr, stdin};
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr, ttyname};
    use std::io;
    use std::os::fd::AsFd;
    use std::time::Duration;
    use tokio::net::unix::pipe::Receiver;
    use zeroize::Zeroizing;

    /// Calls `pressed` at the first empty line that is typed from now on, and then leaves stdin alone. `false`: keys
    /// cannot be read.
    pub(crate) fn on_enter(pressed: impl FnOnce() + Send + 'static) -> bool {
        let Ok(terminal) = reopened() else { return false };
        tokio::spawn(async move {
            if enter(&terminal).await.is_ok() {
                pressed();
            }
        });
        true
    }

    /// The terminal of stdin, opened once more to read it without blocking. (The flag on stdin itself would be shared
    /// with the shell and every other program in this terminal.)
    fn reopened() -> io::Result<Receiver> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let by_name = ttyname(stdin(), vec![]).and_then(|name| open(name, flags, Mode::empty()));
        // In a container its name may lead nowhere.
        let terminal = by_name.or_else(|_| open("/dev/tty", flags, Mode::empty()))?;
        // Drop what was typed before the question: it is no answer to it.
        let mut typed = [0; 512];
        while is_ours(&terminal) && rustix::io::read(&terminal, &mut typed).is_ok_and(|length| length > 0) {}
        // A terminal is not a pipe, but the event loop treats both alike.
        Receiver::from_owned_fd_unchecked(terminal)
    }

    /// The answer to a question that is asked from now on: what was typed before is none.
    pub(crate) struct Answer {
        terminal: Receiver,
        _hidden: Option<Hidden>,
    }

    impl Answer {
        /// `hidden`: what is typed is not shown. `None`: keys cannot be read, or hidden.
        pub(crate) fn expect(hidden: bool) -> Option<Self> {
            let _hidden = if hidden { Some(Hidden::begin()?) } else { None };
            Some(Self { terminal: reopened().ok()?, _hidden })
        }

        /// The line that is typed, without its end; `None`: nobody answers.
        pub(crate) async fn line(self) -> Option<Zeroizing<String>> {
            let line = next_line(&self.terminal).await.ok()?;
            let text = std::str::from_utf8(&line).ok()?;
            Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
    }

    /// What is typed at the terminal is not shown until this is dropped.
    struct Hidden(Termios);

    impl Hidden {
        fn begin() -> Option<Self> {
            let before = tcgetattr(stdin()).ok()?;
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            // The end of the line is shown, so that what follows is on a line of its own.
            hidden.local_modes.insert(LocalModes::ECHONL);
            tcsetattr(stdin(), OptionalActions::Now, &hidden).ok()?;
            Some(Self(before))
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            // There is nobody to tell.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
        }
    }

    async fn enter(terminal: &Receiver) -> io::Result<()> {
        while !next_line(terminal).await?.trim_ascii().is_empty() {}
        Ok(())
    }

    /// With its end.
    async fn next_line(terminal: &Receiver) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut typed = Zeroizing::new([0; 4096]);
        loop {
            terminal.readable().await?;
            // A background process that reads is stopped by the terminal (SIGTTIN), and could not poll any more.
            if !is_ours(terminal) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            match terminal.try_read(&mut *typed) {
                // The terminal is closed, or somebody pressed Ctrl-D.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    // Not so after Ctrl-D in the middle of a line.
                    if let Some(line) = typed.get(..length).filter(|line| line.ends_with(b"\n")) {
                        return Ok(Zeroizing::new(line.to_vec()));
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether this process is in the foreground of the terminal.
    fn is_ours(terminal: impl AsFd) -> bool {
        // An error: it is not our controlling terminal, so it stops nobody.
        tcgetpgrp(terminal).map_or(true, |group| group == getpgrp())
    }

    /// Whether there is a terminal that sends what is typed at it, such as Ctrl-C, to this process.
    pub(crate) fn is_in_foreground_of_its_terminal() -> bool {
        let terminal = open("/dev/tty", OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty());
        terminal.is_ok_and(|terminal| tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
    }

    /// Whether this process may paint: in the background, it would paint into the command line of the shell.
    pub(crate) fn is_in_foreground() -> bool {
        is_ours(stderr())
    }
}
