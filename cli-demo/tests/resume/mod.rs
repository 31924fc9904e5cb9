//! The binary on sign-ins that one run begins and another finishes: `--no-wait`, `--resume`, and runs that are killed;
//! always within the polling law, as the server sees it.
#![cfg(unix)]

mod keeping;
mod site;

use crate::program;
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

    // F01: readable by the owner only; the only secret in it is the device code.
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&site.folder()), mode(&site.file(id))), (0o700, 0o600));
    let stored = fs::read_to_string(site.file(id)).unwrap();
    assert!(stored.contains("device-code-1-canary") && !stored.contains("token-1"), "no other secret");
    // In the form of 0.1.0, so that either version can finish what the other began.
    let stored: Value = serde_json::from_str(&stored).unwrap();
    let members: Vec<_> = stored.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["expires_in", "flow", "in_flight", "taken", "v", "words"]);
    assert_eq!(stored["expires_in"], stored["flow"]["v1"]["schedule"]["expires_in_ms"]);
    let members: Vec<_> = stored["words"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["config", "named", "profile", "secret_from_stdin", "settings"]);
    assert_eq!(stored["words"]["settings"]["client-id"], serde_json::json!(["my-app"]));

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

    // The profile is saved as `login` does.
    let (exit, token, _) = program::ended(&mut site.run(&["token"]));
    assert_eq!((exit, &*token), (0, "token-1-canary\n"));
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume", id]));
    assert_eq!(exit, 2);
    assert!(stderr.contains(&format!("there is no sign-in {id}")), "{stderr}");
    // Once signed in, there is no code to show.
    let (exit, stdout, stderr) = ended(&mut site.run(&["login", "--no-wait"]));
    assert_eq!((exit, &*stderr), (0, ""));
    assert!(stdout.contains("(stored earlier, still valid)"), "{stdout}");
}

#[test]
fn a_person_sees_how_to_resume_and_needs_no_id() {
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

    // A new sign-in mentions the earlier one.
    let (exit, _, stderr) = ended(&mut site.login(&["--timeout", "1"]));
    assert_eq!(exit, 5);
    assert!(
        stderr.contains("An earlier sign-in can still be finished") && stderr.contains(&format!("--resume {id}")),
        "{stderr}"
    );
    // Now there are two, so one of them must be named.
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
    assert_eq!((exit, site.file(other).exists()), (3, false), "a denied sign-in is over");
    site.approve();
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume"]));
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(site.left(), [""; 0]);
}

fn events_of_denial(site: &Site, id: &str) -> (i32, Vec<Value>) {
    site.set(|answers| answers.first.push("access_denied"));
    events(&mut site.run(&["login", "--resume", id, "--json"]))
}

// Killed in the first wait, and in the wait after a poll.
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

