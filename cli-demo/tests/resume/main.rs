//! The binary on sign-ins that one run begins and another ends: `--no-wait`, `--resume`, and runs that are killed;
//! always within
//! the polling law, as the server sees it.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to report"
)]

mod site;

use rustix::process::Signal;
use serde_json::Value;
use site::{Running, Site, ended, events};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn no_wait_shows_the_code_and_another_process_gets_the_token() {
    let site = Site::new();
    let (exit, events) = events(&mut site.login(&["--no-wait", "--json", "--scope", "mail"]));
    assert_eq!((exit, events.len()), (0, 2), "{events:?}");
    let id = events[0]["resume_id"].as_str().unwrap();
    assert_eq!((&events[0]["event"], &events[0]["user_code"]), (&"device_code".into(), &"WDJB-MJHT".into()));
    assert_eq!((&events[1]["event"], events[1]["resume_id"].as_str()), (&"pending".into(), Some(id)));
    assert_eq!(site.server.polls().len(), 0);

    // F01: for nobody else to read, and without a token, for there is none. A device code is what it is about.
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&site.folder()), mode(&site.file(id))), (0o700, 0o600));
    let stored = fs::read_to_string(site.file(id)).unwrap();
    assert!(stored.contains("device-code-1-canary") && !stored.contains("token-1"), "no other secret");

    site.approve();
    let mut resumed = Running::start(&mut site.run(&["login", "--resume", id, "--json"]));
    let shown = resumed.until("device_code");
    assert_eq!(
        (&shown["user_code"], &shown["resume_id"]),
        (&"WDJB-MJHT".into(), &id.into()),
        "the code is shown again"
    );
    let success = resumed.succeeds();
    assert_eq!(
        (&success["profile"], &success["source"], &success["storage"]),
        (&"default".into(), &"device_flow".into(), &"file".into())
    );
    assert_eq!(site.server.polls().len(), 1);
    assert_eq!(site.left(), [""; 0], "nothing is left of it");

    // It is remembered as `login` does.
    let (exit, token, _) = {
        let output = site.run(&["token"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), ())
    };
    assert_eq!((exit, &*token), (Some(0), "token-1-canary\n"));
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume", id]));
    assert_eq!(exit, 2);
    assert!(stderr.contains(&format!("there is no sign-in {id}")), "{stderr}");
    // Signed in, there is nothing to wait for.
    let (exit, stdout, stderr) = ended(&mut site.run(&["login", "--no-wait"]));
    assert_eq!((exit, &*stderr), (0, ""));
    assert!(stdout.contains("(stored earlier, still valid)"), "{stdout}");
}

#[test]
fn a_person_is_told_how_to_go_on_and_needs_no_id() {
    let site = Site::new();
    let (exit, stdout, stderr) = ended(&mut site.login(&["--no-wait"]));
    assert_eq!(exit, 0, "{stderr}");
    assert!(stderr.contains("2. Enter the code        WDJB-MJHT"), "{stderr}");
    assert!(!stderr.contains("Waiting") && !stderr.contains("Ctrl-C"), "nobody waits: {stderr}");
    let name = site.left().into_iter().find(|name| name.ends_with(".json")).unwrap();
    let id = name.strip_suffix(".json").unwrap();
    assert!(
        stdout.starts_with("Before 2")
            && stdout.ends_with(&format!("finish the sign-in with:  device-flow login --resume {id}\n")),
        "{stdout}"
    );

    // Another one is announced to whoever begins anew.
    let (exit, _, stderr) = ended(&mut site.login(&["--timeout", "1"]));
    assert_eq!(exit, 5);
    assert!(
        stderr.contains("An earlier sign-in can still be finished") && stderr.contains(&format!("--resume {id}")),
        "{stderr}"
    );
    // And so they are two, of which one has to be named.
    let last = stderr.lines().last().unwrap().to_owned();
    assert!(last.contains("within 1 s (--timeout). To resume: device-flow login --resume "), "{last}");
    let other = last.rsplit(' ').next().unwrap();
    assert_ne!(other, id);
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume"]));
    assert_eq!(exit, 2);
    assert!(
        stderr.contains("several sign-ins can be resumed") && stderr.contains(id) && stderr.contains(other),
        "{stderr}"
    );
    let (exit, ..) = events_of_denial(&site, other);
    assert_eq!((exit, site.file(other).exists()), (3, false), "what is denied is over");
    site.approve();
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume"]));
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(site.left(), [""; 0]);
}

