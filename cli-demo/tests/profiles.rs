//! The binary after a `login`: profiles, `token`, `status`, `refresh`, `logout`, `list`, `use`.
#![cfg(unix)]

use crate::program::{ended, program};
use device_flow_testkit::black_hole::ClosedPort;
use device_flow_testkit::rotating::Rotating;
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A person: a home, and what they type there.
struct Person {
    home: tempfile::TempDir,
}

impl Person {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = program("device-flow", self.home.path());
        command.args(line.split_whitespace());
        command
    }

    /// Exit code, stdout, stderr.
    fn types(&self, line: &str) -> (i32, String, String) {
        ended(&mut self.command(line))
    }

    /// Signs in to this server for the first time, with more options.
    fn signs_in(&self, server: &Rotating, more: &str) -> (i32, String, String) {
        let ended = self.types(&format!("login {} --store file {more}", at(server)));
        assert_eq!(ended.0, 0, "{ended:?}");
        ended
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.path(".config/device-flow/config.toml")).unwrap()
    }

    /// Changes a member of every stored access token.
    fn set_of_access_tokens(&self, member: &str, value: &str) {
        let path = self.path(".local/state/device-flow/tokens.json.unshared");
        let mut cache: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        cache["AccessToken"].as_object_mut().unwrap().values_mut().for_each(|token| token[member] = value.into());
        std::fs::write(&path, cache.to_string()).unwrap();
    }
}

/// The options that name a server and a client of it.
fn at(server: &Rotating) -> String {
    let url = |path| server.server.url(path);
    let (device, token, revoke) = (url("/device"), url("/token"), url("/revoke"));
    format!(
        "--device-endpoint {device} --token-endpoint {token} --revocation-endpoint {revoke} --client-id my-app \
         --scope mail --allow-http-loopback"
    )
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn login_saves_its_options_as_a_profile_and_the_others_need_none() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    // Before the first sign-in: how to sign in.
    assert_eq!(person.types("logout"), (0, "Nobody was signed in: there is no profile yet\n".into(), String::new()));
    for words in ["token", "status", "refresh"] {
        let (exit, stdout, stderr) = person.types(words);
        assert_eq!(
            (exit, &*stdout, &*stderr),
            (
                4,
                "",
                "device-flow: nobody is signed in (to sign in: device-flow login SERVER --client-id ID, where SERVER is a URL or a \
                 name that `device-flow providers` lists)\n"
            )
        );
    }
    person.signs_in(&server, "");
    let config = person.config();
    assert!(config.starts_with("current = \"default\"\n\n[profile.default]\n"), "{config}");
    assert!(config.contains("client-id = \"my-app\"\n") && config.contains("store = \"file\"\n"), "{config}");
    assert!(!config.contains("canary"), "{config}");
    let folder = person.path(".config/device-flow");
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);

    let asked = server.requests();
    assert_eq!(person.types("token"), (0, "AT-canary-1\n".into(), String::new()));
    assert_eq!(person.types("token --format header").1, "Authorization: Bearer AT-canary-1\n");
    let (_, env, _) = person.types("token --format env");
    let expected = "export ACCESS_TOKEN='AT-canary-1'\nexport ACCESS_TOKEN_EXPIRES_AT='20";
    assert!(env.starts_with(expected) && env.ends_with("Z'\n"), "{env}");
    for words in ["token --format json", "token --json"] {
        let token = json(&person.types(words).1);
        assert_eq!(
            (&token["access_token"], &token["scope"], &token["profile"], &token["token_type"]),
            (&"AT-canary-1".into(), &"mail".into(), &"default".into(), &"Bearer".into())
        );
        assert!((3_000..=3_600).contains(&token["expires_in"].as_u64().unwrap()));
    }
    let (exit, status, _) = person.types("status");
    assert!(
        exit == 0 && status.contains("profile        default") && status.contains("refresh token  stored"),
        "{status}"
    );
    assert!(status.contains(".local/state/device-flow/tokens.json.unshared") && !status.contains("canary"), "{status}");
    let status = json(&person.types("status --json").1);
    assert_eq!(
        (&status["signed_in"], &status["refreshable"], &status["storage"]),
        (&true.into(), &true.into(), &"file".into())
    );
    // And `login` needs no options from now on.
    let success = json(&person.types("login --json").1);
    assert_eq!((&success["source"], &success["profile"]), (&"cache".into(), &"default".into()));
    assert_eq!(server.requests(), asked, "none of that makes a request");
}

