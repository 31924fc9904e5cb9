//! The credential helpers for docker, cargo, pip, uv and pnpm: the exact bytes of each protocol, and that no other host gets
//! the token. testkit/helpers.sh runs the real programs; a real cargo runs here.
#![cfg(unix)]

use crate::program::{ended, program};
use device_flow_testkit::loopback::{Asked, JSON, Loopback, answer};
use device_flow_testkit::rotating::Rotating;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A person who has signed in, with these further options.
struct Person {
    home: tempfile::TempDir,
    server: Rotating,
}

impl Person {
    fn signed_in(more: &[&str]) -> Self {
        let (home, server) = (tempfile::tempdir().unwrap(), Rotating::new(3_600));
        let url = |path| server.server.url(path);
        let words = ["--device-endpoint", &url("/device"), "--token-endpoint", &url("/token"), "--client-id", "my-app"];
        let (exit, _, stderr) = ended(
            program("device-flow", home.path())
                .arg("login")
                .args(words)
                .args(["--allow-http-loopback", "--store", "file", "--profile", "work"])
                .args(more),
        );
        assert_eq!(exit, 0, "{stderr}");
        Self { home, server }
    }

    fn forget(&self) {
        fs::remove_file(self.home.path().join(".local/state/device-flow/tokens.json.unshared")).unwrap();
    }

    /// Starts this program by another name, with this on stdin.
    fn by_name(&self, name: &str, words: &[&str], stdin: &str) -> (i32, String, String) {
        let link = self.home.path().join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_device-flow"), &link).unwrap();
        }
        told(program(link.to_str().unwrap(), self.home.path()).args(words), stdin)
    }
}

