//! The binary at a real terminal: what a person sees, what keys do, and what happens beside the sign-in.
#![cfg(target_os = "linux")]

use crate::pty::Terminal;
use device_flow_cli::demo::{CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, Options, Server};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::tcgetattr;
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_device-flow");

/// A demo server, its runtime, and a home folder.
struct Site {
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
    home: TempDir,
}

impl Site {
    fn start() -> Self {
        Self::with_interval(1)
    }

    fn with_interval(interval: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = Options { interval: Duration::from_secs(interval), ..Options::default() };
        let server = Some(runtime.block_on(Server::start(options)).unwrap());
        Self { server, runtime, home: tempfile::tempdir().unwrap() }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn words<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let url = self.server().base_url();
        [&["login", "--issuer", url, "--client-id", "my-app", "--allow-http-loopback", "--store", "memory"], more]
            .concat()
    }

    /// `login` at a terminal of this size.
    fn login(&self, (columns, rows): (u16, u16), more: &[&str], env: &[(&str, &str)]) -> Terminal {
        self.run((columns, rows), &[&[PROGRAM], &*self.words(more)].concat(), env, |_| {})
    }

    fn run(
        &self,
        (columns, rows): (u16, u16),
        words: &[&str],
        env: &[(&str, &str)],
        prepare: impl FnOnce(&mut Command),
    ) -> Terminal {
        Terminal::run(columns, rows, words, |command| {
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.home.path());
            command.env("LANG", "C.UTF-8").env("TERM", "xterm-256color").envs(env.iter().copied());
            prepare(command);
        })
    }

    /// A shell script in the home folder.
    fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A browser that records what it opens, writes its process id to the pipe, and then does this.
    fn browser(&self, then: &str) -> (PathBuf, PathBuf, PathBuf) {
        let (opened, pipe) = (self.home.path().join("opened"), self.home.path().join("pipe"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let script = format!("echo \"$*\" >> {}\necho $$ > {}\n{then}", opened.display(), pipe.display());
        (self.program("browser", &script), opened, pipe)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}

const WIDE: (u16, u16) = (100, 60);

// Neither what was typed before the question nor a line with text counts as Enter.
#[test]
fn e16_an_approval_elsewhere_needs_no_key_here() {
    let site = Site::start();
    let (browser, opened, _) = site.browser("");
    let mut terminal = site.login(WIDE, &[], &[("BROWSER", browser.to_str().unwrap())]);
    terminal.press("\n");
    terminal.until_it_says("Press Enter to open the browser here, Ctrl-C to cancel.");
    terminal.press("make tea\n");
    let code = terminal.code();
    assert!(site.server().approve(&code));
    assert!(terminal.end().success());
    terminal.until_it_says("Signed in to");
    assert!(!opened.exists() && !terminal.text().contains("Opening"), "nobody pressed Enter");
}

// Enter opens the complete address, once; the output of the opener (1 MiB) is discarded.
#[test]
fn e03_e08_enter_opens_once_and_the_output_stays_clean() {
    let site = Site::start();
    let (browser, opened, pipe) = site.browser("head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2");
    let env = [("BROWSER", browser.to_str().unwrap())];
    let mut terminal = site.run(WIDE, &[&[PROGRAM], &*site.words(&[])].concat(), &env, |command| {
        command.stdout(Stdio::piped());
    });
    let code = terminal.code();
    terminal.until_it_says("Press Enter");
    terminal.press("\n");
    terminal.until_it_says("Opening the browser.");
    fs::read_to_string(&pipe).unwrap();
    terminal.press("\n\n");
    assert!(site.server().approve(&code));
    let mut stdout = String::new();
    terminal.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert!(terminal.end().success(), "{}", terminal.contents());
    assert!(stdout.starts_with("Signed in to") && !stdout.contains('\0'), "{stdout}");
    let complete = format!("{}/device?user_code={code}\n", site.server().base_url());
    assert_eq!(fs::read_to_string(opened).unwrap(), complete);
    assert!(!terminal.text().contains('\0'));
}

#[test]
fn e08_polling_goes_on_while_an_opener_hangs() {
    let site = Site::start();
    let (browser, _, pipe) = site.browser("exec sleep 600");
    let mut terminal = site.login(WIDE, &[], &[("BROWSER", browser.to_str().unwrap())]);
    let code = terminal.code();
    terminal.until_it_says("Press Enter");
    terminal.press("\n");
    let hanging = fs::read_to_string(&pipe).unwrap();
    assert!(site.server().approve(&code));
    assert!(terminal.end().success());
    let hanging = Pid::from_raw(hanging.trim().parse().unwrap()).unwrap();
    kill_process(hanging, Signal::KILL).unwrap();
}

// One that fails, and one that does not exist, with what to do.
#[test]
fn e08_an_opener_that_does_not_work_is_reported() {
    let site = Site::start();
    let failing = site.program("failing", "exit 3");
    let nothing = site.home.path().join("empty");
    let (failing, path) = (failing.to_str().unwrap(), format!("PATH={}", nothing.display()));
    for (browser, says) in [(failing, "exit status: 3"), ("missing", "no program that opens one was found")] {
        let words = [&["/usr/bin/env", &path, PROGRAM], &*site.words(&["--open"])].concat();
        let mut terminal = site.run(WIDE, &words, &[("BROWSER", browser)], |_| {});
        terminal.until_it_says("Press Enter");
        terminal.press("\n");
        terminal.until_it_says("No browser could be opened here");
        let contents = terminal.contents().replace('\n', " ");
        assert!(contents.contains(says) && contents.contains("Open the address yourself."), "{contents}");
        // And it goes on.
        terminal.until_it_says("Waiting for approval");
        terminal.cancel();
    }
}

// E03: nor where nobody can press a key.
#[test]
fn e07_a_browser_is_offered_only_where_the_person_would_see_it() {
    let site = Site::start();
    let (browser, ..) = site.browser("");
    let browser = ("BROWSER", browser.to_str().unwrap());
    let ssh = ("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    for (more, env, offered) in [
        (&[][..], &[browser][..], true),
        (&[], &[browser, ssh], false),
        (&["--open"], &[browser, ssh], true),
        (&["--no-open"], &[browser], false),
        (&["--open", "--no-open"], &[browser], false),
        (&["--no-input"], &[browser], false),
        (&["--open", "--no-input"], &[browser], false),
        (&[], &[], false),
        (&[], &[("BROWSER", "w3m")], false),
    ] {
        let mut terminal = site.login(WIDE, more, env);
        terminal.until_it_says("Ctrl-C to cancel.");
        assert_eq!(terminal.contents().contains("Press Enter"), offered, "{more:?} {env:?}");
        terminal.cancel();
    }
    // Stdin is not the terminal: closed, empty, or endless.
    let login = site.words(&["--open"]).join(" ");
    for shell in [
        format!("{PROGRAM} {login} 0<&-"),
        format!("{PROGRAM} {login} < /dev/null"),
        format!("yes '' | {PROGRAM} {login}"),
    ] {
        let mut terminal = site.run(WIDE, &["sh", "-c", &shell], &[browser], |_| {});
        let code = terminal.code();
        assert!(site.server().approve(&code));
        assert!(terminal.end().success(), "{shell}: {}", terminal.contents());
        assert!(!terminal.text().contains("Press Enter"), "{shell}");
    }
    assert!(!site.home.path().join("opened").exists());
}

// R10027-6.1.14-3. At the code, and while a server does not answer: exit code 130, a clean last line, and the terminal
// as before.
#[test]
fn e01_ctrl_c_leaves_a_clean_terminal() {
    // Not at the next poll, which is minutes away.
    let site = Site::with_interval(300);
    let (browser, ..) = site.browser("");
    let mut terminal = site.login(WIDE, &[], &[("BROWSER", browser.to_str().unwrap())]);
    let before = format!("{:?}", tcgetattr(terminal.master()).unwrap());
    terminal.until_it_says("left)");
    assert_eq!(before, format!("{:?}", tcgetattr(terminal.master()).unwrap()), "no mode of the terminal is changed");
    let asked = Instant::now();
    terminal.cancel();
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert!(terminal.contents().trim_end().ends_with("\ndevice-flow: cancelled"), "{}", terminal.contents());
    assert!(!terminal.contents().contains("Waiting") && !terminal.contents().contains("^C"), "{}", terminal.contents());
    assert!(!terminal.text().contains("\u{1b}[?"), "no mode is set");

    // A server that accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let words = [PROGRAM, "login", "--issuer", &url, "--client-id", "x", "--allow-http-loopback", "--store", "memory"];
    let mut terminal = site.run(WIDE, &words, &[], |_| {});
    let (mut asked, _) = silent.accept().unwrap();
    assert!(asked.read(&mut [0; 64]).unwrap() > 0, "the request is on its way");
    terminal.cancel();
    assert_eq!(terminal.contents().trim_end(), "device-flow: cancelled");
}

// E14: /dev/stdin may be the terminal.
#[test]
fn e01_e14_a_secret_may_be_typed_and_ctrl_c_ends_the_wait_for_it() {
    let site = Site::start();
    for file in ["-", "/dev/stdin"] {
        let mut terminal = site.login(WIDE, &["--client-secret-file", file], &[]);
        terminal.until_it_says("Type the client secret");
        terminal.cancel();
        assert!(terminal.contents().trim_end().ends_with("device-flow: cancelled"), "{}", terminal.contents());
    }
    assert_eq!(site.server().requests_to("/device_authorization"), 0);
    let words = ["--client-secret-file", "/dev/stdin", "--client-id", CONFIDENTIAL_CLIENT_ID];
    let url = site.server().base_url();
    let words =
        [&[PROGRAM, "login", "--issuer", url, "--allow-http-loopback", "--store", "memory"], &words[..]].concat();
    let mut terminal = site.run(WIDE, &words, &[], |_| {});
    terminal.until_it_says("Type the client secret");
    terminal.press(&format!("{CONFIDENTIAL_CLIENT_SECRET}\n"));
    let code = terminal.code();
    assert!(site.server().approve(&code));
    assert!(terminal.end().success(), "{}", terminal.contents());
}

// Here while it waits for a reader that never reads.
#[test]
fn e01_the_second_ctrl_c_ends_it_at_once() {
    let site = Site::start();
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty()).unwrap();
    let words = [&[PROGRAM], &*site.words(&["--json"])].concat();
    let mut terminal = site.run(WIDE, &words, &[], |command| {
        command.stdout(writer);
    });
    while site.server().requests_to("/device_authorization") == 0 {
        std::thread::yield_now();
    }
    // Repeatedly, since two signals at the same moment count as one.
    let until = Instant::now() + Duration::from_secs(60);
    let status = loop {
        terminal.press("\u{3}");
        if let Some(status) = terminal.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < until, "it waits for its reader");
    };
    assert_eq!(status.code(), Some(130));
    drop(reader);
}

