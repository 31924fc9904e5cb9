//! Owns the keyboard: the press of Enter, waited for without holding up anything else.

#[cfg(unix)]
pub(super) use unix::{is_in_foreground, on_enter};

/// Calls this at the first empty line that is typed from now on, and then leaves stdin alone. `false`: it cannot be waited for.
#[cfg(not(unix))]
pub(super) fn on_enter(pressed: impl FnOnce() + Send + 'static) -> bool {
    // A thread that reads does not hold up the end of the process.
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

/// Whether what is painted now is painted for us. Only Unix has jobs in the background of a terminal.
#[cfg(not(unix))]
pub(super) fn is_in_foreground() -> bool {
    true
}

#[cfg(unix)]
mod unix {
    use rustix::fs::{Mode, OFlags, open};
    use rustix::process::getpgrp;
    use rustix::stdio::{stderr, stdin};
    use rustix::termios::{tcgetpgrp, ttyname};
    use std::io;
    use std::os::fd::AsFd;
    use std::time::Duration;
    use tokio::net::unix::pipe::Receiver;

    /// Calls this at the first empty line that is typed from now on, and then leaves stdin alone. `false`: it cannot be
    /// waited for.
    pub(crate) fn on_enter(pressed: impl FnOnce() + Send + 'static) -> bool {
        let Ok(terminal) = opened_again() else { return false };
        tokio::spawn(async move {
            if enter(&terminal).await.is_ok() {
                pressed();
            }
        });
        true
    }

    /// The terminal of stdin once more, to be read without blocking. (The flag on stdin itself would be one on the terminal of
    /// the shell and of every other program here.)
    fn opened_again() -> io::Result<Receiver> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let by_name = ttyname(stdin(), vec![]).and_then(|name| open(name, flags, Mode::empty()));
        // In a container it may have a name that leads nowhere here.
        let terminal = by_name.or_else(|_| open("/dev/tty", flags, Mode::empty()))?;
        // What was typed before the question is no answer to it: it may have been meant for the next program.
        let mut typed = [0; 512];
        while is_ours(&terminal) && rustix::io::read(&terminal, &mut typed).is_ok_and(|length| length > 0) {}
        // Not a pipe, but the same to the event loop.
        Receiver::from_owned_fd_unchecked(terminal)
    }

    async fn enter(terminal: &Receiver) -> io::Result<()> {
        let mut typed = [0; 512];
        loop {
            terminal.readable().await?;
            // Whoever reads from the background is stopped by the terminal (SIGTTIN), and polls no more.
            if !is_ours(terminal) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            match terminal.try_read(&mut typed) {
                // The terminal is gone, or somebody pressed Ctrl-D.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    if typed.get(..length).is_some_and(|line| line.ends_with(b"\n") && line.trim_ascii().is_empty()) {
                        return Ok(());
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether this terminal takes us for its foreground.
    fn is_ours(terminal: impl AsFd) -> bool {
        // A terminal that does not control us has no say.
        tcgetpgrp(terminal).map_or(true, |group| group == getpgrp())
    }

    /// Whether what is painted now is painted for us, and not into the line of a shell that put us into the background.
    pub(crate) fn is_in_foreground() -> bool {
        is_ours(stderr())
    }
}