// Rules 4 and 5: the longer interval stays, whatever the wall clock says in between.
#[test]
fn d05_killed_after_slow_down_the_next_run_keeps_the_longer_interval() {
    let site = Site::new();
    site.set(|answers| answers.first.push("slow_down"));
    let mut first = Running::start(&mut site.login(&["--json"]));
    let id = first.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    assert_eq!(first.until("slow_down")["interval"], 6);
    first.kill();
    site.approve();
    if cfg!(target_os = "linux") {
        // As if the clock had been set forward by five minutes.
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
// When it died is unknown: at the latest, when the longest request would have ended.
#[test]
fn killed_with_a_poll_in_flight_the_next_run_waits_as_after_a_failure() {
    let site = Site::new();
    site.set(|answers| answers.mute = true);
    let mut first = Running::start(&mut site.login(&["--json", "--request-timeout", "5s"]));
    let id = first.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    site.polled();
    first.kill();
    site.set(|answers| (answers.mute, answers.approved) = (false, true));
    // As if the poll had been in flight for four seconds already.
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

// Rule 8: the wait after such a poll may begin late, but the code lives no longer for that.
#[test]
fn killed_with_a_poll_in_flight_the_next_run_does_not_poll_after_the_code_has_expired() {
    let site = Site::new();
    site.set(|answers| answers.mute = true);
    let mut first = Running::start(&mut site.login(&["--json", "--request-timeout", "60s"]));
    let id = first.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    site.polled();
    first.kill();
    site.set(|answers| (answers.mute, answers.approved) = (false, true));
    // As if that was forty seconds ago, and the code lived for a second more than that.
    site.tamper(&id, |stored| {
        for time in ["/taken/wall", "/taken/boot/up"] {
            if let Some(time) = stored.pointer_mut(time) {
                *time = time.as_u64().unwrap().saturating_sub(40_000).into();
            }
        }
        stored["flow"]["v1"]["schedule"]["expires_in_ms"] = 41_000.into();
    });
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume", &id]));
    assert_eq!((exit, site.server.polls().len()), (5, 1), "{stderr}");
    assert_eq!(site.left(), [""; 0]);
}

// When the run could still store that it abandoned the poll.
#[test]
fn an_abandoned_poll_is_stored_as_a_failure() {
    let site = Site::new();
    site.set(|answers| answers.mute = true);
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
    site.set(|answers| (answers.mute, answers.approved) = (false, true));
    Running::start(&mut site.run(&["login", "--resume", "--json"])).succeeds();
    let gaps = site.gaps();
    assert!(gaps.len() == 1 && gaps[0] >= 2 * SECOND && gaps[0] < 20 * SECOND, "{gaps:?}");
}

#[test]
fn a_second_run_cannot_poll_for_the_same_sign_in() {
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

    // A sign-in that no run polls for comes first.
    let other = site.begin(&["--force"]);
    let mut second = Running::start(&mut site.run(&["login", "--resume", "--json"]));
    assert_eq!(second.until("device_code")["resume_id"], other);
    second.kill();
    fs::remove_file(site.file(&other)).unwrap();

    site.approve();
    first.succeeds();
}

// E01, E02.
#[test]
fn ctrl_c_forgets_the_sign_in_and_other_signals_keep_it() {
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
        // And Ctrl-C in the run that resumes it.
        let mut run = Running::start(&mut site.run(&["login", "--resume", &id, "--json"]));
        run.until("device_code");
        assert_eq!(run.signalled(Signal::INT).0, 130);
        assert_eq!(site.left(), [""; 0]);
    }
}

#[test]
fn an_expired_sign_in_ends_with_5_and_is_swept() {
    let site = Site::new();
    let expired = |id: &str| site.tamper(id, |stored| stored["flow"]["v1"]["schedule"]["expires_in_ms"] = 0.into());
    let id = site.begin(&[]);
    expired(&id);
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume", &id]));
    assert_eq!(exit, 5);
    assert!(stderr.contains(&format!("the code of the sign-in {id} has expired: start again")), "{stderr}");
    assert_eq!(site.left(), [""; 0]);

    // Every sign-in sweeps what is dead; what is or may be alive stays.
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
fn a_damaged_sign_in_or_one_of_another_version_ends_with_8() {
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
    // F03: a symbolic link is not followed.
    let elsewhere = site.home().join("elsewhere");
    fs::write(&elsewhere, &whole).unwrap();
    let _ = fs::remove_file(site.file(&id));
    std::os::unix::fs::symlink(&elsewhere, site.file(&id)).unwrap();
    let (exit, _, stderr) = ended(&mut site.run(&["login", "--resume", &id]));
    assert_eq!(exit, 8);
    assert!(stderr.contains("is a symbolic link"), "{stderr}");
    assert_eq!(asked(), before, "there was no request");
}

#[test]
fn an_id_is_never_a_path() {
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
    assert_eq!(site.left(), [format!("{id}.json"), format!("{id}.json.flock")], "nothing was created");
    assert_eq!(site.server.polls().len(), 0);
}

#[test]
fn the_options_of_the_run_that_began_it_stay() {
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
        (&["--scope", "everything"][..], "--scope was set when the sign-in began"),
        (&["--client-id", "other"], "--client-id was set"),
        (&["--profile", "home"], "this sign-in belongs to profile work, not to home"),
        (&["--no-wait"], "cannot be used with"),
        (&["--force"], "cannot be used with"),
    ] {
        let (exit, _, stderr) = ended(&mut site.run(&[&["login", "--resume", id], words].concat()));
        assert_eq!(exit, 2, "{words:?}");
        assert!(stderr.contains(says), "{words:?}: {stderr}");
    }
    // The environment of the later run is ignored.
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
    assert!(site.home().join("tokens/mine.json.unshared").exists() && site.left().is_empty());
}

// RFC 6749 §2.3.1: a secret is never stored, so it must be given again.
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
    // The saved profile is valid.
    let (exit, stdout, stderr) = ended(&mut site.run(&["list"]));
    assert_eq!((exit, &*stderr), (0, ""), "{stdout}");
}

// E07: --no-wait ends before any request; a plain login says so and goes on.
#[test]
fn f13_an_unusable_place_for_pending_sign_ins() {
    let site = Site::new();
    let blocked = site.home().join("blocked");
    fs::write(&blocked, "").unwrap();
    let tokens = site.home().join("tokens.json");
    let words = ["--token-file", tokens.to_str().unwrap()];
    let (exit, stdout, stderr) =
        ended(site.login(&[&words[..], &["--no-wait"]].concat()).env("XDG_STATE_HOME", &blocked));
    assert_eq!((exit, &*stdout, site.server.requests().len()), (8, "", 0), "{stderr}");
    assert!(stderr.contains("--no-wait stores the sign-in in a file, and that failed: "), "{stderr}");

    site.approve();
    let (exit, _, stderr) = ended(site.login(&words).env("XDG_STATE_HOME", &blocked));
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(stderr.matches("it cannot be resumed").count(), 1, "{stderr}");
    let (_, stdout, _) =
        ended(site.login(&[&words[..], &["--force", "--json"]].concat()).env("XDG_STATE_HOME", &blocked));
    assert!(stdout.contains("device_code") && !stdout.contains("resume_id"), "it cannot be resumed: {stdout}");

    // With the memory store nothing is stored.
    let asked = site.server.requests().len();
    let (exit, _, stderr) = ended(&mut site.login(&["--store", "memory", "--no-wait"]));
    assert_eq!((exit, site.server.requests().len()), (2, asked), "{stderr}");
    let (exit, ..) = ended(&mut site.login(&["--store", "memory", "--json"]));
    assert_eq!((exit, site.folder().exists()), (0, false));
}

// When storing fails in the middle of the wait: the file is outdated.
#[test]
fn a_sign_in_that_cannot_be_updated_is_not_resumed() {
    let site = Site::new();
    site.set(|answers| answers.mute = true);
    let mut run = Running::start(&mut site.login(&["--json"]));
    let id = run.until("device_code")["resume_id"].as_str().unwrap().to_owned();
    site.polled();
    // Somebody removes it.
    fs::remove_file(site.file(&id)).unwrap();
    site.set(|answers| answers.mute = false);
    site.polled();
    let (exit, end) = run.signalled(Signal::TERM);
    assert_eq!((exit, &end["message"], site.left()), (143, &"terminated".into(), vec![]));
}