// By Ctrl-Z.
#[test]
fn e02_it_goes_on_after_having_been_stopped() {
    let site = Site::start();
    let login = site.words(&[]).join(" ");
    let script = format!("set -m; {PROGRAM} {login}; echo has stopped; read -r _; echo goes on; fg > /dev/null");
    let mut terminal = site.run(WIDE, &["bash", "-c", &script], &[], |_| {});
    let code = terminal.code();
    terminal.until_it_says("left)");
    terminal.press("\u{1a}");
    terminal.until_it_says("has stopped");
    let polls = site.server().requests_to("/token");
    terminal.press("\n");
    // Below the output of the shell it counts again, with the right time.
    let seconds = |text: &str| {
        let (_, left) = text.rsplit_once('(')?;
        let (minutes, seconds) = left.split_once(" left)")?.0.split_once(':')?;
        Some(minutes.parse::<u32>().ok()? * 60 + seconds.parse::<u32>().ok()?)
    };
    let (before, after) = terminal.until(|contents| {
        let (before, after) = contents.split_once("goes on")?;
        Some((seconds(before)?, seconds(after)?))
    });
    assert!(after <= before, "{before} {after}");
    assert!(site.server().approve(&code));
    terminal.until_it_says("Signed in to");
    assert!(terminal.end().success());
    assert!(site.server().requests_to("/token") > polls);
}