fn events_of_denial(site: &Site, id: &str) -> (i32, Vec<Value>) {
    site.say(|says| says.first.push("access_denied"));
    events(&mut site.run(&["login", "--resume", id, "--json"]))
}

// The run is killed while it waits: with nothing said after it, and with the wait that a poll has brought.
#[test]
fn killed_while_it_waits_another_run_gets_the_token() {
    let site = Site::new();
    let mut first = Running::start(&mut site.login(&["--json", "--request-timeout", "1s"]));
    let id = first.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    first.kill();
    let mut second = Running::start(&mut site.run(&["login", "--resume", "--json"]));
    assert_eq!(second.until("device_code")["resume_id"], id);
    site.polled();
    site.polled();
    second.kill();
    site.approve();
    assert_eq!(Running::start(&mut site.run(&["login", "--resume", &id, "--json"])).succeeds()["profile"], "default");
    assert!(site.gaps().iter().all(|gap| *gap >= SECOND), "{:?}", site.gaps());
    assert_eq!((site.server.polls().len(), site.left()), (3, vec![]));
}

// Rules 4 and 5 across a kill, D05: the longer interval stays, whatever the wall clock says in the meantime.
#[test]
fn d05_killed_after_slow_down_the_next_run_keeps_the_longer_interval() {
    let site = Site::new();
    site.say(|says| says.first.push("slow_down"));
    let mut first = Running::start(&mut site.login(&["--json"]));
    let id = first.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    assert_eq!(first.until("slow_down")["interval"], 6);
    first.kill();
    site.approve();
    if cfg!(target_os = "linux") {
        // As if the clock had been put forward by five minutes.
        site.tamper(&id, |stored| {
            stored["taken"]["wall"] = (stored["taken"]["wall"].as_u64().unwrap() - 300_000).into()
        });
    }
    let mut second = Running::start(&mut site.run(&["login", "--resume", &id, "--json"]));
    let shown = second.until("device_code");
    assert_eq!(shown["interval"], 6);
    assert!(shown["expires_in"].as_u64().unwrap() > 590, "{shown}");
    second.succeeds();
    let gaps = site.gaps();
    assert!(gaps.len() == 1 && gaps[0] >= 6 * SECOND, "{gaps:?}");
}

// Rule 5: a poll in flight counts as failed when its process died, and the wait after a failure is twice the interval.
// Nobody
// knows when that was: at the latest, at the end of the longest request.
#[test]
fn killed_with_a_poll_in_flight_the_next_run_waits_as_after_a_failure() {
    let site = Site::new();
    site.say(|says| says.mute = true);
    let mut first = Running::start(&mut site.login(&["--json", "--request-timeout", "5s"]));
    let id = first.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    site.polled();
    first.kill();
    site.say(|says| (says.mute, says.approved) = (false, true));
    // As if the poll had been under way for four seconds already.
    site.tamper(&id, |stored| {
        for time in ["/taken/wall", "/taken/boot/up"] {
            if let Some(time) = stored.pointer_mut(time) {
                *time = (time.as_u64().unwrap() - 4_000).into();
            }
        }
    });
    Running::start(&mut site.run(&["login", "--resume", "--json"])).succeeds();
    let gaps = site.gaps();
    assert!(gaps.len() == 1 && gaps[0] >= 2 * SECOND, "{gaps:?}");
}

// The same, but the run could still write down when it gave the poll up.
#[test]
fn a_poll_that_is_given_up_is_written_down() {
    let site = Site::new();
    site.say(|says| says.mute = true);
    let mut first = Running::start(&mut site.login(&["--json"]));
    let id = first.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    site.polled();
    assert_eq!(first.signalled(Signal::TERM).0, 143);
    let stored: Value = serde_json::from_slice(&fs::read(site.file(&id)).unwrap()).unwrap();
    assert_eq!(
        (&stored["in_flight"], &stored["flow"]["v1"]["failures"]),
        (&0.into(), &1.into()),
        "{}",
        stored["taken"]
    );
    site.say(|says| (says.mute, says.approved) = (false, true));
    Running::start(&mut site.run(&["login", "--resume", "--json"])).succeeds();
    let gaps = site.gaps();
    assert!(gaps.len() == 1 && gaps[0] >= 2 * SECOND && gaps[0] < 20 * SECOND, "{gaps:?}");
}

