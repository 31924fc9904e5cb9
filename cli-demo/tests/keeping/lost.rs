//! Owns the tests that no token is lost and none is mixed up: signals, full disks, people whom the server does not name.

use super::site::{Person, Server};
use device_flow_testkit::attempts::once_below;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn started(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn ended(child: Child) -> (i32, String, String) {
    let end = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (end.status.code().unwrap(), text(end.stdout), text(end.stderr))
}

fn stored(person: &Person) -> String {
    std::fs::read_to_string(person.home.path().join(".local/state/device-flow/tokens.json.unshared")).unwrap()
}

const EXPIRED: &str = "1795000000";

// From the request for new tokens to their place on the disk only a second signal ends a run.
#[test]
fn k01_the_first_signal_lets_a_refresh_finish() {
    for (line, told, exit) in [
        ("token", Signal::INT, 130),
        ("token", Signal::TERM, 143),
        ("refresh", Signal::HUP, 143),
        ("credential kubernetes", Signal::TERM, 143),
        ("login", Signal::INT, 130),
    ] {
        let (person, server) = (Person::new(), Server::start());
        person.signs_in(&server, "");
        person.set_of_access_tokens("expires_on", EXPIRED);
        let keeper = server.close_gate("/token");
        let run = started(&mut person.command(line));
        keeper.wait_for_a_request();
        signal(&run, told);
        keeper.open();
        let (code, stdout, stderr) = ended(run);
        assert_eq!((code, &*stdout), (exit, ""), "{line}: {stderr}");
        assert!(stored(&person).contains("RT-canary-2") && !stored(&person).contains("RT-canary-1"), "{line}");
        assert_eq!(person.types("token").1, "AT-canary-2\n", "{line}");
    }
}

#[test]
fn k01_the_time_limit_of_a_login_lets_a_refresh_finish() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    person.set_of_access_tokens("expires_on", EXPIRED);
    let keeper = server.close_gate("/token");
    let run = started(&mut person.command("login --timeout 5"));
    keeper.wait_for_a_request();
    // Longer than the limit.
    std::thread::sleep(Duration::from_millis(5_200));
    keeper.open();
    let (exit, _, stderr) = ended(run);
    assert_eq!(exit, 6, "{stderr}");
    assert!(stored(&person).contains("RT-canary-2"), "{stderr}");
}

#[test]
fn k01_the_second_signal_ends_it_at_once() {
    for (told, exit) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        // Without the second signal it would take ten seconds.
        once_below(Duration::from_secs(8), || {
            let (person, server) = (Person::new(), Server::start());
            person.signs_in(&server, "");
            person.set_of_access_tokens("expires_on", EXPIRED);
            let keeper = server.close_gate("/token");
            let mut run = started(&mut person.command("token"));
            keeper.wait_for_a_request();
            // The gate stays closed.
            let began = Instant::now();
            signal(&run, told);
            while run.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(100));
                let _ = kill_process(Pid::from_child(&run), told);
            }
            let took = began.elapsed();
            assert_eq!(ended(run).0, exit);
            drop(keeper);
            took
        });
    }
}

// A server without ID tokens: nobody but the profile says who it is.
#[test]
fn k03_each_profile_has_its_own_person() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "--profile work");
    person.signs_in(&server, "--profile home --force");
    let token = |profile: &str| person.types(&format!("token --profile {profile}")).1;
    assert_eq!((&*token("work"), &*token("home")), ("AT-canary-1\n", "AT-canary-2\n"));
    assert_eq!(person.types("logout --profile home").0, 0);
    assert_eq!(server.revoked().len(), 1);
    assert!(server.revoked()[0].contains("RT-canary-2"), "{:?}", server.revoked());
    assert_eq!((&*token("work"), &*token("home")), ("AT-canary-1\n", ""));
    // Without a profile: the one that the sign-in becomes.
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    assert_eq!(person.types("token").1, "AT-canary-1\n");
    assert_eq!(person.types("token --profile default").1, "AT-canary-1\n");
}

