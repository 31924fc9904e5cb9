//! Owns the server, the home folder and the processes of these tests.

use crate::program::{self, program};
use device_flow_testkit::loopback::{JSON, Loopback, answer, error_answer, token_answer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How the server answers polls.
#[derive(Default)]
pub(crate) struct Answers {
    /// Errors for the next polls.
    pub(crate) first: Vec<&'static str>,
    pub(crate) approved: bool,
    /// Polls get no answer.
    pub(crate) mute: bool,
}

/// A server with an interval of one second, and a home folder.
pub(crate) struct Site {
    pub(crate) server: Loopback,
    answers: Arc<(Mutex<Answers>, Condvar)>,
    /// One message for each poll that arrived.
    polled: Receiver<()>,
    home: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let answers = Arc::new((Mutex::new(Answers::default()), Condvar::new()));
        let (tell, polled) = channel();
        let (shared, tell) = (Arc::clone(&answers), Mutex::new(tell));
        let server = Loopback::http(move |asked, wire| {
            if asked.target != "/token" {
                let code = r#"{"device_code":"device-code-1-canary","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":600,"interval":1}"#;
                return answer(wire, 200, JSON, code);
            }
            tell.lock().unwrap().send(()).unwrap();
            let mut answers = shared.1.wait_while(shared.0.lock().unwrap(), |answers| answers.mute).unwrap();
            if !answers.first.is_empty() {
                let error = answers.first.remove(0);
                return error_answer(wire, error);
            }
            if answers.approved { token_answer(wire) } else { error_answer(wire, "authorization_pending") }
        });
        Self { server, answers, polled, home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.0.lock().unwrap());
        self.answers.1.notify_all();
    }

    pub(crate) fn approve(&self) {
        self.set(|answers| answers.approved = true);
    }

    /// Waits for a poll to arrive.
    pub(crate) fn polled(&self) {
        self.polled.recv_timeout(Duration::from_secs(60)).expect("a poll");
    }

    /// The binary with these arguments.
    pub(crate) fn run(&self, words: &[&str]) -> Command {
        let mut command = program("device-flow", self.home());
        command.args(words).env("DEVICE_FLOW_STORE", "file");
        command
    }

    /// `login` with the options that name the server.
    pub(crate) fn login(&self, more: &[&str]) -> Command {
        let (device, token) = (self.server.url("/device"), self.server.url("/token"));
        let words = [
            "login",
            "--device-endpoint",
            &device,
            "--token-endpoint",
            &token,
            "--client-id",
            "my-app",
            "--allow-http-loopback",
        ];
        self.run(&[&words, more].concat())
    }

    /// Runs `login --no-wait`, and returns the id.
    pub(crate) fn begin(&self, more: &[&str]) -> String {
        let (exit, events) = events(&mut self.login(&[&["--no-wait", "--json"], more].concat()));
        assert_eq!(exit, 0, "{events:?}");
        events.last().unwrap()["resume_id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home().join(".local/state/device-flow/pending")
    }

    pub(crate) fn file(&self, id: &str) -> PathBuf {
        self.folder().join(format!("{id}.json"))
    }

    /// Changes a stored sign-in.
    pub(crate) fn tamper(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let mut stored = serde_json::from_slice(&fs::read(self.file(id)).unwrap()).unwrap();
        change(&mut stored);
        fs::write(self.file(id), stored.to_string()).unwrap();
    }

    /// The names of all files of pending sign-ins.
    pub(crate) fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder()).into_iter().flatten();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The times between polls, as the server saw them.
    pub(crate) fn gaps(&self) -> Vec<Duration> {
        self.server.polls().windows(2).map(|two| two[1].at - two[0].at).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.set(|answers| answers.mute = false);
    }
}

/// A process whose events are read one by one.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Reads until this event.
    pub(crate) fn until(&mut self, name: &str) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                let mut stderr = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
                panic!("it ended without the event {name}: {stderr}");
            }
            program::schema::check(&line);
            let event: Value = serde_json::from_str(&line).unwrap();
            assert!(!line.contains("canary"), "a secret is in the output");
            if event["event"] == name {
                return event;
            }
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().code(), None, "killed");
    }

    /// Exit code and last event.
    pub(crate) fn signalled(mut self, signal: Signal) -> (i32, Value) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let end = self.until("error");
        (self.child.wait().unwrap().code().unwrap(), end)
    }

    pub(crate) fn succeeds(mut self) -> Value {
        let end = self.until("success");
        assert!(self.child.wait().unwrap().success());
        end
    }
}

/// Exit code and all events.
pub(crate) fn events(command: &mut Command) -> (i32, Vec<Value>) {
    let (exit, stdout, stderr) = ended(command);
    assert_eq!(stderr, "", "{stdout}");
    (exit, stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Exit code, stdout, stderr.
pub(crate) fn ended(command: &mut Command) -> (i32, String, String) {
    let (exit, stdout, stderr) = program::ended(command);
    assert!(!(stdout.clone() + &stderr).contains("canary"), "a secret is in the output");
    (exit, stdout, stderr)
}