#[test]
fn of_two_that_would_poll_the_second_is_refused() {
    let site = Site::new();
    let mut first = Running::start(&mut site.login(&["--json"]));
    let id = first.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    for words in [&["login", "--resume", &id][..], &["login", "--resume"]] {
        let (exit, stdout, stderr) = ended(site.run(words).env("DEVICE_FLOW_TIMEOUT", "5s"));
        assert_eq!((exit, &*stdout), (2, ""));
        assert!(stderr.contains(&format!("process {}", first.child.id())), "{stderr}");
        assert!(stderr.contains(&format!("is still waiting for the sign-in {id}")), "{stderr}");
    }
    assert!(site.gaps().iter().all(|gap| *gap >= SECOND), "{:?}", site.gaps());

    // What nobody waits for is meant before it.
    let other = site.begin(&[]);
    let mut second = Running::start(&mut site.run(&["login", "--resume", "--json"]));
    assert_eq!(second.until("device_code")["resume_id"], other);
    second.kill();
    fs::remove_file(site.file(&other)).unwrap();

    site.approve();
    first.succeeds();
}

// E01, E02: Ctrl-C means no, the others mean later.
#[test]
fn ctrl_c_forgets_the_sign_in_and_other_ends_keep_it() {
    let site = Site::new();
    let begin = || {
        let mut run = Running::start(&mut site.login(&["--json"]));
        let id = run.until("device_code")["resume_id"].as_str().unwrap().to_owned();
        (run, id)
    };
    let (run, _) = begin();
    let (exit, end) = run.signalled(Signal::INT);
    assert_eq!((exit, &end["message"], site.left()), (130, &"cancelled".into(), vec![]));
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 143)] {
        let (run, id) = begin();
        let (exit, end) = run.signalled(signal);
        assert_eq!(exit, code);
        assert_eq!(end["message"], format!("terminated. To resume: device-flow login --resume {id}"));
        assert!(site.file(&id).exists());
        // And a Ctrl-C in the run that goes on.
        let mut run = Running::start(&mut site.run(&["login", "--resume", &id, "--json"]));
        run.until("device_code");
        assert_eq!(run.signalled(Signal::INT).0, 130);
        assert_eq!(site.left(), [""; 0]);
    }
}

#[test]
fn what_has_expired_ends_with_5_and_is_swept() {
    let site = Site::new();
    let expired = |id: &str| site.tamper(id, |stored| stored["expires_in"] = 0.into());
    let id = site.begin(&[]);
    expired(&id);
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume", &id]));
    assert_eq!(exit, 5);
    assert!(stderr.contains(&format!("the code of the sign-in {id} has expired: start again")), "{stderr}");
    assert_eq!(site.left(), [""; 0]);

    // Whatever is dead goes when anybody signs in; what lives and what may live stays.
    let (dead, alive, odd) = (site.begin(&[]), site.begin(&[]), site.begin(&[]));
    expired(&dead);
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume", &dead.to_uppercase()]));
    assert_eq!(exit, 5, "{stderr}");
    let dead = site.begin(&[]);
    expired(&dead);
    fs::write(site.file(&odd), "{").unwrap();
    fs::write(site.folder().join("00000000aa.json.flock"), "").unwrap();
    fs::write(site.folder().join(".00000000aa.json.tmp-1-1"), "device-code-canary").unwrap();
    fs::write(site.folder().join("notes.txt"), "of somebody else").unwrap();
    let old = site.begin(&[]);
    fs::write(site.file(&old), "{").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    fs::File::options().write(true).open(site.file(&old)).unwrap().set_modified(long_ago).unwrap();
    let new = site.begin(&[]);
    let mut expected = vec!["notes.txt".to_owned()];
    for id in [alive, odd, new] {
        expected.extend([format!("{id}.json"), format!("{id}.json.flock")]);
    }
    expected.sort();
    assert_eq!(site.left(), expected);
}