#[test]
fn a_token_is_refreshed_when_needed_and_never_with_no_refresh() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    person.signs_in(&server, "");
    assert_eq!(person.types("token --min-ttl 59m").1, "AT-canary-1\n");
    // It is valid for an hour, and two hours are required.
    let (exit, stdout, stderr) = person.types("token --min-ttl 2h");
    assert_eq!((exit, &*stdout), (0, "AT-canary-2\n"));
    assert_eq!(
        stderr,
        "The server issues tokens that are valid for 3600 s; --min-ttl asks for 7200 s.\n"
            .replace("3600", &stderr[44..48])
    );
    assert_eq!(person.types("refresh").0, 0);
    assert_eq!((person.types("token").1.as_str(), server.refreshes()), ("AT-canary-3\n", 2));

    // A minute is left: too little by default.
    let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 60;
    person.set_of_access_tokens("expires_on", &soon.to_string());
    person.set_of_access_tokens("cached_at", &(soon - 3_600).to_string());
    assert_eq!(person.types("token --no-refresh").1, "AT-canary-3\n");
    assert_eq!(person.types("token --min-ttl 30s").1, "AT-canary-3\n");
    let (exit, stdout, stderr) = person.types("token --no-refresh --min-ttl 2m");
    let told = "device-flow: no stored token is valid for long enough, and --no-refresh forbids a new one\n";
    assert_eq!((exit, &*stdout, &*stderr), (4, "", told));
    assert_eq!((person.types("token").1.as_str(), server.refreshes()), ("AT-canary-4\n", 3));

    // Revoked at the server: the message says so, and how to sign in; with --json it is one event.
    server.revoke();
    person.set_of_access_tokens("expires_on", "1");
    let (exit, stdout, stderr) = person.types("token");
    assert_eq!((exit, &*stdout), (4, ""));
    assert!(
        stderr.starts_with("device-flow: sign in again: invalid_grant")
            && stderr.ends_with("(to sign in: device-flow login)\n"),
        "{stderr}"
    );
    let error = json(&person.types("token --json").1);
    assert_eq!((&error["event"], &error["exit"]), (&"error".into(), &4.into()));
    assert_eq!(person.types("status").0, 4);
    // While the access token is valid, only --force shows a code.
    let (server, person) = (Rotating::new(3_600), Person::new());
    person.signs_in(&server, "");
    server.revoke();
    let (exit, stdout, stderr) = person.types("token --min-ttl 2h");
    assert!(
        exit == 4 && stdout.is_empty() && stderr.ends_with("(to sign in: device-flow login --force)\n"),
        "{stderr}"
    );
}

// For what scripts call.
#[test]
fn f09_thirty_two_calls_of_token_make_one_refresh() {
    let (server, person) = (Rotating::new(0), Person::new());
    person.signs_in(&server, "");
    server.set_lifetime(3_600);
    server.set_slowness(Duration::from_millis(100));
    let running: Vec<_> = (0..32).map(|_| person.command("token").spawn().unwrap()).collect();
    for child in running {
        let end = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&end.stdout), "AT-canary-2\n", "{}", String::from_utf8_lossy(&end.stderr));
    }
    assert_eq!((server.refreshes(), server.reuses()), (1, 0));
}