// Reading from the background would stop it (SIGTTIN), and painting would disturb the shell.
#[test]
fn e03_in_the_background_it_polls_and_keeps_silent() {
    let site = Site::start();
    let (browser, opened, _) = site.browser("");
    let login = site.words(&["--open"]).join(" ");
    let script = format!(
        "set -m; {PROGRAM} {login} & read -r line; echo \"got $line\"; read -r line; fg > /dev/null; echo ended with $?"
    );
    let mut terminal = site.run(WIDE, &["bash", "-c", &script], &[("BROWSER", browser.to_str().unwrap())], |_| {});
    let code = terminal.code();
    terminal.until_it_says("Press Enter");
    terminal.press("\n");
    terminal.until_it_says("got");
    let polled = site.server().requests_to("/token");
    let until = Instant::now() + Duration::from_secs(60);
    while site.server().requests_to("/token") == polled {
        assert!(Instant::now() < until, "it does not poll");
        std::thread::yield_now();
    }
    assert!(!terminal.text().contains("Waiting"), "{}", terminal.text());
    // Brought to the foreground, it counts down.
    terminal.press("\n");
    terminal.until_it_says("left)");
    assert!(site.server().approve(&code));
    terminal.until_it_says("ended with 0");
    terminal.end();
    assert!(!opened.exists(), "the key was meant for the shell");
}

