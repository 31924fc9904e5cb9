//! Owns the tests of what two runs know of each other, and of what a run that is told to end still stores.

use super::site::{Running, Site, ended, events};
use device_flow_tokio::{FileStore, Store as _};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

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
    let locked =
        FileStore::new(site.home().join(".local/state/device-flow/tokens.json.unshared")).unwrap().lock().unwrap();
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
        let (exit, token, _) = crate::program::ended(&mut site.run(&["token"]));
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

fn codes_requested(site: &Site) -> usize {
    site.server.requests().iter().filter(|asked| asked.target == "/device").count()
}

#[test]
fn k20_a_second_login_says_that_one_is_waiting_and_shows_no_code() {
    let site = Site::new();
    let mut first = Running::start(&mut site.login(&["--json"]));
    let id = first.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    // The one that would end at once goes first, so that a second code is noticed at once.
    for more in [&["--no-wait"][..], &[], &["--scope", "mail"], &["--timeout", "60s"]] {
        let (exit, stdout, stderr) = ended(&mut site.login(more));
        assert_eq!((exit, &*stdout), (4, ""), "{stderr}");
        assert!(!stderr.contains("WDJB") && stderr.contains("is already waiting to be approved"), "{stderr}");
        assert!(stderr.contains(&format!("process {}", first.child.id())), "{stderr}");
        assert!(stderr.contains(&format!("device-flow login --resume {id}.")), "{stderr}");
        assert!(stderr.contains("device-flow login --force with the same options"), "{stderr}");
    }
    let (exit, events) = events(&mut site.login(&["--json"]));
    assert_eq!((exit, events.len()), (4, 1), "{events:?}");
    assert_eq!((&events[0]["code"], &events[0]["retryable"]), (&"already_waiting".into(), &true.into()));
    assert_eq!(codes_requested(&site), 1, "no second code was requested");

    // Other sign-ins go on: forced, of another client, into another store, of another profile.
    let elsewhere = site.home().join("elsewhere.json");
    for more in [
        &["--force"][..],
        &["--client-id", "other"],
        &["--token-file", elsewhere.to_str().unwrap()],
        &["--profile", "work"],
    ] {
        let mut other = site.login(&["--json", "--no-wait"]);
        // An option may not be given twice.
        let words: Vec<_> = other.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
        if more[0] == "--client-id" {
            let words = words.iter().map(|word| if word == "my-app" { "other" } else { word });
            other = site.run(&words.collect::<Vec<_>>());
        } else {
            other.args(more);
        }
        let (exit, stdout, stderr) = ended(&mut other);
        assert!(exit == 0 && stdout.contains("WDJB-MJHT"), "{more:?}: {stderr}{stdout}");
    }

    // A run that only resumes it counts as well.
    first.kill();
    let mut second = Running::start(&mut site.run(&["login", "--resume", &id, "--json"]));
    second.until("device_code");
    let (exit, _, stderr) = ended(&mut site.login(&[]));
    assert_eq!(exit, 4, "{stderr}");
    assert!(stderr.contains(&format!("process {} ", second.child.id())), "{stderr}");
    site.approve();
    second.succeeds();
    // And then somebody is signed in.
    let (exit, stdout, stderr) = ended(&mut site.login(&[]));
    assert_eq!((exit, &*stderr), (0, ""), "{stdout}");
}

// The other side: a run that no longer waits keeps nobody from starting.
#[test]
fn k20_a_login_that_was_killed_is_mentioned_and_holds_up_no_other() {
    let site = Site::new();
    let mut first = Running::start(&mut site.login(&["--json"]));
    let id = first.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    first.kill();
    let (exit, _, stderr) = ended(&mut site.login(&["--no-wait"]));
    assert_eq!(exit, 0, "{stderr}");
    let told = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("An earlier sign-in can still be finished") && told.contains(&id), "{stderr}");
    assert!(stderr.contains("WDJB-MJHT"), "{stderr}");
    // Nor does one that has ended well.
    site.approve();
    assert_eq!(ended(&mut site.login(&[])).0, 0);
    assert_eq!(ended(&mut site.login(&["--scope", "more", "--no-wait"])).0, 0);
}

#[test]
fn k20_of_logins_that_start_at_the_same_moment_one_shows_a_code() {
    let site = Site::new();
    let (tell, ends) = channel();
    for _ in 0..4 {
        let (run, tell) = (site.login(&["--json"]).spawn().unwrap(), tell.clone());
        thread::spawn(move || tell.send(run.wait_with_output().unwrap()));
    }
    // All but one end by themselves.
    let next = || ends.recv_timeout(Duration::from_secs(60)).expect("a run that ends");
    let ended: Vec<_> = (0..3).map(|_| next()).collect();
    assert_eq!(codes_requested(&site), 1);
    site.approve();
    let first = next();
    assert!(first.status.success());
    let shown = String::from_utf8(first.stdout).unwrap();
    let shown: serde_json::Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    let id = shown["resume_id"].as_str().unwrap();
    for end in ended {
        let stdout = String::from_utf8(end.stdout).unwrap();
        assert_eq!(end.status.code(), Some(4), "{stdout}");
        assert!(stdout.lines().count() == 1 && stdout.contains(&format!("--resume {id}")), "{stdout}");
    }
    assert_eq!(site.left(), [""; 0]);
}
