//! Owns the tests of what two runs know of each other, and of what a run that is told to end still stores.

use super::site::Site;
use device_flow_tokio::{FileStore, Store as _};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr};

/// A run of which the test reads the log.
struct Logged {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Logged {
    fn start(site: &Site, words: &[&str]) -> Self {
        let mut child = site.run(&[words, &["-v"]].concat()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// Reads until a line that has this in it.
    fn until(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "it ended without {text}");
        }
        line
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Exit code and last line.
    fn ends(mut self) -> (i32, String) {
        let lines: Vec<_> = self.log.lines().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code().unwrap(), lines.last().cloned().unwrap_or_default())
    }
}

/// A run whose sign-in is approved, while another program has the lock of the store; and that lock.
fn approved_and_waiting(site: &Site) -> (Logged, Box<dyn device_flow_tokio::Locked>) {
    let id = site.begin(&["--force"]);
    let locked = FileStore::new(site.home().join(".local/state/device-flow/tokens.json")).unwrap().lock().unwrap();
    site.approve();
    let mut run = Logged::start(site, &["login", "--resume", &id]);
    run.until("/token: HTTP status 200");
    (run, locked)
}

#[test]
fn k02_a_signal_after_the_approval_waits_until_the_tokens_are_stored() {
    for (signal, code, text) in
        [(Signal::TERM, 143, "terminated"), (Signal::HUP, 143, "terminated"), (Signal::INT, 130, "cancelled")]
    {
        let site = Site::new();
        let (mut run, locked) = approved_and_waiting(&site);
        run.signal(signal);
        run.until("tokens are stored first");
        assert!(site.left().iter().any(|name| name.ends_with(".json")), "the sign-in is not forgotten yet");
        drop(locked);
        let (exit, last) = run.ends();
        assert_eq!(exit, code);
        assert!(last.contains(&format!("{text}; but the sign-in was complete, and its tokens are stored")), "{last}");
        assert_eq!(site.left(), [""; 0], "now it is forgotten");
        let (exit, token, _) = super::program::ended(&mut site.run(&["token"]));
        assert_eq!((exit, &*token), (0, "token-1-canary\n"));
    }
}

#[test]
fn k02_a_sign_in_whose_tokens_are_not_stored_is_not_forgotten() {
    let site = Site::new();
    let (mut run, locked) = approved_and_waiting(&site);
    run.signal(Signal::TERM);
    run.until("tokens are stored first");
    // The second signal ends it, whatever it waits for.
    run.signal(Signal::TERM);
    let (exit, last) = run.ends();
    assert_eq!(exit, 143);
    assert!(last.contains("terminated. To resume: device-flow login --resume "), "{last}");
    assert!(site.left().iter().any(|name| name.ends_with(".json")), "{:?}", site.left());
    drop(locked);
}