#[test]
fn k12_a_sign_out_that_is_interrupted_is_told_and_finished_later() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    let keeper = server.close_gate("/revoke");
    let run = started(&mut person.command("logout"));
    keeper.wait_for_a_request();
    signal(&run, Signal::INT);
    let (exit, _, stderr) = ended(run);
    assert_eq!(exit, 130, "{stderr}");
    let told: String = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("removed here, but the server has not revoked them yet"), "{stderr}");
    keeper.open();
    drop(keeper);
    server.set(|state| state.gate = None);
    // Here it is gone already, and the server hears of it.
    assert_eq!(person.types("token").0, 4);
    let before = server.revoked().len();
    assert_eq!(person.types("logout").0, 0);
    assert_eq!(server.revoked().len(), before + 1);
    assert!(server.revoked().last().unwrap().contains("RT-canary-1"));
    assert!(!stored(&person).contains("canary"), "{}", stored(&person));
    assert_eq!(person.types("logout").0, 0);
    assert_eq!(server.revoked().len(), before + 1, "it is not revoked again");
}

/// The command where no file can grow, as on a full disk.
fn on_a_full_disk(person: &Person, line: &str) -> (i32, String, String) {
    let command = person.command(line);
    let mut shell = Command::new("bash");
    shell.args(["--norc", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_device-flow")]);
    shell.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell.env("PATH", std::env::var_os("PATH").unwrap());
    ended(started(shell.current_dir(person.home.path())))
}

#[test]
fn k08_nobody_approves_a_sign_in_whose_tokens_have_no_place() {
    let (person, server) = (Person::new(), Server::start());
    let issuer = server.server.url("");
    let line = format!("login --issuer {issuer} --client-id my-app --allow-http-loopback --store file");
    let (exit, stdout, stderr) = on_a_full_disk(&person, &line);
    assert_eq!((exit, &*stdout), (8, ""), "{stderr}");
    assert!(!server.paths_from(0).iter().any(|path| path.ends_with("/device")), "{:?}", server.paths_from(0));
    // A damaged file, whatever is forced: the one that an MSAL may share, too.
    person.signs_in(&server, "");
    for name in ["tokens.json.unshared", "tokens.json"] {
        let file = person.home.path().join(".local/state/device-flow").join(name);
        let before = std::fs::read(&file).ok();
        std::fs::write(&file, "[").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let asked = server.paths_from(0).len();
        let (exit, _, stderr) = person.types("login --force");
        assert!(exit == 8 && stderr.contains("not a JSON object"), "{name}: {stderr}");
        assert!(!server.paths_from(asked).iter().any(|path| path.ends_with("/device")), "{name}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "[");
        match before {
            Some(before) => std::fs::write(&file, before).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
    }
}

#[test]
fn k09_a_token_that_cannot_be_stored_is_printed_all_the_same() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "");
    person.set_of_access_tokens("expires_on", EXPIRED);
    let (exit, stdout, stderr) = on_a_full_disk(&person, "token");
    assert_eq!((exit, &*stdout), (0, "AT-canary-2\n"), "{stderr}");
    let told: String = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("the new tokens could not be stored"), "{stderr}");
}

// Two people, one profile: the second has signed in with --force.
#[test]
fn k10_everybody_who_is_signed_in_can_be_seen_and_signed_out() {
    let (person, server) = (Person::new(), Server::start());
    server.set(|state| state.subject = Some("alice"));
    person.signs_in(&server, "");
    server.set(|state| state.subject = Some("bob"));
    person.signs_in(&server, "--force");
    let listed = super::json(&person.types("list --json").1);
    assert_eq!(listed["profiles"][0]["accounts"], serde_json::json!(["alice", "bob"]));
    let text = person.types("list").1;
    assert!(text.contains("alice") && text.contains("bob"), "{text}");
    assert_eq!(person.types("token").1, "AT-canary-2\n", "the second one is the profile's");
    let out = person.types("logout --all").1;
    assert!(out.contains("alice") && out.contains("bob"), "{out}");
    assert_eq!(server.revoked().len(), 2);
    assert!(!stored(&person).contains("canary"), "{}", stored(&person));

    // The profile is gone: nobody knows the endpoints, but nothing is left here.
    person.signs_in(&server, "");
    std::fs::write(
        person.home.path().join(".config/device-flow/config.toml"),
        "[profile.other]\nprovider = \"github\"\nclient-id = \"x\"\nstore = \"file\"\n",
    )
    .unwrap();
    let listed = super::json(&person.types("list --json").1);
    assert_eq!(listed["accounts_without_profile"][0]["account"], "bob", "{listed}");
    let out = person.types("logout --all").1;
    assert!(out.contains("Signed out bob (no profile)"), "{out}");
    assert!(!stored(&person).contains("canary"), "{}", stored(&person));
}

// Where the server names nobody, the profile says whose account it is.
#[test]
fn k10_somebody_whom_the_server_does_not_name_is_listed_with_their_profile() {
    let (person, server) = (Person::new(), Server::start());
    person.signs_in(&server, "--profile work");
    person.signs_in(&server, "--profile home");
    let accounts = || {
        let listed = super::json(&person.types("list --json").1);
        let of = |number: usize| listed["profiles"][number]["accounts"].as_array().unwrap().len();
        (of(0), of(1), listed["accounts_without_profile"].as_array().unwrap().len())
    };
    assert_eq!(accounts(), (1, 1, 0));
    assert_eq!(person.types("logout --profile work").0, 0);
    assert_eq!((accounts().0 + accounts().1, accounts().2), (1, 0));
    assert_eq!(person.types("logout --all").0, 0);
    assert_eq!((accounts(), server.revoked().len()), ((0, 0, 0), 2));
    assert!(!stored(&person).contains("canary"), "{}", stored(&person));
}

// Fifty processes on one file: one server hangs, one asks to come back later, three are well.
#[test]
fn k07_fifty_processes_and_five_servers_hold_up_nobody_but_their_own() {
    let (person, servers) = (Person::new(), [(); 5].map(|()| Server::start()));
    for (number, server) in servers.iter().enumerate() {
        person.signs_in(server, &format!("--profile p{number}"));
    }
    person.set_of_access_tokens("expires_on", EXPIRED);
    let keeper = servers[0].close_gate("/token");
    // Longer than all others take on a busy machine.
    let patient = |person: &Person| person.command("token --profile p0 --request-timeout 600s");
    servers[1].set(|state| state.refusal = Some((429, "Retry-After: 120\r\n", "")));
    let began = Instant::now();
    let hanging: Vec<_> = (0..10).map(|_| started(&mut patient(&person))).collect();
    keeper.wait_for_a_request();
    let others = (0..40).map(|process| 1 + process % 4);
    let others: Vec<_> =
        others.map(|number| (number, started(&mut person.command(&format!("token --profile p{number}"))))).collect();
    for (number, run) in others {
        let (exit, stdout, stderr) = ended(run);
        match number {
            // Told at once, not after two minutes.
            1 => assert_eq!((exit, &*stdout), (6, ""), "{stderr}"),
            // One of ten has refreshed, and all have what it got.
            _ => assert_eq!((exit, &*stdout), (0, "AT-canary-2\n"), "{stderr}"),
        }
    }
    // All of that while the first server was silent. Those who wait for it go on for 45 seconds at least.
    let patience = began.elapsed() < Duration::from_secs(45);
    for mut run in hanging {
        assert!(run.try_wait().unwrap().is_none() || !patience);
        // It may have ended.
        let _ = run.kill();
        run.wait().unwrap();
    }
}

// What the server did not say is said nowhere, and the token is used until an API refuses it.
#[test]
fn k15_a_life_that_is_unknown_is_unknown_everywhere() {
    let (person, server) = (Person::new(), Server::start());
    server.set(|state| state.lifetime = None);
    person.signs_in(&server, "");
    let token = super::json(&person.types("token --format json").1);
    assert_eq!(token["access_token"], "AT-canary-1");
    assert!(token["expires_at"].is_null() && token["expires_in"].is_null(), "{token}");
    assert!(super::json(&person.types("status --json").1)["expires_at"].is_null());
    assert!(person.types("status").1.contains("the server did not say for how long"));
    let kubernetes = super::json(&person.types("credential kubernetes").1);
    assert_eq!(kubernetes["status"]["token"], "AT-canary-1");
    assert_eq!(kubernetes["status"].get("expirationTimestamp"), None);
    let (exit, git, stderr) = person.as_git(&mut person.command("credential git get"), &server);
    assert!(exit == 0 && git.contains("password=AT-canary-1") && !git.contains("expiry"), "{git}{stderr}");
    // However long it must live: nothing is known against it.
    assert_eq!(person.types("token --min-ttl 1h").1, "AT-canary-1\n");
    // The API has refused it.
    assert_eq!(person.types("refresh").0, 0);
    assert_eq!(person.types("token").1, "AT-canary-2\n");
}