#[test]
fn w12_servers_become_profiles_side_by_side_and_the_first_stays_in_use() {
    let (one, other, person) = (Rotating::new(3_600), Rotating::new(3_600), Person::new());
    let (_, first, _) = person.signs_in(&one, "");
    let (_, second, told) = person.signs_in(&other, "");
    let port = other.server.url("").rsplit(':').next().unwrap().to_owned();
    let name = format!("127.0.0.1-{port}");
    // W12: in text as in JSON, and what it did not change.
    assert!(first.contains("\n  profile        default\n  storage        /"), "{first}");
    assert!(second.contains(&format!("\n  profile        {name}\n  storage        /")), "{second}");
    assert!(second.trim_end().ends_with("tokens.json.unshared"), "{second}");
    let way = format!("Profile default is still the current one. To change that: device-flow use {name}\n");
    assert!(told.ends_with(&way), "{told}");
    let (exit, list, _) = person.types("list");
    // Below each, who is signed in and where; this server names nobody.
    let (who, lines): (Vec<_>, Vec<_>) = list.lines().partition(|line| line.contains("signed in;"));
    assert!(who.len() == 2 && who.iter().all(|line| line.ends_with(" (file)")), "{list}");
    let lines: Vec<_> = lines.iter().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>()).collect();
    assert_eq!((exit, lines.len()), (0, 2), "{list}");
    assert_eq!(lines[0], ["*", "default"], "a sign-in changes no current profile: {list}");
    let second = lines[1][0].to_owned();
    assert_eq!(second, name);

    // Only a person does.
    assert_eq!(person.types(&format!("use {second}")).0, 0);
    assert!(person.config().starts_with(&format!("current = \"{second}\"")));
    person.signs_in(&one, "--force");
    assert!(person.config().starts_with(&format!("current = \"{second}\"")));
    assert_eq!(person.types("use default"), (0, "Profile default is now the current one\n".into(), String::new()));
    other.set_lifetime(3_601);
    assert_eq!(person.types("refresh").0, 0);
    assert_eq!((one.refreshes(), other.refreshes()), (1, 0));
    assert_eq!(person.types(&format!("refresh --profile {second}")).0, 0);
    assert_eq!((one.refreshes(), other.refreshes()), (1, 1));
    assert_eq!(ended(person.command("refresh").env("DEVICE_FLOW_PROFILE", &second)).0, 0);
    assert_eq!((one.refreshes(), other.refreshes()), (1, 2));

    // A profile that was named is reused, and does not become the current one.
    person.signs_in(&other, "--profile work");
    let config = person.config();
    assert!(config.starts_with("current = \"default\"") && config.contains("[profile.work]"), "{config}");
    let listed = json(&person.types("list --json").1);
    assert_eq!(listed["profiles"].as_array().unwrap().len(), 3);

    for (words, text) in [
        ("use nobody", "there is no profile \"nobody\" (existing: default,"),
        ("token --profile nobody", "there is no profile \"nobody\" (existing: default,"),
        ("login --profile a/b --issuer https://x.example", "\"a/b\" cannot be the name of a profile"),
        ("login --profile new", "no server is named"),
    ] {
        let (exit, stdout, stderr) = person.types(words);
        assert_eq!((exit, &*stdout), (2, ""), "{words}");
        assert!(stderr.contains(text), "{stderr}");
    }
}

#[test]
fn f14_a_token_goes_to_no_other_server_whatever_the_file_of_profiles_says() {
    let (one, other, person) = (Rotating::new(3_600), Rotating::new(3_600), Person::new());
    person.signs_in(&one, "");
    let path = person.path(".config/device-flow/config.toml");
    std::fs::write(&path, person.config().replace(&one.server.url(""), &other.server.url(""))).unwrap();
    for words in ["token", "refresh", "token --min-ttl 2h", "status"] {
        assert_eq!((person.types(words).0, other.requests()), (4, 0), "{words}");
    }
    assert_eq!(person.types("logout"), (0, "Nobody was signed in (profile default)\n".into(), String::new()));
    assert_eq!(other.requests(), 0);
}

#[test]
fn a_flag_takes_precedence_over_the_environment_and_that_over_the_profile() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    person.signs_in(&server, "");
    let client = |command: &mut Command| {
        let (exit, stdout, stderr) = ended(command.arg("--json"));
        // Another client has no tokens, so an error shows that its id was used.
        if exit == 0 { json(&stdout)["client_id"].as_str().unwrap().to_owned() } else { stderr + &stdout }
    };
    assert_eq!(client(&mut person.command("status")), "my-app");
    let other = client(person.command("status").env("DEVICE_FLOW_CLIENT_ID", "other"));
    assert!(other.contains("sign_in_needed"), "{other}");
    assert_eq!(client(person.command("status --client-id my-app").env("DEVICE_FLOW_CLIENT_ID", "other")), "my-app");
    // An empty variable is none.
    assert_eq!(client(person.command("status").env("DEVICE_FLOW_CLIENT_ID", "")), "my-app");
    let (exit, _, stderr) = ended(person.command("status").env("DEVICE_FLOW_STORE", "cupboard"));
    assert_eq!(exit, 2);
    assert!(stderr.contains("the environment (DEVICE_FLOW_…): invalid value 'cupboard' for '--store"), "{stderr}");
    // Another place for the file.
    let config = person.path("elsewhere.toml");
    std::fs::write(&config, "").unwrap();
    assert_eq!(ended(person.command("status").env("DEVICE_FLOW_CONFIG", &config)).0, 4);
}