#[test]
fn what_is_damaged_or_from_another_version_ends_with_8() {
    let site = Site::new();
    let asked = || site.server.requests().len();
    let (whole, id) = {
        let id = site.begin(&[]);
        (fs::read_to_string(site.file(&id)).unwrap(), id)
    };
    let before = asked();
    for (text, says) in [
        ("", "there is no sign-in"),
        ("{", "is damaged: start a new one"),
        ("[]", "is damaged"),
        (r#"{"v":1}"#, "is damaged"),
        (r#"{"v":2,"flow":"device-code-canary"}"#, "is of version 2, and this program knows version 1"),
        (&whole[..whole.len() / 2], "is damaged"),
        (&whole.replace(r#""poll_in_ms":"#, r#""poll_in_ms":-"#), "is damaged"),
        (&whole.replace("device-code-1-canary", "device code canary"), "is damaged (device code)"),
        (&whole.replace(r#""interval":1"#, r#""interval":0"#), "is damaged (times)"),
    ] {
        fs::write(site.file(&id), text).unwrap();
        let (exit, stdout, stderr) = ended(&mut site.run(&["login", "--resume", &id]));
        let expected = if text.is_empty() { 2 } else { 8 };
        assert_eq!((exit, &*stdout), (expected, ""), "{says}: {stderr}");
        assert!(stderr.contains(says) && stderr.lines().count() == 1, "{says}: {stderr}");
    }
    // F03: nor is anything read through what is not a file of its own.
    let elsewhere = site.home().join("elsewhere");
    fs::write(&elsewhere, &whole).unwrap();
    let _ = fs::remove_file(site.file(&id));
    std::os::unix::fs::symlink(&elsewhere, site.file(&id)).unwrap();
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume", &id]));
    assert_eq!(exit, 8);
    assert!(stderr.contains("is a symbolic link"), "{stderr}");
    assert_eq!(asked(), before, "nobody was asked");
}

#[test]
fn an_id_leads_nowhere_else() {
    let site = Site::new();
    let id = site.begin(&[]);
    fs::create_dir_all(site.home().join(".local/state/device-flow/other")).unwrap();
    let stolen = site.home().join(".local/state/device-flow/other/0123456789.json");
    fs::copy(site.file(&id), &stolen).unwrap();
    for tricks in [
        "../other/0123456789",
        "./0123456789",
        stolen.with_extension("").to_str().unwrap(),
        "",
        "..",
        "é",
        "0123456789.json",
    ] {
        let (exit, stdout, stderr) = ended(&mut site.run(&["login", "--resume", tricks]));
        assert_eq!((exit, &*stdout), (2, ""), "{tricks}: {stderr}");
        assert!(stderr.contains("is not the id of a sign-in"), "{tricks}: {stderr}");
    }
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume", "0123456789"]));
    assert_eq!(exit, 2);
    assert!(stderr.contains("there is no sign-in 0123456789"), "{stderr}");
    assert_eq!(site.left(), [format!("{id}.json"), format!("{id}.json.flock")], "nothing was made");
    assert_eq!(site.server.polls().len(), 0);
}

#[test]
fn what_was_said_at_the_beginning_stays_said() {
    let site = Site::new();
    let (config, elsewhere) = (site.home().join("my.toml"), site.home().join("tokens/mine.json"));
    let (config, place) = (config.to_str().unwrap(), elsewhere.to_str().unwrap());
    let mut begin = site.login(&[
        "--no-wait",
        "--json",
        "--profile",
        "work",
        "--config",
        "my.toml",
        "--scope",
        "mail",
        "--token-file",
        "tokens/mine.json",
    ]);
    let (exit, events) = events(begin.current_dir(site.home()));
    assert_eq!((exit, &events[1]["profile"]), (0, &"work".into()), "{events:?}");
    let id = events[1]["resume_id"].as_str().unwrap();
    for (words, says) in [
        (&["--scope", "everything"][..], "--scope was said when the sign-in began"),
        (&["--client-id", "other"], "--client-id was set"),
        (&["--profile", "home"], "this sign-in belongs to profile work, not to home"),
        (&["--no-wait"], "cannot be used with"),
        (&["--force"], "cannot be used with"),
    ] {
        let (exit, _, stderr) = ended(&mut site.run(&[&["login", "--resume", id], words].concat()));
        assert_eq!(exit, 2, "{words:?}");
        assert!(stderr.contains(says), "{words:?}: {stderr}");
    }
    // What the environment says now is for sign-ins that begin now.
    site.approve();
    let mut resume = site.run(&["login", "--resume", id]);
    resume
        .env("DEVICE_FLOW_CLIENT_ID", "other")
        .env("DEVICE_FLOW_SCOPE", "everything")
        .env("DEVICE_FLOW_STORE", "memory");
    let (exit, stdout, stderr) = ended(&mut resume);
    assert_eq!(exit, 0, "{stderr}");
    assert!(stdout.contains("scopes         mail"), "{stdout}");
    let text = fs::read_to_string(config).unwrap();
    assert!(
        text.contains("[profile.work]") && text.contains(place) && text.contains(r#"client-id = "my-app""#),
        "{text}"
    );
    assert!(elsewhere.exists() && site.left().is_empty());
}

// RFC 6749 §2.3.1: a secret is never written down, so it has to be given again.
#[test]
fn a_secret_from_stdin_is_given_again() {
    let site = Site::new();
    let with_secret = |mut command: Command| {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"secret-canary\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).contains("canary"));
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let words = ["--no-wait", "--client-secret-file", "-", "--client-auth", "post"];
    let (exit, stdout) = with_secret(site.login(&words));
    assert_eq!(exit, 0);
    let how: Vec<_> = stdout.trim().rsplit("with:  ").next().unwrap().split(' ').collect();
    assert_eq!(
        (how[..3].join(" "), &how[4..]),
        ("device-flow login --resume".to_owned(), &["--client-secret-file", "-"][..])
    );
    let id = how[3];
    assert!(!fs::read_to_string(site.file(id)).unwrap().contains("secret-canary"));
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume", id]));
    assert_eq!(exit, 2);
    assert!(
        stderr.contains("needs the client secret again") && stderr.trim_end().ends_with("--client-secret-file -"),
        "{stderr}"
    );
    site.approve();
    assert_eq!(with_secret(site.run(&how[1..])).0, 0);
    assert!(site.server.polls()[0].body.contains("client_secret=secret-canary"));
    // The profile can be read by the next run.
    let (exit, stdout, stderr) = ended(&mut site.run(&["list"]));
    assert_eq!((exit, &*stderr), (0, ""), "{stdout}");
}

// F13, E07: where nothing can be kept, --no-wait ends before anybody is asked; a plain login says so and goes on.
#[test]
fn f13_a_place_that_does_not_do() {
    let site = Site::new();
    let blocked = site.home().join("blocked");
    fs::write(&blocked, "").unwrap();
    let tokens = site.home().join("tokens.json");
    let words = ["--token-file", tokens.to_str().unwrap()];
    let (exit, stdout, stderr) =
        ended(site.login(&[&words[..], &["--no-wait"]].concat()).env("XDG_STATE_HOME", &blocked));
    assert_eq!((exit, &*stdout, site.server.requests().len()), (8, "", 0), "{stderr}");
    assert!(stderr.contains("--no-wait keeps the sign-in in a file, and that failed: "), "{stderr}");

    site.approve();
    let (exit, _, stderr) = ended(site.login(&words).env("XDG_STATE_HOME", &blocked));
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(stderr.matches("it cannot be resumed").count(), 1, "{stderr}");
    let (_, stdout, _) =
        ended(site.login(&[&words[..], &["--force", "--json"]].concat()).env("XDG_STATE_HOME", &blocked));
    assert!(stdout.contains("device_code") && !stdout.contains("resume_id"), "nothing is promised: {stdout}");

    // What is to be kept nowhere is kept nowhere.
    let asked = site.server.requests().len();
    let (exit, _, stderr) = ended(&mut site.login(&["--store", "memory", "--no-wait"]));
    assert_eq!((exit, site.server.requests().len()), (2, asked), "{stderr}");
    let (exit, ..) = ended(&mut site.login(&["--store", "memory", "--json"]));
    assert_eq!((exit, site.folder().exists()), (0, false));
}

// When it turns out in the midst of the wait: what is there is too old to go on with.
#[test]
fn what_cannot_be_kept_up_to_date_is_not_resumed() {
    let site = Site::new();
    site.say(|says| says.mute = true);
    let mut run = Running::start(&mut site.login(&["--json"]));
    let id = run.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    site.polled();
    // Somebody takes it away.
    fs::remove_file(site.file(&id)).unwrap();
    site.say(|says| says.mute = false);
    site.polled();
    let (exit, end) = run.signalled(Signal::TERM);
    assert_eq!((exit, &end["message"], site.left()), (143, &"terminated".into(), vec![]));
}