fn told(command: &mut Command, stdin: &str) -> (i32, String, String) {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // It may not read it.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const NOT_FOUND: &str = "credentials not found in native keychain\n";

#[test]
fn docker_gets_the_token_for_a_registry_that_is_named_and_for_no_other() {
    let person = Person::signed_in(&["--token-host", "registry.example.com", "--token-host", "127.0.0.1:5000"]);
    let docker = |words: &[&str], stdin: &str| person.by_name("docker-credential-device-flow", words, stdin);
    for registry in
        ["registry.example.com", "registry.example.com/ada/app", "https://registry.example.com", "127.0.0.1:5000"]
    {
        let (exit, stdout, stderr) = docker(&["get"], registry);
        assert_eq!((exit, &*stderr), (0, ""), "{registry}");
        let expected = json!({"ServerURL": registry, "Username": "oauth2", "Secret": "AT-canary-1"});
        assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap(), expected);
        assert!(stdout.ends_with("}\n") && stdout.lines().count() == 1, "{stdout}");
    }
    for other in
        ["docker.io", "https://index.docker.io/v1/", "registry.example.com.evil.example", "127.0.0.1:5001", "", "x\ny"]
    {
        assert_eq!(docker(&["get"], other), (1, NOT_FOUND.to_owned(), String::new()), "{other:?}");
    }
    let (exit, stdout, stderr) = docker(&["get"], "http://registry.example.com");
    assert_eq!((exit, &*stdout), (1, NOT_FOUND));
    assert!(stderr.contains("use https"), "{stderr}");
    let (_, stdout, _) = docker(&["list"], "");
    let expected = json!({"https://registry.example.com": "oauth2", "https://127.0.0.1:5000": "oauth2"});
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap(), expected);

    // Nothing is stored, and an erase is no error: some clients fail on one.
    let (exit, stdout, _) = docker(&["store"], r#"{"ServerURL":"registry.example.com","Username":"u","Secret":"p"}"#);
    assert!(exit == 1 && stdout.contains("device-flow login"), "{stdout}");
    assert_eq!(docker(&["erase"], "registry.example.com").0, 0);
    assert!(docker(&["version"], "").1.starts_with("device-flow 0."));
    assert_eq!(docker(&["guess"], "").0, 2);

    // The profile in the name; and a user name that the registry wants.
    let (exit, stdout, stderr) = person.by_name("docker-credential-device-flow-work", &["get"], "registry.example.com");
    assert!(exit == 0 && stdout.contains("AT-canary-1"), "{stderr}");
    assert_eq!(person.by_name("docker-credential-device-flow-home", &["get"], "registry.example.com").0, 2);
    let named = &mut program("device-flow", person.home.path());
    let (_, stdout, _) =
        told(named.args(["credential", "docker", "get", "--token-username", "AWS"]), "registry.example.com");
    assert!(stdout.contains(r#""Username":"AWS""#), "{stdout}");
    for bad in ["", "a:b", "a\nb"] {
        let named = &mut program("device-flow", person.home.path());
        assert_eq!(told(named.args(["credential", "docker", "get", "--token-username", bad]), "x").0, 2, "{bad:?}");
    }

    // What is wrong stands where every client shows it.
    person.server.revoke();
    person.forget();
    let (exit, stdout, stderr) = docker(&["get"], "registry.example.com");
    assert_eq!((exit, &*stderr), (4, ""));
    assert!(stdout.contains("device-flow login") && stdout.lines().count() == 1, "{stdout}");
    // A registry that is none of ours is no reason to complain.
    assert_eq!(docker(&["get"], "docker.io").1, NOT_FOUND);
}

#[test]
fn pip_and_uv_are_answered_in_the_form_in_which_they_ask() {
    let person = Person::signed_in(&["--token-host", "pypi.example.com"]);
    let keyring = |words: &[&str]| person.by_name("keyring", words, "");
    let index = "https://pypi.example.com/simple/";
    for (words, expected) in [
        // uv, and pip 24.
        (&["get", index, "ada"][..], "AT-canary-1\n"),
        (&["get", "pypi.example.com", "ada"], "AT-canary-1\n"),
        // uv without a user name.
        (&["get", index, "--mode", "creds"], "oauth2\nAT-canary-1\n"),
        // pip 25 and later.
        (&["--mode=creds", "--output=json", "get", index], "{\"username\":\"oauth2\",\"password\":\"AT-canary-1\"}\n"),
        (
            &["--mode=creds", "--output=json", "get", index, "ada"],
            "{\"username\":\"ada\",\"password\":\"AT-canary-1\"}\n",
        ),
    ] {
        assert_eq!(keyring(words), (0, expected.to_owned(), String::new()), "{words:?}");
    }
    for other in
        ["https://pypi.org/simple/", "pypi.org", "http://pypi.example.com/simple/", "https://pypi.example.com:444/"]
    {
        let (exit, stdout, _) = keyring(&["get", other, "ada"]);
        assert_eq!((exit, &*stdout), (1, ""), "{other}");
    }
    for words in [&["set", index, "ada"][..], &["del", index, "ada"], &["get"]] {
        let (exit, stdout, stderr) = keyring(words);
        assert!(exit == 2 && stdout.is_empty() && !stderr.is_empty(), "{words:?}: {stderr}");
    }
    person.server.revoke();
    person.forget();
    let (exit, stdout, stderr) = keyring(&["get", index, "ada"]);
    assert!(exit == 4 && stdout.is_empty() && stderr.contains("device-flow login"), "{stderr}");
}

#[test]
fn pnpm_gets_a_header_by_a_name_without_arguments() {
    let person = Person::signed_in(&[]);
    for name in ["npm-token-device-flow", "npm-token-device-flow-work"] {
        assert_eq!(person.by_name(name, &[], ""), (0, "Bearer AT-canary-1\n".to_owned(), String::new()), "{name}");
    }
    person.server.revoke();
    person.forget();
    let (exit, stdout, stderr) = person.by_name("npm-token-device-flow", &[], "");
    assert!(exit == 4 && stdout.is_empty() && stderr.contains("device-flow login"), "{stderr}");
}

/// A request as cargo writes it.
fn request(kind: &str, index: &str, args: &[&str]) -> String {
    let mut request =
        json!({"v": 1, "registry": {"index-url": index, "name": "work"}, "kind": kind, "operation": "read"});
    if !args.is_empty() {
        request["args"] = json!(args);
    }
    format!("{request}\n")
}

#[test]
fn cargo_is_told_in_its_protocol_what_there_is() {
    let person = Person::signed_in(&["--token-host", "crates.example.com"]);
    let cargo = |request: &str| {
        let (exit, stdout, stderr) = told(program("device-flow", person.home.path()).arg("--cargo-plugin"), request);
        assert_eq!(exit, 0, "{stderr}");
        let (hello, answer) = stdout.split_once('\n').unwrap();
        assert_eq!((hello, answer.lines().count()), ("{\"v\":[1]}", 1), "{stdout}");
        (serde_json::from_str::<Value>(answer).unwrap(), stderr)
    };
    let index = "sparse+https://crates.example.com/index/";
    for args in [&[][..], &["--profile", "work"], &["credential", "cargo"], &["credential", "cargo", "--profile=work"]]
    {
        let (answer, stderr) = cargo(&request("get", index, args));
        let ok = &answer["Ok"];
        assert_eq!((&ok["kind"], &ok["token"]), (&"get".into(), &"Bearer AT-canary-1".into()), "{answer} {stderr}");
        assert_eq!((&ok["cache"], &ok["operation_independent"]), (&"expires".into(), &true.into()));
        assert!(ok["expiration"].as_u64().unwrap() > 1_700_000_000);
    }
    for other in
        ["sparse+https://crates.io/", "registry+https://github.com/x", "sparse+http://crates.example.com/", "x"]
    {
        assert_eq!(cargo(&request("get", other, &[])).0, json!({"Err": {"kind": "url-not-supported"}}), "{other}");
    }
    assert_eq!(cargo(&request("guess", index, &[])).0, json!({"Err": {"kind": "operation-not-supported"}}));
    // What is wrong with the configuration is told through cargo.
    for args in [&["--no-such-option"][..], &["--profile", "no-such-profile"]] {
        let (answer, _) = cargo(&request("get", index, args));
        assert_eq!(answer["Err"]["kind"], "other", "{answer}");
        assert!(answer["Err"]["message"].as_str().unwrap().contains("no-such"), "{answer}");
    }
    // Without a sign-in cargo has to be able to ask for one.
    let (answer, _) = cargo(&request("logout", index, &[]));
    assert_eq!(answer, json!({"Ok": {"kind": "logout"}}));
    let (answer, stderr) = cargo(&request("get", index, &[]));
    assert_eq!(answer, json!({"Err": {"kind": "not-found"}}));
    assert!(stderr.contains("device-flow login"), "{stderr}");
    let (answer, stderr) = cargo(&request("login", index, &[]));
    assert_eq!(answer, json!({"Ok": {"kind": "login"}}), "{stderr}");
    assert!(stderr.contains("Enter the code") && stderr.contains("Signed in"), "{stderr}");
    assert_eq!(cargo(&request("get", index, &[])).0["Ok"]["token"], "Bearer AT-canary-2");

    // Started by hand, and told nonsense.
    let by_hand = |stdin: &str| told(program("device-flow", person.home.path()).args(["credential", "cargo"]), stdin);
    assert!(by_hand(&request("get", index, &[])).1.contains("Bearer AT-canary-2"));
    let (exit, _, stderr) = by_hand("nonsense\n");
    assert!(exit == 2 && stderr.contains("not what cargo writes"), "{stderr}");
}

/// A registry of crates that shows its index to whoever has the token.
fn registry() -> Loopback {
    Loopback::http(|asked: &Asked, wire: &mut dyn std::io::Write| {
        let allowed = asked.head.to_ascii_lowercase().contains("\r\nauthorization: bearer at-canary-");
        let host =
            asked.head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
        if !allowed {
            return answer(wire, 401, "WWW-Authenticate: Cargo login_url=\"http://127.0.0.1/me\"\r\n", "");
        }
        match &*asked.target {
            "/index/config.json" => {
                let url = format!("http://{}", host.unwrap());
                answer(
                    wire,
                    200,
                    JSON,
                    &json!({"dl": format!("{url}/dl"), "api": url, "auth-required": true}).to_string(),
                )
            }
            _ => answer(wire, 404, JSON, "{}"),
        }
    })
}

/// The cargo that runs these tests, with a home of its own.
fn cargo(home: &Path, words: &[&str]) -> (i32, String, String) {
    let mut command = program(option_env!("CARGO").unwrap_or("cargo"), home);
    for variable in ["RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Some(value) = std::env::var_os(variable) {
            command.env(variable, value);
        }
    }
    ended(
        command
            .args(words)
            .env("CARGO_HOME", home.join("cargo"))
            .env("CARGO_HTTP_MULTIPLEXING", "false")
            .current_dir(home),
    )
}

#[test]
fn a_real_cargo_gets_into_a_registry_and_signs_in_and_out() {
    let registry = registry();
    let person = Person::signed_in(&["--token-host", &format!("127.0.0.1:{}", registry.port())]);
    let home = person.home.path();
    fs::create_dir(home.join("cargo")).unwrap();
    let config = format!(
        "[registries.work]\nindex = \"sparse+{}\"\ncredential-provider = [\"device-flow\", \"--profile\", \"work\"]\n",
        registry.url("/index/")
    );
    fs::write(home.join("cargo/config.toml"), config).unwrap();
    // The registry has no crate: it is the answer of somebody who was let in.
    let search = || cargo(home, &["info", "--registry", "work", "no-such-crate"]);
    let (_, _, stderr) = search();
    assert!(stderr.contains("could not find `no-such-crate`"), "{stderr}");
    let (exit, _, stderr) = cargo(home, &["logout", "--registry", "work"]);
    assert!(exit == 0 && stderr.contains("Signed out"), "{stderr}");
    let (_, _, stderr) = search();
    assert!(stderr.contains("no token found") && stderr.contains("device-flow login"), "{stderr}");
    let (exit, _, stderr) = cargo(home, &["login", "--registry", "work"]);
    assert!(exit == 0 && stderr.contains("Signed in"), "{stderr}");
    assert!(search().2.contains("could not find `no-such-crate`"));
    assert_eq!(person.server.codes(), 2);
}