#[test]
fn the_file_of_profiles_stays_as_the_person_wrote_it_and_a_mistake_is_reported_with_its_line() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    person.signs_in(&server, "");
    let path = person.path(".config/device-flow/config.toml");
    let url = server.server.url("");
    for (text, complaint) in [
        ("current = \"default\"\n[profile.default\n", "line 2: "),
        ("[profile.default]\nclientid = \"x\"\n", "profile default in "),
        ("[profile.default]\nclient-id = 1.5\n", "the value of client-id must be a string or a list of strings"),
        ("[profile.default]\nstore = \"cupboard\"\n", "invalid value 'cupboard' for '--store <WHERE>'"),
        ("[profiles.default]\n", "unknown key \"profiles\". Known keys: current, defaults, profile"),
        ("profile = 1\n", "write profiles as [profile.NAME]"),
    ] {
        std::fs::write(&path, text).unwrap();
        let (exit, stdout, stderr) = person.types("token");
        assert_eq!((exit, &*stdout), (2, ""), "{text}");
        assert!(stderr.contains(complaint), "{stderr}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "nothing is lost");
    }
    // Comments and a symbolic link stay, further settings are added.
    let dotfiles = person.path("dotfiles.toml");
    let text = format!(
        "# mine\ncurrent = 'default' # for now\n\n[profile.default]\n# of the mail team\nclient-id = 'my-app' # theirs\n\
         scope = [\n  \"mail\", # all of it\n]\nrequest-timeout = 30 # slow\n\
         device-endpoint = \"{url}/device\"\ntoken-endpoint = \"{url}/token\"\nallow-http-loopback = true\nstore = \"file\"\n"
    );
    std::fs::write(&dotfiles, &text).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&dotfiles, &path).unwrap();
    assert_eq!(person.types("token"), (0, "AT-canary-1\n".into(), String::new()));
    assert_eq!(person.types("login --language de-DE").0, 0);
    let kept = std::fs::read_to_string(&dotfiles).unwrap();
    assert!(path.is_symlink() && kept.starts_with(&text), "{kept}");
    assert_eq!(kept.strip_prefix(&text), Some("language = \"de-DE\"\n"));
}

// R7009-2.1-4.
#[test]
fn f12_logout_removes_here_first_then_revokes_and_says_what_the_server_confirmed() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    person.signs_in(&server, "");
    let (exit, stdout, _) = person.types("logout");
    assert_eq!(exit, 0);
    assert_eq!(stdout, "Signed out (profile default): the tokens are removed here and revoked at the server\n");
    assert_eq!(server.live(), None);
    let tokens = std::fs::read_to_string(person.path(".local/state/device-flow/tokens.json.unshared")).unwrap();
    assert!(!tokens.contains("canary"), "{tokens}");
    // A second time is no error; the profile is still there.
    assert_eq!(person.types("logout"), (0, "Nobody was signed in (profile default)\n".into(), String::new()));
    assert_eq!(person.types("token").0, 4);
    assert_eq!(person.types("login").0, 0);

    // Without revocation.
    let out = json(&person.types("logout --no-revoke --json").1);
    assert_eq!(
        (&out["event"], &out["revoked"], &out["reason"]),
        (&"signed_out".into(), &false.into(), &"--no-revoke".into())
    );
    assert!(server.live().is_some());

    // The server cannot be reached: the tokens are removed here all the same.
    assert_eq!(person.types("login").0, 0);
    let path = person.path(".config/device-flow/config.toml");
    let closed = ClosedPort::new();
    let revoke = format!("revocation-endpoint = \"{}/revoke\"", server.server.url(""));
    let nowhere = format!("revocation-endpoint = \"{}/revoke\"", closed.base());
    std::fs::write(&path, person.config().replace(&revoke, &nowhere)).unwrap();
    let out = json(&person.types("logout --json").1);
    assert_eq!((&out["event"], &out["revoked"]), (&"signed_out".into(), &false.into()));
    assert!(out["reason"].as_str().unwrap().contains("not revoked"), "{out}");
    assert_eq!(person.types("token").0, 4);
}