// Where colours are used, the code is bold.
#[test]
fn e06_escape_sequences_come_only_where_they_are_understood() {
    let site = Site::start();
    for (env, plain) in [
        (("TERM", "dumb"), true),
        (("NO_COLOR", "1"), true),
        (("LC_ALL", "C"), false),
        (("NO_COLOR", ""), false),
        (("ACCESSIBLE", "1"), false),
    ] {
        let mut terminal = site.login(WIDE, &[], &[env]);
        let code = terminal.code();
        terminal.until_it_says("Waiting");
        let repaints = terminal.text().replace("\r\n", "\n").contains('\r');
        assert_eq!(repaints, !matches!(env, ("TERM", "dumb") | ("ACCESSIBLE", "1")), "{env:?}");
        terminal.cancel();
        assert_eq!(!terminal.text().contains('\u{1b}'), plain, "{env:?}");
        assert_eq!(terminal.text().contains(&format!("\u{1b}[1m{code}\u{1b}[0m")), !plain, "{env:?}");
        assert!(terminal.text().is_ascii());
    }
    let mut terminal = site.login(WIDE, &["--progress", "none"], &[]);
    terminal.until_it_says("Ctrl-C to cancel.");
    terminal.cancel();
    assert!(!terminal.text().contains("Waiting"), "{}", terminal.text());
}

// An address that is too long is wrapped by the terminal, without a line end in it.
#[test]
fn e06_a_narrow_terminal_splits_no_word_and_no_address() {
    let site = Site::start();
    for columns in [20, 40, 80, 100] {
        let mut terminal = site.login((columns, 60), &[], &[]);
        let code = terminal.code();
        terminal.until_it_says("left");
        terminal.cancel();
        let (text, url) = (terminal.text(), site.server().base_url());
        for whole in
            [format!("{url}/device?user_code={code}"), format!("{url}/device\u{1b}[0m"), format!("{code}\u{1b}[0m")]
        {
            assert!(text.contains(&whole), "{columns}: {text}");
        }
        let said =
            "You started this sign-in. Never enter a code that someone sent you, and never send this one to anyone.";
        let rows: Vec<String> = terminal.screen().rows(0, columns).collect();
        let words: Vec<&str> = rows.iter().flat_map(|row| row.split_whitespace()).collect();
        assert!(words.join(" ").contains(said), "{columns}: {rows:#?}");
    }
}

// One that does not answer, and one that does not exist; the code is shown anyway.
#[cfg(feature = "clipboard")]
#[test]
fn e10_a_clipboard_that_does_not_work_is_reported_within_a_second() {
    let site = Site::start();
    // An X server with TCP listens on port 6000 plus the number of its display.
    let display =
        |number: u16| TcpListener::bind(("127.0.0.1", 6_000 + number)).ok().map(|listener| (number, listener));
    let (number, listener) = (100..1_000).find_map(display).unwrap();
    let name = format!("127.0.0.1:{number}");
    let mut terminal = site.login(WIDE, &["--copy"], &[("DISPLAY", &name)]);
    terminal.code();
    // It will never answer.
    terminal.until_it_says("could not be copied to the clipboard: it does not answer.");
    terminal.until_it_says("Waiting");
    terminal.cancel();
    drop(listener);

    let mut terminal = site.login(WIDE, &["--copy"], &[("DISPLAY", &name)]);
    let code = terminal.code();
    terminal.until_it_says("The code could not be copied to the clipboard");
    assert!(site.server().approve(&code));
    assert!(terminal.end().success());
}

