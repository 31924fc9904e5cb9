//! Owns a terminal for the tests: a pty, the program that it controls, and the screen that a person would see.

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longer than any machine needs; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Terminal {
    master: File,
    pub(crate) child: Child,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// All output so far.
    pub(crate) bytes: Vec<u8>,
}

impl Terminal {
    /// Runs this command under the control of a terminal of this size, so that Ctrl-C and Ctrl-Z reach it. Streams that
    /// `prepare` leaves alone are the terminal.
    pub(crate) fn run(columns: u16, rows: u16, words: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = open(ptsname(&master, vec![]).unwrap(), flags, Mode::empty()).unwrap();
        // setsid (util-linux) makes its stdin the controlling terminal, which would need unsafe code here.
        let mut command = Command::new("setsid");
        command.arg("--ctty").args(words);
        let stream = || Stdio::from(slave.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream());
        prepare(&mut command);
        let child = command.spawn().unwrap();
        // Our copy would keep the terminal open after the program ends.
        drop((command, slave));
        let master = File::from(master);
        let mut reader = master.try_clone().unwrap();
        let (tell, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of a terminal is an error (EIO).
            while let Ok(length) = reader.read(&mut buffer) {
                if length == 0 || tell.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { master, child, output, screen: vt100::Parser::new(rows, columns, 0), bytes: vec![] }
    }

    /// What a person sees now.
    pub(crate) fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    pub(crate) fn master(&self) -> &File {
        &self.master
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Takes the next output, or waits for it. `false`: the terminal is closed.
    fn more(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        match self.output.recv_timeout(left) {
            Ok(bytes) => {
                self.screen.process(&bytes);
                self.bytes.extend(bytes);
                true
            }
            Err(_) => {
                assert!(Instant::now() < until, "there was no more output:\n{}", self.contents());
                false
            }
        }
    }

    /// Waits until `what` finds something on the screen.
    pub(crate) fn until<T>(&mut self, what: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = what(&self.contents()) {
                return found;
            }
            assert!(self.more(until), "it ended before:\n{}", self.contents());
        }
    }

    pub(crate) fn until_it_says(&mut self, words: &str) {
        self.until(|contents| contents.contains(words).then_some(()));
    }

    /// Waits for the code of the demo server, and returns it.
    pub(crate) fn code(&mut self) -> String {
        let is_code = |word: &&str| {
            word.len() == 9
                && word.char_indices().all(|(at, c)| if at == 4 { c == '-' } else { c.is_ascii_uppercase() })
        };
        self.until(|contents| contents.split_whitespace().find(is_code).map(str::to_owned))
    }

    /// Waits for the end, and reads all output before it.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        while self.more(until) {}
        self.child.wait().unwrap()
    }

    /// Presses Ctrl-C, and waits for the end.
    pub(crate) fn cancel(&mut self) {
        self.press("\u{3}");
        assert_eq!(self.end().code(), Some(130), "{}", self.contents());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // So that a failing test leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