// Not even when the cache does not have it.
#[test]
fn f12_logout_needs_no_metadata() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    let closed = ClosedPort::new();
    person.signs_in(&server, "");
    // The same tokens, with an issuer that cannot be reached.
    let path = person.path(".local/state/device-flow/tokens.json.unshared");
    let host = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
    let tokens = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, tokens.replace(&host(&server.server.url("")), &host(&closed.base()))).unwrap();
    let config = person.path(".config/device-flow/config.toml");
    std::fs::write(
        &config,
        format!(
            "current = \"default\"\n[profile.default]\nissuer = \"{}/token\"\nclient-id = \"my-app\"\nscope = \"mail\"\n\
             allow-http-loopback = true\nstore = \"file\"\n",
            closed.base()
        ),
    )
    .unwrap();
    let out = json(person.types("logout --json").1.lines().last().unwrap());
    assert_eq!((&out["event"], &out["revoked"]), (&"signed_out".into(), &false.into()), "{out}");
    assert!(!std::fs::read_to_string(&path).unwrap().contains("canary"));
}

#[test]
fn logout_of_all_profiles_goes_on_after_one_that_fails() {
    let (one, other, person) = (Rotating::new(3_600), Rotating::new(3_600), Person::new());
    person.signs_in(&one, "--profile one");
    person.signs_in(&other, "--profile other");
    let broken = person.config().replace(
        "[profile.one]",
        "[profile.broken]\nissuer = \"ftp://x\"\nclient-id = \"x\"\nstore = \"file\"\n\n[profile.one]",
    );
    std::fs::write(person.path(".config/device-flow/config.toml"), broken).unwrap();
    let (exit, stdout, stderr) = person.types("logout --all");
    assert_eq!(exit, 2, "{stderr}");
    assert_eq!(stdout.matches("revoked at the server").count(), 2, "{stdout}");
    assert_eq!((one.live(), other.live()), (None, None));
    assert_eq!(person.types("logout --all --profile one").0, 2);
}

#[test]
fn f13_an_unusable_place_for_profiles_is_reported_before_any_request() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    let folder = person.path(".config/device-flow");
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    let (exit, stdout, stderr) = person.types(&format!("login --store file --json {}", at(&server)));
    assert_eq!(exit, 2, "it is reported first: {stdout}{stderr}");
    assert_eq!(server.requests(), 0);
}

// Before any request; and no file is used instead.
#[test]
fn f07_without_a_keyring_it_ends_with_8_and_names_the_alternatives() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    let mut login = person.command(&format!("login {}", at(&server)));
    let (exit, stdout, stderr) = ended(login.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere"));
    assert_eq!((exit, &*stdout, server.requests()), (8, "", 0), "{stderr}");
    assert!(stderr.contains("no keyring can be used here") && stderr.contains("--store file"), "{stderr}");
    assert!(!person.path(".local").join("state/device-flow/tokens.json.unshared").exists());
    // A file has to be chosen only once.
    let (exit, _, stderr) = person.types(&format!("login --insecure-storage {}", at(&server)));
    assert_eq!(exit, 0, "{stderr}");
    assert!(person.config().contains("store = \"file\""));
    assert_eq!(person.types("token").0, 0);
}