// By OSC 52, and only if stderr is a terminal that understands it.
#[test]
fn e10_over_ssh_the_terminal_is_asked_to_copy() {
    let site = Site::start();
    let ssh = ("SSH_TTY", "/dev/pts/0");
    let mut terminal = site.login(WIDE, &["--copy"], &[ssh, ("DISPLAY", "localhost:10.0")]);
    let code = terminal.code();
    terminal.until_it_says("The terminal was asked to copy the code");
    terminal.cancel();
    use base64ct::{Base64, Encoding as _};
    assert!(terminal.text().contains(&format!("\u{1b}]52;c;{}\u{7}", Base64::encode_string(code.as_bytes()))));

    let mut terminal = site.login(WIDE, &["--copy"], &[ssh, ("TERM", "dumb")]);
    terminal.until_it_says("--copy: there is no clipboard here");
    terminal.cancel();
    assert!(!terminal.text().contains('\u{1b}'));
}

/// The text of the QR code on the screen, as a camera reads it.
fn photographed(terminal: &Terminal) -> Option<String> {
    let screen = terminal.screen();
    let (rows, columns) = screen.size();
    let shade = |color, default| match color {
        vt100::Color::Default => default,
        vt100::Color::Idx(7) => 255,
        vt100::Color::Idx(_) | vt100::Color::Rgb(..) => 0,
    };
    let pixel = |x: usize, y: usize| {
        let cell = screen.cell(u16::try_from(y / 2).unwrap(), u16::try_from(x).unwrap()).unwrap();
        let lit = matches!((cell.contents(), y % 2), ("\u{2588}", _) | ("\u{2580}", 0) | ("\u{2584}", 1));
        if lit { shade(cell.fgcolor(), 255) } else { shade(cell.bgcolor(), 0) }
    };
    let (width, height) = (usize::from(columns) * 4, usize::from(rows) * 8);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixel(x / 4, y / 4));
    image.detect_grids().first().and_then(|grid| grid.decode().ok()).map(|(_, text)| text)
}

// R8628-3.3.1-1, R8628-3.3.1-3. It contains the complete address; where none can be drawn, a line says why.
#[test]
fn e11_the_qr_code_is_readable_or_not_drawn() {
    let site = Site::start();
    for env in [("X", "x"), ("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut terminal = site.login((80, 40), &["--qr"], &[env]);
        let code = terminal.code();
        terminal.until_it_says("Waiting");
        let complete = format!("{}/device?user_code={code}", site.server().base_url());
        assert_eq!(photographed(&terminal), Some(complete), "{env:?}");
        assert!(terminal.contents().contains(&format!("check that it shows the code {code}")));
        terminal.cancel();
    }
    for (size, env, why) in
        [((20, 60), ("X", "x"), "columns"), ((80, 20), ("X", "x"), "rows"), (WIDE, ("LC_ALL", "C"), "not UTF-8")]
    {
        let mut terminal = site.login(size, &["--qr"], &[env]);
        terminal.until_it_says("Waiting");
        terminal.cancel();
        let text = terminal.text();
        assert!(text.contains("No QR code: ") && text.contains(why), "{text}");
        assert!(!text.contains(['\u{2580}', '\u{2584}', '\u{2588}']), "{text}");
    }
    let words = [&[PROGRAM], &*site.words(&["--qr", "--timeout", "6s"])].concat();
    let mut terminal = site.run(WIDE, &words, &[], |command| {
        command.stderr(Stdio::piped());
    });
    let mut stderr = String::new();
    terminal.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(stderr.contains("No QR code: stderr is no terminal.\n"), "{stderr}");
}

// Whatever options are given with it.
#[test]
fn e13_json_draws_copies_and_offers_nothing_on_a_terminal() {
    let site = Site::start();
    let words = [&[PROGRAM], &*site.words(&["--json", "--qr", "--copy", "--open"])].concat();
    let mut terminal = site.run(WIDE, &words, &[("SSH_TTY", "x"), ("BROWSER", "true")], |command| {
        command.stdout(Stdio::piped());
    });
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(terminal.child.stdout.take().unwrap()));
    let first: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(site.server().approve(first["user_code"].as_str().unwrap()));
    let last = lines.map(Result::unwrap).last().unwrap();
    assert!(last.starts_with(r#"{"v":1,"event":"success""#), "{last}");
    assert!(terminal.end().success());
    assert_eq!(terminal.text(), "");
}