// A named profile means its server, so a variable must not name another.
#[test]
fn f14_a_named_profile_and_another_server_in_the_environment_do_not_go_together() {
    let (one, other, person) = (Rotating::new(3_600), Rotating::new(3_600), Person::new());
    person.signs_in(&one, "--profile work");
    let config = person.config();
    let in_environment = |words: &str| {
        let mut command = person.command(words);
        command.env("DEVICE_FLOW_DEVICE_ENDPOINT", other.server.url("/device"));
        ended(command.env("DEVICE_FLOW_TOKEN_ENDPOINT", other.server.url("/token")))
    };
    for words in ["token --profile work", "login --profile work", "logout --profile work", "token --profile nobody"] {
        let (exit, stdout, stderr) = in_environment(words);
        assert_eq!((exit, &*stdout), (2, ""), "{words}");
        let complaint =
            if words.ends_with("work") { "names another server than profile work" } else { "there is no profile" };
        assert!(stderr.contains(complaint), "{stderr}");
    }
    assert_eq!((other.requests(), person.config()), (0, config));
}

// No variable is set, so none is blamed.
#[test]
fn w07_a_flag_that_means_another_server_than_the_profile_is_told_as_one() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    person.signs_in(&server, "--profile work");
    for words in ["token --profile work --realm x", "login --profile work --host other.example"] {
        let (exit, stdout, stderr) = person.types(words);
        assert_eq!((exit, &*stdout), (2, ""), "{words}: {stderr}");
        assert!(stderr.contains("the flags name another server than profile work"), "{words}: {stderr}");
    }
}

#[test]
fn another_client_is_another_profile_and_two_first_sign_ins_at_once_are_two() {
    let (one, other, person) = (Rotating::new(3_600), Rotating::new(3_600), Person::new());
    let start = |server| person.command(&format!("login --store file {}", at(server))).spawn().unwrap();
    for child in [start(&one), start(&other)] {
        let end = child.wait_with_output().unwrap();
        assert!(end.status.success(), "{}", String::from_utf8_lossy(&end.stderr));
    }
    let names = || {
        let listed = json(&person.types("list --json").1);
        let of = |profile: &Value| profile["client_id"].as_str().unwrap().to_owned();
        listed["profiles"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["my-app", "my-app"]);
    // The servers name nobody: each profile finds what its own sign-in brought.
    for profile in json(&person.types("list --json").1)["profiles"].as_array().unwrap() {
        let line = format!("token --profile {}", profile["profile"].as_str().unwrap());
        assert_eq!(person.types(&line), (0, "AT-canary-1\n".into(), String::new()), "{line}");
    }
    let (exit, _, stderr) = person.types("login --client-id another");
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(names(), ["my-app", "my-app", "another"]);
}

// What is for one run is stored in no file.
#[test]
fn f14_neither_a_secret_from_stdin_nor_a_proxy_password_is_stored() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    let words = format!("login --store file --client-auth post {}", at(&server));
    let mut login = person.command(&format!("{words} --client-secret-file /dev/stdin"));
    login.env("DEVICE_FLOW_PROXY", "http://me:canary-password@127.0.0.1:1").stdin(Stdio::piped());
    let mut child = login.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"canary-secret\n").unwrap();
    let end = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&end.stderr);
    assert!(end.status.success() && errors.contains("set it in HTTPS_PROXY"), "{errors}");
    let config = person.config();
    for word in ["canary", "stdin", "proxy", "client-auth"] {
        assert!(!config.contains(word), "{word}: {config}");
    }
    assert_eq!(person.types("token").0, 0);
}

// F02: a file of profiles that this program may not change.
#[test]
fn f05_a_profile_that_cannot_be_saved_is_reported_and_the_tokens_are_stored() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    person.signs_in(&server, "");
    let path = person.path(".config/device-flow/config.toml");
    // As an editor leaves it where the group shares files.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
    assert_eq!(person.types("login").0, 0, "nothing changes");
    let (exit, _, stderr) = person.types("login --language de-DE --force");
    assert_eq!(exit, 8);
    let told = "signed in, and the tokens are stored; but the profile could not be saved: others may write to";
    assert!(stderr.contains(told), "{stderr}");
    assert_eq!(person.types("token").1, "AT-canary-2\n");
}

// A file of profiles that somebody else wrote cannot act on the terminal.
#[test]
fn e12_quotes_from_a_file_are_escaped() {
    let person = Person::new();
    let path = person.path(".config/device-flow");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("config.toml"), "[profile.\"a\\u001b]0;x\\u0007\"]\nstore = \"\\u001b[2J\"\n").unwrap();
    let (exit, _, stderr) = person.types("token");
    assert_eq!(exit, 2);
    assert!(stderr.contains("store") && !stderr.chars().any(|c| c.is_control() && c != '\n'), "{stderr:?}");
}

// Whatever happens.
#[test]
fn e13_logout_of_all_and_mistakes_end_with_one_event() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    assert_eq!(json(&person.types("logout --all --json").1)["profiles"], 0);
    person.signs_in(&server, "");
    let (exit, stdout, _) = person.types("logout --all --json");
    let events: Vec<_> = stdout.lines().map(|line| json(line)["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!((exit, events), (0, vec!["signed_out".to_owned(), "all_signed_out".to_owned()]));
    let (exit, stdout, stderr) = person.types("login --json --bogus");
    let error = json(&stdout);
    assert_eq!((exit, &error["event"], &error["exit"]), (2, &"error".into(), &2.into()));
    assert!(error["message"].as_str().unwrap().contains("--bogus") && stderr.contains("--bogus"));
}

#[test]
fn a_profile_is_shown_renamed_and_removed_and_nobody_is_signed_out_by_it() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    person.signs_in(&server, "--profile work");
    let (exit, shown, _) = person.types("profile show");
    assert_eq!(exit, 0);
    assert!(shown.starts_with("[profile.work]\n") && shown.contains("client-id = \"my-app\""), "{shown}");
    assert!(shown.contains("# signed in: ") && !shown.contains("canary"), "{shown}");
    let shown = json(&person.types("profile show work --json").1);
    assert_eq!((&shown["profile"], &shown["current"]), (&"work".into(), &true.into()));
    assert_eq!(shown["settings"]["client-id"], serde_json::json!(["my-app"]));
    assert_eq!(person.types("profile list"), person.types("list"));

    // The comment and the place of a profile stay, and so does who is signed in, whom this server does not name.
    let config = person.config().replace("[profile.work]", "# mine\n[profile.work]");
    std::fs::write(person.path(".config/device-flow/config.toml"), config).unwrap();
    assert_eq!(person.types("profile rename work job").1, "Profile work is now called job\n");
    let config = person.config();
    assert!(config.contains("current = \"job\"") && config.contains("# mine\n[profile.job]\n"), "{config}");
    assert_eq!(person.types("token").1, "AT-canary-1\n");
    assert_eq!(server.codes(), 1);
    for (line, why) in [
        ("profile rename work other", "no profile \"work\""),
        ("profile rename job job", "already"),
        ("profile rename job a/b", "cannot be the name"),
        ("profile show work", "no profile \"work\""),
        ("profile remove work", "no profile \"work\""),
        // Its tokens could not be found any more.
        ("profile remove job", "device-flow logout --profile job"),
    ] {
        let (exit, _, stderr) = person.types(line);
        assert!(exit == 2 && stderr.contains(why), "{line}: {stderr}");
    }
    let (exit, ..) = person.types("logout");
    assert_eq!(exit, 0);
    assert_eq!(person.types("profile remove job").1, "Profile job is removed\n");
    assert!(!person.config().contains("job"), "{}", person.config());
    let (exit, _, stderr) = person.types("profile show");
    assert!(exit == 2 && stderr.contains("device-flow use"), "{stderr}");
    // The next sign-in is the current one again.
    person.signs_in(&server, "");
    assert!(person.config().starts_with("current = "), "{}", person.config());
}

#[test]
fn login_takes_the_server_in_short() {
    let (server, person) = (Rotating::new(3_600), Person::new());
    let (exit, _, stderr) = person.types("login no-such-server --client-id my-app");
    assert!(exit == 2 && stderr.contains("device-flow providers"), "{stderr}");
    let (exit, _, stderr) = person.types("login github --provider gitlab --client-id my-app");
    assert!(exit == 2 && stderr.contains("cannot be used with"), "{stderr}");
    person.signs_in(&server, "");
    // It is the same as the option, in the profile, too.
    for words in ["keycloak --host sso.example.com", "--provider keycloak --host sso.example.com"] {
        let (exit, _, stderr) = person.types(&format!("login {words} --client-id my-app --profile new"));
        assert!(exit == 2 && stderr.contains("--realm"), "{stderr}");
    }
}
